"""Cloud SQL through its connector: the connector makes the sockets, TLS and login by IAM included.

`dial` is a function that is asked for a socket in place of connecting to a host and port. Run it
with `python examples/cloud_sql.py`: it starts MySQL servers, and a stand-in for the connector whose
certificates are good for two seconds.
"""

import time

from stand_ins import CloudSql, Connector

import rwsplit
from rwsplit.sandbox import Sandbox

USER = "app"


def dialing(connector):
    """Return what `dial=` takes; `connector` is Google's `Connector(enable_iam_auth=True)`.

    Make it once, not for each connection: connections with the same function share a pool.
    """

    def dial(endpoint):
        return connector.connect(endpoint.host, "pymysql", user=USER)

    return dial


def google():
    """Return Google's own connector, so set that it hands over its sockets as they are."""
    from google.cloud.sql.connector import (  # noqa: PLC0415 - the stand-in needs none
        Connector,
        pymysql,
    )

    # What it would make a connection of PyMySQL of.
    pymysql.connect = lambda address, sock, **keywords: sock
    return Connector(enable_iam_auth=True, refresh_strategy="lazy")


def options(primary, replicas, dial):
    """Return the keywords of `connect()`; the hosts are names of instances."""
    return {
        "host": primary,
        "replicas": [{"host": instance} for instance in replicas],
        "dial": dial,
        "user": USER,
        "database": "shop",
        "autocommit": True,
        "replica_connect_timeout": 5.0,  # the first certificate takes its time
    }


def program(keywords):
    """Write, and read on a replica; returns the routes."""
    routes = []
    with rwsplit.connect(**keywords) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE IF NOT EXISTS stock (item VARCHAR(20) PRIMARY KEY, n INT)")
        cursor.execute("REPLACE INTO stock VALUES ('tea', 10)")
        routes.append(cursor.route)
        cursor.execute("SELECT n FROM stock WHERE item = 'tea'")
        assert cursor.fetchone() == (10,)
        routes.append(cursor.route)
    return routes


def main():
    seconds = 2.0
    with Sandbox("mysql", replicas=2, progress=print) as servers:
        all_servers = (servers.primary, *servers.replicas)
        fronts = {each.name: CloudSql(each, servers.primary.data) for each in all_servers}
        connector = Connector(fronts, seconds)
        primary, *replicas = fronts
        keywords = options(primary, replicas, dialing(connector))
        keywords["pool_max_lifetime"] = seconds  # so that the second round dials anew
        for _ in range(2):
            for route in program(keywords):
                print(f"  <- {route}")
            print(f"  {len(connector.made)} certificates so far")
            time.sleep(seconds + 0.5)
        for front in fronts.values():
            front.close()


if __name__ == "__main__":
    main()
