"""PyMySQL as rwsplit drives it: the only module that knows PyMySQL's internals.

`PhysicalConnection` is PyMySQL's connection with five things added: it speaks CLIENT_SESSION_TRACK
and CLIENT_DEPRECATE_EOF, so that every statement's last packet tells what it changed; it can send
several statements in one round trip; it is set up in one round trip; its wire can be kept for
another one; and it builds a TLS context without loading the system's CAs where nothing would use
them.

PyMySQL moves private names between patch releases, so the version is pinned and
`tests/core/test_driver_contract.py` fails when a name used here is gone.
"""

from __future__ import annotations

import copy
import datetime
import hashlib
import inspect
import os
import select
import socket
import ssl
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from pymysql.charset import charset_by_name
from pymysql.connections import MAX_PACKET_LEN, TEXT_TYPES, Connection, MySQLResult
from pymysql.constants import CLIENT, COMMAND, CR, ER, FIELD_TYPE, SERVER_STATUS
from pymysql.converters import (
    Decimal2Literal,
    escape_bool,
    escape_bytes,
    escape_date,
    escape_datetime,
    escape_float,
    escape_int,
    escape_None,
    escape_not_supported,
    escape_str,
    escape_struct_time,
    escape_time,
    escape_timedelta,
    through,
)
from pymysql.protocol import FieldDescriptorPacket

from .._core.endpoint import Endpoint, address
from .._core.fingerprint import Fingerprint
from .._core.tracking import SESSION_STATE_CHANGED, info_string, read_lenenc
from .._core.values import quote_identifier
from . import err
from .sources import Dial, check_dial, check_password, dialed, key_of, protects, token_of

if TYPE_CHECKING:
    from pymysql.protocol import MysqlPacket

__all__ = [
    "CONNECT_KEYWORDS",
    "DEFAULT_ENCODERS",
    "PYMYSQL_KEYWORDS",
    "Ask",
    "Identity",
    "PhysicalConnection",
    "PlainConnection",
    "Result",
    "Setup",
    "Wire",
    "as_text",
    "in_use",
    "is_of_tls",
    "lost",
    "made_result",
    "no_result",
    "raise_first",
    "rename",
]

Ask = Callable[[Sequence[str]], list[Any]]
"""What runs questions of ours: a connection's `ask_all`, or what also keeps what they change."""

PlainConnection = Connection
"""PyMySQL's own class, whatever `rwsplit.patch()` has put under its name."""

PYMYSQL_KEYWORDS = frozenset(inspect.signature(Connection.__init__).parameters) - {"self"}
"""The keywords of PyMySQL's own `connect()`."""

CONNECT_KEYWORDS = PYMYSQL_KEYWORDS | {"dial"}
"""Those that each connection to a server takes."""

DEFAULT_ENCODERS: dict[Any, Any] = {
    bool: escape_bool,
    int: escape_int,
    float: escape_float,
    str: escape_str,
    bytes: escape_bytes,
    tuple: escape_not_supported,
    list: escape_not_supported,
    set: escape_not_supported,
    frozenset: escape_not_supported,
    dict: escape_not_supported,
    type(None): escape_None,
    datetime.date: escape_date,
    datetime.datetime: escape_datetime,
    datetime.timedelta: escape_timedelta,
    datetime.time: escape_time,
    time.struct_time: escape_struct_time,
    Decimal: Decimal2Literal,
}
"""PyMySQL's own escaping, written out: applications put functions of theirs into its table."""

_WANTED = CLIENT.SESSION_TRACK | CLIENT.DEPRECATE_EOF
_MORE_RESULTS = SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS
_EOF = 0xFE
_STATUS_AND_WARNINGS = struct.Struct("<HH")
_HEADER_AND_COMMAND = struct.Struct("<iB")

# A pipelined statement up to this size fits the socket buffers of both ends, so writing it can't
# wait for a server that waits for us to read.
_PIPELINE_BYTES = 64 * 1024

_MOST_COLUMNS = 1000
_MOST_PACKET = 1 << 30
"""No server takes more."""
_LOST_CONNECTION = "Lost connection to MySQL server during query"


class Result(MySQLResult):  # type: ignore[misc]
    """A result whose last packet is an OK packet, also after rows (CLIENT_DEPRECATE_EOF)."""

    route: Any = None
    """The route taken by the statement, for `cursor.route`."""
    thread = 0
    """The thread that ran the statement, for its cursor."""
    message: Any
    rows: Any
    unbuffered_active = False
    _wire: Any = None
    """What an unbuffered result's rows come from: a connection may be led to another wire."""

    def __init__(self, connection: PhysicalConnection) -> None:
        super().__init__(connection)
        self._owner = connection

    def _read_ok_packet(self, packet: MysqlPacket) -> None:
        super()._read_ok_packet(packet)
        owner = self._owner
        if owner.client_flag & CLIENT.SESSION_TRACK:
            if self.server_status & SESSION_STATE_CHANGED:
                owner.tails.append(self.message)
            self.message = info_string(self.message)

    def _check_packet_is_eof(self, packet: MysqlPacket) -> bool:
        data = packet._data
        # A row that starts with 0xFE holds a string of 16 MB or more, so it is never this short.
        if data[0] != _EOF or len(data) >= MAX_PACKET_LEN:
            return False
        at = 3
        if data[1] or data[2]:
            at = read_lenenc(data, read_lenenc(data, 1)[1])[1]
        status, self.warning_count = _STATUS_AND_WARNINGS.unpack_from(data, at)
        self.server_status = status
        self.has_next = status & _MORE_RESULTS
        owner = self._owner
        owner.server_status = status
        if status & SESSION_STATE_CHANGED:
            owner.tails.append(data[at + 4 :])
        return True

    def init_unbuffered_query(self) -> None:
        super().init_unbuffered_query()
        self._wire = self._owner._rfile

    def _read_rowdata_packet_unbuffered(self) -> Any:
        if not self.unbuffered_active:
            return None
        turn = self._owner.turn
        if not turn.acquire(False):
            raise in_use()
        try:
            return self._read_row()
        finally:
            turn.release()

    def _read_row(self) -> Any:
        owner = self._owner
        if self._is_cut_off():
            raise self._gone(err.OperationalError(CR.CR_SERVER_LOST, _LOST_CONNECTION))
        owner.due = 1
        try:
            packet = owner._read_packet()
        except err.MySQLError as error:
            owner.due = 0
            self.unbuffered_active = self._is_cut_off()
            gone = self._gone(error)
            if gone is error:
                raise
            raise gone from error
        if self._check_packet_is_eof(packet):
            self.unbuffered_active = False
            self.connection = self.rows = row = None
        else:
            try:
                row = self._read_row_from_packet(packet)
            except Exception:
                owner.due = 0  # a value that can't be decoded: the next row still can
                raise
            self.affected_rows = 1
            self.rows = (row,)
        owner.due = 0
        return row

    def _is_cut_off(self) -> bool:
        """Tell whether the wire that its rows were to come from is of no more use."""
        owner = self._owner
        if owner.due:
            owner.kill_socket()  # an interrupt left a part of a packet unread
        return owner._rfile is None or owner._rfile is not self._wire

    def _gone(self, error: err.MySQLError) -> err.MySQLError:
        """Return what to raise for rows that will not come."""
        replica = self._owner.replica
        if replica is None or not lost(error):
            return error
        # The connection as a whole works on: 2006 and 2013 would say that it does not.
        return err.OperationalError(
            ER.QUERY_INTERRUPTED,
            f"Query execution was interrupted: replica {replica} was lost when a part of the "
            f"rows had been read ({error.args[-1]}); run it again",
        )

    def _finish_unbuffered_query(self) -> None:
        if not self.unbuffered_active:
            return
        owner = self._owner
        if not owner.turn.acquire(False):
            return  # the statement that runs now reads them, or has done so
        try:
            if self._is_cut_off():
                # The connection is closed, and with it the rows are gone.
                self.unbuffered_active = False
                self.connection = None
                return
            owner.due = 1
            try:
                super()._finish_unbuffered_query()
            except err.MySQLError:
                owner.due = 0
                self.unbuffered_active = self._is_cut_off()
                raise
            owner.due = 0
        finally:
            owner.turn.release()

    def _get_descriptions(self) -> None:
        owner = self._owner
        read_packet = owner._read_packet
        decoders = owner.decoders
        encoding = owner.encoding if owner.use_unicode else None
        fields = []
        columns = []
        descriptions = []
        for _ in range(self.field_count):
            field, description = owner.column(read_packet()._data)
            fields.append(field)
            descriptions.append(description)
            converter = decoders.get(field.type_code)
            if converter is through:
                converter = None
            columns.append((_column_encoding(field, encoding), converter))
        self.fields = fields
        self.converters = columns
        self.description = tuple(descriptions)


class _Fingerprinted(Result):
    """A result whose rows are fingerprinted as they come."""

    fingerprint: Fingerprint

    def _read_row_from_packet(self, packet: MysqlPacket) -> Any:
        self.fingerprint.add(packet._data)
        return super()._read_row_from_packet(packet)

    def read(self) -> None:
        self.fingerprint = self._owner.fingerprint
        super().read()
        self.fingerprint.columns = self.description or ()

    def init_unbuffered_query(self) -> None:
        self.fingerprint = taken = self._owner.fingerprint
        taken.is_stream, taken.is_whole = True, False
        super().init_unbuffered_query()
        taken.columns = self.description or ()

    def _read_rowdata_packet_unbuffered(self) -> Any:
        row = super()._read_rowdata_packet_unbuffered()
        if row is None and not self.unbuffered_active:
            # What is left when a stream is closed is not read here.
            self.fingerprint.is_whole = True
        return row


class _Compared(_Fingerprinted):
    """A result that is only wanted for its fingerprint."""

    def _read_row_from_packet(self, packet: MysqlPacket) -> Any:
        self.fingerprint.add(packet._data)
        return None


def _column_encoding(field: FieldDescriptorPacket, encoding: str | None) -> str | None:
    """Tell how a column's bytes become text; None leaves them bytes (PyMySQL's own rule)."""
    if encoding is None or field.type_code == FIELD_TYPE.JSON:
        return encoding
    if field.type_code not in TEXT_TYPES:
        return "ascii"
    return None if field.charsetnr == _BINARY_CHARSET else encoding


_BINARY_CHARSET = 63

Identity = tuple[Any, ...]
"""What a connection was made with, as a key of a dict."""


class _Secret:
    """A value that is compared, and never shown."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "***"


class _Same:
    """Equal to itself alone, however it compares."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other._value is self._value

    def __hash__(self) -> int:
        return id(self._value)


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(sorted((str(key), _frozen(value[key])) for key in value))
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    try:
        hash(value)
    except TypeError:
        return _Same(value)
    # True == 1, and b"" != "".
    return type(value).__name__, value


class Wire(NamedTuple):
    """An authenticated socket whose session was reset, for another `PhysicalConnection`."""

    sock: Any
    facts: Mapping[str, Any]
    """What its handshake told."""

    @property
    def made_at(self) -> float:
        """When its connection was made (monotonic seconds)."""
        made_at: float = self.facts["made_at"]
        return made_at

    def is_ready(self) -> bool:
        """Tell whether the server has answered the reset, and so can be used without waiting."""
        return _is_readable(self.sock)

    def close(self) -> None:
        """Close the socket; the server is told so if that costs no waiting."""
        try:
            self.sock.settimeout(0)
            self.sock.sendall(_QUIT)
        except OSError:
            pass
        self.drop()

    def drop(self) -> None:
        """Close the socket without a word."""
        with suppress(OSError):
            self.sock.close()


_HANDSHAKE_FACTS = (
    *("server_version", "server_thread_id", "salt", "server_capabilities", "server_language"),
    *("server_charset", "protocol_version", "host_info", "_secure", "_auth_plugin_name"),
    *("flavor", "tracks", "client_flag", "_result_class", "made_at"),
)
_KEPT = ("encoders", "decoders", "use_unicode", "charset", "collation", "encoding", "tails")
_RESET_CONNECTION = struct.pack("<iB", 1, 0x1F)
_QUIT = struct.pack("<iB", 1, COMMAND.COM_QUIT)


def _is_readable(sock: Any) -> bool:
    watch = select.poll() if hasattr(select, "poll") else None
    if watch is None:
        return bool(select.select([sock], [], [], 0)[0])
    watch.register(sock.fileno(), select.POLLIN)
    return bool(watch.poll(0))


class PhysicalConnection(Connection):  # type: ignore[misc]
    """One socket to one server.

    `setup` are statements to run right after authentication, in the same round trip as SET NAMES;
    their rows are kept in `setup_rows`. `tails` collects the ends of OK packets in which the server
    reported a change and that nobody has read yet.

    `password` may be a function, and `dial` makes the socket if it is given (see `sources`).
    `endpoint` is the server as they are told of it.
    """

    client_flag: int
    decoders: dict[int, Any]
    use_unicode: bool
    server_status: int
    _result: Any
    _sock: Any
    _rfile: Any
    _read_timeout: float | None
    _current_timeout: float | None
    host_info: str
    user: Any
    password: Any
    db: Any

    def __init__(
        self,
        setup: Setup | None = None,
        *,
        dial: Dial | None = None,
        endpoint: Endpoint | None = None,
        **options: Any,
    ) -> None:
        check_dial(dial)
        self.dial = dial
        self.endpoint = endpoint
        self._token: bytes | None = None
        """What a function gave as the password, from then until it is sent."""
        self._is_protected = False
        """Nobody reads what goes through the socket that was handed in."""
        self.tails: list[bytes] = []
        self._columns: dict[bytes, tuple[FieldDescriptorPacket, Any]] = {}
        self._columns_encoding = ""
        self.replica: str | None = None
        """The name of the replica that it leads to; None for a primary."""
        self.flavor = "mysql"
        self.tracks = False
        self.setup_rows: list[Any] = []
        self._setup = setup
        self.fingerprint = Fingerprint(ordered=False)
        """What the rows that are being read are taken into, if they are."""
        self.owed = 0
        """How many replies to statements that were posted are still to be read."""
        self.due = 0
        """How many replies to what was sent are not read whole. Not 0 when the next command
        begins: that was interrupted, and what comes on the wire is anybody's guess."""
        self.writes = 0
        """How many times something was written to it."""
        if not hasattr(self, "turn"):
            self.turn: Any = threading.RLock()
            """Held by the thread whose statement runs; all members of a session have the same."""
        self._result_class: type[MySQLResult] = MySQLResult
        self.max_packet = _MOST_PACKET
        """So long, in bytes, the server takes no statement; as the set-up tells."""
        self._wire: Wire | None = None
        self.warnings = 0
        """How many warnings the last answer to a method's own command told of."""
        self.asking = False
        """It runs a question of ours that can be asked again."""
        _connections.add(self)
        self._asked_flags = options.get("client_flag", 0)
        self.identity: Identity = ()
        """What it was connected with: see `take_identity`."""
        self.made_at = 0.0
        """When the connection to the server was made (monotonic seconds)."""
        super().__init__(**{**options, "client_flag": self._asked_flags | _WANTED})
        check_password(self.password)

    # Connecting.

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        return _tls_context(sslp, super()._create_ssl_ctx)

    def _get_server_information(self) -> None:
        if self._wire is not None:
            self.__dict__.update(self._wire.facts)
            self._next_seq_id = 1
            self._read_packet()  # the answer to the reset
            return
        super()._get_server_information()
        self.flavor = "mariadb" if "MariaDB" in self.server_version else "mysql"
        if isinstance(self._sock, ssl.SSLSocket):
            # Python can't put TLS into TLS: it would speak it in place of the one that is there.
            if self._ssl_required:
                raise self._cannot_connect(
                    "its socket speaks TLS already, and ssl keywords ask for it"
                )
            self.server_capabilities &= ~CLIENT.SSL
        supported = self.server_capabilities & _WANTED
        self.client_flag = (self.client_flag & ~_WANTED) | supported
        self.tracks = supported == _WANTED
        self._result_class = Result if supported & CLIENT.DEPRECATE_EOF else MySQLResult

    def _request_authentication(self) -> None:
        if self._wire is None:
            self._authenticate()
            return
        # As PyMySQL leaves them.
        if isinstance(self.user, str):
            self.user = self.user.encode(self.encoding)
        if isinstance(self.db, str):
            self.db = self.db.encode(self.encoding)

    def _authenticate(self) -> None:
        token, self._token = self._token, None
        if token is None:
            super()._request_authentication()
            return
        speaks_tls = self.ssl and self.server_capabilities & CLIENT.SSL
        if not (speaks_tls or self._secure or self._is_protected):
            raise err.OperationalError(
                CR.CR_SSL_CONNECTION_ERROR,
                f"the password that a function gave is not sent to {self._server().name!r} over a "
                "plain socket, and the server offers no TLS",
            )
        source, self.password = self.password, token
        try:
            super()._request_authentication()
        finally:
            self.password = source

    def _server(self) -> Endpoint:
        if self.endpoint is not None:
            return self.endpoint
        name = self.unix_socket or address(self.host, self.port)
        return Endpoint(name, self.host, self.port, self.unix_socket, "primary")

    def _cannot_connect(self, why: str) -> err.OperationalError:
        text = f"Can't connect to MySQL server on {self._server().name!r} ({why})"
        return err.OperationalError(CR.CR_CONN_HOST_ERROR, text)

    def _ask_sources(self, sock: Any) -> Any:
        """Ask the application's functions for the password and the socket, if it has such."""
        if self._wire is not None:
            return sock
        # A server that had TLS, or was reached in another way, need not be so now.
        self._secure = self._closed = False
        try:
            if callable(self.password):
                # Before the server is: it waits for nobody for long.
                self._token = token_of(self.password, self._server(), self.connect_timeout)
            if sock is None and self.dial is not None:
                server = self._server()
                sock, self._is_protected = dialed(self.dial, server, self.connect_timeout)
                self.host_info = f"socket dialed for {server.name}"
            else:
                self._is_protected = protects(sock)
        except BaseException:
            self._token = None
            self._force_close()
            raise
        return sock

    def connect(self, sock: Any = None) -> None:
        """Connect, authenticate and run the set-up (PyMySQL's errors)."""
        sock = self._ask_sources(sock)
        self._connecting = True
        patience = self._read_timeout
        # PyMySQL would wait for ever for a frozen server that accepts connections.
        self._read_timeout = min(patience or self.connect_timeout, self.connect_timeout)
        self._patience = patience
        self.setup_rows = []
        self._result = None
        self.owed = 0
        self.made_at = time.monotonic()
        self.due = 0
        try:
            super().connect(sock)
        except err.OperationalError as error:
            if error.args[0] == CR.CR_SERVER_LOST:
                where = self.unix_socket or f"{self.host}:{self.port}"
                text = f"Can't connect to MySQL server on {where!r} ({error.args[1]})"
                raise err.OperationalError(CR.CR_CONN_HOST_ERROR, text) from error
            raise
        finally:
            self._connecting = False
            self._read_timeout = patience
            self._token = None

    def pretend(self, flavor: str, version: str) -> None:
        """Take on what is known of a server that can't be connected to now."""
        self.flavor, self.server_version, self.tracks = flavor, version, True
        self.server_status = SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT if self.autocommit_mode else 0
        self._closed = False

    def aim(self, options: Mapping[str, Any]) -> None:
        """Lead to another server from the next `connect` on; what the application changed stays."""
        kept = {name: getattr(self, name) for name in _KEPT}
        self.__init__(self._setup, **{**options, "defer_connect": True})  # type: ignore[misc]
        self.__dict__.update(kept)

    def take_identity(self) -> Identity:
        """Note, before it connects, all that decides who its wire belongs to.

        That is what keywords, option files and the application's assignments came to: never the
        name of a file, whose content may be another the next time.
        """
        self.identity = (
            (self.host, self.port, self.unix_socket, self.bind_address),
            # PyMySQL makes it bytes when it connects.
            self.user.encode(self.encoding) if isinstance(self.user, str) else self.user,
            key_of(
                self.password if callable(self.password) else _Secret(self.password), "password"
            ),
            key_of(self.dial, "dial"),
            (self.ssl, self._ssl_required, getattr(self, "ctx", None)),
            (self._asked_flags, self._local_infile, self.max_allowed_packet),
            (self.charset, self.collation, self.use_unicode),
            (self.sql_mode, self.init_command, self.autocommit_mode),
            _frozen(self._auth_plugin_map),
            _frozen(self.server_public_key),
            _frozen(self._connect_attrs),
        )
        return self.identity

    def take_over(self, wire: Wire) -> None:
        """Connect through a wire that another connection left behind: no handshake.

        Raises what `connect` raises; the wire is closed then.
        """
        self._wire = wire
        try:
            self.connect(wire.sock)
        finally:
            self._wire = None

    def leave(self) -> Wire | None:
        """Close the connection and leave its wire behind, with its session reset.

        None if there is none that is of use to another.
        """
        sock = self._sock
        if sock is None or self.is_reading or self.owed or self.due:
            return None
        try:
            self._write_bytes(_RESET_CONNECTION)
            self._rfile.close()
        except (err.MySQLError, OSError):
            self._force_close()
            return None
        facts = {name: getattr(self, name) for name in _HANDSHAKE_FACTS}
        self._sock = self._rfile = None
        self._closed = True
        return Wire(sock, facts)

    def has_ended(self) -> bool:
        """Tell, without waiting, whether the server has closed this idle connection.

        Nothing comes unasked but the end of the connection, and MySQL's word of goodbye before it.
        """
        sock = self._sock
        if sock is None or self.due:
            return True
        if self.owed or self.is_reading or not _is_readable(sock):
            return False
        # With TLS there may be something to read that is of TLS alone.
        sock.settimeout(0)
        try:
            sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            sock.settimeout(self._current_timeout)
            return False
        except OSError:
            pass
        return True

    @contextmanager
    def limited(self, seconds: float | None) -> Iterator[None]:
        """Let answers take so many seconds at most; None for as long as they always may."""
        before = self._read_timeout
        if seconds is not None:
            self._read_timeout = max(seconds, 0.001)
        try:
            yield
        finally:
            self._read_timeout = before

    def interrupt(self) -> None:
        """Let whoever waits for this connection's server in another thread wait no longer."""
        sock = self._sock
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    _connecting = False
    _patience: float | None = None

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Run SET NAMES; while connecting, the set-up's statements travel with it."""
        if not self._connecting or self._setup is None:
            self._set_names(charset, collation)
            return
        statements = [_names(charset, collation)]
        if self._wire is not None and self.db:
            name = self.db if isinstance(self.db, str) else self.db.decode()
            statements.append(f"USE {quote_identifier(name)}")
        if self.autocommit_mode is not None and not self.init_command:
            statements.append(f"SET AUTOCOMMIT = {int(self.autocommit_mode)}")
        first = len(statements) - 1
        statements += self._setup.statements(self)
        for reply in self.ask_all(statements):
            if isinstance(reply, err.MySQLError):
                raise reply
            self.setup_rows.append(reply.rows)
        del self.setup_rows[1 : 1 + first]
        self.tails.clear()
        # What comes now is the application's own, and may take as long as it always may.
        self._read_timeout = self._patience

    def _set_names(self, charset: str, collation: str | None) -> None:
        # PyMySQL reads the OK packet and drops it; what it says of the session is wanted.
        encoding = charset_by_name(charset).encoding
        self._execute_command(COMMAND.COM_QUERY, _names(charset, collation))
        self._read_ok_packet()
        self.charset, self.collation, self.encoding = charset, collation, encoding

    # Running statements.

    def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        """Run a statement; its result becomes the connection's."""
        if isinstance(sql, str):
            sql = sql.encode(self.encoding)
        if len(sql) >= MAX_PACKET_LEN - 1:
            self._execute_command(COMMAND.COM_QUERY, sql)
        else:
            if self._result is not None or self.owed or self.due or self._sock is None:
                self.finish_previous()
            self.due = 1
            self._write_bytes(_HEADER_AND_COMMAND.pack(len(sql) + 1, COMMAND.COM_QUERY) + sql)
            self._next_seq_id = 1
        self._affected_rows = rows = self._read_query_result(unbuffered)
        return rows

    def _execute_command(self, command: int, sql: str | bytes) -> None:
        self.finish_previous()
        if isinstance(sql, str):
            sql = sql.encode(self.encoding)
        len(sql)  # what has none is a TypeError, and costs nothing
        self.due = 1
        super()._execute_command(command, sql)

    def _write_bytes(self, data: bytes) -> None:
        self.writes += 1
        if self._current_timeout != self._write_timeout:
            self._sock.settimeout(self._write_timeout)
            self._current_timeout = self._write_timeout
        try:
            self._sock.sendall(data)
        except OSError as error:
            self._force_close()
            raise err.OperationalError(
                CR.CR_SERVER_GONE_ERROR, f"MySQL server has gone away ({error!r})"
            ) from error
        except BaseException:
            # The server has a part of a packet, and would take what comes next for the rest of it.
            self._force_close()
            raise

    def _force_close(self) -> None:
        super()._force_close()
        # What was still to be read is gone with its wire.
        self._result = None
        self.owed = 0
        self.due = 0

    def _read_ok_packet(self) -> Any:
        try:
            ok = super()._read_ok_packet()
        except err.MySQLError:
            self.due = 0
            raise
        self.warnings = ok.warning_count
        if ok.server_status & SESSION_STATE_CHANGED:
            self.tails.append(ok.message)
        self.due = 0
        return ok

    def column(self, data: bytes) -> tuple[FieldDescriptorPacket, Any]:
        """Parse a column definition packet; the same statement brings the same ones again."""
        if self._columns_encoding != self.encoding or len(self._columns) > _MOST_COLUMNS:
            self._columns_encoding = self.encoding
            self._columns = {}
        known = self._columns.get(data)
        if known is None:
            field = FieldDescriptorPacket(data, self.encoding)
            known = self._columns[data] = field, field.description()
        return known

    def _read_query_result(self, unbuffered: bool = False) -> int:
        self._result = None
        result = self._result_class(self)
        try:
            if unbuffered:
                result.init_unbuffered_query()
            else:
                result.read()
        except err.MySQLError:
            if self.due:
                self.due -= 1  # an error is a whole reply
            raise
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        self.due -= 1
        return result.affected_rows  # type: ignore[no-any-return]

    def next_result(self, unbuffered: bool = False) -> Any:
        """Read the next result of the last statement."""
        self.due += 1
        return super().next_result(unbuffered)

    def report_late(self, schema: str | None) -> bool:
        """Let the server report what a statement that failed had changed before its error.

        An error says nothing of that; the answer to the next command does, which touches no
        warnings: to a ping on MySQL, to the choice of the same schema on MariaDB. False where
        nothing was told.
        """
        if not self.tracks or (self.flavor == "mariadb" and not schema):
            return False
        try:
            if self.flavor == "mysql":
                self._execute_command(COMMAND.COM_PING, "")
            else:
                self._execute_command(COMMAND.COM_INIT_DB, schema or "")
            self._read_ok_packet()
        except err.MySQLError:
            return False
        return True

    def show_warnings(self) -> Any:
        """Run SHOW WARNINGS; as with PyMySQL, no result is left behind."""
        self._execute_command(COMMAND.COM_QUERY, "SHOW WARNINGS")
        self._read_query_result()
        result, self._result = self._result, None
        return result.rows

    def run_all(self, statements: Sequence[str | bytes]) -> list[Any]:
        """Send several statements in one round trip and read all their replies.

        Each reply is a result or the error that the server gave. Every statement runs, whatever
        became of those before it. Raises the error of a connection that was lost. The connection's
        result stays what it is.
        """
        result = None if self.is_reading else self._result
        self.finish_previous()
        packets = b"".join(map(self._command_packet, statements))
        self.due = len(statements)
        self._write_bytes(packets)
        replies = [self._read_reply() for _ in statements]
        self._result = result
        return replies

    def ask_all(self, statements: Sequence[str]) -> list[Any]:
        """Run statements of ours as `run_all` does; their values come as the server sent them.

        So nothing that the application chose for its own results garbles ours.
        """
        decoders, use_unicode = self.decoders, self.use_unicode
        self.decoders, self.use_unicode = {}, False
        try:
            return self.run_all(statements)
        finally:
            self.decoders, self.use_unicode = decoders, use_unicode

    def query_after(self, prelude: Sequence[str | bytes], sql: bytes) -> list[Any]:
        """Send `prelude` and then `sql`; the result of `sql` becomes the connection's result.

        Returns the replies to the prelude (see `run_all`). An error of `sql` itself is raised by
        `finish_query`, which must be called next: the caller looks at the prelude's replies first.
        """
        if len(sql) > _PIPELINE_BYTES:
            replies = self.run_all(prelude)
            self._execute_command(COMMAND.COM_QUERY, sql)
            return replies
        self.finish_previous()
        packets = [self._command_packet(statement) for statement in prelude]
        packets.append(self._command_packet(sql))
        self.due = len(packets)
        self._write_bytes(b"".join(packets))
        replies = [self._read_reply() for _ in prelude]
        self._next_seq_id = 1
        return replies

    def finish_query(self, unbuffered: bool, fingerprint: Fingerprint | None = None) -> int:
        """Read the result of the statement that `query_after` sent.

        With a fingerprint the rows are taken into it.
        """
        if fingerprint is None:
            self._affected_rows = self._read_query_result(unbuffered=unbuffered)
        else:
            self.fingerprint = fingerprint
            with self._reading_as(_Fingerprinted):
                self._affected_rows = self._read_query_result(unbuffered=unbuffered)
        return self._affected_rows

    def repeat(self, statements: Sequence[bytes], orders: Sequence[bool | None]) -> list[Any]:
        """Run statements again, for the fingerprints of their results.

        :param orders: for each whether its rows are ordered; None where only its error matters.

        Returns for each its fingerprint, None or its error. Sent in as few round trips as are safe.
        """
        replies: list[Any] = []
        start = 0
        while start < len(statements):
            end, size = start + 1, len(statements[start])
            while end < len(statements) and size + len(statements[end]) <= _PIPELINE_BYTES:
                size += len(statements[end])
                end += 1
            self.finish_previous()
            packets = b"".join(map(self._command_packet, statements[start:end]))
            self.due = end - start
            self._write_bytes(packets)
            replies += [self._read_repetition(ordered) for ordered in orders[start:end]]
            start = end
        return replies

    def _read_repetition(self, ordered: bool | None) -> Any:
        if ordered is None:
            reply = self._read_reply()
            return reply if isinstance(reply, err.MySQLError) else None
        fingerprint = self.fingerprint = Fingerprint(ordered)
        with self._reading_as(_Compared):
            reply = self._read_reply()
        return reply if isinstance(reply, err.MySQLError) else fingerprint

    @contextmanager
    def _reading_as(self, result_class: type[MySQLResult]) -> Iterator[None]:
        before = self._result_class
        self._result_class = result_class
        try:
            yield
        finally:
            self._result_class = before

    def post(self, statement: str) -> None:
        """Send a statement of ours and leave its reply for `settle`."""
        self.finish_previous()
        packet = self._command_packet(statement)
        self.due = 1
        self._write_bytes(packet)
        self.owed += 1
        self.due = 0

    def settle(self) -> None:
        """Read the replies to what was posted; only the end of a lost connection is an error."""
        while self.owed:
            self.due = 1
            self.owed -= 1
            self._read_reply()

    def discard_query(self) -> None:
        """Read and throw away the result of the statement that `query_after` sent."""
        self._next_seq_id = 1
        try:
            self._read_query_result(unbuffered=True)
            self._drain()
        except err.MySQLError:
            if self._sock is None:
                raise
        finally:
            self._result = None

    def finish_previous(self) -> None:
        """Read what is left of the previous statement's results, with PyMySQL's warning."""
        if not self._sock:
            raise err.InterfaceError(0, "")
        if self.due:
            self._force_close()
            raise err.OperationalError(
                CR.CR_SERVER_GONE_ERROR,
                "MySQL server has gone away (the statement before was interrupted, and its reply "
                "was not read)",
            )
        if self.owed:
            self.settle()
        if self._result is not None:
            if self._result.unbuffered_active:
                warnings.warn("Previous unbuffered result was left incomplete", stacklevel=4)
            self._drain()

    def _drain(self) -> None:
        """Read what is left of the results that are being read, and throw it away."""
        result = self._result
        if result is not None:
            if result.unbuffered_active:
                result._finish_unbuffered_query()
            while self._result is not None and self._result.has_next:
                self.next_result()
            self._result = None

    def _command_packet(self, statement: str | bytes) -> bytes:
        if isinstance(statement, str):
            statement = statement.encode(self.encoding)
        return _HEADER_AND_COMMAND.pack(len(statement) + 1, COMMAND.COM_QUERY) + statement

    def _read_reply(self) -> Any:
        self._next_seq_id = 1
        try:
            self._read_query_result()
        except err.MySQLError as error:
            if self._sock is None:
                raise
            # Its frames would hold the list that it goes into, and with that the connection.
            return error.with_traceback(None)
        result = self._result
        while self._result.has_next:
            self.next_result()
        self._result = None
        return result

    def ask(self, sql: str) -> tuple[Any, ...]:
        """Run one statement of ours and return its first row, as the server sent it."""
        (reply,) = self.ask_all([sql])
        if isinstance(reply, err.MySQLError):
            raise reply
        return reply.rows[0]  # type: ignore[no-any-return]

    @property
    def has_foreign_socket(self) -> bool:
        """Whether its socket was made by the application, so that nobody can make another."""
        return self._sock is not None and self.host_info == "Not connected"

    @property
    def may_be_running(self) -> bool:
        """Whether a statement may be running there now, as another thread sees it."""
        return self._sock is not None and (self._result is None or self.is_reading)

    @property
    def is_reading(self) -> bool:
        """Whether rows or results of the last statement are still to come."""
        result = self._result
        return result is not None and bool(result.unbuffered_active or result.has_next)

    def kill_socket(self) -> None:
        """Close the socket without a word, for a connection whose protocol state is unknown."""
        self._force_close()


def in_use() -> err.InterfaceError:
    """Return the error of a thread that would use a connection amid another's statement."""
    return err.InterfaceError(
        0,
        "a statement of another thread is running on this connection; threads may share the "
        "module, but not a connection (threadsafety is 1): give each its own",
    )


_connections: WeakSet[PhysicalConnection] = WeakSet()
_parents_files: list[Any] = []
"""What a forked child must never close."""


def _after_fork() -> None:
    # The sockets are the parent's: two processes that write to one confuse its server.
    for connection in [*_connections]:
        sock, file = connection._sock, connection._rfile
        connection._sock = connection._rfile = None
        # Closing a file that a thread of the parent was reading would wait for that thread.
        _parents_files.append(file)
        if sock is not None:
            with suppress(OSError):
                os.close(sock.detach())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def raise_first(replies: Sequence[Any]) -> None:
    """Raise the first error among the replies of `run_all`, if there is one."""
    for reply in replies:
        if isinstance(reply, err.MySQLError):
            raise reply


def as_text(value: Any) -> Any:
    """Return a value as text where it came as bytes; else as it is."""
    return value.decode() if isinstance(value, bytes) else value


def rename(result: Any, names: Sequence[tuple[str, str]]) -> None:
    """Write something else in the names of a result's columns."""
    if not result.description:
        return
    fields = []
    for known in result.fields:
        field = copy.copy(known)  # the same statement brings the same ones again
        for written, meant in names:
            field.name = field.name.replace(written, meant)
        fields.append(field)
    result.fields = fields
    result.description = tuple([field.description() for field in fields])


def no_result(server_status: int) -> Any:
    """Return the result of a statement that changed nothing and returned nothing."""
    result = Result.__new__(Result)
    MySQLResult.__init__(result, None)
    result.affected_rows = result.insert_id = result.has_next = 0
    result.server_status = server_status
    result.message = b""
    return result


class _Made(Result):
    """A result that no server sent."""

    def _read_rowdata_packet_unbuffered(self) -> Any:
        # An unbuffered cursor asks for one row after the other.
        if not self._left:
            return None
        return self._left.pop(0)

    def _finish_unbuffered_query(self) -> None:
        self._left = []

    _left: list[tuple[Any, ...]]


def made_result(
    connection: PhysicalConnection,
    columns: Sequence[tuple[str, bool]] | Sequence[FieldDescriptorPacket],
    rows: Sequence[tuple[Any, ...]],
) -> Any:
    """Return a result of rwsplit's own.

    :param columns: of each the name and whether it holds text; or those of a server's result.
    """
    result = _Made.__new__(_Made)
    MySQLResult.__init__(result, None)
    result.server_status = connection.server_status
    result.message = b""
    result.has_next = result.warning_count = 0
    result.fields = [
        _made_column(column, connection.encoding) if isinstance(column, tuple) else column
        for column in columns
    ]
    result.field_count = len(result.fields)
    result.description = tuple([field.description() for field in result.fields])
    if not connection.use_unicode:
        rows = [tuple([_encoded(value, connection.encoding) for value in row]) for row in rows]
    result.rows = tuple(rows)
    result._left = [*rows]
    result.affected_rows = len(result.rows)
    return result


def _made_column(column: tuple[str, bool], encoding: str) -> FieldDescriptorPacket:
    # Column Definition 41 of the protocol: texts, each behind its length; 12; charset, length,
    # type, flags, decimals, filler.
    name, is_text = column
    data = name.encode(encoding)[:250]
    texts = b"\x03def" + b"\x00" * 3 + bytes([len(data)]) + data + b"\x00"
    kind = FIELD_TYPE.VAR_STRING if is_text else FIELD_TYPE.LONGLONG
    tail = struct.pack("<BHIBHBH", 12, 45 if is_text else _BINARY_CHARSET, 1024, kind, 0, 0, 0)
    return FieldDescriptorPacket(texts + tail, encoding)


def _encoded(value: Any, encoding: str) -> Any:
    return value.encode(encoding) if isinstance(value, str) else value


class Setup:
    """Statements that make a fresh connection a member: overridden by the shell."""

    def statements(self, connection: PhysicalConnection) -> Sequence[str]:
        """Return what to send along with SET NAMES, now that the server's flavor is known."""
        raise NotImplementedError


def _names(charset: str, collation: str | None) -> str:
    return f"SET NAMES {charset}" + (f" COLLATE {collation}" if collation else "")


# TLS.

_contexts: dict[Any, ssl.SSLContext] = {}
_MOST_CONTEXTS = 100


def _tls_context(sslp: Any, build: Any) -> ssl.SSLContext:
    """Return the TLS context for PyMySQL's `ssl` mapping, shared between connections.

    `ssl.create_default_context()` is nearly all of PyMySQL's connect: it loads the system's CAs
    even where no certificate is verified.
    """
    if not isinstance(sslp, Mapping):
        return build(sslp)  # type: ignore[no-any-return]
    if not sslp:
        return _unverified()
    key = _context_key(sslp)
    context = _contexts.get(key)
    if context is None:
        context = build(sslp)
        if len(_contexts) >= _MOST_CONTEXTS:
            _contexts.clear()
        if _context_key(sslp) == key:  # else nobody knows which content was read
            _contexts[key] = context
    return context


def _context_key(sslp: Mapping[str, Any]) -> Any:
    # A certificate may be renewed in place: its files' content is what a context is made of.
    content = tuple([_content(sslp.get(name)) for name in ("ca", "cert", "key", "capath")])
    # The values may hold the password of a key.
    said = hashlib.sha256(repr(sorted(sslp.items())).encode("utf-8", "surrogateescape"))
    return said.digest(), content


def _content(path: Any) -> bytes | None:
    """Return what stands for the content of a file, or of the files of a folder."""
    if not isinstance(path, str | bytes | os.PathLike):
        return None
    file = Path(os.fsdecode(path))
    seen = hashlib.sha256()
    try:
        for each in sorted(file.iterdir()) if file.is_dir() else [file]:
            if each.is_file():
                seen.update(each.name.encode("utf-8", "surrogateescape") + b"\0")
                seen.update(each.read_bytes())
    except OSError:
        return None  # what reads it says so
    return seen.digest()


@cache
def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    keylog = os.environ.get("SSLKEYLOGFILE")
    if keylog:
        context.keylog_filename = keylog
    return context


def lost(error: BaseException) -> bool:
    """Tell whether an error means that the connection itself is gone.

    A server that is not who it says is there all the same: it is this account that can't use it.
    """
    if isinstance(getattr(error, "original_exception", None), ssl.SSLCertVerificationError):
        return False
    return isinstance(error, err.InterfaceError) or (
        isinstance(error, err.OperationalError) and bool(error.args) and error.args[0] in _LOST
    )


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
