"""Carries out against the model what a virtual connection's flows want done.

What the shell does with a driver is done here with the model's wires: the same orders, the same
faults, and the rules of the cluster asked in the same places.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from rwsplit._core.cluster import joining
from rwsplit._core.cluster.facts import PrimaryFacts
from rwsplit._core.cluster.server import Server
from rwsplit._core.flows.command import (
    AskAside,
    AskPosition,
    Command,
    Exchange,
    HavePrimary,
    Open,
    Post,
    Settle,
    WaitAside,
)
from rwsplit._core.flows.reading import Aside
from rwsplit._core.numbers import BAD_DB, CON_COUNT
from rwsplit._core.position import parse_history, parse_position
from rwsplit._core.whereabouts import POSITION_SQL, told_position
from rwsplit._core.wire import Fault, Kind

from .checks import Broken
from .server import Server as Model
from .wire import Call, Reply, Wire, lost

if TYPE_CHECKING:
    from .clients import Client

__all__ = ["Connection", "Hands", "Member", "Pause", "ReadThere", "Write"]

_CONNECT_TIMEOUT = 1.0
Done = Callable[[Any], None]
Failed = Callable[[Exception], None]


class Pause(Command[None]):
    """Do nothing for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Write(Command[str]):
    """Commit a transaction on the primary; answers with its GTID."""

    def __init__(self, how: str) -> None:
        self.how = how


class ReadThere(Command[Reply]):
    """Read on the primary."""


class Connection:
    """A driver's connection, as far as flows look at it."""

    max_packet = 1 << 24
    result = None

    def __init__(self, flavor: str, read_timeout: float | None = None) -> None:
        self.flavor = flavor
        self.read_timeout = read_timeout
        self.wire: Wire | None = None
        self.is_reading = False
        self.tails: list[bytes] = []
        self.reply: Reply | None = None
        """What the last read saw."""
        self.posted: list[Any] = []
        """What has come for a statement that was posted: a reply or a fault."""
        self.on_posted: Callable[[], None] | None = None

    @property
    def open(self) -> bool:
        return self.wire is not None and self.wire.is_open


class Member:
    """A physical connection that a virtual connection holds."""

    def __init__(self, connection: Connection, name: str, replica: Server | None) -> None:
        self.connection, self.name, self.replica = connection, name, replica
        self.role = "primary" if replica is None else "replica"
        self.version = 0
        self.prepared: dict[str, Any] = {}
        self.asked = False

    def __repr__(self) -> str:
        return f"<Member {self.name}>"

    @property
    def is_open(self) -> bool:
        return self.connection.open


class Hands:
    """The hands of one virtual connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._world = client.world
        self._clock, self._dice = client.world.clock, client.world.dice
        self._hands: dict[type[Command[Any]], Callable[[Any, Done, Failed], None]] = {
            Exchange: self._exchange,
            Open: self._open,
            Post: self._post,
            Settle: self._settle,
            WaitAside: self._wait_aside,
            AskPosition: self._ask_position,
            AskAside: self._ask_aside,
            HavePrimary: self._have_primary,
            Pause: lambda c, done, _: self._clock.at(c.seconds, done, None),
            Write: self._write,
            ReadThere: self._read_there,
        }

    def perform(self, flow: Generator[Any, Any, Any], ended: Callable[[], None]) -> None:
        """Carry a flow out; what it raises ends the schedule."""
        self._step(flow, flow.send, None, ended)

    def _step(
        self, flow: Generator[Any, Any, Any], step: Done, reply: Any, ended: Callable[[], None]
    ) -> None:
        try:
            command: Any = step(reply)  # type: ignore[func-returns-value]
        except StopIteration:
            ended()
            return
        self._hands[type(command)](
            command,
            lambda value: self._step(flow, flow.send, value, ended),
            lambda error: self._step(flow, flow.throw, error, ended),
        )

    def _call(
        self,
        wire: Wire | None,
        work: Callable[[Done], None],
        done: Done,
        failed: Failed,
        seconds: float | None = None,
    ) -> None:
        if wire is None or not wire.is_open:
            self._clock.at(0.0, failed, lost())
            return
        assert wire.call is None, "two statements at a time on one connection"
        Call(self._clock, self._dice, wire, work, done, failed, seconds)

    # With a member.

    def _exchange(self, command: Exchange, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection
        wire, before = connection.wire, len(command.before)
        statements = [*command.before, *([command.sql] if command.sql is not None else [])]
        connection.tails.clear()

        def finish(replies: list[Any]) -> None:
            connection.tails += [r.tail for r in replies if isinstance(r, Reply) and r.tail]
            try:
                command.accept(replies[:before])
                if command.sql is not None:
                    if isinstance(replies[-1], Fault):
                        raise replies[-1]
                    connection.reply = replies[-1]
            except Exception as error:
                failed(error)
                return
            done(None)

        limit = command.limit if command.limit is not None else self._client.plan.timeout
        if wire is not None:
            wire.asks = command.sql is None
        self._call(wire, lambda answer: wire.run(statements, answer), finish, failed, limit)  # type: ignore[union-attr]

    def _post(self, command: Post, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection
        if not connection.open:
            self._clock.at(0.0, failed, lost())
            return
        wire = connection.wire
        assert wire is not None
        connection.posted.clear()
        connection.on_posted = None

        def come(reply: Any) -> None:
            connection.posted.append(reply)
            if connection.on_posted is not None:
                connection.on_posted()

        self._call(wire, lambda answer: wire.run([command.sql], answer), come, come)
        self._clock.at(0.0, done, None)

    def _settle(self, command: Settle, done: Done, failed: Failed) -> None:
        connection: Connection = command.member.connection

        def settle() -> None:
            reply = connection.posted.pop()
            connection.on_posted = None
            if isinstance(reply, Fault):
                failed(reply)
                return
            connection.tails[:] = [each.tail for each in reply if each.tail]
            done(None)

        if connection.posted:
            settle()
        else:
            connection.on_posted = settle

    def _ask_position(self, command: AskPosition, done: Done, failed: Failed) -> None:
        member = command.member
        connection: Connection = member.connection
        connection.is_reading = False
        if member.replica is None:
            self._client.note_asked()

            def away(error: Exception) -> None:
                self._client.note_away()
                failed(error)

            self._ask(connection.wire, member.role, done, away)
            return
        self._ask(connection.wire, member.role, done, failed)

    def _ask(self, wire: Wire | None, role: str, done: Done, failed: Failed) -> None:
        flavor = self._world.flavor
        sql = POSITION_SQL[role][flavor]
        if wire is not None:
            wire.asks = True
        self._call(
            wire,
            lambda answer: wire.run([sql], answer),  # type: ignore[union-attr]
            lambda replies: done(told_position(flavor, replies[0].rows[0][0])),
            failed,
            self._client.plan.timeout,
        )

    # Opening.

    def _open(self, command: Open, done: Done, failed: Failed) -> None:
        members = self._client.members
        name = command.replica.endpoint.name
        if self._client.chooser.aside.get(name, 0.0) > self._clock():
            raise Broken("aside", f"{name} was left aside, and is asked again")
        members.pop(name, None)

        def opened(member: Member) -> None:
            members[name] = member
            done(member)

        self._connect(command.replica, opened, failed)

    def _wait_aside(self, command: WaitAside, done: Done, failed: Failed) -> None:
        def opened(member: Member) -> None:
            wire = member.connection.wire
            assert wire is not None

            def finish(replies: list[Any]) -> None:
                wire.close()
                done(replies)

            self._call(wire, lambda answer: wire.run(command.statements, answer), finish, failed)

        self._connect(command.replica, opened, failed)

    def _connect(self, replica: Server, done: Done, failed: Failed) -> None:
        """Make a member; see the shell's `Opener` and `open_replica`."""
        client, world, now = self._client, self._world, self._clock()
        name, session = replica.endpoint.name, client.session
        model = world.models[name]
        until = replica.refusals.until("app", now)
        if until:
            self._clock.at(0.0, failed, Aside(until))
            return
        version, before = session.version, replica.floor or replica.position
        replica.opening += 1

        def refuse(error: Exception) -> None:
            replica.opening -= 1
            if isinstance(error, Fault) and error.kind is Kind.FULL:
                replica.note_full(self._clock())
                error = Aside()
            elif isinstance(error, Fault) and error.kind is Kind.NO_SCHEMA:
                error = Aside()
            elif isinstance(error, Fault) and error.kind is Kind.DENIED:
                dice = self._dice.random()
                error = Aside(replica.refusals.add("app", self._clock(), dice))
            else:
                world.cluster.rest(replica, str(error))
                error = lost(str(error))
            failed(error)

        def set_up(told: tuple[str, str] | Fault) -> None:
            if isinstance(told, Fault):
                wire.close()
                refuse(told)
                return
            identity, text = told
            topology = world.cluster.topology
            position = parse_position(world.flavor, text)
            what = topology, replica, identity, before, position

            def join(knows: bool) -> None:
                why = joining.why_not(*what, knows, self._clock())
                if identity == topology.primary_server:
                    why = "it is the primary itself, under another address"
                if why:
                    wire.close()
                    refuse(lost(why))
                    return
                replica.opening -= 1
                replica.server = identity
                connection = Connection(world.flavor)
                connection.wire = wire
                member = Member(connection, name, replica)
                member.version = version
                done(member)

            if joining.is_in_doubt(*what):
                self._look_at_history(join)
            else:
                join(True)

        if not model.is_up:
            self._clock.at(0.0005, refuse, lost("Can't connect", 2003))
            return
        wire = world.dial(model)

        def work(answer: Done) -> None:
            if model.is_full:
                answer(Fault(CON_COUNT, "Too many connections", Kind.FULL))
            elif model.refuses:
                kind = Kind.NO_SCHEMA if model.refuses == BAD_DB else Kind.DENIED
                answer(Fault(model.refuses, "refused", kind))
            else:
                difference = session.difference(0)[0] if version else []
                wire.run(difference, lambda _: answer((model.identity, model.told.text)))

        self._call(wire, work, set_up, refuse, _CONNECT_TIMEOUT)

    def _look_at_history(self, done: Done) -> None:
        """Ask the primary which transactions there have been; whether that could be done."""
        cluster = self._world.cluster
        model = self._world.models[cluster.topology.primary.name]
        if not cluster.topology.primary_is_up or not model.is_up:
            self._clock.at(0.0, done, False)
            return
        wire = self._world.dial(model)

        def look(facts: PrimaryFacts) -> None:
            wire.close()
            knows = facts.server == cluster.topology.primary_server
            if knows and facts.history is not None:
                cluster.topology.history = facts.history
            done(knows)

        work = self._facts_of(model)
        self._call(wire, work, look, lambda _: done(False), _CONNECT_TIMEOUT)

    # The primary.

    def _facts_of(self, model: Model) -> Callable[[Done], None]:
        flavor = self._world.flavor

        def work(answer: Done) -> None:
            position = parse_position(flavor, model.told.text)
            history = parse_history(flavor, model.told.history)
            told = model.identity, dict[str, str](), not model.is_writable
            answer(PrimaryFacts(flavor, "1.0", history, position, "", *told))

        return work

    def _ask_aside(self, command: AskAside, done: Done, failed: Failed) -> None:
        model = self._world.models[self._world.cluster.topology.primary.name]
        if not model.is_up:
            self._clock.at(0.0005, failed, lost("Can't connect", 2003))
            return
        wire = self._world.dial(model)

        def told(position: Any) -> None:
            wire.close()
            done(position)

        self._ask(wire, "primary", told, failed)

    def _have_primary(self, command: HavePrimary, done: Done, failed: Failed) -> None:
        client, cluster = self._client, self._world.cluster
        connection = client.primary.connection
        if connection.open and client.generation == cluster.generation:
            self._clock.at(0.0, done, True)
            return
        generation, name = cluster.generation, cluster.topology.primary.name
        model = self._world.models[name]

        def away(error: object) -> None:
            if error is not None:
                cluster.primary_failed(generation)
            client.note_away()
            done(False)

        if not cluster.topology.primary_is_up or not model.is_up:
            up = cluster.topology.primary_is_up
            self._clock.at(0.0005, away, lost() if up else None)
            return
        if connection.wire is not None:
            connection.wire.close()
        connection.is_reading = False
        wire = self._world.dial(model)

        def set_up(facts: PrimaryFacts) -> None:
            connection.wire = wire
            client.primary.name = name
            client.take_primary(facts, generation)
            done(True)

        self._call(wire, self._facts_of(model), set_up, away, _CONNECT_TIMEOUT)

    def _write(self, command: Write, done: Done, failed: Failed) -> None:
        client, world = self._client, self._world
        wire, how = client.primary.connection.wire, command.how
        assert wire is not None
        model = wire.server

        def work(answer: Done) -> None:
            if not model.is_writable:
                text = "The MySQL server is running with the --read-only option"
                answer(Fault(1290, text, Kind.READ_ONLY))
                return
            if how == "lost before":
                wire.cut()
                return
            commit = world.commit(model)
            client.committing = commit.bit
            if how == "lost behind":
                wire.cut()
                return
            gtid = world.gtid(commit)
            failure = Fault(1644, "it was signalled") if how == "fails behind" else gtid
            self._clock.at(self._dice.uniform(0.0, 0.0005), answer, failure)

        def finish(answer: Any) -> None:
            if isinstance(answer, Fault):
                failed(answer)
            else:
                done(answer)

        wire.asks = False
        self._call(wire, work, finish, failed, self._client.plan.timeout)

    def _read_there(self, command: ReadThere, done: Done, failed: Failed) -> None:
        wire = self._client.primary.connection.wire
        assert wire is not None
        wire.asks = False
        self._call(
            wire,
            lambda answer: wire.run([b"SELECT 1 FROM t"], answer),
            lambda replies: (failed if isinstance(replies[0], Fault) else done)(replies[0]),
            failed,
            self._client.plan.timeout,
        )
