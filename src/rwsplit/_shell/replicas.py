"""A virtual connection's replicas: its reads there, carried out, and the straight road to them."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from .._core.figures import View
from .._core.flows.choosing import Chooser
from .._core.flows.command import AskAside, AskPosition, HavePrimary, Open, WaitAside
from .._core.flows.reading import Read, Reads, Served, Unserved
from .._core.options import Options
from .._core.policies import Policy
from .._core.position import Position
from .._core.route import Route
from .._core.seen import Seen, Sight
from .._core.session import Session
from .._core.wire import Fault
from .._drivers import err
from .._drivers.pymysql import Ask, error_of, fault_of
from .account import Account
from .cluster import Cluster
from .member import Member, ask_aside, ask_position
from .members import Members
from .opening import Opener
from .perform import HANDS, Hands, perform, with_faults

__all__ = ["Replicas"]


class Replicas:
    """The members of one virtual connection that are replicas, opened when first needed."""

    def __init__(
        self,
        cluster: Cluster,
        session: Session,
        primary: Member,
        options: Options,
        account: Account,
        has_primary: Callable[[], bool],
        ask: Ask,
    ) -> None:
        self._cluster = cluster
        self._session = session
        self._primary = primary
        self.members = members = Members(cluster, primary)
        self.seen = seen = Seen(session.origin)
        view = View(cluster.figures, cluster.dice.random)
        self.chooser = Chooser(cluster, session, seen, members, view, options.on_lag == "wait")
        self.reads = Reads(cluster, session, seen, self.chooser, members, primary, monotonic)
        self.wait_at_most(options.max_wait)
        self.take_policy(options.policy)
        opener = Opener(cluster, session, primary, members, options, account)
        # None of them holds this object: it is to go at once with the connection that has it.
        self._hands: Hands = {
            **HANDS,
            Open: opener.open,
            WaitAside: lambda command: with_faults(opener.run_aside(command)),
            HavePrimary: lambda _: has_primary(),
            AskAside: lambda _: ask_aside(cluster, account),
            AskPosition: lambda command: ask_position(
                command.member, ask if command.member is primary else None
            ),
        }

    def wait_at_most(self, seconds: float) -> None:
        """Let a read wait so long for a replica: half of what its answer may take at most."""
        patience = self._primary.connection.read_timeout
        self.chooser.max_wait = min(seconds, patience / 2) if patience else seconds

    def take_policy(self, policy: Policy | None) -> None:
        """Choose by another policy from now on; None for the cluster's own."""
        self.chooser.policy = policy
        if policy is not None:
            self._cluster.note_policy(policy)

    def ready_member(self, shows_data: bool) -> Member | None:
        """Return the member whose turn it is, if it is there and is the same session already."""
        cluster, chooser = self._cluster, self.chooser
        cluster.used = True
        usable = cluster.candidates if not cluster.refresh_at else cluster.usable()
        if not usable or chooser.aside:
            return None
        if self.reads.unsettled is not None:
            self.settle()
        turn = next(cluster.turns)
        member = self.members.get(
            (chooser.policy or cluster.policy)(usable, turn, chooser.view).name
        )
        if (
            shows_data
            and (at := self.seen.at) is not None
            and (member is None or member.name != at)
        ):
            if not (self.seen.tail or (self.seen.when and chooser.was_told())):
                # Only the replica of the last read is known to have what that one saw.
                member = self.members.get(at)
                if chooser.arrivals != cluster.arrivals:
                    member = None
                if member is not None and member.replica.endpoint not in usable:  # type: ignore[union-attr]
                    member = None
            elif member is not None and member.replica.tail != self.seen.tail:  # type: ignore[union-attr]
                member = None
        if member is None or member.version != self._session.version:
            chooser.turn = turn
            return None
        return member

    # What flows do: see `Reads`.

    def read(
        self,
        route: Route,
        read: Read,
        failed: tuple[Member, Fault] | None = None,
        since: float = 0.0,
    ) -> Served | Unserved:
        """Run a read on a replica that may serve it."""
        return perform(self.reads.reading(route, read, failed, since), self._hands)

    def read_on(self, member: Member, route: Route, read: Read) -> Served | Unserved:
        """Run a read in the snapshot that is open on a member, or not at all."""
        reads = self.reads
        if reads.is_in_step(member, route, read):
            return self._read_in_step(member, route, read)
        return perform(self.reads.reading_on(member, route, read), self._hands)

    def _read_in_step(self, member: Member, route: Route, read: Read) -> Served | Unserved:
        """Take the straight road of a read in a snapshot: nothing but the statement is sent."""
        began = monotonic()
        try:
            try:
                assert read.sql is not None
                member.connection.query_for(read.sql, read.unbuffered, read.fingerprint)
            except err.MySQLError as error:
                return self.reads.failed_on(member, fault_of(error), read, began)
            return self.reads.served_on(member, route, read, 0.0, began)
        except Fault as fault:
            failed = error_of(fault)
        raise failed

    def known_of_primary(self) -> Position | None:
        """Return all that this process knows the primary to have; None if that is in doubt."""
        return perform(self.reads.knowing_of_primary(), self._hands)

    def end_snapshot(self, member: Member) -> None:
        """End the transaction that is open on a member; its reply is read when it is needed."""
        perform(self.reads.ending(member), self._hands)

    def settle(self) -> None:
        """Read what a member said at the end of a snapshot."""
        if self.reads.unsettled is not None:
            perform(self.reads.settling(), self._hands)

    def wait_for(self, position: Position, seconds: float) -> bool:
        """Wait until one replica has a position, the closest first; False when time is over."""
        return perform(self.reads.waiting_for(position, seconds), self._hands)

    def take_seen(self) -> Sight:
        """Begin anew with what must not be seen less of; returns what it was before."""
        self.settle()
        return self.seen.take()

    def close(self) -> None:
        """Close all members; their wires are kept for others with the same account."""
        self.members.close(self._session)
