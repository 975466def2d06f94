"""Programs of session commands, writes and reads, run through rwsplit and on one plain server."""

from __future__ import annotations

import contextlib
import re
from typing import Any, NamedTuple

import pymysql
from hypothesis import strategies as st

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(40))",
    "CREATE TABLE IF NOT EXISTS triggered (id INT PRIMARY KEY AUTO_INCREMENT, v INT)",
    "DROP TRIGGER IF EXISTS sets_a",
    "CREATE TRIGGER sets_a BEFORE INSERT ON triggered FOR EACH ROW SET @a = CONCAT('t', NEW.v)",
    "CREATE DATABASE IF NOT EXISTS other",
    "CREATE TABLE IF NOT EXISTS other.t (id INT PRIMARY KEY, v VARCHAR(40))",
    "DROP PROCEDURE IF EXISTS sets_b",
    "DROP PROCEDURE IF EXISTS sets_mode",
    "DROP PROCEDURE IF EXISTS makes_tt",
    "DROP PROCEDURE IF EXISTS fails",
    "DROP FUNCTION IF EXISTS reads_a",
    "CREATE PROCEDURE sets_b(x INT) SET @b = x + 0.5",
    "CREATE PROCEDURE sets_mode() SET @@div_precision_increment = 9",
    "CREATE PROCEDURE makes_tt() CREATE TEMPORARY TABLE IF NOT EXISTS tt AS SELECT 9 AS n",
    "CREATE PROCEDURE fails() BEGIN SET @b = 'failed'; INSERT INTO t (v) VALUES ('f'); "
    "SELECT * FROM no_such_table; END",
    "CREATE FUNCTION reads_a() RETURNS VARCHAR(60) READS SQL DATA RETURN CONCAT('<', @a, '>')",
)
FRESH = (
    "DELETE FROM t",
    "DELETE FROM triggered",
    "ALTER TABLE t AUTO_INCREMENT = 10",
    "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')",
    "REPLACE INTO other.t VALUES (1, 'other')",
)

VALUES = """
5 | -3 | 1.50 | 1e3 | 0.1e0 | 'x' | '' | NULL | x'41' | x'' | 18446744073709551615 | TRUE | 1=1
-9223372036854775808 | CAST(5 AS UNSIGNED) | CAST(7 AS DECIMAL(5,0)) | JSON_OBJECT('k',1)
_latin1'ab' COLLATE latin1_bin | (SELECT COUNT(*) FROM t) | CONCAT(@a,'z') | @b | @a+1 | N'n'
DATE'2020-01-01' | 'it''s' | UPPER('ä') | CONVERT('ü' USING latin1) | 0.1+0.2e0 | -0e0
12345678901234567890.123 | @@sql_mode | (SELECT MAX(id) FROM t) | (SELECT SUM(LENGTH(v)) FROM t)
(SELECT v FROM t ORDER BY id LIMIT 1) | (SELECT COUNT(*) + 1 FROM t)
"""


def values() -> st.SearchStrategy[str]:
    return st.sampled_from([value.strip() for value in re.split(r"[|\n]", VALUES.strip())])


NAMES = st.sampled_from(("a", "b", "c"))

SETS = (
    "SET sql_mode = ''",
    "SET SESSION sql_mode = 'ANSI_QUOTES'",
    "SET @@sql_mode = 'NO_BACKSLASH_ESCAPES'",
    "SET sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')",
    "SET sql_mode = DEFAULT",
    "SET @old = @@sql_mode, sql_mode = 'ANSI'",
    "SET sql_mode = @old",
    "SET NAMES latin1",
    "SET NAMES utf8mb4",
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
    "SET CHARACTER SET latin1",
    "SET collation_connection = utf8mb4_unicode_ci",
    "SET character_set_results = NULL",
    "SET SESSION group_concat_max_len = 5",
    "SET @@group_concat_max_len = 12",
    "SET group_concat_max_len = DEFAULT",
    "SET LOCAL div_precision_increment = 7",
    "SET @@SESSION.div_precision_increment = 2, time_zone = '+05:00'",
    "SET time_zone = '-03:00'",
    "SET lc_time_names = 'de_DE'",
    "SET sql_select_limit = 2",
    "SET sql_select_limit = 0",
    "SET sql_select_limit = DEFAULT",
    "SET default_week_format = 3",
    "SET timestamp = 1234567",
    "SET timestamp = DEFAULT",
    "SET nosuch = 1",
    "SET @a = 'half', nosuch = 2",
    "SET sql_mode = 'NO_SUCH_MODE'",
    "SET ROLE reader",
    "SET ROLE NONE",
    "SET ROLE nobody_s",
    "SET SESSION session_track_schema = OFF",
    "SET TRANSACTION READ ONLY",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "USE other",
    "USE shop",
    "USE no_such_schema",
    "PREPARE s FROM 'SELECT v, ? FROM t ORDER BY v'",
    "PREPARE s FROM 'SELECT ?, @a'",
    "PREPARE s FROM 'UPDATE t SET v = ?'",
    "PREPARE s FROM 'SELEC'",
    "PREPARE s FROM @b",
    "DEALLOCATE PREPARE s",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "CREATE TEMPORARY TABLE tt (n INT)",
    "CREATE TEMPORARY TABLE shop.t (v CHAR(9) DEFAULT 'shadow', id INT)",
    "DROP TEMPORARY TABLE IF EXISTS tt",
    "DROP TEMPORARY TABLE IF EXISTS shop.t",
    "SELECT GET_LOCK('rwsplit', 0)",
    "SELECT RELEASE_LOCK('rwsplit')",
    "SELECT RELEASE_ALL_LOCKS()",
    "LOCK TABLES t READ",
    "UNLOCK TABLES",
    "HANDLER shop.t OPEN AS h",
    "HANDLER h READ FIRST",
    "HANDLER h CLOSE",
)
WRITES = (
    "INSERT INTO t (v) VALUES ('new')",
    "INSERT INTO t (v) VALUES (@c := 'by insert')",
    "INSERT INTO t (id, v) VALUES (1, 'twice')",
    "UPDATE t SET v = @a WHERE id = 2",
    "UPDATE t SET v = (@b := CONCAT(id, '!')) ORDER BY id",
    "INSERT INTO triggered (v) VALUES (4)",
    "DELETE FROM t WHERE id = 3",
    "CALL sets_b(3)",
    "CALL sets_mode()",
    "CALL makes_tt()",
    "CALL fails()",
    "SELECT MAX(id) FROM t INTO @c",
    "SELECT @a := 'selected'",
    "SELECT v, id FROM t WHERE id = 2 INTO @a, @b",
    "SELECT LAST_INSERT_ID(77)",
    "DO @b := 3",
    "DO LAST_INSERT_ID(5)",
    "INSERT INTO no_such VALUES (1)",
    "GET DIAGNOSTICS @c = NUMBER",
)
READS = (
    "SELECT @{0}, HEX(@{0}), IF(@{0} IS NULL, '', CONCAT(CHARSET(@{0}), COLLATION(@{0})))",
    "SELECT @{0} + 1, @{0} = 'X', @{0} < 4, LENGTH(@{0})",
    "SELECT reads_a()",
    "SELECT id, v FROM t ORDER BY id",
    "SELECT GROUP_CONCAT(v ORDER BY id) FROM t",
    "SELECT 1 / 7, FROM_UNIXTIME(0), DATE_FORMAT('2020-03-02', '%W'), WEEK('2020-03-02')",
    "SELECT 'a' || 'b', \"t\", 'a\\'b'",
    "SELECT 'a\\\\b', LENGTH('a\\\\b'), HEX('ä'), CHARSET('x'), COLLATION('x')",
    "SELECT DATABASE(), CURRENT_ROLE()",
    "SELECT @@sql_mode, @@time_zone, @@group_concat_max_len, @@session.div_precision_increment",
    "SELECT @@session_track_schema",
    "SELECT @@autocommit, @@timestamp < 2000000",
    "SELECT SQL_CALC_FOUND_ROWS id FROM t ORDER BY id LIMIT 1",
    "SELECT FOUND_ROWS()",
    "SELECT ROW_COUNT()",
    "SELECT LAST_INSERT_ID(), @@identity",
    "SHOW WARNINGS",
    "SELECT @@warning_count",
    "SELECT 1 / 0, CAST('12x' AS SIGNED) FROM t WHERE id = 1",
    "SELECT n FROM tt",
    "SELECT v FROM shop.t ORDER BY v LIMIT 1",
    "SELECT * FROM no_such_table",
    "EXECUTE s USING @{0}",
    "EXECUTE s",
    "SELECT 'ä', _latin1 X'E4'",
    "SELECT v FROM other.t",
    "SHOW TABLES LIKE 't%'",
    "SHOW VARIABLES LIKE 'session_track_schema'",
)
NASTY = ("a'b", "a\\", "\\' OR 1=1 -- ", 'q"', "%s", "ü", "\\", "a\0b")


NASTY_READS = (
    "SELECT %s",
    "SELECT id FROM t WHERE v = %s",
    "SELECT LENGTH(%s), DATABASE()",
    "INSERT INTO t (v) VALUES (%s)",
)
CALLS = (
    "drop a replica",
    "show_warnings",
    "set_character_set latin1",
    "set_character_set utf8mb4",
    "select_db other",
    "select_db shop",
    "begin",
    "commit",
)


class Step(NamedTuple):
    """One command: SQL with parameters, or something done to the connection."""

    sql: str
    args: tuple[Any, ...] | None = None


def changes() -> st.SearchStrategy[Step]:
    return st.one_of(
        st.builds("SET @{} = {}".format, NAMES, values()).map(Step),
        st.builds("SET @a = {}, @{} := {}".format, values(), NAMES, values()).map(Step),
        st.sampled_from(SETS).map(Step),
        st.sampled_from(WRITES).map(Step),
    )


def steps() -> st.SearchStrategy[Step]:
    return st.one_of(
        changes(),
        changes(),
        st.builds(str.format, st.sampled_from(READS), NAMES).map(Step),
        st.builds(str.format, st.sampled_from(READS), NAMES).map(Step),
        st.builds(Step, st.sampled_from(NASTY_READS), st.sampled_from(NASTY).map(lambda x: (x,))),
        st.sampled_from(CALLS).map(Step),
    )


def run(connection: Any, step: Step, errors: Any = pymysql.err.Error) -> Any:
    """What a program sees of one step: rows and their types, or the error's number."""
    try:
        return _run(connection, step)
    except errors as error:
        return ("error", error.args[0] if error.args else None)
    except (UnicodeError, ValueError) as error:
        return ("error", type(error).__name__)


def _run(connection: Any, step: Step) -> Any:
    words = step.sql.split()
    match words[0]:
        case "drop":
            if hasattr(connection, "_replicas"):
                for member in [*connection._members.values()][:1]:
                    member.connection.kill_socket()
            return None
        case "show_warnings":
            return connection.show_warnings()
        case "set_character_set" | "select_db" | "begin" | "commit":
            return getattr(connection, words[0])(*words[1:])
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(step.sql, step.args)
        seen = [_seen(cursor)]
        while cursor.nextset():
            seen.append(_seen(cursor))
        if step.sql.startswith("INSERT"):
            seen.append((cursor.lastrowid, connection.insert_id()))
        return seen


def _seen(cursor: Any) -> Any:
    rows = cursor.fetchall()
    # The type of a NULL hangs on what the variable was before, and nothing hangs on it.
    values = rows[0] if rows else ()
    types = [c[1] for c, v in zip(cursor.description or (), values, strict=False) if v is not None]
    return cursor.rowcount, types, rows
