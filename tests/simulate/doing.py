"""What the steps of simulated applications have in common."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from rwsplit._core.numbers import LOCK_DEADLOCK
from rwsplit._core.wire import Fault

from .plan import Step
from .table import ROWS

if TYPE_CHECKING:
    from .clients import Client

__all__ = ["Doing", "failed", "note_end", "row_of", "tricked"]

Doing = Generator[Any, Any, Any]
_LOCK_WAIT_TIMEOUT = 1205


def row_of(step: Step) -> int | None:
    """Return which row a step is about; None for all."""
    return step.size % (ROWS + 1) or None


def failed(client: Client, fault: Fault) -> None:
    """Take in what an error does to the transaction."""
    application = client.application
    transaction = application.transaction
    if application.next_level != "":
        application.next_level = None
    if transaction is None:
        return
    if fault.number == LOCK_DEADLOCK:
        application.end()
    elif fault.number == _LOCK_WAIT_TIMEOUT:
        transaction.may_be_over = True
    elif fault.is_lost:
        transaction.may_be_lost = True


def tricked(client: Client, trick: str, doing: Doing) -> Doing:
    """Have something done, with a trick where it commits."""
    wire = client.primary.connection.wire
    if wire is None or trick not in ("lost before", "lost behind"):
        return (yield from doing)
    wire.backend.trick = trick
    answer = yield from doing
    wire.backend.trick = ""
    return answer


def note_end(client: Client, what: str, answer: Any) -> None:
    """Write down what has no rows."""
    route = answer.route
    client.world.note(client.number, what, route.endpoint, str(route))
