"""The cluster: what this process knows of a primary and its replicas, shared by its connections.

What is known, and what follows from it, is plain (`_core.cluster`); the lock around it is in
`watch`. Here is what connections ask, and whom they may read from.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any

from .._core.cluster.endpoint import DEFAULT_PORT, Endpoint, parse_primary
from .._core.cluster.policies import Policy, needs_load
from .._core.cluster.server import Server
from .._core.cluster.serving import GroupPolicies, who_serves
from .._core.cluster.topology import FiguresOf, Topology
from .._core.cluster.whereabouts import have_all
from .._core.setup.options import ClusterOptions, parse_cluster_options, read_replicas
from .._core.sql.catalogue import Catalogue
from .._drivers.pymysql import CONNECT_KEYWORDS, PhysicalConnection
from .bounds import limits_of, pool_of
from .clusters import Asked, Clusters, memory_of
from .config_file import read_config, reads_are_switched_off
from .errands import Errands
from .habits import Habits
from .log import logger
from .measure import Measure
from .process import position_of
from .registry import Registry
from .sharing import end_abandoned
from .watch import Watch

if TYPE_CHECKING:
    from .._core.cluster.facts import PrimaryFacts
    from .._core.cluster.figures import Figures
    from .._core.cluster.position import Position
    from .._core.setup.config import ClusterConfig
    from .._core.setup.rules import Rule
    from .._core.sql.controls import Control

__all__ = ["Cluster", "all_users", "cluster_of", "configured", "is_current"]

_DISCOVER_SECONDS = 10.0
"""How long it takes at most until a new replica is found."""


class Cluster:
    """One primary and its replicas, shared by the connections of a process to the same servers.

    `connect()` makes one for the servers it is given, or finds the one that there is. Made by hand
    it can be given options of its own, and be handed to `connect(cluster=...)`.

    :param primary: `"host[:port]"`, or a dict with `host`, `port`, `unix_socket` and `name`.
    :param replicas: as for `connect()`.
    :param pool_size: how many idle connections are kept for each endpoint and account (10); 0 keeps
        none.
    :param pool_max_idle: how many seconds an idle connection is kept (60).
    :param pool_max_lifetime: how many seconds after it was made a connection is not kept for others
        any more (1800).
    :param monitor_interval: seconds between two looks at a server (1.0).
    :param zone: where this process runs; replicas of the same zone are asked first.
    :param policy: picks among the replicas, for connections that ask for none (`"round_robin"`).

    Raises ValueError for a bad value, naming it, and where this process has connections to the same
    servers with other options.
    """

    def __new__(
        cls, primary: str | Mapping[str, Any], replicas: Any = (), **options: Any
    ) -> Cluster:
        """Return the process's cluster of these servers."""
        endpoint = parse_primary(primary, DEFAULT_PORT)
        found, discover = read_replicas(replicas, endpoint.port, CONNECT_KEYWORDS)
        return cluster_of(endpoint, found, discover, parse_cluster_options(options))

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str], name: str | None = None) -> Cluster:
        """Return the cluster of this name that a configuration file describes.

        `name` may be left out where there is but one. Raises ConfigError (a ValueError) with all
        that is wrong with the file, ValueError for another name, and OSError for a file that can't
        be read.
        """
        config = read_config(path)
        return configured(config.only() if name is None else config.by_name(name))

    @classmethod
    def _made(cls, asked: Asked, before: Cluster | None) -> Cluster:
        """Make the one that is asked for, in the place of another one."""
        cluster = object.__new__(cls)
        zone = asked.options.zone or os.environ.get("RWSPLIT_ZONE") or None
        cluster._set_up(asked, asked.options.with_defaults()._replace(zone=zone))
        if before is not None:
            cluster.controls = before.controls
        return cluster

    def _set_up(self, asked: Asked, options: ClusterOptions) -> None:
        primary, replicas, self.discover, *_ = asked
        self.key = asked.key()
        self.configured = (primary, replicas)
        """What the application calls its servers."""
        self.options = options
        self.topology = Topology(primary, replicas)
        """What is known of them; only the watch changes it."""
        self.pool = pool_of(options, replicas)
        self.users: Registry[Any] = Registry()
        """The virtual connections."""
        self.errands = Errands(self.pool, self.users)
        self.dice = Random()  # noqa: S311 - it guards no secret
        """Of its own: the application's are left as they are, and may be seeded."""
        # Programs do not pay for it that never connect.
        from .monitor import Monitor  # noqa: PLC0415

        self.monitor = Monitor(self, options)
        self.watch = Watch(
            self.topology, self.errands, self.dice, self.refresh, self.monitor.look_now
        )
        self._discover_at = 0.0
        """When to look for replicas again (monotonic seconds)."""
        self.habits = Habits()
        """What transactions go on to do."""
        self.catalogue = Catalogue()
        self.controls: dict[str, Control] = {}
        """What SET GLOBAL has set, of rwsplit's own variables: for connections made later."""
        self.counts: Counter[str] = Counter()
        """How often it came to what should not happen: `unknown statements`, that the classifier
        did not understand, and `refused reads`, that it took for reads and a replica did not; and
        what became of transactions: `moved transactions`, `mismatched transactions`, and `reads in
        transactions on the primary`. And by `Cause`, how many reads the primary answered."""
        self.memory = memory_of(primary)
        """The store of session ids that only this process shares, whatever replicas each of its
        connections is given."""
        self.memory.whole = self.last_seen
        self.process = position_of(primary)
        """What the connections of this process have committed."""
        self.rules: tuple[Rule, ...] = options.rules or ()
        self.limits = limits_of(self.rules)
        """By rule, what bounds how many of its statements run at a time."""
        self.used = True
        """Set by every statement, and cleared by the monitor: it rests while nobody asks."""
        self._set_up_choice(options)

    def _set_up_choice(self, options: ClusterOptions) -> None:
        """Set up what a replica is chosen by."""
        self.turns: Iterator[int] = itertools.count(self.dice.getrandbits(30))
        """Numbers the choices of a replica, for the policies; not all processes begin alike."""
        self.figures: Mapping[str, Figures] = FiguresOf(self.topology)
        """By endpoint name, what the policies may look at."""
        self.measures = False
        """Whether a policy wants to know how many statements run where, and how long they take."""
        self.measure = Measure()
        self.policies = GroupPolicies(options)
        """What picks among a group's replicas, where it has a policy of its own."""
        self.policy = self.policies.default
        """What picks among the candidates, for connections that asked for no other policy."""
        for policy in (self.policy, *self.policies.values()):
            self.note_policy(policy)
        self.candidates: tuple[Endpoint, ...] = ()
        """The replicas that may be asked, when last looked at: see `usable`."""
        self.arrivals = 0
        """Goes up when a replica has come (back): who stays on another may choose again."""
        self.refresh()

    def __repr__(self) -> str:
        """Tell the cluster's members and their states."""
        known, now = self.topology, monotonic()
        replicas = ", ".join([replica.shown(now) for replica in known.replicas])
        up = "" if known.primary_is_up else " (away)"
        return f"<Cluster {known.flavor} primary={known.primary.name}{up} replicas=[{replicas}]>"

    def close(self) -> None:
        """Close what is idle and stop looking at servers; connections that are open stay."""
        self.pool.shut()
        self.monitor.stop()
        _clusters.forget(self)

    def after_fork(self) -> None:
        """Begin anew in a child, with what is known."""
        self.watch.after_fork()
        self.habits.after_fork()
        self.memory.after_fork()
        self.process.after_fork()
        self.users.after_fork()
        self.limits = limits_of(self.rules)
        self.dice.seed()
        self.turns = itertools.count(self.dice.getrandbits(30))
        for server in self.servers.values():
            server.load.after_fork()
        self.errands.after_fork()
        self.pool.after_fork()
        self.monitor.after_fork()

    # What is known.

    @property
    def primary(self) -> Endpoint:
        """Where the primary is now."""
        return self.topology.primary

    @property
    def generation(self) -> int:
        """Goes up when another server is the primary: see `Topology`."""
        return self.topology.generation

    @property
    def primary_is_up(self) -> bool:
        """Whether connecting to the primary is worth a try."""
        return self.topology.primary_is_up

    @property
    def flavor(self) -> str:
        """`mysql` or `mariadb`."""
        return self.topology.flavor

    @property
    def has_gtids(self) -> bool:
        """Whether anybody can tell which replica has caught up."""
        return self.topology.has_gtids

    @property
    def splits(self) -> bool:
        """Whether there are replicas, or may be."""
        return bool(self.configured[1]) or self.discover is not None

    def is_in_use(self) -> bool:
        """Tell whether a virtual connection is open."""
        return self.errands.is_in_use()

    def warn_once(self, message: str, *values: object) -> None:
        """Log a warning about the cluster, once a process."""
        self.errands.warn_once(message, *values)

    def warn(self, message: str, *values: object) -> None:
        """Log a warning about the cluster."""
        logger.warning(message, *values)

    def report(self, message: str, *values: object) -> None:
        """Log a defect of rwsplit's own."""
        logger.error(message, *values)

    def reads_are_off(self) -> bool:
        """Tell whether the environment switches splitting off."""
        return reads_are_switched_off()

    def note_served(self, server: Server) -> None:
        """Note that a server that was left alone has served a statement."""
        self.watch.note_served(server)

    # Who may be asked.

    def refresh(self, arrivals: int = 0) -> None:
        """Look again at who may serve; so many have come.

        What is chosen from for each read is kept at hand: nobody is called for it.
        """
        self.arrivals += arrivals
        now, known, options = monotonic(), self.topology, self.options
        self.servers = known.servers
        """By name, all that are or were part of it."""
        self.replicas = known.replicas
        serving = who_serves(self.replicas, options.groups or {}, options.zone, now)
        before = self.candidates
        self.refresh_at = serving.look_at
        """When to look again (monotonic seconds): somebody's rest is over; 0 for nobody rests."""
        self.in_group = serving.in_group
        """By group, the replicas that may be asked, when last looked at; None for those that no
        rule has to send reads to, which are the `candidates`."""
        self._spares = serving.spares
        self.candidates = serving.in_group[None]
        self.policy = self.policies.common(self.candidates)
        if not all(endpoint in before for endpoint in self.candidates):
            self.arrivals += 1
            if before:
                known.note_arrival(now)

    def usable(self, group: str | None = None) -> tuple[Endpoint, ...]:
        """Return the replicas that may be asked now: see `narrow`."""
        if self.refresh_at and monotonic() >= self.refresh_at:
            self.refresh()
        return self.in_group.get(group, ())

    def spares(self, group: str | None = None) -> tuple[Endpoint, ...]:
        """Return those that are asked if all that come before them are late: by rank and zone."""
        return self._spares.get(group, ())

    def named(self, name: str) -> tuple[Endpoint, ...]:
        """Return the replica of this name, if it may be asked now."""
        return self.topology.named(name, monotonic())

    def policy_of(self, group: str | None, asked: Policy | None) -> Policy:
        """Return what picks among a group's replicas; `asked` is what the connection asks for."""
        return self.policies.get(group) or asked or self.policy

    def note_policy(self, policy: Policy) -> None:
        """See to it that a policy finds the figures that it looks at."""
        self.measures = self.measures or needs_load(policy)

    # Where they are.

    def note_sample(self, position: Position, asked_at: float) -> None:
        """Note where the primary was; `asked_at` is from before it was asked."""
        self.topology.samples.note(position, asked_at)

    def last_seen(self) -> Position | None:
        """Return where the primary was when last seen, so far as this process knows."""
        return self.topology.last_seen()

    def all_around_have(self, position: Position) -> bool:
        """Tell whether all replicas of this primary that the process knows of have a position.

        False where it knows of none. Its connections may have been given different ones.
        """
        around = (self, *_clusters.sharing(self.process))
        return have_all((replica for each in around for replica in each.replicas), position)

    # The primary, and what was seen of others.

    def learn_primary(self, facts: PrimaryFacts, generation: int) -> int:
        """Take in what a new connection to the primary told: see `Watch`."""
        known = self.watch.learn_primary(facts, generation)
        self.process.begin(self.flavor)
        return known

    def take_facts(self, facts: PrimaryFacts) -> None:
        """Take in what kind of server the primary is."""
        self.watch.take_facts(facts)
        self.process.begin(self.flavor)

    def look_for_replicas(self, connection: PhysicalConnection) -> None:
        """Find the replicas that there are now, if the application said how and it is time.

        Raises OperationalError where the account may not ask.
        """
        if self.discover is None or monotonic() < self._discover_at:
            return
        from .discovery import discovered  # noqa: PLC0415 - few look for them

        found = discovered(self.discover, connection)
        endpoints, _ = read_replicas(found, self.configured[0].port, CONNECT_KEYWORDS)
        self.watch.take_replicas(endpoints)
        self._discover_at = monotonic() + _DISCOVER_SECONDS

    def wait_for_primary(self, generation: int, until: float, given_up: Callable[[], bool]) -> bool:
        """Wait until connecting to the primary is worth a try; False when the time is over.

        Or until it is given up, which `Watch.wake` lets be looked at.
        """
        self.used = True
        return self.watch.wait_for(
            lambda: self.primary_is_up or self.generation != generation or given_up(), until
        )

    def wait_for_anyone(self, until: float) -> None:
        """Wait until the primary is worth a try, or other replicas may be asked than now."""
        self.used = True
        known = self.in_group

        def has_changed() -> bool:
            self.usable()
            return self.primary_is_up or self.in_group != known

        self.watch.wait_for(has_changed, until)


_clusters: Clusters[Cluster] = Clusters()
is_current = _clusters.has


def cluster_of(
    primary: Endpoint,
    replicas: tuple[Endpoint, ...],
    discover: Any,
    options: ClusterOptions,
    dial: Any = None,
) -> Cluster:
    """Return the process's cluster for these servers.

    Raises ValueError if it is in use with other options.
    """
    asked = Asked(primary, replicas, discover, options, dial)
    return _clusters.find(asked, Cluster._made)


def configured(config: ClusterConfig) -> Cluster:
    """Return the process's cluster of one that a configuration describes."""
    discover = "discover" if config.options.get("replicas") == "discover" else None
    return cluster_of(config.primary, config.replicas, discover, config.shared())


def all_users() -> list[Any]:
    """Return the virtual connections of this process, to whatever cluster."""
    return [user for cluster in _clusters.all() for user in cluster.users.all()]


_clusters.watch_process(end_abandoned)
