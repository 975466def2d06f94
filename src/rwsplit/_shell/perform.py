"""Carrying out what flows want done: one loop, and a hand for each kind of command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from .._core.flows.command import Command, Exchange, Flow, Post, Settle

__all__ = ["HANDS", "Hands", "perform"]

T = TypeVar("T")
Hands = Mapping[type[Command[Any]], Callable[[Any], Any]]


def perform(flow: Flow[T], hands: Hands) -> T:
    """Carry a flow out, blocking; returns what it returns, and raises what it raises."""
    step: Callable[[Any], Any] = flow.send
    reply: Any = None
    try:
        while True:
            try:
                command = step(reply)
            except StopIteration as done:
                return cast(T, done.value)
            try:
                step, reply = flow.send, hands[type(command)](command)
            except Exception as error:
                step, reply = flow.throw, error
    finally:
        # What is no error (Ctrl-C) ends a flow where it is: it can't go on amid an exchange.
        flow.close()


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
        command.accept(connection.run_all(command.before))
        return
    replies = connection.query_after(command.before, sql)
    try:
        command.accept(replies)
    except Exception:
        connection.discard_query()
        raise
    connection.finish_query(command.unbuffered, command.fingerprint)


def _post(command: Post) -> None:
    command.member.connection.post(command.sql)


def _settle(command: Settle) -> None:
    command.member.connection.settle()


HANDS: dict[type[Command[Any]], Callable[[Any], Any]] = {
    Exchange: _exchange,
    Post: _post,
    Settle: _settle,
}
"""Those that need nothing but the command."""
