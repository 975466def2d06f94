"""Carrying out what flows want done: one loop, and a hand for each kind of command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from .._core.flows.command import Command, Exchange, Flow, LetGo, Post, Settle
from .._core.wire import Fault
from .._drivers import err
from .._drivers.pymysql import error_of, fault_of

__all__ = ["HANDS", "Hands", "perform", "with_faults"]

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
    raise error


def _exchange(command: Exchange) -> None:
    member = command.member
    connection = member.connection
    measure = command.measure
    if measure is None and command.limit is None:
        _run(command, connection)
        return
    with connection.limited(command.limit):
        if measure is None:
            _run(command, connection)
            return
        with measure.one(member.replica, command.timed):
            _run(command, connection)


def _run(command: Exchange, connection: Any) -> None:
    sql = command.sql
    if sql is None:
        command.accept(with_faults(connection.run_all(command.before)))
        return
    replies = connection.query_after(command.before, sql)
    try:
        command.accept(with_faults(replies))
    except Exception:
        connection.discard_query()
        raise
    connection.finish_query(command.unbuffered, command.fingerprint)


def with_faults(replies: list[Any]) -> list[Any]:
    """Return replies with the drivers' errors among them as faults."""
    return [fault_of(each) if isinstance(each, err.MySQLError) else each for each in replies]


def _post(command: Post) -> None:
    command.member.connection.post(command.sql)


def _settle(command: Settle) -> None:
    command.member.connection.settle()


def _let_go(command: LetGo) -> None:
    command.sharing.let_go()


HANDS: dict[type[Command[Any]], Callable[[Any], Any]] = {
    Exchange: _exchange,
    Post: _post,
    Settle: _settle,
    LetGo: _let_go,
}
"""Those that need nothing but the command."""
