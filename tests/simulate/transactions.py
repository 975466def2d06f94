"""Transactions in a session on a model's server."""

from __future__ import annotations

import re
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
_ACCESS = re.compile(r"READ (?:ONLY|WRITE)")
_SNAPSHOT = re.compile(r" WITH CONSISTENT SNAPSHOT,?")
_CHARACTERISTICS = ("WITH CONSISTENT SNAPSHOT", "READ ONLY", "READ WRITE")


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
        self._is_logged = False
        """MariaDB: it will be in the binary log, and have a GTID, with nothing written, too."""
        self._begun = ""
        """How the transaction would be started."""
        self._told: str | None = ""
        """What was last said of that; None where it must be said again."""
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
            self._reads_only = self.reads_only

    def _check_writable(self) -> None:
        self._check_server()
        self._check_reads_only()

    def _check_reads_only(self) -> None:
        if self._reads_only if self.is_open else self.reads_only:
            text = "Cannot execute statement in a READ ONLY transaction."
            raise Fault(_READ_ONLY_ALREADY, text, Kind.OTHER)

    def _check_server(self) -> None:
        if not self.server.is_writable:
            text = "The MySQL server is running with the --read-only option"
            raise Fault(1290, text, Kind.READ_ONLY)

    def begin(self, how: str | None = "") -> Reply:
        """Begin a transaction; an open one is committed."""
        how = (how or "").upper()
        self.commit_writes()
        # MySQL leaves the characteristics of the one that it ends to this one (tried).
        on_mysql = self.server.flavor == "mysql"
        writes = "READ WRITE" in how
        access = _ACCESS.search(self._begun or self.next_access)
        if (on_mysql or not self.is_open) and access is not None and not _ACCESS.search(how):
            how += access[0]
        self._forget(keeps_level=on_mysql or not self.is_open)
        if writes:
            self._check_server()
        self.is_open, self._level = True, self.level
        self._reads_only = "READ ONLY" in how or (self.session_reads_only and "READ" not in how)
        self.next_access = ""
        if "SNAPSHOT" in how and self._level == "REPEATABLE-READ":
            self._snapshot = self.server.shown.mask
        said = ", ".join([each for each in _CHARACTERISTICS if each in how])
        self._begun = f"START TRANSACTION{' ' if said else ''}{said};"
        self._told = None
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
        self._forget(keeps_level=again)
        if again:
            self.is_open, self._level = True, self.level
            self._reads_only = self.reads_only
        if again and was_open:
            self.next_level, self._level, self._reads_only, self._begun = kept
            self._begun = _SNAPSHOT.sub("", self._begun)
        if again:
            self._begun, self._told = self._begun or "START TRANSACTION;", None
        return self._done()

    def commit_writes(self) -> None:
        """Commit what was written, if anything."""
        if not (self.writes or self._is_logged):
            return
        try:
            self._check_server()
        except Fault:
            self._forget()
            raise
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
        self._snapshot, self._begun, self._is_logged = None, "", False
        if not keeps_level:
            self._use_up()

    def _use_up(self) -> None:
        """Note that what was said of the next transaction was of this one."""
        self.next_level = self.next_access = ""

    def savepoint(self, name: str) -> Reply:
        """Set a savepoint."""
        self._saved = [each for each in self._saved if each[0] != name]
        if self.server.flavor == "mariadb" and "SNAPSHOT" in self._begun:
            self._is_logged = True
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
            if not self.is_open:
                self.next_level = ""
        elif self.is_open:
            raise Fault(_IN_PROGRESS, "can't be changed while a transaction is in progress")
        else:
            self.next_level = f"SET TRANSACTION ISOLATION LEVEL {level.upper()};"
        return self._done()

    def set_access(self, access: str) -> Reply:
        """Say whether the next transaction may write."""
        if self.is_open:
            raise Fault(_IN_PROGRESS, "can't be changed while a transaction is in progress")
        self.next_access = f"SET TRANSACTION {access};"
        return self._done()

    def set_autocommit(self, value: str) -> Reply:
        """Switch autocommit: on ends the transaction."""
        on = value == "1"
        if on and not self.autocommit:
            self.commit_writes()
            # The next one is as this one was: a defect of both flavors (tried).
            access = _ACCESS.search(self._begun)
            self._forget(keeps_level=True)
            self.next_access = f"SET TRANSACTION {access[0]};" if access is not None else ""
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
        self._changes.is_other = True
        return self._done()

    def init(self, schema: str) -> Reply:
        """Choose one by COM_INIT_DB."""
        return self.use(schema)

    def _done(self, changed: int = 0) -> Reply:
        self.rows_changed = changed
        if changed and self.server.flavor == "mysql":
            self.rows_found = changed
        reply = Reply()
        reply.affected_rows = changed
        return reply
