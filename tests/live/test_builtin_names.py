"""The tables of built-in names before real servers: no name in them reaches a stored function."""

import contextlib

import pymysql
import pytest

from rwsplit._core.sql.classify import Dialect, classifier
from rwsplit._core.sql.functions import ANY_SOME, builtins_of
from rwsplit._core.sql.names import OF_MEMBER
from rwsplit._core.sql.statement import Kind

# Words of the grammar that might be taken for one, and are in no table.
MORE = {
    "DATETIME",
    "ROW",
    "VALUE",
    "COLUMNS",
    "OF",
    "ROLLUP",
    "NEXT",
    "OFFSET",
    "AGAINST",
    "ESCAPE",
}


@pytest.fixture
def database(cluster):
    name = cluster.create_database("names")
    yield name
    cluster.drop_database(name)


def forms(name, arguments):
    given = ",".join("1" * arguments)
    yield from (f"SELECT {name}({given})", f"SELECT {name} ({given})", f"SELECT `{name}`({given})")
    yield f"SELECT {name}/**/({given})"
    yield f"SELECT 1 + {name} ({given})"
    if arguments == 1:
        yield f"SELECT {name}(a) FROM t"


def test_what_reaches_a_stored_function_is_never_called_a_read(cluster, database):
    """A function of every name is made in turn, and called in every spelling."""
    dialect = Dialect.of(cluster.flavor, cluster.version)
    known = builtins_of(dialect)
    wrong = []
    with contextlib.closing(cluster.admin(cluster.primary, database=database)) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE t (a INT)")
        cursor.execute("INSERT INTO t VALUES (1)")
        for name in sorted(set().union(*known) | ANY_SOME | MORE):
            for arguments in range(3):
                parameters = ",".join(f"p{number} INT" for number in range(arguments))
                with contextlib.suppress(pymysql.err.Error):
                    cursor.execute(
                        f"CREATE FUNCTION {database}.`{name}`({parameters}) RETURNS INT NO SQL"
                        " BEGIN SET @hit = 1; RETURN 1; END"
                    )
                for sql in forms(name, arguments):
                    cursor.execute("SET @hit = NULL")
                    with contextlib.suppress(pymysql.err.Error):
                        cursor.execute(sql)
                        cursor.fetchall()
                    cursor.execute("SELECT @hit")
                    statement = classifier(dialect).statement(sql)
                    if cursor.fetchone()[0] and statement.kind is Kind.READ:
                        wrong.append(sql)
                cursor.execute(f"DROP FUNCTION IF EXISTS {database}.`{name}`")
    assert not wrong


# System variables.


def test_what_is_only_global_is_asked_of_the_primary(cluster):
    """Of each variable that the server has: what a session has for itself is every member's."""
    every = {
        "mysql": "SELECT LOWER(VARIABLE_NAME) FROM performance_schema.global_variables",
        "mariadb": "SELECT LOWER(VARIABLE_NAME) FROM information_schema.SYSTEM_VARIABLES",
    }
    known = classifier(Dialect.of(cluster.flavor))
    wrong = []
    with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
        cursor.execute(every[cluster.flavor])
        for (name,) in cursor.fetchall():
            try:
                cursor.execute(f"SELECT @@SESSION.{name}")
            except pymysql.MySQLError:
                kind = known.statement(f"SELECT @@{name}").kind
                tells_who = name in OF_MEMBER or name.startswith("version_")
                if (kind is Kind.READ) is not tells_who:
                    wrong.append(name)
    assert not wrong
    assert known.statement("SELECT @@sql_mode, @@time_zone").kind is Kind.READ


@pytest.mark.parametrize("sql", ["SELECT @@max_connections", "SELECT @@Event_Scheduler"])
def test_a_global_variable_is_the_primarys_however_it_is_spelt(cluster, connect, sql):
    with connect().cursor() as cursor:
        cursor.execute(sql)
        assert cursor.route.role == "primary"
        cursor.execute("SELECT @@sql_mode, @@server_id")
        assert cursor.route.role == "replica"
