"""Fixtures with real servers: `pytest_plugins = ["rwsplit.sandbox.pytest_plugin"]`.

`mysql_cluster` and `mariadb_cluster` are sandboxes with two replicas, started when a test first
wants one and kept for the whole run; `cluster` runs a test on both. Whatever a test did to the
servers is undone after it, but for their roles. A flavor whose servers are missing fails the test,
and the message says what to install; `RWSPLIT_TEST_FLAVORS=mariadb` leaves the other one out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from . import Sandbox

__all__ = ["cluster", "mariadb_cluster", "mysql_cluster"]

FLAVORS = ("mysql", "mariadb")


def wanted(flavor: str) -> bool:
    """Tell whether tests of a flavor are wanted."""
    return flavor in os.environ.get("RWSPLIT_TEST_FLAVORS", ",".join(FLAVORS)).split(",")


def _running(flavor: str) -> Iterator[Sandbox]:
    if not wanted(flavor):
        pytest.skip(f"RWSPLIT_TEST_FLAVORS leaves {flavor} out")
    with Sandbox(flavor, replicas=2) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def _mysql_servers() -> Iterator[Sandbox]:
    yield from _running("mysql")


@pytest.fixture(scope="session")
def _mariadb_servers() -> Iterator[Sandbox]:
    yield from _running("mariadb")


def _healed(sandbox: Sandbox) -> Iterator[Sandbox]:
    yield sandbox
    if not sandbox.healthy():
        sandbox.heal()


@pytest.fixture
def mysql_cluster(_mysql_servers: Sandbox) -> Iterator[Sandbox]:
    """A MySQL primary with two replicas."""
    yield from _healed(_mysql_servers)


@pytest.fixture
def mariadb_cluster(_mariadb_servers: Sandbox) -> Iterator[Sandbox]:
    """A MariaDB primary with two replicas."""
    yield from _healed(_mariadb_servers)


@pytest.fixture(params=FLAVORS)
def cluster(request: pytest.FixtureRequest) -> Sandbox:
    """A primary with two replicas, of each flavor in turn."""
    sandbox: Sandbox = request.getfixturevalue(f"{request.param}_cluster")
    return sandbox
