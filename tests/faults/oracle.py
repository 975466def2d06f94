"""Programs run on plain PyMySQL and on rwsplit, step by step: the answers must be the same."""

import time

import pymysql


def answer(connection, step):
    """What a step answers: its rows, names and row count; or the number of its error.

    A step is a statement, or a function that is given the connection.
    """
    try:
        if callable(step):
            return step(connection)
        with connection.cursor() as cursor:
            cursor.execute(step)
            names = [column[0] for column in cursor.description or ()]
            return cursor.rowcount, names, cursor.fetchall()
    except pymysql.MySQLError as error:
        return "error", error.args[0]


def same(cluster, connect, setup, program, **options):
    """Run a program on the primary alone and on the cluster: every answer must be the same.

    `setup` makes what the program needs, before each of the two. Returns the routes taken.
    """
    options = {"max_wait": 5.0, **options}
    expected = []
    prepare(cluster, setup)
    plain = cluster.connect(cluster.primary, autocommit=True)
    with plain:
        expected = [answer(plain, step) for step in program]
    prepare(cluster, setup)
    ours = connect(**options)
    routes = []
    for number, step in enumerate(program):
        found = answer(ours, step)
        routes.append(ours.route)
        assert found == expected[number], (
            f"step {number}: {step}: {found} is not {expected[number]}: {ours.route}"
        )
    return routes


def prepare(cluster, setup):
    with cluster.connect(cluster.primary, autocommit=True) as connection:
        cursor = connection.cursor()
        for sql in setup:
            cursor.execute(sql)
    cluster.wait_caught_up()


def kill_primary(cluster, connection):
    """End the connection to the primary, as a server does with one that was idle for too long."""
    thread = connection.thread_id()
    physical = connection.driver_connection
    with cluster.admin(cluster.primary, autocommit=True) as admin:
        admin.cursor().execute(f"KILL {thread}")
    until = time.monotonic() + 30
    while not physical.has_ended():
        assert time.monotonic() < until
        time.sleep(0.005)
