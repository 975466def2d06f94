"""What a session asks the primary for of itself, and what it makes of the answers."""

import pytest

from rwsplit._core.flows.command import Ask
from rwsplit._core.flows.reading_back import ask_users, reading_back, report_sql
from rwsplit._core.session.state import LARGEST_VALUE
from rwsplit._core.wire import Fault

from .harness import OK, House, Result, asks, fails, lost, rows


@pytest.fixture
def house():
    return House()


def back(house, *script, statement=None, **others):
    def ask(questions):
        return (yield from Ask(house.primary, questions))

    if statement is not None:
        statement = house.statement(statement)
    house.run(reading_back(house.state, ask, statement, **others), *script)


def test_where_all_is_known_nothing_is_asked(house):
    back(house)


def test_variables_are_asked_for_at_once(house):
    house.state.doubt_variable("time_zone")
    house.state.doubt_variable("sort_buffer_size")
    back(
        house,
        asks(
            Ask,
            [rows(b"1024", b"UTC")],
            statements=[
                "SELECT CAST(@@SESSION.`sort_buffer_size` AS BINARY),"
                "CAST(@@SESSION.`time_zone` AS BINARY) LIMIT 1"
            ],
        ),
    )
    said = house.state.difference(0)[0][0]
    assert "`time_zone`='UTC'" in said
    assert "`sort_buffer_size`" in said
    assert not house.state.unread


def test_where_one_can_not_be_read_the_others_still_answer(house):
    house.state.doubt_variable("time_zone")
    house.state.doubt_variable("secret")
    back(house, asks(Ask, [fails(1227)]), asks(Ask, [fails(1227), rows("UTC")]))
    assert "secret" in house.state.pins
    assert "`time_zone`='UTC'" in house.state.difference(0)[0][0]


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_any_variable_may_have_changed(flavor):
    house = House(flavor)
    house.state.doubt_variable("*")
    changed = Result([(b"TIME_ZONE", b"UTC"), (b"SORT_BUFFER_SIZE", b"9")])
    back(house, asks(Ask, [changed]))
    assert "`time_zone`='UTC'" in house.state.difference(0)[0][0]
    assert not house.state.unread


def test_variables_that_nobody_can_tell_bind_to_the_primary(house):
    house.state.doubt_variable("*")
    back(house, asks(Ask, [fails(1142)]))
    assert house.state.bound


@pytest.mark.parametrize(
    ("told", "sql"),
    [
        (b"NONE", "SET ROLE NONE"),
        (None, "SET ROLE NONE"),
        (b"`a`@`%`", "SET ROLE `a`@`%`"),
        (b'"a"@"%","b""c"@"h"', 'SET ROLE `a`@`%`,`b"c`@`h`'),
        (b"plain", "SET ROLE `plain`"),
    ],
)
def test_the_role_is_written_as_set_role_takes_it(house, told, sql):
    house.state.doubt_variable("role")
    back(house, asks(Ask, [rows(told)]))
    assert sql in house.state.difference(0)[0]


def test_a_role_that_nobody_tells_binds(house):
    house.state.doubt_variable("role")
    back(house, asks(Ask, [fails()]))
    assert "role" in house.state.pins


@pytest.mark.parametrize(("count", "bound"), [("2", True), ("1", False)])
def test_more_temporary_tables_than_were_asked_for_were_made_by_a_routine(house, count, bound):
    house.state.suspect = True
    house.state.tables_made = 1
    back(house, asks(Ask, [rows("Com_create_table", count)]))
    assert ("temporary" in house.state.pins) is bound
    assert not house.state.suspect


@pytest.mark.parametrize("reply", [fails(), Result()])
def test_where_nobody_counts_tables_one_may_have_been_made(house, reply):
    house.state.suspect = True
    back(house, asks(Ask, [reply]))
    assert "temporary" in house.state.pins


def test_a_read_asks_for_the_user_variables_that_it_names(house):
    house.state.unread_users.update({"a", "b"})
    back(
        house,
        asks(
            Ask,
            [rows(b"3", b"utf8mb4", b"utf8mb4_bin", b"33")],
            statements=lambda said: "@`a`" in said[0] and "@`b`" not in said[0],
        ),
        statement="SELECT @a",
    )
    assert house.state.unread_users == {"b"}


def test_all_of_them_are_asked_for_one_by_one_while_they_are_few(house):
    house.state.unread_users.update({"a", "b"})
    one = rows(b"3", b"utf8mb4", b"utf8mb4_bin", b"33")
    back(house, asks(Ask, [one, one, OK], statements=lambda s: s[-1] == "DO 0"), everything=True)
    assert not house.state.unread_users


def test_many_are_asked_for_together(house):
    names = [f"v{number}" for number in range(9)]
    house.state.unread_users.update(names)
    row = [b"3", b"utf8mb4", b"utf8mb4_bin", b"33"] * len(names)
    back(house, asks(Ask, [rows(*row), OK], statements=lambda s: len(s) == 2), everything=True)
    assert not house.state.unread_users


def test_mariadb_need_not_clear_what_its_questions_warn_of():
    house = House("mariadb")
    house.state.doubt_variable("time_zone")
    back(house, asks(Ask, [rows("UTC")]), everything=True)


def test_a_value_that_is_too_large_stays_on_the_primary(house):
    sql, take = ask_users(house.state, ["a"])
    assert f"<{LARGEST_VALUE}" in sql
    take(Result())
    assert house.state.heavy == {"a"}


def test_a_value_that_can_not_be_read_does_too(house):
    house.state.unread_users.add("a")
    _, take = ask_users(house.state, ["a"])
    take(fails())
    assert house.state.heavy == {"a"}
    assert not house.state.unread_users


def test_a_connection_that_is_lost_amid_it_is_the_caller_s(house):
    house.state.doubt_variable("time_zone")
    with pytest.raises(Fault):
        back(house, asks(Ask, lost()))
    assert house.state.unread


def test_what_is_set_to_itself_is_reported():
    assert report_sql(["sql_mode", "a"]) == (
        "SET SESSION `sql_mode`=@@SESSION.`sql_mode`,SESSION `a`=@@SESSION.`a`"
    )
