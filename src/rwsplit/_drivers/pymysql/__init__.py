"""PyMySQL as rwsplit drives it: the only package that knows PyMySQL's internals.

`PhysicalConnection` is PyMySQL's connection with six things added: it speaks CLIENT_SESSION_TRACK
and CLIENT_DEPRECATE_EOF, so that every statement's last packet tells what it changed; it can send
several statements in one round trip; it is set up in one round trip; its wire can be kept for
another one; it builds a TLS context without loading the system's CAs where nothing would use
them; and it reads a socket in large pieces, and makes many rows of each at once.

PyMySQL moves private names between patch releases, so the version is pinned and
`tests/core/test_driver_contract.py` fails when a name used here is gone.
"""

from .connection import Ask, PhysicalConnection, Setup
from .errors import error_of, fault_of, in_use, is_of_tls, lost, raise_first
from .identity import Identity
from .keywords import CONNECT_KEYWORDS, DEFAULT_ENCODERS, PYMYSQL_KEYWORDS, PlainConnection
from .lent import PYMYSQL, LentConnection, keywords_of
from .results import Result, renamed
from .wires import Wire, is_readable

__all__ = [
    "CONNECT_KEYWORDS",
    "DEFAULT_ENCODERS",
    "PYMYSQL",
    "PYMYSQL_KEYWORDS",
    "Ask",
    "Identity",
    "LentConnection",
    "PhysicalConnection",
    "PlainConnection",
    "Result",
    "Setup",
    "Wire",
    "error_of",
    "fault_of",
    "in_use",
    "is_of_tls",
    "is_readable",
    "keywords_of",
    "lost",
    "raise_first",
    "renamed",
]
