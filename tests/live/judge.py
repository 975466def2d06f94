"""A real server as the judge of one statement: what is different after it, and where."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

import pymysql
from pymysql.constants import CLIENT

from rwsplit._core.sql.wordlist import words

SCHEMA = (
    "DROP TABLE IF EXISTS t, u, t7, t8, t9, u7",
    "DROP VIEW IF EXISTS vw",
    "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v INT, name VARCHAR(50),"
    " KEY by_name (name), FULLTEXT KEY words (name))",
    "CREATE TABLE u (id INT PRIMARY KEY, t_id INT)",
    "INSERT INTO t (id, v, name) VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')",
    "INSERT INTO u VALUES (1, 1), (2, 2)",
    "CREATE VIEW vw AS SELECT id, v FROM t",
    "DROP FUNCTION IF EXISTS fr",
    "DROP FUNCTION IF EXISTS fw",
    "DROP FUNCTION IF EXISTS fn",
    "DROP PROCEDURE IF EXISTS p",
    "DROP PROCEDURE IF EXISTS pw",
    "DROP PROCEDURE IF EXISTS pv",
    "DROP PROCEDURE IF EXISTS po",
    "CREATE FUNCTION fr(x INT) RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM t)",
    "CREATE FUNCTION fw(x INT) RETURNS INT MODIFIES SQL DATA"
    " BEGIN INSERT INTO t (v) VALUES (x); RETURN x; END",
    "CREATE FUNCTION fn() RETURNS INT NO SQL RETURN 1",
    "CREATE PROCEDURE p() SELECT COUNT(*) FROM t",
    "CREATE PROCEDURE pw(x INT) INSERT INTO t (v) VALUES (x)",
    "CREATE PROCEDURE pv() SET @made = 1",
    "CREATE PROCEDURE po(OUT x INT) SET x = 5",
)
MARIADB_SCHEMA = ("DROP SEQUENCE IF EXISTS s", "CREATE SEQUENCE s")

# Variables that a server changes by itself, or with every statement.
_RESTLESS = words(
    "timestamp rand_seed1 rand_seed2 pseudo_thread_id gtid_executed gtid_purged statement_id",
    "gtid_binlog_pos gtid_binlog_state gtid_current_pos gtid_slave_pos in_transaction error_count",
    "warning_count innodb_buffer_pool_dump_at_shutdown gtid_owned last_gtid",
)


# Metadata locks that any read holds to the end of its transaction.
_OF_READS = words("SHARED_READ SHARED_HIGH_PRIO INTENTION_EXCLUSIVE")


class Change(NamedTuple):
    """What one statement left behind on one server."""

    error: int | None
    rows: tuple[Any, ...]
    marks: frozenset[str]
    """`data`, `variable x`, `user variable x`, `insert id`, `user lock`, `lock x`, ..."""


class Judge:
    """Runs one statement on a fresh connection of an ordinary account, and looks around."""

    def __init__(self, cluster: Any, server: Any) -> None:
        self.cluster = cluster
        self.server = server
        self.mysql = cluster.flavor == "mysql"
        self.admin = cluster.admin(server, autocommit=True, ssl_disabled=True)

    def close(self) -> None:
        self.admin.close()

    def position(self) -> str:
        name = "@@global.gtid_executed" if self.mysql else "@@global.gtid_binlog_pos"
        return str(_one(self.admin, f"SELECT {name}"))

    def run(
        self, sql: str, sql_mode: str = "", in_transaction: bool = False, read_only: bool = False
    ) -> Change:
        connection = self._connect()
        try:
            if sql_mode:
                _all(connection, f"SET SESSION sql_mode = '{sql_mode}'")
            if read_only:
                _all(connection, "SET SESSION TRANSACTION READ ONLY")
            if in_transaction:
                connection.begin()
            return self._run(connection, sql, in_transaction)
        finally:
            with contextlib.suppress(Exception):
                connection.close()

    def _connect(self) -> Any:
        options = {"client_flag": CLIENT.MULTI_STATEMENTS, "read_timeout": 30}
        try:
            return self.cluster.connect(self.server, **options, ssl_disabled=True)
        except RuntimeError:
            # Without the `cryptography` package, MySQL wants the first log-in to come over TLS.
            self.cluster.connect(self.server).close()
            return self.cluster.connect(self.server, **options, ssl_disabled=True)

    def _run(self, connection: Any, sql: str, in_transaction: bool) -> Change:
        position, session = self.position(), self._session(connection)
        error, rows = _execute(connection, sql)
        marks = set()
        if self.position() != position:
            marks.add("data")
        with contextlib.suppress(pymysql.err.Error):
            marks |= self._held(connection, in_transaction)
            after = self._session(connection)
            marks |= {name for name in session | after if session.get(name) != after.get(name)}
        with contextlib.suppress(pymysql.err.Error):
            connection.rollback()
            if self.position() != position:
                marks.add("data")
        return Change(error, rows, frozenset(marks))

    def _session(self, connection: Any) -> dict[str, Any]:
        # First, for looking at a session changes what it says about the statement before.
        found = {"insert id": _one(connection, "SELECT @@last_insert_id")}
        for name, value in _all(connection, "SHOW SESSION VARIABLES"):
            if name.lower() not in _RESTLESS:
                found[f"variable {name.lower()}"] = value
        found["schema"] = _one(connection, "SELECT DATABASE()")
        found["role"] = _one(connection, "SELECT CURRENT_ROLE()")
        if self.mysql:
            query = (
                "SELECT VARIABLE_NAME, VARIABLE_VALUE"
                " FROM performance_schema.user_variables_by_thread v"
                " JOIN performance_schema.threads t USING (THREAD_ID)"
                f" WHERE t.PROCESSLIST_ID = {connection.thread_id()}"
            )
            variables = _all(self.admin, query)
        else:
            variables = _all(
                connection,
                "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.USER_VARIABLES",
            )
        found |= {f"user variable {name}": value for name, value in variables}
        return found

    def _held(self, connection: Any, in_transaction: bool) -> set[str]:
        marks = set()
        if self.mysql:
            query = (
                "SELECT OBJECT_TYPE, LOCK_TYPE FROM performance_schema.metadata_locks l"
                " JOIN performance_schema.threads t ON l.OWNER_THREAD_ID = t.THREAD_ID"
                f" WHERE t.PROCESSLIST_ID = {connection.thread_id()}"
            )
            for kind, lock in _all(self.admin, query):
                if not (in_transaction and lock in _OF_READS):
                    marks.add(f"lock {kind} {lock}")
            rows = (
                "SELECT COUNT(*) FROM performance_schema.data_locks l JOIN"
                " performance_schema.threads t USING (THREAD_ID)"
                f" WHERE t.PROCESSLIST_ID = {connection.thread_id()}"
            )
        else:
            query = (
                "SELECT LOCK_TYPE, LOCK_MODE FROM information_schema.METADATA_LOCK_INFO"
                f" WHERE THREAD_ID = {connection.thread_id()}"
            )
            for kind, lock in _all(self.admin, query):
                if not (in_transaction and lock.removeprefix("MDL_") in _OF_READS):
                    marks.add(f"lock {kind} {lock}")
            rows = (
                "SELECT COALESCE(SUM(trx_rows_locked + trx_tables_locked), 0)"
                " FROM information_schema.INNODB_TRX"
                f" WHERE trx_mysql_thread_id = {connection.thread_id()}"
            )
        if _one(self.admin, rows):
            marks.add("lock rows")
        if _one(connection, "SELECT RELEASE_ALL_LOCKS()"):
            marks.add("lock user")
        return marks


def prepare(cluster: Any, wait: bool = True) -> None:
    """The schema that the corpus speaks of; on all servers, if it may wait for them."""
    with contextlib.closing(
        cluster.admin(cluster.primary, autocommit=True, ssl_disabled=True)
    ) as admin:
        admin.select_db("shop")
        _all(admin, "SET GLOBAL log_bin_trust_function_creators = 1")
        statements = SCHEMA if cluster.flavor == "mysql" else SCHEMA + MARIADB_SCHEMA
        for statement in statements:
            _all(admin, statement)
    if not wait:
        return
    if cluster.flavor == "mariadb":
        for server in cluster.servers:
            with (
                contextlib.closing(cluster.admin(server, autocommit=True)) as admin,
                contextlib.suppress(pymysql.err.Error),
            ):
                _all(admin, "INSTALL SONAME 'metadata_lock_info'")
    cluster.wait_caught_up()


def _execute(connection: Any, sql: str) -> tuple[int | None, tuple[Any, ...]]:
    rows: list[Any] = []
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            rows.append(cursor.fetchall())
            while cursor.nextset():
                rows.append(cursor.fetchall())
    except pymysql.err.Error as error:
        return error.args[0] or -1, tuple(rows)
    except (UnicodeError, ValueError):
        return -2, tuple(rows)
    return None, tuple(rows)


def _all(connection: Any, sql: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return tuple(cursor.fetchall())


def _one(connection: Any, sql: str) -> Any:
    return _all(connection, sql)[0][0]
