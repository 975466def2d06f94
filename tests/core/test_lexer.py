"""The lexer: what it keeps of a text, and that its work is linear in the text's length."""

import gc
import sys
from re import _constants as sre
from re import _parser as sre_parse

import pytest

from rwsplit._core.sql import comments, lexer, templates
from rwsplit._core.sql.classify import Classifier
from rwsplit._core.sql.dialect import Dialect
from rwsplit._core.sql.lexer import NAME, ODD, USERVAR, WORD, scan, tokens

MYSQL = Dialect.of("mysql", "9.7.4")


def digest(sql, dialect=MYSQL):
    return " ".join(scan(sql, dialect)[:-1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 1", "SELECT  'a' -- c"),
        ("SELECT 1", "/* c */ SELECT\n0xFF"),
        ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b=X'41'"),
        ("SELECT 1.5", "SELECT .5e-3"),
        ("a IN (1, 2, 3)", "a IN ('x')"),
        ("INSERT INTO t VALUES (1, 'a', NULL)", "INSERT INTO t VALUES (1,2,3), (4, 5,NULL)"),
        ("INSERT INTO t VALUES (1, -2)", "INSERT INTO t VALUES (1,2),(-3,4)"),
        ("SELECT _binary'a'", "SELECT _binary 'b'"),
        ("SELECT 'it''s'", 'SELECT "x\\""'),
    ],
)
def test_literals_spacing_and_comments_do_not_tell_digests_apart(one, other):
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a", "SELECT A"),
        ("SELECT @a", "SELECT @b"),
        ("SELECT @'a'", "SELECT @'b'"),
        ("SELECT NOW()", "SELECT NOW ()"),
        ("SELECT `a b`", "SELECT `a  b`"),
        ("SELECT 1FOR", "SELECT 1 FOR"),
        ("SELECT f(1)", "SELECT f()"),
        ("SELECT 1", "SELECT"),
        ("SELECT a.b", "SELECT a. b"),
        ("SELECT x'41'", "SELECT x '41'"),
        ("SELECT 1, (SELECT 2)", "SELECT 1, 2"),
    ],
)
def test_all_else_does(one, other):
    assert digest(one) != digest(other)


def kinds(sql, dialect=MYSQL):
    return [(token.kind, token.text) for token in tokens(scan(sql, dialect), dialect)]


def test_names_are_unquoted_and_words_folded():
    assert kinds("select `a``b`") == [(WORD, "SELECT"), (NAME, "a`b")]
    assert kinds("@`A``b`") == [(USERVAR, "a`b")]


def test_a_word_joined_to_a_dot_is_no_keyword():
    assert kinds("FROM.t")[0][0] == NAME
    assert kinds("t.FOR")[2] == (NAME, "FOR")


@pytest.mark.parametrize("sql", ["'a", '"a', "`a", "`a``", "/* a", "a 'b\\'", "\0", "1 \\ 2"])
def test_what_never_closes_and_stray_bytes_are_odd(sql):
    assert any(kind == ODD for kind, _ in kinds(sql))


def test_ansi_quotes_make_names():
    dialect = Dialect.of("mysql", "9.7.4", "ANSI_QUOTES")
    assert kinds('"a""b"', dialect) == [(NAME, 'a"b')]


_WORDS = [
    "POINT(",
    "f(a,",
    "f(a, b) AS (",
    "SET STATEMENT a=1 FOR ",
    "EXPLAIN ",
    "WITH c AS (",
    "@@a.",
    "FROM t,",
    "SELECT ",
    "a . ",
    "SET @a = 1,",
    "CREATE FUNCTION f() BEGIN;",
    "/* rwsplit: primary */",
    "/* maxscale ",
    "INTO @a,",
    "(SELECT",
    "XA ",
    "SHOW ",
    "BEGIN;",
]
HOSTILE = [
    *_WORDS,
    "'",
    "\\'",
    "`",
    '"',
    "/*",
    "/*!",
    "*/",
    "--",
    "-- ",
    "#",
    "@",
    "@@",
    ".",
    "1.",
    "1e",
    "0x",
    "(",
    "1,",
    "1),(",
    "(1,",
    "a.",
    "a(",
    "_a'",
    "x'",
    " ",
    "\n",
    "NULL,",
    "1, NULL",
    "%s",
    "é",
    "\xa0",
    ";",
    "/**/",
    "/*+'",
    "''",
    "/*!99999 /* */ ",
]


def repeats(pattern):
    """Every repetition in a parsed expression: (its operator, how often at most)."""
    for operator, argument in pattern:
        if operator in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            yield operator, argument[1]
        if operator == sre.BRANCH:
            for branch in argument[1]:
                yield from repeats(branch)
        elif isinstance(argument, tuple):
            for part in argument:
                if isinstance(part, sre_parse.SubPattern):
                    yield from repeats(part)


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
@pytest.mark.parametrize("mode", ["", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "IGNORE_SPACE"])
def test_no_expression_gives_back_what_it_took(flavor, mode):
    """So none can take more than a few steps for a character, whatever the text."""
    dialect = Dialect.of(flavor, "11.4.2", mode)
    expressions = (
        lexer._scanner(dialect),
        comments._units(dialect),
        comments._SKIPPED,
        templates._units(dialect),
    )
    for expression in expressions:
        found = list(repeats(sre_parse.parse(expression.pattern, expression.flags)))
        assert found
        assert all(kind == sre.POSSESSIVE_REPEAT or most <= 8 for kind, most in found)


def steps(run):
    """How many lines of Python a call executes: counted, for time is noise."""
    count = 0

    def line(frame, event, argument):
        nonlocal count
        count += 1
        return line

    before = sys.gettrace()
    gc.disable()  # what it runs would be counted
    sys.settrace(line)
    try:
        run()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_the_steps_of_a_first_sight_grow_with_the_length_and_not_faster(piece, flavor):
    def first_sight(length, start):
        classifier = Classifier(Dialect.of(flavor, "11.4.2"))
        text = start + piece * (length // len(piece))
        return steps(lambda: (classifier.statement(text), classifier.template(text)))

    # Expressions are compiled, and modules imported, when first needed: not the text's doing.
    first_sight(100, "SELECT /*! 1 */ /* rwsplit: primary */ %s ")
    for start in ("SELECT ", ""):
        first_sight(4000, start)
        assert first_sight(4000, start) < 5 * first_sight(1000, start) + 200


def test_sixteen_megabytes():
    text = "INSERT INTO t VALUES ('" + "a\\'" * (16 * 1024 * 1024 // 3) + "')"
    assert len(scan(text, MYSQL)) == 8
