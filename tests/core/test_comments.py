"""Claim: a comment that says nothing changes nothing, and a text with a new one is a known text."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.sql import classify as module
from rwsplit._core.sql.classify import Classifier, Dialect
from rwsplit._core.sql.comments import bare
from rwsplit._core.sql.statement import Kind

from .strategies import VERSIONS, statements
from .test_classify_laws import LAWS

MODES = ("", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI", "IGNORE_SPACE")
MARKS = (
    *("/* x */", "/**/", "/***/", "/* 'x */", '/* " */', "/* ` */", "/* -- */", "/* \\ */"),
    *(
        "-- x\n",
        "-- x",
        "--x",
        "--",
        "# it's\n",
        "#",
        "--\x00",
        "-- x\x00y\n",
        "/* %s */",
        "-- %%\n",
    ),
    *("/*", "*/", "/*!", "/*M!", "/*!50000 x */", "/*!99999 /* y */ x */", "/*+ BKA(t) */"),
    *("/*+ `*/` */", "/* rwsplit: primary */", "-- RWSPLIT: replica\n", "/* rwsplit: nonsense */"),
    *(
        "# maxscale route to master\n",
        "/* hostgroup=1 */",
        "/* xhostgroup=1 */",
        "/*traceparent='0'*/",
    ),
    *(
        "'",
        '"',
        "`",
        "'/*'",
        '"-- "',
        "`#`",
        "'it''s'",
        r"'a\'b'",
        r'"\""',
        "\\",
        "$$",
        "\xa0",
        "\0",
    ),
    *(
        "%s",
        " %s ",
        "%(a)s",
        " %(a)s ",
        "%%",
        "%",
        "(",
        ")",
        ",",
        ";",
        " ",
        "\n",
        "=",
        "@'x'",
        "-",
        "/",
    ),
)


STATEMENTS = statements()


@st.composite
def templates(draw):
    flavor, text = draw(STATEMENTS)
    if draw(st.booleans()):
        text = text.replace("%", "%%").replace("'x'", "%s")
    for mark in draw(st.lists(st.sampled_from(MARKS), max_size=6)):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + mark + text[at:]
    return Dialect.of(flavor, VERSIONS[flavor], draw(st.sampled_from(MODES))), text


@LAWS
@given(templates())
def test_without_its_comments_a_template_is_the_same_statement(case):
    dialect, template = case
    emptied = bare(template, dialect)
    assert bare(emptied, dialect) == emptied
    expected = {Classifier(dialect)._template(template)}
    if None in expected and "%" not in emptied:
        # All that forbade it was a `%%` in a comment: the final text is as the emptied one.
        expected.add(Classifier(dialect).statement(template.replace("%%", "%")))
    assert Classifier(dialect)._template(emptied) in expected
    known = Classifier(dialect)
    assert len({known.template(template) for _ in range(3)} | expected) == len(expected)


@LAWS
@given(templates(), st.text(max_size=20))
def test_whatever_a_comment_says_the_template_is_known_as_the_same(case, said):
    dialect, template = case
    if "%" in said or any(mark in said.casefold() for mark in ("rwsplit", "maxscale", "hostgroup")):
        said = ""
    comment = said.replace("*/", "").rstrip("*")
    if comment.startswith(("!", "M!", "+")):
        comment = " "
    known = Classifier(dialect)
    assert known.known_as(f"/*{comment}*/{template} %s") == known.known_as(f"/*x*/{template} %s")
    line = said.replace("\n", "").replace("\0", "")
    assert known.known_as(f"-- {line}\n{template} %s") == known.known_as(f"# \n{template} %s")


@pytest.mark.parametrize(
    ("template", "known_as"),
    [
        ("SELECT %s /*traceparent='00-a'*/", "SELECT %s /**/"),
        ("/*action='x',route='%%2Fpolls'*/ SELECT %s", "/**/ SELECT %s"),
        ("SELECT a /* b */ -- c\nWHERE id = %s # d", "SELECT a /**/ /**/\nWHERE id = %s /**/"),
        ("SELECT %s -- /*! d */", None),
        ("SELECT '/* a */', \"-- b\", `#`, %s -- c", "SELECT '/* a */', \"-- b\", `#`, %s /**/"),
        (r"SELECT 'a\'/* b */', %s /* c */", r"SELECT 'a\'/* b */', %s /**/"),
        ("SELECT %s--1, 2 --a", None),
        ("SELECT %s /* never closed", None),
        ("SELECT %s 'never closed /* b */", None),
        ("SELECT %s /* never closed 'by /* this", None),
        ("SELECT /* %s */ 1", None),
        ("SELECT /*+ BKA(t) */ %s", None),
        ("SELECT /*!50000 a, */ %s", None),
        ("SELECT %s /* rwsplit: primary */", None),
        ("SELECT %s -- RwSplit: primary", None),
        ("SELECT %s /* maxscale route to slave */", None),
        ("SELECT %s /*;hostgroup=3*/", None),
        ("SELECT %s /* rwsplit: replica */ /* trace */", "SELECT %s /* rwsplit: replica */ /**/"),
    ],
)  # fmt: skip
def test_only_comments_that_say_nothing_are_emptied(template, known_as):
    known = Classifier(Dialect.of("mysql", "8.4.0"))
    assert known.known_as(template) == (template if known_as is None else known_as)


def test_an_escape_that_is_none_ends_the_string_before_the_comment():
    template = r"SELECT 'a\', %s /* b */, '"
    assert bare(template, Dialect.of("mysql")) == template
    plain = Dialect.of("mysql", sql_mode="NO_BACKSLASH_ESCAPES")
    assert bare(template, plain) == r"SELECT 'a\', %s /**/, '"


@pytest.mark.parametrize("name", ["#a", "-- a", "/*a", "a'b"])
def test_the_name_of_a_parameter_may_look_like_a_comment(name):
    template = f"SELECT %({name})s /* b */ FROM t"
    assert bare(template, Dialect.of("mysql")) == f"SELECT %({name})s /**/ FROM t"
    assert bare("SELECT %%(# a)s", Dialect.of("mysql")) == "SELECT %%(/**/"


def test_in_ansi_quotes_a_backslash_escapes_nothing():
    template = r'SELECT "a\", %s /* b */, "'
    assert bare(template, Dialect.of("mysql")) == template
    ansi = Dialect.of("mysql", sql_mode="ANSI_QUOTES")
    assert bare(template, ansi) == r'SELECT "a\", %s /**/, "'


@pytest.fixture
def readings(monkeypatch):
    """How many templates were read from their first letter on."""
    found = []
    representatives = module.representatives

    def counting(template, dialect):
        found.append(template)
        return representatives(template, dialect)

    monkeypatch.setattr(module, "representatives", counting)
    return found


@pytest.mark.parametrize(
    "shape",
    [
        "SELECT a FROM t WHERE id = %s /*traceparent='{}'*/",
        "/*traceparent='{}'*/ SELECT a FROM t WHERE id = %(id)s",
        "SELECT a /* {} */ FROM t WHERE id = %s -- {}",
        "# {}\nINSERT INTO t VALUES (%s, %s) /* rwsplit: primary */ /* {} */",
        "SELECT 'a%s' /* {} */",
    ],
)
def test_a_changing_comment_is_read_once(shape, readings):
    known = Classifier(Dialect.of("mysql", "8.4.0"))
    found = {known.template(shape.replace("{}", str(number))) for number in range(1000)}
    assert len(found) == 1
    assert len(readings) == 1
    assert len(known.templates) == 1


def test_a_comment_that_never_changes_costs_a_look_up():
    known = Classifier(Dialect.of("mysql", "8.4.0"))
    template = "SELECT a FROM t WHERE id = %s /* report */"
    for _ in range(2):
        known.template(template)
    assert known.templates[template] is known.templates[known.known_as(template)]


@pytest.mark.parametrize("encoded", [str, str.encode])
def test_a_text_without_parameters_is_kept_once_its_comment_is_seen_again(encoded):
    known = Classifier(Dialect.of("mysql", "8.4.0"))
    shape = "SELECT a FROM t WHERE id = 7 /*traceparent='{:055}',route='%2Fpolls'*/"
    found = {known.statement(encoded(shape.format(number))) for number in range(1000)}
    assert len(found) == 1
    assert not known.texts
    assert len(known._digests) == 1
    known.statement(encoded(shape.format(3)))
    assert [*known.texts] == [encoded(shape.format(3))]


def test_a_changing_hint_is_kept_once_it_is_seen_again():
    known = Classifier(Dialect.of("mysql", "8.4.0"))
    shape = "SELECT a FROM t WHERE id = %s /* rwsplit: max_staleness={} */"
    for number in range(1000):
        assert known.template(shape.format(number)).hint.max_staleness == number
    assert not known.templates
    known.template(shape.format(3))
    assert [*known.templates] == [shape.format(3)]


def test_a_text_without_comments_is_not_searched_for_them(monkeypatch):
    monkeypatch.setattr(module, "bare", None)
    known = Classifier(Dialect.of("mysql", "8.4.0"))
    statement = known.template("SELECT a - b / c FROM t WHERE id = %s")
    assert statement is not None
    assert statement.kind is Kind.READ


def test_a_demoted_statement_stays_demoted_under_other_comments():
    known = Classifier(Dialect.of("mysql", "8.4.0"))
    shape = "SELECT f FROM t WHERE id = %s /* {} */"
    assert known.template(shape.format(1)).kind is Kind.READ
    known.demote(shape.format(2) % 7, shape.format(2), "a replica refused it")
    assert known.template(shape.format(3)).kind is Kind.WRITE
    assert known.statement("SELECT f FROM t WHERE id = 8 /* 4 */").kind is Kind.WRITE


def test_changing_comments_leave_nothing_behind():
    known = Classifier(Dialect.of("mysql", "8.4.0"))
    shape = "SELECT a FROM t WHERE id = %s /*traceparent='{:055}'*/"
    for number in range(5000):
        known.template(shape.format(number))
    tracemalloc.start()
    for number in range(5000, 25_000):
        known.template(shape.format(number))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(known.templates) == 1
    # A set of hashes that is emptied when it is full; the texts alone would be 2 MB.
    assert kept < 500_000
