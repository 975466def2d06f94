"""A workload that goes on while servers fail, and knows what each answer must be.

Each thread owns a counter. A write adds one and learns the new value from its own answer; so the
next read tells whether a write was lost to it, and the end whether one ran twice.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import rwsplit

CREATE = "CREATE TABLE IF NOT EXISTS work (id INT PRIMARY KEY, v INT NOT NULL)"
WRITE = "UPDATE work SET v = LAST_INSERT_ID(v + 1) WHERE id = %s"
READ = "SELECT v, @mine, DATABASE() FROM work WHERE id = %s"


class Thread(threading.Thread):
    """One virtual connection that reads and writes its counter until told to stop."""

    def __init__(
        self,
        number: int,
        options: dict[str, Any],
        stop: threading.Event,
        hold: threading.Event,
        connect: Callable[..., Any] = rwsplit.connect,
    ) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.connection = connect(**{"autocommit": True, **options})
        self.lost: type[Exception] = self.connection.OperationalError
        cursor = self.connection.cursor()
        cursor.execute(f"SET @mine = {number}")
        cursor.execute("REPLACE INTO work VALUES (%s, 0)", (number,))
        self.acknowledged = 0
        self.unknown = 0
        """Writes whose outcome is not known; each may have counted."""
        self.violations: list[str] = []
        self.refused: list[str] = []
        """Errors of writes."""
        self.reads: list[tuple[float, str]] = []
        """When each read was answered, and by whom."""
        self.writes: list[tuple[float, str]] = []
        self.slowest = 0.0
        self.is_writing = False
        self._stop_event = stop
        self._hold_event = hold

    def run(self) -> None:
        cursor = self.connection.cursor()
        turn = 0
        while not self._stop_event.is_set():
            turn += 1
            start = time.monotonic()
            self.is_writing = turn % 4 == 0
            if self.is_writing and not self._hold_event.is_set():
                self._write(cursor)
                self.is_writing = False
            else:
                self.is_writing = False
                self._read(cursor)
                self.slowest = max(self.slowest, time.monotonic() - start)
            time.sleep(0.002)

    def _write(self, cursor: Any) -> None:
        try:
            cursor.execute(WRITE, (self.number,))
        except rwsplit.OutcomeUnknown as error:
            self.unknown += 1
            self.refused.append(repr(error))
        except self.lost as error:
            self.refused.append(repr(error))
            if error.args[0] == 2013:
                self.violations.append(f"a write's outcome is not said to be unknown: {error!r}")
        except Exception as error:
            self.violations.append(f"a write: {error!r}")
        else:
            value = cursor.lastrowid
            if not self.acknowledged < value <= self.acknowledged + 1 + self.unknown:
                self.violations.append(
                    f"write {value} after {self.acknowledged}, {self.unknown} unknown"
                )
            self.acknowledged = value
            self.unknown = 0
            self.writes.append((time.monotonic(), cursor.route.endpoint))

    def _read(self, cursor: Any) -> None:
        try:
            cursor.execute(READ, (self.number,))
            value, mine, schema = cursor.fetchone()
        except Exception as error:
            self.violations.append(f"a read: {error!r}")
            return
        if not self.acknowledged <= value <= self.acknowledged + self.unknown:
            self.violations.append(
                f"read {value} after write {self.acknowledged}, {self.unknown} unknown: "
                f"{cursor.route}"
            )
        if int(mine) != self.number or schema != "shop":
            self.violations.append(f"state lost: @mine={mine!r}, schema={schema!r}: {cursor.route}")
        self.reads.append((time.monotonic(), cursor.route.endpoint))


class Workload:
    """Several threads at once; a context manager that ends them and checks what they saw."""

    def __init__(
        self,
        options: dict[str, Any],
        threads: int = 4,
        connect: Callable[..., Any] = rwsplit.connect,
    ) -> None:
        self._options = options
        self._stop = threading.Event()
        self._hold = threading.Event()
        with rwsplit.connect(**{**options, "replicas": None, "autocommit": True}) as connection:
            connection.cursor().execute(CREATE)
        self.threads = [
            Thread(number, options, self._stop, self._hold, connect) for number in range(threads)
        ]

    def __enter__(self) -> Workload:
        for thread in self.threads:
            thread.start()
        time.sleep(0.5)
        return self

    def __exit__(self, kind: Any, *exc_info: object) -> None:
        self._stop.set()
        for thread in self.threads:
            thread.join(30)
        stuck = [thread.number for thread in self.threads if thread.is_alive()]
        if kind is None:
            assert not stuck, f"threads that hang: {stuck}"
            assert not self.violations(), self.violations()[:10]
            assert all(thread.reads for thread in self.threads)
        for thread in self.threads:
            thread.connection._force_close()

    @contextlib.contextmanager
    def only_reads(self) -> Iterator[None]:
        """Let nobody write for a while: replication is asynchronous, and can lose writes."""
        self._hold.set()
        self.wait_until(lambda: not any(thread.is_writing for thread in self.threads))
        yield
        self._hold.clear()

    def violations(self) -> list[str]:
        """What the threads saw that must not be."""
        return [what for thread in self.threads for what in thread.violations]

    def refused(self) -> list[str]:
        """The errors of writes."""
        return [what for thread in self.threads for what in thread.refused]

    def count(self, since: float, what: str = "reads") -> dict[str, int]:
        """How many reads each endpoint has answered since then."""
        found: dict[str, int] = {}
        for thread in self.threads:
            for when, endpoint in [*getattr(thread, what)]:
                if when >= since:
                    found[endpoint] = found.get(endpoint, 0) + 1
        return found

    def all_wrote(self, since: float) -> bool:
        """Whether every thread has written since then; some may not have before."""
        return all(thread.writes and thread.writes[-1][0] > since for thread in self.threads)

    def wait_until(self, condition: Any, seconds: float = 30.0) -> float:
        """Wait for something to be so; returns how many seconds that took."""
        start = time.monotonic()
        while not condition():
            if time.monotonic() - start > seconds:
                cluster = self.threads[0].connection.cluster
                raise AssertionError(
                    f"not so within {seconds} s; {cluster} {self.violations()[:5]}"
                )
            time.sleep(0.01)
        return time.monotonic() - start

    def slowest(self) -> float:
        """How many seconds the slowest read took."""
        return max(thread.slowest for thread in self.threads)
