"""What a session owes its primary, and what is still to come from there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Owed"]


class Owed:
    """What must be sent to the primary, read from there, or brought there.

    :param tracking: statements that give the connection the tracking that it would have without
        rwsplit.
    """

    __slots__ = ("foreign", "own_tracking", "pending", "shows_tracking", "unsent")

    def __init__(self, tracking: Sequence[str]) -> None:
        self.unsent: list[bytes] = []
        """What the primary must be sent before its next statement."""
        self.pending = False
        """Results of the primary are still to be read: they may change the session, or commit."""
        self.foreign: list[tuple[Any, frozenset[str]]] = []
        """The replicas that have set user variables, and which."""
        self.shows_tracking = False
        """The primary's connection tracks what the application set, for it to look at."""
        self.own_tracking: list[str] = [*tracking]
        """Statements that set what the application set of that."""

    def __repr__(self) -> str:
        """Tell what there is."""
        return f"<Owed unsent={self.unsent} pending={self.pending}>"

    @property
    def nothing(self) -> bool:
        """Whether the primary can run a statement as it is."""
        return not (self.unsent or self.pending or self.foreign or self.shows_tracking)

    def send_first(self, statements: list[bytes]) -> None:
        """Send these before the next statement."""
        self.unsent = statements

    def sent(self) -> None:
        """Note that all was sent."""
        self.unsent = []

    def note_pending(self, pending: bool) -> None:
        """Note whether results of the primary are still to be read."""
        self.pending = pending

    def note_foreign(self, member: Any, names: frozenset[str]) -> None:
        """Note that a replica has set user variables."""
        self.foreign.append((member, names))

    def take_foreign(self) -> tuple[Any, frozenset[str]]:
        """Return what was set first, and is brought to the primary now."""
        return self.foreign.pop(0)

    def show_tracking(self, shows: bool) -> None:
        """Note whose tracking the primary's connection has."""
        self.shows_tracking = shows

    def keep_tracking(self, own: list[str]) -> None:
        """Keep what the application set."""
        self.own_tracking = own

    def lose(self) -> None:
        """Note that the connection to the primary was lost."""
        self.pending = self.shows_tracking = False
        self.unsent = []
