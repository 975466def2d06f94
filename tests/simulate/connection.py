"""A driver's connections in the simulation, and the members that virtual connections hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rwsplit._core.cause import Reason
from rwsplit._core.cluster.server import Server
from rwsplit._core.session.route import RouteTaken
from rwsplit._core.session.state import AUTOCOMMIT
from rwsplit._core.sql.fingerprint import Fingerprint
from rwsplit._core.wire import Capability, Fault

from .replies import Reply
from .wire import Wire

if TYPE_CHECKING:
    from .cluster import Cluster

__all__ = ["Connection", "Hold", "Member", "Members"]


class Connection:
    """A driver's connection: see `rwsplit._core.wire`."""

    tracks = tells = True
    offers = Capability.all()
    follows = ""
    encoding = "utf8"
    max_packet = 1 << 24
    due = 0
    warnings = 0
    is_closed = False
    has_foreign_socket = False
    escapes_plainly = True

    def __init__(self, flavor: str, read_timeout: float | None = None) -> None:
        self.flavor = flavor
        self.read_timeout = read_timeout
        self.wire: Wire | None = None
        self.server_status = AUTOCOMMIT
        self.tails: list[bytes] = []
        self.result: Reply | None = None
        self.writes = 0
        self.posted: list[Any] | None = None
        """What has come for a statement that was posted: a list of replies, or of a fault."""
        self.on_posted: Callable[[], None] | None = None
        self._unread: tuple[Reply, Fingerprint | None] | None = None

    @property
    def open(self) -> bool:
        return self.wire is not None

    @property
    def is_reading(self) -> bool:
        return self._unread is not None

    def has_ended(self) -> bool:
        wire = self.wire
        if wire is None:
            return True
        return self.posted is None and not self.is_reading and not wire.is_open

    def lead(self, wire: Wire) -> None:
        """Lead to a server."""
        self.wire = wire
        wire.is_of_client = True
        self.server_status = AUTOCOMMIT
        self.tails.clear()
        self.posted = self.on_posted = self._unread = self.result = None

    def kill(self) -> None:
        """Close it without a word."""
        wire, self.wire = self.wire, None
        self.result = self._unread = self.posted = None
        if wire is not None:
            wire.close()

    # Replies.

    def take(self, reply: Reply) -> None:
        """Take in the end of a reply."""
        self.server_status = reply.server_status
        if reply.tail:
            self.tails.append(reply.tail)

    def take_result(self, reply: Reply, unbuffered: bool, fingerprint: Fingerprint | None) -> Reply:
        """Take in the application's result; of a stream, all but its end."""
        self.result = reply
        if fingerprint is not None:
            reply.fill(fingerprint, is_stream=unbuffered)
        if unbuffered and reply.rows is not None:
            reply.unbuffered_active = True
            self._unread = reply, fingerprint
        else:
            self.take(reply)
        return reply

    def finish(self) -> None:
        """Read what is left of a stream."""
        unread, self._unread = self._unread, None
        if unread is not None:
            reply, fingerprint = unread
            reply.unbuffered_active = False
            if self.wire is not None and self.wire.is_open:
                self.take(reply)
                if fingerprint is not None:
                    fingerprint.is_whole = True

    def note_fault(self, fault: Fault) -> None:
        """Take in that it was lost, if it was: what has no end but a number is open."""
        if fault.number in (2006, 2013):
            self.kill()

    def note_closed_transaction(self) -> None:
        self.server_status &= ~1


class Member:
    """A physical connection that a virtual connection holds."""

    def __init__(self, connection: Connection, name: str, replica: Server | None) -> None:
        self.connection, self.name, self.replica = connection, name, replica
        self.role = "primary" if replica is None else "replica"
        self.version = 0
        self.prepared: dict[str, Any] = {}
        self.asked = False
        self.known_routes: dict[Any, Any] = {}

    def __repr__(self) -> str:
        return f"<Member {self.name}>"

    @property
    def is_open(self) -> bool:
        return self.connection.open

    def taken(self, reason: Reason, waited: float = 0.0, retries: int = 0) -> RouteTaken:
        return RouteTaken(self.name, self.role, reason, waited, retries)

    def brought(self, version: int) -> None:
        self.version = version

    def note_asked(self, asked: bool = True) -> None:
        self.asked = asked

    def note_prepared(self, name: str, prepared: Any) -> None:
        self.prepared[name] = prepared

    def rename(self, name: str) -> None:
        self.name = name


class Members(dict[str, Member]):
    """The members that are replicas, by name."""

    def __init__(self, cluster: Cluster, primary: Member) -> None:
        super().__init__()
        self._cluster, self._primary = cluster, primary

    def lose(self, name: str) -> None:
        member = self.pop(name, None)
        if member is not None:
            member.connection.kill()

    def lose_primary(self) -> None:
        self._primary.connection.kill()
        self._cluster.look_now()


class Hold:
    """What keeps a virtual connection at its primary."""

    revives = True
    ended = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.generation = -1
        self.name = ""

    def drop(self) -> None:
        self._connection.kill()

    def part_of(self, scope: Any, joins: bool = True) -> Any:
        raise NotImplementedError("nobody is in a scope here")

    listeners = part_of
