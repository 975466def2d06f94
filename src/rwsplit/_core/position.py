"""Positions: points in the replication stream, as sets of transactions.

A MySQL position is a GTID set: intervals of transaction numbers by the UUID of the server that made
them, and by tag (MySQL manual, "GTID Format and Storage"). A MariaDB position is a GTID list: by
replication domain, the last transaction seen, by whichever server (MariaDB knowledge base, "Global
Transaction ID"). Both are immutable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["GtidList", "GtidSet", "Position", "empty", "lineage", "parse_position"]

_LARGEST = 2**63 - 2
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TAG = re.compile(r"[a-z_][a-z0-9_]{0,31}")
_INTERVAL = re.compile(r"([0-9]{1,19})(?:-([0-9]{1,19}))?")

_Interval = tuple[int, int]
_Intervals = tuple[_Interval, ...]


class GtidSet:
    """A set of MySQL transactions.

    >>> a = GtidSet.parse("3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5:8")
    >>> b = GtidSet.parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:6-7")
    >>> str(a | b)
    '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-8'
    >>> a.covers(b), (a | b).covers(a)
    (False, True)
    """

    __slots__ = ("_hash", "_sources")
    flavor = "mysql"

    def __init__(self, sources: dict[str, _Intervals] | None = None) -> None:
        # By "uuid" or "uuid:tag": disjoint, not adjacent, ascending intervals, ends included.
        self._sources: dict[str, _Intervals] = sources or {}
        self._hash: int | None = None

    @classmethod
    def parse(cls, text: str | bytes) -> GtidSet:
        """Read a GTID set as a server prints it; raises ValueError for anything else."""
        return cls(_parse_set(_as_text(text)))

    def __str__(self) -> str:
        by_uuid: dict[str, list[str]] = {}
        for source in sorted(self._sources):
            uuid, _, tag = source.partition(":")
            parts = by_uuid.setdefault(uuid, [])
            if tag:
                parts.append(tag)
            parts += [_print_interval(pair) for pair in self._sources[source]]
        return ",".join(f"{uuid}:{':'.join(parts)}" for uuid, parts in by_uuid.items())

    def __repr__(self) -> str:
        return f"GtidSet({str(self)!r})"

    def __bool__(self) -> bool:
        return bool(self._sources)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GtidSet) and self._sources == other._sources

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._sources.items()))
        return self._hash

    def __or__(self, other: Position) -> GtidSet:
        theirs = _same(self, other)._sources
        if not theirs:
            return self
        if not self._sources:
            return other  # type: ignore[return-value]
        merged = dict(self._sources)
        for source, intervals in theirs.items():
            mine = merged.get(source)
            merged[source] = intervals if mine is None else _merge((*mine, *intervals))
        return GtidSet(merged)

    def covers(self, other: Position) -> bool:
        """Tell whether this set has every transaction of the other."""
        mine = self._sources
        for source, intervals in _same(self, other)._sources.items():
            have = mine.get(source)
            if have is None or not _covers(have, intervals):
                return False
        return True

    def subtract(self, other: Position) -> GtidSet:
        """Return the transactions of this set that the other has not."""
        theirs = _same(self, other)._sources
        left = {}
        for source, intervals in self._sources.items():
            rest = _subtract(intervals, theirs.get(source, ()))
            if rest:
                left[source] = rest
        return GtidSet(left)

    def overlaps(self, other: Position) -> bool:
        """Tell whether the two have a transaction in common."""
        return self.subtract(other) != self


class GtidList:
    """A MariaDB position: by replication domain, the last transaction and its server.

    Within a domain transactions have one order, whichever server made them, so a later number
    covers an earlier one. (That is also how MASTER_GTID_WAIT compares.)

    >>> GtidList.parse("0-1-7,5-2-3").covers(GtidList.parse("0-9-6"))
    True
    """

    __slots__ = ("_domains",)
    flavor = "mariadb"

    def __init__(self, domains: dict[int, dict[int, int]] | None = None) -> None:
        # By domain, by server id, the number; several servers only in a gtid_binlog_state.
        self._domains: dict[int, dict[int, int]] = domains or {}

    @classmethod
    def parse(cls, text: str | bytes) -> GtidList:
        """Read a GTID list as a server prints it; raises ValueError for anything else."""
        domains: dict[int, dict[int, int]] = {}
        for part in _as_text(text).split(","):
            fields = part.strip().split("-")
            if fields == [""]:
                continue
            if len(fields) != 3 or not all(f.isascii() and f.isdigit() for f in fields):
                raise ValueError(f"no MariaDB GTID: {part[:80]!r}")
            domain, server, number = (int(field) for field in fields)
            if domain >= 2**32 or server >= 2**32 or number >= 2**64:
                raise ValueError(f"a number of this MariaDB GTID is too large: {part[:80]!r}")
            servers = domains.setdefault(domain, {})
            servers[server] = max(number, servers.get(server, 0))
        return cls(domains)

    def __str__(self) -> str:
        return ",".join(
            f"{domain}-{server}-{number}"
            for domain, servers in sorted(self._domains.items())
            for server, number in [max(servers.items(), key=lambda item: item[1])]
        )

    def __repr__(self) -> str:
        return f"GtidList({str(self)!r})"

    def __bool__(self) -> bool:
        return bool(self._domains)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GtidList) and self._domains == other._domains

    def __hash__(self) -> int:
        return hash(str(self))

    def _last(self, domain: int) -> int:
        servers = self._domains.get(domain)
        return max(servers.values()) if servers else 0

    def __or__(self, other: Position) -> GtidList:
        theirs = _same_list(self, other)
        merged = {domain: dict(servers) for domain, servers in self._domains.items()}
        for domain, servers in theirs._domains.items():
            if domain not in merged or theirs._last(domain) > self._last(domain):
                merged[domain] = dict(servers)
        return GtidList(merged)

    def covers(self, other: Position) -> bool:
        """Tell whether this position is at or behind the other in every domain of it."""
        theirs = _same_list(self, other)
        return all(self._last(domain) >= theirs._last(domain) for domain in theirs._domains)

    def subtract(self, other: Position) -> GtidList:
        """Return the domains in which this position is ahead of the other."""
        theirs = _same_list(self, other)
        return GtidList(
            {
                domain: servers
                for domain, servers in self._domains.items()
                if self._last(domain) > theirs._last(domain)
            }
        )

    def knows(self, other: GtidList) -> bool:
        """Tell whether a server with this binary log state may have made the other's entries."""
        return any(
            number <= self._domains.get(domain, {}).get(server, 0)
            for domain, servers in other._domains.items()
            for server, number in servers.items()
        )


Position = GtidSet | GtidList


def empty(flavor: str) -> Position:
    """Return the position before the first transaction."""
    return GtidSet() if flavor == "mysql" else GtidList()


def parse_position(flavor: str, text: str | bytes) -> Position:
    """Read a position as a server of this flavor prints it."""
    return GtidSet.parse(text) if flavor == "mysql" else GtidList.parse(text)


def lineage(primary: Position, replica: Position) -> bool:
    """Tell whether a server at `replica` has transactions of the primary's history.

    An empty position is satisfied by any server, so one that shares nothing is not trusted.
    """
    if isinstance(primary, GtidSet):
        return isinstance(replica, GtidSet) and primary.overlaps(replica)
    return isinstance(replica, GtidList) and primary.knows(replica)


def _as_text(text: str | bytes) -> str:
    return text.decode("latin-1") if isinstance(text, bytes) else text


def _same(one: GtidSet, other: Position) -> GtidSet:
    if not isinstance(other, GtidSet):
        raise TypeError(f"{one!r} and {other!r} are positions of different flavors")
    return other


def _same_list(one: GtidList, other: Position) -> GtidList:
    if not isinstance(other, GtidList):
        raise TypeError(f"{one!r} and {other!r} are positions of different flavors")
    return other


def _parse_set(text: str) -> dict[str, _Intervals]:
    found: dict[str, list[_Interval]] = {}
    for entry in text.split(","):
        uuid, *parts = [part.strip() for part in entry.lower().split(":")]
        if not uuid and not parts:
            continue
        if not _UUID.fullmatch(uuid) or not parts:
            raise ValueError(f"no GTID set: {entry[:80]!r}")
        source = uuid
        for part in parts:
            pair = _INTERVAL.fullmatch(part)
            if pair is not None:
                found.setdefault(source, []).append(_interval(pair, entry))
            elif _TAG.fullmatch(part):
                source = f"{uuid}:{part}"
            else:
                raise ValueError(f"no GTID set: {part[:80]!r} in {entry[:80]!r}")
    return {source: _merge(intervals) for source, intervals in found.items()}


def _interval(pair: re.Match[str], entry: str) -> _Interval:
    first = int(pair[1])
    last = int(pair[2] or first)
    if not 0 < first <= last <= _LARGEST:
        raise ValueError(f"no GTID set: the interval {pair[0]} in {entry[:80]!r}")
    return first, last


def _print_interval(pair: _Interval) -> str:
    first, last = pair
    return str(first) if first == last else f"{first}-{last}"


def _merge(intervals: Iterable[_Interval]) -> _Intervals:
    ordered = sorted(intervals)
    merged = [ordered[0]]
    for first, last in ordered[1:]:
        before = merged[-1]
        if first <= before[1] + 1:
            if last > before[1]:
                merged[-1] = (before[0], last)
        else:
            merged.append((first, last))
    return tuple(merged)


def _covers(have: _Intervals, wanted: _Intervals) -> bool:
    at = 0
    for first, last in wanted:
        while at < len(have) and have[at][1] < first:
            at += 1
        if at == len(have) or have[at][0] > first or have[at][1] < last:
            return False
    return True


def _subtract(intervals: _Intervals, minus: _Intervals) -> _Intervals:
    left: list[_Interval] = []
    at = 0
    for start, last in intervals:
        first = start
        while at < len(minus) and minus[at][1] < first:
            at += 1
        look = at
        while look < len(minus) and minus[look][0] <= last:
            if minus[look][0] > first:
                left.append((first, minus[look][0] - 1))
            first = minus[look][1] + 1
            look += 1
        if first <= last:
            left.append((first, last))
    return tuple(left)
