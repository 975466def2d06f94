"""rwsplit's own variables of a virtual connection: set, selected and shown as a server's are."""

from __future__ import annotations

from typing import Any

from .._core.cause import Cause, Reason, not_split
from .._core.controls import (
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
from .._core.options import Options
from .._core.policies import POLICIES, name_of
from .._core.route import RouteTaken
from .._core.statement import Statement
from .._core.values import as_text
from .._drivers import err
from .._drivers.pymysql import made_result, no_result
from .config_file import reads_are_switched_off
from .ruling import Ruling
from .statements import AGAIN

__all__ = ["Controls"]

_OWN = "is about rwsplit itself"


class Controls(Ruling):
    """How a virtual connection is controlled from SQL."""

    def _control(self, statement: Statement, sql: bytes, unbuffered: bool) -> bool:
        """Run what is about rwsplit's own variables; False leaves the rest to the servers."""
        if not self._revives:
            return False  # plain PyMySQL, without a cluster
        said = sql.decode(self.driver_connection.encoding, "surrogateescape")
        dialect = self._classifier.dialect
        try:
            controls = read_set(said, dialect)
        except ControlError as error:
            raise err.OperationalError(*error.args) from None
        if controls is not None:
            for control in controls:
                if control.is_global:
                    self._cluster.controls[control.name] = control
                else:
                    self._apply_control(control)
            self._answer(statement, no_result(self.server_status))
            return True
        picks = read_pick(said, dialect)
        if picks is not None:
            self._answer(statement, self._picked(picks))
            return True
        show = read_show(said, dialect)
        if show is None:
            return False
        self._show(show, statement, sql)
        return True

    def _answer(self, statement: Statement, result: Any) -> None:
        self.route = result.route = RouteTaken(
            "", "none", Reason(f"{statement.verb} {_OWN}", Cause.ANSWERED)
        )
        self._result = result
        self._affected_rows = result.affected_rows

    def _start_controls(self) -> None:
        """Begin with what SET GLOBAL has set in this process."""
        for control in [*self._cluster.controls.values()]:
            if control.value is not None:
                self._apply_control(control)

    def _apply_control(self, control: Control) -> None:
        name, value = control.name, control.value
        options = self._options
        if name == POLICY:
            self._set_policy(None if value is None else str(value))
        elif name == RATIO:
            share = options.primary_share if value is None else 1 - float(value) / 100
            self._terms.primary_share = share
            self._look_at_terms()
        elif name == TIMEOUT:
            self._replicas.wait_at_most(options.max_wait if value is None else float(value))
        else:
            level = options.consistency if value is None else str(value).lower()
            kind = "database" if level == "instance" else options.session_id_kind
            self._keeps_position = self._keeps_position or kind != self._id_kind
            self._id_kind = kind
            self._terms.say("session" if level == "instance" else level)
            self._look_at_terms()
            self._share()
        self._note_freedom()

    def _set_policy(self, name: str | None) -> None:
        """Split reads by a policy, or not at all (`disable`); None as it was at first."""
        # Who switches splitting off for a process has the last word.
        off = reads_are_switched_off()
        reads = self._options.reads if name is None else "replicas"
        self._terms.switch(not_split(self._cluster.splits, reads, off, name == "disable"))
        self._look_at_terms()
        if name is None:
            self._replicas.take_policy(self._options.policy)
        elif name != "disable":
            self._replicas.take_policy(POLICIES[name])
        # An open transaction goes on as it began.
        self._context = AGAIN
        self._share()

    def _share(self) -> None:
        super()._share()
        if self._context is not AGAIN and self._terms.splits:
            self._transacts = self._may_transact()

    def _value_of(self, name: str, is_global: bool) -> Any:
        """Return what a variable has, as a server would print it."""
        if is_global:
            known = self._cluster.controls.get(name)
            if known is not None and known.value is not None:
                return _printed(name, known.value)
            return _printed(name, _DEFAULTS.get(name) or name_of(self._cluster.policy))
        if name == POLICY:
            if not self._terms.splits:
                return "disable"
            return name_of(self._replicas.chooser.policy or self._cluster.policy)
        if name == RATIO:
            return round((1 - self._terms.primary_share) * 100)
        if name == TIMEOUT:
            return self._replicas.chooser.max_wait
        if self._id_kind == "database" and self._terms.level == "session":
            return "INSTANCE"
        return self._terms.level.upper()

    def _picked(self, picks: tuple[Pick, ...]) -> Any:
        columns = [(pick.title, pick.name in (POLICY, CONSISTENCY)) for pick in picks]
        row = tuple([self._value_of(pick.name, pick.is_global) for pick in picks])
        return made_result(self.driver_connection, columns, [row])

    def _show(self, show: Show, statement: Statement, sql: bytes) -> None:
        """Show them, among the server's own where it may have such."""
        ours = [(name, f"{self._value_of(name, show.is_global)}") for name in show.names]
        if show.alone:
            columns = [("Variable_name", True), ("Value", True)]
            self._answer(statement, made_result(self.driver_connection, columns, ours))
            return
        self._controlling = True
        try:
            self.query(sql)
        finally:
            self._controlling = False
        asked = self._result
        rows = sorted([*asked.rows, *ours], key=lambda row: str(as_text(row[0])))
        self._result = result = made_result(self.driver_connection, asked.fields, rows)
        self._affected_rows = result.affected_rows
        result.route = self.route


_OPTIONS = Options()
_DEFAULTS: dict[str, str | float] = {
    RATIO: 100.0,
    TIMEOUT: _OPTIONS.max_wait,
    CONSISTENCY: _OPTIONS.consistency.upper(),
}


def _printed(name: str, value: str | float) -> Any:
    return round(value) if name == RATIO and not isinstance(value, str) else value
