"""A virtual connection once it is connected: what runs its statements, and whose turn it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .._core.flows.answer import Answer
from .._core.flows.command import Flow
from .._core.session.session import Session
from .._drivers import err
from .._drivers.pymysql import in_use
from .cluster import Cluster
from .hold import Hold
from .starting import Begun
from .surface import Surface

if TYPE_CHECKING:
    from .._core.session.route import RouteTaken
    from .._core.setup.options import Options

__all__ = ["Connected"]


class Connected(Surface):
    """What every method of a connection stands on."""

    route: RouteTaken | None = None
    """The route that the last statement took."""
    _options: Options
    _named_id: str | None
    """The session id that the connection was given."""
    _turn: Any
    """Held by the thread whose statement is running."""
    _result: Any
    """What the application sees of the last statement; None once PyMySQL would not know it."""
    _begun: Begun | None = None
    """None until it is connected."""
    _hold: Hold | None = None
    _cluster: Cluster | None = None
    _is_over = False
    """It was closed, and nothing of it is left."""

    @property
    def cluster(self) -> Cluster:
        """The cluster that this connection's members belong to."""
        if self._cluster is None:
            raise err.InterfaceError(0, "")
        return self._cluster

    def _connected(self) -> Begun:
        """Return what runs statements; raises PyMySQL's error where it is not connected yet."""
        if self._begun is None:
            raise err.InterfaceError(0, "")
        return self._begun

    @property
    def _session(self) -> Session:
        return self._connected().session

    @contextmanager
    def _having_turn(self) -> Iterator[Begun]:
        """Do what has a method of its own; raises InterfaceError amid another thread's statement.

        What was interrupted amid its way to the primary and back is lost with the connection.
        """
        if not self._turn.acquire(False):
            raise in_use()
        writes = self.driver_connection.writes
        try:
            yield self._connected()
        except err.MySQLError:
            raise
        except BaseException:
            self._note_interrupt(writes)
            raise
        finally:
            self._turn.release()

    def _note_interrupt(self, writes: int) -> None:
        self._result = None
        begun = self._begun
        if begun is not None:
            begun.roads.perform(begun.journey.recovering.interrupted(writes))

    def _do(self, begun: Begun, flow: Flow[Answer | None]) -> None:
        """Do what has a method of its own, and no result."""
        self._result = None
        answer = begun.roads.perform(flow)
        if answer is not None:
            self.route = answer.route

    def _transact(self, verb: str) -> None:
        """BEGIN, COMMIT or ROLLBACK: what `_having_turn` does, of which much has it to itself."""
        turn = self._turn
        if not turn.acquire(False):
            raise in_use()
        writes = self.driver_connection.writes
        self._result = None
        try:
            self.route = self._connected().roads.transact(verb).route
        except err.MySQLError:
            raise
        except BaseException:
            self._note_interrupt(writes)
            raise
        finally:
            turn.release()

    @property
    def server_status(self) -> int:
        """The primary's status bits, and whether a transaction is open anywhere."""
        if self._begun is None:
            return self.driver_connection.server_status
        return self._begun.roads.server_status

    @server_status.setter
    def server_status(self, value: int) -> None:
        self.driver_connection.server_status = value
