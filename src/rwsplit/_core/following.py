"""What a statement leaves for one that asks about the statement before it.

FOUND_ROWS(), SHOW WARNINGS and ROW_COUNT() are each about another statement before: a SET, say,
changes ROW_COUNT() and leaves FOUND_ROWS() alone. Tried on real servers, which differ.
"""

from __future__ import annotations

from .statement import Kind, Statement

__all__ = ["counts_rows", "resets_warnings", "shows_data", "shows_tracking"]


def counts_rows(statement: Statement, flavor: str, has_rows: bool) -> bool:
    """Tell whether FOUND_ROWS() is about this statement from now on.

    `has_rows` is whether it answered with a result set.
    """
    verb = statement.verb
    if verb.startswith(("SHOW WARNINGS", "SHOW ERRORS", "SHOW COUNT", "SHOW CREATE")):
        return False
    if statement.kind is Kind.SESSION:
        return flavor == "mariadb" and bool(statement.tables)
    if flavor == "mysql":
        if verb.startswith(("UPDATE", "DO")):
            return True
        if verb.startswith(("EXPLAIN", "DESCRIBE", "ANALYZE")):
            return False
    return has_rows or (statement.kind is Kind.PRIMARY_READ and verb.startswith("SELECT"))


def resets_warnings(statement: Statement, warnings: int | None) -> bool:
    """Tell whether SHOW WARNINGS is about this statement from now on, on MariaDB.

    There a statement that uses no table and warns of nothing leaves the list as it was; on MySQL
    every statement clears it.
    """
    body = statement.body  # of a PREPARE
    return (
        bool(statement.tables or warnings or (body and body.tables))
        or statement.kind in (Kind.WRITE, Kind.UNKNOWN)
        or statement.verb.startswith("SHOW")
    )


def shows_tracking(statement: Statement) -> bool:
    """Tell whether a statement may show the session_track variables, which are ours."""
    return (
        statement.verb == "SHOW VARIABLES"
        or any(name.startswith("session_track_") for name in statement.system_variables_read)
        or any(table.name.lower() in _OF_VARIABLES for table in statement.tables)
    )


_OF_VARIABLES = frozenset({"session_variables", "system_variables", "variables_by_thread"})


def shows_data(statement: Statement) -> bool:
    """Tell whether a result set of this statement may show what others wrote."""
    if statement.kind in (Kind.READ, Kind.PRIMARY_READ):
        return bool(statement.tables or statement.functions) or statement.verb.startswith("SHOW")
    return statement.kind is not Kind.FOLLOW_READ
