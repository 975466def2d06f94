"""PEP 249, clause by clause, through a virtual connection with two replicas.

The checks and their names follow the compliance suite that DB-API drivers share (`dbapi20.py`),
written for pytest. Every check runs on both flavors, with autocommit off (PEP 249's own way: all
on the primary) and on (reads on the replicas).
"""

import datetime
import time

import pytest

import rwsplit as driver

SAMPLES = ["Carlton Cold", "Carlton Draft", "Mountain Goat", "Redback", "Victoria Bitter", "XXXX"]


@pytest.fixture(params=[False, True], ids=["transactions", "autocommit"])
def con(request, connect, cluster):
    setup = connect()
    for name in ("booze", "barflys"):
        setup.cursor().execute(f"DROP TABLE IF EXISTS {name}")
    setup.cursor().execute("DROP PROCEDURE IF EXISTS deliver")
    return connect(autocommit=request.param)


@pytest.fixture
def cur(con):
    cursor = con.cursor()
    cursor.execute("CREATE TABLE booze (name VARCHAR(20))")
    return cursor


@pytest.fixture
def full(con, cur):
    for name in SAMPLES:
        cur.execute("INSERT INTO booze VALUES (%s)", (name,))
    con.commit()
    return cur


def test_globals():
    assert driver.apilevel == "2.0"
    assert driver.threadsafety in (0, 1, 2, 3)
    assert driver.paramstyle == "pyformat"


def test_exceptions():
    assert issubclass(driver.Warning, Exception)
    assert issubclass(driver.Error, Exception)
    assert issubclass(driver.InterfaceError, driver.Error)
    assert issubclass(driver.DatabaseError, driver.Error)
    for name in (
        *("OperationalError", "IntegrityError", "InternalError"),
        *("ProgrammingError", "NotSupportedError", "DataError"),
    ):
        assert issubclass(getattr(driver, name), driver.DatabaseError)


def test_exceptions_as_connection_attributes(con):
    for name in (
        *("Warning", "Error", "InterfaceError", "DatabaseError", "OperationalError"),
        *("IntegrityError", "InternalError", "ProgrammingError", "NotSupportedError"),
    ):
        assert getattr(con, name) is getattr(driver, name)


def test_commit_and_rollback(con):
    con.commit()
    con.rollback()


def test_cursor_isolation(con):
    """Cursors of one connection see each other's changes."""
    one, other = con.cursor(), con.cursor()
    one.execute("CREATE TABLE booze (name VARCHAR(20))")
    one.execute("INSERT INTO booze VALUES ('Victoria Bitter')")
    other.execute("SELECT name FROM booze")
    assert other.fetchall() == (("Victoria Bitter",),)


def test_description(con):
    cursor = con.cursor()
    cursor.execute("CREATE TABLE booze (name VARCHAR(20))")
    assert cursor.description is None, "a statement without rows has none"
    cursor.execute("SELECT name FROM booze")
    assert len(cursor.description) == 1
    assert len(cursor.description[0]) == 7
    assert cursor.description[0][0].lower() == "name"
    assert cursor.description[0][1] == driver.STRING
    cursor.execute("CREATE TABLE barflys (name VARCHAR(20))")
    assert cursor.description is None


def test_rowcount(con):
    cursor = con.cursor()
    assert cursor.rowcount == -1
    cursor.execute("CREATE TABLE booze (name VARCHAR(20))")
    assert cursor.rowcount in (-1, 0)
    cursor.execute("INSERT INTO booze VALUES ('Victoria Bitter')")
    assert cursor.rowcount == 1
    cursor.execute("SELECT name FROM booze")
    assert cursor.rowcount == 1


def test_callproc_and_nextset(con, full):
    con.cursor().execute(
        "CREATE PROCEDURE deliver(x INT) BEGIN SELECT COUNT(*) FROM booze; "
        "SELECT name FROM booze ORDER BY name; END"
    )
    cursor = con.cursor()
    assert cursor.callproc("deliver", (7,)) == (7,)
    assert cursor.fetchall() == ((len(SAMPLES),),)
    assert cursor.nextset()
    assert cursor.fetchall() == tuple((name,) for name in SAMPLES)
    while cursor.nextset():
        pass
    assert cursor.nextset() is None
    cursor.execute("SELECT @_deliver_0")
    assert cursor.fetchone() == (7,)


def test_close(con):
    cursor = con.cursor()
    con.close()
    with pytest.raises(driver.Error):
        cursor.execute("SELECT 1")
    with pytest.raises(driver.Error):
        con.commit()
    with pytest.raises(driver.Error):
        con.close()


def test_execute(con, cur):
    cur.execute("INSERT INTO booze VALUES ('Victoria Bitter')")
    cur.execute("INSERT INTO booze VALUES (%(beer)s)", {"beer": "Cooper's"})
    cur.execute("INSERT INTO booze VALUES (%s)", ("Cooper's",))
    cur.execute("SELECT name FROM booze ORDER BY name")
    assert [row[0] for row in cur.fetchall()] == ["Cooper's", "Cooper's", "Victoria Bitter"]


def test_executemany(con, cur):
    assert cur.executemany("INSERT INTO booze VALUES (%s)", [("Cooper's",), ("Boag's",)]) == 2
    cur.executemany(
        "INSERT INTO booze VALUES (%(beer)s)", [{"beer": "Cooper's"}, {"beer": "Boag's"}]
    )
    assert cur.rowcount == 2
    cur.execute("SELECT name FROM booze ORDER BY name")
    assert [row[0] for row in cur.fetchall()] == ["Boag's", "Boag's", "Cooper's", "Cooper's"]


def test_fetchone(con, cur):
    fresh = con.cursor()
    with pytest.raises(driver.Error):
        fresh.fetchone()
    cur.execute("SELECT name FROM booze")
    assert cur.fetchone() is None
    cur.execute("INSERT INTO booze VALUES ('Victoria Bitter')")
    cur.execute("SELECT name FROM booze")
    assert cur.fetchone() == ("Victoria Bitter",)
    assert cur.fetchone() is None


def test_fetchmany(con, full):
    with pytest.raises(driver.Error):
        con.cursor().fetchmany(4)
    full.execute("SELECT name FROM booze")
    assert len(full.fetchmany()) == 1
    full.arraysize = 10
    full.execute("SELECT name FROM booze")
    assert [len(full.fetchmany(3)) for _ in range(3)] == [3, 3, 0]
    full.arraysize = 4
    full.execute("SELECT name FROM booze")
    assert [len(full.fetchmany()) for _ in range(3)] == [4, 2, 0]
    full.arraysize = 6
    full.execute("SELECT name FROM booze")
    assert sorted(row[0] for row in full.fetchmany()) == SAMPLES
    full.execute("SELECT name FROM booze WHERE name = 'nothing'")
    assert len(full.fetchmany()) == 0


def test_fetchall(con, full):
    with pytest.raises(driver.Error):
        con.cursor().fetchall()
    full.execute("SELECT name FROM booze ORDER BY name")
    assert [row[0] for row in full.fetchall()] == SAMPLES
    assert len(full.fetchall()) == 0
    full.execute("SELECT name FROM booze WHERE name = 'nothing'")
    assert len(full.fetchall()) == 0


def test_mixedfetch(con, full):
    full.execute("SELECT name FROM booze ORDER BY name")
    rows = [full.fetchone(), *full.fetchmany(2), full.fetchone(), *full.fetchall()]
    assert [row[0] for row in rows] == SAMPLES
    assert full.rowcount == len(SAMPLES)


def test_iteration_and_scroll(con, full):
    full.execute("SELECT name FROM booze ORDER BY name")
    assert [name for (name,) in full] == SAMPLES
    full.scroll(1, "absolute")
    assert full.fetchone() == (SAMPLES[1],)
    full.scroll(1)
    assert full.fetchone() == (SAMPLES[3],)
    with pytest.raises(IndexError):
        full.scroll(100)


def test_arraysize_and_sizes(con):
    cursor = con.cursor()
    assert cursor.arraysize == 1
    cursor.setinputsizes((25,))
    cursor.setoutputsizes(1000)
    cursor.execute("SELECT 1")


def test_none(con, cur):
    cur.execute("INSERT INTO booze VALUES (%s)", (None,))
    cur.execute("SELECT name FROM booze")
    assert cur.fetchall() == ((None,),)


def test_type_constructors_and_objects():
    moment = time.mktime((2002, 12, 25, 13, 45, 30, 0, 0, 0))
    assert driver.Date(2002, 12, 25) == driver.DateFromTicks(moment)
    assert driver.Time(13, 45, 30) == driver.TimeFromTicks(moment)
    assert driver.Timestamp(2002, 12, 25, 13, 45, 30) == driver.TimestampFromTicks(moment)
    assert driver.Binary(b"x\0y") == b"x\0y"
    kinds = (driver.STRING, driver.BINARY, driver.NUMBER, driver.DATETIME, driver.ROWID)
    assert len({id(kind) for kind in kinds}) == 5


def test_types_come_back_as_they_went(con):
    values = (
        driver.Date(2002, 12, 25),
        driver.Timestamp(2002, 12, 25, 13, 45, 30),
        datetime.timedelta(hours=30, seconds=1),
        driver.Binary(bytes(range(256))),
        2**63 - 1,
        1.5,
        "naïve '\\\" 日本",
    )
    cursor = con.cursor()
    cursor.execute(
        "CREATE TABLE booze (a DATE, b DATETIME, c TIME, d BLOB, e BIGINT, f DOUBLE, "
        "g VARCHAR(40) CHARACTER SET utf8mb4)"
    )
    cursor.execute("INSERT INTO booze VALUES (%s, %s, %s, %s, %s, %s, %s)", values)
    cursor.execute("SELECT * FROM booze")
    assert cursor.fetchone() == values
    types = [column[1] for column in cursor.description]
    assert types[0] == driver.DATE
    assert types[3] == driver.BINARY
    assert types[4] == driver.NUMBER
