"""Members: the physical connections of a virtual connection, and how each is set up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from time import monotonic
from typing import Any, NamedTuple

from .._core.cause import Reason
from .._core.cluster import joining
from .._core.cluster.facts import PrimaryFacts
from .._core.cluster.position import (
    GtidSet,
    History,
    Position,
    parse_history,
    parse_position,
)
from .._core.cluster.server import Server
from .._core.flavors.defaults import unpacked
from .._core.flavors.names import spelt
from .._core.flavors.positions import POSITION_SQL, told_position
from .._core.flavors.questions import (
    AS_FRESH,
    ASK_PRIMARY,
    ASK_REPLICA,
    VALUES,
    told_by_primary,
    told_by_replica,
)
from .._core.flavors.trackers import SET_UP_PRIMARY, UNTOLD, track_replica
from .._core.flavors.traits import traits_of
from .._core.session.route import RouteTaken
from .._core.session.state import Prepared, State
from .._core.setup.options import SystemValue
from .._core.sql.values import literal
from .._core.wire import Capability
from .._drivers import err
from .._drivers.pymysql import PhysicalConnection, Setup
from .account import Account
from .cluster import Cluster
from .pool import Pool

__all__ = [
    "Member",
    "Opening",
    "ask_all_aside",
    "ask_aside",
    "begun_with",
    "open_primary",
    "primary_facts",
    "primary_setup",
]


class Member:
    """One physical connection that a virtual connection holds to one endpoint."""

    __slots__ = (
        "asked",
        "connection",
        "known_routes",
        "name",
        "prepared",
        "replica",
        "role",
        "version",
    )

    def __init__(self, connection: PhysicalConnection, name: str, replica: Server | None) -> None:
        self.connection = connection
        self.name = name
        self.replica = replica
        self.role = "primary" if replica is None else "replica"
        self.version = 0
        """The version of the session state that it has."""
        self.prepared: dict[str, Prepared] = {}
        """The prepared statements that it has."""
        self.asked = False
        """A question of ours ran here behind the last statement whose rows FOUND_ROWS() counts."""
        self.known_routes: dict[Reason, RouteTaken] = {}
        """By reason, the routes of statements that ran here without waiting."""

    @property
    def is_open(self) -> bool:
        """Whether its connection is open, so far as was seen."""
        return bool(self.connection.open)

    def __repr__(self) -> str:
        """Name the member and tell whether it is open."""
        state = "open" if self.is_open else "closed"
        return f"<Member {self.name} {self.role} {state}>"

    def taken(self, reason: Reason, waited: float = 0.0, retries: int = 0) -> RouteTaken:
        """Return the route of a statement that ran here."""
        if waited or retries:
            return RouteTaken(self.name, self.role, reason, waited, retries)
        known = self.known_routes.get(reason)
        if known is None:
            if len(self.known_routes) > 100:
                self.known_routes.clear()
            known = self.known_routes[reason] = RouteTaken(self.name, self.role, reason)
        return known

    def brought(self, version: int) -> None:
        """Note that it has the session's state of this version."""
        self.version = version

    def note_asked(self, asked: bool = True) -> None:
        """Note whether a question of ours ran behind what FOUND_ROWS() counts."""
        self.asked = asked

    def note_prepared(self, name: str, prepared: Prepared) -> None:
        """Note a prepared statement that it has."""
        self.prepared[name] = prepared

    def rename(self, name: str) -> None:
        """Note that it leads to another server by now."""
        if name != self.name:
            self.name = name
            self.known_routes.clear()

    def close(self, pool: Pool, shelf: tuple[Any, ...] | None, holds: bool = True) -> None:
        """Close the connection; a server that is gone already is no error.

        Its wire is kept for another where there is a shelf for it.
        """
        pool.close(self.name, self.connection, shelf, holds)

    def drop(self, pool: Pool) -> None:
        """Close the socket without a word."""
        self.connection.kill_socket()
        pool.forget(self.name)


# The second net under the classifier: a replica refuses most writes with error 1792.
_READ_ONLY = "SET SESSION TRANSACTION READ ONLY"
_SET = "SET SESSION "


class _PrimarySetup(Setup):
    def __init__(self, variables: Mapping[str, SystemValue]) -> None:
        self._variables = variables

    def statements(self, flavor: str) -> list[str]:
        own = []
        if self._variables:
            given = {spelt(name, flavor): value for name, value in self._variables.items()}
            said = ",".join([f"@@SESSION.{name}={literal(given[name])}" for name in given])
            names = ",".join([f"CAST(@@SESSION.{name} AS BINARY)" for name in given])
            own = [f"SET {said}", f"SELECT {names} LIMIT 1"]
        # Asked first: what others of the process learn of the primary is not this session's.
        return [ASK_PRIMARY[flavor], *own, *AS_FRESH[flavor], SET_UP_PRIMARY[flavor]]


class _ReplicaSetup(Setup):
    def __init__(self, flavor: str, difference: tuple[str, ...], tells: bool, follows: str) -> None:
        self._flavor = flavor
        self._follows = follows
        self._difference = difference
        self._tells = tells

    def statements(self, flavor: str) -> list[str]:
        if flavor != self._flavor:
            raise ForeignServer(f"it is a {flavor} server, and the primary is {self._flavor}")
        track = track_replica(flavor, self._follows)
        if traits_of(flavor).reads_tell and not self._tells:
            track += f",{UNTOLD.removeprefix(_SET)}"
        rest = self._difference
        if rest and rest[0].startswith("SET @"):
            # One statement less for the server to answer.
            track += f",{rest[0].removeprefix('SET ')}"
            rest = rest[1:]
        return [track, _READ_ONLY, *rest, ASK_REPLICA[flavor]]


_kept_setup = lru_cache(maxsize=64)(_ReplicaSetup)
"""Of sessions that begin alike: what is sent was made up before."""


class ForeignServer(err.InterfaceError):  # type: ignore[misc]
    """A server that is no replica of this cluster's primary."""


def open_primary(
    options: Mapping[str, Any], variables: Mapping[str, SystemValue]
) -> PhysicalConnection:
    """Make the connection to the primary; its errors are PyMySQL's.

    `variables` are what the session begins with.
    """
    return PhysicalConnection(primary_setup(variables), **options)


def primary_setup(variables: Mapping[str, SystemValue]) -> Setup:
    """Return what makes a connection to the primary a session that begins with these variables."""
    return _PrimarySetup(variables)


def begun_with(
    connection: PhysicalConnection, variables: Mapping[str, SystemValue]
) -> dict[str, object]:
    """Return what the session began with, as the server has it.

    While the primary is away that is what was asked for.
    """
    given: dict[str, object] = {
        spelt(name, connection.flavor): value for name, value in variables.items()
    }
    if given and connection.setup_rows:
        row = [None if value is None else _text(value) for value in connection.setup_rows[3][0]]
        given = dict(zip(given, row, strict=True))
    return given


def primary_facts(connection: PhysicalConnection) -> PrimaryFacts:
    """Read what the set-up of a connection to the primary brought."""
    told = told_by_primary(connection.setup_rows[1])
    connection.max_packet = int(told.max_packet)
    no_gtids = "" if int(told.has_gtids) else "its gtid_mode is OFF"
    if not int(told.has_log):
        no_gtids = "its binary log is off"
    history: History | None = None
    position: Position | None = None
    if not no_gtids:
        history = parse_history(connection.flavor, told.history)
        # On MySQL they are the same.
        if isinstance(history, GtidSet):
            position = history
        else:
            position = parse_position(connection.flavor, told.at)
    return PrimaryFacts(
        connection.flavor,
        connection.server_version,
        history,
        position,
        no_gtids,
        told.server.decode("latin-1"),
        unpacked(VALUES[connection.flavor], told.values.decode("latin-1")),
        told.is_read_only,
    )


class Opening:
    """Connects to a replica, and makes it the same session.

    :param tells: whether its reads are to tell where it is, on MySQL.
    """

    def __init__(
        self,
        cluster: Cluster,
        replica: Server,
        account: Account,
        session: State,
        primary: Member,
        tells: bool = True,
    ) -> None:
        endpoint = replica.endpoint
        self._cluster = cluster
        self._replica = replica
        self._account = account
        self._before = replica.floor or replica.position
        self._had_schema = session.had_schema
        tells = tells and Capability.TRACKS_READS in primary.connection.offers
        follows = primary.connection.follows
        # What sessions set later may be many things, and secrets among them: not kept for others.
        setup_of = _kept_setup if session.is_as_begun else _ReplicaSetup
        setup = setup_of(cluster.flavor, (*session.difference(0)[0],), tells, follows)
        self.connection = account.to(endpoint, setup)
        self.member = Member(self.connection, endpoint.name, replica)
        self.member.version = session.version

    def run(self) -> Member:
        """Connect; raises what PyMySQL raises, and ForeignServer: see `_judge`."""
        name = self.member.name
        self._cluster.pool.connect(name, self.connection, self._shelves)
        try:
            self._judge()
        except BaseException:
            self._cluster.pool.close(name, self.connection, None)
            raise
        return self.member

    def run_along(self) -> Member | None:
        """Connect together with the first statement; None where no wire is there for that."""
        name, pool = self.member.name, self._cluster.pool
        if pool.take_along(name, self.connection, self._shelves, self._judge):
            return self.member
        return None

    @property
    def _shelves(self) -> list[tuple[Any, ...]]:
        return _SHELVES if self._had_schema else _SHELVES[1:]

    def _judge(self) -> None:
        """Look whether it may be read from, and note where it is.

        Raises ForeignServer for a server that is not (yet) seen to replicate from this cluster's
        primary; only when that is in doubt is the primary asked.
        """
        cluster, replica, connection = self._cluster, self._replica, self.connection
        told = told_by_replica(connection.setup_rows[-1])
        connection.max_packet = int(told.max_packet)
        server = told.server.decode("latin-1")
        if server == cluster.topology.primary_server:
            raise ForeignServer("it is the primary itself, under another address")
        if cluster.has_gtids:
            position = parse_position(cluster.flavor, told.position)
            what = cluster.topology, replica, server, self._before, position
            in_doubt = joining.is_in_doubt(*what)
            primary = _look_at_history(cluster, self._account) if in_doubt else None
            why = joining.why_not(*what, primary is not None or not in_doubt, monotonic())
            if why:
                raise ForeignServer(why)
            if primary is not None and not primary.read_only:
                cluster.watch.note_errant(replica, server, position, primary.history)
        replica.server = server
        connection.replica = replica.endpoint.name
        cluster.errands.connections(replica.endpoint.name).add(connection)


_SHELVES: list[tuple[Any, ...]] = [("replica", selected) for selected in (True, False)]
"""Where idle wires to replicas are: a session without a schema can't have one that selected one."""


class _Question(Setup):
    """All that a connection is made for that asks the primary something."""

    def __init__(self, ask: Callable[[str], Sequence[str]]) -> None:
        self._ask = ask

    def statements(self, flavor: str) -> Sequence[str]:
        return self._ask(flavor)


def ask_aside(cluster: Cluster, account: Account, hastily: bool = False) -> Position:
    """Ask the primary where it is, on a connection that the application does not see."""
    question = POSITION_SQL["primary"]
    ((text,),) = _rows_aside(cluster, account, lambda flavor: [question[flavor]], hastily)[-1]
    return told_position(cluster.flavor, text)


def ask_all_aside(cluster: Cluster, account: Account, questions: Sequence[str]) -> list[Any]:
    """Ask the primary so, whatever the questions are; returns the rows that answer each."""
    return _rows_aside(cluster, account, lambda flavor: questions)[-len(questions) :]


def _rows_aside(
    cluster: Cluster,
    account: Account,
    ask: Callable[[str], Sequence[str]],
    hastily: bool = False,
) -> list[Any]:
    """Ask the primary what `ask` returns for its flavor, `hastily` where one can do without.

    The connection comes from the pool, and goes back: where one is idle there that is one round
    trip.
    """
    endpoint = cluster.primary
    connect = account.to if hastily else account.aside
    connection = connect(endpoint, _Question(ask))
    # A wire to the primary before it would tell where that one was.
    shelf = ("question", cluster.generation)
    cluster.pool.connect(endpoint.name, connection, [shelf], insists=True)
    try:
        return connection.setup_rows
    finally:
        cluster.pool.close(endpoint.name, connection, shelf, holds=False)


class _Primary(NamedTuple):
    """What the primary was just seen to be."""

    history: History
    read_only: bool


def _look_at_history(cluster: Cluster, account: Account) -> _Primary | None:
    """Ask the primary which transactions there have been; None if it can't be asked now."""
    if not cluster.primary_is_up:
        return None
    flavor = cluster.flavor
    try:
        rows = _rows_aside(cluster, account, lambda flavor: [ASK_PRIMARY[flavor]], hastily=True)[-1]
    except err.MySQLError:
        return None
    told = told_by_primary(rows)
    history = parse_history(flavor, told.history)
    if not cluster.watch.take_history(history, told.server.decode("latin-1")):
        return None
    return _Primary(history, told.is_read_only)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
