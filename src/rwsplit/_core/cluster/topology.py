"""Which servers a cluster has, which one is the primary, and what is known of it. Pure.

Who is the primary changes in `failover`; what single looks tell comes in through `health`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import inf

from .endpoint import Endpoint
from .facts import PrimaryFacts
from .figures import Figures
from .lag import Detours
from .position import BinlogState, GtidList, History, Position, beyond, lineage, parse_history
from .samples import Samples
from .server import Server
from .whereabouts import floor_of

__all__ = ["FiguresOf", "Topology"]

_SETTLE_SECONDS = 5.0
"""How long a replica that has come back may take to catch up."""


class Topology:
    """What a process knows of a primary and its replicas."""

    def __init__(self, primary: Endpoint, replicas: Iterable[Endpoint]) -> None:
        self.primary = primary
        """Where the primary is now."""
        self.flavor = "mysql"
        self.version = ""
        self.has_gtids = True
        self.servers: dict[str, Server] = {
            endpoint.name: Server(endpoint, self.flavor) for endpoint in (primary, *replicas)
        }
        """By name, all that are or were part of it; a new dict where others come."""
        self.facts: PrimaryFacts | None = None
        """What the last connection to the primary told."""
        self.primary_server: object = None
        """The primary's own name for itself: no replica has the same."""
        self.primary_is_up = True
        """Whether connecting to it is worth a try; the monitor says when it is again."""
        self.generation = 0
        """Goes up when another server is the primary: connections to the one before are of no
        more use."""
        self.history: History = parse_history("mysql", "")
        """The primary's executed transactions when last seen: a replica must share some."""
        self.history_at = 0.0
        """When it was asked for last by the monitor (monotonic seconds)."""
        self.samples = Samples()
        """Where the primary was."""
        self.detours = Detours()
        """How many reads go to the primary as that is quicker than a wait."""
        self.renamed_at = -inf
        """When another server was seen under the primary's name (monotonic seconds)."""
        self.doubted_at = 0.0
        """When the primary changed (monotonic seconds): who was not looked at since serves none."""
        self.settled_at = 0.0
        """When a replica that has come back should have caught up (monotonic seconds); 0 for none:
        who stayed elsewhere because it had not may choose once more then."""

    @property
    def replicas(self) -> tuple[Server, ...]:
        """The servers that are replicas now."""
        primary = self.primary.name
        return tuple(
            [
                server
                for name, server in self.servers.items()
                if name != primary and not server.is_gone
            ]
        )

    def named(self, name: str, now: float) -> tuple[Endpoint, ...]:
        """Return the replica of this name, if it may be asked now."""
        server = self.servers.get(name)
        if server is None or name == self.primary.name or not server.may_serve(now):
            return ()
        return (server.endpoint,)

    def take_facts(self, facts: PrimaryFacts) -> None:
        """Take in what kind of server the primary is."""
        self.facts = facts
        self.flavor = facts.flavor
        self.version = facts.version
        for server in self.servers.values():
            server.flavor = facts.flavor
        self.has_gtids = facts.history is not None
        if facts.history is not None:
            self.history = facts.history

    def take_replicas(self, endpoints: Iterable[Endpoint]) -> None:
        """Take in which replicas there are now."""
        servers = {**self.servers}
        # What sessions have forgotten because all had it, one that is new must have, too.
        known = self.replicas
        floor = floor_of(known, self.flavor, self.last_seen()) if known else None
        listed = {endpoint.name: endpoint for endpoint in endpoints}
        for name, endpoint in listed.items():
            server = servers.get(name)
            if server is None:
                server = servers[name] = Server(endpoint, self.flavor)
                server.floor = floor or None
            elif name != self.primary.name:
                server.endpoint = endpoint
        for name, server in servers.items():
            server.is_gone = name not in listed and name != self.primary.name
        self.servers = servers

    def note_arrival(self, now: float) -> None:
        """Note that a replica has come back, which has to catch up first."""
        self.settled_at = now + _SETTLE_SECONDS

    def describe(self, why: str) -> str:
        """Name all endpoints, and what each was last seen to be; `why` is the primary's."""
        said = [f"{self.primary.name}: {why or 'it was away'}"]
        for server in self.replicas:
            state = "it is a replica" if server.reached else "it does not answer"
            if server.reached and server.is_writable:
                state = "it can be written to, and was not seen to become the primary"
            said.append(f"{server.endpoint.name}: {state}")
        return "; ".join(said)

    # Where they are.

    def last_seen(self) -> Position | None:
        """Return where the primary was when last seen, so far as this process knows."""
        known, facts = self.samples.last, self.facts
        if facts is None or facts.position is None:
            return known
        return facts.position if known is None else facts.position | known

    def behind(self, position: Position, now: float) -> float:
        """Return how many seconds ago the primary was at a position; infinite if not known."""
        return self.samples.behind(position, now) if self.has_gtids else inf

    def belongs(self, position: Position) -> bool:
        """Tell whether a server with this position replicates from this cluster's primary."""
        return lineage(self.history, position)

    def may_have_lost(self, position: Position) -> bool:
        """Tell whether some of a position may be lost: a wait on MariaDB goes by numbers.

        So one that is over says nothing of a transaction whose number another one was given.
        """
        history = self.history
        if not isinstance(history, BinlogState) or not isinstance(position, GtidList):
            return False
        own = str(self.primary_server)
        return history.may_lack(position, int(own) if own.isdigit() else None)

    def ahead_by(self, position: Position, server: str) -> History:
        """Return what a server at this position has that the primary is not known to have."""
        logged = parse_history(self.flavor, "")
        return beyond(self.history, position, logged, server)


class FiguresOf(Mapping[str, Figures]):
    """What policies may look at, by endpoint name: as it is at the moment of asking."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology

    def __getitem__(self, name: str) -> Figures:
        return self._topology.servers[name].figures

    def __iter__(self) -> Iterator[str]:
        return iter(self._topology.servers)

    def __len__(self) -> int:
        return len(self._topology.servers)
