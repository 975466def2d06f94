"""A session never reads before its own writes, and needs no privilege for it."""

import contextlib
import threading
import time
import warnings

import pytest

import rwsplit
from rwsplit._core.flows.reading import Reads

pytestmark = pytest.mark.usefixtures("no_others")


def rounds(cursor, count, start=0):
    """Write and read back; returns the roles that answered the reads."""
    roles = []
    for number in range(start, start + count):
        cursor.execute("REPLACE INTO t VALUES (1, %s)", (number,))
        cursor.execute("SELECT v FROM t WHERE id = %s", (1,))
        assert cursor.fetchone() == (number,), cursor.route
        roles.append(cursor.route.role)
    return roles


def test_a_thousand_writes_are_read_back_from_stalled_replicas(cluster, connect, table):
    """Never stale, and about as fast as on the primary alone; resumed, the replicas serve again."""
    connection = connect()
    cursor = connection.cursor()
    rounds(cursor, 5)
    with rwsplit.connect(autocommit=True, **{**cluster.connect_options, "replicas": []}) as alone:
        start = time.perf_counter()
        rounds(alone.cursor(), 300)
        per_round = (time.perf_counter() - start) / 300
    for replica in cluster.replicas:
        cluster.stall(replica)
    start = time.perf_counter()
    roles = rounds(cursor, 1000)
    taken = time.perf_counter() - start
    assert set(roles[10:]) == {"primary"}
    print(f"stalled: {taken / 1000 / per_round:.2f} times the primary alone")
    # Not a benchmark: it tells waiting once from waiting in every round, which would be 100 s.
    assert taken < 1000 * per_round * 3 + 5
    for replica in cluster.replicas:
        cluster.resume(replica)
    cluster.wait_caught_up()
    time.sleep(1.1)  # the longest pause between two looks at a late replica
    roles = rounds(cursor, 400)
    share = roles.count("replica") / len(roles)
    print(f"resumed: {share:.0%} of the reads on replicas")
    assert share >= 0.95


def test_one_stalled_replica_costs_one_wait(cluster, connect, table):
    cursor = connect().cursor()
    cluster.stall(cluster.replicas[0])
    rounds(cursor, 2)
    time.sleep(0.2)  # a busy machine may take the other one for late, for a moment
    roles = rounds(cursor, 1000)
    assert roles.count("replica") >= 900
    healthy = f"127.0.0.1:{cluster.replicas[1].port}"
    cursor.execute("SELECT v FROM t")
    assert cursor.route.endpoint == healthy


def test_the_account_has_no_privilege_beyond_its_database(cluster):
    with cluster.connect(cluster.primary) as connection:
        cursor = connection.cursor()
        cursor.execute("SHOW GRANTS")
        on_everything = [row[0] for row in cursor.fetchall() if " ON *.* " in row[0]]
    assert all("GRANT USAGE" in grant for grant in on_everything)


WRITES = {
    "a statement": lambda connection: connection.cursor().execute("UPDATE t SET v = v + 1"),
    "commit()": lambda connection: (
        connection.begin(),
        connection.cursor().execute("UPDATE t SET v = v + 1"),
        connection.commit(),
    ),
    "COMMIT": lambda connection: [
        connection.cursor().execute(sql) for sql in ("BEGIN", "UPDATE t SET v = v + 1", "COMMIT")
    ],
    "autocommit(True)": lambda connection: (
        connection.autocommit(False),
        connection.cursor().execute("UPDATE t SET v = v + 1"),
        connection.autocommit(True),
    ),
    "DDL": lambda connection: [
        connection.cursor().execute(sql)
        for sql in ("DROP TABLE t", "CREATE TABLE t AS SELECT 1 AS id, 6 AS v")
    ],
    "executemany": lambda connection: connection.cursor().executemany(
        "INSERT INTO t VALUES (%s, %s) ON DUPLICATE KEY UPDATE v = v + 1", [(1, 1), (2, 1)]
    ),
    "a procedure": lambda connection: connection.cursor().callproc("bump"),
    "a writing function": lambda connection: connection.cursor().execute("SELECT bumped()"),
    "a failed statement that committed": lambda connection: fails(
        connection, "CALL bump_and_fail()"
    ),
}


def fails(connection, sql):
    with pytest.raises(rwsplit.MySQLError):
        connection.cursor().execute(sql)


@pytest.fixture
def routines(cluster, table):
    statements = [
        "DROP PROCEDURE IF EXISTS bump",
        "DROP PROCEDURE IF EXISTS bump_and_fail",
        "DROP FUNCTION IF EXISTS bumped",
        "CREATE PROCEDURE bump() BEGIN UPDATE t SET v = v + 1; SELECT 1; END",
        "CREATE PROCEDURE bump_and_fail() BEGIN UPDATE t SET v = v + 1; "
        "SIGNAL SQLSTATE '45000'; END",
        "CREATE FUNCTION bumped() RETURNS INT MODIFIES SQL DATA "
        "BEGIN UPDATE t SET v = v + 1; RETURN 1; END",
        "INSERT INTO t VALUES (1, 5)",
    ]
    with cluster.admin(cluster.primary, database=cluster.connect_options["database"]) as admin:
        cursor = admin.cursor()
        for statement in statements:
            cursor.execute(statement)
    cluster.wait_caught_up()


@pytest.mark.parametrize("write", WRITES, ids=lambda name: name.replace(" ", "-"))
def test_every_way_of_writing_is_read_back(cluster, connect, routines, write):
    """With the replicas late, a read after the write is right, whatever wrote."""
    connection = connect(max_wait=0.5)
    cursor = connection.cursor()
    cursor.execute("SELECT v FROM t WHERE id = 1")
    assert cursor.route.role == "replica"
    assert cursor.fetchone() == (5,)
    for replica in cluster.replicas:
        cluster.stall(replica)
    WRITES[write](connection)
    for _ in range(4):
        cursor.execute("SELECT v FROM t WHERE id = 1")
        assert cursor.fetchone() == (6,), cursor.route
    for replica in cluster.replicas:
        cluster.resume(replica)
    cluster.wait_caught_up()
    time.sleep(1.1)
    for _ in range(4):
        cursor.execute("SELECT v FROM t WHERE id = 1")
        assert cursor.fetchone() == (6,), cursor.route
    assert cursor.route.role == "replica"


def test_the_wait_is_what_keeps_reads_right(cluster, connect, table, monkeypatch):
    """The checks above can fail: without the position, a late replica's answer is stale."""
    connection = connect()
    cursor = connection.cursor()
    rounds(cursor, 2)
    cluster.wait_caught_up()
    for replica in cluster.replicas:
        cluster.stall(replica)

    def nothing(*_):
        return None
        yield

    monkeypatch.setattr(Reads, "_needed", nothing)
    with pytest.raises(AssertionError):
        for start in range(50, 110, 3):  # a replica may be given up for a moment
            rounds(cursor, 3, start=start)
            time.sleep(0.1)


def test_global_reads_see_what_others_committed(cluster, connect, table):
    reader = connect(consistency="global").cursor()
    writer = connect().cursor()
    for number in range(30):
        writer.execute("REPLACE INTO t VALUES (1, %s)", (number,))
        reader.execute("SELECT v FROM t WHERE id = 1")
        assert reader.fetchone() == (number,)
    for replica in cluster.replicas:
        cluster.stall(replica)
    for number in range(30, 40):
        writer.execute("REPLACE INTO t VALUES (1, %s)", (number,))
        reader.execute("SELECT v FROM t WHERE id = 1")
        assert reader.fetchone() == (number,)


def test_eventual_reads_stay_on_late_replicas(cluster, connect, table):
    cursor = connect(consistency="eventual").cursor()
    cursor.execute("INSERT INTO t VALUES (1, 1)")
    cluster.wait_caught_up()
    for replica in cluster.replicas:
        cluster.stall(replica)
    cursor.execute("UPDATE t SET v = 2")
    cursor.execute("SELECT v FROM t")
    assert cursor.fetchone() == (1,)
    assert cursor.route.role == "replica"
    cursor.execute("/* rwsplit: consistency=session */ SELECT v FROM t")
    assert cursor.fetchone() == (2,)


def test_on_lag_primary_never_waits(cluster, connect, table):
    cursor = connect(on_lag="primary", max_wait=5).cursor()
    rounds(cursor, 2)
    for replica in cluster.replicas:
        cluster.stall(replica)
    start = time.perf_counter()
    rounds(cursor, 20)
    assert time.perf_counter() - start < 4
    assert cursor.route.waited < 1


def test_the_wait_is_not_ended_by_the_sessions_own_limits(cluster, connect, table):
    """max_execution_time, max_statement_time and sql_select_limit are for the application."""
    cursor = connect(max_wait=3).cursor()
    if cluster.flavor == "mysql":
        cursor.execute("SET SESSION max_execution_time = 20")
    else:
        cursor.execute("SET SESSION max_statement_time = 0.02")
    rounds(cursor, 2)
    cluster.wait_caught_up()
    rounds(cursor, 2)
    for replica in cluster.replicas:
        cluster.stall(replica)
    cursor.execute("REPLACE INTO t VALUES (1, 77)")
    resumed = threading.Timer(0.3, lambda: [cluster.resume(r) for r in cluster.replicas])
    resumed.start()
    cursor.execute("SELECT v FROM t")
    resumed.join()
    assert cursor.fetchone() == (77,)
    assert cursor.route.role == "replica"
    assert cursor.route.waited > 0.1


def test_positions_that_reads_tell_can_be_switched_off(cluster, connect, table):
    """Then a connection stays on the replica of its last read, and still sees its writes."""
    cursor = connect(track_positions=False, max_wait=5.0).cursor()
    rounds(cursor, 5)
    servers = set()
    for _ in range(10):
        cursor.execute("SELECT @@server_id, v FROM t")
        servers.add(cursor.fetchone()[0])
        assert cursor.route.role == "replica"
    assert len(servers) == 1
    with pytest.raises(ValueError, match="track_positions"):
        connect(track_positions="perhaps")


def test_a_wait_leaves_time_for_the_answer(cluster, connect, table):
    cursor = connect(max_wait=30.0, read_timeout=2).cursor()
    rounds(cursor, 2)
    for replica in cluster.replicas:
        cluster.stall(replica)
    rounds(cursor, 2, start=2)
    assert cursor.route.role == "primary"


# What reads have seen, whatever happens in between.


def value(connection, sql="SELECT v FROM t WHERE id = 1"):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def killed(connection, cluster):
    with cluster.connect(cluster.primary) as primary:
        primary.cursor().execute("KILL %s", (connection.thread_id(),))


def killed_and_pinged(connection, cluster):
    killed(connection, cluster)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        connection.ping(reconnect=True)


def connected_again(connection, cluster):
    connection.connect()


def closed_and_connected_again(connection, cluster):
    connection.close()
    connection.connect()


def of_another_session(connection, cluster):
    with rwsplit.session_id("another"):
        value(connection)


def read_in_a_scope(connection, cluster):
    with rwsplit.scope():
        assert value(connection) == 0


def read_whatever_there_is(connection, cluster):
    with rwsplit.using(consistency="eventual"):
        assert value(connection) == 0


def read_in_a_transaction(connection, cluster):
    connection.autocommit(False)
    assert value(connection) == 1
    connection.commit()
    connection.autocommit(True)


AMID = [
    *(killed, killed_and_pinged, connected_again, closed_and_connected_again),
    *(of_another_session, read_in_a_scope, read_whatever_there_is, read_in_a_transaction),
]


@pytest.mark.parametrize("amid", AMID)
def test_what_was_read_on_the_primary_is_not_read_older(cluster, connect, stalled, amid):
    """The session wrote nothing: only its reads say what it must see."""
    alone = {"session_id_kind": "connection", "after": None}
    connection, writer = connect(**alone), connect(**alone)
    assert value(connection) == 0
    writer.cursor().execute("UPDATE t SET v = 1 WHERE id = 1")
    with rwsplit.using(reads="primary"):
        assert value(connection) == 1
    amid(connection, cluster)
    assert value(connection) == 1
    assert value(connection) == 1


@pytest.mark.parametrize("amid", AMID[:4])
def test_nor_in_the_scope_in_which_it_was_read(cluster, connect, stalled, amid):
    connection, writer = connect(), connect()
    writer.cursor().execute("UPDATE t SET v = 1 WHERE id = 1")
    with rwsplit.scope():
        assert value(connection) == 0
        with rwsplit.using(reads="primary"):
            assert value(connection) == 1
        amid(connection, cluster)
        assert value(connection) == 1


FOUND = {
    "a row that could not be changed": ["UPDATE t SET v = 2 WHERE id = 1 AND v = 0"],
    "one in a transaction": ["BEGIN", "UPDATE t SET v = 2 WHERE id = 1 AND v = 0", "COMMIT"],
    "one without autocommit": [
        *("SET autocommit = 0", "DELETE FROM t WHERE id = 1 AND v = 0"),
        *("COMMIT", "SET autocommit = 1"),
    ],
    "a row that was there": ["INSERT IGNORE INTO t VALUES (1, 2)"],
    "a row that was as it is to be": ["INSERT INTO t VALUES (1, 1) ON DUPLICATE KEY UPDATE v = 1"],
    "a change that was rolled back": ["BEGIN", "UPDATE t SET v = 2 WHERE v = 1", "ROLLBACK"],
    "one that was rolled back in part": [
        *("BEGIN", "SAVEPOINT a", "UPDATE t SET v = 2 WHERE v = 1"),
        *("ROLLBACK TO a", "COMMIT"),
    ],
    "a duplicate key": ["BEGIN", "INSERT INTO t VALUES (1, 2)", "ROLLBACK"],
    "too many rows": ["SET @x = (SELECT id FROM t)"],
    "a variable that was set": ["SET @x = (SELECT v FROM t WHERE id = 1)"],
    "one that was selected into": ["SELECT v INTO @x FROM t WHERE id = 1"],
    "one that was set by the way": ["DO (SELECT @x := v FROM t WHERE id = 1)"],
    "a statement that was prepared": ["EXECUTE s"],
    "a lock that others had held": ["SELECT GET_LOCK('l', 1)", "SELECT RELEASE_LOCK('l')"],
    "a lock of a table": ["LOCK TABLES t READ", "UNLOCK TABLES"],
}
"""What a session can learn without a row of the table."""


@pytest.mark.parametrize("what", FOUND)
def test_what_was_found_without_a_row_is_not_read_older(cluster, connect, stalled, what):
    """By a count of rows, an error, a variable or a lock: what others had committed by then."""
    alone = {"session_id_kind": "connection", "after": None}
    connection, writer = connect(**alone), connect(**alone)
    writer.cursor().execute("INSERT INTO t VALUES (2, 0)")
    cursor = connection.cursor()
    cursor.execute("PREPARE s FROM 'UPDATE t SET v = 2 WHERE id = 1 AND v = 0'")
    assert value(connection) == 0
    writer.cursor().execute("UPDATE t SET v = 1 WHERE id = 1")
    for sql in FOUND[what]:
        with contextlib.suppress(rwsplit.err.IntegrityError, rwsplit.err.OperationalError):
            cursor.execute(sql)
    assert value(connection) == 1
    assert value(connection) == 1


def test_what_a_lost_transaction_found_is_not_read_older(cluster, connect, stalled):
    alone = {"session_id_kind": "connection", "after": None}
    connection, writer = connect(**alone), connect(**alone)
    assert value(connection) == 0
    writer.cursor().execute("UPDATE t SET v = 1 WHERE id = 1")
    connection.begin()
    connection.cursor().execute("UPDATE t SET v = 2 WHERE id = 1 AND v = 1")
    killed(connection, cluster)
    with pytest.raises(rwsplit.err.Error):
        value(connection)
    connection.rollback()
    assert value(connection) == 1


@pytest.mark.parametrize("again", [connected_again, closed_and_connected_again])
def test_nor_one_that_was_left_by_connecting_again(cluster, connect, stalled, again):
    alone = {"session_id_kind": "connection", "after": None}
    connection, writer = connect(**alone), connect(**alone)
    writer.cursor().execute("UPDATE t SET v = 1 WHERE id = 1")
    connection.begin()
    connection.cursor().execute("UPDATE t SET v = 2 WHERE id = 1 AND v = 1")
    again(connection, cluster)
    assert value(connection) == 1


FIXES_NOTHING = [
    *("SHOW TABLES", "SHOW CREATE TABLE t", "DESCRIBE t", "EXPLAIN SELECT v FROM t"),
    *("SELECT v FROM t WHERE 1 = 0", "SELECT v FROM t LIMIT 0"),
    "SELECT table_rows FROM information_schema.tables WHERE table_name = 't'",
]


@pytest.mark.parametrize("begin", [None, "START TRANSACTION READ ONLY"])
@pytest.mark.parametrize("options", [{"consistency": "global"}, {"database": "shop?sessionId=7"}])
def test_a_transaction_sees_what_was_so_as_it_first_read_rows(
    cluster, connect, row, options, begin
):
    """Not what was so as it first showed the schema."""
    writer = connect(**options).cursor()
    connection = connect(**options, autocommit=begin is not None, max_wait=0.05)
    cursor = connection.cursor()
    older = []
    for number, sql in enumerate(FIXES_NOTHING, 1):
        connection.rollback()
        for replica in cluster.replicas:
            cluster.resume(replica)
        cluster.wait_caught_up()
        if begin:
            cursor.execute(begin)
        cursor.execute(sql)
        cursor.fetchall()
        assert cursor.route.role == "replica", (sql, cursor.route)
        for replica in cluster.replicas:
            cluster.stall(replica)
        writer.execute("UPDATE t SET v = %s WHERE id = 1", (number,))
        cursor.execute("SELECT v FROM t WHERE id = 1")
        if cursor.fetchone() != (number,):
            older.append(sql)
    assert not older
