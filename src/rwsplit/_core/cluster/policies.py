"""Policies: pure functions that pick one endpoint among the candidates.

A thousand processes may read the same figures and hold on to them for an interval, so whatever
sends all of them to the server with the best figure overloads it, and the next one after it. None
of these does. `python -m benchmarks.herding` shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from hashlib import blake2b
from math import inf, log, sqrt

from .endpoint import Endpoint
from .figures import Figures, View

__all__ = [
    "POLICIES",
    "Policy",
    "checked",
    "consistent_hash",
    "least_behind_primary",
    "least_inuse_connections",
    "least_mysql_connected_connections",
    "least_mysql_running_connections",
    "least_response_time",
    "name_of",
    "narrow",
    "needs_load",
    "round_robin",
    "weighted_random",
]

Policy = Callable[[Sequence[Endpoint], int, View], Endpoint]
"""`policy(candidates, turn, view)` returns one of `candidates`, which are never empty; `turn` is
the number of choices made in this process before this one."""

_GOLDEN = 0.6180339887498949

_UNKNOWN = Figures()


def narrow(candidates: Sequence[Endpoint], zone: str | None) -> tuple[Endpoint, ...]:
    """Leave those that are to be asked first: of the lowest rank; of those, the own zone's.

    Endpoints of weight 0 are as good as gone unless there are no others: they fill no rank and no
    zone.

    >>> a, b = Endpoint("a", "a", 1, zone="north"), Endpoint("b", "b", 1, zone="south")
    >>> spare = Endpoint("spare", "c", 1, zone="south", rank=1)
    >>> [end.name for end in narrow((a, b, spare), "south")]
    ['b']
    >>> [end.name for end in narrow((a, b, spare), "west")]
    ['a', 'b']
    """
    serving = [candidate for candidate in candidates if candidate.weight] or candidates
    lowest = min([candidate.rank for candidate in serving], default=0)
    tier = [candidate for candidate in serving if candidate.rank == lowest]
    near = [candidate for candidate in tier if zone is not None and candidate.zone == zone]
    return tuple(near or tier)


def round_robin(candidates: Sequence[Endpoint], turn: int, view: View) -> Endpoint:
    """Take the candidates in turn, each as often as its weight says.

    >>> a, b = Endpoint("a", "a", 1, weight=2), Endpoint("b", "b", 1)
    >>> view = View({}, lambda: 0.0)
    >>> "".join(round_robin((a, b), turn, view).name for turn in range(12))
    'aaabaababaab'
    """
    first = candidates[0].weight
    for candidate in candidates:
        if candidate.weight != first:
            # Multiples of the golden ratio fall evenly into any division of the circle, so turns
            # of one endpoint are spread, not bunched, whatever the weights (Weyl's
            # equidistribution theorem).
            serving, weights = _serving(candidates)
            return serving[_draw(weights, turn * _GOLDEN % 1.0)]
    # Each cycle starts elsewhere: an application that runs the same two statements in turn would
    # else send all of one kind to one replica.
    count = len(candidates)
    start = int(turn // count * _GOLDEN % 1.0 * count)
    return candidates[(turn + start) % count]


def weighted_random(candidates: Sequence[Endpoint], turn: int, view: View) -> Endpoint:
    """Take any, each as often as its weight says."""
    serving, weights = _serving(candidates)
    return serving[_draw(weights, view.random())]


def consistent_hash(candidates: Sequence[Endpoint], turn: int, view: View) -> Endpoint:
    """Take the same one for the same session id, in every process; in turn where there is none.

    Rendezvous hashing (Thaler and Ravishankar, 1998): of random moments that hang on the key and
    one endpoint's name alone, the first wins. So a key moves only when its own endpoint leaves, or
    to one that is new. A weight hurries its endpoint's moments: of exponential moments, each comes
    first as often as its rate says.
    """
    if not view.key:
        return round_robin(candidates, turn, view)
    serving, weights = _serving(candidates)
    chosen, first = serving[0], inf
    for candidate, weight in zip(serving, weights, strict=True):
        moment = _moment(view.key, candidate.name) / weight
        if moment < first:
            chosen, first = candidate, moment
    return chosen


def least_mysql_connected_connections(
    candidates: Sequence[Endpoint], turn: int, view: View
) -> Endpoint:
    """Avoid servers with more than their part of all connections."""
    serving, weights = _serving(candidates)
    figures = [view.figures.get(candidate.name, _UNKNOWN).connected for candidate in serving]
    # Virtual connections have one to each replica, whatever its weight.
    even = sum(figures) / len(figures)
    return serving[_draw(_avoiding(figures, weights, even), view.random())]


def least_mysql_running_connections(
    candidates: Sequence[Endpoint], turn: int, view: View
) -> Endpoint:
    """Avoid servers that run more than their part of all statements."""
    serving, weights = _serving(candidates)
    figures = [view.figures.get(candidate.name, _UNKNOWN).running for candidate in serving]
    return serving[_draw(_avoiding(figures, weights), view.random())]


def least_inuse_connections(candidates: Sequence[Endpoint], turn: int, view: View) -> Endpoint:
    """Take the server that runs the fewest of this process's own statements, for its weight.

    That figure is not stale, and each process has its own, so the least one may be taken.
    """
    serving, weights = _serving(candidates)
    figures = [view.figures.get(candidate.name, _UNKNOWN).in_use for candidate in serving]
    loads = [figure / weight for figure, weight in zip(figures, weights, strict=True)]
    least = min(loads)
    shares = [weight if load == least else 0 for load, weight in zip(loads, weights, strict=True)]
    return serving[_draw(shares, view.random())]


def least_response_time(candidates: Sequence[Endpoint], turn: int, view: View) -> Endpoint:
    """Of two taken at random, prefer the one that will probably answer first.

    Two random choices (Mitzenmacher, 2001), by what Finagle's peak EWMA balancer compares: the
    latency, times the statements that this process will then have there. The faster one is not
    always preferred, but the more often the faster it is: else the slowest of all would never be
    asked again, and a difference of a percent would give one server twice its part of the reads.
    """
    serving, weights = _serving(candidates)
    one = _draw(weights, view.random())
    if len(serving) == 1:
        return serving[one]
    weights[one] = 0
    other = _draw(weights, view.random())
    here = view.figures.get(serving[one].name, _UNKNOWN)
    there = view.figures.get(serving[other].name, _UNKNOWN)
    # A latency that is not known yet counts as the other's.
    cost = (here.latency or there.latency or 1.0) * (here.in_use + 1)
    ratio = (there.latency or here.latency or 1.0) * (there.in_use + 1) / cost
    return serving[other if view.random() < 1.0 - ratio * ratio else one]


def least_behind_primary(candidates: Sequence[Endpoint], turn: int, view: View) -> Endpoint:
    """Avoid servers that are seconds behind; tenths of a second hardly count.

    >>> a, b = Endpoint("a", "a", 1), Endpoint("b", "b", 1)
    >>> view = View({"a": Figures(behind=0.1), "b": Figures(behind=3.0)}, lambda: 0.9)
    >>> least_behind_primary((a, b), 0, view).name
    'a'
    """
    serving, weights = _serving(candidates)
    late = [view.figures.get(candidate.name, _UNKNOWN).behind for candidate in serving]
    shares = [weight / (1.0 + each * each) for each, weight in zip(late, weights, strict=True)]
    # Where nobody is known to be near, all are as good.
    return serving[_draw(shares if any(shares) else weights, view.random())]


def _avoiding(figures: Sequence[int], weights: Sequence[int], even: float = 0.0) -> list[float]:
    """Return the share of the reads that each server is to get, by what it has of something.

    One that looks idle gets no more than its weight says: if all sought it, it would be the busy
    one before anyone could see that. One that has more than its part gets less, in proportion. Its
    square root more is what chance alone makes of a count (Poisson), so no sign of anything. `even`
    is what any server may have, whatever its weight.

    >>> _avoiding([12, 9, 9, 30], [1, 1, 1, 1])
    [1, 1, 1, 0.6290994448735805]
    """
    each = sum(figures) / sum(weights)
    shares: list[float] = []
    for figure, weight in zip(figures, weights, strict=True):
        fair = max(each * weight, even)
        most = fair + sqrt(fair)
        shares.append(weight if figure <= most else weight * most / figure)
    return shares


def _serving(candidates: Sequence[Endpoint]) -> tuple[Sequence[Endpoint], list[int]]:
    """Leave out those of weight 0, unless all have it; return them with their weights."""
    weights = [candidate.weight for candidate in candidates]
    if 0 not in weights:
        return candidates, weights
    serving = [candidate for candidate in candidates if candidate.weight]
    if serving:
        return serving, [candidate.weight for candidate in serving]
    return candidates, [1] * len(candidates)


def _draw(shares: Sequence[float], dice: float) -> int:
    """Return the index where `dice`, from 0 to 1, falls if the shares are laid out in a row."""
    point = dice * sum(shares)
    for index, share in enumerate(shares):
        point -= share
        if point < 0:
            return index
    # Rounding, or no share is more than 0.
    return int(dice * len(shares))


@lru_cache(maxsize=4096)
def _moment(key: str, name: str) -> float:
    """Return the exponentially distributed moment of a key at an endpoint; ever the same one."""
    digest = blake2b(f"{name}\0{key}".encode(), digest_size=8).digest()
    return -log((int.from_bytes(digest) + 0.5) / 2**64)


POLICIES: dict[str, Policy] = {
    "round_robin": round_robin,
    "weighted_round_robin": round_robin,
    "random": weighted_random,
    "consistent_hash": consistent_hash,
    "least_mysql_connected_connections": least_mysql_connected_connections,
    "least_mysql_running_connections": least_mysql_running_connections,
    "least_inuse_connections": least_inuse_connections,
    "least_tablet_inuse_connections": least_inuse_connections,
    "least_response_time": least_response_time,
    "least_behind_primary": least_behind_primary,
}

_NEEDS_NO_LOAD = frozenset(POLICIES.values()) - {least_inuse_connections, least_response_time}


def needs_load(policy: Policy) -> bool:
    """Tell whether a policy looks at what this process itself sees: `in_use` and `latency`."""
    return policy not in _NEEDS_NO_LOAD


def name_of(policy: Policy) -> str:
    """Return the name of a policy; of a callable that is not ours, its own.

    >>> name_of(round_robin), name_of(checked(max))
    ('round_robin', 'max')
    """
    for name, known in POLICIES.items():
        if known is policy:
            return name
    return getattr(policy, "__name__", type(policy).__name__)


def checked(policy: Policy) -> Policy:
    """Return an application's policy, with its answer looked at.

    It raises ValueError where that is none of the candidates.
    """
    if policy in POLICIES.values():
        return policy

    @wraps(policy, updated=())
    def choose(candidates: Sequence[Endpoint], turn: int, view: View) -> Endpoint:
        chosen = policy(candidates, turn, view)
        if chosen not in candidates:
            raise ValueError(
                f"policy: {name_of(policy)} returned {chosen!r:.200}, which is none of the "
                "candidates that it was given"
            )
        return chosen

    return choose
