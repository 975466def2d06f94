"""Guards of rwsplit's reads, each with what takes it away and the checks that see that.

A simulation that passes says little before it was seen to fail. A mutant is seen where a schedule
breaks a promise that is kept without it.
"""

from __future__ import annotations

from typing import Any

from rwsplit._core.cluster import failover, fitness, health, place
from rwsplit._core.cluster.place import Place
from rwsplit._core.cluster.position import parse_history, parse_position
from rwsplit._core.cluster.samples import Samples
from rwsplit._core.cluster.server import Server
from rwsplit._core.cluster.topology import Topology
from rwsplit._core.flavors.positions import POSITION_SQL
from rwsplit._core.flows import asking, reading
from rwsplit._core.flows.asking import Asking
from rwsplit._core.flows.choosing import Chooser
from rwsplit._core.flows.reading import Away, Reads
from rwsplit._core.session import seen
from rwsplit._core.session.seen import Seen
from rwsplit._core.session.state import State

from .mutant import STALE, Doing, Mutant, no_flow, returns

__all__ = ["OF_READS"]

# What they do instead, where that takes more than a line.

_reset_position = Place.reset_position
_run_after = Reads._run_after
_run_after_wait = Reads._run_after_wait
_doubt_replicas = failover.doubt_replicas
_told = Place.told


def _takes_all(place: Place, position: Any, expected: Any, now: float) -> bool:
    place._begin_at(position, None, now)
    return True


def _keeps_what_was_known(place: Place, position: Any, expected: Any, now: float) -> bool:
    place.note_position(position, now)
    return True


def _tells_all(place: Place, tail: bytes, sent_at: float, now: float) -> bool:
    _told(place, tail, sent_at, now)
    return True


def _all_its_own(seen: Seen) -> Any:
    server = seen.place.server if seen.place is not None else ""
    on_mysql = server and seen.origin.flavor == "mysql"
    return parse_position("mysql", f"{server}:1-1000000") if on_mysql else seen.origin


def _tells_of_now(place: Place, tail: bytes, sent_at: float, now: float) -> bool:
    place.news = 0.0, place.news[1]
    return _told(place, tail, now, now)


def _never_brings_state(reads: Reads, member: Any, *rest: Any, **more: Any) -> Doing:
    member.version = reads._session.state.version
    return (yield from _run_after(reads, member, *rest, **more))


def _reads_anywhere(reads: Reads, member: Any, route: Any, read: Any) -> Doing:
    return (yield from reads.reading(route, read))


def _leaves(reads: Reads, lacks: Any, away: bool) -> Doing:
    """Leave the replica of the last read, whether or not anybody can tell who has enough."""
    if lacks.name is not None:
        return (yield from _find_out(reads, lacks, away))
    try:
        reads.seen.leave((yield from reads._ask_primary()))
    except Away:
        at = reads.seen.at
        assert at is not None
        reads.seen.leave(reads._cluster.servers[at].position or reads._state.origin)
    return False


_find_out = Reads._find_out


def _leaves_unasked(reads: Reads, lacks: Any, away: bool) -> Doing:
    if lacks.name is not None:
        return (yield from _find_out(reads, lacks, away))
    reads.seen.leave(reads._state.origin)
    return away


def _nothing_shown(asking: Asking, member: Any) -> Doing:
    yield from no_flow()
    return asking._session.state.origin


def _keeps_doubts(topology: Topology, now: float, has_lost: bool = False) -> Any:
    doubted = {name: server.doubted for name, server in topology.servers.items()}
    orders = _doubt_replicas(topology, now, has_lost)
    for name, doubt in doubted.items():
        topology.servers[name].doubted = doubt
    return orders


def _rests_for_ever(server: Server, now: float, dice: float) -> None:
    server.rests_until = float("inf")


def _only_level(reads: Reads, route: Any) -> bool:
    return route.consistency == "global" or not reads._state.position_known


def _only_own(reads: Reads, route: Any) -> bool:
    on_primary = reads.seen.on_primary and route.shows_data
    return route.consistency != "eventual" and (on_primary or not reads._state.position_known)


def _youngest(samples: Samples, seconds: float, now: float) -> Any:
    return samples._known[0][1] if samples._known else None


def _narrow(chooser: Chooser, usable: Any, tried: Any, now: float) -> Any:
    return tuple([end for end in usable if end.name not in tried])


_serves = Chooser.serves


def _forgets_who_is_gone(chooser: Chooser, replica: Server, needed: Any, route: Any) -> bool:
    """While the primary is away, forget what was seen on a replica that is gone."""
    cluster, at = chooser._cluster, chooser.seen.at
    is_gone = at is not None and not cluster.servers[at].may_serve(cluster._clock())
    if is_gone and not cluster.topology.primary_is_up:
        return chooser.has(replica, needed)
    return _serves(chooser, replica, needed, route)


def _shows_no_commits(reads: Reads, route: Any) -> Doing:
    needed = yield from _needed(reads, route)
    return None if route.sees_commits else needed


_needed = Reads._needed


def _nothing_beyond(topology: Topology, *_: Any) -> Any:
    return parse_history(topology.flavor, "")


OF_READS = (
    Mutant(
        "a replica serves once it has what must be seen",
        ((Chooser, "serves", returns(True)),),
        STALE,
        seed=5,
    ),
    Mutant("a wait must succeed", ((reading, "_check_wait", returns(None)),), STALE, seed=24),
    Mutant(
        "what reads have seen is kept",
        ((Seen, "saw", returns(None)), (Seen, "saw_freely", returns(None))),
        STALE,
        seed=272,
    ),
    Mutant(
        "a read that told nothing binds to its replica",
        ((Seen, "is_untold", property(returns(False))),),
        STALE,
        goes_straight=False,
        seed=221,
    ),
    Mutant(
        "who leaves an untold replica asks the primary",
        ((Reads, "_find_out", _leaves_unasked),),
        STALE,
        seed=221,
    ),
    Mutant(
        "who moves waits for what was shown where it was",
        ((Asking, "shown", _nothing_shown),),
        STALE,
        seed=270,
    ),
    Mutant(
        "a replica has shown more than it tells",
        ((asking, "SHOWN_SQL", POSITION_SQL["replica"]),),
        STALE,
        kept="a replica had shown more than it told",
    ),
    Mutant(
        "who can't ask the primary stays",
        ((Reads, "_find_out", _leaves),),
        STALE,
        kept="a session left its replica while the primary was away",
    ),
    Mutant(
        "what is told while a replica advances may be less than was seen",
        ((Place, "told", _tells_all),),
        STALE,
        seed=2922,
    ),
    Mutant(
        "and it counts from when it was asked for",
        ((Place, "told", _tells_of_now),),
        ("monotonic",),
        kept="what a thread brought late counted as told just now",
    ),
    Mutant(
        "that lasts a moment",
        ((place, "UNTOLD_SECONDS", 0.0), (seen, "UNTOLD_SECONDS", 0.0)),
        STALE,
        seed=21966,
    ),
    Mutant(
        "what a promoted replica has made counts",
        ((Seen, "_errant", property(_all_its_own)),),
        ("monotonic",),
        kept="what a replica made as the next primary counted as its own",
    ),
    Mutant(
        "reads on the primary count",
        ((Reads, "_must_ask", _only_level),),
        STALE,
        seed=231,
    ),
    Mutant(
        "global asks the primary",
        ((Reads, "_must_ask", _only_own),),
        ("global",),
        seed=5,
    ),
    Mutant(
        "a sample grows old",
        ((Samples, "of_age", _youngest),),
        ("staleness",),
        seed=560,
    ),
    Mutant(
        "a lost answer leaves the position unknown",
        ((State, "lose_position", returns(None)),),
        STALE,
        seed=38,
    ),
    Mutant(
        "so it does for others of the process",
        ((State, "hear_doubt", returns(None)),),
        STALE,
        seed=1444,
    ),
    Mutant(
        "a position is forgotten when all have it",
        ((Chooser, "all_have", returns(True)),),
        STALE,
        seed=5,
    ),
    Mutant(
        "who came back with less serves nobody",
        ((Place, "reset_position", _takes_all),),
        STALE,
        seed=574,
    ),
    Mutant(
        "who came back with less has less",
        ((Place, "reset_position", _keeps_what_was_known),),
        STALE,
        seed=574,
    ),
    Mutant(
        "a wait on MariaDB goes by numbers",
        ((Topology, "may_have_lost", returns(False)),),
        ("progress",),
        kept="a wait went by numbers",
    ),
    Mutant(
        "what was lost need not come back",
        ((fitness, "_is_lost", returns(False)),),
        ("progress",),
        kept="what was lost had to come back",
    ),
    Mutant(
        "who is of another cluster, or has nothing, serves nobody",
        ((Topology, "belongs", returns(True)), (Place, "reset_position", _takes_all)),
        ("foreign",),
        seed=25,
    ),
    Mutant(
        "who is ahead of the primary serves nobody",
        (
            (fitness, "_is_ahead", returns(False)),
            (fitness, "_has_lost", returns(False)),
            (Topology, "ahead_by", _nothing_beyond),
        ),
        ("ahead",),
        seed=92,
    ),
    Mutant(
        "nobody serves behind a promotion before it was looked at",
        ((failover, "doubt_replicas", returns([])), (health, "doubt_replicas", returns([]))),
        ("ahead",),
        seed=675,
    ),
    Mutant(
        "a doubt from before a promotion proves nothing",
        (
            (failover, "doubt_replicas", _keeps_doubts),
            (health, "doubt_replicas", _keeps_doubts),
        ),
        ("ahead",),
        kept="a doubt from before a promotion",
    ),
    Mutant(
        "another primary is found",
        ((failover, "decide", returns([])), (health, "decide", returns([]))),
        ("progress",),
        seed=11,
    ),
    Mutant(
        "a rest is over some day",
        ((Server, "rest", _rests_for_ever),),
        ("progress",),
        seed=2,
    ),
    Mutant(
        "a member is the same session",
        ((Reads, "_run_after", _never_brings_state),),
        ("state",),
    ),
    Mutant(
        "a replica that can't be this session is left aside",
        ((Chooser, "narrow", _narrow),),
        ("aside",),
        seed=36,
    ),
    Mutant(
        "what nobody told is there while its connection is",
        ((Chooser, "_is_by", returns(True)),),
        ("monotonic",),
        kept="a replica came back without what nobody had told",
        goes_straight=False,
    ),
    Mutant(
        "what was told counts while the primary is away",
        ((Chooser, "serves", _forgets_who_is_gone),),
        ("monotonic",),
        kept="a replica is gone whose reads told, and the primary",
        goes_straight=False,
    ),
    Mutant(
        "a snapshot is ended",
        ((Reads, "ending", no_flow),),
        (*STALE, "unity", "staleness"),
        seed=1,
    ),
    Mutant(
        "a snapshot is read where it was opened",
        ((Reads, "reading_on", _reads_anywhere),),
        ("unity",),
        seed=247,
    ),
    Mutant(
        "a snapshot that shows commits shows those that count",
        ((Reads, "_needed", _shows_no_commits),),
        STALE,
        seed=29,
    ),
)
