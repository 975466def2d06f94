"""A statement's journey: what comes before it, and which way it takes."""

from typing import NamedTuple

import pytest

from rwsplit._core.cause import Cause
from rwsplit._core.flows.command import (
    Acquire,
    Ask,
    Exchange,
    FinishPrevious,
    Open,
    Share,
)
from rwsplit._core.setup.options import parse_options
from rwsplit._core.sql.statement import Hint
from rwsplit._core.wire import Fault, Kind

from .harness import OK, House, Result, Sharing, about, asks, did, lost, reports, rows

READ = "SELECT v FROM t"
WRITE = "UPDATE t SET v = 1"


@pytest.fixture
def house():
    return House()


def run(house, sql, *script, **others):
    return house.run(house.journey.running(sql, **others), *script)


# Which way.


def test_a_read_runs_on_a_replica(house):
    answer = run(house, READ, asks(Open), asks(Exchange, rows("1"), sql=READ.encode()))
    assert answer.route.role == "replica"
    assert answer.route.cause is Cause.READ


def test_a_write_runs_on_the_primary(house):
    answer = run(house, WRITE, asks(Exchange, OK, member=house.primary))
    assert answer.route.role == "primary"


def test_what_asks_about_the_one_before_goes_where_that_ran(house):
    run(house, READ, asks(Open), asks(Exchange, rows("1")))
    answer = run(
        house,
        "SELECT FOUND_ROWS()",
        asks(FinishPrevious),
        asks(Exchange, rows("1"), member=lambda member: member.role == "replica"),
    )
    assert answer.route.cause is Cause.FOLLOWS


def test_in_an_open_transaction_all_runs_on_the_primary(house):
    house.open_transaction()
    answer = run(house, READ, asks(Exchange, rows("1"), member=house.primary))
    assert answer.route.cause is Cause.IN_TRANSACTION
    assert house.cluster.counts["reads in transactions on the primary"] == 1


def test_where_none_are_split_a_read_says_why():
    house = House(reads="primary")
    answer = run(house, READ, asks(Exchange, rows("1"), member=house.primary))
    assert answer.route.cause is Cause.SWITCHED_OFF
    assert house.cluster.counts[Cause.SWITCHED_OFF] == 1


def test_a_hint_beside_the_text_counts(house):
    house.session.ask(Hint(route="primary"), only_reads=False)
    answer = run(house, READ, asks(Exchange, rows("1"), member=house.primary))
    assert answer.route.cause is Cause.HINT


def test_a_hint_in_the_text_goes_before_it(house):
    house.session.ask(Hint(route="primary"), only_reads=False)
    sql = f"/* rwsplit: replica */ {READ}"
    answer = run(house, sql, asks(Open), asks(Exchange, rows("1")))
    assert answer.route.role == "replica"


def test_a_hint_of_another_proxy_means_what_the_configuration_says():
    options = {"hints": {"maxscale route to master": "primary"}}
    hints = parse_options(options, 3306, frozenset()).hints
    house = House(hints=hints)
    sql = f"/* maxscale route to master */ {READ}"
    answer = run(house, sql, asks(Exchange, rows("1"), member=house.primary))
    assert answer.route.cause is Cause.HINT


def test_a_bad_hint_is_told_of(house):
    run(house, f"/* rwsplit: sideways */ {READ}", asks(Open), asks(Exchange, rows("1")))
    assert "it is not followed" in house.cluster.warned[0]


def test_what_is_not_understood_is_counted_and_runs_on_the_primary(house):
    run(house, "FROBNICATE t", asks(Exchange, member=house.primary))
    assert house.cluster.counts["unknown statements"] == 1


@pytest.mark.parametrize("sql", [WRITE, "CALL p()", "FROBNICATE t"])
def test_what_may_write_is_refused_where_only_reads_are_wanted(house, sql):
    house.session.ask(None, only_reads=True)
    with pytest.raises(Fault) as caught:
        run(house, sql)
    assert caught.value.number == 1792


def test_text_goes_out_in_the_connection_s_encoding(house):
    house.primary.connection.encoding = "latin-1"
    run(house, "UPDATE t SET v = 'é'", asks(Exchange, sql="UPDATE t SET v = 'é'".encode("latin-1")))


def test_a_bytearray_is_a_text_too(house):
    run(house, bytearray(WRITE.encode()), asks(Exchange, sql=WRITE.encode()))


# What comes before.


def test_what_is_pending_is_read_first(house):
    house.session.owed.note_pending(True)
    house.state.see(house.at(1))
    run(
        house,
        WRITE,
        asks(FinishPrevious, member=house.primary),
        asks(Exchange, member=house.primary),
    )


def test_a_connection_that_was_closed_can_not_run_a_statement(house):
    house.primary.connection.open = False
    house.primary.connection.is_closed = True
    with pytest.raises(Fault) as caught:
        run(house, READ)
    assert caught.value.number == 0


def test_the_block_is_looked_at(house):
    class Block(NamedTuple):
        session_id: str = "a"
        scope: object = None
        choice: object = None

    house.context = Block()
    sharing = Sharing()
    run(
        house,
        "SET @a = 1",
        asks(Share, sharing, key="provided:a"),
        asks(Exchange, member=house.primary),
    )


def test_what_texts_are_read_by_is_known_before_the_next_is_read(house):
    house.state.doubt_variable("sql_mode")
    tail = reports(variables={"sql_mode": "ANSI_QUOTES"})
    run(
        house,
        'SELECT "v" FROM t',
        asks(Ask, did([OK], tails=[tail]), statements=lambda said: said[0].startswith("SET SESS")),
        asks(Open),
        asks(Exchange, rows("1")),
    )


def test_what_asks_for_warnings_is_read_alike_in_any_mode(house):
    house.state.doubt_variable("sql_mode")
    run(house, "SHOW WARNINGS", asks(Exchange, member=house.primary))
    assert "sql_mode" in house.state.unread


def test_what_is_in_doubt_is_asked_before_the_next_statement(house):
    house.state.doubt_variable("time_zone")
    run(
        house,
        WRITE,
        asks(Ask, about(rows("UTC"), OK), member=house.primary),
        asks(Exchange, member=house.primary),
    )


def test_a_lost_transaction_is_told_of_by_each_statement(house):
    house.session.transaction.lose("db (2013, gone)")
    with pytest.raises(Fault, match="roll it back") as caught:
        run(house, READ)
    assert caught.value.kind is Kind.LOST


# A prepared statement.


def test_a_prepared_read_is_executed_on_a_replica_that_has_it_prepared_first(house):
    prepare = "PREPARE p FROM 'SELECT v FROM t'"
    run(house, prepare, asks(Exchange, member=house.primary))
    answer = run(
        house,
        "EXECUTE p",
        asks(Open),
        asks(Exchange, rows("1"), before=[prepare.encode()], sql=b"EXECUTE p"),
    )
    assert answer.route.role == "replica"
    member = next(iter(house.members.values()))
    house.replica("r2" if member.name == "r1" else "r1").unfit = "not in this test"
    run(house, "EXECUTE p", asks(Exchange, rows("1"), before=[]))


# A session id in a USE.


def test_a_session_id_behind_a_schema_s_name_is_taken(house):
    sharing = Sharing()
    run(
        house,
        "USE `other?sessionId=a`",
        asks(Share, sharing, key="provided:a"),
        asks(Exchange, sql=b"USE `other`"),
    )
    assert house.identity.shared_id == "a"


def test_a_bad_session_id_is_an_error(house):
    with pytest.raises(Fault) as caught:
        run(house, "USE `other?sessionId=`")
    assert caught.value.kind is Kind.WRONG


# Rules.


class Rule(NamedTuple):
    name: str = "few"
    action: object = None


class Matched(NamedTuple):
    rule: Rule
    rewritten: str | None = None
    sends: bool = False

    def applied(self, statement, decision):
        return decision


class Turns:
    """Turns among the statements of a rule."""

    released = 0

    def release(self):
        self.released += 1


@pytest.fixture
def limited(house, monkeypatch):
    from rwsplit._core.flows import ruling
    from rwsplit._core.setup.rules import Limit

    limit = Limit(running=1, wait=0.5)
    house.cluster.rules = ("a rule",)
    house.cluster.limits = {"few": Turns()}
    monkeypatch.setattr(ruling, "matched", lambda session, sql: Matched(Rule(action=limit)))
    return house


def test_a_statement_takes_its_turn(limited):
    turns = limited.cluster.limits["few"]
    run(
        limited,
        WRITE,
        asks(Acquire, True, turns=turns, seconds=0.5),
        asks(Exchange, member=limited.primary),
    )
    assert turns.released == 1


def test_a_turn_is_given_back_when_the_statement_fails(limited):
    with pytest.raises(Fault):
        run(limited, WRITE, asks(Acquire, True), asks(Exchange, lost()))
    assert limited.cluster.limits["few"].released == 1


def test_who_does_not_get_a_turn_in_time_is_refused(limited):
    with pytest.raises(Fault) as caught:
        run(limited, WRITE, asks(Acquire, False))
    assert caught.value.number == 1226
    assert limited.cluster.limits["few"].released == 0


# Going on from a straight road.


def test_a_free_read_that_failed_goes_on_elsewhere(house):
    member = house.member("r1", at=1)
    underway = house.underway(READ)
    flow = house.journey.reading_on(underway, (member, lost()), house.clock())
    answer = house.run(flow, asks(Open), asks(Exchange, rows("1")))
    assert answer.route.retries == 1
    assert house.members.lost == ["r1"]


def test_a_read_that_is_refused_as_a_write_is_none_from_now_on(house):
    member = house.member("r1", at=1)
    sql = "SELECT refused FROM t"
    underway = house.underway(sql)
    refused = Fault(1792, "Cannot execute statement in a READ ONLY transaction.", Kind.READ_ONLY)
    flow = house.journey.reading_on(underway, (member, refused), 0.0)
    answer = house.run(flow, asks(Exchange, rows("1"), member=house.primary))
    assert answer.route.cause is Cause.REFUSED
    assert house.cluster.counts["refused reads"] == 1
    assert house.statement(sql).kind.value == "write"
    assert "please report it" in house.cluster.reported[0]


def test_a_made_up_name_of_a_column_goes_with_the_answer(house):
    member = house.member("r1", at=1)
    house.session.followed.note_result(member, house.statement(READ), True, 0)
    answer = run(
        house,
        "SELECT FOUND_ROWS(), v FROM t FOR UPDATE",
        asks(Ask, [rows("3", "-1")], member=member),
        asks(Exchange, Result([("3", "1")]), member=house.primary),
    )
    assert answer.names
