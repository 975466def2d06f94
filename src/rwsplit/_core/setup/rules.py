"""Rules: a condition on statements, with what to do about them. The first that matches counts.

A rule decides nothing about where a statement *may* run: `send_to` chooses among replicas for what
the router takes for a read, and a rewritten text is classified anew. So no rule can send a write
to a replica.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from ..session.route import LEVELS, Route
from ..sql.statement import Statement

__all__ = [
    "LONGEST_TEXT",
    "Action",
    "Conditions",
    "Facts",
    "Glob",
    "Limit",
    "Matched",
    "Refuse",
    "Rewrite",
    "Rule",
    "SendTo",
    "level_under",
    "match",
]

LONGEST_TEXT = 65536
"""How many characters of a statement a regular expression looks at."""


class Glob(NamedTuple):
    """A text in which every `*` stands for any text."""

    text: str
    expression: re.Pattern[str] | None = None
    """None if there is no `*`."""

    @classmethod
    def of(cls, text: str) -> Glob:
        """Compile it.

        >>> Glob.of("app_*").fits("app_1"), Glob.of("app_*").fits("app")
        (True, False)
        """
        if "*" not in text:
            return cls(text)
        first, *middle, last = map(re.escape, text.split("*"))
        # Each piece where it first stands, and no second try: linear, whatever the text.
        pieces = "".join(f"(?>.*?{piece})" for piece in middle)
        return cls(text, re.compile(f"{first}{pieces}.*{last}", re.DOTALL))

    def fits(self, value: str | None) -> bool:
        """Tell whether a value is such a text; what is not known never is."""
        if self.expression is None or value is None:
            return value == self.text
        return self.expression.fullmatch(value) is not None


class SendTo(NamedTuple):
    """Let a group's replicas answer a read."""

    group: str
    percent: float = 100.0
    """The share of the session ids; of the dice, where there is no session id."""
    salt: str = ""
    """What tells the choice of this rule from that of another: its name, or the group's."""

    def __str__(self) -> str:
        share = "" if self.percent >= 100 else f"{self.percent:g} % "
        return f"send {share}to {self.group}"

    def takes(self, key: str | float) -> bool:
        """Tell whether a key is on the group's side: always the same, for the same key.

        What is there at one percentage is there at every higher one.
        """
        if self.percent >= 100:
            return True
        text = f"{self.salt}\0{key}".encode("utf-8", "surrogatepass")
        point = int.from_bytes(blake2b(text, digest_size=8).digest())
        return point * 100 < self.percent * (1 << 64)


class Refuse(NamedTuple):
    """Don't run the statement: an error with this message."""

    message: str

    def __str__(self) -> str:
        return "refuse"


class Limit(NamedTuple):
    """Run no more than so many of these statements at a time in this process."""

    running: int
    wait: float = 0.0
    """How many seconds one waits for its turn before it is refused."""

    def __str__(self) -> str:
        return f"at most {self.running} at a time, wait {self.wait:g} s"


class Rewrite(NamedTuple):
    """Run another text: every match of the rule's `statement` replaced by this template."""

    template: str

    def __str__(self) -> str:
        return "rewrite"


Action = SendTo | Refuse | Limit | Rewrite


class Conditions(NamedTuple):
    """What must hold for a rule to match. None is: anything."""

    user: Glob | None = None
    database: Glob | None = None
    session_id: Glob | None = None
    tags: tuple[tuple[str, str], ...] = ()
    """(tag, value) that the application must have set; the value `*` is any."""
    digest: str | None = None
    statement: re.Pattern[str] | None = None

    def __str__(self) -> str:
        said = [
            f"{name}={_text(value)!r}"
            for name, value in zip(self._fields, self, strict=True)
            if value is not None and name != "tags"
        ]
        said += [f"tag {name}={value!r}" for name, value in self.tags]
        return ", ".join(said) or "always"


class Rule(NamedTuple):
    """One rule of a cluster."""

    name: str
    when: Conditions
    action: Action
    consistency: str | None = None
    weaken: bool = False
    """Whether its consistency may be weaker than what the connection asks for."""

    def __repr__(self) -> str:
        level = f", consistency={self.consistency}" if self.consistency else ""
        return f"<Rule {self.name}: if {self.when}: {self.action}{level}>"


class Facts(NamedTuple):
    """What is known of a statement before it is routed."""

    user: str | None
    database: str | None
    session_id: str | None
    digest: Callable[[], str]
    """Asked only if a rule wants it, and once."""
    statement: str
    """The text with its parameters in it."""
    tags: Mapping[str, str] = {}


class Matched(NamedTuple):
    """The rule that counts for a statement."""

    rule: Rule
    rewritten: str | None = None
    """What runs instead; to be classified anew."""

    @property
    def sends(self) -> bool:
        """Whether it says which replicas are to serve."""
        return isinstance(self.rule.action, SendTo)

    def applied(self, statement: Statement, decision: Route) -> Route:
        """Add to the route of a read for replicas what the rule says."""
        decision = decision._replace(consistency=level_under(self.rule, decision.consistency))
        action, hint = self.rule.action, statement.hint
        if isinstance(action, SendTo) and (hint is None or hint.route is None):
            reason = decision.reason.reworded(f"{decision.reason}; {self}")
            decision = decision._replace(group=action.group, reason=reason)
        return decision

    def __str__(self) -> str:
        return f"rule {self.rule.name}: {self.rule.action}"


def match(rules: Sequence[Rule], facts: Facts, dice: float | str) -> Matched | None:
    """Return the first rule that matches a statement, or None.

    `dice` decides percentages where there is no session id: a random number, new for each statement
    or kept by a connection that is to stay on its side.
    """
    digest = None
    for rule in rules:
        when = rule.when
        if not _knows(when, facts):
            continue
        if when.digest is not None:
            if digest is None:
                digest = facts.digest()
            if digest != when.digest:
                continue
        if when.statement and not when.statement.search(facts.statement, 0, LONGEST_TEXT):
            continue
        found = _apply(rule, facts, dice)
        if found is not None:
            return found
    return None


def level_under(rule: Rule, level: str) -> str:
    """Return the consistency of a statement under a rule, where its connection asks for `level`.

    Weaker only if the rule says that this is meant.
    """
    if rule.consistency is None:
        return level
    return rule.consistency if rule.weaken else max(level, rule.consistency, key=LEVELS.index)


def _knows(when: Conditions, facts: Facts) -> bool:
    """Whether all that does not look at the text holds."""
    return (
        (when.user is None or when.user.fits(facts.user))
        and (when.database is None or when.database.fits(facts.database))
        and (when.session_id is None or when.session_id.fits(facts.session_id))
        and (not when.tags or _tagged(when.tags, facts.tags))
    )


def _tagged(wanted: tuple[tuple[str, str], ...], tags: Mapping[str, str]) -> bool:
    for name, value in wanted:
        found = tags.get(name)
        if found is None or value not in ("*", found):
            return False
    return True


def _apply(rule: Rule, facts: Facts, dice: float | str) -> Matched | None:
    action = rule.action
    if isinstance(action, SendTo):
        key = dice if facts.session_id is None else facts.session_id
        return Matched(rule) if action.takes(key) else None
    if isinstance(action, Rewrite):
        assert rule.when.statement is not None
        if len(facts.statement) > LONGEST_TEXT:
            return None
        return Matched(rule, rule.when.statement.sub(action.template, facts.statement))
    return Matched(rule)


def _text(value: object) -> object:
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, Glob):
        return value.text
    # A digest has the mark of its end.
    return value.rstrip(" \x01") if isinstance(value, str) else value
