"""The catalogue of stored functions: what the primary says of them, looked up once for each.

Shared by the connections of a process to one cluster. It asks nobody itself: where it does not know
a function it says whom to ask about (`Unknown`), and is asked again once it has learned that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .dialect import Dialect
from .statement import Statement
from .values import as_text, literal

if TYPE_CHECKING:
    from .routines import Routine

__all__ = ["Catalogue", "Unknown", "changes_functions"]

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


class Unknown(NamedTuple):
    """A function that the catalogue does not know yet."""

    schema: str
    name: str

    def questions(self) -> list[str]:
        """Return what the primary is to be asked."""
        where = {"schema": literal(self.schema), "name": literal(self.name)}
        return [_ROUTINE.format(**where), _PARAMETERS.format(**where)]


class _Lacks(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, unknown: Unknown) -> None:
        super().__init__()
        self.unknown = unknown


class Catalogue:
    """What is known of the stored functions of one cluster."""

    def __init__(self) -> None:
        self._routines: dict[Unknown, Routine] = {}
        self._statements: dict[tuple[int, str | None], tuple[Statement, Statement]] = {}
        self._asked = 0.0

    def clear(self) -> None:
        """Forget all: a function was made, changed or dropped."""
        self._routines.clear()
        self._statements.clear()

    def resolve(
        self,
        statement: Statement,
        schema: str | None,
        dialect: Dialect,
        declared: Mapping[str, str],
        refused: Collection[Unknown],
        now: float,
    ) -> Statement | Unknown:
        """Return the statement as it is once the functions that it calls are known.

        :param declared: the `functions` option, which goes before the catalogue.
        :param refused: what could not be asked about.
        :param now: monotonic seconds.

        Returns the function that must be asked about first, if there is one.
        """
        from .routines import with_functions  # noqa: PLC0415 - it brings the classifier

        if now - self._asked > _KEPT_SECONDS or len(self._statements) > _MOST:
            self.clear()
            self._asked = now
        key = (id(statement), schema)
        known = None if declared else self._statements.get(key)
        if known is not None and known[0] is statement:
            return known[1]

        def look_up(name: str) -> Routine | str | None:
            said = declared.get(name.lower())
            return said if said is not None else self._routine(name, schema, refused)

        try:
            resolved = with_functions(statement, look_up, dialect)
        except _Lacks as lacks:
            return lacks.unknown
        if not declared:
            self._statements[key] = statement, resolved
        return resolved

    def _routine(
        self, name: str, schema: str | None, refused: Collection[Unknown]
    ) -> Routine | None:
        database, dot, function = name.rpartition(".")
        database = database if dot else schema or ""
        if not database:
            return None
        wanted = Unknown(database, function.lower())
        known = self._routines.get(wanted)
        if known is not None:
            return known
        # What is read from a body comes as it is written there.
        asked = Unknown(database, function)
        if asked in refused:
            return None
        raise _Lacks(asked)

    def learn(
        self, asked: Unknown, found: Sequence[Sequence[Any]], parameters: Sequence[Sequence[Any]]
    ) -> None:
        """Take in what the primary said of a function."""
        from .routines import Routine  # noqa: PLC0415 - it brings the classifier

        if not found:
            routine = Routine(exists=False)
        else:
            access, body, sql_mode = map(as_text, found[0])
            routine = Routine(
                access or "",
                body,
                asked.schema,
                frozenset((as_text(row[0]) or "").lower() for row in parameters),
                sql_mode or "",
            )
        self._routines[Unknown(asked.schema, asked.name.lower())] = routine


def changes_functions(statement: Statement) -> bool:
    """Tell whether a statement may make, change or drop a stored function."""
    return "FUNCTION" in statement.verb or "DATABASE" in statement.verb or bool(statement.parts)
