"""Where one statement goes: a function of the statement, the session and what is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.cause import Cause
from rwsplit._core.cluster.position import GtidSet
from rwsplit._core.session.route import OPEN, Destination, route
from rwsplit._core.session.state import AUTOCOMMIT, IN_TRANSACTION, State
from rwsplit._core.sql.classify import classify
from rwsplit._core.sql.statement import Kind

PRIMARY, REPLICA, LAST = Destination

READ = "SELECT v FROM t WHERE id = 1"


def session(*ran, status=AUTOCOMMIT):
    """A session behind these statements, which ran on the primary."""
    found = State(GtidSet(), "shop")
    for sql in ran:
        found.expect(classify(sql), sql=sql.encode())
    found.status = status
    return found


def to(sql, state=None, consistency="session", **asked):
    return route(classify(sql), state or session(), consistency, **asked)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (READ, REPLICA),
        ("SHOW TABLES", REPLICA),
        ("DESCRIBE t", REPLICA),
        ("SELECT @a", REPLICA),
        ("SELECT v FROM t FOR UPDATE", PRIMARY),
        ("SELECT LAST_INSERT_ID()", PRIMARY),
        ("SELECT @@GLOBAL.max_connections", PRIMARY),
        ("SELECT v FROM t INTO @a", PRIMARY),
        ("UPDATE t SET v = 1", PRIMARY),
        ("SET @a = 1", PRIMARY),
        ("BEGIN", PRIMARY),
        ("CALL p()", PRIMARY),
        ("nonsense", PRIMARY),
        ("", PRIMARY),
        ("SELECT FOUND_ROWS()", LAST),
        ("SHOW WARNINGS", LAST),
    ],
)
def test_the_kind_of_a_statement_decides(sql, expected):
    assert to(sql).destination is expected


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (session(status=AUTOCOMMIT | IN_TRANSACTION), Cause.IN_TRANSACTION),
        (session(status=IN_TRANSACTION), Cause.IN_TRANSACTION),
        (session(status=0), Cause.IN_TRANSACTION),
        (session("LOCK TABLES t READ"), Cause.BOUND),
        (session("HANDLER t OPEN"), Cause.BOUND),
        (session("XA START 'a'"), Cause.BOUND),
        (session("SET timestamp = 1"), Cause.BOUND),
        (session("CREATE TEMPORARY TABLE t (id INT)"), Cause.BOUND),
        (session("CREATE TEMPORARY TABLE x (id INT)", "ALTER TABLE x RENAME t"), Cause.BOUND),
    ],
)
def test_what_the_session_holds_keeps_a_read_on_the_primary(state, cause):
    found = to(READ, state)
    assert (found.destination, found.reason.cause) == (PRIMARY, cause)


@pytest.mark.parametrize(
    "state",
    [
        session("LOCK TABLES t READ", "UNLOCK TABLES"),
        session("SET timestamp = 1", "SET timestamp = DEFAULT"),
        session("CREATE TEMPORARY TABLE t (id INT)", "DROP TEMPORARY TABLE t"),
        session("CREATE TEMPORARY TABLE x (id INT)"),
        session("SET GLOBAL max_connections = 7"),
        session("SET @a = 1", "SET sql_mode = ''"),
    ],
)
def test_what_was_given_back_or_is_about_something_else_does_not(state):
    assert to(READ, state).destination is REPLICA


def test_a_read_of_system_variables_is_bound_by_set_global():
    assert to("SELECT @@sql_mode", session("SET GLOBAL sql_mode = ''")).destination is PRIMARY


def test_a_value_that_is_too_large_binds_the_reads_that_name_it():
    state = session()
    state.note_heavy(("a",))
    assert to("SELECT @A", state).destination is PRIMARY
    assert to("SELECT @b", state).destination is REPLICA


def test_the_statement_behind_set_transaction_is_the_primarys():
    state = session()
    state.next_transaction = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;"
    assert to(READ, state).destination is PRIMARY
    assert to(READ, state, in_snapshot=True).destination is REPLICA


def test_a_read_without_autocommit_may_have_a_snapshot_of_its_own():
    assert to(READ, session(status=0), in_snapshot=True).destination is REPLICA
    # But not beside the transaction that is open on the primary.
    found = to(READ, session(status=IN_TRANSACTION), in_snapshot=True)
    assert (found.destination, found.reason) == (PRIMARY, OPEN)


def test_a_hint_goes_before_what_is_asked_for_otherwise():
    assert to(f"{READ} /* rwsplit: primary */").reason.cause is Cause.HINT
    assert to(f"{READ} /* rwsplit: replica=db2 */").endpoint == "db2"
    found = to(
        f"{READ} /* rwsplit: consistency=eventual, max_staleness=2 */", None, "global",
        max_staleness=9.0,
    )  # fmt: skip
    assert (found.consistency, found.max_staleness) == ("eventual", 2.0)
    found = to(READ, None, "global", max_staleness=9.0)
    assert (found.consistency, found.max_staleness) == ("global", 9.0)


@pytest.mark.parametrize("hint", ["replica", "replica=db2", "consistency=eventual"])
def test_no_hint_sends_a_read_where_it_would_be_wrong(hint):
    for state in (session(status=IN_TRANSACTION), session("LOCK TABLES t READ")):
        assert to(f"{READ} /* rwsplit: {hint} */", state).destination is PRIMARY
    assert to(f"UPDATE t SET v = 1 /* rwsplit: {hint} */").destination is PRIMARY


def test_what_shows_no_data_need_not_be_waited_for():
    assert to(READ).shows_data
    assert to("SHOW TABLES").shows_data
    assert not to("SELECT 1").shows_data


STATEMENTS = st.sampled_from(
    [READ, "SELECT @a", "SELECT f()", "SELECT @@sql_mode", "SHOW TABLES", "UPDATE t SET v = 1"]
)
RAN = st.lists(
    st.sampled_from(
        [
            "LOCK TABLES t READ",
            "UNLOCK TABLES",
            "CREATE TEMPORARY TABLE t (id INT)",
            "DROP TABLE t",
            "SET GLOBAL sql_mode = ''",
            "SET timestamp = 1",
            "SET timestamp = DEFAULT",
            "SELECT GET_LOCK('a', 1)",
        ]
    ),
    max_size=6,
)


@given(STATEMENTS, RAN, st.sampled_from([0, 1, 2, 3]), st.booleans(), st.booleans())
def test_a_replica_gets_reads_that_nothing_binds(sql, ran, status, next_one, in_snapshot):
    state, statement = session(*ran, status=status), classify(sql)
    state.next_transaction = "SET TRANSACTION READ ONLY;" if next_one else ""
    found = route(statement, state, "session", in_snapshot=in_snapshot)
    alone = in_snapshot or (status & AUTOCOMMIT and not next_one)
    may = not status & IN_TRANSACTION and alone and not state.binds(statement)
    assert (found.destination is REPLICA) == bool(statement.kind is Kind.READ and may)


@given(RAN, st.sampled_from([0, 1, 2, 3]), st.booleans())
def test_the_straight_road_is_free_for_none_but_reads_that_nothing_binds(ran, status, next_one):
    state, statement = session(*ran, status=status), classify(READ)
    state.next_transaction = "SET TRANSACTION READ ONLY;" if next_one else ""
    if state.is_free(must_see=True):
        assert route(statement, state, "session").destination is REPLICA
        assert not state.doubts(statement)
