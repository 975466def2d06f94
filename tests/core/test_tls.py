"""All connections of equal keywords have one TLS context: those of another one share no wires."""

import ssl
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rwsplit._drivers.pymysql import tls


@pytest.mark.parametrize("given", [{}, {"ca": "/nowhere"}], ids=["unverified", "verified"])
def test_threads_that_are_the_first_have_one_context(monkeypatch, given):
    both = threading.Barrier(2)

    def make(*_):
        both.wait(10)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr(tls, "_contexts", {})
    monkeypatch.setattr(tls, "_unverifying", {})
    monkeypatch.setattr(tls, "_make_unverified", make)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: tls.tls_context(given, make), range(2))
    assert first is second
    assert tls.tls_context(given, make) is first
