"""What is known of a server: its position only grows, and it is left alone for growing whiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.endpoint import Endpoint
from rwsplit._core.position import GtidSet
from rwsplit._core.seen import UNTOLD_SECONDS
from rwsplit._shell import server as module
from rwsplit._shell.server import Server

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Owner:
    """A cluster that is in use, and counts how often it has to look again at who may serve."""

    flavor = "mysql"

    def __init__(self):
        self.primary = Endpoint("db1", "db1", 3306)
        self.looks = 0

    def refresh(self):
        self.looks += 1

    def is_in_use(self):
        return True

    def usual(self, seconds):
        return seconds


class Certain:
    def uniform(self, low, high):
        return 1.0


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(module, "monotonic", found)
    monkeypatch.setattr(module, "_dice", Certain())
    return found


@pytest.fixture
def server(clock):
    return Server(Endpoint("db2", "db2", 3306), Owner())


def upto(number):
    return GtidSet.parse(f"{UUID}:1-{number}") if number else GtidSet()


@given(st.lists(st.integers(0, 30), max_size=20))
def test_what_it_is_known_to_have_only_grows(numbers):
    server = Server(Endpoint("db2", "db2", 3306), Owner())
    for at, number in enumerate(numbers):
        server.note_position(upto(number))
        assert server.has(upto(max(numbers[: at + 1])))
        assert not server.has(upto(max(numbers[: at + 1]) + 1))


def test_nothing_is_known_of_one_that_nobody_has_asked(server):
    assert server.position is None
    assert not server.has(GtidSet())


def test_one_that_came_back_with_less_serves_nobody_until_it_has_that_again(server):
    assert server.reset_position(upto(9), None)
    assert not server.reset_position(upto(4), upto(9))
    assert server.floor == upto(9)
    assert not server.has(upto(9))
    assert server.has(upto(4))
    assert server.reset_position(upto(9), server.floor)
    assert server.floor is None


def tail(number):
    """What the packet of a read ends with on MySQL."""
    text = str(upto(number)).encode()
    changed = bytes([3, len(text) + 2, 0, len(text)]) + text
    return bytes([0, len(changed)]) + changed


def test_what_a_read_tells_while_its_replica_advances_may_be_less_than_it_saw(server, clock):
    assert not server.told(tail(1))
    assert not server.told(tail(1))
    clock.now += UNTOLD_SECONDS
    assert server.told(tail(1))
    clock.now += 100.0
    assert server.told(tail(1))
    assert not server.told(tail(2))
    assert server.has(upto(2))


def test_a_packet_that_tells_of_no_position_changes_nothing(server, clock):
    assert not server.told(b"")
    assert not server.told(tail(1))
    clock.now += UNTOLD_SECONDS
    assert not server.told(bytes([0, 3, 5, 1, 0]))
    assert server.told(tail(1))
    assert server.has(upto(1))


def test_nobody_waits_where_a_wait_was_in_vain_until_it_advances(server, clock):
    server.note_position(upto(1))
    server.timed_out()
    assert server.late
    assert not server.worth_asking()
    server.note_position(upto(1))
    assert server.late
    server.note_position(upto(2))
    assert not server.late


def test_looks_at_a_late_one_come_further_and_further_apart(server, clock):
    server.timed_out()
    pauses = []
    for _ in range(8):
        began = clock.now
        while not server.may_probe():
            clock.now += 0.01
        pauses.append(clock.now - began)
        assert not server.may_probe()
    assert pauses == sorted(pauses)
    assert 0.9 < pauses[-1] < 1.1
    server.caught_up()
    assert server.worth_asking()


def test_a_failure_is_followed_by_growing_rests(server, clock):
    rests = []
    for _ in range(8):
        server.rest("it was cut off")
        rests.append(server.rests_until - clock.now)
        assert not server.may_serve(clock.now)
        assert server.state() == "resting"
        clock.now = server.rests_until
        assert server.may_serve(clock.now)
    assert rests == sorted(rests)
    assert rests[0] < 0.1
    assert rests[-1] == 2.0
    server.works()
    server.rest("again")
    assert server.rests_until - clock.now < 0.1


def test_it_is_said_once_that_it_is_left_out_and_that_it_is_back(server, clock, caplog):
    caplog.set_level("INFO", "rwsplit")
    for _ in range(3):
        server.rest("it was cut off")
    clock.now = server.rests_until
    server.works()
    server.works()
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2
    assert "db2 is left out: it was cut off" in texts[0]
    assert texts[1] == "replica db2 is back"


def test_an_account_that_is_refused_keeps_no_other_out(server, clock):
    until = server.refuse("shop")
    assert server.refuses_until("shop") == until > clock.now
    assert server.refuses_until("web") == 0.0
    assert server.may_serve(clock.now)
    clock.now = until
    assert server.refuses_until("shop") == 0.0
    assert server.refuse("shop") - clock.now > until - 1000.0


@pytest.mark.parametrize(
    ("field", "value", "state"),
    [
        ("unfit", "it is ahead of the primary", "unfit"),
        ("stalled", True, "stalled"),
        ("reached", False, "resting"),
        ("is_gone", True, "usable"),
    ],
)
def test_what_keeps_it_from_serving(server, clock, field, value, state):
    assert server.may_serve(clock.now)
    setattr(server, field, value)
    assert not server.may_serve(clock.now)
    assert server.state() == state


def test_one_that_opens_many_connections_has_no_room_for_more(server, clock):
    assert server.has_room()
    server.opening = 8
    assert not server.has_room()
    server.opening = 0
    server.full_until = clock.now + 1
    assert not server.has_room()
    clock.now += 1
    assert server.has_room()


def test_statements_are_counted_while_they_run_whatever_ends_them(server):
    with pytest.raises(KeyboardInterrupt), server.running_one():
        assert server.in_use == 1
        raise KeyboardInterrupt
    assert server.in_use == 0


def test_a_server_is_the_same_one_if_it_has_what_it_had(server):
    server.server = UUID
    assert server.has_gone_on(UUID, upto(3), upto(4))
    assert not server.has_gone_on(UUID, upto(3), upto(2))
    assert not server.has_gone_on("another", upto(3), upto(4))
    assert not server.has_gone_on(UUID, None, upto(4))
