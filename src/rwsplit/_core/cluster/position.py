"""Positions: points in the replication stream, as sets of transactions.

A MySQL position is a GTID set: intervals of transaction numbers by the UUID of the server that made
them, and by tag (MySQL manual, "GTID Format and Storage", its sections "GTID Sets" and "Tagged
GTIDs"). A MariaDB position is a GTID list: by replication domain, the last transaction seen and the
server that made it (MariaDB knowledge base, "Global Transaction ID"). What a MariaDB primary has
ever logged, by server, is its binlog state (same page, "gtid_binlog_state").

All are immutable values. `|` and `covers` make positions a join semilattice: `a | b` is the least
position that covers both, and returns `a` itself where that is `a`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from operator import lt

from ..setup.problems import shown

__all__ = [
    "BinlogState",
    "GtidList",
    "GtidSet",
    "History",
    "Position",
    "beyond",
    "decode",
    "empty",
    "encode",
    "includes",
    "intersection",
    "join_positions",
    "lineage",
    "parse_commits",
    "parse_history",
    "parse_position",
    "strange",
    "whole",
    "within",
]

# The first end that no MySQL interval reaches: the largest number is 2**63 - 2 (GTID Format).
_MYSQL_END = 2**63 - 1
_U32 = 2**32
_U64 = 2**64

# Servers take blanks between all parts of a set, and print a newline behind each comma.
_BLANKS = " \t\n\v\f\r"
_UUID_TEXT = r"\s*([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})\s*"
_INTERVAL_TEXT = r"\s*([0-9]{1,19})\s*(?:-\s*([0-9]{1,19})\s*)?"
_UUID = re.compile(_UUID_TEXT, re.ASCII)
_INTERVAL = re.compile(_INTERVAL_TEXT, re.ASCII)
_SINGLE = re.compile(f"{_UUID_TEXT}:{_INTERVAL_TEXT}", re.ASCII)
_TAG = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_]{0,31})\s*", re.ASCII)
_TRIPLE = re.compile(r"\s*([0-9]{1,10})-([0-9]{1,10})-([0-9]{1,20})\s*", re.ASCII)

_Bounds = tuple[int, ...]
"""Disjoint intervals that do not touch, flat and half-open: (start, end, start, end, ...), strictly
ascending. A number is inside where an odd count of bounds lies at or below it, so one bisection
finds it."""

_Last = tuple[int, tuple[int, ...]]
"""The last transaction of a domain: its number, and who made it. Two servers stand there only when
they made different transactions of one number, which is a parted history: see GtidList."""


class GtidSet:
    """A set of MySQL transactions.

    >>> a = GtidSet.parse("3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5:8")
    >>> b = GtidSet.parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:6-7")
    >>> str(a | b)
    '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-8'
    >>> a.covers(b), (a | b).covers(a), a in (a | b)
    (False, True, True)
    >>> str(a - GtidSet.parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:3-8"))
    '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-2'
    """

    __slots__ = ("_hash", "_sources", "_text")
    flavor = "mysql"

    def __init__(self, sources: dict[str, _Bounds] | None = None) -> None:
        # By "uuid" or "uuid:tag": numbers of different tags have nothing to do with each other.
        self._sources: dict[str, _Bounds] = sources or {}
        self._hash: int | None = None
        self._text: str | None = None

    @classmethod
    def parse(cls, text: str | bytes) -> GtidSet:
        """Read a GTID set as servers print it, in any order and case; raises ValueError."""
        if isinstance(text, bytes):
            text = text.decode("latin-1")
        single = _SINGLE.fullmatch(text)
        if single is not None:
            uuid, first, last = single.groups()
            return cls({uuid.lower(): _interval(first, last)})
        return cls(_parse_sources(text))

    def __str__(self) -> str:
        """Print it as a server does, without newlines."""
        if self._text is None:
            self._text = self._printed()
        return self._text

    def _printed(self) -> str:
        by_uuid: dict[str, list[str]] = {}
        for source in sorted(self._sources):
            uuid, _, tag = source.partition(":")
            parts = by_uuid.setdefault(uuid, [uuid])
            if tag:
                parts.append(tag)
            for start, end in _pairs(self._sources[source]):
                parts.append(str(start) if start + 1 == end else f"{start}-{end - 1}")
        return ",".join([":".join(parts) for parts in by_uuid.values()])

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

    def covers(self, other: Position) -> bool:
        """Tell whether this set has every transaction of the other."""
        if other is self:
            return True
        if not isinstance(other, GtidSet):
            raise _flavors_differ(self, other)
        mine = self._sources
        for source, wanted in other._sources.items():
            have = mine.get(source)
            if have is None:
                return False
            if len(have) == 2:
                if have[0] > wanted[0] or have[1] < wanted[-1]:
                    return False
            elif not (_has_grown(wanted, have) or _covers(have, wanted)):
                return False
        return True

    __contains__ = covers

    def union(self, other: Position) -> GtidSet:
        """Return the transactions of both."""
        if other is self:
            return self
        if not isinstance(other, GtidSet):
            raise _flavors_differ(self, other)
        mine = self._sources
        if not mine and other:
            return other
        merged, all_theirs = mine, True
        for source, added in other._sources.items():
            have = mine.get(source)
            joined = added if have is None else _union(have, added)
            if joined is not have:
                if merged is mine:
                    merged = mine.copy()
                merged[source] = joined
            all_theirs = all_theirs and (joined is added or joined == added)
        if merged is mine:
            return self
        return other if all_theirs and len(merged) == len(other._sources) else GtidSet(merged)

    __or__ = union

    def subtract(self, other: Position) -> GtidSet:
        """Return the transactions of this set that the other has not."""
        if not isinstance(other, GtidSet):
            raise _flavors_differ(self, other)
        left = {}
        for source, bounds in self._sources.items():
            minus = other._sources.get(source)
            # The complement, in the same form: 0 is below every number, _MYSQL_END + 1 above.
            rest = _common(bounds, (0, *minus, _MYSQL_END + 1)) if minus else bounds
            if rest:
                left[source] = rest
        return GtidSet(left)

    __sub__ = subtract

    def intersection(self, other: Position) -> GtidSet:
        """Return the transactions that both have."""
        if not isinstance(other, GtidSet):
            raise _flavors_differ(self, other)
        theirs = other._sources
        common = {s: _common(b, theirs[s]) for s, b in self._sources.items() if s in theirs}
        return GtidSet({source: bounds for source, bounds in common.items() if bounds})

    __and__ = intersection

    @property
    def pieces(self) -> int:
        """How many intervals it takes to write it down."""
        return sum(map(len, self._sources.values())) // 2

    def filled(self, near: Position | None) -> GtidSet:
        """Return this with its gaps closed where another position has what is missing there.

        >>> known = GtidSet.parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-6")
        >>> str(GtidSet.parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:2:5:9").filled(known))
        '3e11fa47-71ca-11e1-9e33-c80aa9429562:2-6:9'
        """
        if not isinstance(near, GtidSet):
            return self
        between = {
            source: _common(near._sources[source], (bounds[0], bounds[-1]))
            for source, bounds in self._sources.items()
            if len(bounds) > 2 and source in near._sources
        }
        return self.union(GtidSet({source: found for source, found in between.items() if found}))

    def spanned(self) -> GtidSet:
        """Return this with all of its gaps closed: of each source, the first to the last."""
        return GtidSet({source: (each[0], each[-1]) for source, each in self._sources.items()})

    def without(self, uuid: str) -> GtidSet:
        """Return what other servers than this one made.

        >>> set = GtidSet.parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:tag:1")
        >>> set.without("3E11FA47-71CA-11E1-9E33-C80AA9429562")
        GtidSet('')
        """
        own = uuid.lower()
        left = {s: bounds for s, bounds in self._sources.items() if s.partition(":")[0] != own}
        return self if len(left) == len(self._sources) else GtidSet(left)


class GtidList:
    """A MariaDB position: by replication domain, the last transaction and its server.

    Within a domain transactions have one order, whichever servers made them, so a higher number
    covers a lower one: after a failover another server goes on counting. MASTER_GTID_WAIT compares
    only numbers, too. But *one* number by *two* servers means two different transactions: neither
    covers the other, here, and their union keeps both until the domain has gone past them.

    >>> GtidList.parse("0-9-101,5-2-3").covers(GtidList.parse("0-1-100"))
    True
    >>> GtidList.parse("0-9-100").covers(GtidList.parse("0-1-100"))
    False
    >>> str(GtidList.parse("0-9-100,7-1-1") | GtidList.parse("0-1-101"))
    '0-1-101,7-1-1'

    Read a replica's from `gtid_slave_pos`: a transaction of the replica's own shows in
    `gtid_current_pos` and `gtid_binlog_pos` with a higher number than it has caught up with.
    """

    __slots__ = ("_domains",)
    flavor = "mariadb"

    def __init__(self, domains: dict[int, _Last] | None = None) -> None:
        self._domains: dict[int, _Last] = domains or {}

    @classmethod
    def parse(cls, text: str | bytes) -> GtidList:
        """Read a GTID list; raises ValueError. Of several in one domain the last one counts."""
        gtids = _gtids(text)
        if len(gtids) == 1:
            ((domain, server, number),) = gtids
            return cls({domain: (number, (server,))} if number else None)
        last: dict[int, tuple[int, list[int]]] = {}
        for domain, server, number in gtids:
            reached, servers = last.get(domain, (0, []))
            if number > reached:
                last[domain] = (number, [server])
            elif number == reached:
                servers.append(server)  # of number 0, the place before the first: thrown away
        return cls({d: (n, tuple(sorted({*servers}))) for d, (n, servers) in last.items()})

    def __str__(self) -> str:
        return ",".join([f"{d}-{server}-{number}" for d, server, number in self])

    def __repr__(self) -> str:
        return f"GtidList({str(self)!r})"

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """The last transactions as (domain, server, number), by domain."""
        for domain, (number, servers) in sorted(self._domains.items()):
            for server in servers:
                yield domain, server, number

    @property
    def pieces(self) -> int:
        """How many transactions it takes to write it down."""
        return len(self._domains)

    def filled(self, near: Position | None) -> GtidList:
        """Return this: it has no gaps."""
        return self

    def spanned(self) -> GtidList:
        """Return this: it has no gaps."""
        return self

    def __bool__(self) -> bool:
        return bool(self._domains)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GtidList) and self._domains == other._domains

    def __hash__(self) -> int:
        return hash(frozenset(self._domains.items()))

    def covers(self, other: Position) -> bool:
        """Tell whether a server here has everything that one there has."""
        if other is self:
            return True
        if not isinstance(other, GtidList):
            raise _flavors_differ(self, other)
        mine = self._domains
        for domain, wanted in other._domains.items():
            have = mine.get(domain)
            if have is None or have[0] < wanted[0]:
                return False
            if have[0] == wanted[0] and have[1] != wanted[1] and {*wanted[1]} - {*have[1]}:
                return False
        return True

    __contains__ = covers

    def union(self, other: Position) -> GtidList:
        """Return the least position that covers both."""
        if other is self:
            return self
        if not isinstance(other, GtidList):
            raise _flavors_differ(self, other)
        mine = self._domains
        if not mine and other:
            return other
        merged, all_theirs = mine, True
        for domain, theirs in other._domains.items():
            have = mine.get(domain)
            last = theirs if have is None else _later(have, theirs)
            if last is not have:
                if merged is mine:
                    merged = mine.copy()
                merged[domain] = last
            all_theirs = all_theirs and (last is theirs or last == theirs)
        if merged is mine:
            return self
        return other if all_theirs and len(merged) == len(other._domains) else GtidList(merged)

    __or__ = union

    def subtract(self, other: Position) -> GtidList:
        """Return where this position is ahead of the other."""
        if not isinstance(other, GtidList):
            raise _flavors_differ(self, other)
        left = {}
        for domain, (number, servers) in self._domains.items():
            passed, known = other._domains.get(domain, (0, ()))
            ahead = tuple([s for s in servers if s not in known]) if passed == number else servers
            if ahead and number >= passed:
                left[domain] = (number, ahead)
        return GtidList(left)

    __sub__ = subtract


class BinlogState:
    """What a MariaDB server has logged: by domain and server, the last transaction.

    Unlike a position it tells a transaction that was lost in a failover from one that was not.

    >>> state = BinlogState.parse("0-1-99,0-2-120")
    >>> state.covers(GtidList.parse("0-1-99")), state.covers(GtidList.parse("0-1-100"))
    (True, False)

    A server that was set up from a copy has not logged what came before: add its `gtid_slave_pos`.
    """

    __slots__ = ("_last",)
    flavor = "mariadb"

    def __init__(self, last: dict[tuple[int, int], int] | None = None) -> None:
        self._last: dict[tuple[int, int], int] = last or {}

    @classmethod
    def parse(cls, text: str | bytes) -> BinlogState:
        """Read `gtid_binlog_state`, or any list of GTIDs; raises ValueError."""
        return cls(_highest(_gtids(text)))

    def __str__(self) -> str:
        return ",".join([f"{d}-{server}-{n}" for (d, server), n in sorted(self._last.items())])

    def __repr__(self) -> str:
        return f"BinlogState({str(self)!r})"

    def __bool__(self) -> bool:
        return bool(self._last)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BinlogState) and self._last == other._last

    def __hash__(self) -> int:
        return hash(frozenset(self._last.items()))

    def covers(self, position: Position) -> bool:
        """Tell whether every last transaction of a position was logged here."""
        if not isinstance(position, GtidList):
            raise _flavors_differ(self, position)
        return all(self._last.get((d, server), 0) >= n for d, server, n in position)

    def includes(self, other: BinlogState) -> bool:
        """Tell whether everything that another server has logged was logged here."""
        return all(self._last.get(key, 0) >= n for key, n in other._last.items())

    def joined(self, position: GtidList) -> BinlogState:
        """Return this with a position: what a server has that logged one and is at the other.

        One that was set up from a copy has not logged what came before.
        """
        last = self._last.copy()
        for domain, server, number in position:
            last[domain, server] = max(number, last.get((domain, server), 0))
        return BinlogState(last)

    def beyond(self, other: BinlogState, position: GtidList, own: int | None) -> BinlogState:
        """Return what a server has that logged `other` and is at `position`, and this one lacks.

        `own` is that server's id: what it made itself (FLUSH, ANALYZE) is not counted, unless this
        one knows it as a primary of before. A place in the log that is below all that this one has
        is from before this one was set up.
        """
        mine = self._last
        highest: dict[int, int] = {}
        for (domain, _), number in mine.items():
            highest[domain] = max(number, highest.get(domain, 0))
        beyond = {}
        for (domain, server), number in other._last.items():
            known = mine.get((domain, server))
            if known is None and (server == own or number <= highest.get(domain, -1)):
                continue
            if (known or 0) < number:
                beyond[domain, server] = number
        for domain, server, number in position:
            # A replica goes on from here, so its source must have been here.
            known = mine.get((domain, server))
            if (known or 0) < number and not (known is None and server == own):
                beyond[domain, server] = number
        return BinlogState(beyond)

    def may_lack(self, position: GtidList, own: int | None) -> bool:
        """Tell whether a last transaction of a position may be missing here for good.

        This went on past it without logging it; or has yet to come there, and who may give its
        number again is another server now.

        :param own: the server id of who logs this now; None where that is not known.

        >>> state = BinlogState.parse("0-1-9,0-2-10")
        >>> state.may_lack(GtidList.parse("0-1-10"), 1), state.may_lack(GtidList.parse("0-1-11"), 1)
        (True, False)
        >>> state.may_lack(GtidList.parse("0-1-11"), 2)
        True
        """
        highest: dict[int, int] = {}
        for (domain, _), number in self._last.items():
            highest[domain] = max(number, highest.get(domain, 0))
        return any(
            self._last.get((d, server), 0) < number
            and (number <= highest.get(d, 0) or own not in (None, server))
            for d, server, number in position
        )

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        return iter([(d, server, n) for (d, server), n in self._last.items()])

    def shares(self, other: GtidList | BinlogState) -> bool:
        """Tell whether some last transaction of a position, or of a log, was logged here."""
        return any(self._last.get((d, server), 0) >= n for d, server, n in other)


Position = GtidSet | GtidList
History = GtidSet | BinlogState
"""Everything that a primary has: its `gtid_executed`, or its `gtid_binlog_state`."""

_POSITIONS: dict[str, type[Position]] = {"mysql": GtidSet, "mariadb": GtidList}
_HISTORIES: dict[str, type[History]] = {"mysql": GtidSet, "mariadb": BinlogState}


def empty(flavor: str) -> Position:
    """Return the position before the first transaction."""
    return _POSITIONS[flavor]()


@lru_cache(maxsize=64)
def parse_position(flavor: str, text: str | bytes) -> Position:
    """Read a position as a server of this flavor prints it; raises ValueError.

    Servers print the same one again and again: it is the same object then.
    """
    return _POSITIONS[flavor].parse(text)


def parse_commits(flavor: str, told: Sequence[str | bytes]) -> Position:
    """Read what many statements have committed, each as a server prints it; raises ValueError.

    >>> parse_commits("mariadb", [b"0-1-7", b"0-1-9", "1-1-3"])
    GtidList('0-1-9,1-1-3')
    """
    if len(told) == 1:
        return parse_position(flavor, told[0])
    mark, hyphens, written = _SINGLE_FORMS[flavor]
    parts = [text.rpartition(mark) for text in told if type(text) is bytes]
    texts = [text for text in told if type(text) is str]
    for source in {part[0] for part in parts}:
        numbers = [number for found, _, number in parts if found == source]
        if source.count(b"-") == hyphens and b"".join(numbers).isdigit():
            numbers = [written(sorted({*map(int, numbers)}))]
        # What was told in another form is read as it is.
        texts += [(source + mark + number if source else number).decode() for number in numbers]
    return parse_position(flavor, ",".join(filter(None, texts)))


def _ranges(numbers: list[int]) -> bytes:
    """Write down numbers, in order, as the intervals that they make."""
    first, last = numbers[0], numbers[-1]
    if last - first + 1 == len(numbers):
        return b"%d-%d" % (first, last)
    ends = [at for at in range(1, len(numbers)) if numbers[at] != numbers[at - 1] + 1]
    pieces = zip([0, *ends], [*ends, len(numbers)], strict=True)
    return b":".join([b"%d-%d" % (numbers[start], numbers[end - 1]) for start, end in pieces])


def _last(numbers: list[int]) -> bytes:
    """Write down the last of numbers, in order: it stands for those before it."""
    return b"%d" % numbers[-1]


_SINGLE_FORMS = {"mysql": (b":", 4, _ranges), "mariadb": (b"-", 1, _last)}
"""What comes before the number of a single transaction, how many hyphens its source has, and how
several of one source are written down."""


@lru_cache(maxsize=64)
def parse_history(flavor: str, text: str | bytes) -> History:
    """Read MySQL's `gtid_executed` or MariaDB's `gtid_binlog_state`; raises ValueError."""
    return _HISTORIES[flavor].parse(text)


def intersection(one: Position, other: Position) -> Position:
    """Return a position that servers at either have: for GTID sets, all that both have."""
    if isinstance(one, GtidSet) and isinstance(other, GtidSet):
        return one & other
    return one if other.covers(one) else other if one.covers(other) else empty(one.flavor)


def within(position: Position, primary: Position) -> Position:
    """Return what there is of a position where the primary is at `primary`: the rest was lost, or
    never was. It is the position itself where nothing is missing.

    >>> within(GtidList.parse("0-1-500"), GtidList.parse("0-1-7"))
    GtidList('0-1-7')
    """
    if primary.covers(position):
        return position
    if isinstance(position, GtidSet) and isinstance(primary, GtidSet):
        return position & primary
    # A number says nothing of what came before it in another history: so all that there is.
    return primary


def lineage(primary: History, replica: Position | History) -> bool:
    """Tell whether a server at `replica`, or with this history, has transactions of the primary's.

    An empty position is satisfied by any server, so one that shares nothing is not trusted.

    >>> lineage(BinlogState.parse("0-1-99,0-2-120"), GtidList.parse("0-1-50"))
    True
    >>> lineage(BinlogState.parse("0-1-99,0-2-120"), GtidList.parse("0-3-50"))
    False
    >>> lineage(BinlogState.parse("0-1-99,0-2-120"), BinlogState.parse("0-1-49,0-3-50"))
    True
    """
    if isinstance(primary, GtidSet):
        return isinstance(replica, GtidSet) and bool(primary & replica)
    return isinstance(replica, GtidList | BinlogState) and primary.shares(replica)


def whole(position: Position, logged: History) -> History:
    """Return all that a server has, from its position and its history as it tells them."""
    if isinstance(position, GtidList) and isinstance(logged, BinlogState):
        return logged.joined(position)
    assert isinstance(position, GtidSet)
    return position


def beyond(primary: History, position: Position, logged: History, own: str) -> History:
    """Return what a server has that the primary lacks; empty for a replica of it.

    Numbers are not enough for that on MariaDB: a failover gives the same ones twice, by other
    servers.

    :param primary: all that the primary has.
    :param own: the server's own name. What it made itself, of which the primary knows none, is not
        counted: FLUSH and ANALYZE on a replica have transactions of their own.

    >>> state = BinlogState.parse("0-1-100,0-2-120")
    >>> beyond(state, GtidList.parse("0-1-90"), BinlogState.parse("0-1-90,0-3-91"), "3")
    BinlogState('')
    >>> beyond(state, GtidList.parse("0-1-110"), BinlogState(), "3")
    BinlogState('0-1-110')
    """
    if isinstance(primary, BinlogState):
        assert isinstance(position, GtidList) and isinstance(logged, BinlogState)
        return primary.beyond(logged, position, int(own) if own.isdigit() else None)
    assert isinstance(position, GtidSet)
    left = position - primary
    if left and own and not primary - primary.without(own):
        left = left.without(own)
    return left


def includes(one: History, other: History) -> bool:
    """Tell whether a server that has one has the other, too."""
    if isinstance(one, BinlogState):
        return isinstance(other, BinlogState) and one.includes(other)
    return isinstance(other, GtidSet) and one.covers(other)


_MARKS = {"mysql": "my1", "mariadb": "ma1"}
_CARRIED = re.compile(r"(my1|ma1)(?:\.([0-9a-z._-]+))?")
# No interval has two hyphens, and no tag has one.
_BEFORE_UUID = re.compile(r"\.(?=[0-9a-f]{8}-[0-9a-f]{4}-)")


def encode(position: Position) -> str:
    """Return a position as a short text of letters, digits and `.-_`, for URLs and cookies.

    It is what the server prints, with a mark of the flavor and of this format's version in front
    and points in the place of colons and commas. Equal positions have equal texts. A MySQL server
    without gaps takes about 50 characters, a MariaDB domain about 20. The text is not signed: who
    alters it makes his own reads wait, or see less.

    >>> text = encode(GtidSet.parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7:t:1"))
    >>> text
    'my1.3e11fa47-71ca-11e1-9e33-c80aa9429562.1-5.7.t.1'
    >>> str(decode(text)), decode(encode(GtidList.parse("0-1-7,5-2-3")))
    ('3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7:t:1', GtidList('0-1-7,5-2-3'))
    """
    printed = str(position).replace(":", ".").replace(",", ".")
    return f"{_MARKS[position.flavor]}.{printed}" if printed else _MARKS[position.flavor]


def decode(text: str) -> Position:
    """Read what `encode` returned; raises ValueError for any other text."""
    carried = _CARRIED.fullmatch(text)
    if carried is None:
        raise ValueError(f"no carried position of a known version: {shown(text)}")
    mark, printed = carried[1], carried[2] or ""
    position: Position
    if mark == _MARKS[GtidSet.flavor]:
        position = GtidSet.parse(_BEFORE_UUID.sub(",", printed).replace(".", ":"))
    else:
        position = GtidList.parse(printed.replace(".", ","))
    # One position has one text: what else reads as the same is damage, or someone's play.
    if encode(position) != text:
        raise ValueError(f"no carried position as encode() writes it: {shown(text)}")
    return position


def join_positions(*texts: str | None) -> str:
    """Join carried positions: the text of the least one that covers them all.

    None and `""` stand for nothing; nothing at all is `""`. So one text alone is checked, and comes
    back. Raises ValueError for what is no carried position, and for those of different flavors.

    >>> join_positions("ma1.0-1-7", None, "ma1.0-1-9.5-2-3")
    'ma1.0-1-9.5-2-3'
    >>> join_positions("", None)
    ''
    """
    found: Position | None = None
    for text in texts:
        if text:
            try:
                position = decode(text)
            except ValueError as error:
                raise ValueError(f"position: {error}") from None
            if found is not None and found.flavor != position.flavor:
                raise ValueError(
                    f"positions of {found.flavor} and of {position.flavor} can't be joined"
                )
            found = position if found is None else found | position
    return "" if found is None else encode(found)


def strange(position: Position, primary: Position) -> Position:
    """Return the part of a position that is of sources or domains of which the primary has nothing.

    It may be another cluster's.

    >>> strange(GtidList.parse("0-1-500,7-1-1"), GtidList.parse("0-1-7"))
    GtidList('7-1-1')
    """
    if isinstance(position, GtidSet) and isinstance(primary, GtidSet):
        known = primary._sources
        return GtidSet({key: have for key, have in position._sources.items() if key not in known})
    if isinstance(position, GtidList) and isinstance(primary, GtidList):
        domains = primary._domains
        return GtidList({key: at for key, at in position._domains.items() if key not in domains})
    raise _flavors_differ(position, primary)


def _flavors_differ(one: object, other: object) -> TypeError:
    return TypeError(f"{one!r} and {other!r} are of different flavors")


def _parse_sources(text: str) -> dict[str, _Bounds]:
    found: dict[str, list[int]] = {}
    for entry in text.split(",") if text.strip(_BLANKS) else ():
        single = _SINGLE.fullmatch(entry)
        if single is not None:
            uuid, first, last = single.groups()
            found.setdefault(uuid.lower(), []).extend(_interval(first, last))
        else:
            _parse_entry(entry, found)
    return {source: _normal(bounds) for source, bounds in found.items()}


def _parse_entry(entry: str, found: dict[str, list[int]]) -> None:
    head, *parts = entry.split(":")
    uuid = _UUID.fullmatch(head)
    if uuid is None:
        raise ValueError(f"no GTID set: {head[:80]!r} is no UUID")
    source = uuid[1].lower()
    bounds = None
    for part in parts:
        pair = _INTERVAL.fullmatch(part)
        if pair is not None:
            if bounds is None:
                bounds = found.setdefault(source, [])
            bounds += _interval(pair[1], pair[2])
            continue
        tag = _TAG.fullmatch(part)
        if tag is None:
            raise ValueError(f"no GTID set: {part[:80]!r} is neither an interval nor a tag")
        if bounds is None and ":" in source:
            break
        source = f"{uuid[1]}:{tag[1]}".lower()
        bounds = None
    if bounds is None:
        raise ValueError(f"no GTID set: no interval in or at the end of {entry[:80]!r}")


def _interval(first: str, last: str | None) -> tuple[int, int]:
    start = int(first)
    end = start + 1 if last is None else int(last) + 1
    if not 0 < start < end <= _MYSQL_END:
        raise ValueError(f"no GTID set: the interval {first}{'-' + last if last else ''}")
    return start, end


def _gtids(text: str | bytes) -> list[tuple[int, int, int]]:
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    gtids = []
    for part in text.split(",") if text.strip(_BLANKS) else ():
        triple = _TRIPLE.fullmatch(part)
        if triple is None:
            raise ValueError(f"no MariaDB GTID: {part[:80]!r} in {text[:80]!r}")
        domain, server, number = int(triple[1]), int(triple[2]), int(triple[3])
        if domain >= _U32 or server >= _U32 or number >= _U64:
            raise ValueError(f"a number of this MariaDB GTID is too large: {part[:80]!r}")
        gtids.append((domain, server, number))
    return gtids


def _later(one: _Last, other: _Last) -> _Last:
    """Return the later of two places in a domain: the very one of them that has it all, if any."""
    if one[0] != other[0]:
        return one if one[0] > other[0] else other
    servers = tuple(sorted({*one[1], *other[1]}))
    if servers == one[1]:
        return one
    return other if servers == other[1] else (one[0], servers)


def _highest(gtids: Iterable[tuple[int, int, int]]) -> dict[tuple[int, int], int]:
    last: dict[tuple[int, int], int] = {}
    for domain, server, number in gtids:
        if number > last.get((domain, server), 0):
            last[domain, server] = number
    return last


def _pairs(bounds: _Bounds) -> Iterator[tuple[int, int]]:
    return zip(bounds[::2], bounds[1::2], strict=True)


def _normal(bounds: list[int]) -> _Bounds:
    """Make bounds of intervals in any order, which may overlap and touch."""
    if all(map(lt, bounds, islice(bounds, 1, None))):
        return tuple(bounds)
    merged: list[int] = []
    for start, end in sorted(zip(bounds[::2], bounds[1::2], strict=True)):
        if not merged or start > merged[-1]:
            merged += (start, end)
        elif end > merged[-1]:
            merged[-1] = end
    return tuple(merged)


def _has_grown(before: _Bounds, now: _Bounds) -> bool:
    """Tell whether only the last interval is longer by now, as after most commits."""
    return before[:-1] == now[:-1] and before[-1] <= now[-1]


def _covers(have: _Bounds, wanted: _Bounds) -> bool:
    at = 0
    for start, end in _pairs(wanted):
        at = bisect_right(have, start, at)
        if not at % 2 or have[at] < end:
            return False
    return True


_FEW = 16


def _union(one: _Bounds, other: _Bounds) -> _Bounds:
    """Return the union; the very `one` where it has everything, else the very `other` so."""
    if one == other:
        return one
    if len(other) == 2 and other[0] <= one[0] and one[-1] <= other[1]:
        return other
    if len(one) == 2 == len(other):
        start, end = one
        first, last = other
        if first <= end and start <= last:
            if start <= first and last <= end:
                return one
            return (min(start, first), max(end, last))
    if len(other) == 2 and other[0] >= one[-2]:
        # Most commits come behind all others.
        if other[0] > one[-1]:
            return one + other
        return one if other[1] <= one[-1] else (*one[:-1], other[1])
    if len(one) == len(other) and _has_grown(one, other):
        return other
    if len(other) <= _FEW:
        # A few intervals are spliced into many.
        for start, end in _pairs(other):
            if not _covers(one, (start, end)):
                i, j = bisect_left(one, start), bisect_right(one, end)
                one = (*one[:i], *(() if i % 2 else (start,)), *(() if j % 2 else (end,)), *one[j:])
        return one
    return one if _covers(one, other) else _normal([*one, *other])


def _common(one: _Bounds, other: _Bounds) -> _Bounds:
    common: list[int] = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i], other[j]), min(one[i + 1], other[j + 1])
        if start < end:
            common += (start, end)
        if one[i + 1] < other[j + 1]:
            i += 2
        else:
            j += 2
    return tuple(common)
