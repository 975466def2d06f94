"""Pools: wires outlive their connections, and nothing of a session outlives it."""

import contextlib
import os
import threading
import time

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
