"""Snapshots: the read-only transactions that virtual connections hold open on replicas.

One that is idle is ended by a thread of its own: an open transaction holds metadata locks, so a DDL
would stop the replica's applier, and every later reader of that table behind it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import monotonic

from .member import Member

__all__ = ["Snapshot"]

_LINGER_SECONDS = 10.0
"""How long the thread stays when there is nothing to watch."""


class Snapshot:
    """A transaction that is open on a replica. Whoever uses its member has claimed it.

    :param end: ends it on the replica.
    :param max_idle: after how many idle seconds it is ended.
    """

    __slots__ = ("_end", "_lock", "is_open", "max_idle", "member", "used_at")

    def __init__(self, member: Member, end: Callable[[Member], None], max_idle: float) -> None:
        self.member = member
        self.max_idle = max_idle
        self._lock = threading.Lock()
        self.is_open = True
        """False once it was ended for being idle."""
        self.used_at = monotonic()
        self._end = end
        _watch.add(self)

    def claim(self, waits: bool = True) -> bool:
        """Keep it from being ended as idle; False if it is just being ended, and nobody waits."""
        return self._lock.acquire(waits)

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()

    def note_used(self, now: float) -> None:
        """Note that it was used (monotonic seconds)."""
        self.used_at = now

    def close(self) -> bool:
        """Note that it ends now; False if it has ended already. For whoever has claimed it."""
        was_open, self.is_open = self.is_open, False
        _watch.discard(self)
        return was_open

    def abandon(self) -> None:
        """Forget it: its member is gone, or is closed with everything else."""
        with self._lock:
            self.close()

    def end_if_idle(self, now: float) -> None:
        """End it if nobody has used it for too long."""
        if now - self.used_at < self.max_idle or not self.claim(waits=False):
            return
        try:
            idle = now - self.used_at >= self.max_idle and not self.member.connection.is_reading
            if self.is_open and idle:
                self.close()
                self._end(self.member)
        finally:
            self.release()


class _Watch:
    """The thread that ends idle snapshots; there is none while nothing is open for long."""

    def __init__(self) -> None:
        self._open: set[Snapshot] = set()
        self._change = threading.Condition()
        self._next = 0.0
        """When the thread looks again; 0 while there is no thread."""

    def add(self, snapshot: Snapshot) -> None:
        due = snapshot.used_at + snapshot.max_idle
        with self._change:
            self._open.add(snapshot)
            if not self._next:
                self._next = due
                threading.Thread(target=self._run, name="rwsplit-snapshots", daemon=True).start()
            elif due < self._next:
                self._next = due
                self._change.notify()

    def discard(self, snapshot: Snapshot) -> None:
        # Without the lock: as the interpreter ends, the thread may have died with it.
        self._open.discard(snapshot)

    def _run(self) -> None:
        idle_since = monotonic()
        while True:
            now = monotonic()
            with self._change:
                if self._open:
                    idle_since = now
                elif now - idle_since >= _LINGER_SECONDS:
                    self._next = 0.0
                    return
                watched = [*self._open]
            for snapshot in watched:
                snapshot.end_if_idle(now)
            with self._change:
                dues = [snapshot.used_at + snapshot.max_idle for snapshot in [*self._open]]
                # What is in use right now is looked at again a little later.
                due = max(min(dues, default=now + _LINGER_SECONDS), now + 0.01)
                self._next = due
                self._change.wait(due - monotonic())


_watch = _Watch()


def _after_fork() -> None:
    # The thread stayed in the parent, and so do the snapshots.
    global _watch  # noqa: PLW0603
    _watch = _Watch()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
