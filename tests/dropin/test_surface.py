"""PyMySQL's surface, name by name: `import rwsplit as pymysql` finds what it looks for."""

import importlib
import inspect
import pkgutil
import sys

import pymysql
import pymysql.constants
import pytest

import rwsplit

SUBMODULES = (
    *("connections", "cursors", "converters", "err", "times", "charset", "optionfile"),
    *("protocol", "_auth", "constants"),
)
CONSTANTS = [module.name for module in pkgutil.iter_modules(pymysql.constants.__path__)]


def test_every_public_name_of_pymysql_is_there():
    missing = [name for name in pymysql.__all__ if not hasattr(rwsplit, name)]
    assert not missing
    for name in ("VERSION", "VERSION_STRING", "TIMESTAMP", "DATETIME", "thread_safe"):
        assert getattr(rwsplit, name) == getattr(pymysql, name)


def test_the_types_and_errors_are_pymysqls_own():
    """`except pymysql.err.OperationalError` goes on catching."""
    for name in pymysql.__all__:
        theirs, ours = getattr(pymysql, name), getattr(rwsplit, name)
        if inspect.isclass(theirs) and name not in ("Connect", "Connection", "connect"):
            assert ours is theirs, name
    for name, value in vars(pymysql.err).items():
        if inspect.isclass(value):
            assert getattr(rwsplit.err, name) is value


def test_connect_is_a_class_of_its_own():
    assert rwsplit.connect is rwsplit.Connect is rwsplit.Connection
    assert rwsplit.Connection is rwsplit.connections.Connection
    assert not issubclass(rwsplit.Connection, pymysql.connections.Connection)


@pytest.mark.parametrize("name", SUBMODULES)
def test_submodules_hold_the_same_names(name):
    theirs = importlib.import_module(f"pymysql.{name}")
    ours = importlib.import_module(f"rwsplit.{name}")
    public = getattr(theirs, "__all__", [n for n in vars(theirs) if not n.startswith("_")])
    for each in public:
        value = getattr(theirs, each)
        defined_here = getattr(value, "__module__", theirs.__name__) == theirs.__name__
        if not inspect.ismodule(value) and defined_here and name != "connections":
            assert getattr(ours, each) is value, each


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_are_real_submodules(name):
    """SQLAlchemy imports them by name, and silently does without if it can't."""
    theirs = importlib.import_module(f"pymysql.constants.{name}")
    ours = __import__(f"rwsplit.constants.{name}", fromlist=["x"])
    values = {key: value for key, value in vars(theirs).items() if not key.startswith("_")}
    assert {key: getattr(ours, key) for key in values} == values


def test_install_as_mysqldb(monkeypatch):
    """Django's imports find rwsplit."""
    before = {name: module for name, module in sys.modules.items() if "MySQLdb" in name}
    try:
        rwsplit.install_as_MySQLdb()
        database = importlib.import_module("MySQLdb")
        assert database is rwsplit
        assert database.version_info >= (2, 2, 1)
        converters = importlib.import_module("MySQLdb.converters")
        assert converters.conversions is pymysql.converters.conversions
        for name in ("CLIENT", "FIELD_TYPE", "CR", "ER", "FLAG"):
            assert importlib.import_module(f"MySQLdb.constants.{name}")
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "MySQLdb"]:
            del sys.modules[name]
        sys.modules.update(before)


def test_methods_have_the_signatures_that_libraries_look_at():
    for name in ("ping", "begin", "commit", "rollback", "select_db", "kill", "query", "escape"):
        theirs = inspect.signature(getattr(pymysql.connections.Connection, name))
        ours = inspect.signature(getattr(rwsplit.Connection, name))
        assert list(ours.parameters) == list(theirs.parameters), name
        for each in ours.parameters:
            assert ours.parameters[each].default == theirs.parameters[each].default


def test_every_public_attribute_of_a_connection_is_there(cluster, connect):
    with cluster.connect(cluster.primary) as plain:
        plain.cursor().execute("SELECT 1")
        # `write_packet` is for authentication plugins, which get the physical connection.
        names = [n for n in dir(plain) if not n.startswith("_") and n != "write_packet"]
    connection = connect()
    connection.cursor().execute("SELECT 1")
    missing = [name for name in names if not hasattr(connection, name)]
    assert not missing
    for name in ("host", "port", "user", "charset", "encoding", "collation", "use_unicode"):
        assert hasattr(connection, name)
    assert connection.db == cluster.connect_options["database"].encode()
    assert connection.get_host_info() == f"socket 127.0.0.1:{cluster.primary.port}"
    assert connection.get_server_info() == connection.server_version
    assert connection.get_proto_info() == 10
    assert connection.character_set_name() == "utf8mb4"
    assert connection.driver_connection.thread_id() == connection.thread_id()
    connection.encoders[int] = lambda value, mapping=None: "77"
    assert connection.escape(1) == "77"


def test_a_connection_can_be_made_later(cluster):
    options = {**cluster.connect_options, "autocommit": True}
    connection = rwsplit.connect(**options, defer_connect=True)
    assert not connection.open
    assert connection.host == "127.0.0.1"
    assert "not connected" in repr(connection)
    with pytest.raises(rwsplit.InterfaceError):
        connection.cursor().execute("SELECT 1")
    connection.connect()
    with connection:
        assert connection.open
        connection.cursor().execute("SELECT 1")


def test_deprecated_aliases_warn_where_they_are_used(cluster):
    options = dict(cluster.connect_options)
    options["db"] = options.pop("database")
    options["passwd"] = options.pop("password")
    with pytest.warns(DeprecationWarning) as caught:
        connection = rwsplit.connect(**options)
    assert {str(warning.message).split("'")[1] for warning in caught} == {"db", "passwd"}
    assert all(warning.filename == __file__ for warning in caught)
    connection.close()


# The same small programs, run through PyMySQL and through rwsplit.


def program_errors(connection):
    cursor = connection.cursor()
    for sql in ("SELEC 1", "SELECT * FROM no_such_table", "SELECT nothing", "", "SELECT 1 FROM"):
        try:
            cursor.execute(sql)
        except Exception as error:
            yield type(error), error.args[0], error.sqlstate
    try:
        cursor.execute("SELECT %s %s", (1,))
    except Exception as error:
        yield type(error), str(error)


def program_results(connection):
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE x (id INT AUTO_INCREMENT PRIMARY KEY, s VARCHAR(9))")
    yield cursor.execute("INSERT INTO x (s) VALUES ('a'), ('b')"), cursor.lastrowid
    yield connection.insert_id(), connection.affected_rows()
    yield cursor._result.message
    yield cursor.execute("UPDATE x SET s = 'a'"), cursor._result.message
    yield cursor.execute("SELECT * FROM x ORDER BY id"), cursor.fetchall(), cursor.lastrowid
    yield connection.insert_id()
    yield cursor.execute("SELECT s, COUNT(*) AS n FROM x GROUP BY s"), cursor.description
    yield cursor.rownumber, cursor.fetchmany(5), cursor.fetchone(), cursor.fetchall()
    yield cursor.execute(b"SELECT 1 AS x"), cursor.fetchone()
    yield cursor.execute(bytearray(b"SELECT 2")), cursor._executed
    yield cursor.execute("SELECT CAST('1x' AS SIGNED)"), cursor.warning_count
    yield connection.show_warnings()
    yield cursor.mogrify("SELECT %s, %s", ("a'b", None)), cursor.mogrify("SELECT 1")
    yield connection.escape("it's"), connection.escape(b"\x00'"), connection.escape([1, "x"])


def program_unbuffered(connection):
    for cls in (pymysql.cursors.SSCursor, pymysql.cursors.SSDictCursor):
        cursor = connection.cursor(cls)
        cursor.execute("SELECT 1 AS a UNION SELECT 2 UNION SELECT 3 ORDER BY a")
        yield cursor.rowcount, cursor.fetchone(), cursor.fetchmany(1), cursor.fetchall()
        yield cursor.fetchone(), cursor.fetchmany(2), cursor.rownumber
        cursor.execute("SELECT 1 AS a UNION SELECT 2 UNION SELECT 3 ORDER BY a")
        yield cursor.fetchone()
        cursor.close()
    cursor = connection.cursor(pymysql.cursors.DictCursor)
    cursor.execute("SELECT 1 AS a, 2 AS a")
    yield cursor.fetchall()


def program_several(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT 1; SELECT 2; SELECT 3")
    yield cursor.fetchall()
    while cursor.nextset():
        yield cursor.fetchall()
    cursor.execute("SELECT 1; SELEC")
    try:
        cursor.nextset()
    except pymysql.err.ProgrammingError as error:
        yield error.args[0]
    cursor.execute("SET @a = 5; SELECT @a")
    yield cursor.nextset(), cursor.fetchall()
    cursor.execute("SELECT 4; SELECT 5")
    yield cursor.execute("SELECT 6"), cursor.fetchall()


def program_escaping(connection):
    """NO_BACKSLASH_ESCAPES changes how text is escaped, at once and for all members."""
    cursor = connection.cursor()
    nasty = "a\\' OR 1=1 -- \\"
    for mode in ("", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", ""):
        cursor.execute("SET SESSION sql_mode = %s", (mode,))
        for _ in range(3):
            cursor.execute("SELECT %s, %s", (nasty, b"\\'"))
            yield mode, cursor.fetchall(), connection.escape(nasty)


def program_closing(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    connection.close()
    for call in (
        lambda: cursor.execute("SELECT 1"),
        connection.commit,
        connection.ping,
        connection.close,
        lambda: connection.select_db("x"),
        lambda: connection.query("SELECT 1"),
    ):
        try:
            call()
        except Exception as error:
            yield type(error), error.args
    yield connection.open


PROGRAMS = [
    *(program_errors, program_results, program_unbuffered, program_several),
    *(program_escaping, program_closing),
]


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__[8:])
@pytest.mark.filterwarnings("ignore::pymysql.err.Warning")
def test_programs_give_the_same_as_with_pymysql(cluster, connect, program, autocommit):
    flags = pymysql.constants.CLIENT.MULTI_STATEMENTS
    plain = cluster.connect(cluster.primary, autocommit=autocommit, client_flag=flags)
    expected = list(program(plain))
    if plain.open:
        plain.close()
    ours = list(program(connect(autocommit=autocommit, client_flag=flags)))
    assert ours == expected


def test_found_rows_counts_the_same_on_all_members(cluster, connect, table):
    connection = connect(client_flag=pymysql.constants.CLIENT.FOUND_ROWS)
    cursor = connection.cursor()
    cursor.execute("INSERT INTO t VALUES (1, 1)")
    assert cursor.execute("UPDATE t SET v = 1") == 1


def test_init_command_reaches_every_member(cluster, connect):
    connection = connect(init_command="SET time_zone = '+05:00', @@group_concat_max_len = 1500")
    cursor = connection.cursor()
    for _ in range(4):
        cursor.execute("SELECT @@time_zone, @@group_concat_max_len")
        assert cursor.fetchone() == ("+05:00", 1500)
        assert cursor.route.role == "replica"


def test_sql_mode_and_charset_reach_every_member(cluster, connect):
    connection = connect(sql_mode="ANSI_QUOTES", charset="latin1", collation="latin1_bin")
    cursor = connection.cursor()
    for _ in range(4):
        cursor.execute("SELECT @@sql_mode, @@collation_connection, 'é' AS \"x\"")
        assert cursor.fetchone() == ("ANSI_QUOTES", "latin1_bin", "é")
        assert cursor.route.role == "replica"


def test_conversions_are_shared_by_all_members(cluster, connect):
    conv = {**pymysql.converters.conversions, pymysql.FIELD_TYPE.LONGLONG: lambda text: "!" + text}
    cursor = connect(conv=conv).cursor()
    for _ in range(3):
        cursor.execute("SELECT %s", (5,))
        assert cursor.fetchone() in (("!5",), (5,))
        assert cursor.route.role == "replica"


def test_an_option_file_is_for_the_primary(cluster, tmp_path):
    """Its socket is the primary's own, and must not be taken for a replica's."""
    file = tmp_path / "my.cnf"
    options = cluster.connect_options
    file.write_text(
        f"[client]\nuser={options['user']}\npassword={options['password']}\n"
        f"database={options['database']}\nsocket={cluster.primary.unix_socket}\n"
    )
    with rwsplit.connect(
        read_default_file=str(file), replicas=options["replicas"], autocommit=True
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT @@server_id")
        replicas = {server.server_id for server in cluster.replicas}
        assert cursor.fetchone()[0] in replicas
        assert connection.host_info == "Localhost via UNIX socket"


def test_a_replica_may_never_ask_for_a_local_file(cluster, connect):
    connection = connect(local_infile=True)
    connection.cursor().execute("SELECT 1")
    members = connection._members.values()
    assert connection._local_infile
    assert not any(member.connection._local_infile for member in members)
    flag = pymysql.constants.CLIENT.LOCAL_FILES
    assert not any(member.connection.client_flag & flag for member in members)


def test_load_data_local_runs_on_the_primary(cluster, connect, table, tmp_path):
    with cluster.admin(cluster.primary) as admin:
        admin.cursor().execute("SET GLOBAL local_infile = ON")
    file = tmp_path / "rows"
    file.write_text("1\t2\n3\t4\n")
    cursor = connect(local_infile=True).cursor()
    cursor.execute(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE t")
    assert cursor.route.role == "primary"
    cursor.execute("SELECT * FROM t ORDER BY id")
    assert cursor.fetchall() == ((1, 2), (3, 4))


def test_a_ping_needs_the_primary_alone(cluster, connect):
    connection = connect()
    connection.cursor().execute("SELECT 1")
    for member in connection._members.values():
        member.connection.kill_socket()
    connection.ping()
    connection.cursor().execute("SELECT 1")


def wait_until_gone(connection, thread):
    cursor = connection.cursor()
    while True:
        cursor.execute("SELECT 1 FROM information_schema.processlist WHERE id = %s", (thread,))
        if not cursor.fetchall():
            return


@pytest.mark.parametrize("replicas", [True, False])
def test_a_killed_thread_is_the_primarys(cluster, connect, replicas):
    """With replicas the connection works on; without it is PyMySQL's, and answers no more."""
    connection, killer = connect(**({} if replicas else {"replicas": None})), connect()
    connection.cursor().execute("SELECT 1")
    thread = connection.thread_id()
    killer.kill(thread)
    wait_until_gone(killer, thread)
    if replicas:
        # Seen before anything was sent, so nothing was lost.
        connection.cursor().execute("DO 1")
        assert connection.route.role == "primary"
        assert connection.thread_id() != thread
    else:
        with pytest.raises(rwsplit.OperationalError) as caught:
            connection.cursor().execute("DO 1")
        assert caught.value.args[0] in (2006, 2013)
        for sql in ("SHOW TABLES", "SELECT 1", "DO 0"):
            with pytest.raises(rwsplit.InterfaceError):
                connection.cursor().execute(sql)
    with pytest.raises(TypeError):
        killer.kill("1")


@pytest.mark.parametrize("tls", [{"ssl_disabled": True}, {}])
def test_tls_is_preferred_by_all_members_and_can_be_switched_off(cluster, connect, tls):
    connection = connect(**tls)
    cursor = connection.cursor()
    with cluster.admin(cluster.primary) as admin:
        asking = admin.cursor()
        asking.execute("SELECT @@have_ssl" if cluster.flavor == "mariadb" else "SELECT 'YES'")
        capable = asking.fetchone()[0] == "YES"
    for sql in ("/* rwsplit: primary */ SHOW SESSION STATUS LIKE 'Ssl_cipher'", "SELECT 1"):
        cursor.execute(sql)
    cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    encrypted = bool(cursor.fetchone()[1])
    assert encrypted == (capable and not tls)


def test_the_primary_is_lost_without_a_trace_of_its_password(cluster):
    options = {**cluster.connect_options, "port": 1}
    with pytest.raises(rwsplit.OperationalError) as caught:
        rwsplit.connect(**options)
    assert cluster.connect_options["password"] not in str(caught.value)
