"""The store of many hosts: an existing Redis server."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from time import time
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from .._core.cluster.position import Position, encode
from .base import (
    MARK_SECONDS,
    MOST_ENTRIES,
    Stored,
    StoreError,
    StoreIsEmpty,
    kept_of,
    read_position,
    union,
)

__all__ = ["RedisStore"]

_POSITION = b"position"
_FLOOR = "floor"
_AGES = "ages"
_ENTRY = "session:"
_TIMEOUT = 1.0
_TRIES = 100


class RedisStore:
    """Positions and marks in Redis: a hash for each session id, one for the floor.

    A server that has lost its data has lost positions that somebody must see. So the floor's key is
    what tells a store that has them all: while it is missing, `get` and `open` raise, until
    `begin` has put the primary's own position there.

    :param url: as `redis.Redis.from_url` takes it; `prefix=` in its query (default `rwsplit:`)
        goes before every key, and each cluster needs its own.
    """

    _open: ClassVar[dict[str, RedisStore]] = {}

    def __init__(self, url: str, most: int = MOST_ENTRIES) -> None:
        try:
            import redis  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ValueError(
                "session_store: redis://... needs the redis package: pip install 'rwsplit[redis]'"
            ) from error
        try:
            parts = urlsplit(url)
            _ = parts.port
            if "@" in parts.query or "@" in parts.path:
                raise ValueError
        except ValueError:
            # What urllib says shows a part of the password.
            raise ValueError(
                "session_store: expected redis://[:password@]host[:port][/number], with '/', '?', "
                "'#', '@' and ':' of the password as %XX"
            ) from None
        query = dict(parse_qsl(parts.query))
        self._prefix = query.pop("prefix", "rwsplit:")
        self._most = most
        rest = "&".join([f"{name}={value}" for name, value in query.items()])
        options = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT}
        self._failures: Any = (redis.RedisError, OSError, ValueError)
        self._conflict: Any = redis.WatchError
        self._redis: Any = redis.Redis.from_url(urlunsplit(parts._replace(query=rest)), **options)

    @classmethod
    def at(cls, url: str) -> RedisStore:
        """Return the process's one store at this address."""
        known = cls._open.get(url)
        if known is None:
            known = cls._open[url] = cls(url)
        return known

    def __repr__(self) -> str:
        """Name the prefix; the address may hold a password."""
        return f"<RedisStore {self._prefix}>"

    def begin(self, position: Position) -> None:
        """Make a store that is empty one that lets everyone see `position`."""
        try:
            self._redis.hsetnx(self._key(_FLOOR), _POSITION, encode(position))
        except self._failures as error:
            raise self._failed(error) from error

    def get(self, session_id: str) -> Stored:
        """Return what the session id must see."""
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.hget(self._key(_FLOOR), _POSITION)
                pipe.hgetall(self._key(_ENTRY + session_id))
                floor, entry = pipe.execute()
            if floor is None:
                raise StoreIsEmpty(f"session store {self._prefix}: it is empty")
            position = read_position(floor, repr(self))
            if _POSITION in entry:
                mine = read_position(entry[_POSITION], repr(self))
                position = union(mine, position, repr(self))
            now = time()
            marks = [float(value) for name, value in entry.items() if name != _POSITION]
            # Nobody makes one that is to count for longer.
            is_open = any(now < expires < now + 2 * MARK_SECONDS for expires in marks)
            return Stored(position or None, is_open)
        except self._failures as error:
            raise self._failed(error) from error

    def open(self, session_id: str) -> str:
        """Mark the session id."""
        mark = f"mark:{uuid.uuid4().hex}"
        try:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(self._key(_ENTRY + session_id), mark, time() + MARK_SECONDS)
                pipe.exists(self._key(_FLOOR))
                _, has_floor = pipe.execute()
            if not has_floor:
                self._redis.hdel(self._key(_ENTRY + session_id), mark)
                raise StoreIsEmpty(f"session store {self._prefix}: it is empty")
        except self._failures as error:
            raise self._failed(error) from error
        return mark

    def publish(self, session_id: str, mark: object, position: Position | None) -> None:
        """Add what the write committed, and take the mark away."""
        key = self._key(_ENTRY + session_id)
        try:
            if position is None:
                self._redis.hdel(key, mark)
                return
            for _ in range(_TRIES):
                if self._try_publish(key, session_id, mark, position):
                    break
            else:
                raise StoreError("the session store is too busy")
            if self._redis.zcard(self._key(_AGES)) > self._most:
                self._evict()
        except self._failures as error:
            raise self._failed(error) from error

    def _try_publish(self, key: str, session_id: str, mark: object, position: Position) -> bool:
        with self._redis.pipeline() as pipe:
            try:
                pipe.watch(key)
                known = pipe.hget(key, _POSITION)
                together = position
                if known is not None:
                    together = union(read_position(known, repr(self)), position, repr(self))
                pipe.multi()
                pipe.hset(key, _POSITION, encode(together))
                pipe.hdel(key, mark)
                pipe.zadd(self._key(_AGES), {session_id: time()})
                pipe.execute()
            except self._conflict:
                return False
        return True

    def let_go(self, session_id: str, ask: Callable[[], Position]) -> None:
        """Let go of what the primary does not have; `ask` asks where it is."""
        try:
            for key in (self._key(_ENTRY + session_id), self._key(_FLOOR)):
                with self._redis.pipeline() as pipe:
                    # What is published meanwhile it may not have had when it was asked.
                    pipe.watch(key)
                    value = pipe.hget(key, _POSITION)
                    kept = None if value is None else kept_of(value, repr(self), ask)
                    if kept is not None:
                        pipe.multi()
                        pipe.hset(key, _POSITION, encode(kept))
                        pipe.execute()
        except self._conflict:
            return  # who reads next looks again
        except self._failures as error:
            raise self._failed(error) from error

    def _evict(self) -> None:
        """Fold the oldest entries into the floor; who comes too late tries the next time."""
        ages, floor = self._key(_AGES), self._key(_FLOOR)
        for name in self._redis.zrange(ages, 0, max(self._most // 100, 1) - 1):
            key = self._key(_ENTRY + name.decode())
            with self._redis.pipeline() as pipe:
                try:
                    pipe.watch(key, floor)
                    entry, low = pipe.hget(key, _POSITION), pipe.hget(floor, _POSITION)
                    if low is None:
                        return
                    raised = read_position(low, repr(self))
                    if entry is not None:
                        raised = union(raised, read_position(entry, repr(self)), repr(self))
                    pipe.multi()
                    pipe.hset(floor, _POSITION, encode(raised))
                    pipe.hdel(key, _POSITION)
                    pipe.zrem(ages, name)
                    pipe.execute()
                except self._conflict:
                    return

    def _key(self, name: str) -> str:
        return self._prefix + name

    def _failed(self, error: Exception) -> StoreError:
        return StoreError(f"session store {self._prefix}: {type(error).__name__}: {error}")
