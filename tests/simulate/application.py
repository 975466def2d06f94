"""What a simulated application believes of its session: as if there were one server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .broken import Broken
from .replies import Reply
from .table import Table

if TYPE_CHECKING:
    from .checks import Bounds

__all__ = ["COMMITTED", "Application", "Transaction"]

REPEATABLE, COMMITTED = "REPEATABLE-READ", "READ-COMMITTED"


class Transaction:
    """A transaction as the application sees it."""

    def __init__(self, level: str | None, reads_only: bool = False) -> None:
        self.level = level
        """The isolation level; None where an error has left it open."""
        self.reads_only = reads_only
        self.writes: list[tuple[int, int]] = []
        """Row and value."""
        self.saved: list[tuple[str, int, bool]] = []
        """Savepoints: how many writes came before, and whether no read did."""
        self.read: dict[int, int] = {}
        """By row what it has read, but for what it wrote itself."""
        self.bounds: Bounds | None = None
        """What was promised when its snapshot was taken."""
        self.servers: set[Any] = set()
        """Where it has read."""
        self.may_be_lost = False
        """Its connection was: it may be over."""
        self.may_be_over = False
        """The last error may have ended it, as some servers are set up."""

    @property
    def is_repeatable(self) -> bool:
        return self.level == REPEATABLE

    @property
    def values(self) -> frozenset[int]:
        return frozenset([value for _, value in self.writes])

    def save(self, name: str) -> None:
        """Note a savepoint."""
        self.saved = [each for each in self.saved if each[0] != name]
        self.saved.append((name, len(self.writes), self.bounds is None))

    def has(self, name: str) -> bool:
        """Tell whether there is a savepoint of this name."""
        return any(each[0] == name for each in self.saved)

    def go_back(self, name: str) -> None:
        """Note a ROLLBACK TO."""
        at = next(n for n, each in enumerate(self.saved) if each[0] == name)
        _, count, is_before = self.saved[at]
        del self.saved[at + 1 :], self.writes[count:]
        if is_before:
            self.bounds = None
            self.read.clear()
            self.servers.clear()

    def forget(self, name: str) -> None:
        """Note a RELEASE SAVEPOINT."""
        at = next(n for n, each in enumerate(self.saved) if each[0] == name)
        del self.saved[at:]

    def check(self, table: Table, reply: Reply, row: int | None, moves: bool) -> None:
        """Check that a read shows what its transaction wrote, and what it showed before.

        :param row: which one was read; None for all.
        :param moves: whether what was read on a replica is verified on the primary.
        """
        rows = reply.rows or ()
        shown = {each[0]: each[1] for each in rows} if row is None else {row: rows[0][0]}
        own = dict(self.writes)
        for number, value in shown.items():
            if number in own and value != own[number]:
                text = f"row {number} is {value}, and it has written {own[number]}"
                raise Broken("own uncommitted", text)
        if not self.is_repeatable or self.level != reply.level:
            return
        self.servers.add((reply.server, reply.route.role))
        if not moves and len(self.servers) > 1:
            return
        saw = reply.saw or 0
        for number, value in self.read.items():
            now = table.value(saw, number)
            if now != value:
                text = f"row {number} was {value}, and what is read now is of when it was {now}"
                raise Broken("unity", text)
        for number, value in shown.items():
            if number not in own:
                self.read.setdefault(number, value)


class Application:
    """All that it has set and begun."""

    def __init__(self, autocommit: bool) -> None:
        self.autocommit = autocommit
        self.transaction: Transaction | None = None
        self.level: str | None = REPEATABLE
        """Of its transactions; None where an error has left it open. So it is with others."""
        self.next_level: str | None = ""
        self.state: dict[str, str | None] = {"schema": "shop", "group_concat_max_len": "1024"}

    @property
    def level_now(self) -> str | None:
        """The level of the next transaction."""
        return self.level if self.next_level == "" else self.next_level

    def begin(self, reads_only: bool = False, keeps_level: bool = True) -> None:
        """Note that a transaction has begun."""
        before = self.transaction
        if before is not None and not keeps_level:
            self.next_level = ""
        self.transaction = Transaction(self.level_now, reads_only)

    def used(self) -> Transaction | None:
        """Return the transaction of a statement that uses the table; None for one of its own."""
        if self.transaction is None and not self.autocommit:
            self.begin()
        return self.transaction

    def end(self, chains: bool = False) -> None:
        """Note that the transaction has ended."""
        before, self.transaction = self.transaction, None
        if chains and before is not None:
            self.transaction = Transaction(before.level, before.reads_only)
        elif chains:
            self.transaction = Transaction(self.level_now)
        else:
            self.next_level = ""

    def check_state(self, reply: Reply) -> None:
        """Check that a read ran in the session."""
        for name, value in self.state.items():
            found = reply.state.get(name)
            if value is not None and found != value:
                text = f"{reply.server.name} had {name}={found}, and the session has {value}"
                raise Broken("state", text)
        level = self.level_now if self.transaction is None else self.transaction.level
        if level is not None and reply.level != level:
            text = f"{reply.server.name} reads {reply.level}, and the session {level}"
            raise Broken("level", text)
