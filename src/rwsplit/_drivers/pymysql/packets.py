"""The OK packet, read at once: PyMySQL reads it field by field, and every write has one."""

from __future__ import annotations

import struct

from ..._core.tracking import read_lenenc

__all__ = ["STATUS_AND_WARNINGS", "read_ok"]

STATUS_AND_WARNINGS = struct.Struct("<HH")


def read_ok(data: bytes) -> tuple[int, int, int, int, bytes]:
    """Return what an OK packet says: rows, insert id, status, warnings, and the tail behind them.

    >>> read_ok(bytes([0, 1, 9, 2, 0, 0, 0]))
    (1, 9, 2, 0, b'')
    """
    rows, insert_id, at = data[1], data[2], 3
    if rows >= _LONGER or insert_id >= _LONGER:
        rows, at = read_lenenc(data, 1)
        insert_id, at = read_lenenc(data, at)
    status, warnings = STATUS_AND_WARNINGS.unpack_from(data, at)
    return rows, insert_id, status, warnings, data[at + 4 :]


_LONGER = 0xFB
"""From this first byte on a number takes more than that one byte."""
