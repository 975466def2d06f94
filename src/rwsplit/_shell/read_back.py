"""Reading back from the primary what a session may have changed there unreported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from .._core.session.state import LARGEST_VALUE, TABLES_MADE, State
from .._core.statement import Statement
from .._core.tracking import parse_tails
from .._core.values import literal, quote_identifier, user_value
from .._drivers import err
from .._drivers.pymysql import Ask, PhysicalConnection

__all__ = ["read_back", "report", "user_variables"]

# What is not reported is found among all variables that are not as the server has them.
_CHANGED = {
    "mysql": "SELECT VARIABLE_NAME,CAST(s.VARIABLE_VALUE AS BINARY) "
    "FROM performance_schema.session_variables s JOIN performance_schema.global_variables g "
    "USING (VARIABLE_NAME) "
    "WHERE s.VARIABLE_VALUE<>g.VARIABLE_VALUE OR VARIABLE_NAME IN ({known}) LIMIT 100000",
    "mariadb": "SELECT VARIABLE_NAME,CAST(SESSION_VALUE AS BINARY) "
    "FROM information_schema.SYSTEM_VARIABLES WHERE SESSION_VALUE IS NOT NULL "
    "AND (SESSION_VALUE<>GLOBAL_VALUE OR VARIABLE_NAME IN ({known})) LIMIT 100000",
}
_ROLE = "SELECT CAST(CURRENT_ROLE() AS BINARY) LIMIT 1"
_TABLES_MADE = "SHOW SESSION STATUS WHERE Variable_name='{name}'"
# MySQL prints active roles as accounts, quoted as the sql_mode says.
_PART = r"(?:`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\")"
_ROLE_ACCOUNT = re.compile(f"({_PART})@({_PART})")
_ROLES = re.compile(rf"{_PART}@{_PART}(?:,{_PART}@{_PART})*")

_MOST_AT_ONCE = 200
_APART = 8
"""So many are asked for one by one, for one that is too large holds up none of the others."""


def read_back(
    session: State,
    primary: PhysicalConnection,
    ask: Ask,
    statement: Statement | None = None,
    everything: bool = False,
) -> None:
    """Ask the primary, in one round trip, what the session does not know of itself.

    System variables and the role; of the user variables those that `statement` may read; and
    whether a routine made a temporary table. Raises the error of a connection that was lost.

    With `everything` all user variables in doubt are asked for.
    """
    names = sorted(session.unread - {"*", "role"})
    questions: list[tuple[str, Callable[[Any], None]]] = []
    if names:
        columns = ",".join([_system(name) for name in names])
        questions.append(
            (
                f"SELECT {columns} LIMIT 1",
                lambda reply: _take_variables(session, ask, names, reply),
            )
        )
    if "*" in session.unread:
        known = ",".join([literal(name) for name in session.known_variables()]) or "''"
        questions.append(
            (
                _CHANGED[primary.flavor].format(known=known),
                lambda reply: _take_changed(session, reply),
            )
        )
    if "role" in session.unread:
        questions.append((_ROLE, lambda reply: _take_role(session, reply)))
    if session.suspect:
        sql = _TABLES_MADE.format(name=TABLES_MADE[primary.flavor])
        questions.append((sql, lambda reply: _take_tables_made(session, reply)))
    if statement is not None or everything:
        users = sorted(session.unread_users if statement is None else session.names_of(statement))
        at_once = 1 if len(users) <= _APART else _MOST_AT_ONCE
        starts = range(0, len(users), at_once)
        questions += [_ask_users(session, users[at : at + at_once]) for at in starts]
    if not questions:
        return
    if everything and primary.flavor == "mysql":
        # Reading a deprecated variable, or a user variable of many digits, warns, and the
        # application has asked for no warnings.
        questions.append(("DO 0", lambda reply: None))
    replies = ask([sql for sql, _ in questions])
    for (_, take), reply in zip(questions, replies, strict=True):
        take(reply)
    session.unread -= {*names, "*", "role"}


def report(session: State, primary: PhysicalConnection, names: Iterable[str]) -> None:
    """Let the primary report variables as if they were set again.

    Unlike a SELECT that leaves FOUND_ROWS(), ROW_COUNT() and the warnings to the application.
    """
    same = [f"SESSION {name}=@@SESSION.{name}" for name in map(quote_identifier, names)]
    (reply,) = primary.ask_all([f"SET {','.join(same)}"])
    if isinstance(reply, err.MySQLError):
        raise reply
    for changes in parse_tails(primary.tails):
        session.learn(changes)
    primary.tails.clear()


def user_variables(session: State, ask: Ask, names: frozenset[str]) -> None:
    """Read user variables from a member that set them."""
    sql, take = _ask_users(session, sorted(names))
    (reply,) = ask([sql])
    take(reply)


def _system(name: str) -> str:
    return f"CAST(@@SESSION.{quote_identifier(name)} AS BINARY)"


def _take_variables(session: State, ask: Ask, names: list[str], reply: Any) -> None:
    if not isinstance(reply, err.MySQLError):
        for name, value in zip(names, reply.rows[0], strict=True):
            session.set_variable(name, _text(value))
        return
    # One of them can't be read; asked one by one, the others still answer.
    answers = ask([f"SELECT {_system(name)} LIMIT 1" for name in names])
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, err.MySQLError):
            session.pins[name] = f"the value of {name} can't be read back"
        else:
            session.set_variable(name, _text(answer.rows[0][0]))


def _take_changed(session: State, reply: Any) -> None:
    if isinstance(reply, err.MySQLError):
        session.pins["statement"] = "the session's variables can't be read back"
        return
    for name, value in reply.rows:
        session.set_variable(_text(name).lower(), _text(value))


def _take_role(session: State, reply: Any) -> None:
    role = None if isinstance(reply, err.MySQLError) else _text(reply.rows[0][0])
    if isinstance(reply, err.MySQLError):
        session.pins["role"] = "the session's role can't be read back"
    elif not role or role == "NONE":
        session.set_role("NONE")
    elif _ROLES.fullmatch(role):
        accounts = _ROLE_ACCOUNT.findall(role)
        session.set_role(
            ",".join([f"{_requote(name)}@{_requote(host)}" for name, host in accounts])
        )
    else:
        session.set_role(quote_identifier(role))


def _requote(quoted: str) -> str:
    return quote_identifier(quoted[1:-1].replace(quoted[0] * 2, quoted[0]))


def _take_tables_made(session: State, reply: Any) -> None:
    if isinstance(reply, err.MySQLError) or not reply.rows:
        session.note_tables_made(session.tables_made + 1)
    else:
        session.note_tables_made(int(reply.rows[0][1]))


def _ask_users(session: State, names: list[str]) -> tuple[str, Callable[[Any], None]]:
    about = ("CHARSET", "COLLATION", "HEX")
    columns = []
    for name in names:
        variable = f"@{quote_identifier(name)}"
        columns += [variable, *[f"CAST({what}({variable}) AS BINARY)" for what in about]]

    def take(reply: Any) -> None:
        if isinstance(reply, err.MySQLError):
            session.heavy.update(names)  # too much for one packet, perhaps
            session.unread_users.difference_update(names)
            return
        if not reply.rows:
            session.note_heavy(names)
            return
        row = reply.rows[0]
        for number, name in enumerate(names):
            at = 4 * number
            field = reply.fields[at]
            printed, charset, collation, digits = [_text(value) for value in row[at : at + 4]]
            session.set_user_variable(
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
