"""What the keywords of `connect()` hold, for those who say them in a file or in a URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum

from .problems import shown

__all__ = [
    "ALIASES",
    "CONNECT_KEYWORDS",
    "OPTION_KEYWORDS",
    "SECRETS",
    "Holds",
    "as_driver_takes_it",
    "check_kind",
    "from_text",
]


class Holds(Enum):
    """The kinds of values, as a problem's text names them."""

    TEXT = "text"
    WHOLE = "a whole number of at least 0"
    SECONDS = "seconds, more than 0 and at most a year"
    SHARE = "a number from 0 to 1"
    SWITCH = "true or false"
    LIST = "a list"
    TABLE = "a table"
    OBJECT = "an object, which only a program can make"


def _table(words: dict[Holds, str]) -> dict[str, Holds]:
    return {key: holds for holds, keys in words.items() for key in keys.split()}


CONNECT_KEYWORDS = _table(
    {
        Holds.TEXT: "host unix_socket user password passwd database db charset collation sql_mode"
        " init_command read_default_file read_default_group bind_address program_name"
        " server_public_key ssl_ca ssl_cert ssl_key ssl_key_password",
        Holds.WHOLE: "port client_flag max_allowed_packet",
        Holds.SECONDS: "connect_timeout read_timeout write_timeout",
        Holds.SWITCH: "autocommit use_unicode local_infile binary_prefix ssl_disabled"
        " ssl_verify_cert ssl_verify_identity",
        Holds.TABLE: "ssl",
        Holds.OBJECT: "conv cursorclass auth_plugin_map defer_connect compress named_pipe dial",
    }
)
"""PyMySQL's own, and `dial`: those that each connection to a server takes."""

OPTION_KEYWORDS = _table(
    {
        Holds.TEXT: "cluster consistency on_lag transactions reads policy zone session_id sessionId"
        " session_id_kind session_store after",
        Holds.WHOLE: "pool_size",
        Holds.SECONDS: "max_wait max_snapshot max_staleness replica_connect_timeout primary_wait"
        " pool_max_idle pool_max_lifetime",
        Holds.SHARE: "primary_share",
        Holds.SWITCH: "track_positions",
        Holds.LIST: "replicas",
        Holds.TABLE: "functions hints session_variables tags",
    }
)
"""rwsplit's."""

ALIASES = {"passwd": "password", "db": "database"}
"""PyMySQL's old names."""

SECRETS = frozenset({"password", "passwd", "ssl_key_password", "session_store"})
"""Keywords whose value is never shown."""

_YEAR = 31536000
_DIGITS = re.compile(r"[0-9]{1,18}")
_SWITCHES = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_TYPES: dict[Holds, type] = {
    Holds.TEXT: str,
    Holds.WHOLE: int,
    Holds.SWITCH: bool,
    Holds.LIST: list,
    Holds.TABLE: Mapping,
}


def check_kind(key: str, holds: Holds, value: object) -> None:
    """Raise ValueError, naming the key, if a value is not of its kind."""
    if not _is(holds, value):
        found = "something else" if key in SECRETS else shown(value)
        raise ValueError(f"{key}: expected {holds.value}, got {found}")


def _is(holds: Holds, value: object) -> bool:
    if holds is Holds.OBJECT or (isinstance(value, bool) and holds is not Holds.SWITCH):
        return False
    if holds is Holds.SECONDS:
        return isinstance(value, int | float) and 0 < value <= _YEAR
    if holds is Holds.SHARE:
        return isinstance(value, int | float) and 0 <= value <= 1
    if holds is Holds.WHOLE:
        return isinstance(value, int) and value >= 0
    return isinstance(value, _TYPES[holds])


def from_text(key: str, holds: Holds, text: str) -> object:
    """Return the value that a text stands for.

    Raises ValueError, which names the key and never the text.
    """
    value: object = None
    if holds is Holds.TEXT:
        value = as_driver_takes_it(key, text)
    elif holds is Holds.SWITCH:
        value = _SWITCHES.get(text.lower())
    elif holds is Holds.LIST:
        value = [part for part in text.split(",") if part]
    elif holds is Holds.WHOLE and _DIGITS.fullmatch(text):
        value = int(text)
    elif holds in (Holds.SECONDS, Holds.SHARE):
        value = _number(text)
    if holds is not Holds.TEXT and not _is(holds, value):
        raise ValueError(f"{key}: expected {holds.value}")
    return value


def as_driver_takes_it(key: str, value: object) -> object:
    """Return a checked value as PyMySQL wants it: the server's key as bytes."""
    return value.encode() if key == "server_public_key" and isinstance(value, str) else value


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
