"""Being the session that a block of code and a session id say."""

from typing import NamedTuple

import pytest

from rwsplit._core.flows.command import AskAside, FinishPrevious, Post, Publish, Settle, Share
from rwsplit._core.session.identity import AGAIN
from rwsplit._core.setup.options import Choice
from rwsplit._core.wire import Fault

from .harness import UUID, House, Sharing, asks, lost


class Block(NamedTuple):
    """What a block of code says."""

    session_id: str | None = None
    scope: object = None
    choice: Choice | None = None


class Scope:
    """A scope of the application's."""

    begins_anew = False

    def around(self):
        return [self]


class Part:
    """What a scope must see of this primary."""

    latest = None
    unchecked = False
    asked = None


@pytest.fixture
def house():
    return House()


def joining(house, *script):
    return house.run(house.journey.joining.joining(), *script)


# A session id.


def test_who_is_given_an_id_shares_what_is_stored_under_it(house):
    sharing = Sharing()
    house.identity.name("a")
    joining(house, asks(Share, sharing, key="provided:a"))
    assert house.identity.sharing is sharing
    assert house.identity.shared_id == "a"
    assert house.journey.reads.chooser.view.key == "a"


def test_the_same_id_is_looked_up_once(house):
    house.identity.name("a")
    joining(house, asks(Share, Sharing()))
    joining(house)


def test_the_block_s_id_goes_before_the_connection_s(house):
    house.identity.name("a")
    house.context = Block(session_id="b")
    joining(house, asks(Share, Sharing(), key="provided:b"))


@pytest.mark.parametrize(
    ("kind", "key"), [("database", "database:shop"), ("user", "user:app"), ("process", None)]
)
def test_a_kind_of_session_id_makes_a_key(kind, key):
    house = House(session_id_kind=kind)
    joining(house, *([asks(Share, Sharing(), key=key)] if key else []))
    assert house.identity.key == key


def test_who_shares_an_id_need_not_see_what_it_wrote_alone(house):
    house.state.see(house.at(4))
    house.identity.name("a")
    joining(house, asks(Share, Sharing()))
    assert not house.state.position


def test_who_is_alone_again_must_see_what_it_wrote_alone(house):
    house.state.see(house.at(4))
    house.context = Block(session_id="a")
    joining(house, asks(Share, Sharing()))
    house.context = None
    joining(house)
    assert house.identity.sharing is None
    assert house.state.position == house.at(4)


def test_another_kind_of_id_is_the_same_session_shared_otherwise(house):
    house.state.see(house.at(4))
    house.state.lose_position()
    house.identity.be("database")
    joining(house, asks(Share, Sharing(), key="database:shop"))
    assert house.state.position == house.at(4)
    assert not house.state.position_known


def test_that_is_said_once_and_not_kept_for_the_next_id(house):
    house.identity.be("database")
    joining(house, asks(Share, Sharing()))
    house.state.see(house.at(4))
    house.state.set_schema("other")
    joining(house, asks(Share, Sharing(), key="database:other"))
    assert not house.state.position


def test_who_shares_an_id_does_not_share_the_process(house):
    house.identity.name("a")
    joining(house, asks(Share, Sharing()))
    house.cluster.process.note(f"{UUID}:1-4")
    assert not house.identity.has_news


# In a transaction.


def test_in_a_transaction_the_session_changes_with_the_next(house):
    house.open_transaction()
    house.identity.name("a")
    joining(house)
    assert house.identity.key is None
    assert house.identity.context is AGAIN
    house.set_status(2)
    joining(house, asks(Share, Sharing()))
    assert house.identity.key == "provided:a"


def test_a_transaction_on_a_replica_is_one_too(house):
    house.session.transaction.begun(house.statement("BEGIN"), b"BEGIN", house.state)
    house.identity.name("a")
    joining(house)
    assert house.identity.key is None


# What a block chooses.


def test_a_block_chooses_for_its_reads(house):
    house.context = Block(choice=Choice(consistency="eventual"))
    joining(house)
    assert not house.session.must_see
    house.context = None
    joining(house)
    assert house.session.must_see


# Scopes.


def test_a_scope_is_a_session_of_its_own(house):
    scope, part = Scope(), Part()
    house.hold.parts[scope] = part
    house.state.see(house.at(4))
    house.session.seen.see(house.at(3))
    house.context = Block(scope=scope)
    joining(house)
    assert house.identity.part is part
    assert house.identity.process is part
    assert not house.state.position
    assert not house.session.seen.position
    house.context = None
    joining(house)
    assert house.state.position == house.at(4)
    assert house.session.seen.position == house.at(3)
    assert house.identity.process is house.cluster.process


def test_a_scope_hears_what_is_committed_in_it(house):
    scope, part = Scope(), Part()
    house.hold.parts[scope] = part
    house.context = Block(scope=scope)
    joining(house)
    assert house.hold.heard == ((house.cluster.process, part), (scope,))


def test_a_scope_that_begins_amid_a_transaction_hears_its_commit(house):
    scope, part = Scope(), Part()
    house.hold.parts[scope] = part
    house.open_transaction()
    house.context = Block(scope=scope)
    joining(house)
    assert house.identity.part is None
    assert house.hold.heard == ((house.cluster.process, part), (scope,))


def test_a_snapshot_that_was_ended_is_heard_of_before_a_scope(house):
    scope, part = Scope(), Part()
    house.hold.parts[scope] = part
    member = house.member(at=1)
    house.run(house.journey.reads.ending(member), asks(Post))
    house.context = Block(scope=scope)
    joining(house, asks(Settle, member=member))


# Before every statement.


def preparing(house, *script):
    return house.run(house.journey.joining.preparing(), *script)


def test_what_comes_before_every_statement_is_nothing_mostly(house):
    preparing(house)


def test_what_is_pending_is_read_and_the_block_is_looked_at(house):
    house.session.owed.note_pending(True)
    house.context = Block(session_id="a")
    preparing(house, asks(FinishPrevious), asks(Share, Sharing()))


def test_a_transaction_that_was_lost_must_be_rolled_back(house):
    house.session.transaction.lose("db")
    with pytest.raises(Fault, match="roll it back"):
        preparing(house)


def test_a_lost_connection_goes_on_without(house):
    house.primary.connection.open = False
    preparing(house)


# The mark of a write.


def ending_mark(house, *script):
    return house.run(house.journey.joining.ending_mark(), *script)


@pytest.fixture
def sharing(house):
    found = house.share()
    found.is_open = True
    return found


def test_a_mark_is_ended_as_the_connection_is_left(house, sharing):
    house.state.has_committed(f"{UUID}:1-4")
    ending_mark(house, asks(Publish, position=house.at(4)))


def test_no_mark_is_ended_that_is_not_set(house, sharing):
    sharing.is_open = False
    ending_mark(house)


def test_a_mark_stays_whose_write_was_not_answered(house, sharing):
    sharing.awaits = True
    ending_mark(house)
    assert sharing.is_open


def test_a_mark_is_ended_where_the_connection_is_lost(house, sharing):
    house.primary.connection.open = False
    house.state.lose_position()
    ending_mark(
        house,
        asks(AskAside, lambda _: house.at(7), hastily=True),
        asks(Publish, position=house.at(7)),
    )


def test_a_mark_is_ended_with_the_transaction_that_is_rolled_back(house, sharing):
    house.open_transaction()
    ending_mark(house, asks(Publish))


def test_a_mark_of_a_transaction_whose_end_was_not_answered_stays(house, sharing):
    house.open_transaction()
    sharing.awaits = True
    ending_mark(house)
    assert sharing.is_open


def test_a_mark_stays_where_nobody_can_be_asked(house, sharing):
    house.primary.connection.open = False
    house.state.lose_position()
    ending_mark(house, asks(AskAside, lost(2003, "no"), hastily=True))
    assert sharing.is_open


def test_what_is_pending_is_read_before_a_mark_is_ended(house, sharing):
    house.session.owed.note_pending(True)
    ending_mark(
        house,
        asks(FinishPrevious),
        asks(AskAside, lambda _: house.at(7), hastily=True),
        asks(Publish, position=house.at(7)),
    )
