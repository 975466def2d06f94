"""Connecting to the primary again, as the same session, and waiting for one."""

import pytest

from rwsplit._core.cluster.position import parse_history
from rwsplit._core.flows.command import Ask, Connect, WaitForPrimary
from rwsplit._core.session.state import AUTOCOMMIT
from rwsplit._core.wire import Fault, Kind

from .harness import UUID, House, asks, fails, lost


@pytest.fixture
def house():
    found = House()
    found.primary.connection.open = False
    return found


def needing(house, **others):
    return house.journey.holding.needing(**others)


# Is there one?


@pytest.mark.parametrize("why", ["closed", "ended", "another generation"])
def test_a_connection_is_of_no_more_use(house, why):
    house.primary.connection.open = why != "closed"
    house.primary.connection.ended = why == "ended"
    if why == "another generation":
        house.fail_over()
    assert house.journey.holding.has_left()
    assert house.journey.holding.lacks_primary()


def test_a_connection_that_is_open_is_of_use(house):
    house.primary.connection.open = True
    assert not house.journey.holding.lacks_primary()
    assert house.cluster.used
    assert house.cluster.monitor.watched


def test_a_connection_that_is_not_revived_lacks_none(house):
    house.hold.revives = False
    assert not house.journey.holding.lacks_primary()


# Waiting.


def test_a_primary_that_is_there_is_connected_to(house):
    house.run(needing(house), asks(Connect), asks(Ask))
    assert house.primary.connection.open


def test_a_session_waits_for_a_primary(house):
    house.cluster.topology.primary_is_up = False

    def comes(command):
        house.cluster.topology.primary_is_up = True
        return True

    until = house.clock() + house.options.primary_wait
    house.run(
        needing(house),
        asks(WaitForPrimary, comes, generation=0, until=until),
        asks(Connect),
        asks(Ask),
    )


def test_who_has_waited_long_enough_is_told_of_every_endpoint(house):
    house.cluster.topology.primary_is_up = False
    with pytest.raises(Fault) as caught:
        house.run(needing(house), asks(WaitForPrimary, False))
    assert caught.value.number == 2003
    assert caught.value.kind is Kind.LOST
    for name in ("db: ", "r1: ", "r2: "):
        assert name in caught.value.text


@pytest.mark.parametrize(
    "fault", [lost(2003, "no route"), Fault(1040, "Too many connections", Kind.FULL)]
)
def test_a_primary_that_can_not_be_reached_now_is_waited_for(house, fault):
    house.run(
        needing(house),
        asks(Connect, fault),
        asks(WaitForPrimary, True, generation=0),
        asks(Connect),
        asks(Ask),
    )
    assert house.cluster.watch.told == [("failed", 0)]


def test_why_it_can_not_be_reached_is_told_in_the_end(house):
    with pytest.raises(Fault, match=r"db: \(2003\) no route"):
        house.run(
            needing(house), asks(Connect, lost(2003, "no route")), asks(WaitForPrimary, False)
        )


def test_a_primary_that_does_not_let_the_account_in_is_not_waited_for(house):
    denied = Fault(1045, "Access denied", Kind.DENIED)
    with pytest.raises(Fault) as caught:
        house.run(needing(house), asks(Connect, denied))
    assert caught.value is denied


def test_a_read_only_primary_is_no_primary_for_a_write(house):
    house.run(
        needing(house, writable=True),
        asks(Connect, lambda _: house.facts(read_only=True)),
        asks(Ask),
        asks(WaitForPrimary, True),
        asks(Connect),
        asks(Ask),
    )
    assert house.cluster.watch.told == [("read-only", 0)]


def test_a_read_only_primary_serves_a_read(house):
    house.run(needing(house), asks(Connect, lambda _: house.facts(read_only=True)), asks(Ask))


def test_a_session_that_can_not_go_on_does_not_wait(house):
    house.state.bind("user", "a user lock is held on the primary")
    with pytest.raises(Fault, match="a user lock is held"):
        house.run(needing(house))


def test_a_connection_that_is_closed_meanwhile_waits_no_more(house):
    house.cluster.topology.primary_is_up = False

    def closes(command):
        house.hold.ended = True
        return True

    with pytest.raises(Fault) as caught:
        house.run(needing(house), asks(WaitForPrimary, closes))
    assert caught.value.number == 0


# Having one now.


def having(house, *script):
    return house.run(house.journey.holding.having(), *script)


def test_a_primary_that_is_open_is_there(house):
    house.primary.connection.open = True
    assert having(house) is True


def test_a_primary_is_connected_to_once_and_not_waited_for(house):
    assert having(house, asks(Connect, lost(2003, "no route"))) is False
    assert house.cluster.watch.told == [("failed", 0)]


def test_a_primary_that_is_away_is_not_tried(house):
    house.cluster.topology.primary_is_up = False
    assert having(house) is False


def test_a_session_that_is_bound_can_not_have_another_connection(house):
    house.state.bind("user", "a user lock is held on the primary")
    assert having(house) is False


def test_an_error_that_is_none_of_the_way_tells_nothing_of_the_primary(house):
    assert having(house, asks(Connect, Fault(1045, "denied", Kind.DENIED))) is False
    assert house.cluster.watch.told == []


# As the same session.


def reconnecting(house, *script):
    return house.run(house.journey.holding.reconnecting(), *script)


def test_a_session_is_the_same_on_its_next_connection(house):
    house.state.set_variable("time_zone", "UTC")
    house.state.set_user_variable("a", "1")
    house.state.set_schema("other")
    said = []

    def takes(command):
        said.extend(command.statements)
        return []

    reconnecting(house, asks(Connect), asks(Ask, takes, member=house.primary))
    text = "\n".join(said)
    assert "`time_zone`='UTC'" in text
    assert "@`a`=1" in text
    assert "USE `other`" in text


def test_autocommit_is_restored(house):
    house.state.note_status(0)

    def takes(command):
        assert "SET autocommit=0" in command.statements
        house.primary.connection.server_status = 0
        return []

    reconnecting(house, asks(Connect), asks(Ask, takes))
    assert not house.state.status & AUTOCOMMIT


def test_autocommit_that_is_as_it_was_is_not_set(house):
    reconnecting(
        house, asks(Connect), asks(Ask, [], statements=lambda s: "SET autocommit=1" not in s)
    )


def test_the_level_of_the_next_transaction_is_set_again(house):
    level = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"
    house.state.next_transaction = level
    reconnecting(house, asks(Connect), asks(Ask, [], statements=lambda said: said[-1] == level))


def test_what_was_prepared_is_prepared_again(house):
    sql = b"PREPARE p FROM 'SELECT 1'"
    house.state.expect(house.statement(sql.decode()), sql=sql)
    reconnecting(house, asks(Connect), asks(Ask, [], statements=lambda said: sql in said))


def test_what_counts_on_the_primary_alone_is_set_again(house):
    for name, value in (
        ("transaction_read_only", "ON"),
        ("completion_type", "CHAIN"),
        ("binlog_row_image", "MINIMAL"),
        ("collation_database", "latin1_bin"),
    ):
        house.state.set_variable(name, value)
    house.state.set_variable("transaction_read_only", "OFF")
    assert not any("completion_type" in sql for sql in house.state.difference(0)[0])
    last = (
        "SET @@SESSION.`binlog_row_image`='MINIMAL',@@SESSION.`collation_database`='latin1_bin',"
        "@@SESSION.`completion_type`='CHAIN',@@SESSION.`transaction_read_only`='OFF'"
    )
    reconnecting(house, asks(Connect), asks(Ask, [], statements=lambda said: said[-1] == last))


def test_a_connection_that_does_not_take_the_session_is_dropped(house):
    with pytest.raises(Fault):
        reconnecting(house, asks(Connect), asks(Ask, [fails(1193, "Unknown system variable")]))
    assert house.hold.drops
    assert not house.primary.connection.open


def test_a_connection_that_is_open_is_dropped_first(house):
    house.primary.connection.open = True
    reconnecting(house, asks(Connect), asks(Ask))
    assert house.hold.drops == 1


def test_the_member_takes_the_name_of_the_next_primary(house):
    house.hold.name = "db2"
    reconnecting(house, asks(Connect), asks(Ask))
    assert house.primary.name == "db2"


def test_what_a_new_primary_does_not_have_is_let_go_of(house):
    house.state.see(house.at(9))
    house.cluster.process.note(f"{UUID}:1-9")
    house.fail_over()
    reconnecting(house, asks(Connect, lambda _: connected(house, at=5)), asks(Ask))
    assert house.state.position == house.at(5)
    assert house.cluster.process.look(lambda: None).position == house.at(5)
    assert any("were lost with the primary before" in said for said in house.cluster.warned)


def test_what_a_new_primary_has_is_still_to_be_seen(house):
    house.state.see(house.at(4))
    house.fail_over()
    reconnecting(house, asks(Connect, lambda _: connected(house, at=5)), asks(Ask))
    assert house.state.position == house.at(4)
    assert not house.cluster.warned


def test_the_same_primary_has_lost_nothing(house):
    house.state.see(house.at(9))
    reconnecting(house, asks(Connect, lambda _: connected(house, at=5)), asks(Ask))
    assert house.state.position == house.at(9)


def test_what_a_primary_without_gtids_has_nobody_can_tell(house):
    house.state.see(house.at(9))
    house.fail_over()
    facts = house.facts()._replace(history=None, position=None)
    reconnecting(house, asks(Connect, lambda _: connected(house, facts=facts)), asks(Ask))
    assert house.state.position == house.at(9)


def connected(house, at=None, facts=None):
    """What a hand does that connects."""
    house.primary.connection.open = True
    house.primary.connection.server_status = AUTOCOMMIT
    house.hold.generation = house.cluster.generation
    return facts or house.facts(at)


def test_a_history_is_no_position():
    assert parse_history("mysql", f"{UUID}:1-5").covers(House().at(5))
