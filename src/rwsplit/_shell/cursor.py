"""PyMySQL's cursor classes, and their users' subclasses, on a virtual connection."""

from __future__ import annotations

from functools import lru_cache
from threading import get_ident
from typing import Any

from pymysql.cursors import Cursor, SSCursor

from .._core.session.route import RouteTaken
from .._drivers.pymysql import in_use

__all__ = ["RoutedCursor", "routed"]


class RoutedCursor:
    """What a cursor of a virtual connection has beside its own class's: `route`."""

    connection: Any
    _result: Any

    @property
    def route(self) -> RouteTaken | None:
        """The route that this cursor's last statement took; None before the first."""
        return getattr(self._result, "route", None)


class _Querying(RoutedCursor):
    """Takes no other thread's rows for its own."""

    def _query(self, q: Any) -> Any:
        # PyMySQL's own, of both kinds of cursor, and then a look at whose result it is.
        connection: Any = self._get_db()  # type: ignore[attr-defined]
        self._clear_result()  # type: ignore[attr-defined]
        connection.query(q, unbuffered=self._unbuffered)
        try:
            self._do_get_result()  # type: ignore[attr-defined]
        except AttributeError:
            if connection._result is None:
                raise in_use() from None
            raise
        if self._result.thread != get_ident():
            raise in_use()
        return self.rowcount  # type: ignore[attr-defined]

    _unbuffered = False


class _Streaming(_Querying):
    _unbuffered = True


class _Mogrifying(RoutedCursor):
    """Hands the template over: the SQL before its parameters went in."""

    def _mogrify(self, query: Any, args: Any) -> str:
        text: str = super()._mogrify(query, args)  # type: ignore[misc]
        # The connection compares identities: the template counts only if this very text is sent.
        self.connection._template = (query, text)
        return text


@lru_cache(maxsize=256)
def routed(cls: type[Cursor]) -> type[Cursor]:
    """Return the subclass of a cursor class that tells its routes.

    A class with a `_mogrify` of its own may put anything into the text, so its template is not
    handed over, and the text itself is classified.
    """
    if issubclass(cls, RoutedCursor):
        return cls
    mixins: list[type] = []
    if cls._mogrify is Cursor._mogrify:
        mixins.append(_Mogrifying)
    if cls._query is SSCursor._query:
        mixins.append(_Streaming)
    elif cls._query is Cursor._query:
        mixins.append(_Querying)
    bases = (*(mixins or [RoutedCursor]), cls)
    return type(cls.__name__, bases, {"__module__": cls.__module__, "__doc__": cls.__doc__})
