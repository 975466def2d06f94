"""What transactions cost: where their reads run, the move, and rows that all of them write."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import pymysql

import rwsplit
from rwsplit.sandbox import Sandbox

from .measure import RoundTrips, median_of

_READ = "SELECT v FROM bench WHERE id = 5"
_OTHER = "SELECT v FROM bench WHERE id = 6"
_WRITE = "UPDATE bench SET v = v + 1 WHERE id = 7"
_THREADS = 6
_HOT = {
    "a count and an INSERT": ("SELECT COUNT(*) FROM hot", "INSERT INTO hot (v) VALUES (%s)"),
    "a counter and an UPDATE": (
        "SELECT v FROM hot WHERE id = 1",
        "UPDATE hot SET v = %s + 1 WHERE id = 1",
    ),
}


def tables(cluster: Sandbox) -> Iterator[str]:
    """The tables, as Markdown; `bench` is there already."""
    yield _shares(cluster)
    yield _move(cluster)
    yield _hot(cluster)


def _connect(cluster: Sandbox, **options: Any) -> Any:
    return rwsplit.connect(**{**cluster.connect_options, "autocommit": False, **options})


def _shares(cluster: Sandbox) -> str:
    lines = [
        "| of 100 transactions of two reads, so many also write | reads on replicas |",
        "| --- | --- |",
    ]
    for writes in (0, 10, 30, 100):
        connection = _connect(cluster)
        connection.cluster.habits.clear()
        cursor = connection.cursor()
        on_replicas = 0
        for number in range(200):
            for sql in (_READ, _OTHER):
                cursor.execute(sql)
                on_replicas += cursor.route.role == "replica"
            if number * writes % 100 < writes:
                cursor.execute(_WRITE)
            connection.commit()
        lines.append(f"| {writes} | {on_replicas / 400:.0%} |")
        connection.close()
    return "\n".join(lines)


def _move(cluster: Sandbox) -> str:
    """One read and one write, with all ways to run them."""
    lines = ["| a read, a write, COMMIT | round trips | µs |", "| --- | --- | --- |"]
    plain = cluster.connect(cluster.primary, autocommit=False)
    ways: list[tuple[str, Any]] = [
        ("plain PyMySQL on the primary", plain),
        ("transactions='primary'", _connect(cluster, transactions="primary")),
        ("moved and verified", _connect(cluster)),
        ("moved, transactions='eventual'", _connect(cluster, transactions="eventual")),
        ("begun on the primary, as it usually writes", _connect(cluster)),
    ]
    for name, connection in ways:
        cursor = connection.cursor()
        forgets = "moved" in name

        def run(
            connection: Any = connection, cursor: Any = cursor, forgets: bool = forgets
        ) -> None:
            if forgets:
                connection.cluster.habits.clear()
            cursor.execute(_READ)
            cursor.execute(_WRITE)
            connection.commit()

        for _ in range(20):
            run()
        with RoundTrips() as trips:
            count = "3" if connection is plain else f"{trips.of(run, 100):.2f}"
        lines.append(f"| {name} | {count} | {median_of(run):.0f} |")
        connection.close()
    return "\n".join(lines)


def _hot(cluster: Sandbox) -> str:
    lines = [
        f"| {_THREADS} threads, each reading what all write | errors, plain and rwsplit "
        "| lost updates, plain and rwsplit | time, of plain (budget 1.20) |",
        "| --- | --- | --- | --- |",
    ]
    for name in _HOT:
        _run_hot(cluster, name, lambda: _connect(cluster), 20)  # the warm-up
        ratios, errors, lost = [], [0, 0], [0, 0]
        for _ in range(5):
            times = []
            for side, connect in enumerate(
                (
                    lambda: cluster.connect(cluster.primary, autocommit=False),
                    lambda: _connect(cluster),
                )
            ):
                seconds, wrong, gone = _run_hot(cluster, name, connect, 60)
                times.append(seconds)
                errors[side] += wrong
                lost[side] += gone
            ratios.append(times[1] / times[0])
        ratio = statistics.median(ratios)
        lines.append(f"| {name} | {errors[0]}, {errors[1]} | {lost[0]}, {lost[1]} | {ratio:.2f} |")
    return "\n".join(lines)


def _run_hot(
    cluster: Sandbox, name: str, connect: Callable[[], Any], transactions: int
) -> tuple[float, int, int]:
    """Seconds, errors and lost updates."""
    read, write = _HOT[name]
    with cluster.connect(cluster.primary) as connection:
        cursor = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS hot")
        cursor.execute("CREATE TABLE hot (id INT PRIMARY KEY AUTO_INCREMENT, v INT)")
        cursor.execute("INSERT INTO hot VALUES (1, 0)")
    cluster.wait_caught_up()
    errors: list[int] = []
    ready = threading.Barrier(_THREADS + 1)

    def work() -> None:
        connection = connect()
        cursor = connection.cursor()
        cursor.execute("SELECT COUNT(*) FROM bench WHERE id < 3")
        connection.commit()
        ready.wait()
        for _ in range(transactions):
            while True:
                try:
                    cursor.execute(read)
                    (value,) = cursor.fetchone()
                    cursor.execute(write, (value,))
                    connection.commit()
                    break
                except pymysql.OperationalError as error:
                    errors.append(error.args[0])
                    connection.rollback()
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    ready.wait()
    start = perf_counter()
    for thread in threads:
        thread.join()
    seconds = perf_counter() - start
    lost = 0
    if "UPDATE" in write:
        with cluster.connect(cluster.primary) as connection:
            cursor = connection.cursor()
            cursor.execute(read)
            lost = _THREADS * transactions - cursor.fetchone()[0]
    return seconds, len(errors), lost
