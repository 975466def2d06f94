"""Which server is the primary, told from what each was seen to be. Pure.

Nobody tells a client so; a server tells whether it can be written to. A replica that somebody
forgot to make read-only can be written to as well, and a write there is lost work for everyone:
so it must have been seen to change, or the old primary must itself say that it is none any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Sight", "find_primary"]


class Sight(NamedTuple):
    """What one server was last seen to be."""

    name: str
    reached: bool | None
    """Whether it answered; None if nobody looked yet."""
    is_writable: bool | None = None
    was_read_only: bool = False
    """This process has seen it as a read-only server."""
    replicates: bool | None = None
    """It is seen to replicate from another server; None where that can't be seen."""
    is_stray: bool = False
    """It could be written to while another was the primary."""


def find_primary(believed: str, sights: Iterable[Sight]) -> str:
    """Return the name of the primary: the believed one, unless another has taken its place.

    >>> gone = Sight("a", reached=False)
    >>> promoted = Sight("b", True, True, was_read_only=True)
    >>> find_primary("a", [gone, promoted, Sight("c", True, False)])
    'b'
    >>> find_primary("a", [gone, Sight("b", True, True), Sight("c", True, False)])
    'a'
    """
    known = {sight.name: sight for sight in sights}
    before = known.get(believed)
    if before is not None and (before.reached is None or (before.reached and before.is_writable)):
        return believed
    demoted = before is not None and bool(before.reached) and before.is_writable is False
    others = [
        sight.name
        for name, sight in known.items()
        if name != believed and _may_be_primary(sight, demoted)
    ]
    return others[0] if len(others) == 1 else believed


def _may_be_primary(sight: Sight, demoted: bool) -> bool:
    if not (sight.reached and sight.is_writable) or sight.replicates:
        return False
    return sight.was_read_only or (demoted and not sight.is_stray)
