"""The transaction of a virtual connection: where it is, and what a statement means to it. Pure.

A transaction that has only read is on one replica, in a snapshot that rwsplit opened there. With
its first statement that is no read it moves to the primary. What is open on the primary the primary
itself reports (`State.status`); what is here is only what it does not know of yet.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from ..cause import Cause, Reason
from ..cluster.position import Position
from ..flavors.traits import traits_of
from ..sql.fingerprint import Fingerprint
from ..sql.following import shows_data
from ..sql.statement import Kind, Statement
from .state import AUTOCOMMIT, State

__all__ = [
    "Moment",
    "Repeatable",
    "Step",
    "Transaction",
    "begins_on_mariadb",
    "is_compared",
    "is_lost_with",
    "is_ordered",
    "switches_on",
    "takes_view",
]

MOST_READS = 64
MOST_BYTES = 1 << 20
"""A transaction moves before its repetition on the primary takes more than this."""


class Step(Enum):
    """What becomes of a statement, seen from its transaction."""

    USUAL = "usual"
    """Nothing to the transaction, or nothing that the primary would not do by itself."""
    READ = "read"
    """On the transaction's replica, where a snapshot is opened if there is none."""
    APART = "apart"
    """On the primary, while the transaction stays where it is."""
    MOVE = "move"
    """On the primary, to which the transaction moves first."""
    KEEP = "keep"
    """Not sent: a savepoint, kept until the transaction moves."""
    BEGIN = "begin"
    """Not sent: it goes with the first statement."""
    OPEN = "open"
    """Not sent: its snapshot is taken on a replica at once, else it is for the primary."""
    END = "end"
    """Not sent: the primary has nothing to commit or to roll back."""
    CHAIN = "chain"
    """On the primary, where the transaction that it ends begins first: the next one is like it."""


class Repeatable(NamedTuple):
    """A statement to repeat on the primary when the transaction moves there."""

    sql: bytes
    answer: Fingerprint | None
    """None for a savepoint, and for a read that is repeated and not compared."""


class Moment(NamedTuple):
    """What the snapshot of a replica has."""

    whole: Position
    of_others: Position
    """But for what the replica itself has made: no other server has that."""


class Transaction:
    """What the primary does not know of a virtual connection's transaction.

    :param verifies: whether a move repeats the reads and compares them.
    :param flavor: of its servers: they differ in what begins a transaction (see `Traits`).
    """

    __slots__ = (
        "_names",
        "_read_only",
        "began_unrepeated",
        "begin",
        "digest",
        "has_savepoint",
        "lost",
        "may_be_over",
        "moment",
        "on_replica",
        "reads_tables",
        "repeatables",
        "repeats_reads",
        "retries_on_primary",
        "size",
        "touched",
        "traits",
        "unverifiable",
        "verifies",
        "view",
        "wrote",
    )

    def __init__(self, verifies: bool, flavor: str = "mysql") -> None:
        self.verifies = verifies
        self.traits = traits_of(flavor)
        self.touched = False
        """The primary may hold something for a transaction that it does not call one."""
        self.has_savepoint = False
        """The primary has a savepoint of it."""
        self.retries_on_primary = False
        """The transaction before did not survive its move."""
        self.lost = ""
        """How the transaction was lost with its connection: it is over, and not rolled back yet."""
        self.may_be_over = False
        """The primary may have rolled it back with the last error, and has told nothing since."""
        self.moment: Moment | None = None
        """Which one its snapshot shows, where it began WITH CONSISTENT SNAPSHOT."""
        self.clear()

    def clear(self) -> None:
        """Forget the transaction: it has ended."""
        self.digest = ""
        """Of its first read."""
        self.wrote = False
        self.forget_replica()

    def note_savepoint(self) -> None:
        """Note that the primary has a savepoint, which no status tells of."""
        self.touched = self.has_savepoint = True

    def note_touched(self) -> None:
        """Note that the primary may hold something of it."""
        self.touched = True

    def note_on_primary(self, statement: Statement) -> None:
        """Note what a statement of it that ran on the primary means for those to come."""
        if statement.kind is not Kind.READ and statement.transaction is None:
            self.wrote = True
        if statement.kind is not Kind.SESSION or statement.tables or statement.functions:
            self.touched = True

    def note_replica(self) -> None:
        """Note that a snapshot is open for it on a replica."""
        self.on_replica = True

    def note_moment(self, moment: Moment | None, consistency: str) -> None:
        """Note that its snapshot was taken before any read, and of which moment, if known.

        No other server can show that moment but one where nothing was committed since.
        """
        self.note_replica()
        self.view = consistency
        self.moment = moment
        self.unverifiable = "it began WITH CONSISTENT SNAPSHOT"

    def note_tables(self) -> None:
        """Note that it has read what begins a transaction on MariaDB, too."""
        self.reads_tables = True

    def note_view(self, consistency: str) -> None:
        """Note that a read of this level has fixed what those behind it see."""
        self.view = consistency

    def known_as(self, digest: str) -> None:
        """Take the digest of its first read."""
        self.digest = digest

    def take_habit(self) -> tuple[str, bool]:
        """Return the digest of its first read and whether it wrote, once, as it has ended."""
        known = self.digest, self.wrote
        self.digest, self.wrote = "", False
        return known

    def take_retry(self) -> bool:
        """Tell, once, whether the transaction before did not survive its move."""
        again, self.retries_on_primary = self.retries_on_primary, False
        return again

    def retry(self) -> None:
        """Note that it did not survive its move, and has ended."""
        self.clear()
        self.forget_primary()
        self.retries_on_primary = True

    def lose(self, how: str) -> None:
        """Note how it was lost with its connection: it is over, and not rolled back yet."""
        self.lost = how

    def note_rolled_back(self) -> None:
        """Note that the application knows that it is over."""
        self.lost = ""

    def forget_primary(self) -> None:
        """Note that the primary holds nothing for it any more."""
        self.touched = self.has_savepoint = self.may_be_over = False

    def doubt(self, may_be_over: bool) -> None:
        """Note whether the primary may have rolled it back with its last error."""
        self.may_be_over = may_be_over

    def forget_replica(self) -> None:
        """Forget what the primary does not know: it has ended, or has moved there."""
        self.begin = b""
        """The BEGIN that was not sent yet."""
        self._read_only = False
        self.on_replica = False
        """A snapshot is open on a replica, or was lost there."""
        self.reads_tables = False
        """It has read there what begins a transaction on MariaDB, too."""
        self.view = ""
        """The consistency level of the read that fixed what all others see there; '' for none yet.

        Under READ COMMITTED each sees what is committed by then, whatever this is.
        """
        self.began_unrepeated = False
        """It began with a read that is not repeated."""
        self.repeatables: list[Repeatable] = []
        self.repeats_reads = False
        """Not all of them are about savepoints."""
        self.size = 0
        """Bytes of the answers to them."""
        self.unverifiable = ""
        """Why its reads can't be repeated on the primary and compared."""
        self.moment = None
        self._names: dict[str, bool] = {}
        """The savepoints that were kept, in order, and whether they were set before any read."""

    def __repr__(self) -> str:
        if not self.is_open:
            return "<Transaction none here>"
        where = "on a replica" if self.on_replica else "nowhere yet"
        return f"<Transaction {where}, {len(self.repeatables)} to repeat>"

    @property
    def is_open(self) -> bool:
        """Whether there is anything of a transaction that the primary knows nothing of."""
        return bool(self.begin or self.on_replica or self.repeatables)

    @property
    def is_begun_alone(self) -> bool:
        """Whether a BEGIN is all that the primary knows nothing of."""
        return bool(self.begin) and not (self.on_replica or self.repeatables or self.unverifiable)

    @property
    def has_begun(self) -> bool:
        """Whether a server would call it a transaction: savepoints alone begin none."""
        return bool(self.begin or self.has_read)

    @property
    def has_read(self) -> bool:
        """Whether a read has begun it: what comes later sees the snapshot of that one."""
        return self.on_replica and (self.reads_tables or self.traits.any_read_begins)

    def is_read_only(self, session: State) -> bool:
        """Tell whether the transaction was declared READ ONLY."""
        return self._read_only if self.begin else session.reads_only

    def step(self, statement: Statement, session: State, bound: str) -> Step:
        """Tell what becomes of a statement, while nothing is open on the primary.

        `bound` is why a read must run on the primary, if it must.
        """
        does = statement.transaction or ""
        ending = self._step_of_end(does, session) if does else None
        if ending is not None:
            return ending
        autocommit = bool(session.status & AUTOCOMMIT)
        if (autocommit and not self.begin) or statement.kind is Kind.FOLLOW_READ:
            return Step.USUAL
        read_only = self.is_read_only(session)
        if self.begin and not read_only:
            return Step.MOVE
        if does in _SAVEPOINTS:
            return Step.KEEP if self._can_keep(does, statement.name or "") else Step.MOVE
        if statement.kind is Kind.READ:
            # A read elsewhere would begin no transaction where the savepoints of this one are.
            if bound or self.has_savepoint or session.isolation == "SERIALIZABLE":
                return Step.MOVE
            stays = read_only or not (self.verifies and is_compared(statement, session))
            # What can't be verified any more only loses by moving.
            stays = stays or bool(self.why_unverifiable())
            return Step.READ if stays or not self._grows_out(statement) else Step.MOVE
        return Step.APART if self._is_apart(statement) else Step.MOVE

    def _step_of_end(self, does: str, session: State) -> Step | None:
        """Tell what becomes of a statement that begins or ends a transaction; None for others."""
        if does.startswith("begin"):
            if self.touched or session.pins:
                return Step.USUAL
            if "snapshot" not in does:
                return Step.BEGIN
            on_replica = _reads_only(does, session) and session.isolation == "REPEATABLE-READ"
            return Step.OPEN if on_replica else Step.USUAL
        completion = session.value("completion_type")
        chains = does in _LAST and completion in ("CHAIN", "1")
        if self.has_begun and (chains or does in ("commit chain", "rollback chain")):
            return Step.CHAIN
        if does in ("commit", "rollback"):
            real = (
                self.touched
                or session.pins
                or session.next_transaction
                or completion not in (None, "NO_CHAIN")
            )
            return Step.USUAL if real else Step.END
        return None

    def leaves_its_level(self, statement: Statement, session: State) -> bool:
        """Tell whether the primary still has for the next transaction what was for this one.

        A BEGIN ends this one, and the primary knows nothing of it. Where a BEGIN leaves the level
        to the next one, there is nothing to do about it.
        """
        does = statement.transaction or ""
        pending = self.has_begun and bool(session.next_transaction)
        return self.traits.begin_ends_level and pending and does.startswith("begin")

    def begin_as_read(self, session: State) -> bytes:
        """Return the BEGIN of a transaction whose reads on a replica are not repeated.

        Where any read takes the snapshot that later reads see, it does so at once.
        """
        if not (self.began_unrepeated and self.has_begun):
            return self.begin
        if not self.traits.any_read_begins or session.isolation != "REPEATABLE-READ":
            return self.begin or b"START TRANSACTION"
        access = b", READ ONLY" if self.is_read_only(session) else b""
        return b"START TRANSACTION WITH CONSISTENT SNAPSHOT" + access

    def _grows_out(self, statement: Statement) -> bool:
        """Tell whether one more read could not be verified cheaply."""
        return (
            statement.volatile
            or bool(statement.parts)
            or len(self.repeatables) >= MOST_READS
            or self.size >= MOST_BYTES
        )

    def why_read_moves(self, statement: Statement, session: State) -> Reason:
        """Tell why a read that nothing else binds to the primary runs there."""
        if self.begin and not self._read_only:
            return Reason("BEGIN opens a transaction on the primary", Cause.IN_TRANSACTION)
        if self.has_savepoint:
            return Reason("the primary has a savepoint of the transaction", Cause.IN_TRANSACTION)
        if session.isolation == "SERIALIZABLE":
            return Reason("the transaction is SERIALIZABLE", Cause.IN_TRANSACTION)
        if statement.volatile:
            why = "a volatile read of a transaction can't be verified"
        else:
            why = "the transaction has read as much as can be verified cheaply"
        return Reason(why, Cause.UNVERIFIABLE)

    def _is_apart(self, statement: Statement) -> bool:
        """Tell whether a statement leaves the data and the transaction alone."""
        if statement.tables or statement.functions or statement.may_change_session:
            return False
        if statement.kind is Kind.PRIMARY_READ:
            return (
                statement.verb == "SELECT"
                and not statement.locks
                and not statement.releases
                and not statement.user_variables_written
                and "in_transaction" not in statement.system_variables_read
            )
        # What was read is repeated under the state that it was read under.
        return (
            statement.kind is Kind.SESSION
            and not self.repeatables
            and (statement.verb != "PREPARE" or _prepares_read(statement))
            and not any(map(_OF_TRANSACTIONS.match, statement.system_variables_written))
        )

    def begun(self, statement: Statement, sql: bytes, session: State) -> None:
        """Note a BEGIN that was not sent."""
        does = statement.transaction or ""
        self.begin = sql
        self._read_only = _reads_only(does, session)
        self.reads_tables = "snapshot" in does

    def why_unverifiable(self) -> str:
        """Tell why its reads can't be repeated on the primary and compared; '' if they can."""
        if self.unverifiable or not self.verifies:
            return self.unverifiable
        size = 0
        for _, answer in self.repeatables:
            if answer is not None:
                if not answer.is_whole:
                    return "it read a stream that was not read to its end"
                if answer.is_stream and answer.size >= MOST_BYTES:
                    return "it read a long stream"
                size += answer.size
        self.size = size
        return ""

    # Savepoints.

    def _can_keep(self, does: str, name: str) -> bool:
        if does == "savepoint":
            return True
        before_reads = self._names.get(name.lower())
        # To go back before its first read gives a transaction another snapshot (tried).
        renews = does == "rollback to" and before_reads and self.has_read
        return before_reads is not None and not renews

    def keep(self, statement: Statement, sql: bytes) -> None:
        """Keep a statement about a savepoint for the move."""
        name, does = (statement.name or "").lower(), statement.transaction
        if does == "savepoint":
            self._names.pop(name, None)
            self._names[name] = not self.has_read
        else:
            names = list(self._names)
            # ROLLBACK TO keeps the savepoint itself; both forget those after it.
            for forgotten in names[names.index(name) + (does == "rollback to") :]:
                del self._names[forgotten]
        if len(self.repeatables) >= 4 * MOST_READS:
            self.unverifiable = "it set too many savepoints"
        else:
            self.repeatables.append(Repeatable(sql, None))

    # Reads.

    def note_uncompared(self, sql: bytes, sees_commits: bool) -> None:
        """Note a read that began the transaction, and is not compared.

        Its snapshot is that of the transaction. So it is repeated with the others, and where
        nothing is, `begin_as_read` stands for it.
        """
        if self.verifies and (self.repeatables or not sees_commits):
            self.repeatables.append(Repeatable(sql, None))
            self.repeats_reads = True
        else:
            self.began_unrepeated = True

    def note_read(self, sql: bytes, answer: Fingerprint | None, read_only: bool) -> None:
        """Note a read that a replica answered; without an answer, that nothing was kept of it."""
        if answer is None:
            self.unverifiable = self.unverifiable or "it read what can't be compared"
            return
        self.size += answer.size  # of a stream, what came until now
        if read_only and (len(self.repeatables) >= MOST_READS or self.size >= MOST_BYTES):
            # It is not expected to move.
            self.unverifiable = "it read too much"
            self.repeatables = [kept for kept in self.repeatables if kept.answer is None]
        elif not self.unverifiable:
            self.repeatables.append(Repeatable(sql, answer))
            self.repeats_reads = True


def is_lost_with(statement: Statement, session: State, begun: bool) -> bool:
    """Tell whether a transaction goes with a connection that was lost while a statement ran.

    `begun` is whether one had begun before it. Only what ends a transaction leaves none behind:
    without autocommit every other statement is of one, and what begins one was heard by the
    application, if by nobody else.
    """
    does = statement.transaction or ""
    chains = session.value("completion_type") in ("CHAIN", "1")
    if does in _LAST and not (chains and does in ("commit", "rollback")):
        return False
    return (
        begun
        or not session.status & AUTOCOMMIT
        or any(
            (part.transaction or "").startswith("begin")
            or "chain" in (part.transaction or "")
            or "autocommit" in part.system_variables_written
            for part in statement.parts or (statement,)
        )
    )


_LAST = ("commit", "rollback", "commit release", "rollback release")


def is_compared(statement: Statement, session: State) -> bool:
    """Tell whether a read's answer is compared when its transaction moves.

    What shows the schema is not read in a transaction: not on one server, either.
    """
    if not shows_data(statement) or statement.verb.startswith(_OF_SCHEMA):
        return False
    return not statement.tables or _reads_tables(statement, session)


def begins_on_mariadb(statement: Statement, session: State) -> bool:
    """Tell whether a read that autocommit is off for begins a transaction on MariaDB.

    Tried: what opens a table with rows does, EXPLAIN included; SHOW and DESCRIBE do not.
    """
    verb = statement.verb
    return not (verb.startswith("SHOW") or verb == "DESCRIBE") and _reads_tables(statement, session)


def takes_view(statement: Statement, session: State) -> bool:
    """Tell whether a read fixes what those behind it in its transaction see.

    What shows the schema does not (tried), nor need a function, which may read nothing.
    """
    fixes_none = statement.functions or statement.verb.startswith(_OF_SCHEMA)
    return not fixes_none and _reads_tables(statement, session)


def _reads_tables(statement: Statement, state: State) -> bool:
    if statement.functions:
        return True
    for table in statement.tables:
        if (table.database or state.schema or "").lower() != "information_schema":
            return True
    return False


_OF_SCHEMA = ("SHOW", "DESC", "EXPLAIN")
_SAVEPOINTS = frozenset({"savepoint", "release savepoint", "rollback to"})
_OF_TRANSACTIONS = re.compile(
    r"autocommit|completion_type|transaction_|tx_|gtid_|sql_log_bin|binlog_|session_track_"
    r"|pseudo_|timestamp|insert_id|rand_seed|skip_replication"
)
_ORDERED = re.compile(rb"\border\b", re.IGNORECASE)


def _prepares_read(statement: Statement) -> bool:
    """Tell whether PREPARE is for a read: MariaDB refuses others in a READ ONLY transaction."""
    return statement.body is not None and statement.body.kind is Kind.READ


def _reads_only(does: str, session: State) -> bool:
    return "read only" in does or (session.reads_only and "read write" not in does)


def is_ordered(sql: bytes) -> bool:
    """Tell whether the order of a read's rows may mean something: it has the word ORDER."""
    return _ORDERED.search(sql) is not None


_SWITCH = re.compile(
    rb"\s*SET\s+(?:(?:SESSION|LOCAL)\s+|@@(?:(?:SESSION|LOCAL)\s*\.\s*)?)?autocommit\s*:?=\s*"
    rb"(?:1|ON|TRUE)[\s;]*",
    re.IGNORECASE,
)


def switches_on(statement: Statement, sql: bytes) -> bool:
    """Tell whether a statement switches autocommit on and does nothing else: that commits."""
    return statement.kind is Kind.SESSION and _SWITCH.fullmatch(sql) is not None
