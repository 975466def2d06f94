"""Who shares a session, and what its reads must see of others."""

import pytest

from rwsplit._core.cluster.place import Place
from rwsplit._core.cluster.position import GtidSet
from rwsplit._core.session.identity import AGAIN, Identity
from rwsplit._core.session.seen import Seen
from rwsplit._core.session.state import State
from tests.core.flows.harness import UUID

PLACE = Place("mysql")


class Heard:
    """What others have committed."""

    latest = None


def at(number):
    return GtidSet.parse(f"{UUID}:1-{number}")


@pytest.fixture
def process():
    return Heard()


@pytest.fixture
def state():
    return State(GtidSet(), "shop")


def made(process, kind="process", named=None):
    return Identity(kind, named, process, lambda: "app")


# Keys.


@pytest.mark.parametrize(
    ("kind", "named", "in_block", "key"),
    [
        ("process", None, None, None),
        ("process", "a", None, "provided:a"),
        ("process", "a", "b", "provided:b"),
        ("database", None, None, "database:shop"),
        ("database", "a", None, "provided:a"),
        ("user", None, None, "user:app"),
        ("user", None, "b", "provided:b"),
        ("process", None, "", "provided:"),
    ],
)
def test_a_key_says_what_is_shared_and_by_whom(process, kind, named, in_block, key):
    assert made(process, kind, named).key_of(in_block, "shop") == key


def test_no_schema_is_one_too(process):
    assert made(process, "database").key_of(None, None) == "database:"


def test_the_id_is_told_whatever_kind_it_is_of(process):
    identity = made(process)
    assert identity.shared_id is None
    identity.take_key("database:shop")
    assert identity.shared_id == "shop"
    identity.take_key("provided:a:b")
    assert identity.shared_id == "a:b"
    identity.take_key("database:")
    assert identity.shared_id is None


def test_the_name_is_the_users_at_that_moment(process):
    names = iter(["one", "two"])
    identity = Identity("user", None, process, lambda: next(names))
    assert identity.key_of(None, None) == "user:one"
    assert identity.key_of(None, None) == "user:two"


# Hearing.


def test_the_process_is_heard_where_no_session_id_says_otherwise(process):
    identity = made(process)
    assert not identity.has_news
    process.latest = "a commit"
    assert identity.has_news
    identity.hear("a commit")
    assert not identity.has_news


def test_who_has_a_session_id_does_not_hear_the_process(process):
    identity = made(process)
    identity.take_key("provided:a")
    identity.share_process()
    process.latest = "a commit"
    assert not identity.has_news


def test_who_has_another_kind_of_id_does_not_either(process):
    identity = made(process, "user")
    process.latest = "a commit"
    assert not identity.has_news


def test_a_scope_is_heard_in_the_process_s_place(process):
    identity = made(process)
    identity.part = Heard()
    identity.share_process()
    process.latest = "a commit"
    assert not identity.has_news
    identity.part.latest = "a commit of the scope"
    assert identity.has_news


def test_who_comes_back_hears_all_again(process):
    identity = made(process)
    process.latest = "a commit"
    identity.hear("a commit")
    identity.share_process()
    assert identity.has_news


# Another kind.


def test_another_kind_keeps_what_must_be_seen_once(process):
    identity = made(process)
    identity.be("process")
    assert not identity.take_keeps()
    identity.be("database")
    identity.be("database")
    assert identity.take_keeps()
    assert not identity.take_keeps()


# Alone.


def test_what_was_written_alone_is_kept_aside(process, state):
    identity = made(process)
    state.see(at(4))
    identity.set_aside(state, in_scope=False)
    state.begin_with(state.origin, state.origin, True)
    assert not state.position
    identity.go_on_alone(state, anew=False)
    assert state.position == at(4)


def test_what_is_not_known_alone_is_not_known_later(process, state):
    identity = made(process)
    state.lose_position()
    identity.set_aside(state, in_scope=False)
    state.begin_with(state.origin, state.origin, True)
    identity.go_on_alone(state, anew=False)
    assert not state.position_known


def test_who_was_never_alone_begins_with_nothing(process, state):
    state.see(at(4))
    made(process).go_on_alone(state, anew=False)
    assert not state.position


def test_what_was_asked_for_is_seen_whoever_one_is(process, state):
    state.ask_for(at(3))
    identity = made(process)
    identity.go_on_alone(state, anew=True)
    assert state.position == at(3)


# Scopes.


def test_a_scope_begins_with_what_it_must_see_and_ends_with_all(process, state):
    identity, seen, part = made(process), Seen(state.origin), Heard()
    state.see(at(4))
    seen.see(at(5))
    identity.enter_scope(part, seen.take(), seen, state)
    identity.go_on_alone(state, anew=False)
    assert not state.position
    assert not seen.position
    state.has_committed(f"{UUID}:1-7")
    seen.see(at(6))
    identity.enter_scope(None, seen.take(), seen, state)
    identity.go_on_alone(state, anew=False)
    assert state.position == at(7)  # what it wrote in the scope, too
    assert seen.position == at(6)


def test_a_scope_that_begins_anew_does_not_see_where_the_connection_began(process, state):
    identity, seen = made(process), Seen(state.origin)
    state.begin_at(at(3))
    identity.enter_scope(Heard(), seen.take(), seen, state)
    identity.go_on_alone(state, anew=True)
    assert not state.position
    identity.go_on_alone(state, anew=False)
    assert state.position == at(3)


def test_what_was_not_known_in_a_scope_is_not_known_behind_it(process, state):
    identity, seen = made(process), Seen(state.origin)
    identity.enter_scope(Heard(), seen.take(), seen, state)
    identity.go_on_alone(state, anew=False)
    state.lose_position()
    identity.enter_scope(None, seen.take(), seen, state)
    identity.go_on_alone(state, anew=False)
    assert not state.position_known


def test_under_an_id_a_scope_sets_nothing_aside(process, state):
    identity, seen = made(process), Seen(state.origin)
    identity.take_key("provided:a")
    state.see(at(9))  # of the id
    identity.enter_scope(Heard(), seen.take(), seen, state)
    identity.enter_scope(None, seen.take(), seen, state)
    identity.take_key(None)
    identity.go_on_alone(state, anew=False)
    assert not state.position


def test_the_connection_of_the_last_read_is_the_same_behind_a_scope(process, state):
    identity, seen = made(process), Seen(state.origin)
    seen.saw("r1", PLACE, b"", 1.0, "its member")
    identity.enter_scope(Heard(), seen.take(), seen, state)
    assert seen.by is None
    seen.saw("r1", PLACE, b"", 2.0, "a new one")
    identity.enter_scope(None, seen.take(), seen, state)
    assert (seen.at, seen.by) == ("r1", "a new one")


def test_two_visits_to_one_replica_are_seen_one_after_the_other(process, state):
    identity, seen = made(process), Seen(state.origin)
    seen.saw("r1", PLACE, b"", 1.0, None)
    seen.see(at(5))
    identity.enter_scope(Heard(), seen.take(), seen, state)
    seen.saw("r1", PLACE, b"", 2.0, None)
    seen.see(at(2))
    identity.enter_scope(None, seen.take(), seen, state)
    assert seen.at == "r1"
    assert not seen.on_primary  # nobody told what was seen there, and that was at one place
    assert seen.position == at(5)


# The block.


def test_a_block_is_looked_at_again_where_that_was_put_off(process):
    identity, block = made(process), object()
    identity.enter(block)
    assert identity.context is block
    identity.look_again()
    assert identity.context is AGAIN


def test_it_shows_a_kind_or_that_there_is_an_id(process):
    identity = made(process)
    assert repr(identity) == "<Identity process>"
    identity.take_key("provided:a")
    assert repr(identity) == "<Identity provided:a>"
