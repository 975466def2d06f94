"""How long a wait for a replica is expected to take, and whether it is worth its while. Pure.

What is learned of a replica is how far it is behind a commit, from the waits that reads began right
behind one. A read whose wait is expected to take longer than a read on the primary goes there at
once; how many may do so is bounded, as the primary's time is dearer than a reader's.
"""

from __future__ import annotations

__all__ = ["PATIENCE_SECONDS", "Detours", "Lag"]

PATIENCE_SECONDS = 0.005
"""How much longer than a read on the primary a wait may take: so the primary is spared where
replication is healthy."""
_SLOWER = 0.05
"""How much one slower answer changes how quick the primary is: a hiccup is not its usual speed."""
_WEIGHT = 0.1
"""How much one wait changes what is expected."""
_AT_LEAST = 0.002
"""A wait counts as twice what was expected and this at most: one hiccup changes little."""
_FIRST_SKIPPED, _MOST_SKIPPED = 4, 128
_LOOK_AGAIN_SECONDS = 5.0
"""After so many reads, or seconds, without a wait there, a replica is tried again: the more rarely
the more often that was in vain."""
_OF_COMMIT = 2.0
_OF_READ = 0.1
_MOST = 20.0


class Lag:
    """How far a replica is behind a commit, in seconds."""

    __slots__ = ("_patience", "_skipped", "_waited_at", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        """What is expected; 0 while nothing is known."""
        self._patience = _FIRST_SKIPPED
        """After how many it is tried again."""
        self._skipped = 0
        """How many reads have not waited here since the last one that did."""
        self._waited_at = 0.0
        """When that one did (monotonic seconds)."""

    def left(self, age: float) -> float:
        """Return how long a wait for what was committed so many seconds ago is expected to take."""
        return max(self.seconds - age, 0.0)

    def waited(self, age: float, seconds: float, now: float) -> None:
        """Note that a wait is over, or was given up: it took so long for what was of that age.

        >>> lag = Lag()
        >>> lag.waited(0.0, 0.001, 1.0)
        >>> lag.left(0.0), lag.left(0.5)
        (0.001, 0.0)
        """
        known, took = self.seconds, age + seconds
        self._skipped, self._waited_at = 0, now
        if took > known and age > seconds:
            return  # it may have been there before anybody waited
        if not known:
            self.seconds = took
        else:
            self.seconds += _WEIGHT * (min(took, 2 * known + _AT_LEAST) - known)

    def found(self, age: float, seconds: float, now: float) -> None:
        """Note that a trial has found it closer than was expected."""
        self._skipped, self._waited_at = 0, now
        self._patience = _FIRST_SKIPPED
        self.seconds = min(self.seconds, age + seconds)

    def missed(self, age: float, seconds: float, now: float) -> None:
        """Note that a trial was in vain: it is further behind than that."""
        self._skipped, self._waited_at = 0, now
        self._patience = min(2 * self._patience, _MOST_SKIPPED)
        self.seconds = max(self.seconds, age + seconds)

    def skip(self) -> None:
        """Note that a read has gone to the primary rather than wait here."""
        self._skipped += 1

    def is_due(self, now: float) -> bool:
        """Tell whether it is time for a trial, as nobody has waited here for long.

        So what trials cost is bounded by what those reads have saved that did not wait.
        """
        return self._skipped >= self._patience or now - self._waited_at > _LOOK_AGAIN_SECONDS


class Detours:
    """How many reads of a process may go to the primary as that is quicker than a wait.

    Two for each commit that they are behind, and a tenth of all others.
    """

    __slots__ = ("_credit", "_latest", "_primary", "_turn")

    def __init__(self) -> None:
        self._credit = _MOST
        self._latest: object = None
        """The last commit that was heard of."""
        self._turn: int | None = None
        """The number of the last choice of a replica."""
        self._primary = 0.0
        """How many seconds the primary takes for an answer; 0 while that is not known."""

    def note_primary(self, seconds: float) -> None:
        """Note how long the primary took for an answer."""
        known = self._primary
        is_quicker = seconds < known or not known
        self._primary = seconds if is_quicker else known + _SLOWER * (seconds - known)

    @property
    def patience(self) -> float:
        """How long a wait for a replica may be expected to take."""
        return PATIENCE_SECONDS + self._primary

    def take(self, latest: object, turn: int) -> bool:
        """Tell whether one more read may go to the primary, and count it."""
        if latest is not self._latest:
            self._latest = latest
            self._credit += _OF_COMMIT
        if self._turn is not None:
            self._credit += _OF_READ * max(turn - self._turn, 0)
        self._turn = turn
        self._credit = min(self._credit, _MOST)
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True
