"""What is known of a server: its position only grows, and it is left alone for growing whiles."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.cluster import load, pauses
from rwsplit._core.cluster.endpoint import Endpoint
from rwsplit._core.cluster.figures import Figures
from rwsplit._core.cluster.load import Load, Usual
from rwsplit._core.cluster.place import UNTOLD_SECONDS
from rwsplit._core.cluster.position import GtidSet
from rwsplit._core.cluster.server import FULL_SECONDS, Server
from rwsplit._core.session.seen import Seen
from tests.core.strategies import gtid_sets

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
NOW = 1000.0
EVEN = 0.5
"""Dice that leave a pause as long as it is."""


def made(flavor="mysql"):
    return Server(Endpoint("db2", "db2", 3306), flavor)


@pytest.fixture
def server():
    return made()


def upto(number):
    return GtidSet.parse(f"{UUID}:1-{number}") if number else GtidSet()


def tail(number, more=b""):
    """What the packet of a read ends with on MySQL."""
    text = str(upto(number)).encode()
    changed = bytes([3, len(text) + 2, 0, len(text)]) + text + more
    return bytes([0, len(changed)]) + changed


# Where it is.


@given(st.lists(gtid_sets(), max_size=10))
def test_what_it_is_known_to_have_only_grows(positions):
    server = made()
    known = GtidSet()
    for at, position in enumerate(positions):
        server.note_position(position, float(at))
        known = known | position
        assert server.position == known
        assert server.noted_at == at
        assert all(server.has(each) for each in positions[: at + 1])


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 30)), max_size=20))
def test_what_reads_tell_is_known_as_what_is_noted_is(steps):
    """In whatever order they come, where somebody asks now and then."""
    server, known = made(), 0
    for at, (told, number) in enumerate(steps):
        if told:
            server.told(tail(number), float(at), float(at))
        else:
            server.note_position(upto(number), float(at))
        known = max(known, number)
        assert server.position == upto(known)
        assert not server.has(upto(known + 1))


def test_nothing_is_known_of_one_that_nobody_has_asked(server):
    assert server.position is None
    assert not server.has(GtidSet())


@given(gtid_sets(), gtid_sets())
def test_one_that_came_back_with_less_serves_nobody_until_it_has_that_again(had, has):
    server = made()
    assert server.reset_position(had, None, NOW)
    kept = server.reset_position(has, had, NOW)
    assert kept is has.covers(had)
    assert server.floor == (None if kept else had)
    assert server.position == (has | had if kept else has)
    assert server.reset_position(had | has, server.floor, NOW)
    assert server.floor is None
    assert server.has(had)


def test_what_was_lost_is_not_told_by_an_old_packet(server):
    server.told(tail(9), NOW, NOW)
    assert not server.reset_position(upto(4), upto(9), NOW)
    assert server.position == upto(4)
    assert server.let_go(upto(3), NOW) == upto(3)
    assert server.floor is None
    assert server.position == upto(3)


def test_what_a_thread_brings_late_of_before_a_crash_is_not_there(server):
    server.told(tail(9), NOW, NOW)
    assert not server.reset_position(upto(4), upto(9), NOW + 2.0)
    for number in (9, 12):
        assert not server.told(tail(number), NOW + 1.0, NOW + 3.0)
        assert server.position == upto(4)
    seen = Seen(GtidSet())
    seen.saw("r", server, b"", NOW, None)
    assert not seen.was_told(*server.news)
    assert not server.told(tail(9), NOW + 3.0, NOW + 4.0)
    assert server.position == upto(9)


def test_a_server_is_the_same_one_if_it_has_what_it_had(server):
    server.server = UUID
    assert server.has_gone_on(UUID, upto(3), upto(4))
    assert not server.has_gone_on(UUID, upto(3), upto(2))
    assert not server.has_gone_on("another", upto(3), upto(4))
    assert not server.has_gone_on(UUID, None, upto(4))


def test_what_a_read_tells_while_its_replica_advances_may_be_less_than_it_saw(server):
    assert not server.told(tail(1), NOW, NOW)
    assert not server.told(tail(1), NOW, NOW)
    then = NOW + UNTOLD_SECONDS
    assert server.told(tail(1), then, then)
    assert server.told(tail(1), then + 100.0, then + 100.0)
    assert not server.told(tail(2), then + 100.0, then + 100.0)
    assert server.has(upto(2))


def test_a_thread_that_was_kept_from_bringing_an_answer_tells_of_when_it_asked(server):
    """What came to it long ago may be from amid what the replica then applied."""
    server.told(tail(1), NOW, NOW)
    late = NOW + 9.0
    assert not server.told(tail(1), NOW + UNTOLD_SECONDS / 2, late)
    server.told(tail(2), NOW + 1.0, NOW + 1.0)
    assert not server.told(tail(1), NOW, late)
    assert server.tail == tail(2)
    seen = Seen(GtidSet())
    seen.saw("r", server, b"", NOW + 1.0, None)
    assert not seen.was_told(*server.news)
    server.told(tail(3), late, late)
    assert seen.was_told(*server.news)
    assert seen.tail == tail(3)


def test_a_packet_that_tells_of_no_position_changes_nothing(server):
    assert not server.told(b"", NOW, NOW)
    assert not server.told(tail(1), NOW, NOW)
    then = NOW + UNTOLD_SECONDS
    assert not server.told(bytes([0, 3, 5, 1, 0]), then, then)
    assert server.told(tail(1), then, then)
    assert server.has(upto(1))


def test_a_read_that_changed_the_session_may_have_seen_more_than_it_told(server):
    changed = bytes([2, 2, 1]) + b"1"
    assert not server.told(tail(1), NOW, NOW)
    then = NOW + UNTOLD_SECONDS
    assert not server.told(tail(1, changed), then, then)
    assert server.told(tail(1), then, then)


def test_what_a_packet_tells_is_known_since_it_came(server):
    server.note_position(upto(1), NOW)
    server.told(tail(2), NOW + 5, NOW + 5)
    assert server.has(upto(2))
    assert server.noted_at == NOW + 5


# Whether to wait for it.


def test_nobody_waits_where_a_wait_was_in_vain_until_it_advances(server):
    server.note_position(upto(1), NOW)
    server.timed_out(NOW)
    assert server.late
    assert not server.worth_asking(NOW)
    server.note_position(upto(1), NOW)
    assert server.late
    server.note_position(upto(2), NOW)
    assert not server.late


def test_looks_at_a_late_one_come_further_and_further_apart(server):
    now = NOW
    server.timed_out(now)
    pauses = []
    for _ in range(8):
        began = now
        while not server.may_probe(now):
            now += 0.01
        pauses.append(now - began)
        assert not server.may_probe(now)
    assert pauses == sorted(pauses)
    assert 0.9 < pauses[-1] < 1.1
    server.caught_up()
    assert server.worth_asking(now)


def test_short_looks_that_are_in_vain_come_further_and_further_apart(server):
    pauses = []
    for _ in range(8):
        server.looked_in_vain(NOW)
        pauses.append(server.look_at - NOW)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == pytest.approx((0.05, 1.0))
    assert not server.late
    server.caught_up()
    assert server.look_at == 0.0


# Whether to leave it alone.


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=30))
def test_a_failure_is_followed_by_growing_rests(dice):
    server, now = made(), NOW
    rests = []
    for each in dice:
        server.rest(now, each)
        rest = server.rests_until - now
        assert 0.749 <= rest / min(0.05 * 2 ** len(rests), 2.0) <= 1.251
        rests.append(rest)
        assert not server.may_serve(now)
        assert server.state(now) == "resting"
        now = server.rests_until
        assert server.may_serve(now)
    assert server.works()
    assert not server.works()
    assert server.rests_until == 0.0
    server.rest(now, EVEN)
    assert server.rests_until - now == pytest.approx(0.05)


def test_it_comes_back_once_if_it_was_said_to_be_left_out(server):
    assert not server.comes_back(NOW)
    server.rest(NOW, EVEN)
    server.left_out = "it was cut off"
    assert not server.comes_back(NOW)
    server.works()
    assert server.comes_back(NOW)
    assert not server.comes_back(NOW)


@pytest.mark.parametrize(
    ("field", "value", "state"),
    [
        ("unfit", "it is ahead of the primary", "unfit"),
        ("stalled", True, "stalled"),
        ("reached", False, "resting"),
        ("is_gone", True, "usable"),
    ],
)
def test_what_keeps_it_from_serving(server, field, value, state):
    assert server.may_serve(NOW)
    setattr(server, field, value)
    assert not server.may_serve(NOW)
    assert server.state(NOW) == state


def test_one_that_opens_many_connections_has_no_room_for_more(server):
    assert server.has_room(NOW)
    server.opening = 8
    assert not server.has_room(NOW)
    server.opening = 0
    server.note_full(NOW)
    assert not server.has_room(NOW)
    assert server.has_room(NOW + FULL_SECONDS)


def test_it_shows_no_more_than_names_and_positions(server):
    assert repr(server) == "<Server db2 usable position='' behind=unknown>"
    server.note_position(upto(3), NOW)
    server.behind = 1.25
    server.rest(NOW, EVEN)
    shown = f"position='{UUID}:1-3' behind=1.2>"
    assert server.shown(NOW) == f"<Server db2 resting {shown}"
    assert server.shown(NOW + 1) == f"<Server db2 usable {shown}"
    assert repr(server) == f"<Server db2 resting {shown}"


# Accounts that it does not let in.


def test_an_account_that_is_refused_keeps_no_other_out(server):
    refusals = server.refusals
    until = refusals.add("shop", NOW, EVEN)
    assert refusals.until("shop", NOW) == until > NOW
    assert refusals.until("web", NOW) == 0.0
    assert server.may_serve(NOW)
    assert refusals.until("shop", until) == 0.0


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=30))
def test_an_account_is_left_for_longer_each_time_it_is_refused(dice):
    refusals, now = made().refusals, NOW
    for times, each in enumerate(dice):
        pause = refusals.add("shop", now, each) - now
        assert 0.74 <= pause / min(0.05 * 2**times, 10.0) <= 1.26
        now += pause
    refusals.forget("shop")
    refusals.forget("shop")
    assert refusals.add("shop", now, EVEN) - now == pytest.approx(0.05)


def test_accounts_without_end_take_no_memory_without_end(server):
    for number in range(1001):
        server.refusals.add(number, NOW, EVEN)
    assert server.refusals.until(0, NOW) == 0.0
    assert server.refusals.until(1000, NOW)


# How busy it is.


def test_statements_are_counted_while_they_run():
    known = Load()
    one, other = object(), object()
    known.begin(one)
    known.begin(other)
    assert known.in_use == 2
    known.end(one)
    known.end(one)
    assert known.in_use == 1
    known.after_fork()
    assert known.in_use == 0


def test_policies_see_what_is_known(server):
    assert server.figures == Figures()
    server.load.connected, server.load.running, server.behind = 5, 2, 0.5
    server.load.note_latency(0.3, NOW)
    server.load.note_latency(0.1, NOW + 10)
    assert server.figures._replace(latency=0.0) == Figures(5, 2, 0, 0.0, 0.5)
    assert 0.1 < server.figures.latency < 0.3


@given(st.lists(st.floats(0.001, 100.0), min_size=1, max_size=50))
def test_one_long_statement_tells_of_itself(seconds):
    usual = Usual()
    counted = []
    for each in seconds:
        found = usual.of(each)
        assert found <= each
        assert not counted or found <= 4.001 * max(counted)
        counted.append(found)


@pytest.mark.parametrize("module", [load, pauses], ids=lambda module: module.__name__)
def test_the_examples_are_right(module):
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(module).attempted
