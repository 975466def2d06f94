"""What a fault is to the application: PyMySQL's error, or that of an outcome that nobody knows."""

from __future__ import annotations

from typing import Any

from .._core.wire import Fault, UnknownOutcome
from .._drivers import err
from .._drivers.pymysql import error_of as drivers_error_of

__all__ = ["OutcomeUnknown", "error_of"]


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


def error_of(fault: Fault) -> Exception:
    """Return what a fault is to the application."""
    if not isinstance(fault, UnknownOutcome):
        return drivers_error_of(fault)
    error = OutcomeUnknown(fault.number, fault.text, fault.endpoint, fault.position)
    cause = fault.__cause__
    error.__cause__ = cause.original if isinstance(cause, Fault) else cause
    return error
