"""What `connect()` was given: keywords, a URL, a cluster's configuration; checked, and made one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from .._core.cluster.endpoint import Endpoint, address
from .._core.session.session_id import parse_database
from .._core.setup.options import SHARED_KEYWORDS, ClusterOptions, Options, parse_options
from .._core.setup.problems import shown
from .._drivers import err
from .._drivers.pymysql import PhysicalConnection
from .cluster import Cluster, cluster_of, configured, is_current
from .config_file import current_config, reads_are_switched_off
from .log import logger

__all__ = [
    "Found",
    "check_replica_options",
    "checked_options",
    "cluster_at",
    "cluster_for",
    "configured_keywords",
    "from_url",
    "split_database",
    "translate_aliases",
    "with_cluster",
]


def translate_aliases(options: dict[str, Any]) -> None:
    # PyMySQL would name a line of ours in its warning.
    for old, new in (("db", "database"), ("passwd", "password")):
        value = options.pop(old, None)
        if value is not None and not options.get(new):
            warnings.warn(f"'{old}' is deprecated, use '{new}'", DeprecationWarning, stacklevel=5)
            options[new] = value


def checked_options(own: Mapping[str, Any], port: int, keywords: frozenset[str]) -> Options:
    """Return rwsplit's own options; `keywords` are those that a server's connection takes.

    Raises ValueError and TypeError, naming the keyword.
    """
    options = parse_options(own, port, keywords)
    reads = os.environ.get("RWSPLIT_READS")
    if reads and reads.lower() not in ("primary", "replicas"):
        raise ValueError(f"RWSPLIT_READS: expected primary or replicas, got {shown(reads)}")
    if reads_are_switched_off():
        options = options._replace(reads="primary")
    return options


def from_url(url: str) -> dict[str, Any]:
    from .._core.setup.url import parse_url  # noqa: PLC0415 - who has no URL does not pay for it

    if not isinstance(url, str):
        raise TypeError(f"connect() takes a URL, or keywords, but got {type(url).__name__}")
    return parse_url(url)


def configured_keywords(given: dict[str, Any]) -> dict[str, Any]:
    """Add to what the caller gave what its cluster's configuration says."""
    cluster = given.get("cluster")
    if cluster is None and given.get("replicas") is None:
        config = current_config()
        if config is not None and isinstance(given.get("port") or 0, int):
            host, port, unix_socket = _address(given)
            found = config.by_address(host, port, unix_socket)
            if found is None:
                _warn_once(config.misses(host, port, unix_socket))
            else:
                cluster = configured(found)
                given = {key: given[key] for key in given if key not in (*_ADDRESS, "replicas")}
    elif isinstance(cluster, str):
        config = current_config()
        if config is None:
            raise ValueError(
                f"cluster: {shown(cluster)}, which would be the name of one in a configuration "
                "file, and RWSPLIT_CONFIG does not name any"
            )
        cluster = configured(config.by_name(cluster))
    if not isinstance(cluster, Cluster):
        return given
    defaults = cluster.options.defaults or {}
    # Frameworks pass None for what their settings do not have.
    said = {key: value for key, value in given.items() if value is not None or key not in defaults}
    return {**defaults, **said, "cluster": cluster}


@cache
def _warn_once(text: str) -> None:
    if text:
        logger.warning("%s", text)


_ADDRESS = ("host", "port", "unix_socket")


def _address(given: dict[str, Any]) -> tuple[str | None, int | None, str | None]:
    """Return where the caller wants to connect to; an option file may say so, too."""
    if given.get("read_default_file") or given.get("read_default_group"):
        known = [*_ADDRESS, "read_default_file", "read_default_group"]
        options = {key: given[key] for key in known if given.get(key)}
        found = PhysicalConnection(None, **options, defer_connect=True)
        return found.host, found.port, found.unix_socket
    return given.get("host"), given.get("port"), given.get("unix_socket")


def split_database(name: str) -> tuple[str, str | None]:
    try:
        return parse_database(name)
    except ValueError as error:
        raise err.ProgrammingError(str(error)) from None


def check_replica_options(replicas: tuple[Endpoint, ...]) -> None:
    for endpoint in replicas:
        if endpoint.overrides:
            try:
                PhysicalConnection(None, **endpoint.overrides, defer_connect=True)
            except ValueError as error:
                why = (
                    "it has a character that can't be sent"
                    if isinstance(error, UnicodeError)
                    else error
                )
                raise ValueError(f"replicas: {endpoint.name}: {why}") from None


def with_cluster(options: Options, connect_options: dict[str, Any]) -> Options:
    """Connect to the servers of a cluster that was made before, if there is one."""
    cluster = options.cluster
    if cluster is None:
        return options
    if not isinstance(cluster, Cluster):
        found = type(cluster).__name__
        raise ValueError(f"cluster: expected a Cluster or the name of one, got {found}")
    for key in ("host", "port", "unix_socket"):
        if connect_options.get(key):
            raise ValueError(f"{key}: the cluster has one already")
    if options.replicas is not None:
        raise ValueError("replicas: the cluster has its own")
    for key in SHARED_KEYWORDS:
        asked, has = getattr(options, key), getattr(cluster.options, key)
        if asked is not None and asked != has:
            raise ValueError(f"{key}: {asked!r}, and the cluster has {has!r}")
    primary, replicas = cluster.configured
    connect_options.update(host=primary.host, port=primary.port, unix_socket=primary.unix_socket)
    return options._replace(replicas=replicas, discover=cluster.discover)


class Found(NamedTuple):
    """A cluster that was found for a connection to its primary."""

    where: tuple[Any, ...]
    """Where that leads to."""
    cluster: Cluster
    name: str
    """What the primary is called there."""


def cluster_for(
    primary: PhysicalConnection, options: Options, before: Found | None = None
) -> Found:
    """Return the process's cluster of these servers.

    `before` is what was found before for one of the same options.
    """
    where = primary.host, primary.port, primary.unix_socket, primary.dial
    if before is not None and before.where == where and is_current(before.cluster):
        return before
    name = primary.unix_socket or address(primary.host, primary.port)
    endpoint = Endpoint(name, primary.host, primary.port, primary.unix_socket, "primary")
    return Found(where, *cluster_at(endpoint, options, primary.dial))


def cluster_at(primary: Endpoint, options: Options, dial: Any) -> tuple[Cluster, str]:
    """Return it for a primary at an endpoint, and what that is called there.

    `dial` leads there, where that is no mere address.
    """
    if isinstance(options.cluster, Cluster):
        return options.cluster, options.cluster.configured[0].name
    shared = ClusterOptions(**{key: getattr(options, key) for key in SHARED_KEYWORDS})
    replicas = options.replicas or ()
    return cluster_of(primary, replicas, options.discover, shared, dial), primary.name
