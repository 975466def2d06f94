"""What others must see of a session, and what it must see of others."""

import pytest

from rwsplit._core.cause import Cause
from rwsplit._core.flows.command import AskAside, Look, Mark, Publish
from rwsplit._core.session.route import Destination, Route
from rwsplit._core.sql.statement import Kind, because

from .harness import UUID, House, Stored, asks, lost

DECISION = Route(Destination.REPLICA, because(Kind.READ, "it reads"))


@pytest.fixture
def house():
    return House()


@pytest.fixture
def sharing(house):
    made = house.share()
    made.is_open = True  # a write is marked
    return made


def run(house, name, *script, args=()):
    return house.run(getattr(house.journey.publishing, name)(*args), *script)


# What others must see.


def test_who_shares_nothing_tells_nobody(house):
    run(house, "beginning_write")
    run(house, "publishing")
    run(house, "publishing_at_last")
    run(house, "publishing_what_is_known")


def test_a_session_id_is_marked_before_a_write(house, sharing):
    run(house, "beginning_write", asks(Mark, sharing=sharing))
    assert sharing.is_open


@pytest.mark.parametrize(
    ("sql", "in_transaction", "marks"),
    [
        ("UPDATE t SET v = 1", False, True),
        ("BEGIN", False, True),
        ("COMMIT", True, True),
        ("COMMIT", False, False),
        ("COMMIT AND CHAIN", False, False),
        ("ROLLBACK", True, False),
        ("ROLLBACK AND CHAIN", True, False),
        ("ROLLBACK; UPDATE t SET v = 1", False, True),
        ("SELECT v FROM t", True, False),
    ],
)
def test_what_commits_nothing_is_not_marked(house, sharing, sql, in_transaction, marks):
    sharing.is_open = False
    if in_transaction:
        house.open_transaction()
    script = [asks(Mark, sharing=sharing)] if marks else []
    run(house, "beginning", *script, args=(house.statement(sql),))
    assert sharing.is_open is marks


def test_a_commit_behind_a_begin_that_was_not_sent_is_marked(house, sharing):
    sharing.is_open = False
    house.session.owed.send_first([b"BEGIN"])
    run(house, "beginning", asks(Mark, sharing=sharing), args=(house.statement("COMMIT"),))


def test_a_write_that_can_not_be_marked_is_not_made(house, sharing):
    with pytest.raises(RuntimeError):
        run(house, "beginning_write", asks(Mark, RuntimeError("the store is away")))


def test_what_was_committed_is_told(house, sharing):
    house.state.has_committed(f"{UUID}:1-4")
    sharing.awaits = True
    run(house, "publishing", asks(Publish, sharing=sharing, position=house.at(4)))
    assert not sharing.awaits
    assert not house.state.written


def test_nothing_committed_is_told_as_nothing(house, sharing):
    run(house, "publishing", asks(Publish, position=None))


def test_what_could_not_be_told_is_told_the_next_time(house, sharing):
    house.state.has_committed(f"{UUID}:1-4")
    run(house, "publishing", asks(Publish, False))
    assert house.state.written == house.at(4)


def test_where_no_write_is_marked_nothing_is_told(house, sharing):
    sharing.is_open = False
    run(house, "publishing")


def test_in_a_transaction_nothing_is_committed_yet(house, sharing):
    house.open_transaction()
    sharing.awaits = True
    run(house, "publishing")
    assert not sharing.awaits


def test_what_is_not_known_is_asked(house, sharing):
    house.state.lose_position()
    run(
        house,
        "publishing",
        asks(AskAside, lambda _: house.at(9), hastily=True),
        asks(Publish, position=house.at(9)),
    )
    assert house.state.position_known


def test_a_mark_stays_where_the_primary_can_not_be_asked(house, sharing):
    sharing.is_open = True
    house.state.lose_position()
    run(house, "publishing", asks(AskAside, lost(2003, "no"), hastily=True))
    assert sharing.is_open
    assert sharing.left_open
    assert sharing.published == []


@pytest.mark.parametrize("guard", ["closed", "unknown", "pending", None])
def test_a_mark_whose_outcome_a_read_has_found_out_is_ended(house, sharing, guard):
    sharing.is_open = guard != "closed"
    if guard == "unknown":
        house.state.lose_position()
    house.session.owed.note_pending(guard == "pending")
    script = [] if guard else [asks(Publish)]
    run(house, "publishing_at_last", *script)


def test_what_is_known_is_told_as_the_connection_is_lost(house, sharing):
    house.open_transaction()  # which is rolled back
    house.state.has_committed(f"{UUID}:1-4")
    run(house, "publishing_what_is_known", asks(Publish, position=house.at(4)))
    assert not house.state.written


# What must be seen of others.


def bounded(house, *script, rule=None, decision=DECISION):
    underway = house.underway("SELECT v FROM t", rule=rule)
    return run(house, "bounded", *script, args=(underway, decision))


def test_a_read_goes_as_it_was_decided(house):
    assert bounded(house) == DECISION


def test_a_rule_has_its_say(house):
    class Rule:
        def applied(self, statement, decision):
            return decision._replace(group="reports")

    assert bounded(house, rule=Rule()).group == "reports"


def test_what_others_of_the_process_committed_must_be_seen(house):
    house.cluster.process.note(f"{UUID}:1-4")
    bounded(house)
    assert house.state.position == house.at(4)
    assert not house.identity.has_news


def test_what_all_replicas_have_need_not_be_seen(house):
    house.replica("r1", at=4)
    house.replica("r2", at=4)
    house.cluster.process.note(f"{UUID}:1-4")
    bounded(house)
    assert not house.state.position


def test_what_others_doubt_is_doubted(house):
    house.cluster.process.doubt(unsure=True)
    bounded(house)
    assert not house.state.position_known
    assert house.state.position_unsure


def test_an_eventual_read_need_not_hear(house):
    house.cluster.process.note(f"{UUID}:1-4")
    bounded(house, decision=DECISION._replace(consistency="eventual"))
    assert not house.state.position
    assert house.identity.has_news


def test_who_shares_an_id_does_not_hear_the_process(house, sharing):
    house.cluster.process.note(f"{UUID}:1-4")
    bounded(house, asks(Look, Stored(None)))
    assert not house.state.position


# The store.


def test_what_the_store_has_must_be_seen(house, sharing):
    bounded(house, asks(Look, Stored(house.at(4)), sharing=sharing, flavor="mysql"))
    assert house.state.position == house.at(4)


def test_an_eventual_read_does_not_look_at_the_store(house, sharing):
    bounded(house, decision=DECISION._replace(consistency="eventual"))


def test_a_store_that_does_not_tell_leaves_the_read_to_the_primary(house, sharing):
    decision = bounded(house, asks(Look, "a write of this session id is under way elsewhere"))
    assert decision.destination is Destination.PRIMARY
    assert decision.reason.cause is Cause.STORE


@pytest.mark.parametrize("around", [True, False])
def test_what_all_have_is_dropped_from_the_store(house, sharing, around):
    house.replica("r1", at=4)
    house.replica("r2", at=4)
    house.cluster.has_all_around = around
    bounded(house, asks(Look, Stored(house.at(4))))
    assert not house.state.position
    assert sharing.forgotten == ([house.at(4)] if around else [])


# A scope that may be of another cluster.


class Part:
    """What a scope must see of this primary."""

    latest = None
    asked = None
    unchecked = True

    def __init__(self, house, elsewhere):
        self._house, self._elsewhere = house, elsewhere
        self.primary = None

    def may_be_elsewhere(self, seen):
        return self._elsewhere

    def take_primary(self, now):
        self.primary = now
        self.unchecked = False

    def look(self, whole):
        return self._house.at(4), 0, False


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_scope_that_may_be_of_another_cluster_asks_the_primary_once(house, elsewhere):
    part = house.identity.part = Part(house, elsewhere)
    house.identity.share_process()
    script = [asks(AskAside, lambda _: house.at(6), hastily=True)] if elsewhere else []
    run(house, "hearing", *script)
    assert part.primary == (house.at(6) if elsewhere else None)
    assert house.state.position == house.at(4)


def test_a_primary_that_can_not_be_asked_leaves_a_scope_as_it_was(house):
    part = house.identity.part = Part(house, True)
    house.identity.share_process()
    run(house, "hearing", asks(AskAside, lost(2003, "no"), hastily=True))
    assert part.primary is None
