"""What a session learns from the primary: what it tells, and what has to be asked."""

import pytest

from rwsplit._core.flows.command import Ask, ReportLate
from rwsplit._core.flows.recovering import NOTHING
from rwsplit._core.session.state import AUTOCOMMIT, IN_TRANSACTION
from rwsplit._core.wire import Fault

from .harness import OK, UUID, House, Result, asks, did, fails, lost, reports, rows


@pytest.fixture
def house():
    return House()


def learn(house, sql=None, *tails):
    house.primary.connection.tails.extend(tails)
    house.journey.learning.learn(None if sql is None else house.statement(sql))


# What was told.


def test_a_gtid_is_a_commit(house):
    learn(house, "UPDATE t SET v = 1", reports(gtids=f"{UUID}:1-4"), reports(gtids=f"{UUID}:5"))
    assert house.state.position == house.at(5)
    assert house.primary.connection.tails == []


def test_other_connections_of_the_process_hear_of_it(house):
    learn(house, "UPDATE t SET v = 1", reports(gtids=f"{UUID}:1-4"))
    assert house.cluster.process.look(lambda: None).position == house.at(4)


def test_variables_and_the_schema_are_learned_with_the_gtid(house):
    tail = reports(variables={"time_zone": "UTC"}, schema="other", gtids=f"{UUID}:1-4")
    learn(house, "SET time_zone = 'UTC'", tail)
    assert house.state.schema == "other"
    assert "`time_zone`='UTC'" in house.state.difference(0)[0][0]
    assert house.state.position == house.at(4)


def test_the_status_is_the_connections(house):
    house.primary.connection.server_status = IN_TRANSACTION
    learn(house)
    assert house.session.in_transaction


def test_a_server_that_tells_nothing_leaves_the_position_unknown(house):
    house.primary.connection.tracks = False
    learn(house, "SELECT 1")
    assert not house.state.position_known


@pytest.mark.parametrize(
    ("sql", "known"),
    [
        ("SELECT v FROM t", True),
        ("SELECT v FROM t FOR UPDATE", True),
        ("SELECT @a := 1", True),
        ("SHOW TABLES", True),
        ("SELECT f(1)", False),
        ("CALL p()", False),
        ("INSERT INTO t VALUES (1) RETURNING v", False),
        ("COMMIT", False),
    ],
)
def test_an_answer_that_tells_nothing_leaves_it_unknown_where_that_may_commit(sql, known):
    house = House("mariadb")
    house.primary.connection.is_untold = True
    learn(house, sql)
    assert house.state.position_known is known


def test_results_that_nobody_knows_of_leave_it_unknown(house):
    house.primary.connection.is_untold = True
    learn(house)
    assert not house.state.position_known


@pytest.mark.parametrize(
    ("sql", "doubted"),
    [("CALL p()", True), ("SELECT f(1)", True), ("SELECT v FROM t FOR UPDATE", False)],
)
def test_an_answer_that_tells_nothing_may_have_changed_the_session(house, sql, doubted):
    statement = house.statement(sql)
    house.primary.connection.result = rows(b"1")
    house.primary.connection.is_untold = True
    house.journey.writing.ran(statement, sql.encode(), house.primary.connection.result, AUTOCOMMIT)
    assert house.state.suspect is doubted
    assert ("*" in house.state.unread) is doubted


def test_another_sql_mode_is_how_texts_are_read_next(house):
    sql = 'SELECT "a"'
    before = house.session.language.dialect
    learn(house, "SET sql_mode = 'ANSI_QUOTES'", reports(variables={"sql_mode": "ANSI_QUOTES"}))
    assert house.session.language.dialect != before
    house.session.language.statement(sql)


def test_another_schema_may_be_another_session(house):
    house.identity.be("database")
    learn(house, "USE other", reports(schema="other"))
    assert house.session.block() is not house.identity.context


def test_another_schema_is_no_other_session_of_the_process(house):
    learn(house, "USE other", reports(schema="other"))
    assert house.session.block() is house.identity.context


def test_what_changed_without_a_name_is_in_doubt(house):
    learn(house, "UPDATE t SET v = 1", reports(changed=True))
    assert house.state.suspect
    assert house.state.unlisted


# What is still to come.


def unread(house, sql, **said):
    house.journey.learning.note_unread(house.statement(sql), Result(**said))
    return house.session.owed.pending


def test_more_results_are_pending(house):
    assert unread(house, "SELECT 1", has_next=True)


def test_the_rows_of_a_read_change_nothing(house):
    assert not unread(house, "SELECT v FROM t", unbuffered_active=True)


def test_the_rows_of_a_read_use_up_what_set_transaction_said(house):
    house.state.next_transaction = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;"
    assert unread(house, "SELECT v FROM t", unbuffered_active=True)
    assert not unread(house, "SELECT v FROM t")


def test_the_rows_of_all_else_may_commit(house):
    assert unread(house, "CALL p()", unbuffered_active=True)


def test_the_end_of_a_read_tells_that_the_level_for_one_transaction_is_used_up(house):
    house.state.next_transaction = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;"
    assert unread(house, "SELECT v FROM t", unbuffered_active=True)
    assert not unread(house, "SELECT v FROM t")


def test_a_stream_may_have_begun_a_transaction(house):
    house.set_status(0)
    unread(house, "SELECT v FROM t", unbuffered_active=True)
    assert house.session.in_transaction


# Locks.


@pytest.mark.parametrize(
    ("sql", "row", "held"),
    [
        ("SELECT GET_LOCK('a', 0)", (1,), True),
        ("SELECT GET_LOCK('a', 0)", (0,), False),
        ("SELECT GET_LOCK('a', 0)", (None,), False),
        ("SELECT GET_LOCK('a', 0), GET_LOCK('b', 0)", (0, 0), True),
        ("SELECT GET_LOCK('a', 0) + GET_LOCK('b', 0)", (0,), True),
        ("SELECT GET_LOCK('a', 0) + RELEASE_LOCK('b')", (1,), True),
        ("SELECT GET_LOCK(CONCAT('a', %s), 0) AS get_lock_1 -- it", (0,), False),
        # Its value is not the function's.
        ("SELECT COUNT(*) FROM t WHERE GET_LOCK('a', 0)", (4,), True),
        ("SELECT GET_LOCK('a', 0) IS NULL", (0,), True),
        ("SELECT IF(GET_LOCK('a', 0), 'yes', 'no')", ("yes",), True),
        ("SELECT 0; SELECT GET_LOCK('a', 0)", (0,), True),
        ("SELECT GET_LOCK(CONCAT('a', GET_LOCK('b', 0)), 0)", (0,), True),
        ("SELECT GET_LOCK('a', 0), RELEASE_ALL_LOCKS()", (1, 0), True),
    ],
)
def test_locks_are_counted_by_answers(house, sql, row, held):
    statement = house.statement(sql)
    house.state.expect(statement, sql=sql.encode())
    house.journey.learning.note_user_locks(statement, sql.encode(), Result([row]))
    assert ("user" in house.state.pins) is held


def test_two_locks_are_released_one_by_one(house):
    for sql, held in (
        ("SELECT GET_LOCK('a', 0)", True),
        ("SELECT GET_LOCK('b', 0)", True),
        ("SELECT RELEASE_LOCK('a')", True),
        ("SELECT RELEASE_LOCK('b')", False),
    ):
        statement = house.statement(sql)
        house.state.expect(statement, sql=sql.encode())
        house.journey.learning.note_user_locks(statement, sql.encode(), rows(1))
        assert ("user" in house.state.pins) is held


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT RELEASE_LOCK('b') IS NOT NULL",
        "SELECT 1; SELECT RELEASE_LOCK('b')",
        "DO RELEASE_LOCK('b')",
        "SELECT IF(0, RELEASE_ALL_LOCKS(), 1)",
    ],
)
def test_a_lock_is_held_until_it_is_known_to_be_released(house, sql):
    house.state.bind("user", "a user lock is held on the primary")
    house.state.note_user_lock(1)
    answer = Result([]) if sql.startswith("DO") else rows(1)
    house.journey.learning.note_user_locks(house.statement(sql), sql.encode(), answer)
    assert "user" in house.state.pins


def test_all_locks_are_released_at_once(house):
    house.state.note_user_lock(None)
    house.state.bind("user", "a user lock is held on the primary")
    sql = "SELECT RELEASE_ALL_LOCKS()"
    house.journey.learning.note_user_locks(house.statement(sql), sql.encode(), rows(1))
    assert "user" not in house.state.pins


# A failure.


def of_failure(house, sql, *script):
    statement = NOTHING if sql is None else house.statement(sql)
    return house.run(house.journey.learning.of_failure(statement), *script)


def test_a_read_that_failed_has_changed_nothing(house):
    assert of_failure(house, "SELECT v FROM t") is None


def test_what_may_have_run_code_has_it_reported(house):
    assert of_failure(house, "UPDATE t SET v = 1", asks(ReportLate, member=house.primary)) is True
    assert house.session.followed.told["row_count"] == -1


def test_who_is_told_nothing_says_so(house):
    assert of_failure(house, "UPDATE t SET v = 1", asks(ReportLate, False)) is False


def test_the_level_of_the_next_transaction_may_be_used_up(house):
    house.state.next_transaction = "SET TRANSACTION READ ONLY"
    assert of_failure(house, "SELECT v FROM t", asks(ReportLate, False)) is False
    assert house.session.transaction.touched


def test_mariadb_always_says_that_something_changed():
    house = House("mariadb")
    tail = reports(variables={"time_zone": "UTC"}, changed=True)
    of_failure(house, "CALL p()", asks(ReportLate, did(True, tails=[tail])))
    assert house.primary.connection.tails == []
    assert "`time_zone`='UTC'" in house.state.difference(0)[0][0]


def test_an_error_behind_other_results_leaves_all_in_doubt(house):
    house.session.owed.note_pending(True)
    unknown = house.statement("CALL p()")
    house.run(house.journey.learning.late_failure(unknown), asks(ReportLate, False))
    assert house.session.in_transaction
    assert not house.session.owed.pending
    assert not house.state.position_known
    assert house.state.suspect


def test_what_is_reported_late_is_learned(house):
    tail = reports(schema="other")
    unknown = house.statement("CALL p()")
    house.run(
        house.journey.learning.late_failure(unknown), asks(ReportLate, did(True, tails=[tail]))
    )
    assert house.state.schema == "other"


# Settling.


def in_doubt(house):
    house.state.doubt_variable("time_zone")
    house.session.followed.note_told(found_rows=0, row_count=0)


def settling(house, *script, **others):
    return house.run(house.journey.learning.settling(**others), *script)


def test_what_is_in_doubt_is_asked(house):
    in_doubt(house)
    settling(house, asks(Ask, [rows("UTC"), OK], member=house.primary))
    assert not house.state.is_unsettled


@pytest.mark.parametrize(
    "guard", ["not revived", "pending", "begins", "unsent", "reading", "warnings"]
)
def test_some_sessions_are_not_asked_now(house, guard):
    in_doubt(house)
    house.hold.revives = guard != "not revived"
    house.session.owed.note_pending(guard == "pending")
    if guard == "begins":
        house.set_status(0)
    if guard == "unsent":
        house.session.owed.send_first([b"BEGIN"])
    house.primary.connection.is_reading = guard == "reading"
    settling(house, keep_warnings=guard == "warnings")
    assert house.state.is_unsettled


def test_mariadb_keeps_its_warnings_through_what_uses_no_table():
    house = House("mariadb")
    in_doubt(house)
    settling(house, asks(Ask, [rows("UTC")]), keep_warnings=True)
    assert not house.state.is_unsettled


def test_mariadb_does_not_keep_them_through_what_uses_one():
    house = House("mariadb")
    in_doubt(house)
    house.state.suspect = True
    settling(house, keep_warnings=True)
    assert house.state.is_unsettled


def test_in_an_open_transaction_it_may_be_asked(house):
    house.set_status(IN_TRANSACTION)
    in_doubt(house)
    settling(house, asks(Ask, [rows("UTC"), OK]))
    assert not house.state.is_unsettled


def test_a_connection_that_has_ended_can_not_be_asked(house):
    in_doubt(house)
    house.primary.connection.ended = True
    house.state.rumoured = True
    settling(house)
    assert not house.state.rumoured


def test_a_connection_that_is_lost_amid_it_is_dropped(house):
    in_doubt(house)
    settling(house, asks(Ask, lost()))
    assert house.hold.drops == 1


def test_an_error_amid_it_is_raised(house):
    in_doubt(house)
    with pytest.raises(Fault):
        settling(house, asks(Ask, fails()))


def test_what_the_questions_themselves_report_is_nothing(house):
    in_doubt(house)
    left = {"tails": [reports(variables={"time_zone": "UTC"})]}
    settling(house, asks(Ask, did([rows("UTC"), OK], **left)))
    assert house.primary.connection.tails == []


# Before a read, and before the next statement.


def test_a_read_asks_for_what_it_may_depend_on(house):
    in_doubt(house)
    statement = house.statement("SELECT v FROM t")
    house.run(house.journey.learning.reading_back(statement), asks(Ask, [rows("UTC")]))
    assert not house.state.doubts(statement)


def test_a_rumour_is_forgotten_with_the_connection_that_could_tell(house):
    house.state.note_hearsay(house.statement("UPDATE t SET v = 1"))
    statement = house.statement("SELECT v FROM t")
    house.run(house.journey.learning.reading_back(statement), asks(Ask, lost()))
    assert not house.state.doubts(statement)
    assert house.hold.drops == 1


def test_what_is_more_than_a_rumour_is_lost_with_it(house):
    in_doubt(house)
    with pytest.raises(Fault):
        house.run(
            house.journey.learning.reading_back(house.statement("SELECT v FROM t")),
            asks(Ask, lost()),
        )


def test_what_texts_are_read_by_is_reported_without_a_question(house):
    house.state.doubt_variable("sql_mode")
    tail = reports(variables={"sql_mode": "ANSI_QUOTES"})
    house.run(
        house.journey.learning.reporting_lexing(),
        asks(
            Ask, did([OK], tails=[tail]), statements=["SET SESSION `sql_mode`=@@SESSION.`sql_mode`"]
        ),
    )
    assert house.state.value("sql_mode") == "ANSI_QUOTES"
    assert "sql_mode" not in house.state.unread


def test_catching_up_asks_what_is_in_doubt(house):
    in_doubt(house)
    flow = house.journey.learning.catching_up(house.statement("SELECT 1"), False)
    house.run(flow, asks(Ask, [rows("UTC"), OK]))
    assert not house.state.is_unsettled


def test_what_asks_for_warnings_comes_before_any_question(house):
    in_doubt(house)
    house.run(house.journey.learning.catching_up(house.statement("SHOW WARNINGS"), True))
    assert house.state.is_unsettled


def test_warnings_and_what_a_replica_has_set_are_not_both_to_be_had(house):
    house.session.owed.note_foreign(house.member(), frozenset({"n"}))
    with pytest.raises(Fault) as caught:
        house.run(house.journey.learning.catching_up(house.statement("SHOW WARNINGS"), True))
    assert caught.value.number == 1235


# The application's own tracking.


TRACKED = rows(b"OFF", b"time_zone", b"1", b"0", b"OFF")


def test_the_tracking_that_the_application_sets_is_kept_and_ours_set_again(house):
    house.session.followed.note_told(found_rows=0, row_count=0)
    statement = house.statement("SET session_track_schema = 0")
    house.run(
        house.journey.learning.keeping_tracking(statement),
        asks(Ask, [TRACKED, OK, OK], statements=lambda said: "session_track_gtids" in said[1]),
    )
    own = house.session.owed.own_tracking
    assert "SET SESSION session_track_schema=1" in own
    # What it has not set is ours on the connection.
    assert "SET SESSION session_track_system_variables=DEFAULT" in own


def test_another_variable_is_none_of_it(house):
    house.run(house.journey.learning.keeping_tracking(house.statement("SET time_zone = 'UTC'")))


def test_the_application_looks_at_the_tracking_that_it_set(house):
    house.session.owed.keep_tracking(["SET SESSION session_track_schema='0'"])
    tail = reports(state_changed=True)
    house.run(
        house.journey.learning.showing_tracking(),
        asks(Ask, did(tails=[tail]), statements=["SET SESSION session_track_schema='0'"]),
    )
    assert not house.primary.connection.tails  # it is no doubt about the session
    assert house.session.owed.shows_tracking
    assert not house.session.owed.nothing


def test_our_own_tracking_comes_back_before_the_next_statement(house):
    house.session.owed.show_tracking(True)
    house.session.followed.note_told(found_rows=0)
    house.run(house.journey.learning.tracking(), asks(Ask, [TRACKED, OK, OK]))
    assert not house.session.owed.shows_tracking


def test_an_error_of_the_tracking_is_raised_but_for_one(house):
    house.session.followed.note_told(found_rows=0)
    in_transaction = fails(1766, "not in a transaction")
    house.run(house.journey.learning.tracking(), asks(Ask, [TRACKED, in_transaction, OK]))
    with pytest.raises(Fault):
        house.run(house.journey.learning.tracking(), asks(Ask, [TRACKED, fails(), OK]))


def test_autocommit_is_the_servers_status(house):
    house.primary.connection.server_status = 0
    learn(house, "SET autocommit = 0")
    assert not house.state.status & AUTOCOMMIT


def test_an_answer_that_does_not_tell_of_a_transaction_ends_none(house):
    house.set_status(AUTOCOMMIT)
    house.state.hear_status(AUTOCOMMIT, told=False)
    house.state.note_open()
    house.journey.learning.learn(heard=False)
    assert house.session.in_transaction
    house.primary.connection.server_status = 0  # something that went before it has told
    house.journey.learning.learn(heard=False)
    assert not house.session.in_transaction


def test_one_that_tells_does(house):
    house.set_status(AUTOCOMMIT)
    house.state.hear_status(AUTOCOMMIT, told=False)
    house.state.note_open()
    house.journey.learning.learn()
    assert not house.session.in_transaction
