"""The watch over a cluster's servers: one lock around what is known, and those who wait for it.

What is seen of a server comes in here, from the monitor and from those who connect. What follows is
decided under the lock, by plain functions, and carried out once it is free.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random
from time import monotonic

from .._core.cluster import failover, health
from .._core.cluster.endpoint import Endpoint
from .._core.cluster.errant import note_errant
from .._core.cluster.facts import PrimaryFacts
from .._core.cluster.orders import Order, Then
from .._core.cluster.position import History, Position
from .._core.cluster.probe import Missed, Probe
from .._core.cluster.server import Server
from .._core.cluster.topology import Topology
from .errands import Errands
from .parity import Parities, Parity

__all__ = ["Watch"]


class Watch:
    """Changes what is known of a cluster's servers, one change after the other.

    :param choose_again: called under the lock where others may serve than before, with how many
        times a replica has come.
    :param look_now: called where all servers are to be looked at without waiting for their turn.
    """

    def __init__(
        self,
        topology: Topology,
        errands: Errands,
        dice: Random,
        choose_again: Callable[[int], None],
        look_now: Callable[[], None],
    ) -> None:
        self.topology = topology
        """Changed under the lock alone."""
        self._parities = Parities()
        self._errands = errands
        self._dice = dice
        self._choose_again = choose_again
        self._look_now = look_now
        self._changed = threading.Condition()
        """The lock, and those who wait for a primary or a replica."""

    def after_fork(self) -> None:
        """Let go of a lock that a thread of the parent may hold."""
        self._changed = threading.Condition()

    def _decide(self, decide: Callable[[float], list[Order]]) -> None:
        """Decide under the lock, and act once it is free."""
        with self._changed:
            orders = decide(monotonic())
            arrivals = orders.count(Then.COUNT_ARRIVAL)
            if arrivals or Then.CHOOSE_AGAIN in orders:
                self._choose_again(arrivals)
            if Then.TELL_WAITERS in orders:
                self._changed.notify_all()
        self._errands.run(orders)
        if Then.LOOK_NOW in orders:
            self._look_now()

    # Who the primary is.

    def learn_primary(self, facts: PrimaryFacts, generation: int) -> int:
        """Take in what a new connection to the primary told; without a history: no GTIDs.

        `generation` is from before it was made; returns the one that it belongs to.
        """
        known = self.topology

        def learn(now: float) -> list[Order]:
            nonlocal generation
            if generation != known.generation:
                return []
            orders = failover.learn_primary(known, facts, now)
            generation = known.generation
            return orders

        self._decide(learn)
        return generation

    def take_facts(self, facts: PrimaryFacts) -> None:
        """Take in what kind of server the primary is."""
        with self._changed:
            self.topology.take_facts(facts)

    def take_history(self, history: History, of: str) -> bool:
        """Take in which transactions there have been on a server that was asked just now.

        False if it is not the primary.
        """
        with self._changed:
            is_primary = of == self.topology.primary_server
            if is_primary:
                self.topology.history = history
            return is_primary

    def note_errant(self, replica: Server, name: str, position: Position, history: History) -> None:
        """Note what is errant of a replica, as the primary was seen to be the primary since."""
        with self._changed:
            if replica.endpoint.name != self.topology.primary.name:
                note_errant(replica, name, position, history)

    def primary_failed(self, generation: int) -> None:
        """Note that connecting to the primary failed; the monitor tells when it works again."""
        with self._changed:
            if generation == self.topology.generation:
                self.topology.primary_is_up = False
        self._look_now()

    def primary_is_read_only(self, generation: int) -> None:
        """Note that the believed primary has refused a write: it may be none any more."""
        self._decide(lambda now: failover.note_read_only(self.topology, generation, now))
        self._look_now()

    def take_replicas(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Take in which replicas there are now."""
        with self._changed:
            self.topology.take_replicas(endpoints)
            self._choose_again(0)

    # What was seen of a server.

    def note_probe(
        self, server: Server, probe: Probe, before: Position | None, interval: float
    ) -> None:
        """Note what a look at a server told: see `health.note_probe`."""
        known = self.topology
        self._decide(lambda now: health.note_probe(known, server, probe, before, interval, now))

    def note_missed(self, server: Server, missed: Missed) -> None:
        """Note that a look at a server told nothing."""
        known, dice = self.topology, self._dice.random()
        self._decide(lambda now: health.note_missed(known, server, missed, now, dice))

    def rest(self, server: Server, why: str) -> None:
        """Leave a server alone for a growing while; the reason is logged once."""
        known, dice = self.topology, self._dice.random()
        self._decide(lambda now: health.rest(known, server, why, now, dice))

    def note_served(self, server: Server) -> None:
        """Note that a server that was left alone has served a statement."""
        self._decide(lambda now: health.serves_again(server, now))

    def note_parity(self, server: Server, parity: Parity, filters: list[str]) -> None:
        """Warn once of what makes a member answer otherwise than the primary."""
        name, primary = server.endpoint.name, self.topology.primary.name
        self._errands.run(self._parities.note(name, parity, filters, primary))

    # Waiting.

    def wait_for(self, has_come: Callable[[], bool], until: float) -> bool:
        """Wait until something has come, looked at after each change; False when time is over."""
        with self._changed:
            return self._changed.wait_for(has_come, until - monotonic())

    def wait_for_sights(self, until: float) -> None:
        """Wait until every server was looked at."""
        known = self.topology
        self.wait_for(
            lambda: all(server.reached is not None for server in known.servers.values()), until
        )

    def wake(self) -> None:
        """Let those who wait for a primary look whether they still want one."""
        with self._changed:
            self._changed.notify_all()
