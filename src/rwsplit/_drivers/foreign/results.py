"""What a wrapped driver's statement was answered with, as flows and cursors see it."""

from __future__ import annotations

import datetime
import weakref
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from ..._core.sql.fingerprint import Fingerprint

__all__ = ["Answered", "Field", "MadeRows", "Renamed", "Stream", "nobody", "take_in"]

_MORE_RESULTS = 0x0008
_VAR_STRING, _LONGLONG = 253, 8
_NOT_NULL = 1

Column = tuple[Any, ...]
"""What PEP 249 has in a `description`."""


class Field(NamedTuple):
    """A column of a server's result."""

    column: Column
    flags: int

    @property
    def type_code(self) -> int:
        """The protocol's number of its type."""
        code: int = self.column[1]
        return code


class Answered:
    """One answer: its counts, and the driver's own result where it has rows.

    :param handle: the driver's result; None for an answer without rows.
    :param rows_of: reads the rows of a stored result again.
    """

    __slots__ = (
        *("_handle", "_rows", "_rows_of", "_stream", "affected_rows", "field_count", "info"),
        *("insert_id", "message", "route", "server_status", "thread", "warning_count"),
    )

    def __init__(
        self, handle: Any, rows_of: Callable[[Any], Sequence[Any]], server_status: int
    ) -> None:
        self._stream: weakref.ref[Stream] | None = None
        self._handle = handle
        self._rows_of = rows_of
        self._rows: Sequence[Any] | None = None
        self.server_status = server_status
        self.field_count = 0 if handle is None else len(handle.describe())
        self.affected_rows: Any = 0
        self.insert_id = 0
        self.warning_count = 0
        self.info: Any = None
        self.message = b""
        self.route: Any = None
        self.thread = 0

    @property
    def handle(self) -> Any:
        """The driver's result; None where there are no rows."""
        return self._handle if self._stream is None else self._stream()

    def hand_over(self) -> Any:
        """Return it for a cursor. A stream is its alone: with it, what is left of that goes."""
        handle = self.handle
        if isinstance(handle, Stream):
            self._stream, self._handle = weakref.ref(handle), None
        return handle

    @property
    def unbuffered_active(self) -> bool:
        """Whether there are rows that nobody has read yet."""
        handle = self.handle
        return isinstance(handle, Stream) and not handle.is_over

    @property
    def has_next(self) -> bool:
        """Whether another result follows."""
        return bool(self.server_status & _MORE_RESULTS)

    @property
    def fields(self) -> Sequence[Field]:
        """The columns."""
        handle = self.handle
        if handle is None:
            return ()
        return [*map(Field, handle.describe(), handle.field_flags())]

    @property
    def rows(self) -> Sequence[Any]:
        """The rows of a stored result."""
        if self._rows is None:
            self._rows = () if self._handle is None else self._rows_of(self._handle)
        return self._rows

    def take(self, handle: Any) -> None:
        """Answer with something else in the place of the rows."""
        self._handle, self._stream = handle, None

    def take_rows(self, rows: Sequence[Any]) -> None:
        """Keep the rows as they were read: they are for rwsplit."""
        self._rows = rows


class Stream:
    """The driver's result of which rows are read one by one; it notes its end.

    :param ended: is told that all was read, or what went wrong.
    """

    def __init__(self, handle: Any, ended: Callable[[Exception | None], None]) -> None:
        self._handle = handle
        self._ended = ended
        self.is_over = False

    def fetch_row(self, maxrows: int = 1, how: int = 0) -> Sequence[Any]:
        """Return the next rows; all for 0."""
        if self.is_over:
            return ()
        try:
            rows: Sequence[Any] = self._handle.fetch_row(maxrows, how)
        except Exception as error:
            self._end(error)
            raise
        if not maxrows or len(rows) < maxrows:
            self._end(None)
        return rows

    def discard(self) -> None:
        """Throw away what is left."""
        if not self.is_over:
            self._handle.discard()
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        self.is_over = True
        self._ended(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)


class Renamed:
    """The driver's result with other names for its columns."""

    def __init__(self, handle: Any, columns: Sequence[Column]) -> None:
        self._handle = handle
        self._columns = tuple(columns)

    def describe(self) -> Sequence[Column]:
        """Return the columns."""
        return self._columns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)


class MadeRows:
    """A result that no server sent, as mysqlclient's cursors read one.

    :param columns: of each the name and whether it holds text; or those of a server's result.
    """

    def __init__(self, columns: Sequence[Any], rows: Sequence[tuple[Any, ...]]) -> None:
        self._columns = tuple(map(_column, columns))
        self._left = [*rows]

    def describe(self) -> Sequence[Column]:
        """Return the columns."""
        return self._columns

    def field_flags(self) -> Sequence[int]:
        """Return the columns' flags."""
        return (_NOT_NULL,) * len(self._columns)

    def num_rows(self) -> int:
        """Tell how many rows are left."""
        return len(self._left)

    def fetch_row(self, maxrows: int = 1, how: int = 0) -> Sequence[Any]:
        """Return the next rows, all for 0: tuples, or dicts where `how` is not 0."""
        end = maxrows or len(self._left)
        rows, self._left[:end] = self._left[:end], []
        if not how:
            return tuple(rows)
        names = [column[0] for column in self._columns]
        return tuple([dict(zip(names, row, strict=True)) for row in rows])

    def discard(self) -> None:
        """Throw away what is left."""
        self._left.clear()


def nobody(error: Exception | None) -> None:
    """Be told of the end of a stream that there is none of."""


def take_in(answer: Answered, fingerprint: Fingerprint) -> None:
    """Take the rows of an answer into a fingerprint, as the application sees them.

    What may be the same and look otherwise can't be compared, nor can a stream.
    """
    handle = answer.handle
    if handle is None:
        return
    fingerprint.columns = tuple([column[:2] for column in handle.describe()])
    rows = [] if answer.unbuffered_active else answer.rows
    kinds = {type(value) for row in rows for value in row}
    if answer.unbuffered_active or not kinds <= _COMPARED:
        fingerprint.is_stream, fingerprint.is_whole = True, False
        return
    for row in rows:
        fingerprint.add(repr(row).encode("utf-8", "surrogatepass"))


_COMPARED = {
    *(int, float, str, bytes, bool, Decimal, type(None)),
    *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta),
}
"""Types whose values are the same if they look the same."""


def _column(column: Any) -> Column:
    if isinstance(column, Field):
        return column.column
    name, is_text = column
    kind = _VAR_STRING if is_text else _LONGLONG
    return name, kind, None, 1024, 1024, 0, True
