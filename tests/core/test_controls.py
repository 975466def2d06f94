"""rwsplit's own variables: what is read of SET, SELECT and SHOW, and what is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.cluster.policies import POLICIES
from rwsplit._core.sql.classify import classifier
from rwsplit._core.sql.controls import (
    CONTROLS,
    Control,
    ControlError,
    Pick,
    Show,
    read_pick,
    read_set,
    read_show,
)
from rwsplit._core.sql.dialect import Dialect

MYSQL = Dialect.of("mysql")
ANSI = Dialect.of("mysql", None, "ANSI_QUOTES")
POLICY, RATIO = "read_write_splitting_policy", "read_write_splitting_ratio"
LEVEL, TIMEOUT = "read_after_write_consistency", "read_after_write_timeout"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (f"SET @@{POLICY} = 'random'", (POLICY, False, "random")),
        (f"set session {POLICY}='RANDOM' ;", (POLICY, False, "random")),
        (f"SET LOCAL {POLICY} := Random", (POLICY, False, "random")),
        (f"SET {POLICY} = disable", (POLICY, False, "disable")),
        (f"SET @@session.{POLICY} = DEFAULT", (POLICY, False, None)),
        (f"SET GLOBAL {POLICY} = 'random'", (POLICY, True, "random")),
        (f"SET @@global.{RATIO} = 70", (RATIO, True, 70)),
        (f"SET @@`{RATIO}` = 0 -- none", (RATIO, False, 0)),
        (f"/* all */ SET `{RATIO}` = +100", (RATIO, False, 100)),
        (f'SET {LEVEL} = "Instance"', (LEVEL, False, "INSTANCE")),
        (f"SET {TIMEOUT.upper()} = 0.25", (TIMEOUT, False, 0.25)),
    ],
)
def test_set_is_read(sql, expected):
    assert read_set(sql, MYSQL) == (Control(*expected),)


def test_several_are_set_at_once_and_a_scope_holds_for_those_behind_it():
    sql = (
        f"SET GLOBAL {POLICY} = 'random', {RATIO} = 5, SESSION {TIMEOUT} = 1, @@{LEVEL} = 'GLOBAL'"
    )
    assert read_set(sql, MYSQL) == (
        Control(POLICY, True, "random"),
        Control(RATIO, True, 5),
        Control(TIMEOUT, False, 1),
        Control(LEVEL, False, "GLOBAL"),
    )


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize(
    "value", ["NULL", "@a", "(SELECT 1)", "CONCAT('ran', 'dom')", "", "1 + 1", "-'x'"]
)
def test_what_is_no_value_has_the_wrong_type(name, value):
    with pytest.raises(ControlError) as caught:
        read_set(f"SET {name} = {value}", MYSQL)
    number, text = caught.value.args
    if value == "NULL" and name in (POLICY, LEVEL):
        assert number == 1231
    else:
        assert (number, text) == (1232, f"Incorrect argument type to variable '{name}'")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (POLICY, "'fastest'"),
        (POLICY, "1"),
        (POLICY, "''"),
        (RATIO, "101"),
        (RATIO, "-1"),
        (LEVEL, "'STRONG'"),
        (LEVEL, "-1"),
        (TIMEOUT, "0"),
        (TIMEOUT, "-0.5"),
        (TIMEOUT, "99999999999"),
    ],
)
def test_a_bad_value_is_1231(name, value):
    with pytest.raises(ControlError) as caught:
        read_set(f"SET {name} = {value}", MYSQL)
    assert caught.value.args[0] == 1231
    assert f"'{name}'" in caught.value.args[1]


@pytest.mark.parametrize("value", ["'70'", "1.5", "ON"])
def test_a_ratio_is_a_whole_number(value):
    with pytest.raises(ControlError) as caught:
        read_set(f"SET {RATIO} = {value}", MYSQL)
    assert caught.value.args[0] == 1232


@pytest.mark.parametrize(
    "sql",
    [
        f"SET {RATIO} = 5, time_zone = '+00:00'",
        f"SET @a = 1, {RATIO} = 5",
        f"SET NAMES utf8mb4, {RATIO} = 5",
        f"SET PERSIST {RATIO} = 5",
        f"SET @@persist_only.{RATIO} = 5",
    ],
)
def test_they_are_not_set_beside_others_and_not_kept(sql):
    with pytest.raises(ControlError) as caught:
        read_set(sql, MYSQL)
    assert caught.value.args[0] == 1235


@pytest.mark.parametrize(
    "sql",
    [
        "SET time_zone = '+00:00'",
        f"SET @{POLICY} = 'random'",
        f"SET @a = '{POLICY}'",
        f"SET @a = (SELECT {POLICY} FROM t)",
        f"SELECT {POLICY} FROM t",
        f"UPDATE t SET {POLICY} = 'random'",
        "SET",
        "",
        "SET PASSWORD = 'x'",
    ],
)
def test_all_else_is_left_alone(sql):
    assert read_set(sql, MYSQL) is None
    assert read_pick(sql, MYSQL) is None
    assert read_show(sql, MYSQL) is None


def test_quotes_are_names_under_ansi_quotes():
    assert read_set(f"SET \"{POLICY}\" = 'random'", ANSI) == (Control(POLICY, False, "random"),)
    assert read_set(f'SET {POLICY} = "random"', ANSI) == (Control(POLICY, False, "random"),)


def test_select_is_read():
    assert read_pick(f"SELECT @@{POLICY}", MYSQL) == (Pick(f"@@{POLICY}", POLICY, False),)
    assert read_pick(f"select @@global.{RATIO} as r, @@{LEVEL} l LIMIT 1", MYSQL) == (
        Pick("r", RATIO, True),
        Pick("l", LEVEL, False),
    )
    assert read_pick(f"SELECT @@{POLICY}, 1", MYSQL) is None
    assert read_pick(f"SELECT @@{POLICY} FROM t", MYSQL) is None
    assert read_pick(f"SELECT @@persist.{POLICY}", MYSQL) is None
    assert read_pick("SELECT @@time_zone", MYSQL) is None


def test_show_is_read():
    assert read_show("SHOW VARIABLES", MYSQL) == Show(CONTROLS, False, alone=False)
    assert read_show(f"SHOW GLOBAL VARIABLES LIKE '{RATIO}'", MYSQL) == Show(
        (RATIO,), True, alone=True
    )
    assert read_show("show variables like 'READ_WRITE_%'", MYSQL).names == (POLICY, RATIO)
    assert read_show(r"SHOW VARIABLES LIKE 'read\_write\_splitting\_ratio'", MYSQL) == Show(
        (RATIO,), False, alone=True
    )
    assert read_show(f"SHOW VARIABLES WHERE `Variable_name` = '{LEVEL}'", MYSQL).names == (LEVEL,)
    assert read_show("SHOW VARIABLES LIKE 'time_zone'", MYSQL) is None
    assert read_show("SHOW VARIABLES WHERE Value = 'x'", MYSQL) is None
    assert read_show("SHOW STATUS", MYSQL) is None


@given(st.text(max_size=60))
def test_no_text_breaks_it(text):
    for sql in (text, f"SET {POLICY} = {text}", f"SELECT @@{text}", f"SHOW VARIABLES {text}"):
        try:
            read_set(sql, MYSQL)
        except ControlError as error:
            assert error.args[0] in (1231, 1232, 1235)
        read_pick(sql, MYSQL)
        read_show(sql, MYSQL)


@given(st.sampled_from([*POLICIES]), st.sampled_from(["SET @@", "SET SESSION ", "SET "]))
def test_the_classifier_lets_none_pass_by(policy, form):
    known = classifier(MYSQL)
    for sql in (
        f"{form}{POLICY} = '{policy}'",
        f"SELECT @@{POLICY}",
        "SHOW VARIABLES",
        f"SHOW VARIABLES LIKE '{RATIO}'",
        f"SET GLOBAL {RATIO} = 5",
    ):
        statement = known.statement(sql)
        assert statement.controls
        assert not statement.plain
    assert not known.statement("SELECT 1").controls
