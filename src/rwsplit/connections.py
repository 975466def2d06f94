"""The module that `import rwsplit as pymysql` looks for: `Connection` is the virtual connection."""

from pymysql.connections import DEFAULT_CHARSET, MAX_PACKET_LEN, TEXT_TYPES, MySQLResult
from pymysql.cursors import Cursor

from ._shell.connection import Connection

__all__ = [
    "DEFAULT_CHARSET",
    "MAX_PACKET_LEN",
    "TEXT_TYPES",
    "Connection",
    "Cursor",
    "MySQLResult",
]
