"""Transactions: what becomes of each statement, and what a move to the primary has to show."""

import pytest

from rwsplit._core.cause import Cause
from rwsplit._core.flavors.positions import POSITION_SQL, READ_ONLY_SQL
from rwsplit._core.flows.answer import EMPTY, Underway
from rwsplit._core.flows.command import (
    Ask,
    AskAside,
    ByMethod,
    Claim,
    Connect,
    Exchange,
    Open,
    Post,
    Repeat,
    WaitForPrimary,
    WatchSnapshot,
)
from rwsplit._core.session.state import AUTOCOMMIT, IN_TRANSACTION
from rwsplit._core.session.transaction import MOST_READS
from rwsplit._core.sql.fingerprint import Fingerprint
from rwsplit._core.wire import Fault, UnknownOutcome

from .harness import OK, House, Result, asks, did, fails, lost, ran, read_only, rows

READ = "SELECT v FROM t"
WRITE = "UPDATE t SET v = 1"
ROLLBACK = b"ROLLBACK AND NO CHAIN NO RELEASE"
MOMENT = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"


@pytest.fixture
def house():
    found = House()
    found.set_status(0)  # autocommit is off
    return found


def run(house, sql, *script, **others):
    """Run a statement by the whole journey."""
    return house.run(house.journey.running(sql, **others), *script)


def taken(*some, ordered=False):
    found = Fingerprint(ordered)
    for row in some:
        found.add(row)
    return found


def answered(*some):
    """A hand that answers a read, and takes its rows into the fingerprint."""

    def carry_out(command):
        if command.fingerprint is not None:
            for row in some:
                command.fingerprint.add(row)
        return ran(Result([(row,) for row in some]))(command)

    return carry_out


def read(house, *some, sql=READ):
    """Let the transaction begin with a read on r1."""
    house.replica("r1", at=1)
    house.replica("r2").unfit = "not in this test"
    return run(
        house,
        sql,
        asks(Open, replica=house.replica("r1")),
        asks(Exchange, answered(*(some or (b"a",))), before=["START TRANSACTION READ ONLY"]),
        asks(WatchSnapshot),
    )


def ends(*more):
    """What ends the snapshot."""
    return [asks(Claim), asks(Post, sql="COMMIT"), *more]


# What is not sent.


def test_a_begin_goes_with_the_first_statement(house):
    answer = run(house, "BEGIN")
    assert answer.made is EMPTY
    assert answer.route.cause is Cause.ANSWERED
    assert house.session.has_begun()
    run(
        house,
        WRITE,
        asks(Exchange, ran(server_status=IN_TRANSACTION), before=[b"BEGIN"], sql=WRITE.encode()),
    )
    assert not house.session.transaction.is_open
    assert house.session.in_transaction


def test_a_commit_of_nothing_is_not_sent(house):
    assert run(house, "COMMIT").made is EMPTY


def test_a_begin_and_its_end_are_not_sent(house):
    run(house, "BEGIN")
    run(house, "COMMIT")
    assert not house.session.transaction.is_open


def test_savepoints_wait_for_the_move(house):
    run(house, "SAVEPOINT a")
    assert house.session.transaction.repeatables[0].sql == b"SAVEPOINT a"
    run(house, WRITE, asks(Exchange, before=[b"SAVEPOINT a"]))
    assert house.session.transaction.has_savepoint


def test_what_asks_about_what_was_not_sent_is_told_of_nothing(house):
    run(house, "COMMIT")
    assert house.session.followed.skipped


# Reading.


def test_a_transaction_that_reads_is_in_a_snapshot_on_a_replica(house):
    answer = read(house)
    assert answer.route.endpoint == "r1"
    assert house.session.snapshot.member is house.members["r1"]
    assert house.session.transaction.repeats_reads


def test_the_next_read_is_in_the_same_snapshot(house):
    read(house)
    snapshot = house.session.snapshot
    answer = run(house, READ, asks(Claim, snapshot=snapshot), asks(Exchange, rows("a"), before=[]))
    assert answer.route.endpoint == "r1"
    assert not snapshot.claimed


def test_a_snapshot_has_the_level_that_was_set_for_the_next_transaction(house):
    house.state.next_transaction = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
    house.replica("r1", at=1)
    house.replica("r2").unfit = "not in this test"
    run(
        house,
        READ,
        asks(Open),
        asks(
            Exchange,
            before=lambda said: (
                said[:2]
                == ["SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION READ ONLY"]
            ),
        ),
        asks(WatchSnapshot),
    )


def test_a_read_whose_snapshot_is_lost_moves_with_what_was_read_before(house):
    read(house, b"a")
    same = taken(b"a")
    answer = run(
        house,
        READ,
        asks(Claim),
        asks(Exchange, lost()),
        asks(Claim),
        asks(Repeat, [same], statements=[READ.encode()]),
        asks(Exchange, rows("a"), member=house.primary),
    )
    assert answer.route.cause is Cause.SNAPSHOT
    assert answer.route.retries == 1
    assert house.session.snapshot is None


def test_a_snapshot_that_was_idle_for_too_long_serves_nobody(house):
    read(house, b"a")
    house.session.snapshot.is_open = False
    answer = run(
        house,
        READ,
        asks(Claim),
        asks(Claim),
        asks(Repeat, [taken(b"a")]),
        asks(Exchange, rows("a"), member=house.primary),
    )
    assert "was idle for 5 seconds" in answer.route.reason


def test_a_read_of_a_stronger_level_is_not_for_a_weaker_snapshot(house):
    house.terms.say("eventual")
    read(house, b"a")
    house.terms.say("global")
    house.session.look_at_terms()
    house.session.hold.generation = house.cluster.generation
    answer = run(
        house,
        READ,
        asks(Claim),
        *ends(),
        asks(Repeat, [taken(b"a")]),
        asks(Exchange, rows("a"), member=house.primary),
    )
    assert answer.route.cause is Cause.SNAPSHOT


def test_an_error_of_the_replica_is_the_primarys_if_that_says_so_too(house):
    read(house, b"a")
    theirs = fails(1146, "no such table there")
    with pytest.raises(Fault) as caught:
        run(
            house,
            "SELECT v FROM u",
            asks(Claim),
            asks(Exchange, fails()),
            asks(
                Ask,
                [theirs, rows()],
                member=house.primary,
                statements=[b"SELECT v FROM u", ROLLBACK],
            ),
        )
    assert caught.value is theirs
    assert house.session.snapshot is not None
    assert not house.session.snapshot.claimed


def test_an_error_of_the_replica_alone_moves_the_transaction(house):
    read(house, b"a")
    answer = run(
        house,
        "SELECT v FROM u",
        asks(Claim),
        asks(Exchange, fails()),
        asks(Ask, [rows("1"), rows()]),
        *ends(),
        asks(Repeat, [taken(b"a")]),
        asks(Exchange, rows("1"), member=house.primary),
    )
    assert answer.route.role == "primary"


def test_a_savepoint_on_the_primary_is_not_rolled_back_to_ask_it(house):
    read(house, b"a")
    house.session.transaction.note_savepoint()
    house.session.transaction.has_savepoint = False
    run(
        house,
        "SELECT v FROM u",
        asks(Claim),
        asks(Exchange, fails()),
        *ends(),
        asks(Repeat, [taken(b"a")]),
        asks(Exchange, rows("1"), member=house.primary),
    )


def test_a_habit_of_writing_begins_on_the_primary(house):
    for _ in range(5):
        house.cluster.habits.note(house.session.language.classifier.digest(READ.encode()), True)
    answer = run(house, READ, asks(Exchange, rows("1"), member=house.primary))
    assert answer.route.cause is Cause.HABIT


def test_after_a_mismatch_the_next_try_is_on_the_primary(house):
    house.session.transaction.retry()
    answer = run(house, READ, asks(Exchange, rows("1"), member=house.primary))
    assert answer.route.cause is Cause.HABIT
    assert not house.session.transaction.retries_on_primary


def test_a_replica_that_nobody_may_ask_leaves_the_read_to_the_primary():
    house = House(replicas=("r1",))
    house.set_status(0)
    house.replica("r1").unfit = "it is not replicating"
    answer = run(house, READ, asks(Exchange, rows("1"), member=house.primary))
    assert answer.route.role == "primary"
    assert house.session.snapshot is None


def test_what_shows_no_data_begins_nothing(house):
    house.replica("r1", at=1)
    run(house, "SELECT 1", asks(Open), asks(Exchange, rows("1"), before=[]))
    assert house.session.snapshot is None
    assert not house.session.transaction.is_open


# Apart.


def test_what_leaves_the_transaction_alone_runs_on_the_primary_beside_it(house):
    read(house)
    answer = run(house, "SELECT LAST_INSERT_ID()", asks(Exchange, rows("1"), member=house.primary))
    assert answer.route.role == "primary"
    assert house.session.snapshot is not None


# Moving.


def test_a_write_moves_the_transaction_with_its_reads(house):
    read(house, b"a")
    run(
        house,
        WRITE,
        *ends(),
        asks(Repeat, [taken(b"a")], member=house.primary, statements=[READ.encode()]),
        asks(Exchange, ran(server_status=IN_TRANSACTION), sql=WRITE.encode()),
    )
    assert house.cluster.counts["moved transactions"] == 1
    assert not house.session.transaction.is_open
    assert house.session.seen.on_primary


def test_a_move_repeats_the_begin_first(house):
    house.set_status(AUTOCOMMIT)
    run(house, "START TRANSACTION READ ONLY")
    read(house, b"a")
    run(
        house,
        "SELECT v FROM t FOR UPDATE",
        *ends(),
        asks(
            Repeat,
            [None, taken(b"a")],
            statements=[b"START TRANSACTION READ ONLY", READ.encode()],
            orders=[None, False],
        ),
        asks(Exchange, rows("1")),
    )


def test_a_begin_that_fails_amid_the_move_is_raised(house):
    house.set_status(AUTOCOMMIT)
    run(house, "START TRANSACTION READ ONLY")
    read(house, b"a")
    refused = fails(1205, "no")
    with pytest.raises(Fault) as caught:
        run(
            house,
            "SELECT v FROM t FOR UPDATE",
            *ends(),
            asks(Repeat, [refused, taken(b"a")]),
        )
    assert caught.value is refused


@pytest.mark.parametrize(
    "answer", [taken(b"b"), taken(), taken(b"a", b"a"), fails(1146, "no such table")]
)
def test_what_is_another_on_the_primary_rolls_the_transaction_back(house, answer):
    read(house, b"a")
    with pytest.raises(Fault) as caught:
        run(
            house,
            WRITE,
            *ends(),
            asks(Repeat, [answer]),
            asks(Ask, [rows()], member=house.primary, statements=[ROLLBACK]),
        )
    assert (caught.value.number, caught.value.state) == (1213, "40001")
    assert house.cluster.counts["mismatched transactions"] == 1
    transaction = house.session.transaction
    assert transaction.retries_on_primary
    assert not transaction.is_open


def test_a_mismatch_is_learned_from(house):
    read(house, b"a")
    digest = house.session.transaction.digest
    with pytest.raises(Fault):
        run(house, WRITE, *ends(), asks(Repeat, [taken(b"b")]), asks(Ask, [rows()]))
    assert house.cluster.habits.of(digest).mismatches > 0


def test_a_rollback_that_nobody_answers_is_one_all_the_same(house):
    read(house, b"a")
    with pytest.raises(Fault) as caught:
        run(house, WRITE, *ends(), asks(Repeat, [taken(b"b")]), asks(Ask, lost()))
    assert caught.value.number == 1213
    assert house.hold.drops == 1


def test_a_rollback_that_is_refused_is_told(house):
    read(house, b"a")
    refused = fails(1402, "XA_RBROLLBACK")
    with pytest.raises(Fault) as caught:
        run(house, WRITE, *ends(), asks(Repeat, [taken(b"b")]), asks(Ask, [refused]))
    assert caught.value is refused


def test_a_primary_that_is_lost_amid_a_move_takes_the_transaction_along(house):
    read(house, b"a")
    with pytest.raises(Fault) as caught:
        run(house, WRITE, *ends(), asks(Repeat, lost()))
    assert caught.value.is_lost
    assert house.session.transaction.lost


def test_a_move_connects_to_the_primary_again_where_that_was_lost(house):
    read(house, b"a")
    house.primary.connection.ended = True

    def connects(command):
        house.primary.connection.open, house.primary.connection.ended = True, False
        return house.facts()

    run(
        house,
        WRITE,
        *ends(),
        asks(Connect, connects),
        asks(Ask),
        asks(Repeat, [taken(b"a")]),
        asks(Exchange),
    )


def test_what_can_not_be_verified_does_not_move(house):
    read(house, b"a")
    house.session.transaction.note_read(b"SELECT NOW()", None, read_only=False)
    with pytest.raises(Fault, match="it read what can't be compared") as caught:
        run(house, WRITE, *ends(), asks(Ask, [rows()], statements=[ROLLBACK]))
    assert caught.value.number == 1213


def test_a_stream_that_was_not_read_to_its_end_can_not_be_verified(house):
    read(house, b"a")
    house.session.transaction.repeatables[0].answer.is_whole = False
    with pytest.raises(Fault, match="not read to its end"):
        run(house, WRITE, *ends(), asks(Ask, [rows()]))


def test_savepoints_are_repeated_among_the_reads(house):
    read(house, b"a")
    run(house, "SAVEPOINT a")
    run(
        house,
        WRITE,
        *ends(),
        asks(
            Repeat,
            [taken(b"a"), None],
            statements=[READ.encode(), b"SAVEPOINT a"],
            orders=[False, None],
        ),
        asks(Exchange),
    )
    assert house.session.transaction.has_savepoint


def test_a_savepoint_that_fails_on_the_primary_rolls_back(house):
    read(house, b"a")
    run(house, "SAVEPOINT a")
    with pytest.raises(Fault) as caught:
        run(house, WRITE, *ends(), asks(Repeat, [taken(b"a"), fails(1305)]), asks(Ask, [rows()]))
    assert caught.value.number == 1213


def test_a_transaction_that_is_not_verified_moves_without_its_reads():
    house = House(transactions="eventual")
    house.set_status(0)
    read(house, b"a")
    run(
        house,
        WRITE,
        *ends(),
        asks(Exchange, before=[b"START TRANSACTION WITH CONSISTENT SNAPSHOT"]),
    )
    assert house.cluster.counts["moved transactions"] == 0


def test_what_has_read_too_much_moves_with_its_next_read(house):
    read(house, b"a")
    kept = house.session.transaction.repeatables * MOST_READS
    house.session.transaction.repeatables = kept
    answer = run(
        house,
        READ,
        *ends(),
        asks(Repeat, [taken(b"a")] * MOST_READS),
        asks(Exchange, rows("a"), member=house.primary),
    )
    assert answer.route.cause is Cause.UNVERIFIABLE


def test_a_volatile_read_moves(house):
    answer = run(
        house,
        "SELECT v FROM t WHERE at < NOW()",
        asks(Exchange, rows("a"), member=house.primary),
    )
    assert answer.route.cause is Cause.UNVERIFIABLE


def test_what_was_counted_on_the_primary_is_asked_before_the_reads_are_repeated(house):
    read(house, b"a")
    followed = house.session.followed
    followed.ask_only(house.primary)

    def repeated(command):
        assert followed.told["found_rows"] == 3
        return [taken(b"a")]

    run(
        house,
        WRITE,
        *ends(),
        asks(Ask, [rows("3", "-1")], statements=["SELECT FOUND_ROWS(),ROW_COUNT() LIMIT 1"]),
        asks(Repeat, repeated),
        asks(Exchange),
    )


# Read only.


def test_a_read_only_transaction_stays_whatever_it_reads(house):
    house.set_status(AUTOCOMMIT)
    run(house, "START TRANSACTION READ ONLY")
    read(house, b"a", sql="SELECT v FROM t WHERE at < NOW()")
    assert house.session.snapshot is not None
    run(house, "COMMIT", *ends())
    assert house.session.snapshot is None


def test_a_read_write_transaction_begins_on_the_primary(house):
    house.set_status(AUTOCOMMIT)
    run(house, "BEGIN")
    answer = run(house, READ, asks(Exchange, rows("a"), member=house.primary, before=[b"BEGIN"]))
    assert answer.route.cause is Cause.IN_TRANSACTION


def opens_at(house, first, then=None):
    """Let a consistent snapshot be taken on r1, which is here before and there behind it."""
    house.set_status(AUTOCOMMIT)
    house.replica("r1", at=first)
    house.replica("r2").unfit = "not in this test"
    replies = [house.told_at(first), OK, house.told_at(then or first)]
    asked = POSITION_SQL["replica"]["mysql"]
    before = [asked, MOMENT, asked]
    takes = asks(Exchange, ran(before=replies), before=before, sql=None)
    return run(house, MOMENT, asks(Open), takes, asks(WatchSnapshot))


def test_a_consistent_snapshot_is_taken_at_once_on_a_replica(house):
    answer = opens_at(house, 5)
    assert answer.made is EMPTY
    assert house.session.snapshot is not None


@pytest.mark.parametrize("sql", ["SHOW MASTER STATUS", READ])
def test_the_moment_of_a_consistent_snapshot_is_not_known_where_something_came_amid(house, sql):
    opens_at(house, 5, 6)
    house.session.snapshot.is_open = sql != READ  # idle for too long
    finds = [asks(Claim), asks(Claim)] if sql == READ else ends()
    with pytest.raises(Fault) as caught:
        run(house, sql, *finds, asks(Ask, [rows()], statements=[ROLLBACK]))
    assert caught.value.number == 1213
    assert not house.session.transaction.is_open
    # What is tried again has its moment on the primary.
    run(house, MOMENT, asks(Exchange, member=house.primary, sql=MOMENT.encode()))


def begins_at(house, now):
    """What begins on the primary what began on r1; it is here by now."""
    return [
        *ends(),
        asks(Ask, [rows("1", "-1")], statements=["SELECT FOUND_ROWS(),ROW_COUNT() LIMIT 1"]),
        asks(
            Ask,
            [OK, house.told_at(now)],
            statements=[MOMENT.encode(), POSITION_SQL["primary"]["mysql"]],
        ),
    ]


def test_a_consistent_snapshot_moves_to_a_primary_that_has_the_same(house):
    opens_at(house, 5)
    run(house, WRITE, *begins_at(house, 5), asks(Exchange, member=house.primary))


def opens_with_its_own(house):
    """Open a snapshot that has what r1 has made itself, too."""
    own = "4f22fa47-71ca-11e1-9e33-c80aa9429562"
    house.set_status(AUTOCOMMIT)
    house.replica("r1", at=5).server = own
    house.replica("r2").unfit = "not in this test"
    told = rows(f"{house.at(5)},{own}:1-3".encode())
    takes = asks(Exchange, ran(before=[told, OK, told]))
    run(house, MOMENT, asks(Open), takes, asks(WatchSnapshot))


def tells_read_only(answer):
    return asks(Ask, [rows(answer)], statements=[READ_ONLY_SQL])


def test_what_a_replica_made_itself_is_not_looked_for_on_the_primary(house):
    opens_with_its_own(house)
    writes = [*begins_at(house, 5), tells_read_only("0"), asks(Exchange, member=house.primary)]
    run(house, WRITE, *writes)


def test_what_a_replica_made_may_be_lacking_on_the_primary_of_before(house):
    opens_with_its_own(house)
    refuses = asks(Ask, [OK], statements=[ROLLBACK])
    with pytest.raises(Fault) as caught:
        run(house, WRITE, *begins_at(house, 5), tells_read_only("1"), refuses)
    assert caught.value.number == 1213


def test_a_begin_that_moves_ends_what_an_error_may_have_left(house):
    house.session.transaction.doubt(True)
    opens_at(house, 5)
    house.primary.connection.server_status = AUTOCOMMIT | IN_TRANSACTION  # as BEGIN's answer tells
    with pytest.raises(Fault) as caught:
        run(house, WRITE, *begins_at(house, 5), asks(Exchange, lost(), member=house.primary))
    assert caught.value.is_lost
    assert not isinstance(caught.value, UnknownOutcome)


def test_savepoints_move_with_a_consistent_snapshot(house):
    opens_at(house, 5)
    run(house, "SAVEPOINT a")
    *finds, begin = begins_at(house, 5)
    begin.what["statements"].append(b"SAVEPOINT a")
    begin.reply.append(OK)
    run(house, WRITE, *finds, begin, asks(Exchange, member=house.primary))
    assert house.session.transaction.has_savepoint


@pytest.mark.parametrize("now", [4, 6], ids=["a new one has less", "others have committed"])
def test_the_moment_of_a_consistent_snapshot_can_not_be_had_again(house, now):
    opens_at(house, 5)
    rolls_back = asks(Ask, [rows()], statements=[ROLLBACK])
    with pytest.raises(Fault) as caught:
        run(house, WRITE, *begins_at(house, now), rolls_back)
    assert caught.value.number == 1213
    assert not house.session.transaction.is_open


def test_a_consistent_snapshot_that_no_replica_takes_is_for_the_primary():
    house = House(replicas=("r1",))
    house.replica("r1").unfit = "it is not replicating"
    sql = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
    answer = run(house, sql, asks(Exchange, member=house.primary, sql=sql.encode()))
    assert answer.route.role == "primary"
    assert not house.session.transaction.is_open


# Ending.


def test_a_commit_ends_the_snapshot_and_is_not_sent(house):
    read(house)
    answer = run(house, "COMMIT", *ends())
    assert answer.made is EMPTY
    assert not house.session.transaction.is_open
    assert house.session.snapshot is None


def test_what_the_primary_holds_is_committed_there_too(house):
    house.session.transaction.note_touched()
    run(house, "COMMIT", asks(Exchange, member=house.primary, sql=b"COMMIT"))
    assert not house.session.transaction.touched


def test_a_chain_begins_on_the_primary_what_it_ends(house):
    read(house)
    answer = run(
        house,
        "COMMIT AND CHAIN",
        *ends(),
        asks(Ask, [rows()], statements=[b"START TRANSACTION"]),
        asks(Exchange, sql=b"COMMIT AND CHAIN"),
    )
    assert answer.route.role == "primary"


def test_mariadb_keeps_no_level_that_was_for_the_transaction_that_a_begin_ends():
    house = House("mariadb")
    house.set_status(0)
    house.replica("r1", at=1)
    house.replica("r2").unfit = "not in this test"
    house.state.next_transaction = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
    house.session.transaction.note_replica()
    house.session.transaction.note_tables()
    run(house, "BEGIN", asks(Ask, [rows()], statements=[b"COMMIT AND NO CHAIN NO RELEASE"]))
    assert house.session.transaction.begin == b"BEGIN"


# What fixes what is seen.


@pytest.mark.parametrize(
    "sql",
    [
        *("SHOW TABLES", "DESCRIBE t", "EXPLAIN SELECT v FROM t", "SHOW CREATE TABLE t"),
        "SELECT table_rows FROM information_schema.tables",
    ],
)
def test_what_shows_the_schema_does_not_fix_what_is_seen(house, sql):
    read(house, sql=sql)
    assert house.session.snapshot is not None
    assert not house.session.transaction.view


def test_nor_does_a_read_without_rows(house):
    house.replica("r1", at=1)
    house.replica("r2").unfit = "not in this test"
    run(house, READ, asks(Open), asks(Exchange, answered()), asks(WatchSnapshot))
    assert not house.session.transaction.view


def test_the_first_read_of_rows_does(house):
    read(house)
    assert house.session.transaction.view == "session"


def test_until_then_a_read_waits_for_what_it_must_see(house):
    read(house, sql="SHOW TABLES")
    house.terms.say("global")
    house.session.look_at_terms()
    told = asks(Ask, [house.told_at(1)], member=house.primary)
    run(house, READ, asks(Claim), told, asks(Exchange, answered(b"a")))
    assert house.session.transaction.view == "global"


# Seeing commits.


def test_a_read_committed_snapshot_that_is_abreast_need_not_be_compared(house):
    house.state.set_variable("transaction_isolation", "READ-COMMITTED")
    house.replica("r1", at=5)
    house.replica("r2").unfit = "not in this test"
    house.state.see(house.at(5))
    run(house, READ, asks(Open), asks(Exchange, answered(b"a")), asks(WatchSnapshot))
    assert house.journey.reads.was_abreast
    assert not house.session.transaction.repeats_reads


def test_a_read_committed_snapshot_that_may_be_behind_is_compared(house):
    house.state.set_variable("transaction_isolation", "READ-COMMITTED")
    house.replica("r1", at=5)
    house.replica("r2").unfit = "not in this test"
    house.cluster.note_sample(house.at(9), house.session.clock())

    def is_behind(command):
        return ran(rows("a"), [*[rows()] * (len(command.before) - 1), house.told_at(5)])(command)

    run(house, READ, asks(Open), asks(Exchange, is_behind), asks(WatchSnapshot))
    assert not house.journey.reads.was_abreast
    assert house.session.transaction.repeats_reads


# A BEGIN that could not be sent.


def not_sent(house):
    """A transaction whose first statement found no primary in time."""
    house.set_status(AUTOCOMMIT)
    run(house, "BEGIN")
    with pytest.raises(Fault) as caught:
        run(house, WRITE, asks(Exchange, read_only()), asks(Connect, lost(2003)), GIVES_UP)
    assert caught.value.number == 2003
    return house


GIVES_UP = asks(WaitForPrimary, False)
AGAIN = (asks(Connect), asks(Ask))


def test_a_begin_that_could_not_be_sent_goes_with_the_next_statement(house):
    run(not_sent(house), WRITE, *AGAIN, asks(Exchange, before=[b"BEGIN"], sql=WRITE.encode()))


def test_a_read_behind_it_is_of_the_transaction(house):
    assert not not_sent(house).session.is_free()
    run(house, READ, *AGAIN, asks(Exchange, rows("1"), member=house.primary, before=[b"BEGIN"]))


@pytest.mark.parametrize("verb", ["COMMIT", "ROLLBACK"])
def test_what_ends_the_transaction_ends_what_was_not_sent_of_it(house, verb):
    run(not_sent(house), verb, *AGAIN, asks(Exchange, before=[b"BEGIN"], sql=verb.encode()))
    run(house, WRITE, asks(Exchange, before=[], sql=WRITE.encode()))


@pytest.mark.parametrize("verb", ["COMMIT", "ROLLBACK"])
def test_an_end_by_method_does_too(house, verb):
    by_method(not_sent(house), verb, *AGAIN, asks(ByMethod, method=verb.lower()))
    run(house, WRITE, asks(Exchange, before=[], sql=WRITE.encode()))


# A transaction that was lost.


def test_only_a_rollback_ends_a_transaction_that_was_lost(house):
    house.session.transaction.lose("db (2013, gone)")
    for sql in (READ, WRITE, "COMMIT"):
        with pytest.raises(Fault, match="roll it back"):
            run(house, sql)
    assert run(house, "ROLLBACK").made is EMPTY
    assert not house.session.transaction.lost


def test_a_rollback_that_does_more_is_sent(house):
    house.session.transaction.lose("db (2013, gone)")
    run(house, "ROLLBACK AND CHAIN", asks(Exchange, member=house.primary))
    assert not house.session.transaction.lost


# By method.


def by_method(house, verb, *script):
    return house.run(house.journey.moving.by_method(verb), *script)


def test_a_begin_by_method_is_not_sent_and_has_no_result(house):
    answer = by_method(house, "BEGIN")
    assert answer.made is None
    assert house.session.transaction.begin == b"BEGIN"


def test_a_commit_by_method_in_a_transaction_on_the_primary_is_sent(house):
    house.set_status(IN_TRANSACTION)
    by_method(house, "COMMIT", asks(ByMethod, did(None, server_status=0), method="commit"))
    assert not house.session.in_transaction


def test_a_rollback_by_method_ends_a_transaction_that_was_lost(house):
    house.session.transaction.lose("db (2013, gone)")
    house.primary.connection.open = False
    by_method(house, "ROLLBACK")
    assert not house.session.transaction.lost


def test_flushing_has_the_begin_on_the_primary(house):
    run(house, "BEGIN")
    house.run(
        house.journey.moving.flushing(),
        asks(Ask, did([rows()], server_status=IN_TRANSACTION), statements=[b"BEGIN"]),
    )
    assert house.session.in_transaction
    assert house.session.owed.unsent == []


def test_flushing_that_is_lost_loses_the_transaction(house):
    run(house, "BEGIN")
    with pytest.raises(Fault):
        house.run(house.journey.moving.flushing(), asks(Ask, lost()))
    assert house.session.transaction.lost


def test_switching_autocommit_on_commits_what_is_on_the_replica(house):
    read(house)
    house.run(house.journey.moving.switching_autocommit(True), *ends())
    assert not house.session.transaction.is_open


def test_switching_autocommit_in_a_begun_transaction_has_it_on_the_primary(house):
    house.set_status(AUTOCOMMIT)
    run(house, "BEGIN")
    house.run(
        house.journey.moving.switching_autocommit(True),
        asks(Ask, did([rows()], server_status=AUTOCOMMIT | IN_TRANSACTION)),
    )
    assert house.session.in_transaction


def test_nothing_of_this_concerns_who_does_not_split_transactions():
    house = House(transactions="primary")
    house.set_status(0)
    run(house, "BEGIN", asks(Exchange, member=house.primary, sql=b"BEGIN"))
    run(house, READ, asks(Exchange, rows("1"), member=house.primary))


def test_what_is_doubted_of_the_primary_is_asked_before_a_read_committed_read(house):
    house.state.set_variable("transaction_isolation", "READ-COMMITTED")
    house.replica("r1", at=5)
    house.replica("r2").unfit = "not in this test"
    house.cluster.process.doubt(unsure=False)
    house.identity.hear(house.cluster.process.latest)
    house.primary.connection.is_reading = True
    run(
        house,
        READ,
        asks(AskAside, lambda _: house.at(5)),
        asks(Open),
        asks(Exchange, answered(b"a")),
        asks(WatchSnapshot),
    )
    assert not house.cluster.process.look(lambda: None).doubt


def test_an_underway_shows_what_it_does(house):
    assert repr(Underway(house.statement(READ), b"")) == "<Underway SELECT>"
