"""What a statement's answer says of user locks: only where a call is all that it is. Pure."""

from __future__ import annotations

import re

from .lexer import BLOCK_COMMENT, LINE_COMMENT, SPACE

__all__ = ["lone_function"]

_GAP = rf"(?:{SPACE}|{LINE_COMMENT}|{BLOCK_COMMENT})"
_PLAIN = r"[^'\"()\\;/#]|'[^'\\]*'|\"[^\"\\]*\""
_CALL = rf"{_PLAIN}|\((?:{_PLAIN})*\)"
_ARGUMENT = rf"{_PLAIN}|\((?:{_CALL})*\)"  # that may call what calls another
_ALONE = re.compile(
    rf"{_GAP}*(?:SELECT|DO){_GAP}+(?P<function>GET_LOCK|RELEASE_LOCK|RELEASE_ALL_LOCKS){_GAP}*"
    rf"\((?P<given>(?:{_ARGUMENT})*)\)"
    rf"(?:{_GAP}*(?:AS\b)?{_GAP}*(?:\w+|`[^`]+`))?(?:{_GAP}|;)*",
    re.IGNORECASE,
)


def lone_function(sql: str) -> str | None:
    """Return the function of user locks whose call is all that a statement is.

    None where there is more to it: its value may be a count, a comparison, that of the next
    statement, and the function may not have run at all.

    >>> lone_function("SELECT GET_LOCK('a', 1) AS get_lock_1")
    'get_lock'
    >>> lone_function("SELECT COUNT(*) FROM t WHERE GET_LOCK('a', 1)")
    """
    found = _ALONE.fullmatch(sql)
    if found is None or "_lock" in found["given"].lower():
        return None
    return found["function"].lower()
