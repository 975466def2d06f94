"""What each road costs, counted: how many of rwsplit's own functions one statement calls.

A number does not hang on what else the machine does. Where one of these grows, a road has become
longer, or a statement has left it; where one shrinks, it is time to write the smaller number down.
"""

import gc
import statistics
import sys
import time
from pathlib import Path

import pytest

import rwsplit
from rwsplit.sandbox.pytest_plugin import FLAVORS
from tests.servers import servers_of_its_own

HERE = str(Path(rwsplit.__file__).parent)
READ = "SELECT v FROM t WHERE id = %s"
WRITE = "UPDATE t SET v = v + 1 WHERE id = %s"
ROUNDS = 15
PATIENCE = 15.0
"""Seconds within which a road is open: a replica of MySQL that advances is looked at for a moment,
and MariaDB's are known to have caught up once they were looked at."""

MOST = {
    "a read": {"mysql": 36, "mariadb": 36},
    "a read with literals": {"mysql": 40, "mariadb": 40},
    "a write": {"mysql": 40, "mariadb": 39},
    "a write, then a read": {"mysql": 303, "mariadb": 285},
    "two reads and COMMIT": {"mysql": 391, "mariadb": 374},
    "a transaction that writes": {"mysql": 213, "mariadb": 211},
    "BEGIN, a write and COMMIT": {"mysql": 158, "mariadb": 153},
    "a read under a session id": {"mysql": 38, "mariadb": 38},
    "a write under a session id": {"mysql": 66, "mariadb": 63},
    "a global read": {"mysql": 193, "mariadb": 197},
}
"""The calls of each road; a median of several, so one may be fewer or more."""


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request):
    """One of these tests' own: a replica with transactions that others left takes more calls."""
    with servers_of_its_own(request.param) as sandbox:
        yield sandbox


def roads(connect):
    """By name, a call that takes the road once."""
    usual, writer, both = connect().cursor(), connect().cursor(), connect().cursor()
    block, explicit = connect(autocommit=False), connect()
    writing = connect(autocommit=False)
    reader, sharer = (connect(session_id=name).cursor() for name in ("reads", "writes"))
    everything = connect(consistency="global").cursor()
    number = iter(range(10**6))

    def read(cursor):
        cursor.execute(READ, (1,))
        cursor.fetchone()

    def write(cursor):
        cursor.execute(WRITE, (2,))

    def write_and_read():
        write(both)
        read(both)

    def reads():
        cursor = block.cursor()
        read(cursor)
        read(cursor)
        block.commit()

    def read_and_write():
        cursor = writing.cursor()
        read(cursor)
        write(cursor)
        writing.commit()

    def begin_and_write():
        explicit.begin()
        write(explicit.cursor())
        explicit.commit()

    return {
        "a read": lambda: read(usual),
        "a read with literals": lambda: usual.execute(f"SELECT v FROM t WHERE id = {next(number)}"),
        "a write": lambda: write(writer),
        "a write, then a read": write_and_read,
        "two reads and COMMIT": reads,
        "a transaction that writes": read_and_write,
        "BEGIN, a write and COMMIT": begin_and_write,
        "a read under a session id": lambda: read(reader),
        "a write under a session id": lambda: write(sharer),
        "a global read": lambda: read(everything),
    }


def calls_of(run):
    """How many functions of rwsplit's own one run calls, generators that go on included."""
    count = 0

    def note(frame, event, arg):
        nonlocal count
        if event == "call" and frame.f_code.co_filename.startswith(HERE):
            # Python 3.12 has no calls for these any more.
            count += frame.f_code.co_name not in ("<listcomp>", "<setcomp>", "<dictcomp>")

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def usual_calls(run):
    """The calls of most runs."""
    gc.collect()
    gc.disable()  # what other tests left would be collected amid them
    try:
        return statistics.median_low([calls_of(run) for _ in range(ROUNDS)])
    finally:
        gc.enable()


@pytest.mark.parametrize("road", MOST)
def test_a_road_calls_no_more_than_it_did(cluster, connect, table, road):
    with cluster.connect(cluster.primary) as connection:
        connection.cursor().execute("INSERT INTO t VALUES (1, 1), (2, 2)")
    cluster.wait_caught_up()
    run = roads(connect)[road]
    for _ in range(30):
        run()
    most, until = MOST[road][cluster.flavor], time.monotonic() + PATIENCE
    while (found := usual_calls(run)) > most and time.monotonic() < until:
        time.sleep(0.1)
    assert found <= most
