"""The configuration file of this process: found, read once, and handed to the core."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._core.setup.config import Config

__all__ = ["current_config", "read_config", "reads_are_switched_off"]


def reads_are_switched_off() -> bool:
    """Tell whether the environment wants everything to run on the primary."""
    return os.environ.get("RWSPLIT_READS", "").lower() == "primary"


def current_config() -> Config | None:
    """Return what the file says that `RWSPLIT_CONFIG` names; None without that variable.

    Raises ConfigError with all that is wrong with it, and ValueError if it can't be read.
    """
    path = os.environ.get("RWSPLIT_CONFIG")
    return _read_once(path) if path else None


@cache
def _read_once(path: str) -> Config:
    try:
        return read_config(path)
    except OSError as error:
        raise ValueError(f"RWSPLIT_CONFIG: can't read {path}: {error.strerror}") from error


def read_config(path: str | os.PathLike[str]) -> Config:
    """Read a configuration file.

    Raises ConfigError with all that is wrong with it, and OSError if it can't be read.
    """
    # Who has no file does not pay for it.
    from .._core.setup.config import ConfigError, parse_config  # noqa: PLC0415

    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: expected UTF-8 text") from None

    def secret(name: str) -> str:
        return (file.parent / name).read_text(encoding="utf-8")

    return parse_config(text, str(file), os.environ, secret)
