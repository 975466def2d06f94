"""What is known of one piece of SQL text: its kind, its effects, and why. Values only."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from ..cause import Cause, Reason

__all__ = ["Hint", "Kind", "Statement", "TableName", "because", "changes_rows_alone"]


class Kind(StrEnum):
    """Where a statement belongs."""

    READ = "read"
    """Any member that has the session's state and is caught up may answer it."""
    PRIMARY_READ = "primary_read"
    """Changes no data, but only the primary's answer is the right one."""
    FOLLOW_READ = "follow_read"
    """Asks about the statement before it: belongs to the member that ran that one."""
    WRITE = "write"
    """Changes data, files or servers, or may."""
    SESSION = "session"
    """Changes the state of the session: SET, USE, PREPARE."""
    TRANSACTION = "transaction"
    """Begins, ends or marks a transaction."""
    UNKNOWN = "unknown"
    """Not understood: the primary."""


_CAUSES = {
    Kind.READ: Cause.READ,
    Kind.PRIMARY_READ: Cause.PRIMARY_ONLY,
    Kind.FOLLOW_READ: Cause.FOLLOWS,
    Kind.WRITE: Cause.WRITE,
    Kind.SESSION: Cause.SESSION,
    Kind.TRANSACTION: Cause.TRANSACTION,
    Kind.UNKNOWN: Cause.NOT_UNDERSTOOD,
}


def because(kind: Kind, text: str, cause: Cause | None = None) -> Reason:
    """Return a reason for a kind; what is said without a cause has the one of its kind."""
    if isinstance(text, Reason):
        return text
    return Reason(text, cause or _CAUSES[kind])


class TableName(NamedTuple):
    """A table as the text names it; `database` is None where the text has none."""

    database: str | None
    name: str

    def __str__(self) -> str:
        return self.name if self.database is None else f"{self.database}.{self.name}"


class Hint(NamedTuple):
    """What a comment in the statement asks for. None is: says nothing about it."""

    route: str | None = None
    """`primary` or `replica`."""
    replica: str | None = None
    """The name of one replica (`replica=NAME`); `route` is then `replica`."""
    consistency: str | None = None
    max_staleness: float | None = None
    """Seconds."""

    def under(self, closer: Hint | None) -> Hint:
        """Return what is asked for where another hint, closer to the statement, goes before."""
        if closer is None:
            return self
        asks = self if closer.route is None else closer
        staleness = self.max_staleness if closer.max_staleness is None else closer.max_staleness
        return Hint(asks.route, asks.replica, closer.consistency or self.consistency, staleness)


class Statement(NamedTuple):
    """One SQL text, classified. Equal texts under one dialect give equal statements."""

    kind: Kind
    reason: Reason
    """In words, with its cause; names the token that decided."""
    verb: str = ""
    """The leading words, upper case: `SELECT`, `START TRANSACTION`, `CREATE TEMPORARY TABLE`."""
    tables: tuple[TableName, ...] = ()
    databases: tuple[str, ...] = ()
    user_variables_read: frozenset[str] = frozenset()
    """Lower case, without the @: the server does not tell @A from @a."""
    user_variables_written: frozenset[str] = frozenset()
    system_variables_read: frozenset[str] = frozenset()
    system_variables_written: frozenset[str] = frozenset()
    """Of the session; SET GLOBAL and SET PERSIST are not here."""
    system_variables_defaulted: frozenset[str] = frozenset()
    """Those of them that are set to DEFAULT."""
    system_variables_lent: frozenset[str] = frozenset()
    """Those that are set for this statement alone."""
    locks: frozenset[str] = frozenset()
    """What it acquires: `rows`, `tables`, `user`, `handler`, `instance`, `xa`."""
    releases: frozenset[str] = frozenset()
    temporary_made: tuple[TableName, ...] = ()
    temporary_dropped: tuple[TableName, ...] = ()
    """Tables dropped, which end a temporary table if the session has one of that name."""
    renames: tuple[tuple[TableName, TableName], ...] = ()
    """Tables renamed (from, to): a temporary table may be among them."""
    functions: frozenset[str] = frozenset()
    """Stored functions that it calls or may call: no known built-in has that name."""
    kind_if_reading: Kind | None = None
    """The kind, once each of `functions` is known only to read; None if they are not what
    decides it."""
    depends: frozenset[str] = frozenset()
    """What of the connection's own state the answer depends on: `last_insert_id`, ..."""
    transaction: str | None = None
    """What it does to the transaction, for kind transaction: `begin read only`, `commit chain`."""
    implicit_commit: bool = False
    """It commits, or may commit, the open transaction by the way."""
    may_change_session: bool = False
    """Anything of the session's state may be another after it."""
    volatile: bool = False
    """Two runs may differ on the same data: NOW(), RAND(), UUID()."""
    may_write: bool = False
    """It may commit a transaction, or fail after it has: the position is unknown on an error."""
    hint: Hint | None = None
    foreign_hints: tuple[str, ...] = ()
    """Comments of MaxScale and ProxySQL, normalised (`maxscale route to master`,
    `hostgroup=1`); the configuration may map them."""
    bad_hint: str | None = None
    """A hint that could not be understood; no hint was taken from it."""
    name: str | None = None
    """What it is about, if that is neither table nor database: a prepared statement,
    a savepoint, a stored routine."""
    body: Statement | None = None
    """What a PREPARE with a literal text would run."""
    controls: bool = False
    """It may be about rwsplit's own variables: see `controls`."""
    counts: bool | None = None
    """Whether FOUND_ROWS() is about a write behind it; None where the text does not tell."""
    parts: tuple[Statement, ...] = ()
    """The statements of a multi-statement text."""
    plain: bool = False
    """A read without a hint, one that was not understood included, without user variables, and
    without functions that the catalogue would have to tell of."""
    usual: bool = False
    """A write that changes rows, and nothing of its session that the server would not tell: see
    `changes_rows_alone`."""

    @property
    def cause(self) -> Cause:
        """Why it belongs there, as one of a few."""
        return self.reason.cause


_OF_ROWS = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE"})


def changes_rows_alone(statement: Statement) -> bool:
    """Tell whether a write changes rows, and nothing of its session that would not be told.

    A trigger of the table may do more: the server tells that something changed.
    """
    return (
        statement.kind is Kind.WRITE
        and statement.verb in _OF_ROWS
        and not (
            statement.functions
            or statement.depends
            or statement.locks
            or statement.releases
            or statement.user_variables_written
            or statement.system_variables_written
            or statement.system_variables_lent
            or statement.temporary_made
            or statement.temporary_dropped
            or statement.renames
            or statement.implicit_commit
            or statement.may_change_session
            or statement.parts
        )
    )
