"""When an SQL text may be classified before its parameters go in.

PyMySQL formats parameters into the text with Python's `%`. A template stands for all its final
texts only if no parameter can change what its neighbours mean.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from .comments import has_code
from .dialect import Dialect
from .functions import builtins_of
from .lexer import BACKTICKS, BLOCK_COMMENT, LINE_COMMENT, string
from .wordlist import words

__all__ = ["representatives"]

# What PyMySQL renders values as. A float, a date or bytes scan as the string does.
_RENDERED = ("'a'", "-1", "NULL", "(1,'a')", "-1.5e0", "_binary'a'")

_NAMED = re.compile(r"%\([^()%]*+\)s")


@cache
def _units(dialect: Dialect) -> re.Pattern[str]:
    quoted = "|".join((string("'", dialect), string('"', dialect), BACKTICKS))
    return re.compile(
        rf"(?P<hidden>{quoted}|{LINE_COMMENT}|{BLOCK_COMMENT})"
        r"|(?P<place>%(?:\([^()%]*+\))?s)|(?P<escape>%%)|(?P<bad>%|['\"`]|/\*)"
        r"|(?P<word>[0-9A-Za-z$_@.\u0080-\U0010ffff]++)|(?P<space>[ \t\n\v\f\r]++)|(?P<other>.)",
        re.DOTALL,
    )


def representatives(template: str, dialect: Dialect) -> Sequence[str]:
    """Final texts that stand for all that the template can become; empty if none can."""
    if dialect.no_backslash_escapes or has_code(template):
        return ()
    if "%" not in template:
        return (template,)
    if not _isolated(template, dialect):
        return ()
    if _NAMED.search(template):
        return [template % _Same(value) for value in _RENDERED]
    count = sum(unit.lastgroup == "place" for unit in _units(dialect).finditer(template))
    return [template % ((value,) * count) for value in _RENDERED]


class _Same(dict[str, str]):
    """A mapping that has one value for every name."""

    def __init__(self, value: str) -> None:
        super().__init__()
        self._value = value

    def __missing__(self, key: str) -> str:
        return self._value


def _isolated(template: str, dialect: Dialect) -> bool:
    """Whether every `%` is a placeholder that stands clear of its neighbours, or `%%`."""
    clauses = builtins_of(dialect).clauses | _BEFORE
    before = ""  # the last unit that is no white space
    glue = "start"  # the kind of the unit right before
    kinds: set[bool] = set()
    waiting = False  # a placeholder that has not seen what follows it
    for unit in _units(dialect).finditer(template):
        kind, text = unit.lastgroup, unit[0]
        if kind == "bad" or (kind == "hidden" and "%" in text.replace("%%", "")):
            return False
        if waiting and not (kind == "space" or (kind == "other" and text in "),;")):
            return False
        waiting = kind == "place"
        if kind == "place":
            kinds.add(text.startswith("%("))
            clear = glue == "space" or (glue == "other" and before in "(,=<>")
            if not before or not clear:
                return False
            if before not in "(,=<>+*!|&^~%/)" and before.upper() not in clauses:
                return False
        if kind != "space":
            before = text
        glue = kind or ""
    return len(kinds) <= 1


# Words that a value may follow and that call nothing.
_BEFORE = words("OFFSET ESCAPE SEPARATOR VALUE ROW AGAINST RETURN NAMES END")
