"""A connection to the primary that ended while it was idle is made again as the same session.

What the session had set is there, and nothing else; what can't be had on another connection raises
the loss, where a statement needs it. What was refused before is refused, nothing is written twice,
and no savepoint is gone in silence. The judge is plain PyMySQL whose connection does not end.
"""

import pytest

from .oracle import answer, kill_primary, prepare

TABLES = (
    "DROP TABLE IF EXISTS ra, rb, rc",
    "CREATE TABLE ra (id INT PRIMARY KEY AUTO_INCREMENT, v INT)",
    "CREATE TABLE rb (id INT PRIMARY KEY, v INT)",
    "INSERT INTO rb VALUES (1, 10), (2, 20)",
    "CREATE TABLE rc (id INT PRIMARY KEY, v INT)",
    "DROP PROCEDURE IF EXISTS rp",
    "CREATE PROCEDURE rp() SAVEPOINT a",
    "CREATE DATABASE IF NOT EXISTS rshop",
    "DROP TABLE IF EXISTS rshop.rb",
    "CREATE TABLE rshop.rb (id INT PRIMARY KEY, v INT)",
    "INSERT INTO rshop.rb VALUES (1, 1000)",
)
LOST = ("error", 2006)
BOUND = ("error", 0)


@pytest.fixture(autouse=True)
def tables(cluster):
    with cluster.admin(cluster.primary, autocommit=True, database="shop") as admin:
        for sql in TABLES:
            admin.cursor().execute(sql)
        admin.cursor().execute("GRANT ALL ON rshop.* TO app")
    cluster.wait_caught_up()


def connected(cluster, connect, options):
    """A plain connection to the primary, and one of ours that begins alike."""
    options = {"autocommit": True, **options}
    own = ("session_variables", "transactions")
    plain = {name: options[name] for name in options if name not in own}
    return cluster.connect(cluster.primary, **plain), connect(**options)


def check(cluster, connect, before, behind, **options):
    """Run one program on both; the connection of ours is lost behind its first part."""
    prepare(cluster, TABLES[:5])
    plain, ours = connected(cluster, connect, options)
    with plain:
        for name, value in options.get("session_variables", {}).items():
            plain.cursor().execute(f"SET SESSION {name} = {value}")
        expected = [answer(plain, step) for step in (*before, *behind)]
        plain.rollback()
    prepare(cluster, TABLES[:5])
    found = [answer(ours, step) for step in before]
    kill_primary(cluster, ours)
    found += [answer(ours, step) for step in behind]
    assert found == expected, ours.route


# What it has set.


def read_only(flavor):
    return "tx_read_only" if flavor == "mariadb" else "transaction_read_only"


UPDATE = "UPDATE rb SET v = v + 1 WHERE id = 1"
LOOK = "SELECT v FROM rb WHERE id = 1 /* rwsplit: primary */"


@pytest.mark.parametrize(
    "how", ["SET SESSION TRANSACTION READ ONLY", "SET SESSION {} = 1", "SET @@SESSION.{} = ON"]
)
def test_a_session_that_may_not_write_does_not(cluster, connect, how):
    program = [how.format(read_only(cluster.flavor))]
    check(cluster, connect, program, [UPDATE, LOOK, "BEGIN", UPDATE, "ROLLBACK"])
    check(cluster, connect, [*program, UPDATE, LOOK], [UPDATE, LOOK])
    check(cluster, connect, [*program, "SET SESSION TRANSACTION READ WRITE"], [UPDATE, LOOK])


def test_a_commit_goes_on_chaining(cluster, connect):
    program = [
        *("BEGIN", "INSERT INTO rc VALUES (1, 1)", "COMMIT"),
        *("INSERT INTO rc VALUES (2, 2)", "ROLLBACK AND NO CHAIN"),
        "SELECT id FROM rc /* rwsplit: primary */",
    ]
    check(cluster, connect, ["SET completion_type = 1"], program)
    check(cluster, connect, ["SET completion_type = 1", "SET completion_type = 0"], program)


def test_what_it_began_with_is_not_back(cluster, connect):
    given = {read_only(cluster.flavor): "1"}
    program = ["SET SESSION TRANSACTION READ WRITE"]
    check(cluster, connect, program, [UPDATE, LOOK], session_variables=given)
    check(cluster, connect, [], [UPDATE, LOOK], session_variables=given)
    sql = "SET SESSION TRANSACTION READ ONLY"
    check(cluster, connect, program, [UPDATE, LOOK], init_command=sql)
    check(cluster, connect, [], [UPDATE, LOOK], init_command=sql)
    chained = {"completion_type": "1"}
    look = ["SELECT @@completion_type"]
    check(cluster, connect, ["SET completion_type = 0"], look, session_variables=chained)


VARIABLES = {
    "collation_database": ("mysql mariadb", "'latin1_swedish_ci'"),
    "transaction_alloc_block_size": ("mysql mariadb", "16384"),
    "transaction_prealloc_size": ("mysql mariadb", "16384"),
}
PRIVILEGED = {
    "character_set_database": ("mysql mariadb", "latin1"),
    "binlog_row_image": ("mysql mariadb", "MINIMAL"),
    "sql_log_off": ("mysql mariadb", "1"),
    "binlog_row_value_options": ("mysql", "PARTIAL_JSON"),
    "binlog_format": ("mariadb", "STATEMENT"),
    "binlog_annotate_row_events": ("mariadb", "0"),
    "server_id": ("mariadb", "77"),
}


@pytest.fixture
def mighty(cluster):
    """An account that may set what takes a privilege."""
    with cluster.admin(cluster.primary, autocommit=True) as admin:
        admin.cursor().execute("CREATE USER mighty@'%' IDENTIFIED BY 'mighty'")
        admin.cursor().execute("GRANT ALL ON *.* TO mighty@'%'")
        cluster.wait_caught_up()
        yield {"user": "mighty", "password": "mighty"}
        admin.cursor().execute("DROP USER mighty@'%'")


@pytest.mark.parametrize("name", [*VARIABLES, *PRIVILEGED])
def test_a_variable_of_the_primary_alone_is_as_it_was(cluster, connect, mighty, name):
    flavors, value = {**VARIABLES, **PRIVILEGED}[name]
    if cluster.flavor not in flavors.split():
        pytest.skip("there is none, or none of the session")
    account = mighty if name in PRIVILEGED else {}
    before = [f"SET SESSION {name} = {value}"]
    look = [f"SELECT @@SESSION.{name} /* rwsplit: primary */"]
    _, ours = connected(cluster, connect, account)
    assert answer(ours, before[0])[0] != "error"
    before.append("DO 1")  # what has warned is read back behind the next one
    check(cluster, connect, before, look, **account)
    check(cluster, connect, [*before, "SELECT 1"], ["DO 1", *look], **account)
    both = ["SELECT @@collation_database, @@character_set_database"]
    if name.endswith("_database"):
        check(cluster, connect, [*before, "USE rshop"], [*look, *both], **account)
        check(cluster, connect, [*before, "USE shop"], [*look, *both], **account)
        check(cluster, connect, before, both, **account)


# What an earlier statement left.

INSERT = "INSERT INTO ra (v) VALUES (5)"
ASKING = (
    "SELECT LAST_INSERT_ID()",
    "SELECT @@identity",
    "SELECT @@last_insert_id",
    "SET @i = LAST_INSERT_ID()",
    "SELECT * FROM ra WHERE id = LAST_INSERT_ID()",
    "INSERT INTO rc VALUES (100 + LAST_INSERT_ID(), 1)",
)


@pytest.mark.parametrize("asks", ASKING)
@pytest.mark.parametrize(
    "sets", [[INSERT], ["DO LAST_INSERT_ID(44)"], ["SET last_insert_id = 33"], ["SET identity = 3"]]
)
def test_who_asks_for_an_id_that_is_gone_is_told(cluster, connect, sets, asks):
    for between in ([], [UPDATE], ["BEGIN"], ["BEGIN", UPDATE], ["SELECT 1"]):
        _, ours = connected(cluster, connect, {})
        for step in sets:
            assert answer(ours, step)[0] != "error"
        kill_primary(cluster, ours)
        for step in between:
            assert answer(ours, step)[0] != "error", step
        assert answer(ours, asks) == LOST
        ours.rollback()
        assert answer(ours, UPDATE)[0] == 1
    with ours.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM rc")
        assert cursor.fetchone() == (0,)


@pytest.mark.parametrize("autocommit", [True, False])
def test_an_id_behind_the_loss_is_the_right_one(cluster, connect, autocommit):
    program = [INSERT, *ASKING, "SELECT LAST_INSERT_ID(), ROW_COUNT()", "COMMIT"]
    before = [INSERT, "COMMIT"]
    check(cluster, connect, before, program, autocommit=autocommit)
    upsert = "INSERT INTO ra VALUES (1, 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)"
    check(cluster, connect, before, [upsert, *ASKING, "COMMIT"], autocommit=autocommit)
    check(cluster, connect, [], ["SELECT LAST_INSERT_ID()"], autocommit=autocommit)
    check(cluster, connect, before, [UPDATE, LOOK, "COMMIT"], autocommit=autocommit)


def test_who_was_told_of_the_loss_goes_on(cluster, connect):
    _, ours = connected(cluster, connect, {})
    answer(ours, INSERT)
    kill_primary(cluster, ours)
    assert answer(ours, ASKING[0]) == LOST
    assert answer(ours, ASKING[0])[2] == ((0,),)


def test_a_prepared_statement_asks_too(cluster, connect):
    _, ours = connected(cluster, connect, {})
    answer(ours, INSERT)
    kill_primary(cluster, ours)
    answer(ours, f"PREPARE s FROM '{ASKING[0]}'")
    assert answer(ours, "EXECUTE s") == LOST


@pytest.mark.parametrize("asks", ["SELECT LASTVAL(rq)", "SELECT PREVIOUS VALUE FOR rq"])
def test_who_asks_for_a_sequences_last_value_that_is_gone_is_told(cluster, connect, asks):
    if cluster.flavor == "mysql":
        pytest.skip("it has no sequences")
    prepare(cluster, ["DROP SEQUENCE IF EXISTS rq", "CREATE SEQUENCE rq"])
    _, ours = connected(cluster, connect, {})
    assert answer(ours, "SELECT NEXTVAL(rq)")[2] == ((1,),)
    kill_primary(cluster, ours)
    assert answer(ours, "SELECT NEXTVAL(rq)")[2] == ((2,),)
    kill_primary(cluster, ours)
    assert answer(ours, asks) == LOST


# Prepared statements.


@pytest.mark.parametrize(
    ("prepared", "changes"),
    [
        ("SELECT v FROM rb WHERE id = 1", "USE rshop"),
        ('SELECT "1"', "SET sql_mode = 'ANSI_QUOTES'"),
        ("SELECT 1 || 0", "SET sql_mode = 'PIPES_AS_CONCAT'"),
        ("SELECT ''a\\\\\\\\b''", "SET sql_mode = 'NO_BACKSLASH_ESCAPES'"),
        ("SELECT CHARSET(''a'')", "SET NAMES latin1"),
    ],
)
def test_a_text_is_not_read_under_other_settings(cluster, connect, prepared, changes):
    before = [f"PREPARE s FROM '{prepared}'", "EXECUTE s"]
    check(cluster, connect, before, ["EXECUTE s"])
    _, ours = connected(cluster, connect, {})
    for step in (*before, changes):
        assert answer(ours, step)[0] != "error", step
    kill_primary(cluster, ours)
    assert answer(ours, "EXECUTE s") == BOUND


# Savepoints.


@pytest.mark.parametrize("sets", ["SAVEPOINT a", "CALL rp()"])
def test_a_savepoint_is_not_gone_in_silence(cluster, connect, sets):
    _, ours = connected(cluster, connect, {"autocommit": False, "transactions": "primary"})
    assert answer(ours, sets)[0] != "error"
    kill_primary(cluster, ours)
    assert not ours.is_usable()
    assert answer(ours, "INSERT INTO rc VALUES (1, 1)") == LOST
    # What a procedure has done is not all known on MariaDB: then there is no other connection.
    assert answer(ours, lambda one: one.rollback()) in (None, BOUND)
    with cluster.connect(cluster.primary) as plain:
        assert answer(plain, "SELECT COUNT(*) FROM rc")[2] == ((0,),)


def test_a_savepoint_that_was_not_sent_yet_is_there(cluster, connect):
    before = ["SELECT v FROM rb", "SAVEPOINT a"]
    behind = ["INSERT INTO rc VALUES (1, 1)", "ROLLBACK TO a", "SELECT COUNT(*) FROM rc"]
    check(cluster, connect, before, [*behind, "COMMIT"], autocommit=False)


# What it ran as it began.


def test_what_it_began_with_is_written_once(cluster, connect):
    ours = connect(autocommit=True, init_command="INSERT INTO ra (v) VALUES (1)")
    for _ in range(2):
        kill_primary(cluster, ours)
        assert answer(ours, UPDATE)[0] == 1
    with cluster.connect(cluster.primary) as plain:
        assert answer(plain, "SELECT COUNT(*) FROM ra")[2] == ((1,),)
    assert ours.init_command == "INSERT INTO ra (v) VALUES (1)"


@pytest.mark.parametrize("sql", ["SET @x = 5, time_zone = '+01:00'", "SET @y = CONNECTION_ID()"])
def test_what_it_began_with_is_there(cluster, connect, sql):
    look = ["SELECT @x, @@time_zone", "SELECT @x, @@time_zone /* rwsplit: primary */"]
    check(cluster, connect, ["DO 1"], look, init_command=sql)
    changed = ["SET @x = 6, time_zone = '+04:00'"]
    check(cluster, connect, changed, look, init_command=sql)
