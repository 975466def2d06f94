"""Opening members on replicas, and what becomes of a replica that can't be opened."""

from __future__ import annotations

from time import monotonic
from typing import Any

from .._core.cluster.server import Server
from .._core.failure import refuses_account
from .._core.flows.command import Open, WaitAside
from .._core.flows.reading import Aside
from .._core.numbers import BAD_DB, CON_COUNT, HOST_IS_BLOCKED, HOST_NOT_PRIVILEGED
from .._core.session.state import State
from .._core.setup.options import Options
from .._core.sql.values import as_text
from .._drivers import err
from .._drivers.pymysql import is_of_tls, lost
from .._drivers.sources import key_of
from .account import Account
from .cluster import Cluster
from .log import words
from .member import Member, Opening
from .members import Members, shelf_of

__all__ = ["Opener"]

_NO_ENTRY = frozenset({HOST_IS_BLOCKED, HOST_NOT_PRIVILEGED})
"""It lets in nobody from here."""


class Opener:
    """Opens a virtual connection's members on replicas."""

    def __init__(
        self,
        cluster: Cluster,
        session: State,
        primary: Member,
        members: Members,
        options: Options,
        account: Account,
    ) -> None:
        self._cluster = cluster
        self._session = session
        self._primary = primary
        self._members = members
        self._options = options
        self._account = account

    def open(self, command: Open) -> Member | None:
        """Open the member that this session has there from now on."""
        name = command.replica.endpoint.name
        self._members.pop(name, None)
        member = self._connect_along(command.replica) if command.along else None
        if member is None and command.alone:
            member = self._connect(command.replica)
        if member is not None:
            self._members[name] = member
        return member

    def _connect_along(self, replica: Server) -> Member | None:
        """Open a member together with its first statement; None where that can't be done."""
        self._check_open()
        self._cluster.monitor.watch()
        try:
            member = self._opening(replica).run_along()
        except (err.MySQLError, RuntimeError, OSError, ValueError):
            return None  # who opens it alone tells what it is
        if member is not None:
            self._be_as_primary(member)
        return member

    def _opening(self, replica: Server) -> Opening:
        return Opening(
            self._cluster,
            replica,
            self._account,
            self._session,
            self._primary,
            self._options.track_positions,
        )

    def _be_as_primary(self, member: Member) -> None:
        member.connection.read_as(self._primary.connection)
        member.connection.turn = self._primary.connection.turn

    def _connect(self, replica: Server) -> Member:
        physical = self._primary.connection
        self._check_open()
        account = (
            physical.user,
            key_of(physical.password, "password"),
            getattr(physical, "ctx", None),
            self._session.schema,
        )
        refused_until = replica.refusals.until(account, monotonic())
        if refused_until:
            raise Aside(refused_until)
        self._cluster.monitor.watch()
        replica.opening += 1
        try:
            member = self._opening(replica).run()
        except err.MySQLError as error:
            code = error.args[0] if error.args else 0
            if code == BAD_DB:
                # A schema that the primary has is on its way here.
                raise Aside from error
            if code == CON_COUNT:
                replica.note_full(monotonic())
                raise Aside from error
            if refuses_account(code) or is_of_tls(error):
                raise self._refused_account(replica, account, error) from error
            if not (lost(error) or code in _NO_ENTRY):
                # It is of the session's state, or of the application's own keywords.
                self._cluster.warn_once(
                    "replica %s can't be as the primary: %s", replica.endpoint.name, words(error)
                )
                raise Aside from error
            self._cluster.watch.rest(replica, words(error))
            raise Unreachable(2013, words(error)) from error
        except (RuntimeError, OSError, ValueError) as error:
            # A package is missing that the account's authentication needs here, or a file of it.
            raise self._refused_account(replica, account, error) from error
        finally:
            replica.opening -= 1
        replica.refusals.forget(account)
        try:
            self._check_open()
        except err.InterfaceError:
            member.drop(self._cluster.pool)
            raise
        self._be_as_primary(member)
        return member

    def _check_open(self) -> None:
        """Raise the error of a connection that another thread has closed amid a statement."""
        if self._primary.connection.is_closed:
            raise err.InterfaceError(0, "")

    def _refused_account(self, replica: Server, account: Any, error: Exception) -> Aside:
        """Note that a replica has not let in this account; others it may."""
        user = self._primary.connection.user
        self._cluster.warn_once(
            "replica %s refuses the account %r: %s; its reads run elsewhere, and it will be tried "
            "again",
            replica.endpoint.name,
            as_text(user),
            words(error),
        )
        return Aside(replica.refusals.add(account, monotonic(), self._cluster.dice.random()))

    def run_aside(self, command: WaitAside) -> list[Any]:
        """Run statements on a connection that the application does not see.

        A member may have rows that it has not read, or a snapshot that holds locks.
        """
        member = self._connect(command.replica)
        try:
            return member.connection.run_all(command.statements)
        finally:
            member.close(self._cluster.pool, shelf_of(member.name, self._cluster, self._session))


class Unreachable(err.OperationalError):  # type: ignore[misc]
    """A replica that could not be connected to; it is resting already."""
