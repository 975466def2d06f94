"""`LentConnection`: PyMySQL's own connection, which somebody else made, driven as one of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT, CR

from ..._core.cluster.endpoint import Endpoint
from ..._core.sql.values import as_text
from ..._core.wire import Capability
from .. import err
from ..lending import Source
from .connection import PhysicalConnection, Setup
from .errors import raise_first
from .identity import Identity
from .keywords import CONNECT_KEYWORDS

__all__ = ["LENT_FACTS", "PYMYSQL", "LentConnection", "keywords_of"]

LENT_FACTS = (
    *("host", "port", "unix_socket", "bind_address", "host_info", "connect_timeout"),
    *("_read_timeout", "_write_timeout", "max_allowed_packet", "_local_infile", "autocommit_mode"),
    *("password", "ssl", "_ssl_required", "_secure", "server_public_key", "client_flag"),
    *("encoders", "decoders", "use_unicode", "_auth_plugin_map", "_auth_plugin_name"),
    *("_connect_attrs", "server_version", "server_thread_id", "server_capabilities"),
    *("server_language", "server_charset", "protocol_version", "salt"),
)
"""What is taken over from PyMySQL's connection as it is when it is lent."""

_WHO = "SELECT SUBSTRING_INDEX(USER(),'@',1),DATABASE() LIMIT 1"
_TOLD = CLIENT.SESSION_TRACK | CLIENT.DEPRECATE_EOF


class _PyMySQL:
    """PyMySQL, as a driver whose connections somebody else makes."""

    name = "PyMySQL"
    module = pymysql
    keywords = CONNECT_KEYWORDS
    why_untold = (
        "PyMySQL's connections tell what statements change if they are made with "
        "client_flag=pymysql.constants.CLIENT.SESSION_TRACK"
    )

    def is_own(self, connection: object) -> bool:
        """Tell whether a connection is PyMySQL's, and none of rwsplit's."""
        return isinstance(connection, Connection) and not isinstance(connection, PhysicalConnection)


PYMYSQL = _PyMySQL()


def _of_lent(name: str) -> Any:
    """Return an attribute that is one with PyMySQL's connection's.

    Either may be used, and the other goes on from there: so the wire, whose answers are still to
    come and how texts are encoded on it are never two.
    """

    def set_it(connection: Any, value: Any) -> None:
        setattr(connection.lent, name, value)

    return property(attrgetter(f"lent.{name}"), set_it)


class LentConnection(PhysicalConnection):
    """A connection of PyMySQL's that somebody else made.

    What its server tells, and whether behind rows as well, was agreed on when that was made.

    :param source: makes them.
    :param endpoint: the server.
    :param patience: how many seconds an answer may take; None for what the connection says.
    """

    may_begin_lost = False
    _sock = _of_lent("_sock")
    _inbox = _of_lent("_rfile")
    _result = _of_lent("_result")
    _next_seq_id = _of_lent("_next_seq_id")
    _current_timeout = _of_lent("_current_timeout")
    server_status = _of_lent("server_status")
    charset = _of_lent("charset")
    collation = _of_lent("collation")
    encoding = _of_lent("encoding")

    def __init__(
        self,
        source: Source,
        endpoint: Endpoint,
        setup: Setup | None = None,
        patience: float | None = None,
    ) -> None:
        self.lent: Any = _nothing()
        """PyMySQL's connection, or what it was before it was lost."""
        self._is_lent = False
        super().__init__(
            setup,
            endpoint=endpoint,
            host=endpoint.host,
            port=endpoint.port,
            unix_socket=endpoint.unix_socket,
            ssl_disabled=True,
            defer_connect=True,
        )
        self.source = source
        self._most_seconds = patience
        self.offers = Capability(0)
        self._tells = False

    @property
    def wrapped(self) -> Any:
        """PyMySQL's own connection; None before there is one."""
        return self.lent if self._is_lent else None

    # Connecting.

    def connect(self, sock: Any = None) -> None:
        """Have a connection made, and run the set-up; raises PyMySQL's errors."""
        self._force_close()
        self._closed = False
        self.setup_rows = []
        assert self.endpoint is not None
        lent = self.source.make(self.endpoint)
        self.lent, self._is_lent = lent, True
        try:
            if lent._sock is None:
                raise err.InterfaceError(0, "the connection that was lent is closed")
            self._take()
            with self.limited(self.source.seconds):
                self._set_up()
        except BaseException:
            self._force_close()
            raise

    def _take(self) -> None:
        """Take over what the connection was made with, and what its server agreed to."""
        self.__dict__.update({name: getattr(self.lent, name) for name in LENT_FACTS})
        self._converts = False
        self._rfile = self.lent._rfile  # an inbox from now on
        self.ctx = getattr(self.lent, "ctx", None)
        agreed = self.client_flag & self.server_capabilities & _TOLD
        self.client_flag = (self.client_flag & ~_TOLD) | agreed
        self.tracks = bool(agreed & CLIENT.SESSION_TRACK)
        self._take_kinds()
        self.offers = Capability.PIPELINES | Capability.RAW_ROWS
        if self.tracks:
            self.offers |= Capability.TRACKS_WRITES
        if agreed == _TOLD:
            self.offers |= Capability.TRACKS_READS
        self.flavor = "mariadb" if "MariaDB" in self.server_version else "mysql"
        if self._most_seconds is not None:
            self._read_timeout = self._most_seconds

    def _set_up(self) -> None:
        # The application may begin in any state; what reads there must not begin transactions.
        first = _WHO if self.source.is_of_primary else "SET autocommit=1"
        setup = [] if self._setup is None else self._setup.statements(self.flavor)
        replies = self.ask_all([first, *setup])
        raise_first(replies)
        self.setup_rows = [reply.rows for reply in replies]
        self.tails.clear()
        if self.source.is_of_primary:
            self.user, self.db = map(as_text, self.setup_rows[0][0])

    def aim(self, options: Mapping[str, Any]) -> None:
        """Lead to another server from the next `connect` on."""
        self.endpoint = options["endpoint"]

    def take_identity(self) -> Identity:
        """Note who its connections belong to; they are not kept for others."""
        self.identity = (PYMYSQL.name, id(self.source))
        return self.identity

    def leave(self, holds: bool = True) -> None:
        """Keep nothing for another connection."""
        return

    @property
    def has_foreign_socket(self) -> bool:
        """Whether it was made by the application, so that nobody can make another."""
        return not self.source.can_repeat

    def close(self) -> None:
        """Close it, as the application would."""
        if self._closed:
            raise err.Error("Already closed")
        self._closed = True
        try:
            if self._sock is not None:
                with suppress(err.Error):
                    self.lent.close()
        finally:
            self._force_close()

    # What answers tell.

    @property
    def tells(self) -> bool:
        """Whether the last answer told all that its statement has changed."""
        return self._tells

    def _note(self, has_rows: bool) -> None:
        told = Capability.TRACKS_READS if has_rows else Capability.TRACKS_WRITES
        self._tells = told in self.offers

    def _read_query_result(self, unbuffered: bool = False) -> int:
        rows = super()._read_query_result(unbuffered)
        self._note(bool(self._result.field_count))
        return rows

    def next_result(self, unbuffered: bool = False) -> Any:
        """Read the next result of the last statement, if nobody has read it away on `wrapped`."""
        if not self.is_reading:
            raise err.ProgrammingError(
                CR.CR_COMMANDS_OUT_OF_SYNC,
                "Commands out of sync; the connection was used for another statement meanwhile",
            )
        return super().next_result(unbuffered)

    def _read_ok_packet(self) -> Any:
        ok = super()._read_ok_packet()
        self._note(has_rows=False)
        return ok

    def run_all(self, statements: Sequence[str | bytes]) -> list[Any]:
        """Run several statements; what the one before them has not told is not told by these."""
        told = self._tells
        replies = super().run_all(statements)
        self._tells = self._tells and told
        return replies


def keywords_of(connection: Any) -> dict[str, Any]:
    """Return keywords with which others can be connected to as one of PyMySQL's was.

    Without those of its session, which is read back and replayed.
    """
    keywords = {
        **{name: getattr(connection, name) for name in _KEYWORDS},
        "auth_plugin_map": connection._auth_plugin_map,
        "read_timeout": connection._read_timeout,
        "write_timeout": connection._write_timeout,
        "client_flag": connection.client_flag & ~_OF_ITS_OWN,
        "conv": {**connection.encoders, **connection.decoders},
    }
    if not connection.ssl:
        keywords["ssl_disabled"] = True
    elif connection._ssl_required:
        keywords["ssl"] = connection.ctx
    return keywords


_KEYWORDS = (
    *("host", "port", "unix_socket", "bind_address", "connect_timeout", "user", "password"),
    *("charset", "collation", "use_unicode", "max_allowed_packet", "server_public_key"),
)
_OF_ITS_OWN = CLIENT.SSL | CLIENT.CONNECT_WITH_DB | CLIENT.LOCAL_FILES


def _nothing() -> Any:
    """Return a connection of PyMySQL's that leads nowhere."""
    nothing = Connection(ssl_disabled=True, defer_connect=True)
    nothing.server_status = 0
    return nothing
