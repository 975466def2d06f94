"""The library's logger, and how it says an error."""

import logging

__all__ = ["logger", "words"]

logger = logging.getLogger("rwsplit")


def words(error: Exception) -> str:
    """Return an error as one phrase."""
    if len(error.args) > 1:
        return f"({error.args[0]}) {error.args[1]}"
    return str(error) or type(error).__name__
