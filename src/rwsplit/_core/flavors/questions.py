"""What a member's server is asked, by flavor: as it is set up, and about the session there. Pure.

The queries end with a LIMIT of their own: sql_select_limit is for the application's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .defaults import DEFAULTS, packed
from .names import spelt
from .positions import without_owners

__all__ = [
    "ASK_CHANGED",
    "ASK_PRIMARY",
    "ASK_REPLICA",
    "ASK_REPLICAS",
    "AS_FRESH",
    "VALUES",
    "told_by_primary",
    "told_by_replica",
]

VALUES = {
    flavor: (
        *DEFAULTS[flavor],
        "collation_connection",
        *(spelt(name, flavor) for name in ("transaction_isolation", "transaction_read_only")),
        "completion_type",
    )
    for flavor in DEFAULTS
}
"""What a session has from the start, and every member is to have as the primary has it."""

_PRIMARY = {
    "mysql": (
        "@@SESSION.max_allowed_packet,@@GLOBAL.gtid_mode IN ('ON','ON_PERMISSIVE'),"
        "IF(@@GLOBAL.log_bin,1,0),@@GLOBAL.server_uuid,"
        "IF(@@GLOBAL.innodb_read_only,'ON',@@GLOBAL.read_only),{values},"
        # With what is shown already and not told of yet: see `POSITION_SQL`.
        "'',CONCAT_WS(',',NULLIF(@@GLOBAL.gtid_owned,''),@@GLOBAL.gtid_executed)"
    ),
    "mariadb": (
        "@@SESSION.max_allowed_packet,1,IF(@@GLOBAL.log_bin,1,0),@@GLOBAL.server_id,"
        "IF(@@GLOBAL.innodb_read_only,'ON',@@GLOBAL.read_only),{values},"
        "IFNULL(@@GLOBAL.gtid_current_pos,''),"
        "CONCAT_WS(',',NULLIF(@@GLOBAL.gtid_binlog_state,''),NULLIF(@@GLOBAL.gtid_slave_pos,''))"
    ),
}
_REPLICA = {
    "mysql": "@@SESSION.max_allowed_packet,@@GLOBAL.server_uuid,@@GLOBAL.gtid_executed",
    "mariadb": "@@SESSION.max_allowed_packet,@@GLOBAL.server_id,IFNULL(@@GLOBAL.gtid_slave_pos,'')",
}


def _as_one(facts: str) -> str:
    return f"SELECT CAST(CONCAT_WS(X'1E',{facts}) AS BINARY) LIMIT 1"


ASK_PRIMARY = {
    flavor: _as_one(facts.format(values=packed(VALUES[flavor], "SESSION")))
    for flavor, facts in _PRIMARY.items()
}
"""Asks what server it is, what it has, and for the values of a session that begins there."""
ASK_REPLICA = {flavor: _as_one(facts) for flavor, facts in _REPLICA.items()}
"""Asks what server it is, and where it is."""


class OfPrimary(NamedTuple):
    """What a primary answers, as texts."""

    max_packet: bytes
    has_gtids: bytes
    has_log: bytes
    server: bytes
    read_only: bytes
    values: bytes
    at: bytes
    history: bytes

    @property
    def is_read_only(self) -> bool:
        """Whether applications may not write there."""
        return self.read_only not in (b"0", b"OFF", b"")


class OfReplica(NamedTuple):
    """What a replica answers, as texts."""

    max_packet: bytes
    server: bytes
    position: bytes


def told_by_primary(rows: Sequence[Sequence[str | bytes]]) -> OfPrimary:
    """Read the answer to ASK_PRIMARY."""
    told = OfPrimary(*_parts(rows))
    return told._replace(history=without_owners(told.history))


def told_by_replica(rows: Sequence[Sequence[str | bytes]]) -> OfReplica:
    """Read the answer to ASK_REPLICA."""
    return OfReplica(*_parts(rows))


def _parts(rows: Sequence[Sequence[str | bytes]]) -> list[bytes]:
    text = rows[0][0]
    return (text if isinstance(text, bytes) else text.encode("latin-1")).split(b"\x1e")


AS_FRESH = {"mysql": ("SELECT 1 LIMIT 0",), "mariadb": ()}
"""Makes FOUND_ROWS() what it is on a fresh connection, 0, behind a question; elsewhere it is 1."""

ASK_REPLICAS = {"mysql": "SHOW REPLICAS", "mariadb": "SHOW REPLICA HOSTS"}
"""Asks a primary who replicates from it."""

ASK_CHANGED = {
    "mysql": "SELECT VARIABLE_NAME,CAST(s.VARIABLE_VALUE AS BINARY) "
    "FROM performance_schema.session_variables s JOIN performance_schema.global_variables g "
    "USING (VARIABLE_NAME) "
    "WHERE s.VARIABLE_VALUE<>g.VARIABLE_VALUE OR VARIABLE_NAME IN ({known}) LIMIT 100000",
    "mariadb": "SELECT VARIABLE_NAME,CAST(SESSION_VALUE AS BINARY) "
    "FROM information_schema.SYSTEM_VARIABLES WHERE SESSION_VALUE IS NOT NULL "
    "AND (SESSION_VALUE<>GLOBAL_VALUE OR VARIABLE_NAME IN ({known})) LIMIT 100000",
}
"""Asks for all variables of the session that are not as the server has them, and those `known`."""
