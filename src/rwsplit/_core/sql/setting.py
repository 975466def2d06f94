"""SET in all its forms: what it sets, of the session or beyond."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .dialect import Dialect
from .effects import Effects, walk
from .lexer import NAME, OP, SYSVAR, USERVAR, WORD, Token
from .statement import Kind

__all__ = ["Assignments", "assignments"]

_CHARSET = (
    "character_set_client",
    "character_set_connection",
    "character_set_results",
    "collation_connection",
)
_SCOPES = ("GLOBAL", "SESSION", "LOCAL", "PERSIST", "PERSIST_ONLY")
_BEYOND = ("GLOBAL", "PERSIST", "PERSIST_ONLY")
# Set with a bare @@, these hold for the next transaction only.
_ONE_SHOT = frozenset(
    ("transaction_isolation", "tx_isolation", "transaction_read_only", "tx_read_only")
)


class Assignments(NamedTuple):
    """What one SET does, beside the names that went into the effects."""

    verb: str = "SET"
    reason: str = "SET changes the session"
    session: bool = False
    writes: bool = False
    """It changes the server: GLOBAL, PERSIST, a password."""
    one_shot: bool = False
    """SET TRANSACTION: for the next transaction only."""


def assignments(tokens: Sequence[Token], dialect: Dialect, effects: Effects) -> Assignments | None:
    """Read a SET; None if it is not understood."""
    body = tokens[1:]
    if not body:
        return None
    special = _special(body, effects)
    if special is not None:
        return special
    found = Assignments()
    scope = ""
    for item in _split(body):
        one = _item(item, scope, dialect, effects)
        if one is None:
            return None
        result, scope = one
        found = found._replace(
            session=found.session or result.session,
            writes=found.writes or result.writes,
            one_shot=found.one_shot or result.one_shot,
        )
    if found.writes and not found.session:
        found = found._replace(reason="SET GLOBAL changes the server")
    elif found.one_shot and not found.session:
        found = found._replace(reason="SET of the next transaction's characteristics")
    return found


def _special(body: Sequence[Token], effects: Effects) -> Assignments | None:
    """The forms of SET that are no assignments."""
    words = [token.text if token.kind == WORD else "" for token in (*body[:3],)]
    words += [""] * (3 - len(words))
    first, second, third = words
    if first == "PASSWORD" and (second in ("FOR", "TO") or _is(body, 1, "=")):
        return Assignments("SET PASSWORD", "SET PASSWORD changes an account", writes=True)
    if first == "DEFAULT" and second == "ROLE":
        return Assignments("SET DEFAULT ROLE", "SET DEFAULT ROLE changes an account", writes=True)
    if first == "RESOURCE" and second == "GROUP":
        return Assignments("SET RESOURCE GROUP", "SET RESOURCE GROUP moves a thread", writes=True)
    if first == "ROLE" and not _is(body, 1, "="):
        effects.system_written.add("role")
        return Assignments("SET ROLE", "SET ROLE changes the session", session=True)
    if first == "TRANSACTION" and second in ("READ", "ISOLATION"):
        return Assignments(
            "SET TRANSACTION", "SET TRANSACTION is for the next transaction only", one_shot=True
        )
    if first in _SCOPES and second == "TRANSACTION" and third in ("READ", "ISOLATION"):
        return _set_transaction(first, body, effects)
    return None


def _set_transaction(scope: str, body: Sequence[Token], effects: Effects) -> Assignments:
    if scope in _BEYOND:
        return Assignments("SET TRANSACTION", "SET GLOBAL changes the server", writes=True)
    words = {token.text for token in body if token.kind == WORD}
    if "ISOLATION" in words:
        effects.system_written.add("transaction_isolation")
    if "ONLY" in words or "WRITE" in words:
        effects.system_written.add("transaction_read_only")
    return Assignments(
        "SET TRANSACTION", "SET SESSION TRANSACTION changes the session", session=True
    )


def _split(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """The items of the list, at the commas that stand in no parentheses."""
    items: list[Sequence[Token]] = []
    depth, start = 0, 0
    for index, token in enumerate(tokens):
        if token.kind != OP:
            continue
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth -= 1
        elif token.text == "," and depth == 0:
            items.append(tokens[start:index])
            start = index + 1
    items.append(tokens[start:])
    return items


def _is(tokens: Sequence[Token], index: int, text: str) -> bool:
    return index < len(tokens) and tokens[index].kind == OP and tokens[index].text == text


def _item(
    item: Sequence[Token], inherited: str, dialect: Dialect, effects: Effects
) -> tuple[Assignments, str] | None:
    """One item of the list, and the scope that it leaves for those behind it."""
    if not item:
        return None
    first = item[0]
    if first.kind == USERVAR:
        return _user(item, dialect, effects), inherited
    is_charset = first.kind == WORD and first.text in ("NAMES", "CHARSET", "CHARACTER")
    if is_charset and not _is(item, 1, "="):
        effects.system_written.update(_CHARSET)
        # Names of character sets are no names of tables.
        values = [token for token in item[1:] if token.kind not in (WORD, NAME)]
        walk(values, dialect, effects, query=False)
        return Assignments(session=True), inherited
    scope, explicit, index = inherited, "", 0
    if first.kind == WORD and first.text in _SCOPES and not _is(item, 1, "="):
        scope = explicit = first.text
        index = 1
    name, index = _variable(item, index)
    if name is None or not (_is(item, index, "=") or _is(item, index, ":=")):
        return None
    is_at = item[0].kind == SYSVAR
    prefix, _, rest = name.partition(".")
    if is_at and rest and prefix.upper() in _SCOPES:
        explicit, name = prefix.upper(), rest
    walk(item[index + 1 :], dialect, effects)
    effective = explicit or scope
    if effective in _BEYOND:
        if explicit:
            return Assignments(writes=True), scope
        # Whether GLOBAL holds for the items behind it differs: take it for both.
        effects.system_written.add(name)
        return Assignments(writes=True, session=True), scope
    if is_at and not explicit and name in _ONE_SHOT:
        return Assignments(one_shot=True), scope
    effects.system_written.add(name)
    value = item[index + 1 :]
    if len(value) == 1 and value[0].kind == WORD and value[0].text == "DEFAULT":
        effects.system_defaulted.add(name)
    return Assignments(session=True), scope


def _user(item: Sequence[Token], dialect: Dialect, effects: Effects) -> Assignments:
    if not (_is(item, 1, "=") or _is(item, 1, ":=")):
        effects.demand(Kind.UNKNOWN, "SET of a user variable without '='")
    effects.user_written.add(item[0].text)
    walk(item[2:], dialect, effects)
    return Assignments(session=True)


def _variable(item: Sequence[Token], index: int) -> tuple[str | None, int]:
    """The variable's name, with all its dots, and the position behind it."""
    if index >= len(item) or item[index].kind not in (WORD, NAME, SYSVAR):
        return None, index
    token = item[index]
    name = (token.raw if token.kind == WORD else token.text).lower()
    index += 1
    while _is(item, index, ".") and index + 1 < len(item):
        part = item[index + 1]
        name += "." + (part.raw if part.kind == WORD else part.text).lower()
        index += 2
    return name, index
