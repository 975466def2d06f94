"""Results: what a server answers, with the packet behind the rows that tells what has changed."""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pymysql.connections import MAX_PACKET_LEN, MySQLResult
from pymysql.constants import CLIENT, CR, ER, FIELD_TYPE, SERVER_STATUS
from pymysql.protocol import FieldDescriptorPacket, MysqlPacket

from ..._core.sql.fingerprint import Fingerprint
from ..._core.tracking import SESSION_STATE_CHANGED, info_string, read_lenenc
from .. import err
from .columns import BINARY_CHARSET, COUNT_PACKET, Columns, Head
from .compiled import LARGE, compiled_rows
from .errors import in_use, lost
from .packets import STATUS_AND_WARNINGS, read_ok
from .rows import rows_of, skip_rows, split_rows

if TYPE_CHECKING:
    from .inbox import Inbox

__all__ = [
    "LOST_CONNECTION",
    "Kinds",
    "Result",
    "kinds_of",
    "made_result",
    "no_result",
    "rename",
    "renamed",
]

_RAN_TOO_LONG = (ER.QUERY_TIMEOUT, ER.STATEMENT_TIMEOUT)
_MORE_RESULTS = SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS
_OK, _EOF, _EOF_BYTE = 0x00, 0xFE, b"\xfe"
_SHORTEST_OK = 7
_UNKNOWN_COUNT = 2**64 - 1
"""What PyMySQL says of how many rows an unbuffered result has."""
_WARNINGS_AND_STATUS = struct.Struct("<HH")
LOST_CONNECTION = "Lost connection to MySQL server during query"


class Owner(Protocol):
    """The connection of a result, as the result sees it."""

    client_flag: int
    server_status: int
    tails: list[bytes]
    columns: Columns
    use_unicode: bool
    encoding: str
    turn: Any
    due: int
    replica: str | None
    fingerprint: Fingerprint
    _inbox: Inbox | None
    _next_seq_id: int

    def receive(self) -> None: ...

    def payload(self) -> bytes: ...

    def _read_packet(self) -> MysqlPacket: ...

    def kill_socket(self) -> None: ...


class Result(MySQLResult):  # type: ignore[misc]
    """A result whose last packet is an OK packet, also after rows (CLIENT_DEPRECATE_EOF)."""

    route: Any = None
    """The route taken by the statement, for `cursor.route`."""
    thread = 0
    """The thread that ran the statement, for its cursor."""
    parts_eof = False
    """A packet stands between columns and rows (no CLIENT_DEPRECATE_EOF)."""
    # As PyMySQL's results begin.
    affected_rows: Any = None
    insert_id: Any = None
    server_status: Any = None
    warning_count = 0
    message: Any = None
    field_count = 0
    description: Any = None
    rows: Any = None
    has_next: Any = None
    unbuffered_active = False
    _wire: Any = None
    """What an unbuffered result's rows come from: a connection may be led to another wire."""
    _take: Callable[[bytes], None] | None = None
    """What is given each row as it came, if it is wanted."""
    _ahead: Iterator[Any] = iter(())
    """Rows of an unbuffered result that have come and that nobody has asked for yet."""

    def __init__(self, connection: Owner) -> None:
        self._owner = connection
        self.connection: Owner | None = connection

    def read(self) -> None:
        """Read the whole result."""
        try:
            if self._take_head():
                self._read_rowdata_packet()
                return
            owner = self._owner
            data = owner.payload()
            if data[0] == _OK and len(data) >= _SHORTEST_OK:
                self._read_ok(data)
                return
            packet = MysqlPacket(data, owner.encoding)
            if packet.is_load_local_packet():
                self._read_load_local_packet(packet)
            else:
                self._read_result_packet(packet)
        finally:
            self.connection = None

    def init_unbuffered_query(self) -> None:
        """Read what comes before the rows."""
        self._wire = self._owner._inbox
        if self._take_head():
            self.affected_rows = _UNKNOWN_COUNT
            self.unbuffered_active = True
        else:
            super().init_unbuffered_query()

    def _take_head(self) -> bool:
        """Read the columns at once, if they are known."""
        owner = self._owner
        inbox = owner._inbox
        if inbox is None:
            return False
        if inbox.at == len(inbox.data):
            owner.receive()
        data, at = inbox.data, inbox.at
        if data[at] != 1:
            return False  # an OK packet, or an error, is longer than a number of columns
        head = owner.columns.head(data, at)
        if head is None or data[at + 3] != owner._next_seq_id:
            return False
        inbox.at = at + len(head.data)
        _, owner._next_seq_id, self.fields, self.converters, self.description = head
        self.field_count = len(self.fields)
        if self.parts_eof:
            owner.payload()
        return True

    def _read_ok_packet(self, packet: MysqlPacket) -> None:
        self._read_ok(packet._data)

    def _read_ok(self, data: bytes) -> None:
        self.affected_rows, self.insert_id, status, self.warning_count, tail = read_ok(data)
        self.server_status = status
        self.has_next = status & _MORE_RESULTS
        owner = self._owner
        if owner.client_flag & CLIENT.SESSION_TRACK:
            if status & SESSION_STATE_CHANGED:
                owner.tails.append(tail)
            tail = info_string(tail)
        self.message = tail

    def _is_end(self, data: bytes) -> bool:
        """Tell whether this is the packet behind the rows, and take in what it says."""
        # A row that starts with 0xFE holds a string of 16 MB or more, so it is never this short.
        if data[0] != _EOF or len(data) >= MAX_PACKET_LEN:
            return False
        at = 3
        if data[1] or data[2]:
            at = read_lenenc(data, read_lenenc(data, 1)[1])[1]
        status, self.warning_count = STATUS_AND_WARNINGS.unpack_from(data, at)
        self.server_status = status
        self.has_next = status & _MORE_RESULTS
        owner = self._owner
        owner.server_status = status
        if status & SESSION_STATE_CHANGED:
            owner.tails.append(data[at + 4 :])
        return True

    def _next_rows(self) -> Iterable[Any] | None:
        """Return the rows that have come whole; None if what comes next has to be looked at."""
        owner = self._owner
        inbox = owner._inbox
        if inbox is None:
            raise err.OperationalError(CR.CR_SERVER_LOST, LOST_CONNECTION)
        width = len(self.converters)
        while True:
            if len(inbox.data) - inbox.at >= LARGE and self._take is None:
                made = compiled_rows(inbox.data, inbox.at, owner._next_seq_id, self.converters)
                if made is not None and made[2]:
                    inbox.at, owner._next_seq_id, rows = made
                    return rows
            values: list[Any] = []
            inbox.at, owner._next_seq_id, has_null = split_rows(
                inbox.data, inbox.at, owner._next_seq_id, width, values, self._take
            )
            if values:
                return self._rows_of(values, has_null)
            if not inbox.lacks_rest:
                return None
            owner.receive()

    def _rows_of(self, values: list[Any], has_null: bool) -> Iterable[Any]:
        return rows_of(values, self.converters, has_null)

    def _read_rowdata_packet(self) -> None:
        rows: list[Any] = []
        owner = self._owner
        inbox = owner._inbox
        while True:
            found = self._next_rows()
            if found is not None:
                rows.extend(found)
                assert inbox is not None
                if inbox.data[inbox.at + 4 : inbox.at + 5] != _EOF_BYTE:
                    continue
            data = owner.payload()
            if self._is_end(data):
                break
            rows.append(self._read_row_from_packet(MysqlPacket(data, owner.encoding)))
        self.connection = None
        self.affected_rows = len(rows)
        self.rows = tuple(rows)

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
            raise self._gone(err.OperationalError(CR.CR_SERVER_LOST, LOST_CONNECTION))
        owner.due = 1
        row = self._made(None)
        if row is None:
            try:
                packet = self._read_on()
            except err.MySQLError as error:
                owner.due = 0
                self.unbuffered_active = self._is_cut_off()
                gone = self._gone(error)
                if gone is error:
                    raise
                raise gone from error
            if packet is not None and self._is_end(packet._data):
                self.unbuffered_active = False
                self.connection = self.rows = None
                owner.due = 0
                return None
            row = self._made(packet)
        self.affected_rows = 1
        self.rows = (row,)
        owner.due = 0
        return row

    def _read_on(self) -> MysqlPacket | None:
        """Read ahead; what comes next is returned if it is none of the rows that are made so."""
        rows = self._next_rows()
        if rows is None:
            return self._owner._read_packet()
        self._ahead = iter(rows)
        return None

    def _made(self, packet: MysqlPacket | None) -> Any:
        """Make a row of its packet, or return the next that was read ahead; None if none was."""
        try:
            if packet is None:
                return next(self._ahead, None)
            return self._read_row_from_packet(packet)
        except Exception:
            self._owner.due = 0  # a value that can't be converted: the next row still can
            raise

    def _is_cut_off(self) -> bool:
        """Tell whether the wire that its rows were to come from is of no more use."""
        owner = self._owner
        if owner.due:
            owner.kill_socket()  # an interrupt left a part of a packet unread
        return owner._inbox is None or owner._inbox is not self._wire

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
                self._skip_rest()
            except err.MySQLError:
                owner.due = 0
                self.unbuffered_active = self._is_cut_off()
                raise
            owner.due = 0
        finally:
            owner.turn.release()

    def _skip_rest(self) -> None:
        owner = self._owner
        inbox = owner._inbox
        assert inbox is not None
        self._ahead = iter(())
        while self.unbuffered_active:
            inbox.at, owner._next_seq_id = skip_rows(inbox.data, inbox.at, owner._next_seq_id)
            try:
                is_last = self._is_end(owner.payload())
            except err.OperationalError as error:
                if error.args[0] not in _RAN_TOO_LONG:
                    raise
                is_last = True  # as good as finished
            if is_last:
                self.unbuffered_active = False
                self.connection = None

    def _get_descriptions(self) -> None:
        owner = self._owner
        columns, inbox = owner.columns, owner._inbox
        assert inbox is not None
        data, begin = inbox.data, inbox.at - COUNT_PACKET
        found = [columns.field(owner.payload()) for _ in range(self.field_count)]
        fields = [field for field, _, _ in found]
        converters = [converter for _, _, converter in found]
        description = tuple([described for _, described, _ in found])
        if inbox.data is data and begin >= 0 and data[begin] == 1:
            number = owner._next_seq_id
            columns.keep(Head(data[begin : inbox.at], number, fields, converters, description))
        self.fields, self.converters, self.description = fields, converters, description
        if self.parts_eof:
            owner.payload()


class Fingerprinted(Result):
    """A result whose rows are fingerprinted as they come."""

    fingerprint: Fingerprint

    def _read_row_from_packet(self, packet: MysqlPacket) -> Any:
        self.fingerprint.add(packet._data)
        return super()._read_row_from_packet(packet)

    def read(self) -> None:
        self.fingerprint = self._owner.fingerprint
        self._take = self.fingerprint.add
        super().read()
        if self.description:
            # A comment behind a `;` is answered by a result of its own, which has none.
            self.fingerprint.columns = self.description

    def init_unbuffered_query(self) -> None:
        self.fingerprint = taken = self._owner.fingerprint
        self._take = taken.add
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

    def _rows_of(self, values: list[Any], has_null: bool) -> Iterable[Any]:
        return [None] * (len(values) // len(self.converters))

    def _read_row_from_packet(self, packet: MysqlPacket) -> Any:
        self.fingerprint.add(packet._data)
        return None


class _OldEnd(Result):
    """One without CLIENT_DEPRECATE_EOF: its last packet has the status and nothing more."""

    parts_eof = True

    def _is_end(self, data: bytes) -> bool:
        if data[0] != _EOF or len(data) >= MAX_PACKET_LEN:
            return False
        self.warning_count, status = _WARNINGS_AND_STATUS.unpack_from(data, 1)
        self.server_status = self._owner.server_status = status
        self.has_next = status & _MORE_RESULTS
        return True


class _OldFingerprinted(_OldEnd, Fingerprinted):
    pass


class _OldCompared(_OldEnd, Compared):
    pass


class Kinds(NamedTuple):
    """The classes of a connection's results."""

    plain: type[Result]
    fingerprinted: type[Fingerprinted]
    compared: type[Compared]


_KINDS = Kinds(Result, Fingerprinted, Compared)
_OLD_KINDS = Kinds(_OldEnd, _OldFingerprinted, _OldCompared)


def kinds_of(client_flag: int) -> Kinds:
    """Return the classes of results for what client and server have agreed on."""
    return _KINDS if client_flag & CLIENT.DEPRECATE_EOF else _OLD_KINDS


def rename(result: Any, names: Sequence[tuple[str, str]]) -> None:
    """Write something else in the names of a result's columns."""
    if not result.description:
        return
    fields = []
    for known in result.fields:
        field = copy.copy(known)  # the same statement brings the same ones again
        field.name = renamed(field.name, names)
        fields.append(field)
    result.fields = fields
    result.description = tuple([field.description() for field in fields])


def renamed(name: str, names: Sequence[tuple[str, str]]) -> str:
    """Return a column's name with what was meant in the place of what was written."""
    for written, meant in names:
        name = name.replace(written, meant)
    return name


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
    tail = struct.pack("<BHIBHBH", 12, 45 if is_text else BINARY_CHARSET, 1024, kind, 0, 0, 0)
    return FieldDescriptorPacket(texts + tail, encoding)


def _encoded(value: Any, encoding: str) -> Any:
    return value.encode(encoding) if isinstance(value, str) else value
