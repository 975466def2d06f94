"""What the set-up of a connection tells, read."""

from rwsplit._core.cluster.position import parse_history, parse_position
from rwsplit._core.flavors.questions import ASK_PRIMARY, told_by_primary

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def facts(history):
    fields = [b"67108864", b"1", b"1", UUID.encode(), b"0", b"", b"", history]
    return [[b"\x1e".join(fields)]]


def test_what_a_primary_shows_and_has_not_told_of_yet_it_has():
    told = told_by_primary(facts(f"{UUID}:9#17,{UUID}:1-8".encode()))
    assert parse_history("mysql", told.history) == parse_position("mysql", f"{UUID}:1-9")
    sql = ASK_PRIMARY["mysql"]
    # Looked at first: none is missed on its way from there.
    assert sql.index("gtid_owned") < sql.index("gtid_executed")


def test_mariadb_tells_what_it_has_logged():
    told = told_by_primary(facts(b"0-1-7,0-2-8"))
    assert told.history == b"0-1-7,0-2-8"
