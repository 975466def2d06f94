"""Connections to the model's servers: round trips, with all that may become of them.

A round trip is there, or its connection is cut, or nobody answers until its time is over. What was
sent runs on the server all the same, be it after the client has given up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from rwsplit._core.wire import Fault

from .backend import Backend, Cut
from .clock import Clock
from .gtids import Wanted, parse_wanted
from .replies import Reply, lost
from .server import Server

__all__ = ["Call", "Wire"]

_WAIT = re.compile(r"(?:WAIT_FOR_EXECUTED_GTID_SET|MASTER_GTID_WAIT)\('([^']*)',([\d.]+)\)")

Statement = str | bytes
Replies = list[Any]
"""A `Reply` or a `Fault` for each statement."""


class Wire:
    """One connection to a server, and the round trip that is under way."""

    def __init__(self, server: Server, number: int, backend: Backend) -> None:
        self.server = server
        self.number = number
        self.backend = backend
        self.is_open = True
        self.call: Call | None = None
        self.asks = False
        """What is under way can be asked again."""
        self.is_of_client = False
        """A virtual connection has it."""
        self.fault = lost()
        """What it ends with if it is cut."""
        server.wires.add(self)

    def close(self) -> None:
        """Close it; the server notices."""
        self.is_open = False
        self.server.wires.discard(self)
        self.backend.abort()

    def cut(self) -> None:
        """Be closed by the server, or on the way to it."""
        # Behind a commit there is no word but the end.
        fault = lost() if self.backend.has_committed else self.fault
        self.close()
        if self.call is not None:
            self.call.fail(fault)

    # What a server does.

    def run(self, statements: Sequence[Statement], done: Callable[[Replies], None]) -> None:
        """Run one after the other on the server, whatever became of those before."""
        self.backend.has_committed = False
        self._run_rest([*statements], [], done)

    def _run_rest(
        self, rest: list[Statement], replies: Replies, done: Callable[[Replies], None]
    ) -> None:
        while rest:
            statement = rest.pop(0)
            waits = _WAIT.search(statement) if isinstance(statement, str) else None
            if waits is not None:
                self._wait(parse_wanted(waits[1]), float(waits[2]), rest, replies, done)
                return
            try:
                replies.append(self.backend.answer(statement))
            except Cut:
                self.cut()
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
            reply = Reply(((0 if in_time else failed,),))
            self.backend.note_wait(reply)
            replies.append(reply)
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
            late = self._clock.wait()
            self._clock.at(late + self._dice.uniform(0.0001, 0.001), self._finish, answer)

    def _finish(self, answer: Any) -> None:
        if self._is_over:
            return
        if self._wire.server.is_hung:
            self._wire.server.held.append(lambda: self._finish(answer))
            return
        self._is_over, self._wire.call = True, None
        self._wire.backend.has_committed = False
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
