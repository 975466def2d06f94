"""What a browser carries of a session: a position in a signed cookie. Values only.

A token is `<time>~<position>~<code>`: when it was signed, in seconds as hexadecimal digits; the
position as `position.encode` writes it, or `primary` where there is none that could be carried;
and an HMAC of both. Whoever alters a token has none. The key is derived from the secret for this
purpose, so that nothing else that was signed with the secret can be taken for a token.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from math import ceil
from typing import NamedTuple

from ..cluster.position import join_positions
from ..setup.problems import shown

__all__ = [
    "LONGEST",
    "PRIMARY",
    "Carrier",
    "Found",
    "check_cookie",
    "check_header",
    "check_max_age",
    "read_cookies",
    "read_plain",
    "read_secrets",
]

LONGEST = 3500
"""The longest position that is carried: browsers keep 4,096 bytes of a cookie, name and all."""

PRIMARY = "primary"
"""Stands for a position that can't be carried: what comes next has to read on the primary."""

_PURPOSE = b"rwsplit.web: the position of a session, 1"
_CODE_BYTES = 16
_TOKEN = re.compile(r"([0-9a-f]{1,12})~([0-9a-z._-]{1,3500})~([0-9A-Za-z_-]{22})", re.ASCII)
_MOST_COOKIES = 4
_CLOCKS = 600
"""How many seconds the clocks of hosts may differ."""
_YEAR = 31536000
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


class Found(NamedTuple):
    """What a request brought."""

    outcome: str
    """`none`, `accepted`, `primary`, `forged`, `old` or `unreadable`."""
    after: str = ""
    """The position that it must see."""

    @property
    def on_primary(self) -> bool:
        """Whether what it must see is not known, so that only the primary can tell."""
        return self.outcome in ("primary", "unreadable")


class Carrier:
    """Signs positions, and reads them back.

    :param secrets: the first signs; any of them may have signed.
    :param max_age: for how many seconds a token counts.
    """

    def __init__(self, secrets: Iterable[bytes], max_age: float) -> None:
        self._keys = [hmac.digest(secret, _PURPOSE, "sha256") for secret in secrets]
        self._max_age = max_age

    def sign(self, position: str, now: float) -> str:
        """Return the token of a position; of one that is too long it is that of PRIMARY.

        `now` is in seconds since 1970.
        """
        body = f"{int(now):x}~{position if len(position) <= LONGEST else PRIMARY}"
        return f"{body}~{_code(self._keys[0], body)}"

    def read(self, token: str, now: float) -> Found:
        """Return what a token stands for, whoever made it."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            return Found("forged")
        when, position, code = found.groups()
        body = f"{when}~{position}"
        if not any(hmac.compare_digest(code, _code(key, body)) for key in self._keys):
            return Found("forged")
        age = now - int(when, 16)
        if age > self._max_age + _CLOCKS:
            return Found("old")
        if age < -_CLOCKS or position == PRIMARY:
            return Found("primary")  # it is ours, and nobody knows of when
        return read_plain(position)

    def read_all(self, tokens: Iterable[str], now: float) -> Found:
        """Return what several tokens stand for together: a browser may send more than one."""
        given = [*tokens]
        if len(given) > _MOST_COOKIES:
            return Found("primary")  # somebody may have put in others to hide the one that counts
        every = [self.read(token, now) for token in given]
        if not every:
            return Found("none")
        return joined(every)


def joined(every: Iterable[Found]) -> Found:
    """Return what a request must see that has brought all of these."""
    counting = [found for found in every if found.outcome != "none"]
    for found in counting:
        if found.on_primary:
            return found
    accepted = [found.after for found in counting if found.outcome == "accepted"]
    if not accepted:
        return counting[0] if counting else Found("none")
    try:
        return Found("accepted", join_positions(*accepted))
    except ValueError:
        return Found("primary")


def read_plain(text: str) -> Found:
    """Return what a position stands for that another service has sent, unsigned.

    What can't be read may be of a newer version: then the primary knows.
    """
    if not text:
        return Found("none")
    if text == PRIMARY:
        return Found("primary")
    if len(text) > LONGEST:
        return Found("unreadable")
    try:
        return Found("accepted", join_positions(text))
    except ValueError:
        return Found("unreadable")


def read_cookies(header: str, name: str) -> list[str]:
    """Return the values of the cookies of this name.

    >>> read_cookies('a=1; rwsplit=x; rwsplit="y";rwsplit', "rwsplit")
    ['x', 'y']
    """
    values = []
    for part in header.split(";"):
        key, equals, value = part.partition("=")
        if equals and key.strip() == name:
            values.append(value.strip().strip('"'))
    return values


def _code(key: bytes, body: str) -> str:
    digest = hmac.digest(key, body.encode("ascii"), "sha256")[:_CODE_BYTES]
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


# What is configured.


def read_secrets(value: object) -> list[bytes]:
    """Read the `secret` option: one, or several of which the first signs; raises ValueError."""
    given = [*value] if isinstance(value, list | tuple) else [value]
    secrets = [each.encode() if isinstance(each, str) else each for each in given]
    # What it is must not be shown.
    if not secrets or not all(isinstance(each, bytes) and each for each in secrets):
        raise ValueError("secret: expected a text or bytes that are not empty, or a list of them")
    return secrets  # type: ignore[return-value]


def check_cookie(value: object) -> str | None:
    """Check the `cookie` option: a name that browsers take, or None; raises ValueError."""
    return _check_name("cookie", value)


def check_header(value: object) -> str | None:
    """Check the `header` option: a name of a header, or None; raises ValueError."""
    return _check_name("header", value)


def _check_name(key: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and _NAME.fullmatch(value)):
        return value
    raise ValueError(f"{key}: expected a name without blanks and separators, got {shown(value)}")


def check_max_age(value: object) -> int:
    """Check the `max_age` option, and return it in whole seconds; raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _YEAR:
        raise ValueError(
            f"max_age: expected seconds, more than 0 and at most a year, got {shown(value)}"
        )
    return ceil(value)
