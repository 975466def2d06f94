"""Text to tokens: what MySQL and MariaDB read, with the literals, spacing and comments gone.

One compiled regular expression does the whole scan. Its answer is a list of strings, which is at
once the digest (joined) and all that the classifier ever sees of a text. So two texts of one
digest have one class by construction: what was folded away cannot have decided anything.

What stands in the list:

* ``""``           a literal, or a run of literals and commas (`1, 'b'), (2, NULL`)
* ``NOW(``         a word and the parenthesis that follows it at once: a space there changes what
                   the server looks up
* ``db.t``         words joined by dots without a space: never keywords, whatever they spell
* ``@v`` ``@@v``   variables; ``@`v``` when quoted
* `` `t` ``        a quoted name; `"t"` too under ANSI_QUOTES
* anything else    one character, or ``:=``; or the whole rest of the text, if it opens with a
                   quote or comment that never closes

Every loop in the expression is possessive: it never gives back what it took, so the time is
linear in the length of the text, whatever the text is. What it repeats is one character or an
atomic group: Python 3.11.2, Debian 12's own, loses its place in any other.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from .dialect import Dialect

__all__ = [
    "LITERAL",
    "NAME",
    "ODD",
    "OP",
    "SYSVAR",
    "USERVAR",
    "WORD",
    "Token",
    "scan",
    "spans",
    "tokens",
]

# What the servers take for a letter of a bare name: every byte above ASCII too.
IDENT = r"0-9A-Za-z$_\u0080-\U0010ffff"
SPACE = r"[ \t\n\v\f\r]"
LINE_COMMENT = r"(?:\#|--(?=[\x00-\x20\x7f]))[^\n\0]*+"
# An optimizer hint is a comment whose quotes may hold the end mark; such a one is left unread.
BLOCK_COMMENT = (
    r"/\*(?:(?!\+)(?>[^*]++|\*(?!/))*+"
    r"|\+(?>[^*'\"`]++|'[^'*]*+'|\"[^\"*]*+\"|`[^`*]*+`|\*(?!/))*+)\*/"
)
BACKTICKS = "`(?>[^`]++|``)*+`"

# The end of the text; stops a scan of what trails the last token from starting anew in it.
_SENTINEL = "\n\x01"

WORD, NAME, LITERAL, USERVAR, SYSVAR, OP, ODD = range(7)


class Token(NamedTuple):
    """One token as the classifier sees it."""

    kind: int
    text: str
    """Upper case for a word; the content without quotes for a name or a variable."""
    raw: str = ""
    """A word as it stands in the text, for it may be a name."""
    glued: bool = False
    """A word or name with an opening parenthesis right behind it."""


def string(quote: str, dialect: Dialect) -> str:
    """The expression for a string (or a name under ANSI_QUOTES) in these quotes."""
    if dialect.no_backslash_escapes or (quote == '"' and dialect.ansi_quotes):
        return f"{quote}(?>[^{quote}]++|{quote}{quote})*+{quote}"
    return rf"{quote}(?>[^{quote}\\]++|{quote}{quote}|\\.)*+{quote}"


@cache
def _scanner(dialect: Dialect) -> re.Pattern[str]:
    single, double = string("'", dialect), string('"', dialect)
    strings = single if dialect.ansi_quotes else f"{single}|{double}"
    quoted = f"{BACKTICKS}|{double}" if dialect.ansi_quotes else BACKTICKS
    # `1.FOR UPDATE` and `1e5FOR UPDATE` are a number and a lock; `1FOR` is a name.
    number = (
        r"\d++\.\d*+(?:[eE][+-]?\d++)?|\.\d++(?:[eE][+-]?\d++)?|\d++[eE][+-]?\d++"
        rf"|(?:0x[0-9a-fA-F]++|0b[01]++|\d++)(?![{IDENT}])"
    )
    literal = rf"(?:(?:[xXbBnN]|_[A-Za-z0-9]++{SPACE}*+)?(?:{strings})|{number})"
    constant = rf"(?:NULL|TRUE|FALSE|DEFAULT|null|true|false|default)(?={SPACE}*+[,)])"
    comma = rf"{SPACE}*+,{SPACE}*+"
    more = rf"(?:{comma}|{SPACE}*+\){comma}\({SPACE}*+)[-+]?(?:{literal}|{constant})"
    # With IGNORE_SPACE white space (a comment does not) may stand before the parenthesis.
    call = rf"(?:{SPACE}*+\()?" if dialect.ignore_space else r"\(?"
    word = rf"[{IDENT}]++(?>\.[{IDENT}]++)*+{call}"
    variable = (
        rf"@@(?:{BACKTICKS}|(?:[{IDENT}]++(?>\.[{IDENT}]++)*+)?)"
        rf"|@(?:{single}|{double}|{BACKTICKS}|[{IDENT}.]*+)"
    )
    unclosed = r"['\"`].*+|/\*.*+"
    comments = rf"(?>(?=[-/\#])(?>(?:{LINE_COMMENT}|{BLOCK_COMMENT}){SPACE}*+)++)?+"
    return re.compile(
        rf"{SPACE}*+{comments}(?:(?=[0-9.'\"xXbBnN_]){literal}(?>{more})*+"
        rf"|({word}|[,()=]|{quoted}|{variable}|{unclosed}|:=|.))",
        re.DOTALL,
    )


def scan(text: str, dialect: Dialect) -> list[str]:
    """The text as a list of what matters in it; `" ".join` of it is the text's digest.

    Executable comments must have been resolved before (see `comments.resolve`).
    """
    return _scanner(dialect).findall(text + _SENTINEL)


def spans(text: str, dialect: Dialect) -> list[tuple[str, int, int]]:
    """The scanned text, and where each part of it stands."""
    found = _scanner(dialect).finditer(text + _SENTINEL)
    return [(match[1] or "", match.start(1), match.end(1)) for match in found]


def tokens(scanned: list[str], dialect: Dialect) -> list[Token]:
    """The scanned text for the classifier: names taken apart and unquoted, words upper case."""
    found: list[Token] = []
    for raw in scanned[:-1]:
        if not raw:
            found.append(_LITERAL)
            continue
        simple = _SIMPLE.get(raw)
        if simple is not None:
            found.append(simple)
        elif raw[0] in _QUOTES or raw[0] == "/":
            found.append(_quoted(raw, dialect))
        elif raw[0] == "@":
            found.append(_variable(raw))
        elif raw[0].isalnum() or raw[0] in "_$" or raw[0] > "\x7f":
            _words(raw, dialect, found)
        else:
            # A byte that opens nothing: NUL ends the text for one part of the server and
            # not for another.
            found.append(Token(ODD, raw, raw) if raw in _STRANGE else Token(OP, raw, raw))
    if scanned[-1] != "\x01":
        found.append(_quoted(scanned[-1], dialect))
    return found


_LITERAL = Token(LITERAL, "")
_SIMPLE = {mark: Token(OP, mark, mark) for mark in (*",()=.*;<>+-{}|&!%^~:?", ":=")}
_SIMPLE["/"] = Token(OP, "/", "/")
_QUOTES = "'\"`"
_STRANGE = frozenset(map(chr, (*range(9), *range(14, 32), 0x5C, 0x7F)))


def _quoted(raw: str, dialect: Dialect) -> Token:
    quote = raw[0]
    is_name = quote == "`" or (quote == '"' and dialect.ansi_quotes)
    # In a closed name the quotes are even: the outer pair, and pairs inside.
    if not is_name or len(raw) < 2 or raw.count(quote) % 2:
        return Token(ODD, "what opens with " + raw[:2].strip() + " is never closed", raw[:2])
    return Token(NAME, raw[1:-1].replace(quote * 2, quote), raw)


def _variable(raw: str) -> Token:
    kind, name = (SYSVAR, raw[2:]) if raw.startswith("@@") else (USERVAR, raw[1:])
    if name[:1] and name[0] in _QUOTES:
        quote = name[0]
        name = name[1:-1].replace(quote * 2, quote)
    return Token(kind, name.lower(), raw)


def _words(raw: str, dialect: Dialect, found: list[Token]) -> None:
    glued = raw[-1] == "("
    text = raw[:-1].rstrip(" \t\n\v\f\r") if glued else raw
    # U+00A0 is a letter in utf8 and white space in latin1; a `$` may open a dollar quote.
    if "\xa0" in text or (text[0] == "$" and dialect.flavor == "mysql"):
        found.append(Token(ODD, f"{text!r} is read differently by different servers", text))
    elif "." in text:
        *qualifiers, last = text.split(".")
        for part in qualifiers:
            found.append(Token(NAME, part, part))
            found.append(_SIMPLE["."])
        found.append(Token(NAME, last, last, glued))
    else:
        # Only ASCII letters fold: the long s is no S to the server, as it is to Python.
        found.append(Token(WORD, text.upper() if text.isascii() else text, text, glued))
    if glued:
        found.append(_SIMPLE["("])
