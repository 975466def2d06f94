"""What comes behind a statement: its further results, its warnings, and PyMySQL's own protocol."""

from __future__ import annotations

from typing import Any

from .._core.cause import Cause, Reason
from .connected import Connected

__all__ = ["Speaking"]

_SPEAKS = Reason("the application spoke the protocol itself", Cause.BOUND)


class Speaking(Connected):
    """The methods about what the last statement left, and for those who speak the protocol."""

    _affected_rows: Any

    def next_result(self, unbuffered: bool = False) -> Any:
        """Go on to the next result of the last statement; the cursors call this."""
        with self._having_turn() as begun:
            self._result = None
            flow = begun.methods.going_on(unbuffered)
            self._result = result = begun.roads.perform(flow)
            result.route = self.route
            self._affected_rows = result.affected_rows
            return result.affected_rows

    def affected_rows(self) -> Any:
        """Return the number of rows that the last statement affected or returned."""
        return self._affected_rows

    def insert_id(self) -> Any:
        """Return the AUTO_INCREMENT value of the last statement; 0 if it failed or none ran."""
        return self._result.insert_id if self._result else 0

    def show_warnings(self) -> Any:
        """Return the warnings of the last statement, from the member that ran it."""
        with self._having_turn() as begun:
            self._result = None
            return begun.roads.perform(begun.methods.showing_warnings())

    # PyMySQL's own road to the wire, for those who speak the protocol themselves.

    def _execute_command(self, command: int, sql: Any) -> None:
        """Send a command to the primary; who does so reads the reply.

        What it does nobody knows, so from then on everything runs on the primary.
        """
        with self._having_turn() as begun:
            self._result = None
            begun.roads.perform(begun.methods.handing_over(_SPEAKS))
            primary = self.driver_connection
            primary._execute_command(command, sql)
            primary.due = 0

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        with self._having_turn() as begun:
            primary = self.driver_connection
            primary.due = 1
            rows = primary._read_query_result(unbuffered)
            begun.journey.learning.learn()
            self._result, self._affected_rows = primary.result, rows
            return rows

    def _read_ok_packet(self) -> Any:
        with self._having_turn() as begun:
            ok = self.driver_connection._read_ok_packet()
            begun.journey.learning.learn()
            return ok
