"""What a server has, as it prints that: the model's own arithmetic, not rwsplit's.

A transaction is one bit. So all that a read saw is one number, and "no less than before" is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

__all__ = ["Commit", "Has", "Wanted", "parse_wanted"]

Wanted = tuple[tuple[str, int, int], ...]
"""By source (MySQL) or domain (MariaDB), which numbers: first and last."""


class Commit(NamedTuple):
    """One transaction."""

    bit: int
    source: str
    """MySQL: the UUID of the server that made it. MariaDB: its server id."""
    number: int


class Has:
    """The transactions that one server has, in the order in which it has applied them."""

    __slots__ = ("_bounds", "_text", "flavor", "log", "logged", "mask")

    def __init__(self, flavor: str, log: Iterable[Commit] = ()) -> None:
        self.flavor = flavor
        self.mask = 0
        self.log: list[Commit] = []
        self.logged: dict[str, int] = {}
        """MariaDB: by server id, the last one in the binary log."""
        self._bounds: dict[str, list[list[int]]] = {}
        self._text: str | None = None
        for commit in log:
            self.add(commit)

    def add(self, commit: Commit) -> None:
        """Have one more."""
        self.mask |= commit.bit
        self.log.append(commit)
        source, number = commit.source, commit.number
        self.logged[source] = max(number, self.logged.get(source, 0))
        self._text = None
        bounds = self._bounds.get(source)
        if bounds is None:
            self._bounds[source] = [[number, number]]
            return
        if bounds[-1][1] + 1 == number:
            bounds[-1][1] = number
            return
        bounds.append([number, number])
        bounds.sort()
        joined = bounds[:1]
        for first, last in bounds[1:]:
            if first <= joined[-1][1] + 1:
                joined[-1][1] = max(last, joined[-1][1])
            else:
                joined.append([first, last])
        self._bounds[source] = joined

    @property
    def text(self) -> str:
        """`gtid_executed`, or `gtid_slave_pos`."""
        if self._text is None:
            if self.flavor == "mariadb":
                last = self.log[-1] if self.log else None
                self._text = f"0-{last.source}-{last.number}" if last else ""
            else:
                self._text = ",".join(
                    source + "".join(f":{first}-{last}" for first, last in bounds)
                    for source, bounds in sorted(self._bounds.items())
                )
        return self._text

    @property
    def history(self) -> str:
        """`gtid_executed`, or `gtid_binlog_state` and `gtid_slave_pos`."""
        if self.flavor == "mysql":
            return self.text
        logged = [f"0-{source}-{number}" for source, number in sorted(self.logged.items())]
        return ",".join([*logged, self.text] if self.text else logged)

    @property
    def last_number(self) -> int:
        """MariaDB: the number of the last one, whoever made it."""
        return self.log[-1].number if self.log else 0

    def covers(self, wanted: Wanted) -> bool:
        """Tell whether a wait for this is over."""
        if self.flavor == "mariadb":
            return all(self.last_number >= last for _, _, last in wanted)
        for source, first, last in wanted:
            bounds = self._bounds.get(source, ())
            if not any(low <= first and last <= high for low, high in bounds):
                return False
        return True


@lru_cache(4096)
def parse_wanted(text: str) -> Wanted:
    """Read what is waited for."""
    found = []
    for entry in filter(None, text.split(",")):
        if entry.count(":"):
            source, *intervals = entry.split(":")
            for interval in intervals:
                first, _, last = interval.partition("-")
                found.append((source, int(first), int(last or first)))
        else:
            domain, _, number = entry.split("-")
            found.append((domain, 1, int(number)))
    return tuple(found)
