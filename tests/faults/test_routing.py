"""What tells a primary from a replica is asked of the primary, in any scope and spelling; what
names the server that answered is not; and a server that says that it is read-only is known as one.
"""

import pytest
from pymysql import err

from rwsplit._core.flows.recovering import refuses_writes
from rwsplit._drivers.pymysql import fault_of

from .oracle import answer, same

TABLE = ("DROP TABLE IF EXISTS ra", "CREATE TABLE ra (id INT)", "INSERT INTO ra VALUES (1)")

BOTH = [
    "SELECT @@read_only",
    "SELECT @@GLOBAL.read_only",
    "select @@global . `Read_Only` as r from ra",
    "SELECT IF(@@innodb_read_only, 'replica', 'primary')",
    "SELECT id FROM ra WHERE @@read_only = 0",
    "SELECT * FROM (SELECT @@read_only AS r) x",
    "/*!50000 SELECT @@read_only */",
    "SHOW VARIABLES LIKE 'read_only'",
    "SHOW GLOBAL VARIABLES LIKE '%read_only'",
    "SHOW SESSION VARIABLES WHERE Variable_name = 'read_only'",
    "EXPLAIN SELECT id FROM ra WHERE @@read_only",
]
OF_FLAVOR = {
    "mysql": [
        "SELECT @@super_read_only",
        "SELECT @@GLOBAL.gtid_executed <> ''",
        "SELECT GTID_SUBTRACT(@@gtid_purged, @@gtid_purged)",
        "SELECT VARIABLE_VALUE FROM performance_schema.global_variables"
        " WHERE VARIABLE_NAME = 'read_only'",
        "SELECT VARIABLE_VALUE FROM performance_schema.session_variables"
        " WHERE VARIABLE_NAME = 'super_read_only'",
    ],
    "mariadb": [
        "SELECT @@gtid_binlog_pos <> '', @@GLOBAL.gtid_current_pos <> ''",
        "SELECT @@gtid_slave_pos",
        "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_VARIABLES"
        " WHERE VARIABLE_NAME = 'READ_ONLY'",
        "SELECT GLOBAL_VALUE FROM information_schema.SYSTEM_VARIABLES"
        " WHERE VARIABLE_NAME = 'READ_ONLY'",
    ],
}


def test_a_health_check_asks_the_primary(cluster, connect):
    program = [*BOTH, *OF_FLAVOR[cluster.flavor]]
    prepared = ["PREPARE s FROM 'SELECT @@read_only'", "EXECUTE s"]
    function = ["SELECT rf()"]
    setup = (
        *TABLE,
        "DROP FUNCTION IF EXISTS rf",
        "CREATE FUNCTION rf() RETURNS INT READS SQL DATA RETURN @@read_only",
    )
    routes = same(cluster, connect, setup, [*program, *prepared, *function])
    assert {route.role for route in routes} == {"primary"}


def test_parameters_do_not_hide_a_health_check(cluster, connect):
    cursor = connect().cursor()
    cursor.execute("SELECT @@read_only = %s", (0,))
    assert cursor.fetchone() == (1,)
    cursor.execute("SHOW VARIABLES LIKE %s", ("read_only",))
    assert cursor.fetchone() == ("read_only", "OFF")


@pytest.mark.parametrize("statement", ["SHOW REPLICA STATUS", "SHOW RELAYLOG EVENTS"])
def test_the_state_of_replication_is_the_primarys(cluster, connect, statement):
    """A replica would show what it replicates from, or say that it may not."""
    routes = same(cluster, connect, TABLE, [statement, "SELECT id FROM ra"])
    assert [route.role for route in routes[-1:]] == ["replica"]
    connection = connect()
    answer(connection, statement)
    assert connection.route is None or connection.route.role == "primary"


@pytest.mark.parametrize("name", ["hostname", "port", "server_id", "server_uuid"])
def test_who_answered_is_told_by_the_one_that_did(cluster, connect, name):
    if (name, cluster.flavor) == ("server_uuid", "mariadb"):
        name = "GLOBAL.server_id"
    cursor = connect().cursor()
    cursor.execute(f"SELECT @@{name}, @@port")
    assert cursor.route.role == "replica"
    assert cursor.fetchone()[1] == int(cursor.route.endpoint.rpartition(":")[2])


# Signs of a server that cannot be written to.


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (1290, "The MySQL server is running with the --read-only option", True),
        (1290, "The MariaDB server is running with the --read-only option", True),
        (1290, "The MySQL server is running with the --super-read-only option", True),
        (1290, "... with the LOCK_WRITE_GROWTH/innodb_read_only option", True),
        (1290, "The MySQL server is running with the --secure-file-priv option", False),
        (1290, "The MySQL server is running with the --skip-grant-tables option", False),
        (1836, "Running in read-only mode", True),
        (1874, "InnoDB is in read only mode.", True),
        (1792, "Cannot execute statement in a READ ONLY transaction.", False),
        (1205, "Lock wait timeout exceeded", False),
    ],
)
def test_a_read_only_server_is_known_by_its_errors(code, text, expected):
    assert refuses_writes(fault_of(err.OperationalError(code, text))) is expected


@pytest.mark.parametrize(
    ("code", "text"), [(1836, "Running in read-only mode"), (1874, "InnoDB is in read only mode.")]
)
def test_a_replica_that_refuses_a_read_as_a_write(cluster, connect, code, text):
    """The primary runs it; here a function tells the two apart as such a server would."""
    port = cluster.primary.port
    setup = (
        *TABLE,
        "DROP FUNCTION IF EXISTS rf",
        "CREATE FUNCTION rf() RETURNS INT READS SQL DATA BEGIN"
        f" IF @@port <> {port} THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code},"
        f" MESSAGE_TEXT = '{text}'; END IF; RETURN 7; END",
    )
    same(cluster, connect, setup, ["SELECT rf()", "SELECT rf() FROM ra"], functions={"rf": "read"})
