"""What a simulated client wants done beside what rwsplit's flows do."""

from __future__ import annotations

from rwsplit._core.flows.command import Command

__all__ = ["Pause"]


class Pause(Command[None]):
    """Do nothing for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
