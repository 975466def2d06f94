"""The law that guards the straight road: whatever runs, a session is free only if all is.

The oracle says in words of its own, from the public fields of the parts, what keeps a plain read
from being free. It is the longer list, and the slower one; it must never disagree.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rwsplit._core.cluster.place import Place
from rwsplit._core.flows.answer import Underway
from rwsplit._core.session.state import AUTOCOMMIT, IN_TRANSACTION
from rwsplit._core.setup.options import Choice
from rwsplit._core.tracking import Changes
from tests.core.flows.harness import UUID, House, Result, Sharing

PLACE = Place("mysql")

NAMES = st.sampled_from(["time_zone", "sql_mode", "timestamp", "profiling", "sql_log_bin"])
VALUES = st.sampled_from(["", "0", "1", "ON", "OFF", "UTC"])
STATUSES = st.sampled_from([0, AUTOCOMMIT, IN_TRANSACTION, AUTOCOMMIT | IN_TRANSACTION])
NUMBERS = st.integers(1, 9)
SWITCH = st.booleans()
TEXTS = st.sampled_from(
    [
        *("SELECT v FROM t", "SELECT 1", "SELECT @a", "UPDATE t SET v = 1", "CALL p()"),
        *("SET @a = 1", "SET time_zone = 'UTC'", "SET GLOBAL time_zone = 'UTC'", "USE other"),
        *("SET timestamp = 1", "SET timestamp = DEFAULT", "LOCK TABLES t READ", "UNLOCK TABLES"),
        *("CREATE TEMPORARY TABLE n (id INT)", "DROP TABLE n", "SELECT GET_LOCK('a', 0)"),
        *("PREPARE p FROM 'SELECT 1'", "EXECUTE p", "DEALLOCATE PREPARE p", "SAVEPOINT a"),
        *("BEGIN", "START TRANSACTION READ ONLY", "COMMIT", "ROLLBACK", "CREATE TABLE m SELECT 1"),
        *("SELECT FOUND_ROWS()", "XA START 'a'", "HANDLER t OPEN", "FROBNICATE"),
    ]
)


def reasons_of(house):
    """All that may keep a plain read from going to any replica as it is, and whether it does."""
    session = house.session
    state, terms, identity = session.state, session.terms, session.identity
    transaction, owed = session.transaction, session.owed
    followed, seen = session.followed, session.seen
    must_see = terms.level in ("session", "global")
    return {
        # The terms.
        "no reads are split": terms.unsplit is not None,
        "a global read asks the primary": terms.level == "global",
        "an age must be asked for": terms.max_staleness is not None,
        "a group is asked for": terms.group is not None,
        "the primary has a share": terms.primary_share > 0,
        "nobody can tell who has caught up": must_see and not house.cluster.has_gtids,
        # The transaction.
        "a transaction is open": state.status & IN_TRANSACTION != 0,
        "autocommit is off": state.status & AUTOCOMMIT == 0,
        "a BEGIN was not sent": transaction.begin != b"" or owed.unsent != [],
        "a transaction was lost": transaction.lost != "",
        "a level holds for the next one": state.next_transaction != "",
        # What only the primary has.
        "it is bound to the primary": len(state.pins) > 0,
        "it has temporary tables": len(state.temporary) > 0,
        "it has set variables for all": state.sets_globals,
        "a replica has set variables": len(owed.foreign) > 0,
        "results are still to come": owed.pending,
        # What is not known.
        "variables are not known": len(state.unread) > 0,
        "a table may have been made": state.suspect,
        "what it wrote is not known": must_see and not state.position_known,
        "what it saw on the primary is not known": seen.on_primary,
        # What must be had.
        "it wrote something": must_see and bool(state.position),
        "reads have seen something": bool(seen.position),
        "others of its id may have written": identity.sharing is not None,
        # The statement before.
        "what was told must be kept": len(followed.told) > 0,
        "rows are counted late": followed.counts_late,
    }


def why_not_free(house):
    """What keeps a plain read from going to any replica as it is."""
    return {why for why, holds in reasons_of(house).items() if holds}


def terms(do):
    """Change a session's terms."""

    def change(house):
        do(house.terms)
        house.session.look_at_terms()

    return change


def without_gtids(house):
    house.cluster.topology.has_gtids = False
    house.session.look_at_terms()


def commit_unheard(house):
    house.state.tell(None)
    house.state.has_committed(f"{UUID}:1-2")


def made_table(house):
    made = house.statement("CREATE TABLE m SELECT 1")
    house.session.followed.note_result(house.primary, made, False, 0)


def ran(sql):
    return lambda house: house.state.expect(house.statement(sql), sql=sql.encode())


ALONE = {
    "no reads are split": terms(lambda its: its.choose(Choice(reads="primary"))),
    "a global read asks the primary": terms(lambda its: its.say("global")),
    "an age must be asked for": terms(lambda its: its.choose(Choice(max_staleness=1.0))),
    "a group is asked for": terms(lambda its: its.choose(Choice(group="reports"))),
    "the primary has a share": terms(lambda its: its.share(0.5)),
    "nobody can tell who has caught up": without_gtids,
    "a transaction is open": lambda house: house.open_transaction(),
    "autocommit is off": lambda house: house.set_status(0),
    "a BEGIN was not sent": lambda house: house.session.owed.send_first([b"BEGIN"]),
    "a transaction was lost": lambda house: house.session.transaction.lose("db"),
    "a level holds for the next one": lambda house: house.state.learn(
        Changes(characteristics="SET TRANSACTION READ ONLY")
    ),
    "it is bound to the primary": lambda house: house.state.bind("user", "a lock is held"),
    "it has temporary tables": ran("CREATE TEMPORARY TABLE n (id INT)"),
    "it has set variables for all": ran("SET GLOBAL time_zone = 'UTC'"),
    "a replica has set variables": lambda house: house.session.owed.note_foreign(
        None, frozenset("a")
    ),
    "results are still to come": lambda house: house.session.owed.note_pending(True),
    "variables are not known": lambda house: house.state.doubt_variable("time_zone"),
    "a table may have been made": lambda house: house.state.note_hearsay(
        house.statement("UPDATE t SET v = 1")
    ),
    "what it wrote is not known": lambda house: house.state.hear_doubt(1, False, of=house),
    "what it saw on the primary is not known": lambda house: house.session.seen.read_on_primary(),
    "it wrote something": commit_unheard,
    "reads have seen something": lambda house: house.session.seen.see(house.at(2)),
    "others of its id may have written": lambda house: house.share(),
    "what was told must be kept": lambda house: house.session.followed.note_told(row_count=1),
    "rows are counted late": made_table,
}


def test_a_session_is_free_at_first():
    house = House()
    assert why_not_free(house) == set()
    assert house.session.is_free()


def test_every_reason_is_met_alone():
    assert ALONE.keys() == reasons_of(House()).keys()


@pytest.mark.parametrize("why", ALONE)
def test_one_reason_is_enough(why):
    house = House()
    ALONE[why](house)
    assert not house.session.is_free()
    assert why_not_free(house) == {why}


def test_a_begin_that_is_kept_here_is_one_that_was_not_sent():
    house = House()
    house.session.transaction.begun(house.statement("BEGIN"), b"BEGIN", house.state)
    assert why_not_free(house) == {"a BEGIN was not sent"}
    assert not house.session.is_free()


class Laws(RuleBasedStateMachine):
    """Everything that can be done to a session's parts, in any order."""

    @initialize(flavor=st.sampled_from(["mysql", "mariadb"]))
    def begin(self, flavor):
        self.house = House(flavor)
        self.session = self.house.session
        self.state = self.session.state
        self.member = self.house.member("r1", at=9)

    # The state.

    @rule(status=STATUSES)
    def status(self, status):
        self.state.hear_status(status)

    @rule(opens=SWITCH)
    def open_or_close(self, opens):
        if opens:
            self.state.note_open()
        else:
            self.state.note_closed()
            self.state.note_end()

    @rule(sql=TEXTS, succeeded=SWITCH)
    def ran(self, sql, succeeded):
        statement = self.house.statement(sql)
        self.state.expect(statement, succeeded, sql.encode())
        if not succeeded:
            self.state.note_failure(statement)

    @rule(sql=TEXTS, name=NAMES, value=VALUES, changed=SWITCH, level=SWITCH)
    def reported(self, sql, name, value, changed, level):
        statement = self.house.statement(sql)
        level = "SET TRANSACTION READ ONLY" if level else None
        changes = Changes(((name, value),), "other", changed, characteristics=level)
        self.state.learn(changes, statement)
        self.state.notice(statement, (changes,))

    @rule(
        sql=st.sampled_from(
            ["CREATE TEMPORARY TABLE n (id INT)", "DROP TABLE n", "SET GLOBAL time_zone = 'UTC'"]
        )
    )
    def ran_on_the_primary_alone(self, sql):
        self.state.expect(self.house.statement(sql), sql=sql.encode())

    @rule(sql=TEXTS)
    def rumour(self, sql):
        self.state.note_hearsay(self.house.statement(sql))

    @rule()
    def forget_rumours(self):
        self.state.forget_hearsay()

    @rule()
    def forget_level(self):
        self.state.forget_next()

    @rule(name=NAMES, value=VALUES)
    def variable(self, name, value):
        self.state.set_variable(name, value)

    @rule(name=NAMES)
    def doubt(self, name):
        self.state.doubt_variable(name)

    @rule()
    def settle(self):
        self.state.note_asked([*self.state.unread])
        self.state.note_tables_made(self.state.tables_made)

    @rule(taken=st.sampled_from([1, -1, None]))
    def lock(self, taken):
        self.state.note_user_lock(taken)
        if taken is not None and taken > 0:
            self.state.bind("user", "a user lock is held")

    @rule()
    def release(self):
        self.state.release_user_locks()

    @rule(number=NUMBERS, hears=SWITCH)
    def commit(self, number, hears):
        self.state.tell(self.house.cluster.process if hears else None)
        text = f"{UUID}:{number}" if self.house.flavor == "mysql" else f"0-1-{number}"
        self.state.has_committed(text)

    @rule(number=NUMBERS)
    def see(self, number):
        self.state.see(self.house.at(number))

    @rule(number=NUMBERS)
    def ask_for(self, number):
        self.state.ask_for(self.house.at(number))

    @rule(unsure=SWITCH)
    def lose_position(self, unsure):
        self.state.lose_position(unsure)

    @rule(unsure=SWITCH)
    def hear_doubt(self, unsure):
        self.state.hear_doubt(1, unsure, of=self)

    @rule()
    def hear_no_doubt(self):
        self.state.hear_no_doubt(of=self)

    @rule(number=NUMBERS)
    def find_position(self, number):
        self.state.find_position(self.house.at(number))

    @rule(number=NUMBERS)
    def let_go(self, number):
        self.state.let_go(self.house.at(number))

    @rule()
    def prune(self):
        self.state.prune(self.house.at(9))

    @rule(number=NUMBERS, known=SWITCH, anew=SWITCH)
    def be_another(self, number, known, anew):
        self.state.begin_with(self.house.at(number), self.state.origin, known, anew)

    @rule(schema=st.sampled_from(["shop", "other", None]))
    def schema(self, schema):
        self.state.set_schema(schema)

    # The transaction.

    @rule(sql=st.sampled_from(["BEGIN", "START TRANSACTION READ ONLY"]))
    def begun(self, sql):
        self.session.transaction.begun(self.house.statement(sql), sql.encode(), self.state)

    @rule()
    def on_replica(self):
        self.session.open_snapshot(object())
        self.session.transaction.note_tables()

    @rule(sql=TEXTS)
    def on_primary(self, sql):
        self.session.transaction.note_on_primary(self.house.statement(sql))

    @rule(how=st.sampled_from(["clear", "retry", "forget_replica", "forget_primary"]))
    def ends(self, how):
        self.session.take_snapshot()
        getattr(self.session.transaction, how)()

    @rule(lost=SWITCH)
    def lost(self, lost):
        if lost:
            self.session.transaction.lose("db (2013, gone)")
        else:
            self.session.transaction.note_rolled_back()

    # What is owed.

    @rule(statements=st.lists(st.sampled_from([b"BEGIN", b"SAVEPOINT a"]), max_size=2))
    def unsent(self, statements):
        self.session.owed.send_first(statements)

    @rule()
    def sent(self):
        self.session.owed.sent()

    @rule(pending=SWITCH)
    def pending(self, pending):
        self.session.owed.note_pending(pending)

    @rule()
    def foreign(self):
        self.session.owed.note_foreign(self.member, frozenset({"a"}))

    @rule()
    def take_foreign(self):
        if self.session.owed.foreign:
            self.session.owed.take_foreign()

    @rule()
    def lose_primary(self):
        self.session.owed.lose()
        self.session.followed.forget(self.session.primary)

    # What was seen.

    @rule(told=SWITCH, number=NUMBERS)
    def read_on_replica(self, told, number):
        self.session.seen.saw("r1", PLACE, b"" if told else b"\0", 1.0, None)

    @rule()
    def read_on_primary(self):
        self.session.seen.read_on_primary()

    @rule(number=NUMBERS, late=SWITCH)
    def saw_all(self, number, late):
        self.session.seen.saw_all(self.house.at(number), late)

    @rule(number=NUMBERS)
    def leave(self, number):
        self.session.seen.leave(self.house.at(number))

    @rule()
    def take_sight(self):
        self.session.seen.see_all([self.session.seen.take()])

    # The statement before.

    @rule(sql=TEXTS, has_rows=SWITCH, warnings=st.integers(0, 1), here=SWITCH)
    def answered(self, sql, has_rows, warnings, here):
        member = self.session.primary if here else self.member
        self.session.followed.note_result(member, self.house.statement(sql), has_rows, warnings)

    @rule(sql=st.sampled_from(["SELECT v FROM t", "SELECT 1", "TABLE t"]))
    def read(self, sql):
        if self.session.is_free():
            self.session.followed.note_read(self.member, self.house.statement(sql), Result([(1,)]))

    @rule()
    def count_late(self):
        made = self.house.statement("CREATE TABLE m SELECT 1")
        self.session.followed.note_result(self.session.primary, made, False, 0)

    @rule(topic=st.sampled_from(["found_rows", "row_count"]))
    def told(self, topic):
        self.session.followed.note_told(**{topic: 1})

    @rule(skipped=SWITCH)
    def skipped(self, skipped):
        self.session.followed.note_skipped(self.session.primary, skipped)

    # Who it is, and on what terms.

    @rule(shares=SWITCH)
    def share(self, shares):
        identity = self.session.identity
        identity.take_key("provided:a" if shares else None)
        identity.share(Sharing() if shares else None)
        identity.share_process()

    @rule()
    def others_commit(self):
        text = f"{UUID}:1-2" if self.house.flavor == "mysql" else "0-1-2"
        self.house.cluster.process.note(text)

    @rule()
    def hear(self):
        self.session.identity.hear(self.session.identity.process.latest)

    @rule(level=st.sampled_from(["eventual", "session", "global"]))
    def say(self, level):
        self.session.terms.say(level)
        self.session.look_at_terms()

    @rule(level=st.sampled_from(["eventual", "session", "global", None]))
    def say_in_block(self, level):
        self.session.terms.say_in_block(level)
        self.session.look_at_terms()

    @rule(
        choice=st.none()
        | st.builds(
            Choice,
            consistency=st.sampled_from([None, "eventual", "global"]),
            reads=st.sampled_from([None, "primary", "replicas"]),
            max_staleness=st.sampled_from([None, 1.0]),
            group=st.sampled_from([None, "reports"]),
        )
    )
    def choose(self, choice):
        self.session.terms.choose(choice)
        self.session.look_at_terms()

    @rule(share=st.sampled_from([0.0, 0.5]))
    def share_of_primary(self, share):
        self.session.terms.share(share)
        self.session.look_at_terms()

    @rule(gtids=SWITCH)
    def gtids(self, gtids):
        self.house.cluster.topology.has_gtids = gtids
        self.session.look_at_terms()

    # From time to time all is well again.

    @rule()
    def recover(self):
        session, state = self.session, self.state
        self.status(AUTOCOMMIT)
        self.lose_primary()
        self.share(False)
        self.hear()
        self.choose(None)
        self.say_in_block(None)
        self.say("session")
        self.share_of_primary(0.0)
        self.gtids(True)
        self.settle()
        self.release()
        session.transaction.clear()
        session.transaction.note_rolled_back()
        while session.owed.foreign:
            session.owed.take_foreign()
        state.forget_next()
        if not state.position_known:
            state.find_position(self.house.at(1))
        self.hear()
        state.prune(self.house.at(9))
        session.seen.take()

    # The laws.

    @invariant()
    def a_free_session_has_nothing_against_it(self):
        is_free = self.session.is_free()  # asked first: who asks for a position adds it up
        found = why_not_free(self.house)
        assert not (is_free and found), f"it is free, and yet {found}"

    @invariant()
    def a_session_with_nothing_against_it_is_free(self):
        # A position is forgotten only as this very object: what is empty otherwise is asked about.
        is_origin = self.state.position is self.state.origin
        if not why_not_free(self.house) and is_origin:
            assert self.session.is_free()

    @invariant()
    def no_read_goes_straight_that_is_not_free(self):
        self.session.stir()  # as the shell does for whatever is no free read
        identity = self.session.identity
        has_news = self.session.must_see and identity.process.latest is not identity.heard
        if why_not_free(self.house) or has_news:
            statement = self.house.statement("SELECT v FROM t")
            assert statement.plain
            assert self.house.straight.reader(statement) is None

    @invariant()
    def no_usual_write_goes_straight_that_has_more_to_it(self):
        """What is asked of the session alone holds for each statement, too."""
        statement = self.house.statement("UPDATE t SET v = 1")
        assert statement.usual
        straight, session = self.house.straight, self.session
        session.stir()
        if session.is_steady():
            lacks = self.house.journey.holding.lacks_primary()
            assert lacks or straight.on_primary(Underway(statement, b"")) is not None
            session.take_steady()
            assert straight.statement("UPDATE t SET v = 1", None) is not None


# Short ones: each thing is to be met alone, too.
Laws.TestCase.settings = settings(max_examples=300, stateful_step_count=8, deadline=None)
test_laws = Laws.TestCase
