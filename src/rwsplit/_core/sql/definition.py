"""Statements that write, and how much of what they name can be told."""

from __future__ import annotations

from typing import Any

from .dialect import Dialect
from .effects import Effects, walk
from .lexer import NAME, WORD
from .names import name_at
from .queries import Tokens, build, is_word, leading, words_of
from .statement import Kind, Statement, TableName
from .wordlist import words

__all__ = [
    "ROUTINES",
    "call",
    "definition",
    "flush",
    "handler",
    "load",
    "plain_write",
    "table_list",
    "tables_write",
]

_PRIMARY, _WRITE = Kind.PRIMARY_READ, Kind.WRITE
ROUTINES = words("PROCEDURE FUNCTION TRIGGER EVENT PACKAGE")
"""What has a body, whose statements and `;` are its own."""

_OBJECTS = words(
    "TABLE TABLES SEQUENCE VIEW DATABASE SCHEMA INDEX PROCEDURE FUNCTION TRIGGER EVENT PACKAGE",
    "USER ROLE SERVER TABLESPACE LOGFILE INSTANCE RESOURCE SPATIAL LIBRARY",
)


def plain_write(tokens: Tokens, dialect: Dialect, rule: str) -> Statement:
    """A verb of the table: its effects are gathered, its kind is settled."""
    effects = Effects()
    walk(tokens, dialect, effects, query=False)
    verb = " ".join(leading(tokens, rule.count(" ") + 1)) if " " in rule else tokens[0].text
    fields: dict[str, Any] = {}
    if "commits" in rule:
        fields["implicit_commit"] = True
    if "session" in rule:
        fields["may_change_session"] = True
    fields["counts"] = _counts(tokens, effects, dialect)
    what = "may do anything" if "anything" in rule else "writes"
    return build(effects, verb, kind=_WRITE, reason=f"{tokens[0].text} {what}", **fields)


def _counts(tokens: Tokens, effects: Effects, dialect: Dialect) -> bool | None:
    """Whether FOUND_ROWS() is about a write: tried on both."""
    said = words_of(tokens)
    query = next((at for at, word in enumerate(said) if word in ("SELECT", "TABLE", "WITH")), None)
    if said[0] in ("INSERT", "REPLACE"):
        if query is None:
            return False
        return None if {"VALUES", "VALUE", "SET"} & {*said[:query]} else True
    if query is not None or len(effects.tables) != 1:
        return None
    if said[0] == "UPDATE":
        return dialect.flavor == "mysql"
    is_plain = said[0] == "DELETE" and is_word(tokens, 1, "FROM") and "USING" not in said
    return False if is_plain else None


def tables_write(tokens: Tokens, dialect: Dialect) -> Statement:
    """ANALYZE, OPTIMIZE, REPAIR, CHECK TABLE."""
    start = next((i for i, t in enumerate(tokens) if t.text in ("TABLE", "TABLES")), 0)
    effects = table_list(tokens, start + 1, dialect)
    verb = f"{tokens[0].text} TABLE"
    return build(effects, verb, kind=_WRITE, reason=f"{verb} writes", implicit_commit=True)


def table_list(tokens: Tokens, index: int, dialect: Dialect) -> Effects:
    effects = Effects()
    while index < len(tokens) and tokens[index].kind in (WORD, NAME):
        table, index = name_at(tokens, index)
        effects.tables[table] = None
        if index >= len(tokens) or tokens[index].text != ",":
            break
        index += 1
    return effects


def call(tokens: Tokens, dialect: Dialect) -> Statement:
    effects = Effects()
    name = None
    if len(tokens) > 1 and tokens[1].kind in (WORD, NAME):
        table, behind = name_at(tokens, 1)
        name = str(table)
        walk(tokens[behind:], dialect, effects, query=False)
    # Any variable among the arguments may be an OUT parameter.
    effects.user_written |= effects.user_read
    return build(
        effects,
        "CALL",
        kind=_WRITE,
        reason="CALL of a procedure may do anything",
        name=name,
        may_change_session=True,
    )


def load(tokens: Tokens, dialect: Dialect) -> Statement:
    effects = Effects()
    walk(tokens, dialect, effects, query=False)
    effects.user_written |= effects.user_read  # LOAD DATA ... (@a, @b)
    verb = " ".join(leading(tokens, 2))
    return build(
        effects, verb, kind=_WRITE, reason=f"{verb} writes", implicit_commit=verb != "LOAD DATA"
    )


def definition(tokens: Tokens, dialect: Dialect) -> Statement:
    """CREATE, ALTER, DROP, RENAME, TRUNCATE."""
    found = words_of(tokens[:40])
    verb = found[0]
    temporary = "TEMPORARY" in found[:4]
    what = next((word for word in found[1:] if word in _OBJECTS), "")
    if verb == "TRUNCATE":
        what = "TABLE"
    full = " ".join(part for part in (verb, "TEMPORARY" if temporary else "", what) if part)
    effects = Effects()
    if what not in ROUTINES:
        walk(tokens[1:], dialect, effects, query=False)
    names, renames = _object_names(tokens, verb, what)
    fields: dict[str, Any] = {"counts": what == "TABLE" and "SELECT" in words_of(tokens)}
    if what in ("TABLE", "TABLES", "SEQUENCE"):
        for table in names:
            effects.tables.setdefault(table)
        if verb == "CREATE" and temporary:
            fields["temporary_made"] = names[:1]
        elif verb == "DROP":
            fields["temporary_dropped"] = names
        fields["renames"] = renames
    elif what in ("DATABASE", "SCHEMA"):
        fields["databases"] = tuple(table.name for table in names[:1])
        # Dropping the current schema leaves the session without one, altering it changes
        # character_set_database.
        fields["may_change_session"] = verb != "CREATE"
    elif what in ROUTINES and names:
        fields["name"] = str(names[0])
        fields["may_change_session"] = any(token.text == ";" for token in tokens)
    return build(
        effects,
        full,
        kind=_WRITE,
        reason=f"{full} writes",
        implicit_commit=not (temporary and verb in ("CREATE", "DROP")),
        **fields,
    )


def _object_names(
    tokens: Tokens, verb: str, what: str
) -> tuple[tuple[TableName, ...], tuple[tuple[TableName, TableName], ...]]:
    """The names behind the object's word, and the pairs of a rename."""
    start = next(
        (i for i, t in enumerate(tokens) if t.kind == WORD and t.text == what),
        0 if verb == "TRUNCATE" else -1,
    )
    if start < 0:
        return (), ()
    index = start + 1
    while is_word(tokens, index, "IF", "NOT", "EXISTS", "BODY"):
        index += 1
    names: list[TableName] = []
    renames: list[tuple[TableName, TableName]] = []
    while index < len(tokens) and tokens[index].kind in (WORD, NAME):
        name, index = name_at(tokens, index)
        names.append(name)
        if verb == "RENAME" and is_word(tokens, index, "TO") and index + 1 < len(tokens):
            target, index = name_at(tokens, index + 1)
            renames.append((name, target))
        if verb not in ("DROP", "RENAME") or index >= len(tokens) or tokens[index].text != ",":
            break
        index += 1
    if verb == "ALTER" and what == "TABLE" and names:
        renames.extend(_alter_renames(tokens, index, names[0]))
    return tuple(names), tuple(renames)


def _alter_renames(
    tokens: Tokens, index: int, table: TableName
) -> list[tuple[TableName, TableName]]:
    found = []
    for position in range(index, len(tokens) - 1):
        if not is_word(tokens, position, "RENAME"):
            continue
        target = position + 1
        if is_word(tokens, target, "COLUMN", "INDEX", "KEY", "CONSTRAINT"):
            continue
        if is_word(tokens, target, "TO", "AS") or tokens[target].text == "=":
            target += 1
        if target < len(tokens) and tokens[target].kind in (WORD, NAME):
            found.append((table, name_at(tokens, target)[0]))
    return found


def flush(tokens: Tokens, dialect: Dialect) -> Statement:
    effects = Effects()
    said = words_of(tokens)
    locks = ("READ" in said and "LOCK" in said) or "EXPORT" in said
    if locks:
        effects.locks.add("tables")
    return build(effects, "FLUSH", kind=_WRITE, reason="FLUSH writes", implicit_commit=True)


def handler(tokens: Tokens, dialect: Dialect) -> Statement:
    effects = Effects()
    if len(tokens) > 1 and tokens[1].kind in (WORD, NAME):
        table, _ = name_at(tokens, 1)
        effects.tables[table] = None
    walk(tokens[2:], dialect, effects, query=False)
    (effects.releases if is_word(tokens, len(tokens) - 1, "CLOSE") else effects.locks).add(
        "handler"
    )
    return build(effects, "HANDLER", kind=_PRIMARY, reason="HANDLER is bound to its connection")
