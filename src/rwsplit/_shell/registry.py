"""Weak sets that many threads may add to while others look."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar
from weakref import WeakSet

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Objects, for as long as somebody else holds them."""

    __slots__ = ("_known", "_lock")

    def __init__(self) -> None:
        self._known: WeakSet[T] = WeakSet()
        self._lock = threading.Lock()

    def add(self, known: T) -> None:
        """Add one."""
        with self._lock:
            self._known.add(known)

    def all(self) -> list[T]:
        """Return those that there are."""
        with self._lock:
            return [*self._known]

    def after_fork(self) -> None:
        """Let go of a lock that a thread of the parent may hold."""
        self._lock = threading.Lock()
