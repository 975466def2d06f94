"""PyMySQL's errors, whatever stands under `pymysql.err` by now.

After PyMySQL's own `install_as_MySQLdb()`, an import of `MySQLdb.converters`, say, makes a second
`err`, and puts it there. Its classes are others than those that PyMySQL raises.
"""

from pymysql.err import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    MySQLError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,  # noqa: A004 - PEP 249 names it so
)

__all__ = [
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "MySQLError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Warning",
]
