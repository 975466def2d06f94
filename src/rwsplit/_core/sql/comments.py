"""Comments that say something: executable ones, and hints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from .dialect import OLDEST, Dialect
from .lexer import BACKTICKS, BLOCK_COMMENT, LINE_COMMENT, string
from .statement import Hint

__all__ = [
    "Hints",
    "Resolved",
    "bare",
    "has_code",
    "has_comments",
    "has_hints",
    "hints",
    "parse_foreign_hint",
    "parse_hint",
    "resolve",
]

# What a server skips when the version says so: one more comment may be nested in it.
_SKIPPED = re.compile(r"(?>[^*/]++|/\*(?>[^*]++|\*(?!/))*+\*/|\*(?!/)|/(?!\*))*+\*/", re.DOTALL)
_VERSION = re.compile(r"\d{5,6}")


def has_code(text: str) -> bool:
    """Whether the text may hold an executable comment. Fast, and may be wrong in strings."""
    return "/*!" in text or "/*M!" in text


@cache
def _units(dialect: Dialect) -> re.Pattern[str]:
    """Whatever can hide a comment mark, each as a whole; the marks; and all else."""
    mark = r"/\*M?!" if dialect.flavor == "mariadb" else r"/\*!"
    quoted = "|".join((string("'", dialect), string('"', dialect), BACKTICKS))
    return re.compile(
        rf"(?P<mark>{mark})|(?P<comment>{LINE_COMMENT}|{BLOCK_COMMENT})|(?P<close>\*/)"
        rf"|(?P<code>{quoted}|[^-'\"`#/*]++|['\"`].*+|/\*.*+|.)",
        re.DOTALL,
    )


def has_comments(text: str | bytes) -> bool:
    """Whether the text may hold a comment. Fast, and may be wrong in strings."""
    if isinstance(text, bytes):
        return b"/*" in text or b"--" in text or b"#" in text
    return "/*" in text or "--" in text or "#" in text


@cache
def _comments_and_quotes(dialect: Dialect) -> re.Pattern[str]:
    quoted = "|".join((string("'", dialect), string('"', dialect), BACKTICKS))
    comment = f"{LINE_COMMENT}|{BLOCK_COMMENT}"
    return re.compile(
        rf"(?P<comment>{comment})"
        # The name of a parameter may hold anything.
        rf"|(?>[^-'\"`#/%]++|%%|%\([^()%]*+\)s|%|{quoted}|(?!{comment}|/\*)[-#/])++"
        r"|['\"`].*+|/\*.*+",
        re.DOTALL,
    )


def bare(template: str, dialect: Dialect) -> str:
    """The template with nothing in those comments that say nothing to anybody.

    Tracing puts a new comment into each text. An empty one stays in its place, for `NOW/**/()` is
    not `NOW()`. Left as they are: hints, ours and others', optimizers' hints, executable comments,
    what is never closed, and those with a `%` that may be a parameter's place.

    >>> bare("SELECT %s /* trace 7 */", Dialect("mysql"))
    'SELECT %s /**/'
    """
    return _comments_and_quotes(dialect).sub(_without_content, template)


def _without_content(found: re.Match[str]) -> str:
    comment: str | None = found["comment"]
    if comment is None or comment.startswith("/*+") or has_code(comment):
        return found[0]
    folded = comment.casefold()
    if any(mark in folded for mark in _MARKS) or "%" in comment.replace("%%", ""):
        return comment
    return "/**/"


class Resolved(tuple[str, ...]):
    """The readings of a text with executable comments; the first is this server's own."""

    __slots__ = ()


def resolve(text: str, dialect: Dialect) -> Resolved:
    """The text as servers read it, executable comments replaced by their code or by a space.

    The first reading is the dialect's. Others follow if a server of another supported version
    would read it otherwise: the members of a cluster need not be of one version. Empty if no
    reading can be told.
    """
    newest = dialect.number or 10**6
    oldest = _number(OLDEST[dialect.flavor])
    versions = (dialect.number or oldest, oldest, newest, 10**7)
    readings = [_read(text, dialect, version) for version in versions]
    if None in readings:
        return Resolved()
    return Resolved(dict.fromkeys(reading for reading in readings if reading is not None))


def _number(version: tuple[int, int, int]) -> int:
    return version[0] * 10000 + version[1] * 100 + version[2]


def _read(text: str, dialect: Dialect, server: int) -> str | None:
    out: list[str] = []
    units, position, inside = _units(dialect), 0, False
    while position < len(text):
        found = units.match(text, position)
        assert found is not None  # "." matches whatever is left
        position = found.end()
        if found.lastgroup == "mark":
            if inside:
                return None  # the servers lose count of these themselves
            opened = _open(text, found, dialect, server)
            if opened is None:
                return None
            position, inside = opened
            out.append(" ")
        elif found.lastgroup == "close" and inside:
            inside = False
            out.append(" ")
        else:
            # The two characters of a stray "*/" are operators: kept as they are.
            out.append(found[0])
    return None if inside else "".join(out)


def _open(text: str, mark: re.Match[str], dialect: Dialect, server: int) -> tuple[int, bool] | None:
    """Where to read on after an opening mark, and whether what follows is code."""
    position = mark.end()
    digits = _VERSION.match(text, position)
    if digits is None:
        return position, True
    number = digits[0]
    if dialect.flavor == "mysql" and len(number) == 6:
        if text[digits.end() : digits.end() + 1].isspace():
            return None  # six digits to newer servers, five to older ones
        number = number[:5]
    version = int(number)
    if dialect.flavor == "mariadb":
        # MySQL's own newer syntax is none of MariaDB's business.
        ours = version < 50700 or version > 99999 or mark[0] == "/*M!"
        is_code = ours and version <= server
    else:
        is_code = version <= server
    if is_code:
        return position + len(number), True
    skipped = _SKIPPED.match(text, position)
    return None if skipped is None else (skipped.end(), False)


class Hints(tuple[Hint | None, tuple[str, ...], str | None]):
    """(hint, foreign hints, what was wrong): see the fields of `Statement`."""

    __slots__ = ()


NO_HINTS = Hints((None, (), None))

_OURS = re.compile(r"\A[\s*!+]*rwsplit\s*:(.*)\Z", re.DOTALL | re.IGNORECASE)
_PROXYSQL = re.compile(r"(?:\A|[\s;])hostgroup\s*+=\s*+(\d+)(?=[\s;]|\Z)", re.IGNORECASE)
_LEVELS = ("eventual", "session", "global")
_MARKS = ("rwsplit", "maxscale", "hostgroup")


def has_hints(text: str) -> bool:
    """Whether the text may hold a hint. Fast, and may be wrong in strings."""
    if "rwsplit" in text or "maxscale" in text or "hostgroup" in text:
        return True
    if "/*" not in text and "--" not in text and "#" not in text:
        return False
    folded = text.casefold() if len(text) < 4096 else ""
    return any(mark in folded for mark in _MARKS)


def hints(text: str, dialect: Dialect) -> Hints:
    """What the comments of a text ask for. Two of ours in one text add up, the later one wins."""
    hint: Hint | None = None
    foreign: list[str] = []
    for content in _comments(text, dialect):
        ours = _OURS.match(content)
        if ours is not None:
            try:
                hint = parse_hint(ours[1], hint or Hint())
            except ValueError as error:
                return Hints((None, tuple(foreign), str(error)))
        foreign.extend(_foreign(content))
    return Hints((hint, tuple(foreign), None))


def _foreign(content: str) -> Iterator[str]:
    """The hints of other proxies in one comment, in one spelling."""
    if len(content) > 1000:
        return
    words = content.lower().split()
    if words[:1] == ["maxscale"] and len(words) > 1:
        yield " ".join(words)
    for found in _PROXYSQL.finditer(content):
        yield f"hostgroup={found[1]}"


def _comments(text: str, dialect: Dialect) -> Iterator[str]:
    for found in _units(dialect).finditer(text):
        if found.lastgroup == "comment":
            comment = found[0]
            if comment.startswith("/*"):
                yield comment[2:-2]
            else:
                yield comment.lstrip("#") if comment[0] == "#" else comment[2:]


def parse_foreign_hint(text: str) -> str:
    """A hint of another proxy in the one spelling that `Statement` has; raises ValueError."""
    found = [*_foreign(text)]
    if len(found) != 1:
        raise ValueError("expected 'maxscale ...' or 'hostgroup=NUMBER'")
    return found[0]


def parse_hint(text: str, hint: Hint = Hint()) -> Hint:  # noqa: B008 - a constant value
    """The words of one hint; ValueError says which word is not understood."""
    words = [word for word in re.split(r"[\s,;]+", text.strip()) if word]
    if not words:
        raise ValueError("hint 'rwsplit:' says nothing")
    for word in words:
        key, equals, value = word.partition("=")
        key = key.lower()
        if key in ("primary", "replica") and not equals:
            hint = hint._replace(route=key, replica=None)
        elif key == "replica" and value:
            hint = hint._replace(route="replica", replica=value)
        elif key == "consistency" and value.lower() in _LEVELS:
            hint = hint._replace(consistency=value.lower())
        elif key == "max_staleness" and re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", value):
            hint = hint._replace(max_staleness=float(value))
        else:
            raise ValueError(f"hint 'rwsplit:{text[:100]}': {word[:100]!r} is not understood")
    return hint
