"""The store of the processes of one host: a SQLite file."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import time
from typing import ClassVar

from .._core.cluster.position import Position, encode
from .base import (
    MARK_SECONDS,
    MOST_ENTRIES,
    Stored,
    StoreError,
    StoreIsEmpty,
    kept_of,
    read_position,
    union,
)

__all__ = ["SQLiteStore"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS positions (id TEXT PRIMARY KEY, position TEXT, written REAL);
CREATE INDEX IF NOT EXISTS by_age ON positions (written);
CREATE TABLE IF NOT EXISTS marks (mark TEXT PRIMARY KEY, id TEXT, expires REAL);
CREATE INDEX IF NOT EXISTS by_id ON marks (id);
"""
_FLOOR = ""  # no session id is empty
_WAIT_SECONDS = 5.0
"""How long to wait for another writer: a busy disk may hold one up for seconds."""


class SQLiteStore:
    """Positions and marks in one file, for all processes of a host.

    :param path: the file; made if it is not there.
    :param most: how many session ids are kept.
    """

    _open: ClassVar[dict[str, SQLiteStore]] = {}

    def __init__(self, path: str, most: int = MOST_ENTRIES) -> None:
        self._path = path
        self._most = most
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner = 0

    @classmethod
    def at(cls, path: str) -> SQLiteStore:
        """Return the process's one store of this file."""
        return cls._open.setdefault(os.path.abspath(path), cls(path))  # noqa: PTH100

    def __repr__(self) -> str:
        """Name the file."""
        return f"<SQLiteStore {self._path}>"

    def get(self, session_id: str) -> Stored:
        """Return what the session id must see."""
        with self._database() as database:
            rows = database.execute(
                "SELECT id, position FROM positions WHERE id IN (?, ?)", (session_id, _FLOOR)
            ).fetchall()
            self._check(any(name == _FLOOR for name, _ in rows))
            is_open = database.execute(
                # Nobody makes one that is to count for longer.
                "SELECT 1 FROM marks WHERE id = ? AND expires BETWEEN ? AND ? LIMIT 1",
                (session_id, time(), time() + 2 * MARK_SECONDS),
            ).fetchone()
        return Stored(self._union([text for _, text in rows]), is_open is not None)

    def begin(self, position: Position) -> None:
        """Put the floor into a new file."""
        with self._database() as database:
            values = (_FLOOR, encode(position), time())
            database.execute("INSERT OR IGNORE INTO positions VALUES (?, ?, ?)", values)

    def _check(self, has_floor: bool) -> None:
        if not has_floor:
            raise StoreIsEmpty(f"session store {self._path}: it is empty")

    def open(self, session_id: str) -> str:
        """Mark the session id."""
        mark = uuid.uuid4().hex
        with self._database() as database:
            floor = database.execute("SELECT 1 FROM positions WHERE id = ?", (_FLOOR,)).fetchone()
            self._check(floor is not None)
            values = (mark, session_id, time() + MARK_SECONDS)
            database.execute("INSERT INTO marks VALUES (?, ?, ?)", values)
        return mark

    def publish(self, session_id: str, mark: object, position: Position | None) -> None:
        """Add what the write committed, and take the mark away."""
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                if position is not None:
                    self._add(database, session_id, position)
                database.execute("DELETE FROM marks WHERE mark = ?", (mark,))
                database.execute("COMMIT")
            except BaseException:
                database.execute("ROLLBACK")
                raise

    def _add(self, database: sqlite3.Connection, session_id: str, position: Position) -> None:
        row = database.execute("SELECT position FROM positions WHERE id = ?", (session_id,))
        known = row.fetchone()
        together = position
        if known is not None:
            together = union(read_position(known[0], repr(self)), position, repr(self))
        database.execute(
            "REPLACE INTO positions VALUES (?, ?, ?)", (session_id, encode(together), time())
        )
        (count,) = database.execute("SELECT COUNT(*) FROM positions").fetchone()
        if known is None and count > self._most + 1:
            self._evict(database)

    def _evict(self, database: sqlite3.Connection) -> None:
        """Fold the oldest entries into the floor, some at once."""
        oldest = database.execute(
            "SELECT id, position FROM positions WHERE id <> '' ORDER BY written LIMIT ?",
            (max(self._most // 100, 1),),
        ).fetchall()
        floor = database.execute("SELECT position FROM positions WHERE id = ''").fetchone()
        texts = [text for _, text in oldest] + ([floor[0]] if floor else [])
        raised = self._union(texts)
        if raised is not None:
            database.execute("REPLACE INTO positions VALUES ('', ?, ?)", (encode(raised), time()))
        database.executemany("DELETE FROM positions WHERE id = ?", [(name,) for name, _ in oldest])
        database.execute("DELETE FROM marks WHERE expires < ?", (time(),))

    def let_go(self, session_id: str, ask: Callable[[], Position]) -> None:
        """Let go of what the primary does not have; `ask` asks where it is."""
        query = "SELECT id, position, written FROM positions WHERE id IN (?, ?)"
        with self._database() as database:
            rows = database.execute(query, (session_id, _FLOOR)).fetchall()
        for name, value, written in rows:
            kept = kept_of(value, repr(self), ask)
            if kept is not None:
                with self._database() as database:
                    # What was published meanwhile the primary may not have had when it was asked.
                    database.execute(
                        "UPDATE positions SET position = ?, written = ? "
                        "WHERE id = ? AND written IS ?",
                        (encode(kept), time(), name, written),
                    )

    def _union(self, values: list[object]) -> Position | None:
        together: Position | None = None
        for value in values:
            position = read_position(value, repr(self))
            together = position if together is None else union(together, position, repr(self))
        return together

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None or self._owner != os.getpid():
                    self._connect()
                assert self._connection is not None
                yield self._connection
            except (sqlite3.Error, ValueError) as error:
                raise StoreError(f"session store {self._path}: {error}") from error

    def _connect(self) -> None:
        _keep_private(self._path)
        # A connection must not be carried over a fork (SQLite, "How To Corrupt", 2.6).
        connection = sqlite3.connect(
            self._path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )
        # What is no text is no position, and no error of SQLite's.
        connection.text_factory = lambda text: text.decode(errors="replace")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.executescript(_SCHEMA)
        self._connection, self._owner = connection, os.getpid()


def _keep_private(path: str) -> None:
    """Make the file so that only its owner can read it: session ids are as good as passwords.

    SQLite gives the files beside it (-wal, -shm) the same mode. One that is there keeps what was
    given to it, but for a right to read without one to write, which is of no use to others' stores.
    """
    if path == ":memory:":
        return
    path = os.path.realpath(path)
    with suppress(OSError):  # SQLite says what is wrong with it
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        return
    for each in (path, f"{path}-wal", f"{path}-shm"):
        with suppress(OSError):  # another's file
            mode = stat.S_IMODE(os.stat(each).st_mode)  # noqa: PTH116
            shared = mode & 0o700
            for read, write in ((0o040, 0o020), (0o004, 0o002)):
                if mode & write:
                    shared |= mode & (read | write)
            if shared != mode:
                os.chmod(each, shared)  # noqa: PTH101
