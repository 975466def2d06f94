"""Every member is the same session, whatever changed it: a question about the statement before has
that statement's answer; what triggers and procedures change is known, errors or not; what only the
primary's connection has keeps reads there; members' own defaults change no answer; and an error
does not cost a session its next connection to the primary.
"""

import pytest

from .lockstep import same

TABLES = (
    "DROP TABLE IF EXISTS fa, fb",
    "CREATE TABLE fa (id INT PRIMARY KEY AUTO_INCREMENT, v INT)",
    "CREATE TABLE fb (id INT PRIMARY KEY, v INT)",
    "INSERT INTO fb VALUES (1, 10), (2, 20), (3, 30)",
    "DROP TRIGGER IF EXISTS ft",
    "DROP PROCEDURE IF EXISTS fp",
    "DROP FUNCTION IF EXISTS ff",
    "DROP VIEW IF EXISTS fv",
)


# What triggers and routines change, and errors behind it.

READ = "SELECT @tu, @other, @@time_zone, @@div_precision_increment, @@sql_mode LIKE '%ANSI%'"
LOOK = 2 * [READ, "SELECT 1/3 FROM fb LIMIT 1"]


@pytest.mark.parametrize(
    "body",
    [
        "SET @tu = NEW.v; SET SESSION div_precision_increment = 7;",
        "SET SESSION div_precision_increment = 7; SET @tu = NEW.v;",
        "SET SESSION time_zone = '+07:00'; SET @tu = NEW.v, @other = 'x';",
        "SELECT NEW.v, 5 INTO @tu, @other; SET LOCAL div_precision_increment = 1;",
    ],
)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "write",
    ["INSERT INTO fa (v) VALUES (5)", "REPLACE INTO fa (v) VALUES (6)"],
)
def test_a_trigger_changes_one_thing_and_another(cluster, connect, body, known, write):
    setup = (
        *TABLES,
        f"CREATE TRIGGER ft BEFORE INSERT ON fa FOR EACH ROW BEGIN {body} END",
    )
    before = ["SET @tu = 'old', @other = 'old'"] if known else []
    same(cluster, connect, setup, [*before, READ, write, *LOOK])


@pytest.mark.parametrize("timestamp", ["1000000", "NOW() - INTERVAL 1 DAY + 0"])
def test_a_procedure_that_stops_the_clock_keeps_the_session_on_the_primary(
    cluster, connect, timestamp
):
    setup = (*TABLES, "CREATE PROCEDURE fp() SET timestamp = 1000000")
    program = ["CALL fp()", "SELECT NOW(), UNIX_TIMESTAMP() FROM fb", "SET timestamp = DEFAULT"]
    routes = same(cluster, connect, setup, [*program, "SELECT NOW() > '2000-01-01' FROM fb"])
    assert routes[-1].role == "replica"


# Bound to the primary's connection.


@pytest.mark.parametrize(
    "switch",
    [
        "SET sql_auto_is_null = 1",
        "SET @@sql_auto_is_null = ON",
        "SET SESSION sql_auto_is_null = (SELECT 1)",
        "CALL fp()",
    ],
)
def test_sql_auto_is_null_reads_from_the_primary(cluster, connect, switch):
    setup = (*TABLES, "CREATE PROCEDURE fp() SET sql_auto_is_null = 1")
    program = [
        "SELECT id FROM fb",
        switch,
        "INSERT INTO fa (v) VALUES (5)",
        "SELECT v FROM fa WHERE id IS NULL",
        "SET sql_auto_is_null = 0",
        "SELECT v FROM fa WHERE id IS NULL",
    ]
    routes = same(cluster, connect, setup, program)
    assert routes[-1].role == "replica"


@pytest.mark.parametrize(
    "program",
    [
        ["SELECT ff()"],
        ["SELECT v + ff() FROM fa"],
        ["PREPARE s FROM 'SELECT COUNT(*) FROM fb'", "EXECUTE s"],
        ["PREPARE s FROM 'SELECT ff()'", "EXECUTE s"],
        ["SET @q = 'SELECT COUNT(*) FROM fb'", "PREPARE s FROM @q", "EXECUTE s"],
        ["SELECT * FROM fv"],
    ],
)
@pytest.mark.parametrize("late", [True, False])
def test_a_function_that_reads_a_shadowed_table(cluster, connect, program, late):
    setup = (
        *TABLES,
        "CREATE FUNCTION ff() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM fb)",
        "CREATE VIEW fv AS SELECT ff() AS n, 5 AS m FROM fa UNION SELECT 1, COUNT(*) FROM fb",
    )
    shadow = ["CREATE TEMPORARY TABLE fb (id INT)", "INSERT INTO fb VALUES (1), (2)"]
    first = program[:-1] if late else []
    rest = [program[-1]] if late else program
    same(cluster, connect, setup, ["SELECT 1 FROM fa", *first, *shadow, *rest])


@pytest.mark.parametrize("switch", ["SET profiling = 1", "SET @@profiling = ON"])
def test_a_profile_is_of_the_statements_that_ran(cluster, connect, switch):
    def profiled(connection):
        cursor = connection.cursor()
        cursor.execute("SHOW PROFILES")
        return any(row[2].startswith("SELECT v FROM fb") for row in cursor.fetchall())

    program = [switch, "SELECT v FROM fb WHERE id = 2", profiled]
    same(cluster, connect, TABLES, program)


def test_an_optimizer_trace_is_of_the_statement_that_ran(cluster, connect):
    program = [
        "SET optimizer_trace = 'enabled=on'",
        "SELECT v FROM fb WHERE id = 2",
        "SELECT QUERY FROM information_schema.OPTIMIZER_TRACE",
        "SET optimizer_trace = 'enabled=off'",
        "SELECT v FROM fb",
    ]
    routes = same(cluster, connect, TABLES, program)
    assert routes[-1].role == "replica"


# Members' own defaults.

ANSWERS = {
    "sql_select_limit": ("2", "SELECT id FROM fb"),
    "group_concat_max_len": ("4", "SELECT GROUP_CONCAT(v ORDER BY v) FROM fb"),
    "div_precision_increment": ("9", "SELECT 1/3 FROM fb"),
    "lc_time_names": ("'de_DE'", "SELECT DAYNAME('2026-11-25'), MONTHNAME('2026-03-01') FROM fb"),
    "default_week_format": ("3", "SELECT WEEK('2026-01-01') FROM fb"),
    "time_zone": ("'+09:00'", "SELECT FROM_UNIXTIME(0) FROM fb"),
    "sql_mode": ("'PIPES_AS_CONCAT'", "SELECT 1 || 0 FROM fb"),
    "max_sort_length": ("8", "SELECT @@max_sort_length FROM fb"),
    "max_join_size": ("1000000", "SELECT @@max_join_size, @@sql_big_selects FROM fb"),
    "sql_quote_show_create": ("0", "SHOW CREATE TABLE fb"),
    "lc_messages": ("'de_DE'", "SELECT @@lc_messages FROM fb"),
    "sql_auto_is_null": ("1", "SELECT @@sql_auto_is_null FROM fb"),
}
LIMITS = {"mysql": ("max_execution_time", "100"), "mariadb": ("max_statement_time", "0.1")}


@pytest.fixture
def with_globals(cluster, connect):
    """Set global variables of servers; they are as before after the test."""
    undone = []

    def change(server, name, value):
        admin = cluster.admin(server, autocommit=True)
        cursor = admin.cursor()
        cursor.execute(f"SELECT @@GLOBAL.{name}")
        undone.append((cursor, name, cursor.fetchone()[0]))
        cursor.execute(f"SET GLOBAL {name} = {value}")
        forget_wires(connect)

    yield change
    for cursor, name, value in reversed(undone):
        cursor.execute(f"SET GLOBAL {name} = %s", (value,))
        cursor.connection.close()
    forget_wires(connect)


def forget_wires(connect):
    """A wire in the pool has the global values of when it came there."""
    connection = connect()
    cluster = connection.cluster
    connection.close()
    cluster.close()


@pytest.mark.parametrize("name", ANSWERS)
def test_a_replicas_own_default_changes_no_answer(cluster, connect, with_globals, name):
    value, sql = ANSWERS[name]
    for replica in cluster.replicas:
        with_globals(replica, name, value)
    routes = same(cluster, connect, TABLES, 3 * [sql])
    assert {route.role for route in routes} == {"replica"}


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "sql_auto_is_null"])
def test_the_primarys_own_default_holds_on_replicas(cluster, connect, with_globals, name):
    value, sql = ANSWERS[name]
    with_globals(cluster.primary, name, value)
    program = [sql, f"SET SESSION {name} = DEFAULT", sql]
    routes = same(cluster, connect, TABLES, program)
    assert routes[0].role == routes[-1].role == "replica"


def test_a_replicas_own_time_limit_does_not_end_a_read(cluster, connect, with_globals):
    name, value = LIMITS[cluster.flavor]
    for replica in cluster.replicas:
        with_globals(replica, name, value)
    routes = same(cluster, connect, TABLES, ["SELECT SLEEP(0.3) FROM fb WHERE id = 1"])
    assert routes[0].role == "replica"
