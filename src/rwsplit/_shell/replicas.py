"""A virtual connection's reads on replicas: one is chosen, brought up to date, and runs it."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple

from .._core.cause import Cause, Reason
from .._core.cluster.server import Server
from .._core.cluster.whereabouts import closest
from .._core.failure import (
    Meaning,
    meaning,
    refuses_account,
    was_killed,
)
from .._core.figures import View
from .._core.fingerprint import Fingerprint
from .._core.flows.choosing import LOOK_SECONDS, NOT_CAUGHT_UP, Chooser, Lacks, Nobody
from .._core.flows.command import (
    AskAside,
    AskPosition,
    Exchange,
    Flow,
    HavePrimary,
    Open,
    Post,
    Settle,
    WaitAside,
)
from .._core.numbers import (
    BAD_DB,
    CON_COUNT,
    HOST_IS_BLOCKED,
    HOST_NOT_PRIVILEGED,
    NET_PACKET_TOO_LARGE,
    QUERY_INTERRUPTED,
    READ_ONLY_TRANSACTION,
)
from .._core.options import Options
from .._core.policies import Policy
from .._core.position import Position, within
from .._core.route import Destination, Route
from .._core.seen import Seen, Sight
from .._core.session import Session
from .._core.tracking import (
    SESSION_STATE_CHANGED,
    changes_session,
)
from .._core.values import as_text
from .._drivers import err
from .._drivers.pymysql import Ask, PhysicalConnection, is_of_tls, lost
from .._drivers.sources import key_of
from .account import Account
from .cluster import Cluster
from .deadline import Deadline
from .log import logger, words
from .member import (
    Member,
    ask_aside,
    ask_position,
    ask_position_sql,
    open_replica,
    told_position,
    wait_sql,
)
from .perform import HANDS, Hands, perform
from .scope import ScopePosition
from .sharing import Sharing
from .weakly import weakly

__all__ = ["Reading", "Replicas", "Served", "Unserved"]

_LOOK_AGAIN_SECONDS = 0.5
"""How long not to ask again whether the primary has what no replica has."""

_ASIDE_SECONDS = 1.0
"""How long a member that refused the session's state is left aside by this session."""


class Reading(NamedTuple):
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
    """What it is to be told of whether the replica had it before; see `Replicas.was_abreast`."""


class Served(NamedTuple):
    """A read that a replica answered; the result is the member's connection's."""

    member: Member
    reason: Reason
    waited: float
    retries: int


class Unserved(NamedTuple):
    """A read that no replica answered, and why; it is for the primary."""

    reason: Reason
    waited: float
    retries: int
    error: err.MySQLError | None = None
    """What a replica answered. It counts only where the primary can't be asked."""
    killed: bool = False
    """Its connection was killed: it may be repeated once, and no more."""

    @property
    def refused(self) -> bool:
        """Whether a replica refused it as a write: a defect of the classifier."""
        return self.reason.cause is Cause.REFUSED


class _Aside(Exception):  # noqa: N818 - never leaves this module
    """The member can't be this session now.

    :param until: when it may be tried again (monotonic seconds); 0 for in a while.
    """

    def __init__(self, until: float = 0.0) -> None:
        super().__init__()
        self.until = until


class _Late(Exception):  # noqa: N818 - never leaves this module
    """The replica did not catch up in time."""


class _Away(Exception):  # noqa: N818 - never leaves this module
    """Only the primary could say what a read must see, and it can't be asked."""


class Replicas:
    """The members of one virtual connection that are replicas, opened when first needed."""

    def __init__(
        self,
        cluster: Cluster,
        session: Session,
        primary: Member,
        options: Options,
        account: Account,
        has_primary: Callable[[], bool],
        ask: Ask,
    ) -> None:
        self.members: dict[str, Member] = {}
        self._cluster = cluster
        self._session = session
        self._primary = primary
        self._options = options
        self._account = account
        self.seen = Seen(session.origin)
        view = View(cluster.figures, cluster.dice.random)
        waits = options.on_lag == "wait"
        self.chooser = Chooser(cluster, session, self.seen, self.members, view, waits)
        self.wait_at_most(options.max_wait)
        self.take_policy(options.policy)
        self.refused_by: Member | None = None
        """The member whose error a read ended with."""
        self.scope: ScopePosition | None = None
        """What the scope must see that the connection is used in."""
        self.sharing: Sharing | None = None
        """Who else must see what the session must see, if it has a session id."""
        self._looked_in = 0
        """Of which of the cluster's primaries it was asked last if it has what is to be seen."""
        self._looked_at = 0.0
        """When that was (monotonic seconds)."""
        self.unsettled: Member | None = None
        """A member whose snapshot was ended, and that was not heard since."""
        self.was_abreast = False
        """Whether the replica of the last read had what was known of the primary before it."""
        self._hands: Hands = {
            **HANDS,
            Open: weakly(self._open),
            WaitAside: weakly(self._run_aside),
            HavePrimary: lambda _: has_primary(),
            AskAside: lambda _: ask_aside(cluster, account),
            AskPosition: lambda command: ask_position(
                command.member, ask if command.member is primary else None
            ),
        }

    def wait_at_most(self, seconds: float) -> None:
        """Let a read wait so long for a replica: half of what its answer may take at most."""
        patience = self._primary.connection._read_timeout
        self.chooser.max_wait = min(seconds, patience / 2) if patience else seconds

    def take_policy(self, policy: Policy | None) -> None:
        """Choose by another policy from now on; None for the cluster's own."""
        self.chooser.policy = policy
        if policy is not None:
            self._cluster.note_policy(policy)

    def ready_member(self, shows_data: bool) -> Member | None:
        """Return the member whose turn it is, if it is there and is the same session already."""
        cluster, chooser = self._cluster, self.chooser
        cluster.used = True
        usable = cluster.candidates if not cluster.refresh_at else cluster.usable()
        if not usable or chooser.aside:
            return None
        if self.unsettled is not None:
            self.settle()
        turn = next(cluster.turns)
        member = self.members.get(
            (chooser.policy or cluster.policy)(usable, turn, chooser.view).name
        )
        if (
            shows_data
            and (at := self.seen.at) is not None
            and (member is None or member.name != at)
        ):
            if not (self.seen.tail or (self.seen.when and chooser.was_told())):
                # Only the replica of the last read is known to have what that one saw.
                member = self.members.get(at)
                if chooser.arrivals != cluster.arrivals:
                    member = None
                if member is not None and member.replica.endpoint not in usable:  # type: ignore[union-attr]
                    member = None
            elif member is not None and member.replica.tail != self.seen.tail:  # type: ignore[union-attr]
                member = None
        if member is None or member.version != self._session.version:
            chooser.turn = turn
            return None
        return member

    def read(
        self,
        route: Route,
        reading: Reading,
        failed: tuple[Member, err.MySQLError] | None = None,
        since: float = 0.0,
    ) -> Served | Unserved:
        """Run a read on a replica that may serve it; see `reading`."""
        return perform(self.reading(route, reading, failed, since), self._hands)

    def reading(
        self,
        route: Route,
        reading: Reading,
        failed: tuple[Member, err.MySQLError] | None = None,
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
        patience = self._primary.connection._read_timeout
        deadline = Deadline(patience, sql, since, _limit(self._session))
        killed = reading.killed
        if failed is not None:
            member, error = failed
            if not lost(error):
                return (yield from self._refused(member, error, reading, 0.0, 1, deadline))
            killed = self._take_loss(member.name, error, deadline, killed)
        if self._must_ask(route):
            now = monotonic()
            awake = [each.endpoint for each in cluster.replicas if each.may_serve(now)]
            if not self.chooser.any_worth(awake, now):
                why = NOT_CAUGHT_UP if awake else self.chooser.none_usable(_ANY, (), now)
                return Unserved(why, 0.0, 0)
        retries = int(failed is not None)
        try:
            needed = yield from self._needed(route)
        except _Away:
            return Unserved(_AWAY, 0.0, retries)
        return (yield from self._try_each(route, needed, reading, retries, deadline, killed))

    def _try_each(  # noqa: PLR0915 - all that can become of one read, side by side
        self,
        route: Route,
        needed: Position | None,
        reading: Reading,
        retries: int,
        deadline: Deadline,
        killed: bool,
    ) -> Flow[Served | Unserved]:
        """Run a read on one replica after the other until one serves it."""
        chooser = self.chooser
        waited = 0.0
        tried: list[str] = []
        too_large: Reason | None = None
        while True:
            choice = chooser.choose(route, needed, tried, waited, monotonic())
            if isinstance(choice, Lacks):
                yield from self._find_out(choice)
                continue
            if isinstance(choice, Nobody):
                less = yield from self._less(route, needed, choice.why)
                if less is None:
                    return Unserved(too_large or choice.why, waited, retries, killed=killed)
                route, needed = less
                continue
            replica, wait = choice
            name = replica.endpoint.name
            start = monotonic() if wait else 0.0
            fresh = name not in self.members
            others = len(self._cluster.candidates) - len(tried) - 1
            if fresh and others > 0 and not replica.has_room(monotonic()):
                tried.append(name)
                continue
            try:
                used = (yield from Open(replica)) if fresh else self.members[name]
                if reading.sql is not None and len(reading.sql) >= used.connection.max_packet:
                    too_large = _too_large(name)
                    tried.append(name)
                    continue
                # A fresh member has told where it is: the wait may not be needed.
                waits = bool(wait) and not (fresh and self.chooser.serves(replica, needed, route))
                left = deadline.left() if retries else None
                if waits:
                    wanted = self._wanted(route, needed)
                    waited += yield from self._run_after_wait(used, wanted, wait, reading, left)
                else:
                    yield from self._run_after(used, [], reading, left, timed=True)
            except _Late:
                waited += monotonic() - start
                if wait > LOOK_SECONDS:
                    replica.timed_out(monotonic())
                    needed = yield from self._let_go(needed)
                else:
                    replica.looked_in_vain(monotonic())
                tried.append(name)
            except _Aside as aside:
                chooser.aside[name] = aside.until or monotonic() + _ASIDE_SECONDS
                tried.append(name)
            except err.MySQLError as error:
                if not lost(error):
                    return (
                        yield from self._refused(used, error, reading, waited, retries, deadline)
                    )
                killed = self._take_loss(name, error, deadline, killed)
                # An old connection may have been closed for idling: a fresh one tells.
                if fresh:
                    tried.append(name)
            else:
                changed = self.changed_session(used, reading.sql or b"")
                if changed is not None:
                    return (
                        yield from self._refused(used, changed, reading, waited, retries, deadline)
                    )
                told = _learn(self._cluster, replica, used)
                if route.shows_data and route.consistency != "eventual":
                    self.saw(used, told and not reading.begin)
                return Served(used, route.reason, waited, retries)
            retries += 1

    def _refused(
        self,
        member: Member,
        error: err.MySQLError,
        reading: Reading,
        waited: float,
        retries: int,
        deadline: Deadline,
    ) -> Flow[Unserved]:
        """Take in an error that is not of the connection; raises what the application is to get."""
        self.refused_by = member
        if reading.begin:
            yield from self.ending(member)
        name, code, text = member.name, error.args[0] if error.args else 0, str(error.args[-1:])
        if code == NET_PACKET_TOO_LARGE:
            self._lost(name)
        left = deadline.left()
        match meaning(code, text, deadline.own() is not None):
            case Meaning.REFUSED:
                text = f"{name} refused it: {error.args[-1]}"
                return Unserved(Reason(text, Cause.REFUSED), waited, retries)
            case Meaning.ASK_PRIMARY if left is None or left > 0:
                text = f"{name} answered with error {code}, and the primary's answer counts"
                reason = Reason(text, Cause.REPLICA_ERROR)
                # Its frames would hold who holds it, and so the connection.
                bare = error.with_traceback(None)
                return Unserved(reason, waited, retries, error=bare)
        raise error

    def _take_loss(
        self, name: str, error: err.MySQLError, deadline: Deadline, killed: bool
    ) -> bool:
        """Take in that a member was lost with a read that may be repeated.

        Returns whether a KILL has ended it, now or before; a second one ends the read for good.
        """
        self._lost(name)
        deadline.check(name, error)
        kill = was_killed(error.args[0] if error.args else 0)
        if kill and killed:
            raise _over(name, error) from error
        return kill or killed

    def read_on(self, member: Member, route: Route, reading: Reading) -> Served | Unserved:
        """Run a read in the snapshot that is open on a member; see `reading_on`."""
        return perform(self.reading_on(member, route, reading), self._hands)

    def reading_on(self, member: Member, route: Route, reading: Reading) -> Flow[Served | Unserved]:
        """Run a read in the snapshot that is open on a member, or not at all.

        Where a snapshot shows what was committed since it was opened (READ COMMITTED), it must show
        what the session must see by now.
        """
        replica = member.replica
        assert replica is not None
        waited, max_wait = 0.0, self.chooser.max_wait
        try:
            needed = (yield from self._needed(route)) if route.sees_commits else None
        except _Away:
            return Unserved(_AWAY, 0.0, 0)
        late = needed is not None and not self.chooser.has(replica, needed)
        sql = reading.sql or b""
        limits = (self._primary.connection.max_packet, member.connection.max_packet)
        if len(sql) >= min(limits):
            return Unserved(_too_large(member.name), 0.0, 0)
        deadline = Deadline(self._primary.connection._read_timeout, sql, 0.0, _limit(self._session))
        try:
            if not late:
                yield from self._run_after(member, [], reading, timed=True)
            else:
                waited = yield from self._run_after_wait(member, needed, max_wait, reading)
        except _Late:
            return Unserved(NOT_CAUGHT_UP, max_wait, 1)
        except _Aside:
            return Unserved(_not_taken(member.name), 0.0, 1)
        except err.MySQLError as error:
            if not lost(error):
                return (yield from self._refused(member, error, reading, 0.0, 1, deadline))
            killed = self._take_loss(member.name, error, deadline, reading.killed)
            return Unserved(
                Reason(f"{member.name} was lost", Cause.SNAPSHOT), 0.0, 1, killed=killed
            )
        changed = self.changed_session(member, sql)
        if changed is not None:
            return (yield from self._refused(member, changed, reading, waited, 1, deadline))
        _learn(self._cluster, replica, member)
        if route.shows_data and route.consistency != "eventual":
            # The snapshot's own end tells.
            self.saw(member, told=False)
        return Served(member, route.reason, waited, 0)

    def _wanted(self, route: Route, needed: Position | None) -> Position:
        """Return all that a replica is to wait for before it serves a read."""
        wanted = needed if needed is not None else self._session.origin
        if route.shows_data and route.consistency != "eventual":
            wanted = wanted | self.seen.known()
        return wanted

    def known_of_primary(self) -> Position | None:
        """Return all that this process knows the primary to have; see `knowing_of_primary`."""
        return perform(self.knowing_of_primary(), self._hands)

    def knowing_of_primary(self) -> Flow[Position | None]:
        """Return all that this process knows the primary to have; None if that is in doubt.

        To be asked before a read: see `Reading.known`.
        """
        cluster, session = self._cluster, self._session
        heard = cluster.process.look(cluster.last_seen)
        if heard.doubt:
            # Something may have been committed that nobody reported.
            try:
                now = yield from self._ask_primary()
            except _Away:
                return None
            cluster.note_sample(now)
            cluster.process.settle(heard.doubt, now)
        seen = cluster.last_seen()
        known = heard.position | session.base | session.position
        return known if seen is None else known | seen

    def end_snapshot(self, member: Member) -> None:
        """End the transaction that is open on a member; see `ending`."""
        perform(self.ending(member), self._hands)

    def ending(self, member: Member) -> Flow[None]:
        """End the transaction that is open on a member; its reply is read when it is needed."""
        if self.members.get(member.name) is not member:
            return
        try:
            yield from Post(member, "COMMIT")
        except err.MySQLError:
            self._lost(member.name)
        else:
            self.unsettled = member

    def settle(self) -> None:
        """Read what a member said at the end of a snapshot; see `settling`."""
        if self.unsettled is not None:
            perform(self.settling(), self._hands)

    def settling(self) -> Flow[None]:
        """Read what a member said at the end of a snapshot: on MySQL, where it then was."""
        member, self.unsettled = self.unsettled, None
        if member is None or self.members.get(member.name) is not member:
            return
        try:
            yield from Settle(member)
        except err.MySQLError:
            self._lost(member.name)
            return
        replica = member.replica
        assert replica is not None
        if _learn(self._cluster, replica, member) and self.seen.at == member.name:
            self.seen.ended(replica.tail)

    def wait_for(self, position: Position, seconds: float) -> bool:
        """Wait until one replica has a position; see `waiting_for`."""
        return perform(self.waiting_for(position, seconds), self._hands)

    def waiting_for(self, position: Position, seconds: float) -> Flow[bool]:
        """Wait until one replica has a position, the closest first; False when time is over."""
        cluster = self._cluster
        until = monotonic() + seconds
        tried: list[str] = []
        yield from self.settling()
        while True:
            usable = self.chooser.narrow(cluster.usable(), tried, monotonic())
            if any(cluster.servers[end.name].has(position) for end in usable):
                return True
            left = until - monotonic()
            if not usable or left <= 0:
                return False
            replica = cluster.servers[closest(cluster.servers, usable)[0].name]
            try:
                (reply,) = yield from WaitAside(replica, [wait_sql(position, left)])
                _check_wait(reply)
            except (_Late, _Aside):
                tried.append(replica.endpoint.name)
            except err.MySQLError as error:
                if not lost(error):
                    raise
                tried.append(replica.endpoint.name)
            else:
                replica.note_position(position, monotonic())
                replica.caught_up()

    def _run_aside(self, command: WaitAside) -> list[Any]:
        """Run statements on a connection that the application does not see.

        A member may have rows that it has not read, or a snapshot that holds locks.
        """
        member = self._connect(command.replica)
        try:
            return member.connection.run_all(command.statements)
        finally:
            member.close(self._cluster.pool, self._shelf(member.name))

    # Choosing.

    def saw(self, member: Member, told: bool) -> None:
        """Note that a read ran on a replica: the next one must not see less.

        `told` is whether the read told all that it may have seen there.
        """
        replica = member.replica
        assert replica is not None
        self.seen.saw(member.name, replica.server, replica.tail if told else b"", monotonic())

    def take_seen(self) -> Sight:
        """Begin anew with what must not be seen less of; returns what it was before."""
        self.settle()
        return self.seen.take()

    def _must_ask(self, route: Route) -> bool:
        """Tell whether only the primary can say what a read must see."""
        if route.consistency == "eventual":
            return False
        return (
            route.consistency == "global"
            or (self.seen.on_primary and route.shows_data)
            or not self._session.position_known
        )

    def _needed(self, route: Route) -> Flow[Position | None]:
        """Return the position that a replica must have to serve a read of this level."""
        session = self._session
        needed: Position = session.origin
        if route.max_staleness is not None:
            samples, asked_at = self._cluster.topology.samples, monotonic()
            sample = samples.of_age(route.max_staleness, asked_at)
            if sample is None:
                now = yield from self._ask_primary()
                samples.note(now, asked_at)
                sample = samples.since(asked_at - route.max_staleness)
            needed = now if sample is None else sample
        if route.consistency == "eventual":
            return needed or None
        if self._must_ask(route):
            try:
                now = yield from self._ask_primary()
            except _Away:
                self._go_without(route)
                return (session.position | needed | self.seen.known()) or None
            self._cluster.note_sample(now)
            if not session.position_known:
                session.find_position(now)
            if route.consistency == "global":
                return session.position | now
            if self.seen.on_primary:
                self.seen.saw_all(now)
                self.seen.asked_late = True
        return (session.position | needed) or None

    def _ask_primary(self) -> Flow[Position]:
        """Ask the primary where it is; raises _Away if it can't be asked."""
        if (yield from HavePrimary()):
            if self._primary.connection.is_reading:
                # The application has not read all that is to come there, and need not now.
                with suppress(err.MySQLError):
                    return (yield from AskAside())
            try:
                return (yield from AskPosition(self._primary))
            except err.MySQLError as error:
                if not lost(error):
                    raise
                self._primary.connection.kill_socket()
                self._cluster.monitor.look_now()
        raise _Away

    def _go_without(self, route: Route) -> None:
        """Go on reading while the primary is away; raises _Away if that could be stale.

        What the session wrote is known, but for a statement whose answer was lost. What reads on
        the lost primary have seen is not: the best that there is are the replicas furthest ahead.
        """
        session = self._session
        known = session.position_known or session.position_unsure
        if route.consistency == "global" or not known:
            raise _Away
        if self.seen.on_primary:
            self._cluster.warn_once(
                "the primary %s is away: reads go on on replicas, which may not have all that "
                "reads on it have seen",
                self._primary.name,
            )
            self.seen.position = self.seen.position | self.chooser.furthest()

    def _let_go(self, needed: Position | None) -> Flow[Position | None]:
        """Let go of what the primary itself does not have: it was lost in a failover, or made up.

        Nobody would ever catch up with it. Asked for only after a whole wait was in vain, or where
        nobody waits, now and then.
        """
        cluster, session = self._cluster, self._session
        self._looked_at = monotonic()
        heard = cluster.process.look(cluster.last_seen).position
        scope = self.scope
        of_scope = None if scope is None else scope.look(cluster.last_seen).position
        wanted = session.position
        try:
            now = yield from self._ask_primary()
        except _Away:
            return needed
        self._looked_in = cluster.generation
        if now.covers(wanted):
            return needed
        if not now.covers(
            session.position
        ):  # it may have connected to another primary, and said so
            logger.warning(
                "the primary %s does not have %s, which this session must see: those transactions "
                "were lost, or the position was made up; the session lets go of them",
                self._primary.name,
                wanted,
            )
        session.let_go(now)
        cluster.process.let_go(heard, now)
        if scope is not None and of_scope is not None:
            scope.let_go(of_scope, now)
        if self.sharing is not None:
            self.sharing.let_go()
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
        if why is not NOT_CAUGHT_UP or monotonic() - self._looked_at < _LOOK_AGAIN_SECONDS:
            return None
        # What a server has told is there, until another is the primary.
        asked = self._session.asked or (self.scope is not None and self.scope.asked is not None)
        told = not asked and self.sharing is None
        if told and self._looked_in == self._cluster.generation:
            return None
        kept = yield from self._let_go(needed)
        return None if kept is needed else (route, kept)

    def _find_out(self, lacks: Lacks) -> Flow[None]:
        """Ask what a choice must know."""
        name = lacks.name
        if name is not None:
            member = self.members[name]
            member.asked = True
            try:
                position = yield from AskPosition(member)
                self._cluster.servers[name].note_position(position, monotonic())
            except err.MySQLError:
                self._lost(name)
            return
        at = self.seen.at
        assert at is not None
        try:
            have = yield from self._ask_primary()
        except _Away:
            have = self._cluster.servers[at].position or self._session.origin
        self.seen.leave(have)

    # Running.

    def _open(self, command: Open) -> Member:
        """Open the member that this session has there from now on."""
        name = command.replica.endpoint.name
        self.members.pop(name, None)
        self.members[name] = member = self._connect(command.replica)
        return member

    def _connect(self, replica: Server) -> Member:
        physical = self._primary.connection
        self._check_open()
        account = (
            physical.user,
            key_of(physical.password, "password"),
            getattr(physical, "ctx", None),
            self._session.schema,
        )
        refused_until = replica.refusals.until(account, monotonic())
        if refused_until:
            raise _Aside(refused_until)
        self._cluster.monitor.watch()
        replica.opening += 1
        try:
            member = open_replica(
                self._cluster,
                replica,
                self._account,
                self._session,
                self._primary,
                self._options.track_positions,
            )
        except err.MySQLError as error:
            code = error.args[0] if error.args else 0
            if code == BAD_DB:
                # A schema that the primary has is on its way here.
                raise _Aside from error
            if code == CON_COUNT:
                replica.note_full(monotonic())
                raise _Aside from error
            if refuses_account(code) or is_of_tls(error):
                raise self._refused_account(replica, account, error) from error
            if not (lost(error) or code in _NO_ENTRY):
                # It is of the session's state, or of the application's own keywords.
                self._cluster.warn_once(
                    "replica %s can't be as the primary: %s", replica.endpoint.name, words(error)
                )
                raise _Aside from error
            self._cluster.watch.rest(replica, words(error))
            raise Unreachable(2013, words(error)) from error
        except (RuntimeError, OSError, ValueError) as error:
            # A package is missing that the account's authentication needs here, or a file of it.
            raise self._refused_account(replica, account, error) from error
        finally:
            replica.opening -= 1
        replica.refusals.forget(account)
        try:
            self._check_open()
        except err.InterfaceError:
            member.drop(self._cluster.pool)
            raise
        _read_as(member.connection, self._primary.connection)
        member.connection.turn = self._primary.connection.turn
        return member

    def _check_open(self) -> None:
        """Raise the error of a connection that another thread has closed amid a statement."""
        if self._primary.connection._closed:
            raise err.InterfaceError(0, "")

    def _refused_account(self, replica: Server, account: Any, error: Exception) -> _Aside:
        """Note that a replica has not let in this account; others it may."""
        user = self._primary.connection.user
        self._cluster.warn_once(
            "replica %s refuses the account %r: %s; its reads run elsewhere, and it will be tried "
            "again",
            replica.endpoint.name,
            as_text(user),
            words(error),
        )
        return _Aside(replica.refusals.add(account, monotonic(), self._cluster.dice.random()))

    def _run_after_wait(
        self,
        member: Member,
        needed: Position | None,
        seconds: float,
        reading: Reading,
        limit: float | None = None,
    ) -> Flow[float]:
        """Wait for a position and run the statement behind it; returns the seconds waited."""
        assert needed is not None
        start = monotonic()
        wait = wait_sql(needed, seconds)
        if reading.unbuffered and reading.sql is not None:
            # A long result behind a wait that failed would have to be read and thrown away.
            yield from self._run_after(member, [wait], reading._replace(sql=None), limit)
            elapsed = monotonic() - start
            yield from self._run_after(member, [], reading._replace(begin=()), limit)
        else:
            elapsed = yield from self._run_after(member, [wait], reading, limit)
        replica = member.replica
        assert replica is not None
        replica.note_position(needed, monotonic())
        replica.caught_up()
        self.chooser.passed[member.name] = needed
        return elapsed

    def _run_after(
        self,
        member: Member,
        wait: list[str],
        reading: Reading,
        limit: float | None = None,
        timed: bool = False,
    ) -> Flow[float]:
        """Send the state's difference, the wait and the statement in one round trip.

        Returns how many seconds it took until the statement's own answer came.
        """
        start = monotonic()
        sql, unbuffered, prepared, begin, fingerprint, _, known = reading
        session = self._session
        replica = member.replica
        assert replica is not None
        prelude: list[str | bytes] = []
        if member.version != session.version:
            difference, confirm = session.difference(member.version)
            if confirm:
                yield from Exchange(member, difference, _check_state, limit=limit)
                member.version = session.version
            else:
                prelude += difference
        wanted = None if prepared is None else session.prepared[prepared]
        if prepared is not None and wanted and member.prepared.get(prepared) is not wanted:
            prelude.append(wanted.sql)
        before = [*prelude, *wait, *begin]
        asks = known is not None and not self.chooser.has(replica, known)
        if asks:
            before.append(ask_position_sql(member))
        if wait or asks:
            member.asked = True
        elapsed = 0.0

        def accept(replies: list[Any]) -> None:
            nonlocal elapsed
            elapsed = monotonic() - start
            _check_state(replies[: len(prelude)])
            member.version = session.version
            if prepared is not None and wanted is not None:
                member.prepared[prepared] = wanted
            if wait:
                _check_wait(replies[len(prelude)])
            _check_state(replies[len(prelude) + len(wait) :])
            self.was_abreast = known is not None
            if known is not None and asks:
                # Asked afterwards, it could have what the read did not see.
                position = told_position(member, replies[-1])
                self.was_abreast = position.covers(known)
                replica.note_position(position, monotonic())

        cluster = self._cluster
        measure = cluster.measure if cluster.measures else None
        exchange = Exchange(
            member, before, accept, sql, unbuffered, fingerprint, limit, measure, timed
        )
        if not begin:
            yield exchange
            return elapsed
        try:
            yield exchange
        except (_Aside, _Late, err.MySQLError):
            yield from self.ending(member)
            raise
        return elapsed

    def changed_session(self, member: Member, sql: bytes) -> err.OperationalError | None:
        """Return an error if the read that has just run there changed its session there.

        The third net under the classifier, as a server sees into views. The primary's session has
        to change, and the member is no more what the session is: it is dropped.
        """
        connection = member.connection
        tails, result = connection.tails, connection._result
        if not tails or result is None or result.unbuffered_active:
            return None
        if tails[-1] == member.replica.tail:  # type: ignore[union-attr]
            return None
        # What came before the read in the same round trip, the session's state, says so, too.
        tells = (result.server_status or 0) & SESSION_STATE_CHANGED
        if not tells or not changes_session(tails[-1]) or _SETS_FOR_ITSELF.search(sql):
            return None
        self._lost(member.name)
        return err.OperationalError(READ_ONLY_TRANSACTION, "it changes the session")

    def _lost(self, name: str) -> None:
        """Drop a member whose connection was lost.

        That is no reason to leave the replica alone: a KILL, a `read_timeout` or the statement
        itself may have done that. Whether it can be reached, a new connection tells.
        """
        member = self.members.pop(name, None)
        if member is not None:
            member.drop(self._cluster.pool)

    def encode_as(self, primary: PhysicalConnection) -> None:
        """Read and write text in the primary's character set from now on."""
        for member in self.members.values():
            connection = member.connection
            connection.charset = primary.charset
            connection.collation = primary.collation
            _read_as(connection, primary)

    def read_as(self, primary: PhysicalConnection) -> None:
        """Make of what comes from servers what the primary's connection makes of it."""
        for member in self.members.values():
            _read_as(member.connection, primary)

    def kill(self) -> None:
        """Close the sockets of all of them without a word."""
        for member in self.members.values():
            member.drop(self._cluster.pool)
        self.members.clear()

    def close(self) -> None:
        """Close all of them; their wires are kept for others with the same account."""
        for name, member in self.members.items():
            member.close(self._cluster.pool, self._shelf(name))
        self.members.clear()

    def _shelf(self, name: str) -> tuple[str, bool] | None:
        """Return where the pool is to keep a member's wire; None for one that it is not to keep."""
        session = self._session
        if name not in self._cluster.servers or session.leaves_traces:
            return None
        return "replica", session.had_schema


_SETS_FOR_ITSELF = re.compile(rb"\bset(_var\b|\s+statement\s)", re.IGNORECASE)
"""MySQL's hint and MariaDB's SET STATEMENT, which set variables for one statement."""
_NO_ENTRY = frozenset({HOST_IS_BLOCKED, HOST_NOT_PRIVILEGED})
"""It lets in nobody from here."""

_AWAY = Reason("only the primary could say what it must see, and it is away", Cause.PRIMARY_AWAY)
_ANY = Route(Destination.REPLICA, NOT_CAUGHT_UP)
"""A read that any replica might serve."""
_NO_GTIDS = Reason("the primary has no GTIDs to wait for", Cause.NO_GTIDS)
_NO_AGE = Reason("the primary has no GTIDs to tell a replica's age by", Cause.NO_GTIDS)


def _too_large(name: str) -> Reason:
    return Reason(f"it is larger than {name}'s max_allowed_packet", Cause.TOO_LARGE)


class Unreachable(err.OperationalError):  # type: ignore[misc]
    """A replica that could not be connected to; it is resting already."""


def _read_as(connection: PhysicalConnection, primary: PhysicalConnection) -> None:
    connection.decoders = primary.decoders
    connection.use_unicode = primary.use_unicode
    connection.encoding = primary.encoding


def _learn(cluster: Cluster, replica: Server, member: Member) -> bool:
    """Take in what a read told of its replica; False if it may have seen more than it told."""
    tails = member.connection.tails
    told = False
    if tails:
        told = replica.told(tails[-1], monotonic()) and replica.flavor == "mysql"
        tails.clear()
    if replica.rests_until:
        cluster.watch.note_served(replica)
    return told


def _limit(session: Session) -> float | None:
    """Return how many seconds the session lets a statement take; None for as long as it likes."""
    milliseconds, seconds = session.value("max_execution_time"), session.value("max_statement_time")
    try:
        return int(milliseconds or 0) / 1000 or float(seconds or 0) or None
    except ValueError:
        return None


def _over(name: str, error: err.MySQLError) -> err.OperationalError:
    """Return the error of a read whose connection was killed twice: somebody wants it to end."""
    return err.OperationalError(
        QUERY_INTERRUPTED,
        f"Query execution was interrupted: its connection to {name} was killed, as the one before "
        f"({error.args[-1]})",
    )


def _not_taken(name: str) -> Reason:
    return Reason(f"{name} did not take the session's state", Cause.REPLICA_ERROR)


def _check_state(replies: list[Any]) -> None:
    for reply in replies:
        if isinstance(reply, err.MySQLError):
            if reply.args[0] == QUERY_INTERRUPTED:
                raise reply
            raise _Aside from reply


def _check_wait(reply: Any) -> None:
    if isinstance(reply, err.MySQLError):
        if reply.args[0] == QUERY_INTERRUPTED:
            raise reply  # who ends the wait wants to end the read
        raise _Late from reply
    if reply.rows[0][0] not in (0, b"0", "0"):
        raise _Late
