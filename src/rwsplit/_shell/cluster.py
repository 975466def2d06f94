"""The cluster: what this process knows of a primary and its replicas, shared by its connections."""

from __future__ import annotations

import atexit
import itertools
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf, isfinite
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from cachetools import LRUCache
from pymysql.constants import ER

from .._core.cluster.facts import PrimaryFacts
from .._core.cluster.roles import Sight, find_primary
from .._core.controls import Control
from .._core.endpoint import DEFAULT_PORT, Endpoint, parse_primary
from .._core.figures import Figures
from .._core.habit import Habit
from .._core.options import ClusterOptions, GroupOptions, parse_cluster_options, read_replicas
from .._core.policies import POLICIES, Policy, narrow, needs_load
from .._core.position import (
    BinlogState,
    GtidSet,
    History,
    Position,
    beyond,
    empty,
    includes,
    intersection,
    lineage,
    parse_history,
    whole,
)
from .._drivers.pymysql import CONNECT_KEYWORDS, PhysicalConnection, lost
from .._drivers.sources import Whose, key_of
from .._stores import MemoryStore
from .catalogue import Catalogue
from .config_file import read_config
from .pool import LOST_FUNCTIONS, Pool, warn_of_functions
from .process import position_of
from .registry import Registry
from .server import Probe, Server, logger
from .sharing import end_abandoned

if TYPE_CHECKING:
    from .._core.config import ClusterConfig
    from .._core.rules import Rule
    from .parity import Parity

__all__ = ["FULL_SECONDS", "Cluster", "all_users", "cluster_of", "configured", "words"]

_MOST_CLUSTERS = 100
_MOST_WARNINGS = 1000
_MOST_SAMPLES = 600
_TURNS_SECONDS = 10.0
"""Another server under the primary's name, so soon after another one: a name of several servers."""
_DISCOVER_SECONDS = 10.0
"""How long it takes at most until a new replica is found."""
_SAMPLE_SECONDS = 0.1
"""How far apart samples of the primary's position are at least."""
_SETTLE_SECONDS = 5.0
"""How long a replica that has come back may take to catch up."""
_MOST_HABITS = 2048
_MOST_UNUSUAL = 4.0
"""A statement that took more than so many times the usual tells of itself, not of its server."""
_USUAL_WEIGHT = 0.05
"""How much one statement changes what is usual."""
_STALLED_SECONDS = 1.0
"""A replica this far behind that does not advance between two looks is stalled."""
_AHEAD = "it is ahead of the primary: it has what was lost with another one, and must be rebuilt"
FULL_SECONDS = 0.5
"""How long a full server is not asked for more."""


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
        if name is None and len(config.clusters) != 1:
            known = ", ".join(config.clusters) or "none"
            raise ValueError(f"name: expected one of {config.file_name} ({known}), got None")
        return configured(config.by_name(name or next(iter(config.clusters))))

    def _set_up(  # noqa: PLR0915 - it is all fields
        self,
        primary: Endpoint,
        replicas: tuple[Endpoint, ...],
        discover: Any,
        options: ClusterOptions,
    ) -> None:
        self.primary = primary
        """Where the primary is now."""
        self.configured = (primary, replicas)
        """What the application calls its servers."""
        self.discover = discover
        self.options = options
        self.servers: dict[str, Server] = {}
        """By name, all that are or were part of it."""
        for endpoint in (primary, *replicas):
            self.servers[endpoint.name] = Server(endpoint, self)
        self.replicas: tuple[Server, ...] = ()
        self.dice = Random()  # noqa: S311 - it guards no secret
        """Of its own: the application's are left as they are, and may be seeded."""
        self.turns = itertools.count(self.dice.getrandbits(30))
        """Numbers the choices of a replica, for the policies; not all processes begin alike."""
        self.figures: Mapping[str, Figures] = _FiguresOf(self)
        """By endpoint name, what the policies may look at."""
        self.measures = False
        """Whether a policy wants to know how many statements run where, and how long they take."""
        self.controls: dict[str, Control] = {}
        """What SET GLOBAL has set, of rwsplit's own variables: for connections made later."""
        self._usual_seconds = 0.0
        """How long statements on replicas mostly take."""
        self.rules: tuple[Rule, ...] = options.rules or ()
        self.limits: dict[str, threading.Semaphore] = {}
        """By rule, what bounds how many of its statements run at a time."""
        self._make_limits()
        self.groups: Mapping[str, GroupOptions] = options.groups or {}
        self.in_group: dict[str | None, tuple[Endpoint, ...]] = {}
        """By group, the replicas that may be asked, when last looked at; None for those that no
        rule has to send reads to, which are the `candidates`."""
        self._spares: dict[str | None, tuple[Endpoint, ...]] = {}
        self.policies: dict[str | None, Policy] = {
            name: POLICIES[group.policy]
            for name, group in self.groups.items()
            if group.policy is not None
        }
        """What picks among a group's replicas, where it has a policy of its own."""
        assert options.policy is not None
        self.policy = options.policy
        """What picks among the candidates, for connections that asked for no other policy."""
        for policy in (self.policy, *self.policies.values()):
            self.note_policy(policy)
        self.flavor = "mysql"
        self.version = ""
        self.has_gtids = True
        self.history: History = parse_history("mysql", "")
        """The primary's executed transactions when last seen: a replica must share some."""
        self._changed_at = -_TURNS_SECONDS
        """When another server was seen under the primary's name (monotonic seconds)."""
        self._discover_at = 0.0
        """When to look for replicas again (monotonic seconds)."""
        self._history_at = 0.0
        """When it was asked for last by the monitor (monotonic seconds)."""
        self._doubted_at = 0.0
        """When the primary changed (monotonic seconds): who was not looked at since serves none."""
        self.primary_server: object = None
        """The primary's own name for itself: no replica has the same."""
        self.facts: PrimaryFacts | None = None
        """What the last connection to the primary told."""
        self.primary_is_up = True
        """Whether connecting to it is worth a try; the monitor says when it is again."""
        self.generation = 0
        """Goes up when another server is the primary: connections to the one before are of no
        more use."""
        self.used = True
        """Set by every statement, and cleared by the monitor: it rests while nobody asks."""
        self.users: Registry[Any] = Registry()
        """The virtual connections."""
        self.catalogue = Catalogue()
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
        groups = self.groups
        sizes = {
            endpoint.name: size
            for endpoint in replicas
            for group in (groups.get(endpoint.group or ""),)
            if group is not None and (size := group.pool_size) is not None
        }
        assert options.pool_max_idle is not None
        assert options.pool_max_lifetime is not None
        self.pool = Pool(
            options.pool_size or 0, sizes, options.pool_max_idle, options.pool_max_lifetime
        )
        # Nor do programs pay for it that never connect.
        from .monitor import Monitor  # noqa: PLC0415

        self.monitor = Monitor(
            self,
            options.monitor_interval or 1.0,
            {name: each.monitor_interval for name, each in groups.items() if each.monitor_interval},
        )
        self._changed = threading.Condition()
        self._samples: deque[tuple[float, Position]] = deque(maxlen=_MOST_SAMPLES)
        """Positions of the primary with the time at which they were asked for, oldest first."""
        self._habits: LRUCache[str, Habit] = LRUCache(_MOST_HABITS)
        self._habits_lock = threading.Lock()
        self._parities: dict[str, Parity] = {}
        self._warned: set[str] = set()
        self.candidates: tuple[Endpoint, ...] = ()
        """The replicas that may be asked, when last looked at: see `usable`."""
        self._settled_at = 0.0
        """When a replica that has come back should have caught up (monotonic seconds); 0 for none:
        who stayed elsewhere because it had not may choose once more then."""
        self.arrivals = 0
        """Goes up when a replica has come (back): who stays on another may choose again."""
        self.refresh_at = 0.0
        """When to look again (monotonic seconds): somebody's rest is over; 0 for nobody rests."""
        self.refresh()

    def __repr__(self) -> str:
        """Tell the cluster's members and their states."""
        replicas = ", ".join(map(repr, self.replicas))
        up = "" if self.primary_is_up else " (away)"
        return f"<Cluster {self.flavor} primary={self.primary.name}{up} replicas=[{replicas}]>"

    def all_around_have(self, position: Position) -> bool:
        """Tell whether all replicas of this primary that the process knows of have a position.

        False where it knows of none. Its connections may have been given different ones. One that
        several were given is asked about where it was looked at last: a cluster rests while nobody
        uses it.
        """
        with _lock:
            around = [each for each in _clusters.values() if each.process is self.process]
        replicas: dict[object, Server] = {}
        for replica in (replica for each in (self, *around) for replica in each.replicas):
            where = replica.endpoint.unix_socket or (replica.endpoint.host, replica.endpoint.port)
            known = replicas.setdefault(where, replica)
            if replica.position is not None and known.noted_at < replica.noted_at:
                replicas[where] = replica
        return bool(replicas) and all(replica.has(position) for replica in replicas.values())

    def close(self) -> None:
        """Close what is idle and stop looking at the servers; connections that are open stay."""
        self.pool.shut()
        self.monitor.stop()
        _forget(self)

    @property
    def all_configured(self) -> tuple[Endpoint, ...]:
        """What the application calls its servers, the primary first."""
        return (self.configured[0], *self.configured[1])

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
        server = self.servers.get(name)
        if server is None or name == self.primary.name or not server.may_serve(monotonic()):
            return ()
        return (server.endpoint,)

    def policy_of(self, group: str | None, asked: Policy | None) -> Policy:
        """Return what picks among a group's replicas; `asked` is what the connection asks for."""
        if group is not None and group in self.policies:
            return self.policies[group]
        return asked or self.policy

    def refresh(self) -> None:
        """Look again at who may serve."""
        now = monotonic()
        primary = self.primary.name
        self.replicas = replicas = tuple(
            [
                server
                for name, server in self.servers.items()
                if name != primary and not server.is_gone
            ]
        )
        awake = [server.endpoint for server in replicas if server.may_serve(now)]
        self.refresh_at = min(
            (server.rests_until for server in replicas if server.rests_until > now), default=0.0
        )
        before = self.candidates
        zone, groups = self.options.zone, self.groups
        serving: dict[str | None, list[Endpoint]]
        serving = {name: [end for end in awake if end.group == name] for name in groups}
        serving[None] = [end for end in awake if not _is_reserved(groups, end)]
        self.in_group = near = {name: narrow(ends, zone) for name, ends in serving.items()}
        self._spares = {
            name: tuple([end for end in ends if end.weight and end not in near[name]])
            for name, ends in serving.items()
        }
        self.candidates = near[None]
        if self.policies:
            # One group's policy counts where nobody else serves.
            served_by = {end.group for end in self.candidates}
            only = served_by.pop() if len(served_by) == 1 else None
            assert self.options.policy is not None
            self.policy = self.policies.get(only, self.options.policy)
        if not all(endpoint in before for endpoint in self.candidates):
            self.arrivals += 1
            if before:
                self._settled_at = now + _SETTLE_SECONDS

    def _make_limits(self) -> None:
        if not self.rules:
            return
        from .._core.rules import Limit  # noqa: PLC0415 - who has none does not pay for them

        self.limits = {
            rule.name: threading.BoundedSemaphore(rule.action.running)
            for rule in self.rules
            if isinstance(rule.action, Limit)
        }

    def note_policy(self, policy: Policy) -> None:
        """See to it that a policy finds the figures that it looks at."""
        self.measures = self.measures or needs_load(policy)

    def usual(self, seconds: float) -> float:
        """Return how long a statement took, so far as that tells of its server.

        One report that takes a minute says nothing against the replica that runs it.
        """
        usual = self._usual_seconds
        seconds = min(seconds, _MOST_UNUSUAL * usual) if usual else seconds
        self._usual_seconds = usual + _USUAL_WEIGHT * (seconds - usual) if usual else seconds
        return seconds

    # How old a replica is, told without a privilege.

    def note_sample(self, position: Position, asked_at: float | None = None) -> None:
        """Note where the primary was; `asked_at` is from before it was asked."""
        asked_at = monotonic() if asked_at is None else asked_at
        samples = self._samples
        # One for every moment would leave no room for those of some seconds ago.
        if not samples or asked_at - samples[-1][0] >= _SAMPLE_SECONDS:
            samples.append((asked_at, position))

    def sample(self, seconds: float, ask: Callable[[], Position]) -> Position:
        """Return a position that the primary had at most so many seconds ago."""
        oldest = monotonic() - seconds
        samples = tuple(self._samples)  # others add to them meanwhile
        for asked_at, position in samples:
            if asked_at >= oldest:
                # Soon it will be too old: a younger one is there by then.
                if samples[-1][0] < oldest + seconds / 2:
                    break
                return position
        now = monotonic()
        position = ask()
        self.note_sample(position, now)
        samples = tuple(self._samples)
        return next((known for asked_at, known in samples if asked_at >= oldest), position)

    def last_seen(self) -> Position | None:
        """Return where the primary was when last seen, so far as this process knows."""
        try:
            known = self._samples[-1][1]
        except IndexError:  # none, or none any more
            known = None
        facts = self.facts
        if facts is None or facts.position is None:
            return known
        return facts.position if known is None else facts.position | known

    def closest(self, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        """Return those that are not known to be behind another of them.

        Who was last looked at before the other need not be behind: else who is not asked would
        never be asked again.
        """
        replicas = [(end, self.servers[end.name]) for end in endpoints]
        known = [(end, replica.position, replica) for end, replica in replicas]
        ahead = [
            end
            for end, position, replica in known
            if not any(
                other.noted_at <= replica.noted_at and _is_ahead(theirs, position)
                for _, theirs, other in known
                if other is not replica
            )
        ]
        return tuple(ahead) or endpoints

    def common_position(self) -> Position:
        """Return what all replicas are known to have."""
        positions = [replica.position for replica in self.replicas]
        common = positions[0] if positions else None
        for position in positions[1:]:
            if common is None or position is None:
                common = None
                break
            common = intersection(common, position)
        return empty(self.flavor) if common is None else common

    def _floor(self) -> Position:
        """Return what a replica must have that others come to later.

        What a replica made itself (errant transactions) no other will ever have; what it made as
        the primary of before, the primary of now has, too.
        """
        common, seen = self.common_position(), self.last_seen()
        if not isinstance(common, GtidSet):
            return common
        others = common
        for replica in self.replicas:
            if replica.server:
                others = others.without(replica.server)
        if not isinstance(seen, GtidSet):
            return others
        floor: Position = others | intersection(common, seen)
        return floor

    # What transactions go on to do.

    def habit(self, digest: str) -> Habit:
        """Return what transactions go on to do that begin with a read of this digest."""
        with self._habits_lock:
            return self._habits.get(digest) or Habit()

    def note_habit(self, digest: str, wrote: bool, mismatched: bool = False) -> None:
        """Learn from one more of them."""
        with self._habits_lock:
            habit = self._habits.get(digest) or Habit()
            self._habits[digest] = habit.after(wrote, mismatched)

    def warn_once(self, message: str, *args: object) -> None:
        """Log a warning about the cluster, once a process."""
        text = message % args
        if text not in self._warned and len(self._warned) < _MOST_WARNINGS:
            self._warned.add(text)
            logger.warning("%s", text)

    # Who the primary is.

    def learn_primary(self, facts: PrimaryFacts, generation: int) -> int:
        """Take in what a new connection to the primary told; without a history: no GTIDs.

        `generation` is from before it was made; returns the one that it belongs to.
        """
        with self._changed:
            if generation != self.generation:
                return generation
            if self.primary_server not in (None, facts.server):
                self._other_primary()
                self.take_facts(facts)
                self._doubt_replicas()
            else:
                self.take_facts(facts)
            self.primary_server = facts.server
            self.servers[self.primary.name].is_writable = not facts.read_only
            if not self.primary_is_up:
                self.primary_is_up = True
                self._changed.notify_all()
            return self.generation

    def take_facts(self, facts: PrimaryFacts) -> None:
        """Take in what kind of server the primary is."""
        self.facts = facts
        self.flavor = facts.flavor
        self.version = facts.version
        self.process.begin(facts.flavor)
        self.has_gtids = facts.history is not None
        if facts.history is not None:
            self.history = facts.history

    def wait_for_sights(self, until: float) -> None:
        """Wait until every server was looked at."""
        with self._changed:
            self._changed.wait_for(
                lambda: all(server.reached is not None for server in self.servers.values()),
                until - monotonic(),
            )

    @property
    def splits(self) -> bool:
        """Whether there are replicas, or may be."""
        return bool(self.configured[1]) or self.discover is not None

    def look_for_replicas(self, connection: PhysicalConnection) -> None:
        """Find the replicas that there are now, if the application said how and it is time.

        Raises OperationalError where the account may not ask.
        """
        if self.discover is None or monotonic() < self._discover_at:
            return
        from .discovery import discovered  # noqa: PLC0415 - few look for them

        found = discovered(self.discover, connection)
        endpoints, _ = read_replicas(found, self.configured[0].port, CONNECT_KEYWORDS)
        self._set_replicas(endpoints)
        self._discover_at = monotonic() + _DISCOVER_SECONDS

    def describe(self, why: str) -> str:
        """Name all endpoints, and what each was last seen to be; `why` is the primary's."""
        said = [f"{self.primary.name}: {why or 'it was away'}"]
        for server in self.replicas:
            state = "it is a replica" if server.reached else "it does not answer"
            if server.reached and server.is_writable:
                state = "it can be written to, and was not seen to become the primary"
            said.append(f"{server.endpoint.name}: {state}")
        return "; ".join(said)

    def _other_primary(self) -> bool:
        """Note that another server answers under the primary's name; False if they take turns."""
        now = monotonic()
        since, self._changed_at = now - self._changed_at, now
        if since < _TURNS_SECONDS:
            self.warn_once("several servers answer as the primary %s", self.primary.name)
            return False
        self.generation += 1
        logger.warning("another server is the primary at %s now", self.primary.name)
        return True

    def primary_failed(self, generation: int) -> None:
        """Note that connecting to the primary failed; the monitor tells when it works again."""
        with self._changed:
            if generation == self.generation:
                self.primary_is_up = False
        self.monitor.look_now()

    def primary_is_read_only(self, generation: int) -> None:
        """Note that the believed primary has refused a write: it may be none any more."""
        with self._changed:
            if generation == self.generation:
                self.servers[self.primary.name].is_writable = False
                self.primary_is_up = False
                self._decide()
        self.monitor.look_now()

    def wait_for_primary(self, generation: int, until: float, given_up: Callable[[], bool]) -> bool:
        """Wait until connecting to the primary is worth a try; False when the time is over.

        Or until it is given up, which `wake` lets be looked at.
        """
        self.used = True
        with self._changed:
            return self._changed.wait_for(
                lambda: self.primary_is_up or self.generation != generation or given_up(),
                until - monotonic(),
            )

    def wake(self) -> None:
        """Let those who wait for a primary look whether they still want one."""
        with self._changed:
            self._changed.notify_all()

    def wait_for_anyone(self, until: float) -> None:
        """Wait until the primary is worth a try, or other replicas may be asked than now."""
        self.used = True
        known = self.in_group

        def has_changed() -> bool:
            self.usable()
            return self.primary_is_up or self.in_group != known

        with self._changed:
            self._changed.wait_for(has_changed, until - monotonic())

    def _decide(self) -> None:
        sights = [
            Sight(
                name,
                server.reached,
                server.is_writable,
                server.was_read_only,
                server.replicates,
                server.is_stray,
            )
            for name, server in self.servers.items()
            if not server.is_foreign
        ]
        name = find_primary(self.primary.name, sights)
        if name != self.primary.name:
            self._promote(self.servers[name])

    def _promote(self, server: Server) -> None:
        """Take a server for the primary from now on."""
        before = self.servers[self.primary.name]
        logger.warning("the primary is %s now; it was %s", server.endpoint.name, self.primary.name)
        before.endpoint = before.endpoint._replace(role="replica")
        before.unfit = "it was the primary, and was not seen to replicate since"
        before.was_primary = True
        before.was_read_only = False
        before.floor = server.position
        server.endpoint = self.primary = server.endpoint._replace(role="primary")
        if server.looked is not None and self.has_gtids:
            self.history = whole(server.looked.position, server.looked.history)
        server.suspect, server.ahead = False, None
        server.stalled = False
        server.unfit = ""
        self.primary_server = server.server or None
        self.primary_is_up = True
        self.generation += 1
        self._history_at = 0.0
        self._samples.clear()
        if self.facts is not None:
            # What the one before had may be lost.
            self.facts = self.facts._replace(position=None)
        self.pool.close_idle(before.endpoint.name)
        self.pool.close_idle(server.endpoint.name)
        if not before.reached:
            # Who waits for the old one waits in vain.
            before.interrupt()
        self._doubt_replicas()
        self.refresh()
        self._changed.notify_all()

    # What the monitor sees.

    def note_unreached(self, server: Server, error: Exception, failures: int) -> None:
        """Note that a look at a server failed, so many times in a row."""
        code = error.args[0] if error.args else None
        if code == ER.CON_COUNT_ERROR:
            server.full_until = monotonic() + FULL_SECONDS
            return
        with self._changed:
            if isinstance(error, ValueError) or not lost(error):
                server.reached = None
                if isinstance(error, ValueError):
                    server.rest(str(error))
                elif server.endpoint is self.primary:
                    # It answers; whoever needs it may find that it is let in.
                    self.primary_is_up = True
                    self._changed.notify_all()
                return
            server.reached = False
            server.behind = inf
            is_primary = server.endpoint is self.primary
            if is_primary:
                self.primary_is_up = False
            else:
                server.rest(words(error))
            self._decide()
        if failures > 1 and "timed out" in str(error):
            (server.interrupt_questions if is_primary else server.interrupt)()

    def note_probe(self, server: Server, probe: Probe, before: Position | None) -> None:
        """Note what a look at a server told; `before` is where it was known to be before that."""
        with self._changed:
            looked, server.looked = server.looked, probe
            server.reached = True
            server.is_writable = probe.is_writable
            server.was_read_only = server.was_read_only or not probe.is_writable
            server.replicates = probe.replicates
            server.connected, server.running = probe.connected, probe.running
            server.note_latency(probe.seconds)
            if server.endpoint is self.primary:
                self._note_primary(server, probe, looked)
            else:
                self._note_replica(server, probe, before)
            self._decide()
            self.refresh()
            self._changed.notify_all()

    def _note_primary(self, server: Server, probe: Probe, looked: Probe | None) -> None:
        other = self.primary_server not in (None, probe.server)
        # The monitor has left the one before: it was read-only, or did not answer.
        if other and self._other_primary():
            server.interrupt()
        self.primary_server = server.server = probe.server
        self.history = probe.history
        self._history_at = probe.asked_at
        has_lost = looked is not None and not includes(probe.history, looked.history)
        if other or has_lost:
            self._samples.clear()
            self._doubt_replicas(has_lost and not other)
        self.note_sample(probe.position, probe.asked_at)
        if 0 < self._settled_at < probe.asked_at:
            self._settled_at = 0.0
            self.arrivals += 1
        if probe.is_writable:
            self._look_for_strays(probe.asked_at)
            self.primary_is_up = True

    def _doubt_replicas(self, has_lost: bool = False) -> None:
        """Let nobody serve that was not looked at since the primary has changed.

        A replica may have what the primary of now lacks, more than when it was last looked at.
        `has_lost` is whether the same server came back with less than it had: it will count on with
        the same numbers, so nobody can tell later who has what was lost.
        """
        if not self.has_gtids:
            return
        self._doubted_at = monotonic()
        for server in self.servers.values():
            if server.endpoint is self.primary:
                continue
            server.suspect = True
            server.unfit = server.unfit or "it may be ahead of the primary, which has changed"
            looked = server.looked
            if has_lost and looked is not None:
                position = server.position or looked.position
                lost_there = beyond(self.history, position, looked.history, looked.server)
                server.ahead = lost_there or server.ahead
        self.monitor.look_now()

    def _look_for_strays(self, asked_at: float) -> None:
        """Warn of replicas that can be written to while the primary can."""
        for server in self.replicas:
            server.is_stray = 0 < server.writable_since < asked_at
            if server.is_stray:
                self.warn_once(
                    "replica %s is not read-only: what is written there is lost to all others",
                    server.endpoint.name,
                )

    def _note_replica(self, server: Server, probe: Probe, before: Position | None) -> None:
        why = self._why_unfit(server, probe, before)
        if why is None:
            return
        server.server = probe.server
        server.unfit = why
        if why:
            server.warn(why)
            return
        if not probe.is_writable:
            server.writable_since = 0.0
        elif not server.writable_since:
            server.writable_since = probe.asked_at
        was_behind, server.behind = server.behind, self._behind(probe.position)
        interval = self.monitor.interval_of(server.endpoint)
        if isfinite(was_behind) and was_behind > interval >= server.behind:
            self.arrivals += 1
        moved = before is None or not before.covers(probe.position)
        limit = max(_STALLED_SECONDS, 3 * interval)
        if moved or server.behind <= limit or not isfinite(server.behind):
            server.stalled = False
        elif not server.stalled:
            server.stalled = True
            server.warn(f"it answers, and has not advanced for {server.behind:.1f} seconds")
        server.works()

    def _why_unfit(self, server: Server, probe: Probe, before: Position | None) -> str | None:
        """Tell why a replica must serve nobody; '' if it may, None if that can't be told yet."""
        if not self.has_gtids:
            return ""
        if probe.server == self.primary_server:
            return "it is the primary itself, under another address"
        if server.was_primary and probe.is_writable:
            return "it was the primary, and can be written to"
        if server.suspect and probe.asked_at < self._doubted_at:
            return None  # it was asked before the primary changed
        if server.ahead is not None:
            if includes(whole(probe.position, probe.history), server.ahead):
                return _AHEAD
            server.ahead = None  # it was rebuilt
        gone_on = server.has_gone_on(probe.server, before, probe.position)
        belongs = gone_on or self.belongs(probe.position)
        if server.was_primary or not belongs or self._is_ahead(probe):
            # It may have gone on since the primary was last looked at: so the look before counts.
            doubted, server.doubted = server.doubted, probe
            if doubted is None or doubted.asked_at + doubted.seconds >= self._history_at:
                if server.was_primary or server.unfit or not belongs:
                    return None
            else:
                server.is_foreign = not (gone_on or self.belongs(doubted.position))
                if server.is_foreign:
                    return "it has none of the primary's transactions"
                if server.was_primary and self._has_lost(doubted):
                    return "it was the primary, and has transactions that are lost"
                if self._is_ahead(doubted):
                    if server.suspect:
                        server.ahead = beyond(
                            self.history, doubted.position, doubted.history, doubted.server
                        )
                    return _AHEAD
                server.suspect = False
        else:
            server.suspect = False
        server.is_foreign = False
        history = self.history
        if server.unfit == _AHEAD and isinstance(before, GtidSet) and isinstance(history, GtidSet):
            # It was rebuilt, and will never have again what was lost.
            before = server.let_go(before & history)
        if not server.reset_position(probe.position, before):
            return "it came back with less than it had, and has not caught up"
        return ""

    def _is_ahead(self, probe: Probe) -> bool:
        """Tell whether a replica has what the primary is not known to have."""
        return bool(beyond(self.history, probe.position, probe.history, probe.server))

    def _has_lost(self, probe: Probe) -> bool:
        """Tell whether a server has transactions that the primary does not have."""
        mine, theirs = probe.history, self.history
        if isinstance(mine, BinlogState) or isinstance(theirs, BinlogState):
            assert isinstance(mine, BinlogState) and isinstance(theirs, BinlogState)
            return not theirs.includes(mine)
        return not theirs.covers(mine)

    def _behind(self, position: Position) -> float:
        """Return how many seconds ago the primary was at a position; infinite if not known."""
        if not (self.has_gtids and self._samples):
            return inf
        for asked_at, sample in tuple(self._samples):
            if not position.covers(sample):
                return monotonic() - asked_at
        return 0.0

    def note_parity(self, server: Server, parity: Parity, filters: list[str]) -> None:
        """Warn once of what makes a member answer otherwise than the primary."""
        name = server.endpoint.name
        self._parities[name] = parity
        if filters:
            self.warn_once(
                "replica %s filters what it replicates (%s): its reads show less, and nothing "
                "tells",
                name,
                ", ".join(filters),
            )
        primary = self._parities.get(self.primary.name)
        if primary is None:
            return
        for other, theirs in tuple(self._parities.items()):  # others add to it
            if other != self.primary.name:
                for difference in theirs.differences(primary):
                    self.warn_once("replica %s may answer otherwise: its %s", other, difference)
                mended = theirs.mendings(primary)
                if mended:
                    self.warn_once(
                        "replica %s has other defaults, and each session there is given the "
                        "primary's: its %s",
                        other,
                        "; its ".join(mended),
                    )

    # Which servers there are.

    def _set_replicas(self, endpoints: Iterable[Endpoint]) -> None:
        """Take in which replicas there are now."""
        with self._changed:
            servers = {**self.servers}
            # What sessions have forgotten because all had it, one that is new must have, too.
            floor = self._floor() if self.replicas else None
            listed = {endpoint.name: endpoint for endpoint in endpoints}
            for name, endpoint in listed.items():
                server = servers.get(name)
                if server is None:
                    server = servers[name] = Server(endpoint, self)
                    server.floor = floor or None
                elif name != self.primary.name:
                    server.endpoint = endpoint
            for name, server in servers.items():
                server.is_gone = name not in listed and name != self.primary.name
            self.servers = servers
            self.refresh()

    def ahead_by(self, replica_position: Position, server: str) -> History:
        """Return what a server at this position has that the primary is not known to have."""
        logged = parse_history(self.flavor, "")
        return beyond(self.history, replica_position, logged, server)

    def belongs(self, replica_position: Position) -> bool:
        """Tell whether a server with this position replicates from this cluster's primary."""
        return lineage(self.history, replica_position)

    def is_in_use(self) -> bool:
        """Tell whether a virtual connection is open."""
        return any(not user._ended for user in self.users.all())

    def after_fork(self) -> None:
        """Begin anew in a child, with what is known."""
        self._changed = threading.Condition()
        self._habits_lock = threading.Lock()
        self.memory.after_fork()
        self.process.after_fork()
        self.users.after_fork()
        self._make_limits()
        self.dice.seed()
        self.turns = itertools.count(self.dice.getrandbits(30))
        for server in self.servers.values():
            server.after_fork()
        self.pool.after_fork()
        self.monitor.after_fork()


def _is_reserved(groups: Mapping[str, GroupOptions], endpoint: Endpoint) -> bool:
    group = groups.get(endpoint.group or "")
    return group is not None and group.only_by_rule


class _FiguresOf(Mapping[str, Figures]):
    """What is known of a cluster's servers at the moment of asking."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __getitem__(self, name: str) -> Figures:
        return self._cluster.servers[name].figures

    def __iter__(self) -> Iterator[str]:
        return iter(self._cluster.servers)

    def __len__(self) -> int:
        return len(self._cluster.servers)


def words(error: Exception) -> str:
    """Return an error as one phrase."""
    if len(error.args) > 1:
        return f"({error.args[0]}) {error.args[1]}"
    return str(error) or type(error).__name__


def _is_ahead(one: Position | None, other: Position | None) -> bool:
    if one is None or other is None:
        return one is not None
    return one.covers(other) and not other.covers(one)


# Only knowledge is lost with the one that was not used for longest, and it is learned again.
class _Clusters(LRUCache[Any, Cluster]):
    def popitem(self) -> tuple[Any, Cluster]:
        key, cluster = super().popitem()
        cluster.pool.shut()
        return key, cluster


_clusters = _Clusters(_MOST_CLUSTERS)
_lock = threading.Lock()


def cluster_of(
    primary: Endpoint,
    replicas: tuple[Endpoint, ...],
    discover: Any,
    options: ClusterOptions,
    dial: Any = None,
) -> Cluster:
    """Return the process's cluster for these servers.

    Whom another `dial` leads to are others, whatever they are called.

    Raises ValueError if it is in use with other options.
    """
    # A named one has rules, which are for those alone that ask for it.
    servers = (options.name, _where(primary), tuple(map(_where, replicas)), discover)
    key = (*servers, key_of(dial, "dial"))
    with _lock:
        known = _clusters.get(key)
        if known is None and dial is not None:
            _look_for_lost_dials(servers)
        if known is not None:
            why = _conflict(known, primary, replicas, options)
            if not why:
                return known
            if known.is_in_use():
                raise ValueError(f"{why}; its connections are open")
            _clusters.pop(key)
            known.pool.shut()
        cluster = object.__new__(Cluster)
        zone = options.zone or os.environ.get("RWSPLIT_ZONE") or None
        options = options.with_defaults()._replace(zone=zone)
        cluster._set_up(primary, replicas, discover, options)
        if known is not None:
            cluster.controls = known.controls
        _clusters[key] = cluster
    return cluster


def _look_for_lost_dials(servers: tuple[Any, ...]) -> None:
    dials = [dial for *others, dial in _clusters if tuple(others) == servers]
    if sum(isinstance(dial, Whose) and dial.is_gone for dial in dials) >= LOST_FUNCTIONS:
        warn_of_functions("dial")


def configured(config: ClusterConfig) -> Cluster:
    """Return the process's cluster of one that a configuration describes."""
    discover = "discover" if config.options.get("replicas") == "discover" else None
    return cluster_of(config.primary, config.replicas, discover, config.shared())


def _where(endpoint: Endpoint) -> tuple[str, int, str | None]:
    return endpoint.host, endpoint.port, endpoint.unix_socket


def _conflict(
    cluster: Cluster, primary: Endpoint, replicas: tuple[Endpoint, ...], options: ClusterOptions
) -> str:
    """Tell which option differs from the cluster's; '' if none does."""
    for mine, known in zip((primary, *replicas), cluster.all_configured, strict=True):
        for field in ("name", "weight", "rank", "group", "zone", "overrides"):
            if getattr(mine, field) != getattr(known, field):
                return (
                    f"replicas: {field} of {known.name} is another than this process's cluster "
                    "has for it"
                )
    for field, value in options._asdict().items():
        asked, known = _bare(value), _bare(getattr(cluster.options, field))
        if value is not None and asked != known:
            return f"{field}: {asked!r}, and this process's cluster of {primary.name} has {known!r}"
    return ""


def _bare(value: Any) -> Any:
    """Return an application's policy as it gave it."""
    return getattr(value, "__wrapped__", value)


def all_users() -> list[Any]:
    """Return the virtual connections of this process, to whatever cluster."""
    with _lock:
        clusters = [*_clusters.values()]
    return [user for cluster in clusters for user in cluster.users.all()]


_memories: WeakValueDictionary[tuple[str, int, str | None], MemoryStore] = WeakValueDictionary()


def memory_of(primary: Endpoint) -> MemoryStore:
    """Return the session ids of this process for one primary."""
    return _memories.setdefault(_where(primary), MemoryStore())


def _forget(cluster: Cluster) -> None:
    with _lock:
        for key, known in [*_clusters.items()]:
            if known is cluster:
                del _clusters[key]


@atexit.register
def _close_all() -> None:
    for cluster in [*_clusters.values()]:
        cluster.pool.shut()
        # The transactions of connections that are open still end with the process.
        for user in cluster.users.all():
            user._abandon_mark()
    end_abandoned()


def _after_fork() -> None:
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    for cluster in [*_clusters.values()]:
        cluster.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
