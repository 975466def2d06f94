"""A virtual connection's part in a session that other connections share."""

from __future__ import annotations

import os
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from .._core.cluster.position import GtidList, GtidSet, Position
from .._core.numbers import UNREACHABLE
from .._drivers import err
from .._stores import MemoryStore, SessionStore, Stored, StoreError, StoreIsDamaged, StoreIsEmpty
from .log import logger

__all__ = ["Sharing", "end_abandoned"]

_MOST_PIECES = 4096
_MEND_SECONDS = 1.0
"""How far apart attempts to mend what a store has are at least."""


class Sharing:
    """What is shared under one session id: asked before reads, told after writes.

    Nothing that a store does or returns is an error of the application's statement, but where a
    write could not be marked before it.

    :param ask: asks the primary for its position.
    """

    def __init__(self, store: SessionStore, key: str, ask: Callable[[], Position]) -> None:
        self.key = key
        self._store = store
        self.is_local = type(store) is MemoryStore
        """Whether it is kept in this process: there is nothing to wait for, and no mark to set."""
        self._ask = ask
        self._mark: Any = None
        self._owner = 0
        """The process that has set the mark; 0 for none."""
        self.awaits = False
        """What was sent last was not answered: what became of it is not known."""
        self._mend_at = 0.0
        """When to try next to mend what the store has (monotonic seconds)."""

    def __repr__(self) -> str:
        """Name the session id."""
        return f"<Sharing {self.key!r}>"

    @property
    def is_open(self) -> bool:
        """Whether a write is marked. What a parent process has marked, it ends itself."""
        return self._owner == os.getpid()

    @property
    def latest(self) -> object:
        """What there is, to be compared with what there was; in this process only."""
        if _abandoned.qsize():
            return _abandoned
        stored = self._store.get(self.key)
        return stored if stored.is_open else stored.position

    def publish_here(self, position: Position) -> None:
        """Tell others at once what was committed, without a mark; in this process only."""
        self._store.publish(self.key, None, position)

    def look(self, flavor: str) -> Stored | str:
        """Return what the session must see, or why that is not known: then the primary reads."""
        end_abandoned()
        try:
            stored = self._asked(lambda: self._store.get(self.key))
        except StoreIsDamaged as error:
            self._mend()
            return str(error)
        except StoreError as error:
            return str(error)
        except err.MySQLError as error:
            return f"the session store is empty, and the primary could not be asked: {error}"
        try:
            position, is_open = stored
            if position is not None and not isinstance(position, GtidSet | GtidList):
                return f"the session store returned a {type(position).__name__} for a position"
            if is_open and not self.is_open:
                return "a write of this session id is under way elsewhere"
        except Exception as error:
            return f"the session store returned what is not Stored: {type(error).__name__}"
        if position is not None:
            if position.flavor != flavor:
                return f"the session store has a position of {position.flavor}"
            if position.pieces > _MOST_PIECES:
                return "the session store has a position of too many pieces"
        return stored  # type: ignore[no-any-return]

    def begin_write(self) -> None:
        """Mark the session id before a write. Raises OperationalError if that can't be done.

        Written all the same, the write would not be seen by others of this session id.
        """
        if not self.is_open:
            end_abandoned()
            try:
                self._mark = self._asked(lambda: self._store.open(self.key))
            except StoreError as error:
                message = f"{error}; nothing was written, for others could not know of it"
                raise err.OperationalError(UNREACHABLE, message) from error
            self._owner = os.getpid()
        self.awaits = True

    def answered(self) -> None:
        """Note that what was sent last was answered, or never sent."""
        self.awaits = False

    def leave_open(self) -> None:
        """Let others know of a marked write whose position is not known as its answer is.

        A store of this process has not been told of it before.
        """
        if self.is_open and self._mark is None and isinstance(self._store, MemoryStore):
            self._mark = self._store.leave_open(self.key)

    def publish(self, position: Position | None) -> bool:
        """Tell others what was committed, if anything, and end the mark.

        False if that fails: the mark stays, so they use the primary.
        """
        if not self.is_open:
            return False
        mark, self._mark, self._owner = self._mark, None, 0
        return _publish(self._store, self.key, mark, position, self._ask)

    def abandon(self, position: Position | None) -> None:
        """Let `publish` be done later and elsewhere: this may run amid anything."""
        if self.is_open:
            _abandoned.put((self._store, self.key, self._mark, position, _ask_nobody))
            self._mark, self._owner = None, 0

    def forget(self, position: Position) -> None:
        """Drop what every replica has, where the store is this process's own."""
        if isinstance(self._store, MemoryStore):
            self._store.forget(self.key, position)

    def let_go(self) -> None:
        """Let the store let go of what the primary does not have, if it can."""
        _let_go(self._store, self.key, self._ask)

    def _mend(self) -> None:
        now = monotonic()
        if now >= self._mend_at:
            self._mend_at = now + _MEND_SECONDS
            logger.warning("%r: the session store has something else than a position", self)
            self.let_go()

    def _asked(self, action: Callable[[], Any]) -> Any:
        try:
            try:
                return action()
            except StoreIsEmpty:
                self._store.begin(self._ask())
                return action()
        except (StoreError, err.MySQLError):
            raise
        except Exception as error:
            # An application's own store.
            raise StoreError(f"the session store failed: {type(error).__name__}") from error


def _publish(
    store: SessionStore,
    key: str,
    mark: Any,
    position: Position | None,
    ask: Callable[[], Position],
) -> bool:
    try:
        try:
            store.publish(key, mark, position)
        except StoreIsDamaged:
            _let_go(store, key, ask)
            try:
                store.publish(key, mark, position)
            except StoreIsDamaged as error:
                # Whoever looks at it finds that, and needs no mark to use the primary.
                store.publish(key, mark, None)
                logger.warning("%s; reads of this session id run on the primary", error)
    except Exception as error:
        # It is committed, whatever a store may do.
        logger.warning(
            "%s; reads of this session id run on the primary",
            error if isinstance(error, StoreError) else f"the session store failed: {error!r}",
        )
        return False
    return True


def _let_go(store: SessionStore, key: str, ask: Callable[[], Position]) -> None:
    let_go = getattr(store, "let_go", None)
    if let_go is not None:
        try:
            let_go(key, ask)
        except Exception as error:
            logger.warning("the session store failed: %s", error)


def _ask_nobody() -> Position:
    raise StoreError("the connection is gone that could ask the primary")


_abandoned: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
"""Marks to end, of connections that nobody holds any more. Putting something in is safe wherever a
garbage collection may run; a store's own lock may be held there."""


def end_abandoned() -> None:
    """End the marks of connections that nobody holds any more."""
    while not _abandoned.empty():
        try:
            found = _abandoned.get_nowait()
        except Empty:
            return
        _publish(*found)


def _after_fork() -> None:
    # They are the parent's.
    global _abandoned  # noqa: PLW0603
    _abandoned = SimpleQueue()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
