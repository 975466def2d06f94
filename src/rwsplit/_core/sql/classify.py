"""The classifier: any text to its `Statement`, at the cost of a dictionary look-up where known.

Three speeds: a text seen before is one look-up; a text whose digest was seen before is one scan
and one look-up; a digest's first sight is read by the verb's rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from ..cause import Reason
from .comments import NO_HINTS, Hints, bare, has_code, has_comments, has_hints, hints, resolve
from .controls import mentions_controls
from .dialect import Dialect
from .effects import Effects
from .lexer import LITERAL, OP, Token, scan, string, tokens
from .statement import Kind, Statement, because, changes_rows_alone
from .templates import representatives
from .verbs import classify_tokens, is_compound

__all__ = ["Classifier", "Dialect", "classifier", "classify"]

_TEXTS = 4096
_TEXT_LENGTH = 4096
_DIGESTS = 4096
_DIGEST_LENGTH = 16384


class Classifier:
    """Classifies the texts of one dialect; shared by all connections and threads.

    Reading `texts` and `templates` needs no lock: they only ever gain entries, or are emptied
    at once. Bounded: at most 4096 entries each, none longer than 4096 characters.
    """

    __slots__ = ("_commented", "_digests", "dialect", "templates", "texts")

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.texts: dict[str | bytes, Statement] = {}
        self.templates: dict[str, Statement | None] = {}
        self._digests: dict[tuple[str, Hints], Statement | None] = {}
        self._commented: set[int] = set()
        """Hashes of the texts and templates with comments that were seen once."""

    def statement(self, sql: str | bytes | bytearray) -> Statement:
        """Classify one text. Raises TypeError for what is no text, and nothing else."""
        if isinstance(sql, bytearray):
            sql = bytes(sql)
        found = self.texts.get(sql) if isinstance(sql, str | bytes) else None
        if found is None:
            found = self._by_digest(sql)
            if len(sql) <= _TEXT_LENGTH and not self._may_change(sql):
                if len(self.texts) >= _TEXTS:
                    self.texts.clear()
                self.texts[sql] = found
        return found

    def template(self, template: str) -> Statement | None:
        """Classify an SQL text before its parameters go in; None if only the final text counts.

        It counts if every rendering of its parameters gives the same statement.
        """
        try:
            return self.templates[template]
        except KeyError:
            pass
        known_as = self.known_as(template)
        if known_as is template:
            found = self._template(template)
        else:
            try:
                found = self.templates[known_as]
            except KeyError:
                found = self._keep(known_as, self._template(known_as))
        return found if self._may_change(template) else self._keep(template, found)

    def _may_change(self, text: str | bytes) -> bool:
        """Whether it has a comment, and was not seen before with just that one.

        One that never changes is worth keeping; one that always does would fill all.
        """
        if not has_comments(text) or hash(text) in self._commented:
            return False
        if len(self._commented) >= _TEXTS:
            self._commented.clear()
        self._commented.add(hash(text))
        return True

    def known_as(self, template: str) -> str:
        """The template that a template with comments counts as; itself if it has none.

        A text without parameters is left as it is, for its digest is as quickly found.
        """
        if "%" not in template or not has_comments(template):
            return template
        known_as = bare(template, self.dialect)
        return template if known_as == template else known_as

    def _keep(self, template: str, found: Statement | None) -> Statement | None:
        if len(template) <= _TEXT_LENGTH:
            if len(self.templates) >= _TEXTS:
                self.templates.clear()
            self.templates[template] = found
        return found

    def digest(self, sql: str | bytes) -> str:
        """Return a text with its literals and spacing normalised, cut off where it is long."""
        text = _decode(sql, self.dialect)
        return "" if text is None else " ".join(scan(text, self.dialect))[:_DIGEST_LENGTH]

    def demote(self, sql: str | bytes, template: str | None, reason: Reason) -> None:
        """Take a statement for a write from now on: a read-only server refused to run it."""
        demoted = self.statement(sql)._replace(
            kind=Kind.WRITE, reason=reason, may_write=True, plain=False
        )
        if len(self._digests) >= _DIGESTS:
            self._digests.clear()
        text = _decode(sql, self.dialect)
        if text is not None and not has_code(text):
            said = hints(text, self.dialect) if has_hints(text) else NO_HINTS
            self._digests[(" ".join(scan(text, self.dialect)), said)] = demoted
        # Other literals of the same digest may be among the known texts.
        self.texts.clear()
        self.templates.clear()
        self.texts[sql] = self.texts[text or sql] = demoted
        if template is not None:
            self.templates[template] = self.templates[self.known_as(template)] = demoted

    def _template(self, template: str) -> Statement | None:
        texts = representatives(template, self.dialect)
        if not texts:
            return None
        found = self._by_digest(texts[0])
        if found.verb in _LITERAL_MATTERS or any(
            self._by_digest(text) != found for text in texts[1:]
        ):
            return None
        return found

    def _by_digest(self, sql: str | bytes) -> Statement:
        text = _decode(sql, self.dialect)
        if text is None:
            return Statement(
                Kind.UNKNOWN,
                because(Kind.UNKNOWN, "bytes above ASCII in a client charset that is not utf8"),
                may_write=True,
                may_change_session=True,
            )
        said = hints(text, self.dialect) if has_hints(text) else NO_HINTS
        if has_code(text):
            return self._with_code(text, said)
        return self._plain(text, said)

    def _plain(self, text: str, said: Hints) -> Statement:
        scanned = scan(text, self.dialect)
        digest = (" ".join(scanned), said)
        found = self._digests.get(digest)
        if found is None:
            found = _first_sight(tokens(scanned, self.dialect), self.dialect)
            if said != NO_HINTS:
                found = found._replace(hint=said[0], foreign_hints=said[1], bad_hint=said[2])
            elif found.kind is Kind.READ and not (found.functions or found.user_variables_read):
                found = found._replace(plain=True)
            elif changes_rows_alone(found):
                found = found._replace(usual=True)
            if found.verb == "SHOW VARIABLES" or mentions_controls(digest[0]):
                found = found._replace(controls=True, plain=False, usual=False)
            if found.verb in _LITERAL_MATTERS:
                return self._with_body(text, found)
            if len(digest[0]) <= _DIGEST_LENGTH:
                if len(self._digests) >= _DIGESTS:
                    self._digests.clear()
                self._digests[digest] = found
        return found

    def _with_code(self, text: str, said: Hints) -> Statement:
        """A text with executable comments: a read only if no server reads it otherwise."""
        readings = [self._plain(reading, said) for reading in resolve(text, self.dialect)]
        if not readings:
            return Statement(
                Kind.UNKNOWN,
                because(Kind.UNKNOWN, "an executable comment that servers read differently"),
                may_write=True,
                may_change_session=True,
            )
        found = readings[0]
        if found.kind is Kind.READ:
            for other in readings[1:]:
                if other.kind is not Kind.READ:
                    reason = f"another version would run the comment: {other.reason}"
                    return other._replace(reason=other.reason.reworded(reason))
        elif found.kind_if_reading is not None and len(readings) > 1:
            return found._replace(kind_if_reading=None)
        elif self.dialect.number == 0 and any(other != found for other in readings[1:]):
            return found._replace(
                kind=Kind.UNKNOWN,
                reason=because(
                    Kind.UNKNOWN, "an executable comment, and the server's version is not known"
                ),
                may_write=True,
                may_change_session=True,
                usual=False,
            )
        return found

    def _with_body(self, text: str, found: Statement) -> Statement:
        """PREPARE with a literal: what it will run."""
        literals = list(_string_literals(self.dialect).finditer(text))
        if found.user_variables_read or len(literals) != 1:
            return found
        body = self.statement(_unquote(literals[0][0], self.dialect))
        if found.verb != "PREPARE":
            return found._replace(depends=found.depends | body.depends)
        said = tokens(scan(text, self.dialect), self.dialect)
        if [token.kind for token in said[3:4]] != [LITERAL] or {t.text for t in said[4:]} - {";"}:
            return found  # MariaDB computes the text, and each server could another one
        return found._replace(body=body)


# The literal is a statement itself: no digest stands for these.
_LITERAL_MATTERS = frozenset(("PREPARE", "EXECUTE IMMEDIATE"))
_ESCAPE = re.compile(r"\\(.)|(['\"])\2", re.DOTALL)
_ESCAPED = {
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "0": "\0",
    "b": "\b",
    "Z": "\x1a",
    "%": r"\%",
    "_": r"\_",
}


def _unquote(quoted: str, dialect: Dialect) -> str:
    """The content of a literal: what is escaped, and quotes that are doubled, in one pass."""
    quote = quoted[0]
    if dialect.no_backslash_escapes:
        return quoted[1:-1].replace(quote * 2, quote)

    def content(found: re.Match[str]) -> str:
        if found[1] is not None:
            return _ESCAPED.get(found[1], found[1])
        return quote if found[2] == quote else found[0]

    return _ESCAPE.sub(content, quoted[1:-1])


@cache
def _string_literals(dialect: Dialect) -> re.Pattern[str]:
    double = "" if dialect.ansi_quotes else "|" + string('"', dialect)
    return re.compile(string("'", dialect) + double, re.DOTALL)


def _decode(sql: str | bytes, dialect: Dialect) -> str | None:
    """The characters of a text; None if their boundaries cannot be told."""
    if isinstance(sql, str):
        if dialect.utf8 or sql.isascii() or not _RAW_BYTES.search(sql):
            return sql
        return None
    if not isinstance(sql, bytes):
        raise TypeError(f"SQL must be str or bytes, not {type(sql).__name__}")
    if dialect.utf8 or sql.isascii():
        return sql.decode("utf-8", "surrogateescape")
    return None


# PyMySQL keeps raw bytes in a str as surrogates.
_RAW_BYTES = re.compile("[\udc80-\udcff]")


def _first_sight(all_tokens: list[Token], dialect: Dialect) -> Statement:
    parts = _split(all_tokens, dialect)
    if len(parts) == 1:
        return classify_tokens(parts[0], dialect)
    # One empty part at the end is a closing `;`. Elsewhere the server answers with an error.
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    if len(parts) == 1:
        return classify_tokens(parts[0], dialect)
    return _several([classify_tokens(part, dialect) for part in parts])


def _split(all_tokens: list[Token], dialect: Dialect) -> list[list[Token]]:
    """The statements of a text, at its `;`: those of a routine's body are its own."""
    parts: list[list[Token]] = [[]]
    for index, token in enumerate(all_tokens):
        if token.kind != OP or token.text != ";":
            parts[-1].append(token)
        elif is_compound(parts[-1], dialect):
            parts[-1].extend(all_tokens[index:])
            break
        else:
            parts.append([])
    return parts


_SEVERITY = (Kind.UNKNOWN, Kind.WRITE, Kind.TRANSACTION, Kind.SESSION, Kind.PRIMARY_READ)


def _several(parts: Iterable[Statement]) -> Statement:
    """The statement that several make: a read only if each is one."""
    parts = tuple(parts)
    kinds = {part.kind for part in parts}
    if kinds == {Kind.READ}:
        kind = Kind.READ
        reason = because(kind, "several statements, each a read")
    else:
        worst = next((each for each in _SEVERITY if each in kinds), Kind.PRIMARY_READ)
        decided = next((part for part in parts if part.kind is worst), parts[0])
        kind = worst
        reason = decided.reason.reworded(f"several statements, one: {decided.reason}")
        if worst in (Kind.TRANSACTION, Kind.SESSION):
            kind = Kind.WRITE
    merged = Effects()
    for part in parts:
        merged.tables.update(dict.fromkeys(part.tables))
    return Statement(
        kind,
        reason,
        parts[0].verb,
        tables=tuple(merged.tables),
        databases=tuple(dict.fromkeys(name for part in parts for name in part.databases)),
        user_variables_read=_union(part.user_variables_read for part in parts),
        user_variables_written=_union(part.user_variables_written for part in parts),
        system_variables_read=_union(part.system_variables_read for part in parts),
        system_variables_written=_union(part.system_variables_written for part in parts),
        system_variables_defaulted=_union(part.system_variables_defaulted for part in parts),
        system_variables_lent=_union(part.system_variables_lent for part in parts),
        locks=_union(part.locks for part in parts),
        releases=_union(part.releases for part in parts),
        temporary_made=tuple(name for part in parts for name in part.temporary_made),
        temporary_dropped=tuple(name for part in parts for name in part.temporary_dropped),
        renames=tuple(pair for part in parts for pair in part.renames),
        functions=_union(part.functions for part in parts),
        kind_if_reading=_if_reading(parts, kind),
        depends=_union(part.depends for part in parts),
        implicit_commit=any(part.implicit_commit for part in parts),
        may_change_session=kind is not Kind.READ,
        volatile=any(part.volatile for part in parts),
        may_write=any(part.may_write or part.kind in _MAY_COMMIT for part in parts),
        parts=parts,
    )


def _if_reading(parts: tuple[Statement, ...], kind: Kind) -> Kind | None:
    """What several are, once their functions are known only to read."""
    if kind is not Kind.PRIMARY_READ or not any(part.functions for part in parts):
        return None
    kinds = {part.kind_if_reading or part.kind for part in parts}
    return Kind.READ if kinds == {Kind.READ} else kind


_MAY_COMMIT = (Kind.WRITE, Kind.UNKNOWN, Kind.TRANSACTION)


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)


@cache
def classifier(dialect: Dialect) -> Classifier:
    """The one classifier of a dialect."""
    return Classifier(dialect)


def classify(
    sql: str | bytes | bytearray,
    flavor: str = "mysql",
    version: str | tuple[int, ...] | None = None,
    sql_mode: str = "",
) -> Statement:
    """What a server of this flavor, version and sql_mode would do with a text, and why.

    Raises TypeError for what is neither str nor bytes, and for no text anything else.
    """
    if not isinstance(sql, str | bytes | bytearray):
        raise TypeError(f"SQL must be str or bytes, not {type(sql).__name__}")
    return classifier(Dialect.of(flavor, version, sql_mode)).statement(sql)
