"""What is known of one server of a cluster, shared by all connections of the process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf, isfinite
from random import SystemRandom
from time import monotonic
from typing import Any, NamedTuple, Protocol

from .._core.endpoint import Endpoint
from .._core.figures import Figures, peak_ewma
from .._core.position import History, Position, parse_position
from .._core.seen import UNTOLD_SECONDS
from .._core.tracking import parse, state_block
from .._drivers.pymysql import PhysicalConnection
from .registry import Registry

__all__ = ["Probe", "Server", "logger"]

_dice = SystemRandom()  # the application's own dice are left as they are
logger = logging.getLogger("rwsplit")

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_LONGEST_PROBE_PAUSE = 1.0
"""Seconds that a replica is left alone after a failure, and seconds between two looks at a late
one: doubled each time, up to the longest."""

_LONGEST_REFUSAL = 10.0
"""Seconds that an account is not tried at most after a server has refused it."""

_MOST_OPENING = 8
_MOST_REFUSALS = 1000


class Probe(NamedTuple):
    """What one look at a server told."""

    server: str
    is_writable: bool
    position: Position
    history: History
    replicates: bool | None
    connected: int
    running: int
    asked_at: float
    """Monotonic seconds, from before it was asked."""
    seconds: float
    """How long the answer took."""


class Owner(Protocol):
    """The cluster, as its servers see it."""

    flavor: str
    primary: Endpoint

    def refresh(self) -> None:
        """Look again at who may serve."""

    def is_in_use(self) -> bool:
        """Tell whether a virtual connection is open."""

    def usual(self, seconds: float) -> float:
        """Return how long a statement took, so far as that tells of its server."""


class Server:
    """What is known of one server.

    Its position only grows while it is the same server; every connection that reads there adds to
    what is known, and what is known is shared.
    """

    __slots__ = (
        "_cluster",
        "_failures",
        "_gtids",
        "_latency_at",
        "_looks",
        "_parsed_tail",
        "_position",
        "_probe_at",
        "_ran",
        "_timeouts",
        "_warned",
        "advanced_at",
        "advances",
        "ahead",
        "behind",
        "connected",
        "connections",
        "doubted",
        "endpoint",
        "floor",
        "full_until",
        "is_foreign",
        "is_gone",
        "is_stray",
        "is_writable",
        "late",
        "latency",
        "look_at",
        "looked",
        "noted_at",
        "opening",
        "reached",
        "refusals",
        "replicates",
        "rests_until",
        "running",
        "server",
        "stalled",
        "suspect",
        "tail",
        "unfit",
        "was_primary",
        "was_read_only",
        "writable_since",
    )

    def __init__(self, endpoint: Endpoint, cluster: Owner) -> None:  # noqa: PLR0915 - it is all fields
        self.endpoint = endpoint
        self._cluster = cluster
        self.floor: Position | None = None
        """What the replica had before it came back with less; it serves nobody until it has that
        again. None while nothing was lost."""
        self.late = False
        """A wait timed out here, and the replica was not seen to advance since."""
        self.stalled = False
        """It answers, and does not advance while the primary does."""
        self.unfit = ""
        """Why it must serve nobody although it answers; '' if it may."""
        self.rests_until = 0.0
        """Until when (monotonic seconds) it is left alone after a failure; 0 while it works."""
        self.full_until = 0.0
        """Until when (monotonic seconds) it is not asked for more connections."""
        self.refusals: dict[Any, tuple[float, int]] = {}
        """By account, until when (monotonic seconds) it is not tried after it was refused, and how
        often it was."""
        self.opening = 0
        """How many connections to it are being made right now."""
        self.connections: Registry[PhysicalConnection] = Registry()
        """Those of virtual connections."""
        self.server = ""
        """Its own name for itself: on MySQL its UUID."""
        self.noted_at = 0.0
        """When its position was last noted (monotonic seconds)."""
        self._position: Position | None = None
        self.tail = self._parsed_tail = b""
        """The end of a read's last packet: on MySQL it tells the replica's position. Parsed when
        somebody asks, as most reads bring what is known already."""
        self._gtids: str | None = None
        """What it told, as text."""
        self.advanced_at = 0.0
        """When a read last told something new (monotonic seconds)."""
        self.advances = False
        """Whether that was a moment ago: see `told`."""
        self._failures = 0
        self._timeouts = self._looks = 0
        self.look_at = 0.0
        """Until when (monotonic seconds) no short look is worth its while."""
        self._probe_at = 0.0
        self._warned: str | None = None

        # What the monitor saw last.
        self.is_gone = False
        """It is no part of the cluster any more."""
        self.is_foreign = False
        """It belongs to another cluster."""
        self.reached: bool | None = None
        """Whether it answered; None before the first look."""
        self.is_writable: bool | None = None
        self.was_read_only = False
        """It was seen as a read-only server: if it can be written to later, it was promoted."""
        self.replicates: bool | None = None
        """Whether it replicates from another server; None where that can't be seen."""
        self.was_primary = False
        self.looked: Probe | None = None
        """What the last look told."""
        self.suspect = False
        """The primary has changed, and this one may have what the new one lacks."""
        self.ahead: History | None = None
        """What it has of transactions that were lost with a primary; it has to be rebuilt."""
        self.doubted: Probe | None = None
        """A look that told what the primary was not known to have."""
        self.writable_since = 0.0
        """Since when it was seen as a server that can be written to (monotonic seconds)."""
        self.is_stray = False
        """It could be written to while another was the primary: so that tells nothing of it."""
        self.connected = self.running = 0
        """Its connected and running threads."""
        self.latency = 0.0
        """How many seconds a round trip takes: the monitor's, and those that `running_one` saw."""
        self._latency_at = 0.0
        """When it was last noted (monotonic seconds)."""
        self._ran: set[object] = set()
        """Who runs a statement there: a set, as what interrupts a statement must leave no lock."""
        self.behind = inf
        """How many seconds ago the primary was where it is; infinite while that is not known."""

    def __repr__(self) -> str:
        """Tell the server's state: never more than names and positions."""
        behind = f"{self.behind:.1f}" if isfinite(self.behind) else "unknown"
        return (
            f"<Server {self.endpoint.name} {self.state()} "
            f"position={str(self._position or '')!r} behind={behind}>"
        )

    @property
    def flavor(self) -> str:
        """`mysql` or `mariadb`."""
        return self._cluster.flavor

    def state(self) -> str:
        """Tell in a word whether it serves."""
        if self.rests_until > monotonic() or self.reached is False:
            return "resting"
        if self.unfit:
            return "unfit"
        return "stalled" if self.stalled else "late" if self.late else "usable"

    def may_serve(self, now: float) -> bool:
        """Tell whether reads may be sent here."""
        return (
            self.rests_until <= now
            and self.reached is not False
            and not self.is_gone
            and not self.unfit
            and not self.stalled
        )

    def has_room(self) -> bool:
        """Tell whether to ask for one more connection now: not while many are being made.

        When a replica comes back, all virtual connections would want theirs at once.
        """
        return self.opening < _MOST_OPENING and self.full_until <= monotonic()

    # What policies go by.

    @property
    def in_use(self) -> int:
        """How many statements of this process run there, of those that `running_one` saw."""
        return len(self._ran)

    @property
    def figures(self) -> Figures:
        """What policies may look at."""
        return Figures(self.connected, self.running, self.in_use, self.latency, self.behind)

    def note_latency(self, seconds: float) -> None:
        """Note how long a round trip took."""
        now = monotonic()
        self.latency = peak_ewma(self.latency, seconds, now - self._latency_at)
        self._latency_at = now

    @contextmanager
    def running_one(self, timed: bool = True) -> Iterator[None]:
        """Count a statement while it runs, and note how long it took if that is to count."""
        began = monotonic()
        one = object()
        try:
            self._ran.add(one)
            yield
        finally:
            self._ran.discard(one)
            if timed:
                self.note_latency(self._cluster.usual(monotonic() - began))

    def after_fork(self) -> None:
        """Begin anew in a child: what runs, the parent runs."""
        self._ran = set()
        self.connections.after_fork()

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
        self.noted_at = monotonic()
        self.tail = self._parsed_tail = b""
        return False

    def let_go(self, position: Position) -> Position:
        """Know no more than this of where it is, or was before it was rebuilt; returns it."""
        self.floor = None
        self._position = position
        self.noted_at = monotonic()
        self.tail = self._parsed_tail = b""
        return position

    def has_gone_on(self, server: str, before: Position | None, position: Position) -> bool:
        """Tell whether a server is the one that was known here, with what it had and more."""
        if not before or self.server != server:
            return False
        return position.covers(before)

    @property
    def position(self) -> Position | None:
        """What the replica is known to have; None for nothing."""
        self._read_tail()
        return self._position

    def has(self, position: Position) -> bool:
        """Tell whether the replica is known to have this position, and all that it once had."""
        self._read_tail()
        return self._position is not None and self._position.covers(position)

    def told(self, tail: bytes) -> bool:
        """Take in what a read told; True if the read saw no more than that.

        MySQL shows a commit a moment before it tells of it. So what a read tells while a replica
        advances may be less than it has seen.
        """
        gtids = self._gtids
        if tail != self.tail:
            changes = parse(state_block(tail))
            gtids = None if changes.state_changed else changes.gtids
        if gtids is None:
            return False
        if gtids == self._gtids:
            self.tail = tail
            if self.advances:
                since = self.advanced_at
                if monotonic() < since + UNTOLD_SECONDS:
                    return False
                self.advances = False
                self.advances = since != self.advanced_at  # another thread saw it advance
            return not self.advances
        # In this order, as other threads look without a lock.
        self.advanced_at = monotonic()
        self.advances = True
        self._gtids = gtids
        self.tail = tail
        return False

    def _read_tail(self) -> None:
        tail = self.tail
        if tail != self._parsed_tail:
            self._parsed_tail = tail
            gtids = parse(state_block(tail)).gtids
            if gtids is not None:
                self.note_position(parse_position(self._cluster.flavor, gtids))

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
        """Leave the server alone for a growing while; the reason is logged once."""
        pause = min(_FIRST_PAUSE * 2**self._failures, _LONGEST_PAUSE)
        self._failures = min(self._failures + 1, 16)
        # Not all processes are to come back at the same moment.
        self.rests_until = monotonic() + pause * _dice.uniform(0.75, 1.25)
        self._cluster.refresh()
        self.warn(why)

    def warn(self, why: str) -> None:
        """Log once why it is left out, until it is back; nobody is told while nobody asks."""
        if self._warned is not None or self.endpoint is self._cluster.primary:
            return
        if self._cluster.is_in_use():
            self._warned = why
            logger.warning(
                "replica %s is left out: %s; its reads run elsewhere, and it will be tried again",
                self.endpoint.name,
                why,
            )

    def refuse(self, account: Any) -> float:
        """Leave the server alone for a growing while, for one account; returns until when."""
        if len(self.refusals) >= _MOST_REFUSALS:
            self.refusals.clear()
        _, times = self.refusals.get(account, (0.0, 0))
        pause = min(_FIRST_PAUSE * 2**times, _LONGEST_REFUSAL)
        until: float = monotonic() + pause * _dice.uniform(0.75, 1.25)
        self.refusals[account] = until, min(times + 1, 16)
        return until

    def refuses_until(self, account: Any) -> float:
        """Return until when (monotonic seconds) an account is not tried; 0 if it may be now."""
        known = self.refusals.get(account)
        return known[0] if known is not None and known[0] > monotonic() else 0.0

    def works(self) -> None:
        """Note that the server served a statement."""
        if self._failures:
            self._failures = 0
            self.rests_until = 0.0
            self._cluster.refresh()
        self.is_back()

    def is_back(self) -> None:
        """Say so, if it was said that it is left out."""
        if self._warned is not None and self.may_serve(monotonic()):
            self._warned = None
            logger.info("replica %s is back", self.endpoint.name)

    def interrupt_questions(self) -> None:
        """End the waiting for answers to what was not the application's."""
        for connection in self.connections.all():
            if connection.asking:
                connection.interrupt()

    def interrupt(self) -> None:
        """End the waiting of all who wait for an answer of this server."""
        for connection in self.connections.all():
            connection.interrupt()
