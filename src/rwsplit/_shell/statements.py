"""Running statements: each goes where it belongs, and what the servers say of it is learned."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any

from .._core.cause import Cause, Reason
from .._core.deadline import Deadline
from .._core.dialect import Dialect
from .._core.failure import was_killed
from .._core.flows.reading import Read, Served, Unserved
from .._core.following import (
    ASKED,
    asks_more,
    questions_of,
    resets_warnings,
    runs_more,
    shows_data,
    shows_tracking,
)
from .._core.numbers import (
    BAD_DB,
    NET_PACKET_TOO_LARGE,
    NO_SUCH_TABLE,
    NOT_SUPPORTED_YET,
    PARSE_ERROR,
    READ_ONLY_TRANSACTION,
    SERVER_GONE,
    SERVER_LOST,
)
from .._core.position import Position, encode
from .._core.route import OPEN, Destination, Route, RouteTaken, route
from .._core.session.followed import Followed
from .._core.session.seen import Sight
from .._core.session.state import (
    AUTOCOMMIT,
    IN_TRANSACTION,
    LEXING,
    can_commit,
    can_write,
    changes_globals,
    runs_code,
)
from .._core.session.terms import Terms
from .._core.session.transaction import Transaction
from .._core.session_id import parse_use
from .._core.statement import Hint, Kind, Statement, because
from .._core.tracking import only_gtid, parse_tails
from .._core.values import as_text, quote_identifier
from .._core.wire import Fault
from .._drivers import err
from .._drivers.pymysql import (
    DEFAULT_ENCODERS,
    error_of,
    fault_of,
    in_use,
    lost,
    made_result,
    raise_first,
    rename,
)
from .._stores import SessionStore
from .catalogue import changes_functions
from .context import Context, current
from .hold import Hold, refuses_writes
from .log import logger
from .member import Member, ask_all_aside, keep_tracking
from .outcome import OutcomeUnknown, deadlock, loss
from .process import ProcessPosition
from .read_back import read_back, report, user_variables
from .replicas import Replicas
from .scope import Listeners, Scope, ScopePosition
from .sharing import Sharing
from .weakly import weakly

if TYPE_CHECKING:
    from .._core.rules import Matched

__all__ = ["AGAIN", "NOTHING", "PRIMARYS_SHARE", "ROLLBACK", "Statements"]

_NO_BACKSLASH_ESCAPES = 512
"""A bit of the server's status: its sql_mode has that flag."""
PRIMARYS_SHARE = Reason("it is of the primary's share of the reads", Cause.SHARE)
_SHOWING_WARNINGS = ("SHOW WARNINGS", "SHOW ERRORS", "SHOW COUNT")
ROLLBACK = b"ROLLBACK AND NO CHAIN NO RELEASE"
"""One of our own, whatever the session's completion_type is."""
_NOTHING_OPEN = [ROLLBACK]
"""What stands for statements that were not sent, for one that asks about them."""
_LEAVES_OPEN = [b"SAVEPOINT `rwsplit asks`"]
"""The same where the primary may hold something: it counts no rows and ends nothing."""
_READ = Kind.READ
_REPLICA = Destination.REPLICA
_LAST = Destination.LAST
_INTERRUPTED = Statement(
    Kind.UNKNOWN, because(Kind.UNKNOWN, "it was interrupted"), implicit_commit=True
)
"""Whatever it was, it may have been committed."""
NOTHING = Statement(Kind.READ, because(Kind.READ, "nothing was sent"))
_UNKNOWN = Statement(
    Kind.UNKNOWN, Reason("more than one", Cause.NOT_UNDERSTOOD), may_change_session=True
)
_BY_METHOD = {verb: Reason(verb, Cause.TRANSACTION) for verb in ("BEGIN", "COMMIT", "ROLLBACK")}
_ONE = (1, "1", b"1")

_LOOK_AGAIN_SECONDS = 0.2
"""How often a read that waits for a server looks who can serve it."""
_NOBODY = ProcessPosition()
"""For who does not share the session of the process."""
_MOST_TRIES = 3
"""How often a read is tried again that was lost with the primary."""
_ASK_COUNTS = "SELECT FOUND_ROWS(),ROW_COUNT() LIMIT 1"
_ASK_WARNINGS = "SELECT @@warning_count,@@error_count LIMIT 1"
_SHOW_WARNINGS = "SHOW WARNINGS"
_USES_TABLES = re.compile(r"\bFROM\b|^SHOW\b")
"""Of the questions of ours, those that clear MariaDB's list of warnings."""
_PLAIN_SHOW = re.compile(
    rb"\s*SHOW\s+(COUNT\s*\(\s*\*\s*\)\s+)?(WARNINGS|ERRORS)\s*;?\s*", re.IGNORECASE
)
_SPELT = {
    "found_rows": "FOUND_ROWS()",
    "row_count": "ROW_COUNT()",
    "warnings": "what it warned of",
}
_ANSWERABLE = frozenset(
    ("SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE", "SET", "DO", "CALL")
)
"""Verbs of statements that ask when they run, and in whose text a value may stand."""
_WORDS = re.compile(r"[\w@.,()*\s]*", re.ASCII)
"""A text that is read alike under every sql_mode and in every character set of a client."""
AGAIN: Any = object()
"""No context: what the block says has to be looked at again."""


_READS = (
    *(Kind.READ, Kind.PRIMARY_READ, Kind.FOLLOW_READ),
    *(Kind.SESSION, Kind.TRANSACTION),
)
"""Of kinds: those that a server runs in a READ ONLY transaction."""


def _gone() -> err.OperationalError:
    return err.OperationalError(SERVER_GONE, "MySQL server has gone away")


def _begins_none(code: int, statement: Statement) -> bool:
    """Tell whether a statement that failed so has begun no transaction (tried on both flavors)."""
    if code in (NO_SUCH_TABLE, BAD_DB):
        return statement.kind is Kind.READ and not (statement.parts or statement.functions)
    return bool(code == PARSE_ERROR)


def _without_questions(statement: Statement) -> Statement:
    """Return a statement whose questions about others are answered, as one for the primary."""
    kind = Kind.PRIMARY_READ if statement.kind is Kind.FOLLOW_READ else statement.kind
    return statement._replace(kind=kind, depends=statement.depends - ASKED)


class Statements(Hold):
    """How a virtual connection runs statements; `Connection` is what it looks like."""

    route: RouteTaken | None
    """The route that the last statement took."""
    encoding: str
    sql_mode: str | None
    _replicas: Replicas
    _terms: Terms
    _result: Any
    """What the application sees of the last statement; None once PyMySQL would not know it."""
    _turn: Any
    """Held by the thread whose statement is running."""
    _affected_rows: Any
    _template: tuple[Any, str] | None
    _asked: Hint | None
    """What is asked for beside the text; what the text asks for itself goes before it."""
    _only_reads: bool
    """What may write is refused."""

    _transaction: Transaction
    _transacts: bool
    """Whether the reads of transactions may run on replicas."""
    _unsent: list[bytes]
    """What the primary must be sent before its next statement."""

    _followed: Followed
    """Whom to ask about the statement before."""
    _foreign: list[tuple[Member, frozenset[str]]]
    """The replicas that have set user variables, and which."""

    # What reads must see, and who shares it.
    _must_see: bool
    """As the terms say; at hand for the straight road."""
    _may_be_free: bool
    _free: bool
    """A plain read may go to any replica without more ado."""
    _store: SessionStore | None
    _sharing: Sharing | None
    _alone: tuple[Position, Position, bool] | None
    _named_id: str | None
    _keeps_position: bool
    """Who shares the session changes, and what it must see does not."""
    _context: Context | None
    """What the block says that the session has been brought to."""
    _scope: Scope | None
    _part: ScopePosition | None
    """What the scope must see of this primary."""
    _outside: dict[str | None, Sight]
    """By replica, what reads have seen that do not bind those of the scope."""
    _key: str | None
    _process: ProcessPosition
    """What others have committed that share the session: of this process, or of a scope."""
    _heard: object
    """What there was of that when it was last looked at."""

    _ruling: bool
    """The rules have been asked about the statement that is being run."""
    _rule: Matched | None
    """The one that matches it."""
    _controlling: bool
    """A statement about rwsplit's own variables is being run."""
    _id_kind: str
    """The kind of session id."""

    _lexing: tuple[str | None, ...]
    _pending: bool
    """Results of the primary are still to be read."""
    _shows_tracking: bool
    _own_tracking: list[str]

    def query(self, sql: Any, unbuffered: bool = False) -> Any:
        """Run a statement where it belongs; the cursors call this."""
        turn, primary = self._turn, self.driver_connection
        if not turn.acquire(False):
            raise in_use()
        writes = primary.writes
        self._result = None
        try:
            rows = self._run(sql, unbuffered)
            self._result.thread = get_ident()
            return rows
        except err.MySQLError:
            raise
        except BaseException:
            self._note_interrupt(writes)
            raise
        finally:
            turn.release()

    @contextmanager
    def _asking(self, hint: Hint, only_reads: bool = False) -> Iterator[None]:
        """Give the statements of this block a hint beside their texts.

        For frameworks, which must not change a text. With `only_reads`, what may write raises
        OperationalError 1792 before anything is sent.
        """
        before = self._asked, self._only_reads
        self._asked, self._only_reads = hint, only_reads
        try:
            yield
        finally:
            self._asked, self._only_reads = before

    @contextmanager
    def _having_turn(self) -> Iterator[None]:
        """Do what has a method of its own; raises InterfaceError amid another thread's statement.

        What was interrupted amid its way to the primary and back is lost with the connection.
        """
        if not self._turn.acquire(False):
            raise in_use()
        writes = self.driver_connection.writes
        try:
            yield
        except err.MySQLError:
            raise
        except BaseException:
            self._note_interrupt(writes)
            raise
        finally:
            self._turn.release()

    def _note_interrupt(self, writes: int) -> None:
        """Give the primary's connection up if it was written to since: nobody knows where it is.

        What is half done may be half of a transaction, or a commit of which nobody knows.
        """
        primary = self.driver_connection
        self._result = None
        if "_session" in self.__dict__ and (primary.due or primary.writes != writes):
            gone = err.OperationalError(SERVER_LOST, "the statement was interrupted")
            self._note_loss(gone, _INTERRUPTED, self._session.status)

    def _run(self, sql: Any, unbuffered: bool) -> Any:
        if self._cluster.rules and not self._ruling:
            return self._query_by_rules(sql, unbuffered)
        template, self._template = self._template, None
        if self.driver_connection._sock is None:
            self._go_without()
        if self._pending:
            self._finish_pending()
        session = self._session
        if current.get() is not self._context:
            self._share()
        if session.unread and not session.unread.isdisjoint(LEXING) and not self._only_asks(sql):
            report(session, self.driver_connection, sorted(session.unread & LEXING))
            self._choose_classifier()
        statement = self._classify(sql, template)
        if not isinstance(sql, bytes):
            sql = (
                sql.encode(self.driver_connection.encoding) if isinstance(sql, str) else bytes(sql)
            )
        # A BEGIN that was not sent yet is nothing that a server has told of: it is asked for here.
        if (
            self._free
            and statement.plain
            and self._asked is None
            and self._rule is None
            and not self._transaction.begin
            and (self._process.latest is self._heard or not self._must_see)
        ):
            shows = bool(statement.tables) or statement.verb != "SELECT"
            member = self._replicas.ready_member(shows)
            if member is not None:
                return self._query_ready(member, statement, sql, unbuffered, template)
        if self._transaction.lost and self._end_lost(statement):
            return self._affected_rows
        if (
            statement.controls
            and not self._controlling
            and self._control(statement, sql, unbuffered)
        ):
            return self._affected_rows
        if statement.kind is not Kind.FOLLOW_READ and (self._foreign or session.is_unsettled):
            self._catch_up(statement)
        if statement.verb == "EXECUTE" and session.prepared:
            statement = session.executed(statement)
        if statement.functions and self._terms.splits:
            statement = self._cluster.catalogue.resolve(
                statement,
                self._ask_catalogue,
                session.schema,
                self._classifier.dialect,
                self._options.functions,
            )
        if statement.foreign_hints and self._options.hints:
            statement = self._translate_hints(statement)
        if self._asked is not None:
            statement = statement._replace(hint=self._asked.under(statement.hint))
        if self._only_reads and statement.kind not in _READS:
            raise err.OperationalError(
                READ_ONLY_TRANSACTION,
                f"Cannot execute statement in a READ ONLY transaction ({statement.reason}).",
            )
        if statement.bad_hint is not None:
            self._cluster.warn_once("%s; it is not followed", statement.bad_hint)
        if statement.kind is Kind.UNKNOWN:
            self._cluster.counts["unknown statements"] += 1
        use = self._use_with_id(statement, sql)
        if use is not None:
            statement, sql = use
        if self._asks(statement):
            return self._query_asking(statement, sql, unbuffered)
        return self._run_known(statement, sql, unbuffered, template)

    def _run_known(
        self,
        statement: Statement,
        sql: bytes,
        unbuffered: bool,
        template: tuple[Any, str] | None = None,
    ) -> Any:
        """Run a statement that is known in full."""
        session = self._session
        if self._transacts:
            status = session.status
            if status & IN_TRANSACTION:
                if statement.transaction is None and statement.kind is not Kind.FOLLOW_READ:
                    self._note_on_primary(statement)
                    reason = OPEN if statement.kind is _READ else statement.reason
                    return self._query_primary(statement, reason, sql, unbuffered)
            elif (
                not status & AUTOCOMMIT
                or self._transaction.begin
                or statement.kind is Kind.TRANSACTION
            ) and self._transact(statement, sql, unbuffered, template):
                return self._affected_rows
        decision = self._decide(statement)
        if decision.destination is _REPLICA and self._terms.splits:
            return self._query_replica(statement, decision, sql, unbuffered, template)
        if decision.destination is _LAST:
            return self._query_last(statement, decision.reason, sql, unbuffered)
        reason = decision.reason
        if statement.kind is _READ and self._terms.unsplit is not None:
            reason = self._terms.unsplit
        return self._query_primary(statement, reason, sql, unbuffered)

    def _only_asks(self, sql: Any) -> bool:
        """Tell whether a text asks about the statement before, however it is read.

        What is in doubt waits then: MySQL clears the warnings for any statement of ours.
        """
        text = sql if isinstance(sql, str) else bytes(sql).decode("latin-1")
        if _WORDS.fullmatch(text) is None:
            return False
        return self._classify(sql, None).kind is Kind.FOLLOW_READ

    def _catch_up(self, statement: Statement) -> None:
        """Learn what is not known of the session, before the next statement of its own."""
        if not self._followed.keeps_warnings and "warnings" in questions_of(statement, "mysql"):
            # Any question would clear the warnings that it asks about.
            if self._foreign:
                raise self._refusal(["warnings"])
            return
        self._take_over_all()
        if self._session.is_unsettled:
            self._settle()

    # Statements about the statement before.

    def _query_asking(self, statement: Statement, sql: bytes, unbuffered: bool) -> Any:
        """Run a statement that asks about one before, with the answers of those who know.

        Raises NotSupportedError where they can't be put in: never a wrong number.
        """
        asked = questions_of(statement, self._cluster.flavor)
        if statement.verb == "EXECUTE":
            asked |= self._session.asking.get(statement.name or "", frozenset()) & ASKED
        topics = sorted(asked)
        if statement.parts and not topics:
            return self._run_known(statement, sql, unbuffered)  # it is about one of its own
        shows_them = statement.verb.startswith(_SHOWING_WARNINGS)
        if self._followed.keeps_warnings and not shows_them and resets_warnings(statement, 0):
            # On MariaDB it finds no warnings but its own.
            topics = [topic for topic in topics if topic != "warnings"]
        if shows_them and self._show_kept(sql, statement.reason):
            return self._affected_rows
        sources = [self._followed.source(topic) for topic in topics]
        # What a replica has put into a variable is not everywhere yet.
        reads_foreign = bool(self._foreign) and asks_more(statement)
        if all(source is self._primary for source in sources) and not reads_foreign:
            if not topics:
                statement = _without_questions(statement)
            return self._run_known(statement, sql, unbuffered)
        if (
            len({*map(id, sources)}) == 1
            and isinstance(sources[0], Member)
            and statement.kind is Kind.FOLLOW_READ
            and not asks_more(statement)
        ):
            return self._run_known(statement, sql, unbuffered)
        # Few programs ask so, and it brings the classifier.
        from .._core.asking import answer  # noqa: PLC0415

        text = None
        if statement.verb in _ANSWERABLE and (sql.isascii() or self._classifier.dialect.utf8):
            text = sql.decode("utf-8", "surrogateescape")
        known = self._answers(topics)
        told = None if text is None else answer(text, self._classifier.dialect, topics, known)
        if told is None:
            raise self._refusal(topics)
        statement = _without_questions(statement)
        self._take_over_all()
        rows = self._run_known(statement, told.text.encode("utf-8", "surrogateescape"), unbuffered)
        rename(self._result, told.names)
        return rows

    def _asks(self, statement: Statement) -> bool:
        """Tell whether a statement asks what one before it has left: see `ASKED`."""
        if not statement.depends.isdisjoint(ASKED):
            return True
        return statement.verb == "EXECUTE" and statement.name in self._session.asking

    def _answers(self, topics: list[str]) -> dict[str, int]:
        """Ask those who know; they can't be asked again, so that the answers are kept."""
        told = self._followed.told
        asked: list[Member] = []
        for topic in topics:
            source = self._followed.source(topic)
            if source is None:
                raise self._refusal(topics)
            if isinstance(source, int):
                continue
            of_warnings = topic == "warnings"
            if self._followed.skipped and source is self._primary:
                # It is about what was not sent.
                if topic == "row_count":
                    told["row_count"] = 0
                    continue
                if of_warnings and not self._followed.keeps_warnings:
                    told["warning_count"] = told["error_count"] = 0
                    continue
            if of_warnings and source in asked:
                raise self._refusal(topics)  # the other answer has cleared the warnings
            try:
                with self._in_use(source):
                    reply = source.connection.ask(_ASK_WARNINGS if of_warnings else _ASK_COUNTS)
            except err.MySQLError as error:
                if source is self._primary or not lost(error):
                    raise
                raise self._refusal(topics) from error
            asked.append(source)
            first, second = map(int, reply)
            if of_warnings:
                told["warning_count"], told["error_count"] = first, second
                continue
            if self._followed.source("found_rows") is source:
                told["found_rows"] = first
            if self._followed.source("row_count") is source:
                told["row_count"] = second
        return {**told}

    def _ask(
        self,
        questions: Sequence[str],
        member: Member | None = None,
        topics: Sequence[str] = ("found_rows", "row_count"),
    ) -> list[Any]:
        """Run questions of ours on a connection that the application may still ask, too.

        What it knows of the statement before, and our questions change, comes along and is kept in
        `_told`: in the same round trip, and only where it would be asked.
        """
        member = member or self._primary
        ask = member.connection.ask_all
        wanted = [topic for topic in topics if self._followed.source(topic) is member]
        before = [_ASK_COUNTS] if wanted else []
        clears = (
            self._followed.keeps_warnings
            and self._followed.source("warnings") is member
            and any(map(_USES_TABLES.search, questions))
        )
        if clears:
            before += [_ASK_WARNINGS, _SHOW_WARNINGS]
        if not before:
            return ask(questions)
        replies = ask([*before, *questions])
        if wanted:
            counts = replies[0]
            broken = isinstance(counts, err.MySQLError)
            found = None if broken else (int(counts.rows[0][0]), int(counts.rows[0][1]))
            self._followed.note_counts(found, wanted)
        if clears:
            self._keep_warnings(*replies[len(before) - 2 : len(before)])
        return replies[len(before) :]

    def _keep_warnings(self, counts: Any, shown: Any) -> None:
        """Keep the warnings of the application, which a question of ours has cleared."""
        if isinstance(counts, err.MySQLError) or isinstance(shown, err.MySQLError):
            return
        warned, failed = map(int, counts.rows[0])
        encoding = self.driver_connection.encoding
        rows = [
            (as_text(level), int(code), text.decode(encoding, "replace"))
            for level, code, text in shown.rows
        ]
        self._followed.keep_warnings(warned, failed, shown.fields, rows)

    def _show_kept(self, sql: bytes, reason: Reason) -> bool:
        """Show warnings that were kept; False if there are none, or they are asked otherwise."""
        asked = _PLAIN_SHOW.fullmatch(sql)
        if self._followed.kept_warnings is None or asked is None:
            return False
        fields, rows = self._followed.kept_warnings
        errors = asked[2].upper() == b"ERRORS"
        if asked[1]:
            name = "error_count" if errors else "warning_count"
            fields, rows = [(f"@@session.{name}", False)], [(self._followed.told[name],)]
        elif errors:
            rows = [row for row in rows if row[0] == "Error"]
        self._result = result = made_result(self.driver_connection, fields, rows)
        self.route = result.route = self._primary.taken(reason)
        self._affected_rows = result.affected_rows
        self._followed.note_last(self._primary, warned=False)
        self._followed.skipped = False
        self._followed.note_error()
        return True

    def _ask_before(self, questions: Sequence[str], member: Member | None = None) -> list[Any]:
        """Do so right before a statement, which need not count rows as these questions do."""
        return self._ask(questions, member, ("found_rows",))

    def _ask_catalogue(self, questions: Sequence[str]) -> list[Any]:
        """Return the rows that answer questions to the primary's catalogue.

        MySQL keeps it in InnoDB's tables: to ask uses up the level of the next transaction, and
        begins a snapshot where autocommit is off, or a transaction has none yet (tried). There
        another connection asks.
        """
        session = self._session
        between = session.status & (IN_TRANSACTION | AUTOCOMMIT) == AUTOCOMMIT
        if self._cluster.flavor != "mysql" or (between and not session.next_transaction):
            replies = self._ask_before(questions)
            raise_first(replies)
            return [reply.rows for reply in replies]
        try:
            return ask_all_aside(self._cluster, self._account, questions)
        except err.MySQLError as error:
            raise err.NotSupportedError(
                NOT_SUPPORTED_YET, "the primary's catalogue can't be asked now"
            ) from error

    def _refusal(self, topics: list[str]) -> err.NotSupportedError:
        self._followed.note_error()  # as behind any error
        what = ", ".join([_SPELT[topic] for topic in topics])
        return err.NotSupportedError(
            NOT_SUPPORTED_YET,
            f"{what} is asked for in a statement that does not run where the one before it ran, "
            "and can't be answered there; ask for it right behind that one, in a SELECT of its own",
        )

    def _decide(self, statement: Statement, in_snapshot: bool = False) -> Route:
        """Decide where a statement goes, with what must be known for that."""
        session = self._session
        decision = self._route(statement, in_snapshot)
        if decision.destination is _REPLICA and self._terms.splits and session.doubts(statement):
            self._read_back(statement)
            decision = self._route(statement, in_snapshot)
        if decision.destination is _REPLICA and self._terms.splits:
            if not in_snapshot and self._is_primarys_share(statement):
                return Route(Destination.PRIMARY, PRIMARYS_SHARE)
            decision = self._bounded(statement, decision)
        return decision

    def _read_back(self, statement: Statement) -> None:
        """Ask the primary what a read for replicas may depend on, and is not known."""
        session = self._session
        try:
            read_back(session, self.driver_connection, self._ask_before, statement)
        except err.MySQLError as error:
            if not lost(error) or session.bound:
                raise
            # It was a rumour, and nobody can be asked any more.
            self._drop_primary()
            session.forget_hearsay()

    def _bounded(self, statement: Statement, decision: Route) -> Route:
        """Add to the route of a read for replicas what its rule says, and what others wrote."""
        if self._rule is not None:
            decision = self._by_rule(self._rule, statement, decision)
        if self._terms.group is not None:
            decision = decision._replace(group=self._terms.group)
        if self._sharing is not None:
            decision = self._look_at_store(decision)
        if decision.consistency != "eventual" and self._has_news():
            self._hear()
        return decision

    def _is_primarys_share(self, statement: Statement) -> bool:
        """Tell whether this read for replicas is one of those that the primary is to serve."""
        share = self._terms.primary_share
        return (
            share > 0
            and (statement.hint is None or statement.hint.route is None)
            and (self._rule is None or not self._rule.sends)
            and self._cluster.primary_is_up
            and self._cluster.dice.random() < share
            and self._primary_answers()
        )

    def _primary_answers(self) -> bool:
        """Tell whether a read may be given to the primary without waiting for one."""
        if not self._has_left():
            return True
        if self.driver_connection._sock is not None:
            self._drop_primary()
        return self._has_primary()

    def _prepare(self) -> None:
        """Do what comes before every statement."""
        if self.driver_connection._sock is None:
            self._go_without()
        if self._pending:
            self._finish_pending()
        self._check_lost()
        if current.get() is not self._context:
            self._share()

    def _have_primary(self) -> None:
        """Have the connection to the primary that the next statement needs."""
        if self._lacks_primary():
            self._regain_primary()

    def _lacks_primary(self) -> bool:
        """Tell whether the primary must be connected to again; the cluster is used from now on."""
        self._cluster.used = True
        if not self._revives:
            return False
        self._cluster.monitor.watch()
        return self._has_left()

    def _regain_primary(self) -> None:
        self._leave_primary()
        self._need_primary()

    def _leave_primary(self) -> None:
        """Let go of a connection to the primary that is of no more use.

        Raises the error of a transaction that was open there.
        """
        status = self._session.status
        if self.driver_connection._sock is not None:
            self._drop_primary()
            if status & IN_TRANSACTION:
                raise self._note_loss(_gone(), NOTHING, status)
        self._go_without()
        self._check_lost()

    def _transact(
        self,
        statement: Statement,
        sql: bytes,
        unbuffered: bool = False,
        template: tuple[Any, str] | None = None,
        quiet: bool = False,
    ) -> bool:
        raise NotImplementedError

    def _query_by_rules(self, sql: Any, unbuffered: bool) -> Any:
        raise NotImplementedError

    def _by_rule(self, matched: Matched, statement: Statement, decision: Route) -> Route:
        raise NotImplementedError

    def _control(self, statement: Statement, sql: bytes, unbuffered: bool) -> bool:
        raise NotImplementedError

    def _go_without(self) -> None:
        """Go on while the connection to the primary is lost: most reads don't need it.

        A transaction that was open there is lost with it. Raises the error of a connection that
        was closed, and of a session that can't go on on another connection.
        """
        session = self._session
        if not self._ended and self._revives and session.status & IN_TRANSACTION:
            self._note_loss(_gone(), NOTHING, session.status)
        self._check_revivable()
        session.forget_hearsay()

    def _check_lost(self) -> None:
        """Raise the error of a transaction that was lost, and has not been rolled back."""
        raise NotImplementedError

    def _end_lost(self, statement: Statement) -> bool:
        raise NotImplementedError

    def _note_loss(
        self, error: err.MySQLError, statement: Statement, status: int
    ) -> err.MySQLError:
        """Take in that the primary's connection was lost; returns what to raise."""
        session = self._session
        position = None
        if session.position_known:
            position = encode(session.base | session.position)
        found = loss(error, statement, status, self._primary.name, position)
        known = position is not None and not isinstance(found, OutcomeUnknown)
        if known and self._sharing is not None:
            # What was open is rolled back.
            self._sharing.answered()
            if self._sharing.publish(session.written or None):
                session.published()
        # Not known is then only what became of this very statement.
        session.lose_position(unsure=session.position_known or session.position_unsure)
        self._drop_primary()
        if self._revives:
            self._cluster.monitor.look_now()
        session.status &= ~IN_TRANSACTION
        self.driver_connection.server_status &= ~IN_TRANSACTION
        self._pending = False
        self._unsent = []
        self._followed.forget(self._primary)
        return found

    def _note_on_primary(self, statement: Statement) -> None:
        raise NotImplementedError

    def _in_use(self, member: Member) -> AbstractContextManager[object]:
        raise NotImplementedError

    def _classify(self, sql: Any, template: tuple[Any, str] | None) -> Statement:
        known = self._classifier
        if template is not None and template[1] is sql and self._template_counts():
            query = template[0]
            try:
                statement = known.templates[query]
            except (KeyError, TypeError):
                statement = known.template(query) if isinstance(query, str) else None
            if statement is not None:
                return statement
        if isinstance(sql, bytearray):
            sql = bytes(sql)
        return known.texts.get(sql) or known.statement(sql)

    def _translate_hints(self, statement: Statement) -> Statement:
        """Take the first foreign hint that the configuration knows, if there is none of ours."""
        known = self._options.hints
        hint = next((known[said] for said in statement.foreign_hints if said in known), None)
        return statement._replace(hint=hint) if statement.hint is None else statement

    def _template_counts(self) -> bool:
        """Tell whether parameters are escaped by PyMySQL's own rules, backslashes and all."""
        primary = self.driver_connection
        return (
            not primary.server_status & _NO_BACKSLASH_ESCAPES
            and primary.encoders == DEFAULT_ENCODERS
        )

    def _query_ready(
        self,
        member: Member,
        statement: Statement,
        sql: bytes,
        unbuffered: bool,
        template: tuple[Any, str] | None,
    ) -> Any:
        """The straight road of a read: a member that needs nothing but the statement."""
        connection = member.connection
        if len(sql) >= connection.max_packet:
            return self._query_replica(statement, self._route(statement), sql, unbuffered, template)
        since = monotonic() if connection._read_timeout else 0.0
        try:
            if self._cluster.measures:
                with self._cluster.measure.one(member.replica):  # type: ignore[arg-type]
                    connection.query(sql, unbuffered)
            else:
                connection.query(sql, unbuffered)
        except err.MySQLError as error:
            decision = self._route(statement)
            return self._query_replica(
                statement, decision, sql, unbuffered, template, (member, fault_of(error)), since
            )
        tails = connection.tails
        tail, seen_when = b"", 0.0
        if tails:
            replica = member.replica
            assert replica is not None
            tail = tails[-1]
            if tail != replica.tail or replica.advances:
                changed = self._replicas.reads.changed_session(member, sql)
                if changed is not None:
                    decision, failed = self._route(statement), (member, changed)
                    return self._query_replica(
                        statement, decision, sql, unbuffered, template, failed, since
                    )
                now = monotonic()
                if not replica.told(tail, now):
                    tail, seen_when = b"", now
            tails.clear()
        self._result = result = connection._result
        followed = self._followed
        followed.last = member
        if self._must_see and (statement.tables or statement.verb != "SELECT"):
            # As `Seen.saw` would; there is nothing but this where a read is free.
            seen = self._replicas.seen
            seen.at, seen.server = member.name, member.replica.server  # type: ignore[union-attr]
            seen.tail, seen.when = tail, seen_when
        if statement.verb == "SELECT":
            followed.counted = member
            if statement.tables or result.warning_count or not followed.keeps_warnings:
                followed.warned = member
        else:
            has_rows, warnings = bool(result.field_count), result.warning_count
            followed.note_result(member, statement, has_rows, warnings)
        reason = statement.reason
        self.route = taken = member.known_routes.get(reason) or member.taken(reason)
        result.route = taken
        self._affected_rows = rows = result.affected_rows
        return rows

    def _query_replica(
        self,
        statement: Statement,
        decision: Route,
        sql: bytes,
        unbuffered: bool,
        template: tuple[Any, str] | None,
        failed: tuple[Member, Fault] | None = None,
        since: float = 0.0,
    ) -> Any:
        began = since or (monotonic() if self.driver_connection._read_timeout else 0.0)
        try:
            reading = Read(sql, unbuffered, decision.prepared)
            served = self._replicas.read(decision, reading, failed, began)
        except err.MySQLError as error:
            self._followed.note_failed(
                self._replicas.reads.refused_by or self._followed.last, statement, error.args[0]
            )
            raise
        finally:
            self._note_freedom()
            self._followed.check_count()
        if isinstance(served, Served):
            if self._sharing is not None and self._sharing.is_open:
                self._publish_at_last()
            return self._finish_served(statement, served)
        if served.refused:
            self._note_refusal(statement, sql, template, served)
        left = None
        if served.retries and began:
            left = Deadline(self.driver_connection.read_timeout, sql, began).left(monotonic())
        with self.driver_connection.limited(left):
            return self._query_primary(
                statement,
                served.reason,
                sql,
                unbuffered,
                served.waited,
                served.retries,
                served.killed,
            )

    def _note_refusal(
        self,
        statement: Statement,
        sql: bytes,
        template: tuple[Any, str] | None,
        unserved: Unserved,
    ) -> None:
        """Note that a replica refused a read as a write."""
        self._cluster.counts["refused reads"] += 1
        self._classifier.demote(sql, template[0] if template else None, unserved.reason)
        logger.error(
            "a statement was taken for a read, and a replica refused it; it runs on the primary "
            "from now on; please report it: %s: %s",
            unserved.reason,
            statement.reason,
        )

    def _query_last(
        self, statement: Statement, reason: Reason, sql: bytes, unbuffered: bool
    ) -> Any:
        """Ask the member that knows of the statement before."""
        depends = statement.depends
        member = self._followed.last
        if "found_rows" in depends and self._followed.counted is not None:
            member = self._followed.counted
        elif "warnings" in depends and self._followed.warned is not None:
            member = self._followed.warned
        if member is self._primary:
            return self._query_primary(statement, reason, sql, unbuffered)
        try:
            with self._in_use(member):
                member.connection.finish_previous()
                self._bring_up_to_date(member)
                member.connection.query(sql, unbuffered)
        except err.MySQLError as error:
            if not lost(error):
                raise
            # It has taken what it knew along.
            if "found_rows" in depends:
                raise self._refusal(["found_rows"]) from error
            lost_it = Reason(f"{member.name} was lost", Cause.REPLICA_ERROR)
            return self._query_primary(statement, lost_it, sql, unbuffered)
        rows = self._finish(member, statement, reason)
        if statement.user_variables_written:
            self._foreign.append((member, statement.user_variables_written))
            self._free = False
        return rows

    def _bring_up_to_date(self, member: Member) -> None:
        """Bring the session's state to a replica that is asked about a statement before.

        What it knows of that one outlives a SET.
        """
        session = self._session
        if member.version != session.version:
            *first, last = session.difference(member.version)[0] or [""]
            raise_first(member.connection.run_all(first))
            if last.startswith("USE ") and session.schema is not None:
                # MySQL keeps its warnings behind the command, as behind the application's own.
                member.connection.select_db(session.schema)
            elif last:
                raise_first(member.connection.run_all([last]))
            member.connection.tails.clear()
            member.version = session.version

    def _take_over_all(self) -> None:
        """Bring what replicas have set to the primary, what was set last at last."""
        while self._foreign:
            self._take_over(*self._foreign.pop(0))

    def _take_over(self, member: Member, names: frozenset[str]) -> None:
        """Bring user variables that a replica set (GET DIAGNOSTICS) to the primary."""
        session = self._session
        version = session.version
        try:
            user_variables(session, lambda questions: self._ask_before(questions, member), names)
        except err.MySQLError as error:
            if not lost(error):
                raise
            logger.warning(
                "replica %s was lost, and what a statement there put into @%s",
                member.name,
                ", @".join(sorted(names)),
            )
            return
        difference, _ = session.difference(version)
        raise_first(self.driver_connection.ask_all(difference))
        self.driver_connection.tails.clear()

    def _query_primary(  # noqa: PLR0915 - all that can become of a statement, side by side
        self,
        statement: Statement,
        reason: Reason,
        sql: bytes,
        unbuffered: bool,
        waited: float = 0.0,
        retries: int = 0,
        killed: bool = False,
    ) -> Any:
        primary = self.driver_connection
        session = self._session
        if self._lacks_primary():
            if statement.kind is not _READ or not self._reads_alone():
                self._regain_primary()
            elif not self._primary_answers():
                return self._read_somewhere(statement, reason, sql, unbuffered, waited, retries)
        if self._shows_tracking and statement.kind is not Kind.FOLLOW_READ:
            self._track()
        if self._sharing is not None and can_commit(statement):
            self._sharing.begin_write()
        if statement.kind is Kind.PRIMARY_READ and shows_tracking(statement):
            primary.ask_all(self._own_tracking)
            self._shows_tracking = True
        status = session.status
        before = self._unsent
        begun = status | IN_TRANSACTION if before else status
        if (
            self._followed.skipped
            and not before
            and (statement.kind is Kind.FOLLOW_READ or self._asks(statement))
        ):
            before = _LEAVES_OPEN if self._transaction.touched else _NOTHING_OPEN
        try:
            if before:
                self._query_after(before, sql, unbuffered)
            else:
                primary.query(sql, unbuffered)
        except err.MySQLError as error:
            self._unsent, self._followed.skipped = [], False
            too_large = len(sql) >= primary.max_packet
            if lost(error) or (too_large and error.args[0] == NET_PACKET_TOO_LARGE):
                kill = was_killed(error.args[0])
                tries = retries < _MOST_TRIES and not (kill and killed) and not too_large
                if statement.kind is _READ and self._reads_alone() and not before and tries:
                    killed = kill or killed
                    return self._read_again(
                        statement, reason, sql, unbuffered, waited, retries + 1, killed
                    )
                # What is too large for the server it has not run.
                lost_one = NOTHING if too_large else statement
                raise self._note_loss(error, lost_one, begun) from error
            if self._revives and refuses_writes(error):
                self._leave_demoted(error, status)
                self._unsent = before
                return self._query_primary(statement, reason, sql, unbuffered, waited, retries)
            if can_write(statement):
                session.lose_position()
            self._followed.note_failed(self._primary, statement, error.args[0])
            unread = error.args[0] == PARSE_ERROR and not runs_more(statement)
            ran = NOTHING if unread else statement
            told = self._learn_of_failure(ran)
            self._after_primary(ran, sql, succeeded=False, told=told)
            begins_none = _begins_none(error.args[0], statement) and not before
            begins_none = begins_none or self._transaction.is_open
            unknown = not begins_none or status & IN_TRANSACTION
            if unknown and not session.status & AUTOCOMMIT:
                # An error does not tell whether a transaction is open now; the next answer will.
                # What leaves one alone that the primary knows nothing of begins none there.
                session.status |= IN_TRANSACTION
            self._publish()
            raise
        self._unsent, self._followed.skipped = [], False
        session.status = begun
        result = primary._result
        if result.field_count and shows_data(statement):
            self._replicas.seen.on_primary = True
        self._after_primary(statement, sql, succeeded=True)
        self._note_unread(statement, result)
        if self._sharing is not None and not self._pending:
            self._publish()
        if statement.locks or statement.releases:
            self._note_user_locks(statement, sql, result)
        if statement.verb == "KILL":
            self._kill_elsewhere(sql)
        rows = self._finish(self._primary, statement, reason, waited, retries, result)
        if statement.system_variables_written:
            self._keep_tracking(statement)
        if session.is_unsettled and not result.unbuffered_active:
            # What is about the statement before leaves the warnings to it.
            keeps = bool(result.warning_count) or statement.kind is Kind.FOLLOW_READ
            self._settle(keep_warnings=keeps)
        return rows

    def _kill_elsewhere(self, sql: bytes) -> None:
        """Let a KILL of another connection of ours reach what it runs on a replica."""
        from .killing import kill_elsewhere  # noqa: PLC0415 - few kill

        primary = self.driver_connection
        result = primary._result
        kill_elsewhere(self._cluster, primary, sql)
        primary._result = result

    def _note_unread(self, statement: Statement, result: Any) -> None:
        """Note what is still to come from the primary: it may change the session, or commit."""
        unread = result.unbuffered_active
        self._pending = bool(result.has_next) or (unread and statement.kind is not _READ)
        session = self._session
        if unread and not session.status & AUTOCOMMIT:
            # Only its last row will tell whether a transaction is open now.
            session.status |= IN_TRANSACTION

    def _learn_of_failure(self, statement: Statement) -> bool:
        """Learn what a statement that failed changed before its error; False if nobody told."""
        primary, session = self.driver_connection, self._session
        # Whether it has used up the level for one transaction hangs on the error (tried).
        if not (runs_code(statement) or session.next_transaction):
            return True
        if not primary.report_late(session.schema):
            self._transaction.touched = self._transaction.touched or bool(session.next_transaction)
            return False
        self._followed.note_error()  # the question made it another number
        if self._followed.keeps_warnings and runs_code(statement):
            # MariaDB says at each choice of a schema that something changed.
            for changes in parse_tails(primary.tails):
                session.learn(changes._replace(state_changed=False), statement)
            primary.tails.clear()
            session.note_hearsay(statement)
        return True

    def _note_late_failure(self) -> None:
        """Take in that a later result of the last statement was an error."""
        self._pending = False
        session = self._session
        session.lose_position()
        if not self.driver_connection.report_late(session.schema):
            session.note_failure(_UNKNOWN)
        self._followed.note_error()
        self._learn(_UNKNOWN)

    def _settle(self, keep_warnings: bool = False) -> None:
        """Ask the primary what the session does not know of itself, while it is there.

        With `keep_warnings` only if the application can still ask for its warnings afterwards.

        Once its connection is lost nobody could tell, and the session could not go on. What it
        knows of the statement before is kept in `_told`.
        """
        primary, session = self.driver_connection, self._session
        if (
            not self._revives
            or self._pending
            or not session.status & (IN_TRANSACTION | AUTOCOMMIT)  # it would begin a transaction
            or self._unsent
            or primary.is_reading
            # MariaDB keeps them through questions that use no table.
            or (keep_warnings and (session.asks_tables or not self._followed.keeps_warnings))
        ):
            return
        if primary.has_ended():
            # Nobody can be asked any more.
            session.forget_hearsay()
            return
        result = primary._result
        try:
            read_back(session, primary, self._ask, everything=True)
        except err.MySQLError as error:
            if not lost(error):
                raise
            self._drop_primary()
            return
        finally:
            primary._result = result
        primary.tails.clear()
        self._choose_classifier()
        self._note_freedom()

    def _reads_alone(self) -> bool:
        """Tell whether a read is a transaction of its own, and may run where it likes."""
        return (
            self._revives
            and not self._unsent
            and self._session.status & (IN_TRANSACTION | AUTOCOMMIT) == AUTOCOMMIT
        )

    def _read_somewhere(
        self,
        statement: Statement,
        reason: Reason,
        sql: bytes,
        unbuffered: bool,
        waited: float,
        retries: int,
    ) -> Any:
        """Run a read while there is no primary: there or on a replica, whatever comes first.

        Raises OperationalError 2003 when `primary_wait` is over.
        """
        self._go_without()
        cluster = self._cluster
        until = monotonic() + self._options.primary_wait
        while not cluster.primary_is_up and monotonic() < until:
            self._check_revivable()
            served = self._read_elsewhere(statement, sql, unbuffered)
            if isinstance(served, Served):
                return self._finish_served(statement, served, retries)
            if served is not None and served.error is not None:
                raise error_of(served.error)  # there is no primary that could know better
            cluster.wait_for_anyone(min(until, monotonic() + _LOOK_AGAIN_SECONDS))
        if self._has_left():
            self._need_primary(until=until)
        return self._query_primary(statement, reason, sql, unbuffered, waited, retries)

    def _read_elsewhere(
        self, statement: Statement, sql: bytes, unbuffered: bool, killed: bool = False
    ) -> Served | Unserved | None:
        """Run a read on a replica, if what it must see is known without the primary."""
        decision = self._route(statement)
        if self._session.doubts(statement) or not self._terms.splits:
            return None
        if decision.destination is _REPLICA:
            decision = self._bounded(statement, decision)
        if decision.destination is not _REPLICA:
            return None
        try:
            reading = Read(sql, unbuffered, decision.prepared, killed=killed)
            return self._replicas.read(decision, reading)
        finally:
            self._note_freedom()

    def _read_again(
        self,
        statement: Statement,
        reason: Reason,
        sql: bytes,
        unbuffered: bool,
        waited: float,
        retries: int,
        killed: bool,
    ) -> Any:
        """Run a read elsewhere that was lost with the primary; it changed nothing there."""
        self._drop_primary()
        self._cluster.monitor.look_now()
        served = self._read_elsewhere(statement, sql, unbuffered, killed)
        if isinstance(served, Served):
            return self._finish_served(statement, served, retries)
        if served is not None:
            reason = served.reason
        return self._query_primary(statement, reason, sql, unbuffered, waited, retries, killed)

    def _leave_demoted(self, error: err.MySQLError, status: int) -> None:
        """Leave a primary that says it is read-only for the one that has taken its place.

        Nothing happened there, so the statement may run again; a transaction can't: raises 1213.
        """
        self._drop_primary()
        if self._sharing is not None:
            self._sharing.answered()
        self._cluster.watch.primary_is_read_only(self._generation)
        if status & IN_TRANSACTION:
            self._note_loss(error, NOTHING, status)
            self._transaction.lost = ""  # the application is told that it was rolled back
            raise deadlock(f"primary {self._primary.name} is read-only now: {error.args[1]}")
        self._need_primary(writable=True)

    def _query_after(self, before: list[bytes], sql: bytes, unbuffered: bool) -> None:
        """Run on the primary what it was not sent before, and the statement, in one round trip."""
        primary = self.driver_connection
        replies = primary.query_after(before, sql)
        for reply in replies:
            if isinstance(reply, err.MySQLError):
                primary.discard_query()
                raise reply
        primary.finish_query(unbuffered)

    def _note_user_locks(self, statement: Statement, sql: bytes, result: Any) -> None:
        """Count user locks by the answers of statements that take or release one."""
        session = self._session
        text = sql.lower()
        if "user" in statement.releases and b"release_all_locks" in text:
            session.release_user_locks()
            return
        rows: Any = result.rows or ()
        told = not result.unbuffered_active and len(rows) == 1 and len(rows[0]) == 1
        if "user" in statement.locks:
            if not told or text.count(b"get_lock") != 1 or statement.releases:
                session.note_user_lock(None)
            else:
                session.note_user_lock(int(rows[0][0] in _ONE))
        elif "user" in statement.releases and told and text.count(b"release_lock") == 1:
            session.note_user_lock(-int(rows[0][0] in _ONE))

    def _after_primary(
        self, statement: Statement, sql: bytes, succeeded: bool, told: bool = True
    ) -> None:
        session = self._session
        if statement.kind is not _READ:
            session.expect(statement, succeeded, sql)
            if not told:
                session.note_failure(statement)
            if changes_functions(statement):
                self._cluster.catalogue.clear()
            if changes_globals(statement):
                # Who connects now has what was set; a wire in the pool has what was there before.
                self._cluster.pool.close_idle()
            if statement.may_change_session:
                # More than one transaction may have been committed, and only the last reported.
                session.lose_position()
        self._learn(statement)
        if not succeeded and runs_more(statement):
            self._keep_tracking(statement)

    def _finish_served(self, statement: Statement, served: Served, retries: int = 0) -> Any:
        member, reason, waited, more = served
        return self._finish(member, statement, reason, waited, retries + more)

    def _finish(
        self,
        member: Member,
        statement: Statement,
        reason: Reason,
        waited: float = 0.0,
        retries: int = 0,
        result: Any = None,
    ) -> Any:
        self.route = taken = member.taken(reason, waited, retries)
        if member is self._primary and statement.kind is _READ:
            self._cluster.counts[reason.cause] += 1
        if result is None:
            result = member.connection._result
        self._result = result
        has_rows, warnings = bool(result.field_count), result.warning_count
        self._followed.note_result(member, statement, has_rows, warnings)
        result.route = taken
        self._affected_rows = result.affected_rows
        return result.affected_rows

    def _keep_tracking(self, statement: Statement) -> None:
        """Let the application have the tracking that it set, in its own eyes."""
        if any(n.startswith("session_track_") for n in statement.system_variables_written):
            primary = self.driver_connection
            result = primary._result
            self._own_tracking = keep_tracking(primary, self._ask)
            primary._result = result
            primary.tails.clear()

    def _track(self) -> None:
        """Set our own tracking again after the application has looked at what it set."""
        self._shows_tracking = False
        keep_tracking(self.driver_connection, self._ask_before)
        self.driver_connection.tails.clear()

    def _choose_classifier(self) -> None:
        """Read texts as the server does under the session's sql_mode and character set."""
        session = self._session
        lexing = session.value("sql_mode"), session.value("character_set_client")
        if lexing != self._lexing:
            self._lexing = lexing
            # Imported when first needed: it makes up a third of the import otherwise.
            from .._core.classify import classifier  # noqa: PLC0415

            sql_mode, charset = lexing
            cluster = self._cluster
            self._classifier = classifier(
                Dialect.of(cluster.flavor, cluster.topology.version, sql_mode or "", charset or "")
            )

    def _learn(self, statement: Statement | None = None) -> None:
        """Take in what the primary has reported since it was last looked at."""
        primary = self.driver_connection
        session = self._session
        before, session.status = session.status, primary.server_status
        if session.level_changed:
            session.note_switch(before)
        if not primary.tracks:
            session.lose_position()
        tails = primary.tails
        if not tails:
            if statement is not None and statement.may_change_session:
                session.notice(statement, ())
            self._note_freedom()
            return
        told = [only_gtid(tail) for tail in tails]
        if None not in told:
            tails.clear()
            if statement is not None and statement.may_change_session:
                session.notice(statement, ())
            for gtid in told:
                if gtid:
                    session.has_committed(gtid)
            self._note_freedom()
            return
        changes = parse_tails(tails)
        tails.clear()
        for change in changes:
            session.learn(change, statement)
            if change.schema is not None and self._id_kind == "database":
                self._context = AGAIN
            if change.gtids:
                session.has_committed(change.gtids)
        if statement is not None:
            session.notice(statement, changes)
        self._choose_classifier()
        self._note_freedom()

    def _note_freedom(self) -> None:
        """Note whether a plain read may go to any replica without more ado: see `_query_ready`."""
        self._free = (
            self._may_be_free
            and self._session.is_free(self._must_see)
            and not self._transaction.lost
            and not self._foreign
            and not self._followed.told
            and not self._followed.counts_late
            and self._sharing is None
            and self._replicas.seen.is_free
        )

    def _finish_pending(self) -> None:
        """Read what is left of the primary's last results, as PyMySQL does before a statement."""
        self._pending = False
        primary = self.driver_connection
        try:
            primary.finish_previous()
        except err.MySQLError as error:
            if not lost(error):
                raise
            status = self._session.status
            # What it belonged to may have begun a transaction.
            begun = status if status & AUTOCOMMIT else status | IN_TRANSACTION
            raise self._note_loss(error, NOTHING, begun) from error
        finally:
            self._session.lose_position()
            self._learn()
            self._publish()

    def _on_primary(self, action: Callable[[], Any], what: str) -> None:
        """Do what has a method of its own in PyMySQL, and learn from its OK packet."""
        self._prepare()
        self._result = None
        self._have_primary()
        if self._shows_tracking:
            self._track()
        self._followed.skipped = False
        if self._sharing is not None:
            self._sharing.begin_write()
        session = self._session
        status = session.status
        try:
            action()
        except err.MySQLError as error:
            if lost(error):
                raise self._note_loss(error, self._classifier.statement(what), status) from error
            if self._revives and refuses_writes(error):
                self._leave_demoted(error, status)
            session.lose_position()
            self._followed.note_last(self._primary)
            self._learn()
            self._publish()
            raise
        finally:
            # COM_INIT_DB is no statement, and clears no warnings.
            self._followed.note_last(
                self._primary, not self._followed.keeps_warnings and what != "USE"
            )
            self._learn()
        self._publish()
        if session.is_unsettled:
            self._settle(keep_warnings=bool(self.driver_connection.warnings))
        self.route = self._primary.taken(_BY_METHOD.get(what) or Reason(what, Cause.SESSION))

    def _look_at_terms(self) -> None:
        """Take in that the terms have changed, or what they hang on."""
        terms = self._terms
        self._must_see = terms.must_see
        self._may_be_free = terms.may_be_free(self._cluster.has_gtids)

    def _route(self, statement: Statement, in_snapshot: bool = False) -> Route:
        terms = self._terms
        return route(statement, self._session, terms.level, terms.max_staleness, in_snapshot)

    def _use_with_id(self, statement: Statement, sql: bytes) -> tuple[Statement, bytes] | None:
        """Take a session id from a USE: the statement without it; None for all others."""
        if b"sessionid=" not in sql[:600].lower() or sql[:50].lstrip()[:3].upper() != b"USE":
            return None
        try:
            found = parse_use(sql.decode(errors="surrogateescape"))
        except ValueError as error:
            raise err.ProgrammingError(str(error)) from None
        if found is None:
            return None
        database, self._named_id = found
        self._share()
        without = f"USE {quote_identifier(database)}" if database else "DO 0"
        sql = without.encode(self.driver_connection.encoding, "surrogateescape")
        return self._classifier.statement(sql), sql

    def _share(self) -> None:
        """Be the session that the block and the session id say; in a transaction, from the next.

        Raises ValueError where a scope must see a position of another flavor.
        """
        session, cluster = self._session, self._cluster
        context = current.get()
        scope: Scope | None = None if context is None else context.scope
        if session.status & IN_TRANSACTION or self._transaction.is_open:
            self._context = AGAIN
            inner = None if scope is None else scope.part(cluster, self._account, joins=False)
            self._tell(scope, inner)
            return
        part = None if scope is None else scope.part(cluster, self._account)
        self._context = context
        choice = None if context is None else context.choice
        if not self._terms.chooses(choice):
            self._terms.choose(choice)
            self._look_at_terms()
        if part is not self._part:
            self._enter_scope(part, scope is None or scope.begins_anew)
        self._scope = scope
        self._tell(scope, part)
        key = self._session_key(None if context is None else context.session_id)
        if key == self._key:
            self._keeps_position = False
            self._note_freedom()
            return
        mine = session.base | session.position, session.position_known
        if self._key is None:
            self._set_aside(in_scope=part is not None)
        self._key = key
        self._end_mark()
        self._replicas.chooser.view.key = self._shared_id() or ""
        anew = scope is not None and scope.begins_anew
        if key is None:
            self._sharing = None
            self._go_on_alone(part, anew)
        else:
            store = self._store if self._store is not None else cluster.memory
            self._sharing = Sharing(store, key, weakly(self._ask_primary))
            session.begin_with(session.origin, session.origin, True, anew)
        self._replicas.reads.sharing = self._sharing
        self._share_process()
        if self._keeps_position:
            # The session is the same one, shared with others or not any more.
            self._keeps_position = False
            session.position = session.position | mine[0]
            if not mine[1]:
                session.lose_position()
        self._note_freedom()

    def _look_at_block(self) -> None:
        """Be the session that the block says, if that has changed."""
        if current.get() is not self._context:
            self._share()

    def _enter_scope(self, part: ScopePosition | None, anew: bool) -> None:
        """Be used in a scope from now on, or in none."""
        replicas = self._replicas
        seen = replicas.take_seen()
        outside = self._outside
        known = outside.get(seen.at)
        outside[seen.at] = seen if known is None else known.then(seen)
        if self._key is None:
            self._set_aside(in_scope=self._part is not None)
        if part is None:
            replicas.seen.see_all(outside.values())
            outside.clear()
        self._part = replicas.reads.scope = part
        if self._key is None:
            self._go_on_alone(part, anew)
        self._share_process()

    def _set_aside(self, in_scope: bool) -> None:
        """Keep what this connection wrote for itself until it is by itself again."""
        session = self._session
        if not in_scope:
            self._alone = session.position, session.base, session.position_known
            return
        # What it wrote in a scope is seen behind that, too.
        position, base, known = self._alone or (session.origin, session.origin, True)
        self._alone = position | session.written, base, known and session.position_known

    def _go_on_alone(self, part: ScopePosition | None, anew: bool) -> None:
        """Be the session of nobody's id: the connection's own, or a scope's."""
        session = self._session
        if part is None:
            session.begin_with(*(self._alone or (session.origin, session.origin, True)))
        else:
            session.begin_with(session.origin, session.origin, True, anew)

    def _tell(self, scope: Scope | None, inner: ScopePosition | None) -> None:
        """Let those hear what is committed who share the session, and those of the block.

        They are not the same where the block began within the transaction. `inner` is what the
        block must see.
        """
        process, part = self._cluster.process, self._part
        if scope is None and part is None:
            self._session.tell(process)
            return
        positions: list[ProcessPosition] = [process]
        scopes: list[Scope] = []
        if part is not None:
            positions.append(part)
        if inner is not None and inner is not part:
            positions.append(inner)
        if scope is not None:
            scopes += scope.around()
        if self._scope is not None:
            scopes += [each for each in self._scope.around() if each not in scopes]
        self._session.tell(Listeners(tuple(positions), tuple(scopes)))

    def _share_process(self) -> None:
        """Share the session of the scope, or of the process where no session id says otherwise."""
        shares = self._key is None and self._id_kind == "process"
        if self._part is not None:
            self._process = self._part
        else:
            self._process = self._cluster.process if shares else _NOBODY
        self._heard = None

    def _has_news(self) -> bool:
        """Tell whether others of this process have committed something since we last looked."""
        return self._process.latest is not self._heard

    def _hear(self) -> None:
        """Take in what other connections of this process have committed."""
        process, session = self._process, self._session
        part = self._part
        if part is not None and part.unchecked:
            self._check_asked(part)
        # In this order: what comes meanwhile is heard the next time.
        self._heard = process.latest
        position, doubt, unsure = process.look(self._cluster.last_seen)
        if doubt:
            session.hear_doubt(doubt, unsure)
        if not self._replicas.chooser.all_have(position):
            session.position = session.position | position

    def _check_asked(self, part: ScopePosition) -> None:
        """Ask the primary, once, where a scope must see what may be of another cluster.

        A wait for that would be in vain.
        """
        if part.may_be_elsewhere(self._cluster.last_seen()):
            try:
                now = self._ask_primary()
            except err.MySQLError:
                return
            self._cluster.note_sample(now)
            part.take_primary(now)

    def _session_key(self, context_id: str | None) -> str | None:
        named = context_id if context_id is not None else self._named_id
        if named is not None:
            return f"provided:{named}"
        kind = self._id_kind
        if kind == "database":
            return f"database:{self._session.schema or ''}"
        if kind == "user":
            return f"user:{as_text(self.driver_connection.user)}"
        return None

    def _shared_id(self) -> str | None:
        """Return the session id in use, whatever kind it is of; None for one of its own."""
        return None if self._key is None else self._key.partition(":")[2] or None

    def _look_at_store(self, decision: Route) -> Route:
        """Add to a read what others of the same session id wrote."""
        if decision.consistency == "eventual":
            return decision
        assert self._sharing is not None
        stored = self._sharing.look(self._cluster.flavor)
        if isinstance(stored, str):
            return decision._replace(
                destination=Destination.PRIMARY, reason=Reason(stored, Cause.STORE)
            )
        if stored.position is not None:
            if self._replicas.chooser.all_have(stored.position):
                # Others of this session id may have been given other replicas.
                if self._cluster.all_around_have(stored.position):
                    self._sharing.forget(stored.position)
            else:
                session = self._session
                session.position = session.position | stored.position
        return decision

    def _publish(self) -> None:
        """Tell those who share the session id what was committed, before the application knows."""
        sharing = self._sharing
        if sharing is None:
            return
        sharing.answered()
        session = self._session
        if session.status & IN_TRANSACTION:
            return
        if not session.position_known:
            try:
                session.find_position(self._ask_primary())
            except err.MySQLError:
                return  # the mark stays
        if sharing.publish(session.written or None):
            session.published()

    def _publish_at_last(self) -> None:
        """End a mark whose outcome a read had to find out."""
        if self._session.position_known and not self._pending:
            self._publish()

    def _end_mark(self) -> None:
        """End the mark of a write, as the connection is left by the session id, or closed.

        The connection's own transaction is rolled back then. What is still not known is asked for;
        if that can't be, the mark stays.
        """
        sharing, session, physical = self._sharing, self._session, self.driver_connection
        if sharing is None or not sharing.is_open:
            return
        try:
            if self._pending:
                self._finish_pending()
            elif physical._sock is None or (session.status & IN_TRANSACTION and not sharing.awaits):
                if not session.position_known:
                    session.find_position(self._ask_primary())
                if sharing.publish(session.written or None):
                    session.published()
            elif not sharing.awaits:
                self._publish()
        except err.MySQLError:
            pass

    def _abandon_mark(self) -> None:
        """Do so with a connection that nobody holds any more, wherever that is noticed."""
        sharing = self.__dict__.get("_sharing")
        if sharing is None or not sharing.is_open or sharing.awaits or self._pending:
            return
        if self._session.position_known:
            sharing.abandon(self._session.written or None)
