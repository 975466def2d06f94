"""PyMySQL's cursor classes, and their users' subclasses, on a virtual connection."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pymysql.cursors import Cursor

from .._core.route import RouteTaken

__all__ = ["RoutedCursor", "routed"]


class RoutedCursor:
    """What a cursor of a virtual connection has beside its own class's: `route`."""

    connection: Any
    _result: Any

    @property
    def route(self) -> RouteTaken | None:
        """The route that this cursor's last statement took; None before the first."""
        return getattr(self._result, "route", None)


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
    mixin = _Mogrifying if cls._mogrify is Cursor._mogrify else RoutedCursor
    return type(cls.__name__, (mixin, cls), {"__module__": cls.__module__, "__doc__": cls.__doc__})
