"""Statements at random, and rewritings that keep what they mean."""

import random

from hypothesis import strategies as st

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
