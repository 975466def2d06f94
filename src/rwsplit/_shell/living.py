"""Whether a virtual connection works, and how it is closed."""

from __future__ import annotations

import sys
from collections.abc import Callable

from .._drivers import err
from .connected import Connected

__all__ = ["Living"]


class Living(Connected):
    """The methods about the connection itself."""

    def is_usable(self) -> bool:
        """Tell, without asking a server, whether the next statement finds a connection that works.

        For pools and health checks. A connection to the primary that was lost while nothing hung on
        it is made again by itself; that of a transaction, or of a session with locks or temporary
        tables, is not.
        """
        if not self._turn.acquire(False):
            return True  # another thread's statement is under way
        try:
            if not self.open:
                return False
            begun, hold = self._begun, self._hold
            if begun is None or hold is None or not hold.revives:
                return not self.driver_connection.has_ended()
            session = begun.session
            has_left = begun.journey.holding.has_left()
            return not has_left or not (session.state.bound or session.holds_transaction)
        finally:
            self._turn.release()

    # Open and closed.

    @property
    def open(self) -> bool:
        """Whether the connection works: one to the primary that was lost is made again.

        Not while a transaction was lost with it, and has not been rolled back.
        """
        if self.driver_connection.open:
            return True
        return self._goes_on_elsewhere() and not self._session.transaction.lost

    def goes_on(self) -> bool:
        """Tell, at no round trip, whether this connection works, at the latest after a rollback.

        Not if it was closed, or lost with what can't be had on another: temporary tables, locks.
        """
        primary = self.driver_connection
        return (primary.open and not primary.has_ended()) or self._goes_on_elsewhere()

    def _goes_on_elsewhere(self) -> bool:
        """Tell whether it goes on once its connection to the primary is lost."""
        hold, begun = self._hold, self._begun
        if hold is None or begun is None or not hold.revives:
            return False
        return not (hold.ended or self.driver_connection.is_closed or begun.session.state.bound)

    def _is_in_use(self) -> bool:
        """Tell whether the application has not closed it."""
        return self._hold is not None and not self._hold.ended

    def close(self) -> None:
        """Close all members; a statement that another thread is running loses its connection.

        Raises Error if the connection is closed already.
        """
        primary, hold, begun = self.driver_connection, self._hold, self._begun
        if primary.is_closed:
            raise err.Error("Already closed")
        if hold is not None:
            hold.end()
        if not self._turn.acquire(False):
            primary.end()
            members = () if begun is None else begun.members.values()
            for connection in (primary, *[member.connection for member in members]):
                connection.interrupt()
            if self._cluster is not None:
                self._cluster.watch.wake()
            return
        try:
            if begun is None or hold is None:
                primary.close()
                return
            begun.roads.perform(begun.journey.joining.ending_mark())
            self._abandon_snapshot()
            hold.close(begun.session)
        finally:
            if begun is not None:
                begun.members.close(begun.session.state)
            self._turn.release()
        self._is_over = True

    def _abandon_snapshot(self) -> None:
        """Forget the snapshot, as its member is closed."""
        begun = self._begun
        snapshot = None if begun is None else begun.session.take_snapshot()
        if snapshot is not None:
            snapshot.abandon()

    def _abandon_mark(self) -> None:
        """End the mark of a write of a connection that nobody holds any more, elsewhere."""
        begun = self._begun
        if begun is None:
            return
        session = begun.session
        sharing, state = session.identity.sharing, session.state
        if sharing is None or not sharing.is_open or sharing.awaits or session.owed.pending:
            return
        if state.position_known:
            sharing.abandon(state.written or None)

    def _force_close(self) -> None:
        hold = self._hold
        if hold is not None:
            hold.end()
        self._abandon_mark()
        self._abandon_snapshot()
        if hold is not None:
            hold.drop()
        if self._members is not None:
            self._members.kill()

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # As the interpreter ends, threads have died with the locks that they held.
        if self._hold is not None and not self._is_over and not is_finalizing():
            self._force_close()
