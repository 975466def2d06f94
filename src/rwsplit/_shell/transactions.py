"""Transactions: their reads run on a replica until one of their statements needs the primary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Any

from .._core.cause import Cause, Reason
from .._core.fingerprint import Fingerprint
from .._core.flows.reading import Read, Served, Unserved
from .._core.position import Position
from .._core.route import LEVELS, Destination, Route, RouteTaken
from .._core.session.state import AUTOCOMMIT, IN_TRANSACTION
from .._core.session.transaction import (
    Step,
    begins_on_mariadb,
    is_compared,
    is_lost_with,
    is_ordered,
)
from .._core.statement import Kind, Statement, because
from .._drivers import err
from .._drivers.pymysql import no_result, raise_first
from .member import Member, ask_and_end
from .outcome import deadlock
from .read_back import read_back
from .snapshot import Snapshot
from .statements import NOTHING, PRIMARYS_SHARE, ROLLBACK, Statements

__all__ = ["Transactions"]

_REPEATED = Statement(Kind.READ, because(Kind.READ, "repeated reads"))
_SNAPSHOT = Statement(Kind.READ, because(Kind.READ, "a snapshot"))
_LOST = Reason("the transaction's snapshot was lost with its replica", Cause.SNAPSHOT)
_RETRIES = Reason("the transaction before read what others then changed", Cause.HABIT)
_REPLICA = Destination.REPLICA
_SEEING_COMMITS = ("READ-COMMITTED", "READ-UNCOMMITTED")
_CONSISTENT = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"


class Transactions(Statements):
    """How a virtual connection runs transactions."""

    _snapshot: Snapshot | None
    """What is open for the transaction on a replica, or was until it was idle for too long."""

    def _transact(
        self,
        statement: Statement,
        sql: bytes,
        unbuffered: bool = False,
        template: tuple[Any, str] | None = None,
        quiet: bool = False,
    ) -> bool:
        """Run a statement as its transaction wants it; False leaves it to the usual way.

        Only for what comes while nothing is open on the primary.
        `quiet` is for what has a method of its own, and no result.
        """
        session, transaction = self._session, self._transaction
        if statement.kind is Kind.FOLLOW_READ:
            return False
        decision = None
        bound: Reason | None = None
        if session.unread:
            read_back(session, self.driver_connection, self._ask_before)
        if statement.kind is Kind.READ:
            decision = self._decide(statement, in_snapshot=True)
            if decision.destination is not _REPLICA:
                bound = decision.reason
        if transaction.leaves_its_level(statement, session):
            self._end_here()
            self._have_primary()
            self._run_on_primary(["COMMIT AND NO CHAIN NO RELEASE"])
        step = transaction.step(statement, session, bound or "")
        match step:
            case Step.READ:
                assert decision is not None
                self._read(statement, decision, sql, unbuffered, template)
                return True
            case Step.MOVE:
                why = transaction.why_read_moves(statement, session)
                self._move()
                self._note_on_primary(statement)
                reason = bound or statement.reason
                if statement.kind is Kind.READ and not bound:
                    reason = why
                self._query_primary(statement, reason, sql, unbuffered)
                return True
            case Step.BEGIN | Step.OPEN | Step.END:
                self._end_here()
                if step is not Step.END:
                    transaction.begun(statement, sql, session)
                if step is Step.OPEN and not self._open_now():
                    transaction.clear()
                    return False
            case Step.CHAIN:
                begin = transaction.begin or b"START TRANSACTION"
                self._end_here()
                self._have_primary()
                self._run_on_primary([begin])
                return False
            case Step.KEEP:
                transaction.keep(statement, sql)
            case Step.USUAL:
                if (statement.transaction or "").startswith(("begin", "commit", "rollback")):
                    self._end_here()
                return False
            case Step.APART:
                return False
        self._skip(statement, step, quiet)
        return True

    def _run_on_primary(self, statements: Sequence[str | bytes]) -> None:
        """Run what the application did not say now, and what does not count."""
        try:
            replies = self.driver_connection.run_all(statements)
        except err.MySQLError as error:
            raise self._note_loss(error, _REPEATED, IN_TRANSACTION) from error
        self._unsent = []
        raise_first(replies)
        self._learn()

    def _note_on_primary(self, statement: Statement) -> None:
        """Note what a statement of the transaction means for those to come."""
        transaction = self._transaction
        if statement.kind is Kind.READ:
            self._cluster.counts["reads in transactions on the primary"] += 1
        elif statement.transaction is None:
            transaction.wrote = True
        if statement.kind is not Kind.SESSION or statement.tables or statement.functions:
            transaction.touched = True

    def _skip(self, statement: Statement, step: Step, quiet: bool) -> None:
        """Answer a statement that nobody needs to run."""
        # Nothing can stand for it there that would leave the level to the next transaction.
        skipped = not self._session.next_transaction
        self._followed.note_skipped(self._primary, skipped)
        self.route = route = RouteTaken(
            "", "none", Reason(f"{statement.verb} {_SKIPPED[step]}", Cause.ANSWERED)
        )
        if quiet:
            self._result = None
            return
        self._result = result = no_result(self.server_status)
        result.route = route
        self._affected_rows = 0

    @property
    def server_status(self) -> int:
        """The primary's status bits, and whether a transaction is open anywhere."""
        status: int = self.driver_connection.server_status
        if "_transaction" in self.__dict__ and self._transaction.has_begun:
            status |= IN_TRANSACTION
        return status

    @server_status.setter
    def server_status(self, value: int) -> None:
        self.driver_connection.server_status = value

    def _may_transact(self) -> bool:
        """Tell whether reads of transactions may run on replicas, if any reads do."""
        return self._options.transactions != "primary" and self.driver_connection.tracks

    # Reading.

    def _read(
        self,
        statement: Statement,
        decision: Route,
        sql: bytes,
        unbuffered: bool,
        template: tuple[Any, str] | None,
    ) -> None:
        """Run a read in the transaction's snapshot, or on the primary if that can't be."""
        transaction, session = self._transaction, self._session
        read_only = transaction.is_read_only(session)
        if self._snapshot is None:
            why = self._why_not_split(statement)
            if not decision.shows_data:
                if why:
                    self._query_primary(statement, why, sql, unbuffered)
                else:
                    self._query_replica(statement, decision, sql, unbuffered, template)
                return
            why = why or self._why_primary(sql, read_only, template)
            if why:
                self._read_on_primary(statement, why, sql, unbuffered)
                return
        compares = transaction.verifies and is_compared(statement, session)
        fingerprint = None
        if compares and not (transaction.unverifiable or statement.volatile or statement.parts):
            fingerprint = Fingerprint(is_ordered(sql))
        sees_commits = session.isolation in _SEEING_COMMITS
        decision = decision._replace(sees_commits=sees_commits)
        known = self._replicas.known_of_primary() if sees_commits and compares else None
        reading = Read(sql, unbuffered, decision.prepared, (), fingerprint, known=known)
        try:
            if self._snapshot is None:
                begin = (*self._isolation(), "START TRANSACTION READ ONLY")
                served = self._replicas.read(decision, reading._replace(begin=begin))
            else:
                served = self._read_in_snapshot(self._snapshot, decision, reading)
        except err.MySQLError as error:
            self._followed.note_failed(
                self._replicas.reads.refused_by or self._followed.last, statement, error.args[0]
            )
            raise
        finally:
            self._followed.check_count()
        if isinstance(served, Unserved):
            if served.refused:
                self._note_refusal(statement, sql, template, served)
            if served.error is not None:
                self._raise_as_primary(statement, sql)
            self._read_on_primary(statement, served.reason, sql, unbuffered, served)
            return
        had_read = transaction.has_read
        if self._snapshot is None:
            self._watch(served, decision.consistency)
        if begins_on_mariadb(statement, session):
            transaction.reads_tables = True
        # Of one server, too, each statement would have seen what was committed since the last one.
        if compares and not (sees_commits and self._replicas.reads.was_abreast):
            transaction.note_read(sql, fingerprint, read_only)
        elif transaction.has_read and not had_read:
            transaction.note_uncompared(sql, sees_commits)
        self._finish_served(statement, served)

    def _why_not_split(self, statement: Statement) -> Reason | None:
        """Tell why a read that begins a transaction is not for replicas, whatever it is."""
        if self._transaction.on_replica:
            return None
        if self._terms.unsplit is not None:
            return self._terms.unsplit
        return PRIMARYS_SHARE if self._is_primarys_share(statement) else None

    def _why_primary(
        self, sql: bytes, read_only: bool, template: tuple[Any, str] | None
    ) -> Reason | None:
        """Tell why a transaction that begins with this read had better begin on the primary."""
        transaction = self._transaction
        if transaction.on_replica:
            return _LOST
        if not transaction.verifies or read_only:
            return None
        if not transaction.digest:
            query = template[0] if template is not None else None
            known = self._classifier
            # A text without parameters has its values in it: only its digest is seen again.
            if isinstance(query, str) and "%" in query and known.template(query) is not None:
                transaction.digest = known.known_as(query)
            else:
                transaction.digest = known.digest(sql)
        if transaction.retries_on_primary:
            transaction.retries_on_primary = False
            return _RETRIES
        why = self._cluster.habits.of(transaction.digest).why_primary()
        return Reason(why, Cause.HABIT) if why else None

    def _isolation(self) -> tuple[str, ...]:
        """Return what sets the isolation level of one snapshot, where that is not the session's."""
        level = self._session.isolation
        if not self._session.next_transaction or not level:
            return ()
        return (f"SET TRANSACTION ISOLATION LEVEL {level.replace('-', ' ')}",)

    def _read_in_snapshot(
        self, snapshot: Snapshot, decision: Route, reading: Read
    ) -> Served | Unserved:
        with snapshot.lock:
            if decision.shows_data and not decision.sees_commits:
                asked, opened = (LEVELS.index(each.consistency) for each in (decision, snapshot))
                if asked > opened:
                    weaker = f"the transaction's snapshot was taken for {snapshot.consistency}"
                    return Unserved(Reason(f"{weaker} consistency", Cause.SNAPSHOT), 0.0, 0)
            if not snapshot.is_open:
                idle = f"the snapshot was idle for {snapshot.max_idle:g} seconds, and was ended"
                return Unserved(Reason(idle, Cause.SNAPSHOT), 0.0, 0)
            served = self._replicas.read_on(snapshot.member, decision, reading)
            snapshot.used_at = monotonic()
        return served

    def _read_on_primary(
        self,
        statement: Statement,
        reason: Reason,
        sql: bytes,
        unbuffered: bool,
        unserved: Unserved | None = None,
    ) -> None:
        self._move()
        self._note_on_primary(statement)
        waited, retries = (unserved.waited, unserved.retries) if unserved else (0.0, 0)
        self._query_primary(statement, reason, sql, unbuffered, waited, retries)

    def _raise_as_primary(self, statement: Statement, sql: bytes) -> None:
        """Raise what the primary says of a read that a replica answered with an error.

        An error there, too, leaves the transaction where it is. A read that the primary can
        answer moves it, and so does one whose ROLLBACK would end what the primary has for this
        transaction already: a savepoint, or what SET TRANSACTION said.
        """
        transaction = self._transaction
        if self._snapshot is None or not transaction.repeats_reads:
            return
        if transaction.touched or self._session.next_transaction:
            return
        self._have_primary()
        try:
            reply, _ = self.driver_connection.run_all([sql, ROLLBACK])
        except err.MySQLError as error:
            raise self._note_loss(error, statement, IN_TRANSACTION) from error
        self._learn()
        if isinstance(reply, err.MySQLError):
            self._followed.note_failed(
                self._replicas.reads.refused_by or self._followed.last, statement, reply.args[0]
            )
            raise reply

    def _watch(self, served: Served, consistency: str) -> None:
        """Note the snapshot that a replica has opened for this transaction."""
        end, max_idle = self._replicas.end_snapshot, self._options.max_snapshot
        self._snapshot = Snapshot(served.member, end, max_idle, consistency)
        self._transaction.on_replica = True

    def _open_now(self) -> bool:
        """Take a snapshot on a replica at once; False if none can."""
        if self._why_not_split(_SNAPSHOT):
            return False
        level, bound = self._terms.level, self._terms.max_staleness
        decision = Route(_REPLICA, _SNAPSHOT.reason, level, max_staleness=bound)
        decision = self._bounded(_SNAPSHOT, decision)
        if decision.destination is not _REPLICA:
            return False
        begin = (*self._isolation(), _CONSISTENT)
        served = self._replicas.read(decision, Read(None, begin=begin))
        self._followed.check_count()
        if isinstance(served, Unserved):
            return False
        self._watch(served, decision.consistency)
        return True

    # Moving and ending.

    def _move(self) -> None:
        """Take the transaction to the primary.

        Raises error 1213 if the primary's rows are not those that the transaction has read; it is
        rolled back then, and can be tried again.
        """
        transaction, session = self._transaction, self._session
        self._end_snapshot()
        if not transaction.is_open:
            return
        begin, repeatables = transaction.begin, transaction.repeatables
        savepoints = any(kept.answer is None for kept in repeatables)
        if savepoints:
            transaction.note_savepoint()
        unverifiable = transaction.why_unverifiable()
        if transaction.verifies and unverifiable:
            self._refuse(f"{unverifiable} on a replica, and now needs the primary")
        self._have_primary()
        if transaction.on_replica and (savepoints or not transaction.repeats_reads):
            # The read that is not repeated had begun a transaction, and on MySQL its snapshot.
            begin = transaction.begin_as_read(session)
        if not transaction.repeats_reads:
            self._unsent = [*([begin] if begin else []), *[kept.sql for kept in repeatables]]
        else:
            self._cluster.counts["moved transactions"] += 1
            self._verify([begin] if begin else [])
        transaction.forget_replica()

    def _verify(self, begin: list[bytes]) -> None:
        """Repeat the transaction's reads on the primary, and compare."""
        primary, repeatables = self.driver_connection, self._transaction.repeatables
        orders = [k.answer.ordered if k.answer else None for k in repeatables]
        if self._followed.source("found_rows") is self._primary:
            self._answers(["found_rows"])
        try:
            replies = primary.repeat(
                [*begin, *[kept.sql for kept in repeatables]], [*[None] * len(begin), *orders]
            )
        except err.MySQLError as error:
            raise self._note_loss(error, _REPEATED, IN_TRANSACTION) from error
        self._replicas.seen.on_primary = True
        self._learn()
        answers = replies[len(begin) :]
        if begin and replies[0] is not None:
            raise replies[0]
        for kept, answer in zip(repeatables, answers, strict=True):
            if isinstance(answer, err.MySQLError):
                self._refuse(f"the primary answers with error {answer.args[0]} to what it read")
            if kept.answer is not None and not kept.answer.same_as(answer):
                self._refuse("it read rows on a replica that are others on the primary by now")

    def _refuse(self, why: str) -> None:
        """Roll the transaction back on both sides and tell the application to try again."""
        transaction, primary = self._transaction, self.driver_connection
        self._cluster.counts["mismatched transactions"] += 1
        try:
            (reply,) = primary.run_all([ROLLBACK])
        except err.MySQLError:
            self._drop_primary()  # that rolls it back, too
            reply = None
        if isinstance(reply, err.MySQLError):
            raise reply
        if transaction.digest:
            self._cluster.habits.note(transaction.digest, wrote=True, mismatched=True)
        transaction.clear()
        transaction.forget_primary()
        transaction.retries_on_primary = True
        self._learn()
        self._followed.note_last(self._primary)
        raise deadlock(why)

    def _end_snapshot(self) -> None:
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            snapshot.end()

    def _end_here(self) -> None:
        """End a transaction that the primary knows nothing of."""
        self._end_snapshot()
        self._note_end()
        self._transaction.clear()

    def _note_end(self) -> None:
        transaction = self._transaction
        if transaction.digest:
            self._cluster.habits.note(transaction.digest, transaction.wrote)
            transaction.digest = ""
        transaction.wrote = False

    def _after_primary(
        self, statement: Statement, sql: bytes, succeeded: bool, told: bool = True
    ) -> None:
        super()._after_primary(statement, sql, succeeded, told)
        does = statement.transaction or ""
        if succeeded and does in _ENDS:
            self._transaction.forget_primary()
            if self._session.level_changed and does in ("commit", "rollback"):
                self._session.note_end()
                self._note_freedom()
        elif succeeded and does == "savepoint" and not self._session.status & AUTOCOMMIT:
            self._transaction.note_savepoint()
        self._look_at_end()

    def _note_loss(
        self, error: err.MySQLError, statement: Statement, status: int
    ) -> err.MySQLError:
        transaction, session = self._transaction, self._session
        begun = transaction.has_begun or bool(self._unsent or status & IN_TRANSACTION)
        if statement is not NOTHING:
            begun = is_lost_with(statement, session, begun)
        self._end_snapshot()
        transaction.clear()
        transaction.forget_primary()
        raised = super()._note_loss(error, statement, status)
        if begun and self._revives:
            session.next_transaction = ""
            transaction.lost = f"{self._primary.name} ({', '.join(map(str, error.args[:2]))})"
        self._note_freedom()
        return raised

    def _check_lost(self) -> None:
        transaction = self._transaction
        if transaction.lost:
            raise err.InterfaceError(
                0,
                f"the transaction was lost with its connection to primary {transaction.lost}; "
                "roll it back, and run it again from its start",
            )

    def _end_lost(self, statement: Statement, quiet: bool = False) -> bool:
        """End a transaction that was lost: only a ROLLBACK can, and it needs no server.

        False for one that does more than that. Raises InterfaceError for all else.
        """
        does = statement.transaction or ""
        if does not in ("rollback", "rollback chain", "rollback release"):
            self._check_lost()
        self._transaction.lost = ""
        self._note_freedom()
        if does != "rollback" or self._session.value("completion_type") not in (None, "NO_CHAIN"):
            return False
        self._skip(statement, Step.END, quiet)
        return True

    def _end_lost_by_method(self) -> bool:
        """Do as `_end_lost` does for `rollback()`; False if nothing was lost."""
        if self.driver_connection._sock is None:
            self._go_without()
        if not self._transaction.lost:
            return False
        return self._end_lost(self._classifier.statement("ROLLBACK"), quiet=True)

    def _look_at_end(self) -> None:
        """Learn from a transaction that has ended on the primary."""
        transaction = self._transaction
        if (
            (transaction.digest or transaction.wrote)
            and not transaction.is_open
            and not self._session.status & IN_TRANSACTION
        ):
            self._note_end()

    def _abandon_snapshot(self) -> None:
        """Forget the snapshot, as its member is closed."""
        snapshot = self.__dict__.get("_snapshot")
        if snapshot is not None:
            with snapshot.lock:
                snapshot.abandon()
            self._snapshot = None

    def _in_use(self, member: Member) -> AbstractContextManager[object]:
        """Keep a member from being given up as idle while it is used."""
        snapshot = self._snapshot
        if snapshot is None or snapshot.member is not member:
            return nullcontext()
        return snapshot.lock

    # What has methods of its own.

    def _on_primary(self, action: Callable[[], Any], what: str) -> None:
        super()._on_primary(action, what)
        if what in ("BEGIN", "COMMIT", "ROLLBACK"):
            self._transaction.forget_primary()
        self._look_at_end()

    def _end_on_primary(self, verb: str) -> None:
        """COMMIT or ROLLBACK there.

        Where reads ran there, and a replica is to read next, the primary's position comes in the
        same round trip.
        """
        primary, replicas = self.driver_connection, self._replicas
        asks = replicas.seen.asked_late and replicas.seen.on_primary and self._must_see
        if not (asks and self._terms.splits and primary.tracks):
            action = primary.commit if verb == "COMMIT" else primary.rollback
            self._on_primary(action, verb)
            return
        positions: list[Position] = []
        self._on_primary(
            lambda: positions.append(ask_and_end(self._primary, verb, self._ask_before)), verb
        )
        replicas.seen.saw_all(positions[0])

    def _transact_by_method(self, verb: str) -> bool:
        """Do as `_transact` does for what has a method of its own in PyMySQL."""
        if not self._transacts:
            return False
        self._prepare()
        if self._session.status & IN_TRANSACTION:
            return False
        return self._transact(self._classifier.statement(verb), verb.encode(), quiet=True)

    def _flush(self) -> None:
        """Have on the primary what it does not know of the transaction yet."""
        if not self._transacts or not self._transaction.is_open:
            return
        self._prepare()
        self._move()
        self._run_on_primary(self._unsent)

    def _switch_autocommit(self, value: Any) -> None:
        """Do what a change of autocommit does to the transaction."""
        if not self._transacts or not self._transaction.is_open:
            return
        if self._transaction.begin or not value:
            self._flush()
        elif not self._session.status & AUTOCOMMIT:
            self._end_here()  # it commits


_SKIPPED = {
    Step.BEGIN: "goes with the first statement",
    Step.OPEN: "took a snapshot on a replica",
    Step.KEEP: "goes with the first statement that needs the primary",
    Step.END: "has nothing to end on the primary",
}
_ENDS = ("commit", "rollback", "commit chain", "rollback chain", "commit release")
