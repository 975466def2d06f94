"""Whom to ask about the statement before."""

import pytest

from rwsplit._core.session.followed import Followed
from rwsplit._core.sql.classify import classifier
from rwsplit._core.sql.dialect import Dialect


class Member:
    asked = False

    def __init__(self, name):
        self.name = name

    def note_asked(self, asked=True):
        self.asked = asked

    def __repr__(self):
        return self.name


def of(flavor, sql):
    return classifier(Dialect.of(flavor, None, "")).statement(sql)


@pytest.fixture(params=["mysql", "mariadb"])
def flavor(request):
    return request.param


@pytest.fixture
def primary():
    return Member("primary")


@pytest.fixture
def replica():
    return Member("replica")


@pytest.fixture
def followed(primary, flavor):
    return Followed(primary, flavor)


def test_nothing_that_ran_was_on_the_primary(followed, primary):
    assert {followed.source(topic) for topic in ("found_rows", "row_count", "warnings")} == {
        primary
    }


def test_a_read_is_what_all_three_are_about(followed, replica, flavor):
    followed.note_result(replica, of(flavor, "SELECT v FROM t"), True, 0)
    assert {followed.source(topic) for topic in ("found_rows", "row_count", "warnings")} == {
        replica
    }


def test_a_set_leaves_the_count_of_rows_alone(followed, primary, replica, flavor):
    followed.note_result(replica, of(flavor, "SELECT v FROM t"), True, 0)
    followed.note_result(primary, of(flavor, "SET @a = 1"), False, 0)
    assert followed.source("found_rows") is replica
    assert followed.source("row_count") is primary
    # MariaDB's list of warnings outlives what uses no table.
    assert followed.source("warnings") is (replica if flavor == "mariadb" else primary)


def test_what_was_told_is_a_number_until_another_statement_counts(followed, replica, flavor):
    followed.note_result(replica, of(flavor, "SELECT v FROM t"), True, 0)
    followed.note_counts((3, -1), ["found_rows", "row_count"])
    assert followed.source("found_rows") == 3
    assert followed.source("row_count") == -1
    followed.note_result(replica, of(flavor, "SELECT id FROM t"), True, 0)
    assert followed.source("found_rows") is replica
    assert followed.source("row_count") is replica


def test_who_counts_is_not_known_behind_a_failure_that_may_have_counted(followed, replica, flavor):
    read = of(flavor, "SELECT v FROM t")
    followed.note_failed(replica, read, 1054)
    assert followed.source("found_rows") is not None
    followed.note_failed(replica, read, 1242)
    assert followed.source("found_rows") is None


def test_a_question_of_ours_changes_the_count(followed, replica, flavor):
    followed.note_result(replica, of(flavor, "SELECT v FROM t"), True, 0)
    followed.check_count()
    assert followed.source("found_rows") is replica
    replica.asked = True
    followed.check_count()
    assert followed.source("found_rows") is None
    assert not replica.asked


def test_a_member_that_could_not_be_asked_leaves_nobody_who_knows(followed, replica, flavor):
    followed.note_result(replica, of(flavor, "SELECT v FROM t"), True, 0)
    followed.note_counts(None, ["found_rows"])
    assert followed.source("found_rows") is None


def test_what_was_not_sent_counts_no_rows(followed, primary, replica, flavor):
    followed.note_result(replica, of(flavor, "SELECT v FROM t"), True, 0)
    followed.note_skipped(primary, skipped=True)
    followed.note_counts((3, 17), ["found_rows", "row_count"])
    assert followed.source("row_count") == 0
    followed.note_skipped(primary, skipped=False)
    assert followed.source("row_count") == 0


def test_warnings_are_kept_until_a_statement_clears_them(followed, replica, flavor):
    followed.keep_warnings(0, 0, [], [])
    assert followed.kept_warnings is None
    followed.keep_warnings(2, 1, ["Level"], [("Error",), ("Warning",)])
    assert followed.source("warnings") == 2
    followed.note_result(replica, of(flavor, "SELECT v FROM t"), True, 0)
    assert followed.kept_warnings is None
    assert followed.source("warnings") is replica


def test_a_lost_primary_takes_along_what_it_knew(followed, primary, replica, flavor):
    followed.note_result(replica, of(flavor, "SELECT v FROM t"), True, 0)
    followed.note_counts((3, -1), ["found_rows"])
    followed.note_skipped(primary, skipped=True)
    followed.forget(primary)
    assert not followed.skipped
    assert not followed.told
    assert followed.source("found_rows") is primary


def test_what_create_table_has_read_may_count_behind_the_next_write(
    followed, primary, replica, flavor
):
    followed.note_result(replica, of(flavor, "SELECT v FROM t"), True, 0)
    followed.note_result(primary, of(flavor, "CREATE TABLE made AS SELECT id FROM t"), False, 0)
    assert followed.source("found_rows") is (replica if flavor == "mysql" else primary)
    followed.note_result(primary, of(flavor, "SET @a = 1"), False, 0)
    followed.note_result(primary, of(flavor, "INSERT INTO t VALUES (1, 2)"), False, 0)
    assert followed.source("found_rows") is (None if flavor == "mysql" else primary)
