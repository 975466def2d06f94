"""Methods that do not keep their object alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar
from weakref import WeakMethod

__all__ = ["weakly"]

P = ParamSpec("P")
R = TypeVar("R")


def weakly(method: Callable[P, R]) -> Callable[P, R]:
    """Return a bound method as a function that does not hold its object.

    For what an object owns, and what calls back: a connection that nobody holds any more is closed
    at once, as PyMySQL's is, and its transaction rolled back. In a cycle of references it would
    keep its locks until the garbage collector comes.
    """
    found = WeakMethod(method)

    def call(*args: P.args, **keywords: P.kwargs) -> R:
        alive = found()
        assert alive is not None  # it is what is running
        return alive(*args, **keywords)

    return call
