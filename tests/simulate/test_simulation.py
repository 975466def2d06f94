"""Schedules of a simulated cluster: rwsplit keeps what it promises, and the checks see it if not.

Each runs twice, with the straight roads open and closed, and nothing that an application gets may
differ. `RWSPLIT_TEST_SECONDS` says how long to look for a schedule that breaks a promise; one that
does is printed as small as it could be made, to be kept in `seeds.py`.
"""

from __future__ import annotations

import itertools
import os
from time import monotonic

import pytest

from rwsplit._core.cluster import place
from rwsplit._core.cluster.position import GtidSet, parse_position
from rwsplit._core.flows.choosing import Chooser

from . import __main__ as many
from .broken import Broken
from .gtids import Commit, Has, parse_wanted
from .mutants import MUTANTS, Mutant
from .plan import ClientPlan, Mishap, Plan, Step, make_plan
from .seeds import KEPT
from .shrink import broken_by, shrink
from .twice import run_twice
from .world import World, run

SECONDS = float(os.environ.get("RWSPLIT_TEST_SECONDS", "10"))
MOST = 1000
"""Of so many schedules, one must see a mutant."""


def test_no_schedule_breaks_a_promise():
    began, first = monotonic(), int(os.environ.get("RWSPLIT_TEST_SEED", "0"))
    for seed in itertools.count(first):
        plan = make_plan(seed)
        try:
            run_twice(plan)
        except Broken as broken:
            small, _ = shrink(plan)
            pytest.fail(f"seed {seed}: {broken}\n{small!r}")
        if monotonic() > began + SECONDS:
            break
    count, seconds = seed - first + 1, monotonic() - began
    print(f"{count} schedules, each twice: {2 * count / seconds:.0f} runs a second")


@pytest.mark.parametrize("plan", KEPT.values(), ids=KEPT.keys())
def test_a_schedule_that_broke_a_promise_breaks_it_no_more(plan):
    run_twice(plan)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
def test_a_guard_that_is_taken_away_is_missed(mutant: Mutant, monkeypatch):
    mutant.apply(monkeypatch)
    checks = set()
    kept = [KEPT[mutant.kept]] if mutant.kept else []
    for plan in (*kept, *map(make_plan, (mutant.seed, *range(MOST)))):
        checks.add(_seen_by(plan, mutant))
        if checks.intersection(mutant.checks):
            return
    pytest.fail(f"nobody sees that it is gone; seen were {checks}")


def _seen_by(plan: Plan, mutant: Mutant) -> str | None:
    if "straight" in mutant.checks:
        return broken_by(plan)
    try:
        run(plan, mutant.goes_straight)
    except Broken as broken:
        return broken.check
    except Exception as mistake:  # what is left of a guard may be a mistake in itself
        return type(mistake).__name__
    return None


@pytest.mark.parametrize("seed", range(6))
def test_the_same_seed_gives_the_same_transcript(seed):
    one, other = run(make_plan(seed)), run(make_plan(seed))
    assert one.transcript == other.transcript
    assert len(one.transcript) > 10


def test_a_plan_prints_what_makes_it_again():
    names = {"Plan": Plan, "ClientPlan": ClientPlan, "Mishap": Mishap, "Step": Step}
    plan = make_plan(7)
    assert eval(repr(plan), names) == plan


def test_replicas_serve_most_reads():
    where = [
        line[3]
        for seed in range(40)
        for line in run(make_plan(seed)).transcript
        if line[2] == "read" and "transaction" not in line[5]
    ]
    assert where.count("primary") < 0.35 * len(where)


def test_statements_take_the_straight_roads():
    worlds = [run(make_plan(seed)) for seed in range(20)]
    assert all(sum(client.roads.taken for client in world.clients) for world in worlds[:1])
    assert sum(client.roads.taken for world in worlds for client in world.clients) > 200
    assert not sum(client.roads.taken for client in run(make_plan(0), False).clients)


def test_a_plan_that_fails_is_made_smaller(monkeypatch):
    mutant = MUTANTS[0]
    mutant.apply(monkeypatch)
    plan = make_plan(mutant.seed)
    check = broken_by(plan)
    small, _ = shrink(plan, tries=150)
    assert broken_by(small) == check
    assert _size(small) < _size(plan) / 2


def _run_many(arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["", *arguments.split()])
    return many.main()


def test_many_schedules_run_on_all_cores(monkeypatch, capsys):
    assert _run_many("--schedules 5 --workers 2", monkeypatch) == 0
    assert capsys.readouterr().out.startswith("5 schedules: ")


@pytest.mark.parametrize("goes_on", [False, True])
def test_many_schedules_tell_of_one_that_breaks_a_promise(goes_on, monkeypatch, capsys):
    mutant = MUTANTS[0]
    mutant.apply(monkeypatch)
    plans = {0: make_plan(0)._replace(clients=()), 1: make_plan(mutant.seed)}
    monkeypatch.setattr(many, "make_plan", lambda seed: plans[min(seed, 1)])
    monkeypatch.setattr(many, "shrink", lambda plan: (plan, 0))
    arguments = "--schedules 3 --workers 1" + " --keep-going" * goes_on
    assert _run_many(arguments, monkeypatch) == 1
    told = capsys.readouterr().out.splitlines()
    seeds = [line.partition(":")[0] for line in told if line.startswith("seed")]
    assert seeds == (["seed 1", "seed 2"] if goes_on else ["seed 1"])
    assert repr(plans[1]) in told


def _size(plan: Plan) -> int:
    steps = sum(len(client.steps) for client in plan.clients)
    return steps + len(plan.mishaps) + len(plan.others)


@pytest.mark.parametrize("late", [False, True])
def test_the_first_commit_after_a_pause_may_be_missed(late):
    """The limit that the documentation names: the model shows it where it is asked to."""
    reads = ClientPlan("session", False, True, None, (Step(0.005, "read"),) * 150)
    slow = Mishap(0.0, "slow", 1, 0.1)
    plan = Plan(0, "mysql", 2, (reads,), (slow,), (0.2, 0.35, 0.5, 0.65, 0.8))
    broken = set()
    for seed in range(40):
        try:
            World(plan._replace(seed=seed), tells_first_late=late).run()
        except Broken as each:
            broken.add(each.check)
    assert broken == ({"monotonic"} if late else set())


@pytest.mark.parametrize(("check", "first"), [("own writes", "write"), ("monotonic", "read")])
def test_what_a_session_knows_itself_counts_while_nobody_knows_the_primary(
    check, first, monkeypatch
):
    steps = (Step(0.2, first, "", 2), Step(0.31, "read"), *(Step(0.01, "read"),) * 25)
    fails_over = Mishap(0.01, "stall", 1, 1.0), Mishap(0.3, "fail over", 0, 0.3)
    client = ClientPlan("session", False, False, None, steps)
    world = World(Plan(0, "mysql", 2, (client,), (*fails_over, Mishap(2.0, "slow", 1)), (0.05,)))
    has = Chooser.has

    def forgets(chooser, replica, needed):
        return has(chooser, replica, needed) or not world.knows_primary

    monkeypatch.setattr(Chooser, "has", forgets)
    with pytest.raises(Broken) as caught:
        world.run()
    assert caught.value.check == check


# The model's own arithmetic.


def test_the_model_prints_gtids_as_servers_do():
    uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    has = Has("mysql", [Commit(1 << n, uuid, n) for n in (3, 1, 7, 2, 8)])
    assert has.text == f"{uuid}:1-3:7-8"
    assert parse_position("mysql", has.text) == GtidSet.parse(f"{uuid}:1-3:7-8")
    assert has.covers(parse_wanted(f"{uuid}:1-2:8"))
    assert not has.covers(parse_wanted(f"{uuid}:1-4"))
    assert has.mask.bit_count() == 5


def test_a_wait_on_the_models_mariadb_goes_by_numbers():
    has = Has("mariadb", [Commit(1, "1", 1), Commit(2, "2", 2)])
    assert (has.text, has.history) == ("0-2-2", "0-1-1,0-2-2,0-2-2")
    assert has.covers(parse_wanted("0-1-2"))
    assert not has.covers(parse_wanted("0-1-3"))


def test_the_model_tells_no_later_than_rwsplit_believes():
    from .server import _LATE_TOLD

    assert _LATE_TOLD < place.UNTOLD_SECONDS
