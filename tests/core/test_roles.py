"""Who is the primary, told from what each server was seen to be."""

import doctest

import pytest

from rwsplit._core.cluster import roles
from rwsplit._core.cluster.roles import Sight, find_primary

UP = Sight("old", reached=True, is_writable=True)
GONE = Sight("old", reached=False, is_writable=True)
DEMOTED = Sight("old", reached=True, is_writable=False, was_read_only=True)
UNSEEN = Sight("old", reached=None)
REPLICA = Sight("new", reached=True, is_writable=False, was_read_only=True)
PROMOTED = Sight("new", reached=True, is_writable=True, was_read_only=True)
ALWAYS_WRITABLE = Sight("new", reached=True, is_writable=True)
STRAY = ALWAYS_WRITABLE._replace(is_stray=True)
OTHER = Sight("other", reached=True, is_writable=False, was_read_only=True)


@pytest.mark.parametrize(
    ("old", "new", "primary"),
    [
        (UP, REPLICA, "old"),
        (UP, PROMOTED, "old"),  # nobody has fenced the old one
        (GONE, REPLICA, "old"),
        (GONE, PROMOTED, "new"),
        (GONE, ALWAYS_WRITABLE, "old"),
        (GONE, PROMOTED._replace(replicates=True), "old"),
        (GONE, PROMOTED._replace(reached=False), "old"),
        (DEMOTED, REPLICA, "old"),
        (DEMOTED, PROMOTED, "new"),
        (DEMOTED, ALWAYS_WRITABLE, "new"),
        (DEMOTED, STRAY, "old"),
        (UNSEEN, PROMOTED, "old"),
    ],
)
def test_a_replica_is_the_primary_only_when_it_was_seen_to_become_it(old, new, primary):
    assert find_primary("old", [old, new, OTHER]) == primary


@pytest.mark.parametrize("old", [GONE, DEMOTED])
def test_of_two_that_could_be_it_none_is(old):
    two = [PROMOTED, OTHER._replace(is_writable=True)]
    assert find_primary("old", [old, *two]) == "old"


def test_the_examples_are_right():
    assert doctest.testmod(roles).failed == 0
    assert doctest.testmod(roles).attempted
