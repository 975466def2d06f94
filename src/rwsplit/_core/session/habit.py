"""What transactions go on to do, learned by the digest of their first read. Pure.

A transaction that usually writes gains nothing from a beginning on a replica: its reads run twice,
and on rows that others write the second time differs. One that only reads belongs there.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Habit"]

_WRITES = 0.5
"""From this share of writing transactions on, they begin on the primary."""
_MISMATCHES = 0.05
"""From this share of mismatches on, too: an application feels each of them."""
_LEARN = 0.3
_LEARN_MISMATCH = 0.2
_FORGET_MISMATCH = 0.02
"""How much one more transaction weighs: what was long ago fades."""


class Habit(NamedTuple):
    """What became of the transactions that began with the same read, the last ones first.

    >>> habit = Habit()
    >>> for _ in range(3): habit = habit.after(wrote=True)
    >>> habit.why_primary()
    'of the last transactions that began so, 66% wrote'
    """

    writes: float = 0.0
    """The share of those that wrote."""
    mismatches: float = 0.0
    """The share of those whose reads were others on the primary."""

    def after(self, wrote: bool, mismatched: bool = False) -> Habit:
        """Return the habit with one more transaction in it."""
        if mismatched:
            mismatches = self.mismatches + _LEARN_MISMATCH * (1 - self.mismatches)
        else:
            mismatches = self.mismatches * (1 - _FORGET_MISMATCH)
        return Habit(self.writes + _LEARN * (wrote - self.writes), mismatches)

    def why_primary(self) -> str:
        """Tell why the next of them begins on the primary, or ''."""
        if self.writes >= _WRITES:
            return f"of the last transactions that began so, {self.writes:.0%} wrote"
        if self.mismatches >= _MISMATCHES:
            share = f"{self.mismatches:.0%}"
            return f"of the last transactions that began so, {share} read what others then changed"
        return ""
