"""Whether a wait for a replica is worth its while: by what waits there have taken."""

from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.cluster.lag import PATIENCE_SECONDS, Detours, Lag

LAGS = st.floats(0.0, 0.2)
PRIMARY_SECONDS = 0.0004


def learned(seconds, waits=60):
    lag = Lag()
    for number in range(waits):
        lag.waited(0.0, seconds, number * 0.01)
    return lag


# How far a replica is behind.


def test_while_nothing_is_known_no_wait_is_expected():
    assert Lag().left(0.0) == 0.0


def test_the_first_wait_is_believed():
    assert learned(0.01, waits=1).left(0.0) == 0.01


def test_the_older_a_commit_the_shorter_its_wait():
    lag = learned(0.01)
    assert lag.left(0.004) < lag.left(0.0)
    assert lag.left(0.02) == 0.0


def test_one_hiccup_changes_little():
    lag = learned(0.001)
    lag.waited(0.0, 0.1, 1.0)
    assert lag.left(0.0) < PATIENCE_SECONDS / 2


@given(LAGS, LAGS)
def test_a_lag_that_changes_is_learned(before, after):
    lag = learned(before)
    for number in range(100):
        lag.waited(0.0, after, 1.0 + number)
    assert abs(lag.left(0.0) - after) <= 0.01 * max(before, after) + 1e-6


def test_who_came_late_does_not_tell_how_long_it_took():
    lag = learned(0.001)
    lag.waited(60.0, 0.0002, 1.0)
    assert lag.left(0.0) <= 0.0011


def test_who_came_early_enough_does():
    lag = learned(0.01)
    for number in range(60):
        lag.waited(0.002, 0.0002, number)
    assert lag.left(0.0) < 0.003


# Trials.


def test_a_trial_is_due_where_nobody_has_waited_for_long():
    lag = learned(0.1)
    assert not lag.is_due(1.0)
    for _ in range(4):
        lag.skip()
    assert lag.is_due(1.0)
    lag.missed(0.0, 0.005, 1.0)
    assert not lag.is_due(1.0)
    assert lag.is_due(60.0)


def test_a_trial_that_succeeds_is_believed():
    lag = learned(0.1)
    lag.found(0.001, 0.001, 1.0)
    assert lag.left(0.0) == 0.002


@given(st.floats(PATIENCE_SECONDS * 1.5, 0.1), st.integers(3000, 6000))
def test_trials_cost_little_of_what_is_saved(seconds, reads):
    """Right behind a commit each, at a lag that is not worth waiting for."""
    lag, now, spent = learned(seconds), 10.0, 0.0
    for _ in range(reads):
        if lag.left(0.0) <= PATIENCE_SECONDS:
            lag.waited(0.0, seconds, now)
            took = seconds
        elif lag.is_due(now):
            lag.missed(0.0, PATIENCE_SECONDS, now)
            took = PATIENCE_SECONDS + PRIMARY_SECONDS
        else:
            lag.skip()
            took = PRIMARY_SECONDS
        now += 0.001 + took
        spent += took
    assert spent <= 1.3 * reads * PRIMARY_SECONDS


# The primary's part.


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 5), st.booleans()), max_size=300),
    st.integers(0, 1 << 30),
)
def test_the_primary_serves_two_reads_for_each_commit_and_a_tenth_of_all(steps, turn):
    detours, commits, latest = Detours(), 0, object()
    first, taken = turn, 0
    for commits_before, turns, asks in steps:
        if commits_before:
            commits, latest = commits + 1, object()
        turn += turns
        taken += asks and detours.take(latest, turn)
    assert taken <= 22 + 2 * commits + 0.1 * (turn - first) + 1e-6


def test_a_read_behind_each_commit_may_go_there_for_ever():
    detours = Detours()
    assert all(detours.take(object(), turn) for turn in range(1000))


def test_reads_that_are_late_all_the_time_mostly_wait():
    detours, latest = Detours(), object()
    taken = sum(detours.take(latest, turn) for turn in range(1000))
    assert 100 <= taken <= 125


def test_the_slower_the_primary_the_longer_a_wait_may_take():
    detours = Detours()
    assert detours.patience == PATIENCE_SECONDS
    detours.note_primary(0.03)
    assert detours.patience == PATIENCE_SECONDS + 0.03
    detours.note_primary(0.001)
    assert detours.patience < PATIENCE_SECONDS + 0.0011
    detours.note_primary(0.5)
    assert detours.patience < PATIENCE_SECONDS + 0.03
