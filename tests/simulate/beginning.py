"""How a simulated virtual connection begins: see the shell's `starting`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rwsplit._core.cluster.facts import PrimaryFacts
from rwsplit._core.cluster.figures import View
from rwsplit._core.cluster.position import empty
from rwsplit._core.flavors.trackers import default_tracking
from rwsplit._core.flows.choosing import Chooser
from rwsplit._core.flows.command import Connect, Flow
from rwsplit._core.flows.journey import Journey
from rwsplit._core.flows.methods import Methods
from rwsplit._core.session.identity import Identity
from rwsplit._core.session.session import Session
from rwsplit._core.session.state import State
from rwsplit._core.session.terms import Terms
from rwsplit._core.setup.options import Options
from rwsplit._core.wire import Fault

from .commands import Pause
from .roads import Roads

if TYPE_CHECKING:
    from .clients import Client

__all__ = ["beginning"]

_MAX_WAIT, _PRIMARY_WAIT = 0.1, 3.0
_AGAIN_SECONDS = 0.05


def beginning(client: Client, before: Session | None = None) -> Flow[None]:
    """Connect, and be a session; nothing can be done before.

    `before` is the session that the connection was before it was connected again.
    """
    facts = yield from _connecting(client)
    _make(client, facts)
    state, world = client.session.state, client.world
    connection = client.primary.connection
    state.note_status(connection.server_status)
    state.set_schema(state.schema)
    state.set_variable("character_set_client", "utf8mb4")
    for name, value in facts.variables.items():
        state.set_variable(name, value)
    client.session.language.look()
    client.journey.learning.learn()
    if before is not None:
        client.session.go_on_behind(before, began=True)
    assert facts.position is not None
    state.begin_at(facts.position)
    client.promises.read |= world.mask_at(facts.position)
    yield from client.journey.joining.joining()
    yield from client.journey.controlling.starting()


def _connecting(client: Client) -> Flow[PrimaryFacts]:
    cluster = client.world.cluster
    while True:
        try:
            facts = yield from Connect()
        except Fault:
            cluster.primary_failed(cluster.generation)
            yield from Pause(_AGAIN_SECONDS)
            continue
        if not facts.read_only:
            return facts
        cluster.look_now()
        client.hold.drop()
        yield from Pause(_AGAIN_SECONDS)


def _make(client: Client, facts: PrimaryFacts) -> None:
    world, plan, cluster = client.world, client.plan, client.world.cluster
    options = Options(
        consistency=plan.level,
        on_lag="wait" if plan.waits else "primary",
        max_wait=_MAX_WAIT,
        primary_wait=_PRIMARY_WAIT,
        transactions=plan.transactions,
        max_snapshot=plan.max_snapshot,
        session_id=plan.session_id,
        session_id_kind=plan.kind,
    )
    state = State(empty(facts.flavor), "shop", cluster.process)
    identity = Identity(plan.kind, plan.session_id, cluster.process, lambda: "app")
    client.primary.rename(client.hold.name)
    client.session = session = Session(
        *(cluster, options, client.primary, client.hold, client.members, state),
        *(Terms(options, None), identity, default_tracking(facts.flavor)),
        *(world.clock, lambda: None),
    )
    view = View(cluster.figures, world.dice.random)
    chooser = Chooser(cluster, state, session.seen, client.members, view, plan.waits)
    client.journey = journey = Journey(session, chooser)
    journey.reads.wait_at_most(_MAX_WAIT)
    client.methods = Methods(session, journey)
    client.roads = Roads(session, journey, is_open=world.goes_straight)
