"""Recovery: what is left of a session whose connection to the primary was lost.

A transaction that was open there is lost with it, and so is the answer to what was sent last: if
that may have been committed, nobody knows, and it is never sent again. Everything else goes on: the
session is the same on the next connection, and its reads do not need one.
"""

from __future__ import annotations

from typing import Any

from ..cluster.position import encode
from ..failure import is_read_only
from ..numbers import LOCK_DEADLOCK, SERVER_GONE, SERVER_LOST
from ..session.session import Session
from ..session.state import AUTOCOMMIT, IN_TRANSACTION, can_write
from ..session.transaction import is_lost_with
from ..sql.statement import Kind, Statement, because
from ..wire import Fault, UnknownOutcome, raise_first
from ..wire import Kind as FaultKind
from .asking import Asking
from .command import FinishPrevious, Flow
from .holding import Holding
from .learning import Learning
from .publishing import Publishing

__all__ = ["NOTHING", "Recovering", "deadlock", "gone", "loss", "refuses_writes"]

NOTHING = Statement(Kind.READ, because(Kind.READ, "nothing was sent"))
_LAST = ("commit", "rollback", "commit release", "rollback release")
"""Behind one of these there is no transaction."""
_ASK_ID = "SELECT LAST_INSERT_ID() LIMIT 1"
_INTERRUPTED = Statement(
    Kind.UNKNOWN, because(Kind.UNKNOWN, "it was interrupted"), implicit_commit=True
)
"""Whatever it was, it may have been committed."""


class Recovering:
    """What a session does about a primary that was lost, demoted, or left."""

    def __init__(
        self,
        session: Session,
        holding: Holding,
        asking: Asking,
        learning: Learning,
        publishing: Publishing,
        reads: Any,
    ) -> None:
        self._session = session
        self._holding = holding
        self._asking = asking
        self._learning = learning
        self._publishing = publishing
        self._reads = reads

    # What was lost.

    def losing(
        self, fault: Fault, statement: Statement, status: int, told: bool = True
    ) -> Flow[Fault]:
        """Take in that the primary's connection was lost; returns what to raise.

        :param status: the server status before the statement.
        :param told: whether the application is to know that it was the connection.
        """
        session = self._session
        state, transaction, owed = session.state, session.transaction, session.owed
        begun = transaction.has_begun or transaction.has_savepoint
        begun = begun or bool(owed.unsent or status & IN_TRANSACTION)
        if told:
            state.note_told_lost()
        if statement is not NOTHING:
            begun = is_lost_with(statement, state, begun)
        if transaction.may_be_over:
            # Then the statement was one of its own.
            status &= ~IN_TRANSACTION
        if session.snapshot is not None:
            yield from self._reads.ending_snapshot()
        transaction.clear()
        transaction.forget_primary()
        session.count_found()
        position = None
        if state.position_known:
            position = encode(state.base | state.position)
        found = loss(fault, statement, status, session.primary.name, position)
        if position is not None and not isinstance(found, UnknownOutcome):
            yield from self._publishing.publishing_what_is_known()
        elif session.identity.sharing is not None:
            session.identity.sharing.leave_open()
        # Not known is then only what became of this very statement.
        state.lose_position(unsure=state.position_known or state.position_unsure)
        session.hold.drop()
        if session.hold.revives:
            session.cluster.monitor.look_now()
        state.note_closed()
        session.primary.connection.note_closed_transaction()
        owed.lose()
        session.followed.forget(session.primary)
        if begun or statement.transaction in _LAST:
            state.forget_next()  # it was for the transaction that is over
        if begun and session.hold.revives:
            said = ", ".join(map(str, _said(fault)))
            transaction.lose(f"{session.primary.name} ({said})")
        return found

    def interrupted(self, writes: int) -> Flow[None]:
        """Give the primary's connection up if it was written to since: nobody knows where it is.

        What is half done may be half of a transaction, or a commit of which nobody knows.

        :param writes: how often it had been written to before.
        """
        session = self._session
        connection = session.primary.connection
        if connection.due or connection.writes != writes:
            gone = Fault(SERVER_LOST, "the statement was interrupted", FaultKind.LOST)
            yield from self.losing(gone, _INTERRUPTED, session.state.status)

    def finishing_pending(self) -> Flow[None]:
        """Read what is left of the primary's last results, as PyMySQL does before a statement."""
        session = self._session
        session.owed.note_pending(False)
        try:
            yield from FinishPrevious(session.primary)
        except Exception as error:
            raised = error
            if isinstance(error, Fault) and error.is_lost:
                status = session.state.status
                # What it belonged to may have begun a transaction.
                begun = status if status & AUTOCOMMIT else status | IN_TRANSACTION
                raised = yield from self.losing(error, NOTHING, begun)
            yield from self._after_pending()
            if raised is error:
                raise
            raise raised from error
        yield from self._after_pending()

    def _after_pending(self) -> Flow[None]:
        self._session.state.lose_position()
        self._learning.learn()
        yield from self._publishing.publishing()

    # Going on.

    def going_without(self) -> Flow[None]:
        """Go on while the connection to the primary is lost: most reads don't need it.

        A transaction that was open there is lost with it. Raises the fault of a connection that
        was closed, and of a session that can't go on on another connection.
        """
        session = self._session
        hold = session.hold
        if not hold.ended and hold.revives and session.holds_transaction:
            yield from self.losing(gone(), NOTHING, session.state.status)
        session.check_revivable()
        session.state.forget_hearsay()

    def regaining(self) -> Flow[None]:
        """Connect to the primary again, as its connection is of no more use."""
        yield from self.leaving()
        yield from self._holding.needing()

    def leaving(self) -> Flow[None]:
        """Let go of a connection to the primary that is of no more use.

        Raises the fault of a transaction that was open there.
        """
        session = self._session
        status = session.state.status
        if session.primary.connection.open:
            session.hold.drop()
            if session.holds_transaction:
                raise (yield from self.losing(gone(), NOTHING, status | IN_TRANSACTION))
        yield from self.going_without()
        session.check_lost()

    def having_primary(self) -> Flow[None]:
        """Have the connection to the primary that the next statement needs."""
        if self._holding.lacks_primary():
            yield from self.regaining()

    def finding_ids(self, statement: Statement) -> Flow[None]:
        """See that what a statement asks for of earlier ones was set on this very connection.

        LAST_INSERT_ID() went with the connection on which it was set, and is 0 on a new one: what
        it is there otherwise was set since. Raises the fault of the one that was lost.
        """
        session = self._session
        state, status = session.state, session.state.status
        if (
            state.lost_of(statement) == {"last_insert_id"}
            and not session.asks(statement)  # the question would be the one before
            and not (session.owed.unsent or state.next_transaction)
            and status & (IN_TRANSACTION | AUTOCOMMIT)  # it would begin a transaction
        ):
            (reply,) = yield from self._asking.ask_before([_ASK_ID])
            raise_first([reply])
            if int(reply.rows[0][0]):
                state.find_id()
                return
        raise (yield from self.losing(gone(), NOTHING, status))

    def primary_answers(self) -> Flow[bool]:
        """Tell whether a read may be given to the primary without waiting for one."""
        if not self._holding.has_left():
            return True
        if self._session.primary.connection.open:
            self._session.hold.drop()
        return (yield from self._holding.having())

    def leaving_demoted(self, fault: Fault, status: int) -> Flow[None]:
        """Leave a primary that says it is read-only for the one that has taken its place.

        Nothing happened there, so the statement may run again; a transaction can't: raises 1213.
        """
        session = self._session
        hold, sharing = session.hold, session.identity.sharing
        hold.drop()
        if sharing is not None:
            sharing.answered()
        session.cluster.watch.primary_is_read_only(hold.generation)
        if status & IN_TRANSACTION or session.transaction.has_savepoint:
            yield from self.losing(fault, NOTHING, status, told=False)
            session.transaction.note_rolled_back()  # the application is told
            raise deadlock(f"primary {session.primary.name} is read-only now: {fault.text}")
        yield from self._holding.needing(writable=True)


def refuses_writes(fault: Fault) -> bool:
    """Tell whether a server has said that it is read-only: nothing happened there."""
    return is_read_only(fault.number, fault.text)


def loss(
    fault: Fault, statement: Statement, status: int, endpoint: str, position: str | None
) -> Fault:
    """Return what to raise for a connection to the primary that was lost.

    `status` is the server status before the statement. PyMySQL's number for a request that could
    not be written whole is 2006: a server runs none of it.
    """
    number, text = fault.number, fault.text
    if number == SERVER_LOST and _commits(statement, status):
        what = statement.verb or "the statement"
        return UnknownOutcome(
            number,
            f"{text} (primary {endpoint}; whether {what} took effect is not known, so it was not "
            "tried again)",
            endpoint,
            position,
        )
    if not number:
        # Not the same one, which may be raised from that.
        return Fault(number, text, FaultKind.LOST, fault.original)
    lost = "; its transaction was rolled back" if status & IN_TRANSACTION else ""
    return Fault(number, f"{text} (primary {endpoint}{lost})", FaultKind.LOST)


def deadlock(why: str) -> Fault:
    """Return the fault of a transaction that was rolled back and can simply be run again."""
    text = f"Deadlock found when trying to get lock; try restarting transaction ({why})"
    return Fault(LOCK_DEADLOCK, text, state="40001")


def _commits(statement: Statement, status: int) -> bool:
    """Tell whether a statement may have committed something by itself."""
    does = statement.transaction or ""
    if does.startswith("begin"):
        return bool(status & IN_TRANSACTION)
    return (
        does.startswith(("commit", "xa"))
        or statement.implicit_commit
        or statement.may_change_session
        or (status & (IN_TRANSACTION | AUTOCOMMIT) == AUTOCOMMIT and can_write(statement))
    )


def gone() -> Fault:
    """Return the fault of a connection that is found to be closed."""
    return Fault(SERVER_GONE, "MySQL server has gone away", FaultKind.LOST)


def _said(fault: Fault) -> tuple[Any, ...]:
    """Return number and text, as the driver's error has them."""
    args = getattr(fault.original, "args", None)
    return tuple(args[:2]) if args else (fault.number, fault.text)
