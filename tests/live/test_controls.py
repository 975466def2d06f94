"""Control from SQL, from what a plain PyMySQL program can do."""

from collections import Counter

import pymysql
import pytest

import rwsplit

READ = "SELECT COUNT(*) FROM t"
POLICY, RATIO = "read_write_splitting_policy", "read_write_splitting_ratio"
LEVEL, TIMEOUT = "read_after_write_consistency", "read_after_write_timeout"


@pytest.fixture
def cursor(connect, table):
    connection = connect(max_wait=5.0)
    yield connection.cursor()
    connection.cluster.close()


def ask(cursor, sql, args=None):
    cursor.execute(sql, args)
    return cursor.fetchall()


def roles(cursor, times=30):
    seen = Counter()
    for _ in range(times):
        ask(cursor, READ)
        seen[cursor.route.role] += 1
    return seen


def test_a_policy_is_set_selected_and_shown(cursor):
    assert ask(cursor, f"SELECT @@{POLICY}") == (("round_robin",),)
    assert cursor.execute(f"SET @@{POLICY} = %s", ("least_mysql_running_connections",)) == 0
    assert (cursor.description, cursor.rowcount) == (None, 0)
    assert cursor.route.role == "none"
    expected = "least_mysql_running_connections"
    assert ask(cursor, f"SELECT @@session.{POLICY} AS p") == ((expected,),)
    assert cursor.description[0][0] == "p"
    assert ask(cursor, f"SHOW VARIABLES LIKE '{POLICY}'") == ((POLICY, expected),)
    assert ask(cursor, f"SHOW GLOBAL VARIABLES LIKE '{POLICY}'") == ((POLICY, "round_robin"),)
    assert roles(cursor) == {"replica": 30}
    cursor.execute(f"SET {POLICY} = DEFAULT")
    assert ask(cursor, f"SELECT @@{POLICY}") == (("round_robin",),)


def test_splitting_is_switched_off_and_on(cursor):
    cursor.execute(f"SET {POLICY} = 'disable'")
    assert roles(cursor, 5) == {"primary": 5}
    assert ask(cursor, f"SELECT @@{POLICY}") == (("disable",),)
    cursor.execute(f"SET {POLICY} = 'random'")
    assert roles(cursor, 5) == {"replica": 5}


def test_splitting_is_switched_on_where_it_was_off(connect, table):
    cursor = connect(reads="primary", autocommit=False).cursor()
    assert roles(cursor, 3) == {"primary": 3}
    cursor.connection.commit()
    cursor.execute(f"SET {POLICY} = 'random'")
    assert roles(cursor, 3) == {"replica": 3}
    # In an open transaction, too: it goes on as it can.
    cursor.execute(f"SET {POLICY} = 'disable'")
    cursor.execute("INSERT INTO t VALUES (1, 1)")
    assert ask(cursor, READ) == ((1,),)
    cursor.connection.commit()
    assert roles(cursor, 3) == {"primary": 3}


def test_a_ratio_leaves_a_share_to_the_primary(cursor):
    cursor.execute(f"SET SESSION {POLICY} = 'random', {RATIO} = 70, {LEVEL} = 'EVENTUAL'")
    seen = roles(cursor, 200)
    assert 25 <= seen["primary"] <= 100
    assert ask(cursor, f"SELECT @@{RATIO}") == ((70,),)
    cursor.execute(f"SET {RATIO} = 0")
    assert roles(cursor, 5) == {"primary": 5}
    cursor.execute(f"SET {RATIO} = 100")
    assert roles(cursor, 5) == {"replica": 5}


def test_consistency_is_set(cluster, connect, table):
    connection = connect(max_wait=0.05)
    cursor = connection.cursor()
    ask(cursor, READ)
    for level in ("EVENTUAL", "GLOBAL", "INSTANCE", "SESSION"):
        cursor.execute(f"SET @@{LEVEL} = '{level}'")
        assert ask(cursor, f"SELECT @@{LEVEL}") == ((level,),)
        assert ask(cursor, READ) == ((0,),)
    for server in cluster.replicas:
        cluster.stall(server)
    cursor.execute("INSERT INTO t VALUES (1, 1)")
    assert ask(cursor, READ) == ((1,),)
    cursor.execute(f"SET @@{LEVEL} = 'eventual'")
    assert ask(cursor, READ) == ((0,),)
    assert cursor.route.role == "replica"


def test_instance_shares_with_all_connections_to_the_database(cluster, connect, table):
    one, other = connect(max_wait=0.05), connect(max_wait=0.05)
    stranger = connect(session_id_kind="connection")
    for connection in (one, other):
        connection.cursor().execute(f"SET {LEVEL} = 'INSTANCE'")
    for server in cluster.replicas:
        cluster.stall(server)
    one.cursor().execute("INSERT INTO t VALUES (1, 1)")
    assert ask(other.cursor(), READ) == ((1,),)
    assert ask(stranger.cursor(), READ) == ((0,),)


def test_a_change_to_instance_and_back_forgets_no_write(cluster, connect, table):
    connection = connect(max_wait=0.05)
    cursor = connection.cursor()
    ask(cursor, READ)
    for server in cluster.replicas:
        cluster.stall(server)
    for number, level in enumerate(("INSTANCE", "SESSION", "INSTANCE", "GLOBAL"), 1):
        cursor.execute("INSERT INTO t VALUES (%s, 1)", (number,))
        cursor.execute(f"SET {LEVEL} = '{level}'")
        assert ask(cursor, READ) == ((number,),)
    # In a transaction, too, from whose end on it holds.
    connection.begin()
    cursor.execute("INSERT INTO t VALUES (9, 1)")
    cursor.execute(f"SET {LEVEL} = 'INSTANCE'")
    connection.commit()
    assert ask(cursor, READ) == ((5,),)


def test_instance_follows_a_use(cluster, connect, table):
    other = cluster.create_database("other_shop")
    one, two = (connect(max_wait=0.05, database=name) for name in ("shop", other))
    one.cursor().execute("USE other_shop")
    one.cursor().execute("CREATE TABLE o (id INT PRIMARY KEY)")
    cluster.wait_caught_up()
    for connection in (one, two):
        connection.cursor().execute(f"SET {LEVEL} = 'INSTANCE'")
    one.cursor().execute("USE shop")
    one.cursor().execute("USE other_shop")
    for server in cluster.replicas:
        cluster.stall(server)
    one.cursor().execute("INSERT INTO o VALUES (1)")
    assert ask(two.cursor(), "SELECT COUNT(*) FROM o") == ((1,),)
    for server in cluster.replicas:
        cluster.resume(server)
    cluster.drop_database("other_shop")


def test_who_switched_splitting_off_for_a_process_has_the_last_word(connect, table, monkeypatch):
    monkeypatch.setenv("RWSPLIT_READS", "primary")
    cursor = connect(init_command=f"SET {POLICY} = 'random'").cursor()
    assert roles(cursor, 3) == {"primary": 3}
    assert ask(cursor, f"SELECT @@{POLICY}") == (("disable",),)


def test_reads_of_nothing_are_not_split_either(connect):
    cursor = connect(autocommit=False).cursor()
    ask(cursor, "SELECT 1")
    assert cursor.route.role == "replica"
    for control in (f"{POLICY} = 'disable'", f"{POLICY} = 'random', {RATIO} = 0"):
        cursor.execute(f"SET {control}")
        for sql in (
            "SELECT 1",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
            "SELECT 2",
        ):
            ask(cursor, sql)
            assert cursor.route.role == "primary", (control, sql)
        cursor.connection.rollback()


def test_a_policy_set_amid_a_transaction_holds_behind_it(connect, table):
    cursor = connect(reads="primary", autocommit=False).cursor()
    ask(cursor, READ)
    cursor.execute(f"SET {POLICY} = 'random'")
    assert roles(cursor, 2) == {"primary": 2}
    cursor.connection.commit()
    assert roles(cursor, 2) == {"replica": 2}


def test_a_timeout_is_set(cluster, connect, table):
    connection = connect(max_wait=0.05)
    cursor = connection.cursor()
    ask(cursor, READ)
    cursor.execute(f"SET {TIMEOUT} = %s", (0.6,))
    assert ask(cursor, f"SELECT @@{TIMEOUT}") == ((0.6,),)
    for server in cluster.replicas:
        cluster.stall(server)
    cursor.execute("INSERT INTO t VALUES (1, 1)")
    assert ask(cursor, READ) == ((1,),)
    assert cursor.route.role == "primary"
    assert cursor.route.waited >= 0.5


def test_set_global_is_for_connections_made_later(connect, table):
    first = connect()
    try:
        first.cursor().execute(f"SET GLOBAL {POLICY} = 'disable'")
        assert roles(first.cursor(), 3) == {"replica": 3}
        second = connect()
        assert roles(second.cursor(), 3) == {"primary": 3}
        assert ask(first.cursor(), f"SELECT @@global.{POLICY}, @@{POLICY}") == (
            ("disable", "round_robin"),
        )
        first.cursor().execute(f"SET GLOBAL {POLICY} = DEFAULT")
        assert roles(connect().cursor(), 3) == {"replica": 3}
    finally:
        first.cluster.close()


@pytest.mark.parametrize(
    ("sql", "like"),
    [
        (f"SET {POLICY} = 'fastest'", "SET SESSION time_zone = 'fastest'"),
        (f"SET {RATIO} = 101", "SET SESSION sql_mode = 'fastest'"),
        (f"SET {RATIO} = 'many'", "SET SESSION max_join_size = 'many'"),
        (f"SET {LEVEL} = 'STRONG'", "SET SESSION sql_mode = 'STRONG'"),
        (f"SET {TIMEOUT} = 'soon'", "SET SESSION max_join_size = 'soon'"),
    ],
)
def test_bad_values_give_the_servers_kind_of_error(cluster, cursor, sql, like):
    with cluster.connect(cluster.primary) as plain, pytest.raises(pymysql.MySQLError) as theirs:
        plain.cursor().execute(like)
    with pytest.raises(pymysql.MySQLError) as ours:
        cursor.execute(sql)
    assert type(ours.value) is type(theirs.value)
    if "time_zone" not in like:  # which has a number of its own
        assert ours.value.args[0] == theirs.value.args[0]
    assert roles(cursor, 3) == {"replica": 3}


def test_what_is_no_variable_of_ours_is_the_servers_to_refuse(cursor):
    for sql in ("SET read_write_splitting = 1", f"SELECT @@{RATIO}, 1"):
        with pytest.raises(rwsplit.MySQLError) as caught:
            cursor.execute(sql)
        assert caught.value.args[0] == 1193


def test_no_server_sees_them(cluster, connect, table):
    connection = connect()
    cursor = connection.cursor()
    sent = []
    primary = connection.driver_connection
    real = primary._write_bytes
    primary._write_bytes = lambda data: (sent.append(bytes(data)), real(data))[1]
    cursor.execute(f"SET {POLICY} = 'random'")
    ask(cursor, f"SELECT @@{POLICY}")
    ask(cursor, f"SHOW VARIABLES LIKE '{RATIO}'")
    assert sent == []
    ask(cursor, "SHOW VARIABLES LIKE 'read%'")
    ask(cursor, READ)
    assert not any(POLICY.encode() in data for data in sent)
    del primary._write_bytes


def test_show_variables_has_them_in_their_place(cluster, connect):
    with cluster.connect(cluster.primary) as plain:
        servers = [name for name, _ in ask(plain.cursor(), "SHOW VARIABLES LIKE 'rea%'")]
    cursor = connect().cursor()
    shown = ask(cursor, "SHOW VARIABLES LIKE 'rea%'")
    assert [name for name, _ in shown] == sorted([*servers, POLICY, RATIO, LEVEL, TIMEOUT])
    assert cursor.rowcount == len(shown)
    assert {POLICY, RATIO} <= {name for name, _ in ask(cursor, "SHOW VARIABLES")}


@pytest.mark.parametrize("name", ["DictCursor", "SSCursor", "SSDictCursor"])
def test_every_cursor_can_ask(connect, name):
    cursor = connect().cursor(getattr(rwsplit.cursors, name))
    cursor.execute(f"SELECT @@{POLICY} AS p, @@{RATIO} AS r")
    row = {"p": "round_robin", "r": 100} if "Dict" in name else ("round_robin", 100)
    assert cursor.fetchone() == row
    assert cursor.fetchone() is None
    cursor.execute("SHOW VARIABLES LIKE 'read_write%'")
    assert len(cursor.fetchall()) == 2
    cursor.close()


def test_an_init_command_sets_them(connect, table):
    cursor = connect(init_command=f"SET {POLICY} = 'disable'").cursor()
    assert roles(cursor, 3) == {"primary": 3}


def test_without_a_cluster_there_are_none(cluster):
    options = cluster.connect_options
    del options["replicas"]
    with rwsplit.connect(**options) as connection:
        with pytest.raises(rwsplit.OperationalError) as caught:
            connection.cursor().execute(f"SET {POLICY} = 'random'")
        assert caught.value.args[0] == 1193
