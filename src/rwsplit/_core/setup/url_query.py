"""What a URL that another library has parsed says: the keywords of `connect()`, typed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..cluster.endpoint import DEFAULT_PORT, parse_primary
from .keywords import ALIASES, CONNECT_KEYWORDS, OPTION_KEYWORDS, Holds, from_text

__all__ = ["read_query"]

_KINDS = {**CONNECT_KEYWORDS, **OPTION_KEYWORDS}
_ALIASES = {**ALIASES, "sessionId": "session_id"}
_OF_SSL = {
    "ssl_ca": "ca",
    "ssl_capath": "capath",
    "ssl_cert": "cert",
    "ssl_key": "key",
    "ssl_key_password": "password",
    "ssl_cipher": "cipher",
    "ssl_check_hostname": "check_hostname",
    "ssl_verify_identity": "check_hostname",
    "ssl_verify_cert": "verify_mode",
}
"""What PyMySQL's `ssl` calls them. With a CA there it verifies, and with its keyword `ssl_ca` it
does not; SQLAlchemy's dialects have always meant the first."""

_NUMBER = re.compile(r"[0-9]{1,18}")

Query = Mapping[str, str | Sequence[str]]


def read_query(
    query: Query,
    host: str | None = None,
    port: int | None = None,
    others: Collection[str] = (),
) -> dict[str, Any]:
    """Return the keywords that stand in a URL's query, its host and its port.

    A key that was given more than once has a sequence of texts. The first of several hosts is the
    primary, the others are replicas. `others` are the keywords that the rest of the URL has. A key
    that nobody knows stays text, and `connect()` names it. Raises ValueError, naming the key and
    showing no password.
    """
    keywords: dict[str, Any] = {}
    ssl: dict[str, Any] = {}
    hosts: list[str] = []
    for given, value in query.items():
        texts = [value] if isinstance(value, str) else [*value]
        key = _ALIASES.get(given, given)
        if key == "host":
            hosts = _split(",".join(texts))
            continue
        holds = _KINDS.get(key)
        if holds is Holds.LIST:
            text = ",".join(texts)
        elif len(texts) != 1 or key in keywords or key in others:
            raise ValueError(f"{given}: given twice in the URL")
        else:
            text = texts[0]
        if key in _OF_SSL:
            _add_ssl(ssl, given, text)
        elif key == "replicas" and text == "discover":
            keywords[key] = text
        elif holds is Holds.TABLE and key in OPTION_KEYWORDS:
            keywords[key] = _table(given, text)
        elif holds is None:
            keywords[key] = text
        else:
            keywords[key] = from_text(given, holds, text)
    _add_hosts(keywords, hosts, host, port)
    if ssl:
        keywords["ssl"] = ssl
    return keywords


def _split(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def _table(key: str, text: str) -> dict[str, str | int]:
    """Read `name:value,name:value`; the value of a variable may be a number."""
    found: dict[str, str | int] = {}
    for part in _split(text):
        name, colon, value = part.partition(":")
        if not colon or name in found:
            raise ValueError(f"{key}: expected name:value,name:value with each name once")
        number = key == "session_variables" and _NUMBER.fullmatch(value)
        found[name] = int(value) if number else value
    return found


def _add_ssl(ssl: dict[str, Any], key: str, text: str) -> None:
    name = _OF_SSL[key]
    if name in ssl and key != "ssl_verify_cert":
        raise ValueError(f"{key}: given twice in the URL, in other words")
    if name not in ("check_hostname", "verify_mode"):
        ssl[name] = text
        return
    ssl[name] = from_text(key, Holds.SWITCH, text)
    if key == "ssl_verify_identity" and ssl[name]:
        ssl["verify_mode"] = True  # who a server is shows in what is verified


def _add_hosts(
    keywords: dict[str, Any], hosts: list[str], host: str | None, port: int | None
) -> None:
    """Add the address of the primary, and the replicas that stand behind it."""
    if hosts and host:
        raise ValueError("host: given twice in the URL")
    if hosts:
        if port is not None:
            raise ValueError("host: write its port behind it (host=db1:3307)")
        first = parse_primary(hosts[0], keywords.get("port") or DEFAULT_PORT)
        keywords["host"] = first.host
        if ":" in hosts[0]:
            keywords["port"] = first.port
    elif host:
        hosts = _split(host)
        if len(hosts) > 1 and port is not None:
            raise ValueError(
                f"host: which of the hosts has port {port} is not clear: use "
                "host=db1:3306&host=db2:3307, or replicas=db2:3307"
            )
        keywords["host"] = hosts[0] if hosts else host
    if port is not None:
        if "port" in keywords:
            raise ValueError("port: given twice in the URL")
        keywords["port"] = port
    if len(hosts) > 1:
        replicas = keywords.get("replicas", [])
        if not isinstance(replicas, list):
            raise ValueError("host: with replicas=discover there is one host")
        keywords["replicas"] = [*hosts[1:], *replicas]
