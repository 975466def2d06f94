"""`route.cause` is the true cause: every way in which a statement ends on the primary or a replica.

Each situation is forced on real servers, and says the one cause that its last statement must have.
A read on the primary never has the cause of a read, and the table leaves no cause out.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing

import pymysql
import pytest

import rwsplit
from rwsplit import Cause
from rwsplit._core.setup.config import parse_config
from rwsplit._shell.configuring import _warn_once

READ = "SELECT COUNT(*) FROM t"
SITUATIONS = {}


def situation(cause, words=""):
    """Register a function that runs statements on a cursor that `connect` makes."""

    def register(function):
        SITUATIONS[function.__name__] = cause, words, function
        return function

    return register


class World:
    """What a situation is made of."""

    def __init__(self, cluster, connect, monkeypatch):
        self.cluster, self.connect, self.monkeypatch = cluster, connect, monkeypatch

    def cursor(self, **options):
        return self.connect(**options).cursor()

    def alone(self, **options):
        """A cursor of a cluster that no other test uses, so that it may be spoilt."""
        replicas = [
            {"host": server.host, "port": server.port, "name": f"r{server.port} {time.monotonic()}"}
            for server in self.cluster.replicas
        ]
        return self.cursor(**{"replicas": replicas, **options})

    def admin(self, *statements):
        with closing(self.cluster.admin(self.cluster.primary, database="shop")) as admin:
            for statement in statements:
                admin.cursor().execute(statement)


def run(cursor, *statements):
    for statement in statements:
        cursor.execute(statement)
    return cursor.route


# Of the statement.


@situation(Cause.READ, "without side effects")
def a_read(world):
    return run(world.cursor(), READ)


@situation(Cause.READ)
def a_prepared_read(world):
    return run(world.cursor(), f"PREPARE prepared FROM '{READ}'", "EXECUTE prepared")


@situation(Cause.READ)
def a_read_that_a_hint_sends_to_one_replica(world):
    cursor = world.cursor()
    name = cursor.connection.cluster.replicas[0].endpoint.name
    return run(cursor, f"{READ} /* rwsplit: replica={name} */")


@situation(Cause.READ)
def a_read_of_a_transaction(world):
    return run(world.cursor(autocommit=False), READ)


@situation(Cause.READ)
def a_read_of_a_read_only_transaction(world):
    return run(world.cursor(), "START TRANSACTION READ ONLY", READ)


@situation(Cause.READ)
def a_read_after_a_write_that_all_have(world):
    cursor = world.cursor()
    run(cursor, "REPLACE INTO t VALUES (1, 1)")
    world.cluster.wait_caught_up()
    return run(cursor, READ)


@situation(Cause.WRITE)
def a_write(world):
    return run(world.cursor(), "REPLACE INTO t VALUES (1, 1)")


@situation(Cause.WRITE)
def a_write_in_a_transaction(world):
    return run(world.cursor(), "BEGIN", "REPLACE INTO t VALUES (1, 1)")


@situation(Cause.LOCK, "FOR UPDATE")
def a_locking_read(world):
    return run(world.cursor(), f"{READ} FOR UPDATE")


@situation(Cause.LOCK, "GET_LOCK")
def a_user_lock(world):
    return run(world.cursor(), "SELECT GET_LOCK('a', 0)")


@situation(Cause.SESSION)
def a_set(world):
    return run(world.cursor(), "SET @a = 1")


@situation(Cause.SESSION)
def a_method_that_changes_the_session(world):
    connection = world.connect()
    connection.select_db("shop")
    return connection.route


@situation(Cause.TRANSACTION)
def a_commit(world):
    return run(world.cursor(), "BEGIN", "REPLACE INTO t VALUES (1, 1)", "COMMIT")


@situation(Cause.TRANSACTION)
def a_commit_by_method(world):
    connection = world.connect(autocommit=False)
    run(connection.cursor(), "REPLACE INTO t VALUES (1, 1)")
    connection.commit()
    return connection.route


@situation(Cause.FOLLOWS)
def a_question_about_the_read_before(world):
    route = run(world.cursor(), READ, "SELECT FOUND_ROWS()")
    assert route.role == "replica"
    return route


@situation(Cause.FOLLOWS)
def a_question_about_the_write_before(world):
    return run(world.cursor(), "REPLACE INTO t VALUES (1, 1)", "SELECT ROW_COUNT()")


@situation(Cause.PRIMARY_ONLY, "CONNECTION_ID")
def a_question_about_the_primarys_connection(world):
    return run(world.cursor(), "SELECT CONNECTION_ID()")


@situation(Cause.FUNCTION, "declared")
def a_function_that_may_write(world):
    return run(world.cursor(), "SELECT kept(1)")


@situation(Cause.FUNCTION, "declared")
def a_function_that_is_declared_to_write(world):
    return run(world.cursor(functions={"kept": "write"}), "SELECT kept(1)")


@situation(Cause.NOT_UNDERSTOOD)
def what_is_not_understood(world):
    return run(world.cursor(charset="gbk"), b"SELECT '\xd6\xd0'")


@situation(Cause.ANSWERED)
def a_begin_that_goes_with_the_first_statement(world):
    return run(world.cursor(), "START TRANSACTION READ ONLY")


@situation(Cause.ANSWERED)
def one_of_rwsplits_own_variables(world):
    return run(world.cursor(), "SELECT @@read_write_splitting_policy")


# Of the session.


@situation(Cause.IN_TRANSACTION, "open")
def a_read_in_a_transaction_that_wrote(world):
    return run(world.cursor(), "BEGIN", "REPLACE INTO t VALUES (1, 1)", READ)


@situation(Cause.IN_TRANSACTION, "BEGIN|open")
def a_read_behind_begin(world):
    return run(world.cursor(transactions="primary"), "BEGIN", READ)


@situation(Cause.IN_TRANSACTION, "autocommit is off")
def a_read_of_transactions_that_are_the_primarys(world):
    return run(world.cursor(autocommit=False, transactions="primary"), READ)


@situation(Cause.IN_TRANSACTION, "SET TRANSACTION")
def a_read_behind_set_transaction(world):
    return run(world.cursor(), "SET TRANSACTION ISOLATION LEVEL READ COMMITTED", READ)


@situation(Cause.BOUND, "temporary table")
def a_read_of_a_temporary_table(world):
    return run(world.cursor(), "CREATE TEMPORARY TABLE mine (id INT)", "SELECT * FROM mine")


@situation(Cause.BOUND)
def a_read_while_a_user_lock_is_held(world):
    return run(world.cursor(), "SELECT GET_LOCK('b', 0)", READ)


@situation(Cause.BOUND)
def a_read_while_tables_are_locked(world):
    return run(world.cursor(), "LOCK TABLES t READ", READ)


@situation(Cause.UNVERIFIABLE, "volatile")
def a_volatile_read_of_a_transaction(world):
    return run(world.cursor(autocommit=False), "SELECT COUNT(*), RAND() FROM t")


@situation(Cause.SNAPSHOT, "idle")
def a_read_whose_snapshot_has_ended(world):
    cursor = world.cursor(autocommit=False, max_snapshot=0.05)
    run(cursor, READ)
    time.sleep(0.5)
    return run(cursor, READ)


@situation(Cause.HABIT, "wrote")
def a_read_of_a_transaction_that_usually_writes(world):
    connection = world.alone(autocommit=False).connection
    cursor = connection.cursor()
    for number in range(8):
        run(cursor, "SELECT COUNT(*), 'habit' FROM t", f"REPLACE INTO t VALUES ({number}, 1)")
        connection.commit()
        world.cluster.wait_caught_up()
    return run(cursor, "SELECT COUNT(*), 'habit' FROM t")


# Of the settings.


@situation(Cause.DRIVER, "does not tell")
def a_read_of_a_driver_that_tells_nothing(world):
    import MySQLdb

    world.monkeypatch.setattr("rwsplit._drivers.foreign.mysqlclient.native_of", lambda *_: None)
    options = {**world.cluster.connect_options}
    wrapped = rwsplit.wrap(MySQLdb, replicas=options.pop("replicas"))
    with closing(wrapped.connect(**options, autocommit=True)) as connection:
        return run(connection.cursor(), READ)


@situation(Cause.SWITCHED_OFF, "reads='primary'")
def a_read_with_reads_primary(world):
    return run(world.cursor(reads="primary"), READ)


@situation(Cause.SWITCHED_OFF, "reads='primary'")
def a_read_of_a_transaction_with_reads_primary(world):
    return run(world.cursor(reads="primary", autocommit=False), READ)


@situation(Cause.SWITCHED_OFF, "RWSPLIT_READS")
def a_read_with_rwsplit_reads(world):
    world.monkeypatch.setenv("RWSPLIT_READS", "primary")
    return run(world.cursor(), READ)


@situation(Cause.SWITCHED_OFF, "RWSPLIT_READS")
def a_read_with_rwsplit_reads_and_a_policy(world):
    world.monkeypatch.setenv("RWSPLIT_READS", "primary")
    return run(world.cursor(), "SET @@read_write_splitting_policy = 'random'", READ)


@situation(Cause.SWITCHED_OFF, "'disable'")
def a_read_with_the_policy_disable(world):
    return run(world.cursor(), "SET @@read_write_splitting_policy = 'disable'", READ)


@situation(Cause.NO_REPLICAS)
def a_read_of_a_cluster_without_replicas(world):
    return run(world.cursor(replicas=[]), READ)


@situation(Cause.NO_REPLICAS)
def a_read_of_a_plain_connection(world):
    return run(world.cursor(replicas=None), READ)


@situation(Cause.NO_REPLICAS)
def a_read_of_a_cluster_that_finds_none(world):
    return run(world.cursor(replicas=list), READ)


@situation(Cause.HINT, "hint")
def a_read_that_a_hint_sends_to_the_primary(world):
    return run(world.cursor(), f"{READ} /* rwsplit: primary */")


@situation(Cause.HINT, "nobody")
def a_read_that_a_hint_sends_to_nobody(world):
    return run(world.cursor(), f"{READ} /* rwsplit: replica=nobody */")


@situation(Cause.SHARE)
def a_read_of_the_primarys_share(world):
    return run(world.cursor(primary_share=1.0), READ)


@situation(Cause.SHARE)
def a_read_of_the_primarys_share_by_ratio(world):
    return run(world.cursor(), "SET @@read_write_splitting_ratio = 0", READ)


# Of the servers.


def stalled(world, **options):
    cursor = world.alone(**options)
    run(cursor, READ)
    for server in world.cluster.replicas:
        world.cluster.stop_applier(server)
    return run(cursor, "REPLACE INTO t VALUES (7, 7)", READ)


@situation(Cause.NOT_CAUGHT_UP)
def a_read_behind_a_write_that_no_replica_has(world):
    return stalled(world)


@situation(Cause.NOT_CAUGHT_UP)
def a_read_behind_a_write_that_does_not_wait(world):
    return stalled(world, on_lag="primary")


@situation(Cause.NOT_CAUGHT_UP)
def a_global_read_that_no_replica_can_serve(world):
    return stalled(world, consistency="global")


NOBODY = ["127.0.0.1:1", "127.0.0.1:2"]


@situation(Cause.UNREACHABLE, "resting")
def a_read_while_no_replica_can_be_reached(world):
    return run(world.cursor(replicas=NOBODY), READ)


@situation(Cause.UNREACHABLE, "resting")
def the_second_read_while_no_replica_can_be_reached(world):
    return run(world.cursor(replicas=NOBODY), READ, READ)


@situation(Cause.UNREACHABLE, "resting")
def a_global_read_while_no_replica_can_be_reached(world):
    return run(world.cursor(replicas=NOBODY, consistency="global"), READ, READ)


@situation(Cause.UNREACHABLE, "resting")
def an_eventual_read_while_no_replica_can_be_reached(world):
    return run(world.cursor(replicas=NOBODY, consistency="eventual"), READ, READ)


@situation(Cause.UNREACHABLE, "resting")
def a_read_behind_a_write_while_no_replica_can_be_reached(world):
    return run(world.cursor(replicas=NOBODY), "REPLACE INTO t VALUES (1, 1)", READ, READ)


@situation(Cause.UNREACHABLE, "resting")
def a_read_of_a_transaction_while_no_replica_can_be_reached(world):
    return run(world.cursor(replicas=NOBODY, autocommit=False), READ)


@situation(Cause.UNFIT, "stalled")
def a_read_while_all_replicas_are_stalled(world):
    cursor = world.alone(consistency="eventual")
    run(cursor, READ)
    cluster = cursor.connection.cluster
    for server in cluster.replicas:
        server.stalled = True
    cluster.refresh()
    return run(cursor, READ)


@situation(Cause.NO_GTIDS)
def a_read_of_a_primary_without_gtids(world):
    cursor = world.alone()
    connection = cursor.connection
    connection.cluster.topology.has_gtids = False
    connection._session.look_at_terms()
    return run(cursor, READ)


@situation(Cause.PRIMARY_AWAY)
def a_read_that_only_an_absent_primary_could_place(world):
    cursor = world.alone(consistency="global")
    run(cursor, READ)
    holding = cursor.connection._begun.journey.holding

    def having():
        yield from ()
        return False

    holding.having = having
    route = run(cursor, READ)
    del holding.having
    return route


@situation(Cause.REPLICA_ERROR, "1146")
def a_read_of_a_table_that_only_the_primary_has(world):
    world.admin(
        "SET sql_log_bin = 0",
        "CREATE TABLE IF NOT EXISTS only_here (id INT)",
        "SET sql_log_bin = 1",
    )
    return run(world.cursor(), "SELECT * FROM only_here")


@situation(Cause.TOO_LARGE, "max_allowed_packet")
def a_read_that_is_too_large_for_the_replicas(world):
    try:
        for server in world.cluster.replicas:
            with closing(world.cluster.admin(server)) as admin:
                admin.cursor().execute("SET GLOBAL max_allowed_packet = 1048576")
        return run(world.alone(), f"SELECT '{'x' * (2 << 20)}' FROM t")
    finally:
        for server in world.cluster.replicas:
            with closing(world.cluster.admin(server)) as admin:
                admin.cursor().execute("SET GLOBAL max_allowed_packet = 67108864")


@situation(Cause.REFUSED, "refused")
def a_read_that_a_replica_refuses_as_a_write(world):
    return run(world.cursor(functions={"writes": "read"}), "SELECT writes()")


class Store:
    """A session store that says what it is told to."""

    def __init__(self, found):
        self.found = found

    def get(self, session_id):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def begin(self, position):
        pass

    def open(self, session_id):
        return "mark"

    def publish(self, session_id, mark, position):
        pass


@situation(Cause.STORE, "elsewhere")
def a_read_while_another_of_the_session_writes(world):
    store = Store(rwsplit.Stored(None, is_open=True))
    return run(world.cursor(session_id="a", session_store=store), READ)


@situation(Cause.STORE, "away")
def a_read_while_the_store_is_away(world):
    store = Store(rwsplit.StoreError("the store is away"))
    return run(world.cursor(session_id="a", session_store=store), READ)


@pytest.fixture
def routines(cluster, table):
    """A function that is known only to read, and one that writes."""
    with closing(cluster.admin(cluster.primary, database="shop")) as admin:
        cursor = admin.cursor()
        for name in ("kept", "writes"):
            cursor.execute(f"DROP FUNCTION IF EXISTS {name}")
        cursor.execute("CREATE FUNCTION kept(n INT) RETURNS INT DETERMINISTIC RETURN n")
        cursor.execute(
            "CREATE FUNCTION writes() RETURNS INT MODIFIES SQL DATA "
            "BEGIN REPLACE INTO t VALUES (99, 99); RETURN 1; END"
        )
    cluster.wait_caught_up()
    yield
    with closing(cluster.admin(cluster.primary, database="shop")) as admin:
        for name in ("kept", "writes"):
            admin.cursor().execute(f"DROP FUNCTION {name}")


@pytest.mark.usefixtures("table", "routines")
@pytest.mark.parametrize("name", SITUATIONS)
def test_the_cause_is_the_true_one(cluster, connect, monkeypatch, name):
    cause, words, force = SITUATIONS[name]
    route = force(World(cluster, connect, monkeypatch))
    assert route.cause is cause, route
    assert any(word in route.reason for word in words.split("|")), route
    assert (cause in (Cause.READ, Cause.FOLLOWS)) >= (route.role == "replica"), route
    assert route.role != "primary" or cause is not Cause.READ, route


def test_no_cause_is_left_out():
    assert {cause for cause, _, _ in SITUATIONS.values()} == {*Cause}
    assert len(Cause) <= 30


def test_the_causes_of_reads_on_the_primary_are_counted(connect, table):
    cursor = connect(reads="primary").cursor()
    counts = cursor.connection.cluster.counts
    before = counts[Cause.SWITCHED_OFF]
    run(cursor, READ, READ, "REPLACE INTO t VALUES (1, 1)")
    assert counts[Cause.SWITCHED_OFF] == before + 2


# An application's address is spelt otherwise than the file's.

FILE = """
[clusters.shop]
primary = "{primary}"
replicas = [{replicas}]
"""
SPELT = [
    ("127.0.0.1:3306", "localhost", None),
    ("127.0.0.1:3306", None, None),
    ("localhost", "127.0.0.1", 3306),
    ("localhost:3306", "::1", 0),
    ("[::1]:3306", "localhost", None),
    ("[fe80::1]", "FE80:0:0:0:0:0:0:1", None),
    ("db-primary", "DB-Primary.", None),
    ("db-primary.", "db-primary", 3306),
]
OTHERWISE = [
    ("db-primary", "db-primary.example.com", None, True),
    ("db-primary", "10.0.0.5", None, True),
    ("127.0.0.1", "127.0.0.2", None, True),
    ("db-primary", "db-primary", 3307, False),
    ("db-primary", "db2", 3306, False),
    ("db-primary:3307", "other", None, False),
]


@pytest.mark.parametrize(("primary", "host", "port"), SPELT)
def test_an_address_that_is_spelt_otherwise_is_found(primary, host, port):
    config = parse_config(FILE.format(primary=primary, replicas=""), "f", {}, str)
    assert config.by_address(host, port) is config.clusters["shop"]
    assert config.misses(host, port) == ""


@pytest.mark.parametrize(("primary", "host", "port", "warns"), OTHERWISE)
def test_an_address_that_may_be_a_primarys_is_told(primary, host, port, warns):
    config = parse_config(FILE.format(primary=primary, replicas='"db2"'), "f", {}, str)
    assert config.by_address(host, port) is None
    said = config.misses(host, port)
    assert bool(said) == warns
    if warns:
        assert host in said
        assert primary in said


def test_a_socket_may_be_this_hosts():
    config = parse_config(FILE.format(primary="localhost", replicas=""), "f", {}, str)
    assert "localhost:3306" in config.misses(None, None, "/run/mysqld/mysqld.sock")
    text = '[clusters.shop]\nprimary = { unix_socket = "/run/mysqld/mysqld.sock" }'
    config = parse_config(text, "f", {}, str)
    assert config.by_address(None, None, "/run/mysqld/../mysqld//mysqld.sock")
    assert "/run/mysqld" in config.misses("localhost")
    assert config.misses("db1") == ""


@pytest.mark.usefixtures("table")
def test_a_program_that_spells_it_otherwise_is_split_or_told(
    cluster, monkeypatch, tmp_path, caplog
):
    replicas = ", ".join(f'"{server.host}:{server.port}"' for server in cluster.replicas)
    primary = cluster.primary
    where = {k: v for k, v in cluster.connect_options.items() if k not in ("host", "replicas")}
    seen = []
    for name, spelt in (("split", "localhost"), ("told", "127.0.0.2")):
        file = tmp_path / f"{name}.toml"
        file.write_text(FILE.format(primary=f"{spelt}:{primary.port}", replicas=replicas))
        monkeypatch.setenv("RWSPLIT_CONFIG", str(file))
        _warn_once.cache_clear()
        caplog.clear()
        for _ in range(2):
            with closing(rwsplit.connect(host="127.0.0.1", autocommit=True, **where)) as connection:
                seen.append(run(connection.cursor(), READ).cause)
        told = [each for each in caplog.records if each.levelno == logging.WARNING]
        if name == "told":
            assert len([each for each in told if "127.0.0.2" in each.getMessage()]) == 1
            assert f"127.0.0.1:{primary.port}" in caplog.text
        else:
            assert not told
    assert seen == [Cause.READ] * 2 + [Cause.NO_REPLICAS] * 2


def test_plain_pymysql_has_no_route():
    """What is beside the answer is all that differs."""
    assert not hasattr(pymysql.cursors.Cursor, "route")
