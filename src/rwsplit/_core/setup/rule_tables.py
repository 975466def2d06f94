"""From the tables of a configuration to rules: everything is checked here, and nothing later."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, TypeGuard

from ..session.route import LEVELS
from .problems import Problems, below, meant, shown
from .rules import Action, Conditions, Glob, Limit, Refuse, Rewrite, Rule, SendTo

__all__ = ["parse_rules"]

_ACTIONS = ("send_to", "refuse", "limit", "rewrite")
_KEYS = ("name", "match", *_ACTIONS, "percent", "consistency", "weaken")
_CONDITIONS = ("user", "database", "session_id", "tag", "digest", "statement")
_LONGEST_PATTERN = 1000
_YEAR = 31536000
# As in an SQL text that waits for its parameters.
_PLACE = re.compile(r"%(?:\([^()%]*+\))?s")

Table = Mapping[str, object]


class _Context(NamedTuple):
    problems: Problems
    groups: Collection[str]
    level: str
    digest: Callable[[str], str]


def parse_rules(
    path: str,
    value: object,
    groups: Collection[str],
    level: str,
    digest: Callable[[str], str],
    problems: Problems,
) -> tuple[Rule, ...]:
    """Read the list of rules at `path` of a configuration.

    `groups` are the names that a rule may send to, `level` is the consistency that it may weaken
    only if it says so, `digest` normalises a statement. What is wrong goes to `problems`, and the
    rule is left out.
    """
    if not isinstance(value, list):
        problems.add(f"{path}: expected a list of tables, got {shown(value)}")
        return ()
    context = _Context(problems, groups, level, digest)
    rules: dict[str, Rule] = {}
    for index, entry in enumerate(value):
        where = f"{path}[{index}]"
        rule = _rule(where, entry, f"rules[{index}]", context)
        if rule is not None and rule.name in rules:
            problems.add(f"{where}.name: {rule.name!r} is the name of a rule before")
        elif rule is not None:
            rules[rule.name] = rule
    return tuple(rules.values())


def _rule(path: str, entry: object, default_name: str, context: _Context) -> Rule | None:
    problems = context.problems
    before = len(problems)
    table = problems.known(path, problems.table(path, entry), _KEYS)
    if not isinstance(entry, Mapping):
        return None
    name = problems.text(f"{path}.name", table["name"]) if "name" in table else default_name
    when = _conditions(path, table, context)
    action = _action(path, table, when, context)
    consistency = _consistency(path, table, context)
    if name is None or action is None or len(problems) > before:
        return None
    return Rule(name, when, action, consistency, table.get("weaken") is True)


def _conditions(path: str, table: Table, context: _Context) -> Conditions:
    problems = context.problems
    if "match" not in table:
        problems.add(f"{path}.match: missing; {{}} matches every statement")
        return Conditions()
    path = f"{path}.match"
    found = problems.known(path, problems.table(path, table["match"]), _CONDITIONS)
    tags = _tags(f"{path}.tag", found.pop("tag"), problems) if "tag" in found else ()
    texts = {key: problems.text(f"{path}.{key}", value) for key, value in found.items()}
    globs = {
        key: Glob.of(text)
        for key, text in texts.items()
        if text is not None and key not in ("digest", "statement")
    }
    digest, statement = texts.get("digest"), texts.get("statement")
    return Conditions(
        **globs,
        tags=tags,
        digest=None if digest is None else context.digest(_PLACE.sub("1", digest)),
        statement=_pattern(f"{path}.statement", statement, problems) if statement else None,
    )


def _tags(path: str, value: object, problems: Problems) -> tuple[tuple[str, str], ...]:
    tags = []
    if value == {}:
        problems.add(f"{path}: expected a table with at least one tag, got none")
    for name, given in problems.table(path, value).items():
        wanted = problems.text(below(path, name), given)
        if wanted is None:
            continue
        if "*" in wanted and wanted != "*":
            problems.add(
                f"{below(path, name)}: expected a whole value, or '*' for any, got {shown(wanted)}"
            )
        tags.append((name, wanted))
    return tuple(tags)


def _pattern(path: str, text: str, problems: Problems) -> re.Pattern[str] | None:
    if len(text) > _LONGEST_PATTERN:
        problems.add(f"{path}: expected at most {_LONGEST_PATTERN} characters, got {len(text)}")
        return None
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        problems.add(f"{path}: expected a regular expression, got {shown(text)}: {error}")
        return None


def _action(path: str, table: Table, when: Conditions, context: _Context) -> Action | None:
    problems = context.problems
    found = [key for key in _ACTIONS if key in table]
    if "percent" in table and "send_to" not in table:
        problems.add(f"{path}.percent: expected only together with send_to")
    if len(found) != 1:
        problems.add(
            f"{path}: expected exactly one of {', '.join(_ACTIONS)}, "
            f"got {' and '.join(found) or 'none'}"
        )
        return None
    key = found[0]
    if key == "limit":
        return _limit(f"{path}.limit", table[key], problems)
    text = problems.text(f"{path}.{key}", table[key])
    if text is None:
        return None
    if key == "send_to":
        return _send_to(path, text, table, context)
    return Refuse(text) if key == "refuse" else _rewrite(path, text, table, when, problems)


def _send_to(path: str, group: str, table: Table, context: _Context) -> SendTo | None:
    if group not in context.groups:
        known = ", ".join(context.groups) or "none"
        context.problems.add(
            f"{path}.send_to: expected a group of this cluster ({known}), got {shown(group)}"
            f"{meant(group, context.groups)}"
        )
    percent = table.get("percent", 100)
    if not _is_number(percent) or not 0 < percent <= 100:
        context.problems.add(
            f"{path}.percent: expected more than 0 and at most 100, got {shown(percent)}"
        )
        return None
    # Two rules that send to one group choose the same session ids, unless they have names.
    return SendTo(group, float(percent), str(table.get("name", group)))


def _limit(path: str, value: object, problems: Problems) -> Limit | None:
    table = problems.known(path, problems.table(path, value), ("running", "wait"))
    if not isinstance(value, Mapping):
        return None
    running, wait = table.get("running"), table.get("wait", 0.0)
    if isinstance(running, bool) or not isinstance(running, int) or running < 1:
        found = shown(running) if "running" in table else "nothing"
        problems.add(f"{path}.running: expected a whole number of at least 1, got {found}")
        running = None
    if not _is_number(wait) or not 0 <= wait < _YEAR:
        problems.add(f"{path}.wait: expected seconds, from 0 to a year, got {shown(wait)}")
        return None
    return None if running is None else Limit(running, float(wait))


def _rewrite(
    path: str, template: str, table: Table, when: Conditions, problems: Problems
) -> Rewrite | None:
    match = table.get("match")
    if isinstance(match, Mapping) and "statement" not in match:
        problems.add(f"{path}.rewrite: expected only together with match.statement")
    if when.statement is None:
        return None
    try:
        when.statement.sub(template, "")
    except (re.error, IndexError) as error:
        problems.add(f"{path}.rewrite: expected a template, got {shown(template)}: {error}")
        return None
    return Rewrite(template)


def _consistency(path: str, table: Table, context: _Context) -> str | None:
    problems = context.problems
    weaken = "weaken" in table and problems.switch(f"{path}.weaken", table["weaken"])
    if "consistency" not in table:
        if weaken:
            problems.add(f"{path}.weaken: expected only together with consistency")
        return None
    level = table["consistency"]
    if not isinstance(level, str) or level.lower() not in LEVELS:
        problems.add(f"{path}.consistency: expected one of {', '.join(LEVELS)}, got {shown(level)}")
        return None
    level = level.lower()
    if "refuse" in table:
        problems.add(f"{path}.consistency: expected none in a rule that refuses")
    if not weaken and LEVELS.index(level) < LEVELS.index(context.level):
        problems.add(
            f"{path}.consistency: {level!r} is weaker than the cluster's {context.level!r}; "
            "expected weaken = true beside it, if that is meant"
        )
    return level


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
