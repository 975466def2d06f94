"""Why a statement runs where it runs: in words, and as one of a few causes. Values only.

The words name what was met; programs compare and count the cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

__all__ = [
    "ASIDE",
    "ONLY_ASKED",
    "RESERVED",
    "UNTOLD",
    "Cause",
    "Reason",
    "none_usable",
    "not_split",
]


class Cause(StrEnum):
    """Why a statement ran where it ran: `cursor.route.cause`."""

    # Of the statement.
    READ = "read"
    """A read: any replica that has what it must see may answer it."""
    WRITE = "write"
    """It changes data, files or servers, or may."""
    LOCK = "lock"
    """It takes or releases a lock: of rows, of tables, or by name."""
    SESSION = "session"
    """It changes the session, and the primary's answer is the one that counts."""
    TRANSACTION = "transaction"
    """It begins, marks or ends a transaction."""
    FOLLOWS = "follows"
    """It asks about the statement before, so it went where that one ran."""
    PRIMARY_ONLY = "primary_only"
    """Only the primary, or the connection to it, has the right answer."""
    FUNCTION = "function"
    """It calls a function that is not known only to read."""
    NOT_UNDERSTOOD = "not_understood"
    """It is not understood, so it may be anything."""
    ANSWERED = "answered"
    """rwsplit answered it: no server needs to run it yet, or at all."""

    # Of the session and its transaction.
    IN_TRANSACTION = "in_transaction"
    """It belongs to a transaction on the primary: an open one, or one that begins with it."""
    BOUND = "bound"
    """The session has what only the primary's connection has: a temporary table, a lock, a value
    that cannot be brought to a replica."""
    UNVERIFIABLE = "unverifiable"
    """What its transaction reads could not be repeated and compared on the primary."""
    SNAPSHOT = "snapshot"
    """The snapshot of its transaction on a replica was lost, has ended, or cannot serve it."""
    HABIT = "habit"
    """Transactions that begin so usually go on to write, or the last one had to be repeated."""

    # Of the settings.
    DRIVER = "driver"
    """Its driver, or its server, does not tell what a statement changes in the session."""
    SWITCHED_OFF = "switched_off"
    """Splitting is switched off, by a keyword, a policy or the environment."""
    NO_REPLICAS = "no_replicas"
    """No replicas are known of."""
    HINT = "hint"
    """A hint in the statement asks for the primary."""
    SHARE = "share"
    """It is of the part of the reads that the primary is to serve."""

    # Of the servers.
    NOT_CAUGHT_UP = "not_caught_up"
    """No replica has what the read must see, or had it in time."""
    UNREACHABLE = "unreachable"
    """No replica that it may use can be reached."""
    UNFIT = "unfit"
    """The replicas can be reached, and must serve nobody now."""
    NO_GTIDS = "no_gtids"
    """The primary has no GTIDs, so nobody can tell which replica has caught up."""
    PRIMARY_AWAY = "primary_away"
    """Only the primary could say what the read must see, and it could not be asked."""
    REPLICA_ERROR = "replica_error"
    """A replica answered with an error, and the primary's answer is the one that counts."""
    REFUSED = "refused"
    """A replica refused it as a write: it was taken for a read, and is none."""
    TOO_LARGE = "too_large"
    """It is longer than the replicas, or the primary, take a statement."""
    STORE = "store"
    """Others of the session id are writing, or its store cannot be asked."""


class Reason(str):
    """A reason in words, and its cause.

    >>> reason = Reason("FOR UPDATE locks rows", Cause.LOCK)
    >>> reason.reworded(f"EXPLAIN of {reason}").cause
    <Cause.LOCK: 'lock'>
    """

    __slots__ = ("cause",)

    cause: Cause

    def __new__(cls, text: str, cause: Cause) -> Reason:
        """Give a text its cause."""
        reason = super().__new__(cls, text)
        reason.cause = cause
        return reason

    def __getnewargs__(self) -> tuple[str, Cause]:  # type: ignore[override]
        """Be copied and pickled with the cause."""
        return str(self), self.cause

    def reworded(self, text: str) -> Reason:
        """Return the same cause in other words."""
        return Reason(text, self.cause)


ASIDE = "left aside by this session"
"""The state of a replica that met an error with this session, and may serve others."""
ONLY_ASKED = Reason("reads='primary' switches splitting off", Cause.SWITCHED_OFF)
"""The connection's own keyword asks for the primary; a block of code may choose otherwise."""
RESERVED = "not for this read"
"""The state of a replica that has no weight, or serves nothing but what a rule sends to it."""


def not_split(
    has_replicas: bool, reads: str, by_environment: bool, disabled: bool
) -> Reason | None:
    """Tell why the reads of a connection all run on the primary; None if they do not.

    :param reads: the keyword; where `by_environment`, RWSPLIT_READS says so.
    :param disabled: whether the session's policy is `disable`.
    """
    if not has_replicas:
        return Reason("no replicas are known of", Cause.NO_REPLICAS)
    if by_environment:
        return Reason("RWSPLIT_READS=primary switches splitting off", Cause.SWITCHED_OFF)
    if disabled:
        return Reason("the policy is 'disable'", Cause.SWITCHED_OFF)
    if reads == "primary":
        return ONLY_ASKED
    return None


UNTOLD = Reason(
    "its driver or server does not tell what a statement changes in the session", Cause.DRIVER
)


def none_usable(states: Mapping[str, str]) -> Reason:
    """Tell why none of these replicas may be asked, from the word that each has for its state."""
    if not states:
        return Reason("no replicas are known of", Cause.NO_REPLICAS)
    said = ", ".join(f"{name} is {state}" for name, state in sorted(states.items()))
    if set(states.values()) == {"resting"}:
        cause = Cause.UNREACHABLE
    elif set(states.values()) == {ASIDE}:
        cause = Cause.REPLICA_ERROR
    else:
        cause = Cause.UNFIT
    return Reason(f"no replica may be asked: {said}", cause)
