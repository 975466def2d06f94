"""The private names of PyMySQL that the driver builds on are where it expects them."""

import inspect

import pymysql
import pytest
from pymysql import connections, converters, cursors, protocol

from rwsplit._drivers.pymysql import (
    CONNECT_KEYWORDS,
    DEFAULT_ENCODERS,
    PYMYSQL_KEYWORDS,
    PhysicalConnection,
)


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


def test_the_result_has_the_methods_that_are_overridden():
    for name in ("_read_ok_packet", "_check_packet_is_eof", "_get_descriptions"):
        assert name in vars(connections.MySQLResult), name
    source = inspect.getsource(connections.MySQLResult)
    assert source.count("_check_packet_is_eof(packet)") == 3


def test_packets_are_read_as_the_driver_reads_them():
    packet = protocol.MysqlPacket(b"abc", "ascii")
    assert packet._data == b"abc"


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


def test_every_keyword_of_pymysql_is_known():
    assert {"host", "read_timeout", "ssl_ca", "init_command", "db"} <= CONNECT_KEYWORDS
    assert len(PYMYSQL_KEYWORDS) == 40
    assert {"dial"} == CONNECT_KEYWORDS - PYMYSQL_KEYWORDS
