"""Fixtures of all tests; real servers start when a test first wants one."""

import contextlib
import gc
import os
import shutil
import socket
import subprocess
import time

import hypothesis  # its plugin would import it at the end, amid other threads
import pytest

import rwsplit
from rwsplit._shell.cluster import _clusters

pytest_plugins = ["pytester", "rwsplit.sandbox.pytest_plugin"]

FLAVORS = ("mysql", "mariadb")

# How long an example takes hangs on what else the machine does. Short laws try the same programs
# each time, so that a change is judged by what it changed; long ones search for new programs.
SEARCHES = "RWSPLIT_TEST_SECONDS" in os.environ
hypothesis.settings.register_profile("laws", deadline=None, derandomize=not SEARCHES)
hypothesis.settings.load_profile("laws")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Print what failed with the collector off.

    CPython 3.11 raises SystemError where that runs Python code amid `ast.parse` (its issue 106905),
    which ends the whole run.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(items):
    """Let one worker of pytest-xdist run all tests of a flavor in a file: they share its servers.

    Each worker has servers of its own.
    """
    for item in items:
        params = item.callspec.params.values() if hasattr(item, "callspec") else ()
        named = [flavor for flavor in FLAVORS if f"{flavor}_cluster" in item.fixturenames]
        flavors = {*named, *[each for each in params if isinstance(each, str) and each in FLAVORS]}
        if len(flavors) == 1:
            item.add_marker(pytest.mark.xdist_group(f"{flavors.pop()} {item.path}"))


@pytest.fixture
def connect(cluster):
    """`rwsplit.connect` to the cluster, autocommit on; closed after the test."""
    opened = []

    def make(**overrides):
        options = {"autocommit": True, **cluster.connect_options, **overrides}
        connection = rwsplit.connect(**options)
        opened.append(connection)
        return connection

    yield make
    for connection in opened:
        if connection.open:
            connection.close()


@pytest.fixture
def table(cluster):
    """An empty table `t (id INT PRIMARY KEY, v INT)` that all servers have."""
    with cluster.connect(cluster.primary) as connection:
        cursor = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS t")
        cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    cluster.wait_caught_up()
    return "t"


@pytest.fixture
def row(cluster, table):
    """The table has a row, and all servers have it."""
    with cluster.connect(cluster.primary) as primary:
        primary.cursor().execute("INSERT INTO t VALUES (1, 0)")
    cluster.wait_caught_up()


@pytest.fixture
def stalled(cluster, row):
    """Nothing more comes to the replicas."""
    for replica in cluster.replicas:
        cluster.stall(replica)


@pytest.fixture
def no_others():
    """Nobody knows of the replicas that earlier tests gave this primary; some are no servers."""
    for each in _clusters.all():
        each.close()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """A Redis server of the tests' own."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.fail("install redis-server (Debian's package of that name)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}/0"
    server.kill()
    server.wait()
