"""The numbers of errors that rwsplit knows or raises, by the servers' own names.

Those from 2000 to 2999 are of clients, the others of servers (MySQL's and MariaDB's references).
"""

from __future__ import annotations

__all__ = [
    "BAD_DB",
    "CON_COUNT",
    "HOST_IS_BLOCKED",
    "HOST_NOT_PRIVILEGED",
    "LOCK_DEADLOCK",
    "NET_PACKET_TOO_LARGE",
    "NOT_ALLOWED_COMMAND",
    "NOT_SUPPORTED_YET",
    "NO_SUCH_TABLE",
    "NO_SUCH_THREAD",
    "PARSE_ERROR",
    "QUERY_INTERRUPTED",
    "QUERY_TIMEOUT",
    "READ_ONLY_TRANSACTION",
    "SERVER_GONE",
    "SERVER_LOST",
    "UNREACHABLE",
    "USER_LIMIT_REACHED",
]

CON_COUNT = 1040
BAD_DB = 1049
PARSE_ERROR = 1064
NO_SUCH_THREAD = 1094
HOST_IS_BLOCKED = 1129
HOST_NOT_PRIVILEGED = 1130
NO_SUCH_TABLE = 1146
NOT_ALLOWED_COMMAND = 1148
NET_PACKET_TOO_LARGE = 1153
"""Longer than the server's max_allowed_packet; it closes the connection behind that."""
LOCK_DEADLOCK = 1213
USER_LIMIT_REACHED = 1226
NOT_SUPPORTED_YET = 1235
QUERY_INTERRUPTED = 1317
READ_ONLY_TRANSACTION = 1792
"""What can write was refused, as its transaction is READ ONLY."""
QUERY_TIMEOUT = 3024
UNREACHABLE = 2003
SERVER_GONE = 2006
SERVER_LOST = 2013
