"""A transaction is one from the moment that it is said, and until it is ended: never half of it.

Every program runs on a plain PyMySQL connection to the primary and on rwsplit, while somebody else
commits to the same rows between the steps and the replicas catch up; each gives the same answers.
"""

import pymysql
import pytest
from pymysql.constants import CLIENT

import rwsplit

ALL = "SELECT id, v FROM t ORDER BY id"
ONE = "SELECT v FROM t WHERE id = 1"


@pytest.fixture
def other(cluster, table):
    """A cursor of somebody else, straight on the primary, autocommit on; `t` has two rows."""
    with cluster.connect(cluster.primary) as connection:
        cursor = connection.cursor()
        cursor.execute("SET innodb_lock_wait_timeout = 2")
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
                connection.cluster._habits.clear()
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
            steps.connection._set_level(level)
            steps.connection._note_freedom()
        steps.warm()
        steps.do(begin)
        steps.do(ONE)
        steps.meanwhile()
        steps.do(ONE)
        steps.do("COMMIT")
        steps.do(ALL)

    plain, ours = both(program)
    assert ours == plain
