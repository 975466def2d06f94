"""Which replica serves a read: by what is known of each, and of what the session must see."""

import pytest

from rwsplit._core.cluster.lag import Lag
from rwsplit._core.cluster.place import Place
from rwsplit._core.cluster.position import GtidSet
from rwsplit._core.flows.choosing import (
    LOOK_SECONDS,
    NOT_CAUGHT_UP,
    QUICKER,
    Chosen,
    Lacks,
    Nobody,
)
from rwsplit._core.session.route import Destination, Route
from rwsplit._core.session.seen import FIRST_STAY
from rwsplit._core.sql.statement import Kind, because

from .harness import UUID, House, reports

PLACE = Place("mysql")

READS = Route(Destination.REPLICA, because(Kind.READ, "it reads"))


@pytest.fixture
def house():
    return House()


def choose(house, needed=None, route=READS, tried=(), waited=0.0):
    return house.chooser.choose(route, needed, tried, waited, house.clock())


def late(house, name="r1"):
    replica = house.replica(name)
    replica.timed_out(house.clock())
    return replica


# Who serves.


def test_who_needs_nothing_is_served_in_turn(house):
    found = [choose(house).replica.endpoint.name for _ in range(4)]
    assert sorted(found) == ["r1", "r1", "r2", "r2"]


def test_a_replica_that_has_it_is_chosen_before_one_that_has_not(house):
    house.replica("r1", at=3)
    house.replica("r2", at=5)
    late(house, "r1")
    house.member("r1").connection.open = False
    house.replica("r1").late = True
    house.replica("r1")._probe_at = 1e9
    assert choose(house, house.at(5)) == Chosen(house.replica("r2"), 0.0)


def test_where_some_are_ready_a_look_at_another_is_enough(house):
    house.replica("r1", at=5)
    house.replica("r2", at=3)
    found = {choose(house, house.at(5)) for _ in range(4)}
    assert found == {
        Chosen(house.replica("r1"), 0.0),
        Chosen(house.replica("r2"), LOOK_SECONDS),
    }


def test_where_none_is_ready_one_of_the_closest_is_waited_at(house):
    house.replica("r1", at=5)
    house.replica("r2", at=3)
    found = {choose(house, house.at(7)) for _ in range(4)}
    assert found == {Chosen(house.replica("r1"), house.chooser.max_wait)}


def test_a_wait_is_no_longer_than_what_is_left(house):
    house.replica("r1", at=5)
    (chosen,) = {choose(house, house.at(7), tried=["r2"], waited=0.04) for _ in range(2)}
    assert chosen.seconds == pytest.approx(house.chooser.max_wait - 0.04)


def test_who_has_waited_long_enough_is_served_by_nobody(house):
    assert choose(house, house.at(7), waited=1.0) == Nobody(NOT_CAUGHT_UP)


def test_who_does_not_wait_takes_a_look(house):
    house.chooser._waits = False
    house.replica("r1", at=5)
    assert choose(house, house.at(7)).seconds == LOOK_SECONDS


def test_those_that_were_tried_are_not_tried_again(house):
    assert choose(house, tried=["r1"]).replica is house.replica("r2")


def test_where_all_were_tried_nobody_serves(house):
    found = choose(house, tried=["r1", "r2"])
    assert isinstance(found, Nobody)
    assert choose(house, tried=["r1", "r2"], waited=0.1) == Nobody(NOT_CAUGHT_UP)


def test_why_nobody_serves_is_told_of_each(house):
    house.replica("r1").unfit = "it is not replicating"
    house.replica("r2").unfit = "it is not replicating"
    assert "unfit" in choose(house).why


def test_a_replica_that_a_hint_names_serves_or_nobody(house):
    route = READS._replace(endpoint="r2")
    assert {choose(house, route=route).replica.endpoint.name for _ in range(3)} == {"r2"}
    assert "is no replica" in choose(house, route=READS._replace(endpoint="r9")).why


def test_a_replica_that_is_left_aside_is_asked_again_in_time(house):
    house.chooser.aside["r1"] = house.clock() + 1
    assert {choose(house).replica.endpoint.name for _ in range(3)} == {"r2"}
    house.clock.now += 2
    assert {choose(house).replica.endpoint.name for _ in range(3)} == {"r1", "r2"}


def test_a_turn_that_was_not_used_is_used(house):
    house.chooser.turn = 1
    assert choose(house).replica is house.replica("r2")
    assert house.chooser.turn is None


# Where a wait would take longer than the primary.


def behind(house, *seconds):
    """Let the replicas be known to be so far behind a commit."""
    for replica, lag in zip(house.cluster.replicas, seconds, strict=True):
        replica.lag.waited(0.0, lag, house.clock())


def hurried(house, age=0.0, **others):
    now = house.clock()
    return house.chooser.choose(READS, house.at(7), (), 0.0, now, since=now - age, **others)


def test_where_a_wait_would_take_longer_the_primary_serves(house):
    behind(house, 0.01, 0.03)
    assert hurried(house) == Nobody(QUICKER)


def test_a_short_wait_is_waited(house):
    behind(house, 0.001, 0.001)
    assert hurried(house).seconds == house.chooser.max_wait


def test_the_older_a_position_the_shorter_its_wait(house):
    behind(house, 0.01, 0.01)
    assert hurried(house, age=0.008).seconds == house.chooser.max_wait


def test_who_is_not_so_late_is_waited_for(house):
    behind(house, 0.01, 0.001)
    assert {hurried(house).replica.endpoint.name for _ in range(4)} == {"r2"}


def test_how_long_a_wait_takes_is_not_asked_where_nobody_knows_since_when_it_is_there(house):
    behind(house, 0.01, 0.01)
    assert choose(house, house.at(7)).seconds == house.chooser.max_wait


def test_while_the_primary_is_away_a_long_wait_is_better_than_none(house):
    behind(house, 0.01, 0.01)
    house.cluster.topology.primary_is_up = False
    assert hurried(house).seconds == house.chooser.max_wait


def test_a_slow_primary_is_worth_a_longer_wait(house):
    behind(house, 0.01, 0.01)
    house.cluster.topology.detours.note_primary(0.02)
    assert hurried(house).seconds == house.chooser.max_wait


def test_now_and_then_a_wait_is_tried_all_the_same(house):
    behind(house, 0.01, 0.01)
    found = [hurried(house) for _ in range(6)]
    assert found[0] == Nobody(QUICKER)
    tried = found[-1]
    assert tried.is_trial
    assert tried.seconds == house.cluster.topology.detours.patience


def test_the_primary_serves_no_more_than_its_part_of_the_late_reads(house, monkeypatch):
    behind(house, 0.01, 0.01)
    monkeypatch.setattr(Lag, "is_due", lambda lag, now: False)
    found = [hurried(house) for _ in range(100)]
    assert 20 <= found.count(Nobody(QUICKER)) <= 35
    assert {each.seconds for each in found if isinstance(each, Chosen)} == {house.chooser.max_wait}


def test_behind_each_commit_it_serves_one(house, monkeypatch):
    behind(house, 0.01, 0.01)
    monkeypatch.setattr(Lag, "is_due", lambda lag, now: False)
    for number in range(100):
        house.cluster.process.note(f"{UUID}:{number + 10}")
        assert hurried(house) == Nobody(QUICKER)


# Late ones.


def test_a_late_replica_is_asked_whether_it_has_advanced(house):
    replica = late(house)
    house.member("r1")
    house.clock.now = replica._probe_at + 1
    assert choose(house, house.at(7)) == Lacks("r1")


def test_a_read_waits_for_a_look_at_a_late_replica_only_at_its_turn(house):
    replica = late(house)
    house.member("r1")
    house.replica("r2", at=7)
    house.clock.now = replica._probe_at + 1
    house.chooser.turn = 1
    assert choose(house, house.at(7)) == Chosen(house.replica("r2"), 0.0)
    house.chooser.turn = 0
    assert choose(house, house.at(7)) == Lacks("r1")
    assert choose(house, house.at(7)) == Chosen(house.replica("r2"), 0.0)


def test_a_late_replica_that_is_not_open_is_late_no_more_once_it_is_due(house):
    replica = late(house)
    house.clock.now = replica._probe_at + 1
    found = choose(house, house.at(7), tried=["r2"])
    assert isinstance(found, Chosen)
    assert not replica.late


def test_a_late_replica_that_is_not_due_is_left_alone(house):
    replica = late(house)
    replica._probe_at = house.clock() + 1
    assert choose(house, house.at(7), tried=["r2"]) == Nobody(NOT_CAUGHT_UP)


# What was seen.


def test_a_read_stays_where_the_last_one_saw_what_nobody_told(house):
    house.session.seen.saw("r2", PLACE, b"", house.clock(), None)
    assert {choose(house).replica.endpoint.name for _ in range(4)} == {"r2"}


def stays(house, reads=FIRST_STAY):
    """A session whose reads have all run on r1, and told nothing."""
    member = house.member("r1", at=5)
    for _ in range(reads + 1):
        house.session.seen.saw("r1", PLACE, b"", house.clock(), member)


def test_who_has_stayed_for_long_moves_to_the_other_in_turn(house):
    stays(house)
    assert house.session.seen.is_restless
    homes = set()
    for _ in range(4):
        homes.add(house.chooser.next_home(READS, house.clock()))
        stays(house)
    assert homes == {None, "r2"}


def test_who_looks_for_another_in_vain_does_so_ever_more_rarely(house):
    stays(house)
    house.replica("r2").late = True
    looks = []
    for number in range(200):
        if house.session.seen.is_restless and house.chooser.next_home(READS, 0.0) is None:
            looks.append(number)
        house.session.seen.saw_freely("r1", PLACE, b"", 0.0, house.members["r1"])
    assert 2 <= len(looks) <= 8


def test_where_there_is_no_other_nobody_looks_for_it(house):
    stays(house)
    house.replica("r2").unfit = "no"
    assert house.chooser.next_home(READS, house.clock()) is None
    assert not house.session.seen.moves


def test_who_moves_is_served_there_once_that_has_caught_up(house):
    stays(house)
    now = house.clock()
    found = house.chooser.choose(READS, None, (), 0.0, now, home="r2")
    assert (found.replica, found.moves) == (house.replica("r2"), True)
    assert found.seconds > LOOK_SECONDS
    stayed = house.chooser.choose(READS, None, ["r2"], 0.0, now, home="r2")
    assert stayed == Chosen(house.replica("r1"), 0.0)


def test_an_eventual_read_goes_anywhere(house):
    house.session.seen.saw("r2", PLACE, b"", house.clock(), None)
    route = READS._replace(consistency="eventual")
    assert {choose(house, route=route).replica.endpoint.name for _ in range(4)} == {"r1", "r2"}


def test_where_the_last_replica_is_away_the_primary_is_asked(house):
    house.session.seen.saw("r2", PLACE, b"", house.clock(), None)
    house.replica("r2").unfit = "no"
    assert choose(house) == Lacks(None)


def test_behind_a_new_connection_the_primary_is_asked(house):
    house.session.seen.saw("r2", PLACE, b"", house.clock(), house.member("r2"))
    assert choose(house).replica.endpoint.name == "r2"
    house.member("r2")
    assert choose(house) == Lacks(None)


def test_a_new_connection_must_do_while_the_primary_is_away(house):
    house.session.seen.saw("r2", PLACE, b"", house.clock(), house.member("r2"))
    del house.members["r2"]
    found = house.chooser.choose(READS, None, (), 0.0, house.clock(), away=True)
    assert found == Chosen(house.replica("r2"), 0.0)


def test_what_was_told_behind_a_new_connection_tells_nothing_of_the_old_one(house):
    house.session.seen.saw("r1", PLACE, b"", house.clock(), house.member("r1"))
    house.replica("r1").news = house.clock() + 1, b"told"
    house.member("r1")
    assert not house.chooser.was_told()


def test_where_another_has_come_the_primary_is_asked(house):
    house.session.seen.saw("r2", PLACE, b"", house.clock(), None)
    house.cluster.arrivals += 1
    assert choose(house) == Lacks(None)


def test_what_the_last_replica_told_is_had_by_another_with_the_same_tail(house):
    tail = reports(gtids=f"{UUID}:1-5")
    house.session.seen.saw("r2", PLACE, tail, house.clock(), None)
    assert not house.chooser.serves(house.replica("r1"), None, READS)
    house.replica("r1").tail = tail
    assert house.chooser.serves(house.replica("r1"), None, READS)


def test_what_reads_have_seen_must_be_had(house):
    house.session.seen.see(house.at(5))
    assert not house.chooser.serves(house.replica("r1", at=4), None, READS)
    assert house.chooser.serves(house.replica("r1", at=5), None, READS)


def test_behind_a_scope_the_last_replica_must_have_what_reads_before_have_seen(house):
    """Reads in a scope see less: the replica of the last one need not have what others saw."""
    seen = house.session.seen
    seen.saw_all(house.at(5))
    before = seen.take()
    seen.saw("r1", PLACE, b"", house.clock(), house.member("r1", at=4))
    seen.see_all([before, seen.take()])
    assert not house.chooser.serves(house.replica("r1", at=4), None, READS)
    away = house.chooser.choose(READS, None, (), 0.0, house.clock(), away=True)
    assert away == Lacks(None)
    house.replica("r1", at=5)
    assert choose(house) == Chosen(house.replica("r1"), 0.0)


def test_who_was_told_long_enough_ago_has_told_all(house):
    house.session.seen.saw("r1", PLACE, b"", house.clock(), None)
    assert not house.chooser.was_told()
    house.replica("r1").news = house.clock() + 1, b"told"
    assert house.chooser.was_told()


def test_mariadb_tells_nothing():
    house = House("mariadb")
    house.session.seen.saw("r1", PLACE, b"", house.clock(), None)
    house.replica("r1").news = house.clock() + 1, b"told"
    assert not house.chooser.was_told()


# What all have.


def test_a_position_that_all_have_is_forgotten(house):
    house.state.see(house.at(5))
    house.replica("r1", at=5)
    house.replica("r2", at=6)
    choose(house, house.state.position)
    assert house.state.position is house.state.origin
    assert house.state.base.covers(house.at(5))


def test_a_position_that_one_lacks_is_kept(house):
    house.state.see(house.at(5))
    house.replica("r1", at=5)
    choose(house, house.state.position)
    assert house.state.position == house.at(5)


def test_no_replicas_have_nothing():
    house = House(replicas=())
    assert not house.chooser.all_have(house.at(1))


def test_the_furthest_is_known_where_one_has_all(house):
    assert house.chooser.furthest() == house.state.origin
    house.replica("r1", at=5)
    house.replica("r2", at=6)
    assert house.chooser.furthest() == house.at(6)


def test_what_a_replica_has_made_itself_puts_it_ahead_of_nobody():
    house = House()
    house.replica("r1", at=5)
    house.replica("r2", at=6)
    replica = house.cluster.servers["r1"]
    replica.errant = GtidSet.parse("22222222-0000-0000-0000-000000000000:1-3")
    replica.note_position(replica.errant, house.clock.now)
    assert house.chooser.furthest() == house.at(6)
