"""rwsplit's own variables: SET, SELECT and SHOW of them are for rwsplit, and no server sees them.

Names and values are WeScale's (its manual, "Read-Write-Splitting" and "Read-After-Write-
Consistency"). What is wrong with a value is told with the server's own error numbers (MySQL
manual, "Server Error Message Reference").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from ..cluster.policies import POLICIES
from .dialect import Dialect

__all__ = [
    "CONSISTENCY",
    "CONTROLS",
    "POLICY",
    "RATIO",
    "TIMEOUT",
    "Control",
    "ControlError",
    "Pick",
    "Show",
    "mentions_controls",
    "read_pick",
    "read_set",
    "read_show",
]

POLICY = "read_write_splitting_policy"
RATIO = "read_write_splitting_ratio"
CONSISTENCY = "read_after_write_consistency"
TIMEOUT = "read_after_write_timeout"
CONTROLS = (CONSISTENCY, TIMEOUT, POLICY, RATIO)
"""All of them, in the order in which SHOW VARIABLES has them."""

_WRONG_VALUE, _WRONG_TYPE, _NOT_YET = 1231, 1232, 1235
_LEVELS = ("EVENTUAL", "SESSION", "INSTANCE", "GLOBAL")
_YEAR = 31536000
_MENTION = re.compile("|".join(CONTROLS), re.IGNORECASE)
_SCOPES = {"SESSION": "session", "LOCAL": "session", "GLOBAL": "global"}
_PERSIST = ("PERSIST", "PERSIST_ONLY")

Value = str | float | None


class ControlError(ValueError):
    """What a server would answer: `args` are the number and the text."""


class Control(NamedTuple):
    """One assignment."""

    name: str
    is_global: bool
    """For connections that are made later, not for this one."""
    value: Value
    """As it takes effect; None for the default."""


class Pick(NamedTuple):
    """One column of a SELECT of them."""

    title: str
    name: str
    is_global: bool


class Show(NamedTuple):
    """A SHOW VARIABLES that shows some of them."""

    names: tuple[str, ...]
    is_global: bool
    alone: bool
    """It asks for one of them by its name: no server needs to be asked."""


def mentions_controls(text: str) -> bool:
    """Tell whether a text may name one of them."""
    return _MENTION.search(text) is not None


class _Word(NamedTuple):
    kind: str
    """`text`, `name` (quoted), `at` (a system variable), `number`, `word` or `mark`."""
    text: str


_SEVERAL = _Word("mark", ";")


@cache
def _scanner(dialect: Dialect) -> re.Pattern[str]:
    # A mere import of rwsplit spares the lexer.
    from .lexer import (  # noqa: PLC0415
        BACKTICKS,
        BLOCK_COMMENT,
        IDENT,
        LINE_COMMENT,
        SPACE,
        string,
    )

    double = "" if dialect.ansi_quotes else "|" + string('"', dialect)
    quoted = BACKTICKS + ("|" + string('"', dialect) if dialect.ansi_quotes else "")
    return re.compile(
        rf"{SPACE}++|(?:{LINE_COMMENT}|{BLOCK_COMMENT})"
        rf"|(?P<text>{string(chr(39), dialect)}{double})|(?P<name>{quoted})"
        rf"|(?P<at>@@(?:{BACKTICKS}|[{IDENT}]++(?:\.(?:{BACKTICKS}|[{IDENT}]++))?))"
        rf"|(?P<number>(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)|(?P<word>[{IDENT}]++)|(?P<mark>:=|.)",
        re.DOTALL,
    )


def _words(sql: str, dialect: Dialect) -> list[_Word]:
    found = []
    for match in _scanner(dialect).finditer(sql):
        kind = match.lastgroup
        if kind is None:
            continue
        text = match[0]
        if kind == "text":
            text = _unquoted(text, dialect)
        elif kind == "name":
            text = text[1:-1].replace(text[0] * 2, text[0])
        elif kind == "at":
            text = text[2:].replace("`", "")
        found.append(_Word(kind, text))
    while found and found[-1] == _SEVERAL:
        found.pop()
    return found


def _unquoted(text: str, dialect: Dialect) -> str:
    content = text[1:-1].replace(text[0] * 2, text[0])
    # None of the values that are allowed has anything else to escape.
    return content if dialect.no_backslash_escapes else re.sub(r"\\(.)", r"\1", content)


# SET


def read_set(sql: str, dialect: Dialect) -> tuple[Control, ...] | None:
    """Read a SET of rwsplit's own variables; None if it sets none of them.

    Raises ControlError for a value that it can't have, and for a SET of others beside it.
    """
    words = _words(sql, dialect)
    if not words or words[0].text.upper() != "SET" or _SEVERAL in words:
        return None
    found = []
    others = False
    scope = ""
    for item in _items(words[1:]):
        scope = _scope(item) or scope
        name, own_scope, value = _assignment(item, scope)
        if name not in CONTROLS:
            others = True
        elif own_scope.upper() in _PERSIST:
            raise ControlError(
                _NOT_YET, f"rwsplit does not keep '{name}' beyond the process: set it in its file"
            )
        else:
            is_global = _SCOPES.get(own_scope.upper()) == "global"
            found.append(Control(name, is_global, _checked(name, value)))
    if not found:
        return None
    if others:
        raise ControlError(
            _NOT_YET,
            f"'{found[0].name}' is rwsplit's own, and is set in a SET without other variables",
        )
    return tuple(found)


def _items(words: list[_Word]) -> list[list[_Word]]:
    items: list[list[_Word]] = [[]]
    depth = 0
    for word in words:
        if word == _Word("mark", ",") and depth == 0:
            items.append([])
            continue
        if word.kind == "mark":
            depth += (word.text == "(") - (word.text == ")")
        items[-1].append(word)
    return items


def _scope(item: list[_Word]) -> str:
    """The word that an item begins with, and that holds for those behind it, too."""
    if len(item) < 2 or item[0].kind != "word" or item[1].kind not in ("word", "name"):
        return ""
    return item[0].text if item[0].text.upper() in (*_SCOPES, *_PERSIST) else ""


def _assignment(item: list[_Word], scope: str) -> tuple[str, str, list[_Word]]:
    """The name that an item of SET sets, in which scope, and its value."""
    index = 1 if _scope(item) else 0
    if len(item) < index + 2 or item[index + 1].text not in ("=", ":="):
        return "", scope, []
    word = item[index]
    if word.kind == "at":
        prefix, dot, rest = word.text.partition(".")
        return (rest if dot else prefix).lower(), prefix if dot else "SESSION", item[index + 2 :]
    if word.kind not in ("word", "name"):
        return "", scope, []
    return word.text.lower(), scope, item[index + 2 :]


def _checked(name: str, value: list[_Word]) -> Value:
    """The value that an assignment gives; raises ControlError."""
    sign = 1
    if len(value) == 2 and value[0] in (_Word("mark", "-"), _Word("mark", "+")):
        sign = -1 if value[0].text == "-" else 1
        value = value[1:]
        if value[0].kind != "number":
            raise _wrong_type(name)
    if len(value) != 1 or value[0].kind not in ("text", "number", "word", "name"):
        raise _wrong_type(name)
    kind, text = value[0]
    if kind == "word" and text.upper() == "DEFAULT":
        return None
    if name in (RATIO, TIMEOUT):
        number = sign * float(text) if kind == "number" else 0.5
        if kind != "number" or (name == RATIO and not number.is_integer()):
            raise _wrong_type(name)
        if not (0 <= number <= 100 if name == RATIO else 0 < number <= _YEAR):
            raise _wrong_value(name, f"{number:g}")
        return number
    if name == POLICY and text.lower() in (*POLICIES, "disable"):
        return text.lower()
    if name == CONSISTENCY and text.upper() in _LEVELS:
        return text.upper()
    raise _wrong_value(name, text if sign > 0 else f"-{text}")


def _wrong_value(name: str, value: str) -> ControlError:
    return ControlError(
        _WRONG_VALUE, f"Variable '{name}' can't be set to the value of '{value[:100]}'"
    )


def _wrong_type(name: str) -> ControlError:
    return ControlError(_WRONG_TYPE, f"Incorrect argument type to variable '{name}'")


# SELECT


def read_pick(sql: str, dialect: Dialect) -> tuple[Pick, ...] | None:
    """Read a SELECT of rwsplit's own variables; None if it is anything else, or more."""
    words = _words(sql, dialect)
    if len(words) < 2 or words[0].text.upper() != "SELECT":
        return None
    if len(words) > 3 and words[-2].text.upper() == "LIMIT" and words[-1].text == "1":
        words = words[:-2]
    found = []
    for item in _items(words[1:]):
        if not item or item[0].kind != "at":
            return None
        given = item[0].text
        prefix, dot, rest = given.partition(".")
        name = (rest if dot else prefix).lower()
        if name not in CONTROLS or (dot and prefix.upper() not in _SCOPES):
            return None
        title = f"@@{given}"
        if len(item) == 3 and item[1].text.upper() == "AS":
            title = item[2].text
        elif len(item) == 2 and item[1].kind in ("word", "name", "text"):
            title = item[1].text
        elif len(item) != 1:
            return None
        is_global = bool(dot) and _SCOPES[prefix.upper()] == "global"
        found.append(Pick(title, name, is_global))
    return tuple(found)


# SHOW VARIABLES


def read_show(sql: str, dialect: Dialect) -> Show | None:
    """Read a SHOW VARIABLES that shows any of rwsplit's own variables; None for all others."""
    words = _words(sql, dialect)
    texts = [word.text.upper() for word in words]
    if texts[:1] != ["SHOW"]:
        return None
    index = 1
    is_global = False
    if len(texts) > 1 and texts[1] in _SCOPES:
        is_global = _SCOPES[texts[1]] == "global"
        index = 2
    if texts[index : index + 1] != ["VARIABLES"]:
        return None
    condition = words[index + 1 :]
    if not condition:
        return Show(CONTROLS, is_global, alone=False)
    compared = [word.text.upper() for word in condition[:-1]]
    pattern = condition[-1]
    if pattern.kind != "text":
        return None
    if compared in (["LIKE"], ["WHERE", "VARIABLE_NAME", "LIKE"]):
        fits = _like(pattern.text)
    elif compared == ["WHERE", "VARIABLE_NAME", "="]:
        fits = re.compile(re.escape(pattern.text), re.IGNORECASE)
    else:
        return None
    names = tuple([name for name in CONTROLS if fits.fullmatch(name)])
    if not names:
        return None
    # An underscore is any character in a pattern, and yet nobody else has such a name.
    return Show(names, is_global, alone=pattern.text.lower() in CONTROLS)


def _like(pattern: str) -> re.Pattern[str]:
    # The quotes' own backslashes are gone by now: `\_` is `_` here, which fits as well.
    wild: Mapping[str, str] = {"%": ".*", "_": "."}
    return re.compile(
        "".join([wild.get(char, re.escape(char)) for char in pattern]), re.IGNORECASE | re.DOTALL
    )
