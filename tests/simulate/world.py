"""One schedule: servers, a process and its virtual connections, and what goes wrong."""

from __future__ import annotations

from random import Random

import pytest

from rwsplit._core.cluster.position import Position
from rwsplit._core.session import seen
from rwsplit._core.sql import classify

from .backend import Backend
from .broken import Broken
from .checks import Shared
from .clients import Client
from .clock import Clock
from .cluster import Cluster
from .gtids import Commit, parse_wanted
from .ledger import Ledger
from .mishaps import Mishaps
from .plan import ClientPlan, Plan
from .server import Server
from .sharing import MarkedStore
from .table import ROWS, Table, Writes
from .wire import Wire

__all__ = ["World", "run"]

_LONGEST = 200.0
_CALM_SECONDS = 7.0
"""How long after the last mishap replicas are to serve again."""

_NOTICED = 3.0
"""How long it takes until a process has noticed what happened between two looks."""

Line = tuple[float, int, str, str, int, str]


class World:
    """All that there is in one schedule.

    :param goes_straight: whether statements may take the straight roads.
    """

    def __init__(
        self, plan: Plan, tells_first_late: bool = False, goes_straight: bool = True
    ) -> None:
        self.plan, self.flavor = plan, plan.flavor
        self.goes_straight = goes_straight
        self.clock = Clock(Random(plan.seed) if plan.busy else None)
        self.dice = Random(plan.seed ^ 0x5EED)
        self.transcript: list[Line] = []
        self.commits: list[Commit] = []
        self.table, self.ledger = Table(), Ledger()
        self.store = MarkedStore() if plan.store else None
        self.marks_stay = False
        """Session ids may have marks in the store that nobody will end."""
        self._shared: dict[str, Shared] = {}
        self.reset_at = 0.0
        """When a replica came back with less, or may have."""
        self.lost = 0
        """What was lost with a primary, as bits; the others likewise."""
        self._identities = 0
        self._wires = 0
        self._seen_at: list[tuple[float, int]] = []
        names = ["db1", *[f"db{2 + number}" for number in range(plan.replicas)]]
        self.models = {
            name: Server(
                *(name, self.new_identity(), plan.flavor, self.clock, self.dice, tells_first_late)
            )
            for name in names
        }
        self.primary = self.models["db1"]
        self.primary.is_writable = True
        self.primaries = [self.primary]
        """One after the other; the last one is it now."""
        for server in self.replicas:
            server.follow(self.primary)
        for _ in range(3):
            first = self.write(self.primary)
            for server in self.replicas:
                server.apply(first)
        self.clock.run(lambda: False, self.clock.now + 0.1)
        self.clock.now += 0.1
        self.cluster = Cluster(self.clock, self.dice, self.models, "db1", plan.flavor, self.dial)
        self.mishaps = Mishaps(self)
        self.clients = [Client(self, *each) for each in enumerate(plan.clients)]
        self._working = len(self.clients)
        self._running = len(self.clients)
        self._promoted_at = 0.0
        self._quiet_at: float | None = None
        self._healed = False

    @property
    def replicas(self) -> list[Server]:
        return [server for server in self.models.values() if server is not self.primary]

    @property
    def knows_primary(self) -> bool:
        """Whether the process knows which server is the primary, or should by now."""
        if self.cluster.topology.primary.name != self.primary.name:
            return False
        promoted_at = self._promoted_at
        return self.cluster.moved_at >= promoted_at or self.clock.now > promoted_at + _NOTICED

    def serves(self, name: str) -> bool:
        """Tell whether a replica is there, and may serve for all that the process knows."""
        is_there = self.models[name].is_up and not self.models[name].is_hung
        return is_there and self.cluster.servers[name].may_serve(self.clock.now)

    # What happens.

    def run(self) -> None:
        """Let everything happen; raises Broken where a promise is."""
        at = self.clock.at
        for client in self.clients:
            client.hands.perform(client.run(), self._note_end)
        for moment in self.plan.others:
            at(moment, self._commit_elsewhere)
        for mishap in self.plan.mishaps:
            at(mishap.at, self.mishaps.bring, mishap)
        latest = [mishap.at for mishap in self.plan.mishaps] + [*self.plan.others]
        at(max(latest, default=0.0) + 0.5, self._heal)
        try:
            if not self.clock.run(lambda: not self._running, self.clock.now + _LONGEST):
                raise Broken("progress", f"{self._running} clients wait for ever")
        finally:
            if self.cluster.has_demoted:
                # What one schedule has learned is not another one's.
                classify.classifier.cache_clear()
        missing = self.ledger.acknowledged & ~(self.primary.shown.mask | self.lost)
        if missing:
            raise Broken("lost", f"{bin(missing)} was acknowledged, and is nowhere")

    def _heal(self) -> None:
        self._healed = True
        self.note(-1, "heal", "")
        self.mishaps.heal()
        self._note_quiet()

    def _note_end(self) -> None:
        self._running -= 1

    def note_done(self) -> None:
        """Note that a client has done what it had to do."""
        self._working -= 1
        self._note_quiet()

    def _note_quiet(self) -> None:
        if self._healed and not self._working:
            self._quiet_at = self.clock.now

    @property
    def is_calm(self) -> bool:
        """Whether nothing has gone wrong, or changed, for a while."""
        return self._quiet_at is not None and self.clock.now >= self._quiet_at + _CALM_SECONDS

    def note(self, who: int, what: str, where: str, why: str = "", saw: int = 0) -> None:
        """Write a line of the transcript; -1 is for what nobody does."""
        self.transcript.append((round(self.clock.now, 6), who, what, where, saw, why))

    def shared_by(self, plan: ClientPlan) -> Shared:
        """Return what those have committed who are one session with a client."""
        if plan.session_id is not None:
            return self._shared.setdefault(plan.session_id, Shared())
        return self._shared.setdefault("process", Shared()) if plan.shares else Shared()

    # Transactions.

    def commit(self, server: Server, writes: Writes) -> Commit:
        """Commit one there."""
        bit = 1 << len(self.commits)
        self.ledger.note_commit(writes, bit)
        self.table.note(bit, writes)
        commit = server.commit(bit)
        self.commits.append(commit)
        self._seen_at.append((self.clock.now, server.shown.mask))
        return commit

    def _commit_elsewhere(self) -> None:
        if self.primary.is_up and self.primary.is_writable and not self.primary.is_hung:
            self.write(self.primary)

    def write(self, server: Server) -> Commit:
        """Let somebody else commit a write."""
        value = self.ledger.new_value()
        self.ledger.allow((value,))
        return self.commit(server, ((value % ROWS + 1, value),))

    def shown_at(self, moment: float) -> int:
        """Return what the primary had at a moment."""
        return next((mask for at, mask in reversed(self._seen_at) if at <= moment), 0)

    def mask_at(self, position: Position) -> int:
        """Return what a server has that is at this position."""
        wanted, any_source = parse_wanted(str(position)), self.flavor == "mariadb"
        return sum(
            c.bit
            for c in self.commits
            if any((any_source or c.source == s) and lo <= c.number <= hi for s, lo, hi in wanted)
        )

    def promote(self, server: Server) -> None:
        """Let a replica be the primary; what it lacks is lost."""
        every = (1 << len(self.commits)) - 1
        self.lost |= every & ~server.shown.mask
        before = self.primary
        before.is_writable = False
        server.follow(None)
        server.is_writable = True
        self.primary = server
        self.primaries.append(server)
        self._promoted_at = self.clock.now
        self._seen_at.append((self.clock.now, server.shown.mask))
        for other in self.replicas:
            if other is not before:
                other.follow(server)
        self.note(-1, "promoted", server.name)

    # Servers.

    def dial(self, server: Server) -> Wire:
        """Make a connection."""
        self._wires += 1
        return Wire(server, self._wires, Backend(server, self.table, self.commit))

    def new_identity(self) -> str:
        """Return a name that a server gives to itself."""
        self._identities += 1
        if self.flavor == "mariadb":
            return str(self._identities)
        return f"{self._identities:08x}-71ca-11e1-9e33-c80aa9429562"


def run(plan: Plan, goes_straight: bool = True) -> World:
    """Run a schedule; raises Broken where a promise is."""
    with pytest.MonkeyPatch.context() as patch:
        if plan.seed % 3 == 0:
            # Schedules are short: in some, who stays on a replica looks for another soon.
            patch.setattr(seen, "FIRST_STAY", 2)
        world = World(plan, goes_straight=goes_straight)
        world.run()
    return world
