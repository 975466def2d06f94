"""Clouds on this machine, for the examples: fronts before real servers that let nobody in twice.

`Rds` is RDS with IAM database authentication: TLS, and a token in place of the password, in the
clear (`mysql_clear_password`). `CloudSql` is Cloud SQL behind its connector: a socket that speaks
TLS already. The tokens of both are signed, are for one server, and expire.
"""

import hashlib
import hmac
import itertools
import secrets
import selectors
import socket
import ssl
import struct
import threading
import time
from contextlib import ExitStack, closing, suppress

import pymysql
from pymysql.constants import CLIENT

KEY = secrets.token_bytes(16)


def signed(where, seconds):
    """Make a token for a server, good for so many seconds."""
    until = f"{time.time() + seconds:.3f}"
    return (
        f"{where}/{until}/{hmac.new(KEY, f'{where}/{until}'.encode(), hashlib.sha256).hexdigest()}"
    )


def is_good(token, where):
    """Tell whether a token is for this server, and has not expired."""
    said, _, mac = token.rpartition("/")
    right = hmac.new(KEY, said.encode(), hashlib.sha256).hexdigest()
    place, _, until = said.rpartition("/")
    return hmac.compare_digest(mac, right) and place == where and time.time() < float(until)


class Front:
    """Listens before a server, and lets in whom `login` lets in."""

    def __init__(self, server, certificates):
        self.server = server
        self.refused = 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(
            certificates / "server-cert.pem", certificates / "server-key.pem"
        )
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # ends the wait in `accept`
        self.listener.close()

    def accept(self):
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with suppress(OSError, EOFError, pymysql.MySQLError), ExitStack() as ends:
            ends.enter_context(client)
            pump(*self.login(client, ends))

    def login(self, client, ends):
        """Return the client and a connection to the server; what it opens is put into `ends`."""
        raise NotImplementedError

    def wrapped(self, client, ends):
        return ends.enter_context(self.context.wrap_socket(client, server_side=True))

    numbers = itertools.count(1_000_000)

    def greet(self, client, more):
        """Greet as the server does, and return the answer; `more` are capabilities of ours."""
        with closing(self.backend(0, None)) as known:
            version, charset = known.server_version.encode(), known.server_language
            can = known.server_capabilities | more
        greeting = b"\x0a" + version + b"\0" + struct.pack("<I", next(self.numbers)) + b"12345678\0"
        greeting += struct.pack("<HBHHB", can & 0xFFFF, charset, 2, can >> 16, 21)
        send(client, 0, greeting + bytes(10) + b"123456789012\0mysql_clear_password\0")
        return receive(client)

    def admit(self, client, number, said):
        """Log in to the server itself, with what the client said of its session."""
        flags = struct.unpack_from("<I", said)[0]
        database = None
        if flags & CLIENT.CONNECT_WITH_DB:
            rest = said[32:].partition(b"\0")[2]
            database = rest[1 + rest[0] :].partition(b"\0")[0].decode()
        backend = self.backend(flags & ~CLIENT.SSL, database)
        send(client, number, b"\0\0\0\x02\0\0\0")
        return backend

    def backend(self, flags, database):
        return pymysql.connect(
            unix_socket=self.server.unix_socket,
            user="app",
            password="secret",
            database=database,
            client_flag=flags,
            autocommit=None,
            ssl_disabled=True,
        )

    def refuse(self, client, number, why):
        self.refused += 1
        send(client, number, b"\xff" + struct.pack("<H", 1045) + b"#28000" + why.encode())
        raise EOFError


class Rds(Front):
    """Wants TLS in MySQL's protocol, and a token as the password."""

    def login(self, client, ends):
        number, asked = self.greet(client, CLIENT.SSL)
        if not struct.unpack_from("<I", asked)[0] & CLIENT.SSL:
            self.refuse(client, number + 1, "TLS is required")
        client = self.wrapped(client, ends)
        number, said = receive(client)
        send(client, number + 1, b"\xfemysql_clear_password\0")
        number, token = receive(client)
        if not is_good(token.rstrip(b"\0").decode(), f"127.0.0.1:{self.port}/app"):
            self.refuse(client, number + 1, "Access denied for user 'app'")
        return client, ends.enter_context(closing(self.admit(client, number + 1, said)))


class Iam:
    """What `boto3.client("rds")` has for this."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.made = []

    def generate_db_auth_token(self, DBHostname, Port, DBUsername, Region):  # noqa: N803 - its names
        token = signed(f"{DBHostname}:{Port}/{DBUsername}", self.seconds)
        self.made.append(token)
        return token


class CloudSql(Front):
    """Wants TLS before anything else, and a token in it (there, in a short-lived certificate)."""

    def login(self, client, ends):
        client = self.wrapped(client, ends)
        token = b""
        while not token.endswith(b"\n"):
            token += some(client, 1)
        if not is_good(token[:-1].decode(), self.server.name):
            self.refused += 1
            raise EOFError
        number, said = self.greet(client, CLIENT.SSL)
        return client, ends.enter_context(closing(self.admit(client, number + 1, said)))


class Connector:
    """What `google.cloud.sql.connector.Connector` is: it makes sockets to instances by name.

    As there, a certificate is made when the one before has expired.
    """

    def __init__(self, fronts, seconds):
        self.fronts = fronts
        self.seconds = seconds
        self.made = []
        self.known = {}

    def connect(self, instance, driver, **keywords):
        until, token = self.known.get(instance, (0, ""))
        if time.time() > until - self.seconds / 4:
            token = signed(instance, self.seconds)
            self.made.append(token)
            self.known[instance] = time.time() + self.seconds, token
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(
            socket.create_connection(("127.0.0.1", self.fronts[instance].port), 5)
        )
        sock.sendall(token.encode() + b"\n")
        return sock


def send(client, number, payload):
    client.sendall(struct.pack("<I", len(payload))[:3] + bytes([number]) + payload)


def receive(client):
    head = some(client, 4)
    return head[3], some(client, int.from_bytes(head[:3], "little"))


def some(client, size):
    data = b""
    while len(data) < size:
        more = client.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def pump(client, backend):
    """Carry what each end says to the other."""
    server = backend._sock
    with selectors.DefaultSelector() as selector:
        for end in (client, server):
            end.setblocking(False)
            selector.register(end, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                to = server if key.fileobj is client else client
                while True:
                    try:
                        data = key.fileobj.recv(1 << 16)
                    except (BlockingIOError, ssl.SSLWantReadError):
                        break
                    if not data:
                        return
                    to.setblocking(True)
                    to.sendall(data)
                    to.setblocking(False)
