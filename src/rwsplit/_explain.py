"""What `python -m rwsplit explain` prints: what is known of a statement from its text alone."""

from __future__ import annotations

from ._core.cluster.position import empty
from ._core.session.route import route
from ._core.session.state import State
from ._core.sql.classify import classify
from ._core.sql.statement import Statement

__all__ = ["explain"]

_SHOWN_FIRST = ("kind", "reason", "verb")


def explain(sql: str, flavor: str, sql_mode: str = "") -> str:
    """Describe a statement: its kind, its effects, and its route in a fresh session."""
    statement = classify(sql, flavor, sql_mode=sql_mode)
    decision = route(statement, State(empty(flavor), None), "session")
    lines = [
        ("route", f"{decision.destination.value} ({decision.reason})"),
        ("cause", decision.reason.cause.value),
        *_facts(statement),
    ]
    for number, part in enumerate(statement.parts, 1):
        lines += [("", ""), (f"part {number}", ""), *_facts(part)]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}".rstrip() for name, value in lines)


def _facts(statement: Statement) -> list[tuple[str, str]]:
    facts = statement._asdict()
    for name in ("parts", "body", "plain"):
        facts.pop(name)
    shown = [(name, str(facts.pop(name))) for name in _SHOWN_FIRST]
    return shown + [
        (name.replace("_", " "), _show(value)) for name, value in facts.items() if value
    ]


def _show(value: object) -> str:
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(str, value)))
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return ", ".join(map(str, value))
    return "yes" if value is True else str(value)
