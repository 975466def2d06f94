"""The classes of virtual connections over wrapped drivers: each looks like its driver's."""

from __future__ import annotations

import functools

from .._drivers.foreign import Driver
from .connector import ConnectorConnection
from .wrapped import WrappedConnection

__all__ = ["connection_class"]

_SHAPES: dict[str, type[WrappedConnection]] = {"mysql-connector-python": ConnectorConnection}
"""By driver; mysqlclient's is PyMySQL's, and a little more."""
_ERRORS = (
    *("Warning", "Error", "InterfaceError", "DatabaseError", "DataError", "OperationalError"),
    *("IntegrityError", "InternalError", "ProgrammingError", "NotSupportedError"),
)


@functools.cache
def connection_class(driver: Driver) -> type[WrappedConnection]:
    """Return the class of virtual connections over a driver: they have its errors."""
    errors = {name: getattr(driver.module, name) for name in _ERRORS}
    shape = _SHAPES.get(driver.name, WrappedConnection)
    cls = type("Connection", (shape,), {**errors, "driver": driver})
    driver.let_pass(cls)
    return cls
