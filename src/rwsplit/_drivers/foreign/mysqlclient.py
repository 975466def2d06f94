"""mysqlclient (`MySQLdb`): its connection as a line, and its cursor classes.

What it tells of a session, it tells where it is linked with MariaDB's Connector/C (`native`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

from ..._core.session.state import AUTOCOMMIT
from ..._core.wire import Capability
from .native import native_of
from .results import Answered, Stream

__all__ = ["MySQLClient"]

_LOST = frozenset({2000, 2006, 2013, 2014, 2027, 2055, 1053, 1927, 3169, 4031})
"""Behind these a connection is of no more use; 2014 and 2027 say that its replies are confused."""


class Line:
    """One connection of mysqlclient."""

    follows = "character_set_client"  # in which Connector/C reads what comes

    def __init__(self, connection: Any, extension: Any) -> None:
        self.connection = connection
        native = native_of(extension, connection)
        self.offers = Capability(0)
        self.status: Callable[[], int] = self._untold_status
        self.report: Callable[[], bytes] = bytes
        if native is not None:
            told = Capability.TRACKS_WRITES | Capability.PIPELINES
            self.offers = told | Capability.RAW_ROWS
            self.status, self.report = native.status, native.report
        base = extension.connection
        # A statement comes as bytes: the methods of the class in C take it as it is.
        self.run: Callable[[bytes], None] = lambda sql: base.query(connection, sql)
        self.send = connection.send_query
        self.receive = connection.read_query_result
        self.fileno: Callable[[], int] = connection.fileno
        self.show_warnings: Callable[[], Any] = connection.show_warnings

    def _untold_status(self) -> int:
        return AUTOCOMMIT if self.connection.get_autocommit() else 0

    def take(self, unbuffered: bool, ended: Callable[[Exception | None], None]) -> Answered:
        """Return the answer that has begun."""
        connection = self.connection
        if not unbuffered:
            handle = connection.store_result()
        else:
            handle = connection.use_result()
            if handle is not None:
                handle = Stream(handle, ended)
        answer = Answered(handle, _rows_again, self.status())
        answer.affected_rows = -1 if unbuffered and handle else connection.affected_rows()
        answer.insert_id = connection.insert_id()
        answer.warning_count = connection.warning_count()
        answer.info = connection.info()
        return answer

    def take_ours(self) -> Answered:
        """Return it with its rows, and their values as the server sent them."""
        connection = self.connection
        converter = connection.converter
        connection.converter = {}
        try:
            answer = self.take(False, _nobody)
        finally:
            connection.converter = converter
        handle = answer.handle
        answer.take_rows(() if handle is None else handle.fetch_row(0, 0))
        return answer

    def advance(self) -> None:
        """Wait for the beginning of the next result of the same statement."""
        self.connection.next_result()

    def is_lost(self, error: Exception) -> bool:
        """Tell whether nothing more can be had from it after this error."""
        return bool(error.args) and error.args[0] in _LOST

    def close(self) -> None:
        """Close it."""
        self.connection.close()


def _rows_again(handle: Any) -> Sequence[Any]:
    """Return the rows of a stored result, and leave them to be read."""
    rows: Sequence[Any] = handle.fetch_row(0, 0)
    handle.data_seek(0)
    return rows


def _nobody(error: Exception | None) -> None:
    pass


class MySQLClient:
    """The driver.

    :param module: `MySQLdb`.
    """

    name = "mysqlclient"
    keywords = frozenset(
        {"host", "user", "password", "passwd", "database", "db", "port", "unix_socket", "conv"}
        | {"connect_timeout", "read_timeout", "write_timeout", "compress", "named_pipe"}
        | {"init_command", "read_default_file", "read_default_group", "cursorclass", "use_unicode"}
        | {"charset", "collation", "auth_plugin", "sql_mode", "client_flag", "multi_statements"}
        | {"executemany_fallback", "ssl_mode", "ssl", "server_public_key_path", "local_infile"}
        | {"local_infile_dir", "autocommit", "binary_prefix"}
    )
    primary_only = frozenset(
        {"database", "db", "unix_socket", "init_command", "sql_mode", "autocommit", "cursorclass"}
        | {"local_infile", "local_infile_dir", "read_default_file", "read_default_group"}
    )

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self._extension = module._mysql

    def is_own(self, connection: object) -> bool:
        """Tell whether a connection is one of this driver."""
        return isinstance(connection, self._extension.connection)

    def connect(self, keywords: Mapping[str, Any]) -> Any:
        """Make a connection."""
        return self.module.connect(**keywords)

    def line(self, connection: Any) -> Line:
        """Return what drives a connection."""
        return Line(connection, self._extension)

    def closed(self) -> Exception:
        """Return the driver's error of a connection that is closed."""
        error: Exception = self.module.OperationalError(2006, "")
        return error

    def cursor_class(self, cls: Any) -> Any:
        """Return the subclass of a cursor class that runs its statements through rwsplit."""
        base = import_module("MySQLdb.cursors").BaseCursor
        return bound(cls) if isinstance(cls, type) and issubclass(cls, base) else cls


class Bound:
    """What a cursor of a virtual connection has beside its own class's."""

    _answer: Any = None

    @property
    def route(self) -> Any:
        """The route that this cursor's last statement took; None before the first."""
        return getattr(self._answer, "route", None)


class _Querying(Bound):
    def _do_get_result(self, db: Any) -> None:
        self._answer = db.answer
        super()._do_get_result(db)  # type: ignore[misc]


class _Streaming(_Querying):
    def _query(self, q: Any) -> Any:
        connection = self._get_db()  # type: ignore[attr-defined]
        with connection.streaming():
            return super()._query(q)  # type: ignore[misc]


@lru_cache(maxsize=256)
def bound(cls: Any) -> Any:
    """Return the subclass of a cursor class for virtual connections."""
    if issubclass(cls, Bound):
        return cls
    streams = any(each.__name__ == "CursorUseResultMixIn" for each in cls.__mro__)
    mixin = _Streaming if streams else _Querying
    return type(cls.__name__, (mixin, cls), {"__module__": cls.__module__, "__doc__": cls.__doc__})
