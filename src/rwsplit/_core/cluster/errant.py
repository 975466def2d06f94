"""Errant transactions: what a replica has made itself, and no other server will ever have. Pure.

FLUSH and ANALYZE have GTIDs on MySQL, on a replica, too: nobody must wait for those elsewhere. But
not all that has a replica's own name is errant. What it made as the primary of before, the primary
of now has as well; and what it makes as the next one, unheard of, all will have. So that alone is
errant which a replica had before another server was seen to be the primary, and to lack it. It is
known of a reporting replica with tables of its own at once, as that could be written to all along.
"""

from __future__ import annotations

from .position import GtidSet, History, Position
from .server import Server

__all__ = ["are_unknown", "note_errant", "note_read_only", "note_stray"]


def are_unknown(server: Server, name: str, position: Position, history: History) -> bool:
    """Tell whether a replica at this position has made anything of which nobody knows what it is.

    :param name: the replica's own.
    :param history: what the primary is known to have.
    """
    own = _own(name, position, history)
    return bool(own) and not server.errant.covers(own)


def note_errant(server: Server, name: str, position: Position, history: History) -> None:
    """Note what is errant of a replica that was at this position.

    :param name: the replica's own.
    :param history: what the primary had that was seen to be the primary since.
    """
    known = server.position
    if not isinstance(known, GtidSet) or not isinstance(history, GtidSet):
        return
    # It may have begun anew since it was there. And one that can be written to, and could not
    # before, may be the next primary, though the one before can be written to for a while.
    may_be_next = server.is_writable and server.was_read_only
    own = _NOTHING if may_be_next else _own(name, position, history)
    _set(server, ((server.errant | own) & known) - history)


def note_stray(server: Server) -> None:
    """Note that all that it makes is errant as soon as it is made: nobody takes it for the primary.

    It could be written to all along, while another was the primary.
    """
    if server.server and isinstance(server.position, GtidSet):
        _set(server, server.errant | GtidSet.parse(f"{server.server}:1-{_LAST}"))


def note_read_only(server: Server, position: Position) -> None:
    """Note that it is none that could be written to all along: what it makes next may count."""
    if server.errant and isinstance(position, GtidSet):
        _set(server, server.errant & position)


def _set(server: Server, errant: GtidSet) -> None:
    if errant != server.errant:
        server.errant = errant


def _own(name: str, position: Position, history: History) -> GtidSet:
    """Return what a replica has made itself and the primary lacks."""
    if not isinstance(position, GtidSet) or not isinstance(history, GtidSet):
        return _NOTHING
    others = position.without(name)
    return _NOTHING if others is position else position - others - history


_NOTHING = GtidSet()
_LAST = (1 << 63) - 2
"""The largest number of a GTID (MySQL manual, GTID Format and Storage)."""
