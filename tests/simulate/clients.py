"""Virtual connections in the simulation: rwsplit's own reads, and writes that come straight in.

What a connection does around its reads is done here as the shell does it, in few words.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from rwsplit._core.cause import Cause, Reason
from rwsplit._core.cluster.facts import PrimaryFacts
from rwsplit._core.figures import View
from rwsplit._core.flows.choosing import Chooser
from rwsplit._core.flows.command import HavePrimary
from rwsplit._core.flows.reading import Read, Reads, Served, Unserved
from rwsplit._core.position import empty
from rwsplit._core.route import Destination, Route
from rwsplit._core.session.seen import Seen
from rwsplit._core.session.state import State
from rwsplit._core.wire import Fault, Kind

from .checks import Bounds, Broken, Promises
from .hands import Connection, Hands, Member, Pause, ReadThere, Write
from .plan import ClientPlan, Step
from .wire import READ_COMMITTED, Reply

if TYPE_CHECKING:
    from .world import World

__all__ = ["Client", "Members"]

SQL = b"SELECT 1 FROM t"
_REASON = Reason("it reads", Cause.READ)
_MAX_WAIT = 0.1
_PRIMARY_WAIT = 3.0
_STALENESS = 0.5
_LAST_READS = 8
_NOTICED_SECONDS = 3.0
"""After which it is known that a replica has less than before."""

Doing = Generator[Any, Any, Any]


class Members(dict[str, Member]):
    """The members that are replicas, by name."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def lose(self, name: str) -> None:
        member = self.pop(name, None)
        if member is not None and member.connection.wire is not None:
            member.connection.wire.close()

    def lose_primary(self) -> None:
        wire = self._client.primary.connection.wire
        if wire is not None:
            wire.close()
        self._client.world.cluster.look_now()


class Client:
    """One virtual connection, and what it does."""

    def __init__(self, world: World, number: int, plan: ClientPlan) -> None:
        self.world, self.number, self.plan = world, number, plan
        cluster, clock = world.cluster, world.clock
        self.session = State(empty(world.flavor), None, cluster.process if plan.shares else None)
        self.primary = Member(Connection(world.flavor, plan.timeout), "", None)
        self.members = Members(self)
        self.seen = Seen(self.session.origin)
        view = View(cluster.figures, world.dice.random)
        told = cluster, self.session, self.seen, self.members, view, plan.waits
        self.chooser = Chooser(*told)
        self.chooser.max_wait = min(_MAX_WAIT, (plan.timeout or 10.0) / 2)
        self.reads = Reads(
            cluster, self.session, self.seen, self.chooser, self.members, self.primary, clock
        )
        self.promises = Promises(world, plan.shares)
        self.generation = -1
        self.committing = 0
        """The transaction that is being committed, as a bit; 0 for none."""
        self.served_last = 0
        """How many of the last reads a replica served."""
        self._heard: object = None
        self._away = False
        self._last = ""
        """The replica that served the last read."""
        self.hands = Hands(self)

    def __repr__(self) -> str:
        return f"client {self.number}"

    # What it does.

    def run(self) -> Doing:
        """Do all that is planned; then read, once nothing goes wrong any more."""
        yield from Pause(0.01 * self.number)
        yield from self._need_primary()
        for step in self.plan.steps:
            if step.pause:
                yield from Pause(step.pause)
            yield from getattr(self, f"_{step.do}")(step)
        self.world.note_done()
        while not self.world.is_calm:
            yield from Pause(0.25)
        for _ in range(_LAST_READS):
            yield from Pause(0.06)
            served = yield from self._read_at(self.plan.level)
            self.served_last = self.served_last + 1 if served else 0
        if not self.served_last:
            raise Broken("progress", f"no replica serves {self!r}, though all of them are well")

    def _read(self, step: Step) -> Doing:
        level, staleness = step.how or self.plan.level, None
        if level == "stale":
            level, staleness = "eventual", _STALENESS
        yield from self._read_at(level, staleness)

    def _write(self, step: Step) -> Doing:
        session, promises = self.session, self.promises
        until = self.world.clock() + _PRIMARY_WAIT
        while (yield from self._need_primary(until)):
            self.primary.connection.is_reading = False
            self.committing = 0
            try:
                gtid = yield from Write(step.how)
            except Fault as fault:
                if fault.kind is Kind.READ_ONLY:
                    self.world.cluster.primary_is_read_only(self.generation)
                    self._close_primary()
                    yield from Pause(0.05)
                    continue
                if fault.is_lost:
                    session.lose_position(unsure=True)
                    self.members.lose_primary()
                else:
                    session.lose_position()
                promises.has_committed(self.committing, unsure=fault.is_lost)
                self._note("write failed", str(fault.number))
            else:
                session.has_committed(gtid)
                promises.has_committed(self.committing)
                self._note("write", gtid)
            return

    def _set(self, step: Step) -> Doing:
        value = str(self.world.dice.randrange(1000))
        self.session.set_user_variable("v", value)
        self.promises.state = {"v": value}
        yield from Pause(0.0)

    def _stream(self, step: Step) -> Doing:
        """Read on the primary, and leave rows there for later."""
        yield from self._read_there(self.plan.level, self.promises.bounds())
        self.primary.connection.is_reading = self.primary.connection.open

    def _wait(self, step: Step) -> Doing:
        position = self.session.base | self.session.position | self.seen.known()
        wanted = self.promises.wrote & ~self.world.lost
        self.session.ask_for(position)
        try:
            has_come = yield from self.reads.waiting_for(position, 0.2)
        except Fault as fault:
            self._note("error", str(fault.number))
            return
        self._note("waited", str(has_come))
        is_noticed = self.world.clock() > self.world.reset_at + _NOTICED_SECONDS
        if has_come and is_noticed and self.session.position_known:
            masks = [each.shown.mask for each in self.world.replicas]
            if all(wanted & ~mask for mask in masks):
                raise Broken("wait_for", "no replica has what was waited for")

    def _snapshot(self, step: Step) -> Doing:
        commits_show = step.how == "committed"
        level = self.plan.level
        begin = (*([READ_COMMITTED] if commits_show else []), "START TRANSACTION READ ONLY")
        served = yield from self._read_at(level, begin=begin, commits_show=commits_show)
        if served is None:
            return
        member = served.member
        first = member.connection.reply.saw
        for _ in range(step.size):
            yield from Pause(self.world.dice.expovariate(100))
            self._hear()
            # It was opened while its replica could serve.
            bounds, self._away = self.promises.bounds()._replace(lost=0), False
            route = self._route(level, None, commits_show)
            try:
                read = Read(SQL, known=(yield from self._known(commits_show)))
                again = yield from self.reads.reading_on(member, route, read)
            except Fault as fault:
                self._note("error", str(fault.number))
                break
            if isinstance(again, Unserved):
                yield from self._read_there(level, bounds)
                break
            saw, name = again.member.connection.reply.saw, again.member.name
            if commits_show:
                self._check(bounds, level, again.member, saw)
            else:
                self.promises.check_same(first, saw, name)
            self._note("snapshot", name, saw)
        yield from self.reads.ending(member)

    # Reading.

    def _read_at(
        self,
        level: str,
        staleness: float | None = None,
        begin: tuple[str, ...] = (),
        commits_show: bool = False,
    ) -> Generator[Any, Any, Served | None]:
        """Read; returns what became of it where a replica served it."""
        self._hear()
        bounds, self._away = self.promises.bounds(staleness), False
        route = self._route(level, staleness, commits_show)
        try:
            known = yield from self._known(commits_show and bool(begin))
            read = Read(SQL, begin=begin, known=known)
            served = yield from self.reads.reading(route, read)
        except Fault as fault:
            self._note("error", str(fault.number))
            return None
        if isinstance(served, Unserved):
            yield from self._read_there(level, bounds)
            return None
        reply: Reply = served.member.connection.reply
        self._check(bounds, level, served.member, reply.saw)
        self.promises.check_state(reply.state, served.member.name)
        self._note("read", served.member.name, reply.saw)
        return served

    def _known(self, wants: bool) -> Doing:
        return (yield from self.reads.knowing_of_primary()) if wants else None

    def _route(self, level: str, staleness: float | None, commits_show: bool) -> Route:
        return Route(
            *(Destination.REPLICA, _REASON, level),
            max_staleness=staleness,
            sees_commits=commits_show,
        )

    def _check(self, bounds: Bounds, level: str, member: Member, saw: int) -> None:
        before, self._last = self._last, member.name
        if self._away and before and not self.world.serves(before):
            # Neither who was read from last nor the primary can say what that read saw.
            bounds = bounds._replace(read=0)
            self.promises.read = 0
        self.promises.check(bounds, level, saw, member.name, self._away)

    def _read_there(self, level: str, bounds: Bounds) -> Doing:
        """Read on the primary, if there is one in time."""
        until = self.world.clock() + _PRIMARY_WAIT
        while (yield from self._need_primary(until)):
            self.primary.connection.is_reading = False
            try:
                reply = yield from ReadThere()
            except Fault as fault:
                if not fault.is_lost:
                    self._note("error", str(fault.number))
                    return
                self.members.lose_primary()
                continue
            self.seen.on_primary = True
            wire = self.primary.connection.wire
            if wire is None or wire.server is not self.world.primary:
                bounds = bounds._replace(is_known=False, own=0, lost=0)
            self.promises.check(bounds, level, reply.saw, "primary", away=False)
            self._note("read", "primary", reply.saw)
            return
        self._note("no primary", "")

    def _hear(self) -> None:
        """Take in what others of the process have committed; see the shell's `_hear`."""
        process = self.world.cluster.process
        if not self.plan.shares or process.latest is self._heard:
            return
        self._heard = process.latest
        position, doubt, unsure = process.look(self.world.cluster.last_seen)
        if doubt:
            self.session.hear_doubt(doubt, unsure)
        if not self.chooser.all_have(position):
            self.session.position = self.session.position | position

    # The primary.

    def _need_primary(self, until: float = float("inf")) -> Generator[Any, Any, bool]:
        while not (yield from HavePrimary()):
            if self.world.clock() >= until:
                return False
            yield from Pause(0.05)
        return True

    def _close_primary(self) -> None:
        wire = self.primary.connection.wire
        if wire is not None:
            wire.close()

    def take_primary(self, facts: PrimaryFacts, generation: int) -> None:
        """Take in what a new connection to the primary told; see the shell's `_reconnect`."""
        cluster, session, before = self.world.cluster, self.session, self.generation
        position = facts.position
        assert position is not None and facts.history is not None
        heard = cluster.process.look(cluster.last_seen).position
        self.generation = cluster.learn_primary(facts, generation)
        if before < 0:
            session.begin_at(position)
            self.promises.read |= self.world.mask_at(position)
            return
        if generation == before == self.generation:
            return
        if not facts.history.covers(session.position):
            session.let_go(position)
            if not facts.history.covers(session.position):
                session.position = position
        cluster.process.let_go(heard, position)

    def note_asked(self) -> None:
        """Note that the primary is asked where it is."""
        self.world.asked += 1

    def note_away(self) -> None:
        """Note that the primary could not be asked."""
        self._away = True

    def _note(self, what: str, where: str, saw: int = 0) -> None:
        self.world.note(self.number, what, where, saw)
