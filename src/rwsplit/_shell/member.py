"""Members: the physical connections of a virtual connection, and how each is set up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

from .._core.cause import Reason
from .._core.cluster import joining
from .._core.cluster.facts import PrimaryFacts
from .._core.cluster.position import (
    GtidList,
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
from .._core.flavors.questions import AS_FRESH, ASK_PRIMARY, ASK_REPLICA, VALUES
from .._core.flavors.trackers import TRACK_PRIMARY, UNTOLD, track_replica
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
    "ask_all_aside",
    "ask_aside",
    "begun_with",
    "open_primary",
    "open_replica",
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

    def close(self, pool: Pool, shelf: tuple[Any, ...] | None) -> None:
        """Close the connection; a server that is gone already is no error.

        Its wire is kept for another where there is a shelf for it.
        """
        pool.close(self.name, self.connection, shelf)

    def drop(self, pool: Pool) -> None:
        """Close the socket without a word."""
        self.connection.kill_socket()
        pool.forget(self.name)


# The second net under the classifier: a replica refuses most writes with error 1792.
_READ_ONLY = "SET SESSION TRANSACTION READ ONLY"


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
        return [ASK_PRIMARY[flavor], *own, AS_FRESH[flavor], *TRACK_PRIMARY[flavor]]


class _ReplicaSetup(Setup):
    def __init__(self, flavor: str, difference: list[str], tells: bool, follows: str) -> None:
        self._flavor = flavor
        self._follows = follows
        self._difference = difference
        self._tells = tells

    def statements(self, flavor: str) -> list[str]:
        if flavor != self._flavor:
            raise ForeignServer(f"it is a {flavor} server, and the primary is {self._flavor}")
        track = [track_replica(flavor, self._follows)]
        if traits_of(flavor).reads_tell and not self._tells:
            track.append(UNTOLD)
        return [*track, _READ_ONLY, *self._difference, ASK_REPLICA[flavor]]


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
    most, gtid_mode, log_bin, server, values, read_only, at, executed = connection.setup_rows[1][0]
    connection.max_packet = int(most)
    no_gtids = "" if int(gtid_mode) else "its gtid_mode is OFF"
    if not int(log_bin):
        no_gtids = "its binary log is off"
    history: History | None = None
    position: Position | None = None
    if not no_gtids:
        history = parse_history(connection.flavor, executed or "")
        # On MySQL they are the same.
        position = history if isinstance(history, GtidSet) else GtidList.parse(at or "")
    return PrimaryFacts(
        connection.flavor,
        connection.server_version,
        history,
        position,
        no_gtids,
        _text(server),
        unpacked(VALUES[connection.flavor], _text(values)),
        _text(read_only) not in ("0", "OFF", ""),
    )


def open_replica(
    cluster: Cluster,
    replica: Server,
    account: Account,
    session: State,
    primary: Member,
    tells: bool = True,
) -> Member:
    """Connect to a replica and make it the same session.

    `tells` is whether its reads are to tell where it is, on MySQL.

    Raises what PyMySQL raises, and ForeignServer for a server that is not (yet) seen to replicate
    from this cluster's primary; only when that is in doubt is the primary asked.
    """
    endpoint = replica.endpoint
    version = session.version
    before = replica.floor or replica.position
    tells = tells and Capability.TRACKS_READS in primary.connection.offers
    follows = primary.connection.follows
    setup = _ReplicaSetup(cluster.flavor, session.difference(0)[0], tells, follows)
    connection = account.connection(setup, account.options(endpoint))
    shelves = [("replica", selected) for selected in (True, False)]
    cluster.pool.connect(endpoint.name, connection, shelves if session.had_schema else shelves[1:])
    try:
        most, server, executed = connection.setup_rows[-1][0]
        connection.max_packet = int(most)
        if _text(server) == cluster.topology.primary_server:
            raise ForeignServer("it is the primary itself, under another address")
        if cluster.has_gtids:
            position = parse_position(cluster.flavor, executed or "")
            what = cluster.topology, replica, _text(server), before, position
            knows = not joining.is_in_doubt(*what) or _look_at_history(cluster, account)
            why = joining.why_not(*what, knows, monotonic())
            if why:
                raise ForeignServer(why)
    except BaseException:
        cluster.pool.close(endpoint.name, connection, None)
        raise
    replica.server = _text(server)
    connection.replica = endpoint.name
    cluster.errands.connections(endpoint.name).add(connection)
    member = Member(connection, endpoint.name, replica)
    member.version = version
    return member


class _Question(Setup):
    """All that a connection is made for that asks the primary something."""

    def __init__(self, ask: Callable[[str], Sequence[str]]) -> None:
        self._ask = ask

    def statements(self, flavor: str) -> Sequence[str]:
        return self._ask(flavor)


def ask_aside(cluster: Cluster, account: Account) -> Position:
    """Ask the primary where it is, on a connection that the application does not see."""
    (text,) = _asked_aside(cluster, account, POSITION_SQL["primary"])
    return told_position(cluster.flavor, text)


def ask_all_aside(cluster: Cluster, account: Account, questions: Sequence[str]) -> list[Any]:
    """Ask the primary so, whatever the questions are; returns the rows that answer each."""
    return _rows_aside(cluster, account, lambda flavor: questions)[-len(questions) :]


def _asked_aside(cluster: Cluster, account: Account, question: Mapping[str, str]) -> Any:
    """Return the row that answers a question to the primary."""
    return _rows_aside(cluster, account, lambda flavor: [question[flavor]])[-1][0]


def _rows_aside(
    cluster: Cluster, account: Account, ask: Callable[[str], Sequence[str]]
) -> list[Any]:
    """Ask the primary what `ask` returns for its flavor.

    The connection comes from the pool, and goes back: where one is idle there that is one round
    trip.
    """
    endpoint = cluster.primary
    connection = account.connection(_Question(ask), account.options(endpoint))
    # A wire to the primary before it would tell where that one was.
    shelf = ("question", cluster.generation)
    cluster.pool.connect(endpoint.name, connection, [shelf], insists=True)
    try:
        return connection.setup_rows
    finally:
        cluster.pool.close(endpoint.name, connection, shelf)


def _look_at_history(cluster: Cluster, account: Account) -> bool:
    """Ask the primary which transactions there have been; False if it can't be asked now."""
    if not cluster.primary_is_up:
        return False
    flavor = cluster.flavor
    try:
        _, _, _, server, *_, text = _asked_aside(cluster, account, ASK_PRIMARY)
    except err.MySQLError:
        return False
    if _text(server) != cluster.topology.primary_server:
        return False
    cluster.watch.take_history(parse_history(flavor, text or ""))
    return True


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
