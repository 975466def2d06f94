"""Errant transactions: what a replica has made itself, and no other server will ever have. Pure.

FLUSH and ANALYZE have GTIDs on MySQL, on a replica, too: nobody must wait for those elsewhere. But
not all that has a replica's own name is errant. What it made as the primary of before, the primary
of now has as well; and what it makes as the next one, unheard of, all will have. So that alone is
errant which a replica had before another server was seen to be the primary, and to lack it.
"""

from __future__ import annotations

from .position import GtidSet, History, Position
from .server import Server

__all__ = ["are_unknown", "note_errant"]


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
    own, known = _own(name, position, history), server.position
    if own and isinstance(known, GtidSet) and not server.errant.covers(own):
        # It may have begun anew since it was there.
        server.errant = server.errant | own & known


def _own(name: str, position: Position, history: History) -> GtidSet:
    """Return what a replica has made itself and the primary lacks."""
    if not isinstance(position, GtidSet) or not isinstance(history, GtidSet):
        return _NOTHING
    others = position.without(name)
    return _NOTHING if others is position else position - others - history


_NOTHING = GtidSet()
