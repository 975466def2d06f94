"""What is known of stored functions, beyond the text that calls them.

A declaration alone proves nothing: a NO SQL function may still set a user variable or take a
lock. So a call is a read only if the declaration says so and its body, where it can be seen, is
seen to do neither. Asking the catalogue is the shell's business; the decision is made here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..cause import Cause, Reason
from .dialect import Dialect
from .effects import Effects, walk
from .functions import GEOMETRY, MYSQL_UNTIL
from .lexer import NAME, OP, SYSVAR, USERVAR, WORD, Token, scan, tokens
from .statement import Kind, Statement, because
from .wordlist import words

__all__ = ["LookUp", "Routine", "refusal", "with_functions"]

_READING = ("NO SQL", "READS SQL DATA")

# Words that begin a statement of a body, and change nothing by themselves.
_FORBIDDEN = words(
    "INSERT UPDATE DELETE REPLACE CALL PREPARE EXECUTE DEALLOCATE TRUNCATE CREATE DROP ALTER",
    "HANDLER LOCK UNLOCK FLUSH LOAD GRANT REVOKE RENAME COMMIT ROLLBACK SAVEPOINT START XA USE",
    "ANALYZE OPTIMIZE REPAIR CHECK CACHE KILL DO IMPORT INSTALL UNINSTALL PURGE RESET",
)
# Built in by these names too, so not in the way when called.
_ALSO_FUNCTIONS = words("INSERT REPLACE TRUNCATE")
_SCOPES = words("SESSION LOCAL GLOBAL PERSIST PERSIST_ONLY NAMES CHARSET CHARACTER PASSWORD ROLE")


class Routine(NamedTuple):
    """What the catalogue says of one stored function."""

    data_access: str = ""
    """`NO SQL`, `READS SQL DATA`, `CONTAINS SQL` or `MODIFIES SQL DATA`."""
    body: str | None = None
    """None where the account may not see it."""
    database: str = ""
    parameters: frozenset[str] = frozenset()
    """Lower case: what a SET in the body may set."""
    sql_mode: str = ""
    """The one that it was created under: its body is read by that."""
    exists: bool = True
    """False: the catalogue has no stored function of that name."""


LookUp = Callable[[str], Routine | str | None]
"""name (`f` or `db.f`) -> what the catalogue says; `read` or `write` where the configuration
says it; None if nothing is known."""


def with_functions(statement: Statement, look_up: LookUp, dialect: Dialect) -> Statement:
    """The statement once the functions that it may call are known: a read if they only read."""
    kind = statement.kind_if_reading
    if kind is None or statement.kind is not Kind.PRIMARY_READ:
        return statement
    seen: set[str] = set()
    reads: set[str] = set()
    for name in sorted(statement.functions):
        why_not = refusal(name, look_up, dialect, seen, reads)
        if why_not is not None:
            return statement._replace(reason=Reason(why_not, Cause.FUNCTION))
    names = ", ".join(sorted(statement.functions))
    reason = because(kind, f"{statement.verb} calls {names}, known only to read")
    return statement._replace(
        kind=kind,
        reason=statement.reason if kind is Kind.PRIMARY_READ else reason,
        user_variables_read=statement.user_variables_read | reads,
        may_write=False,
        may_change_session=False,
    )


def refusal(
    name: str, look_up: LookUp, dialect: Dialect, seen: set[str], reads: set[str]
) -> str | None:
    """Why a function cannot be taken for one that only reads; None if it can.

    `reads` is given the user variables that it reads.
    """
    if name in seen:
        return None
    seen.add(name)
    known = look_up(name)
    if known is None or known == "write":
        return f"{name}() is {'declared writing' if known else 'not known to read'}"
    if isinstance(known, str):
        return None if known == "read" else f"{name}() is declared {known!r}"
    if not known.exists:
        # Loadable functions are not in the catalogue and may do anything.
        builtin = name.upper() in GEOMETRY or name.upper() in MYSQL_UNTIL
        return None if builtin else f"{name}() is no stored function"
    if known.data_access.upper() not in _READING:
        return f"{name}() is declared {known.data_access or 'nothing'}"
    if known.body is None:
        return f"{name}() has a body that this account may not see"
    return _body_refusal(name, known, look_up, dialect, seen, reads)


def _body_refusal(
    name: str,
    routine: Routine,
    look_up: LookUp,
    dialect: Dialect,
    seen: set[str],
    reads: set[str],
) -> str | None:
    """What in a visible body speaks against its declaration."""
    assert routine.body is not None
    if "/*!" in routine.body or "/*M!" in routine.body:
        return f"{name}() has an executable comment in its body"
    mode = Dialect.of(dialect.flavor, dialect.version, routine.sql_mode)
    body = tokens(scan(routine.body, mode), mode)
    effects = Effects()
    walk(body, mode, effects, query=False)
    if effects.kind is not Kind.READ or effects.locks:
        return f"{name}() does more than read: {effects.reason}"
    if effects.user_written:
        return f"{name}() sets @{min(effects.user_written)}"
    reads |= effects.user_read
    locals_ = routine.parameters | _declared(body)
    for index, token in enumerate(body):
        found = _forbidden(body, index, token, locals_)
        if found is not None:
            return f"{name}() does more than read: {found}"
    for inner in sorted(effects.functions):
        qualified = inner if "." in inner or not routine.database else f"{routine.database}.{inner}"
        why_not = refusal(qualified, look_up, dialect, seen, reads)
        if why_not is not None:
            return f"{name}() calls {why_not}"
    return None


def _declared(body: list[Token]) -> frozenset[str]:
    """The local variables of a body."""
    found: set[str] = set()
    for index, token in enumerate(body):
        if token.kind != WORD or token.text != "DECLARE":
            continue
        position = index + 1
        while position < len(body) and body[position].kind in (WORD, NAME):
            found.add(_name(body[position]))
            position += 1
            if position >= len(body) or body[position].text != ",":
                break
            position += 1
    return frozenset(found)


def _name(token: Token) -> str:
    return (token.raw if token.kind == WORD else token.text).lower()


def _forbidden(body: list[Token], index: int, token: Token, locals_: frozenset[str]) -> str | None:
    if token.kind != WORD or _follows_dot(body, index):
        return None
    if token.text == "SET":
        return _forbidden_set(body, index + 1, locals_)
    if token.text not in _FORBIDDEN:
        return None
    called = index + 1 < len(body) and body[index + 1].text == "("
    # A loop's DO, and what may be the name of a column, stand behind other words: be strict.
    if (called and token.text in _ALSO_FUNCTIONS) or (token.text == "DO" and _in_loop(body, index)):
        return None
    return token.text


def _follows_dot(body: list[Token], index: int) -> bool:
    return index > 0 and body[index - 1].kind == OP and body[index - 1].text == "."


def _in_loop(body: list[Token], index: int) -> bool:
    """WHILE condition DO, FOR range DO: no statement of its own."""
    for token in reversed(body[:index]):
        if token.text == ";":
            return False
        if token.kind == WORD and token.text in ("WHILE", "FOR"):
            return True
    return False


def _forbidden_set(body: list[Token], index: int, locals_: frozenset[str]) -> str | None:
    """A SET of anything but local variables and parameters."""
    depth = 0
    expects = True
    while index < len(body) and body[index].text != ";":
        token = body[index]
        if expects:
            if token.kind in (USERVAR, SYSVAR) or (token.kind == WORD and token.text in _SCOPES):
                return f"SET {token.raw}"
            if token.kind not in (WORD, NAME) or _name(token) not in locals_:
                return f"SET {token.raw}"
            expects = False
        elif token.kind == OP:
            depth += (token.text == "(") - (token.text == ")")
            expects = token.text == "," and depth == 0
        index += 1
    return None
