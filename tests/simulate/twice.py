"""The law of the straight roads: whether they are open makes no difference to an application."""

from __future__ import annotations

from .broken import Broken
from .plan import Plan
from .world import World, run

__all__ = ["run_twice"]


def run_twice(plan: Plan) -> World:
    """Run a schedule with the straight roads open, and closed; raises Broken where they differ."""
    world, other = run(plan), run(plan, goes_straight=False)
    for one, two in zip(world.transcript, other.transcript, strict=False):
        if one != two:
            raise Broken("straight", f"straight it is {one}, and by the journey {two}")
    if len(world.transcript) != len(other.transcript):
        raise Broken("straight", "one of them goes on for longer")
    return world
