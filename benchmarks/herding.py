"""Does a policy herd? A thousand processes read from ten replicas, by figures an interval old.

`python -m benchmarks.herding` prints the table of docs/policies.md. No servers and no clock: a
simulation with a fixed seed, so that two runs print the same.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Literal, NamedTuple

from rwsplit._core.cluster.endpoint import Endpoint
from rwsplit._core.cluster.figures import Figures, View, peak_ewma
from rwsplit._core.cluster.policies import POLICIES, Policy

PROCESSES = 1000
REPLICAS = 10
READS = 20
"""Of each process in an interval of one second: 2,000 a replica. Of so many, chance alone sends
the busiest of ten replicas 3 to 4% more than the average: far from the 10% that are looked for."""
WARM_UP = 1
PHASES = 20
"""So often in an interval some of the processes look, where they don't all look at once."""
SECONDS = 0.025
"""What a read takes on an idle replica, half more or half less."""
CAPACITY = 400
"""With so many statements beside it, it takes twice that."""
KEYS = 100_000
NEVER = -1.0
IDLE = 3
"""After so many intervals a process closes a connection that it did not use."""

NAMES = tuple([f"replica{number}" for number in range(REPLICAS)])
NUMBER = {name: number for number, name in enumerate(NAMES)}
ENDPOINTS = tuple([Endpoint(name, "db", 1 + number) for name, number in NUMBER.items()])


InUse = Literal["own", "all", ""]
"""Statements in use are the process's own, as they are now; or WeScale's, those of all processes,
as they were at the last look; or nobody asks, which saves time."""


class Scene(NamedTuple):
    """What the fleet meets."""

    phases: int = 1
    """Of the processes, so many parts look at the figures at moments of their own."""
    others: tuple[int, ...] = (0,) * REPLICAS
    """Statements that others keep running on each replica, over ten times as many connections."""
    behind: tuple[float, ...] = (0.0,) * REPLICAS
    """Seconds that each is behind, beside a jitter of up to 0.3."""


BUSY = Scene(others=(200, *(100,) * (REPLICAS - 1)), behind=(5.0, *(0.0,) * (REPLICAS - 1)))
"""One replica has twice the load of others that the rest have, and is late."""


class Outcome(NamedTuple):
    """What came of it, after the warm-up."""

    served: list[list[int]]
    """Reads of each replica, by interval."""
    seconds: float
    """The mean time of a read."""

    def peaks(self) -> list[float]:
        """The busiest replica's reads over the mean, by interval."""
        return [max(counts) / statistics.fmean(counts) for counts in self.served]

    def part(self, replica: int) -> float:
        """What a replica had of its fair share."""
        sums: list[int] = [sum(counts) for counts in zip(*self.served, strict=True)]
        return sums[replica] / statistics.fmean(sums)


class Process:
    """What one process of the fleet knows."""

    def __init__(self, dice: random.Random) -> None:
        self.figures = dict.fromkeys(NAMES, Figures())
        self.view = View(self.figures, dice.random)
        self.turn = dice.randrange(1000)
        self.in_use = [0] * REPLICAS
        self.used = [NEVER] * REPLICAS
        self.latency = [0.0] * REPLICAS
        self.heard = [0.0] * REPLICAS


class Fleet:
    """All of them, and what runs on the replicas."""

    def __init__(self, policy: Policy, scene: Scene, in_use: InUse) -> None:
        self.policy = policy
        self.scene = scene
        self.in_use = in_use
        self.dice = random.Random(7)
        self.processes = [Process(self.dice) for _ in range(PROCESSES)]
        self.running = [0] * REPLICAS
        self.connected = [0] * REPLICAS
        self.ends: list[tuple[float, int, int, float]] = []

    def run(self, intervals: int) -> Outcome:
        served, seconds = [], []
        for interval in range(WARM_UP + intervals):
            counts, total = self.interval(interval)
            if interval >= WARM_UP:
                served.append(counts)
                seconds.append(total / PROCESSES / READS)
        return Outcome(served, statistics.fmean(seconds))

    def interval(self, now: int) -> tuple[list[int], float]:
        counts = [0] * REPLICAS
        total = 0.0
        self.hang_up(now)
        looks = self.looks(now)
        next_look = next(looks)
        for at in sorted([now + self.dice.random() for _ in range(PROCESSES * READS)]):
            while next_look <= at:
                next_look = next(looks)
            self.finish(at)
            number = int(self.dice.random() * PROCESSES)
            replica, seconds = self.read(self.processes[number], at)
            heappush(self.ends, (at + seconds, number, replica, seconds))
            counts[replica] += 1
            total += seconds
        return counts, total

    def read(self, process: Process, at: float) -> tuple[int, float]:
        """Start a read; return where it runs and how long."""
        dice = self.dice.random
        process.view.key = str(int(dice() * KEYS))
        process.turn += 1
        replica = NUMBER[self.policy(ENDPOINTS, process.turn, process.view).name]
        if process.used[replica] == NEVER:
            self.connected[replica] += 1
        process.used[replica] = at
        beside = self.running[replica] + self.scene.others[replica]
        self.running[replica] += 1
        if self.in_use == "own":
            self.count(process, replica, 1)
        return replica, SECONDS * (0.5 + dice()) * (1 + beside / CAPACITY)

    def finish(self, now: float) -> None:
        """End the reads that are over by now."""
        while self.ends and self.ends[0][0] <= now:
            at, number, replica, seconds = heappop(self.ends)
            self.running[replica] -= 1
            if self.in_use == "own":
                process = self.processes[number]
                self.count(process, replica, -1)
                since = at - process.heard[replica]
                process.heard[replica] = at
                process.latency[replica] = peak_ewma(process.latency[replica], seconds, since)

    def hang_up(self, now: float) -> None:
        """Close the connections that were not used for long."""
        for process in self.processes:
            for replica, used in enumerate(process.used):
                if NEVER < used < now - IDLE:
                    process.used[replica] = NEVER
                    self.connected[replica] -= 1

    def count(self, process: Process, replica: int, more: int) -> None:
        process.in_use[replica] += more
        connected, running, _, latency, behind = process.figures[NAMES[replica]]
        live = process.in_use[replica]
        process.figures[NAMES[replica]] = Figures(connected, running, live, latency, behind)

    def looks(self, now: int) -> Iterator[float]:
        """Let each part of the processes look at the figures in its turn; yield when that is."""
        for phase in range(self.scene.phases):
            at = now + phase / self.scene.phases
            yield at
            self.finish(at)
            told = self.told()
            for process in self.processes[phase :: self.scene.phases]:
                self.look(process, told)
        yield now + 1.0

    def told(self) -> list[Figures]:
        """What the replicas tell of themselves."""
        figures = []
        for replica, others in enumerate(self.scene.others):
            connected = self.connected[replica] + 10 * others
            beside = max(round(self.dice.gauss(others, others**0.5)), 0)
            behind = self.scene.behind[replica] + 0.3 * self.dice.random()
            ours = self.running[replica]
            figures.append(Figures(connected, ours + beside, ours, 0.0, behind))
        return figures

    def look(self, process: Process, told: Sequence[Figures]) -> None:
        for replica, (connected, running, in_use, _, behind) in enumerate(told):
            known = in_use if self.in_use == "all" else process.in_use[replica]
            latency = process.latency[replica]
            figures = Figures(connected, running, known, latency, behind)
            process.figures[NAMES[replica]] = figures


def least(figure: str, ties: str) -> Policy:
    """WeScale's way: sort by a figure, take the first."""
    index = Figures._fields.index(figure)

    def policy(candidates: Sequence[Endpoint], turn: int, view: View) -> Endpoint:
        values = [view.figures[candidate.name][index] for candidate in candidates]
        lowest = min(values)
        if ties == "first":
            return candidates[values.index(lowest)]
        tied = [end for end, value in zip(candidates, values, strict=True) if value == lowest]
        return tied[int(view.random() * len(tied))]

    return policy


class Row(NamedTuple):
    """One line of the table."""

    name: str
    policy: Policy
    in_use: InUse = ""
    blind: bool = False
    """It looks at no figures."""


def naive() -> Iterator[Row]:
    for name, figure in (
        ("least_mysql_connected_connections", "connected"),
        ("least_mysql_running_connections", "running"),
        ("least_tablet_inuse_connections", "in_use"),
    ):
        for ties in ("first", "random"):
            in_use: InUse = "all" if figure == "in_use" else ""
            yield Row(f"WeScale's {name}, {ties} of equals", least(figure, ties), in_use)
    yield Row("the least behind, first of equals", least("behind", "first"))


def ours() -> Iterator[Row]:
    aliases = ("weighted_round_robin", "least_tablet_inuse_connections")
    live = ("least_inuse_connections", "least_response_time")
    blind = ("round_robin", "random", "consistent_hash")
    for name, policy in POLICIES.items():
        if name not in aliases:
            yield Row(f"`{name}`", policy, "own" if name in live else "", name in blind)


def outcome(row: Row, scene: Scene, intervals: int) -> Outcome:
    return Fleet(row.policy, scene, row.in_use).run(intervals)


def line(row: Row) -> str:
    at_once = outcome(row, Scene(), 4)
    cells = [peaks(at_once), "", f"{at_once.seconds * 1000:,.0f} ms", ""]
    if not row.blind:
        cells[1] = peaks(outcome(row, Scene(phases=PHASES), 4))
        cells[3] = f"{outcome(row, BUSY, 3).part(0):.0%}"
    return " | ".join(["", row.name, *cells, ""]).strip()


def peaks(found: Outcome) -> str:
    return f"{statistics.fmean(found.peaks()):.2f} ({max(found.peaks()):.2f})"


def main() -> None:
    print("| policy | all look at once | at any moment | a read takes | the busy replica |")
    print("| --- | --- | --- | --- | --- |")
    for row in (*naive(), *ours()):
        print(line(row), flush=True)


if __name__ == "__main__":
    main()
