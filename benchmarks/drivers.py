"""What wrapped drivers cost, each against the driver alone: round trips and client CPU."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import closing
from functools import partial
from time import thread_time
from typing import Any

import mysql.connector
import MySQLdb
import pymysql
from pymysql.constants import CLIENT

import rwsplit
from rwsplit.sandbox import Sandbox

from .measure import fill

_READ = "SELECT v FROM bench WHERE id = %s"
_WRITE = "UPDATE bench SET v = v + 1 WHERE id = %s"
_TIMES, _ROUNDS = 200, 15


def table(cluster: Sandbox) -> str:
    """The table, as Markdown."""
    fill(cluster, "bench", 1000)
    options = {**cluster.connect_options, "autocommit": True}
    replicas = options.pop("replicas")
    lines = [
        "| driver | statement | round trips | client CPU, alone | wrapped | ratio |",
        "| --- | --- | --- | --- | --- | --- |",
    ]

    def make(endpoint: rwsplit.Endpoint) -> Any:
        where = {"host": endpoint.host, "port": endpoint.port}
        return pymysql.connect(**{**options, **where}, client_flag=CLIENT.SESSION_TRACK)

    own_options: dict[str, Any] = {"replicas": replicas, "max_wait": 1.0}
    primary = f"{options['host']}:{options['port']}"
    for name, plain, connect in (
        ("PyMySQL", pymysql.connect, partial(rwsplit.wrap(pymysql, **own_options), **options)),
        ("PyMySQL's own", pymysql.connect, rwsplit.wrap(make, primary=primary, **own_options)),
        ("mysqlclient", MySQLdb.connect, partial(rwsplit.wrap(MySQLdb, **own_options), **options)),
        (
            "mysql-connector-python",
            mysql.connector.MySQLConnection,
            partial(rwsplit.wrap(mysql.connector, **own_options), **options),
        ),
    ):
        with closing(plain(**options)) as alone, closing(connect()) as own:
            for what, statements in (
                ("read", (_READ,)),
                ("write", (_WRITE,)),
                ("write, and a read of it", (_WRITE, _READ)),
            ):
                sides = [_running(each.cursor(), statements) for each in (alone, own)]
                trips = _trips(own, sides[1])
                taken = _taken(sides)
                middle = [statistics.median(each) * 1e6 for each in taken]
                ratio = statistics.median([b / a for a, b in zip(*taken, strict=True)])
                lines.append(
                    f"| {name} | {what} | {trips:.2f} | {middle[0]:,.1f} µs | {middle[1]:,.1f} µs "
                    f"| {ratio:.2f} |"
                )
    return "\n".join(lines)


def _running(cursor: Any, statements: tuple[str, ...]) -> Callable[[], None]:
    def run() -> None:
        for sql in statements:
            cursor.execute(sql, (7,))
            cursor.fetchall()

    return run


def _trips(connection: Any, run: Callable[[], None]) -> float:
    """How many times something is written to a server, where one statement alone is one."""

    def written() -> int:
        members = [member.connection for member in connection._members.values()]
        return sum(each.writes for each in (connection.driver_connection, *members))

    for _ in range(20):
        run()
    before = written()
    for _ in range(_TIMES):
        run()
    return (written() - before) / _TIMES


def _taken(sides: list[Callable[[], None]]) -> tuple[list[float], list[float]]:
    """The CPU time of this thread, in interleaved rounds."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(_ROUNDS):
        for index in (0, 1) if number % 2 else (1, 0):
            start = thread_time()
            for _ in range(_TIMES):
                sides[index]()
            taken[index].append((thread_time() - start) / _TIMES)
    return taken
