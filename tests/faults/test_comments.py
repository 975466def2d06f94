"""Claim: a comment that is new in each statement costs no new reading of it and changes no answer.

Tracing puts one into every text. What a comment asks for still counts: ours, other proxies', and
the servers' executable ones. The right rows are plain PyMySQL's on the primary.
"""

import itertools

import pymysql
import pytest

from rwsplit._core.sql import classify as module

TRACE = "traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-{:016x}-01'"

# {} is another text in every statement.
READS = [
    ("SELECT v FROM t WHERE id = %s /*{}*/", (1,)),
    ("/*{}*/ SELECT v FROM t WHERE id = %(id)s", {"id": 2}),
    ("SELECT v /* {} */ FROM t WHERE id = %s", (3,)),
    ("SELECT v FROM t WHERE id = %s -- {}", (1,)),
    ("SELECT v FROM t # {}\nWHERE id = %s", (1,)),
    ("SELECT v FROM t WHERE id IN %s /*{}*/ ORDER BY id", ((1, 2),)),
    ("SELECT '/* a */', \"-- x\", `v` FROM t WHERE id = %s -- ' {}", (1,)),
    ("SELECT 'it\\'s /*', v, '*/' FROM t WHERE id = %s /* {} */", (1,)),
    ("SELECT v, %s--1 FROM t WHERE id = 1 /*{}*/", (1,)),
    ("WITH c AS (SELECT v FROM t /*{}*/ WHERE id > %s) SELECT COUNT(*) FROM c /*{}*/", (1,)),
    ("SELECT v FROM t WHERE id = %s /*{},route='%%2Fpolls'*/", (2,)),
    ("SELECT COUNT(/*{}*/*) FROM t WHERE id < %s", (3,)),
    ("SELECT MAX(v) FROM t WHERE id < %s /*** {} ***//**/", (3,)),
]
COUNT = itertools.count(1)


def traced(shape):
    return shape.replace("{}", TRACE.format(next(COUNT)))


def run(cursor, sql, args=None):
    """Rows or the error's number: what the application sees."""
    try:
        cursor.execute(sql, args)
    except pymysql.MySQLError as error:
        return error.args[0]
    return cursor.fetchall()


@pytest.fixture
def plain(cluster, table):
    with cluster.connect(cluster.primary) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)")
        cluster.wait_caught_up()
        yield cursor


@pytest.fixture
def readings(monkeypatch):
    """The templates that were read from their first letter on."""
    found = []
    representatives = module.representatives

    def counting(template, dialect):
        found.append(template)
        return representatives(template, dialect)

    monkeypatch.setattr(module, "representatives", counting)
    return found


@pytest.mark.parametrize(("shape", "args"), READS)
def test_a_read_with_a_new_comment_is_a_known_read(connect, plain, readings, shape, args):
    cursor = connect().cursor()
    run(cursor, traced(shape), args)
    readings.clear()
    for _ in range(5):
        sql = traced(shape)
        assert run(cursor, sql, args) == run(plain, sql, args)
        assert cursor.route.role == "replica"
    assert readings == []


@pytest.mark.parametrize(
    ("shape", "role"),
    [
        ("SELECT v FROM t WHERE id = %s /* rwsplit: primary */ /*{}*/", "primary"),
        ("/*{}*/ SELECT v FROM t WHERE id = %s -- RWSPLIT: PRIMARY", "primary"),
        ("SELECT v FROM t WHERE id = %s /*{} rwsplit: primary*/", "replica"),
        ("SELECT v FROM t WHERE id = %s # rwsplit: primary\n /*{}*/", "primary"),
        ("SELECT v FROM t WHERE id = %s /*! FOR UPDATE */ /*{}*/", "primary"),
        ("SELECT v FROM t WHERE id = %s /*{}*/ FOR /*{}*/ UPDATE", "primary"),
        ("SELECT v FROM t WHERE id = %s -- {}\nLOCK IN SHARE MODE", "primary"),
        ("SELECT v FROM t WHERE id = %s /* ' {} */ FOR UPDATE -- '", "primary"),
        ("SELECT '\\' /* x', v FROM t WHERE id = %s FOR UPDATE -- */", "primary"),
        ("SELECT v FROM t WHERE id = %s -- /* {}\nFOR UPDATE -- */", "primary"),
        ("SELECT v FROM t WHERE id = %s # '{}'\nFOR UPDATE", "primary"),
        ("SELECT 1 /*!99999 /* {} */ */ FROM t WHERE id = %s FOR UPDATE", "primary"),
    ],
)
def test_what_a_comment_says_or_hides_still_counts(connect, plain, shape, role):
    cursor = connect().cursor()
    for _ in range(4):
        sql = traced(shape)
        assert run(cursor, sql, (1,)) == run(plain, sql, (1,))
        assert cursor.route.role == role


def test_a_parameter_in_a_comment_is_no_comment(connect, plain):
    """What is put in may end it, so the final text is read, each time."""
    cursor = connect().cursor()
    for name, role in (("a", "replica"), ("*/ FOR UPDATE -- ", "primary"), ("b", "replica")):
        sql = traced("SELECT v FROM t WHERE id = 1 /* %s */ /*{}*/")
        if cluster_reads := run(plain, sql, (name,)):
            assert run(cursor, sql, (name,)) == cluster_reads
        assert cursor.route.role == role


def test_backslashes_that_escape_nothing(connect, plain):
    """Under this sql_mode the string ends before the comment, and FOR UPDATE is code."""
    cursor = connect().cursor()
    for each in (cursor, plain):
        each.execute("SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')")
    for _ in range(3):
        sql = traced("SELECT '\\', v FROM t WHERE id = %s /*{}*/ FOR UPDATE -- '")
        assert run(cursor, sql, (1,)) == run(plain, sql, (1,))
        assert cursor.route.role == "primary"
        sql = traced("SELECT '\\', v /* {} */ FROM t WHERE id = %s")
        assert run(cursor, sql, (2,)) == run(plain, sql, (2,))
        assert cursor.route.role == "replica"


def test_writes_with_new_comments_are_writes(connect, plain, readings):
    cursor = connect().cursor()
    shapes = ("INSERT INTO t VALUES (%s, 0) /*{}*/", "/*{}*/ DELETE FROM t WHERE id > %s")
    for number in range(10, 14):
        for shape in shapes:
            cursor.execute(traced(shape), (number,))
            assert cursor.route.role == "primary"
        assert run(cursor, traced("SELECT COUNT(*) FROM t WHERE id > %s /*{}*/"), (3,)) == (
            run(plain, "SELECT COUNT(*) FROM t WHERE id > 3")
        )
    assert len(readings) <= len(shapes) + 1


@pytest.mark.parametrize(
    ("shape", "args"),
    [
        ("SELECT v FROM t WHERE id = %s /*{}*/", (1,)),
        ("SELECT v FROM t WHERE id = 1 /*{}*/", None),
        ("-- {}\nSELECT v FROM t WHERE id = %(id)s", {"id": 1}),
    ],
)
def test_what_transactions_go_on_to_do_is_learned_under_changing_comments(
    connect, plain, shape, args
):
    connection = connect(autocommit=False)
    cursor = connection.cursor()
    roles = []
    for _ in range(12):
        cursor.execute(traced(shape), args)
        roles.append(cursor.route.role)
        cursor.execute("UPDATE t SET v = v + 1 WHERE id = 1")
        connection.commit()
        plain.connection.commit()
    assert roles[0] == "replica" or "primary" in roles
    assert roles[-1] == "primary"


def test_the_templates_of_a_process_stay_bounded(connect, plain):
    connection = connect()
    cursor = connection.cursor()
    templates = connection._session.language.classifier.templates
    cursor.execute(traced("SELECT v FROM t WHERE id = %s /*{}*/"), (1,))
    before = len(templates)
    for _ in range(200):
        cursor.execute(traced("SELECT v FROM t WHERE id = %s /*{}*/"), (1,))
    assert len(templates) == before
