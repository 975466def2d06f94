"""Runs a program on the model: one primary, one replica, and nothing else that happens."""

from __future__ import annotations

from random import Random
from typing import Any

from rwsplit._core.tracking import parse_tails
from rwsplit._core.wire import Fault

from .backend import Backend
from .clock import Clock
from .gtids import Commit
from .program import ORDERS, REPLICA, Answer, Gtids, Step, answer_of, failure_of, sql_of
from .server import Server
from .table import ROWS, Table, Writes
from .wire import Call, Wire

__all__ = ["Staged"]

_QUIET_SECONDS = 0.5
"""After which everything is told, and applied where it can be."""


class Staged:
    """The model's side."""

    def __init__(self, flavor: str) -> None:
        self.flavor = flavor
        self._clock, self._dice = Clock(), Random(1)
        self._table = Table()
        self._commits = self._wires = 0
        names = ("1", "2") if flavor == "mariadb" else ("a" * 8, "b" * 8)
        ends = names if flavor == "mariadb" else [f"{n}-71ca-11e1-9e33-c80aa9429562" for n in names]
        self._primary, self._replica = (
            Server(name, end, flavor, self._clock, self._dice)
            for name, end in zip(("primary", "replica"), ends, strict=True)
        )
        self._primary.is_writable = True
        self._replica.follow(self._primary)
        self._commit(self._primary, ())
        self._gtids = Gtids(flavor, self._primary.identity, 1)
        self._sessions: dict[int, Wire] = {}
        self._locks: dict[int, set[int]] = {}
        self._pass()

    def _pass(self) -> None:
        self._clock.run(lambda: False, self._clock.now + _QUIET_SECONDS)
        self._clock.now += _QUIET_SECONDS

    def _commit(self, server: Server, writes: Writes) -> Commit:
        self._commits += 1
        bit = 1 << self._commits
        self._table.note(bit, writes)
        return server.commit(bit)

    def _session(self, who: int) -> Wire:
        wire = self._sessions.get(who)
        if wire is None:
            self._wires += 1
            server = self._replica if who == REPLICA else self._primary
            backend = Backend(server, self._table, self._commit)
            backend.tracks = "all" if who == REPLICA else "own"
            backend.session_reads_only = who == REPLICA
            wire = self._sessions[who] = Wire(server, self._wires, backend)
        return wire

    # What locks rows.

    def is_out(self, step: Step) -> bool:
        """Tell whether a step is out of the model as things are: see `tests/live/test_model`."""
        backend, what = self._session(step.who).backend, step.what
        begun = backend.next_level or backend.next_access or backend.status != 2
        if what.startswith("CALL") and begun:
            return True
        if what.startswith(("UPDATE", "CALL")) and backend.schema != "shop":
            return True
        if what.startswith("WAIT") and step.who != REPLICA:
            return True
        if what.startswith(("BEGIN", "START T")) and not self._primary.is_writable:
            return "READ WRITE" in what or bool(backend.writes)
        return self._would_wait(step)

    def _would_wait(self, step: Step) -> bool:
        """Tell whether another session's transaction holds a lock in a step's way."""
        rows = _locked_by(step.what)
        held = [rows & self._locks.get(who, set()) for who in self._sessions if who != step.who]
        return any(held)

    def _note_locks(self, step: Step) -> None:
        backend = self._session(step.who).backend
        if backend.is_open:
            self._locks.setdefault(step.who, set()).update(_locked_by(step.what))
        else:
            self._locks.pop(step.who, None)

    # Steps.

    def run(self, step: Step) -> Answer:
        """Run one step; behind it, everything that has to happen has happened."""
        if step.what in ORDERS:
            getattr(self, f"_{step.what.lower()}")(step.who)
            answer = Answer()
        else:
            answer = self._ask(step.who, sql_of(step, self.flavor, self._gtids))
            self._note_locks(step)
        self._pass()
        server = self._replica if step.who == REPLICA else self._primary
        return answer._replace(position=self._gtids.numbers(server.told.text))

    def _ask(self, who: int, sql: str) -> Answer:
        wire = self._session(who)
        came: list[Any] = []
        Call(
            *(self._clock, self._dice, wire, lambda answer: wire.run([sql], answer)),
            *(lambda replies: came.append(replies[0]), came.append),
        )
        self._clock.run(lambda: bool(came), self._clock.now + 100)
        (reply,) = came
        if isinstance(reply, Fault):
            if reply.is_lost:
                del self._sessions[who]
            return failure_of(reply)
        changes = parse_tails([reply.tail] if reply.tail else [])
        return answer_of(self._gtids, reply.rows, reply.affected_rows, reply.server_status, changes)

    def _kill(self, who: int) -> None:
        self._session(who).cut()
        self._locks.pop(who, None)

    def _reset(self, who: int) -> None:
        # The pool resets a connection before another session has it: to the model a new one.
        self._session(who).close()
        del self._sessions[who]
        self._locks.pop(who, None)

    def _demote(self, who: int) -> None:
        self._primary.is_writable = False

    def _promote(self, who: int) -> None:
        self._primary.is_writable = True

    def _stop(self, who: int) -> None:
        self._replica.stops = True

    def _start(self, who: int) -> None:
        self._replica.go_on()


def _locked_by(sql: str) -> set[int]:
    if sql.startswith("UPDATE") or (sql.endswith("FOR UPDATE") and "WHERE" in sql):
        return {int(sql.replace(" FOR UPDATE", "").rpartition("= ")[2])}
    if sql.startswith("CALL"):
        return {int(sql.rstrip(")").rpartition(",")[2])}
    return set(range(ROWS + 1)) if sql.endswith("FOR UPDATE") else set()
