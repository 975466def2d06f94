"""How the simulated process looks at its servers, now and then."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from rwsplit._core.cluster import health
from rwsplit._core.cluster.position import parse_history, parse_position
from rwsplit._core.cluster.probe import Miss, Missed, Probe
from rwsplit._core.wire import Fault

from .clock import Clock
from .server import Server as Model
from .wire import Call, Wire

if TYPE_CHECKING:
    from .cluster import Cluster

__all__ = ["Looking"]

_INTERVAL = 1.0
_HURRY = 0.1
_PROBE_TIMEOUT = 1.0


class Looking:
    """Looks at each server of a cluster; see the shell's monitor."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        dice: Random,
        models: dict[str, Model],
        dial: Callable[[Model], Wire],
    ) -> None:
        self._cluster = cluster
        self._clock, self._dice, self._models, self._dial = clock, dice, models, dial
        self._lines: dict[str, Wire | None] = dict.fromkeys(models)
        self._failures = dict.fromkeys(models, 0)
        self._rounds = dict.fromkeys(models, 0)

    def watch(self) -> None:
        """Somebody uses the cluster: here it is looked at all the time."""

    def look_now(self) -> None:
        """Look at all of them without waiting for their turn."""
        for name in self._models:
            self._look_in(name, 0.0)

    def _look_in(self, name: str, seconds: float) -> None:
        self._rounds[name] += 1
        self._clock.at(seconds, self._look, name, self._rounds[name])

    def _look(self, name: str, turn: int) -> None:
        if turn != self._rounds[name]:
            return
        server, model = self._cluster.topology.servers[name], self._models[name]
        before = server.floor or server.position
        wire = self._lines[name]
        if wire is None or not wire.is_open:
            if not model.is_up:
                self._missed(name, "refused", timed_out=False)
                return
            wire = self._lines[name] = self._dial(model)
        elif wire.call is not None:
            self._look_in(name, _HURRY)
            return
        asked_at = self._clock()

        def told(probe: Probe) -> None:
            self._failures[name] = 0
            known, now = self._cluster.topology, self._clock()
            seen = probe._replace(seconds=now - asked_at)
            self._cluster.carry_out(health.note_probe(known, server, seen, before, _INTERVAL, now))
            self._next_look(name)

        def failed(fault: Fault) -> None:
            self._lines[name] = None
            self._missed(name, fault.text, "timed out" in fault.text)

        Call(
            *(self._clock, self._dice, wire, lambda answer: answer(_probe(model, asked_at))),
            *(told, failed, _PROBE_TIMEOUT),
        )

    def _missed(self, name: str, text: str, timed_out: bool) -> None:
        self._failures[name] += 1
        topology, now, dice = self._cluster.topology, self._clock(), self._dice.random()
        missed = Missed(Miss.LOST, text, self._failures[name], timed_out)
        orders = health.note_missed(topology, topology.servers[name], missed, now, dice)
        self._cluster.carry_out(orders)
        self._next_look(name)

    def _next_look(self, name: str) -> None:
        pause, failures = _INTERVAL, self._failures[name]
        if failures or not self._cluster.topology.primary_is_up:
            pause = min(pause, _HURRY * 2 ** (failures // 4))
        self._look_in(name, pause * self._dice.uniform(0.8, 1.1))


def _probe(model: Model, asked_at: float) -> Probe:
    """Return what a server tells a look at it."""
    flavor = model.flavor
    slave: Any = None if flavor == "mysql" else model.source is not None and not model.stops
    return Probe(
        model.identity,
        model.is_writable,
        parse_position(flavor, model.told.text),
        parse_history(flavor, model.told.history),
        slave,
        len(model.wires),
        1,
        asked_at,
        0.0,
    )
