"""What tests do with a connection from inside, where its own interface has no word for it."""

from __future__ import annotations

from typing import Any

from rwsplit._shell.perform import perform

__all__ = ["ask_primary"]


def ask_primary(connection: Any) -> Any:
    """Ask the primary where it is, as the connection does, where the application sees nothing."""
    begun = connection._begun
    return perform(begun.journey.asking.position_aside(), begun.hands)
