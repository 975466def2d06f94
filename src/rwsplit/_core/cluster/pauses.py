"""Pauses that grow: who failed is left alone for longer each time, up to a longest."""

from __future__ import annotations

__all__ = ["MOST_TIMES", "growing", "spread"]

_FIRST = 0.05
MOST_TIMES = 16
"""From here on counting changes nothing: the longest pause is reached long before."""


def growing(times: int, longest: float) -> float:
    """Return the seconds of a pause that there were so many of before: doubled each time.

    >>> [growing(times, 1.0) for times in (0, 1, 2, 10)]
    [0.05, 0.1, 0.2, 1.0]
    """
    return min(_FIRST * 2.0**times, longest)


def spread(dice: float) -> float:
    """Return what to take a pause times, so that not all processes come back at one moment.

    >>> spread(0.0), spread(0.5)
    (0.75, 1.0)
    """
    return 0.75 + 0.5 * dice
