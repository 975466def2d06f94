"""PyMySQL's own connections, which somebody else made: they and the virtual one are one."""

import logging
import threading
from contextlib import closing

import pymysql
import pytest
from pymysql.constants import CLIENT

import rwsplit
from rwsplit._core.wire import Capability


@pytest.fixture
def account(cluster):
    options = {**cluster.connect_options, "autocommit": True}
    return options, options.pop("replicas")


def lent(account, **overrides):
    """An open connection of the application's, and the virtual one."""
    options, replicas = account
    own = pymysql.connect(**{"client_flag": CLIENT.SESSION_TRACK, **options, **overrides})
    return own, rwsplit.wrap(own, replicas=replicas, max_wait=5)


def rows(cursor, sql):
    cursor.execute(sql)
    return cursor.fetchall()


def test_the_connection_of_the_application_works_on(account, table):
    own, split = lent(account)
    with closing(split):
        assert split.wrapped is own
        mine, theirs = split.cursor(), own.cursor()
        for number in range(3):
            mine.execute("INSERT INTO t VALUES (%s, 1)", (2 * number,))
            theirs.execute("INSERT INTO t VALUES (%s, 1)", (2 * number + 1,))
            assert len(rows(theirs, "SELECT id FROM t")) == 2 * number + 2
            assert len(rows(mine, "SELECT id FROM t")) >= 2 * number + 1
        split.set_character_set("latin1")
        split.begin()
        mine.execute("INSERT INTO t VALUES (100, 1)")
        assert own.encoding == "cp1252"
        assert own.server_status & 1
        split.rollback()
        assert rows(theirs, "SELECT 'é' = _latin1 x'e9'") == ((1,),)
    assert not own.open


def test_what_one_has_not_read_the_other_reads_away(account, table):
    own, split = lent(account)
    with closing(split):
        mine, theirs = split.cursor(pymysql.cursors.SSCursor), own.cursor(pymysql.cursors.SSCursor)
        for first, second in ((mine, theirs), (theirs, mine)):
            first.execute("SELECT 1 UNION ALL SELECT 2 /* rwsplit: primary */")
            with pytest.warns(UserWarning, match="incomplete"):
                assert rows(second, "SELECT 3 /* rwsplit: primary */") == [(3,)]
        with split.cursor() as cursor:
            cursor.execute("DROP PROCEDURE IF EXISTS two")
            cursor.execute("CREATE PROCEDURE two() BEGIN SELECT 1; SELECT 2; END")
            cursor.execute("CALL two()")
            with own.cursor() as other:
                assert rows(other, "SELECT 4") == ((4,),)
            with pytest.raises(pymysql.ProgrammingError) as confused:
                cursor.nextset()
            assert confused.value.args[0] == 2014
            cursor.execute("DROP PROCEDURE two")


def test_one_that_the_application_closes_is_lost(account, table):
    own, split = lent(account)
    cursor = split.cursor()
    own.close()
    with pytest.raises(pymysql.Error):
        cursor.execute("INSERT INTO t VALUES (1, 1)")
    split.close()


def test_one_that_a_function_makes_is_made_again(account, table):
    options, replicas = account
    made = []

    def make(endpoint):
        where = {"host": endpoint.host, "port": endpoint.port}
        made.append(pymysql.connect(**{**options, **where}, client_flag=CLIENT.SESSION_TRACK))
        return made[-1]

    primary = f"{options['host']}:{options['port']}"
    connect = rwsplit.wrap(make, primary=primary, replicas=replicas, driver=pymysql, max_wait=5)
    assert connect.OperationalError is pymysql.OperationalError
    with closing(connect()) as split:
        cursor = split.cursor()
        cursor.execute("SET @kept = 3")
        assert rows(cursor, "SELECT @kept") == ((3,),)
        before = split.wrapped
        before.close()
        assert rows(cursor, "SELECT @kept, CONNECTION_ID()") == ((3, split.thread_id()),)
        assert split.wrapped is not before
        assert split.wrapped in made


def test_a_connection_that_tells_nothing_runs_all_on_the_primary(account, table, caplog):
    with caplog.at_level(logging.WARNING, "rwsplit"):
        _, split = lent(account, client_flag=0)
    assert "CLIENT.SESSION_TRACK" in caplog.text
    with closing(split):
        assert split.capabilities == Capability.PIPELINES | Capability.RAW_ROWS
        cursor = split.cursor()
        cursor.execute("INSERT INTO t VALUES (1, 1)")
        assert rows(cursor, "SELECT COUNT(*) FROM t") == ((1,),)
        assert (cursor.route.role, cursor.route.cause) == ("primary", "driver")
        assert split.wrapped.cursor().execute("SELECT 1") == 1


def test_a_connection_that_tells_behind_rows_too_can_all(account, table):
    """With CLIENT.DEPRECATE_EOF, of which PyMySQL's own cursors know nothing."""
    _, split = lent(account, client_flag=CLIENT.SESSION_TRACK | CLIENT.DEPRECATE_EOF)
    with closing(split):
        assert split.capabilities == ~Capability.HANDS_OVER
        cursor = split.cursor()
        cursor.execute("INSERT INTO t VALUES (1, 1)")
        assert rows(cursor, "SELECT id, @a := 7 FROM t") == ((1, 7),)
        assert rows(cursor, "SELECT COUNT(*), @a FROM t") == ((1, 7),)
        assert cursor.route.role == "replica"


def test_replicas_are_connected_to_as_the_connection_was(account, table):
    """With its account and its time limits; what is said beside it counts more."""
    options, replicas = account
    own = pymysql.connect(**options, client_flag=CLIENT.SESSION_TRACK, read_timeout=40)
    with closing(rwsplit.wrap(own, replicas=replicas, max_wait=5, write_timeout=50)) as split:
        cursor = split.cursor()
        assert rows(cursor, "SELECT COUNT(*) FROM t") == ((0,),)
        assert cursor.route.role == "replica"
        (member,) = [each.connection for each in split._members.values()]
        assert (member._read_timeout, member._write_timeout) == (40, 50)
    with pytest.raises(TypeError, match="pasword"):
        rwsplit.wrap(own, replicas=replicas, pasword="x")


def test_a_closed_connection_is_not_wrapped(account):
    options, replicas = account
    own = pymysql.connect(**options)
    own.close()
    with pytest.raises(pymysql.InterfaceError, match="closed"):
        rwsplit.wrap(own, replicas=replicas)


def test_a_function_that_returns_anothers_connection(account):
    options, _ = account
    primary = f"{options['host']}:{options['port']}"
    connect = rwsplit.wrap(lambda endpoint: rwsplit.connect(**options), primary=primary)
    with pytest.raises(TypeError, match="can't wrap"):
        connect()


def test_sqlalchemy_with_a_creator(account, table):
    import sqlalchemy as sa

    options, replicas = account

    def make(endpoint):
        where = {"host": endpoint.host, "port": endpoint.port}
        return pymysql.connect(**{**options, **where}, client_flag=CLIENT.SESSION_TRACK)

    primary = f"{options['host']}:{options['port']}"
    creator = rwsplit.wrap(make, primary=primary, replicas=replicas, max_wait=5)
    engine = sa.create_engine("mysql+pymysql://", creator=creator, pool_pre_ping=True)
    roles = []

    @sa.event.listens_for(engine, "after_cursor_execute")
    def note(conn, cursor, statement, *_):
        roles.append(cursor.route.role)

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
    assert set(roles[:2]) == {"replica"}
    engine.dispose()


def test_a_statement_is_cancelled_from_another_thread(account, table):
    _, split = lent(account)
    with closing(split):
        with split.cursor() as cursor:
            cursor.execute("INSERT INTO t VALUES (1, 1), (2, 1)")
            timer = threading.Timer(0.3, split.cancel)
            timer.start()
            with pytest.raises(pymysql.OperationalError) as cancelled:
                cursor.execute("UPDATE t SET v = v + SLEEP(20)")
        timer.join()
        assert cancelled.value.args[0] == 1317
        with split.cursor() as cursor:
            assert rows(cursor, "SELECT 1") == ((1,),)


def test_large_rows_and_statements_go_through(account, table):
    _, split = lent(account, max_allowed_packet=1 << 26)
    with closing(split), split.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE large (v LONGBLOB)")
        text = "x" * (17 << 20)
        try:
            cursor.execute("INSERT INTO large VALUES (%s)", (text,))
        except pymysql.Error as error:
            assert error.args[0] in (1153, 2006, 2013)
        else:
            assert rows(cursor, "SELECT LENGTH(v), v FROM large") == ((17 << 20, text.encode()),)


def test_a_local_file_is_loaded(account, table, cluster, tmp_path):
    file = tmp_path / "rows"
    file.write_text("1\t10\n2\t20\n")
    with cluster.admin(cluster.primary) as admin:
        admin.query("SET GLOBAL local_infile = 1")
    _, split = lent(account, local_infile=True)
    with closing(split), split.cursor() as cursor:
        cursor.execute(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE t")
        assert sorted(rows(cursor, "SELECT id, v FROM t")) == [(1, 10), (2, 20)]
        assert cursor.route.role == "replica"
