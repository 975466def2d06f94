"""Who shares sees what the others have committed, and nobody waits for what nobody has.

By default a program is one session, and a connection begins where the primary is. What was only
asked for is told to nobody; what a store returns is not trusted; a mark ends when its outcome is
known.
"""

import contextlib
import gc
import itertools
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import MySQLdb
import pytest

import rwsplit
from rwsplit._core.cluster.position import GtidList, GtidSet, decode, encode
from rwsplit._stores import Stored
from rwsplit.constants import CLIENT
from tests.inside import ask_primary

_numbers = itertools.count(1)
ALONE = {"session_id_kind": "connection", "after": None}
_READ = "SELECT v FROM t WHERE id = 1"


def value(connection, sql=_READ):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
    return row and row[0]


def run(connection, sql, *args):
    with connection.cursor() as cursor:
        cursor.execute(sql, *args)


@pytest.fixture
def late(cluster, row):
    """Everything comes to the replicas a second later."""
    for replica in cluster.replicas:
        cluster.delay(replica, 1.0)


@pytest.fixture(params=["sqlite", "redis"])
def store(request, tmp_path):
    """A store with marks that nobody else uses, as `session_store` names it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/sessions.db"
    return f"{request.getfixturevalue('redis_url')}?prefix=fault{next(_numbers)}:"


def forged(cluster, connection, ahead=10_000):
    """A position that nobody has."""
    if cluster.flavor == "mysql":
        return GtidSet.parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5")
    run(connection, "REPLACE INTO t VALUES (9, 9)")
    domain, server, number = next(iter(decode(connection.position)))
    return GtidList.parse(f"{domain}-{server}-{number + ahead}")


def returns_to_replicas(connection, seconds=10.0):
    """Replicas that were late are looked at again within a second or so."""
    done = threading.Event()
    timer = threading.Timer(seconds, done.set)
    timer.start()
    try:
        while not done.wait(0.02):
            value(connection)
            if connection.route.role == "replica":
                return True
        return False
    finally:
        timer.cancel()


# A program is one session, and begins where the primary is.


def test_a_pool_of_three_sees_its_own_commits(cluster, late):
    """As SQLAlchemy does it: each block of code takes the next connection, and gives it back."""
    pool = [rwsplit.connect(**cluster.connect_options) for _ in range(3)]
    turns = itertools.cycle(pool)
    stale = 0
    for number in range(1, int(os.environ.get("RWSPLIT_TEST_READS", "12")) + 1):
        writer = next(turns)
        run(writer, "UPDATE t SET v = %s WHERE id = 1", (number,))
        writer.commit()
        reader = next(turns)
        stale += value(reader) != number
        reader.rollback()
    assert not stale
    for connection in pool:
        connection.close()


def by_procedure(connection, number):
    run(connection, "CALL wrote(%s)", (number,))


def by_function(connection, number):
    assert value(connection, f"SELECT writes({number})") == number


def by_execute(connection, number):
    run(connection, f"PREPARE s FROM 'UPDATE t SET v = {number} WHERE id = 1'")
    run(connection, "EXECUTE s")


def by_transaction(connection, number):
    connection.begin()
    run(connection, "UPDATE t SET v = %s WHERE id = 1", (number,))
    run(connection, "/* a */ COMMIT -- b")


def by_implicit_commit(connection, number):
    run(connection, "START TRANSACTION")
    run(connection, "UPDATE t SET v = %s WHERE id = 1", (number,))
    run(connection, "CREATE TABLE IF NOT EXISTS t (id INT)")


def by_toggling_autocommit(connection, number):
    connection.autocommit(False)
    run(connection, "UPDATE t SET v = %s WHERE id = 1", (number,))
    connection.autocommit(True)


def by_failing_procedure(connection, number):
    with pytest.raises(rwsplit.MySQLError):
        run(connection, "CALL fails(%s)", (number,))


def by_several_statements(connection, number):
    with connection.cursor() as cursor:
        cursor.execute(f"DO 1; UPDATE t SET v = {number} WHERE id = 1; DO 1")
        while cursor.nextset():
            pass


def by_stream(connection, number):
    with connection.cursor(rwsplit.cursors.SSCursor) as cursor:
        cursor.execute(f"SELECT writes({number})")
        cursor.fetchall()


def by_a_procedures_stream(connection, number):
    with connection.cursor(rwsplit.cursors.SSCursor) as cursor:
        cursor.execute(f"CALL wrote({number})")
        cursor.fetchall()
        while cursor.nextset():
            cursor.fetchall()
    connection.commit()


def by_what_is_not_fetched(connection, number):
    connection.cursor().execute(f"SELECT 1; UPDATE t SET v = {number} WHERE id = 1")


def wait_for(reader, number):
    """Wait for what is not fetched: the server may not have got there yet."""
    until = time.monotonic() + 10
    while value(reader) != number and time.monotonic() < until:
        assert reader.route.role == "primary"


WAYS = [
    *(by_procedure, by_function, by_execute, by_transaction, by_implicit_commit),
    *(by_toggling_autocommit, by_failing_procedure, by_several_statements, by_stream),
    *(by_a_procedures_stream, by_what_is_not_fetched),
]


@pytest.fixture
def routines(cluster, table):
    """What commits from within."""
    made = {
        "PROCEDURE wrote": "(n INT) UPDATE t SET v = n WHERE id = 1",
        "PROCEDURE fails": "(n INT) BEGIN UPDATE t SET v = n WHERE id = 1; "
        "SIGNAL SQLSTATE '45000'; END",
        "FUNCTION writes": "(n INT) RETURNS INT DETERMINISTIC BEGIN "
        "UPDATE t SET v = n WHERE id = 1; RETURN n; END",
    }
    with contextlib.closing(cluster.admin(cluster.primary, database="shop")) as admin:
        cursor = admin.cursor()
        cursor.execute("INSERT INTO t VALUES (1, 0)")
        for routine, body in made.items():
            cursor.execute(f"DROP {routine.replace(' ', ' IF EXISTS ')}")
            cursor.execute(f"CREATE {routine}{body}")
    cluster.wait_caught_up()
    yield
    with contextlib.closing(cluster.admin(cluster.primary, database="shop")) as admin:
        for routine in made:
            admin.cursor().execute(f"DROP {routine}")


def test_whatever_way_one_connection_commits_the_others_see_it(cluster, connect, routines):
    writer, reader = connect(client_flag=CLIENT.MULTI_STATEMENTS), connect()
    assert value(reader) == 0
    assert returns_to_replicas(reader)
    for replica in cluster.replicas:
        cluster.stall(replica)
    for number, way in enumerate(WAYS, 1):
        way(writer, number)
        if way is by_what_is_not_fetched:
            wait_for(reader, number)
        assert value(reader) == number, (way.__name__, reader.route)
        assert value(writer) == number, (way.__name__, writer.route)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whatever_way_one_commits_the_others_of_its_id_see_it(cluster, connect, routines, way):
    writer = connect(client_flag=CLIENT.MULTI_STATEMENTS, session_id=way.__name__)
    reader = connect(session_id=way.__name__)
    assert value(reader) == 0
    assert returns_to_replicas(reader)
    for replica in cluster.replicas:
        cluster.stall(replica)
    way(writer, 1)
    if way is by_what_is_not_fetched:
        wait_for(reader, 1)
    assert value(reader) == 1, reader.route
    assert value(writer) == 1, writer.route
    for replica in cluster.replicas:
        cluster.resume(replica)
    assert returns_to_replicas(reader)


def test_a_thread_reads_what_another_one_wrote(cluster, connect, stalled):
    reader = connect()
    value(reader)

    def write():
        with rwsplit.connect(**cluster.connect_options) as connection:
            run(connection, "UPDATE t SET v = 5 WHERE id = 1")
            connection.commit()

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert value(reader) == 5
    # Where the test takes long, the replicas are known to be stalled by now.
    assert reader.route.cause in (rwsplit.Cause.NOT_CAUGHT_UP, rwsplit.Cause.UNFIT)


def migrate(options):
    """Apply what is missing, as frameworks do; returns how many that were."""
    with rwsplit.connect(**options) as connection:
        done = value(connection, "SHOW TABLES LIKE 'migrations'") and value(
            connection, "SELECT COUNT(*) FROM migrations WHERE name = 'first'"
        )
        if not done:
            run(connection, "CREATE TABLE IF NOT EXISTS migrations (name VARCHAR(20))")
            run(connection, "INSERT INTO migrations VALUES ('first')")
            connection.commit()
    return not done


def test_a_second_migrate_within_the_lag_applies_nothing(cluster, late):
    options = cluster.connect_options
    try:
        assert migrate(options)
        assert not migrate(options)
        program = f"from {__name__} import migrate; print(migrate({options!r}))"
        found = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        )
        assert found.stdout.strip() == b"False"
    finally:
        with cluster.connect(cluster.primary) as primary:
            primary.cursor().execute("DROP TABLE migrations")


def test_a_connection_for_each_request_sees_the_request_before(cluster, late):
    for number in range(1, 6):
        with rwsplit.connect(**cluster.connect_options) as connection:
            run(connection, "UPDATE t SET v = %s WHERE id = 1", (number,))
            connection.commit()
        with rwsplit.connect(**cluster.connect_options) as connection:
            # A text that no test has seen write behind it: then it would begin on the primary.
            assert value(connection, "SELECT v AS seen FROM t WHERE id = 1") == number


def test_a_new_connection_reads_nothing_older_than_its_own_start(cluster, connect, stalled):
    with cluster.connect(cluster.primary) as elsewhere:
        elsewhere.cursor().execute("UPDATE t SET v = 1 WHERE id = 1")
    assert value(connect(session_id_kind="connection", after=None)) == 0
    assert value(connect(session_id_kind="connection", after="")) == 0
    shared = (
        {"session_id": "newcomer"},
        {"session_id_kind": "user"},
        {"session_id_kind": "database"},
    )
    texts = {"after": "connect"}, {"after": "CONNECT"}
    for options in ({}, *texts, {"autocommit": False}, *shared):
        assert value(connect(**options)) == 1, options
    assert value(connect(consistency="eventual")) == 0
    assert value(connect(session_id_kind="connection")) == 1
    transaction = connect()
    run(transaction, "START TRANSACTION READ ONLY")
    assert value(transaction) == 1


def test_who_asks_for_less_gets_less(cluster, connect, stalled):
    writer = connect()
    readers = {
        "alone": connect(**ALONE),
        "provided, without an id": connect(session_id_kind="PROVIDED_IN_DBNAME", after=None),
        "by database": connect(session_id_kind="Database"),
        "by id": connect(session_id="somebody"),
        "eventual": connect(consistency="eventual"),
    }
    run(writer, "UPDATE t SET v = 1 WHERE id = 1")
    for name, reader in readers.items():
        assert value(reader) == 0, name
        assert reader.route.role == "replica", name
    with rwsplit.session_id("somebody else"):
        assert value(writer) == 0
    assert value(writer) == 1


def test_what_is_written_under_an_id_is_the_processs_as_well(cluster, connect, stalled):
    reader = connect()
    run(connect(session_id="a"), "UPDATE t SET v = 1 WHERE id = 1")
    assert value(reader) == 1
    with rwsplit.session_id("b"):
        run(connect(), "UPDATE t SET v = 2 WHERE id = 1")
    assert value(reader) == 2


def test_a_connection_that_is_connected_again_sees_what_it_wrote(cluster, connect, stalled):
    """Also where it shares with nobody, and begins with nothing."""
    connection = connect(session_id_kind="connection", after=None)
    run(connection, "UPDATE t SET v = 1 WHERE id = 1")
    connection.connect()
    assert value(connection) == 1
    run(connection, "UPDATE t SET v = 2 WHERE id = 1")
    connection.close()
    connection.connect()
    assert value(connection) == 2


def test_a_hint_asks_for_the_session_where_the_connection_does_not(cluster, connect, stalled):
    reader, writer = connect(consistency="eventual"), connect()
    run(writer, "UPDATE t SET v = 1 WHERE id = 1")
    assert value(reader) == 0
    assert value(reader, "SELECT /* rwsplit: consistency=session */ v FROM t WHERE id = 1") == 1
    with reader.consistency("session"):
        assert value(reader) == 1


def test_connections_with_other_replicas_share_the_process_as_well(cluster, connect, stalled):
    one, other = cluster.connect_options["replicas"]
    reader = connect(replicas=[one])
    for number, replicas in enumerate(([], [other], None), 1):
        run(connect(replicas=replicas), "UPDATE t SET v = %s WHERE id = 1", (number,))
        assert value(reader) == number, replicas


@pytest.fixture
def others(cluster, connect):
    """Connections to the same primary with other replicas, and with none."""
    names = cluster.connect_options["replicas"]

    def made(**options):
        return [connect(**{**options, "replicas": [*part]}) for part in (names[:1], names[1:], ())]

    return made


@pytest.mark.parametrize("kind", ["provided", "user", "database"])
def test_connections_with_other_replicas_share_a_session_id(cluster, others, table, kind):
    named = {"session_id": "u1"} if kind == "provided" else {"session_id_kind": kind}
    one, another, without = others(**named, max_wait=0.01)
    run(one, "INSERT INTO t VALUES (1, 0)")
    cluster.wait_caught_up()
    assert [value(each) for each in (one, another, without)] == [0, 0, 0]
    cluster.stall(cluster.replicas[0])
    for number, writer in enumerate((another, without, another), 1):
        run(writer, "UPDATE t SET v = %s", (number,))
        assert cluster._wait(cluster.replicas[1], cluster.position(cluster.primary), 10.0)
        # What all of the writer's own replicas have is not forgotten: others have others.
        for _ in range(3):
            assert value(writer) == number
        assert value(one) == number


@pytest.mark.parametrize("writer", [1, 2])
def test_what_all_replicas_of_one_connection_have_others_may_not(
    no_others, cluster, others, table, writer
):
    """So it is carried on, and what was brought is not taken away."""
    connections = others(max_wait=0.01)
    run(connections[0], "INSERT INTO t VALUES (1, 0), (2, 0)")
    cluster.wait_caught_up()
    assert [value(each) for each in connections] == [0, 0, 0]
    cluster.stall(cluster.replicas[0])
    with rwsplit.scope() as first:
        run(connections[0], "UPDATE t SET v = 1 WHERE id = 1")
    assert not first.settled
    with rwsplit.scope(after=first.position) as second:
        run(connections[writer], "UPDATE t SET v = 1 WHERE id = 2")
        assert cluster._wait(cluster.replicas[1], cluster.position(cluster.primary), 10.0)
        assert value(connections[writer]) == 1
    assert not second.settled
    cluster.resume(cluster.replicas[0])
    cluster.wait_caught_up()
    until = time.monotonic() + 10
    while not second.settled:
        assert time.monotonic() < until
        assert [value(each) for each in connections] == [1, 1, 1]
        time.sleep(0.1)


def test_a_forked_child_sees_what_its_parent_wrote(cluster, connect, stalled):
    run(connect(), "UPDATE t SET v = 7 WHERE id = 1")
    child = os.fork()
    if not child:
        found = None
        with contextlib.suppress(Exception):
            options = {**cluster.connect_options, "after": None}
            found = value(rwsplit.connect(**options))
        os._exit(found or 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7


def test_while_the_primary_is_away_a_connection_begins_where_it_was_last_seen(
    cluster, connect, stalled
):
    with cluster.link(cluster.primary) as link:
        options = {"host": "127.0.0.1", "port": link.port, "primary_wait": 0.2}
        with cluster.connect(cluster.primary) as elsewhere:
            elsewhere.cursor().execute("UPDATE t SET v = 1 WHERE id = 1")
        connect(**options).close()
        connect(**options).cluster.pool.close_idle()
        link.cut()
        reader = connect(**options, connect_timeout=1)
        with pytest.raises(rwsplit.OperationalError):
            value(reader)
        assert value(connect(**options, connect_timeout=1, after=None)) == 0
        reader.cluster.close()


HERE = str(Path(rwsplit.__file__).parent)


def calls_of(connection):
    """Our functions that one more read calls."""
    cursor = connection.cursor()
    for _ in range(500):
        # MariaDB's replicas are known to have caught up when they were looked at next.
        cursor.execute(_READ)
        if connection._session.is_free():
            break
        time.sleep(0.02)
    for pause in (0.0, 0.1, 0.1):  # while a replica of MySQL advances, what it tells is looked at
        time.sleep(pause)
        for _ in [*connection.cluster.replicas] * 2:
            cursor.execute(_READ)  # each replica's connection is open then
    found = []

    def note(frame, event, arg):
        # What a dictionary compares hangs on where the names lie in it.
        is_ours = frame.f_code.co_filename.startswith(HERE)
        if event == "call" and is_ours and frame.f_code.co_name not in ("__eq__", "__hash__"):
            found.append(frame.f_code.co_name)

    gc.disable()  # what other tests left would be collected amid the read
    sys.setprofile(note)
    try:
        cursor.execute(_READ)
    finally:
        sys.setprofile(None)
        gc.enable()
    assert cursor.route.role == "replica"
    return found


def test_a_read_of_who_shares_the_process_calls_nothing_more(cluster, connect, table):
    alone = connect(**ALONE)
    sharing = connect()
    run(sharing, "REPLACE INTO t VALUES (1, 1)")
    cluster.wait_caught_up()
    assert returns_to_replicas(sharing)
    assert sorted(calls_of(sharing)) == sorted(calls_of(alone))


def test_questions_aside_are_for_the_primary_that_there_is(cluster, connect, table):
    """A wire to the one before would tell where that one was."""
    connection = connect()
    with connection.cursor(rwsplit.cursors.SSCursor) as stream:
        stream.execute("SELECT /* rwsplit: primary */ 1 UNION SELECT 2")
        assert connection.position
        pool = connection.cluster.pool
        pool.close_idle(connection.cluster.primary.name)
        assert not [key for key in pool._idle if "question" in key]


# What was only asked for.


@pytest.mark.parametrize(
    "options",
    [
        {"session_id": "x"},
        {"database": "shop?sessionId=x"},
        {"session_id_kind": "database"},
        {"session_id_kind": "user"},
        {"session_id_kind": "connection"},
        {"session_id_kind": "provided"},
        {},
    ],
    ids=str,
)
def test_a_position_that_was_given_is_seen_whoever_shares_the_session(
    cluster, connect, stalled, options
):
    writer = connect(**ALONE)
    run(writer, "UPDATE t SET v = 1 WHERE id = 1")
    carried = writer.position
    assert value(connect(**options, after=carried)) == 1
    with rwsplit.session_id("y"):
        assert value(connect(**options, after=carried)) == 1
    waiting = connect(**{**options, "after": None})
    assert not waiting.wait_for(carried, 0.01)
    waiting.session_id = "z"
    assert value(waiting) == 1
    with rwsplit.session_id("w"):
        assert value(waiting) == 1
    waiting.select_db("shop@sessionId=v")
    assert value(waiting) == 1
    run(waiting, "SET @@read_after_write_consistency = 'INSTANCE'")
    assert value(waiting) == 1


def test_a_position_that_nobody_has_is_told_to_nobody(cluster, connect, table, store):
    for given in ("memory", store):
        options = {"session_id": f"x{next(_numbers)}", "session_store": given}
        liar, other = connect(**options), connect(**options)
        made_up = encode(forged(cluster, liar))
        assert not liar.wait_for(made_up, 0.001)
        run(liar, "REPLACE INTO t VALUES (1, 1)")
        run(connect(**options, after=made_up), "REPLACE INTO t VALUES (1, 2)")
        cluster.wait_caught_up()
        stored = other._session.identity.sharing.look(cluster.flavor)
        assert ask_primary(other).covers(stored.position)
        assert value(other) == 2
        assert returns_to_replicas(other)
        # Nor does it go to those who share the process.
        assert returns_to_replicas(connect())


@pytest.mark.parametrize("on_lag", ["wait", "primary"])
def test_what_a_store_has_and_nobody_else_is_let_go_of(cluster, connect, table, store, on_lag):
    """A failover has lost it, or somebody else has made it up."""
    for given in ("memory", store):
        options = {"session_id": f"y{next(_numbers)}", "session_store": given, "on_lag": on_lag}
        one, other = connect(**options), connect(**options)
        run(one, "REPLACE INTO t VALUES (1, 1)")
        cluster.wait_caught_up()
        keeps, key = one._session.identity.sharing._store, one._session.identity.sharing.key
        keeps.publish(key, keeps.open(key), forged(cluster, one))
        assert value(one) == 1
        assert returns_to_replicas(one)
        stored = keeps.get(key).position
        assert stored is None or ask_primary(one).covers(stored)
        assert returns_to_replicas(other)


def test_what_the_process_wrote_and_a_failover_lost_is_let_go_of(cluster, connect, table):
    run(connect(), "REPLACE INTO t VALUES (1, 1)")
    cluster.wait_caught_up()
    writer = connect()
    lost = forged(cluster, writer)
    process = writer.cluster.process
    process.note(str(lost).encode())
    reader = connect()
    try:
        assert value(reader) == 1
        assert returns_to_replicas(reader)
        assert value(connect()) == 1
        assert returns_to_replicas(connect())
    finally:
        heard = process.look(lambda: None).position
        process.let_go(heard, ask_primary(writer))


# What a store returns.


class Hostile:
    """A store of an application's own that returns what it likes."""

    def __init__(self, found):
        self.found = found

    def begin(self, position):
        raise OSError("no")

    def get(self, session_id):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def open(self, session_id):
        return None

    def publish(self, session_id, mark, position):
        raise KeyError(session_id)


UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
HUGE = ":".join([UUID, *(str(number) for number in range(1, 40_000, 2))])


@pytest.mark.parametrize(
    "found",
    [
        *(None, 1, "my1", (), Stored("ma1.0-1-5"), Stored(b"\xff"), Stored(5, 7)),
        *(KeyError("x"), OSError("y"), Stored(GtidSet.parse(HUGE)), (1, 2, 3)),
        *(Stored(GtidSet.parse(f"{UUID}:1")), Stored(GtidList.parse("0-1-1"))),
    ],
    ids=lambda found: f"{found!r:.40}",
)
def test_whatever_a_store_of_ones_own_does_statements_go_on(cluster, connect, table, found):
    connection = connect(session_id="x", session_store=Hostile(found), max_wait=0.01)
    for number in (1, 2):
        run(connection, "REPLACE INTO t VALUES (1, %s)", (number,))
        assert value(connection) == number
    connection.begin()
    run(connection, "REPLACE INTO t VALUES (1, 3)")
    connection.commit()
    assert value(connection) == 3
    cluster.wait_caught_up()
    foreign = isinstance(found, Stored) and getattr(found.position, "flavor", "") != cluster.flavor
    if not isinstance(found, Stored) or foreign:
        value(connection)
        assert connection.route.role == "primary"


def texts(cluster):
    other = "my1.3e11fa47-71ca-11e1-9e33-c80aa9429562.1-5"
    yield "other flavor", other if cluster.flavor == "mariadb" else "ma1.0-1-5"
    yield "garbage", "garbage; DROP TABLE t"
    yield "empty", ""
    yield "bytes", b"\xff\x00my1"
    yield "huge", "my1." + HUGE.replace(":", ".")
    yield "null", None


def spoil(store, key, text):
    """Put a text where a position should be."""
    if store.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(store.partition("///")[2])) as database:
            database.execute("UPDATE positions SET position = ? WHERE id = ?", (text, key))
            database.commit()
        return
    import redis

    address, _, prefix = store.partition("?prefix=")
    server = redis.Redis.from_url(address)
    if text is None:
        server.delete(f"{prefix}session:{key}")
        server.set(f"{prefix}session:{key}", "of another type")
    else:
        server.hset(f"{prefix}session:{key}", "position", text)
    server.close()


def test_what_somebody_else_put_into_a_store_is_no_error(cluster, connect, table, store):
    for number, (name, text) in enumerate(texts(cluster)):
        session_id = f"spoilt{number}"
        options = {"session_id": session_id, "session_store": store}
        writer, reader = connect(**options), connect(**options)
        if name == "null" and "redis" in store:
            continue  # its type is wrong then, which refuses writes: see below
        run(writer, "REPLACE INTO t VALUES (1, 0)")
        spoil(store, f"provided:{session_id}", text)
        assert value(reader) == 0, name
        assert reader.route.role == "primary", (name, reader.route)
        spoil(store, f"provided:{session_id}", text)
        run(writer, "REPLACE INTO t VALUES (1, %s)", (number,))
        assert value(reader) == number, name
        writer.begin()
        run(writer, "REPLACE INTO t VALUES (1, 99)")
        writer.commit()
        assert value(reader) == 99, name
        cluster.wait_caught_up()
        if name != "other flavor":
            assert returns_to_replicas(reader), name
        else:
            value(reader)
            assert reader.route.role == "primary"


def test_a_store_with_another_thing_in_the_place_of_an_entry(cluster, connect, table, redis_url):
    store = f"{redis_url}?prefix=type{next(_numbers)}:"
    connection = connect(session_id="t", session_store=store)
    run(connection, "REPLACE INTO t VALUES (1, 1)")
    spoil(store, "provided:t", None)
    assert value(connection) == 1
    assert connection.route.role == "primary"
    with pytest.raises(rwsplit.OperationalError, match="nothing was written"):
        run(connection, "REPLACE INTO t VALUES (1, 2)")
    assert value(connection) == 1


# Marks.


def is_marked(connection):
    """Tell whether others see that a write is under way."""
    sharing = connection._session.identity.sharing
    return sharing._store.get(sharing.key).is_open


def leave_open(connection):
    connection.begin()
    run(connection, "REPLACE INTO t VALUES (1, 5)")


def close(connection):
    leave_open(connection)
    connection.close()


def close_with_autocommit_off(connection):
    connection.autocommit(False)
    run(connection, "REPLACE INTO t VALUES (1, 5)")
    connection.close()


def leave_a_block(connection):
    with connection:
        run(connection, "SET autocommit = 0")
        run(connection, "DELETE FROM t")


def close_behind_an_error(connection):
    leave_open(connection)
    with pytest.raises(rwsplit.MySQLError):
        run(connection, "INSERT INTO t VALUES (1, 5)")
    connection.close()


def close_by_force(connection):
    leave_open(connection)
    connection._force_close()


def roll_back(connection):
    leave_open(connection)
    connection.rollback()


def roll_back_by_text(connection):
    leave_open(connection)
    run(connection, "/* x */ ROLLBACK")


def reconnect(connection):
    leave_open(connection)
    with contextlib.closing(rwsplit.connect(**options_of(connection))) as other:
        other.kill(connection.thread_id())
    with pytest.deprecated_call():
        connection.ping(reconnect=True)


def kill(connection):
    leave_open(connection)
    with contextlib.closing(rwsplit.connect(**options_of(connection))) as other:
        other.kill(connection.thread_id())
    with pytest.raises(rwsplit.MySQLError):
        for _ in range(50):
            run(connection, "REPLACE INTO t VALUES (1, 6)")


def kill_and_close(connection):
    leave_open(connection)
    with contextlib.closing(rwsplit.connect(**options_of(connection))) as other:
        other.kill(connection.thread_id())
    with contextlib.suppress(rwsplit.MySQLError):
        connection.close()


def lose_a_write(connection):
    """Its outcome is not known, and is asked for when the primary can be."""
    run(connection, "SET @a = 1")
    with contextlib.closing(rwsplit.connect(**options_of(connection))) as other:
        thread_id = connection.thread_id()
        timer = threading.Timer(0.3, other.kill, (thread_id,))
        timer.start()
        with pytest.raises(rwsplit.MySQLError):
            run(connection, "INSERT INTO t SELECT 100 + SLEEP(20), 1")
        timer.join()
    connection.close()


def call_and_close(connection):
    with connection.cursor() as cursor:
        cursor.execute("CALL answers()")
        cursor._result = None  # so it reads nothing more
    connection.close()


def change_the_id_behind_a_call(connection):
    cursor = connection.cursor()
    cursor.execute("CALL answers()")
    connection.session_id = "another"


def options_of(connection):
    return {
        "host": "127.0.0.1",
        "port": connection.port,
        "user": "app",
        "password": "secret",
        "database": "shop",
        "autocommit": True,
    }


ENDS = [
    *(close, close_with_autocommit_off, leave_a_block, close_behind_an_error, close_by_force),
    *(roll_back, roll_back_by_text, reconnect, kill, kill_and_close, lose_a_write),
    *(call_and_close, change_the_id_behind_a_call),
]


def test_a_mark_ends_when_its_outcome_is_known(cluster, connect, table, store):
    with contextlib.closing(cluster.admin(cluster.primary, database="shop")) as admin:
        admin.cursor().execute(
            "CREATE PROCEDURE answers() BEGIN SELECT 1; REPLACE INTO t VALUES (1, 5); SELECT 2; END"
        )
    try:
        for number, end in enumerate(ENDS):
            options = {"session_id": f"end{number}", "session_store": store}
            reader = connect(**options)
            end(rwsplit.connect(**{**cluster.connect_options, "autocommit": True, **options}))
            value(reader)
            assert not is_marked(reader), end.__name__
    finally:
        with contextlib.closing(cluster.admin(cluster.primary, database="shop")) as admin:
            admin.cursor().execute("DROP PROCEDURE answers")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_mark_ends_with_a_connection_that_nobody_holds_any_more(cluster, connect, table, store):
    options = {"session_id": "gc", "session_store": store}
    reader = connect(**options)
    forgotten = rwsplit.connect(**cluster.connect_options, **options)
    leave_open(forgotten)
    assert is_marked(reader)
    del forgotten
    gc.collect()
    value(reader)
    assert not is_marked(reader)


def test_a_program_that_ends_ends_its_marks(cluster, connect, table, store):
    options = {"session_id": "exit", "session_store": store}
    reader = connect(**options)
    program = (
        "import rwsplit\n"
        f"connection = rwsplit.connect(**{ {**cluster.connect_options, **options}!r})\n"
        "connection.cursor().execute('REPLACE INTO t VALUES (1, 1)')\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=env, check=True)
    value(reader)
    assert not is_marked(reader)


def test_a_forked_child_does_not_end_its_parents_mark(cluster, connect, table, store):
    options = {"session_id": "fork", "session_store": store}
    reader, writer = connect(**options), connect(**options)
    leave_open(writer)
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            writer._force_close()
            value(rwsplit.connect(**{**cluster.connect_options, **options}))
        os._exit(0)
    os.waitpid(child, 0)
    assert is_marked(reader)
    writer.commit()
    assert not is_marked(reader)
    assert value(reader) == 5


def test_a_position_has_all_that_a_read_before_it_saw(cluster, connect, table):
    """MySQL shows what a transaction wrote before `gtid_executed` has its GTID."""
    connection = connect(session_id_kind="connection", after=None)
    run(connection, "INSERT INTO t VALUES (1, 0)")
    before = ask_primary(connection)
    until = time.monotonic() + 3.0
    written = []

    def write():
        with cluster.connect(cluster.primary) as plain:
            cursor = plain.cursor()
            while time.monotonic() < until:
                cursor.execute("UPDATE t SET v = v + 1")
                written.append(1)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    read = early = 0
    while time.monotonic() < until:
        seen = value(connection, "SELECT v FROM t /* rwsplit: primary */")
        early += seen > transactions(ask_primary(connection), before)
        read += 1
    for thread in threads:
        thread.join()
    assert len(written) > 100
    assert read > 100
    assert early == 0


def test_a_read_on_a_replica_that_tells_less_than_it_saw_is_followed_there(cluster, connect, table):
    """MySQL shows what a replica has applied before `gtid_executed` has its GTID."""
    if cluster.flavor == "mariadb":
        pytest.skip("replicas of MariaDB tell no position with a read")
    ahead, behind = cluster.replicas
    writer = connect(**ALONE)
    choice = [ahead]

    def chosen(candidates, turn, view):
        return next((end for end in candidates if end.port == choice[0].port), candidates[0])

    connection = connect(**ALONE, policy=chosen)
    run(writer, "INSERT INTO t VALUES (1, 0)")
    cluster.wait_caught_up()
    assert value(connection) == 0
    run(writer, "UPDATE t SET v = 1")
    cluster.wait_caught_up()
    choice[0] = behind
    other = connect(**ALONE, policy=chosen)
    assert value(other) == 1
    one_earlier = connection.cluster.servers[other.route.endpoint].tail
    cluster.stall(behind)
    run(writer, "UPDATE t SET v = 2")
    assert cluster._wait(ahead, cluster.position(cluster.primary), 10.0)
    choice[0] = ahead
    (name,) = connection._members
    physical = connection._members[name].connection
    query = physical.query

    def told_late(*arguments):
        result = query(*arguments)
        physical.tails[:] = [one_earlier]
        return result

    physical.query = told_late
    assert value(connection) == 2
    physical.query = query
    choice[0] = behind
    assert value(connection) == 2
    assert connection.route.endpoint == name


def transactions(position, before):
    """How many transactions there have been since another position: each has one GTID."""
    if isinstance(position, GtidList):
        (now,), (then,) = [*position], [*before]
        return now[2] - then[2]
    return _highest(position) - _highest(before)


def _highest(position):
    """The number of the last transaction of the one server that writes."""
    (interval,) = [part.split(":", 1)[1] for part in str(position).split(",")]
    return int(re.split(r"[-:]", interval)[-1])


def test_a_wait_that_is_killed_says_so(cluster, connect, stalled):
    waiting, writer = connect(), connect()
    run(writer, "UPDATE t SET v = 1 WHERE id = 1")
    position, errors = writer.position, []

    def wait():
        try:
            waiting.wait_for(position, 20)
        except rwsplit.err.MySQLError as error:
            errors.append(error.args[0])

    thread = threading.Thread(target=wait)
    thread.start()
    sql = "SELECT id FROM information_schema.processlist WHERE info LIKE '%GTID%WAIT%' OR info LIKE"
    until = time.monotonic() + 20
    while thread.is_alive() and time.monotonic() < until:
        for replica in cluster.replicas:
            with cluster.admin(replica) as admin, admin.cursor() as cursor:
                cursor.execute(f"{sql} 'SELECT%WAIT_FOR_EXECUTED%'")
                for (number,) in cursor.fetchall():
                    if number != admin.thread_id():
                        with contextlib.suppress(rwsplit.err.MySQLError):
                            cursor.execute(f"KILL QUERY {number}")
        time.sleep(0.05)
    thread.join(20)
    assert errors == [1317]


@pytest.mark.parametrize("driver", ["pymysql", "mysqlclient"])
def test_a_write_waits_for_a_primary_that_is_late(cluster, table, tmp_path, driver):
    """Before the first write of a store the primary is asked, and nobody else can answer."""
    given = {**cluster.connect_options, "session_id": "late"}
    store = f"sqlite:///{tmp_path}/sessions.db"
    if driver == "mysqlclient":
        wrapped = rwsplit.wrap(MySQLdb, replicas=given.pop("replicas"), session_store=store)
        connection = wrapped.connect(**given, autocommit=True)
    else:
        connection = rwsplit.connect(**given, session_store=store, autocommit=True)
    with contextlib.closing(connection):
        cursor = connection.cursor()
        cluster.freeze(cluster.primary)
        resuming = threading.Timer(1.8, cluster.thaw, [cluster.primary])
        resuming.start()
        try:
            cursor.execute("INSERT INTO t VALUES (1, 5)")
        finally:
            resuming.join()
        cursor.execute("SELECT v FROM t WHERE id = 1")
        assert cursor.fetchall() == ((5,),)
