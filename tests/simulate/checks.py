"""What is promised to one virtual connection, held against what its reads saw.

What was lost with a primary is nobody's any more. While it is not known yet that another server is
the primary, nobody can know what only that one has: but what the session wrote, and what its reads
told, it knows itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .broken import Broken

if TYPE_CHECKING:
    from .world import World

__all__ = ["Bounds", "Promises", "Shared"]


class Bounds(NamedTuple):
    """What a read must see that begins now, and what it must not see; transactions as bits."""

    own: int
    """What the session has committed, and those who share with it."""
    unsure: int
    """Of that, what it had no answer for. Not asked for while the primary is away."""
    read: int
    """What its reads on replicas have seen."""
    read_there: int
    """What its reads on the primary have seen. Not asked for while the primary is away."""
    all: int
    """What anybody has committed."""
    old: int
    """What was there so long ago as it may be behind."""
    lost: int
    """What nobody may show any more."""
    is_known: bool
    """The process knows who the primary is."""


class Shared:
    """What those have committed who are one session; `unsure` where no answer came."""

    def __init__(self) -> None:
        self.wrote = self.unsure = 0


class Promises:
    """What is promised to one virtual connection.

    :param shared: with whom it is one session.
    :param hears: whether they hear of each other's doubts.
    """

    def __init__(self, world: World, shared: Shared, hears: bool) -> None:
        self._world = world
        self.shared = shared
        self._doubts = shared if hears else Shared()
        self.wrote = self.read = self.read_there = 0

    def begin_again(self) -> None:
        """Note that the application has connected again: nobody else knew of its doubts."""
        if self._doubts is not self.shared:
            self._doubts = Shared()

    def has_committed(self, bits: int, unsure: bool = False) -> None:
        """Note commits of the session's; `unsure` where no answer came."""
        if unsure:
            self._doubts.unsure |= bits
        else:
            self.wrote |= bits
            self.shared.wrote |= bits

    def bounds(self, staleness: float | None = None) -> Bounds:
        """Return what a read must see that begins now."""
        world, kept = self._world, ~self._world.lost
        is_known = world.knows_primary
        return Bounds(
            self.shared.wrote & kept,
            self._doubts.unsure & kept,
            self.read,
            self.read_there,
            world.primary.shown.mask,
            world.shown_at(world.clock() - staleness) if staleness is not None else 0,
            world.lost if is_known else 0,
            is_known,
        )

    def check(
        self, bounds: Bounds, level: str, saw: int, where: str, away: bool, told: bool
    ) -> None:
        """Check what a read saw.

        :param away: whether the primary could not be asked for it.
        :param told: whether reads on replicas before it have told what they saw.
        """
        world = self._world
        kept = ~world.lost
        showed = saw & bounds.lost
        if showed and where != "primary" and showed & ~self._own(where):
            raise Broken("ahead", f"{where} showed what was lost: {self._tell(showed)}")
        if not saw & 1 and (bounds.is_known or where != "primary"):
            raise Broken("foreign", f"{where} has nothing of this cluster")
        if bounds.is_known:
            self._need("staleness", bounds.old & kept, saw, where)
        if level == "eventual":
            return
        knows_own = bounds.is_known or where != "primary"
        knows_read = bounds.is_known or (where != "primary" and told)
        self._need("own writes", bounds.own & kept, saw, where, knows_own)
        self._need("monotonic", bounds.read & kept, saw, where, knows_read)
        if bounds.is_known and not away:
            self._need("unsure writes", bounds.unsure & kept, saw, where)
            self._need("monotonic, primary", bounds.read_there & kept, saw, where)
        if level == "global" and bounds.is_known:
            self._need("global", bounds.all & kept, saw, where)
        if not bounds.is_known:
            self.read_there = 0
        if not knows_read:
            self.read = 0
        if where == "primary":
            self.read_there |= saw
        else:
            self.read |= saw

    def _own(self, where: str) -> int:
        """Return what a server made itself while nobody here saw that it was the primary.

        That can't be told from what FLUSH and ANALYZE leave on a replica.
        """
        if self._world.cluster.servers[where].was_primary:
            return 0
        identity = self._world.models[where].identity
        return sum(commit.bit for commit in self._world.commits if commit.source == identity)

    def _need(self, check: str, wanted: int, saw: int, where: str, counts: bool = True) -> None:
        missing = wanted & ~saw
        if missing and counts:
            raise Broken(check, f"a read on {where} did not see {self._tell(missing)}")

    def _tell(self, mask: int) -> str:
        found = [c for c in self._world.commits if c.bit & mask]
        return ", ".join(f"{c.source[-6:]}:{c.number}" for c in found)
