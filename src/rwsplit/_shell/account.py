"""Accounts: how a virtual connection connects to each of its cluster's servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._core.cluster.endpoint import Endpoint
from .._drivers.pymysql import PhysicalConnection, Setup

__all__ = ["Account"]

_PRIMARY_ONLY = frozenset(
    {"init_command", "sql_mode", "local_infile", "database", "autocommit", "unix_socket"}
    | {"read_default_file", "read_default_group", "cursorclass", "defer_connect"}
)
"""Connect keywords that a replica does not share. Its session state is replayed; a replica may
never ask for a local file."""
_ASIDE = " aside"
"""No endpoint's name."""


class Account:
    """The keywords that a virtual connection was given for its servers.

    :param given: PyMySQL's keywords.
    :param primary: made of them, and connected or not: it knows what an option file adds.
    :param replica_connect_timeout: seconds.
    :param known: for those of the same keywords, what connections to replicas are made like.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        primary: PhysicalConnection,
        replica_connect_timeout: float,
        known: dict[str, Any] | None = None,
    ) -> None:
        self._known = {} if known is None else known
        self._given = _resolved(given, primary)
        self._primary = primary
        self._timeout = replica_connect_timeout
        self._shared = {
            "user": primary.user,
            "password": primary.password,
            "bind_address": primary.bind_address,
        }

    def connection(self, setup: Setup | None, options: Mapping[str, Any]) -> PhysicalConnection:
        """Return a connection of these keywords that is not connected yet."""
        return PhysicalConnection(setup, **{**options, "defer_connect": True})

    def to(self, endpoint: Endpoint, setup: Setup) -> PhysicalConnection:
        """Return a connection to a replica, which is not connected yet."""
        return self._another(endpoint.name, endpoint, setup, self.options)

    def aside(self, endpoint: Endpoint, setup: Setup) -> PhysicalConnection:
        """Return a connection to ask the primary on, beside the session's; not connected yet.

        It has as long to connect as that one: nobody else can answer.
        """
        return self._another(_ASIDE, endpoint, setup, self._aside_options)

    def _another(
        self,
        kind: str,
        endpoint: Endpoint,
        setup: Setup,
        options: Callable[[Endpoint], dict[str, Any]],
    ) -> PhysicalConnection:
        shared, primary = self._shared, self._primary
        made_of = (
            *(endpoint, shared["user"], shared["password"], shared["bind_address"]),
            *(primary.charset, primary.collation, primary.connect_timeout),
        )
        known = self._known.get(kind)
        if known is None or known[0] != made_of:
            known = made_of, self.connection(None, options(endpoint))
            known[1].take_identity()
            self._known[kind] = known
        connection: PhysicalConnection = known[1].another(setup)
        return connection

    def options(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return the keywords for a replica: the primary's, and what it overrides."""
        given, primary = self._given, self._primary
        options = {key: value for key, value in given.items() if key not in _PRIMARY_ONLY}
        options.update(
            self._shared,
            charset=primary.charset,
            collation=primary.collation,
            autocommit=True,
            connect_timeout=min(self._timeout, primary.connect_timeout or self._timeout),
        )
        options.update(endpoint.overrides)
        options.update(host=endpoint.host, port=endpoint.port, unix_socket=endpoint.unix_socket)
        options["endpoint"] = endpoint
        return options

    def _aside_options(self, endpoint: Endpoint) -> dict[str, Any]:
        return {**self.options(endpoint), "connect_timeout": self._primary.connect_timeout}

    def probe_options(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return the keywords of the monitor's own connection to a server."""
        return {**self.options(endpoint), "read_timeout": self._timeout}

    def primary_options(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return the keywords for a server that has become the primary."""
        return {
            **self._given,
            **endpoint.overrides,
            "host": endpoint.host,
            "port": endpoint.port,
            "unix_socket": endpoint.unix_socket,
            "endpoint": endpoint,
        }


_FILES = ("read_default_file", "read_default_group")


def _resolved(given: Mapping[str, Any], primary: PhysicalConnection) -> Mapping[str, Any]:
    """Return the keywords with what an option file said when `primary` read it.

    It may say something else by the time that another server is connected to: one virtual
    connection is one account.
    """
    if not any(given.get(name) for name in _FILES):
        return given
    resolved = {key: value for key, value in given.items() if key not in _FILES}
    resolved.update(
        user=primary.user,
        password=primary.password,
        database=primary.db,
        charset=primary.charset,
        bind_address=primary.bind_address,
    )
    if primary._ssl_required:
        resolved["ssl"] = primary.ctx
    return resolved
