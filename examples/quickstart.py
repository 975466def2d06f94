"""An ordinary PyMySQL program with its import replaced, on a primary and two replicas.

Run it with `python examples/quickstart.py [mysql|mariadb ...]`; it starts the servers itself.
"""

import sys
import time

import rwsplit as pymysql  # was: import pymysql
from rwsplit.sandbox import Sandbox


def program(connection):
    """The program: not a word of it knows about replicas."""
    cursor = connection.cursor(pymysql.cursors.DictCursor)
    run(cursor, "CREATE TABLE stock (item VARCHAR(20) PRIMARY KEY, amount INT)")
    run(cursor, "INSERT INTO stock VALUES (%s, %s)", ("tea", 10))
    run(cursor, "SELECT amount FROM stock WHERE item = %s", ("tea",))
    run(cursor, "UPDATE stock SET amount = amount - %s WHERE item = %s", (1, "tea"))
    run(cursor, "SELECT amount FROM stock WHERE item = %s", ("tea",))
    run(cursor, "SELECT COUNT(*) AS items FROM stock")
    run(cursor, "SELECT amount FROM stock WHERE item = %s FOR UPDATE", ("tea",))
    run(cursor, "SET time_zone = '+02:00'")
    run(cursor, "SELECT @@time_zone")


def run(cursor, sql, args=None):
    cursor.execute(sql, args)
    row = cursor.fetchone() if cursor.description else None
    print(f"  {sql}")
    print(f"      {f'{row}  ' if row else ''}<- {cursor.route}")


def late_replicas(cluster, connection):
    """A read after a write is right all the same, and so is the next one."""
    print("\n  The replicas stop applying what the primary sends them.")
    for replica in cluster.replicas:
        cluster.stall(replica)
    cursor = connection.cursor()
    for _ in range(3):
        run(cursor, "UPDATE stock SET amount = amount - 1 WHERE item = 'tea'")
        run(cursor, "SELECT amount FROM stock WHERE item = 'tea'")
    print("\n  They go on, and reads return to them.")
    for replica in cluster.replicas:
        cluster.resume(replica)
    cluster.wait_caught_up()
    time.sleep(1)  # a replica that was late is looked at again within a second
    run(cursor, "SELECT amount FROM stock WHERE item = 'tea'")
    run(cursor, "SELECT amount FROM stock WHERE item = 'tea'")


def main(flavors):
    for flavor in flavors:
        with Sandbox(flavor, replicas=2, progress=print) as cluster:
            print(f"\n{flavor} {cluster.version}: a primary and two replicas\n")
            connection = pymysql.connect(autocommit=True, **cluster.connect_options)
            with connection:
                program(connection)
                late_replicas(cluster, connection)
            print()


if __name__ == "__main__":
    main(sys.argv[1:] or ["mysql", "mariadb"])
