"""What the simulated applications have written, and what may be committed of it, and how."""

from __future__ import annotations

from collections.abc import Iterable

from .broken import Broken
from .table import Writes

__all__ = ["Ledger"]


class Ledger:
    """Every write has a value of its own; so whatever is committed tells whose it is."""

    def __init__(self) -> None:
        self._count = 0
        self._may: dict[int, frozenset[int]] = {}
        """By value, with which others it may be committed now."""
        self.committed: dict[int, int] = {}
        """By value, the transaction that has it, as a bit."""
        self.acknowledged = 0
        """The transactions that an application was told of, as bits."""

    def new_value(self) -> int:
        """Return a value that was never written."""
        self._count += 1
        return self._count

    def allow(self, values: Iterable[int]) -> None:
        """Let these be committed, all together."""
        whole = frozenset(values)
        for value in whole:
            self._may[value] = whole

    def note_commit(self, writes: Writes, bit: int) -> None:
        """Take in what a server commits: once, whole, and only what was asked for."""
        values = {value for _, value in writes}
        for value in sorted(values):
            if value in self.committed:
                raise Broken("twice", f"write {value} is committed again")
            whole = self._may.get(value)
            if whole is None:
                raise Broken("half", f"write {value} is committed, and nobody asked for that")
            if whole != values:
                known, found = sorted(whole), sorted(values)
                raise Broken("half", f"{found} are committed of a transaction of {known}")
        self.committed.update(dict.fromkeys(values, bit))

    def bits_of(self, values: Iterable[int]) -> int:
        """Return the transactions that have these, so far as they are committed."""
        bits = 0
        for value in values:
            bits |= self.committed.get(value, 0)
        return bits

    def acknowledge(self, values: Iterable[int]) -> int:
        """Take in that an application was told that these are committed; returns them as bits."""
        for value in values:
            if value not in self.committed:
                raise Broken("acknowledged", f"write {value} is told to be committed, and is not")
        bits = self.bits_of(values)
        self.acknowledged |= bits
        return bits

    def forbid(self, values: Iterable[int]) -> None:
        """Take in that an application was told that these are not committed, and never will be."""
        for value in values:
            if value in self.committed:
                raise Broken("outcome", f"write {value} is told to have failed, and is committed")
            self._may.pop(value, None)
