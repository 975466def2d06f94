"""A program written for mysql-connector-python: its connects are wrapped, and nothing else changes.

Run it with `python examples/connector_shop.py [mysql|mariadb ...]`; it starts the servers itself.
"""

import sys

import mysql.connector

import rwsplit
from rwsplit.sandbox import Sandbox


def program(connect, **account):
    """The program: the driver's keywords, cursors, conversions and errors; returns the routes."""
    routes = []
    connection = connect(**account, use_pure=True)
    cursor = connection.cursor(dictionary=True)
    cursor.execute("CREATE TABLE IF NOT EXISTS wares (item VARCHAR(20) PRIMARY KEY, amount INT)")
    connection.start_transaction(isolation_level="READ COMMITTED")
    cursor.execute("REPLACE INTO wares VALUES (%(item)s, %(amount)s)", {"item": "tea", "amount": 9})
    routes.append(getattr(cursor, "route", None))
    assert connection.in_transaction
    connection.commit()
    cursor.execute("SELECT amount FROM wares WHERE item = %s", ("tea",))
    assert cursor.fetchall() == [{"amount": 9}]
    routes.append(getattr(cursor, "route", None))
    try:
        cursor.execute("INSERT INTO wares VALUES ('tea', 1)")
    except mysql.connector.IntegrityError as error:
        assert error.errno == mysql.connector.errorcode.ER_DUP_ENTRY
    connection.rollback()
    connection.close()
    return routes


def main(flavors):
    for flavor in flavors:
        with Sandbox(flavor, replicas=2) as servers:
            account = servers.connect_options
            replicas = account.pop("replicas")
            program(mysql.connector.connect, **account)  # as it was
            wrapped = rwsplit.wrap(mysql.connector, replicas=replicas)
            for route in program(wrapped.connect, **account):
                print(f"  {flavor}: <- {route}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["mysql", "mariadb"])
