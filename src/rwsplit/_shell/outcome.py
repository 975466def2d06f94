"""What became of a statement whose answer was lost with the connection."""

from __future__ import annotations

from typing import Any

from .._core.numbers import LOCK_DEADLOCK, SERVER_LOST
from .._core.session.state import AUTOCOMMIT, IN_TRANSACTION, can_write
from .._core.statement import Statement
from .._drivers import err

__all__ = ["OutcomeUnknown", "deadlock", "loss"]


class OutcomeUnknown(err.OperationalError):  # type: ignore[misc]
    """A statement that commits was sent to the primary, and the answer was lost.

    It may have been committed or not, so it is never sent again. `args` are PyMySQL's number and a
    text. The connection works again on its next statement.
    """

    def __init__(self, code: int, message: str, endpoint: str, position: str | None) -> None:
        super().__init__(code, message)
        self.endpoint = endpoint
        """The name of the primary that it was sent to."""
        self.position = position
        """What the session had committed or seen before, where known: as `connection.position`."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it be copied and pickled: job queues and pools of processes hand errors on."""
        return type(self), (*self.args, self.endpoint, self.position), {**self.__dict__}


def loss(
    error: err.MySQLError,
    statement: Statement,
    status: int,
    endpoint: str,
    position: str | None,
) -> err.MySQLError:
    """Return what to raise for a connection to the primary that was lost.

    `status` is the server status before the statement. PyMySQL's number for a request that could
    not be written whole is 2006: a server runs none of it.
    """
    code, text = (*error.args, "")[:2]
    if code == SERVER_LOST and _commits(statement, status):
        what = statement.verb or "the statement"
        return OutcomeUnknown(
            code,
            f"{text} (primary {endpoint}; whether {what} took effect is not known, so it was not "
            "tried again)",
            endpoint,
            position,
        )
    if not isinstance(error, err.OperationalError):
        return error
    lost = "; its transaction was rolled back" if status & IN_TRANSACTION else ""
    return err.OperationalError(code, f"{text} (primary {endpoint}{lost})")


def deadlock(why: str) -> err.OperationalError:
    """Return the error of a transaction that was rolled back and can simply be run again."""
    error = err.OperationalError(
        LOCK_DEADLOCK,
        f"Deadlock found when trying to get lock; try restarting transaction ({why})",
    )
    error.sqlstate = "40001"
    return error


def _commits(statement: Statement, status: int) -> bool:
    """Tell whether a statement may have committed something by itself."""
    does = statement.transaction or ""
    if does.startswith("begin"):
        return bool(status & IN_TRANSACTION)
    return (
        does.startswith(("commit", "xa"))
        or statement.implicit_commit
        or statement.may_change_session
        or (status & (IN_TRANSACTION | AUTOCOMMIT) == AUTOCOMMIT and can_write(statement))
    )
