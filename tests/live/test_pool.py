"""Pools: wires outlive their connections, and nothing of a session outlives it."""

import contextlib
import gc
import os
import socket
import sys
import threading
import time

import pymysql
import pytest

import rwsplit


@pytest.fixture
def fresh(cluster):
    """Keywords of a cluster that no other test has used, and its pool."""
    options = {**cluster.connect_options, "autocommit": True}
    options["replicas"] = [{"host": "127.0.0.1", "port": s.port} for s in cluster.replicas]
    options["program_name"] = f"pool {time.monotonic()}"
    return options


def test_a_connection_uses_the_wire_of_the_one_before(fresh):
    threads = [-1]
    until = time.monotonic() + 10
    while threads[-1] not in threads[:-1]:
        assert time.monotonic() < until
        with rwsplit.connect(**fresh) as connection:
            threads.append(connection.thread_id())
        time.sleep(0.2)  # a wire is used when the server has answered the reset
    with rwsplit.connect(**fresh) as connection:
        assert connection.get_host_info().startswith("socket")
        assert connection.cluster.pool.in_use.total() >= 1
    with rwsplit.connect(**{**fresh, "charset": "latin1"}) as connection:
        assert connection.thread_id() not in threads, "another account's"


LEFT_BEHIND = {
    "a user variable": ("SET @left = 1", "SELECT @left", (None,)),
    "a system variable": ("SET sql_mode = 'ANSI'", "SELECT @@sql_mode LIKE '%ANSI%'", (0,)),
    "the schema": ("USE information_schema", "SELECT DATABASE()", ("shop",)),
    "a temporary table": (
        "CREATE TEMPORARY TABLE left_over (id INT)",
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'left_over'",
        (0,),
    ),
    "a lock": ("SELECT GET_LOCK('left', 0)", "SELECT IS_FREE_LOCK('left')", (1,)),
    "an open transaction": ("BEGIN", "SELECT @@autocommit", (1,)),
    "autocommit": ("SET autocommit = 0", "SELECT @@autocommit", (1,)),
    "a charset": ("SET NAMES latin1", "SELECT @@character_set_client", ("utf8mb4",)),
    "a prepared statement": (
        "PREPARE left_over FROM 'SELECT 1'",
        "SELECT 1",
        (1,),
    ),
    "LAST_INSERT_ID": ("SELECT LAST_INSERT_ID(7)", "SELECT LAST_INSERT_ID()", (0,)),
    "read only": ("SET SESSION TRANSACTION READ ONLY", "SELECT 1", (1,)),
    "tracking": ("SET session_track_schema = OFF", "SELECT @@session_track_schema", (1,)),
}


@pytest.mark.parametrize("what", LEFT_BEHIND, ids=lambda what: what.replace(" ", "-"))
def test_nothing_of_a_session_is_seen_by_the_next(fresh, what):
    leave, look, expected = LEFT_BEHIND[what]
    connection = rwsplit.connect(**fresh)
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    cursor.execute(leave)
    cursor.execute("SELECT @left")
    connection.close()
    for _ in range(2):
        connection = rwsplit.connect(**fresh)
        cursor = connection.cursor()
        cursor.execute(f"{look} /* rwsplit: primary */")
        assert cursor.fetchone() == expected
        cursor.execute("SELECT @left, DATABASE()")
        assert cursor.fetchone() == (None, "shop")
        if what == "a prepared statement":
            with pytest.raises(rwsplit.Error):
                cursor.execute("EXECUTE left_over")
        cursor.execute("CREATE TABLE IF NOT EXISTS pooled (id INT)")
        connection.close()


def test_active_roles_survive_a_reset_so_their_wire_is_not_kept(cluster, fresh):
    """COM_RESET_CONNECTION leaves them as they are, on both flavors."""
    with cluster.admin(cluster.primary) as admin:
        admin.cursor().execute("CREATE ROLE IF NOT EXISTS pooled")
        admin.cursor().execute("GRANT pooled TO app@'%'")
    connection = rwsplit.connect(**fresh)
    thread = connection.thread_id()
    connection.cursor().execute("SET ROLE pooled")
    connection.close()
    with rwsplit.connect(**fresh) as connection:
        assert connection.thread_id() != thread


def test_a_temporary_table_that_replicas_keep_takes_no_rows_of_the_next(cluster, fresh, table):
    """MariaDB logs no DROP for one that was made in a transaction and went with a reset."""
    fresh["autocommit"] = False
    with rwsplit.connect(**fresh) as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO t VALUES (1, 10)")
        connection.commit()
        cursor.execute("CREATE TEMPORARY TABLE t (id INT, v INT)")
    time.sleep(0.2)
    with rwsplit.connect(**fresh) as connection:
        cursor = connection.cursor()
        cursor.execute("UPDATE t SET v = v + 1 WHERE id = 1")
        connection.commit()
        cluster.wait_caught_up()
        for server in cluster.servers:
            with cluster.connect(server) as plain:
                cursor = plain.cursor()
                cursor.execute("SELECT id, v FROM t")
                assert cursor.fetchall() == ((1, 11),), server


def test_a_lock_is_free_as_soon_as_its_connection_is_closed(fresh, connect):
    holder = rwsplit.connect(**fresh)
    holder.cursor().execute("CREATE TABLE IF NOT EXISTS locked (id INT PRIMARY KEY)")
    holder.cursor().execute("REPLACE INTO locked VALUES (1)")
    holder.begin()
    holder.cursor().execute("UPDATE locked SET id = 2")
    holder.close()
    waiter = connect()
    waiter.cursor().execute("SET innodb_lock_wait_timeout = 5")
    waiter.cursor().execute("UPDATE locked SET id = 3")
    waiter.cursor().execute("SELECT id FROM locked /* rwsplit: primary */")


@pytest.mark.parametrize(
    "takes",
    [
        "SELECT GET_LOCK('closed', 0)",
        "SELECT IF(GET_LOCK('closed', 0), 'mine', 'not mine')",
        "SELECT COUNT(*) + 3 FROM information_schema.schemata WHERE GET_LOCK('closed', 0)",
    ],
)
def test_a_user_lock_is_free_as_soon_as_its_connection_is_closed(cluster, fresh, takes):
    holder = rwsplit.connect(**fresh)
    holder.cursor().execute(takes)
    holder.close()
    with cluster.connect(cluster.primary) as plain:
        cursor = plain.cursor()
        cursor.execute("SELECT GET_LOCK('closed', 5)")
        assert cursor.fetchone() == (1,)


def test_a_pool_keeps_no_more_than_its_size(cluster):
    name = "sized"
    replicas = [{"host": "localhost", "port": cluster.replicas[0].port, "name": name}]
    options = {**cluster.connect_options, "replicas": replicas, "autocommit": True}
    opened = [rwsplit.connect(**options, pool_size=2) for _ in range(5)]
    for connection in opened:
        connection.cursor().execute("SELECT 1 FROM information_schema.schemata")
    pool = opened[0].cluster.pool
    for connection in opened:
        connection.close()
    assert max(map(len, pool._idle.values())) == 2
    assert not pool.in_use.total()
    with rwsplit.connect(**options) as connection:
        with pytest.raises(ValueError, match="pool_size"):
            rwsplit.connect(**options, pool_size=3)
        assert connection.cluster.pool is pool


def test_what_the_server_closed_for_idling_is_reopened_unseen(cluster, fresh):
    """A peek before sending tells, so nothing is lost: not even the session's state."""
    connection = rwsplit.connect(**fresh)
    cursor = connection.cursor()
    cursor.execute("SET @kept = 7, SESSION wait_timeout = 1")
    cursor.execute("SELECT @kept")
    assert cursor.route.role == "replica"
    time.sleep(2.5)
    cursor.execute("SELECT @kept")
    assert int(cursor.fetchone()[0]) == 7
    cursor.execute("CREATE TABLE IF NOT EXISTS pooled (id INT)")
    cursor.execute("SELECT @kept /* rwsplit: primary */")
    assert int(cursor.fetchone()[0]) == 7
    connection.close()


def test_a_transaction_that_the_server_ended_is_lost_and_said_so(fresh):
    connection = rwsplit.connect(**fresh)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE IF NOT EXISTS pooled (id INT)")
    cursor.execute("SET SESSION wait_timeout = 1")
    connection.begin()
    cursor.execute("INSERT INTO pooled VALUES (1)")
    time.sleep(2.5)
    with pytest.raises(rwsplit.OperationalError) as caught:
        cursor.execute("INSERT INTO pooled VALUES (2)")
    assert caught.value.args[0] in (2006, 2013)
    with pytest.raises(rwsplit.InterfaceError, match="roll it back"):
        cursor.execute("INSERT INTO pooled VALUES (3)")
    connection.rollback()
    cursor.execute("SELECT COUNT(*) FROM pooled")
    connection.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_worker_shares_no_socket(cluster, fresh):
    connection = rwsplit.connect(**fresh)
    cursor = connection.cursor()
    cursor.execute("SET @kept = 7")
    cursor.execute("SELECT @kept")
    rwsplit.connect(**fresh).close()
    thread = connection.thread_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            told = []
            for _ in range(20):
                cursor.execute("SELECT @kept")
                told.append(int(cursor.fetchone()[0]))
            cursor.execute("SELECT CONNECTION_ID()")
            told.append(cursor.fetchone()[0])
            with rwsplit.connect(**fresh) as another:
                told.append(another.thread_id())
            os.write(writing, repr(told).encode())
        os._exit(0)
    for _ in range(200):
        cursor.execute("SELECT @kept")
        assert int(cursor.fetchone()[0]) == 7
    os.waitpid(child, 0)
    os.close(writing)
    told = eval(os.read(reading, 10_000))
    os.close(reading)
    assert told[:20] == [7] * 20
    assert thread not in told[20:]
    cursor.execute("SELECT CONNECTION_ID()")
    assert cursor.fetchone() == (thread,)
    connection.close()


def test_many_threads_connect_and_close(fresh):
    errors = []

    def work():
        try:
            for _ in range(20):
                with rwsplit.connect(**fresh) as connection:
                    cursor = connection.cursor()
                    cursor.execute("SELECT @mine")
                    assert cursor.fetchone() == (None,)
                    cursor.execute("SET @mine = 1")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    with rwsplit.connect(**fresh) as connection:
        pool = connection.cluster.pool
        assert all(len(idle) <= pool.size for idle in pool._idle.values())


# What it costs to connect, read and close over wires of the pool.


class Watched:
    """What goes over sockets: `>` for each thing sent, `<` where that is answered."""

    def __init__(self, monkeypatch):
        self.seen = ""
        send, read = socket.socket.sendall, socket.socket.recv

        def sends(sock, *args):
            self.seen += ">"
            return send(sock, *args)

        def reads(sock, *args):
            # MySQL may send each reply of several on its own.
            self.seen += "<" if self.seen.endswith(">") else ""
            return read(sock, *args)

        monkeypatch.setattr(socket.socket, "sendall", sends)
        monkeypatch.setattr(socket.socket, "recv", reads)


@pytest.fixture
def warm(cluster, fresh, table, no_others):
    """Connects, reads and closes; the wires for that are in the pool, and nobody is late."""
    cluster.wait_caught_up()
    options = {**fresh, "ssl_disabled": True}

    def visit(**keywords):
        with rwsplit.connect(**{**options, **keywords}) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT COUNT(*) FROM t WHERE id = %s", (1,))
            assert cursor.fetchone() == (0,)
            return cursor.route

    # An account that was not here for long authenticates over TLS alone (MySQL).
    with rwsplit.connect(**fresh) as connection:
        connection.cursor().execute("SELECT COUNT(*) FROM t")
    until = time.monotonic() + 10
    for _ in range(10):  # each replica has its turn
        while visit().role != "replica":
            assert time.monotonic() < until
            time.sleep(0.1)
    return visit


def test_to_connect_and_read_takes_two_round_trips(warm, monkeypatch):
    watched = Watched(monkeypatch)
    assert warm().role == "replica"
    assert watched.seen == "><><"


def test_what_other_modes_read_otherwise_waits_for_the_set_up(fresh, warm, monkeypatch):
    options = {**fresh, "ssl_disabled": True}
    with rwsplit.connect(**options) as connection:
        cursor = connection.cursor()
        watched = Watched(monkeypatch)
        cursor.execute("SELECT %s, COUNT(*) FROM t", ("it\\'s é",))
        assert cursor.fetchone() == ("it\\'s é", 0)
        assert cursor.route.role == "replica"
        assert watched.seen == "><><"


def test_where_a_reset_is_refused_all_goes_on_over_new_wires(warm, monkeypatch):
    monkeypatch.setattr(
        "rwsplit._drivers.pymysql.connection.RESET_CONNECTION", b"\x01\x00\x00\x00\x7e"
    )
    for _ in range(4):
        route = warm()
        assert (route.role, route.retries) == ("replica", 0)


def calls(work):
    """The Python functions that work calls."""
    found = []

    def note(frame, event, arg):
        if event == "call":
            found.append(frame.f_code.co_name)

    gc.disable()  # what other tests left would be collected amid it
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return found


def test_little_is_done_again_for_the_next_connection(warm, cluster):
    """Nothing is checked, made up or parsed twice; against PyMySQL's own connect and read."""
    options = {**cluster.connect_options, "autocommit": True, "ssl_disabled": True}
    del options["replicas"]

    def plain():
        with pymysql.connect(**options) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM t WHERE id = %s", (1,))
            cursor.fetchone()

    plain()
    most, until = 2.6 * len(calls(plain)), time.monotonic() + 10
    ours = calls(warm)
    while len(ours) >= most and time.monotonic() < until:
        time.sleep(0.05)  # until it is known that every replica has what was written before
        ours = min(ours, calls(warm), key=len)
    for once in ("parse_options", "frozen", "set_variable", "literal", "_identity", "statements"):
        assert once not in ours
    assert len(ours) < most


def test_what_may_hold_others_is_reset_at_once(warm, monkeypatch):
    watched = Watched(monkeypatch)
    warm(autocommit=False)
    watched.seen = ""
    warm(autocommit=False)
    assert watched.seen.endswith("><>>"), "each is sent the reset, and nobody waits for it"


def test_wires_that_were_killed_are_no_loss(cluster, warm):
    for server in cluster.servers:
        with cluster.admin(server) as admin:
            cursor = admin.cursor()
            cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'app'")
            for (thread,) in cursor.fetchall():
                with contextlib.suppress(rwsplit.Error):  # gone by now
                    cursor.execute(f"KILL {thread}")
    for _ in cluster.servers:
        route = warm()
        assert (route.role, route.retries) == ("replica", 0)
