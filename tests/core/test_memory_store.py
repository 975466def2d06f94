"""The store of one process, under many threads."""

import sys
import threading

import pytest

from rwsplit._core.position import GtidSet
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
    done = threading.Event()

    def publish():
        for number in range(2, 1500):
            position = GtidSet.parse(f"{SERVER}:{number}")
            store.publish("ours" if number % 2 else "theirs", None, position)
        done.set()

    writer = threading.Thread(target=publish)
    writer.start()
    missing = looks = 0
    while not done.is_set():
        looks += 1
        position = store.get("ours").position
        missing += position is None or not position.covers(first)
    writer.join()
    assert not missing
    assert looks > 100
