"""Learning from the primary what a statement has done to the session."""

from __future__ import annotations

from typing import Any

from ..flavors.trackers import ask_tracking, check, own
from ..session.session import Session
from ..session.state import AUTOCOMMIT, IN_TRANSACTION, LEXING, can_commit, runs_code
from ..sql.following import runs_more
from ..sql.statement import Kind, Statement
from ..sql.user_locks import lone_function
from ..tracking import only_gtid, parse_tails
from ..wire import Fault, raise_first
from .asking import Asking
from .command import Ask, Flow, ReportLate
from .reading_back import reading_back, report_sql

__all__ = ["Learning"]

_ONE = (1, "1", b"1")


class Learning:
    """What a session learns of itself."""

    def __init__(self, session: Session, asking: Asking) -> None:
        self._session = session
        self._asking = asking

    # What was told.

    def learn(self, statement: Statement | None = None, heard: bool = True) -> None:
        """Take in what the primary has reported since it was last looked at.

        :param heard: its last answer told of the status, as no error does.
        """
        session = self._session
        state, connection = session.state, session.primary.connection
        state.hear_status(connection.server_status, heard)
        if not connection.tells and not (connection.tracks and tells_by_text(statement)):
            state.lose_position()
        tails = connection.tails
        if not tails:
            if statement is not None and statement.may_change_session:
                state.notice(statement, ())
            return
        begun = state.status & IN_TRANSACTION
        # What held for one transaction alone is over, or another is set by now: that is read.
        told = [None] if state.next_transaction else [only_gtid(tail, begun) for tail in tails]
        if None not in told:
            tails.clear()
            if statement is not None and statement.may_change_session:
                state.notice(statement, ())
            for gtid in told:
                if gtid:
                    state.has_committed(gtid)
            return
        changes = parse_tails(tails)
        tails.clear()
        for change in changes:
            state.learn(change, statement)
            if change.schema is not None and session.identity.kind == "database":
                session.identity.look_again()
            if change.gtids:
                state.has_committed(change.gtids)
        if statement is not None:
            state.notice(statement, changes)
        session.language.look()

    def note_unread(self, statement: Statement, result: Any) -> None:
        """Note what is still to come from the primary: it may change the session, or commit."""
        session = self._session
        state, unread = session.state, result.unbuffered_active
        # The end of a read tells whether the level for one transaction is used up.
        tells = statement.kind is not Kind.READ or bool(state.next_transaction)
        session.owed.note_pending(result.has_next or (unread and tells))
        if unread and not state.status & AUTOCOMMIT:
            # Only its last row will tell whether a transaction is open now.
            state.note_open()

    def note_user_locks(self, statement: Statement, sql: bytes, result: Any) -> None:
        """Count user locks by the answers of statements that take or release one."""
        state = self._session.state
        function = lone_function(sql.decode(errors="replace"))
        rows: Any = result.rows or ()
        if function == "release_all_locks":
            state.release_user_locks()
        elif result.unbuffered_active or len(rows) != 1 or function is None:
            if "user" in statement.locks:
                state.note_user_lock(None)
        else:
            answer = int(rows[0][0] in _ONE)
            state.note_user_lock(answer if function == "get_lock" else -answer)

    def of_failure(self, statement: Statement) -> Flow[bool | None]:
        """Learn what a statement that failed changed before its error.

        Returns False if nobody told, and None if there was nothing to tell.
        """
        session = self._session
        state, followed = session.state, session.followed
        # Whether it has used up the level for one transaction hangs on the error (tried).
        if not (runs_code(statement) or state.next_transaction):
            return None
        if not (yield from ReportLate(session.primary, state.schema)):
            if state.next_transaction:
                session.transaction.note_touched()
            return False
        followed.note_error()  # the question made it another number
        if followed.keeps_warnings and runs_code(statement):
            # MariaDB says at each choice of a schema that something changed.
            tails = session.primary.connection.tails
            for changes in parse_tails(tails):
                state.learn(changes._replace(state_changed=False), statement)
            tails.clear()
            state.note_hearsay(statement)
        return True

    def late_failure(self, unknown: Statement) -> Flow[None]:
        """Learn what results of the last statement did, of which a later one was an error."""
        session = self._session
        session.owed.note_pending(False)
        session.state.lose_position()
        told = yield from ReportLate(session.primary, session.state.schema)
        if not told:
            session.state.note_failure(unknown)
        session.followed.note_error()
        self.learn(unknown, heard=told)
        if not told:
            session.state.note_open()  # a routine may have begun one; the next answer will tell

    # What has to be asked.

    def settling(self, keep_warnings: bool = False) -> Flow[None]:
        """Ask the primary what the session does not know of itself, while it is there.

        With `keep_warnings` only if the application can still ask for its warnings afterwards.

        Once its connection is lost nobody could tell, and the session could not go on.
        """
        session = self._session
        state, connection, owed = session.state, session.primary.connection, session.owed
        if (
            not session.hold.revives
            or owed.pending
            or not state.status & (IN_TRANSACTION | AUTOCOMMIT)  # it would begin a transaction
            or owed.unsent
            or connection.is_reading
            # MariaDB keeps them through questions that use no table.
            or (keep_warnings and (state.asks_tables or not session.followed.keeps_warnings))
        ):
            return
        if connection.has_ended():
            # Nobody can be asked any more.
            state.forget_hearsay()
            return
        try:
            yield from reading_back(state, self._asking.ask, everything=True)
        except Fault as fault:
            if not fault.is_lost:
                raise
            session.hold.drop()
            return
        connection.tails.clear()
        session.language.look()

    def reading_back(self, statement: Statement) -> Flow[None]:
        """Ask the primary what a read for replicas may depend on, and is not known."""
        session = self._session
        try:
            yield from reading_back(session.state, self._asking.ask_before, statement)
        except Fault as fault:
            if not fault.is_lost or session.state.bound:
                raise
            # It was a rumour, and nobody can be asked any more.
            session.hold.drop()
            session.state.forget_hearsay()

    def reading_variables(self) -> Flow[None]:
        """Ask the primary for the system variables that are not known."""
        return reading_back(self._session.state, self._asking.ask_before)

    def reporting_lexing(self) -> Flow[None]:
        """Have reported what texts are read by, where that may have changed."""
        session = self._session
        state, tails = session.state, session.primary.connection.tails
        raise_first((yield from Ask(session.primary, [report_sql(sorted(state.unread & LEXING))])))
        for changes in parse_tails(tails):
            state.learn(changes)
        tails.clear()
        session.language.look()

    def catching_up(self, statement: Statement, asks_warnings: bool) -> Flow[None]:
        """Learn what is not known of the session, before the next statement of its own."""
        session = self._session
        if not session.followed.keeps_warnings and asks_warnings:
            # Any question would clear the warnings that it asks about.
            if session.owed.foreign:
                raise (yield from self._asking.refusing(["warnings"]))
            return
        yield from self._asking.taking_over_all()
        if session.state.is_unsettled:
            yield from self.settling()

    # The application's own tracking.

    def keeping_tracking(self, statement: Statement) -> Flow[None]:
        """Let the application have the tracking that it set, in its own eyes."""
        written = statement.system_variables_written
        if any(n.startswith("session_track_") for n in written):
            session = self._session
            owed, flavor = session.owed, session.primary.connection.flavor
            replies = yield from self._asking.ask(ask_tracking(flavor))
            owed.keep_tracking(own(flavor, replies, owed.own_tracking, written))
            session.primary.connection.tails.clear()

    def tracking(self) -> Flow[None]:
        """Set our own tracking again after the application has looked at what it set."""
        session = self._session
        flavor = session.primary.connection.flavor
        session.owed.show_tracking(False)
        check((yield from self._asking.ask_before(ask_tracking(flavor))))
        session.primary.connection.tails.clear()

    def showing_tracking(self) -> Flow[None]:
        """Let the primary's connection have the tracking that the application set."""
        session = self._session
        yield from Ask(session.primary, session.owed.own_tracking)
        session.primary.connection.tails.clear()  # it is nothing that the application has set
        session.owed.show_tracking(True)

    def behind_failure(self, statement: Statement) -> Flow[None]:
        """Learn what has to be asked behind a statement that failed."""
        if runs_more(statement):
            yield from self.keeping_tracking(statement)


def tells_by_text(statement: Statement | None) -> bool:
    """Tell whether a statement's text tells all that it can have changed, should nobody else."""
    return statement is not None and not (can_commit(statement) or runs_code(statement))
