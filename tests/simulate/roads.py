"""The roads that a simulated statement takes: the shell's, with events in between.

See `rwsplit._shell.roads`: what is here must be what is there.
"""

from __future__ import annotations

from typing import Any

from rwsplit._core.cause import Reason
from rwsplit._core.flows.answer import EMPTY, Answer, Underway
from rwsplit._core.flows.command import ByMethod, Exchange, Flow, Post
from rwsplit._core.flows.journey import Journey
from rwsplit._core.flows.straight import InSnapshot, Straight
from rwsplit._core.session.session import Session
from rwsplit._core.session.state import IN_TRANSACTION
from rwsplit._core.sql.statement import Statement
from rwsplit._core.wire import Fault, raise_first

from .connection import Connection
from .replies import Reply

__all__ = ["Roads"]


def _accept(replies: list[Any]) -> None:
    """Nothing comes before the statement."""


class Roads:
    """How the statements of one virtual connection are run.

    :param is_open: whether the straight roads are.
    """

    def __init__(self, session: Session, journey: Journey, is_open: bool) -> None:
        self._session, self._journey = session, journey
        self._straight = Straight(session, journey)
        self._is_open = is_open
        self.taken = 0
        """How many statements went straight."""

    def run(self, sql: str, unbuffered: bool) -> Flow[Reply]:
        """Run a statement; returns its result, which tells its route."""
        straight, session = self._straight, self._session
        statement = straight.statement(sql, None) if self._is_open else None
        if statement is None:
            session.stir()
            return self._result_of((yield from self._journey.running(sql, unbuffered)))
        encoded = sql.encode()
        if statement.plain and session.snapshot is None:
            member: Any = straight.reader(statement)
            if member is not None:
                return (yield from self._read(member, statement, encoded, unbuffered))
        elif statement.usual and not unbuffered:
            if straight.writes(statement):
                return (yield from self._write(statement, encoded, []))
            before = straight.opens(statement)
            if before is not None:
                session.stir()
                return (yield from self._write(statement, encoded, before))
        session.stir()
        if statement.transaction is not None:
            begun = straight.begins(statement, encoded, quiet=False)
            if begun is not None:
                self.taken += 1
                return self._result_of(begun)
        underway = Underway(statement, encoded, unbuffered)
        if session.snapshot is not None and statement.plain:
            reading = straight.in_snapshot(underway)
            if reading is not None:
                return (yield from self._read_in_snapshot(reading))
        if statement.plain:
            reason = straight.begins_on_primary(underway) or straight.on_primary(underway)
        else:
            reason = straight.on_primary(underway)
        if reason is None:
            return self._result_of((yield from self._journey.going(underway)))
        status = session.state.status
        self.taken += 1
        try:
            yield from Exchange(session.primary, [], _accept, encoded, unbuffered)
        except Fault as fault:
            return self._result_of((yield from straight.failing(underway, reason, fault)))
        return (yield from self._take(statement, encoded, reason, status))

    def _write(self, statement: Statement, sql: bytes, before: list[bytes]) -> Flow[Reply]:
        straight, session = self._straight, self._session
        status = session.state.status
        if before:
            status |= IN_TRANSACTION
        self.taken += 1
        try:
            yield from Exchange(session.primary, before, raise_first, sql)
        except Fault as fault:
            session.stir()
            flow = straight.failing(Underway(statement, sql), statement.reason, fault)
            return self._result_of((yield from flow))
        result = session.primary.connection.result
        route = straight.wrote(statement, result, status)
        if route is None:
            session.stir()
            return (yield from self._take(statement, sql, statement.reason, status))
        return self._result_of(Answer(route, result))

    def _take(self, statement: Statement, sql: bytes, reason: Reason, status: int) -> Flow[Reply]:
        straight = self._straight
        answer = straight.ran(statement, sql, reason, status)
        asking = straight.settling(answer)
        if asking is not None:
            yield from asking
        return self._result_of(answer)

    def transact(self, verb: str) -> Flow[Answer]:
        """BEGIN, COMMIT or ROLLBACK by method."""
        session, begun = self._session, None
        if verb == "BEGIN":
            session.stir()
            if self._is_open:
                statement = session.language.statement(verb)
                begun = self._straight.begins(statement, verb.encode(), quiet=True)
            if begun is None:
                return (yield from self._journey.moving.by_method(verb))
            self.taken += 1
            return begun
        return (yield from self._end(verb))

    def _end(self, verb: str) -> Flow[Answer]:
        straight, session = self._straight, self._session
        snapshot = straight.leaves(verb) if self._is_open else None
        if snapshot is not None:
            return (yield from self._leave(snapshot, verb))
        if not (self._is_open and straight.ends()):
            session.stir()
            return (yield from self._journey.moving.by_method(verb))
        session.stir()
        status = session.state.status
        self.taken += 1
        try:
            yield from ByMethod(session.primary, verb.lower())
        except Fault as fault:
            return (yield from straight.not_ended(verb, fault, status))
        answer = straight.ended(verb)
        asking = straight.settling_end()
        if asking is not None:
            yield from asking
        return answer

    def _leave(self, snapshot: Any, verb: str) -> Flow[Answer]:
        self._session.stir()
        self.taken += 1
        posted_at = self._session.clock()
        member, lost = None, False
        try:
            if snapshot.close():
                member = snapshot.member
                yield from Post(member, "COMMIT")
        except Fault:
            lost = True
        finally:
            snapshot.release()
        return self._straight.left(verb, member, lost, posted_at)

    def _read(self, member: Any, statement: Any, sql: bytes, unbuffered: bool) -> Flow[Reply]:
        connection: Connection = member.connection
        since = self._session.clock()
        failed: tuple[Any, Fault] | None = None
        self.taken += 1
        try:
            yield from Exchange(member, [], _accept, sql, unbuffered)
        except Fault as fault:
            failed = member, fault
        else:
            result = connection.result
            route = self._straight.read(member, statement, sql, result, since)
            if not isinstance(route, Fault):
                return self._result_of(Answer(route, result))
            failed = member, route
        self._session.stir()
        underway = Underway(statement, sql, unbuffered)
        flow = self._straight.reading_on(underway, failed, since)
        return self._result_of((yield from flow))

    def _read_in_snapshot(self, reading: InSnapshot) -> Flow[Reply]:
        snapshot, read, sql = reading.snapshot, reading.read, reading.underway.sql
        fault = None
        self.taken += 1
        try:
            try:
                yield from Exchange(
                    snapshot.member, [], _accept, sql, read.unbuffered, read.fingerprint
                )
            except Fault as failed:
                fault = failed
            answer = self._straight.took(reading, fault)
        finally:
            snapshot.release()
        if not isinstance(answer, Answer):
            flow = self._straight.leaving(reading.underway, answer)
            answer = yield from flow
        return self._result_of(answer)

    def _result_of(self, answer: Answer) -> Reply:
        result: Any = answer.result
        if answer.made is EMPTY or result is None:
            result = Reply()
        elif answer.made is not None:
            result = Reply(tuple(answer.made.rows))
        result.route = answer.route
        return result
