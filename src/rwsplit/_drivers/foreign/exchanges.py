"""What goes to and fro on one connection of a wrapped driver: statements, answers, errors.

Inside of rwsplit its errors are of PyMySQL's classes; the driver's own are on them (`foreign`), for
the application.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ..._core.session.state import AUTOCOMMIT
from ..._core.sql.fingerprint import Fingerprint
from ..._core.tracking import SESSION_STATE_CHANGED
from ..._core.wire import Capability
from .. import err
from ..pymysql import is_readable
from .driver import Driver, Line, house_error
from .results import Answered, take_in

__all__ = ["Exchanges"]

_MOST_REPEATED = 100
_PIPELINE_BYTES = 64 * 1024
"""So much fits the buffers of both ends, and can't wait for a server that waits for us to read."""
_MORE_RESULTS = 0x0008


class Exchanges:
    """One connection of a wrapped driver, once it is connected.

    :param patience: how many seconds an answer may take to begin; None for what the driver says.
    """

    offers = Capability(0)
    tracks = False

    def __init__(self, driver: Driver, patience: float | None) -> None:
        self.driver = driver
        self._line: Line | None = None
        self._wire: socket.socket | None = None
        """A copy of its socket."""
        self._closed = True
        self._result: Answered | None = None
        self._unsent: bytes | None = None
        self._limit = patience
        self._is_sent = self._waits = False
        self.tells = False
        self.server_status = AUTOCOMMIT
        self.tails: list[bytes] = []
        self.owed = self.due = self.writes = 0

    @property
    def encoding(self) -> str:
        """How texts become bytes."""
        return "utf8" if self._line is None else self._line.encoding()

    @property
    def result(self) -> Any:
        """What the last statement answered; None for nothing."""
        return self._result

    @property
    def is_reading(self) -> bool:
        """Whether rows or results of the last statement are still to come."""
        result = self._result
        return result is not None and (result.unbuffered_active or result.has_next)

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

    def _line_now(self) -> Line:
        """Return what drives the connection; raises PyMySQL's error where there is none."""
        if self._line is None:
            raise err.InterfaceError(0, "")
        return self._line

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
        if waits and self._limit is not None and not is_readable(self._wire, self._limit):
            self._drop()
            raise err.OperationalError(2013, "Lost connection to MySQL server (timed out)")

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

    def _reply(self, line: Line, text: bytes, is_ours: bool = True) -> Any:
        try:
            if self._is_sent:
                self._wait(line)
                line.receive()
            else:
                self._run_limited(line, text) if self._limit else line.run(text)
            answer = line.take_ours() if is_ours else line.take(False, self._ended)
            self._note(line, answer)
            while line.status() & _MORE_RESULTS:
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
