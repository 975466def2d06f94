"""What a mutant is: a guard of rwsplit, and what takes it away."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

import pytest

__all__ = ["STALE", "Doing", "Mutant", "Patch", "no_flow", "returns"]

Patch = pytest.MonkeyPatch
Doing = Generator[Any, Any, Any]
STALE = ("own writes", "unsure writes", "global", "monotonic", "monotonic, primary")
"""Checks that see a read that shows too little."""


class Mutant(NamedTuple):
    """A guard that is taken away.

    :param checks: those that may see it; all that counts is that one of them does.
    :param seed: of a schedule in which it was seen.
    :param kept: the one in `seeds`, where it is rare.
    :param goes_straight: whether the straight roads are open: they have guards of their own.
    """

    guard: str
    patches: tuple[tuple[Any, str, Any], ...]
    checks: tuple[str, ...]
    seed: int = 0
    kept: str = ""
    goes_straight: bool = True

    def apply(self, patch: Patch) -> None:
        """Take the guard away, until the patch is undone."""
        for where, name, what in self.patches:
            patch.setattr(where, name, what)


def no_flow(*_: Any) -> Doing:
    """Do nothing, by a flow."""
    yield from ()


def returns(value: Any) -> Any:
    """Return a function that returns this, whatever it is given."""
    return lambda *_, **__: value
