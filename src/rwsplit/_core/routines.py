"""What is known of stored functions, beyond the text that calls them.

A declaration alone proves nothing: a NO SQL function may still set a user variable or take a
lock. So a call is a read only if the declaration says so and its body, where it can be seen, is
seen to do neither. Asking the catalogue is the shell's business; the decision is made here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .dialect import Dialect
from .effects import Effects, walk
from .lexer import ODD, OP, WORD, Token, scan, tokens
from .statement import Kind, Statement
from .wordlist import words

__all__ = ["Routine", "reads", "with_functions"]

_HARMLESS = words("NO SQL", "READS SQL DATA")
_READING = ("NO SQL", "READS SQL DATA")


class Routine(NamedTuple):
    """What the catalogue says of one stored function."""

    data_access: str = ""
    """`NO SQL`, `READS SQL DATA`, `CONTAINS SQL` or `MODIFIES SQL DATA`."""
    body: str | None = None
    """None where the account may not see it."""
    exists: bool = True
    """False: no stored function has the name, so it is built in, loadable or an error."""
    sql_mode: str = ""
    """The sql_mode that it was created under, which its body is read by."""


def with_functions(
    statement: Statement,
    look_up: Callable[[str], Routine | bool | None],
    dialect: Dialect,
) -> Statement:
    """The statement once the functions that it may call are known.

    `look_up(name)` answers True (declared reading by the configuration), False (declared writing),
    a `Routine`, or None where nothing is known. Names come as the text has them: `f` or `db.f`.
    """
    if not statement.functions or statement.hint is not None and statement.parts:
        return statement
    if statement.kind is not Kind.PRIMARY_READ or statement.only_functions is False:
        return statement
    seen: set[str] = set()
    for name in sorted(statement.functions):
        refusal = _refusal(name, look_up, dialect, seen)
        if refusal is not None:
            return statement._replace(reason=refusal)
    return statement._replace(
        kind=Kind.READ,
        reason="calls stored functions that only read",
        may_write=False,
        may_change_session=False,
    )
