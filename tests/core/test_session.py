"""The state of a session: every member can be brought to it, and nothing that changed is missed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rwsplit._core.cluster.position import GtidList, GtidSet, intersection
from rwsplit._core.flavors.names import spelt
from rwsplit._core.session.state import (
    AUTOCOMMIT,
    IN_TRANSACTION,
    LARGEST_VALUE,
    State,
    can_commit,
    changes_globals,
    runs_code,
)
from rwsplit._core.sql.classify import classify
from rwsplit._core.sql.statement import Kind
from rwsplit._core.tracking import Changes

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def new(flavor="mysql"):
    return State(GtidSet() if flavor == "mysql" else GtidList(), "shop")


def after(*ran, flavor="mysql"):
    state = new(flavor)
    for sql in ran:
        state.expect(classify(sql, flavor), sql=sql.encode())
    return state


def learn(state, sql, **changes):
    """Run a statement, of which the primary reports these changes."""
    statement = classify(sql)
    state.expect(statement, sql=sql.encode())
    state.learn(Changes(**changes), statement)


# Members are brought the state as it is now.

_ASSIGNMENT = re.compile(r"(@@SESSION\.`\w+`|@`\w+`)=((?:'[^']*'|[^',])+)")


class Member(dict[str, str]):
    """What one member has: it runs what it is sent, and knows no more than that."""

    version = 0

    def run(self, sql):
        word, rest = sql.split(" ", 1)
        if word == "USE":
            self["schema"] = rest
        elif rest.startswith("ROLE "):
            self["role"] = rest
        else:
            assert word == "SET"
            for name, value in _ASSIGNMENT.findall(rest):
                self[name] = value


NAMES = st.sampled_from(["sql_mode", "time_zone", "collation_connection", "sort_buffer_size"])
VALUES = st.sampled_from(["", "a", "b", "it is"])


class Members(RuleBasedStateMachine):
    """Members that are brought up to date whenever they are used, each at other times."""

    def __init__(self):
        super().__init__()
        self.session = new()
        self.members = [Member() for _ in range(3)]
        self.always = Member()

    def bring(self, member):
        difference, confirms = self.session.difference(member.version)
        before = {**member}
        for sql in difference:
            member.run(sql)
        member.version = self.session.version
        escaping = ("sql_mode", "collation_connection")
        names = [f"@@SESSION.`{name}`" for name in escaping]
        changed = any(before.get(name) != member.get(name) for name in names)
        assert confirms or not changed

    @rule(name=NAMES, value=VALUES)
    def set_system(self, name, value):
        self.session.set_variable(name, value)

    @rule(name=st.sampled_from("abc"), value=st.sampled_from(["1", "NULL", "'x'"]))
    def set_user(self, name, value):
        self.session.set_user_variable(name, value)

    @rule(name=st.sampled_from(["shop", "stock"]))
    def use(self, name):
        self.session.set_schema(name)

    @rule(role=st.sampled_from(["NONE", "`reader`"]))
    def take(self, role):
        self.session.set_role(role)

    @rule(number=st.integers(0, 2))
    def read(self, number):
        self.bring(self.members[number])

    @rule(number=st.integers(0, 2))
    def connect_again(self, number):
        self.members[number] = Member()

    @invariant()
    def whoever_is_brought_up_to_date_has_all(self):
        self.bring(self.always)
        fresh = Member()
        self.bring(fresh)
        assert self.always == fresh
        for member in self.members:
            if member.version == self.session.version and member:
                assert member == fresh


TestMembers = Members.TestCase


def test_what_is_as_it_was_is_brought_to_nobody():
    state = new()
    state.set_variable("sql_mode", "ANSI")
    version = state.version
    state.set_variable("sql_mode", "ANSI")
    state.set_schema("shop")
    assert state.difference(version)[0] in ([], ["USE `shop`"])
    assert state.difference(state.version) == ([], False)


def test_one_set_has_it_all_and_the_collation_last():
    state = new()
    state.set_variable("collation_connection", "utf8mb4_bin")
    state.set_variable("character_set_client", "latin1")
    state.set_user_variable("a", "1")
    (sql,), confirms = state.difference(0)
    assert sql.endswith("@@SESSION.`collation_connection`='utf8mb4_bin'")
    assert sql.count("SET ") == 1
    assert confirms


def test_names_and_values_are_escaped():
    state = new()
    state.set_user_variable("a`b", "1")
    state.set_schema("s`; DROP TABLE t; --")
    state.set_variable("time_zone", "'; DROP TABLE t; --")
    text = b"'; DROP TABLE t; --".hex()
    assert state.difference(0)[0] == [
        f"SET @`a``b`=1,@@SESSION.`time_zone`=_utf8mb4 X'{text}'",
        "USE `s``; DROP TABLE t; --`",
    ]


@pytest.mark.parametrize(
    "name", ["autocommit", "gtid_next", "last_insert_id", "server_id", "warning_count"]
)
def test_what_means_something_else_on_a_replica_is_brought_to_none(name):
    state = new()
    state.set_variable(name, "1")
    assert state.difference(0) == ([], False)


# What was not reported is asked for.


@pytest.mark.parametrize(
    ("sql", "unread"),
    [
        ("SET time_zone = 'UTC'", {"time_zone"}),
        ("SET @@session.sql_mode = CONCAT(@@sql_mode, ',ANSI')", {"sql_mode"}),
        ("SET autocommit = 0", set()),
        ("SET TRANSACTION READ ONLY", set()),
        ("SET GLOBAL time_zone = 'UTC'", set()),
        ("SET @a = NOW()", set()),
    ],
)
def test_a_variable_that_was_set_is_in_doubt_until_the_primary_tells(sql, unread):
    state = after(sql)
    assert state.unread == unread
    assert state.doubts(classify("SELECT v FROM t")) == bool(unread)
    for name in unread:
        state.set_variable(name, "x")
    assert not state.unread


def test_a_set_that_failed_has_changed_nothing():
    state = new()
    state.expect(classify("SET time_zone = 'nowhere'"), succeeded=False)
    assert not state.unread


def test_a_report_of_what_the_statement_can_not_have_set_is_no_news():
    """MariaDB reports what SET STATEMENT sets for one statement only."""
    state = new()
    learn(state, "SELECT 1", variables=(("max_statement_time", "1"),))
    assert state.unread == {"max_statement_time"}
    assert state.difference(0) == ([], False)


def test_what_a_trigger_sets_that_can_not_be_set_on_a_replica_keeps_the_session_on_the_primary():
    state = new()
    learn(state, "INSERT INTO t VALUES (1)", variables=(("timestamp", "1000.000000"),))
    assert "timestamp" in state.pins


def test_what_is_set_for_one_statement_binds_nothing():
    state = new("mariadb")
    statement = classify("SET STATEMENT Timestamp = 7, rand_seed1=5 FOR DELETE FROM t", "mariadb")
    assert statement.system_variables_lent == {"timestamp", "rand_seed1"}
    assert not statement.usual
    state.expect(statement)
    later = classify("DELETE FROM t", "mariadb")  # which reports it (tried)
    for ran in (statement, later):
        state.learn(Changes(variables=(("timestamp", "7.0"), ("rand_seed1", "5"))), ran)
    assert not state.pins


def test_user_variables_set_to_literals_are_known_from_the_text():
    state = new()
    state.set_variable("collation_connection", "utf8mb4_bin")
    sql = "SET @a = 1, @b = 'x'"
    state.expect(classify(sql), sql=sql.encode())
    assert not state.unread_users
    assert not state.doubts(classify("SELECT @a, @b"))


@pytest.mark.parametrize(
    "sql", ["SET @a = NOW()", "SELECT @a := 5", "SELECT v FROM t INTO @a", "SET @A = @b + 1"]
)
def test_other_user_variables_are_asked_for_by_who_reads_them(sql):
    state = after(sql)
    assert state.doubts(classify("SELECT @a"))
    assert not state.doubts(classify("SELECT @c"))
    assert not state.doubts(classify("SELECT v FROM t"))
    state.set_user_variable("a", "1")
    assert not state.doubts(classify("SELECT @a"))


@pytest.mark.parametrize("sql", ["INSERT INTO t VALUES (1)", "CALL p()", "SELECT f()"])
def test_code_may_have_set_any_user_variable(sql):
    state = new()
    state.set_user_variable("a", "1")
    state.expect(classify(sql))
    assert state.rumoured
    assert state.names_of(classify("SELECT @a, @b")) == {"a", "b"}
    state.set_user_variable("a", "2")
    assert state.names_of(classify("SELECT @a, @b")) == {"b"}


def test_a_change_that_the_text_does_not_explain_puts_all_in_doubt():
    state = new()
    state.set_user_variable("a", "1")
    statement = classify("INSERT INTO t VALUES (1)")
    state.expect(statement)
    state.notice(statement, [Changes(state_changed=True)])
    assert state.suspect
    assert state.doubts(classify("SELECT v FROM t"))
    assert "a" in state.unread_users


def test_a_value_that_is_too_large_stays_on_the_primary():
    state = new()
    state.set_user_variable("a", "1")
    state.set_user_variable("a", "'" + LARGEST_VALUE * "x" + "'")
    assert state.difference(0) == ([], False)
    assert state.binds(classify("SELECT @a"))
    state.set_user_variable("a", "2")
    assert not state.binds(classify("SELECT @a"))


# What only the primary has.


@pytest.mark.parametrize(
    ("takes", "gives"),
    [
        ("LOCK TABLES t READ", "UNLOCK TABLES"),
        ("HANDLER t OPEN", "HANDLER t CLOSE"),
        ("XA START 'a'", "XA COMMIT 'a' ONE PHASE"),
        ("SET timestamp = 7", "SET timestamp = DEFAULT"),
        ("SET sql_log_bin = 0", "SET sql_log_bin = DEFAULT"),
    ],
)
def test_what_is_taken_binds_until_it_is_given_back(takes, gives):
    state = after(takes)
    assert state.bound
    assert state.binds(classify("SELECT v FROM t"))
    assert not state.is_free(must_see=False)
    failed = classify(gives)
    if failed.releases:
        state.expect(failed, succeeded=False)
        assert state.bound
    state.expect(classify(gives))
    assert not state.binds(classify("SELECT v FROM t"))


@given(st.lists(st.sampled_from([1, -1, None, "all"]), max_size=12))
def test_user_locks_are_counted(taken):
    state, held = new(), 0.0
    state.pins["user"] = "a user lock is held"
    for number in taken:
        if number == "all":
            state.release_user_locks()
            held = 0.0
        else:
            state.note_user_lock(number)
            held = float("inf") if number is None else max(0.0, held + number)
        if held == 0:
            assert "user" not in state.pins
            state.pins["user"] = "a user lock is held"


@pytest.mark.parametrize(
    ("ran", "named"),
    [
        (["CREATE TEMPORARY TABLE x (id INT)"], {"x"}),
        (["CREATE TEMPORARY TABLE x (id INT)", "DROP TABLE x"], set()),
        (["CREATE TEMPORARY TABLE x (id INT)", "DROP TABLE IF EXISTS y, x"], set()),
        (["CREATE TEMPORARY TABLE x (id INT)", "ALTER TABLE x RENAME TO y"], {"x", "y"}),
        (["CREATE TEMPORARY TABLE IF NOT EXISTS x LIKE t"], {"x"}),
        (["CREATE TABLE x (id INT)"], set()),
    ],
)
def test_reads_of_temporary_tables_are_the_primarys(ran, named):
    state = after(*ran)
    for name in "xyz":
        assert bool(state.binds(classify(f"SELECT * FROM {name}"))) == (name in named)
    assert bool(state.binds(classify("SELECT f()"))) == bool(named)


def test_a_table_that_a_routine_may_have_made_binds_all():
    state = after("CREATE TEMPORARY TABLE x (id INT)", flavor="mariadb")
    state.note_tables_made(1)
    assert "temporary" not in state.pins
    state.note_tables_made(2)
    assert state.binds(classify("SELECT 1"))


# Prepared statements.


def prepared(state, sql="PREPARE s FROM 'SELECT v FROM t WHERE id = ?'"):
    state.expect(classify(sql), sql=sql.encode())
    return state.executed(classify("EXECUTE s USING @a"))


def test_replicas_may_run_what_was_prepared_as_a_read():
    found = prepared(new())
    assert (found.verb, found.name, found.kind) == ("EXECUTE", "s", Kind.READ)
    assert found.user_variables_read == {"a"}


@pytest.mark.parametrize(
    "sql",
    [
        "PREPARE s FROM 'UPDATE t SET v = 1'",
        "PREPARE s FROM @text",
        "PREPARE s FROM 'SELECT v FROM t FOR UPDATE'",
    ],
)
def test_what_else_was_prepared_is_the_primarys(sql):
    state = new()
    assert prepared(state, sql).kind is not Kind.READ
    assert state.bound


def test_what_was_prepared_is_not_prepared_again_under_other_settings():
    state = new()
    state.set_schema("shop")
    prepared(state, "PREPARE s FROM 'SELECT v FROM t'")
    assert not state.bound
    state.set_schema("other")
    assert "other settings" in state.bound
    state.set_schema("shop")
    assert not state.bound


# What went with a connection.


@pytest.mark.parametrize(
    ("sql", "asks"),
    [
        ("SELECT LAST_INSERT_ID()", True),
        ("SELECT @@identity", True),
        ("SELECT * FROM t WHERE id = LAST_INSERT_ID()", True),
        ("SET @i = LAST_INSERT_ID()", True),
        ("INSERT INTO t VALUES (LAST_INSERT_ID(), LAST_INSERT_ID(5))", True),
        ("SELECT 1; SELECT LAST_INSERT_ID()", True),
        ("SELECT LAST_INSERT_ID(5)", False),
        ("UPDATE t SET id = LAST_INSERT_ID(id + 1)", False),
        ("SELECT v FROM t", False),
    ],
)
@pytest.mark.parametrize(
    "sets", ["INSERT INTO t VALUES (1)", "SELECT LAST_INSERT_ID(5)", "SET last_insert_id = 5", ""]
)
def test_ids_go_with_the_connection_on_which_they_were_set(sets, sql, asks):
    state = after(sets) if sets else after("SELECT 1", "SET @a = 1")
    assert not state.lost_of(classify(sql))
    state.forget_hearsay()
    assert bool(state.lost_of(classify(sql))) is (asks and bool(sets))


@pytest.mark.parametrize(
    ("sql", "asks"),
    [
        ("SELECT LASTVAL(s)", True),
        ("SELECT PREVIOUS VALUE FOR s", True),
        ("SELECT NEXTVAL(s)", False),
        ("SELECT NEXT VALUE FOR s", False),
    ],
)
def test_so_does_the_last_value_of_a_sequence(sql, asks):
    state = after("SELECT NEXTVAL(s)", flavor="mariadb")
    state.forget_hearsay()
    state.find_id()
    assert bool(state.lost_of(classify(sql, "mariadb"))) is asks


def test_a_prepared_statement_asks_for_ids_too():
    state = after("INSERT INTO t VALUES (1)")
    state.forget_hearsay()
    prepared(state, "PREPARE s FROM 'SELECT LAST_INSERT_ID()'")
    assert state.lost_of(classify("EXECUTE s"))
    assert not state.lost_of(classify("EXECUTE other"))


@pytest.mark.parametrize(
    "sql",
    [
        "SET SESSION binlog_row_image = MINIMAL",
        "SET SESSION collation_database = latin1_bin",
        "SET SESSION character_set_database = latin1",
        "SET sql_log_off = 1",
        "SET SESSION transaction_alloc_block_size = 16384",
    ],
)
def test_what_counts_on_the_primary_alone_is_read_back(sql):
    state = after(sql)
    assert state.unread
    assert state.bound


def test_the_collation_of_the_schema_is_read_back_behind_a_choice_of_one():
    state = after("SET SESSION collation_database = latin1_bin")
    state.set_variable("collation_database", "latin1_bin")
    assert not state.unread
    learn(state, "USE other", schema="other")
    assert state.unread == {"collation_database"}


@pytest.mark.parametrize("name", ["sql_mode", "character_set_client", "collation_connection"])
def test_a_text_is_read_as_it_was_when_it_was_prepared(name):
    state = new()
    prepared(state)
    state.set_variable(name, "another")
    assert state.executed(classify("EXECUTE s")).kind is not Kind.READ


def test_a_prepare_that_fails_drops_the_one_of_that_name():
    state = new()
    prepared(state)
    state.expect(classify("PREPARE s FROM 'nonsense'"), succeeded=False)
    assert state.executed(classify("EXECUTE s")).kind is not Kind.READ


# The position.

NUMBERS = st.lists(st.integers(1, 300), max_size=250)


def upto(number):
    return GtidSet.parse(f"{UUID}:1-{number}") if number else GtidSet()


@given(NUMBERS)
def test_whatever_it_committed_it_must_see(numbers):
    state = new()
    for number in numbers:
        state.has_committed(f"{UUID}:{number}".encode())
    expected = GtidSet.parse(",".join(f"{UUID}:{number}" for number in numbers))
    assert state.position == state.written == expected
    state.published()
    assert not state.written
    assert state.position == expected


@given(st.lists(st.tuples(st.sampled_from("wpal"), st.integers(0, 50)), max_size=20))
def test_nothing_that_must_be_seen_is_forgotten(program):
    """But what all replicas have, which they keep, and what the primary itself does not have."""
    state, must, common = new(), GtidSet(), GtidSet()
    for what, number in program:
        if what == "w":
            state.has_committed(f"{UUID}:{number + 1}")
            must = must | GtidSet.parse(f"{UUID}:{number + 1}")
        elif what == "a":
            state.ask_for(upto(number))
            must = must | upto(number)
        elif what == "l":
            state.let_go(upto(number))
            must, common = intersection(must, upto(number)), intersection(common, upto(number))
        elif upto(number).covers(common | state.position):
            common = upto(number)
            state.prune(common)
        assert (state.position | common).covers(must)
        assert (state.position | state.base).covers(must), "who carries it elsewhere"


def test_an_unknown_position_is_known_again_once_it_was_asked_for():
    state = new()
    state.lose_position()
    assert not state.position_known
    state.find_position(upto(7))
    assert state.position_known
    assert state.position == upto(7)


def test_a_lost_answer_does_not_make_known_what_was_not():
    state = new()
    state.lose_position(unsure=True)
    assert state.position_unsure
    state.lose_position()
    state.lose_position(unsure=True)
    assert not state.position_unsure
    state.find_position(upto(7))
    state.lose_position(unsure=True)
    assert state.position_unsure


@pytest.mark.parametrize("known", [True, False])
def test_a_session_that_connects_again_sees_what_it_wrote(known):
    before, now = new(), new()
    before.has_committed(f"{UUID}:1-3")
    if not known:
        before.lose_position()
    now.go_on_behind(before)
    assert now.position == upto(3)
    assert now.position_known is known


def test_a_connection_given_to_another_session_begins_where_the_primary_was():
    state = new()
    state.begin_at(upto(4))
    state.ask_for(upto(2))
    state.begin_with(upto(1), GtidSet(), known=True)
    assert state.position == upto(4)
    state.begin_with(upto(1), GtidSet(), known=True, anew=True)
    assert state.position == upto(2)


# Transactions.


@pytest.mark.parametrize(
    ("told", "isolation", "reads_only"),
    [
        ("", "REPEATABLE-READ", False),
        ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED;", "READ-COMMITTED", False),
        ("SET TRANSACTION READ ONLY;", "REPEATABLE-READ", True),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;", "SERIALIZABLE", False),
    ],
)
def test_what_is_for_the_next_transaction_goes_before_what_is_for_all(told, isolation, reads_only):
    state = new()
    state.set_variable("transaction_isolation", "REPEATABLE-READ")
    state.learn(Changes(characteristics=told))
    assert (state.isolation, state.reads_only) == (isolation, reads_only)


def test_what_is_told_within_a_transaction_is_for_this_one():
    state = new()
    state.status = AUTOCOMMIT | IN_TRANSACTION
    state.learn(Changes(characteristics="START TRANSACTION READ ONLY;"))
    assert state.next_transaction == ""


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
@pytest.mark.parametrize("name", ["transaction_isolation", "tx_isolation"])
def test_a_flavor_has_one_name_for_a_variable_of_transactions(flavor, name):
    expected = "transaction_isolation" if flavor == "mysql" else "tx_isolation"
    assert spelt(name, flavor) == expected


@pytest.mark.parametrize(
    ("sql", "globals_", "code", "commits"),
    [
        ("SELECT v FROM t", False, False, False),
        ("SELECT f()", False, True, True),
        ("INSERT INTO t VALUES (1)", False, True, True),
        ("SET @a = 1", False, False, False),
        ("SET GLOBAL sql_mode = ''", True, True, True),
        ("SET PERSIST sql_mode = ''", True, True, True),
        ("SET @a = 1, GLOBAL sql_mode = ''", True, False, True),
        ("COMMIT", False, False, True),
        ("BEGIN", False, False, True),
        ("CREATE TABLE x (id INT)", False, True, True),
        ("nonsense", False, True, True),
    ],
)
def test_what_a_statement_may_do_beside_its_answer(sql, globals_, code, commits):
    statement = classify(sql)
    assert changes_globals(statement) is globals_
    assert runs_code(statement) is code
    assert can_commit(statement) is commits
