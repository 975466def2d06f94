"""What a simulated application does, step by step.

Each step is one statement or a few. It knows what one server would have answered, and holds the
answer against that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rwsplit._core.wire import Fault

from .application import COMMITTED
from .broken import Broken
from .commands import Pause
from .doing import Doing, failed, note_end, row_of, tricked
from .plan import Step
from .replies import Reply
from .transacting import autocommit, begin, commit, rollback, savepoint

if TYPE_CHECKING:
    from .clients import Client

__all__ = ["STEPS"]

_STALENESS = 0.5
_NOTICED_SECONDS = 3.0
"""After which it is known that a replica has less than before."""


# Reading and writing.


def read(client: Client, step: Step) -> Doing:
    """Read a row, or all; in a stream, with a lock, with a variable, or at another level."""
    application, session = client.application, client.session
    transaction = application.used()
    row, how, level = row_of(step), step.how, client.plan.level
    if how in ("eventual", "session", "global") and transaction is None:
        level = how
    columns = "id,v" if row is None else "v"
    variable = ",@v" if how == "user" else ""
    where = "" if row is None else f" WHERE id = {row}"
    locks = " FOR UPDATE" if how == "lock" else ""
    hint, staleness = "", None
    if how == "stale" and transaction is None:
        hint = f"/* rwsplit: max_staleness={_STALENESS} consistency=eventual */ "
        staleness, level = _STALENESS, "eventual"
    sql = f"SELECT {hint}{columns}{variable} FROM t{where}{locks}"
    bounds = client.promises.bounds(staleness)
    if transaction is not None and not locks:
        if transaction.level != COMMITTED:
            bounds = transaction.bounds = transaction.bounds or bounds
        elif transaction.bounds is not None:
            # It was opened while its replica could serve.
            bounds = bounds._replace(lost=0)
        else:
            transaction.bounds = bounds
    if level != client.plan.level:
        session.terms.say_in_block(level)
        session.look_at_terms()
    reply = yield from client.run_sql(sql, unbuffered=how in ("stream", "whole"))
    session.terms.say_in_block(None)
    session.look_at_terms()
    if isinstance(reply, Fault):
        failed(client, reply)
        return None
    client.note_reply("read", reply)
    client.check(reply, bounds, "session" if locks else level)
    if transaction is None:
        # Lost amid a stream, the session does not know that its level is used up.
        is_used = how != "stream" or application.next_level == ""
        application.next_level = "" if is_used else None
    elif locks:
        _check_own(client, reply, row)
    else:
        moves = client.plan.transactions != "eventual"
        transaction.check(client.world.table, reply, row, moves)
    if how == "whole":
        member = client.session.followed.last
        member.connection.finish()
    return reply


def _check_own(client: Client, reply: Reply, row: int | None) -> None:
    transaction = client.application.transaction
    assert transaction is not None
    own = dict(transaction.writes)
    rows = reply.rows or ()
    if row in own and rows[0][0] != own[row]:
        raise Broken("own uncommitted", f"row {row} is {rows[0][0]}, and it has written {own[row]}")


def write(client: Client, step: Step) -> Doing:
    """Write a row; see `Backend.trick`."""
    application, ledger = client.application, client.world.ledger
    transaction = application.used()
    row, value = row_of(step) or 1, ledger.new_value()
    if step.how == "fails behind" and transaction is None:
        yield from _call(client, row, value)
        return None
    commits = (value,) if transaction is None else () if transaction.may_be_over else None
    sql = f"UPDATE t SET v = {value} WHERE id = {row}"
    reply = yield from tricked(client, step.how, client.run_sql(sql, commits))
    if isinstance(reply, Fault):
        failed(client, reply)
        return None
    client.note_reply("write", reply)
    if transaction is None:
        application.next_level = ""
    elif transaction.reads_only:
        raise Broken("read only", "a READ ONLY transaction has written")
    else:
        transaction.may_be_over = False
        transaction.writes.append((row, value))
    return reply


def _call(client: Client, row: int, value: int) -> Doing:
    """Call a procedure that commits, and fails behind that."""
    ledger = client.world.ledger
    ledger.allow((value,))
    fault = yield from client.run_sql(f"CALL p({value},{row})", ())
    if fault.is_lost:
        client.promises.has_committed(ledger.bits_of((value,)), unsure=True)
    else:
        client.promises.has_committed(ledger.bits_of((value,)))
    failed(client, fault)


# The session.


def set_(client: Client, step: Step) -> Doing:
    """Set a variable, or choose a schema."""
    number = step.size * 7 + 1000
    sql, name, value = {
        "": (f"SET @v = {number}", "@v", str(number)),
        "system": (
            f"SET SESSION group_concat_max_len = {number}",
            *("group_concat_max_len", str(number)),
        ),
        "schema": (f"USE s{step.size % 3}", "schema", f"s{step.size % 3}"),
    }[step.how]
    reply = yield from client.run_sql(sql)
    client.application.state[name] = None if isinstance(reply, Fault) else value
    if isinstance(reply, Fault):
        failed(client, reply)
    else:
        note_end(client, sql, reply)


def level(client: Client, step: Step) -> Doing:
    """Set the isolation level, of the session or of the next transaction."""
    application = client.application
    scope, _, name = step.how.partition(" ")
    if application.transaction is not None:
        return
    sql = f"SET {'SESSION ' if scope == 'session' else ''}TRANSACTION ISOLATION LEVEL {name}"
    reply = yield from client.run_sql(sql)
    known = None if isinstance(reply, Fault) else name.replace(" ", "-")
    if scope == "session":
        application.level = known
        application.next_level = "" if known else None
    else:
        application.next_level = known
    if isinstance(reply, Fault):
        failed(client, reply)
    else:
        note_end(client, sql, reply)


def ping(client: Client, step: Step) -> Doing:
    """Look whether the connection works."""
    fault = yield from client.call("ping()", client.methods.pinging())
    if isinstance(fault, Fault):
        failed(client, fault)


def wait(client: Client, step: Step) -> Doing:
    """Wait until a replica has all that the session must see."""
    world, methods = client.world, client.methods
    position = yield from client.call("position", methods.knowing_position())
    if isinstance(position, Fault):
        return
    wanted = client.promises.wrote & ~world.lost
    has_come = yield from client.call("wait_for()", methods.waiting(position, 0.2))
    if isinstance(has_come, Fault):
        return
    is_noticed = world.clock() > world.reset_at + _NOTICED_SECONDS
    if has_come and is_noticed and client.session.state.position_known:
        masks = [each.shown.mask for each in world.replicas]
        if all(wanted & ~world.lost & ~mask for mask in masks):
            raise Broken("wait_for", "no replica has what was waited for")


# Several at a time.


def snapshot(client: Client, step: Step) -> Doing:
    """Read in a transaction that is READ ONLY."""
    if step.how == "committed":
        yield from level(client, Step(0.0, "level", "next READ COMMITTED"))
    yield from begin(client, Step(0.0, "begin", "START TRANSACTION READ ONLY"))
    for number in range(step.size + 1):
        yield from Pause(client.world.dice.expovariate(100))
        yield from read(client, Step(0.0, "read", "", number))
    yield from commit(client, Step(0.0, "commit"))
    if client.application.transaction is not None:
        yield from rollback(client, Step(0.0, "rollback"))


def ask(client: Client, step: Step) -> Doing:
    """Ask how many rows the statement before has found, or changed."""
    if step.how == "found":
        reply = yield from read(client, Step(0.0, "read", "", step.size))
        if reply is None:
            return
        expected, sql = len(reply.rows), "SELECT FOUND_ROWS()"
    else:
        reply = yield from write(client, Step(0.0, "write", "", step.size))
        if reply is None:
            return
        expected, sql = 1, "SELECT ROW_COUNT()"
    answer = yield from client.run_sql(sql)
    if isinstance(answer, Fault):
        failed(client, answer)
        return
    client.note_reply(sql, answer)
    if answer.rows[0][0] != expected:
        raise Broken("counts", f"{sql} is {answer.rows[0][0]}, and {expected} on one server")


STEPS: dict[str, Callable[[Client, Step], Doing]] = {
    "read": read,
    "stream": lambda client, step: read(client, step._replace(how="stream")),
    "write": write,
    "begin": begin,
    "commit": commit,
    "rollback": rollback,
    "savepoint": savepoint,
    "autocommit": autocommit,
    "set": set_,
    "level": level,
    "ping": ping,
    "wait": wait,
    "snapshot": snapshot,
    "ask": ask,
}
"""By the names in plans."""
