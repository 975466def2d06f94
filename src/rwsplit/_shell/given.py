"""The virtual connection over connections that somebody else makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .._core.cluster.endpoint import Endpoint
from .._core.setup.options import Options
from .._core.wire import Capability
from .._drivers.cursors import Cursor
from .._drivers.lending import Lender, Source
from .._drivers.pymysql import LentConnection
from .._stores import open_store
from .account import Account
from .cluster import Cluster
from .configuring import cluster_at
from .connection import Connection
from .member import primary_setup

__all__ = ["Given", "GivenConnection"]


class Given(NamedTuple):
    """What a virtual connection is made of whose driver, or connections, are the application's."""

    driver: Lender
    primary: Endpoint
    """Where its primary was when it was named."""
    source: Source
    """Makes the connection to the primary."""
    account: Account
    """Makes all others."""
    options: Options
    dial: Any = None
    """What stands for where the servers are, beside their addresses; None for nothing."""
    init_command: Any = None
    cursorclass: Any = None
    begins_unknown: bool = False
    """What the session has set when it begins is not known."""


class GivenConnection(Connection[Any]):
    """One primary and its replicas, over PyMySQL's connections that somebody else makes.

    Statements that are run on `wrapped` directly are not seen by rwsplit.
    """

    physical: Callable[..., Any] = LentConnection
    """Drives the connection to the primary."""

    def __init__(self, given: Given) -> None:
        options = given.options
        self._given = given
        self._named_id = options.session_id
        self._store = open_store(options.session_store)
        self._options = options
        self._own_init = given.init_command
        self.driver_connection: Any = type(self).physical(
            given.source, given.primary, primary_setup(options.session_variables)
        )
        self._account = given.account
        self._turn = self.driver_connection.turn
        self._template = None
        self._result: Any = None
        self._affected_rows: Any = 0
        self.connect()
        self.cursorclass = given.cursorclass or getattr(self.wrapped, "cursorclass", Cursor)

    def connect(self, sock: Any = None) -> None:
        """Connect to the primary; replicas are connected to when first needed."""
        super().connect()
        if self._given.begins_unknown:
            repeats = self._given.source.can_repeat
            self._session.state.doubt_beginning(repeats)
            if not repeats:
                self._session.followed.lose_track()  # the application has used it
        options = self._options
        asks = options.replicas and options.reads != "primary"
        if asks and not self.driver_connection.tracks:
            self.cluster.warn_once(
                "all runs on the primary %s: %s",
                self.cluster.primary.name,
                self._given.driver.why_untold,
            )

    def _find_cluster(self) -> tuple[Cluster, str]:
        return cluster_at(self._given.primary, self._options, self._given.dial)

    @property
    def wrapped(self) -> Any:
        """The application's own connection to the primary."""
        return self.driver_connection.wrapped

    @property
    def capabilities(self) -> Capability:
        """What the driver's connection to the primary can tell and do."""
        offers: Capability = self.driver_connection.offers
        return offers
