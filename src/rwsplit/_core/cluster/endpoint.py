"""Endpoints: the addresses of a cluster's servers, as an application names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from ..setup.problems import Hidden, shown

__all__ = [
    "DEFAULT_PORT",
    "Endpoint",
    "Role",
    "address",
    "check_no_account",
    "parse_primary",
    "parse_replicas",
]

DEFAULT_PORT = 3306

Role = Literal["primary", "replica"]

_OWN_KEYS = ("name", "host", "port", "unix_socket", "weight", "rank", "group", "zone")


class Endpoint(NamedTuple):
    """The address of one server, with its role and its part in the choice of a replica."""

    name: str
    """What hints, routes, logs and errors call it; `host:port` unless it was given a name."""
    host: str
    port: int
    unix_socket: str | None = None
    role: Role = "replica"
    weight: int = 1
    """Its share of the reads, in proportion to the other replicas' weights."""
    rank: int = 0
    """Its tier: replicas of a lower rank are asked first."""
    group: str | None = None
    zone: str | None = None
    overrides: Mapping[str, Any] = Hidden()
    """Connect keywords for this endpoint alone."""

    def __repr__(self) -> str:
        """Show all but the overrides, which may hold a password."""
        where = self.unix_socket or address(self.host, self.port)
        named = "" if self.name == where else f"{self.name} "
        return f"<Endpoint {named}{where} {self.role}>"

    def __hash__(self) -> int:
        return hash((self.name, self.host, self.port, self.unix_socket, self.role))


def address(host: str, port: int) -> str:
    """Write a host and port as one word.

    >>> address("db1", 3306), address("::1", 3307)
    ('db1:3306', '[::1]:3307')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_primary(value: object, default_port: int) -> Endpoint:
    """Read the address of a primary; raises ValueError, naming what is wrong."""
    return _parse_replica("primary", value, default_port, frozenset())._replace(role="primary")


def parse_replicas(
    value: object, default_port: int, connect_keywords: frozenset[str]
) -> tuple[Endpoint, ...]:
    """Read the `replicas` keyword of `connect()`.

    Each one is `"host"`, `"host:port"`, `"[v6]:port"` or a mapping; a port left out is
    `default_port`. Raises ValueError, naming the entry and its key.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ValueError(
            f"replicas: expected a list of 'host[:port]' or dicts, got {type(value).__name__}"
        )
    endpoints = tuple(
        _parse_replica(f"replicas[{index}]", entry, default_port, connect_keywords)
        for index, entry in enumerate(value)
    )
    names = [endpoint.name for endpoint in endpoints]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"replicas: the name {name!r} is there {names.count(name)} times")
    return endpoints


def _parse_replica(
    key: str, entry: object, default_port: int, connect_keywords: frozenset[str]
) -> Endpoint:
    if isinstance(entry, str):
        where = _split_address(key, entry, default_port)
        return Endpoint(address(*where), *where)
    if not isinstance(entry, Mapping):
        raise ValueError(f"{key}: expected 'host[:port]' or a dict, got {type(entry).__name__}")
    for name in entry:
        if name not in _OWN_KEYS and name not in connect_keywords:
            raise ValueError(f"{key}: unknown key {shown(name)}")
    socket = _optional_text(key, entry, "unix_socket")
    host = _optional_text(key, entry, "host") or ("localhost" if socket else None)
    if host is None:
        raise ValueError(f"{key}: 'host' (or 'unix_socket') is missing")
    check_no_account(f"{key}.host", host)
    port = _port(f"{key}.port", entry["port"]) if "port" in entry else default_port
    weight = _whole(f"{key}.weight", entry.get("weight", 1), least=0)
    return Endpoint(
        name=_optional_text(key, entry, "name") or socket or address(host, port),
        host=host,
        port=port,
        unix_socket=socket,
        weight=weight,
        rank=_whole(f"{key}.rank", entry.get("rank", 0), least=0),
        group=_optional_text(key, entry, "group"),
        zone=_optional_text(key, entry, "zone"),
        overrides=Hidden({name: entry[name] for name in entry if name not in _OWN_KEYS}),
    )


def check_no_account(key: str, host: str) -> None:
    """Raise ValueError for a host that has an account before it; what stands there is not shown."""
    if "@" in host:
        raise ValueError(f"{key}: expected a host, without user and password")


def _split_address(key: str, text: str, default_port: int) -> tuple[str, int]:
    # No part of the text is shown: any may be a password that stands in a wrong place.
    check_no_account(key, text)
    host, colon, port = text, "", ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{key}: expected '[v6]:port' behind a '['")
        colon, port = rest[:1], rest[1:]
    elif text.count(":") > 1:
        raise ValueError(f"{key}: expected 'host:port'; write an IPv6 address as '[v6]:port'")
    else:
        host, colon, port = text.partition(":")
    if not host or host != host.strip() or any(ch.isspace() for ch in host):
        raise ValueError(f"{key}: expected 'host[:port]', got no host, or one with a space in it")
    return host, _port(key, port) if colon else default_port


def _port(key: str, value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        found = "another text" if isinstance(value, str) else shown(value)
        raise ValueError(f"{key}: the port must be a number, got {found}")
    if not 0 < value < 65536:
        raise ValueError(f"{key}: the port must be from 1 to 65535, got {value}")
    return value


def _whole(key: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{key}: expected a whole number of at least {least}, got {shown(value)}")
    return value


def _optional_text(key: str, entry: Mapping[str, Any], name: str) -> str | None:
    value = entry.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key}.{name}: expected text, got {shown(value)}")
    return value
