"""Where the primary was and when: so the age of a replica can be told without a privilege."""

from __future__ import annotations

from collections import deque
from math import inf

from .position import Position

__all__ = ["Samples"]

_MOST = 600
_APART_SECONDS = 0.1
"""How far apart samples are at least: one for every moment would leave no room for those of some
seconds ago."""


class Samples:
    """Positions of the primary with the time at which they were asked for, oldest first.

    Others add to them while one looks, without a lock.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: deque[tuple[float, Position]] = deque(maxlen=_MOST)

    def note(self, position: Position, asked_at: float) -> None:
        """Note where the primary was; `asked_at` is from before it was asked."""
        known = self._known
        if not known or asked_at - known[-1][0] >= _APART_SECONDS:
            known.append((asked_at, position))

    def clear(self) -> None:
        """Forget all: another server is the primary, or it has lost some of what it had."""
        self._known.clear()

    @property
    def last(self) -> Position | None:
        """The youngest; None for none."""
        try:
            return self._known[-1][1]
        except IndexError:  # none, or none any more
            return None

    def since(self, oldest: float) -> Position | None:
        """Return the first that is not older than this; None for none."""
        known = tuple(self._known)
        return next((position for asked_at, position in known if asked_at >= oldest), None)

    def of_age(self, seconds: float, now: float) -> Position | None:
        """Return one that is at most so many seconds old, and will be for a while.

        None where the youngest has used up half of its time: a younger one is to be there by the
        time it is too old.
        """
        oldest = now - seconds
        known = tuple(self._known)
        if not known or known[-1][0] < oldest + seconds / 2:
            return None
        return next((position for asked_at, position in known if asked_at >= oldest), None)

    def behind(self, position: Position, now: float) -> float:
        """Return how many seconds ago the primary was at a position; infinite if not known."""
        known = tuple(self._known)
        if not known:
            return inf
        for asked_at, sample in known:
            if not position.covers(sample):
                return now - asked_at
        return 0.0
