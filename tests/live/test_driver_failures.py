"""Servers fail while a workload runs over a wrapped driver: no stale read, no write twice."""

import functools

import pytest

from . import test_failures as failures
from .drivers import DRIVERS

own = failures.own


@pytest.fixture(params=DRIVERS, ids=lambda each: each.name)
def connect(request):
    return functools.partial(wrapped, request.param)


def wrapped(driver, replicas, **options):
    return driver.wrap(options, replicas, {})


def test_a_replica_is_killed_and_comes_back(cluster, connect):
    failures.kill_and_restart_a_replica(cluster, connect=connect)


def test_a_replica_is_frozen(cluster, connect):
    failures.freeze_a_replica(cluster, connect=connect)


def test_a_replica_is_promoted_when_the_primary_dies(own, connect):
    failures.promote_a_replica(own, connect=connect)
