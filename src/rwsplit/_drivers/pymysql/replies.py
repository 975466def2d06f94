"""The replies to a set-up of ours: read at once, without the objects that an application's need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymysql.connections import MAX_PACKET_LEN
from pymysql.constants import CR
from pymysql.err import raise_mysql_exception

from ..._core.tracking import read_lenenc
from .. import err

if TYPE_CHECKING:
    from .inbox import Inbox

__all__ = ["Last", "read_replies"]

_OK, _EOF, _NULL, _ERROR = 0x00, 0xFE, 0xFB, 0xFF
_SHORT = 9
"""An EOF packet is shorter."""


class Last:
    """What came before the first row the last time: to the same commands it mostly comes again."""

    __slots__ = ("seen",)

    def __init__(self) -> None:
        self.seen = b"", 0
        """The bytes, and to how many commands they are a whole reply, without rows."""

    def pass_over(self, data: bytes, at: int) -> tuple[int, int]:
        """Return where the first row begins, and how many replies are whole; 0 if others came."""
        known, whole = self.seen
        return (at + len(known), whole) if known and data.startswith(known, at) else (0, 0)


def read_replies(
    inbox: Inbox, count: int, parts_eof: bool, last: Last
) -> tuple[list[list[Any]], int]:
    """Read the replies to so many commands; the rows of each, and the status of the last.

    Values come as the server sent them. `parts_eof` is whether a packet stands between columns and
    rows (no CLIENT_DEPRECATE_EOF). `last` is of the same commands. Raises the first error,
    whatever follows it.
    """
    replies: list[list[Any]] = []
    rows: list[Any] | None = None
    skipped = 0
    if inbox.at == len(inbox.data) and not inbox.receive():
        raise _lost()
    data = inbox.data
    origin = at = inbox.at
    begins, whole = last.pass_over(data, at)
    if begins:
        replies, rows, at, origin = [[] for _ in range(whole)], [], begins, -1
    while True:
        begin = end = at + 4
        if begin <= len(data):
            size = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            if not 0 < size < MAX_PACKET_LEN:
                raise _lost()  # no answer to any of our questions
            end += size
        if end > len(data):
            inbox.at = at
            if not inbox.receive():
                raise _lost()
            data, at = inbox.data, inbox.at
            origin = -1
            continue
        first, number = data[begin], data[at + 3]
        at = end
        if skipped:
            skipped -= 1  # a column, which our questions know, or the packet behind them
        elif first == _ERROR:
            if not number and rows is None:  # a server that shuts down says so unasked
                raise _lost()
            raise_mysql_exception(data[begin:end])
        elif rows is None and first != _OK:
            rows = []
            skipped = first + parts_eof
        elif rows is None or (first == _EOF and not (parts_eof and end - begin >= _SHORT)):
            replies.append(rows or [])
            if len(replies) == count:
                break
            rows = None
        else:
            if origin >= 0 and not any(replies):
                last.seen = data[origin : begin - 4], len(replies)
            origin = -1
            rows.append(_row(data[begin:end]))
    inbox.at = at
    try:
        return replies, _status(data[begin:end], first != _OK and parts_eof)
    except IndexError:
        raise _lost() from None


def _status(last: bytes, is_eof: bool) -> int:
    at = 3
    if not is_eof and (last[1] or last[2]):
        at = read_lenenc(last, read_lenenc(last, 1)[1])[1]
    return last[at] | last[at + 1] << 8


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
