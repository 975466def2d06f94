"""What `python -m rwsplit doctor` tells: whether a cluster's reads can be split; if not, why."""

from __future__ import annotations

import logging
from contextlib import closing
from importlib import import_module
from time import monotonic
from typing import Any, NamedTuple

from .._core.cluster.server import Server
from .._core.wire import Capability
from .._drivers import err
from .configuring import from_url
from .connection import Connection
from .log import logger, words
from .wrapping import lender_of, told_apart, wrap

__all__ = ["DRIVERS", "Found", "examine"]

DRIVERS = {"pymysql": "pymysql", "mysqlclient": "MySQLdb", "connector": "mysql.connector"}
"""By the name of a driver that of its module."""
FINE, WARNING, BROKEN = 0, 1, 2
"""Exit statuses."""
_PATIENCE = 5.0
"""How many seconds the servers may take to be looked at."""


class Found(NamedTuple):
    """What an examination found, line by line; what is wrong begins with `!`."""

    lines: list[str]
    status: int


class _Heard(logging.Handler):
    """Keeps what rwsplit warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def examine(url: str, driver: str = "pymysql") -> Found:
    """Connect through a driver to the servers that a URL names, and read on each replica.

    Raises ValueError and TypeError for a URL that is none, and ImportError for a driver that is not
    there. No password is ever shown.
    """
    heard = _Heard()
    logger.addHandler(heard)
    try:
        with closing(_connect(url, driver)) as connection:
            return _examined(connection, driver, heard)
    except err.MySQLError as error:
        return Found([f"! primary: {words(error)}"], BROKEN)
    finally:
        logger.removeHandler(heard)


def _connect(url: str, driver: str) -> Any:
    given = from_url(url)
    if driver == "pymysql":
        return Connection(**given)
    module = import_module(DRIVERS[driver])
    lender = lender_of(module)
    assert lender is not None
    own, keywords = told_apart(given, lender)
    try:
        return wrap(module, **own).connect(**keywords)
    except module.Error as error:
        raise err.OperationalError(*error.args) from error


def _examined(connection: Any, driver: str, heard: _Heard) -> Found:
    primary, cluster = connection.driver_connection, connection.cluster
    facts = cluster.topology.facts
    version = primary.server_version.removeprefix("5.5.5-")  # as MariaDB says to old programs
    lines = [f"primary {cluster.primary.name}: {primary.flavor} {version}"]
    if facts is not None and facts.no_gtids:
        lines.append(f"! primary {cluster.primary.name}: hands out no GTIDs: {facts.no_gtids}")
    can = [flag.name for flag in Capability if flag in primary.offers]
    can_not = [flag.name for flag in Capability if flag not in primary.offers]
    lines.append(f"driver {driver}: {_listed(can)}; without {_listed(can_not)}")
    cluster.watch.wait_for_sights(monotonic() + _PATIENCE)
    never = connection._session.terms.never
    if never is not None:
        lines.append(f"! reads run on the primary: {never}")
    replicas = [cluster.servers[name] for name in cluster.servers if name != cluster.primary.name]
    if not replicas:
        lines.append("! no replicas are named")
    lines += [_replica(connection, replica, never is None) for replica in replicas]
    lines += [f"! {text}" for text in heard.texts]
    is_fine = not any(line.startswith("!") for line in lines)
    return Found(lines, FINE if is_fine else WARNING)


def _replica(connection: Any, replica: Server, asks: bool) -> str:
    """Tell of a replica whether it is reached with this account, and serves."""
    name = replica.endpoint.name
    why = replica.unfit
    if asks and not why:
        cursor = connection.cursor()
        cursor.execute(f"SELECT 1 /* rwsplit: replica={name} */")
        cursor.fetchall()
        route = cursor.route
        why = "" if route.endpoint == name else str(route.reason)
    state = replica.state(monotonic())  # that which the read has found
    told = f"replica {name}: {state}"
    return f"! {told}: {why}" if why or state != "usable" else told


def _listed(names: list[str | None]) -> str:
    return ", ".join([name or "" for name in names]) or "nothing"
