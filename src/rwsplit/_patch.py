"""`rwsplit.patch()`: who asks for PyMySQL's connections gets rwsplit's."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, ClassVar

import pymysql

from . import install_as_MySQLdb
from ._drivers.pymysql import PlainConnection
from ._shell.log import logger
from .connections import Connection

__all__ = ["Patch", "patch"]

_PLACES = (
    (pymysql, "Connect", PlainConnection, Connection),
    (pymysql, "Connection", PlainConnection, Connection),
    (pymysql, "connect", PlainConnection, Connection),
    (sys.modules["pymysql.connections"], "Connection", PlainConnection, Connection),
    # PyMySQL's own makes second copies of its modules, of which connections know nothing.
    (pymysql, "install_as_MySQLdb", pymysql.install_as_MySQLdb, install_as_MySQLdb),
)
"""Where a name is, what PyMySQL has there, and what rwsplit puts there."""
_POSE = "MySQLdb"


class Patch:
    """What `patch()` did. `undo()` takes it back, and so does the end of a `with` block."""

    _held = 0
    """How many are in force: the last one takes the names back."""
    _posed = 0
    _before: ClassVar[dict[str, Any]] = {}
    """The modules that had MySQLdb's names."""

    def __init__(self, mysqldb: bool) -> None:
        self._mysqldb = mysqldb
        self._done = False
        if not Patch._held:
            _tell_who_came_before()
            _put(ours=True)
        Patch._held += 1
        if mysqldb:
            if not Patch._posed:
                Patch._before = _posing()
                install_as_MySQLdb()
            Patch._posed += 1

    def undo(self) -> None:
        """Give PyMySQL its own names back, unless another `patch()` is still in force."""
        if self._done:
            return
        self._done = True
        Patch._held -= 1
        if not Patch._held:
            _put(ours=False)
        if self._mysqldb:
            Patch._posed -= 1
            if not Patch._posed:
                for name in _posing():
                    del sys.modules[name]
                sys.modules.update(Patch._before)

    def __enter__(self) -> Patch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.undo()


def patch(mysqldb: bool = False) -> Patch:
    """Let `pymysql.connect()` be `rwsplit.connect()`, for code that imports pymysql by itself.

    :param mysqldb: let `import MySQLdb` find rwsplit, too, for code that wants mysqlclient.

    Where the replicas are says the file that `RWSPLIT_CONFIG` names: a connection to the address of
    a cluster's primary is that cluster's, any other is to one server. Call it before the code that
    uses PyMySQL is imported: one warning names what has PyMySQL's own class already.
    """
    return Patch(mysqldb)


def _put(ours: bool) -> None:
    for module, name, plain, split in _PLACES:
        old, new = (plain, split) if ours else (split, plain)
        # What somebody else put there meanwhile stays.
        if getattr(module, name) is old:
            setattr(module, name, new)


def _posing() -> dict[str, Any]:
    return {
        name: module
        for name, module in list(sys.modules.items())
        if name == _POSE or name.startswith(f"{_POSE}.")
    }


def _tell_who_came_before() -> None:
    ours = ("pymysql", "rwsplit")
    holders = {
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in ours
        and any(
            value is PlainConnection for value in list(getattr(module, "__dict__", {}).values())
        )
    }
    holders |= {
        heir.__module__
        for heir in PlainConnection.__subclasses__()
        if heir.__module__.partition(".")[0] not in ours
    }
    if holders:
        logger.warning(
            "patch() came after the import of %s, whose connections stay PyMySQL's own: "
            "call it before",
            ", ".join(sorted(holders)),
        )


def _holds_it(module: object) -> bool:
    names = getattr(module, "__dict__", {})
    return any(value is PlainConnection for value in list(names.values()))
