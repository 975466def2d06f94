"""The catalogue of stored functions: what the primary says of them, looked up once for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from .._core.dialect import Dialect
from .._core.statement import Statement
from .._core.values import as_text, literal
from .._drivers import err
from .._drivers.pymysql import lost

if TYPE_CHECKING:
    from .._core.routines import Routine

__all__ = ["Catalogue", "changes_functions"]

_KEPT_SECONDS = 60.0
"""How long a look-up counts: another process may replace a function unseen."""

_MOST = 1000

_ROUTINE = (
    "SELECT SQL_DATA_ACCESS,ROUTINE_DEFINITION,SQL_MODE FROM information_schema.ROUTINES "
    "WHERE ROUTINE_TYPE='FUNCTION' AND ROUTINE_SCHEMA={schema} AND ROUTINE_NAME={name} LIMIT 1"
)
_PARAMETERS = (
    "SELECT PARAMETER_NAME FROM information_schema.PARAMETERS WHERE ROUTINE_TYPE='FUNCTION' "
    "AND ORDINAL_POSITION>0 AND SPECIFIC_SCHEMA={schema} AND SPECIFIC_NAME={name} LIMIT 100000"
)


# Returns the rows that answer each question; raises the first error.
Ask = Callable[[Sequence[str]], list[Any]]


class Catalogue:
    """What is known of the stored functions of one cluster; shared by its connections."""

    def __init__(self) -> None:
        self._routines: dict[tuple[str, str], Routine] = {}
        self._statements: dict[tuple[int, str | None], tuple[Statement, Statement]] = {}
        self._asked = 0.0

    def clear(self) -> None:
        """Forget all: a function was made, changed or dropped."""
        self._routines.clear()
        self._statements.clear()

    def resolve(
        self,
        statement: Statement,
        ask: Ask,
        schema: str | None,
        dialect: Dialect,
        declared: Mapping[str, str],
    ) -> Statement:
        """Return the statement as it is once the functions that it calls are known.

        Asks the primary for those that are not known yet. `declared` is the `functions` option,
        which goes before the catalogue.
        """
        from .._core.routines import with_functions  # noqa: PLC0415 - it brings the classifier

        if monotonic() - self._asked > _KEPT_SECONDS or len(self._statements) > _MOST:
            self.clear()
            self._asked = monotonic()
        key = (id(statement), schema)
        known = None if declared else self._statements.get(key)
        if known is not None and known[0] is statement:
            return known[1]

        def look_up(name: str) -> Routine | str | None:
            said = declared.get(name.lower())
            return said if said is not None else self._routine(name, ask, schema)

        resolved = with_functions(statement, look_up, dialect)
        if not declared:
            self._statements[key] = statement, resolved
        return resolved

    def _routine(self, name: str, ask: Ask, schema: str | None) -> Routine | None:
        database, dot, function = name.rpartition(".")
        database = database if dot else schema or ""
        if not database:
            return None
        key = (database, function.lower())
        known = self._routines.get(key)
        if known is None:
            try:
                known = _look_up(ask, database, function)
            except err.MySQLError as error:
                if lost(error):
                    raise
                return None
            self._routines[key] = known
        return known


def _look_up(ask: Ask, database: str, function: str) -> Routine:
    from .._core.routines import Routine  # noqa: PLC0415 - it brings the classifier

    where = {"schema": literal(database), "name": literal(function)}
    found, parameters = ask([_ROUTINE.format(**where), _PARAMETERS.format(**where)])
    if not found:
        return Routine(exists=False)
    access, body, sql_mode = map(as_text, found[0])
    return Routine(
        access or "",
        body,
        database,
        frozenset(as_text(row[0] or "").lower() for row in parameters),
        sql_mode or "",
    )


def changes_functions(statement: Statement) -> bool:
    """Tell whether a statement may make, change or drop a stored function."""
    return "FUNCTION" in statement.verb or "DATABASE" in statement.verb or bool(statement.parts)
