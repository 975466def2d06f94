"""What every driver must do, whoever makes its connections: be its own, and split."""

import contextlib
import os
import threading
import time

import MySQLdb
import pytest

import rwsplit

from .drivers import DRIVERS, OfMySQLClient


@pytest.fixture(params=DRIVERS, ids=lambda each: each.name)
def driver(request):
    return request.param


@pytest.fixture
def account(cluster):
    """The keywords of the primary; and the replicas."""
    options = {**cluster.connect_options}
    return options, options.pop("replicas")


@pytest.fixture
def wrapped(driver, account):
    """Makes virtual connections over a driver; closed after the test."""
    opened = []

    def make(**overrides):
        options, replicas = account
        own = {"max_wait": 5}
        own |= {key: overrides.pop(key) for key in [*overrides] if key in OWN}
        connection = driver.wrap({**options, "autocommit": True, **overrides}, replicas, own)
        opened.append(connection)
        return connection

    yield make
    for connection in opened:
        if connection.open:
            connection.close()


OWN = {
    *("max_wait", "consistency", "on_lag", "transactions", "primary_wait", "reads"),
    *("session_id_kind", "after"),
}


def rows(cursor, sql, args=None):
    cursor.execute(sql, args)
    return cursor.fetchall()


def test_reads_are_split_and_see_what_was_written(wrapped, table):
    cursor = wrapped().cursor()
    for number in range(20):
        cursor.execute("INSERT INTO t VALUES (%s, %s)", (number, number))
        assert rows(cursor, "SELECT COUNT(*) FROM t") == ((number + 1,),)
        route = cursor.route
        assert route.role == "replica" or route.cause == "not_caught_up", route


def test_what_the_driver_can(driver, wrapped):
    assert wrapped().capabilities == ~driver.lacks


def test_it_is_the_drivers_own_in_all_it_shows(driver, wrapped, table):
    connection = wrapped()
    assert isinstance(connection.wrapped, driver.own_class)
    assert not isinstance(connection, driver.own_class)
    cursor = connection.cursor(driver.cursors.DictCursor)
    assert isinstance(getattr(cursor, "own", cursor), driver.cursors.DictCursor)
    cursor.execute("INSERT INTO t VALUES (1, 2)")
    assert [*rows(cursor, "SELECT id, v FROM t")] == [{"id": 1, "v": 2}]
    for name in driver.same:
        ours, own = getattr(connection, name), getattr(connection.wrapped, name)
        assert (ours() if callable(ours) else ours) == (own() if callable(own) else own), name
    assert connection.ProgrammingError is driver.module.ProgrammingError


def test_errors_are_the_drivers(driver, wrapped, table):
    connection = wrapped()
    cursor = connection.cursor()
    cursor.execute("INSERT INTO t VALUES (1, 1)")
    with pytest.raises(driver.module.IntegrityError) as duplicate:
        cursor.execute("INSERT INTO t VALUES (1, 1)")
    assert duplicate.value.args[0] == 1062
    with pytest.raises(driver.module.ProgrammingError) as missing:
        cursor.execute("SELECT * FROM no_such_table")
    assert missing.value.args[0] == 1146
    connection.close()
    error, args = driver.closed
    with pytest.raises(error) as closed:
        cursor.execute("SELECT 1")
    assert closed.value.args == args


def test_the_session_is_the_same_on_every_member(wrapped):
    cursor = wrapped().cursor()
    for sql, ask, expected in STATE:
        cursor.execute(sql)
        while cursor.nextset():
            pass
        assert rows(cursor, ask) == ((expected,),), (sql, cursor.route)


STATE = [
    ("SET time_zone = '+02:00'", "SELECT @@time_zone", "+02:00"),
    ("SET @a = 'x'", "SELECT @a", "x"),
    ("SELECT @a := 7", "SELECT @a", 7),
    ("SELECT 8 INTO @a", "SELECT @a", 8),
    ("SET @b = 1; SET @c = 2", "SELECT @b + @c", 3),
    ("SET SESSION sql_mode = 'ANSI'", "SELECT 'a' || 'b'", "ab"),
    ("SET NAMES latin1", "SELECT @@character_set_client", "latin1"),
    ("USE information_schema", "SELECT DATABASE()", "information_schema"),
]


def test_what_a_function_does_behind_rows_is_seen(wrapped, cluster, table):
    """The driver tells nothing behind rows: it is doubted, and asked about."""
    connection = wrapped()
    cursor = connection.cursor()
    cursor.execute("DROP FUNCTION IF EXISTS goes_on")
    cursor.execute(
        "CREATE FUNCTION goes_on(x INT) RETURNS INT MODIFIES SQL DATA BEGIN "
        "SET @left = x, div_precision_increment = x + 1; INSERT INTO t VALUES (x, x); RETURN x; END"
    )
    cluster.wait_caught_up()
    for number in range(5):
        assert rows(cursor, f"SELECT goes_on({number})") == ((number,),)
        assert rows(cursor, "SELECT @left, @@div_precision_increment") == ((number, number + 1),)
        assert rows(cursor, "SELECT COUNT(*) FROM t") == ((number + 1,),)
    cursor.execute("DROP FUNCTION goes_on")


def test_what_a_procedure_does_is_seen(wrapped, cluster, table):
    connection = wrapped()
    cursor = connection.cursor()
    cursor.execute("DROP PROCEDURE IF EXISTS goes_on")
    cursor.execute(
        "CREATE PROCEDURE goes_on(x INT) BEGIN SELECT x; SET @left = x; "
        "INSERT INTO t VALUES (x, x); SELECT x + 1; SET time_zone = '+03:00'; END"
    )
    cluster.wait_caught_up()
    cursor.callproc("goes_on", (1,))
    assert cursor.fetchall() == ((1,),)
    assert cursor.nextset()
    assert cursor.fetchall() == ((2,),)
    while cursor.nextset():
        pass
    assert rows(cursor, "SELECT @left, @@time_zone") == ((1, "+03:00"),)
    assert rows(cursor, "SELECT COUNT(*) FROM t") == ((1,),)
    cursor.execute("DROP PROCEDURE goes_on")


def test_transactions(wrapped, table):
    connection = wrapped(autocommit=False)
    cursor = connection.cursor()
    cursor.execute("INSERT INTO t VALUES (1, 1)")
    assert rows(cursor, "SELECT COUNT(*) FROM t") == ((1,),)
    connection.rollback()
    assert rows(cursor, "SELECT COUNT(*) FROM t") == ((0,),)
    cursor.execute("INSERT INTO t VALUES (2, 1)")
    connection.commit()
    connection.autocommit(True)
    assert rows(cursor, "SELECT COUNT(*) FROM t") == ((1,),)
    assert cursor.route.role == "replica", cursor.route
    connection.begin()
    cursor.execute("DELETE FROM t")
    assert rows(cursor, "SELECT COUNT(*) FROM t") == ((0,),)
    assert cursor.route.role == "primary"
    connection.rollback()
    assert rows(cursor, "SELECT COUNT(*) FROM t") == ((1,),)


def test_a_transaction_reads_on_a_replica_and_moves_with_its_reads(driver, wrapped, cluster, table):
    connection = wrapped(autocommit=False)
    connection.cluster.habits.clear()  # what those of other drivers did counts, too
    cursor = connection.cursor()
    cursor.execute("INSERT INTO t VALUES (1, 1)")
    connection.commit()
    for changes in (False, True):
        assert rows(cursor, "SELECT v FROM t WHERE id = 1") == ((1,),)
        assert cursor.route.role == "replica", cursor.route
        if changes:
            with cluster.connect(cluster.primary, autocommit=True) as other:
                other.query("UPDATE t SET v = 7 WHERE id = 1")
            with pytest.raises(driver.deadlock) as deadlock:
                cursor.execute("UPDATE t SET v = v + 1 WHERE id = 2")
            assert deadlock.value.args[0] == 1213
        else:
            cursor.execute("UPDATE t SET v = v + 1 WHERE id = 2")
            assert cursor.route.role == "primary"
        connection.rollback()


def test_rows_one_by_one(driver, wrapped, table):
    connection = wrapped()
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO t VALUES (%s, 1)", [(n,) for n in range(100)])
    assert (cursor.rowcount, cursor.lastrowid) == (100, 0)
    stream = connection.cursor(driver.cursors.SSCursor)
    stream.execute("SELECT id FROM t ORDER BY id")
    assert stream.fetchone() == (0,)
    if driver.out_of_sync is not None:
        error, number = driver.out_of_sync
        with pytest.raises(error) as confused:
            cursor.execute("SELECT 1")
        assert confused.value.args[0] == number
    assert len(stream.fetchall()) == 99
    assert rows(cursor, "SELECT 1") == ((1,),)
    stream.execute("SELECT id FROM t ORDER BY id")
    stream.close()
    assert rows(cursor, "SELECT 2") == ((2,),)
    stream = connection.cursor(driver.cursors.SSCursor)
    stream.execute("SELECT id FROM t ORDER BY id")
    stream.fetchone()
    if not driver.drops_streams:
        stream.close()
    del stream  # what is left of its rows goes with it
    assert rows(cursor, "SELECT 3") == ((3,),)


def test_a_replica_that_is_late_is_waited_for_or_left(wrapped, cluster, table):
    cursor = wrapped(max_wait=0.2).cursor()
    for replica in cluster.replicas:
        cluster.stall(replica)
    try:
        cursor.execute("INSERT INTO t VALUES (1, 1)")
        assert rows(cursor, "SELECT COUNT(*) FROM t") == ((1,),)
        assert cursor.route.role == "primary"
    finally:
        for replica in cluster.replicas:
            cluster.resume(replica)


def test_a_connection_that_was_killed(driver, wrapped, cluster, table):
    connection = wrapped()
    cursor = connection.cursor()
    cursor.execute("SET @kept = 3")
    assert rows(cursor, "SELECT @kept") == ((3,),)  # what a function's began with is known by now
    with cluster.connect(cluster.primary) as other:
        other.query(f"KILL {connection.thread_id()}")
    cursor.execute("INSERT INTO t VALUES (1, 1)")
    assert rows(cursor, "SELECT @kept, COUNT(*) FROM t") == ((3, 1),)
    assert rows(cursor, "SELECT /* rwsplit: primary */ v FROM t") == ((1,),)
    connection.begin()
    cursor.execute("INSERT INTO t VALUES (2, 1)")
    with cluster.connect(cluster.primary) as other:
        other.query(f"KILL {connection.thread_id()}")
    with pytest.raises(driver.lost) as lost:
        cursor.execute("INSERT INTO t VALUES (3, 1)")
    assert lost.value.args[0] in (2006, 2013)
    connection.rollback()
    assert rows(cursor, "SELECT COUNT(*) FROM t") == ((1,),)


def test_a_fork_goes_on_the_parents_connection_alone(wrapped, table):
    connection = wrapped()
    cursor = connection.cursor()
    rows(cursor, "SELECT COUNT(*) FROM t")
    child = os.fork()
    if not child:
        del connection, cursor
        os._exit(0)
    os.waitpid(child, 0)
    assert rows(cursor, "SELECT COUNT(*) FROM t") == ((0,),)
    cursor.execute("INSERT INTO t VALUES (1, 1)")
    assert rows(cursor, "SELECT COUNT(*) FROM t") == ((1,),)


# Of a factory, and of an open connection.


def test_a_factory_makes_all_connections(driver, cluster, table):
    asked = []

    def make(endpoint):
        asked.append(endpoint)
        options = {**cluster.connect_options, "host": endpoint.host, "port": endpoint.port}
        del options["replicas"]
        return driver.connect(options, init_command="SET @made = 'here'")

    options = cluster.connect_options
    primary = f"{options['host']}:{options['port']}"
    connect = rwsplit.wrap(make, primary=primary, replicas=options["replicas"], max_wait=5)
    with contextlib.closing(driver.shaped(connect())) as connection:
        connection.autocommit(True)
        cursor = connection.cursor()
        cursor.execute("INSERT INTO t VALUES (1, 1)")
        assert rows(cursor, "SELECT COUNT(*) FROM t") == ((1,),)
        assert cursor.route.role == "replica"
        assert rows(cursor, "SELECT @made") == (("here",),)
        cursor.execute("SET @made = NULL")
        assert rows(cursor, "SELECT @made") == ((None,),)
    names = {endpoint.name for endpoint in asked}
    assert primary in names and names & set(options["replicas"])


def test_a_factory_that_fails_is_a_server_that_is_not_reached(driver, cluster):
    def make(endpoint):
        raise RuntimeError("no token")

    options = cluster.connect_options
    connect = rwsplit.wrap(
        make, primary="nowhere:1", driver=driver.module, replicas=options["replicas"]
    )
    with pytest.raises(driver.module.OperationalError, match="no token") as failed:
        connect()
    assert failed.value.args[0] == 2003


def test_an_open_connection_becomes_the_primary(driver, cluster, table):
    options = {**cluster.connect_options}
    replicas = options.pop("replicas")
    own = driver.connect(options, autocommit=True)
    driver.shaped(own).query("SET @before = 41, time_zone = '+05:00'")
    secret = {} if driver.password_is_told else {"password": options["password"]}
    split = rwsplit.wrap(own, replicas=replicas, max_wait=5, **secret)
    with contextlib.closing(driver.shaped(split)) as connection:
        assert connection.wrapped is own
        cursor = connection.cursor()
        assert rows(cursor, "SELECT @before, @@time_zone") == ((41, "+05:00"),)
        cursor.execute("INSERT INTO t VALUES (1, 1)")
        assert rows(cursor, "SELECT COUNT(*) FROM t") == ((1,),)
        assert cursor.route.role == "replica"


@pytest.mark.parametrize(
    "question",
    ["SELECT FOUND_ROWS()", "SELECT ROW_COUNT()", "SHOW WARNINGS", "SELECT @@warning_count"],
)
def test_an_open_connection_is_not_asked_about_what_ran_before(driver, cluster, table, question):
    """Questions of ours came behind that: a right number, or none."""
    options = {**cluster.connect_options}
    replicas = options.pop("replicas")
    own = driver.connect(options, autocommit=True)
    driver.shaped(own).query("INSERT IGNORE INTO t VALUES (1, 1), (1, 2)")
    secret = {} if driver.password_is_told else {"password": options["password"]}
    split = rwsplit.wrap(own, replicas=replicas, **secret)
    with contextlib.closing(driver.shaped(split)) as connection:
        cursor = connection.cursor()
        with pytest.raises(driver.module.Error, match="1235"):
            cursor.execute(question)
        cursor.execute("SELECT v FROM t WHERE id = 3")
        cursor.fetchall()
        cursor.execute(question)
        assert cursor.fetchall() in (((0,),), ((-1,),), ())


def test_threads_have_their_own(wrapped, table):
    failures = []

    def work(number):
        try:
            cursor = wrapped().cursor()
            for turn in range(10):
                cursor.execute("INSERT INTO t VALUES (%s, 1)", (100 * number + turn,))
                found = rows(cursor, "SELECT COUNT(*) FROM t WHERE id = %s", (100 * number + turn,))
                assert found == ((1,),)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize("what", [None, 1, "MySQLdb", os])
def test_what_can_not_be_wrapped(what):
    with pytest.raises(TypeError, match="wrap"):
        rwsplit.wrap(what)


def test_pymysql_wrapped_is_rwsplits_own(cluster, table):
    import pymysql

    options = {**cluster.connect_options}
    module = rwsplit.wrap(pymysql, replicas=options.pop("replicas"), max_wait=5)
    assert module.OperationalError is pymysql.OperationalError
    with contextlib.closing(module.connect(**options, autocommit=True)) as connection:
        assert type(connection) is rwsplit.Connection
        cursor = connection.cursor()
        cursor.execute("INSERT INTO t VALUES (1, 1)")
        assert rows(cursor, "SELECT COUNT(*) FROM t") == ((1,),)
        assert cursor.route.role == "replica"


def test_a_wrong_keyword_is_named_at_once():
    with pytest.raises(TypeError, match="replicsa"):
        rwsplit.wrap(MySQLdb, replicsa=[])


def test_an_open_connection_that_is_lost_can_not_be_made_again(driver, cluster, table):
    options = {**cluster.connect_options}
    replicas = options.pop("replicas")
    own = driver.connect(options, autocommit=True)
    connection = driver.shaped(rwsplit.wrap(own, replicas=replicas, password=options["password"]))
    cursor = connection.cursor()
    assert rows(cursor, "SELECT COUNT(*) FROM t") == ((0,),)
    with cluster.connect(cluster.primary) as other:
        other.query(f"KILL {connection.thread_id()}")
    began = time.monotonic()
    with pytest.raises(driver.module.Error) as lost:
        for _ in range(3):
            cursor.execute("INSERT INTO t VALUES (1, 1)")
    assert isinstance(lost.value, (driver.module.OperationalError, driver.module.InterfaceError))
    assert time.monotonic() - began < 5


def test_an_open_connection_without_replicas_runs_all_where_it_is(driver, cluster, table):
    options = {**cluster.connect_options}
    del options["replicas"]
    own = driver.connect(options)
    with contextlib.closing(driver.shaped(rwsplit.wrap(own))) as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO t VALUES (1, 1)")
        assert rows(cursor, "SELECT COUNT(*) FROM t") == ((1,),)
        assert cursor.route.role == "primary"
        connection.rollback()
        assert rows(cursor, "SELECT COUNT(*) FROM t") == ((0,),)


@pytest.mark.parametrize("driver", [OfMySQLClient])
def test_what_goes_past_rwsplit_binds_to_the_primary(driver, wrapped, table):
    connection = wrapped()
    cursor = connection.cursor()
    assert rows(cursor, "SELECT COUNT(*) FROM t") == ((0,),)
    assert cursor.route.role == "replica"
    with pytest.raises(MySQLdb.NotSupportedError):
        connection.change_user("app", "secret", "shop")
    connection.set_sql_mode("ANSI")
    assert rows(cursor, "SELECT 'a' || 'b'") == (("ab",),)
    assert (cursor.route.role, cursor.route.cause) == ("primary", "bound")


def test_sqlalchemy_with_a_creator(cluster, table):
    import sqlalchemy as sa

    def make(endpoint):
        options = {**cluster.connect_options, "host": endpoint.host, "port": endpoint.port}
        del options["replicas"]
        return MySQLdb.connect(**options, charset="utf8mb4")

    options = cluster.connect_options
    primary = f"{options['host']}:{options['port']}"
    creator = rwsplit.wrap(make, primary=primary, replicas=options["replicas"], max_wait=5)
    engine = sa.create_engine("mysql+mysqldb://", creator=creator, pool_pre_ping=True)
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


def test_a_closed_connection_does_not_answer_a_ping(driver, wrapped):
    connection = wrapped()
    connection.ping()
    connection.close()
    with pytest.raises(driver.module.Error):
        connection.ping()


def test_a_message_in_another_character_set_ends_no_process(driver, wrapped):
    """mysqlclient leaves a hole in its error's `args` then: whoever touches that is gone."""
    connection = wrapped(autocommit=True)
    connection.set_character_set("latin1")
    for text in ("SELECT * FROM `n\xf6`", "INSERT INTO `n\xf6` VALUES (1)"):
        for _ in range(2):
            with pytest.raises(driver.module.Error) as failed:
                connection.cursor().execute(text)
            # The connector raises an error of its own, about the message.
            assert failed.value.args[0] == (1146 if driver.name != "connector" else -1)
            assert repr(failed.value)
            assert failed.value.args[1]


METHODS = [
    *(("show_warnings",), ("select_db", "shop"), ("ping",), ("commit",), ("rollback",)),
    *(("autocommit", False), ("autocommit", True)),
]


def test_what_methods_leave_of_rows_is_what_the_driver_leaves(driver, wrapped, account):
    options, _ = account
    took = []
    for connection in (driver.alone(**options, autocommit=True), wrapped(autocommit=True)):
        cursor = connection.cursor()
        left = []
        for sql in ("SELECT 1 UNION SELECT 2", "DO 1/0", "SELECT 1/0"):
            for name, *given in METHODS:
                cursor.execute(sql)
                if cursor.description:
                    cursor.fetchall()
                getattr(connection, name)(*given)
                left.append((sql, name, connection.affected_rows(), connection.insert_id()))
        took.append(left)
        connection.close()
    alone, ours = took
    assert ours == alone


@pytest.mark.parametrize("name", ["select_db", "ping"])
@pytest.mark.parametrize(
    "sql", ["INSERT INTO t VALUES (8, @a := 1 / 0)", "INSERT INTO t VALUES (9, @a := 1), (9, 2)"]
)
def test_what_methods_leave_of_warnings_is_what_the_driver_leaves(
    driver, wrapped, account, table, sql, name
):
    """A variable that the statement may have set is asked for later: that would clear them."""
    options, _ = account
    took = []
    for connection in (driver.alone(**options, autocommit=True), wrapped(autocommit=True)):
        connection.autocommit(True)
        cursor = connection.cursor()
        with contextlib.suppress(driver.module.Error):
            cursor.execute("DELETE FROM t WHERE id > 7")
            cursor.execute(sql)
        connection.select_db("shop") if name == "select_db" else connection.ping()
        took.append([row[:2] for row in connection.show_warnings()])
        cursor.execute("SELECT @a")
        took[-1].append(cursor.fetchall())
        connection.close()
    alone, ours = took
    assert ours == alone


@pytest.mark.parametrize("ends", ["COMMIT", "commit", "SELECT v FROM t WHERE id = 1", "BEGIN"])
@pytest.mark.parametrize(
    "between",
    [None, ("select_db", "shop"), ("select_db", "nosuch"), ("set_character_set", "nosuch")],
    ids=str,
)
def test_a_transaction_that_a_routine_began_before_it_failed_is_there(
    driver, wrapped, cluster, table, between, ends
):
    """An error tells of no transaction, and these drivers can't ask without harm."""
    made = [
        "DROP PROCEDURE IF EXISTS fails_within",
        "CREATE PROCEDURE fails_within() BEGIN START TRANSACTION; "
        "INSERT INTO t VALUES (1, 5); SIGNAL SQLSTATE '45000'; END",
    ]
    with cluster.connect(cluster.primary, autocommit=True) as other:
        for sql in made:
            other.cursor().execute(sql)
        connection = wrapped()
        cursor = connection.cursor()
        rows(cursor, "SELECT 1")
        with pytest.raises(driver.module.Error):
            cursor.execute("CALL fails_within()")
        if between is not None:
            # PyMySQL raises AttributeError where it does not know a character set.
            with contextlib.suppress(driver.module.Error, AttributeError):
                getattr(connection, between[0])(between[1])
        if ends == "commit":
            connection.commit()
        else:
            cursor.execute(ends)
        if cursor.description:
            assert cursor.fetchall() == ((5,),)
            connection.rollback()
        sees = other.cursor()
        sees.execute("SELECT v FROM t")
        assert sees.fetchall() == (() if ends.startswith("SELECT") else ((5,),))


FOUND = [
    ("UPDATE t SET v = 2 WHERE id = 1 AND v = 0",),
    ("INSERT IGNORE INTO t VALUES (1, 2)",),
    ("BEGIN", "UPDATE t SET v = 2 WHERE v = 1", "ROLLBACK"),
    ("SET @x = (SELECT v FROM t WHERE id = 1)",),
    ("SELECT v INTO @x FROM t WHERE id = 1",),
]


def test_what_was_found_without_a_row_is_not_read_older(wrapped, cluster, table):
    """A count of rows or a variable tells of what others had committed."""
    alone = {"session_id_kind": "connection", "after": None, "max_wait": 0.05}
    writer = wrapped().cursor()
    writer.execute("INSERT INTO t VALUES (1, 0)")
    cluster.wait_caught_up()
    for replica in cluster.replicas:
        cluster.stall(replica)
    older = []
    for statements in FOUND:
        writer.execute("UPDATE t SET v = 0 WHERE id = 1")
        cursor = wrapped(**alone).cursor()
        rows(cursor, "SELECT v FROM t WHERE id = 1")
        writer.execute("UPDATE t SET v = 1 WHERE id = 1")
        for sql in statements:
            cursor.execute(sql)
        if rows(cursor, "SELECT v FROM t WHERE id = 1") != ((1,),):
            older.append(statements)
    assert not older
