"""Forms of SQL that are easily taken for others, and what code sets that no server tells of."""

import pymysql
import pytest

import rwsplit

from .oracle import answer, prepare, same

TABLES = (
    "DROP TABLE IF EXISTS oa, ob",
    "CREATE TABLE oa (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE ob (id INT AUTO_INCREMENT PRIMARY KEY, v INT)",
    "INSERT INTO oa VALUES (1, 10), (2, 20), (3, 30)",
    "DROP PROCEDURE IF EXISTS op",
    "DROP FUNCTION IF EXISTS orr",
)


def prepared(body):
    """The text of a PREPARE, escaped as PyMySQL does it."""
    return f"PREPARE s FROM '{pymysql.converters.escape_string(body)}'"


# The text of a prepared statement.


@pytest.mark.parametrize(
    "program",
    [
        [prepared("SELECT '', GET_LOCK('o', 1), ''"), "EXECUTE s", "SELECT IS_FREE_LOCK('o')"],
        [
            prepared("SELECT '', LAST_INSERT_ID(), ''"),
            "INSERT INTO ob (v) VALUES (1)",
            "EXECUTE s",
        ],
        [prepared("SELECT '', v FROM oa LIMIT 1 INTO @x, @y"), "EXECUTE s", "SELECT @x, @y"],
        [prepared("SELECT '', @q := 5, ''"), "EXECUTE s", "SELECT @q"],
        ["PREPARE s FROM '   '/* 'a' */", "EXECUTE s"],
        ["PREPARE s FROM /* 'a' */", "SELECT v FROM oa"],
    ],
    ids=lambda program: program[0],
)
def test_a_prepared_text_is_read_as_the_server_reads_it(cluster, connect, program):
    same(cluster, connect, TABLES, program)


def test_quotes_in_a_prepared_read_keep_it_on_replicas(cluster, connect):
    routes = same(cluster, connect, TABLES, [prepared("SELECT '', v FROM oa"), "EXECUTE s"])
    assert routes[-1].role == "replica"


@pytest.mark.parametrize(
    "computed",
    [
        "CONCAT('SELECT CONNECTION_ID() = ', CONNECTION_ID(), ' AS mine')",
        "CONCAT('SELECT ', (SELECT MAX(v) FROM oa), ' AS v')",
        "CONCAT('SELECT v', CHAR(32, 70, 82, 79, 77, 32, 111, 97), ' FOR UPDATE')",
    ],
)
def test_a_computed_text_is_the_primarys(mariadb_cluster, connect_mariadb, computed):
    program = [f"PREPARE s FROM {computed}", "UPDATE oa SET v = v + 1", "EXECUTE s"]
    routes = same(mariadb_cluster, connect_mariadb, TABLES, program)
    assert routes[-1].role == "primary"


@pytest.fixture
def connect_mariadb(mariadb_cluster):
    opened = []

    def make(**options):
        connection = rwsplit.connect(
            **{**mariadb_cluster.connect_options, "autocommit": True, **options}
        )
        opened.append(connection)
        return connection

    yield make
    for connection in opened:
        connection.close()


# Names of tables.


@pytest.mark.parametrize(
    "read",
    [
        "SELECT * FROM .oa",
        "SELECT * FROM {oj oa LEFT JOIN ob ON oa.id = ob.id}",
        "SELECT oa.v FROM{oj oa LEFT JOIN ob ON oa.id = ob.id}",
    ],
)
def test_a_shadowed_table_in_odd_forms(cluster, connect, read):
    shadow = ["CREATE TEMPORARY TABLE oa (id INT, w INT, v INT)", "INSERT INTO oa VALUES (1, 5, 6)"]
    same(cluster, connect, TABLES, [*shadow, read])


@pytest.mark.parametrize("name", ["quick", "local", "only", "concurrent", "window", "lateral"])
def test_a_shadowed_table_that_is_named_like_a_keyword(cluster, connect, name):
    if cluster.flavor == "mysql" and name in ("window", "lateral"):
        name = f"`{name}`"
    setup = (*TABLES, f"DROP TABLE IF EXISTS {name}", f"CREATE TABLE {name} (id INT)")
    shadow = [f"CREATE TEMPORARY TABLE {name} (id INT, v INT)", f"INSERT INTO {name} VALUES (1, 2)"]
    reads = [f"SELECT * FROM {name}", f"SELECT COUNT(*) FROM oa, {name}", f"TABLE {name}"]
    same(cluster, connect, setup, [*shadow, *reads])
    prepare(cluster, [f"DROP TABLE {name}"])


@pytest.mark.parametrize("name", ["quick", "only"])
def test_a_snapshot_holds_a_table_that_is_named_like_a_keyword(cluster, connect, name):
    read = f"SELECT v FROM {name}"
    setup = (
        f"DROP TABLE IF EXISTS {name}",
        f"CREATE TABLE {name} (v INT)",
        f"INSERT INTO {name} VALUES (1)",
    )
    prepare(cluster, setup)
    connection = connect(autocommit=False, max_wait=5.0)
    first = answer(connection, read)
    prepare(cluster, [f"UPDATE {name} SET v = 2"])
    assert answer(connection, read) == first
    connection.rollback()
    prepare(cluster, [f"DROP TABLE {name}"])


# What is not sent to a server is not checked by one.


WRONG = [
    "START TRANSACTION READ ONLY, READ WRITE",
    "START TRANSACTION READ",
    "START TRANSACTION WITH CONSISTENT",
    "START TRANSACTION READ ONLY,",
    "START TRANSACTION 5",
    "COMMIT 5",
    "COMMIT AND",
    "COMMIT NO CHAIN",
    "COMMIT ()",
    "ROLLBACK 'a'",
    "ROLLBACK TO WORK a",
    "SAVEPOINT",
    "SAVEPOINT a b",
    "SAVEPOINT a.b",
    "SAVEPOINT 5",
    "SAVEPOINT select",
    "RELEASE a",
]


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("before", ["SELECT 1", "BEGIN", "SELECT v FROM oa"])
def test_a_wrong_statement_of_transactions_is_an_error(cluster, connect, before, autocommit):
    program = [f"SET autocommit = {int(autocommit)}"]
    for wrong in WRONG:
        rollback = "INSERT INTO oa VALUES (9, 9)", "ROLLBACK", "SELECT COUNT(*) FROM oa"
        program += [before, wrong, *rollback, "DELETE FROM oa WHERE id = 9", "COMMIT"]
    same(cluster, connect, TABLES, program)


@pytest.mark.parametrize(
    "right",
    [
        "START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT",
        "start transaction",
        "COMMIT WORK AND NO CHAIN NO RELEASE",
        "ROLLBACK",
    ],
)
def test_a_right_one_is_not_sent(cluster, connect, right):
    routes = same(cluster, connect, TABLES, [right])
    assert routes[-1].role in ("none", "replica")


# User variables that code sets, and no server tells of.

SETTERS = {
    "into": "SELECT v + 1 INTO @x FROM oa WHERE id = 1",
    "write": "UPDATE oa SET v = (@x := 11) WHERE id = 1",
    "assign": "DO @x := 11",
    "condition": "BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION"
    " GET DIAGNOSTICS CONDITION 1 @x = MESSAGE_TEXT; INSERT INTO oa VALUES (1, 1); END",
}
SHOW_X = ["SELECT @x", "SELECT @x FROM oa WHERE id = 1", "SELECT orr()"]
READS_X = (
    "CREATE FUNCTION orr() RETURNS VARCHAR(100) READS SQL DATA"
    " RETURN (SELECT CONCAT(COALESCE(@x, 'none'), v * 0) FROM oa WHERE id = 1)"
)


@pytest.mark.parametrize("before", [["SELECT v FROM oa"], ["SET @x = 3", "SELECT @x"]])
@pytest.mark.parametrize("how", SETTERS)
def test_what_a_routine_sets_in_a_select_is_known(cluster, connect, how, before):
    setup = (*TABLES, READS_X, f"CREATE PROCEDURE op() {SETTERS[how]}")
    program = [*before, "CALL op()", *SHOW_X]
    same(cluster, connect, setup, program)


@pytest.mark.parametrize("before", [["SELECT v FROM oa"], ["SET @x = 3", "SELECT @x"]])
@pytest.mark.parametrize("how", SETTERS)
def test_what_a_trigger_sets_in_a_select_is_known(cluster, connect, how, before):
    trigger = f"CREATE TRIGGER ot BEFORE INSERT ON ob FOR EACH ROW BEGIN {SETTERS[how]}; END"
    program = [*before, "INSERT INTO ob (v) VALUES (1)", *SHOW_X]
    setup = (*TABLES, READS_X, trigger)
    same(cluster, connect, setup, program)


@pytest.mark.parametrize("how", ["into", "write", "assign"])
@pytest.mark.parametrize("from_variable", [True, False])
def test_what_a_prepared_statement_sets_is_known(cluster, connect, how, from_variable):
    text = SETTERS[how]
    make = [f"SET @s = '{text}'", "PREPARE s FROM @s"] if from_variable else [prepared(text)]
    program = ["SET @x = 3", "SELECT @x", *make, "EXECUTE s", *SHOW_X]
    same(cluster, connect, (*TABLES, READS_X), program)


def test_reads_of_variables_stay_on_replicas_behind_a_write(cluster, connect):
    program = ["SET @x = 3", "INSERT INTO ob (v) VALUES (1)", "SELECT @x", "SELECT @x FROM oa"]
    routes = same(cluster, connect, TABLES, program)
    assert [route.role for route in routes[2:]] == ["replica", "replica"]


@pytest.mark.parametrize("from_variable", [True, False])
def test_a_role_of_a_prepared_statement_is_known_and_does_not_leak(cluster, connect, from_variable):
    user = cluster.connect_options["user"]
    with cluster.admin(cluster.primary) as admin:
        cursor = admin.cursor()
        cursor.execute("CREATE ROLE IF NOT EXISTS orole")
        cursor.execute(f"GRANT orole TO {user}@'%'")
    make = ["SET @s = 'SET ROLE orole'", "PREPARE s FROM @s"]
    program = [
        *(make if from_variable else ["PREPARE s FROM 'SET ROLE orole'"]),
        "EXECUTE s",
        "SELECT CURRENT_ROLE()",
        "SELECT CURRENT_ROLE() FROM oa",
    ]
    same(cluster, connect, TABLES, program)
    first = connect()
    for step in program[:-2]:
        answer(first, step)
    first.close()
    assert answer(connect(), "SELECT CURRENT_ROLE(), LAST_INSERT_ID()")[2][0][0] in (None, "NONE")


# What a replica has put into variables.


@pytest.mark.parametrize(
    "program",
    [
        ["GET DIAGNOSTICS @r = ROW_COUNT", "GET DIAGNOSTICS @n = NUMBER", "SELECT @r, @n"],
        ["GET DIAGNOSTICS @r = ROW_COUNT", "GET DIAGNOSTICS @r = NUMBER", "SELECT @r"],
        ["GET DIAGNOSTICS @r = ROW_COUNT", "SELECT @r, FOUND_ROWS()", "SELECT @r"],
        ["GET DIAGNOSTICS @r = ROW_COUNT", "SELECT @r, ROW_COUNT()", "SELECT @r"],
        ["SET @r = 5", "SELECT v FROM oa", "GET DIAGNOSTICS @r = ROW_COUNT", "SELECT @r + 1"],
    ],
)
def test_what_get_diagnostics_has_set_is_known(cluster, connect, program):
    same(cluster, connect, TABLES, ["SELECT v FROM oa", *program])


# The server's own variables.


@pytest.fixture
def superuser(cluster):
    """Keywords of an account that may set global variables."""
    with cluster.admin(cluster.primary) as admin:
        cursor = admin.cursor()
        cursor.execute("CREATE USER IF NOT EXISTS osuper@'%' IDENTIFIED BY 'secret'")
        cursor.execute("GRANT ALL ON *.* TO osuper@'%'")
    cluster.wait_caught_up()
    return {"user": "osuper", "password": "secret", "max_wait": 5.0}


def test_a_global_variable_is_read_where_it_was_set(cluster, connect, superuser):
    """An account that may set one sees what it has set, whatever the scope of the read."""
    with cluster.admin(cluster.primary) as admin:
        cursor = admin.cursor()
        cursor.execute("SELECT @@GLOBAL.max_connections")
        (before,) = cursor.fetchone()
    connection = connect(**superuser)
    cursor = connection.cursor()
    try:
        cursor.execute("SET GLOBAL max_connections = %s", (before + 7,))
        for read in ("@@GLOBAL.max_connections", "@@max_connections"):
            cursor.execute(f"SELECT {read}")
            assert cursor.fetchone() == (before + 7,)
        other = connect(**superuser).cursor()
        other.execute("SELECT @@GLOBAL.max_connections")
        assert other.fetchone() == (before + 7,)
    finally:
        cursor.execute("SET GLOBAL max_connections = %s", (before,))


def test_who_connects_behind_set_global_has_what_was_set(cluster, connect, superuser):
    """As a connection of PyMySQL's has, and not what a wire in the pool had before."""

    def reads(connection):
        cursor = connection.cursor()
        found = []
        for hint in ("", "/* rwsplit: primary */ "):
            cursor.execute(f"{hint}SELECT @@group_concat_max_len")
            found += cursor.fetchone()
        return found

    idle = connect()
    reads(idle)
    idle.close()
    cursor = connect(**superuser).cursor()
    cursor.execute("SELECT @@GLOBAL.group_concat_max_len")
    (before,) = cursor.fetchone()
    cursor.execute("SET GLOBAL group_concat_max_len = %s", (before - 7,))
    try:
        assert reads(connect()) == [before - 7, before - 7]
    finally:
        cursor.execute("SET GLOBAL group_concat_max_len = %s", (before,))


# A function whose body nobody shows.


def test_a_function_with_a_hidden_body_is_the_primarys(cluster, connect):
    """Declared as reading, it may ask for what only the primary's connection has."""
    with cluster.admin(cluster.primary, database=cluster.connect_options["database"]) as admin:
        cursor = admin.cursor()
        cursor.execute("SET SESSION sql_log_bin = 1")
        cursor.execute("DROP FUNCTION IF EXISTS oh")
        cursor.execute("CREATE FUNCTION oh() RETURNS BIGINT READS SQL DATA RETURN LAST_INSERT_ID()")
    program = ["INSERT INTO ob (v) VALUES (1)", "SELECT v FROM oa", "SELECT oh()"]
    routes = same(cluster, connect, TABLES, program)
    assert routes[-1].role == "primary"
