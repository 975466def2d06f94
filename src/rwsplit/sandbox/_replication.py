"""What a sandbox says to its servers about replication and roles, and asks them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from time import monotonic, sleep
from typing import Any

import pymysql

from ._flavor import Dialect
from ._server import Server

__all__ = ["REPLICATOR", "Replication", "disconnect_clients", "run"]

REPLICATOR = ("replicator", "secret")
"""The account with which a replica connects to its source."""


def run(server: Server, *statements: str) -> None:
    """Run statements as root."""
    with server.admin() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def disconnect_clients(server: Server) -> None:
    """End all connections of clients; replication's own threads go on."""
    with server.admin() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW FULL PROCESSLIST")
        # Whoever replicates, or from whom, has a command or a user of its own.
        for number, user, _, _, command, *_ in cursor.fetchall():
            own = number == connection.thread_id()
            if own or user in ("system user", "event_scheduler", REPLICATOR[0]):
                continue
            if command not in ("Daemon", "Slave_SQL", "Slave_IO", "Slave_worker"):
                with contextlib.suppress(pymysql.MySQLError):  # it has gone by itself
                    cursor.execute(f"KILL {number:d}")


class Replication:
    """Steers the replication between servers of one flavor.

    :param dialect: the flavor's statements.
    :param options: the servers' options.
    """

    def __init__(self, dialect: Dialect, options: Mapping[str, str]) -> None:
        self._dialect = dialect
        self.possible = options.get("log_bin", "ON").upper() not in ("0", "OFF")
        """Whether the servers write a log that others can read."""
        self.by_gtid = options.get("gtid_mode", "ON").upper() == "ON"
        """Whether a replica finds its place in the log of any server."""

    def follow(self, server: Server, source: Server) -> None:
        """Let a server whose replication is stopped replicate from another, or through its link."""
        user, password = REPLICATOR
        port = source.port if server.link is None else server.link.port
        run(
            server,
            self._dialect.replicate.format(
                port=port, user=user, password=password, gtid=int(self.by_gtid)
            ),
            self._dialect.start_replication,
        )
        server.source = source

    def start(self, server: Server) -> None:
        """Start what is stopped of a server's replication, if it has a source."""
        if self._state(server):
            run(server, self._dialect.start_replication)

    def stop(self, server: Server) -> None:
        """Stop a server's replication, if it has any."""
        run(server, self._dialect.stop_replication)

    def keep_own(self, server: Server) -> None:
        """Count what a server wrote itself as replicated, so that it asks for what follows it."""
        run(server, *self._dialect.keep_own)

    def finish(self, server: Server, seconds: float) -> None:
        """Let a server apply all that it has received, and forget its source.

        Raises TimeoutError, and then it goes on replicating.
        """
        dialect = self._dialect
        if not self._state(server):
            return
        # In this order: MariaDB drops what it has received when it starts after both were stopped.
        run(server, dialect.start_applier, dialect.stop_receiver)
        received = self._state(server)[dialect.received_column]
        if received and not self.wait(server, received, seconds):
            run(server, dialect.start_receiver)
            raise TimeoutError(
                f"{server.name} did not apply what it has received within {seconds:g} s"
            )
        run(server, dialect.stop_replication, dialect.forget)
        server.source = None

    def protect(self, server: Server, *, administrators: bool = False) -> None:
        """Make a server read-only, for administrators too where it can be."""
        run(server, "SET GLOBAL read_only=ON", *self._dialect.protect if administrators else ())

    def unprotect(self, server: Server) -> None:
        """Let everyone write to a server again."""
        run(server, *self._dialect.unprotect, "SET GLOBAL read_only=OFF")

    def is_protected(self, server: Server) -> bool:
        """Tell whether a server is read-only."""
        with server.admin() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@GLOBAL.read_only")
            return bool(cursor.fetchone() == (1,))

    def runs(self, server: Server) -> bool:
        """Tell whether a server receives, or tries to, and applies."""
        state = self._state(server)
        return (
            bool(state)
            and state[self._dialect.applier_column] == "Yes"
            and state[self._dialect.receiver_column] != "No"
        )

    def _state(self, server: Server) -> dict[str, Any]:
        with server.admin(cursorclass=pymysql.cursors.DictCursor) as connection:
            cursor = connection.cursor()
            cursor.execute(self._dialect.state)
            return cursor.fetchone() or {}

    def position(self, server: Server) -> str:
        """Return the transactions that a server has, as it prints them."""
        with server.admin() as connection, connection.cursor() as cursor:
            cursor.execute(self._dialect.position)
            (position,) = cursor.fetchone()
        return str(position).replace("\n", "")

    def wait(self, server: Server, position: str, seconds: float) -> bool:
        """Wait until a server has applied a position; tells whether it did in time."""
        if not position:
            return self._wait_without_gtids(server, monotonic() + seconds)
        with server.admin() as connection, connection.cursor() as cursor:
            cursor.execute(self._dialect.wait, (position, seconds))
            return bool(cursor.fetchone() == (0,))

    def _wait_without_gtids(self, server: Server, until: float) -> bool:
        user, _ = REPLICATOR
        with server.admin() as connection, connection.cursor() as cursor:
            while monotonic() < until:
                cursor.execute("SELECT COUNT(*) FROM mysql.user WHERE user = %s", (user,))
                if cursor.fetchone() == (1,):
                    return True
                sleep(0.05)
        return False
