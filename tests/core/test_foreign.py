"""What rwsplit makes of a wrapped driver's errors and results, and the names it builds on."""

import inspect
import pickle
import types

import pytest

import rwsplit
from rwsplit._core.tracking import only_gtid, parse_tails
from rwsplit._drivers import err
from rwsplit._drivers.foreign import application_error, driver_of
from rwsplit._drivers.foreign.driver import house_error
from rwsplit._drivers.foreign.native import Native
from rwsplit._drivers.foreign.results import Answered, MadeRows, Renamed, Stream

# Not on every Python that the core is tested on.
MySQLdb = pytest.importorskip("MySQLdb")
pytest.importorskip("MySQLdb.cursors")
pytest.importorskip("MySQLdb.connections")
DRIVER = driver_of(MySQLdb)


# Errors.


@pytest.mark.parametrize("name", ["IntegrityError", "OperationalError", "ProgrammingError"])
def test_an_error_comes_back_as_what_it_was(name):
    error = getattr(MySQLdb, name)(1062, "Duplicate entry")
    here = house_error(DRIVER, error)
    assert type(here) is getattr(err, name)
    assert here.args == error.args
    assert application_error(DRIVER, here) is error


def test_one_of_rwsplits_own_is_of_the_drivers_class_too():
    unknown = rwsplit.OutcomeUnknown(2013, "lost", "db1", None)
    error = application_error(DRIVER, unknown)
    assert isinstance(error, MySQLdb.OperationalError)
    assert isinstance(error, rwsplit.OutcomeUnknown)
    assert (error.args, error.endpoint) == ((2013, "lost"), "db1")


def test_a_closed_connection_is_the_drivers():
    error = application_error(DRIVER, err.InterfaceError(0, ""))
    assert type(error) is MySQLdb.OperationalError
    assert error.args == (2006, "")


def test_an_error_that_rwsplit_makes_is_of_the_drivers_class():
    error = application_error(DRIVER, err.NotSupportedError(1235, "no"))
    assert type(error) is MySQLdb.NotSupportedError
    assert pickle.loads(pickle.dumps(error)).args == (1235, "no")


# What is wrapped.


def test_a_driver_is_known_by_its_module_its_connect_and_its_connection():
    assert driver_of(MySQLdb.connect) is DRIVER
    for other in (None, 1, "MySQLdb", inspect, rwsplit, rwsplit.connect, print):
        assert driver_of(other) is None, other


@pytest.mark.parametrize(
    ("package", "name"),
    [("asyncmy", "asyncmy"), ("mariadb", "mariadb"), ("aiomysql", "aiomysql")],
)
def test_a_driver_that_can_not_be_wrapped_is_named(package, name):
    module = types.ModuleType(package)
    cls = type("MySQLConnection", (), {"__module__": f"{package}.connection"})
    for what in (module, cls, cls()):
        with pytest.raises(TypeError, match=f"can't wrap {name}.*it can PyMySQL, "):
            rwsplit.wrap(what, primary="db1")
    with pytest.raises(TypeError, match=f"returned a connection of {name}"):
        rwsplit.wrap(lambda endpoint: cls(), primary="db1")()


# Reports.


class Library:
    """Connector/C, with a list of what a server has reported."""

    def __init__(self, **reported):
        self.reported = {int(kind[1:]): [*values] for kind, values in reported.items()}
        self.mariadb_get_infov = self.mysql_thread_id = None
        self.mysql_session_track_get_first = self.mysql_session_track_get_next = self._next

    def _next(self, mysql, kind, data, length):
        import ctypes

        if not self.reported.get(kind):
            return 1
        value = self.reported[kind].pop(0)
        self.kept = ctypes.create_string_buffer(value, len(value) or 1)
        data._obj.value, length._obj.value = ctypes.addressof(self.kept), len(value)
        return 0


def reported(**kinds):
    return Native(Library(**kinds), 1).report()


def test_a_commit_is_read_as_from_the_wire():
    gtid = b"88c36cae-ec0d-11f1-8962-02fc00000001:6"
    assert only_gtid(reported(_0=[b"statement_id", b"45"], _3=[gtid], _5=[b"T_______"])) == gtid
    assert only_gtid(reported(_0=[b"last_gtid", b"0-1-8"])) == b"0-1-8"


def test_all_that_is_reported_is_read_as_from_the_wire():
    tail = reported(
        _0=[b"sql_mode", b"A" * 300, b"time_zone", b"UTC"], _1=[b"shop"], _2=[b"1"], _4=[b""]
    )
    (changes,) = parse_tails([tail])
    assert changes.variables == (("sql_mode", "A" * 300), ("time_zone", "UTC"))
    assert (changes.schema, changes.state_changed, changes.characteristics) == ("shop", True, "")


# Results.


class Handle:
    """A result of the driver's."""

    def __init__(self, *rows):
        self.rows = [*rows]
        self.is_discarded = False

    def describe(self):
        return (("v", 3, 1, 1, 1, 0, 0),)

    def fetch_row(self, most, how):
        end = most or len(self.rows)
        rows, self.rows[:end] = self.rows[:end], []
        return tuple(rows)

    def discard(self):
        self.is_discarded = True


def test_a_stream_is_over_when_fewer_rows_come_than_were_asked_for():
    ended = []
    stream = Stream(Handle((1,), (2,), (3,)), ended.append)
    answer = Answered(stream, None, 2)
    assert answer.hand_over() is stream
    assert stream.fetch_row(3) == ((1,), (2,), (3,))
    assert answer.unbuffered_active
    assert stream.fetch_row(1) == ()
    assert not answer.unbuffered_active
    assert ended == [None]
    assert stream.fetch_row(1) == ()


def test_a_stream_that_its_cursor_lets_go_of_is_over():
    stream = Stream(Handle((1,)), lambda error: None)
    answer = Answered(stream, None, 2)
    answer.hand_over()
    assert answer.unbuffered_active
    del stream
    assert not answer.unbuffered_active


def test_a_stream_that_fails_is_over():
    class Lost(Handle):
        def fetch_row(self, most, how):
            raise MySQLdb.OperationalError(2013, "lost")

    ended = []
    stream = Stream(Lost(), ended.append)
    with pytest.raises(MySQLdb.OperationalError):
        stream.fetch_row(1)
    assert stream.is_over
    assert ended[0].args == (2013, "lost")


def test_a_made_result_is_read_as_a_servers():
    made = MadeRows([("name", True), ("n", False)], [("a", 1), ("b", 2), ("c", 3)])
    assert [column[:2] for column in made.describe()] == [("name", 253), ("n", 8)]
    assert len(made.field_flags()) == 2
    assert made.fetch_row() == (("a", 1),)
    assert made.fetch_row(0, 1) == ({"name": "b", "n": 2}, {"name": "c", "n": 3})
    assert made.fetch_row(0) == ()


def test_columns_get_other_names():
    renamed = Renamed(Handle((1,)), [("w", 3, 1, 1, 1, 0, 0)])
    assert renamed.describe()[0][0] == "w"
    assert renamed.fetch_row(0, 0) == ((1,),)


# The names of mysqlclient that are built on.


def test_a_cursor_asks_its_connection_for_all():
    source = inspect.getsource(MySQLdb.cursors.BaseCursor)
    assert "db.query(q)" in inspect.getsource(MySQLdb.cursors.BaseCursor._query)
    for name in ("affected_rows", "insert_id", "warning_count", "next_result"):
        assert f".{name}()" in source
    assert "store_result()" in inspect.getsource(MySQLdb.cursors.CursorStoreResultMixIn)
    assert "use_result()" in inspect.getsource(MySQLdb.cursors.CursorUseResultMixIn)


def test_the_extension_has_what_the_driver_calls():
    for name in (
        *("_get_native_connection", "send_query", "read_query_result", "store_result"),
        *("use_result", "next_result", "converter", "fileno", "get_autocommit", "field_count"),
    ):
        assert hasattr(MySQLdb._mysql.connection, name), name


def test_every_keyword_of_mysqlclient_is_known():
    source = inspect.getsource(MySQLdb.connections.Connection.__init__)
    told = {
        line.split(":param ")[1].split(":")[0].split()[-1]
        for line in source.splitlines()
        if ":param " in line
    }
    assert told <= DRIVER.keywords
