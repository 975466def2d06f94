"""Client-side read/write splitting for MySQL and MariaDB, as a drop-in for PyMySQL.

`rwsplit.connect()` takes what `pymysql.connect()` takes, and `replicas=`. Reads go to replicas that
have caught up with what the connection wrote; everything else goes to the primary. `cursor.route`
tells where a statement went, and why.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import charset, constants, converters, cursors, err, times
from .err import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    MySQLError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,  # noqa: A004 - PEP 249 names it so
)
from .times import (
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
)

if TYPE_CHECKING:
    from . import connections
    from ._core.cause import Cause
    from ._core.cluster.endpoint import Endpoint
    from ._core.cluster.position import join_positions
    from ._core.session.route import RouteTaken
    from ._core.sql.statement import Kind, Statement
    from ._drivers.sources import Secured
    from ._patch import patch
    from ._pymysql import (
        BINARY,
        DATE,
        DATETIME,
        NULL,
        NUMBER,
        ROWID,
        STRING,
        TIME,
        TIMESTAMP,
        VERSION,
        VERSION_STRING,
        Binary,
        DBAPISet,
        __version__,
        apilevel,
        get_client_info,
        paramstyle,
        thread_safe,
        threadsafety,
        version_info,
    )
    from ._shell.cluster import Cluster
    from ._shell.context import session_id, tags, using
    from ._shell.outcome import OutcomeUnknown
    from ._shell.scope import Scope, current_scope, scope
    from ._shell.wrapping import wrap
    from ._stores import SessionStore, Stored, StoreError
    from .connections import Connection
    from .constants import FIELD_TYPE

    Connect = connect = Connection
else:
    # PyMySQL itself has no types.
    from pymysql import (
        BINARY,
        DATE,
        DATETIME,
        NULL,
        NUMBER,
        ROWID,
        STRING,
        TIME,
        TIMESTAMP,
        VERSION,
        VERSION_STRING,
        Binary,
        DBAPISet,
        __version__,
        apilevel,
        get_client_info,
        paramstyle,
        thread_safe,
        threadsafety,
        version_info,
    )
    from pymysql.constants import FIELD_TYPE

_LAZY = {
    "Cause": "._core.cause",
    "Cluster": "._shell.cluster",
    "Connect": ".connections",
    "Connection": ".connections",
    "Endpoint": "._core.cluster.endpoint",
    "Kind": "._core.sql.statement",
    "OutcomeUnknown": "._shell.outcome",
    "RouteTaken": "._core.session.route",
    "Scope": "._shell.scope",
    "Secured": "._drivers.sources",
    "SessionStore": "._stores",
    "Statement": "._core.sql.statement",
    "StoreError": "._stores",
    "Stored": "._stores",
    "connect": ".connections",
    "connections": ".connections",
    "patch": "._patch",
    "current_scope": "._shell.scope",
    "join_positions": "._core.cluster.position",
    "scope": "._shell.scope",
    "session_id": "._shell.context",
    "tags": "._shell.context",
    "using": "._shell.context",
    "wrap": "._shell.wrapping",
}
"""Imported when first asked for (PEP 562): what only imports rwsplit pays for little more than
PyMySQL."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_LAZY[name], __name__)
    wanted = "Connection" if name in ("connect", "Connect") else name
    value = module if name == "connections" else getattr(module, wanted)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


def classify(
    sql: str | bytes | bytearray,
    flavor: str = "mysql",
    version: str | tuple[int, ...] | None = None,
    sql_mode: str = "",
) -> Statement:
    """Tell what a server of this flavor, version and sql_mode would do with a text, and why.

    Raises TypeError for what is neither str nor bytes, ValueError for another flavor, and for no
    text anything else.
    """
    from ._core.sql.classify import classify as read  # noqa: PLC0415 - a mere import spares it

    return read(sql, flavor, version, sql_mode)


def install_as_MySQLdb() -> None:  # noqa: N802 - PyMySQL's name
    """Let `import MySQLdb` find rwsplit, for programs written for mysqlclient (Django)."""
    here = sys.modules[__name__]
    import_module(".connections", __name__)
    sys.modules["MySQLdb"] = here
    for name in ("connections", "constants", "converters", "cursors", "times"):
        sys.modules[f"MySQLdb.{name}"] = sys.modules[f"{__name__}.{name}"]
    for name in ("CLIENT", "CR", "ER", "FIELD_TYPE", "FLAG"):
        __import__(f"{__name__}.constants.{name}")
        sys.modules[f"MySQLdb.constants.{name}"] = sys.modules[f"{__name__}.constants.{name}"]
    sys.modules["MySQLdb._exceptions"] = sys.modules[f"{__name__}.err"]


__all__ = [
    "BINARY",
    "DATE",
    "DATETIME",
    "FIELD_TYPE",
    "NULL",
    "NUMBER",
    "ROWID",
    "STRING",
    "TIME",
    "TIMESTAMP",
    "VERSION",
    "VERSION_STRING",
    "Binary",
    "Cause",
    "Cluster",
    "Connect",
    "Connection",
    "DBAPISet",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Endpoint",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "Kind",
    "MySQLError",
    "NotSupportedError",
    "OperationalError",
    "OutcomeUnknown",
    "ProgrammingError",
    "RouteTaken",
    "Scope",
    "Secured",
    "SessionStore",
    "Statement",
    "StoreError",
    "Stored",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "__version__",
    "apilevel",
    "charset",
    "classify",
    "connect",
    "connections",
    "constants",
    "converters",
    "current_scope",
    "cursors",
    "err",
    "get_client_info",
    "install_as_MySQLdb",
    "join_positions",
    "paramstyle",
    "patch",
    "scope",
    "session_id",
    "tags",
    "thread_safe",
    "threadsafety",
    "times",
    "using",
    "version_info",
    "wrap",
]
