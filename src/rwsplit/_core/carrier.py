"""A position as a signed text that a browser or another service may carry. Pure.

`<seconds since 1970, hex>~<position>~<signature>`, of characters that cookies and headers take as
they are. The signature is an HMAC-SHA256 (RFC 2104) under a key that is derived for this purpose
alone, so no other text signed with the application's secret passes for a position. Without it a
stranger could make others' requests wait; with it nobody can but who knows the secret.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

__all__ = ["Carried", "check_secrets", "pack", "unpack"]

MOST_CHARACTERS = 3500
"""Browsers drop cookies of more than 4096 bytes, name and attributes included (RFC 6265)."""

_TOO_LARGE = "!"
"""Stands for a position that is too large to carry."""
_SIGNATURE_BYTES = 16
_FUTURE_SECONDS = 60.0
"""How far the clock of who signed it may be ahead."""


class Carried(NamedTuple):
    """What a text carries."""

    position: str
    """As `connection.position` prints it; '' where it was too large to carry: then the primary is
    the one that has it for sure."""
    signed_at: float
    """Seconds since 1970."""


def check_secrets(secret: object) -> tuple[bytes, ...]:
    """Return the keys for a secret, or for several: the first signs, all are accepted.

    Raises ValueError, which never shows one.
    """
    given = secret if isinstance(secret, list | tuple) else [secret]
    keys = []
    for each in given:
        if not isinstance(each, str | bytes) or len(each) < 16:
            raise ValueError("secret: expected a text or bytes of at least 16, or a list of such")
        raw = each.encode() if isinstance(each, str) else each
        keys.append(hmac.digest(raw, b"rwsplit: a carried position", sha256))
    if not keys:
        raise ValueError("secret: expected at least one")
    return tuple(keys)


def pack(position: str, keys: Sequence[bytes], now: float) -> str:
    """Sign a position; `now` in seconds since 1970.

    One that is too large is not carried, and what is carried says so.
    """
    body = f"{int(now):x}~{position}"
    if len(body) > MOST_CHARACTERS - 2 * _SIGNATURE_BYTES:
        body = f"{int(now):x}~{_TOO_LARGE}"
    return f"{body}~{_signature(body, keys[0])}"


def unpack(text: str, keys: Sequence[bytes], now: float, max_age: float) -> Carried | None:
    """Return what a text carries; None if nobody signed it, or not within `max_age` seconds."""
    if len(text) > MOST_CHARACTERS or not text.isascii() or text.count("~") != 2:
        return None
    body, _, signature = text.rpartition("~")
    if not any(hmac.compare_digest(signature, _signature(body, key)) for key in keys):
        return None
    time, _, position = body.partition("~")
    signed_at = int(time, 16)
    if not now - max_age <= signed_at <= now + _FUTURE_SECONDS:
        return None
    return Carried("" if position == _TOO_LARGE else position, float(signed_at))


def _signature(body: str, key: bytes) -> str:
    mac = hmac.digest(key, body.encode("ascii"), sha256)[:_SIGNATURE_BYTES]
    return urlsafe_b64encode(mac).decode().rstrip("=")
