"""What every verb's rule needs: to look at the words, and to build the statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..cause import Cause, Reason
from .dialect import Dialect
from .effects import Effects, walk
from .lexer import WORD, Token
from .statement import Kind, Statement, because

__all__ = ["Tokens", "build", "is_word", "leading", "unknown", "words_of"]

Tokens = Sequence[Token]


def words_of(tokens: Tokens) -> list[str]:
    return [token.text for token in tokens if token.kind == WORD]


def leading(tokens: Tokens, count: int) -> list[str]:
    """The words that the statement begins with, up to the first token that is none."""
    words = []
    for token in tokens[:count]:
        if token.kind != WORD:
            break
        words.append(token.text)
    return words


def is_word(tokens: Tokens, index: int, *words: str) -> bool:
    return index < len(tokens) and tokens[index].kind == WORD and tokens[index].text in words


_READS = (Kind.READ, Kind.FOLLOW_READ, Kind.PRIMARY_READ)


def build(effects: Effects, verb: str, **fields: Any) -> Statement:
    """The statement that the effects make, with what only its verb could tell."""
    functions = frozenset(effects.functions)
    given = fields.pop("kind", None)
    kind, reason, otherwise = given or effects.kind, effects.reason, None
    if functions and given is None and kind in _READS:
        if kind is not Kind.PRIMARY_READ:
            text = f"{min(functions)}() may be a stored function that writes"
            reason = Reason(text, Cause.FUNCTION)
            fields.pop("reason", None)
        otherwise, kind = kind, Kind.PRIMARY_READ
    may_write = kind in (Kind.WRITE, Kind.UNKNOWN) or effects.kind in (Kind.WRITE, Kind.UNKNOWN)
    values: dict[str, Any] = {
        "tables": tuple(effects.tables),
        "databases": tuple(
            dict.fromkeys(table.database for table in effects.tables if table.database)
        ),
        "user_variables_read": frozenset(effects.user_read),
        "user_variables_written": frozenset(effects.user_written),
        "system_variables_read": frozenset(effects.system_read),
        "system_variables_written": frozenset(effects.system_written),
        "system_variables_defaulted": frozenset(effects.system_defaulted),
        "locks": frozenset(effects.locks),
        "releases": frozenset(effects.releases),
        "depends": frozenset(effects.depends),
        "functions": functions,
        "kind_if_reading": otherwise,
        "volatile": effects.volatile or bool(functions),
        "may_write": may_write or bool(functions),
        "may_change_session": bool(functions) or kind is Kind.UNKNOWN,
    }
    values.update(fields)
    reason = values.pop("reason", None) or reason
    return Statement(kind, because(kind, reason), verb, **values)


def unknown(tokens: Tokens, dialect: Dialect, reason: str) -> Statement:
    effects = Effects()
    walk(tokens, dialect, effects, query=False)
    verb = tokens[0].text if tokens and tokens[0].kind == WORD else ""
    return build(effects, verb, kind=Kind.UNKNOWN, reason=reason)
