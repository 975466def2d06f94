"""Virtual connections in the simulation: the real session, and an application that uses it."""

from __future__ import annotations

from collections.abc import Collection, Generator
from typing import TYPE_CHECKING, Any

from rwsplit._core.cause import Cause
from rwsplit._core.flows.choosing import QUICKER
from rwsplit._core.flows.journey import Journey
from rwsplit._core.flows.methods import Methods
from rwsplit._core.session.session import Session
from rwsplit._core.session.state import AUTOCOMMIT
from rwsplit._core.wire import Fault, Kind, UnknownOutcome

from .application import Application
from .beginning import beginning
from .broken import Broken
from .checks import Bounds, Promises
from .commands import Pause
from .connection import Connection, Hold, Member, Members
from .hands import Hands
from .plan import ClientPlan, Step
from .replies import Reply
from .roads import Roads
from .steps import STEPS

if TYPE_CHECKING:
    from .world import World

__all__ = ["Client"]

_LAST_READS = 8
_MOST_LAST_READS = 32
"""So many may go to the primary as that is quicker than a wait, and some more: see `Detours`."""
_GOLDEN = 2654435761

Doing = Generator[Any, Any, Any]


class Client:
    """One virtual connection, and what it does."""

    session: Session
    journey: Journey
    methods: Methods
    roads: Roads

    def __init__(self, world: World, number: int, plan: ClientPlan) -> None:
        self.world, self.number, self.plan = world, number, plan
        connection = Connection(world.flavor, plan.timeout)
        self.primary = Member(connection, "", None)
        self.members = Members(world.cluster, self.primary)
        self.hold = Hold(connection)
        # A store in memory has no marks: others of the id do not hear of a lost answer.
        hears = plan.session_id is None or world.store is not None
        self.promises = Promises(world, world.shared_by(plan), hears)
        self.application = Application(plan.autocommit)
        self.turn = number
        """Who chooses, and for which statement."""
        self.sent = 0
        """How often something was sent to the primary for this statement."""
        self.is_away = False
        """The primary was away when this statement wanted it, or might have."""
        self.last_read = "", 0
        """The replica that served the last read, and how often that had stopped."""
        self.was_untold = False
        """Only that one was known to have what it showed, when this statement began."""
        self._statements = 0
        self._primaries_before = 0
        """How many primaries there were before the one with which this statement began."""
        self.hands = Hands(self)

    def __repr__(self) -> str:
        return f"client {self.number}"

    # What it does.

    def run(self) -> Doing:
        """Do all that is planned; then read, once nothing goes wrong any more."""
        yield from Pause(0.01 * self.number)
        yield from beginning(self)
        for step in self.plan.steps:
            if step.pause:
                yield from Pause(step.pause)
            yield from self._take(step)
        self.world.note_done()
        while not self.world.is_calm:
            yield from Pause(0.25)
        yield from self._finishing()

    def _take(self, step: Step) -> Doing:
        if self._is_bound:
            yield from self._connecting_again()
        return (yield from STEPS[step.do](self, step))

    @property
    def _is_bound(self) -> bool:
        """Whether the connection was lost with what can't be had on another."""
        return not self.primary.connection.open and bool(self.session.state.bound)

    def _connecting_again(self) -> Doing:
        """Connect again, as the connection told the application to do."""
        session, sharing = self.session, self.session.identity.sharing
        session.take_snapshot()
        for member in self.members.values():
            member.connection.kill()
        self.members.clear()
        if sharing is not None and sharing.is_open:
            # Nobody knows what became of it, so the mark stays.
            self.world.marks_stay = True
        self.application = Application(self.plan.autocommit)
        self.promises.begin_again()
        yield from beginning(self, session)

    def _finishing(self) -> Doing:
        """End what is open, write, and read: everything is well now."""
        for _ in range(3):
            for does, how in (("rollback", ""), ("autocommit", "1"), ("rollback", "")):
                yield from self._take(Step(0.0, does, how))
            if self.application.transaction is None and self.application.autocommit:
                break
        else:
            raise Broken("progress", f"{self!r} can't end its transaction, though all is well")
        before = self.promises.wrote
        yield from self._take(Step(0.0, "write"))
        if self.promises.wrote == before:
            raise Broken("progress", f"{self!r} can't write, though all is well")
        served = False
        for number in range(_MOST_LAST_READS):
            yield from Pause(0.06)
            reply = yield from self._take(Step(0.0, "read", self.plan.level))
            served = reply is not None and self._is_served(reply)
            is_detour = reply is not None and reply.route.reason == QUICKER
            if number >= _LAST_READS - 1 and (served or not is_detour):
                break
        if not served:
            raise Broken("progress", f"no replica serves {self!r}, though all of them are well")

    def _is_served(self, reply: Reply) -> bool:
        """Tell whether a read was served as it may be, now that all is well."""
        cause = reply.route.cause
        # What a replica has refused once it is not asked again.
        return (
            reply.route.role == "replica"
            or cause is Cause.REFUSED
            or (cause is Cause.STORE and self.world.marks_stay)
        )

    # How.

    def run_sql(
        self, sql: str, commits: Collection[int] | None = None, unbuffered: bool = False
    ) -> Generator[Any, Any, Reply | Fault]:
        """Run a statement; see `do`."""
        return (yield from self.do(sql, self.roads.run(sql, unbuffered), commits))

    def call(
        self, what: str, flow: Doing, commits: Collection[int] | None = None
    ) -> Generator[Any, Any, Any]:
        """Have done what has a method of its own; see `do`."""
        self.session.stir()  # as the shell does for whatever is no statement
        return (yield from self.do(what, flow, commits))

    def do(
        self, what: str, flow: Doing, commits: Collection[int] | None = None
    ) -> Generator[Any, Any, Any]:
        """Have something done; returns its answer, or its fault.

        :param commits: the writes that it commits, by their values; None for what commits nothing.
        """
        world, ledger = self.world, self.world.ledger
        self._statements += 1
        self.turn = world.cluster.turns.who = (self._statements + 7 * self.number) * _GOLDEN >> 5
        self.journey.reads.chooser.turn = None
        self.is_away, self.sent = False, 0
        self.was_untold = self.session.seen.is_untold
        self._primaries_before = len(world.primaries) - 1
        ledger.allow(commits or ())
        try:
            answer = yield from flow
        except UnknownOutcome as fault:
            # A read that was taken for a write once is one for good.
            may_commit = commits is not None or world.cluster.has_demoted
            if not (may_commit and self.sent):
                text = f"of {what!r}, which commits nothing, the outcome is said to be unknown"
                raise Broken("outcome", text) from fault
            self.promises.has_committed(ledger.bits_of(commits or ()), unsure=True)
            answer = fault
        except Fault as fault:
            ledger.forbid(commits or ())
            answer = fault
        else:
            self.promises.has_committed(ledger.acknowledge(commits or ()))
        if isinstance(answer, Fault):
            if answer.kind is Kind.READ_ONLY:
                raise Broken("refused", f"{what!r} was refused by a server that is no primary")
            self.application.autocommit = bool(self.primary.connection.server_status & AUTOCOMMIT)
            kind = type(answer).__name__
            world.note(self.number, what, kind, f"{answer.number} {answer.text}")
        elif not isinstance(answer, Reply):
            world.note(self.number, what, "", repr(answer))
        return answer

    def note_reply(self, what: str, reply: Reply) -> None:
        """Write down what a statement was answered with."""
        route = reply.route
        where = route.endpoint if route.role != "primary" else "primary"
        self.world.note(self.number, what, where, f"{route}: {reply.rows}", reply.saw or 0)

    def check(self, reply: Reply, bounds: Bounds, level: str) -> None:
        """Check what a read saw."""
        is_primary = reply.route.role == "primary"
        where = "primary" if is_primary else reply.route.endpoint
        if is_primary:
            if reply.server is not self.world.primary:
                since = self.world.primaries[self._primaries_before :]
                was_left = bounds.is_known and reply.server not in since
                if was_left and self.application.transaction is None:
                    raise Broken("demoted", f"{reply.server.name} is the primary no more")
                bounds = bounds._replace(is_known=False, own=0, lost=0)
        else:
            models, (before, life) = self.world.models, self.last_read
            self.last_read = where, models[where].life
            # Who has come back may have less.
            is_gone = before and not (self.world.serves(before) and models[before].life == life)
            if self.is_away and is_gone and self.was_untold:
                # Neither who was read from last nor the primary can say what that read saw, and it
                # did not tell.
                bounds = bounds._replace(read=0)
                self.promises.read = 0
        away = self.is_away and not is_primary
        self.promises.check(bounds, level, reply.saw or 0, where, away, not self.was_untold)
        self.application.check_state(reply)
