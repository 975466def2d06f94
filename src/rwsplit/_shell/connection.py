"""The virtual connection: looks like one PyMySQL connection, owns its members."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from pymysql.protocol import MysqlPacket

from .._core.cause import Cause, Reason, not_split
from .._core.cluster.facts import PrimaryFacts
from .._core.controls import mentions_controls
from .._core.endpoint import DEFAULT_PORT, Endpoint, address, check_no_account
from .._core.options import CONNECT, SHARED_KEYWORDS, ClusterOptions, Options, parse_options
from .._core.position import Position, decode, empty, encode
from .._core.problems import shown
from .._core.route import Destination, Route
from .._core.session.followed import WARNINGS, Followed
from .._core.session.state import IN_TRANSACTION, State
from .._core.session.terms import Terms
from .._core.session.transaction import Transaction
from .._core.session_id import check_session_id, parse_database
from .._core.statement import Kind, because
from .._core.tracking import Changes
from .._core.values import as_text
from .._drivers import err
from .._drivers.cursors import Cursor
from .._drivers.pymysql import CONNECT_KEYWORDS, PhysicalConnection, lost
from .._drivers.sources import check_protection
from .._stores import open_store
from .account import Account
from .cluster import Cluster, cluster_of, configured
from .config_file import current_config, reads_are_switched_off
from .controls import Controls
from .cursor import routed
from .log import logger
from .member import Member, begun_with, default_tracking, open_primary
from .replicas import Replicas
from .statements import NOTHING
from .weakly import weakly

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from typing_extensions import TypeVar as TypeVarWithDefault
    from typing_extensions import Unpack

    from .keywords import ConnectKeywords

    # A connection of no other `cursorclass` makes these.
    C = TypeVarWithDefault("C", bound=Cursor, default=Cursor)
else:
    C = TypeVar("C")
Wanted = TypeVar("Wanted", bound=Cursor)
T = TypeVar("T")

__all__ = ["Connection"]


class _OfPrimary:
    """An attribute that is the primary's physical connection's, for reading and assignment."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return getattr(instance.driver_connection, self._name)

    def __set__(self, instance: Any, value: Any) -> None:
        setattr(instance.driver_connection, self._name, value)


class _OfAll(_OfPrimary):
    """One that decides how rows are read: assigned, it is so for all members."""

    def __set__(self, instance: Any, value: Any) -> None:
        super().__set__(instance, value)
        if "_replicas" in instance.__dict__:
            instance._replicas.members.read_as(instance.driver_connection)


class _NotConnected:
    """What a connection has only once it is connected: PyMySQL's error until then."""

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        raise err.InterfaceError(0, "")


_NOT_CONNECTED: Any = _NotConnected()
_SPEAKS = Reason("the application spoke the protocol itself", Cause.BOUND)
_ASKED = because(Kind.READ, "its position is asked for")


class Connection(Controls, Generic[C]):
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

    Warning = err.Warning
    Error = err.Error
    InterfaceError = err.InterfaceError
    DatabaseError = err.DatabaseError
    DataError = err.DataError
    OperationalError = err.OperationalError
    IntegrityError = err.IntegrityError
    InternalError = err.InternalError
    ProgrammingError = err.ProgrammingError
    NotSupportedError = err.NotSupportedError

    # PyMySQL's public attributes.
    host = _OfPrimary()
    port = _OfPrimary()
    user = _OfPrimary()
    password = _OfPrimary()
    db = _OfPrimary()
    unix_socket = _OfPrimary()
    bind_address = _OfPrimary()
    connect_timeout = _OfPrimary()
    charset = _OfPrimary()
    collation = _OfPrimary()
    encoding = _OfAll()
    use_unicode = _OfAll()
    client_flag = _OfPrimary()
    host_info = _OfPrimary()
    autocommit_mode = _OfPrimary()
    encoders = _OfPrimary()
    decoders = _OfAll()
    sql_mode = _OfPrimary()
    init_command = _OfPrimary()
    max_allowed_packet = _OfPrimary()
    server_public_key = _OfPrimary()
    ssl = _OfPrimary()
    ctx = _OfPrimary()
    server_version = _OfPrimary()
    server_thread_id = _OfPrimary()
    server_capabilities = _OfPrimary()
    server_language = _OfPrimary()
    server_charset = _OfPrimary()
    protocol_version = _OfPrimary()
    salt = _OfPrimary()

    begins_read_only = False
    """Whether a framework begins its transactions READ ONLY; that framework's to keep."""

    _cluster: Cluster = _NOT_CONNECTED
    _primary: Member = _NOT_CONNECTED
    _followed: Followed = _NOT_CONNECTED
    _session: State = _NOT_CONNECTED
    _replicas: Replicas = _NOT_CONNECTED
    _transacts: bool = _NOT_CONNECTED
    _transaction: Transaction = _NOT_CONNECTED

    # Private names that PyMySQL's users' tests look at.
    _sock = _OfPrimary()
    _rfile = _OfPrimary()
    _closed = _OfPrimary()
    _secure = _OfPrimary()
    _auth_plugin_name = _OfPrimary()
    _ssl_required = _OfPrimary()
    _next_seq_id = _OfPrimary()
    _connect_attrs = _OfPrimary()
    _local_infile = _OfPrimary()
    _read_timeout = _OfPrimary()
    _write_timeout = _OfPrimary()

    cursorclass: type[C]

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
        options: dict[str, Any] = {**keywords}
        _translate_aliases(options)
        if url is not None:
            options = {**_from_url(url), **options}
        options = _configured(options)
        own = {key: options.pop(key) for key in [*options] if key not in CONNECT_KEYWORDS}
        self._options = _checked_options(own, options)
        self._named_id = self._options.session_id
        self._take_id_from_database(options)
        self._store = open_store(self._options.session_store)
        self._take_cluster(options)
        self.cursorclass = options.pop("cursorclass", Cursor)
        defer = options.pop("defer_connect", False)
        command = options.get("init_command")
        own_init = (
            self._options.replicas is not None
            and isinstance(command, str)
            and mentions_controls(command)
        )
        self._own_init = options.pop("init_command") if own_init else None
        self.driver_connection = primary = open_primary(
            {**options, "defer_connect": True}, self._options.session_variables
        )
        """The physical connection to the primary."""
        _check_replica_options(self._options.replicas or ())
        self._revives = self._options.replicas is not None
        if self._revives:
            check_no_account("host", primary.host)
        self._account = Account(options, primary, self._options.replica_connect_timeout)
        check_protection(options)
        for replica in self._options.replicas or ():
            check_protection(self._account.options(replica))
        self._generation = 0
        self._holds = False
        self._turn = primary.turn
        self._template = None
        self._result = None
        self._affected_rows = 0
        self._pending = self._shows_tracking = self._ended = False
        self._asked, self._only_reads = None, False
        self.route = None
        if not defer:
            self.connect()

    def connect(self, sock: Any = None) -> None:
        """Connect to the primary; replicas are connected to when first needed."""
        if "_replicas" in self.__dict__:
            self._abandon_snapshot()
            self._replicas.close()
            self._drop_primary()
        self._ended = False
        self._cluster = self._find_cluster()
        try:
            self._start(self._connect_first(sock))
        except BaseException:
            self._drop_primary()
            raise

    def _start(self, facts: PrimaryFacts) -> None:
        """Begin the session of a connection that was just made to the primary."""
        self._abandon_mark()
        cluster, primary = self._cluster, self.driver_connection
        off = reads_are_switched_off()
        reads = self._options.reads
        never = not_split(cluster.splits, reads, off, disabled=False)
        self._terms = terms = Terms(self._options, never)
        if facts.no_gtids and terms.splits and self._options.consistency != "eventual":
            cluster.warn_once(
                "primary %s hands out no GTIDs (%s): reads under consistency='session' and "
                "'global' run on the primary",
                cluster.primary.name,
                facts.no_gtids,
            )
        self._primary = Member(primary, self._aimed_at, None)
        self._followed = Followed(self._primary, facts.flavor)
        self._foreign = []
        before = self.__dict__.get("_session")
        self._session = session = State(empty(facts.flavor), as_text(primary.db), cluster.process)
        self._replicas = Replicas(
            cluster,
            session,
            self._primary,
            self._options,
            self._account,
            weakly(self._has_primary),
            weakly(self._ask_before),
        )
        self._transaction = Transaction(self._options.transactions == "verify", facts.flavor)
        self._transacts = terms.splits and self._may_transact()
        self._snapshot = None
        self._unsent = []
        self._free = False
        self._sharing = None
        self._alone = None
        self._context = self._scope = self._part = None
        self._outside = {}
        self._key = None
        self._id_kind = self._options.session_id_kind
        self._share_process()
        self._controlling = self._ruling = self._keeps_position = False
        self._rule = None
        self._look_at_terms()
        self._result = None
        self._pending = self._shows_tracking = False
        self._own_tracking = default_tracking(facts.flavor)
        self._start_session(facts.variables)
        self._begin_after(self._options.after, facts, before)
        self._share()
        self._start_controls()
        if self._own_init is not None:
            self.query(self._own_init)
            self._result = None
        cluster.users.add(self)
        if self._revives:
            cluster.monitor.account = self._account

    def _begin_after(self, after: str | None, facts: PrimaryFacts, before: State | None) -> None:
        """Begin with what the first read must see already.

        `before` is the session that the connection was before it was connected again.
        """
        session = self._session
        if before is not None:
            session.go_on_behind(before)
        if after == CONNECT:
            # It counts under a session id, too: an id brings others' writes, not where one begins.
            at = facts.position
            if at is not None and self._terms.splits:
                session.begin_at(at)
        elif after is not None:
            session.ask_for(self._decode(after))

    def _take_cluster(self, options: dict[str, Any]) -> None:
        """Connect to the servers of a cluster that was made before."""
        cluster = self._options.cluster
        if cluster is None:
            return
        if not isinstance(cluster, Cluster):
            found = type(cluster).__name__
            raise ValueError(f"cluster: expected a Cluster or the name of one, got {found}")
        for key in ("host", "port", "unix_socket"):
            if options.get(key):
                raise ValueError(f"{key}: the cluster has one already")
        if self._options.replicas is not None:
            raise ValueError("replicas: the cluster has its own")
        for key in SHARED_KEYWORDS:
            asked, has = getattr(self._options, key), getattr(cluster.options, key)
            if asked is not None and asked != has:
                raise ValueError(f"{key}: {asked!r}, and the cluster has {has!r}")
        primary, replicas = cluster.configured
        options.update(host=primary.host, port=primary.port, unix_socket=primary.unix_socket)
        self._options = self._options._replace(replicas=replicas, discover=cluster.discover)

    def _find_cluster(self) -> Cluster:
        primary, options = self.driver_connection, self._options
        name = primary.unix_socket or address(primary.host, primary.port)
        self._aimed_at = name
        if isinstance(options.cluster, Cluster):
            self._aimed_at = options.cluster.configured[0].name
            return options.cluster
        endpoint = Endpoint(name, primary.host, primary.port, primary.unix_socket, "primary")
        shared = ClusterOptions(**{key: getattr(options, key) for key in SHARED_KEYWORDS})
        replicas = options.replicas or ()
        return cluster_of(endpoint, replicas, options.discover, shared, primary.dial)

    def _connect_first(self, sock: Any) -> PrimaryFacts:
        """Connect to the primary; while it is away, go on with what is known of it."""
        cluster = self._cluster
        try:
            facts = self._reach_primary(sock)
        except err.OperationalError as error:
            known = cluster.topology.facts
            waits = self.sql_mode is not None or self.init_command is not None
            if not (lost(error) and self._revives and known is not None and cluster.usable()):
                raise
            if waits:
                raise
            cluster.watch.primary_failed(cluster.generation)
            self.driver_connection.pretend(known.flavor, known.version)
            return known._replace(position=cluster.last_seen())
        if facts.read_only and self._splits_at_all():
            facts = self._find_writable(facts)
        cluster.look_for_replicas(self.driver_connection)
        return facts

    def _splits_at_all(self) -> bool:
        return bool(self._options.replicas) or self._options.discover is not None

    def _find_writable(self, facts: PrimaryFacts) -> PrimaryFacts:
        """Look whether another server is the primary by now, as this one is read-only."""
        cluster = self._cluster
        cluster.monitor.account = self._account
        cluster.monitor.look_now()
        generation = cluster.generation
        cluster.watch.wait_for_sights(monotonic() + self._options.replica_connect_timeout)
        if cluster.generation == generation:
            return facts
        self._drop_primary()
        return self._reach_primary()

    def _start_session(self, variables: dict[str, str]) -> None:
        session = self._session
        session.set_schema(session.schema)
        session.set_variable("character_set_client", self.charset)
        for name, value in variables.items():
            session.set_variable(name, value)
        given = self._options.session_variables
        for name, own in begun_with(self.driver_connection, given).items():
            session.set_variable(name, own)
        self._lexing = ()
        self._choose_classifier()
        if self.sql_mode is not None:
            session.unread.add("sql_mode")
        if self.init_command is not None:
            self._expect_init_command(self.init_command)
        self._learn()

    def _expect_init_command(self, sql: str) -> None:
        """Note what `init_command` did; it ran before anything could be learned from it."""
        session = self._session
        statement = self._classifier.statement(sql)
        session.expect(statement, sql=sql.encode(self.encoding))
        if statement.may_change_session:
            session.notice(statement, (Changes(state_changed=True),))
        self._keep_tracking(statement)

    def __repr__(self) -> str:
        """Tell the connection's state: members, session, no password."""
        if "_primary" not in self.__dict__:
            return "<rwsplit.Connection not connected>"
        state = "open" if self.open else "closed"
        replicas = ", ".join(map(repr, self._replicas.members.values()))
        return (
            f"<rwsplit.Connection {state} primary={self._primary.name} members=[{replicas}] "
            f"{self._session!r}>"
        )

    @property
    def cluster(self) -> Cluster:
        """The cluster that this connection's members belong to."""
        return self._cluster

    def next_result(self, unbuffered: bool = False) -> Any:
        """Go on to the next result of the last statement; the cursors call this."""
        with self._having_turn():
            member = self._followed.last
            connection = member.connection
            try:
                connection.next_result(unbuffered)
            except err.MySQLError as error:
                self._result = None
                if member is self._primary and not lost(error):
                    self._note_late_failure()
                raise
            if member is self._primary:
                self._learn()
                result = connection._result
                self._pending = bool(result.has_next or result.unbuffered_active)
            result = self._result = connection._result
            result.route = self.route
            self._affected_rows = result.affected_rows
            return result.affected_rows

    def affected_rows(self) -> Any:
        """Return the number of rows that the last statement affected or returned."""
        return self._affected_rows

    def insert_id(self) -> Any:
        """Return the AUTO_INCREMENT value of the last statement; 0 if it failed or none ran."""
        return self._result.insert_id if self._result else 0

    def show_warnings(self) -> Any:
        """Return the warnings of the last statement, from the member that ran it."""
        with self._having_turn():
            self._check_lost()
            if self._pending:
                self._finish_pending()
            self._result = None
            followed = self._followed
            if followed.warned is None:
                raise self._refusal([WARNINGS])
            followed.last = followed.warned
            kept = followed.kept_warnings
            if (
                followed.skipped
                and followed.warned is self._primary
                and not followed.keeps_warnings
            ):
                kept = (), []  # nothing was sent, which would have cleared them
            else:
                self._followed.skipped = False
            self._followed.note_error()  # it is a SHOW
            self._note_freedom()
            if kept is not None:
                return tuple(kept[1])
            try:
                with self._in_use(self._followed.warned):
                    return self._followed.warned.connection.show_warnings()
            except err.MySQLError as error:
                if self._followed.warned is self._primary or not lost(error):
                    raise
                return ()  # the replica was lost, and its warnings with it

    # What reads must see.

    @contextmanager
    def consistency(self, level: str) -> Iterator[None]:
        """Give the reads of this block another consistency level.

        Raises ValueError for what is none.
        """
        if level not in ("eventual", "session", "global"):
            raise ValueError(
                f"consistency: expected eventual, session or global, got {shown(level)}"
            )
        before = self._terms.say_in_block(level)
        self._look_at_terms()
        self._note_freedom()
        try:
            yield
        finally:
            self._terms.say_in_block(before)
            self._look_at_terms()
            self._note_freedom()

    @property
    def position(self) -> str:
        """The position that reads must see, as a short text that URLs and cookies can carry.

        `connect(after=...)` and `wait_for()` take it, in this process or another. Asks the primary
        where that is not known: after an error of a write, and after a read whose replica does not
        tell what it saw (on MariaDB; on MySQL while it advances). What the application may ask
        about the statement before, and what it still has to read of it, stays.
        """
        with self._having_turn():
            self._look_at_block()
            session, replicas = self._session, self._replicas
            replicas.settle()
            seen = replicas.seen
            if self._sharing is not None:
                self._look_at_store(Route(Destination.REPLICA, _ASKED))
            if self._has_news():
                self._hear()
            known = session.base | session.position | seen.known()
            untold = seen.on_primary or seen.is_untold
            if not session.position_known or self._pending or untold:
                known = known | self._ask_primary()
            return encode(known)

    def wait_for(self, position: str, timeout: float) -> bool:
        """Wait until a replica has a position; this connection's reads see it from now on.

        :param position: as `connection.position` gave it.
        :param timeout: seconds.

        Returns False when the time is over; reads then run on the primary until a replica has it.
        Raises ValueError for what is no position of this flavor.
        """
        wanted = self._decode(position)
        with self._having_turn():
            self._look_at_block()
            self._session.ask_for(wanted)
            self._note_freedom()
            if not self._terms.splits:
                return True
            return self._replicas.wait_for(wanted, timeout)

    def begin_session(self) -> None:
        """Begin where the primary is, as far as this process knows, as `connect()` begins.

        For pools, whose connections begin anew when they are handed out. At no round trip, and only
        where `after` is `"connect"`.
        """
        if self._options.after != CONNECT or not self._terms.splits:
            return
        known = self._cluster.last_seen()
        if known is None or self._replicas.chooser.all_have(known):
            return
        with self._having_turn():
            self._look_at_block()
            scope = self._scope
            self._session.begin_at(known, counts=scope is None or not scope.begins_anew)
            self._note_freedom()

    def _decode(self, text: str) -> Position:
        position = decode(text)
        if position.flavor != self._cluster.flavor:
            raise ValueError(
                f"a position of {position.flavor}, and the primary is {self._cluster.flavor}"
            )
        return position

    # Who shares it.

    @property
    def session_id(self) -> str | None:
        """The session id that this connection was given; None if it was given none."""
        return self._named_id

    @session_id.setter
    def session_id(self, value: str | int | None) -> None:
        try:
            self._named_id = None if value is None else check_session_id(value)
        except ValueError as error:
            raise err.ProgrammingError(str(error)) from None
        if "_session" in self.__dict__:
            self._share()

    def _take_id_from_database(self, options: dict[str, Any]) -> None:
        """Take a session id from behind the database name, which a server never sees."""
        name = options.get("database")
        if isinstance(name, str):
            options["database"], session_id = _split_database(name)
            options["database"] = options["database"] or None
            if session_id is not None:
                self._named_id = session_id

    # Transactions.

    def begin(self) -> None:
        """Begin a transaction."""
        with self._having_turn():
            if not self._transact_by_method("BEGIN"):
                self._on_primary(self.driver_connection.begin, "BEGIN")

    def commit(self) -> None:
        """Commit the transaction; what it wrote is then part of the session's position."""
        with self._having_turn():
            if not self._transact_by_method("COMMIT"):
                self._end_on_primary("COMMIT")

    def rollback(self) -> None:
        """Roll the transaction back."""
        with self._having_turn():
            if not (self._end_lost_by_method() or self._transact_by_method("ROLLBACK")):
                self._end_on_primary("ROLLBACK")

    def autocommit(self, value: Any) -> None:
        """Switch autocommit on or off."""
        if value == self.get_autocommit():
            self.driver_connection.autocommit_mode = bool(value)
            return
        what = f"SET autocommit = {int(bool(value))}"
        with self._having_turn():
            self._switch_autocommit(value)
            self._on_primary(lambda: self.driver_connection.autocommit(value), what)

    def get_autocommit(self) -> bool:
        """Tell whether autocommit is on."""
        return bool(self.driver_connection.get_autocommit())

    # The session.

    def select_db(self, db: Any) -> None:
        """Change the default schema, and the session id if one stands behind its name."""
        name, session_id = _split_database(as_text(db) or "")
        if session_id is None:
            name = db
        with self._having_turn():
            if name or session_id is None:
                self._flush()
                self._on_primary(lambda: self.driver_connection.select_db(name), "USE")
                self._session.set_schema(as_text(name))
            if session_id is not None:
                self._named_id = session_id
            self._share()

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Set the character set, and the collation, of the connection."""
        with self._having_turn():
            self._prepare()
            self._flush()

            def set_it() -> None:
                self.driver_connection.set_character_set(charset, collation)
                # Not before: what was not sent has changed nothing.
                self._session.expect_charset()

            self._on_primary(set_it, "SET NAMES")
            self._replicas.members.encode_as(self.driver_connection)

    def set_charset(self, charset: str) -> None:
        """Deprecated: use `set_character_set`."""
        warnings.warn(
            "'set_charset' is deprecated, use 'set_character_set' instead",
            DeprecationWarning,
            stacklevel=2,
        )
        self.set_character_set(charset)

    def character_set_name(self) -> str:
        """Return the name of the connection's character set."""
        return self.driver_connection.character_set_name()  # type: ignore[no-any-return]

    def escape(self, obj: Any, mapping: Any = None) -> str:
        """Escape a value for the session's sql_mode. Not for applications: use parameters."""
        return self.driver_connection.escape(obj, mapping)  # type: ignore[no-any-return]

    def literal(self, obj: Any) -> str:
        """Deprecated alias of `escape`."""
        warnings.warn(
            "literal() is deprecated and will be removed in the next version.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.escape(obj)

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
        primary = self.driver_connection
        with self._having_turn():
            try:
                if "_session" in self.__dict__ and self._revives and not self._ended:
                    if primary._sock is None:
                        self._go_without()
                    if self._pending:
                        self._finish_pending()
                    self._check_lost()
                    if self._has_left():
                        self._leave_primary()
                        if self._cluster.usable() and not self._has_primary():
                            return  # reads go on
                        self._need_primary()
                self._ping(primary)
                self._result = None
            except Exception:
                if not reconnect:
                    raise
                self.connect()

    def _ping(self, primary: PhysicalConnection) -> None:
        status = 0 if primary._sock is None else primary.server_status
        try:
            primary.ping()
        except err.MySQLError as error:
            if not (self._revives and lost(error)):
                raise
            raise self._note_loss(error, NOTHING, status) from error
        self._result = None
        if "_session" in self.__dict__:
            self._followed.note_last(self._primary, warned=False)

    def is_usable(self) -> bool:
        """Tell, without asking a server, whether the next statement finds a connection that works.

        For pools and health checks. A connection to the primary that was lost while nothing hung on
        it is made again by itself; that of a transaction, or of a session with locks or temporary
        tables, is not.
        """
        if not self._turn.acquire(False):
            return True  # another thread's statement is under way
        try:
            if not self.open:
                return False
            if not self._revives:
                return not self.driver_connection.has_ended()
            session = self._session
            return not self._has_left() or not (session.bound or session.status & IN_TRANSACTION)
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

    def thread_id(self) -> int:
        """Return the number of the primary's thread."""
        return self.driver_connection.thread_id()  # type: ignore[no-any-return]

    # PyMySQL's own road to the wire, for those who speak the protocol themselves.

    def _execute_command(self, command: int, sql: Any) -> None:
        """Send a command to the primary; who does so reads the reply.

        What it does nobody knows, so from then on everything runs on the primary.
        """
        with self._having_turn():
            self._flush()
            self._prepare()
            self._have_primary()
            self._result = None
            self._replicas.seen.on_primary = True
            session = self._session
            session.lose_position()
            session.pins["protocol"] = _SPEAKS
            self._terms.switch(_SPEAKS)
            self._transacts = False
            self._look_at_terms()
            self._note_freedom()
            self._followed.ask_only(self._primary)
            primary = self.driver_connection
            primary._execute_command(command, sql)
            primary.due = 0

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        with self._having_turn():
            primary = self.driver_connection
            primary.due = 1
            rows = primary._read_query_result(unbuffered)
            self._learn()
            self._result, self._affected_rows = primary._result, rows
            return rows

    def _read_ok_packet(self) -> Any:
        with self._having_turn():
            ok = self.driver_connection._read_ok_packet()
            self._learn()
            return ok

    def _read_packet(self, packet_type: Any = MysqlPacket) -> Any:
        return self.driver_connection._read_packet(packet_type)

    def _read_bytes(self, num_bytes: int) -> bytes:
        return self.driver_connection._read_bytes(num_bytes)  # type: ignore[no-any-return]

    def _write_bytes(self, data: bytes) -> None:
        self.driver_connection._write_bytes(data)

    def write_packet(self, payload: bytes) -> None:
        """Write a packet to the primary; for those who speak the protocol themselves."""
        self.driver_connection.write_packet(payload)

    def _escape_string(self, s: str) -> str:
        return self.driver_connection._escape_string(s)  # type: ignore[no-any-return]

    def get_host_info(self) -> str:
        """Tell how the primary is connected."""
        return self.driver_connection.get_host_info()  # type: ignore[no-any-return]

    def get_proto_info(self) -> int:
        """Return the version of the protocol."""
        return self.driver_connection.get_proto_info()  # type: ignore[no-any-return]

    def get_server_info(self) -> str:
        """Return the version of the primary."""
        return self.driver_connection.get_server_info()  # type: ignore[no-any-return]

    @property
    def open(self) -> bool:
        """Whether the connection works: one to the primary that was lost is made again.

        Not while a transaction was lost with it, and has not been rolled back.
        """
        if self.driver_connection.open:
            return True
        return (
            "_session" in self.__dict__
            and self._revives
            and not (self._ended or self.driver_connection._closed or self._session.bound)
            and not self._transaction.lost
        )

    def goes_on(self) -> bool:
        """Tell, at no round trip, whether this connection works, at the latest after a rollback.

        Not if it was closed, or lost with what can't be had on another: temporary tables, locks.
        """
        primary = self.driver_connection
        if primary.open and not primary.has_ended():
            return True
        return (
            "_session" in self.__dict__
            and self._revives
            and not (self._ended or primary._closed or self._session.bound)
        )

    def close(self) -> None:
        """Close all members; a statement that another thread is running loses its connection.

        Raises Error if the connection is closed already.
        """
        primary = self.driver_connection
        if primary._closed:
            raise err.Error("Already closed")
        self._ended = True
        if not self._turn.acquire(False):
            primary._closed = True
            members = self._replicas.members.values() if "_replicas" in self.__dict__ else ()
            for connection in (primary, *[member.connection for member in members]):
                connection.interrupt()
            if "_cluster" in self.__dict__:
                self._cluster.watch.wake()
            return
        try:
            if "_session" in self.__dict__:
                self._end_mark()
            self._abandon_snapshot()
            self._close_primary()
        finally:
            if "_replicas" in self.__dict__:
                self._replicas.close()
            self._turn.release()

    def _force_close(self) -> None:
        self._ended = True
        self._abandon_mark()
        self._abandon_snapshot()
        self._drop_primary()
        if "_replicas" in self.__dict__:
            self._replicas.members.kill()

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # As the interpreter ends, threads have died with the locks that they held.
        if "_holds" in self.__dict__ and not is_finalizing():
            self._force_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _translate_aliases(options: dict[str, Any]) -> None:
    # PyMySQL would name a line of ours in its warning.
    for old, new in (("db", "database"), ("passwd", "password")):
        value = options.pop(old, None)
        if value is not None and not options.get(new):
            warnings.warn(f"'{old}' is deprecated, use '{new}'", DeprecationWarning, stacklevel=3)
            options[new] = value


def _checked_options(own: dict[str, Any], connect_options: dict[str, Any]) -> Options:
    options = parse_options(own, connect_options.get("port") or DEFAULT_PORT, CONNECT_KEYWORDS)
    reads = os.environ.get("RWSPLIT_READS")
    if reads and reads.lower() not in ("primary", "replicas"):
        raise ValueError(f"RWSPLIT_READS: expected primary or replicas, got {shown(reads)}")
    if reads_are_switched_off():
        options = options._replace(reads="primary")
    return options


def _from_url(url: str) -> dict[str, Any]:
    from .._core.url import parse_url  # noqa: PLC0415 - who has no URL does not pay for it

    if not isinstance(url, str):
        raise TypeError(f"connect() takes a URL, or keywords, but got {type(url).__name__}")
    return parse_url(url)


def _configured(given: dict[str, Any]) -> dict[str, Any]:
    """Add to what the caller gave what its cluster's configuration says."""
    cluster = given.get("cluster")
    if cluster is None and given.get("replicas") is None:
        config = current_config()
        if config is not None and isinstance(given.get("port") or 0, int):
            host, port, unix_socket = _address(given)
            found = config.by_address(host, port, unix_socket)
            if found is None:
                _warn_once(config.misses(host, port, unix_socket))
            else:
                cluster = configured(found)
                given = {key: given[key] for key in given if key not in (*_ADDRESS, "replicas")}
    elif isinstance(cluster, str):
        config = current_config()
        if config is None:
            raise ValueError(
                f"cluster: {shown(cluster)}, which would be the name of one in a configuration "
                "file, and RWSPLIT_CONFIG does not name any"
            )
        cluster = configured(config.by_name(cluster))
    if not isinstance(cluster, Cluster):
        return given
    defaults = cluster.options.defaults or {}
    # Frameworks pass None for what their settings do not have.
    said = {key: value for key, value in given.items() if value is not None or key not in defaults}
    return {**defaults, **said, "cluster": cluster}


@cache
def _warn_once(text: str) -> None:
    if text:
        logger.warning("%s", text)


_ADDRESS = ("host", "port", "unix_socket")


def _address(given: dict[str, Any]) -> tuple[str | None, int | None, str | None]:
    """Return where the caller wants to connect to; an option file may say so, too."""
    if given.get("read_default_file") or given.get("read_default_group"):
        known = [*_ADDRESS, "read_default_file", "read_default_group"]
        options = {key: given[key] for key in known if given.get(key)}
        found = PhysicalConnection(None, **options, defer_connect=True)
        return found.host, found.port, found.unix_socket
    return given.get("host"), given.get("port"), given.get("unix_socket")


def _split_database(name: str) -> tuple[str, str | None]:
    try:
        return parse_database(name)
    except ValueError as error:
        raise err.ProgrammingError(str(error)) from None


def _check_replica_options(replicas: tuple[Endpoint, ...]) -> None:
    for endpoint in replicas:
        if endpoint.overrides:
            try:
                PhysicalConnection(None, **endpoint.overrides, defer_connect=True)
            except ValueError as error:
                why = (
                    "it has a character that can't be sent"
                    if isinstance(error, UnicodeError)
                    else error
                )
                raise ValueError(f"replicas: {endpoint.name}: {why}") from None
