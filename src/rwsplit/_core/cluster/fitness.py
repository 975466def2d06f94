"""Whether a replica may serve anybody: it belongs here, and has nothing that the primary lacks.

Pure. An empty position is satisfied by any server, and a foreign one too: so nobody serves that was
not seen to hold transactions of the primary's lineage.
"""

from __future__ import annotations

from .place import UNTOLD_SECONDS
from .position import BinlogState, GtidSet, Position, beyond, includes, lineage, whole
from .probe import Probe
from .server import Server
from .topology import Topology

__all__ = ["why_unfit"]

_AHEAD = "it is ahead of the primary: it has what was lost with another one, and must be rebuilt"


def why_unfit(
    topology: Topology, server: Server, probe: Probe, before: Position | None, now: float
) -> str | None:
    """Tell why a replica must serve nobody; '' if it may, None if that can't be told yet.

    `before` is where it was known to be before it was looked at.
    """
    if not topology.has_gtids:
        return ""
    if probe.server == topology.primary_server:
        return "it is the primary itself, under another address"
    if server.is_foreign and _meets(topology, probe):
        # It has caught up. Whether it may serve is another question: it may be the primary by now.
        server.is_foreign = False
    if server.was_primary and probe.is_writable:
        return "it was the primary, and can be written to"
    if server.suspect and probe.asked_at < topology.doubted_at:
        return None  # it was asked before the primary changed
    if server.ahead is not None:
        name, lost = server.ahead
        if name == probe.server and includes(whole(probe.position, probe.history), lost):
            return _AHEAD
        server.ahead = None  # it was rebuilt
    gone_on = server.has_gone_on(probe.server, before, probe.position)
    belongs = gone_on or topology.belongs(probe.position)
    if server.was_primary or not belongs or _is_ahead(topology, probe):
        # It may have gone on since the primary was last looked at: so the look before counts.
        doubted, server.doubted = server.doubted, probe
        if doubted is None or doubted.asked_at + doubted.seconds >= topology.history_at:
            if server.was_primary or server.unfit or not belongs:
                return None
        else:
            if not (gone_on or topology.belongs(doubted.position)):
                server.is_foreign = not _meets(topology, doubted)
                return "it has none of the primary's transactions"
            server.is_foreign = False
            if server.was_primary and _has_lost(topology, doubted):
                return "it was the primary, and has transactions that are lost"
            if _is_ahead(topology, doubted):
                if server.suspect:
                    lost = beyond(
                        topology.history, doubted.position, doubted.history, doubted.server
                    )
                    server.ahead = doubted.server, lost
                return _AHEAD
            server.suspect = False
    else:
        server.suspect = False
    server.is_foreign = False
    history = topology.history
    if server.unfit == _AHEAD and isinstance(before, GtidSet) and isinstance(history, GtidSet):
        # It was rebuilt, and will never have again what was lost.
        before = server.let_go(before & history, now)
    if (
        before is not None
        and not probe.position.covers(before)
        and _is_lost(topology, server, before)
    ):
        looked = topology.servers[topology.primary.name].looked
        if looked is not None:
            server.let_go(probe.position, now)
            before = looked.position
    if not server.reset_position(probe.position, before, now):
        return "it came back with less than it had, and has not caught up"
    return ""


def _meets(topology: Topology, probe: Probe) -> bool:
    """Tell whether a server has anything that the primary has, whatever else it has made itself."""
    return lineage(topology.history, whole(probe.position, probe.history))


def _is_lost(topology: Topology, server: Server, before: Position) -> bool:
    """Tell whether nobody will ever have what a replica had, or was thought to have.

    The primary has all that any replica had before it was asked: the rest was lost.
    """
    since = server.floor_at if before is server.floor else server.noted_at
    if topology.history_at <= since + UNTOLD_SECONDS:
        return False
    return not topology.history.covers(before)


def _is_ahead(topology: Topology, probe: Probe) -> bool:
    """Tell whether a replica has what the primary is not known to have."""
    return bool(beyond(topology.history, probe.position, probe.history, probe.server))


def _has_lost(topology: Topology, probe: Probe) -> bool:
    """Tell whether a server has transactions that the primary does not have."""
    mine, theirs = probe.history, topology.history
    if isinstance(mine, BinlogState) or isinstance(theirs, BinlogState):
        assert isinstance(mine, BinlogState) and isinstance(theirs, BinlogState)
        return not theirs.includes(mine)
    return not theirs.covers(mine)
