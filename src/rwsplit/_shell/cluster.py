"""The cluster: what this process knows of a primary and its replicas, shared by its connections."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from time import monotonic

from cachetools import LRUCache

from .._core.endpoint import Endpoint
from .._core.habit import Habit
from .._core.position import (
    History,
    Position,
    empty,
    intersection,
    lineage,
    parse_history,
    parse_position,
)
from .._core.tracking import parse, state_block
from .._stores import MemoryStore
from .catalogue import Catalogue

__all__ = ["Cluster", "Replica", "cluster_of", "logger"]

logger = logging.getLogger("rwsplit")

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
_LONGEST_PROBE_PAUSE = 1.0
"""Seconds that a replica is left alone after a failure, and seconds between two looks at a late
one: doubled each time, up to the longest."""

_MOST_CLUSTERS = 100
_MOST_WARNINGS = 1000
_MOST_SAMPLES = 100
_MOST_HABITS = 2048


class Replica:
    """What is known of one replica.

    Its position only grows while it is the same server; every connection that reads there adds to
    what is known, and what is known is shared.
    """

    __slots__ = (
        "_failures",
        "_looks",
        "_parsed_tail",
        "_position",
        "_probe_at",
        "_timeouts",
        "_warned",
        "cluster",
        "endpoint",
        "floor",
        "late",
        "look_at",
        "noted_at",
        "rests_until",
        "server",
        "tail",
    )

    def __init__(self, endpoint: Endpoint, cluster: Cluster) -> None:
        self.endpoint = endpoint
        self.cluster = cluster
        self.floor: Position | None = None
        """What the replica had before it came back with less; it serves nobody until it has that
        again. None while nothing was lost."""
        self.late = False
        """A wait timed out here, and the replica was not seen to advance since."""
        self.rests_until = 0.0
        """Until when (monotonic seconds) it is left alone after a failure; 0 while it works."""
        self.server = ""
        """Its own name for itself: on MySQL its UUID."""
        self.noted_at = 0.0
        """When its position was last noted (monotonic seconds)."""
        self._position: Position | None = None
        self.tail = self._parsed_tail = b""
        """The end of a read's last packet: on MySQL it tells the replica's position. Parsed when
        somebody asks, as most reads bring what is known already."""
        self._failures = 0
        self._timeouts = self._looks = 0
        self.look_at = 0.0
        """Until when (monotonic seconds) no short look is worth its while."""
        self._probe_at = 0.0
        self._warned: str | None = None

    def __repr__(self) -> str:
        """Tell the replica's state: never more than names and positions."""
        state = "resting" if self.rests_until > monotonic() else "late" if self.late else "usable"
        return f"<Replica {self.endpoint.name} {state} position={str(self._position or '')!r}>"

    # Where it is.

    def note_position(self, position: Position) -> None:
        """Note a position that the replica is known to have."""
        known = self._position
        self.noted_at = monotonic()
        if known is None or not known.covers(position):
            self._position = position if known is None else known | position
            self.late = False

    def reset_position(self, position: Position, expected: Position | None) -> bool:
        """Note the whole position of a replica that was just connected to.

        A server that was rebuilt or that crashed may have less than before; returns False then, and
        until it has that again. `expected` is what was known of it before it was asked.
        """
        if expected is None or position.covers(expected):
            self.floor = None
            self.note_position(position)
            return True
        self.floor = expected
        self._position = position
        self.tail = self._parsed_tail = b""
        return False

    @property
    def position(self) -> Position | None:
        """What the replica is known to have; None for nothing."""
        self._read_tail()
        return self._position

    def has(self, position: Position) -> bool:
        """Tell whether the replica is known to have this position, and all that it once had."""
        self._read_tail()
        return self._position is not None and self._position.covers(position)

    def _read_tail(self) -> None:
        tail = self.tail
        if tail != self._parsed_tail:
            self._parsed_tail = tail
            gtids = parse(state_block(tail)).gtids
            if gtids is not None:
                self.note_position(parse_position(self.cluster.flavor, gtids))

    # Whether to wait for it.

    def timed_out(self) -> None:
        """Note that a wait timed out: nobody waits here again until the replica has advanced."""
        self.late = True
        self._probe_at = monotonic() + min(_FIRST_PAUSE * 2**self._timeouts, _LONGEST_PROBE_PAUSE)
        self._timeouts = min(self._timeouts + 1, 16)

    def looked_in_vain(self) -> None:
        """Note that a short look found it behind: no more looks for a while, but waits."""
        pause = min(_FIRST_PAUSE * 2**self._looks, _LONGEST_PROBE_PAUSE)
        self.look_at = monotonic() + pause
        self._looks = min(self._looks + 1, 16)

    def caught_up(self) -> None:
        """Note that a wait succeeded."""
        self.late = False
        self._timeouts = self._looks = 0
        self.look_at = 0.0

    def worth_asking(self) -> bool:
        """Tell whether it is not late, or another look is due."""
        return not self.late or monotonic() >= self._probe_at

    def may_probe(self) -> bool:
        """Tell whether it is time for another look at a late replica, and take that turn."""
        now = monotonic()
        if now < self._probe_at:
            return False
        self._probe_at = now + min(_FIRST_PAUSE * 2**self._timeouts, _LONGEST_PROBE_PAUSE)
        self._timeouts = min(self._timeouts + 1, 16)
        return True

    # Whether to leave it alone.

    def rest(self, why: str) -> None:
        """Leave the replica alone for a growing while; the reason is logged once."""
        pause = min(_FIRST_PAUSE * 2**self._failures, _LONGEST_PAUSE)
        self._failures = min(self._failures + 1, 16)
        self.rests_until = monotonic() + pause
        self.cluster.refresh()
        if self._warned is None:
            self._warned = why
            logger.warning(
                "replica %s is left out: %s; its reads run elsewhere, and it will be tried again",
                self.endpoint.name,
                why,
            )

    def works(self) -> None:
        """Note that the replica served a statement."""
        if self._failures:
            self._failures = 0
            self.rests_until = 0.0
            self.cluster.refresh()
            if self._warned is not None:
                self._warned = None
                logger.info("replica %s is back", self.endpoint.name)


class Cluster:
    """One primary and its replicas, shared by the connections of a process to the same servers."""

    def __init__(self, primary: Endpoint, replicas: Sequence[Endpoint]) -> None:
        self.primary = primary
        self.replicas = tuple([Replica(endpoint, self) for endpoint in replicas])
        self.by_name = {replica.endpoint.name: replica for replica in self.replicas}
        self.turns = itertools.count()
        """Numbers the choices of a replica, for the policies."""
        self.flavor = "mysql"
        self.version = ""
        self.has_gtids = True
        self.history: History = parse_history("mysql", "")
        """The primary's executed transactions when last seen: a replica must share some."""
        self.primary_server: object = None
        """The primary's own name for itself: no replica has the same."""
        self.catalogue = Catalogue()
        self.counts: Counter[str] = Counter()
        """How often it came to what should not happen: `unknown statements`, that the classifier
        did not understand, and `refused reads`, that it took for reads and a replica did not; and
        what became of transactions: `moved transactions`, `mismatched transactions`, and `reads in
        transactions on the primary`."""
        self.memory = MemoryStore()
        """The store of session ids that only this process shares."""
        self._samples: deque[tuple[float, Position]] = deque(maxlen=_MOST_SAMPLES)
        """Positions of the primary with the time at which they were asked for, oldest first."""
        self._habits: LRUCache[str, Habit] = LRUCache(_MOST_HABITS)
        self._habits_lock = threading.Lock()
        self._warned: set[str] = set()
        self.candidates: tuple[Endpoint, ...] = ()
        """The replicas that may be asked, when last looked at: see `usable`."""
        self.refresh_at = 0.0
        """When to look again (monotonic seconds): somebody's rest is over; 0 for nobody rests."""
        self.refresh()

    def __repr__(self) -> str:
        """Tell the cluster's members and their states."""
        replicas = ", ".join(map(repr, self.replicas))
        return f"<Cluster {self.flavor} primary={self.primary.name} replicas=[{replicas}]>"

    def usable(self) -> tuple[Endpoint, ...]:
        """Return the replicas that may be asked now: of those not resting, the lowest rank."""
        if self.refresh_at and monotonic() >= self.refresh_at:
            self.refresh()
        return self.candidates

    def refresh(self) -> None:
        """Look again at who is resting."""
        now = monotonic()
        awake = [replica.endpoint for replica in self.replicas if replica.rests_until <= now]
        lowest = min((endpoint.rank for endpoint in awake), default=0)
        self.refresh_at = min(
            (replica.rests_until for replica in self.replicas if replica.rests_until > now),
            default=0.0,
        )
        self.candidates = tuple([endpoint for endpoint in awake if endpoint.rank == lowest])

    # How old a replica is, told without a privilege.

    def note_sample(self, position: Position, asked_at: float | None = None) -> None:
        """Note where the primary was; `asked_at` is from before it was asked."""
        self._samples.append((monotonic() if asked_at is None else asked_at, position))

    def sample(self, seconds: float, ask: Callable[[], Position]) -> Position:
        """Return a position that the primary had at most so many seconds ago."""
        oldest = monotonic() - seconds
        for asked_at, position in self._samples:
            if asked_at >= oldest:
                # Soon it will be too old: a younger one is there by then.
                if self._samples[-1][0] < oldest + seconds / 2:
                    break
                return position
        now = monotonic()
        position = ask()
        self.note_sample(position, now)
        return next(known for asked_at, known in self._samples if asked_at >= oldest)

    def closest(self, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        """Return those that are not known to be behind another of them.

        Who was last looked at before the other need not be behind: else who is not asked would
        never be asked again.
        """
        replicas = [(end, self.by_name[end.name]) for end in endpoints]
        known = [(end, replica.position, replica) for end, replica in replicas]
        ahead = [
            end
            for end, position, replica in known
            if not any(
                other.noted_at <= replica.noted_at and _is_ahead(theirs, position)
                for _, theirs, other in known
                if other is not replica
            )
        ]
        return tuple(ahead) or endpoints

    def common_position(self) -> Position:
        """Return what all replicas are known to have."""
        positions = [replica.position for replica in self.replicas]
        common = positions[0] if positions else None
        for position in positions[1:]:
            if common is None or position is None:
                common = None
                break
            common = intersection(common, position)
        return empty(self.flavor) if common is None else common

    # What transactions go on to do.

    def habit(self, digest: str) -> Habit:
        """Return what transactions go on to do that begin with a read of this digest."""
        with self._habits_lock:
            return self._habits.get(digest) or Habit()

    def note_habit(self, digest: str, wrote: bool, mismatched: bool = False) -> None:
        """Learn from one more of them."""
        with self._habits_lock:
            habit = self._habits.get(digest) or Habit()
            self._habits[digest] = habit.after(wrote, mismatched)

    def warn_once(self, message: str, *args: object) -> None:
        """Log a warning about the cluster, once a process."""
        text = message % args
        if text not in self._warned and len(self._warned) < _MOST_WARNINGS:
            self._warned.add(text)
            logger.warning("%s", text)

    def learn_primary(
        self, flavor: str, version: str, history: History | None, server: object
    ) -> None:
        """Take in what a new connection to the primary told; without a history: no GTIDs."""
        self.flavor = flavor
        self.version = version
        self.primary_server = server
        self.has_gtids = history is not None
        if history is not None:
            self.history = history

    def belongs(self, replica_position: Position) -> bool:
        """Tell whether a server with this position replicates from this cluster's primary."""
        return lineage(self.history, replica_position)


def _is_ahead(one: Position | None, other: Position | None) -> bool:
    if one is None or other is None:
        return one is not None
    return one.covers(other) and not other.covers(one)


# Only knowledge is lost with the one that was not used for longest, and it is learned again.
_clusters: LRUCache[object, Cluster] = LRUCache(_MOST_CLUSTERS)
_lock = threading.Lock()


def cluster_of(primary: Endpoint, replicas: Sequence[Endpoint]) -> Cluster:
    """Return the process's cluster for these servers."""
    key = (primary, tuple([(replica, replica.weight, replica.rank) for replica in replicas]))
    with _lock:
        cluster = _clusters.get(key)
        if cluster is None:
            cluster = _clusters[key] = Cluster(primary, replicas)
    return cluster
