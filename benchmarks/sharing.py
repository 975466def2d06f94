"""The share of a program's reads that replicas answer, by who is one session.

A web application of one process: a pool of connections, a request takes the next one, reads, and
now and then writes. `python -m benchmarks.sharing` prints the table of docs/consistency.md.
"""

from __future__ import annotations

import argparse
import random
import statistics
from time import monotonic, perf_counter, sleep
from typing import Any

import rwsplit
from rwsplit.sandbox import Sandbox

LAGS = (0.0, 0.001, 0.01, 0.1)
RATES = (1, 10, 100)
KINDS = ("process", "connection", "provided")
_POOL = 4
_USERS = 50
_PAUSE = 0.001
"""Seconds between two reads."""
_WRITE = "UPDATE bench_sharing SET v = v + 1 WHERE id = %s"
_READ = "SELECT v FROM bench_sharing WHERE id = %s"


def table(cluster: Sandbox, seconds: float = 3.0) -> str:
    """The table, as Markdown; each cell is measured for so many seconds."""
    with cluster.connect(cluster.primary) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE IF NOT EXISTS bench_sharing (id INT PRIMARY KEY, v INT)")
        cursor.executemany(
            "REPLACE INTO bench_sharing VALUES (%s, 0)", [(user,) for user in range(_USERS)]
        )
    rates = " | ".join([f"{rate} writes/s" for rate in RATES])
    lines = [f"| {cluster.flavor}: lag | kind | {rates} |", f"| --- | --- |{' --- |' * len(RATES)}"]
    for lag in LAGS:
        for replica in cluster.replicas:
            cluster.delay(replica, lag)
        cluster.wait_caught_up()
        for kind in KINDS:
            cells = " | ".join([_cell(cluster, kind, rate, seconds) for rate in RATES])
            lines.append(f"| {lag * 1000:g} ms | `{kind}` | {cells} |")
    for replica in cluster.replicas:
        cluster.delay(replica, 0)
    cluster.wait_caught_up()
    return "\n".join(lines)


def _cell(cluster: Sandbox, kind: str, rate: int, seconds: float) -> str:
    options: dict[str, Any] = {**cluster.connect_options, "autocommit": True}
    pool = [rwsplit.connect(**options, session_id_kind=kind) for _ in range(_POOL)]
    _serve(pool, kind, rate, 0.5)
    on_replicas, times = _serve(pool, kind, rate, seconds)
    for connection in pool:
        connection.close()
    share = sum(on_replicas) / len(on_replicas)
    return f"{share:.0%}, {statistics.fmean(times) * 1e3:.1f} ms"


def _serve(pool: list[Any], kind: str, rate: int, seconds: float) -> tuple[list[bool], list[float]]:
    """Serve requests; returns of each read if a replica answered it, and how long it took."""
    dice = random.Random(20261125)
    answers, times = [], []
    began = monotonic()
    writes = 0
    while (now := monotonic()) < began + seconds:
        connection, user = dice.choice(pool), dice.randrange(_USERS)
        if kind == "provided":
            connection.session_id = f"user:{user}"
        cursor = connection.cursor()
        if now - began >= writes / rate:
            writes += 1
            cursor.execute(_WRITE, (user,))
            continue
        start = perf_counter()
        cursor.execute(_READ, (user,))
        times.append(perf_counter() - start)
        answers.append(cursor.route.role == "replica")
        sleep(_PAUSE)
    return answers, times


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sharing", description=__doc__)
    parser.add_argument("--flavor", choices=("mysql", "mariadb"), action="append")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each cell (3)")
    arguments = parser.parse_args()
    for flavor in arguments.flavor or ("mysql", "mariadb"):
        with Sandbox(flavor, replicas=2) as cluster:
            print(table(cluster, arguments.seconds), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
