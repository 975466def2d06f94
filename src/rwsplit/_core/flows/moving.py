"""Transactions: their reads run on a replica until one of their statements needs the primary.

A transaction that has only read is in a snapshot on one replica. When it moves, its reads are
repeated on the primary and compared there: either all is as it read it, and it goes on, or it is
rolled back with error 1213 and can be run again.
"""

from __future__ import annotations

from typing import Any

from ..cause import Cause, Reason
from ..cluster.position import GtidSet
from ..flavors.positions import POSITION_SQL, READ_ONLY_SQL, told_position
from ..session.followed import FOUND_ROWS
from ..session.route import LEVELS, Destination, Route
from ..session.session import Session
from ..session.state import AUTOCOMMIT, IN_TRANSACTION
from ..session.transaction import (
    Moment,
    Step,
    begins_on_mariadb,
    is_compared,
    is_ordered,
    switches_on,
    takes_view,
)
from ..sql.fingerprint import Fingerprint
from ..sql.statement import Kind, Statement, because
from ..wire import Fault, raise_first
from .answer import EMPTY, Answer, Underway
from .asking import Asking
from .command import Ask, Claim, Flow, Repeat, WatchSnapshot
from .deciding import PRIMARYS_SHARE, Deciding
from .holding import Holding
from .joining import Joining
from .learning import Learning
from .reading import Read, Reads, Served, Unserved
from .recovering import Recovering, deadlock
from .writing import ROLLBACK, Writing

__all__ = ["Moving"]

_REPEATED = Statement(Kind.READ, because(Kind.READ, "repeated reads"))
_SNAPSHOT = Statement(Kind.READ, because(Kind.READ, "a snapshot"))
_LOST = Reason("the transaction's snapshot was lost with its replica", Cause.SNAPSHOT)
_RETRIES = Reason("the transaction before read what others then changed", Cause.HABIT)
_REPLICA = Destination.REPLICA
_SEEING_COMMITS = ("READ-COMMITTED", "READ-UNCOMMITTED")
_CONSISTENT = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
_SKIPPED = {
    Step.BEGIN: "goes with the first statement",
    Step.OPEN: "took a snapshot on a replica",
    Step.KEEP: "goes with the first statement that needs the primary",
    Step.END: "has nothing to end on the primary",
}


class Moving:
    """What runs a session's transactions."""

    def __init__(
        self,
        session: Session,
        holding: Holding,
        asking: Asking,
        learning: Learning,
        recovering: Recovering,
        joining: Joining,
        reads: Reads,
        deciding: Deciding,
        writing: Writing,
    ) -> None:
        self._session = session
        self._holding = holding
        self._asking = asking
        self._learning = learning
        self._recovering = recovering
        self._joining = joining
        self._reads = reads
        self._deciding = deciding
        self._writing = writing

    def transacting(self, underway: Underway) -> Flow[Answer | None]:
        """Run a statement as its transaction wants it; None leaves it to the usual way.

        Only for what comes while nothing is open on the primary.
        """
        session, statement = self._session, underway.statement
        state, transaction = session.state, session.transaction
        if statement.kind is Kind.FOLLOW_READ:
            return None
        decision = None
        bound: Reason | None = None
        if state.unread:
            yield from self._learning.reading_variables()
        if statement.kind is Kind.READ:
            decision = yield from self._deciding.deciding(underway, in_snapshot=True)
            if decision.destination is not _REPLICA:
                bound = decision.reason
        if transaction.leaves_its_level(statement, state):
            yield from self.ending_here()
            yield from self._recovering.having_primary()
            yield from self._running([b"COMMIT AND NO CHAIN NO RELEASE"])
        if not transaction.begin and switches_on(statement, underway.sql):
            yield from self.switching_autocommit(True)
            return None
        step = transaction.step(statement, state, bound or "")
        match step:
            case Step.READ:
                assert decision is not None
                return (yield from self._reading(underway, decision))
            case Step.MOVE:
                why = transaction.why_read_moves(statement, state)
                yield from self.moving()
                self.note_on_primary(statement)
                reason = bound or statement.reason
                if statement.kind is Kind.READ and not bound:
                    reason = why
                return (yield from self._writing.on_primary(underway, reason))
            case Step.BEGIN | Step.OPEN | Step.END:
                yield from self.ending_here()
                if step is not Step.END:
                    transaction.begun(statement, underway.sql, state)
                if step is Step.OPEN:
                    if not (yield from self._opening_now(underway)):
                        transaction.clear()
                        return None
                    transaction.note_moment(self._moment(), session.terms.level)
            case Step.CHAIN:
                begin = transaction.begin or b"START TRANSACTION"
                yield from self.ending_here()
                yield from self._recovering.having_primary()
                yield from self._running([begin])
                return None
            case Step.KEEP:
                transaction.keep(statement, underway.sql)
            case Step.USUAL:
                if (statement.transaction or "").startswith(("begin", "commit", "rollback")):
                    yield from self.ending_here()
                return None
            case Step.APART:
                return None
        return self.skip(statement, step, underway.quiet)

    def skip(self, statement: Statement, step: Step, quiet: bool) -> Answer:
        """Answer a statement that nobody needs to run."""
        route = self._session.skip(statement, _SKIPPED[step])
        return Answer(route, made=None if quiet else EMPTY)

    def note_on_primary(self, statement: Statement) -> None:
        """Note what a statement of the transaction means for those to come."""
        if statement.kind is Kind.READ:
            self._session.cluster.counts["reads in transactions on the primary"] += 1
        self._session.transaction.note_on_primary(statement)

    def _running(self, statements: list[bytes]) -> Flow[None]:
        """Run what the application did not say now, and what does not count."""
        replies = yield from self._on_primary(Ask(self._session.primary, statements))
        self._session.owed.sent()
        raise_first(replies)
        self._learning.learn()

    def _on_primary(self, command: Any) -> Flow[Any]:
        """Have something done on the primary that is of the transaction."""
        try:
            replies = yield from command
        except Fault as fault:
            lost = yield from self._recovering.losing(fault, _REPEATED, IN_TRANSACTION)
            raise lost from fault
        return replies

    # Reading.

    def _reading(self, underway: Underway, decision: Route) -> Flow[Answer]:
        """Run a read in the transaction's snapshot, or on the primary if that can't be."""
        session, statement, sql = self._session, underway.statement, underway.sql
        transaction, state = session.transaction, session.state
        if session.snapshot is None:
            why = self._why_not_split(underway)
            if why is None and session.terms.primary_share:
                why = yield from self._share_of_primary(underway)
            if not decision.shows_data:
                if why:
                    return (yield from self._writing.on_primary(underway, why))
                return (yield from self._writing.on_replica(underway, decision))
            why = why or self.why_primary(underway, transaction.is_read_only(state))
            if why:
                return (yield from self._reading_on_primary(underway, why))
        compares, fingerprint = self.compared(underway)
        sees_commits = state.isolation in _SEEING_COMMITS
        decision = decision._replace(sees_commits=sees_commits)
        known = None
        if sees_commits and compares:
            known = yield from self._reads.knowing_of_primary()
        read = Read(sql, underway.unbuffered, decision.prepared, (), fingerprint, known=known)
        try:
            if session.snapshot is None:
                begin = (*self._isolation(), "START TRANSACTION READ ONLY")
                served = yield from self._reads.reading(decision, read._replace(begin=begin))
            else:
                served = yield from self._reading_in_snapshot(session.snapshot, decision, read)
        except Fault as fault:
            self._writing.note_failed_elsewhere(statement, fault)
            raise
        finally:
            session.followed.check_count()
        if isinstance(served, Unserved):
            return (yield from self.leaving(underway, served))
        had_read = transaction.has_read
        if session.snapshot is None:
            session.open_snapshot((yield from WatchSnapshot(served.member)))
        return self.take(underway, decision, served, fingerprint, compares, had_read)

    def note_failed(self, statement: Statement, fault: Fault) -> None:
        """Note that a read in the snapshot has failed."""
        self._writing.note_failed_elsewhere(statement, fault)

    def compared(self, underway: Underway) -> tuple[bool, Fingerprint | None]:
        """Tell whether a read is compared when its transaction moves, and what its rows go into."""
        session, statement = self._session, underway.statement
        transaction = session.transaction
        compares = transaction.verifies and is_compared(statement, session.state)
        if compares and not (transaction.unverifiable or statement.volatile or statement.parts):
            return True, Fingerprint(is_ordered(underway.sql))
        return compares, None

    def leaving(self, underway: Underway, unserved: Unserved) -> Flow[Answer]:
        """Leave to the primary a read that the transaction's replica did not serve."""
        if unserved.refused:
            self._writing.note_refusal(underway, unserved)
        if unserved.error is not None:
            yield from self._raising_as_primary(underway)
        return (yield from self._reading_on_primary(underway, unserved.reason, unserved))

    def take(
        self,
        underway: Underway,
        decision: Route,
        served: Served,
        fingerprint: Fingerprint | None,
        compares: bool,
        had_read: bool,
    ) -> Answer:
        """Take in that a read of the transaction was served.

        `had_read` is whether one had begun it before.
        """
        session, statement, sql = self._session, underway.statement, underway.sql
        transaction, state = session.transaction, session.state
        read_only = transaction.is_read_only(state)
        if not transaction.reads_tables and begins_on_mariadb(statement, state):
            transaction.note_tables()
        # A server reads nothing for what can't have rows (`WHERE 1 = 0`; tried).
        if not transaction.view and served.result.affected_rows and takes_view(statement, state):
            transaction.note_view(decision.consistency)
        # Of one server, too, each statement would have seen what was committed since the last one.
        if compares and not (decision.sees_commits and self._reads.was_abreast):
            transaction.note_read(sql, fingerprint, read_only)
        elif transaction.has_read and not had_read:
            transaction.note_uncompared(sql, decision.sees_commits)
        return self._writing.served(statement, served)

    def _why_not_split(self, underway: Underway) -> Reason | None:
        """Tell why a read that begins a transaction is not for replicas, whatever it is."""
        return None if self._session.transaction.on_replica else self._session.terms.unsplit

    def _share_of_primary(self, underway: Underway) -> Flow[Reason | None]:
        """Tell whether a read that begins a transaction is one that the primary is to serve."""
        if self._session.transaction.on_replica:
            return None
        share = yield from self._deciding.primarys_share(underway)
        return PRIMARYS_SHARE if share else None

    def why_primary(self, underway: Underway, read_only: bool) -> Reason | None:
        """Tell why a transaction that begins with this read had better begin on the primary."""
        session = self._session
        transaction = session.transaction
        if transaction.on_replica:
            return _LOST
        if not transaction.verifies or read_only:
            return None
        if not transaction.digest:
            transaction.known_as(self._digest_of(underway))
        if transaction.take_retry():
            return _RETRIES
        why = session.cluster.habits.of(transaction.digest).why_primary()
        return Reason(why, Cause.HABIT) if why else None

    def may_begin_there(self, underway: Underway) -> bool:
        """Tell whether a transaction may have to begin so: if not, nobody need look further."""
        session = self._session
        return session.transaction.verifies and (
            session.transaction.retries_on_primary
            or bool(session.cluster.habits.of(self._digest_of(underway)).why_primary())
        )

    def _digest_of(self, underway: Underway) -> str:
        """Return what a transaction that begins with this read is known by."""
        if underway.digest:
            return underway.digest
        template = underway.template
        query = template[0] if template is not None else None
        known = self._session.language.classifier
        # A text without parameters has its values in it: only its digest is seen again.
        if isinstance(query, str) and "%" in query and known.template(query) is not None:
            return underway.know_as(known.known_as(query))
        return underway.know_as(known.digest(underway.sql))

    def _isolation(self) -> tuple[str, ...]:
        """Return what sets the isolation level of one snapshot, where that is not the session's."""
        state = self._session.state
        level = state.isolation
        if not state.next_transaction or not level:
            return ()
        return (f"SET TRANSACTION ISOLATION LEVEL {level.replace('-', ' ')}",)

    def _reading_in_snapshot(
        self, snapshot: Any, decision: Route, read: Read
    ) -> Flow[Served | Unserved]:
        view = self._session.transaction.view
        if decision.shows_data and not view:
            # What was run there until now has not fixed what this one sees.
            decision = decision._replace(sees_commits=True)
        yield from Claim(snapshot)
        try:
            why = why_not_in(snapshot, decision, view)
            if why is not None:
                return Unserved(why, 0.0, 0)
            return (yield from self._reads.reading_on(snapshot.member, decision, read))
        finally:
            snapshot.note_used(self._session.clock())
            snapshot.release()

    def _reading_on_primary(
        self, underway: Underway, reason: Reason, unserved: Unserved | None = None
    ) -> Flow[Answer]:
        yield from self.moving()
        self.note_on_primary(underway.statement)
        waited, retries = (unserved.waited, unserved.retries) if unserved else (0.0, 0)
        return (yield from self._writing.on_primary(underway, reason, waited, retries))

    def _raising_as_primary(self, underway: Underway) -> Flow[None]:
        """Raise what the primary says of a read that a replica answered with an error.

        An error there, too, leaves the transaction where it is. A read that the primary can
        answer moves it, and so does one whose ROLLBACK would end what the primary has for this
        transaction already: a savepoint, or what SET TRANSACTION said.
        """
        session = self._session
        transaction = session.transaction
        if session.snapshot is None or not transaction.repeats_reads:
            return
        if transaction.touched or session.state.next_transaction:
            return
        yield from self._recovering.having_primary()
        try:
            reply, _ = yield from Ask(session.primary, [underway.sql, ROLLBACK])
        except Fault as fault:
            statement = underway.statement
            lost = yield from self._recovering.losing(fault, statement, IN_TRANSACTION)
            raise lost from fault
        self._learning.learn()
        if isinstance(reply, Fault):
            self._writing.note_failed_elsewhere(underway.statement, reply)
            raise reply

    def _opening_now(self, underway: Underway) -> Flow[bool]:
        """Take a snapshot on a replica at once; False if none can."""
        session = self._session
        begins = Underway(_SNAPSHOT, b"", rule=underway.rule)
        if session.transaction.take_retry():
            return False
        if self._why_not_split(begins) or (yield from self._share_of_primary(begins)):
            return False
        level, bound = session.terms.level, session.terms.max_staleness
        decision = Route(_REPLICA, _SNAPSHOT.reason, level, max_staleness=bound)
        decision = yield from self._deciding.publishing.bounded(begins, decision)
        if decision.destination is not _REPLICA:
            return False
        asks = POSITION_SQL["replica"][session.primary.connection.flavor]
        begin = (*self._isolation(), asks, _CONSISTENT, asks)
        served = yield from self._reads.reading(decision, Read(None, begin=begin))
        if isinstance(served, Unserved):
            session.followed.check_count()
            return False
        served.member.note_asked()
        session.followed.check_count()
        session.open_snapshot((yield from WatchSnapshot(served.member)))
        return True

    def _moment(self) -> Moment | None:
        """Return what a snapshot just opened holds; None if something was applied meanwhile."""
        before, _, after = self._reads.began[-3:]
        if before.rows != after.rows:
            return None
        snapshot = self._session.snapshot
        assert snapshot is not None
        whole = told_position(self._session.primary.connection.flavor, before.rows[0][0])
        own = snapshot.member.replica.server
        if isinstance(whole, GtidSet) and own:
            return Moment(whole, whole.without(own))
        return Moment(whole, whole)

    # Moving and ending.

    def moving(self) -> Flow[None]:
        """Take the transaction to the primary.

        Raises error 1213 if the primary's rows are not those that the transaction has read; it is
        rolled back then, and can be tried again.
        """
        session = self._session
        transaction, state = session.transaction, session.state
        if session.snapshot is not None:
            yield from self._reads.ending_snapshot()
        if not transaction.is_open:
            return
        begin, repeatables = transaction.begin, transaction.repeatables
        if begin:
            transaction.doubt(False)  # BEGIN ends whatever there is
        savepoints = any(kept.answer is None for kept in repeatables)
        unverifiable = transaction.why_unverifiable()
        if self._holding.lacks_primary():
            yield from self._recovering.regaining()
        if transaction.verifies and unverifiable:
            moment = transaction.moment
            if moment is None or not (yield from self._at_moment(moment)):
                yield from self._refusing(f"{unverifiable} on a replica, and now needs the primary")
            if savepoints:
                transaction.note_savepoint()
            transaction.forget_replica()
            return
        if savepoints:
            transaction.note_savepoint()
        if transaction.on_replica and (savepoints or not transaction.repeats_reads):
            # The read that is not repeated had begun a transaction, and on MySQL its snapshot.
            begin = transaction.begin_as_read(state)
        if not transaction.repeats_reads:
            kept_first = [*([begin] if begin else []), *[kept.sql for kept in repeatables]]
            session.owed.send_first(kept_first)
        else:
            session.cluster.counts["moved transactions"] += 1
            yield from self._verifying([begin] if begin else [])
        transaction.forget_replica()

    def _at_moment(self, moment: Moment) -> Flow[bool]:
        """Begin on the primary what began at a moment on a replica; False if that has gone by."""
        session = self._session
        primary, transaction = session.primary, session.transaction
        if session.followed.source(FOUND_ROWS) is primary:
            yield from self._asking.answers([FOUND_ROWS])
        flavor = primary.connection.flavor
        # Asked afterwards: so it has all that the snapshot there has.
        sent: list[str | bytes] = [transaction.begin, POSITION_SQL["primary"][flavor]]
        sent += [kept.sql for kept in transaction.repeatables if kept.answer is None]
        replies = yield from self._on_primary(Ask(primary, sent))
        session.seen.read_on_primary()
        self._learning.learn()
        raise_first(replies)
        session.cluster.counts["moved transactions"] += 1
        now = told_position(flavor, replies[1].rows[0][0])
        # A primary that has less is another one: what was read was lost with the one before.
        if not (moment.whole.covers(now) and now.covers(moment.of_others)):
            return False
        if now.covers(moment.whole):
            return True
        # What the replica has made itself may be the next primary's, and this the one of before.
        replies = yield from self._on_primary(Ask(primary, [READ_ONLY_SQL]))
        raise_first(replies)
        return not int(replies[0].rows[0][0])

    def _verifying(self, begin: list[bytes]) -> Flow[None]:
        """Repeat the transaction's reads on the primary, and compare."""
        session = self._session
        primary, repeatables = session.primary, session.transaction.repeatables
        orders = [k.answer.ordered if k.answer else None for k in repeatables]
        if session.followed.source(FOUND_ROWS) is primary:
            yield from self._asking.answers([FOUND_ROWS])
        statements = [*begin, *[kept.sql for kept in repeatables]]
        replies = yield from self._on_primary(
            Repeat(primary, statements, [*[None] * len(begin), *orders])
        )
        session.seen.read_on_primary()
        self._learning.learn()
        answers = replies[len(begin) :]
        if begin and replies[0] is not None:
            raise replies[0]
        for kept, answer in zip(repeatables, answers, strict=True):
            if isinstance(answer, Fault):
                yield from self._refusing(
                    f"the primary answers with error {answer.number} to what it read"
                )
            if kept.answer is not None and not kept.answer.same_as(answer):
                yield from self._refusing(
                    "it read rows on a replica that are others on the primary by now"
                )

    def _refusing(self, why: str) -> Flow[None]:
        """Roll the transaction back on both sides and tell the application to try again."""
        session = self._session
        transaction, primary, cluster = session.transaction, session.primary, session.cluster
        cluster.counts["mismatched transactions"] += 1
        try:
            (reply,) = yield from Ask(primary, [ROLLBACK])
        except Fault:
            session.hold.drop()  # that rolls it back, too
            reply = None
        if isinstance(reply, Fault):
            raise reply
        if transaction.digest:
            cluster.habits.note(transaction.digest, wrote=True, mismatched=True)
        transaction.retry()
        self._learning.learn()
        session.followed.note_last(primary)
        raise deadlock(why)

    def ending_here(self) -> Flow[None]:
        """End a transaction that the primary knows nothing of."""
        if self._session.snapshot is not None:
            yield from self._reads.ending_snapshot()
        self.end_here()

    def end_here(self) -> None:
        """Note that it has ended; it has no snapshot."""
        self._writing.note_habit()
        self._session.transaction.clear()
        self._session.owed.sent()

    # A transaction that was lost.

    def end_lost(self, statement: Statement, quiet: bool = False) -> Answer | None:
        """End a transaction that was lost: only a ROLLBACK can, and it needs no server.

        None for one that does more than that. Raises the fault of an unusable connection for all
        else.
        """
        session = self._session
        does = statement.transaction or ""
        if does not in ("rollback", "rollback chain", "rollback release"):
            session.check_lost()
        session.transaction.note_rolled_back()
        completion = session.state.value("completion_type")
        if does != "rollback" or completion not in (None, "NO_CHAIN"):
            return None
        return self.skip(statement, Step.END, quiet)

    # What has methods of its own.

    def by_method(self, verb: str) -> Flow[Answer]:
        """BEGIN, COMMIT or ROLLBACK by method."""
        session = self._session
        if verb == "ROLLBACK":
            if not session.primary.connection.open:
                yield from self._recovering.going_without()
            if session.transaction.lost:
                ended = self.end_lost(session.language.statement(verb), quiet=True)
                if ended is not None:
                    return ended
        if session.transacts:
            if not self._joining.is_prepared():
                yield from self._joining.preparing()
            if not session.in_transaction:
                statement = session.language.statement(verb)
                answer = yield from self.transacting(Underway(statement, verb.encode(), quiet=True))
                if answer is not None:
                    return answer
        return (yield from self._writing.beginning_or_ending(verb))

    def flushing(self) -> Flow[None]:
        """Have on the primary what it does not know of the transaction yet."""
        session = self._session
        if not session.transacts or not session.transaction.is_open:
            return
        yield from self._joining.preparing()
        yield from self.moving()
        yield from self._running(session.owed.unsent)

    def switching_autocommit(self, value: Any) -> Flow[None]:
        """Do what a change of autocommit does to the transaction."""
        session = self._session
        transaction = session.transaction
        if not session.transacts or not transaction.is_open:
            return
        if transaction.begin or not value:
            yield from self.flushing()
        elif not session.state.status & AUTOCOMMIT:
            yield from self.ending_here()  # it commits


def why_not_in(snapshot: Any, decision: Route, view: str) -> Reason | None:
    """Tell why a read can't run in a snapshot that is claimed.

    `view` is the consistency level of the read that has fixed what others see there.
    """
    fixed = decision.shows_data and not decision.sees_commits
    if fixed and LEVELS.index(decision.consistency) > LEVELS.index(view):
        weaker = f"the transaction's snapshot was taken for {view} consistency"
        return Reason(weaker, Cause.SNAPSHOT)
    if not snapshot.is_open:
        idle = f"the snapshot was idle for {snapshot.max_idle:g} seconds, and was ended"
        return Reason(idle, Cause.SNAPSHOT)
    return None
