"""What the connections of this process have committed: those that share the process see it."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple
from weakref import WeakValueDictionary

from .._core.cluster.endpoint import Endpoint
from .._core.cluster.position import (
    Position,
    empty,
    encode,
    join_positions,
    parse_commits,
    within,
)

__all__ = ["Heard", "ProcessPosition", "committed_here", "doubt_number", "position_of"]

_MOST_PENDING = 100
_MOST_PIECES = 16
_numbers = itertools.count(1)
"""Of doubts, in the order in which they came, whoever hears them."""


def doubt_number() -> int:
    """Return the number of a new doubt."""
    return next(_numbers)


class Heard(NamedTuple):
    """What there is to hear."""

    position: Position
    doubt: int
    """The number of a doubt that nobody has settled; 0 for none."""
    unsure: bool
    """It is only about statements whose answers were lost."""


class ProcessPosition:
    """The high-water position of all connections of this process to one primary.

    A write adds its GTID, unread and without a lock. Whoever reads compares `latest` with the
    object that was there when it last looked; only if that is another one there is something new.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.latest: object = None
        """Another object with all that there is to hear."""
        self.noted_at = 0.0
        """When the last commit was noted (monotonic seconds)."""
        self._clock = clock
        self._flavor = "mysql"
        self._pending: deque[str | bytes] = deque()
        """What was committed and is not in the position yet."""
        self._position: Position = empty(self._flavor)
        self._doubts = 0
        self._settled = 0
        """All doubts up to this number are settled."""
        self._unsure = True
        self._lock = threading.Lock()

    def begin(self, flavor: str) -> None:
        """Note the primary's flavor, before anything can be committed there."""
        if flavor != self._flavor:
            with self._lock:
                # Another server took the address.
                self._flavor, self._position = flavor, empty(flavor)
                self._pending.clear()

    def note(self, gtids: str | bytes) -> None:
        """Note what was committed, as the server prints it."""
        # In this order: who sees the object must find what it stands for.
        self._pending.append(gtids)
        self.noted_at = self._clock()
        self.latest = gtids
        if len(self._pending) > _MOST_PENDING:
            with self._lock:
                self._add_up()

    @property
    def doubts(self) -> bool:
        """Whether something may have been committed that nobody has reported."""
        return self._doubts > self._settled

    def look(self, whole: Callable[[], Position | None]) -> Heard:
        """Return what others of the process must see.

        `whole` returns where the primary was not long ago, if that is known: a set of GTIDs with
        many gaps becomes one without them, as others have committed what is missing between.
        """
        with self._lock:
            position = self._add_up()
            if position.pieces > _MOST_PIECES:
                near = whole()
                if near is not None and near.flavor == self._flavor:
                    position = self._position = position | near
            doubt = self._doubts if self.doubts else 0
            return Heard(position, doubt, self._unsure)

    def _add_up(self) -> Position:
        pending = self._pending
        if pending:
            told = [pending.popleft() for _ in range(len(pending))]
            self._position = self._position | parse_commits(self._flavor, told)
        return self._position

    def doubt(self, unsure: bool, number: int = 0) -> int:
        """Note that something may have been committed that nobody reported; see `Session`.

        `number` is what it was given already, where others hear of it, too.
        """
        number = number or doubt_number()
        with self._lock:
            self._unsure = unsure and (self._unsure or self._doubts <= self._settled)
            self._doubts = max(self._doubts, number)
            self.latest = object()
            return number

    def settle(self, doubt: int, position: Position) -> None:
        """Note where the primary was when it was asked because of this doubt, or a later one."""
        with self._lock:
            if doubt > self._settled and position.flavor == self._flavor:
                self._settled = doubt
                self._position = self._position | position
                self.latest = object()

    def let_go(self, known: Position, now: Position) -> None:
        """Let go of what a primary that is at `now` does not have.

        `known` is the position that there was before it was asked: if something has come meanwhile,
        whoever misses the rest will ask again.
        """
        with self._lock:
            if self._position is known and known.flavor == now.flavor and not now.covers(known):
                self._position = within(known, now)

    def after_fork(self) -> None:
        """Let go of a lock that a thread of the parent may hold."""
        self._lock = threading.Lock()


_positions: WeakValueDictionary[tuple[str, int, str | None], ProcessPosition]
_positions = WeakValueDictionary()


def position_of(primary: Endpoint) -> ProcessPosition:
    """Return the one of this process, whatever replicas each of its connections is given."""
    where = primary.host, primary.port, primary.unix_socket
    return _positions.setdefault(where, ProcessPosition())


def committed_here() -> str:
    """Return all that this process has committed, as a carried position; `""` for nothing.

    Raises ValueError where that is not known, or of both flavors, which one text can't hold.
    """
    heard = [position.look(lambda: None) for position in list(_positions.values())]
    if any(each.doubt for each in heard):
        raise ValueError("something may have been committed that nobody reported")
    return join_positions(*(encode(each.position) for each in heard if each.position))
