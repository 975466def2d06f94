"""The dialects `mysql+rwsplit://` and `mariadb+rwsplit://` of SQLAlchemy 2.0 and 2.1.

They are PyMySQL's dialects over virtual connections. `docs/sqlalchemy.md` says what URLs and
execution options they take.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, ClassVar

from sqlalchemy import event
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.engine.characteristics import ConnectionCharacteristic

import rwsplit

from ._core.setup.config import digest_of
from ._core.setup.problems import meant, shown
from ._core.setup.url_query import read_query
from ._core.sql.comments import parse_hint
from ._core.sql.statement import Hint
from .connections import Connection

__all__ = ["RWSplitDialect", "RWSplitMariaDBDialect"]

_logger = logging.getLogger("rwsplit.sqlalchemy")

_ROUTE, _CONSISTENCY = "rwsplit_route", "rwsplit_consistency"
_STALENESS, _READONLY = "rwsplit_max_staleness", "mysql_readonly"
_ORDER = (_ROUTE, _CONSISTENCY, _STALENESS, _READONLY)
_OPTIONS = frozenset(_ORDER)
_VERSIONS = "alembic_version"
"""Alembic's table: which migrations are applied is asked of the primary."""
_EXPECTED = {
    _ROUTE: "primary, replica or a replica's name",
    _CONSISTENCY: "eventual, session or global",
}


class _ReadOnly(ConnectionCharacteristic):
    """`mysql_readonly`: the transactions of a connection are READ ONLY until it is returned."""

    transactional: ClassVar[bool] = True

    def reset_characteristic(self, dialect: Any, dbapi_conn: Any) -> None:
        """Let it write again."""
        self.set_characteristic(dialect, dbapi_conn, False)

    def set_characteristic(self, dialect: Any, dbapi_conn: Any, value: Any) -> None:
        """Note it; `do_begin` acts on it."""
        if isinstance(dbapi_conn, Connection):
            dbapi_conn.begins_read_only = value

    def get_characteristic(self, dialect: Any, dbapi_conn: Any) -> bool:
        """Tell whether it is so."""
        return isinstance(dbapi_conn, Connection) and dbapi_conn.begins_read_only


class RWSplitDialect(MySQLDialect_pymysql):
    """`mysql+rwsplit://`, for MySQL and for MariaDB."""

    driver = "rwsplit"
    supports_statement_cache = True
    connection_characteristics: ClassVar[Mapping[str, Any]] = (
        MySQLDialect_pymysql.connection_characteristics.union({_READONLY: _ReadOnly()})
    )

    @classmethod
    def import_dbapi(cls) -> Any:
        """Return rwsplit, which has PyMySQL's names."""
        return rwsplit

    @classmethod
    def load_provisioning(cls) -> None:
        """Let SQLAlchemy's own tests make and drop databases as on PyMySQL."""
        __import__("sqlalchemy.dialects.mysql.provision")

    @classmethod
    def engine_created(cls, engine: Any) -> None:
        """Let each checkout from the engine's pool begin a session."""
        event.listen(engine, "checkout", _begin_session)

    def create_connect_args(
        self, url: Any, _translate_args: Mapping[str, str] | None = None
    ) -> tuple[Sequence[str], Mapping[str, Any]]:
        """Return the keywords of `rwsplit.connect()` that a URL stands for.

        Raises ValueError, naming the key and no password.
        """
        said = {
            "user": url.username,
            "password": url.password,
            "database": url.database,
        }
        others = [key for key, value in said.items() if value]
        own = read_query(url.query, url.host, url.port, others)
        flags = own.pop("client_flag", 0)
        # It adds the flag by which a count of rows tells of those that were found.
        args, options = super().create_connect_args(url.set(query={}))
        return args, {**options, **own, "client_flag": options.get("client_flag", 0) | flags}

    def on_connect(self) -> None:
        """Do nothing: PyMySQL has set the character set already."""
        return

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Tell without a round trip whether a pooled connection can be handed out.

        Raises InterfaceError, as PyMySQL does, for one that was closed or can't go on.
        """
        if isinstance(dbapi_connection, Connection):
            if not dbapi_connection.goes_on():
                raise rwsplit.InterfaceError(0, "")
            return dbapi_connection.is_usable()
        return bool(super().do_ping(dbapi_connection))

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """Tell whether an error means that the connection is of no more use.

        Not if it goes on on another connection to a primary: neither it nor its pool is dropped.
        """
        virtual = getattr(connection, "dbapi_connection", connection)
        if not isinstance(virtual, Connection):
            return bool(super().is_disconnect(e, connection, cursor))
        lost = super().is_disconnect(e, connection, cursor)
        if not (lost or isinstance(e, rwsplit.InterfaceError)):
            return False
        return not virtual.goes_on()

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begin READ ONLY where that was asked for: its reads share one replica's snapshot."""
        virtual = getattr(dbapi_connection, "dbapi_connection", dbapi_connection)
        if isinstance(virtual, Connection) and virtual.begins_read_only:
            if not virtual.get_autocommit():
                with virtual.cursor() as cursor:
                    cursor.execute("START TRANSACTION READ ONLY")
        else:
            super().do_begin(dbapi_connection)

    def set_engine_execution_options(self, engine: Any, opts: Mapping[str, Any]) -> None:
        """Check rwsplit's options; they count where statements run."""
        _check(opts)
        super().set_engine_execution_options(engine, opts)

    def set_connection_execution_options(self, connection: Any, opts: Mapping[str, Any]) -> None:
        """Check rwsplit's options; they count where statements run."""
        _check(opts)
        super().set_connection_execution_options(connection, opts)

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run a statement as its execution options ask for."""
        with _asking(cursor, context, statement):
            super().do_execute(cursor, statement, parameters, context)
        _log(cursor, statement)

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:
        """Run a statement without parameters as its execution options ask for."""
        with _asking(cursor, context, statement):
            super().do_execute_no_params(cursor, statement, context)
        _log(cursor, statement)

    def do_executemany(
        self, cursor: Any, statement: str, parameters: Any, context: Any = None
    ) -> None:
        """Run a statement with many parameters as its execution options ask for."""
        with _asking(cursor, context, statement):
            super().do_executemany(cursor, statement, parameters, context)
        _log(cursor, statement)


class RWSplitMariaDBDialect(MariaDBDialect, RWSplitDialect):
    """`mariadb+rwsplit://`, for MariaDB alone."""

    supports_statement_cache = True


def _begin_session(dbapi_connection: Any, record: Any, proxy: Any) -> None:
    if isinstance(dbapi_connection, Connection):
        dbapi_connection.begin_session()


def _check(options: Mapping[str, Any]) -> None:
    """Raise ValueError for an option of ours that is none, or has a value that it can't have."""
    _check_names(options)
    _asked(options)


def _check_names(options: Mapping[str, Any]) -> None:
    for key in options:
        if key not in _OPTIONS and _is_ours(key):
            raise ValueError(f"{key}: no execution option of rwsplit{meant(key, _OPTIONS)}")


def _is_ours(key: object) -> bool:
    # The ORM's own keys need not be texts.
    return isinstance(key, str) and key.startswith(("rwsplit_", _READONLY))


def _asking(cursor: Any, context: Any, statement: str) -> AbstractContextManager[object]:
    """Ask for what the execution options of a statement, or of its connection, say."""
    options: Mapping[str, Any] = {} if context is None else context.execution_options
    says = any(map(_is_ours, options))
    migrates = _VERSIONS in statement
    if not (says or migrates):
        return _NOTHING
    connection = getattr(cursor, "connection", None)
    if not isinstance(connection, Connection):
        return _NOTHING
    hint, only_reads = Hint(), False
    if says:
        _check_names(options)
        hint, only_reads = _asked(options)
    if migrates:
        hint = hint._replace(route="primary", replica=None)
    return connection._asking(hint, only_reads)


_NOTHING: AbstractContextManager[object] = nullcontext()


def _asked(options: Mapping[str, Any]) -> tuple[Hint, bool]:
    """Return the hint that options stand for, and whether they allow no writes."""
    values = [*map(options.get, _ORDER)]
    try:
        return _hint_of(*values)
    except TypeError:
        said = ", ".join(key for key in _ORDER if key in options)
        raise ValueError(f"{said}: expected texts, a number and a bool") from None


@lru_cache(maxsize=256, typed=True)
def _hint_of(route: Any, consistency: Any, max_staleness: Any, readonly: Any) -> tuple[Hint, bool]:
    hint = Hint()
    if route is not None:
        word = route if route in ("primary", "replica") else f"replica={route}"
        hint = _parsed(_ROUTE, word, route)
    if consistency is not None:
        level = _parsed(_CONSISTENCY, f"consistency={consistency}", consistency).consistency
        hint = hint._replace(consistency=level)
    if max_staleness is not None:
        number = isinstance(max_staleness, int | float) and not isinstance(max_staleness, bool)
        if not number or not 0 < max_staleness <= 31536000:
            raise ValueError(
                f"{_STALENESS}: expected seconds, more than 0 and at most a year, "
                f"got {shown(max_staleness)}"
            )
        hint = hint._replace(max_staleness=float(max_staleness))
    if readonly is not None and not isinstance(readonly, bool):
        raise ValueError(f"{_READONLY}: expected True or False, got {shown(readonly)}")
    return hint, bool(readonly)


def _parsed(key: str, word: str, value: Any) -> Hint:
    try:
        if isinstance(value, str) and len(value.split()) == 1:
            return parse_hint(word)
    except ValueError:
        pass
    raise ValueError(f"{key}: expected {_EXPECTED[key]}, got {shown(value)}")


def _log(cursor: Any, statement: str) -> None:
    """Log where a statement ran, and its text without any value that stands in it."""
    if _logger.isEnabledFor(logging.DEBUG):
        route = getattr(cursor, "route", None)
        _logger.debug("%s <- %s", digest_of(statement), route)
