"""The drivers that can be wrapped, by what an application hands over."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from .driver import Driver
from .mysqlclient import MySQLClient

__all__ = ["driver_of", "unfit"]

_known: dict[ModuleType, Driver] = {}


def driver_of(given: Any) -> Driver | None:
    """Return the driver of a module, of its `connect`, or of a connection; None for none.

    What is not imported yet is no one's.
    """
    top = next((each for each in _packages(given) if each in _MAKERS), "")
    make, module = _MAKERS.get(top), sys.modules.get(top)
    if make is None or module is None or not hasattr(module, "_mysql"):
        return None
    if module not in _known:
        _known[module] = make(module)
    return _known[module]


def unfit(given: Any) -> str:
    """Name the driver that something is of and that can't be wrapped; '' for none that is known."""
    return next((_UNFIT[each] for each in _packages(given) if each in _UNFIT), "")


def _packages(given: Any) -> list[str]:
    """Return the packages that something, and the classes of what it is, come from."""
    if isinstance(given, ModuleType):
        return [given.__name__.partition(".")[0]]
    own = getattr(given, "__module__", None)
    names = [own, *[cls.__module__ for cls in type(given).__mro__]]
    return [str(name).partition(".")[0] for name in names]


_MAKERS = {"MySQLdb": MySQLClient}
_UNFIT = {
    "mysql": "mysql-connector-python",
    "mariadb": "mariadb",
    "asyncmy": "asyncmy",
    "aiomysql": "aiomysql",
}
