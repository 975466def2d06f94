"""The virtual connection over a wrapped driver: looks like one of that driver's connections."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from .._core.cause import Cause, Reason
from .._core.numbers import NOT_SUPPORTED_YET
from .._drivers import err
from .._drivers.foreign import ForeignConnection, application_error
from .connection import Connection
from .given import Given, GivenConnection
from .seeing import Seeing

__all__ = ["WrappedConnection", "as_driver"]

M = TypeVar("M", bound=Callable[..., Any])

_SPEAKS = Reason("the application used a call of the driver that goes past rwsplit", Cause.BOUND)
_PAST_US = frozenset(
    ("send_query", "read_query_result", "set_server_option", "set_sql_mode", "dump_debug_info")
)
"""Calls of drivers that change what nobody tells: from then on everything runs on the primary."""


def as_driver(method: M) -> M:
    """Let a method raise the errors of the driver that is wrapped."""

    @functools.wraps(method)
    def run(self: Any, *args: Any, **keywords: Any) -> Any:
        try:
            return method(self, *args, **keywords)
        except err.MySQLError as error:
            raised = application_error(self.driver, error)
        try:
            raise raised
        finally:
            del raised  # it has this frame, and with that the connection

    return run  # type: ignore[return-value]


class WrappedConnection(GivenConnection):
    """One primary and its replicas behind the interface of the driver that is wrapped.

    What is not defined here is the driver's own connection's to the primary: `wrapped`. Statements
    that are run there directly are not seen by rwsplit.
    """

    driver: Any
    physical = ForeignConnection
    refused = frozenset(("change_user", "shutdown"))
    """Calls of the driver that can't be let through."""
    _result: Any

    def __init__(self, given: Given) -> None:
        self._streams = False
        self._insert_id = 0
        super().__init__(given)

    # Statements.

    @as_driver
    def connect(self, sock: Any = None) -> None:
        """Connect to the primary; replicas are connected to when first needed."""
        super().connect()

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Let the statement of this block leave its rows with the server: for cursors."""
        self._streams = True
        try:
            yield
        finally:
            self._streams = False

    @as_driver
    def query(self, sql: Any, unbuffered: bool = False) -> Any:
        """Run a statement where it belongs; its result is fetched by `store_result`."""
        result = self._result
        if result is not None and result.unbuffered_active:
            raise err.ProgrammingError(2014, "Commands out of sync; you can't run this command now")
        try:
            super().query(sql, unbuffered or self._streams)
        finally:
            self._note_result()

    def _note_result(self) -> None:
        """Note what the library would tell of the last answer."""
        answer = self._result
        if answer is None:
            self._affected_rows = -1
        elif answer.field_count:
            answer.insert_id = self._insert_id  # rows leave it what it was
        else:
            self._insert_id = answer.insert_id

    @property
    def answer(self) -> Any:
        """What the last statement was answered with."""
        return self._result

    def store_result(self) -> Any:
        """Return the result of the last statement; None where it has no rows."""
        return None if self._result is None else self._result.hand_over()

    use_result = store_result

    def discard_result(self) -> None:
        """Throw the result of the last statement away."""
        handle = self.store_result()
        if handle is not None:
            handle.discard()

    def more_results(self) -> bool:
        """Tell whether another result of the last statement follows."""
        return self._result is not None and self._result.has_next

    @as_driver
    def next_result(self, unbuffered: bool = False) -> int:
        """Go on to the next result of the last statement: 0, or -1 where there is none."""
        if not self.more_results():
            self._affected_rows = -1
            return -1
        try:
            super().next_result(unbuffered or self._streams)
        finally:
            self._note_result()
        return 0

    def affected_rows(self) -> Any:
        """Return the number of rows that the last statement affected or returned."""
        return self._affected_rows

    def insert_id(self) -> int:
        """Return the AUTO_INCREMENT value of the last statement without rows."""
        return self._insert_id

    def warning_count(self) -> int:
        """Return how many warnings the last statement left."""
        return 0 if self._result is None else self._result.warning_count or 0

    def info(self) -> Any:
        """Return what the last statement told of itself."""
        return None if self._result is None else self._result.info

    def field_count(self) -> int:
        """Return how many columns the last statement's result has."""
        return 0 if self._result is None else self._result.field_count

    @property
    @as_driver
    def position(self) -> str:
        """What this session's reads must see, to be carried elsewhere."""
        return super().position

    def cursor(self, cursorclass: Any = None) -> Any:
        """Make a cursor of the given class, or of `cursorclass`."""
        return self.driver.cursor_class(cursorclass or self.cursorclass)(self)

    def literal(self, obj: Any) -> Any:
        """Return a value as SQL."""
        return self.driver_connection.last.literal(obj)

    def escape(self, obj: Any, mapping: Any = None) -> Any:
        """Return a value as SQL, by the driver's rules."""
        last = self.driver_connection.last
        return last.escape(obj) if mapping is None else last.escape(obj, mapping)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "driver_connection" not in self.__dict__:
            raise AttributeError(name)
        if name in self.refused:
            text = f"rwsplit does not let {name}() be used: it would change the session unseen"
            raise application_error(self.driver, err.NotSupportedError(NOT_SUPPORTED_YET, text))
        found = getattr(self.driver_connection.last, name)
        if name in _PAST_US:
            with self._having_turn() as begun:
                begun.roads.perform(begun.methods.handing_over(_SPEAKS))
        return found

    def _note_ok(self) -> None:
        """Note what the library would tell of a method that runs a statement."""
        self._insert_id = self._affected_rows = 0

    @as_driver
    def begin(self) -> None:
        """Begin a transaction."""
        super().begin()
        self._note_ok()

    @as_driver
    def commit(self) -> None:
        """Commit the transaction; what it wrote is then part of the session's position."""
        super().commit()
        self._note_ok()

    @as_driver
    def rollback(self) -> None:
        """Roll the transaction back."""
        super().rollback()
        self._note_ok()

    @as_driver
    def autocommit(self, value: Any) -> None:
        """Switch autocommit on or off."""
        changes = bool(value) != self.get_autocommit()
        super().autocommit(bool(value))
        if changes:
            self._note_ok()

    @as_driver
    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Set the character set, and the collation, of the connection."""
        super().set_character_set(charset, collation)
        self._note_ok()

    @as_driver
    def show_warnings(self) -> Any:
        """Return the warnings of the last statement: a statement of its own to the library."""
        self._affected_rows = -1
        rows = super().show_warnings()
        self._affected_rows = len(rows)
        return rows

    @as_driver
    def select_db(self, db: Any) -> None:
        """Change the default schema."""
        self._affected_rows = -1
        super().select_db(db)

    @as_driver
    def ping(self, reconnect: bool = False) -> None:
        """Check that the primary answers."""
        self._affected_rows = -1
        super().ping(reconnect)

    cancel = as_driver(Connection.cancel)
    close = as_driver(Connection.close)
    wait_for = as_driver(Seeing.wait_for)
    begin_session = as_driver(Seeing.begin_session)
