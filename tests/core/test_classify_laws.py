"""Laws of the classifier, for texts at random. RWSPLIT_TEST_SECONDS makes them run longer."""

import os
import random
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rwsplit._core.sql.classify import Classifier, Dialect
from rwsplit._core.sql.lexer import scan
from rwsplit._core.sql.statement import Kind, Statement
from rwsplit._core.sql.wordlist import words
from tests.corpus import corpus

from .strategies import VERSIONS, noise, statements

SECONDS = float(os.environ.get("RWSPLIT_TEST_SECONDS", "10"))
LAWS = settings(
    max_examples=int(30 * SECONDS),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
CLASSIFIERS = {
    flavor: Classifier(Dialect.of(flavor, version)) for flavor, version in VERSIONS.items()
}


def core(statement: Statement) -> tuple[object, ...]:
    """What must not change; the reason and the parts may spell names as the text does."""
    return (
        statement.kind,
        statement.verb,
        statement.locks,
        statement.user_variables_written,
        statement.system_variables_written,
        statement.may_write,
        statement.transaction,
    )


# What a rewriting must leave as it is: quoted texts, comments, and words that stand right before
# a parenthesis or a dot, for there spacing has a meaning.
UNITS = re.compile(
    r"""/\*.*?\*/|(?:\#|--[ \n])[^\n]*\n?|@?`(?:[^`]|``)*`|@(?:'[^']*'|"[^"]*")|@@?[\w.$`]*"""
    r"""|(?:[xXbBnN]|_\w+)?(?:'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*")"""
    r"""|[\w$.]+\(?|:=|\s+|.""",
    re.DOTALL,
)


def rewritten(sql: str, seed: int) -> str:
    dice = random.Random(seed)
    out = []
    for unit in UNITS.findall(sql):
        if unit.isspace():
            out.append(noise(dice) if dice.random() < 0.7 else unit)
        elif unit.isascii() and unit.isalpha() and unit.upper() in CASELESS:
            out.append("".join(dice.choice((c.upper(), c.lower())) for c in unit))
        else:
            out.append(unit)
    return noise(dice) + "".join(out) + noise(dice)


CASELESS = words(
    "SELECT FROM WHERE FOR UPDATE LOCK IN SHARE MODE INSERT INTO SET VALUES DELETE AND OR LIMIT",
    "ORDER BY GROUP HAVING UNION ALL JOIN ON AS WITH BEGIN COMMIT ROLLBACK CALL CREATE TEMPORARY",
    "TABLE DROP ALTER SHOW EXPLAIN DESCRIBE USE START TRANSACTION READ ONLY OUTFILE DUMPFILE",
    "HANDLER OPEN CLOSE TABLES GLOBAL SESSION NEXT VALUE EXECUTE",
)


@LAWS
@given(statements(), st.integers(0, 2**32))
def test_case_spacing_and_comments_change_no_class(case, seed):
    flavor, sql = case
    if "\0" in sql or "/*!" in sql or "/*M!" in sql or "rwsplit" in sql:
        return
    before = CLASSIFIERS[flavor].statement(sql)
    if before.kind is Kind.UNKNOWN:
        return  # broken texts may break otherwise
    after = CLASSIFIERS[flavor].statement(rewritten(sql, seed))
    assert core(after) == core(before), rewritten(sql, seed)


@LAWS
@given(statements(), st.text(max_size=30))
def test_a_text_in_a_literal_or_comment_changes_no_class(case, text):
    flavor, sql = case
    before = CLASSIFIERS[flavor].statement(sql)
    if any(mark in text for mark in ("rwsplit", "maxscale", "hostgroup")):
        return
    quoted = text.replace("\\", "\\\\").replace("'", "''")
    for marker in ("'x'", "'a'"):
        if marker in sql and "/*" not in sql and "PREPARE" not in sql and "IMMEDIATE" not in sql:
            changed = sql.replace(marker, f"'{quoted}'")
            assert core(CLASSIFIERS[flavor].statement(changed)) == core(before), changed
    if before.kind is not Kind.UNKNOWN:
        comment = text.replace("*/", "").rstrip("*")
        if not comment.startswith(("!", "M!", "+")) and "/*!" not in f"/*{comment}":
            changed = f"/*{comment}*/{sql}"
            if "/*!" not in changed and "/*M!" not in changed:
                assert core(CLASSIFIERS[flavor].statement(changed)) == core(before), changed


@LAWS
@given(statements())
def test_a_query_in_parentheses_is_the_same_query(case):
    flavor, sql = case
    statement = CLASSIFIERS[flavor].statement(sql)
    if (
        statement.verb != "SELECT"
        or statement.parts
        or not re.match(r"select\b[^;#]*\Z", sql, re.I)
    ):
        return
    if "--" in sql or statement.kind in (Kind.UNKNOWN, Kind.FOLLOW_READ):
        return
    assert core(CLASSIFIERS[flavor].statement(f"({sql})")) == core(statement)


@LAWS
@given(st.one_of(st.text(), st.binary(), st.binary().map(bytearray)))
def test_no_text_raises(text):
    for classifier in CLASSIFIERS.values():
        assert isinstance(classifier.statement(text), Statement)
        if isinstance(text, str):
            classifier.template(text)


@pytest.mark.parametrize("flavor", sorted(VERSIONS))
def test_no_mutation_of_the_corpus_raises_or_takes_long(flavor):
    """For a while: texts cut, doubled, spliced and sprinkled with marks; steps are counted."""
    dice = random.Random(20261121)
    texts = [line.sql for line in corpus(flavor)]
    marks = ["'", '"', "`", "/*", "*/", "/*!", "-- ", "#", ";", "(", ")", "@", "\\", "\0", "é", "%"]
    classifier = CLASSIFIERS[flavor]
    until = time.monotonic() + SECONDS / 4
    while time.monotonic() < until:
        text = dice.choice(texts)
        for _ in range(dice.randrange(4)):
            at = dice.randrange(len(text) + 1)
            match dice.randrange(4):
                case 0:
                    text = text[:at] + dice.choice(marks) + text[at:]
                case 1:
                    text = text[:at]
                case 2:
                    text = text[:at] + dice.choice(texts) + text[at:]
                case _:
                    text = text[:at] + text[at + dice.randrange(5) :]
        scanned = scan(text, classifier.dialect)
        # Every step of the lexer takes at least one character.
        assert len(scanned) <= len(text) + 1
        assert isinstance(classifier.statement(text), Statement)
        classifier.template(text)


@pytest.mark.parametrize("wrong", [None, 1, 1.5, ["SELECT 1"], object()])
def test_what_is_no_text_is_a_type_error(wrong):
    with pytest.raises(TypeError, match="SQL must be str or bytes"):
        CLASSIFIERS["mysql"].statement(wrong)
