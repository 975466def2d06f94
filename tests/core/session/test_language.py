"""How a session's texts are read: by its sql_mode, its character set and its server."""

import pytest

from rwsplit._core.cluster.position import GtidList, GtidSet
from rwsplit._core.session.language import Language
from rwsplit._core.session.state import State
from rwsplit._core.sql.statement import Kind


class Topology:
    version = "8.4.0"


@pytest.fixture(params=["mysql", "mariadb"])
def state(request):
    return State(GtidSet() if request.param == "mysql" else GtidList(), "shop")


@pytest.fixture
def language(state):
    return Language(state, Topology())


def test_a_text_is_read_where_nobody_has_looked_before(language):
    assert language.statement("SELECT v FROM t").kind is Kind.READ


def test_the_mode_counts_once_it_was_looked_at(language, state):
    sql = 'SELECT "v" = @a FROM t'
    language.look()
    before = language.dialect
    state.set_variable("sql_mode", "ANSI_QUOTES")
    assert language.dialect is before
    language.look()
    assert language.dialect.ansi_quotes
    language.statement(sql)


def test_the_character_set_counts_too(language, state):
    language.look()
    before = language.dialect
    state.set_variable("character_set_client", "sjis")
    language.look()
    assert language.dialect != before


def test_other_variables_do_not(language, state):
    language.look()
    before = language.classifier
    state.set_variable("time_zone", "UTC")
    language.look()
    assert language.classifier is before


def test_two_sessions_that_read_alike_share_what_reads(state):
    one, other = Language(state, Topology()), Language(state, Topology())
    assert one.classifier is other.classifier


def test_the_flavor_is_the_primary_s(language, state):
    assert language.dialect.flavor == state.origin.flavor


def test_equal_texts_are_read_once(language):
    assert language.statement("SELECT 1") is language.statement("SELECT 1")


@pytest.mark.parametrize("made", [bytes, bytearray])
def test_bytes_are_read_as_texts_are(language, made):
    statement = language.statement(made(b"SELECT v FROM t"))
    assert statement.kind is Kind.READ
    assert statement.tables


def test_a_template_is_known_for_the_text_that_it_made(language):
    template, sql = "SELECT v FROM t WHERE id = %s", "SELECT v FROM t WHERE id = 1"
    found = language.statement(sql, (template, sql))
    again = "SELECT v FROM t WHERE id = 2"
    assert language.statement(again, (template, again)) is found


def test_a_text_without_parameters_is_no_template(language):
    """Where its comment is another one each time, none of it is kept."""
    texts = [f"SELECT v FROM t /* trace {number} */" for number in range(100)]
    for sql in texts:
        assert language.statement(sql, (sql, sql)).kind is Kind.READ
    known = language.classifier
    assert not {*known.templates, *known.texts} & {*texts}


def test_a_template_of_another_text_does_not_count(language):
    statement = language.statement("DELETE FROM t", ("SELECT v FROM t WHERE id = %s", "other"))
    assert statement.kind is Kind.WRITE


@pytest.mark.parametrize("template", [["no text"], 7, b"SELECT %s"])
def test_what_is_no_template_is_read_from_the_text(language, template):
    sql = "SELECT v FROM t"
    assert language.statement(sql, (template, sql)).kind is Kind.READ
