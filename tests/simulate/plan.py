"""What happens in one schedule: who does what, and what goes wrong when.

A plan is made from a seed, and is a value: what it prints makes it again, and the clients, steps
and mishaps that a failure does not need can be left out of it.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

__all__ = ["ClientPlan", "Mishap", "Plan", "Step", "make_plan"]


class Step(NamedTuple):
    """What a client does next.

    :param pause: for how many seconds it does nothing before.
    :param do: a method of `Client`.
    """

    pause: float
    do: str
    how: str = ""
    size: int = 0


class ClientPlan(NamedTuple):
    """One virtual connection.

    :param shares: whether it shares what it writes with others of the process.
    :param waits: whether its reads wait where no replica has caught up.
    :param timeout: its `read_timeout`.
    """

    level: str
    shares: bool
    waits: bool
    timeout: float | None
    steps: tuple[Step, ...]


class Mishap(NamedTuple):
    """What goes wrong.

    :param at: seconds after the beginning.
    :param what: a method of `Mishaps`.
    :param where: which replica, by number.
    """

    at: float
    what: str
    where: int
    size: float = 0.0


class Plan(NamedTuple):
    """All of it.

    :param others: when other processes commit, seconds after the beginning.
    """

    seed: int
    flavor: str
    replicas: int
    clients: tuple[ClientPlan, ...]
    mishaps: tuple[Mishap, ...]
    others: tuple[float, ...]


_DOES = (
    *("read",) * 9,
    *("write",) * 4,
    *("snapshot", "snapshot", "set", "wait", "stream"),
)
_READS = ("", "", "", "", "", "eventual", "session", "global", "stale")
_WRITES = ("", "", "", "", "", "", "", "", "lost before", "lost behind", "fails behind")
_GOES_WRONG = (
    *("stall", "stall", "slow", "slow", "kill", "kill", "kill all", "fail", "fail", "fail"),
    *("restart", "restart less", "restart less", "rebuild", "empty", "hang", "full", "refuse"),
    *("fail over", "fail over", "switch over", "restart primary", "stray", "no schema"),
)
_PACES = (0.002, 0.01, 0.05, 0.3)
"""Seconds between two steps: those who are always busy hide what only the idle meet."""


def make_plan(seed: int, goes_wrong: tuple[str, ...] = _GOES_WRONG) -> Plan:
    """Make the plan of a seed; `goes_wrong` is what may."""
    dice = Random(seed)
    flavor = dice.choice(("mysql", "mysql", "mariadb"))
    clients = tuple([_client(dice) for _ in range(dice.randint(1, 4))])
    length = max(sum(step.pause for step in client.steps) for client in clients)
    count = dice.choice((0, 1, 2, 4, 8))
    first, last = 0.0, length
    if dice.random() < 0.4:  # all at once
        first = dice.uniform(0.0, length)
        last = min(first + 1.0, length)
    mishaps = [
        Mishap(
            *(round(dice.uniform(first, last), 4), dice.choice(goes_wrong)),
            *(dice.randrange(6), int(dice.random() * 1000) / 1000),
        )
        for _ in range(count)
    ]
    return Plan(
        *(seed, flavor, dice.choice((1, 2, 2, 3)), clients),
        *(tuple(sorted(mishaps)), _others(dice, length)),
    )


def _client(dice: Random) -> ClientPlan:
    pace = dice.choice(_PACES)
    return ClientPlan(
        dice.choice(("session", "session", "session", "global", "eventual")),
        dice.random() < 0.6,
        dice.random() < 0.75,
        dice.choice((None, None, 2.0, 10.0)),
        tuple([_step(dice, pace) for _ in range(dice.randint(8, 30))]),
    )


def _step(dice: Random, pace: float) -> Step:
    pause, does = round(dice.expovariate(1 / pace), 4), dice.choice(_DOES)
    if does == "read":
        return Step(pause, does, dice.choice(_READS))
    if does == "write":
        return Step(pause, does, dice.choice(_WRITES))
    if does == "snapshot":
        return Step(pause, does, dice.choice(("repeatable", "committed")), dice.randint(1, 3))
    return Step(pause, does)


def _others(dice: Random, length: float) -> tuple[float, ...]:
    """Return when others commit: never, now and then, all the time, or in bursts."""
    rate = dice.choice((0.0, 2.0, 30.0, 150.0))
    moments: list[float] = []
    at = 0.0
    while rate and len(moments) < 120:
        at += dice.expovariate(rate) if dice.random() < 0.97 else dice.uniform(0.0, 1.0)
        if at > length:
            break
        moments.append(round(at, 4))
    return tuple(moments)
