"""The replies to a set-up of ours: read at once, without the objects that an application's need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymysql.connections import MAX_PACKET_LEN
from pymysql.constants import CR
from pymysql.err import raise_mysql_exception

from ..._core.tracking import read_lenenc
from .. import err

__all__ = ["read_replies"]

_OK, _EOF, _NULL, _ERROR = 0x00, 0xFE, 0xFB, 0xFF
_SHORT = 9
"""An EOF packet is shorter."""

Read = Callable[[int], bytes]


def read_replies(read: Read, count: int, parts_eof: bool) -> tuple[list[list[Any]], int]:
    """Read the replies to so many commands; the rows of each, and the status of the last.

    Values come as the server sent them. `parts_eof` is whether a packet stands between columns and
    rows (no CLIENT_DEPRECATE_EOF). Raises the first error, whatever follows it.
    """
    try:
        return _read(read, count, parts_eof)
    except IndexError:  # what was read ended before it should
        raise _lost() from None


def _read(read: Read, count: int, parts_eof: bool) -> tuple[list[list[Any]], int]:
    size_of = int.from_bytes
    replies: list[list[Any]] = []
    for _ in range(count):
        rows: list[Any] = []
        header = read(4)
        last = read(size_of(header[:3], "little"))
        first = last[0]
        if first == _ERROR:
            if not header[3]:  # a server that shuts down says so unasked
                raise _lost()
            raise_mysql_exception(last)
        elif first != _OK:
            # Columns, which our questions know, and perhaps the packet behind them.
            for _ in range(first + parts_eof):
                read(size_of(read(4)[:3], "little"))
            last = read(size_of(read(4)[:3], "little"))
            while last[0] != _EOF or (parts_eof and len(last) >= _SHORT):
                if last[0] == _ERROR:
                    raise_mysql_exception(last)
                if len(last) >= MAX_PACKET_LEN:
                    raise _lost()  # more than any of our questions is answered with
                rows.append(_row(last))
                last = read(size_of(read(4)[:3], "little"))
        replies.append(rows)
    if (first != _OK and parts_eof) or not (last[1] or last[2]):
        at = 3
    else:
        at = read_lenenc(last, read_lenenc(last, 1)[1])[1]
    return replies, last[at] | last[at + 1] << 8


def _lost() -> err.OperationalError:
    return err.OperationalError(CR.CR_SERVER_LOST, "Lost connection to MySQL server during query")


def _row(data: bytes) -> tuple[bytes | None, ...]:
    values: list[bytes | None] = []
    at, end = 0, len(data)
    while at < end:
        size = data[at]
        at += 1
        if size > _NULL:
            size, at = read_lenenc(data, at - 1)
        elif size == _NULL:
            values.append(None)
            continue
        values.append(data[at : at + size])
        at += size
    return tuple(values)
