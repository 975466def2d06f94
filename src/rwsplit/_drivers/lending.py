"""Connections that somebody else makes: a factory, or who had one open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .._core.cluster.endpoint import Endpoint
from . import err
from .sources import made

__all__ = ["Factory", "Held", "Lender", "Source"]


class Lender(Protocol):
    """A driver whose connections somebody else makes."""

    name: str
    module: Any
    """Has its errors, as PEP 249 names them."""
    keywords: frozenset[str]
    """What its `connect` takes."""
    why_untold: str
    """Why a connection of it may tell nothing of what statements change, and what helps."""

    def is_own(self, connection: object) -> bool:
        """Tell whether a connection is one of this driver."""


class Source(Protocol):
    """What makes a driver's connections to one kind of server."""

    driver: Any
    is_of_primary: bool
    can_repeat: bool
    """Whether it can make another one."""
    seconds: float | None
    """How long a connect may take; None for as long as the driver's keywords let it."""

    def make(self, endpoint: Endpoint) -> Any:
        """Return a connection of the driver; raises the driver's errors, and PyMySQL's."""


class Factory:
    """A function of the application that makes a connection to an endpoint.

    :param seconds: how long it may take.
    """

    can_repeat = True

    def __init__(
        self,
        driver: Lender,
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

    def __init__(self, driver: Lender, connection: Any) -> None:
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
