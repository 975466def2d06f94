"""No read is older than what its session wrote or its connection read, whatever befalls replicas.

The length comes from RWSPLIT_TEST_SECONDS.
"""

import json
import multiprocessing
import os
import random
import threading
import time
from pathlib import Path

import pymysql
import pytest

from . import checker

SECONDS = float(os.environ.get("RWSPLIT_TEST_SECONDS", "10"))
PROCESSES = 4
MOST_SECONDS = 2.0
"""A primary that takes longer to greet has a machine that is busy elsewhere."""


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


class Witness(threading.Thread):
    """Asks the primary by plain PyMySQL, once a tenth of a second, whether it serves."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.ended = threading.Event()
        self.pid = cluster.primary.pid
        self.longest = 0.0
        self.failed = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.ended.set()
        self.join(60)

    def run(self):
        while not self.ended.wait(0.1):
            began = time.monotonic()
            try:
                self.cluster.connect(self.cluster.primary).close()
            except (pymysql.Error, OSError) as error:
                self.failed = repr(error)
            self.longest = max(self.longest, time.monotonic() - began)

    def excuse(self):
        """Return what kept the primary itself from serving: no error of ours. None if it served."""
        if self.cluster.primary.pid != self.pid:
            return "it died"
        if self.failed is None and self.longest > MOST_SECONDS:
            return f"it took {self.longest:.1f} s to greet"
        return self.failed


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
        with Witness(cluster) as witness:
            events, errors = record(
                cluster, counters, tmp_path, seconds, count=count, driver=driver
            )
        reads = [event for event in events if event.kind == "read"]
        print(f"{len(events)} events, {len(reads)} of them reads")
        violations = checker.check(events)
        assert not violations, f"{len(violations)}: " + "\n".join(violations[:10])
        excuse = witness.excuse()
        if errors and excuse:
            print(f"the primary did not serve amid them, {excuse}: {errors}")
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
