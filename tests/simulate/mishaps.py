"""What goes wrong in a schedule, and how it is put right in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rwsplit._core.numbers import (
    BAD_DB,
    LOCK_DEADLOCK,
    NO_SUCH_TABLE,
    QUERY_INTERRUPTED,
    READ_ONLY_TRANSACTION,
)
from rwsplit._core.wire import Fault, Kind

from .plan import Mishap
from .replies import lost
from .server import Server

if TYPE_CHECKING:
    from .world import World

__all__ = ["Mishaps"]

_KILLS = (2013, 1053, 1927, 3169)
_LOCK_WAIT_TIMEOUT = 1205
_ERRORS = (NO_SUCH_TABLE, NO_SUCH_TABLE, READ_ONLY_TRANSACTION, QUERY_INTERRUPTED)
_ERRORS_THERE = (LOCK_DEADLOCK, LOCK_DEADLOCK, _LOCK_WAIT_TIMEOUT, NO_SUCH_TABLE)
_OF_PRIMARY = ("kill", "kill primary", "hang", "restart primary", "fail over", "switch over")
_ACCESS_DENIED = 1045


class Mishaps:
    """Each public method is a kind of mishap; `size` is from 0 up to 1."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_over = False
        self._moves = False
        """Another server is about to be the primary."""

    def bring(self, mishap: Mishap) -> None:
        """Let something go wrong."""
        world = self._world
        if self._is_over:
            return
        servers = (
            world.replicas if mishap.what not in ("hang", "kill") else [*world.models.values()]
        )
        if servers:
            server = servers[mishap.where % len(servers)]
            world.note(-1, mishap.what, server.name)
            getattr(self, mishap.what.replace(" ", "_"))(server, mishap.size)

    def _later(self, seconds: float, act: object, *args: object) -> None:
        def do() -> None:
            if not self._is_over:
                act(*args)  # type: ignore[operator]

        self._world.clock.at(seconds, do)

    # Replication.

    def stall(self, server: Server, size: float) -> None:
        server.stall(3.0 * size)

    def slow(self, server: Server, size: float) -> None:
        server.rate, server.burst = 5.0 + 40.0 * size, 1
        self._later(1.5, self._hurry, server)

    def _hurry(self, server: Server) -> None:
        server.rate, server.burst = 2000.0, 8

    # Connections and statements.

    def kill(self, server: Server, size: float) -> None:
        wires = sorted(server.wires, key=lambda wire: wire.number)
        if wires:
            wire = wires[int(size * len(wires))]
            wire.fault = lost("Connection was killed", _KILLS[int(size * 97) % 4])
            server.cut(wire)

    def kill_all(self, server: Server, size: float) -> None:
        server.cut()

    def fail(self, server: Server, size: float) -> None:
        number = _ERRORS[int(size * 4)]
        for wire in server.wires:
            wire.backend.errors.append(Fault(number, "it failed", Kind.OTHER))

    def fail_primary(self, server: Server, size: float) -> None:
        number = _ERRORS_THERE[int(size * 4)]
        for wire in self._world.primary.wires:
            wire.backend.errors.append(Fault(number, "it failed", Kind.OTHER))

    def kill_primary(self, server: Server, size: float) -> None:
        self.kill(self._world.primary, size)

    def store_away(self, server: Server, size: float) -> None:
        store = self._world.store
        if store is not None:
            store.is_away = True
            self._world.clock.at(size, setattr, store, "is_away", False)

    def store_empty(self, server: Server, size: float) -> None:
        if self._world.store is not None:
            self._world.store.lose_all()

    def full(self, server: Server, size: float) -> None:
        server.is_full = True
        self._later(size, setattr, server, "is_full", False)

    def refuse(self, server: Server, size: float) -> None:
        server.refuses = _ACCESS_DENIED
        self._later(size, setattr, server, "refuses", 0)

    def no_schema(self, server: Server, size: float) -> None:
        server.refuses = BAD_DB
        self._later(size, setattr, server, "refuses", 0)

    # Servers.

    def hang(self, server: Server, size: float) -> None:
        if not server.is_up:
            return
        server.hang()
        self._later(4.0 * size, server.answer)

    def restart(self, server: Server, size: float) -> None:
        self._restart(server, size, 0)

    def restart_less(self, server: Server, size: float) -> None:
        self._restart(server, size, 1 + int(size * 10))

    def _restart(self, server: Server, size: float, lost_ones: int) -> None:
        if not server.is_up:
            return
        self._world.reset_at = self._world.clock.now
        server.stop()

        def back() -> None:
            if server.is_up:
                return
            server.start(min(lost_ones, len(server.shown.log) - 1))
            if lost_ones:
                server.stall(0.8 * size)

        self._later(0.05 + 0.7 * size, back)

    def rebuild(self, server: Server, size: float) -> None:
        world = self._world
        if not (world.primary.is_up and server.is_up) or server.is_writable:
            return
        world.reset_at = world.clock.now
        server.rebuild(world.primary, world.new_identity())
        if size > 0.5:
            server.stop()
            server.start(min(int(size * 12), len(server.shown.log) - 1))
            server.stall(0.5 * size)

    def empty(self, server: Server, size: float) -> None:
        """Let it be set up anew, with nothing yet."""
        if server.is_up and not server.is_writable:
            self._world.reset_at = self._world.clock.now
            server.stop()
            server.start(len(server.shown.log))
            server.stall(1.5 * size)

    def restart_primary(self, server: Server, size: float) -> None:
        primary = self._world.primary
        if primary.is_up and not self._moves:
            primary.stop()
            self._later(0.05 + 2.0 * size, self._start, primary)

    def _start(self, server: Server) -> None:
        if not server.is_up:
            server.start()

    def stray(self, server: Server, size: float) -> None:
        """Let somebody make a replica writable.

        While the primary does not answer, were it only for one look whose connection was killed,
        that can't be told from a promotion: then this does not happen here.
        """
        if all(each.what not in _OF_PRIMARY for each in self._world.plan.mishaps):
            server.is_writable = True
            self._later(2.0 * size, setattr, server, "is_writable", False)

    # Another primary.

    def fail_over(self, server: Server, size: float) -> None:
        """Lose the primary; another one is found, who may have less."""
        world, primary = self._world, self._world.primary
        if self._moves or not primary.is_up:
            return
        self._moves = True
        is_behind = size >= 0.6
        if is_behind:
            server.stall(1.0)

        def lose() -> None:
            primary.stop()
            world.clock.at(0.05 + 0.5 * size, promote)

        def promote() -> None:
            if self._is_over:
                return
            self._moves = False
            has = primary.shown.mask
            fit = [r for r in world.replicas if r.is_up and r.shown.mask & 1]
            fit = [r for r in fit if not r.shown.mask & ~has]
            if not fit:
                primary.start()
                return
            fit.sort(key=lambda r: (r.shown.mask.bit_count(), r.name))
            world.promote(fit[0] if is_behind else fit[-1])
            self._later(0.5 + 2.0 * size, self._back, primary)

        self._later(0.08 if is_behind else 0.0, lose)

    def _back(self, server: Server) -> None:
        """The old primary is there again, with what it had, and replicates from nobody."""
        if not server.is_up:
            server.is_writable = False
            server.start()

    def switch_over(self, server: Server, size: float) -> None:
        """Let a replica that has everything be the primary."""
        world, primary = self._world, self._world.primary
        if self._moves or not (primary.is_up and server.is_up) or primary.is_hung:
            return
        if server.shown.mask & ~primary.shown.mask:
            return
        primary.is_writable = False
        for commit in primary.shown.log:
            server.apply(commit)
        world.promote(server)
        if size < 0.8:
            primary.follow(server)

    # In the end.

    def heal(self) -> None:
        """Put everything right."""
        self._is_over = True
        world = self._world
        world.clock.rest()
        primary = world.primary
        if not primary.is_up:
            primary.start()
        primary.is_writable = True
        for server in world.models.values():
            server.is_full, server.refuses = False, 0
            server.answer()
            self._hurry(server)
            for wire in server.wires:
                wire.backend.errors.clear()
            if server is primary:
                continue
            if server.shown.mask & ~primary.shown.mask or server.source is not primary:
                server.rebuild(primary, world.new_identity())
            elif not server.is_up:
                server.start()
            server.is_writable = False
            server.go_on()
