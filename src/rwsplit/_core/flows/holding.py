"""Holding the primary: connecting to it again, as the same session, and waiting for one."""

from __future__ import annotations

from ..cluster.facts import PrimaryFacts
from ..failure import FULL
from ..numbers import UNREACHABLE
from ..session.session import Session
from ..session.state import AUTOCOMMIT
from ..wire import Fault, Kind, raise_first
from .command import Ask, Connect, Flow, WaitForPrimary

__all__ = ["Holding", "words"]


class Holding:
    """What keeps a session connected to its cluster's primary, wherever that is."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def has_left(self) -> bool:
        """Tell whether the connection to the primary is of no more use."""
        session = self._session
        connection = session.primary.connection
        return (
            not connection.open
            or session.hold.generation != session.cluster.generation
            or connection.has_ended()
        )

    def lacks_primary(self) -> bool:
        """Tell whether the primary must be connected to again; the cluster is used from now on."""
        session = self._session
        session.cluster.used = True
        if not session.hold.revives:
            return False
        session.cluster.monitor.watch()
        return self.has_left()

    def having(self) -> Flow[bool]:
        """Tell whether the primary can be asked now; connects to it if that is worth a try."""
        session = self._session
        cluster, hold = session.cluster, session.hold
        if session.primary.connection.open and hold.generation == cluster.generation:
            return True
        if not cluster.primary_is_up:
            return False
        generation = cluster.generation
        if session.state.bound or hold.ended or not hold.revives:
            return False
        try:
            yield from self.reconnecting()
        except Fault as fault:
            if fault.is_lost and not hold.ended:
                cluster.watch.primary_failed(generation)
            return False
        return True

    def needing(self, writable: bool = False, until: float = 0.0) -> Flow[None]:
        """Connect to the primary, and wait for one if there is none.

        Raises 2003 when `primary_wait` is over, naming every endpoint; `until` is when that is
        (monotonic seconds), if it has begun before.
        """
        session = self._session
        cluster, patience = session.cluster, session.options.primary_wait
        until = until or session.clock() + patience
        why = ""
        while True:
            session.check_revivable()
            generation = cluster.generation
            if cluster.primary_is_up:
                try:
                    facts = yield from self.reconnecting()
                    if not (writable and facts.read_only):
                        return
                    why = "it is read-only"
                    session.hold.drop()
                    cluster.watch.primary_is_read_only(generation)
                except Fault as fault:
                    if not (fault.number and (fault.is_lost or fault.number in FULL)):
                        raise
                    why = words(fault)
                    cluster.watch.primary_failed(generation)
            if not (yield from WaitForPrimary(generation, until)):
                raise Fault(
                    UNREACHABLE,
                    f"Can't connect to MySQL server: there is no primary after {patience:g} s; "
                    f"{cluster.topology.describe(why)}",
                    Kind.LOST,
                )

    def reconnecting(self) -> Flow[PrimaryFacts]:
        """Connect to the primary again, as the same session."""
        session = self._session
        state, cluster, hold = session.state, session.cluster, session.hold
        connection = session.primary.connection
        autocommit = state.status & AUTOCOMMIT
        if connection.open:
            hold.drop()
        before = cluster.generation, hold.generation
        part = session.identity.part
        holders = [cluster.process, *([part] if part is not None else [])]
        heard = [each.look(cluster.last_seen).position for each in holders]
        facts = yield from Connect()
        try:
            state.forget_hearsay()
            restored = state.restored()
            if connection.server_status & AUTOCOMMIT != autocommit:
                restored.append(f"SET autocommit={int(bool(autocommit))}")
            restored += filter(None, state.next_transaction.split("; "))
            raise_first((yield from Ask(session.primary, restored)))
        except BaseException:
            hold.drop()
            raise
        connection.tails.clear()
        state.note_status(connection.server_status)
        session.primary.rename(hold.name)
        if before[0] != before[1] or hold.generation != before[0]:
            self._forget_lost(facts)
            if facts.position is not None:
                for each, before_that in zip(holders, heard, strict=True):
                    each.let_go(before_that, facts.position)
        return facts

    def _forget_lost(self, facts: PrimaryFacts) -> None:
        """Let go of what a new primary does not have: nobody has it any more."""
        session = self._session
        state = session.state
        wanted = state.position
        if facts.history is None or facts.history.covers(wanted):
            return
        session.cluster.warn(
            "the primary %s does not have %s, which this session must see: those transactions were "
            "lost with the primary before; the session lets go of them",
            session.primary.name,
            wanted,
        )
        assert facts.position is not None
        state.let_go(facts.position)
        if not facts.history.covers(state.position):
            state.see_only(facts.position)


def words(fault: Fault) -> str:
    """Return a fault as one phrase, as the log has it."""
    return f"({fault.number}) {fault.text}"
