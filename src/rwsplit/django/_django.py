"""Django's backend for MySQL, loaded once more: with rwsplit where it imports MySQLdb.

The copy is ours alone. `sys.modules` is not touched, so that a database with Django's own engine
goes on with mysqlclient, if that is there, and nothing needs it if it is not.
"""

from __future__ import annotations

import builtins
import importlib.util
import sys
from types import ModuleType
from typing import Any

__all__ = ["mysql_base", "mysql_introspection"]

_PACKAGE = "django.db.backends.mysql"
_STANDS_FOR = "MySQLdb"
_STAND_IN = "rwsplit"
_import = builtins.__import__


def _load(name: str, copies: dict[str, ModuleType]) -> ModuleType:
    """Load a module of Django's backend; `copies` are those that it is given instead of Django's.

    The module gets a table of builtins of its own, whose `__import__` knows better (Python's
    documentation of `exec`).
    """

    def find(
        wanted: str,
        its_globals: Any = None,
        its_locals: Any = None,
        fromlist: tuple[str, ...] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 1 and wanted in copies:
            return copies[wanted]
        if level == 0 and wanted.partition(".")[0] == _STANDS_FOR:
            ours = wanted.replace(_STANDS_FOR, _STAND_IN, 1)
            return _import(ours, its_globals, its_locals, fromlist, 0)
        if level:
            its_globals = {"__name__": f"{_PACKAGE}.{name}", "__package__": _PACKAGE}
        return _import(wanted, its_globals, its_locals, fromlist, level)

    package = importlib.util.find_spec(_PACKAGE)
    assert package is not None
    assert package.submodule_search_locations is not None
    original = importlib.util.find_spec(f"{_PACKAGE}.{name}")
    assert original is not None
    assert original.origin is not None
    ours = f"{__package__}._{name}_of_django"
    spec = importlib.util.spec_from_file_location(ours, original.origin)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module)["__builtins__"] = {**vars(builtins), "__import__": find}
    sys.modules[ours] = module  # so that what its classes make can be pickled
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[ours]
        raise
    return module


mysql_introspection: Any = _load("introspection", {})
mysql_base: Any = _load("base", {"introspection": mysql_introspection})
