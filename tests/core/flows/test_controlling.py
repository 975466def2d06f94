"""rwsplit's own variables: set, selected and shown as a server's are."""

import pytest

from rwsplit._core.cause import Cause
from rwsplit._core.cluster.policies import POLICIES
from rwsplit._core.flows.answer import EMPTY
from rwsplit._core.flows.command import Ask, Exchange, Share
from rwsplit._core.wire import Fault

from .harness import House, Result, Sharing, asks


@pytest.fixture
def house():
    return House()


def run(house, sql, *script):
    return house.run(house.journey.running(sql), *script)


def value(house, what, *script):
    return run(house, f"SELECT {what}", *script).made.rows[0][0]


# Setting.


def test_a_level_is_set_for_the_session(house):
    answer = run(house, "SET @@read_after_write_consistency = 'EVENTUAL'")
    assert answer.made is EMPTY
    assert answer.route.cause is Cause.ANSWERED
    assert house.terms.level == "eventual"
    assert not house.session.must_see


def test_a_level_shared_by_schema_makes_a_session_id_of_it(house):
    run(
        house,
        "SET @@read_after_write_consistency = 'INSTANCE'",
        asks(Share, Sharing(), key="database:shop"),
    )
    assert value(house, "@@read_after_write_consistency") == "INSTANCE"
    run(house, "SET @@read_after_write_consistency = 'SESSION'")
    assert house.identity.key is None
    assert value(house, "@@read_after_write_consistency") == "SESSION"


def test_a_policy_is_set_for_the_session(house):
    run(house, "SET @@read_write_splitting_policy = 'random'")
    assert house.chooser.policy is POLICIES["random"]
    assert value(house, "@@read_write_splitting_policy") == "random"


def test_splitting_is_switched_off_and_on(house):
    run(house, "SET @@read_write_splitting_policy = 'disable'")
    assert not house.terms.splits
    assert not house.session.may_be_free
    assert value(house, "@@read_write_splitting_policy") == "disable"
    run(house, "SET @@read_write_splitting_policy = DEFAULT")
    assert house.terms.splits
    assert house.session.transacts
    assert house.session.may_be_free


def test_who_switches_splitting_off_for_the_process_has_the_last_word(house):
    house.cluster.off = True
    run(house, "SET @@read_write_splitting_policy = 'random'")
    assert not house.terms.splits


def test_an_open_transaction_goes_on_as_it_began(house):
    house.open_transaction()
    run(house, "SET @@read_write_splitting_policy = 'disable'")
    assert house.session.transacts


def test_the_share_of_the_primary_is_what_the_ratio_leaves(house):
    run(house, "SET @@read_write_splitting_ratio = 80")
    assert house.terms.primary_share == pytest.approx(0.2)
    assert value(house, "@@read_write_splitting_ratio") == 80
    assert not house.session.may_be_free


def test_a_read_waits_as_long_as_is_said(house):
    run(house, "SET @@read_after_write_timeout = 2")
    assert house.chooser.max_wait == 2


def test_a_wait_takes_half_of_the_read_timeout_at_most(house):
    house.primary.connection.read_timeout = 1.0
    run(house, "SET @@read_after_write_timeout = 2")
    assert house.chooser.max_wait == 0.5


def test_a_bad_value_is_an_error_as_a_server_s(house):
    with pytest.raises(Fault) as caught:
        run(house, "SET @@read_write_splitting_ratio = 200")
    assert 1000 < caught.value.number < 2000


def test_what_is_set_globally_is_for_connections_to_come(house):
    run(house, "SET GLOBAL read_write_splitting_ratio = 80")
    assert house.terms.primary_share == 0
    assert value(house, "@@GLOBAL.read_write_splitting_ratio") == 80
    later = House()
    later.cluster.controls = house.cluster.controls
    later.run(later.journey.controlling.starting())
    assert later.terms.primary_share == pytest.approx(0.2)


def test_what_was_set_globally_is_as_at_first_again(house):
    run(house, "SET GLOBAL read_write_splitting_ratio = 80")
    run(house, "SET GLOBAL read_write_splitting_ratio = DEFAULT")
    assert value(house, "@@GLOBAL.read_write_splitting_ratio") == 100
    house.run(house.journey.controlling.starting())
    assert house.terms.primary_share == 0


# Showing.


def test_several_are_selected_at_once(house):
    answer = run(house, "SELECT @@read_write_splitting_policy, @@read_write_splitting_ratio AS r")
    assert answer.made.rows == [("round_robin", 100)]
    assert [name for name, _ in answer.made.columns][1] == "r"


def test_they_are_shown_among_the_server_s_own(house):
    theirs = Result([(b"time_zone", b"UTC"), (b"read_only", b"OFF")])
    # Its own tracking is the application's, not rwsplit's.
    shows_own, sql = asks(Ask, member=house.primary), "SHOW VARIABLES LIKE 'read_%'"
    answer = run(house, sql, shows_own, asks(Exchange, theirs, member=house.primary))
    names = [row[0] for row in answer.made.rows]
    assert b"read_only" in names
    assert "read_write_splitting_ratio" in [str(name).lower() for name in names]


def test_they_are_shown_alone_where_no_server_has_such(house):
    answer = run(house, "SHOW VARIABLES LIKE 'read_write_splitting_ratio'")
    assert [row[1] for row in answer.made.rows] == ["100"]
    assert answer.result is None


def test_plain_connections_have_none_of_them():
    house = House(replicas=())
    house.hold.revives = False
    run(house, "SELECT @@read_write_splitting_ratio", asks(Exchange, member=house.primary))
