"""What an application does by methods of the connection."""

import pytest

from rwsplit._core.cause import Cause, Reason
from rwsplit._core.cluster.place import Place
from rwsplit._core.flows.command import (
    Ask,
    AskAside,
    ByMethod,
    Connect,
    FinishPrevious,
    Look,
    Publish,
    ReportLate,
    Share,
    WaitAside,
    WaitForPrimary,
)
from rwsplit._core.session.state import AUTOCOMMIT, IN_TRANSACTION
from rwsplit._core.wire import Fault, UnknownOutcome

from .harness import (
    OK,
    UUID,
    House,
    Result,
    Sharing,
    Stored,
    about,
    asks,
    did,
    fails,
    lost,
    reports,
    rows,
)

PLACE = Place("mysql")


@pytest.fixture
def house():
    return House()


# The schema.


def test_a_schema_is_selected_on_the_primary_and_known(house):
    answer = house.run(
        house.methods.selecting("other", None, changes=True),
        asks(ByMethod, member=house.primary, method="select_db", arguments=("other",)),
    )
    assert house.state.schema == "other"
    assert answer.result is None


def test_a_session_id_behind_its_name_is_taken(house):
    house.run(
        house.methods.selecting("shop", "a", changes=False),
        asks(Share, Sharing(), key="provided:a"),
    )
    assert house.identity.shared_id == "a"


def test_a_schema_that_is_not_there_changes_nothing(house):
    with pytest.raises(Fault):
        house.run(house.methods.selecting("other", None, changes=True), asks(ByMethod, fails(1049)))
    assert house.state.schema == "shop"


# The character set.


def test_a_character_set_that_was_not_sent_has_changed_nothing(house):
    with pytest.raises(Fault):
        house.run(house.methods.encoding("latin1", None), asks(ByMethod, fails()))
    assert not house.state.unread


def test_a_character_set_is_in_doubt_until_it_is_reported(house):
    tail = reports(
        variables={
            "character_set_client": "latin1",
            "character_set_results": "latin1",
            "collation_connection": "latin1_swedish_ci",
        }
    )
    house.run(
        house.methods.encoding("latin1", None),
        asks(ByMethod, did(None, tails=[tail]), arguments=("latin1", None)),
    )
    assert not house.state.unread
    assert house.state.value("character_set_client") == "latin1"


# Autocommit.


def test_autocommit_is_switched_off(house):
    house.run(
        house.methods.switching(False),
        asks(ByMethod, did(None, server_status=0), method="autocommit", arguments=(False,)),
    )
    assert not house.state.status & AUTOCOMMIT


def test_switching_autocommit_on_may_commit_what_is_then_unknown(house):
    house.set_status(IN_TRANSACTION)
    with pytest.raises(Fault) as caught:
        house.run(house.methods.switching(True), asks(ByMethod, lost()))
    assert caught.value.is_lost


# Results.


def test_the_next_result_is_learned_from(house):
    result = Result(has_next=False)
    tail = reports(gtids=f"{UUID}:1-7")
    found = house.run(
        house.methods.going_on(False),
        asks(ByMethod, did(None, tails=[tail], result=result), method="next_result"),
    )
    assert found is result
    assert house.state.position == house.at(7)
    assert not house.session.owed.pending


@pytest.mark.parametrize("has_next", [False, True])
def test_what_results_committed_is_told_behind_the_last_one(house, has_next):
    sharing = house.share()
    sharing.is_open = True
    published = [] if has_next else [asks(Publish, sharing=sharing, position=house.at(7))]
    tail = reports(gtids=f"{UUID}:1-7")
    house.run(
        house.methods.going_on(False),
        asks(ByMethod, did(None, tails=[tail], result=Result(has_next=has_next))),
        *published,
    )


def test_a_next_result_that_is_an_error_leaves_all_in_doubt(house):
    with pytest.raises(Fault):
        house.run(house.methods.going_on(False), asks(ByMethod, fails()), asks(ReportLate, False))
    assert not house.state.position_known
    assert house.state.suspect


def test_the_next_result_of_a_replica_tells_nothing_of_the_session(house):
    member = house.member()
    house.session.followed.note_last(member)
    with pytest.raises(Fault):
        house.run(house.methods.going_on(False), asks(ByMethod, fails(), member=member))
    assert house.state.position_known


# A ping.


def test_a_ping_asks_the_primary(house):
    house.run(house.methods.pinging(), asks(ByMethod, method="ping"))


def test_a_ping_connects_again(house):
    house.primary.connection.ended = True
    house.run(house.methods.pinging(), asks(Connect), asks(Ask), asks(ByMethod))


def test_a_ping_is_answered_where_reads_go_on(house):
    house.primary.connection.ended = True
    house.cluster.topology.primary_is_up = False
    house.run(house.methods.pinging())


def test_a_ping_waits_where_nobody_is_there():
    house = House(replicas=())
    house.primary.connection.ended = True
    house.cluster.topology.primary_is_up = False
    with pytest.raises(Fault) as caught:
        house.run(house.methods.pinging(), asks(WaitForPrimary, False))
    assert caught.value.number == 2003


def test_a_ping_tells_of_a_lost_transaction(house):
    house.open_transaction()
    with pytest.raises(Fault):
        house.run(house.methods.pinging(), asks(ByMethod, lost()))
    assert house.session.transaction.lost


def test_a_ping_on_a_plain_connection_is_the_driver_s(house):
    house.hold.revives = False
    with pytest.raises(Fault) as caught:
        house.run(house.methods.pinging(), asks(ByMethod, lost()))
    assert not house.hold.drops
    assert not isinstance(caught.value, UnknownOutcome)


# Warnings.


def test_warnings_come_behind_what_is_pending(house):
    house.session.owed.note_pending(True)
    found = house.run(
        house.methods.showing_warnings(), asks(FinishPrevious), asks(ByMethod, did(()))
    )
    assert found == ()


# The protocol itself.


def test_who_speaks_the_protocol_itself_stays_on_the_primary(house):
    why = Reason("the application speaks the protocol itself", Cause.SWITCHED_OFF)
    house.run(house.methods.handing_over(why))
    assert not house.terms.splits
    assert not house.session.transacts
    assert not house.session.is_free()
    assert house.state.bound == why
    assert not house.state.position_known


# Positions.


def position(house, *script):
    return house.run(house.methods.knowing_position(), *script)


def test_a_position_is_all_that_was_written_and_seen(house):
    house.state.see(house.at(3))
    house.session.seen.see(house.at(5))
    assert position(house) == house.at(5)


@pytest.mark.parametrize("why", ["unknown", "pending", "on the primary", "untold"])
def test_a_position_that_nobody_told_is_asked(house, why):
    if why == "unknown":
        house.state.lose_position()
    house.session.owed.note_pending(why == "pending")
    if why == "on the primary":
        house.session.seen.read_on_primary()
    if why == "untold":
        house.session.seen.saw("r1", PLACE, b"", 1.0, None)
    assert position(house, asks(AskAside, lambda _: house.at(9), hastily=False)) == house.at(9)


def test_others_of_the_session_id_and_of_the_process_belong_to_it(house):
    house.share()
    assert position(house, asks(Look, Stored(house.at(4)))) == house.at(4)
    alone = House()
    alone.cluster.process.note(f"{UUID}:1-6")
    assert position(alone) == alone.at(6)


def test_waiting_for_a_position_asks_reads_to_see_it(house):
    house.replica("r1", at=7)
    assert house.run(house.methods.waiting(house.at(7), 1.0)) is True
    assert house.state.asked == house.at(7)


def test_a_replica_is_waited_at(house):
    found = house.run(
        house.methods.waiting(house.at(7), 1.0),
        asks(WaitAside, [rows("0")], statements=lambda said: str(house.at(7)) in said[0]),
    )
    assert found is True
    assert any(each.has(house.at(7)) for each in house.cluster.replicas)


def test_a_wait_in_vain_is_told_of(house):
    def too_long(command):
        house.clock.now += 2
        return [rows("1")]

    assert house.run(house.methods.waiting(house.at(7), 1.0), asks(WaitAside, too_long)) is False


def test_where_no_reads_are_split_the_primary_has_it():
    house = House(reads="primary")
    assert house.run(house.methods.waiting(house.at(7), 1.0)) is True


def test_a_connection_of_a_pool_begins_where_the_primary_was(house):
    house.run(house.methods.beginning(house.at(4)))
    assert house.state.position == house.at(4)


def test_a_flush_comes_before_a_change_of_schema(house):
    house.session.transaction.begun(house.statement("BEGIN"), b"BEGIN", house.state)
    house.run(
        house.methods.selecting("other", None, changes=True),
        asks(Ask, did([OK], server_status=AUTOCOMMIT | IN_TRANSACTION), statements=[b"BEGIN"]),
        asks(ByMethod, method="select_db"),
    )


@pytest.mark.parametrize(
    ("flavor", "asked"), [("mysql", []), ("mariadb", [asks(Ask, about(rows("UTC")))])]
)
def test_what_a_schema_leaves_in_doubt_is_asked_where_no_warnings_are_lost(flavor, asked):
    """COM_INIT_DB leaves MySQL's, and mysqlclient does not tell whether there are any."""
    house = House(flavor)
    house.state.doubt_variable("time_zone")
    select = asks(ByMethod, method="select_db")
    house.run(house.methods.selecting("other", None, changes=True), select, *asked)
    assert house.state.is_unsettled is not bool(asked)


def test_what_a_method_leaves_in_doubt_is_asked(house):
    house.state.doubt_variable("time_zone")
    house.run(
        house.methods.encoding("utf8mb4", None),
        asks(ByMethod, method="set_character_set"),
        asks(Ask, about(rows("utf8mb4", "utf8mb4", "utf8mb4_0900_ai_ci", "UTC"), OK)),
    )
