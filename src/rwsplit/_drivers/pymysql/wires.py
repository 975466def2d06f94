"""Wires: authenticated sockets that one connection leaves behind for another."""

from __future__ import annotations

import select
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from pymysql.constants import COMMAND

__all__ = ["HANDSHAKE_FACTS", "RESET_CONNECTION", "Wire", "is_readable"]


class Wire(NamedTuple):
    """An authenticated socket whose session was reset, for another `PhysicalConnection`."""

    sock: Any
    facts: Mapping[str, Any]
    """What its handshake told."""

    @property
    def made_at(self) -> float:
        """When its connection was made (monotonic seconds)."""
        made_at: float = self.facts["made_at"]
        return made_at

    def is_ready(self) -> bool:
        """Tell whether the server has answered the reset, and so can be used without waiting."""
        return is_readable(self.sock)

    def close(self) -> None:
        """Close the socket; the server is told so if that costs no waiting."""
        try:
            self.sock.settimeout(0)
            self.sock.sendall(_QUIT)
        except OSError:
            pass
        self.drop()

    def drop(self) -> None:
        """Close the socket without a word."""
        with suppress(OSError):
            self.sock.close()


HANDSHAKE_FACTS = (
    *("server_version", "server_thread_id", "salt", "server_capabilities", "server_language"),
    *("server_charset", "protocol_version", "host_info", "_secure", "_auth_plugin_name"),
    *("flavor", "tracks", "client_flag", "_result_class", "made_at"),
)
RESET_CONNECTION = struct.pack("<iB", 1, 0x1F)
_QUIT = struct.pack("<iB", 1, COMMAND.COM_QUIT)


def is_readable(sock: Any) -> bool:
    watch = select.poll() if hasattr(select, "poll") else None
    if watch is None:
        return bool(select.select([sock], [], [], 0)[0])
    watch.register(sock.fileno(), select.POLLIN)
    return bool(watch.poll(0))
