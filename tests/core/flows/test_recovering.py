"""What is left of a session whose connection to the primary was lost, and what it is told."""

import pytest

from rwsplit._core.flows.command import Ask, Claim, Connect, FinishPrevious, Post, Publish
from rwsplit._core.flows.recovering import NOTHING, deadlock, loss, refuses_writes
from rwsplit._core.session.state import AUTOCOMMIT, IN_TRANSACTION
from rwsplit._core.wire import Fault, Kind, UnknownOutcome

from .harness import (
    LOST,
    UUID,
    House,
    Result,
    asks,
    did,
    fails,
    lost,
    read_only,
    reports,
    rows,
)

OPEN = AUTOCOMMIT | IN_TRANSACTION


@pytest.fixture
def house():
    return House()


def losing(house, sql, status=AUTOCOMMIT, fault=None, *script):
    statement = NOTHING if sql is None else house.statement(sql)
    flow = house.journey.recovering.losing(fault or lost(), statement, status)
    return house.run(flow, *script)


# What is raised.


@pytest.mark.parametrize(
    ("sql", "status", "unknown"),
    [
        ("UPDATE t SET v = 1", AUTOCOMMIT, True),
        ("UPDATE t SET v = 1", OPEN, False),
        ("UPDATE t SET v = 1", 0, False),
        ("SELECT v FROM t", AUTOCOMMIT, False),
        ("COMMIT", OPEN, True),
        ("ROLLBACK", OPEN, False),
        ("BEGIN", OPEN, True),
        ("BEGIN", AUTOCOMMIT, False),
        ("DROP TABLE t", OPEN, True),
        ("CALL p()", OPEN, True),
        ("XA COMMIT 'a'", AUTOCOMMIT, True),
        ("SET @a = 1", AUTOCOMMIT, False),
    ],
)
def test_whether_it_took_effect_is_unknown_of_what_may_have_committed(house, sql, status, unknown):
    found = loss(lost(), house.statement(sql), status, "db", None)
    assert isinstance(found, UnknownOutcome) is unknown
    assert found.is_lost


def test_what_could_not_be_written_whole_took_no_effect(house):
    found = loss(lost(2006), house.statement("UPDATE t SET v = 1"), AUTOCOMMIT, "db", None)
    assert not isinstance(found, UnknownOutcome)
    assert found.number == 2006


def test_a_fault_without_a_number_stays_what_it_is_and_is_not_its_own_cause(house):
    fault = Fault(0, "", Kind.LOST, ValueError())
    found = loss(fault, house.statement("COMMIT"), OPEN, "db", None)
    assert (found.number, found.text, found.kind) == (0, "", Kind.LOST)
    assert found.original is fault.original
    assert found is not fault


def test_the_loss_says_that_the_transaction_was_rolled_back(house):
    found = loss(lost(), house.statement("SELECT 1"), OPEN, "db", None)
    assert "primary db; its transaction was rolled back" in found.text


def test_a_deadlock_can_be_run_again_by_what_frameworks_look_at():
    found = deadlock("because")
    assert (found.number, found.state) == (1213, "40001")
    assert found.text.startswith("Deadlock found")
    assert "(because)" in found.text


def test_a_primary_refuses_writes_by_number_and_text():
    assert refuses_writes(read_only())
    assert refuses_writes(Fault(1836, ""))
    assert not refuses_writes(Fault(1290, "running with the --secure-file-priv option"))
    # A transaction that was begun as READ ONLY says nothing of the server.
    assert not refuses_writes(Fault(1792, "Cannot execute statement in a READ ONLY transaction"))


# What is left.


def test_a_transaction_is_lost_with_its_connection_until_it_is_rolled_back(house):
    losing(house, "SELECT 1", OPEN)
    with pytest.raises(Fault, match="roll it back"):
        house.session.check_lost()
    assert not house.session.in_transaction
    assert not house.primary.connection.server_status & IN_TRANSACTION
    assert not house.primary.connection.open


@pytest.mark.parametrize("sql", ["SAVEPOINT a", "CALL p()", "SELECT 1; SAVEPOINT a"])
def test_a_savepoint_is_lost_with_its_connection_too(house, sql):
    house.set_status(0)
    house.journey.writing.ran(house.statement(sql), sql.encode(), Result(), 0)
    house.set_status(0)
    house.primary.connection.ended = True
    with pytest.raises(Fault) as caught:
        house.run(house.journey.recovering.regaining())
    assert caught.value.number == 2006
    with pytest.raises(Fault, match="roll it back"):
        house.session.check_lost()


def test_a_savepoint_on_a_primary_that_was_demoted_can_be_set_again(house):
    house.set_status(0)
    house.session.transaction.note_savepoint()
    with pytest.raises(Fault) as caught:
        house.run(house.journey.recovering.leaving_demoted(read_only(), 0))
    assert caught.value.number == 1213
    assert not house.session.transaction.lost


@pytest.mark.parametrize("sql", ["ROLLBACK TO a", "INSERT INTO t VALUES (1)", "SELECT 1"])
def test_what_sets_no_savepoint_leaves_none_to_lose(house, sql):
    house.set_status(0)
    house.journey.writing.ran(house.statement(sql), sql.encode(), Result(), 0)
    assert not house.session.holds_transaction


def ran_and_lost(house, sql):
    house.state.expect(house.statement(sql), sql=sql.encode())
    house.state.forget_hearsay()


ASKS = "SELECT LAST_INSERT_ID()"


def finding(house, *script, sql=ASKS):
    return house.run(house.journey.recovering.finding_ids(house.statement(sql)), *script)


def test_an_id_that_was_set_since_is_the_right_one(house):
    ran_and_lost(house, "INSERT INTO t VALUES (1)")
    finding(house, asks(Ask, lambda c: [rows("0", "0"), rows("7")][-len(c.statements) :]))
    assert not house.state.lost_of(house.statement(ASKS))
    assert house.state.lost_ids  # the last value of a sequence was not


def test_an_id_that_is_gone_raises_the_loss(house):
    ran_and_lost(house, "INSERT INTO t VALUES (1)")
    with pytest.raises(Fault) as caught:
        finding(house, asks(Ask, lambda c: [rows("0", "0"), rows("0")][-len(c.statements) :]))
    assert caught.value.number == 2006
    assert not house.state.lost_ids  # it was told
    house.state.forget_hearsay()
    assert not house.state.lost_ids


@pytest.mark.parametrize("why", ["unsent", "next", "autocommit", "counts"])
def test_nobody_is_asked_for_an_id_where_the_question_would_change_something(house, why):
    ran_and_lost(house, "INSERT INTO t VALUES (1)")
    if why == "unsent":
        house.session.owed.send_first([b"BEGIN"])
    elif why == "next":
        house.state.next_transaction = "SET TRANSACTION READ ONLY"
    elif why == "autocommit":
        house.set_status(0)
    with pytest.raises(Fault):
        finding(house, sql="SELECT LAST_INSERT_ID(), ROW_COUNT()" if why == "counts" else ASKS)


def test_who_is_not_told_of_a_loss_still_has_lost_its_ids(house):
    house.state.expect(house.statement("INSERT INTO t VALUES (1)"))
    flow = house.journey.recovering.losing(lost(), NOTHING, AUTOCOMMIT, told=False)
    house.run(flow)
    house.state.forget_hearsay()
    assert house.state.lost_of(house.statement(ASKS))


def test_a_transaction_on_a_replica_is_lost_too(house):
    house.session.transaction.begun(house.statement("BEGIN"), b"BEGIN", house.state)
    losing(house, None)
    assert house.session.transaction.lost
    assert not house.session.transaction.is_open


def test_what_was_not_sent_was_of_a_transaction(house):
    house.session.owed.send_first([b"BEGIN"])
    losing(house, None)
    assert house.session.transaction.lost
    assert house.session.owed.unsent == []


def test_nothing_is_lost_where_nothing_had_begun(house):
    losing(house, "SELECT 1")
    assert not house.session.transaction.lost


def test_what_ends_a_transaction_leaves_none_to_lose(house):
    losing(house, "ROLLBACK", OPEN)
    assert not house.session.transaction.lost


def test_without_autocommit_every_statement_is_of_a_transaction(house):
    house.set_status(0)
    losing(house, "SELECT 1", 0)
    assert house.session.transaction.lost


def test_a_connection_that_is_not_revived_loses_no_transaction_by_itself(house):
    house.hold.revives = False
    losing(house, "SELECT 1", OPEN)
    assert not house.session.transaction.lost


def test_the_level_of_the_next_transaction_goes_with_the_one_that_was_lost(house):
    house.state.next_transaction = "SET TRANSACTION READ ONLY"
    losing(house, "SELECT 1", OPEN)
    assert house.state.next_transaction == ""


def test_what_was_open_on_a_replica_is_ended(house):
    snapshot = house.snapshot()
    losing(house, None, AUTOCOMMIT, None, asks(Claim), asks(Post, sql="COMMIT"))
    assert house.session.snapshot is None
    assert not snapshot.claimed


def test_only_this_statement_is_unsure_where_all_else_was_known(house):
    losing(house, "UPDATE t SET v = 1")
    assert (house.state.position_known, house.state.position_unsure) == (False, True)


def test_more_is_unknown_where_something_was_before(house):
    house.state.lose_position()
    losing(house, "UPDATE t SET v = 1")
    assert (house.state.position_known, house.state.position_unsure) == (False, False)


def test_nobody_knows_any_more_what_the_primary_would_have_told(house):
    house.session.followed.note_told(found_rows=3)
    losing(house, "SELECT 1")
    assert house.session.followed.told == {}


def test_what_is_known_is_published_where_the_loss_is_of_nothing_that_commits(house):
    sharing = house.share()
    sharing.is_open = sharing.awaits = True
    house.state.has_committed(f"{UUID}:1-4")
    losing(house, "SELECT 1", AUTOCOMMIT, None, asks(Publish, position=house.at(4)))
    assert not sharing.awaits


def test_a_mark_stays_where_nobody_knows_what_was_committed(house):
    sharing = house.share()
    sharing.is_open = sharing.awaits = True
    assert isinstance(losing(house, "UPDATE t SET v = 1"), UnknownOutcome)
    assert sharing.is_open


# An interrupted statement.


def test_a_statement_that_was_interrupted_before_it_was_sent_did_nothing(house):
    house.primary.connection.writes = 4
    house.run(house.journey.recovering.interrupted(4))
    assert house.primary.connection.open


@pytest.mark.parametrize("left", [{"writes": 5}, {"due": 1, "writes": 4}])
def test_a_statement_that_was_interrupted_amid_it_may_have_committed(house, left):
    for name, value in left.items():
        setattr(house.primary.connection, name, value)
    house.run(house.journey.recovering.interrupted(4))
    assert not house.primary.connection.open
    assert not house.state.position_known


# What is still to come.


def test_what_is_pending_is_read_before_the_next_statement(house):
    house.session.owed.note_pending(True)
    tail = reports(gtids=f"{UUID}:1-7")
    house.run(
        house.journey.recovering.finishing_pending(),
        asks(FinishPrevious, did(None, tails=[tail]), member=house.primary),
    )
    assert not house.session.owed.pending
    assert house.state.position == house.at(7)
    assert not house.state.position_known


def test_an_error_among_what_is_pending_is_raised_and_read_no_more(house):
    house.session.owed.note_pending(True)
    with pytest.raises(Fault) as caught:
        house.run(house.journey.recovering.finishing_pending(), asks(FinishPrevious, fails()))
    assert caught.value.number == 1146
    assert not house.session.owed.pending


def test_a_connection_that_is_lost_amid_what_is_pending_takes_its_transaction_along(house):
    house.set_status(0)
    house.session.owed.note_pending(True)
    with pytest.raises(Fault):
        house.run(house.journey.recovering.finishing_pending(), asks(FinishPrevious, lost()))
    assert house.session.transaction.lost


@pytest.mark.parametrize("sql", ["SELECT v FROM t", "COMMIT"])
def test_what_nobody_knows_of_a_lost_write_is_left_open(house, sql):
    sharing = house.share()
    sharing.is_open = True
    known = sql != "COMMIT"
    house.run(
        house.journey.recovering.losing(lost(), house.statement(sql), IN_TRANSACTION),
        *([asks(Publish)] if known else []),
    )
    assert sharing.left_open is not known


# Going on.


def test_reads_go_on_where_the_connection_is_lost(house):
    house.primary.connection.open = False
    house.run(house.journey.recovering.going_without())
    assert not house.session.transaction.lost


def test_a_transaction_is_lost_when_that_is_seen_before_a_statement(house):
    house.open_transaction()
    house.primary.connection.open = False
    house.run(house.journey.recovering.going_without())
    assert house.session.transaction.lost


@pytest.mark.parametrize("why", ["ended", "closed", "not revived", "bound"])
def test_some_connections_can_not_go_on(house, why):
    house.primary.connection.open = False
    house.hold.ended = why == "ended"
    house.primary.connection.is_closed = why == "closed"
    house.hold.revives = why != "not revived"
    if why == "bound":
        house.state.bind("user", "a user lock is held on the primary")
    with pytest.raises(Fault) as caught:
        house.run(house.journey.recovering.going_without())
    assert caught.value.number == 0
    if why == "bound":
        assert "a user lock is held" in caught.value.text


def test_leaving_a_primary_with_an_open_transaction_raises_its_loss(house):
    house.open_transaction()
    house.fail_over()
    with pytest.raises(Fault, match="rolled back"):
        house.run(house.journey.recovering.regaining())
    assert house.hold.drops


def test_a_primary_that_has_changed_is_left_for_the_next(house):
    house.fail_over()
    house.run(house.journey.recovering.having_primary(), asks(Connect), asks(Ask))
    assert house.hold.generation == house.cluster.generation


def test_a_primary_that_is_there_needs_nothing(house):
    house.run(house.journey.recovering.having_primary())


def test_a_lost_transaction_must_be_rolled_back_before_the_primary_is_used(house):
    house.session.transaction.lose("db (2013, gone)")
    house.fail_over()
    with pytest.raises(Fault, match="roll it back"):
        house.run(house.journey.recovering.having_primary())


def test_a_primary_answers_where_its_connection_can_be_made_again(house):
    house.primary.connection.ended = True
    flow = house.journey.recovering.primary_answers()
    assert house.run(flow, asks(Connect), asks(Ask)) is True


def test_a_primary_that_is_away_is_not_waited_for_by_a_read(house):
    house.primary.connection.ended = True
    house.cluster.topology.primary_is_up = False
    assert house.run(house.journey.recovering.primary_answers()) is False
    assert house.hold.drops == 1


def test_leaving_a_demoted_primary_tells_who_shares_that_nothing_happened(house):
    sharing = house.share()
    sharing.is_open = sharing.awaits = True
    flow = house.journey.recovering.leaving_demoted(read_only(), AUTOCOMMIT)
    house.run(flow, asks(Connect), asks(Ask))
    assert not sharing.awaits
    assert house.cluster.watch.told == [("read-only", 0)]


def test_a_loss_has_the_text_of_the_driver(house):
    class DriversError(Exception):
        pass

    fault = Fault(LOST, "lost", Kind.LOST, DriversError(2013, "as the driver says it"))
    losing(house, "SELECT 1", OPEN, fault)
    assert "as the driver says it" in house.session.transaction.lost
