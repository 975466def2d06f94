"""Until when a read must be answered, over all members that are tried."""

from __future__ import annotations

import re

from ..numbers import QUERY_INTERRUPTED, QUERY_TIMEOUT
from ..session.state import State
from ..wire import Fault

__all__ = ["Deadline", "limit_of"]

_OWN = re.compile(rb"MAX_EXECUTION_TIME\s*\(\s*(\d+)|max_statement_time\s*=\s*([\d.]+)", re.I)


class Deadline:
    """The deadline of one read: its connection's `read_timeout`, or one of its own.

    Only a read that is tried again needs one: the first try has the connection's own limits.

    :param read_timeout: seconds; None for no limit.
    :param since: when it began (monotonic seconds).
    :param session: what the session lets a statement take at most, in seconds; None for no limit.
    """

    __slots__ = ("_read_timeout", "_session", "_since", "_sql")

    def __init__(
        self,
        read_timeout: float | None,
        sql: bytes,
        since: float,
        session: float | None = None,
    ) -> None:
        self._read_timeout = read_timeout
        self._sql = sql
        self._since = since
        self._session = session

    def own(self) -> float | None:
        """Return how many seconds the statement may run by itself or its session; None for any."""
        found = _OWN.search(self._sql)
        if found is None:
            return self._session
        return (int(found[1]) / 1000 if found[1] else float(found[2])) or None

    def left(self, now: float) -> float | None:
        """Return how many seconds are left; None for no limit."""
        limits = [limit for limit in (self._read_timeout, self.own()) if limit]
        return min(limits) - (now - self._since) if limits else None

    def check(self, endpoint: str, fault: Fault, now: float) -> None:
        """Raise the fault of a read whose time is over.

        Never 2006 or 2013, which are for a connection that is of no more use.
        """
        left = self.left(now)
        if left is None or left > 0:
            return
        if self._read_timeout is not None and self.own() is None:
            raise Fault(
                QUERY_INTERRUPTED,
                f"Query execution was interrupted: no answer within the read_timeout of "
                f"{self._read_timeout:g} s; replica {endpoint}: {fault.text}",
            ) from fault
        raise Fault(
            QUERY_TIMEOUT,
            "Query execution was interrupted, maximum statement execution time exceeded; replica "
            f"{endpoint}: {fault.text}",
        ) from fault


def limit_of(session: State) -> float | None:
    """Return how many seconds a session lets a statement take; None for as long as it likes."""
    milliseconds, seconds = session.value("max_execution_time"), session.value("max_statement_time")
    try:
        return int(milliseconds or 0) / 1000 or float(seconds or 0) or None
    except ValueError:
        return None
