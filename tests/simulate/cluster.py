"""What the simulated process knows of its cluster, and how it looks at the servers.

The rules are rwsplit's own. What is here is what the shell does around them: who is asked is looked
up again after each change, and every server is asked how it is, now and then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from rwsplit._core.cluster import failover, health
from rwsplit._core.cluster.endpoint import Endpoint
from rwsplit._core.cluster.facts import PrimaryFacts
from rwsplit._core.cluster.orders import Interrupt, Order, Then
from rwsplit._core.cluster.policies import Policy
from rwsplit._core.cluster.position import Position
from rwsplit._core.cluster.server import Server
from rwsplit._core.cluster.serving import who_serves
from rwsplit._core.cluster.topology import FiguresOf, Topology
from rwsplit._core.cluster.whereabouts import have_all
from rwsplit._core.setup.options import ClusterOptions
from rwsplit._core.sql.catalogue import Catalogue
from rwsplit._shell.habits import Habits
from rwsplit._shell.process import ProcessPosition
from rwsplit._stores import MemoryStore

from .clock import Clock
from .looking import Looking
from .server import Server as Model
from .wire import Wire

__all__ = ["Cluster"]


class Turns:
    """Numbers the choices of a replica by who chooses, and for which of its statements.

    So a choice that is made twice for one statement, or not at all, changes nothing for others:
    what goes straight and what does not are the same to them.
    """

    def __init__(self) -> None:
        self.who = 0

    def __iter__(self) -> Turns:
        return self

    def __next__(self) -> int:
        return self.who


class Idle:
    """The pool, of which nothing is used here."""

    def close_idle(self) -> None:
        """There is nothing idle."""


class Cluster:
    """A cluster as one process knows it.

    :param models: the servers, by the name under which they are reached.
    :param dial: makes a connection to one of them.
    """

    measures = False
    measure = None
    splits = True
    rules = ()
    discover = None

    def __init__(
        self,
        clock: Clock,
        dice: Random,
        models: dict[str, Model],
        primary: str,
        flavor: str,
        dial: Callable[[Model], Wire],
    ) -> None:
        self._clock, self._dice, self._models = clock, dice, models
        self.dice = dice
        self.pool = Idle()
        self.habits, self.catalogue = Habits(), Catalogue()
        self.controls: dict[str, Any] = {}
        self.counts: Counter[Any] = Counter()
        self.has_demoted = False
        """A read was taken for a write from then on."""
        self._waiting: list[tuple[Callable[[], bool], Callable[[bool], None]]] = []
        ends = {name: Endpoint(name, name, 3306) for name in models}
        ends[primary] = ends[primary]._replace(role="primary")
        others = [end for name, end in ends.items() if name != primary]
        self.topology = Topology(ends[primary], others)
        self.topology.flavor = flavor
        for server in self.topology.servers.values():
            server.flavor = flavor
        self.options = ClusterOptions().with_defaults()
        assert self.options.policy is not None
        self.policy: Policy = self.options.policy
        self.figures = FiguresOf(self.topology)
        self.process = ProcessPosition(clock)
        self.process.begin(flavor)
        self.memory = MemoryStore(whole=self.last_seen)
        self.turns = Turns()
        self.used = True
        self.candidates: tuple[Endpoint, ...] = ()
        self.arrivals = 0
        self.moved_at = 0.0
        """When another server was taken for the primary."""
        self._believed = primary
        self.refresh()
        self._looking = Looking(self, clock, dice, models, dial)
        self.monitor, self.watch = self._looking, self
        self._looking.look_now()

    # What is known: see `Known` and `Candidates`.

    @property
    def primary(self) -> Endpoint:
        return self.topology.primary

    @property
    def primary_is_up(self) -> bool:
        return self.topology.primary_is_up

    @property
    def flavor(self) -> str:
        return self.topology.flavor

    @property
    def generation(self) -> int:
        return self.topology.generation

    @property
    def has_gtids(self) -> bool:
        return self.topology.has_gtids

    def last_seen(self) -> Position | None:
        return self.topology.last_seen()

    def note_sample(self, position: Position, asked_at: float) -> None:
        self.topology.samples.note(position, asked_at)

    def note_served(self, server: Server) -> None:
        self.carry_out(health.serves_again(server, self._clock()))

    def warn(self, message: str, *values: object) -> None:
        """Nobody reads what is logged here."""

    warn_once = warn

    def report(self, message: str, *values: object) -> None:
        """Note a defect of the classifier: here somebody has made one up."""
        self.has_demoted = True

    def note_policy(self, policy: Policy) -> None:
        """Nobody measures here."""

    def reads_are_off(self) -> bool:
        return False

    def all_around_have(self, position: Position) -> bool:
        return have_all(self.replicas, position)

    # Who may be asked.

    def refresh(self, arrivals: int = 0) -> None:
        now, known = self._clock(), self.topology
        self.arrivals += arrivals
        self.servers, self.replicas = known.servers, known.replicas
        serving = who_serves(self.replicas, {}, None, now)
        before, self.candidates = self.candidates, serving.in_group[None]
        self.refresh_at, self._spares = serving.look_at, serving.spares[None]
        if not all(endpoint in before for endpoint in self.candidates):
            self.arrivals += 1
            if before:
                known.note_arrival(now)

    def usable(self, group: str | None = None) -> tuple[Endpoint, ...]:
        if self.refresh_at and self._clock() >= self.refresh_at:
            self.refresh()
        return self.candidates if group is None else ()

    def spares(self, group: str | None = None) -> tuple[Endpoint, ...]:
        return self._spares if group is None else ()

    def named(self, name: str) -> tuple[Endpoint, ...]:
        return self.topology.named(name, self._clock())

    def policy_of(self, group: str | None, asked: Policy | None) -> Policy:
        return asked or self.policy

    # What was seen.

    def learn_primary(self, facts: PrimaryFacts, generation: int) -> int:
        if generation == self.generation:
            self.carry_out(failover.learn_primary(self.topology, facts, self._clock()))
            generation = self.generation
        return generation

    def primary_failed(self, generation: int) -> None:
        if generation == self.generation:
            self.topology.primary_is_up = False
        self.look_now()

    def primary_is_read_only(self, generation: int) -> None:
        self.carry_out(failover.note_read_only(self.topology, generation, self._clock()))
        self.look_now()

    def rest(self, server: Server, why: str) -> None:
        dice = self._dice.random()
        self.carry_out(health.rest(self.topology, server, why, self._clock(), dice))

    def carry_out(self, orders: list[Order]) -> None:
        """Do what has been decided."""
        if self._believed != self.topology.primary.name:
            self._believed, self.moved_at = self.topology.primary.name, self._clock()
        arrivals = orders.count(Then.COUNT_ARRIVAL)
        if arrivals or Then.CHOOSE_AGAIN in orders:
            self.refresh(arrivals)
        for order in orders:
            if isinstance(order, Interrupt):
                model = self._models[order.endpoint]
                for wire in sorted(model.wires, key=lambda wire: wire.number):
                    waits = wire.call is not None and wire.is_of_client
                    if waits and (wire.asks or not order.only_questions):
                        model.cut(wire)
        if Then.LOOK_NOW in orders:
            self.look_now()

        if Then.TELL_WAITERS in orders:
            self._tell_waiters()

    def look_now(self) -> None:
        """Look at all servers without waiting for their turn."""
        self._looking.look_now()

    # Waiting.

    def wait_for(
        self, has_come: Callable[[], bool], until: float, done: Callable[[bool], None]
    ) -> None:
        """Call back when something has come, looked at after each change, or time is over."""
        waiter = has_come, done
        self._waiting.append(waiter)

        def end() -> None:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                done(has_come())

        if has_come():
            self._clock.at(0.0, end)
        else:
            self._clock.at(max(until - self._clock.now, 0.0), end)

    def _tell_waiters(self) -> None:
        for waiter in [*self._waiting]:
            has_come, done = waiter
            if has_come():
                self._waiting.remove(waiter)
                self._clock.at(0.0, done, True)
