"""What others must see, and what must be seen of others: under a session id, and in a process."""

from __future__ import annotations

from typing import Any

from ..cause import Cause, Reason
from ..session.route import Destination, Route
from ..session.session import Session
from ..session.state import can_commit
from ..sql.statement import Statement
from ..wire import Fault
from .answer import Underway
from .asking import Asking
from .command import Flow, Look, Mark, Publish

__all__ = ["Publishing"]


class Publishing:
    """What tells others of a session's commits, and looks at theirs."""

    def __init__(self, session: Session, asking: Asking, chooser: Any) -> None:
        self._session = session
        self._asking = asking
        self._chooser = chooser

    # What others must see.

    def beginning_write(self) -> Flow[None]:
        """Mark the session id before a write: others know that one is under way."""
        sharing = self._session.identity.sharing
        if sharing is not None:
            yield from Mark(sharing)

    def beginning(self, statement: Statement) -> Flow[None]:
        """Mark the session id before a statement that may commit, now or at its end.

        A ROLLBACK commits nothing, and no more does a COMMIT while nothing is open.
        """
        session, does = self._session, statement.transaction or ""
        is_open = session.in_transaction or session.owed.unsent
        ends = does.startswith("rollback") or (does.startswith("commit") and not is_open)
        if can_commit(statement) and (statement.parts or not ends):
            yield from self.beginning_write()

    def publishing(self) -> Flow[None]:
        """Tell those who share the session id what was committed, before the application knows."""
        session = self._session
        sharing, state = session.identity.sharing, session.state
        if sharing is None:
            return
        sharing.answered()
        if session.in_transaction and not state.written:
            return  # the mark of a write, or of a savepoint, is for the end
        if not sharing.is_open:
            # What went straight in a transaction, or was lost, had no mark, and may have committed.
            if session.identity.needs_store or (state.position_known and not state.written):
                return
            yield from self.beginning_write()
        if not state.position_known:
            try:
                state.find_position((yield from self._asking.position_aside(hastily=True)))
            except Fault:
                sharing.leave_open()
                return
        if (yield from Publish(sharing, state.written or None)):
            state.published()

    def publish_here(self) -> bool:
        """Tell at once what was committed under a session id that is kept in this process.

        False where that has to be asked first; see `publishing`.
        """
        session = self._session
        state = session.state
        written = state.written
        if not written and session.in_transaction:
            return True
        if not state.position_known:
            return False
        if written:
            session.identity.sharing.publish_here(written)
            state.published()
        return True

    def publishing_late(self) -> Flow[None]:
        """Ask what was committed without a mark, and tell it."""
        yield from self.beginning_write()
        yield from self.publishing()

    def publishing_at_last(self) -> Flow[None]:
        """End a mark whose outcome a read had to find out."""
        session = self._session
        sharing = session.identity.sharing
        if sharing is None or not sharing.is_open:
            return
        if session.state.position_known and not session.owed.pending:
            yield from self.publishing()

    def publishing_what_is_known(self) -> Flow[None]:
        """Publish as the connection to the primary is lost: what was open is rolled back."""
        session = self._session
        sharing = session.identity.sharing
        if sharing is not None:
            sharing.answered()
            if (yield from Publish(sharing, session.state.written or None)):
                session.state.published()

    # What must be seen of others.

    def is_bounded(self, underway: Underway, decision: Route) -> bool:
        """Tell whether anything is to be added to the route of a read; see `bounded`."""
        identity = self._session.identity
        return (
            underway.rule is not None
            or self._session.terms.group is not None
            or identity.sharing is not None
            or (
                identity.process.latest is not identity.heard and decision.consistency != "eventual"
            )
        )

    def bounded(self, underway: Underway, decision: Route) -> Flow[Route]:
        """Add to the route of a read for replicas what its rule says, and what others wrote."""
        session = self._session
        if underway.rule is not None:
            decision = underway.rule.applied(underway.statement, decision)
        group = session.terms.group
        if group is not None:
            decision = decision._replace(group=group)
        if session.identity.sharing is not None:
            decision = yield from self.looking_at_store(decision)
        if decision.consistency != "eventual" and session.identity.has_news:
            yield from self.hearing()
        return decision

    def hearing(self) -> Flow[None]:
        """Take in what other connections of this process have committed."""
        session = self._session
        identity, state = session.identity, session.state
        process, part = identity.process, identity.part
        if part is not None and part.unchecked:
            yield from self._checking_asked(part)
        identity.hear(process.latest)
        position, doubt, unsure = process.look(session.cluster.last_seen)
        if doubt:
            state.hear_doubt(doubt, unsure, process)
        elif state.doubted_by is not None:
            state.hear_no_doubt(process)
        if not self._chooser.all_have(position):
            state.see(position)

    def _checking_asked(self, part: Any) -> Flow[None]:
        """Ask the primary, once, where a scope must see what may be of another cluster.

        A wait for that would be in vain.
        """
        cluster = self._session.cluster
        if part.may_be_elsewhere(cluster.last_seen()):
            asked_at = self._session.clock()
            try:
                now = yield from self._asking.position_aside(hastily=True)
            except Fault:
                return
            cluster.note_sample(now, asked_at)
            part.take_primary(now)

    def looking_at_store(self, decision: Route) -> Flow[Route]:
        """Add to a read what others of the same session id wrote."""
        if decision.consistency == "eventual":
            return decision
        session = self._session
        identity, cluster = session.identity, session.cluster
        sharing, latest, heard = identity.sharing, identity.process.latest, identity.heard
        stored = yield from Look(sharing, cluster.flavor)
        if isinstance(stored, str):
            return decision._replace(
                destination=Destination.PRIMARY, reason=Reason(stored, Cause.STORE)
            )
        if not identity.needs_store:
            identity.hear(latest)
        position = stored.position
        if position is not None:
            if self._chooser.all_have(position):
                # Others of this session id may have been given other replicas.
                if cluster.all_around_have(position):
                    sharing.forget(position)
            elif identity.needs_store or position is not heard:
                # What was heard of before, every replica had since, or the session sees it still.
                session.state.see(position)
        return decision
