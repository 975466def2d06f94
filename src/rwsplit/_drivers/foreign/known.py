"""The drivers that can be wrapped, by what an application hands over."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .connector import Connector
from .driver import Driver
from .mysqlclient import MySQLClient

__all__ = ["driver_of", "unfit"]

_known: dict[ModuleType, Driver] = {}


def driver_of(given: Any) -> Driver | None:
    """Return the driver of a module, of its `connect`, or of a connection; None for none.

    What is not imported yet is no one's.
    """
    top = next((each for each in _packages(given) if each in _MAKERS), "")
    name, mark, make = _MAKERS.get(top, ("", "", None))
    module = sys.modules.get(name)
    if make is None or module is None or not hasattr(module, mark):
        return None
    if module not in _known:
        _known[module] = make(module)
    driver = _known[module]
    is_fit = isinstance(given, ModuleType) or callable(given) or driver.is_own(given)
    return driver if is_fit else None


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


_MAKERS: dict[str, tuple[str, str, Callable[[ModuleType], Driver]]] = {
    "MySQLdb": ("MySQLdb", "_mysql", MySQLClient),
    "mysql": ("mysql.connector", "MySQLConnection", Connector),
}
"""By package, the module that an application imports, what it must have, and the driver."""
_UNFIT = {
    "mysql": "mysql-connector-python's C extension or pool (use_pure=True makes what it can)",
    "mariadb": "mariadb",
    "asyncmy": "asyncmy",
    "aiomysql": "aiomysql",
}
