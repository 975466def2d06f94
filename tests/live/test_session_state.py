"""Every member is the same session: programs give what they give on one plain server."""

import contextlib
import os
import pickle
import re
import time

import pymysql
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import rwsplit
from rwsplit._core.session.state import State
from rwsplit._core.sql.statement import Kind
from rwsplit.sandbox import Sandbox

from .programs import FRESH, SCHEMA, Step, changes, run, steps

SECONDS = float(os.environ.get("RWSPLIT_TEST_SECONDS", "10"))
LAWS = settings(
    max_examples=int(15 * SECONDS), deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
def pair(request):
    """A cluster, and a single server of the same flavor."""
    with (
        Sandbox(request.param, replicas=2) as cluster,
        Sandbox(request.param, replicas=0) as single,
    ):
        admins = []
        for sandbox in (cluster, single):
            admin = sandbox.admin(sandbox.primary, autocommit=True)
            admin.select_db("shop")
            cursor = admin.cursor()
            for sql in (*SCHEMA, *_role(request.param)):
                cursor.execute(sql)
            admins.append(cursor)
        cluster.wait_caught_up()
        yield cluster, single, admins
        for cursor in admins:
            cursor.connection.close()


def _role(flavor):
    account = "app@'%'" if flavor == "mysql" else "app"
    return (
        "CREATE ROLE reader",
        "GRANT SELECT ON other.* TO reader",
        f"GRANT reader TO {account}",
        "GRANT ALL ON other.* TO " + account,
    )


def with_pymysql(cluster, single):
    """Both sides over PyMySQL, and its errors."""
    ours = rwsplit.connect(**{**cluster.connect_options, "autocommit": True, "max_wait": 5.0})
    return ours, single.connect(single.primary, autocommit=True), pymysql.err.Error


@contextlib.contextmanager
def connections(pair, connect=with_pymysql):
    cluster, single, admins = pair
    for cursor in admins:
        for sql in FRESH:
            cursor.execute(sql)
    cluster.wait_caught_up()
    ours, plain, errors = connect(cluster, single)
    try:
        yield ours, plain, errors
    finally:
        for connection in (ours, plain):
            with contextlib.suppress(errors):
                connection.close()


# Whatever a program leaves behind, seen from each replica.
LAST_LOOK = 2 * [Step("SELECT @a, @b, @c, DATABASE(), @@sql_mode, @@div_precision_increment")]


def check(pair, program, connect=with_pymysql):
    with connections(pair, connect) as (ours, plain, errors):
        # What FOUND_ROWS() is on a fresh connection is anybody's guess on MariaDB.
        program = [Step("SELECT COUNT(*) FROM t"), *program, *LAST_LOOK]
        results = []
        refused, tells = False, connect is with_pymysql
        for number, step in enumerate(program):
            expected = run(plain, step, errors)
            results.append(expected)
            if step.sql.startswith("drop") and ours._session.owed.foreign:
                return  # what GET DIAGNOSTICS put into a variable is lost with the replica
            if expected == ("error", "UnicodeDecodeError"):
                return  # it leaves PyMySQL's own connection in the middle of a result
            found = run(ours, step, errors)
            if step.sql.startswith("GET DIAGNOSTICS"):
                calls = any(s.sql.startswith(("CALL", "EXECUTE")) for s in program[:number])
                vague = (refused and not tells) or (calls and ours.cluster.flavor == "mariadb")
                if found == ("error", 1235) or vague:
                    return  # not known behind a question of ours or a routine; it sets a variable
            if found == ("error", 1235) and _ABOUT.search(step.sql):
                if step.sql.startswith("SET"):
                    return  # the variable is not what it is there
                refused = True
                continue  # what nobody can know is refused, never answered wrongly
            refused = refused and TABLE.search(step.sql) is None
            if refused and _ABOUT.search(step.sql):
                continue  # on the one server it was not refused, and may have warned
            if _unclear(program[:number], results, step, ours.cluster.flavor, tells):
                continue
            assert found == expected, (
                f"step {number}: {step.sql}: {found} is not {expected}: {ours.route}"
            )


def _unclear(before, results, step, flavor, tells):
    """Tell whether a step asks about a statement before of which nobody can know enough.

    `tells` is whether the driver tells of the session what the server has reported.

    Whether a routine counted rows can't be told, nor, on MariaDB, whether it used a table: there
    the warnings stay what they were through statements that use none.
    """
    text = step.sql.lower()
    if re.search("found_rows|warning|row_count", text):
        for earlier in reversed(before):
            if earlier.sql == "drop a replica":
                return True  # it took along what it knew
            if TABLE.search(earlier.sql):
                break
    routines = [n for n, s in enumerate(before) if s.sql.startswith(("CALL", "EXECUTE"))]
    if "found_rows" in text:
        selects = [
            n
            for n, s in enumerate(before)
            if s.sql.startswith("SELECT") and results[n][0] != "error"
        ]
        return max(routines, default=-1) > max(selects, default=-1)
    if "warning" not in text or flavor == "mysql":
        return False
    vague = ("PREPARE", "DO", "GET", "HANDLER", "LOCK", "SHOW VARIABLES", "SELECT @@session_track")
    # What can't be read under its character set may be a routine, and is asked about.
    latin = [n for n, s in enumerate(before) if "latin1" in s.sql]
    unread = not tells and latin and any(not s.sql.isascii() for s in before[latin[0] :])
    if unread or routines or any(earlier.sql.startswith(vague) for earlier in before):
        return not TABLE.search(before[-1].sql)
    return False


_ABOUT = re.compile("found_rows|row_count|warning|error", re.IGNORECASE)
TABLE = re.compile(r"\b(FROM|INTO|UPDATE) ((shop|other)\.)?(t|tt|no_such|triggered)\b")


def search(pair, connect=with_pymysql, seconds=SECONDS):
    until = time.monotonic() + seconds
    failed = []

    @LAWS
    @given(program=st.lists(steps(), min_size=2, max_size=12))
    def law(program):
        if time.monotonic() < until or failed:
            try:
                check(pair, program, connect)
            except AssertionError:
                failed.append(program)
                raise

    law()


def test_a_program_sees_what_it_sees_on_one_server(pair):
    search(pair)


# The limitations of MaxScale's session commands, put into the code on purpose, with programs that
# find them (shrunk by hypothesis).
EXPRESSION_REPLAYED = [
    Step("SET @a = (SELECT COUNT(*) FROM t)"),
    Step("INSERT INTO t (v) VALUES ('new')"),
    Step("SELECT @a + 1, @a = 'X', @a < 4, LENGTH(@a)"),
]
SET_BY_A_WRITE = [
    Step("INSERT INTO t (v) VALUES (@c := 'by insert')"),
    Step("SELECT @c + 1, @c = 'X', @c < 4, LENGTH(@c)"),
]
REFUSED_BY_THE_PRIMARY = [Step("USE no_such_schema"), Step("SELECT DATABASE(), CURRENT_ROLE()")]


def _ignore_rumours(patch):
    """Nor is the primary asked, behind a write, what a variable is that the write may have set."""
    names_of = State.names_of

    def deaf(self, statement):
        self.rumoured = False
        return names_of(self, statement)

    patch.setattr(State, "names_of", deaf)


def _replay_expressions(patch):
    _ignore_rumours(patch)
    expression = re.compile(r"SET @(\w+) = ([^,@]+)")

    def parse(sql, collation):
        found = expression.fullmatch(sql)
        return [(found[1], found[2])] if found else None

    patch.setattr("rwsplit._core.session.state.simple_assignments", parse)


def _forget_writes(patch):
    _ignore_rumours(patch)
    expect = State._expect_user_variables

    def forgetful(self, statement, succeeded, sql):
        if statement.kind is not Kind.WRITE:
            expect(self, statement, succeeded, sql)

    patch.setattr(State, "_expect_user_variables", forgetful)


def _believe_in_success(patch):
    expect = State.expect

    def optimistic(self, statement, succeeded=True, sql=b""):
        if statement.verb == "USE":
            self.set_schema("other")
        expect(self, statement, succeeded, sql)

    patch.setattr(State, "expect", optimistic)


@pytest.mark.parametrize(
    ("mutate", "program"),
    [
        (_replay_expressions, EXPRESSION_REPLAYED),
        (_forget_writes, SET_BY_A_WRITE),
        (_believe_in_success, REFUSED_BY_THE_PRIMARY),
    ],
)
def test_each_limitation_of_the_ancestors_is_found(pair, monkeypatch, mutate, program):
    check(pair, program)
    with monkeypatch.context() as patch:
        mutate(patch)
        with pytest.raises(AssertionError, match="is not"):
            for _ in range(20):  # a replica may be late
                check(pair, program)
        if SECONDS >= 60:
            assert _search(pair), "no program finds it"


def _search(pair):
    """Look for a program that finds what is wrong, among those that only change things."""
    found = []

    @settings(LAWS, max_examples=6000, database=None, phases=[Phase.generate])
    @given(program=st.lists(changes(), min_size=2, max_size=12))
    def search(program):
        if not found and _differs(pair, program):
            found.append(program)

    search()
    return found


def _differs(pair, program):
    try:
        check(pair, program)
    except AssertionError:
        return True
    return False


def test_values_computed_by_the_primary_are_every_members(cluster, connect, table):
    connection = connect()
    cursor = connection.cursor()
    names = cluster.connect_options["replicas"]
    for sql in (
        "SET @x = NOW(6)",
        "SET @x = UUID()",
        "SET @x = RAND()",
        "INSERT INTO t VALUES (1, FLOOR(100 * (@x := RAND())))",
        "SET @x = (SELECT COUNT(*) FROM t)",
        "SELECT UUID() INTO @x",
        "SELECT v FROM t WHERE id = 1 INTO @x",
    ):
        cursor.execute(sql)
        cursor.execute("SELECT /* rwsplit: primary */ @x, HEX(@x), COLLATION(@x)")
        expected = cursor.fetchall()
        assert expected[0][0] is not None
        for name in names:
            cursor.execute(f"SELECT /* rwsplit: replica={name} */ @x, HEX(@x), COLLATION(@x)")
            assert cursor.fetchall() == expected, sql
            assert cursor.route.endpoint == name


def test_a_schema_that_the_primary_refuses_changes_nothing(cluster, connect):
    cursor = connect().cursor()
    for _ in range(2):
        with pytest.raises(rwsplit.OperationalError, match=r"10(44|49)"):
            cursor.execute("USE no_such_schema")
        for name in cluster.connect_options["replicas"]:
            cursor.execute(f"SELECT /* rwsplit: replica={name} */ DATABASE()")
            assert cursor.fetchone() == ("shop",)
            assert cursor.route.endpoint == name


def test_a_new_member_has_sixty_settings_before_its_first_statement(cluster, connect):
    connection = connect()
    cursor = connection.cursor()
    for number in range(55):
        cursor.execute(f"SET @v{number} = {number}")
    cursor.execute("SET SESSION group_concat_max_len = 77, div_precision_increment = 3")
    cursor.execute("SET time_zone = '+03:00', lc_time_names = 'de_DE'")
    cursor.execute("SET NAMES utf8mb4 COLLATE utf8mb4_bin")
    assert not connection._members
    columns = ",".join(f"@v{number}" for number in range(55))
    columns += ",@@group_concat_max_len,@@div_precision_increment,@@time_zone,@@lc_time_names"
    for name in cluster.connect_options["replicas"]:
        cursor.execute(f"SELECT /* rwsplit: replica={name} */ {columns}, COLLATION('')")
        expected = (*range(55), 77, 3, "+03:00", "de_DE", "utf8mb4_bin")
        assert cursor.fetchone() == expected
        assert cursor.route.endpoint == name


def test_text_escaped_under_another_sql_mode_is_never_sent(cluster, connect, table):
    """Else a parameter could end its quotes: an SQL injection."""
    attack = "\\' OR 1=1 -- "
    connection = connect()
    cursor = connection.cursor()
    for number in range(3):
        cursor.execute("REPLACE INTO t VALUES (%s, %s)", (number, number))
    for mode in ("NO_BACKSLASH_ESCAPES", "", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES", "") * 3:
        cursor.execute("SET SESSION sql_mode = %s", (mode,))
        for name in cluster.connect_options["replicas"]:
            query = f"SELECT /* rwsplit: replica={name} */ id FROM t WHERE id = %s"
            cursor.execute(query, (attack,))
            assert cursor.fetchall() in ((), ((0,),))
            assert cursor.route.endpoint == name
            cursor.execute(f"SELECT /* rwsplit: replica={name} */ %s", (attack,))
            assert cursor.fetchall() == ((attack,),)


def test_a_hundred_thousand_sets_leave_memory_flat(connect):
    connection = connect()
    cursor = connection.cursor()
    session = connection._session.state

    def run(times):
        for number in range(times):
            cursor.execute(f"SET @v{number % 10} = {number}")

    run(1000)
    entries, size = len(session._entries), _size(session)
    run(20_000)
    assert len(session._entries) == entries
    assert _size(session) < size + 1000


def _size(session):
    return len(pickle.dumps([session._entries, session.unread_users, session._values]))


def test_a_member_that_refuses_the_state_is_left_aside(cluster, connect):
    """A schema that has not come to a replica yet: its reads go elsewhere, unseen."""
    connection = connect(consistency="eventual")
    cursor = connection.cursor()
    late, other = cluster.connect_options["replicas"]
    cursor.execute(f"SELECT /* rwsplit: replica={late} */ 1")
    cluster.stall(cluster.replicas[0])
    cluster.create_database("just_made")
    try:
        assert cluster._wait(cluster.replicas[1], cluster.position(cluster.primary), 10)
        cursor.execute("USE just_made")
        for _ in range(6):
            cursor.execute("SELECT DATABASE()")
            assert cursor.fetchone() == ("just_made",)
            assert cursor.route.endpoint == other
    finally:
        cluster.resume(cluster.replicas[0])
        cluster.drop_database("just_made")


def test_session_tracking_that_the_application_set_is_its_own(cluster, connect, table):
    connection = connect()
    cursor = connection.cursor()
    for value, shown in (("OFF", 0), ("ON", 1)):
        cursor.execute(f"SET SESSION session_track_state_change = {value}")
        cursor.execute("SELECT @@session_track_state_change")
        assert cursor.fetchone() == (shown,)
        cursor.execute("SET SESSION session_track_system_variables = ''")
        cursor.execute("SHOW VARIABLES LIKE 'session_track_system_variables'")
        assert cursor.fetchone() == ("session_track_system_variables", "")
        # And we still learn what is set and written.
        cursor.execute("SET group_concat_max_len = %s", (40 + shown,))
        cursor.execute("REPLACE INTO t VALUES (1, %s)", (shown,))
        cursor.execute("SELECT v, @@group_concat_max_len FROM t WHERE id = 1")
        assert cursor.fetchone() == (shown, 40 + shown)
        assert cursor.route.role == "replica"


def test_what_cant_be_replayed_binds_the_session_while_it_is_set(connect):
    cursor = connect().cursor()
    for begin, end in (
        ("SET timestamp = 5", "SET timestamp = DEFAULT"),
        ("SELECT GET_LOCK('a', 0)", "SELECT RELEASE_LOCK('a')"),
        ("SELECT GET_LOCK('a', 0)", "DO RELEASE_ALL_LOCKS()"),
        ("LOCK TABLES mysql.user READ", "UNLOCK TABLES"),
    ):
        try:
            cursor.execute(begin)
        except rwsplit.Error:
            continue  # an ordinary account may not
        cursor.execute("SELECT 1")
        assert cursor.route.role == "primary", begin
        cursor.execute(end)
        cursor.execute("SELECT 1")
        assert cursor.route.role == "replica", end


def test_a_prepared_read_runs_on_replicas(cluster, connect, table):
    # A session that wants no stale read may stay on the replica of its last read.
    cursor = connect(consistency="eventual").cursor()
    cursor.execute("INSERT INTO t VALUES (1, 10), (2, 20)")
    cluster.wait_caught_up()
    cursor.execute("PREPARE by_id FROM 'SELECT v, @@server_id FROM t WHERE id = ?'")
    seen = set()
    for number in (1, 2) * 3:
        cursor.execute(f"SET @id = {number}")
        cursor.execute("EXECUTE by_id USING @id")
        value, server = cursor.fetchone()
        assert value == 10 * number
        assert cursor.route.role == "replica"
        seen.add(server)
    assert seen == {server.server_id for server in cluster.replicas}
    cursor.execute("DEALLOCATE PREPARE by_id")
    with pytest.raises(rwsplit.Error, match="1243"):
        cursor.execute("EXECUTE by_id USING @id")
