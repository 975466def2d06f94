"""Questions of rwsplit's own on connections that the application may still ask about, too.

ROW_COUNT(), FOUND_ROWS() and SHOW WARNINGS are about the statement before, and a question of ours
would become that one. So what a member knows is asked along with our question, and kept
(`Followed.told`). And what the application asks where another member ran is answered by those who
know, or refused: never a wrong number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..cause import Cause, Reason
from ..cluster.position import Position
from ..flavors.positions import POSITION_SQL, SHOWN_SQL, shown_position, told_position
from ..numbers import UNREACHABLE
from ..session.followed import FOUND_ROWS, ROW_COUNT, WARNINGS
from ..session.session import Session
from ..sql.catalogue import Unknown
from ..sql.following import ASKED, asks_more, questions_of, resets_warnings
from ..sql.statement import Kind, Statement
from ..sql.values import as_text
from ..wire import Fault, Member, raise_first, unsupported
from ..wire import Kind as Kind_
from .answer import Answer, Made, Underway
from .command import Ask, AskAllAside, AskAside, ByMethod, Claim, Exchange, FinishPrevious, Flow
from .reading_back import ask_users

__all__ = ["Asking", "without_questions"]

_ASK_COUNTS = "SELECT FOUND_ROWS(),ROW_COUNT() LIMIT 1"
_ASK_WARNINGS = "SELECT @@warning_count,@@error_count LIMIT 1"
_SHOW_WARNINGS = "SHOW WARNINGS"
_ANYTHING = "SELECT 1 LIMIT 1"
_SHOWING_WARNINGS = ("SHOW WARNINGS", "SHOW ERRORS", "SHOW COUNT")
_USES_TABLES = re.compile(r"\bFROM\b|^SHOW\b")
"""Of the questions of ours, those that clear MariaDB's list of warnings."""
_PLAIN_SHOW = re.compile(
    rb"\s*SHOW\s+(COUNT\s*\(\s*\*\s*\)\s+)?(WARNINGS|ERRORS)\s*;?\s*", re.IGNORECASE
)
_SPELT = {FOUND_ROWS: "FOUND_ROWS()", ROW_COUNT: "ROW_COUNT()", WARNINGS: "what it warned of"}
_ANSWERABLE = frozenset(
    ("SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE", "SET", "DO", "CALL")
)
"""Verbs of statements that ask when they run, and in whose text a value may stand."""


class Asking:
    """What asks a session's members."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # Questions of ours.

    def ask(
        self,
        questions: Sequence[str],
        member: Member | None = None,
        topics: Sequence[str] = (FOUND_ROWS, ROW_COUNT),
        again: bool = False,
    ) -> Flow[list[Any]]:
        """Run questions of ours where the application may still ask, too; their replies.

        What the member knows of the statement before, and our questions change, comes along and is
        kept: in the same round trip, and only where it would be asked.
        """
        session = self._session
        followed = session.followed
        member = member or session.primary
        wanted = [topic for topic in topics if followed.source(topic) is member]
        before = [_ASK_COUNTS] if wanted else []
        clears = (
            followed.keeps_warnings
            and followed.source(WARNINGS) is member
            and any(map(_USES_TABLES.search, questions))
        )
        if clears:
            before += [_ASK_WARNINGS, _SHOW_WARNINGS]
        replies = yield from Ask(member, [*before, *questions], again)
        if wanted:
            counts = replies[0]
            broken = isinstance(counts, Fault)
            found = None if broken else (int(counts.rows[0][0]), int(counts.rows[0][1]))
            followed.note_counts(found, wanted)
        if clears:
            self._keep_warnings(*replies[len(before) - 2 : len(before)])
        return replies[len(before) :]

    def ask_before(self, questions: Sequence[str], member: Member | None = None) -> Flow[list[Any]]:
        """Do so right before a statement, which need not count rows as these questions do."""
        return self.ask(questions, member, (FOUND_ROWS,))

    def position(self, member: Member) -> Flow[Position]:
        """Ask a member's server where it is."""
        questions = [POSITION_SQL[member.role][member.connection.flavor]]
        if member is self._session.primary:
            (reply,) = yield from self.ask(questions, member, (FOUND_ROWS,), again=True)
        else:
            (reply,) = yield from Ask(member, questions, again=True)
        raise_first([reply])
        return told_position(member.connection.flavor, reply.rows[0][0])

    def shown(self, member: Member) -> Flow[Position | None]:
        """Ask a replica, right before a statement, for all that it has shown to anybody.

        None where it can't tell that.
        """
        flavor = member.connection.flavor
        (reply,) = yield from Ask(member, [SHOWN_SQL[flavor]], again=True)
        raise_first([reply])
        return shown_position(flavor, reply.rows[0][0])

    def position_aside(self, hastily: bool = False) -> Flow[Position]:
        """Ask the primary where it is, on another connection than the application's.

        So what the application may ask about its last statement stays as it was: its warnings,
        ROW_COUNT(), FOUND_ROWS(), and the rows that it has not read yet.
        """
        session = self._session
        connection = session.primary.connection
        if connection.has_foreign_socket:
            return (yield from self.position(session.primary))
        # One that is open is worth a try: a busy primary is late for the monitor, too.
        tries = session.cluster.primary_is_up or (connection.open and not hastily)
        if session.hold.revives and not tries:
            raise Fault(UNREACHABLE, "the primary is away", Kind_.LOST)
        return (yield from AskAside(hastily))

    def _keep_warnings(self, counts: Any, shown: Any) -> None:
        """Keep the warnings of the application, which a question of ours has cleared."""
        if isinstance(counts, Fault) or isinstance(shown, Fault):
            return
        session = self._session
        warned, failed = map(int, counts.rows[0])
        encoding = session.primary.connection.encoding
        rows = [
            (as_text(level), int(code), text.decode(encoding, "replace"))
            for level, code, text in shown.rows
        ]
        session.followed.keep_warnings(warned, failed, shown.fields, rows)

    # The catalogue.

    def resolving(self, statement: Statement) -> Flow[Statement]:
        """Return a statement as it is once the functions that it calls are known."""
        session = self._session
        catalogue, schema = session.cluster.catalogue, session.state.schema
        refused: set[Unknown] = set()
        while True:
            found = catalogue.resolve(
                statement,
                schema,
                session.language.dialect,
                session.options.functions,
                refused,
                session.clock(),
            )
            if not isinstance(found, Unknown):
                return found  # type: ignore[no-any-return]
            try:
                catalogue.learn(found, *(yield from self._ask_catalogue(found.questions())))
            except Fault as fault:
                if fault.is_lost:
                    raise
                refused.add(found)

    def _ask_catalogue(self, questions: Sequence[str]) -> Flow[list[Any]]:
        """Return the rows that answer questions to the primary's catalogue.

        Where to ask means something to the session's transactions, or its connection is lost while
        it has none there, another connection asks.
        """
        session = self._session
        means_nothing = not session.state.traits.catalogue_is_transactional or session.is_between
        if means_nothing and (session.primary.connection.open or not session.hold.revives):
            try:
                replies = yield from self.ask_before(questions)
                raise_first(replies)
                return [reply.rows for reply in replies]
            except Fault as fault:
                if not fault.is_lost or session.in_transaction or not session.hold.revives:
                    raise
                session.hold.drop()
        try:
            return (yield from AskAllAside(questions))
        except Fault as fault:
            raise unsupported("the primary's catalogue can't be asked now") from fault

    # What the application asks.

    def refusing(self, topics: Sequence[str]) -> Flow[Fault]:
        """Return what a statement gets whose question nobody can answer."""
        yield from self._hearing()
        self._session.followed.note_error()  # as behind any error
        what = ", ".join([_SPELT[topic] for topic in topics])
        return unsupported(
            f"{what} is asked for in a statement that does not run where the one before it ran, "
            "and can't be answered there; ask for it right behind that one, in a SELECT of its own"
        )

    def answering(self, underway: Underway) -> Flow[Answer | None]:
        """Have what a statement asks about one before put into it, by those who know.

        Returns its answer if nobody needs to run it any more. Raises 1235 where the answers can't
        be put in.
        """
        session, statement = self._session, underway.statement
        followed, primary = session.followed, session.primary
        asked = questions_of(statement, session.cluster.flavor)
        if statement.verb == "EXECUTE":
            asked |= session.state.asked_by(statement.name or "")
        topics = sorted(asked)
        if statement.parts and not topics:
            return None  # it is about one of its own
        shows_them = statement.verb.startswith(_SHOWING_WARNINGS)
        if followed.keeps_warnings and not shows_them and resets_warnings(statement, 0):
            # On MariaDB it finds no warnings but its own.
            topics = [topic for topic in topics if topic != WARNINGS]
        if shows_them:
            shown = self._show_kept(underway.sql, statement.reason)
            if shown is not None:
                return shown
        sources = [followed.source(topic) for topic in topics]
        # What a replica has put into a variable is not everywhere yet.
        reads_foreign = bool(session.owed.foreign) and asks_more(statement)
        if all(source is primary for source in sources) and not reads_foreign:
            if not topics:
                underway.take(without_questions(statement))
            return None
        if (
            len({*map(id, sources)}) == 1
            and not (sources[0] is None or isinstance(sources[0], int))
            and statement.kind is Kind.FOLLOW_READ
            and not asks_more(statement)
        ):
            return None
        # Few programs ask so, and it brings the classifier.
        from ..sql.asking import answer  # noqa: PLC0415

        text = None
        dialect = session.language.dialect
        if statement.verb in _ANSWERABLE and (underway.sql.isascii() or dialect.utf8):
            text = underway.sql.decode("utf-8", "surrogateescape")
        known = yield from self.answers(topics)
        told = None if text is None else answer(text, dialect, topics, known)
        if told is None:
            raise (yield from self.refusing(topics))
        yield from self.taking_over_all()
        encoded = told.text.encode("utf-8", "surrogateescape")
        underway.rewrite(without_questions(statement), encoded, told.names)
        return None

    def answers(self, topics: Sequence[str]) -> Flow[dict[str, int]]:
        """Ask those who know; they can't be asked again, so that the answers are kept."""
        session = self._session
        followed = session.followed
        asked: list[Member] = []
        for topic in topics:
            source = followed.source(topic)
            if source is None:
                raise (yield from self.refusing(topics))
            if isinstance(source, int):
                continue
            of_warnings = topic == WARNINGS
            if followed.skipped and source is session.primary:
                # It is about what was not sent.
                if topic == ROW_COUNT:
                    followed.note_told(row_count=0)
                    continue
                if of_warnings and not followed.keeps_warnings:
                    followed.note_told(warning_count=0, error_count=0)
                    continue
            if of_warnings and source in asked:
                # The other answer has cleared the warnings.
                raise (yield from self.refusing(topics))
            try:
                question = _ASK_WARNINGS if of_warnings else _ASK_COUNTS
                (reply,) = yield from self._using(source, Ask(source, [question]))
                raise_first([reply])
            except Fault as fault:
                if source is session.primary or not fault.is_lost:
                    raise
                raise (yield from self.refusing(topics)) from fault
            asked.append(source)
            first, second = map(int, reply.rows[0])
            if of_warnings:
                followed.note_told(warning_count=first, error_count=second)
                continue
            if followed.source(FOUND_ROWS) is source:
                followed.note_told(found_rows=first)
            if followed.source(ROW_COUNT) is source:
                followed.note_told(row_count=second)
        return {**followed.told}

    def _using(self, member: Member, flow: Any) -> Flow[Any]:
        """Have something done on a member, which is not given up as idle meanwhile."""
        snapshot = self._session.snapshot_on(member)
        if snapshot is None:
            return (yield from flow)
        yield from Claim(snapshot)
        try:
            return (yield from flow)
        finally:
            snapshot.release()

    def _show_kept(self, sql: bytes, reason: Reason) -> Answer | None:
        """Show warnings that were kept; None if there are none, or they are asked otherwise."""
        session = self._session
        followed = session.followed
        asked = _PLAIN_SHOW.fullmatch(sql)
        if followed.kept_warnings is None or asked is None:
            return None
        fields, rows = followed.kept_warnings
        errors = asked[2].upper() == b"ERRORS"
        if asked[1]:
            name = "error_count" if errors else "warning_count"
            fields, rows = [(f"@@session.{name}", False)], [(followed.told[name],)]
        elif errors:
            rows = [row for row in rows if row[0] == "Error"]
        followed.note_last(session.primary, warned=False)
        followed.note_sent()
        followed.note_error()
        return Answer(session.primary.taken(reason), made=Made(fields, rows))

    def asking_last(self, underway: Underway) -> Flow[tuple[Member, Any] | Reason]:
        """Ask the member that knows of the statement before.

        Returns it and its result, or why the primary is to run the statement.
        """
        session, statement = self._session, underway.statement
        followed = session.followed
        depends = statement.depends
        member = followed.last
        if FOUND_ROWS in depends and followed.counted is not None:
            member = followed.counted
        elif WARNINGS in depends and followed.warned is not None:
            member = followed.warned
        if member is session.primary:
            return statement.reason
        try:
            result = yield from self._using(member, self._ask_there(member, underway))
        except Fault as fault:
            if not fault.is_lost:
                raise
            # It has taken what it knew along.
            if FOUND_ROWS in depends:
                raise (yield from self.refusing([FOUND_ROWS])) from fault
            return Reason(f"{member.name} was lost", Cause.REPLICA_ERROR)
        if statement.user_variables_written:
            session.owed.note_foreign(member, statement.user_variables_written)
        yield from self._hearing()
        return member, result

    def _ask_there(self, member: Member, underway: Underway) -> Flow[Any]:
        yield from FinishPrevious(member)
        yield from self._bringing_up_to_date(member)
        return (yield from Exchange(member, [], raise_first, underway.sql, underway.unbuffered))

    def _hearing(self) -> Flow[None]:
        """Ask the primary whether a transaction is open, where its last answer was an error.

        The one to the next statement would tell; here that is answered by another member.
        """
        session = self._session
        state, connection = session.state, session.primary.connection
        if (
            state.untold is None
            or not session.in_transaction
            or session.owed.pending
            or session.owed.unsent
            or state.next_transaction  # it may be used up
            or connection.is_reading
        ):
            return
        try:
            yield from self.ask([_ANYTHING])
        except Fault as fault:
            if not fault.is_lost:
                raise
            return  # the next statement there finds out, and what that means
        session.transaction.doubt(False)
        state.hear_status(connection.server_status)

    def _bringing_up_to_date(self, member: Member) -> Flow[None]:
        """Bring the session's state to a replica that is asked about a statement before.

        What it knows of that one outlives a SET.
        """
        state = self._session.state
        if member.version != state.version:
            *first, last = state.difference(member.version)[0] or [""]
            if first:
                raise_first((yield from Ask(member, first)))
            if last.startswith("USE ") and state.schema is not None:
                # MySQL keeps its warnings behind the command, as behind the application's own.
                yield from ByMethod(member, "select_db", state.schema)
            elif last:
                raise_first((yield from Ask(member, [last])))
            member.connection.tails.clear()
            member.brought(state.version)

    def showing_warnings(self) -> Flow[Any]:
        """Return the warnings of the last statement, from the member that ran it."""
        session = self._session
        followed = session.followed
        if followed.warned is None:
            raise (yield from self.refusing([WARNINGS]))
        member = followed.ask_about_warnings()
        kept = followed.kept_warnings
        if followed.skipped and member is session.primary and not followed.keeps_warnings:
            kept = (), []  # nothing was sent, which would have cleared them
        else:
            followed.note_sent()
        followed.note_error()  # it is a SHOW
        if kept is not None:
            return tuple(kept[1])
        try:
            return (yield from self._using(member, ByMethod(member, "show_warnings")))
        except Fault as fault:
            if member is session.primary or not fault.is_lost:
                raise
            return ()  # the replica was lost, and its warnings with it

    # What replicas have set.

    def taking_over_all(self) -> Flow[None]:
        """Bring what replicas have set to the primary, what was set last at last."""
        owed = self._session.owed
        while owed.foreign:
            yield from self._taking_over(*owed.take_foreign())

    def _taking_over(self, member: Member, names: frozenset[str]) -> Flow[None]:
        """Bring user variables that a replica set (GET DIAGNOSTICS) to the primary."""
        session = self._session
        state = session.state
        version = state.version
        sql, take = ask_users(state, sorted(names))
        try:
            (reply,) = yield from self.ask_before([sql], member)
        except Fault as fault:
            if not fault.is_lost:
                raise
            session.cluster.warn(
                "replica %s was lost, and what a statement there put into @%s",
                member.name,
                ", @".join(sorted(names)),
            )
            return
        take(reply)
        difference, _ = state.difference(version)
        if difference:
            raise_first((yield from Ask(session.primary, difference)))
        session.primary.connection.tails.clear()


def without_questions(statement: Statement) -> Statement:
    """Return a statement whose questions about others are answered, as one for the primary."""
    kind = Kind.PRIMARY_READ if statement.kind is Kind.FOLLOW_READ else statement.kind
    return statement._replace(kind=kind, depends=statement.depends - ASKED)
