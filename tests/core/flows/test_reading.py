"""A read on replicas: each thing that can become of it, one by one."""

import pytest

from rwsplit._core import wire
from rwsplit._core.cause import Cause
from rwsplit._core.cluster.place import Place
from rwsplit._core.flavors.positions import SHOWN_SQL
from rwsplit._core.flows.choosing import NOT_CAUGHT_UP, QUICKER
from rwsplit._core.flows.command import (
    Ask,
    AskAside,
    Claim,
    Connect,
    Exchange,
    LetGo,
    Open,
    Post,
    Settle,
    WaitAside,
)
from rwsplit._core.flows.reading import Aside, Read, Served, Unserved
from rwsplit._core.session.route import Destination, Route
from rwsplit._core.session.seen import FIRST_STAY
from rwsplit._core.sql.statement import Kind, because
from rwsplit._core.tracking import SESSION_STATE_CHANGED
from rwsplit._core.wire import Fault

from .harness import UUID, House, Result, about, asks, fails, lost, ran, reports, rows

PLACE = Place("mysql")

READS = Route(Destination.REPLICA, because(Kind.READ, "it reads"))
SQL = b"SELECT v FROM t"


@pytest.fixture
def house():
    return House(replicas=("r1",))


@pytest.fixture
def two():
    return House()


def reading(house, *script, route=READS, read=None, **others):
    flow = house.journey.reads.reading(route, read or Read(SQL), **others)
    return house.run(flow, *script)


def waits(command):
    return "WAIT_FOR_EXECUTED_GTID_SET" in str(command[-1])


# It is served.


def test_a_read_is_served_by_a_member(house):
    member = house.member("r1", at=1)
    served = reading(house, asks(Exchange, rows("1"), member=member, sql=SQL, before=[]))
    assert isinstance(served, Served)
    assert (served.member, served.waited, served.retries) == (member, 0.0, 0)


def test_a_member_is_opened_for_it(house):
    served = reading(house, asks(Open, replica=house.replica()), asks(Exchange, rows("1")))
    assert served.member.name == "r1"


def test_the_session_s_state_goes_first_in_the_same_round_trip(house):
    member = house.member("r1", at=1)
    house.state.set_variable("time_zone", "UTC")
    reading(
        house,
        asks(Exchange, rows("1"), before=["SET @@SESSION.`time_zone`='UTC'"], sql=SQL),
    )
    assert member.version == house.state.version


def test_what_texts_are_escaped_under_is_confirmed_before(house):
    house.member("r1", at=1)
    house.state.set_variable("sql_mode", "NO_BACKSLASH_ESCAPES")
    reading(
        house,
        asks(Exchange, before=lambda said: "sql_mode" in said[0], sql=None),
        asks(Exchange, rows("1"), before=[], sql=SQL),
    )


def test_a_member_that_does_not_take_the_state_is_left_aside(house):
    member = house.member("r1", at=1)
    house.state.set_variable("time_zone", "Europe/Nowhere")
    unserved = reading(house, asks(Exchange, ran(before=[fails(1298)])))
    assert isinstance(unserved, Unserved)
    assert house.chooser.aside["r1"] > house.clock()
    assert member.version != house.state.version


def test_what_it_told_is_what_the_next_must_see(house):
    house.member("r1", at=1)
    reading(house, asks(Exchange, ran(rows("1"), tails=[reports(gtids=f"{UUID}:1-6")])))
    assert house.session.seen.at == "r1"
    assert house.replica().position == house.at(6)


def test_what_shows_no_data_leaves_nothing_seen(house):
    house.member("r1", at=1)
    reading(house, asks(Exchange, rows("1")), route=READS._replace(shows_data=False))
    assert house.session.seen.at is None


# It waits.


def test_a_read_waits_for_what_the_session_wrote(house):
    house.member("r1", at=1)
    house.state.see(house.at(5))

    def takes_a_while(command):
        house.clock.now += 0.02
        return ran(rows("1"), [rows("0")])(command)

    served = reading(house, asks(Exchange, takes_a_while, before=waits, sql=SQL))
    assert served.waited == pytest.approx(0.02)
    assert house.replica().position == house.at(5)


def wrote(house, number):
    """Let the session have committed this just now."""
    house.state.has_committed(str(house.at(number)))


def test_how_long_a_read_waits_right_behind_a_commit_is_learned(house):
    house.member("r1", at=1)
    wrote(house, 5)

    def takes_a_while(command):
        house.clock.now += 0.02
        return ran(rows("1"), [rows("0")])(command)

    reading(house, asks(Exchange, takes_a_while, before=waits))
    assert house.replica().lag.left(0.0) == pytest.approx(0.02)


def test_a_read_does_not_wait_where_the_primary_is_quicker(house):
    house.member("r1", at=1)
    house.replica().lag.waited(0.0, 0.02, house.clock())
    wrote(house, 5)
    assert reading(house) == Unserved(QUICKER, 0.0, 0)


def test_behind_a_read_on_the_primary_it_is_not_even_asked_then(house):
    house.member("r1", at=1)
    house.replica().lag.waited(0.0, 0.02, house.clock())
    house.session.seen.read_on_primary(house.clock())
    assert reading(house) == Unserved(QUICKER, 0.0, 0)
    house.clock.now += 0.02
    reading(house, asks(Ask, about(house.told_at(1))), asks(Exchange, rows("1")))


def test_what_was_carried_here_may_be_old(house):
    house.member("r1", at=1)
    house.replica().lag.waited(0.0, 0.02, house.clock())
    house.cluster.process.note(str(house.at(3)))
    house.state.ask_for(house.at(5))
    served = reading(house, asks(Exchange, ran(rows("1"), [rows("0")]), before=waits))
    assert isinstance(served, Served)


def test_who_asks_for_a_replica_by_name_waits_for_it(house):
    house.member("r1", at=1)
    house.replica().lag.waited(0.0, 0.02, house.clock())
    wrote(house, 5)
    route = READS._replace(endpoint="r1")
    served = reading(house, asks(Exchange, ran(rows("1"), [rows("0")]), before=waits), route=route)
    assert isinstance(served, Served)


def test_a_trial_in_vain_says_nothing_against_the_replica(house):
    house.member("r1", at=1)
    house.replica().lag.waited(0.0, 0.02, house.clock())
    wrote(house, 5)
    house.clock.now += 60  # nobody has waited here for long
    house.cluster.process.noted_at = house.clock()
    house.journey.reads._looked_at = house.clock()
    house.journey.reads._looked_in = house.cluster.generation
    unserved = reading(house, asks(Exchange, ran(rows("1"), [rows("1")])))
    assert isinstance(unserved, Unserved)
    assert not house.replica().late


def test_a_wait_in_vain_leaves_it_to_the_primary(house):
    house.member("r1", at=1)
    house.state.see(house.at(5))
    house.journey.reads._looked_at = house.clock()
    house.journey.reads._looked_in = house.cluster.generation

    def is_late(command):
        house.clock.now += 0.1
        return ran(rows("1"), [rows("1")])(command)

    unserved = reading(
        house,
        asks(Exchange, is_late),
        asks(Ask, about(house.told_at(5)), member=house.primary),  # does the primary have it?
    )
    assert unserved.reason is NOT_CAUGHT_UP
    assert unserved.waited == pytest.approx(0.1)
    assert house.replica().late


def test_what_the_primary_itself_does_not_have_is_waited_for_no_more(house):
    house.member("r1", at=1)
    house.state.see(house.at(5))

    def is_late(command):
        house.clock.now += 0.05
        return ran(rows("1"), [rows("1")])(command)

    served = reading(
        house,
        asks(Exchange, is_late),
        asks(Ask, about(house.told_at(1)), member=house.primary),
    )
    assert isinstance(served, Unserved)
    assert house.state.position == house.at(1)
    assert not house.replica().late  # it has all that there is


def test_who_lacks_more_than_what_was_lost_is_late(house):
    house.member("r1", at=1)
    house.state.see(house.at(5))
    reading(
        house,
        asks(Exchange, ran(rows("1"), [rows("1")])),
        asks(Ask, about(house.told_at(4)), member=house.primary),
    )
    assert house.state.position == house.at(4)
    assert house.replica().late


def test_a_stream_waits_in_a_round_trip_of_its_own(house):
    house.member("r1", at=1)
    house.state.see(house.at(5))
    reading(
        house,
        asks(Exchange, ran(before=[rows("0")]), before=waits, sql=None),
        asks(Exchange, rows("1"), before=[], sql=SQL, unbuffered=True),
        read=Read(SQL, unbuffered=True),
    )


def test_a_fresh_member_that_has_it_needs_no_wait(house):
    house.state.see(house.at(5))

    def opens(command):
        house.replica("r1", at=5)
        return house.made("r1")

    reading(house, asks(Open, opens), asks(Exchange, rows("1"), before=[]))


# Its member is opened with it.


def test_a_fresh_member_is_opened_with_the_read(house):
    reading(house, asks(Open, along=True), asks(Exchange, rows("1"), before=[]))


@pytest.mark.parametrize(
    "read",
    [
        Read(b"SELECT 'it\\'s'"),
        Read("SELECT 'é'".encode()),
        Read(b"SELECT " + b"1" * (1 << 16)),
        Read(None),
    ],
    ids=["a backslash", "beyond ASCII", "too long", "nothing"],
)
def test_it_is_opened_alone_for_what_another_session_may_read_otherwise(house, read):
    reading(house, asks(Open, along=False), asks(Exchange, rows("1")), read=read)


def test_it_is_opened_alone_where_the_read_would_wait(house):
    house.member("r1", at=1)
    house.members.clear()
    house.state.see(house.at(5))
    reading(house, asks(Open, along=False), asks(Exchange, ran(rows("1"), [rows("0")])))


def test_a_wire_that_is_stale_is_no_loss(house):
    stale = Fault(2013, "Lost connection", wire.Kind.STALE)
    served = reading(
        house,
        asks(Open, along=True),
        asks(Exchange, stale),
        asks(Open, along=False),
        asks(Exchange, rows("1")),
    )
    assert served.retries == 0
    assert house.members.lost == ["r1"]


def test_a_wait_that_somebody_ends_ends_the_read(house):
    house.member("r1", at=1)
    house.state.see(house.at(5))
    with pytest.raises(Fault) as caught:
        reading(house, asks(Exchange, ran(before=[fails(1317, "interrupted")])))
    assert caught.value.number == 1317


# It fails.


def test_a_member_that_is_lost_leaves_it_to_a_fresh_one(house):
    house.member("r1", at=1)
    served = reading(house, asks(Exchange, lost()), asks(Open), asks(Exchange, rows("1")))
    assert served.retries == 1
    assert house.members.lost == ["r1"]


def test_a_replica_that_loses_a_fresh_one_too_is_tried_no_more(house):
    unserved = reading(house, asks(Open), asks(Exchange, lost()))
    assert isinstance(unserved, Unserved)
    assert unserved.retries == 1


def test_the_next_replica_is_tried(two):
    two.chooser.turn = 0
    served = reading(
        two,
        asks(Open, lost(2003, "no route"), replica=two.replica("r1")),
        asks(Open, replica=two.replica("r2")),
        asks(Exchange, rows("1")),
    )
    assert served.member.name == "r2"


def test_a_replica_without_room_is_passed_over_where_there_are_others(two):
    two.replica("r1").note_full(two.clock())
    two.chooser.turn = 0
    reading(two, asks(Open, replica=two.replica("r2")), asks(Exchange, rows("1")))


def test_an_error_of_a_replica_is_the_primary_s_to_say(house):
    house.member("r1", at=1)
    unserved = reading(house, asks(Exchange, fails()))
    assert unserved.error is not None
    assert unserved.reason.cause is Cause.REPLICA_ERROR
    assert house.journey.reads.refused_by is house.members["r1"]


def test_a_read_that_is_refused_as_a_write_is_none(house):
    house.member("r1", at=1)
    unserved = reading(house, asks(Exchange, fails(1792, "READ ONLY transaction")))
    assert unserved.refused


def test_a_read_that_its_owner_ends_is_over(house):
    house.member("r1", at=1)
    with pytest.raises(Fault) as caught:
        reading(house, asks(Exchange, fails(1317, "interrupted")))
    assert caught.value.number == 1317


def test_a_read_whose_connection_is_killed_twice_is_over(house):
    house.member("r1", at=1)
    kill = lost(1927, "Connection was killed")
    with pytest.raises(Fault) as caught:
        reading(house, asks(Exchange, kill), asks(Open), asks(Exchange, kill))
    assert caught.value.number == 1317


def test_a_read_whose_time_is_over_is_not_repeated(house):
    house.primary.connection.read_timeout = 1.0
    house.member("r1", at=1)

    def times_out(command):
        house.clock.now += 1.5
        raise lost()

    with pytest.raises(Fault) as caught:
        reading(house, asks(Exchange, times_out))
    assert caught.value.number == 1317
    assert not caught.value.is_lost


def test_a_repetition_has_the_time_that_is_left(house):
    house.primary.connection.read_timeout = 2.0
    house.member("r1", at=1)

    def times_out(command):
        house.clock.now += 1.5
        raise lost()

    reading(
        house,
        asks(Exchange, times_out, limit=None),
        asks(Open),
        asks(Exchange, rows("1"), limit=lambda limit: limit == pytest.approx(0.5)),
    )


def test_a_read_that_changes_its_session_is_none(house):
    house.member("r1", at=1)
    result = Result([("1",)], server_status=SESSION_STATE_CHANGED)
    unserved = reading(house, asks(Exchange, ran(result, tails=[reports(changed=True)])))
    assert unserved.refused
    assert house.members.lost == ["r1"]


def test_a_read_that_is_too_large_for_a_replica_is_the_primary_s(house):
    house.member("r1", at=1).connection.max_packet = 4
    unserved = reading(house)
    assert unserved.reason.cause is Cause.TOO_LARGE


# Nobody is asked.


def test_without_gtids_only_eventual_reads_are_split(house):
    house.cluster.topology.has_gtids = False
    assert reading(house).reason.cause is Cause.NO_GTIDS
    route = READS._replace(consistency="eventual")
    house.member("r1", at=1)
    assert isinstance(reading(house, asks(Exchange, rows("1")), route=route), Served)
    stale = route._replace(max_staleness=1.0)
    assert reading(house, route=stale).reason.cause is Cause.NO_GTIDS


def test_where_no_replica_may_serve_the_primary_is_not_asked_what_must_be_seen(house):
    house.state.lose_position()
    house.replica().unfit = "no"
    assert isinstance(reading(house), Unserved)


# What must be asked.


def test_a_global_read_asks_the_primary_first(house):
    house.member("r1", at=9)
    route = READS._replace(consistency="global")
    reading(house, asks(Ask, about(house.told_at(9))), asks(Exchange, rows("1")), route=route)
    assert house.cluster.last_seen() == house.at(9)


def test_a_position_that_is_not_known_is_asked(house):
    house.member("r1", at=9)
    house.state.lose_position()
    reading(house, asks(Ask, about(house.told_at(9))), asks(Exchange, rows("1")))
    assert house.state.position_known


def test_what_a_read_on_the_primary_saw_is_asked(house):
    house.member("r1", at=9)
    house.session.seen.read_on_primary()
    reading(house, asks(Ask, about(house.told_at(9))), asks(Exchange, rows("1")))
    assert not house.session.seen.on_primary
    assert house.session.seen.asked_late


def test_a_primary_that_is_amid_rows_is_asked_aside(house):
    house.member("r1", at=9)
    house.session.seen.read_on_primary()
    house.primary.connection.is_reading = True
    reading(house, asks(AskAside, lambda _: house.at(9)), asks(Exchange, rows("1")))


# Who has stayed on a replica for long.


def settled(flavor="mysql"):
    """A session that has read on r1 for so long that it looks for another."""
    house = House(flavor)
    member = house.member("r1", at=5)
    house.member("r2", at=3)
    for _ in range(FIRST_STAY + 2):
        house.session.seen.saw("r1", PLACE, b"", house.clock(), member)
    house.session.seen.moves = 1
    return house


def asks_what_was_shown(house, answer):
    (sql,) = [SHOWN_SQL[house.flavor]]
    member = house.members["r1"]
    return asks(Ask, about(answer), member=member, statements=[sql])


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_it_moves_to_one_that_has_what_was_shown(flavor):
    house = settled(flavor)
    shown = house.at(7)
    served = reading(
        house,
        asks_what_was_shown(house, house.told_at(7)),
        asks(
            Exchange,
            ran(rows("1"), [rows("0")]),
            member=house.members["r2"],
            before=lambda before: str(shown) in before[0],
        ),
    )
    assert served.member is house.members["r2"]
    assert house.session.seen.at == "r2"
    assert not house.session.seen.is_restless


def test_it_stays_where_the_other_does_not_have_it_in_time():
    house = settled()
    served = reading(
        house,
        asks_what_was_shown(house, house.told_at(7)),
        asks(Exchange, ran(rows("1"), [rows("1")]), member=house.members["r2"]),
        asks(Exchange, rows("1"), member=house.members["r1"], before=[]),
    )
    assert served.member is house.members["r1"]
    assert not house.replica("r2").late
    assert not house.session.seen.is_restless


def test_a_replica_that_does_not_log_can_t_tell_what_it_has_shown():
    house = settled("mariadb")
    reading(
        house,
        asks_what_was_shown(house, rows(None)),
        asks(Ask, about(house.told_at(9)), member=house.primary),
        asks(Exchange, ran(rows("1"), [rows("0")]), member=house.members["r2"]),
    )
    assert house.session.seen.at == "r2"


def test_where_nobody_can_tell_it_stays():
    house = settled("mariadb")
    away(house)
    reading(
        house,
        asks_what_was_shown(house, rows(None)),
        asks(Exchange, rows("1"), member=house.members["r1"], before=[]),
    )


def test_a_replica_that_is_lost_as_it_is_asked_leaves_it_to_the_primary():
    house = settled()
    house.chooser.turn = 1
    reading(
        house,
        asks_what_was_shown(house, lost()),
        asks(Ask, about(house.told_at(3)), member=house.primary),
        asks(Exchange, rows("1"), member=house.members["r2"]),
    )


def test_a_stream_that_is_not_read_yet_is_left_alone():
    house = settled()
    house.members["r1"].connection.is_reading = True
    reading(house, asks(Exchange, rows("1"), member=house.members["r1"]))


def away(house):
    house.primary.connection.open = False
    house.cluster.topology.primary_is_up = False


def test_a_global_read_is_nobody_s_while_the_primary_is_away(house):
    house.member("r1", at=9)
    away(house)
    unserved = reading(house, route=READS._replace(consistency="global"))
    assert unserved.reason.cause is Cause.PRIMARY_AWAY


def test_what_the_session_wrote_is_known_without_the_primary(house):
    house.member("r1", at=9)
    house.state.see(house.at(9))
    house.session.seen.read_on_primary()
    away(house)
    assert isinstance(reading(house, asks(Exchange, rows("1"))), Served)
    assert "may not have all" in house.cluster.warned[0]


def test_a_statement_whose_answer_was_lost_may_have_been_lost_with_it(house):
    house.member("r1", at=9)
    house.state.lose_position(unsure=True)
    away(house)
    assert isinstance(reading(house, asks(Exchange, rows("1"))), Served)


def test_what_may_have_been_committed_and_is_not_known_is_not_read_around(house):
    house.member("r1", at=9)
    house.state.lose_position()
    away(house)
    assert reading(house).reason.cause is Cause.PRIMARY_AWAY


def test_a_primary_whose_connection_was_lost_is_connected_to_again_and_asked(house):
    """It may have been killed, or closed for idling; the primary is there."""
    house.member("r1", at=9)
    house.state.lose_position()
    again = asks(Connect), asks(Ask), asks(Ask, about(house.told_at(9)))
    assert isinstance(reading(house, asks(Ask, lost()), *again, asks(Exchange, rows("1"))), Served)
    assert house.hold.drops == 1


def test_a_primary_that_is_lost_when_asked_and_not_there_again_is_away(house):
    house.member("r1", at=9)
    house.state.lose_position()
    lost_for_good = asks(Ask, lost()), asks(Connect, lost(2003, "no route"))
    assert reading(house, *lost_for_good).reason.cause is Cause.PRIMARY_AWAY


def test_a_primary_that_is_lost_whenever_it_is_asked_is_away(house):
    house.member("r1", at=9)
    house.state.lose_position()
    each = asks(Ask, lost()), asks(Connect), asks(Ask), asks(Ask, lost())
    assert reading(house, *each).reason.cause is Cause.PRIMARY_AWAY


def test_an_age_is_measured_by_samples(house):
    house.member("r1", at=3)
    route = READS._replace(consistency="eventual", max_staleness=1.0)
    reading(house, asks(Ask, about(house.told_at(3))), asks(Exchange, rows("1")), route=route)
    house.clock.now += 0.5
    reading(house, asks(Exchange, rows("1")), route=route)


def test_an_answer_is_as_old_as_its_question(house):
    """What was committed while the primary's answer was on its way may not be in it."""
    house.member("r1", at=3)

    def told_late(command):
        house.clock.now += 2.0
        return about(house.told_at(3))(command)

    everything = READS._replace(consistency="global")
    reading(house, asks(Ask, told_late), asks(Exchange, rows("1")), route=everything)
    bounded = READS._replace(consistency="eventual", max_staleness=1.0)
    reading(house, asks(Ask, about(house.told_at(3))), asks(Exchange, rows("1")), route=bounded)


# Letting go.


def let_go(house, *script):
    flow = house.journey.reads._let_go(house.state.position)
    return house.run(flow, *script)


def test_what_was_lost_with_a_primary_is_let_go_of_by_all(house):
    sharing = house.share()
    house.state.see(house.at(9))
    house.cluster.process.note(f"{UUID}:1-9")
    kept = let_go(house, asks(Ask, about(house.told_at(5))), asks(LetGo, sharing=sharing))
    assert kept == house.at(5)
    assert house.state.position == house.at(5)
    assert house.cluster.process.look(lambda: None).position == house.at(5)
    assert "the session lets go of them" in house.cluster.warned[0]


def test_what_the_primary_has_is_kept(house):
    house.state.see(house.at(9))
    assert let_go(house, asks(Ask, about(house.told_at(9)))) == house.at(9)
    assert not house.cluster.warned


def test_while_the_primary_is_away_nothing_is_let_go_of(house):
    house.state.see(house.at(9))
    away(house)
    assert let_go(house) == house.at(9)


# Snapshots.


def test_a_snapshot_that_could_not_be_opened_is_ended(house):
    house.member("r1", at=1)
    unserved = reading(
        house,
        asks(Exchange, fails(1205), before=["START TRANSACTION READ ONLY"]),
        asks(Post, sql="COMMIT"),
        read=Read(SQL, begin=("START TRANSACTION READ ONLY",)),
    )
    assert isinstance(unserved, Unserved)
    assert house.journey.reads.unsettled is house.members["r1"]


@pytest.mark.parametrize("fault", [fails(1205), fails(1146)])
def test_a_stream_that_fails_behind_its_wait_ends_its_snapshot(house, fault):
    member = house.member("r1", at=1)
    house.state.see(house.at(5))
    begin = "START TRANSACTION READ ONLY"
    unserved = reading(
        house,
        asks(Exchange, ran(before=[rows("0")]), before=lambda said: said[-1] == begin, sql=None),
        asks(Exchange, fault, before=[], sql=SQL),
        asks(Post, sql="COMMIT"),
        read=Read(SQL, unbuffered=True, begin=(begin,)),
    )
    assert isinstance(unserved, Unserved)
    assert house.journey.reads.unsettled is member


def test_what_a_snapshot_s_end_told_is_heard_before_the_next_read(house):
    member = house.member("r1", at=1)
    house.run(house.journey.reads.ending(member), asks(Post))
    reading(house, asks(Settle, member=member), asks(Exchange, rows("1")))
    assert house.journey.reads.unsettled is None


def test_a_member_that_is_lost_at_the_end_is_dropped(house):
    member = house.member("r1", at=1)
    house.run(house.journey.reads.ending(member), asks(Post, lost()))
    assert house.members.lost == ["r1"]
    member = house.member("r1", at=1)
    house.run(house.journey.reads.ending(member), asks(Post))
    house.run(house.journey.reads.settling(), asks(Settle, lost()))
    assert house.members.lost == ["r1", "r1"]


def test_a_snapshot_is_ended_once(house):
    snapshot = house.snapshot()
    house.run(house.journey.reads.ending_snapshot(), asks(Claim), asks(Post))
    house.run(house.journey.reads.ending_snapshot())
    assert not snapshot.is_open
    assert not snapshot.claimed


def in_snapshot(house, *script, route=READS, read=None):
    flow = house.journey.reads.reading_on(house.members["r1"], route, read or Read(SQL))
    return house.run(flow, *script)


def test_a_read_in_a_snapshot_is_served_there_or_not_at_all(house):
    house.member("r1", at=1)
    assert isinstance(in_snapshot(house, asks(Exchange, rows("1"))), Served)
    house.member("r1", at=1)
    unserved = in_snapshot(house, asks(Exchange, lost()))
    assert unserved.reason.cause is Cause.SNAPSHOT


def test_a_snapshot_that_shows_commits_must_show_the_session_s(house):
    house.member("r1", at=1)
    house.state.see(house.at(5))
    route = READS._replace(sees_commits=True)
    unserved = in_snapshot(
        house, asks(Exchange, ran(before=[rows("1")]), before=waits), route=route
    )
    assert unserved.reason is NOT_CAUGHT_UP


def test_a_snapshot_that_does_not_take_the_state_serves_nothing(house):
    house.member("r1", at=1)
    house.state.set_variable("time_zone", "Europe/Nowhere")
    unserved = in_snapshot(house, asks(Exchange, ran(before=[fails(1298)])))
    assert "did not take the session's state" in unserved.reason


# Waiting for a position.


def waiting(house, *script, seconds=1.0):
    return house.run(house.journey.reads.waiting_for(house.at(7), seconds), *script)


def test_who_waits_goes_on_to_the_next_replica(two):
    two.replica("r1", at=5)
    assert waiting(
        two,
        asks(WaitAside, [rows("1")], replica=two.replica("r1")),
        asks(WaitAside, [rows("0")], replica=two.replica("r2")),
    )


def test_a_replica_that_can_not_be_reached_is_passed_over(two):
    two.replica("r1", at=5)
    assert waiting(two, asks(WaitAside, lost(2003, "no")), asks(WaitAside, [rows("0")]))
    two.replica("r2").let_go(two.at(1), two.clock())
    assert not waiting(two, asks(WaitAside, Aside()), asks(WaitAside, Aside()))


def test_an_error_of_the_wait_is_raised(house):
    with pytest.raises(Fault):
        waiting(house, asks(WaitAside, fails(1227)))


# Gaps that others have filled.


def test_what_others_have_committed_between_its_own_is_waited_for_at_once(house):
    """Each interval takes its time, here and where a replica waits for it."""
    house.member("r1", at=1)
    house.cluster.note_sample(house.at(100), house.session.clock())
    for number in range(2, 120, 2):
        house.state.has_committed(f"{UUID}:{number}".encode())
    served = reading(
        house,
        asks(Exchange, ran(rows("1"), before=[rows("0")]), before=waits),
    )
    assert isinstance(served, Served)
    assert house.state.position.pieces < 12
    assert house.state.written.pieces < 12
    assert house.state.position.covers(house.at(100) - house.at(1))
