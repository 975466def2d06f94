"""The roads that a statement takes: straight ones, and the journey for all else.

What may go straight is decided in the core (`_core.flows.straight`). Here the statement is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .._core.cause import Reason
from .._core.flows.answer import EMPTY, Answer, Underway
from .._core.flows.command import Exchange, Flow, Open
from .._core.flows.journey import Journey
from .._core.flows.straight import InSnapshot, Straight
from .._core.session.session import Session
from .._core.session.state import IN_TRANSACTION
from .._core.sql.statement import Statement
from .._core.wire import Fault, raise_first
from .._drivers import err
from .._drivers.pymysql import PhysicalConnection, fault_of
from .outcome import error_of
from .perform import Hands, forget_frames, perform

__all__ = ["NO_ROADS", "Roads"]

T = TypeVar("T")


class Roads:
    """How the statements of one virtual connection are run."""

    def __init__(
        self, session: Session, journey: Journey, hands: Hands, primary: PhysicalConnection
    ) -> None:
        self._session = session
        self._journey = journey
        self._straight = Straight(session, journey)
        self._hands = hands
        self._primary = primary
        self._cluster = session.cluster
        self.is_open = True
        """Whether the straight roads are; tests close them, and compare."""

    def run(self, sql: Any, unbuffered: bool, template: tuple[Any, str] | None) -> Any:
        """Run a statement; returns its result, which tells its route."""
        straight, primary, session = self._straight, self._primary, self._session
        statement = straight.statement(sql, template) if self.is_open else None
        if statement is None:
            return self._finish(self._journey.running(sql, unbuffered, template))
        encoded = sql
        if not isinstance(sql, bytes):
            encoded = sql.encode(primary.encoding) if isinstance(sql, str) else bytes(sql)
        if statement.plain and session.snapshot is None:
            member: Any = straight.reader(statement)
            if member is not None:
                run = member.connection.query
                return self._read(member, run, statement, encoded, unbuffered, template)
            replica = straight.unopened(encoded)
            if replica is not None:
                member = self._hands[Open](Open(replica, along=True, alone=False))
                if member is not None:
                    run = member.connection.query_along
                    return self._read(member, run, statement, encoded, unbuffered, template)
        elif statement.usual and not unbuffered:
            if straight.writes(statement):
                return self._write(statement, encoded, template, [])
            before = straight.opens(statement)
            if before is not None:
                session.stir()
                return self._write(statement, encoded, template, before)
        session.stir()
        if statement.transaction is not None:
            begun = straight.begins(statement, encoded, quiet=False)
            if begun is not None:
                return self.result_of(begun)
        underway = Underway(statement, encoded, unbuffered, template)
        if session.snapshot is not None and statement.plain:
            reading = straight.in_snapshot(underway)
            if reading is not None:
                return self._read_in_snapshot(reading)
        if statement.plain:
            reason = straight.begins_on_primary(underway) or straight.on_primary(underway)
        else:
            reason = straight.on_primary(underway)
        if reason is None:
            return self._finish(self._journey.going(underway))
        status = session.state.status
        try:
            primary.query(encoded, unbuffered)
        except err.MySQLError as error:
            return self._finish(straight.failing(underway, reason, fault_of(error)))
        return self._take(statement, encoded, reason, status)

    def _write(
        self,
        statement: Statement,
        sql: bytes,
        template: tuple[Any, str] | None,
        before: list[bytes],
    ) -> Any:
        """Run a write that changes rows alone, behind the BEGIN of its transaction if need be."""
        straight, session, primary = self._straight, self._session, self._primary
        status = session.state.status
        try:
            if before:
                status |= IN_TRANSACTION
                self._hands[Exchange](Exchange(session.primary, before, raise_first, sql))
            else:
                primary.query(sql)
        except (err.MySQLError, Fault) as error:
            underway = Underway(statement, sql, template=template)
            # No name holds the fault: its frames would hold this one, and that the connection.
            return self._finish(straight.failing(underway, statement.reason, _as_fault(error)))
        result = primary.result
        route = straight.wrote(statement, result, status)
        if route is None:
            session.stir()
            return self._take(statement, sql, statement.reason, status)
        result.route = route
        return result

    def _take(self, statement: Statement, sql: bytes, reason: Reason, status: int) -> Any:
        """Take in what has run on the primary; `status` is the server's before it."""
        straight = self._straight
        answer = straight.ran(statement, sql, reason, status)
        asking = straight.settling(answer)
        if asking is not None:
            self.perform(asking)
        result = answer.result
        result.route = answer.route
        return result

    def _read(
        self,
        member: Any,
        run: Callable[[bytes, bool], Any],
        statement: Any,
        sql: bytes,
        unbuffered: bool,
        template: tuple[Any, str] | None,
    ) -> Any:
        """Run a free read on the member whose turn it is; `run` sends it there."""
        connection, straight = member.connection, self._straight
        since = self._session.clock()
        failed: tuple[Any, Fault] | None = None
        if len(sql) < connection.max_packet:
            try:
                if self._cluster.measures:
                    with self._cluster.measure.one(member.replica):
                        run(sql, unbuffered)
                else:
                    run(sql, unbuffered)
            except err.MySQLError as error:
                failed = member, fault_of(error)
            else:
                result = connection.result
                route = straight.read(member, statement, sql, result, since)
                if not isinstance(route, Fault):
                    result.route = route
                    return result
                failed = member, route
        underway = Underway(statement, sql, unbuffered, template)
        return self._finish(straight.reading_on(underway, failed, since))

    def _read_in_snapshot(self, reading: InSnapshot) -> Any:
        """Run a read in the snapshot that is claimed for it."""
        snapshot, read = reading.snapshot, reading.read
        fault, error = None, None
        try:
            try:
                sql = reading.underway.sql
                snapshot.member.connection.query_for(sql, read.unbuffered, read.fingerprint)
            except err.MySQLError as failed:
                fault = fault_of(failed)
            answer = self._straight.took(reading, fault)
        except Fault as raised:
            error = error_of(raised)
            forget_frames(raised)
        finally:
            snapshot.release()
        if error is not None:
            try:
                raise error
            finally:
                del error, fault  # which have this frame, and with that the connection
        if isinstance(answer, Answer):
            return self.result_of(answer)
        return self._finish(self._straight.leaving(reading.underway, answer))

    def transact(self, verb: str) -> Answer:
        """BEGIN, COMMIT or ROLLBACK by method."""
        if verb != "BEGIN":
            return self._end(verb)
        session = self._session
        session.stir()
        statement = session.language.statement(verb)
        begun = self._straight.begins(statement, b"BEGIN", quiet=True) if self.is_open else None
        return begun or self.perform(self._journey.moving.by_method(verb))

    def _end(self, verb: str) -> Answer:
        straight, session, primary = self._straight, self._session, self._primary
        snapshot = straight.leaves(verb) if self.is_open else None
        if snapshot is not None:
            return self._leave(snapshot, verb)
        if not (self.is_open and straight.ends()):
            return self.perform(self._journey.moving.by_method(verb))
        session.stir()
        status = session.state.status
        try:
            if verb == "COMMIT":
                primary.commit()
            else:
                primary.rollback()
        except err.MySQLError as error:
            return self.perform(straight.not_ended(verb, fault_of(error), status))
        answer = straight.ended(verb)
        asking = straight.settling_end()
        if asking is not None:
            self.perform(asking)
        return answer

    def _leave(self, snapshot: Any, verb: str) -> Answer:
        """End a transaction that has only read; the reply is read when it is needed."""
        self._session.stir()
        posted_at = self._session.clock()
        member, lost = None, False
        try:
            if snapshot.close():
                member = snapshot.member
                member.connection.post("COMMIT")
        except err.MySQLError:
            lost = True
        finally:
            snapshot.release()
        return self._straight.left(verb, member, lost, posted_at)

    # By the journey.

    def perform(self, flow: Flow[T]) -> T:
        """Carry a flow out: whatever it changes, the next statement looks at the session anew."""
        self._session.stir()
        return perform(flow, self._hands)

    def _finish(self, flow: Any) -> Any:
        return self.result_of(self.perform(flow))

    def result_of(self, answer: Answer) -> Any:
        """Return the result that an answer is."""
        result, made = answer.result, answer.made
        if made is EMPTY:
            result = self._primary.no_result(self.server_status)
        elif made is not None:
            result = self._primary.made_result(made.columns, made.rows)
        if answer.names:
            self._primary.rename(result, answer.names)
        result.route = answer.route
        return result

    @property
    def server_status(self) -> int:
        """The primary's status bits, and whether a transaction is open anywhere."""
        status: int = self._primary.server_status
        return status | IN_TRANSACTION if self._session.transaction.has_begun else status


def _as_fault(error: err.MySQLError | Fault) -> Fault:
    return error if isinstance(error, Fault) else fault_of(error)


class _NoRoads:
    """Where there is no session yet: PyMySQL's error of a connection that was never made."""

    def run(self, sql: Any, unbuffered: bool, template: tuple[Any, str] | None) -> Any:
        raise err.InterfaceError(0, "")


NO_ROADS: Any = _NoRoads()
