"""TLS contexts, shared between connections, and without the system's CAs where none is used."""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["tls_context"]

_contexts: dict[Any, ssl.SSLContext] = {}
_MOST_CONTEXTS = 100
_unverifying: dict[None, ssl.SSLContext] = {}
"""The one that verifies nothing, once it is made."""


def tls_context(sslp: Any, build: Any) -> ssl.SSLContext:
    """Return the TLS context for PyMySQL's `ssl` mapping, shared between connections.

    `ssl.create_default_context()` is nearly all of PyMySQL's connect: it loads the system's CAs
    even where no certificate is verified.
    """
    if not isinstance(sslp, Mapping):
        return build(sslp)  # type: ignore[no-any-return]
    if not sslp:
        return _unverified()
    key = _context_key(sslp)
    context = _contexts.get(key)
    if context is None:
        context = build(sslp)
        if len(_contexts) >= _MOST_CONTEXTS:
            _contexts.clear()
        if _context_key(sslp) == key:  # else nobody knows which content was read
            # All threads have the same: connections of another one share no wires.
            context = _contexts.setdefault(key, context)
    return context


def _context_key(sslp: Mapping[str, Any]) -> Any:
    # A certificate may be renewed in place: its files' content is what a context is made of.
    content = tuple([_content(sslp.get(name)) for name in ("ca", "cert", "key", "capath")])
    # The values may hold the password of a key.
    said = hashlib.sha256(repr(sorted(sslp.items())).encode("utf-8", "surrogateescape"))
    return said.digest(), content


def _content(path: Any) -> bytes | None:
    """Return what stands for the content of a file, or of the files of a folder."""
    if not isinstance(path, str | bytes | os.PathLike):
        return None
    file = Path(os.fsdecode(path))
    seen = hashlib.sha256()
    try:
        for each in sorted(file.iterdir()) if file.is_dir() else [file]:
            if each.is_file():
                seen.update(each.name.encode("utf-8", "surrogateescape") + b"\0")
                seen.update(each.read_bytes())
    except OSError:
        return None  # what reads it says so
    return seen.digest()


def _unverified() -> ssl.SSLContext:
    known = _unverifying.get(None)
    return _unverifying.setdefault(None, _make_unverified()) if known is None else known


def _make_unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    keylog = os.environ.get("SSLKEYLOGFILE")
    if keylog:
        context.keylog_filename = keylog
    return context
