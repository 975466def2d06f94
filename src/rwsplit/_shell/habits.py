"""What transactions go on to do, learned by all connections of a cluster."""

from __future__ import annotations

import threading

from cachetools import LRUCache

from .._core.session.habit import Habit

__all__ = ["Habits"]

_MOST = 2048


class Habits:
    """Habits by the digest of a transaction's first read; who was not asked for longest goes."""

    def __init__(self) -> None:
        self._known: LRUCache[str, Habit] = LRUCache(_MOST)
        self._lock = threading.Lock()

    def of(self, digest: str) -> Habit:
        """Return what transactions go on to do that begin with a read of this digest."""
        with self._lock:
            return self._known.get(digest) or Habit()

    def note(self, digest: str, wrote: bool, mismatched: bool = False) -> None:
        """Learn from one more of them."""
        with self._lock:
            habit = self._known.get(digest) or Habit()
            self._known[digest] = habit.after(wrote, mismatched)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._known.clear()

    def after_fork(self) -> None:
        """Let go of a lock that a thread of the parent may hold."""
        self._lock = threading.Lock()
