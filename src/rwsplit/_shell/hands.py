"""The hands of one virtual connection: what carries out the commands of its flows."""

from __future__ import annotations

from .._core.flows.command import (
    AskAllAside,
    AskAside,
    Connect,
    KillElsewhere,
    Open,
    Share,
    WaitAside,
    WaitForAnyone,
    WaitForPrimary,
    WatchSnapshot,
)
from .._core.flows.journey import Journey
from .._core.session.session import Session
from .._core.setup.options import Options
from .._stores import SessionStore
from .account import Account
from .cluster import Cluster
from .hold import Hold
from .member import Member, ask_all_aside, ask_aside
from .members import Members
from .opening import Opener
from .perform import HANDS, Hands, perform, with_faults
from .sharing import Sharing
from .snapshot import Snapshot

__all__ = ["hands_of"]


def hands_of(
    cluster: Cluster,
    session: Session,
    journey: Journey,
    primary: Member,
    members: Members,
    hold: Hold,
    options: Options,
    account: Account,
    store: SessionStore | None,
) -> Hands:
    """Return the hands of a connection.

    None of them holds the connection itself, which is to go at once with whoever has it.
    """
    opener = Opener(cluster, session.state, primary, members, options, account)

    def end(member: Member) -> None:
        perform(journey.reads.ending(member), hands)

    def share(command: Share) -> Sharing:
        where = store if store is not None else cluster.memory
        return Sharing(where, command.key, lambda: perform(journey.asking.position_aside(), hands))

    def kill(command: KillElsewhere) -> None:
        from .killing import kill_elsewhere  # noqa: PLC0415 - few kill

        kill_elsewhere(cluster, primary.connection, command.sql)

    hands: Hands = {
        **HANDS,
        Open: opener.open,
        WaitAside: lambda command: with_faults(opener.run_aside(command)),
        Connect: lambda _: hold.connect(again=True),
        WaitForPrimary: lambda command: cluster.wait_for_primary(
            command.generation, command.until, lambda: hold.ended
        ),
        WaitForAnyone: lambda command: cluster.wait_for_anyone(command.until),
        AskAside: lambda command: ask_aside(cluster, account, command.hastily),
        AskAllAside: lambda command: ask_all_aside(cluster, account, command.questions),
        WatchSnapshot: lambda command: Snapshot(command.member, end, options.max_snapshot),
        Share: share,
        KillElsewhere: kill,
    }
    return hands
