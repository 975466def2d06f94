"""What the keywords of `connect()` came to: checked and made up once for all that give the same."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import Any

from .._core.cluster.endpoint import DEFAULT_PORT, check_no_account
from .._core.sql.controls import mentions_controls
from .._drivers.cursors import Cursor
from .._drivers.pymysql import CONNECT_KEYWORDS
from .._drivers.sources import check_protection
from .account import Account
from .configuring import (
    Found,
    check_replica_options,
    checked_options,
    configured_keywords,
    from_url,
    split_database,
    translate_aliases,
    with_cluster,
)
from .member import open_primary

__all__ = ["Configured", "configured_for"]

_MOST = 32
"""So many are kept: those that came last."""
_PLAIN = frozenset({str, bytes, int, float, bool, type(None)})
_NOT_KEPT = frozenset(
    # They name files, which may say something else the next time.
    {"read_default_file", "read_default_group", "ssl_ca", "ssl_cert", "ssl_key"}
    # Their warning names who gives them.
    | {"db", "passwd"}
)
_SHALLOW = frozenset({"conv", "auth_plugin_map"})
"""Keywords that are dicts of functions."""
_ENVIRONMENT = ("RWSPLIT_READS", "RWSPLIT_CONFIG")
"""What it hangs on beside the keywords."""


class Configured:
    """What keywords came to."""

    __slots__ = (
        "connections",
        "cursorclass",
        "defer",
        "found",
        "given",
        "named_id",
        "options",
        "own_init",
        "primary",
    )

    def __init__(self, keywords: Mapping[str, Any], url: str | None) -> None:
        """Check them; raises what `connect()` raises for what is wrong with them."""
        options: dict[str, Any] = {**keywords}
        translate_aliases(options)
        if url is not None:
            options = {**from_url(url), **options}
        options = configured_keywords(options)
        own = {key: options.pop(key) for key in [*options] if key not in CONNECT_KEYWORDS}
        checked = checked_options(own, options.get("port") or DEFAULT_PORT, CONNECT_KEYWORDS)
        self.named_id = checked.session_id
        name = options.get("database")
        if isinstance(name, str):
            # A session id behind the database name, which a server never sees.
            options["database"], named = split_database(name)
            options["database"] = options["database"] or None
            self.named_id = self.named_id if named is None else named
        self.options = with_cluster(checked, options)
        self.cursorclass = options.pop("cursorclass", Cursor)
        self.defer = options.pop("defer_connect", False)
        command, replicas = options.get("init_command"), self.options.replicas
        is_own = replicas is not None and isinstance(command, str) and mentions_controls(command)
        self.own_init = options.pop("init_command") if is_own else None
        self.given = options
        self.primary = open_primary(
            {**options, "defer_connect": True}, self.options.session_variables
        )
        """What each connection to the primary is made like; never connected itself."""
        self.primary.take_identity()
        self.connections: dict[str, Any] = {}
        """The same for replicas: see `Account.to`."""
        self.found: Found | None = None
        """The cluster of the last one that was connected."""
        check_replica_options(replicas or ())
        if replicas is not None:
            check_no_account("host", self.primary.host)
        check_protection(options)
        account = Account(options, self.primary, self.options.replica_connect_timeout)
        for replica in replicas or ():
            check_protection(account.options(replica))

    def note_found(self, found: Found) -> None:
        """Note the cluster that was found for it."""
        self.found = found


class _Kept:
    """One of those that are kept, and the keywords that it came of."""

    __slots__ = ("_given", "_same", "_types", "configured")

    def __init__(self, keywords: Mapping[str, Any], configured: Configured) -> None:
        """Raise TypeError for keywords that may mean something else the next time."""
        self.configured = configured
        self._given = {name: _copied(name, value) for name, value in keywords.items()}
        self._types = [*map(type, keywords.values())]
        self._same = [(name, value) for name, value in keywords.items() if _is_single(value)]

    def is_of(self, keywords: Mapping[str, Any]) -> bool:
        """Tell whether keywords are the same."""
        return (
            self._given == keywords
            and self._types == [*map(type, keywords.values())]  # True == 1
            and all(keywords[name] is value for name, value in self._same)
        )


def _is_single(value: Any) -> bool:
    return isinstance(value, type | ssl.SSLContext)


def _copied(name: str, value: Any) -> Any:
    """Return what a value is compared with later, whatever becomes of it meanwhile."""
    kind = type(value)
    if name in _NOT_KEPT and value:
        raise TypeError(name)
    if kind in _PLAIN or _is_single(value):
        return value
    if name in _SHALLOW and kind is dict:
        return value.copy()
    if name != "ssl":
        if kind is list or kind is tuple:
            return kind([_copied("", each) for each in value])
        if kind is dict:
            return {_copied("", key): _copied("", each) for key, each in value.items()}
    raise TypeError(name)


_kept: tuple[_Kept, ...] = ()
_kept_in: list[str | None] = []
"""Of the environment, when those were made."""


def configured_for(keywords: Mapping[str, Any], url: str | None) -> Configured:
    """Return what keywords come to; raises what `connect()` raises for what is wrong with them."""
    global _kept, _kept_in  # noqa: PLW0603
    if url is not None:
        return Configured(keywords, url)
    environment = [*map(os.environ.get, _ENVIRONMENT)]
    if environment != _kept_in:
        _kept, _kept_in = (), environment
    for each in _kept:
        if each.is_of(keywords):
            return each.configured
    configured = Configured(keywords, None)
    if environment[1] is None:
        try:
            kept = _Kept(keywords, configured)
        except TypeError:
            return configured
        _kept = (kept, *_kept[: _MOST - 1])
    return configured
