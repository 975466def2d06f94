"""What a statement and a connection cost through rwsplit, against plain PyMySQL."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from time import perf_counter, sleep
from typing import Any

import pymysql

import rwsplit
from rwsplit.sandbox import Sandbox

from .measure import Row, compare, fill, run_anywhere

_READ = "SELECT v FROM bench WHERE id = %s"
_WRITE = "UPDATE bench SET v = v + 1 WHERE id = %s"


def rows(cluster: Sandbox, rounds: int) -> Iterator[Row]:
    """Run all comparisons on a running cluster."""
    fill(cluster, "bench", 1000)
    yield _reads(cluster, rounds)
    yield _writes(cluster, rounds)
    yield _read_after_write(cluster, rounds)
    yield _connects(cluster, rounds)
    yield processes(cluster, max(rounds // 8, 3))


def _plain(cluster: Sandbox, server: Any) -> Any:
    options = {key: value for key, value in cluster.connect_options.items() if key != "replicas"}
    return pymysql.connect(**{**options, "host": server.host, "port": server.port}, autocommit=True)


def _ours(cluster: Sandbox, **options: Any) -> Any:
    return rwsplit.connect(autocommit=True, **cluster.connect_options, **options)


def _reads(cluster: Sandbox, rounds: int) -> Row:
    """A consistent point read on a caught-up replica, after the session has written."""
    plain, ours = _plain(cluster, cluster.replicas[0]), _ours(cluster)
    plain_cursor, cursor = plain.cursor(), ours.cursor()
    cursor.execute(_WRITE, (7,))
    for _ in range(4):
        sleep(0.05)
        cursor.execute(_READ, (7,))
    assert cursor.route.role == "replica", cursor.route

    def read_plain() -> None:
        plain_cursor.execute(_READ, (7,))
        plain_cursor.fetchone()

    def read_ours() -> None:
        cursor.execute(_READ, (7,))
        cursor.fetchone()

    row = compare("point read", read_plain, read_ours, rounds=rounds, times=500, budget=1.05)
    assert cursor.route.role == "replica", cursor.route
    plain.close()
    ours.close()
    return row


def _writes(cluster: Sandbox, rounds: int) -> Row:
    plain, ours = _plain(cluster, cluster.primary), _ours(cluster)
    plain_cursor, cursor = plain.cursor(), ours.cursor()
    row = compare(
        "write",
        lambda: plain_cursor.execute(_WRITE, (8,)),
        lambda: cursor.execute(_WRITE, (8,)),
        rounds=rounds,
        times=50,
        budget=None,
    )
    plain.close()
    ours.close()
    return row


def _read_after_write(cluster: Sandbox, rounds: int) -> Row:
    """Against two plain connections, used by hand and without any consistency."""
    writer, reader = _plain(cluster, cluster.primary), _plain(cluster, cluster.replicas[0])
    ours = _ours(cluster)
    write_cursor, read_cursor, cursor = writer.cursor(), reader.cursor(), ours.cursor()
    answered = {"replica": 0, "primary": 0}

    def by_hand() -> None:
        write_cursor.execute(_WRITE, (9,))
        read_cursor.execute(_READ, (9,))
        read_cursor.fetchone()

    def through_us() -> None:
        cursor.execute(_WRITE, (9,))
        cursor.execute(_READ, (9,))
        cursor.fetchone()
        answered[cursor.route.role] += 1

    row = compare(
        "write, then a read of it", by_hand, through_us, rounds=rounds, times=50, budget=1.10
    )
    share = answered["replica"] / sum(answered.values())
    for connection in (writer, reader, ours):
        connection.close()
    return row._replace(what=f"{row.what} ({share:.0%} of ours on replicas)")


def _connects(cluster: Sandbox, rounds: int) -> Row:
    """Two members and a read on a replica, against one plain connection and no read."""

    def connect_plain() -> None:
        _plain(cluster, cluster.replicas[0]).close()

    def connect_ours() -> None:
        connection = _ours(cluster, pool_size=0)
        cursor = connection.cursor()
        cursor.execute(_READ, (1,))
        assert cursor.route.role == "replica", cursor.route
        connection.close()

    return compare(
        "connect and read (TLS preferred)",
        connect_plain,
        connect_ours,
        rounds=rounds,
        times=5,
        budget=0.5,
    )


def processes(cluster: Sandbox, rounds: int) -> Row:
    """Point reads a second by eight processes, all replicas used evenly by both sides."""
    plain: list[float] = []
    ours: list[float] = []
    for number in range(rounds):
        for index in (0, 1) if number % 2 else (1, 0):
            (plain, ours)[index].append(_throughput(cluster, index))
    return Row("point reads, 8 processes", plain, ours, 0.95, "reads/s")


_SECONDS = 1.5
_WARM_SECONDS = 1.0


def _read_for(seconds: float, cursor: Any, number: int) -> int:
    count = 0
    start = perf_counter()
    while perf_counter() - start < seconds:
        for _ in range(50):
            cursor.execute(_READ, (number,))
            cursor.fetchone()
        count += 50
    return count


def _throughput(cluster: Sandbox, index: int) -> float:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [
        context.Process(target=_work, args=(cluster, index, number, results)) for number in range(8)
    ]
    for worker in workers:
        worker.start()
    total = sum(results.get() for _ in workers)
    for worker in workers:
        worker.join()
    return float(total)


def _work(cluster: Sandbox, index: int, number: int, results: Any) -> None:
    run_anywhere()
    replica = cluster.replicas[number % len(cluster.replicas)]
    connection = _ours(cluster) if index else _plain(cluster, replica)
    cursor = connection.cursor()
    cursor.execute(_READ, (number,))
    # The first reads open what a process needs once: all members, and the monitor's connections.
    _read_for(_WARM_SECONDS, cursor, number)
    start = perf_counter()
    count = _read_for(_SECONDS, cursor, number)
    results.put(count / (perf_counter() - start))
    connection.close()
