"""A statement's journey: what comes before it, where it goes, and who runs it there.

The straight roads (`_shell.straight`) take what needs none of this; everything else passes here.
What the detours do is in modules of their own. `Journey` puts together the objects that do it: each
stands on those before it, and on nothing else.
"""

from __future__ import annotations

import re
from typing import Any

from ..cause import Reason
from ..numbers import READ_ONLY_TRANSACTION
from ..session.followed import WARNINGS
from ..session.route import OPEN, Destination
from ..session.session import Session
from ..session.session_id import parse_use
from ..session.state import AUTOCOMMIT, LEXING
from ..sql.following import questions_of
from ..sql.statement import Kind, Statement
from ..sql.values import quote_identifier
from ..wire import Fault, Member
from ..wire import Kind as FaultKind
from . import ruling
from .answer import Answer, Underway
from .asking import Asking
from .choosing import Chooser
from .command import Acquire, Flow
from .controlling import Among, Controlling
from .deciding import Deciding
from .holding import Holding
from .joining import Joining
from .learning import Learning
from .moving import Moving
from .publishing import Publishing
from .reading import Reads
from .recovering import Recovering
from .writing import Writing

__all__ = ["Journey"]

_READS = (Kind.READ, Kind.PRIMARY_READ, Kind.FOLLOW_READ, Kind.SESSION, Kind.TRANSACTION)
"""Of kinds: those that a server runs in a READ ONLY transaction."""
_WORDS = re.compile(r"[\w@.,()*\s]*", re.ASCII)
"""A text that is read alike under every sql_mode and in every character set of a client."""


class Journey:
    """All that becomes of the statements of one session."""

    def __init__(self, session: Session, chooser: Chooser) -> None:
        self._session = session
        self.holding = Holding(session)
        self.asking = Asking(session)
        self.learning = Learning(session, self.asking)
        self.publishing = Publishing(session, self.asking, chooser)
        self.reads = Reads(session, chooser, self.holding, self.asking)
        self.recovering = Recovering(
            session, self.holding, self.asking, self.learning, self.publishing, self.reads
        )
        self.joining = Joining(session, self.asking, self.publishing, self.recovering, self.reads)
        self.deciding = Deciding(session, self.learning, self.publishing, self.recovering)
        self.writing = Writing(
            session,
            self.holding,
            self.asking,
            self.learning,
            self.publishing,
            self.recovering,
            self.joining,
            self.reads,
        )
        self.moving = Moving(
            session,
            self.holding,
            self.asking,
            self.learning,
            self.recovering,
            self.joining,
            self.reads,
            self.deciding,
            self.writing,
        )
        self.controlling = Controlling(session, self.joining, self.reads)

    def running(
        self, sql: Any, unbuffered: bool = False, template: tuple[Any, str] | None = None
    ) -> Flow[Answer]:
        """Run a statement where it belongs, and as the first rule that matches it wants."""
        session = self._session
        if not session.cluster.rules:
            return (yield from self._running(sql, unbuffered, template))
        from ..setup.rules import Limit  # noqa: PLC0415 - it brings the classifier

        yield from self.joining.preparing()
        rule = ruling.matched(session, sql)
        if rule is None:
            return (yield from self._running(sql, unbuffered, template))
        text = ruling.rewritten(session, rule, sql)
        if text is not sql:
            template = None
        limit = rule.rule.action
        if not isinstance(limit, Limit):
            return (yield from self._running(text, unbuffered, template, rule))
        turns = session.cluster.limits[rule.rule.name]
        if not (yield from Acquire(turns, limit.wait)):
            raise ruling.refused(rule, limit)
        try:
            return (yield from self._running(text, unbuffered, template, rule))
        finally:
            turns.release()

    def _running(
        self,
        sql: Any,
        unbuffered: bool,
        template: tuple[Any, str] | None,
        rule: Any = None,
    ) -> Flow[Answer]:
        session = self._session
        state, connection = session.state, session.primary.connection
        if not connection.open:
            yield from self.recovering.going_without()
        if session.owed.pending:
            yield from self.recovering.finishing_pending()
        if session.block() is not session.identity.context:
            yield from self.joining.joining()
        if state.unread and not state.unread.isdisjoint(LEXING) and not self._only_asks(sql):
            yield from self.learning.reporting_lexing()
        counts = template is not None and connection.escapes_plainly
        statement = session.language.statement(sql, template if counts else None)
        if not isinstance(sql, bytes):
            sql = sql.encode(connection.encoding) if isinstance(sql, str) else bytes(sql)
        return (yield from self.going(Underway(statement, sql, unbuffered, template, rule)))

    def going(self, underway: Underway) -> Flow[Answer]:
        """Run a statement that is classified, with nothing to be done before that."""
        statement = underway.statement
        if self._session.transaction.lost:
            ended = self.moving.end_lost(statement)
            if ended is not None:
                return ended
        if not statement.controls:
            return (yield from self._running_known(underway))
        found = yield from self.controlling.controlling(underway)
        if isinstance(found, Answer):
            return found
        answer = yield from self._running_known(underway)
        return found.merged(answer) if isinstance(found, Among) else answer

    def _running_known(self, underway: Underway) -> Flow[Answer]:
        """Run a statement that is not about rwsplit itself."""
        session, statement = self._session, underway.statement
        state = session.state
        follows = statement.kind is Kind.FOLLOW_READ
        if not follows and (session.owed.foreign or state.is_unsettled):
            asks = WARNINGS in questions_of(statement, state.origin.flavor)
            yield from self.learning.catching_up(statement, asks)
        if statement.verb == "EXECUTE" and state.prepared:
            statement = state.executed(statement)
        if statement.functions and session.terms.splits:
            statement = yield from self.asking.resolving(statement)
        statement = session.hinted(statement)
        underway.take(statement)
        self._check(statement)
        if _may_name_id(underway.sql):
            yield from self._taking_id_from_use(underway)
        if session.asks(underway.statement):
            shown = yield from self.asking.answering(underway)
            if shown is not None:
                return shown
        answer = yield from self._placing(underway)
        return answer._replace(names=underway.names) if underway.names else answer

    def _check(self, statement: Statement) -> None:
        """Raise 1792 for what may write where that is refused, and count what is not understood."""
        session = self._session
        if session.only_reads and statement.kind not in _READS:
            raise Fault(
                READ_ONLY_TRANSACTION,
                f"Cannot execute statement in a READ ONLY transaction ({statement.reason}).",
            )
        if statement.bad_hint is not None:
            session.cluster.warn_once("%s; it is not followed", statement.bad_hint)
        if statement.kind is Kind.UNKNOWN:
            session.cluster.counts["unknown statements"] += 1

    def _placing(self, underway: Underway) -> Flow[Answer]:
        """Run a statement that is known in full, where it goes."""
        session, statement = self._session, underway.statement
        if session.transacts:
            if session.in_transaction or session.owed.unsent:
                # A BEGIN that could not be sent goes with the next statement that can.
                if statement.transaction is None and statement.kind is not Kind.FOLLOW_READ:
                    self.moving.note_on_primary(statement)
                    reason = OPEN if statement.kind is Kind.READ else statement.reason
                    return (yield from self.writing.on_primary(underway, reason))
            elif (
                not session.state.status & AUTOCOMMIT
                or session.transaction.begin
                or statement.kind is Kind.TRANSACTION
            ):
                answer = yield from self.moving.transacting(underway)
                if answer is not None:
                    return answer
        decision = yield from self.deciding.deciding(underway)
        if decision.destination is Destination.REPLICA and session.terms.splits:
            return (yield from self.writing.on_replica(underway, decision))
        reason = decision.reason
        if decision.destination is Destination.LAST:
            found = yield from self.asking.asking_last(underway)
            if not isinstance(found, Reason):
                member, result = found
                return self.writing.finish(member, underway.statement, reason, result)
            reason = found
        reason = session.reason_on_primary(underway.statement, reason)
        return (yield from self.writing.on_primary(underway, reason))

    def _only_asks(self, sql: Any) -> bool:
        """Tell whether a text asks about the statement before, however it is read.

        What is in doubt waits then: MySQL clears the warnings for any statement of ours.
        """
        text = sql if isinstance(sql, str) else bytes(sql).decode("latin-1")
        if _WORDS.fullmatch(text) is None:
            return False
        return self._session.language.statement(sql).kind is Kind.FOLLOW_READ

    def _taking_id_from_use(self, underway: Underway) -> Flow[None]:
        """Take a session id from a USE, which goes on without it."""
        session, sql = self._session, underway.sql
        try:
            found = parse_use(sql.decode(errors="surrogateescape"))
        except ValueError as error:
            raise Fault(0, str(error), FaultKind.WRONG) from None
        if found is None:
            return
        database, named = found
        session.identity.name(named)
        yield from self.joining.joining()
        without = f"USE {quote_identifier(database)}" if database else "DO 0"
        text = without.encode(session.primary.connection.encoding, "surrogateescape")
        underway.rewrite(session.language.statement(text), text)

    def reading_on(
        self, underway: Underway, failed: tuple[Member, Fault] | None, since: float
    ) -> Flow[Answer]:
        """Go on with a free read that its straight road could not finish; see `Reads.reading`."""
        decision = self._session.route(underway.statement)
        return self.writing.on_replica(underway, decision, failed, since)


def _may_name_id(sql: bytes) -> bool:
    """Tell whether a text may be a USE with a session id."""
    return b"sessionid=" in sql[:600].lower() and sql[:50].lstrip()[:3].upper() == b"USE"
