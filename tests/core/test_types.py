"""The types that an application's checker sees, without a package of types for PyMySQL."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rwsplit

pytest.importorskip("mypy")

SOURCES = Path(rwsplit.__file__).parents[1]
APPLICATION = Path(__file__).parents[1] / "types" / "application.py"


@pytest.fixture
def check(tmp_path):
    """A run of a program of mypy's, by its module and arguments, on the application's side."""

    def check(*arguments):
        command = [sys.executable, "-m", *map(str, arguments)]
        environ = {**os.environ, "MYPYPATH": str(SOURCES), "PYTHONPATH": str(SOURCES)}
        run = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environ, check=False
        )
        assert not run.stderr, run.stderr
        return run.stdout

    return check


def test_an_application(check, tmp_path):
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\n")
    said = check(
        *("mypy", "--strict", "--config-file", config, "--no-error-summary"),
        *("--follow-imports=silent", "--cache-dir", tmp_path / "cache", APPLICATION),
    )
    found = re.findall(r"application\.py:(\d+): error: .* \[([a-z-]+)\]$", said, re.MULTILINE)
    lines = enumerate(APPLICATION.read_text().splitlines(), 1)
    marked = [(number, re.search(r"# E: ([a-z-]+)$", line)) for number, line in lines]
    expected = {(str(number), mark[1]) for number, mark in marked if mark}
    assert {number for number, _ in found} == {number for number, _ in expected}, said
    assert expected <= {*found}, said
    assert len(expected) >= 10


MODULES = "err times charset converters cursors _drivers.cursors connections constants optionfile"
DIFFERENCES = """
rwsplit\\.times\\.__all__
rwsplit\\._drivers\\.cursors\\.Cursor\\.route
rwsplit\\.cursors\\.Cursor\\.route
"""
"""Whose they are: PyMySQL's class has no routes, those of connections here have."""


def test_what_is_typed_is_what_is_there(check, tmp_path):
    allowed = tmp_path / "allowed"
    allowed.write_text(DIFFERENCES)
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nfollow_imports = silent\nignore_missing_imports = True\n")
    said = check(
        *("mypy.stubtest", "--concise", "--ignore-unused-allowlist", "--allowlist", allowed),
        *("--mypy-config-file", config),
        *[f"rwsplit.{name}" for name in MODULES.split()],
    )
    assert not said


def test_the_names_of_the_package_itself():
    """They come from PyMySQL, and their types from a file that has only types."""
    import pymysql

    tree = ast.parse(SOURCES.joinpath("rwsplit", "_pymysql.pyi").read_text())
    typed = {
        node.target.id if isinstance(node, ast.AnnAssign) else node.name
        for node in tree.body
        if isinstance(node, ast.AnnAssign | ast.FunctionDef | ast.ClassDef)
    }
    assert all(getattr(rwsplit, name) is getattr(pymysql, name) for name in typed)
    assert {"BINARY", "DBAPISet", "apilevel", "get_client_info"} < typed


def test_the_constants_are_there_without_another_import():
    """As with PyMySQL: `import pymysql; pymysql.constants.ER.DUP_ENTRY`."""
    program = "import rwsplit; print(rwsplit.constants.ER.DUP_ENTRY)"
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout == "1062\n"
    with pytest.raises(AttributeError, match="ERR"):
        rwsplit.constants.ERR
