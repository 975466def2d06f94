"""A session as a whole: what is decided by more than one of its parts."""

import pytest

from rwsplit._core.cause import Cause
from rwsplit._core.session.route import Destination
from rwsplit._core.session.state import AUTOCOMMIT, IN_TRANSACTION
from rwsplit._core.setup.options import Choice
from rwsplit._core.sql.statement import Hint
from rwsplit._core.wire import Capability, Fault, Kind
from tests.core.flows.harness import House

READ = "SELECT v FROM t"


@pytest.fixture
def house():
    return House()


# What it is used for.


@pytest.mark.parametrize(
    ("options", "tracks", "transacts"),
    [
        ({}, True, True),
        ({"transactions": "eventual"}, True, True),
        ({"transactions": "primary"}, True, False),
        ({"reads": "primary"}, True, False),
        ({}, False, False),
    ],
)
def test_reads_of_transactions_are_split_where_that_can_be(options, tracks, transacts):
    house = House(**options)
    house.primary.connection.tracks = tracks
    assert (house.session.may_transact and house.terms.splits) is transacts


def test_reads_of_transactions_are_not_split_where_rows_can_not_be_compared(house):
    house.primary.connection.offers &= ~Capability.RAW_ROWS
    assert not house.session.may_transact


def test_the_terms_are_at_hand_once_they_were_looked_at(house):
    house.terms.say("eventual")
    assert house.session.must_see
    house.session.look_at_terms()
    assert not house.session.must_see
    assert house.session.may_be_free


def test_what_is_asked_for_beside_the_texts_ends_with_its_block(house):
    hint = Hint(route="primary")
    before = house.session.ask(hint, True)
    assert (house.session.asked, house.session.only_reads) == (hint, True)
    house.session.ask(*before)
    assert (house.session.asked, house.session.only_reads) == (None, False)


# Snapshots.


def test_a_snapshot_is_of_the_transaction_until_it_is_taken(house):
    snapshot = house.snapshot("r1")
    assert house.session.transaction.on_replica
    assert house.session.snapshot_on(house.members["r1"]) is snapshot
    assert house.session.snapshot_on(house.member("r2")) is None
    assert house.session.take_snapshot() is snapshot
    assert house.session.take_snapshot() is None
    assert house.session.transaction.on_replica  # it has read there all the same


# Whether a statement needs nothing but itself.


@pytest.mark.parametrize(
    ("status", "alone", "between"),
    [
        (AUTOCOMMIT, True, True),
        (0, False, False),
        (AUTOCOMMIT | IN_TRANSACTION, False, False),
        (IN_TRANSACTION, False, False),
    ],
)
def test_a_read_is_alone_where_nothing_is_open(house, status, alone, between):
    house.set_status(status)
    assert house.session.reads_alone is alone
    assert house.session.is_between is between
    assert house.session.in_transaction is bool(status & IN_TRANSACTION)


def test_what_was_not_sent_is_before_a_read(house):
    house.session.owed.send_first([b"BEGIN"])
    assert not house.session.reads_alone


def test_a_connection_that_is_not_revived_reads_alone_nowhere(house):
    house.hold.revives = False
    assert not house.session.reads_alone


def test_a_level_for_the_next_transaction_is_used_up_by_any_statement(house):
    house.state.next_transaction = "SET TRANSACTION READ ONLY"
    assert not house.session.is_between


def test_what_asks_about_the_statement_before_is_found(house):
    session = house.session
    assert session.asks(house.statement("SELECT FOUND_ROWS()"))
    assert not session.asks(house.statement(READ))
    sql = "PREPARE p FROM 'SELECT ROW_COUNT()'"
    house.state.expect(house.statement(sql), sql=sql.encode())
    assert session.asks(house.statement("EXECUTE p"))
    assert not session.asks(house.statement("EXECUTE q"))


# Where it goes.


def test_a_read_has_the_level_and_the_age_of_the_terms(house):
    house.terms.choose(Choice(consistency="global", max_staleness=2.0))
    route = house.session.route(house.statement(READ))
    assert (route.consistency, route.max_staleness) == ("global", 2.0)
    assert route.destination is Destination.REPLICA


def test_why_a_read_is_not_split_is_why_it_runs_on_the_primary():
    house = House(reads="primary")
    statement = house.statement(READ)
    assert house.session.reason_on_primary(statement, statement.reason).cause is Cause.SWITCHED_OFF
    write = house.statement("UPDATE t SET v = 1")
    assert house.session.reason_on_primary(write, write.reason) is write.reason


def test_in_an_open_transaction_a_statement_runs_there(house):
    assert house.session.runs_in_open_transaction(house.statement(READ)) is None
    house.open_transaction()
    found = house.session.runs_in_open_transaction(house.statement(READ))
    assert found is not None
    assert found.cause is Cause.IN_TRANSACTION
    for sql in ("COMMIT", "SELECT FOUND_ROWS()"):
        assert house.session.runs_in_open_transaction(house.statement(sql)) is None


def test_the_closest_hint_counts(house):
    sql = f"/* rwsplit: consistency=global */ {READ}"
    house.session.ask(Hint(route="primary", consistency="eventual"), False)
    hint = house.session.hinted(house.statement(sql)).hint
    assert (hint.route, hint.consistency) == ("primary", "global")


def test_a_statement_without_hints_is_as_it_was(house):
    statement = house.statement(READ)
    assert house.session.hinted(statement) is statement


def test_of_foreign_hints_the_first_that_is_known_counts():
    hints = {"maxscale route to slave": Hint(route="replica")}
    house = House(hints=hints)
    sql = f"/* maxscale route to slave */ {READ}"
    assert house.session.hinted(house.statement(sql)).hint == Hint(route="replica")
    unknown = f"/* maxscale route to master */ {READ}"
    assert house.session.hinted(house.statement(unknown)).hint is None


# What it is called.


def test_a_transaction_that_the_primary_knows_nothing_of_has_begun(house):
    assert not house.session.has_begun()
    house.session.transaction.begun(house.statement("BEGIN"), b"BEGIN", house.state)
    assert house.session.has_begun()


def test_what_is_skipped_is_answered_by_nobody(house):
    route = house.session.skip(house.statement("COMMIT"), "has nothing to end on the primary")
    assert (route.endpoint, route.role, route.cause) == ("", "none", Cause.ANSWERED)
    assert house.session.followed.skipped


def test_nothing_stands_for_it_where_that_would_use_up_a_level(house):
    house.state.next_transaction = "SET TRANSACTION READ ONLY"
    house.session.skip(house.statement("COMMIT"), "has nothing to end on the primary")
    assert not house.session.followed.skipped
    assert house.session.followed.told["row_count"] == 0


def test_a_lost_transaction_says_how_it_was_lost(house):
    house.session.check_lost()
    house.session.transaction.lose("db (2013, gone)")
    with pytest.raises(Fault, match=r"lost with its connection to primary db \(2013, gone\)") as at:
        house.session.check_lost()
    assert at.value.kind is Kind.LOST
    assert at.value.number == 0


@pytest.mark.parametrize("why", ["ended", "closed", "not revived", "bound", None])
def test_some_connections_can_not_be_made_again(house, why):
    house.hold.ended = why == "ended"
    house.primary.connection.is_closed = why == "closed"
    house.hold.revives = why != "not revived"
    if why == "bound":
        house.state.bind("user", "a user lock is held on the primary")
    if why is None:
        house.session.check_revivable()
        return
    with pytest.raises(Fault) as caught:
        house.session.check_revivable()
    assert ("a user lock" in caught.value.text) is (why == "bound")


def test_it_shows_its_state(house):
    assert repr(house.session) == repr(house.state)
