"""Where a statement goes, with what must be asked for that."""

import pytest

from rwsplit._core.flows.command import Ask, Connect, Look
from rwsplit._core.flows.deciding import PRIMARYS_SHARE
from rwsplit._core.session.route import Destination
from rwsplit._core.sql.statement import Hint

from .harness import House, Stored, about, asks, rows

READ = "SELECT v FROM t"


@pytest.fixture
def house():
    return House()


def deciding(house, sql, *script, **others):
    underway = house.underway(sql)
    underway.statement = house.session.hinted(underway.statement)
    return house.run(house.journey.deciding.deciding(underway, **others), *script)


def test_a_read_goes_to_a_replica(house):
    assert deciding(house, READ).destination is Destination.REPLICA


def test_a_write_asks_nobody(house):
    house.state.doubt_variable("time_zone")
    assert deciding(house, "UPDATE t SET v = 1").destination is Destination.PRIMARY


def test_a_read_that_hangs_on_what_is_not_known_has_it_asked(house):
    house.state.doubt_variable("time_zone")
    decision = deciding(house, READ, asks(Ask, about(rows("UTC")), member=house.primary))
    assert decision.destination is Destination.REPLICA


def test_what_is_then_known_may_bind_it(house):
    house.state.note_hearsay(house.statement("UPDATE t SET v = 1"))
    house.state.tables_made = 0
    made = rows("Com_create_table", "3")
    decision = deciding(house, READ, asks(Ask, about(made)))
    assert decision.destination is Destination.PRIMARY
    assert "temporary table" in decision.reason


def test_where_no_reads_are_split_nothing_is_asked():
    house = House(reads="primary")
    house.state.doubt_variable("time_zone")
    deciding(house, READ)


def test_others_of_the_session_id_are_looked_at(house):
    house.share()
    decision = deciding(house, READ, asks(Look, Stored(house.at(3))))
    assert decision.destination is Destination.REPLICA
    assert house.state.position == house.at(3)


# The primary's share.


def test_the_primary_serves_its_share():
    house = House(primary_share=0.6)
    assert deciding(house, READ).reason is PRIMARYS_SHARE
    house.cluster.dice.value = 0.7
    assert deciding(house, READ).destination is Destination.REPLICA


def test_a_read_in_a_snapshot_is_not_of_the_share():
    house = House(primary_share=1.0)
    assert deciding(house, READ, in_snapshot=True).destination is Destination.REPLICA


def test_a_primary_that_is_away_has_no_share():
    house = House(primary_share=1.0)
    house.cluster.topology.primary_is_up = False
    assert deciding(house, READ).destination is Destination.REPLICA


def test_a_primary_whose_connection_has_ended_is_connected_to_for_its_share():
    house = House(primary_share=1.0)
    house.primary.connection.ended = True
    decision = deciding(house, READ, asks(Connect), asks(Ask))
    assert decision.reason is PRIMARYS_SHARE


def test_who_asks_for_a_replica_is_not_of_the_share():
    house = House(primary_share=1.0)
    house.session.ask(Hint(route="replica"), only_reads=False)
    assert deciding(house, READ).destination is Destination.REPLICA


@pytest.mark.parametrize("sends", [True, False])
def test_a_rule_that_sends_a_read_goes_before_the_share(sends):
    house = House(primary_share=1.0)

    class Rule:
        def applied(self, statement, decision):
            return decision

    Rule.sends = sends
    underway = house.underway(READ, rule=Rule())
    assert house.run(house.journey.deciding.primarys_share(underway)) is not sends
