"""What a replica has made itself: errant, or what all others will have."""

import pytest

from rwsplit._core.cluster import joining
from rwsplit._core.cluster.endpoint import Endpoint
from rwsplit._core.cluster.errant import are_unknown, note_errant
from rwsplit._core.cluster.position import BinlogState, GtidList, GtidSet, parse_history
from rwsplit._core.cluster.server import Server
from rwsplit._core.cluster.topology import Topology

DB1, DB2, DB3 = (f"{digit * 8}-0000-0000-0000-000000000000" for digit in "123")
NOW = 1000.0


def gtids(text):
    for number, uuid in enumerate((DB1, DB2, DB3), 1):
        text = text.replace(f"db{number}", uuid)
    return GtidSet.parse(text)


def made(server, at, primary):
    """It was seen at a place, and then the primary was seen."""
    server.note_position(at, NOW)
    note_errant(server, DB2, at, primary)


@pytest.fixture
def replica():
    return Server(Endpoint("db2", "db2", 3306), "mysql")


def test_nothing_of_its_own_is_no_question(replica):
    assert not are_unknown(replica, DB2, gtids("db1:1-5"), gtids("db1:1-3"))


def test_what_it_made_itself_is_one_until_the_primary_was_seen_to_lack_it(replica):
    at, primary = gtids("db1:1-5,db2:1-2"), gtids("db1:1-7")
    assert are_unknown(replica, DB2, at, primary)
    made(replica, at, primary)
    assert replica.errant == gtids("db2:1-2")
    assert not are_unknown(replica, DB2, at, primary)
    more = gtids("db1:1-5,db2:1-3")
    assert are_unknown(replica, DB2, more, primary)


def test_what_it_made_as_the_primary_of_before_the_primary_has(replica):
    at, primary = gtids("db1:1-5,db2:1-9"), gtids("db1:1-7,db2:1-9")
    assert not are_unknown(replica, DB2, at, primary)
    made(replica, at, primary)
    assert not replica.errant


def test_what_others_made_is_not_its_own(replica):
    made(replica, gtids("db1:1-5,db3:1"), gtids("db1:1-5"))
    assert not replica.errant


def test_tags_are_its_own_too(replica):
    made(replica, gtids("db1:1-5,db2:app:1"), gtids("db1:1-5"))
    assert replica.errant == gtids("db2:app:1")


def test_a_replica_that_began_anew_gives_the_same_numbers_again(replica):
    at, primary = gtids("db1:1-5,db2:1-3"), gtids("db1:1-5")
    made(replica, at, primary)
    assert not replica.reset_position(gtids("db1:1-4,db2:1"), at, NOW)
    assert replica.errant == gtids("db2:1")
    note_errant(replica, DB2, at, primary)
    assert replica.errant == gtids("db2:1"), "it was there before it began anew"


def test_mariadb_has_none(replica):
    history = parse_history("mariadb", "0-1-5")
    assert isinstance(history, BinlogState)
    assert not are_unknown(replica, "2", GtidList.parse("0-2-7"), history)
    note_errant(replica, "2", GtidList.parse("0-2-7"), history)
    assert not replica.errant
    replica.let_go(GtidList.parse("0-1-3"), NOW)
    assert not replica.errant


def test_who_connects_asks_the_primary_once():
    topology = Topology(
        Endpoint("db1", "db1", 3306, role="primary"), [Endpoint("db2", "db2", 3306)]
    )
    topology.history = gtids("db1:1-9")
    replica, at = topology.servers["db2"], gtids("db1:1-8,db2:1")
    assert joining.is_in_doubt(topology, replica, DB2, None, at)
    made(replica, at, topology.history)
    assert not joining.is_in_doubt(topology, replica, DB2, None, at)
    assert not joining.why_not(topology, replica, DB2, None, at, knows=True, now=NOW)
