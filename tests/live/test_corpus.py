"""The corpus before real servers: what each statement does, beside what the classifier says."""

import pytest

from rwsplit._core.sql.classify import Dialect, classifier
from rwsplit._core.sql.statement import Kind
from rwsplit.sandbox import Sandbox
from tests.corpus import corpus

from .judge import Judge, prepare

# A read-only server's refusals: on what is called a read they prove the classifier wrong.
REFUSED = {1290, 1792, 1836}
OPTIONS = {
    # The performance schema tells who holds which locks and user variables.
    "mysql": {"performance_schema": "ON"},
    # ANALYZE TABLE ... PERSISTENT gives a replica a GTID of its own, on which a strict one stops.
    "mariadb": {"gtid_strict_mode": "OFF"},
}
# A share of the corpus that may be pure reads and still not called reads.
TIMID = 0.01


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
def servers(request):
    """A cluster of its own, for this test breaks what it can."""
    with Sandbox(request.param, replicas=1, options=OPTIONS[request.param]) as cluster:
        prepare(cluster)
        yield cluster


@pytest.fixture(scope="module")
def lines(servers):
    dialects = {}
    found = []
    for line in corpus(servers.flavor):
        if line.runs:
            dialect = Dialect.of(servers.flavor, servers.version, line.sql_mode)
            dialects.setdefault(line.sql_mode, classifier(dialect))
            found.append((line, dialects[line.sql_mode].statement(line.sql)))
    return found


@pytest.fixture(scope="module")
def primary(servers):
    judge = Judge(servers, servers.primary)
    yield judge
    judge.close()


@pytest.fixture(scope="module")
def replica(servers):
    judge = Judge(servers, servers.replicas[0])
    yield judge
    judge.close()


def test_a_read_changes_nothing_and_a_read_only_server_answers_it(servers, lines, primary, replica):
    """On the primary inside a transaction, on the replica outside and inside READ ONLY."""
    wrong = []
    for line, statement in lines:
        if statement.kind is not Kind.READ:
            continue
        there = primary.run(line.sql, line.sql_mode, in_transaction=True)
        here = replica.run(line.sql, line.sql_mode)
        inside = replica.run(line.sql, line.sql_mode, read_only=True)
        marks = there.marks | here.marks | inside.marks
        if marks or {there.error, here.error, inside.error} & REFUSED:
            wrong.append(f"{line.where}: {line.sql!r} leaves {sorted(marks)}, says {here.error}")
        elif len({there.error, here.error, inside.error}) > 1:
            wrong.append(f"{line.where}: {line.sql!r}: {there.error}, {here.error}, {inside.error}")
        elif not (statement.volatile or _local(line.sql)) and there.rows != here.rows:
            wrong.append(f"{line.where}: {line.sql!r}: {there.rows} there, {here.rows} here")
        elif here.error is not None:
            print(f"{line.where}: {line.sql!r}: error {here.error}")
    assert not wrong, "\n".join(wrong)


def _local(sql):
    """What members differ in by default, and rows of the dictionary that carry statistics."""
    words = (
        "@@",
        "STATUS",
        "EXPLAIN",
        "information_schema",
        "HOSTNAME",
        "KEYS",
        "INDEX",
        "ANALYZE",
    )
    return any(word.lower() in sql.lower() for word in words)


def test_what_a_statement_leaves_behind_is_among_its_effects(servers, lines, primary):
    wrong = []
    dirty = False
    for line, statement in lines:
        if dirty:
            prepare(servers, wait=False)
        change = primary.run(line.sql, line.sql_mode)
        dirty = "data" in change.marks or statement.kind is Kind.WRITE
        missed = [mark for mark in change.marks if not _foreseen(mark, statement)]
        if missed:
            wrong.append(f"{line.where}: {line.sql!r} ({statement.reason}) leaves {sorted(missed)}")
    prepare(servers)
    assert not wrong, "\n".join(wrong)


def _foreseen(mark, statement):
    if mark == "data":
        return statement.may_write
    if statement.may_change_session:
        return True
    if mark in ("variable identity", "variable last_insert_id"):
        mark = "insert id"
    what, _, name = mark.partition(" ")
    if mark.startswith("user variable "):
        return name.removeprefix("variable ").lower() in statement.user_variables_written
    if what == "variable":
        written = statement.system_variables_written
        return name in written or name.replace("tx_", "transaction_") in written
    if mark == "insert id":
        return "last_insert_id" in statement.system_variables_written or statement.may_write
    if what == "lock":
        return bool(statement.locks) or statement.transaction is not None
    if mark == "schema":
        return bool(statement.databases)
    if mark == "role":
        return "role" in statement.system_variables_written
    return False


def test_few_pure_reads_are_not_called_reads(servers, lines, primary, replica):
    """Listed with their reasons: what a replica answered as well, and what it left behind."""
    pure = []
    for line, statement in lines:
        if statement.kind in (Kind.READ, Kind.FOLLOW_READ) or statement.depends:
            continue
        # What a call does the text alone cannot tell; what a server says of itself is no data.
        if statement.may_change_session or "one server" in statement.reason:
            continue
        if "server's own" in statement.reason:
            continue
        change = replica.run(line.sql, line.sql_mode, read_only=True)
        if change.error is not None or not any(change.rows) or change.marks:
            continue
        if not primary.run(line.sql, line.sql_mode, in_transaction=True).marks:
            pure.append(f"{line.where}: {line.sql!r}: {statement.reason}")
    print("\n".join(pure))
    assert len(pure) <= TIMID * len(lines), "\n".join(pure)
