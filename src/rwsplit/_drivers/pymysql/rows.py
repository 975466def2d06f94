"""Rows of the text protocol, many at once: taken apart in one loop, converted column by column.

What comes out is what PyMySQL makes of the same bytes, and whatever is out of the ordinary is left
to PyMySQL.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import partial
from itertools import repeat
from typing import Any

from pymysql.converters import convert_date, convert_datetime, convert_time, convert_timedelta

__all__ = ["Converters", "rows_of", "skip_rows", "split_rows"]

Converters = Sequence[tuple[str | None, Any]]
"""Of each column PyMySQL's encoding, None for bytes, and its converter, None for none."""

_Values = list[Any]
_Reader = Callable[[_Values], Iterable[Any]]
"""Makes of a column's bytes its values."""

_NULL = 0xFB
_TWO_BYTES, _THREE_BYTES = 0xFC, 0xFD
_NO_ROW = 0xFE
"""From here on the first byte is that of the last packet, of an error, or of a value of 16 MB."""

_FEW = 4
"""Fewer rows are converted one by one sooner."""


def split_rows(
    data: bytes,
    at: int,
    number: int,
    width: int,
    values: _Values,
    take: Callable[[bytes], None] | None,
) -> tuple[int, int, bool]:
    """Take the rows apart that lie whole in `data` from `at` on.

    The bytes of their values are put behind `values`, None for NULL, and each row as it is is
    given to `take`. Stops at the first packet that is no row, is not whole, or is not as it should
    be: returns where that is, its sequence number, and whether there was a NULL.
    """
    append = values.append
    columns = range(width)
    length = len(data)
    has_null = False
    begin = at
    try:
        while True:
            begin = at
            end = at + 4 + (data[at] | data[at + 1] << 8 | data[at + 2] << 16)
            if end > length or data[at + 3] != number:
                break
            at += 4
            if data[at] >= _NO_ROW:
                break
            for _ in columns:
                size = data[at]
                at += 1
                if size < _NULL:
                    append(data[at : (at := at + size)])
                elif size == _NULL:
                    append(None)
                    has_null = True
                elif size == _TWO_BYTES:
                    size = data[at] | data[at + 1] << 8
                    at += 2
                    append(data[at : (at := at + size)])
                elif size == _THREE_BYTES:
                    size = data[at] | data[at + 1] << 8 | data[at + 2] << 16
                    at += 3
                    append(data[at : (at := at + size)])
                else:
                    break
            else:
                if at == end:
                    number = (number + 1) & 0xFF
                    if take is not None:
                        take(data[begin + 4 : end])
                    continue
                del values[-width:]
            break
    except IndexError:
        pass
    del values[len(values) - len(values) % width :]
    return begin, number, has_null


def skip_rows(data: bytes, at: int, number: int) -> tuple[int, int]:
    """Pass over the rows that `split_rows` would take apart."""
    length = len(data)
    while at + 4 < length:
        size = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        end = at + 4 + size
        if end > length or data[at + 3] != number or not size or data[at + 4] >= _NO_ROW:
            break
        at = end
        number = (number + 1) & 0xFF
    return at, number


def rows_of(values: _Values, converters: Converters, has_null: bool) -> Iterable[tuple[Any, ...]]:
    """Make rows of the bytes of their values.

    With converters that are not PyMySQL's own, or a value that can't be converted, each row is made
    when it is asked for: the others are as they are.
    """
    width = len(converters)
    if len(values) == width:
        return map(_row, (converters,), (values,))
    if len(values) >= _FEW * width:
        readers = [*map(_reader_of, converters)]
        if None not in readers:
            try:
                return [*zip(*_columns(values, readers, has_null), strict=True)]
            except (ValueError, ArithmeticError, TypeError):
                pass  # which row's value it is shows when that is made
    return map(partial(_row, converters), zip(*[iter(values)] * width, strict=True))


def _row(converters: Converters, values: Sequence[bytes | None]) -> tuple[Any, ...]:
    """Make a row as PyMySQL does."""
    row: list[Any] = []
    for (encoding, converter), data in zip(converters, values, strict=True):
        value: Any = data
        if data is not None:
            if encoding is not None:
                value = data.decode(encoding)
            if converter is not None:
                try:
                    value = converter(value)
                except StopIteration as error:  # it would be taken for the end of the rows
                    raise RuntimeError("a converter raised StopIteration") from error
        row.append(value)
    return tuple(row)


def _columns(
    values: _Values, readers: Sequence[_Reader | None], has_null: bool
) -> Iterable[Iterable[Any]]:
    """Make of the bytes of rows the values of each column."""
    width = len(readers)
    for index, reader in enumerate(readers):
        column = values[index::width]
        assert reader is not None
        if has_null and None in column:
            there = [data for data in column if data is not None]
            made = iter(reader(there) if there else ())
            yield [data if data is None else next(made) for data in column]
        else:
            yield reader(column)


def _reader_of(column: tuple[str | None, Any]) -> _Reader | None:
    """Return what makes a column's values at once; None if only one by one will do."""
    try:
        known = _READERS.get(column)
    except TypeError:  # a converter that can't be hashed
        return None
    if known is not None:
        return known
    encoding, converter = column
    if converter is not None or encoding is None:
        return None
    return lambda values: [data.decode(encoding) for data in values]


def _as_they_are(column: _Values) -> _Values:
    return column


def _decimals(column: _Values) -> Iterable[Decimal]:
    return map(Decimal, map(str, column, repeat("ascii")))


def _times_reader(shapes: frozenset[bytes], quick: Any, converter: Any) -> _Reader:
    """Return what makes dates or times, all at once if all are written in one of the `shapes`."""

    def read(column: _Values) -> Iterable[Any]:
        shape = column[0].translate(_DIGITS)
        if shape in shapes:
            text = b"\n".join(column)
            same = text.translate(_DIGITS) == b"\n".join([shape] * len(column))
            if same and b" 24:" not in text:  # midnight, to newer Pythons
                try:
                    return [*map(quick, text.decode("ascii").split("\n"))]
                except ValueError:
                    pass  # a date that no calendar has
        return map(converter, column)

    return read


_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_DATE = b"0000-00-00"
_DATETIME = _DATE + b" 00:00:00"
_DATETIMES = frozenset([_DATETIME, *(_DATETIME + b"." + b"0" * n for n in range(1, 7))])

_ints, _floats = partial(map, int), partial(map, float)
_dates = _times_reader(frozenset([_DATE]), datetime.date.fromisoformat, convert_date)
_datetimes = _times_reader(_DATETIMES, datetime.datetime.fromisoformat, convert_datetime)
_timedeltas, _times = partial(map, convert_timedelta), partial(map, convert_time)

_READERS: dict[tuple[str | None, Any], _Reader] = {
    (None, None): _as_they_are,
    ("utf8", None): partial(map, bytes.decode),
    ("ascii", Decimal): _decimals,
    **{
        (encoding, converter): reader
        for encoding in ("ascii", None)
        for converter, reader in (
            (int, _ints),
            (float, _floats),
            (convert_date, _dates),
            (convert_datetime, _datetimes),
            (convert_timedelta, _timedeltas),
            (convert_time, _times),
        )
    },
}
"""By encoding and converter: these change nothing but the bytes that they are given, so the order
in which they run does not show."""
