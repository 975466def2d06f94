"""A session on a model's server: its transaction, its variables, and what it answers.

It knows the few statements that the simulated applications run, and all that rwsplit itself sends;
another one is a mistake, and ends the schedule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from rwsplit._core.numbers import LOCK_DEADLOCK
from rwsplit._core.wire import Fault

from .answers import QUESTIONS
from .gtids import Commit
from .replies import Changes, Field, Reply, tail_of
from .server import Server
from .table import Table, Writes
from .transactions import Cut, Transactions

__all__ = ["Backend", "Cut"]

_SIGNALLED = 1644
_OF_LOCKS = (LOCK_DEADLOCK, 1205)
_SILENT = ("ping", "rollback", "init")
_OF_TABLES = ("select", "update", "call")
_KEEPS_WARNINGS = ("show_warnings", "init", "ping")


class Backend(Transactions):
    """The server's side of one connection.

    :param commit: commits what a transaction has written.
    :param table: the rows.
    """

    def __init__(
        self, server: Server, table: Table, commit: Callable[[Server, Writes], Commit]
    ) -> None:
        super().__init__(server, commit)
        self._table = table
        self.errors: list[Fault] = []
        """What the next statements of the application that use the table are answered with."""
        self._untold = ""
        """What a statement has committed that failed then."""
        self._is_late = False
        """It has changed something else, too, that no reply has told."""

    def answer(self, statement: str | bytes) -> Reply | Fault:
        """Run a statement. Raises Cut where its connection is cut amid it."""
        sql = statement.decode() if isinstance(statement, bytes) else statement
        name, groups = _parse(sql)
        self._changes = Changes()
        was_open = self.is_open
        try:
            reply: Reply = getattr(self, name)(*groups)
        except Fault as fault:
            self._note_error(name, fault)
            return fault
        on_mysql = self.server.flavor == "mysql"
        if name in _OF_TABLES or (on_mysql and name not in _KEEPS_WARNINGS):
            self.warnings.clear()
        if on_mysql and "FOUND_ROWS" in sql:
            self.warnings.append(("Warning", 1287, b"it is deprecated"))
        self._note_changes(self.is_open != was_open)
        self._end_reply(name, reply)
        return reply

    def _end_reply(self, name: str, reply: Reply) -> None:
        """Give a reply what a server says of itself behind it."""
        changes = self._changes
        reply.server_status = self.status
        reply.server = self.server
        if self.tracks == "own":
            reply.tail = changes.tail(self.server.flavor)
        elif self.tracks == "all":
            reply.tail = self._tail_of_replica(name, changes)
        if reply.tail:
            reply.server_status |= 0x4000

    def note_wait(self, reply: Reply) -> None:
        """Take in that it waited for a position."""
        self._changes = changes = Changes()
        # MariaDB's SET STATEMENT ends by setting what was set before.
        changes.is_other = self.server.flavor == "mariadb"
        if self.server.flavor == "mysql":
            self.warnings.clear()
        self.rows_found, self.rows_changed = 1, -1
        self._end_reply("wait", reply)

    def _note_changes(self, moves: bool) -> None:
        """Take in what is to be told of the transaction, and of what failed before."""
        changes = self._changes
        characteristics = " ".join(filter(None, (self.next_level, self.next_access, self._begun)))
        tells = moves or bool(changes.tail("mariadb"))
        if characteristics != self._told:
            self._told = changes.characteristics = characteristics
            tells = True
        if tells or self.server.flavor == "mysql":
            changes.gtid, self._untold = changes.gtid or self._untold, ""
            changes.is_other, self._is_late = changes.is_other or self._is_late, False

    def _note_error(self, name: str, fault: Fault) -> None:
        """Take in what is left of a statement that failed."""
        self._is_late |= self._changes.is_other
        self.rows_changed, self.warnings = -1, [("Error", fault.number, fault.text.encode())]
        if fault.number == _SIGNALLED and self.server.flavor == "mysql":
            self.rows_found = 1
        if self.server.flavor == "mariadb":
            # It tells these with whatever it tells next; MySQL never tells the GTID (tried).
            self._untold = self._changes.gtid or self._untold
            if name == "call":
                self.warnings.append(("Note", 4094, b"at line 2"))

    def _tail_of_replica(self, name: str, changes: Changes) -> bytes:
        changes.characteristics = changes.schema = None
        changes.is_other |= bool(changes.variables)
        changes.variables = []
        ends = name == "commit" or not self.is_open
        if self.server.flavor == "mysql" and ends and name not in _SILENT:
            text = self.server.told.text
            if not changes.is_other:
                return tail_of(text)
            changes.gtid = text
        return changes.tail(self.server.flavor)

    # Rows.

    def select(self, columns: str, variable: str | None, row: str | None, locks: str) -> Reply:
        """Read one row, or all."""
        if locks:
            self._check_reads_only()
            self._check_server()
        self._fail(bool(locks))
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
            self._use_up()
        return reply

    def update(self, value: str, row: str) -> Reply:
        """Write one row."""
        self._check_writable()
        self._fail(locks=True)
        self._use()
        self.writes.append((int(row), int(value)))
        self._trigger(int(value))
        if not self.is_open:
            self.commit_writes()
            self._use_up()
        return self._done(1)

    def _trigger(self, value: int) -> None:
        """Run the table's trigger: it sets a variable that no text names, now and then."""
        if value % 4 == 0:
            self.users["w"], self._changes.is_other = value, True

    def call(self, value: str, row: str) -> Reply:
        """Run a procedure that commits a write, and fails behind it."""
        self._check_writable()
        self.writes.append((int(row), int(value)))
        self._trigger(int(value))
        self.commit_writes()
        self._forget()
        raise Fault(_SIGNALLED, "it was signalled")

    def _fail(self, locks: bool) -> None:
        """Fail, if that is due; what takes no locks waits for none."""
        for number, fault in enumerate(self.errors):
            if locks or fault.number not in _OF_LOCKS:
                del self.errors[number]
                if fault.number == LOCK_DEADLOCK:
                    self._forget()
                raise fault


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
    (r"SET (SESSION )?TRANSACTION ISOLATION LEVEL ([\w ]+);?", "set_level"),
    (r"SET TRANSACTION (READ ONLY|READ WRITE);?", "set_access"),
    (r"SET (?:SESSION )?autocommit ?= ?([01])", "set_autocommit"),
    (r"SET (.*)", "set"),
    (r"USE `?(\w+)`?", "use"),
    (r"INIT (\w+)", "init"),
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
