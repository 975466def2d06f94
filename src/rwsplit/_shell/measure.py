"""How many statements of this process run where, and how long they take: for some policies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from .._core.cluster.load import Usual
from .._core.cluster.server import Server

__all__ = ["Measure"]


class Measure:
    """Counts and times statements on a cluster's replicas."""

    def __init__(self) -> None:
        self._usual = Usual()

    @contextmanager
    def one(self, server: Server, timed: bool = True) -> Iterator[None]:
        """Count a statement while it runs, and note how long it took if that is to count."""
        began = monotonic()
        one, load = object(), server.load
        try:
            load.begin(one)
            yield
        finally:
            load.end(one)
            if timed:
                now = monotonic()
                load.note_latency(self._usual.of(now - began), now)
