"""Accounts: how a virtual connection connects to each of its cluster's servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.endpoint import Endpoint
from .._drivers.pymysql import PhysicalConnection
from .pool import account_key

__all__ = ["Account"]

_PRIMARY_ONLY = frozenset(
    {"init_command", "sql_mode", "local_infile", "database", "autocommit", "unix_socket"}
    | {"read_default_file", "read_default_group", "cursorclass", "defer_connect"}
)
"""Connect keywords that a replica does not share. Its session state is replayed; a replica may
never ask for a local file."""


class Account:
    """The keywords that a virtual connection was given for its servers.

    :param given: PyMySQL's keywords.
    :param primary: made of them, and connected or not: it knows what an option file adds.
    :param replica_connect_timeout: seconds.
    """

    def __init__(
        self, given: Mapping[str, Any], primary: PhysicalConnection, replica_connect_timeout: float
    ) -> None:
        self._given = given
        self._primary = primary
        self._timeout = replica_connect_timeout
        self._shared = {
            "user": primary.user,
            "password": primary.password,
            "bind_address": primary.bind_address,
        }
        if given.get("read_default_file") and primary._ssl_required:
            self._shared["ssl"] = primary.ctx  # the option file's TLS settings
        self._keys: dict[Any, Any] = {}

    def options(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return PyMySQL's keywords for a replica: the primary's, and what it overrides."""
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
        return options

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
        }

    def key(self, endpoint: Endpoint, role: str, has_schema: bool) -> Any:
        """Return what connections to an endpoint have in common that may use the same wire."""
        known = (endpoint.name, role, has_schema)
        key = self._keys.get(known)
        if key is None:
            primary = role == "primary"
            options = self.primary_options(endpoint) if primary else self.options(endpoint)
            key = self._keys[known] = account_key(known, options)
        return key
