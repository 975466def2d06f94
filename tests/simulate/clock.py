"""A clock that nobody waits for: what is due next happens at once, and then it is that late."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

__all__ = ["Clock"]

_HOW_OFTEN = 0.1


class Clock:
    """The time, in seconds, and what is due: in the order of time, then in that of asking.

    :param busy: where threads wait for a processor, the dice of how long.
    """

    __slots__ = ("_busy", "_count", "_due", "now")

    def __init__(self, busy: Random | None = None, now: float = 1000.0) -> None:
        self.now = now
        self._busy = busy
        self._due: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._count = 0

    def __call__(self) -> float:
        """Tell the time, as `time.monotonic` does."""
        return self.now

    def at(self, delay: float, act: Callable[..., object], *args: Any) -> None:
        """Have something done in so many seconds."""
        self._count += 1
        heappush(self._due, (self.now + delay, self._count, act, args))

    def wait(self) -> float:
        """Return for how long a thread must wait for a processor before it goes on."""
        if self._busy is None or self._busy.random() > _HOW_OFTEN:
            return 0.0
        return self._busy.choice((0.005, 0.05, 0.3)) * self._busy.random()

    def rest(self) -> None:
        """Let nobody wait for a processor any more."""
        self._busy = None

    def run(self, is_over: Callable[[], bool], until: float) -> bool:
        """Let time pass until all is over; False where it is not by `until`, or never will be."""
        due = self._due
        while not is_over():
            if not due or due[0][0] > until:
                return False
            self.now, _, act, args = heappop(due)
            act(*args)
        return True
