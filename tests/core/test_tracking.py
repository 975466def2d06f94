"""The session-state block of an OK packet, byte by byte and as servers sent it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.tracking import Changes, info_string, only_gtid, parse, read_lenenc, state_block


def lenenc(number):
    if number < 0xFB:
        return bytes([number])
    if number < 1 << 16:
        return b"\xfc" + number.to_bytes(2, "little")
    return b"\xfd" + number.to_bytes(3, "little")


def text(value):
    raw = value.encode()
    return lenenc(len(raw)) + raw


def entry(kind, data):
    return bytes([kind]) + lenenc(len(data)) + data


@given(st.integers(0, (1 << 24) - 1))
def test_lengths_of_every_size_are_read(number):
    assert read_lenenc(b"x" + lenenc(number), 1) == (number, 1 + len(lenenc(number)))


@given(
    st.dictionaries(st.text(min_size=1), st.none() | st.text(max_size=400), max_size=5),
    st.none() | st.text(min_size=1, max_size=300),
    st.booleans(),
    st.none() | st.text(max_size=300),
    st.booleans(),
)
def test_what_a_server_packs_is_what_is_read(variables, schema, changed, gtids, together):
    """MySQL sends one entry a variable, MariaDB one for all of them."""
    for name in ("statement_id", "last_gtid"):  # told otherwise
        variables.pop(name, None)
    pairs = [
        text(name) + (b"\xfb" if value is None else text(value))
        for name, value in variables.items()
    ]
    block = b""
    if pairs:
        block = entry(0, b"".join(pairs)) if together else b"".join(entry(0, p) for p in pairs)
    if schema is not None:
        block += entry(1, text(schema))
    if changed:
        block += entry(2, b"1" if together else text("1"))
    if gtids is not None:
        block += entry(3, b"\0" + text(gtids))
    assert parse(block) == Changes(tuple(variables.items()), schema, changed, gtids)


def test_mysqls_statement_counter_is_left_out():
    assert parse(entry(0, text("statement_id") + text("12"))) == Changes()


def test_the_transaction_state_is_read():
    block = entry(4, text("START TRANSACTION;")) + entry(5, text("T_______"))
    assert parse(block).transaction == "T_______"
    assert parse(block).characteristics == "START TRANSACTION;"


def test_kinds_that_are_not_known_are_passed_over():
    assert parse(entry(99, b"future") + entry(1, text("shop"))).schema == "shop"


def test_the_tail_of_a_packet_is_split_as_plain_pymysql_shows_it():
    info = text("Rows matched: 1")
    block = entry(1, text("shop"))
    for tail, shown, state in [
        (b"", b"", b""),
        (info, info, b""),
        (b"\0", b"", b""),
        (info + lenenc(len(block)) + block, info, block),
        (b"\0" + lenenc(len(block)) + block, b"", block),
    ]:
        assert info_string(tail) == shown
        assert state_block(tail) == state


@given(
    st.none() | st.integers(1, 10**19),
    st.sampled_from(["mysql", "mariadb"]),
    st.sampled_from(["", "schema", "sysvar", "state"]),
    st.integers(1, 10**12),
)
def test_a_lone_gtid_is_told_from_all_else(statement, flavor, beside, number):
    """The short way gives what the long way gives, or nothing."""
    block = b"" if statement is None else entry(0, text("statement_id") + text(str(statement)))
    if flavor == "mysql":
        gtid = f"3e11fa47-71ca-11e1-9e33-c80aa9429562:{number}"
        block += entry(3, b"\0" + text(gtid))
    else:
        gtid = f"0-1-{number}"
        block += entry(0, text("last_gtid") + text(gtid))
    extra = {"schema": entry(1, text("shop")), "state": entry(2, text("1")), "": b""}
    extra["sysvar"] = entry(0, text("autocommit") + text("ON"))
    for whole in (block + extra[beside], extra[beside] + block):
        for tail in (b"\0", text("Rows matched: 1")):
            found = only_gtid(tail + lenenc(len(whole)) + whole)
            assert found == (None if beside else gtid.encode())


@pytest.mark.parametrize("info", [b"\0", text("Rows matched: 1"), text("x" * 300)])
def test_how_an_open_transaction_began_is_no_news(info):
    gtid = entry(0, text("last_gtid") + text("0-1-7"))
    began = entry(5, text("T_______")) + entry(4, text("START TRANSACTION;"))
    ended = gtid + entry(5, text("________")) + entry(4, text(""))
    level = entry(4, text("SET TRANSACTION READ ONLY;"))
    for block, alone, within in [
        (began, None, b""),
        (ended, b"0-1-7", b"0-1-7"),
        (level, None, None),
    ]:
        tail = info + lenenc(len(block)) + block
        assert only_gtid(tail) == alone
        assert only_gtid(tail, begun=1) == within


@given(st.binary(max_size=60))
def test_values_in_any_charset_do_not_raise(raw):
    block = entry(0, text("x") + lenenc(len(raw)) + raw)
    ((name, value),) = parse(block).variables
    assert name == "x"
    assert isinstance(value, str)
