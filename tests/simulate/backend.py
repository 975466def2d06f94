"""A session on a model's server: its transaction, its variables, and what it answers.

It knows the few statements that the simulated applications run, and all that rwsplit itself sends;
another one is a mistake, and ends the schedule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from rwsplit._core.session.state import AUTOCOMMIT, IN_TRANSACTION
from rwsplit._core.wire import Fault, Kind

from .answers import QUESTIONS, Variables
from .gtids import Commit
from .replies import Changes, Field, Reply, tail_of
from .server import Server
from .table import Table, Writes

__all__ = ["Backend", "Cut"]

_SIGNALLED, _NO_SAVEPOINT, _READ_ONLY_ALREADY, _IN_PROGRESS = 1644, 1305, 1792, 1568
_ROLLED_BACK = 1213
_COLUMNS = {"v": 1, "id,v": 2}


class Cut(Exception):  # noqa: N818 - never leaves the model
    """The connection is cut amid a statement."""


class Backend(Variables):
    """The server's side of one connection.

    :param commit: commits what a transaction has written.
    :param table: the rows.
    """

    def __init__(
        self, server: Server, table: Table, commit: Callable[[Server, Writes], Commit]
    ) -> None:
        super().__init__(server)
        self._table, self._commit = table, commit
        self.trick = ""
        """What becomes of the next commit: `lost before` or `lost behind`."""
        self.errors: list[Fault] = []
        """What the next statements of the application that use the table are answered with."""
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

    def answer(self, statement: str | bytes) -> Reply | Fault:
        """Run a statement. Raises Cut where its connection is cut amid it."""
        sql = statement.decode() if isinstance(statement, bytes) else statement
        name, groups = _parse(sql)
        self._changes = changes = Changes()
        try:
            reply: Reply = getattr(self, name)(*groups)
        except Fault as fault:
            self.rows_changed = -1
            return fault
        characteristics = self.next_level + self._begun
        if characteristics != self._told:
            self._told = changes.characteristics = characteristics
        reply.server_status = self.status
        reply.server = self.server
        if self.tracks == "own":
            reply.tail = changes.tail(self.server.flavor)
        elif self.tracks == "all":
            reply.tail = self._tail_of_replica(changes)
        if reply.tail:
            reply.server_status |= 0x4000
        return reply

    @property
    def status(self) -> int:
        """The status bits."""
        return self.is_open * IN_TRANSACTION | self.autocommit * AUTOCOMMIT

    def _tail_of_replica(self, changes: Changes) -> bytes:
        changes.characteristics = None
        if self.server.flavor == "mysql" and not self.is_open:
            text = self.server.told.text
            if not (changes.is_other or changes.variables):
                return tail_of(text)
            changes.gtid = text
        changes.variables = []
        return changes.tail(self.server.flavor)

    def abort(self) -> None:
        """Be left by the client: what was open is rolled back."""
        self._forget()

    # Rows.

    def select(self, columns: str, variable: str | None, row: str | None, locks: str) -> Reply:
        """Read one row, or all."""
        self._fail()
        self._use()
        mask = self.server.shown.mask
        level = self._level if self.is_open else self.level
        if self.is_open and level == "REPEATABLE-READ" and not locks:
            if self._snapshot is None:
                self._snapshot = mask
            mask = self._snapshot
        rows: Any = self._table.rows(mask, tuple(self.writes), int(row) if row else None)
        fields = [Field("id"), Field("v")] if columns.startswith("id") else [Field("v")]
        if len(fields) == 1:
            rows = [each[1:] for each in rows]
        if variable is not None:
            rows = [(*each, self.users.get(variable)) for each in rows]
            fields.append(Field(f"@{variable}"))
        reply = Reply(tuple(rows), tuple(fields))
        reply.saw, reply.level = mask, level
        reply.state = self.shown()
        self.rows_found, self.rows_changed = len(rows), -1
        if not self.is_open:
            self.next_level = ""
        return reply

    def update(self, value: str, row: str) -> Reply:
        """Write one row."""
        self._check_writable()
        self._fail()
        self._use()
        self.writes.append((int(row), int(value)))
        if not self.is_open:
            self.commit_writes()
            self.next_level = ""
        return self._done(1)

    def call(self, value: str, row: str) -> Reply:
        """Run a procedure that commits a write, and fails behind it."""
        self._check_writable()
        self.commit_writes()
        self._forget()
        self.writes.append((int(row), int(value)))
        self.commit_writes()
        raise Fault(_SIGNALLED, "it was signalled")

    def _use(self) -> None:
        """Begin a transaction where no statement commits by itself."""
        if not self.autocommit and not self.is_open:
            self.is_open, self._level = True, self.level

    def _fail(self) -> None:
        if self.errors:
            fault = self.errors.pop()
            if fault.number == _ROLLED_BACK:
                self._forget()
            raise fault

    def _check_writable(self) -> None:
        if self._reads_only or (self.session_reads_only and not self.is_open):
            text = "Cannot execute statement in a READ ONLY transaction."
            raise Fault(_READ_ONLY_ALREADY, text, Kind.OTHER)
        self._check_server()

    def _check_server(self) -> None:
        if not self.server.is_writable:
            text = "The MySQL server is running with the --read-only option"
            raise Fault(1290, text, Kind.READ_ONLY)

    # Transactions.

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


_TABLE = (
    (r"SELECT (v|id,v)(?:,@(\w+))? FROM t(?: WHERE id = (\d+))?( FOR UPDATE)?", "select"),
    (r"UPDATE t SET v = (\d+) WHERE id = (\d+)", "update"),
    (r"CALL p\((\d+),(\d+)\)", "call"),
    (r"BEGIN", "begin"),
    (r"START TRANSACTION(.*)", "begin"),
    (r"COMMIT( AND (?:NO )?CHAIN.*)?", "commit"),
    (r"ROLLBACK( AND (?:NO )?CHAIN.*)?", "rollback"),
    (r"SAVEPOINT `?([\w ]+)`?", "savepoint"),
    (r"ROLLBACK TO (?:SAVEPOINT )?(\w+)", "rollback_to"),
    (r"RELEASE SAVEPOINT (\w+)", "release"),
    (r"SET (SESSION )?TRANSACTION ISOLATION LEVEL ([\w ]+)", "set_level"),
    (r"SET (?:SESSION )?autocommit ?= ?([01])", "set_autocommit"),
    (r"SET (.*)", "set"),
    (r"USE `?(\w+)`?", "use"),
    *QUESTIONS,
)
_STATEMENTS = [(re.compile(text, re.IGNORECASE | re.DOTALL), name) for text, name in _TABLE]
_COMMENT = re.compile(r"/\*.*?\*/ ?")


@lru_cache(1 << 14)
def _parse(sql: str) -> tuple[str, tuple[Any, ...]]:
    text = _COMMENT.sub("", sql).rstrip(";")
    for pattern, name in _STATEMENTS:
        found = pattern.fullmatch(text)
        if found is not None:
            return name, found.groups()
    raise NotImplementedError(f"the model does not know: {sql}")
