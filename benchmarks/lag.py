"""`python -m benchmarks.lag`: reads right behind a write, by how late the replicas are.

A session writes and reads what it wrote, in turn. Budgets (DESIGN, section 8): where replication is
healthy, at least 95% of the reads run on replicas; where it lags by 10 ms, a read costs at most 1.3
of one on the primary.
"""

from __future__ import annotations

import argparse
import statistics
from time import monotonic, perf_counter, sleep
from typing import Any

import rwsplit
from rwsplit.sandbox import Sandbox

from .measure import fill, servers_apart

__all__ = ["table"]

READ = "SELECT v FROM lagging WHERE id = 5"
WRITE = "UPDATE lagging SET v = LAST_INSERT_ID(v + 1) WHERE id = 5"
LAGS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1)
PAUSES = (0.0, 0.01)
SHARE, COST = 0.95, 1.3


def table(cluster: Sandbox, seconds: float = 2.0) -> str:
    """The table, as Markdown; each cell is measured for so many seconds."""
    fill(cluster, "lagging", 10)
    lines = [
        f"| {cluster.flavor}: lag | pause behind a write | on replicas | a read: median, mean "
        "| on the primary: median, mean | of that: median, mean | budget |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for lag in LAGS:
        for replica in cluster.replicas:
            cluster.delay(replica, lag)
        cluster.wait_caught_up()
        lines += [_line(cluster, lag, pause, seconds) for pause in PAUSES]
    for replica in cluster.replicas:
        cluster.delay(replica, 0)
    cluster.wait_caught_up()
    return "\n".join(lines)


def _line(cluster: Sandbox, lag: float, pause: float, seconds: float) -> str:
    ours = rwsplit.connect(autocommit=True, **cluster.connect_options)
    plain = cluster.connect(cluster.primary)
    share, times = _both(ours.cursor(), plain.cursor(), pause, seconds)
    ours.close()
    plain.close()
    (median, mean), (plain_median, plain_mean) = (
        (statistics.median(each), statistics.fmean(each)) for each in times
    )
    ratio = median / plain_median
    budget = ""
    if lag <= 0.001:
        budget = f"at least {SHARE:.0%} on replicas: " + _met(share >= SHARE)
    elif lag == 0.01 and not pause:
        budget = f"at most {COST}: " + _met(ratio <= COST)
    return (
        f"| {lag * 1e3:g} ms | {pause * 1e3:g} ms | {share:.0%} "
        f"| {median * 1e3:.2f}, {mean * 1e3:.2f} ms "
        f"| {plain_median * 1e3:.2f}, {plain_mean * 1e3:.2f} ms "
        f"| {ratio:.2f}, {mean / plain_mean:.2f} | {budget} |"
    )


def _both(
    ours: Any, plain: Any, pause: float, seconds: float
) -> tuple[float, tuple[list[float], list[float]]]:
    """Let both sides write and read in turn; the share of ours on replicas, and the times."""
    for _ in range(40):
        _read_behind(ours, pause)
    on_replicas = 0
    times: tuple[list[float], list[float]] = ([], [])
    until = monotonic() + seconds
    while monotonic() < until:
        times[0].append(_read_behind(ours, pause))
        on_replicas += ours.route.role == "replica"
        times[1].append(_read_behind(plain, pause))
    return on_replicas / len(times[0]), times


def _read_behind(cursor: Any, pause: float) -> float:
    """Write, and read what was written; returns how long the read took."""
    cursor.execute(WRITE)
    wrote = cursor.lastrowid
    if pause:
        sleep(pause)
    start = perf_counter()
    cursor.execute(READ)
    (value,) = cursor.fetchone()
    took = perf_counter() - start
    assert value >= wrote, (value, wrote)
    return took


def _met(is_met: bool) -> str:
    return "met" if is_met else "**missed**"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lag", description=__doc__)
    parser.add_argument("--flavor", choices=("mysql", "mariadb"), action="append")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each cell (2)")
    arguments = parser.parse_args()
    for flavor in arguments.flavor or ("mysql", "mariadb"):
        with servers_apart(flavor) as cluster:
            print(table(cluster, arguments.seconds), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
