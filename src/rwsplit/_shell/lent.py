"""The account of connections that somebody else makes: where each server's come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._core.cluster.endpoint import Endpoint
from .._drivers.lending import Source
from .._drivers.pymysql import Setup
from .account import Account

__all__ = ["LentAccount"]


class LentAccount(Account):
    """How a virtual connection over what is lent to it connects to its cluster's servers.

    :param physical: drives the connections.
    :param source: makes its connections to all servers but to the primary as its primary.
    :param aside: makes those on which the primary is asked beside it.
    :param patience: how many seconds the monitor waits for an answer.
    """

    def __init__(
        self, physical: Callable[..., Any], source: Source, aside: Source, patience: float
    ) -> None:
        self._physical = physical
        self._source = source
        self._aside = aside
        self._patience = patience

    def connection(self, setup: Setup | None, options: Mapping[str, Any]) -> Any:
        """Return a connection that is not connected yet."""
        return self._physical(self._source, setup=setup, **options)

    def to(self, endpoint: Endpoint, setup: Setup) -> Any:
        """Return a connection to a replica, which is not connected yet."""
        return self.connection(setup, self.options(endpoint))

    def aside(self, endpoint: Endpoint, setup: Setup) -> Any:
        """Return a connection to ask the primary on, beside the session's; not connected yet."""
        return self._physical(self._aside, setup=setup, **self.options(endpoint))

    def options(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return what tells a server."""
        return {"endpoint": endpoint}

    def probe_options(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return what tells a server to the monitor."""
        return {"endpoint": endpoint, "patience": self._patience}

    def primary_options(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return what tells a server that has become the primary."""
        return {"endpoint": endpoint}
