"""Templates of data directories: one takes seconds to make, a copy of it a fraction of one."""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from ._guard import Guard

__all__ = ["template"]

# One a process and flavor.
_templates: dict[str, tuple[int, Path, Guard]] = {}
_lock = threading.Lock()


def template(flavor: str, make: Callable[[Path], None]) -> Path:
    """Return a flavor's fresh data directory, to be copied; `make` makes it when there is none."""
    with _lock:
        known = _templates.get(flavor)
        if known is None or known[0] != os.getpid():
            folder = Path(tempfile.mkdtemp(prefix="rwsplit-"))
            guard = Guard(folder)
            try:
                make(folder / "data")
            except BaseException:
                guard.close()
                raise
            _templates[flavor] = known = (os.getpid(), folder, guard)
    return known[1] / "data"


def _remove_templates() -> None:
    for owner, _, guard in _templates.values():
        if owner == os.getpid():
            with contextlib.suppress(OSError):
                guard.close()


atexit.register(_remove_templates)
