"""Rules of the configuration, applied to a virtual connection's statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymysql.constants import ER

from .._core.route import Route
from .._core.statement import Statement
from .._core.values import as_text
from .._drivers import err
from .context import current
from .transactions import Transactions

if TYPE_CHECKING:
    from .._core.rules import Limit, Matched

__all__ = ["Ruling"]


class Ruling(Transactions):
    """How a virtual connection follows its cluster's rules."""

    def _query_by_rules(self, sql: Any, unbuffered: bool) -> Any:
        """Run a statement as the first rule that matches it wants."""
        # Who has no rules does not pay for them, nor for the classifier of their digests.
        from .._core.rules import Limit, Refuse  # noqa: PLC0415

        matched = self._match(sql)
        self._ruling, self._rule = True, matched
        try:
            if matched is None:
                return self.query(sql, unbuffered)
            action = matched.rule.action
            if isinstance(action, Refuse):
                raise err.OperationalError(
                    ER.NOT_ALLOWED_COMMAND, f"{action.message} (rule {matched.rule.name})"
                )
            if matched.rewritten is not None:
                self._template = None
                text = matched.rewritten
                if isinstance(sql, str):
                    return self.query(text, unbuffered)
                encoded = text.encode(self.driver_connection.encoding, "surrogateescape")
                return self.query(encoded, unbuffered)
            if isinstance(action, Limit):
                return self._query_in_turn(matched, action, sql, unbuffered)
            return self.query(sql, unbuffered)
        finally:
            self._ruling, self._rule = False, None

    def _match(self, sql: Any) -> Matched | None:
        from .._core.config import digest_of  # noqa: PLC0415
        from .._core.rules import Facts, match  # noqa: PLC0415

        cluster, primary = self._cluster, self.driver_connection
        self._prepare()
        text = sql
        if not isinstance(sql, str):
            text = bytes(sql).decode(primary.encoding, "surrogateescape")
        own = self._options.tags
        entered = current.get()
        context = {} if entered is None else entered.tags
        facts = Facts(
            as_text(primary.user),
            self._session.schema,
            self._shared_id(),
            lambda: digest_of(text),
            text,
            {**own, **context} if own and context else context or own,
        )
        return match(cluster.rules, facts, cluster.dice.random())

    def _query_in_turn(self, matched: Matched, limit: Limit, sql: Any, unbuffered: bool) -> Any:
        turn = self._cluster.limits[matched.rule.name]
        if not turn.acquire(timeout=limit.wait):
            raise err.OperationalError(
                ER.USER_LIMIT_REACHED,
                f"{limit.running} of these statements run already in this process, and none ended "
                f"within {limit.wait:g} s (rule {matched.rule.name})",
            )
        try:
            return self.query(sql, unbuffered)
        finally:
            turn.release()

    def _by_rule(self, matched: Matched, statement: Statement, decision: Route) -> Route:
        """Add to the route of a read for replicas what its rule says."""
        from .._core.rules import SendTo, level_under  # noqa: PLC0415

        decision = decision._replace(consistency=level_under(matched.rule, decision.consistency))
        action, hint = matched.rule.action, statement.hint
        if isinstance(action, SendTo) and (hint is None or hint.route is None):
            reason = f"{decision.reason}; {matched}"
            decision = decision._replace(
                group=action.group, reason=decision.reason.reworded(reason)
            )
        return decision
