"""Transactions on real servers: their reads run on replicas, and nobody can tell."""

import contextlib
import gc
import threading
import time

import pymysql
import pytest

import rwsplit
from rwsplit.constants import CLIENT


@pytest.fixture
def two(cluster, table):
    """The table `t` with two rows, which all servers have."""
    with cluster.connect(cluster.primary) as connection:
        connection.cursor().execute("INSERT INTO t VALUES (1, 10), (2, 20)")
    cluster.wait_caught_up()
    # What tests before left in doubt the process asks the primary for, once.
    with rwsplit.connect(**cluster.connect_options, autocommit=True) as connection:
        connection.cursor().execute("SELECT * FROM t")


@pytest.fixture
def other(cluster):
    """A cursor of somebody else, straight on the primary, autocommit on."""
    with cluster.connect(cluster.primary) as connection:
        yield connection.cursor()


@pytest.fixture
def begin(connect, two):
    """A connection with autocommit off, as PyMySQL's default is; habits are forgotten."""

    def make(**options):
        # A slow machine must not make a snapshot idle where that is not the point.
        connection = connect(**{"autocommit": False, "max_snapshot": 60.0, **options})
        connection.cluster.habits.clear()
        return connection

    return make


def warm(connection):
    """Open all members: a fresh one may have to ask the primary whether it belongs to it."""
    cursor = connection.cursor()
    with connection.consistency("eventual"):
        for _ in range(8):
            cursor.execute("SELECT COUNT(*) FROM t")
            connection.commit()


def ask(cursor, sql, args=None):
    cursor.execute(sql, args)
    return cursor.fetchall()


def role(cursor, sql):
    ask(cursor, sql)
    return cursor.route.role


@contextlib.contextmanager
def counted(connection):
    """Count what the primary is sent."""
    primary = connection.driver_connection
    sent = []
    write = primary._write_bytes
    primary._write_bytes = lambda data: (sent.append(data), write(data))[1]
    try:
        yield sent
    finally:
        del primary._write_bytes


ALL = "SELECT id, v FROM t ORDER BY id"


def test_a_transaction_that_only_reads_never_needs_the_primary(begin, cluster):
    connection = begin()
    warm(connection)
    time.sleep(0.1)  # while a replica of MySQL advances, reads stay there
    cursor = connection.cursor()
    with counted(connection) as sent:
        servers = set()
        for number in range(6):
            if number % 2:
                next(connection.cluster.turns)  # others read, too
            servers.add(ask(cursor, "SELECT @@server_id FROM t LIMIT 1"))
            assert ask(cursor, ALL) == ((1, 10), (2, 20))
            assert cursor.route.role == "replica"
            assert connection.server_status & 1
            connection.commit()
            assert not connection.server_status & 1
            connection.rollback()
            cursor.execute("COMMIT")
            assert (cursor.rowcount, cursor.description) == (0, None)
            assert cursor.route.role == "none"
    assert sent == []
    if cluster.flavor == "mysql":
        assert len(servers) == 2


def test_the_reads_of_a_transaction_share_one_snapshot(begin, cluster, other):
    connection = begin()
    cursor = connection.cursor()
    assert ask(cursor, "SELECT v FROM t WHERE id = 1") == ((10,),)
    other.execute("UPDATE t SET v = v + 1")
    cluster.wait_caught_up()
    assert ask(cursor, "SELECT v FROM t WHERE id = 2") == ((20,),)
    assert cursor.route.role == "replica"
    connection.commit()
    assert ask(cursor, ALL) == ((1, 11), (2, 21))


def test_read_committed_sees_what_is_committed(begin, cluster, other):
    connection = begin()
    cursor = connection.cursor()
    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    assert ask(cursor, ALL) == ((1, 10), (2, 20))
    other.execute("UPDATE t SET v = v + 1")
    cluster.wait_caught_up()
    assert ask(cursor, ALL) == ((1, 11), (2, 21))
    assert cursor.route.role == "replica"


def test_in_read_committed_each_read_sees_what_others_of_the_session_wrote(begin, connect, cluster):
    connection = begin(session_id="same")
    cursor = connection.cursor()
    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    ask(cursor, "SELECT v FROM t WHERE id = 2")
    assert cursor.route.role == "replica"
    for replica in cluster.replicas:
        cluster.stall(replica)
    connect(session_id="same").cursor().execute("UPDATE t SET v = 5 WHERE id = 1")
    assert ask(cursor, ALL)[0] == (1, 5)


def test_serializable_stays_on_the_primary(begin):
    cursor = begin().cursor()
    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    assert role(cursor, ALL) == "primary"
    assert "SERIALIZABLE" in cursor.route.reason
    cursor.execute("COMMIT")
    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    assert role(cursor, ALL) == "replica"
    cursor.execute("COMMIT")
    cursor.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    assert role(cursor, ALL) == "primary"
    cursor.execute("COMMIT")
    assert role(cursor, ALL) == "replica"


def test_a_write_moves_the_transaction_with_one_more_round_trip(begin):
    connection = begin()
    cursor = connection.cursor()
    ask(cursor, ALL)
    ask(cursor, "SELECT COUNT(*) FROM t")
    with counted(connection) as sent:
        cursor.execute("UPDATE t SET v = 11 WHERE id = 1")
        assert len(sent) == 2
        assert role(cursor, ALL) == "primary"
        assert cursor.fetchall() == ()
    connection.commit()
    assert ask(cursor, ALL) == ((1, 11), (2, 20))
    assert connection.cluster.counts["moved transactions"] >= 1


def test_rows_that_are_others_on_the_primary_restart_the_transaction(begin, other):
    connection = begin()
    cursor = connection.cursor()
    ask(cursor, ALL)
    other.execute("UPDATE t SET v = 12 WHERE id = 2")
    with pytest.raises(rwsplit.OperationalError, match="try restarting transaction") as caught:
        cursor.execute("UPDATE t SET v = 21 WHERE id = 2")
    assert caught.value.args[0] == 1213
    assert caught.value.sqlstate == "40001"
    assert not connection.server_status & 1
    # A retry runs where it cannot fail for the same reason.
    assert ask(cursor, ALL) == ((1, 10), (2, 12))
    assert cursor.route.role == "primary"
    assert "others then changed" in cursor.route.reason
    other.execute("UPDATE t SET v = 13 WHERE id = 1")
    cursor.execute("UPDATE t SET v = 22 WHERE id = 2")
    connection.commit()
    assert ask(cursor, ALL) == ((1, 13), (2, 22))
    # What mismatched once begins on the primary for a while, whoever runs it.
    assert cursor.route.role == "primary"


def test_an_error_in_what_is_repeated_restarts_it_too(begin, other):
    cursor = begin().cursor()
    other.execute("CREATE TABLE IF NOT EXISTS soon_gone (id INT)")
    cursor.execute("SELECT COUNT(*) FROM soon_gone")
    assert cursor.route.role in ("replica", "primary")
    if cursor.route.role == "primary":
        pytest.skip("it was too fast for the replicas")
    # The snapshot's lock would stop the applier, not the primary.
    other.execute("DROP TABLE soon_gone")
    with pytest.raises(rwsplit.OperationalError, match=r"1213.*1146"):
        cursor.execute("INSERT INTO t VALUES (3, 3)")


def test_the_order_of_rows_counts_only_where_it_was_asked_for(begin, other):
    connection = begin()
    cursor = connection.cursor()
    ask(cursor, "SELECT v FROM t")
    ask(cursor, "SELECT v FROM t ORDER BY (SELECT SUM(v) FROM t WHERE id > 1), id")
    cursor.execute("INSERT INTO t VALUES (3, 30)")
    connection.rollback()


@pytest.mark.parametrize("end", [";", ";;", "; -- x", "; /* x */"])
def test_what_stands_behind_a_read_makes_its_answer_no_other(begin, end):
    connection = begin(client_flag=CLIENT.MULTI_STATEMENTS)
    cursor = connection.cursor()
    assert ask(cursor, "SELECT v FROM t WHERE id = 1" + end) == ((10,),)
    assert cursor.route.role == "replica"
    cursor.execute("UPDATE t SET v = 21 WHERE id = 2")
    connection.commit()


def test_savepoints_before_the_move_are_repeated(begin):
    connection = begin()
    cursor = connection.cursor()
    with counted(connection) as sent:
        cursor.execute("SAVEPOINT a")
        ask(cursor, ALL)
        cursor.execute("SAVEPOINT b")
        cursor.execute("SAVEPOINT c")
        cursor.execute("ROLLBACK TO SAVEPOINT b")
        assert sent == []
    with pytest.raises(rwsplit.OperationalError, match="1305"):
        cursor.execute("ROLLBACK TO c")
    cursor.execute("INSERT INTO t VALUES (3, 30)")
    cursor.execute("ROLLBACK TO a")
    assert ask(cursor, ALL) == ((1, 10), (2, 20))
    cursor.execute("RELEASE SAVEPOINT a")
    connection.commit()


def test_begin_goes_with_the_first_statement(begin, connect, two):
    connection = connect()
    cursor = connection.cursor()
    with counted(connection) as sent:
        connection.begin()
        assert connection.server_status & 1
        connection.commit()
        assert not connection.server_status & 1
        cursor.execute("BEGIN")
        connection.rollback()
        assert sent == []
        connection.begin()
        assert ask(cursor, ALL) == ((1, 10), (2, 20))
        assert cursor.route.role == "primary"
        assert len(sent) == 1
    cursor.execute("UPDATE t SET v = 0")
    connection.rollback()
    assert ask(cursor, ALL) == ((1, 10), (2, 20))
    assert cursor.route.role == "replica"
    connection.begin()
    with pytest.raises(rwsplit.ProgrammingError):
        cursor.execute("SELEC 1")
    cursor.execute("INSERT INTO t VALUES (3, 30)")
    connection.rollback()
    assert ask(cursor, "SELECT COUNT(*) FROM t") == ((2,),)


def test_begin_ends_the_transaction_before(begin, other):
    connection = begin()
    cursor = connection.cursor()
    ask(cursor, ALL)
    other.execute("UPDATE t SET v = 11 WHERE id = 1")
    connection.begin()  # commits the reads: nothing to verify
    cursor.execute("UPDATE t SET v = 21 WHERE id = 2")
    connection.begin()
    connection.rollback()
    assert ask(cursor, ALL) == ((1, 11), (2, 21))


def test_a_consistent_snapshot_is_taken_at_once(connect, two, other, cluster):
    connection = connect(max_snapshot=60.0)
    cursor = connection.cursor()
    for sql, where in (
        ("START TRANSACTION WITH CONSISTENT SNAPSHOT", "primary"),
        ("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", "replica"),
    ):
        before = ask(cursor, ALL)
        cursor.execute(sql)
        other.execute("UPDATE t SET v = v + 1")
        cluster.wait_caught_up()
        assert ask(cursor, ALL) == before
        assert cursor.route.role == where
        connection.commit()
        assert ask(cursor, ALL) != before


@pytest.mark.parametrize("how", ["idle", "lost", "asked of the primary"])
def test_the_moment_of_a_consistent_snapshot_is_kept_or_refused(connect, two, other, cluster, how):
    connection = connect(max_snapshot=0.2 if how == "idle" else 60.0)
    cursor = connection.cursor()
    before = ask(cursor, ALL)
    begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
    cursor.execute(begin)
    other.execute("UPDATE t SET v = v + 1")
    cluster.wait_caught_up()
    hint = ""
    if how == "idle":
        time.sleep(0.6)
    elif how == "lost":
        connection._session.snapshot.member.connection._force_close()
    else:
        hint = "/* rwsplit: primary */ "
    with pytest.raises(rwsplit.OperationalError) as caught:
        ask(cursor, hint + ALL)
    assert caught.value.args[0] == 1213
    cursor.execute(begin)
    assert ask(cursor, hint + ALL) != before


def test_read_only_transactions_run_on_one_replica(connect, two, cluster, other):
    connection = connect(max_snapshot=60.0)
    cursor = connection.cursor()
    with counted(connection) as sent:
        cursor.execute("START TRANSACTION READ ONLY")
        first = ask(cursor, "SELECT @@server_id, COUNT(*) FROM t")
        other.execute("INSERT INTO t VALUES (3, 30)")
        cluster.wait_caught_up()
        for _ in range(80):
            assert ask(cursor, "SELECT @@server_id, COUNT(*) FROM t") == first
        ask(cursor, "SELECT NOW(), v FROM t")
        assert cursor.route.role == "replica"
        connection.commit()
        assert sent == []
    assert ask(cursor, "SELECT COUNT(*) FROM t") == ((3,),)


def test_a_read_only_transaction_refuses_to_write(connect, two):
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("START TRANSACTION READ ONLY")
    ask(cursor, ALL)
    with pytest.raises(rwsplit.MySQLError, match="1792"):
        cursor.execute("INSERT INTO t VALUES (3, 30)")
    assert ask(cursor, ALL) == ((1, 10), (2, 20))
    connection.commit()
    cursor.execute("INSERT INTO t VALUES (3, 30)")


@pytest.mark.parametrize("scope", ["SESSION", ""])
def test_set_transaction_read_only_changes_the_next_ones(begin, scope):
    connection = begin()
    cursor = connection.cursor()
    connection.cluster.habits.note(
        connection._session.language.classifier.digest(ALL), wrote=True, mismatched=True
    )
    assert role(cursor, ALL) == "primary"
    connection.commit()
    cursor.execute(f"SET {scope} TRANSACTION READ ONLY")
    assert role(cursor, ALL) == "replica"
    with pytest.raises(rwsplit.MySQLError, match="1792"):
        cursor.execute("INSERT INTO t VALUES (3, 30)")
    connection.rollback()
    if scope:
        cursor.execute("SET SESSION TRANSACTION READ WRITE")
    cursor.execute("INSERT INTO t VALUES (3, 30)")
    connection.rollback()


def test_a_replica_that_is_lost_moves_the_transaction(begin, other):
    connection = begin()
    cursor = connection.cursor()
    ask(cursor, ALL)
    member = connection._session.snapshot.member
    member.connection._sock.shutdown(2)
    assert ask(cursor, ALL) == ((1, 10), (2, 20))
    assert cursor.route.role == "primary"
    assert "lost" in cursor.route.reason
    cursor.execute("UPDATE t SET v = 11 WHERE id = 1")
    connection.commit()

    ask(cursor, "SELECT v FROM t WHERE id = 2")
    connection._session.snapshot.member.connection._sock.shutdown(2)
    other.execute("UPDATE t SET v = 21 WHERE id = 2")
    with pytest.raises(rwsplit.OperationalError, match="1213"):
        ask(cursor, "SELECT v FROM t WHERE id = 1")
    assert ask(cursor, ALL) == ((1, 11), (2, 21))


def test_volatile_reads_move_at_once(begin):
    connection = begin()
    cursor = connection.cursor()
    assert role(cursor, "SELECT NOW()") == "replica"
    assert role(cursor, "SELECT v, NOW() FROM t") == "primary"
    assert "volatile" in cursor.route.reason
    connection.commit()


def test_eventual_moves_without_verification(begin, other):
    connection = begin(transactions="eventual")
    cursor = connection.cursor()
    ask(cursor, ALL)
    other.execute("UPDATE t SET v = 12 WHERE id = 2")
    cursor.execute("UPDATE t SET v = 11 WHERE id = 1")
    assert ask(cursor, ALL) == ((1, 11), (2, 12))
    connection.commit()
    assert role(cursor, ALL) == "replica"


def test_primary_keeps_all_of_it_on_the_primary(begin):
    connection = begin(transactions="primary")
    cursor = connection.cursor()
    assert role(cursor, ALL) == "primary"
    connection.commit()
    cursor.execute("START TRANSACTION READ ONLY")
    assert role(cursor, ALL) == "primary"


def test_switching_autocommit_commits(begin):
    connection = begin()
    cursor = connection.cursor()
    ask(cursor, ALL)
    connection.autocommit(True)
    assert connection._session.snapshot is None
    assert connection.get_autocommit()
    assert role(cursor, ALL) == "replica"
    connection.autocommit(False)
    cursor.execute("UPDATE t SET v = 11 WHERE id = 1")
    connection.autocommit(True)
    connection.rollback()
    assert ask(cursor, ALL) == ((1, 11), (2, 20))
    connection.begin()
    connection.autocommit(False)
    cursor.execute("UPDATE t SET v = 12 WHERE id = 1")
    connection.rollback()
    assert ask(cursor, ALL) == ((1, 11), (2, 20))


def test_a_new_schema_is_not_what_reads_were_made_in(begin, cluster):
    connection = begin()
    cursor = connection.cursor()
    ask(cursor, ALL)
    connection.select_db("information_schema")
    cursor.execute("USE shop")
    assert role(cursor, ALL) == "primary"
    connection.commit()


def test_an_idle_snapshot_is_ended_and_lets_ddl_pass(begin, cluster, other):
    connection = begin(max_snapshot=0.3)
    cursor = connection.cursor()
    ask(cursor, ALL)
    assert cursor.route.role == "replica"
    time.sleep(0.1)
    ask(cursor, ALL)  # not idle
    other.execute("ALTER TABLE t ADD COLUMN extra INT")
    other.execute("UPDATE t SET v = 21 WHERE id = 2")
    other.execute("UPDATE t SET v = 20 WHERE id = 2")
    cluster.wait_caught_up(timeout=10)
    assert ask(cursor, ALL) == ((1, 10), (2, 20))
    assert cursor.route.role == "primary"
    assert "idle" in cursor.route.reason
    cursor.execute("UPDATE t SET v = 11 WHERE id = 1")
    connection.commit()


def test_rows_that_are_still_fetched_are_not_idle(begin):
    connection = begin(max_snapshot=0.1, transactions="eventual")
    cursor = connection.cursor(rwsplit.cursors.SSCursor)
    cursor.execute("SELECT a.v FROM t a, t b, t c, t d, t e")
    assert cursor.route.role == "replica"
    fetched = []
    while (row := cursor.fetchone()) is not None:
        fetched.append(row)
        time.sleep(0.02)
    assert len(fetched) == 32


def test_many_snapshots_leave_no_thread_and_no_connection(begin):
    connection = begin(max_snapshot=0.2)
    cursor = connection.cursor()
    for _ in range(50):
        ask(cursor, ALL)
        connection.commit()
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("rwsplit-snapshots") <= 1
    ask(cursor, ALL)
    connection.close()
    del connection, cursor
    gc.collect()


def test_a_deadlock_leaves_a_connection_that_works(begin, cluster):
    one, two_ = begin(), begin()
    first, second = one.cursor(), two_.cursor()
    first.execute("UPDATE t SET v = 1 WHERE id = 1")
    second.execute("UPDATE t SET v = 2 WHERE id = 2")
    errors = []

    def crosses():
        try:
            second.execute("UPDATE t SET v = 2 WHERE id = 1")
        except rwsplit.OperationalError as error:
            errors.append((two_, error))

    thread = threading.Thread(target=crosses)
    thread.start()
    time.sleep(0.2)
    try:
        first.execute("UPDATE t SET v = 1 WHERE id = 2")
    except rwsplit.OperationalError as error:
        errors.append((one, error))
    thread.join()
    ((victim, error),) = errors
    assert error.args[0] == 1213
    cursor = victim.cursor()
    for connection in (one, two_):
        connection.rollback()
    assert ask(cursor, ALL) == ((1, 10), (2, 20))
    cursor.execute("UPDATE t SET v = 3")
    victim.commit()
    assert ask(cursor, ALL) == ((1, 3), (2, 3))


def test_after_an_error_nothing_is_taken_for_ended(begin, cluster):
    """The failed INSERT's locks are the transaction's, so its end must reach the primary."""
    connection = begin()
    cursor = connection.cursor()
    with pytest.raises(rwsplit.IntegrityError):
        cursor.execute("INSERT INTO t VALUES (1, 1)")
    with counted(connection) as sent:
        connection.rollback()
        assert sent


def test_the_primary_lost_in_a_transaction_is_told_once(begin, cluster):
    connection = begin()
    cursor = connection.cursor()
    cursor.execute("SET @kept = 5")
    cursor.execute("SET time_zone = '+03:00'")
    ask(cursor, ALL)
    cursor.execute("UPDATE t SET v = 11 WHERE id = 1")
    with cluster.admin(cluster.primary) as admin:
        admin.cursor().execute(f"KILL {connection.thread_id()}")
    with pytest.raises(rwsplit.OperationalError) as caught:
        cursor.execute("UPDATE t SET v = 12 WHERE id = 1")
    assert caught.value.args[0] in (2006, 2013)
    assert not isinstance(caught.value, rwsplit.OutcomeUnknown)
    assert "rolled back" in str(caught.value)
    assert not connection.get_autocommit()
    with pytest.raises(rwsplit.InterfaceError, match="roll it back"):
        ask(cursor, ALL)
    connection.rollback()
    assert ask(cursor, ALL) == ((1, 10), (2, 20))
    assert ask(cursor, "SELECT @kept, @@time_zone, LAST_INSERT_ID()") == ((5, "+03:00", 0),)
    cursor.execute("UPDATE t SET v = 13 WHERE id = 1")
    connection.commit()
    assert ask(cursor, ALL) == ((1, 13), (2, 20))


def test_a_session_that_cannot_go_on_elsewhere_does_not(begin, cluster):
    connection = begin()
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE mine (id INT)")
    with cluster.admin(cluster.primary) as admin:
        admin.cursor().execute(f"KILL {connection.thread_id()}")
    with pytest.raises(rwsplit.OperationalError):
        cursor.execute("INSERT INTO mine VALUES (1)")
    with pytest.raises(rwsplit.InterfaceError, match="temporary tables"):
        cursor.execute("SELECT * FROM t")


@pytest.mark.parametrize("how", ["method", "text", "autocommit"])
@pytest.mark.parametrize("arrives", [True, False])
def test_a_lost_answer_to_a_commit_is_an_unknown_outcome(connect, two, cluster, how, arrives):
    with cluster.link(cluster.primary) as link:
        connection = connect(
            port=link.port, autocommit=how == "autocommit", read_timeout=1, session_store="memory"
        )
        cursor = connection.cursor()
        if how != "autocommit":
            cursor.execute("UPDATE t SET v = 99 WHERE id = 1")
        link.mute, link.blocked = arrives, not arrives
        with pytest.raises(rwsplit.OutcomeUnknown, match="not known") as caught:
            if how == "method":
                connection.commit()
            else:
                cursor.execute("COMMIT" if how == "text" else "UPDATE t SET v = 99 WHERE id = 1")
        assert caught.value.args[0] == 2013
        assert caught.value.endpoint == f"127.0.0.1:{link.port}"
        link.mend()
        link.cut()
        link.mend()
        # Nothing was sent again, and the connection works and knows.
        expected = 99 if arrives else 10
        assert ask(cursor, "SELECT v FROM t WHERE id = 1") == ((expected,),)
        cursor.execute("UPDATE t SET v = 5 WHERE id = 1")
        connection.commit()
        assert ask(cursor, "SELECT v FROM t WHERE id = 1") == ((5,),)


def test_a_lost_answer_to_a_write_in_a_transaction_is_no_unknown_outcome(begin, cluster):
    with cluster.link(cluster.primary) as link:
        connection = begin(port=link.port, read_timeout=1)
        cursor = connection.cursor()
        cursor.execute("UPDATE t SET v = 99 WHERE id = 1")
        link.mute = True
        with pytest.raises(rwsplit.OperationalError) as caught:
            cursor.execute("UPDATE t SET v = 98 WHERE id = 1")
        assert not isinstance(caught.value, rwsplit.OutcomeUnknown)
        link.mend()
        link.cut()
        link.mend()
        cursor.execute("ROLLBACK")
        assert ask(cursor, ALL) == ((1, 10), (2, 20))


def test_the_next_read_after_a_commit_sees_it_without_asking(begin):
    connection = begin()
    warm(connection)
    cursor = connection.cursor()
    for number in range(5):
        cursor.execute("UPDATE t SET v = %s WHERE id = 1", (number,))
        ask(cursor, ALL)
        connection.commit()
        with counted(connection) as sent:
            assert ask(cursor, "SELECT v FROM t WHERE id = 1") == ((number,),)
            assert cursor.route.role == "replica"
            # Once it has to ask; from then on the answer comes with the COMMIT.
            assert len(sent) == (number == 0)
        connection.commit()


# What applications send.

# SQLAlchemy 2.1, mysql+pymysql, ORM: one session that reads, then one that reads and writes.
SQLALCHEMY = """
R SELECT @@transaction_isolation
N ROLLBACK
R SELECT t.id AS t_id, t.v AS t_v FROM t WHERE t.id = 1
R SELECT t.id AS t_id, t.v AS t_v FROM t ORDER BY t.id LIMIT 10
N ROLLBACK
R SELECT t.id AS t_id, t.v AS t_v FROM t WHERE t.id = 2
P UPDATE t SET v=21 WHERE t.id = 2
P COMMIT
R SELECT t.id AS t_id, t.v AS t_v FROM t WHERE t.id = 2
N ROLLBACK
"""

# Django: atomic() around an atomic() that reads, and one that writes.
DJANGO = """
P SET AUTOCOMMIT = 0
R SELECT `t`.`id`, `t`.`v` FROM `t` WHERE `t`.`id` = 1 LIMIT 21
N SAVEPOINT `s1_x1`
R SELECT `t`.`id`, `t`.`v` FROM `t` ORDER BY `t`.`id` ASC
N RELEASE SAVEPOINT `s1_x1`
N COMMIT
P SET AUTOCOMMIT = 1
P SET AUTOCOMMIT = 0
R SELECT `t`.`id`, `t`.`v` FROM `t` WHERE `t`.`id` = 2 LIMIT 21
N SAVEPOINT `s1_x2`
P UPDATE `t` SET `v` = 22 WHERE `t`.`id` = 2
P RELEASE SAVEPOINT `s1_x2`
P COMMIT
P SET AUTOCOMMIT = 1
R SELECT `t`.`id`, `t`.`v` FROM `t` WHERE `t`.`id` = 2
"""


@pytest.mark.parametrize(("trace", "autocommit"), [(SQLALCHEMY, False), (DJANGO, True)])
def test_traces_of_applications(connect, two, cluster, trace, autocommit):
    connection = connect(autocommit=autocommit)
    connection.cluster.habits.clear()
    cursor = connection.cursor()
    where = {"R": "replica", "P": "primary", "N": "none"}
    for line in trace.strip().splitlines():
        expected, _, sql = line.partition(" ")
        if "@@transaction_isolation" in sql and cluster.flavor == "mariadb":
            continue  # it has that name from 11.1 on
        cursor.execute(sql)
        assert cursor.route.role == where[expected], (sql, cursor.route)


def test_a_transaction_that_usually_writes_begins_on_the_primary(begin):
    connection = begin()
    cursor = connection.cursor()
    roles = []
    for _ in range(6):
        roles.append(role(cursor, "SELECT v FROM t WHERE id = 1"))
        cursor.execute("UPDATE t SET v = v + 1 WHERE id = 1")
        connection.commit()
    assert roles[0] == "replica"
    assert roles[2:] == ["primary"] * 4
    assert "wrote" in connection.route.reason or roles
    # And back again, when it only reads.
    roles = []
    for _ in range(6):
        roles.append(role(cursor, "SELECT v FROM t WHERE id = 1"))
        connection.commit()
    assert roles[0] == "primary"
    assert roles[-1] == "replica"


def test_a_plain_server_without_tracking_keeps_all_on_the_primary(begin, monkeypatch):
    from rwsplit._drivers.pymysql import PhysicalConnection

    real = PhysicalConnection._get_server_information

    def without(self):
        real(self)
        self.client_flag &= ~(1 << 23)
        self.tracks = False

    with begin() as other:
        pool = other.cluster.pool
    # The handshake is what is looked at: no wire of a connection before, and none for those after.
    pool.close_idle()
    monkeypatch.setattr(PhysicalConnection, "_get_server_information", without)
    with begin() as connection:
        assert role(connection.cursor(), ALL) == "primary"
        connection.commit()
        connection.autocommit(True)
        cursor = connection.cursor()
        cursor.execute("USE information_schema")  # which only tracking would tell
        cursor.execute("SELECT DATABASE()")
        assert cursor.fetchone() == ("information_schema",)
        assert cursor.route.cause == "driver"
    pool.close_idle()


def test_pymysql_itself_does_the_same_beside(cluster, begin):
    """One program of transactions, through both."""
    program = [
        ("SELECT v FROM t WHERE id = 1", None),
        ("UPDATE t SET v = v + 1 WHERE id = 1", None),
        ("SELECT ROW_COUNT()", None),
        ("SAVEPOINT a", None),
        ("INSERT INTO t VALUES (3, 30)", None),
        ("ROLLBACK TO a", None),
        ("SELECT COUNT(*) FROM t", None),
        ("COMMIT", None),
        ("SELECT ROW_COUNT()", None),
        ("ROLLBACK TO a", None),
        ("BEGIN", None),
        ("SELECT ROW_COUNT()", None),
        ("DELETE FROM t WHERE id = 2", None),
        ("ROLLBACK", None),
        ("SELECT COUNT(*) FROM t", None),
        ("START TRANSACTION READ ONLY", None),
        ("DELETE FROM t WHERE id = 2", None),
        ("SELECT SUM(v) FROM t", None),
        ("COMMIT AND CHAIN", None),
        ("SELECT SUM(v) FROM t", None),
        ("DELETE FROM t WHERE id = 2", None),
        ("COMMIT", None),
        ("SELECT FOUND_ROWS()", None),
    ]

    def run(connection):
        cursor = connection.cursor()
        found = []
        for sql, args in program:
            try:
                cursor.execute(sql, args)
                found.append((sql, cursor.rowcount, cursor.fetchall()))
            except pymysql.MySQLError as error:
                found.append((sql, error.args[0]))
        connection.rollback()
        cursor.execute("UPDATE t SET v = 10 WHERE id = 1")
        connection.commit()
        return found

    with cluster.connect(cluster.primary, autocommit=False) as plain:
        expected = run(plain)
    assert run(begin()) == expected
