"""What a connection to the primary tells when it is made."""

from __future__ import annotations

from typing import NamedTuple

from .position import History, Position

__all__ = ["PrimaryFacts"]


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
    variables: dict[str, str]
    """Those of the session that matter from the start."""
    read_only: bool
