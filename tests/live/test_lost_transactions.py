"""A failover that loses transactions: what sessions must see of them is let go of, for everyone."""

import time

import pytest

import rwsplit
from rwsplit.sandbox.pytest_plugin import FLAVORS
from tests.servers import servers_of_its_own

READ = "SELECT v FROM t WHERE id = 1"


@pytest.fixture(params=FLAVORS)
def failover(request):
    """Servers of its own: one of them is lost."""
    with servers_of_its_own(request.param) as sandbox:
        yield sandbox


def value(connection):
    cursor = connection.cursor()
    cursor.execute(READ)
    return cursor.fetchone()[0]


def connected(**options):
    """Connect once somebody can serve: the old primary is away, and replicas change theirs."""
    until = time.monotonic() + 30
    while True:
        try:
            return rwsplit.connect(**options)
        except rwsplit.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def test_reads_return_to_replicas_behind_a_failover_that_lost_transactions(failover, tmp_path):
    options = {**failover.connect_options, "autocommit": True}
    connections = [
        rwsplit.connect(**options),
        rwsplit.connect(**options, session_id="a"),
        rwsplit.connect(**options, session_id="b", session_store=f"sqlite:///{tmp_path}/s.db"),
    ]
    first = connections[0].cursor()
    first.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    first.execute("INSERT INTO t VALUES (1, 0)")
    failover.wait_caught_up()
    assert [value(connection) for connection in connections] == [0, 0, 0]
    for replica in failover.replicas:
        failover._replication.stop(replica)
    for connection in connections:
        for _ in range(3):
            connection.cursor().execute("UPDATE t SET v = v + 1 WHERE id = 1")
    scope, within = rwsplit.scope(), rwsplit.connect(**options)
    with scope:
        within.cursor().execute("UPDATE t SET v = v + 1 WHERE id = 1")
        assert value(within) == 10
    carried = scope.position
    failover.kill(failover.primary)
    promoted, other = failover.replicas
    failover.promote(promoted)
    failover.repoint(other)
    connections.append(connected(**options, session_id="b"))
    connections.append(connected(**options))
    for connection in connections:
        until = time.monotonic() + 30
        while value(connection) != 0 or connection.route.role != "replica":
            assert time.monotonic() < until, connection.route
            time.sleep(0.05)
    # So it is in a scope that goes on, and in one that begins with what was lost.
    for block, waits in ((scope, None), (rwsplit.scope(after=carried), 1)):
        with block:
            until, waited = time.monotonic() + 30, 0
            while value(within) != 0 or within.route.role != "replica":
                waited += within.route.waited > 0.05
                assert time.monotonic() < until, within.route
                time.sleep(0.05)
            assert waits is None or waited <= waits
            assert value(connections[0]) == 0
            assert rwsplit.join_positions(block.position, carried) != block.position
    # And what is written now is seen again, by those who share it.
    for number, writer in enumerate(connections, 1):
        writer.cursor().execute("UPDATE t SET v = %s WHERE id = 1", (number,))
        assert value(writer) == number
        assert value(connections[0]) == number
    for connection in connections:
        connection.close()
