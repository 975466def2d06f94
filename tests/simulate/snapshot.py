"""Snapshots that virtual connections hold open on replicas, ended when they are idle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .clock import Clock
from .connection import Member

__all__ = ["Snapshot"]

_AGAIN_SECONDS = 0.01


class Snapshot:
    """See the shell's; a thread looks after that one, and events after this one.

    :param end: returns the flow that ends it on the replica.
    :param perform: has a flow carried out, and calls back.
    """

    def __init__(
        self,
        clock: Clock,
        member: Member,
        max_idle: float,
        end: Callable[[Member], Any],
        perform: Callable[[Any, Callable[[], None]], None],
    ) -> None:
        self._clock = clock
        self.member, self.max_idle = member, max_idle
        self._end, self._perform = end, perform
        self.is_open = True
        self.used_at = clock.now
        self._is_claimed = False
        self._waiting: list[Callable[[], None]] = []
        clock.at(max_idle, self._look)

    def claim(self, waits: bool = True) -> bool:
        if self._is_claimed:
            return False
        self._is_claimed = True
        return True

    def claim_later(self, done: Callable[[], None]) -> None:
        """Claim it as soon as whoever has it lets go of it."""
        self._waiting.append(done)

    def release(self) -> None:
        if self._waiting:
            self._clock.at(0.0, self._waiting.pop(0))
        else:
            self._is_claimed = False

    def note_used(self, now: float) -> None:
        self.used_at = now

    def close(self) -> bool:
        was_open, self.is_open = self.is_open, False
        return was_open

    def _look(self) -> None:
        if not self.is_open:
            return
        left = self.used_at + self.max_idle - self._clock.now
        if left > 0:
            self._clock.at(left, self._look)
        elif self.member.connection.is_reading or not self.claim():
            self._clock.at(_AGAIN_SECONDS, self._look)
        else:
            self.close()
            self._perform(self._end(self.member), self.release)
