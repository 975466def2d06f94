"""What a statement's answer says of user locks."""

import pytest

from rwsplit._core.sql.user_locks import lone_function


@pytest.mark.parametrize(
    ("sql", "function"),
    [
        ("SELECT GET_LOCK('a', 0)", "get_lock"),
        ("/* app */ select get_lock ( 'a(', -1 ) as `my lock` ; -- it", "get_lock"),
        ("SELECT GET_LOCK(CONCAT(DATABASE, ':', MD5('x')), 5) get_lock_1", "get_lock"),
        ('SELECT RELEASE_LOCK("it\'s")', "release_lock"),
        ("DO RELEASE_ALL_LOCKS()", "release_all_locks"),
        # More may run, or less, or the value is another.
        ("SELECT GET_LOCK('a', 0) = 1", None),
        ("SELECT NOT GET_LOCK('a', 0)", None),
        ("SELECT GET_LOCK('a', 0) FROM t", None),
        ("SELECT GET_LOCK('a', 0), 1", None),
        ("SELECT GET_LOCK('a', 0); SELECT 1", None),
        ("SELECT GET_LOCK('a', RELEASE_LOCK('b'))", None),
        ("SELECT GET_LOCK('a\\'', 0)", None),
        ("SELECT 1 # GET_LOCK('a', 0)", None),
    ],
)
def test_a_call_is_all_that_a_statement_is(sql, function):
    assert lone_function(sql) == function
