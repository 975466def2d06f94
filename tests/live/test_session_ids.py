"""Session ids and their stores, carried positions, and what reads must see."""

import contextlib
import threading
import time

import pytest

import rwsplit
from rwsplit._core.cluster.position import GtidList, GtidSet, decode
from rwsplit._core.session.session_id import check_session_id, parse_database, parse_use
from rwsplit._stores.memory import MemoryStore

_numbers = iter(range(10**9))
ALONE = {"session_id_kind": "connection", "after": None}
"""A connection that shares nothing, and begins with nothing."""


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request, tmp_path):
    """A store that nobody else uses, as `session_store` names it."""
    if request.param == "memory":
        return "memory"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/sessions.db"
    url = request.getfixturevalue("redis_url")
    return f"{url}?prefix=test{next(_numbers)}:"


@pytest.fixture
def stalled(cluster, table):
    """Both replicas have the table, and nothing more comes to them."""
    for replica in cluster.replicas:
        cluster.stall(replica)


def value(cursor, hint=""):
    cursor.execute(f"SELECT {hint} v FROM t WHERE id = 1")
    row = cursor.fetchone()
    return row and row[0]


def is_served_by_replicas(cursor):
    """Replicas that were late are looked at again within a second or so."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        value(cursor)
        if cursor.route.role == "replica":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop", ("shop", None)),
        ("shop?sessionId=42", ("shop", "42")),
        ("shop@SESSIONID=a b", ("shop", "a b")),
        ("a?b@c", ("a?b@c", None)),
        ("sh?op@sessionid=x?y", ("sh?op", "x?y")),
        ("?sessionid=1", ("", "1")),
    ],
)
def test_a_session_id_stands_behind_the_database_name(text, expected):
    assert parse_database(text) == expected


@pytest.mark.parametrize(
    "text",
    ["s?sessionid=", "s?sessionid=1?sessionid=2", "s@sessionid=" + 256 * "x", "s?sessionid=a\n"],
)
def test_bad_session_ids_are_programming_errors(text, cluster):
    with pytest.raises(ValueError, match="session_id"):
        parse_database(text)
    with pytest.raises(rwsplit.ProgrammingError, match="session_id"):
        rwsplit.connect(**{**cluster.connect_options, "database": text})


@pytest.mark.parametrize("bad", ["", "x" * 256, "a\0b", None, True, 1.5])
def test_an_id_is_printable_text(bad):
    with pytest.raises(ValueError, match="session_id"):
        check_session_id(bad)
    with pytest.raises(rwsplit.ProgrammingError), rwsplit.session_id(bad):
        pass


def test_use_takes_an_id():
    assert parse_use("use `a``b?sessionid=1` ;") == ("a`b", "1")
    assert parse_use("USE shop@sessionId=7") == ("shop", "7")
    assert parse_use("SELECT '?sessionid=1'") is None


def ways_to_share(cluster, connect, store):
    """By name, two connections of one session, and one of another."""
    options = {"session_store": store, "on_lag": "primary", **ALONE}
    one = {**options, "database": "shop?sessionId=one"}
    yield "database name", connect(**one), connect(**one), connect(**options)
    named = connect(session_id="2", **options), connect(sessionId=2, **options)
    yield "keyword", *named, connect(session_id="3", **options)
    first, second, third = (connect(**options) for _ in range(3))
    first.cursor().execute("USE `shop?sessionid=4`")
    second.select_db("shop@SessionId=4")
    third.session_id = 5
    yield "USE", first, second, third
    kind = {**options, "session_id_kind": "database"}
    yield "kind database", connect(**kind), connect(**kind), connect(**{**kind, "database": None})
    kind = {**options, "session_id_kind": "user"}
    yield "kind user", connect(**kind), connect(**kind), connect(**options)
    kind = {**options, "session_id_kind": "PROVIDED"}
    yield (
        "kind provided",
        connect(session_id="8", **kind),
        connect(session_id="8", **kind),
        connect(**kind),
    )


def test_who_shares_an_id_reads_what_the_others_wrote(cluster, connect, store, stalled):
    for number, (name, one, other, stranger) in enumerate(ways_to_share(cluster, connect, store)):
        cursor = stranger.cursor()
        cursor.execute("SELECT v FROM shop.t WHERE id = 1")
        one.cursor().execute("REPLACE INTO t VALUES (1, %s)", (number,))
        assert value(other.cursor()) == number, name
        assert other.route.role == "primary", name
        cursor.execute("SELECT v FROM shop.t WHERE id = 1")
        assert cursor.fetchone() is None, (name, stranger.route)
        assert stranger.route.role == "replica", name


def test_a_session_id_for_a_block_of_code(cluster, connect, store, stalled):
    options = {"session_store": store, "on_lag": "primary", **ALONE}
    pooled, other = connect(**options), connect(**options)
    with rwsplit.session_id("user:1"):
        pooled.cursor().execute("REPLACE INTO t VALUES (1, 1)")
    assert value(other.cursor()) is None
    with rwsplit.session_id("user:2"):
        assert value(pooled.cursor()) is None, "it is another user's connection now"
        assert pooled.route.role == "replica"
    with rwsplit.session_id("user:1"):
        assert value(other.cursor()) == 1
    found = []

    def elsewhere():
        connection = connect(**options)
        found.append(value(connection.cursor()))

    with rwsplit.session_id("user:1"):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert found == [None], "a context variable is the thread's own"


def test_what_a_connection_wrote_for_itself_outlives_a_block(cluster, connect, stalled):
    connection = connect(on_lag="primary", after=None)
    cursor = connection.cursor()
    cursor.execute("REPLACE INTO t VALUES (1, 1)")
    with rwsplit.session_id("somebody"):
        assert value(cursor) is None
    assert value(cursor) == 1


def test_an_id_changed_in_a_transaction_holds_from_the_next_one(cluster, connect, stalled):
    one = connect(autocommit=False, session_id="a", on_lag="primary")
    other, stranger = connect(session_id="a"), connect(session_id="b")
    one.cursor().execute("REPLACE INTO t VALUES (1, 1)")
    one.session_id = "b"
    one.commit()
    assert value(other.cursor()) == 1
    assert value(stranger.cursor()) is None
    one.cursor().execute("REPLACE INTO t VALUES (1, 2)")
    one.commit()
    assert value(stranger.cursor()) == 2


def test_the_cross_database_exploit_of_smartscale(cluster, connect, stalled):
    """One id over several schemas: what was written in one is seen in another."""
    cluster.create_database("forum")
    try:
        one = connect(database="shop?sessionId=9")
        two = connect(database="forum?sessionId=9", max_wait=0.01)
        one.cursor().execute("REPLACE INTO t VALUES (1, 9)")
        cursor = two.cursor()
        cursor.execute("SELECT v FROM shop.t WHERE id = 1")
        assert cursor.fetchone() == (9,)
    finally:
        cluster.drop_database("forum")


def test_an_id_never_reaches_a_server(cluster, connect):
    connection = connect(database="shop?sessionId=secret-id", session_id_kind="provided")
    cursor = connection.cursor()
    cursor.execute("USE `shop?sessionId=secret-id`")
    for place in ("primary", "replica"):
        cursor.execute(f"SELECT /* rwsplit: {place} */ DATABASE()")
        assert cursor.fetchone() == ("shop",)
    assert connection.db == b"shop"
    assert connection.session_id == "secret-id"


def test_a_mark_sends_reads_to_the_primary(cluster, connect, store, table):
    """A write is under way elsewhere: nobody knows its position yet."""
    if store == "memory":
        pytest.skip("what a crash loses in memory, it loses with everyone")
    writer, reader = (
        connect(session_id="m", session_store=store),
        connect(session_id="m", session_store=store),
    )
    writer.begin()
    writer.cursor().execute("REPLACE INTO t VALUES (1, 5)")
    value(reader.cursor())
    assert reader.route.role == "primary"
    assert "under way" in reader.route.reason
    writer.commit()
    assert value(reader.cursor()) == 5
    cluster.wait_caught_up()
    assert value(reader.cursor()) == 5
    assert is_served_by_replicas(reader.cursor())
    # A process that died before it published.
    dead = connect(session_id="m", session_store=store)
    dead._session.identity.sharing.begin_write()
    dead._force_close()  # amid a write, as far as it knows
    value(reader.cursor())
    assert reader.route.role == "primary"


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "sqlite:////no/such/folder/x.db"])
def test_a_store_that_fails_means_the_primary(cluster, connect, table, url):
    connection = connect(session_id="f", session_store=url)
    cursor = connection.cursor()
    value(cursor)
    assert connection.route.role == "primary"
    assert "session store" in connection.route.reason
    with pytest.raises(rwsplit.OperationalError, match="nothing was written"):
        cursor.execute("REPLACE INTO t VALUES (1, 1)")
    assert value(cursor) is None


def test_a_store_that_lost_its_data_lets_nobody_read_stale(cluster, connect, redis_url, stalled):
    import redis

    store = f"{redis_url}?prefix=lost:"
    one, other = (connect(session_id="l", session_store=store, on_lag="primary") for _ in "12")
    one.cursor().execute("REPLACE INTO t VALUES (1, 1)")
    redis.Redis.from_url(redis_url).flushall()
    assert value(other.cursor()) == 1
    assert other.route.role == "primary"


def test_bounded_stores_keep_everyone_consistent(tmp_path, redis_url):
    from rwsplit._stores.redis import RedisStore
    from rwsplit._stores.sqlite import SQLiteStore

    uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    for store in (
        MemoryStore(most=10),
        SQLiteStore(str(tmp_path / "s.db"), most=10),
        RedisStore(f"{redis_url}?prefix=bounded:", most=10),
    ):
        store.begin(GtidSet())
        for number in range(1, 41):
            mark = store.open(f"id{number}")
            store.publish(f"id{number}", mark, GtidSet.parse(f"{uuid}:{number}"))
        for number in range(1, 41):
            stored = store.get(f"id{number}")
            assert stored.position.covers(GtidSet.parse(f"{uuid}:{number}")), store
            assert not stored.is_open
        newest = store.get("id40").position
        assert newest.covers(GtidSet.parse(f"{uuid}:1-20")), "the floor holds for all"


def test_stores_add_up_what_many_threads_write(tmp_path, redis_url):
    from rwsplit._stores.redis import RedisStore
    from rwsplit._stores.sqlite import SQLiteStore

    for store in (
        MemoryStore(),
        SQLiteStore(str(tmp_path / "t.db")),
        RedisStore(f"{redis_url}?prefix=threads:"),
    ):
        store.begin(GtidList())

        def work(domain, store=store):
            for number in range(1, 21):
                mark = store.open("x")
                store.publish("x", mark, GtidList.parse(f"{domain}-1-{number}"))

        threads = [threading.Thread(target=work, args=(domain,)) for domain in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stored = store.get("x")
        assert stored.position == GtidList.parse("1-1-20,2-1-20,3-1-20,4-1-20")
        assert not stored.is_open


def test_a_position_is_carried_elsewhere(cluster, connect, stalled):
    one = connect()
    one.cursor().execute("REPLACE INTO t VALUES (1, 1)")
    carried = one.position
    assert carried.isascii()
    assert value(connect(**ALONE).cursor()) is None
    other = connect(after=carried, on_lag="primary")
    assert value(other.cursor()) == 1
    waiting = connect(**ALONE)
    assert not waiting.wait_for(carried, 0.05)
    assert value(waiting.cursor()) == 1
    threading.Timer(0.2, lambda: [cluster.resume(r) for r in cluster.replicas]).start()
    assert waiting.wait_for(carried, 10)
    assert value(waiting.cursor()) == 1
    assert is_served_by_replicas(waiting.cursor())


def test_a_position_outlives_pruning(cluster, connect, table):
    one = connect()
    cursor = one.cursor()
    cursor.execute("REPLACE INTO t VALUES (1, 1)")
    cluster.wait_caught_up()
    for name in cluster.connect_options["replicas"] * 2:
        value(cursor, f"/* rwsplit: replica={name} */")
    assert decode(one.position).covers(decode(connect(after=one.position).position))
    assert one.position not in ("my1", "ma1")


def test_bad_positions_are_value_errors(cluster, connect):
    foreign = "my1" if cluster.flavor == "mariadb" else "ma1.0-1-1"
    foreign = foreign if foreign != "my1" else "my1.3e11fa47-71ca-11e1-9e33-c80aa9429562.1-5"
    connection = connect()
    pool = connection.cluster.pool
    in_use = pool.in_use.total()
    with pytest.raises(ValueError, match="position of"):
        connect(after=foreign)
    assert pool.in_use.total() == in_use
    for bad in ("", "x", "connect", foreign):
        with pytest.raises(ValueError, match="position"):
            connection.wait_for(bad, 1)


def test_reads_never_go_back_in_time(cluster, connect, table):
    """One replica is ahead of the other: who has read there does not read less elsewhere."""
    ahead, behind = cluster.replicas
    names = {f"{server.host}:{server.port}": server for server in cluster.replicas}
    with cluster.connect(cluster.primary) as writer:
        for number in range(30):
            writer.cursor().execute("REPLACE INTO t VALUES (1, %s)", (number,))
            cluster.wait_caught_up()
            if number % 3 == 0:
                cluster.stall(behind)
                writer.cursor().execute("REPLACE INTO t VALUES (1, %s)", (number + 1000,))
                assert cluster._wait(ahead, cluster.position(cluster.primary), 10)
            connection = connect(max_wait=0.02, **ALONE)
            cursor = connection.cursor()
            seen = [value(cursor) for _ in range(6)]
            assert seen == sorted(seen), names
            cluster.resume(behind)


def test_a_read_on_the_primary_counts_as_well(cluster, connect, stalled):
    with cluster.connect(cluster.primary) as writer:
        writer.cursor().execute("REPLACE INTO t VALUES (1, 1)")
    connection = connect(on_lag="primary", after=None, session_id_kind="connection")
    cursor = connection.cursor()
    assert value(cursor) is None
    assert value(cursor, "/* rwsplit: primary */") == 1
    assert value(cursor) == 1
    assert connection.route.role == "primary"


def test_max_staleness(no_others, cluster, connect, table):
    """Old news is bounded in seconds; nobody needs a privilege to tell."""
    stale = connect(consistency="eventual")
    fresh = connect(consistency="eventual", max_staleness=0.3, max_wait=0.02)
    value(stale.cursor())
    value(fresh.cursor())
    for replica in cluster.replicas:
        cluster.stall(replica)
    with cluster.connect(cluster.primary) as writer:
        writer.cursor().execute("REPLACE INTO t VALUES (1, 1)")
    time.sleep(0.5)
    assert value(stale.cursor()) is None
    assert value(fresh.cursor()) == 1
    assert fresh.route.role == "primary"
    assert value(stale.cursor(), "/* rwsplit: max_staleness=0.1 */") == 1
    for replica in cluster.replicas:
        cluster.resume(replica)
    cluster.wait_caught_up()
    time.sleep(0.2)
    assert value(fresh.cursor()) == 1
    assert is_served_by_replicas(fresh.cursor())


def test_consistency_for_a_block(no_others, cluster, connect, stalled):
    with cluster.connect(cluster.primary) as writer:
        writer.cursor().execute("REPLACE INTO t VALUES (1, 1)")
    connection = connect(max_wait=0.02, after=None, session_id_kind="connection")
    cursor = connection.cursor()
    assert value(cursor) is None
    with connection.consistency("global"):
        assert value(cursor) == 1
        with connection.consistency("eventual"):
            assert value(cursor) is None
        assert value(cursor) == 1
    with pytest.raises(ValueError, match="consistency"), connection.consistency("strong"):
        pass


def test_a_position_that_the_primary_lost_is_let_go(cluster, connect, table, caplog):
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("REPLACE INTO t VALUES (1, 1)")
    if cluster.flavor == "mysql":
        lost = "my1.3e11fa47-71ca-11e1-9e33-c80aa9429562.1-5"
    else:
        domain, server, number = next(iter(connection._session.state.position))
        lost = f"ma1.{domain}-{server}-{number + 1000}"
    late = connect(after=lost)
    cursor = late.cursor()
    assert value(cursor) == 1
    assert [r for r in caplog.records if "lets go" in r.getMessage()]
    caplog.clear()
    cluster.wait_caught_up()
    assert is_served_by_replicas(cursor)
    assert value(cursor) == 1
    assert not [r for r in caplog.records if "lets go" in r.getMessage()]


def test_an_errant_transaction_binds_nobody_to_its_replica(no_others, cluster, connect, table):
    """A replica's own transaction is no part of the stream: others need not have it."""
    if cluster.flavor == "mariadb":
        pytest.skip("gtid_slave_pos does not show it")
    errant = cluster.replicas[0]
    with contextlib.closing(cluster.admin(errant)) as admin:
        admin.cursor().execute("FLUSH ENGINE LOGS")
    cursor = connect().cursor()
    seen = set()
    until = time.monotonic() + 30
    # A replica that an earlier test found behind is looked at again within a second or so.
    while len(seen) < 2 and time.monotonic() < until:
        value(cursor)
        assert cursor.route.role == "replica"
        seen.add(cursor.route.endpoint)
    assert len(seen) == 2
