"""The URL form of `connect()`'s keywords: `rwsplit://user:password@host:port/database?key=value`."""

from __future__ import annotations

import re
from typing import Any

from .keywords import ALIASES, CONNECT_KEYWORDS, OPTION_KEYWORDS, from_text
from .problems import meant

__all__ = ["SCHEMES", "parse_url"]

_WAYS = ("", "+rwsplit", "+pymysql")
SCHEMES = ("rwsplit", *[family + way for family in ("mysql", "mariadb") for way in _WAYS])

_WORDS = frozenset(
    ("cluster", "consistency", "on_lag", "transactions", "reads", "policy", "after")
) | {"session_id_kind"}
_KINDS = {**CONNECT_KEYWORDS, **OPTION_KEYWORDS}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(?:/([^?#]*))?(?:\?([^#]*))?", re.DOTALL)
_HOST = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]*))(?::([^:]*))?")
_PORT = re.compile(r"[0-9]{1,5}")
_SESSION_ID = re.compile(r"@sessionid=", re.IGNORECASE)
_ENCODE = "write '/', '?', '#', '@', ':' and '%' of a user, password or database as %XX"


def parse_url(url: str) -> dict[str, Any]:
    """Return the keywords of `connect()` that a URL stands for.

    Everything is percent-decoded, and `+` in a value is a space. Values have the type of their
    keyword: what they may be, `connect()` checks. Raises ValueError naming the part or the key
    that is wrong; no text of the URL that could be a password's is ever in it.

    >>> parse_url("rwsplit://app@db-primary/shop?replicas=db-r1,db-r2:3307&max_wait=1")
    {'host': 'db-primary', 'user': 'app', 'database': 'shop', 'replicas': ['db-r1', 'db-r2:3307'], 'max_wait': 1.0}
    """  # noqa: E501 - the example is one line
    from urllib.parse import unquote  # noqa: PLC0415 - who has no URL does not pay for it

    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError(
            f"URL: expected rwsplit://[user[:password]@]host[:port]/database[?key=value&...]; "
            f"{_ENCODE}"
        )
    scheme, authority, path, query = found.groups()
    if scheme.lower() not in SCHEMES:
        raise ValueError(f"URL: expected a scheme of {', '.join(SCHEMES)}, got {scheme!r}")
    account, at, where = authority.rpartition("@")
    keywords = _address(where)
    if at:
        keywords.update(_account(account))
    if path:
        _check_path(path)
        keywords["database"] = unquote(path)
    if query:
        _add_query(keywords, query)
    return keywords


def _address(text: str) -> dict[str, Any]:
    from urllib.parse import unquote  # noqa: PLC0415

    found = _HOST.fullmatch(text)
    if found is None:
        raise ValueError(f"URL: expected host[:port] or [v6]:port; {_ENCODE}")
    host, port = unquote(found[1] or found[2]), found[3]
    keywords: dict[str, Any] = {"host": host} if host else {}
    if port:
        if not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
            raise ValueError(f"URL: the port must be a number from 1 to 65535; {_ENCODE}")
        keywords["port"] = int(port)
    return keywords


def _account(text: str) -> dict[str, Any]:
    from urllib.parse import unquote  # noqa: PLC0415

    user, colon, password = text.partition(":")
    keywords = {"user": unquote(user)} if user else {}
    if colon:
        keywords["password"] = unquote(password)
    return keywords


def _check_path(path: str) -> None:
    if "/" in path or "@" in _SESSION_ID.sub("", path, count=1):
        raise ValueError(f"URL: the database has a bare '/' or '@'; {_ENCODE}")


def _add_query(keywords: dict[str, Any], query: str) -> None:
    from urllib.parse import parse_qsl  # noqa: PLC0415

    for given, text in parse_qsl(query, keep_blank_values=True):
        key = ALIASES.get(given, given)
        holds = _KINDS.get(key)
        if holds is None:
            raise ValueError(_unknown(given, query))
        if "@" in text and key in _WORDS:
            # A password with a bare `?` in it ends here, and what is wrong with it would be shown.
            raise ValueError(f"{key}: got another value than it can have; {_ENCODE}")
        if key in keywords:
            raise ValueError(f"{given}: given twice in the URL")
        # Its one value that is no list.
        found = key == "replicas" and text == "discover"
        keywords[key] = text if found else from_text(given, holds, text)


def _unknown(key: str, query: str) -> str:
    # A password with a bare `?` in it shows here as a key, and then there is an @ behind it.
    if "@" in query:
        return f"URL: an unknown key in the query{meant(key, _KINDS)}; {_ENCODE}"
    return f"URL: unknown key {key!r:.80}{meant(key, _KINDS)}"
