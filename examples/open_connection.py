"""A connection that is open already becomes the primary's: what it has set, replicas have, too.

Run it with `python examples/open_connection.py [mysql|mariadb ...]`; it starts the servers itself.
"""

import sys

import MySQLdb

import rwsplit
from rwsplit.sandbox import Sandbox


def program(connection, replicas, password):
    """Go on with an open connection of mysqlclient; returns the routes."""
    connection.query("SET @shop = 'tea', time_zone = '+02:00'")
    # The password is for the replicas: no open connection tells it.
    split = rwsplit.wrap(connection, replicas=replicas, password=password)
    assert split.wrapped is connection
    cursor = split.cursor()
    cursor.execute("SELECT @shop, @@time_zone")
    assert cursor.fetchone() == ("tea", "+02:00")
    routes = [cursor.route]
    cursor.execute("CREATE TABLE IF NOT EXISTS shelf (item VARCHAR(20) PRIMARY KEY, amount INT)")
    cursor.execute("REPLACE INTO shelf VALUES (@shop, 10)")
    routes.append(cursor.route)
    cursor.execute("SELECT amount FROM shelf WHERE item = @shop")
    assert cursor.fetchone() == (10,)
    routes.append(cursor.route)
    split.close()
    return routes


def main(flavors):
    for flavor in flavors:
        with Sandbox(flavor, replicas=2) as servers:
            account = servers.connect_options
            replicas = account.pop("replicas")
            connection = MySQLdb.connect(**account, autocommit=True)
            for route in program(connection, replicas, account["password"]):
                print(f"  {flavor}: <- {route}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["mysql", "mariadb"])
