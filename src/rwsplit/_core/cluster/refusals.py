"""Which accounts a server has refused: each is left for a growing while, and keeps no other out."""

from __future__ import annotations

from collections.abc import Hashable

from .pauses import MOST_TIMES, growing, spread

__all__ = ["Refusals"]

_LONGEST = 10.0
"""Seconds that an account is not tried at most after a server has refused it."""
_MOST = 1000


class Refusals:
    """The accounts that one server has refused."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, int]] = {}
        """By account, until when (monotonic seconds) it is not tried, and how often it was."""

    def add(self, account: Hashable, now: float, dice: float) -> float:
        """Note one more refusal; returns until when the account is not to be tried.

        `dice` is a number from 0 up to 1.
        """
        if len(self._known) >= _MOST:
            self._known.clear()
        _, times = self._known.get(account, (0.0, 0))
        until = now + growing(times, _LONGEST) * spread(dice)
        self._known[account] = until, min(times + 1, MOST_TIMES)
        return until

    def until(self, account: Hashable, now: float) -> float:
        """Return until when an account is not to be tried; 0 if it may be now."""
        known = self._known.get(account)
        return known[0] if known is not None and known[0] > now else 0.0

    def forget(self, account: Hashable) -> None:
        """Note that an account was let in."""
        self._known.pop(account, None)
