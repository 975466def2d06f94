"""The columns of results: what comes before rows, and the same statement brings the same again.

A head is the packet with the number of columns and one packet for each. They are parsed once: as
long as the bytes are the same, so is what they say.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pymysql.connections import TEXT_TYPES
from pymysql.constants import FIELD_TYPE
from pymysql.converters import through
from pymysql.protocol import FieldDescriptorPacket

__all__ = ["BINARY_CHARSET", "COUNT_PACKET", "Columns", "Head"]

BINARY_CHARSET = 63
COUNT_PACKET = 5
"""The bytes of the packet with a number of columns that is below 251: four before the number."""
_MOST_FIELDS, _MOST_HEADS = 1000, 64
_LONGEST_HEAD = 4096
_Column = tuple["str | None", Any]


class Head(NamedTuple):
    """What was made of a head."""

    data: bytes
    """As it came, numbers of the packets included."""
    number: int
    """The sequence number of the packet behind it."""
    fields: list[FieldDescriptorPacket]
    converters: list[_Column]
    description: tuple[Any, ...]


class Columns:
    """The columns that were seen under one encoding and with one choice of converters.

    :param decoders: PyMySQL's, by type; they are taken as they are now.
    """

    __slots__ = ("_decoders", "_encoding", "_fields", "_heads", "_use_unicode")

    def __init__(self, encoding: str, use_unicode: bool, decoders: dict[int, Any]) -> None:
        self._encoding = encoding
        self._use_unicode = use_unicode
        self._decoders = decoders.copy()
        self._fields: dict[bytes, tuple[FieldDescriptorPacket, Any, _Column]] = {}
        self._heads: dict[bytes, Head] = {}

    def are_for(self, encoding: str, use_unicode: bool, decoders: dict[int, Any]) -> bool:
        """Tell whether they are what a connection makes of columns now."""
        return (
            encoding == self._encoding
            and use_unicode == self._use_unicode
            and decoders == self._decoders
        )

    def head(self, data: bytes, at: int) -> Head | None:
        """Return the head that begins there, if it is whole and known."""
        # The first column's packet finds the few that it can be.
        end = at + 4 + COUNT_PACKET + int.from_bytes(data[at + 5 : at + 7], "little")
        head = self._heads.get(data[at:end])
        return head if head is not None and data.startswith(head.data, at) else None

    def keep(self, head: Head) -> None:
        """Keep a head, unless it is long."""
        data = head.data
        if len(data) <= _LONGEST_HEAD:
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            self._heads[data[: 4 + COUNT_PACKET + int.from_bytes(data[5:7], "little")]] = head

    def field(self, data: bytes) -> tuple[FieldDescriptorPacket, Any, _Column]:
        """Parse a column's packet; returns its description and converter with it."""
        known = self._fields.get(data)
        if known is None:
            field = FieldDescriptorPacket(data, self._encoding)
            converter = self._decoders.get(field.type_code)
            encoding = self._encoding if self._use_unicode else None
            column = _column_encoding(field, encoding), None if converter is through else converter
            if len(self._fields) >= _MOST_FIELDS:
                self._fields.clear()
            known = self._fields[data] = field, field.description(), column
        return known


def _column_encoding(field: FieldDescriptorPacket, encoding: str | None) -> str | None:
    """Tell how a column's bytes become text; None leaves them bytes (PyMySQL's own rule)."""
    if encoding is None or field.type_code == FIELD_TYPE.JSON:
        return encoding
    if field.type_code not in TEXT_TYPES:
        return "ascii"
    return None if field.charsetnr == BINARY_CHARSET else encoding
