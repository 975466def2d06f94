"""The servers of a configuration file: its primaries and replicas."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv6Address
from posixpath import normpath

from ..cluster.endpoint import DEFAULT_PORT, Endpoint, parse_replicas
from .config_values import CONNECT, Sources, split
from .problems import Problems, shown

__all__ = [
    "check_replicas",
    "may_be_one",
    "place",
    "place_of",
    "read_primary",
    "read_replicas",
]

_ADDRESS_KEYS = ("host", "port", "unix_socket")
_REPLICA_KEYS = ("name", *_ADDRESS_KEYS, "weight", "rank", "zone")


def read_primary(path: str, table: Mapping[str, object], sources: Sources) -> Endpoint | None:
    """Return the primary of a cluster's table; None, and a problem, if it is not one."""
    if "primary" not in table:
        sources.problems.add(f"{path}: missing; expected 'host[:port]' or a table with a host")
        return None
    entry = table["primary"]
    if isinstance(entry, Mapping):
        entry = sources.problems.known(path, entry, _ADDRESS_KEYS)
    endpoint = _endpoint(path, entry, DEFAULT_PORT, sources.problems)
    return None if endpoint is None else endpoint._replace(role="primary")


def read_replicas(
    path: str, value: object, group: str | None, port: int, sources: Sources
) -> dict[str, Endpoint]:
    """Return the endpoints of a list, by their paths; `port` is that of those that name none."""
    if not isinstance(value, list):
        sources.problems.add(
            f"{path}: expected a list of 'host[:port]' or tables, got {shown(value)}"
        )
        return {}
    found = {}
    for index, entry in enumerate(value):
        endpoint = _replica(f"{path}[{index}]", entry, port, sources)
        if endpoint is not None:
            found[f"{path}[{index}]"] = endpoint._replace(group=group)
    return found


def check_replicas(
    found: Mapping[str, Endpoint], primary: Endpoint | None, problems: Problems
) -> None:
    """Check that the replicas of a cluster have names of their own, and are not its primary."""
    names: dict[str, str] = {}
    for path, endpoint in found.items():
        before = names.setdefault(endpoint.name, path)
        if before != path:
            problems.add(f"{path}.name: {endpoint.name!r} is the name of {before}, too")
        if primary is not None and place_of(endpoint) == place_of(primary):
            problems.add(f"{path}: {endpoint.name} is the address of the primary")


_LOOPBACK = ("127.0.0.1", "::1")


def place(host: str, port: int, unix_socket: str | None) -> tuple[object, ...]:
    """Return what all addresses of one server have in common, as far as their text tells."""
    if unix_socket:
        return (normpath(unix_socket),)
    host = host.lower().removesuffix(".")
    if ":" in host:
        with suppress(ValueError):
            host = str(IPv6Address(host))
    return ("localhost" if host in _LOOPBACK else host), port


def may_be_one(mine: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Tell whether two places may be one server's: by port, or this host's by port and socket."""
    if len(mine) != len(other):
        return "localhost" in (mine[0], other[0])
    return len(mine) == 1 or mine[1] == other[1]


def place_of(endpoint: Endpoint) -> tuple[object, ...]:
    """Return the place of an endpoint."""
    return place(endpoint.host, endpoint.port, endpoint.unix_socket)


def _replica(path: str, entry: object, port: int, sources: Sources) -> Endpoint | None:
    if not isinstance(entry, Mapping):
        return _endpoint(path, entry, port, sources.problems)
    if "group" in entry:
        sources.problems.add(f"{path}.group: not here; a replica stands in the table of its group")
        entry = {key: value for key, value in entry.items() if key != "group"}
    overrides, _ = split(path, entry, _REPLICA_KEYS, own=False, sources=sources)
    own = {key: entry[key] for key in _REPLICA_KEYS if key in entry}
    endpoint = _endpoint(path, own, port, sources.problems)
    return None if endpoint is None else endpoint._replace(overrides=overrides)


def _endpoint(path: str, entry: object, port: int, problems: Problems) -> Endpoint | None:
    """One endpoint; each of its keys is checked by itself, so that every mistake is told."""
    if not isinstance(entry, str | Mapping):
        problems.add(f"{path}: expected 'host[:port]' or a table, got {shown(entry)}")
        return None
    before = len(problems)
    if isinstance(entry, Mapping):
        for key, value in entry.items():
            if key == "host":
                _check_no_account(f"{path}.host", value, problems)
            _parse(path, {"host": "host", key: value}, port, problems)
    else:
        _check_no_account(path, entry, problems)
    return None if len(problems) > before else _parse(path, entry, port, problems)


def _parse(path: str, entry: object, port: int, problems: Problems) -> Endpoint | None:
    try:
        return parse_replicas([entry], port, CONNECT)[0]
    except ValueError as error:
        problems.add(path + str(error).removeprefix("replicas[0]"))
        return None


def _check_no_account(path: str, value: object, problems: Problems) -> None:
    if isinstance(value, str) and "@" in value:
        # It is not shown: before the @ stands a password.
        problems.add(f"{path}: expected a host, without user and password")
