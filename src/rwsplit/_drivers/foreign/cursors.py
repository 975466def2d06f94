"""Cursors of virtual connections over a wrapped driver: subclasses of that driver's own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

__all__ = ["Bound", "bound"]


class Bound:
    """What a cursor of a virtual connection has beside its own class's."""

    _answer: Any = None

    @property
    def route(self) -> Any:
        """The route that this cursor's last statement took; None before the first."""
        return getattr(self._answer, "route", None)


@lru_cache(maxsize=256)
def bound(cls: Any, mixin: type[Bound]) -> Any:
    """Return the subclass of a cursor class for virtual connections."""
    if issubclass(cls, Bound):
        return cls
    return type(cls.__name__, (mixin, cls), {"__module__": cls.__module__, "__doc__": cls.__doc__})
