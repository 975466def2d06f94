"""What PyMySQL's users find on a connection is there and behaves alike, closed or amid threads.

The right value is plain PyMySQL's on the primary; but for threads, which PyMySQL gives each other's
rows: they get an error.
"""

import contextlib
import copy
import gc
import json
import pickle
import subprocess
import sys
import threading
import time
import warnings
import weakref

import pymysql
import pytest
from pymysql.constants import COMMAND
from pymysql.cursors import DictCursor, SSCursor

import rwsplit
from rwsplit._core.setup.options import parse_options
from rwsplit._core.setup.url import parse_url

from .oracle import kill_primary

PATIENCE = 20

ENDS_AMID = """
import json, sys
import rwsplit
connection = rwsplit.connect(**json.loads(sys.argv[1]))
cursor = connection.cursor()
cursor.execute("SELECT COUNT(*) FROM information_schema.tables")
print(connection._session.snapshot is not None)
"""


def test_a_program_ends_whatever_is_open(cluster):
    """Threads die with the locks that they held, and nobody may wait for those."""
    given = json.dumps(cluster.connect_options)
    for _ in range(3):
        programs = [
            subprocess.Popen(
                [sys.executable, "-c", ENDS_AMID, given],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        for program in programs:
            try:
                said, complaints = program.communicate(timeout=60)
            finally:
                program.kill()
            assert (said, complaints, program.returncode) == ("True\n", "", 0)


def plain_options(cluster, **overrides):
    options = {**cluster.connect_options, "autocommit": True, **overrides}
    del options["replicas"]
    return options


@pytest.fixture
def plain(cluster):
    connection = pymysql.connect(**plain_options(cluster))
    yield connection
    if connection.open:
        connection.close()


def rows(connection, sql, kind=None):
    cursor = connection.cursor(kind)
    cursor.execute(sql)
    return cursor.fetchall()


# Names.

PRIVATE = (
    *("_write_bytes", "_read_packet", "_execute_command", "_read_query_result", "_read_ok_packet"),
    *("_read_bytes", "_escape_string", "_force_close", "_result", "_affected_rows", "_sock"),
    *("_rfile", "_closed", "_secure", "_next_seq_id", "_read_timeout", "_write_timeout"),
    *("_auth_plugin_name", "_connect_attrs", "_local_infile"),
)


def test_every_name_of_a_connection_and_its_cursors_is_there(plain, connect):
    connection = connect()
    rows(plain, "SELECT 1")
    rows(connection, "SELECT 1")
    public = [name for name in dir(plain) if not name.startswith("_")]
    missing = [name for name in (*public, *PRIVATE) if not hasattr(connection, name)]
    assert not missing
    for kind in (None, DictCursor, SSCursor):
        theirs, ours = plain.cursor(kind), connection.cursor(kind)
        assert not [name for name in dir(theirs) if not hasattr(ours, name)]
    for name in public:
        assert callable(getattr(plain, name)) == callable(getattr(connection, name)), name


def test_what_methods_return(cluster, plain, connect, table):
    def program(connection):
        for what in (
            lambda c: c.begin(),
            lambda c: c.commit(),
            lambda c: c.rollback(),
            lambda c: c.autocommit(False),
            lambda c: c.autocommit(True),
            lambda c: c.ping(),
            lambda c: c.select_db("shop"),
            lambda c: c.set_character_set("utf8mb4"),
            lambda c: c.show_warnings(),
            lambda c: c.query("SELECT 1"),
            lambda c: c.query("DO 0"),
            lambda c: c.affected_rows(),
            lambda c: c.insert_id(),
            lambda c: c.kill(victim(c)),
            lambda c: c.escape("a'b"),
            lambda c: c._escape_string("a'b"),
            lambda c: c.character_set_name(),
            lambda c: c.get_proto_info(),
            lambda c: c.get_autocommit(),
            lambda c: c.open,
            lambda c: c.close(),
            lambda c: c.open,
        ):
            yield what(connection)

    def victim(connection):
        other.append(rwsplit.connect(**options, autocommit=True))
        return other[-1].thread_id()

    other, options = [], {**cluster.connect_options, "replicas": None}
    assert [*program(connect())] == [*program(plain)]


@pytest.mark.parametrize("state", ["deferred", "closed", "forced", "forced and closed"])
def test_errors_of_a_connection_that_is_not_open(cluster, state):
    """The same class and number, whatever is done with it."""

    def in_state(connection):
        if "forced" in state:
            connection._force_close()
        if "closed" in state:
            connection.close()
        return connection

    def program(module, options):
        for what in (
            lambda c: c.query("SELECT 1"),
            lambda c: c.cursor().execute("SELECT 1"),
            lambda c: c.cursor(SSCursor).execute("SELECT 1"),
            lambda c: c.cursor().callproc("p"),
            lambda c: c.cursor().fetchall(),
            lambda c: c.cursor().close(),
            lambda c: c.begin(),
            lambda c: c.commit(),
            lambda c: c.rollback(),
            lambda c: c.ping(),
            lambda c: c.select_db("shop"),
            lambda c: c.set_character_set("utf8mb4"),
            lambda c: c.show_warnings(),
            lambda c: c.kill(1),
            lambda c: c.kill("1"),
            lambda c: c.affected_rows(),
            lambda c: c.insert_id(),
            lambda c: c.escape(1),
            lambda c: c.open,
            lambda c: c._force_close(),
            lambda c: c.close(),
            lambda c: (c._force_close(), c.close()),
            lambda c: (c.close(), c.close()),
            lambda c: (c.connect(), rows(c, "SELECT 1"), c.close()),
        ):
            deferred = state == "deferred"
            connection = in_state(module.connect(**options, defer_connect=deferred))
            try:
                yield what(connection)
            except Exception as error:
                yield type(error), error.args[:1]

    expected = [*program(pymysql, plain_options(cluster))]
    found = [*program(rwsplit, {**cluster.connect_options, "autocommit": True})]
    assert found == expected, [
        p for p in zip(range(99), found, expected, strict=False) if p[1] != p[2]
    ]


def test_a_block_ends_well_however_its_connection_ended(connect):
    with connect() as connection:
        connection._force_close()
    with pytest.raises(pymysql.Error), connect() as connection:
        connection.close()


# Who speaks the protocol.


def test_who_speaks_the_protocol_goes_on_on_the_primary(cluster, plain, connect, table):
    def program(connection):
        def run(sql):
            connection._execute_command(COMMAND.COM_QUERY, sql)
            connection._affected_rows = connection._read_query_result()
            return connection._result.rows, connection.affected_rows()

        yield rows(connection, "SELECT COUNT(*) FROM t")
        yield run("SELECT 1 UNION SELECT 2 ORDER BY 1")
        yield run("INSERT INTO t VALUES (1, 1)")
        yield rows(connection, "SELECT * FROM t")
        yield run("SET @a = 5, sql_mode = 'ANSI_QUOTES'")
        yield rows(connection, 'SELECT @a, v AS "x" FROM t')
        yield run("BEGIN")
        yield run("UPDATE t SET v = 7")
        connection.rollback()
        yield rows(connection, "SELECT * FROM t")
        run("BEGIN")
        run("UPDATE t SET v = 8")
        connection.commit()
        yield rows(connection, "SELECT * FROM t")
        connection._execute_command(COMMAND.COM_STATISTICS, "")
        yield connection._read_packet().get_all_data().startswith(b"Uptime")
        connection._execute_command(COMMAND.COM_PING, "")
        yield connection._read_ok_packet().affected_rows
        connection._next_seq_id = 0
        connection._write_bytes(b"\x01\x00\x00\x00" + bytes([COMMAND.COM_PING]))
        connection._next_seq_id = 1
        yield connection._read_packet().is_ok_packet()
        with pytest.raises(pymysql.ProgrammingError):
            run("SELECT * FROM no_such_table")
        yield rows(connection, "SELECT COUNT(*) FROM t")
        rows(connection, "DELETE FROM t")

    expected = [*program(plain)]
    assert [*program(connect())] == expected
    assert next(program(connect(autocommit=False, session_id="x"))) == expected[0]
    ours = connect()
    ours._execute_command(COMMAND.COM_QUERY, "DO 0")
    ours._read_query_result()
    cursor = ours.cursor()
    cursor.execute("SELECT v FROM t")
    assert cursor.route.role == "primary"


# Keywords as texts.


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"max_wait": "0.5"}, {"max_wait": 0.5}),
        ({"pool_size": "3"}, {"pool_size": 3}),
        ({"primary_share": "0.25"}, {"primary_share": 0.25}),
        ({"track_positions": "false"}, {"track_positions": False}),
        ({"track_positions": "1"}, {"track_positions": True}),
        ({"max_staleness": "2"}, {"max_staleness": 2.0}),
        ({"primary_wait": "3", "max_snapshot": "1.5"}, {"primary_wait": 3, "max_snapshot": 1.5}),
        ({"replicas": "a,b:3307"}, {"replicas": ["a", "b:3307"]}),
        ({"replicas": ("a", "b:3307")}, {"replicas": ["a", "b:3307"]}),
        ({"replicas": "a"}, {"replicas": ["a"]}),
        ({"replicas": ""}, {"replicas": []}),
        ({"replicas": "discover"}, {"replicas": "discover"}),
        ({"replicas": "[::1]:3307,b"}, {"replicas": ["[::1]:3307", "b"]}),
        ({"after": ""}, {"after": None}),
        ({"consistency": "Global", "session_id": "7"}, {"consistency": "global", "session_id": 7}),
    ],
)
def test_a_keyword_may_come_as_text(said, meant):
    assert parse_options(said, 3306, frozenset()) == parse_options(meant, 3306, frozenset())


@pytest.mark.parametrize(
    "said",
    [
        {"max_wait": "soon"},
        {"max_wait": ""},
        {"max_wait": "-1"},
        {"max_wait": "nan"},
        {"pool_size": "1.5"},
        {"pool_size": "-1"},
        {"track_positions": "perhaps"},
        {"primary_share": "2"},
        {"functions": "f=read"},
        {"hints": "x"},
        {"tags": "a=b"},
    ],
)
def test_a_text_that_says_nothing_is_a_value_error_that_names_the_keyword(said):
    with pytest.raises(ValueError, match=next(iter(said))):
        parse_options(said, 3306, frozenset())


@pytest.mark.parametrize("scheme", ["mysql+pymysql", "mariadb+pymysql", "MYSQL+PyMySQL", "mysql"])
def test_sqlalchemys_url_is_read(scheme):
    found = parse_url(f"{scheme}://app:pw@db:3307/shop?replicas=a,b&max_wait=1")
    assert found["host"] == "db"
    assert found["replicas"] == ["a", "b"]
    assert found["max_wait"] == 1.0


def test_a_connection_is_made_of_texts(cluster):
    """As SQLAlchemy hands its URL's query over."""
    texts = {"max_wait": "0.5", "pool_size": "10", "track_positions": "yes", "after": ""}
    replicas = ",".join(cluster.connect_options["replicas"])
    options = {**cluster.connect_options, **texts, "replicas": replicas}
    with rwsplit.connect(**options) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 7")
        assert cursor.fetchall() == ((7,),)
        assert cursor.route.role == "replica"
        assert len(connection.cluster.replicas) == 2


# Threads.


def at_once(*actions):
    """Run each in a thread of its own; returns what each returned or raised."""
    found = [None] * len(actions)

    def run(number, action):
        try:
            found[number] = action()
        except Exception as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return found


@pytest.mark.parametrize("hint", ["", "/* rwsplit: primary */ "])
@pytest.mark.parametrize("kind", [None, SSCursor, DictCursor])
def test_threads_on_one_connection_get_their_own_rows_or_an_error(connect, hint, kind, table):
    connection = connect(read_timeout=PATIENCE)
    rows(connection, f"{hint}SELECT 1 FROM t")

    def worker(number):
        right = wrong = refused = 0
        for each in range(60):
            mine = number * 1000 + each
            try:
                found = rows(connection, f"{hint}SELECT {mine} AS x", kind)
            except pymysql.InterfaceError as error:
                assert "another thread" in error.args[1]
                refused += 1
            else:
                value = next(iter(found))
                right += value in ((mine,), {"x": mine})
                wrong += value not in ((mine,), {"x": mine})
        return right, wrong, refused

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = at_once(*[lambda n=n: worker(n) for n in range(4)])
    assert sum(right for right, _, _ in found) > 0
    assert sum(wrong for _, wrong, _ in found) == 0
    assert rows(connection, f"{hint}SELECT 5") == ((5,),)


def test_whatever_another_thread_does_amid_a_statement_is_refused(cluster, connect, table):
    connection = connect(read_timeout=PATIENCE)
    position = connection.position
    with cluster.connect(cluster.primary) as other:
        rows(other, "LOCK TABLES t WRITE")
        waits = threading.Thread(target=lambda: rows(connection, "INSERT INTO t VALUES (1, 1)"))
        waits.start()
        while not connection.driver_connection.due:
            pass
        for what in (
            lambda: rows(connection, "SELECT 1"),
            lambda: rows(connection, "SELECT 1", SSCursor),
            lambda: rows(connection, "INSERT INTO t VALUES (2, 2)"),
            lambda: connection.query("SET @a = 1"),
            connection.commit,
            connection.rollback,
            connection.begin,
            connection.ping,
            connection.show_warnings,
            connection.next_result,
            lambda: connection.autocommit(False),
            lambda: connection.select_db("shop"),
            lambda: connection.set_character_set("utf8mb4"),
            lambda: connection.kill(1),
            lambda: connection.position,
            lambda: connection.wait_for(position, 1),
            lambda: connection._execute_command(COMMAND.COM_PING, ""),
        ):
            with pytest.raises(pymysql.InterfaceError, match="another thread"):
                what()
        rows(other, "UNLOCK TABLES")
        waits.join(60)
    assert rows(connection, "SELECT id FROM t") == ((1,),)


def test_a_streams_rows_are_not_read_amid_a_statement_of_another_thread(cluster, connect, table):
    connection = connect(read_timeout=PATIENCE)
    stream = connection.cursor(SSCursor)
    stream.execute("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")
    stream.fetchone()
    with cluster.connect(cluster.primary) as other:
        rows(other, "LOCK TABLES t WRITE")
        waits = threading.Thread(target=lambda: rows(connection, "INSERT INTO t VALUES (1, 1)"))
        waits.start()
        while not connection.driver_connection.due:
            pass
        with pytest.raises(pymysql.InterfaceError, match="another thread"):
            stream.fetchone()
        rows(other, "UNLOCK TABLES")
        waits.join(60)
    assert stream.fetchall() == [(2,), (3,)]


def wires_of(connection):
    members = [*connection._members.values()]
    return (connection.driver_connection, *[member.connection for member in members])


@pytest.mark.parametrize("hint", ["", "/* rwsplit: primary */ "])
def test_close_amid_a_statement_of_another_thread_ends_it(connect, hint, table):
    connection = connect(read_timeout=PATIENCE)
    rows(connection, f"{hint}SELECT 1 FROM t")
    found = []

    def waits():
        try:
            found.append(rows(connection, f"{hint}SELECT SLEEP(10) FROM DUAL"))
        except pymysql.Error as error:
            found.append(error)

    thread = threading.Thread(target=waits)
    thread.start()
    while not any(each.due for each in wires_of(connection)):
        pass
    connection.close()
    thread.join(60)
    assert not thread.is_alive()
    with pytest.raises(pymysql.Error):
        connection.close()
    with pytest.raises(pymysql.InterfaceError):
        rows(connection, "SELECT 1")
    with connect() as other:
        assert rows(other, f"{hint}SELECT 6") == ((6,),)


def test_one_thread_after_the_other_may_use_a_connection(connect, table):
    connection = connect()
    for number in range(3):
        (found,) = at_once(lambda n=number: rows(connection, f"SELECT {n}"))
        assert found == ((number,),)
    with contextlib.suppress(pymysql.ProgrammingError):
        rows(connection, "SELECT * FROM no_such_table")
    (found,) = at_once(lambda: rows(connection, "SELECT 4"))
    assert found == ((4,),)


# What the application assigns, and what it lets go of.


def test_what_says_how_rows_are_read_is_so_for_all_members(cluster, connect, table):
    """`decoders` and `use_unicode`, assigned before and behind the first read on a replica."""

    def program(connection):
        rows(connection, "REPLACE INTO t VALUES (1, 7)")
        decoders = connection.decoders
        for _ in range(2):
            connection.decoders = {}
            yield [rows(connection, "SELECT v FROM t") for _ in range(3)]
            connection.decoders = decoders
            connection.use_unicode = False
            yield [rows(connection, "SELECT HEX(v) FROM t") for _ in range(3)]
            connection.use_unicode = True
            yield [rows(connection, "SELECT v, HEX(v) FROM t") for _ in range(3)]

    expected = [*program(pymysql.connect(**plain_options(cluster)))]
    assert expected[0][0] == (("7",),)
    connection = connect(max_wait=5)
    assert [*program(connection)] == expected
    assert connection.route.role == "replica"


@pytest.mark.parametrize("db", ["", b"", None])
def test_no_name_of_a_schema_is_none(plain, connect, db):
    def program(connection):
        try:
            connection.select_db(db)
        except (pymysql.MySQLError, TypeError) as error:
            yield type(error), error.args[0]
        yield rows(connection, "SELECT @x, DATABASE()")

    ours = connect()
    for connection in (plain, ours):
        rows(connection, "SET @x = 1")
    assert [*program(ours)] == [*program(plain)]


def test_an_error_of_a_later_result_leaves_no_insert_id(cluster, connect):
    def program(connection):
        rows(connection, "SELECT 1; SELECT no_such_column")
        with pytest.raises(pymysql.MySQLError):
            connection.next_result()
        return connection.insert_id()

    options = {"client_flag": pymysql.constants.CLIENT.MULTI_STATEMENTS}
    expected = program(pymysql.connect(**plain_options(cluster, **options)))
    assert program(connect(**options)) == expected == 0


LONG = (
    "SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b, "
    "information_schema.columns c WHERE a.table_name <> b.column_name"
)


def cancelled_in_a_snapshot(connection):
    connection.autocommit(False)
    rows(connection, "SELECT * FROM t")
    timer = threading.Timer(0.3, connection.cancel)
    timer.start()
    try:
        rows(connection, LONG)
    finally:
        timer.join()


LEFT = {
    "nothing": lambda c: None,
    "a read": lambda c: rows(c, "SELECT * FROM t"),
    "a read on the primary": lambda c: rows(c, "SELECT * FROM t /* rwsplit: primary */"),
    "a transaction": lambda c: (c.begin(), rows(c, "REPLACE INTO t VALUES (1, 5)")),
    "a snapshot": lambda c: (c.autocommit(False), rows(c, "SELECT * FROM t")),
    "a state": lambda c: (rows(c, "SET @x = NOW()"), rows(c, "SELECT @x FROM t")),
    "a replica's error": lambda c: rows(c, "SELECT no_such_column"),
    "a table that is not there": lambda c: rows(c, "SELECT * FROM no_such_table"),
    "an error of the primary": lambda c: rows(c, "INSERT INTO no_such_table VALUES (1)"),
    "a state that is refused": lambda c: rows(c, "SET @x = 1, sql_mode = 'nonsense'"),
    "a stream": lambda c: c.cursor(SSCursor).execute("SELECT * FROM t"),
    "several results": lambda c: c.cursor().execute("SELECT 1; SELECT 2"),
    "a closed connection": lambda c: c.close(),
    "a read in a snapshot that was cancelled": cancelled_in_a_snapshot,
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("options", [{}, {"session_id": "left"}], ids=str)
def test_a_connection_that_nobody_holds_is_closed_at_once(cluster, plain, left, options, table):
    """As PyMySQL's: its transaction keeps no row locked until the garbage collector comes."""
    flag = pymysql.constants.CLIENT.MULTI_STATEMENTS
    options = {**cluster.connect_options, "autocommit": True, "client_flag": flag, **options}
    gc.disable()
    try:
        connection = rwsplit.connect(**options)
        with contextlib.suppress(pymysql.MySQLError):
            LEFT[left](connection)
        seen = weakref.ref(connection)
        del connection
        assert seen() is None
    finally:
        gc.enable()
        gc.collect()
    rows(plain, "SET innodb_lock_wait_timeout = 5")
    rows(plain, "REPLACE INTO t VALUES (1, 6)")


def test_an_unknown_outcome_can_be_handed_on():
    """Job queues and pools of processes pickle the errors of what they run."""
    error = rwsplit.OutcomeUnknown(2013, "Lost connection", "db1:3306", None)
    for found in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(found) is rwsplit.OutcomeUnknown
        assert found.args == error.args
        assert (found.endpoint, found.position) == ("db1:3306", None)


@pytest.mark.parametrize("autocommit", [True, False])
def test_close_amid_a_wait_for_a_primary_ends_it(cluster, connect, plain, table, autocommit):
    """Nothing is written behind close(), and nothing is opened again."""
    with cluster.link(cluster.primary) as link:
        options = {"host": "127.0.0.1", "port": link.port, "connect_timeout": 5}
        first = connect(**options, autocommit=autocommit, primary_wait=PATIENCE)
        second = connect(**options, consistency="global", primary_wait=PATIENCE)
        steps = {first: "REPLACE INTO t VALUES (1, 9)", second: "SELECT COUNT(*) FROM t"}
        for connection in steps:
            rows(connection, "SELECT COUNT(*) FROM t")
            connection.rollback()
        link.cut()
        found = {}

        def run(connection):
            try:
                found[connection] = rows(connection, steps[connection])
            except pymysql.Error as error:
                found[connection] = error

        threads = [threading.Thread(target=run, args=(each,)) for each in steps]
        for thread in threads:
            thread.start()
        until = time.monotonic() + PATIENCE
        while first.cluster.primary_is_up and time.monotonic() < until:
            time.sleep(0.01)
        for connection in steps:
            connection.close()
        for thread in threads:
            thread.join(PATIENCE / 2)
            assert not thread.is_alive()
        link.mend()
        for connection in steps:
            assert isinstance(found[connection], pymysql.InterfaceError), found
            assert not connection.open
            assert connection.driver_connection._sock is None
        assert rows(plain, "SELECT * FROM t") == ()
        first.cluster.close()


@pytest.mark.parametrize("charset", ["utf8mb4", "latin1"])
@pytest.mark.parametrize("options", [{}, {"autocommit": False}, {"session_id": "set"}], ids=str)
def test_a_character_set_is_set_on_a_connection_that_was_idle_for_too_long(
    cluster, connect, options, charset
):
    connection = connect(**options)
    rows(connection, "SET @x = 'e'")
    connection.rollback()
    kill_primary(cluster, connection)
    connection.set_character_set(charset)
    assert rows(connection, "SELECT @x, @@character_set_client") == (("e", charset),)
    assert rows(connection, "/* rwsplit: primary */ SELECT 1") == ((1,),)
