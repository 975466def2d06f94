"""Keywords that were checked before are not checked again, and nothing else is taken for them."""

import ssl

import pytest

from rwsplit._drivers.cursors import DictCursor
from rwsplit._shell import configured as module
from rwsplit._shell.configured import configured_for

GIVEN = {
    "host": "db1",
    "user": "ann",
    "password": "secret",
    "autocommit": True,
    "replicas": ["db2", {"host": "db3", "weight": 2}],
}


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(module, "_kept", ())
    monkeypatch.delenv("RWSPLIT_READS", raising=False)
    monkeypatch.delenv("RWSPLIT_CONFIG", raising=False)


def given(**others):
    return {**GIVEN, "replicas": ["db2", {"host": "db3", "weight": 2}], **others}


def test_the_same_keywords_are_checked_once():
    first = configured_for(given(), None)
    assert configured_for(given(), None) is first
    assert configured_for(given(cursorclass=DictCursor), None) is not first
    assert configured_for(given(), None) is first


@pytest.mark.parametrize(
    "others",
    [
        {"password": "another"},
        {"autocommit": 1},
        {"host": "db1.example"},
        {"database": None},
        {"replicas": ["db2"]},
        {"replicas": ["db2", {"host": "db3", "weight": 3}]},
    ],
    ids=str,
)
def test_others_are_others(others):
    first = configured_for(given(), None)
    assert configured_for(given(**others), None) is not first


def test_a_list_that_was_changed_is_another():
    keywords = given()
    first = configured_for(keywords, None)
    keywords["replicas"].append("db4")
    changed = configured_for(keywords, None)
    assert len(changed.options.replicas) == len(first.options.replicas) + 1


def test_what_is_wrong_is_wrong_each_time():
    for _ in range(2):
        with pytest.raises(ValueError, match="weight"):
            configured_for(given(replicas=[{"host": "db3", "weight": -1}]), None)


def test_the_environment_counts(monkeypatch):
    assert configured_for(given(), None).options.reads == "replicas"
    monkeypatch.setenv("RWSPLIT_READS", "primary")
    assert configured_for(given(), None).options.reads == "primary"


def test_a_context_is_itself_alone():
    first, second = (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(2))
    known = configured_for(given(ssl=first), None)
    assert configured_for(given(ssl=first), None) is known
    assert configured_for(given(ssl=second), None) is not known


@pytest.mark.parametrize(
    "others",
    [
        {"password": lambda: "token"},
        {"ssl": {"cipher": "AES256-SHA"}},
        {"policy": lambda candidates, turn, view: candidates[0]},
    ],
    ids=lambda others: next(iter(others)),
)
def test_what_may_mean_something_else_next_time_is_not_kept(others):
    """Nor are functions: who has them no more is not to be known by them."""
    configured_for(given(**others), None)
    assert not module._kept


def test_so_many_are_kept():
    for number in range(100):
        configured_for(given(user=f"user{number}"), None)
    assert len(module._kept) == 32


def test_no_password_is_shown():
    configured_for(given(), None)
    assert "secret" not in repr(module._kept)
    assert "secret" not in repr(vars(module))
