"""Makes a plan that breaks a promise small: what it can do without is left out."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .broken import Broken
from .plan import ClientPlan, Plan
from .twice import run_twice

__all__ = ["Trouble", "broken_by", "shrink", "trouble_of"]


class Trouble(NamedTuple):
    """What a plan has come to: a check that saw a broken promise, or a mistake."""

    check: str
    text: str


def trouble_of(plan: Plan) -> Trouble | None:
    """Run a plan; returns what it has come to, or None where all is well."""
    try:
        run_twice(plan)
    except Broken as broken:
        return Trouble(broken.check, str(broken))
    except Exception as mistake:
        return Trouble(type(mistake).__name__, traceback.format_exc())
    return None


def broken_by(plan: Plan) -> str | None:
    """Run a plan; returns the check that sees a broken promise, or None."""
    trouble = trouble_of(plan)
    return trouble.check if trouble is not None else None


def shrink(
    plan: Plan, fails: Callable[[Plan], str | None] = broken_by, tries: int = 400
) -> tuple[Plan, int]:
    """Return a smaller plan that breaks the same promise, and how many were tried.

    Greedy: what can be left out is left out for good, the larger pieces first.
    """
    check, tried = fails(plan), 0
    assert check is not None, "it breaks no promise"
    smaller = True
    while smaller:
        smaller = False
        for less in _smaller(plan):
            tried += 1
            if fails(less) == check:
                plan, smaller = less, True
                break
            if tried >= tries:
                return plan, tried
    return plan, tried


def _smaller(plan: Plan) -> Iterator[Plan]:
    for rest in _without(plan.clients):
        if rest:
            yield plan._replace(clients=rest)
    for mishaps in _without(plan.mishaps):
        yield plan._replace(mishaps=mishaps)
    for others in _without(plan.others):
        yield plan._replace(others=others)
    for number, client in enumerate(plan.clients):
        for steps in _without(client.steps):
            each: ClientPlan = client._replace(steps=steps)
            clients = (*plan.clients[:number], each, *plan.clients[number + 1 :])
            yield plan._replace(clients=clients)
    if plan.busy:
        yield plan._replace(busy=False)
    if plan.replicas > 1:
        yield plan._replace(replicas=plan.replicas - 1)


def _without(items: tuple) -> Iterator[tuple]:  # type: ignore[type-arg]
    """Leave out half of them, a quarter, and so on down to one."""
    size = len(items)
    while size:
        for start in range(0, len(items), size):
            yield (*items[:start], *items[start + size :])
        size //= 2
