"""Session stores: where the high-water positions of shared session ids live."""

from __future__ import annotations

from .base import SessionStore, Stored, StoreError, StoreIsDamaged, StoreIsEmpty
from .memory import MemoryStore

__all__ = [
    "MemoryStore",
    "SessionStore",
    "StoreError",
    "StoreIsDamaged",
    "StoreIsEmpty",
    "Stored",
    "open_store",
]


_METHODS = ("begin", "get", "open", "publish")


def open_store(given: object) -> SessionStore | None:
    """Return the store that `session_store` names; None for the cluster's own memory.

    Raises ValueError naming what is wrong with it.
    """
    if given == "memory":
        return None
    if not isinstance(given, str):
        if all(callable(getattr(given, name, None)) for name in _METHODS):
            return given  # type: ignore[return-value]
        raise ValueError(
            "session_store: expected 'memory', 'sqlite:///path', 'redis://...' or an object with "
            f"begin, get, open and publish, got {type(given).__name__}"
        )
    scheme, _, rest = given.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        from .sqlite import SQLiteStore  # noqa: PLC0415 - only who wants it pays for it

        # sqlite:///relative and sqlite:////absolute, as SQLAlchemy spells them.
        return SQLiteStore.at(rest[1:])
    if scheme in ("redis", "rediss", "unix") and rest:
        from .redis import RedisStore  # noqa: PLC0415 - an extra

        return RedisStore.at(given)
    # The text may hold a password.
    raise ValueError(
        "session_store: expected 'memory', 'sqlite:///path' or 'redis://...', got another text"
    )
