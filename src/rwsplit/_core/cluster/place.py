"""Where a replica is known to be, and whether to wait for it. Pure: the time comes in.

Its position only grows while it is the same server. Every connection that reads there adds to what
is known, without a lock: so fields are set in an order in which others may look at any moment.
"""

from __future__ import annotations

from math import inf

from ..tracking import only_gtid, parse, state_block
from .pauses import MOST_TIMES, growing
from .position import GtidSet, Position, parse_position

__all__ = ["UNTOLD_SECONDS", "Place"]

UNTOLD_SECONDS = 0.05
"""For how long a MySQL server may show a commit and not tell of it; it was below a millisecond
wherever it was seen, but a thread may have to wait for a processor."""

_LONGEST_PROBE_PAUSE = 1.0
"""Seconds between two looks at a late replica at most."""


class Place:
    """Where one server is known to be."""

    __slots__ = (
        "_gtids",
        "_looks",
        "_parsed_tail",
        "_position",
        "_probe_at",
        "_timeouts",
        "advanced_at",
        "advances",
        "errant",
        "flavor",
        "floor",
        "floor_at",
        "late",
        "look_at",
        "news",
        "noted_at",
        "server",
        "tail",
    )

    def __init__(self, flavor: str) -> None:
        self.flavor = flavor
        """`mysql` or `mariadb`, as the primary is."""
        self.server = ""
        """Its own name for itself: on MySQL its UUID."""
        self.errant = GtidSet()
        """What it has made itself, and no other server will ever have: see `errant`."""
        self.floor: Position | None = None
        """What the replica had before it came back with less; it serves nobody until it has that
        again. None while nothing was lost."""
        self.floor_at = inf
        """When that was learned (monotonic seconds); infinite where nobody knows."""
        self.late = False
        """A wait timed out here, and the replica was not seen to advance since."""
        self.noted_at = 0.0
        """When its position was last noted, or told (monotonic seconds)."""
        self._position: Position | None = None
        self.tail = self._parsed_tail = b""
        """The end of a read's last packet: on MySQL it tells the replica's position. Parsed when
        somebody asks, as most reads bring what is known already."""
        self._gtids: str | None = None
        """What it told, as text."""
        self.advanced_at = 0.0
        """When something new that a read told came here (monotonic seconds)."""
        self.news = 0.0, b""
        """When that read was sent (monotonic seconds), and what it told; empty for nothing."""
        self.advances = False
        """Whether that was a moment ago: see `told`."""
        self._timeouts = self._looks = 0
        self.look_at = 0.0
        """Until when (monotonic seconds) no short look is worth its while."""
        self._probe_at = 0.0

    # Where it is.

    def note_position(self, position: Position, now: float) -> None:
        """Note a position that the replica is known to have."""
        known = self._position
        self.noted_at = now
        if known is None or not known.covers(position):
            self._position = position if known is None else known | position
            self.late = False

    def reset_position(self, position: Position, expected: Position | None, now: float) -> bool:
        """Note the whole position of a replica that was just connected to.

        A server that was rebuilt or that crashed may have less than before; returns False then, and
        until it has that again. `expected` is what was known of it before it was asked.
        """
        if expected is None or position.covers(expected):
            self.floor = None
            self.note_position(position, now)
            return True
        self._begin_at(position, expected, now)
        return False

    def let_go(self, position: Position, now: float) -> Position:
        """Know no more than this of where it is, or was before it was rebuilt; returns it."""
        self._begin_at(position, None, now)
        return position

    def _begin_at(self, position: Position, floor: Position | None, now: float) -> None:
        # In this order: who looks in between must not take it for one that lost nothing.
        if floor != self.floor:
            self.floor_at = now
        self.floor = floor
        self._position = position
        # Who begins anew gives the same numbers again.
        if self.errant:
            self.errant = self.errant & position
        self.noted_at = now
        self.tail = self._parsed_tail = b""
        # What threads still bring of before is no news, and all else is.
        self._gtids, self.news = None, (now, b"")

    def has_gone_on(self, server: str, before: Position | None, position: Position) -> bool:
        """Tell whether a server is the one that was known here, with what it had and more."""
        if not before or self.server != server:
            return False
        return position.covers(before)

    @property
    def position(self) -> Position | None:
        """What the replica is known to have; None for nothing."""
        self._read_tail()
        return self._position

    def shared(self, position: Position) -> Position:
        """Return what of a position that it told others have, or will have."""
        errant = self.errant
        return position - errant if errant and isinstance(position, GtidSet) else position

    def has(self, position: Position) -> bool:
        """Tell whether the replica is known to have this position, and all that it once had."""
        self._read_tail()
        return self._position is not None and self._position.covers(position)

    def told(self, tail: bytes, sent_at: float, now: float) -> bool:
        """Take in what a read told that has just ended; True if the read saw no more than that.

        MySQL shows a commit a moment before it tells of it. So what a read tells while a replica
        advances may be less than it has seen. A thread may have to wait for long before it brings
        an answer here: all that is sure is that the server gave it after the read was sent.
        """
        gtids = self._gtids
        if tail != self.tail:
            gtids = _told(tail)
        if gtids is None:
            return False
        if gtids == self._gtids:
            self.tail = tail
            if self.advances:
                since = self.advanced_at
                if sent_at < since + UNTOLD_SECONDS:
                    return False
                self.advances = False
                self.advances = since != self.advanced_at  # another thread saw it advance
            return not self.advances
        if sent_at < self.news[0]:
            return False  # who asked later knows more, or will with the next read
        # In this order, as other threads look without a lock.
        self.advanced_at = now
        self.advances = True
        self._gtids = gtids
        self.tail = tail
        self.news = sent_at, tail
        self.late = False
        return False

    def _read_tail(self) -> None:
        tail = self.tail
        if tail != self._parsed_tail:
            self._parsed_tail = tail
            gtids = self._gtids
            if tail and gtids is not None:
                told_at = max(self.noted_at, self.advanced_at)
                self.note_position(parse_position(self.flavor, gtids), told_at)

    # Whether to wait for it.

    def timed_out(self, now: float) -> None:
        """Note that a wait timed out: nobody waits here again until the replica has advanced."""
        self.late = True
        self._put_off_probe(now)

    def looked_in_vain(self, now: float) -> None:
        """Note that a short look found it behind: no more looks for a while, but waits."""
        self.look_at = now + growing(self._looks, _LONGEST_PROBE_PAUSE)
        self._looks = min(self._looks + 1, MOST_TIMES)

    def caught_up(self) -> None:
        """Note that a wait succeeded."""
        self.late = False
        self._timeouts = self._looks = 0
        self.look_at = 0.0

    def worth_asking(self, now: float) -> bool:
        """Tell whether it is not late, or another look is due."""
        return not self.late or now >= self._probe_at

    def may_probe(self, now: float) -> bool:
        """Tell whether it is time for another look at a late replica, and take that turn."""
        if now < self._probe_at:
            return False
        self._put_off_probe(now)
        return True

    def _put_off_probe(self, now: float) -> None:
        self._probe_at = now + growing(self._timeouts, _LONGEST_PROBE_PAUSE)
        self._timeouts = min(self._timeouts + 1, MOST_TIMES)


def _told(tail: bytes) -> str | None:
    """Return the position that a tail tells; None if it tells none, or of something else, too."""
    alone = only_gtid(tail)
    if alone:
        return alone.decode()
    changes = parse(state_block(tail))
    return None if changes.state_changed else changes.gtids
