"""What a member's server is told to track, by flavor: SQL, and no more.

On the primary everything that a statement changes is wanted; on a replica whether a read changed
anything, as one does whose view calls a function that sets a variable, and on MySQL where the
replica is: the last packet of every read tells it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from ..sql.values import literal
from ..wire import Fault

__all__ = [
    "SET_UP_PRIMARY",
    "TRACK_PRIMARY",
    "UNTOLD",
    "ask_tracking",
    "check",
    "default_tracking",
    "own",
    "track_replica",
]

TRACK_PRIMARY = {
    "mysql": (
        "SET SESSION session_track_gtids='OWN_GTID'",
        "SET SESSION session_track_system_variables='*',session_track_schema=1,"
        "session_track_state_change=1,session_track_transaction_info='CHARACTERISTICS'",
    ),
    "mariadb": (
        "SET SESSION session_track_system_variables='*',session_track_schema=1,"
        "session_track_state_change=1,session_track_transaction_info='CHARACTERISTICS'",
    ),
}
SET_UP_PRIMARY = {
    flavor: "SET SESSION " + ",".join([sql.removeprefix("SET SESSION ") for sql in statements])
    for flavor, statements in TRACK_PRIMARY.items()
}
"""The same in one, for a session in which no transaction can be open."""
_TRACK_REPLICA = {
    "mysql": "SET SESSION session_track_gtids='ALL_GTIDS',session_track_system_variables={},"
    "session_track_schema=0,session_track_state_change=1",
    "mariadb": "SET SESSION session_track_system_variables={},session_track_schema=0,"
    "session_track_state_change=1",
}
UNTOLD = "SET SESSION session_track_gtids='OFF'"
"""Leaves MySQL's replicas as silent about their position as MariaDB's are."""
_TRACKING = {
    "mysql": ("gtids", "system_variables", "schema", "state_change", "transaction_info"),
    "mariadb": ("system_variables", "schema", "state_change", "transaction_info"),
}
_IN_TRANSACTION = 1766
"""MySQL does not let session_track_gtids change in a transaction; so it did not."""


def track_replica(flavor: str, follows: str) -> str:
    """Return what a replica is told; `follows` are system variables that the driver goes by."""
    return _TRACK_REPLICA[flavor].format(literal(follows))


@cache
def default_tracking(flavor: str) -> Sequence[str]:
    """Return statements that give a connection the tracking that it would have without us."""
    return tuple([f"SET SESSION session_track_{name}=DEFAULT" for name in _TRACKING[flavor]])


def ask_tracking(flavor: str) -> list[str]:
    """Return what asks for the tracking that a connection has, and sets our own again."""
    columns = ",".join([f"CAST(@@SESSION.{name} AS BINARY)" for name in _names(flavor)])
    return [f"SELECT {columns} LIMIT 1", *TRACK_PRIMARY[flavor]]


def own(
    flavor: str, replies: Sequence[Any], before: Sequence[str], written: Collection[str]
) -> list[str]:
    """Return statements that bring back the tracking that the application has set.

    What it has just `written` is as `ask_tracking` found it, all else as `before`: what the
    connection has of that is ours. Raises the fault of one that failed.
    """
    check(replies)
    values = [literal(_text(value)) for value in replies[0].rows[0]]
    return [
        f"SET SESSION {name}={value}" if name in written else kept
        for name, value, kept in zip(_names(flavor), values, before, strict=True)
    ]


def check(replies: Sequence[Any]) -> None:
    """Raise the fault of an answer to `ask_tracking` that counts."""
    for reply in replies:
        if isinstance(reply, Fault) and reply.number != _IN_TRANSACTION:
            raise reply


def _names(flavor: str) -> list[str]:
    return [f"session_track_{name}" for name in _TRACKING[flavor]]


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
