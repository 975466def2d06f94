"""Carries out against the model what a virtual connection's flows want done.

What the shell does with a driver is done here with the model's wires: the same orders, the same
faults, and the rules of the cluster asked in the same places. Each command that waits for a server
is answered by an event, so that others come in between.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from rwsplit._core.fingerprint import Fingerprint
from rwsplit._core.flows.command import (
    Acquire,
    Ask,
    AskAllAside,
    AskAside,
    ByMethod,
    Claim,
    Command,
    Connect,
    Exchange,
    FinishPrevious,
    KillElsewhere,
    LetGo,
    Look,
    Mark,
    Open,
    Post,
    Publish,
    Repeat,
    ReportLate,
    Settle,
    Share,
    WaitAside,
    WaitForAnyone,
    WaitForPrimary,
    WatchSnapshot,
)
from rwsplit._core.wire import Fault

from .commands import Pause
from .connection import Connection
from .dialing import Dialing
from .replies import Reply, lost
from .sharing import Sharing
from .snapshot import Snapshot
from .wire import Call

if TYPE_CHECKING:
    from .clients import Client

__all__ = ["Hands"]

Done = Callable[[Any], None]
Failed = Callable[[Exception], None]
Hand = Callable[[Any, Done, Failed], None]


class Hands:
    """The hands of one virtual connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._world = client.world
        self._clock, self._dice = client.world.clock, client.world.dice
        dialing = Dialing(client)
        self._hands: dict[type[Command[Any]], Hand] = {
            Exchange: self._exchange,
            Ask: self._ask,
            Repeat: self._repeat,
            ByMethod: self._by_method,
            Post: self._post,
            Settle: self._settle,
            FinishPrevious: self._finish_previous,
            ReportLate: self._report_late,
            Open: dialing.open,
            WaitAside: dialing.wait_aside,
            Connect: dialing.connect,
            AskAside: dialing.ask_aside,
            AskAllAside: dialing.ask_all_aside,
            WaitForPrimary: self._wait_for_primary,
            WaitForAnyone: self._wait_for_anyone,
            Claim: self._claim,
            WatchSnapshot: self._watch,
            Share: self._share,
            Look: lambda c, *to: self._go_through(c.sharing.looking(c.flavor), *to),
            Mark: lambda c, *to: self._go_through(c.sharing.marking(), *to),
            Publish: lambda c, *to: self._go_through(c.sharing.publishing(c.position), *to),
            LetGo: lambda c, *to: self._go_through(c.sharing.letting_go(), *to),
            Pause: lambda c, done, _: self._clock.at(c.seconds, done, None),
            Acquire: lambda c, done, _: done(True),
            KillElsewhere: lambda c, done, _: done(None),
        }

    # Flows.

    def perform(self, flow: Generator[Any, Any, Any], ended: Callable[[], None]) -> None:
        """Carry a flow out; what it raises ends the schedule."""

        def failed(error: Exception) -> None:
            raise error

        self._step(flow, flow.send, None, lambda _: ended(), failed)

    def _go_through(self, flow: Generator[Any, Any, Any], done: Done, failed: Failed) -> None:
        self._step(flow, flow.send, None, done, failed)

    def _step(
        self, flow: Generator[Any, Any, Any], step: Any, reply: Any, done: Done, failed: Failed
    ) -> None:
        self._world.cluster.turns.who = self._client.turn
        try:
            command: Any = step(reply)
        except StopIteration as over:
            done(over.value)
            return
        except Fault as fault:
            failed(fault)
            return
        if not self._world.cluster.primary_is_up:
            self._client.is_away = True
        self._hands[type(command)](
            command,
            lambda value: self._step(flow, flow.send, value, done, failed),
            lambda error: self._step(flow, flow.throw, error, done, failed),
        )

    # With a member.

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

    def _exchange(self, command: Exchange, done: Done, failed: Failed) -> None:
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

    def _ask(self, command: Ask, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection

        def finish(replies: list[Any]) -> None:
            _take_all(connection, replies)
            done(replies)

        self._run(connection, command.statements, finish, failed, asks=command.again)

    def _repeat(self, command: Repeat, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection

        def finish(replies: list[Any]) -> None:
            _take_all(connection, replies)
            done([_repeated(*each) for each in zip(replies, command.orders, strict=True)])

        self._run(connection, command.statements, finish, failed)

    def _by_method(self, command: ByMethod, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection
        method, arguments = command.method, command.arguments
        sql = {
            "autocommit": f"SET autocommit = {int(bool(arguments and arguments[0]))}",
            "show_warnings": "SHOW WARNINGS",
        }.get(method, method.upper())
        if method == "select_db":
            sql = f"USE `{arguments[0]}`"

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

    def _report_late(self, command: ReportLate, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection
        if connection.flavor == "mariadb" and not command.schema:
            done(False)
            return

        def finish(replies: list[Any]) -> None:
            _take_all(connection, replies)
            done(True)

        sql = "PING" if connection.flavor == "mysql" else f"USE `{command.schema}`"
        self._run(connection, [sql], finish, lambda _: done(False))

    def _finish_previous(self, command: FinishPrevious, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection
        if connection.wire is None:
            failed(lost("", 0))
            return
        connection.finish()
        done(None)

    # What is posted.

    def _post(self, command: Post, done: Done, failed: Failed) -> None:
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

    def _settle(self, command: Settle, done: Done, failed: Failed) -> None:
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

    # Of the process.

    def _wait_for_primary(self, command: WaitForPrimary, done: Done, failed: Failed) -> None:
        cluster, generation = self._world.cluster, command.generation
        cluster.wait_for(
            lambda: cluster.primary_is_up or cluster.generation != generation, command.until, done
        )

    def _wait_for_anyone(self, command: WaitForAnyone, done: Done, failed: Failed) -> None:
        cluster = self._world.cluster
        known = cluster.candidates

        def has_changed() -> bool:
            cluster.usable()
            return cluster.primary_is_up or cluster.candidates != known

        cluster.wait_for(has_changed, command.until, lambda _: done(None))

    def _claim(self, command: Claim, done: Done, failed: Failed) -> None:
        if command.snapshot.claim():
            done(None)
        else:
            command.snapshot.claim_later(lambda: done(None))

    def _watch(self, command: WatchSnapshot, done: Done, failed: Failed) -> None:
        client = self._client
        most = client.plan.max_snapshot
        end = client.journey.reads.ending
        done(Snapshot(self._clock, command.member, most, command.consistency, end, self.perform))

    def _share(self, command: Share, done: Done, failed: Failed) -> None:
        world = self._world

        def failed() -> None:
            world.marks_stay = True

        store = world.store or world.cluster.memory
        done(Sharing(store, command.key, self._client.journey.asking.position_aside, failed))


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
