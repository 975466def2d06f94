"""The keywords of `connect()` with their types, for type checkers and editors."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from typing_extensions import TypedDict

from .._core.cluster.policies import Policy
from .._drivers.sources import Dial, PasswordSource
from .._stores import SessionStore
from .cluster import Cluster

__all__ = ["ConnectKeywords"]

PolicyName = Literal[
    "round_robin",
    "weighted_round_robin",
    "random",
    "consistent_hash",
    "least_mysql_connected_connections",
    "least_mysql_running_connections",
    "least_inuse_connections",
    "least_tablet_inuse_connections",
    "least_response_time",
    "least_behind_primary",
]


class _PyMySQLKeywords(TypedDict, total=False):
    """PyMySQL's own, but `cursorclass`, which decides of what type a connection is."""

    user: str | None
    password: str | bytes | PasswordSource
    host: str | None
    database: str | None
    unix_socket: str | None
    port: int
    charset: str
    collation: str | None
    sql_mode: str | None
    read_default_file: str | None
    conv: Mapping[Any, Any] | None
    use_unicode: bool
    client_flag: int
    init_command: str | None
    connect_timeout: float
    read_default_group: str | None
    autocommit: bool | None
    local_infile: bool
    max_allowed_packet: int
    defer_connect: bool
    auth_plugin_map: Mapping[Any, Any] | None
    read_timeout: float | None
    write_timeout: float | None
    bind_address: str | None
    binary_prefix: bool
    program_name: str | None
    server_public_key: bytes | None
    ssl: ssl.SSLContext | Mapping[str, Any] | None
    ssl_ca: str | None
    ssl_cert: str | None
    ssl_disabled: bool | None
    ssl_key: str | None
    ssl_key_password: str | None
    ssl_verify_cert: bool | None
    ssl_verify_identity: bool | None
    compress: Any
    named_pipe: Any
    passwd: str | None
    db: str | None


class ConnectKeywords(_PyMySQLKeywords, total=False):
    """PyMySQL's, and rwsplit's."""

    dial: Dial | None
    replicas: (
        Sequence[str | Mapping[str, Any]]
        | Literal["discover"]
        | Callable[[], Iterable[str | Mapping[str, Any]]]
        | None
    )
    cluster: Cluster | str | None
    pool_size: int
    pool_max_idle: float
    pool_max_lifetime: float
    primary_wait: float
    consistency: Literal["eventual", "session", "global"]
    on_lag: Literal["wait", "primary"]
    max_wait: float
    transactions: Literal["verify", "primary", "eventual"]
    max_snapshot: float
    reads: Literal["replicas", "primary"]
    policy: PolicyName | Policy
    primary_share: float
    zone: str | None
    tags: Mapping[str, str]
    functions: Mapping[str, Literal["read", "write"]]
    hints: Mapping[str, str]
    replica_connect_timeout: float
    session_id: str | int | None
    sessionId: str | int | None
    session_id_kind: Literal["process", "connection", "database", "user", "provided"]
    session_store: str | SessionStore
    max_staleness: float | None
    after: str | None
    track_positions: bool
    session_variables: Mapping[str, str | int | float]
