"""Transactions in the core: fingerprints of reads, habits, and what a statement means to one."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.cluster.position import GtidSet
from rwsplit._core.session import habit
from rwsplit._core.session.habit import Habit
from rwsplit._core.session.state import AUTOCOMMIT, State
from rwsplit._core.session.transaction import MOST_READS, Step, Transaction, is_compared, is_ordered
from rwsplit._core.sql import fingerprint
from rwsplit._core.sql.classify import classify
from rwsplit._core.sql.fingerprint import Fingerprint

rows = st.lists(st.binary(max_size=4), max_size=6)


def taken(some, ordered):
    found = Fingerprint(ordered)
    for row in some:
        found.add(row)
    return found


@pytest.mark.parametrize("module", [fingerprint, habit])
def test_the_examples_hold(module):
    assert doctest.testmod(module).failed == 0


@given(rows, rows)
def test_fingerprints_are_the_same_as_the_rows_are(one, other):
    assert taken(one, True).same_as(taken(other, True)) == (one == other)
    assert taken(one, False).same_as(taken(other, False)) == (sorted(one) == sorted(other))


def test_columns_are_part_of_an_answer():
    one, other = taken([b"a"], True), taken([b"a"], True)
    one.columns, other.columns = (("a", 3),), (("b", 3),)
    assert not one.same_as(other)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=200))
def test_habits_are_shares(history):
    known = Habit()
    for wrote, mismatched in history:
        known = known.after(wrote, mismatched)
        assert 0 <= known.writes <= 1
        assert 0 <= known.mismatches <= 1


def test_habits_form_and_fade():
    known = Habit()
    assert not known.why_primary()
    for _ in range(3):
        known = known.after(wrote=True)
    assert "wrote" in known.why_primary()
    for _ in range(3):
        known = known.after(wrote=False)
    assert not known.why_primary()
    known = known.after(wrote=True, mismatched=True)
    transactions = 0
    while known.why_primary():
        assert "read what others then changed" in known.why_primary()
        known = known.after(wrote=False)
        transactions += 1
    assert 20 < transactions < 200


def session(status=0):
    found = State(GtidSet(), "shop")
    found.status = status
    found.set_variable("transaction_isolation", "REPEATABLE-READ")
    return found


def steps(*texts, status=0, verifies=True):
    """What becomes of statements that nobody sends anywhere; the last one's step."""
    state, transaction = session(status), Transaction(verifies)
    step = None
    for text in texts:
        statement = classify(text)
        step = transaction.step(statement, state, "")
        if step is Step.BEGIN:
            transaction.begun(statement, text.encode(), state)
        elif step is Step.KEEP:
            transaction.keep(statement, text.encode())
        elif step is Step.READ and statement.tables:
            transaction.on_replica = True
            read_only = transaction.is_read_only(state)
            transaction.note_read(text.encode(), taken([b"x"], True), read_only)
        elif step is Step.END:
            transaction.clear()
    return step


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["SELECT * FROM t"], Step.READ),
        (["SELECT 1"], Step.READ),
        (["SELECT * FROM t", "SELECT LAST_INSERT_ID()"], Step.APART),
        (["SELECT * FROM t", "SELECT @@in_transaction"], Step.MOVE),
        (["SELECT * FROM t", "UPDATE t SET v = 1"], Step.MOVE),
        (["SELECT * FROM t FOR UPDATE"], Step.MOVE),
        (["SELECT * FROM t WHERE d < NOW()"], Step.MOVE),
        (["SELECT NOW()"], Step.READ),
        (["SET @a = 1"], Step.APART),
        (["SELECT * FROM t", "SET @a = 1"], Step.MOVE),
        (["SET autocommit = 1"], Step.MOVE),
        (["SET SESSION TRANSACTION READ ONLY"], Step.MOVE),
        (["SET TRANSACTION READ ONLY"], Step.MOVE),
        (["SELECT GET_LOCK('a', 1)"], Step.MOVE),
        (["SELECT * FROM t", "SHOW WARNINGS"], Step.USUAL),
        (["SAVEPOINT a"], Step.KEEP),
        (["SAVEPOINT a", "ROLLBACK TO a", "RELEASE SAVEPOINT A"], Step.KEEP),
        (["SAVEPOINT a", "RELEASE SAVEPOINT a", "ROLLBACK TO a"], Step.MOVE),
        (["SAVEPOINT a", "SAVEPOINT b", "ROLLBACK TO a", "ROLLBACK TO b"], Step.MOVE),
        (["COMMIT"], Step.END),
        (["SELECT * FROM t", "ROLLBACK"], Step.END),
        (["COMMIT AND CHAIN"], Step.MOVE),
        (["SELECT * FROM t", "COMMIT AND CHAIN"], Step.CHAIN),
        (["START TRANSACTION READ ONLY", "ROLLBACK AND CHAIN"], Step.CHAIN),
        (["BEGIN"], Step.BEGIN),
        (["BEGIN", "SELECT * FROM t"], Step.MOVE),
        (["BEGIN", "COMMIT"], Step.END),
        (["BEGIN", "BEGIN"], Step.BEGIN),
        (["START TRANSACTION READ ONLY", "SELECT * FROM t"], Step.READ),
        (["START TRANSACTION READ ONLY", "SELECT * FROM t WHERE d < NOW()"], Step.READ),
        (["START TRANSACTION READ WRITE", "SELECT * FROM t"], Step.MOVE),
        (["START TRANSACTION WITH CONSISTENT SNAPSHOT"], Step.USUAL),
        (["START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"], Step.OPEN),
        (["XA START 'a'"], Step.MOVE),
        (["LOCK TABLES t READ"], Step.MOVE),
        (["CREATE TABLE x (a INT)"], Step.MOVE),
    ],
)
def test_what_becomes_of_a_statement_while_autocommit_is_off(texts, expected):
    assert steps(*texts) is expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["SELECT * FROM t"], Step.USUAL),
        (["UPDATE t SET v = 1"], Step.USUAL),
        (["COMMIT"], Step.END),
        (["BEGIN", "SELECT * FROM t"], Step.MOVE),
        (["START TRANSACTION READ ONLY", "SELECT * FROM t"], Step.READ),
        (["START TRANSACTION READ ONLY", "UPDATE t SET v = 1"], Step.MOVE),
    ],
)
def test_what_becomes_of_a_statement_while_autocommit_is_on(texts, expected):
    assert steps(*texts, status=AUTOCOMMIT) is expected


def test_too_many_reads_move_a_transaction_and_not_one_that_is_read_only():
    reads = ["SELECT * FROM t"] * MOST_READS
    assert steps(*reads) is Step.READ
    assert steps(*reads, "SELECT * FROM t") is Step.MOVE
    assert steps(*reads, "SELECT * FROM t", verifies=False) is Step.READ
    assert steps("START TRANSACTION READ ONLY", *reads, "SELECT * FROM t") is Step.READ


def test_what_cannot_be_verified_any_more_stays_where_it_is():
    transaction, state = Transaction(verifies=True), session()
    transaction.on_replica = True
    stream = taken([b"x"], True)
    stream.is_stream, stream.is_whole = True, False
    transaction.note_read(b"SELECT * FROM t", stream, read_only=False)
    assert "not read to its end" in transaction.why_unverifiable()
    volatile = classify("SELECT v, NOW() FROM t")
    assert transaction.step(volatile, state, "") is Step.READ
    stream.is_whole = True
    assert not transaction.why_unverifiable()
    assert transaction.step(volatile, state, "") is Step.MOVE
    stream.size = 1 << 21
    assert "long" in transaction.why_unverifiable()


def test_what_shows_the_schema_is_not_compared():
    state = session()
    for sql in (
        "SHOW TABLES",
        "SHOW COLUMNS FROM t",
        "SHOW CREATE TABLE t",
        "DESCRIBE t",
        "EXPLAIN SELECT * FROM t",
        "SELECT table_name FROM information_schema.tables",
        "SELECT 1 FROM INFORMATION_SCHEMA.COLUMNS c JOIN `information_schema`.tables t",
        "SELECT 1",
    ):
        assert not is_compared(classify(sql), state), sql
    for sql in ("SELECT * FROM t", "TABLE t", "SELECT 1 FROM t, information_schema.tables"):
        assert is_compared(classify(sql), state), sql
    state.set_schema("information_schema")
    assert not is_compared(classify("SELECT * FROM tables"), state)


def test_characteristics_of_the_next_transaction_count():
    state = session()
    assert (state.isolation, state.reads_only) == ("REPEATABLE-READ", False)
    state.next_transaction = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; READ ONLY;"
    assert (state.isolation, state.reads_only) == ("SERIALIZABLE", True)
    transaction = Transaction(verifies=True)
    read = classify("SELECT * FROM t")
    assert transaction.step(read, state, "") is Step.MOVE
    state.next_transaction = "SET TRANSACTION READ ONLY;"
    assert transaction.step(read, state, "") is Step.READ
    assert transaction.step(classify("COMMIT"), state, "") is Step.USUAL


def test_the_session_may_say_that_every_commit_chains():
    state, transaction = session(), Transaction(verifies=True)
    state.set_variable("completion_type", "CHAIN")
    assert transaction.step(classify("COMMIT"), state, "") is Step.USUAL
    transaction.begun(
        classify("START TRANSACTION READ ONLY"), b"START TRANSACTION READ ONLY", state
    )
    assert transaction.step(classify("ROLLBACK"), state, "") is Step.CHAIN


def test_rows_are_ordered_where_the_text_says_so():
    assert is_ordered(b"SELECT 1 FROM t\norder\tby 1")
    assert not is_ordered(b"SELECT 1 FROM reorder")
