"""Transactions in a session on a model's server."""

from __future__ import annotations

from collections.abc import Callable

from rwsplit._core.session.state import AUTOCOMMIT, IN_TRANSACTION
from rwsplit._core.wire import Fault, Kind

from .answers import Variables
from .gtids import Commit
from .replies import Changes, Reply
from .server import Server
from .table import Writes

__all__ = ["Cut", "Transactions"]

_NO_SAVEPOINT, _READ_ONLY_ALREADY, _IN_PROGRESS = 1305, 1792, 1568


class Cut(Exception):  # noqa: N818 - never leaves the model
    """The connection is cut amid a statement."""


class Transactions(Variables):
    """What is open in a session, and how it ends.

    :param commit: commits what a transaction has written.
    """

    def __init__(self, server: Server, commit: Callable[[Server, Writes], Commit]) -> None:
        super().__init__(server)
        self._commit = commit
        self.trick = ""
        """What becomes of the next commit: `lost before` or `lost behind`."""
        self.has_committed = False
        """What is under way has committed something, and was not answered yet."""
        self.is_open = False
        """A transaction is."""
        self.writes: list[tuple[int, int]] = []
        self._saved: list[tuple[str, int, bool]] = []
        self._snapshot: int | None = None
        self._reads_only = False
        self._level = ""
        self._begun = ""
        """How the transaction would be started."""
        self._told = ""
        self._changes = Changes()

    @property
    def status(self) -> int:
        """The status bits."""
        return self.is_open * IN_TRANSACTION | self.autocommit * AUTOCOMMIT

    def abort(self) -> None:
        """Be left by the client: what was open is rolled back."""
        self._forget()

    def _use(self) -> None:
        """Begin a transaction where no statement commits by itself."""
        if not self.autocommit and not self.is_open:
            self.is_open, self._level = True, self.level

    def _check_writable(self) -> None:
        if self._reads_only or (self.session_reads_only and not self.is_open):
            text = "Cannot execute statement in a READ ONLY transaction."
            raise Fault(_READ_ONLY_ALREADY, text, Kind.OTHER)
        self._check_server()

    def _check_server(self) -> None:
        if not self.server.is_writable:
            text = "The MySQL server is running with the --read-only option"
            raise Fault(1290, text, Kind.READ_ONLY)

    def begin(self, how: str | None = "") -> Reply:
        """Begin a transaction; an open one is committed."""
        how = (how or "").upper()
        self.commit_writes()
        # MySQL leaves the level of the one that it ends to this one (tried).
        self._forget(keeps_level=self.server.flavor == "mysql" or not self.is_open)
        self.is_open, self._level = True, self.level
        self._reads_only = self.session_reads_only or "READ ONLY" in how
        if "SNAPSHOT" in how and self._level == "REPEATABLE-READ":
            self._snapshot = self.server.shown.mask
        only = " READ ONLY" if self._reads_only else ""
        self._begun = f"START TRANSACTION{only};"
        if self.next_level:
            self._begun = f" {self._begun}"
        return self._done()

    def commit(self, chains: str | None = "") -> Reply:
        """Commit."""
        self.commit_writes()
        return self._end(chains)

    def rollback(self, chains: str | None = "") -> Reply:
        """Roll back."""
        return self._end(chains)

    def _end(self, chains: str | None) -> Reply:
        again = bool(chains) and "NO CHAIN" not in (chains or "").upper()
        kept = self.next_level, self._level, self._reads_only, self._begun
        was_open = self.is_open
        self._forget()
        if again:
            self.is_open, self._level = True, self.level
        if again and was_open:
            self.next_level, self._level, self._reads_only, self._begun = kept
        if again:
            self._begun = self._begun or "START TRANSACTION;"
        return self._done()

    def commit_writes(self) -> None:
        """Commit what was written, if anything."""
        if not self.writes:
            return
        self._check_server()
        trick, self.trick = self.trick, ""
        if trick == "lost before":
            raise Cut
        writes, self.writes = tuple(self.writes), []
        commit = self._commit(self.server, writes)
        self.has_committed = True
        if self.server.flavor == "mysql":
            self._changes.gtid = f"{commit.source}:{commit.number}"
        else:
            self._changes.gtid = f"0-{commit.source}-{commit.number}"
        if trick == "lost behind":
            raise Cut

    def _forget(self, keeps_level: bool = False) -> None:
        self.writes.clear()
        self._saved.clear()
        self.is_open = self._reads_only = False
        self._snapshot, self._begun = None, ""
        if not keeps_level:
            self.next_level = ""

    def savepoint(self, name: str) -> Reply:
        """Set a savepoint."""
        self._saved = [each for each in self._saved if each[0] != name]
        if self.is_open or not self.autocommit:
            self._saved.append((name, len(self.writes), self._snapshot is None))
        return self._done()

    def rollback_to(self, name: str) -> Reply:
        """Go back to a savepoint; to one before the first read gives another snapshot."""
        at = self._find(name)
        _, count, is_before = self._saved[at]
        del self._saved[at + 1 :], self.writes[count:]
        if is_before:
            self._snapshot = None
        return self._done()

    def release(self, name: str) -> Reply:
        """Forget a savepoint, and those behind it."""
        del self._saved[self._find(name) :]
        return self._done()

    def _find(self, name: str) -> int:
        for number, (known, *_) in enumerate(self._saved):
            if known == name:
                return number
        raise Fault(_NO_SAVEPOINT, f"SAVEPOINT {name} does not exist")

    def set_level(self, scope: str | None, level: str) -> Reply:
        """Set the isolation level: of the session, or of the next transaction."""
        if scope:
            self.set_variable(self.level_name, level.upper().replace(" ", "-"), self._changes)
        elif self.is_open:
            raise Fault(_IN_PROGRESS, "can't be changed while a transaction is in progress")
        else:
            self.next_level = f"SET TRANSACTION ISOLATION LEVEL {level.upper()};"
        return self._done()

    def set_autocommit(self, value: str) -> Reply:
        """Switch autocommit: on ends the transaction."""
        on = value == "1"
        if on and not self.autocommit:
            self.commit_writes()
            self._forget()
        self.autocommit = on
        self._changes.variables.append(("autocommit", "ON" if on else "OFF"))
        return self._done()

    def set(self, assignments: str) -> Reply:
        """Set variables."""
        self.assign(assignments, self._changes)
        return self._done()

    def use(self, schema: str) -> Reply:
        """Choose a schema."""
        self.schema = self._changes.schema = schema
        return self._done()

    def _done(self, changed: int = 0) -> Reply:
        self.rows_changed = changed
        reply = Reply()
        reply.affected_rows = changed
        return reply
