"""What a simulated application does with its transactions: see `steps`."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from rwsplit._core.wire import Fault, UnknownOutcome

from .application import COMMITTED
from .broken import Broken
from .doing import Doing, failed, note_end, tricked
from .plan import Step

if TYPE_CHECKING:
    from .clients import Client

__all__ = ["autocommit", "begin", "commit", "rollback", "savepoint"]

_NO_SAVEPOINT = 1305


def begin(client: Client, step: Step) -> Doing:
    """Begin a transaction in one of many spellings; what is open is committed."""
    application, how = client.application, step.how
    before, bounds = application.transaction, client.promises.bounds()
    commits: Collection[int] = before.values if before is not None else ()
    if how == "method":
        reply = yield from client.call("begin()", client.roads.transact("BEGIN"), commits)
    else:
        reply = yield from client.run_sql(how or "BEGIN", commits)
    if isinstance(reply, Fault):
        _ended_badly(client, reply)
        yield from rollback(client, Step(0.0, "rollback"))
        return
    keeps = client.world.flavor == "mysql"
    application.begin("READ ONLY" in how, keeps)
    transaction = application.transaction
    assert transaction is not None
    if "SNAPSHOT" in how and transaction.level != COMMITTED:
        transaction.bounds = bounds
    note_end(client, "begin", reply)


def commit(client: Client, step: Step) -> Doing:
    """Commit, in one of some spellings."""
    application = client.application
    before = application.transaction
    commits: Collection[int] = before.values if before is not None else ()
    if step.how.startswith("method"):
        flow = client.call("commit()", client.roads.transact("COMMIT"), commits)
        reply = yield from tricked(client, step.how[len("method ") :], flow)
    else:
        sql = "COMMIT AND CHAIN" if step.how == "chain" else "COMMIT"
        reply = yield from tricked(client, step.how, client.run_sql(sql, commits))
    if isinstance(reply, Fault):
        _ended_badly(client, reply)
        if reply.is_lost:
            application.end()
        return
    application.end(chains=step.how == "chain")
    note_end(client, "commit", reply)


def _ended_badly(client: Client, fault: Fault) -> None:
    """Take in that a transaction may have ended, with an error."""
    application = client.application
    if isinstance(fault, UnknownOutcome):
        application.end()
    else:
        failed(client, fault)


def rollback(client: Client, step: Step) -> Doing:
    """Roll back, until that succeeds."""
    for attempt in range(3):
        application = client.application
        before = application.transaction
        # Behind a loss there is nothing to chain to.
        was_lost = attempt or (before is not None and before.may_be_lost)
        chains = step.how == "chain" and not was_lost
        if step.how == "method":
            flow = client.roads.transact("ROLLBACK")
            reply = yield from client.call("rollback()", flow)
        else:
            sql = "ROLLBACK AND CHAIN" if chains else "ROLLBACK"
            reply = yield from client.run_sql(sql)
        if not isinstance(reply, Fault):
            application.end(chains)
            note_end(client, "rollback", reply)
            return
        if isinstance(reply, UnknownOutcome):
            raise Broken("outcome", "that of a ROLLBACK is known")
        failed(client, reply)


def savepoint(client: Client, step: Step) -> Doing:
    """Set a savepoint, go back to one, or forget it."""
    application, name = client.application, "ab"[step.size % 2]
    transaction = application.used()
    knows = transaction is not None and transaction.has(name)
    sql = {"set": "SAVEPOINT", "back": "ROLLBACK TO", "release": "RELEASE SAVEPOINT"}[step.how]
    reply = yield from client.run_sql(f"{sql} {name}")
    if isinstance(reply, Fault):
        if reply.number == _NO_SAVEPOINT and knows and not transaction.may_be_lost:
            raise Broken("savepoint", f"{name} is not there any more")
        failed(client, reply)
        return
    note_end(client, f"{step.how} {name}", reply)
    if step.how == "set":
        if transaction is not None:
            transaction.save(name)
    elif not knows:
        raise Broken("savepoint", f"{name} is there, and was never set")
    elif step.how == "back":
        transaction.go_back(name)
    else:
        transaction.forget(name)


def autocommit(client: Client, step: Step) -> Doing:
    """Switch autocommit on, which ends the transaction, or off."""
    application, on = client.application, step.how.endswith("1")
    before = application.transaction
    ends = on and not application.autocommit
    # Who commits nothing by it may hear all the same that the outcome is not known.
    commits: Collection[int] = ()
    if ends and before is not None:
        commits = before.values
    if step.how.startswith("method"):
        if on == application.autocommit:
            return
        reply = yield from client.call(f"autocommit({on})", client.methods.switching(on), commits)
    else:
        reply = yield from client.run_sql(f"SET autocommit = {int(on)}", commits)
    if isinstance(reply, Fault):
        _ended_badly(client, reply)
        return
    application.autocommit = on
    if ends:
        # Where the transaction had a level of its own, the next one has it on one server.
        was_said = application.next_level != ""
        application.end()
        application.next_level = None if was_said else ""
    note_end(client, step.how, reply)
