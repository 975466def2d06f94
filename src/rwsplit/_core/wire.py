"""What a driver offers to those above it: faults with a kind. Pure.

A driver's own errors never come here. A `Fault` carries one along (`original`), for the application
to get in the end; what is decided, is decided by its kind and number. Numbers come first, classes
second: drivers do not agree on those.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from .failure import FULL, is_read_only, refuses_account
from .numbers import BAD_DB, HOST_IS_BLOCKED, HOST_NOT_PRIVILEGED

__all__ = ["Fault", "Kind", "kind_of"]


class Kind(Enum):
    """What a fault means for the connection and its server."""

    LOST = "lost"
    """The connection is gone."""
    FULL = "full"
    """The server has no room for one more connection."""
    DENIED = "denied"
    """The server does not let this account in, or not so."""
    BARRED = "barred"
    """The server lets in nobody from here."""
    READ_ONLY = "read-only"
    """The server, or the transaction, can't be written to: nothing happened there."""
    NO_SCHEMA = "no schema"
    """There is no such schema."""
    OTHER = "other"
    """It is about the statement."""


class Fault(Exception):  # noqa: N818 - a fault is not of rwsplit
    """What a server, or the way to it, answered instead of a result.

    :param original: the driver's own error; None for one that rwsplit makes, which the application
        gets as an OperationalError of this number and text.
    """

    def __init__(
        self,
        number: int,
        text: str,
        kind: Kind = Kind.OTHER,
        original: Exception | None = None,
    ) -> None:
        super().__init__(number, text)
        self.number = number
        self.text = text
        self.kind = kind
        self.original = original

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self.kind is Kind.LOST

    def bare(self) -> Fault:
        """Return it without the frames that it came through, which would hold who holds it."""
        if self.original is not None:
            self.original.with_traceback(None)
        return self.with_traceback(None)


def kind_of(number: Any, text: str) -> Kind:
    """Tell the kind of a server's error by its number; LOST is for the driver to tell.

    >>> kind_of(1040, "Too many connections"), kind_of(1146, "no such table")
    (<Kind.FULL: 'full'>, <Kind.OTHER: 'other'>)
    """
    if number == BAD_DB:
        return Kind.NO_SCHEMA
    if refuses_account(number):
        return Kind.DENIED
    if number in FULL:
        return Kind.FULL
    if number in (HOST_IS_BLOCKED, HOST_NOT_PRIVILEGED):
        return Kind.BARRED
    return Kind.READ_ONLY if is_read_only(number, text) else Kind.OTHER
