"""A factory that makes the connections, with tokens that expire: rwsplit splits what it makes.

Whoever has a function that connects, as SQLAlchemy's `creator=` or a company's own, gives it the
endpoint, and keeps it. Run it with `python examples/factory_tokens.py`: it starts MySQL servers,
and a stand-in for RDS whose tokens are good for two seconds.
"""

import time

import MySQLdb
from stand_ins import Iam, Rds

import rwsplit
from rwsplit.sandbox import Sandbox


def factory(client, authority):
    """Return the function that connects to an endpoint; `client` is `boto3.client("rds")`."""

    def connect(endpoint):
        token = client.generate_db_auth_token(
            DBHostname=endpoint.host, Port=endpoint.port, DBUsername="app", Region="eu-west-1"
        )
        return MySQLdb.connect(
            host=endpoint.host,
            port=endpoint.port,
            user="app",
            password=token,
            database="shop",
            ssl={"ca": authority},
            auth_plugin="mysql_clear_password",
            autocommit=True,
        )

    return connect


def program(connect):
    """Write, and read on a replica; returns the routes."""
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE IF NOT EXISTS stock (item VARCHAR(20) PRIMARY KEY, n INT)")
    cursor.execute("REPLACE INTO stock VALUES ('tea', 10)")
    routes = [cursor.route]
    cursor.execute("SELECT n FROM stock WHERE item = 'tea'")
    assert cursor.fetchone() == (10,)
    routes.append(cursor.route)
    connection.close()
    return routes


def main():
    seconds = 2.0
    with Sandbox("mysql", replicas=2, progress=print) as servers:
        certificates = servers.primary.data
        fronts = [Rds(server, certificates) for server in (servers.primary, *servers.replicas)]
        first, *others = [f"127.0.0.1:{front.port}" for front in fronts]
        client = Iam(seconds)
        make = factory(client, str(certificates / "ca.pem"))
        connect = rwsplit.wrap(make, primary=first, replicas=others, driver=MySQLdb)
        for _ in range(2):
            for route in program(connect):
                print(f"  <- {route}")
            print(f"  {len(client.made)} tokens so far")
            time.sleep(seconds + 0.5)
        for front in fronts:
            front.close()


if __name__ == "__main__":
    main()
