"""The simulator's model of a server answers as MySQL and MariaDB do.

Random programs run on the model and on real servers, step by step, and each answer is the same: its
rows and counts, the number of its error, the state of the transaction, all that the end of the
reply tells of the session (GTIDs by their order), and which commits the server says that it has.
The statements are those of the simulated applications, and what rwsplit sends by itself.

Where a model is not as a server, tests in `tests/simulate` prove something about no server. So mend
the model; keep the program in `KEPT`. What it leaves out is left out of programs, too:

* waiting for locks: no step is run whose rows another session's transaction has locked; nor do
  deadlocks and time-outs come here, which the simulator makes up;
* what a procedure that commits does to a transaction, or to what was said of the next one; it fails
  here, as it does there;
* writes in another schema than the table's, which is a view there;
* BEGIN with something to commit, or READ WRITE, on a server that has become read-only;
* a wait for a position on the primary itself: MariaDB has no position of a replica there;
* system variables that no simulated application sets, and the texts of errors and warnings.

A connection that was reset (COM_RESET_CONNECTION) is a new one to the model.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.simulate.backend import Backend
from tests.simulate.gtids import Has
from tests.simulate.program import REPLICA, Step
from tests.simulate.replies import Changes
from tests.simulate.staged import Staged
from tests.simulate.transactions import Transactions

from .served import Served

SECONDS = float(os.environ.get("RWSPLIT_TEST_SECONDS", "10"))

READS = (
    *("SELECT id,v FROM t", "SELECT v FROM t WHERE id = 1", "SELECT v FROM t WHERE id = 2"),
    *("SELECT v,@v FROM t WHERE id = 1", "SELECT id,v,@v FROM t"),
    *("SELECT id,v FROM t FOR UPDATE", "SELECT v FROM t WHERE id = 1 FOR UPDATE"),
)
WRITES = (
    *("UPDATE t SET v = {n} WHERE id = 1",) * 2,
    *("UPDATE t SET v = {n} WHERE id = 2", "CALL p({n},2)"),
)
TRANSACTIONS = (
    *("BEGIN", "BEGIN", "START TRANSACTION", "START TRANSACTION READ ONLY"),
    *("START TRANSACTION READ WRITE", "START TRANSACTION WITH CONSISTENT SNAPSHOT"),
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    *("COMMIT", "COMMIT", "COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN"),
    *("ROLLBACK AND NO CHAIN NO RELEASE", "SAVEPOINT a", "SAVEPOINT b"),
    *("ROLLBACK TO a", "ROLLBACK TO SAVEPOINT b", "RELEASE SAVEPOINT a"),
)
SETTINGS = (
    *("SET autocommit = 0", "SET autocommit = 1", "SET autocommit=0"),
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    *("SET @v = {n}", "SET @`v`=NULL", "SET SESSION group_concat_max_len = 10{n}"),
    *("SET @@SESSION.`group_concat_max_len`=2000,@`v`=3", "USE s0", "USE `s1`", "INIT shop"),
)
QUESTIONS = (
    *("SELECT FOUND_ROWS(),ROW_COUNT() LIMIT 1", "SELECT FOUND_ROWS()", "SELECT ROW_COUNT()"),
    *("SELECT (5+0)", "SELECT @@warning_count,@@error_count LIMIT 1", "SHOW WARNINGS"),
    *("PING", "DO 0", "POSITION", "SELECT CAST(CURRENT_ROLE() AS BINARY) LIMIT 1"),
    "SELECT @`v`,CAST(CHARSET(@`v`) AS BINARY),CAST(COLLATION(@`v`) AS BINARY),"
    "CAST(HEX(@`v`) AS BINARY) FROM DUAL WHERE COALESCE(LENGTH(@`v`),0)<99 LIMIT 1",
    "SELECT CAST(@@SESSION.`group_concat_max_len` AS BINARY) LIMIT 1",
)
MISHAPS = ("KILL", "RESET")
ON_PRIMARY = (READS, READS, WRITES, WRITES, TRANSACTIONS, TRANSACTIONS, SETTINGS, QUESTIONS)
OF_REPLICA = (
    *("WAIT 1 0.02", "WAIT 2 0.02", "WAIT 3 0.02", "STOP", "START", "POSITION"),
    *("SELECT v FROM t WHERE id = 1", "SELECT id,v FROM t", "COMMIT"),
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
"""What is done where replicas lag; a wait is for one of the program's commits."""


def steps(sessions: tuple[int, ...], *kinds: tuple[str, ...]) -> Any:
    """Return the programs of these sessions, of these kinds of statements."""
    what = st.sampled_from(kinds).flatmap(st.sampled_from)
    return st.lists(st.builds(Step, st.sampled_from(sessions), what), min_size=2, max_size=14)


PROGRAMS = {
    "primary": steps((0, 0, 1), *ON_PRIMARY),
    "mishaps": steps((0, 0, 1), *ON_PRIMARY, MISHAPS, ("DEMOTE", "PROMOTE")),
    "replica": steps((0, REPLICA), *ON_PRIMARY, OF_REPLICA, OF_REPLICA, MISHAPS),
}

KEPT = {
    "BEGIN commits what is open": """
        0 BEGIN
        0 UPDATE t SET v = 7 WHERE id = 1
        0 BEGIN
        1 SELECT v FROM t WHERE id = 1""",
    "each read of READ COMMITTED has a snapshot of its own": """
        0 SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED
        0 BEGIN
        0 SELECT v FROM t WHERE id = 1
        1 UPDATE t SET v = 7 WHERE id = 1
        0 SELECT v FROM t WHERE id = 1""",
    "a snapshot is of the first read": """
        0 BEGIN
        1 UPDATE t SET v = 7 WHERE id = 1
        0 SELECT v FROM t WHERE id = 1
        1 UPDATE t SET v = 8 WHERE id = 1
        0 SELECT v FROM t WHERE id = 1
        0 SELECT v FROM t WHERE id = 1 FOR UPDATE
        0 COMMIT
        0 SELECT v FROM t WHERE id = 1""",
    "how a transaction was started is told whole, and again": """
        0 START TRANSACTION READ WRITE
        0 START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY
        0 COMMIT AND CHAIN
        0 BEGIN
        0 ROLLBACK AND CHAIN""",
    "READ ONLY goes on behind BEGIN": """
        0 START TRANSACTION READ ONLY
        0 BEGIN
        0 UPDATE t SET v = 7 WHERE id = 1
        0 SELECT v FROM t WHERE id = 1 FOR UPDATE""",
    "READ ONLY goes on behind autocommit": """
        0 SET autocommit = 0
        0 START TRANSACTION READ ONLY
        0 SET autocommit = 1
        0 UPDATE t SET v = 7 WHERE id = 1
        0 SELECT v FROM t WHERE id = 1
        0 UPDATE t SET v = 7 WHERE id = 1""",
    "so does a level": """
        0 SET autocommit = 0
        0 SET TRANSACTION ISOLATION LEVEL READ COMMITTED
        0 START TRANSACTION
        0 SET autocommit = 1
        0 COMMIT AND CHAIN""",
    "a level of the session is the next one's, too": """
        0 SET TRANSACTION ISOLATION LEVEL READ COMMITTED
        0 SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ
        0 BEGIN""",
    "AND CHAIN takes what was said of the next one": """
        0 SET TRANSACTION ISOLATION LEVEL READ COMMITTED
        0 ROLLBACK AND CHAIN
        0 SELECT v FROM t WHERE id = 1""",
    "a schema that was chosen is told in two ways": """
        0 USE s0
        0 INIT shop""",
    "a GTID by itself is no change of the session": """
        0 UPDATE t SET v = 7 WHERE id = 1""",
    "a trigger sets a variable": """
        0 UPDATE t SET v = 7 WHERE id = 1
        0 UPDATE t SET v = 8 WHERE id = 1
        0 BEGIN
        0 UPDATE t SET v = 12 WHERE id = 1
        0 COMMIT""",
    "a GTID behind an error is told late, or never": """
        0 CALL p(7,2)
        0 SELECT v FROM t WHERE id = 2
        0 SET @v = 1
        0 UPDATE t SET v = 8 WHERE id = 2""",
    "what failed leaves warnings": """
        0 ROLLBACK TO nosuch
        0 ROLLBACK
        0 SHOW WARNINGS
        0 SELECT v FROM t WHERE id = 2
        0 SHOW WARNINGS
        0 CALL p(7,2)
        0 SELECT @@warning_count,@@error_count LIMIT 1
        0 SELECT FOUND_ROWS(),ROW_COUNT() LIMIT 1
        0 SELECT @@warning_count,@@error_count LIMIT 1""",
    "a question clears warnings, or does not": """
        9 UPDATE t SET v = 7 WHERE id = 1
        9 SELECT @@warning_count,@@error_count LIMIT 1
        9 SELECT @@warning_count,@@error_count LIMIT 1
        9 UPDATE t SET v = 7 WHERE id = 1
        9 WAIT 1 0.02
        9 SHOW WARNINGS""",
    "counts": """
        0 SELECT FOUND_ROWS()
        0 UPDATE t SET v = 7 WHERE id = 1
        0 SELECT FOUND_ROWS(),ROW_COUNT() LIMIT 1
        0 SELECT id,v FROM t
        0 PING
        0 SELECT FOUND_ROWS(),ROW_COUNT() LIMIT 1
        0 SELECT id,v FROM t
        0 DO 0
        0 SELECT FOUND_ROWS(),ROW_COUNT() LIMIT 1""",
    "a savepoint in a consistent snapshot is logged": """
        0 START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY
        0 SAVEPOINT a
        0 COMMIT""",
    "a server that has become read-only rolls back": """
        0 SET autocommit = 0
        0 UPDATE t SET v = 7 WHERE id = 1
        0 DEMOTE
        0 SELECT v FROM t WHERE id = 1
        0 UPDATE t SET v = 8 WHERE id = 2
        0 SELECT v FROM t WHERE id = 1 FOR UPDATE
        0 COMMIT
        0 COMMIT
        0 SELECT v FROM t WHERE id = 1""",
    "a replica refuses writes in two ways": """
        9 UPDATE t SET v = 7 WHERE id = 1
        9 SELECT v FROM t WHERE id = 1 FOR UPDATE
        9 BEGIN
        9 UPDATE t SET v = 7 WHERE id = 1
        9 START TRANSACTION READ WRITE
        9 ROLLBACK
        9 SET autocommit = 0
        9 SELECT v FROM t WHERE id = 1
        9 UPDATE t SET v = 7 WHERE id = 1
        9 ROLLBACK AND CHAIN
        9 SELECT v FROM t WHERE id = 1 FOR UPDATE""",
    "what a replica tells": """
        0 UPDATE t SET v = 7 WHERE id = 1
        9 SELECT v FROM t WHERE id = 1
        9 USE s0
        9 SET @@SESSION.`group_concat_max_len`=2000
        9 PING
        9 INIT shop
        9 ROLLBACK
        9 WAIT 1 0.02
        9 BEGIN
        9 COMMIT AND CHAIN""",
    "a replica that has stopped": """
        0 UPDATE t SET v = 7 WHERE id = 1
        9 STOP
        0 UPDATE t SET v = 8 WHERE id = 1
        9 SELECT v FROM t WHERE id = 1
        9 WAIT 1 0.02
        9 WAIT 2 0.02
        9 START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY
        9 START
        9 SELECT v FROM t WHERE id = 1
        9 COMMIT
        9 WAIT 2 0.02
        9 SELECT v FROM t WHERE id = 1""",
    "connections that are lost, and reset": """
        0 BEGIN
        0 UPDATE t SET v = 7 WHERE id = 1
        0 KILL
        0 COMMIT
        1 UPDATE t SET v = 8 WHERE id = 1
        0 SET autocommit = 0
        0 SET @v = 1
        0 UPDATE t SET v = 9 WHERE id = 2
        0 RESET
        0 SELECT id,v,@v FROM t""",
}
"""Programs whose answers were others on the model, and what sees the mutants below."""


def parse(program: str) -> list[Step]:
    """Read a program that was kept."""
    lines = [line.strip().split(" ", 1) for line in program.strip().splitlines()]
    return [Step(int(who), what) for who, what in lines]


@pytest.fixture
def served(cluster: Any) -> Iterator[Served]:
    """The servers' side."""
    side = Served(cluster)
    yield side
    side.close()


def difference(served: Served, program: list[Step]) -> str | None:
    """Run a program on both sides; returns how the first step's answers differ that do."""
    staged = Staged(served.flavor)
    served.begin()
    done: list[str] = []
    for number, step in enumerate(program, 1):
        step = step._replace(what=step.what.format(n=number))
        if staged.is_out(step):
            continue
        model, server = staged.run(step), served.run(step)
        done.append(f"{step.who} {step.what}")
        differ = [
            f"{name} is {one!r} on the model, and {other!r} on {served.flavor}"
            for name, one, other in zip(model._fields, model, server, strict=True)
            if one != other
        ]
        if differ:
            return "\n".join([*done, *differ])
    return None


def search(served: Served, programs: Any, seconds: float, most: int) -> str | None:
    """Look for a program that tells the model from a server."""
    until, found = time.monotonic() + seconds, [""]
    phases = [Phase.explicit, Phase.generate, Phase.shrink]

    @settings(
        max_examples=most,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=phases,
        print_blob=False,
    )
    @given(programs)
    def law(program: list[Step]) -> None:
        if time.monotonic() < until or found[0]:
            differs = difference(served, program)
            found[0] = differs or found[0]
            assert differs is None

    try:
        law()
    except AssertionError:
        return found[0]
    return None


@pytest.mark.parametrize("kind", PROGRAMS)
def test_the_model_answers_as_a_server(served: Served, kind: str) -> None:
    seconds = SECONDS / 6
    differs = search(served, PROGRAMS[kind], seconds, max(int(seconds * 60), 30))
    assert differs is None, differs


@pytest.mark.parametrize("program", KEPT.values(), ids=KEPT.keys())
def test_a_program_that_told_them_apart_does_so_no_more(served: Served, program: str) -> None:
    differs = difference(served, parse(program))
    assert differs is None, differs


# The check sees a model that is none.

_begin, _select, _covers = Transactions.begin, Backend.select, Has.covers
_tail, _end = Changes.tail, Transactions._end


def _begins_without_commit(backend: Backend, how: str | None = "") -> Any:
    backend.writes.clear()
    return _begin(backend, how)


def _keeps_every_snapshot(backend: Backend, *what: Any) -> Any:
    backend._level = "REPEATABLE-READ"
    return _select(backend, *what)


def _tells_no_gtid(changes: Changes, flavor: str) -> bytes:
    changes.gtid = ""
    return _tail(changes, flavor)


def _chains_to_nothing(backend: Backend, chains: str | None) -> Any:
    return _end(backend, "")


MUTANTS = (
    (Transactions, "begin", _begins_without_commit),
    (Backend, "select", _keeps_every_snapshot),
    (Changes, "tail", _tells_no_gtid),
    (Transactions, "_end", _chains_to_nothing),
    (Has, "covers", lambda has, wanted: True),
    (Backend, "abort", lambda backend: backend.commit_writes()),
    (Transactions, "_check_server", lambda backend: None),
)


def test_a_model_that_is_wrong_is_seen(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    unseen = []
    for where, name, what in MUTANTS:
        with monkeypatch.context() as patch:
            patch.setattr(where, name, what)
            if not any(difference(served, parse(program)) for program in KEPT.values()):
                unseen.append(what)
    assert not unseen
