"""What hands do with a member's connection, and what its server answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rwsplit._core.flows.command import (
    Ask,
    ByMethod,
    Exchange,
    FinishPrevious,
    Post,
    Repeat,
    ReportLate,
    Settle,
)
from rwsplit._core.sql.fingerprint import Fingerprint
from rwsplit._core.wire import Fault

from .connection import Connection
from .replies import Reply, lost
from .wire import Call

if TYPE_CHECKING:
    from .clients import Client

__all__ = ["Done", "Exchanging", "Failed"]

Done = Callable[[Any], None]
Failed = Callable[[Exception], None]


class Exchanging:
    """What talks with the members of one virtual connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._clock, self._dice = client.world.clock, client.world.dice

    def _run(
        self,
        connection: Connection,
        statements: Sequence[str | bytes],
        done: Done,
        failed: Failed,
        limit: float | None = None,
        asks: bool = False,
    ) -> None:
        """Run statements in one round trip, behind what is still to be read."""
        if connection.posted is not None and connection.wire is not None:
            self._read_posted(
                connection,
                lambda _: self._run(connection, statements, done, failed, limit, asks),
                failed,
            )
            return
        connection.finish()
        wire = connection.wire
        if wire is None:
            # There is nothing to write to: PyMySQL says so at once.
            self._clock.at(0.0, failed, lost("", 0))
            return
        connection.writes += 1
        connection.due = 1
        if connection is self._client.primary.connection:
            self._client.sent += 1
        wire.asks = asks
        assert wire.call is None, "two statements at a time on one connection"

        def lose(fault: Fault) -> None:
            connection.due = 0
            connection.note_fault(fault)
            self._client.is_away |= connection is self._client.primary.connection
            failed(fault)

        def answered(replies: list[Any]) -> None:
            connection.due = 0
            done(replies)

        patience = connection.read_timeout if limit is None else max(limit, 0.001)
        Call(
            *(self._clock, self._dice, wire, lambda answer: wire.run(statements, answer)),
            *(answered, lose, patience),
        )

    def exchange(self, command: Exchange, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection
        before, sql = len(command.before), command.sql
        statements = [*command.before, *([sql] if sql is not None else [])]

        def finish(replies: list[Any]) -> None:
            _take_all(connection, replies[:before])
            try:
                if sql is not None:
                    connection.result = None
                try:
                    command.accept(replies[:before])
                except Exception:
                    _take_all(connection, replies[before:])
                    raise
                result = None
                if sql is not None:
                    if isinstance(replies[-1], Fault):
                        connection.note_fault(replies[-1])
                        raise replies[-1]
                    result = connection.take_result(
                        replies[-1], command.unbuffered, command.fingerprint
                    )
            except Exception as error:
                failed(error)
                return
            done(result)

        self._run(connection, statements, finish, failed, command.limit)

    def ask(self, command: Ask, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection

        def finish(replies: list[Any]) -> None:
            _take_all(connection, replies)
            done(replies)

        self._run(connection, command.statements, finish, failed, asks=command.again)

    def repeat(self, command: Repeat, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection

        def finish(replies: list[Any]) -> None:
            _take_all(connection, replies)
            done([_repeated(*each) for each in zip(replies, command.orders, strict=True)])

        self._run(connection, command.statements, finish, failed)

    def by_method(self, command: ByMethod, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection
        method, arguments = command.method, command.arguments
        sql = {
            "autocommit": f"SET autocommit = {int(bool(arguments and arguments[0]))}",
            "show_warnings": "SHOW WARNINGS",
        }.get(method, method.upper())
        if method == "select_db":
            sql = f"INIT {arguments[0]}"

        def finish(replies: list[Any]) -> None:
            (reply,) = replies
            connection.result = None
            if isinstance(reply, Fault):
                connection.note_fault(reply)
                failed(reply)
                return
            connection.take(reply)
            done(reply.rows if method == "show_warnings" else None)

        self._run(connection, [sql], finish, failed)

    def report_late(self, command: ReportLate, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection
        if connection.flavor == "mariadb" and not command.schema:
            done(False)
            return

        def finish(replies: list[Any]) -> None:
            _take_all(connection, replies)
            done(True)

        sql = "PING" if connection.flavor == "mysql" else f"INIT {command.schema}"
        self._run(connection, [sql], finish, lambda _: done(False))

    def finish_previous(self, command: FinishPrevious, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection
        if connection.wire is None:
            failed(lost("", 0))
            return
        connection.finish()
        done(None)

    # What is posted.

    def post(self, command: Post, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection
        connection.finish()
        wire = connection.wire
        if wire is None or not wire.is_open:
            self._clock.at(0.0, failed, lost())
            return
        connection.posted, connection.on_posted = [], None
        posted = connection.posted
        wire.asks = False

        def come(reply: Any) -> None:
            posted.append(reply)
            if connection.on_posted is not None:
                connection.on_posted()

        Call(
            *(self._clock, self._dice, wire, lambda answer: wire.run([command.sql], answer)),
            *(come, come),
        )
        self._clock.at(0.0, done, None)

    def settle(self, command: Settle, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection
        if connection.posted is None:
            done(None)
        else:
            self._read_posted(connection, done, failed)

    def _read_posted(self, connection: Connection, done: Done, failed: Failed) -> None:
        posted = connection.posted
        assert posted is not None

        def settle() -> None:
            reply = posted.pop()
            connection.posted = connection.on_posted = None
            if isinstance(reply, Fault):
                connection.note_fault(reply)
                failed(reply)
                return
            _take_all(connection, reply)
            done(None)

        if posted:
            settle()
        else:
            connection.on_posted = settle


def _take_all(connection: Connection, replies: list[Any]) -> None:
    for reply in replies:
        if isinstance(reply, Reply):
            connection.take(reply)


def _repeated(reply: Reply | Fault, ordered: bool | None) -> Fingerprint | Fault | None:
    if ordered is None or isinstance(reply, Fault):
        return reply if isinstance(reply, Fault) else None
    taken = Fingerprint(ordered)
    reply.fill(taken, is_stream=False)
    return taken
