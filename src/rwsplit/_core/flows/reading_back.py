"""Reading back from the primary what a session may have changed there unreported."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..flavors.questions import ASK_CHANGED
from ..session.state import LARGEST_VALUE, State
from ..sql.statement import Statement
from ..sql.values import literal, quote_identifier, user_value
from ..wire import Fault
from .command import Flow

__all__ = ["ask_users", "reading_back", "report_sql"]

Questions = Callable[[Sequence[str]], Flow[list[Any]]]
"""Runs questions of ours on the primary; their replies."""
Takes = list[tuple[str, Callable[[Any], None]]]

_ROLE = "SELECT CAST(CURRENT_ROLE() AS BINARY) LIMIT 1"
_TABLES_MADE = "SHOW SESSION STATUS WHERE Variable_name='{name}'"
# MySQL prints active roles as accounts, quoted as the sql_mode says.
_PART = r"(?:`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\")"
_ROLE_ACCOUNT = re.compile(f"({_PART})@({_PART})")
_ROLES = re.compile(rf"{_PART}@{_PART}(?:,{_PART}@{_PART})*")

_MOST_AT_ONCE = 200
_APART = 8
"""So many are asked for one by one, for one that is too large holds up none of the others."""


def reading_back(
    state: State, ask: Questions, statement: Statement | None = None, everything: bool = False
) -> Flow[None]:
    """Ask the primary, in one round trip, what the session does not know of itself.

    System variables and the role; of the user variables those that `statement` may read; and
    whether a routine made a temporary table. Raises the fault of a connection that was lost.

    With `everything` all user variables in doubt are asked for.
    """
    names = sorted(state.unread - {"*", "role"})
    questions: Takes = []
    if names:
        columns = ",".join([_system(name) for name in names])
        questions.append((f"SELECT {columns} LIMIT 1", lambda reply: None))
    if "*" in state.unread:
        # What is not reported is found among all variables that are not as the server has them.
        known = ",".join([literal(name) for name in state.known_variables()]) or "''"
        sql = ASK_CHANGED[state.origin.flavor].format(known=known)
        questions.append((sql, lambda reply: _take_changed(state, reply)))
    if "role" in state.unread:
        questions.append((_ROLE, lambda reply: _take_role(state, reply)))
    if state.suspect:
        sql = _TABLES_MADE.format(name=state.traits.tables_made)
        questions.append((sql, lambda reply: _take_tables_made(state, reply)))
    if statement is not None or everything:
        users = sorted(state.unread_users if statement is None else state.names_of(statement))
        at_once = 1 if len(users) <= _APART else _MOST_AT_ONCE
        starts = range(0, len(users), at_once)
        questions += [ask_users(state, users[at : at + at_once]) for at in starts]
    if not questions:
        return
    if everything and not state.traits.keeps_warnings:
        # Reading a deprecated variable, or a user variable of many digits, warns, and the
        # application has asked for no warnings: this clears the list.
        questions.append(("DO 0", lambda reply: None))
    replies = yield from ask([sql for sql, _ in questions])
    if names:
        yield from _taking_variables(state, ask, names, replies[0])
    for (_, take), reply in zip(questions, replies, strict=True):
        take(reply)
    state.note_asked(names)


def report_sql(names: Sequence[str]) -> str:
    """Return what lets the primary report variables as if they were set again.

    Unlike a SELECT that leaves FOUND_ROWS(), ROW_COUNT() and the warnings to the application.
    """
    same = [f"SESSION {name}=@@SESSION.{name}" for name in map(quote_identifier, names)]
    return f"SET {','.join(same)}"


def _system(name: str) -> str:
    return f"CAST(@@SESSION.{quote_identifier(name)} AS BINARY)"


def _taking_variables(state: State, ask: Questions, names: list[str], reply: Any) -> Flow[None]:
    if not isinstance(reply, Fault):
        for name, value in zip(names, reply.rows[0], strict=True):
            state.set_variable(name, _text(value))
        return
    # One of them can't be read; asked one by one, the others still answer.
    answers = yield from ask([f"SELECT {_system(name)} LIMIT 1" for name in names])
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, Fault):
            state.bind(name, f"the value of {name} can't be read back")
        else:
            state.set_variable(name, _text(answer.rows[0][0]))


def _take_changed(state: State, reply: Any) -> None:
    if isinstance(reply, Fault):
        state.bind("statement", "the session's variables can't be read back")
        return
    for name, value in reply.rows:
        state.set_variable(_text(name).lower(), _text(value))


def _take_role(state: State, reply: Any) -> None:
    role = None if isinstance(reply, Fault) else _text(reply.rows[0][0])
    if isinstance(reply, Fault):
        state.bind("role", "the session's role can't be read back")
    elif not role or role == "NONE":
        state.set_role("NONE")
    elif _ROLES.fullmatch(role):
        accounts = _ROLE_ACCOUNT.findall(role)
        state.set_role(",".join([f"{_requote(name)}@{_requote(host)}" for name, host in accounts]))
    else:
        state.set_role(quote_identifier(role))


def _requote(quoted: str) -> str:
    return quote_identifier(quoted[1:-1].replace(quoted[0] * 2, quoted[0]))


def _take_tables_made(state: State, reply: Any) -> None:
    if isinstance(reply, Fault) or not reply.rows:
        state.note_tables_made(state.tables_made + 1)
    else:
        state.note_tables_made(int(reply.rows[0][1]))


def ask_users(state: State, names: list[str]) -> tuple[str, Callable[[Any], None]]:
    """Return what asks for user variables, and what takes in the reply."""
    about = ("CHARSET", "COLLATION", "HEX")
    columns = []
    for name in names:
        variable = f"@{quote_identifier(name)}"
        columns += [variable, *[f"CAST({what}({variable}) AS BINARY)" for what in about]]

    def take(reply: Any) -> None:
        if isinstance(reply, Fault):
            state.note_unknown_users(names)
            return
        if not reply.rows:
            state.note_heavy(names)
            return
        row = reply.rows[0]
        for number, name in enumerate(names):
            at = 4 * number
            field = reply.fields[at]
            printed, charset, collation, digits = [_text(value) for value in row[at : at + 4]]
            state.set_user_variable(
                name,
                user_value(
                    (field.type_code, field.flags), printed, charset or "", collation or "", digits
                ),
            )

    small = [f"COALESCE(LENGTH(@{quote_identifier(name)}),0)<{LARGEST_VALUE}" for name in names]
    # What is too large for replicas is not worth the way here.
    asked = " ".join(("SELECT", ",".join(columns), "FROM DUAL WHERE", " AND ".join(small)))
    return f"{asked} LIMIT 1", take


def _text(value: Any) -> Any:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
