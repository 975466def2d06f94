"""Every member is the same session, whatever changed it: a question about the statement before has
that statement's answer; what triggers and procedures change is known, errors or not; what only the
primary's connection has keeps reads there; members' own defaults change no answer; and an error
does not cost a session its next connection to the primary.
"""

import pymysql
import pytest
from pymysql.constants import CLIENT

import rwsplit

from .oracle import answer, kill_primary, prepare, same

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
COUNTED = "SELECT SQL_CALC_FOUND_ROWS id FROM fb LIMIT 1"
LOOK_AT_FA = "SELECT v FROM fa"


# Asked of two members at once.


@pytest.mark.parametrize(
    "program",
    [
        ["INSERT INTO fa (v) SELECT 100 + FOUND_ROWS()", "SELECT v FROM fa"],
        ["INSERT INTO fa (v) VALUES (FOUND_ROWS())", "SELECT v FROM fa"],
        ["INSERT INTO fa (v) VALUES (found_rows ( ) + ROW_COUNT())", "SELECT v FROM fa"],
        ["UPDATE fb SET v = FOUND_ROWS() WHERE id = 1", "SELECT v FROM fb ORDER BY id"],
        ["DELETE FROM fb WHERE id = FOUND_ROWS()", "SELECT v FROM fb ORDER BY id"],
        ["SET @n = FOUND_ROWS()", "SELECT @n", "SELECT v + @n FROM fb WHERE id = 1"],
        ["SET @n = FOUND_ROWS(), @m = ROW_COUNT()", "SELECT @n, @m"],
        ["SET @n = FOUND_ROWS()", "SELECT FOUND_ROWS()"],
        ["SELECT FOUND_ROWS(), LAST_INSERT_ID()"],
        ["SELECT FOUND_ROWS() AS n, CONNECTION_ID() > 0", "SELECT FOUND_ROWS()"],
        ["SELECT 2 + FOUND_ROWS(), Row_Count(), LAST_INSERT_ID(), `FOUND_ROWS`()"],
        ["SELECT FOUND_ROWS() INTO @n", "SELECT @n"],
        ["SELECT @n := FOUND_ROWS()", "SELECT @n"],
        ["DO @n := FOUND_ROWS()", "SELECT @n"],
        ["SELECT COUNT(*), FOUND_ROWS() FROM fb"],
        ["SELECT FOUND_ROWS() FROM fb FOR UPDATE"],
        ["SELECT FOUND_ROWS(), ROW_COUNT()"],
        ["SET @x = 5", "SELECT FOUND_ROWS(), ROW_COUNT()"],
        ["SELECT 1/0, 'x' + 1 FROM fb LIMIT 1", "SET @w = @@warning_count", "SELECT @w"],
        ["SELECT 'x' + 1", "SET @w = @@session.warning_count + @@error_count", "SELECT @w"],
        ["SELECT 'x' + 1", "INSERT INTO fa (v) VALUES (@@warning_count)", "SELECT v FROM fa"],
        ["INSERT INTO fa (v) VALUES (1), (2)", COUNTED, "SELECT ROW_COUNT(), LAST_INSERT_ID()"],
        ["BEGIN", "SELECT FOUND_ROWS(), LAST_INSERT_ID()", "COMMIT"],
        ["SET @n = 'FOUND_ROWS()', @m = FOUND_ROWS() /* FOUND_ROWS() */", "SELECT @n, @m"],
        ["SELECT /* a */ FOUND_ROWS /* b */ ( /* c */ ) AS n, LAST_INSERT_ID()"],
        ["DESCRIBE fb", "SELECT FOUND_ROWS()"],
        ["SET @x = 1", "EXPLAIN fb", "SELECT FOUND_ROWS()"],
        ["SHOW GRANTS", "SELECT FOUND_ROWS()"],
        ["INSERT INTO fa (v) SELECT id FROM fb WHERE id > 1", "SELECT FOUND_ROWS()"],
        ["REPLACE INTO fa (v) SELECT id FROM fb WHERE id > 1", "SELECT FOUND_ROWS()"],
        ["INSERT INTO fa (v) VALUES (1), (2)", "SELECT FOUND_ROWS()"],
        ["CHECK TABLE fb", "SELECT FOUND_ROWS()"],
        ["SELECT id, v FROM fb ORDER BY FOUND_ROWS(), id DESC"],
        ["SELECT v, id FROM fb ORDER BY ROW_COUNT() + 1, FOUND_ROWS() DESC, id DESC"],
        ["SELECT v FROM fb GROUP BY v, FOUND_ROWS() ORDER BY v"],
        ["SELECT id FROM fb LIMIT 1", "SELECT v, id FROM fb ORDER BY FOUND_ROWS() DESC, id"],
        ["SELECT -FOUND_ROWS(), 2-ROW_COUNT(), CONCAT(FOUND_ROWS()), LAST_INSERT_ID()"],
        ["GET DIAGNOSTICS @n = NUMBER", "INSERT INTO fa (v) VALUES (FOUND_ROWS())", LOOK_AT_FA],
        ["GET DIAGNOSTICS @n = NUMBER", "SET @r = FOUND_ROWS()", "SELECT @n, @r"],
        ["GET DIAGNOSTICS @n = NUMBER", "UPDATE fb SET v = 0", "SELECT FOUND_ROWS()"],
        ["EXPLAIN SELECT 1", "INSERT INTO fa (v) VALUES (FOUND_ROWS())", LOOK_AT_FA],
        ["CREATE TEMPORARY TABLE ft AS SELECT id FROM fb WHERE id > 1", "SELECT FOUND_ROWS()"],
        ["CREATE OR REPLACE TEMPORARY TABLE ft SELECT id FROM fb", "SELECT FOUND_ROWS()"],
    ],
    ids=lambda program: program[0],
)
def test_a_question_about_the_statement_before_has_its_answer(cluster, connect, program):
    routes = same(cluster, connect, TABLES, [COUNTED, *program])
    assert routes[0].role == "replica"


@pytest.mark.parametrize(
    "program",
    [
        ["PREPARE s FROM 'SELECT FOUND_ROWS() + 0'", COUNTED, "EXECUTE s"],
        [COUNTED, "CALL fp()", "SELECT FOUND_ROWS()"],
        [COUNTED, "DELETE fa FROM fa JOIN fb ON fa.id = fb.id", "SELECT FOUND_ROWS()"],
    ],
    ids=lambda program: program[-2],
)
def test_what_cannot_be_told_is_refused(cluster, connect, program):
    prepare(cluster, (*TABLES, "CREATE PROCEDURE fp() SET @z = 1"))
    connection = connect(max_wait=5.0)
    cursor = connection.cursor()
    for sql in program[:-1]:
        cursor.execute(sql)
    with pytest.raises(pymysql.NotSupportedError, match="FOUND_ROWS"):
        cursor.execute(program[-1])
    cursor.execute(COUNTED)
    cursor.execute("SELECT FOUND_ROWS()")
    assert cursor.fetchall() == ((3,),)


WARNING = "SELECT 'x' + 1 FROM fb LIMIT 1"


@pytest.mark.parametrize(
    "program",
    [
        [WARNING, "SHOW WARNINGS"],
        [WARNING, "SHOW WARNINGS", "SHOW WARNINGS LIMIT 1", "SHOW COUNT(*) WARNINGS"],
        [WARNING, "SHOW COUNT(*) WARNINGS", "SHOW WARNINGS"],
        [WARNING, "SELECT @@warning_count", "SHOW COUNT(*) ERRORS"],
        ["SELECT 'x' + 1", "SHOW WARNINGS"],
        [WARNING, WARNING, WARNING, "SHOW WARNINGS"],
        [WARNING, "GET DIAGNOSTICS @n = NUMBER", "SHOW WARNINGS"],
    ],
    ids=lambda program: ", ".join(program[1:]),
)
def test_warnings_of_a_read_on_a_replica_are_shown(cluster, connect, program):
    assert same(cluster, connect, TABLES, program)[0].role == "replica"


@pytest.mark.parametrize("value", ["12345678901234567890.123", "'x'", "1e300", "x'ff'"])
def test_reading_a_variable_back_leaves_no_warning(cluster, connect, value):
    same(cluster, connect, TABLES, [f"SET @a = {value}", "SHOW WARNINGS", "SELECT @a"])


@pytest.mark.parametrize(
    "look",
    ["SHOW WARNINGS", "UPDATE fb SET v = @@warning_count", "SET @w = @@warning_count"],
)
def test_get_diagnostics_leaves_the_warnings(cluster, connect, look):
    program = [WARNING, "GET DIAGNOSTICS @n = NUMBER", look, "SELECT @n, @w", "SELECT v FROM fb"]
    same(cluster, connect, TABLES, program, reads="primary")


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


@pytest.mark.parametrize(
    "body",
    [
        "SET time_zone = '+11:00'; SIGNAL SQLSTATE '45000'",
        "SET SESSION div_precision_increment = 9; INSERT INTO fb VALUES (1, 1)",
        "SET @tu = 5, sql_mode = 'ANSI'; SELECT * FROM no_such_table",
        "SELECT 5 INTO @tu; SET @@div_precision_increment = 2; SIGNAL SQLSTATE '45000'",
    ],
)
def test_a_procedure_changes_the_session_and_fails(cluster, connect, body):
    setup = (*TABLES, f"CREATE PROCEDURE fp() BEGIN {body}; END")
    same(cluster, connect, setup, ["SET @tu = 1", READ, "CALL fp()", *LOOK])


@pytest.mark.parametrize(
    "body",
    [
        "SET @tu = 5;",
        "SET SESSION div_precision_increment = 9;",
        "SET SESSION time_zone = '+11:00'; SET @tu = 5, @other = 6;",
    ],
)
@pytest.mark.parametrize(
    "write",
    [
        "INSERT INTO fa VALUES (1, 1)",
        "INSERT INTO fa SELECT 1, 1",
        "UPDATE fa SET id = 1 WHERE id = 2",
    ],
)
def test_a_write_fails_behind_a_trigger_that_changed_the_session(cluster, connect, body, write):
    setup = (
        *TABLES,
        "INSERT INTO fa VALUES (1, 1), (2, 2)",
        f"CREATE TRIGGER ft BEFORE {'UPDATE' if write[0] == 'U' else 'INSERT'} ON fa FOR EACH ROW "
        f"BEGIN {body} END",
    )
    same(cluster, connect, setup, ["SET @tu = 1, @other = 1", READ, write, "SHOW WARNINGS", *LOOK])


@pytest.mark.parametrize(
    "follow",
    [
        "SHOW WARNINGS",
        "SHOW ERRORS",
        "SHOW COUNT(*) ERRORS",
        "SELECT @@error_count",
        "SELECT ROW_COUNT()",
    ],
)
@pytest.mark.parametrize(
    "write",
    ["INSERT INTO fb VALUES (1, 1)", "CALL no_such_procedure()", "SET @a = no_such_function()"],
)
def test_an_error_can_still_be_asked_about(cluster, connect, write, follow):
    same(cluster, connect, TABLES, ["SELECT * FROM fb", write, follow, "SELECT FOUND_ROWS()"])


@pytest.mark.parametrize(
    "warns",
    [
        "SELECT v FROM fb WHERE id = 2 INTO @b",
        "SELECT @b := 'x' + 1",
        "SET @b = 'x' + 1",
        "INSERT IGNORE INTO fb VALUES (1, @b := 5)",
    ],
)
def test_reading_back_loses_no_warnings(cluster, connect, warns):
    program = ["SELECT id FROM fb", warns, "SHOW WARNINGS", "SELECT FOUND_ROWS()"]
    same(cluster, connect, TABLES, [*program, warns, "SELECT ROW_COUNT()", "SELECT @b FROM fb"])


@pytest.mark.parametrize("timestamp", ["1000000", "NOW() - INTERVAL 1 DAY + 0"])
def test_a_procedure_that_stops_the_clock_keeps_the_session_on_the_primary(
    cluster, connect, timestamp
):
    setup = (*TABLES, "CREATE PROCEDURE fp() SET timestamp = 1000000")
    program = ["CALL fp()", "SELECT NOW(), UNIX_TIMESTAMP() FROM fb", "SET timestamp = DEFAULT"]
    routes = same(cluster, connect, setup, [*program, "SELECT NOW() > '2000-01-01' FROM fb"])
    assert routes[-1].role == "replica"


@pytest.mark.parametrize(
    "written", ["INSERT INTO fb VALUES (7, 7)", "REPLACE INTO fb VALUES (7, 8)"]
)
def test_a_trigger_that_stops_the_clock_keeps_the_session_on_the_primary(cluster, connect, written):
    setup = (
        *TABLES,
        "CREATE TRIGGER ft BEFORE INSERT ON fb FOR EACH ROW SET timestamp = 1000000",
    )
    program = [written, "SELECT NOW(), UNIX_TIMESTAMP() FROM fb", "SET timestamp = DEFAULT"]
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
LIMITS = {"mysql": ("max_execution_time", "1000"), "mariadb": ("max_statement_time", "1")}


# What no replica can be set to.

GONE = ("DROP DATABASE IF EXISTS gone", "CREATE DATABASE gone CHARACTER SET latin1")


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize(
    "program",
    [
        ["SET max_join_size = 2", "SELECT * FROM fa, fb", "SELECT @@sql_big_selects FROM fb"],
        ["SET max_join_size = 2", "SET sql_big_selects = 1", "SELECT COUNT(*) FROM fb a, fb b"],
        ["CALL fp()", "SELECT * FROM fb a, fb b", "SELECT @@sql_big_selects FROM fb"],
        ["SET completion_type = 1", "SELECT @@completion_type"],
        ["SET SESSION completion_type = 'CHAIN'", "SELECT v, @@completion_type FROM fb"],
        ["SET transaction_prealloc_size = 8192", "SELECT @@transaction_prealloc_size"],
        ["SET collation_database = latin2_bin", "SELECT @@character_set_database"],
        ["SET character_set_database = latin2", "SELECT @@session.collation_database FROM fb"],
        [
            *("SELECT @@character_set_database", "ALTER DATABASE gone CHARACTER SET latin5"),
            *("SELECT @@character_set_database", "USE gone", "SELECT @@collation_database"),
        ],
    ],
    ids=lambda value: "; ".join(value) if isinstance(value, list) else f"{value}",
)
def test_what_no_replica_is_set_to_is_the_primarys(cluster, connect, program, opened, gone):
    before = ["SELECT 1", "SELECT v FROM fb", "SELECT 1"] if opened else []
    program = [*before, "USE gone", *program] if "gone" in str(program) else [*before, *program]
    setup = [*TABLES, *GONE, "CREATE PROCEDURE fp() SET max_join_size = 2"]
    same(cluster, connect, setup, program)


@pytest.fixture
def gone(cluster):
    """A schema that programs may drop or alter."""
    cluster.create_database("gone")
    cluster.wait_caught_up()
    yield
    cluster.drop_database("gone")


@pytest.mark.parametrize(
    "drop",
    [
        ["DROP DATABASE gone"],
        ["DROP SCHEMA IF EXISTS `gone`"],
        ["PREPARE p FROM 'drop database gone'", "EXECUTE p"],
        [lambda connection: connection.query("DROP DATABASE gone") and None],
    ],
    ids=["plain", "schema", "prepared", "query"],
)
def test_who_dropped_its_schema_has_none(cluster, connect, drop, gone):
    program = [
        *("SELECT v FROM shop.fb", "USE gone", "SELECT DATABASE()", "SELECT 1", *drop),
        *("SELECT DATABASE()", "SELECT SCHEMA() FROM shop.fb", "CREATE DATABASE gone"),
        *("CREATE TABLE gone.t (a INT)", "INSERT INTO gone.t VALUES (5)", "SELECT * FROM t"),
        *("SHOW TABLES", "INSERT INTO t VALUES (6)", "SELECT DATABASE(), a FROM gone.t"),
        *("USE gone", "SELECT DATABASE(), a FROM t", "USE shop", "SELECT DATABASE(), v FROM fb"),
    ]
    routes = same(cluster, connect, [*TABLES, *GONE], program)
    assert routes[-1].role == "replica"


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
    routes = same(cluster, connect, TABLES, ["SELECT SLEEP(1.3) FROM fb WHERE id = 1"])
    assert routes[0].role == "replica"


@pytest.mark.parametrize("completion", ["CHAIN", "RELEASE"])
@pytest.mark.parametrize("whose", ["replicas", "all"])
def test_a_servers_own_completion_type_ends_snapshots(
    cluster, connect, with_globals, completion, whose
):
    """One that is chained to another would show later reads what there was at its first."""
    for server in cluster.replicas if whose == "replicas" else cluster.servers:
        with_globals(server, "completion_type", f"'{completion}'")
    prepare(cluster, TABLES)
    connection, other = connect(max_wait=5.0, max_snapshot=60.0), connect()
    cursor, read = connection.cursor(), "SELECT v FROM fb WHERE id = 1"
    cursor.execute("SET SESSION completion_type = 'NO_CHAIN'")
    for value in (11, 12, 13):
        cursor.execute("START TRANSACTION READ ONLY")
        cursor.execute(read)
        assert cursor.route.role == "replica"
        cursor.execute("COMMIT")
        other.cursor().execute(f"UPDATE fb SET v = {value} WHERE id = 1")
        cluster.wait_caught_up()
        for _ in range(3):
            cursor.execute(read)
            assert cursor.fetchall() == ((value,),)
            assert cursor.route.role == "replica"


# The primary's connection is lost behind something that is harmless.

HARMLESS = [
    ["INSERT INTO fb VALUES (1, 1)"],
    ["INSERT INTO fb SELECT 1, 1"],
    ["UPDATE fb SET id = 1 WHERE id = 2"],
    ["CREATE TABLE fb (id INT)"],
    ["CALL fp()"],
    ["SELEC 1"],
    ["SET NAMES utf8mb4"],
    ["SET NAMES latin1"],
    ["SET CHARACTER SET utf8mb4"],
    [lambda connection: connection.set_character_set("utf8mb4")],
    ["SELECT 5 INTO @b"],
    ["SELECT v FROM fb WHERE id = 2 INTO @b"],
    ["SET @a = CURDATE()"],
    ["SET @a = LENGTH(UUID()), @b = (SELECT MAX(v) FROM fb)"],
    # (MySQL warns of these, and reading them back would lose the warning.)
    ["SELECT @b := 7", "SELECT 1 FROM fb"],
    ["INSERT INTO fa (v) VALUES (@b := 9)", "DO 1"],
    ["SELECT GET_LOCK('rwsplit', 1)", "SELECT RELEASE_LOCK('rwsplit')"],
    ["SELECT GET_LOCK('rwsplit', 1)", "SELECT RELEASE_ALL_LOCKS()"],
    ["DO GET_LOCK('rwsplit', 1)", "DO RELEASE_ALL_LOCKS()"],
    ["SET @@div_precision_increment = 6"],
    ["SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')"],
    ["SHOW VARIABLES LIKE 'sql_mode'"],
    ["SELECT @@session_track_schema"],
]


def named(program):
    """Name a program alike in all processes: a function prints its address."""
    return program[-1] if isinstance(program[-1], str) else "method"


@pytest.mark.parametrize("program", HARMLESS, ids=named)
def test_a_harmless_statement_does_not_cost_the_next_connection(cluster, connect, program):
    def lose(connection):
        if isinstance(connection, rwsplit.Connection):
            kill_primary(cluster, connection)

    setup = (*TABLES, "CREATE PROCEDURE fp() INSERT INTO fa (v) VALUES (5)")
    last = [
        "SELECT @a, @b, @@div_precision_increment, @@collation_connection, @@sql_mode",
        "SELECT v FROM fb WHERE id = 3",
    ]
    same(
        cluster,
        connect,
        setup,
        [
            "SET @kept = 5",
            *program,
            lose,
            *last,
            "INSERT INTO fa (v) VALUES (@kept)",
            "SELECT v FROM fa",
            *last,
        ],
    )


@pytest.mark.parametrize("options", [{}, {"autocommit": False}], ids=str)
def test_a_function_that_is_not_known_yet_over_a_lost_connection(cluster, connect, options):
    def lose(connection):
        if isinstance(connection, rwsplit.Connection):
            connection.cluster.catalogue.clear()
            kill_primary(cluster, connection)

    setup = (*TABLES, "CREATE FUNCTION ff() RETURNS INT READS SQL DATA RETURN 5")
    asks = "SELECT ff()"
    same(cluster, connect, setup, [LOOK_AT_FA, lose, asks, asks, LOOK_AT_FA, asks], **options)


@pytest.mark.parametrize("name", ["system_variables", "schema"])
def test_the_tracking_that_is_shown_is_the_applications(cluster, connect, name):
    program = [f"SELECT @@session_track_{name}", "SET session_track_state_change = 1"]
    same(cluster, connect, TABLES, [*program, *program, "SELECT @@session_track_state_change"])


def other_schema(connection):
    connection.select_db("information_schema")


def roll_back(connection):
    connection.rollback()


def commit(connection):
    connection.commit()


@pytest.mark.parametrize(
    "ask",
    [
        *["SHOW WARNINGS", "SHOW COUNT(*) WARNINGS", "SELECT @@warning_count"],
        *["GET DIAGNOSTICS @c = NUMBER", "SET @c = @@warning_count", "SELECT ROW_COUNT()"],
        *["SELECT FOUND_ROWS(), ROW_COUNT()", "SELECT FOUND_ROWS()", "SET @c = ROW_COUNT()"],
        "INSERT INTO shop.fa (v) VALUES (ROW_COUNT())",
        "INSERT INTO shop.fa (v) VALUES (@@warning_count)",
    ],
)
@pytest.mark.parametrize("by", [other_schema, roll_back, commit])
@pytest.mark.parametrize(
    "before",
    [
        ["SELECT 'x' + 1, id FROM fb LIMIT 2"],
        ["INSERT IGNORE INTO fa (v) VALUES ('x')"],
        ["SELECT id FROM fb", "INSERT IGNORE INTO fa (v) VALUES ('x')"],
        ["SELECT id FROM fb", "SET nosuch = 1"],
        ["SELECT id FROM fb", "SET @z = 1", "SELECT nosuch FROM fb"],
    ],
    ids=["read", "write", "write behind a read", "error", "error of a read"],
)
def test_methods_leave_to_questions_what_they_leave(cluster, connect, before, by, ask):
    if cluster.flavor == "mariadb" and "FOUND_ROWS" in ask and not before[0].startswith("SELECT"):
        pytest.skip("what FOUND_ROWS() is on a fresh connection is anybody's guess there")
    program = [*before, by, ask, "SELECT @c", "SELECT v FROM shop.fa"]
    same(cluster, connect, TABLES, program)


# Hidden in a view.

HIDES = {
    "a system variable": (
        "SET time_zone = CONCAT('+0', a, ':00')",
        ["SELECT @@time_zone", "SELECT UNIX_TIMESTAMP('2020-01-01')"],
    ),
    "a system variable that changes how text is read": (
        "SET SESSION sql_mode = 'ANSI_QUOTES'",
        ["SELECT @@sql_mode", 'SELECT "v" FROM fb WHERE id = 1'],
    ),
    "a user variable": ("SET @hidden = a", ["SELECT @hidden", "SELECT v + @hidden FROM fb"]),
    "a limit": ("SET SESSION sql_select_limit = a", ["SELECT id FROM fb", "SELECT 1 FROM fb"]),
}


@pytest.mark.parametrize("options", [{}, {"autocommit": False}], ids=["autocommit", "transaction"])
@pytest.mark.parametrize("what", HIDES)
def test_what_a_view_hides_is_set(cluster, connect, what, options):
    sets, asks = HIDES[what]
    setup = [
        *TABLES,
        f"CREATE FUNCTION ff(a INT) RETURNS INT NO SQL BEGIN {sets}; RETURN a; END",
        "CREATE VIEW fv AS SELECT ff(6) v",
    ]
    before = ["SELECT id FROM fb WHERE id = 1"] * 2
    program = [*before, "SELECT v FROM fv", *asks, *asks, "SELECT v FROM fv", *asks, *asks]
    same(cluster, connect, setup, program, **options)


def test_what_a_view_hides_is_seen_amid_other_state(cluster, connect):
    """The session's own state comes to the replica in the same round trip."""
    setup = [
        *TABLES,
        "CREATE FUNCTION ff(a INT) RETURNS INT NO SQL BEGIN SET @hidden = a; RETURN a; END",
        "CREATE VIEW fv AS SELECT ff(6) v",
    ]
    routes = same(
        cluster,
        connect,
        setup,
        [
            *["SELECT id FROM fb WHERE id = 1", "SET @a = 1", "SELECT id + @a FROM fb"],
            *["SET @b = 1", "SELECT v + @b FROM fv", "SELECT @hidden, @a, @b"],
        ],
    )
    roles = [route.role for route in routes]
    assert roles[4:6] == ["primary", "replica"]


def test_what_is_set_for_a_statement_alone_changes_no_session(cluster, connect):
    text = "SELECT /*+ SET_VAR(sort_buffer_size = 100000) */ id FROM fb ORDER BY v"
    if cluster.flavor == "mariadb":
        text = "SET STATEMENT sort_buffer_size = 100000 FOR SELECT id FROM fb ORDER BY v"
    program = ["SELECT id FROM fb WHERE id = 1", *[text] * 3, "SET @a = 1", text]
    routes = same(cluster, connect, TABLES, program)
    assert [route.role for route in routes] == ["replica"] * 4 + ["primary", "replica"]


# Several statements in one text.


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO fa (v) VALUES (1); SELECT ROW_COUNT()",
        "UPDATE fb SET v = 1; SELECT ROW_COUNT(); SELECT v FROM fb",
        "DELETE FROM fb WHERE id = 1; SELECT ROW_COUNT() INTO @rc",
        "INSERT IGNORE INTO fa (id, v) VALUES (9, 'x'); SHOW WARNINGS",
        "INSERT INTO fa (v) VALUES ('x'); SHOW WARNINGS",
        "SELECT id FROM fb LIMIT 2; SELECT ROW_COUNT(), FOUND_ROWS()",
        "SELECT id FROM fb LIMIT 2; UPDATE fb SET v = 3; SELECT FOUND_ROWS()",
        "UPDATE fb SET v = 7 WHERE id = 1; SELECT id FROM fb; SELECT FOUND_ROWS(); SELECT 1",
    ],
)
def test_a_question_about_a_statement_of_the_same_text(cluster, connect, text):
    """It runs wherever the statement before the text ran."""

    def all_of(connection):
        found = []
        with connection.cursor() as cursor:
            cursor.execute(text)
            found.append((cursor.rowcount, cursor.fetchall()))
            while cursor.nextset():
                found.append((cursor.rowcount, cursor.fetchall()))
        return found

    options = {"client_flag": CLIENT.MULTI_STATEMENTS}
    prepare(cluster, TABLES)
    with cluster.connect(cluster.primary, autocommit=True, **options) as plain:
        answer(plain, "SELECT id FROM fb")
        expected = answer(plain, all_of), answer(plain, "SELECT @rc")
    prepare(cluster, TABLES)
    ours = connect(max_wait=5.0, **options)
    answer(ours, "SELECT id FROM fb")
    assert ours.route.role == "replica"
    assert (answer(ours, all_of), answer(ours, "SELECT @rc")) == expected
