"""Who may be asked now, by group, rank and zone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..setup.options import ClusterOptions, GroupOptions
from .endpoint import Endpoint
from .policies import POLICIES, Policy, narrow
from .server import Server

__all__ = ["GroupPolicies", "Serving", "who_serves"]


class Serving(NamedTuple):
    """The replicas that may be asked, when last looked at."""

    in_group: Mapping[str | None, tuple[Endpoint, ...]]
    """By group; None for those that no rule has to send reads to."""
    spares: Mapping[str | None, tuple[Endpoint, ...]]
    """Those that are asked if all that come before them are late, by rank and zone."""
    look_at: float
    """When to look again (monotonic seconds): somebody's rest is over; 0 for nobody rests."""


def who_serves(
    replicas: Iterable[Server], groups: Mapping[str, GroupOptions], zone: str | None, now: float
) -> Serving:
    """Look at who may serve."""
    replicas = tuple(replicas)
    awake = [server.endpoint for server in replicas if server.may_serve(now)]
    resting = [server.rests_until for server in replicas if server.rests_until > now]
    serving: dict[str | None, list[Endpoint]]
    serving = {name: [end for end in awake if end.group == name] for name in groups}
    serving[None] = [end for end in awake if not _is_reserved(groups, end)]
    near = {name: narrow(ends, zone) for name, ends in serving.items()}
    spares = {
        name: tuple([end for end in ends if end.weight and end not in near[name]])
        for name, ends in serving.items()
    }
    return Serving(near, spares, min(resting, default=0.0))


class GroupPolicies(dict[str | None, Policy]):
    """What picks among a group's replicas, where it has a policy of its own."""

    def __init__(self, options: ClusterOptions) -> None:
        groups = options.groups or {}
        super().__init__(
            {name: POLICIES[each.policy] for name, each in groups.items() if each.policy}
        )
        assert options.policy is not None
        self.default: Policy = options.policy
        """What picks where no group says otherwise."""

    def common(self, candidates: Iterable[Endpoint]) -> Policy:
        """Return what picks among these: their group's policy where they are of one group."""
        if not self:
            return self.default
        groups = {end.group for end in candidates}
        return self.get(groups.pop() if len(groups) == 1 else None, self.default)


def _is_reserved(groups: Mapping[str, GroupOptions], endpoint: Endpoint) -> bool:
    group = groups.get(endpoint.group or "")
    return group is not None and group.only_by_rule
