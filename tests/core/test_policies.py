"""The policies: always a candidate, by weight, nobody starved, and no herd."""

import doctest
import random
from collections import Counter
from itertools import pairwise
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwsplit._core.cluster import figures, policies
from rwsplit._core.cluster.endpoint import Endpoint
from rwsplit._core.cluster.figures import Figures, View, peak_ewma
from rwsplit._core.cluster.policies import POLICIES, narrow

LAWS = settings(deadline=None, max_examples=50)

COUNTED = {
    "least_mysql_connected_connections": "connected",
    "least_mysql_running_connections": "running",
}
BY_CHANCE = [
    *("random", "least_inuse_connections", "least_response_time", "least_behind_primary"),
    *COUNTED,
]
"""Policies that go by weight alone when nothing is known, one draw at a time."""

seconds = st.floats(0, 1e9)
counts = st.integers(0, 10**6)
known = st.builds(Figures, counts, counts, counts, seconds, seconds)
weights = st.lists(st.integers(0, 5), min_size=1, max_size=6)
dice = st.floats(0, 1, exclude_max=True)


def ends(*weights):
    return tuple(
        Endpoint(f"r{number}", "db", 1 + number, weight=weight)
        for number, weight in enumerate(weights)
    )


def view(known=(), key="", dice=None):
    names = [f"r{number}" for number in range(len(known))]
    return View(dict(zip(names, known, strict=True)), dice or random.Random(5).random, key)


def reads(name, candidates, known=(), count=4000, key=""):
    """The part of `count` reads that each candidate gets."""
    seen = view(known, key)
    taken = Counter(POLICIES[name](candidates, turn, seen).name for turn in range(count))
    return [taken[candidate.name] / count for candidate in candidates]


PLACES = 1000


def parts(name, loads, weights=None):
    """The same by a figure alone and exactly: the dice fall on each of so many places once."""
    candidates = ends(*(weights or [1] * len(loads)))
    places = iter([(place + 0.5) / PLACES for place in range(PLACES)])
    seen = view([Figures(**{COUNTED[name]: load}) for load in loads], dice=places.__next__)
    taken = Counter(POLICIES[name](candidates, 0, seen).name for _ in range(PLACES))
    return [taken[end.name] / PLACES for end in candidates]


@pytest.mark.parametrize("module", [figures, policies])
def test_the_examples_hold(module):
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(module).attempted > 1


@pytest.mark.parametrize("name", POLICIES)
@LAWS
@given(
    weights,
    st.integers(0, 10**9),
    st.dictionaries(st.sampled_from([f"r{number}" for number in range(8)]), known),
    st.lists(dice, min_size=3, max_size=3),
    st.sampled_from(["", "42", "ü"]),
)
def test_a_candidate_is_taken_and_of_weight_0_none_beside_others(
    name, some, turn, known, dice, key
):
    candidates = ends(*some)
    chosen = POLICIES[name](candidates, turn, View(known, iter(dice).__next__, key))
    assert chosen in candidates
    assert chosen.weight or not any(some)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("late", [float("inf"), float("nan"), 1e300])
def test_figures_that_make_no_sense_do_not_raise_nor_stick(name, late):
    found = reads(name, ends(1, 1, 1), [Figures(latency=late, behind=late)] * 3)
    assert min(found) > 0.2


@pytest.mark.parametrize("name", [*BY_CHANCE, "round_robin", "weighted_round_robin"])
@pytest.mark.parametrize("some", [(1, 2, 3), (5, 1), (1, 0, 1), (0, 0), (1, 1, 1, 1)])
def test_reads_are_shared_by_weight_when_all_else_is_equal(name, some):
    wanted = [weight / sum(some) if any(some) else 1 / len(some) for weight in some]
    alike = [Figures(1000, 50 * weight, 0, 0.01, 0.2) for weight in some]
    for known in ([], alike):
        assert reads(name, ends(*some), known) == pytest.approx(wanted, abs=0.03)


def test_a_heavier_server_may_run_more_and_need_not_have_more_connections():
    connected, running = COUNTED
    by_weight = pytest.approx([0.25, 0.75], abs=0.001)
    assert parts(running, [100, 300], [1, 3]) == parts(connected, [100, 300], [1, 3]) == by_weight
    assert parts(running, [300, 300], [1, 3])[0] < 0.2
    assert parts(connected, [300, 300], [1, 3]) == by_weight
    assert parts(connected, [600, 300], [1, 3])[0] < 0.22


@LAWS
@given(weights.filter(any), st.integers(0, 10**6))
def test_turns_are_even_wherever_they_are_counted_from(some, start):
    candidates = ends(*some)
    turns = range(start, start + 300)
    taken = Counter(POLICIES["round_robin"](candidates, turn, view()) for turn in turns)
    for candidate in candidates:
        assert taken[candidate] == pytest.approx(300 * candidate.weight / sum(some), abs=5)


@pytest.mark.parametrize("count", [2, 3, 4, 10])
def test_statements_that_alternate_both_reach_every_replica(count):
    candidates = ends(*[1] * count)
    taken = [POLICIES["round_robin"](candidates, turn, view()) for turn in range(20 * count)]
    assert set(taken[::2]) == set(taken[1::2]) == set(candidates)
    for start in range(0, len(taken), count):
        assert set(taken[start : start + count]) == set(candidates)


# Hashing.

KEYS = [f"session {number}" for number in range(3000)]


def homes(candidates):
    return [POLICIES["consistent_hash"](candidates, 3, view(key=key)).name for key in KEYS]


def test_a_key_is_at_home_at_the_same_endpoint_in_every_process():
    """And of every version: an application may count on what is cached there."""
    assert "".join(name[-1] for name in homes(ends(1, 1, 1))[:24]) == "012020012211122211221012"


def test_only_the_keys_of_a_replica_that_left_move():
    all_four = ends(1, 2, 1, 1)
    before = homes(all_four)
    for gone in all_four:
        after = homes(tuple(end for end in all_four if end is not gone))
        moved = Counter(new for old, new in zip(before, after, strict=True) if old != new)
        assert moved.total() == before.count(gone.name)
        assert len(moved) == 3  # and not all to one


def test_a_new_replica_takes_its_part_and_nothing_else_moves():
    before, after = homes(ends(1, 1, 1, 1)), homes(ends(1, 1, 1, 1, 1))
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"r4"}
    assert len(moved) / len(KEYS) == pytest.approx(1 / 5, abs=0.03)


@pytest.mark.parametrize("some", [(1, 1, 1), (1, 2, 5), (3, 0, 1), (0, 0)])
def test_keys_are_shared_by_weight(some):
    taken = Counter(homes(ends(*some)))
    wanted = [weight / sum(some) if any(some) else 1 / len(some) for weight in some]
    found = [taken[f"r{number}"] / len(KEYS) for number in range(len(some))]
    assert found == pytest.approx(wanted, abs=0.03)


def test_more_weight_only_draws_keys():
    before, after = homes(ends(1, 1, 1)), homes(ends(1, 1, 2))
    assert {new for old, new in zip(before, after, strict=True) if old != new} == {"r2"}


def test_without_a_key_reads_are_spread():
    assert reads("consistent_hash", ends(1, 1, 1, 1)) == [0.25] * 4
    assert max(reads("consistent_hash", ends(1, 1, 1, 1), key="42")) == 1


# Figures.


@pytest.mark.parametrize("name", COUNTED)
@LAWS
@given(st.lists(st.integers(0, 2000), min_size=2, max_size=8))
def test_the_more_a_server_has_the_less_it_gets_and_idling_earns_no_more_than_the_weight(
    name, loads
):
    place = 1.01 / PLACES
    found = sorted(zip(loads, parts(name, loads), strict=True), key=lambda pair: pair[0])
    assert all(more >= less - place for (_, more), (_, less) in pairwise(found))
    fair = [part for load, part in found if load <= fmean(loads)]
    assert max(fair) - min(fair) <= place
    assert found[-1][1] >= max(fair) / len(loads) - place  # nobody starves


@pytest.mark.parametrize("name", COUNTED)
def test_a_server_with_more_than_chance_makes_of_it_gets_less(name):
    assert parts(name, [56, 50, 47, 47]) == pytest.approx([0.25] * 4, abs=0.001)
    assert parts(name, [100, 50, 50, 50])[0] < 0.2
    assert parts(name, [10, 500]) == pytest.approx([0.64, 0.36], abs=0.01)


def poisson(mean, dice):
    """A count, near enough."""
    return max(round(dice.gauss(mean, mean**0.5)), 0)


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("each", [2, 10, 100, 1000])
def test_a_fleet_that_looks_all_at_once_does_not_herd(name, each):
    """Each interval's reads are the next one's figures; first all run on one server."""
    dice = random.Random(3)
    loads, peaks = [10 * each] + [0] * 9, []
    for _ in range(25):
        found = parts(name, loads)
        peaks.append(max(found) * 10)
        loads = [poisson(10 * each * part, dice) for part in found]
    assert peaks[0] < 1.15
    assert fmean(peaks[1:]) < 1.05
    assert max(peaks[1:]) < 1.15


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("each", [10, 100, 1000])
def test_a_server_that_others_load_twice_as_much_keeps_getting_less(name, each):
    dice = random.Random(3)
    found, kept = [0.1] * 10, []
    for _ in range(25):
        ours = [poisson(10 * each * part, dice) for part in found]
        others = [poisson(2 * each * (2 if number == 0 else 1), dice) for number in range(10)]
        found = parts(name, [mine + theirs for mine, theirs in zip(ours, others, strict=True)])
        kept.append(found[0] * 10)
    assert 0.6 < fmean(kept) < 0.9


def test_own_statements_go_where_the_fewest_run_for_the_weight():
    few, more, most = Figures(in_use=1), Figures(in_use=2), Figures(in_use=5)
    assert reads("least_inuse_connections", ends(1, 1, 1), [most, few, more]) == [0, 1, 0]
    assert reads("least_inuse_connections", ends(1, 5), [few, more]) == [0, 1]
    found = reads("least_inuse_connections", ends(1, 1, 2), [few, most, more])
    assert found == pytest.approx([1 / 3, 0, 2 / 3], abs=0.03)


def test_wescales_name_of_it_is_understood():
    assert POLICIES["least_tablet_inuse_connections"] is POLICIES["least_inuse_connections"]


def test_the_faster_of_two_is_preferred_the_more_the_faster_it_is():
    def slow_part(times):
        known = [Figures(latency=0.01), Figures(latency=0.01 * times)]
        return reads("least_response_time", ends(1, 1), known, 20000)[1]

    found = [slow_part(times) for times in (1, 1.05, 1.5, 2, 10)]
    assert found == pytest.approx([0.5, 0.454, 0.222, 0.125, 0.005], abs=0.01)
    assert found[-1] > 0  # it is still asked now and then, so that a recovery is seen


def test_no_server_gets_twice_its_part_for_being_fast():
    known = [Figures(latency=0.0001)] + [Figures(latency=0.01)] * 3
    assert reads("least_response_time", ends(1, 1, 1, 1), known)[0] < 0.51


def test_what_runs_there_counts_as_time():
    known = [Figures(latency=0.01, in_use=3), Figures(latency=0.03)]
    assert reads("least_response_time", ends(1, 1), known)[1] > 0.6


def test_a_latency_that_is_not_known_yet_counts_as_the_others():
    for other in (0.0001, 10.0):
        found = reads("least_response_time", ends(1, 1), [Figures(latency=other)])
        assert found == pytest.approx([0.5, 0.5], abs=0.03)
    found = reads("least_response_time", ends(1, 1), [Figures(latency=0.01), Figures(in_use=1)])
    assert found == pytest.approx([0.875, 0.125], abs=0.03)


def test_seconds_behind_count_and_tenths_hardly():
    def part(behind):
        known = [Figures(behind=behind), Figures(behind=0.0)]
        return reads("least_behind_primary", ends(1, 1), known)[0]

    assert part(0.2) == pytest.approx(0.49, abs=0.03)
    assert part(2) == pytest.approx(1 / 6, abs=0.03)
    assert 0 < part(10) < 0.02


def test_a_server_whose_age_is_not_known_is_not_taken_for_a_fresh_one():
    known = [Figures(), Figures(behind=0.3)]
    assert reads("least_behind_primary", ends(1, 1), known)[0] == 0
    assert reads("least_behind_primary", ends(3, 1), [])[0] == pytest.approx(0.75, abs=0.03)


# What a round trip takes.


@given(st.floats(1e-6, 10), st.floats(1e-6, 10), st.floats(-1, 1e4))
def test_a_peak_counts_at_once_and_fades(old, sample, since):
    found = peak_ewma(old, sample, since)
    if sample >= old or since <= 0:
        assert found == max(old, sample)
    else:
        assert sample <= found <= old
        assert peak_ewma(old, sample, since + 1) <= found * (1 + 1e-12)


# Tiers and zones.


zones = st.sampled_from([None, "north", "south"])


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), zones), max_size=6),
    st.sampled_from([None, "north", "south", "west"]),
)
def test_the_lowest_rank_comes_first_then_the_own_zone(some, zone):
    candidates = [
        Endpoint(f"r{number}", "db", 1, weight=weight, rank=rank, zone=own)
        for number, (weight, rank, own) in enumerate(some)
    ]
    found = narrow(candidates, zone)
    weighty = [end for end in candidates if end.weight] or candidates
    tier = [end for end in weighty if end.rank == min(other.rank for other in weighty)]
    near = [end for end in tier if zone and end.zone == zone]
    assert list(found) == (near or tier)


def test_a_tier_or_zone_that_has_only_weight_0_is_passed_over():
    drained = Endpoint("a", "db", 1, weight=0, zone="north")
    far = Endpoint("b", "db", 2, zone="south")
    spare = Endpoint("c", "db", 3, rank=1, zone="north")
    assert narrow((drained, far, spare), "north") == (far,)
    assert narrow((drained, spare), "north") == (spare,)
    assert narrow((drained,), "south") == (drained,)
