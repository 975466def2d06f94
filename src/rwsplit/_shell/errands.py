"""What is done about orders once the cluster's lock is free again: logs, sockets, idle wires."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._core.cluster.orders import CloseIdle, Interrupt, LeftOut, Order, Say, Warn, WarnOnce
from .._drivers.pymysql import PhysicalConnection
from .log import logger
from .pool import Pool
from .registry import Registry

__all__ = ["Errands"]

_MOST_WARNINGS = 1000


class Errands:
    """Carries out orders for one cluster."""

    def __init__(self, pool: Pool, users: Registry[Any]) -> None:
        self._pool = pool
        self._users = users
        self._warned: set[str] = set()
        self._connections: dict[str, Registry[PhysicalConnection]] = {}

    def connections(self, endpoint: str) -> Registry[PhysicalConnection]:
        """Return those of virtual connections to an endpoint."""
        found = self._connections.get(endpoint)
        return self._connections.setdefault(endpoint, Registry()) if found is None else found

    def is_in_use(self) -> bool:
        """Tell whether a virtual connection is open."""
        return any(user._is_in_use() for user in self._users.all())

    def warn_once(self, message: str, *values: object) -> None:
        """Log a warning, once a process."""
        text = message % values
        if text not in self._warned and len(self._warned) < _MOST_WARNINGS:
            self._warned.add(text)
            logger.warning("%s", text)

    def run(self, orders: Iterable[Order]) -> None:
        """Carry them out, but for what the cluster itself does next."""
        for order in orders:
            match order:
                case Warn(message, values):
                    logger.warning(message, *values)
                case WarnOnce(message, values):
                    self.warn_once(message, *values)
                case Say(message, values):
                    logger.info(message, *values)
                case LeftOut():
                    self._leave_out(order)
                case CloseIdle(endpoint):
                    self._pool.close_idle(endpoint)
                case Interrupt(endpoint, only_questions):
                    for connection in self.connections(endpoint).all():
                        if connection.asking or not only_questions:
                            connection.interrupt()
                case _:
                    pass

    def _leave_out(self, order: LeftOut) -> None:
        """Log once why a replica is left out; nobody is told while nobody asks."""
        server, why = order
        if server.left_out is None and self.is_in_use():
            server.left_out = why
            logger.warning(
                "replica %s is left out: %s; its reads run elsewhere, and it will be tried again",
                server.endpoint.name,
                why,
            )

    def after_fork(self) -> None:
        """Let go of locks that threads of the parent may hold."""
        for connections in self._connections.values():
            connections.after_fork()
