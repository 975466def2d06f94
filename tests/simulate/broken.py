"""What a schedule ends with that breaks a promise."""

from __future__ import annotations

__all__ = ["Broken"]


class Broken(AssertionError):  # noqa: N818 - it is a promise that is broken
    """A promise was not kept.

    :param check: which one.
    """

    def __init__(self, check: str, text: str) -> None:
        super().__init__(f"{check}: {text}")
        self.check = check
