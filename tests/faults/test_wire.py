"""What is on a wire belongs to the application: no question of ours leaves a trace in what it sees,
and what it has not read yet is neither lost, nor waited for twice, nor taken for something else.

Beside each program the same one runs through plain PyMySQL on the primary: that is the right value.
A `read_timeout` stands for all time: what would wait for ever ends with error 2013.
"""

import contextlib
import linecache
import random
import signal
import sys
import warnings

import pymysql
import pytest
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor, SSCursor, SSDictCursor

PATIENCE = 20


@pytest.fixture
def plain(cluster):
    """Connect to the primary with plain PyMySQL."""
    opened = []

    def make(**overrides):
        options = {**cluster.connect_options}
        del options["replicas"]
        opened.append(pymysql.connect(**{**options, "autocommit": True, **overrides}))
        return opened[-1]

    yield make
    for connection in opened:
        if connection.open:
            connection.close()


_made = set()


@pytest.fixture(autouse=True)
def tables(cluster):
    """Tables, procedures and a function that all servers have."""
    with cluster.connect(cluster.primary) as connection:
        cursor = connection.cursor()
        if cluster not in _made:
            for sql in (
                "DROP TABLE IF EXISTS big",
                "CREATE TABLE big (id INT PRIMARY KEY, v VARCHAR(200))",
                "DROP PROCEDURE IF EXISTS rows_of_two",
                "CREATE PROCEDURE rows_of_two() BEGIN SELECT 1; SELECT 2; END",
                "DROP PROCEDURE IF EXISTS writes",
                "CREATE PROCEDURE writes() INSERT INTO w (v) VALUES (3)",
                "DROP FUNCTION IF EXISTS writing",
                "CREATE FUNCTION writing() RETURNS INT DETERMINISTIC MODIFIES SQL DATA "
                "BEGIN INSERT INTO w (v) VALUES (4); RETURN 7; END",
                "DROP FUNCTION IF EXISTS doubled",
                "CREATE FUNCTION doubled(n INT) RETURNS INT DETERMINISTIC NO SQL RETURN 2 * n",
                "DROP PROCEDURE IF EXISTS sets_modes",
                "CREATE PROCEDURE sets_modes() SET SESSION sql_mode = 'ANSI', @y = 5",
                "DROP PROCEDURE IF EXISTS fails_amid",
                "CREATE PROCEDURE fails_amid() BEGIN SET SESSION sql_mode = 'ANSI'; "
                "SELECT no_such_column; END",
            ):
                cursor.execute(sql)
            rows = [(number,) for number in range(500)]
            cursor.executemany("INSERT INTO big VALUES (%s, REPEAT('x', 200))", rows)
            _made.add(cluster)
        fresh(connection)
        connection.commit()
    cluster.wait_caught_up()


def fresh(connection):
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS w")
    cursor.execute("CREATE TABLE w (id INT PRIMARY KEY AUTO_INCREMENT, v TINYINT)")
    cursor.execute("INSERT INTO w (v) VALUES (1), (2), (3)")


# Questions of our own.

STATEMENTS = (
    "INSERT INTO w (v) VALUES (1), (2)",
    "INSERT IGNORE INTO w (v) VALUES (1000), (2)",
    "UPDATE w SET v = 7 WHERE id < 3",
    "DELETE FROM w WHERE id = 1",
    "INSERT INTO no_such_table VALUES (1)",
    "INSERT INTO w (id, v) VALUES (2, 2)",
    "CALL writes()",
    "CALL no_such_procedure()",
    "SELECT writing()",
    "EXECUTE inserts",
    "CREATE TABLE IF NOT EXISTS w (id INT)",
    "DROP TABLE IF EXISTS no_such_table",
    "ALTER TABLE w COMMENT 'x'",
    "SELECT SQL_CALC_FOUND_ROWS id FROM w LIMIT 1",
    "SELECT id FROM w FOR UPDATE",
    "SET @x = 1",
    "SET SESSION session_track_schema = 0",
    "SELEC 1",
)

ASKED = {
    "ROW_COUNT()": lambda c: rows(c, "SELECT ROW_COUNT()"),
    "FOUND_ROWS()": lambda c: rows(c, "SELECT FOUND_ROWS()"),
    "LAST_INSERT_ID()": lambda c: rows(c, "SELECT LAST_INSERT_ID()"),
    "@@warning_count": lambda c: rows(c, "SELECT @@warning_count"),
    "@@error_count": lambda c: rows(c, "SELECT @@error_count"),
    "SHOW WARNINGS": lambda c: rows(c, "SHOW WARNINGS"),
    "SHOW COUNT(*) WARNINGS": lambda c: rows(c, "SHOW COUNT(*) WARNINGS"),
    "show_warnings()": lambda c: c.show_warnings(),
    "insert_id()": lambda c: c.insert_id(),
    "affected_rows()": lambda c: c.affected_rows(),
}


def rows(connection, sql):
    cursor = connection.cursor()
    cursor.execute(sql)
    return cursor.fetchall()


def outcome(connection, sql):
    """All that a cursor and a connection tell of a statement."""
    cursor = connection.cursor()
    try:
        cursor.execute(sql)
    except pymysql.MySQLError as error:
        return type(error), error.args[0], connection.insert_id()
    return cursor.rowcount, cursor.lastrowid, cursor.fetchall(), connection.insert_id()


def asks_where_it_is(connection):
    assert connection.position


def waits_for_where_it_is(connection):
    assert connection.wait_for(connection.position, 10)


OURS = {
    "as it is": ({}, None),
    "a session id": ({"session_id": "wire"}, None),
    "the database's id": ({"session_id_kind": "database"}, None),
    "position": ({}, asks_where_it_is),
    "wait_for": ({"session_id": "wire"}, waits_for_where_it_is),
}


@pytest.mark.parametrize("sql", STATEMENTS)
def test_no_question_of_ours_shows_in_what_is_asked_of_a_statement(cluster, connect, plain, sql):
    def program(connection, question):
        fresh(connection)
        rows(connection, "PREPARE inserts FROM 'INSERT INTO w (v) VALUES (5)'")
        for name, ask in ASKED.items():
            told = outcome(connection, sql)
            if question is not None:
                question(connection)
            yield name, told, ask(connection)

    expected = [*program(plain(), None)]
    for what, (keywords, question) in OURS.items():
        found = [*program(connect(**keywords), question)]
        assert found == expected, what


# Statements that count no rows themselves: FOUND_ROWS() is still about the one before.
UNCOUNTED = (
    "SHOW CREATE TABLE big",
    "SHOW GRANTS",
    "SET @x = doubled(4)",
    "SET @x = 1",
    "SET SESSION session_track_schema = 0",
    "SET SESSION session_track_gtids = 'nonsense'",
    "SET sql_mode = 'nonsense'",
    "SET NAMES nonsense",
    "CREATE TABLE IF NOT EXISTS w (id INT)",
    "ALTER TABLE w COMMENT 'x'",
    "USE shop",
    "PREPARE other FROM 'SELECT 1'",
    "BEGIN",
    "START TRANSACTION READ ONLY",
    "COMMIT",
    "ROLLBACK",
    "SELECT no_such_column FROM w",
    "UPDATE w SET id = 1",
    "KILL QUERY @nobody",
    "commit",
    "rollback",
    "begin",
    "select_db",
    "ping",
)
COUNTED = (
    "SELECT SQL_CALC_FOUND_ROWS id FROM big LIMIT 1",
    "SELECT SQL_CALC_FOUND_ROWS id FROM big LIMIT 1 FOR UPDATE",
    "/* rwsplit: primary */ SELECT SQL_CALC_FOUND_ROWS id FROM big LIMIT 2",
)
AFTER = (
    # What leaves something of the session to be found out.
    None,
    "SELECT SQL_CALC_FOUND_ROWS @y := id FROM big LIMIT 3 FOR UPDATE",
    "INSERT INTO w (id, v) VALUES (2, 2)",
    "INSERT IGNORE INTO w (v) VALUES (1000)",
    "CALL sets_modes()",
    "CALL fails_amid()",
    "SET @y = NOW()",
    "SELECT @@session_track_schema INTO @y",
    "GET DIAGNOSTICS @y = NUMBER",
)
FAIL = ("INSERT INTO w (id, v) VALUES (2, 2)", "CALL fails_amid()")
WRITE = ("INSERT IGNORE INTO w (v) VALUES (1000)",)
REFUSED = pymysql.NotSupportedError, 1235


def is_asked(before, uncounted, asked):
    """Tell whether it is answered as by one server there; the documents tell of what is not."""
    if asked in WARNINGS:
        # On MariaDB what a trigger may have set is found in tables of the server's own.
        return before not in FAIL and not (before in WRITE and uncounted.startswith("SHOW"))
    # What was written has to arrive on the replica first, which is waited for there.
    return "FOUND_ROWS" not in asked or not (before in WRITE and uncounted.startswith("SHOW"))


def may_refuse(before, uncounted, asked, *_):
    routine = (before or "").startswith("CALL") or "doubled" in uncounted
    fails_amid = uncounted == "UPDATE w SET id = 1"
    return (routine or fails_amid) and "FOUND_ROWS" in asked


WARNINGS = ("SHOW WARNINGS", "SELECT @@warning_count")
ABOUT = ("SELECT FOUND_ROWS()", "SELECT ROW_COUNT()", *WARNINGS)


def step(connection, what):
    if what.islower() and " " not in what:
        getattr(connection, what)(*(("shop",) if what == "select_db" else ()))
        return None
    try:
        return rows(connection, what)
    except pymysql.MySQLError as error:
        return type(error), error.args[0]


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("before", AFTER)
def test_a_question_of_ours_before_a_statement_counts_no_rows(
    cluster, connect, plain, autocommit, before
):
    """Whatever is asked of ours before or behind a statement that counts none itself."""

    def program(connection):
        fresh(connection)
        connection.commit()
        for number, uncounted in enumerate(UNCOUNTED):
            for asked in ABOUT if number % 3 == 0 or "nonsense" in uncounted else ABOUT[:2]:
                if not is_asked(before, uncounted, asked):
                    continue
                told = [step(connection, COUNTED[number % 3])]
                if before is not None:
                    told.append(step(connection, before))
                told.append(step(connection, uncounted))
                yield before, uncounted, asked, told[1:], step(connection, asked)
                step(connection, "SELECT id FROM w")
                connection.rollback()
                step(connection, "SET SESSION sql_mode = DEFAULT, @x = NULL")

    options = {"autocommit": autocommit}
    expected = [*program(plain(**options))]
    for keywords in ({}, {"consistency": "global"}):
        found = [*program(connect(**options, **keywords))]
        wrong = [
            (mine, right)
            for mine, right in zip(found, expected, strict=True)
            # Of what ran a routine, or failed, nobody may be able to tell; never a wrong number.
            if mine != right and not (may_refuse(*right) and mine[-1] == REFUSED)
        ]
        assert not wrong, keywords


def test_a_transactions_end_is_what_is_asked_about(connect, plain):
    """Its position comes along with the COMMIT, where reads ran on the primary."""

    def program(connection):
        cursor = connection.cursor()
        for end in ("commit", "rollback"):
            for sql in ABOUT:
                for _ in range(3):
                    cursor.execute("UPDATE w SET v = v + 1")
                    cursor.execute("SELECT id FROM w ORDER BY id")
                    getattr(connection, end)()
                    yield rows(connection, sql)
                    connection.rollback()
                    cursor.execute("SELECT COUNT(*) FROM w")
                    connection.rollback()

    assert [*program(connect(autocommit=False))] == [*program(plain(autocommit=False))]


def test_the_streams_that_are_open_stay_so(connect):
    """On the primary and on a replica; whatever is asked of ours meanwhile."""
    for keywords in ({}, {"session_id": "wire"}):
        connection = connect(**keywords)
        for hint in ("", "/* rwsplit: primary */ "):
            for ask in (asks_where_it_is, waits_for_where_it_is):
                stream = connection.cursor(SSCursor)
                stream.execute(f"{hint}SELECT id FROM big ORDER BY id")
                assert stream.fetchone() == (0,)
                ask(connection)
                assert stream.fetchall() == [(number,) for number in range(1, 500)]


def test_insert_id_is_of_the_last_statement_alone(connect, plain):
    def program(connection):
        cursor = connection.cursor()
        for what in (
            lambda: rows(connection, "INSERT INTO no_such_table VALUES (1)"),
            connection.commit,
            connection.ping,
            connection.show_warnings,
            lambda: connection.select_db("shop"),
            lambda: connection.set_character_set("utf8mb4"),
            lambda: connection.autocommit(connection.get_autocommit()),
            lambda: connection.escape("x"),
            lambda: rows(connection, "SELECT 1"),
        ):
            cursor.execute("INSERT INTO w (v) VALUES (1)")
            with contextlib.suppress(pymysql.ProgrammingError):
                what()
            yield bool(connection.insert_id()), connection.affected_rows()

    assert [*program(connect())] == [*program(plain())]


# Results that are still to come.

OPENS = {
    "callproc": lambda cursor: cursor.callproc("rows_of_two"),
    "CALL": lambda cursor: cursor.execute("CALL rows_of_two()"),
    "reads": lambda cursor: cursor.execute("SELECT 1; SELECT 2; SELECT 3"),
    "writes": lambda cursor: cursor.execute("SELECT 1; UPDATE w SET v = 1; SELECT 2"),
}
METHODS = {
    "commit": lambda c: c.commit(),
    "rollback": lambda c: c.rollback(),
    "begin": lambda c: c.begin(),
    "autocommit": lambda c: c.autocommit(not c.get_autocommit()),
    "autocommit as it is": lambda c: c.autocommit(c.get_autocommit()),
    "select_db": lambda c: c.select_db("shop"),
    "set_character_set": lambda c: c.set_character_set("utf8mb4"),
    "ping": lambda c: c.ping(),
    "show_warnings": lambda c: c.show_warnings(),
    "a statement": lambda c: rows(c, "SELECT 5"),
    "an error": lambda c: outcome(c, "SELECT no_such_column"),
    "get_autocommit": lambda c: c.get_autocommit(),
    "escape": lambda c: c.escape("x"),
}


@pytest.mark.parametrize("opens", OPENS)
@pytest.mark.parametrize("kind", [Cursor, SSCursor])
def test_results_to_come_are_not_waited_for_twice(connect, plain, opens, kind):
    def program(connection):
        for name, method in METHODS.items():
            with connection.cursor(kind) as cursor:
                OPENS[opens](cursor)
                before = cursor.fetchone()
                method(connection)
                after = [cursor.nextset(), cursor.nextset()]
            with connection.cursor(kind) as cursor:
                OPENS[opens](cursor)
                method(connection)
            yield name, before, after, rows(connection, "SELECT 6")
            connection.rollback()

    options = {"client_flag": CLIENT.MULTI_STATEMENTS, "read_timeout": PATIENCE}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [*program(plain(**options))]
        for keywords in ({}, {"session_id": "wire"}, {"autocommit": False}):
            assert [*program(connect(**options, **keywords))] == expected, keywords


@pytest.mark.filterwarnings("ignore:Previous unbuffered")
@pytest.mark.parametrize("opens", OPENS)
def test_results_to_come_still_come_after_a_question_of_ours(connect, opens):
    options = {"client_flag": CLIENT.MULTI_STATEMENTS, "read_timeout": PATIENCE}
    for keywords in ({}, {"session_id": "wire"}):
        connection = connect(**options, **keywords)
        for kind in (Cursor, SSCursor):
            for ask in (asks_where_it_is, waits_for_where_it_is):
                with connection.cursor(kind) as cursor:
                    OPENS[opens](cursor)
                    ask(connection)
                    assert [*cursor.fetchall()] == [(1,)]
                    assert cursor.nextset()
                with connection.cursor(kind) as cursor:
                    OPENS[opens](cursor)
                    ask(connection)


# Rows that are still to come.


@pytest.mark.parametrize("kind", [SSCursor, SSDictCursor])
def test_unread_rows_are_no_goodbye(connect, plain, kind):
    """UPDATE, a part of 500 rows, and then whatever ends the transaction or goes on in it."""
    steps = (
        ("commit", lambda c: c.commit()),
        ("COMMIT", lambda c: rows(c, "COMMIT")),
        ("a write", lambda c: (rows(c, "UPDATE w SET v = v + 1"), c.commit())),
        ("a read", lambda c: (rows(c, "SELECT 1 FROM w"), c.commit())),
        ("a locking read", lambda c: (rows(c, "SELECT 1 FROM w FOR UPDATE"), c.commit())),
        ("ping", lambda c: (c.ping(), c.commit())),
        ("begin", lambda c: (c.begin(), c.commit())),
        ("select_db", lambda c: (c.select_db("shop"), c.commit())),
        ("autocommit", lambda c: (c.autocommit(True), c.autocommit(False))),
        ("rollback", lambda c: c.rollback()),
    )

    def program(connection):
        for name, step in steps:
            fresh(connection)
            rows(connection, "UPDATE w SET v = v + 10")
            cursor = connection.cursor(kind)
            cursor.execute("SELECT id, v FROM big ORDER BY id")
            first = cursor.fetchone()
            step(connection)
            connection.rollback()
            yield name, first, rows(connection, "SELECT v FROM w ORDER BY id")
            connection.rollback()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [*program(plain(autocommit=False, read_timeout=PATIENCE))]
        found = [*program(connect(autocommit=False, read_timeout=PATIENCE, primary_wait=1))]
    assert found == expected


def test_pymysql_warns_of_rows_that_a_statement_throws_away(connect, plain):
    def program(connection):
        for step in (lambda: rows(connection, "UPDATE w SET v = 1"), connection.commit):
            cursor = connection.cursor(SSCursor)
            cursor.execute("SELECT id FROM big FOR UPDATE")
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                step()
            yield [str(warning.message) for warning in caught], cursor.fetchone()

    assert [*program(connect(autocommit=False))] == [*program(plain(autocommit=False))]


def killed(cluster, connection):
    """Kill a connection's thread on the primary, and wait until that has happened."""
    with cluster.connect(cluster.primary) as other:
        cursor = other.cursor()
        thread = connection.thread_id()
        cursor.execute(f"KILL {thread}")
        while cursor.execute(f"SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = {thread}"):
            pass


@pytest.mark.parametrize(
    "sql", ["SELECT 1", "SELECT COUNT(*) FROM big", "UPDATE w SET v = 5", "CALL rows_of_two()"]
)
def test_what_was_unread_on_a_lost_wire_is_not_read_from_the_next(cluster, connect, sql):
    """The primary's connection is killed amid a stream: the next statement has its own answer."""
    for opens in ("SELECT id FROM big ORDER BY id FOR UPDATE", "CALL rows_of_two()"):
        connection = connect(read_timeout=PATIENCE)
        with cluster.connect(cluster.primary) as other:
            other.cursor().execute("UPDATE w SET v = 5")
            expected = rows(other, sql)
            other.commit()
        stream = connection.cursor(SSCursor)
        stream.execute(f"{opens}")
        stream.fetchone()
        killed(cluster, connection)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(3):
                try:
                    assert rows(connection, sql) == expected
                    break
                except pymysql.InterfaceError as error:
                    # What a CALL that was not read to its end has set may be anything.
                    assert "connect again" in error.args[1]
                    connection = connect(read_timeout=PATIENCE)
                except pymysql.OperationalError as error:
                    assert error.args[0] in (2006, 2013)
        with contextlib.suppress(pymysql.MySQLError):
            assert stream.fetchone() is None
        stream.close()
        assert rows(connection, "SELECT 9") == ((9,),)


def test_a_stream_on_a_replica_that_was_lost_says_so(cluster, connect):
    """Error 1317, as often as it is asked: not rows that stop, and not 2006 or 2013."""
    connection = connect()
    stream = connection.cursor(SSCursor)
    stream.execute("SELECT a.id, a.v FROM big a, big b ORDER BY a.id")
    assert stream.route.role == "replica"
    stream.fetchone()
    victim = next(s for s in cluster.replicas if stream.route.endpoint.endswith(f":{s.port}"))
    cluster.kill(victim)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(4):
            assert rows(connection, "SELECT COUNT(*) FROM big") == ((500,),)
    for _ in range(2):
        with pytest.raises(pymysql.OperationalError) as caught:
            while stream.fetchone() is not None:
                pass
        assert caught.value.args[0] == 1317
    stream.close()
    assert rows(connection, "SELECT 9") == ((9,),)


@pytest.mark.parametrize("sql", ["BEGIN", "COMMIT", "ROLLBACK", "SET autocommit = 0", "SELECT 1"])
def test_an_unbuffered_cursor_of_a_statement_that_nobody_ran(connect, plain, sql):
    def program(connection):
        for kind in (SSCursor, SSDictCursor):
            cursor = connection.cursor(kind)
            cursor.execute(sql)
            yield cursor.rowcount >= 0, cursor.fetchone() is None, cursor.nextset()
            cursor.close()
            with connection.cursor(kind) as other:
                other.execute(sql)
            connection.rollback()

    assert [*program(connect())] == [*program(plain())]


@pytest.mark.parametrize(
    "opens", ["SELECT id FROM big", "CALL rows_of_two()", "SELECT 1; SELECT 2"]
)
def test_a_wire_with_something_unread_is_not_handed_to_the_next(connect, opens):
    for hint in ("", "/* rwsplit: primary */ "):
        first = connect(client_flag=CLIENT.MULTI_STATEMENTS)
        cursor = first.cursor(SSCursor)
        cursor.execute(f"{hint}{opens}")
        cursor.fetchone()
        first.close()
        second = connect(client_flag=CLIENT.MULTI_STATEMENTS, read_timeout=PATIENCE)
        assert rows(second, "SELECT 4") == ((4,),)
        assert rows(second, "/* rwsplit: primary */ SELECT 5") == ((5,),)


# Interrupts.


class Interrupt(BaseException):
    """What a signal's handler raises."""


OUR_FILES = ("rwsplit", "pymysql")


def interrupted(action, at, error=Interrupt):
    """Run something, interrupted at the given line of it; returns whether it got so far."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        if not any(name in frame.f_code.co_filename for name in OUR_FILES):
            return None
        if event == "line":
            count += 1
            # What is raised amid a __del__ nobody sees; and a line tracer could raise where Python
            # itself never does: behind a `with lock`, before the lock is released.
            if count >= at and not _dying(frame) and not _locking(frame):
                sys.settrace(None)
                raise error
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except error:
        return True
    finally:
        sys.settrace(before)
    return False


def _locking(frame):
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    return line.lstrip().startswith("with ")


def _dying(frame):
    while frame is not None:
        if frame.f_code.co_name in ("__del__", "_force_close"):
            return True
        frame = frame.f_back
    return False


INTERRUPTED = {
    "a read": lambda c: rows(c, "SELECT id FROM big ORDER BY id LIMIT 3"),
    "a read on the primary": lambda c: rows(c, "/* rwsplit: primary */ SELECT id FROM big"),
    "a write": lambda c: rows(c, "UPDATE w SET v = v + 1"),
    "a call": lambda c: rows(c, "CALL rows_of_two()"),
    "a method": lambda c: (c.begin(), c.commit()),
    "a SET": lambda c: rows(c, "SET @a = 5"),
}


def stream_of(connection):
    cursor = connection.cursor(SSCursor)
    cursor.execute("SELECT id FROM big ORDER BY id LIMIT 4")
    assert cursor.fetchall() == [(number,) for number in range(4)]


INTERRUPTED["a stream"] = stream_of


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", INTERRUPTED)
@pytest.mark.parametrize("error", [Interrupt, KeyError])
def test_whatever_was_interrupted_no_answer_goes_to_another_question(connect, what, error):
    """Not on the same connection, and not on the one that gets its wire."""
    action = INTERRUPTED[what]
    dice = random.Random(f"{what} {error}")
    for number in range(12):
        connection = connect(read_timeout=PATIENCE)
        action(connection)
        interrupted(lambda c=connection: action(c), dice.randint(1, 260), error)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if number % 2:
                for sql, expected in (
                    ("SELECT 11", 11),
                    ("/* rwsplit: primary */ SELECT 12", 12),
                    ("SELECT MAX(id) FROM big", 499),
                ):
                    with contextlib.suppress(pymysql.OperationalError, pymysql.InterfaceError):
                        assert rows(connection, sql) == ((expected,),)
                with contextlib.suppress(pymysql.MySQLError):
                    connection.rollback()
            connection.close()
        with connect(read_timeout=PATIENCE) as other:
            assert rows(other, "SELECT 13") == ((13,),)
            assert rows(other, "/* rwsplit: primary */ SELECT 14") == ((14,),)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_transaction_leaves_no_half_of_it(cluster, connect):
    """After rollback() and one more transaction only that one is there, and nothing is locked."""
    dice = random.Random("half")
    with cluster.connect(cluster.primary) as other:
        for number in range(24):
            rows(other, "UPDATE w SET v = 0")
            other.commit()
            connection = connect(autocommit=bool(number % 2), read_timeout=PATIENCE)

            def first(connection=connection):
                connection.begin()
                rows(connection, "SELECT v FROM w")
                rows(connection, "UPDATE w SET v = v + 1 WHERE id = 1")
                rows(connection, "UPDATE w SET v = v + 1 WHERE id = 2")
                rows(connection, "SELECT v FROM w")

            interrupted(first, dice.randint(1, 1200))
            for _ in range(2):
                with contextlib.suppress(pymysql.MySQLError):
                    connection.rollback()
            connection.begin()
            rows(connection, "UPDATE w SET v = v + 10")
            connection.commit()
            assert rows(other, "SELECT v FROM w ORDER BY id") == ((10,), (10,), (10,))
            other.commit()
            connection.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_write_is_seen_if_it_was_committed(cluster, connect):
    dice = random.Random("seen")
    with cluster.connect(cluster.primary) as other:
        for _ in range(16):
            connection = connect(read_timeout=PATIENCE)
            interrupted(
                lambda c=connection: rows(c, "UPDATE w SET v = v + 1 WHERE id = 1"),
                dice.randint(1, 300),
            )
            with contextlib.suppress(pymysql.MySQLError):
                connection.rollback()
            seen = rows(connection, "SELECT v FROM w WHERE id = 1")
            assert seen == rows(other, "SELECT v FROM w WHERE id = 1")
            other.commit()
            rows(connection, "UPDATE w SET v = 0")
            connection.close()


# A handler may run amid the callback of a weak reference: what it raises there nobody sees.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError, Interrupt, RuntimeError])
@pytest.mark.parametrize("hint", ["", "/* rwsplit: primary */ "])
def test_a_signal_that_comes_while_a_statement_waits(connect, error, hint):
    def raise_it(number, frame):
        raise error

    connection = connect(read_timeout=PATIENCE)
    rows(connection, f"{hint}SELECT 1 FROM w")
    before = signal.signal(signal.SIGALRM, raise_it)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with contextlib.suppress(error, pymysql.OperationalError):
            rows(connection, f"{hint}SELECT SLEEP(0.4) FROM w LIMIT 1")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert rows(connection, f"{hint}SELECT 7") == ((7,),)
    connection.close()
    with connect() as other:
        assert rows(other, f"{hint}SELECT 8") == ((8,),)


def test_a_value_that_cannot_be_decoded_ends_no_other_statement(connect):
    def refuse(value):
        raise ValueError(value)

    for hint in ("", "/* rwsplit: primary */ "):
        connection = connect(conv={**pymysql.converters.conversions, 253: refuse})
        with pytest.raises(ValueError, match="x"):
            rows(connection, f"{hint}SELECT v, id FROM big")
        assert rows(connection, f"{hint}SELECT id FROM big WHERE id = 3") == ((3,),)
        with pytest.raises(UnicodeEncodeError):
            rows(connection, "SELECT '\udc80'")
        assert rows(connection, f"{hint}SELECT id FROM big WHERE id = 4") == ((4,),)


def test_a_statement_that_is_no_text_costs_no_transaction(connect):
    connection = connect(autocommit=False, charset="latin1")
    rows(connection, "UPDATE w SET v = 99 WHERE id = 1")
    with pytest.raises(UnicodeEncodeError):
        rows(connection, "SELECT '€'".replace("€", "ā"))
    connection.commit()
    assert rows(connection, "SELECT v FROM w WHERE id = 1") == ((99,),)
