"""The application's functions for passwords and sockets: how they are asked, what may go wrong."""

import functools
import gc
import socket
import ssl
import threading
import time
from contextlib import closing

import pytest
from pymysql import err

import rwsplit
from rwsplit._core.cluster.endpoint import Endpoint
from rwsplit._drivers import sources
from rwsplit._drivers.pymysql import PhysicalConnection, is_of_tls, lost
from rwsplit._drivers.sources import (
    Whose,
    check_dial,
    check_password,
    check_protection,
    dialed,
    key_of,
    token_of,
)

DB1 = Endpoint("db1:3306", "db1", 3306)
SECRET = "sesame"


class Provider:
    def token(self):
        return SECRET

    def of(self, endpoint):
        return f"{SECRET} of {endpoint.host}"

    def __call__(self, endpoint):
        return f"{SECRET} of {endpoint.host}"


OF_DB1 = b"sesame of db1"
WAYS = {
    "nothing": (lambda: SECRET, b"sesame"),
    "bytes": (lambda: b"\xff\x00", b"\xff\x00"),
    "an endpoint": (lambda where: f"{SECRET} of {where.host}", OF_DB1),
    "a keyword": (lambda *, endpoint: f"{SECRET} of {endpoint.host}", OF_DB1),
    "by its name, though it could do without": (
        lambda endpoint=None: f"{SECRET} of {endpoint.host}",
        OF_DB1,
    ),
    "a default of another kind": (lambda user="app": f"{SECRET} {user}", b"sesame app"),
    "anything": (lambda *args, **keywords: repr((args, keywords)), b"((), {})"),
    "a method": (Provider().token, b"sesame"),
    "a method with it": (Provider().of, OF_DB1),
    "an object": (Provider(), OF_DB1),
    "a partial": (functools.partial(lambda a, b: f"{SECRET} of {b.host}", 1), OF_DB1),
}


@pytest.mark.parametrize(("function", "expected"), WAYS.values(), ids=WAYS)
def test_a_password_is_asked_for_with_the_endpoint_if_the_function_takes_it(function, expected):
    check_password(function)
    assert token_of(function, DB1, 5) == expected


@pytest.mark.parametrize("function", [lambda a, b: a, lambda *, key: key, lambda endpoint, b: b])
def test_a_function_that_cannot_be_called_is_a_value_error_before_any_socket_opens(function):
    for key, call in {
        "password": lambda: rwsplit.connect(host="127.0.0.1", port=1, password=function),
        "replicas: r1: password": lambda: rwsplit.connect(
            host="127.0.0.1", port=1, replicas=[{"host": "r", "name": "r1", "password": function}]
        ),
    }.items():
        with pytest.raises(ValueError, match=f"^{key}: expected a function"):
            call()


@pytest.mark.parametrize("value", ["db1", 3, object(), lambda: None, lambda a, b: a])
def test_what_cannot_dial_is_a_value_error_before_any_socket_opens(value):
    with pytest.raises(ValueError, match=r"^dial: expected a function that takes an endpoint"):
        rwsplit.connect(host="127.0.0.1", port=1, dial=value, replicas=[])
    with pytest.raises(ValueError, match=r"^replicas: r1: dial: expected"):
        rwsplit.connect(
            host="127.0.0.1", port=1, replicas=[{"host": "r", "name": "r1", "dial": value}]
        )
    check_dial(None)
    check_dial(lambda endpoint, timeout=3: None)


def test_keywords_that_leave_but_a_plain_socket_are_a_value_error():
    plain = {"host": "127.0.0.1", "port": 1, "ssl_disabled": True, "password": lambda: SECRET}
    with pytest.raises(ValueError, match=r"^password: "):
        rwsplit.connect(**plain)
    replica = {"host": "r", "ssl_disabled": True}
    with pytest.raises(ValueError, match=r"^password: "):
        rwsplit.connect(**{**plain, "ssl_disabled": False}, replicas=[replica])
    check_protection({**plain, "unix_socket": "/run/mysql.sock"})
    with pytest.raises(rwsplit.OperationalError, match="dial returned"):
        rwsplit.connect(**plain, dial=lambda endpoint: None)


def failing():
    raise LookupError(f"no {SECRET}")


async def coroutine():
    return SECRET


@pytest.mark.parametrize(
    "function",
    [
        failing,
        coroutine,
        lambda: None,
        lambda: "",
        lambda: [SECRET],
        lambda: SECRET + "€",
        lambda: 1 / 0,
        lambda: exec("raise SystemExit"),
        functools.partial(time.sleep, 3),
    ],
)
def test_a_password_that_cannot_be_had_names_the_server_and_shows_nothing(function):
    with pytest.raises(err.OperationalError) as caught:
        token_of(function, DB1, 0.2)
    error = caught.value
    assert error.args[0] == 2061
    assert "'db1:3306'" in str(error)
    assert SECRET not in str(error)
    assert not lost(error), "the server can be reached, by others"
    cause = error.__cause__
    while cause is not None and function is not failing:
        assert SECRET not in repr(cause)
        cause = cause.__cause__


@pytest.fixture
def pair():
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def closed():
    sock = socket.socket()
    sock.close()
    return sock


def unreachable(endpoint):
    raise ssl.SSLCertVerificationError("not its certificate")


RETURNS = {
    "None": (lambda endpoint: None, "no socket, but None"),
    "text": (lambda endpoint: "db1", "no socket, but a str"),
    "a connection": (lambda endpoint: object(), "no socket, but a object"),
    "a pair": (lambda endpoint: (1, 2), "no socket, but a tuple"),
    "closed": (lambda endpoint: closed(), "a socket that is closed"),
    "closed, secured": (lambda endpoint: rwsplit.Secured(closed()), "a socket that is closed"),
    "not connected": (lambda endpoint: socket.socket(), "a socket that is not connected"),
    "an error": (lambda endpoint: socket.create_connection(("127.0.0.1", 1), 1), "refused"),
    "another error": (lambda endpoint: {}["x"], "KeyError: 'x'"),
    "late": (lambda endpoint: time.sleep(3), "timed out after 0.2 s"),
}


@pytest.mark.parametrize(("dial", "why"), RETURNS.values(), ids=RETURNS)
def test_a_socket_that_cannot_be_had_is_a_server_that_cannot_be_reached(dial, why):
    with pytest.raises(err.OperationalError) as caught:
        dialed(dial, DB1, 0.2)
    assert caught.value.args[0] == 2003
    assert "'db1:3306'" in str(caught.value)
    assert "dial" in str(caught.value)
    assert why in str(caught.value)
    assert lost(caught.value)


def test_a_certificate_that_is_refused_while_dialing_is_no_server_that_is_away():
    with pytest.raises(err.OperationalError) as caught:
        dialed(unreachable, DB1, 1)
    assert is_of_tls(caught.value)
    assert not lost(caught.value)


def test_a_socket_is_taken_once(pair):
    """Two connections on it would take each other's answers."""
    dialed(lambda endpoint: pair[0], DB1, 1)
    for again in (pair[0], rwsplit.Secured(pair[0])):
        with pytest.raises(err.OperationalError, match="returned before") as caught:
            dialed(lambda endpoint, sock=again: sock, DB1, 1)
        assert caught.value.args[0] == 2003
    assert pair[0].fileno() >= 0, "the first one's it is"


def test_what_protects_a_socket(pair):
    assert dialed(lambda endpoint: pair[0], DB1, 1) == (pair[0], True), "a unix socket"
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        plain = socket.create_connection(listener.getsockname())
        other = socket.create_connection(listener.getsockname())
        with closing(plain), closing(other):
            assert dialed(lambda endpoint: plain, DB1, 1) == (plain, False)
            secured = rwsplit.Secured(other)
            assert dialed(lambda endpoint: secured, DB1, 1) == (other, True)
            assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_socket_that_comes_too_late_is_closed(pair):
    go_on = threading.Event()

    def dial(endpoint):
        go_on.wait(10)
        return pair[0]

    with pytest.raises(err.OperationalError, match="timed out"):
        dialed(dial, DB1, 0.05)
    go_on.set()
    assert pair[1].recv(1) == b""
    assert pair[0].fileno() == -1


def test_calls_that_never_end_are_not_begun_without_end():
    go_on = threading.Event()
    begun = []

    def dial(endpoint):
        begun.append(endpoint.name)
        go_on.wait(30)

    for _ in range(20):
        with pytest.raises(err.OperationalError, match="timed out"):
            dialed(dial, DB1, 0.01)
    assert len(begun) == 8
    with pytest.raises(err.OperationalError, match="timed out"):
        dialed(dial, DB1._replace(name="db2"), 0.01)
    assert len(begun) == 9, "another server is another matter"
    go_on.set()
    until = time.monotonic() + 10
    while sources._overdue:
        assert time.monotonic() < until
        time.sleep(0.01)
    with pytest.raises(err.OperationalError, match="None"):
        dialed(dial, DB1, 1)


def test_context_variables_are_those_of_who_connects():
    import contextvars

    tenant = contextvars.ContextVar("tenant", default="nobody")
    tenant.set("ann")
    assert token_of(tenant.get, DB1, 1) == b"ann"


# Who is the same account.


def test_the_same_function_is_the_same_account():
    provider, other = Provider(), Provider()
    assert Whose(provider.token) == Whose(provider.token), "made anew each time it is looked up"
    assert hash(Whose(provider.token)) == hash(Whose(provider.token))
    assert Whose(provider.token) != Whose(other.token)
    assert Whose(provider.token) != Whose(provider.of)
    made = [lambda: SECRET for _ in range(2)]
    assert Whose(made[0]) == Whose(made[0])
    assert Whose(made[0]) != Whose(made[1])
    assert key_of(b"a", "password") == b"a"


class Equal:
    def __eq__(self, other):
        return True

    __hash__ = None

    def __call__(self):
        return SECRET


def test_however_they_compare():
    assert Whose(Equal()) != Whose(Equal())


def test_a_key_keeps_no_function_alive():
    function = lambda: SECRET  # noqa: E731
    key = Whose(function)
    assert not key.is_gone
    del function
    gc.collect()
    assert key.is_gone
    assert key == key
    assert key != Whose(lambda: SECRET)


def test_the_key_of_a_wire_has_the_functions_and_never_what_they_returned():
    function = lambda: SECRET  # noqa: E731
    dial = lambda endpoint: None  # noqa: E731
    made = [
        PhysicalConnection(None, password=function, dial=dial, defer_connect=True).take_identity()
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert SECRET not in repr(made)
    for other in (
        {"password": lambda: SECRET, "dial": dial},
        {"password": function, "dial": lambda endpoint: None},
        {"password": function},
        {"password": SECRET, "dial": dial},
    ):
        connection = PhysicalConnection(None, **other, defer_connect=True)
        assert connection.take_identity() != made[0]


# What is sent.


class Old:
    """A server that offers no TLS and wants the password in the clear."""

    def __init__(self, listener):
        self.listener = listener
        self.heard = bytearray()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            while True:
                client, _ = self.listener.accept()
                greeting = b"\x0a5.7.0\0" + bytes(4) + b"12345678\0" + b"\xff\xf7\x08\x02\0\xff\x81"
                greeting += b"\x15" + bytes(10) + b"123456789012\0mysql_clear_password\0"
                client.sendall(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
                client.settimeout(5)
                head = client.recv(4)
                if head:
                    self.heard += client.recv(65536)
                    switch = b"\xfemysql_clear_password\0"
                    client.sendall(len(switch).to_bytes(3, "little") + b"\x02" + switch)
                    self.heard += client.recv(65536)
                client.close()
        except OSError:
            pass


@pytest.fixture
def old():
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield Old(listener)


@pytest.mark.parametrize("way", ["connect", "dial", "handed in", "again", "replica"])
def test_a_token_is_not_sent_over_a_plain_socket(old, way):
    address = old.listener.getsockname()
    options = {"host": "127.0.0.1", "port": address[1], "password": lambda: SECRET, "user": "app"}
    if way == "dial":
        options["dial"] = lambda endpoint: socket.create_connection(address)
        options["host"] = "db1"
    made = PhysicalConnection(None, **options, defer_connect=True)
    made._secure = way == "again"  # the server had TLS when it was connected to before
    with pytest.raises(err.OperationalError) as caught:
        made.connect(socket.create_connection(address) if way == "handed in" else None)
    assert caught.value.args[0] == 2026
    assert f"{options['host']}:{address[1]}" in str(caught.value)
    assert SECRET.encode() not in old.heard
    assert callable(made.password)


def test_a_password_that_is_a_text_is_as_it_is_with_pymysql(old):
    address = old.listener.getsockname()
    with pytest.raises(err.OperationalError):
        rwsplit.connect(host="127.0.0.1", port=address[1], password=SECRET, user="app")
    assert SECRET.encode() in old.heard, "so the test above can fail"


def test_who_says_that_the_socket_is_secured_is_believed(old):
    address = old.listener.getsockname()
    dial = lambda endpoint: rwsplit.Secured(socket.create_connection(address))  # noqa: E731
    with pytest.raises(err.OperationalError):
        rwsplit.connect(host="db1", password=lambda: SECRET, user="app", dial=dial)
    assert SECRET.encode() in old.heard
