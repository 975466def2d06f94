"""Rows are what PyMySQL makes of the same bytes, however these come, and stay in step with them.

All of it once with rows that are made in Python, and once with those of compiled code.
"""

import importlib.util
import io
import struct
import threading

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql.connections import Connection
from pymysql.constants import CLIENT, FIELD_TYPE
from pymysql.converters import conversions, convert_time

from rwsplit._core.sql.fingerprint import Fingerprint
from rwsplit._drivers.pymysql import PhysicalConnection, Result, compiled, results
from rwsplit._drivers.pymysql.results import Fingerprinted

NOT_THERE = pytest.mark.skipif(
    importlib.util.find_spec("asyncmy") is None, reason="asyncmy is not installed"
)


@pytest.fixture(
    params=["python", pytest.param("compiled", marks=NOT_THERE)], autouse=True, scope="module"
)
def made_by(request):
    """What makes the rows; compiled code however few bytes there are."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "compiled":
            patch.setattr(results, "LARGE", 1)
            assert compiled.maker() is not None
        else:
            patch.setattr(results, "compiled_rows", lambda *_: None)
        yield request.param


# A server's side.

MORE_RESULTS = 8
LONGEST = 0xFFFFFF


def lenenc(data):
    if data is None:
        return b"\xfb"
    size = len(data)
    if size < 251:
        return bytes([size]) + data
    if size < 1 << 16:
        return b"\xfc" + struct.pack("<H", size) + data
    if size < 1 << 24:
        return b"\xfd" + struct.pack("<I", size)[:3] + data
    return b"\xfe" + struct.pack("<Q", size) + data


def column(kind, charset):
    """Column Definition 41."""
    return (
        lenenc(b"def")
        + lenenc(b"") * 3
        + lenenc(b"c")
        + lenenc(b"")
        + struct.pack("<BHIBHBH", 12, charset, 1024, kind, 0, 0, 0)
    )


def error(number, text):
    return b"\xff" + struct.pack("<H", number) + b"#70100" + text


class Script:
    """What a server sends as one result, with and without CLIENT_DEPRECATE_EOF."""

    def __init__(self, columns, rows, end=None, more=False):
        self.columns, self.rows, self.end = columns, rows, end
        self.status = 2 | (MORE_RESULTS if more else 0)

    def packets(self, deprecates_eof):
        count = len(self.columns)
        yield bytes([count]) if count < 251 else b"\xfc" + struct.pack("<H", count)
        for each in self.columns:
            yield column(*each)
        if not deprecates_eof:
            yield b"\xfe" + struct.pack("<HH", 0, 2)
        for row in self.rows:
            yield b"".join(map(lenenc, row))
        if self.end is not None:
            yield self.end
        elif deprecates_eof:
            yield b"\xfe\0\0" + struct.pack("<HH", self.status, 3)
        else:
            yield b"\xfe" + struct.pack("<HH", 3, self.status)


def stream(scripts, deprecates_eof, number=1):
    sent = []
    for script in scripts:
        for packet in script.packets(deprecates_eof):
            left, is_last = packet, False
            while not is_last:
                part, left = left[:LONGEST], left[LONGEST:]
                is_last = len(part) < LONGEST
                sent.append(struct.pack("<I", len(part) | number << 24) + part)
                number = (number + 1) & 0xFF
    return b"".join(sent)


class Pieces(io.RawIOBase):
    """A socket, and the file of one, that has the bytes in pieces of these sizes."""

    def __init__(self, data, sizes):
        self.data, self.at = memoryview(data), 0
        self.sizes, self.turn = sizes, 0
        self.asked = 0

    def recv(self, most):
        self.asked += 1
        size = self.sizes[self.turn % len(self.sizes)]
        self.turn += 1
        begin = self.at
        self.at = min(begin + min(size, most), len(self.data))
        return bytes(self.data[begin : self.at])

    def readable(self):
        return True

    def readinto(self, into):
        data = self.recv(len(into))
        into[: len(data)] = data
        return len(data)

    def makefile(self, mode):
        return io.BufferedReader(self)

    def settimeout(self, seconds):
        pass


class OwnPieces(Pieces):
    """One that is never read as a file."""

    def makefile(self, mode):
        return io.BytesIO()


def plain(scripts, sizes, **options):
    made = Connection(defer_connect=True, ssl_disabled=True, **options)
    return wired(made, Pieces(stream(scripts, False), sizes))


def ours(scripts, sizes, result_class=Result, **options):
    made = PhysicalConnection(defer_connect=True, ssl_disabled=True, **options)
    made.client_flag |= CLIENT.DEPRECATE_EOF
    made._result_class = result_class
    return wired(made, OwnPieces(stream(scripts, True), sizes))


def wired(connection, sock):
    connection._sock = sock
    connection._rfile = sock.makefile("rb")
    connection._next_seq_id, connection._current_timeout = 1, None
    return connection


def shown(values):
    """All that can be seen of values, their types too."""
    return None if values is None else [repr((each, type(each))) for each in values]


EXPECTED = (pymysql.MySQLError, ValueError, ArithmeticError, TypeError, KeyError)


def whole(connection, count):
    """All that the results of a statement show, read at once."""
    for number in range(count):
        try:
            if number:
                connection.next_result()
            else:
                connection.due = 1
                connection._read_query_result()
        except EXPECTED as error:
            yield type(error), error.args[0]
            return
        result = connection._result
        yield result.affected_rows, result.warning_count, result.has_next
        yield [shown(row) for row in result.rows]


def one_by_one(connection, count):
    """The same, asked for row by row."""
    for number in range(count):
        if number:
            connection.next_result(unbuffered=True)
        else:
            connection.due = 1
            connection._read_query_result(unbuffered=True)
        result = connection._result
        while result.unbuffered_active:
            try:
                row = result._read_rowdata_packet_unbuffered()
            except EXPECTED as error:
                yield type(error), error.args[0]
                if isinstance(error, pymysql.MySQLError):
                    return
            else:
                yield shown(row)
        yield result.warning_count, result.has_next


# Anything that a server may send, and some that none would.

DIGITS = st.integers().map(str)
YEARS = st.integers(0, 9999).map("{:04}".format)
TWO = st.integers(0, 61).map("{:02}".format)
DATES = st.one_of(
    st.dates().map(str),
    st.tuples(YEARS, TWO, TWO).map("-".join),
    st.sampled_from(["0000-00-00", "2026-02-30", "2026-W01-1", "20260101", "2026-1-1", ""]),
)
FRACTIONS = st.one_of(st.just(""), st.text("0123456789", max_size=7).map(".{}".format))
TIMES = st.tuples(
    st.sampled_from(["", "-"]), st.integers(0, 838).map("{:02}".format), TWO, TWO, FRACTIONS
).map(lambda parts: "{}{}:{}:{}{}".format(*parts))
DATETIMES = st.one_of(
    st.datetimes().map(str),
    st.tuples(DATES, st.sampled_from(" T_"), TIMES).map("".join),
    st.tuples(DATES, st.just(" 12:34:56"), FRACTIONS).map("".join),
)
NUMBERS = st.one_of(
    DIGITS,
    st.decimals(allow_nan=True).map(str),
    st.floats().map(repr),
    st.sampled_from(["1_0", " 1", "", "+5", "00042", "1e5", "٣", "one"]),
)
TEXTS = st.one_of(
    st.text(max_size=20), st.integers(200, 300).map(lambda size: "ä€"[size % 2] * size)
)

BY_KIND = {
    **dict.fromkeys([FIELD_TYPE.TINY, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG], DIGITS),
    FIELD_TYPE.YEAR: YEARS,
    FIELD_TYPE.DOUBLE: NUMBERS,
    FIELD_TYPE.FLOAT: st.floats().map(repr),
    FIELD_TYPE.NEWDECIMAL: st.decimals(allow_nan=False, allow_infinity=False).map(str),
    FIELD_TYPE.DECIMAL: NUMBERS,
    FIELD_TYPE.DATE: DATES,
    FIELD_TYPE.DATETIME: DATETIMES,
    FIELD_TYPE.TIMESTAMP: st.datetimes().map(lambda at: str(at.replace(microsecond=0))),
    FIELD_TYPE.TIME: TIMES,
    FIELD_TYPE.VAR_STRING: TEXTS,
    FIELD_TYPE.STRING: TEXTS,
    FIELD_TYPE.JSON: TEXTS,
    FIELD_TYPE.BLOB: st.binary(max_size=300),
    FIELD_TYPE.GEOMETRY: st.binary(max_size=300),
    FIELD_TYPE.BIT: st.binary(min_size=1, max_size=8),
    FIELD_TYPE.ENUM: TEXTS,
    FIELD_TYPE.NULL: st.none(),
}
CHARSETS = (45, 63, 8)
ENCODINGS = {"utf8mb4": "utf8", "latin1": "cp1252", "gbk": "gbk"}


@st.composite
def scripts(draw):
    made = []
    charset = draw(st.sampled_from([*ENCODINGS]))
    for _ in range(draw(st.integers(1, 2))):
        kinds = draw(
            st.lists(
                st.tuples(st.sampled_from([*BY_KIND]), st.sampled_from(CHARSETS)),
                min_size=1,
                max_size=5,
            )
        )
        values = st.tuples(*[_values(kind, charset) for kind, _ in kinds])
        rows = draw(st.lists(values, max_size=12))
        rows = rows * draw(st.sampled_from([1, 1, 1, 30]))
        end = draw(st.sampled_from([None, None, None, error(1317, b"interrupted")]))
        made.append(Script(kinds, rows, end))
        if end is not None:
            break
    for script in made[:-1]:
        script.status |= MORE_RESULTS
    return made, charset


def _values(kind, charset):
    known = BY_KIND[kind].map(
        lambda value: (
            value.encode(ENCODINGS[charset], "replace") if isinstance(value, str) else value
        )
    )
    rare = st.one_of(st.none(), st.binary(max_size=12))
    return st.integers(0, 19).flatmap(lambda n: known if n else rare)


SIZES = st.lists(st.one_of(st.integers(1, 40), st.sampled_from([1000, 10**6])), min_size=1)


@given(scripts(), SIZES, st.booleans())
def test_rows_are_what_pymysql_makes_of_the_same_bytes(given, sizes, use_unicode):
    scripts, charset = given
    options = {"charset": charset, "use_unicode": use_unicode}
    for look in (whole, one_by_one):
        right = [*look(plain(scripts, sizes, **options), len(scripts))]
        assert [*look(ours(scripts, sizes, **options), len(scripts))] == right


def _own_decoder(connection):
    connection.decoders = {
        **connection.decoders,
        FIELD_TYPE.LONG: float,
        FIELD_TYPE.VAR_STRING: len,
    }


CHANGES = {
    "nothing": lambda connection: None,
    "a decoder": lambda connection: connection.decoders.update({FIELD_TYPE.LONG: float}),
    "the decoders": _own_decoder,
    "use_unicode": lambda connection: setattr(connection, "use_unicode", False),
    "encoding": lambda connection: setattr(connection, "encoding", "latin1"),
}
ONE_KIND = [(FIELD_TYPE.LONG, 63)]
KINDS = (
    [*ONE_KIND, (FIELD_TYPE.VAR_STRING, 45)],
    [*ONE_KIND, (FIELD_TYPE.VAR_STRING, 63)],  # begins as the one before
    [(FIELD_TYPE.VAR_STRING, 45)] * 2,
    ONE_KIND,
    ONE_KIND * 300,
)


@given(
    st.lists(
        st.tuples(st.sampled_from(range(len(KINDS))), st.sampled_from([*CHANGES]), st.booleans()),
        min_size=2,
        max_size=12,
    ),
    SIZES,
)
def test_columns_that_come_again_are_what_pymysql_makes_of_them(visits, sizes):
    both = plain([], sizes), ours([], sizes)
    for which, change, twice in visits:
        kinds = KINDS[which]
        values = [b"7" if kind == FIELD_TYPE.LONG else "ä".encode() for kind, _ in kinds]
        results = [Script(kinds, [values] * 2, more=twice)] + [Script(kinds, [values])] * twice
        found = []
        for connection, deprecates_eof in zip(both, (False, True), strict=True):
            CHANGES[change](connection)
            wired(connection, OwnPieces(stream(results, deprecates_eof), sizes))
            if not deprecates_eof:
                connection._rfile = io.BufferedReader(connection._sock)
            found.append([*_with_columns(connection, 1 + twice)])
        assert found[1] == found[0]


def _with_columns(connection, count):
    for number, answer in enumerate(whole(connection, count)):
        yield answer
        if number % 2:
            result = connection._result
            yield result.description, len(result.fields), [each.name for each in result.fields]


def test_columns_that_were_seen_are_not_parsed_again(monkeypatch):
    connection = ours([], [10**6])
    scripts = [Script(KINDS[0], [(b"1", b"a")])]
    for number in range(3):
        wired(connection, OwnPieces(stream(scripts, True), [10**6]))
        _, made = whole(connection, 1)
        assert made == [shown((1, "a"))]
        if not number:
            monkeypatch.setattr(Result, "_get_descriptions", None)


def test_columns_that_are_out_of_step_are_not_taken(monkeypatch):
    connection = ours([], [10**6])
    for number in (1, 2):
        sent = stream([Script(KINDS[0], [(b"1", b"a")])], True, number)
        wired(connection, OwnPieces(sent, [10**6]))
        connection._next_seq_id = number
        assert len([*whole(connection, 1)]) == 2
    wired(connection, OwnPieces(sent, [10**6]))
    (failed,) = whole(connection, 1)
    assert failed[0] is pymysql.InternalError


class Converting:
    """Converters of an application: they see one value after the other, and may refuse it."""

    def __init__(self):
        self.seen = []

    def __call__(self, value):
        self.seen.append(value)
        if len(self.seen) % 7 == 5:
            raise KeyError(value)
        return len(self.seen)

    __hash__ = None


@given(scripts(), SIZES, st.sets(st.sampled_from([*BY_KIND]), min_size=1))
def test_an_applications_converters_are_called_as_pymysql_calls_them(given, sizes, kinds):
    scripts, charset = given
    for look in (whole, one_by_one):
        seen, found = [], []
        for connect in (plain, ours):
            converting = Converting()
            table = {**conversions, **dict.fromkeys(kinds, converting)}
            table[FIELD_TYPE.TIME] = convert_time
            connection = connect(scripts, sizes, charset=charset, conv=table)
            found.append([*look(connection, len(scripts))])
            seen.append(converting.seen)
        assert found[1] == found[0]
        assert seen[1] == seen[0]


ODD = {
    FIELD_TYPE.LONG: ["00042", "1_0", " 1", "+5", "", "one", "1.5", "٣", "9" * 30],
    FIELD_TYPE.DOUBLE: ["1e5", "nan", "-inf", "1_0.5", " 1", "", "one", "٣"],
    FIELD_TYPE.NEWDECIMAL: ["1E+5", "NaN", "sNaN", "1_0", "1\n", "", "one", "٣"],
    FIELD_TYPE.DATE: ["0000-00-00", "2026-02-30", "20260101", "2026-W01-1", "2026-1-1", "", "٣"],
    FIELD_TYPE.DATETIME: [
        *("0000-00-00 00:00:00", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01 24:00:00"),
        *("2026-W01-1T00:00:00", "2026-01-01_00:00:00", "2026-01-01 00:00:00.5", ""),
        *("2026-01-01 00:00:00+00:00", "2026-01-01 00:00:00.1234567", "2026-01-01 00:00", "٣"),
        "2026-01-01 00:00:00\n2026-01-01 00:00:00",
    ],
    FIELD_TYPE.TIME: ["-838:59:59.5", "24:61:00", "1:2:3", "", "random"],
    FIELD_TYPE.VAR_STRING: ["ä" * 130, "", "\n"],
}
USUAL = {
    FIELD_TYPE.LONG: "17",
    FIELD_TYPE.DOUBLE: "1.5",
    FIELD_TYPE.NEWDECIMAL: "1.50",
    FIELD_TYPE.DATE: "2026-02-28",
    FIELD_TYPE.DATETIME: "2026-02-28 12:13:14",
    FIELD_TYPE.TIME: "12:13:14",
    FIELD_TYPE.VAR_STRING: "text",
}


@pytest.mark.parametrize("charset", ["utf8mb4", "latin1"])
@pytest.mark.parametrize("at", [0, 3, 9])
@pytest.mark.parametrize("kind", ODD)
def test_an_odd_value_amid_usual_ones_is_what_it_is_alone(kind, at, charset):
    odd = [*[value.encode() for value in ODD[kind]], None, b"\xff\xfe", b"\x81"]
    for value in odd:
        column = [USUAL[kind].encode()] * 10
        column[at] = value
        script = Script([(kind, 45), (FIELD_TYPE.LONG, 63)], [(each, b"1") for each in column])
        for look in (whole, one_by_one):
            right = [*look(plain([script], [10**6], charset=charset), 1)]
            assert [*look(ours([script], [10**6], charset=charset), 1)] == right, value


@pytest.mark.parametrize("behind", [b"", b"\x01x", b"\xfb", b"\xfd"])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_row_of_more_or_fewer_values_than_columns(width, behind):
    """PyMySQL leaves the ones out, and goes without the others."""

    class Odd(Script):
        def packets(self, deprecates_eof):
            for number, packet in enumerate(super().packets(deprecates_eof)):
                yield packet + behind if number == 9 else packet

    kinds = [(FIELD_TYPE.LONG, 63)] * 2
    rows = [(b"1", b"2")] * 20
    rows[13] = (b"1", b"2", b"3")[:width]
    scripts = [Odd(kinds, rows)]
    for look in (whole, one_by_one):
        right = [*look(plain(scripts, [10**6]), 1)]
        assert [*look(ours(scripts, [10**6]), 1)] == right


@pytest.mark.parametrize("size", [LONGEST - 20, LONGEST - 5, LONGEST - 4, LONGEST])
@pytest.mark.parametrize("first", [b"", None])
def test_a_row_that_fills_packets_is_read_whole(size, first):
    """Also where it fills the last one, and the one behind it is empty."""
    kinds = [(FIELD_TYPE.LONG_BLOB, 63), (FIELD_TYPE.LONG_BLOB, 63)]
    rows = [(b"a", b"b")] * 5
    rows += [(b"x" * size, first) if first is None else (first, b"x" * size)]
    scripts = [Script(kinds, [*rows, *rows[:5]])]
    for look in (whole, one_by_one):
        right = [*look(plain(scripts, [10**6]), 1)]
        assert [*look(ours(scripts, [10**6]), 1)] == right


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("sizes", [[10**6], [3]])
def test_rows_that_are_fingerprinted_are_those_that_came(unbuffered, sizes):
    kinds = [(FIELD_TYPE.LONG, 63), (FIELD_TYPE.VAR_STRING, 45)]
    rows = [(b"%d" % number, b"x" * number) for number in range(300)]
    connection = ours([Script(kinds, rows)], sizes, Fingerprinted)
    taken = connection.fingerprint = Fingerprint(ordered=True)
    look = one_by_one if unbuffered else whole
    assert len([*look(connection, 1)]) == (302 if unbuffered else 2)
    right = Fingerprint(ordered=True)
    for row in rows:
        right.add(b"".join(map(lenenc, row)))
    right.columns = taken.columns
    assert taken.columns
    assert taken.is_whole
    assert taken.same_as(right)


@NOT_THERE
def test_what_makes_other_rows_than_it_should_is_not_used(monkeypatch):
    compiled.maker.cache_clear()
    monkeypatch.setattr(compiled, "_MADE", (27, 1, [(12, None, b"\xc3\xa4b"), (-1, 1.0, "-")]))
    try:
        assert compiled.maker() is None
        look = whole(ours([Script(NUMBERS_ALONE, FEW)], [10**6]), 1)
        assert next(look)[0] == len(FEW)
    finally:
        compiled.maker.cache_clear()


def test_most_rows_are_made_by_compiled_code(made_by, monkeypatch):
    made = []
    this = threading.get_ident()  # a monitor may read rows, too

    def counting(*args):
        found = compiled.compiled_rows(*args)
        if threading.get_ident() == this:
            made.append(len(found[2]))
        return found

    if made_by == "compiled":
        monkeypatch.setattr(results, "compiled_rows", counting)
        [*whole(ours([Script(NUMBERS_ALONE, FEW)], [10**6]), 1)]
        assert sum(made) == len(FEW)


# In step with what comes.

FEW = [(b"%d" % number,) for number in range(1000)]
NUMBERS_ALONE = [(FIELD_TYPE.LONG, 63)]


@pytest.mark.parametrize("sizes", [[10**6], [7]])
def test_what_is_left_of_a_stream_is_passed_over_and_no_more(sizes):
    scripts = [Script(NUMBERS_ALONE, FEW, more=True), Script(NUMBERS_ALONE, FEW[7:9])]
    connection = ours(scripts, sizes)
    connection.due = 1
    connection._read_query_result(unbuffered=True)
    assert connection._result._read_rowdata_packet_unbuffered() == (0,)
    connection._result._finish_unbuffered_query()
    assert not connection._result.unbuffered_active
    assert connection._result.has_next
    connection.next_result()
    assert connection._result.rows == ((7,), (8,))
    assert connection._rfile.is_empty
    assert not connection.due


def test_no_row_is_given_of_a_connection_that_was_closed():
    """As with PyMySQL, also where it had come."""
    connection = ours([Script(NUMBERS_ALONE, FEW)], [10**6])
    connection.due = 1
    connection._read_query_result(unbuffered=True)
    result = connection._result
    assert result._read_rowdata_packet_unbuffered() == (0,)
    connection._force_close()
    with pytest.raises(pymysql.OperationalError, match="Lost connection"):
        result._read_rowdata_packet_unbuffered()


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("wrong", [3, 0])
def test_rows_out_of_step_end_the_connection(unbuffered, wrong):
    """The sequence number tells; 0 is that of a server's last word."""
    data = bytearray(stream([Script(NUMBERS_ALONE, FEW)], True))
    at = data.index(b"\x03\x00\x00" + bytes([13 & 0xFF]) + b"\x0210")
    data[at + 3] = wrong
    connection = wired(ours([], [1]), OwnPieces(bytes(data), [10**6]))
    connection.due = 1
    with pytest.raises(pymysql.MySQLError) as raised:
        connection._read_query_result(unbuffered=unbuffered)
        for number in range(10):
            assert connection._result._read_rowdata_packet_unbuffered() == (number,)
        connection._result._read_rowdata_packet_unbuffered()
    assert ("sequence" in str(raised.value)) == bool(wrong)
    assert connection._sock is None
    assert connection._rfile is None


@pytest.mark.parametrize("end", [OSError("gone"), TimeoutError("timed out"), KeyboardInterrupt()])
@pytest.mark.parametrize("unbuffered", [False, True])
def test_whatever_ends_the_wait_for_rows_ends_the_connection(unbuffered, end):
    class Ending(OwnPieces):
        def recv(self, most):
            if self.at == len(self.data):
                raise end
            return super().recv(most)

    whole = stream([Script(NUMBERS_ALONE, FEW)], True)
    connection = wired(ours([], [1]), Ending(whole[:2001], [500]))
    connection.due = 1
    kind = KeyboardInterrupt if isinstance(end, KeyboardInterrupt) else pymysql.OperationalError
    with pytest.raises(kind):
        connection._read_query_result(unbuffered=unbuffered)
        for number in range(1000):
            assert connection._result._read_rowdata_packet_unbuffered() == (number,)
    assert connection._sock is None


def test_a_connection_with_something_unread_has_ended_and_is_left_to_nobody():
    """Nothing comes unasked but a server's word of goodbye."""
    connection = ours([Script(NUMBERS_ALONE, FEW)], [10**6])
    connection.receive()
    assert not connection._rfile.is_empty
    assert connection.has_ended()
    assert connection.leave() is None
