"""Wires that closed connections left behind, for those that connect next with the same account."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .._drivers.pymysql import PhysicalConnection, Wire

__all__ = ["Pool", "account_key"]

_MOST_KEYS = 1000


class Pool:
    """The idle wires of one cluster in this process, by endpoint and account.

    A wire comes back with its session reset: what one session has set, locked or left open is gone
    before the next can see it.

    :param size: how many are kept for each endpoint and account; the oldest is closed.
    :param sizes: the same by endpoint, for those that have a size of their own.
    """

    def __init__(self, size: int, sizes: Mapping[str, int]) -> None:
        self.size = size
        self._sizes = sizes
        self.in_use: Counter[str] = Counter()
        """By endpoint, how many connections are open and not idle here."""
        self._idle: dict[Any, list[Wire]] = {}
        # A connection that nobody holds any more is given back wherever that is noticed.
        self._lock = threading.RLock()
        self._closed = False

    def __repr__(self) -> str:
        """Tell how many wires are idle, and how many connections are in use."""
        with self._lock:
            idle = sum(map(len, self._idle.values()))
        return f"<Pool size={self.size} idle={idle} in_use={self.in_use.total()}>"

    def connect(self, endpoint: str, connection: PhysicalConnection, keys: Sequence[Any]) -> None:
        """Connect, through an idle wire of one of these keys if there is one.

        Raises what `connect` raises.
        """
        while True:
            wire = self._take(keys)
            if wire is None:
                connection.connect()
                break
            try:
                connection.take_over(wire)
            except Exception:
                # A server that closed it for idling is no news; a fresh one tells what is.
                wire.drop()
            else:
                break
        self._count(endpoint, 1)

    def close(self, endpoint: str, connection: PhysicalConnection, key: Any) -> None:
        """Close a connection that `connect` opened; its wire is kept where `key` is not None."""
        self._count(endpoint, -1)
        wire = None
        size = self._sizes.get(endpoint, self.size)
        if key is not None and size and not self._closed:
            wire = connection.leave()
        if wire is not None:
            for surplus in self._keep(key, wire, size):
                surplus.close()
        elif not connection._closed:
            connection.close()

    def forget(self, endpoint: str) -> None:
        """Note that a connection is gone that `connect` opened."""
        self._count(endpoint, -1)

    def _count(self, endpoint: str, change: int) -> None:
        with self._lock:
            self.in_use[endpoint] += change

    def _take(self, keys: Sequence[Any]) -> Wire | None:
        with self._lock:
            for key in keys:
                idle = self._idle.get(key, [])
                # One whose session is still being reset, a long rollback say, is left for later.
                for index in reversed(range(len(idle))):
                    if idle[index].is_ready():
                        return idle.pop(index)
        return None

    def _keep(self, key: Any, wire: Wire, size: int) -> list[Wire]:
        """Keep a wire; returns those to close."""
        with self._lock:
            if self._closed or (key not in self._idle and len(self._idle) >= _MOST_KEYS):
                return [wire]
            idle = self._idle.setdefault(key, [])
            idle.append(wire)
            surplus, idle[:] = idle[:-size], idle[-size:]
        return surplus

    def close_idle(self, endpoint: str | None = None) -> None:
        """Close the idle wires, of one endpoint or of all."""
        with self._lock:
            keys = [key for key in self._idle if endpoint is None or key[0] == endpoint]
            wires = [wire for key in keys for wire in self._idle.pop(key)]
        for wire in wires:
            wire.close()

    def shut(self) -> None:
        """Close what is idle, and keep no more."""
        self._closed = True
        self.close_idle()

    def after_fork(self) -> None:
        """Let go of the parent's sockets, in a child."""
        self._lock = threading.RLock()
        wires = [wire for idle in self._idle.values() for wire in idle]
        self._idle.clear()
        for wire in wires:
            wire.drop()


def account_key(known: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Return the key of connections that are alike but for what their sessions set.

    `known` is what else they have in common, the endpoint's name first.
    """
    return (*known, _frozen(options))


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(sorted((str(key), _frozen(value[key])) for key in value))
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    try:
        hash(value)
    except TypeError:
        return _Same(value)
    # True == 1, and b"" != "".
    return type(value).__name__, value


class _Same:
    """Equal to itself alone, however it compares."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other._value is self._value

    def __hash__(self) -> int:
        return id(self._value)
