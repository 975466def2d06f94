"""What session state costs: round trips of a SET and of the read behind it, and memory."""

from __future__ import annotations

import tracemalloc
from itertools import count
from typing import Any

import rwsplit
from rwsplit.sandbox import Sandbox

from .measure import RoundTrips

_REPLICAS = (1, 2, 8)
_SETS = 100_000


def table(cluster: Sandbox) -> str:
    """The table, as Markdown."""
    lines = [
        "| session state | " + " | ".join([f"{number} replicas" for number in _REPLICAS]) + " |",
        "| --- |" + " --- |" * len(_REPLICAS),
    ]
    columns = [_round_trips(cluster, number) for number in _REPLICAS]
    for what in columns[0]:
        cells = " | ".join([f"{column[what]:.2f}" for column in columns])
        lines.append(f"| {what}: round trips | {cells} |")
    grown = _memory(cluster)
    lines.append(f"| {_SETS:,} SETs of 10 variables: bytes grown by | {grown:,} | | |")
    return "\n".join(lines)


def _connect(cluster: Sandbox, number: int) -> Any:
    addresses = cluster.connect_options["replicas"]
    replicas = []
    for index in range(number):
        host, _, port = addresses[index % len(addresses)].rpartition(":")
        replicas.append({"name": f"replica-{index}", "host": host, "port": int(port)})
    return rwsplit.connect(**{**cluster.connect_options, "autocommit": True, "replicas": replicas})


def _round_trips(cluster: Sandbox, number: int) -> dict[str, float]:
    connection = _connect(cluster, number)
    cursor = connection.cursor()
    numbers = count()
    statements = {
        "SET @v": lambda: cursor.execute(f"SET @v = {next(numbers)}"),
        "SET of a system variable": lambda: cursor.execute(
            f"SET SESSION group_concat_max_len = {1000 + next(numbers)}"
        ),
    }
    for _ in range(2 * number):
        cursor.execute("SELECT 1")  # every member is connected
    found = {}
    with RoundTrips() as trips:
        for name, run in statements.items():
            found[name] = trips.of(run, 100)

            def read_behind(run: Any = run) -> None:
                run()
                cursor.execute("SELECT @v")
                assert cursor.route.role == "replica"

            found[f"{name}, then a read on a replica"] = trips.of(read_behind, 100)
    connection.close()
    return found


def _memory(cluster: Sandbox) -> int:
    connection = _connect(cluster, 2)
    cursor = connection.cursor()

    def run(times: int) -> None:
        for number in range(times):
            cursor.execute(f"SET @v{number % 10} = {number}")

    # The classifier's caches fill up first: they are bounded, and all connections share them.
    run(5000)
    tracemalloc.start()
    run(5000)
    before = tracemalloc.get_traced_memory()[0]
    run(_SETS)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    connection.close()
    return grown
