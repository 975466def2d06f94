"""Servers fail while a workload runs over a wrapped driver: no stale read, no write twice."""

import time

import MySQLdb

import rwsplit

from .test_failures import SECONDS, full_share, name, own
from .workload import Workload

__all__ = ["own"]


def connect(replicas, **options):
    return rwsplit.wrap(MySQLdb, replicas=replicas).connect(**options)


def test_a_replica_is_killed_and_comes_back(cluster):
    victim = cluster.replicas[0]
    with Workload(cluster.connect_options, connect=connect) as work:
        work.wait_until(lambda: full_share(work, name(victim)))
        cluster.kill(victim)
        killed = time.monotonic()
        time.sleep(1)
        assert not work.count(killed + 0.2).get(name(victim))
        cluster.restart(victim)
        work.wait_until(lambda: full_share(work, name(victim)), SECONDS)
    assert not work.refused()


def test_a_replica_is_frozen(cluster):
    victim = cluster.replicas[0]
    with Workload(cluster.connect_options, connect=connect) as work:
        work.wait_until(lambda: full_share(work, name(victim)))
        cluster.freeze(victim)
        frozen = time.monotonic()
        time.sleep(5)
        assert not work.count(frozen + 4).get(name(victim))
        assert all([when for when, _ in thread.reads][-1] > frozen + 4 for thread in work.threads)
        cluster.thaw(victim)
        work.wait_until(lambda: full_share(work, name(victim)), SECONDS)
    assert not work.refused()


def test_the_primary_is_killed_and_another_takes_over(own):
    with Workload(own.connect_options, connect=connect) as work:
        time.sleep(0.5)
        with work.only_reads():
            own.wait_caught_up()
            own.kill(own.primary)
            killed = time.monotonic()
            time.sleep(1)
            assert work.count(killed + 0.2), "reads wait for the primary"
            own.promote(own.replicas[0])
        work.wait_until(lambda: work.count(killed, "writes").get(name(own.primary)), SECONDS)
