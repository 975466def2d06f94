"""What the monitor asks a server, by flavor: how it is, and what it answers otherwise. Pure.

How far a server has come goes by its role: a replica as far as it has applied its primary's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .defaults import DEFAULTS, UNMENDED, packed

__all__ = ["ASK_PARITY", "look_sql", "read_filters"]

_LOOK = {
    "mysql": "SELECT @@GLOBAL.server_uuid,IF(@@GLOBAL.innodb_read_only,'ON',@@GLOBAL.read_only),"
    "CAST({position} AS BINARY),CAST(@@GLOBAL.gtid_executed AS BINARY),NULL,"
    "(SELECT VARIABLE_VALUE FROM performance_schema.global_status"
    " WHERE VARIABLE_NAME='Threads_connected'),"
    "(SELECT VARIABLE_VALUE FROM performance_schema.global_status"
    " WHERE VARIABLE_NAME='Threads_running') LIMIT 1",
    "mariadb": "SELECT @@GLOBAL.server_id,IF(@@GLOBAL.innodb_read_only,'ON',@@GLOBAL.read_only),"
    "CAST({position} AS BINARY),"
    "CAST(CONCAT_WS(',',NULLIF(@@GLOBAL.gtid_binlog_state,''),NULLIF(@@GLOBAL.gtid_slave_pos,''))"
    " AS BINARY),"
    "(SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS"
    " WHERE VARIABLE_NAME='SLAVE_RUNNING'),"
    "(SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS"
    " WHERE VARIABLE_NAME='THREADS_CONNECTED'),"
    "(SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS"
    " WHERE VARIABLE_NAME='THREADS_RUNNING') LIMIT 1",
}
_POSITION = {
    "primary": {"mysql": "@@GLOBAL.gtid_executed", "mariadb": "@@GLOBAL.gtid_current_pos"},
    "replica": {"mysql": "@@GLOBAL.gtid_executed", "mariadb": "@@GLOBAL.gtid_slave_pos"},
}


def look_sql(flavor: str, role: str) -> str:
    """Return what asks a server how it is: the fields of a `Probe`, as far as it can tell them."""
    return _LOOK[flavor].format(position=_POSITION[role][flavor])


_FILTERS = ("do_db", "ignore_db", "do_table", "ignore_table", "wild_do_table", "wild_ignore_table")
# Only a privileged account may look; others get an error, and no warning.
_ASK_FILTERS = {
    "mysql": "SELECT FILTER_NAME,FILTER_RULE"
    " FROM performance_schema.replication_applier_global_filters"
    " UNION SELECT FILTER_NAME,FILTER_RULE FROM performance_schema.replication_applier_filters",
    "mariadb": f"SELECT {','.join([f'@@GLOBAL.replicate_{name}' for name in _FILTERS])} LIMIT 1",
}
ASK_PARITY = {
    flavor: (
        f"SELECT {packed(names, 'GLOBAL')},{packed(UNMENDED, 'GLOBAL')} LIMIT 1",
        _ASK_FILTERS[flavor],
    )
    for flavor, names in DEFAULTS.items()
}
"""Asks for the settings that change what statements answer, and for what replication leaves out."""


def read_filters(flavor: str, rows: Sequence[Sequence[Any]]) -> list[str]:
    """Name the replication filters that a server told.

    >>> read_filters("mysql", [("REPLICATE_DO_DB", b"shop")])
    ['REPLICATE_DO_DB=shop']
    >>> read_filters("mariadb", [("", "", "shop.a,shop.b", "", "", "")])
    ['replicate_do_table=shop.a,shop.b']
    """
    if flavor == "mysql":
        return [f"{_text(name)}={_text(rule)}" for name, rule in rows]
    pairs = zip(_FILTERS, rows[0], strict=True)
    return [f"replicate_{name}={_text(value)}" for name, value in pairs if value]


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
