"""What every Python runs at its start under `python -m rwsplit run`.

PyMySQL is patched when the program imports it, and not before: most processes never do, and gevent
wants to be first.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec

TYPE_CHECKING = False
"""Spares each Python the import of `typing`, and of `importlib.abc`, which takes longest."""
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs, too
_POSES = os.environ.get("RWSPLIT_RUN") == "mysqldb"


class _AtImport:
    """Finds what is to be patched."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name == "MySQLdb" and _POSES:
            loader: Any = _Posing()
            return ModuleSpec(name, loader)
        if name not in ("pymysql", "rwsplit"):  # which imports the other
            return None
        sys.meta_path.remove(self)
        found = (each.find_spec(name, path, target) for each in list(sys.meta_path))
        spec = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            own = spec.loader
            execute = own.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _patch()

            setattr(own, "exec_module", exec_module)  # noqa: B010 - of this one loader
        return spec


class _Posing:
    """Loads MySQLdb: the patch puts rwsplit in its place."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        import pymysql  # noqa: F401, PLC0415 - and with it the patch

        if sys.modules[module.__name__] is module:
            raise ImportError("MySQLdb: expected rwsplit in its place, which is not installed here")


def _patch() -> None:
    try:
        import rwsplit  # noqa: PLC0415
    except ImportError as error:
        where = sys.executable
        print(f"rwsplit: {where} does not have it, so no reads are split: {error}", file=sys.stderr)
        return
    rwsplit.patch(mysqldb=_POSES)


def _go_on() -> None:
    """Run the `sitecustomize` that this one stands before."""
    sys.path[:] = [each for each in sys.path if os.path.abspath(each or ".") != _HERE]  # noqa: PTH100
    this = sys.modules.pop(__name__, None)
    try:
        __import__(__name__)
    except ModuleNotFoundError as error:
        if error.name != __name__:
            raise
        if this is not None:
            sys.modules[__name__] = this


if __name__ == "sitecustomize" and "RWSPLIT_RUN" in os.environ:
    sys.meta_path.insert(0, _AtImport())
    _go_on()
