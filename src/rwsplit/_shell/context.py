"""What a block of code says for all connections that are used in it.

One context variable holds one immutable value, so that a statement compares one object to learn
that nothing has changed. Each thread and each task has its own; a copy of a context (a child
task's, that of a thread of `asyncio.to_thread`) has the value, and with it the very scope in it.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .._core.session.session_id import check_session_id
from .._core.setup.options import Choice, parse_choice
from .._drivers import err

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["Block", "Context", "checked_id", "current", "session_id", "tags", "using"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Context(NamedTuple):
    """What holds in a block, and in those around it."""

    block: Block
    """Whose doing it is."""
    outer: Context | None
    """What held before."""
    session_id: str | None = None
    scope: Any = None
    """The innermost `Scope`; None outside of all."""
    choice: Choice | None = None
    tags: Mapping[str, str] = {}
    """What rules may match. Never changed."""


current: ContextVar[Context | None] = ContextVar("rwsplit", default=None)


class Block(ABC):
    """A context manager, `with` and `async with`, and a decorator of functions of either kind.

    What it says ends with it wherever it is left: also in another context than it was entered in
    (generators that frameworks run in threads), where it does not hold and nothing is to be undone.
    """

    @abstractmethod
    def within(self, outer: Context | None) -> Context:
        """Return what holds in this block, within another."""

    def _again(self) -> Block:
        """Return what a call of a decorated function enters."""
        return self

    def _enter(self) -> None:
        current.set(self.within(current.get()))

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        before = current.get()
        after = _without(before, self)
        if after is not before:
            current.set(after)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: _Function) -> _Function:
        """Decorate a function, or a coroutine function: each call of it is such a block.

        Raises TypeError for generators: what they say would hold for whoever asks them for the next
        value.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{_name(function)} is a generator: use the block inside of it, around what it "
                "runs between two values"
            )
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def run_async(*args: Any, **keywords: Any) -> Any:
                with self._again():
                    return await function(*args, **keywords)

            return run_async  # type: ignore[return-value]

        @wraps(function)
        def run(*args: Any, **keywords: Any) -> Any:
            block = self._again()
            with block:
                result = function(*args, **keywords)
            # Of an object that is called, or of a function that a framework marks: not begun yet.
            return _awaited(block, result) if inspect.iscoroutine(result) else result

        return run  # type: ignore[return-value]


async def _awaited(block: Any, result: Any) -> Any:
    with block:
        return await result


def _name(function: object) -> str:
    return getattr(function, "__qualname__", None) or repr(function)


def _without(context: Context | None, block: Block) -> Context | None:
    """Return a context without a block's last entry: mostly the last that was made of all."""
    if context is None:
        return None
    if context.block is block:
        return context.outer
    outer = _without(context.outer, block)
    return context if outer is context.outer else context.block.within(outer)


class _SessionId(Block):
    def __init__(self, value: str) -> None:
        self._value = value

    def __enter__(self) -> str:  # type: ignore[override]
        self._enter()
        return self._value

    def within(self, outer: Context | None) -> Context:
        if outer is None:
            return Context(self, None, self._value)
        return outer._replace(block=self, outer=outer, session_id=self._value)


def checked_id(value: object) -> str:
    """Return a session id, as text; raises ProgrammingError."""
    try:
        return check_session_id(value)
    except ValueError as error:
        raise err.ProgrammingError(str(error)) from None


def session_id(value: str | int) -> _SessionId:
    """Give all connections used in this block this session id: that of a web request, say.

    For `with`, `async with`, and as a decorator. It is a context variable, so each thread and each
    task has its own. Raises ProgrammingError for an id that is not 1 to 255 printable characters.
    """
    return _SessionId(checked_id(value))


class _Tags(Block):
    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    def __enter__(self) -> Mapping[str, str]:  # type: ignore[override]
        self._enter()
        entered = current.get()
        assert entered is not None
        return entered.tags

    def within(self, outer: Context | None) -> Context:
        if outer is None:
            return Context(self, None, tags=self._given)
        return outer._replace(block=self, outer=outer, tags={**outer.tags, **self._given})


def tags(**given: str) -> _Tags:
    """Give the statements of this block tags, which the rules of a configuration may match.

    For `with`, `async with`, and as a decorator. They add to those of an outer block and of the
    connection. It is a context variable, so each thread and each task has its own. Raises TypeError
    for what is no text.
    """
    for name, value in given.items():
        if not isinstance(value, str):
            raise TypeError(f"tags: expected a text for {name}, got {type(value).__name__}")
    return _Tags(given)


class _Using(Block):
    def __init__(self, choice: Choice) -> None:
        self._choice = choice

    def within(self, outer: Context | None) -> Context:
        if outer is None:
            return Context(self, None, None, None, self._choice)
        return outer._replace(block=self, outer=outer, choice=self._choice.over(outer.choice))


def using(
    *,
    consistency: str | None = None,
    reads: str | None = None,
    max_staleness: float | None = None,
    group: str | None = None,
) -> Block:
    """Choose for the reads of this block, whichever connections it uses.

    For `with`, `async with`, and as a decorator. Within another such block it changes what it names
    and leaves the rest. Hints in a statement, and `connection.consistency()`, come first; an open
    transaction goes on as it began.

    :param consistency: `"eventual"`, `"session"` or `"global"`.
    :param reads: `"primary"`, or `"replicas"` where the connection was given `reads="primary"`.
    :param max_staleness: how old what a read sees may be, in seconds.
    :param group: the group of replicas that is to serve them.

    Raises ValueError for another value, naming the key.
    """
    said = {"consistency": consistency, "reads": reads, "group": group}
    return _Using(parse_choice({**said, "max_staleness": max_staleness}))
