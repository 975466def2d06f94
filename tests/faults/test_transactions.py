"""A transaction is one from the moment that it is said, and until it is ended: never half of it.

Every program runs on a plain PyMySQL connection to the primary and on rwsplit, while somebody else
commits to the same rows between the steps and the replicas catch up; each gives the same answers.
"""

import contextlib
import time

import pymysql
import pytest
from pymysql.constants import CLIENT

import rwsplit
from tests.inside import ask_primary

ALL = "SELECT id, v FROM t ORDER BY id"
ONE = "SELECT v FROM t WHERE id = 1"


@pytest.fixture
def other(cluster, table):
    """A cursor of somebody else, straight on the primary, autocommit on; `t` has two rows."""
    with cluster.connect(cluster.primary) as connection:
        cursor = connection.cursor()
        cursor.execute("SET innodb_lock_wait_timeout = 2, lock_wait_timeout = 2")
        cursor.execute("INSERT INTO t VALUES (1, 10), (2, 20)")
        cluster.wait_caught_up()
        yield cursor


@pytest.fixture
def both(cluster, connect, other):
    """Run a program on a plain connection and on rwsplit: the two lists of answers."""

    def run(program, **options):
        answers = []
        for is_plain in (True, False):
            other.execute("REPLACE INTO t VALUES (1, 10), (2, 20)")
            other.execute("DELETE FROM t WHERE id > 2")
            cluster.wait_caught_up()
            if is_plain:
                connection = cluster.connect(cluster.primary, **options)
            else:
                # A slow machine must not make a snapshot idle where that is not the point.
                connection = connect(**{"max_snapshot": 60.0, **options})
                connection.cluster.habits.clear()
            steps = Steps(connection, other, cluster)
            with connection:
                program(steps)
            answers.append(steps.answers)
        return answers

    return run


class Steps:
    """One run of a program, and what it was answered."""

    def __init__(self, connection, other, cluster):
        self.connection = connection
        self.other = other
        self.cluster = cluster
        self.cursor = connection.cursor()
        self.answers = []

    def warm(self):
        """Read under autocommit until every member is known to need nothing."""
        for _ in range(4):
            self.do(ALL)

    def do(self, step):
        """Run SQL, or call what takes the connection."""
        try:
            if callable(step):
                step(self.connection)
                self.answers.append(None)
                return
            self.cursor.execute(step)
            self.answers.append((self.cursor.rowcount, [*self.cursor.fetchall()]))
        except pymysql.MySQLError as error:
            self.answers.append(error.args[0])

    def meanwhile(self, sql="UPDATE t SET v = v + 1"):
        """Let somebody else commit, and the replicas have it."""
        self.other.execute(sql)
        self.cluster.wait_caught_up()


# Fault: a transaction begun behind reads under autocommit.


def _by_bytes(connection):
    connection.query(b"BEGIN")


BEGINS = {
    "begin()": [lambda connection: connection.begin()],
    "autocommit(False)": [lambda connection: connection.autocommit(False)],
    "by bytes": [_by_bytes],
    **{
        "; ".join(texts): texts
        for texts in (
            ["BEGIN"],
            ["begin work"],
            ["START TRANSACTION"],
            ["/* a comment */ BEGIN"],
            ["-- a comment\nBEGIN"],
            ["# a comment\nBEGIN"],
            ["/*!50000 START TRANSACTION */"],
            ["BEGIN /* rwsplit: replica */"],
            ["/* rwsplit: consistency=eventual */ BEGIN"],
            ["  BEGIN  ;"],
            ["START TRANSACTION READ ONLY"],
            ["START TRANSACTION READ WRITE"],
            ["START TRANSACTION WITH CONSISTENT SNAPSHOT"],
            ["START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"],
            ["START TRANSACTION READ WRITE, WITH CONSISTENT SNAPSHOT"],
            ["SET TRANSACTION READ ONLY", "BEGIN"],
            ["SET SESSION TRANSACTION READ ONLY", "BEGIN"],
            ["SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN"],
            ["SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED", "BEGIN"],
            ["SET autocommit = 0"],
            ["SET @@autocommit = OFF"],
            ["SET SESSION autocommit = FALSE"],
            ["SET @@local.autocommit = 0, @a = 1"],
            ["BEGIN", "COMMIT AND CHAIN"],
            ["BEGIN", "ROLLBACK AND CHAIN"],
            ["COMMIT AND CHAIN"],
            ["SET completion_type = 1", "BEGIN", "COMMIT"],
            ["BEGIN", "BEGIN"],
            ["BEGIN", "SAVEPOINT a"],
            ["BEGIN", "DO 1"],
            ["BEGIN", "SET @a = 1"],
            ["BEGIN", "SELECT CONNECTION_ID() > 0"],
            ["BEGIN", "SHOW WARNINGS"],
            ["SELECT FOUND_ROWS()", "BEGIN"],
            ["CALL begins()"],
            ["SELECT 1; BEGIN"],
            ["BEGIN; SELECT 1"],
            ["BEGIN; COMMIT; BEGIN"],
        )
    },
}


@pytest.fixture
def procedure(cluster, other):
    other.execute("DROP PROCEDURE IF EXISTS begins")
    other.execute("CREATE PROCEDURE begins() START TRANSACTION")
    cluster.wait_caught_up()


@pytest.mark.parametrize("begin", BEGINS.values(), ids=BEGINS)
def test_what_is_read_after_a_begin_is_read_in_the_transaction(both, procedure, begin):
    def program(steps):
        steps.warm()
        for step in begin:
            steps.do(step)
        steps.do(ONE)
        steps.meanwhile()
        steps.do(ONE)
        steps.do("SELECT SUM(v) FROM t")
        steps.do("SELECT v FROM t WHERE id = 2")
        steps.do("ROLLBACK")
        steps.do(lambda connection: connection.autocommit(True))
        steps.do(ALL)

    plain, ours = both(program, client_flag=CLIENT.MULTI_STATEMENTS)
    assert ours == plain


@pytest.mark.parametrize("name", [name for name in BEGINS if "/*" not in name])
def test_what_is_written_after_a_begin_is_undone_by_a_rollback(both, procedure, name):
    def program(steps):
        steps.warm()
        for step in BEGINS[name]:
            steps.do(step)
        steps.do(ONE)
        steps.do("UPDATE t SET v = v + 5 WHERE id = 1")
        steps.do(ONE)
        steps.do(lambda connection: connection.rollback())
        steps.do(ALL)

    plain, ours = both(program, client_flag=CLIENT.MULTI_STATEMENTS)
    assert ours == plain


MOMENT = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
FOR_PRIMARY = [
    "UPDATE t SET v = v + 5",
    "SELECT id, v FROM t ORDER BY id FOR UPDATE",
    "SET TRANSACTION READ ONLY",
    "CREATE TEMPORARY TABLE made (id INT)",
    "SELECT GET_LOCK('a', 0), (SELECT MAX(v) FROM t)",
]


@pytest.mark.parametrize("needs", FOR_PRIMARY)
@pytest.mark.parametrize("before", [[], [ALL], ["SAVEPOINT a", ALL], [ALL, "SAVEPOINT a"]])
def test_a_moment_that_nobody_wrote_behind_moves(both, before, needs):
    def program(steps):
        steps.warm()
        for step in (MOMENT, *before, needs, ALL, "SELECT ROW_COUNT()"):
            steps.do(step)
        if "SAVEPOINT a" in before:
            steps.do("ROLLBACK TO a")
        steps.do("COMMIT")
        steps.do("UPDATE t SET v = 3 WHERE id = 1")
        steps.do(ALL)

    plain, ours = both(program)
    assert ours == plain


@pytest.mark.parametrize("needs", FOR_PRIMARY)
@pytest.mark.parametrize("before", [[], [ONE]])
def test_a_moment_that_has_gone_by_does_not_move(both, before, needs):
    def program(steps):
        for step in (MOMENT, *before):
            steps.do(step)
        steps.meanwhile()
        steps.do(needs)

    plain, ours = both(program)
    assert ours == [*plain[:-1], 1213]


@pytest.mark.parametrize("begin", ["BEGIN", "START TRANSACTION", "begin()"])
def test_no_update_is_lost_behind_stalled_replicas(connect, cluster, other, begin):
    connection = connect(max_snapshot=60.0)
    cursor = connection.cursor()
    for _ in range(4):
        cursor.execute(ALL)
    for replica in cluster.replicas:
        cluster.stall(replica)
    other.execute("UPDATE t SET v = 11 WHERE id = 1")
    connection.begin() if begin == "begin()" else cursor.execute(begin)
    cursor.execute(ONE)
    assert cursor.fetchall() == ((11,),)
    assert cursor.route.role == "primary"
    connection.rollback()


def test_serializable_reads_lock_their_rows(both):
    def program(steps):
        steps.do("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        steps.warm()
        steps.do("BEGIN")
        steps.do(ONE)
        with pytest.raises(pymysql.MySQLError):
            steps.other.execute("SELECT v FROM t WHERE id = 1 FOR UPDATE NOWAIT")
        steps.do("COMMIT")
        steps.other.execute("SELECT v FROM t WHERE id = 1 FOR UPDATE NOWAIT")

    plain, ours = both(program)
    assert ours == plain


@pytest.mark.parametrize("level", ["eventual", "session", "global"])
@pytest.mark.parametrize("begin", ["BEGIN", "START TRANSACTION READ ONLY"])
def test_the_level_of_consistency_changes_nothing_of_it(both, level, begin):
    def program(steps):
        if isinstance(steps.connection, rwsplit.Connection):
            steps.connection._session.terms.say(level)
            steps.connection._session.look_at_terms()
        steps.warm()
        steps.do(begin)
        steps.do(ONE)
        steps.meanwhile()
        steps.do(ONE)
        steps.do("COMMIT")
        steps.do(ALL)

    plain, ours = both(program)
    assert ours == plain


# Fault: a transaction that was lost with its connection, and half of it committed.


def _kill(connection, other):
    other.execute(f"KILL {connection.thread_id()}")


def _kill_and_run(connection, other):
    _kill(connection, other)
    connection.cursor().execute("UPDATE t SET v = 77 WHERE id = 1")


def _kill_and_ping(connection, other):
    _kill(connection, other)
    connection.ping(reconnect=False)


def _kill_and_read(connection, other):
    _kill(connection, other)
    connection.cursor().execute(ONE)


def _time_out(connection, other, sql="SELECT SLEEP(3) INTO @slept", cursorclass=None):
    thread, connection._read_timeout = connection.thread_id(), 0.1
    try:
        connection.cursor(cursorclass).execute(sql)
    finally:
        # The server itself would only notice after its sleep, and keep the locks until then.
        other.execute(f"KILL {thread}")


def _time_out_writing(connection, other):
    _time_out(connection, other, "UPDATE t SET v = v + SLEEP(3) WHERE id = 1")


def _time_out_streaming(connection, other):
    sql = "SELECT SLEEP(3) FROM t WHERE id = 1 FOR UPDATE"
    _time_out(connection, other, sql, pymysql.cursors.SSCursor)


LOSSES = (
    _kill_and_run,
    _kill_and_ping,
    _kill_and_read,
    _time_out,
    _time_out_writing,
    _time_out_streaming,
)

WAYS_ON = {
    "begin()": lambda connection: connection.begin(),
    "commit()": lambda connection: connection.commit(),
    "autocommit": lambda connection: connection.autocommit(not connection.get_autocommit()),
    "select_db": lambda connection: connection.select_db("shop"),
    "set_character_set": lambda connection: connection.set_character_set("utf8mb4"),
    "ping": lambda connection: connection.ping(reconnect=False),
    "show_warnings": lambda connection: connection.show_warnings(),
    "executemany": lambda connection: connection.cursor().executemany(
        "INSERT INTO t VALUES (%s, %s)", [(7, 7), (8, 8)]
    ),
    "callproc": lambda connection: connection.cursor().callproc("begins"),
    "stream": lambda connection: connection.cursor(pymysql.cursors.SSCursor).execute(ONE),
    **{
        sql: sql
        for sql in (
            "UPDATE t SET v = 2 WHERE id = 2",
            ONE,
            "SELECT 1",
            "SELECT @@server_id",
            "SELECT 1 /* rwsplit: replica */",
            "SELECT FOUND_ROWS()",
            "SHOW WARNINGS",
            "SET @a = 1",
            "SET autocommit = 1",
            "SET @@read_write_splitting_policy = 'random'",
            "USE shop",
            "BEGIN",
            "START TRANSACTION READ ONLY",
            "COMMIT",
            "SAVEPOINT a",
            "ROLLBACK TO a",
            "ROLLBACK; UPDATE t SET v = 2 WHERE id = 2",
            "CREATE TABLE nope (id INT)",
            "LOCK TABLES t READ",
            "SELEC 1",
            "",
        )
    },
}

BEGUN = {
    "begin()": [lambda connection: connection.begin()],
    "BEGIN": ["BEGIN"],
    "autocommit(False)": [lambda connection: connection.autocommit(False)],
    "SET autocommit": ["SET autocommit = 0"],
    "read on a replica": [lambda connection: connection.autocommit(False), ONE],
    "read in BEGIN": ["BEGIN", ONE],
    "chain": ["BEGIN", "COMMIT AND CHAIN"],
    "written": ["BEGIN", "UPDATE t SET v = 11 WHERE id = 1"],
    "written without autocommit": [
        lambda connection: connection.autocommit(False),
        "UPDATE t SET v = 11 WHERE id = 1",
    ],
    "savepoint": ["BEGIN", "UPDATE t SET v = 11 WHERE id = 1", "SAVEPOINT a"],
    "after a commit": [
        lambda connection: connection.autocommit(False),
        ONE,
        lambda connection: connection.commit(),
        "UPDATE t SET v = 11 WHERE id = 1",
    ],
}


def _of_connections(answers):
    """The number of the error of a lost connection depends on when it is noticed."""
    return [2013 if answer == 2006 else answer for answer in answers]


LOST = [
    *[(begun, lose) for begun in BEGUN for lose in LOSSES[3:4]],
    *[(begun, lose) for begun in ("read in BEGIN", "autocommit(False)") for lose in LOSSES[4:]],
    *[("written", lose) for lose in LOSSES],
    *[("written without autocommit", lose) for lose in LOSSES[:3]],
    *[("chain", lose) for lose in LOSSES[:3]],
]


@pytest.mark.parametrize(
    ("begun", "lose"), LOST, ids=[f"{begun}: {lose.__name__}" for begun, lose in LOST]
)
def test_no_half_of_a_lost_transaction_is_committed(both, procedure, other, begun, lose):
    def program(steps):
        steps.warm()
        for step in BEGUN[begun]:
            steps.do(step)
        del steps.answers[:]
        steps.do(lambda connection: lose(connection, other))
        for step in WAYS_ON.values():
            steps.do(step)
        if isinstance(steps.connection, rwsplit.Connection):
            assert not steps.connection.open
            steps.connection.rollback()
            assert steps.connection.open
            steps.cursor.execute("UPDATE t SET v = 6 WHERE id = 2")
            steps.connection.commit()
        else:
            steps.other.execute("UPDATE t SET v = 6 WHERE id = 2")
        steps.other.execute(ALL)
        steps.answers.append(steps.other.fetchall())

    plain, ours = map(_of_connections, both(program, client_flag=CLIENT.MULTI_STATEMENTS))
    plain = [0 if answer == "Already closed" else answer for answer in plain]  # ping()'s
    assert ours == plain


ROLLBACKS = {
    "rollback()": lambda connection: connection.rollback(),
    **{
        sql: lambda connection, sql=sql: connection.cursor().execute(sql)
        for sql in (
            "ROLLBACK",
            "rollback work",
            "/* it is over */ ROLLBACK",
            "ROLLBACK AND NO CHAIN",
            "ROLLBACK AND CHAIN",
            "ROLLBACK;",
        )
    },
}


@pytest.mark.parametrize("how", ROLLBACKS)
@pytest.mark.parametrize(
    "options", [{}, {"transactions": "primary"}, {"reads": "primary"}], ids=str
)
def test_a_rollback_ends_a_lost_transaction(connect, other, how, options):
    connection = connect(**options)
    cursor = connection.cursor()
    cursor.execute("SET @kept = 5")
    connection.begin()
    cursor.execute("UPDATE t SET v = 11 WHERE id = 1")
    with pytest.raises(rwsplit.OperationalError):
        _kill_and_run(connection, other)
    for _ in range(2):
        with pytest.raises(rwsplit.InterfaceError, match="lost with its connection to primary"):
            cursor.execute(ONE)
    ROLLBACKS[how](connection)
    assert bool(connection.server_status & 1) == ("AND CHAIN" in how)
    cursor.execute("SELECT @kept, SUM(v) FROM t")
    assert cursor.fetchall() == ((5, 30),)
    cursor.execute("UPDATE t SET v = 12 WHERE id = 1")
    if "AND CHAIN" in how:
        connection.commit()
    other.execute(ONE)
    assert other.fetchall() == ((12,),)


def test_a_lost_transaction_can_be_closed_or_connected_again(connect, other):
    connections = connect(), connect()
    for connection in connections:
        connection.begin()
        connection.cursor().execute("UPDATE t SET v = 11 WHERE id = 1")
        with pytest.raises(rwsplit.OperationalError):
            _kill_and_run(connection, other)
    connections[0].close()
    with pytest.warns(DeprecationWarning):
        connections[1].ping(reconnect=True)
    cursor = connections[1].cursor()
    cursor.execute(ONE)
    assert cursor.fetchall() == ((10,),)


def test_a_stream_that_was_lost_takes_its_transaction_along(connect, other):
    connection = connect(autocommit=False)
    stream = connection.cursor(rwsplit.cursors.SSCursor)
    stream.execute(
        "SELECT REPEAT('x', 70000), SLEEP(IF(id = 1, 0, 3)) FROM t ORDER BY id FOR UPDATE"
    )
    _kill(connection, other)
    with pytest.raises(rwsplit.OperationalError):
        stream.fetchall()
    cursor = connection.cursor()
    with pytest.raises(rwsplit.InterfaceError, match="roll it back"):
        cursor.execute("UPDATE t SET v = 11 WHERE id = 1")
    connection.rollback()


def test_a_connection_that_is_lost_between_transactions_is_not_noticed(connect, other):
    connection = connect(autocommit=False)
    cursor = connection.cursor()
    for number in range(3):
        cursor.execute("UPDATE t SET v = %s WHERE id = 1", (number,))
        connection.commit()
        _kill(connection, other)
        connection.ping(reconnect=False)
        _kill(connection, other)
    other.execute(ONE)
    assert other.fetchall() == ((2,),)


def test_what_holds_for_the_next_transaction_outlives_the_connection(connect, other):
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("SET TRANSACTION READ ONLY")
    cursor.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    _kill(connection, other)
    connection.ping(reconnect=False)
    cursor.execute("BEGIN")
    with pytest.raises(rwsplit.MySQLError, match="1792"):
        cursor.execute("UPDATE t SET v = 11 WHERE id = 1")


# Fault: a transaction that only reads, or under READ COMMITTED, that had to start again.

COMMITTED = ("READ COMMITTED", "READ UNCOMMITTED")
OTHERS = (
    "UPDATE t SET v = v + 1",
    "DELETE FROM t WHERE id = 1",
    "INSERT INTO t VALUES (3, 30)",
    "REPLACE INTO t VALUES (2, 22)",
)


@pytest.mark.parametrize(
    "switch",
    [
        "SET autocommit = 1",
        "set @@session.autocommit := ON;",
        "SET LOCAL autocommit = TRUE",
        pytest.param(lambda connection: connection.autocommit(True), id="autocommit(True)"),
    ],
)
def test_a_transaction_that_has_only_read_ends_as_autocommit_is_switched_on(
    connect, cluster, other, switch
):
    """That commits: there is nothing whose reads would have to hold still."""
    connection = connect(autocommit=False, max_wait=5)
    cursor = connection.cursor()
    cursor.execute("SELECT v FROM t WHERE id = 1")
    before = cursor.fetchall()
    other.execute("UPDATE t SET v = v + 5 WHERE id = 1")
    cluster.wait_caught_up()
    cursor.execute("SELECT v FROM t WHERE id = 1")
    assert cursor.fetchall() == before
    if callable(switch):
        switch(connection)
    else:
        cursor.execute(switch)
    assert connection.get_autocommit()
    other.execute("SELECT v FROM t WHERE id = 1")
    expected = other.fetchall()
    cursor.execute("SELECT v FROM t WHERE id = 1")
    assert cursor.fetchall() == expected != before


@pytest.mark.parametrize("level", COMMITTED)
@pytest.mark.parametrize("scope", ["SESSION", ""])
@pytest.mark.parametrize("write", ["DELETE FROM t WHERE v > 0", "UPDATE t SET v = v * 2"])
def test_what_is_committed_meanwhile_is_no_fault_under_read_committed(both, level, scope, write):
    def program(steps):
        for sql in OTHERS:
            steps.do(f"SET {scope} TRANSACTION ISOLATION LEVEL {level}")
            steps.do(ALL)
            steps.meanwhile(sql)
            steps.do("SELECT COUNT(*) FROM t")
            steps.other.execute("UPDATE t SET v = v + 100 WHERE id = 2")
            steps.do(write)
            steps.do(ALL)
            steps.do(lambda connection: connection.commit())

    plain, ours = both(program, autocommit=False)
    assert ours == plain


def test_a_replica_that_was_late_is_a_fault_under_read_committed(connect, cluster, other):
    options = {"session_id_kind": "connection", "after": None, "max_snapshot": 60.0}
    connection = connect(autocommit=False, **options)
    connection.cluster.habits.clear()
    cursor = connection.cursor()
    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    cursor.execute(ALL)
    connection.commit()
    for replica in cluster.replicas:
        cluster.stall(replica)
    other.execute("UPDATE t SET v = 11 WHERE id = 1")
    # This process knows that the primary has more.
    now = ask_primary(connection)
    while connection.cluster.last_seen() != now:
        connection.cluster.note_sample(now, time.monotonic())
        time.sleep(0.02)
    with connection.consistency("eventual"):
        cursor.execute(ALL)
    assert cursor.fetchall() == ((1, 10), (2, 20))
    with pytest.raises(rwsplit.OperationalError, match="1213"):
        cursor.execute("DELETE FROM t WHERE v > 0")


@pytest.mark.parametrize(
    "shown",
    [
        "SHOW TABLES",
        "SHOW TABLE STATUS",
        "SHOW COLUMNS FROM t",
        "SHOW CREATE TABLE t",
        "DESCRIBE t",
        "EXPLAIN SELECT * FROM t",
        "SELECT COUNT(*) FROM information_schema.tables",
        "SELECT column_name FROM INFORMATION_SCHEMA.COLUMNS WHERE table_name = 't'",
    ],
)
def test_what_shows_the_schema_is_not_compared(connect, cluster, other, shown):
    other.execute("DROP TABLE IF EXISTS newer")
    cluster.wait_caught_up()
    connection = connect(autocommit=False, max_snapshot=60.0)
    connection.cluster.habits.clear()
    cursor = connection.cursor()
    cursor.execute(shown)
    cursor.execute(ONE)
    assert cursor.route.role == "replica"
    for replica in cluster.replicas:
        cluster.stall(replica)
    other.execute("CREATE TABLE newer (id INT)")
    other.execute("ALTER TABLE t ADD COLUMN extra INT")
    other.execute("ALTER TABLE t DROP COLUMN extra")
    other.execute("INSERT INTO newer VALUES (1)")
    try:
        cursor.execute("SELECT * FROM newer")  # 1146 on the replica
        assert cursor.fetchall() in ((), ((1,),))
    except pymysql.MySQLError as error:
        # What a server says of a table that is newer than the snapshot.
        assert error.args[0] == 1412
    connection.rollback()
    other.execute("DROP TABLE newer")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("SELECT * FROM nosuch", 1146),
        ("SELECT nosuch FROM t", 1054),
        ("SELECT * FROM nosuch.t", 1049),
        ("SELECT (SELECT id FROM t)", 1242),
    ],
)
def test_an_error_of_a_read_leaves_its_transaction_where_it_is(both, wrong, code):
    def program(steps):
        steps.do(ONE)
        steps.meanwhile()
        steps.do(wrong)
        steps.do(ALL)
        steps.do(wrong)
        steps.do(lambda connection: connection.commit())
        steps.do(ALL)

    plain, ours = both(program, autocommit=False)
    assert ours == plain
    assert code in ours or 1142 in ours or 1044 in ours


# Fault: streams of a transaction that only reads.


def _stream(cursor, sql=ALL):
    cursor.execute(sql)
    return cursor.route.role


def test_streams_of_a_transaction_that_reads_run_on_its_replica(connect, cluster, other):
    connection = connect(autocommit=False, max_snapshot=60.0)
    connection.cluster.habits.clear()
    stream = connection.cursor(rwsplit.cursors.SSCursor)
    assert _stream(stream, "SELECT v FROM t WHERE id = 1 ORDER BY id") == "replica"
    first = stream.fetchall()
    other.execute("UPDATE t SET v = v + 1")
    cluster.wait_caught_up()
    for cls in (rwsplit.cursors.SSCursor, rwsplit.cursors.SSDictCursor):
        with connection.cursor(cls) as another:
            assert _stream(another, ONE) == "replica"
            (row,) = another.fetchall()
            assert row in ((10,), {"v": 10})
    assert first == [(10,)]
    connection.commit()
    cursor = connection.cursor()
    cursor.execute(ONE)
    assert cursor.fetchall() == ((11,),)


def test_a_short_stream_is_verified_behind_its_end(connect, cluster, other):
    connection = connect(autocommit=False, max_snapshot=60.0)
    connection.cluster.habits.clear()
    stream, cursor = connection.cursor(rwsplit.cursors.SSCursor), connection.cursor()
    assert _stream(stream) == "replica"
    assert stream.fetchall() == [(1, 10), (2, 20)]
    cursor.execute("UPDATE t SET v = 11 WHERE id = 1")
    connection.commit()
    connection.cluster.habits.clear()
    assert _stream(stream) == "replica"
    assert stream.fetchall() == [(1, 11), (2, 20)]
    other.execute("UPDATE t SET v = 21 WHERE id = 2")
    with pytest.raises(rwsplit.OperationalError, match=r"1213.*others on the primary"):
        cursor.execute("UPDATE t SET v = 12 WHERE id = 1")


@pytest.mark.parametrize("completion", ["CHAIN", "RELEASE"])
def test_a_refused_transaction_is_over_whatever_the_completion_type(connect, other, completion):
    """It neither begins another one nor costs the connection: no COMMIT was the application's."""
    connection = connect(autocommit=False, max_snapshot=60.0)
    connection.cluster.habits.clear()
    cursor = connection.cursor()
    cursor.execute(f"SET SESSION completion_type = '{completion}'")
    cursor.execute("SET @kept = 1")
    cursor.execute(ALL)
    assert cursor.route.role == "replica"
    other.execute("UPDATE t SET v = 21 WHERE id = 2")
    writes = "UPDATE t SET v = 11 WHERE id = 1"
    with pytest.raises(rwsplit.OperationalError, match=r"1213.*others on the primary"):
        cursor.execute(writes)
    assert not connection.server_status & 1
    number = connection.thread_id()
    cursor.execute(writes)
    assert connection.thread_id() == number
    cursor.execute("SET SESSION completion_type = DEFAULT")
    connection.commit()
    other.execute(ONE)
    assert other.fetchall() == ((11,),)


@pytest.mark.parametrize("ends", ["closed", "open"])
def test_a_write_behind_a_stream_that_was_not_read_starts_again(connect, cluster, other, ends):
    connection = connect(autocommit=False, max_snapshot=60.0)
    connection.cluster.habits.clear()
    stream, cursor = connection.cursor(rwsplit.cursors.SSCursor), connection.cursor()
    assert _stream(stream) == "replica"
    assert stream.fetchone() == (1, 10)
    warns = contextlib.nullcontext()
    if ends == "closed":
        stream.close()
    else:
        warns = pytest.warns(UserWarning, match="left incomplete")
    with warns, pytest.raises(rwsplit.OperationalError, match=r"1213.*not read to its end"):
        cursor.execute("UPDATE t SET v = 11 WHERE id = 1")
    # The next begins where it can write.
    stream = connection.cursor(rwsplit.cursors.SSCursor)
    assert _stream(stream) == "primary"
    stream.fetchall()
    cursor.execute("UPDATE t SET v = 11 WHERE id = 1")
    connection.commit()


def test_a_stream_on_the_primary_has_begun_a_transaction_there(both):
    def program(steps):
        if isinstance(steps.connection, rwsplit.Connection):
            steps.connection.cluster.habits.note(
                steps.connection._session.language.classifier.digest(ALL),
                wrote=True,
                mismatched=True,
            )
        stream = steps.connection.cursor(pymysql.cursors.SSCursor)
        stream.execute(ALL)
        steps.answers.append(stream.fetchall())
        steps.meanwhile()
        steps.do(ALL)
        steps.do(lambda connection: connection.commit())
        steps.do(ALL)

    plain, ours = both(program, autocommit=False)
    assert ours == plain


def test_a_stream_that_waited_for_its_replica_is_verified_whole(cluster, connect, other):
    """Its rows came behind the wait, in a round trip of their own, and were not kept to compare."""
    connection = connect(autocommit=False, max_wait=5.0, max_snapshot=60.0)
    waited = 0
    for number in range(5):
        connection.cluster.habits.clear()
        cursor = connection.cursor(pymysql.cursors.SSCursor)
        cursor.execute("UPDATE t SET v = %s WHERE id = 2", (number,))
        connection.commit()
        cursor.execute(ALL)
        waited += bool(cursor.route.role == "replica" and cursor.route.waited)
        assert [*cursor.fetchall()] == [(1, 10), (2, number)]
        cursor.execute("UPDATE t SET v = v + 1 WHERE id = 2")
        connection.commit()
    assert waited


@pytest.mark.parametrize(
    "sql",
    [
        "DESCRIBE nosuch",
        "SHOW COLUMNS FROM nosuch",
        "SELECT * FROM nosuch",
        "SELECT * FROM t, nosuch",
    ],
)
def test_a_table_that_is_not_there_begins_no_transaction(cluster, connect, other, sql):
    """Whoever looks whether there is one (pandas does so) reads on replicas afterwards.

    And in a snapshot of its own: what others have committed meanwhile is seen, as on one server.
    """
    other.execute("SELECT MAX(v) FROM t")
    number = other.fetchone()[0]
    for connection in (
        cluster.connect(cluster.primary, autocommit=False),
        connect(autocommit=False, max_wait=5.0),
    ):
        cursor = connection.cursor()
        with pytest.raises(pymysql.err.MySQLError):
            cursor.execute(sql)
        number += 1
        other.execute("REPLACE INTO t VALUES (2, %s)", (number,))
        cluster.wait_caught_up()
        cursor.execute(ONE.replace("1", "2"))
        assert cursor.fetchone() == (number,)
        connection.commit()
    assert cursor.route.role == "replica"


@pytest.mark.parametrize("ends", ["COMMIT", ONE])
@pytest.mark.parametrize("schema", [None, "nosuch"])
def test_a_transaction_that_a_routine_began_before_it_failed_is_there(cluster, other, schema, ends):
    """Without a schema MariaDB tells of none: it is in no error, and nothing can be asked."""
    other.execute("DROP PROCEDURE IF EXISTS fails_within")
    other.execute(
        "CREATE PROCEDURE fails_within() BEGIN START TRANSACTION; "
        "UPDATE shop.t SET v = 11 WHERE id = 1; SIGNAL SQLSTATE '45000'; END"
    )
    options = {**cluster.connect_options, "database": None, "autocommit": True}
    with rwsplit.connect(**options) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        with pytest.raises(pymysql.err.MySQLError):
            cursor.execute("CALL shop.fails_within()")
        if schema is not None:
            with pytest.raises(pymysql.err.OperationalError):
                connection.select_db(schema)
        cursor.execute(ends.replace("FROM t", "FROM shop.t"))
        if ends == ONE:
            assert cursor.fetchall() == ((11,),)
            connection.commit()
    other.execute(ONE)
    assert other.fetchone() == (11,)
