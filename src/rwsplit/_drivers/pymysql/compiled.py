"""Rows made by compiled code, where asyncmy is installed (`rwsplit[fast]`): to the same values.

It is imported with the first large result, and used only if it makes of a sample what it should.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

from pymysql.converters import convert_date, convert_datetime, convert_time, convert_timedelta

from .rows import Converters

__all__ = ["LARGE", "compiled_rows", "maker"]

LARGE = 8 * 1024
"""So many bytes must have come to be worth it."""

_Maker = Callable[[bytes, int, int, tuple[Any, ...]], tuple[int, int, list[Any]]]
"""Makes rows of bytes, from where on, and from which sequence number on, by these columns."""


def compiled_rows(
    data: bytes, at: int, number: int, converters: Converters
) -> tuple[int, int, list[Any]] | None:
    """Make the rows that lie whole in `data` from `at` on.

    Returns where what follows them is, its sequence number, and the rows; None if they are to be
    made in Python: with converters that are not PyMySQL's own, or a value that can't be converted.
    """
    make = maker()
    if make is None:
        return None
    try:
        columns = tuple([_COLUMNS.get(each) or _text_column(each) for each in converters])
    except TypeError:  # a converter that can't be hashed
        return None
    return None if None in columns else make(data, at, number, columns)


@cache
def maker() -> _Maker | None:
    """Return what makes rows; None if it is not installed, or is not what it was."""
    try:
        # Imported when first needed: it takes longer than all of rwsplit.
        from asyncmy.errors import MySQLError  # noqa: PLC0415
        from asyncmy.protocol import parse_rows_from_buffer  # noqa: PLC0415
    except ImportError:
        return None

    def make(
        data: bytes, at: int, number: int, columns: tuple[Any, ...]
    ) -> tuple[int, int, list[Any]]:
        rows: list[Any] = []
        try:
            end, then = parse_rows_from_buffer(
                bytearray(data), at, len(data), columns, number, rows, True
            )
        except (ValueError, ArithmeticError, TypeError, SystemError, MySQLError):
            return at, number, []  # which row's value it is shows in Python
        return end, then, rows

    return make if make(*_SAMPLE) == _MADE else None


def _text_column(column: tuple[str | None, Any]) -> tuple[int, str, None] | None:
    encoding, converter = column
    return None if converter is not None or encoding is None else (_DECODED, encoding, None)


def _date(text: str) -> Any:
    if len(text) == 10 and text[4:8:3] == "--":
        try:
            return datetime.date.fromisoformat(text)
        except ValueError:
            pass  # a date that no calendar has
    return convert_date(text)


def _datetime(text: str) -> Any:
    # 24:00 is midnight, to newer Pythons.
    if (
        text[4:17:3] == "-- ::"
        and text[11:13] != "24"
        and (len(text) == 19 or (len(text) <= 26 and text[19] == "." and text[20:].isdigit()))
    ):
        try:
            return datetime.datetime.fromisoformat(text)
        except ValueError:
            pass
    return convert_datetime(text)


_BYTES, _UTF8, _ASCII, _DECODED = range(4)
"""What a column's bytes are made into before they are converted."""

_COLUMNS: dict[tuple[str | None, Any], tuple[int, str | None, Any]] = {
    (None, None): (_BYTES, None, None),
    ("utf8", None): (_UTF8, None, None),
    ("ascii", None): (_ASCII, None, None),
    ("ascii", int): (_BYTES, None, int),
    ("ascii", float): (_ASCII, None, float),
    ("ascii", Decimal): (_ASCII, None, Decimal),
    ("ascii", convert_date): (_ASCII, None, _date),
    ("ascii", convert_datetime): (_ASCII, None, _datetime),
    ("ascii", convert_timedelta): (_ASCII, None, convert_timedelta),
    ("ascii", convert_time): (_ASCII, None, convert_time),
}
"""By PyMySQL's encoding and converter what is made of a column, and by which function."""

_SAMPLE = (
    b"????" + b"\x08\x00\x00\xff\x0212\xfb\x03\xc3\xa4b" + b"\x07\x00\x00\x00\x02-1\x011\x01-"
    b"\x05\x00\x00\x01\xfe\x00\x00\x02\x00",
    4,
    255,
    ((_BYTES, None, int), (_ASCII, None, float), (_UTF8, None, None)),
)
_MADE = 27, 1, [(12, None, "äb"), (-1, 1.0, "-")]
