"""Statements that begin, mark and end transactions, and those about locks."""

from __future__ import annotations

from typing import Any

from .cause import Cause, Reason
from .dialect import Dialect
from .effects import Effects, walk
from .lexer import NAME, WORD
from .names import name_at
from .reading import Tokens, build, is_word, leading, unknown, words_of
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
    words = [word for word in words_of(tokens)[2:] if word not in ("WITH", "SNAPSHOT")]
    if set(words) - {"READ", "ONLY", "WRITE", "CONSISTENT"}:
        return unknown(tokens, dialect, "START TRANSACTION with what is not understood")
    does = "begin"
    if "ONLY" in words:
        does += " read only"
    elif "WRITE" in words:
        does += " read write"
    if "CONSISTENT" in words:
        does += " consistent snapshot"
    return _transaction(
        "START TRANSACTION",
        does,
        "START TRANSACTION" + (" READ ONLY" if "ONLY" in words else "") + " opens a transaction",
        releases=frozenset(("tables",)),
        implicit_commit=True,
        may_write=True,
    )


def end(tokens: Tokens, dialect: Dialect) -> Statement:
    """COMMIT and ROLLBACK."""
    verb = tokens[0].text
    words = words_of(tokens)[1:]
    does = verb.lower()
    name = None
    if "TO" in words:
        does = "rollback to"
        name = tokens[-1].raw if tokens[-1].kind == WORD else tokens[-1].text
    elif "CHAIN" in words and "NO" not in words[: words.index("CHAIN")]:
        does += " chain"
    elif (
        "RELEASE" in words
        and "NO" not in words[words.index("RELEASE") - 1 : words.index("RELEASE")]
    ):
        does += " release"
    elif set(words) - {"WORK", "AND", "NO", "CHAIN", "RELEASE"}:
        return unknown(tokens, dialect, f"{verb} with what is not understood")
    return _transaction(
        verb, does, f"{verb} ends the transaction", name=name, may_write=verb == "COMMIT"
    )


def savepoint(tokens: Tokens, dialect: Dialect) -> Statement:
    verb = "SAVEPOINT" if tokens[0].text == "SAVEPOINT" else "RELEASE SAVEPOINT"
    last = tokens[-1]
    name = last.raw if last.kind == WORD else last.text
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
