"""Values as SQL that means the same on every member, whatever its sql_mode and character set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

__all__ = ["as_text", "literal", "quote_identifier", "simple_assignments", "user_value"]

_PLAIN_TEXT = re.compile(r"[A-Za-z0-9_,.:/+ -]*")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def as_text(value: Any) -> Any:
    """Return a value as text where it came as bytes; else as it is."""
    return value.decode() if isinstance(value, bytes) else value


def quote_identifier(name: str) -> str:
    """Quote an identifier; right under every sql_mode (MySQL manual, Schema Object Names)."""
    return "`" + name.replace("`", "``") + "`"


def literal(value: object) -> str:
    """Write a value as SQL that means the same under every sql_mode and character set."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    text = str(value)
    if _NUMBER.fullmatch(text):
        return text
    if _PLAIN_TEXT.fullmatch(text):
        return f"'{text}'"
    return f"_utf8mb4 X'{text.encode().hex()}'"


# Column types of user variables (MySQL manual, Protocol::ColumnDefinition).
_DOUBLE = frozenset({4, 5})
_INTEGER = frozenset({1, 2, 3, 8, 9, 13})
_DECIMAL = frozenset({0, 246})
_UNSIGNED = 32
_NAME = re.compile(r"[a-z0-9_]+")
_LEAST = "-9223372036854775808"


def user_value(
    column: tuple[int, int],
    printed: str | None,
    charset: str,
    collation: str,
    digits: str | None,
) -> str:
    """Write a user variable's value, with its type, character set and collation.

    :param column: type and flags of the column that `SELECT @v` gives.
    :param printed: the value as a server prints it.
    :param charset: what CHARSET(@v) says, and `collation` what COLLATION(@v) says.
    :param digits: what HEX(@v) says.

    >>> user_value((253, 0), "é", "latin1", "latin1_bin", "E9")
    "_latin1 X'E9' COLLATE latin1_bin"
    >>> user_value((246, 0), "5", "binary", "binary", "5"), user_value((5, 0), "0.1", "", "", "0")
    ("CAST('5' AS DECIMAL(65,0))", '0.1e0')

    Raises ValueError for an answer that no server gives.
    """
    if printed is None or digits is None:
        return "NULL"
    kind, flags = column
    if kind in _INTEGER:
        number = str(int(printed))
        if flags & _UNSIGNED:
            return f"CAST({number} AS UNSIGNED)"
        return f"CAST('{number}' AS SIGNED)" if number == _LEAST else number
    if kind in _DOUBLE:
        float(printed)
        return printed if "e" in printed.lower() else f"{printed}e0"
    if kind in _DECIMAL:
        if not _NUMBER.fullmatch(printed):
            raise ValueError(f"no decimal: {printed!r}")
        return printed if "." in printed else f"CAST('{printed}' AS DECIMAL(65,0))"
    bytes.fromhex(digits)
    if collation == "binary":
        return f"X'{digits}'"
    if not _NAME.fullmatch(charset) or not _NAME.fullmatch(collation):
        raise ValueError(f"no character set and collation: {charset!r}, {collation!r}")
    return f"_{charset} X'{digits}' COLLATE {collation}"


# One assignment of a literal whose value and type are plain to see.
_LITERAL = r"(?:(?P<number>-?[0-9]{1,18})|'(?P<text>[A-Za-z0-9_,.:;/+ !?*()=<>-]*)'|(?P<null>NULL))"
_ASSIGNMENT = re.compile(
    rf"\s*@(?P<name>[A-Za-z0-9_$]+)\s*:?=\s*{_LITERAL}\s*(?P<end>,|;?\s*\Z)", re.IGNORECASE
)
_SET = re.compile(r"\s*SET(?=[\s@])", re.IGNORECASE)


def simple_assignments(sql: str, collation: str) -> Sequence[tuple[str, str]] | None:
    """Return the user variables that a SET of plain literals sets, with their values as SQL.

    None for any other text. `collation` is the session's collation_connection.

    >>> simple_assignments("SET @a = 5, @B := 'x'", "utf8mb4_bin")
    [('a', '5'), ('b', "_utf8mb4 X'78' COLLATE utf8mb4_bin")]
    >>> simple_assignments("SET @a = NOW()", "utf8mb4_bin")
    """
    head = _SET.match(sql)
    if head is None:
        return None
    charset = collation.partition("_")[0]
    found = []
    at = head.end()
    while True:
        item = _ASSIGNMENT.match(sql, at)
        if item is None:
            return None
        if item["number"] is not None:
            value = str(int(item["number"]))
        elif item["null"] is not None:
            value = "NULL"
        elif charset in _ASCII:
            value = f"_{charset} X'{item['text'].encode('ascii').hex()}' COLLATE {collation}"
        else:
            return None
        found.append((item["name"].lower(), value))
        if item["end"] != ",":
            return found
        at = item.end()


# Character sets in which ASCII text is its own bytes, and whose name begins their collations'.
_ASCII = frozenset({"utf8mb4", "utf8mb3", "latin1", "ascii"})
