"""What every session store does."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from .._core.cluster.position import Position, decode, within

__all__ = [
    "MARK_SECONDS",
    "MOST_ENTRIES",
    "SessionStore",
    "StoreError",
    "StoreIsDamaged",
    "StoreIsEmpty",
    "Stored",
    "kept_of",
    "read_position",
    "union",
]

MOST_ENTRIES = 10_000
"""How many session ids a store keeps; the positions of those that it drops go into its floor."""

MARK_SECONDS = 3600.0
"""How long a mark of a write that is under way counts: longer than any deadline. Only what a
process leaves behind that died between its commit and publishing expires."""


_LONGEST = 1 << 16
"""A text of more characters than this is no position that anybody of us has written."""


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


class StoreIsDamaged(StoreError):  # noqa: N818 - it says what the store is
    """A store that has something else than a position where one should be."""


class SessionStore(Protocol):
    """Keeps the high-water position of each session id; safe from many threads.

    Every method raises StoreError where the store can't be asked: reads then run on the primary,
    and writes are refused. What a store returns is not trusted: reads run on the primary if it is
    no `Stored` of the primary's flavor.

    It may have one more method, `let_go(session_id, ask)`: replace what it has for the id, and for
    all, by what there is of that where `ask()` says that the primary is; unless it has been
    published to meanwhile. Without it, an id that must see what nobody has stays on the primary.
    """

    def begin(self, position: Position) -> None:
        """Let a store that has nothing start with what everyone must see."""

    def get(self, session_id: str) -> Stored:
        """Return what the session id must see."""

    def open(self, session_id: str) -> object:
        """Mark the session id: a write begins. Returns the mark."""

    def publish(self, session_id: str, mark: object, position: Position | None) -> None:
        """Add what the write committed, if anything, and take the mark away."""


def read_position(value: object, where: str) -> Position:
    """Read what a store has kept as text or ASCII bytes; raises StoreIsDamaged."""
    try:
        if isinstance(value, bytes) and len(value) <= _LONGEST:
            value = value.decode("ascii")
        if isinstance(value, str) and len(value) <= _LONGEST:
            return decode(value)
    except ValueError:
        pass
    found = f"{type(value).__name__} {value!r:.40}"
    raise StoreIsDamaged(f"{where}: no position, but {found}")


def union(one: Position, other: Position, where: str) -> Position:
    """Return the union of two positions; raises StoreIsDamaged if they are of different flavors."""
    if one.flavor != other.flavor:
        raise StoreIsDamaged(f"{where}: positions of {one.flavor} and of {other.flavor}")
    return one | other


def kept_of(value: object, where: str, ask: Callable[[], Position]) -> Position | None:
    """Return what to put in the place of a value that a store has; None to leave it there."""
    now = ask()
    try:
        position = read_position(value, where)
    except StoreIsDamaged:
        # Whatever it was, the primary has all that was committed.
        return now
    if position.flavor != now.flavor:
        return None  # it may be another cluster's, that should have a store of its own
    kept = within(position, now)
    return None if kept is position else kept
