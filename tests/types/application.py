"""An application, as a type checker sees it: `tests/core/test_types.py` runs mypy on this file.

What stands behind `E:` is the code of the error that the line must have; no other may have one.
"""

from __future__ import annotations

import datetime
import socket
from collections.abc import Iterator, Sequence
from typing import Any, assert_type

import rwsplit
import rwsplit as pymysql
from rwsplit.constants import CLIENT, ER
from rwsplit.cursors import Cursor, DictCursor, SSCursor, SSDictCursor

Row = tuple[Any, ...]
DictRow = dict[str, Any]


class Mine(DictCursor):
    def first(self) -> DictRow:
        row = self.fetchone()
        assert row is not None
        return row


def connections() -> None:
    plain = rwsplit.connect(host="db1", replicas=["db2", {"host": "db3", "weight": 2}])
    assert_type(plain, rwsplit.Connection)
    assert_type(plain, rwsplit.Connection[Cursor])
    assert_type(rwsplit.connect("rwsplit://db1/shop?replicas=db2"), rwsplit.Connection[Cursor])
    assert_type(pymysql.Connection(host="db1"), rwsplit.Connection[Cursor])
    assert_type(rwsplit.connect(host="db1", cursorclass=DictCursor), rwsplit.Connection[DictCursor])
    with plain as entered:
        assert_type(entered, rwsplit.Connection[Cursor])
    assert_type(plain.commit(), None)
    assert_type(plain.position, str)

    rwsplit.connect(host="db1", pasword="x")  # E: call-overload
    rwsplit.connect(host="db1", consistency="strong")  # E: call-overload
    rwsplit.connect(host="db1", cursorclass=int)  # E: type-var


def cursors(connection: rwsplit.Connection) -> None:
    cursor = connection.cursor()
    assert_type(cursor, Cursor)
    assert_type(cursor.execute("SELECT %s", (1,)), int)
    assert_type(cursor.fetchone(), Row | None)
    assert_type(cursor.fetchmany(3), Sequence[Row])
    assert_type(cursor.fetchall(), Sequence[Row])
    for row in cursor:
        assert_type(row, Row)
    with connection.cursor() as entered:
        assert_type(entered, Cursor)
    with connection.cursor(DictCursor) as entered_dicts:
        assert_type(entered_dicts, DictCursor)

    dicts = connection.cursor(DictCursor)
    assert_type(dicts.fetchone(), DictRow | None)
    assert_type(dicts.fetchall(), Sequence[DictRow])
    for each in dicts:
        assert_type(each, DictRow)
    dicts.fetchall()[0][0]  # E: index
    cursor.fetchall()[0]["id"]  # E: call-overload

    stream = connection.cursor(SSCursor)
    assert_type(stream.fetchone(), Row | None)
    assert_type(stream.fetchall(), list[Row])
    assert_type(stream.fetchall_unbuffered(), Iterator[Row])
    assert_type(connection.cursor(SSDictCursor).fetchall(), list[DictRow])
    assert_type(connection.cursor(SSDictCursor).fetchall_unbuffered(), Iterator[DictRow])

    mine = connection.cursor(Mine)
    assert_type(mine, Mine)
    assert_type(mine.first(), DictRow)
    connection.cursor(3)  # E: call-overload


def cursorclass(connection: rwsplit.Connection[DictCursor]) -> None:
    assert_type(connection.cursor(), DictCursor)
    assert_type(connection.cursor().fetchone(), DictRow | None)
    assert_type(connection.cursor(Cursor), Cursor)
    cursors(connection)  # E: arg-type


def routes(connection: rwsplit.Connection) -> str:
    cursor = connection.cursor()
    assert_type(cursor.route, rwsplit.RouteTaken | None)
    assert_type(connection.route, rwsplit.RouteTaken | None)
    assert_type(connection.cursor(Mine).route, rwsplit.RouteTaken | None)
    assert cursor.route is not None
    assert_type(cursor.route.role, str)
    assert_type(cursor.route.waited, float)
    assert_type(cursor.route.cause, rwsplit.Cause)
    return cursor.route.endpoint


def errors(cursor: Cursor) -> None:
    try:
        cursor.execute("INSERT INTO t VALUES (1)")
    except rwsplit.OutcomeUnknown as unknown:
        assert_type(unknown, rwsplit.OutcomeUnknown)
    except pymysql.err.IntegrityError as error:
        assert_type(error, rwsplit.IntegrityError)
        assert_type(error.sqlstate, str | None)
    except rwsplit.MySQLError:
        pass
    assert_type(ER.DUP_ENTRY, int)
    assert_type(CLIENT.FOUND_ROWS, int)
    assert_type(pymysql.constants.FIELD_TYPE.BLOB, int)
    ER.DUP_ENTRIES  # E: attr-defined


def names() -> None:
    assert_type(pymysql.Binary(b"x"), bytes)
    assert_type(pymysql.Timestamp(2026, 1, 1), datetime.datetime)
    assert_type(pymysql.TimeFromTicks(0), datetime.time)
    assert_type(pymysql.converters.escape_string("a"), str)
    assert_type(pymysql.version_info[0], int)
    assert_type(pymysql.FIELD_TYPE.JSON == pymysql.STRING, bool)
    assert_type(pymysql.connections.DEFAULT_CHARSET, str)


class Tokens:
    def token(self, endpoint: rwsplit.Endpoint) -> str:
        return f"{endpoint.host}:{endpoint.port}"


def dial(endpoint: rwsplit.Endpoint) -> socket.socket | rwsplit.Secured:
    return rwsplit.Secured(socket.create_connection((endpoint.host, endpoint.port)))


def sources() -> None:
    rwsplit.connect(host="db1", password=Tokens().token, dial=dial)
    rwsplit.connect(host="db1", password=lambda: b"secret")
    rwsplit.connect(host="db1", password=lambda: 3)  # E: arg-type
    rwsplit.connect(host="db1", dial=lambda endpoint: None)  # E: arg-type
