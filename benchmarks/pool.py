"""What a pool saves, and what reads through it cost, against plain PyMySQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import pymysql

import rwsplit
from rwsplit.sandbox import Sandbox

from .measure import Row, compare

_READ = "SELECT v FROM bench WHERE id = %s"
_THREADS = (1, 8, 64)
_SECONDS = 0.7


def rows(cluster: Sandbox, rounds: int) -> Iterator[Row]:
    """Run all comparisons; the table `bench` is there already."""
    options = {**cluster.connect_options, "autocommit": True, "pool_size": 70}
    plain_options = {key: options[key] for key in ("host", "user", "password", "database")}

    def plain(number: int = 0) -> Any:
        replica = cluster.replicas[number % len(cluster.replicas)]
        return pymysql.connect(**plain_options, port=replica.port, autocommit=True)

    def ours(number: int = 0) -> Any:
        return rwsplit.connect(**options)

    yield compare(
        "connect, warm pool",
        lambda: plain().close(),
        lambda: ours().close(),
        rounds=rounds,
        times=5,
        budget=0.1,
    )
    # Servers let in without TLS who came with it before.
    no_tls = {"autocommit": True, "ssl_disabled": True}
    port = cluster.replicas[0].port
    yield compare(
        "connect, read, close without TLS, warm pool",
        lambda: _visit_once(pymysql.connect(**plain_options, port=port, **no_tls)),
        lambda: _visit_once(rwsplit.connect(**{**options, **no_tls})),
        rounds=rounds,
        times=20,
        budget=1.0,
    )
    for threads in _THREADS:
        what = f"point reads, {threads} threads"
        yield _row(what, threads, rounds, (plain, ours), _read, budget=0.95)
    for threads in _THREADS:
        what = f"connect, read, close: {threads} threads"
        yield _row(what, threads, rounds, (plain, ours), _visit, budget=None)


def _row(
    what: str,
    threads: int,
    rounds: int,
    sides: tuple[Callable[[int], Any], Callable[[int], Any]],
    work: Callable[[Callable[[int], Any], int, float], int],
    budget: float | None,
) -> Row:
    taken: tuple[list[float], list[float]] = ([], [])
    _throughput(threads, sides[1], work)  # fills the pool
    for number in range(max(rounds // 8, 3)):
        for index in (0, 1) if number % 2 else (1, 0):
            taken[index].append(_throughput(threads, sides[index], work))
    return Row(what, taken[0], taken[1], budget, "reads/s")


def _throughput(
    threads: int,
    connect: Callable[[int], Any],
    work: Callable[[Callable[[int], Any], int, float], int],
) -> float:
    counts: list[int] = []
    ready = threading.Barrier(threads)

    def run(number: int) -> None:
        ready.wait()
        counts.append(work(connect, number, perf_counter() + _SECONDS))

    workers = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    start = perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (perf_counter() - start)


def _read(connect: Callable[[int], Any], number: int, until: float) -> int:
    connection = connect(number)
    cursor = connection.cursor()
    count = 0
    until = perf_counter() + _SECONDS
    while perf_counter() < until:
        cursor.execute(_READ, (number,))
        cursor.fetchone()
        count += 1
    connection.close()
    return count


def _visit_once(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(_READ, (1,))
    cursor.fetchone()
    connection.close()


def _visit(connect: Callable[[int], Any], number: int, until: float) -> int:
    count = 0
    while perf_counter() < until:
        _visit_once(connect(number))
        count += 1
    return count
