"""The drivers that can be wrapped, by what an application hands over."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from .driver import Driver
from .mysqlclient import MySQLClient

__all__ = ["driver_of"]

_known: dict[ModuleType, Driver] = {}


def driver_of(given: Any) -> Driver | None:
    """Return the driver of a module, of its `connect`, or of a connection; None for none.

    What is not imported yet is no one's.
    """
    name = getattr(given, "__name__", None) if isinstance(given, ModuleType) else None
    module_name = name or getattr(given, "__module__", None) or type(given).__module__
    for cls in (*type(given).__mro__, type(given)):
        if cls.__module__.partition(".")[0] in _MAKERS:
            module_name = cls.__module__
    top = str(module_name).partition(".")[0]
    make, module = _MAKERS.get(top), sys.modules.get(top)
    if make is None or module is None or not hasattr(module, "_mysql"):
        return None
    if module not in _known:
        _known[module] = make(module)
    return _known[module]


_MAKERS = {"MySQLdb": MySQLClient}
