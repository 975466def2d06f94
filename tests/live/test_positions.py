"""Position algebra beside the servers' own."""

import contextlib

import pymysql
import pytest
from hypothesis import HealthCheck, given, settings

from rwsplit._core.cluster.position import GtidList, GtidSet, encode
from rwsplit.sandbox import Sandbox
from tests.core.strategies import UUIDS, gtid_lists, gtid_texts

LAWS = settings(
    max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False
)


@pytest.fixture(scope="module")
def mysql():
    with Sandbox("mysql", replicas=0) as cluster, _admin(cluster) as cursor:
        yield cursor


@pytest.fixture(scope="module")
def mariadb():
    with Sandbox("mariadb", replicas=0) as cluster, _admin(cluster) as cursor:
        cursor.execute("RESET MASTER")
        yield cursor


@contextlib.contextmanager
def _admin(cluster):
    with contextlib.closing(cluster.admin(cluster.primary, autocommit=True)) as connection:
        yield connection.cursor()


def ask(cursor, sql, *args):
    cursor.execute(sql, args)
    return cursor.fetchone()[0]


@LAWS
@given(gtid_texts(), gtid_texts())
def test_gtid_sets_agree_with_gtid_subset_and_gtid_subtract(mysql, one, other):
    a, b = GtidSet.parse(one), GtidSet.parse(other)
    assert a.covers(b) == bool(ask(mysql, "SELECT GTID_SUBSET(%s, %s)", other, one))
    minus = ask(mysql, "SELECT GTID_SUBTRACT(%s, %s)", one, other)
    assert GtidSet.parse(minus) == a - b
    # What a server prints is what we print, but for its newlines.
    assert str(a) == ask(mysql, "SELECT GTID_SUBTRACT(%s, '')", one).replace("\n", "")
    both = ask(
        mysql, "SELECT GTID_SUBTRACT(%s, '')", f"{one},{other}" if one and other else one or other
    )
    assert GtidSet.parse(both) == a | b


@pytest.mark.parametrize(
    "text", ["", "x", f"{UUIDS[0]}:0", f"{UUIDS[0]}:1-2-3", f"{UUIDS[0]}:1:a-b:1", "0-1-2"]
)
def test_what_is_no_gtid_set_to_us_is_none_to_the_server(mysql, text):
    try:
        GtidSet.parse(text)
    except ValueError:
        with pytest.raises(pymysql.err.MySQLError):
            ask(mysql, "SELECT GTID_SUBTRACT(%s, '')", text)
    else:
        ask(mysql, "SELECT GTID_SUBTRACT(%s, '')", text)


@LAWS
@given(gtid_lists(), gtid_lists())
def test_gtid_lists_agree_with_master_gtid_wait(mariadb, at, wanted):
    def one_each(gtids):
        return GtidList.parse(
            ",".join(f"{d}-{s}-{n}" for d, s, n in {g[0]: g for g in gtids}.values())
        )

    at, wanted = one_each(at), one_each(wanted)
    mariadb.execute("SET GLOBAL gtid_slave_pos = %s", (str(at),))
    reached = ask(mariadb, "SELECT MASTER_GTID_WAIT(%s, 0)", str(wanted)) == 0
    assert GtidList.parse(ask(mariadb, "SELECT @@GLOBAL.gtid_slave_pos") or "") == at
    # The server looks at numbers alone: of one number by two servers we know that they differ.
    twins = any(
        (d, n) in {(e, m) for e, _, m in at} and (d, s, n) not in {*at} for d, s, n in wanted
    )
    assert at.covers(wanted) == (reached and not twins), (at, wanted, encode(at))
