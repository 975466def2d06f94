"""The classifier, from text alone."""

import pytest

from rwsplit._core.sql.classify import Classifier, Dialect
from tests.corpus import corpus

VERSIONS = {"mysql": "9.7.4", "mariadb": "10.11.19-MariaDB"}
LINES = [line for flavor in VERSIONS for line in corpus(flavor)]


def statement(sql, flavor="mysql", version=None, sql_mode=""):
    return Classifier(Dialect.of(flavor, version or VERSIONS[flavor], sql_mode)).statement(sql)


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.flavor}-{line.where}")
def test_the_corpus_has_the_kinds_that_it_says(line):
    found = statement(line.sql, line.flavor, sql_mode=line.sql_mode)
    assert found.kind is line.kind, f"{line.sql!r}: {found.kind} ({found.reason})"
    assert found.reason
