"""What connections share: one cluster for the same servers, found, compared and described."""

import time

import pytest

import rwsplit
from rwsplit._shell import monitor


def test_the_same_servers_are_one_cluster(cluster, connect):
    options = cluster.connect_options
    one, other = connect(), connect(consistency="global")
    assert one.cluster is other.cluster
    reversed_order = connect(replicas=options["replicas"][::-1])
    assert reversed_order.cluster is not one.cluster
    made = rwsplit.Cluster(f"127.0.0.1:{options['port']}", options["replicas"])
    assert made is one.cluster


def test_a_cluster_can_be_made_first(cluster):
    options = {**cluster.connect_options, "autocommit": True}
    replicas, host, port = options.pop("replicas"), options.pop("host"), options.pop("port")
    named = [{"host": "127.0.0.1", "port": int(r.split(":")[1]), "name": f"m{r}"} for r in replicas]
    made = rwsplit.Cluster({"host": "localhost", "port": port}, named, pool_size=3)
    assert made.pool.size == 3
    with rwsplit.connect(cluster=made, **options) as connection:
        connection.cursor().execute("SELECT 1")
        assert connection.cluster is made
        assert connection.route.endpoint.startswith("m127")
        with pytest.raises(ValueError, match="pool_size"):
            rwsplit.Cluster({"host": "localhost", "port": port}, named, pool_size=4)
        with pytest.raises(ValueError, match="weight"):
            rwsplit.Cluster(
                {"host": "localhost", "port": port}, [{**entry, "weight": 3} for entry in named]
            )
        with pytest.raises(ValueError, match="host"):
            rwsplit.connect(cluster=made, host=host)
        with pytest.raises(ValueError, match="replicas"):
            rwsplit.connect(cluster=made, replicas=[])
    made.close()


@pytest.mark.parametrize(
    ("arguments", "options", "error", "word"),
    [
        (("",), {}, ValueError, "primary"),
        (("a:b",), {}, ValueError, "primary"),
        (("a", 5), {}, ValueError, "replicas"),
        (("a",), {"pool_size": "1"}, ValueError, "pool_size"),
        (("a",), {"monitor_interval": 0}, ValueError, "monitor_interval"),
        (("a",), {"poolsize": 1}, TypeError, "poolsize"),
    ],
)
def test_bad_options_of_a_cluster_are_named(arguments, options, error, word):
    with pytest.raises(error, match=word):
        rwsplit.Cluster(*arguments, **options)


def test_replicas_are_discovered(cluster):
    """The primary knows who replicates from it, where they have said so and it may be asked."""
    privilege = "REPLICATION SLAVE" if cluster.flavor == "mysql" else "REPLICATION MASTER ADMIN"
    options = {**cluster.connect_options, "replicas": "discover", "autocommit": True}
    with pytest.raises(rwsplit.OperationalError) as caught:
        rwsplit.connect(**options)
    assert caught.value.args[0] == 1227
    assert "discover" in caught.value.args[1]
    with cluster.admin(cluster.primary) as admin:
        admin.cursor().execute(f"GRANT {privilege} ON *.* TO app@'%'")
        try:
            cluster.wait_caught_up()
            with rwsplit.connect(**options) as connection:
                connection.cursor().execute("SELECT 1")
                assert connection.route.role == "replica"
                found = {server.endpoint.name for server in connection.cluster.replicas}
        finally:
            admin.cursor().execute(f"REVOKE {privilege} ON *.* FROM app@'%'")
    assert found == {f"127.0.0.1:{server.port}" for server in cluster.replicas}


def test_a_callable_names_the_replicas(cluster):
    named = [cluster.connect_options["replicas"][0]]
    options = {**cluster.connect_options, "replicas": lambda: named, "autocommit": True}
    with rwsplit.connect(**options) as connection:
        for _ in range(4):
            connection.cursor().execute("SELECT 1")
            assert connection.route.endpoint == named[0]


def test_replicas_come_and_go(cluster, monkeypatch):
    """A callable is asked again while the cluster is in use; who is gone gets no more reads."""
    monkeypatch.setattr("rwsplit._shell.cluster._DISCOVER_SECONDS", 0.2)
    one, other = cluster.connect_options["replicas"]
    now = [one]
    options = {**cluster.connect_options, "replicas": lambda: now, "autocommit": True}
    with rwsplit.connect(**options) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        assert cursor.route.endpoint == one
        now[:] = [other]
        until = time.monotonic() + 30
        while cursor.route.endpoint != other:
            assert time.monotonic() < until
            cursor.execute("SELECT 1 FROM information_schema.schemata")
            time.sleep(0.05)
        for _ in range(5):
            cursor.execute("SELECT 1 FROM information_schema.schemata")
            assert cursor.route.endpoint == other


def test_the_monitor_tells_how_servers_are(cluster, connect):
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    until = time.monotonic() + 10
    servers = connection.cluster.servers.values()
    while not all(server.load.connected and server.load.latency for server in servers):
        assert time.monotonic() < until
        time.sleep(0.05)
        cursor.execute("SELECT 1")
    assert all(server.reached for server in servers)
    assert [server.is_writable for server in servers] == [True, False, False]
    assert connection.cluster.pool.in_use.total() >= 2
    assert "password" not in repr(connection.cluster)


def test_the_monitor_rests_when_nobody_asks(cluster, connect, monkeypatch):
    connection = connect()
    asked = []
    ask = monitor._ask

    def counted(server, line, of):
        if of is connection.cluster.topology:
            asked.append(server)
        return ask(server, line, of)

    monkeypatch.setattr(monitor, "_ask", counted)
    monkeypatch.setattr(monitor, "_IDLE_SECONDS", 0.2)
    connection.cursor().execute("SELECT 1")
    time.sleep(5)
    assert asked
    asked.clear()
    time.sleep(2.5)
    assert not asked
    connection.cursor().execute("SELECT 1")
    time.sleep(2.5)
    assert asked, "it sleeps for ever"


def test_members_that_would_answer_otherwise_are_warned_of(cluster, connect, caplog):
    victim = cluster.replicas[1]
    with cluster.admin(victim) as admin:
        cursor = admin.cursor()
        cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
        (packet,) = cursor.fetchone()
        cursor.execute("SET GLOBAL time_zone = '+05:00', GLOBAL max_allowed_packet = 8388608")
        try:
            replicas = [{"host": "127.0.0.1", "port": victim.port, "name": f"odd-{cluster.flavor}"}]
            connection = connect(replicas=replicas)
            until = time.monotonic() + 10
            while "has other defaults" not in caplog.text:
                assert time.monotonic() < until
                connection.cursor().execute("SELECT 1")
                time.sleep(0.05)
        finally:
            cursor.execute(f"SET GLOBAL time_zone = 'SYSTEM', GLOBAL max_allowed_packet = {packet}")
    odd = f"replica odd-{cluster.flavor}"
    assert f"{odd} may answer otherwise: its max_allowed_packet is '8388608'" in caplog.text
    assert f"{odd} has other defaults, and each session there is given the primary's" in caplog.text
    assert "time_zone is '+05:00'" in caplog.text


def test_a_replication_filter_that_can_be_seen_is_warned_of(mariadb_cluster, caplog):
    victim = mariadb_cluster.replicas[1]
    with mariadb_cluster.admin(victim) as admin:
        cursor = admin.cursor()
        for sql in ("STOP SLAVE", "SET GLOBAL replicate_ignore_table = 'shop.none'", "START SLAVE"):
            cursor.execute(sql)
        try:
            options = {**mariadb_cluster.connect_options, "autocommit": True}
            options["replicas"] = [{"host": "127.0.0.1", "port": victim.port, "name": "filtering"}]
            with rwsplit.connect(**options) as connection:
                until = time.monotonic() + 10
                while "filters what it replicates" not in caplog.text:
                    assert time.monotonic() < until
                    connection.cursor().execute("SELECT 1")
                    time.sleep(0.05)
        finally:
            for sql in ("STOP SLAVE", "SET GLOBAL replicate_ignore_table = ''", "START SLAVE"):
                cursor.execute(sql)
    assert "shop.none" in caplog.text


@pytest.mark.parametrize("replicas", [None, True], ids=["plain", "with replicas"])
def test_a_name_of_several_servers_cuts_nobody_off(cluster, replicas):
    """A load balancer, say: whoever connects next gets another server, and others keep theirs."""
    with cluster.link(cluster.primary) as link:
        options = {**cluster.connect_options, "port": link.port, "autocommit": True}
        if replicas is None:
            options["replicas"] = None
        opened = []
        for number in range(6):
            link.target = cluster.servers[number % 2].port
            opened.append(rwsplit.connect(**options, program_name=f"one of several {number}"))
        for _ in range(3):
            for connection in opened:
                connection.cursor().execute("SELECT 1 /* rwsplit: primary */")
        for connection in opened:
            connection.close()
