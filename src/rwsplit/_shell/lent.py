"""The account of a wrapped driver's connections: where each of a cluster's servers is had from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.cluster.endpoint import Endpoint
from .._drivers.foreign import ForeignConnection
from .._drivers.foreign.sources import Source
from .._drivers.pymysql import Setup
from .account import Account

__all__ = ["LentAccount"]


class LentAccount(Account):
    """How a virtual connection over a wrapped driver connects to its cluster's servers.

    :param source: makes its connections to all servers but to the primary as its primary.
    :param patience: how many seconds the monitor waits for an answer.
    """

    def __init__(self, source: Source, patience: float) -> None:
        self._source = source
        self._patience = patience

    def connection(self, setup: Setup | None, options: Mapping[str, Any]) -> Any:
        """Return a connection that is not connected yet."""
        return ForeignConnection(self._source, setup=setup, **options)

    def options(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return what tells a server."""
        return {"endpoint": endpoint}

    def probe_options(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return what tells a server to the monitor."""
        return {"endpoint": endpoint, "patience": self._patience}

    def primary_options(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return what tells a server that has become the primary."""
        return {"endpoint": endpoint}
