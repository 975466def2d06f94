"""Where statements go, on real servers: the answers tell which server gave them."""

import pytest

import rwsplit
import rwsplit as pymysql


def server_ids(cluster):
    return {server.server_id for server in cluster.replicas}


def ask(cursor, sql, args=None):
    cursor.execute(sql, args)
    return cursor.fetchone()[0]


def test_reads_run_on_the_replicas_and_writes_on_the_primary(cluster, connect, table):
    cursor = connect().cursor()
    seen = set()
    for number in range(10):
        cursor.execute("INSERT INTO t VALUES (%s, @@server_id)", (number,))
        assert cursor.route.role == "primary"
        cluster.wait_caught_up()
        seen.add(ask(cursor, "SELECT @@server_id"))
        assert cursor.route.role == "replica"
        assert ask(cursor, "SELECT v FROM t WHERE id = %s", (number,)) == cluster.primary.server_id
    assert seen == server_ids(cluster)


def test_a_pymysql_program_runs_unchanged(cluster, connect, table):
    """The program of PyMySQL's README, with its import replaced."""
    connection = connect(charset="utf8mb4", cursorclass=pymysql.cursors.DictCursor)
    with connection:
        with connection.cursor() as cursor:
            sql = "INSERT INTO `t` (`id`, `v`) VALUES (%s, %s)"
            cursor.execute(sql, (1, 17))
        connection.commit()
        with connection.cursor() as cursor:
            cursor.execute("SELECT `id`, `v` FROM `t` WHERE `id`=%s", (1,))
            assert cursor.fetchone() == {"id": 1, "v": 17}
    assert not connection.open


def test_a_transaction_runs_on_the_primary(cluster, connect, table):
    connection = connect()
    cursor = connection.cursor()
    connection.begin()
    assert ask(cursor, "SELECT @@server_id") == cluster.primary.server_id
    cursor.execute("INSERT INTO t VALUES (1, 1)")
    assert ask(cursor, "SELECT COUNT(*) FROM t") == 1
    connection.commit()
    assert ask(cursor, "SELECT COUNT(*) FROM t") == 1
    cursor.execute("START TRANSACTION")
    assert ask(cursor, "SELECT @@server_id") == cluster.primary.server_id
    cursor.execute("ROLLBACK")
    ask(cursor, "SELECT COUNT(*) FROM t")
    assert cursor.route.role == "replica"


def test_the_route_tells_who_answered_and_why(cluster, connect, table):
    connection = connect()
    cursor = connection.cursor()
    assert cursor.route is None
    cursor.execute("SELECT 1")
    replica = {f"127.0.0.1:{server.port}" for server in cluster.replicas}
    assert cursor.route.endpoint in replica
    assert cursor.route.role == "replica"
    assert cursor.route is connection.route
    cursor.execute("SELECT v FROM t WHERE id = 1 FOR UPDATE")
    assert cursor.route.endpoint == f"127.0.0.1:{cluster.primary.port}"
    assert "FOR UPDATE" in cursor.route.reason
    other = connection.cursor()
    other.execute("SELECT 2")
    assert cursor.route.role == "primary", "a cursor keeps the route of its own statement"


def test_users_cursor_classes_work(cluster, connect):
    class Shouting(pymysql.cursors.DictCursor):
        def fetchone(self):
            return {key.upper(): value for key, value in super().fetchone().items()}

    cursor = connect().cursor(Shouting)
    cursor.execute("SELECT 1 AS one")
    assert cursor.fetchone() == {"ONE": 1}
    assert isinstance(cursor, Shouting)
    assert type(cursor).__name__ == "Shouting"
    assert cursor.route.role == "replica"
    assert type(connect().cursor(Shouting)) is type(cursor), "the subclass is made once"


def test_unbuffered_cursors_stream_from_a_replica(cluster, connect, table):
    connection = connect()
    writer = connection.cursor()
    writer.executemany("INSERT INTO t VALUES (%s, %s)", [(i, i) for i in range(2000)])
    stream = connection.cursor(pymysql.cursors.SSCursor)
    cluster.wait_caught_up()
    stream.execute("SELECT id FROM t ORDER BY id")
    assert stream.route.role == "replica"
    assert stream.fetchone() == (0,)
    writer.execute("UPDATE t SET v = 0 WHERE id = 1")
    assert [row[0] for row in stream.fetchall()] == list(range(1, 2000))


def test_schema_and_settings_reach_every_member(cluster, connect, table):
    connection = connect()
    cursor = connection.cursor()
    other = cluster.create_database("elsewhere")
    try:
        cluster.wait_caught_up()
        for statement, question, answer in [
            ("SET time_zone = '+03:00'", "SELECT @@time_zone", "+03:00"),
            ("SET SESSION group_concat_max_len = 2000", "SELECT @@group_concat_max_len", 2000),
            ("SET @@lc_time_names = 'de_DE'", "SELECT @@session.lc_time_names", "de_DE"),
            ("SET @@session.div_precision_increment = 7", "SELECT @@div_precision_increment", 7),
            (f"USE {other}", "SELECT DATABASE()", other),
        ]:
            cursor.execute(statement)
            assert cursor.route.role == "primary"
            seen = set()
            for _ in range(4):
                assert ask(cursor, question) == answer, statement
                assert cursor.route.role == "replica"
                seen.add(cursor.route.endpoint)
            assert len(seen) == 2
        connection.select_db(cluster.connect_options["database"])
        for _ in range(4):
            assert ask(cursor, "SELECT DATABASE()") == cluster.connect_options["database"]
            assert cursor.route.role == "replica"
        connection.set_character_set("latin1")
        for _ in range(4):
            assert ask(cursor, "SELECT @@character_set_client") == "latin1"
            assert ask(cursor, "SELECT 'é'") == "é"
            assert ask(cursor, "SELECT HEX('é')") == "E9"
            assert cursor.route.role == "replica"
    finally:
        cluster.drop_database(other)


def test_an_error_in_a_set_changes_nothing(cluster, connect):
    cursor = connect().cursor()
    before = ask(cursor, "SELECT @@time_zone")
    for statement in ("SET time_zone = 'nowhere'", "USE no_such_schema"):
        try:
            cursor.execute(statement)
        except rwsplit.MySQLError as error:
            assert error.args[0] in (1298, 1044, 1049)
        else:
            raise AssertionError(statement)
    for _ in range(3):
        assert ask(cursor, "SELECT @@time_zone") == before
        assert ask(cursor, "SELECT DATABASE()") == cluster.connect_options["database"]
        assert cursor.route.role == "replica"


def test_what_only_the_primary_has_is_read_there(cluster, connect, table):
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE mine AS SELECT 5 AS five")
    assert ask(cursor, "SELECT five FROM mine") == 5
    assert cursor.route.role == "primary"
    cursor.execute("SET @n = 3")
    assert ask(cursor, "SELECT @n") == 3
    cursor.execute("INSERT INTO t VALUES (1, LAST_INSERT_ID(44))")
    assert ask(cursor, "SELECT LAST_INSERT_ID()") == 44
    assert ask(cursor, "SELECT CONNECTION_ID()") == connection.thread_id()


def test_questions_about_the_last_statement_follow_it(cluster, connect, table):
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("INSERT INTO t VALUES (1,1),(2,2),(3,3)")
    assert ask(cursor, "SELECT ROW_COUNT()") == 3
    cluster.wait_caught_up()
    cursor.execute("SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1")
    assert cursor.route.role == "replica"
    assert ask(cursor, "SELECT FOUND_ROWS()") == 3
    cursor.execute("SELECT CAST('12x' AS SIGNED)")
    assert cursor.route.role == "replica"
    assert connection.show_warnings()[0][1] == 1292
    cursor.execute("SHOW WARNINGS")
    assert cursor.fetchone()[1] == 1292


def test_repr_shows_the_state_and_no_password(cluster, connect):
    connection = connect()
    connection.cursor().execute("SELECT 1")
    shown = repr(connection) + repr(connection.cluster) + repr(connection.cluster.replicas)
    assert str(cluster.primary.port) in shown
    assert "usable" in shown
    assert cluster.connect_options["password"] not in shown
    connection.close()
    assert "closed" in repr(connection)


def test_reads_can_be_switched_to_the_primary(cluster, connect, monkeypatch):
    cursor = connect(reads="primary").cursor()
    assert ask(cursor, "SELECT @@server_id") == cluster.primary.server_id
    monkeypatch.setenv("RWSPLIT_READS", "primary")
    cursor = connect().cursor()
    assert ask(cursor, "SELECT @@server_id") == cluster.primary.server_id


def test_weights_are_kept(cluster, connect):
    first, second = cluster.replicas
    replicas = [
        {"host": first.host, "port": first.port, "weight": 3, "name": "big"},
        {"host": second.host, "port": second.port, "name": "small"},
    ]
    cursor = connect(replicas=replicas).cursor()
    counts = {"big": 0, "small": 0}
    for _ in range(400):
        cursor.execute("SELECT 1")
        counts[cursor.route.endpoint] += 1
    assert 290 <= counts["big"] <= 310


def test_a_hint_chooses_the_member(cluster, connect):
    first, second = cluster.replicas
    replicas = [
        {"host": first.host, "port": first.port, "name": "a"},
        {"host": second.host, "port": second.port, "name": "b"},
    ]
    cursor = connect(replicas=replicas).cursor()
    for _ in range(3):
        assert ask(cursor, "/* rwsplit: replica=b */ SELECT @@server_id") == second.server_id
        sql = "SELECT @@server_id /* rwsplit: primary */"
        assert ask(cursor, sql) == cluster.primary.server_id


def test_no_replicas_is_plain_pymysql(cluster, connect):
    for replicas in ([], None):
        cursor = connect(replicas=replicas).cursor()
        assert ask(cursor, "SELECT @@server_id") == cluster.primary.server_id


@pytest.fixture
def functions(cluster, connect, table):
    """Stored functions that do, and do not do, what they declare."""
    bodies = {
        "does_counts": "READS SQL DATA BEGIN DECLARE n INT; "
        "SELECT COUNT(*) INTO n FROM t; RETURN n; END",
        "does_writes": "MODIFIES SQL DATA BEGIN INSERT INTO t VALUES (99, 99); RETURN 1; END",
        "does_locks": "NO SQL RETURN GET_LOCK('rwsplit', 0)",
        "does_sets": "NO SQL BEGIN SET @hidden = 1; RETURN 1; END",
        "does_silent": "RETURN 1",
        "does_nested": "READS SQL DATA RETURN does_locks()",
    }
    cursor = connect().cursor()
    for name, body in bodies.items():
        cursor.execute(f"DROP FUNCTION IF EXISTS {name}")
        cursor.execute(f"CREATE FUNCTION {name}() RETURNS INT {body}")
    cluster.wait_caught_up()


def test_a_stored_function_is_a_read_if_declaration_and_body_say_so(cluster, connect, functions):
    cursor = connect().cursor()
    for name in ("does_writes", "does_locks", "does_sets", "does_silent", "does_nested"):
        cursor.execute(f"SELECT {name}()")
        assert cursor.route.role == "primary", name
        assert "()" in cursor.route.reason
    cluster.wait_caught_up()
    cursor = connect().cursor()
    cursor.execute("SELECT does_counts()")
    assert cursor.route.role == "replica"
    assert cursor.fetchone() == (1,)


def test_a_function_is_looked_up_again_after_its_ddl(cluster, connect, functions):
    cursor = connect().cursor()
    cursor.execute("SELECT does_counts()")
    assert cursor.route.role == "replica"
    cursor.execute("DROP FUNCTION does_counts")
    cursor.execute(
        "CREATE FUNCTION does_counts() RETURNS INT MODIFIES SQL DATA "
        "BEGIN INSERT INTO t VALUES (5, 5); RETURN 1; END"
    )
    cursor.execute("SELECT does_counts()")
    assert cursor.route.role == "primary"


def test_functions_can_be_declared_by_the_application(cluster, connect, functions):
    cursor = connect(functions={"does_silent": "read", "does_counts": "write"}).cursor()
    cursor.execute("SELECT does_silent()")
    assert cursor.route.role == "replica"
    cursor.execute("SELECT does_counts()")
    assert cursor.route.role == "primary"


def test_a_malformed_hint_is_a_warning_and_no_hint(connect, caplog):
    cursor = connect().cursor()
    for _ in range(3):
        cursor.execute("SELECT /* rwsplit: primry */ 1")
        assert cursor.route.role == "replica"
    (record,) = [r for r in caplog.records if "primry" in r.getMessage()]
    assert record.levelname == "WARNING"
    cursor.execute("SELECT 'rwsplit: primry'")
    assert cursor.route.role == "replica"


def test_hints_of_other_proxies_count_where_they_are_mapped(cluster, connect):
    name = cluster.connect_options["replicas"][1]
    mapped = connect(
        hints={"hostgroup=7": f"replica={name}", "MaxScale route  to master": "primary"}
    )
    cursor = mapped.cursor()
    for _ in range(4):
        cursor.execute("SELECT /* hostgroup=7 */ 1")
        assert cursor.route.endpoint == name
        cursor.execute("SELECT 1 -- maxscale route to master")
        assert cursor.route.role == "primary"
        cursor.execute("SELECT 1 /* hostgroup=8 */")
        assert cursor.route.role == "replica"
        cursor.execute("DO /* hostgroup=7 */ SLEEP(0)")
        assert cursor.route.role == "primary"
    cursor = connect().cursor()
    cursor.execute("SELECT 1 -- maxscale route to master")
    assert cursor.route.role == "replica", "nothing maps it"


@pytest.mark.parametrize(
    ("hints", "what"),
    [
        ({"route to slave": "replica"}, "maxscale"),
        ({"hostgroup=1": "replic"}, "replic"),
        (7, "dict"),
    ],
)
def test_a_bad_mapping_of_hints_is_named(hints, what):
    with pytest.raises(ValueError, match=f"^hints.*{what}"):
        rwsplit.connect(hints=hints, replicas=[])


def test_what_is_not_understood_is_counted(connect):
    connection = connect()
    before = connection.cluster.counts["unknown statements"]
    for _ in range(2):
        with pytest.raises(rwsplit.ProgrammingError):
            connection.cursor().execute("FROBNICATE 5")
    assert connection.cluster.counts["unknown statements"] == before + 2


def test_a_write_that_was_taken_for_a_read_is_caught(cluster, connect, functions, caplog):
    """Declared reading, it writes: the replica refuses it, and the primary runs it, once."""
    cursor = connect(functions={"does_writes": "read"}).cursor()
    cursor.execute("SELECT does_writes() AS lie")
    assert cursor.route.role == "primary"
    assert "refused" in cursor.route.reason
    assert cursor.fetchone() == (1,)
    assert [r.levelname for r in caplog.records if "please report" in r.getMessage()] == ["ERROR"]
    cursor.execute("SELECT COUNT(*) FROM t")
    assert cursor.fetchone() == (1,)
    cursor.execute("DELETE FROM t")
    caplog.clear()
    cursor.execute("SELECT does_writes() AS lie")
    assert cursor.route.role == "primary"
    assert not caplog.records, "it is a write from now on"
