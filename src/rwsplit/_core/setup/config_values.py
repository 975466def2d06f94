"""The keywords of `connect()` in a configuration file: checked, and their secrets fetched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..cluster.endpoint import DEFAULT_PORT
from .keywords import (
    ALIASES,
    CONNECT_KEYWORDS,
    OPTION_KEYWORDS,
    SECRETS,
    Holds,
    as_driver_takes_it,
    check_kind,
)
from .options import CLUSTER_KEYWORDS, KEYWORDS, parse_cluster_options, parse_options
from .problems import Hidden, Problems, shown

__all__ = ["CONNECT", "Sources", "check_option", "read_option", "split"]

CONNECT = frozenset(CONNECT_KEYWORDS)

_ELSEWHERE = {
    **dict.fromkeys(("host", "port", "unix_socket"), "as 'primary'"),
    **{key: "to connect()" for key, holds in CONNECT_KEYWORDS.items() if holds is Holds.OBJECT},
    "cluster": "to connect()",
}
_REFERENCE = '{ env = "NAME" } or { file = "PATH" }'


class Sources(NamedTuple):
    """What a configuration is read with."""

    problems: Problems
    environ: Mapping[str, str]
    read_file: Callable[[str], str]
    check: Callable[[str, Any], object]
    digest: Callable[[str], str]

    def __repr__(self) -> str:
        return f"<Sources of {self.problems!r}>"


def check_option(key: str, value: object) -> None:
    """Check one keyword of rwsplit's own. Raises ValueError naming it."""
    if key in CLUSTER_KEYWORDS:
        parse_cluster_options({key: value})
    else:
        parse_options({key: value}, DEFAULT_PORT, CONNECT)


def split(
    path: str, table: Mapping[str, object], others: tuple[str, ...], own: bool, sources: Sources
) -> tuple[Hidden, Hidden]:
    """Return the keywords of a table: PyMySQL's, and rwsplit's (where it may have such: `own`).

    `others` are the keys of the table that are no keywords, and read elsewhere.
    """
    problems = sources.problems
    allowed = [*others, *CONNECT, *(KEYWORDS if own else ())]
    what = f"{', '.join(others)} or a keyword of {'' if own else 'pymysql.'}connect()"
    connect, options = Hidden(), Hidden()
    for key, value in problems.known(path, table, allowed, what).items():
        if key in others:
            continue
        if key in _ELSEWHERE:
            problems.add(f"{path}.{key}: not here; give it {_ELSEWHERE[key]}")
        elif key in CONNECT:
            _read_keyword(path, key, value, connect, sources)
        else:
            options[key] = read_option(path, key, value, sources)
    for old, new in ALIASES.items():
        if old in table and new in table:
            problems.add(f"{path}.{old}: expected only {new!r}, its new name, which is there too")
    return connect, options


def read_option(path: str, key: str, value: object, sources: Sources) -> object:
    """Return the value of one of rwsplit's keywords, checked."""
    if key == "session_store" and isinstance(value, Mapping):
        value = _fetch(f"{path}.{key}", value, sources)
        if value is None:
            return None
    holds = OPTION_KEYWORDS.get(key, Holds.SECONDS)
    if isinstance(value, Mapping | list) and holds not in (Holds.TABLE, Holds.LIST):
        # A check would show all that is in it.
        sources.problems.add(f"{path}.{key}: expected {holds.value}, got {shown(value)}")
        return None
    try:
        sources.check(key, value)
    except ValueError as error:
        message = str(error)
        if key in SECRETS and _shows(message, str(value)):
            message = f"{key}: expected another value"
        if not message.startswith(key):
            message = f"{key}: {message}"
        sources.problems.add(f"{path}.{message}")
    return value


def _shows(message: str, secret: str) -> bool:
    return secret in message or repr(secret)[1:-1] in message


def _read_keyword(path: str, key: str, value: object, into: Hidden, sources: Sources) -> None:
    holds = CONNECT_KEYWORDS[key]
    if holds is Holds.TEXT and isinstance(value, Mapping):
        value = _fetch(f"{path}.{key}", value, sources)
        if value is None:
            return
    if holds is Holds.TEXT and not isinstance(value, str):
        found = "something else" if key in SECRETS else shown(value)
        sources.problems.add(f"{path}.{key}: expected text, {_REFERENCE}, got {found}")
        return
    try:
        check_kind(key, holds, value)
    except ValueError as error:
        sources.problems.add(f"{path}.{error}")
        return
    into[ALIASES.get(key, key)] = as_driver_takes_it(key, value)


def _fetch(path: str, reference: Mapping[str, object], sources: Sources) -> str | None:
    """The text that `{ env = ... }` or `{ file = ... }` stands for."""
    (how, name), *more = reference.items() or [("", "")]
    if more or how not in ("env", "file") or not isinstance(name, str) or not name:
        # What stands there may be the secret itself.
        sources.problems.add(f"{path}: expected text, {_REFERENCE}, got another table")
        return None
    if how == "env":
        value = sources.environ.get(name)
        if value is None:
            which = repr(name) if name.isidentifier() else "(not a name)"
            sources.problems.add(f"{path}.env: the environment variable {which} is not set")
        return value
    try:
        return sources.read_file(name).removesuffix("\n").removesuffix("\r")
    except OSError as error:
        why = error.strerror or type(error).__name__
    except ValueError:
        why = "it is no text"
    sources.problems.add(f"{path}.file: can't read {shown(name)}: {why}")
    return None
