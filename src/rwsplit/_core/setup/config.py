"""The file `rwsplit.toml`: named clusters, their groups of replicas, and their rules.

Nothing is opened here: the caller hands in the text, the environment, and how to read the file of
a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cluster.endpoint import DEFAULT_PORT, Endpoint, address
from ..session.route import LEVELS
from .config_endpoints import (
    check_replicas,
    may_be_one,
    place,
    place_of,
    read_primary,
    read_replicas,
)
from .config_values import (
    Sources,
    check_option,
    read_option,
    split,
)
from .options import CLUSTER_KEYWORDS, ClusterOptions, GroupOptions, Options, parse_cluster_options
from .problems import ConfigError, Hidden, Problems, below, meant, shown
from .rule_tables import parse_rules
from .rules import Rule

if TYPE_CHECKING:
    from ..sql.classify import Classifier

__all__ = [
    "ClusterConfig",
    "Config",
    "ConfigError",
    "check_option",
    "digest_of",
    "parse_config",
]

_CLUSTER_KEYS = ("primary", "replicas", "groups", "rules", "monitor_interval")
_GROUP_KEYS = ("replicas", "only_by_rule", "policy", "pool_size", "monitor_interval")

Table = Mapping[str, object]


class ClusterConfig(NamedTuple):
    """One cluster of the file."""

    name: str
    primary: Endpoint
    replicas: tuple[Endpoint, ...] = ()
    """Of all groups; `group` says of which."""
    groups: Mapping[str, GroupOptions] = {}
    rules: tuple[Rule, ...] = ()
    defaults: Mapping[str, Any] = {}
    """PyMySQL's keywords, for whoever connects without them. Secrets are in the clear."""
    options: Mapping[str, Any] = {}
    """rwsplit's keywords, as `connect()` takes them."""
    monitor_interval: float | None = None
    """Seconds."""

    def __repr__(self) -> str:
        """Show no keyword's value, for any may be a secret."""
        groups = ", ".join(self.groups) or "no groups"
        return (
            f"<ClusterConfig {self.name}: primary {self.primary.name}, "
            f"{len(self.replicas)} replicas ({groups}), {len(self.rules)} rules>"
        )

    def shared(self) -> ClusterOptions:
        """Return what all connections to it share."""
        own = {key: self.options[key] for key in CLUSTER_KEYWORDS if key in self.options}
        return parse_cluster_options(own)._replace(
            name=self.name,
            monitor_interval=self.monitor_interval,
            groups=self.groups,
            rules=self.rules,
            defaults=Hidden(
                self.defaults,
                **{
                    key: value
                    for key, value in self.options.items()
                    if key not in (*CLUSTER_KEYWORDS, "replicas")
                },
            ),
        )

    def serving(self, group: str | None = None) -> tuple[Endpoint, ...]:
        """Return the replicas of a group; without one, those that serve without a rule."""
        if group is not None:
            return tuple(each for each in self.replicas if each.group == group)
        reserved = {name for name, each in self.groups.items() if each.only_by_rule}
        return tuple(each for each in self.replicas if each.group not in reserved)


class Config(NamedTuple):
    """What a configuration file says."""

    clusters: Mapping[str, ClusterConfig] = {}
    file_name: str = "rwsplit.toml"

    def by_name(self, name: str) -> ClusterConfig:
        """Return the cluster of this name. Raises ValueError, naming those that there are."""
        found = self.clusters.get(name)
        if found is None:
            known = ", ".join(self.clusters) or "none"
            raise ValueError(
                f"cluster: expected one of {self.file_name} ({known}), got {shown(name)}"
                f"{meant(name, self.clusters)}"
            )
        return found

    def only(self) -> ClusterConfig:
        """Return the one that there is. Raises ValueError if that is not one."""
        if len(self.clusters) != 1:
            known = ", ".join(self.clusters) or "none"
            raise ValueError(f"name: expected one of {self.file_name} ({known}), got None")
        return next(iter(self.clusters.values()))

    def by_address(
        self, host: str | None, port: int | None = None, unix_socket: str | None = None
    ) -> ClusterConfig | None:
        """Return the cluster whose primary has this address, as `connect()` takes it."""
        wanted = place(host or "localhost", port or DEFAULT_PORT, unix_socket)
        for cluster in self.clusters.values():
            if place_of(cluster.primary) == wanted:
                return cluster
        return None

    def misses(
        self, host: str | None, port: int | None = None, unix_socket: str | None = None
    ) -> str:
        """Tell that an address is no primary's, where it may be meant to be one's; else ''.

        One with the port of a primary may be a primary by another of its names. Only a name server
        could tell, and what that says may change.
        """
        asked = place(host or "localhost", port or DEFAULT_PORT, unix_socket)
        known = self.clusters.values()
        if any(place_of(end) == asked for each in known for end in (each.primary, *each.replicas)):
            return ""
        near = [each for each in known if may_be_one(place_of(each.primary), asked)]
        if not near:
            return ""
        where = unix_socket or address(host or "localhost", port or DEFAULT_PORT)
        primaries = ", ".join(f"{each.primary.name} ({each.name})" for each in near)
        return (
            f"{where} is the address of no cluster of {self.file_name}, so its reads are not "
            f"split; the primaries there are {primaries}: spell the host as there if it is one of "
            "them, or give replicas=[] if it is not"
        )


def digest_of(sql: str) -> str:
    """Normalise a statement: the same for the file's text as for the application's.

    It is read as a MySQL server without sql_mode reads it, whatever server there is.
    """
    return _classifier().digest(sql)


@cache
def _classifier() -> Classifier:
    from ..sql.classify import classifier  # noqa: PLC0415 - only a rule with a digest needs it
    from ..sql.dialect import Dialect  # noqa: PLC0415

    return classifier(Dialect.of("mysql"))


def parse_config(
    text: str,
    file_name: str,
    environ: Mapping[str, str],
    read_file: Callable[[str], str],
    check: Callable[[str, Any], object] = check_option,
    digest: Callable[[str], str] = digest_of,
) -> Config:
    """Read the text of a configuration file.

    `environ` and `read_file` give the secrets that it refers to; `read_file` raises OSError for a
    file that can't be read. `check(key, value)` raises ValueError, naming the key, for a bad value
    of one of rwsplit's keywords; `digest` normalises a statement.

    Raises ConfigError with one line for every problem that there is.
    """
    problems = Problems(file_name)
    sources = Sources(problems, environ, read_file, check, digest)
    document = problems.known("", _load(text, problems), ("clusters",))
    clusters: dict[str, ClusterConfig] = {}
    for name, value in problems.table("clusters", document.get("clusters", {})).items():
        cluster = _cluster(name, value, sources)
        if cluster is not None:
            clusters[name] = cluster
    _check_primaries(clusters, problems)
    problems.raise_if_any()
    return Config(clusters, file_name)


def _load(text: str, problems: Problems) -> Mapping[str, object]:
    import tomllib  # noqa: PLC0415 - who has no file does not pay for it

    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        problems.add(f"no TOML: {error}")
        return {}


def _cluster(name: str, value: object, sources: Sources) -> ClusterConfig | None:
    problems = sources.problems
    path = below("clusters", name)
    table = problems.table(path, value)
    if not isinstance(value, Mapping):
        return None
    defaults, options = split(path, table, _CLUSTER_KEYS, own=True, sources=sources)
    if table.get("replicas") == "discover":
        options["replicas"] = "discover"
    interval: Any = None
    if "monitor_interval" in table:
        interval = read_option(path, "monitor_interval", table["monitor_interval"], sources)
    primary = read_primary(f"{path}.primary", table, sources)
    groups, replicas = _groups(
        path, table, DEFAULT_PORT if primary is None else primary.port, sources
    )
    check_replicas(replicas, primary, problems)
    level = _level(options)
    rules = parse_rules(
        f"{path}.rules", table.get("rules", []), groups, level, sources.digest, problems
    )
    if primary is None:
        return None
    found = tuple(replicas.values())
    return ClusterConfig(name, primary, found, groups, rules, defaults, options, interval)


def _groups(
    path: str, table: Table, port: int, sources: Sources
) -> tuple[dict[str, GroupOptions], dict[str, Endpoint]]:
    """The groups of a cluster, and all of its replicas by their paths."""
    listed = table.get("replicas", [])
    if listed == "discover":
        if table.get("groups"):
            sources.problems.add(
                f"{path}.replicas: expected a list beside groups, got 'discover': who is found "
                "belongs to no group"
            )
        listed = []
    replicas = read_replicas(f"{path}.replicas", listed, None, port, sources)
    path = f"{path}.groups"
    groups = {}
    for name, value in sources.problems.table(path, table.get("groups", {})).items():
        where = below(path, name)
        known = sources.problems.known(where, sources.problems.table(where, value), _GROUP_KEYS)
        groups[name] = _group(where, name, known, sources)
        if isinstance(value, Mapping):
            members = known.get("replicas", [])
            if members == []:
                sources.problems.add(f"{where}.replicas: expected at least one replica, got none")
            replicas |= read_replicas(f"{where}.replicas", members, name, port, sources)
    return groups, replicas


def _group(path: str, name: str, table: Table, sources: Sources) -> GroupOptions:
    only = "only_by_rule" in table and sources.problems.switch(
        f"{path}.only_by_rule", table["only_by_rule"]
    )
    options: dict[str, Any] = {
        key: read_option(path, key, table[key], sources)
        for key in ("policy", "pool_size", "monitor_interval")
        if key in table
    }
    return GroupOptions(name, only, **options)


def _level(options: Mapping[str, Any]) -> str:
    """The consistency that the rules of a cluster may weaken only if they say so."""
    level = str(options.get("consistency", "")).lower()
    return level if level in LEVELS else Options().consistency


def _check_primaries(clusters: Mapping[str, ClusterConfig], problems: Problems) -> None:
    places: dict[tuple[object, ...], str] = {}
    for name, cluster in clusters.items():
        before = places.setdefault(place_of(cluster.primary), name)
        if before != name:
            problems.add(
                f"{below('clusters', name)}.primary: {cluster.primary.name} is the primary of "
                f"{below('clusters', before)}, too"
            )
