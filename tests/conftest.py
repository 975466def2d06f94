"""Fixtures of all tests; real servers start when a test first wants one."""

import pytest

import rwsplit

pytest_plugins = ["rwsplit.sandbox.pytest_plugin"]


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
