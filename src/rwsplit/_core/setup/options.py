"""The keywords that `connect()` takes beside PyMySQL's own: their defaults and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cluster.endpoint import Endpoint, parse_replicas
from ..cluster.policies import POLICIES, Policy, checked
from ..cluster.position import decode
from ..session.session_id import KINDS, SPELT, check_session_id
from ..session.state import begins_with
from ..sql.statement import Hint
from .problems import shown

if TYPE_CHECKING:
    from .rules import Rule

__all__ = [
    "CLUSTER_KEYWORDS",
    "CONNECT",
    "KEYWORDS",
    "SHARED_KEYWORDS",
    "Choice",
    "ClusterOptions",
    "GroupOptions",
    "Options",
    "SystemValue",
    "parse_after",
    "parse_choice",
    "parse_cluster_options",
    "parse_options",
    "read_replicas",
]

CONNECT = "connect"
"""Of `after`: where the primary is at that moment. No position is written so."""


SystemValue = str | int | float
"""What a system variable may be given."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class GroupOptions(NamedTuple):
    """A named group of a cluster's replicas. None is: as the cluster."""

    name: str
    only_by_rule: bool = False
    """Whether it serves nothing but what a rule sends to it."""
    policy: str | None = None
    pool_size: int | None = None
    monitor_interval: float | None = None
    """Seconds."""


class ClusterOptions(NamedTuple):
    """What all connections to a cluster share; None where nothing was said.

    The first six are keywords of `Cluster()`.
    """

    pool_size: int | None = None
    pool_max_idle: float | None = None
    pool_max_lifetime: float | None = None
    """Seconds."""
    monitor_interval: float | None = None
    """Seconds."""
    zone: str | None = None
    """Where this process runs: replicas of the same zone are asked first."""
    policy: Policy | None = None
    """For connections that ask for none."""
    name: str | None = None
    """What the configuration file calls it."""
    groups: Mapping[str, GroupOptions] | None = None
    """The groups of replicas that have something of their own."""
    rules: tuple[Rule, ...] | None = None
    defaults: Mapping[str, Any] | None = None
    """Keywords of `connect()`, for whoever connects without them; may hold secrets."""

    def with_defaults(self) -> ClusterOptions:
        """Say what nobody said."""
        return self._replace(
            pool_size=10 if self.pool_size is None else self.pool_size,
            pool_max_idle=self.pool_max_idle or 60.0,
            pool_max_lifetime=self.pool_max_lifetime or 1800.0,
            monitor_interval=self.monitor_interval or 1.0,
            policy=self.policy or POLICIES["round_robin"],
            groups=self.groups or {},
            rules=self.rules or (),
            defaults=self.defaults or {},
        )


class Options(NamedTuple):
    """What a virtual connection was asked to do. Durations are seconds."""

    replicas: tuple[Endpoint, ...] | None = None
    """None for plain PyMySQL behaviour."""
    discover: object = None
    """`"discover"`, or a callable that returns what `replicas` takes."""
    cluster: object = None
    """The cluster, where it was made before."""
    pool_size: int | None = None
    """How many idle connections are kept for each endpoint and account."""
    pool_max_idle: float | None = None
    """How long an idle connection is kept, in seconds."""
    pool_max_lifetime: float | None = None
    """How long a connection is kept for others after it was made, in seconds."""
    primary_wait: float = 10.0
    """How long a statement waits for a primary, in seconds."""
    consistency: str = "session"
    """`eventual`, `session` or `global`: what a read must see."""
    on_lag: str = "wait"
    """`wait` for a replica to catch up, or go to the `primary` at once."""
    max_wait: float = 0.1
    """How long a read may wait for a replica before it runs on the primary."""
    transactions: str = "verify"
    """Where the reads of a transaction run before its first statement that is none: on a replica,
    and verified on the primary afterwards, or not (`eventual`); or on the `primary`."""
    max_snapshot: float = 5.0
    """After how many idle seconds a transaction's part on a replica is ended."""
    reads: str = "replicas"
    policy: Policy | None = None
    """What picks among the replicas that may serve; None for the cluster's own."""
    primary_share: float = 0.0
    """The part of the reads for replicas, from 0 to 1, that the primary serves all the same."""
    zone: str | None = None
    """Where this process runs."""
    tags: Mapping[str, str] = {}
    """What rules may match."""
    functions: Mapping[str, str] = {}
    hints: Mapping[str, Hint] = {}
    """What the hints of other proxies stand for."""
    replica_connect_timeout: float = 1.0
    session_id: str | None = None
    session_id_kind: str = "process"
    session_store: object = "memory"
    max_staleness: float | None = None
    """Seconds."""
    after: str | None = CONNECT
    """A carried position to begin with; CONNECT for where the primary is; None for nothing."""
    track_positions: bool = True
    """Whether a replica's reads tell where it is, on MySQL."""
    session_variables: Mapping[str, SystemValue] = {}
    """System variables that the session begins with."""

    def __repr__(self) -> str:
        """Show what was asked for, but for the store's address, which may hold a password."""
        shows = self._asdict()
        if shows["session_store"] != "memory":
            shows["session_store"] = "..."
        return f"<Options {', '.join(f'{key}={value!r}' for key, value in shows.items())}>"


class Choice(NamedTuple):
    """What a block of code chooses for its reads; None where it says nothing."""

    consistency: str | None = None
    reads: str | None = None
    max_staleness: float | None = None
    """Seconds."""
    group: str | None = None
    """The group of replicas that serves them."""

    def over(self, outer: Choice | None) -> Choice:
        """Return what holds in this block within another."""
        if outer is None:
            return self
        return outer._replace(**{k: v for k, v in self._asdict().items() if v is not None})


def parse_choice(given: Mapping[str, Any]) -> Choice:
    """Check what a block of code chooses; raises ValueError, naming the key."""
    said = {key: value for key, value in given.items() if value is not None}
    return Choice(**{key: _CHOICE_CHECKS[key](key, value) for key, value in said.items()})


def parse_after(value: object) -> str | None:
    """Check what a session or a scope begins with; raises ValueError, naming the key."""
    return _after("after", value)


def parse_options(
    given: Mapping[str, Any], default_port: int, connect_keywords: frozenset[str]
) -> Options:
    """Check the keywords that are ours.

    `connect_keywords` are the driver's, which a replica given as a dict may override. A number, a
    switch or a list of replicas may come as text: frameworks pass on what they find in a URL.
    Raises ValueError for a bad value and TypeError for an unknown keyword, both naming it.
    """
    values: dict[str, Any] = {}
    for key, given_value in given.items():
        is_text = isinstance(given_value, str) and key not in _TEXTS
        value = _read_text(key, given_value) if is_text else given_value
        if key == "replicas":
            if value is not None:
                found = read_replicas(value, default_port, connect_keywords)
                values["replicas"], values["discover"] = found
        elif key == "sessionId":
            values.setdefault("session_id", _session_id(key, value))
        elif key in _CHECKS:
            values[key] = _CHECKS[key](key, value)
        else:
            raise TypeError(_unknown(key, connect_keywords))
    return Options(**values)


def _read_text(key: str, text: str) -> object:
    from .keywords import OPTION_KEYWORDS, Holds, from_text  # noqa: PLC0415 - only few need them

    holds = OPTION_KEYWORDS.get(key)
    if holds not in (Holds.WHOLE, Holds.SECONDS, Holds.SHARE, Holds.SWITCH, Holds.LIST):
        return text  # a text where none is expected: the check says so
    if key == "replicas" and text == "discover":
        return text
    return from_text(key, holds, text)


def read_replicas(
    value: object, default_port: int, connect_keywords: frozenset[str]
) -> tuple[tuple[Endpoint, ...], object]:
    """Read the `replicas` keyword: the endpoints, and how others are found.

    Raises ValueError, naming the entry and its key.
    """
    if callable(value) or value == "discover":
        return (), value
    return parse_replicas(value, default_port, connect_keywords), None


def parse_cluster_options(given: Mapping[str, Any]) -> ClusterOptions:
    """Check the options of a cluster; raises ValueError or TypeError, naming the key."""
    for key in given:
        if key not in _CLUSTER_CHECKS:
            raise TypeError(f"Cluster() got an unexpected keyword argument {key!r}")
    return ClusterOptions(**{key: _CLUSTER_CHECKS[key](key, value) for key, value in given.items()})


def _unknown(key: str, connect_keywords: frozenset[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    message = f"connect() got an unexpected keyword argument {key!r}"
    close = get_close_matches(key, [*KEYWORDS, *sorted(connect_keywords)], 1)
    return f"{message}; did you mean {close[0]!r}?" if close else message


def _one_of(*allowed: str) -> Callable[[str, object], str]:
    def check(key: str, value: object) -> str:
        if isinstance(value, str) and value.lower() in allowed:
            return value.lower()
        raise ValueError(f"{key}: expected one of {', '.join(allowed)}, got {shown(value)}")

    return check


def _seconds(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 31536000:
        raise ValueError(
            f"{key}: expected seconds, more than 0 and at most a year, got {shown(value)}"
        )
    return float(value)


def _size(key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100_000:
        raise ValueError(f"{key}: expected a whole number from 0 to 100000, got {shown(value)}")
    return value


def _share(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{key}: expected a number from 0 to 1, got {shown(value)}")
    return float(value)


def _text_or_none(key: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise ValueError(f"{key}: expected text, got {shown(value)}")


def _seconds_or_none(key: str, value: object) -> float | None:
    return None if value is None else _seconds(key, value)


def _session_id(key: str, value: object) -> str | None:
    if value is None:
        return None
    try:
        return check_session_id(value)
    except ValueError as error:
        raise ValueError(str(error).replace("session_id", key, 1)) from None


def _after(key: str, value: object) -> str | None:
    if value is None or value == "":
        return None  # what a cookie that is not there gives
    if isinstance(value, str) and value.lower() == CONNECT:
        return CONNECT
    try:
        decode(value if isinstance(value, str) else "")
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    assert isinstance(value, str)
    return value


def _session_id_kind(key: str, value: object) -> str:
    if isinstance(value, str):
        value = SPELT.get(value.lower(), value)
    return _one_of(*KINDS)(key, value)


def _bool(key: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{key}: expected True or False, got {shown(value)}")


def _anything(key: str, value: object) -> object:
    return value


def _policy(key: str, value: object) -> Policy:
    if isinstance(value, str) and value.lower() in POLICIES:
        return POLICIES[value.lower()]
    if callable(value):
        return checked(value)
    raise ValueError(
        f"{key}: expected one of {', '.join(POLICIES)} or a callable, got {shown(value)}"
    )


def _tags(key: str, value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{key}: expected a dict of texts, got {type(value).__name__}")
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise ValueError(f"{key}[{name!r}]: expected a text for a text, got {shown(text)}")
    return dict(value)


def _functions(key: str, value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{key}: expected a dict of function names, got {type(value).__name__}")
    for name, what in value.items():
        if not isinstance(name, str) or what not in ("read", "write"):
            raise ValueError(f"{key}[{name!r}]: expected 'read' or 'write', got {shown(what)}")
    return {name.lower(): what for name, what in value.items()}


def _hints(key: str, value: object) -> Mapping[str, Hint]:
    from ..sql.comments import parse_foreign_hint, parse_hint  # noqa: PLC0415 - only few need them

    if not isinstance(value, Mapping):
        raise ValueError(f"{key}: expected a dict of hints, got {type(value).__name__}")
    found = {}
    for foreign, ours in value.items():
        try:
            found[parse_foreign_hint(str(foreign))] = parse_hint(str(ours))
        except ValueError as error:
            raise ValueError(f"{key}[{foreign!r}]: {error}") from None
    return found


def _session_variables(key: str, value: object) -> Mapping[str, SystemValue]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{key}: expected a dict of variables, got {type(value).__name__}")
    found: dict[str, SystemValue] = {}
    for name, given in value.items():
        why = _no_session_variable(name)
        if why:
            raise ValueError(f"{key}[{shown(name)}]: {why}")
        if not isinstance(given, str | int | float) or given != given:  # noqa: PLR0124 - NaN
            raise ValueError(f"{key}[{name!r}]: expected a text or a number")
        found[name.lower()] = given
    return found


def _no_session_variable(name: object) -> str:
    """Tell why a session cannot be given a variable of this name from the start; or nothing."""
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
        return "expected the name of a system variable"
    if name.lower().startswith(("autocommit", "character_set_", "collation_")):
        return "it has a keyword of its own: autocommit, charset or collation"
    if not begins_with(name.lower()):
        return "a session cannot begin with it on a replica"
    return ""


_CLUSTER_CHECKS: dict[str, Callable[[str, object], Any]] = {
    "pool_size": _size,
    "pool_max_idle": _seconds,
    "pool_max_lifetime": _seconds,
    "monitor_interval": _seconds,
    "zone": _text_or_none,
    "policy": _policy,
}
CLUSTER_KEYWORDS = tuple(_CLUSTER_CHECKS)
"""The keywords of `Cluster()`, beside its servers."""

SHARED_KEYWORDS = ("pool_size", "pool_max_idle", "pool_max_lifetime", "zone")
"""Those of them that `connect()` takes for its cluster, and that all connections agree on."""

_CHECKS: dict[str, Callable[[str, object], Any]] = {
    "consistency": _one_of("eventual", "session", "global"),
    "on_lag": _one_of("wait", "primary"),
    "max_wait": _seconds,
    "transactions": _one_of("verify", "primary", "eventual"),
    "max_snapshot": _seconds,
    "reads": _one_of("replicas", "primary"),
    "policy": _policy,
    "primary_share": _share,
    "zone": _text_or_none,
    "tags": _tags,
    "functions": _functions,
    "hints": _hints,
    "replica_connect_timeout": _seconds,
    "primary_wait": _seconds,
    "pool_size": _size,
    "pool_max_idle": _seconds,
    "pool_max_lifetime": _seconds,
    "cluster": _anything,
    "session_id": _session_id,
    "session_id_kind": _session_id_kind,
    "session_store": _anything,
    "max_staleness": _seconds_or_none,
    "after": _after,
    "track_positions": _bool,
    "session_variables": _session_variables,
}

_CHOICE_CHECKS = {
    **{key: _CHECKS[key] for key in ("consistency", "reads", "max_staleness")},
    "group": _text_or_none,
}

_TEXTS = frozenset(
    {"cluster", "consistency", "on_lag", "transactions", "reads", "policy", "zone", "after"}
    | {"session_id", "sessionId", "session_id_kind", "session_store"}
)
"""Those that hold text."""

KEYWORDS = ("replicas", *_CHECKS, "sessionId")
"""Every keyword of `connect()` that is rwsplit's own."""
