"""Passwords and sockets from the application's functions, on real servers."""

import gc
import socket
import threading
import time
from collections import Counter
from contextlib import closing
from functools import partial

import pytest

import rwsplit
from rwsplit._shell import cluster as clusters
from rwsplit._shell import pool as pools
from rwsplit.sandbox import Sandbox

SECRET = "secret"  # of the sandbox's account


class Dialer:
    """Connects to the servers by names that mean nothing to a name server."""

    def __init__(self, cluster):
        self.servers = {server.name: server for server in cluster.servers}
        self.asked = Counter()
        self.by_thread = Counter()
        self.away = set()

    def dial(self, endpoint):
        self.asked[endpoint.host] += 1
        if endpoint.host in self.away:
            raise OSError("the tunnel is down")
        server = self.servers[endpoint.host]
        sock = socket.create_connection((server.host, server.port), 5)
        return rwsplit.Secured(sock)  # as the sandbox's MariaDB has no TLS


class Tokens:
    def __init__(self):
        self.asked = Counter()
        self.fails = set()

    def token(self, endpoint):
        self.asked[endpoint.name] += 1
        if endpoint.name in self.fails:
            raise LookupError("no token")
        return SECRET


def by_dial(cluster, **options):
    """Keywords that reach the cluster by a function; the replicas' names are the sandbox's."""
    dialer, tokens = Dialer(cluster), Tokens()
    keywords = {
        **cluster.connect_options,
        "host": "primary",
        "port": 3306,
        "replicas": [{"host": replica.name, "name": replica.name} for replica in cluster.replicas],
        "dial": dialer.dial,
        "password": tokens.token,
        "autocommit": True,
        **options,
    }
    return dialer, tokens, keywords


def read(connection, sql="SELECT 1 FROM information_schema.schemata LIMIT 1"):
    cursor = connection.cursor()
    cursor.execute(sql)
    cursor.fetchall()
    return cursor.route


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_every_connection_to_a_server_asks_for_that_server(cluster, table):
    dialer, tokens, keywords = by_dial(cluster)
    with closing(rwsplit.connect(**keywords)) as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO t VALUES (1, 1)")
        assert cursor.route.role == "primary"
        for _ in range(4):
            assert read(connection, "SELECT v FROM t").role == "replica"
        until(lambda: len(connection.cluster.monitor._threads) == 3 and len(dialer.asked) == 3)
        until(lambda: all(server.reached for server in connection.cluster.servers.values()))
        # Its own, and the monitor's.
        assert dialer.asked["primary"] >= 2
        until(lambda: dialer.asked["replica1"] + dialer.asked["replica2"] >= 3)
        assert connection.position  # on MariaDB it is asked for, on a connection of its own
        # The primary has the name of its address.
        names = {"primary:3306", "replica1", "replica2"}
        assert set(tokens.asked) == names
        assert tokens.asked.total() == dialer.asked.total()


def test_a_kill_is_dialed(cluster, table):
    dialer, _, keywords = by_dial(cluster)
    with closing(rwsplit.connect(**keywords)) as connection:
        read(connection)
        errors = []

        def sleep():
            try:
                connection.cursor().execute("SELECT SLEEP(20), v FROM t")
            except rwsplit.MySQLError as error:
                errors.append(error.args[0])

        connection.cursor().execute("INSERT INTO t VALUES (1, 1)")
        thread = threading.Thread(target=sleep)
        thread.start()
        time.sleep(0.5)
        before = dialer.asked.total()
        connection.cancel()
        thread.join(10)
        assert dialer.asked.total() > before
        assert not thread.is_alive()
        assert errors in ([1317], [])  # MySQL's SLEEP returns 1


def test_found_replicas_are_dialed(cluster):
    dialer, tokens, keywords = by_dial(cluster)
    keywords["replicas"] = lambda: [{"host": "replica2", "name": "two"}]
    with closing(rwsplit.connect(**keywords)) as connection:
        until(lambda: read(connection).endpoint == "two")
    assert tokens.asked["two"]
    assert "replica1" not in dialer.asked


def test_those_that_the_primary_names_are_dialed_by_their_addresses(mysql_cluster):
    cluster = mysql_cluster
    ports = {server.port: server for server in cluster.servers}
    asked = Counter()

    def dial(endpoint):
        asked[endpoint.host, endpoint.port] += 1
        port = endpoint.port if endpoint.port in ports else cluster.primary.port
        return socket.create_connection(("127.0.0.1", port), 5)

    options = {
        **cluster.connect_options,
        "host": "primary",
        "port": 3306,
        "user": "finder",
        "password": lambda: "finds",
        "replicas": "discover",
        "dial": dial,
        "autocommit": True,
    }
    with closing(cluster.admin(cluster.primary)) as admin:
        admin.cursor().execute("CREATE USER finder@'%' IDENTIFIED BY 'finds'")
        admin.cursor().execute("GRANT ALL ON *.* TO finder@'%'")
    cluster.wait_caught_up()
    try:
        with closing(rwsplit.connect(**options)) as connection:
            until(lambda: read(connection).role == "replica")
        assert {port for _, port in asked} > {3306}
    finally:
        with closing(cluster.admin(cluster.primary)) as admin:
            admin.cursor().execute("DROP USER finder@'%'")


def test_a_replica_may_have_its_own_functions_or_none(cluster):
    dialer, tokens, keywords = by_dial(cluster)
    one, two = cluster.replicas
    own = Dialer(cluster)
    keywords["replicas"] = [
        {"host": one.name, "name": "one", "dial": own.dial, "password": lambda: SECRET},
        {"host": two.host, "port": two.port, "name": "two", "dial": None, "password": SECRET},
    ]
    with closing(rwsplit.connect(**keywords)) as connection:
        names = {read(connection).endpoint for _ in range(10)}
    assert names == {"one", "two"} or len(names) == 1, "MariaDB stays where it has read"
    until(lambda: own.asked["replica1"])
    assert set(dialer.asked) == {"primary"}
    assert set(tokens.asked) == {"primary:3306"}


def test_a_replica_that_cannot_be_dialed_is_left_out_and_tried_again(cluster, caplog):
    dialer, _, keywords = by_dial(cluster)
    dialer.away = {"replica1", "replica2"}
    with closing(rwsplit.connect(**keywords)) as connection:
        for _ in range(3):
            assert read(connection).role == "primary"
        until(lambda: "replica1" in caplog.text and "replica2" in caplog.text)
        assert "(2003) Can't connect to MySQL server on 'replica1' (dial: " in caplog.text
        dialer.away.clear()
        until(lambda: read(connection).role == "replica")


def test_a_replica_without_a_password_is_no_reason_to_leave_it_alone(cluster, caplog):
    _, tokens, keywords = by_dial(cluster)
    tokens.fails = {"replica1", "replica2"}
    with closing(rwsplit.connect(**keywords)) as connection:
        assert read(connection).role == "primary"
        # Others get in, with a password of theirs.
        with closing(rwsplit.connect(**{**keywords, "password": SECRET})) as other:
            assert other.cluster is connection.cluster
            assert read(other).role == "replica"
        assert "Can't get a password for 'replica" in caplog.text
        assert "LookupError" in caplog.text
        assert SECRET not in caplog.text
        tokens.fails.clear()
        until(lambda: read(connection).role == "replica")


def test_a_primary_without_a_password_or_a_socket_is_an_error_of_connect(cluster):
    dialer, tokens, keywords = by_dial(cluster)
    tokens.fails = {"primary:3306"}
    with pytest.raises(rwsplit.OperationalError) as caught:
        rwsplit.connect(**keywords)
    assert caught.value.args[0] == 2061
    assert "primary:3306" in str(caught.value)
    tokens.fails.clear()
    dialer.away = {"primary"}
    with pytest.raises(rwsplit.OperationalError) as caught:
        rwsplit.connect(**keywords)
    assert caught.value.args[0] == 2003
    assert "primary:3306" in str(caught.value)


def test_reads_go_on_while_the_primary_cannot_be_dialed(cluster, table):
    dialer, _, keywords = by_dial(cluster, primary_wait=5)
    with closing(rwsplit.connect(**keywords)) as connection:
        read(connection)
        dialer.away = {"primary"}
        connection.driver_connection.kill_socket()
        assert read(connection).role == "replica"
        threading.Timer(0.5, dialer.away.clear).start()
        connection.cursor().execute("INSERT INTO t VALUES (2, 2)")


def test_a_plain_socket_to_a_replica_sends_it_no_password(mariadb_cluster, caplog):
    """The sandbox's MariaDB has no TLS."""
    cluster = mariadb_cluster
    options = {**cluster.connect_options, "password": lambda: SECRET, "autocommit": True}
    with pytest.raises(rwsplit.OperationalError) as caught:
        rwsplit.connect(**options)
    assert caught.value.args[0] == 2026
    options["unix_socket"] = cluster.primary.unix_socket
    with closing(rwsplit.connect(**options)) as connection:
        assert read(connection).role == "primary"
        assert "is not sent to" in caplog.text
        connection.cluster.close()  # PyMySQL leaves a socket open whose connect failed
    options["replicas"] = [{"unix_socket": each.unix_socket} for each in cluster.replicas]
    with closing(rwsplit.connect(**options)) as connection:
        assert read(connection).role == "replica"
        connection.cluster.close()


def test_without_replicas_it_is_so_too(cluster):
    dialer, tokens, keywords = by_dial(cluster)
    del keywords["replicas"]
    with closing(rwsplit.connect(**keywords)) as connection:
        connection.cursor().execute("SELECT 1")
        with pytest.warns(DeprecationWarning):
            connection.driver_connection.kill_socket()
            connection.ping(reconnect=True)
    assert dialer.asked == {"primary": 2}
    assert tokens.asked == {"primary:3306": 2}


# Pools.


def thread_of(keywords):
    with closing(rwsplit.connect(**keywords)) as connection:
        return connection.thread_id()


def test_connections_with_the_same_functions_share_wires(cluster):
    dialer, tokens, keywords = by_dial(cluster)
    first = thread_of(keywords)
    time.sleep(0.1)
    asked = tokens.asked["primary:3306"]
    assert thread_of(keywords) == first, "whatever the token is by now"
    time.sleep(0.1)
    assert tokens.asked["primary:3306"] - asked <= 1, "the monitor may have asked meanwhile"
    assert thread_of({**keywords, "password": Tokens().token}) != first
    assert thread_of({**keywords, "dial": Dialer(cluster).dial}) != first
    # A method is another object each time, and the same function.
    again = {**keywords, "dial": dialer.dial, "password": tokens.token}
    assert thread_of(again) == first


def test_a_wire_outlives_its_password_by_its_lifetime_at_most(cluster):
    _, tokens, keywords = by_dial(cluster, pool_max_lifetime=0.5)
    first = thread_of(keywords)
    tokens.fails = {"primary:3306"}
    time.sleep(0.7)
    with pytest.raises(rwsplit.OperationalError):
        thread_of(keywords)
    tokens.fails.clear()
    assert thread_of(keywords) != first


def test_functions_made_for_each_connection_leave_no_heap_of_wires(cluster, caplog):
    pools.warn_of_functions.cache_clear()
    _, _, keywords = by_dial(cluster)
    for _ in range(12):
        with closing(rwsplit.connect(**{**keywords, "password": lambda: SECRET})) as connection:
            read(connection)
            pool = connection.cluster.pool
    del connection
    gc.collect()
    # The monitor knows one for each server, and the newest.
    until(lambda: len({key[-1][2] for key in [*pool._idle]}) <= 4, seconds=5)
    said = "password: connections were given functions that are gone"
    until(lambda: said in caplog.text, seconds=5)
    assert caplog.text.count(said) == 1


def test_dials_made_for_each_connection_are_warned_of(cluster, caplog):
    pools.warn_of_functions.cache_clear()
    dialer, _, keywords = by_dial(cluster)
    for _ in range(5):
        made = rwsplit.connect(**{**keywords, "dial": partial(dialer.dial)})
        made.cluster.monitor.stop()
        made.close()
        del made
        gc.collect()
        until(lambda: any(key[-1] and key[-1].is_gone for key in [*clusters._clusters._kept]))
    assert "dial: connections were given functions that are gone" in caplog.text


def test_other_dials_lead_to_other_clusters(cluster):
    """Else what is known of the servers of one would be believed of those of another."""
    _, _, keywords = by_dial(cluster)
    with (
        closing(rwsplit.connect(**keywords)) as one,
        closing(rwsplit.connect(**{**keywords, "dial": Dialer(cluster).dial})) as other,
        closing(rwsplit.connect(**keywords)) as same,
    ):
        assert one.cluster is same.cluster is not other.cluster


def test_a_new_primary_is_dialed():
    with Sandbox("mariadb", replicas=2) as cluster:
        dialer, _, keywords = by_dial(cluster, primary_wait=20)
        with closing(rwsplit.connect(**keywords)) as connection:
            connection.cursor().execute("CREATE TABLE t (id INT PRIMARY KEY)")
            cluster.wait_caught_up()
            cluster.kill(cluster.primary)
            cluster.promote(cluster.replicas[0])
            before = dialer.asked["replica1"]
            connection.cursor().execute("INSERT INTO t VALUES (1)")
            assert connection.route.endpoint == "replica1"
            assert dialer.asked["replica1"] > before
