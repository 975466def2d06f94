"""Claim: every regular expression here is read alike by all Pythons from 3.11.0 on.

Until 3.11.4, `re` forgets where a possessive repeat stood when its item fails half way: after
`(?:[^*]++|\\*(?!/))*+` it reads on behind a star that it should have given back, and no comment
ever ends. An atomic group gives back what it took, so the item of a possessive repeat is one
character or an atomic group. And no `re` so far keeps groups right that capture within a
possessive repeat.
"""

import ast
import gc
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rwsplit
from rwsplit._core.sql.classify import classify
from rwsplit._core.sql.statement import Kind

PACKAGE = Path(rwsplit.__file__).parent
READ = re._parser  # type: ignore[attr-defined]
ONE_CHARACTER = ("LITERAL", "NOT_LITERAL", "IN", "ANY", "CATEGORY")

# Run apart, for the package's modules are already imported here.
COMPILE_ALL = r"""
import importlib, pkgutil, re, sys
found = []
compile = re._compile
def record(pattern, flags):
    caller = sys._getframe(2)
    found.append((caller.f_code.co_filename, caller.f_lineno, pattern, int(flags)))
    return compile(pattern, flags)
re._compile = record

import rwsplit
for module in pkgutil.walk_packages(rwsplit.__path__, "rwsplit."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            # What is for a framework needs that framework.
            if error.name.partition(".")[0] == "rwsplit":
                raise

from rwsplit._core.sql import classify, comments, controls, lexer, templates
from rwsplit._core.sql.dialect import Dialect
from rwsplit._core.setup.rule_tables import _pattern
from rwsplit._core.setup.rules import Glob
for flavor in ("mysql", "mariadb"):
    for sql_mode in ("", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI", "ORACLE"):
        dialect = Dialect.of(flavor, None, sql_mode)
        for make in (
            lexer._scanner, classify._string_literals, comments._units, templates._units,
            comments._comments_and_quotes, controls._scanner,
        ):
            make(dialect)
Glob.of("a*b*c")
_pattern("rule", "a", None)
controls.read_show("SHOW VARIABLES LIKE 'x'", dialect)
controls.read_show("SHOW VARIABLES WHERE VARIABLE_NAME = 'x'", dialect)
print(repr(found))
"""


def misread(pattern: "str | bytes", flags: int = 0) -> list[str]:
    """What in a pattern an old `re` reads wrongly."""
    wrong: list[str] = []
    look(READ.parse(pattern, flags), wrong, possessive=False)
    return wrong


def look(items, wrong: list[str], possessive: bool) -> None:
    for op, value in items:
        if str(op) == "POSSESSIVE_REPEAT":
            item = value[2]
            if len(item) != 1 or str(item[0][0]) not in (*ONE_CHARACTER, "ATOMIC_GROUP"):
                wrong.append(f"a possessive repeat of {item!r}")
            look(item, wrong, possessive=True)
            continue
        if str(op) == "SUBPATTERN" and value[0] is not None and possessive:
            wrong.append(f"group {value[0]} captures within a possessive repeat")
        for part in value if isinstance(value, tuple | list) else (value,):
            parts = part if isinstance(part, list) else [part]
            for each in parts:
                if isinstance(each, READ.SubPattern):
                    look(each, wrong, possessive)


@pytest.mark.parametrize(
    "pattern",
    [
        r"/\*(?:[^*]++|\*(?!/))*+\*/",
        r"(?:ab?c)++",
        r"(?:ab?c)?+",
        r"(?:ab?c){1,3}+",
        r"(?:.(?!D))*+",
        r"x(?=(?:ab)*+)",
        r"(?:a|(?:bc)*+)",
        r"(a(?:bc)*+)",
        r"(?>(?:ab)*+)",
        r"(?:x(?:ab)*+)*",
        r"(?i:(?:ab)*+)",
        r"(?!(?:ab)*+)",
        r"((x)|y)*+",
        r"(?>(x)|y)*+",
        r"(a)(?(1)(?:bc)*+|d)",
    ],
)
def test_what_old_pythons_misread_is_found(pattern):
    assert misread(pattern)
    assert misread(pattern.encode())


@pytest.mark.parametrize(
    "pattern",
    [
        r"/\*(?>[^*]++|\*(?!/))*+\*/",
        r"a*+b?+c{1,2}+[^d]++.*+\d++(?:e)*+",
        r"(?>ab?c)++",
        r"(?:ab)*",
        r"(?>(?:ab)*)",
        r"(a*+)",
    ],
)
def test_what_all_pythons_read_alike_is_left_alone(pattern):
    assert not misread(pattern)


def parsed(path: Path) -> ast.Module:
    """What a module consists of.

    CPython 3.11 raises SystemError where the collector runs Python code meanwhile, as it does when
    tests before left connections (its issue 106905).
    """
    gc.disable()
    try:
        return ast.parse(path.read_text())
    finally:
        gc.enable()


def calls() -> list[tuple[str, int, int]]:
    """Where the package's sources hand a pattern to `re`."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(parsed(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.func.attr != "escape"
            ):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    assert not misread(first.value), f"{path}:{node.lineno}"
                else:
                    assert node.end_lineno is not None
                    found.append((str(path), node.lineno, node.end_lineno))
    return found


def test_no_pattern_of_the_package_is_one_that_old_pythons_misread():
    command = [sys.executable, "-c", COMPILE_ALL]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    compiled = [
        each for each in ast.literal_eval(run.stdout) if Path(each[0]).is_relative_to(PACKAGE)
    ]
    wrong = [
        f"{file}:{line}: {what}"
        for file, line, pattern, flags in compiled
        for what in misread(pattern, flags)
    ]
    assert not wrong, "\n".join(wrong)
    seen = {(file, line) for file, line, *_ in compiled}
    unseen = [
        f"{file}:{first}: the test compiles no pattern here: let it"
        for file, first, last in calls()
        if not any((file, line) in seen for line in range(first, last + 1))
    ]
    assert not unseen, "\n".join(unseen)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 /* c */",
        "/* a * b ** c **/ SELECT 1",
        "/***/ SELECT /**/ 1 /* / */",
        "-- x\nSELECT 1 # y",
        "SELECT /*+ BKA(`a`) */ a FROM t",
        "SELECT 'a''b', \"c\"\"d\", `e``f` FROM t",
        "WITH c AS (SELECT 1, /* x */ 'y') SELECT * FROM c",
        "SELECT a FROM t WHERE b IN (1, 'x', NULL, -2) /* z */",
        "SELECT _utf8mb4 'x', t.a FROM db.t",
        "SELECT /*!50000 1 */ + 1",
        "SELECT /*!99999 no /* nested */ no */ 1",
    ],
)
def test_reads_are_reads_on_this_python(sql):
    assert classify(sql, "mysql", "8.4.0").kind is Kind.READ
    assert classify(sql, "mariadb", "10.11.19").kind is Kind.READ


def test_hints_are_read_on_this_python():
    hint = classify("SELECT 1 /* rwsplit: replica */").hint
    assert hint is not None
    assert hint.route == "replica"
