"""Questions of rwsplit's own, and the application's about the statement before."""

import pytest

from rwsplit._core.flows.asking import without_questions
from rwsplit._core.flows.command import (
    Ask,
    AskAllAside,
    AskAside,
    ByMethod,
    Claim,
    Exchange,
    FinishPrevious,
)
from rwsplit._core.session.state import IN_TRANSACTION
from rwsplit._core.sql.statement import Kind
from rwsplit._core.wire import Fault

from .harness import OK, House, Result, about, asks, did, fails, lost, rows

COUNTS = "SELECT FOUND_ROWS(),ROW_COUNT() LIMIT 1"
WARNED = "SELECT @@warning_count,@@error_count LIMIT 1"
READ = "SELECT v FROM t"


@pytest.fixture(params=["mysql", "mariadb"])
def house(request):
    return House(request.param)


@pytest.fixture
def mysql():
    return House("mysql")


@pytest.fixture
def mariadb():
    return House("mariadb")


def ask(house, questions, *script, **others):
    return house.run(house.journey.asking.ask(questions, **others), *script)


def ran_on(house, member, sql=READ, warnings=0):
    """Let a statement of the application have run on a member."""
    house.session.followed.note_result(member, house.statement(sql), True, warnings)


# Questions of ours.


def test_what_the_primary_knows_of_the_statement_before_comes_along(house):
    (reply,) = ask(
        house,
        ["SELECT @@version LIMIT 1"],
        asks(
            Ask,
            [rows("3", "-1"), rows("8")],
            member=house.primary,
            statements=[COUNTS, "SELECT @@version LIMIT 1"],
        ),
    )
    assert reply.rows == [("8",)]
    assert house.session.followed.told == {"found_rows": 3, "row_count": -1}


def test_what_was_told_is_not_asked_again(house):
    house.session.followed.note_told(found_rows=3, row_count=-1)
    ask(house, ["SELECT 1"], asks(Ask, [rows("1")], statements=["SELECT 1"]))


def test_nothing_comes_along_where_a_replica_would_be_asked(house):
    ran_on(house, house.member())
    ask(house, ["SELECT 1"], asks(Ask, [rows("1")], statements=["SELECT 1"]))
    assert house.session.followed.source("found_rows") is house.members["r1"]


def test_before_a_statement_only_found_rows_would_be_another(house):
    flow = house.journey.asking.ask_before(["SELECT 1"])
    house.run(flow, asks(Ask, [rows("3", "-1"), rows("1")]))
    assert house.session.followed.told == {"found_rows": 3}


def test_of_what_was_not_sent_no_rows_were_changed(house):
    house.session.followed.note_skipped(house.primary, skipped=True)
    ask(house, ["SELECT 1"], asks(Ask, [rows("3", "9"), rows("1")]))
    assert house.session.followed.told["row_count"] == 0


def test_counts_that_nobody_told_are_known_to_nobody(house):
    ask(house, ["SELECT 1"], asks(Ask, [fails(), rows("1")]))
    assert house.session.followed.source("found_rows") is None


def test_mariadb_s_warnings_are_kept_where_a_question_uses_a_table(mariadb):
    shown = Result([(b"Warning", b"1292", b"no number")])
    ran_on(mariadb, mariadb.primary, "UPDATE t SET v = 'x'", warnings=1)
    mariadb.session.followed.note_told(found_rows=0, row_count=1)
    question = "SELECT a FROM information_schema.b"
    ask(
        mariadb,
        [question],
        asks(Ask, [rows("1", "0"), shown, OK], statements=[WARNED, "SHOW WARNINGS", question]),
    )
    followed = mariadb.session.followed
    assert followed.source("warnings") == 1
    assert followed.kept_warnings[1] == [("Warning", 1292, "no number")]


def test_mariadb_s_warnings_stay_where_a_question_uses_none(mariadb):
    mariadb.session.followed.note_told(found_rows=0, row_count=1)
    ask(mariadb, ["SELECT 1"], asks(Ask, [rows("1")], statements=["SELECT 1"]))


def test_mysql_s_warnings_are_not_kept(mysql):
    mysql.session.followed.note_told(found_rows=0, row_count=1)
    question = "SELECT a FROM information_schema.b"
    ask(mysql, [question], asks(Ask, [OK], statements=[question]))


def test_warnings_that_could_not_be_read_are_not_kept(mariadb):
    mariadb.session.followed.note_told(found_rows=0, row_count=1)
    ask(mariadb, ["SELECT a FROM b"], asks(Ask, [rows("1", "0"), fails(), OK]))
    assert mariadb.session.followed.kept_warnings is None


# Where a server is.


def test_the_primary_is_asked_where_it_is(house):
    flow = house.journey.asking.position(house.primary)
    found = house.run(flow, asks(Ask, [rows("0", "0"), house.told_at(7)], again=True))
    assert found == house.at(7)


def test_a_replica_is_asked_where_it_is_and_nothing_else(house):
    member = house.member()
    flow = house.journey.asking.position(member)
    found = house.run(flow, asks(Ask, [house.told_at(7)], member=member, again=True))
    assert found == house.at(7)


def test_an_error_instead_of_a_position_is_raised(house):
    with pytest.raises(Fault):
        house.run(house.journey.asking.position(house.primary), asks(Ask, about(fails())))


def test_the_primary_is_asked_aside(house):
    flow = house.journey.asking.position_aside()
    assert house.run(flow, asks(AskAside, lambda _: house.at(7))) == house.at(7)


def test_who_has_a_socket_of_its_own_can_not_be_asked_aside(house):
    house.primary.connection.has_foreign_socket = True
    flow = house.journey.asking.position_aside()
    house.run(flow, asks(Ask, [rows("0", "0"), house.told_at(7)]))


def test_a_primary_that_is_away_is_not_asked_aside(house):
    house.cluster.topology.primary_is_up = False
    house.primary.connection.open = False
    with pytest.raises(Fault) as caught:
        house.run(house.journey.asking.position_aside())
    assert caught.value.is_lost


def test_a_primary_that_is_late_for_the_monitor_is_asked_aside_all_the_same(house):
    house.cluster.topology.primary_is_up = False
    found = house.run(house.journey.asking.position_aside(), asks(AskAside, lambda _: house.at(7)))
    assert found == house.at(7)


def test_a_primary_that_is_late_is_not_waited_for_by_who_can_do_without(house):
    told = asks(AskAside, lambda _: house.at(7), hastily=True)
    house.run(house.journey.asking.position_aside(hastily=True), told)
    house.cluster.topology.primary_is_up = False
    with pytest.raises(Fault):
        house.run(house.journey.asking.position_aside(hastily=True))


# The catalogue.


FOUND = Result([(b"READS SQL DATA", b"RETURN 1", b"")])


def resolving(house, sql, *script):
    return house.run(house.journey.asking.resolving(house.statement(sql)), *script)


def test_a_function_that_only_reads_makes_a_read(house):
    statement = resolving(house, "SELECT f(1)", asks(Ask, about(FOUND, Result())))
    assert statement.kind is Kind.READ


def test_a_function_is_asked_about_once(house):
    resolving(house, "SELECT f(1)", asks(Ask, about(FOUND, Result())))
    resolving(house, "SELECT f(1)")


def test_mysql_s_catalogue_is_asked_aside_where_that_would_begin_something(mysql):
    mysql.set_status(0)
    statement = resolving(mysql, "SELECT f(1)", asks(AskAllAside, lambda _: [FOUND.rows, []]))
    assert statement.kind is Kind.READ


@pytest.mark.parametrize("found", ["closed", "lost"])
def test_the_catalogue_is_asked_aside_where_the_connection_is_lost(mysql, found):
    script = [asks(AskAllAside, lambda _: [FOUND.rows, []])]
    if found == "closed":
        mysql.primary.connection.open = False
    else:
        script.insert(0, asks(Ask, lost()))
    assert resolving(mysql, "SELECT f(1)", *script).kind is Kind.READ


def test_mariadb_s_catalogue_begins_nothing(mariadb):
    mariadb.set_status(0)
    resolving(mariadb, "SELECT f(1)", asks(Ask, about(FOUND, Result())))


def test_a_catalogue_that_can_not_be_asked_leaves_the_function_unknown(mysql):
    mysql.set_status(0)
    statement = resolving(mysql, "SELECT f(1)", asks(AskAllAside, lost(2003, "no")))
    assert statement.kind is not Kind.READ
    assert statement.functions


def test_a_transaction_that_is_lost_amid_it_is_lost(mariadb):
    mariadb.open_transaction()
    with pytest.raises(Fault):
        resolving(mariadb, "SELECT f(1)", asks(Ask, lost()))


# What the application asks.


def answering(house, sql, *script):
    underway = house.underway(sql)
    answer = house.run(house.journey.asking.answering(underway), *script)
    return answer, underway


def test_what_is_about_the_primary_s_statement_is_for_the_primary(house):
    answer, underway = answering(house, "SELECT FOUND_ROWS()")
    assert answer is None
    assert underway.sql == b"SELECT FOUND_ROWS()"


def test_what_only_asks_is_for_who_ran_the_one_before(house):
    ran_on(house, house.member())
    _, underway = answering(house, "SELECT FOUND_ROWS()")
    assert underway.sql == b"SELECT FOUND_ROWS()"
    assert underway.statement.kind is Kind.FOLLOW_READ


def test_a_statement_that_asks_more_has_the_number_put_in(house):
    member = house.member()
    ran_on(house, member)
    _, underway = answering(
        house,
        "INSERT INTO n SELECT FOUND_ROWS()",
        asks(Ask, [rows("3", "-1")], member=member, statements=[COUNTS]),
    )
    assert b"0000000003+0)" in underway.sql
    assert not underway.statement.depends & {"found_rows"}
    assert underway.names


def test_a_question_that_reads_a_table_is_no_question_alone(house):
    ran_on(house, house.member())
    _, underway = answering(house, "SELECT FOUND_ROWS(), v FROM t", asks(Ask, [rows("3", "-1")]))
    assert b"0000000003+0)" in underway.sql
    assert underway.statement.kind is not Kind.FOLLOW_READ


def test_who_is_asked_in_a_snapshot_keeps_it_meanwhile(house):
    snapshot = house.snapshot()
    ran_on(house, snapshot.member)
    answering(
        house,
        "INSERT INTO n SELECT FOUND_ROWS()",
        asks(Claim, snapshot=snapshot),
        asks(Ask, [rows("3", "-1")]),
    )
    assert not snapshot.claimed


def test_what_nobody_knows_is_refused(house):
    house.session.followed.counted = None
    with pytest.raises(Fault) as caught:
        answering(house, "SELECT FOUND_ROWS()")
    assert caught.value.number == 1235
    assert "FOUND_ROWS()" in caught.value.text
    assert house.session.followed.told["row_count"] == -1


def test_a_replica_that_is_lost_has_taken_the_number_along(house):
    ran_on(house, house.member())
    with pytest.raises(Fault) as caught:
        answering(house, "INSERT INTO n SELECT FOUND_ROWS()", asks(Ask, lost()))
    assert caught.value.number == 1235


def test_a_text_in_which_not_all_questions_are_found_is_refused(house):
    ran_on(house, house.member())
    with pytest.raises(Fault) as caught:
        answering(house, "INSERT INTO n /*! SELECT FOUND_ROWS() */", asks(Ask, [rows("3", "-1")]))
    assert caught.value.number == 1235


def test_the_number_of_rows_of_what_was_not_sent_is_none(house):
    member = house.member()
    ran_on(house, member)
    house.session.followed.note_skipped(house.primary, skipped=True)
    known = house.run(
        house.journey.asking.answers(["found_rows", "row_count"]),
        asks(Ask, [rows("3", "9")], member=member),
    )
    assert (known["found_rows"], known["row_count"]) == (3, 0)


def test_a_number_and_the_warnings_of_one_member_are_not_both_to_be_had(house):
    ran_on(house, house.member())
    with pytest.raises(Fault) as caught:
        house.run(
            house.journey.asking.answers(["found_rows", "warnings"]),
            asks(Ask, [rows("3", "-1")], statements=[COUNTS]),
        )
    assert caught.value.number == 1235


def test_warnings_that_were_kept_are_shown(mariadb):
    shown = [("Warning", 1292, "no number"), ("Error", 1300, "bad")]
    mariadb.session.followed.keep_warnings(2, 1, ("columns",), shown)
    answer, _ = answering(mariadb, "SHOW WARNINGS")
    assert answer.made.rows == shown
    answer, _ = answering(mariadb, "SHOW ERRORS")
    assert answer.made.rows == shown[1:]
    answer, _ = answering(mariadb, "SHOW COUNT(*) WARNINGS")
    assert answer.made.rows == [(2,)]


# Asking the last member.


def asking_last(house, sql, *script):
    return house.run(house.journey.asking.asking_last(house.underway(sql)), *script)


def test_the_member_of_the_last_read_is_asked_itself(house):
    member = house.member()
    ran_on(house, member)
    found = asking_last(
        house,
        "SELECT FOUND_ROWS()",
        asks(FinishPrevious, member=member),
        asks(Exchange, rows("3"), member=member, sql=b"SELECT FOUND_ROWS()"),
    )
    assert found[0] is member


def test_it_is_brought_up_to_date_first(house):
    member = house.member()
    ran_on(house, member)
    house.state.set_user_variable("a", "1")
    house.state.set_schema("other")
    asking_last(
        house,
        "SELECT FOUND_ROWS()",
        asks(FinishPrevious),
        asks(Ask, [OK], member=member, statements=["SET @`a`=1"]),
        asks(ByMethod, method="select_db", arguments=("other",)),
        asks(Exchange, rows("3")),
    )
    assert member.version == house.state.version


def test_a_count_that_is_lost_with_its_member_is_refused(house):
    ran_on(house, house.member())
    with pytest.raises(Fault) as caught:
        asking_last(house, "SELECT FOUND_ROWS()", asks(FinishPrevious), asks(Exchange, lost()))
    assert caught.value.number == 1235


def test_warnings_that_are_lost_with_their_member_are_none(house):
    ran_on(house, house.member())
    reason = asking_last(house, "SHOW WARNINGS", asks(FinishPrevious), asks(Exchange, lost()))
    assert "r1 was lost" in reason


ANSWERED = (asks(FinishPrevious), asks(Exchange, rows("3")))


def failed(house, begun=False):
    """A transaction is open on the primary, as it told or not, and its last answer was an error."""
    ran_on(house, house.member())
    status = IN_TRANSACTION if begun else 0
    house.set_status(status)
    house.state.hear_status(status, told=False)
    house.state.note_open()


@pytest.mark.parametrize("told", [IN_TRANSACTION, 0])
@pytest.mark.parametrize("begun", [True, False])
def test_behind_an_error_the_primary_is_asked_whether_a_transaction_is_open(house, begun, told):
    failed(house, begun)
    question = asks(Ask, did([rows("1")], server_status=told), member=house.primary)
    asking_last(house, "SELECT FOUND_ROWS()", *ANSWERED, question)
    assert house.session.in_transaction == bool(told)
    asking_last(house, "SELECT FOUND_ROWS()", *ANSWERED)


def test_so_it_is_where_the_question_is_refused(house):
    failed(house)
    house.session.followed.counted = None
    question = asks(Ask, did([rows("1")], server_status=IN_TRANSACTION), member=house.primary)
    with pytest.raises(Fault) as caught:
        answering(house, "SELECT FOUND_ROWS()", question)
    assert caught.value.number == 1235
    assert house.primary.connection.server_status == IN_TRANSACTION


def test_a_primary_that_is_lost_meanwhile_is_found_out_by_the_next_statement_there(house):
    failed(house)
    found = asking_last(house, "SELECT FOUND_ROWS()", *ANSWERED, asks(Ask, lost()))
    assert found[0] is house.members["r1"]
    assert house.session.in_transaction


def _pending(house):
    house.session.owed.note_pending(True)


def _unsent(house):
    house.session.owed.send_first([b"BEGIN"])


def _level(house):
    house.state.next_transaction = "SET TRANSACTION READ ONLY"


def _told(house):
    house.state.hear_status(IN_TRANSACTION)


@pytest.mark.parametrize("know", [_pending, _unsent, _level, _told])
def test_it_is_not_where_it_told_or_must_not_be_asked(house, know):
    failed(house)
    know(house)
    asking_last(house, "SELECT FOUND_ROWS()", *ANSWERED)


def test_variables_that_a_replica_has_set_are_owed_to_the_primary(house):
    member = house.member()
    ran_on(house, member)
    sql = "GET DIAGNOSTICS @n = NUMBER"
    asking_last(house, sql, asks(FinishPrevious), asks(Exchange, OK))
    assert house.session.owed.foreign == [(member, frozenset({"n"}))]


def test_what_a_replica_has_set_is_brought_to_the_primary(house):
    member = house.member()
    house.session.owed.note_foreign(member, frozenset({"n"}))
    said = []

    def takes(command):
        said.extend(command.statements)
        return [OK]

    house.run(
        house.journey.asking.taking_over_all(),
        asks(Ask, [rows("3", "latin1", "latin1_swedish_ci", "33")], member=member),
        asks(Ask, takes, member=house.primary),
    )
    assert "@`n`" in said[0]
    assert not house.session.owed.foreign


def test_what_a_lost_replica_had_set_is_told_to_be_lost(house):
    house.session.owed.note_foreign(house.member(), frozenset({"n"}))
    house.run(house.journey.asking.taking_over_all(), asks(Ask, lost()))
    assert "what a statement there put into @n" in house.cluster.warned[0]


# Warnings by method.


def showing(house, *script):
    return house.run(house.journey.asking.showing_warnings(), *script)


def test_warnings_are_shown_by_who_warned(house):
    member = house.member()
    ran_on(house, member)
    found = showing(house, asks(ByMethod, did((1,)), member=member, method="show_warnings"))
    assert found == (1,)


def test_warnings_that_nobody_knows_are_refused(house):
    house.session.followed.warned = None
    with pytest.raises(Fault) as caught:
        showing(house)
    assert caught.value.number == 1235


def test_the_warnings_of_a_lost_replica_are_none(house):
    ran_on(house, house.member())
    assert showing(house, asks(ByMethod, lost())) == ()


def test_what_was_not_sent_has_warned_of_nothing(mysql):
    mysql.session.followed.note_skipped(mysql.primary, skipped=True)
    assert showing(mysql) == ()


def test_kept_warnings_are_shown_by_method_too(mariadb):
    mariadb.session.followed.keep_warnings(1, 0, (), [("Warning", 1, "a")])
    assert showing(mariadb) == (("Warning", 1, "a"),)


def test_what_is_answered_asks_no_more(house):
    found = without_questions(house.statement("SELECT FOUND_ROWS()"))
    assert found.kind is Kind.PRIMARY_READ
    assert not found.depends
