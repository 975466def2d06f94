"""Statements that begin, mark and end transactions, and those about locks."""

from __future__ import annotations

import re
from typing import Any

from ..cause import Cause, Reason
from . import wordlist
from .dialect import Dialect
from .effects import Effects, walk
from .functions import builtins_of
from .lexer import NAME, OP, WORD
from .names import name_at
from .queries import Tokens, build, is_word, leading, unknown, words_of
from .statement import Kind, Statement, because

__all__ = [
    "backup",
    "begin",
    "block",
    "end",
    "lock",
    "savepoint",
    "start_transaction",
    "unlock",
    "xa",
]

_PRIMARY, _WRITE = Kind.PRIMARY_READ, Kind.WRITE


def lock(tokens: Tokens, dialect: Dialect) -> Statement:
    if is_word(tokens, 1, "INSTANCE"):
        return Statement(
            _WRITE,
            Reason("LOCK INSTANCE locks", Cause.LOCK),
            "LOCK INSTANCE",
            locks=frozenset(("instance",)),
            may_write=True,
        )
    if not is_word(tokens, 1, "TABLE", "TABLES"):
        return unknown(tokens, dialect, "LOCK of what is not understood")
    effects = Effects()
    index = 2
    while index < len(tokens) and tokens[index].kind in (WORD, NAME):
        table, index = name_at(tokens, index)
        effects.tables[table] = None
        while index < len(tokens) and tokens[index].text != ",":
            index += 1
        index += 1
    effects.locks.add("tables")
    return build(
        effects,
        "LOCK TABLES",
        kind=_WRITE,
        reason=Reason("LOCK TABLES locks", Cause.LOCK),
        implicit_commit=True,
    )


def unlock(tokens: Tokens, dialect: Dialect) -> Statement:
    what = "instance" if is_word(tokens, 1, "INSTANCE") else "tables"
    return Statement(
        _WRITE,
        Reason("UNLOCK releases locks", Cause.LOCK),
        "UNLOCK INSTANCE" if what == "instance" else "UNLOCK TABLES",
        releases=frozenset((what,)),
        implicit_commit=what == "tables",
        may_write=True,
    )


def backup(tokens: Tokens, dialect: Dialect) -> Statement:
    words = leading(tokens, 4)
    ends = "END" in words or "UNLOCK" in words
    held = frozenset(("instance",))
    return Statement(
        _WRITE,
        Reason("BACKUP locks", Cause.LOCK),
        "BACKUP",
        locks=frozenset() if ends else held,
        releases=held if ends else frozenset(),
        may_write=True,
    )


def _transaction(verb: str, does: str, reason: str, **fields: Any) -> Statement:
    return Statement(
        Kind.TRANSACTION, because(Kind.TRANSACTION, reason), verb, transaction=does, **fields
    )


def begin(tokens: Tokens, dialect: Dialect) -> Statement:
    words = leading(tokens, 3)
    if len(tokens) > len(words) or words[1:] not in ([], ["WORK"]) or dialect.oracle:
        return block(tokens, dialect)
    return _transaction(
        "BEGIN",
        "begin",
        "BEGIN opens a transaction",
        releases=frozenset(("tables",)),
        implicit_commit=True,
        may_write=True,
    )


def block(tokens: Tokens, dialect: Dialect) -> Statement:
    effects = Effects()
    walk(tokens, dialect, effects, query=False)
    return build(
        effects,
        tokens[0].text,
        kind=_WRITE if dialect.flavor == "mariadb" else Kind.UNKNOWN,
        reason=f"{tokens[0].text} opens a block that may do anything",
        may_change_session=True,
    )


def start_transaction(tokens: Tokens, dialect: Dialect) -> Statement:
    """START TRANSACTION."""
    items = _shape(tokens[2:])
    said = set(items.split(" , ")) if items else set()
    if said - _CHARACTERISTICS or {"READ ONLY", "READ WRITE"} <= said:
        return unknown(tokens, dialect, "START TRANSACTION with what is not understood")
    does = "begin"
    if "READ ONLY" in said:
        does += " read only"
    elif "READ WRITE" in said:
        does += " read write"
    if "WITH CONSISTENT SNAPSHOT" in said:
        does += " consistent snapshot"
    return _transaction(
        "START TRANSACTION",
        does,
        "START TRANSACTION"
        + (" READ ONLY" if "READ ONLY" in said else "")
        + " opens a transaction",
        releases=frozenset(("tables",)),
        implicit_commit=True,
        may_write=True,
    )


_CHARACTERISTICS = frozenset(("READ ONLY", "READ WRITE", "WITH CONSISTENT SNAPSHOT"))


def _shape(tokens: Tokens) -> str:
    """The tokens as one text; what is no bare word and no comma is a `?`.

    What is not sent to a server is not checked by one: its grammar is checked here, in full.
    """
    return " ".join(
        [
            token.text if token.kind == WORD or (token.kind == OP and token.text == ",") else "?"
            for token in tokens
        ]
    )


_PLAIN_END = re.compile(r"(?:COMMIT|ROLLBACK)(?: WORK)?(?: AND NO CHAIN)?(?: NO RELEASE)?")
_TO_SAVEPOINT = re.compile(r"ROLLBACK (?:WORK )?TO (?:SAVEPOINT )?\S+")


def end(tokens: Tokens, dialect: Dialect) -> Statement:
    """COMMIT and ROLLBACK."""
    verb = tokens[0].text
    shape = _shape(tokens)
    words = words_of(tokens)[1:]
    does = verb.lower()
    name = None
    if "TO" in words:
        name = _savepoint_name(tokens, dialect)
        if name is None or not _TO_SAVEPOINT.fullmatch(shape):
            return unknown(tokens, dialect, f"{verb} with what is not understood")
        does = "rollback to"
    elif "CHAIN" in words and "NO" not in words[: words.index("CHAIN")]:
        does += " chain"
    elif (
        "RELEASE" in words
        and "NO" not in words[words.index("RELEASE") - 1 : words.index("RELEASE")]
    ):
        does += " release"
    elif not _PLAIN_END.fullmatch(shape):
        return unknown(tokens, dialect, f"{verb} with what is not understood")
    return _transaction(
        verb, does, f"{verb} ends the transaction", name=name, may_write=verb == "COMMIT"
    )


def _savepoint_name(tokens: Tokens, dialect: Dialect) -> str | None:
    """The savepoint's name, which stands last; None if it can't be one."""
    last = tokens[-1]
    if last.kind == NAME:
        return last.text
    reserved = builtins_of(dialect).clauses | _RESERVED
    return last.raw if last.kind == WORD and last.text not in reserved else None


_RESERVED = wordlist.words(
    "ALTER ANALYZE BEFORE BOTH CHANGE CONDITION CREATE DATABASE DEFAULT DELETE DESCRIBE DROP DUAL",
    "EACH EXIT EXPLAIN FALSE FETCH FOR GENERATED GRANT IF INSERT INTERVAL ITERATE LEADING LEAVE",
    "LEFT LOAD LOCK LOOP MATCH NULL OPTIMIZE OUT PROCEDURE PURGE READ RELEASE RENAME REPEAT",
    "REPLACE RESIGNAL REVOKE RIGHT SCHEMA SHOW SIGNAL SQL STARTING TERMINATED TRAILING TRIGGER",
    "TRUE UNDO UNLOCK UNSIGNED USAGE WHILE WRITE ZEROFILL",
)


def savepoint(tokens: Tokens, dialect: Dialect) -> Statement:
    verb = "SAVEPOINT" if tokens[0].text == "SAVEPOINT" else "RELEASE SAVEPOINT"
    name = _savepoint_name(tokens, dialect)
    if name is None or _shape(tokens[:-1]) != verb:
        return unknown(tokens, dialect, f"{verb} with what is not understood")
    return _transaction(verb, verb.lower(), f"{verb} belongs to the transaction", name=name)


def xa(tokens: Tokens, dialect: Dialect) -> Statement:
    words = words_of(tokens)
    does = words[1] if len(words) > 1 else ""
    if does == "RECOVER":
        return Statement(
            _PRIMARY, because(_PRIMARY, "XA RECOVER is about one server"), "XA RECOVER"
        )
    if does == "BEGIN":
        does = "START"
    held = frozenset(("xa",))
    ends = does in ("COMMIT", "ROLLBACK")
    return _transaction(
        f"XA {does}",
        f"xa {does.lower()}",
        f"XA {does} belongs to a distributed transaction",
        locks=frozenset() if ends else held,
        releases=held if ends else frozenset(),
        may_write=True,
    )
