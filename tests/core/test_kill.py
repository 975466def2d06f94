"""What a KILL says of whom it ends."""

import pytest

from rwsplit._core.sql.kill import killed_thread


@pytest.mark.parametrize(
    "sql",
    [
        *("KILL 17", "kill query 17", "KILL CONNECTION 17;", " KILL\tQUERY\n17 ", "KILL '17'"),
        *("KILL HARD QUERY 17", "KILL SOFT 17", "/* who */ KILL -- it\n 17 # now", "KILL 0x11"),
        *("KILL QUERY (17)", 'KILL "17"', "KILL/**/17", "KILL QUERY/**/17", "KILL QUERY'17'"),
    ],
)
def test_the_number_of_the_thread(sql):
    assert killed_thread(sql) == 17


def test_a_user_variable():
    assert killed_thread("KILL QUERY @mine") == "@mine"


@pytest.mark.parametrize(
    "sql",
    [
        *(
            "KILL",
            "KILL USER app",
            "KILL QUERY ID 17",
            "KILL 17 + 1",
            "KILL 17; SELECT 1",
            "KILL17",
        ),
        *("SELECT 17", "KILL (SELECT 17)", "KILL -17", "EXPLAIN KILL 17", "", "KILL @a + 1"),
    ],
)
def test_what_does_not_tell(sql):
    assert killed_thread(sql) is None
