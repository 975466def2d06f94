"""What a connection to the primary tells when it is made."""

from __future__ import annotations

from typing import NamedTuple

from .position import History, Position

__all__ = ["PrimaryFacts", "Values"]


class Values(dict[str, str]):
    """Values of variables by name, as a server has told them. Not to be changed.

    It is equal to itself alone, and can be a key: those that were told alike are the same object.
    """

    __slots__ = ()
    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__  # type: ignore[assignment]


class PrimaryFacts(NamedTuple):
    """What a fresh connection to the primary told of it."""

    flavor: str
    version: str
    history: History | None
    """None for a server that hands out no GTIDs, and why is in `no_gtids`."""
    position: Position | None
    """Where it is; None likewise."""
    no_gtids: str
    server: object
    variables: Values
    """Those of the session that matter from the start."""
    read_only: bool
