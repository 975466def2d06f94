"""How a virtual connection begins: its first wire to the primary, and a session of its own."""

from __future__ import annotations

from time import monotonic
from typing import Any, NamedTuple

from .._core.cause import UNTOLD, not_split
from .._core.cluster.facts import PrimaryFacts
from .._core.cluster.figures import View
from .._core.cluster.position import Position, decode, empty
from .._core.flavors.trackers import default_tracking
from .._core.flows.choosing import Chooser
from .._core.flows.journey import Journey
from .._core.flows.methods import Methods
from .._core.session.identity import Identity
from .._core.session.session import Session
from .._core.session.state import State
from .._core.session.terms import Terms
from .._core.setup.options import CONNECT, Options
from .._core.sql.values import as_text
from .._core.tracking import Changes
from .._drivers import err
from .._drivers.pymysql import PhysicalConnection, lost
from .._stores import SessionStore
from .account import Account
from .cluster import Cluster
from .config_file import reads_are_switched_off
from .context import current
from .hands import hands_of
from .hold import Hold
from .member import Member, begun_with
from .members import Members
from .perform import Hands, perform
from .roads import Roads

__all__ = ["Begun", "begin", "connect_first", "position_of_text"]


class Begun(NamedTuple):
    """What runs a virtual connection's statements."""

    session: Session
    journey: Journey
    methods: Methods
    hands: Hands
    roads: Roads
    members: Members


def connect_first(
    hold: Hold,
    cluster: Cluster,
    physical: PhysicalConnection,
    account: Account,
    options: Options,
    sock: Any,
) -> PrimaryFacts:
    """Connect to the primary; while it is away, go on with what is known of it."""
    try:
        facts = hold.connect(sock)
    except err.OperationalError as error:
        known = cluster.topology.facts
        waits = physical.sql_mode is not None or physical.init_command is not None
        if not (
            physical.may_begin_lost
            and lost(error)
            and hold.revives
            and known is not None
            and cluster.usable()
        ):
            raise
        if waits:
            raise
        cluster.watch.primary_failed(cluster.generation)
        physical.pretend(known.flavor, known.version)
        return known._replace(position=cluster.last_seen())
    if facts.read_only and (options.replicas or options.discover is not None):
        facts = _find_writable(hold, cluster, account, options, facts)
    cluster.look_for_replicas(physical)
    return facts


def _find_writable(
    hold: Hold, cluster: Cluster, account: Account, options: Options, facts: PrimaryFacts
) -> PrimaryFacts:
    """Look whether another server is the primary by now, as this one is read-only."""
    cluster.monitor.account = account
    cluster.monitor.look_now()
    generation = cluster.generation
    cluster.watch.wait_for_sights(monotonic() + options.replica_connect_timeout)
    if cluster.generation == generation:
        return facts
    hold.drop()
    return hold.connect()


def begin(
    facts: PrimaryFacts,
    hold: Hold,
    cluster: Cluster,
    physical: PhysicalConnection,
    account: Account,
    options: Options,
    named: str | None,
    store: SessionStore | None,
    before: Session | None,
) -> Begun:
    """Begin the session of a connection that was just made to the primary.

    `before` is the session that the connection was before it was connected again.
    """
    # What the environment says as the connection is made, its options say, too.
    off = (options.reads == "primary" or before is not None) and reads_are_switched_off()
    never = not_split(cluster.splits, options.reads, off, disabled=False)
    if never is None and not physical.tracks:
        never = UNTOLD
    terms = Terms(options, never)
    if facts.no_gtids and terms.splits and options.consistency != "eventual":
        cluster.warn_once(
            "primary %s hands out no GTIDs (%s): reads under consistency='session' and "
            "'global' run on the primary",
            cluster.primary.name,
            facts.no_gtids,
        )
    primary = Member(physical, hold.name, None)
    members = Members(cluster, primary)
    state = State(empty(facts.flavor), as_text(physical.db), cluster.process)
    identity = Identity(
        options.session_id_kind, named, cluster.process, lambda: as_text(physical.user)
    )
    session = Session(
        cluster,
        options,
        primary,
        hold,
        members,
        state,
        terms,
        identity,
        default_tracking(facts.flavor),
        monotonic,
        current.get,
    )
    view = View(cluster.figures, cluster.dice.random)
    chooser = Chooser(cluster, state, session.seen, members, view, options.on_lag == "wait")
    journey = Journey(session, chooser)
    journey.reads.wait_at_most(options.max_wait)
    journey.reads.take_policy(options.policy)
    hands = hands_of(cluster, session, journey, primary, members, hold, options, account, store)
    _begin_state(session, journey, hands, facts, physical, options)
    _begin_after(session, facts, before)
    perform(journey.joining.joining(), hands)
    if before is not None:
        session.go_on_in_scope(before)
    perform(journey.controlling.starting(), hands)
    if terms.splits and terms.must_see:
        # Where every replica has all that it must see, its first read has nothing to look for.
        if identity.has_news and identity.part is None:
            perform(journey.publishing.hearing(), hands)
        chooser.prune()
    roads = Roads(session, journey, hands, physical)
    return Begun(session, journey, Methods(session, journey), hands, roads, members)


def _begin_state(
    session: Session,
    journey: Journey,
    hands: Hands,
    facts: PrimaryFacts,
    physical: PhysicalConnection,
    options: Options,
) -> None:
    state = session.state
    state.begin(physical.charset, facts.variables)
    for name, own in begun_with(physical, options.session_variables).items():
        state.set_variable(name, own)
    session.language.look()
    if physical.sql_mode is not None:
        state.doubt_variable("sql_mode")
    if physical.init_command is not None:
        # It ran before anything could be learned from it.
        sql = physical.init_command
        statement = session.language.statement(sql)
        state.expect(statement, sql=sql.encode(physical.encoding))
        if statement.may_change_session:
            state.notice(statement, (Changes(state_changed=True),))
        perform(journey.learning.keeping_tracking(statement), hands)
    journey.learning.learn()


def _begin_after(session: Session, facts: PrimaryFacts, before: Session | None) -> None:
    """Begin with what the first read must see already."""
    state, after = session.state, session.options.after
    if before is not None:
        session.go_on_behind(before, after == CONNECT and facts.position is not None)
    if after == CONNECT:
        # It counts under a session id, too: an id brings others' writes, not where one begins.
        if facts.position is not None and session.terms.splits:
            state.begin_at(facts.position)
    elif after is not None:
        state.ask_for(position_of_text(after, facts.flavor))


def position_of_text(text: str, flavor: str) -> Position:
    """Return a position that an application carried; raises ValueError for what is none."""
    position = decode(text)
    if position.flavor != flavor:
        raise ValueError(f"a position of {position.flavor}, and the primary is {flavor}")
    return position
