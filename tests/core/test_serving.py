"""Who may be asked now, by group, rank and zone."""

from rwsplit._core.cluster.endpoint import Endpoint
from rwsplit._core.cluster.policies import POLICIES, round_robin
from rwsplit._core.cluster.server import Server
from rwsplit._core.cluster.serving import GroupPolicies, who_serves
from rwsplit._core.setup.options import ClusterOptions, GroupOptions

NOW = 1000.0


def replica(name, **place):
    return Server(Endpoint(name, name, 3306, **place), "mysql")


def names(endpoints):
    return [endpoint.name for endpoint in endpoints]


def test_who_rests_is_looked_at_again_when_the_first_rest_is_over():
    a, b, c = map(replica, "abc")
    assert who_serves([a, b, c], {}, None, NOW).look_at == 0.0
    a.rest(NOW, 0.5)
    a.rest(NOW, 0.5)
    b.rest(NOW, 0.5)
    serving = who_serves([a, b, c], {}, None, NOW)
    assert names(serving.in_group[None]) == ["c"]
    assert serving.look_at == b.rests_until
    later = who_serves([a, b, c], {}, None, serving.look_at)
    assert names(later.in_group[None]) == ["b", "c"]
    assert later.look_at == a.rests_until


def test_those_behind_in_rank_or_zone_are_spares_and_one_without_weight_is_none():
    near, far = replica("near", zone="north"), replica("far", zone="south")
    late, idle = replica("late", rank=1), replica("idle", weight=0)
    serving = who_serves([near, far, late, idle], {}, "north", NOW)
    assert names(serving.in_group[None]) == ["near"]
    assert names(serving.spares[None]) == ["far", "late"]


def test_a_group_that_serves_by_rule_only_is_no_candidate():
    groups = {
        "web": GroupOptions("web"),
        "reports": GroupOptions("reports", only_by_rule=True),
    }
    members = [replica("a", group="web"), replica("b", group="reports"), replica("c")]
    serving = who_serves(members, groups, None, NOW)
    assert {name: names(ends) for name, ends in serving.in_group.items()} == {
        "web": ["a"],
        "reports": ["b"],
        None: ["a", "c"],
    }


def test_the_policy_of_a_group_counts_where_nobody_else_serves():
    groups = {"web": GroupOptions("web", policy="random"), "reports": GroupOptions("reports")}
    policies = GroupPolicies(ClusterOptions(policy=round_robin, groups=groups))
    web, other = Endpoint("a", "a", 1, group="web"), Endpoint("b", "b", 1, group="reports")
    assert policies == {"web": POLICIES["random"]}
    assert policies.common([web, web]) is POLICIES["random"]
    assert policies.common([web, other]) is round_robin
    assert policies.common([other]) is round_robin
    assert policies.common([]) is round_robin
