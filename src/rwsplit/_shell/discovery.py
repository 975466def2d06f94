"""Finding the replicas of a primary by asking it, or whom the application names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._core.cluster.endpoint import address
from .._core.flavors.questions import ASK_REPLICAS
from .._core.sql.values import as_text
from .._drivers import err
from .._drivers.pymysql import PhysicalConnection
from .log import logger

__all__ = ["discovered"]

_GROUP = (
    "SELECT MEMBER_HOST,MEMBER_PORT FROM performance_schema.replication_group_members"
    " WHERE MEMBER_STATE='ONLINE' AND MEMBER_ROLE='SECONDARY'"
)


def discovered(how: Any, connection: PhysicalConnection) -> Iterable[Any]:
    """Return the replicas, as the `replicas` keyword takes them.

    :param how: a callable that returns them, or `"discover"` to ask the primary: for the members of
        its group (MySQL Group Replication), or for the replicas that have given their address to it
        (`report_host`).

    Raises OperationalError 1227 where the account may not ask: SHOW REPLICAS needs REPLICATION
    SLAVE, on MariaDB REPLICATION MASTER ADMIN.
    """
    if callable(how):
        found: Iterable[Any] = how()
        return found
    sql = ASK_REPLICAS[connection.flavor]
    asked, group = connection.ask_all([sql, _GROUP])
    if not isinstance(group, err.MySQLError) and group.rows:
        return [address(as_text(host), int(port)) for host, port in group.rows]
    if isinstance(asked, err.MySQLError):
        code, text = asked.args[:2]
        raise err.OperationalError(code, f"{text} (replicas='discover' asks {sql})")
    hosts = [(as_text(row[1]), int(row[2])) for row in asked.rows]
    if any(not host for host, _ in hosts):
        logger.warning("a replica has no report_host, so nobody can tell where it is")
    return [address(host, port) for host, port in hosts if host]
