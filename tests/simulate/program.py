"""Small programs for servers and for their model: what both sides of `tests/live/test_model` share.

A program is a list of steps. Each is a statement of one session, or something that is done to the
session or to its server. A side runs the steps one by one and gives an answer for each.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from rwsplit._core.cluster.position import parse_position
from rwsplit._core.flavors.positions import POSITION_SQL, wait_sql
from rwsplit._core.tracking import Changes
from rwsplit._core.wire import Fault

from .gtids import parse_wanted

__all__ = [
    "LOST",
    "ORDERS",
    "REPLICA",
    "Answer",
    "Gtids",
    "Step",
    "answer_of",
    "failure_of",
    "sql_of",
]

REPLICA = 9
"""The session that is on the replica; the others are on the primary."""
ORDERS = ("KILL", "RESET", "DEMOTE", "PROMOTE", "STOP", "START")
"""What is done to a session or to a server, and answers nothing."""
LOST = 2013
_LOST = (2006, 2013, 1053, 1927, 3169, 4031)
_OWNER = re.compile(r"#\d+")
_GTID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}:[\d:, \n#-]+|\d+-\d+-\d+")
_TRACKED = {
    *("autocommit", "sql_mode", "time_zone", "group_concat_max_len"),
    *("transaction_isolation", "tx_isolation", "transaction_read_only", "tx_read_only"),
}
"""What the model knows of system variables: a real server reports others by the way."""


class Step(NamedTuple):
    """What one session does next, or what is done to it.

    :param what: SQL, or a word: `KILL`, `RESET` (COM_RESET_CONNECTION), `PING`, `INIT schema`
        (COM_INIT_DB), `WAIT n seconds`: for the program's nth commit; `POSITION`: ask for it as
        rwsplit does; `DEMOTE` and `PROMOTE`: the primary; `STOP` and `START`: the applier.
    """

    who: int
    what: str


class Answer(NamedTuple):
    """What came of a step, in words that both sides have.

    :param number: of the error; 0 for none. All else is empty behind one: a server tells no more.
    :param status: whether a transaction is open (1), and autocommit on (2).
    :param position: which of the program's commits the server says that it has, behind the step.
    """

    number: int = 0
    rows: tuple[tuple[str | None, ...], ...] | None = None
    affected: int = 0
    status: int = 0
    gtids: frozenset[int] | None = None
    variables: tuple[tuple[str, str | None], ...] = ()
    schema: str | None = None
    state_changed: bool = False
    characteristics: str | None = None
    position: frozenset[int] = frozenset()


class Gtids(NamedTuple):
    """Numbers the commits of a program, from 1.

    :param source: the primary's UUID, or its server id.
    :param base: the number of the last commit before.
    """

    flavor: str
    source: str
    base: int

    def numbers(self, text: str) -> frozenset[int]:
        """Return which of the program's commits a position has; on MariaDB the last one alone."""
        found: set[int] = set()
        plain = _OWNER.sub("", text.replace("\n", "").replace(" ", ""))
        if self.flavor == "mariadb":
            numbers = [int(each.rpartition("-")[2]) for each in plain.split(",") if each]
            return frozenset(n - self.base for n in numbers if n > self.base)
        for source, first, last in parse_wanted(plain):
            if source == self.source:
                found.update(range(max(first, self.base + 1), last + 1))
        return frozenset(n - self.base for n in found)

    def text(self, number: int) -> str:
        """Return the position that a server has with one of the program's commits."""
        if self.flavor == "mariadb":
            return f"0-{self.source}-{self.base + number}"
        return f"{self.source}:1-{self.base + number}"


def answer_of(
    gtids: Gtids, rows: Any, affected: int, status: int, changes: list[Changes]
) -> Answer:
    """Return the answer that a result is; `changes` are those in its tail."""
    merged = Changes()
    for each in changes:
        merged = Changes(
            merged.variables + each.variables,
            each.schema if each.schema is not None else merged.schema,
            merged.state_changed or each.state_changed,
            each.gtids if each.gtids is not None else merged.gtids,
            None,
            each.characteristics if each.characteristics is not None else merged.characteristics,
        )
    if rows and _text(rows[0][0], gtids) in ("Error", "Warning"):
        # Of warnings the first one counts, and not what it says.
        rows, affected = [rows[0][:2]], 1
    known = {name: value for name, value in merged.variables if name in _TRACKED}
    return Answer(
        0,
        None if rows is None else tuple([tuple([_text(v, gtids) for v in row]) for row in rows]),
        affected,
        status & 3,
        None if merged.gtids is None else gtids.numbers(merged.gtids),
        tuple(sorted(known.items())),
        merged.schema,
        merged.state_changed,
        merged.characteristics,
    )


def failure_of(fault: Fault) -> Answer:
    """Return the answer that an error is; all ways to lose a connection are one."""
    return Answer(LOST if fault.number in _LOST else fault.number)


def _text(value: Any, gtids: Gtids) -> str | None:
    if value is None:
        return None
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    if _GTID.match(text):
        return f"commits {sorted(gtids.numbers(text))}"
    return text


def sql_of(step: Step, flavor: str, gtids: Gtids) -> str:
    """Return the statement that a step is."""
    word, *rest = step.what.split()
    if word == "POSITION":
        return POSITION_SQL["replica" if step.who == REPLICA else "primary"][flavor]
    if word == "WAIT":
        return wait_sql(parse_position(flavor, gtids.text(int(rest[0]))), float(rest[1]))
    return step.what
