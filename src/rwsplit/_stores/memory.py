"""The store of one process: session ids of its own connections."""

from __future__ import annotations

import threading

from .._core.position import Position
from .base import MOST_ENTRIES, Stored

__all__ = ["MemoryStore"]


class MemoryStore:
    """Positions in memory. It needs no marks: what a crash loses, it loses with everyone."""

    def __init__(self, most: int = MOST_ENTRIES) -> None:
        # Looked at without the lock: what is there must never be missing for a moment.
        self._entries: dict[str, Stored] = {}
        self._floor = Stored(None)
        self._order: dict[str, None] = {}
        """The session ids, the one that was written longest ago first."""
        self._most = most
        self._lock = threading.Lock()

    def begin(self, position: Position) -> None:
        """Nothing to begin with: there are no sessions but this process's own."""

    def get(self, session_id: str) -> Stored:
        """Return what the session id must see; no lock, no copy."""
        stored = self._entries.get(session_id)
        # Only now: an entry is dropped after it has gone into the floor.
        return self._floor if stored is None else stored

    def open(self, session_id: str) -> None:
        """Nothing to mark."""

    def publish(self, session_id: str, mark: object, position: Position | None) -> None:
        """Add what a write committed."""
        if position is None:
            return
        with self._lock:
            known = self._entries.get(session_id, self._floor).position
            together = position if known is None else known | position
            self._entries[session_id] = Stored(together)
            self._order.pop(session_id, None)
            self._order[session_id] = None
            if len(self._entries) > self._most:
                self._evict()

    def after_fork(self) -> None:
        """Begin anew in a child, with what is known."""
        self._lock = threading.Lock()

    def forget(self, session_id: str, position: Position) -> None:
        """Drop an entry that every replica has, unless it has grown since."""
        with self._lock:
            known = self._entries.get(session_id)
            if known is not None and known.position is position:
                del self._entries[session_id], self._order[session_id]

    def _evict(self) -> None:
        # All sessions respect its position from now on.
        session_id = next(iter(self._order))
        evicted = self._entries[session_id].position
        floor = self._floor.position
        if evicted is not None:
            raised = evicted if floor is None else floor | evicted
            self._floor = Stored(raised)
            for other, stored in self._entries.items():
                position = raised if stored.position is None else stored.position | raised
                if position is not stored.position:
                    self._entries[other] = Stored(position)
        del self._entries[session_id], self._order[session_id]
