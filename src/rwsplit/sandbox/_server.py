"""One server of a sandbox."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pymysql

from .._drivers import err
from .._drivers.pymysql import PlainConnection
from ._guard import Guard
from ._link import Link

__all__ = ["Server"]

_START_SECONDS = 60.0
_TRIES = 5
_PAUSE_SECONDS = 0.5


class Server:
    """One server: its address, and its process."""

    host = "127.0.0.1"

    def __init__(self, name: str, role: str, server_id: int, folder: Path) -> None:
        self.name = name
        self.role = role
        """`primary`, `replica`, or `former` for a primary that another one replaced."""
        self.read_only = role == "replica"
        """Whether it starts read-only."""
        self.has_led = role == "primary"
        """Whether transactions with its id may be anywhere."""
        self.server_id = server_id
        self.port = 0
        self.data = folder / name
        self.log = folder / f"{name}.log"
        self.scratch = folder / f"{name}.tmp"
        """Its temporary files: a MariaDB server that starts deletes those of others beside it."""
        self.unix_socket = str(folder / f"{name[0]}{name[-1]}.sock")
        self.pid = 0
        self.link: Link | None = None
        """What the server replicates through while it is delayed."""
        self.source: Server | None = None
        """The server that it replicates from."""
        self.stalled_by: Any = None
        """The connection whose lock stalls the applier."""
        self.frozen = False
        self._settled = False

    def __repr__(self) -> str:
        """Name the server and its address."""
        return f"<Server {self.name} {self.host}:{self.port}>"

    def start(self, guard: Guard, command: list[str]) -> None:
        """Start the server's process on a free port; `ready` waits for it."""
        self.port = self.port or _free_port()
        self.scratch.mkdir(exist_ok=True)
        self.pid = guard.start(
            [
                *command,
                f"--datadir={self.data}",
                f"--tmpdir={self.scratch}",
                f"--port={self.port}",
                f"--socket={self.unix_socket}",
                f"--pid-file={self.data}/server.pid",
                f"--server-id={self.server_id}",
                f"--report-host={self.host}",
                f"--report-port={self.port}",
                *(["--read-only=ON"] if self.read_only else []),
            ],
            self.log,
        )

    def ready(self, guard: Guard, command: list[str]) -> None:
        """Wait until the server answers.

        If its port was taken meanwhile, it tries another one; but once it has answered on a port,
        others know it by that one.
        """
        for _ in range(_TRIES):
            if self._answers(lambda: guard.running(self.pid)):
                self._settled = True
                return
            log = self.log.read_text(errors="replace")
            if "Address already in use" not in log and "Do you already have another" not in log:
                break
            self.log.unlink()
            if self._settled:
                sleep(_PAUSE_SECONDS)
            else:
                self.port = 0
            self.start(guard, command)
        log = self.log.read_text(errors="replace")
        raise RuntimeError(f"{self.name} did not start; the end of its log:\n{log[-2000:]}")

    def _answers(self, running: Callable[[], bool]) -> bool:
        until = monotonic() + _START_SECONDS
        while monotonic() < until:
            if self._listens():
                with contextlib.suppress(err.OperationalError):
                    self.admin().close()
                    return True
            if not running():
                return False
            sleep(0.05)
        return False

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.unix_socket) == 0

    def admin(self, **options: Any) -> pymysql.connections.Connection[Any]:
        """Connect as root; TimeoutError at once if the server is frozen."""
        # PyMySQL's own time-out ends with the connect, which the kernel answers.
        if self.frozen:
            raise TimeoutError(f"{self.name} is frozen")
        return PlainConnection(
            **{
                "unix_socket": self.unix_socket,
                "user": "root",
                "autocommit": True,
                "ssl_disabled": True,
                **options,
            }
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((Server.host, 0))
        port: int = probe.getsockname()[1]
        return port
