"""What a driver's error means, whichever statement it was of."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

from pymysql.constants import CR, ER

from ..._core.wire import Fault, Kind, kind_of
from .. import err

__all__ = ["StaleWire", "error_of", "fault_of", "in_use", "is_of_tls", "lost", "raise_first"]


class StaleWire(err.OperationalError):  # type: ignore[misc]
    """A wire that another connection had left is of no use: nobody has seen what ran there."""


def in_use() -> err.InterfaceError:
    """Return the error of a thread that would use a connection amid another's statement."""
    return err.InterfaceError(
        0,
        "a statement of another thread is running on this connection; threads may share the "
        "module, but not a connection (threadsafety is 1): give each its own",
    )


def raise_first(replies: Sequence[Any]) -> None:
    """Raise the first error among the replies of `run_all`, if there is one."""
    for reply in replies:
        if isinstance(reply, err.MySQLError):
            raise reply


def lost(error: BaseException) -> bool:
    """Tell whether an error means that the connection itself is gone.

    A server that is not who it says is there all the same: it is this account that can't use it.
    """
    if isinstance(getattr(error, "original_exception", None), ssl.SSLCertVerificationError):
        return False
    return isinstance(error, err.InterfaceError) or (
        isinstance(error, err.OperationalError) and bool(error.args) and error.args[0] in _LOST
    )


def fault_of(error: err.MySQLError) -> Fault:
    """Return what an error is to those who decide."""
    number = error.args[0] if error.args else 0
    text = str(error.args[-1]) if error.args else ""
    known = Kind.DENIED if is_of_tls(error) else kind_of(number, text)
    if isinstance(error, StaleWire):
        return Fault(number, text, Kind.STALE, error)
    return Fault(number, text, Kind.LOST if lost(error) else known, error)


def error_of(fault: Fault) -> Exception:
    """Return what a fault is to the application."""
    if fault.original is not None:
        return fault.original
    error: Exception
    if fault.kind is Kind.WRONG:
        error = err.ProgrammingError(fault.text)
    elif not fault.number:
        error = err.InterfaceError(0, fault.text)
    elif fault.kind is Kind.UNSUPPORTED:
        error = err.NotSupportedError(fault.number, fault.text)
    else:
        error = err.OperationalError(fault.number, fault.text)
        if fault.state is not None:
            error.sqlstate = fault.state  # type: ignore[attr-defined]
    cause = fault.__cause__
    error.__cause__ = cause.original if isinstance(cause, Fault) else cause
    return error


def is_of_tls(error: BaseException) -> bool:
    """Tell whether a server was reached, and TLS could not be agreed on or its name verified."""
    cause = getattr(error, "original_exception", None)
    return isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError)


# Beside PyMySQL's own: a server that shuts down, a thread that was killed (MariaDB, MySQL), and one
# that was idle for too long.
_LOST = frozenset(
    {CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, CR.CR_CONN_HOST_ERROR, CR.CR_CONNECTION_ERROR}
    | {ER.SERVER_SHUTDOWN, 1927, 3169, 4031}
)
