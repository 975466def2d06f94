"""What large results cost through rwsplit, against plain PyMySQL on the same replica.

With rows made in Python, and with those of compiled code (`rwsplit[fast]`).
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from time import perf_counter, thread_time
from typing import Any

import pymysql
from pymysql.cursors import Cursor, SSCursor

import rwsplit
from rwsplit._drivers.pymysql import compiled, results
from rwsplit.sandbox import Sandbox

_ROUNDS = 9

_MANY = ", ".join(
    [f"i{n} INT" for n in range(12)]
    + [f"t{n} VARCHAR(40)" for n in range(12)]
    + [f"m{n} DECIMAL(12, 2)" for n in range(4)]
    + [f"d{n} DATETIME" for n in range(4)]
)
_MANY_VALUES = ", ".join(
    [f"n * {n} % 100000" for n in range(12)]
    + [f"CONCAT('text {n} of ', n)" for n in range(12)]
    + [f"n * {n} / 7" for n in range(4)]
    + [f"'2026-01-01 12:00:00' + INTERVAL n * {n} MINUTE" for n in range(4)]
)

SHAPES = {
    "short rows": ("id INT, v INT, name VARCHAR(20)", "n, n * 7 % 1000, CONCAT('name ', n)", 50000),
    "short rows, half NULL": (
        "id INT, v INT, name VARCHAR(20)",
        "n, NULLIF(n % 2, 0), IF(n % 2, CONCAT('name ', n), NULL)",
        50000,
    ),
    "wide rows": (
        "id INT, a VARCHAR(300), b VARCHAR(500), c VARCHAR(700)",
        "n, REPEAT('a', 300), REPEAT('b', 500), REPEAT('ü', 350)",
        10000,
    ),
    "32 columns": (_MANY, _MANY_VALUES, 4000),
}
"""Of each table the columns, what is in row n, and how many rows there are."""


def table(cluster: Sandbox) -> str:
    """The table, as Markdown."""
    options = {**cluster.connect_options, "autocommit": True}
    with rwsplit.connect(**options) as connection:
        _fill(connection)
    cluster.wait_caught_up()
    replica = cluster.replicas[0]
    lines = [
        "| result | cursor | client CPU a row: plain PyMySQL | rwsplit | ratio (wall) "
        "| rwsplit[fast] | ratio (wall) |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    own = rwsplit.connect(**{**options, "replicas": [f"{replica.host}:{replica.port}"]})
    del options["replicas"]
    plain = pymysql.connect(**{**options, "host": replica.host, "port": replica.port})
    for name, (_, _, count) in SHAPES.items():
        sql = f"SELECT * FROM {_table(name)}"
        for kind, cursor in (("buffered", Cursor), ("unbuffered", SSCursor)):
            alone, ours = (_reading(each, cursor, sql, count) for each in (plain, own))
            cpu, wall = _taken([alone, _made_by(_in_python, ours), _made_by(_compiled, ours)])
            figures = [f"{statistics.median(cpu[0]) / count * 1e6:.2f} µs"]
            for index in (1, 2):
                figures.append(f"{statistics.median(cpu[index]) / count * 1e6:.2f} µs")
                ratios = [
                    statistics.median([b / a for a, b in zip(each[0], each[index], strict=True)])
                    for each in (cpu, wall)
                ]
                figures.append(f"{ratios[0]:.2f} ({ratios[1]:.2f})")
            lines.append(f"| {count:,} {name} | {kind} | {' | '.join(figures)} |")
    plain.close()
    own.close()
    return "\n".join(lines)


def _in_python(*args: Any) -> None:
    """Make no rows: so they are made in Python."""


_compiled = compiled.compiled_rows


def _made_by(make: Any, run: Callable[[], None]) -> Callable[[], None]:
    def run_so() -> None:
        results.compiled_rows = make
        try:
            run()
        finally:
            results.compiled_rows = _compiled

    return run_so


def _table(name: str) -> str:
    return "rows_" + "".join(each for each in name if each.isalnum())


def _fill(connection: Any) -> None:
    cursor = connection.cursor()
    digits = "SELECT 0 d " + "".join(f"UNION SELECT {n} " for n in range(1, 10))
    numbers = "a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d"
    tables = ", ".join(f"({digits}) {name}" for name in "abcef")
    for name, (columns, values, count) in SHAPES.items():
        cursor.execute(f"DROP TABLE IF EXISTS {_table(name)}")
        cursor.execute(f"CREATE TABLE {_table(name)} ({columns})")
        cursor.execute(
            f"INSERT INTO {_table(name)} SELECT {values} FROM "
            f"(SELECT {numbers} AS n FROM {tables}) numbers WHERE n < {count}"
        )


def _reading(connection: Any, kind: type[Cursor], sql: str, count: int) -> Callable[[], None]:
    cursor = connection.cursor(kind)

    def run() -> None:
        cursor.execute(sql)
        assert len(cursor.fetchall()) == count

    return run


def _taken(sides: list[Callable[[], None]]) -> tuple[list[list[float]], list[list[float]]]:
    """CPU time of this thread, and wall time, of each side in interleaved rounds."""
    cpu: list[list[float]] = [[] for _ in sides]
    wall: list[list[float]] = [[] for _ in sides]
    order = list(enumerate(sides))
    for number in range(-1, _ROUNDS):
        for index, side in reversed(order) if number % 2 else order:
            gc.collect()
            begun, start = perf_counter(), thread_time()
            side()
            if number >= 0:
                cpu[index].append(thread_time() - start)
                wall[index].append(perf_counter() - begun)
    return cpu, wall
