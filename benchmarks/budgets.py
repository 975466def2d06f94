"""`python -m benchmarks.budgets`: every road that has a budget, and whether it is met.

Both sides run in one process and take turns, a round each; a ratio is the median of the rounds'.
CPU is the client's (`process_time`): what rwsplit costs; wall time has the servers in it.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import count
from time import perf_counter, process_time
from typing import Any, NamedTuple

import pymysql

import rwsplit
from rwsplit._core.cluster.position import parse_position
from rwsplit._stores import MemoryStore
from rwsplit._stores.base import MOST_ENTRIES
from rwsplit.sandbox import Sandbox

from . import classify, statements
from .measure import RoundTrips, fill, servers_apart

__all__ = ["Line", "of_cluster", "of_process", "show"]

READ = "SELECT v FROM bench WHERE id = %s"
WRITE = "UPDATE bench SET v = v + 1 WHERE id = %s"
_UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
Call = Callable[[], object]


class Line(NamedTuple):
    """What one road costs, and may."""

    what: str
    measured: str
    budget: str
    is_met: bool


def of_process() -> Iterator[Line]:
    """What needs no server."""
    yield _at_most("`import rwsplit`, of `import pymysql`", _import(), 1.3, "x")
    point = classify.POINT
    for what, taken, most in (
        ("a known template", classify.known(point.replace("{}", "%s")), 0.5),
        ("a known digest", classify.new_literals(point), 10.0),
        ("a text at first sight", classify.first_sight(point), 1000.0),
        ("a text with a changing comment", classify.new_comment(point), 10.0),
    ):
        yield _at_most(f"classify {what}", taken, most, " µs")
    for ids in (10_000, 100_000):
        yield _at_most(f"publish to the memory store, {ids:,} ids", _publish(ids), 10.0, " µs")


def of_cluster(cluster: Sandbox, rounds: int) -> Iterator[Line]:
    """What needs a primary and two replicas."""
    fill(cluster, "bench", 1000)
    yield from _statements(cluster, rounds)
    yield from _sessions(cluster, rounds)
    yield from _connects(cluster, rounds)
    yield from _round_trips(cluster)
    yield _processes(cluster, max(rounds // 8, 3))
    yield from _memory(cluster)


# On both sides.


def _plain(cluster: Sandbox, server: Any, **options: Any) -> Any:
    known = {key: value for key, value in cluster.connect_options.items() if key != "replicas"}
    return pymysql.connect(
        **{**known, "autocommit": True, **options, "host": server.host, "port": server.port}
    )


def _ours(cluster: Sandbox, **options: Any) -> Any:
    return rwsplit.connect(**{"autocommit": True, **cluster.connect_options, **options})


def _with_one(cluster: Sandbox, **options: Any) -> Any:
    """Connect with the replica alone that the plain side has.

    A server that is asked all the time answers faster, and costs its client less, than two in turn:
    one in ten here.
    """
    first = cluster.replicas[0]
    return _ours(cluster, replicas=[f"{first.host}:{first.port}"], **options)


def _ratios(plain: Call, ours: Call, rounds: int, times: int) -> tuple[float, float]:
    """The ratios of client CPU and of wall time."""
    found: tuple[list[float], list[float]] = ([], [])
    for side in (plain, ours):
        for _ in range(max(times // 4, 8)):
            side()
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            taken: dict[int, tuple[float, float]] = {}
            for index in (0, 1) if number % 2 else (1, 0):
                taken[index] = _taken((plain, ours)[index], times)
            for each, one, other in zip(found, taken[0], taken[1], strict=True):
                each.append(other / one)
    finally:
        gc.enable()
    cpu, wall = (statistics.median(each) for each in found)
    return cpu, wall


def _taken(run: Call, times: int) -> tuple[float, float]:
    cpu, wall = process_time(), perf_counter()
    for _ in range(times):
        run()
    return process_time() - cpu, perf_counter() - wall


def _road(
    what: str,
    plain: Call,
    ours: Call,
    rounds: int,
    times: int,
    most_cpu: float,
    most_wall: float | None = None,
) -> Line:
    cpu, wall = _ratios(plain, ours, rounds, times)
    budget = f"CPU {most_cpu:g}x" + ("" if most_wall is None else f", wall {most_wall:g}x")
    is_met = cpu <= most_cpu and (most_wall is None or wall <= most_wall)
    return Line(what, f"CPU {cpu:.2f}x, wall {wall:.2f}x", budget, is_met)


def _at_most(what: str, found: float, most: float, unit: str) -> Line:
    return Line(what, f"{found:,.2f}{unit}", f"{most:,g}{unit}", found <= most)


def _reading(cursor: Any, number: int = 7) -> Call:
    def read() -> None:
        cursor.execute(READ, (number,))
        cursor.fetchone()

    return read


# Statements.


def _statements(cluster: Sandbox, rounds: int) -> Iterator[Line]:
    replica, primary = _plain(cluster, cluster.replicas[0]), _plain(cluster, cluster.primary)
    ours, numbers = _with_one(cluster), count()
    reader, writer, cursor = replica.cursor(), primary.cursor(), ours.cursor()
    on_replicas = []

    def literal(using: Any) -> Call:
        def read() -> None:
            using.execute(f"SELECT v FROM bench WHERE id = {next(numbers) % 1000}")
            using.fetchone()

        return read

    def by_hand() -> None:
        writer.execute(WRITE, (9,))
        _reading(reader, 9)()

    def until_it_is_there() -> None:
        writer.execute("UPDATE bench SET v = LAST_INSERT_ID(v + 1) WHERE id = 9")
        while True:
            reader.execute(READ, (9,))
            if reader.fetchone()[0] >= writer.lastrowid:
                return

    def behind() -> None:
        cursor.execute(WRITE, (9,))
        _reading(cursor, 9)()
        on_replicas.append(cursor.route.role == "replica")

    _reading(cursor)()
    yield _road("point read", _reading(reader), _reading(cursor), rounds, 300, 1.05, 1.05)
    yield _road("point read, literals", literal(reader), literal(cursor), rounds, 300, 1.10)
    yield _road(
        *("write", lambda: writer.execute(WRITE, (8,)), lambda: cursor.execute(WRITE, (8,))),
        *(rounds, 60, 1.15, 1.05),
    )
    cpu, _ = _ratios(by_hand, behind, rounds, 40)
    _, wall = _ratios(until_it_is_there, behind, rounds, 40)
    yield Line(
        "write, and a read of it (wall: of replication's own time)",
        *(f"CPU {cpu:.2f}x, wall {wall:.2f}x", "CPU 1.4x, wall 1.1x"),
        cpu <= 1.4 and wall <= 1.1,
    )
    share = sum(on_replicas) / len(on_replicas)
    yield Line("its share on replicas", f"{share:.0%}", "at least 95%", share >= 0.95)
    asks = _with_one(cluster, consistency="global").cursor()
    yield _road("global read", _reading(reader), _reading(asks), rounds, 150, 1.6)
    yield _transactions(cluster, rounds)


def _transactions(cluster: Sandbox, rounds: int) -> Line:
    plain = _plain(cluster, cluster.replicas[0], autocommit=False)
    ours = _with_one(cluster, autocommit=False)

    def run(connection: Any) -> Call:
        first, second = _reading(connection.cursor(), 5), _reading(connection.cursor(), 6)

        def transaction() -> None:
            first()
            second()
            connection.commit()

        return transaction

    what = "transaction of two reads and COMMIT"
    return _road(what, run(plain), run(ours), rounds, 60, 1.25, 1.10)


def _sessions(cluster: Sandbox, rounds: int) -> Iterator[Line]:
    replica, primary = _plain(cluster, cluster.replicas[0]), _plain(cluster, cluster.primary)
    reader, writer = replica.cursor(), primary.cursor()
    cursor = _with_one(cluster, session_id="bench").cursor()
    _reading(cursor)()
    yield _road("read, session id in memory", _reading(reader), _reading(cursor), rounds, 300, 1.10)
    yield _road(
        "write, session id in memory",
        *(lambda: writer.execute(WRITE, (8,)), lambda: cursor.execute(WRITE, (8,))),
        *(rounds, 60, 1.25),
    )


# Connections.


def _connects(cluster: Sandbox, rounds: int) -> Iterator[Line]:
    def visit(connect: Callable[[], Any]) -> Call:
        def run() -> None:
            with closing(connect()) as connection:
                _reading(connection.cursor())()

        return run

    ours = visit(lambda: _with_one(cluster))
    for what, options, most in (
        ("without TLS", {"ssl_disabled": True}, 1.0),
        ("with TLS", {}, 0.1),
    ):
        plain = visit(lambda options=options: _plain(cluster, cluster.replicas[0], **options))
        said = f"connect, read, close, warm pool; PyMySQL {what}"
        yield _road(said, plain, ours, rounds, 8, most)
    with RoundTrips() as trips:
        yield _at_most("its round trips", trips.of(ours, 50), 2.0, "")


def _round_trips(cluster: Sandbox) -> Iterator[Line]:
    cursor, block = _ours(cluster, max_wait=1.0).cursor(), _ours(cluster, autocommit=False)
    moves, numbers = block.cursor(), count()

    def set_and_read() -> None:
        cursor.execute(f"SET @v = {next(numbers)}")
        cursor.execute("SELECT @v")

    def write_and_read() -> None:
        cursor.execute(WRITE, (9,))
        _reading(cursor, 9)()

    def move() -> None:
        block.cluster.habits.clear()
        _reading(moves)()
        moves.execute(WRITE, (10,))
        block.commit()

    asks = _ours(cluster, consistency="global").cursor()
    with RoundTrips() as trips:
        for what, run, alone, most in (
            ("a consistent read behind a write", write_and_read, 2, 0.0),
            ("a SET and a read behind it", set_and_read, 2, 0.0),
            # The end of its snapshot is sent, and nobody waits for the answer.
            ("the move of a verified transaction", move, 4, 1.0),
            ("a global read", _reading(asks), 1, 1.0),
        ):
            for _ in range(20):
                run()
            added = trips.of(run, 100) - alone
            # A session that stays on a replica asks it now and then: see `Seen`.
            yield Line(
                f"round trips added to {what}", f"{added:.2f}", f"{most:g}", added <= most + 0.05
            )


def _processes(cluster: Sandbox, rounds: int) -> Line:
    row = statements.processes(cluster, rounds)
    ratio = statistics.median(row.ratios)
    return Line("point reads a second, 8 processes", f"{ratio:.2f}x", "0.95x", ratio >= 0.95)


# What is kept.


def _memory(cluster: Sandbox) -> Iterator[Line]:
    many = 40

    def ours() -> Any:
        connection = _ours(cluster, pool_size=0)
        for number in range(4):
            _reading(connection.cursor(), number)()
        return connection

    def physical() -> list[Any]:
        servers = (cluster.primary, *cluster.replicas)
        connections = [_plain(cluster, server) for server in servers]
        for each in connections:
            _reading(each.cursor())()
        return connections

    grown = {}
    for name, make in (("physical", physical), ("ours", ours)):
        make()
        gc.collect()
        tracemalloc.start()
        kept = [make() for _ in range(many)]
        gc.collect()
        grown[name] = tracemalloc.get_traced_memory()[0] / many
        tracemalloc.stop()
        for each in kept:
            for connection in each if isinstance(each, list) else [each]:
                connection.close()
    beyond = (grown["ours"] - grown["physical"]) / 1024
    yield _at_most("memory of a virtual connection beyond its physical ones", beyond, 10.0, " KB")
    cursor = _ours(cluster).cursor()
    with closing(_ours(cluster)) as sharing:
        writer = sharing.cursor()

        def write_as(number: int) -> None:
            sharing.session_id = f"user:{number}"
            writer.execute(WRITE, (8,))

        for what, warm, run in (
            ("SET", 12_000, lambda number: cursor.execute(f"SET @v{number % 10} = {number}")),
            ("text", 12_000, lambda number: cursor.execute(f"SELECT {number}, 'a'")),
            ("session id", 2 * MOST_ENTRIES + 1000, write_as),
        ):
            yield _flat(what, run, warm)


def _flat(what: str, run: Callable[[int], object], warm: int, more: int = 6000) -> Line:
    """Fill what is bounded to its bound, and see that it grows no more."""
    tracemalloc.start()
    for number in range(warm):
        run(number)
    # Some caches are emptied when they are full: what counts is the most that there is.
    highest = [0, 0]
    for window in range(2):
        for number in range(warm + window * more, warm + (window + 1) * more):
            run(number)
            if not number % 100:
                gc.collect()
                highest[window] = max(highest[window], tracemalloc.get_traced_memory()[0])
    grown = (highest[1] - highest[0]) / more
    tracemalloc.stop()
    said = f"memory that each {what} adds, beyond the first {warm:,}"
    return _at_most(said, max(grown, 0.0), 20.0, " bytes")


# In the process.


def _import() -> float:
    """The median of several processes' own times, side by side."""
    times: dict[str, list[float]] = {"pymysql": [], "rwsplit": []}
    for _ in range(15):
        for module, taken in times.items():
            said = f"from time import process_time as now;a=now();import {module};print(now()-a)"
            command = [sys.executable, "-c", said]
            taken.append(float(subprocess.run(command, capture_output=True, check=True).stdout))
    return statistics.median(times["rwsplit"]) / statistics.median(times["pymysql"])


def _publish(ids: int) -> float:
    """Microseconds a publish takes at most, of several rounds over so many ids."""
    store = MemoryStore()
    positions = [parse_position("mysql", f"{_UUID}:1-{number + 1}") for number in range(ids)]
    times = []
    for _ in range(3):
        start = process_time()
        for number, position in enumerate(positions):
            store.publish(f"provided:{number}", None, position)
        times.append((process_time() - start) / ids)
    return max(times) * 1e6


def show(lines: Iterable[Line]) -> None:
    """Print the table, as Markdown, line by line; and which budgets are missed."""
    print("| what | measured | budget | |\n| --- | --- | --- | --- |", flush=True)
    every, names = 0, []
    for what, measured, budget, is_met in lines:
        word = "met" if is_met else "**missed**"
        print(f"| {what} | {measured} | {budget} | {word} |", flush=True)
        every += 1
        if not is_met:
            names.append(what)
    told = "; ".join(names)
    print(f"\n{len(names)} of {every} budgets are missed{': ' * bool(names)}{told}.\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budgets", description=__doc__)
    parser.add_argument("--flavor", choices=("mysql", "mariadb"), action="append")
    parser.add_argument("--rounds", type=int, default=30, help="interleaved rounds (30)")
    arguments = parser.parse_args()
    show(of_process())
    for flavor in arguments.flavor or ("mysql", "mariadb"):
        with servers_apart(flavor) as cluster:
            print(f"{flavor} {cluster.version}:\n")
            show(of_cluster(cluster, arguments.rounds))


if __name__ == "__main__":
    main()
