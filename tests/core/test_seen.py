"""What reads have seen, against a model that knows it all."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rwsplit._core.cluster.place import UNTOLD_SECONDS, Place
from rwsplit._core.cluster.position import GtidSet, empty
from rwsplit._core.session.seen import Seen, Sight

SOURCE = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
OWN = {"a": "aaaaaaaa-71ca-11e1-9e33-c80aa9429562", "b": "bbbbbbbb-71ca-11e1-9e33-c80aa9429562"}
ORIGIN = empty("mysql")
PLACES = {name: Place("mysql") for name in OWN}
for name, place in PLACES.items():
    place.errant = GtidSet.parse(f"{OWN[name]}:1-7")


def position(number):
    return GtidSet.parse(f"{SOURCE}:1-{number}") if number else ORIGIN


def tail(text):
    """What a read tells of its replica, as an OK packet has it."""
    gtids = text.encode()
    data = bytes([0, len(gtids)]) + gtids
    block = bytes([3, len(data)]) + data
    return b"\x00" + bytes([len(block)]) + block


def at(name, number):
    return tail(f"{SOURCE}:1-{number},{OWN[name]}:1-7")


class Machine(RuleBasedStateMachine):
    """Two replicas and a primary that advance, and a session that reads where it may."""

    @initialize()
    def begin(self):
        self.seen = Seen(ORIGIN)
        self.has = {"a": 1, "b": 1, "primary": 1}
        self.saw = 0
        self.aside = []
        self.now = 100.0

    def serves(self, name):
        """Whether a session would read there, from what it knows alone."""
        if self.seen.on_primary:
            return False
        here = position(self.has[name])
        if not here.covers(self.seen.position):
            return False
        return self.seen.at in (None, name) or (
            not self.seen.is_untold and here.covers(self.seen.known())
        )

    @rule(name=st.sampled_from(["a", "b", "primary"]), more=st.integers(1, 3))
    def advances(self, name, more):
        self.has[name] += more
        self.has["primary"] = max(self.has.values())

    @rule(name=st.sampled_from(["a", "b"]), less=st.integers(0, 2))
    def reads(self, name, less):
        """A read that tells all, or (`less`) not all of what it has seen."""
        if self.serves(name):
            assert self.has[name] >= self.saw
            self.saw = self.has[name]
            told = b"" if less else at(name, self.has[name])
            self.seen.saw(name, PLACES[name], told, self.now, None)

    @rule()
    def reads_on_the_primary(self):
        self.saw = self.has["primary"]
        self.seen.on_primary = True

    @rule()
    def asks_the_primary(self):
        self.seen.saw_all(position(self.has["primary"]))

    @rule()
    def leaves(self):
        if self.seen.is_untold:
            self.seen.leave(position(self.has["primary"]))

    @rule(later=st.sampled_from([UNTOLD_SECONDS / 2, UNTOLD_SECONDS * 2]))
    def hears(self, later):
        """The replica of the last read advances, and tells."""
        self.now += later
        name = self.seen.at
        if name is not None:
            self.has[name] += 1
            self.has["primary"] = max(self.has.values())
            told = self.seen.was_told(self.now, at(name, self.has[name]))
            assert told == (0 < self.seen.when <= self.now - UNTOLD_SECONDS)

    @rule()
    def goes_aside(self):
        self.aside.append((self.seen.take(), self.saw))
        self.saw = 0

    @rule()
    def comes_together(self):
        self.aside.append((self.seen.take(), self.saw))
        self.seen.see_all([sight for sight, _ in self.aside])
        self.saw = max(saw for _, saw in self.aside)
        self.aside.clear()

    @invariant()
    def nothing_is_forgotten(self):
        if self.seen.on_primary:
            return
        known = self.seen.known()
        if self.seen.is_untold:
            known = known | position(self.has[self.seen.at])
        assert known.covers(position(self.saw))

    @invariant()
    def nobody_waits_for_what_a_replica_made_itself(self):
        assert not any(own in str(self.seen.known()) for own in OWN.values())


TestSeen = Machine.TestCase


def test_a_session_that_was_at_two_untold_places_asks_the_primary():
    seen = Seen(ORIGIN)
    both = [Sight(name, PLACES[name], b"", ORIGIN, on_primary=False) for name in OWN]
    seen.see_all(both)
    assert seen.on_primary


def test_what_a_lost_connection_saw_and_did_not_tell_the_primary_is_asked_for():
    sights = [Sight("a", PLACES["a"], b"", ORIGIN, False, by) for by in ("lost", "new", "new")]
    assert sights[0].then(sights[1]).on_primary
    assert not sights[1].then(sights[2]).on_primary
    told = sights[0]._replace(tail=at("a", 3))
    assert not told.then(sights[1]).on_primary, "the replica is known to have it again"


def test_a_read_is_free_where_nothing_but_the_last_replica_counts():
    seen = Seen(ORIGIN)
    assert seen.is_free
    seen.saw_all(position(3))
    assert not seen.is_free
    seen.saw("a", PLACES["a"], at("a", 3), 1.0, None)
    assert seen.is_free
    assert seen.asked_late
    assert seen.known() == position(3)


def test_another_replica_has_all_that_the_last_read_told_but_for_what_the_first_made():
    seen = Seen(ORIGIN)
    seen.saw("a", PLACES["a"], at("a", 5), 1.0, None)
    assert seen.is_within(at("b", 5))
    assert seen.is_within(at("b", 6))
    assert not seen.is_within(at("b", 4))
    assert not seen.is_within(tail(f"{OWN['b']}:1-7"))
    assert not seen.is_within(b"")
    seen.saw("a", PLACES["a"], b"", 1.0, None)
    assert not seen.is_within(at("b", 6))


def test_what_a_replica_makes_as_the_next_primary_is_not_its_own_alone():
    seen = Seen(ORIGIN)
    seen.saw("a", PLACES["a"], tail(f"{SOURCE}:1-5,{OWN['a']}:1-8"), 1.0, None)
    assert not seen.is_within(at("b", 5))
    assert seen.known() == GtidSet.parse(f"{SOURCE}:1-5,{OWN['a']}:8")
