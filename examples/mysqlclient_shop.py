"""A program written for mysqlclient: its connects are wrapped, and nothing else of it changes.

Run it with `python examples/mysqlclient_shop.py [mysql|mariadb ...]`; it starts the servers itself.
"""

import sys

import MySQLdb
import MySQLdb.cursors

import rwsplit
from rwsplit.sandbox import Sandbox


def program(connect, **account):
    """The program: mysqlclient's keywords, cursors, conversions and errors; returns the routes."""
    routes = []
    connection = connect(**account, autocommit=True, cursorclass=MySQLdb.cursors.DictCursor)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE IF NOT EXISTS goods (item VARCHAR(20) PRIMARY KEY, amount INT)")
    cursor.execute("REPLACE INTO goods VALUES (%s, %s)", ("tea", 10))
    routes.append(getattr(cursor, "route", None))
    cursor.execute("SELECT amount FROM goods WHERE item = %s", ("tea",))
    assert cursor.fetchall() == ({"amount": 10},)
    routes.append(getattr(cursor, "route", None))
    try:
        cursor.execute("INSERT INTO goods VALUES ('tea', 1)")
    except MySQLdb.IntegrityError as error:
        assert error.args[0] == 1062
    connection.close()
    return routes


def main(flavors):
    for flavor in flavors:
        with Sandbox(flavor, replicas=2) as servers:
            account = servers.connect_options
            replicas = account.pop("replicas")
            program(MySQLdb.connect, **account)  # as it was
            wrapped = rwsplit.wrap(MySQLdb, replicas=replicas)
            for route in program(wrapped.connect, **account):
                print(f"  {flavor}: <- {route}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["mysql", "mariadb"])
