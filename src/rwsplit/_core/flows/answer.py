"""A statement under way, and what it is answered with: values that flows hand on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..session.route import RouteTaken
from ..sql.statement import Statement

__all__ = ["EMPTY", "Answer", "Made", "Underway"]


class Made(NamedTuple):
    """A result of rwsplit's own."""

    columns: Sequence[Any] = ()
    """Of each the name and whether it holds text; or those of a server's result."""
    rows: Sequence[tuple[Any, ...]] = ()


EMPTY = Made()
"""The result of a statement that returned nothing."""


class Answer(NamedTuple):
    """What the application gets."""

    route: RouteTaken
    result: Any = None
    """A server's; None for what has no result, or one that is made."""
    made: Made | None = None
    names: Sequence[tuple[str, str]] = ()
    """What is written in the names of its columns, and what is meant."""


class Underway:
    """One statement of the application, from its text to its answer."""

    __slots__ = ("digest", "names", "quiet", "rule", "sql", "statement", "template", "unbuffered")

    def __init__(
        self,
        statement: Statement,
        sql: bytes,
        unbuffered: bool = False,
        template: tuple[Any, str] | None = None,
        rule: Any = None,
        quiet: bool = False,
    ) -> None:
        self.statement = statement
        self.sql = sql
        self.unbuffered = unbuffered
        self.template = template
        """The SQL before its parameters went in, and this very text."""
        self.rule = rule
        """The rule of the configuration that matches it."""
        self.quiet = quiet
        """It has a method of its own in PyMySQL, and no result."""
        self.names: Sequence[tuple[str, str]] = ()
        """What is written in the names of its columns, and what is meant."""
        self.digest = ""
        """What transactions that begin with it are known by, once somebody has asked."""

    def know_as(self, digest: str) -> str:
        """Note the digest, and return it."""
        self.digest = digest
        return digest

    def take(self, statement: Statement) -> None:
        """Take what more is known of the statement by now."""
        self.statement = statement

    def rewrite(
        self, statement: Statement, sql: bytes, names: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Go on with another text; `names` is what its columns are called for it."""
        self.statement, self.sql, self.names = statement, sql, names

    def buffer(self) -> None:
        """Have all of its rows read at once."""
        self.unbuffered = False

    def __repr__(self) -> str:
        """Tell what it does."""
        return f"<Underway {self.statement.verb}>"
