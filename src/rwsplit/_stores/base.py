"""What every session store does."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from .._core.position import Position

__all__ = ["MARK_SECONDS", "MOST_ENTRIES", "SessionStore", "StoreError", "StoreIsEmpty", "Stored"]

MOST_ENTRIES = 10_000
"""How many session ids a store keeps; the positions of those that it drops go into its floor."""

MARK_SECONDS = 3600.0
"""How long a mark of a write that is under way counts: longer than any deadline. Only what a
process leaves behind that died between its commit and publishing expires."""


class Stored(NamedTuple):
    """What a store has for a session id."""

    position: Position | None
    """What the session must see; None for nothing."""
    is_open: bool = False
    """A write is under way whose position is not known yet."""


class StoreError(Exception):
    """A store that can't be asked now."""


class StoreIsEmpty(StoreError):  # noqa: N818 - it says what the store is
    """A store that is new, or that has lost what it had: `begin` must be called first."""


class SessionStore(Protocol):
    """Keeps the high-water position of each session id; safe from many threads.

    Every method raises StoreError where the store can't be asked: reads then run on the primary,
    and writes are refused.
    """

    def begin(self, position: Position) -> None:
        """Let a store that has nothing start with what everyone must see."""

    def get(self, session_id: str) -> Stored:
        """Return what the session id must see."""

    def open(self, session_id: str) -> object:
        """Mark the session id: a write begins. Returns the mark."""

    def publish(self, session_id: str, mark: object, position: Position | None) -> None:
        """Add what the write committed, if anything, and take the mark away."""
