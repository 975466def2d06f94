"""A model of a server: what it has, shows and tells, and what becomes of it.

MySQL shows a commit a moment before it tells of it (`gtid_executed`); until then the primary has
its GTID in `gtid_owned`. A replica applies what its source has, late, in bursts, on MySQL out of
order. A server may restart, may come back with less, be rebuilt, be promoted and demoted.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from rwsplit._core.cluster.place import UNTOLD_SECONDS

from .clock import Clock
from .gtids import Commit, Has, Wanted

if TYPE_CHECKING:
    from .wire import Wire

__all__ = ["Server"]

_LATE_TOLD = 0.02
"""How long a commit is shown and not told of, at most."""


class Server:
    """One server, and its part in replication.

    :param identity: its UUID, or its server id.
    :param tells_first_late: whether the first commit after a pause, too, is told of late. A session
        may miss it then on another replica: a limit that the documentation names.
    """

    def __init__(
        self,
        name: str,
        identity: str,
        flavor: str,
        clock: Clock,
        dice: Random,
        tells_first_late: bool = False,
    ) -> None:
        self.name = name
        self.identity = identity
        self.flavor = flavor
        self.clock, self._dice = clock, dice
        self._tells_first_late = tells_first_late
        self.shown = Has(flavor)
        """What a read sees here."""
        self.told = Has(flavor)
        """What it says that it has."""
        self.source: Server | None = None
        """Whom it replicates from; None for a primary."""
        self.followers: list[Server] = []
        self.is_up = True
        self.is_writable = False
        self.is_hung = False
        """It answers nobody, and closes nothing."""
        self.is_full = False
        """It has no room for one more connection."""
        self.refuses = 0
        """The error that it gives to every new connection of an application; 0 for none."""
        self.stops = False
        """Its applier has stopped."""
        self.rate = 400.0
        """How many bursts it applies a second."""
        self.burst = 3
        self.wires: set[Wire] = set()
        self.waiting: list[tuple[Wanted, Callable[[bool], None]]] = []
        """Who waits for a position here."""
        self.held: list[Callable[[], None]] = []
        """What has come in while it hung."""
        self.life = 0
        """How often it has stopped."""
        self._told_at = 0.0
        self._applies = False
        self._unsent = 0
        """How much nobody got from here before it stopped."""
        self._next = 0
        """Where in its source's log to look for what it lacks."""

    def __repr__(self) -> str:
        return f"<Server {self.name} {self.told.text}>"

    # What it has.

    def commit(self, bit: int) -> Commit:
        """Commit a transaction here."""
        on_mysql = self.flavor == "mysql"
        number = self.shown.logged.get(self.identity, 0) if on_mysql else self.shown.last_number
        commit = Commit(bit, self.identity, number + 1)
        self._show(commit)
        for follower in self.followers:
            follower.wake()
        return commit

    def _show(self, commit: Commit) -> None:
        self.shown.add(commit)
        if self.flavor == "mariadb":
            self._tell(commit, self.life)
            return
        now, dice = self.clock.now, self._dice
        late = dice.uniform(0.0, _LATE_TOLD if dice.random() < 0.5 else 0.0005)
        is_first = now + late > self._told_at + UNTOLD_SECONDS
        if self.source is not None and is_first and not self._tells_first_late:
            late = 0.0
        if late:
            self.clock.at(late, self._tell, commit, self.life)
        else:
            self._tell(commit, self.life)

    def _tell(self, commit: Commit, life: int) -> None:
        if life != self.life:
            return
        self.told.add(commit)
        self._told_at = self.clock.now
        if self.waiting:
            over = [each for each in self.waiting if self.told.covers(each[0])]
            for each in over:
                self.waiting.remove(each)
                each[1](True)

    def owned(self) -> str:
        """`gtid_owned`, with the number of a thread behind each."""
        late = self.shown.mask & ~self.told.mask
        if not late:
            return ""
        return ",".join(f"{c.source}:{c.number}#17" for c in self.shown.log[-50:] if c.bit & late)

    def whole(self) -> str:
        """What it says that it has, with what is shown already and not told of yet."""
        owned = self.owned() if self.flavor == "mysql" else ""
        return ",".join(filter(None, (owned, self.told.text)))

    # Replicating.

    def sent(self) -> list[Commit]:
        """Return what those have been sent who replicate from here."""
        log = self.shown.log
        return log if self.is_up else log[: len(log) - self._unsent]

    def follow(self, source: Server | None) -> None:
        """Replicate from another server; None for nobody."""
        if self.source is not None:
            self.source.followers.remove(self)
        self.source, self._next = source, 0
        if source is not None:
            source.followers.append(self)
            self.wake()

    def wake(self) -> None:
        """See to it that what there is is applied."""
        if not self._applies and self.is_up and not self.stops and self.source is not None:
            self._applies = True
            self.clock.at(self._dice.expovariate(self.rate), self._apply, self.life)

    def _apply(self, life: int) -> None:
        if life != self.life:
            return
        self._applies = False
        source = self.source
        if source is None or self.stops:
            return
        log, mask = source.sent(), self.shown.mask
        while self._next < len(log) and log[self._next].bit & mask:
            self._next += 1
        todo = [c for c in log[self._next : self._next + 12] if not c.bit & mask]
        if not todo:
            return
        if self.flavor == "mariadb" and self.shown.mask & ~source.shown.mask:
            self.stops = True  # it is where its source never was
            return
        todo = todo[: self._dice.randint(1, self.burst)]
        if self.flavor == "mysql" and self._dice.random() < 0.2:
            self._dice.shuffle(todo)
            todo = todo[:-1] or todo
        for commit in todo:
            self._show(commit)
        self.wake()

    def apply(self, commit: Commit) -> None:
        """Apply one transaction, out of turn."""
        if not commit.bit & self.shown.mask:
            self._show(commit)

    def stall(self, seconds: float) -> None:
        """Apply nothing for a while."""
        self.stops = True
        self.clock.at(seconds, self.go_on)

    def go_on(self) -> None:
        """Apply again."""
        self.stops = False
        self.wake()

    # Coming and going.

    def cut(self, wire: Wire | None = None) -> None:
        """Close connections: one, or all."""
        for each in [wire] if wire is not None else sorted(self.wires, key=lambda w: w.number):
            each.cut()

    def stop(self) -> None:
        """Be gone."""
        self.is_up = self.is_hung = self._applies = False
        self._unsent = self._dice.choice((0, 0, 1, 4))
        self.life += 1
        self.waiting.clear()
        self.held.clear()
        self.cut()

    def start(self, lost: int = 0) -> None:
        """Be back, with so many transactions less than before."""
        log = self.shown.log
        self._begin_with(log[: max(len(log) - lost, 0)])

    def rebuild(self, source: Server, identity: str) -> None:
        """Become a copy of another server, which it replicates from."""
        self.stop()
        self.identity, self.is_writable = identity, False
        self._begin_with(source.shown.log)
        if self.flavor == "mariadb":
            # A copy has a place in the binary log, and none of its own.
            self.shown.logged.clear()
        self.follow(source)

    def _begin_with(self, log: list[Commit]) -> None:
        self.shown, self.told = Has(self.flavor, log), Has(self.flavor, log)
        self._next = 0
        self.is_up, self.stops = True, False
        self.wake()
        for follower in self.followers:
            follower.wake()

    def hang(self) -> None:
        """Answer nobody."""
        self.is_hung = True

    def answer(self) -> None:
        """Answer again, and what has come in first."""
        self.is_hung = False
        held, self.held = self.held, []
        for act in held:
            act()
