"""The store of one process: session ids of its own connections."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from .._core.cluster.position import Position, within
from .base import MARK_SECONDS, MOST_ENTRIES, Stored

__all__ = ["MemoryStore"]

_MOST_PIECES = 4
"""Of more intervals than this a position has the gaps closed that others are known to have filled,
and again whenever it has twice as many."""
_FAR_TOO_MANY = 64
"""From here on it has all of them closed, should nobody know: what was never there is let go of
once a read has missed it."""
_NOTHING = Stored(None)


class _Entry:
    """What one session id has written, and the same on the floor that there was when last asked."""

    __slots__ = ("close_at", "own", "seen")

    def __init__(self, own: Position, floor: Stored, close_at: int = _MOST_PIECES) -> None:
        self.own = own
        self.seen = floor, _on(floor, own)
        self.close_at = close_at
        """Of how many pieces its gaps are closed."""


class MemoryStore:
    """Positions in memory.

    A write needs no mark: it is told before its application has the answer, and what a crash loses
    is lost with everyone. Marked is only what is not known by then.

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
        self._close_at = _MOST_PIECES
        """Of how many pieces the floor's gaps are closed."""
        self._marks: dict[str, dict[object, float]] = {}
        """By session id, what is not known yet, and until when that counts (monotonic seconds)."""
        self._most = most
        self.whole = whole
        self._lock = threading.Lock()

    def begin(self, position: Position) -> None:
        """Nothing to begin with: there are no sessions but this process's own."""

    def get(self, session_id: str) -> Stored:
        """Return what the session id must see; no lock, no copy."""
        # First: a mark ends after its position has come.
        is_marked = bool(self._marks) and self._is_marked(session_id)
        entry = self._entries.get(session_id)
        # Only now: an entry is dropped after it has gone into the floor.
        floor = self._floor
        if entry is None:
            found = floor
        else:
            seen = entry.seen
            if seen[0] is not floor:
                seen = entry.seen = floor, _on(floor, entry.own)
            found = seen[1]
        return Stored(found.position, True) if is_marked else found

    def open(self, session_id: str) -> None:
        """Nothing to mark yet; see `leave_open`."""

    def leave_open(self, session_id: str) -> object:
        """Mark a write whose application has its answer, and whose position is not known."""
        mark, now = object(), time.monotonic()
        with self._lock:
            for key, marks in [*self._marks.items()]:
                if max(marks.values()) < now:
                    del self._marks[key]
            marks = self._marks.get(session_id, {})
            # Looked at without the lock.
            self._marks[session_id] = {**marks, mark: now + MARK_SECONDS}
        return mark

    def publish(self, session_id: str, mark: object, position: Position | None) -> None:
        """Add what a write committed, and end its mark."""
        if position is not None:
            self._add(session_id, position)
        if mark is not None:
            with self._lock:
                marks = {**self._marks.get(session_id, {})}
                marks.pop(mark, None)
                if marks:
                    self._marks[session_id] = marks
                else:
                    self._marks.pop(session_id, None)

    def _is_marked(self, session_id: str) -> bool:
        marks = self._marks.get(session_id)
        return marks is not None and max(marks.values()) >= time.monotonic()

    def _add(self, session_id: str, position: Position) -> None:
        with self._lock:
            entry = self._entries.get(session_id)
            if entry is None:
                self._entries[session_id] = _Entry(position, self._floor)
            else:
                own, close_at = self._closed(entry.own | position, entry.close_at)
                self._entries[session_id] = _Entry(own, self._floor, close_at)
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
        self._marks.clear()  # they are the parent's

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
        joined = evicted if floor is None else floor | evicted
        position, self._close_at = self._closed(joined, self._close_at)
        self._floor = Stored(position)
        del self._entries[session_id], self._order[session_id]

    def _closed(self, position: Position, close_at: int) -> tuple[Position, int]:
        """Close the gaps that others have filled meanwhile; returns when to do so again, too."""
        if position.pieces <= close_at:
            return position, close_at
        position = position.filled(self.whole())
        if position.pieces > _FAR_TOO_MANY:
            position = position.spanned()
        return position, max(2 * position.pieces, _MOST_PIECES)


def _on(floor: Stored, own: Position) -> Stored:
    position = floor.position
    if position is None:
        return Stored(own)
    return Stored(own | position)
