"""Carrying out what flows want done: one loop, and a hand for each kind of command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from .._core.flows.command import (
    Acquire,
    Ask,
    ByMethod,
    Claim,
    Command,
    Exchange,
    FinishPrevious,
    Flow,
    LetGo,
    Look,
    Mark,
    Post,
    Publish,
    Repeat,
    ReportLate,
    Settle,
)
from .._core.wire import Fault
from .._drivers import err
from .._drivers.pymysql import fault_of
from .outcome import error_of

__all__ = ["HANDS", "Hands", "forget_frames", "perform", "with_faults"]

T = TypeVar("T")
Hands = Mapping[type[Command[Any]], Callable[[Any], Any]]


def perform(flow: Flow[T], hands: Hands) -> T:
    """Carry a flow out, blocking; returns what it returns, and raises what it raises.

    Drivers' errors are faults in there, and the application's are the drivers' own again.
    """
    step: Callable[[Any], Any] = flow.send
    reply: Any = None
    try:
        while True:
            try:
                command = step(reply)
            except StopIteration as done:
                return cast(T, done.value)
            except Fault as fault:
                error = error_of(fault)
                forget_frames(fault)
                break
            try:
                step, reply = flow.send, hands[type(command)](command)
            except err.MySQLError as failed:
                step, reply = flow.throw, fault_of(failed)
            except Exception as other:
                step, reply = flow.throw, other
    finally:
        # What is no error (Ctrl-C) ends a flow where it is: it can't go on amid an exchange.
        flow.close()
        # The frame lives as long as the error, and would hold it, and with that the connection.
        del step, reply
    try:
        raise error
    finally:
        del error


def forget_frames(fault: BaseException | None) -> None:
    """Let go of the frames that a fault and those before it came through: they hold their users."""
    while isinstance(fault, Fault):
        fault.__traceback__ = None
        fault = fault.__cause__ or fault.__context__


def _exchange(command: Exchange) -> Any:
    connection = command.member.connection
    measure = command.measure
    if measure is None and command.limit is None:
        return _run(command, connection)
    with connection.limited(command.limit):
        if measure is None:
            return _run(command, connection)
        with measure.one(command.member.replica, command.timed):
            return _run(command, connection)


def _run(command: Exchange, connection: Any) -> Any:
    sql = command.sql
    if sql is None:
        command.accept(with_faults(connection.run_all(command.before)))
        return None
    if not command.before:
        if connection.is_opening:
            connection.open_with(sql)
            command.accept([])
            connection.finish_query(command.unbuffered, command.fingerprint)
            return connection.result
        command.accept([])
        connection.query_for(sql, command.unbuffered, command.fingerprint)
        return connection.result
    replies = connection.query_after(command.before, sql)
    try:
        command.accept(with_faults(replies))
    except Exception:
        connection.discard_query()
        raise
    connection.finish_query(command.unbuffered, command.fingerprint)
    return connection.result


def with_faults(replies: list[Any]) -> list[Any]:
    """Return replies with the drivers' errors among them as faults."""
    return [fault_of(each) if isinstance(each, err.MySQLError) else each for each in replies]


def _ask(command: Ask) -> list[Any]:
    connection = command.member.connection
    connection.asking = command.again
    try:
        return with_faults(connection.ask_all(command.statements))
    finally:
        connection.asking = False


def _repeat(command: Repeat) -> list[Any]:
    connection = command.member.connection
    return with_faults(connection.repeat(command.statements, command.orders))


def _by_method(command: ByMethod) -> Any:
    return getattr(command.member.connection, command.method)(*command.arguments)


def _report_late(command: ReportLate) -> bool:
    return command.member.connection.report_late(command.schema)  # type: ignore[no-any-return]


HANDS: dict[type[Command[Any]], Callable[[Any], Any]] = {
    Exchange: _exchange,
    Ask: _ask,
    Repeat: _repeat,
    ByMethod: _by_method,
    ReportLate: _report_late,
    FinishPrevious: lambda command: command.member.connection.finish_previous(),
    Post: lambda command: command.member.connection.post(command.sql),
    Settle: lambda command: command.member.connection.settle(),
    Claim: lambda command: command.snapshot.claim(),
    Acquire: lambda command: command.turns.acquire(timeout=command.seconds),
    Look: lambda command: command.sharing.look(command.flavor),
    Mark: lambda command: command.sharing.begin_write(),
    Publish: lambda command: command.sharing.publish(command.position),
    LetGo: lambda command: command.sharing.let_go(),
}
"""Those that need nothing but the command."""
