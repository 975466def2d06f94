"""The keywords of a connection to one server, and how PyMySQL escapes parameters."""

from __future__ import annotations

import datetime
import inspect
import time
from decimal import Decimal
from typing import Any

from pymysql.connections import Connection
from pymysql.converters import (
    Decimal2Literal,
    conversions,
    escape_bool,
    escape_bytes,
    escape_date,
    escape_datetime,
    escape_float,
    escape_int,
    escape_None,
    escape_not_supported,
    escape_str,
    escape_struct_time,
    escape_time,
    escape_timedelta,
)

__all__ = [
    "CONNECT_KEYWORDS",
    "DEFAULT_ENCODERS",
    "PYMYSQL_KEYWORDS",
    "PlainConnection",
    "converters",
]

PlainConnection = Connection
"""PyMySQL's own class, whatever `rwsplit.patch()` has put under its name."""

PYMYSQL_KEYWORDS = frozenset(inspect.signature(Connection.__init__).parameters) - {"self"}
"""The keywords of PyMySQL's own `connect()`."""

CONNECT_KEYWORDS = PYMYSQL_KEYWORDS | {"dial"}
"""Those that each connection to a server takes."""

DEFAULT_ENCODERS: dict[Any, Any] = {
    bool: escape_bool,
    int: escape_int,
    float: escape_float,
    str: escape_str,
    bytes: escape_bytes,
    tuple: escape_not_supported,
    list: escape_not_supported,
    set: escape_not_supported,
    frozenset: escape_not_supported,
    dict: escape_not_supported,
    type(None): escape_None,
    datetime.date: escape_date,
    datetime.datetime: escape_datetime,
    datetime.timedelta: escape_timedelta,
    datetime.time: escape_time,
    time.struct_time: escape_struct_time,
    Decimal: Decimal2Literal,
}
"""PyMySQL's own escaping, written out: applications put functions of theirs into its table."""

_Sorted = tuple[dict[Any, Any], dict[Any, Any], dict[int, Any]]

_sorted: _Sorted = {}, {}, {}
"""PyMySQL's table of converters as it was when last looked at, its encoders, and its decoders."""


def converters() -> tuple[dict[Any, Any], dict[int, Any]]:
    """Return PyMySQL's encoders and decoders as it sorts its table of them, in dicts of their own.

    Applications put functions of theirs into that table.
    """
    global _sorted  # noqa: PLW0603
    known = _sorted
    if known[0] != conversions:
        table = dict(conversions)
        encoders = {key: each for key, each in table.items() if type(key) is not int}
        decoders = {key: each for key, each in table.items() if type(key) is int}
        known = _sorted = table, encoders, decoders
    return known[1].copy(), known[2].copy()
