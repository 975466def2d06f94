"""Which replica serves a read: plain decisions, from what a session and its process know.

A replica that is known to have all that the read must see is chosen by the policy. Where none is
known to have it, the read waits at one of the closest; where others may serve at once, a look at a
late one is enough. A decision may lack what only a server can say: then it says whom to ask, and is
made again with the answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ..cause import ASIDE, RESERVED, Cause, Reason, none_usable
from ..cluster.endpoint import Endpoint
from ..cluster.figures import View
from ..cluster.lag import PATIENCE_SECONDS
from ..cluster.policies import Policy, narrow
from ..cluster.position import Position
from ..cluster.server import Server
from ..cluster.topology import Topology
from ..cluster.whereabouts import closest, common_position
from ..session.route import Route
from ..session.seen import Seen
from ..session.state import State

__all__ = [
    "LOOK_SECONDS",
    "NOT_CAUGHT_UP",
    "QUICKER",
    "Candidates",
    "Chooser",
    "Chosen",
    "Lacks",
    "Nobody",
]

LOOK_SECONDS = 0.001
"""A wait just long enough to learn whether a replica has caught up."""
NOT_CAUGHT_UP = Reason(
    "no replica has caught up with what the session must see", Cause.NOT_CAUGHT_UP
)
QUICKER = Reason(
    "no replica was expected to catch up before the primary could answer", Cause.NOT_CAUGHT_UP
)


class Candidates(Protocol):
    """What a process knows of a cluster's replicas, as far as one is chosen by it."""

    servers: dict[str, Server]
    replicas: tuple[Server, ...]
    candidates: tuple[Endpoint, ...]
    arrivals: int
    topology: Topology
    process: Any
    policy: Policy
    turns: Iterator[int]
    options: Any

    @property
    def flavor(self) -> str:
        """`mysql` or `mariadb`."""

    def usable(self, group: str | None = None) -> tuple[Endpoint, ...]:
        """Return the replicas that may be asked now."""

    def spares(self, group: str | None = None) -> tuple[Endpoint, ...]:
        """Return those that are asked if all that come before them are late."""

    def named(self, name: str) -> tuple[Endpoint, ...]:
        """Return the replica of this name, if it may be asked now."""

    def policy_of(self, group: str | None, asked: Policy | None) -> Policy:
        """Return what picks among a group's replicas."""


class Chosen(NamedTuple):
    """A replica to read on, and for how many seconds to wait there at most."""

    replica: Server
    seconds: float
    is_trial: bool = False
    """It is not expected to catch up by then, and was not asked for long."""
    moves: bool = False
    """The session leaves the replica of its last read for it, if it has what was shown there."""


class Nobody(NamedTuple):
    """No replica serves the read, and why."""

    why: Reason


class Lacks(NamedTuple):
    """What must be known first: where a late replica is by now, or (None) the primary."""

    name: str | None


class Chooser:
    """What a session chooses its replicas by.

    :param members: those that are open, by name.
    :param waits: whether a read waits where no replica has caught up.
    """

    def __init__(
        self,
        cluster: Candidates,
        session: State,
        seen: Seen,
        members: Mapping[str, Any],
        view: View,
        waits: bool,
    ) -> None:
        self._cluster = cluster
        self._session = session
        self._members = members
        self.seen = seen
        self.view = view
        """What the policy sees."""
        self._waits = waits
        self.max_wait = 0.0
        """How many seconds a read may wait for a replica."""
        self.policy: Policy | None = None
        """What picks among the candidates; None for the cluster's own policy."""
        self.turn: int | None = None
        """A turn that was taken, and that its replica could not use straight away."""
        self.aside: dict[str, float] = {}
        """Members that can't be this session now, and until when (monotonic seconds)."""
        self.passed: dict[str, Position] = {}
        """By replica, the position (this very object) that it was last found to have."""
        self.arrivals = cluster.arrivals
        """The cluster's, when a session on an untold replica last looked who is there."""
        self._moves = False
        """A replica has come, and it is as good as the one that is known to be closest."""

    # What it goes by.

    def wait_at_most(self, seconds: float) -> None:
        """Let a read wait so long for a replica."""
        self.max_wait = seconds

    def take_policy(self, policy: Policy | None) -> None:
        """Choose by another policy from now on; None for the cluster's own."""
        self.policy = policy

    def keep_turn(self, turn: int) -> None:
        """Keep a turn that was taken and could not be used: the next choice has it."""
        self.turn = turn

    def leave_aside(self, name: str, until: float) -> None:
        """Choose others until then (monotonic seconds): that one can't be this session now."""
        self.aside[name] = until

    def note_passed(self, name: str, position: Position) -> None:
        """Note a position that a replica was found to have."""
        self.passed[name] = position

    # Who serves.

    def choose(
        self,
        route: Route,
        needed: Position | None,
        tried: Collection[str],
        waited: float,
        now: float,
        away: bool = False,
        since: float | None = None,
        home: str | None = None,
    ) -> Chosen | Nobody | Lacks:
        """Choose a replica for a read.

        :param needed: the position that it must have; None for any.
        :param tried: those that did not serve it.
        :param waited: how many seconds it has waited already.
        :param away: whether the primary could not be asked for it.
        :param since: since when the primary has that position (monotonic seconds); None for nobody
            knows: then there is no telling how long a wait takes.
        :param home: the replica that the session moves to, where it can; see `next_home`.
        """
        cluster, servers = self._cluster, self._cluster.servers
        usable = self._usable(route, tried, now)
        bound = route.shows_data and route.consistency != "eventual"
        if bound and self.seen.is_untold and not self.was_told():
            if home is not None and any(end.name == home for end in usable):
                return Chosen(servers[home], PATIENCE_SECONDS, moves=True)
            here = self._stay(usable, needed, away)
            if here is None:
                return Lacks(None)
            usable = here
        if not usable:
            return Nobody(NOT_CAUGHT_UP if waited else self.none_usable(route, tried, now))
        ready = {end.name for end in usable if self.serves(servers[end.name], needed, route)}
        patience = self.max_wait - waited
        patient = not ready and self._waits
        policy = cluster.policy_of(route.group, self.policy)
        turn = self.turn = next(cluster.turns) if self.turn is None else self.turn
        name = policy(usable, turn, self.view).name if ready else ""
        if len(ready) == len(usable):
            if route.consistency != "eventual":
                self.prune()
        elif name not in ready:
            # A late one is looked at when it is its turn: no other read waits for that.
            late = self._late_one(usable, ready, now) if patience > 0 else None
            if late is not None:
                return Lacks(late)
            worth = self._worth_a_wait(usable, ready, patience, patient, now)
            if not worth:
                return Nobody(NOT_CAUGHT_UP)
            if patient and since is not None and not (tried or waited):
                hurried = self._hurry(worth, since, turn, now)
                if isinstance(hurried, Server):
                    self.turn = None
                    return Chosen(hurried, min(patience, cluster.topology.detours.patience), True)
                if not hurried:
                    return Nobody(QUICKER)
                worth = hurried
            if not ready and len(worth) > 1 and not self._moves:
                worth = closest(servers, worth)
            if not name or worth != usable:
                name = policy(worth, turn, self.view).name
        self.turn, self._moves = None, False
        if name in ready:
            return Chosen(servers[name], 0.0)
        # Where another replica or the primary can answer at once, a look is enough.
        return Chosen(servers[name], patience if patient else LOOK_SECONDS)

    def _usable(self, route: Route, tried: Collection[str], now: float) -> tuple[Endpoint, ...]:
        """Return the replicas that may be asked for a read: spares where all others are late."""
        cluster, wanted = self._cluster, route.endpoint
        usable = cluster.usable(route.group) if wanted is None else cluster.named(wanted)
        if tried or self.aside:
            usable = self.narrow(usable, tried, now)
        if wanted is None and route.consistency != "eventual" and not self.any_worth(usable, now):
            spares = self.narrow(cluster.spares(route.group), tried, now)
            if self.any_worth(spares, now):
                return narrow(spares, cluster.options.zone)
        return usable

    def narrow(
        self, usable: tuple[Endpoint, ...], tried: Collection[str], now: float
    ) -> tuple[Endpoint, ...]:
        """Return those that were not tried, and are not left aside by this session."""
        self.aside = {name: until for name, until in self.aside.items() if until > now}
        return tuple(
            [end for end in usable if end.name not in tried and end.name not in self.aside]
        )

    def any_worth(self, endpoints: Sequence[Endpoint], now: float) -> bool:
        """Tell whether it is worth asking one of them: not while all are late and none is due."""
        servers = self._cluster.servers
        return any(servers[endpoint.name].worth_asking(now) for endpoint in endpoints)

    def none_usable(self, route: Route, tried: Collection[str], now: float) -> Reason:
        """Tell why none of the replicas that a read might use may be asked."""
        wanted, group = route.endpoint, route.group
        states = {}
        for server in self._cluster.replicas:
            name, state = server.endpoint.name, server.state(now)
            if wanted not in (None, name) or group not in (None, server.endpoint.group):
                continue
            if state == "usable":
                state = ASIDE if name in tried or name in self.aside else RESERVED
            states[name] = state
        if wanted is not None and not states:
            return Reason(f"{wanted}, which a hint asks for, is no replica", Cause.HINT)
        return none_usable(states)

    # Who has what.

    def has(self, replica: Server, needed: Position | None) -> bool:
        """Tell whether a replica is known to have a position; None is had by all."""
        if needed is None:
            return True
        name = replica.endpoint.name
        if self.passed.get(name) is needed:
            return True
        if not replica.has(needed):
            return False
        self.note_passed(name, needed)
        return True

    def all_have(self, position: Position) -> bool:
        """Tell whether every replica is known to have a position; False while none is known."""
        replicas = self._cluster.replicas
        return bool(replicas) and all(self.has(replica, position) for replica in replicas)

    def serves(self, replica: Server, needed: Position | None, route: Route) -> bool:
        """Tell whether a replica is known to have all that a read must see."""
        if not self.has(replica, needed):
            return False
        seen = self.seen
        bound = route.consistency == "session" and route.shows_data
        if not bound:
            return True
        if replica.endpoint.name == seen.at:
            # By identity first: it has nothing behind any usual read.
            return seen.position is seen.origin or self.has(replica, seen.position or None)
        if seen.is_untold:
            return False
        return replica.tail == seen.tail != b"" or self.has(replica, seen.known() or None)

    def was_told(self) -> bool:
        """Tell whether the replica of the last read has told by now what that read saw."""
        seen = self.seen
        if seen.at is None or not self._session.traits.reads_tell or not self._is_by():
            return False
        replica = self._cluster.servers[seen.at]
        return seen.was_told(*replica.news)

    def _is_by(self) -> bool:
        """Tell whether the connection of the last read is open still."""
        return self._members.get(self.seen.at or "") is self.seen.by

    def furthest(self) -> Position:
        """Return all that the usable replicas are known to have, if one of them has all of it."""
        replicas = [self._cluster.servers[end.name] for end in self._cluster.usable()]
        known = [(replica, replica.position) for replica in replicas]
        positions = [each.shared(position) for each, position in known if position is not None]
        for position in positions:
            if all(position.covers(other) for other in positions):
                return position
        return self._session.origin

    def prune(self) -> None:
        """Forget a position that every replica has: they keep it (see `Place.floor`)."""
        session = self._session
        position = session.position
        if position is not session.origin and self.all_have(position):
            session.prune(common_position(self._cluster.replicas, self._cluster.flavor))
            self.passed.clear()

    # Where to wait.

    def is_quicker_there(self, since: float, now: float) -> bool:
        """Tell whether a read goes to the primary again, rather than wait for what it saw there.

        :param since: when that was (monotonic seconds).
        """
        usable = self._cluster.usable()
        if self.aside:
            usable = self.narrow(usable, (), now)
        if not usable or not self._waits:
            return False
        turn = self.turn = next(self._cluster.turns) if self.turn is None else self.turn
        return self._hurry(usable, since, turn, now) == ()

    def _hurry(
        self, usable: tuple[Endpoint, ...], since: float, turn: int, now: float
    ) -> tuple[Endpoint, ...] | Server:
        """Return those where a wait is expected to be the quicker way; none for the primary's.

        Or a replica where that is tried now and then.
        """
        cluster = self._cluster
        detours, age = cluster.topology.detours, now - since
        patience, quick, slow = detours.patience, [], []
        for end in usable:
            replica = cluster.servers[end.name]
            if replica.lag.left(age) <= patience:
                quick.append(end)
            elif replica.lag.is_due(now):
                return replica
            else:
                slow.append(replica)
        if not quick:
            if not (cluster.topology.primary_is_up and detours.take(cluster.process.latest, turn)):
                return usable
            for replica in slow:
                replica.lag.skip()
        return tuple(quick)

    def _stay(
        self, usable: tuple[Endpoint, ...], needed: Position | None, away: bool
    ) -> tuple[Endpoint, ...] | None:
        """Stay on the replica of the last read, whose position nobody told, if it can serve.

        None if others should, once they have what the primary has now: no replica has more. Behind
        a new connection it may have less than that read saw; who else could say so, if not the
        primary?
        """
        name = self.seen.at
        assert name is not None
        here = tuple([endpoint for endpoint in usable if endpoint.name == name])
        arrivals, self.arrivals = self.arrivals, self._cluster.arrivals
        self._moves = arrivals != self.arrivals
        if here and not self._moves and (away or self._is_by()):
            replica = self._cluster.servers[name]
            if away and not self.has(replica, self.seen.position or None):
                return None  # where it is known to be must do, beside that
            if self.has(replica, needed) or not replica.late or len(usable) == 1:
                return here
        return None

    def next_home(self, route: Route, now: float) -> str | None:
        """Return the replica that a session moves to which has stayed on one for long.

        None for staying: it is that one's turn again, or the other is late.
        """
        usable = self._usable(route, (), now)
        if len(usable) < 2:
            return None
        moves = self.seen.look_for_another()
        policy = self._cluster.policy_of(route.group, self.policy)
        name = policy(usable, moves, self.view).name
        if name == self.seen.at:
            self.seen.stay()
            return None
        return None if self._cluster.servers[name].late else name

    def _late_one(
        self, usable: tuple[Endpoint, ...], ready: Collection[str], now: float
    ) -> str | None:
        """Return a late replica that should be asked whether it has advanced since."""
        for endpoint in usable:
            name = endpoint.name
            replica = self._cluster.servers[name]
            if name in ready or not (replica.late and replica.may_probe(now)):
                continue
            member = self._members.get(name)
            if member is not None and member.is_open:
                return name
            replica.late = False
        return None

    def _worth_a_wait(
        self,
        usable: tuple[Endpoint, ...],
        ready: Collection[str],
        patience: float,
        patient: bool,
        now: float,
    ) -> tuple[Endpoint, ...]:
        """Return those that are ready, and those where a wait, or a look, is worth its while."""
        servers = self._cluster.servers
        return tuple(
            [
                end
                for end in usable
                if end.name in ready
                or (
                    patience > 0
                    and not servers[end.name].late
                    and (patient or now >= servers[end.name].look_at)
                )
            ]
        )
