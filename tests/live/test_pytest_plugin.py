"""The pytest plugin, as an application's tests have it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PLUGIN = "pytest_rwsplit"
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def run(pytester):
    """A run of pytest in an application's folder."""

    def run(*arguments, ini="", tests="def test_it(rwsplit_flavor): pass", apart=False):
        pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
        pytester.makepyfile(test_it=tests)
        start = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        # Hypothesis would import itself at the end, amid other threads.
        off = [f"-pno:{name}" for name in ("cacheprovider", "randomly", "hypothesispytest")]
        return start("-p", PLUGIN, *off, *arguments)

    return run


def test_it_is_an_entry_point():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}
    assert (
        f"src/{PLUGIN}.py" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    )


def test_it_costs_next_to_nothing_where_nobody_wants_it():
    """It is loaded in every run of pytest of everybody who has rwsplit."""
    program = (
        "import sys, pytest; before = set(sys.modules); import pytest_rwsplit; "
        "print(*sorted(name for name in set(sys.modules) - before))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"rwsplit", "pymysql", "ssl"} & set(said.stdout.split())


TESTS = """
import threading
import time

import pytest

import rwsplit


def test_a_database_of_its_own(rwsplit_connect, rwsplit_cluster):
    assert rwsplit_cluster.flavor == "mariadb"
    assert len(rwsplit_cluster.replicas) == 1
    connection = rwsplit_connect(autocommit=True)
    cursor = connection.cursor()
    cursor.execute("SHOW TABLES")
    assert not cursor.fetchall()
    assert cursor.route.role == "replica"
    cursor.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    cursor.execute("INSERT INTO t VALUES (1)")
    cursor.execute("SELECT * FROM t")
    assert cursor.fetchall() == ((1,),)
    assert cursor.route.role == "primary", "the replica is late"


def test_another_of_its_own(rwsplit_connect):
    cursor = rwsplit_connect().cursor()
    cursor.execute("SHOW TABLES")
    assert not cursor.fetchall()


def how_late(cluster, options):
    with rwsplit.connect(**options, autocommit=True) as connection:
        connection.cursor().execute("CREATE TABLE t (id INT PRIMARY KEY)")
    began = time.monotonic()
    cluster.wait_caught_up()
    return time.monotonic() - began


def test_as_late_as_is_set(rwsplit_cluster, rwsplit_options):
    assert how_late(rwsplit_cluster, rwsplit_options) > 0.25


@pytest.mark.rwsplit(lag=1.2)
def test_later(rwsplit_cluster, rwsplit_options):
    assert how_late(rwsplit_cluster, rwsplit_options) > 1


@pytest.mark.rwsplit(lag=0)
def test_not_late(rwsplit_cluster, rwsplit_options):
    assert rwsplit_cluster.replicas[0].link.seconds == 0


def test_a_replica_that_is_killed(rwsplit_cluster, rwsplit_connect):
    rwsplit_cluster.kill(rwsplit_cluster.replicas[0])
    cursor = rwsplit_connect().cursor()
    cursor.execute("SELECT 1")
    assert cursor.route.role == "primary"


def test_is_there_for_the_next(rwsplit_cluster):
    assert rwsplit_cluster.running(rwsplit_cluster.replicas[0])
    assert rwsplit_cluster.healthy(late=True)


def test_a_url(rwsplit_url):
    with rwsplit.connect(rwsplit_url) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT DATABASE()")
        assert cursor.fetchone()[0].startswith("test_")
        assert cursor.route.role == "replica"


def test_other_roles(rwsplit_cluster, rwsplit_options):
    rwsplit_cluster.kill(rwsplit_cluster.primary)
    rwsplit_cluster.promote(rwsplit_cluster.replicas[0])


def test_are_new_servers_for_the_next(rwsplit_cluster):
    assert rwsplit_cluster.primary.name == "primary"
    assert len(rwsplit_cluster.replicas) == 1
    assert threading.active_count() < 50
"""


def test_an_applications_tests(run):
    ini = "rwsplit_replicas = 1\nrwsplit_lag = 0.3\n"
    result = run("--rwsplit-flavor=mariadb", "--strict-markers", ini=ini, tests=TESTS, apart=True)
    result.assert_outcomes(passed=10)


def test_both_flavors(run):
    result = run("--collect-only", "-q", "--rwsplit-flavor=mysql,mariadb")
    assert [line for line in result.outlines if "::" in line] == [
        "test_it.py::test_it[mysql]",
        "test_it.py::test_it[mariadb]",
    ]
    result = run("--collect-only", "-q", ini="rwsplit_flavor = mariadb\n")
    assert [line for line in result.outlines if "::" in line] == ["test_it.py::test_it"]


WRONG = {
    "--rwsplit-flavor=postgres": "--rwsplit-flavor: expected mysql or mariadb, got 'postgres'",
    "--rwsplit-replicas=-1": "--rwsplit-replicas: expected a number from 0 to 20, got '-1'",
    "--rwsplit-lag=soon": "--rwsplit-lag: expected seconds from 0 to 3600, got 'soon'",
    "--rwsplit-lag=nan": "--rwsplit-lag: expected seconds from 0 to 3600, got 'nan'",
    "rwsplit_lag = -1": "rwsplit_lag: expected seconds from 0 to 3600, got '-1'",
    "rwsplit_flavor = my": "rwsplit_flavor: expected mysql or mariadb, got 'my'",
}


@pytest.mark.parametrize(("setting", "message"), WRONG.items())
def test_a_bad_setting_is_named(pytester, setting, message):
    is_option = setting.startswith("--")
    pytester.makeini("[pytest]\n" + ("" if is_option else setting))
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_inprocess("-p", PLUGIN, *([setting] if is_option else []))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()


def test_a_marker_of_another_kind_is_named(run):
    tests = """
        import pytest

        @pytest.mark.rwsplit(late=3)
        def test_it(rwsplit_cluster): pass
    """
    result = run("--rwsplit-flavor=mysql", tests=tests)
    assert "the marker is rwsplit(lag=seconds)" in result.stdout.str()


def test_servers_that_are_not_there_are_told_of(run, monkeypatch):
    monkeypatch.setenv("RWSPLIT_MYSQL_HOME", "/nowhere")
    result = run("--rwsplit-flavor=mysql", tests="def test_it(rwsplit_cluster): pass")
    result.assert_outcomes(errors=1)
    assert "RWSPLIT_MYSQL_HOME=/nowhere holds no mysql server" in result.stdout.str()
