"""The straight roads, decided: which statements need nothing but themselves, and what they leave.

Five kinds of statements are most of what applications run: a read that any replica may answer, a
write that changes rows and no more, another statement that the primary runs as it is, the end of
its transaction by method, and a read in a snapshot that is in step. Whether one of them is that is
asked anew each time, of what is there: there is no flag that somebody must keep. No decision is a
flow, and none waits: the shell sends the statement in between. All else, and what goes wrong on
such a road, is for the journey, which gives the same answers: tests run both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..cause import Reason
from ..session.route import OPEN, Destination, Route, RouteTaken
from ..session.session import Session
from ..session.state import AUTOCOMMIT, IN_TRANSACTION
from ..session.transaction import Step
from ..sql.fingerprint import Fingerprint
from ..sql.statement import Kind, Statement
from ..tracking import only_gtid
from ..wire import Fault, Member
from .answer import Answer, Underway
from .command import Flow
from .journey import Journey
from .moving import why_not_in
from .reading import Read, Served, Unserved, goes_along

__all__ = ["InSnapshot", "Straight"]

_READ, _WRITE = Kind.READ, Kind.WRITE
_REPLICA = Destination.REPLICA


class InSnapshot(NamedTuple):
    """A read in a snapshot that is claimed for it; whoever has it ends with `release`."""

    snapshot: Any
    underway: Underway
    decision: Route
    read: Read
    compares: bool
    fingerprint: Fingerprint | None
    began: float


class Straight:
    """What may go straight, for one session."""

    def __init__(self, session: Session, journey: Journey) -> None:
        self._session = session
        self._journey = journey
        self._reads = journey.reads
        self._members = session.members
        self._cluster = session.cluster
        self._reads_tell = session.state.traits.reads_tell
        self._unopened: Any = None

    def statement(self, sql: Any, template: tuple[Any, str] | None) -> Statement | None:
        """Return what a text is; None if something must be seen to before it is looked at."""
        session = self._session
        connection = session.primary.connection
        if (
            session.block() is not session.identity.context
            or self._cluster.rules
            or not connection.open
        ):
            return None
        if not (session.calm or session.steady) and (
            session.owed.pending
            or session.state.unread
            or session.asked is not None
            or session.only_reads
        ):
            return None
        counts = template is not None and connection.escapes_plainly
        return session.language.statement(sql, template if counts else None)

    # A read that any replica may answer.

    def reader(self, statement: Statement) -> Member | None:
        """Return the member whose turn it is to answer a free read, if it can as it is."""
        session, identity = self._session, self._session.identity
        if not (session.calm or session.take_free()) or (
            identity.process.latest is not identity.heard and session.must_see
        ):
            return None
        cluster, reads = self._cluster, self._reads
        chooser = reads.chooser
        cluster.used = True
        if chooser.aside or reads.unsettled is not None:
            return None
        usable = cluster.candidates if not cluster.refresh_at else cluster.usable()
        if not usable:
            return None
        turn = next(cluster.turns)
        members, seen = self._members, session.seen
        name = (chooser.policy or cluster.policy)(usable, turn, chooser.view).name
        member: Member | None = members.get(name)
        at = seen.at
        if at is not None and session.must_see and (statement.tables or statement.verb != "SELECT"):
            is_there = member is not None and member.name == at
            if not (seen.tail or (seen.when and chooser.was_told())):
                # Only the replica of the last read is known to have what that one saw.
                if not is_there:
                    member = members.get(at)
                if member is not seen.by:
                    member = None
                if chooser.arrivals != cluster.arrivals:
                    member = None  # as another has come, who stayed here may choose again
                if seen.stayed >= seen.due and len(usable) > 1:
                    member = None  # it is another's turn
                if member is not None and member.replica.endpoint not in usable:
                    member = None
            elif member is not None and not is_there:
                tail = member.replica.tail
                if tail != seen.tail and not seen.is_within(tail):
                    member = None
        if member is None or member.version != session.state.version:
            chooser.keep_turn(turn)
            if member is None and at is None:
                self._unopened = cluster.servers.get(name)
            return None
        return member

    def unopened(self, sql: bytes) -> Any:
        """Return the replica that `reader` has just found no member on; None where that is not why.

        The member may be opened with the read itself.
        """
        replica, self._unopened = self._unopened, None
        return replica if replica is not None and goes_along(sql) else None

    def read(
        self, member: Member, statement: Statement, sql: bytes, result: Any, sent_at: float
    ) -> Any:
        """Take in that a free read was answered; returns its route, or the fault that it is.

        `sent_at` is from before it was sent.
        """
        session = self._session
        tails = member.connection.tails
        tail, seen_when = b"", 0.0
        if tails:
            replica = member.replica
            tail = tails[-1]
            if result.unbuffered_active:
                # Its own end is still to come: this is what an earlier stream has told.
                tail, seen_when = b"", session.clock()
                replica.told(tails[-1], 0.0, seen_when)
            elif tail != replica.tail or replica.advances:
                changed = self._reads.changed_session(member, sql)
                if changed is not None:
                    return changed
                now = session.clock()
                if not replica.told(tail, sent_at, now):
                    tail, seen_when = b"", now
            tails.clear()
        elif self._reads_tell:
            seen_when = session.clock()  # it may be told later: the end of a stream does so
        if member.replica.rests_until:
            self._cluster.note_served(member.replica)
        if session.must_see and (statement.tables or statement.verb != "SELECT"):
            session.seen.saw_freely(member.name, member.replica, tail, seen_when, member)
        session.followed.note_read(member, statement, result)
        return member.known_routes.get(statement.reason) or member.taken(statement.reason)

    def reading_on(
        self, underway: Underway, failed: tuple[Member, Fault] | None, since: float
    ) -> Any:
        """Let the journey go on with a free read that was not answered: a flow."""
        return self._journey.reading_on(underway, failed, since)

    # A write that changes rows alone, and is its transaction's or one of its own.

    def writes(self, statement: Statement) -> bool:
        """Tell whether the primary runs a usual write as it is."""
        session = self._session
        if not (session.steady or session.take_steady()) or self._journey.holding.lacks_primary():
            return False
        if session.transacts and session.state.status & IN_TRANSACTION:
            session.transaction.note_on_primary(statement)
        return True

    def opens(self, statement: Statement) -> list[bytes] | None:
        """Return the BEGIN that a usual write takes along, where nothing else comes before it."""
        session = self._session
        state, transaction = session.state, session.transaction
        if (
            not transaction.is_begun_alone
            or transaction.is_read_only(state)
            or not session.transacts
            or state.status & IN_TRANSACTION
            or session.snapshot is not None
            or transaction.lost
            or transaction.may_be_over
            or not session.identity.is_free
            or not (session.identity.sharing is None or state.position_known)
            or not session.owed.nothing
            or session.asked is not None
            or session.only_reads
            or state.next_transaction
            or state.unread
            or state.is_unsettled
            or self._journey.holding.lacks_primary()
        ):
            return None
        before = [transaction.begin]
        transaction.forget_replica()
        session.owed.send_first(before)
        transaction.note_on_primary(statement)
        return before

    def wrote(self, statement: Statement, result: Any, before: int) -> RouteTaken | None:
        """Take in that it has run, and return its route.

        `before` is the server status that it ran under. None where the server told of more than
        rows and a GTID, or less: then `ran` takes it in.
        """
        session = self._session
        state, primary = session.state, session.primary
        connection = primary.connection
        tails, status = connection.tails, connection.server_status
        gtid = b""
        for tail in tails:
            told = only_gtid(tail, status & IN_TRANSACTION)
            if told is None or gtid:
                return None  # two commits are read at length
            gtid = told
        sharing = session.identity.sharing
        if (
            (status ^ before) & (IN_TRANSACTION | AUTOCOMMIT)
            or result.field_count
            or result.has_next
            or not (gtid or (status & IN_TRANSACTION and result.affected_rows))
            or not connection.tells
            or (sharing is not None and not state.position_known)
        ):
            return None
        tails.clear()
        if session.owed.unsent:
            session.owed.sent()
            session.followed.note_sent()
        state.note_write(status, gtid)
        session.followed.note_write(primary, statement, result.warning_count)
        if sharing is not None:
            self._journey.publishing.publish_here()
        route: RouteTaken = primary.taken(statement.reason)
        return route

    # The beginning of a transaction, which the primary is told of with its first statement.

    def begins(self, statement: Statement, sql: bytes, quiet: bool) -> Answer | None:
        """Begin a transaction; None where there is more to it."""
        session, journey = self._session, self._journey
        state, transaction = session.state, session.transaction
        if not (
            session.transacts
            and session.snapshot is None
            and not session.in_transaction
            and not session.owed.unsent
            and not session.owed.foreign
            and not state.unread
            and not state.is_unsettled
            and statement.kind is Kind.TRANSACTION
            and not (statement.hint or statement.foreign_hints or statement.bad_hint)
            and not statement.controls
            and not transaction.leaves_its_level(statement, state)
            and journey.joining.is_prepared()
            and transaction.step(statement, state, "") is Step.BEGIN
        ):
            return None
        journey.moving.end_here()
        transaction.begun(statement, sql, state)
        return journey.moving.skip(statement, Step.BEGIN, quiet)

    # A statement that the primary runs as it is.

    def on_primary(self, underway: Underway) -> Reason | None:
        """Return why a statement runs on the primary as it is; None if there is more to it."""
        session, statement = self._session, underway.statement
        identity = session.identity
        state, transaction = session.state, session.transaction
        status = state.status
        in_open = status & IN_TRANSACTION and session.transacts
        reads_on = not in_open and statement.plain and session.seen.on_primary
        if not (
            (
                in_open
                or reads_on
                or (statement.kind is _WRITE and (status & AUTOCOMMIT or not session.transacts))
            )
            and not transaction.is_open
            and not transaction.lost
            and _is_simple(statement)
            and (identity.is_free or (in_open and not identity.needs_store))
            # What a stream has committed is known at its end: until then it is marked. And a mark
            # of what is in doubt already outlives the loss of its transaction.
            and (identity.sharing is None or (state.position_known and not underway.unbuffered))
            and session.owed.nothing
            and not session.followed.skipped
            and not state.is_unsettled
        ):
            return None
        if self._journey.holding.lacks_primary():
            return None
        if reads_on:
            return self._reads_on(underway)
        if not in_open:
            return statement.reason
        self._journey.moving.note_on_primary(statement)
        return OPEN if statement.kind is _READ else statement.reason

    def begins_on_primary(self, underway: Underway) -> Reason | None:
        """Return why a transaction begins with this plain read on the primary; None if not so.

        It usually writes: so nothing comes before it.
        """
        session, statement, moving = self._session, underway.statement, self._journey.moving
        state, transaction = session.state, session.transaction
        if (
            not session.transacts
            or state.status & (IN_TRANSACTION | AUTOCOMMIT)
            or transaction.is_open
            or not moving.may_begin_there(underway)
            or transaction.lost
            or transaction.may_be_over
            or session.identity.sharing is not None
            or not _is_simple(statement)
            or not session.owed.nothing
            or not session.terms.splits
            or session.terms.primary_share
            or state.is_unsettled
            or state.doubts(statement)
            or self._journey.holding.lacks_primary()
        ):
            return None
        decision = session.route(statement, in_snapshot=True)
        if (
            decision.destination is not _REPLICA
            or not decision.shows_data
            or transaction.step(statement, state, "") is not Step.READ
        ):
            return None
        why = moving.why_primary(underway, transaction.is_read_only(state))
        if why is not None:
            moving.note_on_primary(statement)
        return why

    def _reads_on(self, underway: Underway) -> Reason | None:
        """Return why a read runs on the primary as those before it; None where that is not sure."""
        session, statement = self._session, underway.statement
        state, reads = session.state, self._reads
        if (
            not (session.may_be_free and session.must_see and session.reads_alone)
            or session.identity.process is not self._cluster.process
            or self._cluster.process.doubts
            or not state.position_known
            or state.doubts(statement)
            or session.asked is not None
            or reads.unsettled is not None
            or len(underway.sql) >= session.primary.connection.max_packet
        ):
            return None
        decision = session.route(statement)
        return reads.why_there(decision) if decision.destination is _REPLICA else None

    def ran(self, statement: Statement, sql: bytes, reason: Reason, status: int) -> Answer:
        """Take in that it has run there; `status` is the server's before it."""
        writing, primary = self._journey.writing, self._session.primary
        result = primary.connection.result
        writing.ran(statement, sql, result, status)
        return writing.finish(primary, statement, reason, result)

    def settling(self, answer: Answer) -> Any:
        """Return what has to be asked behind it, as a flow; None for nothing."""
        result = answer.result
        return self._settling(bool(result.warning_count), not result.unbuffered_active)

    def _settling(self, warned: bool, is_whole: bool = True) -> Any:
        session, journey = self._session, self._journey
        settles = session.state.is_unsettled and is_whole
        if session.identity.sharing is not None and not journey.publishing.publish_here():
            return self._publishing(settles, warned)
        return journey.learning.settling(keep_warnings=warned) if settles else None

    def _publishing(self, settles: bool, warned: bool) -> Flow[None]:
        """Tell those who share the session id what has to be asked first."""
        yield from self._journey.publishing.publishing_late()
        if settles:
            yield from self._journey.learning.settling(keep_warnings=warned)

    def failing(self, underway: Underway, reason: Reason, fault: Fault) -> Any:
        """Let the journey go on with a statement that has failed there: a flow."""
        return self._journey.writing.on_primary(underway, reason, failed=fault)

    # The end of a transaction on the primary, by method.

    def ends(self) -> bool:
        """Tell whether the primary can end its transaction by a method that needs nothing else."""
        session, journey = self._session, self._journey
        identity = session.identity
        return (
            session.in_transaction
            and session.snapshot is None
            and identity.is_free
            and session.owed.nothing
            and not session.state.is_unsettled
            and journey.joining.is_prepared()
            and not journey.writing.asks_at_end()
            and not journey.holding.lacks_primary()
        )

    def ended(self, verb: str) -> Answer:
        """Take in that it was ended."""
        self._session.followed.note_sent()
        return self._journey.writing.method_ran(verb)

    def settling_end(self) -> Any:
        """Return what has to be asked behind it, as a flow; None for nothing."""
        return self._settling(bool(self._session.primary.connection.warnings))

    def not_ended(self, verb: str, fault: Fault, status: int) -> Flow[Answer]:
        """Let the journey go on with what could not be ended so; raises what has become of it."""
        session, journey = self._session, self._journey
        session.followed.note_sent()
        if session.identity.sharing is not None:
            yield from journey.publishing.beginning(session.language.statement(verb))
        return (yield from journey.writing.method_failed(verb, fault, status))

    # The end of a transaction that has only read, by method.

    def leaves(self, verb: str) -> Any:
        """Return the snapshot that ends now, claimed, and to be released; None if not so."""
        session, journey = self._session, self._journey
        snapshot, transaction, state = session.snapshot, session.transaction, session.state
        if (
            snapshot is None
            or not session.transacts
            or session.in_transaction
            or state.unread
            or not journey.joining.is_prepared()
            or self._members.get(snapshot.member.name) is not snapshot.member
            or transaction.step(session.language.statement(verb), state, "") is not Step.END
            or not snapshot.claim(waits=False)
        ):
            return None
        return session.take_snapshot()

    def left(self, verb: str, ended: Member | None, lost: bool, posted_at: float) -> Answer:
        """Take in that it has ended, on this member where it was open still.

        `posted_at` is from before its end was sent.
        """
        session, journey = self._session, self._journey
        if ended is not None:
            journey.reads.note_ended(ended, lost, posted_at)
        journey.moving.end_here()
        return journey.moving.skip(session.language.statement(verb), Step.END, quiet=True)

    # A read in a snapshot that is in step.

    def in_snapshot(self, underway: Underway) -> InSnapshot | None:
        """Claim the transaction's snapshot for a read that needs nothing but itself."""
        session, statement = self._session, underway.statement
        state, transaction, identity = session.state, session.transaction, session.identity
        snapshot = session.snapshot
        if (
            snapshot is None
            or not statement.plain
            or not session.transacts
            or state.status & IN_TRANSACTION
            or transaction.lost
            or state.is_unsettled
            or session.owed.foreign
            or identity.needs_store
            or (identity.process.latest is not identity.heard and session.must_see)
            or not (transaction.begin or not state.status & AUTOCOMMIT)
            or not session.terms.splits
            or session.terms.group is not None
            or state.isolation.startswith("READ-")
            or not transaction.view
        ):
            return None
        decision = session.route(statement, in_snapshot=True)
        if (
            decision.destination is not _REPLICA
            or not self._reads.is_in_step(snapshot.member, decision, underway.sql)
            or transaction.step(statement, state, "") is not Step.READ
            or not snapshot.claim(waits=False)
        ):
            return None
        if why_not_in(snapshot, decision, transaction.view) is not None:
            snapshot.release()
            return None
        compares, fingerprint = self._journey.moving.compared(underway)
        read = Read(underway.sql, underway.unbuffered, None, (), fingerprint)
        return InSnapshot(
            snapshot, underway, decision, read, compares, fingerprint, session.clock()
        )

    def took(self, reading: InSnapshot, fault: Fault | None) -> Answer | Unserved:
        """Take in what became of it; raises what the application is to get."""
        snapshot, underway, decision, read, compares, fingerprint, began = reading
        session, moving = self._session, self._journey.moving
        had_read = session.transaction.has_read
        try:
            if fault is not None:
                return self._reads.failed_on(snapshot.member, fault, read, began)
            served = self._reads.served_on(snapshot.member, decision, read, 0.0, began)
            if not isinstance(served, Served):
                return served
        except Fault as failed:
            moving.note_failed(underway.statement, failed)
            raise
        finally:
            snapshot.note_used(session.clock())
            session.followed.check_count()
        return moving.take(underway, decision, served, fingerprint, compares, had_read)

    def leaving(self, underway: Underway, unserved: Unserved) -> Any:
        """Let the journey go on with a read that the snapshot did not serve: a flow."""
        return self._journey.moving.leaving(underway, unserved)


def _is_simple(statement: Statement) -> bool:
    """Tell whether a statement needs nothing before it or behind it on the primary."""
    return (
        (statement.kind is _WRITE or statement.kind is _READ)
        and statement.transaction is None
        and not (
            statement.functions
            or statement.controls
            or statement.hint is not None
            or statement.foreign_hints
            or statement.bad_hint is not None
            or statement.depends
            or statement.locks
            or statement.releases
            or statement.system_variables_written
            or statement.parts
            or statement.verb in ("EXECUTE", "KILL")
        )
    )
