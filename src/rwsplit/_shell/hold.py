"""A virtual connection's hold on the primary: it connects, and connects again when that is lost."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

from .._core.cluster.facts import PrimaryFacts
from .._core.endpoint import Endpoint
from .._core.failure import FULL, is_read_only
from .._core.numbers import UNREACHABLE
from .._core.options import Options
from .._core.position import Position
from .._core.session.state import AUTOCOMMIT, State
from .._drivers import err
from .._drivers.pymysql import PhysicalConnection, lost, raise_first
from .account import Account
from .cluster import Cluster
from .log import logger, words
from .member import Member, ask_aside, ask_position, primary_facts
from .scope import ScopePosition

__all__ = ["Hold"]


class Hold:
    """What keeps a virtual connection connected to its cluster's primary, wherever that is."""

    driver_connection: PhysicalConnection
    _cluster: Cluster
    _session: State
    _primary: Member
    _options: Options
    _account: Account
    _ended: bool
    """The application has closed the connection."""
    _revives: bool
    """A connection to the primary that is lost is made again."""
    _generation: int
    """Which of the cluster's primaries it is connected to."""
    _aimed_at: str
    """The endpoint that the physical connection was made for."""
    _part: ScopePosition | None
    _holds: bool
    """The pool counts the connection."""

    def _reach_primary(self, sock: Any = None) -> PrimaryFacts:
        """Connect to the primary; raises what PyMySQL raises."""
        cluster, physical = self._cluster, self.driver_connection
        generation, endpoint = cluster.generation, cluster.primary
        self._let_go()
        physical.endpoint = endpoint
        if sock is not None or not self._revives:
            physical.connect(sock)
        else:
            self._aim(endpoint)
            shelf = ("primary", bool(physical.db), generation)
            cluster.pool.connect(endpoint.name, physical, [shelf], insists=True)
            self._holds = True
        try:
            if self._ended:
                raise err.InterfaceError(0, "")  # closed by another thread meanwhile
            facts = primary_facts(physical)
        except BaseException:
            self._drop_primary()
            raise
        if self._revives:
            cluster.errands.connections(endpoint.name).add(physical)
            self._generation = cluster.learn_primary(facts, generation)
        else:
            cluster.take_facts(facts)
        return facts

    def _aim(self, endpoint: Endpoint) -> None:
        if self._aimed_at != endpoint.name:
            self.driver_connection.aim(self._account.primary_options(endpoint))
            self._aimed_at = endpoint.name

    def _let_go(self) -> None:
        """Note that the physical connection is none any more."""
        if self._holds:
            self._holds = False
            self._cluster.pool.forget(self._aimed_at)

    def _drop_primary(self) -> None:
        """Close the connection to the primary without a word."""
        self.driver_connection.kill_socket()
        self._let_go()

    def _close_primary(self) -> None:
        """Close the connection to the primary; its wire is kept for the next with this account."""
        physical = self.driver_connection
        if not self._holds:
            physical.close()
            return
        cluster = self._cluster
        self._holds = False
        shelf = None
        session = self._session
        is_current = self._generation == cluster.generation
        if is_current and not session.leaves_traces and (physical.db or not session.had_schema):
            shelf = ("primary", bool(physical.db), self._generation)
        cluster.pool.close(self._aimed_at, physical, shelf)

    def _ask_primary(self) -> Position:
        """Ask the primary where it is, on another connection than the application's.

        So what the application may ask about its last statement stays as it was: its warnings,
        ROW_COUNT(), FOUND_ROWS(), and the rows that it has not read yet.
        """
        if self.driver_connection.has_foreign_socket:
            return ask_position(self._primary, self._ask_before)
        if self._revives and not self._cluster.primary_is_up:
            raise err.OperationalError(UNREACHABLE, "the primary is away")
        return ask_aside(self._cluster, self._account)

    def _ask_before(self, questions: Sequence[str], member: Member | None = None) -> list[Any]:
        raise NotImplementedError

    def _check_revivable(self) -> None:
        """Raise the error of a connection that was closed, or that can't go on on another one."""
        session = self._session
        if self._ended or self.driver_connection._closed or not self._revives:
            raise err.InterfaceError(0, "")
        if session.bound:
            raise err.InterfaceError(
                0,
                f"the connection to primary {self._primary.name} was lost, and the session can't "
                f"go on on another: {session.bound}; connect again",
            )

    def _has_primary(self) -> bool:
        """Tell whether the primary can be asked now; connects to it if that is worth a try."""
        cluster, physical = self._cluster, self.driver_connection
        if physical._sock is not None and self._generation == cluster.generation:
            return True
        if not cluster.primary_is_up:
            return False
        generation = cluster.generation
        if self._session.bound or self._ended or not self._revives:
            return False
        try:
            self._reconnect()
        except err.MySQLError as error:
            if lost(error) and not self._ended:
                cluster.watch.primary_failed(generation)
            return False
        return True

    def _need_primary(self, writable: bool = False, until: float = 0.0) -> None:
        """Connect to the primary, and wait for one if there is none.

        Raises OperationalError 2003 when `primary_wait` is over, naming every endpoint; `until` is
        when that is (monotonic seconds), if it has begun before.
        """
        cluster = self._cluster
        until = until or monotonic() + self._options.primary_wait
        why = ""
        while True:
            self._check_revivable()
            generation = cluster.generation
            if cluster.primary_is_up:
                try:
                    facts = self._reconnect()
                    if not (writable and facts.read_only):
                        return
                    why = "it is read-only"
                    self._drop_primary()
                    cluster.watch.primary_is_read_only(generation)
                except err.OperationalError as error:
                    if not lost(error) and error.args[0] not in FULL:
                        raise
                    why = words(error)
                    cluster.watch.primary_failed(generation)
            if not cluster.wait_for_primary(generation, until, lambda: self._ended):
                raise err.OperationalError(
                    UNREACHABLE,
                    f"Can't connect to MySQL server: there is no primary after "
                    f"{self._options.primary_wait:g} s; {cluster.topology.describe(why)}",
                )

    def _reconnect(self) -> PrimaryFacts:
        """Connect to the primary again, as the same session."""
        physical, session, cluster = self.driver_connection, self._session, self._cluster
        autocommit = session.status & AUTOCOMMIT
        if physical._sock is not None:
            self._drop_primary()
        before = cluster.generation, self._generation
        holders = [cluster.process, *([self._part] if self._part is not None else [])]
        heard = [each.look(cluster.last_seen).position for each in holders]
        facts = self._reach_primary()
        try:
            session.forget_hearsay()
            state = session.restored()
            if physical.server_status & AUTOCOMMIT != autocommit:
                state.append(f"SET autocommit={int(bool(autocommit))}")
            state += filter(None, session.next_transaction.split("; "))
            raise_first(physical.run_all(state))
        except BaseException:
            self._drop_primary()
            raise
        physical.tails.clear()
        session.status = physical.server_status
        self._primary.rename(self._aimed_at)
        if before[0] != before[1] or self._generation != before[0]:
            self._forget_lost(facts)
            if facts.position is not None:
                for each, before_that in zip(holders, heard, strict=True):
                    each.let_go(before_that, facts.position)
        return facts

    def _forget_lost(self, facts: PrimaryFacts) -> None:
        """Let go of what a new primary does not have: nobody has it any more."""
        session = self._session
        wanted = session.position
        if facts.history is None or facts.history.covers(wanted):
            return
        logger.warning(
            "the primary %s does not have %s, which this session must see: those transactions were "
            "lost with the primary before; the session lets go of them",
            self._primary.name,
            wanted,
        )
        assert facts.position is not None
        session.let_go(facts.position)
        if not facts.history.covers(session.position):
            session.position = facts.position

    def _has_left(self) -> bool:
        """Tell whether the connection to the primary is of no more use."""
        physical = self.driver_connection
        return (
            physical._sock is None
            or self._generation != self._cluster.generation
            or physical.has_ended()
        )


def refuses_writes(error: err.MySQLError) -> bool:
    """Tell whether a server has said that it is read-only: nothing happened there."""
    return len(error.args) > 1 and is_read_only(error.args[0], str(error.args[1]))
