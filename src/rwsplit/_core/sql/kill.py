"""What a KILL says: which thread it ends, so far as its text tells. Pure."""

from __future__ import annotations

import re

from .lexer import BLOCK_COMMENT, LINE_COMMENT, SPACE

__all__ = ["killed_thread"]

_GAP = rf"(?:{SPACE}|{LINE_COMMENT}|{BLOCK_COMMENT})"
_KILL = re.compile(
    rf"{_GAP}*KILL{_GAP}+(?:(?:HARD|SOFT){_GAP}+)?(?:(?:CONNECTION|QUERY)\b{_GAP}*)?"
    rf"(?:(?P<digits>\d+)|(?P<quote>['\"])(?P<quoted>\d+)(?P=quote)|0x(?P<hex>[0-9a-f]+)"
    rf"|\({_GAP}*(?P<bracketed>\d+){_GAP}*\)|(?P<variable>@[0-9a-z_.$]+))"
    rf"(?:{_GAP}|;)*",
    re.IGNORECASE,
)


def killed_thread(sql: str) -> int | str | None:
    """Return the number of the thread that a KILL is for, or the user variable that holds it.

    None where the text does not tell: KILL USER, KILL QUERY ID, an expression, other statements.

    >>> killed_thread("KILL QUERY 17"), killed_thread("kill /* it */ hard connection '8';")
    (17, 8)
    >>> killed_thread("KILL @mine"), killed_thread("KILL QUERY ID 17")
    ('@mine', None)
    """
    found = _KILL.fullmatch(sql)
    if found is None:
        return None
    if found["variable"]:
        return found["variable"]
    if found["hex"]:
        return int(found["hex"], 16)
    return int(found["digits"] or found["quoted"] or found["bracketed"])
