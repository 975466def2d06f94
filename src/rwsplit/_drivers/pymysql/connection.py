"""`PhysicalConnection`: one socket to one server, as rwsplit drives it."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from operator import attrgetter
from typing import Any, NamedTuple
from weakref import WeakSet

from pymysql.charset import charset_by_name
from pymysql.connections import MAX_PACKET_LEN, Connection
from pymysql.constants import CLIENT, COMMAND, CR, SERVER_STATUS
from pymysql.protocol import MysqlPacket

from ..._core.cluster.endpoint import Endpoint, address
from ..._core.sql.fingerprint import Fingerprint
from ..._core.sql.values import quote_identifier
from ..._core.tracking import SESSION_STATE_CHANGED
from ..._core.wire import Capability
from .. import err
from ..sources import Dial, check_dial, check_password, dialed, key_of, protects, token_of
from .columns import Columns
from .errors import StaleWire
from .identity import Identity, Secret, frozen
from .inbox import Inbox
from .keywords import DEFAULT_ENCODERS, converters
from .packets import read_ok
from .replies import Last, read_replies
from .results import LOST_CONNECTION, Result, kinds_of, made_result, no_result, rename
from .tls import tls_context
from .wires import HANDSHAKE_FACTS, RESET_CONNECTION, Wire, is_readable

__all__ = ["Ask", "PhysicalConnection", "Setup"]

Ask = Callable[[Sequence[str]], list[Any]]
"""What runs questions of ours: a connection's `ask_all`, or what also keeps what they change."""

_WANTED = CLIENT.SESSION_TRACK | CLIENT.DEPRECATE_EOF
_HEADER_AND_COMMAND = struct.Struct("<iB")

# A pipelined statement up to this size fits the socket buffers of both ends, so writing it can't
# wait for a server that waits for us to read.
_PIPELINE_BYTES = 64 * 1024

_NO_BACKSLASH_ESCAPES = SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES
"""The server's sql_mode has that flag."""
_ERROR = 0xFF
"""The first byte of an error."""
_MOST_PACKET = 1 << 30
"""No server takes more."""

_NO_CONVERTERS: dict[Any, Any] = {}

_AUTOCOMMIT = SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT
_STATUS = _AUTOCOMMIT | SERVER_STATUS.SERVER_STATUS_IN_TRANS

_KEPT = ("encoders", "decoders", "use_unicode", "charset", "collation", "encoding", "tails")
"""What the application may have changed of a connection, and keeps when it is led elsewhere."""


_MADE_OF = attrgetter(
    *("host", "port", "unix_socket", "bind_address", "user", "password", "dial"),
    *("ssl", "_ssl_required", "ctx", "_asked_flags", "_local_infile", "max_allowed_packet"),
    *("charset", "collation", "encoding", "use_unicode"),
    *("sql_mode", "init_command", "autocommit_mode"),
    *("_auth_plugin_map", "server_public_key", "_connect_attrs"),
)
"""All that an identity is made of."""


class PhysicalConnection(Connection):  # type: ignore[misc]
    """One socket to one server.

    `setup` are statements to run right after authentication, in the same round trip as SET NAMES;
    their rows are kept in `setup_rows`. `tails` collects the ends of OK packets in which the server
    reported a change and that nobody has read yet.

    `password` may be a function, and `dial` makes the socket if it is given (see `sources`).
    `endpoint` is the server as they are told of it.
    """

    offers = Capability.all()
    follows = ""
    may_begin_lost = True
    """Whether it is known without a server how a session on it begins: see `pretend`."""
    client_flag: int
    decoders: dict[int, Any]
    use_unicode: bool
    server_status: int
    _result: Any
    _sock: Any
    _inbox: Inbox | None = None
    _next_seq_id = 0
    _read_timeout: float | None
    _current_timeout: float | None
    host_info: str
    user: Any
    password: Any
    db: Any
    connect_timeout: float
    ctx: Any = None
    identity: Identity = ()
    """What it was connected with: see `take_identity`."""
    _made_of: Any = None
    """What that was made of."""
    _facts: Mapping[str, Any] | None = None
    """What the handshake told, of a wire that another connection has left."""
    _kept: tuple[Wire, Callable[[], None]] | None = None
    """A wire that is taken with the first statement, and what judges it: see `take_along`."""

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
        self._kinds = kinds_of(0)
        self._result_class = self._kinds.plain
        self.max_packet = _MOST_PACKET
        """So long, in bytes, the server takes no statement; as the set-up tells."""
        self.warnings = 0
        """How many warnings the last answer to a method's own command told of."""
        self.asking = False
        """It runs a question of ours that can be asked again."""
        _connections.add(self)
        self._asked_flags = options.get("client_flag", 0)
        self.made_at = 0.0
        """When the connection to the server was made (monotonic seconds)."""
        self._converts = self._had_converters = options.get("conv") is None
        """It is to have PyMySQL's own converters."""
        if self._converts:
            options["conv"] = _NO_CONVERTERS
        super().__init__(**{**options, "client_flag": self._asked_flags | _WANTED})
        self._take_converters()
        self._columns = Columns(self.encoding, self.use_unicode, self.decoders)
        self._questions_columns = Columns(self.encoding, False, {})
        """What columns were in the replies to questions of ours."""
        check_password(self.password)

    def another(self, setup: Setup | None = None) -> PhysicalConnection:
        """Return one of the same keywords, which is not connected yet, as this is not.

        With another set-up, if there is one. What columns were is known to both.
        """
        one: PhysicalConnection = object.__new__(type(self))
        one.__dict__.update(self.__dict__)
        if setup is not None:
            one._setup = setup
        one.tails = []
        one.setup_rows = []
        one.turn = threading.RLock()
        if self._had_converters:
            one.encoders, one.decoders = converters()
        else:
            one.encoders, one.decoders = self.encoders.copy(), self.decoders.copy()
        one._auth_plugin_map = {**self._auth_plugin_map}
        one._connect_attrs = {**self._connect_attrs, "_pid": str(os.getpid())}
        _connections.add(one)
        return one

    def _take_converters(self) -> None:
        """Take PyMySQL's converters, which it sorts for each connection anew."""
        if self._converts:
            self._converts = False
            self.encoders, self.decoders = converters()

    @property
    def _rfile(self) -> Inbox | None:
        """What packets are read from."""
        return self._inbox

    @_rfile.setter
    def _rfile(self, file: Any) -> None:
        if file is None or isinstance(file, Inbox):
            self._inbox = file
        else:
            # PyMySQL makes a file of each socket that it begins to use.
            file.close()
            self._inbox = Inbox(self._sock)

    # Connecting.

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        return tls_context(sslp, super()._create_ssl_ctx)

    def _get_server_information(self) -> None:
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
        self._take_kinds()

    def _take_kinds(self) -> None:
        """Read results by what was agreed on."""
        self._kinds = kinds_of(self.client_flag)
        self._result_class = self._kinds.plain

    def _request_authentication(self) -> None:
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
        self._take_converters()
        sock = self._ask_sources(sock)
        self._connecting = True
        patience = self._read_timeout
        self._patience, self._read_timeout = patience, self._limit()
        self.setup_rows = []
        self._result = None
        self.owed = 0
        self.made_at = time.monotonic()
        self._facts = None
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
        made_of = _MADE_OF(self)
        if made_of != self._made_of:
            self._made_of = made_of
            self.identity = self._identity()
        return self.identity

    def _identity(self) -> Identity:
        return (
            (self.host, self.port, self.unix_socket, self.bind_address),
            # PyMySQL makes it bytes when it connects.
            self.user.encode(self.encoding) if isinstance(self.user, str) else self.user,
            key_of(self.password if callable(self.password) else Secret(self.password), "password"),
            key_of(self.dial, "dial"),
            (self.ssl, self._ssl_required, self.ctx),
            (self._asked_flags, self._local_infile, self.max_allowed_packet),
            (self.charset, self.collation, self.use_unicode),
            (self.sql_mode, self.init_command, self.autocommit_mode),
            frozen(self._auth_plugin_map),
            frozen(self.server_public_key),
            frozen(self._connect_attrs),
        )

    def take_over(self, wire: Wire) -> None:
        """Connect through a wire that another connection left behind: no handshake.

        One round trip for the reset and the set-up. Raises what `connect` raises; the wire is
        closed then.
        """
        self._adopt(wire)
        try:
            self._open(wire, b"")
            self._begin_as_given()
        except OSError as error:
            self._force_close()
            raise self._lost(error) from error
        except BaseException:
            self._force_close()
            raise

    def _begin_as_given(self) -> None:
        """Run what the keywords want behind the set-up, as PyMySQL does."""
        if self.sql_mode is not None:
            with self.cursor() as cursor:
                cursor.execute("SET sql_mode=%s", (self.sql_mode,))
        if self.init_command is not None:
            with self.cursor() as cursor:
                cursor.execute(self.init_command)
        if self.autocommit_mode is not None:
            self.autocommit(self.autocommit_mode)

    def take_along(self, wire: Wire, judge: Callable[[], None]) -> None:
        """Connect so, in the same round trip as the first statement (`open_with`).

        `judge` looks at what the set-up has brought before anybody sees what that statement did,
        and raises an error where this is not the server that it should be.
        """
        self.__dict__.update(wire.facts)
        self._kept = wire, judge
        self._closed = False

    @property
    def is_opening(self) -> bool:
        """Whether the next statement takes the set-up along."""
        return self._kept is not None

    def open_with(self, sql: bytes) -> None:
        """Send the set-up and a statement, whose result `finish_query` reads.

        Raises StaleWire if the wire is of no use. The statement is to be a read: it may have run.
        """
        assert self._kept is not None
        wire, judge = self._kept
        self._kept = None
        try:
            self._adopt(wire)
            self._open(wire, self._command_packet(sql))
            self.due = 1
            judge()
        except (err.MySQLError, OSError, ValueError) as error:
            self._force_close()
            known = error if isinstance(error, err.MySQLError) else self._lost(error)
            raise StaleWire(*known.args) from error
        except BaseException:
            self._force_close()
            raise
        self._next_seq_id = 1

    def query_along(self, sql: bytes, unbuffered: bool = False) -> int:
        """Run a read so; see `open_with`."""
        self.open_with(sql)
        return self.finish_query(unbuffered)

    def _adopt(self, wire: Wire) -> None:
        """Take the place of the connection that has left a wire."""
        self.__dict__.update(wire.facts)
        self._facts = wire.facts
        self._sock, self._rfile = wire.sock, wire.file
        self._closed = False
        # As PyMySQL leaves them.
        if isinstance(self.user, str):
            self.user = self.user.encode(self.encoding)
        if isinstance(self.db, str):
            self.db = self.db.encode(self.encoding)
        self.setup_rows = []
        self._result = None
        self.owed = self.due = 0
        self._current_timeout = self._limit()
        self._sock.settimeout(self._current_timeout)

    def _limit(self) -> float:
        """Return how many seconds an answer may take while connecting.

        PyMySQL would wait for ever for a frozen server that accepts connections.
        """
        return min(self._read_timeout or self.connect_timeout, self.connect_timeout)

    def _open(self, wire: Wire, behind: bytes) -> None:
        """Reset a wire, if it was not, and set it up; send more behind that."""
        made = self._made_up()
        self.writes += 1
        reset = b"" if wire.was_reset else RESET_CONNECTION
        self._sock.sendall(reset + made.packets + behind)
        self._read_setup(made, resets=True)

    @staticmethod
    def _lost(error: Exception) -> err.OperationalError:
        """Return what PyMySQL makes of an error of a socket that is of no more use."""
        return err.OperationalError(CR.CR_SERVER_LOST, f"{LOST_CONNECTION} ({error})")

    def leave(self, holds: bool = True) -> Wire | None:
        """Close the connection and leave its wire behind.

        None if there is none that is of use to another. `holds` is whether its session may hold
        what others wait for: then it is reset at once, else by who takes the wire.
        """
        if self._kept is not None:
            wire, _ = self._kept
            self._kept = None
            self._closed = True
            return wire
        sock, inbox = self._sock, self._inbox
        if sock is None or inbox is None or self.is_reading or self.owed or self.due:
            return None
        if not inbox.is_empty:
            return None  # nobody has asked for that
        holds = holds or not self.tracks or self.server_status & _STATUS != _AUTOCOMMIT
        if holds:
            try:
                self._write_bytes(RESET_CONNECTION)
            except err.MySQLError:
                self._force_close()
                return None
        facts = self._facts
        if facts is None:
            facts = {name: getattr(self, name) for name in HANDSHAKE_FACTS}
        wire = Wire(sock, inbox, facts, holds)
        self._sock = self._rfile = None
        self._closed = True
        return wire

    @property
    def tells(self) -> bool:
        """Whether the last answer told all that its statement has changed."""
        return self.tracks

    @property
    def read_timeout(self) -> float | None:
        """How many seconds an answer may take; None for as long as it likes."""
        return self._read_timeout

    @property
    def is_closed(self) -> bool:
        """Whether the application has closed it."""
        return bool(self._closed)

    def end(self) -> None:
        """Note that the application has closed it, while another thread uses it."""
        self._closed = True

    @property
    def escapes_plainly(self) -> bool:
        """Whether parameters are escaped by PyMySQL's own rules, backslashes and all."""
        return not self.server_status & _NO_BACKSLASH_ESCAPES and self.encoders == DEFAULT_ENCODERS

    @property
    def result(self) -> Any:
        """What the last statement answered; None for nothing."""
        return self._result

    def note_closed_transaction(self) -> None:
        """Note that no transaction is open there any more."""
        self.server_status &= ~SERVER_STATUS.SERVER_STATUS_IN_TRANS

    def has_ended(self) -> bool:
        """Tell, without waiting, whether the server has closed this idle connection.

        Nothing comes unasked but the end of the connection, and MySQL's word of goodbye before it.
        """
        sock, inbox = self._sock, self._inbox
        if sock is None or inbox is None or self.due:
            return True
        if inbox.is_empty and not is_readable(sock):
            return False
        if self.owed or self.is_reading:
            return False
        if not inbox.is_empty:
            return True
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
        made = self._made_up()
        self._write_bytes(made.packets)
        if self._current_timeout != self._read_timeout:
            self._sock.settimeout(self._read_timeout)
            self._current_timeout = self._read_timeout
        try:
            self._read_setup(made, resets=False)
        except OSError as error:
            raise self._lost(error) from error
        # What comes now is the application's own, and may take as long as it always may.
        self._read_timeout = self._patience

    def _made_up(self) -> Packets:
        """Return what makes a fresh session the one that is wanted; made once for each set-up."""
        setup = self._setup
        assert setup is not None
        key = (
            *(self.flavor, self.charset, self.collation, self.db),
            *(self.autocommit_mode, self.init_command),
        )
        made = setup.made
        if made is None or made.key != key:
            first = _names(self.charset, self.collation)
            if self.autocommit_mode is not None and not self.init_command:
                first += f",autocommit={int(self.autocommit_mode)}"
            statements = [first]
            if self.db:
                # A reset leaves the one there that was there.
                name = self.db if isinstance(self.db, str) else self.db.decode(self.encoding)
                statements.append(f"USE {quote_identifier(name)}")
            own = len(statements)
            statements += setup.statements(self.flavor)
            packets = b"".join(map(self._command_packet, statements))
            last = Last(), Last()
            setup.made = made = Packets(key, packets, len(statements), own, last)
        return made

    def _read_setup(self, made: Packets, resets: bool) -> None:
        """Read the replies to a set-up, and to the reset before it."""
        parts_eof = not self.client_flag & CLIENT.DEPRECATE_EOF
        assert self._inbox is not None
        replies, self.server_status = read_replies(
            self._inbox, made.replies + resets, parts_eof, made.last[resets]
        )
        self.setup_rows = replies[made.own - 1 + resets :]
        self.tails.clear()

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
            self._send(sql)
        self._affected_rows = rows = self._read_query_result(unbuffered)
        return rows

    def _send(self, sql: bytes) -> None:
        """Send a statement that fits into one packet."""
        result = self._result
        if (
            (result is not None and (result.unbuffered_active or result.has_next))
            or self.owed
            or self.due
            or self._sock is None
        ):
            self.finish_previous()
        self._result = None
        self.due = 1
        self._write_bytes(_HEADER_AND_COMMAND.pack(len(sql) + 1, COMMAND.COM_QUERY) + sql)
        self._next_seq_id = 1

    def commit(self) -> None:
        """Commit the transaction."""
        self._end(b"COMMIT")

    def rollback(self) -> None:
        """Roll the transaction back."""
        self._end(b"ROLLBACK")

    def _end(self, sql: bytes) -> None:
        """Run what is answered with an OK packet and nothing else."""
        self._send(sql)
        try:
            packet = self._read_packet()
        except err.MySQLError:
            self.due = 0
            raise
        if not packet.is_ok_packet():
            raise err.OperationalError(CR.CR_COMMANDS_OUT_OF_SYNC, "Command Out of Sync")
        _, _, self.server_status, warned, tail = read_ok(packet._data)
        self._take_ok(self.server_status, warned, tail)

    def query_for(self, sql: bytes, unbuffered: bool, fingerprint: Fingerprint | None) -> int:
        """Run a statement so, and take its rows into a fingerprint if there is one."""
        if fingerprint is None:
            return self.query(sql, unbuffered)
        self.fingerprint = fingerprint
        before, self._result_class = self._result_class, self._kinds.fingerprinted
        try:
            return self.query(sql, unbuffered)
        finally:
            self._result_class = before

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

    def receive(self) -> None:
        """Wait for more from the server; raises OperationalError 2013 if none comes."""
        inbox = self._inbox
        try:
            if self._current_timeout != self._read_timeout:
                self._sock.settimeout(self._read_timeout)
                self._current_timeout = self._read_timeout
            if inbox is not None and inbox.receive():
                return
        except OSError as error:
            self._force_close()
            raise self._lost(error) from error
        except BaseException:
            # A part of a packet may be lost.
            self._force_close()
            raise
        self._force_close()
        raise err.OperationalError(CR.CR_SERVER_LOST, LOST_CONNECTION)

    def payload(self) -> bytes:
        """Return what is in the next packet; raises PyMySQL's errors, and the server's."""
        # What is there as a whole, and in order, needs no more than to be cut out.
        inbox = self._inbox
        if inbox is not None:
            if inbox.at == len(inbox.data):
                self.receive()
            data, at = inbox.data, inbox.at
            begin = at + 4
            if begin < len(data) and data[at + 3] == self._next_seq_id:
                size = data[at] | data[at + 1] << 8 | data[at + 2] << 16
                end = begin + size
                if size and end <= len(data) and data[begin] != _ERROR:
                    inbox.at = end
                    self._next_seq_id = (self._next_seq_id + 1) & 0xFF
                    return data[begin:end]
        found: bytes = super()._read_packet()._data
        return found

    def _read_packet(self, packet_type: Any = MysqlPacket) -> Any:
        return packet_type(self.payload(), self.encoding)

    def _force_close(self) -> None:
        super()._force_close()
        if self._kept is not None:
            self._kept[0].drop()
            self._kept = None
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
        self._take_ok(ok.server_status, ok.warning_count, ok.message)
        return ok

    def _take_ok(self, status: int, warned: int, tail: bytes) -> None:
        self.warnings = warned
        if status & SESSION_STATE_CHANGED:
            self.tails.append(tail)
        self.due = 0

    @property
    def columns(self) -> Columns:
        """What columns were, as it would read them now."""
        known = self._columns
        if not known.are_for(self.encoding, self.use_unicode, self.decoders):
            known = self._columns = Columns(self.encoding, self.use_unicode, self.decoders)
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
        rows: int = result.affected_rows
        return rows

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
        decoders, use_unicode, columns = self.decoders, self.use_unicode, self._columns
        self.decoders, self.use_unicode, self._columns = {}, False, self._questions_columns
        try:
            return self.run_all(statements)
        finally:
            self._questions_columns = self._columns
            self.decoders, self.use_unicode, self._columns = decoders, use_unicode, columns

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
            with self._reading_as(self._kinds.fingerprinted):
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
        with self._reading_as(self._kinds.compared):
            reply = self._read_reply()
        return reply if isinstance(reply, err.MySQLError) else fingerprint

    @contextmanager
    def _reading_as(self, result_class: type[Result]) -> Iterator[None]:
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

    # Results of rwsplit's own.

    def no_result(self, status: int) -> Any:
        """Return the result of a statement that changed nothing and returned nothing."""
        return no_result(status)

    def made_result(self, columns: Sequence[Any], rows: Sequence[tuple[Any, ...]]) -> Any:
        """Return a result that no server sent."""
        return made_result(self, columns, rows)

    def rename(self, result: Any, names: Sequence[tuple[str, str]]) -> None:
        """Write something else in the names of a result's columns."""
        rename(result, names)

    # What another connection is.

    def read_as(self, primary: PhysicalConnection) -> None:
        """Make of what comes from the server what another connection makes of it."""
        self.decoders = primary.decoders
        self.use_unicode = primary.use_unicode
        self.encoding = primary.encoding

    def encode_as(self, primary: PhysicalConnection) -> None:
        """Read and write text in another connection's character set."""
        self.charset, self.collation = primary.charset, primary.collation
        self.read_as(primary)

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


_connections: WeakSet[PhysicalConnection] = WeakSet()


def _after_fork() -> None:
    # The sockets are the parent's: two processes that write to one confuse its server.
    for connection in [*_connections]:
        sock = connection._sock
        connection._sock = connection._rfile = None
        if sock is not None:
            with suppress(OSError):
                os.close(sock.detach())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Packets(NamedTuple):
    """What is sent to set up a fresh session."""

    key: tuple[Any, ...]
    """What it was made for."""
    packets: bytes
    replies: int
    """So many come."""
    own: int
    """So many of them are not to the statements of a `Setup`, and come first."""
    last: tuple[Last, Last]
    """What came the last time, without a reset before it and with one."""


class Setup:
    """Statements that make a fresh connection a member: overridden by the shell.

    What was made of them is kept here, for the next connection with the same.
    """

    made: Packets | None = None

    def statements(self, flavor: str) -> Sequence[str]:
        """Return what to send along with SET NAMES, now that the server's flavor is known."""
        raise NotImplementedError


def _names(charset: str, collation: str | None) -> str:
    return f"SET NAMES {charset}" + (f" COLLATE {collation}" if collation else "")
