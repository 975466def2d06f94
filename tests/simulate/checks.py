"""What is promised to one virtual connection, held against what its reads saw.

What was lost with a primary is nobody's any more. While it is not known yet that another server is
the primary, nobody can know what only that one has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .world import World

__all__ = ["Bounds", "Broken", "Promises"]


class Broken(AssertionError):  # noqa: N818 - it is a promise that is broken
    """A promise was not kept.

    :param check: which one.
    """

    def __init__(self, check: str, text: str) -> None:
        super().__init__(f"{check}: {text}")
        self.check = check


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


class Promises:
    """What is promised to one virtual connection."""

    def __init__(self, world: World, shares: bool) -> None:
        self._world = world
        self._shares = shares
        self.wrote = self.unsure = self.read = self.read_there = 0
        self.state: dict[str, str] = {}
        """What was set in the session."""

    def has_committed(self, bit: int, unsure: bool = False) -> None:
        """Note a commit of the session's; `unsure` where no answer came."""
        if unsure:
            self.unsure |= bit
            self._world.unsure |= bit if self._shares else 0
        else:
            self.wrote |= bit
            self._world.wrote |= bit if self._shares else 0

    def bounds(self, staleness: float | None = None) -> Bounds:
        """Return what a read must see that begins now."""
        world, kept = self._world, ~self._world.lost
        shared, doubts = (world.wrote, world.unsure) if self._shares else (0, 0)
        is_known = world.knows_primary
        return Bounds(
            (self.wrote | shared) & kept,
            (self.unsure | doubts) & kept,
            self.read,
            self.read_there,
            world.primary.shown.mask,
            world.shown_at(world.clock() - staleness) if staleness is not None else 0,
            world.lost if is_known else 0,
            is_known,
        )

    def check(
        self, bounds: Bounds, level: str, saw: int, where: str, away: bool, settles: bool = True
    ) -> None:
        """Check what a read saw; `away` is whether the primary could not be asked for it."""
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
        self._need("own writes", bounds.own & kept, saw, where, bounds.is_known or not where)
        if bounds.is_known:
            self._need("monotonic", bounds.read & kept, saw, where)
            if not away:
                self._need("unsure writes", bounds.unsure & kept, saw, where)
                self._need("monotonic, primary", bounds.read_there & kept, saw, where)
        if level == "global" and bounds.is_known:
            self._need("global", bounds.all & kept, saw, where)
        if not settles:
            return
        if not bounds.is_known:
            self.read = self.read_there = 0
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

    def check_same(self, first: int, saw: int, where: str) -> None:
        """Check that a snapshot shows what it showed before."""
        if saw != first:
            raise Broken("unity", f"a snapshot on {where} changed: {self._tell(first ^ saw)}")

    def check_state(self, state: dict[str, str], where: str) -> None:
        """Check that a read ran in the session."""
        if state != self.state:
            raise Broken("state", f"{where} had {state}, and the session has {self.state}")

    def _need(self, check: str, wanted: int, saw: int, where: str, counts: bool = True) -> None:
        missing = wanted & ~saw
        if missing and counts:
            raise Broken(check, f"a read on {where} did not see {self._tell(missing)}")

    def _tell(self, mask: int) -> str:
        found = [c for c in self._world.commits if c.bit & mask]
        return ", ".join(f"{c.source[-6:]}:{c.number}" for c in found)
