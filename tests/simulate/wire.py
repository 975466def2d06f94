"""Connections to the model's servers: round trips, with all that may become of them.

A round trip is there, or its connection is cut, or nobody answers until its time is over. What was
sent runs on the server all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from rwsplit._core.whereabouts import POSITION_SQL
from rwsplit._core.wire import Fault, Kind

from .clock import Clock
from .gtids import Wanted, parse_wanted
from .server import Server

__all__ = ["Call", "Reply", "Wire", "lost"]

_WAIT = re.compile(r"(?:WAIT_FOR_EXECUTED_GTID_SET|MASTER_GTID_WAIT)\('([^']*)',([\d.]+)\)")
_SET = re.compile(r"@`(\w+)`=(\w+)")
_PRIMARYS = frozenset(POSITION_SQL["primary"].values())
_REPLICAS = frozenset(POSITION_SQL["replica"].values())
READ_COMMITTED = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"

Statement = str | bytes
Replies = list[Any]
"""A `Reply` or a `Fault` for each statement."""


class Reply:
    """What a server says to one statement."""

    __slots__ = ("rows", "saw", "state", "tail")

    def __init__(self, rows: tuple[tuple[Any, ...], ...] = (), tail: bytes = b"") -> None:
        self.rows = rows
        self.tail = tail
        self.saw = 0
        """Which transactions a read saw."""
        self.state: dict[str, str] = {}
        """What was set in the session that it ran in."""


def lost(text: str = "Lost connection to MySQL server during query", number: int = 2013) -> Fault:
    """Return the fault of a connection that is gone."""
    return Fault(number, text, Kind.LOST)


class Wire:
    """One connection to a server: the session there, and the round trip that is under way."""

    def __init__(self, server: Server, number: int, dice: Random) -> None:
        self.server = server
        self.number = number
        self.is_open = True
        self.call: Call | None = None
        self.asks = False
        """What is under way is no statement of the application's."""
        self.state: dict[str, str] = {}
        self.fault = lost()
        """What it ends with if it is cut."""
        self.error: Fault | None = None
        """What the next statement of the application is answered with."""
        self._dice = dice
        self._in_transaction = self._commits_show = False
        self._snapshot: int | None = None
        server.wires.add(self)

    def close(self) -> None:
        """Close it; the server notices."""
        self.is_open = False
        self.server.wires.discard(self)

    def cut(self) -> None:
        """Be closed by the server, or on the way to it."""
        self.close()
        if self.call is not None:
            self.call.fail(self.fault)

    # What a server does.

    def run(self, statements: Sequence[Statement], done: Callable[[Replies], None]) -> None:
        """Run one after the other on the server, whatever became of those before."""
        replies: Replies = []
        self._run_rest([*statements], replies, done)

    def _run_rest(
        self, rest: list[Statement], replies: Replies, done: Callable[[Replies], None]
    ) -> None:
        while rest:
            statement = rest.pop(0)
            waits = _WAIT.search(statement) if isinstance(statement, str) else None
            if waits is None:
                replies.append(self._answer(statement))
                continue
            self._wait(parse_wanted(waits[1]), float(waits[2]), rest, replies, done)
            return
        done(replies)

    def _wait(
        self,
        wanted: Wanted,
        seconds: float,
        rest: list[Statement],
        replies: Replies,
        done: Callable[[Replies], None],
    ) -> None:
        server = self.server
        failed = 1 if server.flavor == "mysql" else -1

        def over(in_time: bool) -> None:
            replies.append(Reply(((0 if in_time else failed,),)))
            self._run_rest(rest, replies, done)

        waiter = (wanted, over)

        def late() -> None:
            if waiter in server.waiting:
                server.waiting.remove(waiter)
                over(False)

        if server.told.covers(wanted):
            over(True)
            return
        server.waiting.append(waiter)
        server.clock.at(seconds, late)

    def _answer(self, statement: Statement) -> Reply | Fault:
        if isinstance(statement, bytes):
            return self._read()
        if statement in _PRIMARYS or statement in _REPLICAS:
            text = self.server.told.text
            owned = self.server.owned() if statement in _PRIMARYS else ""
            return Reply(((",".join(filter(None, (owned, text))),),))
        if statement.startswith("START TRANSACTION"):
            self._in_transaction, self._snapshot = True, None
            return Reply()
        if statement == "COMMIT":
            self._in_transaction = self._commits_show = False
            self._snapshot = None
            return Reply(tail=self._tail())
        if statement == READ_COMMITTED:
            self._commits_show = True
            return Reply()
        self.state.update(_SET.findall(statement))
        return Reply()

    def _read(self) -> Reply | Fault:
        if self.error is not None:
            fault, self.error = self.error, None
            return fault
        mask = self.server.shown.mask
        if self._in_transaction and not self._commits_show:
            if self._snapshot is None:
                self._snapshot = mask
            mask = self._snapshot
        reply = Reply(tail=b"" if self._in_transaction else self._tail())
        reply.saw, reply.state = mask, self.state.copy()
        return reply

    def _tail(self) -> bytes:
        if self.server.flavor == "mariadb":
            return b""
        text = self.server.told.text.encode()
        data = b"\x00" + _lenenc(len(text)) + text
        block = b"\x03" + _lenenc(len(data)) + data
        return b"\x00" + _lenenc(len(block)) + block


class Call:
    """One round trip.

    :param work: what the server does: called with what takes its answer.
    :param seconds: how long an answer may take; None for as long as it likes.
    """

    def __init__(
        self,
        clock: Clock,
        dice: Random,
        wire: Wire,
        work: Callable[[Callable[[Any], None]], None],
        done: Callable[[Any], None],
        failed: Callable[[Fault], None],
        seconds: float | None = None,
    ) -> None:
        self._clock, self._dice, self._wire = clock, dice, wire
        self._work, self._done, self._failed = work, done, failed
        self._is_over = False
        if not wire.is_open:
            clock.at(0.0, self.fail, lost())
            return
        wire.call = self
        clock.at(dice.uniform(0.0001, 0.001), self._arrive)
        if seconds is not None:
            clock.at(seconds, self._time_out)

    def _arrive(self) -> None:
        if not self._wire.is_open:
            return
        if self._wire.server.is_hung:
            self._wire.server.held.append(self._arrive)
            return
        self._work(self._answered)

    def _answered(self, answer: Any) -> None:
        if self._wire.is_open:
            self._clock.at(self._dice.uniform(0.0001, 0.001), self._finish, answer)

    def _finish(self, answer: Any) -> None:
        if self._is_over:
            return
        if self._wire.server.is_hung:
            self._wire.server.held.append(lambda: self._finish(answer))
            return
        self._is_over, self._wire.call = True, None
        self._done(answer)

    def _time_out(self) -> None:
        if not self._is_over:
            self._wire.close()
            self.fail(lost("Lost connection to MySQL server during query (timed out)"))

    def fail(self, fault: Fault) -> None:
        """End with a fault."""
        if not self._is_over:
            self._is_over, self._wire.call = True, None
            self._failed(fault)


def _lenenc(number: int) -> bytes:
    return bytes([number]) if number < 0xFB else b"\xfc" + number.to_bytes(2, "little")
