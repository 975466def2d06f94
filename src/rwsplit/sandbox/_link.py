"""A TCP link before a server: it can be slow, mute, blocked or cut."""

from __future__ import annotations

import contextlib
import operator
import selectors
import socket
import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Link"]

_CHUNK = 1 << 16


class Link:
    """Forwards connections to a port of this machine.

    :param port: the port that it leads to.
    :param seconds: by how much what comes back is delayed.
    """

    def __init__(self, port: int, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.mute = False
        """What goes to the server arrives; its answers are lost."""
        self.blocked = False
        """Nothing goes through, and nobody is told."""
        self._is_cut = False
        self.target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        """The port to connect to."""
        self._pairs: list[_Pair] = []
        threading.Thread(target=self._accept, name="rwsplit-link", daemon=True).start()

    @property
    def target(self) -> int:
        """The port that new connections lead to; open ones stay where they are.

        Set it to play a name or a virtual address that moves to another server.
        """
        return self._target

    @target.setter
    def target(self, port: int) -> None:
        number = operator.index(port)
        if not 0 < number < 1 << 16:
            raise ValueError(f"target: expected a port from 1 to 65535, got {port!r}")
        self._target = number

    def cut(self) -> None:
        """End all connections, and new ones at once, until `mend`."""
        self._is_cut = True
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.close()

    def mend(self) -> None:
        """Let everything through again; what was lost stays lost."""
        self._is_cut = self.mute = self.blocked = False

    def close(self) -> None:
        """Cut all connections and accept no more."""
        self._listener.close()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_cut:
                    client.close()
                    continue
                try:
                    server = socket.create_connection(("127.0.0.1", self._target), 5)
                except OSError:
                    client.close()
                    continue
                self._pairs.append(_Pair(self, client, server))


class _Pair:
    """One connection through the link."""

    def __init__(self, link: Link, client: socket.socket, server: socket.socket) -> None:
        self._link = link
        self._client, self._server = client, server
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._run, name="rwsplit-link", daemon=True).start()

    def close(self) -> None:
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        waiting: deque[tuple[float, bytes]] = deque()
        with contextlib.suppress(OSError), selectors.DefaultSelector() as selector:
            for end in (self._client, self._server):
                selector.register(end, selectors.EVENT_READ)
            while True:
                pause = max(waiting[0][0] - monotonic(), 0) if waiting else None
                for key, _ in selector.select(pause):
                    data = key.fileobj.recv(_CHUNK)  # type: ignore[union-attr]
                    if not data:
                        return self._end()
                    link = self._link
                    if link.blocked or (link.mute and key.fileobj is self._server):
                        continue
                    if key.fileobj is self._client:
                        _send(self._server, data)
                    else:
                        waiting.append((monotonic() + link.seconds, data))
                while waiting and waiting[0][0] <= monotonic():
                    _send(self._client, waiting.popleft()[1])
        return self._end()

    def _end(self) -> None:
        self._client.close()
        self._server.close()


def _send(end: socket.socket, data: bytes) -> None:
    end.setblocking(True)
    try:
        end.sendall(data)
    finally:
        end.setblocking(False)
