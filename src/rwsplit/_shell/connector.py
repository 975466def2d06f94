"""The virtual connection over mysql-connector-python: looks like one of its pure connections.

Its cursors are the driver's own. They ask their connection for rows themselves, so what the last
statement left unread is part of it: the next one is refused until that is read, as the driver does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._core.numbers import NOT_SUPPORTED_YET
from .._core.session.state import IN_TRANSACTION
from .._drivers import err
from .._drivers.foreign import application_error
from .given import Given
from .wrapped import WrappedConnection

__all__ = ["ConnectorConnection"]

_REFUSED = frozenset(
    {"cmd_change_user", "cmd_debug", "cmd_reset_connection", "cmd_shutdown", "cmd_statistics"}
    | {"cmd_stmt_close", "cmd_stmt_execute", "cmd_stmt_fetch", "cmd_stmt_prepare"}
    | {"cmd_stmt_reset", "cmd_stmt_send_long_data", "cmd_refresh", "reset_session", "shutdown"}
    | {"query_attrs_append", "config"}
)
"""What would run on the primary's connection unseen, or not where the statement runs."""
_LEVELS = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


class _NextPacket:
    """What the driver's cursors take the next result's beginning from."""

    def recv(self, read_timeout: Any = None) -> bytes:
        """Return nothing: it is read by whoever is given it."""
        return b""


class ConnectorConnection(WrappedConnection):
    """One primary and its replicas behind mysql-connector-python's interface."""

    refused = _REFUSED
    _socket = _NextPacket()
    _rows: Any = None
    """Of the last statement, what is unread."""

    def __init__(self, given: Given) -> None:
        self.unread_result = False
        self._sql_mode: Any = None
        self._consumes: bool | None = None
        self._raises: bool | None = None
        super().__init__(given)

    # What its cursors call.

    def get_self(self) -> ConnectorConnection:
        """Return it; cursors have but a weak reference."""
        return self

    def cmd_query(self, query: Any, *_: Any, **keywords: Any) -> dict[str, Any]:
        """Run a statement where it belongs; returns what its answer begins with."""
        self.handle_unread_result()
        self.query(query.encode() if isinstance(query, str) else bytes(query))
        return self._beginning()

    def cmd_query_iter(self, statements: Any, **keywords: Any) -> Iterator[dict[str, Any]]:
        """Run statements, and return what each of their answers begins with."""
        yield self.cmd_query(statements)
        while self._have_next_result:
            self.handle_unread_result()
            yield self._handle_result(b"")

    def _handle_result(self, packet: bytes) -> dict[str, Any]:
        self.next_result()
        return self._beginning()

    def _beginning(self) -> dict[str, Any]:
        answer = self.answer
        end = {"status_flag": answer.server_status, "warning_count": answer.warning_count or 0}
        self._rows = answer.hand_over()
        self.unread_result = self._rows is not None
        if self._rows is not None:
            return {"columns": [*self._rows.describe()], "eof": end}
        told = {"affected_rows": answer.affected_rows, "insert_id": answer.insert_id}
        return {
            "field_count": 0,
            **told,
            **end,
            **({"info_msg": answer.info} if answer.info else {}),
        }

    def get_rows(
        self,
        count: int | None = None,
        binary: bool = False,
        columns: Any = None,
        raw: bool | None = None,
        prep_stmt: Any = None,
        **keywords: Any,
    ) -> tuple[list[Any], dict[str, Any] | None]:
        """Return the next rows, all for None, and what stands behind the last."""
        if not self.unread_result:
            raise self.driver.module.InternalError("No result set available")
        try:
            rows = [*self._rows.fetch_row(count or 0)]
        except BaseException:
            self._read()
            raise
        rows = self.driver.read(self.driver_connection.last, self._rows, rows, raw)
        if count and len(rows) == count:
            return rows, None
        self._read()
        answer = self.answer
        status = self.server_status if answer is None else answer.server_status
        return rows, {"status_flag": status, "warning_count": self.warning_count()}

    def get_row(self, *arguments: Any, **keywords: Any) -> tuple[Any, Any]:
        """Return the next row, and what stands behind the last."""
        rows, end = self.get_rows(1, *arguments, **keywords)
        return (rows[0] if rows else None), end

    def _read(self) -> None:
        self._rows, self.unread_result = None, False

    def handle_unread_result(self) -> None:
        """Read away what is unread, if the connection is so made; InternalError else."""
        if self.can_consume_results:
            self.consume_results()
        elif self.unread_result:
            raise self.driver.module.InternalError("Unread result found")

    def consume_results(self) -> None:
        """Read away what is unread."""
        if self.unread_result:
            self._rows.discard()
            self._read()

    @property
    def can_consume_results(self) -> bool:
        """Whether what is unread is read away before the next statement."""
        if self._consumes is not None:
            return self._consumes
        consumes: bool = self.driver_connection.last.can_consume_results
        return consumes

    @can_consume_results.setter
    def can_consume_results(self, value: bool) -> None:
        self._consumes = value

    @property
    def _have_next_result(self) -> bool:
        return self.more_results()

    have_next_result = _have_next_result

    def info_query(self, query: str) -> Any:
        """Return the first row of what a statement gives."""
        cursor = self.cursor(buffered=True)
        cursor.execute(query)
        return cursor.fetchone()

    def cursor(  # type: ignore[override]
        self,
        buffered: bool | None = None,
        raw: bool | None = None,
        prepared: bool | None = None,
        cursor_class: Any = None,
        dictionary: bool | None = None,
        read_timeout: int | None = None,
        write_timeout: int | None = None,
    ) -> Any:
        """Make one of the driver's cursors.

        With `buffered=False` its rows stay with the server until they are fetched; without, they
        are read at once, and it looks as if they were not.
        """
        self.handle_unread_result()
        if not self.open:
            raise self.driver.closed()
        if prepared or read_timeout is not None or write_timeout is not None:
            text = "rwsplit has no prepared cursors, and none with time limits of their own"
            raise application_error(self.driver, err.NotSupportedError(NOT_SUPPORTED_YET, text))
        return self.driver.cursor_of(
            self.driver_connection.last, buffered, raw, dictionary, cursor_class
        )(self, None, None)

    @property
    def raise_on_warnings(self) -> bool:
        """Whether a statement's warnings are an error."""
        raises: bool = self.driver_connection.last.raise_on_warnings
        return raises if self._raises is None else self._raises

    @raise_on_warnings.setter
    def raise_on_warnings(self, value: bool) -> None:
        self._raises = value
        if value:
            self.get_warnings = True

    # Transactions.

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return bool(self.server_status & IN_TRANSACTION)

    @property  # type: ignore[override]
    def autocommit(self) -> bool:
        """Whether autocommit is on."""
        return self.get_autocommit()

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self.handle_unread_result()
        if bool(value) == self.get_autocommit():
            # The driver sends it all the same: ROW_COUNT() is about it then.
            self.cmd_query(f"SET @@session.autocommit = {'ON' if value else 'OFF'}")
        else:
            super().autocommit(value)

    def start_transaction(
        self,
        consistent_snapshot: bool = False,
        isolation_level: str | None = None,
        readonly: bool | None = None,
    ) -> None:
        """Begin a transaction."""
        if self.in_transaction:
            raise self.driver.module.ProgrammingError("Transaction already in progress")
        if isolation_level:
            level = isolation_level.strip().replace("-", " ").upper()
            if level not in _LEVELS:
                raise ValueError(f'Unknown isolation level "{isolation_level}"')
            self.cmd_query(f"SET TRANSACTION ISOLATION LEVEL {level}")
        if readonly is not None:
            self.cmd_query(f"SET TRANSACTION READ {'ONLY' if readonly else 'WRITE'}")
        snapshot = " WITH CONSISTENT SNAPSHOT" if consistent_snapshot else ""
        self.cmd_query(f"START TRANSACTION{snapshot}")

    def commit(self) -> None:
        """Commit the transaction; what it wrote is then part of the session's position."""
        self.handle_unread_result()
        super().commit()

    def rollback(self) -> None:
        """Roll the transaction back."""
        self.consume_results()
        super().rollback()

    # The session.

    @property
    def database(self) -> Any:
        """The default schema."""
        return self.info_query("SELECT DATABASE()")[0]

    @database.setter
    def database(self, value: str) -> None:
        self.cmd_init_db(value)

    def cmd_init_db(self, database: str) -> None:
        """Change the default schema."""
        self.handle_unread_result()
        self.select_db(database)

    @property
    def sql_mode(self) -> Any:
        """The session's sql_mode, as it was when it was first asked for, or set here."""
        if self._sql_mode is None:
            self._sql_mode = self.info_query("SELECT @@session.sql_mode")[0]
        return self._sql_mode

    @sql_mode.setter
    def sql_mode(self, value: str | Sequence[str]) -> None:
        mode = value if isinstance(value, str) else ",".join(value)
        self.cmd_query(f"SET @@session.sql_mode = '{mode}'")
        self._sql_mode = mode

    @property
    def time_zone(self) -> Any:
        """The session's time zone."""
        return self.info_query("SELECT @@session.time_zone")[0]

    @time_zone.setter
    def time_zone(self, value: str) -> None:
        self.cmd_query(f"SET @@session.time_zone = '{value}'")

    def set_charset_collation(
        self, charset: int | str | None = None, collation: str | None = None
    ) -> None:
        """Set the character set, and the collation, of the connection."""
        last = self.driver_connection.last
        self.set_character_set(*self.driver.charset_of(last, charset, collation))

    # The connection.

    def cmd_ping(self) -> None:
        """Check that the primary answers."""
        self.handle_unread_result()
        super().ping()

    def ping(self, reconnect: bool = False, attempts: int = 1, delay: int = 0) -> None:
        """Check that the primary answers; one that was lost is connected to again if it can be."""
        module = self.driver.module
        try:
            self.cmd_ping()
        except module.Error as error:
            raise module.InterfaceError("Connection to MySQL is not available") from error

    def reconnect(self, attempts: int = 1, delay: int = 0) -> None:
        """Connect to the primary again: what the session had set is gone, as with the driver."""
        self._read()
        self.connect()

    def is_connected(self) -> bool:
        """Tell whether the primary answers."""
        try:
            self.ping()
        except self.driver.module.Error:
            return False
        return True

    def close(self) -> None:
        """Close all members."""
        self._read()
        if not self.driver_connection.is_closed:
            super().close()

    disconnect = close

    def cmd_quit(self) -> None:
        """Close all members."""
        self.close()

    def cmd_process_kill(self, mysql_pid: int) -> Mapping[str, Any]:
        """Kill a thread of the primary."""
        if not isinstance(mysql_pid, int):
            raise ValueError("MySQL PID must be int")
        return self.cmd_query(f"KILL {mysql_pid}")
