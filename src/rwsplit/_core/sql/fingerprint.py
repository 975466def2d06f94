"""What a read answered, kept short: enough to tell whether its repetition answers the same."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

__all__ = ["Fingerprint"]

_BYTES = 16
_MODULUS = 1 << 8 * _BYTES


class Fingerprint:
    """The rows of one result, as the server sent them.

    Rows of a statement without ORDER BY may come in any order, so their hashes are added up.

    >>> one, other = Fingerprint(ordered=False), Fingerprint(ordered=False)
    >>> for row in (b"a", b"b"): one.add(row)
    >>> for row in (b"b", b"a"): other.add(row)
    >>> one.same_as(other)
    True
    """

    __slots__ = ("_chain", "_sum", "columns", "is_stream", "is_whole", "ordered", "rows", "size")

    def __init__(self, ordered: bool) -> None:
        self.ordered = ordered
        self.rows = 0
        self.size = 0
        """Bytes of all rows."""
        self.columns: tuple[Any, ...] = ()
        """The result's description."""
        self.is_stream = False
        """The application takes its rows one by one."""
        self.is_whole = True
        """False until the last row of a stream has come."""
        self._sum = 0
        self._chain = blake2b(digest_size=_BYTES)

    def __repr__(self) -> str:
        return f"<Fingerprint of {self.rows} rows, {self.size} bytes>"

    def add(self, row: bytes) -> None:
        """Take in one row."""
        self.rows += 1
        self.size += len(row)
        if self.ordered:
            self._chain.update(b"%d:" % len(row))
            self._chain.update(row)
        else:
            digest = blake2b(row, digest_size=_BYTES).digest()
            self._sum = (self._sum + int.from_bytes(digest)) % _MODULUS

    def same_as(self, other: Fingerprint) -> bool:
        """Tell whether another result has the same columns and the same rows."""
        return (
            self.rows == other.rows
            and self.size == other.size
            and self.columns == other.columns
            and self._sum == other._sum
            and self._chain.digest() == other._chain.digest()
        )
