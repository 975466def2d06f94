"""Where several replicas are, side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .endpoint import Endpoint
from .position import GtidSet, Position, empty, intersection
from .server import Server

__all__ = ["closest", "common_position", "floor_of", "have_all"]


def closest(servers: Mapping[str, Server], endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Return those that are not known to be behind another of them.

    Who was last looked at before the other need not be behind: else who is not asked would never be
    asked again.
    """
    replicas = [(end, servers[end.name]) for end in endpoints]
    known = [(end, _shared(replica), replica) for end, replica in replicas]
    ahead = [
        end
        for end, position, replica in known
        if not any(
            other.noted_at <= replica.noted_at and _is_ahead(theirs, position)
            for _, theirs, other in known
            if other is not replica
        )
    ]
    return tuple(ahead) or endpoints


def common_position(replicas: Sequence[Server], flavor: str) -> Position:
    """Return what all replicas are known to have."""
    positions = [replica.position for replica in replicas]
    common = positions[0] if positions else None
    for position in positions[1:]:
        if common is None or position is None:
            common = None
            break
        common = intersection(common, position)
    return empty(flavor) if common is None else common


def floor_of(replicas: Sequence[Server], flavor: str, seen: Position | None) -> Position:
    """Return what a replica must have that others come to later.

    What a replica made itself (errant transactions) no other will ever have; what it made as the
    primary of before, the primary of now has, too. `seen` is where that one was when last seen.
    """
    common = common_position(replicas, flavor)
    if not isinstance(common, GtidSet):
        return common
    others = common
    for replica in replicas:
        if replica.server:
            others = others.without(replica.server)
    if not isinstance(seen, GtidSet):
        return others
    return others | intersection(common, seen)


def have_all(replicas: Iterable[Server], position: Position) -> bool:
    """Tell whether all of these are known to have a position; False where there are none.

    One that several clusters of the process were given is asked about where it was looked at last:
    a cluster rests while nobody uses it.
    """
    latest: dict[object, Server] = {}
    for replica in replicas:
        where = replica.endpoint.unix_socket or (replica.endpoint.host, replica.endpoint.port)
        known = latest.setdefault(where, replica)
        if replica.position is not None and known.noted_at < replica.noted_at:
            latest[where] = replica
    return bool(latest) and all(replica.has(position) for replica in latest.values())


def _shared(replica: Server) -> Position | None:
    position = replica.position
    return None if position is None else replica.shared(position)


def _is_ahead(one: Position | None, other: Position | None) -> bool:
    if one is None or other is None:
        return one is not None
    return one.covers(other) and not other.covers(one)
