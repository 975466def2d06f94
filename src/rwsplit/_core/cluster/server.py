"""What is known of one server of a cluster, shared by all connections of the process. Pure.

Every method that needs the time takes `now`, in monotonic seconds. Nothing here tells the cluster:
what changes who may serve is returned, and the cluster looks again.
"""

from __future__ import annotations

from math import inf, isfinite

from .endpoint import Endpoint
from .figures import Figures
from .lag import Lag
from .load import Load
from .pauses import MOST_TIMES, growing, spread
from .place import Place
from .position import History, Position
from .probe import Probe
from .refusals import Refusals
from .roles import Sight

__all__ = ["FULL_SECONDS", "Server"]

FULL_SECONDS = 0.5
"""How long a full server is not asked for more."""
_LONGEST_REST = 2.0
"""Seconds that a replica is left alone after a failure at most."""
_MOST_OPENING = 8


class Server(Place):
    """What is known of one server: where it is, what it was seen to be, whether it may serve."""

    __slots__ = (
        "_failures",
        "_let_in",
        "ahead",
        "behind",
        "doubted",
        "endpoint",
        "full_until",
        "is_foreign",
        "is_gone",
        "is_stray",
        "is_writable",
        "lag",
        "left_out",
        "load",
        "looked",
        "opening",
        "reached",
        "refusals",
        "replicates",
        "rests_until",
        "stalled",
        "suspect",
        "unfit",
        "was_primary",
        "was_read_only",
        "writable_since",
    )

    def __init__(self, endpoint: Endpoint, flavor: str) -> None:
        super().__init__(flavor)
        self.endpoint = endpoint
        self.load = Load()
        self.lag = Lag()
        self.refusals = Refusals()
        """The accounts that it does not let in."""

        # Whether to leave it alone.
        self.stalled = False
        """It answers, and does not advance while the primary does."""
        self.unfit = ""
        """Why it must serve nobody although it answers; '' if it may."""
        self.rests_until = 0.0
        """Until when (monotonic seconds) it is left alone after a failure; 0 while it works."""
        self._failures = 0
        self.full_until = 0.0
        """Until when (monotonic seconds) it is not asked for more connections."""
        self.opening = 0
        """How many connections to it are being made right now."""
        self.left_out: str | None = None
        """Why it was said to be left out; None where that was not said, or it is back."""

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
        self._let_in: tuple[str, Position, History | None] | None = None
        """As what it was let in last: who it was, where, and what the primary had."""
        self.ahead: tuple[str, History] | None = None
        """As which server it has what of transactions that were lost with a primary; it has to be
        rebuilt, which makes it another one."""
        self.doubted: Probe | None = None
        """A look that told what the primary was not known to have."""
        self.writable_since = 0.0
        """Since when it was seen as a server that can be written to (monotonic seconds)."""
        self.is_stray = False
        """It could be written to while another was the primary: so that tells nothing of it."""
        self.behind = inf
        """How many seconds ago the primary was where it is; infinite while that is not known."""

    def let_in(self, server: str, position: Position, history: History | None) -> None:
        """Note that it was found to be a replica of a primary with this history, and not ahead."""
        self._let_in = server, position, history

    def was_let_in(self, server: str, position: Position, history: History | None) -> bool:
        """Tell whether it was found to be that already, as the same server at the same place."""
        known = self._let_in
        return (
            known is not None
            and known[2] is history
            and known[0] == server
            and known[1] == position
        )

    def __repr__(self) -> str:
        """Tell what is known: never more than names and positions.

        Nobody says what time it is, so one that has failed rests until it has served again.
        """
        return self.shown(0.0)

    def shown(self, now: float) -> str:
        """Tell what is known in a few words."""
        behind = f"{self.behind:.1f}" if isfinite(self.behind) else "unknown"
        return (
            f"<Server {self.endpoint.name} {self.state(now)} "
            f"position={str(self._position or '')!r} behind={behind}>"
        )

    def state(self, now: float) -> str:
        """Tell in a word whether it serves."""
        if self.rests_until > now or self.reached is False:
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

    def has_room(self, now: float) -> bool:
        """Tell whether to ask for one more connection now: not while many are being made.

        When a replica comes back, all virtual connections would want theirs at once.
        """
        return self.opening < _MOST_OPENING and self.full_until <= now

    def note_full(self, now: float) -> None:
        """Note that it has no room for one more connection."""
        self.full_until = now + FULL_SECONDS

    @property
    def figures(self) -> Figures:
        """What policies may look at."""
        load = self.load
        return Figures(load.connected, load.running, load.in_use, load.latency, self.behind)

    @property
    def sight(self) -> Sight:
        """What it was last seen to be."""
        return Sight(
            self.endpoint.name,
            self.reached,
            self.is_writable,
            self.was_read_only,
            self.replicates,
            self.is_stray,
        )

    def rest(self, now: float, dice: float) -> None:
        """Leave the server alone for a growing while; `dice` is a number from 0 up to 1."""
        pause = growing(self._failures, _LONGEST_REST)
        self._failures = min(self._failures + 1, MOST_TIMES)
        self.rests_until = now + pause * spread(dice)

    def works(self) -> bool:
        """Note that the server served a statement; returns whether it was left alone before."""
        rested = self._failures > 0
        if rested:
            self._failures = 0
            self.rests_until = 0.0
        return rested

    def comes_back(self, now: float) -> bool:
        """Tell, once, whether it may serve again that was said to be left out."""
        if self.left_out is None or not self.may_serve(now):
            return False
        self.left_out = None
        return True
