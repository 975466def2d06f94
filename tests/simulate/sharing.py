"""Session ids in the simulation: the store that they are kept in, and a connection's part in it.

What the shell does with a store it waits for is done here by flows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rwsplit._core.cluster.position import Position, within
from rwsplit._core.flows.command import Flow
from rwsplit._core.numbers import UNREACHABLE
from rwsplit._core.wire import Fault
from rwsplit._stores import MemoryStore, Stored, StoreError, StoreIsEmpty

from .commands import Pause

__all__ = ["MarkedStore", "Sharing"]


class MarkedStore:
    """A store outside of the process: it keeps marks, may be away, and may lose what it has."""

    seconds = 0.0006
    """How long it takes to ask it."""

    def __init__(self) -> None:
        self.is_away = False
        self._floor: Position | None = None
        self._known: dict[str, Position] = {}
        self._marks: dict[str, set[object]] = {}

    def lose_all(self) -> None:
        """Have nothing any more."""
        self._floor = None
        self._known.clear()
        self._marks.clear()

    def begin(self, position: Position) -> None:
        self._check(needs_all=False)
        self._floor = position if self._floor is None else self._floor | position

    def get(self, session_id: str) -> Stored:
        self._check()
        assert self._floor is not None
        known = self._known.get(session_id, self._floor)
        return Stored(known | self._floor, bool(self._marks.get(session_id)))

    def open(self, session_id: str) -> object:
        self._check()
        mark = object()
        self._marks.setdefault(session_id, set()).add(mark)
        return mark

    def publish(self, session_id: str, mark: object, position: Position | None) -> None:
        self._check()
        if position is not None:
            known = self._known.get(session_id)
            self._known[session_id] = position if known is None else known | position
        self._marks.get(session_id, set()).discard(mark)

    def let_go(self, session_id: str, ask: Callable[[], Position]) -> None:
        self._check()
        now = ask()
        if session_id in self._known:
            self._known[session_id] = within(self._known[session_id], now)
        assert self._floor is not None
        self._floor = within(self._floor, now)

    def _check(self, needs_all: bool = True) -> None:
        if self.is_away:
            raise StoreError("the store is away")
        if self._floor is None and needs_all:
            raise StoreIsEmpty("the store is empty")


class Sharing:
    """What one connection shares under a session id.

    :param ask: asks the primary where it is, by a flow.
    :param failed: is told that a mark stays, as the store could not be told of its end.
    """

    def __init__(
        self,
        store: MemoryStore | MarkedStore,
        key: str,
        ask: Callable[[], Flow[Position]],
        failed: Callable[[], None],
    ) -> None:
        self.key = key
        self._store, self._ask, self.failed = store, ask, failed
        self.is_local = isinstance(store, MemoryStore)
        self._mark: Any = None
        self.is_open = False
        """A write is marked."""
        self.awaits = False
        """What was sent last was not answered."""

    def answered(self) -> None:
        self.awaits = False

    def forget(self, position: Position) -> None:
        if isinstance(self._store, MemoryStore):
            self._store.forget(self.key, position)

    @property
    def latest(self) -> object:
        """What there is; in this process only."""
        stored = self._store.get(self.key)
        return stored if stored.is_open else stored.position

    def publish_here(self, position: Position) -> None:
        """Tell others at once, without a mark; in this process only."""
        self._store.publish(self.key, None, position)

    def looking(self, flavor: str) -> Flow[Stored | str]:
        """Return what must be seen, or why that is not known."""
        try:
            stored = yield from self._asking(lambda: self._store.get(self.key))
        except StoreError as error:
            return str(error)
        except Fault as fault:
            return f"the store is empty, and the primary could not be asked: {fault}"
        if stored.is_open and not self.is_open:
            return "a write of this session id is under way elsewhere"
        return stored

    def marking(self) -> Flow[None]:
        """Mark a write."""
        if not self.is_open:
            try:
                self._mark = yield from self._asking(lambda: self._store.open(self.key))
            except StoreError as error:
                raise Fault(UNREACHABLE, f"{error}; nothing was written") from error
            self.is_open = True
        self.awaits = True

    def leave_open(self) -> None:
        """Let others know of a marked write whose position is not known as its answer is."""
        if self.is_open and self._mark is None and isinstance(self._store, MemoryStore):
            self._mark = self._store.leave_open(self.key)

    def publishing(self, position: Position | None) -> Flow[bool]:
        """Tell what was committed, and end the mark."""
        if not self.is_open:
            return False
        mark, self._mark, self.is_open = self._mark, None, False
        yield from self._waiting()
        try:
            self._store.publish(self.key, mark, position)
        except StoreError:
            self.failed()
            return False
        return True

    def letting_go(self) -> Flow[None]:
        """Let the store let go of what the primary does not have."""
        store, key = self._store, self.key
        try:
            before = store.get(key)
            now = yield from self._ask()
            if store.get(key) is before or isinstance(store, MarkedStore):
                store.let_go(key, lambda: now)
        except (StoreError, Fault):
            pass

    def _waiting(self) -> Flow[None]:
        if isinstance(self._store, MarkedStore):
            yield from Pause(self._store.seconds)

    def _asking(self, action: Callable[[], Any]) -> Flow[Any]:
        yield from self._waiting()
        try:
            return action()
        except StoreIsEmpty:
            self._store.begin((yield from self._ask()))
            return action()
