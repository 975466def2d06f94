"""A virtual connection's part in a session that other connections share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pymysql import err

from .._core.position import Position
from .._core.session_id import check_session_id
from .._stores import MemoryStore, SessionStore, Stored, StoreError, StoreIsEmpty
from .server import logger

__all__ = ["Sharing", "current_session_id", "session_id"]

_UNREACHABLE = 2003

current_session_id: ContextVar[str | None] = ContextVar("rwsplit_session_id", default=None)


@contextmanager
def session_id(value: str | int) -> Iterator[str]:
    """Give all connections used in this block this session id: that of a web request, say.

    It is a context variable, so each thread and each task has its own. Raises ProgrammingError for
    an id that is not 1 to 255 printable characters.
    """
    try:
        checked = check_session_id(value)
    except ValueError as error:
        raise err.ProgrammingError(str(error)) from None
    token = current_session_id.set(checked)
    try:
        yield checked
    finally:
        current_session_id.reset(token)


class Sharing:
    """What is shared under one session id: asked before reads, told after writes.

    :param ask: asks the primary for its position, for a store that has nothing yet.
    """

    def __init__(self, store: SessionStore, key: str, ask: Callable[[], Position]) -> None:
        self.key = key
        self._store = store
        self._ask = ask
        self._mark: Any = None
        self._is_open = False

    def __repr__(self) -> str:
        """Name the session id."""
        return f"<Sharing {self.key!r}>"

    def look(self) -> Stored | str:
        """Return what the session must see, or why that is not known: then the primary reads."""
        try:
            stored: Stored = self._asked(lambda: self._store.get(self.key))
        except StoreError as error:
            return str(error)
        if stored.is_open and not self._is_open:
            return "a write of this session id is under way elsewhere"
        return stored

    def begin_write(self) -> None:
        """Mark the session id before a write. Raises OperationalError if that can't be done.

        Written all the same, the write would not be seen by others of this session id.
        """
        if self._is_open:
            return
        try:
            self._mark = self._asked(lambda: self._store.open(self.key))
        except StoreError as error:
            message = f"{error}; nothing was written, for others could not know of it"
            raise err.OperationalError(_UNREACHABLE, message) from error
        self._is_open = True

    def publish(self, position: Position | None) -> None:
        """Tell others what was committed; if that fails the mark stays: they use the primary."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            self._store.publish(self.key, self._mark, position)
        except StoreError as error:
            logger.warning("%s; reads of this session id run on the primary", error)

    def forget(self, position: Position) -> None:
        """Drop what every replica has, where the store is this process's own."""
        if isinstance(self._store, MemoryStore):
            self._store.forget(self.key, position)

    def _asked(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except StoreIsEmpty:
            self._store.begin(self._ask())
            return action()
