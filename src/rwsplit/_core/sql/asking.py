"""What a statement asks about statements before it, and the answers put in as values.

FOUND_ROWS() may be about a statement on a replica where the one that asks is for the primary. The
replica is then asked first, and the value stands where the question stood.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from .comments import has_code
from .dialect import Dialect
from .lexer import spans

__all__ = ["Answered", "Question", "answer", "answered", "questions"]

_FUNCTIONS = {"FOUND_ROWS": "found_rows", "ROW_COUNT": "row_count"}
_VARIABLES = ("warning_count", "error_count")
_SCOPES = ("session", "local")
_DIGITS = 30
"""A number of so many digits is found again in the name of a column."""


class Question(NamedTuple):
    """One place in a text that asks about a statement before."""

    start: int
    end: int
    about: str
    """`found_rows`, `row_count`, `warning_count` or `error_count`."""


class Answered(NamedTuple):
    """A text with values in the place of its questions."""

    text: str
    names: Sequence[tuple[str, str]]
    """What to write for what in the names of its columns."""


_TOPICS = {"warning_count": "warnings", "error_count": "warnings"}


def answer(
    text: str, dialect: Dialect, topics: Collection[str], values: Mapping[str, int]
) -> Answered | None:
    """Put values in the place of all that a text asks; None if not all of it can be found.

    :param topics: what the classifier has found to be asked: see `following.ASKED`.
    """
    if has_code(text):
        return None
    asked = questions(text, dialect)
    if {_TOPICS.get(each.about, each.about) for each in asked} != {*topics}:
        return None
    return answered(text, asked, values, dialect.flavor == "mysql")


def questions(text: str, dialect: Dialect) -> list[Question]:
    """Find what the first statement of a text asks.

    >>> questions("SELECT FOUND_ROWS ( ), @@warning_count", Dialect.of("mysql", None, ""))
    ... # doctest: +NORMALIZE_WHITESPACE
    [Question(start=7, end=21, about='found_rows'), Question(start=23, end=38,
     about='warning_count')]
    """
    found: list[Question] = []
    read = spans(text, dialect)
    for at, (word, start, end) in enumerate(read):
        if word == ";":
            break
        if at and read[at - 1][0] == ".":
            continue
        after = [each for each, _, _ in read[at + 1 : at + 3]]
        bare = word.strip("`").rstrip("( \t\r\n\f\v").upper()
        about = _FUNCTIONS.get(bare)
        if about is not None and (word[0] != "`" or bare == "FOUND_ROWS"):
            behind = at + 1 if word.endswith("(") else at + 2
            if (word.endswith("(") or after[:1] == ["("]) and read[behind][0] == ")":
                found.append(Question(start, read[behind][2], about))
        elif word.startswith("@@"):
            name, last = word[2:].replace("`", "").lower(), end
            if name in _SCOPES and after[:1] == ["."] and len(after) > 1:
                name, last = after[1].replace("`", "").lower(), read[at + 2][2]
            name = name.rpartition(".")[2]
            if name in _VARIABLES:
                found.append(Question(start, last, name))
    return found


def answered(
    text: str, asked: Sequence[Question], values: Mapping[str, int], warns: bool = False
) -> Answered:
    """Put values in the place of questions.

    With `warns` FOUND_ROWS() stays in the text, and does not count: MySQL warns of it.

    >>> answered("SELECT FOUND_ROWS()AS n", [Question(7, 19, "found_rows")], {"found_rows": 3}).text
    'SELECT (000000000000000000000000000003+0) AS n'
    """
    parts: list[str] = []
    names: dict[str, str] = {}
    at = 0
    for number, (start, end, about) in enumerate(asked):
        # No two are written alike, so that each is found again.
        value = values[about]
        digits = str(abs(value)).zfill(_DIGITS + number)
        # A bare number in ORDER BY or GROUP BY would be a column's.
        written = f"({'-' if value < 0 else ''}{digits}+0)"
        if warns and about == "found_rows":
            written = f"IF(1,{written},FOUND_ROWS())"
        names[written] = text[start:end]
        before = " " if start and _joins(text[start - 1]) else ""
        behind = " " if end < len(text) and _joins(text[end]) else ""
        parts += [text[at:start], before, written, behind]
        at = end
    longest_first = sorted(names.items(), key=lambda each: -len(each[0]))
    return Answered("".join(parts) + text[at:], longest_first)


def _joins(character: str) -> bool:
    """Tell whether a number next to this character would be another one, or a name."""
    return character.isalnum() or character in "_$.\"'`" or character > "\x7f"
