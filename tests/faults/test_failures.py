"""What goes wrong on a replica is no answer, and spoils nothing for others.

An error of a replica is not the application's: the primary's answer counts. Who is ahead of the
primary, or of no known age, serves nobody whom that could mislead. A statement, an account or a
KILL that one connection met is no reason to leave a replica alone for others. The right value is
plain PyMySQL's, on the primary.
"""

import contextlib
import logging
import threading
import time

import pymysql
import pytest

import rwsplit
from rwsplit._drivers.pymysql import PhysicalConnection
from rwsplit.sandbox import Sandbox
from rwsplit.sandbox.pytest_plugin import FLAVORS, wanted

PRIMARY = "/* rwsplit: primary */ "


def name(server):
    return f"127.0.0.1:{server.port}"


def answer(run):
    """What a call gives: its rows, or its error's number."""
    try:
        return run()
    except pymysql.MySQLError as error:
        return error.args[0]


def rows(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def on_replicas(cluster, *statements):
    """Run statements on the replicas alone."""
    for server in cluster.replicas:
        with cluster.admin(server) as admin, admin.cursor() as cursor:
            cursor.execute("SET sql_log_bin = 0")
            for statement in statements:
                cursor.execute(statement)


def left_out(caplog):
    """What was logged, but for how the servers' own settings differ."""
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    return [text for text in said if "may answer otherwise" not in text]


def check_still_reads(connect, caplog, warnings=0):
    """The replicas serve others, and there was no more than one warning for each cause."""
    said = left_out(caplog)
    assert len(said) <= warnings, said
    other = connect()
    assert all(
        server.state(time.monotonic()) in ("usable", "late") for server in other.cluster.replicas
    ), other.cluster
    with other.cursor() as cursor:
        cursor.execute("SELECT 1 /* rwsplit: consistency=eventual */")
        assert cursor.route.role == "replica", cursor.route


# An error of a replica is not the application's.


@pytest.fixture
def shop(cluster):
    """Tables that a test may spoil on the replicas."""
    made = (
        "CREATE TABLE f_a (id INT PRIMARY KEY, v BIGINT)",
        "INSERT INTO f_a VALUES (1, 1), (2, 2)",
        "CREATE TABLE f_b (id INT PRIMARY KEY, v BIGINT)",
        "INSERT INTO f_b VALUES (1, 10)",
        "CREATE SQL SECURITY INVOKER VIEW f_v AS SELECT id, v FROM f_b",
    )
    gone = ("DROP VIEW IF EXISTS f_v", "DROP TABLE IF EXISTS f_a, f_b")
    with cluster.admin(cluster.primary, database="shop") as admin, admin.cursor() as cursor:
        for statement in (*gone, *made):
            cursor.execute(statement)
    cluster.wait_caught_up()
    yield "shop"
    with cluster.admin(cluster.primary, database="shop") as admin, admin.cursor() as cursor:
        for statement in gone:
            cursor.execute(statement)


SPOILED = {
    "no such table": ("DROP TABLE shop.f_b", "SELECT v FROM f_b"),
    "a view of no table": ("DROP TABLE shop.f_b", "SELECT v FROM f_v"),
    "no such column": ("ALTER TABLE shop.f_b DROP COLUMN v", "SELECT id, v FROM f_b"),
    "another number of columns": (
        "ALTER TABLE shop.f_b ADD COLUMN w INT",
        "SELECT * FROM f_a UNION ALL SELECT * FROM f_b",
    ),
    "two rows for one": (
        "INSERT INTO shop.f_b VALUES (2, 20)",
        "SELECT id, (SELECT v FROM f_b) FROM f_a",
    ),
    "out of range": (
        "UPDATE shop.f_a SET v = 9223372036854775807",
        "SELECT v + 9 FROM f_a",
    ),
}


AMID_ROWS = ("two rows for one", "out of range")
"""Errors that come when an unbuffered cursor is reading rows already."""


@pytest.mark.parametrize("spoiled", SPOILED)
def test_the_primarys_answer_counts(cluster, shop, connect, spoiled):
    spoil, read = SPOILED[spoiled]
    on_replicas(cluster, spoil)
    with cluster.connect(cluster.primary) as plain:
        expected = sorted(rows(plain, read))
    by_cursor = connect()
    assert sorted(rows(by_cursor, read)) == expected
    assert by_cursor.route.role == "primary"
    if spoiled not in AMID_ROWS:
        stream = connect(cursorclass=rwsplit.cursors.SSCursor)
        assert sorted(rows(stream, read)) == expected
    transaction = connect(autocommit=False)
    rows(transaction, "SELECT id FROM f_a")
    assert sorted(rows(transaction, read)) == expected
    transaction.commit()
    assert sorted(rows(transaction, "SELECT id FROM f_a")) == [(1,), (2,)]


@pytest.mark.parametrize(
    "text",
    [
        *("SELEC 1", "SELECT FROM f_a", "SELECT nothing FROM f_a", "SELECT 1 FROM absent"),
        *("SELECT nofunction(1)", "SELECT (SELECT id FROM f_a)", "SELECT id FROM f_a WHERE"),
    ],
)
def test_an_error_of_the_text_is_the_primarys(cluster, shop, connect, text):
    with cluster.connect(cluster.primary) as plain:
        expected = answer(lambda: rows(plain, text))
    for keywords in ({}, {"cursorclass": rwsplit.cursors.SSCursor}, {"autocommit": False}):
        connection = connect(**keywords)
        assert answer(lambda: rows(connection, text)) == expected  # noqa: B023
        assert rows(connection, "SELECT 7") == ((7,),) or rows(connection, "SELECT 7") == [(7,)]


def test_a_lock_on_a_replica_is_no_answer(cluster, shop, connect):
    connection = connect()
    rows(connection, "SELECT id FROM f_a")
    connection.cursor().execute("SET lock_wait_timeout = 1")
    with contextlib.ExitStack() as stack:
        for server in cluster.replicas:
            admin = stack.enter_context(cluster.admin(server))
            admin.cursor().execute("LOCK TABLES shop.f_a WRITE")
        assert rows(connection, "SELECT id FROM f_a ORDER BY id") == ((1,), (2,))
        assert connection.route.role == "primary"


def test_a_replicas_error_while_the_primary_is_away(cluster, shop, connect):
    """Nobody could know better, so it is raised at once."""
    connection = connect(primary_wait=30.0)
    rows(connection, "SELECT id FROM f_a")
    cluster.kill(cluster.primary)
    done = []
    thread = threading.Thread(
        target=lambda: done.append(answer(lambda: rows(connection, "SELECT x FROM f_a")))
    )
    thread.start()
    thread.join(15)
    assert done == [1054]
    cluster.restart(cluster.primary)
    thread.join(30)


# What one account met.


ACCOUNTS = {
    "there is none": "DROP USER {}",
    "another password": "ALTER USER {} IDENTIFIED BY 'another'",
    "it is locked": "ALTER USER {} ACCOUNT LOCK",
    "no right to the schema": "REVOKE ALL ON shop.* FROM {}",
    "as many connections as it may": "ALTER USER {} WITH MAX_USER_CONNECTIONS 1",
}


@pytest.mark.parametrize("refused", ACCOUNTS)
def test_an_account_that_replicas_refuse(cluster, connect, table, refused, caplog):
    user = "picky@'%'"
    with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
        cursor.execute(f"DROP USER IF EXISTS {user}")
        cursor.execute(f"CREATE USER {user} IDENTIFIED BY 'secret'")
        cursor.execute(f"GRANT ALL ON shop.* TO {user}")
    cluster.wait_caught_up()
    on_replicas(cluster, ACCOUNTS[refused].format(user))
    with contextlib.ExitStack() as stack:
        if "MAX_USER" in ACCOUNTS[refused]:
            for server in cluster.replicas:
                stack.enter_context(cluster.connect(server, user="picky"))
        rows(connect(), "SELECT * FROM t")
        others = connect()
        for _ in range(20):
            connection = connect(user="picky")
            assert rows(connection, "SELECT * FROM t") == ()
            assert connection.route.role == "primary"
            rows(others, "SELECT * FROM t")
            assert others.route.role == "replica"
        time.sleep(1.2)  # the monitor has looked, and says of nobody that he is back
        assert rows(connection, "SELECT * FROM t") == ()
        check_still_reads(connect, caplog, warnings=len(cluster.replicas))
    with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
        cursor.execute(f"CREATE USER IF NOT EXISTS {user}")
    on_replicas(cluster, f"CREATE USER IF NOT EXISTS {user}")
    with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
        cursor.execute(f"DROP USER IF EXISTS {user}")


# What one statement met.


def test_a_read_timeout_is_nobody_elses(cluster, connect, table, caplog):
    rows(connect(), "SELECT * FROM t")
    for number in range(3):
        impatient = connect(read_timeout=0.3)
        assert answer(lambda: rows(impatient, f"SELECT SLEEP(1), {number}")) == 1317  # noqa: B023
        assert rows(impatient, "SELECT * FROM t") == ()
    check_still_reads(connect, caplog)


LONG = (
    "SELECT COUNT(*) FROM information_schema.columns a JOIN information_schema.columns b "
    "JOIN information_schema.columns c"
)


def background(call):
    """Start a call in a thread; returns the thread and where its answer is put."""
    done = []
    thread = threading.Thread(target=lambda: done.append(answer(call)), daemon=True)
    thread.start()
    return thread, done


def running(cluster, server, part):
    """The threads of a server that run something with this text."""
    with cluster.admin(server) as admin, admin.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM information_schema.processlist "
            "WHERE id <> CONNECTION_ID() AND info LIKE %s",
            (f"%{part}%",),
        )
        return [row[0] for row in cursor.fetchall()]


def wait_running(cluster, part, seconds=20):
    """The server that runs something with this text, and the thread there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for server in cluster.servers:
            for thread in running(cluster, server, part):
                return server, thread
        time.sleep(0.02)
    raise AssertionError(f"nobody runs {part}")


def wait_ended(cluster, part, seconds=10):
    """Wait until nobody runs anything with this text any more."""
    until = time.monotonic() + seconds
    while any(running(cluster, server, part) for server in cluster.servers):
        assert time.monotonic() < until, f"somebody still runs {part}"
        time.sleep(0.02)


@pytest.mark.parametrize("how", ["buffered", "stream", "in a transaction"])
def test_a_read_that_an_administrator_has_ended_is_over(cluster, connect, table, how, caplog):
    keywords = {
        "buffered": {},
        "stream": {"cursorclass": rwsplit.cursors.SSCursor},
        "in a transaction": {"autocommit": False},
    }[how]
    connection = connect(**keywords)
    rows(connection, "SELECT * FROM t")
    thread, done = background(lambda: rows(connection, f"{LONG} -- killed here"))
    server, number = wait_running(cluster, "killed here")
    with cluster.admin(server) as admin:
        admin.cursor().execute(f"KILL QUERY {number}")
    thread.join(20)
    assert done == [1317]
    wait_ended(cluster, "killed here")
    connection.rollback()
    rows(connection, "SELECT * FROM t")
    check_still_reads(connect, caplog)


def test_a_wait_that_an_administrator_has_ended_is_over(cluster, connect, table, caplog):
    connection = connect(max_wait=20.0)
    rows(connection, "SELECT * FROM t")
    for server in cluster.replicas:
        cluster.stop_applier(server)
    try:
        connection.cursor().execute("INSERT INTO t VALUES (1, 1)")
        thread, done = background(lambda: rows(connection, "SELECT * FROM t -- waits"))
        server, number = wait_running(cluster, "GTID")
        with cluster.admin(server) as admin:
            admin.cursor().execute(f"KILL QUERY {number}")
        thread.join(15)
        assert done == [1317]
    finally:
        for server in cluster.replicas:
            cluster.start_applier(server)
    cluster.wait_caught_up()
    check_still_reads(connect, caplog)


def test_a_read_whose_connection_is_killed_is_repeated(cluster, connect, table, caplog):
    connection = connect()
    rows(connection, "SELECT * FROM t")
    thread, done = background(lambda: rows(connection, "SELECT SLEEP(1), 42"))
    server, number = wait_running(cluster, "SLEEP")
    with cluster.admin(server) as admin:
        admin.cursor().execute(f"KILL {number}")
    thread.join(15)
    assert done == [((0, 42),)]
    check_still_reads(connect, caplog)


OWN_LIMITS = {
    "mysql": [
        ("SET max_execution_time = 200", f"{LONG} -- session"),
        ("DO 1", LONG.replace("SELECT", "SELECT /*+ MAX_EXECUTION_TIME(200) */")),
    ],
    "mariadb": [
        ("SET max_statement_time = 0.2", f"{LONG} -- session"),
        ("DO 1", f"SET STATEMENT max_statement_time=0.2 FOR {LONG}"),
    ],
}


@pytest.mark.parametrize("which", [0, 1])
def test_a_statements_own_limit_is_its_own(cluster, connect, table, which, monkeypatch, caplog):
    """What it says of its time no other server is asked again."""
    limit, read = OWN_LIMITS[cluster.flavor][which]
    with cluster.connect(cluster.primary) as plain:
        plain.cursor().execute(limit)
        expected = answer(lambda: rows(plain, read))
    assert expected in (3024, 1969)
    connection = connect()
    connection.cursor().execute(limit)
    rows(connection, "SELECT * FROM t")
    sent = counted(monkeypatch, b"columns c")
    assert answer(lambda: rows(connection, read)) == expected
    assert len(sent) == 1
    check_still_reads(connect, caplog)


# What is too large.


def counted(monkeypatch, text):
    """Count how often a statement with this in it is sent."""
    sent = []
    write = PhysicalConnection._write_bytes

    def write_bytes(self, data):
        if text in data:
            sent.append(self.port)
        return write(self, data)

    monkeypatch.setattr(PhysicalConnection, "_write_bytes", write_bytes)
    return sent


@contextlib.contextmanager
def packets_of(cluster, servers, size):
    """Let servers take no more than so many bytes, from new connections."""
    before = {}
    for server in servers:
        with cluster.admin(server) as admin, admin.cursor() as cursor:
            cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
            (before[server.port],) = cursor.fetchone()
            cursor.execute(f"SET GLOBAL max_allowed_packet = {size}")
    try:
        yield
    finally:
        for server in servers:
            with cluster.admin(server) as admin, admin.cursor() as cursor:
                cursor.execute(f"SET GLOBAL max_allowed_packet = {before[server.port]}")


MEGABYTE = 1 << 20
LARGE = {
    "a read": "SELECT LENGTH('{}') FROM t",
    "a read of no table": "SELECT LENGTH('{}')",
    "a write": "REPLACE INTO t VALUES (1, LENGTH('{}'))",
    "a write of many rows": "INSERT INTO t SELECT 1, 1 WHERE '{}' = ''",
    "a SET": "SET @large = '{}'",
}


@pytest.mark.parametrize("what", LARGE)
@pytest.mark.parametrize("autocommit", [True, False])
def test_a_statement_above_every_limit(
    cluster, connect, table, what, autocommit, monkeypatch, caplog
):
    """It is sent once, and PyMySQL's error is the application's; nobody is left out for it."""
    sql = LARGE[what].format("x" * 3 * MEGABYTE)
    with packets_of(cluster, cluster.servers, MEGABYTE):
        with cluster.connect(cluster.primary) as plain:
            assert answer(lambda: rows(plain, sql)) in (1153, 2006, 2013)
            plain._force_close()
        connection = connect(autocommit=autocommit, pool_size=0)
        assert rows(connection, "SELECT * FROM t") == ()
        sent = counted(monkeypatch, b"xxxx")
        with pytest.raises(pymysql.OperationalError) as caught:
            rows(connection, sql)
        assert caught.value.args[0] in (1153, 2006, 2013)
        assert not isinstance(caught.value, rwsplit.OutcomeUnknown)
        assert len(sent) == 1
        with contextlib.suppress(pymysql.MySQLError):
            connection.rollback()
        assert rows(connection, "SELECT * FROM t") == ()
        check_still_reads(connect, caplog)


def test_a_statement_that_only_one_replica_refuses(cluster, connect, table, caplog):
    small = cluster.replicas[0]
    sql = LARGE["a read"].format("x" * 3 * MEGABYTE)
    with packets_of(cluster, [small], MEGABYTE):
        for keywords in ({}, {"cursorclass": rwsplit.cursors.SSCursor}, {"autocommit": False}):
            connection = connect(pool_size=0, **keywords)
            for _ in range(4):
                assert len(rows(connection, sql)) == 0
                assert connection.route.endpoint != name(small)
                rows(connection, "SELECT * FROM t")
            connection.commit()
        check_still_reads(connect, caplog)


def test_a_statement_that_all_replicas_refuse(cluster, connect, table, monkeypatch, caplog):
    sql = LARGE["a read of no table"].format("x" * 3 * MEGABYTE)
    with packets_of(cluster, cluster.replicas, MEGABYTE):
        connection = connect(pool_size=0)
        rows(connection, "SELECT * FROM t")
        sent = counted(monkeypatch, b"xxxx")
        assert rows(connection, sql) == ((3 * MEGABYTE,),)
        assert connection.route.role == "primary"
        assert len(sent) == 1
        check_still_reads(connect, caplog)


def test_an_answer_that_is_too_large_for_a_replica(cluster, connect, table, caplog):
    """A row beyond max_allowed_packet: error 1153, or NULL and a warning, of a replica."""
    with cluster.connect(cluster.primary) as plain:
        plain.cursor().execute("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
    cluster.wait_caught_up()
    sql = "SELECT CONCAT(REPEAT('a', 700000), v), CONCAT(REPEAT('b', 700000), v) FROM t"
    with packets_of(cluster, cluster.replicas, MEGABYTE):
        connection = connect(pool_size=0)
        assert len(rows(connection, sql)) == 3
        check_still_reads(connect, caplog)


# How old a replica is.


@pytest.fixture(scope="module", params=FLAVORS)
def without_gtids(request):
    if not wanted(request.param):
        pytest.skip(f"RWSPLIT_TEST_FLAVORS leaves {request.param} out")
    options = {"log_bin": "OFF"} if request.param == "mariadb" else {"gtid_mode": "OFF"}
    with Sandbox(request.param, replicas=1, options=options) as sandbox:
        with sandbox.connect(sandbox.primary) as plain:
            plain.cursor().execute("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
            plain.cursor().execute("INSERT INTO t VALUES (1, 1)")
        if request.param == "mysql":
            until = time.monotonic() + 10
            while time.monotonic() < until:
                with (
                    contextlib.suppress(pymysql.MySQLError),
                    sandbox.connect(sandbox.replicas[0]) as plain,
                ):
                    if rows(plain, "SELECT v FROM t") == ((1,),):
                        break
                time.sleep(0.05)
            sandbox.stop_applier(sandbox.replicas[0])
        else:
            with sandbox.admin(sandbox.replicas[0], database="shop") as admin:
                admin.cursor().execute("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
                admin.cursor().execute("INSERT INTO t VALUES (1, 1)")
        with sandbox.connect(sandbox.primary) as plain:
            plain.cursor().execute("UPDATE t SET v = 2")
        yield sandbox


AGES = {
    "keyword": ({"max_staleness": 2}, "SELECT v FROM t"),
    "hint": ({}, "SELECT v FROM t /* rwsplit: max_staleness=2 */"),
    "both": ({"max_staleness": 1}, "SELECT v FROM t /* rwsplit: max_staleness=9 */"),
    "stream": ({"max_staleness": 2, "cursorclass": rwsplit.cursors.SSCursor}, "SELECT v FROM t"),
    "transaction": ({"max_staleness": 2, "autocommit": False}, "SELECT v FROM t"),
    "unverified": (
        {"max_staleness": 2, "autocommit": False, "transactions": "eventual"},
        "SELECT v FROM t",
    ),
}


@pytest.mark.parametrize("how", AGES)
def test_an_age_that_is_not_known_is_not_none(without_gtids, how):
    keywords, sql = AGES[how]
    options = {"autocommit": True, **without_gtids.connect_options, "consistency": "eventual"}
    with rwsplit.connect(**{**options, **keywords}) as connection:
        for _ in range(4):
            assert list(rows(connection, sql)) == [(2,)]
        assert connection.route.role == "primary"


@pytest.mark.parametrize("said", ["BEGIN", "START TRANSACTION READ ONLY"])
def test_an_age_that_is_not_known_in_a_transaction(without_gtids, said):
    options = {**without_gtids.connect_options, "consistency": "eventual", "max_staleness": 2}
    with rwsplit.connect(**options) as connection:
        rows(connection, said)
        assert rows(connection, "SELECT v FROM t") == ((2,),)
        connection.rollback()


def test_figures_of_servers_without_gtids(without_gtids):
    options = {**without_gtids.connect_options, "autocommit": True, "consistency": "eventual"}
    with rwsplit.connect(**options) as connection:
        rows(connection, "SELECT v FROM t")
        assert connection.route.role == "replica"
        time.sleep(1.2)
        (server,) = connection.cluster.replicas
        assert server.figures.behind == float("inf")
        assert "behind=unknown" in repr(server)


def test_a_server_that_was_never_reached_is_of_no_known_age(cluster, connect):
    with cluster.link(cluster.replicas[0]) as link:
        link.cut()
        gone = f"127.0.0.1:{link.port}"
        connection = connect(replicas=[gone, name(cluster.replicas[1])])
        assert all(s.figures.behind == float("inf") for s in connection.cluster.replicas)
        seen = connection.cluster.servers
        until = time.monotonic() + 10
        while seen[name(cluster.replicas[1])].figures.behind > 1e9:
            assert time.monotonic() < until
            rows(connection, "SELECT 1")
            time.sleep(0.05)
        assert seen[gone].figures.behind == float("inf")
        for policy in (
            "least_behind_primary",
            lambda ends, turn, view: min(ends, key=lambda end: view.figures[end.name].behind),
        ):
            with rwsplit.connect(**{**cluster.connect_options, "policy": policy}) as other:
                rows(other, "SELECT 1")


# Who is ahead of the primary.


@pytest.fixture(params=FLAVORS)
def own(request):
    """Servers of the test's own: their roles change."""
    if not wanted(request.param):
        pytest.skip(f"RWSPLIT_TEST_FLAVORS leaves {request.param} out")
    with Sandbox(request.param, replicas=2) as sandbox:
        with sandbox.connect(sandbox.primary) as plain:
            plain.cursor().execute("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
            plain.cursor().execute("INSERT INTO t VALUES (0, 0)")
        sandbox.wait_caught_up()
        yield sandbox


def stop_receiver(cluster, server):
    word = "REPLICA" if cluster.flavor == "mysql" else "SLAVE"
    with cluster.admin(server) as admin:
        admin.cursor().execute(f"STOP {word} IO_THREAD")


def fail_over_to_the_later(own, lost=50):
    """Kill the primary and promote a replica that lacks its last rows; the other has them."""
    later, ahead = own.replicas
    stop_receiver(own, later)
    with own.connect(own.primary) as plain, plain.cursor() as cursor:
        for number in range(lost):
            cursor.execute("INSERT INTO t VALUES (%s, 1)", (1000 + number,))
    until = time.monotonic() + 20
    with own.connect(ahead) as plain:
        while rows(plain, "SELECT COUNT(*) FROM t") != ((lost + 1,),):
            assert time.monotonic() < until
            time.sleep(0.02)
    own.kill(own.primary)
    own.promote(later)
    own.repoint(ahead)
    return ahead


def read_everything(own, connection, plain, ahead, writes=30):
    """Write, and read by every road: always what plain PyMySQL reads on the primary."""
    for number in range(writes):
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO t VALUES (%s, 2)", (5000 + number,))
        with plain.cursor() as cursor:
            cursor.execute("INSERT INTO t VALUES (%s, 3)", (9000 + number,))
        expected = rows(plain, "SELECT id FROM t ORDER BY id")
        for hint in ("", " /* rwsplit: consistency=global */"):
            found = rows(connection, f"SELECT id FROM t ORDER BY id{hint}")
            if not hint:
                found = tuple(row for row in found if row[0] < 9000)
                wanted = tuple(row for row in expected if row[0] < 9000)
            else:
                wanted = expected
            assert found == wanted, connection.route
        # What is eventual may be old, but never of another history.
        found = rows(connection, "SELECT id FROM t /* rwsplit: consistency=eventual */")
        assert {*found} <= {*expected}, connection.route
        assert connection.route.endpoint != name(ahead)
        found = rows(connection, f"SELECT id FROM t /* rwsplit: replica={name(ahead)} */")
        assert {*found} <= {*expected}, connection.route
        time.sleep(0.02)


def test_who_is_ahead_of_the_new_primary_serves_nobody(own):
    """The process lives through the failover, with connections that know the replica."""
    options = {**own.connect_options, "autocommit": True}
    with rwsplit.connect(**options) as connection:
        until = time.monotonic() + 10
        while any(each.looked is None for each in connection.cluster.servers.values()):
            assert time.monotonic() < until
            rows(connection, "SELECT * FROM t")
            time.sleep(0.05)
        ahead = fail_over_to_the_later(own)
        with own.connect(own.primary) as plain:
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO t VALUES (1, 1)")
            read_everything(own, connection, plain, ahead)
            state = connection.cluster.servers[name(ahead)]
            assert state.unfit
            # The numbers of the new primary go past what was lost.
            with plain.cursor() as cursor:
                for number in range(60):
                    cursor.execute("REPLACE INTO t VALUES (2, %s)", (number,))
            time.sleep(2.5)
            assert state.unfit
            assert rows(connection, "SELECT v FROM t WHERE id = 2") == ((59,),)
            with rwsplit.connect(**options) as another:
                assert rows(another, "SELECT COUNT(*) FROM t WHERE v = 1") == ((1,),)
            # Rebuilt, it serves again.
            own.rebuild(ahead)
            until = time.monotonic() + 30
            while connection.route.endpoint != name(ahead):
                assert time.monotonic() < until, connection.cluster
                expected = rows(plain, "SELECT COUNT(*) FROM t")
                assert rows(connection, "SELECT COUNT(*) FROM t") == expected
                time.sleep(0.05)


def test_a_process_that_starts_after_the_failover(own):
    ahead = fail_over_to_the_later(own, lost=5)
    with own.connect(own.primary) as plain:
        for consistency in ("session", "global", "eventual"):
            options = {**own.connect_options, "autocommit": True, "consistency": consistency}
            with rwsplit.connect(**options) as connection:
                assert rows(connection, "SELECT id FROM t WHERE v = 1") == ()
                assert connection.route.endpoint != name(ahead)
        with rwsplit.connect(**{**own.connect_options, "autocommit": True}) as connection:
            read_everything(own, connection, plain, ahead, writes=15)
        with rwsplit.connect(**own.connect_options) as connection:
            for _ in range(4):
                assert rows(connection, "SELECT id FROM t WHERE v = 1") == ()
                connection.rollback()
                connection.begin()
                assert rows(connection, "SELECT id FROM t WHERE v = 1") == ()
                connection.commit()


def test_a_replica_that_made_transactions_of_its_own_serves(cluster, connect, table):
    """FLUSH and ANALYZE on a replica have GTIDs of their own, and change no rows."""
    if cluster.flavor == "mariadb":
        pytest.skip("gtid_strict_mode stops a replica that has made some")
    for server in cluster.replicas:
        with cluster.admin(server) as admin:
            admin.cursor().execute("FLUSH TABLES")
    connection = connect()
    for number in range(40):
        with connection.cursor() as cursor:
            cursor.execute("REPLACE INTO t VALUES (1, %s)", (number,))
        assert rows(connection, "SELECT v FROM t") == ((number,),)
        time.sleep(0.05)
    states = {each.state(time.monotonic()) for each in connection.cluster.replicas}
    assert states <= {"usable", "late"}
    assert connection.route.role == "replica"


# A KILL of one's own.


@pytest.fixture
def slow(cluster, connect, table):
    """A connection that reads on a replica."""
    with cluster.connect(cluster.primary) as plain:
        plain.cursor().execute("INSERT INTO t VALUES (1, 1)")
    cluster.wait_caught_up()

    def make(**keywords):
        connection = connect(**keywords)
        rows(connection, "SELECT * FROM t")
        return connection

    return make


def end_it(cluster, connection, end, text=LONG):
    """Run a read in a thread, and end it from here; returns what the application got."""
    thread, done = background(lambda: rows(connection, f"{text} -- ended"))
    wait_running(cluster, "-- ended")
    end()
    thread.join(20)
    assert done, "it was not ended"
    wait_ended(cluster, "-- ended")
    return done[0]


KILLS = {
    "method": lambda killer, number: killer.kill(number),
    "KILL QUERY": lambda killer, number: rows(killer, f"KILL QUERY {number}"),
    "KILL": lambda killer, number: rows(killer, f"KILL {number}"),
    "KILL CONNECTION": lambda killer, number: rows(killer, f"/* stop */ kill connection {number};"),
    "parameter": lambda killer, number: killer.cursor().execute("KILL QUERY %s", (number,)),
    "text parameter": lambda killer, number: killer.cursor().execute("KILL %s", (str(number),)),
    "variable": lambda killer, number: (
        rows(killer, f"SET @it = {number}"),
        rows(killer, "KILL QUERY @it"),
    ),
}


@pytest.mark.parametrize("how", KILLS)
def test_a_kill_reaches_the_replica_that_runs_it(cluster, connect, slow, how):
    if how == "variable" and cluster.flavor == "mariadb":
        pytest.skip("MariaDB takes none there")
    connection = slow()
    killer = connect()
    number = connection.thread_id()
    assert end_it(cluster, connection, lambda: KILLS[how](killer, number)) == 1317
    assert rows(connection, "SELECT * FROM t") == ((1, 1),)
    assert rows(killer, "SELECT * FROM t") == ((1, 1),)


def test_a_kill_from_a_connection_without_replicas(cluster, slow):
    connection = slow()
    options = {key: value for key, value in cluster.connect_options.items() if key != "replicas"}
    with rwsplit.connect(**options) as killer:
        assert end_it(cluster, connection, lambda: killer.kill(connection.thread_id())) == 1317


def test_a_kill_of_a_stream_and_of_a_transaction(cluster, connect, slow):
    killer = connect()
    stream = slow(cursorclass=rwsplit.cursors.SSCursor)
    assert end_it(cluster, stream, lambda: killer.kill(stream.thread_id())) == 1317
    transaction = slow(autocommit=False)
    number = transaction.thread_id()
    end = lambda: rows(killer, f"KILL QUERY {number}")  # noqa: E731
    assert end_it(cluster, transaction, end) == 1317
    transaction.rollback()
    assert rows(transaction, "SELECT * FROM t") == ((1, 1),)


def test_a_kill_that_may_not_be_reaches_nobody(cluster, connect, slow):
    """The primary says who may: another account's threads are not one's own."""
    connection = slow()
    with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
        cursor.execute("CREATE USER IF NOT EXISTS other@'%' IDENTIFIED BY 'secret'")
        cursor.execute("GRANT SELECT ON shop.* TO other@'%'")
    cluster.wait_caught_up()
    killer = connect(user="other")
    text = "SELECT SLEEP(1.5), v FROM t"
    number = connection.thread_id()
    found = end_it(cluster, connection, lambda: answer(lambda: killer.kill(number)), text)
    assert found == ((0, 1),)
    with cluster.admin(cluster.primary) as admin:
        admin.cursor().execute("DROP USER other@'%'")


@pytest.mark.parametrize("where", ["", PRIMARY])
@pytest.mark.parametrize("kind", ["Cursor", "SSCursor"])
def test_cancel(cluster, slow, where, kind):
    connection = slow(cursorclass=getattr(rwsplit.cursors, kind))
    assert end_it(cluster, connection, connection.cancel, f"{where}{LONG}") == 1317
    assert list(rows(connection, "SELECT * FROM t")) == [(1, 1)]


def test_cancel_of_a_connection_without_replicas_and_of_nothing(cluster, slow):
    connection = slow()
    connection.cancel()
    assert rows(connection, "SELECT * FROM t") == ((1, 1),)
    options = {key: value for key, value in cluster.connect_options.items() if key != "replicas"}
    with rwsplit.connect(**options) as alone:
        alone.cancel()
        assert end_it(cluster, alone, alone.cancel) == 1317


def test_cancel_ends_a_wait_for_a_replica(cluster, connect, table):
    connection = connect(max_wait=20.0)
    rows(connection, "SELECT * FROM t")
    for server in cluster.replicas:
        cluster.stop_applier(server)
    try:
        rows(connection, "INSERT INTO t VALUES (1, 1)")
        thread, done = background(lambda: rows(connection, "SELECT * FROM t -- waits"))
        wait_running(cluster, "GTID")
        connection.cancel()
        thread.join(15)
        assert done == [1317]
    finally:
        for server in cluster.replicas:
            cluster.start_applier(server)


def test_a_primary_that_has_lost_what_it_had(own):
    """It counts on with the same numbers: who has what was lost can't be told by them."""
    options = {**own.connect_options, "autocommit": True}
    with own.connect(own.primary) as plain, plain.cursor() as cursor:
        for number in range(30):
            cursor.execute("REPLACE INTO t VALUES (3, %s)", (number,))
    own.wait_caught_up()
    with rwsplit.connect(**options) as connection, own.connect(own.primary) as plain:
        until = time.monotonic() + 10
        while any(each.looked is None for each in connection.cluster.servers.values()):
            assert time.monotonic() < until
            rows(connection, "SELECT * FROM t")
            time.sleep(0.05)
        with own.admin(own.primary) as admin, admin.cursor() as cursor:
            reset = "BINARY LOGS AND GTIDS" if own.flavor == "mysql" else "MASTER"
            cursor.execute(f"RESET {reset}")
            cursor.execute("UPDATE shop.t SET v = 100 WHERE id = 3")
        time.sleep(2.5)
        for number in range(60):
            with plain.cursor() as cursor:
                cursor.execute("UPDATE t SET v = %s WHERE id = 3", (101 + number,))
            with rwsplit.connect(**options) as another:
                for reader in (connection, another):
                    expected = rows(plain, "SELECT v FROM t WHERE id = 3")
                    assert rows(reader, "SELECT v FROM t WHERE id = 3") == expected, reader.route
            time.sleep(0.05)


def test_the_monitor_goes_on_with_an_account_that_is_let_in(cluster, connect, table):
    with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
        cursor.execute("DROP USER IF EXISTS picky@'%'")
    cluster.wait_caught_up()
    connection = connect()
    rows(connection, "SELECT * FROM t")
    servers = [connection.cluster.servers[name(each)] for each in cluster.replicas]
    until = time.monotonic() + 10
    while any(each.looked is None for each in servers):
        assert time.monotonic() < until
        rows(connection, "SELECT * FROM t")
        time.sleep(0.05)
    with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
        cursor.execute("SET sql_log_bin = 0")
        cursor.execute("CREATE USER picky@'%' IDENTIFIED BY 'secret'")
        cursor.execute("GRANT ALL ON shop.* TO picky@'%'")
    picky = connect(user="picky")
    rows(picky, "SELECT * FROM t")
    for server in cluster.replicas:
        with cluster.admin(server) as admin, admin.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'app'")
            for (number,) in cursor.fetchall():
                with contextlib.suppress(pymysql.MySQLError):
                    cursor.execute(f"KILL {number}")
    killed = time.monotonic()
    while not all(each.looked.asked_at > killed for each in servers):
        assert time.monotonic() < killed + 15, "nobody looks at the replicas any more"
        rows(picky, "SELECT * FROM t")
        time.sleep(0.05)
    with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
        cursor.execute("SET sql_log_bin = 0")
        cursor.execute("DROP USER picky@'%'")


def test_a_tls_file_that_is_gone_is_no_error_of_a_read(mysql_cluster, tmp_path, caplog):
    """The sandbox's MariaDB has no TLS."""
    authority = tmp_path / "ca.pem"
    authority.write_bytes((mysql_cluster.primary.data / "ca.pem").read_bytes())
    options = {**mysql_cluster.connect_options, "ssl_ca": str(authority), "ssl_verify_cert": True}
    connection = rwsplit.connect(**options, autocommit=True)
    try:
        authority.unlink()
        cursor = connection.cursor()
        cursor.execute("SELECT 1 FROM information_schema.schemata LIMIT 1")
        assert cursor.fetchall() == ((1,),)
        assert cursor.route.role == "primary"
        assert "refuses the account" in caplog.text
    finally:
        connection.close()
