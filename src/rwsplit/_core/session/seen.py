"""What a session's reads have seen: the next read must not see less.

A position that a read told is enough to go elsewhere. Where nobody told, one thing is known all
the same: the replica of the last read has it. It had all that was seen before, or it would not have
been read there; so the machine has three places for what was seen, and forgets the earlier ones:

* `at`: the replica of the last read, with `tail`, what that read told of the replica's position;
  empty where it told nothing (MariaDB), or may have seen more than it told (MySQL shows a commit a
  moment before it tells of it). A replica that crashes may come back with less, and then nobody
  could say so where nothing was told: so that counts while the connection of that read is open.
* `position`: what reads before have seen, where the last replica need not have it: behind reads on
  the primary, and where sessions come together. Then that replica must have this, too.
* `on_primary`: a read ran on the primary since, and where that was is not known yet. The primary
  has all that any replica has.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from ..cluster.place import UNTOLD_SECONDS, Place
from ..cluster.position import GtidSet, Position, parse_position
from ..tracking import parse, state_block

__all__ = ["FIRST_STAY", "Seen", "Sight"]

FIRST_STAY, _LONGEST_STAY = 32, 512
"""How many reads a session stays for on a replica whose position they do not tell; then it looks
for another. The longer it lives the longer it stays: so its reads are spread evenly enough, and
soon it costs next to nothing."""
_GROWTH = 129 / 128
"""Each stay is so much longer than the one before."""


class Sight(NamedTuple):
    """What was seen at one place, kept for later."""

    at: str | None
    place: Place | None
    tail: bytes
    position: Position
    on_primary: bool
    by: object = None

    def then(self, later: Sight) -> Sight:
        """Return what both have seen that were at one replica, one after the other."""
        # It may have come back with less than a lost connection saw and did not tell.
        untold = self.at is not None and not self.tail and self.by is not later.by
        return later._replace(
            position=self.position | later.position,
            on_primary=self.on_primary or later.on_primary or untold,
        )


class Seen:
    """What reads have seen; see the module.

    :param origin: the position that has nothing, of the cluster's flavor.
    """

    __slots__ = (
        *("origin", "asked_late", "at", "by", "on_primary", "place", "position", "read_at"),
        *("_stay", "due", "moves", "stayed", "tail", "when"),
    )

    def __init__(self, origin: Position) -> None:
        self.origin = origin
        """The position that has nothing."""
        self.at: str | None = None
        """The replica that the last read ran on; None for none, or the primary."""
        self.by: object = None
        """The session's member there that ran it."""
        self.place: Place | None = None
        """What is known of it: what that made itself no other replica will ever have."""
        self.tail = b""
        """What that read told of the replica's position, as it came; empty if that may be less than
        it saw."""
        self.when = 0.0
        """When it saw what it did not tell of (monotonic seconds); 0 for nobody knows."""
        self.position = origin
        """What reads before have seen, beside that."""
        self.on_primary = False
        """A read ran on the primary since: what it saw is not known yet."""
        self.read_at = 0.0
        """When the last of those was answered (monotonic seconds); 0 for nobody knows."""
        self.asked_late = False
        """A read on a replica had to ask the primary where it was, for reads that ran there."""

        self.stayed = 0
        """How many reads in a row ran on the replica of the last one, that one not counted."""
        self._stay = float(FIRST_STAY)
        self.due = FIRST_STAY
        """After how many of them that told nothing another is looked for."""
        self.moves = 0
        """How often one was looked for."""

    def __repr__(self) -> str:
        """Tell where it was."""
        where = "the primary" if self.on_primary else self.at or "nowhere"
        return f"<Seen at {where}, {'told' if self.tail else 'untold'}>"

    # Reads come and go.

    def saw(self, name: str, place: Place, tail: bytes, now: float, by: object) -> None:
        """Note that a read ran on a replica, which had all that was seen before.

        `tail` is empty unless it told all that the read may have seen there; `by` is the member.
        """
        if self.position and self.at is None:
            self.asked_late = True  # and was asked in time
        self.position = self.origin
        if name == self.at:
            self.stayed += 1
        else:
            self.stayed, self.due = 0, int(self._stay)
        self.at, self.place, self.tail, self.when, self.by = name, place, tail, now, by

    def saw_freely(self, name: str, place: Place, tail: bytes, when: float, by: object) -> None:
        """Do so for a read that was free: nothing else has been seen."""
        if name == self.at:
            self.stayed += 1
        elif self.stayed:  # else it is due as always
            self.stayed, self.due = 0, int(self._stay)
        self.at, self.place, self.tail, self.when, self.by = name, place, tail, when, by

    def saw_all(self, position: Position, late: bool = False) -> None:
        """Note that reads ran on the primary, which was here afterwards.

        `late` is whether a read had to ask for that.
        """
        self.position, self.at, self.tail = position, None, b""
        self.on_primary, self.asked_late = False, late

    def read_on_primary(self, now: float = 0.0) -> None:
        """Note that a read ran on the primary: what it saw is not known yet."""
        self.on_primary, self.read_at = True, now

    def see(self, position: Position) -> None:
        """Note that reads have seen this, too."""
        self.position = self.position | position

    def ended(self, tail: bytes) -> None:
        """Note what a snapshot's replica told at its end: all that was seen there."""
        self.tail = tail

    def leave(self, position: Position) -> None:
        """Leave the replica of the last read, whose reads have seen no more than this."""
        self.position = self.position | position
        self.at = None

    def look_for_another(self) -> int:
        """Look for another replica now, and if there is none again after half as many reads.

        Returns how often one was looked for before.
        """
        self.due = self.stayed + max(min(self.stayed, _LONGEST_STAY) // 2, 1)
        self.moves += 1
        return self.moves - 1

    def stay(self) -> None:
        """Stay on the same replica for as long as one would on another."""
        self._stay = min(self._stay * _GROWTH, _LONGEST_STAY)
        self.stayed, self.due = 0, int(self._stay)

    def was_told(self, sent_at: float, tail: bytes) -> bool:
        """Tell whether the replica of the last read has told by now what that read saw.

        `tail` is the last news from there, and `sent_at` when the read was sent that brought it
        (monotonic seconds): threads do not bring them in the order in which they were told.
        """
        if self.at is None or not (self.when and tail) or sent_at < self.when + UNTOLD_SECONDS:
            return False
        self.tail = tail
        return True

    # What is asked of it.

    @property
    def is_free(self) -> bool:
        """Whether the next read need only go where the last one went, or where there is more."""
        return not self.on_primary and not self.position

    @property
    def is_restless(self) -> bool:
        """Whether another replica is to be looked for."""
        return self.stayed >= self.due and self.is_untold

    @property
    def is_untold(self) -> bool:
        """Whether only the replica of the last read is known to have what that one saw."""
        return self.at is not None and not self.tail

    def known(self) -> Position:
        """Return what reads have seen, so far as it was told."""
        if self.tail:
            self.position = self.position | _told(self.origin, self._errant, self.tail)
        return self.position

    def is_within(self, tail: bytes) -> bool:
        """Tell whether who told this has all that the last read has told."""
        return _covers(self.origin, self._errant, self.tail, tail)

    @property
    def _errant(self) -> Position:
        return self.origin if self.place is None else self.place.errant

    # Sessions part, and come together.

    @property
    def sight(self) -> Sight:
        """What was seen, to be kept for later."""
        return Sight(self.at, self.place, self.tail, self.position, self.on_primary, self.by)

    def take(self) -> Sight:
        """Begin anew with what must not be seen less of; returns what it was before."""
        sight = self.sight
        self._see_only(Sight(None, None, b"", self.origin, on_primary=False))
        return sight

    def see_all(self, every: Iterable[Sight]) -> None:
        """Go on with all that was seen at these."""
        at, place, by, position, on_primary = None, None, None, self.origin, False
        for sight in every:
            errant = self.origin if sight.place is None else sight.place.errant
            position = position | sight.position | _told(self.origin, errant, sight.tail)
            on_primary = on_primary or sight.on_primary
            if sight.at is not None and not sight.tail:
                # Nobody told what was seen there: if it was seen at two, the primary is asked, as
                # no replica has more.
                on_primary = on_primary or at is not None
                at, place, by = sight.at, sight.place, sight.by
        self._see_only(Sight(at, place, b"", position, on_primary, by))

    def _see_only(self, sight: Sight) -> None:
        self.at, self.place, self.tail, self.position, self.on_primary, self.by = sight
        self.when = self.read_at = 0.0
        self.asked_late = False


def _told(origin: Position, errant: Position, tail: bytes) -> Position:
    """Return where a read told its replica to be, but for what no other will ever have."""
    gtids = parse(state_block(tail)).gtids if tail else None
    if gtids is None:
        return origin
    told = parse_position(origin.flavor, gtids)
    return told - errant if isinstance(told, GtidSet) and errant else told


@lru_cache(maxsize=256)
def _covers(origin: Position, errant: Position, seen: bytes, tail: bytes) -> bool:
    # Replicas that have made something themselves tell other positions all the time.
    told = [parse(state_block(each)).gtids if each else None for each in (seen, tail)]
    return None not in told and _told(origin, origin, tail).covers(_told(origin, errant, seen))
