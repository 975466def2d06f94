"""A virtual connection's hold on the primary: the wire there, wherever that is."""

from __future__ import annotations

from typing import Any

from .._core.cluster.facts import PrimaryFacts
from .._core.session.session import Session
from .._drivers import err
from .._drivers.pymysql import PhysicalConnection
from .account import Account
from .cluster import Cluster
from .member import primary_facts
from .scope import Listeners, Scope, ScopePosition

__all__ = ["Hold"]


class Hold:
    """What connects a virtual connection to its cluster's primary, and lets go of it.

    :param physical: the connection there.
    :param name: of the endpoint that it was made for.
    :param revives: whether a connection that is lost is made again.
    """

    def __init__(
        self,
        cluster: Cluster,
        physical: PhysicalConnection,
        account: Account,
        name: str,
        revives: bool,
    ) -> None:
        self._cluster = cluster
        self._physical = physical
        self._account = account
        self.name = name
        self.revives = revives
        self.ended = False
        """The application has closed the connection."""
        self.generation = 0
        """Which of the cluster's primaries it is connected to."""
        self._is_counted = False
        """The pool counts the connection."""

    def connect(self, sock: Any = None, again: bool = False) -> PrimaryFacts:
        """Connect to the primary; raises what PyMySQL raises.

        `again` is for a session that goes on: it has run its `init_command`, which may write.
        """
        cluster, physical = self._cluster, self._physical
        generation, endpoint = cluster.generation, cluster.primary
        self._let_go()
        physical.endpoint = endpoint
        if sock is not None or not self.revives:
            physical.connect(sock)
        else:
            if self.name != endpoint.name:
                physical.aim(self._account.primary_options(endpoint))
                self.name = endpoint.name
            shelf = ("primary", bool(physical.db), generation)
            command = physical.init_command
            if again:
                physical.init_command = None
            try:
                cluster.pool.connect(endpoint.name, physical, [shelf], insists=True)
            finally:
                physical.init_command = command
            self._is_counted = True
        try:
            if self.ended:
                raise err.InterfaceError(0, "")  # closed by another thread meanwhile
            facts = primary_facts(physical)
        except BaseException:
            self.drop()
            raise
        if self.revives:
            cluster.errands.connections(endpoint.name).add(physical)
            self.generation = cluster.learn_primary(facts, generation)
        else:
            cluster.take_facts(facts)
        return facts

    def end(self, ended: bool = True) -> None:
        """Note that the application has closed the connection, or opens it again."""
        self.ended = ended

    def _let_go(self) -> None:
        """Note that the physical connection is none any more."""
        if self._is_counted:
            self._is_counted = False
            self._cluster.pool.forget(self.name)

    def drop(self) -> None:
        """Close the connection to the primary without a word."""
        self._physical.kill_socket()
        self._let_go()

    def close(self, session: Session) -> None:
        """Close the connection to the primary; its wire is kept for the next with this account."""
        physical, cluster, state = self._physical, self._cluster, session.state
        if not self._is_counted:
            physical.close()
            return
        self._is_counted = False
        shelf = None
        is_current = self.generation == cluster.generation
        if is_current and not state.leaves_traces and (physical.db or not state.had_schema):
            shelf = ("primary", bool(physical.db), self.generation)
        cluster.pool.close(self.name, physical, shelf, not state.holds_nothing)

    # Who shares the session.

    def part_of(self, scope: Scope, joins: bool = True) -> ScopePosition:
        """Return what a scope must see of this primary; `joins` is whether it is used there."""
        return scope.part(self._cluster, self._account, joins=joins)

    def listeners(self, positions: tuple[Any, ...], scopes: tuple[Any, ...]) -> Listeners:
        """Return who hears for several what is committed."""
        return Listeners(positions, scopes)
