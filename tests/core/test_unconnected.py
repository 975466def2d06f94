"""A connection that was made and not connected: errors are PyMySQL's, whatever is asked of it."""

import pytest

import rwsplit

ASKED = {
    "a statement": lambda connection: connection.query("SELECT 1"),
    "a statement by a cursor": lambda connection: connection.cursor().execute("SELECT 1"),
    "a commit": lambda connection: connection.commit(),
    "a rollback": lambda connection: connection.rollback(),
    "a schema": lambda connection: connection.select_db("shop"),
    "a character set": lambda connection: connection.set_character_set("utf8mb4"),
    "its warnings": lambda connection: connection.show_warnings(),
    "its position": lambda connection: connection.position,
    "its cluster": lambda connection: connection.cluster,
    "a wait": lambda connection: connection.wait_for("", 1.0),
    "a thread's end": lambda connection: connection.kill(7),
    "the next result": lambda connection: connection.next_result(),
}


@pytest.fixture
def connection():
    return rwsplit.connect(host="127.0.0.1", replicas=["127.0.0.1:3307"], defer_connect=True)


@pytest.mark.parametrize("what", ASKED)
def test_it_raises_an_interface_error(connection, what):
    with pytest.raises(rwsplit.err.InterfaceError) as caught:
        ASKED[what](connection)
    assert caught.value.args == (0, "")
    # And no turn is kept.
    assert connection._turn.acquire(False)


def test_what_needs_no_server_is_there(connection):
    connection.session_id = "a"
    assert connection.session_id == "a"
    assert not connection.open
    assert not connection.goes_on()
    assert (connection.insert_id(), connection.affected_rows()) == (0, 0)
    assert connection.route is None
    assert repr(connection) == "<rwsplit.Connection not connected>"
