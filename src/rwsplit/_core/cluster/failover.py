"""When another server is the primary: who it is, and what is doubted from then on. Pure."""

from __future__ import annotations

from .facts import PrimaryFacts
from .orders import CloseIdle, Interrupt, Order, Then, Warn, WarnOnce
from .position import GtidSet, beyond, whole
from .roles import find_primary
from .server import Server
from .topology import Topology

__all__ = ["another_answers", "decide", "doubt_replicas", "learn_primary", "note_read_only"]

_TURNS_SECONDS = 10.0
"""Another server under the primary's name, so soon after another one: a name of several servers."""


def decide(topology: Topology, now: float) -> list[Order]:
    """Take another server for the primary, if what was seen of all of them says so."""
    sights = [server.sight for server in topology.servers.values() if not server.is_foreign]
    name = find_primary(topology.primary.name, sights)
    if name == topology.primary.name:
        return []
    return _promote(topology, topology.servers[name], now)


def _promote(topology: Topology, server: Server, now: float) -> list[Order]:
    """Take a server for the primary from now on."""
    before = topology.servers[topology.primary.name]
    before.endpoint = before.endpoint._replace(role="replica")
    before.unfit = "it was the primary, and was not seen to replicate since"
    before.was_primary = True
    before.was_read_only = False
    before.floor, before.floor_at = server.position, now
    server.endpoint = topology.primary = server.endpoint._replace(role="primary")
    if server.looked is not None and topology.has_gtids:
        topology.history = whole(server.looked.position, server.looked.history)
    server.suspect, server.ahead = False, None
    server.errant = GtidSet()  # all others will have that now
    server.stalled = server.is_stray = False
    server.writable_since = 0.0  # it is the primary's to be writable, and no stray's afterwards
    server.unfit = ""
    topology.primary_server = server.server or None
    topology.primary_is_up = True
    topology.generation += 1
    topology.history_at = 0.0
    topology.samples.clear()
    if topology.facts is not None:
        # What the one before had may be lost.
        topology.facts = topology.facts._replace(position=None)
    orders: list[Order] = [
        Warn("the primary is %s now; it was %s", (server.endpoint.name, before.endpoint.name)),
        CloseIdle(before.endpoint.name),
        CloseIdle(server.endpoint.name),
    ]
    if not before.reached:
        # Who waits for the old one waits in vain.
        orders.append(Interrupt(before.endpoint.name))
    return [
        *orders,
        *doubt_replicas(topology, now),
        Then.CHOOSE_AGAIN,
        Then.TELL_WAITERS,
    ]


def learn_primary(topology: Topology, facts: PrimaryFacts, now: float) -> list[Order]:
    """Take in what a new connection to the primary told; without a history: no GTIDs."""
    orders: list[Order] = []
    is_another = topology.primary_server not in (None, facts.server)
    if is_another:
        orders += another_answers(topology, now)
    topology.take_facts(facts)
    if is_another:
        orders += doubt_replicas(topology, now)
    topology.primary_server = facts.server
    topology.servers[topology.primary.name].is_writable = not facts.read_only
    if not topology.primary_is_up:
        topology.primary_is_up = True
        orders.append(Then.TELL_WAITERS)
    return orders


def another_answers(topology: Topology, now: float) -> list[Order]:
    """Note that another server answers under the primary's name.

    The generation goes up, unless several take turns there.
    """
    name = topology.primary.name
    since, topology.renamed_at = now - topology.renamed_at, now
    if since < _TURNS_SECONDS:
        return [WarnOnce("several servers answer as the primary %s", (name,))]
    topology.generation += 1
    return [Warn("another server is the primary at %s now", (name,))]


def doubt_replicas(topology: Topology, now: float, has_lost: bool = False) -> list[Order]:
    """Let nobody serve that was not looked at since the primary has changed.

    A replica may have what the primary of now lacks, more than when it was last looked at.
    `has_lost` is whether the same server came back with less than it had: it will count on with
    the same numbers, so nobody can tell later who has what was lost.
    """
    if not topology.has_gtids:
        return []
    topology.doubted_at = now
    for server in topology.servers.values():
        if server.endpoint is topology.primary:
            continue
        server.suspect = True
        server.doubted = None  # it told of another primary's replica
        server.unfit = server.unfit or "it may be ahead of the primary, which has changed"
        looked = server.looked
        if has_lost and looked is not None:
            position = server.position or looked.position
            lost_there = beyond(topology.history, position, looked.history, looked.server)
            if lost_there:
                server.ahead = looked.server, lost_there
    return [Then.LOOK_NOW]


def note_read_only(topology: Topology, generation: int, now: float) -> list[Order]:
    """Note that the primary of this generation has refused a write: it may be none any more."""
    if generation != topology.generation:
        return []
    topology.servers[topology.primary.name].is_writable = False
    topology.primary_is_up = False
    return decide(topology, now)
