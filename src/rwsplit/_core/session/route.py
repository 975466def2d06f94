"""Where one statement goes. Pure: no I/O, no clock, no dice."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from ..cause import Cause, Reason
from ..sql.following import shows_data
from ..sql.statement import Kind, Statement
from .state import AUTOCOMMIT, IN_TRANSACTION, State

__all__ = ["OPEN", "Destination", "Route", "RouteTaken", "route"]


LEVELS = ("eventual", "session", "global")
"""The consistency levels, the weakest first."""


class Destination(Enum):
    """The three places where a statement can run."""

    PRIMARY = "primary"
    REPLICA = "replica"
    LAST = "last"
    """The member that ran the statement before."""


class Route(NamedTuple):
    """The decision for one statement."""

    destination: Destination
    reason: Reason
    consistency: str = "session"
    endpoint: str | None = None
    """The one replica that a hint asks for."""
    prepared: str | None = None
    """The prepared statement that it executes."""
    max_staleness: float | None = None
    """How old, in seconds, what it sees may be."""
    shows_data: bool = True
    """Its answer may show what others wrote, so the next read must not show less."""
    sees_commits: bool = False
    """It reads in a snapshot that shows what was committed since it was opened, or may do so."""
    group: str | None = None
    """The group of replicas that a rule sends it to."""


class RouteTaken(NamedTuple):
    """What became of one statement: `cursor.route` and `connection.route`."""

    endpoint: str
    """The name of the endpoint that answered."""
    role: str
    reason: Reason
    """Why it ran there, in words."""
    waited: float = 0.0
    """Seconds spent waiting for a replica to catch up."""
    retries: int = 0
    """Members that were tried before the one that answered."""

    @property
    def cause(self) -> Cause:
        """Why it ran there, as one of a few."""
        return self.reason.cause

    def __str__(self) -> str:
        extra = f", waited {self.waited * 1000:.1f} ms" if self.waited else ""
        if self.retries:
            extra += f", {self.retries} tried before"
        return f"{self.role} {self.endpoint} ({self.reason}{extra})"


OPEN = Reason("a transaction is open on the primary", Cause.IN_TRANSACTION)
_AUTOCOMMIT_OFF = Reason(
    "autocommit is off, so it belongs to the primary's next transaction", Cause.IN_TRANSACTION
)
_SET_TRANSACTION = Reason("SET TRANSACTION was for this statement", Cause.IN_TRANSACTION)
_HINT = Reason("a hint asks for the primary", Cause.HINT)

_PRIMARY = Destination.PRIMARY
_REPLICA = Destination.REPLICA
_READ = Kind.READ
_FOLLOW_READ = Kind.FOLLOW_READ


def route(
    statement: Statement,
    session: State,
    consistency: str,
    max_staleness: float | None = None,
    in_snapshot: bool = False,
) -> Route:
    """Decide where a statement of this session goes, under this consistency level.

    `in_snapshot` is whether it may read in a transaction of its own on a replica.
    """
    if statement.kind is not _READ:
        if statement.kind is _FOLLOW_READ:
            return Route(Destination.LAST, statement.reason)
        return Route(_PRIMARY, statement.reason)
    if session.status & IN_TRANSACTION:
        return Route(_PRIMARY, OPEN)
    if in_snapshot:
        pass
    elif not session.status & AUTOCOMMIT:
        return Route(_PRIMARY, _AUTOCOMMIT_OFF)
    elif session.next_transaction:
        return Route(_PRIMARY, _SET_TRANSACTION)
    if (
        session.pins
        or session.temporary
        or statement.functions
        or session.sets_globals
        or (session.heavy and statement.user_variables_read)
    ):
        bound = session.binds(statement)
        if bound:
            return Route(_PRIMARY, Reason(bound, Cause.BOUND))
    endpoint = None
    hint = statement.hint
    if hint is not None:
        if hint.route == "primary":
            return Route(_PRIMARY, _HINT)
        consistency = hint.consistency or consistency
        endpoint = hint.replica
        if hint.max_staleness is not None:
            max_staleness = hint.max_staleness
    return Route(
        _REPLICA,
        statement.reason,
        consistency,
        endpoint,
        statement.name if statement.verb == "EXECUTE" else None,
        max_staleness,
        shows_data(statement),
    )
