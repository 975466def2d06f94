"""IAM database authentication of RDS and Aurora: a token in place of the password.

A token is good for 15 minutes, and only for the server that it was made for. So `password` is a
function: it is asked at each connect to a server, with the endpoint. Run it with
`python examples/rds_iam.py`: it starts MySQL servers, and a stand-in for RDS whose tokens are good
for two seconds.
"""

import time

from stand_ins import Iam, Rds

import rwsplit
from rwsplit.sandbox import Sandbox

USER = "app"


def tokens(client, region):
    """Return what `password=` takes; `client` is `boto3.client("rds")`.

    Make it once, not for each connection: connections with the same function share a pool.
    """

    def token(endpoint):
        return client.generate_db_auth_token(
            DBHostname=endpoint.host, Port=endpoint.port, DBUsername=USER, Region=region
        )

    return token


def options(primary, replicas, password, authority):
    """Return the keywords of `connect()`; the token is sent over TLS or not at all."""
    return {
        "host": primary[0],
        "port": primary[1],
        "replicas": [f"{host}:{port}" for host, port in replicas],
        "user": USER,
        "password": password,
        "database": "shop",
        "ssl_ca": authority,  # RDS: the bundle of its authorities, and ssl_verify_identity=True
        "ssl_verify_cert": True,
        "autocommit": True,
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
        certificates = servers.primary.data
        fronts = [Rds(server, certificates) for server in (servers.primary, *servers.replicas)]
        first, *others = [("127.0.0.1", front.port) for front in fronts]
        client = Iam(seconds)
        keywords = options(first, others, tokens(client, "eu-west-1"), str(certificates / "ca.pem"))
        keywords["pool_max_lifetime"] = seconds  # so that the second round logs in anew
        for _ in range(2):
            for route in program(keywords):
                print(f"  <- {route}")
            print(f"  {len(client.made)} tokens so far")
            time.sleep(seconds + 0.5)
        try:
            rwsplit.connect(**{**keywords, "password": client.made[0]})
        except rwsplit.OperationalError as error:
            print(f"  the first token now: {error}")
        for front in fronts:
            front.close()


if __name__ == "__main__":
    main()
