"""The members of a virtual connection that are replicas."""

from __future__ import annotations

from .._core.session.state import State
from .._drivers.pymysql import PhysicalConnection
from .cluster import Cluster
from .member import Member

__all__ = ["Members", "shelf_of"]


class Members(dict[str, Member]):
    """The open members by the name of their endpoint; whoever drops one says so here."""

    def __init__(self, cluster: Cluster, primary: Member) -> None:
        super().__init__()
        self._cluster = cluster
        self._primary = primary

    def lose(self, name: str) -> None:
        """Drop a member whose connection was lost.

        That is no reason to leave the replica alone: a KILL, a `read_timeout` or the statement
        itself may have done that. Whether it can be reached, a new connection tells.
        """
        member = self.pop(name, None)
        if member is not None:
            member.drop(self._cluster.pool)

    def lose_primary(self) -> None:
        """Drop the connection to the primary, which was lost, and have it looked for."""
        self._primary.connection.kill_socket()
        self._cluster.monitor.look_now()

    def encode_as(self, primary: PhysicalConnection) -> None:
        """Read and write text in the primary's character set from now on."""
        for member in self.values():
            member.connection.encode_as(primary)

    def read_as(self, primary: PhysicalConnection) -> None:
        """Make of what comes from servers what the primary's connection makes of it."""
        for member in self.values():
            member.connection.read_as(primary)

    def kill(self) -> None:
        """Close the sockets of all of them without a word."""
        for member in self.values():
            member.drop(self._cluster.pool)
        self.clear()

    def close(self, session: State) -> None:
        """Close all of them; their wires are kept for others with the same account."""
        for name, member in self.items():
            shelf = shelf_of(name, self._cluster, session)
            member.close(self._cluster.pool, shelf, not session.holds_nothing)
        self.clear()


def shelf_of(name: str, cluster: Cluster, session: State) -> tuple[str, bool] | None:
    """Return where the pool is to keep a member's wire; None for one that it is not to keep."""
    if name not in cluster.servers or session.leaves_traces:
        return None
    return "replica", session.had_schema
