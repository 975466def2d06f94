"""SHOW: which of its forms are about the data, and which about one server."""

from __future__ import annotations

from collections.abc import Sequence

from ..cause import Cause
from .dialect import Dialect
from .effects import Effects, walk
from .lexer import NAME, WORD, Token
from .names import name_at
from .queries import is_word
from .statement import Kind, because

__all__ = ["show"]

# The form's leading words -> its kind; the longest that fits counts.
_READS = """
    DATABASES; SCHEMAS; TABLES; COLUMNS; FIELDS; INDEX; INDEXES; KEYS; TRIGGERS; GRANTS;
    CHARSET; CHARACTER SET; COLLATION; PRIVILEGES; TABLE STATUS; PROCEDURE STATUS; FUNCTION STATUS;
    PACKAGE STATUS; PACKAGE BODY STATUS; LIBRARY STATUS; CREATE
"""
_FOLLOWS = "WARNINGS; ERRORS; COUNT"
_LOCAL = """
    VARIABLES; STATUS; PROCESSLIST; ENGINE; ENGINES; STORAGE ENGINES; PLUGINS; MASTER; BINARY;
    BINLOG; REPLICAS; SLAVE; REPLICA; RELAYLOG; SLAVE HOSTS; SLAVE STATUS; REPLICA STATUS;
    ALL SLAVES STATUS; ALL REPLICAS STATUS; PROFILE; PROFILES; OPEN TABLES; PROCEDURE CODE;
    FUNCTION CODE; PACKAGE BODY CODE; EXPLAIN; ANALYZE; LOCALES; MUTEX; PARSE_TREE; AUTHORS;
    CONTRIBUTORS; USER_STATISTICS; CLIENT_STATISTICS; INDEX_STATISTICS; TABLE_STATISTICS;
    QUERY_RESPONSE_TIME; WSREP_STATUS; WSREP_MEMBERSHIP; EVENTS; CREATE EVENT
"""
# It reads the grant tables by locking them (MySQL).
_LOCKS = "CREATE USER"


def _forms(text: str) -> list[tuple[str, ...]]:
    return [tuple(form.split()) for form in text.split(";")]


_FORMS: dict[tuple[str, ...], Kind] = {
    **dict.fromkeys(_forms(_READS), Kind.READ),
    **dict.fromkeys(_forms(_FOLLOWS), Kind.FOLLOW_READ),
    **dict.fromkeys(_forms(_LOCAL), Kind.PRIMARY_READ),
    **dict.fromkeys(_forms(_LOCKS), Kind.PRIMARY_READ),
}
_MODIFIERS = frozenset(("FULL", "EXTENDED", "GLOBAL", "SESSION", "LOCAL", "HISTORY"))
_OF_TABLE = frozenset(("COLUMNS", "FIELDS", "INDEX", "INDEXES", "KEYS"))
_SAYS = {
    Kind.READ: "reads the schema",
    Kind.FOLLOW_READ: "is about the statement before",
    Kind.PRIMARY_READ: "shows one server's own state",
}


def show(tokens: Sequence[Token], dialect: Dialect, effects: Effects) -> str:
    """Add what a SHOW does to the effects; its verb."""
    start = 1
    while start < len(tokens) and tokens[start].kind == WORD and tokens[start].text in _MODIFIERS:
        start += 1
    words: list[str] = []
    for token in tokens[start : start + 3]:
        if token.kind != WORD:
            break
        words.append(token.text)
    form = next((tuple(words[:n]) for n in (3, 2, 1) if tuple(words[:n]) in _FORMS), None)
    if form is None:
        effects.demand(Kind.UNKNOWN, "SHOW of what is not understood")
        return "SHOW"
    verb = " ".join(("SHOW", *form))
    _names(tokens, start, form, effects)
    walk(_condition(tokens, start), dialect, effects)
    if _FORMS[form] is Kind.FOLLOW_READ:
        effects.depends.add("warnings")
    locks = form == tuple(_LOCKS.split())
    says = "locks the grant tables" if locks else _SAYS[_FORMS[form]]
    effects.demand(_FORMS[form], f"{verb} {says}", Cause.LOCK if locks else None)
    if effects.kind is Kind.READ:
        effects.reason = because(Kind.READ, f"{verb} {_SAYS[Kind.READ]}")
    return verb


def _names(tokens: Sequence[Token], start: int, form: tuple[str, ...], effects: Effects) -> None:
    """The table that it is about, for it may be a temporary one."""
    index = 0
    if form[0] in _OF_TABLE:
        index = next(
            (
                position + 1
                for position in range(start, len(tokens))
                if tokens[position].kind == WORD and tokens[position].text in ("FROM", "IN")
            ),
            0,
        )
    elif form == ("CREATE",) and is_word(tokens, start + 1, "TABLE", "VIEW", "SEQUENCE"):
        index = start + 2
    if index and index < len(tokens) and tokens[index].kind in (WORD, NAME):
        table, behind = name_at(tokens, index)
        if (
            table.database is None
            and behind + 1 < len(tokens)
            and tokens[behind].text in ("FROM", "IN")
            and tokens[behind].kind == WORD
        ):
            schema, _ = name_at(tokens, behind + 1)
            table = table._replace(database=schema.name)
        effects.tables[table] = None


def _condition(tokens: Sequence[Token], start: int) -> Sequence[Token]:
    """What stands behind WHERE: any expression."""
    for index in range(start, len(tokens)):
        if tokens[index].kind == WORD and tokens[index].text == "WHERE":
            return tokens[index:]
    return ()
