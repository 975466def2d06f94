"""The private names of PyMySQL that the driver builds on are where it expects them."""

import inspect

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql import connections, converters, cursors, protocol

from rwsplit._drivers.pymysql import (
    CONNECT_KEYWORDS,
    DEFAULT_ENCODERS,
    PYMYSQL_KEYWORDS,
    PhysicalConnection,
    keywords_of,
)
from rwsplit._drivers.pymysql.lent import LENT_FACTS
from rwsplit._drivers.pymysql.packets import STATUS_AND_WARNINGS, read_ok
from rwsplit._drivers.pymysql.results import Result

NUMBERS = st.integers(0, 300) | st.integers(0, 2**64 - 1)


def test_the_version_is_one_that_was_read():
    assert pymysql.VERSION[:2] == (1, 2)


def test_the_connection_has_the_methods_that_are_overridden_or_called():
    for name, parameters in {
        "_create_ssl_ctx": ["self", "sslp"],
        "_execute_command": ["self", "command", "sql"],
        "_force_close": ["self"],
        "_get_server_information": ["self"],
        "_read_ok_packet": ["self"],
        "_read_packet": ["self", "packet_type"],
        "_read_query_result": ["self", "unbuffered"],
        "_write_bytes": ["self", "data"],
        "connect": ["self", "sock"],
        "set_character_set": ["self", "charset", "collation"],
    }.items():
        method = getattr(connections.Connection, name)
        assert list(inspect.signature(method).parameters) == parameters, name


def test_connect_calls_what_the_set_up_hooks_into():
    source = inspect.getsource(connections.Connection.connect)
    assert "self._get_server_information()" in source
    assert "self.set_character_set(self.charset, self.collation)" in source
    assert "self._create_ssl_ctx(" in inspect.getsource(connections.Connection.__init__)


def test_connect_runs_what_the_driver_runs_over_a_wire_that_was_left():
    source = inspect.getsource(connections.Connection.connect)
    behind = source[source.index("self.set_character_set(") :]
    assert behind.count("c.execute(") == 2
    assert 'c.execute("SET sql_mode=%s", (self.sql_mode,))' in behind
    assert "c.execute(self.init_command)" in behind
    assert "self.autocommit(self.autocommit_mode)" in behind


def test_the_result_has_the_methods_that_are_overridden():
    for name in ("read", "init_unbuffered_query", "_read_ok_packet", "_get_descriptions"):
        assert name in vars(connections.MySQLResult), name


def test_a_result_is_read_as_the_driver_reads_it():
    source = inspect.getsource(connections.MySQLResult.read)
    behind = source[source.index("first_packet = self.connection._read_packet()") :]
    assert behind.split() == [
        "first_packet",
        "=",
        "self.connection._read_packet()",
        "if",
        "first_packet.is_ok_packet():",
        "self._read_ok_packet(first_packet)",
        "elif",
        "first_packet.is_load_local_packet():",
        "self._read_load_local_packet(first_packet)",
        "else:",
        "self._read_result_packet(first_packet)",
        "finally:",
        "self.connection",
        "=",
        "None",
    ]
    is_ok = inspect.getsource(protocol.MysqlPacket.is_ok_packet)
    assert "return self._data[0] == 0 and len(self._data) >= 7" in is_ok


def test_a_result_begins_as_the_drivers_does():
    begun = vars(connections.MySQLResult(None))
    del begun["connection"]
    assert {name: getattr(Result, name) for name in begun} == begun


def test_the_packet_behind_rows_is_looked_for_where_rows_are_read_and_nowhere_else():
    readers = (
        "_read_rowdata_packet",
        "_read_rowdata_packet_unbuffered",
        "_finish_unbuffered_query",
    )
    calls = "_check_packet_is_eof(packet)"
    source = inspect.getsource(connections.MySQLResult)
    found = [
        inspect.getsource(getattr(connections.MySQLResult, name)).count(calls) for name in readers
    ]
    assert found == [1, 1, 1]
    assert source.count(calls) == 3
    assert all(name in vars(Result) for name in readers)


def test_a_socket_is_read_as_a_file_that_is_made_of_it():
    for method in (
        connections.Connection.connect,
        connections.Connection._request_authentication,
    ):
        source = inspect.getsource(method)
        made = source.count(".makefile(")
        assert made == 1
        # The socket that is read from is the connection's by then.
        before, after = source.split("self._rfile = ")
        assert "self._sock = " in before
        assert after.partition("\n")[0].endswith('sock.makefile("rb")')


def test_rows_are_read_by_the_methods_that_are_overridden():
    for name in (
        *("_read_rowdata_packet", "_read_rowdata_packet_unbuffered"),
        *("_finish_unbuffered_query", "_read_row_from_packet"),
    ):
        assert name in vars(connections.MySQLResult), name
    assert "self._read_rowdata_packet()" in inspect.getsource(
        connections.MySQLResult._read_result_packet
    )


def test_packets_are_read_as_the_driver_reads_them():
    packet = protocol.MysqlPacket(b"abc", "ascii")
    assert packet._data == b"abc"


@given(NUMBERS, NUMBERS, st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=9))
def test_an_ok_packet_is_read_as_pymysql_reads_it(rows, insert_id, status, warnings, tail):
    numbers = connections._lenenc_int(rows) + connections._lenenc_int(insert_id)
    data = b"\0" + numbers + STATUS_AND_WARNINGS.pack(status, warnings) + tail
    packet = protocol.OKPacketWrapper(protocol.MysqlPacket(data, "utf8"))
    fields = (packet.affected_rows, packet.insert_id, packet.server_status, packet.warning_count)
    assert read_ok(data) == (*fields, packet.message)


def test_a_cursor_makes_its_text_with_mogrify_and_sends_it_with_query():
    execute = inspect.getsource(cursors.Cursor.execute)
    assert "query = self._mogrify(query, args)" in execute
    assert "self._query(query)" in execute
    assert "conn.query(q)" in inspect.getsource(cursors.Cursor._query)


def test_the_escaping_that_templates_rely_on_is_pymysqls_default():
    assert converters.encoders == DEFAULT_ENCODERS
    defaults = {key: value for key, value in converters.conversions.items() if type(key) is not int}
    assert defaults == DEFAULT_ENCODERS


@pytest.mark.parametrize("conv", [None, {int: str, 3: int}])
def test_a_connection_has_the_converters_that_pymysql_gives_it(conv, monkeypatch):
    for value in (None, str):
        if value is not None:
            monkeypatch.setitem(converters.conversions, pymysql.FIELD_TYPE.DATE, value)
        plain = pymysql.Connection(defer_connect=True, conv=conv)
        ours = [PhysicalConnection(defer_connect=True, conv=conv) for _ in range(2)]
        for each in ours:
            assert (each.encoders, each.decoders) == (plain.encoders, plain.decoders)
        ours[0].decoders.clear()
        assert ours[1].decoders == plain.decoders


def test_what_is_taken_over_from_a_connection_that_is_lent_is_there():
    plain = pymysql.Connection(defer_connect=True, ssl_disabled=True)
    told = inspect.getsource(connections.Connection._get_server_information)
    for name in LENT_FACTS:
        assert hasattr(plain, name) or f"self.{name} = " in told, name
    assert "self._current_timeout = " in inspect.getsource(connections.Connection.connect)
    assert "self.server_status = " in inspect.getsource(connections.Connection)


def test_the_keywords_of_a_connection_make_another_like_it():
    given = {
        "host": "db1",
        "port": 3307,
        "user": "app",
        "password": "s",
        "charset": "latin1",
        "read_timeout": 5,
        "write_timeout": 6,
        "connect_timeout": 7,
        "use_unicode": False,
        "client_flag": pymysql.constants.CLIENT.FOUND_ROWS,
        "bind_address": "127.0.0.1",
        "conv": {int: str, 3: int},
        "max_allowed_packet": 1 << 20,
        "local_infile": True,
    }
    for more in ({}, {"ssl_disabled": True}, {"ssl_verify_cert": True}):
        plain = pymysql.Connection(**given, **more, defer_connect=True, database="shop")
        again = pymysql.Connection(**keywords_of(plain), defer_connect=True)
        mine, other = vars(plain).copy(), vars(again).copy()
        for name in ("db", "_local_infile", "_connect_attrs"):  # of its session, and its process
            del mine[name], other[name]
        own = pymysql.constants.CLIENT.LOCAL_FILES | pymysql.constants.CLIENT.CONNECT_WITH_DB
        assert not other["client_flag"] & own
        mine["client_flag"] &= ~own
        if not more:  # each has made a context of its own
            del mine["ctx"], other["ctx"]
        assert mine == other


def test_every_keyword_of_pymysql_is_known():
    assert {"host", "read_timeout", "ssl_ca", "init_command", "db"} <= CONNECT_KEYWORDS
    assert len(PYMYSQL_KEYWORDS) == 40
    assert {"dial"} == CONNECT_KEYWORDS - PYMYSQL_KEYWORDS
