"""Figures: what is known of the endpoints when a policy chooses among them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import exp, inf
from typing import NamedTuple

__all__ = ["Figures", "View", "peak_ewma"]

_DECAY = 10.0
"""After so many seconds a peak weighs 1/e of what it did; Finagle's own default."""


class Figures(NamedTuple):
    """What was last known of one endpoint.

    All but `in_use` may be one interval of the monitor old, and the same in every process.
    """

    connected: int = 0
    """Threads_connected."""
    running: int = 0
    """Threads_running."""
    in_use: int = 0
    """Statements of this process that run there right now."""
    latency: float = 0.0
    """Seconds of a round trip, by `peak_ewma`; 0.0 while not known."""
    behind: float = inf
    """Seconds behind the primary; infinite while not known, as for a server never reached."""


class View:
    """What a policy sees beside the candidates; one for each virtual connection."""

    __slots__ = ("figures", "key", "random")

    def __init__(
        self, figures: Mapping[str, Figures], random: Callable[[], float], key: str = ""
    ) -> None:
        self.figures = figures
        """By endpoint name; one that is missing counts as `Figures()`."""
        self.random = random
        """Gives a number from 0 up to, but not, 1: the core has no dice of its own."""
        self.key = key
        """The session id, or ''."""

    def know(self, key: str) -> None:
        """Take another session id."""
        self.key = key


def peak_ewma(old: float, sample: float, seconds_since: float) -> float:
    """Return a latency with one more round trip in it, `seconds_since` the last one.

    A slow one counts at once and in full; faster ones bring the figure down bit by bit, the more
    the longer ago the last one was. From Finagle's load balancer of that name.

    >>> peak_ewma(0.010, 0.500, 1.0)
    0.5
    >>> round(peak_ewma(0.500, 0.010, 1.0), 3), round(peak_ewma(0.500, 0.010, 60.0), 3)
    (0.453, 0.011)
    """
    if sample >= old:
        return sample
    kept = exp(-max(seconds_since, 0.0) / _DECAY)
    return old * kept + sample * (1.0 - kept)
