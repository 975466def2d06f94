"""What an application does by methods of the connection, beside its statements."""

from __future__ import annotations

from typing import Any

from ..cause import Cause, Reason
from ..cluster.position import Position
from ..session.route import Destination, Route
from ..session.session import Session
from ..sql.statement import Kind, Statement, because
from ..wire import Fault
from .answer import Answer
from .command import ByMethod, Flow
from .journey import Journey
from .recovering import NOTHING

__all__ = ["Methods"]

_ASKED = Route(Destination.REPLICA, because(Kind.READ, "its position is asked for"))
_UNKNOWN = Statement(
    Kind.UNKNOWN, Reason("more than one", Cause.NOT_UNDERSTOOD), may_change_session=True
)


class Methods:
    """What a connection's methods do."""

    def __init__(self, session: Session, journey: Journey) -> None:
        self._session = session
        self._journey = journey

    def selecting(self, database: Any, name: str | None, changes: bool) -> Flow[Answer | None]:
        """Change the default schema, if it `changes`, and be whom that makes of the session.

        :param name: the session id that stood behind the schema's name; None for none.
        """
        session, journey = self._session, self._journey
        answer = None
        if changes:
            yield from journey.moving.flushing()
            action = iter(ByMethod(session.primary, "select_db", database))
            answer = yield from journey.writing.by_method("USE", action)
            text = database.decode() if isinstance(database, bytes) else database
            session.state.set_schema(text)
        if name is not None:
            session.identity.name(name)
        yield from journey.joining.joining()
        return answer

    def encoding(self, charset: str, collation: str | None) -> Flow[Answer]:
        """Set the character set, and the collation, of the connection."""
        session, journey = self._session, self._journey

        def setting() -> Flow[None]:
            yield from ByMethod(session.primary, "set_character_set", charset, collation)
            # Not before: what was not sent has changed nothing.
            session.state.expect_charset()

        yield from journey.joining.preparing()
        yield from journey.moving.flushing()
        return (yield from journey.writing.by_method("SET NAMES", setting()))

    def switching(self, value: Any) -> Flow[Answer]:
        """Switch autocommit on or off."""
        journey = self._journey
        yield from journey.moving.switching_autocommit(value)
        action = iter(ByMethod(self._session.primary, "autocommit", value))
        return (
            yield from journey.writing.by_method(f"SET autocommit = {int(bool(value))}", action)
        )

    def going_on(self, unbuffered: bool) -> Flow[Any]:
        """Go on to the next result of the last statement; returns it."""
        session, learning = self._session, self._journey.learning
        member = session.followed.last or session.primary
        try:
            yield from ByMethod(member, "next_result", unbuffered)
        except Fault as fault:
            if member is session.primary and not fault.is_lost:
                yield from learning.late_failure(_UNKNOWN)
                yield from self._journey.publishing.publishing()
            raise
        result = member.connection.result
        if member is session.primary:
            if not member.connection.tells:
                session.state.note_failure(_UNKNOWN)
            learning.learn()
            session.owed.note_pending(bool(result.has_next or result.unbuffered_active))
            if not session.owed.pending:
                yield from self._journey.publishing.publishing()
        return result

    def pinging(self) -> Flow[None]:
        """Check that the primary answers; where reads go on without it, that is enough."""
        session, journey = self._session, self._journey
        recovering, holding = journey.recovering, journey.holding
        if session.hold.revives and not session.hold.ended:
            if not session.primary.connection.open:
                yield from recovering.going_without()
            if session.owed.pending:
                yield from recovering.finishing_pending()
            session.check_lost()
            if holding.has_left():
                yield from recovering.leaving()
                if not session.cluster.usable():
                    yield from holding.needing()
                elif not (yield from holding.having()):
                    return  # reads go on
        connection = session.primary.connection
        status = connection.server_status if connection.open else 0
        try:
            yield from ByMethod(session.primary, "ping")
        except Fault as fault:
            if not (session.hold.revives and fault.is_lost):
                raise
            raise (yield from recovering.losing(fault, NOTHING, status)) from fault
        session.followed.note_last(session.primary, warned=False)

    def showing_warnings(self) -> Flow[Any]:
        """Return the warnings of the last statement."""
        self._session.check_lost()
        if self._session.owed.pending:
            yield from self._journey.recovering.finishing_pending()
        return (yield from self._journey.asking.showing_warnings())

    def handing_over(self, why: Reason) -> Flow[None]:
        """Let the application speak the protocol itself: what that does nobody knows."""
        session, journey = self._session, self._journey
        yield from journey.moving.flushing()
        yield from journey.joining.preparing()
        yield from journey.recovering.having_primary()
        session.seen.read_on_primary()
        session.state.lose_position()
        session.state.bind("protocol", why)
        session.terms.switch(why)
        session.transact(False)
        session.look_at_terms()
        session.followed.ask_only(session.primary)

    # What reads must see.

    def knowing_position(self) -> Flow[Position]:
        """Return the position that reads must see."""
        session, journey = self._session, self._journey
        yield from journey.joining.looking_at_block()
        state, seen, identity = session.state, session.seen, session.identity
        yield from journey.reads.settling()
        if identity.sharing is not None:
            yield from journey.publishing.looking_at_store(_ASKED)
        if identity.has_news:
            yield from journey.publishing.hearing()
        known = state.base | state.position | seen.known()
        untold = seen.on_primary or seen.is_untold
        if not state.position_known or session.owed.pending or untold:
            known = known | (yield from journey.asking.position_aside())
        return known

    def waiting(self, wanted: Position, seconds: float) -> Flow[bool]:
        """Wait until a replica has a position, which reads see from now on."""
        journey = self._journey
        yield from journey.joining.looking_at_block()
        self._session.state.ask_for(wanted)
        if not self._session.terms.splits:
            return True
        return (yield from journey.reads.waiting_for(wanted, seconds))

    def beginning(self, known: Position) -> Flow[None]:
        """Begin where the primary was when last seen, as pools do."""
        yield from self._journey.joining.looking_at_block()
        scope = self._session.identity.scope
        self._session.state.begin_at(known, counts=scope is None or not scope.begins_anew)
