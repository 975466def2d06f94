"""Carries out against the model what a virtual connection's flows want done.

What the shell does with a driver is done here with the model's wires: the same orders, the same
faults, and the rules of the cluster asked in the same places. Each command that waits for a server
is answered by an event, so that others come in between.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from rwsplit._core.flows.command import (
    Acquire,
    Ask,
    AskAllAside,
    AskAside,
    ByMethod,
    Claim,
    Command,
    Connect,
    Exchange,
    FinishPrevious,
    KillElsewhere,
    LetGo,
    Look,
    Mark,
    Open,
    Post,
    Publish,
    Repeat,
    ReportLate,
    Settle,
    Share,
    WaitAside,
    WaitForAnyone,
    WaitForPrimary,
    WatchSnapshot,
)
from rwsplit._core.wire import Fault

from .commands import Pause
from .dialing import Dialing
from .exchanging import Done, Exchanging, Failed
from .sharing import Sharing
from .snapshot import Snapshot

if TYPE_CHECKING:
    from .clients import Client

__all__ = ["Hands"]

Hand = Callable[[Any, Done, Failed], None]


class Hands:
    """The hands of one virtual connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._world = client.world
        self._clock = client.world.clock
        dialing, members = Dialing(client), Exchanging(client)
        self._hands: dict[type[Command[Any]], Hand] = {
            Exchange: members.exchange,
            Ask: members.ask,
            Repeat: members.repeat,
            ByMethod: members.by_method,
            Post: members.post,
            Settle: members.settle,
            FinishPrevious: members.finish_previous,
            ReportLate: members.report_late,
            Open: dialing.open,
            WaitAside: dialing.wait_aside,
            Connect: dialing.connect,
            AskAside: dialing.ask_aside,
            AskAllAside: dialing.ask_all_aside,
            WaitForPrimary: self._wait_for_primary,
            WaitForAnyone: self._wait_for_anyone,
            Claim: self._claim,
            WatchSnapshot: self._watch,
            Share: self._share,
            Look: lambda c, *to: self._go_through(c.sharing.looking(c.flavor), *to),
            Mark: lambda c, *to: self._go_through(c.sharing.marking(), *to),
            Publish: lambda c, *to: self._go_through(c.sharing.publishing(c.position), *to),
            LetGo: lambda c, *to: self._go_through(c.sharing.letting_go(), *to),
            Pause: lambda c, done, _: self._clock.at(c.seconds, done, None),
            Acquire: lambda c, done, _: done(True),
            KillElsewhere: lambda c, done, _: done(None),
        }

    # Flows.

    def perform(self, flow: Generator[Any, Any, Any], ended: Callable[[], None]) -> None:
        """Carry a flow out; what it raises ends the schedule."""

        def failed(error: Exception) -> None:
            raise error

        self._step(flow, flow.send, None, lambda _: ended(), failed)

    def _go_through(self, flow: Generator[Any, Any, Any], done: Done, failed: Failed) -> None:
        self._step(flow, flow.send, None, done, failed)

    def _step(
        self, flow: Generator[Any, Any, Any], step: Any, reply: Any, done: Done, failed: Failed
    ) -> None:
        self._world.cluster.turns.who = self._client.turn
        try:
            command: Any = step(reply)
        except StopIteration as over:
            done(over.value)
            return
        except Fault as fault:
            failed(fault)
            return
        if not self._world.cluster.primary_is_up:
            self._client.is_away = True
        self._hands[type(command)](
            command,
            lambda value: self._step(flow, flow.send, value, done, failed),
            lambda error: self._step(flow, flow.throw, error, done, failed),
        )

    # Of the process.

    def _wait_for_primary(self, command: WaitForPrimary, done: Done, failed: Failed) -> None:
        cluster, generation = self._world.cluster, command.generation
        cluster.wait_for(
            lambda: cluster.primary_is_up or cluster.generation != generation, command.until, done
        )

    def _wait_for_anyone(self, command: WaitForAnyone, done: Done, failed: Failed) -> None:
        cluster = self._world.cluster
        known = cluster.candidates

        def has_changed() -> bool:
            cluster.usable()
            return cluster.primary_is_up or cluster.candidates != known

        cluster.wait_for(has_changed, command.until, lambda _: done(None))

    def _claim(self, command: Claim, done: Done, failed: Failed) -> None:
        if command.snapshot.claim():
            done(None)
        else:
            command.snapshot.claim_later(lambda: done(None))

    def _watch(self, command: WatchSnapshot, done: Done, failed: Failed) -> None:
        client = self._client
        most = client.plan.max_snapshot
        end = client.journey.reads.ending
        done(Snapshot(self._clock, command.member, most, end, self.perform))

    def _share(self, command: Share, done: Done, failed: Failed) -> None:
        world = self._world

        def failed() -> None:
            world.marks_stay = True

        store = world.store or world.cluster.memory
        done(Sharing(store, command.key, self._client.journey.asking.position_aside, failed))
