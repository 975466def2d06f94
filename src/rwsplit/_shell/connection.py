"""The virtual connection: looks like one PyMySQL connection, owns its members."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from .._core.sql.statement import Hint
from .._core.sql.values import as_text
from .._drivers import err
from .._drivers.cursors import Cursor
from .._drivers.pymysql import in_use
from .._stores import open_store
from .account import Account
from .configured import configured_for
from .configuring import cluster_for, split_database
from .cursor import routed
from .hold import Hold
from .living import Living
from .roads import NO_ROADS, Roads
from .seeing import Seeing
from .speaking import Speaking
from .starting import begin, connect_first

if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import TypeVar as TypeVarWithDefault
    from typing_extensions import Unpack

    from .cluster import Cluster
    from .keywords import ConnectKeywords

    # A connection of no other `cursorclass` makes these.
    C = TypeVarWithDefault("C", bound=Cursor, default=Cursor)
else:
    C = TypeVar("C")
Wanted = TypeVar("Wanted", bound=Cursor)
T = TypeVar("T")

__all__ = ["Connection"]


class Connection(Seeing, Living, Speaking, Generic[C]):
    """A virtual connection: one primary and its replicas behind PyMySQL's own interface.

    Takes every keyword of `pymysql.connect` for the primary, or a URL
    (`rwsplit://user:password@host:port/database?keyword=value`), and:

    :param password: also a function that returns it, asked at each connect to a server; the
        endpoint is handed to one that takes it (docs/passwords.md). Never sent over a plain socket.
    :param dial: a function `dial(endpoint)` that returns a connected socket, asked in place of
        connecting to the endpoint's address (docs/passwords.md).
    :param replicas: the replicas: a list of `"host[:port]"`, `"[v6]:port"`, or dicts with `host`,
        `port`, `unix_socket`, `name`, `weight`, `rank`, `group`, `zone` and any connect keyword for
        that endpoint; or `"discover"`, or a callable that returns such a list. Without it
        everything runs on the primary.
    :param cluster: a `Cluster` that was made before, or the name of one in the file that
        `RWSPLIT_CONFIG` names (docs/configuration.md), instead of `host`, `port` and `replicas`.
    :param pool_size: how many idle connections are kept for each endpoint and account (10).
    :param pool_max_idle: how many seconds an idle connection is kept (60).
    :param pool_max_lifetime: how many seconds after it was made a connection is not kept for others
        any more (1800). So long a changed password may go unnoticed by `connect()`.
    :param primary_wait: how many seconds a statement waits for a primary while there is none (10).
    :param consistency: what a read must see: `"session"` (default: all that this session wrote),
        `"global"` (all that anyone committed before it), or `"eventual"`.
    :param max_staleness: how old what a read sees may be, in seconds (default None: any age that
        `consistency` allows).
    :param session_id: shares consistency with all connections of this id. It may also come behind
        the database name (`shop?sessionId=42`), as `sessionId`, in USE and `select_db()`, as
        `connection.session_id`, or for a block of code from `rwsplit.session_id()`.
    :param session_id_kind: who is one session where no id is given: all connections of the
        `"process"` (default), each `"connection"`, those to one `"database"`, those of one
        `"user"`, or with `"provided"` those of one id, which acts as `"connection"` without one.
    :param session_store: where shared positions live: `"memory"` (default, this process),
        `"sqlite:///path"` (this host), `"redis://..."` (many hosts), or an object.
    :param after: what the session begins with: `"connect"` (default) for where the primary is now,
        a position, as `connection.position` gave it elsewhere, or None for nothing.
    :param track_positions: whether a read tells where its replica is, on MySQL (default True). With
        False a connection stays on the replica of its last read, as it does on MariaDB.
    :param session_variables: system variables that the session begins with, as a dict:
        `{"transaction_isolation": "READ-COMMITTED", "sql_mode": "ANSI"}`. Set as the connection is
        made, with no round trip of its own.
    :param on_lag: when no replica has caught up, `"wait"` (default) or go to the `"primary"`.
    :param max_wait: how long a read waits for a replica, in seconds (default 0.1).
    :param transactions: where a transaction reads before its first statement that is no read:
        with `"verify"` (default) in a snapshot on a replica, repeated and compared on the primary
        before it goes on there; with `"eventual"` so too, but not compared; or on the `"primary"`.
    :param max_snapshot: after how many idle seconds such a snapshot is ended (default 5.0).
    :param reads: `"replicas"` (default), or `"primary"` to switch splitting off; so does
        `RWSPLIT_READS=primary` in the environment.
    :param policy: which replica serves a read: `"round_robin"` (default) or another by name
        (docs/policies.md), or a callable `policy(candidates, turn, view)` that returns one of them.
    :param primary_share: the part of the reads for replicas, from 0 to 1, that the primary serves
        all the same.
    :param zone: where this process runs (also `RWSPLIT_ZONE` in the environment): replicas of the
        same zone are asked first.
    :param tags: what the rules of a configuration may match, as a dict of texts; also
        `rwsplit.tags()`, for a block of code.
    :param functions: stored functions declared `"read"` or `"write"`, by name.
    :param hints: what the hints of other proxies stand for, as `{"maxscale route to slave":
        "replica", "hostgroup=1": "primary"}`; those not named here are mere comments.
    :param replica_connect_timeout: seconds (default 1.0).

    Raises TypeError for an unknown keyword and ValueError for a bad value, naming it, before any
    socket opens; and what PyMySQL raises when the primary can't be reached. A replica that can't be
    reached is one logged warning, when it is first needed.
    """

    begins_read_only = False
    """Whether a framework begins its transactions READ ONLY; that framework's to keep."""
    cursorclass: type[C]
    _roads: Roads = NO_ROADS

    @overload
    def __init__(
        self: Connection[Cursor], url: str | None = None, /, **keywords: Unpack[ConnectKeywords]
    ) -> None: ...

    @overload
    def __init__(
        self: Connection[Wanted],
        url: str | None = None,
        /,
        *,
        cursorclass: type[Wanted],
        **keywords: Unpack[ConnectKeywords],
    ) -> None: ...

    def __init__(self, url: str | None = None, /, **keywords: Any) -> None:
        self._configured = configured = configured_for(keywords, url)
        self._named_id = configured.named_id
        self._options = options = configured.options
        self._store = open_store(options.session_store)
        self.cursorclass = configured.cursorclass
        self._own_init = configured.own_init
        self.driver_connection = primary = configured.primary.another()
        self._account = Account(
            configured.given, primary, options.replica_connect_timeout, configured.connections
        )
        self._turn = primary.turn
        self._template: tuple[Any, str] | None = None
        """The SQL of the next statement before its parameters went in, and the text."""
        self._result = None
        self._affected_rows: Any = 0
        if not configured.defer:
            self.connect()

    def connect(self, sock: Any = None) -> None:
        """Connect to the primary; replicas are connected to when first needed."""
        before, known = self._begun, self._hold
        self._is_over = False
        if before is not None and known is not None:
            self._abandon_snapshot()
            before.members.close(before.session.state)
            known.drop()
        primary, options = self.driver_connection, self._options
        self._cluster, name = self._find_cluster()
        self._hold = hold = Hold(
            self._cluster, primary, self._account, name, options.replicas is not None
        )
        try:
            facts = connect_first(hold, self._cluster, primary, self._account, options, sock)
            self._abandon_mark()
            self._result = None
            self._begun = begun = begin(
                facts,
                hold,
                self._cluster,
                primary,
                self._account,
                options,
                self._named_id,
                self._store,
                None if before is None else before.session,
            )
            self._members = begun.members
            self._roads = begun.roads
            if self._own_init is not None:
                self.query(self._own_init)
                self._result = None
            self._cluster.users.add(self)
            if hold.revives:
                self._cluster.monitor.account = self._account
        except BaseException:
            hold.drop()
            raise

    def _find_cluster(self) -> tuple[Cluster, str]:
        """Return the process's cluster of its servers, and what the primary is called there."""
        configured = self._configured
        found = cluster_for(self.driver_connection, self._options, configured.found)
        configured.note_found(found)
        return found.cluster, found.name

    def __repr__(self) -> str:
        """Tell the connection's state: members, session, no password."""
        begun = self._begun
        if begun is None:
            return "<rwsplit.Connection not connected>"
        state, session = "open" if self.open else "closed", begun.session
        members = ", ".join(map(repr, begun.members.values()))
        primary = session.primary.name
        return f"<rwsplit.Connection {state} primary={primary} members=[{members}] {session!r}>"

    # Statements.

    def query(self, sql: Any, unbuffered: bool = False) -> Any:
        """Run a statement where it belongs; the cursors call this."""
        turn = self._turn
        if not turn.acquire(False):
            raise in_use()
        writes = self.driver_connection.writes
        self._result = None
        template, self._template = self._template, None
        try:
            self._result = result = self._roads.run(sql, unbuffered, template)
            result.thread = get_ident()
            self.route = result.route
            self._affected_rows = rows = result.affected_rows
            return rows
        except err.MySQLError:
            raise
        except BaseException:
            self._note_interrupt(writes)
            raise
        finally:
            turn.release()

    @contextmanager
    def _asking(self, hint: Hint, only_reads: bool = False) -> Iterator[None]:
        """Give the statements of this block a hint beside their texts.

        For frameworks, which must not change a text. With `only_reads`, what may write raises
        OperationalError 1792 before anything is sent.
        """
        session = self._session
        before = session.ask(hint, only_reads)
        try:
            yield
        finally:
            session.ask(*before)

    # Transactions.

    def begin(self) -> None:
        """Begin a transaction."""
        self._transact("BEGIN")

    def commit(self) -> None:
        """Commit the transaction; what it wrote is then part of the session's position."""
        self._transact("COMMIT")

    def rollback(self) -> None:
        """Roll the transaction back."""
        self._transact("ROLLBACK")

    def autocommit(self, value: Any) -> None:
        """Switch autocommit on or off."""
        if value == self.get_autocommit():
            self.driver_connection.autocommit_mode = bool(value)
            return
        with self._having_turn() as begun:
            self._do(begun, begun.methods.switching(value))

    # The session.

    def select_db(self, db: Any) -> None:
        """Change the default schema, and the session id if one stands behind its name."""
        name, session_id = split_database(as_text(db) or "")
        if session_id is None:
            name = db
        with self._having_turn() as begun:
            changes = bool(name) or session_id is None
            self._do(begun, begun.methods.selecting(name, session_id, changes))

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Set the character set, and the collation, of the connection."""
        with self._having_turn() as begun:
            self._do(begun, begun.methods.encoding(charset, collation))
            begun.members.encode_as(self.driver_connection)

    def set_charset(self, charset: str) -> None:
        """Deprecated: use `set_character_set`."""
        warnings.warn(
            "'set_charset' is deprecated, use 'set_character_set' instead",
            DeprecationWarning,
            stacklevel=2,
        )
        self.set_character_set(charset)

    # The connection.

    @overload
    def cursor(self, cursor: None = None) -> C: ...

    @overload
    def cursor(self, cursor: type[Wanted]) -> Wanted: ...

    @overload
    def cursor(self, cursor: Callable[[Any], T]) -> T: ...

    def cursor(self, cursor: Any = None) -> Any:
        """Make a cursor of the given class, or of `cursorclass`.

        PyMySQL's cursor classes and subclasses of them also get `route`.
        """
        cls: Any = cursor or self.cursorclass
        has_route = isinstance(cls, type) and issubclass(cls, Cursor)
        return (routed(cls) if has_route else cls)(self)

    def ping(self, reconnect: bool = False) -> None:
        """Check that the primary answers.

        :param reconnect: deprecated: connect again if it does not.
        """
        if reconnect:
            warnings.warn(
                "The 'reconnect' argument is deprecated. "
                "Create a new connection if you want to reconnect.",
                DeprecationWarning,
                stacklevel=2,
            )
        if not self._turn.acquire(False):
            raise in_use()
        begun, writes = self._begun, self.driver_connection.writes
        try:
            if begun is None:
                self.driver_connection.ping()
            else:
                begun.roads.perform(begun.methods.pinging())
            self._result = None
        except Exception:
            if not reconnect:
                raise
            self.connect()
        except BaseException:
            self._note_interrupt(writes)
            raise
        finally:
            self._turn.release()

    def cancel(self) -> None:
        """End the statement that another thread runs on this connection: it gets error 1317.

        Wherever it runs; over a connection that is opened for that. Nothing happens if none runs.
        Raises what PyMySQL raises where the server can't be connected to.
        """
        from .killing import cancel  # noqa: PLC0415 - few do

        cancel(self)

    def kill(self, thread_id: int) -> None:
        """Kill a thread of the primary; `thread_id()` and CONNECTION_ID() are its numbers."""
        if not isinstance(thread_id, int):
            raise TypeError("thread_id must be an integer")
        self.query(f"KILL {thread_id:d}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
