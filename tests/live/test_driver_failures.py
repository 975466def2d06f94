"""Servers fail while a workload runs over a wrapped driver: no stale read, no write twice."""

from contextlib import closing

import pytest

from . import test_failures as failures
from .drivers import DRIVERS

own = failures.own


@pytest.fixture(params=DRIVERS, ids=lambda each: each.name)
def driver(request):
    return request.param


@pytest.fixture
def connect(driver):
    """Makes virtual connections; those to one cluster by the same function."""
    known = {}

    def make(replicas, **options):
        key = options["port"], *replicas
        if key not in known:
            known[key] = driver.connector(options, replicas, {})
        return known[key]()

    return make


def test_a_replica_is_killed_and_comes_back(cluster, connect):
    failures.kill_and_restart_a_replica(cluster, connect=connect)


def test_a_replica_is_frozen(cluster, connect):
    failures.freeze_a_replica(cluster, connect=connect)


def test_a_replica_is_promoted_when_the_primary_dies(own, connect):
    failures.promote_a_replica(own, connect=connect)


def test_none_begins_while_the_primary_is_away(cluster, driver):
    """And those that have begun go on."""
    options = {**cluster.connect_options, "autocommit": True}
    connect = driver.connector(options, options.pop("replicas"), {"primary_wait": 1.0})
    with closing(connect()) as before:
        cursor = before.cursor()
        cursor.execute("SELECT 1")
        cluster.wait_caught_up()
        cluster.kill(cluster.primary)
        try:
            with pytest.raises(driver.lost) as away:
                connect()
            assert away.value.args[0] in (2002, 2003)
            cursor.execute("SELECT 2")
            assert cursor.fetchall() == ((2,),)
            assert cursor.route.role == "replica"
            with pytest.raises(driver.lost):
                cursor.execute("CREATE TABLE IF NOT EXISTS away (id INT PRIMARY KEY)")
        finally:
            cluster.restart(cluster.primary)
        before.rollback()
        cursor.execute("CREATE TABLE IF NOT EXISTS away (id INT PRIMARY KEY)")
        assert cursor.route.role == "primary"
    connect().close()
