"""The replies to a set-up: rows as the server sent them, its status, and what is none of that."""

import io

import pytest

from rwsplit._drivers import err
from rwsplit._drivers.pymysql.inbox import Inbox
from rwsplit._drivers.pymysql.replies import Last, read_replies

OK = b"\x00\x00\x00\x02\x40\x00\x00"
EOF = b"\xfe\x00\x00\x22\x00"
ENDS = b"\xfe\x00\x00\x22\x00\x00\x00"
"""An OK packet behind rows (CLIENT_DEPRECATE_EOF)."""


def packets(*payloads, number=1):
    """What a server sends in answer to one command."""
    sent = b""
    for at, payload in enumerate(payloads, number):
        sent += len(payload).to_bytes(3, "little") + bytes([at]) + payload
    return sent


class Sent(io.BytesIO):
    """A socket that has it in pieces."""

    def __init__(self, data, pieces=7):
        super().__init__(data)
        self.pieces = pieces

    def recv(self, most):
        return self.read(min(most, self.pieces))


def read(sent, count=1, parts_eof=False):
    return read_replies(Inbox(Sent(sent)), count, parts_eof, Last())


ROWS = (b"\x01", b"a column", b"\x03abc", b"\xfb", b"\xfc\x2c\x01" + b"x" * 300)
FOUND = [(b"abc",), (None,), (b"x" * 300,)]


def test_rows_and_the_status_of_the_last():
    assert read(packets(OK) + packets(*ROWS, ENDS), 2) == ([[], FOUND], 0x22)
    assert read(packets(*ROWS, ENDS) + packets(OK), 2) == ([FOUND, []], 0x4002)


def test_servers_that_put_a_packet_between_columns_and_rows():
    columns, rows = ROWS[:2], ROWS[2:]
    assert read(packets(*columns, EOF, *rows, EOF), parts_eof=True) == ([FOUND], 0x22)


def test_a_status_behind_long_numbers():
    assert read(packets(b"\x00\xfc\x01\x01\xfd\x01\x01\x01\x03\x00\x00\x00")) == ([[]], 3)


OTHERS = [
    packets(OK) * 2 + packets(*ROWS, ENDS) + packets(OK),
    packets(OK) * 2 + packets(*ROWS[:2], b"\x03def", ENDS) + packets(OK),
    packets(OK) * 2 + packets(*ROWS[:2], ENDS) + packets(OK),
    packets(OK) + packets(*ROWS, ENDS) * 2 + packets(OK),
    packets(OK) * 2 + packets(b"\x01", b"another", b"\x01a", ENDS) + packets(OK),
    packets(OK) * 4,
    packets(*ROWS, ENDS) + packets(OK) * 3,
]


@pytest.mark.parametrize("pieces", [7, 1000])
@pytest.mark.parametrize("first", OTHERS)
def test_what_came_the_last_time_changes_no_reply(first, pieces):
    last = Last()
    for sent in (first, *OTHERS, *OTHERS[::-1]):
        inbox = Inbox(Sent(sent + b"more", pieces))
        assert read_replies(inbox, 4, parts_eof=False, last=last) == read(sent, 4)
        assert inbox.read(4) == b"more"


def test_what_came_before_the_first_row_is_passed_over():
    last = Last()
    read_replies(Inbox(Sent(OTHERS[0], 1000)), 4, False, last)
    assert last.seen == (packets(OK) * 2 + packets(*ROWS[:2]), 2)


def test_what_comes_behind_is_left():
    left = Inbox(Sent(packets(OK) + b"more"))
    read_replies(left, 1, False, Last())
    assert left.read(4) == b"more"
    assert left.is_empty


@pytest.mark.parametrize("before", [(), ROWS], ids=["at once", "amid rows"])
def test_an_error_is_raised_as_pymysql_raises_it(before):
    error = b"\xff\x28\x04#42000bad syntax"
    with pytest.raises(err.ProgrammingError) as caught:
        read(packets(*before, error))
    assert caught.value.args == (1064, "bad syntax")


@pytest.mark.parametrize("ended", range(len(packets(*ROWS, ENDS)) - 4))
def test_a_wire_that_ends_amid_it_is_lost(ended):
    with pytest.raises(err.OperationalError) as caught:
        read(packets(*ROWS, ENDS)[:ended])
    assert caught.value.args[0] == 2013


def test_a_server_that_shuts_down_says_so_unasked():
    with pytest.raises(err.OperationalError) as caught:
        read(packets(b"\xff\x1d\x04#08S01Server shutdown", number=0))
    assert caught.value.args[0] == 2013


@pytest.mark.parametrize("odd", [b"", b"\x00", b"\x00\xfc"])
def test_what_is_no_reply_is_a_lost_wire(odd):
    with pytest.raises(err.OperationalError) as caught:
        read(packets(odd) + b"more")
    assert caught.value.args[0] == 2013
