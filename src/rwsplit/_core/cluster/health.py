"""What a look at a server means: a probe comes in, orders go out. Pure.

Whoever calls this holds the cluster's lock, and carries the orders out.
"""

from __future__ import annotations

from math import inf, isfinite

from .errant import note_errant, note_read_only, note_stray
from .failover import another_answers, decide, doubt_replicas
from .fitness import why_unfit
from .orders import Interrupt, LeftOut, Order, Say, Then, WarnOnce
from .position import Position, includes
from .probe import Miss, Missed, Probe
from .server import Server
from .topology import Topology

__all__ = ["left_out", "note_missed", "note_probe", "rest", "serves_again"]

_STALLED_SECONDS = 1.0
"""A replica this far behind that does not advance between two looks is stalled."""


def note_probe(
    topology: Topology,
    server: Server,
    probe: Probe,
    before: Position | None,
    interval: float,
    now: float,
) -> list[Order]:
    """Note what a look at a server told.

    :param before: where it was known to be before it was asked.
    :param interval: seconds between two looks at it.
    """
    looked, server.looked = server.looked, probe
    server.reached = True
    server.is_writable = probe.is_writable
    server.was_read_only = server.was_read_only or not probe.is_writable
    if not probe.is_writable:
        note_read_only(server, probe.position)
    server.replicates = probe.replicates
    server.load.connected, server.load.running = probe.connected, probe.running
    server.load.note_latency(probe.seconds, now)
    if server.endpoint is topology.primary:
        orders = _note_primary(topology, server, probe, looked, now)
    else:
        orders = _note_replica(topology, server, probe, before, interval, now)
    return [*orders, *decide(topology, now), Then.CHOOSE_AGAIN, Then.TELL_WAITERS]


def _note_primary(
    topology: Topology, server: Server, probe: Probe, looked: Probe | None, now: float
) -> list[Order]:
    orders: list[Order] = []
    is_another = topology.primary_server not in (None, probe.server)
    if is_another:
        # The monitor has left the one before: it was read-only, or did not answer.
        generation = topology.generation
        orders += another_answers(topology, now)
        if topology.generation != generation:
            orders.append(Interrupt(server.endpoint.name))
    topology.primary_server = server.server = probe.server
    topology.history = probe.history
    topology.history_at = probe.asked_at
    has_lost = looked is not None and not includes(probe.history, looked.history)
    if is_another or has_lost:
        topology.samples.clear()
        orders += doubt_replicas(topology, now, has_lost and not is_another)
    topology.samples.note(probe.position, probe.asked_at)
    topology.detours.note_primary(probe.seconds)
    if 0 < topology.settled_at < probe.asked_at:
        topology.settled_at = 0.0
        orders.append(Then.COUNT_ARRIVAL)
    if probe.is_writable:
        _note_errant(topology, probe)
        orders += _look_for_strays(topology, probe.asked_at)
        topology.primary_is_up = True
    return orders


def _note_errant(topology: Topology, probe: Probe) -> None:
    """Learn what is errant: what replicas had made before the primary was looked at."""
    for server in topology.replicas:
        looked = server.looked
        if looked is not None and looked.asked_at + looked.seconds <= probe.asked_at:
            note_errant(server, looked.server, looked.position, probe.history)


def _look_for_strays(topology: Topology, asked_at: float) -> list[Order]:
    """Warn of replicas that can be written to while the primary can."""
    orders: list[Order] = []
    for server in topology.replicas:
        server.is_stray = 0 < server.writable_since < asked_at
        if server.is_stray and not server.was_read_only:
            note_stray(server)
        if server.is_stray:
            message = "replica %s is not read-only: what is written there is lost to all others"
            orders.append(WarnOnce(message, (server.endpoint.name,)))
    return orders


def _note_replica(
    topology: Topology,
    server: Server,
    probe: Probe,
    before: Position | None,
    interval: float,
    now: float,
) -> list[Order]:
    why = why_unfit(topology, server, probe, before, now)
    if why is None:
        return []
    server.server = probe.server
    server.unfit = why
    if why:
        return left_out(topology, server, why)
    orders: list[Order] = []
    if not probe.is_writable:
        server.writable_since = 0.0
    elif not server.writable_since:
        server.writable_since = probe.asked_at
    was_behind, server.behind = server.behind, topology.behind(probe.position, now)
    if isfinite(was_behind) and was_behind > interval >= server.behind:
        orders.append(Then.COUNT_ARRIVAL)
    moved = before is None or not before.covers(probe.position)
    limit = max(_STALLED_SECONDS, 3 * interval)
    if moved or server.behind <= limit or not isfinite(server.behind):
        server.stalled = False
    elif not server.stalled:
        server.stalled = True
        why = f"it answers, and has not advanced for {server.behind:.1f} seconds"
        orders += left_out(topology, server, why)
    return [*orders, *serves_again(server, now)]


def note_missed(
    topology: Topology, server: Server, missed: Missed, now: float, dice: float
) -> list[Order]:
    """Note that a look at a server told nothing; `dice` is a number from 0 up to 1."""
    is_primary = server.endpoint is topology.primary
    if missed.why is Miss.FULL:
        server.note_full(now)
        return []
    if missed.why is not Miss.LOST:
        server.reached = None
        if missed.why is Miss.FOREIGN:
            return rest(topology, server, missed.text, now, dice)
        if is_primary:
            # It answers; whoever needs it may find that it is let in.
            topology.primary_is_up = True
            return [Then.TELL_WAITERS]
        return []
    server.reached = False
    server.behind = inf
    orders: list[Order] = []
    if is_primary:
        topology.primary_is_up = False
    else:
        orders += rest(topology, server, missed.text, now, dice)
    orders += decide(topology, now)
    if missed.in_a_row > 1 and missed.timed_out:
        orders.append(Interrupt(server.endpoint.name, only_questions=is_primary))
    return orders


def rest(topology: Topology, server: Server, why: str, now: float, dice: float) -> list[Order]:
    """Leave a server alone for a growing while; `dice` is a number from 0 up to 1."""
    server.rest(now, dice)
    return [Then.CHOOSE_AGAIN, *left_out(topology, server, why)]


def left_out(topology: Topology, server: Server, why: str) -> list[Order]:
    """Say that a replica is left out, unless that was said, or it is none."""
    if server.left_out is not None or server.endpoint is topology.primary:
        return []
    return [LeftOut(server, why)]


def serves_again(server: Server, now: float) -> list[Order]:
    """Note that a server has served, or may again."""
    orders: list[Order] = [Then.CHOOSE_AGAIN] if server.works() else []
    if server.comes_back(now):
        orders.append(Say("replica %s is back", (server.endpoint.name,)))
    return orders
