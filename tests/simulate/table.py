"""The model's one table: what its rows are for who sees certain transactions."""

from __future__ import annotations

__all__ = ["ROWS", "Table", "Writes"]

ROWS = 4
Writes = tuple[tuple[int, int], ...]
"""By row, the value that a transaction leaves there."""


class Table:
    """All values that its rows ever had, by the transaction that wrote them."""

    def __init__(self) -> None:
        self._masks = [0] * (ROWS + 1)
        self._values: dict[tuple[int, int], int] = {}

    def note(self, bit: int, writes: Writes) -> None:
        """Note what a transaction has written."""
        for row, value in writes:
            self._masks[row] |= bit
            self._values[bit.bit_length(), row] = value

    def value(self, mask: int, row: int) -> int:
        """Return the value of a row for who sees these transactions; 0 where none wrote it."""
        last = (mask & self._masks[row]).bit_length()
        return self._values[last, row] if last else 0

    def rows(self, mask: int, own: Writes, row: int | None) -> tuple[tuple[int, int], ...]:
        """Return one row, or all, with what is written there and not committed yet."""
        mine = dict(own)
        wanted = range(1, ROWS + 1) if row is None else (row,)
        return tuple([(n, mine[n] if n in mine else self.value(mask, n)) for n in wanted])
