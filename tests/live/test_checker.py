"""No read is older than what its session wrote or its connection read, whatever befalls replicas.

The length comes from RWSPLIT_TEST_SECONDS.
"""

import json
import multiprocessing
import os
import random
import time
from pathlib import Path

import pytest

from . import checker

SECONDS = float(os.environ.get("RWSPLIT_TEST_SECONDS", "10"))
PROCESSES = 4


@pytest.fixture
def counters(cluster, tmp_path, redis_url):
    stores = [f"sqlite:///{tmp_path}/sessions.db", f"{redis_url}?prefix={tmp_path.name}:"]
    with cluster.connect(cluster.primary) as connection:
        cursor = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS counters")
        cursor.execute("CREATE TABLE counters (id VARCHAR(60) PRIMARY KEY, v BIGINT)")
        rows = [(key, 0) for key in checker.keys(PROCESSES, stores)]
        cursor.executemany("INSERT INTO counters VALUES (%s, %s)", rows)
    cluster.wait_caught_up()
    return stores


def record(cluster, stores, tmp_path, seconds, mutation=None, count=PROCESSES, **options):
    """Run the workload in several processes while replicas suffer; returns events and errors."""
    context = multiprocessing.get_context("spawn")
    files = [tmp_path / f"events{number}" for number in range(count)]
    # A busy machine may keep a primary from greeting for longer than the usual 10 s.
    given = {**cluster.connect_options, "connect_timeout": 60, **options}
    processes = [
        context.Process(
            target=checker.run,
            args=(number, given, stores, seconds, str(file), mutation),
        )
        for number, file in enumerate(files)
    ]
    for process in processes:
        process.start()
    _make_suffer(cluster, seconds, processes)
    for process in processes:
        process.join()
        assert process.exitcode == 0
    cluster.heal()
    events, errors = [], []
    for file in files:
        for line in Path(file).read_text().splitlines():
            record = json.loads(line)
            if record[0] == "error":
                errors.append(record)
            else:
                events.append(checker.Event(*record))
    return events, errors


def _make_suffer(cluster, seconds, processes):
    dice = random.Random(20261121)
    until = time.monotonic() + seconds
    while time.monotonic() < until and all(process.is_alive() for process in processes):
        replica = dice.choice(cluster.replicas)
        if not cluster.running(replica):
            cluster.restart(replica)
            continue
        match dice.randrange(6):
            case 0 | 1:
                cluster.stall(replica)
            case 2 | 3:
                cluster.resume(replica)
            case 4:
                cluster.delay(replica, dice.choice((0, 0.005, 0.05)))
            case _:
                cluster.kill(replica)
        time.sleep(dice.random() * 0.5)
    for replica in cluster.replicas:
        if not cluster.running(replica):
            cluster.restart(replica)
        cluster.resume(replica)


@pytest.mark.parametrize("driver", ["pymysql", "mysqlclient", "connector"])
def test_no_read_is_too_old(cluster, counters, tmp_path, driver):
    # It takes ten times as long to connect over TLS: all its time, with that many.
    count = PROCESSES // 2 if driver == "connector" else PROCESSES
    seconds = SECONDS if driver == "pymysql" else SECONDS / 2
    enough = (20 if driver == "connector" else 50) * seconds
    for _ in range(5):
        pid = cluster.primary.pid
        events, errors = record(cluster, counters, tmp_path, seconds, count=count, driver=driver)
        reads = [event for event in events if event.kind == "read"]
        print(f"{len(events)} events, {len(reads)} of them reads")
        violations = checker.check(events)
        assert not violations, f"{len(violations)}: " + "\n".join(violations[:10])
        if cluster.primary.pid != pid:
            # What it then had not answered is no error of ours.
            print(f"the primary died amid them: {errors}")
            continue
        assert not errors
        if len(reads) > enough:
            return  # a machine that is busy elsewhere has hardly begun
    pytest.fail("no run of five was whole, and of enough reads")


@pytest.mark.parametrize(
    ("mutation", "words"),
    [
        ("nobody waits", "session's write"),
        ("nobody remembers", "has seen"),
        ("nobody tells", "process's write"),
        ("nobody begins", "before its connection"),
    ],
)
def test_the_checker_finds_what_is_broken_on_purpose(cluster, counters, tmp_path, mutation, words):
    for _ in range(5):  # a stalled replica may happen to be killed at once
        events, _ = record(cluster, counters, tmp_path, 3, mutation)
        if any(words in violation for violation in checker.check(events)):
            return
    pytest.fail(f"not found in the last {len(events)} events either")
