"""The roads that a statement takes: straight ones, and the journey for all else.

What may go straight is decided in the core (`_core.flows.straight`). Here the statement is sent.
"""

from __future__ import annotations

from typing import Any, TypeVar

from .._core.flows.answer import EMPTY, Answer, Underway
from .._core.flows.command import Flow
from .._core.flows.journey import Journey
from .._core.flows.straight import InSnapshot, Straight
from .._core.session.session import Session
from .._core.session.state import IN_TRANSACTION
from .._core.wire import Fault
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
                return self._read(member, statement, encoded, unbuffered, template)
        session.stir()
        underway = Underway(statement, encoded, unbuffered, template)
        if session.snapshot is not None and statement.plain:
            reading = straight.in_snapshot(underway)
            if reading is not None:
                return self._read_in_snapshot(reading)
        reason = straight.on_primary(underway)
        if reason is None:
            return self._finish(self._journey.going(underway))
        status = session.state.status
        try:
            primary.query(encoded, unbuffered)
        except err.MySQLError as error:
            return self._finish(straight.failing(underway, reason, fault_of(error)))
        answer = straight.ran(statement, encoded, reason, status)
        asking = straight.settling(answer)
        if asking is not None:
            self.perform(asking)
        result = answer.result
        result.route = answer.route
        return result

    def _read(
        self,
        member: Any,
        statement: Any,
        sql: bytes,
        unbuffered: bool,
        template: tuple[Any, str] | None,
    ) -> Any:
        """Run a free read on the member whose turn it is."""
        connection, straight = member.connection, self._straight
        since = self._session.clock() if connection.read_timeout else 0.0
        failed: tuple[Any, Fault] | None = None
        if len(sql) < connection.max_packet:
            try:
                if self._cluster.measures:
                    with self._cluster.measure.one(member.replica):
                        connection.query(sql, unbuffered)
                else:
                    connection.query(sql, unbuffered)
            except err.MySQLError as error:
                failed = member, fault_of(error)
            else:
                result = connection.result
                route = straight.read(member, statement, sql, result)
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

    def end(self, verb: str) -> Answer:
        """COMMIT or ROLLBACK by method."""
        straight, session, primary = self._straight, self._session, self._primary
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


class _NoRoads:
    """Where there is no session yet: PyMySQL's error of a connection that was never made."""

    def run(self, sql: Any, unbuffered: bool, template: tuple[Any, str] | None) -> Any:
        raise err.InterfaceError(0, "")


NO_ROADS: Any = _NoRoads()
