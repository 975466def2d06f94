"""How a session's texts are read: under its sql_mode and its character set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..sql.dialect import Dialect
from ..sql.statement import Statement
from .state import State

if TYPE_CHECKING:
    from ..sql.classify import Classifier

__all__ = ["Language"]


class Language:
    """Reads texts as the session's server does.

    :param version: tells the version of the server.
    """

    __slots__ = ("_known", "_lexing", "_state", "_topology")

    def __init__(self, state: State, topology: Any) -> None:
        self._state = state
        self._topology = topology
        self._lexing: tuple[str | None, ...] = ()
        self._known: Classifier | None = None

    def look(self) -> None:
        """Look whether what texts are read by is another by now."""
        state = self._state
        lexing = state.value("sql_mode"), state.value("character_set_client")
        if lexing != self._lexing:
            self._lexing = lexing
            # Imported when first needed: it makes up a third of the import otherwise.
            from ..sql.classify import classifier  # noqa: PLC0415

            sql_mode, charset = lexing
            flavor, version = state.origin.flavor, self._topology.version
            dialect = Dialect.of(flavor, version, sql_mode or "", charset or "")
            self._known = classifier(dialect)

    @property
    def classifier(self) -> Classifier:
        """What reads them now."""
        if self._known is None:
            self.look()
        assert self._known is not None
        return self._known

    @property
    def dialect(self) -> Dialect:
        """The dialect that they are in now."""
        return self.classifier.dialect

    def statement(self, sql: Any, template: tuple[Any, str] | None = None) -> Statement:
        """Return what a text is; with its template, if it was made of one, that is known sooner."""
        known = self._known or self.classifier
        # Without parameters the text is its own template.
        if template is not None and template[1] is sql and template[0] is not sql:
            query = template[0]
            try:
                statement = known.templates[query]
            except (KeyError, TypeError):
                statement = known.template(query) if isinstance(query, str) else None
            if statement is not None:
                return statement
        if isinstance(sql, bytearray):
            sql = bytes(sql)
        return known.texts.get(sql) or known.statement(sql)
