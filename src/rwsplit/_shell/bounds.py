"""What a cluster's options bound: its idle wires, and the statements of a rule that run at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._core.cluster.endpoint import Endpoint
from .._core.setup.options import ClusterOptions
from .pool import Pool

if TYPE_CHECKING:
    from .._core.setup.rules import Rule

__all__ = ["limits_of", "pool_of"]


def pool_of(options: ClusterOptions, replicas: Sequence[Endpoint]) -> Pool:
    """Return the pool that a cluster's options ask for."""
    groups = options.groups or {}
    sizes = {
        endpoint.name: size
        for endpoint in replicas
        for group in (groups.get(endpoint.group or ""),)
        if group is not None and (size := group.pool_size) is not None
    }
    assert options.pool_max_idle is not None
    assert options.pool_max_lifetime is not None
    return Pool(options.pool_size or 0, sizes, options.pool_max_idle, options.pool_max_lifetime)


def limits_of(rules: Sequence[Rule]) -> dict[str, threading.Semaphore]:
    """Return, by rule, what bounds how many of its statements run at a time."""
    if not rules:
        return {}
    from .._core.setup.rules import Limit  # noqa: PLC0415 - who has none does not pay for them

    return {
        rule.name: threading.BoundedSemaphore(rule.action.running)
        for rule in rules
        if isinstance(rule.action, Limit)
    }
