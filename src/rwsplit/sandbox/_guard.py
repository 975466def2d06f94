"""The guard: a small process that runs the servers, and ends them when their owner ends.

It is run as a program, by its path, and imports nothing of rwsplit. The owner writes one JSON line
for each order and reads one in answer. When the owner says that it ends, closes the pipe or dies,
however it dies, the guard kills the servers and removes their folder.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_LOOK_SECONDS = 0.5


class Guard:
    """The owner's end: orders for a guard process of its own."""

    def __init__(self, folder: Path) -> None:
        # A session of its own, so that Ctrl-C in the terminal reaches the owner alone.
        self._process = subprocess.Popen(  # noqa: S603 - this very file
            [sys.executable, "-S", __file__, str(folder), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def start(self, command: list[str], log: Path) -> int:
        """Start a server; returns its process id."""
        return int(self._order({"start": command, "log": str(log)}))

    def running(self, pid: int) -> bool:
        """Tell whether a server still runs."""
        return bool(self._order({"running": pid}))

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to a server; wait until a SIGKILL has ended it, a SIGSTOP stopped it."""
        self._order({"signal": int(number), "pid": pid})

    def _order(self, order: dict[str, Any]) -> Any:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise RuntimeError("the sandbox's guard process has ended")
        return json.loads(answer)

    def close(self) -> None:
        """End the servers and remove their folder; returns when that is done."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        # A process that the owner forked may hold the pipe open: its end would not be noticed.
        with suppress(OSError):
            process.stdin.write(b'"end"\n')
            process.stdin.close()
        process.wait()
        process.stdout.close()


class _Servers:
    def __init__(self) -> None:
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def obey(self, order: dict[str, Any]) -> Any:
        if "start" in order:
            return self._start(order["start"], order["log"])
        if "running" in order:
            return self._running[order["running"]].poll() is None
        server = self._running[order["pid"]]
        if server.poll() is None:
            server.send_signal(order["signal"])
            if order["signal"] == signal.SIGKILL:
                server.wait()
            elif order["signal"] == signal.SIGSTOP:
                _wait_until_stopped(server)
        return None

    def _start(self, command: list[str], log: str) -> int:
        with Path(log).open("ab") as output:
            server = subprocess.Popen(  # noqa: S603 - the owner's order
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        self._running[server.pid] = server
        return server.pid

    def kill(self) -> None:
        for server in self._running.values():
            if server.poll() is None:
                server.kill()
        for server in self._running.values():
            server.wait()


def _wait_until_stopped(server: subprocess.Popen[bytes]) -> None:
    _, status = os.waitpid(server.pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        # It ended instead; nobody else can ask for its status now.
        server.returncode = os.waitstatus_to_exitcode(status)


def _main(folder: str, owner: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    servers = _Servers()
    try:
        pending = b""
        # A process that the owner forked may hold the pipe open: look at the parent too.
        while os.getppid() == owner:
            if not select.select([0], [], [], _LOOK_SECONDS)[0]:
                continue
            received = os.read(0, 1 << 16)
            if not received:
                break
            *orders, pending = (pending + received).split(b"\n")
            for order in map(json.loads, orders):
                if order == "end":
                    return
                os.write(1, json.dumps(servers.obey(order)).encode() + b"\n")
    finally:
        servers.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
