"""What a driver offers to those above it: connections, replies, faults with a kind. Pure.

A driver's own errors never come here. A `Fault` carries one along (`original`), for the application
to get in the end; what is decided, is decided by its kind and number. Numbers come first, classes
second: drivers do not agree on those.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, Flag, auto
from typing import Any, Protocol

from .failure import FULL, is_read_only, refuses_account
from .numbers import BAD_DB, HOST_IS_BLOCKED, HOST_NOT_PRIVILEGED, NOT_SUPPORTED_YET

__all__ = [
    "Capability",
    "Connection",
    "Fault",
    "Kind",
    "Member",
    "Reply",
    "UnknownOutcome",
    "kind_of",
    "raise_first",
    "unsupported",
    "unusable",
]


class Capability(Flag):
    """What a driver can tell and do; what it lacks costs a round trip or the primary."""

    TRACKS_WRITES = auto()
    """Answers without rows tell what they changed in the session. Without it nothing is split."""
    TRACKS_READS = auto()
    """So do answers with rows. Without it, statements that may have changed anything are doubted,
    and asked about; replicas do not tell where they are."""
    PIPELINES = auto()
    """Several statements go in one round trip."""
    RAW_ROWS = auto()
    """The rows of two answers can be compared. Without it, transactions run on the primary."""
    HANDS_OVER = auto()
    """A closed connection's wire is kept for the next one."""

    @classmethod
    def all(cls) -> Capability:
        """Return what there is."""
        return ~cls(0)


class Kind(Enum):
    """What a fault means for the connection and its server."""

    LOST = "lost"
    """The connection is gone."""
    STALE = "stale"
    """A wire that was used before can't be used again: nobody has seen what ran there."""
    FULL = "full"
    """The server has no room for one more connection."""
    DENIED = "denied"
    """The server does not let this account in, or not so."""
    BARRED = "barred"
    """The server lets in nobody from here."""
    READ_ONLY = "read-only"
    """The server, or the transaction, can't be written to: nothing happened there."""
    NO_SCHEMA = "no schema"
    """There is no such schema."""
    OTHER = "other"
    """It is about the statement."""
    UNSUPPORTED = "unsupported"
    """rwsplit does not do this."""
    WRONG = "wrong"
    """The application's text is none that there can be."""


class Fault(Exception):  # noqa: N818 - a fault is not of rwsplit
    """What a server, or the way to it, answered instead of a result.

    :param original: the driver's own error; None for one that rwsplit makes, which the application
        gets as an error of this number and text: an OperationalError, an InterfaceError where the
        number is 0, or what the kind says.
    :param state: the SQLSTATE of one that rwsplit makes.
    """

    def __init__(
        self,
        number: int,
        text: str,
        kind: Kind = Kind.OTHER,
        original: Exception | None = None,
        state: str | None = None,
    ) -> None:
        super().__init__(number, text)
        self.number = number
        self.text = text
        self.kind = kind
        self.original = original
        self.state = state

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self.kind is Kind.LOST

    def bare(self) -> Fault:
        """Return it without the frames that it came through, which would hold who holds it."""
        if self.original is not None:
            self.original.with_traceback(None)
        return self.with_traceback(None)


class UnknownOutcome(Fault):
    """A statement that commits was sent to the primary, and the answer was lost.

    :param endpoint: the name of the primary that it was sent to.
    :param position: what the session had committed or seen before, where known.
    """

    def __init__(self, number: int, text: str, endpoint: str, position: str | None) -> None:
        super().__init__(number, text, Kind.LOST)
        self.endpoint = endpoint
        self.position = position


def unusable(text: str = "") -> Fault:
    """Return the fault of a connection that can't be used; without a text, of a closed one."""
    return Fault(0, text, Kind.LOST)


def unsupported(text: str) -> Fault:
    """Return the fault of what rwsplit does not do."""
    return Fault(NOT_SUPPORTED_YET, text, Kind.UNSUPPORTED)


def raise_first(replies: Sequence[Any]) -> None:
    """Raise the first fault among replies, if there is one."""
    for reply in replies:
        if isinstance(reply, Fault):
            raise reply


class Reply(Protocol):
    """What a statement was answered with."""

    rows: Sequence[Sequence[Any]]
    fields: Any
    field_count: int
    affected_rows: int
    warning_count: int | None
    server_status: int | None
    has_next: Any
    unbuffered_active: bool


class Connection(Protocol):
    """One connection to one server, as flows see it: nothing of it waits for the server."""

    flavor: str
    offers: Capability
    """What its driver can."""
    follows: str
    """The system variables whose reports the driver goes by itself, as a server takes them."""
    tracks: bool
    """Its server tells what statements change."""
    server_status: int
    tails: list[bytes]
    """What the server reported, and nobody has read yet."""
    encoding: str
    max_packet: int
    due: int
    writes: int
    warnings: int

    @property
    def open(self) -> bool:
        """Whether there is a wire, so far as was seen."""

    @property
    def tells(self) -> bool:
        """Whether the last answer told all that its statement has changed."""

    @property
    def is_closed(self) -> bool:
        """Whether the application has closed it."""

    @property
    def result(self) -> Any:
        """What the last statement answered; None for nothing."""

    @property
    def is_reading(self) -> bool:
        """Whether rows or results of the last statement are still to come."""

    @property
    def read_timeout(self) -> float | None:
        """How many seconds an answer may take; None for as long as it likes."""

    @property
    def has_foreign_socket(self) -> bool:
        """Whether its socket was made by the application, so that nobody can make another."""

    @property
    def escapes_plainly(self) -> bool:
        """Whether parameters are escaped by the driver's own rules, backslashes and all."""

    def note_closed_transaction(self) -> None:
        """Note that no transaction is open there any more."""

    def has_ended(self) -> bool:
        """Tell, without waiting, whether the server has closed it."""


class Member(Protocol):
    """One of a session's connections, and what its server has of the session."""

    name: str
    role: str
    version: int
    asked: bool
    prepared: dict[str, Any]
    replica: Any
    known_routes: dict[Any, Any]
    """By reason, the routes of statements that ran here without waiting."""

    @property
    def connection(self) -> Connection:
        """What leads to its server."""

    def taken(self, reason: Any, waited: float = 0.0, retries: int = 0) -> Any:
        """Return the route of a statement that ran here."""

    def brought(self, version: int) -> None:
        """Note that it has the session's state of this version."""

    def note_asked(self, asked: bool = True) -> None:
        """Note whether a question of ours ran behind what FOUND_ROWS() counts."""

    def note_prepared(self, name: str, prepared: Any) -> None:
        """Note a prepared statement that it has."""

    def rename(self, name: str) -> None:
        """Note that it leads to another server by now."""


def kind_of(number: Any, text: str) -> Kind:
    """Tell the kind of a server's error by its number; LOST is for the driver to tell.

    >>> kind_of(1040, "Too many connections"), kind_of(1146, "no such table")
    (<Kind.FULL: 'full'>, <Kind.OTHER: 'other'>)
    """
    if number == BAD_DB:
        return Kind.NO_SCHEMA
    if refuses_account(number):
        return Kind.DENIED
    if number in FULL:
        return Kind.FULL
    if number in (HOST_IS_BLOCKED, HOST_NOT_PRIVILEGED):
        return Kind.BARRED
    return Kind.READ_ONLY if is_read_only(number, text) else Kind.OTHER
