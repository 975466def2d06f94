"""How a server is asked where it is, and how one waits there for a position. Pure."""

from __future__ import annotations

import re

from ..cluster.position import GtidList, GtidSet, Position, parse_position
from ..sql.values import as_text

__all__ = [
    "POSITION_SQL",
    "READ_ONLY_SQL",
    "SHOWN_SQL",
    "shown_position",
    "told_position",
    "wait_sql",
    "without_owners",
]

# MySQL shows what a transaction wrote before `gtid_executed` has its GTID (tried: to one read in
# forty behind busy writers). Until then the GTID is in `gtid_owned`, which is looked at first: none
# is missed on its way from there.
POSITION_SQL = {
    "primary": {
        "mysql": "SELECT CAST(CONCAT_WS(',',NULLIF(@@GLOBAL.gtid_owned,''),@@GLOBAL.gtid_executed)"
        " AS BINARY) LIMIT 1",
        "mariadb": "SELECT CAST(@@GLOBAL.gtid_current_pos AS BINARY) LIMIT 1",
    },
    "replica": {
        "mysql": "SELECT CAST(@@GLOBAL.gtid_executed AS BINARY) LIMIT 1",
        "mariadb": "SELECT CAST(@@GLOBAL.gtid_slave_pos AS BINARY) LIMIT 1",
    },
}
"""By role and flavor, the statement that asks a server where it is."""

READ_ONLY_SQL = "SELECT IF(@@GLOBAL.innodb_read_only,1,@@GLOBAL.read_only) LIMIT 1"
"""Asks a server whether applications may not write there: 0 or 1."""


# A replica shows what it has applied before gtid_executed or gtid_slave_pos has it (tried: to one
# read in four thousand, and in eighty). What has begun to be applied is in MySQL's gtid_owned; what
# MariaDB shows it has written to its binary log, where it logs what it applies: else NULL.
SHOWN_SQL = {
    "mysql": POSITION_SQL["primary"]["mysql"],
    "mariadb": "SELECT CAST(IF(@@GLOBAL.log_bin AND @@GLOBAL.log_slave_updates,CONCAT_WS(',',"
    "NULLIF(@@GLOBAL.gtid_binlog_pos,''),NULLIF(@@GLOBAL.gtid_slave_pos,'')),NULL) AS BINARY)"
    " LIMIT 1",
}
"""By flavor, the statement that asks a replica for all that it has shown to anybody."""


def shown_position(flavor: str, text: str | bytes | None) -> Position | None:
    """Read the answer: MariaDB names a domain twice, and says NULL where it can't tell.

    >>> shown_position("mariadb", b"0-1-7,1-1-3,0-1-6")
    GtidList('0-1-7,1-1-3')
    """
    if text is None:
        return None
    if flavor != "mariadb":
        return told_position(flavor, text)
    shown = told_position(flavor, "")
    for entry in (as_text(text) or "").split(","):
        shown = shown | told_position(flavor, entry)
    return shown


def told_position(flavor: str, text: str | bytes | None) -> Position:
    """Read the answer; an owned GTID has the number of the thread that owns it behind it.

    >>> told_position("mysql", b"3e11fa47-71ca-11e1-9e33-c80aa9429562:23#17")
    GtidSet('3e11fa47-71ca-11e1-9e33-c80aa9429562:23')
    """
    said = text or b""
    return parse_position(
        flavor, without_owners(said if isinstance(said, bytes) else said.encode())
    )


_OWNER = re.compile(rb"#\d+")


def without_owners(said: bytes) -> bytes:
    """Return GTIDs without the number of the thread that owns one.

    >>> without_owners(b"3e11fa47-71ca-11e1-9e33-c80aa9429562:23#17")
    b'3e11fa47-71ca-11e1-9e33-c80aa9429562:23'
    """
    return _OWNER.sub(b"", said) if b"#" in said else said


def wait_sql(position: Position, seconds: float) -> str:
    """Return the statement that waits on a replica for a position; it returns 0 when it is there.

    The session's own limits must not end the wait (MySQL manual, MAX_EXECUTION_TIME; MariaDB
    knowledge base, SET STATEMENT and MASTER_GTID_WAIT), nor sql_select_limit swallow its answer. A
    time of 0 would wait for ever. It has a name, so that its column is the same each time.
    """
    # What is printed must not be 0.
    seconds = max(seconds, 0.001)
    if isinstance(position, GtidSet):
        limit = int(seconds * 1000) + 1000
        return (
            f"SELECT /*+ MAX_EXECUTION_TIME({limit}) */ "
            f"WAIT_FOR_EXECUTED_GTID_SET('{position}',{seconds:.3f})AS w LIMIT 1"
        )
    assert isinstance(position, GtidList)
    return (
        "SET STATEMENT max_statement_time=0 FOR "
        f"SELECT MASTER_GTID_WAIT('{position}',{seconds:.3f})AS w LIMIT 1"
    )
