"""What runs on the primary, and what a replica that does not serve a read leaves to it.

All that can become of a statement there stands in `on_primary`: it is answered, its connection is
lost, the primary was demoted, or it fails. A read that was lost may be repeated, wherever a server
answers it; nothing else is ever sent twice unless the server has said that it did nothing.
"""

from __future__ import annotations

from typing import Any, Never

from ..cause import Cause, Reason
from ..failure import may_end_transaction, was_killed
from ..flavors.positions import POSITION_SQL, told_position
from ..numbers import BAD_DB, NET_PACKET_TOO_LARGE, NO_SUCH_TABLE, PARSE_ERROR
from ..session.route import Destination, Route
from ..session.session import Session
from ..session.state import AUTOCOMMIT, IN_TRANSACTION, can_write, changes_globals
from ..sql.catalogue import changes_functions
from ..sql.following import finds_data, may_begin_unseen, runs_more, shows_data, shows_tracking
from ..sql.statement import Kind, Statement
from ..wire import Fault, Member, raise_first
from .answer import Answer, Underway
from .asking import Asking
from .command import ByMethod, Exchange, Flow, KillElsewhere, WaitForAnyone
from .deadline import Deadline
from .holding import Holding
from .joining import Joining
from .learning import Learning
from .publishing import Publishing
from .reading import Read, Reads, Served, Unserved
from .recovering import NOTHING, Recovering, gone, refuses_writes

__all__ = ["Writing"]

_READ = Kind.READ
_REPLICA = Destination.REPLICA
_LOOK_AGAIN_SECONDS = 0.2
"""How often a read that waits for a server looks who can serve it."""
_MOST_TRIES = 3
"""How often a read is tried again that was lost with the primary."""
_BY_METHOD = {verb: Reason(verb, Cause.TRANSACTION) for verb in ("BEGIN", "COMMIT", "ROLLBACK")}
_ENDS = ("commit", "rollback", "commit chain", "rollback chain", "commit release")
ROLLBACK = b"ROLLBACK AND NO CHAIN NO RELEASE"
"""One of our own, whatever the session's completion_type is."""
_NOTHING_OPEN = [ROLLBACK]
"""What stands for statements that were not sent, for one that asks about them."""
_LEAVES_OPEN = [b"SAVEPOINT `rwsplit asks`"]
"""The same where the primary may hold something: it counts no rows and ends nothing."""


class Writing:
    """What runs a session's statements on its primary."""

    def __init__(
        self,
        session: Session,
        holding: Holding,
        asking: Asking,
        learning: Learning,
        publishing: Publishing,
        recovering: Recovering,
        joining: Joining,
        reads: Reads,
    ) -> None:
        self._session = session
        self._holding = holding
        self._asking = asking
        self._learning = learning
        self._publishing = publishing
        self._recovering = recovering
        self._joining = joining
        self._reads = reads

    # On the primary.

    def on_primary(  # noqa: PLR0915 - all that can become of a statement, side by side
        self,
        underway: Underway,
        reason: Reason,
        waited: float = 0.0,
        retries: int = 0,
        killed: bool = False,
        limit: float | None = None,
        failed: Fault | None = None,
    ) -> Flow[Answer]:
        """Run a statement on the primary; a read may end up elsewhere, if that is lost.

        :param killed: whether a KILL of its connection was met already.
        :param failed: what became of a first try, which needed nothing but the statement.
        :param limit: how many seconds the answer may take; None for the connection's own limits.
        """
        session = self._session
        statement, sql = underway.statement, underway.sql
        owed, followed, state = session.owed, session.followed, session.state
        primary = session.primary
        while True:
            if failed is None:
                if self._holding.lacks_primary():
                    asks = statement.kind is Kind.FOLLOW_READ and not followed.skipped
                    if asks and primary.connection.open:
                        # What it asks about went with the connection; a new one would make it up.
                        raise (yield from self._recovering.losing(gone(), NOTHING, state.status))
                    if statement.kind is not _READ or not session.reads_alone:
                        yield from self._recovering.regaining()
                    elif not (yield from self._recovering.primary_answers()):
                        served = yield from self._reading_somewhere(underway)
                        if served is not None:
                            return self.served(statement, served, retries)
                        continue
                if state.lost_ids and state.lost_of(statement):
                    yield from self._recovering.finding_ids(statement)
                if self._has_preceding(statement):
                    yield from self._preceding(statement)
            elif session.identity.sharing is not None:
                yield from self._publishing.beginning(statement)
            status, unsent = state.status, owed.unsent
            begun = status | IN_TRANSACTION if unsent else status
            before = unsent or self._stand_ins(statement)
            try:
                if failed is not None:
                    fault, failed = failed, None
                    raise fault
                result = yield from Exchange(
                    primary, before, raise_first, sql, underway.unbuffered, limit=limit
                )
                break
            except Fault as fault:
                owed.sent()
                followed.note_sent()
                too_large = len(sql) >= primary.connection.max_packet
                if fault.is_lost or (too_large and fault.number == NET_PACKET_TOO_LARGE):
                    kill = was_killed(fault.number)
                    tries = retries < _MOST_TRIES and not (kill and killed) and not too_large
                    if statement.kind is _READ and session.reads_alone and not before and tries:
                        killed, retries = kill or killed, retries + 1
                        elsewhere = yield from self._reading_again(underway, killed)
                        if isinstance(elsewhere, Served):
                            return self.served(statement, elsewhere, retries)
                        if elsewhere is not None:
                            reason = elsewhere.reason
                        continue
                    # What is too large for the server it has not run.
                    lost_one = NOTHING if too_large else statement
                    raise (yield from self._recovering.losing(fault, lost_one, begun)) from fault
                if session.hold.revives and refuses_writes(fault):
                    owed.send_first(unsent)  # where there is no primary in time, it stays
                    yield from self._recovering.leaving_demoted(fault, status)
                    owed.send_first(before)
                    killed = False
                    continue
                yield from self._failing(underway, fault, status, bool(before))
                raise
        self.ran(statement, sql, result, begun)
        if session.identity.sharing is not None:
            if owed.pending:
                session.identity.sharing.leave_open()
            else:
                yield from self._publishing.publishing()
        if statement.locks or statement.releases:
            self._learning.note_user_locks(statement, sql, result)
            # It comes behind all that was done under the lock.
            session.seen.read_on_primary(session.clock())
        if statement.verb == "KILL":
            yield from KillElsewhere(sql)
        answer = self.finish(primary, statement, reason, result, waited, retries)
        if statement.system_variables_written:
            yield from self._learning.keeping_tracking(statement)
        if state.is_unsettled and not result.unbuffered_active:
            # What is about the statement before leaves the warnings to it.
            keeps = bool(result.warning_count) or statement.kind is Kind.FOLLOW_READ
            yield from self._learning.settling(keep_warnings=keeps)
        return answer

    def _has_preceding(self, statement: Statement) -> bool:
        session = self._session
        return (
            session.owed.shows_tracking
            or session.identity.sharing is not None
            or statement.kind is Kind.PRIMARY_READ
        )

    def _preceding(self, statement: Statement) -> Flow[None]:
        """Do what comes before a statement on the primary."""
        session = self._session
        if session.owed.shows_tracking and statement.kind is not Kind.FOLLOW_READ:
            yield from self._learning.tracking()
        if session.identity.sharing is not None:
            yield from self._publishing.beginning(statement)
        if statement.kind is Kind.PRIMARY_READ and shows_tracking(statement):
            yield from self._learning.showing_tracking()

    def _stand_ins(self, statement: Statement) -> list[bytes]:
        """Return what stands for a statement that was not sent, where this one asks about it."""
        session = self._session
        if session.followed.skipped and (
            statement.kind is Kind.FOLLOW_READ or session.asks(statement)
        ):
            return _LEAVES_OPEN if session.transaction.touched else _NOTHING_OPEN
        return []

    def ran(self, statement: Statement, sql: bytes, result: Any, status: int) -> None:
        """Take in that a statement ran on the primary; `status` is the server's before it."""
        session = self._session
        session.owed.sent()
        session.followed.note_sent()
        session.state.note_status(status)
        if session.transaction.may_be_over and not result.unbuffered_active:
            session.transaction.doubt(False)  # it has told by now: a stream does so at its end
        if result.field_count and shows_data(statement):
            session.seen.read_on_primary(session.clock())
        finds = not result.field_count and finds_data(statement)
        if finds:
            session.state.note_found()
        told, heard = session.primary.connection.tells, not result.unbuffered_active
        self._note(statement, sql, succeeded=True, told=told, heard=heard)
        if finds and not (statement.kind is Kind.WRITE and result.affected_rows):
            session.count_found()  # the transaction may commit nothing
        self._learning.note_unread(statement, result)

    def _failing(
        self, underway: Underway, fault: Fault, status: int, was_first: bool
    ) -> Flow[None]:
        """Take in that a statement has failed, on a connection that works.

        :param status: the server status before it.
        :param was_first: something that was not sent before went with it.
        """
        session, statement = self._session, underway.statement
        state, number = session.state, fault.number
        if can_write(statement):
            state.lose_position()
        elif shows_data(statement):
            session.seen.read_on_primary(session.clock())
        one_of_its_own = (
            bool(status & AUTOCOMMIT)
            and not (status & IN_TRANSACTION or was_first)
            and not runs_more(statement)
        )
        if may_end_transaction(number) and not one_of_its_own:
            session.transaction.doubt(True)
        session.followed.note_failed(session.primary, statement, number)
        unread = number == PARSE_ERROR and not runs_more(statement)
        ran = NOTHING if unread else statement
        heard = yield from self._learning.of_failure(ran)
        told = heard is not False
        self._note(ran, underway.sql, succeeded=False, told=told, heard=bool(heard))
        yield from self._learning.behind_failure(ran)
        begins_none = (_begins_none(number, statement) and not was_first) or (
            session.transaction.is_open
        )
        begun_unseen = not told and may_begin_unseen(ran)
        may_be_open = (not begins_none or status & IN_TRANSACTION) and not state.status & AUTOCOMMIT
        if may_be_open or begun_unseen:
            # An error does not tell whether a transaction is open now; the next answer will.
            # What leaves one alone that the primary knows nothing of begins none there.
            state.note_open()
        yield from self._publishing.publishing()

    def _note(
        self, statement: Statement, sql: bytes, succeeded: bool, told: bool, heard: bool
    ) -> None:
        """Note what a statement did on the primary.

        :param told: the primary has told what it changed.
        :param heard: and its status.
        """
        session = self._session
        state, transaction, cluster = session.state, session.transaction, session.cluster
        if statement.kind is not _READ:
            state.expect(statement, succeeded, sql)
            if not told:
                state.note_failure(statement)
            if changes_functions(statement):
                cluster.catalogue.clear()
            if changes_globals(statement):
                # Who connects now has what was set; a wire in the pool has what was there before.
                cluster.pool.close_idle()
            if statement.may_change_session:
                # More than one transaction may have been committed, and only the last reported.
                state.lose_position()
        self._learning.learn(statement, heard)
        does = statement.transaction or ""
        if succeeded and does in _ENDS:
            transaction.forget_primary()
            if state.level_changed and does in ("commit", "rollback"):
                state.note_end()
        elif not state.status & AUTOCOMMIT and _sets_savepoint(statement, succeeded):
            transaction.note_savepoint()
        self._look_at_end()

    def _look_at_end(self) -> None:
        """Learn from a transaction that has ended on the primary."""
        session, transaction = self._session, self._session.transaction
        if session.state.found and not session.in_transaction:
            session.count_found()  # it has committed nothing
        if (
            (transaction.digest or transaction.wrote)
            and not transaction.is_open
            and not self._session.in_transaction
        ):
            self.note_habit()

    def note_habit(self) -> None:
        """Note what became of the transaction that has ended."""
        digest, wrote = self._session.transaction.take_habit()
        if digest:
            self._session.cluster.habits.note(digest, wrote)

    def finish(
        self,
        member: Member,
        statement: Statement,
        reason: Reason,
        result: Any,
        waited: float = 0.0,
        retries: int = 0,
    ) -> Answer:
        """Return the answer that a member's result is."""
        session = self._session
        if member is session.primary and statement.kind is _READ:
            session.cluster.counts[reason.cause] += 1
        has_rows, warned = bool(result.field_count), result.warning_count
        session.followed.note_result(member, statement, has_rows, warned)
        return Answer(member.taken(reason, waited, retries), result)

    def served(self, statement: Statement, served: Served, retries: int = 0) -> Answer:
        """Return the answer of a read that a replica served."""
        member, reason, waited, more, result = served
        return self.finish(member, statement, reason, result, waited, retries + more)

    # Reads without a primary.

    def _reading_somewhere(self, underway: Underway) -> Flow[Served | None]:
        """Run a read while there is no primary: there or on a replica, whatever comes first.

        None where there is a primary again. Raises 2003 when `primary_wait` is over.
        """
        session = self._session
        cluster, clock = session.cluster, session.clock
        yield from self._recovering.going_without()
        until = clock() + session.options.primary_wait
        while not cluster.primary_is_up and clock() < until:
            session.check_revivable()
            served = yield from self._reading_elsewhere(underway)
            if isinstance(served, Served):
                return served
            if served is not None and served.error is not None:
                raise served.error  # there is no primary that could know better
            yield from WaitForAnyone(min(until, clock() + _LOOK_AGAIN_SECONDS))
        if self._holding.has_left():
            yield from self._holding.needing(until=until)
        return None

    def _reading_again(self, underway: Underway, killed: bool) -> Flow[Served | Unserved | None]:
        """Run a read elsewhere that was lost with the primary; it changed nothing there."""
        self._session.hold.drop()
        self._session.cluster.monitor.look_now()
        return (yield from self._reading_elsewhere(underway, killed))

    def _reading_elsewhere(
        self, underway: Underway, killed: bool = False
    ) -> Flow[Served | Unserved | None]:
        """Run a read on a replica, if what it must see is known without the primary."""
        session, statement = self._session, underway.statement
        decision = session.route(statement)
        if session.state.doubts(statement) or not session.terms.splits:
            return None
        if decision.destination is _REPLICA:
            decision = yield from self._publishing.bounded(underway, decision)
        if decision.destination is not _REPLICA:
            return None
        read = Read(underway.sql, underway.unbuffered, decision.prepared, killed=killed)
        return (yield from self._reads.reading(decision, read))

    # On a replica, or else on the primary.

    def on_replica(
        self,
        underway: Underway,
        decision: Route,
        failed: tuple[Member, Fault] | None = None,
        since: float = 0.0,
    ) -> Flow[Answer]:
        """Run a read on a replica, and on the primary if none serves it.

        `failed` is a member that tried already, and its fault; `since` when it began.
        """
        session, statement, sql = self._session, underway.statement, underway.sql
        connection = session.primary.connection
        began = since or (session.clock() if connection.read_timeout else 0.0)
        try:
            read = Read(sql, underway.unbuffered, decision.prepared)
            served = yield from self._reads.reading(decision, read, failed, began)
        except Fault as fault:
            self.note_failed_elsewhere(statement, fault)
            raise
        finally:
            session.followed.check_count()
        if isinstance(served, Served):
            if session.identity.sharing is not None:
                yield from self._publishing.publishing_at_last()
            return self.served(statement, served)
        if served.refused:
            self.note_refusal(underway, served)
        left = None
        if served.retries and began:
            left = Deadline(connection.read_timeout, sql, began).left(session.clock())
        return (
            yield from self.on_primary(
                underway, served.reason, served.waited, served.retries, served.killed, left
            )
        )

    def note_failed_elsewhere(self, statement: Statement, fault: Fault) -> None:
        """Note that a read has failed on a replica."""
        followed = self._session.followed
        followed.note_failed(self._reads.refused_by or followed.last, statement, fault.number)

    def note_refusal(self, underway: Underway, unserved: Unserved) -> None:
        """Note that a replica refused a read as a write."""
        session, template = self._session, underway.template
        session.cluster.counts["refused reads"] += 1
        query = template[0] if template else None
        session.language.classifier.demote(underway.sql, query, unserved.reason)
        session.cluster.report(
            "a statement was taken for a read, and a replica refused it; it runs on the primary "
            "from now on; please report it: %s: %s",
            unserved.reason,
            underway.statement.reason,
        )

    # What has a method of its own.

    def by_method(self, what: str, action: Flow[Any]) -> Flow[Answer]:
        """Do what has a method of its own in PyMySQL, and learn from its OK packet.

        :param what: the statement that would do it.
        :param action: does it.
        """
        session = self._session
        state, followed, primary = session.state, session.followed, session.primary
        if not self._joining.is_prepared():
            yield from self._joining.preparing()
        if self._holding.lacks_primary():
            yield from self._recovering.regaining()
        if session.owed.shows_tracking:
            yield from self._learning.tracking()
        followed.note_sent()
        if session.identity.sharing is not None:
            yield from self._publishing.beginning(session.language.statement(what))
        status = state.status
        try:
            yield from action
        except Fault as fault:
            return (yield from self.method_failed(what, fault, status))
        answer = self.method_ran(what)
        if session.identity.sharing is not None:
            yield from self._publishing.publishing()
        if state.is_unsettled:
            # COM_INIT_DB leaves MySQL's as they are, and not all drivers tell of them then.
            leaves = what == "USE" and not followed.keeps_warnings
            warned = leaves or bool(primary.connection.warnings)
            yield from self._learning.settling(keep_warnings=warned)
        return answer

    def method_failed(self, what: str, fault: Fault, status: int) -> Flow[Never]:
        """Take in that a method has failed; raises what the application is to get.

        :param status: the server status before it.
        """
        session = self._session
        state = session.state
        try:
            if fault.is_lost:
                statement = session.language.statement(what)
                raise (yield from self._recovering.losing(fault, statement, status)) from fault
            if session.hold.revives and refuses_writes(fault):
                yield from self._recovering.leaving_demoted(fault, status)
            state.lose_position()
            if may_end_transaction(fault.number):
                session.transaction.doubt(True)
            session.followed.note_last(session.primary)
            self._learning.learn(heard=False)
            yield from self._publishing.publishing()
            raise fault
        finally:
            self._note_method(what, heard=False)

    def method_ran(self, what: str) -> Answer:
        """Take in that a method has done what it does."""
        session = self._session
        # Not all libraries read what the answer to COM_INIT_DB tells.
        self._note_method(what, heard=what != "USE")
        if what in _BY_METHOD:
            session.transaction.forget_primary()
        self._look_at_end()
        return Answer(session.primary.taken(_BY_METHOD.get(what) or Reason(what, Cause.SESSION)))

    def _note_method(self, what: str, heard: bool) -> None:
        followed = self._session.followed
        # COM_INIT_DB is no statement, and clears no warnings.
        followed.note_last(self._session.primary, not followed.keeps_warnings and what != "USE")
        self._learning.learn(heard=heard)

    def beginning_or_ending(self, verb: str) -> Flow[Answer]:
        """BEGIN, COMMIT or ROLLBACK by method.

        Where reads ran there, and a replica is to read next, the primary's position comes in the
        same round trip as the end.
        """
        primary = self._session.primary
        if verb == "BEGIN" or not self.asks_at_end():
            return self.by_method(verb, iter(ByMethod(primary, verb.lower())))
        return self._ending_with_position(verb)

    def asks_at_end(self) -> bool:
        """Tell whether the primary's position is asked for as a transaction ends there."""
        session = self._session
        seen = session.seen
        asks = seen.asked_late and seen.on_primary and session.must_see
        return bool(asks and session.terms.splits and session.primary.connection.tracks)

    def _ending_with_position(self, verb: str) -> Flow[Answer]:
        session = self._session
        positions: list[Any] = []

        def asking_and_ending() -> Flow[None]:
            # What that commits it tells itself; ROW_COUNT() and the warnings are the COMMIT's.
            flavor = session.primary.connection.flavor
            questions = [POSITION_SQL["primary"][flavor], verb]
            asked, ended = yield from self._asking.ask_before(questions)
            raise_first([ended, asked])
            positions.append(told_position(flavor, asked.rows[0][0]))

        answer = yield from self.by_method(verb, asking_and_ending())
        session.seen.saw_all(positions[0])
        return answer


def _sets_savepoint(statement: Statement, succeeded: bool) -> bool:
    """Tell whether a statement may have set a savepoint, which no status tells of.

    What a procedure has set stays (tried); what a function or a trigger has set does not.
    """
    if statement.transaction == "savepoint":
        return succeeded
    return (
        statement.verb in ("CALL", "EXECUTE IMMEDIATE")
        or statement.kind is Kind.UNKNOWN
        or any(_sets_savepoint(part, True) for part in statement.parts)
    )


def _begins_none(number: int, statement: Statement) -> bool:
    """Tell whether a statement that failed so has begun no transaction (tried on both flavors)."""
    if number in (NO_SUCH_TABLE, BAD_DB):
        return statement.kind is Kind.READ and not (statement.parts or statement.functions)
    return number == PARSE_ERROR
