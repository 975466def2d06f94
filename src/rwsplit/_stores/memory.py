"""The store of one process: session ids of its own connections."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from .._core.cluster.position import Position, within
from .base import MOST_ENTRIES, Stored

__all__ = ["MemoryStore"]

_MOST_PIECES = 16
_NOTHING = Stored(None)


class _Entry:
    """What one session id has written, and the same on the floor that there was when last asked."""

    __slots__ = ("own", "seen")

    def __init__(self, own: Position, floor: Stored) -> None:
        self.own = own
        self.seen = floor, _on(floor, own)


class MemoryStore:
    """Positions in memory. It needs no marks: what a crash loses, it loses with everyone.

    :param most: how many session ids are kept.
    :param whole: returns where the primary was not long ago, if that is known: a set of GTIDs with
        many gaps becomes one without them.
    """

    def __init__(
        self, most: int = MOST_ENTRIES, whole: Callable[[], Position | None] = lambda: None
    ) -> None:
        # Looked at without the lock: what is there must never be missing for a moment.
        self._entries: dict[str, _Entry] = {}
        self._order: OrderedDict[str, None] = OrderedDict()
        """The session ids, the one that was written longest ago first."""
        self._floor = _NOTHING
        """What all session ids must see: what those had written that are not kept any more."""
        self._most = most
        self.whole = whole
        self._lock = threading.Lock()

    def begin(self, position: Position) -> None:
        """Nothing to begin with: there are no sessions but this process's own."""

    def get(self, session_id: str) -> Stored:
        """Return what the session id must see; no lock, no copy."""
        entry = self._entries.get(session_id)
        # Only now: an entry is dropped after it has gone into the floor.
        floor = self._floor
        if entry is None:
            return floor
        seen = entry.seen
        if seen[0] is not floor:
            seen = entry.seen = floor, _on(floor, entry.own)
        return seen[1]

    def open(self, session_id: str) -> None:
        """Nothing to mark."""

    def publish(self, session_id: str, mark: object, position: Position | None) -> None:
        """Add what a write committed."""
        if position is None:
            return
        with self._lock:
            entry = self._entries.get(session_id)
            own = position if entry is None else self._closed(entry.own | position)
            self._entries[session_id] = _Entry(own, self._floor)
            self._order[session_id] = None
            self._order.move_to_end(session_id)
            if len(self._entries) > self._most:
                self._evict()

    def let_go(self, session_id: str, ask: Callable[[], Position]) -> None:
        """Let go of what the primary does not have; `ask` asks where it is."""
        entry, floor = self._entries.get(session_id), self._floor
        now = ask()
        with self._lock:
            # What was published meanwhile it may not have had when it was asked.
            if floor.position is not None and self._floor is floor:
                self._floor = Stored(within(floor.position, now))
            if entry is not None and self._entries.get(session_id) is entry:
                self._entries[session_id] = _Entry(within(entry.own, now), self._floor)

    def after_fork(self) -> None:
        """Begin anew in a child, with what is known."""
        self._lock = threading.Lock()

    def forget(self, session_id: str, position: Position) -> None:
        """Drop an entry that every replica has, unless it has grown since."""
        with self._lock:
            entry = self._entries.get(session_id)
            if entry is not None and entry.seen[1].position is position:
                del self._entries[session_id], self._order[session_id]

    def _evict(self) -> None:
        # All sessions respect its position from now on, and find that when they ask next.
        session_id = next(iter(self._order))
        evicted, floor = self._entries[session_id].own, self._floor.position
        self._floor = Stored(self._closed(evicted if floor is None else floor | evicted))
        del self._entries[session_id], self._order[session_id]

    def _closed(self, position: Position) -> Position:
        """Close the gaps that others have filled meanwhile."""
        if position.pieces > _MOST_PIECES:
            whole = self.whole()
            if whole is not None and whole.flavor == position.flavor:
                return position | whole
        return position


def _on(floor: Stored, own: Position) -> Stored:
    position = floor.position
    if position is None:
        return Stored(own)
    return Stored(own | position)
