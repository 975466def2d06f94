"""The part of PyMySQL's interface that is the primary's connection and nothing more."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from pymysql.protocol import MysqlPacket

from .._drivers import err

if TYPE_CHECKING:
    from .._drivers.pymysql import PhysicalConnection
    from .members import Members

__all__ = ["Surface"]


class _OfPrimary:
    """An attribute that is the primary's physical connection's, for reading and assignment."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return getattr(instance.driver_connection, self._name)

    def __set__(self, instance: Any, value: Any) -> None:
        setattr(instance.driver_connection, self._name, value)


class _OfAll(_OfPrimary):
    """One that decides how rows are read: assigned, it is so for all members."""

    def __set__(self, instance: Any, value: Any) -> None:
        super().__set__(instance, value)
        members = instance._members
        if members is not None:
            members.read_as(instance.driver_connection)


class Surface:
    """PyMySQL's attributes and plain methods, handed on to the primary's connection."""

    driver_connection: PhysicalConnection
    """The physical connection to the primary."""
    _members: Members | None = None
    """The members on replicas; None until it is connected."""

    Warning = err.Warning
    Error = err.Error
    InterfaceError = err.InterfaceError
    DatabaseError = err.DatabaseError
    DataError = err.DataError
    OperationalError = err.OperationalError
    IntegrityError = err.IntegrityError
    InternalError = err.InternalError
    ProgrammingError = err.ProgrammingError
    NotSupportedError = err.NotSupportedError

    # PyMySQL's public attributes.
    host = _OfPrimary()
    port = _OfPrimary()
    user = _OfPrimary()
    password = _OfPrimary()
    db = _OfPrimary()
    unix_socket = _OfPrimary()
    bind_address = _OfPrimary()
    connect_timeout = _OfPrimary()
    charset = _OfPrimary()
    collation = _OfPrimary()
    encoding = _OfAll()
    use_unicode = _OfAll()
    client_flag = _OfPrimary()
    host_info = _OfPrimary()
    autocommit_mode = _OfPrimary()
    encoders = _OfPrimary()
    decoders = _OfAll()
    sql_mode = _OfPrimary()
    init_command = _OfPrimary()
    max_allowed_packet = _OfPrimary()
    server_public_key = _OfPrimary()
    ssl = _OfPrimary()
    ctx = _OfPrimary()
    server_version = _OfPrimary()
    server_thread_id = _OfPrimary()
    server_capabilities = _OfPrimary()
    server_language = _OfPrimary()
    server_charset = _OfPrimary()
    protocol_version = _OfPrimary()
    salt = _OfPrimary()

    # Private names that PyMySQL's users' tests look at.
    _sock = _OfPrimary()
    _rfile = _OfPrimary()
    _closed = _OfPrimary()
    _secure = _OfPrimary()
    _auth_plugin_name = _OfPrimary()
    _ssl_required = _OfPrimary()
    _next_seq_id = _OfPrimary()
    _connect_attrs = _OfPrimary()
    _local_infile = _OfPrimary()
    _read_timeout = _OfPrimary()
    _write_timeout = _OfPrimary()

    def character_set_name(self) -> str:
        """Return the name of the connection's character set."""
        return self.driver_connection.character_set_name()  # type: ignore[no-any-return]

    def escape(self, obj: Any, mapping: Any = None) -> str:
        """Escape a value for the session's sql_mode. Not for applications: use parameters."""
        return self.driver_connection.escape(obj, mapping)  # type: ignore[no-any-return]

    def literal(self, obj: Any) -> str:
        """Deprecated alias of `escape`."""
        warnings.warn(
            "literal() is deprecated and will be removed in the next version.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.escape(obj)

    def _read_packet(self, packet_type: Any = MysqlPacket) -> Any:
        return self.driver_connection._read_packet(packet_type)

    def _read_bytes(self, num_bytes: int) -> bytes:
        return self.driver_connection._read_bytes(num_bytes)  # type: ignore[no-any-return]

    def _write_bytes(self, data: bytes) -> None:
        self.driver_connection._write_bytes(data)

    def write_packet(self, payload: bytes) -> None:
        """Write a packet to the primary; for those who speak the protocol themselves."""
        self.driver_connection.write_packet(payload)

    def _escape_string(self, s: str) -> str:
        return self.driver_connection._escape_string(s)  # type: ignore[no-any-return]

    def get_host_info(self) -> str:
        """Tell how the primary is connected."""
        return self.driver_connection.get_host_info()  # type: ignore[no-any-return]

    def get_proto_info(self) -> int:
        """Return the version of the protocol."""
        return self.driver_connection.get_proto_info()  # type: ignore[no-any-return]

    def get_server_info(self) -> str:
        """Return the version of the primary."""
        return self.driver_connection.get_server_info()  # type: ignore[no-any-return]

    def thread_id(self) -> int:
        """Return the number of the primary's thread."""
        return self.driver_connection.thread_id()  # type: ignore[no-any-return]

    def get_autocommit(self) -> bool:
        """Tell whether autocommit is on."""
        return bool(self.driver_connection.get_autocommit())
