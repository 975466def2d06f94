"""What is wrong with a configuration: every problem is found, and all are told at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["ConfigError", "Hidden", "Problems", "below", "meant", "shown"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_SHOWN = 80


class ConfigError(ValueError):
    """A configuration that can't be used. Its text has one line for each problem."""

    def __str__(self) -> str:
        return "\n".join(self.args)

    @property
    def problems(self) -> tuple[str, ...]:
        """The lines: file, key, what was found, what is allowed."""
        return self.args


class Problems:
    """Collects the problems of one file."""

    __slots__ = ("_file", "_lines")

    def __init__(self, file_name: str) -> None:
        self._file = file_name
        self._lines: list[str] = []

    def __len__(self) -> int:
        return len(self._lines)

    def __repr__(self) -> str:
        return f"<{len(self)} Problems of {self._file}>"

    def add(self, problem: str) -> None:
        """Take in one problem; its text begins with the path of the key."""
        self._lines.append(f"{self._file}: {' '.join(problem.splitlines())}")

    def table(self, path: str, value: object) -> Mapping[str, object]:
        """Return a value that must be a table; an empty one if it is none."""
        if isinstance(value, Mapping):
            return value
        self.add(f"{path}: expected a table, got {shown(value)}")
        return {}

    def text(self, path: str, value: object) -> str | None:
        """Return a value that must be text, and not empty."""
        if isinstance(value, str) and value:
            return value
        self.add(f"{path}: expected text, got {shown(value)}")
        return None

    def switch(self, path: str, value: object) -> bool:
        """Return a value that must be true or false."""
        if not isinstance(value, bool):
            self.add(f"{path}: expected true or false, got {shown(value)}")
        return value is True

    def known(
        self, path: str, table: Mapping[str, object], allowed: Iterable[str], but_say: str = ""
    ) -> dict[str, object]:
        """Return what a table has under the allowed keys; every other key is a problem.

        `but_say` stands in the message for a list of keys that is too long.
        """
        allowed = tuple(allowed)
        for key in table:
            if key not in allowed:
                self.add(
                    f"{below(path, key)}: unknown key; expected "
                    f"{but_say or ', '.join(allowed)}{meant(key, allowed)}"
                )
        return {key: value for key, value in table.items() if key in allowed}

    def raise_if_any(self) -> None:
        """Raise ConfigError, if there is any problem."""
        if self._lines:
            raise ConfigError(*self._lines)


def below(path: str, key: str) -> str:
    """Return the path of a key in the table at `path`, as TOML would spell it.

    >>> below("clusters", "shop"), below("clusters", "my shop")
    ('clusters.shop', "clusters.'my shop'")
    """
    spelt = key if _BARE.fullmatch(key) else repr(key)
    return f"{path}.{spelt}" if path else spelt


def meant(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?` where a word is close to a known one, else nothing.

    >>> meant("wieght", ("weight", "rank"))
    "; did you mean 'weight'?"
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    close = get_close_matches(word, [*known], 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def shown(value: object) -> str:
    """Return what was found, short; never what may hold a password.

    >>> shown(-3), shown("wiat"), shown("app:sesame@db1"), shown({"password": "sesame"})
    ('-3', "'wiat'", "a text with an '@' in it", 'a table')
    """
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    if isinstance(value, str) and "@" in value:
        return "a text with an '@' in it"
    if value is None or isinstance(value, str | int | float):
        return f"{value!r:.{_LONGEST_SHOWN}}"
    return f"a {type(value).__name__}"


class Hidden(dict[str, Any]):
    """Keywords, some of which may be secret: only their names are shown."""

    def __repr__(self) -> str:
        return f"<{', '.join(map(str, self)) or 'nothing'}>"
