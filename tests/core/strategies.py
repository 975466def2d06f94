"""Statements at random, and rewritings that keep what they mean."""

import random

from hypothesis import strategies as st

from rwsplit._core.cluster.position import BinlogState, GtidList, GtidSet
from tests.corpus import corpus

VERSIONS = {"mysql": "9.7.4", "mariadb": "10.11.19-MariaDB"}

NAMES = ("a", "b", "t", "u", "`x y`", "t.a", "shop.t")
CALLS = ("NOW()", "fr(1)", "GET_LOCK('a', 0)", "LAST_INSERT_ID()", "CONCAT('a', b)", "`abs`(1)")


def expressions():
    leaf = st.sampled_from(("1", "'x'", "NULL", "@v", "@@sql_mode", *NAMES[:5], *CALLS))
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(("+", "=", "AND", "OR", "<=>")), inner).map(" ".join),
            inner.map(lambda text: f"({text})"),
            inner.map(lambda text: f"IF({text}, 1, 2)"),
            inner.map(lambda text: f"(SELECT {text} FROM u)"),
            inner.map(lambda text: f"@w := {text}"),
        ),
        max_leaves=6,
    )


def queries():
    suffix = st.sampled_from(("", "", "", " LIMIT 1", " FOR UPDATE", " LOCK IN SHARE MODE"))
    return st.builds(
        "SELECT {} FROM {} WHERE {}{}".format,
        expressions(),
        st.sampled_from(NAMES[2:]),
        expressions(),
        suffix,
    )


def statements():
    """(flavor, text): made up, or a line of the corpus that no sql_mode reads otherwise."""
    lines = [
        (line.flavor, line.sql)
        for flavor in VERSIONS
        for line in corpus(flavor)
        if not line.sql_mode
    ]
    wrapped = st.one_of(
        queries(),
        queries().map(lambda text: f"({text})"),
        queries().map(lambda text: f"WITH c AS ({text}) SELECT * FROM c"),
        queries().map(lambda text: f"INSERT INTO t {text}"),
        queries().map(lambda text: f"EXPLAIN {text}"),
        expressions().map(lambda text: f"SET @x = {text}"),
        expressions().map(lambda text: f"UPDATE t SET a = {text}"),
    )
    return st.one_of(
        st.tuples(st.sampled_from(sorted(VERSIONS)), wrapped),
        st.sampled_from(lines),
    )


def noise(dice: random.Random) -> str:
    """White space and comments between two tokens; never nothing."""
    return dice.choice(
        (" ", "\n", "\t ", "  ", "/* c */", " -- FOR UPDATE\n", "# INTO OUTFILE 'x'\n", " /**/ ")
    )


# Positions: few servers and small numbers, so that sets overlap, touch and lie inside each other.

UUIDS = tuple(f"{digit * 8}-0000-0000-0000-00000000000{digit}" for digit in "123")


@st.composite
def gtid_texts(draw: st.DrawFn) -> str:
    """A GTID set as somebody may write it: intervals in any order, overlapping, tagged."""
    entries = []
    for uuid in draw(st.lists(st.sampled_from(UUIDS), max_size=4)):
        parts = [uuid]
        for tag in draw(st.lists(st.sampled_from(("", "a", "tag_2")), min_size=1, max_size=2)):
            if tag or len(parts) == 1:
                parts += [tag] if tag else []
            else:
                continue
            for _ in range(draw(st.integers(1, 4))):
                first = draw(st.integers(1, 30))
                last = draw(st.integers(first, min(first + 10, 35)))
                parts.append(f"{first}-{last}" if last > first else str(first))
        entries.append(":".join(parts))
    return draw(st.sampled_from((",", ",\n", " , "))).join(entries)


def gtid_sets() -> st.SearchStrategy[GtidSet]:
    """MySQL positions."""
    return gtid_texts().map(GtidSet.parse)


_GTIDS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6)).map(
        lambda gtid: "-".join(map(str, gtid))
    ),
    max_size=5,
).map(",".join)


def gtid_lists() -> st.SearchStrategy[GtidList]:
    """MariaDB positions: one place in each domain, as servers have it."""
    return _GTIDS.map(GtidList.parse)


def binlog_states() -> st.SearchStrategy[BinlogState]:
    """What MariaDB servers have logged."""
    return _GTIDS.map(BinlogState.parse)
