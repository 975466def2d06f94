"""`ForeignConnection`: one connection of a wrapped driver, as members and flows use one.

It is to the shell what `PhysicalConnection` is over PyMySQL.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakSet

from ..._core.cluster.endpoint import Endpoint
from ..._core.session.state import AUTOCOMMIT, IN_TRANSACTION
from ..._core.sql.values import as_text
from ..._core.tracking import SESSION_STATE_CHANGED
from ..._core.wire import Capability
from .. import err
from ..lending import Source
from ..pymysql import Identity, Setup, is_readable, renamed
from .driver import Line
from .exchanges import Exchanges
from .results import Answered, Renamed

__all__ = ["ForeignConnection"]

_WHO = "SELECT SUBSTRING_INDEX(USER(),'@',1),DATABASE() LIMIT 1"
_MOST_PACKET = 1 << 30


class ForeignConnection(Exchanges):
    """One connection of a wrapped driver.

    :param source: makes them.
    :param endpoint: the server.
    :param setup: gives statements to run on each new one; their rows are kept in `setup_rows`.
    :param patience: how many seconds an answer may take to begin; None for what the driver says.
    """

    follows = ""
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
    read_timeout: float | None = None
    """How many seconds an answer may take; the driver sees to that."""
    may_begin_lost = False
    is_opening = False
    escapes_plainly = False
    """Templates of texts are not handed over."""

    def __init__(
        self,
        source: Source,
        endpoint: Endpoint,
        setup: Setup | None = None,
        patience: float | None = None,
    ) -> None:
        super().__init__(source.driver, patience)
        self.source = source
        self.endpoint = endpoint
        self._setup = setup
        self.last: Any = None
        """The driver's connection, or what it was before it was lost: it still escapes values."""
        self._number = -1
        """Of its socket."""
        self.setup_rows: list[Any] = []
        self.warnings = 0
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
        was_closed, self._closed = self._closed, False
        self.setup_rows = []
        try:
            self._adopt(self._make())
        except BaseException:
            self._drop()
            self._closed = was_closed  # one that was lost is none that the application closed
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
            self._number = line.fileno()
            self._wire = socket.socket(fileno=os.dup(self._number))
            if self.last is not None:
                line.read_as(self.last)
            self.last = connection
            self.offers = line.offers
            self.follows = line.follows
            self.tracks = Capability.TRACKS_WRITES in line.offers
            self.tells = self.tracks
            self.server_version = version = line.version
            self.flavor = "mariadb" if "mariadb" in version.lower() else "mysql"
            self.server_thread_id = (line.thread,)
            self.server_status = line.status()
            self.read_timeout = line.read_timeout
        # The application may begin in any state; what reads there must not begin transactions.
        first = _WHO if self.source.is_of_primary else "SET autocommit=1"
        setup = [] if self._setup is None else self._setup.statements(self.flavor)
        for reply in self.ask_all([first, *setup]):
            if isinstance(reply, err.MySQLError):
                raise reply
            self.setup_rows.append(reply.rows)
        self.tails.clear()
        if self.source.is_of_primary:
            self.user, self.db = map(as_text, self.setup_rows[0][0])

    def aim(self, options: Mapping[str, Any]) -> None:
        """Lead to another server from the next `connect` on."""
        self.endpoint = options["endpoint"]

    def take_identity(self) -> Identity:
        """Note who its connections belong to; they are not kept for others."""
        self.identity = (self.driver.name, id(self.source))
        return self.identity

    def leave(self, holds: bool = True) -> None:
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
    def may_be_running(self) -> bool:
        """Whether a statement may be running there now, as another thread sees it."""
        return self._line is not None and (self._result is None or self.is_reading)

    def has_ended(self) -> bool:
        """Tell, without waiting, whether the server has closed this idle connection."""
        if self._line is None or self.due:
            return True
        if self.owed or self.is_reading:
            return False
        return is_readable(self._wire)

    def note_closed_transaction(self) -> None:
        """Note that no transaction is open there any more."""
        self.server_status &= ~IN_TRANSACTION

    def get_autocommit(self) -> bool:
        """Tell whether autocommit is on."""
        return bool(self.server_status & AUTOCOMMIT)

    @property
    def charset(self) -> Any:
        """The name of the connection's character set."""
        return self._line_now().charset()

    collation: Any = None

    @property
    def decoders(self) -> Any:
        """How values become Python's."""
        return getattr(self.wrapped, "converter", None)

    def read_as(self, primary: ForeignConnection) -> None:
        """Make of what comes from the server what another connection makes of it."""
        if self._line is not None and primary.last is not None:
            self._line.read_as(primary.last)

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

    # What has a method of its own.

    def _after_method(self, line: Line) -> None:
        self._result = None
        self.warnings = line.warning_count()
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
            line.select_db(name.decode() if isinstance(name, bytes) else name)
        self.server_status = line.status()

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Set the character set, and the collation, of the connection."""
        line = self._ready()
        self.writes += 1
        with self._as_house():
            line.set_character_set(charset)
        self._after_method(line)
        if collation:
            self._run_ours(f"SET NAMES {charset} COLLATE {collation}".encode())

    def ping(self, reconnect: bool = False) -> None:
        """Check that the server answers."""
        line = self._ready()
        with self._as_house():
            line.ping()
        self.server_status = line.status()

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
        answer = Answered(self.driver.made(columns, rows), _no_rows, self.server_status & ~0x0008)
        answer.affected_rows = len(rows)
        return answer

    def rename(self, answer: Answered, names: Sequence[tuple[str, str]]) -> None:
        """Write something else in the names of a result's columns."""
        if answer.handle is None:
            return
        columns = [(renamed(name, names), *others) for name, *others in answer.handle.describe()]
        answer.take(Renamed(answer.handle, columns))


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
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, connection._number)
        os.close(nowhere)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
