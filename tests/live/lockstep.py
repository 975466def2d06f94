"""Random programs for the lockstep law: their steps, and the log of a transaction. Pure.

A step is a text, so that a program that fails is printed as a list that can be read and run again:

* `SELECT v FROM t`: SQL, in an ordinary cursor; `stream: SELECT ...` in an SSCursor whose rows are
  fetched one by one, `stream 1: SELECT ...` in one that is closed behind the first row;
* `conn.commit()`: a method of the connection;
* `other: UPDATE t ...`: another connection changes both copies and commits, unless it would have to
  wait for a lock; replicas catch up, unless all reads are `global`;
* `lag 1`, `lag 2`, `lag 12`, `catch up`: replicas that stall, and that have caught up.
"""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

__all__ = [
    "FRESH",
    "IN_TRANSACTION",
    "LAGS",
    "SCHEMA",
    "TABLES",
    "Log",
    "does",
    "options",
    "programs",
    "without_bugs_of_servers",
]

SCHEMA = (
    "CREATE TABLE t (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE u (id INT PRIMARY KEY AUTO_INCREMENT, t INT, s VARCHAR(20) UNIQUE)",
    "CREATE VIEW tu AS SELECT t.id, t.v, u.s FROM t JOIN u ON u.t = t.id",
    "CREATE PROCEDURE adds(n INT) UPDATE t SET v = v + n",
    "CREATE PROCEDURE shows() SELECT id, v FROM t ORDER BY id",
    "CREATE PROCEDURE commits() BEGIN UPDATE t SET v = v + 100; COMMIT; END",
    "CREATE PROCEDURE begins() BEGIN START TRANSACTION; UPDATE t SET v = v + 1000; END",
    "CREATE FUNCTION counts() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM t)",
    "CREATE FUNCTION raises(n INT) RETURNS INT MODIFIES SQL DATA "
    "BEGIN UPDATE t SET v = v + n; RETURN n; END",
)
TABLES = ("t", "u")
FRESH = (
    "DELETE FROM t",
    "DELETE FROM u",
    "INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)",
    # The next AUTO_INCREMENT value follows the largest one that there ever was.
    "INSERT INTO u VALUES ({0}, 0, 'last')",
    "DELETE FROM u",
    "INSERT INTO u VALUES (1, 1, 'a'), (2, 2, 'b')",
)
"""A program's data; `{0}` is a number larger than any that was used before."""

READS = (
    "SELECT id, v FROM t ORDER BY id",
    "SELECT v FROM t WHERE id = 1",
    "SELECT COUNT(*) FROM t",
    "SELECT SUM(v), MAX(id) FROM t",
    "SELECT v FROM t WHERE id > 1 ORDER BY v DESC LIMIT 1",
    "SELECT t.v, u.s FROM t JOIN u ON u.t = t.id ORDER BY t.id, u.id",
    "SELECT id, t, s FROM u ORDER BY id",
    "SELECT s FROM u WHERE t = 2 ORDER BY id",
    "SELECT * FROM tu ORDER BY id, v, s",
    "WITH c AS (SELECT v FROM t WHERE id < 3) SELECT SUM(v) FROM c",
    "SELECT v FROM t WHERE id = 9",
    "SELECT 1",
    "SELECT v AS `the v` FROM t WHERE id = 2",
    "SELECT counts()",
    "SELECT EXISTS (SELECT 1 FROM t WHERE v = 110)",
    "SELECT v FROM t WHERE id = 1 UNION ALL SELECT COUNT(*) FROM u",
    "SHOW TABLES LIKE 't%'",
    "SELECT SQL_CALC_FOUND_ROWS id FROM t ORDER BY id LIMIT 1",
    "SELECT v / 0 FROM t WHERE id = 1",
    "(SELECT v FROM t WHERE id = 2)",
)
BEGINS = (
    "BEGIN",
    "conn.begin()",
    "START TRANSACTION",
    "START TRANSACTION READ ONLY",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT",
    "START TRANSACTION READ WRITE",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT",
    "begin work",
    "/* why */ BEGIN",
    "BEGIN -- so\n",
    "start  transaction",
    "/*!50000 BEGIN */",
)
ENDS = (
    "COMMIT",
    "ROLLBACK",
    "conn.commit()",
    "conn.rollback()",
    "COMMIT AND CHAIN",
    "ROLLBACK AND CHAIN",
    "commit work",
    "COMMIT AND NO CHAIN",
)
SAVEPOINTS = (
    "SAVEPOINT a",
    "SAVEPOINT b",
    "ROLLBACK TO a",
    "ROLLBACK TO SAVEPOINT B",
    "RELEASE SAVEPOINT a",
)
AUTOCOMMIT = (
    "conn.autocommit(True)",
    "conn.autocommit(False)",
    "SET autocommit = 1",
    "SET autocommit = 0",
    "SET @@autocommit = OFF",
    "SET @@SESSION.autocommit = ON",
)
LEVELS = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET SESSION TRANSACTION READ ONLY",
    "SET SESSION TRANSACTION READ WRITE",
    "SET TRANSACTION READ ONLY",
)
WRITES = (
    "UPDATE t SET v = v + 1 WHERE id = 1",
    "UPDATE t SET v = v + 5",
    "INSERT INTO t VALUES (4, 40)",
    "INSERT INTO u (t, s) VALUES (3, 'c')",
    "INSERT INTO u (t, s) VALUES (1, 'd'), (2, 'e')",
    "DELETE FROM t WHERE id = 2",
    "REPLACE INTO t VALUES (2, 22), (5, 50)",
    "INSERT INTO t SELECT id + 10, v FROM t",
    "UPDATE t SET v = v WHERE id = 3",
    "INSERT INTO t VALUES (1, 11) ON DUPLICATE KEY UPDATE v = v + 3",
    "CALL adds(2)",
    "CALL shows()",
    "CALL commits()",
    "CALL begins()",
    "SELECT raises(7)",
    "DELETE FROM u WHERE s = 'a'",
    "SELECT v FROM t WHERE id = 1 FOR UPDATE",
    "SELECT v FROM t WHERE id = 2 LOCK IN SHARE MODE",
    "INSERT IGNORE INTO t VALUES (1, 12), (6, 60)",
    "TRUNCATE TABLE u",
    "CREATE TABLE made (id INT) AS SELECT id FROM t",
    "DROP TABLE IF EXISTS made",
)
ERRORS = (
    "INSERT INTO t VALUES (1, 1)",
    "INSERT INTO t VALUES (7, 70), (1, 1)",
    "SELECT * FROM nosuch",
    "SELEC 1",
    "SELECT nosuch FROM t",
    "INSERT INTO nosuch VALUES (1)",
    "SELECT id FROM made",
    "UPDATE t SET v = 'x' WHERE id = 1",
    "SELECT (SELECT id FROM t)",
    "CALL nosuch()",
)
STATE = (
    "SET @a = 5",
    "SET @a = (SELECT v FROM t WHERE id = 1)",
    "SELECT @a, @b",
    "SELECT MAX(v) INTO @b FROM t",
    "SELECT v FROM t WHERE v = @a",
    "UPDATE t SET v = (@b := v + 1) WHERE id = 2",
    "SET SESSION group_concat_max_len = 5",
    "SELECT GROUP_CONCAT(id, v ORDER BY id), @@group_concat_max_len FROM t",
    "SET time_zone = '+05:00'",
    "SELECT @@time_zone, FROM_UNIXTIME(0)",
    "SELECT @@autocommit",
    "SELECT DATABASE()",
    "PREPARE s FROM 'SELECT v FROM t WHERE id = ?'",
    "EXECUTE s USING @a",
    "PREPARE s FROM 'UPDATE t SET v = v + 1 WHERE id = 1'",
    "EXECUTE s",
    "DEALLOCATE PREPARE s",
    "SET completion_type = 1",
    "SET completion_type = 0",
)
TEMPORARY = (
    "CREATE TEMPORARY TABLE tt (id INT)",
    "INSERT INTO tt VALUES (1), (2)",
    "SELECT id FROM tt ORDER BY id",
    "CREATE TEMPORARY TABLE t (id INT, v INT)",
    "DROP TEMPORARY TABLE IF EXISTS t",
    "DROP TEMPORARY TABLE IF EXISTS tt",
    "CREATE TEMPORARY TABLE IF NOT EXISTS tt AS SELECT id FROM t",
)
FOLLOWING = (
    "SELECT ROW_COUNT()",
    "SELECT FOUND_ROWS()",
    "SELECT LAST_INSERT_ID()",
    "SHOW WARNINGS",
    "conn.show_warnings()",
    "conn.insert_id()",
    "conn.affected_rows()",
    "conn.ping()",
    "conn.select_db()",
)
OTHERS = (
    "other: UPDATE t SET v = v + 100 WHERE id = 1",
    "other: UPDATE t SET v = v + 100 WHERE id = 2",
    "other: UPDATE t SET v = v + 100",
    "other: UPDATE u SET s = CONCAT(s, 'x') WHERE id = 2",
    "other: DELETE FROM t WHERE id = 3",
    "other: REPLACE INTO t VALUES (4, 44)",
)
LAGS = ("lag 1", "lag 12", "lag 2", "catch up")


def _streams() -> st.SearchStrategy[str]:
    return st.builds(
        "{}: {}".format, st.sampled_from(("stream", "stream 1")), st.sampled_from(READS[:-2])
    )


def _steps() -> st.SearchStrategy[str]:
    of = st.sampled_from
    weighted = (
        (of(READS[:4]), 5),
        (of(READS), 4),
        (of(OTHERS), 4),
        (of(BEGINS), 3),
        (of(ENDS), 3),
        (of(WRITES), 4),
        (of(AUTOCOMMIT), 2),
        (of(LEVELS), 1),
        (of(SAVEPOINTS), 1),
        (of(STATE), 2),
        (of(FOLLOWING), 1),
        (of(ERRORS), 1),
        (of(TEMPORARY), 1),
        (of(LAGS), 1),
        (_streams(), 1),
    )
    return st.one_of([strategy for strategy, weight in weighted for _ in range(weight)])


def _transactions() -> st.SearchStrategy[list[str]]:
    """A transaction that reads, while another commits, and goes on.

    Shortcuts are taken behind reads that leave nothing to be asked.
    """
    of = st.sampled_from
    return st.builds(
        lambda warm, begin, read, other, more: [*warm * [read], begin, read, other, *more],
        of((0, 5)),
        of(BEGINS),
        of(READS[:4]),
        of(OTHERS[:3]),
        st.lists(st.one_of(of(READS[:4]), of(WRITES), of(ENDS)), min_size=1, max_size=3),
    )


def programs(transactions: int = 1) -> st.SearchStrategy[list[str]]:
    """Programs; to six steps of any kind there are so many that are whole transactions."""
    one = _steps().map(lambda step: [step])
    mixed = st.one_of(*[one] * 6, *[_transactions()] * transactions)
    chunks = st.lists(mixed, min_size=3, max_size=12)
    return chunks.map(lambda chunks: [step for chunk in chunks for step in chunk])


def options() -> st.SearchStrategy[dict[str, Any]]:
    """What differs between the connections of programs; `autocommit` holds for both sides."""
    of = st.sampled_from
    return st.fixed_dictionaries(
        {"autocommit": st.booleans()},
        optional={
            "consistency": of(("session", "global")),
            "transactions": of(("verify", "primary")),
            "session_id": of(("me",)),
            "on_lag": of(("wait", "primary")),
            "track_positions": st.booleans(),
            "after": st.none(),
        },
    )


# What steps do to a transaction.

IN_TRANSACTION = 1

_BEGINS = re.compile(r"conn\.begin|BEGIN\b|START\s+TRANSACTION", re.IGNORECASE)
_ENDS = re.compile(r"(conn\.)?(COMMIT|ROLLBACK)\b(?!\s+TO)", re.IGNORECASE)
_READS = re.compile(r"(stream.*: )?\(?(SELECT|SHOW|TABLE|WITH|EXECUTE|EXPLAIN)\b", re.IGNORECASE)
_NEXT = re.compile(r"SET TRANSACTION (ISOLATION LEVEL (.*))?")
_SESSION = re.compile(r"SET SESSION TRANSACTION ISOLATION LEVEL (.*)")
_OF_NO_TABLE = re.compile(r"SELECT (?!.*\bFROM\b)(?!.*\b(counts|raises)\().*", re.IGNORECASE)
_COMMITS = re.compile(r"TRUNCATE|(CREATE|DROP) TABLE|LOCK TABLES|CALL commits")
"""What commits by the way, and uses up what is set for the next transaction (tried)."""
_WRITING = ("UPDATE", "INSERT", "DELETE", "REPLACE")
_COMMENTS = re.compile(r"/\*!\d*|\*/|/\*.*?\*/|--.*")


def does(step: str) -> str:
    """Tell what a step is to a transaction: begin, end, read, savepoint, next, or other."""
    text = _COMMENTS.sub("", step).strip()
    for name, pattern in (("begin", _BEGINS), ("end", _ENDS), ("read", _READS), ("next", _NEXT)):
        if pattern.match(text):
            return name
    return "savepoint" if "SAVEPOINT" in text or text.startswith("ROLLBACK TO") else "other"


class Log:
    """What a plain connection's transaction has read since its begin, in case rwsplit moves it."""

    def __init__(self, flavor: str) -> None:
        self._flavor = flavor
        self.steps: list[tuple[str, Any]] = []
        """The steps that make the transaction, with their answers."""
        self.disturbed = False
        """Another connection has committed since."""
        self._was_autocommit: bool | None = False
        self._may_be_chained = self._always_chains = False
        self.level = self._of_session = "REPEATABLE READ"
        self._of_next = ""

    @property
    def is_unverifiable(self) -> bool:
        """Whether it holds what can't be compared there: a stream, a function, a moment."""
        return any(
            step.startswith("stream")
            or "counts()" in step
            or ("READ ONLY" in step and "SNAPSHOT" in step)
            for step, _ in self.steps
        )

    def _begins_none(self, step: str) -> bool:
        """Tell whether a step leaves the level to the next one: SHOW does, on MariaDB."""
        shows = self._flavor == "mariadb" and "SHOW" in step
        return does(step) == "next" or shows or bool(_OF_NO_TABLE.fullmatch(step))

    def _leaves_level(self, step: str) -> bool:
        """Tell whether the level of a transaction that begins with this is still to come."""
        return self._begins_none(step) or does(step) == "savepoint"

    @property
    def _has_its_level_to_come(self) -> bool:
        """Whether nothing so far has settled the level of the transaction."""
        return all(self._leaves_level(kept) for kept, _ in self.steps)

    def _was_refused(self, answer: Any) -> bool:
        """Tell whether a step failed before it ran: that leaves the level to the next one, too."""
        if not answer or not isinstance(answer[0], str):
            return False
        unrun = (1146, 1064, 1054) if self._flavor == "mysql" else (1146, 1064)
        return answer[1] in unrun

    def note(
        self, step: str, answer: Any, status: int | None, autocommit: bool | None = False
    ) -> None:
        """Note a step of the program; `status` is what the server then told, if it did.

        With `autocommit` a step that is in no transaction is one of its own.
        """
        what = does(step)
        begun = any(does(kept) == "begin" for kept, _ in self.steps)
        turned_off = self._was_autocommit and not autocommit
        if status is None and turned_off and not (begun or self._may_be_chained):
            # Nobody told that those were transactions of their own, which were read before.
            self.steps = [kept for kept in self.steps if does(kept[0]) == "next"]
            self.disturbed = False
        self._was_autocommit = autocommit
        self._always_chains = self._always_chains or step == "SET completion_type = 1"
        if what == "end":
            chains = "CHAIN" in step and "NO CHAIN" not in step
            self._may_be_chained = chains or self._always_chains
        runs = (what == "read" or step.startswith(_WRITING)) and not self._was_refused(answer)
        uses_up = autocommit and not begun and runs and not self._begins_none(step)
        refused = bool(answer) and isinstance(answer[0], str)
        commits = _COMMITS.match(step) is not None and not refused
        if uses_up or commits:
            self._of_next = ""
            self.steps = [kept for kept in self.steps if does(kept[0]) != "next"]
        if found := _SESSION.match(step):
            self._of_session = found[1]
            if self._has_its_level_to_come:
                # It has this one, whatever was said of it alone (tried on both).
                self._of_next, alone = "", "SET TRANSACTION ISOLATION"
                self.steps = [kept for kept in self.steps if not kept[0].startswith(alone)]
        if found := _NEXT.match(step):
            self._of_next = found[2] or self._of_next
        if what == "end":
            self.steps, self.disturbed, self._of_next = [], False, ""
        elif what == "begin" or (commits if status is None else not status & IN_TRANSACTION):
            # A savepoint is there before a transaction is called one.
            leaves = what in ("read", "savepoint", "next") or step.startswith("SET")
            # Set while autocommit was on, it was its own statement's alone.
            keeps = leaves and not (autocommit or turned_off)
            stay = ("next", "savepoint") if keeps else ("next",)
            self.steps = [kept for kept in self.steps if does(kept[0]) in stay]
            self.disturbed = False
        if what in ("begin", "read", "savepoint", "next"):
            if what != "next" and self._has_its_level_to_come:
                self.level = self._of_next or self._of_session
            self.steps.append((step, answer))


def without_bugs_of_servers(program: list[str]) -> list[str]:
    """Leave out what ends a READ ONLY transaction by the way.

    Both flavors then take the next one for READ ONLY as well (MySQL after BEGIN, both after SET
    autocommit): an INSERT gets error 1792. rwsplit sends them no such transaction.
    """
    kept, read_only, chains = [], False, False
    for step in program:
        read_only = read_only or "READ ONLY" in step
        chains = chains or "completion_type" in step
        ends = does(step) == "begin" or "autocommit" in step or step.startswith("CALL")
        if read_only and ends and kept and "READ ONLY" not in step:
            continue
        if does(step) == "end" and not chains and "CHAIN" not in step:
            read_only = False
        kept.append(step)
    return kept
