"""The sandbox: servers that replicate, started and steered together."""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any

import pymysql

from .._drivers.pymysql import PlainConnection
from ._find import find_servers
from ._flavor import dialect, make_data, server_options
from ._guard import Guard
from ._link import Link
from ._replication import REPLICATOR, Replication, disconnect_clients, run
from ._server import Server
from ._template import template

__all__ = ["Sandbox"]

_USER = "app"
_PASSWORD = "secret"  # noqa: S105 - of a server that lives on loopback for a while
_DATABASE = "shop"

_READY_SECONDS = 30.0
_HEAL_SECONDS = 30.0
_ALL_SECONDS = 120.0
"""A server that was rebuilt may have a long history to replicate."""


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
        self._replication = Replication(self._dialect, self._options)
        self._owner = os.getpid()
        self._closed = False
        folder = Path(tempfile.mkdtemp(prefix="rwsplit-"))
        # Ids that no other sandbox has: a foreign cluster's servers must look foreign.
        self._ids = itertools.count(random.SystemRandom().randrange(1 << 16, 1 << 31, 1 << 8))
        self.primary = Server("primary", "primary", next(self._ids), folder)
        """The server that takes the writes."""
        self.replicas = tuple(
            [
                Server(f"replica{number}", "replica", next(self._ids), folder)
                for number in range(1, replicas + 1)
            ]
        )
        """The servers that replicate from the primary, or are meant to."""
        self._former: tuple[Server, ...] = ()
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
        """The primary, the replicas, and primaries of before that are neither."""
        return (self.primary, *self.replicas, *self._former)

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
        self._template = template(self.flavor, lambda path: make_data(self._programs, path, user))
        for server in self.servers:
            shutil.copytree(self._template, server.data)
        self._say(f"starting {len(self.servers)} servers")
        for server in self.servers:
            server.start(self._guard, command)
        for server in self.servers:
            server.ready(self._guard, command)
        self._say("starting replication")
        self._make_accounts()
        if self._replication.possible:
            for server in self.replicas:
                self._replication.follow(server, self.primary)
            self.wait_caught_up(_READY_SECONDS)
        self._say(f"ready after {monotonic() - began:.1f} s")

    def _make_accounts(self) -> None:
        user, password = REPLICATOR
        statements = [
            f"CREATE DATABASE {_DATABASE}",
            f"CREATE USER {_USER}@'%' IDENTIFIED BY '{_PASSWORD}'",
            f"GRANT ALL ON {_DATABASE}.* TO {_USER}@'%'",
            f"CREATE USER {user}@'%' IDENTIFIED BY '{password}'",
            f"GRANT REPLICATION SLAVE ON *.* TO {user}@'%'",
        ]
        # Without replication every server has them of its own.
        servers = (self.primary,) if self._replication.possible else self.servers
        for server in servers:
            run(server, *statements)

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
        return PlainConnection(**{**account, **options})

    def create_database(self, name: str) -> str:
        """Create another database and let the ordinary account do everything in it."""
        quoted = _identifier(name)
        run(
            self.primary,
            f"DROP DATABASE IF EXISTS {quoted}",
            f"CREATE DATABASE {quoted}",
            f"GRANT ALL ON {quoted}.* TO {_USER}@'%'",
        )
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, and the account's rights to it."""
        quoted = _identifier(name)
        run(
            self.primary,
            f"DROP DATABASE IF EXISTS {quoted}",
            f"REVOKE ALL ON {quoted}.* FROM {_USER}@'%'",
        )

    # Steering.

    def stop_applier(self, server: Server) -> None:
        """Stop a replica's applier, as an administrator would; the replica says that it stopped."""
        run(server, self._dialect.stop_applier)

    def start_applier(self, server: Server) -> None:
        """Start a replica's applier again."""
        run(server, self._dialect.start_applier)

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
        self._expect_replica(server)
        if server.link is not None and seconds:
            server.link.seconds = seconds
            return
        source = server.source if server.source in self.replicas else self.primary
        link, server.link = server.link, Link(source.port, seconds) if seconds else None
        if link is None and not seconds:
            return
        if server.source is not None:
            self._follow(server, source)
        if link is not None:
            link.close()

    def _follow(self, server: Server, source: Server) -> None:
        # Replication can't be stopped while its applier waits for the lock that stalls it.
        stalled = server.stalled_by is not None
        self.resume(server)
        self._replication.stop(server)
        if server.has_led:
            self._replication.keep_own(server)
        self._replication.follow(server, source)
        if stalled:
            self.stall(server)

    def link(self, server: Server) -> Link:
        """Put a TCP link before a server, for clients that connect to the link's `port`.

        It is a context manager, and can be slow, mute, blocked or cut.
        """
        return Link(server.port)

    def kill(self, server: Server) -> None:
        """Kill a server, as a power cut would (SIGKILL)."""
        server.stalled_by, server.frozen = None, False
        self._guard.signal(server.pid, signal.SIGKILL)

    def freeze(self, server: Server) -> None:
        """Stop a server's process where it is (SIGSTOP).

        Its connections stay, and its port takes new ones; nothing answers.
        """
        if self.running(server) and not server.frozen:
            self._guard.signal(server.pid, signal.SIGSTOP)
            server.frozen = True

    def thaw(self, server: Server) -> None:
        """Let a frozen server go on, as if no time had passed for it."""
        if server.frozen:
            self._guard.signal(server.pid, signal.SIGCONT)
            server.frozen = False

    def restart(self, server: Server) -> None:
        """Start a server that was killed, or end one cleanly before that; replication goes on.

        Returns when it answers.
        """
        self._end(server)
        server.start(self._guard, self._command)
        server.ready(self._guard, self._command)
        if server.role == "replica":
            self._replication.start(server)

    def _end(self, server: Server) -> None:
        self.thaw(server)
        self._guard.signal(server.pid, signal.SIGTERM)
        until = monotonic() + _READY_SECONDS
        while self.running(server) and monotonic() < until:
            sleep(0.05)
        self.kill(server)

    def running(self, server: Server) -> bool:
        """Tell whether a server's process runs."""
        return self._guard.running(server.pid)

    def position(self, server: Server) -> str:
        """Return the transactions that a server has, as it prints them."""
        return self._replication.position(server)

    def wait_caught_up(self, timeout: float = _ALL_SECONDS) -> None:
        """Wait until every replica has all that the primary has; raises TimeoutError."""
        position = self.position(self.primary)
        until = monotonic() + timeout
        for server in self.replicas:
            if not self._wait(server, position, max(until - monotonic(), 0.001)):
                raise TimeoutError(f"{server.name} did not catch up within {timeout:g} s")

    def _wait(self, server: Server, position: str, seconds: float) -> bool:
        return self._replication.wait(server, position, seconds)

    def healthy(self, *, late: bool = False) -> bool:
        """Tell whether the primary takes writes and all replicas replicate from it unhindered.

        They have caught up, too, or do so within a second; with `late` they need not (see `delay`).
        """
        return (
            all(self.running(server) and not server.frozen for server in self._members())
            and all(server.stalled_by is None for server in self._members())
            and not self._replication.is_protected(self.primary)
            and all(
                (late or server.link is None)
                and server.source is self.primary
                and self._replication.runs(server)
                for server in self.replicas
            )
            and (late or self._are_abreast(1.0))
        )

    def _are_abreast(self, seconds: float) -> bool:
        try:
            self.wait_caught_up(seconds)
        except TimeoutError:
            return False
        return True

    def heal(self) -> None:
        """Undo what was done to the primary and the replicas, and wait until all have caught up.

        The roles stay as they are, and a server that is neither is left alone. Clients that keep a
        replica from catching up are disconnected; one that can't catch up even so is rebuilt.
        """
        for server in self._members():
            self.thaw(server)
            if not self.running(server):
                self.restart(server)
            self.resume(server)
        if self._replication.is_protected(self.primary):
            self._make_writable(self.primary)
        for server in self.replicas:
            self.delay(server, 0)
            if server.source is not self.primary:
                self.repoint(server)
            elif not self._replication.runs(server):
                # Stopped before that, or it goes on trying as it was told to before.
                self._replication.stop(server)
                self._replication.start(server)
        self._have_caught_up()

    def _have_caught_up(self) -> None:
        """Let the replicas catch up, whatever that takes."""
        position = self.position(self.primary)
        late = [each for each in self.replicas if not self._wait(each, position, _HEAL_SECONDS)]
        for server in late:
            disconnect_clients(server)
            if not self._wait(server, position, _HEAL_SECONDS):
                self.rebuild(server)
        self.wait_caught_up()

    def _members(self) -> tuple[Server, ...]:
        return (self.primary, *self.replicas)

    # Failing over.

    def demote(self, server: Server) -> None:
        """Make a server read-only (on MySQL for administrators too), also when it restarts.

        One that was killed is so from its start.
        """
        server.read_only = True
        if self.running(server):
            self._replication.protect(server, administrators=True)

    def promote(self, server: Server, timeout: float = _READY_SECONDS) -> None:
        """Make a replica the primary, when it has applied all that it has received.

        Raises TimeoutError if it does not apply that in time, and is a replica still. The old
        primary is asked nothing and told nothing: it may be killed or frozen, or go on taking
        writes. It is no replica until `repoint` or `rebuild`, and the other replicas replicate
        from it until `repoint`.
        """
        self._expect_replica(server)
        if not self._replication.by_gtid:
            raise RuntimeError("promote needs servers with gtid_mode=ON")
        self.resume(server)
        self._replication.finish(server, timeout)
        if server.link is not None:
            server.link.close()
            server.link = None
        self._make_writable(server)
        old, self.primary = self.primary, server
        self.replicas = tuple(other for other in self.replicas if other is not server)
        self._former = (*self._former, old)
        old.role, server.role = "former", "primary"
        server.has_led = True

    def repoint(self, server: Server, to: Server | None = None) -> None:
        """Make a server a read-only replica of the primary, or of the server `to`, by GTID.

        It asks for what follows its own transactions. If it has some that its new source never
        had, MySQL goes on with both, and MariaDB stops with an error that its status shows; this
        call does not raise. A killed server is started, read-only from the beginning.
        """
        source = self.primary if to is None else to
        if server in (self.primary, source):
            raise ValueError(f"{server.name} can't replicate from {source.name}")
        self._make_replica(server)
        if not self.running(server):
            self.restart(server)
        self._replication.protect(server)
        if server.link is not None:
            server.link.target = source.port
        self._follow(server, source)

    def replicate(self, server: Server) -> None:
        """Let a rebuilt server replicate from the primary; as `repoint`."""
        self.repoint(server)

    def rebuild(self, server: Server, *, replicate: bool = True) -> None:
        """Kill a replica, or a primary of before, and start it on its port with no data at all.

        It is a replica then and replicates everything from the primary; with `replicate=False`
        not until `replicate`. To the others it is a new server, with a new UUID on MySQL. One that
        was the primary gets a new `server_id`: a server skips transactions that carry its own.
        """
        if server is self.primary:
            raise ValueError(f"{server.name} is the primary")
        self.kill(server)
        shutil.rmtree(server.data)
        shutil.copytree(self._template, server.data)
        if server.has_led:
            server.server_id, server.has_led = next(self._ids), False
        self._make_replica(server)
        server.source = None
        self.restart(server)
        if replicate:
            self.replicate(server)

    def _make_replica(self, server: Server) -> None:
        server.role, server.read_only = "replica", True
        if server not in self.replicas:
            self.replicas = (*self.replicas, server)
            self._former = tuple(other for other in self._former if other is not server)

    def _make_writable(self, server: Server) -> None:
        server.read_only = False
        self._replication.unprotect(server)

    def _expect_replica(self, server: Server) -> None:
        if server not in self.replicas:
            raise ValueError(f"{server.name} is not a replica")


def _identifier(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]+", name):
        raise ValueError(f"a sandbox database is named with letters, digits and _, got {name!r}")
    return f"`{name}`"
