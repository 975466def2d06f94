"""A fork finds none of our threads amid a TLS handshake, and waits for none for ever."""

import os
import threading
import time

import pytest

from rwsplit._shell.forking import handshakes

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    # Python 3.12 and later warn of what this is about.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


class Working:
    """A thread that shakes hands all the time, or once until it is told to stop."""

    def __init__(self, until=None):
        self.amid = False
        self.done = False
        self.begun = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(until,))

    def __enter__(self):
        self.thread.start()
        self.begun.wait()
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join()

    def run(self, until):
        while not self.done:
            with handshakes:
                self.amid = True
                self.begun.set()
                if until is None:
                    time.sleep(0.001)
                else:
                    until.wait()
                self.amid = False


def forked(look):
    """Return what a forked child sees."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, b"1" if look() else b"0")
        os._exit(0)
    os.waitpid(child, 0)
    seen = os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    return seen == b"1"


def test_no_child_is_forked_amid_a_handshake():
    with Working() as one, Working() as other:
        assert not any(forked(lambda: one.amid or other.amid) for _ in range(20))


def test_a_child_begins_anew():
    until = threading.Event()

    def shakes():
        with handshakes:
            return True

    with Working(until) as working:
        try:
            # One that never ends, at a frozen server, lets the process fork nevertheless.
            assert forked(shakes)
            assert working.amid
        finally:
            working.done = True
            until.set()
