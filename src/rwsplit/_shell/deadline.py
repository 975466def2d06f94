"""Until when a read must be answered, over all members that are tried."""

from __future__ import annotations

import re
from time import monotonic

from .._core.numbers import QUERY_INTERRUPTED, QUERY_TIMEOUT
from .._drivers import err

__all__ = ["Deadline"]

_OWN = re.compile(rb"MAX_EXECUTION_TIME\s*\(\s*(\d+)|max_statement_time\s*=\s*([\d.]+)", re.I)


class Deadline:
    """The deadline of one read: its connection's `read_timeout`, or one of its own.

    Only a read that is tried again needs one: the first try has the connection's own limits.

    :param read_timeout: seconds; None for no limit.
    :param since: when it began (monotonic seconds); 0 for now.
    :param session: what the session lets a statement take at most, in seconds; None for no limit.
    """

    __slots__ = ("_read_timeout", "_session", "_since", "_sql")

    def __init__(
        self,
        read_timeout: float | None,
        sql: bytes,
        since: float = 0.0,
        session: float | None = None,
    ) -> None:
        self._read_timeout = read_timeout
        self._sql = sql
        self._since = since or monotonic()
        self._session = session

    def own(self) -> float | None:
        """Return how many seconds the statement may run by itself or its session; None for any."""
        found = _OWN.search(self._sql)
        if found is None:
            return self._session
        return (int(found[1]) / 1000 if found[1] else float(found[2])) or None

    def left(self) -> float | None:
        """Return how many seconds are left; None for no limit."""
        limits = [limit for limit in (self._read_timeout, self.own()) if limit]
        return min(limits) - (monotonic() - self._since) if limits else None

    def check(self, endpoint: str, error: err.MySQLError) -> None:
        """Raise the error of a read whose time is over.

        Never 2006 or 2013, which are for a connection that is of no more use.
        """
        left = self.left()
        if left is None or left > 0:
            return
        if self._read_timeout is not None and self.own() is None:
            raise err.OperationalError(
                QUERY_INTERRUPTED,
                f"Query execution was interrupted: no answer within the read_timeout of "
                f"{self._read_timeout:g} s; replica {endpoint}: {error.args[-1]}",
            ) from error
        raise err.OperationalError(
            QUERY_TIMEOUT,
            "Query execution was interrupted, maximum statement execution time exceeded; replica "
            f"{endpoint}: {error.args[-1]}",
        ) from error
