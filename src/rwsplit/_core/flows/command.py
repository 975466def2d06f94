"""What a flow wants done outside: its commands, and how it waits for them.

`reply = yield from command` has a command carried out. What it raises is raised there, in the flow.
A flow yields nothing while it holds a lock, and nothing in a `finally`: it may be closed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Generic, TypeVar, cast

from ..position import Position

__all__ = [
    "AskAside",
    "AskPosition",
    "Command",
    "Exchange",
    "Flow",
    "HavePrimary",
    "LetGo",
    "Open",
    "Post",
    "Settle",
    "WaitAside",
]

T = TypeVar("T")


class Command(Generic[T]):
    """Something that only the outside can do, and that answers with a T."""

    __slots__ = ()

    def __iter__(self) -> Generator[Command[Any], Any, T]:
        return cast(T, (yield self))


Flow = Generator[Command[Any], Any, T]


class Exchange(Command[None]):
    """One round trip with a member: statements of ours, and one of the application's behind them.

    :param before: what comes first.
    :param sql: the application's statement, whose result becomes the member's; None for none.
    :param accept: judges the replies to what came first before that result is read. What it raises
        throws the result away.
    :param limit: how many seconds an answer may take; None for the connection's own limits.
    :param measure: counts the statement while it runs, and how long that takes; None for nobody.
    :param timed: whether how long it takes tells of the replica.
    """

    __slots__ = (
        "accept",
        "before",
        "fingerprint",
        "limit",
        "measure",
        "member",
        "sql",
        "timed",
        "unbuffered",
    )

    def __init__(
        self,
        member: Any,
        before: Sequence[str | bytes],
        accept: Callable[[list[Any]], None],
        sql: bytes | None = None,
        unbuffered: bool = False,
        fingerprint: Any = None,
        limit: float | None = None,
        measure: Any = None,
        timed: bool = False,
    ) -> None:
        self.member = member
        self.before = before
        self.accept = accept
        self.sql = sql
        self.unbuffered = unbuffered
        self.fingerprint = fingerprint
        self.limit = limit
        self.measure = measure
        self.timed = timed

    def __repr__(self) -> str:
        """Tell with whom."""
        return f"<Exchange with {self.member!r}>"


class Post(Command[None]):
    """Send a statement of ours to a member; its reply is read by `Settle`."""

    __slots__ = ("member", "sql")

    def __init__(self, member: Any, sql: str) -> None:
        self.member, self.sql = member, sql


class Settle(Command[None]):
    """Read the reply to what was posted to a member."""

    __slots__ = ("member",)

    def __init__(self, member: Any) -> None:
        self.member = member


class Open(Command[Any]):
    """Open a member on a replica, set up as the session is now; answers with the member."""

    __slots__ = ("replica",)

    def __init__(self, replica: Any) -> None:
        self.replica = replica


class WaitAside(Command[list[Any]]):
    """Run statements of ours on a replica where the application does not see it; their replies."""

    __slots__ = ("replica", "statements")

    def __init__(self, replica: Any, statements: Sequence[str]) -> None:
        self.replica, self.statements = replica, statements


class AskPosition(Command[Position]):
    """Ask a member's server where it is; answers with the position."""

    __slots__ = ("member",)

    def __init__(self, member: Any) -> None:
        self.member = member


class AskAside(Command[Position]):
    """Ask the primary where it is on a connection that the application does not see."""

    __slots__ = ()


class HavePrimary(Command[bool]):
    """Tell whether the primary can be asked now; connects to it if that is worth a try."""

    __slots__ = ()


class LetGo(Command[None]):
    """Have a store let go of what the primary does not have."""

    __slots__ = ("sharing",)

    def __init__(self, sharing: Any) -> None:
        self.sharing = sharing
