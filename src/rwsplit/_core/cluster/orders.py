"""What is to be done about what was seen: values, which the cluster carries out."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from .server import Server

__all__ = ["CloseIdle", "Interrupt", "LeftOut", "Order", "Say", "Then", "Warn", "WarnOnce"]


class Warn(NamedTuple):
    """Log a warning."""

    message: str
    values: tuple[object, ...]


class WarnOnce(NamedTuple):
    """Log a warning, once a process."""

    message: str
    values: tuple[object, ...]


class Say(NamedTuple):
    """Log good news."""

    message: str
    values: tuple[object, ...]


class LeftOut(NamedTuple):
    """Say that a replica is left out, if there is anybody whom that concerns."""

    server: Server
    why: str


class CloseIdle(NamedTuple):
    """Close the idle connections to an endpoint."""

    endpoint: str


class Interrupt(NamedTuple):
    """End the waiting of those who wait for an answer of an endpoint."""

    endpoint: str
    only_questions: bool = False
    """Only for what was not the application's."""


class Then(Enum):
    """What is to be done next, at once."""

    CHOOSE_AGAIN = "choose again"
    """Look again at who may serve."""
    COUNT_ARRIVAL = "count arrival"
    """Who stays on another replica may choose again."""
    TELL_WAITERS = "tell waiters"
    """Wake those who wait for a primary or a replica."""
    LOOK_NOW = "look now"
    """Look at all servers without waiting for their turn."""


Order = Warn | WarnOnce | Say | LeftOut | CloseIdle | Interrupt | Then
