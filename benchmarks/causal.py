"""What consistency costs: round trips, and the session stores."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep
from typing import Any

import rwsplit
from rwsplit.sandbox import Sandbox

from .measure import RoundTrips, median_of

_READ = "SELECT v FROM bench WHERE id = 5"
_WRITE = "UPDATE bench SET v = v + 1 WHERE id = 5"


def tables(cluster: Sandbox) -> Iterator[str]:
    """The tables, as Markdown; `bench` is there already."""
    yield _round_trips(cluster)
    if cluster.flavor == "mysql":
        yield _told(cluster)
    with _redis() as url:
        yield _stores(cluster, url)


def _connect(cluster: Sandbox, **options: Any) -> Any:
    return rwsplit.connect(**{**cluster.connect_options, "autocommit": True, **options})


def _round_trips(cluster: Sandbox) -> str:
    lines = ["| a consistent read | round trips |", "| --- | --- |"]
    with RoundTrips() as trips:
        for level in ("eventual", "session", "global"):
            connection = _connect(cluster, consistency=level)
            cursor = connection.cursor()
            for _ in range(8):
                cursor.execute(_READ)
            lines.append(f"| {level} | {trips.of(lambda c=cursor: c.execute(_READ), 200):.2f} |")
            connection.close()
        connection = _connect(cluster, max_wait=1.0)
        cursor = connection.cursor()

        def read_behind() -> None:
            cursor.execute(_WRITE)
            cursor.execute(_READ)
            assert cursor.route.role == "replica", cursor.route

        for _ in range(8):
            read_behind()
        both = trips.of(read_behind, 200)
        lines.append(f"| session, right behind its own write, waiting included | {both - 1:.2f} |")
        connection.close()
    return "\n".join(lines)


def _told(cluster: Sandbox) -> str:
    """What it costs that each read tells its replica's position."""
    lines = ["| a point read | µs |", "| --- | --- |"]
    for name, tracks in (("tells where its replica is", True), ("track_positions=False", False)):
        connection = _connect(cluster, track_positions=tracks)
        cursor = connection.cursor()
        taken = min(median_of(lambda c=cursor: c.execute(_READ)) for _ in range(5))
        lines.append(f"| {name} | {taken:.0f} |")
        connection.close()
    return "\n".join(lines)


def _stores(cluster: Sandbox, redis_url: str | None) -> str:
    lines = ["| session store | a read | a write |", "| --- | --- | --- |"]
    with tempfile.TemporaryDirectory() as folder:
        stores: dict[str, dict[str, Any]] = {
            "none: a session of one connection": {},
            "memory": {"session_id": "bench"},
            "SQLite": {"session_id": "bench", "session_store": f"sqlite:///{folder}/s.db"},
        }
        if redis_url is not None:
            stores["Redis on loopback"] = {"session_id": "bench", "session_store": redis_url}
        for name, options in stores.items():
            connection = _connect(cluster, **options)
            cursor = connection.cursor()
            cursor.execute(_WRITE)
            cluster.wait_caught_up()
            read = median_of(lambda c=cursor: c.execute(_READ))
            write = median_of(lambda c=cursor: c.execute(_WRITE))
            lines.append(f"| {name} | {read:.0f} µs | {write:.0f} µs |")
            connection.close()
    return "\n".join(lines)


@contextmanager
def _redis() -> Iterator[str | None]:
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [program, "--port", str(port), "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
            env=os.environ,
        )
        sleep(0.5)
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()
            server.wait()
