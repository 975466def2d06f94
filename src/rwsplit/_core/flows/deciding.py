"""Where a statement goes, with what must be asked for that."""

from __future__ import annotations

from ..cause import Cause, Reason
from ..session.route import Destination, Route
from ..session.session import Session
from .answer import Underway
from .command import Flow
from .learning import Learning
from .publishing import Publishing
from .recovering import Recovering

__all__ = ["PRIMARYS_SHARE", "Deciding"]

PRIMARYS_SHARE = Reason("it is of the primary's share of the reads", Cause.SHARE)
_REPLICA = Destination.REPLICA


class Deciding:
    """What decides where a session's statements go; the rules themselves are `route`."""

    def __init__(
        self,
        session: Session,
        learning: Learning,
        publishing: Publishing,
        recovering: Recovering,
    ) -> None:
        self._session = session
        self._learning = learning
        self._recovering = recovering
        self.publishing = publishing

    def deciding(self, underway: Underway, in_snapshot: bool = False) -> Flow[Route]:
        """Decide where a statement goes, with what must be known for that."""
        session, statement = self._session, underway.statement
        decision = session.route(statement, in_snapshot)
        if decision.destination is not _REPLICA or not session.terms.splits:
            return decision
        if session.state.doubts(statement):
            yield from self._learning.reading_back(statement)
            decision = session.route(statement, in_snapshot)
            if decision.destination is not _REPLICA:
                return decision
        shared = session.terms.primary_share and not in_snapshot
        if shared and (yield from self.primarys_share(underway)):
            return Route(Destination.PRIMARY, PRIMARYS_SHARE)
        if self.publishing.is_bounded(underway, decision):
            return (yield from self.publishing.bounded(underway, decision))
        return decision

    def primarys_share(self, underway: Underway) -> Flow[bool]:
        """Tell whether this read for replicas is one of those that the primary is to serve."""
        session, hint, rule = self._session, underway.statement.hint, underway.rule
        share = session.terms.primary_share
        return (
            share > 0
            and (hint is None or hint.route is None)
            and (rule is None or not rule.sends)
            and session.cluster.primary_is_up
            and session.cluster.dice.random() < share
            and (yield from self._recovering.primary_answers())
        )
