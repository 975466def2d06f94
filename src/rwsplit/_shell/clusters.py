"""The clusters of this process: one for the same servers, whoever connects to them."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from weakref import WeakValueDictionary

from cachetools import LRUCache

from .._core.cluster.endpoint import Endpoint
from .._core.setup.options import ClusterOptions
from .._drivers.sources import Whose, key_of
from .._stores import MemoryStore
from .pool import LOST_FUNCTIONS, Pool, warn_of_functions
from .process import ProcessPosition
from .registry import Registry

__all__ = ["Asked", "Clusters", "memory_of"]

_MOST = 100


class Kept(Protocol):
    """What is asked of a cluster here."""

    configured: tuple[Endpoint, tuple[Endpoint, ...]]
    key: tuple[Any, ...]
    """What it is kept by."""
    options: ClusterOptions
    pool: Pool
    users: Registry[Any]
    process: ProcessPosition

    @property
    def primary(self) -> Endpoint:
        """Where the primary is now."""

    def is_in_use(self) -> bool:
        """Tell whether a virtual connection is open."""

    def after_fork(self) -> None:
        """Begin anew in a child, with what is known."""


class Asked(NamedTuple):
    """Which cluster somebody asks for."""

    primary: Endpoint
    replicas: tuple[Endpoint, ...]
    discover: Any
    options: ClusterOptions
    dial: Any

    def key(self) -> tuple[Any, ...]:
        """Return what it is kept by.

        A named one has rules, which are for those alone that ask for it. Whom another `dial` leads
        to are others, whatever they are called.
        """
        servers = (_where(self.primary), tuple(map(_where, self.replicas)))
        return (self.options.name, *servers, self.discover, key_of(self.dial, "dial"))

    def differs(self, known: Kept) -> str:
        """Tell in what a cluster of these servers is another than is asked for; '' for nothing."""
        asked, theirs = (self.primary, *self.replicas), (known.configured[0], *known.configured[1])
        for mine, other in zip(asked, theirs, strict=True):
            if mine == other:
                continue
            for field in ("name", "weight", "rank", "group", "zone", "overrides"):
                if getattr(mine, field) != getattr(other, field):
                    return (
                        f"replicas: {field} of {other.name} is another than this process's cluster "
                        "has for it"
                    )
        for field, value, kept in zip(
            self.options._fields, self.options, known.options, strict=True
        ):
            if value is None or value is kept:
                continue
            wanted, has = _bare(value), _bare(kept)
            if wanted != has:
                where = known.primary.name
                return f"{field}: {wanted!r}, and this process's cluster of {where} has {has!r}"
        return ""


C = TypeVar("C", bound=Kept)


# Only knowledge is lost with the one that was not used for longest, and it is learned again.
class _Kept(LRUCache[Any, C]):
    def popitem(self) -> tuple[Any, C]:
        key, cluster = super().popitem()
        cluster.pool.shut()
        return key, cluster


class Clusters(Generic[C]):
    """The clusters that there are."""

    def __init__(self) -> None:
        self._kept: _Kept[C] = _Kept(_MOST)
        self._lock = threading.Lock()

    def find(self, asked: Asked, make: Callable[[Asked, C | None], C]) -> C:
        """Return the cluster of these servers; made if there is none that fits.

        `make` is given the one whose place the new one takes. Raises ValueError if that one is in
        use.
        """
        key = asked.key()
        with self._lock:
            known = self._kept.get(key)
            if known is None and asked.dial is not None:
                self._look_for_lost_dials(key)
            if known is not None:
                why = asked.differs(known)
                if not why:
                    return known
                if known.is_in_use():
                    raise ValueError(f"{why}; its connections are open")
                self._kept.pop(key)
                known.pool.shut()
            self._kept[key] = cluster = make(asked, known)
        return cluster

    def has(self, cluster: C) -> bool:
        """Tell whether who was given a cluster is given it again."""
        with self._lock:
            return self._kept.get(cluster.key) is cluster

    def _look_for_lost_dials(self, key: tuple[Any, ...]) -> None:
        dials = [each[-1] for each in self._kept if each[:-1] == key[:-1]]
        if sum(isinstance(dial, Whose) and dial.is_gone for dial in dials) >= LOST_FUNCTIONS:
            warn_of_functions("dial")

    def all(self) -> list[C]:
        """Return all that there are."""
        with self._lock:
            return [*self._kept.values()]

    def sharing(self, process: ProcessPosition) -> list[C]:
        """Return those of the same primary."""
        return [each for each in self.all() if each.process is process]

    def forget(self, cluster: C) -> None:
        """Let others have a new one."""
        with self._lock:
            for key, known in [*self._kept.items()]:
                if known is cluster:
                    del self._kept[key]

    def close(self) -> None:
        """Close what is idle, and end the transactions of connections that are open."""
        for cluster in [*self._kept.values()]:
            cluster.pool.shut()
            for user in cluster.users.all():
                user._abandon_mark()

    def watch_process(self, behind: Callable[[], None]) -> None:
        """Close what is idle as the process ends, with what comes behind; begin anew in a child."""
        atexit.register(behind)  # the last to be registered runs first
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.after_fork)

    def after_fork(self) -> None:
        """Begin anew in a child."""
        self._lock = threading.Lock()
        for cluster in [*self._kept.values()]:
            cluster.after_fork()


def _bare(value: Any) -> Any:
    """Return an application's policy as it gave it."""
    return getattr(value, "__wrapped__", value)


def _where(endpoint: Endpoint) -> tuple[str, int, str | None]:
    return endpoint.host, endpoint.port, endpoint.unix_socket


_memories: WeakValueDictionary[tuple[str, int, str | None], MemoryStore] = WeakValueDictionary()


def memory_of(primary: Endpoint) -> MemoryStore:
    """Return the session ids of this process for one primary."""
    return _memories.setdefault(_where(primary), MemoryStore())
