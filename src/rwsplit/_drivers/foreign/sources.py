"""Where the connections of a wrapped driver come from: keywords, a factory, or who had one open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..._core.cluster.endpoint import Endpoint
from .. import err
from ..sources import made
from .driver import Driver

__all__ = ["Factory", "Held", "Keywords", "Source"]


class Source(Protocol):
    """What makes a wrapped driver's connections to one kind of server."""

    driver: Driver
    is_of_primary: bool
    can_repeat: bool
    """Whether it can make another one."""
    seconds: float | None
    """How long a connect may take; None for as long as the driver's keywords let it."""

    def make(self, endpoint: Endpoint) -> Any:
        """Return a connection of the driver; raises the driver's errors, and PyMySQL's."""


class Keywords:
    """Keywords of the driver's own `connect`.

    :param given: by the application, for the primary.
    :param home: the endpoint that those lead to by themselves.
    :param timeout: how many seconds a connect to a replica may take; None for the primary's source.
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
            patience = keywords.get("connect_timeout") or self.seconds
            keywords["connect_timeout"] = int(min(self.seconds, patience))
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


class Factory:
    """A function of the application that makes a connection to an endpoint.

    :param seconds: how long it may take.
    """

    can_repeat = True

    def __init__(
        self,
        driver: Driver,
        function: Callable[[Endpoint], Any],
        seconds: float,
        is_of_primary: bool,
    ) -> None:
        self.driver = driver
        self.is_of_primary = is_of_primary
        self._function = function
        self.seconds: float | None = seconds
        self._most = seconds

    def make(self, endpoint: Endpoint) -> Any:
        """Return a connection to an endpoint."""
        connection = made(self._function, endpoint, self._most, self.driver.module.Error)
        if not self.driver.is_own(connection):
            raise err.OperationalError(
                2003,
                f"Can't connect to MySQL server on {endpoint.name!r} (creator returned no "
                f"connection of {self.driver.name}, but a {type(connection).__name__})",
            )
        return connection


class Held:
    """A connection that the application had open: the first one, and there is no other."""

    is_of_primary = True
    can_repeat = False
    seconds: float | None = None

    def __init__(self, driver: Driver, connection: Any) -> None:
        self.driver = driver
        self._connection = connection

    def make(self, endpoint: Endpoint) -> Any:
        """Return it; raises InterfaceError the next time."""
        connection, self._connection = self._connection, None
        if connection is None:
            raise err.InterfaceError(
                0, "the connection was opened by the application, and nobody can open another"
            )
        return connection
