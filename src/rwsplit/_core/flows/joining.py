"""Being the session that a block of code and a session id say."""

from __future__ import annotations

from typing import Any

from ..session.identity import AGAIN
from ..session.session import Session
from ..wire import Fault
from .asking import Asking
from .command import Flow, Publish, Share
from .publishing import Publishing
from .recovering import Recovering

__all__ = ["Joining"]


class Joining:
    """What makes a connection another session, or the same one with others."""

    def __init__(
        self,
        session: Session,
        asking: Asking,
        publishing: Publishing,
        recovering: Recovering,
        reads: Any,
    ) -> None:
        self._session = session
        self._asking = asking
        self._publishing = publishing
        self._recovering = recovering
        self._reads = reads

    def is_prepared(self) -> bool:
        """Tell whether nothing comes before the next statement; see `preparing`."""
        session = self._session
        return (
            session.primary.connection.open
            and not session.owed.pending
            and not session.transaction.lost
            and session.block() is session.identity.context
        )

    def preparing(self) -> Flow[None]:
        """Do what comes before every statement."""
        session = self._session
        if not session.primary.connection.open:
            yield from self._recovering.going_without()
        if session.owed.pending:
            yield from self._recovering.finishing_pending()
        session.check_lost()
        if session.block() is not session.identity.context:
            yield from self.joining()

    def looking_at_block(self) -> Flow[None]:
        """Be the session that the block says, if that has changed."""
        if self._session.block() is not self._session.identity.context:
            yield from self.joining()

    def joining(self) -> Flow[None]:
        """Be the session that the block and the session id say; in a transaction, from the next.

        Raises ValueError where a scope must see a position of another flavor.
        """
        session = self._session
        identity, state = session.identity, session.state
        context = session.block()
        scope = None if context is None else context.scope
        if session.in_transaction or session.transaction.is_open:
            identity.look_again()
            inner = None if scope is None else session.hold.part_of(scope, joins=False)
            self._tell(scope, inner)
            return
        part = None if scope is None else session.hold.part_of(scope)
        identity.enter(context)
        choice = None if context is None else context.choice
        if not session.terms.chooses(choice):
            session.terms.choose(choice)
            session.look_at_terms()
        if part is not identity.part:
            yield from self._entering_scope(part, scope is None or scope.begins_anew)
        identity.take_scope(scope)
        self._tell(scope, part)
        key = identity.key_of(None if context is None else context.session_id, state.schema)
        if key == identity.key:
            identity.take_keeps()
        else:
            yield from self._being(key, part, scope is not None and scope.begins_anew)
        if identity.context is not AGAIN and session.terms.splits:
            session.transact(session.may_transact)

    def _being(self, key: str | None, part: Any, anew: bool) -> Flow[None]:
        """Be the session of another key."""
        session = self._session
        identity, state = session.identity, session.state
        mine = state.base | state.position, state.position_known
        if identity.key is None:
            identity.set_aside(state, in_scope=part is not None)
        identity.take_key(key)
        yield from self.ending_mark()
        self._reads.chooser.view.know(identity.shared_id or "")
        if key is None:
            identity.share(None)
            identity.go_on_alone(state, anew)
        else:
            identity.share((yield from Share(key)))
            state.begin_with(state.origin, state.origin, True, anew)
        identity.share_process()
        if identity.take_keeps():
            # The session is the same one, shared with others or not any more.
            state.see(mine[0])
            if not mine[1]:
                state.lose_position()

    def _entering_scope(self, part: Any, anew: bool) -> Flow[None]:
        """Be used in a scope from now on, or in none."""
        session = self._session
        identity = session.identity
        yield from self._reads.settling()
        identity.enter_scope(part, session.seen.take(), session.seen, session.state)
        if identity.key is None:
            identity.go_on_alone(session.state, anew)
        identity.share_process()

    def _tell(self, scope: Any, inner: Any) -> None:
        """Let those hear what is committed who share the session, and those of the block.

        They are not the same where the block began within the transaction. `inner` is what the
        block must see.
        """
        session = self._session
        identity, process = session.identity, session.cluster.process
        part = identity.part
        if scope is None and part is None:
            session.state.tell(process)
            return
        positions = [process]
        scopes: list[Any] = []
        if part is not None:
            positions.append(part)
        if inner is not None and inner is not part:
            positions.append(inner)
        if scope is not None:
            scopes += scope.around()
        if identity.scope is not None:
            scopes += [each for each in identity.scope.around() if each not in scopes]
        session.state.tell(session.hold.listeners(tuple(positions), tuple(scopes)))

    def ending_mark(self) -> Flow[None]:
        """End the mark of a write, as the connection is left by the session id, or closed.

        The connection's own transaction is rolled back then. What is still not known is asked for;
        if that can't be, the mark stays.
        """
        session = self._session
        sharing, state = session.identity.sharing, session.state
        if sharing is None or not sharing.is_open:
            return
        try:
            if session.owed.pending:
                yield from self._recovering.finishing_pending()
            elif not session.primary.connection.open or (
                session.in_transaction and not sharing.awaits
            ):
                if not state.position_known:
                    state.find_position((yield from self._asking.position_aside(hastily=True)))
                if (yield from Publish(sharing, state.written or None)):
                    state.published()
            elif not sharing.awaits:
                yield from self._publishing.publishing()
        except Fault:
            pass
