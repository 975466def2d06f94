"""Reads on replicas: one is chosen, brought up to date, waits if it must, and runs the read.

One flow a read: what can become of it stands side by side in `_try_each`. A replica that is lost,
or late, or can't be this session, leaves the read to the next one; where none serves it, it is for
the primary, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, cast

from ..cause import Cause, Reason
from ..cluster.policies import Policy
from ..cluster.position import Position, within
from ..cluster.server import Server
from ..cluster.whereabouts import closest
from ..failure import Meaning, meaning, was_killed
from ..flavors.positions import POSITION_SQL, told_position, wait_sql
from ..numbers import NET_PACKET_TOO_LARGE, QUERY_INTERRUPTED, READ_ONLY_TRANSACTION
from ..session.route import Destination, Route
from ..session.session import Session
from ..sql.fingerprint import Fingerprint
from ..tracking import SESSION_STATE_CHANGED, changes_session
from ..wire import Fault, Kind
from .asking import Asking
from .choosing import LOOK_SECONDS, NOT_CAUGHT_UP, QUICKER, Candidates, Chooser, Lacks, Nobody
from .command import (
    AskAside,
    Claim,
    Exchange,
    Flow,
    LetGo,
    Open,
    Post,
    Settle,
    WaitAside,
)
from .deadline import Deadline, limit_of
from .holding import Holding

__all__ = ["Aside", "Members", "Read", "Reads", "Served", "Unserved", "goes_along"]

_LOOK_AGAIN_SECONDS = 0.5
"""How long not to ask again whether the primary has what no replica has."""
_MOST_PIECES = 4
"""Of more intervals than this a position has the gaps closed that others have filled, and again
whenever it has twice as many: each takes its time, here and where a replica waits for it."""
_MOST_ALONG = 64 * 1024
"""So many bytes of a read fit the buffers of both ends behind a set-up."""
_ASIDE_SECONDS = 1.0
"""How long a member that refused the session's state is left aside by this session."""


class Read(NamedTuple):
    """What to run on a replica, and how."""

    sql: bytes | None
    """None to run nothing but what comes before it."""
    unbuffered: bool = False
    prepared: str | None = None
    """The prepared statement that it executes."""
    begin: tuple[str, ...] = ()
    """Statements that open the snapshot that it reads in, after any wait."""
    fingerprint: Fingerprint | None = None
    """What its rows are taken into."""
    killed: bool = False
    """It was repeated already after a KILL of its connection."""
    known: Position | None = None
    """What it is to be told of whether the replica had it before; see `Reads.was_abreast`."""

    @property
    def goes_along(self) -> bool:
        """Whether it may be sent behind the set-up of a member, with nothing in between."""
        return (
            self.sql is not None
            and goes_along(self.sql)
            and self.prepared is None
            and not self.begin
            and self.known is None
        )


def goes_along(sql: bytes) -> bool:
    """Tell whether a read may be sent behind the set-up of a member, whatever becomes of that.

    Should that fail, the server reads it under another sql_mode and in another character set. It
    must find the same words there, so that it is nothing else than the read that it is: only what a
    backslash and bytes beyond ASCII mean hangs on those. Its rows are thrown away then.
    """
    return len(sql) <= _MOST_ALONG and sql.isascii() and b"\\" not in sql


class Served(NamedTuple):
    """A read that a replica answered."""

    member: Any
    reason: Reason
    waited: float
    retries: int
    result: Any = None


class Unserved(NamedTuple):
    """A read that no replica answered, and why; it is for the primary."""

    reason: Reason
    waited: float
    retries: int
    error: Fault | None = None
    """What a replica answered. It counts only where the primary can't be asked."""
    killed: bool = False
    """Its connection was killed: it may be repeated once, and no more."""

    @property
    def refused(self) -> bool:
        """Whether a replica refused it as a write: a defect of the classifier."""
        return self.reason.cause is Cause.REFUSED


class _Age(NamedTuple):
    """Since when the primary has what a read must see."""

    since: float | None
    """Monotonic seconds; None for nobody knows."""
    is_exact: bool = False
    """It was committed just then: how long a wait takes tells how far its replica is behind."""


class _Home(NamedTuple):
    """A replica that a session moves to."""

    name: str
    shown: Position
    """What the one that it leaves has shown."""


class Aside(Exception):  # noqa: N818 - never leaves the flows
    """The member can't be this session now.

    :param until: when it may be tried again (monotonic seconds); 0 for in a while.
    """

    def __init__(self, until: float = 0.0) -> None:
        super().__init__()
        self.until = until


class Late(Exception):  # noqa: N818 - never leaves this module
    """The replica did not catch up in time."""


class Away(Exception):  # noqa: N818 - never leaves this module
    """Only the primary could say what a read must see, and it can't be asked."""


class Known(Candidates, Protocol):
    """What a process knows of a cluster, as far as reads go by it, and what they add to it."""

    used: bool
    measures: bool
    measure: Any

    @property
    def has_gtids(self) -> bool:
        """Whether anybody can tell which replica has caught up."""

    @property
    def generation(self) -> int:
        """Goes up when another server is the primary."""

    def last_seen(self) -> Position | None:
        """Return where the primary was when last seen."""

    def note_sample(self, position: Position, asked_at: float) -> None:
        """Note where the primary was when it was asked, or since."""

    def note_policy(self, policy: Policy) -> None:
        """See to it that a policy finds the figures that it looks at."""

    def note_served(self, server: Server) -> None:
        """Note that a server that was left alone has served a statement."""

    def warn(self, message: str, *values: object) -> None:
        """Log a warning."""

    def warn_once(self, message: str, *values: object) -> None:
        """Log a warning, once a process."""


class Members(Protocol):
    """The members of a virtual connection that are replicas, by name."""

    def get(self, name: str) -> Any:
        """Return the member there; None if none is open."""

    def __getitem__(self, name: str) -> Any: ...

    def __contains__(self, name: object) -> bool: ...

    def lose(self, name: str) -> None:
        """Drop a member whose connection was lost.

        That is no reason to leave the replica alone: a KILL, a `read_timeout` or the statement
        itself may have done that. Whether it can be reached, a new connection tells.
        """

    def lose_primary(self) -> None:
        """Drop the connection to the primary, which was lost, and have it looked for."""


class Reads:
    """How a virtual connection reads on replicas.

    :param chooser: chooses them.
    """

    def __init__(
        self, session: Session, chooser: Chooser, holding: Holding, asking: Asking
    ) -> None:
        self._session = session
        self._cluster: Known = session.cluster
        self._members: Members = session.members
        self._state = session.state
        self._primary = session.primary
        self._clock = session.clock
        self._holding = holding
        self._asking = asking
        self.seen = session.seen
        self.chooser = chooser
        self.refused_by: Any = None
        """The member whose error a read ended with."""
        self._looked_in = 0
        """Of which of the cluster's primaries it was asked last if it has what is to be seen."""
        self._looked_at = 0.0
        """When that was (monotonic seconds)."""
        self._fill_at = _MOST_PIECES
        """Of how many intervals the session's position has its gaps closed."""
        self.unsettled: Any = None
        """A member whose snapshot was ended, and that was not heard since."""
        self._posted_at = 0.0
        """When it was told to (monotonic seconds)."""
        self.was_abreast = False
        """Whether the replica of the last read had what was known of the primary before it."""
        self.began: list[Any] = []
        """The replies to what began the last snapshot."""

    def wait_at_most(self, seconds: float) -> None:
        """Let a read wait so long for a replica: half of what its answer may take at most."""
        patience = self._primary.connection.read_timeout
        self.chooser.wait_at_most(min(seconds, patience / 2) if patience else seconds)

    def take_policy(self, policy: Policy | None) -> None:
        """Choose by another policy from now on; None for the cluster's own."""
        self.chooser.take_policy(policy)
        if policy is not None:
            self._cluster.note_policy(policy)

    def reading(
        self,
        route: Route,
        reading: Read,
        failed: tuple[Any, Fault] | None = None,
        since: float = 0.0,
    ) -> Flow[Served | Unserved]:
        """Run a read on a replica that may serve it.

        `failed` is a member that tried already, and its error; `since` when it began. Raises what
        the server says of the statement itself.
        """
        cluster = self._cluster
        cluster.used = True
        if self.unsettled is not None:
            yield from self.settling()
        if not cluster.has_gtids:
            if route.consistency != "eventual":
                return Unserved(_NO_GTIDS, 0.0, 0)
            if route.max_staleness is not None:
                return Unserved(_NO_AGE, 0.0, 0)
        sql = reading.sql or b""
        if len(sql) >= self._primary.connection.max_packet:
            return Unserved(_too_large("the primary"), 0.0, 0)
        patience = self._primary.connection.read_timeout
        deadline = Deadline(patience, sql, since or self._clock(), limit_of(self._state))
        killed = reading.killed
        if failed is not None:
            member, error = failed
            if error.kind is Kind.STALE:
                self._members.lose(member.name)
                failed = None
            elif not error.is_lost:
                return self._refused(member, error, reading, 0.0, 1, deadline)
            else:
                killed = self._take_loss(member.name, error, deadline, killed)
        there = self.why_there(route)
        if there is not None:
            return Unserved(there, 0.0, 0)
        retries = int(failed is not None)
        age = self._age(route)
        try:
            needed = yield from self._needed(route)
        except Away:
            return Unserved(_AWAY, 0.0, retries)
        home = (yield from self._leaving(route)) if self.seen.is_restless else None
        return (
            yield from self._try_each(route, needed, age, home, reading, retries, deadline, killed)
        )

    def _try_each(  # noqa: PLR0915 - all that can become of one read, side by side
        self,
        route: Route,
        needed: Position | None,
        age: _Age,
        home: _Home | None,
        reading: Read,
        retries: int,
        deadline: Deadline,
        killed: bool,
    ) -> Flow[Served | Unserved]:
        """Run a read on one replica after the other until one serves it."""
        chooser = self.chooser
        waited = 0.0
        tried: list[str] = []
        too_large: Reason | None = None
        away = False
        along = reading.goes_along
        while True:
            if retries:
                age = _Age(None)  # others may have committed since
            now, since = self._clock(), None if away else age.since
            to = None if home is None else home.name
            choice = chooser.choose(route, needed, tried, waited, now, away, since, to)
            if isinstance(choice, Lacks):
                away = yield from self._find_out(choice, away)
                continue
            if isinstance(choice, Nobody):
                less = yield from self._less(route, needed, choice.why)
                if less is None:
                    return Unserved(too_large or choice.why, waited, retries, killed=killed)
                route, needed = less
                continue
            replica, wait, is_trial, moves = choice
            name = replica.endpoint.name
            start = now
            fresh = name not in self._members
            others = len(self._cluster.candidates) - len(tried) - 1
            if fresh and others > 0 and not replica.has_room(self._clock()):
                tried.append(name)
                continue
            try:
                if fresh:
                    used = yield from Open(replica, along and not wait)
                else:
                    used = self._members[name]
                if reading.sql is not None and len(reading.sql) >= used.connection.max_packet:
                    too_large = _too_large(name)
                    tried.append(name)
                    continue
                # A fresh member has told where it is: the wait may not be needed.
                waits = bool(wait) and not (fresh and self.chooser.serves(replica, needed, route))
                left = deadline.left(self._clock()) if retries else None
                if waits:
                    wanted = self._wanted(route, needed)
                    if moves and home is not None:
                        wanted = wanted | home.shown
                    began = self._clock()
                    took = yield from self._run_after_wait(used, wanted, wait, reading, left)
                    waited += took
                    if not moves:
                        self._learn_lag(replica, age, began, took, is_trial)
                else:
                    yield from self._run_after(used, [], reading, left, timed=True)
            except Late:
                took = self._clock() - start
                waited += took
                if is_trial:
                    replica.lag.missed(start - (age.since or start), took, self._clock())
                elif moves:
                    pass  # it is not late: the one before was ahead of it
                elif wait > LOOK_SECONDS:
                    self._learn_lag(replica, age, start, took)
                    replica.timed_out(self._clock())
                    kept = yield from self._let_go(needed)
                    if kept is not needed and chooser.has(replica, kept):
                        replica.caught_up()  # it lacks what nobody has
                    needed = kept
                else:
                    replica.looked_in_vain(self._clock())
                tried.append(name)
            except Aside as aside:
                chooser.leave_aside(name, aside.until or self._clock() + _ASIDE_SECONDS)
                tried.append(name)
            except Fault as error:
                if error.kind is Kind.STALE:
                    self._members.lose(name)
                    along = False
                    continue
                if not error.is_lost:
                    return self._refused(used, error, reading, waited, retries + 1, deadline)
                killed = self._take_loss(name, error, deadline, killed)
                # An old connection may have been closed for idling: a fresh one tells.
                if fresh:
                    tried.append(name)
            else:
                changed = self.changed_session(used, reading.sql or b"")
                if changed is not None:
                    if reading.begin:
                        yield from self.ending(used)
                    return self._refused(used, changed, reading, waited, retries + 1, deadline)
                result = used.connection.result
                told = self._learn(replica, used, start, result)
                if route.shows_data and route.consistency != "eventual":
                    self.saw(used, told and not reading.begin)
                if moves:
                    self.seen.stay()
                return Served(used, route.reason, waited, retries, result)
            retries += 1

    def _leaving(self, route: Route) -> Flow[_Home | None]:
        """Return the replica that the session moves to, as it has stayed on one for long."""
        seen = self.seen
        member, by = self._members.get(seen.at or ""), cast(Any, seen.by)
        if (
            not route.shows_data
            or route.consistency != "session"
            or route.endpoint is not None
            or member is None
            or member is not by
            or member.connection.is_reading
            or self.chooser.was_told()
        ):
            return None
        name = self.chooser.next_home(route, self._clock())
        if name is None:
            return None
        member.note_asked()
        try:
            shown = yield from self._asking.shown(member)
            if shown is None:
                return _Home(name, (yield from self._ask_primary()))
            return _Home(name, member.replica.shared(shown))
        except Away:
            return None
        except Fault:
            self._members.lose(member.name)
            return None

    def why_there(self, route: Route) -> Reason | None:
        """Return why the primary is not even asked what a read must see, but runs it; or None."""
        if not self._must_ask(route):
            return None
        now, chooser = self._clock(), self.chooser
        since = self._age(route).since if self._goes_on_there(route) else None
        if since is not None and chooser.is_quicker_there(since, now):
            return QUICKER
        awake = [each.endpoint for each in self._cluster.replicas if each.may_serve(now)]
        if chooser.any_worth(awake, now):
            return None
        return NOT_CAUGHT_UP if awake else chooser.none_usable(_ANY, (), now)

    def _goes_on_there(self, route: Route) -> bool:
        """Tell whether the primary must be asked only as the reads before ran there."""
        seen = self.seen
        return bool(
            seen.on_primary
            and self._state.position_known
            and route.consistency == "session"
            and route.max_staleness is None
            and route.endpoint is None
        )

    def _age(self, route: Route) -> _Age:
        """Return since when the primary has what a read must see: its own process's last commit.

        Nobody knows that of what others store, or the application has carried.
        """
        state, identity = self._state, self._session.identity
        if route.consistency == "eventual" or route.endpoint is not None:
            return _Age(None)
        if route.consistency == "global":
            return _Age(self._clock())
        if state.asked or identity.sharing is not None or identity.part is not None:
            return _Age(None)
        since, seen = self._cluster.process.noted_at, self.seen
        if seen.on_primary:
            return _Age(max(since, seen.read_at)) if seen.read_at else _Age(None)
        return _Age(since, is_exact=True)

    def _learn_lag(
        self, replica: Server, age: _Age, began: float, took: float, is_trial: bool = False
    ) -> None:
        """Learn from a wait how far behind a replica is."""
        if age.since is None:
            return
        learn = replica.lag.found if is_trial else replica.lag.waited
        if is_trial or age.is_exact:
            learn(began - age.since, took, self._clock())

    def _refused(
        self,
        member: Any,
        error: Fault,
        reading: Read,
        waited: float,
        retries: int,
        deadline: Deadline,
    ) -> Unserved:
        """Take in an error that is not of the connection; raises what the application is to get."""
        self.refused_by = member
        name, code, text = member.name, error.number, str((error.text,))
        if code == NET_PACKET_TOO_LARGE:
            self._members.lose(name)
        left = deadline.left(self._clock())
        match meaning(code, text, deadline.own() is not None):
            case Meaning.REFUSED:
                text = f"{name} refused it: {error.text}"
                return Unserved(Reason(text, Cause.REFUSED), waited, retries)
            case Meaning.ASK_PRIMARY if left is None or left > 0:
                text = f"{name} answered with error {code}, and the primary's answer counts"
                reason = Reason(text, Cause.REPLICA_ERROR)
                # Its frames would hold who holds it, and so the connection.
                return Unserved(reason, waited, retries, error=error.bare())
        raise error

    def _take_loss(self, name: str, error: Fault, deadline: Deadline, killed: bool) -> bool:
        """Take in that a member was lost with a read that may be repeated.

        Returns whether a KILL has ended it, now or before; a second one ends the read for good.
        """
        self._members.lose(name)
        deadline.check(name, error, self._clock())
        kill = was_killed(error.number)
        if kill and killed:
            raise _over(name, error) from error
        return kill or killed

    def reading_on(self, member: Any, route: Route, reading: Read) -> Flow[Served | Unserved]:
        """Run a read in the snapshot that is open on a member, or not at all.

        Where a snapshot shows what was committed since it was opened (READ COMMITTED), it must show
        what the session must see by now.
        """
        replica = member.replica
        assert replica is not None
        waited, max_wait = 0.0, self.chooser.max_wait
        try:
            needed = (yield from self._needed(route)) if route.sees_commits else None
        except Away:
            return Unserved(_AWAY, 0.0, 0)
        late = needed is not None and not self.chooser.has(replica, needed)
        sql = reading.sql or b""
        limits = (self._primary.connection.max_packet, member.connection.max_packet)
        if len(sql) >= min(limits):
            return Unserved(_too_large(member.name), 0.0, 0)
        began = self._clock()
        try:
            if not late:
                yield from self._run_after(member, [], reading, timed=True)
            else:
                waited = yield from self._run_after_wait(member, needed, max_wait, reading)
        except Late:
            return Unserved(NOT_CAUGHT_UP, max_wait, 1)
        except Aside:
            return Unserved(_not_taken(member.name), 0.0, 1)
        except Fault as error:
            return self.failed_on(member, error, reading, began)
        return self.served_on(member, route, reading, waited, began)

    def is_in_step(self, member: Any, route: Route, sql: bytes) -> bool:
        """Tell whether a read in a snapshot needs nothing but the statement: the straight road."""
        return (
            not route.sees_commits
            and route.prepared is None
            and member.version == self._state.version
            and not self._cluster.measures
            and len(sql) < min(self._primary.connection.max_packet, member.connection.max_packet)
        )

    def failed_on(self, member: Any, fault: Fault, reading: Read, began: float) -> Unserved:
        """Take in that a read in a snapshot has failed; raises what the application is to get."""
        patience, limit = self._primary.connection.read_timeout, limit_of(self._state)
        deadline = Deadline(patience, reading.sql or b"", began, limit)
        if not fault.is_lost:
            return self._refused(member, fault, reading, 0.0, 1, deadline)
        killed = self._take_loss(member.name, fault, deadline, reading.killed)
        lost = Reason(f"{member.name} was lost", Cause.SNAPSHOT)
        return Unserved(lost, 0.0, 1, killed=killed)

    def served_on(
        self, member: Any, route: Route, reading: Read, waited: float, began: float
    ) -> Served | Unserved:
        """Take in what a read in a snapshot has told."""
        changed = self.changed_session(member, reading.sql or b"")
        if changed is not None:
            return self.failed_on(member, changed, reading, began)
        result = member.connection.result
        self._learn(member.replica, member, began, result)
        if route.shows_data and route.consistency != "eventual":
            # The snapshot's own end tells.
            self.saw(member, told=False)
        return Served(member, route.reason, waited, 0, result)

    def _wanted(self, route: Route, needed: Position | None) -> Position:
        """Return all that a replica is to wait for before it serves a read."""
        wanted = needed if needed is not None else self._state.origin
        if route.shows_data and route.consistency != "eventual":
            wanted = wanted | self.seen.known()
        return wanted

    def knowing_of_primary(self) -> Flow[Position | None]:
        """Return all that this process knows the primary to have; None if that is in doubt.

        To be asked before a read: see `Read.known`.
        """
        cluster, session = self._cluster, self._state
        heard = cluster.process.look(cluster.last_seen)
        if heard.doubt:
            # Something may have been committed that nobody reported.
            asked_at = self._clock()
            try:
                now = yield from self._ask_primary()
            except Away:
                return None
            cluster.note_sample(now, asked_at)
            cluster.process.settle(heard.doubt, now)
        seen = cluster.last_seen()
        known: Position = heard.position | session.base | session.position
        return known if seen is None else known | seen

    def ending(self, member: Any) -> Flow[None]:
        """End the transaction that is open on a member; its reply is read when it is needed."""
        if self._members.get(member.name) is not member:
            return
        posted_at = self._clock()
        try:
            yield from Post(member, "COMMIT")
        except Fault:
            self.note_ended(member, lost=True, posted_at=posted_at)
        else:
            self.note_ended(member, lost=False, posted_at=posted_at)

    def note_ended(self, member: Any, lost: bool, posted_at: float) -> None:
        """Note that a member was told to end what is open there, or was lost with that.

        `posted_at` is from before it was sent.
        """
        if lost:
            self._members.lose(member.name)
        else:
            self.unsettled, self._posted_at = member, posted_at

    def ending_snapshot(self) -> Flow[None]:
        """End the snapshot of the session's transaction, if it is still open."""
        snapshot = self._session.take_snapshot()
        if snapshot is None:
            return
        yield from Claim(snapshot)
        try:
            if snapshot.close():
                yield from self.ending(snapshot.member)
        finally:
            snapshot.release()

    def settling(self) -> Flow[None]:
        """Read what a member said at the end of a snapshot: on MySQL, where it then was."""
        member, self.unsettled = self.unsettled, None
        if member is None or self._members.get(member.name) is not member:
            return
        try:
            yield from Settle(member)
        except Fault:
            self._members.lose(member.name)
            return
        replica = member.replica
        assert replica is not None
        if self._learn(replica, member, self._posted_at) and self.seen.at == member.name:
            self.seen.ended(replica.tail)

    def waiting_for(self, position: Position, seconds: float) -> Flow[bool]:
        """Wait until one replica has a position, the closest first; False when time is over."""
        cluster = self._cluster
        until = self._clock() + seconds
        tried: list[str] = []
        yield from self.settling()
        while True:
            usable = self.chooser.narrow(cluster.usable(), tried, self._clock())
            if any(cluster.servers[end.name].has(position) for end in usable):
                return True
            left = until - self._clock()
            if not usable or left <= 0:
                return False
            replica = cluster.servers[closest(cluster.servers, usable)[0].name]
            try:
                (reply,) = yield from WaitAside(replica, [wait_sql(position, left)])
                _check_wait(reply)
            except (Late, Aside):
                tried.append(replica.endpoint.name)
            except Fault as error:
                if not error.is_lost:
                    raise
                tried.append(replica.endpoint.name)
            else:
                self._note_wait(replica, position)
                return True

    def saw(self, member: Any, told: bool) -> None:
        """Note that a read ran on a replica: the next one must not see less.

        `told` is whether the read told all that it may have seen there.
        """
        replica = member.replica
        assert replica is not None
        tail = replica.tail if told else b""
        self.seen.saw(member.name, replica, tail, self._clock(), member)

    def _must_ask(self, route: Route) -> bool:
        """Tell whether only the primary can say what a read must see."""
        if route.consistency == "eventual":
            return False
        return (
            route.consistency == "global"
            or (self.seen.on_primary and route.shows_data)
            or not self._state.position_known
        )

    def _needed(self, route: Route) -> Flow[Position | None]:
        """Return the position that a replica must have to serve a read of this level."""
        session = self._state
        needed: Position = session.origin
        if route.max_staleness is not None:
            samples, asked_at = self._cluster.topology.samples, self._clock()
            sample = samples.of_age(route.max_staleness, asked_at)
            if sample is None:
                now = yield from self._ask_primary()
                samples.note(now, asked_at)
                sample = samples.since(asked_at - route.max_staleness)
            needed = now if sample is None else sample
        if route.consistency == "eventual":
            return needed or None
        if session.pieces > self._fill_at:
            session.fill(self._cluster.last_seen())
            self._fill_at = max(2 * session.pieces, _MOST_PIECES)
        if self._must_ask(route):
            asked_at = self._clock()
            try:
                now = yield from self._ask_primary()
            except Away:
                self._go_without(route)
                return (session.position | needed | self.seen.known()) or None
            self._cluster.note_sample(now, asked_at)
            if not session.position_known:
                session.find_position(now)
            if route.consistency == "global":
                return session.position | now
            if self.seen.on_primary:
                self.seen.saw_all(now, late=True)
        return (session.position | needed) or None

    def _ask_primary(self) -> Flow[Position]:
        """Ask the primary where it is; raises Away if it can't be asked."""
        for _ in range(2):  # its connection may have been closed, and the primary be there
            if not (yield from self._holding.having()):
                break
            if self._primary.connection.is_reading:
                # The application has not read all that is to come there, and need not now.
                with suppress(Fault):
                    return (yield from AskAside())
            try:
                return (yield from self._asking.position(self._primary))
            except Fault as error:
                if not error.is_lost:
                    raise
                self._members.lose_primary()
        raise Away

    def _go_without(self, route: Route) -> None:
        """Go on reading while the primary is away; raises Away if that could be stale.

        What the session wrote is known, but for a statement whose answer was lost. What reads on
        the lost primary have seen is not: the best that there is are the replicas furthest ahead.
        """
        session = self._state
        known = session.position_known or session.position_unsure
        if route.consistency == "global" or not known:
            raise Away
        if self.seen.on_primary:
            self._cluster.warn_once(
                "the primary %s is away: reads go on on replicas, which may not have all that "
                "reads on it have seen",
                self._primary.name,
            )
            self.seen.see(self.chooser.furthest())

    def _let_go(self, needed: Position | None) -> Flow[Position | None]:
        """Let go of what the primary itself does not have: it was lost in a failover, or made up.

        Nobody would ever catch up with it. Asked for only after a whole wait was in vain, or where
        nobody waits, now and then.
        """
        cluster, session = self._cluster, self._state
        self._looked_at = self._clock()
        heard = cluster.process.look(cluster.last_seen).position
        scope = self._session.identity.part
        of_scope = None if scope is None else scope.look(cluster.last_seen).position
        wanted = session.position
        try:
            now = yield from self._ask_primary()
        except Away:
            return needed
        self._looked_in = cluster.generation
        if now.covers(wanted):
            return needed
        if not now.covers(
            session.position
        ):  # it may have connected to another primary, and said so
            cluster.warn(
                "the primary %s does not have %s, which this session must see: those transactions "
                "were lost, or the position was made up; the session lets go of them",
                self._primary.name,
                wanted,
            )
        session.let_go(now)
        cluster.process.let_go(heard, now)
        if scope is not None and of_scope is not None:
            scope.let_go(of_scope, now)
        sharing = self._session.identity.sharing
        if sharing is not None:
            yield from LetGo(sharing)
        return None if needed is None else within(needed, now)

    def _less(
        self, route: Route, needed: Position | None, why: Reason
    ) -> Flow[tuple[Route, Position | None] | None]:
        """Return less to ask of a replica, where none has it all; None if that can't be."""
        if route.group is not None:
            # Others are better than none, and any of them better than the primary.
            reason = route.reason.reworded(
                f"{route.reason}; no replica of {route.group} could serve it"
            )
            return route._replace(group=None, reason=reason), needed
        if why is not NOT_CAUGHT_UP or self._clock() - self._looked_at < _LOOK_AGAIN_SECONDS:
            return None
        # What a server has told is there, until another is the primary.
        identity = self._session.identity
        scope = identity.part
        asked = self._state.asked or (scope is not None and scope.asked is not None)
        told = not asked and identity.sharing is None
        if told and self._looked_in == self._cluster.generation:
            return None
        kept = yield from self._let_go(needed)
        return None if kept is needed else (route, kept)

    def _find_out(self, lacks: Lacks, away: bool) -> Flow[bool]:
        """Ask what a choice must know; returns whether the primary could not be asked.

        A session that wants to leave the replica of its last read, as another has come, stays then.
        If it can't stay, where that replica is known to be must do.
        """
        name = lacks.name
        if name is not None:
            member = self._members[name]
            member.note_asked()
            try:
                position = yield from self._asking.position(member)
                self._cluster.servers[name].note_position(position, self._clock())
            except Fault:
                self._members.lose(name)
            return away
        at = self.seen.at
        assert at is not None
        if away:
            replica = self._cluster.servers[at]
            self.seen.leave(replica.shared(replica.position or self._state.origin))
            return True
        try:
            self.seen.leave((yield from self._ask_primary()))
        except Away:
            return True
        return False

    def _run_after_wait(
        self,
        member: Any,
        needed: Position | None,
        seconds: float,
        reading: Read,
        limit: float | None = None,
    ) -> Flow[float]:
        """Wait for a position and run the statement behind it; returns the seconds waited."""
        assert needed is not None
        start = self._clock()
        wait = wait_sql(needed, seconds)
        if reading.unbuffered and reading.sql is not None:
            # A long result behind a wait that failed would have to be read and thrown away.
            yield from self._run_after(member, [wait], reading._replace(sql=None), limit)
            elapsed = self._clock() - start
            rest = self._run_after(member, [], reading._replace(begin=()), limit)
            yield from self._ending_if_failed(member, rest) if reading.begin else rest
        else:
            elapsed = yield from self._run_after(member, [wait], reading, limit)
        replica = member.replica
        assert replica is not None
        self._note_wait(replica, needed)
        self.chooser.note_passed(member.name, needed)
        return elapsed

    def _note_wait(self, replica: Server, position: Position) -> None:
        """Note that a wait for a position is over."""
        if not self._cluster.topology.may_have_lost(position):
            replica.note_position(position, self._clock())
        replica.caught_up()

    def _run_after(
        self,
        member: Any,
        wait: list[str],
        reading: Read,
        limit: float | None = None,
        timed: bool = False,
    ) -> Flow[float]:
        """Send the state's difference, the wait and the statement in one round trip.

        Returns how many seconds it took until the statement's own answer came.
        """
        start = self._clock()
        sql, unbuffered, prepared, begin, fingerprint, _, known = reading
        session = self._state
        replica = member.replica
        assert replica is not None
        prelude: list[str | bytes] = []
        if member.version != session.version:
            difference, confirm = session.difference(member.version)
            if confirm:
                yield from Exchange(member, difference, _check_state, limit=limit)
                member.brought(session.version)
            else:
                prelude += difference
        wanted = None if prepared is None else session.prepared[prepared]
        if prepared is not None and wanted and member.prepared.get(prepared) is not wanted:
            prelude.append(wanted.sql)
        before = [*prelude, *wait, *begin]
        asks = known is not None and not self.chooser.has(replica, known)
        if asks:
            before.append(POSITION_SQL[member.role][member.connection.flavor])
        if wait or asks:
            member.note_asked()
        elapsed = 0.0

        def accept(replies: list[Any]) -> None:
            nonlocal elapsed
            elapsed = self._clock() - start
            _check_state(replies[: len(prelude)])
            member.brought(session.version)
            if prepared is not None and wanted is not None:
                member.note_prepared(prepared, wanted)
            if wait:
                _check_wait(replies[len(prelude)])
            self.began = replies[len(prelude) + len(wait) :]
            _check_state(self.began)
            self.was_abreast = known is not None
            if known is not None and asks:
                # Asked afterwards, it could have what the read did not see.
                position = told_position(member.connection.flavor, replies[-1].rows[0][0])
                self.was_abreast = position.covers(known)
                replica.note_position(position, self._clock())

        cluster = self._cluster
        measure = cluster.measure if cluster.measures else None
        exchange = Exchange(
            member, before, accept, sql, unbuffered, fingerprint, limit, measure, timed
        )
        yield from self._ending_if_failed(member, exchange) if begin else exchange
        return elapsed

    def _ending_if_failed(self, member: Any, sending: Iterable[Any]) -> Flow[None]:
        """Send what opens a snapshot on a member, or reads first in it; if it fails, end that.

        What is left open there would show later reads what was there by then.
        """
        try:
            yield from sending
        except (Aside, Late, Fault):
            yield from self.ending(member)
            raise

    def changed_session(self, member: Any, sql: bytes) -> Fault | None:
        """Return an error if the read that has just run there changed its session there.

        The third net under the classifier, as a server sees into views. The primary's session has
        to change, and the member is no more what the session is: it is dropped.
        """
        connection = member.connection
        tails, result = connection.tails, connection.result
        if not tails or result is None or result.unbuffered_active:
            return None
        if tails[-1] == member.replica.tail:
            return None
        # What came before the read in the same round trip, the session's state, says so, too.
        tells = (result.server_status or 0) & SESSION_STATE_CHANGED
        if not tells or not changes_session(tails[-1]) or _SETS_FOR_ITSELF.search(sql):
            return None
        self._members.lose(member.name)
        return Fault(READ_ONLY_TRANSACTION, "it changes the session", Kind.READ_ONLY)

    def _learn(self, replica: Server, member: Any, sent_at: float, result: Any = None) -> bool:
        """Take in what a read told of its replica; False if it may have seen more than it told.

        `sent_at` is from before it was sent. While the end of a `result` that streams is to come,
        what there is an earlier one has told.
        """
        tails = member.connection.tails
        told = False
        if tails:
            streams = result is not None and result.unbuffered_active
            since = 0.0 if streams else sent_at
            told = replica.told(tails[-1], since, self._clock()) and not streams
            told = told and self._state.traits.reads_tell
            tails.clear()
        if replica.rests_until:
            self._cluster.note_served(replica)
        return told


_SETS_FOR_ITSELF = re.compile(rb"\bset(_var\b|\s+statement\s)", re.IGNORECASE)
"""MySQL's hint and MariaDB's SET STATEMENT, which set variables for one statement."""

_AWAY = Reason("only the primary could say what it must see, and it is away", Cause.PRIMARY_AWAY)
_ANY = Route(Destination.REPLICA, NOT_CAUGHT_UP)
"""A read that any replica might serve."""
_NO_GTIDS = Reason("the primary has no GTIDs to wait for", Cause.NO_GTIDS)
_NO_AGE = Reason("the primary has no GTIDs to tell a replica's age by", Cause.NO_GTIDS)


def _too_large(name: str) -> Reason:
    return Reason(f"it is larger than {name}'s max_allowed_packet", Cause.TOO_LARGE)


def _over(name: str, fault: Fault) -> Fault:
    """Return the fault of a read whose connection was killed twice: somebody wants it to end."""
    return Fault(
        QUERY_INTERRUPTED,
        f"Query execution was interrupted: its connection to {name} was killed, as the one before "
        f"({fault.text})",
    )


def _not_taken(name: str) -> Reason:
    return Reason(f"{name} did not take the session's state", Cause.REPLICA_ERROR)


def _check_state(replies: list[Any]) -> None:
    for reply in replies:
        if isinstance(reply, Fault):
            if reply.number == QUERY_INTERRUPTED:
                raise reply
            raise Aside from reply


def _check_wait(reply: Any) -> None:
    if isinstance(reply, Fault):
        if reply.number == QUERY_INTERRUPTED:
            raise reply  # who ends the wait wants to end the read
        raise Late from reply
    if reply.rows[0][0] not in (0, b"0", "0"):
        raise Late
