"""Celery: a task reads what had been written when it was published, whichever worker runs it.

`install()`, in the module that makes the app and that web processes and workers import, is all
that it takes: docs/jobs.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

import celery
from celery import signals
from celery.exceptions import ImproperlyConfigured

from ._core.cluster.position import join_positions
from ._core.setup.options import CONNECT
from ._drivers import err
from ._shell.context import using
from ._shell.process import committed_here
from ._shell.scope import Scope, current_scope

__all__ = ["HEADER", "Task", "install", "uninstall"]

HEADER = "rwsplit_after"
"""The header of a task's message with what the task must see."""
_ALL = "global"
"""In place of a position: all that anybody has committed before each read."""
_UNLOCK = "celery.chord_unlock"

logger = logging.getLogger("rwsplit.celery")

_connect: Callable[[], Any] | None = None


def install(connect: Callable[[], Any] | None = None) -> None:
    """Let each task see what was committed before it was published, where that was.

    What is published carries the position of the scope that it is published in, and without one all
    that its process has committed. A worker gives each task a scope of its own.

    :param connect: makes a connection, for tasks of the class `Task` that wait for a replica. It is
        closed afterwards.
    """
    global _connect  # noqa: PLW0603 - signals are the process's, too
    _connect = connect
    for signal, receiver in _RECEIVERS:
        signal.connect(receiver, weak=False, dispatch_uid=f"rwsplit.{receiver.__name__}")


def uninstall() -> None:
    """Take back what `install()` did."""
    for signal, receiver in _RECEIVERS:
        signal.disconnect(receiver, dispatch_uid=f"rwsplit.{receiver.__name__}")


class Task(celery.Task):
    """Tasks that do not start before a replica has what they must see.

    `Celery(task_cls="rwsplit.celery:Task")` makes all tasks such, `@app.task(base=Task)` one. What
    they do is said by attributes, of the class or in `@app.task(rwsplit_wait=1.0)`:
    """

    abstract = True
    rwsplit_wait: float = 0.0
    """How many seconds to wait for a replica before the task starts."""
    rwsplit_retry: float | None = None
    """If none has it by then, the task is retried in so many seconds, as long as its `max_retries`
    allow it. With None, and after the last of them, its reads run on the primary."""

    def before_start(self, task_id: Any, args: Any, kwargs: Any) -> None:
        """Wait, or retry."""
        if not _has_arrived(self) and _may_retry(self):
            raise self.retry(countdown=self.rwsplit_retry)
        super().before_start(task_id, args, kwargs)


def _may_retry(task: Task) -> bool:
    most = task.max_retries
    return task.rwsplit_retry is not None and (most is None or task.request.retries < most)


def _has_arrived(task: Task) -> bool:
    """Tell whether a replica has what a task must see, or nobody is to be asked."""
    after = _said(task.request)
    if task.rwsplit_wait <= 0 and task.rwsplit_retry is None:
        return True
    if _connect is None:
        raise ImproperlyConfigured(
            f"{task.name}: rwsplit_wait and rwsplit_retry need rwsplit.celery.install(connect=...)"
        )
    if task.request.is_eager or not after or after == _ALL:
        return True
    with closing(_connect()) as connection:
        try:
            return bool(connection.wait_for(after, task.rwsplit_wait))
        except ValueError:  # of other servers' than this connection's
            return True


def _said(request: Any) -> str | None:
    """What the message of a task says that it must see."""
    return request.get(HEADER)  # type: ignore[no-any-return]


# The publisher.


def _before_publish(headers: Any = None, **_: object) -> None:
    """Put what the task must see into its message."""
    if isinstance(headers, dict):
        after = _joined(_published(headers), headers.get(HEADER))
        if after:
            headers[HEADER] = after


def _published(headers: dict[str, Any]) -> str:
    if _is_of_chord(headers):
        return _ALL  # nobody has told this process what the chord's other tasks wrote
    scope = current_scope()
    try:
        return committed_here() if scope is None else scope.position
    except (ValueError, err.MySQLError) as error:
        logger.info("a task is to see everything, as its position is not known: %s", error)
        return _ALL


def _is_of_chord(headers: dict[str, Any]) -> bool:
    """Tell whether it is the body of a chord, which the last of its tasks publishes."""
    task: Any = celery.current_task
    if not task:
        return False
    if task.name == _UNLOCK:
        return headers.get("task") != _UNLOCK
    chord = task.request.chord
    options = chord.get("options") if isinstance(chord, dict) else None
    return options is not None and headers.get("id") == options.get("task_id")


def _joined(ours: str, theirs: object) -> str:
    """Return all that two say: the application, or the task that is retried, may have said it."""
    if theirs is None or ours == theirs:
        return ours
    if _ALL in (ours, theirs):
        return _ALL
    try:
        return join_positions(ours, _text(theirs))
    except (TypeError, ValueError):
        return _ALL


# The worker.


def _before_task(task: Any = None, **_: object) -> None:
    """Enter the task's own scope."""
    # One that runs at once, in the process that asks for it, is in the scope of who asks.
    if task is not None and not task.request.is_eager:
        task.request._rwsplit = _enter(_said(task.request))


def _enter(after: object) -> ExitStack:
    with ExitStack() as stack:
        if after is None:
            # The publisher has said nothing: as with a new connection.
            scope = Scope(CONNECT)
        else:
            try:
                scope = Scope(join_positions(_text(after)), is_checked=False)
            except (TypeError, ValueError) as error:
                if after != _ALL:
                    logger.warning("%s is no position, so a task sees all: %s", HEADER, error)
                scope = Scope()
                stack.enter_context(using(consistency="global"))
        stack.enter_context(scope)
        return stack.pop_all()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value


def _after_task(task: Any = None, **_: object) -> None:
    """Leave it: the next task of this worker begins with its own."""
    stack = None if task is None else task.request.__dict__.pop("_rwsplit", None)
    if stack is not None:
        stack.close()


_RECEIVERS = (
    (signals.before_task_publish, _before_publish),
    (signals.task_prerun, _before_task),
    (signals.task_postrun, _after_task),
)
