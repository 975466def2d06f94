"""What a session has set on its connection, so that every member can be the same session.

Kept as state, one entry a name with the value that it has now, never as a log of statements. A
member carries the version of the state that it has and is brought the difference.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from .position import Position, parse_position
from .statement import Kind, Statement, TableName
from .tracking import Changes

__all__ = [
    "AUTOCOMMIT",
    "IN_TRANSACTION",
    "LEXING",
    "Session",
    "can_write",
    "literal",
    "quote_identifier",
]

IN_TRANSACTION = 0x0001
AUTOCOMMIT = 0x0002
"""Bits of the server status in every OK packet (MySQL manual, Status Flags)."""

_NEVER_REPLAYED = re.compile(
    r"autocommit|completion_type|transaction_|tx_|session_track_|sql_log_|gtid_|last_|identity"
    r"|insert_id|timestamp|pseudo_|rand_seed|character_set_database|collation_database"
    r"|in_transaction|server_id|skip_replication|binlog_|statement_id|read_only|warning_count"
    r"|error_count|character_set_connection"
)
"""Variables that mean something else, or nothing, on a replica. (`collation_connection` says all
that `character_set_connection` would.)"""

_STAY_ON_PRIMARY = re.compile(r"sql_log_bin|gtid_|timestamp|insert_id|pseudo_|rand_seed|skip_repl")
"""Variables that change what the next statements do and can't be replayed: while one is set, the
session stays on the primary."""

_ESCAPING = frozenset({"sql_mode", "character_set_client", "collation_connection"})
"""A member must have confirmed these before it is sent text that was escaped under them."""

LEXING = frozenset({"sql_mode", "character_set_client"})
"""Variables that decide how a text is read; they must be known before the next one is."""

_CHARSET = frozenset({"character_set_client", "character_set_results", "collation_connection"})

_MOST_COMMITTED = 100

_PLAIN_TEXT = re.compile(r"[A-Za-z0-9_,.:/+ -]*")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

_PINS = {
    "tables": "LOCK TABLES holds tables on the primary",
    "user": "a user lock is held on the primary",
    "handler": "a HANDLER is open on the primary",
    "instance": "the session holds a lock on the primary's instance",
    "xa": "an XA transaction is open on the primary",
}


class Session:
    """The state of one virtual connection's session.

    It is changed by what the primary reported (`learn`) and read by routing and by the members.
    """

    __slots__ = (
        "_committed",
        "_entries",
        "_position",
        "_values",
        "origin",
        "pins",
        "position_known",
        "schema",
        "status",
        "temporary",
        "unread",
        "version",
    )

    def __init__(self, position: Position, schema: str | None) -> None:
        self.version = 0
        self.schema = schema
        self.status = AUTOCOMMIT
        """The primary's server status after its last statement."""
        self.origin = position
        """The position of a session that has nothing to see."""
        self._position = position
        self._committed: list[str | bytes] = []
        self.position_known = True
        """False after an error that may have come behind a commit, or a write without a GTID."""
        self.pins: dict[str, str] = {}
        """What binds the session to the primary, and the reason in words."""
        self.temporary: set[TableName] = set()
        """Temporary tables of this session: they are on the primary alone."""
        self.unread: set[str] = set()
        """System variables that may have changed and that the server did not report."""
        self._entries: dict[str, tuple[int, str]] = {}
        self._values: dict[str, str] = {}

    def __repr__(self) -> str:
        facts = [f"version={self.version}", f"schema={self.schema!r}"]
        if self.position:
            facts.append(f"position={str(self.position)!r}")
        if not self.position_known:
            facts.append("position unknown")
        facts += self.pins
        return f"<Session {' '.join(facts)}>"

    @property
    def position(self) -> Position:
        """The high-water position: a replica must have it before it may serve the session."""
        committed = self._committed
        if committed:
            texts = [text if isinstance(text, str) else text.decode("ascii") for text in committed]
            committed.clear()
            added = parse_position(self.origin.flavor, ",".join(texts))
            self._position = self._position | added
        return self._position

    @position.setter
    def position(self, position: Position) -> None:
        self._committed.clear()
        self._position = position

    # Learning from the primary.

    def has_committed(self, gtids: str | bytes) -> None:
        """Note what the session committed, as the server prints it."""
        # Added up when a read asks for it: most writes are followed by others.
        self._committed.append(gtids)
        if len(self._committed) > _MOST_COMMITTED:
            self._position = self.position

    def set_variable(self, name: str, value: object) -> None:
        """Note the value that a system variable now has on the primary."""
        self.unread.discard(name)
        if _NEVER_REPLAYED.match(name):
            return
        if name in LEXING:
            self._values[name] = value.decode() if isinstance(value, bytes) else str(value)
        self._set(name, f"@@SESSION.{quote_identifier(name)}={literal(value)}")

    def value(self, name: str) -> str | None:
        """Return the value of one of the LEXING variables."""
        return self._values.get(name)

    def set_schema(self, name: str | None) -> None:
        """Note the default schema; None after it was dropped."""
        if name != self.schema or "schema" not in self._entries:
            self.schema = name
            if name is not None:
                self._set("schema", f"USE {quote_identifier(name)}")

    def _set(self, name: str, sql: str) -> None:
        entry = self._entries.get(name)
        if entry is None or entry[1] != sql:
            self.version += 1
            self._entries[name] = (self.version, sql)

    def learn(self, changes: Changes) -> None:
        """Take in what the primary reported at the end of a statement."""
        names = [name for name, _ in changes.variables]
        if "character_set_connection" in names and "collation_connection" not in names:
            # It changed too, and neither flavor says to what.
            self.unread.add("collation_connection")
        for name, value in changes.variables:
            if name != "last_gtid":
                self.set_variable(name, value)
        if changes.schema is not None:
            self.set_schema(changes.schema or None)

    def expect(self, statement: Statement, succeeded: bool = True) -> None:
        """Note what a statement that ran on the primary may have changed unreported.

        Called before `learn`, which then clears what the server did report. A statement that failed
        may have done part of its work, and is not believed to have released anything.
        """
        if statement.system_variables_written:
            self._expect_variables(statement.system_variables_written)
        if succeeded:
            for table in statement.temporary_dropped:
                self.temporary.discard(table)
            self._release(statement)
        self.temporary.update(statement.temporary_made)
        if self.temporary:
            self.temporary.update(new for old, new in statement.renames if old in self.temporary)
        for lock in statement.locks:
            if lock in _PINS:
                self.pins[lock] = _PINS[lock]

    def expect_charset(self) -> None:
        """Note that the connection's character set may have changed."""
        self.unread |= _CHARSET

    def _expect_variables(self, names: Collection[str]) -> None:
        for name in names:
            if _STAY_ON_PRIMARY.match(name):
                self.pins[name] = f"{name} is set, and can't be set on a replica"
            elif not _NEVER_REPLAYED.match(name):
                self.unread.add(name)
        if any(name.startswith(("character_set_", "collation_")) for name in names):
            self.expect_charset()

    def _release(self, statement: Statement) -> None:
        for lock in statement.releases:
            # One RELEASE_LOCK need not release them all, and nothing reports how many are held.
            if lock != "user" or "release_all_locks" in statement.reason.lower():
                self.pins.pop(lock, None)

    def may_have_changed(self, statement: Statement, changes: Iterable[Changes]) -> None:
        """Pin the session after a statement whose effects on it can't be told from its text."""
        if statement.may_change_session and any(change.state_changed for change in changes):
            self.pins["statement"] = (
                f"{statement.verb} may have changed what only the primary's connection holds"
            )

    # Bringing a member up to date.

    def difference(self, version: int) -> tuple[list[str], bool]:
        """Return the statements that bring a member from `version` to the session's state.

        The second value tells whether the member must confirm them before it is sent anything
        escaped by this session.
        """
        assignments: list[str] = []
        use: list[str] = []
        confirm = False
        for name, (changed, sql) in self._entries.items():
            if changed > version:
                confirm = confirm or name in _ESCAPING
                (use if name == "schema" else assignments).append(sql)
        # One SET is all or nothing; the collation comes last, as setting a character set resets it.
        assignments.sort(key=lambda sql: "collation_connection" in sql)
        return ([f"SET {','.join(assignments)}"] if assignments else []) + use, confirm

    def binds(self, statement: Statement) -> str | None:
        """Tell why a read that may be bound must stay on the primary, or None."""
        for reason in self.pins.values():
            return reason
        if self.temporary and self._names_temporary(statement):
            return "it names a temporary table, which only the primary has"
        if statement.user_variables_read:
            return f"it reads @{min(statement.user_variables_read)}, which only the primary has"
        return None

    def is_free(self, must_see: bool) -> bool:
        """Tell whether nothing binds a plain read, and nothing has to be asked or waited for.

        `must_see` is whether the reads must see the session's position.
        """
        return (
            not self.pins
            and not self.temporary
            and not self.unread
            and self.status & (IN_TRANSACTION | AUTOCOMMIT) == AUTOCOMMIT
            and (
                not must_see
                or (self.position_known and not self._committed and self._position is self.origin)
            )
        )

    def _names_temporary(self, statement: Statement) -> bool:
        names = {table.name.lower() for table in self.temporary}
        return any(table.name.lower() in names for table in statement.tables)


def can_write(statement: Statement) -> bool:
    """Tell whether an error of this statement may come behind a commit."""
    return statement.may_write or statement.kind in (Kind.WRITE, Kind.UNKNOWN)


def quote_identifier(name: str) -> str:
    """Quote an identifier; right under every sql_mode (MySQL manual, Schema Object Names)."""
    return "`" + name.replace("`", "``") + "`"


def literal(value: object) -> str:
    """Write a value as SQL that means the same under every sql_mode and character set."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    text = str(value)
    if _NUMBER.fullmatch(text):
        return text
    if _PLAIN_TEXT.fullmatch(text):
        return f"'{text}'"
    return f"_utf8mb4 X'{text.encode().hex()}'"
