"""What a member's server is asked, by flavor: as it is set up, and about the session there. Pure.

The queries end with a LIMIT of their own: sql_select_limit is for the application's.
"""

from __future__ import annotations

from .defaults import DEFAULTS, packed
from .names import spelt

__all__ = [
    "ASK_CHANGED",
    "ASK_PRIMARY",
    "ASK_REPLICA",
    "ASK_REPLICAS",
    "AS_FRESH",
    "VALUES",
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

_FACTS = {
    "mysql": "SELECT @@SESSION.max_allowed_packet,"
    "@@GLOBAL.gtid_mode IN ('ON','ON_PERMISSIVE'),@@GLOBAL.log_bin,@@GLOBAL.server_uuid,{values},"
    "IF(@@GLOBAL.innodb_read_only,'ON',@@GLOBAL.read_only),"
    "NULL,CAST(@@GLOBAL.gtid_executed AS BINARY) LIMIT 1",
    "mariadb": "SELECT @@SESSION.max_allowed_packet,1,@@GLOBAL.log_bin,@@GLOBAL.server_id,{values},"
    "IF(@@GLOBAL.innodb_read_only,'ON',@@GLOBAL.read_only),"
    "CAST(@@GLOBAL.gtid_current_pos AS BINARY),"
    "CAST(CONCAT_WS(',',NULLIF(@@GLOBAL.gtid_binlog_state,''),NULLIF(@@GLOBAL.gtid_slave_pos,''))"
    " AS BINARY) LIMIT 1",
}
ASK_PRIMARY = {
    flavor: sql.format(values=packed(VALUES[flavor], "SESSION")) for flavor, sql in _FACTS.items()
}
"""Asks what server it is, what it has, and for the values of a session that begins there."""
ASK_REPLICA = {
    "mysql": "SELECT @@SESSION.max_allowed_packet,@@GLOBAL.server_uuid,"
    "CAST(@@GLOBAL.gtid_executed AS BINARY) LIMIT 1",
    "mariadb": "SELECT @@SESSION.max_allowed_packet,@@GLOBAL.server_id,"
    "CAST(@@GLOBAL.gtid_slave_pos AS BINARY) LIMIT 1",
}
"""Asks what server it is, and where it is."""

AS_FRESH = {"mysql": "SELECT 1 LIMIT 0", "mariadb": "SELECT 1"}
"""Makes FOUND_ROWS() what it is on a fresh connection: 0, or 1."""

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
