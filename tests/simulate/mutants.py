"""Guards of rwsplit's writes, transactions and session ids, and all mutants together."""

from __future__ import annotations

from typing import Any

from rwsplit._core.flows import moving, recovering, straight, writing
from rwsplit._core.flows.command import ByMethod
from rwsplit._core.flows.holding import Holding
from rwsplit._core.flows.moving import Moving
from rwsplit._core.flows.publishing import Publishing
from rwsplit._core.flows.reading import Reads
from rwsplit._core.flows.straight import Straight
from rwsplit._core.flows.writing import Writing
from rwsplit._core.session.followed import Followed
from rwsplit._core.session.owed import Owed
from rwsplit._core.session.session import Session
from rwsplit._core.session.state import State
from rwsplit._core.session.transaction import Step, Transaction
from rwsplit._core.sql.fingerprint import Fingerprint
from rwsplit._core.sql.statement import Kind
from rwsplit._core.wire import UnknownOutcome

from .mutant import STALE, Doing, Mutant, no_flow, returns
from .mutants_of_reads import OF_READS

__all__ = ["MUTANTS", "Mutant"]

_TORN = ("half", "acknowledged", "own uncommitted", "unity", "read only", "level")
"""Checks that see a transaction that is none."""

# What they do instead, where that takes more than a line.

_on_primary = Writing.on_primary
_by_method = Writing.by_method
_step, _keep = Transaction.step, Transaction.keep
_why_not_in = moving.why_not_in
_publishing = Publishing.publishing


def _sends_again(writing: Writing, *what: Any, **more: Any) -> Doing:
    try:
        return (yield from _on_primary(writing, *what, **more))
    except UnknownOutcome:
        return (yield from _on_primary(writing, *what, **more))


def _ignores_idle(snapshot: Any, decision: Any, view: str) -> Any:
    return _why_not_in(snapshot, decision, view) if snapshot.is_open else None


def _ignores_version(reads: Reads, member: Any, route: Any, read: Any) -> bool:
    return not route.sees_commits


def _never_chains(transaction: Transaction, *what: Any) -> Step:
    step = _step(transaction, *what)
    return Step.END if step is Step.CHAIN else step


def _stays(holding: Holding) -> bool:
    connection = holding._session.primary.connection
    return not connection.open or connection.has_ended()


def _keeps_begun(publishing: Publishing) -> Doing:
    if not publishing._session.in_transaction:
        yield from _publishing(publishing)


def _keeps_no_savepoint(transaction: Transaction, statement: Any, sql: bytes) -> None:
    _keep(transaction, statement, sql)
    transaction.repeatables.pop()


def _sends_begin(self: Moving, begin: list[bytes]) -> Doing:
    self._session.owed.send_first(begin)
    yield from ()


def _does_again(writing: Writing, what: str, action: Any) -> Doing:
    try:
        return (yield from _by_method(writing, what, action))
    except UnknownOutcome:
        again = iter(ByMethod(writing._session.primary, what.lower()))
        return (yield from _by_method(writing, what, again))


def _looks_nowhere(publishing: Publishing, decision: Any) -> Doing:
    yield from ()
    return decision


def _reason(statement: Any) -> Any:
    return statement.reason if statement.kind is Kind.WRITE else None


def _is_free(session: Session) -> bool:
    return session.may_be_free and not session.owed.foreign and session.followed.is_free


_OF_TRANSACTIONS = (
    Mutant("a BEGIN is kept", ((Transaction, "begun", returns(None)),), _TORN),
    Mutant("what is kept is sent first", ((Owed, "send_first", returns(None)),), _TORN),
    Mutant(
        "what goes straight to the primary has nothing before it",
        ((Straight, "on_primary", lambda self, underway: _reason(underway.statement)),),
        _TORN,
        seed=11,
    ),
    Mutant(
        "a write that goes straight has nothing before it",
        ((Session, "is_steady", returns(True)),),
        _TORN,
        seed=11,
    ),
    Mutant(
        "savepoints are kept",
        ((Transaction, "keep", _keeps_no_savepoint),),
        ("savepoint", "half", "acknowledged", *_TORN),
        kept="a savepoint was kept",
    ),
    Mutant(
        "rows that have changed are a deadlock",
        ((Fingerprint, "same_as", returns(True)),),
        _TORN,
        seed=2,
    ),
    Mutant(
        "what was read is repeated",
        ((Moving, "_verifying", _sends_begin),),
        _TORN,
        seed=2,
    ),
    Mutant(
        "a snapshot that was ended is not read in",
        ((moving, "why_not_in", _ignores_idle), (straight, "why_not_in", _ignores_idle)),
        (*_TORN, *STALE),
        seed=258,
    ),
    Mutant(
        "a snapshot is the same session",
        ((Reads, "is_in_step", _ignores_version),),
        ("state", "straight"),
        kept="a variable was set beside a snapshot",
    ),
    Mutant(
        "a snapshot has its own level", ((Moving, "_isolation", returns(())),), ("level",), seed=2
    ),
    Mutant("a transaction is chained", ((Transaction, "step", _never_chains),), _TORN, seed=481),
    Mutant("a lost transaction is over", ((Transaction, "lose", returns(None)),), _TORN, seed=37),
    Mutant(
        "so is one whose BEGIN was lost, or a statement without autocommit",
        ((recovering, "is_lost_with", returns(False)),),
        _TORN,
        kept="a transaction was lost amid a write",
        seed=761,
    ),
)
_OF_OUTCOMES = (
    Mutant(
        "what may have been committed is not sent again",
        ((Writing, "on_primary", _sends_again),),
        ("twice", "half", "acknowledged"),
        seed=11,
    ),
    Mutant(
        "a COMMIT by method is not sent again",
        ((Writing, "by_method", _does_again),),
        ("half", "acknowledged", "outcome"),
        seed=32,
    ),
    Mutant("an outcome is not known", ((recovering, "_commits", returns(False)),), ("outcome",)),
    Mutant("other outcomes are", ((recovering, "_commits", returns(True)),), ("outcome",), seed=89),
    Mutant(
        "behind a deadlock it is not known, either",
        ((writing, "may_end_transaction", returns(False)),),
        ("outcome",),
        kept="a deadlock had ended the transaction",
    ),
    Mutant(
        "a primary that was demoted is left",
        ((Holding, "has_left", _stays),),
        (*STALE, "demoted", "progress"),
        seed=160,
    ),
    Mutant(
        "a write that was refused there goes to the new one",
        ((writing, "refuses_writes", returns(False)),),
        ("refused",),
        seed=2,
    ),
    Mutant(
        "a new connection to the primary is the same session",
        ((State, "restored", returns([])),),
        ("state", "level"),
    ),
)
_OF_OTHERS = (
    Mutant("a write is marked", ((Publishing, "beginning_write", no_flow),), STALE, seed=1137),
    Mutant(
        "what was committed is published",
        ((Publishing, "publishing", no_flow),),
        (*STALE, "progress"),
        seed=4255,
    ),
    Mutant(
        "what BEGIN and COMMIT AND CHAIN have committed is told",
        ((Publishing, "publishing", _keeps_begun),),
        STALE,
        kept="what COMMIT AND CHAIN has committed was not told to the session id",
        seed=201,
    ),
    Mutant(
        "the store is asked", ((Publishing, "looking_at_store", _looks_nowhere),), STALE, seed=362
    ),
    Mutant("others of the process are heard", ((Publishing, "hearing", no_flow),), STALE, seed=5),
    Mutant(
        "a session begins where the primary is",
        ((State, "begin_at", returns(None)),),
        STALE,
        seed=89,
    ),
    Mutant(
        "a read that has something to see is not free",
        ((Session, "is_free", _is_free),),
        (*STALE, "own uncommitted"),
        seed=7,
    ),
    Mutant(
        "what a member knew of the statement before is kept",
        ((Followed, "note_counts", returns(None)),),
        ("counts",),
    ),
    Mutant(
        "what went straight is learned from",
        ((Straight, "settling", returns(None)),),
        ("straight",),
        seed=5,
    ),
)


MUTANTS = (*OF_READS, *_OF_TRANSACTIONS, *_OF_OUTCOMES, *_OF_OTHERS)
