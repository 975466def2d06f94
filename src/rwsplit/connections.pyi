from typing import Any

from ._drivers.cursors import Cursor
from ._shell.connection import Connection

__all__ = [
    "DEFAULT_CHARSET",
    "MAX_PACKET_LEN",
    "TEXT_TYPES",
    "Connection",
    "Cursor",
    "MySQLResult",
]

DEFAULT_CHARSET: str
MAX_PACKET_LEN: int
TEXT_TYPES: set[int]
MySQLResult: Any
