"""Whether a connection that was just made to a replica may be used, from where it says it is. Pure.

`before` is where the replica was known to be before it was asked.
"""

from __future__ import annotations

from .errant import are_unknown
from .position import Position
from .server import Server
from .topology import Topology

__all__ = ["is_in_doubt", "why_not"]


def is_in_doubt(
    topology: Topology, replica: Server, server: str, before: Position | None, position: Position
) -> bool:
    """Tell whether the primary's history must be looked at first: it may have gone on since.

    Or nobody knows yet whether what the replica has made itself is errant.
    """
    if replica.was_let_in(server, position, topology.history):
        return False
    if topology.ahead_by(position, server) or are_unknown(
        replica, server, position, topology.history
    ):
        return True
    return not (replica.has_gone_on(server, before, position) or topology.belongs(position))


def why_not(
    topology: Topology,
    replica: Server,
    server: str,
    before: Position | None,
    position: Position,
    knows: bool,
    now: float,
) -> str:
    """Tell why it must not be used; '' if it may, and then its position is noted.

    `knows` is whether the primary's history was looked at where that was in doubt.
    """
    if not replica.was_let_in(server, position, topology.history):
        if not (replica.has_gone_on(server, before, position) or topology.belongs(position)):
            return (
                "it has none of the primary's transactions: it belongs to another cluster, "
                "or has not begun to replicate"
            )
        ahead = topology.ahead_by(position, server)
        if ahead and (knows or replica.suspect):
            return f"it is ahead of the primary, which does not have {ahead}"
        if not ahead:
            replica.let_in(server, position, topology.history)
    if not replica.reset_position(position, before, now):
        return (
            "it came back with less than it had, and has not caught up: "
            f"it has {position}, and had {before}"
        )
    return ""
