"""What runs on the primary: what becomes of a statement there, and what is never sent twice."""

import pytest

from rwsplit._core.flows.command import (
    Ask,
    ByMethod,
    Connect,
    Exchange,
    KillElsewhere,
    Mark,
    Open,
    Publish,
    ReportLate,
    WaitForAnyone,
    WaitForPrimary,
)
from rwsplit._core.session.state import AUTOCOMMIT, IN_TRANSACTION
from rwsplit._core.wire import Fault, UnknownOutcome

from .harness import (
    LOST,
    OK,
    UUID,
    House,
    Result,
    asks,
    did,
    fails,
    lost,
    ran,
    read_only,
    reports,
    rows,
)

WRITE = "UPDATE t SET v = 1"
READ = "SELECT v FROM t"


@pytest.fixture
def house():
    return House()


def on_primary(house, sql, **others):
    underway = house.underway(sql, **others)
    return house.journey.writing.on_primary(underway, underway.statement.reason)


# A write.


def test_a_write_is_sent_to_the_primary_and_its_result_is_the_answer(house):
    answer = house.run(
        on_primary(house, WRITE),
        asks(Exchange, OK, member=house.primary, sql=WRITE.encode(), before=[]),
    )
    assert answer.result is OK
    assert answer.route.endpoint == "db"


def test_what_a_write_has_committed_is_what_the_next_read_must_see(house):
    tail = reports(gtids=f"{UUID}:1-7")
    house.run(on_primary(house, WRITE), asks(Exchange, ran(tails=[tail])))
    assert house.state.position == house.at(7)
    assert house.primary.connection.tails == []


# What it has found.


def runs(house, sql, rows=0, **left):
    """Run a statement there that has found so many rows, and left this."""
    left.setdefault("server_status", AUTOCOMMIT)
    house.run(on_primary(house, sql), asks(Exchange, ran(Result(affected_rows=rows), **left)))
    return house.session.seen.on_primary


def test_a_write_that_committed_has_seen_no_more_than_that(house):
    assert not runs(house, WRITE, 1, tails=[reports(gtids=f"{UUID}:1-7")])


@pytest.mark.parametrize("rows", [0, 1])
def test_a_write_that_committed_nothing_has_seen_what_is_there(house, rows):
    """None was found, or all were as they were to be."""
    assert runs(house, WRITE, rows)


@pytest.mark.parametrize("sql", ["SET @x = 1", "SET autocommit = 1", "USE shop", "COMMIT"])
def test_what_finds_nothing_has_seen_nothing(house, sql):
    assert not runs(house, sql)


@pytest.mark.parametrize("sql", ["DO (SELECT v FROM t)", "LOCK TABLES t READ"])
def test_what_looks_at_a_table_has_seen_it(house, sql):
    """Those that set a variable by one do."""
    assert runs(house, sql)


OPEN = AUTOCOMMIT | IN_TRANSACTION


def test_the_commit_of_a_transaction_stands_for_all_that_its_writes_have_found(house):
    house.open_transaction()
    assert not runs(house, WRITE, 1, server_status=OPEN)
    assert not runs(house, "COMMIT", tails=[reports(gtids=f"{UUID}:1-7")])
    assert not runs(house, "SET @x = 1")


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_a_transaction_that_committed_nothing_has_seen_what_its_writes_have_found(house, end):
    house.open_transaction()
    assert not runs(house, WRITE, 1, server_status=OPEN)
    assert runs(house, end)


def test_a_write_of_a_transaction_that_found_nothing_has_seen_what_is_there(house):
    """It may commit nothing."""
    house.open_transaction()
    assert runs(house, WRITE, 0, server_status=OPEN)


def test_a_lost_transaction_has_seen_what_its_writes_have_found(house):
    house.open_transaction()
    runs(house, WRITE, 1, server_status=OPEN)
    with pytest.raises(Fault):
        house.run(on_primary(house, WRITE), asks(Exchange, lost()))
    assert house.session.seen.on_primary


@pytest.mark.parametrize("sql", ["SELECT GET_LOCK('a', 1)", "SELECT RELEASE_LOCK('a')"])
def test_a_lock_comes_behind_all_that_was_done_under_it(house, sql):
    house.run(on_primary(house, sql), asks(Exchange, rows(1)))
    assert house.session.seen.on_primary


def test_an_error_tells_of_what_is_there(house):
    too_many = Fault(1242, "Subquery returns more than 1 row")
    with pytest.raises(Fault):
        house.run(on_primary(house, "SET @x = (SELECT v FROM t)"), asks(Exchange, too_many))
    assert house.session.seen.on_primary


def test_a_write_whose_answer_is_lost_may_have_happened_and_is_not_sent_again(house):
    house.state.see(house.at(3))
    with pytest.raises(UnknownOutcome) as caught:
        house.run(on_primary(house, WRITE), asks(Exchange, lost()))
    assert caught.value.number == LOST
    assert caught.value.endpoint == "db"
    assert caught.value.position is not None
    assert not house.state.position_known
    assert house.state.position_unsure
    assert house.hold.drops
    assert house.cluster.monitor.looks


def test_a_write_that_could_not_be_sent_whole_did_not_happen(house):
    with pytest.raises(Fault) as caught:
        house.run(on_primary(house, WRITE), asks(Exchange, lost(2006, "gone away")))
    assert not isinstance(caught.value, UnknownOutcome)
    assert caught.value.is_lost


def test_a_write_in_a_transaction_is_lost_with_it_and_committed_nothing(house):
    house.open_transaction()
    with pytest.raises(Fault) as caught:
        house.run(on_primary(house, WRITE), asks(Exchange, lost()))
    assert not isinstance(caught.value, UnknownOutcome)
    assert "its transaction was rolled back" in caught.value.text
    assert house.session.transaction.lost
    assert not house.session.in_transaction


@pytest.mark.parametrize("sql", ["COMMIT", "CREATE TABLE t (id INT)", "CALL p()"])
def test_what_commits_a_transaction_may_have_when_its_answer_is_lost(house, sql):
    house.open_transaction()
    with pytest.raises(UnknownOutcome):
        house.run(on_primary(house, sql), asks(Exchange, lost()))


def test_a_rollback_that_is_lost_leaves_nothing_to_roll_back(house):
    house.open_transaction()
    with pytest.raises(Fault) as caught:
        house.run(on_primary(house, "ROLLBACK"), asks(Exchange, lost()))
    assert not isinstance(caught.value, UnknownOutcome)
    assert not house.session.transaction.lost


def test_a_write_that_is_too_large_is_known_not_to_have_run(house):
    house.primary.connection.max_packet = 10
    with pytest.raises(Fault) as caught:
        house.run(on_primary(house, WRITE), asks(Exchange, lost()))
    assert not isinstance(caught.value, UnknownOutcome)


def test_a_write_on_a_connection_that_is_not_revived_is_left_to_the_application(house):
    house.hold.revives = False
    with pytest.raises(UnknownOutcome):
        house.run(on_primary(house, WRITE), asks(Exchange, lost()))
    assert not house.cluster.monitor.looks


# A read.


def test_a_read_that_was_lost_is_repeated_on_a_replica(house):
    house.replica("r1", at=1)
    answer = house.run(
        on_primary(house, READ),
        asks(Exchange, lost(), member=house.primary),
        asks(Open, replica=house.replica("r1")),
        asks(Exchange, rows("1"), sql=READ.encode()),
    )
    assert answer.route.role == "replica"
    assert answer.route.retries == 1


def test_a_read_that_is_lost_again_and_again_is_tried_three_times_more_at_most():
    house = House(replicas=())
    connect = [asks(Connect), asks(Ask)]
    exchange = asks(Exchange, lost())
    with pytest.raises(Fault) as caught:
        house.run(
            on_primary(house, READ),
            exchange,
            *connect,
            exchange,
            *connect,
            exchange,
            *connect,
            exchange,
        )
    assert caught.value.is_lost
    assert not isinstance(caught.value, UnknownOutcome)


def test_a_read_whose_connection_is_killed_twice_is_over():
    house = House(replicas=())
    kill = asks(Exchange, lost(1927, "Connection was killed"))
    with pytest.raises(Fault) as caught:
        house.run(on_primary(house, READ), kill, asks(Connect), asks(Ask), kill)
    assert caught.value.number == 1927


def test_a_read_in_a_transaction_is_not_repeated(house):
    house.open_transaction()
    with pytest.raises(Fault):
        house.run(on_primary(house, READ), asks(Exchange, lost()))
    assert house.session.transaction.lost


def test_a_read_while_the_primary_is_away_is_served_by_a_replica(house):
    house.primary.connection.open = False
    house.cluster.topology.primary_is_up = False
    house.replica("r1", at=1)
    answer = house.run(
        on_primary(house, READ),
        asks(Open, replica=house.replica("r1")),
        asks(Exchange, rows("1")),
    )
    assert answer.route.endpoint == "r1"


def test_a_read_that_nobody_serves_waits_for_a_primary_as_long_as_it_may():
    house = House(replicas=(), primary_wait=0.5)
    house.primary.connection.open = False
    house.cluster.topology.primary_is_up = False
    began = house.clock.now

    def passes(command):
        house.clock.now = command.until

    with pytest.raises(Fault) as caught:
        house.run(
            on_primary(house, READ),
            asks(WaitForAnyone, passes, until=lambda until: until == pytest.approx(began + 0.2)),
            asks(WaitForAnyone, passes, until=lambda until: until == pytest.approx(began + 0.4)),
            asks(WaitForAnyone, passes, until=lambda until: until == pytest.approx(began + 0.5)),
            asks(WaitForPrimary, False, until=began + 0.5),
        )
    assert caught.value.number == 2003


# A primary that was demoted.


def test_a_write_that_a_demoted_primary_refuses_runs_on_the_next_one(house):
    answer = house.run(
        on_primary(house, WRITE),
        asks(Exchange, read_only()),
        asks(Connect),
        asks(Ask),
        asks(Exchange, OK, sql=WRITE.encode()),
    )
    assert answer.result is OK
    assert house.cluster.watch.told == [("read-only", 0)]


def test_a_write_waits_while_the_next_primary_is_read_only_too(house):
    house.run(
        on_primary(house, WRITE),
        asks(Exchange, read_only()),
        asks(Connect, lambda _: house.facts(read_only=True)),
        asks(Ask),
        asks(WaitForPrimary, True),
        asks(Connect),
        asks(Ask),
        asks(Exchange, OK),
    )


def test_a_transaction_can_not_go_on_on_the_next_primary(house):
    house.open_transaction()
    with pytest.raises(Fault) as caught:
        house.run(on_primary(house, WRITE), asks(Exchange, read_only()))
    assert caught.value.number == 1213
    assert caught.value.state == "40001"
    assert not house.session.transaction.lost
    assert not house.session.in_transaction


def test_what_was_not_sent_goes_first_on_the_next_primary_too(house):
    house.session.owed.send_first([b"BEGIN"])
    house.run(
        on_primary(house, WRITE),
        asks(Exchange, read_only(), before=[b"BEGIN"]),
        asks(Connect),
        asks(Ask),
        asks(Exchange, OK, before=[b"BEGIN"]),
    )


# What was not sent.


def test_what_was_not_sent_goes_first_and_once(house):
    house.session.owed.send_first([b"BEGIN"])
    house.run(on_primary(house, WRITE), asks(Exchange, OK, before=[b"BEGIN"]))
    house.run(on_primary(house, WRITE), asks(Exchange, OK, before=[]))


def test_a_begin_that_fails_is_what_the_application_gets(house):
    house.session.owed.send_first([b"BEGIN"])
    refused = fails(1205, "Lock wait timeout")
    with pytest.raises(Fault) as caught:
        house.run(on_primary(house, READ), asks(Exchange, ran(before=[refused])))
    assert caught.value is refused
    assert house.session.owed.nothing


def test_a_read_behind_a_begin_is_not_repeated_elsewhere(house):
    house.session.owed.send_first([b"BEGIN"])
    with pytest.raises(Fault):
        house.run(on_primary(house, READ), asks(Exchange, lost()))
    assert house.session.transaction.lost


def test_what_was_skipped_has_a_stand_in_where_it_is_asked_about(house):
    house.session.followed.note_skipped(house.primary, skipped=True)
    house.run(
        on_primary(house, "SELECT ROW_COUNT()"),
        asks(Exchange, OK, before=[b"ROLLBACK AND NO CHAIN NO RELEASE"]),
    )
    assert not house.session.followed.skipped


def test_the_stand_in_ends_no_transaction_that_the_primary_may_hold(house):
    house.session.followed.note_skipped(house.primary, skipped=True)
    house.session.transaction.note_touched()
    house.run(
        on_primary(house, "SELECT ROW_COUNT()"),
        asks(Exchange, OK, before=lambda before: before[0].startswith(b"SAVEPOINT")),
    )


# Errors.


def test_an_error_of_a_write_leaves_the_position_unknown(house):
    with pytest.raises(Fault):
        house.run(on_primary(house, WRITE), asks(Exchange, fails()), asks(ReportLate))
    assert not house.state.position_known


def test_an_error_of_a_read_leaves_the_position_as_it_was(house):
    with pytest.raises(Fault):
        house.run(on_primary(house, READ), asks(Exchange, fails()))
    assert house.state.position_known


@pytest.mark.parametrize(
    ("sql", "number", "opens"),
    [
        (WRITE, 1062, True),
        (READ, 1146, False),
        (READ, 1054, True),
        (WRITE, 1064, False),
    ],
)
def test_an_error_without_autocommit_may_have_begun_a_transaction(house, sql, number, opens):
    house.set_status(0)
    late = [asks(ReportLate)] if sql == WRITE and number != 1064 else []
    with pytest.raises(Fault):
        house.run(on_primary(house, sql), asks(Exchange, fails(number, "no")), *late)
    assert house.session.in_transaction is opens


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("sql", ["CALL p()", "EXECUTE ps", "BEGIN NOT ATOMIC CALL p(); END"])
def test_a_routine_that_failed_untold_may_have_begun_a_transaction(house, sql, told):
    with pytest.raises(Fault):
        house.run(on_primary(house, sql), asks(Exchange, fails(1644)), asks(ReportLate, told))
    assert house.session.in_transaction is not told


def test_no_trigger_that_failed_untold_has_begun_a_transaction(house):
    with pytest.raises(Fault):
        house.run(on_primary(house, WRITE), asks(Exchange, fails(1644)), asks(ReportLate, False))
    assert not house.session.in_transaction


def test_an_error_behind_a_begin_leaves_the_transaction_open(house):
    house.set_status(0)
    house.session.owed.send_first([b"BEGIN"])
    with pytest.raises(Fault):
        house.run(on_primary(house, READ), asks(Exchange, fails(1146)))
    assert house.session.in_transaction


def test_a_transaction_that_an_error_may_have_begun_is_not_ended_by_another(house):
    house.set_status(0)
    with pytest.raises(Fault):
        house.run(on_primary(house, WRITE), asks(Exchange, fails(1062)), asks(ReportLate))
    with pytest.raises(Fault):
        house.run(on_primary(house, "SELEC 1"), asks(Exchange, fails(1064)))
    assert house.session.in_transaction


def test_an_error_under_autocommit_begins_nothing(house):
    with pytest.raises(Fault):
        house.run(on_primary(house, WRITE), asks(Exchange, fails(1062)), asks(ReportLate))
    assert not house.session.in_transaction


@pytest.mark.parametrize(
    ("status", "may"), [(AUTOCOMMIT, False), (AUTOCOMMIT | IN_TRANSACTION, True), (0, True)]
)
def test_a_deadlock_may_be_the_end_of_a_transaction_alone(house, status, may):
    house.set_status(status)
    with pytest.raises(Fault):
        house.run(on_primary(house, WRITE), asks(Exchange, fails(1213)), asks(ReportLate))
    assert house.session.transaction.may_be_over is may


def test_where_nobody_tells_what_a_failure_has_changed_all_is_in_doubt(house):
    with pytest.raises(Fault):
        house.run(on_primary(house, WRITE), asks(Exchange, fails(1062)), asks(ReportLate, False))
    assert house.state.suspect
    assert "*" in house.state.unread


# Behind a statement.


def test_what_the_session_does_not_know_of_itself_is_asked_at_once(house):
    def answers(command):
        if "@@SESSION.`time_zone`" in command.statements[-2]:
            return [*[rows("0", "0")] * (len(command.statements) - 2), rows("UTC"), OK]
        return [OK] * len(command.statements)

    house.run(
        on_primary(house, "SET time_zone = @a"),
        asks(Exchange, OK),
        asks(Ask, answers, member=house.primary),
    )
    assert house.state.unread == set()
    assert "`time_zone`='UTC'" in house.state.difference(0)[0][0]


def test_a_kill_is_carried_on_to_the_replicas(house):
    house.run(on_primary(house, "KILL 7"), asks(Exchange, OK), asks(KillElsewhere, sql=b"KILL 7"))


def test_a_stored_function_that_changes_is_forgotten(house):
    house.cluster.catalogue._asked = 1.0
    cleared = []
    house.cluster.catalogue.clear = lambda: cleared.append(True)
    house.run(on_primary(house, "DROP FUNCTION f"), asks(Exchange, OK))
    assert cleared


def test_connections_that_began_before_a_set_global_are_not_used_again(house):
    house.run(on_primary(house, "SET GLOBAL time_zone = 'UTC'"), asks(Exchange, OK))
    assert house.cluster.pool.closed == 1


def test_a_transaction_that_has_ended_teaches_the_habit(house):
    transaction = house.session.transaction
    transaction.known_as("digest")
    house.open_transaction()
    transaction.note_on_primary(house.statement(WRITE))
    house.run(on_primary(house, "COMMIT"), asks(Exchange, ran(server_status=AUTOCOMMIT)))
    assert house.cluster.habits.of("digest").writes > 0
    assert not transaction.digest


def test_a_user_lock_binds_the_session_until_it_is_released(house):
    house.run(on_primary(house, "SELECT GET_LOCK('a', 1)"), asks(Exchange, Result([(1,)])))
    assert "user" in house.state.pins
    house.run(on_primary(house, "SELECT RELEASE_LOCK('a')"), asks(Exchange, Result([(1,)])))
    assert "user" not in house.state.pins


def test_a_session_id_is_marked_before_a_write_and_published_behind_it(house):
    sharing = house.share()
    house.run(
        on_primary(house, WRITE),
        asks(Mark, sharing=sharing),
        asks(Exchange, ran(tails=[reports(gtids=f"{UUID}:1-7")])),
        asks(Publish, sharing=sharing, position=house.at(7)),
    )


def test_what_is_still_to_come_may_commit_and_is_left_open(house):
    sharing = house.share()
    house.run(
        on_primary(house, "CALL p()"),
        asks(Mark, sharing=sharing),
        asks(Exchange, ran(Result(has_next=True))),
    )
    assert sharing.left_open


@pytest.mark.parametrize("sql", ["SELECT ROW_COUNT()", "SELECT FOUND_ROWS()", "SHOW WARNINGS"])
def test_what_went_with_the_connection_is_not_asked_of_a_new_one(house, sql):
    house.primary.connection.ended = True
    with pytest.raises(Fault) as caught:
        house.run(on_primary(house, sql))
    assert caught.value.number == 2006
    # Now that it is known, there is nothing to ask about.
    house.run(on_primary(house, sql), asks(Connect), asks(Ask), asks(Exchange, rows("0")))


def test_what_was_not_sent_is_asked_of_a_new_connection(house):
    house.primary.connection.ended = True
    house.session.followed.note_skipped(house.primary, True)
    house.run(on_primary(house, "SELECT ROW_COUNT()"), asks(Connect), asks(Ask), asks(Exchange))


# By method.


def test_a_commit_by_method_learns_what_it_committed(house):
    house.open_transaction()
    flow = house.journey.writing.beginning_or_ending("COMMIT")
    tail = reports(gtids=f"{UUID}:1-7")
    left = {"tails": [tail], "server_status": AUTOCOMMIT}
    answer = house.run(flow, asks(ByMethod, did(None, **left), method="commit"))
    assert house.state.position == house.at(7)
    assert answer.result is None


def test_a_commit_by_method_whose_answer_is_lost_may_have_happened(house):
    house.open_transaction()
    with pytest.raises(UnknownOutcome):
        house.run(
            house.journey.writing.beginning_or_ending("COMMIT"),
            asks(ByMethod, lost()),
        )


def test_a_commit_brings_the_position_along_where_the_next_read_would_ask(house):
    house.open_transaction()
    seen = house.session.seen
    seen.read_on_primary()
    seen.saw_all(house.at(1), late=True)
    seen.read_on_primary()
    house.run(
        house.journey.writing.beginning_or_ending("COMMIT"),
        asks(
            Ask,
            did([rows("0", "-1"), house.told_at(9), OK], server_status=AUTOCOMMIT),
            statements=lambda said: said[-1] == "COMMIT",
        ),
    )
    assert seen.position == house.at(9)
    assert not seen.on_primary
    assert not house.session.state.status & IN_TRANSACTION
