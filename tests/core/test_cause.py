"""Every statement has the cause that its kind and its reason stand for."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

import rwsplit
from rwsplit import Cause
from rwsplit._core.cause import ASIDE, Reason, none_usable, not_split

CAUSES = [
    ("SELECT 1 FROM t", Cause.READ),
    ("SHOW TABLES", Cause.READ),
    ("EXPLAIN SELECT 1 FROM t", Cause.READ),
    ("SELECT 1; SELECT 2", Cause.READ),
    ("INSERT INTO t VALUES (1)", Cause.WRITE),
    ("SELECT 1; DELETE FROM t", Cause.WRITE),
    ("CALL p()", Cause.WRITE),
    ("SELECT 1 INTO OUTFILE '/tmp/x'", Cause.WRITE),
    ("SET GLOBAL max_connections = 9", Cause.WRITE),
    ("SELECT 1 FROM t FOR UPDATE", Cause.LOCK),
    ("SELECT * FROM (SELECT 1 FROM t LOCK IN SHARE MODE) x", Cause.LOCK),
    ("SELECT GET_LOCK('a', 1)", Cause.LOCK),
    ("DO RELEASE_LOCK('a')", Cause.PRIMARY_ONLY),
    ("LOCK TABLES t READ", Cause.LOCK),
    ("UNLOCK TABLES", Cause.LOCK),
    ("LOCK INSTANCE FOR BACKUP", Cause.LOCK),
    ("SET @a = 1", Cause.SESSION),
    ("USE db", Cause.SESSION),
    ("PREPARE s FROM 'SELECT 1'", Cause.SESSION),
    ("DEALLOCATE PREPARE s", Cause.SESSION),
    ("BEGIN", Cause.TRANSACTION),
    ("START TRANSACTION READ ONLY", Cause.TRANSACTION),
    ("ROLLBACK TO SAVEPOINT a", Cause.TRANSACTION),
    ("XA START 'x'", Cause.TRANSACTION),
    ("SET TRANSACTION READ ONLY", Cause.TRANSACTION),
    ("SELECT FOUND_ROWS()", Cause.FOLLOWS),
    ("SHOW WARNINGS", Cause.FOLLOWS),
    ("SELECT LAST_INSERT_ID()", Cause.PRIMARY_ONLY),
    ("SELECT @a := 1", Cause.PRIMARY_ONLY),
    ("SHOW PROCESSLIST", Cause.PRIMARY_ONLY),
    ("SELECT * FROM performance_schema.threads", Cause.PRIMARY_ONLY),
    ("EXPLAIN DELETE FROM t", Cause.PRIMARY_ONLY),
    ("HELP 'x'", Cause.READ),
    ("SELECT f(1)", Cause.FUNCTION),
    ("SELECT 1; SELECT f(1)", Cause.FUNCTION),
    ("SELECT f(1) FOR UPDATE", Cause.LOCK),
    ("", Cause.NOT_UNDERSTOOD),
    ("FROBNICATE", Cause.NOT_UNDERSTOOD),
    ("SELECT 'x", Cause.NOT_UNDERSTOOD),
    ("SHOW FROBS", Cause.NOT_UNDERSTOOD),
    ("SELECT /*!99999 f(1), */ 1 FROM t /*!50000 FOR UPDATE */", Cause.LOCK),
]


@pytest.mark.parametrize(("sql", "cause"), CAUSES)
def test_cause_of_a_text(sql: str, cause: Cause) -> None:
    assert rwsplit.classify(sql, "mysql", "9.7.0").cause is cause


def test_there_are_few_and_each_says_what_it_means() -> None:
    assert len(Cause) <= 30
    assert "Cause" in rwsplit.__all__
    assert [*Cause] == [Cause(cause.value) for cause in Cause]


def test_a_reason_keeps_its_cause_in_copies_and_in_other_words() -> None:
    reason = Reason("why", Cause.LOCK)
    for kept in (pickle.loads(pickle.dumps(reason)), copy.deepcopy(reason), reason.reworded("x")):
        assert kept.cause is Cause.LOCK
    assert reason == "why"


def test_what_switches_splitting_off() -> None:
    found = [
        not_split(True, "replicas", False, False),
        not_split(False, "primary", True, True),
        not_split(True, "primary", True, False),
        not_split(True, "primary", False, False),
        not_split(True, "replicas", False, True),
    ]
    assert [each and each.cause for each in found] == [
        None,
        Cause.NO_REPLICAS,
        Cause.SWITCHED_OFF,
        Cause.SWITCHED_OFF,
        Cause.SWITCHED_OFF,
    ]
    assert len({*found[2:]}) == 3


def test_why_none_is_usable() -> None:
    assert none_usable({"a": ASIDE}).cause is Cause.REPLICA_ERROR
    assert none_usable({"a": ASIDE, "b": "resting"}).cause is Cause.UNFIT
    assert none_usable({}).cause is Cause.NO_REPLICAS
    assert none_usable({"a": "resting", "b": "resting"}).cause is Cause.UNREACHABLE
    mixed = none_usable({"a": "resting", "b": "stalled"})
    assert mixed.cause is Cause.UNFIT
    assert "b is stalled" in mixed


def test_the_documentation_has_every_cause() -> None:
    page = (Path(__file__).parents[2] / "docs" / "routing.md").read_text()
    listed = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert [each for each in listed if each in set(Cause)] == [cause.value for cause in Cause]
