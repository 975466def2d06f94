"""mysql-connector-python, its connections in pure Python: as lines, and its cursor classes.

What its C extension is told nobody can read; so `use_pure` is always on. What the server tells
stands in OK packets behind what the driver reads of them; behind rows there is none, as the driver
can't speak CLIENT_DEPRECATE_EOF. Packets are read here, so that connections of any of its pure
classes tell, whoever has made them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from ..._core.numbers import NOT_SUPPORTED_YET
from ..._core.wire import Capability
from .. import err
from .cursors import Bound, bound
from .driver import name_of
from .results import Answered, Field, Stream, nobody

__all__ = ["Connector"]

_LOST = frozenset({1053, 1927, 3169, 4031})
"""A server's own words for it. What has no SQLSTATE is of the driver, and leaves replies unread."""
_OLDEST = (9, 3)
_SERVER_LOST = 2013
_UNCLEAR = frozenset({-1, 2048, 2055, 3024})
"""The driver's numbers for what was lost, or took too long."""
_QUERY, _INIT_DB = 3, 2
_OK, _ERROR, _LOCAL_INFILE = 0x00, 0xFF, 0xFB
_HEADER = 4
_ANY_STATE = "HY000"
"""Of a server's error whose text the driver can't read."""
_VAR_STRING, _LONGLONG = 253, 8
_NOT_NULL, _UTF8 = 1, 45


class Line:
    """One pure connection of mysql-connector-python."""

    follows = ""

    def __init__(self, connection: Any, flags: Any) -> None:
        self.connection = connection
        spoken = connection._client_flags & connection._handshake["capabilities"]
        self.offers = Capability.RAW_ROWS
        if spoken & flags.SESSION_TRACK:
            self.offers |= Capability.TRACKS_WRITES
        if not connection._compress:
            self.offers |= Capability.PIPELINES
        # An answer may take so long; of the query there are no attributes, in one set.
        self.read_timeout: float | None = connection._read_timeout or None
        self._before: bytes = b"\x00\x01" if spoken & flags.CLIENT_QUERY_ATTRIBUTES else b""
        self.version: str = connection.server_info
        self.thread: int = connection.connection_id
        self._status = 2 if connection._autocommit else 0
        self._warnings = 0
        self._begun: dict[str, Any] = {}
        self._packet = b""

    def run(self, sql: bytes) -> None:
        """Send a statement, and wait for the beginning of its answer."""
        self.send(sql)
        self.receive()

    def send(self, sql: bytes) -> None:
        """Send a statement, and wait for nothing."""
        connection = self.connection
        if connection.unread_result:  # what the application ran on it directly
            connection.get_rows(raw=True)
        connection._query, connection._local_infile_filenames = sql, None
        self._write(_QUERY, self._before + sql)

    def _write(self, command: int, data: bytes) -> None:
        connection = self.connection
        connection._socket.send(bytes((command,)) + data, 0, 0, connection._write_timeout)

    def receive(self) -> None:
        """Wait for the beginning of the next answer."""
        connection = self.connection
        connection.unread_result = False
        packet = connection._socket.recv(connection._read_timeout)
        kind = packet[_HEADER]
        if kind == _LOCAL_INFILE:
            self._send_file(packet)
            return
        if kind == _OK:
            self._packet = packet
        try:
            begun = connection._handle_result(packet)
        except Exception as error:
            if kind == _ERROR and error.sqlstate is None:  # type: ignore[attr-defined]
                error.sqlstate = _ANY_STATE  # type: ignore[attr-defined]
            raise
        self._begin(begun)

    advance = receive

    def _begin(self, begun: dict[str, Any]) -> None:
        self._begun = begun
        self._see(begun.get("eof", begun))

    def _see(self, end: Mapping[str, int]) -> None:
        self._status, self._warnings = end["status_flag"], end["warning_count"]

    def _send_file(self, packet: bytes) -> None:
        """Send what LOAD DATA LOCAL asks for; the driver reads what that is answered with."""
        connection = self.connection

        def handle(ok: bytes) -> Any:
            self._packet = ok
            return type(connection)._handle_ok(connection, ok)

        connection._handle_ok = handle
        try:
            self._begin(connection._handle_result(packet))
        finally:
            del connection._handle_ok

    def take(self, unbuffered: bool, ended: Callable[[Exception | None], None]) -> Answered:
        """Return the answer that has begun."""
        begun = self._begun
        columns = begun.get("columns")
        if columns is None:
            answer = Answered(None, _rows_of, self._status)
            answer.affected_rows = begun["affected_rows"]
            answer.insert_id = begun["insert_id"]
            answer.info = begun.get("info_msg") or None
        elif unbuffered:
            answer = Answered(Stream(_Unread(self, columns), ended), _rows_of, self._status)
            answer.affected_rows = -1
        else:
            rows = Rows(columns, self.read(None))
            answer = Answered(rows, _rows_of, self._status)
            answer.affected_rows = len(rows.all)
        answer.warning_count = self._warnings
        return answer

    def take_ours(self) -> Answered:
        """Return it with its rows, whose values are always as the server sent them."""
        return self.take(False, nobody)

    def read(self, most: int | None) -> list[Any]:
        """Return the next rows of the answer that has begun; all for None."""
        rows, end = self.connection.get_rows(most, raw=True)
        if end is not None:
            self._see(end)
        return rows  # type: ignore[no-any-return]

    def status(self) -> int:
        """Return the server's status bits as of the last answer."""
        return self._status

    def report(self) -> bytes:
        """Return what the last answer without rows reported, as the end of an OK packet."""
        packet = self._packet
        at = _behind_number(packet, _behind_number(packet, _HEADER + 1))
        return bytes(packet[at + 4 :])  # behind status and warnings

    def warning_count(self) -> int:
        """Return how many warnings the last statement left."""
        return self._warnings

    def show_warnings(self) -> Any:
        """Return the warnings of the last statement."""
        self.run(b"SHOW WARNINGS")
        handle = self.take(False, nobody).handle
        row_to_python = self.connection.converter.row_to_python
        return [row_to_python(row, handle.describe()) for row in handle.all]

    def select_db(self, name: str) -> None:
        """Change the default schema."""
        self._write(_INIT_DB, name.encode())
        self.receive()

    def set_character_set(self, charset: str) -> None:
        """Set the character set of the connection."""
        self.run(f"SET NAMES '{charset}'".encode())
        known = self.connection._character_set.get_charset_info(charset)
        self._speak(*known[:2])

    def _speak(self, number: int, charset: str) -> None:
        connection = self.connection
        connection._charset_id = number
        connection.converter.set_charset(charset, character_set=connection._character_set)

    def ping(self) -> None:
        """Check that the server answers."""
        self.connection.unread_result = False
        self._status = self.connection.cmd_ping()["status_flag"]

    def encoding(self) -> str:
        """Return how texts become bytes."""
        return self.connection.python_charset  # type: ignore[no-any-return]

    def charset(self) -> str:
        """Return the name of the connection's character set."""
        return self.connection.charset  # type: ignore[no-any-return]

    def read_as(self, other: Any) -> None:
        """Make of what comes what another connection makes of it."""
        if self.connection._charset_id != other._charset_id:
            self._speak(other._charset_id, other.charset)

    def is_lost(self, error: Exception) -> bool:
        """Tell whether nothing more can be had from it after this error."""
        return _is_lost(error)

    def fileno(self) -> int:
        """Return the number of its socket."""
        return self.connection._socket.sock.fileno()  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close it."""
        self.connection.unread_result = False
        self.connection.close()


def _is_lost(error: Any) -> bool:
    return error.sqlstate is None or error.errno in _LOST


def _behind_number(packet: bytes, at: int) -> int:
    """Return where a number of the protocol's that begins there ends."""
    return at + {0xFC: 3, 0xFD: 4, 0xFE: 9}.get(packet[at], 1)


class Rows:
    """Rows that were read, their values as a server sends them."""

    def __init__(self, columns: Sequence[Any], rows: Sequence[Any]) -> None:
        self._columns = columns
        self.all = rows
        self._at = 0

    def describe(self) -> Sequence[Any]:
        """Return the columns."""
        return self._columns

    def field_flags(self) -> Sequence[int]:
        """Return the columns' flags."""
        return [column[7] for column in self._columns]

    def fetch_row(self, maxrows: int = 1, how: int = 0) -> Sequence[Any]:
        """Return the next rows; all for 0."""
        begin = self._at
        self._at = begin + maxrows if maxrows else len(self.all)
        return self.all[begin : self._at] if begin else self.all[: self._at]

    def discard(self) -> None:
        """Throw away what is left."""
        self._at = len(self.all)


class _Unread(Rows):
    """Rows that the server still has."""

    def __init__(self, line: Line, columns: Sequence[Any]) -> None:
        super().__init__(columns, ())
        self._line = line

    def fetch_row(self, maxrows: int = 1, how: int = 0) -> Sequence[Any]:
        """Return the next rows; all for 0."""
        return self._line.read(maxrows or None)

    def discard(self) -> None:
        """Read them away."""
        self._line.read(None)


def _rows_of(handle: Any) -> Sequence[Any]:
    rows: Sequence[Any] = handle.all
    return rows


class Connector:
    """The driver.

    :param module: `mysql.connector`.
    """

    name = "mysql-connector-python"
    keywords = frozenset(
        {"host", "user", "username", "password", "passwd", "password1", "password2", "password3"}
        | {"database", "db", "port", "unix_socket", "use_unicode", "charset", "collation"}
        | {"converter_class", "converter_str_fallback", "autocommit", "time_zone", "sql_mode"}
        | {"get_warnings", "raise_on_warnings", "connection_timeout", "connect_timeout"}
        | {"read_timeout", "write_timeout", "client_flags", "compress", "buffered", "raw"}
        | {"ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_cert", "ssl_verify_identity", "ssl_cipher"}
        | {"ssl_disabled", "tls_versions", "tls_ciphersuites", "force_ipv6", "auth_plugin"}
        | {"allow_local_infile", "allow_local_infile_in_path", "consume_results", "conn_attrs"}
        | {"use_pure", "krb_service_principal", "oci_config_file", "oci_config_profile"}
        | {"webauthn_callback", "kerberos_auth_mode", "openid_token_file", "init_command"}
        | {"option_files", "option_groups", "read_default_file"}
    )
    why_untold = (
        "mysql-connector-python's connection was made without "
        "client_flags=[ClientFlag.SESSION_TRACK], so nobody is told what statements change"
    )
    primary_only = frozenset(
        {"database", "db", "unix_socket", "init_command", "autocommit"}
        | {"allow_local_infile", "allow_local_infile_in_path"}
        | {"option_files", "option_groups", "read_default_file"}
    )
    timeouts: tuple[str, ...] = ("connection_timeout", "connect_timeout")

    def __init__(self, module: ModuleType) -> None:
        self.module: Any = module
        if self.module.__version_info__ < _OLDEST:
            raise TypeError(f"{self.name} can be wrapped from 9.3 on: {module.__name__} is older")
        self._own = module.MySQLConnection
        self._flags = module.ClientFlag

    def is_own(self, connection: object) -> bool:
        """Tell whether a connection is one of this driver."""
        return isinstance(connection, self._own)

    def connect(self, keywords: Mapping[str, Any]) -> Any:
        """Make a connection: a pure one, whose server tells what statements change."""
        given = {key: keywords[key] for key in keywords if key != "use_pure"}
        if not keywords.get("use_pure", True):
            raise self.module.NotSupportedError(
                "rwsplit wraps the connections in pure Python: use_pure=False can't be had",
                NOT_SUPPORTED_YET,
            )
        flags, tracks = given.get("client_flags") or [], self._flags.SESSION_TRACK
        given["client_flags"] = flags | tracks if isinstance(flags, int) else [*flags, tracks]
        return self._own(**given)

    def line(self, connection: Any) -> Line:
        """Return what drives a connection."""
        return Line(connection, self._flags)

    def closed(self) -> Exception:
        """Return the driver's error of a connection that is closed."""
        error: Exception = self.module.OperationalError("MySQL Connection not available")
        return error

    def let_pass(self, cls: type) -> None:
        """Let the driver's cursors take virtual connections of a class for the driver's."""
        import_module("mysql.connector.abstracts").MySQLConnectionAbstract.register(cls)

    def told_by(self, connection: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return keywords that an open connection was made with: where it leads to, and others."""
        where = {"host": connection._host, "port": connection._port}
        if connection._unix_socket:
            where["unix_socket"] = connection._unix_socket
        told = {"user": connection._user, "password": connection._password}
        return where, told

    def made(self, columns: Sequence[Any], rows: Sequence[tuple[Any, ...]]) -> Rows:
        """Return a result that no server sent, as the driver's cursors read one."""
        return Rows([*map(_column, columns)], [tuple(map(_sent, row)) for row in rows])

    def neutral(self, error: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the name of PyMySQL's class of an error, and what that would have in it.

        One of a connection that was lost is an OperationalError with a number that says so.
        """
        name, number, text = name_of(error), error.errno, error.msg or str(error)
        if error.sqlstate is None and number in _UNCLEAR:
            number, text = _SERVER_LOST, " ".join(text.split())
        # InterfaceErrors are here of connections that are of no use.
        is_operational = _is_lost(error) or name == "InterfaceError"
        return "OperationalError" if is_operational else name, (number, text)

    def error(self, cls: type[Exception], error: err.MySQLError) -> Exception:
        """Return an error of one of the driver's classes that says what one of this house says."""
        number, text = error.args[0], str(error.args[-1])
        state = getattr(error, "sqlstate", None)
        if state is not None:
            cls = type(self.module.errors.get_mysql_exception(number, text, state))
        made = cls.__new__(cls)
        number = number if isinstance(number, int) else None
        self.module.Error.__init__(made, text, number, sqlstate=state)
        return made

    def cursor_class(self, cls: Any) -> Any:
        """Return the subclass of a cursor class that runs its statements through rwsplit."""
        return bound(cls, _Routed)

    def cursor_of(
        self,
        last: Any,
        buffered: bool | None,
        raw: bool | None,
        dictionary: bool | None,
        cls: Any,
    ) -> Any:
        """Return the class of cursors that `cursor()` makes of its arguments.

        :param last: a connection of the driver, with what it was made with.
        :param cls: the application's own; None for the driver's.
        """
        module = import_module("mysql.connector.cursor")
        if cls is not None:
            if not issubclass(cls, module.MySQLCursor):
                raise self.module.ProgrammingError(
                    "Cursor class needs be to subclass of MySQLCursor"
                )
            return self.cursor_class(cls)
        streams = buffered is False
        wanted = {
            "buffered": last._buffered if buffered is None else buffered,
            "raw": last._raw if raw is None else raw,
            "dictionary": dictionary,
        }
        names = [key for key in wanted if wanted[key]]
        found = getattr(module, "MySQLCursor" + "".join([_PARTS[each] for each in names]), None)
        if found is None:
            raise ValueError("Cursor not available with given criteria: " + ", ".join(names))
        return bound(found, _Streaming if streams else _Routed)

    def charset_of(self, last: Any, charset: Any, collation: str | None) -> tuple[str, str]:
        """Return the names of a character set and a collation, of what is given of both."""
        _, name, collation = last._character_set.get_charset_info(charset or None, collation)
        return name, collation or ""

    def read(self, last: Any, handle: Any, rows: Sequence[Any], raw: bool | None) -> list[Any]:
        """Return rows as the application gets them.

        :param last: a connection of the driver, which says how.
        :param handle: the result that they are of.
        """
        if last._raw if raw is None else raw:
            return [*rows]
        convert, columns = last.converter.row_to_python, handle.describe()
        return [convert(row, columns) for row in rows]


_PARTS = {"buffered": "Buffered", "raw": "Raw", "dictionary": "Dict"}


class _Routed(Bound):
    def _handle_result(self, result: Any) -> None:
        self._answer = self._connection.answer  # type: ignore[attr-defined]
        super()._handle_result(result)  # type: ignore[misc]


class _Streaming(_Routed):
    def execute(self, *arguments: Any, **keywords: Any) -> Any:
        with self._connection.streaming():  # type: ignore[attr-defined]
            return super().execute(*arguments, **keywords)  # type: ignore[misc]

    def nextset(self) -> Any:
        with self._connection.streaming():  # type: ignore[attr-defined]
            return super().nextset()  # type: ignore[misc]


def _column(column: Any) -> Any:
    if isinstance(column, Field):
        return column.column
    name, is_text = column
    kind = _VAR_STRING if is_text else _LONGLONG
    return name, kind, None, None, None, None, 0, _NOT_NULL, _UTF8


def _sent(value: Any) -> bytes | None:
    """Return a value as a server would send it."""
    if value is None or isinstance(value, bytes):
        return value
    return str(value).encode()
