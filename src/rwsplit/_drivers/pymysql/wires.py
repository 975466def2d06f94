"""Wires: authenticated sockets that one connection leaves behind for another."""

from __future__ import annotations

import select
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from pymysql.constants import COMMAND

from .inbox import Inbox

__all__ = ["HANDSHAKE_FACTS", "RESET_CONNECTION", "Wire", "is_readable"]


class Wire(NamedTuple):
    """An authenticated socket whose session is reset before another `PhysicalConnection` has it."""

    sock: Any
    file: Inbox
    """What is read from it."""
    facts: Mapping[str, Any]
    """What its handshake told."""
    was_reset: bool
    """It was sent the reset; else that goes before the next one's set-up."""

    @property
    def made_at(self) -> float:
        """When its connection was made (monotonic seconds)."""
        made_at: float = self.facts["made_at"]
        return made_at

    def is_ready(self) -> bool:
        """Tell whether it can be used without waiting: the server has answered a reset.

        One that was not reset is ready; if its server has closed it, the first reply tells.
        """
        return not self.was_reset or is_readable(self.sock)

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
            self.file.close()
        with suppress(OSError):
            self.sock.close()


HANDSHAKE_FACTS = (
    *("server_version", "server_thread_id", "salt", "server_capabilities", "server_language"),
    *("server_charset", "protocol_version", "host_info", "_secure", "_auth_plugin_name"),
    *("flavor", "tracks", "client_flag", "_kinds", "_result_class", "made_at", "max_packet"),
)
RESET_CONNECTION = struct.pack("<iB", 1, 0x1F)
_QUIT = struct.pack("<iB", 1, COMMAND.COM_QUIT)


def is_readable(sock: Any, seconds: float = 0) -> bool:
    """Tell whether something comes from a socket within so many seconds, or it has ended."""
    watch = select.poll() if hasattr(select, "poll") else None
    if watch is None:
        return bool(select.select([sock], [], [], seconds)[0])
    watch.register(sock.fileno(), select.POLLIN)
    return bool(watch.poll(seconds * 1000))
