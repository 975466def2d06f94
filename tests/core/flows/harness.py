"""A session with a journey, on servers that are not there, and scripts that answer its flows.

`House` builds a real `Session` and a real `Journey`. `House.run` drives one flow by a script: what
it must ask for, in this order, and what comes back. A flow that asks for something else, for more
or for less fails at once, with what it asked for.
"""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import contextmanager
from typing import Any, NamedTuple

from rwsplit._core.cause import not_split
from rwsplit._core.cluster.endpoint import Endpoint
from rwsplit._core.cluster.facts import PrimaryFacts
from rwsplit._core.cluster.figures import View
from rwsplit._core.cluster.policies import POLICIES
from rwsplit._core.cluster.position import empty, parse_history, parse_position
from rwsplit._core.cluster.topology import FiguresOf, Topology
from rwsplit._core.flavors.trackers import default_tracking
from rwsplit._core.flows.answer import Underway
from rwsplit._core.flows.choosing import Chooser
from rwsplit._core.flows.command import (
    Ask,
    Claim,
    Connect,
    Exchange,
    Mark,
    Open,
    Publish,
    ReportLate,
    WatchSnapshot,
)
from rwsplit._core.flows.journey import Journey
from rwsplit._core.flows.methods import Methods
from rwsplit._core.flows.straight import Straight
from rwsplit._core.session.identity import Identity
from rwsplit._core.session.route import RouteTaken
from rwsplit._core.session.session import Session
from rwsplit._core.session.state import AUTOCOMMIT, IN_TRANSACTION, State
from rwsplit._core.session.terms import Terms
from rwsplit._core.setup.options import ClusterOptions, Options
from rwsplit._core.sql.catalogue import Catalogue
from rwsplit._core.wire import Capability, Fault, Kind
from rwsplit._shell.habits import Habits
from rwsplit._shell.process import ProcessPosition

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
LOST, GONE, READ_ONLY = 2013, 2006, 1290


class Expected(NamedTuple):
    """One command that a flow must ask for, and what comes back."""

    command: type
    reply: Any
    what: dict[str, Any]

    def __repr__(self) -> str:
        what = ", ".join(f"{name}={value!r}" for name, value in self.what.items())
        return f"{self.command.__name__}({what})"


def asks(command: type, reply: Any = None, **what: Any) -> Expected:
    """Expect a command with these attributes; a `reply` that is an error is thrown.

    A reply that can be called is called with the command. What a command does to whom it is
    about, as any hand would, comes with it.
    """
    return Expected(command, reply, what)


class Result:
    """What a statement was answered with."""

    def __init__(self, rows: Any = (), columns: int | None = None, **others: Any) -> None:
        self.rows = rows
        self.field_count = len(rows[0]) if columns is None and rows else columns or 0
        self.fields = [Field() for _ in range(self.field_count)]
        self.affected_rows = len(rows)
        self.warning_count: int | None = 0
        self.server_status: int | None = AUTOCOMMIT
        self.has_next = self.unbuffered_active = False
        for name, value in others.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        return f"<Result {self.rows!r}>"


class Field(NamedTuple):
    """A column of a result: of text."""

    type_code: int = 253
    flags: int = 0


OK = Result()


def rows(*values: Any) -> Result:
    """A result of one row."""
    return Result([values])


def lost(number: int = LOST, text: str = "Lost connection to MySQL server during query") -> Fault:
    """The fault of a connection that is gone."""
    return Fault(number, text, Kind.LOST)


def read_only() -> Fault:
    """The fault of a primary that was demoted."""
    text = "The MySQL server is running with the --read-only option so it cannot execute this"
    return Fault(READ_ONLY, text, Kind.READ_ONLY)


def fails(number: int = 1146, text: str = "Table 'shop.t' doesn't exist") -> Fault:
    """The fault of a statement."""
    return Fault(number, text)


def reports(**changes: Any) -> bytes:
    """The end of an OK packet that reports these changes."""

    def text(value: str) -> bytes:
        raw = value.encode()
        assert len(raw) < 0xFB
        return bytes([len(raw)]) + raw

    block = b""
    for name, value in changes.get("variables", {}).items():
        data = text(name) + text(value)
        block += bytes([0, len(data)]) + data
    if "schema" in changes:
        data = text(changes["schema"])
        block += bytes([1, len(data)]) + data
    if changes.get("changed"):
        block += bytes([2, 2, 1]) + b"1"
    if "gtids" in changes:
        data = b"\0" + text(changes["gtids"])
        block += bytes([3, len(data)]) + data
    if "transaction" in changes:
        data = text(changes["transaction"])
        block += bytes([5, len(data)]) + data
    if "characteristics" in changes:
        data = text(changes["characteristics"])
        block += bytes([4, len(data)]) + data
    assert len(block) < 0xFB
    return bytes([0, len(block)]) + block


class Connection:
    """A connection that says what it is told to say."""

    def __init__(self, flavor: str) -> None:
        self.flavor = flavor
        self.tracks = True
        self.offers = Capability.all()
        self.follows = ""
        self.server_status = AUTOCOMMIT
        self.tails: list[bytes] = []
        self.encoding = "utf-8"
        self.max_packet = 1 << 22
        self.due = self.writes = self.warnings = 0
        self.open = True
        self.ended = self.is_closed = self.is_reading = False
        self.result: Any = None
        self.read_timeout: float | None = None
        self.has_foreign_socket = False
        self.escapes_plainly = True

    @property
    def tells(self) -> bool:
        return self.tracks and not self.is_untold

    is_untold = False
    """Its driver tells nothing behind rows."""

    def note_closed_transaction(self) -> None:
        self.server_status &= ~IN_TRANSACTION

    def has_ended(self) -> bool:
        return self.ended


class Member:
    """A member, as flows see one."""

    def __init__(self, connection: Connection, name: str, replica: Any) -> None:
        self.connection = connection
        self.name = name
        self.replica = replica
        self.role = "primary" if replica is None else "replica"
        self.version = 0
        self.asked = False
        self.prepared: dict[str, Any] = {}
        self.known_routes: dict[Any, Any] = {}

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def is_open(self) -> bool:
        return self.connection.open

    def taken(self, reason: Any, waited: float = 0.0, retries: int = 0) -> RouteTaken:
        return RouteTaken(self.name, self.role, reason, waited, retries)

    def brought(self, version: int) -> None:
        self.version = version

    def rename(self, name: str) -> None:
        self.name = name

    def note_asked(self, asked: bool = True) -> None:
        self.asked = asked

    def note_prepared(self, name: str, prepared: Any) -> None:
        self.prepared[name] = prepared


class Members(dict[str, Member]):
    """The members that are open on replicas."""

    def __init__(self, house: House) -> None:
        super().__init__()
        self._house = house
        self.lost: list[str] = []

    def lose(self, name: str) -> None:
        self.lost.append(name)
        member = self.pop(name, None)
        if member is not None:
            member.connection.open = False

    def lose_primary(self) -> None:
        self._house.hold.drop()


class Hold:
    """The hold on the primary."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.generation = 0
        self.revives = True
        self.ended = False
        self.name = "db"
        self.drops = 0
        self.parts: dict[Any, Any] = {}
        self.heard: Any = None

    def drop(self) -> None:
        self.drops += 1
        self._house.primary.connection.open = False

    def part_of(self, scope: Any, joins: bool = True) -> Any:
        return self.parts.get(scope)

    def listeners(self, positions: tuple[Any, ...], scopes: tuple[Any, ...]) -> Any:
        self.heard = positions, scopes
        return positions[0]


class Sharing:
    """What is shared under a session id."""

    def __init__(self, is_local: bool = False) -> None:
        self.is_local = is_local
        self.is_open = self.awaits = False
        self.latest: object = None
        self.published: list[Any] = []
        self.left_open = False
        self.forgotten: list[Any] = []

    def answered(self) -> None:
        self.awaits = False

    def forget(self, position: Any) -> None:
        self.forgotten.append(position)

    def leave_open(self) -> None:
        self.left_open = self.is_open

    def publish_here(self, position: Any) -> None:
        self.published.append(position)


class Stored(NamedTuple):
    """What a store has."""

    position: Any
    is_open: bool = False


class Snapshot:
    """A transaction that is open on a replica."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.max_idle = 5.0
        self.is_open = True
        self.claimed = 0
        self.used_at = 0.0

    def claim(self, waits: bool = True) -> bool:
        self.claimed += 1
        return True

    def release(self) -> None:
        assert self.claimed, "nobody had claimed it"
        self.claimed -= 1

    def note_used(self, now: float) -> None:
        self.used_at = now

    def close(self) -> bool:
        was_open, self.is_open = self.is_open, False
        return was_open


class Watch:
    """What is told of the primary."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def primary_failed(self, generation: int) -> None:
        self.told.append(("failed", generation))

    def primary_is_read_only(self, generation: int) -> None:
        self.told.append(("read-only", generation))


class Monitor:
    """Who looks at the servers."""

    def __init__(self) -> None:
        self.looks = self.watched = 0

    def look_now(self) -> None:
        self.looks += 1

    def watch(self) -> None:
        self.watched += 1


class Dice:
    """Dice that show what they are told to."""

    value = 0.5

    def random(self) -> float:
        return self.value


class Pool:
    """Idle connections, of which only the end counts."""

    closed = 0

    def close_idle(self) -> None:
        self.closed += 1


class Measure:
    """Counts what runs."""

    @contextmanager
    def one(self, replica: Any, timed: bool = False) -> Any:
        yield


class Cluster:
    """What the process knows."""

    def __init__(self, house: House, flavor: str, names: tuple[str, ...]) -> None:
        self._house = house
        primary = Endpoint("db", "db", 3306, role="primary")
        self.topology = Topology(primary, [Endpoint(name, name, 3306) for name in names])
        history = parse_history(flavor, "")
        position = empty(flavor)
        version = "8.4.0" if flavor == "mysql" else "10.11.10-MariaDB"
        self.facts = PrimaryFacts(flavor, version, history, position, "", "1", {}, read_only=False)
        self.topology.take_facts(self.facts)
        for server in self.topology.servers.values():
            server.server = f"{server.endpoint.name}-uuid"
        self.rules: tuple[Any, ...] = ()
        self.limits: dict[str, Any] = {}
        self.options = ClusterOptions()
        self.counts: Counter[Any] = Counter()
        self.controls: dict[str, Any] = {}
        self.used = self.measures = False
        self.splits = True
        self.off = False
        self.process = ProcessPosition(house.clock)
        self.process.begin(flavor)
        self.catalogue = Catalogue()
        self.habits = Habits()
        self.watch, self.monitor, self.dice = Watch(), Monitor(), Dice()
        self.pool, self.measure = Pool(), Measure()
        self.turns = itertools.count()
        self.figures = FiguresOf(self.topology)
        self.policy = POLICIES["round_robin"]
        self.arrivals = 0
        self.refresh_at = 0.0
        self.warned: list[str] = []
        self.reported: list[str] = []
        self.has_all_around = False

    @property
    def flavor(self) -> str:
        return self.topology.flavor

    @property
    def has_gtids(self) -> bool:
        return self.topology.has_gtids

    @property
    def generation(self) -> int:
        return self.topology.generation

    @property
    def primary_is_up(self) -> bool:
        return self.topology.primary_is_up

    @property
    def servers(self) -> Any:
        return self.topology.servers

    @property
    def replicas(self) -> Any:
        return self.topology.replicas

    @property
    def candidates(self) -> Any:
        return self.usable()

    def usable(self, group: str | None = None) -> Any:
        now = self._house.clock()
        found = [each.endpoint for each in self.replicas if each.may_serve(now)]
        return tuple(end for end in found if group in (None, end.group))

    def spares(self, group: str | None = None) -> Any:
        return ()

    def named(self, name: str) -> Any:
        return self.topology.named(name, self._house.clock())

    def policy_of(self, group: str | None, asked: Any) -> Any:
        return asked or self.policy

    def last_seen(self) -> Any:
        return self.topology.last_seen()

    def note_sample(self, position: Any, asked_at: float | None = None) -> None:
        now = self._house.clock() if asked_at is None else asked_at
        self.topology.samples.note(position, now)

    def all_around_have(self, position: Any) -> bool:
        return self.has_all_around

    def note_policy(self, policy: Any) -> None:
        pass

    def note_served(self, server: Any) -> None:
        server.works()

    def reads_are_off(self) -> bool:
        return self.off

    def warn(self, message: str, *values: object) -> None:
        self.warned.append(message % values)

    warn_once = warn

    def report(self, message: str, *values: object) -> None:
        self.reported.append(message % values)


class Clock:
    """A clock that nobody waits for."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class House:
    """A session and its journey.

    :param replicas: names of the replicas that there are.
    :param options: those of the connection.
    """

    def __init__(
        self,
        flavor: str = "mysql",
        replicas: tuple[str, ...] = ("r1", "r2"),
        schema: str | None = "shop",
        named: str | None = None,
        **options: Any,
    ) -> None:
        self.flavor = flavor
        self.clock = Clock()
        self.context: Any = None
        """What the block of code says."""
        self.options = Options(**options)
        self.cluster = Cluster(self, flavor, replicas)
        self.cluster.splits = bool(replicas)
        self.primary = Member(Connection(flavor), "db", None)
        self.hold = Hold(self)
        self.members = Members(self)
        self.state = State(empty(flavor), schema, self.cluster.process)
        never = not_split(bool(replicas), self.options.reads, False, disabled=False)
        self.terms = Terms(self.options, never)
        self.identity = Identity(
            self.options.session_id_kind, named, self.cluster.process, lambda: "app"
        )
        self.session = Session(
            self.cluster,
            self.options,
            self.primary,
            self.hold,
            self.members,
            self.state,
            self.terms,
            self.identity,
            default_tracking(flavor),
            self.clock,
            lambda: self.context,
        )
        view = View(self.cluster.figures, self.cluster.dice.random)
        self.chooser = Chooser(
            self.cluster, self.state, self.session.seen, self.members, view, True
        )
        self.journey = Journey(self.session, self.chooser)
        self.journey.reads.wait_at_most(self.options.max_wait)
        self.methods = Methods(self.session, self.journey)
        self.straight = Straight(self.session, self.journey)
        self._begin()

    def _begin(self) -> None:
        state = self.state
        state.set_schema(state.schema)
        isolation = {"mysql": "transaction_isolation", "mariadb": "tx_isolation"}[self.flavor]
        for name, value in {
            "character_set_client": "utf8mb4",
            "collation_connection": "utf8mb4_general_ci",
            "sql_mode": "",
            isolation: "REPEATABLE-READ",
        }.items():
            state.set_variable(name, value)
        self.session.language.look()
        self.session.identity.hear(self.cluster.process.latest)

    # What there is.

    def at(self, number: int) -> Any:
        """A position: all transactions up to this one."""
        text = f"{UUID}:1-{number}" if self.flavor == "mysql" else f"0-1-{number}"
        return parse_position(self.flavor, text)

    def told_at(self, number: int) -> Result:
        """What a server answers that is asked where it is."""
        return rows(str(self.at(number)).encode())

    def replica(self, name: str = "r1", at: int | None = None) -> Any:
        """What is known of a replica; `at` is where it is."""
        server = self.cluster.servers[name]
        if at is not None:
            server.note_position(self.at(at), self.clock())
        return server

    def member(self, name: str = "r1", at: int | None = None) -> Member:
        """A member that is open on a replica, and in step with the session."""
        member = self.members[name] = self.made(name)
        self.replica(name, at)
        return member

    def made(self, name: str) -> Member:
        """A member on a replica, in step with the session."""
        member = Member(Connection(self.flavor), name, self.cluster.servers[name])
        member.version = self.state.version
        return member

    def statement(self, sql: str) -> Any:
        return self.session.language.statement(sql)

    def underway(self, sql: str, **others: Any) -> Underway:
        return Underway(self.statement(sql), sql.encode(), **others)

    def share(self, is_local: bool = False) -> Sharing:
        """Share the session under an id; `is_local` is whether it is kept in this process."""
        sharing = Sharing(is_local)
        self.identity.take_key("provided:a")
        self.identity.share(sharing)
        self.identity.share_process()
        return sharing

    def set_status(self, status: int) -> None:
        """Have this status on the primary, and know of it."""
        self.primary.connection.server_status = status
        self.state.note_status(status)

    def open_transaction(self) -> None:
        """Have a transaction open on the primary."""
        self.set_status(AUTOCOMMIT | IN_TRANSACTION)

    def snapshot(self, name: str = "r1", view: str = "session") -> Snapshot:
        """A snapshot of the session's transaction, open on a replica, that a read has fixed."""
        member = self.members.get(name) or self.member(name, at=1)
        snapshot = Snapshot(member)
        self.session.transaction.note_view(view)
        self.session.open_snapshot(snapshot)
        return snapshot

    def facts(self, at: int | None = None, **others: Any) -> PrimaryFacts:
        """What a new connection to the primary tells; `at` is where that is."""
        facts = self.cluster.facts._replace(**others)
        if at is None:
            return facts
        text = str(self.at(at))
        history = parse_history(self.flavor, text)
        return facts._replace(history=history, position=self.at(at))

    def fail_over(self) -> None:
        """Let another server be the primary."""
        self.cluster.topology.generation += 1

    # Driving flows.

    def run(self, flow: Any, *script: Expected) -> Any:
        """Drive a flow by a script; returns what it returns, and raises what it raises."""
        step, reply = flow.send, None
        left = [*script]
        asked: list[str] = []
        try:
            while True:
                try:
                    command = step(reply)
                except StopIteration as done:
                    assert not left, f"it did not ask for {left!r}; it asked for {asked}"
                    return done.value
                except Exception:
                    assert not left, f"it failed before {left!r}; it asked for {asked}"
                    raise
                asked.append(described(command))
                assert left, f"nothing more was expected; it asked for {asked}"
                wanted = left.pop(0)
                check(wanted, command, asked)
                try:
                    step, reply = flow.send, self._carry_out(command, wanted.reply)
                except Exception as error:
                    step, reply = flow.throw, error
        finally:
            flow.close()

    def _carry_out(self, command: Any, reply: Any) -> Any:
        """Do what a hand does."""
        if isinstance(reply, Exception):
            raise reply
        if callable(reply):
            return reply(command)
        hand = _HANDS.get(type(command))
        return reply if hand is None else hand(self, command, reply)


def described(command: Any) -> str:
    """A command with all that it says."""
    names = [name for each in type(command).__mro__ for name in getattr(each, "__slots__", ())]
    shown = [f"{name}={getattr(command, name)!r}" for name in names if name != "accept"]
    return f"{type(command).__name__}({', '.join(shown)})"


def check(wanted: Expected, command: Any, asked: list[str]) -> None:
    """Fail where a flow asks for something else than the script expects."""
    assert type(command) is wanted.command, f"{wanted!r} was expected; it asked for {asked}"
    for name, value in wanted.what.items():
        found = getattr(command, name)
        fits = value(found) if callable(value) else found == value
        assert fits, f"{wanted!r} was expected; it asked for {asked}"


def leave(connection: Connection, left: dict[str, Any]) -> None:
    """Leave this on a connection."""
    for name, value in left.items():
        if name == "tails":
            connection.tails.extend(value)
        else:
            setattr(connection, name, value)


def ran(result: Any = OK, before: list[Any] | None = None, **did: Any) -> Any:
    """What becomes of an exchange: replies to what came first, its result, and what it left.

    `did` sets what the connection has afterwards: `tails`, `server_status` ...
    """

    def carry_out(command: Exchange) -> Any:
        connection = command.member.connection
        leave(connection, did)
        command.accept([OK] * len(command.before) if before is None else before)
        connection.result = result if command.sql is not None else None
        return connection.result

    return carry_out


def did(reply: Any = None, **left: Any) -> Any:
    """A reply to a command about a member, whose connection has this afterwards."""

    def carry_out(command: Any) -> Any:
        leave(command.member.connection, left)
        if isinstance(reply, Exception):
            raise reply
        return reply

    return carry_out


def about(*answers: Any) -> Any:
    """Answers to questions, and to those about the statement before that come along with them."""

    def carry_out(command: Any) -> list[Any]:
        first = command.statements[: len(command.statements) - len(answers)]
        told = [Result() if sql == "SHOW WARNINGS" else rows("0", "0") for sql in first]
        return [*told, *answers]

    return carry_out


def _exchange(house: House, command: Exchange, reply: Any) -> Any:
    return ran(OK if reply is None else reply)(command)


def _open(house: House, command: Open, reply: Any) -> Any:
    if reply is not None:
        return reply
    name = command.replica.endpoint.name
    member = house.members[name] = house.made(name)
    return member


def _connect(house: House, command: Connect, reply: Any) -> Any:
    connection = house.primary.connection
    connection.open, connection.ended = True, False
    connection.server_status = AUTOCOMMIT
    house.hold.generation = house.cluster.generation
    return house.facts() if reply is None else reply


def _mark(house: House, command: Mark, reply: Any) -> Any:
    command.sharing.is_open = command.sharing.awaits = True
    return reply


def _publish(house: House, command: Publish, reply: Any) -> Any:
    command.sharing.published.append(command.position)
    command.sharing.is_open = False
    return True if reply is None else reply


_HANDS: dict[type, Any] = {
    Ask: lambda house, command, reply: [OK] * len(command.statements) if reply is None else reply,
    Exchange: _exchange,
    Open: _open,
    Connect: _connect,
    Mark: _mark,
    Publish: _publish,
    Claim: lambda house, command, reply: command.snapshot.claim() and None,
    ReportLate: lambda house, command, reply: True if reply is None else reply,
    WatchSnapshot: lambda house, command, reply: Snapshot(command.member),
}
