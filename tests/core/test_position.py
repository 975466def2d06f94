"""Laws of positions, against sets of single transactions as the model."""

import doctest
from functools import reduce
from operator import or_

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.cluster import position
from rwsplit._core.cluster.position import (
    BinlogState,
    GtidList,
    GtidSet,
    beyond,
    decode,
    encode,
    lineage,
    parse_commits,
    parse_position,
)
from tests.core.strategies import binlog_states, gtid_lists, gtid_sets

positions = st.one_of(
    st.tuples(gtid_sets(), gtid_sets(), gtid_sets()),
    st.tuples(gtid_lists(), gtid_lists(), gtid_lists()),
)
A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
B = "ffffffff-0000-0000-0000-000000000001"


def transactions(gtids):
    """The single transactions of a GTID set, read by nobody's code but this."""
    found = set()
    for entry in filter(None, str(gtids).split(",")):
        uuid, *parts = entry.split(":")
        tag = ""
        for part in parts:
            if part[0].isdigit():
                first, _, last = part.partition("-")
                found |= {(uuid, tag, n) for n in range(int(first), int(last or first) + 1)}
            else:
                tag = part
    return found


@given(gtid_sets(), gtid_sets())
def test_gaps_are_closed_by_what_is_there(a, near):
    filled = a.filled(near)
    within_a = {
        (uuid, tag, number)
        for uuid, tag, number in transactions(near)
        if any(u == uuid and t == tag and n < number for u, t, n in transactions(a))
        and any(u == uuid and t == tag and n > number for u, t, n in transactions(a))
    }
    assert transactions(filled) == transactions(a) | within_a
    assert a.spanned().covers(filled)
    assert a.filled(None) is a.filled(GtidList()) is a


@given(positions)
def test_what_one_has_alone_is_that_very_one(three):
    """Who compares them again compares one object with itself."""
    a, b, _ = three
    both = a | b
    if both == a:
        assert both is a
    elif both == b:
        assert both is b


SINGLES = {
    "mysql": st.builds("{}:{}".format, st.sampled_from([A, B, f"{A}:tag"]), st.integers(1, 30)),
    "mariadb": st.builds(
        "{}-{}-{}".format, st.integers(0, 1), st.integers(1, 2), st.integers(1, 9)
    ),
}


@pytest.mark.parametrize("flavor", SINGLES)
@given(data=st.data())
def test_many_commits_are_the_position_that_covers_each(flavor, data):
    """Most are of one transaction, as they came; what was told otherwise is among them."""
    sets = {"mysql": gtid_sets(), "mariadb": gtid_lists()}[flavor]
    single = SINGLES[flavor] | SINGLES[flavor].map(str.encode)
    told = data.draw(st.lists(single | sets.map(str) | sets.map(lambda a: str(a).encode())))
    found = parse_commits(flavor, told)
    each = [parse_position(flavor, text) for text in told]
    assert all(found.covers(position) for position in each)
    assert found == reduce(or_, each, parse_position(flavor, ""))


def test_the_examples_in_the_docstrings():
    assert doctest.testmod(position) == (0, doctest.testmod(position).attempted)
    assert doctest.testmod(position).attempted > 10


@given(gtid_sets(), gtid_sets())
def test_gtid_sets_are_sets_of_transactions(a, b):
    of_a, of_b = transactions(a), transactions(b)
    assert transactions(a | b) == of_a | of_b
    assert transactions(a - b) == of_a - of_b
    assert transactions(a & b) == of_a & of_b
    assert a.covers(b) == (of_b <= of_a)
    assert (a == b) == (of_a == of_b)
    assert bool(a) == bool(of_a)


@given(positions)
def test_positions_are_a_join_semilattice(three):
    a, b, c = three
    assert a | a == a
    assert a | b == b | a
    assert (a | b) | c == a | (b | c)
    assert (a | b).covers(a)
    assert (a | b).covers(b)
    assert a.covers(b) == (a | b == a)
    if c.covers(a) and c.covers(b):
        assert c.covers(a | b), "the union is the least"
    if a.covers(b) and b.covers(c):
        assert a.covers(c)
    if a.covers(b):
        assert a | b is a
        assert not b - a
    if a == b:
        assert hash(a) == hash(b)


@given(positions)
def test_what_is_printed_is_read_back(three):
    for one in three:
        assert parse_position(one.flavor, str(one)) == one
        assert parse_position(one.flavor, str(one).encode()) == one
        assert decode(encode(one)) == one


@given(positions)
def test_a_carried_position_is_fit_for_urls_and_cookies(three):
    text = encode(three[0])
    assert text.isascii()
    assert not set(text) - set("abcdefghijklmnopqrstuvwxyz0123456789-._")


@given(st.one_of(st.text(), st.from_regex(r"m[ya]1(\.[0-9a-z._-]*)?")))
def test_any_other_text_is_a_value_error(text):
    try:
        found = decode(text)
    except ValueError:
        return
    assert encode(found) == text


@given(binlog_states(), gtid_lists())
def test_a_binlog_state_tells_lost_transactions(state, last):
    has = {
        (int(d), int(s)): int(n) for d, s, n in (g.split("-") for g in str(state).split(",") if g)
    }
    triples = list(last)
    assert state.covers(last) == all(has.get((d, s), 0) >= n for d, s, n in triples)
    assert lineage(state, last) == any(has.get((d, s), 0) >= n for d, s, n in triples)


@pytest.mark.parametrize(
    "text",
    [
        f"{A}:1-5",
        f"  {A} : 1 - 5 ",
        f"{A.upper()}:5:1-4",
        f"{A}:3-5,\n{A}:1-2",
        f"{A}:1-3:2-5",
    ],
)
def test_spellings_of_one_set(text):
    assert GtidSet.parse(text) == GtidSet.parse(f"{A}:1-5")


@pytest.mark.parametrize(
    "text",
    [
        "x",
        A,
        f"{A}:",
        f"{A}:0",
        f"{A}:5-4",
        f"{A}:tag",
        f"{A}:1-9223372036854775807",
        f"{A}:1-2-3",
        f"{A[:-1]}:1",
        f"{A}:٣",
        f"{A}:t-g:1",
        "0-1-5",
    ],
)
def test_no_gtid_set(text):
    with pytest.raises(ValueError, match="GTID set"):
        GtidSet.parse(text)


@pytest.mark.parametrize("text", ["x", "0-1", "0-1-2-3", "4294967296-1-1", "0-1--5", f"{A}:1"])
def test_no_gtid_list(text):
    with pytest.raises(ValueError, match="MariaDB GTID"):
        GtidList.parse(text)


def test_tags_are_numbered_apart():
    tagged = GtidSet.parse(f"{A}:1-5:blue:1-3:red:7,{B}:red:1")
    assert str(tagged) == f"{A}:1-5:blue:1-3:red:7,{B}:red:1"
    assert not tagged.covers(GtidSet.parse(f"{A}:7"))
    assert tagged.covers(GtidSet.parse(f"{A}:BLUE:2"))


def test_an_errant_transaction_never_looks_like_having_caught_up():
    wanted = GtidSet.parse(f"{A}:1-10")
    assert not GtidSet.parse(f"{A}:1-9,{B}:1-100").covers(wanted)
    # On MariaDB an own transaction of a higher number would: hence gtid_slave_pos is asked.
    assert not GtidList.parse("0-1-9,1-2-100").covers(GtidList.parse("0-1-10"))


def test_the_flavors_do_not_mix():
    for operation in ("covers", "union", "subtract"):
        with pytest.raises(TypeError, match="flavors"):
            getattr(GtidSet(), operation)(GtidList.parse("0-1-1"))
        with pytest.raises(TypeError, match="flavors"):
            getattr(GtidList(), operation)(GtidSet())
    with pytest.raises(TypeError, match="flavors"):
        BinlogState().covers(GtidSet())


# Who has what the primary lacks.


UUIDS = [f"{number:08x}-71ca-11e1-9e33-c80aa9429562" for number in range(4)]


@pytest.mark.parametrize(
    ("primary", "replica", "own", "expected"),
    [
        ("{0}:1-100", "{0}:1-100", 2, ""),
        ("{0}:1-100,{1}:1-5", "{0}:1-90", 2, ""),
        ("{0}:1-100,{1}:1-5", "{0}:1-150", 2, "{0}:101-150"),
        ("{0}:1-100:102,{1}:1-5", "{0}:1-102", 2, "{0}:101"),
        ("{1}:1-5", "{0}:1-3,{1}:1-5", 2, "{0}:1-3"),
        # What it made itself, and nobody else knows of.
        ("{0}:1-100", "{0}:1-100,{2}:1-3", 2, ""),
        ("{0}:1-100", "{0}:1-100,{2}:1-3", 3, "{2}:1-3"),
        # It was a primary of before.
        ("{0}:1-100,{2}:1-3", "{0}:1-100,{2}:1-5", 2, "{2}:4-5"),
        ("{0}:1-100", "", 2, ""),
    ],
)
def test_what_a_mysql_server_has_beyond_the_primary(primary, replica, own, expected):
    history, position = [GtidSet.parse(text.format(*UUIDS)) for text in (primary, replica)]
    found = beyond(history, position, position, UUIDS[own])
    assert found == GtidSet.parse(expected.format(*UUIDS))


@pytest.mark.parametrize(
    ("primary", "at", "logged", "expected"),
    [
        ("0-1-100", "0-1-100", "0-1-100", ""),
        ("0-1-100,0-2-120", "0-1-90", "0-1-90", ""),
        # The same number by another server, and a lower one that was lost.
        ("0-1-100,0-2-101", "0-1-101", "0-1-101", "0-1-101"),
        ("0-1-100,0-2-200", "0-1-150", "0-1-150", "0-1-150"),
        ("0-1-100,0-2-200", "0-1-150", "", "0-1-150"),
        # It was made to go on behind them, and its log tells.
        ("0-1-100,0-2-200", "0-2-200", "0-1-150,0-2-200", "0-1-150"),
        # From before the primary was set up, by a server that is long gone.
        ("0-1-100,0-2-200", "0-2-200", "0-7-50,0-1-100,0-2-200", ""),
        ("0-1-100,0-2-200", "0-2-200", "0-7-250,0-2-200", "0-7-250"),
        # What server 9 made itself.
        ("0-1-100", "0-1-100", "0-1-100,0-9-101", ""),
        ("0-1-100,0-9-50", "0-1-100", "0-1-100,0-9-101", "0-9-101"),
        # Another domain, which the primary does not have.
        ("0-1-100", "0-1-100,5-3-7", "0-1-100,5-3-7", "5-3-7"),
        ("0-1-100", "", "", ""),
    ],
)
def test_what_a_mariadb_server_has_beyond_the_primary(primary, at, logged, expected):
    history, log = BinlogState.parse(primary), BinlogState.parse(logged)
    found = beyond(history, GtidList.parse(at), log, "9")
    assert found == BinlogState.parse(expected)
