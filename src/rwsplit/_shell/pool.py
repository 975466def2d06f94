"""Wires that closed connections left behind, for those that connect next with the same account."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from time import monotonic, sleep
from typing import Any, NamedTuple

from .._core.failure import FULL
from .._core.wire import Capability
from .._drivers import err
from .._drivers.pymysql import Identity, PhysicalConnection, Wire
from .._drivers.sources import Whose
from .log import logger
from .reaper import watch

__all__ = ["LOST_FUNCTIONS", "Pool", "warn_of_functions"]

_MOST_KEYS = 1000
LOST_FUNCTIONS = 3
"""So many functions that are gone are no accident: each connection is given one of its own."""
_ORPHAN_SECONDS = 1.0
"""How far apart it is looked whether somebody still has the functions of idle wires' accounts."""
_ROOM_SECONDS = 0.5
"""How long a server may take to note that our idle wires are closed."""
_LOOK_AGAIN_SECONDS = 0.005


class _Kept(NamedTuple):
    wire: Wire
    until: float
    """When it is to be closed (monotonic seconds)."""


class _Shelf(list[_Kept]):
    """The idle wires of one key, the last one that was left at the end."""

    def __init__(self, key: tuple[Any, ...]) -> None:
        super().__init__()
        identity: Identity = key[-1]
        self.functions = [part for part in identity if isinstance(part, Whose)]
        """The application's functions that the account has."""

    def look_at(self, until: float, now: float) -> float:
        """Return when to look at a wire again: nobody tells when a function is gone."""
        return min(until, now + _ORPHAN_SECONDS) if self.functions else until


class Pool:
    """The idle wires of one cluster in this process, by endpoint and account.

    A wire's session is reset: what one session has set, locked or left open is gone before the next
    can see it. At once where it may hold what others wait for; else together with the set-up of the
    next one. An account is all that a connection's keywords and option files came
    to (`PhysicalConnection.identity`): who gives another password does not get the wire.

    :param size: how many are kept for each endpoint and account; the oldest is closed.
    :param sizes: the same by endpoint, for those that have a size of their own.
    :param max_idle: how many seconds a wire is kept.
    :param max_lifetime: how many seconds after its connection was made a wire is closed, at the
        latest when it is given back.
    """

    def __init__(
        self, size: int, sizes: Mapping[str, int], max_idle: float, max_lifetime: float
    ) -> None:
        self.size = size
        self._sizes = sizes
        self._max_idle = max_idle
        self._max_lifetime = max_lifetime
        self.in_use: Counter[str] = Counter()
        """By endpoint, how many connections are open and not idle here."""
        self._idle: dict[Any, _Shelf] = {}
        self._looks_at = 0.0
        """When the reaper looks here next, if before that nothing new is due; 0 for never."""
        # A connection that nobody holds any more is given back wherever that is noticed.
        self._lock = threading.RLock()
        self._closed = False
        self._orphans: Counter[str] = Counter()
        """By keyword, how many functions were gone while wires of theirs were idle."""
        self._made_room_at: dict[str, float] = {}
        """By endpoint, when idle wires were closed because it was full (monotonic seconds)."""

    def __repr__(self) -> str:
        """Tell how many wires are idle, and how many connections are in use."""
        with self._lock:
            idle = sum(map(len, self._idle.values()))
        return f"<Pool size={self.size} idle={idle} in_use={self.in_use.total()}>"

    def connect(
        self,
        endpoint: str,
        connection: PhysicalConnection,
        shelves: Sequence[tuple[Any, ...]],
        insists: bool = False,
    ) -> None:
        """Connect, through an idle wire of the same account if there is one.

        `shelves` are what else a wire is kept by: the first that has one gives it. Who insists, as
        no other server will do, has what is idle closed where the server is full. Raises what
        `connect` raises.
        """
        identity = connection.take_identity()
        keys = [(endpoint, *shelf, identity) for shelf in shelves]
        while True:
            wire = self._take(keys)
            if wire is None:
                self._connect_anew(endpoint, connection, insists)
                break
            try:
                connection.take_over(wire)
            except Exception:
                # A server that closed it for idling is no news; a fresh one tells what is.
                wire.drop()
            else:
                break
        self._count(endpoint, 1)

    def take_along(
        self,
        endpoint: str,
        connection: PhysicalConnection,
        shelves: Sequence[tuple[Any, ...]],
        judge: Callable[[], None],
    ) -> bool:
        """Give an idle wire to a connection that is opened with its first statement.

        False if there is none, or if the connection can't be opened so.
        """
        if Capability.HANDS_OVER not in connection.offers:
            return False
        identity = connection.take_identity()
        wire = self._take([(endpoint, *shelf, identity) for shelf in shelves])
        if wire is None:
            return False
        connection.take_along(wire, judge)
        self._count(endpoint, 1)
        return True

    def _connect_anew(self, endpoint: str, connection: PhysicalConnection, insists: bool) -> None:
        """Connect; where there is no room for one more, what is idle here may make some."""
        while True:
            try:
                connection.connect()
            except err.MySQLError as error:
                full = bool(error.args) and error.args[0] in FULL
                if not (insists and full and self._makes_room(endpoint)):
                    raise
            else:
                return
            sleep(_LOOK_AGAIN_SECONDS)

    def _makes_room(self, endpoint: str) -> bool:
        """Close what is idle; False if nothing is, or was a moment ago."""
        now = monotonic()
        if self.close_idle(endpoint):
            self._made_room_at[endpoint] = now
        return now - self._made_room_at.get(endpoint, -_ROOM_SECONDS) < _ROOM_SECONDS

    def close(
        self,
        endpoint: str,
        connection: PhysicalConnection,
        shelf: tuple[Any, ...] | None,
        holds: bool = True,
    ) -> None:
        """Close a connection that `connect` opened; its wire is kept where there is a shelf.

        `holds` is whether its session may hold what others wait for.
        """
        self._count(endpoint, -1)
        wire = None
        size = self._sizes.get(endpoint, self.size)
        if shelf is not None and size and not self._closed:
            wire = connection.leave(holds)
        if wire is not None:
            assert shelf is not None
            for surplus in self._keep((endpoint, *shelf, connection.identity), wire, size):
                surplus.close()
        elif not connection.is_closed:
            connection.close()

    def forget(self, endpoint: str) -> None:
        """Note that a connection is gone that `connect` opened."""
        self._count(endpoint, -1)

    def _count(self, endpoint: str, change: int) -> None:
        with self._lock:
            self.in_use[endpoint] += change

    def _take(self, keys: Sequence[Any]) -> Wire | None:
        now = monotonic()
        with self._lock:
            for key in keys:
                idle = self._idle.get(key)
                if idle is None:
                    continue
                # One whose session is still being reset, a long rollback say, is left for later.
                for index in reversed(range(len(idle))):
                    # What is due the reaper closes.
                    if idle[index].until > now and idle[index].wire.is_ready():
                        return idle.pop(index).wire
        return None

    def _keep(self, key: Any, wire: Wire, size: int) -> list[Wire]:
        """Keep a wire; returns those to close."""
        now = monotonic()
        until = min(now + self._max_idle, wire.made_at + self._max_lifetime)
        with self._lock:
            full = key not in self._idle and len(self._idle) >= _MOST_KEYS
            if self._closed or full or until <= now:
                return [wire]
            idle = self._idle.get(key)
            if idle is None:
                idle = self._idle[key] = _Shelf(key)
            idle.append(_Kept(wire, until))
            surplus = idle[:-size] if len(idle) > size else ()
            if surplus:
                del idle[:-size]
            due = idle.look_at(until, now)
            is_watched = 0 < self._looks_at <= due
            if not is_watched:
                self._looks_at = due
        if not is_watched:
            watch(self, due)
        return [kept.wire for kept in surplus]

    def close_expired(self, now: float) -> float | None:
        """Close what is due; returns when to look again, None while nothing is idle."""
        expired: list[Wire] = []
        with self._lock:
            for key, idle in [*self._idle.items()]:
                gone = [part.keyword for part in idle.functions if part.is_gone]
                orphaned = bool(gone)
                self._orphans.update(gone)
                expired += [kept.wire for kept in idle if orphaned or kept.until <= now]
                idle[:] = [kept for kept in idle if not orphaned and kept.until > now]
                if not idle:
                    del self._idle[key]
            due = min(
                (idle.look_at(kept.until, now) for idle in self._idle.values() for kept in idle),
                default=None,
            )
            self._looks_at = due or 0.0
        for wire in expired:
            wire.close()
        for keyword, times in [*self._orphans.items()]:
            if times >= LOST_FUNCTIONS:
                warn_of_functions(keyword)
        return due

    def close_idle(self, endpoint: str | None = None) -> int:
        """Close the idle wires, of one endpoint or of all; returns how many those were."""
        with self._lock:
            keys = [key for key in self._idle if endpoint is None or key[0] == endpoint]
            kept = [kept for key in keys for kept in self._idle.pop(key)]
        for each in kept:
            each.wire.close()
        return len(kept)

    def shut(self) -> None:
        """Close what is idle, and keep no more."""
        self._closed = True
        self.close_idle()

    def after_fork(self) -> None:
        """Let go of the parent's sockets, in a child."""
        self._lock = threading.RLock()
        self._looks_at = 0.0
        kept = [kept for idle in self._idle.values() for kept in idle]
        self._idle.clear()
        for each in kept:
            each.wire.drop()


@cache
def warn_of_functions(keyword: str) -> None:
    """Log once a process that connections share nothing, as each has a function of its own."""
    logger.warning(
        "%s: connections were given functions that are gone by now, so that no other connection "
        "could share what they had opened; give each connect() the same function",
        keyword,
    )
