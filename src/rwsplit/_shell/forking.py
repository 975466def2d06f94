"""Forks that wait until no thread of ours is amid a TLS handshake.

OpenSSL takes locks during one, and does not free them in a child that is forked meanwhile: there
the first handshake would spin for ever. An application knows what its own threads do when it forks;
of ours it knows nothing.
"""

from __future__ import annotations

import os
import threading

__all__ = ["Handshakes", "handshakes"]

_PATIENCE_SECONDS = 0.5
"""How long a fork waits: a server that is frozen amid a handshake holds no locks."""


class Handshakes:
    """Those that are under way in threads of ours; a `with` block is one."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._underway = self._forks = 0

    def __enter__(self) -> None:
        """Begin one; while the process forks, it waits."""
        with self._change:
            self._change.wait_for(lambda: not self._forks, _PATIENCE_SECONDS)
            self._underway += 1

    def __exit__(self, *_: object) -> None:
        """Note that it has ended."""
        with self._change:
            self._underway -= 1
            self._change.notify_all()

    def before_fork(self) -> None:
        """Let those end that are under way, and no other begin."""
        with self._change:
            self._forks += 1
            self._change.wait_for(lambda: not self._underway, _PATIENCE_SECONDS)

    def after_in_parent(self) -> None:
        """Let others begin."""
        with self._change:
            self._forks -= 1
            self._change.notify_all()

    def after_in_child(self) -> None:
        """Begin anew: the threads stayed in the parent."""
        self._change = threading.Condition()
        self._underway = self._forks = 0


handshakes = Handshakes()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=handshakes.before_fork,
        after_in_parent=handshakes.after_in_parent,
        after_in_child=handshakes.after_in_child,
    )
