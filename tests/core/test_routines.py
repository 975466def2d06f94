"""Stored functions: a read only if declared so, and seen to be so."""

import pytest

from rwsplit._core.sql.classify import Classifier, Dialect
from rwsplit._core.sql.routines import Routine, with_functions
from rwsplit._core.sql.statement import Kind

MYSQL = Dialect.of("mysql", "8.4.0")
CLASSIFIER = Classifier(MYSQL)
READS = Routine("READS SQL DATA", "RETURN (SELECT MAX(v) FROM t)", database="shop")


def kind(sql, **known):
    statement = CLASSIFIER.statement(sql)
    return with_functions(statement, lambda name: known.get(name.replace(".", "_")), MYSQL).kind


def test_a_call_is_no_read_until_something_is_known_of_it():
    assert kind("SELECT f(1)") is Kind.PRIMARY_READ
    assert kind("SELECT f(1)", f=READS) is Kind.READ
    assert kind("SELECT f(1), g(2)", f=READS) is Kind.PRIMARY_READ
    assert kind("SELECT f(1), g(2)", f=READS, g="read") is Kind.READ


def test_the_configuration_decides_by_name():
    assert kind("SELECT f(1)", f="read") is Kind.READ
    assert kind("SELECT f(1)", f="write") is Kind.PRIMARY_READ
    assert kind("SELECT shop.f(1)", shop_f="read") is Kind.READ


def test_known_functions_do_not_outweigh_the_rest_of_the_statement():
    assert kind("SELECT f(1) FOR UPDATE", f="read") is Kind.PRIMARY_READ
    assert kind("SELECT f(1), GET_LOCK('a', 1)", f="read") is Kind.PRIMARY_READ
    assert kind("SELECT @a := f(1)", f="read") is Kind.PRIMARY_READ
    assert kind("INSERT INTO t SELECT f(1)", f="read") is Kind.WRITE
    assert kind("SELECT f(1) /* \0", f="read") is Kind.UNKNOWN
    assert kind("SELECT f(1); SELECT 2", f="read") is Kind.READ
    assert kind("SELECT f(1), FOUND_ROWS()", f="read") is Kind.FOLLOW_READ
    assert kind("SELECT f(1) /*!99999 FOR UPDATE */", f="read") is Kind.PRIMARY_READ


def test_afterwards_it_neither_writes_nor_changes_the_session():
    found = with_functions(CLASSIFIER.statement("SELECT f(1)"), lambda name: "read", MYSQL)
    assert not found.may_write
    assert not found.may_change_session
    assert "f" in found.reason


@pytest.mark.parametrize(
    "body",
    [
        "RETURN 1",
        "RETURN (SELECT COUNT(*) FROM t WHERE v = x)",
        "BEGIN DECLARE n, m INT DEFAULT 0; SELECT COUNT(*) INTO n FROM t; SET n = n + 1;"
        " RETURN n; END",
        "BEGIN IF x > 1 THEN RETURN 1; ELSE RETURN REPLACE('a', 'b', 'c'); END IF; END",
        "BEGIN DECLARE i INT DEFAULT 0; WHILE i < 3 DO SET i = i + 1; END WHILE; RETURN i; END",
        "BEGIN SET x = x + 1; RETURN x; END",
        "RETURN @a",
        "BEGIN SIGNAL SQLSTATE '45000'; RETURN 1; END",
    ],
)
def test_bodies_that_read(body):
    assert kind("SELECT f(1)", f=Routine("NO SQL", body, parameters=frozenset("x"))) is Kind.READ


@pytest.mark.parametrize(
    "body",
    [
        "BEGIN SET @a = 1; RETURN 1; END",
        "BEGIN DECLARE n INT; SET n = 1, @a = 2; RETURN 1; END",
        "BEGIN SELECT 1 INTO @a; RETURN 1; END",
        "RETURN (SELECT @a := 1)",
        "RETURN GET_LOCK('a', 1)",
        "RETURN (SELECT v FROM t LIMIT 1 FOR UPDATE)",
        "BEGIN INSERT INTO t VALUES (1); RETURN 1; END",
        "BEGIN UPDATE t SET v = 1; RETURN 1; END",
        "BEGIN DELETE FROM t; RETURN 1; END",
        "BEGIN CALL p(); RETURN 1; END",
        "BEGIN SET sql_mode = ''; RETURN 1; END",
        "BEGIN SET SESSION sql_mode = ''; RETURN 1; END",
        "BEGIN SET @@sql_mode = ''; RETURN 1; END",
        "BEGIN DO GET_LOCK('a', 1); RETURN 1; END",
        "BEGIN CREATE TEMPORARY TABLE a (b INT); RETURN 1; END",
        "RETURN LAST_INSERT_ID(5)",
        "RETURN /*! GET_LOCK('a', 1) */ 1",
        "RETURN other(1)",
        "RETURN 'never closed",
    ],
)
def test_bodies_that_do_more(body):
    assert kind("SELECT f(1)", f=Routine("NO SQL", body)) is Kind.PRIMARY_READ


def test_a_declaration_is_needed_and_not_enough_where_no_body_is_seen():
    assert kind("SELECT f(1)", f=Routine("READS SQL DATA")) is Kind.PRIMARY_READ
    assert kind("SELECT f(1)", f=Routine("READS SQL DATA", "RETURN 1")) is Kind.READ
    for access in ("MODIFIES SQL DATA", "CONTAINS SQL", ""):
        assert kind("SELECT f(1)", f=Routine(access, "RETURN 1")) is Kind.PRIMARY_READ


def test_calls_inside_bodies_are_followed_in_their_own_database():
    outer = Routine("READS SQL DATA", "RETURN inner_(x) + f(x)", database="shop")
    assert kind("SELECT f(1)", f=outer) is Kind.PRIMARY_READ
    assert kind("SELECT f(1)", f=outer, shop_inner_=READS, shop_f=outer) is Kind.READ


def test_what_the_catalogue_does_not_have_may_be_loadable():
    assert kind("SELECT f(1)", f=Routine(exists=False)) is Kind.PRIMARY_READ
    newer = Dialect.of("mysql", "9.7.4")
    statement = Classifier(newer).statement("SELECT MD5('a')")
    assert statement.kind is Kind.PRIMARY_READ
    found = with_functions(statement, lambda name: Routine(exists=False), newer)
    assert found.kind is Kind.READ
