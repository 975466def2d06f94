"""rwsplit's own variables of a virtual connection: set, selected and shown as a server's are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..cause import Cause, Reason, not_split
from ..cluster.policies import POLICIES, name_of
from ..session.route import RouteTaken
from ..session.session import Session
from ..setup.options import Options
from ..sql.controls import (
    CONSISTENCY,
    POLICY,
    RATIO,
    TIMEOUT,
    Control,
    ControlError,
    Pick,
    Show,
    read_pick,
    read_set,
    read_show,
)
from ..sql.statement import Statement
from ..sql.values import as_text
from ..wire import Fault
from .answer import EMPTY, Answer, Made, Underway
from .command import Flow
from .joining import Joining
from .reading import Reads

__all__ = ["Among", "Controlling"]

_OWN = "is about rwsplit itself"
_VARIABLES = [("Variable_name", True), ("Value", True)]


class Among(NamedTuple):
    """Variables of rwsplit that are shown among the server's own."""

    ours: Sequence[tuple[str, str]]

    def merged(self, answer: Answer) -> Answer:
        """Return what the server has answered, with them."""
        asked = answer.result
        rows = sorted([*asked.rows, *self.ours], key=lambda row: str(as_text(row[0])))
        return Answer(answer.route, made=Made(asked.fields, rows))


class Controlling:
    """How a virtual connection is controlled from SQL."""

    def __init__(self, session: Session, joining: Joining, reads: Reads) -> None:
        self._session = session
        self._joining = joining
        self._reads = reads

    def controlling(self, underway: Underway) -> Flow[Answer | Among | None]:
        """Run what is about rwsplit's own variables; None leaves the rest to the servers."""
        session, statement = self._session, underway.statement
        if not session.hold.revives:
            return None  # plain PyMySQL, without a cluster
        said = underway.sql.decode(session.primary.connection.encoding, "surrogateescape")
        dialect = session.language.dialect
        try:
            controls = read_set(said, dialect)
        except ControlError as error:
            raise Fault(*error.args) from None
        if controls is not None:
            for control in controls:
                if control.is_global:
                    session.cluster.controls[control.name] = control
                else:
                    yield from self._applying(control)
            return _answer(statement, EMPTY)
        picks = read_pick(said, dialect)
        if picks is not None:
            return _answer(statement, self._picked(picks))
        show = read_show(said, dialect)
        if show is None:
            return None
        underway.buffer()  # its rows are wanted here
        return self._shown(show, statement)

    def starting(self) -> Flow[None]:
        """Begin with what SET GLOBAL has set in this process."""
        for control in [*self._session.cluster.controls.values()]:
            if control.value is not None:
                yield from self._applying(control)

    def _applying(self, control: Control) -> Flow[None]:
        session = self._session
        name, value, options = control.name, control.value, session.options
        if name == POLICY:
            yield from self._setting_policy(None if value is None else str(value))
        elif name == RATIO:
            share = options.primary_share if value is None else 1 - float(value) / 100
            session.terms.share(share)
            session.look_at_terms()
        elif name == TIMEOUT:
            self._reads.wait_at_most(options.max_wait if value is None else float(value))
        else:
            level = options.consistency if value is None else str(value).lower()
            session.identity.be("database" if level == "instance" else options.session_id_kind)
            session.terms.say("session" if level == "instance" else level)
            session.look_at_terms()
            yield from self._joining.joining()

    def _setting_policy(self, name: str | None) -> Flow[None]:
        """Split reads by a policy, or not at all (`disable`); None as it was at first."""
        session = self._session
        cluster, options = session.cluster, session.options
        # Who switches splitting off for a process has the last word.
        off = cluster.reads_are_off()
        reads = options.reads if name is None else "replicas"
        session.terms.switch(not_split(cluster.splits, reads, off, name == "disable"))
        session.look_at_terms()
        if name is None:
            self._reads.take_policy(options.policy)
        elif name != "disable":
            self._reads.take_policy(POLICIES[name])
        # An open transaction goes on as it began.
        session.identity.look_again()
        yield from self._joining.joining()

    def _value_of(self, name: str, is_global: bool) -> Any:
        """Return what a variable has, as a server would print it."""
        session = self._session
        terms, cluster, chooser = session.terms, session.cluster, self._reads.chooser
        if is_global:
            known = cluster.controls.get(name)
            if known is not None and known.value is not None:
                return _printed(name, known.value)
            return _printed(name, _DEFAULTS.get(name) or name_of(cluster.policy))
        if name == POLICY:
            return name_of(chooser.policy or cluster.policy) if terms.splits else "disable"
        if name == RATIO:
            return round((1 - terms.primary_share) * 100)
        if name == TIMEOUT:
            return chooser.max_wait
        if session.identity.kind == "database" and terms.level == "session":
            return "INSTANCE"
        return terms.level.upper()

    def _picked(self, picks: tuple[Pick, ...]) -> Made:
        columns = [(pick.title, pick.name in (POLICY, CONSISTENCY)) for pick in picks]
        return Made(columns, [tuple([self._value_of(p.name, p.is_global) for p in picks])])

    def _shown(self, show: Show, statement: Statement) -> Answer | Among:
        """Show them, among the server's own where it may have such."""
        ours = [(name, f"{self._value_of(name, show.is_global)}") for name in show.names]
        return _answer(statement, Made(_VARIABLES, ours)) if show.alone else Among(ours)


def _answer(statement: Statement, made: Made) -> Answer:
    reason = Reason(f"{statement.verb} {_OWN}", Cause.ANSWERED)
    return Answer(RouteTaken("", "none", reason), made=made)


_OPTIONS = Options()
_DEFAULTS: dict[str, str | float] = {
    RATIO: 100.0,
    TIMEOUT: _OPTIONS.max_wait,
    CONSISTENCY: _OPTIONS.consistency.upper(),
}


def _printed(name: str, value: str | float) -> Any:
    return round(value) if name == RATIO and not isinstance(value, str) else value
