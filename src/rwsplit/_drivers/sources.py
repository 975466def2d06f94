"""Where passwords and sockets come from, if the application has functions for that.

A function is asked at each connect to a server, also for the monitor's connections. What it raises,
or returns instead of what it should, is an error of connecting that names the server; so is one
that takes longer than a connect may. What a function for passwords returned is never shown.
"""

from __future__ import annotations

import contextvars
import inspect
import os
import socket
import ssl
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import MethodType
from typing import Any, NamedTuple

from pymysql.constants import CR

from .._core.cluster.endpoint import Endpoint
from .._core.setup.problems import shown
from . import err

__all__ = [
    "Dial",
    "PasswordSource",
    "Secured",
    "Whose",
    "check_dial",
    "check_password",
    "check_protection",
    "dialed",
    "key_of",
    "made",
    "protects",
    "token_of",
]

_MOST_OVERDUE = 8
"""So many calls of a function for one server may go on that nobody waits for any more."""
_LONGEST_SHOWN = 200


class Secured(NamedTuple):
    """A socket that `dial` returns and whose bytes nobody can read on their way to the server."""

    socket: socket.socket


PasswordSource = Callable[[], str | bytes] | Callable[[Endpoint], str | bytes]
"""What `password` may be: it is given the endpoint if it has a parameter of that name, or one that
it can't be called without."""

Dial = Callable[[Endpoint], socket.socket | Secured]
"""What `dial` may be."""


# Checked before anything is connected.


def check_password(value: Any) -> None:
    """Raise ValueError for a function that can't be called for a password."""
    if callable(value):
        try:
            _bound(value, _ANY)
        except TypeError:
            raise ValueError(
                "password: expected a function that takes an endpoint, or nothing"
            ) from None


def check_dial(value: Any) -> None:
    """Raise ValueError for what is no function that could be called with an endpoint."""
    if value is None:
        return
    if not callable(value):
        raise ValueError(f"dial: expected a function that takes an endpoint, got {shown(value)}")
    try:
        inspect.signature(value).bind(_ANY)
    except TypeError:
        raise ValueError("dial: expected a function that takes an endpoint, and it alone") from None
    except ValueError:
        pass  # written in C, and not telling


def check_protection(options: Any) -> None:
    """Raise ValueError for keywords with which a function's password could only be refused."""
    plain = options.get("ssl_disabled") and not options.get("unix_socket")
    if callable(options.get("password")) and plain and options.get("dial") is None:
        raise ValueError(
            "password: what a function returns is not sent over a plain socket, and ssl_disabled "
            "leaves no other"
        )


_ANY = Endpoint("any", "any", 0)


def _bound(function: Callable[..., Any], endpoint: Endpoint) -> Callable[[], Any]:
    """Return the call of a password's function; raises TypeError if there is no way to call it."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # written in C, and not telling
        return function
    named = signature.parameters.get("endpoint")
    if named is not None and named.kind in (named.POSITIONAL_OR_KEYWORD, named.KEYWORD_ONLY):
        signature.bind(endpoint=endpoint)
        return lambda: function(endpoint=endpoint)
    try:
        signature.bind()
    except TypeError:
        signature.bind(endpoint)
        return lambda: function(endpoint)
    return function


# Asked when a connection is made.


def token_of(function: Callable[..., Any], endpoint: Endpoint, seconds: float) -> bytes:
    """Ask a function for the password for a server.

    Raises OperationalError 2061: it is this account that can't connect, not the server that can't
    be reached.
    """
    try:
        call = _bound(function, endpoint)
        token = _in_time(function, endpoint, seconds, call, lambda late: None)
    except Exception as error:
        why = "it took too long" if isinstance(error, _OverdueError) else type(error).__name__
        raise _no_password(endpoint, why) from error
    if inspect.iscoroutine(token):
        token.close()
    if not isinstance(token, str | bytes):
        raise _no_password(endpoint, f"it returned no text, but a {type(token).__name__}")
    if not token:
        raise _no_password(endpoint, "it returned an empty text")
    try:
        return token.encode("latin1") if isinstance(token, str) else token
    except UnicodeError:
        pass  # that error shows it
    raise _no_password(endpoint, "it returned a character that can't be sent")


def dialed(dial: Dial, endpoint: Endpoint, seconds: float) -> tuple[socket.socket, bool]:
    """Ask a function for a socket to a server; also tells whether it is a secured one.

    Raises OperationalError 2003.
    """
    try:
        found = _in_time(dial, endpoint, seconds, lambda: dial(endpoint), _close)
    except Exception as error:
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise _no_socket(endpoint, f"dial: {why:.{_LONGEST_SHOWN}}", error) from error
    if inspect.iscoroutine(found):
        found.close()
    sock, secured = (found.socket, True) if isinstance(found, Secured) else (found, False)
    if not isinstance(sock, socket.socket):
        raise _no_socket(endpoint, f"dial returned no socket, but {_kind(sock)}")
    if sock.fileno() < 0:
        raise _no_socket(endpoint, "dial returned a socket that is closed")
    try:
        sock.getpeername()
    except OSError as error:
        _close(sock)
        raise _no_socket(endpoint, "dial returned a socket that is not connected", error) from error
    with _lock:
        is_new = sock not in _handed_over
        _handed_over.add(sock)
    if not is_new:
        # Two connections on one socket would take each other's answers.
        raise _no_socket(endpoint, "dial returned a socket that it has returned before")
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock, secured or protects(sock)


def made(
    creator: Callable[[Endpoint], Any],
    endpoint: Endpoint,
    seconds: float,
    own_errors: type[Exception],
) -> Any:
    """Ask a function for a finished connection to a server.

    Raises what the function's driver raises, and OperationalError 2003 for all else.
    """
    try:
        return _in_time(creator, endpoint, seconds, lambda: creator(endpoint), _close_late)
    except own_errors:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise _no_socket(endpoint, f"creator: {why:.{_LONGEST_SHOWN}}", error) from error


def _close_late(connection: Any) -> None:
    close = getattr(connection, "close", None)
    if close is not None:
        with suppress(Exception):
            close()


def protects(sock: object) -> bool:
    """Tell whether a socket itself shows that nobody reads what goes through it."""
    if isinstance(sock, ssl.SSLSocket):
        return True
    unix = getattr(socket, "AF_UNIX", None)
    return unix is not None and isinstance(sock, socket.socket) and sock.family == unix


def _no_password(endpoint: Endpoint, why: str) -> err.OperationalError:
    text = f"Can't get a password for {endpoint.name!r} from the function given: {why}"
    return err.OperationalError(CR.CR_AUTH_PLUGIN_ERR, text)


def _no_socket(
    endpoint: Endpoint, why: str, original: Exception | None = None
) -> err.OperationalError:
    error = err.OperationalError(
        CR.CR_CONN_HOST_ERROR, f"Can't connect to MySQL server on {endpoint.name!r} ({why})"
    )
    if original is not None:
        error.original_exception = original
    return error


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _close(late: object) -> None:
    late = late.socket if isinstance(late, Secured) else late
    if isinstance(late, socket.socket):
        with suppress(OSError):
            late.close()


class _OverdueError(TimeoutError):
    pass


class _Call:
    """One call of a function, in a thread of its own: it may never end, and its caller must."""

    def __init__(self, call: Callable[[], Any], drop: Callable[[Any], None], key: Any) -> None:
        self._call, self._drop, self._key = call, drop, key
        self._context = contextvars.copy_context()
        self._ended = threading.Event()
        self._is_overdue = False
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result = self._context.run(self._call)
        except BaseException as error:
            self._error = error
        with _lock:
            self._ended.set()
            if not self._is_overdue:
                return
            _overdue[self._key] -= 1
            if _overdue[self._key] <= 0:
                del _overdue[self._key]
        self._drop(self._result)

    def wait(self, seconds: float) -> Any:
        try:
            self._ended.wait(seconds)
        finally:
            with _lock:
                if not self._ended.is_set():
                    self._is_overdue = True
                    _overdue[self._key] += 1
        if self._is_overdue:
            raise _OverdueError(f"timed out after {seconds:g} s")
        if isinstance(self._error, Exception):
            raise self._error
        if self._error is not None:  # it would have ended the program
            raise RuntimeError(type(self._error).__name__) from self._error
        return self._result


def _in_time(
    function: object,
    endpoint: Endpoint,
    seconds: float,
    call: Callable[[], Any],
    drop: Callable[[Any], None],
) -> Any:
    """Return what `call` returns; what it returns too late is given to `drop`.

    Raises what it raises, and TimeoutError.
    """
    key = Whose(function), endpoint.name
    if _overdue[key] >= _MOST_OVERDUE:
        raise _OverdueError("timed out before, and still runs")
    running = _Call(call, drop, key)
    threading.Thread(target=running.run, name=f"rwsplit-ask {endpoint.name}", daemon=True).start()
    return running.wait(seconds)


_lock = threading.Lock()
_overdue: Counter[tuple[Whose, str]] = Counter()
"""By function and server, how many calls still run that nobody waits for."""
_handed_over: weakref.WeakSet[socket.socket] = weakref.WeakSet()
"""What functions have returned."""


def _after_fork() -> None:
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _overdue.clear()  # those threads stayed in the parent


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# As parts of a key.


class Whose:
    """A function as a part of a key: equal to itself alone, however it compares.

    It does not keep the function alive: who has it no more can't ask with that key any more.

    :param keyword: what it was given as.
    """

    __slots__ = ("_hash", "_parts", "keyword")

    def __init__(self, function: Any, keyword: str = "") -> None:
        self.keyword = keyword
        # A method is made anew each time it is looked up.
        is_method = isinstance(function, MethodType)
        parts = (function.__self__, function.__func__) if is_method else (function,)
        self._hash = hash(tuple(map(id, parts)))
        self._parts = tuple(map(_weakly, parts))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Whose) or len(self._parts) != len(other._parts):
            return False
        pairs = [(mine(), theirs()) for mine, theirs in zip(self._parts, other._parts, strict=True)]
        return all(mine is theirs and mine is not None for mine, theirs in pairs)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return "<a function>"

    @property
    def is_gone(self) -> bool:
        """Whether nobody has the function any more."""
        return any(part() is None for part in self._parts)


def _weakly(part: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(part)
    except TypeError:
        return lambda: part


def key_of(value: Any, keyword: str) -> Any:
    """Return what stands for a keyword's value, which may be a function, in a key."""
    return Whose(value, keyword) if callable(value) else value
