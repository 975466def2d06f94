"""The sandbox: servers that replicate, started and steered together."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any

import pymysql

from ._find import find_servers
from ._flavor import dialect, make_data, server_options
from ._guard import Guard
from ._link import Link
from ._server import Server

__all__ = ["Sandbox"]

_USER = "app"
_PASSWORD = "secret"  # noqa: S105 - of a server that lives on loopback for a while
_DATABASE = "shop"

_READY_SECONDS = 30.0


class Sandbox:
    """A primary and its replicas with GTID replication, in a temporary folder, on free ports.

    :param flavor: `"mysql"` or `"mariadb"`.
    :param replicas: how many replicas.
    :param options: more options for all the servers, as in an option file:
        `{"gtid_mode": "OFF"}`.
    :param progress: called with a line of text for each step, `print` for example.

    Raises ServersNotFound where no server of the flavor is installed; its message says what to
    install. A context manager; without `with`, call `close()`.
    """

    def __init__(
        self,
        flavor: str,
        replicas: int = 2,
        *,
        options: Mapping[str, object] | None = None,
        progress: Callable[[str], object] | None = None,
    ) -> None:
        self._say = progress or (lambda text: None)
        self._programs = find_servers(flavor)
        self._dialect = dialect(flavor)
        self._options = {name: str(value) for name, value in (options or {}).items()}
        self._owner = os.getpid()
        self._closed = False
        folder = Path(tempfile.mkdtemp(prefix="rwsplit-"))
        # Ids that no other sandbox has: a foreign cluster's servers must look foreign.
        first = random.SystemRandom().randrange(1 << 16, 1 << 31, 1 << 8)
        self.primary = Server("primary", "primary", first, folder)
        """The server that takes the writes."""
        self.replicas = tuple(
            [
                Server(f"replica{number}", "replica", first + number, folder)
                for number in range(1, replicas + 1)
            ]
        )
        """The servers that replicate from the primary."""
        self._guard = Guard(folder)
        try:
            self._start(folder)
        except BaseException:
            self.close()
            raise

    # What it is.

    @property
    def flavor(self) -> str:
        """`mysql` or `mariadb`."""
        return self._programs.flavor

    @property
    def version(self) -> str:
        """The servers' version."""
        return self._programs.version

    @property
    def servers(self) -> tuple[Server, ...]:
        """The primary and the replicas."""
        return (self.primary, *self.replicas)

    @property
    def connect_options(self) -> dict[str, Any]:
        """Keywords for `rwsplit.connect()`: an account with no right beyond its own database."""
        return {
            "host": self.primary.host,
            "port": self.primary.port,
            "user": _USER,
            "password": _PASSWORD,
            "database": _DATABASE,
            "replicas": [f"{server.host}:{server.port}" for server in self.replicas],
        }

    def __repr__(self) -> str:
        """Name the servers."""
        return f"<Sandbox {self.flavor} {self.version} {list(self.servers)}>"

    # Starting and ending.

    def _start(self, folder: Path) -> None:
        began = monotonic()
        user = ["--user=root"] if os.geteuid() == 0 else []
        options = server_options(self._programs, self._options)
        self._command = command = [*self._programs.command, *options, *user]
        self._say(f"{self.flavor} {self.version}: making a data directory")
        template = _template(self.flavor, lambda path: make_data(self._programs, path, user))
        for server in self.servers:
            shutil.copytree(template, server.data)
        self._say(f"starting {len(self.servers)} servers")
        for server in self.servers:
            server.start(self._guard, command)
        for server in self.servers:
            server.ready(self._guard, command)
        self._say("starting replication")
        self._make_accounts()
        if self._replicates():
            for server in self.replicas:
                self._replicate(server)
            self.wait_caught_up(_READY_SECONDS)
        self._say(f"ready after {monotonic() - began:.1f} s")

    def _make_accounts(self) -> None:
        statements = [
            f"CREATE DATABASE {_DATABASE}",
            f"CREATE USER {_USER}@'%' IDENTIFIED BY '{_PASSWORD}'",
            f"GRANT ALL ON {_DATABASE}.* TO {_USER}@'%'",
            f"CREATE USER replicator@'%' IDENTIFIED BY '{_PASSWORD}'",
            "GRANT REPLICATION SLAVE ON *.* TO replicator@'%'",
        ]
        # Without replication every server has them of its own.
        servers = (self.primary,) if self._replicates() else self.servers
        for server in servers:
            self._run(server, *statements)

    def _replicates(self) -> bool:
        return self._options.get("log_bin", "ON").upper() not in ("0", "OFF")

    def _replicate(self, server: Server) -> None:
        gtid = int(self._options.get("gtid_mode", "ON").upper() == "ON")
        port = self.primary.port if server.link is None else server.link.port
        self._run(
            server,
            self._dialect.replicate.format(port=port, password=_PASSWORD, gtid=gtid),
            self._dialect.start_replication,
        )

    def _run(self, server: Server, *statements: str) -> None:
        with server.admin() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def close(self) -> None:
        """End all servers and remove their folder."""
        # A process that was forked off is not the owner.
        if self._closed or os.getpid() != self._owner:
            return
        self._closed = True
        for server in self.servers:
            if server.link is not None:
                server.link.close()
        self._guard.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Connecting.

    def admin(self, server: Server, **options: Any) -> pymysql.connections.Connection[Any]:
        """Connect to a server as root, autocommit on; `options` are PyMySQL's."""
        return server.admin(**options)

    def connect(self, server: Server, **options: Any) -> pymysql.connections.Connection[Any]:
        """Connect straight to a server as the ordinary account, autocommit on."""
        account = {**self.connect_options, "port": server.port, "autocommit": True}
        del account["replicas"]
        return pymysql.connect(**{**account, **options})

    def create_database(self, name: str) -> str:
        """Create another database and let the ordinary account do everything in it."""
        quoted = _identifier(name)
        self._run(
            self.primary,
            f"DROP DATABASE IF EXISTS {quoted}",
            f"CREATE DATABASE {quoted}",
            f"GRANT ALL ON {quoted}.* TO {_USER}@'%'",
        )
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, and the account's rights to it."""
        quoted = _identifier(name)
        self._run(
            self.primary,
            f"DROP DATABASE IF EXISTS {quoted}",
            f"REVOKE ALL ON {quoted}.* FROM {_USER}@'%'",
        )

    # Steering.

    def stop_applier(self, server: Server) -> None:
        """Stop a replica's applier, as an administrator would; the replica says that it stopped."""
        self._run(server, self._dialect.stop_applier)

    def start_applier(self, server: Server) -> None:
        """Start a replica's applier again."""
        self._run(server, self._dialect.start_applier)

    def stall(self, server: Server) -> None:
        """Stall a replica's applier: it says that it runs, and does not advance.

        The replica goes on answering queries.
        """
        if server.stalled_by is None:
            connection = server.admin()
            connection.cursor().execute("FLUSH TABLES WITH READ LOCK")
            server.stalled_by = connection

    def resume(self, server: Server) -> None:
        """Let a stalled applier go on."""
        connection, server.stalled_by = server.stalled_by, None
        if connection is not None:
            connection.cursor().execute("UNLOCK TABLES")
            connection.close()

    def delay(self, server: Server, seconds: float) -> None:
        """Let everything reach a replica so much later; 0 for as soon as it can."""
        if server.link is not None and seconds:
            server.link.seconds = seconds
            return
        link, server.link = server.link, Link(self.primary.port, seconds) if seconds else None
        if link is None and not seconds:
            return
        # Replication can't be stopped while its applier waits for the lock that stalls it.
        stalled = server.stalled_by is not None
        self.resume(server)
        self._run(server, self._dialect.stop_replication)
        self._replicate(server)
        if stalled:
            self.stall(server)
        if link is not None:
            link.close()

    def link(self, server: Server) -> Link:
        """Put a TCP link before a server, for clients that connect to the link's `port`.

        It is a context manager, and can be slow, mute, blocked or cut.
        """
        return Link(server.port)

    def kill(self, server: Server) -> None:
        """Kill a server, as a power cut would (SIGKILL)."""
        server.stalled_by = None
        self._guard.signal(server.pid, signal.SIGKILL)

    def restart(self, server: Server) -> None:
        """Start a server that was killed, and wait until it answers; replication goes on."""
        server.start(self._guard, self._command)
        server.ready(self._guard, self._command)
        if server.role == "replica":
            self._run(server, self._dialect.start_replication)

    def running(self, server: Server) -> bool:
        """Tell whether a server's process runs."""
        return self._guard.running(server.pid)

    def position(self, server: Server) -> str:
        """Return the transactions that a server has, as it prints them."""
        with server.admin() as connection, connection.cursor() as cursor:
            cursor.execute(self._dialect.position)
            (position,) = cursor.fetchone()
        return str(position).replace("\n", "")

    def wait_caught_up(self, timeout: float = _READY_SECONDS) -> None:
        """Wait until every replica has all that the primary has; raises TimeoutError."""
        position = self.position(self.primary)
        until = monotonic() + timeout
        for server in self.replicas:
            if not self._wait(server, position, max(until - monotonic(), 0.001)):
                raise TimeoutError(f"{server.name} did not catch up within {timeout:g} s")

    def _wait(self, server: Server, position: str, seconds: float) -> bool:
        if not position:
            return self._wait_without_gtids(server, monotonic() + seconds)
        with server.admin() as connection, connection.cursor() as cursor:
            cursor.execute(self._dialect.wait, (position, seconds))
            return bool(cursor.fetchone() == (0,))

    def _wait_without_gtids(self, server: Server, until: float) -> bool:
        with server.admin() as connection, connection.cursor() as cursor:
            while monotonic() < until:
                cursor.execute("SELECT COUNT(*) FROM mysql.user WHERE user = 'replicator'")
                if cursor.fetchone() == (1,):
                    return True
                sleep(0.05)
        return False

    def healthy(self) -> bool:
        """Tell whether every replica's applier runs and is not stalled."""
        return all(
            server.stalled_by is None
            and server.link is None
            and self.running(server)
            and self._applier_runs(server)
            for server in self.replicas
        )

    def _applier_runs(self, server: Server) -> bool:
        with server.admin(cursorclass=pymysql.cursors.DictCursor) as connection:
            cursor = connection.cursor()
            cursor.execute(self._dialect.applier_state)
            state = cursor.fetchone()
        return bool(state) and state[self._dialect.applier_column] == "Yes"

    def heal(self) -> None:
        """Undo what was done to the replicas, and wait until all have caught up."""
        for server in self.replicas:
            if not self.running(server):
                self.restart(server)
            self.resume(server)
            self.delay(server, 0)
            if not self._applier_runs(server):
                self.start_applier(server)
        self.wait_caught_up()


def _identifier(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]+", name):
        raise ValueError(f"a sandbox database is named with letters, digits and _, got {name!r}")
    return f"`{name}`"


# A data directory takes seconds to make, and a copy of one a fraction: one a process and flavor.
_templates: dict[str, tuple[int, Path, Guard]] = {}
_lock = threading.Lock()


def _template(flavor: str, make: Callable[[Path], None]) -> Path:
    with _lock:
        known = _templates.get(flavor)
        if known is None or known[0] != os.getpid():
            folder = Path(tempfile.mkdtemp(prefix="rwsplit-"))
            guard = Guard(folder)
            try:
                make(folder / "data")
            except BaseException:
                guard.close()
                raise
            _templates[flavor] = known = (os.getpid(), folder, guard)
    return known[1] / "data"


def _remove_templates() -> None:
    for owner, _, guard in _templates.values():
        if owner == os.getpid():
            with contextlib.suppress(OSError):
                guard.close()


import atexit  # noqa: E402 - beside what it registers

atexit.register(_remove_templates)
