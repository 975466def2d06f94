"""Session ids: who shares consistency with whom.

`process` is our own; the other kinds are SmartScale's (Tungsten Connector manual, "Smartscale R/W
Splitting"), which spells `provided` PROVIDED_IN_DBNAME.
"""

from __future__ import annotations

import re

__all__ = ["KINDS", "SPELT", "check_session_id", "is_session_id", "parse_database", "parse_use"]

KINDS = ("process", "connection", "database", "user", "provided")
SPELT = {"provided_in_dbname": "provided"}
"""Other spellings of the kinds, in lower case."""

_SUFFIX = re.compile(r"[?@]sessionid=", re.IGNORECASE)
_LONGEST = 255
_USE = re.compile(r"\s*USE\s+(`(?:[^`]|``)+`|[^\s;`]+)\s*;?\s*", re.IGNORECASE)


def check_session_id(value: object) -> str:
    """Return a session id, as text; raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not is_session_id(value):
        raise ValueError(
            f"session_id: expected 1 to {_LONGEST} printable characters, got {value!r:.80}"
        )
    return value


def is_session_id(value: str) -> bool:
    """Tell whether a text may be a session id.

    >>> is_session_id("u1"), is_session_id("")
    (True, False)
    """
    return 1 <= len(value) <= _LONGEST and value.isprintable()


def parse_database(name: str) -> tuple[str, str | None]:
    """Split a database name from the session id behind it; raises ValueError.

    >>> parse_database("shop?sessionId=42"), parse_database("shop@SESSIONID=a")
    (('shop', '42'), ('shop', 'a'))
    >>> parse_database("a?b")
    ('a?b', None)
    """
    parts = _SUFFIX.split(name)
    if len(parts) == 1:
        return name, None
    if len(parts) > 2:
        raise ValueError(f"session_id: given more than once in the database name {name!r:.80}")
    return parts[0], check_session_id(parts[1])


def parse_use(sql: str) -> tuple[str, str] | None:
    """Return the database and the session id of a USE that has one; raises ValueError.

    >>> parse_use("USE `shop?sessionId=42`"), parse_use("use shop")
    (('shop', '42'), None)
    """
    found = _USE.fullmatch(sql)
    if found is None or not _SUFFIX.search(found[1]):
        return None
    name = found[1]
    if name[0] == "`":
        name = name[1:-1].replace("``", "`")
    database, session_id = parse_database(name)
    assert session_id is not None
    return database, session_id
