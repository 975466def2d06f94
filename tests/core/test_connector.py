"""mysql-connector-python: what is read of its packets and errors, and the names built on."""

import inspect
from types import SimpleNamespace

import pytest

import rwsplit
from rwsplit._core.tracking import only_gtid, parse_tails
from rwsplit._core.wire import Capability, Kind
from rwsplit._drivers import err
from rwsplit._drivers.foreign import application_error, driver_of
from rwsplit._drivers.foreign.driver import house_error
from rwsplit._drivers.foreign.results import Answered, Field
from rwsplit._drivers.pymysql import fault_of

connector = pytest.importorskip("mysql.connector")
cursors = pytest.importorskip("mysql.connector.cursor")
DRIVER = driver_of(connector)
errors = connector.errors


# What is wrapped.


def test_it_is_known_by_its_module_its_connect_and_its_class():
    for given in (connector.connect, connector.MySQLConnection, connector.MySQLConnection()):
        assert driver_of(given) is DRIVER, given


def test_a_connection_of_the_c_extension_or_of_a_pool_is_not_taken():
    for name in ("connection_cext.CMySQLConnection", "pooling.PooledMySQLConnection"):
        package, _, name = name.rpartition(".")
        other = type(name, (), {"__module__": f"mysql.connector.{package}"})()
        with pytest.raises(TypeError, match=r"can't wrap .*C extension or pool"):
            rwsplit.wrap(other)
        with pytest.raises(TypeError, match="returned a connection of mysql-connector-python's C"):
            rwsplit.wrap(lambda endpoint, found=other: found, primary="db1")()


def test_one_that_is_too_old_is_named():
    old = SimpleNamespace(__version_info__=(9, 2, 0), __name__="mysql.connector")
    with pytest.raises(TypeError, match=r"from 9\.3 on"):
        type(DRIVER)(old)


def test_it_is_pure_or_nothing():
    with pytest.raises(connector.NotSupportedError, match="use_pure"):
        DRIVER.connect({"use_pure": False})


@pytest.mark.parametrize("keyword", ["pool_name", "failover", "nonsense"])
def test_a_keyword_that_its_connections_do_not_have_is_refused_as_it_does(keyword):
    with pytest.raises(AttributeError, match=f"Unsupported argument '{keyword}'"):
        DRIVER.connect({keyword: "x", "port": 1})


def test_all_of_its_keywords_are_known():
    defaults = inspect.getmodule(connector.ClientFlag).DEFAULT_CONFIGURATION
    assert {*defaults} - DRIVER.keywords == {"dsn", "dns_srv"}


# Errors.


@pytest.mark.parametrize(
    ("number", "state", "name"),
    [(1062, "23000", "IntegrityError"), (1146, "42S02", "ProgrammingError")],
)
def test_an_error_comes_back_as_what_it_was(number, state, name):
    error = errors.get_mysql_exception(number, "text", state)
    here = house_error(DRIVER, error)
    assert type(here) is getattr(err, name)
    assert here.args == (number, "text")
    assert fault_of(here).kind is Kind.OTHER
    assert application_error(DRIVER, here) is error


@pytest.mark.parametrize(
    "error",
    [
        errors.InterfaceError(errno=2013),
        errors.OperationalError(errno=2055, values=("db1:3306", "broken pipe")),
        errors.OperationalError("MySQL Connection not available"),
        errors.InterfaceError("Expected EOF packet"),
        errors.ReadTimeoutError(errno=3024),
        errors.get_mysql_exception(4031, "disconnected by the server", "HY000"),
        errors.get_mysql_exception(1927, "Connection was killed", "70100"),
    ],
    ids=str,
)
def test_of_a_connection_that_is_lost(error):
    assert line(b"").is_lost(error)
    assert fault_of(house_error(DRIVER, error)).kind is Kind.LOST


def test_the_limit_of_a_statement_is_not_one_of_the_wire():
    """MySQL's max_execution_time has the number that the driver gives to a wire's."""
    over = errors.get_mysql_exception(3024, "Query execution was interrupted", "HY000")
    assert not line(b"").is_lost(over)
    assert house_error(DRIVER, over).args[0] == 3024


@pytest.mark.parametrize(("number", "kind"), [(1040, Kind.FULL), (2059, Kind.DENIED)])
def test_of_a_connect_that_is_refused(number, kind):
    error = errors.get_mysql_exception(number, "text", None)
    assert fault_of(house_error(DRIVER, error)).kind is kind


def test_an_error_that_rwsplit_makes_is_of_the_drivers_class():
    made = application_error(DRIVER, err.NotSupportedError(1235, "no"))
    assert type(made) is connector.NotSupportedError
    assert (made.errno, made.msg, str(made)) == (1235, "no", "1235: no")
    unknown = application_error(DRIVER, rwsplit.OutcomeUnknown(2013, "lost", "db1", None))
    assert isinstance(unknown, connector.OperationalError)
    assert isinstance(unknown, rwsplit.OutcomeUnknown)
    assert (unknown.errno, unknown.msg, unknown.endpoint) == (2013, "lost", "db1")


def test_a_deadlock_of_rwsplits_own_is_what_a_servers_is():
    here = err.OperationalError(1213, "Deadlock found")
    here.sqlstate = "40001"
    theirs = errors.get_mysql_exception(1213, "Deadlock found", "40001")
    made = application_error(DRIVER, here)
    assert (type(made), made.args) == (type(theirs), theirs.args)


def test_a_closed_connection_is_the_drivers():
    error = application_error(DRIVER, err.InterfaceError(0, ""))
    assert type(error) is connector.OperationalError


# Packets.


class Told(connector.MySQLConnection):
    """A connection that has packets, and no server."""

    def __init__(self, *packets):
        super().__init__()
        self._socket = SimpleNamespace(
            recv=lambda timeout=None: packets.pop(0), send=self._note, close_connection=bool
        )
        packets = [bytearray(packet) for packet in packets]
        self.sent = []
        self._protocol = inspect.getmodule(connector.MySQLConnection).MySQLProtocol()
        every = 0xFFFFFFFF
        self._handshake = {
            "capabilities": every,
            "server_version_original": "9.7.4",
            "server_threadid": 7,
        }
        self._client_flags |= connector.ClientFlag.SESSION_TRACK

    def _note(self, data, *_):
        self.sent.append(data)

    def cmd_quit(self):
        pass


def packet(payload, number=1):
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


def ok(status=2, affected=b"\x01", insert_id=b"\x00", tail=b""):
    return packet(b"\0" + affected + insert_id + status.to_bytes(2, "little") + b"\0\0" + tail)


def line(*packets):
    return DRIVER.line(Told(*packets))


GTID = b"88c36cae-ec0d-11f1-8962-02fc00000001:6"
BLOCK = b"\x03" + bytes([len(GTID) + 2]) + b"\0" + bytes([len(GTID)]) + GTID


def test_what_a_write_is_told_is_read_behind_the_drivers_back():
    tail = b"\0" + bytes([len(BLOCK)]) + BLOCK
    for affected in (b"\x05", b"\xfc\x00\x01", b"\xfd\0\0\1", b"\xfe\0\0\0\0\1\0\0\0"):
        told = line(ok(0x4002, affected, tail=tail))
        told.run(b"UPDATE t SET v = 1")
        assert told.status() == 0x4002
        assert only_gtid(told.report()) == GTID
        answer = told.take_ours()
        assert answer.affected_rows == {1: 5, 3: 256, 4: 65536, 9: 4294967296}[len(affected)]
        assert told.connection.sent == [b"\x03UPDATE t SET v = 1"]


def test_an_answer_of_two_has_two_reports():
    state = b"\0\x04\x02\x02\x011"
    told = line(ok(0x400A, tail=state), ok(0x4002, tail=b"\0" + bytes([len(BLOCK)]) + BLOCK))
    told.run(b"SET @a = 1; UPDATE t SET v = 1")
    assert told.status() & 8
    tails = [told.report()]
    told.advance()
    tails.append(told.report())
    (first, second) = (parse_tails([tail])[0] for tail in tails)
    assert first.state_changed and second != first


def test_rows_are_kept_as_they_were_sent():
    count = packet(b"\x01")
    column = packet(
        b"\x03def\0\0\0\x01v\0\x0c" + (63).to_bytes(2, "little") + b"\1\0\0\0\x08\x81\0\0\0\0"
    )
    end, rows = packet(b"\xfe\0\0\x22\0"), [packet(b"\x0242"), packet(b"\xfb")]
    told = line(count, column, packet(b"\xfe\0\0\x02\0"), *rows, end)
    told.run(b"SELECT v FROM t")
    answer = told.take(False, None)
    assert (answer.affected_rows, answer.rows) == (2, [(b"42",), (None,)])
    assert [(each.type_code, each.flags) for each in answer.fields] == [(8, 0x81)]
    assert told.status() == 0x22
    assert answer.handle.fetch_row(1) == [(b"42",)]
    assert DRIVER.read(Made, answer.handle, answer.handle.fetch_row(0), True) == [(None,)]


def test_an_error_whose_text_can_not_be_read_is_not_the_wires():
    told = line(packet(b"\xff\x7a\x04#42S02Table '\xfc' doesn't exist"))
    with pytest.raises(connector.Error) as unreadable:
        told.run(b"SELECT 1")
    assert not told.is_lost(unreadable.value)
    assert fault_of(house_error(DRIVER, unreadable.value)).kind is Kind.OTHER


def test_a_connection_that_was_made_without_it_tells_nothing():
    own = Told()
    own._client_flags &= ~connector.ClientFlag.SESSION_TRACK
    assert Capability.TRACKS_WRITES not in DRIVER.line(own).offers
    assert Capability.TRACKS_WRITES in line().offers


# Results of rwsplit's own.


class Made:
    """What a connection reads rows with."""

    _raw = False
    converter = connector.conversion.MySQLConverter("utf8")


def test_a_made_result_is_read_as_a_servers():
    made = DRIVER.made([("name", True), ("n", False)], [("ä", 1), (b"b", None)])
    assert Answered(made, None, 2).field_count == 2
    assert DRIVER.read(Made, made, made.fetch_row(1), None) == [("ä", 1)]
    assert DRIVER.read(Made, made, made.fetch_row(0), None) == [("b", None)]
    assert made.fetch_row(1) == []
    again = DRIVER.made([Field(made.describe()[0], 1)], [("x",)])
    assert again.describe() == [made.describe()[0]]


# Cursors.


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ((None, None, None), "MySQLCursor"),
        ((True, None, None), "MySQLCursorBuffered"),
        ((True, True, None), "MySQLCursorBufferedRaw"),
        ((None, True, None), "MySQLCursorRaw"),
        ((True, None, True), "MySQLCursorBufferedDict"),
        ((False, None, True), "MySQLCursorDict"),
    ],
)
def test_the_classes_of_cursors_are_those_that_the_driver_takes(how, name):
    last = SimpleNamespace(_buffered=False, _raw=False)
    cls = DRIVER.cursor_of(last, *how, None)
    assert issubclass(cls, getattr(cursors, name))
    assert DRIVER.cursor_class(cls) is cls


def test_there_is_no_raw_cursor_of_dicts():
    last = SimpleNamespace(_buffered=False, _raw=True)
    with pytest.raises(ValueError, match="raw, dictionary"):
        DRIVER.cursor_of(last, None, None, True, None)
    with pytest.raises(connector.ProgrammingError):
        DRIVER.cursor_of(last, None, None, None, list)


# The names that are built on.


def test_a_cursor_asks_its_connection_for_all():
    source = inspect.getsource(cursors.MySQLCursor)
    for called in (
        *("cmd_query(", "get_rows(", "get_row(", "handle_unread_result()", "unread_result"),
        *("cmd_query_iter(", "_have_next_result", "_handle_result(", "_socket.recv(", "get_self()"),
        *("can_consume_results", "converter", "sql_mode", "python_charset", "get_warnings"),
        "raise_on_warnings",
    ):
        assert f"_connection.{called}" in source, called


def test_a_connection_has_what_the_driver_calls():
    own = connector.MySQLConnection()
    for name in (
        *("_socket", "_handshake", "_client_flags", "_compress", "_autocommit", "_query"),
        *("_local_infile_filenames", "_read_timeout", "_write_timeout", "_character_set"),
        *("_charset_id", "_handle_result", "_handle_ok", "_buffered", "_raw", "_host", "_port"),
        *("_unix_socket", "_user", "_password", "converter", "unread_result", "get_rows"),
    ):
        assert hasattr(own, name), name
