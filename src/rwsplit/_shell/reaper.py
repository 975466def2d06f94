"""The thread that closes idle wires in time, whether or not anybody connects again.

There is one for all pools of a process, and none while nothing is idle.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from time import monotonic
from typing import Protocol

from .registry import Registry

__all__ = ["Reaped", "watch"]


class Reaped(Protocol):
    """What holds things that are to be closed at some time."""

    def close_expired(self, now: float) -> float | None:
        """Close what is due (monotonic seconds); returns when to look again, None for never."""


class _Reaper:
    def __init__(self) -> None:
        self._pools: Registry[Reaped] = Registry()
        self._change = threading.Condition()
        self._next = 0.0
        """When the thread looks again (monotonic seconds); 0 while there is no thread."""
        self._round = 0
        """Goes up with each call of `watch`: a thread that found nothing must look again."""

    def watch(self, pool: Reaped, due: float) -> None:
        with self._change:
            self._pools.add(pool)
            self._round += 1
            if not self._next:
                self._next = due
                thread = threading.Thread(target=self._run, name="rwsplit-pools", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    self._next = 0.0  # the interpreter ends, and so do all sockets
            elif due < self._next:
                self._next = due
                self._change.notify()

    def _run(self) -> None:
        while True:
            with self._change:
                seen = self._round
            dues = self._close_expired()
            with self._change:
                if seen != self._round:
                    continue
                if not dues:
                    self._next = 0.0
                    return
                self._next = due = min(dues)
                # What comes meanwhile is due later, or says so.
                self._change.wait(max(due - monotonic(), 0.001))

    def _close_expired(self) -> list[float]:
        # In a function of its own: a thread that waits must keep no pool alive.
        dues = []
        for pool in self._pools.all():
            with suppress(Exception):  # one pool's trouble must not keep the wires of others
                due = pool.close_expired(monotonic())
                if due is not None:
                    dues.append(due)
        return dues


_reaper = _Reaper()


def watch(pool: Reaped, due: float) -> None:
    """See to it that `pool.close_expired` is called when something is due (monotonic seconds)."""
    _reaper.watch(pool, due)


def _after_fork() -> None:
    # The thread stayed in the parent, and so do the wires.
    global _reaper  # noqa: PLW0603
    _reaper = _Reaper()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
