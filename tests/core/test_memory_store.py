"""The store of one process, under many threads."""

import sys
import threading

import pytest

from rwsplit._core.cluster.position import GtidList, GtidSet
from rwsplit._stores.base import MARK_SECONDS
from rwsplit._stores.memory import MemoryStore

SERVER = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


@pytest.fixture
def hasty_threads():
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("most", [10, 1], ids=["with room", "evicting"])
def test_what_was_published_is_never_missing_for_a_moment(hasty_threads, most):
    """Readers look without a lock, while others publish and evict."""
    store = MemoryStore(most)
    first = GtidSet.parse(f"{SERVER}:1")
    store.publish("ours", None, first)
    published = looks = missing = 0
    enough = threading.Event()

    def publish():
        nonlocal published
        while published < 1500 or not enough.is_set():
            published += 1
            position = GtidSet.parse(f"{SERVER}:{published + 1}")
            store.publish("theirs" if published % 2 else "ours", None, position)

    writer = threading.Thread(target=publish)
    writer.start()
    while looks < 1000 or published < 1500:
        looks += 1
        position = store.get("ours").position
        missing += position is None or not position.covers(first)
    enough.set()
    writer.join()
    assert not missing


def work_of(run):
    """How many calls it takes, those of built-in functions included."""
    count = 0

    def note(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_a_publish_costs_as_much_however_many_ids_there_are(flavor):
    """Within what is kept, and beyond; and so does a look."""

    def position(number):
        if flavor == "mysql":
            return GtidSet.parse(f"{SERVER}:{number}")
        return GtidList.parse(f"0-1-{number}")

    found = set()
    for ids in (50, 100, 1000, 5000):
        newest = 2 * ids
        store = MemoryStore(most=100, whole=lambda newest=newest: _whole(flavor, newest))
        for number in range(1, 2 * ids + 1):
            store.publish(f"id{number % ids}", None, position(number))
        late = position(2 * ids + 1)
        found.add((ids >= 100, work_of(lambda s=store, p=late: s.publish("new", None, p)) // 20))
        found.add((ids >= 100, work_of(lambda s=store: s.get("new")) // 20))
    assert len(found) <= 4, found


def _whole(flavor, number):
    text = f"{SERVER}:1-{number}"
    return GtidSet.parse(text) if flavor == "mysql" else GtidList.parse(f"0-1-{number}")


def test_gaps_that_others_have_filled_are_closed():
    """Or a set of GTIDs would grow with every write of an id, and of all that were evicted."""
    numbers = [*range(1, 4000, 2)]
    store = MemoryStore(most=10, whole=lambda: GtidSet.parse(f"{SERVER}:1-{numbers[-1]}"))
    for number in numbers:
        store.publish(f"id{number % 40}", None, GtidSet.parse(f"{SERVER}:{number}"))
        store.publish("busy", None, GtidSet.parse(f"{SERVER}:{number}"))
    assert store.get("busy").position.pieces < 40
    assert store.get("nobody").position.pieces < 40


def test_gaps_that_nobody_knows_to_be_filled_do_not_grow_for_ever():
    """They are asked for, then; what was never there, a read that misses it lets go of."""
    store = MemoryStore(most=10)
    for number in range(1, 4000, 2):
        store.publish(f"id{number % 40}", None, GtidSet.parse(f"{SERVER}:{number}"))
        store.publish("busy", None, GtidSet.parse(f"{SERVER}:{number}"))
    assert store.get("busy").position.pieces < 200
    assert store.get("nobody").position.pieces < 200
    store.let_go("busy", lambda: GtidSet.parse(f"{SERVER}:1-1000:1003"))
    assert store.get("busy").position.covers(GtidSet.parse(f"{SERVER}:1-999:1003"))
    assert not store.get("busy").position.covers(GtidSet.parse(f"{SERVER}:1002"))


def test_what_the_primary_does_not_have_is_let_go_of_unless_it_has_grown():
    here, made_up = GtidSet.parse(f"{SERVER}:1-9"), GtidSet.parse(f"{SERVER}:1-5:90-99")
    store = MemoryStore(most=1)
    store.publish("evicted", None, made_up)
    store.publish("kept", None, made_up)

    def ask():
        store.publish("kept", None, GtidSet.parse(f"{SERVER}:10"))
        return here

    store.let_go("kept", ask)
    assert store.get("kept").position.covers(GtidSet.parse(f"{SERVER}:10"))
    assert store.get("nobody").position == GtidSet.parse(f"{SERVER}:1-5")
    store.let_go("kept", lambda: here)
    assert store.get("kept").position == GtidSet.parse(f"{SERVER}:1-5")


def test_what_is_left_open_is_marked_until_it_is_known():
    store, first = MemoryStore(), GtidSet.parse(f"{SERVER}:1")
    store.publish("ours", None, first)
    one, other = store.leave_open("ours"), store.leave_open("ours")
    assert store.get("ours") == (first, True)
    assert not store.get("theirs").is_open
    store.publish("ours", one, first)
    assert store.get("ours").is_open
    store.publish("ours", other, GtidSet.parse(f"{SERVER}:2"))
    assert store.get("ours") == (GtidSet.parse(f"{SERVER}:1-2"), False)


def test_what_nobody_ends_is_marked_longer_than_any_deadline(monkeypatch):
    now = 0.0
    monkeypatch.setattr("rwsplit._stores.memory.time.monotonic", lambda: now)
    store = MemoryStore()
    mark = store.leave_open("ours")
    now = MARK_SECONDS
    assert store.get("ours").is_open
    now += 1
    assert not store.get("ours").is_open
    store.leave_open("theirs")
    assert not store._marks.get("ours")
    store.publish("ours", mark, None)
    assert store.get("theirs").is_open


def test_a_child_has_no_marks_of_its_parent():
    store = MemoryStore()
    store.leave_open("ours")
    store.after_fork()
    assert not store.get("ours").is_open
