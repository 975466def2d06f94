"""Policies on real servers: who serves which read."""

import itertools
import math
import threading
import time
from collections import Counter

import pytest

import rwsplit
from rwsplit._core.cluster.policies import POLICIES

READ = "SELECT COUNT(*) FROM t"


@pytest.fixture
def loose(connect, table):
    """A connection whose reads may go to any replica, whatever the one before saw."""

    clusters = []

    def make(**options):
        connection = connect(**{"consistency": "eventual", **options})
        clusters.append(connection.cluster)
        return connection

    yield make
    # The next test begins without these figures.
    for known in clusters:
        known.close()


def where(connection, times=40, sql=READ):
    """How many reads each server answered."""
    cursor = connection.cursor()
    seen = Counter()
    for _ in range(times):
        cursor.execute(sql)
        cursor.fetchall()
        seen[cursor.route.endpoint] += 1
    return seen


def replica_names(cluster):
    return [f"{server.host}:{server.port}" for server in cluster.replicas]


def named(cluster, *changes):
    """The replicas as dicts with these changes."""
    options = cluster.connect_options["replicas"]
    found = []
    for option, change in zip(options, changes, strict=True):
        host, port = option.rsplit(":", 1) if isinstance(option, str) else (None, None)
        found.append({"host": host, "port": int(port), **change} if host else {**option, **change})
    return found


@pytest.mark.parametrize("policy", [name for name in POLICIES if name != "consistent_hash"])
def test_every_policy_spreads_reads_over_equals(cluster, loose, policy):
    connection = loose(policy=policy)
    if policy == "least_behind_primary":
        # Who was looked at is preferred to who was not yet.
        until = time.monotonic() + 10
        while any(math.isinf(each.behind) for each in connection.cluster.replicas):
            assert time.monotonic() < until
            where(connection, 1)
    until = time.monotonic() + 10
    while True:
        seen = where(connection, 100)
        assert {*seen} <= {*replica_names(cluster)}
        # A hiccup of one of them is this one's business, and it may take a while to be forgotten.
        if policy == "least_response_time" or (len(seen) == 2 and min(seen.values()) >= 20):
            return
        # What other tests left running there is counted, too, until it ends.
        assert time.monotonic() < until, seen


@pytest.mark.parametrize("writes", [True, False])
def test_the_reads_of_one_connection_are_spread(cluster, connect, table, writes):
    """Over equals, within 5%, though others commit all the time; and none goes back in time."""
    ends = threading.Event()

    def write():
        with cluster.connect(cluster.primary, autocommit=True) as connection:
            cursor = connection.cursor()
            for number in itertools.count():
                if ends.wait(0.002):
                    return
                cursor.execute("INSERT INTO t VALUES (%s, 1)", (number,))

    writer = threading.Thread(target=write)
    if writes:
        writer.start()
    try:
        for _ in range(3):  # replicas that fall behind each other for a while can't be left
            cursor = connect().cursor()
            seen, last = Counter(), 0
            for _ in range(2000):
                cursor.execute(READ)
                (count,) = cursor.fetchone()
                assert count >= last
                last = count
                seen[cursor.route.endpoint] += 1
            if {*seen} == {*replica_names(cluster)} and min(seen.values()) >= 950:
                return
    finally:
        ends.set()
        if writes:
            writer.join()
    pytest.fail(f"they are not: {seen}")


def test_a_hash_gives_each_session_id_a_replica_of_its_own(cluster, loose):
    homes = {}
    for number in range(16):
        first = loose(policy="consistent_hash", session_id=number)
        second = loose(policy="consistent_hash")
        with rwsplit.session_id(number):
            seen = {*where(first, 5), *where(second, 5)}
        assert len(seen) == 1
        homes[number] = seen.pop()
        first.close()
        second.close()
    assert {*homes.values()} == {*replica_names(cluster)}
    # Without a session id there is nothing to go by.
    assert {*where(loose(policy="consistent_hash"))} == {*replica_names(cluster)}


@pytest.mark.parametrize("policy", ["round_robin", "random", "least_mysql_running_connections"])
def test_weights_are_kept(cluster, loose, policy):
    heavy, light = named(cluster, {"name": "heavy", "weight": 3}, {"name": "light"})
    seen = where(loose(policy=policy, replicas=[heavy, light]), 200)
    assert 120 <= seen["heavy"] <= 180
    assert seen["heavy"] + seen["light"] == 200


def test_a_replica_of_weight_0_serves_when_no_other_can(cluster, loose):
    replicas = named(cluster, {"name": "idle", "weight": 0}, {"name": "busy"})
    connection = loose(replicas=replicas)
    assert where(connection) == {"busy": 40}
    cluster.kill(cluster.replicas[1])
    assert where(connection) == {"idle": 40}


def test_the_own_zone_comes_first(cluster, loose, monkeypatch):
    replicas = named(cluster, {"name": "n", "zone": "north"}, {"name": "s", "zone": "south"})
    with loose(replicas=replicas, zone="south") as connection:
        assert where(connection) == {"s": 40}
    with loose(replicas=replicas, zone="west") as connection:
        assert {*where(connection)} == {"n", "s"}
    monkeypatch.setenv("RWSPLIT_ZONE", "north")
    connection.cluster.close()
    with loose(replicas=replicas) as connection:
        assert where(connection) == {"n": 40}
        cluster.kill(cluster.replicas[0])
        assert where(connection) == {"s": 40}


def test_the_primary_gets_its_share(cluster, loose, connect):
    primary = f"{cluster.primary.host}:{cluster.primary.port}"
    connection = loose(primary_share=0.3)
    seen = where(connection, 300)
    assert 50 <= seen[primary] <= 130
    connection.cursor().execute(READ + " /* rwsplit: replica */")
    assert connection.route.role == "replica"
    assert where(connection, 20, READ + " /* rwsplit: replica */")[primary] == 0
    assert where(loose(primary_share=1), 20) == {primary: 20}
    assert where(loose(primary_share=0), 20)[primary] == 0
    # With consistency, too, and in transactions.
    connection = connect(primary_share=0.5, autocommit=False)
    cursor = connection.cursor()
    roles = Counter()
    for _ in range(40):
        cursor.execute(READ)
        roles[cursor.route.role] += 1
        connection.commit()
    assert roles["primary"] >= 8 and roles["replica"] >= 8


def test_a_primary_that_is_gone_has_no_share(cluster, loose):
    connection = loose(primary_share=1.0, primary_wait=30)
    where(connection, 3)
    cluster.kill(cluster.primary)
    try:
        for _ in range(3):
            where(connection, 1)
            assert connection.route.role == "replica"
    finally:
        connection.close()


@pytest.mark.parametrize("tier", ["zone", "rank"])
def test_others_serve_while_all_that_come_first_are_late(cluster, connect, table, tier):
    near = {"name": "near", "zone": "here"}
    far = {"name": "far", "zone": "there", "rank": 1 if tier == "rank" else 0}
    connection = connect(replicas=named(cluster, near, far), zone="here", max_wait=0.05)
    cursor = connection.cursor()
    assert where(connection, 5) == {"near": 5}
    cluster.stall(cluster.replicas[0])
    seen = Counter()
    for number in range(10):
        cursor.execute("INSERT INTO t VALUES (%s, 1)", (number,))
        cursor.execute(READ)
        assert cursor.fetchone() == (number + 1,)
        seen[cursor.route.endpoint] += 1
    assert seen["far"] >= 5
    cluster.resume(cluster.replicas[0])
    cluster.wait_caught_up()
    until = time.monotonic() + 20
    while time.monotonic() < until and where(connection, 1) != {"near": 1}:
        time.sleep(0.1)
    assert where(connection, 5) == {"near": 5}
    connection.cluster.close()


def test_a_callable_sees_candidates_turn_and_figures(cluster, loose):
    calls = []

    def last(candidates, turn, view):
        calls.append((candidates, turn, view.key, {**view.figures}))
        assert 0 <= view.random() < 1
        return candidates[-1]

    connection = loose(policy=last, session_id="me")
    names = replica_names(cluster)
    assert where(connection, 5) == {names[1]: 5}
    candidates, _, key, figures = calls[-1]
    assert [end.name for end in candidates] == names
    assert key == "me"
    assert figures[names[1]].latency > 0
    # Twice in a turn where its choice is not connected to yet.
    turns = sorted({turn for _, turn, *_ in calls})
    assert turns == [calls[0][1] + number for number in range(5)]


def test_a_callable_that_returns_none_of_the_candidates_is_told_so(loose):
    cursor = loose(policy=lambda candidates, turn, view: "db1").cursor()
    with pytest.raises(ValueError, match=r"policy: .*'db1'.* none of the candidates"):
        cursor.execute(READ)


def test_the_one_with_fewer_statements_of_ours_is_taken(cluster, loose):
    """A long statement keeps its replica from getting others."""
    slow = loose(policy="least_inuse_connections")
    busy = []

    def run():
        cursor = slow.cursor()
        cursor.execute("SELECT COUNT(*), SLEEP(2) FROM t")
        busy.append(cursor.route.endpoint)

    quick = loose(policy="least_inuse_connections")
    where(quick, 10)
    thread = threading.Thread(target=run)
    thread.start()
    servers = quick.cluster.servers.values()
    until = time.monotonic() + 10
    while not any(server.load.in_use for server in servers) and time.monotonic() < until:
        time.sleep(0.01)
    seen = where(quick, 30)
    thread.join()
    assert len(seen) == 1
    assert busy[0] not in seen
    assert {*where(quick, 60)} == {*replica_names(cluster)}
    assert all(server.load.in_use == 0 for server in servers)


@pytest.mark.parametrize("policy", [*POLICIES])
def test_late_and_dead_replicas_are_never_chosen(cluster, connect, table, policy):
    first, second = cluster.replicas
    connection = connect(policy=policy, session_id="7", max_wait=0.05)
    cursor = connection.cursor()
    where(connection, 6)
    cluster.stall(first)
    cursor.execute("INSERT INTO t VALUES (1, 1)")
    late = f"{first.host}:{first.port}"
    for _ in range(20):
        cursor.execute(READ)
        assert cursor.fetchone() == (1,)
        assert cursor.route.endpoint != late
    cluster.resume(first)
    cluster.wait_caught_up()
    cluster.kill(second)
    where(connection, 4)
    dead = f"{second.host}:{second.port}"
    assert where(connection, 20)[dead] == 0
