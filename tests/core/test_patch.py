"""`rwsplit.patch()` and `python -m rwsplit run`, as far as no server is needed."""

import logging
import os
import subprocess
import sys
import types
from pathlib import Path

import pymysql
import pytest

import rwsplit
from rwsplit import _run
from rwsplit.__main__ import main
from rwsplit._drivers import pymysql as driver


def real():
    """PyMySQL's own class. No name of this module may hold it: patch() warns of that."""
    return driver.PlainConnection


def held():
    return (
        pymysql.connect,
        pymysql.Connect,
        pymysql.Connection,
        pymysql.connections.Connection,
    )


def test_all_of_pymysqls_names_are_rwsplits_until_it_is_undone():
    assert held() == (real(),) * 4
    with rwsplit.patch():
        from pymysql import Connect, Connection, connect
        from pymysql.connections import Connection as OfModule

        assert held() == (rwsplit.Connection,) * 4 == (Connect, Connection, connect, OfModule)
        made = pymysql.connect(host="db1", defer_connect=True)
        assert isinstance(made, pymysql.connections.Connection)
        assert isinstance(made.driver_connection, real())
        assert isinstance(made.cursor(pymysql.cursors.DictCursor), pymysql.cursors.DictCursor)
    assert held() == (real(),) * 4


def test_subclasses_and_keywords_are_as_before():
    with rwsplit.patch():

        class Mine(pymysql.connections.Connection):
            def __init__(self, **keywords):
                super().__init__(**keywords)
                self.mine = True

        made = Mine(host="db1", port=3307, database="shop", defer_connect=True)
        assert made.mine and made.port == 3307
        with pytest.deprecated_call():
            assert pymysql.connect(db="shop", defer_connect=True).db == "shop"
        with pytest.raises(TypeError):
            pymysql.connect(hots="db1")


def test_the_last_of_several_patches_gives_the_names_back():
    first, second = rwsplit.patch(), rwsplit.patch()
    first.undo()
    first.undo()
    assert pymysql.connect is rwsplit.Connection
    second.undo()
    assert pymysql.connect is real()


def test_what_another_library_put_there_meanwhile_stays():
    def wrapper():
        raise NotImplementedError

    with rwsplit.patch():
        pymysql.connect = wrapper
    try:
        assert pymysql.connect is wrapper
        assert pymysql.Connect is real()
    finally:
        pymysql.connect = real()


def test_under_mysqldbs_name(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("MySQLdb.")]:
        monkeypatch.delitem(sys.modules, name)  # mysqlclient's
    mine = types.ModuleType("MySQLdb")
    for name in [name for name in sys.modules if name.startswith("MySQLdb.")]:
        monkeypatch.delitem(sys.modules, name)  # mysqlclient, which other tests have imported
    monkeypatch.setitem(sys.modules, "MySQLdb", mine)
    with rwsplit.patch(mysqldb=True):
        with rwsplit.patch(mysqldb=True):
            pass
        import MySQLdb
        from MySQLdb.constants import CLIENT, FIELD_TYPE

        assert MySQLdb is rwsplit
        assert CLIENT.FOUND_ROWS == pymysql.constants.CLIENT.FOUND_ROWS
        assert FIELD_TYPE.LONG == pymysql.constants.FIELD_TYPE.LONG
    assert sys.modules["MySQLdb"] is mine
    assert [name for name in sys.modules if name.startswith("MySQLdb.")] == []
    with rwsplit.patch():
        assert sys.modules["MySQLdb"] is mine


def test_who_took_pymysqls_class_before_is_named(caplog, monkeypatch):
    early = types.ModuleType("early_bird")
    early.connect = real()
    monkeypatch.setitem(sys.modules, "early_bird", early)
    with caplog.at_level(logging.WARNING, "rwsplit"), rwsplit.patch():
        pass
    assert "early_bird" in caplog.text


def test_the_sandbox_goes_on_with_pymysql_itself():
    from rwsplit.sandbox._server import Server

    server = Server("primary", "primary", 1, Path())
    with rwsplit.patch():
        assert type(server.admin(port=1, defer_connect=True)) is real()


# The command.


@pytest.fixture
def bin_folder(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def command(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


LONG = "#!/bin/sh\n'''exec' /a/long/path/python \"$0\" \"$@\"\n' '''\n"


def test_python_programs_run_on_this_python_and_others_as_they_are(bin_folder, tmp_path):
    python = [sys.executable]
    script = command(bin_folder / "served", "#!/usr/bin/env python3\n")
    long = command(bin_folder / "long", LONG)
    shim = command(bin_folder / "shim", "#!/bin/sh\nexec served\n")
    plain = tmp_path / "manage.py"
    plain.write_text("")
    assert _run.command_of(["-m", "flask", "run"]) == [*python, "-m", "flask", "run"]
    assert _run.command_of([str(plain), "-m"]) == [*python, str(plain), "-m"]
    assert _run.command_of(["served", "--help"]) == [*python, script, "--help"]
    assert _run.command_of(["long"]) == [*python, long]
    assert _run.command_of(["shim", "a"]) == [shim, "a"]
    assert _run.command_of(["absent"]) is None
    assert _run.command_of([str(tmp_path)]) is None
    (tmp_path / "__main__.py").write_text("")
    assert _run.command_of([str(tmp_path)]) == [*python, str(tmp_path)]


def test_what_is_installed_beside_this_python_is_found_off_the_path(bin_folder):
    found = _run.command_of(["pytest"])
    assert found is not None and Path(found[-1]).name == "pytest"


def test_the_environment_goes_on_and_keeps_what_it_had(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = {"PYTHONPATH": "here", "RWSPLIT_CONFIG": "rwsplit.toml", "A": "b"}
    once = _run.environment_of(before, mysqldb=False)
    again = _run.environment_of(once, mysqldb=True)
    path = once["PYTHONPATH"].split(os.pathsep)
    assert path[1:] == ["here"] and Path(path[0], "sitecustomize.py").is_file()
    assert again["PYTHONPATH"] == once["PYTHONPATH"]
    assert (once["RWSPLIT_RUN"], again["RWSPLIT_RUN"]) == ("pymysql", "mysqldb")
    assert once["RWSPLIT_CONFIG"] == str(tmp_path / "rwsplit.toml")
    assert once["A"] == "b"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "which program"),
        (["-m"], "which program"),
        (["--mysqldb"], "which program"),
        (["--mysql", "x.py"], "unknown option --mysql"),
        (["no-such-program"], "no-such-program"),
    ],
)
def test_what_can_not_be_run_is_refused(arguments, says, tmp_path, monkeypatch, capsys):
    config = tmp_path / "rwsplit.toml"
    config.write_text("")
    monkeypatch.setenv("RWSPLIT_CONFIG", str(config))
    assert main(["run", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_missing_or_wrong_configuration_is_told_before_the_program_runs(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.delenv("RWSPLIT_CONFIG", raising=False)
    assert main(["run", "x.py"]) == 2
    monkeypatch.setenv("RWSPLIT_CONFIG", str(tmp_path / "none.toml"))
    assert main(["run", "x.py"]) == 2
    config = tmp_path / "rwsplit.toml"
    config.write_text("[clusters.shop]\nprimray = 'db1'\n")
    monkeypatch.setenv("RWSPLIT_CONFIG", str(config))
    assert main(["run", "x.py"]) == 2
    said = capsys.readouterr().err
    assert "RWSPLIT_CONFIG names no file" in said
    assert "can't read" in said
    assert "primray" in said


PATH = os.pathsep.join(
    [str(Path(rwsplit.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
)


@pytest.fixture
def run(tmp_path):
    """Run a script by `python -m rwsplit run`, with a configuration; returns what it printed."""
    (tmp_path / "rwsplit.toml").write_text("[clusters.shop]\nprimary = 'db1'\n")

    def run(text, *arguments, options=(), **environment):
        script = tmp_path / "script.py"
        script.write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "rwsplit", "run", *options, "script.py", *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "RWSPLIT_CONFIG": "rwsplit.toml",
                "PYTHONPATH": PATH,
                **environment,
            },
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        return done.stdout.splitlines() + ([done.stderr] if done.stderr else []), done.returncode

    return run


def test_a_program_is_what_it_would_be_without(run, tmp_path):
    text = """
import os, sys
print(__name__, sys.argv, os.path.samefile(sys.path[0], "."), "pymysql" in sys.modules)
print("sitecustomize" in sys.modules and sys.modules["sitecustomize"].__name__)
from pymysql import connect
import rwsplit
print(connect is rwsplit.Connection)
sys.exit(7)
"""
    said, status = run(text, "--mysqldb", "-m", "--", "x y")
    argv = ["script.py", "--mysqldb", "-m", "--", "x y"]
    assert said == [f"__main__ {argv} True False", "sitecustomize", "True"]
    assert status == 7


def test_a_sitecustomize_of_the_users_own_still_runs(run, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("print('mine')")
    text = (
        "import sitecustomize, pymysql; print(sitecustomize.__file__, pymysql.connect.__module__)"
    )
    path = os.pathsep.join([str(tmp_path / "own"), PATH])
    said, _ = run(text, PYTHONPATH=path)
    # Twice: `python -m rwsplit` is a Python itself.
    own = tmp_path / "own" / "sitecustomize.py"
    assert said == ["mine", "mine", f"{own} rwsplit._shell.connection"]


POSING = "import pymysql; pymysql.install_as_MySQLdb(); import MySQLdb.converters, MySQLdb.cursors"


@pytest.mark.parametrize("order", ["before", "between", "after"])
def test_what_poses_as_mysqldb_changes_no_error_of_ours(order):
    """PyMySQL's own `install_as_MySQLdb()` puts second copies of its modules into its package."""
    steps = ["import rwsplit", "rwsplit.connect"]
    steps.insert(("before", "between", "after").index(order), POSING)
    text = (
        "\n".join([*steps, "import rwsplit._shell.monitor, sys"])
        + """
assert pymysql.err is not sys.modules["pymysql.err"], "there are two"
from pymysql.err import MySQLError
for name, module in sys.modules.items():
    if name.startswith("rwsplit.") and hasattr(module, "err"):
        assert module.err.MySQLError is MySQLError, name
"""
    )
    subprocess.run([sys.executable, "-c", text], check=True, env={**os.environ, "PYTHONPATH": PATH})


def test_patched_it_poses_as_mysqldb_as_ours_does(run):
    text = (
        POSING
        + """
import rwsplit, sys
assert MySQLdb is rwsplit and MySQLdb.connect is pymysql.connect
assert pymysql.err is sys.modules["pymysql.err"]
"""
    )
    assert run(text) == ([], 0)


def test_mysqldb_is_found_in_whatever_order(run):
    text = """
import sys
names = sys.argv[1:]
for name in names:
    __import__(name)
import MySQLdb, pymysql, rwsplit
from MySQLdb.constants import CLIENT
print(MySQLdb is rwsplit, MySQLdb.connect is pymysql.connect is rwsplit.Connection)
print(rwsplit.__spec__.name, pymysql.__spec__.name, rwsplit.__name__)
"""
    expected = ["True True", "rwsplit pymysql rwsplit"]
    for names in (["MySQLdb"], ["pymysql"], ["rwsplit"], ["MySQLdb.cursors"]):
        assert run(text, *names, options=["--mysqldb"]) == (expected, 0)
    said, _ = run("import MySQLdb, rwsplit; print(MySQLdb is rwsplit)")
    assert said == ["False"] or "No module named 'MySQLdb'" in said[-1]
