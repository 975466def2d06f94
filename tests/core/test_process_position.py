"""What a process has committed is heard by all who share it, at the cost of one comparison."""

import threading

import pytest

from rwsplit._core.cluster.position import GtidList, GtidSet, empty, within
from rwsplit._core.session.state import State
from rwsplit._shell.process import ProcessPosition

SERVER = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def nothing():
    return None


def begun(flavor):
    process = ProcessPosition()
    process.begin(flavor)
    return process


def test_another_object_tells_that_there_is_something_new():
    process = begun("mysql")
    before = process.latest
    process.look(nothing)
    assert process.latest is before
    process.note(f"{SERVER}:1".encode())
    assert process.latest is not before
    heard = process.latest
    process.look(nothing)
    assert process.latest is heard


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_all_that_was_noted_is_heard(flavor):
    process = begun(flavor)
    for number in range(1, 351):
        process.note(f"{SERVER}:{number}" if flavor == "mysql" else f"0-1-{number}")
    expected = GtidSet.parse(f"{SERVER}:1-350") if flavor == "mysql" else GtidList.parse("0-1-350")
    assert process.look(nothing).position == expected


def test_nothing_is_missing_that_was_noted_before_a_look():
    process = begun("mysql")
    missing = 0

    def write(domain):
        nonlocal missing
        for number in range(1, 400):
            process.note(f"{SERVER[:-1]}{domain}:{number}")
            found = process.look(nothing).position
            missing += not found.covers(GtidSet.parse(f"{SERVER[:-1]}{domain}:1-{number}"))

    threads = [threading.Thread(target=write, args=(domain,)) for domain in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not missing


def test_another_flavor_begins_anew():
    process = begun("mysql")
    process.note(f"{SERVER}:1")
    process.begin("mariadb")
    assert process.look(nothing).position == GtidList()
    process.note("0-1-1")
    assert process.look(nothing).position == GtidList.parse("0-1-1")


def test_gaps_are_closed_with_what_others_have_committed():
    process = begun("mysql")
    for number in range(1, 400, 2):
        process.note(f"{SERVER}:{number}")
    assert process.look(nothing).position.pieces == 200
    found = process.look(lambda: GtidSet.parse(f"{SERVER}:1-390")).position
    assert found.pieces < 10
    assert found.covers(GtidSet.parse(f"{SERVER}:399"))


def test_a_doubt_stays_until_it_is_settled():
    process = begun("mysql")
    one, other = (State(empty("mysql"), None, process) for _ in "12")
    one.lose_position()
    _, doubt, unsure = process.look(nothing)
    assert doubt
    assert not unsure
    other.hear_doubt(doubt, unsure, process)
    assert not other.position_known
    one.lose_position()
    other.find_position(GtidSet.parse(f"{SERVER}:1-5"))
    assert process.look(nothing).doubt, "the newer one is not settled"
    one.find_position(GtidSet.parse(f"{SERVER}:1-7"))
    found = process.look(nothing)
    assert not found.doubt
    assert found.position == GtidSet.parse(f"{SERVER}:1-7")


def test_who_has_heard_a_doubt_need_not_ask_once_it_is_settled():
    process, another = begun("mysql"), begun("mysql")
    state = State(empty("mysql"), None, process)
    state.hear_doubt(1, False, process)
    state.hear_no_doubt(another)
    assert not state.position_known, "another one's word is none"
    state.hear_no_doubt(process)
    assert state.position_known


@pytest.mark.parametrize("own_first", [True, False])
def test_a_doubt_of_its_own_is_not_settled_by_hearsay(own_first):
    process = begun("mysql")
    state = State(empty("mysql"), None, process)
    if own_first:
        state.lose_position()
    state.hear_doubt(1, False, process)
    if not own_first:
        state.lose_position()
    state.hear_no_doubt(process)
    assert not state.position_known


def test_doubts_heard_from_two_are_settled_by_neither_alone():
    one, other = begun("mysql"), begun("mysql")
    state = State(empty("mysql"), None, one)
    state.hear_doubt(1, False, one)
    state.hear_doubt(2, False, other)
    state.hear_no_doubt(one)
    state.hear_no_doubt(other)
    assert not state.position_known


def test_a_doubt_of_lost_answers_alone_says_so():
    process = begun("mysql")
    session = State(empty("mysql"), None, process)
    session.lose_position(unsure=True)
    assert process.look(nothing).unsure
    session.lose_position()
    assert not process.look(nothing).unsure
    session.lose_position(unsure=True)
    assert not process.look(nothing).unsure, "the one before is not settled"
    session.find_position(GtidSet())
    session.lose_position(unsure=True)
    assert process.look(nothing).unsure


def test_what_was_lost_is_let_go_of_and_nothing_that_came_meanwhile():
    process = begun("mysql")
    process.note(f"{SERVER}:1-9")
    known = process.look(nothing).position
    process.note(f"{SERVER}:20")
    process.look(nothing)
    process.let_go(known, GtidSet.parse(f"{SERVER}:1-5"))
    assert process.look(nothing).position.covers(GtidSet.parse(f"{SERVER}:20"))
    known = process.look(nothing).position
    process.note(f"{SERVER}:21")
    process.let_go(known, GtidSet.parse(f"{SERVER}:1-5:20"))
    assert process.look(nothing).position == GtidSet.parse(f"{SERVER}:1-5:20-21")


def test_what_was_only_asked_for_is_written_by_nobody():
    process = begun("mysql")
    session = State(empty("mysql"), None, process)
    made_up = GtidSet.parse(f"{SERVER}:90-99")
    session.ask_for(made_up)
    session.has_committed(f"{SERVER}:3")
    assert session.position == GtidSet.parse(f"{SERVER}:3:90-99")
    assert session.written == GtidSet.parse(f"{SERVER}:3")
    assert process.look(nothing).position == GtidSet.parse(f"{SERVER}:3")
    session.begin_with(GtidSet(), GtidSet(), True)
    assert session.position == made_up, "whoever it is shared with"
    assert not session.written
    session.let_go(GtidSet.parse(f"{SERVER}:1-3"))
    assert not session.position
    session.begin_with(GtidSet(), GtidSet(), True)
    assert not session.position


@pytest.mark.parametrize(
    ("position", "primary", "kept"),
    [
        ("0-1-5", "0-1-9", "0-1-5"),
        ("0-1-500", "0-1-9", "0-1-9"),
        ("0-1-5,7-1-1", "0-1-9", "0-1-9"),
        ("0-1-9", "0-2-9", "0-2-9"),
    ],
)
def test_what_there_is_of_a_position(position, primary, kept):
    found = within(GtidList.parse(position), GtidList.parse(primary))
    assert found == GtidList.parse(kept)
