"""What a flow wants done outside: its commands, and how it waits for them.

`reply = yield from command` has a command carried out. What it raises is raised there, in the flow.
A flow yields nothing while it holds a lock, and nothing in a `finally`: it may be closed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Generic, TypeVar

from ..cluster.facts import PrimaryFacts
from ..cluster.position import Position

__all__ = [
    "Acquire",
    "Ask",
    "AskAllAside",
    "AskAside",
    "ByMethod",
    "Claim",
    "Command",
    "Connect",
    "Exchange",
    "FinishPrevious",
    "Flow",
    "KillElsewhere",
    "LetGo",
    "Look",
    "Mark",
    "Open",
    "Post",
    "Publish",
    "Repeat",
    "ReportLate",
    "Settle",
    "Share",
    "WaitAside",
    "WaitForAnyone",
    "WaitForPrimary",
    "WatchSnapshot",
]

T = TypeVar("T")


class Command(Generic[T]):
    """Something that only the outside can do, and that answers with a T."""

    __slots__ = ()

    def __iter__(self) -> Generator[Command[Any], Any, T]:
        reply: T = yield self
        return reply


Flow = Generator[Command[Any], Any, T]


class Exchange(Command[Any]):
    """One round trip with a member: statements of ours, and one of the application's behind them.

    Answers with the result of that one.

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
    """Open a member on a replica, set up as the session is now; answers with the member.

    :param along: the set-up may go along with the exchange that comes next, with nothing before the
        statement. Where its wire is of no use, or the server none that may be read from, that one
        raises a fault of the kind STALE; then the member is to be dropped, and opened alone.
    :param alone: whether it is opened alone where it can't be so; else the answer is None then.
    """

    __slots__ = ("alone", "along", "replica")

    def __init__(self, replica: Any, along: bool = False, alone: bool = True) -> None:
        self.replica, self.along, self.alone = replica, along, alone


class WaitAside(Command[list[Any]]):
    """Run statements of ours on a replica where the application does not see it; their replies."""

    __slots__ = ("replica", "statements")

    def __init__(self, replica: Any, statements: Sequence[str]) -> None:
        self.replica, self.statements = replica, statements


class Ask(Command[list[Any]]):
    """Run statements of ours on a member, in one round trip; their replies, faults among them.

    Values come as the server sent them. What the application still has of its last statement there
    stays.

    :param again: they can be asked again, where the server does not answer.
    """

    __slots__ = ("again", "member", "statements")

    def __init__(self, member: Any, statements: Sequence[str | bytes], again: bool = False) -> None:
        self.member, self.statements, self.again = member, statements, again


class Repeat(Command[list[Any]]):
    """Run statements on a member again, for the fingerprints of what they answer.

    :param orders: for each whether its rows are ordered; None where only its fault matters.

    Answers with a fingerprint for each, None, or its fault.
    """

    __slots__ = ("member", "orders", "statements")

    def __init__(
        self, member: Any, statements: Sequence[bytes], orders: Sequence[bool | None]
    ) -> None:
        self.member, self.statements, self.orders = member, statements, orders


class ByMethod(Command[Any]):
    """Do what has a command of its own in the protocol: ping, commit, a change of schema ..."""

    __slots__ = ("arguments", "member", "method")

    def __init__(self, member: Any, method: str, *arguments: Any) -> None:
        self.member, self.method, self.arguments = member, method, arguments


class ReportLate(Command[bool]):
    """Have a member report what a statement that failed had changed; False if nobody told."""

    __slots__ = ("member", "schema")

    def __init__(self, member: Any, schema: str | None) -> None:
        self.member, self.schema = member, schema


class FinishPrevious(Command[None]):
    """Read what is left of a member's last results."""

    __slots__ = ("member",)

    def __init__(self, member: Any) -> None:
        self.member = member


class Connect(Command[PrimaryFacts]):
    """Connect to the primary, wherever that is; what its server told."""

    __slots__ = ()


class WaitForPrimary(Command[bool]):
    """Wait until there is a primary, or another than in this generation; False when time is over.

    :param until: when it is over (monotonic seconds).
    """

    __slots__ = ("generation", "until")

    def __init__(self, generation: int, until: float) -> None:
        self.generation, self.until = generation, until


class WaitForAnyone(Command[None]):
    """Wait until another server may be asked, or the time is over (monotonic seconds)."""

    __slots__ = ("until",)

    def __init__(self, until: float) -> None:
        self.until = until


class AskAside(Command[Position]):
    """Ask the primary where it is on a connection that the application does not see.

    `hastily` where one can do without the answer: a primary that is late is then not waited for.
    """

    __slots__ = ("hastily",)

    def __init__(self, hastily: bool = False) -> None:
        self.hastily = hastily


class AskAllAside(Command[list[Any]]):
    """Ask the primary so, whatever the questions are; the rows that answer each."""

    __slots__ = ("questions",)

    def __init__(self, questions: Sequence[str]) -> None:
        self.questions = questions


class Look(Command[Any]):
    """Look what is stored under a session id; why that is not known, as a text."""

    __slots__ = ("flavor", "sharing")

    def __init__(self, sharing: Any, flavor: str) -> None:
        self.sharing, self.flavor = sharing, flavor


class Mark(Command[None]):
    """Mark a session id before a write."""

    __slots__ = ("sharing",)

    def __init__(self, sharing: Any) -> None:
        self.sharing = sharing


class Publish(Command[bool]):
    """Store what was committed under a session id, if anything, and end the mark."""

    __slots__ = ("position", "sharing")

    def __init__(self, sharing: Any, position: Position | None) -> None:
        self.sharing, self.position = sharing, position


class Acquire(Command[bool]):
    """Take a turn among the statements of a rule; False when so many seconds are over."""

    __slots__ = ("seconds", "turns")

    def __init__(self, turns: Any, seconds: float) -> None:
        self.turns, self.seconds = turns, seconds


class Claim(Command[None]):
    """Keep a snapshot from being ended as idle until it is let go of (`release`)."""

    __slots__ = ("snapshot",)

    def __init__(self, snapshot: Any) -> None:
        self.snapshot = snapshot


class WatchSnapshot(Command[Any]):
    """Have a snapshot that is open on a member watched, and ended when it is idle for too long.

    Answers with what stands for it.
    """

    __slots__ = ("member",)

    def __init__(self, member: Any) -> None:
        self.member = member


class Share(Command[Any]):
    """Answer with what is shared under the key of a session id."""

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key


class KillElsewhere(Command[None]):
    """Let a KILL that the primary has run reach what it is for on replicas."""

    __slots__ = ("sql",)

    def __init__(self, sql: bytes) -> None:
        self.sql = sql


class LetGo(Command[None]):
    """Have a store let go of what the primary does not have."""

    __slots__ = ("sharing",)

    def __init__(self, sharing: Any) -> None:
        self.sharing = sharing
