"""A workload that records every write and read, and a checker of what the reads saw.

Each row is a counter. A write adds one and learns the new value from its own answer, so a read's
value tells which writes it saw. Times are of a clock that all processes of a machine share.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import rwsplit
from rwsplit._core.flows.choosing import Chooser
from rwsplit._core.session.seen import Seen
from rwsplit._shell import starting
from rwsplit._shell.process import ProcessPosition

WRITE = "UPDATE counters SET v = LAST_INSERT_ID(v + 1) WHERE id = %s"
READ = "SELECT v FROM counters WHERE id = %s"
EVERYONE = "everyone"


class Worker(NamedTuple):
    """How one thread connects, and which counter its session owns."""

    name: str
    key: str
    options: dict[str, Any]
    context_id: str | None = None
    transactions: bool = False
    writes: float = 0.3
    """How much of what it does are writes."""
    longest: int = 200
    """How much it does on one connection."""


class Event(NamedTuple):
    """One write or read, with the times before and after it."""

    kind: str
    connection: str
    session: str
    level: str
    key: str
    start: float
    end: float
    value: int
    route: str = ""
    process: int = 0
    shares: bool = False
    """The connection shares the session of its process."""
    began: float = 0.0
    """When a connection was asked for that began where the primary was; 0 for others."""


def workers(process: int, stores: list[str], threads: int = 2) -> list[Worker]:
    """The threads of one process: all kinds of session id, all stores, all levels."""
    found = []
    alone = {"session_id_kind": "connection", "after": None}
    for number in range(threads):
        found.append(Worker(f"{process}.connection.{number}", f"own{process}.{number}", alone))
        found.append(Worker(f"{process}.process.{number}", f"process{process}", {}, writes=0.1))
        found.append(
            Worker(f"{process}.global.{number}", f"global{process}", {"consistency": "global"})
        )
        found.append(
            Worker(
                f"{process}.transactions.{number}",
                f"transactions{process}.{number}",
                {"autocommit": False},
                transactions=True,
            )
        )
    # What it has written never binds this one: only what it has read does.
    found.append(Worker(f"{process}.reader", EVERYONE, alone, writes=0.0))
    # Nor does it this one, but for where it begins.
    fresh = {"session_id_kind": "connection"}
    found.append(Worker(f"{process}.fresh", EVERYONE, fresh, writes=0.0, longest=10))
    for index, store in enumerate(["memory", *stores]):
        shared = f"{process}" if store == "memory" else f"store{index}"
        base = {"session_store": store}
        found += [
            Worker(
                f"{process}.database.{index}",
                f"database{shared}",
                {**base, "session_id_kind": "database"},
            ),
            Worker(f"{process}.user.{index}", f"user{shared}", {**base, "session_id_kind": "user"}),
            Worker(
                f"{process}.provided.{index}",
                f"provided{shared}",
                {**base, "session_id": "checked"},
            ),
            Worker(f"{process}.context.{index}", f"context{shared}", base, context_id="web"),
        ]
        if store == "memory":
            # In one process there must be two of a kind to share anything.
            found += [found[-4]._replace(name=f"{process}.database.again")]
            found += [found[-4]._replace(name=f"{process}.user.again")]
    return found


def keys(processes: int, stores: list[str]) -> set[str]:
    """All counters of so many processes."""
    found = {worker.key for number in range(processes) for worker in workers(number, stores)}
    return found | {EVERYONE}


def run(
    process: int,
    options: dict[str, Any],
    stores: list[str],
    seconds: float,
    file: str,
    mutation: str | None,
) -> None:
    """Run the threads of one process; their events go to a file, and errors too."""
    if mutation is not None:
        MUTATIONS[mutation]()
    events: list[Any] = []
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_work, args=(worker, options, until, events, process))
        for worker in workers(process, stores)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Path(file).write_text("\n".join(json.dumps(event) for event in events))


def _work(
    worker: Worker, options: dict[str, Any], until: float, events: list[Any], process: int
) -> None:
    dice = random.Random(f"{process}{worker.name}")
    life = 0
    try:
        while time.monotonic() < until:
            life += 1
            _live(worker, f"{worker.name}#{life}", options, until, events, dice, process)
    except Exception as error:
        events.append(["error", worker.name, repr(error)])


def _live(
    worker: Worker,
    name: str,
    options: dict[str, Any],
    until: float,
    events: list[Any],
    dice: random.Random,
    process: int,
) -> None:
    """The life of one virtual connection."""
    given = {"autocommit": True, **options, **worker.options}
    level = given.get("consistency", "session")
    # A session of one connection ends with it; the others outlive it.
    session = name if worker.key.startswith(("own", "transactions", "global")) else worker.key
    by_id = "session_id" in given or worker.context_id is not None
    kind = given.get("session_id_kind", "process")
    # What a transaction has begun to read it goes on to read.
    shares = kind == "process" and not (by_id or worker.transactions)
    begins = kind in ("process", "connection") and not by_id and given.get("after", 1)
    began = time.monotonic() if begins else 0.0
    with contextlib.ExitStack() as stack:
        if worker.context_id is not None:
            stack.enter_context(rwsplit.session_id(worker.context_id))
        connection = stack.enter_context(_connect(**given))
        cursor = connection.cursor()
        for _ in range(dice.randrange(worker.longest // 10, worker.longest)):
            if time.monotonic() >= until:
                return
            key = worker.key if dice.random() < 0.7 else EVERYONE
            kind = "write" if dice.random() < worker.writes else "read"
            start = time.monotonic()
            try:
                if kind == "write":
                    cursor.execute(WRITE, (key,))
                    value = cursor.lastrowid
                    if worker.transactions:
                        connection.commit()
                else:
                    cursor.execute(READ, (key,))
                    (value,) = cursor.fetchone()
                    if worker.transactions and dice.random() < 0.5:
                        connection.commit()
            except (connection.OperationalError, connection.InternalError) as error:
                # A transaction whose reads did not hold is rolled back, and may be tried again.
                if error.args[0] != 1213 or not worker.transactions:
                    raise
                connection.rollback()
                continue
            end = time.monotonic()
            route = str(cursor.route)
            whose = name, session, level, key
            events.append(Event(kind, *whose, start, end, value, route, process, shares, began))
            if dice.random() < 0.1:
                time.sleep(dice.random() * 0.01)


def _connect(driver: str = "pymysql", **given: Any) -> Any:
    """Connect over a driver."""
    if driver == "pymysql":
        return rwsplit.connect(**given)
    if driver == "connector":
        from .drivers import OfConnector

        return OfConnector.wrap(given, given.pop("replicas"), {})
    import MySQLdb

    return rwsplit.wrap(MySQLdb, replicas=given.pop("replicas")).connect(**given)


def _nobody_waits() -> None:
    Chooser.serves = lambda self, replica, needed, route: True  # type: ignore[method-assign]


def _nobody_remembers() -> None:
    def saw(self: Seen, name: str, server: str, tail: bytes, now: float, by: object) -> None:
        self.at, self.tail = None, b""

    Seen.saw = Seen.saw_freely = saw  # type: ignore[method-assign]


def _nobody_tells() -> None:
    ProcessPosition.note = lambda self, gtids: None  # type: ignore[method-assign]


def _nobody_begins() -> None:
    starting._begin_after = lambda *_: None


MUTATIONS = {
    "nobody waits": _nobody_waits,
    "nobody remembers": _nobody_remembers,
    "nobody tells": _nobody_tells,
    "nobody begins": _nobody_begins,
}


def check(events: list[Event]) -> list[str]:
    """Return the violations of what was promised."""
    return [
        *_read_your_writes(events),
        *_read_your_processs_writes(events),
        *_begin_at_the_primary(events),
        *_monotonic(events),
        *_real_time(events),
    ]


def _read_your_writes(events: list[Event]) -> list[str]:
    by_session: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        by_session.setdefault((event.session, event.key), []).append(event)
    return [
        f"does not see its session's write {floor}: {read}"
        for some in by_session.values()
        for read, floor in _too_old(some, some)
    ]


def _read_your_processs_writes(events: list[Event]) -> list[str]:
    found = []
    for place in {(event.process, event.key) for event in events}:
        some = [event for event in events if (event.process, event.key) == place]
        readers = [event for event in some if event.shares]
        found += [
            f"does not see its process's write {floor}: {read}"
            for read, floor in _too_old(some, readers)
        ]
    return found


def _begin_at_the_primary(events: list[Event]) -> list[str]:
    found = []
    for key in {event.key for event in events}:
        some = [event for event in events if event.key == key]
        # As if each had read when its connection was asked for.
        readers = [event._replace(start=event.began) for event in some if event.began]
        found += [
            f"does not see {floor}, from before its connection: {read}"
            for read, floor in _too_old(some, readers)
        ]
    return found


def _real_time(events: list[Event]) -> list[str]:
    found = []
    for key in {event.key for event in events}:
        some = [event for event in events if event.key == key]
        reads = [event for event in some if event.level == "global"]
        found += [f"does not see {floor}: {read}" for read, floor in _too_old(some, reads)]
    return found


def _too_old(writers: list[Event], readers: list[Event]) -> list[tuple[Event, int]]:
    """Reads that do not see a write that had ended before they began."""
    ends = sorted((event.end, event.value) for event in writers if event.kind == "write")
    found = []
    at = highest = 0
    for read in sorted((e for e in readers if e.kind == "read"), key=lambda event: event.start):
        while at < len(ends) and ends[at][0] < read.start:
            highest = max(highest, ends[at][1])
            at += 1
        if read.value < highest:
            found.append((read, highest))
    return found


def _monotonic(events: list[Event]) -> list[str]:
    found = []
    last: dict[tuple[str, str], int] = {}
    acknowledged: dict[tuple[str, int], float] = {
        (event.key, event.value): event.end for event in events if event.kind == "write"
    }
    for event in sorted(events, key=lambda event: event.start):
        place = event.connection, event.key
        seen = last.get(place, 0)
        if (
            event.kind == "read"
            and event.value < seen
            and not _shown_early(event, seen, acknowledged)
        ):
            found.append(f"has seen {seen} before: {event}")
        last[place] = max(seen, event.value)
    return found


def _shown_early(read: Event, seen: int, acknowledged: dict[tuple[str, int], float]) -> bool:
    """Tell whether the primary had acknowledged none of the writes that it does not show.

    Servers send a commit to replicas a moment before they show it themselves.
    """
    ends = [acknowledged.get((read.key, value)) for value in range(read.value + 1, seen + 1)]
    return read.route.startswith("primary") and all(end is None or end > read.start for end in ends)
