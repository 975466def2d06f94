"""What the model's servers answer with: results, faults, and the session state behind a result."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from rwsplit._core.sql.fingerprint import Fingerprint
from rwsplit._core.wire import Fault, Kind

__all__ = ["Changes", "Field", "Reply", "lost", "tail_of"]

_STATE_CHANGED = 0x4000
_VARIABLES, _SCHEMA, _CHANGED, _GTIDS, _CHARACTERISTICS = range(5)


class Field(NamedTuple):
    """A column."""

    name: str
    type_code: int = 8
    flags: int = 0


class Reply:
    """What a server says to one statement; `saw` and what follows are for the checks alone."""

    __slots__ = (
        *("affected_rows", "field_count", "fields", "has_next", "insert_id", "rows"),
        *("server_status", "unbuffered_active", "warning_count", "tail"),
        *("saw", "state", "level", "server", "route"),
    )

    def __init__(
        self, rows: tuple[tuple[Any, ...], ...] | None = None, fields: tuple[Field, ...] = ()
    ) -> None:
        self.rows = rows
        self.fields = fields
        self.field_count = len(fields) if rows is not None else 0
        self.affected_rows = len(rows or ())
        self.insert_id = self.has_next = self.warning_count = 0
        self.server_status = 0
        self.unbuffered_active = False
        self.tail = b""
        self.saw: int | None = None
        """Which transactions a read saw."""
        self.state: dict[str, str] = {}
        """What was set in the session that it ran in."""
        self.level = ""
        """The isolation level that it ran under."""
        self.server: Any = None
        self.route: Any = None

    def fill(self, taken: Fingerprint, is_stream: bool) -> None:
        """Take the rows into a fingerprint."""
        taken.columns = self.fields
        for row in self.rows or ():
            taken.add(repr(row).encode())
        taken.is_stream, taken.is_whole = is_stream, not is_stream


def lost(text: str = "Lost connection to MySQL server during query", number: int = 2013) -> Fault:
    """Return the fault of a connection that is gone."""
    return Fault(number, text, Kind.LOST)


class Changes:
    """What a statement changed, as a server that was told to tracks it."""

    def __init__(self) -> None:
        self.gtid = ""
        self.variables: list[tuple[str, str]] = []
        self.schema: str | None = None
        self.is_other = False
        """Something else changed: a user variable."""
        self.characteristics: str | None = None
        """SQL that would start a transaction like this one."""

    def tail(self, flavor: str) -> bytes:
        """Return the end of the packet that tells of it; empty for nothing."""
        gtids, variables = self.gtid if flavor == "mysql" else "", self.variables
        is_other = self.is_other or bool(variables)
        if self.gtid and not gtids:
            variables = [*variables, ("last_gtid", self.gtid)]
        blocks = tail_of(gtids) if gtids and not is_other else b""
        if blocks and self.schema is None and self.characteristics is None:
            return blocks
        entries = [_entry(_VARIABLES, _pair(*each)) for each in variables]
        if self.schema is not None:
            entries.append(_entry(_SCHEMA, _string(self.schema)))
        if is_other:
            entries.append(_entry(_CHANGED, b"\x011"))
        if gtids:
            entries.append(_entry(_GTIDS, b"\x00" + _string(gtids)))
        if self.characteristics is not None:
            entries.append(_entry(_CHARACTERISTICS, _string(self.characteristics)))
        return _tail(entries)


@lru_cache(512)
def tail_of(gtids: str) -> bytes:
    """Return the end of a packet that tells MySQL's GTIDs and nothing else."""
    return _tail([_entry(_GTIDS, b"\x00" + _string(gtids))])


def _tail(entries: Iterable[bytes]) -> bytes:
    block = b"".join(entries)
    return b"\x00" + _lenenc(len(block)) + block if block else b""


def _entry(kind: int, data: bytes) -> bytes:
    return bytes([kind]) + _lenenc(len(data)) + data


def _pair(name: str, value: str) -> bytes:
    return _string(name) + _string(value)


def _string(text: str) -> bytes:
    data = text.encode()
    return _lenenc(len(data)) + data


def _lenenc(number: int) -> bytes:
    return bytes([number]) if number < 0xFB else b"\xfc" + number.to_bytes(2, "little")
