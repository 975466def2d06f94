"""Ending a statement that another thread runs, on whichever server it runs.

A virtual connection has one number, its thread's on the primary; a KILL of that number reaches the
replica that runs its read, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any, Protocol

from .._core.flavors.traits import traits_of
from .._core.numbers import NO_SUCH_THREAD
from .._core.sql.kill import killed_thread
from .._core.sql.values import as_text
from .._drivers import err
from .._drivers.pymysql import PhysicalConnection
from .account import Account
from .cluster import Cluster, all_users
from .hold import Hold
from .log import logger, words
from .members import Members

__all__ = ["cancel", "kill_elsewhere"]


class Killable(Protocol):
    """A virtual connection, as who ends its statements sees it."""

    driver_connection: PhysicalConnection
    _account: Account
    _hold: Hold | None
    _cluster: Cluster | None
    _members: Members | None


def cancel(user: Killable) -> None:
    """End what a virtual connection runs in another thread, wherever that is.

    Raises what PyMySQL raises where a server can't be connected to.
    """
    hold = user._hold
    if hold is not None:
        _end(user, [*_members_of(user), (hold.name, user.driver_connection)])


def kill_elsewhere(cluster: Cluster, primary: PhysicalConnection, sql: bytes) -> None:
    """Let a KILL that the primary has run reach the replicas that run what it is for."""
    thread = killed_thread(sql.decode(errors="surrogateescape"))
    if isinstance(thread, str):
        (value,) = primary.ask(f"SELECT {thread} LIMIT 1")
        thread = int(as_text(value)) if as_text(value or b"").isdigit() else None
    if thread is None:
        return
    for user in all_users():
        if _is_meant(user, cluster, thread):
            try:
                _end(user, _members_of(user))
            except err.MySQLError as error:
                logger.warning("a KILL did not reach all replicas: %s", words(error))


def _members_of(user: Killable) -> list[tuple[str, PhysicalConnection]]:
    members = user._members
    known = [] if members is None else [*members.items()]
    return [(name, member.connection) for name, member in known]


def _is_meant(user: Any, cluster: Cluster, thread: int) -> bool:
    """Tell whether a thread of this cluster's primary is that of a virtual connection."""
    physical, other = user.driver_connection, user._cluster
    if not physical.open or physical.server_thread_id[0] != thread:
        return False
    if other is cluster:
        return True
    mine, theirs = cluster.topology.facts, other.topology.facts
    if (
        mine is None
        or theirs is None
        or (mine.flavor, mine.server) != (theirs.flavor, theirs.server)
    ):
        return False
    where = [(each.primary.host, each.primary.port) for each in (cluster, other)]
    return traits_of(mine.flavor).has_unique_ids or bool(where[0] == where[1])


def _end(user: Killable, running: Iterable[tuple[str, PhysicalConnection]]) -> None:
    """Send KILL QUERY for each of the connections that may run something.

    One that is idle takes no notice of it.
    """
    failed: err.MySQLError | None = None
    for name, connection in running:
        if not connection.may_be_running:
            continue
        assert user._cluster is not None
        endpoint = user._cluster.servers[name].endpoint
        account = user._account
        killer = account.connection(None, account.probe_options(endpoint))
        try:
            killer.connect()
            with closing(killer):
                killer.query(f"KILL QUERY {connection.server_thread_id[0]:d}")
        except err.MySQLError as error:
            failed = None if error.args[0] == NO_SUCH_THREAD else error
    if failed is not None:
        raise failed
