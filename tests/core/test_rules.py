"""Rules: the first that matches counts, and a percentage is a matter of the session id."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.setup.config import digest_of
from rwsplit._core.setup.problems import Problems
from rwsplit._core.setup.rule_tables import parse_rules
from rwsplit._core.setup.rules import (
    LEVELS,
    LONGEST_TEXT,
    Conditions,
    Facts,
    Glob,
    Limit,
    Matched,
    Refuse,
    Rewrite,
    Rule,
    SendTo,
    level_under,
    match,
)


def rules_of(*tables, groups=("main", "canary"), level="session", digest=digest_of):
    problems = Problems("rwsplit.toml")
    found = parse_rules("rules", [*tables], groups, level, digest, problems)
    problems.raise_if_any()
    return found


def facts(sql="SELECT 1", user="app", database="shop", session_id=None, tags=None):
    return Facts(user, database, session_id, lambda: digest_of(sql), sql, tags or {})


def matches(when, dice=0.5, **known):
    return match(rules_of({"match": when, "refuse": "no"}), facts(**known), dice) is not None


@pytest.mark.parametrize(
    ("when", "known", "expected"),
    [
        ({}, {}, True),
        ({"user": "app"}, {"user": "app"}, True),
        ({"user": "app"}, {"user": "App"}, False),
        ({"user": "app"}, {"user": "application"}, False),
        ({"user": "app*"}, {"user": "application"}, True),
        ({"user": "*"}, {"user": None}, False),
        ({"user": "a.p"}, {"user": "app"}, False),
        ({"user": "a?p"}, {"user": "app"}, False),
        ({"database": "shop_*_eu"}, {"database": "shop_1_eu"}, True),
        ({"database": "shop_*_eu"}, {"database": "shop_1_us"}, False),
        ({"database": "shop"}, {"database": None}, False),
        ({"session_id": "user:*"}, {"session_id": "user:42"}, True),
        ({"session_id": "*"}, {"session_id": None}, False),
        ({"session_id": "*"}, {"session_id": "42"}, True),
        ({"tag": {"job": "nightly"}}, {"tags": {"job": "nightly", "x": "y"}}, True),
        ({"tag": {"job": "nightly"}}, {"tags": {"job": "daily"}}, False),
        ({"tag": {"job": "nightly"}}, {}, False),
        ({"tag": {"job": "*"}}, {"tags": {"job": "anything"}}, True),
        ({"tag": {"job": "*"}}, {"tags": {"team": "a"}}, False),
        ({"tag": {"job": "*", "team": "b"}}, {"tags": {"job": "x", "team": "a"}}, False),
        ({"statement": "(?i)from orders"}, {"sql": "select * FROM ORDERS"}, True),
        ({"statement": "from orders"}, {"sql": "select * FROM ORDERS"}, False),
        ({"statement": "^SELECT"}, {"sql": "  SELECT 1"}, False),
        ({"digest": "SELECT a FROM t WHERE id = 1"}, {"sql": "SELECT a  FROM t WHERE id=7"}, True),
        ({"digest": "SELECT a FROM t WHERE id = %s"}, {"sql": "SELECT a FROM t WHERE id=7"}, True),
        ({"digest": "SELECT a FROM t WHERE id = %(id)s"}, {"sql": "SELECT a FROM t WHERE id=7"}, 1),
        ({"digest": "SELECT a FROM t"}, {"sql": "SELECT a FROM u"}, False),
        ({"user": "app", "database": "shop"}, {}, True),
        ({"user": "app", "database": "forum"}, {}, False),
        ({"user": "app", "statement": "orders"}, {"sql": "SELECT 1"}, False),
    ],
    ids=str,
)
def test_a_rule_matches_if_all_its_conditions_hold(when, known, expected):
    assert matches(when, **known) == bool(expected)


@given(st.text("ab*.\n", max_size=12), st.text("ab.\n", max_size=12))
def test_a_star_stands_for_any_text_and_nothing_else_is_special(pattern, text):
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL)
    assert Glob.of(pattern).fits(text) == bool(expected)


def test_many_stars_take_no_time():
    """Which backtracking would take for ever."""
    assert not Glob.of("*a" * 30 + "*b*").fits("a" * 100_000)


@given(st.lists(st.booleans(), max_size=8))
def test_the_first_rule_that_matches_counts(hits):
    rules = rules_of(
        *({"match": {"user": "app" if hit else "other"}, "refuse": "no"} for hit in hits)
    )
    found = match(rules, facts(), 0.0)
    if True in hits:
        assert found.rule is rules[hits.index(True)]
    else:
        assert found is None


class Untouchable:
    """A text that nobody may look at."""

    def __getattribute__(self, name):
        raise AssertionError("the text was touched")


def test_rules_without_conditions_on_the_text_do_not_touch_it():
    untouchable = Facts("app", "shop", "42", Untouchable(), Untouchable(), {"job": "x"})
    rules = rules_of(
        {"match": {"user": "x", "statement": "never reached", "digest": "SELECT 1"}, "refuse": "a"},
        {"match": {"tag": {"job": "y"}, "statement": "never reached"}, "refuse": "a"},
        {"match": {"user": "a*", "session_id": "42", "tag": {"job": "x"}}, "send_to": "main"},
    )
    assert match(rules, untouchable, 0.5).rule is rules[2]
    assert match((), untouchable, 0.5) is None


def test_the_digest_is_asked_for_once():
    asked = []
    rules = rules_of(*({"match": {"digest": f"SELECT {name}"}, "refuse": "no"} for name in "abc"))

    def digest():
        asked.append(1)
        return digest_of("SELECT c")

    assert match(rules, facts()._replace(digest=digest), 0.5).rule is rules[2]
    assert len(asked) == 1


percents = st.floats(0, 100, exclude_min=True)
ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(ids, percents, st.floats(0, 1), st.floats(0, 1))
def test_a_session_id_always_falls_on_the_same_side(session_id, percent, dice, other):
    table = {"match": {}, "send_to": "canary", "percent": percent}
    sides = {
        match(rules_of(table), facts(session_id=session_id), number) is not None
        for number in (dice, other)
    }
    assert len(sides) == 1


@given(ids, percents, percents)
def test_raising_the_percentage_never_moves_a_session_id_out(session_id, one, other):
    low, high = sorted((one, other))
    if SendTo("canary", low, "canary").takes(session_id):
        assert SendTo("canary", high, "canary").takes(session_id)


@given(st.floats(0, 1, exclude_max=True), percents, percents)
def test_raising_the_percentage_never_moves_a_connection_out(dice, one, other):
    low, high = sorted((one, other))
    if SendTo("canary", low, "canary").takes(dice):
        assert SendTo("canary", high, "canary").takes(dice)


def share(percent, keys, salt="canary"):
    action = SendTo("canary", percent, salt)
    return sum(map(action.takes, keys)) / len(keys) * 100


@pytest.mark.parametrize("percent", [0.5, 1, 10, 33.3, 50, 90, 99.5])
def test_a_percentage_is_kept_by_ids_and_by_dice(percent):
    """20,000 keys: four standard deviations."""
    spread = 4 * (percent * (100 - percent) / 20_000) ** 0.5
    dice = random.Random(percent)
    for keys in (
        [str(number) for number in range(20_000)],
        [f"user:{number:08x}" for number in range(20_000)],
        [dice.random() for _ in range(20_000)],
    ):
        assert abs(share(percent, keys) - percent) < spread


def test_all_of_them_is_all_of_them():
    assert share(100, [str(number) for number in range(1000)]) == 100


def test_rules_choose_independently_unless_they_send_to_one_group():
    """Also for a connection that keeps its number: a second rule gets its share of the rest."""
    keys = [number / 20_000 for number in range(20_000)]
    rest = [key for key in keys if not SendTo("a", 50, "a").takes(key)]
    assert abs(share(50, rest, salt="b") - 50) < 2
    assert share(50, rest, salt="a") == 0


def test_the_side_is_the_same_in_every_process():
    """These ids were taken when the test was written: a hash that changes moves users."""
    action = SendTo("canary", 10, "canary")
    assert [number for number in range(60) if action.takes(str(number))] == TAKEN


TAKEN = [3, 13, 25, 53, 59]


def test_the_name_of_a_rule_chooses_the_ids():
    unnamed = {"match": {}, "send_to": "canary", "percent": 10}
    first, second, named = rules_of(unnamed, unnamed, {**unnamed, "name": "new servers"})
    assert first.action == second.action
    assert named.action.salt == "new servers"


def test_who_is_not_among_the_percentage_goes_to_the_next_rule():
    rules = rules_of(
        {"match": {}, "send_to": "canary", "percent": 50},
        {"match": {"user": "app"}, "send_to": "main"},
    )
    found = {match(rules, facts(session_id=str(n)), 0.0).rule.action.group for n in range(50)}
    assert found == {"main", "canary"}


def test_a_text_is_rewritten_with_what_the_pattern_found():
    (rule,) = rules_of(
        {"match": {"statement": r"FROM (\w+) /\* slow \*/"}, "rewrite": r"FROM \1 FORCE INDEX (i)"}
    )
    found = match([rule], facts("SELECT 1 FROM t /* slow */ WHERE a = 1"), 0.0)
    assert found == Matched(rule, "SELECT 1 FROM t FORCE INDEX (i) WHERE a = 1")
    assert match([rule], facts("SELECT 1 FROM t"), 0.0) is None


def test_a_long_text_is_looked_at_in_its_beginning_and_never_rewritten():
    rules = rules_of({"match": {"statement": "needle"}, "refuse": "no"})
    rewriting = rules_of({"match": {"statement": "needle"}, "rewrite": "pin"})
    late = " " * LONGEST_TEXT + "needle"
    early = "needle" + " " * LONGEST_TEXT
    assert match(rules, facts(late), 0.0) is None
    assert match(rules, facts(early), 0.0).rule is rules[0]
    assert match(rewriting, facts(early), 0.0) is None
    assert match(rewriting, facts(early[:LONGEST_TEXT]), 0.0).rewritten.startswith("pin ")


def test_actions_and_their_defaults():
    send, refuse, limit, short = rules_of(
        {"match": {}, "send_to": "canary"},
        {"match": {}, "refuse": "ask the data team"},
        {"match": {}, "limit": {"running": 4, "wait": 2}},
        {"match": {}, "limit": {"running": 1}},
    )
    assert send.action == SendTo("canary", 100.0, "canary")
    assert refuse.action == Refuse("ask the data team")
    assert limit.action == Limit(4, 2.0)
    assert short.action == Limit(1, 0.0)


@pytest.mark.parametrize("weaken", [False, True])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("wanted", [None, *LEVELS])
def test_only_a_rule_that_says_so_weakens_consistency(level, wanted, weaken):
    """Also for a connection that asks for more than its cluster does."""
    rule = Rule("r", Conditions(), SendTo("canary"), wanted, weaken)
    found = level_under(rule, level)
    if wanted is None:
        assert found == level
    elif weaken:
        assert found == wanted
    else:
        assert LEVELS.index(found) == max(LEVELS.index(level), LEVELS.index(wanted))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("wanted", LEVELS)
def test_a_weaker_rule_must_say_that_it_is_meant(level, wanted):
    table = {"match": {}, "send_to": "main", "consistency": wanted}
    if LEVELS.index(wanted) < LEVELS.index(level):
        with pytest.raises(ValueError, match="weaken = true"):
            rules_of(table, level=level)
    else:
        assert rules_of(table, level=level)[0].consistency == wanted
    assert rules_of({**table, "weaken": True}, level=level)[0].weaken


@pytest.mark.parametrize(
    ("table", "path", "words"),
    [
        ({"refuse": "x"}, "rules[0].match", ["missing"]),
        ({"match": []}, "rules[0].match", ["table", "list"]),
        ({"match": {"usr": "a"}}, "rules[0].match.usr", ["'user'"]),
        ({"match": {"user": 5}}, "rules[0].match.user", ["text", "5"]),
        ({"match": {"user": ""}}, "rules[0].match.user", ["text"]),
        ({"match": {"tag": "job"}}, "rules[0].match.tag", ["table", "'job'"]),
        ({"match": {"tag": {}}}, "rules[0].match.tag", ["at least one"]),
        ({"match": {"tag": {"job": 1}}}, "rules[0].match.tag.job", ["text", "1"]),
        ({"match": {"tag": {"my job": "a*"}}}, "rules[0].match.tag.'my job'", ["'a*'"]),
        ({"match": {"statement": "(a"}}, "rules[0].match.statement", ["regular", "'(a'"]),
        ({"match": {"statement": "a" * 1001}}, "rules[0].match.statement", ["1000", "1001"]),
        ({"match": {"digest": ["a"]}}, "rules[0].match.digest", ["text", "a list"]),
        ({}, "rules[0]", ["send_to, refuse, limit, rewrite", "none"]),
        ({"send_to": "main", "refuse": "x"}, "rules[0]", ["send_to and refuse"]),
        ({"send_to": "mian"}, "rules[0].send_to", ["main, canary", "'mian'", "mean 'main'"]),
        ({"send_to": "main", "percent": 0}, "rules[0].percent", ["100", "got 0"]),
        ({"send_to": "main", "percent": 100.1}, "rules[0].percent", ["100.1"]),
        ({"send_to": "main", "percent": float("nan")}, "rules[0].percent", ["nan"]),
        ({"send_to": "main", "percent": True}, "rules[0].percent", ["True"]),
        ({"send_to": "main", "percent": "10"}, "rules[0].percent", ["'10'"]),
        ({"refuse": "x", "percent": 10}, "rules[0].percent", ["send_to"]),
        ({"refuse": ""}, "rules[0].refuse", ["text"]),
        ({"refuse": "x", "consistency": "global"}, "rules[0].consistency", ["refuses"]),
        ({"limit": 4}, "rules[0].limit", ["table", "4"]),
        ({"limit": {}}, "rules[0].limit.running", ["at least 1", "nothing"]),
        ({"limit": {"running": 0}}, "rules[0].limit.running", ["at least 1", "0"]),
        ({"limit": {"runing": 1}}, "rules[0].limit.runing", ["mean 'running'"]),
        ({"limit": {"running": 1, "wait": -1}}, "rules[0].limit.wait", ["seconds", "-1"]),
        ({"rewrite": "x"}, "rules[0].rewrite", ["match.statement"]),
        ({"match": {"statement": "a"}, "rewrite": r"\1"}, "rules[0].rewrite", ["template"]),
        ({"match": {"statement": "a"}, "rewrite": r"\g<b>"}, "rules[0].rewrite", ["template"]),
        ({"send_to": "main", "weaken": True}, "rules[0].weaken", ["consistency"]),
        ({"send_to": "main", "weaken": 1, "consistency": "global"}, "rules[0].weaken", ["true"]),
        ({"send_to": "main", "consistency": "strong"}, "rules[0].consistency", ["eventual"]),
        ({"send_to": "main", "name": 5}, "rules[0].name", ["text", "5"]),
        ({"sendto": "main"}, "rules[0].sendto", ["mean 'send_to'"]),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_what_is_wrong_with_a_rule_is_told_with_its_key(table, path, words):
    given = table if "match" in table or "missing" in words else {"match": {}, **table}
    with pytest.raises(ValueError) as caught:
        rules_of(given)
    lines = [line for line in caught.value.problems if line.startswith(f"rwsplit.toml: {path}: ")]
    assert len(lines) == 1, caught.value
    for word in words:
        assert word in lines[0]


def test_two_rules_of_one_name_are_told():
    table = {"match": {}, "refuse": "x", "name": "a"}
    with pytest.raises(ValueError, match=r"rules\[1\].name: 'a'"):
        rules_of(table, table)


def test_a_list_of_rules_must_be_one():
    problems = Problems("f")
    assert parse_rules("rules", {"a": 1}, (), "session", digest_of, problems) == ()
    assert parse_rules("rules", ["a"], (), "session", digest_of, problems) == ()
    assert len(problems) == 2


def test_a_rule_shows_what_it_is_about():
    shown = rules_of(
        {
            "name": "new servers",
            "match": {"user": "app_*", "tag": {"job": "*"}, "statement": "(?i)from orders"},
            "send_to": "canary",
            "percent": 10,
            "consistency": "eventual",
            "weaken": True,
        },
        {"match": {}, "limit": {"running": 4, "wait": 0.5}},
        {"match": {"digest": "SELECT 1"}, "refuse": "no"},
    )
    assert [repr(rule) for rule in shown] == [
        "<Rule new servers: if user='app_*', statement='(?i)from orders', tag job='*': "
        "send 10 % to canary, consistency=eventual>",
        "<Rule rules[1]: if always: at most 4 at a time, wait 0.5 s>",
        "<Rule rules[2]: if digest='SELECT': refuse>",
    ]
    assert str(Matched(shown[0])) == "rule new servers: send 10 % to canary"
    assert str(Rewrite("x")) == "rewrite"
