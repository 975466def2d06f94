"""Mistakes: a bad keyword is named at connect(), a bad replica in one warning."""

import logging
import socket

import pytest

import rwsplit
from rwsplit.sandbox import Sandbox


@pytest.fixture
def no_sockets(monkeypatch):
    """Bad keywords must be found before any socket opens."""

    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"replcas": []}, TypeError, ["replcas", "replicas"]),
        ({"replicas": "db2:port"}, ValueError, ["replicas"]),
        ({"replicas": [5]}, ValueError, ["replicas[0]"]),
        ({"replicas": ["db2:three"]}, ValueError, ["replicas[0]", "port"]),
        ({"replicas": ["db2:0"]}, ValueError, ["replicas[0]", "65535"]),
        ({"replicas": ["db2:99999"]}, ValueError, ["replicas[0]", "99999"]),
        ({"replicas": ["db2:"]}, ValueError, ["replicas[0]"]),
        ({"replicas": ["::1"]}, ValueError, ["replicas[0]", "[v6]:port"]),
        ({"replicas": [""]}, ValueError, ["replicas[0]"]),
        ({"replicas": [{"port": 3306}]}, ValueError, ["replicas[0]", "host"]),
        ({"replicas": [{"host": "a", "prt": 1}]}, ValueError, ["replicas[0]", "prt"]),
        ({"replicas": [{"host": "a", "port": "x"}]}, ValueError, ["replicas[0].port"]),
        ({"replicas": [{"host": "a", "port": True}]}, ValueError, ["replicas[0].port"]),
        ({"replicas": [{"host": "a", "weight": -1}]}, ValueError, ["replicas[0].weight"]),
        ({"replicas": [{"host": "a", "read_timeout": -1}]}, ValueError, ["read_timeout"]),
        ({"replicas": ["a", "a"]}, ValueError, ["'a:3306'", "2 times"]),
        ({"consistency": "strong"}, ValueError, ["consistency", "eventual", "strong"]),
        ({"on_lag": "fail"}, ValueError, ["on_lag"]),
        ({"max_wait": -1}, ValueError, ["max_wait"]),
        ({"max_wait": "soon"}, ValueError, ["max_wait"]),
        ({"policy": "best"}, ValueError, ["policy", "round_robin"]),
        ({"policy": ""}, ValueError, ["policy"]),
        ({"primary_share": 30}, ValueError, ["primary_share", "30"]),
        ({"zone": 7}, ValueError, ["zone", "7"]),
        ({"cluster": 7}, ValueError, ["cluster", "int"]),
        ({"tags": ["a"]}, ValueError, ["tags", "list"]),
        ({"tags": {"a": 1}}, ValueError, ["tags", "a", "1"]),
        ({"reads": "anywhere"}, ValueError, ["reads"]),
        ({"transactions": "maybe"}, ValueError, ["transactions"]),
        ({"functions": {"f": "sometimes"}}, ValueError, ["functions['f']"]),
        ({"replica_connect_timeout": 0}, ValueError, ["replica_connect_timeout"]),
        ({"port": "3306"}, ValueError, ["port"]),
        ({"connect_timeout": 0}, ValueError, ["connect_timeout"]),
        ({"session_id": ""}, ValueError, ["session_id", "255"]),
        ({"sessionId": "a\0"}, ValueError, ["sessionId"]),
        ({"session_id_kind": "web"}, ValueError, ["session_id_kind", "provided"]),
        ({"session_store": "redis://:12se#same@h"}, ValueError, ["session_store", "%XX"]),
        ({"session_store": "postgres://u:sesame@h"}, ValueError, ["session_store", "sqlite"]),
        ({"after": "my1.x"}, ValueError, ["after"]),
        ({"max_staleness": -1}, ValueError, ["max_staleness"]),
        ({"pool_size": -3}, ValueError, ["pool_size", "-3"]),
        ({"primary_wait": 0}, ValueError, ["primary_wait", "0"]),
        ({"cluster": "shop"}, ValueError, ["cluster", "shop", "RWSPLIT_CONFIG"]),
        ({"replicas": 5}, ValueError, ["replicas", "int"]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_bad_keywords_are_named(no_sockets, keywords, error, words):
    with pytest.raises(error) as caught:
        rwsplit.connect(**{"host": "127.0.0.1", "password": "sesame", **keywords})
    for word in words:
        assert word in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_a_bad_environment_variable_is_named(no_sockets, monkeypatch):
    monkeypatch.setenv("RWSPLIT_READS", "somewhere")
    with pytest.raises(ValueError, match="RWSPLIT_READS"):
        rwsplit.connect()


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check_left_out(connection, name, caplog, expected):
    """The replica `name` serves nothing, and one warning tells why."""
    cursor = connection.cursor()
    for number in range(12):
        cursor.execute("SELECT %s", (number,))
        assert cursor.fetchone() == (number,)
        assert cursor.route.endpoint != name
    warnings = [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and name in record.getMessage()
    ]
    assert len(warnings) == 1, warnings
    assert expected in warnings[0]
    return warnings[0]


def test_an_unreachable_replica_is_one_warning(cluster, connect, caplog):
    name = f"127.0.0.1:{closed_port()}"
    connection = connect(replicas=[name, *cluster.connect_options["replicas"]])
    assert not caplog.records, "replicas are connected when first needed"
    check_left_out(connection, name, caplog, "Can't connect")


def test_with_no_replica_reachable_everything_runs_on_the_primary(cluster, connect, caplog):
    name = f"127.0.0.1:{closed_port()}"
    connection = connect(replicas=[name])
    check_left_out(connection, name, caplog, "Can't connect")
    assert connection.route.role == "primary"


def test_a_wrong_password_on_a_replica_is_one_warning(cluster, connect, caplog):
    server = cluster.replicas[0]
    wrong = {"host": server.host, "port": server.port, "name": "locked", "password": "wr0ng"}
    connection = connect(replicas=[wrong, cluster.connect_options["replicas"][1]])
    warning = check_left_out(connection, "locked", caplog, "1045")
    assert "wr0ng" not in warning


def test_a_wrong_password_on_the_primary_is_pymysqls_error(cluster, connect):
    with pytest.raises(rwsplit.OperationalError) as caught:
        connect(password="wr0ng")
    assert caught.value.args[0] == 1045
    with pytest.raises(rwsplit.OperationalError) as caught:
        connect(port=closed_port())
    assert caught.value.args[0] == 2003


def test_a_replica_of_another_cluster_serves_nothing(cluster, connect, caplog):
    """Also before the first write, and under `eventual`."""
    with Sandbox(cluster.flavor, replicas=1) as other:
        options = other.connect_options
        foreign = {
            "host": options["host"],
            "port": other.replicas[0].port,
            "user": options["user"],
            "password": options["password"],
            "name": "foreign",
        }
        own = cluster.connect_options["replicas"][0]
        for consistency in ("session", "eventual"):
            caplog.clear()
            name = f"foreign-{consistency}"
            connection = connect(replicas=[{**foreign, "name": name}, own], consistency=consistency)
            check_left_out(connection, name, caplog, "another cluster")
            connection.close()
        caplog.clear()
        primary = {**foreign, "port": options["port"], "name": "foreign-primary"}
        check_left_out(connect(replicas=[primary, own]), "foreign-primary", caplog, "another")


def test_the_primary_under_another_name_is_no_replica(cluster, connect, caplog):
    server = cluster.primary
    itself = {"host": "localhost", "port": server.port, "name": "itself"}
    connection = connect(replicas=[itself, cluster.connect_options["replicas"][0]])
    check_left_out(connection, "itself", caplog, "the primary itself")


def test_the_other_flavor_is_no_replica(connect, cluster, caplog, request):
    other = "mariadb" if cluster.flavor == "mysql" else "mysql"
    foreign = request.getfixturevalue(f"{other}_cluster")
    options = foreign.connect_options
    entry = {
        "host": options["host"],
        "port": foreign.replicas[0].port,
        "user": options["user"],
        "password": options["password"],
        "name": "other-flavor",
    }
    connection = connect(replicas=[entry, cluster.connect_options["replicas"][0]])
    check_left_out(connection, "other-flavor", caplog, other)


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_a_server_without_gtids_is_one_warning(flavor, caplog):
    """`session` reads run on the primary, `eventual` ones are split all the same."""
    options = {"log_bin": "OFF"} if flavor == "mariadb" else {"gtid_mode": "OFF"}
    with Sandbox(flavor, replicas=1, options=options) as cluster:
        keywords = {"autocommit": True, **cluster.connect_options}
        for _ in range(2):
            with rwsplit.connect(**keywords) as connection:
                cursor = connection.cursor()
                cursor.execute("SELECT 1")
                assert cursor.route.role == "primary"
                assert "GTID" in cursor.route.reason
        assert len([r for r in caplog.records if "GTID" in r.getMessage()]) == 1
        caplog.clear()
        with rwsplit.connect(**keywords, consistency="eventual") as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT 1")
            assert cursor.route.role == "replica"
        assert not caplog.records


def test_a_replica_that_is_lost_is_replaced_unseen(cluster, connect, table):
    """Its connection is killed under the session: the read runs elsewhere or on a new one."""
    connection = connect()
    cursor = connection.cursor()
    for number in range(10):
        for server in cluster.replicas:
            kill_connections(cluster, server)
        cursor.execute("SELECT %s", (number,))
        assert cursor.fetchone() == (number,)
        assert cursor.route.role == "replica"


def kill_connections(cluster, server):
    user = cluster.connect_options["user"]
    with cluster.admin(server) as admin:
        cursor = admin.cursor()
        cursor.execute("SELECT id FROM information_schema.processlist WHERE user = %s", (user,))
        for (thread,) in cursor.fetchall():
            cursor.execute(f"KILL {thread}")
