"""Rules of the configuration: the first that matches a statement says what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..numbers import NOT_ALLOWED_COMMAND, USER_LIMIT_REACHED
from ..session.session import Session
from ..wire import Fault

if TYPE_CHECKING:
    from ..setup.rules import Limit, Matched

__all__ = ["matched", "refused", "rewritten"]


def matched(session: Session, sql: Any) -> Matched | None:
    """Return the first rule that matches a text."""
    # Who has no rules does not pay for them, nor for the classifier of their digests.
    from ..setup.config import digest_of  # noqa: PLC0415
    from ..setup.rules import Facts, match  # noqa: PLC0415

    cluster, identity = session.cluster, session.identity
    text = sql
    if not isinstance(sql, str):
        text = bytes(sql).decode(session.primary.connection.encoding, "surrogateescape")
    own = session.options.tags
    entered = session.block()
    context = {} if entered is None else entered.tags
    facts = Facts(
        identity.user(),
        session.state.schema,
        identity.shared_id,
        lambda: digest_of(text),
        text,
        {**own, **context} if own and context else context or own,
    )
    return match(cluster.rules, facts, cluster.dice.random())


def rewritten(session: Session, rule: Matched, sql: Any) -> Any:
    """Return the text that runs instead; raises 1148 for a statement that the rule refuses."""
    from ..setup.rules import Refuse  # noqa: PLC0415

    action = rule.rule.action
    if isinstance(action, Refuse):
        raise Fault(NOT_ALLOWED_COMMAND, f"{action.message} (rule {rule.rule.name})")
    if rule.rewritten is None:
        return sql
    if isinstance(sql, str):
        return rule.rewritten
    return rule.rewritten.encode(session.primary.connection.encoding, "surrogateescape")


def refused(rule: Matched, limit: Limit) -> Fault:
    """Return the fault of a statement that did not get its turn in time."""
    return Fault(
        USER_LIMIT_REACHED,
        f"{limit.running} of these statements run already in this process, and none ended "
        f"within {limit.wait:g} s (rule {rule.rule.name})",
    )
