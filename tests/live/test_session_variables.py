"""What a session is to begin with, and whether it is of use, at no round trip of its own."""

import pytest

import rwsplit

GIVEN = {"transaction_isolation": "READ-COMMITTED", "group_concat_max_len": 77, "sql_mode": "ANSI"}


def isolation(cluster):
    return "tx_isolation" if cluster.flavor == "mariadb" else "transaction_isolation"


def test_every_member_begins_with_them(connect, cluster):
    asks = f"SELECT @@{isolation(cluster)}, @@group_concat_max_len, @@sql_mode LIKE '%ANSI%'"
    for _ in range(2):  # the second one over wires of the pool, whose sessions were reset
        connection = connect(session_variables=GIVEN)
        for text in (asks, f"{asks} /* rwsplit: primary */"):
            with connection.cursor() as cursor:
                cursor.execute(text)
                assert cursor.fetchall() == (("READ-COMMITTED", 77, 1),)
                assert cursor.route.role == ("primary" if "primary" in text else "replica")
        connection.close()
    others = connect()
    with others.cursor() as cursor:
        cursor.execute("SELECT @@group_concat_max_len")
        assert cursor.fetchone()[0] != 77


def test_they_cost_no_round_trip(connect, cluster):
    def writes(**keywords):
        # One that finds a wire in the pool has less to say.
        pool.close_idle()
        connection = connect(**keywords)
        return connection.driver_connection.writes

    pool = connect().cluster.pool
    assert writes(session_variables=GIVEN) == writes()


def test_they_are_there_when_the_connection_is_made_again(connect, cluster):
    connection = connect(session_variables=GIVEN)
    with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
        cursor.execute(f"KILL {connection.thread_id()}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@group_concat_max_len /* rwsplit: primary */")
        assert cursor.fetchone() == (77,)


def test_the_server_refuses_what_it_does_not_know(connect):
    with pytest.raises(rwsplit.OperationalError, match="nonsense"):
        connect(session_variables={"nonsense": 1})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (3, "expected a dict of variables, got int"),
        ({"autocommit": 1}, r"\['autocommit'\]: it has a keyword of its own"),
        ({"Collation_Connection": "x"}, "a keyword of its own"),
        ({"timestamp": 1}, "a session cannot begin with it"),
        ({"a = 1, b": 1}, "expected the name of a system variable"),
        ({"sql_mode": None}, "expected a text or a number"),
        ({"long_query_time": float("nan")}, "expected a text or a number"),
    ],
)
def test_bad_ones_are_named(given, why):
    with pytest.raises(ValueError, match=f"session_variables.*{why}"):
        rwsplit.connect(host="127.0.0.1", port=1, replicas=[], session_variables=given)


def test_usable_is_told_without_a_round_trip(connect):
    connection = connect()
    before = connection.driver_connection.writes
    assert connection.is_usable()
    assert connection.driver_connection.writes == before
    connection.close()
    assert not connection.is_usable()


def kill(cluster, connection):
    with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
        cursor.execute(f"KILL {connection.thread_id()}")
        cursor.execute("SELECT SLEEP(0.1)")


def test_a_lost_connection_is_of_use_where_it_is_made_again(connect, cluster):
    connection = connect()
    kill(cluster, connection)
    assert connection.is_usable()
    plain = connect(replicas=None)
    kill(cluster, plain)
    assert not plain.is_usable()


def test_a_lost_connection_is_of_no_use_where_something_hung_on_it(connect, cluster):
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('mine', 1)")
    kill(cluster, connection)
    assert not connection.is_usable()
    connection = connect()
    connection.begin()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FOR UPDATE")
    kill(cluster, connection)
    assert not connection.is_usable()
