"""What an error that a replica gave to a read means for the read. Pure.

The primary's answer is the one that counts, so hardly any error of a replica is the application's.
"""

from __future__ import annotations

from enum import Enum

from .numbers import QUERY_INTERRUPTED, QUERY_TIMEOUT, READ_ONLY_TRANSACTION

__all__ = [
    "FULL",
    "Meaning",
    "is_read_only",
    "may_end_transaction",
    "meaning",
    "refuses_account",
    "was_killed",
]


class Meaning(Enum):
    """What an error of a replica means for the read that met it."""

    OVER = "over"
    """Its owner or an administrator has ended it, or its own time is over: it is not run again."""
    REFUSED = "refused"
    """It is none: the replica refused it as a write."""
    ASK_PRIMARY = "ask the primary"
    """The primary may answer otherwise."""


_OUT_OF_TIME = frozenset({1969, QUERY_TIMEOUT})
"""MariaDB's max_statement_time and MySQL's max_execution_time are over."""
_OPTION_PREVENTS = 1290
_READ_ONLY_SERVER = frozenset({1836, 1874})
"""ER_READ_ONLY_MODE and ER_INNODB_READ_ONLY: innodb_read_only, and replicas of hosts."""
_KILLED = frozenset({1053, 1927, 3169})
"""MySQL tells of a KILL as it does of its own end."""

_ENDS = frozenset({1020, 1205, 1213})
"""A row that has changed (MariaDB, innodb_snapshot_isolation), a wait for a lock that took too long
(innodb_rollback_on_timeout), and a deadlock."""

FULL = frozenset({1040, 1203, 1226})
"""A server, or what it lets one account have, has no room for one more connection; those that are
open work."""

_ACCOUNT = frozenset(
    {1044, 1045, 1698}  # no such account or password, no right to the schema
    | {1203, 1226}  # the account has as many connections as it may
    | {1251, 1524, 2059, 2061}  # a way to authenticate that one of both has not
    | {1820, 1862, 3118, 3955, 4151}  # the password is too old, the account is locked
    | {2026, 3159}  # TLS is wanted, and not there
)


def meaning(code: object, text: str, has_own_limit: bool) -> Meaning:
    """Tell what an error means that a replica gave to a read, on a connection that works.

    `has_own_limit` is whether the statement, or its session, says how long it may run.

    >>> meaning(1146, "Table 'shop.t' doesn't exist", False), meaning(3024, "", True)
    (<Meaning.ASK_PRIMARY: 'ask the primary'>, <Meaning.OVER: 'over'>)
    """
    if code == QUERY_INTERRUPTED or (code in _OUT_OF_TIME and has_own_limit):
        return Meaning.OVER
    if code == READ_ONLY_TRANSACTION or is_read_only(code, text):
        return Meaning.REFUSED
    return Meaning.ASK_PRIMARY


def is_read_only(code: object, text: str) -> bool:
    """Tell whether a server says that it can't be written to: nothing happened there.

    >>> is_read_only(1290, "running with the --read-only option"), is_read_only(1836, "")
    (True, True)
    """
    if code == _OPTION_PREVENTS:
        return "read-only" in text or "read_only" in text
    return code in _READ_ONLY_SERVER


def was_killed(code: object) -> bool:
    """Tell whether an error says that somebody has killed the connection."""
    return code in _KILLED


def may_end_transaction(code: object) -> bool:
    """Tell whether a server may have rolled back the whole transaction with this error.

    No error tells what is open behind it; the next answer does.
    """
    return code in _ENDS


def refuses_account(code: object) -> bool:
    """Tell whether a server that answers with this has let in one account not, or its keywords.

    That is no reason to leave it alone for others.
    """
    return code in _ACCOUNT
