"""Scopes and choices on real servers: a block of code sees what it wrote, on any connection."""

import asyncio
import contextlib
import sys
import threading
import time

import pytest

import rwsplit
from rwsplit._core.cluster.position import GtidList, GtidSet, decode, encode

READ = "SELECT v FROM t WHERE id = 1"
LATE = 0.3


def value(connection, sql=READ):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
    return row and row[0]


def run(connection, sql, *args):
    with connection.cursor() as cursor:
        cursor.execute(sql, *args)


def write(connection, number):
    run(connection, "UPDATE t SET v = %s WHERE id = 1", (number,))


@pytest.fixture
def late(cluster, row):
    """Everything comes to the replicas a while later."""
    for replica in cluster.replicas:
        cluster.delay(replica, LATE)


@pytest.fixture(params=["process", "connection"])
def kind(request):
    return {"session_id_kind": request.param}


# What a scope sees.


def test_two_pooled_connections_of_one_scope(connect, late, kind):
    one, other = connect(**kind), connect(**kind)
    stale = 0
    for number in range(1, 11):
        with rwsplit.scope() as scope:
            write(one, number)
            assert scope.wrote
            assert not scope.settled
            stale += value(other) != number
            stale += value(one) != number
        one, other = other, one
    assert not stale


def test_others_do_not_wait_for_a_scope(connect, stalled):
    """A connection that was used in one scope is another's in the next."""
    pool = [connect() for _ in range(3)]
    with rwsplit.scope():
        write(pool[0], 1)
        assert all(value(each) == 1 and each.route.role == "primary" for each in pool)
    for each in pool:
        with rwsplit.scope() as scope:
            assert value(each) == 0
            assert each.route.role == "replica"
            assert not scope.wrote
    fresh = connect()
    with rwsplit.scope():
        assert value(fresh) == 0, "where a connection began does not count"
        assert fresh.route.role == "replica"


def test_behind_a_scope_all_is_as_before(connect, stalled, kind):
    """What a connection wrote and read, in a scope or not, its own later reads see."""
    one, other = connect(**kind), connect(**kind)
    with rwsplit.scope():
        write(one, 1)
    assert value(one) == 1
    if kind["session_id_kind"] == "process":
        assert value(other) == 1
    write(one, 2)
    with rwsplit.scope():
        assert value(one) == 0
        with rwsplit.session_id("x"):
            write(one, 3)
    assert value(one) == 3


def test_what_a_scope_read_is_not_read_older_behind_it(connect, stalled):
    alone = {"session_id_kind": "connection", "after": None}
    connection, writer = connect(**alone), connect(**alone)
    assert value(connection) == 0
    write(writer, 1)
    with rwsplit.scope(), rwsplit.using(reads="primary"):
        assert value(connection) == 1
    with rwsplit.scope():
        assert value(connection) == 0, "the next scope is another session"
    assert value(connection) == 1


def test_what_was_read_on_the_primary_is_not_read_older_behind_a_scope(connect, stalled):
    """A scope's reads run on a replica that has less: it is not enough to go on there."""
    alone = {"session_id_kind": "connection", "after": None}
    connection, writer = connect(**alone), connect(**alone)
    assert value(connection) == 0
    write(writer, 1)
    with rwsplit.using(reads="primary"):
        assert value(connection) == 1
    assert value(connection) == 1, "the primary was asked where it is"
    connection.begin()
    run(connection, "DELETE FROM t WHERE id = 2")
    connection.rollback()
    with rwsplit.scope():
        assert value(connection) == 0, "the scope is another session"
    assert value(connection) == 1


def test_a_position_to_begin_with(connect, stalled):
    with rwsplit.scope() as scope:
        write(connect(), 1)
    carried = scope.position
    assert carried == rwsplit.join_positions(carried)
    fresh = connect()
    with rwsplit.scope(after=carried) as scope:
        assert value(fresh) == 1
        assert scope.position == carried
        assert not scope.wrote
        assert rwsplit.connect is not None
    with rwsplit.scope():
        assert value(fresh) == 0
    with rwsplit.scope(after="connect"):
        assert value(fresh) == 1
    with rwsplit.scope(), rwsplit.scope(after=carried):
        assert value(fresh) == 1


def test_a_position_of_the_connection_is_the_scopes(connect, stalled):
    one, other = connect(), connect()
    write(one, 1)
    with rwsplit.scope() as scope:
        assert one.position == one.position[:3], "nothing was read or written in the scope"
        write(other, 2)
        assert one.position == other.position == scope.position
    assert rwsplit.join_positions(one.position, scope.position) == one.position


def test_scopes_within_scopes(connect, stalled):
    one, other = connect(), connect()
    with rwsplit.scope() as outer:
        write(one, 1)
        with rwsplit.scope() as inner:
            assert value(other) == 1, "what the outer one wrote"
            assert not inner.wrote
            write(other, 2)
        assert inner.wrote
        assert value(one) == 2, "what the inner one wrote"
        assert inner.position == outer.position
    with rwsplit.scope() as outer:
        with rwsplit.scope() as inner:
            write(one, 3)
        assert outer.wrote
        assert value(other) == 3


def test_a_scope_is_settled_once_the_replicas_have_it(no_others, cluster, connect, row):
    # Who was given one of them alone and asked it nothing holds nobody up.
    connect(replicas=cluster.connect_options["replicas"][:1])
    connection = connect()
    with rwsplit.scope() as scope:
        write(connection, 1)
        cluster.wait_caught_up()
        until = time.monotonic() + 10
        while not scope.settled and time.monotonic() < until:
            assert value(connection) == 1
            time.sleep(0.01)
        assert scope.settled
        assert value(connection) == 1
        assert connection.route.role == "replica"


# Threads, tasks.


def test_threads_and_tasks_share_the_scope(connect, late):
    one, other = connect(), connect()

    async def request(number):
        async with rwsplit.scope() as scope:
            await asyncio.to_thread(write, one, number)
            assert scope.wrote
            task = asyncio.create_task(asyncio.to_thread(value, other))
            assert await task == number
            return scope.position

    positions = [asyncio.run(request(number)) for number in range(1, 6)]
    assert len({*positions}) == 5


def test_many_threads_write_in_one_scope(connect, late):
    connections = [connect() for _ in range(4)]
    with rwsplit.scope() as scope:

        def write_some(number):
            with scope:  # a thread has no context of its own but this
                for _ in range(10):
                    run(connections[number], "REPLACE INTO t VALUES (%s, 7)", (number + 10,))

        threads = [threading.Thread(target=write_some, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert value(connections[0], "SELECT COUNT(*) FROM t WHERE v = 7") == 4
    fresh = connect()
    with rwsplit.scope(after=scope.position):
        assert value(fresh, "SELECT COUNT(*) FROM t WHERE v = 7") == 4


def test_a_thread_without_the_context_has_no_scope(connect, stalled):
    connection = connect(session_id_kind="connection", after=None)
    with rwsplit.scope() as scope:
        thread = threading.Thread(target=write, args=(connection, 1))
        thread.start()
        thread.join()
        assert not scope.wrote


# What counts as written.


def nothing(connection):
    value(connection)
    run(connection, "SET @x = 1")
    run(connection, "SELECT 1 FROM t FOR UPDATE")


def a_rollback(connection):
    connection.begin()
    write(connection, 5)
    connection.rollback()


def an_open_transaction(connection):
    connection.begin()
    write(connection, 5)


def an_error(connection):
    with pytest.raises(rwsplit.ProgrammingError):
        run(connection, "UPDATE t SET nothing = 1")
    connection.autocommit(False)
    value(connection)
    connection.commit()
    connection.autocommit(True)


@pytest.mark.parametrize("what", [nothing, a_rollback, an_open_transaction])
def test_what_is_no_commit(connect, row, what):
    connection = connect()
    with rwsplit.scope() as scope:
        what(connection)
        assert not scope.wrote
        assert scope.position == ""
        assert scope.settled


def by_method(connection):
    connection.begin()
    write(connection, 5)
    connection.commit()


def by_text(connection):
    run(connection, "START TRANSACTION")
    write(connection, 5)
    run(connection, "COMMIT")


def by_autocommit(connection):
    write(connection, 5)


def by_switching(connection):
    connection.autocommit(False)
    write(connection, 5)
    connection.autocommit(True)


def by_ddl(connection):
    connection.begin()
    write(connection, 5)
    run(connection, "CREATE TABLE IF NOT EXISTS t (id INT)")


def by_procedure(connection):
    run(connection, "DROP PROCEDURE IF EXISTS wrote")
    run(
        connection,
        "CREATE PROCEDURE wrote() MODIFIES SQL DATA BEGIN UPDATE t SET v = 4; UPDATE t SET v = 5; "
        "END",
    )
    run(connection, "CALL wrote()")


def by_failing(connection):
    run(connection, "CREATE TABLE IF NOT EXISTS plain (id INT PRIMARY KEY, v INT) ENGINE=MyISAM")
    run(connection, "DELETE FROM plain")
    write(connection, 5)
    with pytest.raises(rwsplit.IntegrityError):
        run(connection, "INSERT INTO plain VALUES (1, 1), (1, 2)")


@pytest.mark.parametrize(
    "commit",
    [by_method, by_text, by_autocommit, by_switching, by_ddl, by_procedure, by_failing],
)
def test_what_is_committed_is_in_the_position_at_once(cluster, connect, row, commit):
    connection = connect()
    with rwsplit.scope() as scope:
        commit(connection)
        assert scope.wrote
        position = scope.position
        assert not scope.in_doubt
    for replica in cluster.replicas:
        cluster.stall(replica)
    with rwsplit.scope(after=position):
        assert value(connect()) == 5


def test_a_lost_answer_counts_as_written(cluster, connect, stalled):
    connection, other = connect(), connect()
    connection.begin()
    write(connection, 5)
    with rwsplit.scope() as scope:
        # Begun outside, and committed in the scope.
        assert not scope.wrote
        run(other, f"KILL {connection.thread_id()}")
        with pytest.raises(rwsplit.OperationalError):
            connection.commit()
        assert scope.wrote
        assert scope.in_doubt
        assert scope.position, "the primary was asked"
        assert not scope.in_doubt


def test_while_the_primary_is_away_the_position_is_not_made_up(cluster, connect, row):
    connection = connect(primary_wait=0.2)
    with rwsplit.scope() as scope:
        connection.begin()
        write(connection, 5)
        cluster.kill(cluster.primary)
        with pytest.raises(rwsplit.OperationalError):
            connection.commit()
        assert scope.wrote
        with pytest.raises(rwsplit.OperationalError):
            scope.position


# Transactions.


def test_a_transaction_ends_where_it_began(connect, stalled):
    """A scope that begins amid one holds from the next; what it commits is told to both."""
    connection, reader = connect(autocommit=False), connect()
    with rwsplit.scope() as first:
        assert value(connection) == 0
        with rwsplit.scope() as second:
            write(connection, 1)
            connection.commit()
            assert second.wrote
        assert first.wrote
        assert value(reader) == 1
    run(connection, "SELECT 1")
    write(connection, 2)
    with rwsplit.scope() as later:
        connection.commit()
        assert later.wrote
        assert value(reader) == 2
    with rwsplit.scope() as early:
        write(connection, 3)
    connection.commit()
    assert early.wrote
    with rwsplit.scope(after=early.position):
        assert value(reader) == 3


def test_a_scope_of_transactions(connect, late):
    one, other = (connect(autocommit=False) for _ in "12")
    for number in range(1, 6):
        with rwsplit.scope() as scope:
            with contextlib.suppress(rwsplit.OperationalError):
                # Error 1213 where the replica was late: the next attempt is the primary's.
                assert value(one) is not None
                write(one, number)
                one.commit()
            if not scope.wrote:
                assert value(one) is not None
                write(one, number)
                one.commit()
            assert scope.wrote
            assert value(other) == number
            other.rollback()
        one, other = other, one


# What is made up.


def made_up(cluster, connection):
    """A position of a source that the cluster has, but further on; and one of another's."""
    at = decode(connection.position)
    if cluster.flavor == "mysql":
        uuid = str(at).partition(":")[0]
        yield encode(GtidSet.parse(f"{uuid}:1-900000"))
        yield encode(GtidSet.parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"))
    else:
        domain, server, number = next(iter(at))
        yield encode(GtidList.parse(f"{domain}-{server}-{number + 100_000}"))
        yield encode(GtidList.parse(f"{domain + 7}-1-5"))


def test_a_position_that_nobody_has_costs_one_look(cluster, connect, row):
    connection = connect()
    write(connection, 1)
    cluster.wait_caught_up()
    for which, after in enumerate(made_up(cluster, connection)):
        pool = [connect() for _ in range(3)]
        waited = 0
        with rwsplit.scope(after=after) as scope:
            for number in range(12):
                assert value(pool[number % 3]) == 1
                waited += pool[number % 3].route.waited > 0.05
            assert waited <= 1 - which
            # A replica where a wait was in vain is looked at again within a second or so.
            until = time.monotonic() + 10
            while pool[0].route.role != "replica":
                assert time.monotonic() < until, pool[0].route
                time.sleep(0.02)
                assert value(pool[0]) == 1
            assert not scope.wrote
            if which == 0:
                assert after != scope.position, "it is not carried on"
            else:
                both = rwsplit.join_positions(scope.position, after)
                assert both == scope.position, "it may be another cluster's"


def test_a_position_of_the_other_flavor(cluster, connect, row):
    connection = connect()
    other = (
        "ma1.0-1-7" if cluster.flavor == "mysql" else f"my1.{'0' * 8}-0000-0000-0000-{'0' * 12}.1"
    )
    with rwsplit.scope(after=other):
        for _ in range(2):
            with pytest.raises(ValueError, match="after: a position of"):
                value(connection)
    assert value(connection) == 0
    with rwsplit.Scope(other, is_checked=False) as scope:
        assert value(connection) == 0
        assert connection.route.role == "replica"
        write(connection, 1)
        assert value(connection) == 1
        assert scope.wrote


# Session ids.


def test_an_id_and_a_scope(connect, stalled):
    one, other = connect(), connect()
    with rwsplit.scope(session_id="user:1"):
        write(one, 1)
    with rwsplit.scope(session_id="user:2"):
        assert value(one) == 0
    with rwsplit.session_id("user:1"), rwsplit.scope() as scope:
        assert value(other) == 1, "by the id"
        assert not scope.wrote
    with rwsplit.scope(), rwsplit.session_id("user:3"):
        write(other, 2)
        with rwsplit.session_id("user:4"):
            assert value(one) == 2, "by the scope"
    named = connect(session_id="user:3")
    assert value(named) == 2
    with rwsplit.scope() as scope:
        write(named, 3)
        assert value(one) == 3
        assert scope.wrote
    assert value(named) == 3


# Choices.


def test_choosing_for_a_block(cluster, connect, stalled):
    connection = connect()
    write(connection, 1)
    assert value(connection) == 1
    with rwsplit.using(consistency="eventual"):
        assert value(connection) == 0
        assert connection.route.role == "replica"
        with rwsplit.using(consistency="global"):
            assert value(connection) == 1
        with connection.consistency("session"):
            assert value(connection) == 1
        with rwsplit.using(reads="primary"):
            assert value(connection) == 1
            assert "using(reads='primary')" in connection.route.reason
            assert connection.route.cause == rwsplit.Cause.SWITCHED_OFF
        assert value(connection) == 0
    with connection.consistency("session"), rwsplit.using(consistency="eventual"):
        assert value(connection) == 1
    assert value(connection) == 1


def test_choosing_replicas_for_a_block(no_others, connect, row, monkeypatch):
    connection = connect(reads="primary", max_wait=5.0)
    assert (value(connection), connection.route.role) == (0, "primary")
    with rwsplit.using(reads="replicas"):
        assert (value(connection), connection.route.role) == (0, "replica"), connection.route
        connection.autocommit(False)
        assert value(connection, "SELECT v + 5 FROM t WHERE id = 1") == 5
        assert connection.route.role == "replica"
        connection.autocommit(True)
    assert (value(connection), connection.route.role) == (0, "primary")
    monkeypatch.setenv("RWSPLIT_READS", "primary")
    with rwsplit.using(reads="replicas"):
        connection = connect()
        assert (value(connection), connection.route.role) == (0, "primary")


def test_choosing_how_old_a_read_may_be(connect, stalled):
    writer, connection = connect(), connect(consistency="eventual")
    assert value(connection) == 0
    write(writer, 1)
    with rwsplit.using(max_staleness=0.001):
        assert value(connection) == 1
    assert value(connection) == 0


def test_choosing_a_group(cluster, row, monkeypatch, tmp_path):
    first, second = cluster.replicas
    path = tmp_path / "rwsplit.toml"
    path.write_text(f"""
[clusters.shop]
primary = "{cluster.primary.host}:{cluster.primary.port}"
user = "app"
password = "{cluster.connect_options["password"]}"
database = "shop"
[clusters.shop.groups.web]
replicas = ["{first.host}:{first.port}"]
[clusters.shop.groups.reports]
replicas = ["{second.host}:{second.port}"]
only_by_rule = true
""")
    path.chmod(0o600)
    monkeypatch.setenv("RWSPLIT_CONFIG", str(path))
    with rwsplit.connect(cluster="shop", autocommit=True) as connection:
        for group, server in ((None, first), ("reports", second), ("web", first)):
            with rwsplit.using(group=group):
                for _ in range(4):
                    value(connection)
                    assert connection.route.endpoint.endswith(f":{server.port}")
        with rwsplit.using(group="nobody"):
            value(connection)
            assert connection.route.role == "replica"
            assert "no replica of nobody" in connection.route.reason


def test_an_open_transaction_goes_on_as_it_began(connect, stalled):
    connection = connect(autocommit=False)
    # Of texts that no other transaction begins with: what those go on to do is known by now.
    asks = "SELECT v + 1 FROM t WHERE id = 1"
    write(connection, 1)
    connection.commit()
    assert value(connection, asks) == 2
    with rwsplit.using(consistency="eventual"):
        assert value(connection, asks) == 2, "the transaction began outside"
        connection.rollback()
        assert value(connection, asks) == 1
    assert value(connection, asks) == 1, "and this one in the block"
    connection.rollback()
    assert value(connection, asks) == 2


def test_decorated_views(connect, stalled):
    connection = connect()
    write(connection, 1)

    @rwsplit.using(consistency="eventual")
    def report():
        return value(connection)

    @rwsplit.using(consistency="eventual")
    async def report_async():
        return await asyncio.to_thread(value, connection)

    @rwsplit.scope()
    def request():
        return value(connection)

    assert report() == asyncio.run(report_async()) == request() == 0
    assert value(connection) == 1


# What it costs.


def test_a_read_in_an_empty_scope_costs_no_more(connect, row):
    connection = connect(session_id_kind="connection", after=None)
    cursor = connection.cursor()

    def calls():
        count = 0

        def trace(frame, event, argument):
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(trace)
        try:
            cursor.execute(READ)
        finally:
            sys.setprofile(None)
        cursor.fetchall()
        return count

    def usual():
        return min(calls() for _ in range(30))

    outside = usual()
    with rwsplit.scope():
        inside = usual()
    assert inside == outside
    assert usual() == outside
