"""mysqlclient (`MySQLdb`): its connection as a line, and its cursor classes.

What it tells of a session, it tells where it is linked with MariaDB's Connector/C (`native`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from ..._core.session.state import AUTOCOMMIT
from ..._core.wire import Capability
from .. import err
from .cursors import Bound, bound
from .driver import name_of
from .native import mend, native_of
from .results import Answered, MadeRows, Stream, nobody

__all__ = ["MySQLClient"]

_LOST = frozenset({2000, 2006, 2013, 2014, 2027, 2055, 1053, 1927, 3169, 4031})
"""Behind these a connection is of no more use; 2014 and 2027 say that its replies are confused."""


class Line:
    """One connection of mysqlclient."""

    read_timeout: float | None = None
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
        self.warning_count: Callable[[], int] = connection.warning_count
        self.version: str = connection.get_server_info()
        self.thread: int = connection.thread_id()
        self.select_db: Callable[[str], None] = connection.select_db
        self.set_character_set: Callable[[str], None] = connection.set_character_set
        self.ping: Callable[[], None] = connection.ping
        self.charset: Callable[[], str] = connection.character_set_name

    def encoding(self) -> str:
        """Return how texts become bytes."""
        encoding: str = self.connection.encoding
        return encoding

    def read_as(self, other: Any) -> None:
        """Make of what comes what another connection makes of it."""
        converter = other.converter
        if converter is not None:  # one that is closed has none
            self.connection.converter = converter

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
            answer = self.take(False, nobody)
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
        mend(error)
        return bool(error.args) and error.args[0] in _LOST

    def close(self) -> None:
        """Close it."""
        self.connection.close()


def _rows_again(handle: Any) -> Sequence[Any]:
    """Return the rows of a stored result, and leave them to be read."""
    rows: Sequence[Any] = handle.fetch_row(0, 0)
    handle.data_seek(0)
    return rows


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
    why_untold = (
        "mysqlclient is linked with a library that does not tell what statements change; "
        "MariaDB's Connector/C does"
    )
    timeouts: tuple[str, ...] = ("connect_timeout",)
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

    def let_pass(self, cls: type) -> None:
        """Do nothing: its cursors do not look."""

    def told_by(self, connection: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return keywords that an open connection was made with: where it leads to, and others."""
        host = connection.host
        where = {"host": host, "port": connection.port} if host else {}
        return where, {"user": connection.user}

    def made(self, columns: Sequence[Any], rows: Sequence[tuple[Any, ...]]) -> MadeRows:
        """Return a result that no server sent, as the driver's cursors read one."""
        return MadeRows(columns, rows)

    def neutral(self, error: Exception) -> tuple[str, tuple[Any, ...]]:
        """Return the name of PyMySQL's class of an error, and what that would have in it."""
        mend(error)
        return name_of(error), error.args

    def error(self, cls: type[Exception], error: err.MySQLError) -> Exception:
        """Return an error of one of the driver's classes that says what one of this house says."""
        made = cls.__new__(cls)  # those of rwsplit's own take more than their `args`
        made.args = error.args
        return made

    def cursor_class(self, cls: Any) -> Any:
        """Return the subclass of a cursor class that runs its statements through rwsplit."""
        base = import_module("MySQLdb.cursors").BaseCursor
        if not isinstance(cls, type) or not issubclass(cls, base):
            return cls
        streams = any(each.__name__ == "CursorUseResultMixIn" for each in cls.__mro__)
        return bound(cls, _Streaming if streams else _Querying)


class _Querying(Bound):
    def _do_get_result(self, db: Any) -> None:
        self._answer = db.answer
        super()._do_get_result(db)  # type: ignore[misc]


class _Streaming(_Querying):
    def _query(self, q: Any) -> Any:
        connection = self._get_db()  # type: ignore[attr-defined]
        with connection.streaming():
            return super()._query(q)  # type: ignore[misc]
