"""`ForeignConnection`: one connection of a wrapped driver, as members and flows use one.

It is to the shell what `PhysicalConnection` is over PyMySQL. Inside of rwsplit its errors are of
PyMySQL's classes; the driver's own are on them (`foreign`), for the application.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from ..._core.cluster.endpoint import Endpoint
from ..._core.sql.fingerprint import Fingerprint
from ..._core.tracking import SESSION_STATE_CHANGED
from ..._core.wire import Capability
from .. import err
from ..pymysql import Identity, Setup
from .driver import Line, house_error
from .results import Answered, MadeRows, Renamed, take_in
from .sources import Source

__all__ = ["ForeignConnection"]

_WHO = "SELECT SUBSTRING_INDEX(USER(),'@',1),DATABASE() LIMIT 1"
_AUTOCOMMIT, _IN_TRANSACTION = 0x0002, 0x0001
_MOST_REPEATED = 100
_PIPELINE_BYTES = 64 * 1024
"""So much fits the buffers of both ends, and can't wait for a server that waits for us to read."""
_MOST_PACKET = 1 << 30


class ForeignConnection:
    """One connection of a wrapped driver.

    :param source: makes them.
    :param endpoint: the server.
    :param setup: gives statements to run on each new one; their rows are kept in `setup_rows`.
    :param patience: how many seconds an answer may take to begin; None for what the driver says.
    """

    offers = Capability(0)
    follows = ""
    tracks = False
    flavor = "mysql"
    server_version = ""
    server_thread_id: tuple[int] = (0,)
    max_packet = _MOST_PACKET
    ctx: Any = None
    user: str | None = None
    db: str | None = None
    password: Any = None
    use_unicode = True
    init_command: Any = None
    sql_mode: Any = None
    escapes_plainly = False
    """Templates of texts are not handed over."""

    def __init__(
        self,
        source: Source,
        endpoint: Endpoint,
        setup: Setup | None = None,
        patience: float | None = None,
    ) -> None:
        self.source = source
        self.driver = source.driver
        self.endpoint = endpoint
        self._setup = setup
        self._line: Line | None = None
        self._wire: socket.socket | None = None
        """A copy of its socket."""
        self._closed = True
        self._result: Answered | None = None
        self._unsent: bytes | None = None
        self._limit = patience
        self.last: Any = None
        """The driver's connection, or what it was before it was lost: it still escapes values."""
        self.is_reading_rows = False
        self.tells = False
        self.server_status = _AUTOCOMMIT
        self.tails: list[bytes] = []
        self.setup_rows: list[Any] = []
        self.owed = self.due = self.writes = self.warnings = 0
        self.asking = False
        self.replica: str | None = None
        self.identity: Identity = ()
        self.turn: Any = threading.RLock()
        _connections.add(self)

    # Connecting.

    @property
    def wrapped(self) -> Any:
        """The driver's own connection; None while there is none."""
        return None if self._line is None else self._line.connection

    def connect(self, sock: Any = None) -> None:
        """Connect, and run the set-up; raises PyMySQL's errors."""
        self._drop()
        self._closed = False
        self.setup_rows = []
        try:
            self._adopt(self._make())
        except BaseException:
            self._drop()
            self._closed = True
            raise

    def _make(self) -> Any:
        began = time.monotonic()
        try:
            with self._as_house():
                return self.source.make(self.endpoint)
        except err.OperationalError as error:
            seconds = self.source.seconds
            if seconds is None or time.monotonic() - began < seconds:
                raise
            # The library says so in a number of the system's, if at all.
            error.args = (error.args[0], f"{error.args[-1]} (timed out)")
            raise

    def _adopt(self, connection: Any) -> None:
        with self._as_house():
            self._line = line = self.driver.line(connection)
            # Drivers refuse calls from another thread amid a statement: the copy is for those.
            self._wire = socket.socket(fileno=os.dup(line.fileno()))
            self.last = connection
            self.offers = line.offers
            self.follows = line.follows
            self.tracks = Capability.TRACKS_WRITES in line.offers
            self.tells = self.tracks
            self.server_version = version = connection.get_server_info()
            self.flavor = "mariadb" if "mariadb" in version.lower() else "mysql"
            self.server_thread_id = (connection.thread_id(),)
            self.server_status = line.status()
        # The application may begin in any state; what reads there must not begin transactions.
        first = _WHO if self.source.is_of_primary else "SET autocommit=1"
        setup = [] if self._setup is None else self._setup.statements(self.flavor)
        for reply in self.ask_all([first, *setup]):
            if isinstance(reply, err.MySQLError):
                raise reply
            self.setup_rows.append(reply.rows)
        self.tails.clear()
        if self.source.is_of_primary:
            self.user, self.db = map(_as_text, self.setup_rows[0][0])

    def pretend(self, flavor: str, version: str) -> None:
        """Take on what is known of a server that can't be connected to now."""
        self.flavor, self.server_version, self.tracks = flavor, version, True
        self._closed = False

    def aim(self, options: Mapping[str, Any]) -> None:
        """Lead to another server from the next `connect` on."""
        self.endpoint = options["endpoint"]

    def take_identity(self) -> Identity:
        """Note who its connections belong to; they are not kept for others."""
        self.identity = (self.driver.name, id(self.source))
        return self.identity

    def leave(self) -> None:
        """Keep nothing for another connection."""
        return

    # What there is.

    @property
    def open(self) -> bool:
        """Whether there is a connection, so far as was seen."""
        return self._line is not None

    @property
    def is_closed(self) -> bool:
        """Whether the application has closed it."""
        return self._closed

    @property
    def result(self) -> Any:
        """What the last statement answered; None for nothing."""
        return self._result

    @property
    def is_reading(self) -> bool:
        """Whether rows or results of the last statement are still to come."""
        result = self._result
        return result is not None and (result.unbuffered_active or result.has_next)

    @property
    def may_be_running(self) -> bool:
        """Whether a statement may be running there now, as another thread sees it."""
        return self._line is not None and (self._result is None or self.is_reading)

    @property
    def read_timeout(self) -> float | None:
        """How many seconds an answer may take; the driver sees to that."""
        return None

    def has_ended(self) -> bool:
        """Tell, without waiting, whether the server has closed this idle connection."""
        if self._line is None or self.due:
            return True
        if self.owed or self.is_reading:
            return False
        return self._is_readable(0)

    def note_closed_transaction(self) -> None:
        """Note that no transaction is open there any more."""
        self.server_status &= ~_IN_TRANSACTION

    def get_autocommit(self) -> bool:
        """Tell whether autocommit is on."""
        return bool(self.server_status & _AUTOCOMMIT)

    @property
    def charset(self) -> Any:
        """The name of the connection's character set."""
        return self._mine().character_set_name()

    collation: Any = None

    @property
    def encoding(self) -> str:
        """How texts become bytes."""
        return getattr(self.wrapped, "encoding", "utf8") or "utf8"

    @property
    def decoders(self) -> Any:
        """How values become Python's."""
        return getattr(self.wrapped, "converter", None)

    def read_as(self, primary: ForeignConnection) -> None:
        """Make of what comes from the server what another connection makes of it."""
        mine, theirs = self.wrapped, primary.last
        if mine is not None and theirs is not None:
            mine.converter = theirs.converter

    def encode_as(self, primary: ForeignConnection) -> None:
        """Read and write text in another connection's character set."""
        self.read_as(primary)

    @property
    def has_foreign_socket(self) -> bool:
        """Whether its connection was made by the application, so that nobody can make another."""
        return not self.source.can_repeat

    def __getattr__(self, name: str) -> Any:
        last = self.__dict__.get("last")
        if last is None or name.startswith("__"):
            raise AttributeError(name)
        return getattr(last, name)

    # Errors.

    @contextmanager
    def _as_house(self) -> Iterator[None]:
        """Let the driver's errors be of this house; a line that is lost is dropped."""
        try:
            yield
        except err.MySQLError:
            raise
        except self.driver.module.Error as error:
            line = self._line
            if line is not None and line.is_lost(error):
                self._drop()
            raise house_error(self.driver, error) from error

    def _mine(self) -> Any:
        """Return the driver's connection; raises PyMySQL's error where there is none."""
        if self._line is None:
            raise err.InterfaceError(0, "")
        return self._line.connection

    # Running statements.

    def query(self, sql: str | bytes, unbuffered: bool = False) -> Any:
        """Run a statement; its result becomes the connection's."""
        if isinstance(sql, str):
            sql = sql.encode(self.encoding)
        line = self._ready()
        self.due = 1
        self.writes += 1
        try:
            if self._limit is None:
                line.run(sql)
            else:
                self._run_limited(line, sql)
            return self._take(line, unbuffered)
        except self.driver.module.Error as error:
            raise self._failed(error) from error

    def query_for(self, sql: bytes, unbuffered: bool, fingerprint: Fingerprint | None) -> Any:
        """Run a statement so, and take its rows into a fingerprint if there is one."""
        rows = self.query(sql, unbuffered)
        self._print(fingerprint)
        return rows

    def _print(self, fingerprint: Fingerprint | None) -> None:
        if fingerprint is not None and self._result is not None:
            take_in(self._result, fingerprint)

    def _run_limited(self, line: Line, sql: bytes) -> None:
        if Capability.PIPELINES not in self.offers:
            line.run(sql)
            return
        line.send(sql)
        self._waits = True
        self._wait(line)
        line.receive()

    def _wait(self, line: Line) -> None:
        """Wait for the first answer to what was sent as long as it may take.

        Of those behind it the library may have read a part already, and nobody can tell.
        """
        waits, self._waits = self._waits, False
        if waits and self._limit is not None and not self._is_readable(self._limit):
            self._drop()
            raise err.OperationalError(2013, "Lost connection to MySQL server (timed out)")

    def _is_readable(self, seconds: float) -> bool:
        assert self._wire is not None
        watch = select.poll()
        watch.register(self._wire, select.POLLIN)
        return bool(watch.poll(seconds * 1000))

    def _take(self, line: Line, unbuffered: bool) -> Any:
        """Take the answer that has begun, and what it tells."""
        self._result = answer = line.take(unbuffered, self._ended)
        self.due = 0
        self._note(line, answer)
        return answer.affected_rows

    def _note(self, line: Line, answer: Answered) -> None:
        """Take in what an answer tells of the session."""
        self.server_status = status = answer.server_status
        self.tells = self.tracks
        if answer.field_count:
            # What stands in the library's list is of the answer before this one.
            self.tells = Capability.TRACKS_READS in self.offers
            if not self.tells:
                return
        if status & SESSION_STATE_CHANGED:
            self.tails.append(line.report())

    def _ended(self, error: Exception | None) -> None:
        """Take in that the rows of a stream are read, or will not come."""
        line = self._line
        if line is None:
            return
        if error is not None and line.is_lost(error):
            self._drop()
            return
        self.server_status = status = line.status()
        if self._result is not None:
            self._result.server_status = status

    def _failed(self, error: Exception) -> err.MySQLError:
        """Take in a statement's error; returns what it is here."""
        self.due = 0
        self._result = None
        line = self._line
        if line is not None and line.is_lost(error):
            self._drop()
        return house_error(self.driver, error)

    def next_result(self, unbuffered: bool = False) -> Any:
        """Read the next result of the last statement."""
        line = self._line
        if line is None:
            raise err.InterfaceError(0, "")
        self.due = 1
        try:
            line.advance()
            return self._take(line, unbuffered)
        except self.driver.module.Error as error:
            raise self._failed(error) from error

    # Statements of ours.

    def run_all(self, statements: Sequence[str | bytes]) -> list[Any]:
        """Run several statements, in one round trip where the driver can; returns their replies.

        Each reply is a result or the error that the server gave. Raises the error of a connection
        that was lost. The connection's result stays what it is.
        """
        result, tells = (None if self.is_reading else self._result), self.tells
        line = self._ready()
        texts = [self._encoded(statement) for statement in statements]
        self._send(line, texts)
        replies = [self._reply(line, text) for text in texts]
        self._result = result
        self.tells = self.tells and tells
        return replies

    ask_all = run_all

    def ask(self, sql: str) -> tuple[Any, ...]:
        """Run one statement of ours and return its first row, as the server sent it."""
        (reply,) = self.ask_all([sql])
        if isinstance(reply, err.MySQLError):
            raise reply
        row: tuple[Any, ...] = reply.rows[0]
        return row

    def _encoded(self, statement: str | bytes) -> bytes:
        return statement if isinstance(statement, bytes) else statement.encode(self.encoding)

    def _send(self, line: Line, texts: Sequence[bytes]) -> None:
        """Send them all where that is safe; else each goes when its reply is wanted."""
        self.writes += 1
        self.due = len(texts)
        self._waits = True
        self._is_sent = (
            Capability.PIPELINES in self.offers and sum(map(len, texts)) < _PIPELINE_BYTES
        )
        if self._is_sent:
            with self._as_house():
                for text in texts:
                    line.send(text)

    _is_sent = _waits = False

    def _reply(self, line: Line, text: bytes, is_ours: bool = True) -> Any:
        try:
            if self._is_sent:
                self._wait(line)
                line.receive()
            else:
                self._run_limited(line, text) if self._limit else line.run(text)
            answer = line.take_ours() if is_ours else line.take(False, self._ended)
            self._note(line, answer)
            while line.status() & 0x0008:
                line.advance()
                self._note(line, line.take_ours())
            self.due -= 1
        except self.driver.module.Error as error:
            self.due -= 1
            if line.is_lost(error):
                self._drop()
                raise house_error(self.driver, error) from error
            # Its frames would hold the list that it goes into, and with that the connection.
            return house_error(self.driver, error.with_traceback(None))
        return answer

    def query_after(self, prelude: Sequence[str | bytes], sql: bytes) -> list[Any]:
        """Send `prelude` and then `sql`; returns the replies to the prelude.

        The caller looks at them, and then calls `finish_query` or `discard_query`.
        """
        line = self._ready()
        texts = [self._encoded(statement) for statement in prelude]
        self._send(line, [*texts, sql])
        self._unsent = None if self._is_sent else sql
        return [self._reply(line, text) for text in texts]

    def finish_query(self, unbuffered: bool, fingerprint: Fingerprint | None = None) -> Any:
        """Read the result of the statement that `query_after` sent.

        With a fingerprint its rows are taken into it.
        """
        line = self._line
        if line is None:
            raise err.InterfaceError(0, "")
        sql, self._unsent = self._unsent, None
        try:
            if sql is not None:
                line.run(sql)
            else:
                self._wait(line)
                line.receive()
            rows = self._take(line, unbuffered)
        except self.driver.module.Error as error:
            raise self._failed(error) from error

        self._print(fingerprint)
        return rows

    def repeat(self, statements: Sequence[bytes], orders: Sequence[bool | None]) -> list[Any]:
        """Run statements again, for the fingerprints of their results.

        :param orders: for each whether its rows are ordered; None where only its error matters.

        Returns for each its fingerprint, None or its error.
        """
        line = self._ready()
        replies: list[Any] = []
        for at in range(0, len(statements), _MOST_REPEATED):
            texts = statements[at : at + _MOST_REPEATED]
            self._send(line, texts)
            for text, ordered in zip(texts, orders[at : at + _MOST_REPEATED], strict=True):
                reply = self._reply(line, text, is_ours=False)
                if ordered is not None and not isinstance(reply, err.MySQLError):
                    fingerprint = Fingerprint(ordered)
                    take_in(reply, fingerprint)
                    reply = fingerprint
                replies.append(None if isinstance(reply, Answered) else reply)
        return replies

    def discard_query(self) -> None:
        """Read and throw away the result of the statement that `query_after` sent."""
        sql, self._unsent = self._unsent, None
        line = self._line
        if sql is None and line is not None:
            self._reply(line, b"")
        self.due = 0
        self._result = None

    def post(self, statement: str) -> None:
        """Send a statement of ours and leave its reply for `settle`."""
        line = self._ready()
        if Capability.PIPELINES not in self.offers:
            self.run_all([statement])
            return
        self.writes += 1
        with self._as_house():
            line.send(self._encoded(statement))
        self.owed += 1

    def settle(self) -> None:
        """Read the replies to what was posted; only the end of a lost connection is an error."""
        while self.owed and self._line is not None:
            self.owed -= 1
            self.due, self._is_sent = 1, True
            self._reply(self._line, b"")

    def report_late(self, schema: str | None) -> bool:
        """Tell that nobody told what a statement that failed had changed before its error."""
        return False

    def finish_previous(self) -> None:
        """Make ready for the next statement: what is left of results is read away.

        Of rows that a cursor still reads it is the driver's error 2014.
        """
        self._ready()

    def _ready(self) -> Line:
        line = self._line
        if line is None:
            raise err.InterfaceError(0, "")
        if self.due:
            self._drop()
            raise err.OperationalError(
                2006, "MySQL server has gone away (the statement before was interrupted)"
            )
        if self.owed:
            self.settle()
        result = self._result
        if result is not None:
            if result.unbuffered_active:
                raise err.ProgrammingError(
                    2014, "Commands out of sync; you can't run this command now"
                )
            while self._result is not None and self._result.has_next:
                self.next_result()
            self._result = None
        return line

    # What has a method of its own.

    def _by_method(self, name: str, *arguments: Any) -> None:
        """Do what the driver has a method for, which runs a statement."""
        line = self._ready()
        self.writes += 1
        with self._as_house():
            getattr(line.connection, name)(*arguments)
            self._take(line, False) if line.connection.field_count() else self._after_method(line)

    def _after_method(self, line: Line) -> None:
        self._result = None
        self.warnings = line.connection.warning_count()
        self.server_status = status = line.status()
        self.tells = self.tracks
        if status & SESSION_STATE_CHANGED:
            self.tails.append(line.report())

    def begin(self) -> None:
        """Begin a transaction."""
        self._run_ours(b"BEGIN")

    def commit(self) -> None:
        """Commit the transaction."""
        self._run_ours(b"COMMIT")

    def rollback(self) -> None:
        """Roll the transaction back."""
        self._run_ours(b"ROLLBACK")

    def autocommit(self, value: Any) -> None:
        """Switch autocommit on or off."""
        self._run_ours(b"SET autocommit=%d" % bool(value))

    def _run_ours(self, sql: bytes) -> None:
        self.query(sql)
        answer, self._result = self._result, None
        assert answer is not None
        self.warnings = answer.warning_count

    def select_db(self, name: Any) -> None:
        """Change the default schema."""
        line = self._ready()
        self.writes += 1
        with self._as_house():
            line.connection.select_db(name.decode() if isinstance(name, bytes) else name)

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Set the character set, and the collation, of the connection."""
        line = self._ready()
        self.writes += 1
        with self._as_house():
            line.connection.set_character_set(charset)
        self._after_method(line)
        if collation:
            self._run_ours(f"SET NAMES {charset} COLLATE {collation}".encode())

    def ping(self, reconnect: bool = False) -> None:
        """Check that the server answers."""
        line = self._ready()
        with self._as_house():
            line.connection.ping()

    def show_warnings(self) -> Any:
        """Return the warnings of the last statement."""
        line = self._ready()
        with self._as_house():
            return line.show_warnings()

    # Results of rwsplit's own.

    def no_result(self, status: int) -> Answered:
        """Return the result of a statement that changed nothing and returned nothing."""
        return Answered(None, _no_rows, status)

    def made_result(self, columns: Sequence[Any], rows: Sequence[tuple[Any, ...]]) -> Answered:
        """Return a result that no server sent."""
        answer = Answered(MadeRows(columns, rows), _no_rows, self.server_status & ~0x0008)
        answer.affected_rows = len(rows)
        return answer

    def rename(self, answer: Answered, names: Sequence[tuple[str, str]]) -> None:
        """Write something else in the names of a result's columns."""
        if answer.handle is None:
            return
        columns = [(_renamed(name, names), *others) for name, *others in answer.handle.describe()]
        answer.take(Renamed(answer.handle, columns))

    # Limits and the end.

    @contextmanager
    def limited(self, seconds: float | None) -> Iterator[None]:
        """Let answers take so many seconds to begin; None for as long as they always may."""
        before, self._limit = self._limit, seconds
        try:
            yield
        finally:
            self._limit = before

    def interrupt(self) -> None:
        """Let whoever waits for this connection's server in another thread wait no longer."""
        wire = self._wire
        if wire is not None:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Note that the application has closed it, while another thread uses it."""
        self._closed = True

    def close(self) -> None:
        """Close the connection."""
        if self._closed:
            raise err.Error("Already closed")
        self._closed = True
        self._end(self._line)

    def kill_socket(self) -> None:
        """Close the socket without a word, for a connection whose protocol state is unknown."""
        self._drop()

    def _drop(self) -> None:
        self.interrupt()
        self._end(self._line)

    def _end(self, line: Line | None) -> None:
        wire, self._line, self._wire = self._wire, None, None
        if line is not None:
            with suppress(self.driver.module.Error):
                line.close()
        if wire is not None:
            wire.close()
        self._result = self._unsent = None
        self.owed = self.due = 0
        self.tails.clear()


def _as_text(value: Any) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


def _renamed(name: str, names: Sequence[tuple[str, str]]) -> str:
    for written, meant in names:
        name = name.replace(written, meant)
    return name


def _no_rows(handle: Any) -> Sequence[Any]:
    return ()


_connections: WeakSet[ForeignConnection] = WeakSet()
_parents: list[Any] = []
"""What a forked child must never close: the driver would end the parent's connection."""


def _after_fork() -> None:
    for connection in [*_connections]:
        line, wire = connection._line, connection._wire
        connection._line = connection._wire = None
        if line is None:
            continue
        _parents.append(line)
        if wire is not None:
            wire.close()
        # What the driver writes as the child ends goes nowhere.
        with suppress(OSError, connection.driver.module.Error):
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, line.fileno())
            os.close(nowhere)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
