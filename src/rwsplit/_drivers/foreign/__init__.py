"""Drivers that are wrapped: the application uses their interfaces, and they run its statements.

`ForeignConnection` is to the shell what `PhysicalConnection` is over PyMySQL; a driver is a module
here: how its connections send, read and tell (`Line`), and its cursor classes.
"""

from .connection import ForeignConnection
from .driver import Driver, application_error
from .known import driver_of, unfit
from .sources import Keywords

__all__ = [
    "Driver",
    "ForeignConnection",
    "Keywords",
    "application_error",
    "driver_of",
    "unfit",
]
