"""Measuring two ways of doing the same thing in one run."""

from __future__ import annotations

import gc
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple

import rwsplit
from rwsplit._drivers.pymysql import PhysicalConnection
from rwsplit.sandbox import Sandbox


class Row(NamedTuple):
    """One line of the table: what both sides took, and their ratio round by round."""

    what: str
    plain: list[float]
    ours: list[float]
    budget: float | None
    unit: str = "µs"

    @property
    def ratios(self) -> list[float]:
        return [ours / plain for plain, ours in zip(self.plain, self.ours, strict=True)]


@contextmanager
def servers_apart(flavor: str) -> Iterator[Sandbox]:
    """Run servers on all processors but the first, and this process on that, where Linux can.

    An answer costs its client half as much when the scheduler puts both ends of the connection on
    one processor. It does so for a while, and mostly for a side that talks to one server alone.
    """
    every = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    _run_on(every[1:])
    try:
        with Sandbox(flavor, replicas=2) as cluster:
            _run_on(every[:1])
            yield cluster
    finally:
        _run_on(every)


def run_anywhere() -> None:
    """Let this process, one of several, run on each processor again."""
    _run_on(range(os.cpu_count() or 1))


def _run_on(processors: Sequence[int]) -> None:
    if processors and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, processors)


def fill(cluster: Sandbox, table: str, rows: int) -> None:
    """Make a table of so many rows (`id`, `v`) anew, and let the replicas have it."""
    with rwsplit.connect(autocommit=True, **cluster.connect_options) as connection:
        cursor = connection.cursor()
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
        cursor.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, v INT)")
        numbers = [(i, i) for i in range(rows)]
        cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s)", numbers)
    cluster.wait_caught_up()


def compare(
    what: str,
    plain: Callable[[], object],
    ours: Callable[[], object],
    *,
    rounds: int,
    times: int,
    budget: float | None,
) -> Row:
    """Time both sides in interleaved rounds of `times` calls each.

    The side that goes first changes with each round, so that neither always finds the machine as
    the other left it.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    sides = (plain, ours)
    for side in sides:
        for _ in range(max(times // 5, 3)):
            side()
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            for index in (0, 1) if number % 2 else (1, 0):
                taken[index].append(_time(sides[index], times))
    finally:
        gc.enable()
    return Row(what, taken[0], taken[1], budget)


def _time(side: Callable[[], object], times: int) -> float:
    start = perf_counter()
    for _ in range(times):
        side()
    return (perf_counter() - start) / times


def median_of(run: Callable[[], object], times: int = 400) -> float:
    """The median time of one call, in microseconds."""
    return statistics.median([_time(run, 1) for _ in range(times)]) * 1e6


def render(rows: list[Row]) -> str:
    """The table, as Markdown: medians of both sides, the median ratio and its quartiles."""
    lines = [
        "| what | plain PyMySQL | rwsplit | ratio (quartiles) | budget |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        low, middle, high = _quartiles(row.ratios)
        budget = "" if row.budget is None else _budget(row, middle)
        lines.append(
            f"| {row.what} | {_show(row.plain, row.unit)} | {_show(row.ours, row.unit)} "
            f"| {middle:.2f} ({low:.2f} to {high:.2f}) | {budget} |"
        )
    return "\n".join(lines)


def _budget(row: Row, middle: float) -> str:
    assert row.budget is not None
    more_is_better = row.unit.endswith("/s")
    met = middle >= row.budget if more_is_better else middle <= row.budget
    word = "at least" if more_is_better else "at most"
    return f"{word} {row.budget:.2f}" + ("" if met else ", **missed**")


def _show(values: list[float], unit: str) -> str:
    middle = statistics.median(values)
    return f"{middle:,.0f} {unit}" if unit.endswith("/s") else f"{middle * 1e6:,.1f} {unit}"


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4)
    return low, middle, high


class RoundTrips:
    """Counts what a virtual connection sends: each write to a socket is followed by a read."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> RoundTrips:
        self._write = write = PhysicalConnection._write_bytes
        self._open = opening = PhysicalConnection._open

        def counting(connection: PhysicalConnection, data: bytes) -> None:
            self.count += 1
            write(connection, data)

        def counting_too(connection: PhysicalConnection, wire: Any, behind: bytes) -> None:
            self.count += 1  # a wire that was left behind: its set-up, and what goes along
            opening(connection, wire, behind)

        PhysicalConnection._write_bytes = counting
        PhysicalConnection._open = counting_too
        return self

    def __exit__(self, *exc_info: object) -> None:
        PhysicalConnection._write_bytes = self._write
        PhysicalConnection._open = self._open

    def of(self, run: Callable[[], object], times: int) -> float:
        """Return the round trips of one call, the mean of several."""
        before = self.count
        for _ in range(times):
            run()
        return (self.count - before) / times
