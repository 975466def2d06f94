"""What a wire belongs to: all that its connection was made with, compared and never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Identity", "Secret", "frozen"]

Identity = tuple[Any, ...]
"""What a connection was made with, as a key of a dict."""


class Secret:
    """A value that is compared, and never shown."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "***"


class _Same:
    """Equal to itself alone, however it compares."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other._value is self._value

    def __hash__(self) -> int:
        return id(self._value)


def frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(sorted((str(key), frozen(value[key])) for key in value))
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    try:
        hash(value)
    except TypeError:
        return _Same(value)
    # True == 1, and b"" != "".
    return type(value).__name__, value
