"""The keywords of a wrapped driver's own `connect`, and what they come to for each server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.cluster.endpoint import Endpoint
from .driver import Driver

__all__ = ["Keywords"]


class Keywords:
    """Keywords of the driver's own `connect`.

    :param given: by the application, for the primary.
    :param home: the endpoint that those lead to by themselves.
    :param timeout: how many seconds a connect may take; None for the primary's source.
    """

    can_repeat = True

    def __init__(
        self, driver: Driver, given: Mapping[str, Any], home: Endpoint, timeout: float | None = None
    ) -> None:
        self.driver = driver
        self.is_of_primary = timeout is None
        self._given = given
        self._home = home
        self.seconds: float | None = None
        if timeout is not None:
            self.seconds = float(max(1, round(timeout)))

    def make(self, endpoint: Endpoint) -> Any:
        """Return a connection to an endpoint."""
        return self.driver.connect(self._keywords(endpoint))

    def _keywords(self, endpoint: Endpoint) -> dict[str, Any]:
        keywords = {**self._given}
        if self.seconds is not None:
            left_out = self.driver.primary_only
            keywords = {key: keywords[key] for key in keywords if key not in left_out}
            # The library counts in whole seconds, and 0 is for ever.
            given = [keywords.pop(name, None) for name in self.driver.timeouts]
            patience = next(filter(None, given), self.seconds)
            keywords[self.driver.timeouts[0]] = int(min(self.seconds, patience))
        elif endpoint.name == self._home.name:
            return keywords
        keywords.update(endpoint.overrides)
        keywords.pop("unix_socket", None)
        if endpoint.unix_socket is not None:
            keywords.update(host="localhost", unix_socket=endpoint.unix_socket)
        else:
            # The library takes "localhost" for its socket file, whatever the port.
            host = "127.0.0.1" if endpoint.host == "localhost" else endpoint.host
            keywords.update(host=host, port=endpoint.port)
        return keywords
