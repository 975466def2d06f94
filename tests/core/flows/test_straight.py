"""The straight roads: which statements take them, and what they leave behind."""

import pytest

from rwsplit._core.cause import Cause
from rwsplit._core.cluster.place import Place
from rwsplit._core.flows.answer import Answer, Underway
from rwsplit._core.flows.choosing import QUICKER
from rwsplit._core.flows.command import Ask, AskAside, Claim, Exchange, Look, Mark, Open, Publish
from rwsplit._core.flows.reading import Unserved
from rwsplit._core.session.state import AUTOCOMMIT, IN_TRANSACTION
from rwsplit._core.sql.statement import Hint
from rwsplit._core.tracking import SESSION_STATE_CHANGED, Changes
from rwsplit._core.wire import Fault, Kind

from .harness import OK, UUID, House, Result, Stored, about, asks, fails, lost, reports, rows

PLACE = Place("mysql")

READ = "SELECT v FROM t"
WRITE = "UPDATE t SET v = 1"


@pytest.fixture
def house():
    found = House(replicas=("r1",))
    found.member("r1", at=5)
    return found


def reader(house, sql=READ):
    return house.straight.reader(house.statement(sql))


# A read that goes on where the last one ran.


def reads_on(house, sql=READ):
    return house.straight.on_primary(house.underway(sql))


def late_reader():
    """A session that has just written and read on the primary, as replicas are late."""
    house = House(replicas=("r1",))
    house.member("r1", at=1)
    house.replica().lag.waited(0.0, 0.02, house.clock())
    house.state.has_committed(f"{UUID}:1-5")
    house.session.seen.read_on_primary(house.clock())
    return house


def test_a_read_runs_on_the_primary_straight_where_that_is_quicker():
    assert reads_on(late_reader()) is QUICKER


LESS_SURE = {
    "it is long ago": lambda house: setattr(house.clock, "now", house.clock.now + 1),
    "a position that is not known": lambda house: house.state.lose_position(),
    "another's doubt": lambda house: house.cluster.process.doubt(unsure=False),
    "a doubt": lambda house: house.state.doubt_variable("time_zone"),
    "no autocommit": lambda house: house.set_status(0),
    "a level of its own": lambda house: (
        house.terms.say("global"),
        house.session.look_at_terms(),
    ),
    "a session id": lambda house: house.share(),
    "what was asked for": lambda house: house.state.ask_for(house.at(9)),
    "a snapshot that ends": lambda house: setattr(
        house.journey.reads, "unsettled", house.members["r1"]
    ),
    "a primary that was left": lambda house: setattr(house.hold, "generation", 7),
    "who does not wait": lambda house: setattr(house.chooser, "_waits", False),
}


@pytest.mark.parametrize("why", LESS_SURE)
def test_it_makes_the_journey_with(why):
    house = late_reader()
    LESS_SURE[why](house)
    assert reads_on(house) is None


# A free read.


def test_a_free_read_goes_straight_to_a_member(house):
    assert reader(house) is house.members["r1"]


NOT_FREE = {
    "a transaction": lambda house: house.open_transaction(),
    "no autocommit": lambda house: house.set_status(0),
    "a BEGIN that was not sent": lambda house: house.session.transaction.begun(
        house.statement("BEGIN"), b"BEGIN", house.state
    ),
    "a transaction that was lost": lambda house: house.session.transaction.lose("db"),
    "a position to see": lambda house: house.state.see(house.at(9)),
    "a position that is not known": lambda house: house.state.lose_position(),
    "a pin": lambda house: house.state.bind("user", "a user lock is held"),
    "a foreign variable": lambda house: house.session.owed.note_foreign(None, frozenset("a")),
    "a session id": lambda house: house.share(),
    "news": lambda house: house.cluster.process.note(f"{UUID}:1-9"),
    "a read on the primary": lambda house: house.session.seen.read_on_primary(),
    "a doubt": lambda house: house.state.doubt_variable("time_zone"),
    "a level for the next transaction": lambda house: setattr(
        house.state, "next_transaction", "SET TRANSACTION READ ONLY"
    ),
    "what was told": lambda house: house.session.followed.note_told(found_rows=1),
    "a member that is behind the session's state": lambda house: house.state.set_user_variable(
        "a", "1"
    ),
    "a snapshot that ends": lambda house: setattr(
        house.journey.reads, "unsettled", house.members["r1"]
    ),
    "no member": lambda house: house.members.clear(),
    "a replica that is unfit": lambda house: setattr(house.replica(), "unfit", "no"),
    "a replica left aside": lambda house: house.chooser.aside.update(r1=1e9),
}


@pytest.mark.parametrize("why", NOT_FREE)
def test_a_read_is_not_free_with(house, why):
    NOT_FREE[why](house)
    assert reader(house) is None


def test_where_no_read_must_see_anything_a_position_does_not_count(house):
    house.terms.say("eventual")
    house.session.look_at_terms()
    house.state.see(house.at(9))
    assert reader(house) is not None


def test_a_turn_that_could_not_be_used_is_kept(house):
    house.members.clear()
    reader(house)
    assert house.chooser.turn == 0


def test_a_free_read_stays_where_only_its_replica_is_known_to_have_what_was_seen():
    house = House()
    house.member("r1", at=5)
    house.member("r2", at=5)
    house.session.seen.saw("r2", PLACE, b"", house.clock(), house.members["r2"])
    assert {reader(house).name for _ in range(4)} == {"r2"}
    # What uses no table shows nothing.
    assert {reader(house, "SELECT 1").name for _ in range(4)} == {"r1", "r2"}


def test_a_free_read_does_not_stay_behind_a_new_connection():
    house = House()
    house.member("r1", at=5)
    house.session.seen.saw("r2", PLACE, b"", house.clock(), house.member("r2", at=5))
    assert reader(house) is house.members["r2"]
    house.member("r2")
    assert reader(house) is None


def test_a_free_read_goes_where_the_last_one_s_tail_was_told():
    house = House()
    house.member("r1", at=5)
    house.member("r2", at=5)
    house.session.seen.saw("r2", PLACE, b"tail", house.clock(), house.members["r2"])
    found = {reader(house) for _ in range(4)}
    assert found == {None, house.members["r2"]}
    house.replica("r1").tail = b"tail"
    assert {reader(house).name for _ in range(4)} == {"r1", "r2"}


# What a free read leaves.


def test_what_a_free_read_told_is_what_the_next_must_see(house):
    member = house.members["r1"]
    member.connection.result = rows("1")
    tail = reports(gtids=f"{UUID}:1-6")
    member.connection.tails.append(tail)
    route = house.straight.read(
        member, house.statement(READ), READ.encode(), member.connection.result, 0.0
    )
    assert route.endpoint == "r1"
    assert house.session.seen.at == "r1"
    assert member.connection.tails == []
    assert house.replica().position == house.at(6)
    assert house.session.followed.last is member


def test_what_an_earlier_stream_told_is_not_what_the_next_one_shows(house):
    member = house.members["r1"]
    member.connection.result = rows("1")
    member.connection.result.unbuffered_active = True
    house.clock.now += 1.0
    told = reports(gtids=f"{UUID}:1-6")
    for _ in range(2):
        member.connection.tails.append(told)
        house.straight.read(
            member, house.statement(READ), READ.encode(), member.connection.result, house.clock()
        )
        assert house.session.seen.is_untold
        assert not house.session.seen.was_told(*house.replica().news)
        house.clock.now += 1.0


def test_a_free_read_that_changed_its_session_is_none(house):
    member = house.members["r1"]
    member.connection.result = Result([("1",)], server_status=SESSION_STATE_CHANGED)
    member.connection.tails.append(reports(changed=True))
    fault = house.straight.read(
        member, house.statement(READ), READ.encode(), member.connection.result, 0.0
    )
    assert isinstance(fault, Fault)
    assert fault.number == 1792
    assert house.members.lost == ["r1"]


def test_a_free_read_that_was_lost_goes_on(house):
    flow = house.straight.reading_on(house.underway(READ), (house.members["r1"], lost()), 0.0)
    answer = house.run(flow, asks(Open), asks(Exchange, rows("1")))
    assert isinstance(answer, Answer)


# With the member that it needs.


def test_a_free_read_opens_its_member(house):
    house.members.clear()
    assert reader(house) is None
    assert house.straight.unopened(READ.encode()) is house.replica("r1")
    assert house.straight.unopened(READ.encode()) is None


def test_it_opens_none_for_what_another_session_may_read_otherwise(house):
    house.members.clear()
    assert reader(house, "SELECT 'é'") is None
    assert house.straight.unopened("SELECT 'é'".encode()) is None
    assert house.straight.unopened(READ.encode()) is None


@pytest.mark.parametrize("why", [each for each in NOT_FREE if "member" not in each])
def test_a_read_that_is_not_free_opens_none(house, why):
    NOT_FREE[why](house)
    house.members.clear()
    assert reader(house) is None
    assert house.straight.unopened(READ.encode()) is None


def test_where_reads_have_seen_something_the_journey_opens_the_next_member(house):
    house.session.seen.saw("r1", PLACE, b"", house.clock(), house.members["r1"])
    house.members.clear()
    assert reader(house) is None
    assert house.straight.unopened(READ.encode()) is None


def test_a_stale_wire_is_no_loss_of_a_free_read(house):
    stale = Fault(2013, "Lost connection", Kind.STALE)
    flow = house.straight.reading_on(house.underway(READ), (house.members["r1"], stale), 0.0)
    answer = house.run(flow, asks(Open), asks(Exchange, rows("1")))
    assert answer.route.retries == 0


# Before any.


CLOSED = {
    "rules": lambda house: setattr(house.cluster, "rules", ("a rule",)),
    "pending results": lambda house: house.session.owed.note_pending(True),
    "another block": lambda house: setattr(house, "context", object()),
    "a doubt": lambda house: house.state.doubt_variable("time_zone"),
    "a hint beside the text": lambda house: house.session.ask(Hint(route="primary"), False),
    "only reads": lambda house: house.session.ask(None, True),
    "no connection": lambda house: setattr(house.primary.connection, "open", False),
}


@pytest.mark.parametrize("why", CLOSED)
def test_the_roads_are_closed_with(house, why):
    assert house.straight.statement(READ, None) is not None
    CLOSED[why](house)
    house.session.stir()
    assert house.straight.statement(READ, None) is None


# On the primary.


def on_primary(house, sql=WRITE, unbuffered=False):
    return house.straight.on_primary(Underway(house.statement(sql), sql.encode(), unbuffered))


def test_a_write_goes_straight_to_the_primary(house):
    assert on_primary(house).cause is Cause.WRITE


def test_in_an_open_transaction_a_read_does_too(house):
    house.open_transaction()
    assert on_primary(house, READ).cause is Cause.IN_TRANSACTION
    assert house.cluster.counts["reads in transactions on the primary"] == 1


NOT_STRAIGHT = {
    "a BEGIN that was not sent": lambda house: house.session.transaction.begun(
        house.statement("BEGIN"), b"BEGIN", house.state
    ),
    "a transaction that was lost": lambda house: house.session.transaction.lose("db"),
    "no autocommit": lambda house: house.set_status(0),
    "what was not sent": lambda house: house.session.owed.send_first([b"BEGIN"]),
    "pending results": lambda house: house.session.owed.note_pending(True),
    "a foreign variable": lambda house: house.session.owed.note_foreign(None, frozenset("a")),
    "the application's tracking": lambda house: house.session.owed.show_tracking(True),
    "a session id": lambda house: house.share(),
    "what was skipped": lambda house: house.session.followed.note_skipped(house.primary, True),
    "a doubt": lambda house: house.state.doubt_variable("time_zone"),
    "another primary": lambda house: house.fail_over(),
    "a connection that has ended": lambda house: setattr(house.primary.connection, "ended", True),
}


@pytest.mark.parametrize("why", NOT_STRAIGHT)
def test_a_write_is_not_straight_with(house, why):
    NOT_STRAIGHT[why](house)
    assert on_primary(house) is None
    assert not house.straight.writes(house.statement(WRITE))


# A write that changes rows alone.


def test_a_write_that_changes_rows_alone_is_steady_until_something_else_runs(house):
    assert house.straight.writes(house.statement(WRITE))
    assert house.session.steady
    assert reader(house) is not None
    assert house.session.steady
    house.session.stir()
    assert not house.session.steady


def test_a_write_of_an_open_transaction_is_noted(house):
    house.open_transaction()
    assert house.straight.writes(house.statement(WRITE))
    assert house.session.transaction.wrote


def test_what_was_asked_for_beside_the_text_is_not_passed_by(house):
    house.straight.writes(house.statement(WRITE))
    house.session.ask(None, True)
    assert house.straight.statement(WRITE, None) is None


def remembered(house):
    """All that a session's parts remember that a write may change."""
    session = house.session
    parts = session.state, session.followed, session.transaction, session.owed, session.seen
    return {
        (type(part).__name__, name): getattr(part, name)
        for part in parts
        for name in type(part).__slots__
        if name not in ("traits", "_commits", "_bodies")
    } | {"position": session.state.position, "published": getattr(house, "told", None)}


def tails_of(flavor):
    told = {"gtids": f"{UUID}:7"} if flavor == "mysql" else {"variables": {"last_gtid": "0-1-7"}}
    return {
        "a GTID": reports(**told),
        "a transaction": reports(transaction="T___W___"),
        "a beginning": reports(transaction="T___W___", characteristics="START TRANSACTION;"),
        "an end": reports(**told, transaction="________", characteristics=""),
    }


TAILS = tails_of("mysql")
WRITES = (WRITE, "INSERT INTO t VALUES (1)", "INSERT INTO t SELECT 1", "DELETE FROM t, u USING t")


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
@pytest.mark.parametrize("sql", WRITES)
@pytest.mark.parametrize("tail", ["nothing", *TAILS])
@pytest.mark.parametrize("in_open", [False, True], ids=["alone", "in a transaction"])
@pytest.mark.parametrize("rows", [0, 1])
def test_a_usual_write_leaves_what_any_other_does(flavor, sql, tail, in_open, rows):
    """The short way and the long way."""
    found = []
    for short in (True, False):
        house = House(flavor, replicas=("r1",))
        connection, statement = house.primary.connection, house.statement(sql)
        if in_open:
            house.open_transaction()
        connection.server_status = house.state.status
        house.session.followed.counted = None
        assert statement.usual
        assert house.straight.writes(statement)
        connection.result = Result(warning_count=1, affected_rows=rows)
        connection.tails += [tails_of(flavor)[tail]] if tail != "nothing" else []
        if short:
            route = house.straight.wrote(statement, connection.result, house.state.status)
            if route is None:
                told = tail in ("a GTID", "an end")
                assert (tail, in_open) == ("a beginning", False) or not (told or (in_open and rows))
                return
        else:
            status = house.state.status
            route = house.straight.ran(statement, sql.encode(), statement.reason, status).route
        assert not connection.tails
        found.append((route, {k: repr(v) for k, v in remembered(house).items()}))
    assert found[0] == found[1]


MORE_THAN_ROWS = {
    "something else changed": lambda house: house.primary.connection.tails.append(
        reports(changed=True)
    ),
    "several answers": lambda house: house.primary.connection.tails.extend([TAILS["a GTID"]] * 2),
    "a transaction was opened": lambda house: setattr(
        house.primary.connection, "server_status", AUTOCOMMIT | IN_TRANSACTION
    ),
    "rows": lambda house: setattr(house.primary.connection, "result", rows("1")),
    "more results": lambda house: setattr(
        house.primary.connection, "result", Result(has_next=True)
    ),
    "nobody told": lambda house: setattr(house.primary.connection, "is_untold", True),
    "nothing was committed": lambda house: None,
    "no row was found": lambda house: house.open_transaction(),
    "what to publish is to be asked": lambda house: (
        house.share(is_local=True),
        house.state.lose_position(),
    ),
}


@pytest.mark.parametrize("why", MORE_THAN_ROWS)
def test_a_write_is_not_a_usual_one_where(house, why):
    house.primary.connection.result = OK
    MORE_THAN_ROWS[why](house)
    tails = [*house.primary.connection.tails]
    result, status = house.primary.connection.result, house.state.status
    assert house.straight.wrote(house.statement(WRITE), result, status) is None
    assert house.primary.connection.tails == tails


# The beginning of a transaction, and its first write.


def begins(house, sql="BEGIN"):
    return house.straight.begins(house.statement(sql), sql.encode(), quiet=True)


def test_a_begin_goes_with_the_first_write(house):
    assert begins(house).route.role == "none"
    assert house.session.transaction.begin == b"BEGIN"
    assert house.straight.opens(house.statement(WRITE)) == [b"BEGIN"]
    assert house.session.owed.unsent == [b"BEGIN"]
    assert not house.session.transaction.is_open
    connection = house.primary.connection
    connection.server_status = AUTOCOMMIT | IN_TRANSACTION
    connection.tails += [TAILS["a beginning"], TAILS["a transaction"]]
    changed = Result(affected_rows=1)
    assert house.straight.wrote(house.statement(WRITE), changed, AUTOCOMMIT | IN_TRANSACTION)
    assert not house.session.owed.unsent
    assert not house.session.followed.skipped
    assert house.session.in_transaction


NOT_BEGUN = {
    "a transaction": lambda house: house.open_transaction(),
    "a snapshot": lambda house: house.snapshot(),
    "what was not sent": lambda house: house.session.owed.send_first([b"SAVEPOINT a"]),
    "a foreign variable": lambda house: house.session.owed.note_foreign(None, frozenset("a")),
    "a doubt": lambda house: house.state.doubt_variable("time_zone"),
    "pending results": lambda house: house.session.owed.note_pending(True),
    "a transaction that was lost": lambda house: house.session.transaction.lose("db"),
    "a pin": lambda house: house.state.bind("user", "a user lock is held"),
    "what the primary may hold": lambda house: house.session.transaction.note_touched(),
    "another block": lambda house: setattr(house, "context", object()),
}


@pytest.mark.parametrize("why", NOT_BEGUN)
def test_a_transaction_does_not_begin_straight_with(house, why):
    NOT_BEGUN[why](house)
    assert begins(house) is None


@pytest.mark.parametrize(
    "sql", ["START TRANSACTION WITH CONSISTENT SNAPSHOT", "COMMIT", "XA END 'a'"]
)
def test_what_does_more_than_to_begin_does_not_go_straight(house, sql):
    assert begins(house, sql) is None


NOT_OPENED = {
    "no BEGIN": lambda house: house.session.transaction.clear(),
    "a BEGIN that is READ ONLY": lambda house: begins(house, "START TRANSACTION READ ONLY"),
    "a savepoint": lambda house: house.session.transaction.keep(
        house.statement("SAVEPOINT a"), b"SAVEPOINT a"
    ),
    "a snapshot": lambda house: house.snapshot(),
    "a level for the next transaction": lambda house: setattr(
        house.state, "next_transaction", "SET TRANSACTION READ ONLY"
    ),
    "only reads": lambda house: house.session.ask(None, True),
} | {
    why: NOT_STRAIGHT[why]
    for why in (
        *("a transaction that was lost", "pending results", "a foreign variable"),
        *("the application's tracking", "a session id", "a doubt", "another primary"),
        "a connection that has ended",
    )
}


@pytest.mark.parametrize("why", NOT_OPENED)
def test_a_first_write_does_not_go_straight_with(house, why):
    begins(house)
    NOT_OPENED[why](house)
    assert house.straight.opens(house.statement(WRITE)) is None


def test_a_first_write_that_failed_goes_on_as_any_other(house):
    begins(house)
    house.straight.opens(house.statement(WRITE))
    flow = house.straight.failing(house.underway(WRITE), house.statement(WRITE).reason, lost())
    with pytest.raises(Fault, match="rolled back"):
        house.run(flow)
    assert house.session.transaction.lost


# The first read of a transaction that usually writes.


def begins_on_primary(house, sql=READ):
    return house.straight.begins_on_primary(house.underway(sql))


@pytest.fixture
def writing(house):
    """Autocommit is off, and what begins with this read usually writes."""
    house.set_status(0)
    digest = house.session.language.classifier.digest(READ)
    for _ in range(5):
        house.cluster.habits.note(digest, True)
    return house


def test_a_transaction_that_usually_writes_begins_straight_on_the_primary(writing):
    assert begins_on_primary(writing).cause is Cause.HABIT
    assert writing.cluster.counts["reads in transactions on the primary"] == 1


def test_a_transaction_that_usually_reads_does_not(house):
    house.set_status(0)
    assert begins_on_primary(house) is None


NOT_BEGUN_THERE = {
    "autocommit": lambda house: house.set_status(AUTOCOMMIT),
    "a transaction": lambda house: house.open_transaction(),
    "a snapshot": lambda house: house.snapshot(),
    "a BEGIN that was not sent": lambda house: begins(house, "START TRANSACTION READ ONLY"),
    "a level that repeats nothing": lambda house: house.state.learn(
        Changes(characteristics="SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;")
    ),
    "a savepoint": lambda house: house.session.transaction.note_savepoint(),
    "a share of the primary": lambda house: house.session.terms.share(0.5),
    "a session id": lambda house: house.share(is_local=True),
} | {
    why: NOT_STRAIGHT[why]
    for why in (
        *("a transaction that was lost", "pending results", "a foreign variable", "a doubt"),
        *("the application's tracking", "another primary", "a connection that has ended"),
    )
}


@pytest.mark.parametrize("why", NOT_BEGUN_THERE)
def test_it_does_not_begin_straight_with(writing, why):
    NOT_BEGUN_THERE[why](writing)
    assert begins_on_primary(writing) is None


def test_a_usual_write_under_an_id_that_is_kept_here_is_told_at_once(house):
    sharing = house.share(is_local=True)
    house.primary.connection.tails.append(reports(gtids=f"{UUID}:1-7"))
    assert house.straight.writes(house.statement(WRITE))
    assert house.straight.wrote(house.statement(WRITE), OK, house.state.status) is not None
    assert sharing.published == [house.at(7)]
    assert not house.state.written


# On the primary, whatever it is.


@pytest.mark.parametrize(
    "sql",
    [
        "COMMIT",
        "SET @a = 1",
        "UPDATE t SET v = f(1)",
        "/* rwsplit: primary */ UPDATE t SET v = 1",
        "INSERT INTO t SELECT FOUND_ROWS()",
        "LOCK TABLES t READ",
        "KILL 7",
        "UPDATE t SET v = 1; UPDATE t SET v = 2",
    ],
)
def test_a_statement_with_more_to_it_is_not_straight(house, sql):
    assert on_primary(house, sql) is None


def test_a_read_without_a_transaction_is_not_for_the_primary(house):
    assert on_primary(house, READ) is None


def test_what_a_write_has_told_is_learned(house):
    connection = house.primary.connection
    connection.result = OK
    connection.tails.append(reports(gtids=f"{UUID}:1-7"))
    statement = house.statement(WRITE)
    answer = house.straight.ran(statement, WRITE.encode(), statement.reason, AUTOCOMMIT)
    assert answer.result is OK
    assert house.state.position == house.at(7)
    assert house.straight.settling(answer) is None


def test_what_a_write_leaves_in_doubt_is_asked(house):
    connection = house.primary.connection
    connection.result = OK
    connection.tails.append(reports(changed=True))
    statement = house.statement(WRITE)
    answer = house.straight.ran(statement, WRITE.encode(), statement.reason, AUTOCOMMIT)
    made = rows("Com_create_table", "0")
    role = rows("NONE")
    house.run(house.straight.settling(answer), asks(Ask, about(role, made, OK)))
    assert not house.state.is_unsettled


def test_a_write_that_failed_goes_on_as_any_other(house):
    underway = house.underway("SELECT v FROM t FOR UPDATE")
    flow = house.straight.failing(underway, underway.statement.reason, fails())
    with pytest.raises(Fault) as caught:
        house.run(flow)
    assert caught.value.number == 1146


# Under a session id that is kept in this process.


def test_a_read_under_an_id_that_is_kept_here_is_free_until_something_is_told(house):
    sharing = house.share(is_local=True)
    assert reader(house) is house.members["r1"]
    sharing.latest = house.at(5)
    assert reader(house) is None
    house.identity.hear(sharing.latest)
    assert reader(house) is house.members["r1"]


def test_a_read_looks_at_what_is_kept_here_once(house):
    sharing = house.share(is_local=True)
    sharing.latest = house.at(5)
    decision = house.session.route(house.statement(READ))
    stored = asks(Look, Stored(house.at(5)))
    house.run(house.journey.publishing.looking_at_store(decision), stored)
    assert reader(house) is house.members["r1"]


def test_what_can_not_be_known_of_a_store_here_is_looked_at_again(house):
    sharing = house.share(is_local=True)
    sharing.latest = house.at(5)
    decision = house.session.route(house.statement(READ))
    unknown = asks(Look, "of another flavor")
    house.run(house.journey.publishing.looking_at_store(decision), unknown)
    assert reader(house) is None


def test_a_read_that_must_not_see_a_write_under_an_id_does_not_look(house):
    sharing = house.share(is_local=True)
    sharing.latest = house.at(5)
    house.terms.say("eventual")
    house.session.look_at_terms()
    assert reader(house) is house.members["r1"]


def test_a_read_is_not_free_while_a_write_is_marked(house):
    house.share(is_local=True).is_open = True
    assert reader(house) is None


def test_a_write_under_an_id_that_is_kept_here_is_told_at_once(house):
    sharing = house.share(is_local=True)
    assert on_primary(house).cause is Cause.WRITE
    answer = wrote(house, reports(gtids=f"{UUID}:1-7"))
    assert house.straight.settling(answer) is None
    assert sharing.published == [house.at(7)]
    assert not house.state.written


def test_what_is_not_committed_yet_is_not_told(house):
    sharing = house.share(is_local=True)
    house.open_transaction()
    assert on_primary(house).cause is Cause.WRITE
    house.state.lose_position()
    answer = wrote(house)
    assert house.straight.settling(answer) is None
    assert not sharing.published


def test_what_was_committed_is_asked_where_it_was_not_told(house):
    sharing = house.share(is_local=True)
    house.state.lose_position()
    answer = wrote(house, reports(changed=True))
    made = rows("Com_create_table", "0")
    house.run(
        house.straight.settling(answer),
        asks(Mark, None),
        asks(AskAside, house.at(8)),
        asks(Publish, True),
        asks(Ask, about(rows("NONE"), made, OK)),
    )
    assert sharing.published == [house.at(8)]
    assert not house.state.is_unsettled


def test_a_stream_under_an_id_is_marked(house):
    house.share(is_local=True)
    assert on_primary(house, unbuffered=True) is None


def test_a_write_under_an_id_that_has_failed_is_marked_all_the_same(house):
    sharing = house.share(is_local=True)
    underway = house.underway(WRITE)
    flow = house.straight.failing(underway, underway.statement.reason, lost())
    with pytest.raises(Fault):
        house.run(flow, asks(Mark, None))
    assert sharing.is_open


# The end of a transaction, by method.


NOT_ENDED_STRAIGHT = {
    "no transaction": lambda house: house.set_status(AUTOCOMMIT),
    "a snapshot": lambda house: house.snapshot(),
    "a store that is asked": lambda house: house.share(),
    "a write that is marked": lambda house: setattr(house.share(is_local=True), "is_open", True),
    "what was not sent": lambda house: house.session.owed.send_first([b"BEGIN"]),
    "pending results": lambda house: house.session.owed.note_pending(True),
    "a doubt": lambda house: house.state.doubt_variable("time_zone"),
    "a transaction that was lost": lambda house: house.session.transaction.lose("db"),
    "a position to be asked": lambda house: (
        house.session.seen.read_on_primary(),
        setattr(house.session.seen, "asked_late", True),
    ),
    "another primary": lambda house: house.fail_over(),
}


@pytest.mark.parametrize("why", NOT_ENDED_STRAIGHT)
def test_a_transaction_does_not_end_straight_with(house, why):
    house.open_transaction()
    assert house.straight.ends()
    NOT_ENDED_STRAIGHT[why](house)
    assert not house.straight.ends()


def test_what_ends_straight_is_told_and_asked_as_any_other(house):
    sharing = house.share(is_local=True)
    house.open_transaction()
    connection = house.primary.connection
    connection.server_status = AUTOCOMMIT
    connection.tails.append(reports(gtids=f"{UUID}:1-7"))
    answer = house.straight.ended("COMMIT")
    assert answer.route.reason.cause is Cause.TRANSACTION
    assert house.straight.settling_end() is None
    assert not house.session.in_transaction
    assert sharing.published == [house.at(7)]


def test_a_commit_that_was_lost_may_have_happened(house):
    house.share(is_local=True)
    house.open_transaction()
    flow = house.straight.not_ended("COMMIT", lost(), house.state.status)
    with pytest.raises(Fault, match="is not known"):
        house.run(flow, asks(Mark, None))
    assert not house.state.position_known


# The end of a transaction that has only read.


@pytest.fixture
def reading(house):
    house.set_status(0)
    house.snapshot()
    return house


def test_a_transaction_that_has_only_read_ends_straight(reading):
    snapshot = reading.session.snapshot
    assert reading.straight.leaves("COMMIT") is snapshot
    assert reading.session.snapshot is None
    answer = reading.straight.left("COMMIT", snapshot.member, lost=False, posted_at=reading.clock())
    assert answer.route.role == "none"
    assert reading.journey.reads.unsettled is snapshot.member
    assert not reading.session.transaction.is_open


def test_a_member_that_is_lost_with_its_end_is_dropped(reading):
    snapshot = reading.straight.leaves("ROLLBACK")
    reading.straight.left("ROLLBACK", snapshot.member, lost=True, posted_at=reading.clock())
    assert reading.members.lost == ["r1"]
    assert reading.journey.reads.unsettled is None


def test_what_was_ended_for_being_idle_owes_nothing(reading):
    reading.straight.leaves("COMMIT")
    reading.straight.left("COMMIT", None, lost=False, posted_at=reading.clock())
    assert reading.journey.reads.unsettled is None


NOT_LEFT = {
    "no snapshot": lambda house: house.session.take_snapshot(),
    "a transaction on the primary": lambda house: house.open_transaction(),
    "what the primary may hold": lambda house: house.session.transaction.note_touched(),
    "a doubt": lambda house: house.state.doubt_variable("time_zone"),
    "pending results": lambda house: house.session.owed.note_pending(True),
    "a transaction that was lost": lambda house: house.session.transaction.lose("db"),
    "another block": lambda house: setattr(house, "context", object()),
    "a member that is gone": lambda house: house.members.clear(),
    "a snapshot that is just being ended": lambda house: setattr(
        house.session.snapshot, "claim", lambda waits: False
    ),
}


@pytest.mark.parametrize("why", NOT_LEFT)
def test_it_does_not_end_straight_with(reading, why):
    NOT_LEFT[why](reading)
    assert reading.straight.leaves("COMMIT") is None


def wrote(house, *tails):
    connection = house.primary.connection
    connection.result = OK
    connection.tails += tails
    statement = house.statement(WRITE)
    return house.straight.ran(statement, WRITE.encode(), statement.reason, house.state.status)


# In a snapshot.


@pytest.fixture
def inside(house):
    house.set_status(0)
    house.snapshot()
    return house


def in_snapshot(house, sql=READ):
    return house.straight.in_snapshot(house.underway(sql))


def test_a_read_in_a_snapshot_claims_it_and_goes_straight(inside):
    reading = in_snapshot(inside)
    assert reading.compares
    snapshot = reading.snapshot
    snapshot.member.connection.result = rows("1")
    answer = inside.straight.took(reading, None)
    snapshot.release()
    assert answer.route.endpoint == "r1"
    assert inside.session.transaction.repeatables[0].sql == READ.encode()
    assert snapshot.used_at == reading.began


NOT_INSIDE = {
    "no snapshot": lambda house: house.session.take_snapshot(),
    "a transaction on the primary": lambda house: house.set_status(IN_TRANSACTION),
    "autocommit": lambda house: house.set_status(AUTOCOMMIT),
    "a transaction that was lost": lambda house: house.session.transaction.lose("db"),
    "a doubt": lambda house: house.state.doubt_variable("time_zone"),
    "a session id": lambda house: house.share(),
    "news": lambda house: house.cluster.process.note(f"{UUID}:1-9"),
    "a foreign variable": lambda house: house.session.owed.note_foreign(None, frozenset("a")),
    "a member that is behind the session's state": lambda house: house.state.set_user_variable(
        "a", "1"
    ),
    "a snapshot that has ended": lambda house: setattr(house.session.snapshot, "is_open", False),
    "a level that shows commits": lambda house: house.state.set_variable(
        "transaction_isolation", "READ-COMMITTED"
    ),
    "a pin": lambda house: house.state.bind("user", "a user lock is held"),
    "a weaker snapshot": lambda house: setattr(house.session.transaction, "view", "eventual"),
    "one that no read has fixed": lambda house: setattr(house.session.transaction, "view", ""),
}


@pytest.mark.parametrize("why", NOT_INSIDE)
def test_a_read_in_a_snapshot_is_not_straight_with(inside, why):
    snapshot = inside.session.snapshot
    NOT_INSIDE[why](inside)
    assert in_snapshot(inside) is None
    assert not snapshot.claimed


def test_a_read_in_a_snapshot_that_is_lost_leaves_it(inside):
    reading = in_snapshot(inside)
    answer = inside.straight.took(reading, lost())
    reading.snapshot.release()
    assert isinstance(answer, Unserved)
    flow = inside.straight.leaving(reading.underway, answer)
    found = inside.run(flow, asks(Claim), asks(Exchange, rows("1"), member=inside.primary))
    assert found.route.cause is Cause.SNAPSHOT


def test_a_read_in_a_snapshot_that_was_ended_by_its_owner_is_over(inside):
    reading = in_snapshot(inside)
    with pytest.raises(Fault) as caught:
        inside.straight.took(reading, fails(1317, "interrupted"))
    assert caught.value.number == 1317
