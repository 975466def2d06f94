"""The examples run, on real servers, with stand-ins for what they can't have here."""

import ssl
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import rwsplit

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def examples(monkeypatch):
    """The folder, where a program of it finds the others."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    before = set(sys.modules)
    yield
    own = {path.stem for path in EXAMPLES.glob("*.py")}
    for name in own - before:
        sys.modules.pop(name, None)


@pytest.fixture
def servers(mysql_cluster):
    return [mysql_cluster.primary, *mysql_cluster.replicas]


@pytest.fixture
def certificates(mysql_cluster):
    return mysql_cluster.primary.data


def roles(routes):
    return [route.role for route in routes]


def test_tokens_of_rds_expire_and_connections_do_not(examples, servers, certificates):
    import rds_iam
    import stand_ins

    fronts = [stand_ins.Rds(server, certificates) for server in servers]
    primary, *replicas = [("127.0.0.1", front.port) for front in fronts]
    seconds = 1.5
    client = stand_ins.Iam(seconds)
    keywords = rds_iam.options(
        primary, replicas, rds_iam.tokens(client, "eu-west-1"), str(certificates / "ca.pem")
    )
    keywords["pool_max_lifetime"] = seconds
    with rwsplit.connect(**keywords) as connection:
        assert roles(rds_iam.program(keywords)) == ["primary", "replica"]
        time.sleep(seconds + 0.2)
        made = len(client.made)
        # What is connected stays so, and who connects asks for another.
        connection.cursor().execute("SELECT 1 FROM stock")
        assert roles(rds_iam.program(keywords)) == ["primary", "replica"]
        assert len(client.made) > made
        # One that was lost is made again, with another token.
        connection.driver_connection.kill_socket()
        connection.cursor().execute("REPLACE INTO stock VALUES ('milk', 3)")
        assert connection.route.role == "primary"
    assert not any(front.refused for front in fronts)
    with pytest.raises(rwsplit.OperationalError) as caught:
        rwsplit.connect(**{**keywords, "password": client.made[0]})
    assert caught.value.args[0] == 1045
    assert sum(front.refused for front in fronts) >= 1
    for front in fronts:
        front.close()


def test_a_program_for_mysqlclient(examples, cluster):
    import mysqlclient_shop
    import MySQLdb

    account = cluster.connect_options
    replicas = account.pop("replicas")
    assert mysqlclient_shop.program(MySQLdb.connect, **account) == [None, None]
    wrapped = rwsplit.wrap(MySQLdb, replicas=replicas, max_wait=5)
    assert roles(mysqlclient_shop.program(wrapped.connect, **account)) == ["primary", "replica"]


def test_a_program_for_mysql_connector(examples, cluster):
    import connector_shop
    import mysql.connector

    account = cluster.connect_options
    replicas = account.pop("replicas")
    assert connector_shop.program(mysql.connector.connect, **account) == [None, None]
    wrapped = rwsplit.wrap(mysql.connector, replicas=replicas, max_wait=5)
    assert roles(connector_shop.program(wrapped.connect, **account)) == ["primary", "replica"]


def test_a_factory_with_tokens_that_expire(examples, servers, certificates):
    import factory_tokens
    import MySQLdb
    import stand_ins

    seconds = 1.5
    fronts = [stand_ins.Rds(server, certificates) for server in servers]
    primary, *replicas = [f"127.0.0.1:{front.port}" for front in fronts]
    client = stand_ins.Iam(seconds)
    make = factory_tokens.factory(client, str(certificates / "ca.pem"))
    connect = rwsplit.wrap(make, primary=primary, replicas=replicas, driver=MySQLdb, max_wait=5)
    assert roles(factory_tokens.program(connect)) == ["primary", "replica"]
    time.sleep(seconds + 0.2)
    made = len(client.made)
    assert roles(factory_tokens.program(connect)) == ["primary", "replica"]
    assert len(client.made) > made
    assert not any(front.refused for front in fronts)
    for front in fronts:
        front.close()


def test_an_open_connection(examples, cluster):
    import MySQLdb
    import open_connection

    account = cluster.connect_options
    replicas = account.pop("replicas")
    connection = MySQLdb.connect(**account, autocommit=True)
    found = open_connection.program(connection, replicas, account["password"])
    assert roles(found) == ["replica", "primary", "replica"]


def test_a_token_is_for_the_server_that_it_was_made_for(examples, servers, certificates):
    import rds_iam
    import stand_ins

    fronts = [stand_ins.Rds(server, certificates) for server in servers]
    primary, *replicas = [("127.0.0.1", front.port) for front in fronts]
    client = stand_ins.Iam(30)
    one = rds_iam.tokens(client, "eu-west-1")
    where = rwsplit.Endpoint("primary", *primary)
    keywords = rds_iam.options(primary, replicas, lambda: one(where), str(certificates / "ca.pem"))
    assert roles(rds_iam.program(keywords)) == ["primary", "primary"]
    assert any(front.refused for front in fronts[1:])
    for front in fronts:
        front.close()


def test_sockets_of_cloud_sql(examples, servers, certificates):
    import cloud_sql
    import stand_ins

    seconds = 1.5
    fronts = {server.name: stand_ins.CloudSql(server, certificates) for server in servers}
    connector = stand_ins.Connector(fronts, seconds)
    primary, *replicas = fronts
    keywords = cloud_sql.options(primary, replicas, cloud_sql.dialing(connector))
    keywords["pool_max_lifetime"] = seconds
    assert roles(cloud_sql.program(keywords)) == ["primary", "replica"]
    made = len(connector.made)
    time.sleep(seconds + 0.2)
    assert roles(cloud_sql.program(keywords)) == ["primary", "replica"]
    assert len(connector.made) > made
    assert not any(front.refused for front in fronts.values())
    with closing(rwsplit.connect(**keywords)) as connection:
        # TLS as it came: none within it, though these servers offer it.
        assert isinstance(connection._sock, ssl.SSLSocket)
    with pytest.raises(rwsplit.OperationalError, match="speaks TLS already"):
        rwsplit.connect(**{**keywords, "replicas": [], "ssl_verify_cert": True})
    for front in fronts.values():
        front.close()
