"""What looks at servers mean: a probe comes in, orders go out."""

from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.cluster import failover, health
from rwsplit._core.cluster.endpoint import Endpoint
from rwsplit._core.cluster.facts import PrimaryFacts
from rwsplit._core.cluster.orders import (
    CloseIdle,
    Interrupt,
    LeftOut,
    Say,
    Then,
    Warn,
    WarnOnce,
)
from rwsplit._core.cluster.position import BinlogState, GtidList, GtidSet
from rwsplit._core.cluster.probe import Miss, Missed, Probe
from rwsplit._core.cluster.topology import FiguresOf, Topology
from rwsplit._core.cluster.whereabouts import closest, common_position, floor_of, have_all

DB1, DB2, DB3 = (f"{digit * 8}-0000-0000-0000-000000000000" for digit in "123")
STRANGER = "99999999-0000-0000-0000-000000000000"
UUIDS = {"db1": DB1, "db2": DB2, "db3": DB3}
INTERVAL = 1.0


def gtids(uuid, last):
    return GtidSet.parse(f"{uuid}:1-{last}") if last else GtidSet()


@dataclass
class World:
    """A primary db1 and its replicas, looked at under a clock of its own."""

    topology: Topology = field(
        default_factory=lambda: Topology(
            Endpoint("db1", "db1", 3306, role="primary"),
            [Endpoint(name, name, 3306) for name in ("db2", "db3")],
        )
    )
    now: float = 1000.0

    def __post_init__(self):
        facts = PrimaryFacts("mysql", "8.4.0", gtids(DB1, 1), gtids(DB1, 1), "", DB1, {}, False)
        self.learn(facts)

    def learn(self, facts):
        return failover.learn_primary(self.topology, facts, self.now)

    def server(self, name):
        return self.topology.servers[name]

    def probe(self, name, position, writable=None, uuid=None, replicates=None):
        """Look at a server that has this set of transactions; a second goes by."""
        server = self.server(name)
        before = server.floor or server.position
        if writable is None:
            writable = server.endpoint is self.topology.primary
        asked_at, self.now = self.now, self.now + INTERVAL
        seen = Probe(
            *(uuid or UUIDS[name], writable, position, position, replicates, 3, 1, asked_at, 0.01)
        )
        return health.note_probe(self.topology, server, seen, before, INTERVAL, self.now)

    def miss(self, name, why, in_a_row=1, timed_out=False):
        missed = Missed(why, "it was cut off", in_a_row, timed_out)
        return health.note_missed(self.topology, self.server(name), missed, self.now, 0.5)

    def look_at_all(self, last):
        """Look at all; they have so many transactions of the primary."""
        return [order for name in UUIDS for order in self.probe(name, gtids(DB1, last))]

    def serving(self):
        return [each.endpoint.name for each in self.topology.replicas if each.may_serve(self.now)]


@pytest.fixture
def world():
    return World()


AGAIN = [Then.CHOOSE_AGAIN, Then.TELL_WAITERS]
"""What follows from every look that was answered."""


# Looks at the primary.


def test_a_look_where_all_is_well_only_lets_look_again_at_who_serves(world):
    assert world.look_at_all(5) == AGAIN * 3
    assert world.serving() == ["db2", "db3"]
    assert world.topology.history == gtids(DB1, 5)
    assert world.topology.last_seen() == gtids(DB1, 5)
    assert [world.server(name).is_writable for name in UUIDS] == [True, False, False]


def test_a_primary_that_does_not_answer_is_away_until_it_does(world):
    world.look_at_all(5)
    assert world.miss("db1", Miss.LOST) == []
    assert not world.topology.primary_is_up
    assert world.topology.primary.name == "db1"
    assert world.probe("db1", gtids(DB1, 5)) == AGAIN
    assert world.topology.primary_is_up


def test_a_primary_that_refuses_the_monitors_account_may_let_others_in(world):
    world.miss("db1", Miss.LOST)
    assert world.miss("db1", Miss.REFUSED) == [Then.TELL_WAITERS]
    assert world.topology.primary_is_up
    assert world.server("db1").reached is None


def test_another_server_under_the_primarys_name_leaves_all_in_doubt(world):
    world.look_at_all(5)
    orders = world.probe("db1", gtids(STRANGER, 9), uuid=STRANGER)
    assert orders == [
        Warn("another server is the primary at %s now", ("db1",)),
        Interrupt("db1"),
        Then.LOOK_NOW,
        *AGAIN,
    ]
    assert world.topology.generation == 1
    assert world.serving() == []
    # A name of several servers is none to fail over for.
    orders = world.probe("db1", gtids(DB1, 5), uuid=DB1)
    assert orders[0] == WarnOnce("several servers answer as the primary %s", ("db1",))
    assert world.topology.generation == 1


def test_a_primary_that_came_back_with_less_leaves_who_has_the_rest_behind_for_good(world):
    world.look_at_all(5)
    assert world.probe("db1", gtids(DB1, 3)) == [Then.LOOK_NOW, *AGAIN]
    assert world.topology.last_seen() == gtids(DB1, 3)
    assert world.serving() == []
    # It counts on with the same numbers, so nobody can tell any more.
    world.probe("db1", gtids(DB1, 9))
    (left_out, *rest) = world.probe("db2", gtids(DB1, 9))
    assert isinstance(left_out, LeftOut) and "ahead" in left_out.why
    assert rest == AGAIN
    assert world.serving() == []


def test_who_may_be_written_to_while_the_primary_can_is_warned_of(world):
    world.probe("db2", gtids(DB1, 1), writable=True)
    (warning, *_) = world.probe("db1", gtids(DB1, 1))
    assert isinstance(warning, WarnOnce)
    assert "%s is not read-only" in warning.message
    assert warning.values == ("db2",)
    world.probe("db2", gtids(DB1, 1), writable=False)
    assert world.probe("db1", gtids(DB1, 1)) == AGAIN


# Looks at replicas.


@pytest.mark.parametrize("position", [GtidSet(), gtids(STRANGER, 4)], ids=["empty", "foreign"])
def test_who_has_nothing_of_the_primarys_serves_nobody(world, position):
    world.probe("db1", gtids(DB1, 5))
    assert world.probe("db2", position) == AGAIN  # the primary may have gone on meanwhile
    world.probe("db1", gtids(DB1, 5))
    (left_out, *_) = world.probe("db2", position)
    why = "it has none of the primary's transactions"
    assert left_out == LeftOut(world.server("db2"), why)
    assert world.server("db2").is_foreign
    assert "db2" not in world.serving()


def test_the_primary_under_another_address_is_no_replica(world):
    (left_out, *_) = world.probe("db2", gtids(DB1, 1), uuid=DB1)
    assert left_out.why == "it is the primary itself, under another address"


def test_who_comes_back_with_less_serves_nobody_until_it_has_that_again(world):
    world.look_at_all(5)
    (left_out, *_) = world.probe("db2", gtids(DB1, 3))
    assert left_out.why == "it came back with less than it had, and has not caught up"
    assert world.serving() == ["db3"]
    world.server("db2").left_out = left_out.why
    world.probe("db2", gtids(DB1, 4))
    assert world.serving() == ["db3"]
    assert Say("replica %s is back", ("db2",)) in world.probe("db2", gtids(DB1, 5))
    assert world.serving() == ["db2", "db3"]


def test_an_errant_transaction_keeps_a_replica_out_only_behind_another_look(world):
    world.look_at_all(5)
    errant = gtids(DB1, 5) | gtids(STRANGER, 1)
    for _ in range(2):  # the primary was not looked at behind either of them
        assert world.probe("db2", errant) == AGAIN
        assert world.serving() == ["db2", "db3"]
    world.probe("db1", gtids(DB1, 5))
    (left_out, *_) = world.probe("db2", errant)
    assert "it is ahead of the primary" in left_out.why
    # The primary has it by now: it was replicated from somewhere else.
    world.probe("db1", errant)
    world.probe("db2", errant)
    assert world.serving() == ["db2", "db3"]


def test_what_a_replica_has_made_is_its_own_once_the_primary_was_seen_to_be_the_primary_since(
    world,
):
    world.look_at_all(5)
    world.probe("db2", gtids(DB1, 5) | gtids(DB2, 3))
    assert world.server("db2").errant == gtids(DB2, 0)
    world.probe("db1", gtids(DB1, 6))
    assert world.server("db2").errant == gtids(DB2, 3)
    # It is promoted: what it makes now all others will have.
    world.probe("db2", gtids(DB1, 6) | gtids(DB2, 8), writable=True)
    assert world.topology.primary.name == "db1"
    assert world.server("db2").errant == gtids(DB2, 3)
    world.probe("db1", gtids(DB1, 6), writable=False)
    assert world.topology.primary.name == "db2"
    assert not world.server("db2").errant


def test_what_the_next_primary_makes_is_not_its_own_while_the_one_before_is_open_still(world):
    world.look_at_all(5)
    world.probe("db2", gtids(DB1, 5) | gtids(DB2, 9), writable=True)
    world.probe("db1", gtids(DB1, 5))
    assert world.topology.primary.name == "db1"
    assert not world.server("db2").errant


def test_all_is_its_own_that_a_replica_makes_which_could_be_written_to_all_along(world):
    world.look_at_all(5)
    fresh = World()
    fresh.probe("db2", gtids(DB1, 5) | gtids(DB2, 1), writable=True)
    fresh.probe("db1", gtids(DB1, 5))
    server = fresh.server("db2")
    assert server.shared(gtids(DB1, 5) | gtids(DB2, 7)) == gtids(DB1, 5)
    fresh.probe("db2", gtids(DB1, 5) | gtids(DB2, 8), writable=False)
    assert server.errant == gtids(DB2, 8), "it might become the primary now"


def test_what_the_primary_has_in_the_end_is_not_errant(world):
    world.look_at_all(5)
    world.probe("db2", gtids(DB1, 5) | gtids(DB2, 3))
    world.probe("db1", gtids(DB1, 6))
    assert world.server("db2").errant == gtids(DB2, 3)
    world.probe("db1", gtids(DB1, 6) | gtids(DB2, 2))
    assert world.server("db2").errant == gtids(DB2, 3) - gtids(DB2, 2)


def test_a_replica_that_is_behind_and_has_errant_transactions_serves(world):
    world.look_at_all(5)
    for last in range(8, 20):
        world.now += 0.5
        world.probe("db1", gtids(DB1, last))
        world.probe("db2", gtids(DB1, last - 2) | gtids(DB2, 3))
        assert not world.server("db2").unfit
        assert world.server("db2").floor is None


def test_errant_transactions_that_a_crash_has_cost_keep_nobody_out_for_good(world):
    world.look_at_all(5)
    world.probe("db2", gtids(DB1, 5) | gtids(DB2, 3))
    world.probe("db1", gtids(DB1, 6))
    for last in range(7, 10):
        world.probe("db2", gtids(DB1, last - 1))
        world.now += 0.5
        world.probe("db1", gtids(DB1, last))
    assert not world.server("db2").unfit


def test_what_a_replica_made_as_the_primary_of_before_is_not_its_own(world):
    own = gtids(DB2, 7)
    world.probe("db1", gtids(DB1, 5) | own)
    world.probe("db2", gtids(DB1, 5) | own)
    world.probe("db1", gtids(DB1, 6) | own)
    assert not world.server("db2").errant


def test_who_does_not_advance_while_the_primary_does_is_stalled(world):
    for last in range(1, 8):
        world.probe("db1", gtids(DB1, last))
        orders = world.probe("db2", gtids(DB1, 2))
        if any(isinstance(order, LeftOut) for order in orders):
            break
    server = world.server("db2")
    assert server.stalled
    assert server.behind > 3 * INTERVAL
    assert world.serving() == ["db3"]
    server.left_out = "it has not advanced"
    orders = world.probe("db2", gtids(DB1, 3))
    assert Say("replica %s is back", ("db2",)) in orders
    assert world.serving() == ["db2", "db3"]


def test_who_has_caught_up_is_an_arrival(world):
    for last in range(1, 4):
        world.probe("db1", gtids(DB1, last))
        world.probe("db2", gtids(DB1, 1))
    assert world.server("db2").behind > INTERVAL
    assert world.probe("db2", gtids(DB1, 3)) == [Then.COUNT_ARRIVAL, *AGAIN]
    assert world.server("db2").behind == 0.0


def test_who_came_back_is_an_arrival_once_more_when_it_has_had_its_time(world):
    world.look_at_all(5)
    world.topology.note_arrival(world.now)
    assert world.probe("db1", gtids(DB1, 5)) == AGAIN
    world.now += 5
    assert world.probe("db1", gtids(DB1, 5)) == [Then.COUNT_ARRIVAL, *AGAIN]
    assert world.probe("db1", gtids(DB1, 5)) == AGAIN


def test_without_gtids_whoever_answers_serves(world):
    world.learn(PrimaryFacts("mysql", "8.4.0", None, None, "gtid_mode is OFF", DB1, {}, False))
    world.probe("db1", GtidSet())
    assert world.probe("db2", GtidSet()) == AGAIN
    assert world.serving() == ["db2", "db3"]
    assert world.server("db2").behind == inf


# Looks that failed.


def test_a_replica_that_does_not_answer_rests(world):
    world.look_at_all(5)
    orders = world.miss("db2", Miss.LOST)
    assert orders == [Then.CHOOSE_AGAIN, LeftOut(world.server("db2"), "it was cut off")]
    assert world.serving() == ["db3"]
    world.server("db2").left_out = "it was cut off"
    assert world.miss("db2", Miss.LOST) == [Then.CHOOSE_AGAIN]
    orders = world.probe("db2", gtids(DB1, 5))
    assert orders == [Then.CHOOSE_AGAIN, Say("replica %s is back", ("db2",)), *AGAIN]


@pytest.mark.parametrize(("name", "only_questions"), [("db1", True), ("db2", False)])
def test_who_waits_for_a_server_that_is_silent_is_interrupted(world, name, only_questions):
    world.server(name).left_out = "it was said"
    silent = Interrupt(name, only_questions)
    assert silent not in world.miss(name, Miss.LOST, in_a_row=1, timed_out=True)
    assert silent not in world.miss(name, Miss.LOST, in_a_row=2)
    assert silent in world.miss(name, Miss.LOST, in_a_row=2, timed_out=True)


def test_a_full_server_is_not_asked_for_more_and_goes_on_serving(world):
    world.look_at_all(5)
    assert world.miss("db2", Miss.FULL) == []
    assert world.serving() == ["db2", "db3"]
    assert not world.server("db2").has_room(world.now)


def test_a_replica_that_refuses_the_monitors_account_may_let_others_in(world):
    world.look_at_all(5)
    assert world.miss("db2", Miss.REFUSED) == []
    assert world.serving() == ["db2", "db3"]


def test_a_server_of_another_kind_rests(world):
    orders = world.miss("db2", Miss.FOREIGN)
    assert orders[0] is Then.CHOOSE_AGAIN
    assert world.serving() == ["db3"]


# When another server is the primary.


def promoted(world, last=5):
    world.look_at_all(last)
    world.miss("db1", Miss.LOST)
    return world.probe("db2", gtids(DB1, last), writable=True)


def test_a_replica_that_was_promoted_is_the_primary_where_the_old_one_is_gone(world):
    assert promoted(world) == [
        Warn("the primary is %s now; it was %s", ("db2", "db1")),
        CloseIdle("db1"),
        CloseIdle("db2"),
        Interrupt("db1"),
        Then.LOOK_NOW,
        *AGAIN,
        *AGAIN,
    ]
    topology = world.topology
    assert topology.primary is world.server("db2").endpoint
    assert topology.primary.role == "primary"
    assert world.server("db1").endpoint.role == "replica"
    assert topology.primary_is_up
    assert topology.generation == 1
    assert topology.history == gtids(DB1, 5)
    assert topology.facts.position is None
    assert topology.last_seen() is None


def test_nobody_serves_behind_a_promotion_before_it_was_looked_at(world):
    promoted(world)
    assert [each.endpoint.name for each in world.topology.replicas] == ["db1", "db3"]
    assert world.serving() == []
    world.probe("db2", gtids(DB1, 5))
    world.probe("db3", gtids(DB1, 5))
    assert world.serving() == ["db3"]


def test_a_look_from_before_the_promotion_tells_nothing(world):
    world.look_at_all(5)
    world.miss("db1", Miss.LOST)
    early = Probe(DB3, False, gtids(DB1, 5), gtids(DB1, 5), None, 3, 1, world.now, 0.01)
    world.probe("db2", gtids(DB1, 5), writable=True)
    server = world.server("db3")
    health.note_probe(world.topology, server, early, server.position, INTERVAL, world.now)
    assert world.serving() == []


def test_a_doubt_from_before_the_promotion_tells_nothing(world):
    world.look_at_all(5)
    # It was ahead of where the primary was last seen, as happens: nothing to wonder about.
    world.probe("db3", gtids(DB1, 7))
    world.probe("db1", gtids(DB1, 9))
    world.probe("db3", gtids(DB1, 9))
    world.miss("db1", Miss.LOST)
    world.probe("db2", gtids(DB1, 8), writable=True)
    world.probe("db2", gtids(DB1, 8))
    world.probe("db3", gtids(DB1, 9))
    assert world.serving() == []


def test_who_was_rebuilt_need_not_have_again_what_was_lost(world):
    world.look_at_all(5)
    world.probe("db3", gtids(DB1, 7))
    world.miss("db1", Miss.LOST)
    world.probe("db2", gtids(DB1, 5), writable=True)
    # Rebuilt before anybody saw that it is ahead of the new primary.
    for _ in range(2):
        world.probe("db3", gtids(DB1, 5))
        world.probe("db2", gtids(DB1, 5) | gtids(DB2, 1))
    assert world.serving() == []  # not before it has all that the primary had
    world.probe("db3", gtids(DB1, 5) | gtids(DB2, 1))
    assert world.serving() == ["db3"]


def test_who_was_rebuilt_is_another_server_where_lost_numbers_were_given_again(world):
    world.look_at_all(5)
    world.probe("db1", gtids(DB1, 4))  # it has lost one, and counts on
    for _ in range(3):
        world.probe("db1", gtids(DB1, 6))
        world.probe("db2", gtids(DB1, 6))
        world.probe("db3", gtids(DB1, 6))
    assert world.serving() == []
    world.probe("db3", gtids(DB1, 6), uuid=STRANGER)
    assert world.serving() == ["db3"]
    world.probe("db2", gtids(DB1, 6))
    assert world.serving() == ["db3"]


def test_who_was_rebuilt_must_have_again_what_was_not_lost(world):
    world.look_at_all(5)
    for last in (3, 4, 4):
        world.probe("db3", gtids(DB1, last))
        world.probe("db1", gtids(DB1, 5))
        assert world.serving() == ["db2"]
    world.probe("db3", gtids(DB1, 5))
    assert world.serving() == ["db2", "db3"]


def test_a_wait_that_went_by_numbers_tells_nothing_of_what_may_be_lost(world):
    topology = world.topology
    topology.primary_server = "2"
    topology.history = BinlogState.parse("0-1-9,0-2-10")
    assert topology.may_have_lost(GtidList.parse("0-1-10,0-2-10"))
    assert not topology.may_have_lost(GtidList.parse("0-1-9,0-2-11"))
    # Nobody has given that number again yet, and who may do so is another server.
    assert topology.may_have_lost(GtidList.parse("0-1-11"))
    topology.history = gtids(DB1, 3)
    assert not topology.may_have_lost(gtids(DB2, 3))


def test_who_has_what_the_new_primary_lacks_serves_nobody_until_it_is_rebuilt(world):
    world.look_at_all(5)
    world.probe("db3", gtids(DB1, 7))
    world.miss("db1", Miss.LOST)
    world.probe("db2", gtids(DB1, 5), writable=True)
    for _ in range(3):
        world.probe("db2", gtids(DB1, 5) | gtids(DB2, 2))
        orders = world.probe("db3", gtids(DB1, 7))
    assert "it is ahead of the primary" in orders[0].why
    # The new primary's own transactions do not make it another one.
    world.probe("db3", gtids(DB1, 7) | gtids(DB2, 2))
    assert world.serving() == []
    world.probe("db2", gtids(DB1, 5) | gtids(DB2, 2))
    world.probe("db3", gtids(DB1, 5) | gtids(DB2, 2))
    assert world.serving() == ["db3"]


def test_the_old_primary_serves_once_it_replicates_and_has_lost_nothing(world):
    promoted(world)
    (left_out, *_) = world.probe("db1", gtids(DB1, 5), writable=True)
    assert left_out.why == "it was the primary, and can be written to"
    for _ in range(3):
        world.probe("db2", gtids(DB1, 5))
        world.probe("db1", gtids(DB1, 5))
    assert world.serving() == ["db1"]


def test_who_was_set_up_anew_may_be_the_primary_again(world):
    promoted(world)
    for _ in range(2):
        world.probe("db2", gtids(DB1, 5))
        world.probe("db1", GtidSet())
    assert world.server("db1").is_foreign
    world.probe("db1", gtids(DB1, 5), writable=True)
    assert not world.server("db1").is_foreign


def test_the_old_primary_is_found_that_had_nothing_in_between(world):
    promoted(world)
    for _ in range(3):
        world.probe("db2", gtids(DB1, 5))
        world.probe("db1", GtidSet(), writable=False)
    assert world.server("db1").is_foreign
    world.probe("db1", gtids(DB1, 6), writable=True)
    assert world.topology.primary.name == "db2"
    world.probe("db2", gtids(DB1, 5), writable=False)
    assert world.topology.primary.name == "db1"


def test_the_old_primary_serves_nobody_with_what_was_lost(world):
    promoted(world)
    for _ in range(3):
        world.probe("db2", gtids(DB1, 5))
        orders = world.probe("db1", gtids(DB1, 6))
    assert orders[0].why == "it was the primary, and has transactions that are lost"
    assert world.serving() == []


def test_the_old_primary_is_not_left_while_it_can_be_written_to(world):
    world.look_at_all(5)
    assert world.probe("db2", gtids(DB1, 5), writable=True) == AGAIN
    assert world.topology.primary.name == "db1"


def test_who_could_be_written_to_as_the_primary_is_no_stray_behind_its_time(world):
    promoted(world)
    world.probe("db1", gtids(DB1, 5), writable=False)
    world.probe("db2", gtids(DB1, 5))
    world.miss("db2", Miss.LOST)
    world.probe("db1", gtids(DB1, 5), writable=True)
    assert world.topology.primary.name == "db1"
    world.probe("db1", gtids(DB1, 5))  # db2 does not answer yet: nobody saw what it is
    world.probe("db2", gtids(DB1, 5), writable=True)
    assert world.topology.primary.name == "db1"
    orders = world.probe("db1", gtids(DB1, 5), writable=False)
    assert orders[0] == Warn("the primary is %s now; it was %s", ("db2", "db1"))


def test_a_write_that_was_refused_is_as_good_as_a_look(world):
    world.look_at_all(5)
    world.probe("db2", gtids(DB1, 5), writable=True)
    assert failover.note_read_only(world.topology, 7, world.now) == []
    assert world.topology.primary_is_up
    world.server("db1").was_read_only = False
    orders = failover.note_read_only(world.topology, 0, world.now)
    assert orders[0] == Warn("the primary is %s now; it was %s", ("db2", "db1"))
    assert Interrupt("db1") not in orders  # it answers


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(UUIDS)),
            st.sampled_from(["up", "writable", "read only", "lost", "refused"]),
        ),
        max_size=25,
    )
)
def test_whatever_is_seen_there_is_one_primary_and_it_serves_as_no_replica(steps):
    world = World()
    topology = world.topology
    for name, what in steps:
        generation, primary = topology.generation, topology.primary
        if what in ("lost", "refused"):
            orders = world.miss(name, Miss[what.upper()])
        else:
            writable = None if what == "up" else what == "writable"
            orders = world.probe(name, gtids(DB1, 1), writable=writable)
        roles = [each.endpoint.role for each in topology.servers.values()]
        assert roles.count("primary") == 1
        assert topology.servers[topology.primary.name].endpoint is topology.primary
        assert topology.primary.name not in [each.endpoint.name for each in topology.replicas]
        # Whoever holds a connection to another one is told so.
        changed = topology.primary.name != primary.name
        assert changed == (topology.generation == generation + 1)
        assert changed == any(isinstance(order, Warn) for order in orders)
        assert not changed or Then.TELL_WAITERS in orders
        assert not changed or world.serving() == []


# What a connection tells.


def facts(**changes):
    known = PrimaryFacts("mysql", "8.4.0", gtids(DB1, 5), gtids(DB1, 5), "", DB1, {}, False)
    return known._replace(**changes)


def test_a_connection_to_the_primary_tells_that_it_is_there(world):
    world.miss("db1", Miss.LOST)
    assert world.learn(facts()) == [Then.TELL_WAITERS]
    assert world.topology.primary_is_up
    assert world.learn(facts()) == []
    assert world.topology.last_seen() == gtids(DB1, 5)


def test_a_connection_that_leads_to_another_server_tells_so(world):
    world.look_at_all(5)
    orders = world.learn(facts(server=STRANGER, read_only=True))
    assert orders == [Warn("another server is the primary at %s now", ("db1",)), Then.LOOK_NOW]
    assert world.topology.generation == 1
    assert world.server("db1").is_writable is False
    assert world.serving() == []


def test_all_servers_are_of_the_primarys_flavor(world):
    state, position = BinlogState.parse("0-1-5"), GtidList.parse("0-1-5")
    world.learn(facts(flavor="mariadb", history=state, position=position))
    assert {each.flavor for each in world.topology.servers.values()} == {"mariadb"}
    world.topology.take_replicas([Endpoint("db4", "db4", 3306)])
    assert world.server("db4").flavor == "mariadb"


# Which servers there are.


def test_a_replica_that_comes_later_must_have_what_all_had(world):
    world.look_at_all(5)
    names = ("db2", "db4")
    known = world.topology.servers
    world.topology.take_replicas([Endpoint(name, name, 3306) for name in names])
    assert [each.endpoint.name for each in world.topology.replicas] == ["db2", "db4"]
    assert world.server("db4").floor == gtids(DB1, 5)
    assert world.server("db3").is_gone
    assert "db4" not in known  # who walks through it is not disturbed


def test_what_replicas_made_themselves_nobody_must_have():
    world = World()
    for name in ("db2", "db3"):
        server = world.server(name)
        server.server = UUIDS[name]
        server.note_position(gtids(DB1, 4) | gtids(DB2, 2), world.now)
    replicas = world.topology.replicas
    assert common_position(replicas, "mysql") == gtids(DB1, 4) | gtids(DB2, 2)
    assert floor_of(replicas, "mysql", None) == gtids(DB1, 4)
    # What one made as the primary of before, the primary of now has, too.
    assert floor_of(replicas, "mysql", gtids(DB2, 1)) == gtids(DB1, 4) | gtids(DB2, 1)
    assert common_position([], "mysql") == GtidSet()


def test_the_closest_are_those_that_nobody_is_known_to_be_ahead_of(world):
    db2, db3 = world.server("db2"), world.server("db3")
    ends = (db2.endpoint, db3.endpoint)
    servers = world.topology.servers
    assert closest(servers, ends) == ends
    db2.note_position(gtids(DB1, 4), 1.0)
    db3.note_position(gtids(DB1, 5), 1.0)
    assert closest(servers, ends) == (db3.endpoint,)
    db3.note_position(gtids(DB1, 5), 2.0)
    assert closest(servers, ends) == ends  # db2 may have gone on since
    db2.note_position(gtids(DB2, 3), 2.0)
    assert closest(servers, ends) == ends
    db2.errant = gtids(DB2, 3)
    assert closest(servers, ends) == (db3.endpoint,)


def test_all_have_it_where_each_was_seen_to_have_it_last(world):
    other = World()
    assert not have_all([], GtidSet())
    for each in world.topology.replicas:
        each.note_position(gtids(DB1, 4), 1.0)
    everyone = [*world.topology.replicas, *other.topology.replicas]
    assert have_all(everyone, gtids(DB1, 4))
    other.server("db2").note_position(gtids(DB1, 5), 2.0)
    other.server("db3").note_position(gtids(DB1, 3), 2.0)
    assert have_all(everyone, gtids(DB1, 3))
    assert not have_all(everyone, gtids(DB1, 4))


def test_all_are_named_with_what_they_were_seen_to_be(world):
    world.probe("db2", gtids(DB1, 1), writable=True)
    world.miss("db3", Miss.LOST)
    said = world.topology.describe("(2003) no route")
    assert said == (
        "db1: (2003) no route; db2: it can be written to, and was not seen to become the primary; "
        "db3: it does not answer"
    )


def test_policies_see_the_figures_of_the_moment(world):
    figures = FiguresOf(world.topology)
    assert [*figures] == ["db1", "db2", "db3"]
    assert len(figures) == 3
    world.look_at_all(1)
    assert figures["db2"].connected == 3
    assert figures["db2"].behind == 0.0
    assert figures.get("db9") is None
