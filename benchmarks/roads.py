"""The roads that a statement can take, each as a call to be timed in client CPU.

Run by `compare`, once for each of the two trees: it reads commands from standard input and prints
what each took. So only what both trees have is used here: `rwsplit.connect` and its cursors.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from time import perf_counter, process_time, sleep
from typing import Any

import pymysql

import rwsplit

READ = "SELECT v FROM roads WHERE id = %s"
WRITE = "UPDATE roads SET v = v + 1 WHERE id = %s"


def roads(options: dict[str, Any]) -> dict[str, tuple[int, Callable[[], object]]]:
    """By name, how often a road is taken in one round, and a call that takes it once."""
    cursor = rwsplit.connect(autocommit=True, **options).cursor()
    other = rwsplit.connect(autocommit=True, **options).cursor()
    block = rwsplit.connect(autocommit=False, **options)
    in_block = block.cursor()
    shared = rwsplit.connect(autocommit=True, **{**options, "session_id": "roads"}).cursor()
    account = {key: value for key, value in options.items() if key != "replicas"}
    plain = pymysql.connect(autocommit=True, **account).cursor()

    def read(using: Any = cursor) -> None:
        using.execute(READ, (7,))
        using.fetchone()

    def write_and_read(using: Any = other) -> None:
        using.execute(WRITE, (9,))
        read(using)

    def transaction() -> None:
        for _ in range(3):
            read(in_block)
        block.commit()

    def transaction_that_writes() -> None:
        read(in_block)
        in_block.execute(WRITE, (10,))
        block.commit()

    def connect() -> None:
        connection = rwsplit.connect(autocommit=True, **options)
        read(connection.cursor())
        connection.close()

    return {
        "plain read": (400, lambda: read(plain)),
        "cached read": (400, read),
        "write": (100, lambda: other.execute(WRITE, (8,))),
        "write, then read": (60, write_and_read),
        "reads in a transaction": (40, transaction),
        "a transaction that writes": (40, transaction_that_writes),
        "write, then read, session id": (60, lambda: write_and_read(shared)),
        "connect and read": (15, connect),
    }


def main() -> None:
    """Answer each line, the name of a road, with the CPU and the wall seconds of one call."""
    ours = roads(json.loads(sys.stdin.readline()))
    for _, (times, run) in sorted(ours.items()):
        for _ in range(max(times // 4, 8)):
            run()
    sleep(0.2)
    print(json.dumps(list(ours)), flush=True)
    gc.collect()
    gc.disable()
    for line in sys.stdin:
        times, run = ours[json.loads(line)]
        wall, cpu = perf_counter(), process_time()
        for _ in range(times):
            run()
        spent = (process_time() - cpu) / times, (perf_counter() - wall) / times
        print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main()
