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
    :param do: see `steps`.
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
    :param provided: whether it shares with nobody as its `session_id_kind` is `provided`.
    """

    level: str
    shares: bool
    waits: bool
    timeout: float | None
    steps: tuple[Step, ...]
    provided: bool = False
    session_id: str | None = None
    autocommit: bool = True
    transactions: str = "verify"
    max_snapshot: float = 5.0

    @property
    def kind(self) -> str:
        """Its `session_id_kind`."""
        if self.shares:
            return "process"
        return "provided" if self.provided else "connection"


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
    :param store: whether session ids are kept outside of the process.
    :param busy: whether threads wait for a processor, so that some answers come to them late.
    """

    seed: int
    flavor: str
    replicas: int
    clients: tuple[ClientPlan, ...]
    mishaps: tuple[Mishap, ...]
    others: tuple[float, ...]
    store: bool = False
    busy: bool = False


_TASTES = (
    (*("read",) * 9, *("write",) * 4, "snapshot", "snapshot", "set", "wait", "stream"),
    (*("read",) * 12, "write", "stream"),
    (
        *("read", "read", "read", "write", "transaction", "transaction", "transaction", "stream"),
        *("snapshot", "set", "ask", "level", "autocommit", "ping", "wait"),
    ),
    (*("transaction",) * 6, "read", "write"),
)
"""What a client does: who does a bit of everything hides what those meet who do one thing."""
_READS = (
    *("", "", "", "", "", "", "user", "user", "whole", "lock"),
    *("eventual", "session", "global", "stale"),
)
_WRITES = ("", "", "", "", "", "", "", "", "lost before", "lost behind", "fails behind")
_BEGINS = (
    *("BEGIN", "BEGIN", "START TRANSACTION", "method", "START TRANSACTION READ ONLY"),
    *("START TRANSACTION WITH CONSISTENT SNAPSHOT", "START TRANSACTION READ WRITE"),
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
_WITHIN = ("read", "read", "read", "read", "write", "write", "savepoint", "stream", "set", "ask")
_ENDS = (
    *("commit", "commit", "commit", "commit", "rollback"),
    *("commit", "rollback", "begin", "autocommit", "none"),
)
_HOWS: dict[str, tuple[str, ...]] = {
    "read": _READS,
    "write": _WRITES,
    "begin": _BEGINS,
    "commit": (
        *("", "", "", "method", "method", "chain", "lost before", "lost behind"),
        *("method lost before", "method lost behind"),
    ),
    "rollback": ("", "", "method", "chain"),
    "snapshot": ("repeatable", "committed"),
    "savepoint": ("set", "set", "back", "release"),
    "autocommit": ("0", "1", "1", "method 0", "method 1", "method 1"),
    "set": ("", "", "system", "schema"),
    "ask": ("found", "changed"),
    "level": (
        *("session READ COMMITTED", "session REPEATABLE READ"),
        *("next READ COMMITTED", "next REPEATABLE READ"),
    ),
}
_GOES_WRONG = (
    *("stall", "stall", "slow", "slow", "kill", "kill", "kill all", "fail", "fail", "fail"),
    *("restart", "restart less", "restart less", "rebuild", "empty", "hang", "full", "refuse"),
    *("fail over", "fail over", "switch over", "restart primary", "stray", "no schema"),
    *("kill primary", "kill primary", "fail primary", "store away", "store empty"),
)
_MOST_STEPS = (6, 8, 12, 30)
"""Most faults need few steps: many short schedules meet more of them than few long ones."""
_PACES = (0.002, 0.01, 0.05, 0.3)
"""Seconds between two steps: those who are always busy hide what only the idle meet."""


def make_plan(seed: int, goes_wrong: tuple[str, ...] = _GOES_WRONG) -> Plan:
    """Make the plan of a seed; `goes_wrong` is what may."""
    dice = Random(seed)
    flavor = dice.choice(("mysql", "mysql", "mariadb"))
    # Half of them are about reads and what becomes of servers; that is much by itself.
    only_reads = dice.random() < 0.5
    clients = tuple([_client(dice, only_reads) for _ in range(dice.randint(1, 4))])
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
        *(tuple(sorted(mishaps)), _others(dice, length), dice.random() < 0.5),
        Random(f"busy {seed}").random() < 0.25,
    )


def _client(dice: Random, only_reads: bool) -> ClientPlan:
    pace = dice.choice(_PACES)
    steps: list[Step] = []
    taste = _TASTES[0] if only_reads else dice.choice(_TASTES)
    for _ in range(dice.randint(4, dice.choice(_MOST_STEPS))):
        does = dice.choice(taste)
        if does == "transaction":
            steps += _transaction(dice, pace)
        else:
            steps.append(_step(dice, pace, does))
    simple = ClientPlan(
        dice.choice(("session", "session", "session", "global", "eventual")),
        dice.random() < 0.6,
        dice.random() < 0.75,
        dice.choice((None, None, 2.0, 10.0)),
        tuple(steps),
    )
    if only_reads:
        return simple
    return ClientPlan(
        *simple[:5],
        dice.random() < 0.3,
        dice.choice((None, None, None, None, "7", "7", "8")),
        dice.random() < 0.85,
        dice.choice(("verify", "verify", "verify", "verify", "eventual", "primary")),
        dice.choice((0.05, 0.3, 5.0)),
    )


def _transaction(dice: Random, pace: float) -> list[Step]:
    """Return the steps of a transaction, which may begin by itself where autocommit is off."""
    steps = [_step(dice, pace, "begin")] if dice.random() < 0.9 else []
    count = dice.randint(1, 5)
    steps += [_step(dice, pace, dice.choice(_WITHIN)) for _ in range(count)]
    end = dice.choice(_ENDS)
    return steps if end == "none" else [*steps, _step(dice, pace, end)]


def _step(dice: Random, pace: float, does: str) -> Step:
    pause = round(dice.expovariate(1 / pace), 4)
    how = dice.choice(_HOWS[does]) if does in _HOWS else ""
    return Step(pause, does, how, dice.randrange(8))


def _others(dice: Random, length: float) -> tuple[float, ...]:
    """Return when others commit: never, now and then, all the time, or in bursts."""
    rate = dice.choice((0.0, 2.0, 30.0, 150.0))
    moments: list[float] = []
    at = 0.0
    while rate and len(moments) < 60:
        at += dice.expovariate(rate) if dice.random() < 0.97 else dice.uniform(0.0, 1.0)
        if at > length:
            break
        moments.append(round(at, 4))
    return tuple(moments)
