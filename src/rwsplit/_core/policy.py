"""Policies: pure functions that pick one endpoint among the candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .endpoint import Endpoint

__all__ = ["POLICIES", "Policy", "round_robin"]

Policy = Callable[[Sequence[Endpoint], int], Endpoint]
"""`policy(candidates, turn)` returns one of `candidates`, which are never empty; `turn` is the
number of choices made in this process before this one."""

_GOLDEN = 0.6180339887498949


def round_robin(candidates: Sequence[Endpoint], turn: int) -> Endpoint:
    """Take the candidates in turn, each as often as its weight says.

    >>> a, b = Endpoint("a", "a", 1, weight=2), Endpoint("b", "b", 1)
    >>> "".join(round_robin((a, b), turn).name for turn in range(12))
    'abaabababaab'
    """
    first = candidates[0].weight
    for candidate in candidates:
        if candidate.weight != first:
            return _weighted(candidates, turn)
    # Each cycle starts elsewhere: an application that runs the same two statements in turn would
    # else send all of one kind to one replica.
    count = len(candidates)
    start = int(turn // count * _GOLDEN % 1.0 * count)
    return candidates[(turn + start) % count]


def _weighted(candidates: Sequence[Endpoint], turn: int) -> Endpoint:
    # Multiples of the golden ratio fall evenly into any division of the circle, so turns of one
    # endpoint are spread, not bunched, whatever the weights (Weyl's equidistribution theorem).
    point = turn * _GOLDEN % 1.0 * sum([candidate.weight for candidate in candidates])
    for candidate in candidates:
        point -= candidate.weight
        if point < 0:
            return candidate
    return candidates[-1]


POLICIES: dict[str, Policy] = {"round_robin": round_robin}
