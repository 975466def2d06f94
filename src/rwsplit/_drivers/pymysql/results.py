"""Results: what a server answers, with the packet behind the rows that tells what has changed."""

from __future__ import annotations

import copy
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pymysql.connections import MAX_PACKET_LEN, TEXT_TYPES, MySQLResult
from pymysql.constants import CLIENT, CR, ER, FIELD_TYPE, SERVER_STATUS
from pymysql.converters import through
from pymysql.protocol import FieldDescriptorPacket

from ..._core.sql.fingerprint import Fingerprint
from ..._core.tracking import SESSION_STATE_CHANGED, info_string, read_lenenc
from .. import err
from .errors import in_use, lost

if TYPE_CHECKING:
    from pymysql.protocol import MysqlPacket

__all__ = ["Compared", "Fingerprinted", "Result", "made_result", "no_result", "rename"]

_MORE_RESULTS = SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS
_EOF = 0xFE
_STATUS_AND_WARNINGS = struct.Struct("<HH")
_LOST_CONNECTION = "Lost connection to MySQL server during query"


class Owner(Protocol):
    """The connection of a result, as the result sees it."""

    client_flag: int
    server_status: int
    tails: list[bytes]
    decoders: dict[int, Any]
    use_unicode: bool
    encoding: str
    turn: Any
    due: int
    replica: str | None
    fingerprint: Fingerprint
    _rfile: Any

    def _read_packet(self) -> MysqlPacket: ...

    def column(self, data: bytes) -> tuple[FieldDescriptorPacket, Any]: ...

    def kill_socket(self) -> None: ...


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

    def __init__(self, connection: Owner) -> None:
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


class Fingerprinted(Result):
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


class Compared(Fingerprinted):
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
    connection: Owner,
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
