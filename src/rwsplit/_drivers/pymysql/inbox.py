"""The inbox of a connection: what has come from the server and is not read yet."""

from __future__ import annotations

from typing import Any

__all__ = ["Inbox"]

_AT_ONCE = 64 * 1024
"""So many bytes are received at once, if they are there."""
_MOST_AT_ONCE = 1024 * 1024
"""So many, of a packet that is known to be long."""


class Inbox:
    """Reads a socket in large pieces; to PyMySQL it is the file that a packet's bytes come from.

    What is in it is at most a piece and the part of a packet that was there before, so no packet
    of the longest size is ever whole in it.
    """

    __slots__ = ("_sock", "at", "data")

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.data = b""
        """What has come."""
        self.at = 0
        """Where the part of it begins that is not read yet."""

    @property
    def is_empty(self) -> bool:
        """Whether all that has come is read."""
        return self.at == len(self.data)

    @property
    def lacks_rest(self) -> bool:
        """Whether the rest of a packet has to come, and is short enough to be put behind this."""
        data, at = self.data, self.at
        if len(data) - at < 4:
            return True
        size = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        return size < _AT_ONCE and at + 4 + size > len(data)

    def receive(self) -> bool:
        """Wait for more; False if the server has ended the connection."""
        more: bytes = self._sock.recv(_AT_ONCE)
        self.data = more if self.at == len(self.data) else self.data[self.at :] + more
        self.at = 0
        return bool(more)

    def read(self, size: int) -> bytes:
        """Return so many bytes; fewer if the server has ended the connection."""
        at = self.at
        end = at + size
        if end <= len(self.data):
            self.at = end
            return self.data[at:end]
        pieces = [self.data[at:]]
        self.data, self.at = b"", 0
        missing = size - len(pieces[0])
        while missing > 0:
            piece: bytes = self._sock.recv(min(max(missing, _AT_ONCE), _MOST_AT_ONCE))
            if not piece:
                break
            if len(piece) > missing:
                self.data, self.at = piece, missing
                piece = piece[:missing]
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Forget what is not read; the socket stays as it is."""
        self.data, self.at = b"", 0
