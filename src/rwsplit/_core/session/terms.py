"""On what terms a connection's reads are split: what it says, and what blocks of code say."""

from __future__ import annotations

from ..cause import ONLY_ASKED, Cause, Reason
from ..setup.options import Choice, Options

__all__ = ["Terms"]

_NO_CHOICE = Choice()
_USING_PRIMARY = Reason("using(reads='primary') asks for the primary", Cause.SWITCHED_OFF)


class Terms:
    """The terms of a connection's reads.

    :param never: why none of its reads go to replicas, whatever a block chooses; None if they do.
    """

    __slots__ = (
        "_block_level",
        "_choice",
        "_max_staleness",
        "_own_level",
        "group",
        "level",
        "max_staleness",
        "never",
        "primary_share",
        "unsplit",
    )

    def __init__(self, options: Options, never: Reason | None) -> None:
        self.never = never
        self.unsplit = never
        """Why no reads go to replicas now; None if they do."""
        self.primary_share = options.primary_share
        """The part of the reads for replicas that the primary serves."""
        self._own_level = options.consistency
        self._block_level: str | None = None
        self._choice: Choice | None = None
        self._max_staleness = options.max_staleness
        self._choose()

    def __repr__(self) -> str:
        """Tell the level, and whether reads are split."""
        return f"<Terms {self.level} {'split' if self.splits else 'not split'}>"

    @property
    def splits(self) -> bool:
        """Whether reads may go to replicas."""
        return self.unsplit is None

    @property
    def must_see(self) -> bool:
        """Whether a read must see what the session wrote."""
        return self.level != "eventual"

    def may_be_free(self, has_gtids: bool) -> bool:
        """Tell whether a plain read may go to any replica, if nothing of the session is against it.

        `has_gtids` is whether anybody can tell which replica has caught up.
        """
        return (
            self.splits
            and self.level != "global"
            and self.max_staleness is None
            and self.group is None
            and not self.primary_share
            and (has_gtids or not self.must_see)
        )

    # Who says what.

    def share(self, share: float) -> None:
        """Take the part of the reads for replicas that the primary serves."""
        self.primary_share = share

    def say(self, level: str) -> None:
        """Take the level that the connection says itself."""
        self._own_level = level
        self._choose()

    def say_in_block(self, level: str | None) -> str | None:
        """Take the level of a block that was made with the connection in hand; returns the last."""
        before, self._block_level = self._block_level, level
        self._choose()
        return before

    def choose(self, choice: Choice | None) -> None:
        """Take what the block of code chooses that the connection is used in."""
        self._choice = choice
        self._split()

    def chooses(self, choice: Choice | None) -> bool:
        """Tell whether that is what was taken last."""
        return choice is self._choice

    def switch(self, never: Reason | None) -> None:
        """Take why none of the reads go to replicas, whatever a block chooses."""
        self.never = never
        self._split()

    def _split(self) -> None:
        choice = self._choice
        self.unsplit = self.never
        if choice is not None and choice.reads is not None:
            if choice.reads == "primary":
                self.unsplit = self.never or _USING_PRIMARY
            elif self.never == ONLY_ASKED:
                self.unsplit = None
        self._choose()

    def _choose(self) -> None:
        choice = self._choice or _NO_CHOICE
        self.level = self._block_level or choice.consistency or self._own_level
        """The consistency level of the reads."""
        self.max_staleness = choice.max_staleness or self._max_staleness
        """How old what a read sees may be, in seconds; None for any age that the level allows."""
        self.group = choice.group
        """The group of replicas that a block chooses."""
