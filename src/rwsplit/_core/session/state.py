"""What a session has set on its connection, so that every member can be the same session.

Kept as state, one entry a name with the value that it has now, never as a log of statements. A
member carries the version of the state that it has and is brought the difference.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, Protocol

from ..cluster.facts import Values
from ..cluster.position import Position, empty, parse_commits, within
from ..flavors.names import TRANSACTIONAL, spelt
from ..flavors.traits import traits_of
from ..sql.following import ASKED
from ..sql.statement import Kind, Statement, TableName
from ..sql.values import literal, quote_identifier, simple_assignments
from ..tracking import Changes

__all__ = [
    "AUTOCOMMIT",
    "IN_TRANSACTION",
    "LARGEST_VALUE",
    "LEXING",
    "Commits",
    "Prepared",
    "State",
    "begins_with",
    "can_commit",
    "can_write",
    "changes_globals",
    "runs_code",
]

IN_TRANSACTION = 0x0001
AUTOCOMMIT = 0x0002
"""Bits of the server status in every OK packet (MySQL manual, Status Flags)."""

_NEVER_REPLAYED = re.compile(
    r"autocommit|transaction_|tx_|session_track_|sql_log_|gtid_|last_|identity"
    r"|insert_id|timestamp|pseudo_|rand_seed|character_set_database|collation_database"
    r"|in_transaction|server_id|skip_replication|binlog_|statement_id|read_only|warning_count"
    r"|error_count|character_set_connection"
)
"""Variables that mean something else, or nothing, on a replica. (`collation_connection` says all
that `character_set_connection` would.)"""

_OF_PRIMARY = re.compile(r"transaction_|tx_|binlog_|sql_log_off|server_id|collation_database")
"""Those of them that count on the primary: a new connection there is given what the session has."""

IDS = frozenset(("last_insert_id", "lastval"))
"""What of `Statement.depends` was made on this very connection, and on no other."""

_STAY_ON_PRIMARY = re.compile(r"sql_log_bin|gtid_|timestamp|insert_id|pseudo_|rand_seed|skip_repl")
"""Variables that change what the next statements do and can't be replayed: while one is set, the
session stays on the primary."""

_BINDS_WHILE_ON = {
    "sql_auto_is_null": "sql_auto_is_null is on, and binds reads to rows that the primary inserted",
    "profiling": "profiling is on, and shows what ran on the primary",
    "optimizer_trace": "optimizer_trace is on, and shows what ran on the primary",
}
"""Variables that bind reads to what only the primary's connection has."""

_OFF = re.compile(r"0|OFF|(?:.*,)?enabled=off(?:,.*)?|", re.IGNORECASE)

_HARMLESS = {
    "sql_log_bin": {"ON", "1"},
    "gtid_next": {"AUTOMATIC"},
    "pseudo_slave_mode": {"OFF", "0"},
    "pseudo_replica_mode": {"OFF", "0"},
    "skip_replication": {"OFF", "0"},
}
"""Values with which such a variable binds nothing any more."""

_ESCAPING = frozenset({"sql_mode", "character_set_client", "collation_connection"})
"""A member must have confirmed these before it is sent text that was escaped under them."""

LEXING = frozenset({"sql_mode", "character_set_client"})
"""Variables that decide how a text is read; they must be known before the next one is."""

_ISOLATION = re.compile(r"ISOLATION LEVEL (SERIALIZABLE|REPEATABLE READ|READ (?:UN)?COMMITTED)")
_ACCESS = re.compile(r"\bREAD (ONLY|WRITE)\b")

_MOST_COMMITTED = 100

LARGEST_VALUE = 1 << 20
"""A user variable whose value takes more characters than this is left on the primary."""

_MOST_PREPARED = 1000

_PINS = {
    "tables": "LOCK TABLES holds tables on the primary",
    "user": "a user lock is held on the primary",
    "handler": "a HANDLER is open on the primary",
    "instance": "the session holds a lock on the primary's instance",
    "xa": "an XA transaction is open on the primary",
}


class Prepared(NamedTuple):
    """A statement that PREPARE named, and that replicas may run."""

    sql: bytes
    """The PREPARE, as the application sent it."""
    body: Statement
    setting: tuple[str | None, ...]
    """What the text was read under: sql_mode, character set, collation, schema."""


class Start(NamedTuple):
    """What a session begins with: the same for all that begin alike."""

    entries: dict[str, tuple[int, str]]
    values: dict[str, str]
    pins: dict[str, str]
    of_primary: dict[str, str]
    version: int
    difference: list[str]
    """What brings a new member there."""


class Commits(Protocol):
    """Who hears what sessions commit: those that share the process do."""

    def note(self, gtids: str | bytes) -> None:
        """Note what was committed, as the server prints it."""

    def doubt(self, unsure: bool) -> int:
        """Note that something may have been committed that nobody reported.

        `unsure` is whether only a statement may have been whose answer was lost. Returns the number
        of the doubt.
        """

    def settle(self, doubt: int, position: Position) -> None:
        """Note where the primary was when it was asked because of a doubt, and of those before."""


class State:
    """The state of one virtual connection's session.

    It is changed by what the primary reported (`learn`) and read by routing and by the members.

    :param position: the position before the first transaction.
    :param commits: who else hears what it commits.
    """

    __slots__ = (
        "_bodies",
        "_checked",
        "_commits",
        "_committed",
        "_entries",
        "_lent",
        "_of_primary",
        "_position",
        "_start",
        "_user_locks",
        "_values",
        "_written",
        "asked",
        "asking",
        "base",
        "began",
        "doubt",
        "doubted_by",
        "found",
        "had_schema",
        "hearsay",
        "heavy",
        "level_changed",
        "lost_ids",
        "next_transaction",
        "origin",
        "pins",
        "position_known",
        "position_unsure",
        "prepared",
        "rumoured",
        "schema",
        "sets_globals",
        "status",
        "suspect",
        "tables_made",
        "temporary",
        "traits",
        "unlisted",
        "unprepared",
        "unread",
        "unread_users",
        "untold",
        "version",
    )

    def __init__(  # noqa: PLR0915 - all that there is of a session
        self, position: Position, schema: str | None, commits: Commits | None = None
    ) -> None:
        self.version = 0
        self.schema = schema
        self.status = AUTOCOMMIT
        """The primary's server status after its last statement."""
        self.untold: int | None = None
        """What the primary told of it before, where its last answer, an error, told nothing."""
        self.origin = position
        """The position of a session that has nothing to see."""
        self.traits = traits_of(position.flavor)
        """What its servers do."""
        self._position = position
        self.base = position
        """What was pruned from the position, for those who carry it elsewhere."""
        self._committed: list[str | bytes] = []
        self.found = False
        """What ran on the primary has told of what others wrote, without a result set: how many
        rows it has found, or in a variable. What it commits has all that it saw."""
        self._written = position
        self._commits = commits
        self.asked = position
        """What the application asked to see, whoever the session is shared with. It may be made up:
        nobody else is told."""
        self.began = position
        """Where the primary was when the connection was made, if that is where it begins."""
        self.doubt = 0
        """The number of what made the position unknown, for those who share the process."""
        self.doubted_by: object = None
        """Of whom that was heard; None for a doubt of its own."""
        self.position_known = True
        """False after an error that may have come behind a commit, or a write without a GTID."""
        self.position_unsure = False
        """What is not known is only whether a statement took effect whose answer was lost."""
        self.pins: dict[str, str] = {}
        """What binds the session to the primary, and the reason in words."""
        self.temporary: set[TableName] = set()
        """Temporary tables of this session: they are on the primary alone."""
        self.unread: set[str] = set()
        """System variables, and `role`, that may have changed and that the server did not report;
        `*` stands for any."""
        self.unread_users: set[str] = set()
        """User variables that may have changed."""
        self.unlisted = False
        """User variables whose names nobody told may have changed."""
        self.hearsay = False
        """User variables may have changed, for all that nothing but an error speaks for it."""
        self.sets_globals = False
        """It has set variables of the primary for all: replicas have other values."""
        self.rumoured = False
        """Code may have run since that set user variables: servers do not tell of those that SELECT
        ... INTO, FETCH and `:=` set in a trigger, a routine or a prepared statement. Nor of what
        LAST_INSERT_ID() is since."""
        self.lost_ids: frozenset[str] = frozenset()
        """Of IDS, what may have gone with a connection, for all that nobody was told of."""
        self._checked: set[str] = set()
        """User variables that are known all the same."""
        self._lent: set[str] = set()
        """What was set for one statement: MariaDB reports with a later one that it is over."""
        self.heavy: set[str] = set()
        """User variables whose values are too large to be brought to replicas."""
        self.suspect = False
        """A statement changed something that its text does not explain: perhaps it made a temporary
        table."""
        self.tables_made = 0
        """How many temporary tables the session was seen to ask for."""
        self._user_locks = 0.0
        self.prepared: dict[str, Prepared] = {}
        self._bodies: dict[str, Statement] = {}
        """What prepared statements do, where their text was told."""
        self.asking: dict[str, frozenset[str]] = {}
        """Prepared statements that ask about a statement before, and what."""
        self.unprepared: set[str] = set()
        """Prepared statements that only the primary has."""
        self.had_schema = False
        """A default schema was selected, and no connection can go back to having none."""
        self.next_transaction = ""
        """SQL of what holds for the next transaction only, as the server reported it."""
        self.level_changed = False
        """The level or access of transactions was set while one was open: see `_note_switch`."""
        self._entries: dict[str, tuple[int, str]] = {}
        self._of_primary: dict[str, str] = {}
        """What sets the variables that only a connection to the primary is given."""
        self._values: dict[str, str] = {}
        self._start: Start | None = None

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
        if self._committed:
            self._add_up()
        return self._position

    @position.setter
    def position(self, position: Position) -> None:
        self._committed.clear()
        self._position = position

    @property
    def written(self) -> Position:
        """What the session has committed, or the primary had when it was asked for that, since
        `publish`: what those must see who share its id."""
        if self._committed:
            self._add_up()
        return self._written

    def _add_up(self) -> None:
        committed, self._committed = self._committed, []
        added = parse_commits(self.origin.flavor, committed)
        self._position = self._position | added
        self._written = self._written | added

    def asked_by(self, name: str) -> frozenset[str]:
        """Return what a prepared statement asks about the statement before it."""
        return self.asking.get(name, frozenset()) & ASKED

    def note_status(self, status: int) -> None:
        """Note the primary's server status after a statement."""
        self.status = status

    def hear_status(self, status: int, told: bool = True) -> None:
        """Take in the status that the primary told last, and what it means to its transaction.

        :param told: its last answer did so: else it may be what was so before an error.
        """
        if not told and status == self.untold:
            return
        before, self.status = self.status, status
        self.untold = None if told else status
        if self.level_changed:
            self._note_switch(before)

    def note_open(self) -> None:
        """Note that a transaction may be open on the primary."""
        self.status |= IN_TRANSACTION

    def note_closed(self) -> None:
        """Note that none is open there any more."""
        self.status &= ~IN_TRANSACTION

    def forget_next(self) -> None:
        """Note that nothing holds for the next transaction alone."""
        self.next_transaction = ""

    def bind(self, name: str, reason: str) -> None:
        """Bind the session to the primary."""
        self.pins[name] = reason

    def doubt_variable(self, name: str) -> None:
        """Note that a system variable, or `role`, may have changed unreported."""
        self.unread.add(name)

    def note_asked(self, names: Iterable[str]) -> None:
        """Note that what may have changed unreported was asked for: these, and all others."""
        self.unread -= {*names, "*", "role"}

    def note_unknown_users(self, names: Iterable[str]) -> None:
        """Note user variables that could not be read: too much for one packet, perhaps."""
        self.heavy.update(names)
        self.unread_users.difference_update(names)

    def see(self, position: Position) -> None:
        """See a position from now on."""
        self.position = self.position | position

    def fill(self, near: Position | None) -> None:
        """Close the gaps that others have filled, as far as that is known: `near` is there."""
        self.position = self.position.filled(near)
        self._written = self._written.filled(near)

    @property
    def pieces(self) -> int:
        """How many intervals it takes to write down what it must see, and what it has written."""
        return max(self.position.pieces, self._written.pieces)

    def see_only(self, position: Position) -> None:
        """See no more than this from now on."""
        self.position = position

    def tell(self, commits: Commits | None) -> None:
        """Let others hear what it commits from now on."""
        self._commits = commits

    def published(self) -> None:
        """Note that others of the session's id know what it has written."""
        self._written = self.origin

    def ask_for(self, position: Position) -> None:
        """See a position from now on that the application has given."""
        self.asked = self.asked | position
        self.position = self.position | position

    def begin_at(self, position: Position, counts: bool = True) -> None:
        """Begin where the primary was when the connection was made, or given out by a pool.

        `counts` is whether this is seen already, or once the session is not in its scope any more.
        """
        self.began = self.began | position
        if counts:
            self.position = self.position | position

    def go_on_behind(self, before: State) -> None:
        """See what the same connection has written before it was connected again."""
        self.ask_for(before.base | before.position)
        if not before.position_known:
            self.lose_position(before.position_unsure)

    def begin_with(
        self, position: Position, base: Position, known: bool, anew: bool = False
    ) -> None:
        """Be another's session from now on: one that must see this, and what was asked for.

        And what the connection began with, but where the session begins `anew`.
        """
        self.position = position | self.asked
        if not anew:
            self.position = self.position | self.began
        self.base = base
        self.position_known = known
        self.doubted_by = None
        self._written = self.origin

    def lose_position(self, unsure: bool = False) -> None:
        """Note that the position is not known any more.

        `unsure` is whether all is known but what became of a statement whose answer was lost.
        """
        self.position_unsure = unsure and (self.position_known or self.position_unsure)
        self.position_known = False
        self.doubted_by = None
        if self._commits is not None:
            self.doubt = self._commits.doubt(unsure)

    def hear_doubt(self, doubt: int, unsure: bool, of: object) -> None:
        """Note that another session does not know what it has committed: it shares what is `of`."""
        if self.position_known:
            self.doubted_by = of
        elif self.doubted_by is not of:
            self.doubted_by = None
        self.position_unsure = unsure and (self.position_known or self.position_unsure)
        self.position_known = False
        self.doubt = doubt

    def hear_no_doubt(self, of: object) -> None:
        """Note that whoever shares what is `of` knows now what was committed."""
        if self.doubted_by is of:
            self.doubted_by = None
            self.position_known = True

    def find_position(self, now: Position) -> None:
        """Note where the primary is, asked because the position was not known."""
        position = self.position
        self._position = position | now
        self._written = self._written | now
        self.position_known = True
        self.doubted_by = None
        if self._commits is not None:
            self._commits.settle(self.doubt, now)

    def let_go(self, now: Position) -> None:
        """Let go of what a primary that is at `now` does not have: nobody has it."""
        written = self.written
        self._position = within(self._position, now)
        self._written = within(written, now)
        self.asked = within(self.asked, now)
        self.began = within(self.began, now)
        self.base = within(self.base, now)

    def prune(self, common: Position) -> None:
        """Forget the position, as all replicas have it; `common` is what they all have."""
        # What is carried elsewhere must still name it; what all have takes less to write.
        kept = self.base | self.position
        self.base = common if common.covers(kept) else kept
        self._position = self.asked = self.began = self.origin

    def begin(self, charset: str, told: Values) -> None:
        """Begin with the schema, and with what the server said that its variables are."""
        self._start = start = _begun(self.origin.flavor, self.schema, charset, told)
        self.had_schema = self.schema is not None
        self.version = start.version
        self.pins = start.pins.copy()
        self._entries = start.entries.copy()
        self._of_primary = start.of_primary.copy()
        self._values = start.values.copy()

    @property
    def is_as_begun(self) -> bool:
        """Whether nothing was set since it began."""
        start = self._start
        return start is not None and start.version == self.version

    # Learning from the primary.

    def has_committed(self, gtids: str | bytes) -> None:
        """Note what the session committed, as the server prints it."""
        # Added up when a read asks for it: most writes are followed by others.
        self._committed.append(gtids)
        self.found = False
        if self._commits is not None:
            self._commits.note(gtids)
        if len(self._committed) > _MOST_COMMITTED:
            self._add_up()

    def note_write(self, status: int, gtid: bytes) -> None:
        """Note a write that changed rows, and what it committed; its triggers may have run code.

        `gtid` is empty where it committed nothing yet.
        """
        self.status = status
        self.untold = None
        self.rumoured = True
        self._checked.clear()
        if gtid:
            self.has_committed(gtid)
        else:
            self.found = True

    def note_found(self) -> None:
        """Note that what ran on the primary has told of what others wrote."""
        self.found = True

    def take_found(self) -> bool:
        """Tell, once, whether something was found that no commit stands for."""
        found, self.found = self.found, False
        return found

    def set_variable(self, name: str, value: object) -> None:
        """Note the value that a session system variable now has."""
        if name in _BINDS_WHILE_ON:
            if _OFF.fullmatch(str(value)):
                self.pins.pop(name, None)
            else:
                self.pins[name] = _BINDS_WHILE_ON[name]
        elif name in self.pins:
            if str(value).upper() in _HARMLESS.get(name, ()):
                del self.pins[name]
            return
        self.unread.discard(name)
        if name in TRANSACTIONAL:
            self._set_transactional(name, str(value).upper())
            return
        if _NEVER_REPLAYED.match(name):
            if _OF_PRIMARY.match(name):
                self._of_primary[name] = _assignment(name, value)
            return
        if value == "" and name == "character_set_results":
            value = None  # how trackers spell NULL here
        self._values[name] = "" if value is None else str(value)
        self._set(name, _assignment(name, value))

    def _set_transactional(self, name: str, value: str) -> None:
        self.level_changed = self.level_changed or bool(self.status & IN_TRANSACTION)
        self._values[TRANSACTIONAL[name]] = value
        if name.endswith("isolation"):
            # Snapshots on replicas are taken under it.
            self._set(name, _assignment(name, value))
        else:
            self._of_primary[TRANSACTIONAL[name]] = _assignment(name, value)

    def _note_switch(self, before: int) -> None:
        """Note that autocommit may have been switched on since the status was this one.

        Where that ended a transaction in which the level was set, both flavors leave the level of
        that one to the next (tried). They tell nobody, and not all that they run uses it up. So the
        primary answers until a COMMIT or ROLLBACK did.
        """
        on = self.status & ~before & AUTOCOMMIT
        if self.level_changed and on and before & IN_TRANSACTION:
            self.pins["level"] = "the primary's next transaction has the level of the one before"

    def note_end(self) -> None:
        """Note that COMMIT or ROLLBACK ended what the primary had."""
        if self.level_changed and not self.status & IN_TRANSACTION:
            self.level_changed = False
            self.pins.pop("level", None)

    @property
    def isolation(self) -> str:
        """The isolation level of the next transaction, as servers print it."""
        found = _ISOLATION.search(self.next_transaction)
        if found:
            return found[1].replace(" ", "-")
        return self._values.get("isolation", "")

    @property
    def reads_only(self) -> bool:
        """Whether the next transaction is READ ONLY if it says nothing of that itself."""
        found = _ACCESS.search(self.next_transaction)
        if found:
            return found[1] == "ONLY"
        return self._values.get("reads_only") in ("ON", "1")

    def set_user_variable(self, name: str, value: str) -> None:
        """Note the value, written as SQL, that a user variable now has."""
        self.unread_users.discard(name)
        if len(value) > LARGEST_VALUE:
            self.note_heavy((name,))
        else:
            self._checked.add(name)
            self.heavy.discard(name)
            self._set(f"@{name}", f"@{quote_identifier(name)}={value}")

    def note_heavy(self, names: Iterable[str]) -> None:
        """Note user variables whose values are too large to be brought to replicas."""
        for name in names:
            self.unread_users.discard(name)
            self._checked.add(name)
            self.heavy.add(name)
            self._entries.pop(f"@{name}", None)

    def set_role(self, sql: str) -> None:
        """Note the active roles, written as what SET ROLE takes."""
        self.unread.discard("role")
        self._set("role", f"SET ROLE {sql}")

    def value(self, name: str) -> str | None:
        """Return the value of one of the LEXING variables, or of those of transactions."""
        return self._values.get(name)

    def set_schema(self, name: str | None) -> None:
        """Note the default schema; None after it was dropped."""
        if name != self.schema or "schema" not in self._entries:
            self.schema = name
            if name is not None:
                self.had_schema = True
                self.pins.pop("schema", None)
                self._set("schema", f"USE {quote_identifier(name)}")
            elif self.had_schema:
                self._start = None
                self._entries.pop("schema", None)
                self.pins["schema"] = "its schema was dropped, and a replica can't leave its own"

    def _set(self, name: str, sql: str) -> None:
        entry = self._entries.get(name)
        if entry is None or entry[1] != sql:
            self.version += 1
            self._entries[name] = (self.version, sql)

    def learn(self, changes: Changes, statement: Statement | None = None) -> None:
        """Take in what the primary reported at the end of a statement.

        A variable that the statement can't have set was reported for something else: MariaDB
        reports what SET STATEMENT sets for one statement only. Its value is read back.
        """
        names = [name for name, _ in changes.variables]
        written = statement.system_variables_written if statement is not None else frozenset()
        meant = {TRANSACTIONAL[name] for name in written if name in TRANSACTIONAL}
        if "character_set_connection" in names and "collation_connection" not in names:
            # It changed too, and neither flavor says to what.
            self.unread.add("collation_connection")
        if "max_join_size" in names and "sql_big_selects" not in names:
            self.unread.add("sql_big_selects")  # setting the one sets the other, and none says so
        for name, value in changes.variables:
            if (
                statement is None
                or statement.may_change_session
                or name in written
                or name in self.pins
                or TRANSACTIONAL.get(name) in meant
            ):
                self.set_variable(name, value)
                if name not in written and _STAY_ON_PRIMARY.match(name):
                    self._note_bound(name, str(value))
            elif name in self._of_primary or _is_kept(name):
                self.unread.add(name)
            elif _STAY_ON_PRIMARY.match(name) and name not in self._lent:
                self._note_bound(name, str(value))  # a trigger has set it
        if changes.schema is not None:
            self.set_schema(changes.schema or None)
            if "collation_database" in self._of_primary:
                self.unread.add("collation_database")  # it is the schema's now
        if changes.characteristics is not None:
            begun = self.status & IN_TRANSACTION
            self.next_transaction = "" if begun else changes.characteristics

    def _note_bound(self, name: str, value: str) -> None:
        """Note a variable that can't be replayed, and that code on the primary has set."""
        if value.upper() not in _HARMLESS.get(name, ()):
            self.pins[name] = f"{name} is set, and can't be set on a replica"

    def expect(self, statement: Statement, succeeded: bool = True, sql: bytes = b"") -> None:
        """Note what a statement that ran on the primary may have changed unreported.

        Called before `learn`, which then clears what the server did report. A statement that failed
        may have done part of its work, and is not believed to have released anything.
        """
        if runs_code(statement):
            self.rumoured = True
            self._checked.clear()
        if changes_globals(statement):
            self.sets_globals = True
        self._lent |= statement.system_variables_lent
        # A SET that fails changes nothing (MySQL manual, SET Syntax for Variable Assignment).
        if statement.system_variables_written and (succeeded or statement.kind is not Kind.SESSION):
            self._expect_variables(statement)
        if statement.user_variables_written:
            self._expect_user_variables(statement, succeeded, sql)
        if succeeded:
            for table in statement.temporary_dropped:
                self.temporary.discard(table)
            for lock in statement.releases - {"user"}:
                self.pins.pop(lock, None)
        self.temporary.update(statement.temporary_made)
        if self.temporary:
            self.temporary.update(new for old, new in statement.renames if old in self.temporary)
        for lock in statement.locks:
            if lock in _PINS:
                self.pins[lock] = _PINS[lock]
        if statement.verb in ("PREPARE", "DEALLOCATE PREPARE"):
            self._expect_prepared(statement, succeeded, sql)
        elif statement.verb == "EXECUTE":
            self._expect_executed(statement, succeeded)
        self.tables_made += sum(self._makes_table(part) for part in statement.parts or (statement,))

    def expect_charset(self) -> None:
        """Note that the connection's character set may have changed."""
        self.unread |= {"character_set_client", "character_set_results", "collation_connection"}

    def _expect_variables(self, statement: Statement) -> None:
        names = statement.system_variables_written
        for name in names:
            if _STAY_ON_PRIMARY.match(name):
                if name in statement.system_variables_defaulted:
                    self.pins.pop(name, None)
                else:
                    self.pins[name] = f"{name} is set, and can't be set on a replica"
            elif name in TRANSACTIONAL:
                self.level_changed = self.level_changed or bool(self.status & IN_TRANSACTION)
                # A server may know it by another name than the statement.
                self.unread.add(spelt(name, self.origin.flavor))
            elif name in ("character_set_database", "collation_database"):
                self.unread.add("collation_database")  # it says all that the other would
            elif _is_kept(name):
                self.unread.add(name)
            elif name in ("last_insert_id", "identity"):
                self.rumoured = True
        if "character_set_connection" in names:
            self.unread.add("collation_connection")
        if "max_join_size" in names:
            self.unread.add("sql_big_selects")

    def _expect_user_variables(self, statement: Statement, succeeded: bool, sql: bytes) -> None:
        if succeeded and statement.kind is Kind.SESSION and len(sql) < LARGEST_VALUE:
            collation = self._values.get("collation_connection")
            if collation and "collation_connection" not in self.unread and sql.isascii():
                found = simple_assignments(sql.decode("ascii"), collation)
                if found is not None:
                    for name, value in found:
                        self.set_user_variable(name, value)
                    return
        self.unread_users |= statement.user_variables_written

    def _expect_prepared(self, statement: Statement, succeeded: bool, sql: bytes) -> None:
        name, body = statement.name or "", statement.body
        # A PREPARE that fails has dropped the one of that name, too.
        self.prepared.pop(name, None)
        self.unprepared.discard(name)
        self.asking.pop(name, None)
        self._bodies.pop(name, None)
        if succeeded and body is not None and len(self._bodies) < _MOST_PREPARED:
            self._bodies[name] = body
        if succeeded and body is not None and not body.depends.isdisjoint(ASKED):
            self.asking[name] = body.depends
        if (
            succeeded
            and body is not None
            and Kind.READ in (body.kind, body.kind_if_reading)
            and len(self.prepared) < _MOST_PREPARED
        ):
            self.prepared[name] = Prepared(sql, body, self._setting())
        elif succeeded and statement.verb == "PREPARE":
            self.unprepared.add(name)

    def _expect_executed(self, statement: Statement, succeeded: bool) -> None:
        """Note what an EXECUTE may have changed: not all of it is reported, as the role is not."""
        body = self._bodies.get(statement.name or "")
        if body is None:
            self.unread.add("role")
            return
        self.expect(body, succeeded)
        if "user" in body.locks:
            self.note_user_lock(None)

    def _setting(self) -> tuple[str | None, ...]:
        names = ("sql_mode", "character_set_client", "collation_connection")
        return (*[self._values.get(name) for name in names], self.schema)

    def _makes_table(self, statement: Statement) -> bool:
        return statement.verb in self.traits.makes_tables

    def executed(self, statement: Statement) -> Statement:
        """Return what an EXECUTE runs, if replicas may run it; else the EXECUTE itself."""
        known = self.prepared.get(statement.name or "")
        if known is None or known.setting != self._setting():
            return statement
        body = known.body
        return body._replace(
            verb="EXECUTE",
            name=statement.name,
            user_variables_read=body.user_variables_read | statement.user_variables_read,
            plain=False,
        )

    def notice(self, statement: Statement, changes: Iterable[Changes]) -> None:
        """Note that a statement did more to the session than its text tells, if it did.

        A procedure, a function or a trigger may set user variables, make temporary tables, prepare
        statements, and take a role. The server tells that something changed, and not what.
        """
        if statement.may_change_session:
            if not self.traits.reports_every_set:
                self.unread.add("*")
            if not any(change.state_changed for change in changes):
                return
        elif (
            statement.kind in (Kind.SESSION, Kind.TRANSACTION)
            or statement.temporary_made
            or statement.temporary_dropped
            or not any(change.state_changed for change in changes)
        ):
            # (A variable that is reported does not explain it: something else may have changed.)
            return
        self._doubt_all()

    def doubt_everything(self) -> None:
        """Note that nobody told what the session has set."""
        self._doubt_all()
        self.unread.add("*")

    def doubt_beginning(self, repeats: bool) -> None:
        """Note that nobody told what the session had set when it began.

        `repeats` is whether another connection would begin in the same way: then what nobody could
        list of this one is no reason not to go on there.
        """
        self.doubt_everything()
        self.hearsay = repeats

    def note_failure(self, statement: Statement) -> None:
        """Note that a statement failed, and that nobody told what it had changed before.

        It may have run a trigger, a function or a procedure.
        """
        if runs_code(statement):
            self.doubt_everything()

    def note_hearsay(self, statement: Statement) -> None:
        """Note that a statement failed, and that the server tells only of system variables.

        A trigger may have set user variables, and nothing but the error speaks for that.
        """
        if statement.may_change_session:
            self._doubt_all()
        elif not (self.unread_users or self.unlisted or self.suspect):
            self._doubt_users()
            self.suspect = self.hearsay = True
        else:
            was = self.hearsay
            self._doubt_all()
            self.hearsay = was

    def forget_hearsay(self) -> None:
        """Go on with what was known before: the connection that could tell is gone."""
        if self.rumoured:
            self.lost_ids = IDS
        self.rumoured = False
        self._checked.clear()
        if self.hearsay:
            self.unread_users.clear()
            self.unlisted = self.suspect = self.hearsay = False

    def note_told_lost(self) -> None:
        """Note that the application is told of the loss of a connection, and of its ids with it."""
        self.forget_hearsay()
        self.lost_ids = frozenset()

    def find_id(self) -> None:
        """Note that LAST_INSERT_ID() was set since a connection was lost with the one before."""
        self.lost_ids -= {"last_insert_id"}

    def lost_of(self, statement: Statement) -> frozenset[str]:
        """Return which of the ids that went with a connection a statement asks for."""
        depends = statement.depends
        if statement.verb == "EXECUTE" and (statement.name or "") in self._bodies:
            depends |= self._bodies[statement.name or ""].depends
        return depends & self.lost_ids

    def _doubt_all(self) -> None:
        self.hearsay = False
        self._doubt_users()
        self.suspect = True
        self.unprepared.update(self.prepared)
        self.prepared.clear()
        self.unread.add("role")

    def _doubt_users(self) -> None:
        self.unread_users |= self._known_users()
        self.unlisted = True

    def _known_users(self) -> set[str]:
        return {name[1:] for name in self._entries if name[0] == "@"} | self.heavy

    def note_tables_made(self, count: int) -> None:
        """Take in how many temporary tables the server says that the session asked for."""
        self.suspect = False
        if count > self.tables_made:
            self.pins["temporary"] = "a routine may have made a temporary table on the primary"

    def note_user_lock(self, taken: int | None) -> None:
        """Note that a user lock was taken (1), released (-1), or that nobody knows (None)."""
        self._user_locks = math.inf if taken is None else self._user_locks + taken
        if self._user_locks <= 0:
            self._user_locks = 0
            self.pins.pop("user", None)

    def release_user_locks(self) -> None:
        """Note that the session holds no user lock any more."""
        self._user_locks = 0
        self.pins.pop("user", None)

    @property
    def bound(self) -> str:
        """Why the session can't go on on another connection to the primary; '' if it can."""
        for name, reason in self.pins.items():
            if name not in _BINDS_WHILE_ON:
                return reason
        if self.temporary:
            return "it has temporary tables"
        if self.unprepared:
            return "it has prepared statements"
        if self.prepared:
            setting = self._setting()
            if any(known.setting != setting for known in self.prepared.values()):
                return "it has statements that were prepared under other settings"
        in_doubt = self.unread_users or self.unlisted or self.suspect
        if self.unread or self.heavy or (in_doubt and not self.hearsay):
            return "what it has set is not known"
        return ""

    @property
    def is_unsettled(self) -> bool:
        """Whether the primary's connection knows more of the session than the session does.

        Not where the session can't do without that connection anyway.
        """
        return bool(self.unread or self.unread_users or self.suspect) and all(
            name in _BINDS_WHILE_ON for name in self.pins
        )

    @property
    def asks_tables(self) -> bool:
        """Whether what is in doubt is found in tables of the server's own."""
        return self.suspect or "*" in self.unread

    @property
    def leaves_traces(self) -> bool:
        """Whether resetting a connection would not undo all of it: the active roles stay.

        Nor do MariaDB's replicas always hear that a reset has dropped temporary tables. Theirs then
        take what the next session of that connection writes to tables of these names.
        """
        return (
            bool(self.pins or self.temporary)
            or "role" in self._entries
            or bool(self.unread & {"role", "*"})
        )

    @property
    def holds_nothing(self) -> bool:
        """Whether the session has done nothing that others may wait for but what its status tells.

        Nothing but reads, and what sets variables, ran since it began.
        """
        return not (
            self.rumoured
            or self.suspect
            or self.unlisted
            or self.unread
            or self.pins
            or self.temporary
            or self.prepared
            or self.unprepared
        )

    def restored(self) -> list[str | bytes]:
        """Return the statements that make a new connection to the primary this session."""
        of_primary = [self._of_primary[name] for name in sorted(self._of_primary)]
        return [
            *self.difference(0)[0],
            *([f"SET {','.join(of_primary)}"] if of_primary else []),
            *[known.sql for known in self.prepared.values()],
        ]

    # What has to be asked.

    def doubts(self, statement: Statement) -> bool:
        """Tell whether the primary must be asked something before a replica may run a read."""
        return bool(
            self.unread
            or self.suspect
            or ((statement.user_variables_read or statement.functions) and self.names_of(statement))
        )

    def names_of(self, statement: Statement) -> set[str]:
        """Return the user variables that a statement may read and that are not known."""
        names = {*statement.user_variables_read}
        missing = names & self.unread_users
        if self.unlisted:
            missing |= {n for n in names if f"@{n}" not in self._entries and n not in self.heavy}
        if statement.functions:
            names |= self._known_users()
            missing |= self.unread_users
        if self.rumoured:
            missing |= names - self._checked
        return missing

    def known_variables(self) -> list[str]:
        """Return the names of the system variables that the session has entries for."""
        others = ("schema", "role")
        return [name for name in self._entries if name[0] != "@" and name not in others]

    # Bringing a member up to date.

    def difference(self, version: int) -> tuple[list[str], bool]:
        """Return the statements that bring a member from `version` to the session's state.

        The second value tells whether the member must confirm them before it is sent anything
        escaped by this session.
        """
        start = self._start
        if not version and start is not None and start.version == self.version:
            return start.difference, True
        assignments: list[str] = []
        last: list[str] = []
        others: list[str] = []
        confirm = False
        for name, (changed, sql) in self._entries.items():
            if changed <= version:
                continue
            confirm = confirm or name in _ESCAPING
            if name in ("schema", "role"):
                others.append(sql)
            else:
                # Setting a character set resets the collation.
                (last if name == "collation_connection" else assignments).append(sql)
        # One SET is all or nothing.
        assignments += last
        return ([f"SET {','.join(assignments)}"] if assignments else []) + others, confirm

    def binds(self, statement: Statement) -> str | None:
        """Tell why a read that may be bound must stay on the primary, or None."""
        for reason in self.pins.values():
            return reason
        if self.temporary and self._names_temporary(statement):
            return "it names a temporary table, which only the primary has"
        if self.temporary and statement.functions:
            return f"{min(statement.functions)}() may read a temporary table of the session"
        if statement.functions and (self.unlisted or self.heavy):
            name = min(statement.functions)
            return f"{name}() may read a user variable that only the primary has"
        if self.sets_globals and statement.system_variables_read:
            return "it reads system variables, and the session has set some of the primary alone"
        heavy = statement.user_variables_read & self.heavy
        if heavy:
            return f"@{min(heavy)} is too large to be brought to a replica"
        return None

    def is_free(self, must_see: bool) -> bool:
        """Tell whether nothing binds a plain read, and nothing has to be asked or waited for.

        `must_see` is whether the reads must see the session's position.
        """
        return (
            not self.pins
            and not self.temporary
            and not self.sets_globals
            and not self.unread
            and not self.suspect
            and not self.next_transaction
            and self.status & (IN_TRANSACTION | AUTOCOMMIT) == AUTOCOMMIT
            and (
                not must_see
                or (self.position_known and not self._committed and self._position is self.origin)
            )
        )

    def _names_temporary(self, statement: Statement) -> bool:
        names = {table.name.lower() for table in self.temporary}
        return any(table.name.lower() in names for table in statement.tables)


@lru_cache(maxsize=256)
def _begun(flavor: str, schema: str | None, charset: str, told: Values) -> Start:
    state = State(empty(flavor), schema)
    state.set_schema(schema)
    state.set_variable("character_set_client", charset)
    for name, value in told.items():
        state.set_variable(name, value)
    difference, _ = state.difference(0)
    return Start(
        state._entries, state._values, state.pins, state._of_primary, state.version, difference
    )


def _assignment(name: str, value: object) -> str:
    return f"@@SESSION.{quote_identifier(name)}={literal(value)}"


def _is_kept(name: str) -> bool:
    """Tell whether what a variable is must be known, whatever it was set for."""
    if name in TRANSACTIONAL or not _NEVER_REPLAYED.match(name):
        return True
    return name != "collation_database" and _OF_PRIMARY.match(name) is not None


def begins_with(name: str) -> bool:
    """Tell whether a session can begin with a value of this variable, on every member."""
    return name in TRANSACTIONAL or not _NEVER_REPLAYED.match(name)


def can_write(statement: Statement) -> bool:
    """Tell whether an error of this statement may come behind a commit."""
    return statement.may_write or statement.kind in (Kind.WRITE, Kind.UNKNOWN)


def changes_globals(statement: Statement) -> bool:
    """Tell whether what connections begin with may be another after it: SET GLOBAL and its like."""
    return any(part.verb == "SET" and part.may_write for part in statement.parts or (statement,))


def runs_code(statement: Statement) -> bool:
    """Tell whether a trigger, a function or a procedure may run with this statement."""
    return statement.may_change_session or statement.kind in (Kind.WRITE, Kind.UNKNOWN)


def can_commit(statement: Statement) -> bool:
    """Tell whether a transaction may be committed by this statement, now or at its end."""
    return can_write(statement) or statement.kind is Kind.TRANSACTION or statement.implicit_commit
