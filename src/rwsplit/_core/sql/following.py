"""What a statement leaves for one that asks about the statement before it.

FOUND_ROWS(), SHOW WARNINGS and ROW_COUNT() are each about another statement before: a SET, say,
changes ROW_COUNT() and leaves FOUND_ROWS() alone. Tried on real servers, which differ.
"""

from __future__ import annotations

from .statement import Kind, Statement

__all__ = [
    "ASKED",
    "asks_more",
    "changes_rows",
    "counts_rows",
    "counts_rows_late",
    "finds_data",
    "may_begin_unseen",
    "may_count_rows",
    "questions_of",
    "resets_warnings",
    "shows_data",
    "shows_tracking",
]


ASKED = frozenset(("found_rows", "row_count", "warnings"))
"""What of `Statement.depends` is about a statement before."""

_QUERIES = ("SELECT", "TABLE", "VALUES", "WITH")
# Made from tables of the server's own, and so counted as any query is.
_SHOWS = frozenset(
    f"SHOW {what}"
    for what in (
        *("TABLES", "COLUMNS", "FIELDS", "VARIABLES", "STATUS", "COUNT", "DATABASES", "SCHEMAS"),
        *("INDEX", "INDEXES", "KEYS", "ENGINES", "STORAGE ENGINES", "PLUGINS", "CHARACTER SET"),
        *("CHARSET", "COLLATION", "TRIGGERS", "EVENTS", "TABLE STATUS", "FUNCTION STATUS"),
        *("PROCEDURE STATUS", "OPEN TABLES"),
    )
)
_UNCOUNTED_SHOWS = ("SHOW CREATE", "SHOW WARNINGS", "SHOW ERRORS", "SHOW GRANTS", "SHOW PRIVILEGES")
_DEFINITIONS = ("CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE")
_CHANGES = frozenset(("INSERT", "REPLACE", "UPDATE", "DELETE"))
# What they run can't be seen.
_RUN_MORE = ("CALL", "EXECUTE", "EXECUTE IMMEDIATE")
_READ_MORE = (*_RUN_MORE, "PREPARE")


def counts_rows(statement: Statement, flavor: str, has_rows: bool) -> bool | None:
    """Tell whether FOUND_ROWS() is about this statement from now on; None if nobody can tell.

    `has_rows` is whether it answered with a result set.
    """
    verb, kind = statement.verb, statement.kind
    if statement.parts:
        return _several_count(statement, flavor)
    defines = verb.startswith(_DEFINITIONS)
    runs = verb in _RUN_MORE or (statement.may_change_session and not defines)
    if kind is Kind.UNKNOWN or runs:
        return True if has_rows else None
    if verb in _QUERIES:
        return flavor == "mysql" or verb != "VALUES"
    if kind is Kind.SESSION:
        # MySQL counts what a subquery of SET found, and tells it behind the next DML.
        return (flavor == "mariadb" or None) if statement.tables else False
    if verb == "DO":
        return True if flavor == "mysql" else bool(statement.tables)
    if verb.startswith("SHOW"):
        if verb in _SHOWS:
            return True
        return False if verb.startswith(_UNCOUNTED_SHOWS) or not has_rows else None
    if verb == "EXPLAIN" and flavor == "mariadb":
        return None if statement.tables else True  # a UNION, too, makes it 0 there
    if verb in ("DESCRIBE", "EXPLAIN ANALYZE", "ANALYZE"):
        return has_rows
    if verb in ("INSERT", "REPLACE", "UPDATE", "DELETE"):
        return statement.counts
    if defines and "TABLE" in verb and statement.counts:
        return flavor == "mariadb"
    return False


def counts_rows_late(statement: Statement, flavor: str) -> bool:
    """Tell whether FOUND_ROWS() is about this statement behind the next one that changes rows.

    So it is on MySQL of what CREATE TABLE has read (tried).
    """
    made = statement.verb.startswith("CREATE") and statement.counts is True
    return flavor == "mysql" and made


def may_count_rows(code: object) -> bool:
    """Tell whether FOUND_ROWS() may be about a statement that failed with this error.

    Not where the server refused it before it ran.
    """
    return code not in _REFUSED_UNRUN


# A text that is no SQL, and a column, a table, a database and a routine that are not there.
_REFUSED_UNRUN = (1064, 1054, 1146, 1049, 1305)


def changes_rows(statement: Statement) -> bool:
    """Tell whether a statement changes rows itself."""
    return statement.verb in _CHANGES


def asks_more(statement: Statement) -> bool:
    """Tell whether a statement about the one before it reads something else, too."""
    if statement.verb == "GET DIAGNOSTICS" or statement.verb.startswith("SHOW"):
        return False
    return bool(
        statement.tables
        or statement.functions
        or statement.user_variables_read
        or statement.system_variables_read - _ABOUT_WARNINGS
    )


_ABOUT_WARNINGS = frozenset(("warning_count", "error_count"))


def runs_more(statement: Statement) -> bool:
    """Tell whether other texts are read with this one: a routine, a prepared one, several."""
    return bool(statement.parts or statement.functions) or statement.verb in _READ_MORE


def may_begin_unseen(statement: Statement) -> bool:
    """Tell whether other texts that are read with this one may have begun a transaction.

    No stored function and no trigger can.
    """
    return bool(statement.parts) or statement.verb in _RUN_MORE or statement.kind is Kind.UNKNOWN


def questions_of(statement: Statement, flavor: str) -> frozenset[str]:
    """Return what a statement asks about one before it; of several, what none of them answers."""
    if not statement.parts:
        return statement.depends & ASKED
    open_ones: frozenset[str] = frozenset()
    answered: set[str] = set()
    for part in statement.parts:
        open_ones |= (part.depends & ASKED) - answered
        if not part.depends.isdisjoint(ASKED):
            continue  # some leave alone what they ask about
        if part.verb in _CHANGES:
            answered |= {"row_count", "warnings"}
        if counts_rows(part, flavor, has_rows=part.kind is not Kind.WRITE):
            answered |= {"found_rows", "row_count"}
            if part.tables or flavor == "mysql":
                answered.add("warnings")
    return open_ones


def _several_count(statement: Statement, flavor: str) -> bool | None:
    found: bool | None = False
    for part in statement.parts:
        counts = counts_rows(part, flavor, has_rows=part.kind is not Kind.WRITE)
        if counts or counts is None:
            found = counts
        elif counts_rows_late(part, flavor):
            found = None
    return found


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


def finds_data(statement: Statement) -> bool:
    """Tell whether this statement may learn what others wrote, and show it without a result set.

    In how many rows it has found; or in variables.
    """
    return statement.kind is Kind.WRITE or bool(statement.tables or statement.functions)
