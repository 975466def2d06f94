"""Making connections in the simulation: to replicas, to the primary, and aside of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from rwsplit._core.cluster import joining
from rwsplit._core.cluster.errant import note_errant
from rwsplit._core.cluster.facts import PrimaryFacts
from rwsplit._core.cluster.position import parse_history, parse_position
from rwsplit._core.cluster.server import Server
from rwsplit._core.flavors.positions import POSITION_SQL, told_position
from rwsplit._core.flows.command import AskAllAside, AskAside, Connect, Open, WaitAside
from rwsplit._core.flows.reading import Aside
from rwsplit._core.numbers import BAD_DB, CON_COUNT
from rwsplit._core.wire import Fault, Kind

from .answers import begun_with
from .broken import Broken
from .connection import Connection, Member
from .replies import lost
from .server import Server as Model
from .wire import Call, Wire

if TYPE_CHECKING:
    from .clients import Client

__all__ = ["Dialing"]

_CONNECT_TIMEOUT = 1.0
Done = Callable[[Any], None]
Failed = Callable[[Exception], None]


class Dialing:
    """What makes the connections of one virtual connection."""

    def __init__(self, client: Client) -> None:
        self._client, self._world = client, client.world
        self._clock, self._dice = client.world.clock, client.world.dice

    def _call(self, wire: Wire, work: Callable[[Done], None], done: Done, failed: Failed) -> None:
        Call(*(self._clock, self._dice, wire, work, done, failed), _CONNECT_TIMEOUT)

    # To replicas.

    def open(self, command: Open, done: Done, failed: Failed) -> None:
        members = self._client.members
        name = command.replica.endpoint.name
        if self._client.journey.reads.chooser.aside.get(name, 0.0) > self._clock():
            raise Broken("aside", f"{name} was left aside, and is asked again")
        members.pop(name, None)

        def opened(member: Member) -> None:
            members[name] = member
            done(member)

        self._connect(command.replica, opened, failed)

    def wait_aside(self, command: WaitAside, done: Done, failed: Failed) -> None:
        def opened(member: Member) -> None:
            wire = member.connection.wire
            assert wire is not None

            def finish(replies: list[Any]) -> None:
                wire.close()
                done(replies)

            Call(
                *(self._clock, self._dice, wire),
                lambda answer: wire.run(command.statements, answer),
                *(finish, failed),
            )

        self._connect(command.replica, opened, failed)

    def _connect(self, replica: Server, done: Done, failed: Failed) -> None:
        """Make a member; see the shell's `Opener` and `open_replica`."""
        client, world, now = self._client, self._world, self._clock()
        name, state = replica.endpoint.name, client.session.state
        model = world.models[name]
        until = replica.refusals.until("app", now)
        if until:
            self._clock.at(0.0, failed, Aside(until))
            return
        version, before = state.version, replica.floor or replica.position
        difference = state.difference(0)[0]
        replica.opening += 1

        def refuse(error: Exception) -> None:
            replica.opening -= 1
            failed(self._refusal(replica, error))

        def set_up(told: tuple[str, str] | Fault) -> None:
            if isinstance(told, Fault):
                wire.close()
                refuse(told)
                return
            identity, text = told
            topology = world.cluster.topology
            position = parse_position(world.flavor, text)
            what = topology, replica, identity, before, position

            def join(in_doubt: bool, primary: PrimaryFacts | None) -> None:
                knows = primary is not None or not in_doubt
                why = joining.why_not(*what, knows, self._clock())
                if identity == topology.primary_server:
                    why = "it is the primary itself, under another address"
                if why:
                    wire.close()
                    refuse(lost(why))
                    return
                if primary is not None and primary.history is not None and not primary.read_only:
                    note_errant(replica, identity, position, primary.history)
                replica.opening -= 1
                replica.server = identity
                connection = Connection(world.flavor, client.plan.timeout)
                connection.lead(wire)
                member = Member(connection, name, replica)
                member.version = version
                done(member)

            if joining.is_in_doubt(*what):
                self._look_at_history(partial(join, True))
            else:
                join(False, None)

        if not model.is_up:
            self._clock.at(0.0005, refuse, lost("Can't connect", 2003))
            return
        wire = world.dial(model)
        wire.backend.tracks, wire.backend.session_reads_only = "all", True

        def work(answer: Done) -> None:
            if model.is_full:
                answer(Fault(CON_COUNT, "Too many connections", Kind.FULL))
            elif model.refuses:
                kind = Kind.NO_SCHEMA if model.refuses == BAD_DB else Kind.DENIED
                answer(Fault(model.refuses, "refused", kind))
            else:
                wire.run(difference, lambda _: answer((model.identity, model.told.text)))

        self._call(wire, work, set_up, refuse)

    def _refusal(self, replica: Server, error: Exception) -> Exception:
        """Return what a replica that can't be opened is to the flow."""
        now, dice = self._clock(), self._dice.random()
        kind = error.kind if isinstance(error, Fault) else Kind.LOST
        if kind is Kind.FULL:
            replica.note_full(now)
            return Aside()
        if kind is Kind.NO_SCHEMA:
            return Aside()
        if kind is Kind.DENIED:
            return Aside(replica.refusals.add("app", now, dice))
        self._world.cluster.rest(replica, str(error))
        return lost(str(error))

    def _look_at_history(self, done: Done) -> None:
        """Ask the primary which transactions there have been; None if it can't be asked."""
        cluster = self._world.cluster
        model = self._world.models[cluster.topology.primary.name]
        if not cluster.topology.primary_is_up or not model.is_up:
            self._clock.at(0.0, done, None)
            return
        wire = self._world.dial(model)

        def look(facts: PrimaryFacts) -> None:
            wire.close()
            knows = facts.server == cluster.topology.primary_server
            if knows and facts.history is not None:
                cluster.topology.history = facts.history
            done(facts if knows else None)

        self._call(wire, self._facts_of(model), look, lambda _: done(None))

    # To the primary.

    def connect(self, command: Connect, done: Done, failed: Failed) -> None:
        """See the shell's `Hold.connect`."""
        client, cluster = self._client, self._world.cluster
        connection, hold = client.primary.connection, client.hold
        generation, name = cluster.generation, cluster.primary.name
        connection.kill()

        def away(error: Exception) -> None:
            client.is_away = True
            failed(error)

        model = self._world.models[name]
        if not model.is_up:
            self._clock.at(0.0005, away, lost("Can't connect", 2003))
            return
        wire = self._world.dial(model)
        wire.backend.tracks = "own"
        wire.backend.autocommit = client.plan.autocommit

        def set_up(facts: PrimaryFacts) -> None:
            connection.lead(wire)
            connection.server_status = wire.backend.status
            hold.name = name
            hold.generation = cluster.learn_primary(facts, generation)
            done(facts)

        self._call(wire, self._facts_of(model), set_up, lambda f: away(lost(f.args[1], 2003)))

    def _facts_of(self, model: Model) -> Callable[[Done], None]:
        flavor = self._world.flavor
        version = "8.0.40" if flavor == "mysql" else "10.11.9-MariaDB"

        def work(answer: Done) -> None:
            if flavor == "mysql":
                history = position = told_position(flavor, model.whole())
            else:
                position = parse_position(flavor, model.told.text)
                history = parse_history(flavor, model.told.history)
            told = model.identity, begun_with(flavor), not model.is_writable
            answer(PrimaryFacts(flavor, version, history, position, "", *told))

        return work

    # Aside.

    def ask_aside(self, command: AskAside, done: Done, failed: Failed) -> None:
        flavor = self._world.flavor

        def told(replies: list[Any]) -> None:
            done(told_position(flavor, replies[0].rows[0][0]))

        self._ask_primary([POSITION_SQL["primary"][flavor]], told, failed)

    def ask_all_aside(self, command: AskAllAside, done: Done, failed: Failed) -> None:
        self._ask_primary(
            command.questions, lambda replies: done([each.rows for each in replies]), failed
        )

    def _ask_primary(self, questions: Sequence[str], done: Done, failed: Failed) -> None:
        client, world = self._client, self._world
        model = world.models[world.cluster.primary.name]

        def away(error: Exception) -> None:
            client.is_away = True
            failed(error)

        if not model.is_up:
            self._clock.at(0.0005, away, lost("Can't connect", 2003))
            return
        wire = world.dial(model)

        def told(replies: list[Any]) -> None:
            wire.close()
            done(replies)

        self._call(wire, lambda answer: wire.run(questions, answer), told, away)
