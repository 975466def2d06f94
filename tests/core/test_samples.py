"""Where the primary was and when: how old a replica is, told without a privilege."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.cluster.position import GtidSet
from rwsplit._core.cluster.samples import Samples

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def upto(number):
    return GtidSet.parse(f"{UUID}:1-{number}") if number else GtidSet()


def noted(*moments):
    """One sample a moment: at second N the primary has N transactions."""
    samples = Samples()
    for moment in moments:
        samples.note(upto(moment), float(moment))
    return samples


def test_nothing_is_known_without_samples():
    samples = Samples()
    assert samples.last is None
    assert samples.since(0.0) is None
    assert samples.of_age(10.0, 5.0) is None
    assert samples.behind(upto(1), 5.0) == inf


def test_samples_are_some_time_apart():
    samples = Samples()
    samples.note(upto(1), 1.0)
    samples.note(upto(2), 1.05)
    assert samples.last == upto(1)
    samples.note(upto(3), 1.1)
    assert samples.last == upto(3)


def test_a_replica_is_as_old_as_the_first_sample_that_it_lacks():
    samples = noted(*range(1, 11))
    assert samples.behind(upto(10), 10.5) == 0.0
    assert samples.behind(upto(9), 10.5) == 0.5
    assert samples.behind(upto(4), 10.5) == 5.5
    assert samples.behind(GtidSet(), 10.5) == 9.5


def test_what_is_asked_for_by_age_stays_young_enough_for_a_while():
    samples = noted(*range(1, 11))
    assert samples.of_age(3.0, 10.5) == upto(8)
    # The youngest has used up half of its time.
    assert samples.of_age(3.0, 11.6) is None
    assert samples.of_age(3.0, 11.4) == upto(9)
    assert samples.since(8.5) == upto(9)
    assert samples.since(10.5) is None


def test_another_primary_begins_anew():
    samples = noted(1, 2)
    samples.clear()
    assert samples.last is None
    samples.note(upto(1), 2.0)
    assert samples.last == upto(1)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=30), st.integers(0, 40))
def test_who_has_more_is_never_older(steps, number):
    moments = [sum(steps[: at + 1]) for at in range(len(steps))]
    samples, now = noted(*moments), moments[-1] + 1.0
    age = samples.behind(upto(number), now)
    assert samples.behind(upto(number + 1), now) <= age
    # The primary was past it so long ago, and not before.
    if age:
        assert now - age in moments
        assert all(moment <= number for moment in moments if moment < now - age)
    else:
        assert number >= moments[-1]


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=30),
    st.integers(0, 40),
    st.floats(0.5, 60.0),
)
def test_a_replica_that_has_what_was_asked_for_by_age_is_no_older(steps, later, seconds):
    moments = [sum(steps[: at + 1]) for at in range(len(steps))]
    samples, now = noted(*moments), float(moments[-1] + later)
    position = samples.of_age(seconds, now)
    if position is None:
        assert moments[-1] < now - seconds / 2
    else:
        assert samples.behind(position, now) <= seconds


def test_they_take_no_memory_without_end():
    samples = noted(*range(1, 1000))
    assert samples.since(0.0) == upto(400)
