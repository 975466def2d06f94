"""mysql-connector-python wrapped: what it has beside what every driver must do (`test_drivers`)."""

import threading
import time
from contextlib import closing

import mysql.connector
import pytest
from mysql.connector import ClientFlag
from mysql.connector.cursor import MySQLCursor

import rwsplit
from rwsplit._core.wire import Capability


@pytest.fixture
def account(cluster):
    """The keywords of the primary; and the replicas."""
    options = {**cluster.connect_options}
    return options, options.pop("replicas")


@pytest.fixture
def connect(account):
    """Makes virtual connections; closed after the test."""
    opened = []

    def make(**overrides):
        options, replicas = account
        db = rwsplit.wrap(mysql.connector, replicas=replicas, max_wait=5)
        connection = db.connect(**{**options, "autocommit": True, **overrides})
        opened.append(connection)
        return connection

    yield make
    for connection in opened:
        connection.close()


def rows(connection, sql, args=(), **how):
    with connection.cursor(**how) as cursor:
        cursor.execute(sql, args)
        return cursor.fetchall()


def for_replica(cursor):
    """Tell whether a replica served it, or would have, had none been expected to come too late."""
    return cursor.route.role == "replica" or cursor.route.cause == "not_caught_up"


def fill(connection, number=5):
    connection.cursor().executemany(
        "INSERT INTO t VALUES (%s, %s)", [(n, 10 * n) for n in range(number)]
    )


# Cursors.


def test_each_kind_of_cursor_gives_what_it_gives_alone(connect, cluster, account, table):
    ours = connect()
    fill(ours)
    sql = "SELECT id, v, 'é' AS e, NULL AS n, x'ff00' AS b, 1.50 AS d, NOW() > 0 AS w FROM t"
    with closing(mysql.connector.connect(use_pure=True, **account[0])) as alone:
        for how in (
            {},
            {"buffered": True},
            {"buffered": False},
            {"raw": True},
            {"buffered": True, "raw": True},
            {"dictionary": True},
            {"buffered": True, "dictionary": True},
            {"cursor_class": type("Own", (MySQLCursor,), {})},
        ):
            seen = []
            for connection in (ours, alone):
                cursor = connection.cursor(**how)
                cursor.execute(f"{sql} ORDER BY id")
                seen.append(
                    [
                        *(cursor.rowcount, cursor.column_names, cursor.with_rows),
                        [column[1:] for column in cursor.description],
                        *(cursor.fetchone(), cursor.rowcount, cursor.fetchmany(2)),
                        *(cursor.fetchall(), cursor.rowcount, cursor.fetchone()),
                    ]
                )
                cursor.close()
            assert seen[0] == seen[1], how


def test_what_is_unread_is_in_the_way_as_it_is_alone(connect, table):
    connection = connect()
    fill(connection)
    for how in ({}, {"buffered": False}):
        cursor = connection.cursor(**how)
        cursor.execute("SELECT id FROM t ORDER BY id")
        assert cursor.fetchone() == (0,)
        for refused in (
            lambda cursor=cursor: cursor.execute("SELECT 1"),
            connection.cursor,
            connection.commit,
            lambda: setattr(connection, "autocommit", False),
        ):
            with pytest.raises(mysql.connector.InternalError, match="Unread result found"):
                refused()
        assert cursor.fetchall() == [(1,), (2,), (3,), (4,)]
        assert rows(connection, "SELECT 2") == [(2,)]
        cursor.execute("SELECT id FROM t")
        connection.rollback()  # which reads it away
    consuming = connect(consume_results=True)
    consuming.cursor().execute("SELECT id FROM t")
    assert rows(consuming, "SELECT 3") == [(3,)]


def test_a_stream_holds_its_rows_with_the_server(connect, table):
    connection = connect()
    fill(connection)
    cursor = connection.cursor(buffered=False)
    cursor.execute("SELECT a.id FROM t a, t b, t c, t d, t e")
    assert connection.answer.unbuffered_active
    assert sum(1 for _ in cursor) == 5**5
    assert not connection.answer.unbuffered_active
    assert rows(connection, "SELECT COUNT(*) FROM t") == [(5,)]


def test_results_of_a_procedure(connect, cluster, table):
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("DROP PROCEDURE IF EXISTS doubles")
    cursor.execute(
        "CREATE PROCEDURE doubles(IN x INT, OUT y INT) BEGIN SELECT x; "
        "INSERT INTO t VALUES (x, x); SET y = 2 * x; END"
    )
    with pytest.warns(DeprecationWarning):
        assert cursor.callproc("doubles", (4, 0)) == (4, 8)
        assert [each.fetchall() for each in cursor.stored_results()] == [[(4,)]]
    assert rows(connection, "SELECT v FROM t") == [(4,)]
    cursor.execute("SELECT 1; UPDATE t SET v = 5; SELECT v FROM t", map_results=True)
    seen = [(cursor.statement, cursor.fetchall())]
    while cursor.nextset():
        seen.append((cursor.statement, cursor.fetchall() if cursor.with_rows else cursor.rowcount))
    assert seen == [("SELECT 1", [(1,)]), ("UPDATE t SET v = 5", 1), ("SELECT v FROM t", [(5,)])]
    cursor.execute("DROP PROCEDURE doubles")


def test_warnings_are_fetched_from_who_has_them(connect, table):
    connection = connect()
    connection.raise_on_warnings = True
    cursor = connection.cursor()
    with pytest.raises(mysql.connector.Error) as warned:
        cursor.execute("SELECT CAST('x' AS SIGNED) FROM DUAL")
        cursor.fetchall()
    assert warned.value.errno == 1292
    assert rows(connection, "SELECT 1") == [(1,)]


def test_what_is_not_there_is_refused(connect):
    connection = connect()
    for how in ({"prepared": True}, {"read_timeout": 1}):
        with pytest.raises(mysql.connector.NotSupportedError) as refused:
            connection.cursor(**how)
        assert refused.value.errno == 1235
    for name in ("cmd_change_user", "cmd_reset_connection", "cmd_stmt_prepare", "reset_session"):
        with pytest.raises(mysql.connector.NotSupportedError, match=name) as refused:
            getattr(connection, name)
        assert refused.value.errno == 1235
    assert rows(connection, "SELECT 1") == [(1,)]


# The session.


def test_its_properties_are_the_sessions(connect, table):
    connection = connect(autocommit=False, time_zone="+03:00", sql_mode="ANSI")
    assert connection.autocommit is False
    assert connection.time_zone == "+03:00"
    assert "ANSI" in connection.sql_mode
    assert (connection.database, connection.in_transaction) == ("shop", False)
    rows(connection, "SELECT COUNT(*) FROM t")
    connection.commit()
    connection.autocommit = True
    connection.time_zone = "+04:00"
    connection.database = "information_schema"
    connection.sql_mode = ["NO_BACKSLASH_ESCAPES"]
    asked = "SELECT @@time_zone, DATABASE(), @@sql_mode, %s"
    cursor = connection.cursor()
    cursor.execute(asked, ("it\\'s",))
    assert cursor.fetchall() == [("+04:00", "information_schema", "NO_BACKSLASH_ESCAPES", "it\\'s")]
    assert for_replica(cursor), cursor.route


def test_keywords_of_the_session_hold_on_replicas(connect, table):
    connection = connect(time_zone="+03:00", sql_mode="ANSI", init_command="SET @here = 'x'")
    cursor = connection.cursor()
    cursor.execute("SELECT @@time_zone, 'a' || 'b', @here FROM t RIGHT JOIN (SELECT 1) o ON 1")
    assert cursor.fetchall() == [("+03:00", "ab", "x")]
    assert for_replica(cursor), cursor.route


def test_texts_in_another_character_set(connect, cluster, table):
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS texts")
    cursor.execute("CREATE TABLE texts (`ä` VARCHAR(9)) CHARSET utf8mb4")
    connection.set_charset_collation("latin1")
    assert (connection.charset, connection.python_charset) == ("latin1", "latin1")
    cursor.execute("INSERT INTO texts VALUES (%s)", ("ü",))
    for _ in range(2):
        cursor.execute("SELECT *, @@character_set_results FROM texts")
        assert cursor.fetchall() == [("ü", "latin1")]
        assert cursor.column_names[0] == "ä"
        assert for_replica(cursor), cursor.route
        with cluster.connect(cluster.primary) as other:  # and once it is made again
            other.query(f"KILL {connection.connection_id}")
        cursor.execute("UPDATE texts SET `ä` = %s", ("ü",))
    assert rows(connect(), "SELECT HEX(`ä`) FROM texts") == [("C3BC",)]
    cursor.execute("DROP TABLE texts")


def test_transactions_by_its_own_calls(connect, table):
    connection = connect()
    connection.start_transaction(isolation_level="read-committed", readonly=True)
    cursor = connection.cursor()
    with pytest.raises(mysql.connector.Error) as refused:
        cursor.execute("INSERT INTO t VALUES (1, 1)")
    assert refused.value.errno == 1792
    with pytest.raises(mysql.connector.ProgrammingError, match="already in progress"):
        connection.start_transaction()
    connection.rollback()
    with pytest.raises(ValueError, match="isolation"):
        connection.start_transaction(isolation_level="none")
    connection.start_transaction(consistent_snapshot=True)
    cursor.execute("INSERT INTO t VALUES (1, 1)")
    assert connection.in_transaction
    connection.commit()
    assert not connection.in_transaction
    assert rows(connection, "SELECT COUNT(*) FROM t") == [(1,)]


def test_a_file_that_is_loaded_is_seen_on_replicas(connect, cluster, table, tmp_path):
    """Its OK packet comes to the driver alone."""
    path = tmp_path / "rows"
    path.write_text("1\t10\n2\t20\n")
    with cluster.admin(cluster.primary) as admin:
        admin.cursor().execute("SET GLOBAL local_infile = 1")
    connection = connect(allow_local_infile=True)
    before = connection.position
    cursor = connection.cursor()
    cursor.execute(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE t")
    assert cursor.rowcount == 2
    assert connection.position != before
    cursor.execute("SELECT COUNT(*) FROM t")
    assert cursor.fetchall() == [(2,)]
    assert for_replica(cursor), cursor.route


# The connection.


def test_without_its_flag_all_runs_on_the_primary(account, table):
    options, replicas = account
    own = mysql.connector.connect(use_pure=True, autocommit=True, **options)
    with closing(rwsplit.wrap(own, replicas=replicas)) as connection:
        assert Capability.TRACKS_WRITES not in connection.capabilities
        cursor = connection.cursor()
        cursor.execute("INSERT INTO t VALUES (1, 1)")
        cursor.execute("SELECT COUNT(*) FROM t")
        assert (cursor.fetchall(), cursor.route.role) == ([(1,)], "primary")
        assert cursor.route.cause == "driver"


@pytest.mark.parametrize("own", [{"compress": True}, {"client_flags": [ClientFlag.FOUND_ROWS]}])
def test_with_other_ways_to_speak(connect, table, own):
    connection = connect(**own)
    assert (Capability.PIPELINES in connection.capabilities) == ("compress" not in own)
    cursor = connection.cursor()
    for number in range(5):
        cursor.execute("INSERT INTO t VALUES (%s, 1)", (number,))
        cursor.execute("SELECT COUNT(*), REPEAT('x', 100000) FROM t")
        assert cursor.fetchall() == [(number + 1, "x" * 100000)]
        assert for_replica(cursor), cursor.route
    cursor.execute("UPDATE t SET v = 1 WHERE id = 1")
    assert cursor.rowcount == int("compress" not in own)


def test_what_was_left_unread_on_its_own_connection_is_read_away(connect, table):
    connection = connect()
    fill(connection)
    connection.wrapped.cursor().execute("SELECT id FROM t")
    for where in ("primary", "replica"):
        assert rows(connection, f"SELECT /* rwsplit: {where} */ 1") == [(1,)]


def test_whether_it_lives(connect, cluster):
    connection = connect()
    assert connection.is_connected()
    with cluster.connect(cluster.primary) as other:
        other.query(f"KILL {connection.connection_id}")
    connection.reconnect()
    connection.ping(reconnect=True)
    assert connection.is_connected()
    connection.close()
    connection.close()
    assert not connection.is_connected()
    with pytest.raises(mysql.connector.InterfaceError, match="not available"):
        connection.ping()
    with pytest.raises(mysql.connector.OperationalError, match="not available"):
        connection.cursor()


def test_a_reader_that_waits_too_long_is_out_of_time(connect, table):
    connection = connect(read_timeout=1)
    for where, number in (("primary", 2013), ("replica", 1317)):
        with pytest.raises(mysql.connector.Error) as late:
            rows(
                connection,
                f"SELECT /* rwsplit: {where} */ SLEEP(5) FROM t RIGHT JOIN (SELECT 1) o ON 1",
            )
        assert late.value.errno == number
    assert rows(connection, "SELECT 1") == [(1,)]


def test_a_statement_is_cancelled_from_another_thread(connect):
    connection = connect()
    timer = threading.Timer(0.5, connection.cancel)
    timer.start()
    began = time.monotonic()
    try:
        rows(connection, "SELECT SLEEP(20) FROM (SELECT 1) o")
    except mysql.connector.Error as error:
        assert error.errno == 1317
    assert time.monotonic() - began < 10
    timer.join()
    assert rows(connection, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("way", ["creator", "module"])
def test_sqlalchemy(cluster, account, table, way):
    sa = pytest.importorskip("sqlalchemy")
    options, replicas = account
    db = rwsplit.wrap(mysql.connector, replicas=replicas, max_wait=5)
    url = "mysql+mysqlconnector://"
    if way == "creator":
        engine = sa.create_engine(url, creator=lambda: db.connect(**options), pool_pre_ping=True)
    else:
        url += "{user}:{password}@{host}:{port}/{database}".format(**options)
        engine = sa.create_engine(url, module=db, pool_pre_ping=True)
    roles = []

    @sa.event.listens_for(engine, "after_cursor_execute")
    def note(conn, cursor, statement, *_):
        roles.append(for_replica(cursor))

    t = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("v", sa.Integer))
    with engine.begin() as connection:
        connection.execute(t.insert(), [{"id": n, "v": n} for n in range(10)])
    roles.clear()
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.sum(t.c.v))).scalar() == 45
        streamed = connection.execution_options(stream_results=True).execute(sa.select(t.c.id))
        assert sorted(streamed.scalars()) == [*range(10)]
        with pytest.raises(sa.exc.ProgrammingError):
            connection.execute(sa.text("SELECT * FROM nosuch"))
    assert all(roles[:2])
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        assert connection.execute(sa.text("SELECT :x"), {"x": "é"}).scalar() == "é"
        assert "t" in sa.inspect(connection).get_table_names()
        with cluster.connect(cluster.primary) as other:
            other.query(f"KILL {connection.connection.driver_connection.connection_id}")
        assert connection.execute(t.update().values(v=99)).rowcount == 10
    engine.dispose()
