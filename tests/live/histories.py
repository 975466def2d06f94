"""Concurrent transactions whose histories show what went wrong between them.

Counters, transfers and appended lists, each transaction a program of reads and then, perhaps, of
writes that are computed from what was read. Where transactions are told to take turns, a plain
primary never loses an update, so neither may rwsplit.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from typing import Any, NamedTuple

import pymysql

ACCOUNTS = 4
TOTAL = 100 * ACCOUNTS
RETRIES = frozenset({1213, 1205, 1020})

SETUP = (
    "DROP TABLE IF EXISTS accounts, lists, numbers",
    "CREATE TABLE accounts (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE lists (id INT PRIMARY KEY, items MEDIUMTEXT)",
    "CREATE TABLE numbers (id INT PRIMARY KEY, v INT)",
    f"INSERT INTO accounts VALUES {','.join(f'({n},100)' for n in range(ACCOUNTS))}",
    "INSERT INTO lists VALUES (1, '')",
    "INSERT INTO numbers VALUES (1, 0), (2, 0)",
)


class History(NamedTuple):
    """What happened."""

    done: int
    retried: int
    anomalies: dict[str, int]
    """By kind, how often."""
    examples: list[str]


def run(
    cluster: Any,
    connect: Any,
    isolation: str,
    seconds: float,
    suffer: Any = None,
    threads: int = 6,
) -> History:
    """Run transactions in several threads on what `connect` returns, and look at the history."""
    with cluster.connect(cluster.primary) as connection:
        for sql in SETUP:
            connection.cursor().execute(sql)
    cluster.wait_caught_up()
    shared = _Shared(isolation)
    until = time.monotonic() + seconds
    workers = [
        threading.Thread(target=_work, args=(shared, connect, until, number))
        for number in range(threads)
    ]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        if suffer is not None and time.monotonic() < until:
            suffer()
        time.sleep(0.05)
    for worker in workers:
        worker.join()
    if shared.crashed:
        raise shared.crashed[0]
    with cluster.connect(cluster.primary) as connection:
        _look_at_the_end(shared, connection.cursor())
    return History(shared.done, shared.retried, shared.anomalies, shared.examples)


class _Shared:
    def __init__(self, isolation: str) -> None:
        self.isolation = isolation
        self.lock = threading.Lock()
        self.turns = threading.Lock()
        self.added = 0
        self.appended: list[tuple[str, str]] = []
        """What was read of the list before, and what was appended."""
        self.seen: list[str] = []
        self.done = self.retried = 0
        self.anomalies: dict[str, int] = {}
        self.examples: list[str] = []
        self.crashed: list[BaseException] = []

    def anomaly(self, kind: str, example: str) -> None:
        with self.lock:
            self.anomalies[kind] = self.anomalies.get(kind, 0) + 1
            if len(self.examples) < 10:
                self.examples.append(f"{kind}: {example}")


def _work(shared: _Shared, connect: Any, until: float, number: int) -> None:
    dice = random.Random(number)
    try:
        with contextlib.closing(connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {shared.isolation}")
            connection.commit()
            while time.monotonic() < until:
                program = dice.choice((_count, _transfer, _append, _sum))
                try:
                    program(shared, connection, cursor, dice, f"{number}.{shared.done}")
                    shared.done += 1
                except pymysql.OperationalError as error:
                    connection.rollback()
                    if error.args[0] not in RETRIES:
                        raise
                    shared.retried += 1
    except BaseException as error:
        shared.crashed.append(error)


def _one(cursor: Any, sql: str, *args: Any) -> Any:
    cursor.execute(sql, args)
    return cursor.fetchone()[0]


def _count(shared: _Shared, connection: Any, cursor: Any, dice: random.Random, name: str) -> None:
    """Read a counter, and usually write what it is with one more; transactions take turns."""
    with shared.turns:
        value = _one(cursor, "SELECT v FROM numbers WHERE id = 1")
        if dice.random() < 0.6:
            connection.commit()
            return
        cursor.execute("UPDATE numbers SET v = %s WHERE id = 1", (value + 1,))
        connection.commit()
        shared.added += 1


def _transfer(
    shared: _Shared, connection: Any, cursor: Any, dice: random.Random, name: str
) -> None:
    """Move money between two accounts; what is moved is not computed from what was read."""
    one, other = sorted(dice.sample(range(ACCOUNTS), 2))
    amount = dice.randrange(-5, 6)
    _one(cursor, "SELECT v FROM accounts WHERE id = %s", one)
    if dice.random() < 0.5:
        cursor.execute("UPDATE accounts SET v = v - %s WHERE id = %s", (amount, one))
        cursor.execute("UPDATE accounts SET v = v + %s WHERE id = %s", (amount, other))
    connection.commit()


def _append(shared: _Shared, connection: Any, cursor: Any, dice: random.Random, name: str) -> None:
    """Read a list, and sometimes append to what was read; transactions take turns."""
    with shared.turns:
        items = _one(cursor, "SELECT items FROM lists WHERE id = 1")
        shared.seen.append(items)
        if dice.random() < 0.3:
            cursor.execute("UPDATE lists SET items = %s WHERE id = 1", (f"{items}{name} ",))
            connection.commit()
            shared.appended.append((items, name))
        else:
            connection.commit()


def _sum(shared: _Shared, connection: Any, cursor: Any, dice: random.Random, name: str) -> None:
    """Look at all accounts, one by one and at once: transfers never change the sum."""
    at_once = int(_one(cursor, "SELECT SUM(v) FROM accounts"))
    if at_once != TOTAL:
        shared.anomaly("a sum of half a transfer", str(at_once))
    if shared.isolation == "REPEATABLE READ":
        each = [_one(cursor, "SELECT v FROM accounts WHERE id = %s", n) for n in range(ACCOUNTS)]
        if sum(each) != at_once:
            shared.anomaly("a snapshot that moved", f"{each} after {at_once}")
        if dice.random() < 0.2:
            # The move must not let it see another state.
            cursor.execute("UPDATE numbers SET v = v + 1 WHERE id = 2")
            again = [_one(cursor, "SELECT v FROM accounts WHERE id = %s", n) for n in range(2)]
            if again != each[:2]:
                shared.anomaly("a read that was not repeatable", f"{again} after {each}")
    connection.commit()


def _look_at_the_end(shared: _Shared, cursor: Any) -> None:
    value = _one(cursor, "SELECT v FROM numbers WHERE id = 1")
    if value != shared.added:
        shared.anomaly("lost updates", f"{shared.added} added, and the counter is {value}")
    items = _one(cursor, "SELECT items FROM lists WHERE id = 1")
    names = items.split()
    if names != [name for _, name in shared.appended]:
        shared.anomaly("lost appends", f"{len(shared.appended)} appended, {len(names)} there")
    if any(not items.startswith(seen) for seen in shared.seen):
        shared.anomaly("a list that never was", "")
