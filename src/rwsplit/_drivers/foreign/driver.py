"""What rwsplit asks of a driver that it wraps: connections as lines, errors, cursor classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..._core.wire import Capability
from .. import err
from ..lending import Lender
from .results import Answered

__all__ = ["Driver", "Line", "application_error", "house_error", "name_of"]


class Line(Protocol):
    """One connection of a wrapped driver, for `ForeignConnection`.

    All raise the driver's own errors.
    """

    connection: Any
    """The driver's own."""
    version: str
    """The server's."""
    thread: int
    """The number of the server's thread."""
    read_timeout: float | None
    """How many seconds an answer may take; None for what nobody tells."""
    offers: Capability
    """What is known of it once it is connected: the server and the library decide, too."""
    follows: str
    """The system variables whose reports its library goes by itself, as a server takes them."""

    def run(self, sql: bytes) -> None:
        """Send a statement, and wait for the beginning of its answer."""

    def send(self, sql: bytes) -> None:
        """Send a statement, and wait for nothing; only where it PIPELINES."""

    def receive(self) -> None:
        """Wait for the beginning of the answer to the next statement that was sent."""

    def take(self, unbuffered: bool, ended: Callable[[Exception | None], None]) -> Answered:
        """Return the answer that has begun."""

    def take_ours(self) -> Answered:
        """Return it with its rows, and their values as the server sent them."""

    def advance(self) -> None:
        """Wait for the beginning of the next result of the same statement."""

    def status(self) -> int:
        """Return the server's status bits as of the last answer."""

    def report(self) -> bytes:
        """Return what the last answer reported, as the end of an OK packet."""

    def warning_count(self) -> int:
        """Return how many warnings the last statement left."""

    def show_warnings(self) -> Any:
        """Return the warnings of the last statement."""

    def select_db(self, name: str) -> None:
        """Change the default schema."""

    def set_character_set(self, charset: str) -> None:
        """Set the character set of the connection."""

    def ping(self) -> None:
        """Check that the server answers."""

    def encoding(self) -> str:
        """Return how texts become bytes."""

    def charset(self) -> str:
        """Return the name of the connection's character set."""

    def read_as(self, other: Any) -> None:
        """Make of what comes what another of the driver's connections makes of it."""

    def is_lost(self, error: Exception) -> bool:
        """Tell whether nothing more can be had from it after this error."""

    def fileno(self) -> int:
        """Return the number of its socket."""

    def close(self) -> None:
        """Close it."""


class Driver(Lender, Protocol):
    """A driver that can be wrapped."""

    primary_only: frozenset[str]
    """Those that a replica does not share: its state is replayed."""
    timeouts: tuple[str, ...]
    """Those that say how many seconds a connect may take; the first is the driver's own."""

    def __hash__(self) -> int: ...

    def connect(self, keywords: Mapping[str, Any]) -> Any:
        """Make a connection."""

    def line(self, connection: Any) -> Line:
        """Return what drives a connection."""

    def closed(self) -> Exception:
        """Return the driver's error of a connection that is closed."""

    def let_pass(self, cls: type) -> None:
        """Let the driver's cursors take virtual connections of a class for the driver's."""

    def told_by(self, connection: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return keywords that an open connection was made with: where it leads to, and others."""

    def made(self, columns: Sequence[Any], rows: Sequence[tuple[Any, ...]]) -> Any:
        """Return a result that no server sent, as the driver's cursors read one."""

    def neutral(self, error: Exception) -> tuple[str, tuple[Any, ...]]:
        """Return the name of PyMySQL's class of an error, and what that would have in it.

        One of a connection that was lost is an OperationalError with a number that says so.
        """

    def error(self, cls: type[Exception], error: err.MySQLError) -> Exception:
        """Return an error of one of the driver's classes that says what one of this house says."""

    def cursor_class(self, cls: Any) -> Any:
        """Return the subclass of a cursor class that runs its statements through rwsplit."""


def name_of(error: Exception) -> str:
    """Return the name that PEP 249 has for the class of a driver's error."""
    names = [each.__name__ for each in type(error).__mro__]
    return next((name for name in names if name in _NAMES), "OperationalError")


def house_error(driver: Driver, error: Exception) -> err.MySQLError:
    """Return what a wrapped driver's error is here: of PyMySQL's class of that name.

    It has the driver's own as `foreign`, for the application to get in the end.
    """
    name, args = driver.neutral(error)
    found: err.MySQLError = getattr(err, name)(*args)
    found.foreign = error
    return found


def application_error(driver: Driver, error: err.MySQLError) -> Exception:
    """Return what an error of this house is to the application: one of the driver's own."""
    known: Exception | None = getattr(error, "foreign", None)
    if known is not None:
        return known
    if type(error) is err.InterfaceError and error.args == (0, ""):
        return driver.closed()
    made = driver.error(_class_of(driver, type(error)), error)
    made.__dict__.update(error.__dict__)
    made.__cause__ = error.__cause__
    return made


def _class_of(driver: Driver, cls: type[Exception]) -> Any:
    """Return the driver's class of that name; one of rwsplit's own errors stays that, too."""
    own = next((each for each in cls.__mro__ if each.__name__ in _NAMES), None)
    theirs = getattr(driver.module, own.__name__ if own is not None else "DatabaseError")
    if own is cls or own is None:
        return theirs
    known = _both.get((cls, theirs))
    if known is None:
        known = _both[cls, theirs] = type(cls.__name__, (cls, theirs), {"__module__": __name__})
    return known


_both: dict[tuple[type, type], type] = {}
_NAMES = frozenset(
    {"Error", "InterfaceError", "DatabaseError", "DataError", "OperationalError", "IntegrityError"}
    | {"InternalError", "ProgrammingError", "NotSupportedError", "Warning"}
)
