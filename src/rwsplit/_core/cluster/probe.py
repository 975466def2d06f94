"""What one look at a server told, or why it told nothing. Values only."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from .position import History, Position

__all__ = ["Miss", "Missed", "Probe"]


class Probe(NamedTuple):
    """What one look at a server told."""

    server: str
    is_writable: bool
    position: Position
    history: History
    replicates: bool | None
    connected: int
    running: int
    asked_at: float
    """Monotonic seconds, from before it was asked."""
    seconds: float
    """How long the answer took."""


class Miss(Enum):
    """Why a look at a server told nothing."""

    FULL = "full"
    """It has no room for one more connection; those that are open work."""
    FOREIGN = "foreign"
    """It is no server of this cluster."""
    REFUSED = "refused"
    """It answers, and does not let this account look."""
    LOST = "lost"
    """It does not answer."""


class Missed(NamedTuple):
    """A look at a server that told nothing."""

    why: Miss
    text: str
    in_a_row: int
    """How many looks have failed so, this one included."""
    timed_out: bool = False
    """Nobody has said that the server is gone: it may be only the answer that does not come."""
