"""Whether members would give other answers than the primary: settings and filters that differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pymysql import err

__all__ = ["ASK_PARITY", "Parity", "filters_of"]

_SETTINGS = (
    "SELECT CAST(@@GLOBAL.sql_mode AS BINARY),"
    "IF(@@GLOBAL.time_zone='SYSTEM',@@system_time_zone,@@GLOBAL.time_zone),"
    "@@GLOBAL.collation_server,@@GLOBAL.lower_case_table_names,@@GLOBAL.version,"
    "@@GLOBAL.read_only LIMIT 1"
)
_FILTERS = ("do_db", "ignore_db", "do_table", "ignore_table", "wild_do_table", "wild_ignore_table")
ASK_PARITY = {
    # Only a privileged account may look; others get an error, and no warning.
    "mysql": (
        _SETTINGS,
        "SELECT FILTER_NAME,FILTER_RULE FROM performance_schema.replication_applier_global_filters"
        " UNION SELECT FILTER_NAME,FILTER_RULE FROM performance_schema.replication_applier_filters",
    ),
    "mariadb": (
        _SETTINGS,
        f"SELECT {','.join([f'@@GLOBAL.replicate_{name}' for name in _FILTERS])} LIMIT 1",
    ),
}


class Parity(NamedTuple):
    """What a server has set that changes what statements answer."""

    sql_mode: str
    time_zone: str
    collation_server: str
    lower_case_table_names: str
    version: str

    @classmethod
    def of(cls, values: Sequence[Any]) -> Parity:
        """Read the first row of the answer to ASK_PARITY."""
        sql_mode, zone, collation, case, version = map(_text, values[:5])
        return cls(sql_mode, zone, collation, case, version.split("-")[0])

    def differences(self, primary: Parity) -> list[str]:
        """Name what is not as it is on the primary."""
        return [
            f"{name} is {mine!r}, and {theirs!r} on the primary"
            for name, mine, theirs in zip(self._fields, self, primary, strict=True)
            if mine != theirs
        ]


def filters_of(flavor: str, replies: Sequence[Any]) -> list[str]:
    """Name the replication filters that a server lets us see."""
    seen = replies[1]
    if isinstance(seen, err.MySQLError):
        return []
    if flavor == "mysql":
        return [f"{_text(name)}={_text(rule)}" for name, rule in seen.rows]
    pairs = zip(_FILTERS, seen.rows[0], strict=True)
    return [f"replicate_{name}={_text(value)}" for name, value in pairs if value]


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
