"""How busy a server is and how far away: what policies go by."""

from __future__ import annotations

from .figures import peak_ewma

__all__ = ["Load", "Usual"]

_MOST_UNUSUAL = 4.0
"""A statement that took more than so many times the usual tells of itself, not of its server."""
_WEIGHT = 0.05
"""How much one statement changes what is usual."""


class Load:
    """How busy one server is."""

    __slots__ = ("_latency_at", "_ran", "connected", "latency", "running")

    def __init__(self) -> None:
        self.connected = self.running = 0
        """Its connected and running threads."""
        self.latency = 0.0
        """How many seconds a round trip takes: the monitor's, and those of measured statements."""
        self._latency_at = 0.0
        """When it was last noted (monotonic seconds)."""
        self._ran: set[object] = set()
        """Who runs a statement there: a set, as what interrupts a statement must leave no lock."""

    @property
    def in_use(self) -> int:
        """How many statements of this process run there, of those that were said to `begin`."""
        return len(self._ran)

    def begin(self, one: object) -> None:
        """Count a statement that runs from now on."""
        self._ran.add(one)

    def end(self, one: object) -> None:
        """Count it no more; harmless where it was not begun."""
        self._ran.discard(one)

    def note_latency(self, seconds: float, now: float) -> None:
        """Note how long a round trip took that has just ended."""
        self.latency = peak_ewma(self.latency, seconds, now - self._latency_at)
        self._latency_at = now

    def after_fork(self) -> None:
        """Begin anew in a child: what runs, the parent runs."""
        self._ran = set()


class Usual:
    """How long statements on replicas mostly take."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds = 0.0

    def of(self, seconds: float) -> float:
        """Return how long a statement took, so far as that tells of its server; learn from it.

        One report that takes a minute says nothing against the replica that runs it.

        >>> usual = Usual()
        >>> [usual.of(seconds) for seconds in (0.01, 0.01, 60.0)]
        [0.01, 0.01, 0.04]
        """
        usual = self._seconds
        seconds = min(seconds, _MOST_UNUSUAL * usual) if usual else seconds
        self._seconds = usual + _WEIGHT * (seconds - usual) if usual else seconds
        return seconds
