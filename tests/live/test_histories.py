"""No anomaly that the same transactions would not show on the plain primary.

The length comes from RWSPLIT_TEST_SECONDS.
"""

import os
import random
import threading

import pymysql
import pytest

import rwsplit
from rwsplit._core.sql.fingerprint import Fingerprint

from . import histories

SECONDS = float(os.environ.get("RWSPLIT_TEST_SECONDS", "10")) / 3
LEVELS = ("REPEATABLE READ", "READ COMMITTED")


@pytest.fixture
def suffer(cluster):
    dice = random.Random(20261121)
    delays = (0, 0.01, 0.05)

    def once():
        if dice.random() < 0.2:
            cluster.delay(dice.choice(cluster.replicas), dice.choice(delays))

    return once


def through_rwsplit(cluster, **options):
    """Each thread is like a program of its own: those of one would see each other's writes."""
    alone = {"session_id_kind": "connection", "after": None}
    return lambda: rwsplit.connect(**cluster.connect_options, autocommit=False, **alone, **options)


@pytest.mark.parametrize("isolation", LEVELS)
def test_transactions_show_no_anomaly_that_the_plain_primary_does_not(cluster, suffer, isolation):
    plain = histories.run(
        cluster,
        lambda: cluster.connect(cluster.primary, autocommit=False),
        isolation,
        min(SECONDS, 30),
    )
    print(f"plain {plain.done} done, {plain.retried} retried, {plain.anomalies}")
    for _ in range(5):
        ours = histories.run(cluster, through_rwsplit(cluster), isolation, SECONDS, suffer)
        print(f"rwsplit {ours.done} done, {ours.retried} retried, {ours.anomalies}")
        assert set(ours.anomalies) <= set(plain.anomalies), ours.examples
        if ours.done > 20 * SECONDS:
            return  # a machine that is busy elsewhere has hardly begun
    pytest.fail("no run of five did enough")


@pytest.mark.parametrize("isolation", LEVELS)
def test_without_verification_updates_are_lost(cluster, suffer, isolation, monkeypatch):
    monkeypatch.setattr(Fingerprint, "same_as", lambda self, other: True)
    for replica in cluster.replicas:
        cluster.delay(replica, 0.05)
    for _ in range(5):
        history = histories.run(cluster, through_rwsplit(cluster), isolation, 2)
        if {"lost updates", "lost appends"} & set(history.anomalies):
            return
    pytest.fail(f"{history.done} transactions, and no update was lost")


HOT = {
    "a count and an INSERT": (
        "SELECT COUNT(*) FROM hot",
        "INSERT INTO hot (v) VALUES (%s)",
    ),
    "a counter and an UPDATE": (
        "SELECT v FROM hot WHERE id = 1",
        "UPDATE hot SET v = %s + 1 WHERE id = 1",
    ),
}


@pytest.mark.parametrize("name", HOT)
def test_transactions_on_hot_rows_are_soon_no_worse_than_on_the_primary(cluster, name):
    """Six threads, each reading what all of them write."""
    read, write = HOT[name]
    with cluster.connect(cluster.primary) as connection:
        cursor = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS hot")
        cursor.execute("CREATE TABLE hot (id INT PRIMARY KEY AUTO_INCREMENT, v INT)")
        cursor.execute("INSERT INTO hot VALUES (1, 0)")
    cluster.wait_caught_up()
    errors, twice, crashed = [], [], []
    warm = threading.Barrier(6)

    def work():
        try:
            connection = rwsplit.connect(**cluster.connect_options, autocommit=False)
            cursor = connection.cursor()
            for number in range(60):
                if number == 10:
                    warm.wait(60)
                for attempt in range(20):
                    try:
                        cursor.execute(read)
                        (value,) = cursor.fetchone()
                        cursor.execute(write, (value,))
                        connection.commit()
                        break
                    except pymysql.OperationalError as error:
                        connection.rollback()
                        # Those of the server's own locks are the plain primary's too.
                        if "on a replica" in str(error):
                            (twice if attempt else errors).append(number)
            connection.close()
        except BaseException as error:
            crashed.append(error)
            warm.abort()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not crashed
    assert not [number for number in errors if number >= 10]
    assert not twice
