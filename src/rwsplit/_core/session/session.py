"""A virtual connection's session: its parts, and what is decided by more than one of them.

Nothing here blocks, and nothing knows a driver. What has to be asked or done outside is for the
flows (`_core.flows`), which have it done and let the parts learn the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..cause import Cause, Reason
from ..setup.options import Options
from ..sql.following import ASKED
from ..sql.statement import Hint, Kind, Statement
from ..wire import Capability, Member, unusable
from .followed import Followed
from .identity import Identity
from .language import Language
from .owed import Owed
from .route import OPEN, Route, RouteTaken, route
from .seen import Seen
from .state import AUTOCOMMIT, IN_TRANSACTION, State
from .terms import Terms
from .transaction import Transaction

__all__ = ["Hold", "Session"]

_READ = Kind.READ


class Hold(Protocol):
    """The hold that a virtual connection has on its primary, as its session sees it."""

    generation: int
    """Which of the cluster's primaries it is connected to."""
    revives: bool
    """A connection to the primary that is lost is made again."""
    ended: bool
    """The application has closed the connection."""
    name: str
    """Of the endpoint that the connection was made for."""

    def drop(self) -> None:
        """Close the connection to the primary without a word."""

    def part_of(self, scope: Any, joins: bool = True) -> Any:
        """Return what a scope must see of this primary; `joins` is whether it is used there."""

    def listeners(self, positions: tuple[Any, ...], scopes: tuple[Any, ...]) -> Any:
        """Return who hears for several what is committed."""


class Session:
    """The session of one virtual connection.

    :param cluster: what the process knows of the servers.
    :param primary: the member there.
    :param hold: what keeps it connected.
    :param members: those on replicas that are open, by name.
    :param clock: tells the time (monotonic seconds).
    :param block: tells what the block of code says that the connection is used in.
    """

    __slots__ = (
        "asked",
        "block",
        "calm",
        "clock",
        "cluster",
        "followed",
        "hold",
        "identity",
        "language",
        "may_be_free",
        "members",
        "must_see",
        "only_reads",
        "options",
        "owed",
        "primary",
        "seen",
        "snapshot",
        "state",
        "steady",
        "terms",
        "transaction",
        "transacts",
    )

    def __init__(
        self,
        cluster: Any,
        options: Options,
        primary: Member,
        hold: Hold,
        members: Any,
        state: State,
        terms: Terms,
        identity: Identity,
        tracking: Sequence[str],
        clock: Callable[[], float],
        block: Callable[[], Any],
    ) -> None:
        flavor = state.origin.flavor
        self.cluster = cluster
        self.options = options
        self.primary = primary
        self.hold = hold
        self.members = members
        self.clock = clock
        self.block = block
        self.state = state
        self.terms = terms
        self.identity = identity
        self.seen = Seen(state.origin)
        self.followed = Followed(primary, flavor)
        self.transaction = Transaction(options.transactions == "verify", flavor)
        self.language = Language(state, cluster.topology)
        self.owed = Owed(tracking)
        self.snapshot: Any = None
        """What is open for the transaction on a replica, or was until it was idle for too long."""
        self.asked: Hint | None = None
        """What is asked for beside the text; what the text asks for itself goes before it."""
        self.only_reads = False
        """What may write is refused."""
        self.calm = False
        """Nothing but free reads ran since `is_free` was true: it is true still."""
        self.steady = False
        """The same of usual writes, free reads and `is_steady`."""
        self.transacts = terms.splits and self.may_transact
        """Whether the reads of transactions may run on replicas."""
        self.look_at_terms()

    def __repr__(self) -> str:
        """Tell its state."""
        return repr(self.state)

    # What it is used for.

    def look_at_terms(self) -> None:
        """Take in that the terms have changed, or what they hang on."""
        self.stir()
        terms = self.terms
        self.must_see = terms.must_see
        """Whether a read must see what the session wrote; at hand for the straight road."""
        self.may_be_free = terms.may_be_free(self.cluster.has_gtids)

    def count_found(self) -> None:
        """Count what was found without a result set as read: no commit stands for it."""
        if self.state.take_found():
            self.seen.read_on_primary(self.clock())

    def go_on_behind(self, before: Session, began: bool) -> None:
        """See what the same connection wrote and read before it was connected again.

        `began` is whether it begins where the primary is now, which has all that reads have seen.
        """
        if before.state.origin.flavor != self.state.origin.flavor:
            return
        self.state.go_on_behind(before.state)
        before.count_found()
        if not began:
            self.seen.see_all(before.identity.sights(before.seen))

    def go_on_in_scope(self, before: Session) -> None:
        """See what its reads have seen in the scope that it is used in still."""
        if self.identity.part is not None and self.identity.part is before.identity.part:
            self.seen.see_all([self.seen.sight, before.seen.sight])

    @property
    def may_transact(self) -> bool:
        """Whether reads of transactions may run on replicas, if any reads do."""
        connection = self.primary.connection
        return (
            self.options.transactions != "primary"
            and connection.tracks
            and Capability.RAW_ROWS in connection.offers
        )

    def transact(self, transacts: bool) -> None:
        """Note whether the reads of transactions may run on replicas from now on."""
        self.transacts = transacts

    def ask(self, hint: Hint | None, only_reads: bool) -> tuple[Hint | None, bool]:
        """Take what is asked for beside the texts; returns what was before."""
        self.stir()
        before = self.asked, self.only_reads
        self.asked, self.only_reads = hint, only_reads
        return before

    def open_snapshot(self, snapshot: Any) -> None:
        """Note the snapshot that a replica has opened for the transaction."""
        self.snapshot = snapshot
        self.transaction.note_replica()

    def take_snapshot(self) -> Any:
        """Return the snapshot that is open, which ends now; None for none."""
        snapshot, self.snapshot = self.snapshot, None
        return snapshot

    def snapshot_on(self, member: Member) -> Any:
        """Return the snapshot that is open on a member; None for none."""
        snapshot = self.snapshot
        return snapshot if snapshot is not None and snapshot.member is member else None

    # Whether a statement needs nothing but itself.

    def stir(self) -> None:
        """Note that something runs that may change any part of the session."""
        self.calm = self.steady = False

    def take_steady(self) -> bool:
        """Tell whether a usual write runs on the primary as it is, and will run next."""
        self.calm = False
        self.steady = self.steady or self.is_steady()
        return self.steady

    def is_steady(self) -> bool:
        """Tell whether a write that changes rows alone has nothing before it, and leaves nothing.

        Where it runs, a transaction is open or it is one of its own: it neither begins nor ends
        any, so the next one finds all as it was.
        """
        state, transaction = self.state, self.transaction
        return (
            self.asked is None
            and not self.only_reads
            and (bool(state.status & (IN_TRANSACTION | AUTOCOMMIT)) or not self.transacts)
            and not transaction.is_open
            and not transaction.lost
            and not transaction.may_be_over
            and self.identity.is_free
            and (self.identity.sharing is None or state.position_known)
            and self.owed.nothing
            and not self.followed.skipped
            and not state.next_transaction
            and not state.unread
            and not state.is_unsettled
        )

    def take_free(self) -> bool:
        """Tell whether a plain read may go to any replica, and will run next."""
        self.calm = self.is_free()
        return self.calm

    def is_free(self) -> bool:
        """Tell whether a plain read may go to any replica without more ado.

        Asked of what is there, whenever anything but such a read has run: nobody has to say what
        has changed.
        """
        transaction, owed = self.transaction, self.owed
        return (
            self.may_be_free
            and self.state.is_free(self.must_see)
            and self.asked is None
            and not self.only_reads
            and self.identity.is_free
            and not transaction.begin
            and not transaction.lost
            and not owed.unsent
            and not owed.pending
            and not owed.foreign
            # The statement before may still be asked about where this one would go.
            and self.followed.is_free
            and self.seen.is_free
        )

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open on the primary."""
        return bool(self.state.status & IN_TRANSACTION)

    @property
    def holds_transaction(self) -> bool:
        """Whether the primary has something of a transaction: one that is open, or a savepoint."""
        return self.in_transaction or self.transaction.has_savepoint

    @property
    def reads_alone(self) -> bool:
        """Whether a read is a transaction of its own, and may run where it likes."""
        return (
            self.hold.revives
            and not self.owed.unsent
            and self.state.status & (IN_TRANSACTION | AUTOCOMMIT) == AUTOCOMMIT
        )

    @property
    def is_between(self) -> bool:
        """Whether the primary has no transaction, and nothing that waits for the next one."""
        status = self.state.status & (IN_TRANSACTION | AUTOCOMMIT)
        return status == AUTOCOMMIT and not self.state.next_transaction

    def asks(self, statement: Statement) -> bool:
        """Tell whether a statement asks what one before it has left: see `ASKED`."""
        if not statement.depends.isdisjoint(ASKED):
            return True
        return statement.verb == "EXECUTE" and statement.name in self.state.asking

    # Where it goes.

    def route(self, statement: Statement, in_snapshot: bool = False) -> Route:
        """Return where a statement goes, by what the session knows of itself."""
        terms = self.terms
        return route(statement, self.state, terms.level, terms.max_staleness, in_snapshot)

    def reason_on_primary(self, statement: Statement, reason: Reason) -> Reason:
        """Return why a statement runs on the primary: a read, where none are split, for that."""
        unsplit = self.terms.unsplit
        return unsplit if unsplit is not None and statement.kind is _READ else reason

    def runs_in_open_transaction(self, statement: Statement) -> Reason | None:
        """Return why a statement runs in the primary's open transaction; None if it need not."""
        if (
            self.transacts
            and self.state.status & IN_TRANSACTION
            and statement.transaction is None
            and statement.kind is not Kind.FOLLOW_READ
        ):
            return OPEN if statement.kind is _READ else statement.reason
        return None

    def hinted(self, statement: Statement) -> Statement:
        """Return a statement with the hints that hold for it beside its text."""
        if statement.foreign_hints and self.options.hints:
            # The first that the configuration knows, if there is none of ours.
            known = self.options.hints
            hint = next((known[said] for said in statement.foreign_hints if said in known), None)
            if statement.hint is None:
                statement = statement._replace(hint=hint)
        if self.asked is not None:
            statement = statement._replace(hint=self.asked.under(statement.hint))
        return statement

    # What it is called.

    def has_begun(self) -> bool:
        """Tell whether a transaction has begun that the primary knows nothing of."""
        return self.transaction.has_begun

    def skip(self, statement: Statement, why: str) -> RouteTaken:
        """Note a statement that nobody needs to run; returns its route."""
        # Nothing can stand for it there that would leave the level to the next transaction.
        self.followed.note_skipped(self.primary, not self.state.next_transaction)
        return RouteTaken("", "none", Reason(f"{statement.verb} {why}", Cause.ANSWERED))

    def check_lost(self) -> None:
        """Raise the fault of a transaction that was lost, and has not been rolled back."""
        lost = self.transaction.lost
        if lost:
            raise unusable(
                f"the transaction was lost with its connection to primary {lost}; roll it back, "
                "and run it again from its start"
            )

    def check_revivable(self) -> None:
        """Raise the fault of a connection that was closed, or that can't go on on another one."""
        hold, bound = self.hold, self.state.bound
        if hold.ended or self.primary.connection.is_closed or not hold.revives:
            raise unusable()
        if bound:
            raise unusable(
                f"the connection to primary {self.primary.name} was lost, and the session can't "
                f"go on on another: {bound}; connect again"
            )
