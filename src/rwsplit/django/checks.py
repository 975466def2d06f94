"""System checks: what is set wrong is named by `manage.py check`, before anything connects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.utils import DEFAULT_DB_ALIAS

import rwsplit

from .._core.session.session_id import parse_database

__all__ = ["check_databases", "register"]

_MIDDLEWARE = "rwsplit.django.middleware.RWSplitMiddleware"
_WRITING = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
)
_TRIES = 3
"""How often a router is asked: many draw lots."""


def register() -> None:
    """Let `manage.py check` run them."""
    checks.register(check_databases, "rwsplit")


def check_databases(app_configs: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """Check the databases that rwsplit serves; connects to nothing."""
    found: list[checks.CheckMessage] = []
    owners: dict[tuple[str, int], list[str]] = defaultdict(list)
    aliases = [alias for alias in connections if _is_ours(alias)]
    for alias in aliases:
        connection, message = _configured(alias)
        if message is not None:
            found.append(message)
        if connection is not None:
            endpoints = connection._options.replicas or ()
            for each in endpoints:
                owners[each.host.lower(), each.port].append(alias)
            if not endpoints and connection._options.discover is None:
                found.append(_no_replicas(alias))
    found += _replicas_with_an_alias(owners)
    if aliases:
        found += _routers_that_split(set(aliases))
        found += _middleware_within()
    return found


def _is_ours(alias: str) -> bool:
    if connections.settings[alias].get("ENGINE") == __package__:
        return True
    try:
        return hasattr(connections[alias], "end_migrating")  # an engine made of ours
    except (ImproperlyConfigured, ImportError):
        return False  # one whose driver is not installed here


def _configured(alias: str) -> tuple[Any, checks.CheckMessage | None]:
    """Return a connection that is not connected, or what keeps it from that."""
    wrapper = connections[alias]
    name = wrapper.settings_dict["NAME"]
    try:
        clean, session_id = parse_database(str(name or ""))
        if session_id is not None:
            return None, checks.Error(
                f"The NAME of database '{alias}' carries a session id.",
                hint=f"Write NAME {clean!r}, and OPTIONS['session_id']: Django makes other names "
                "of it, for tests and the shell.",
                id="rwsplit.E002",
            )
        params = wrapper.get_connection_params()
        return rwsplit.connect(**{**params, "defer_connect": True}), None
    except (ImproperlyConfigured, TypeError, ValueError, rwsplit.Error) as error:
        return None, checks.Error(
            f"Database '{alias}' can't be connected to as it is configured: {error}",
            hint="HOST, PORT and OPTIONS are the keywords of rwsplit.connect().",
            id="rwsplit.E001",
        )


def _no_replicas(alias: str) -> checks.CheckMessage:
    return checks.Warning(
        f"Database '{alias}' has no replicas: all of it runs on the primary.",
        hint="Name them in OPTIONS['replicas'], or a cluster of rwsplit.toml in "
        "OPTIONS['cluster'].",
        id="rwsplit.W001",
    )


def _replicas_with_an_alias(
    owners: dict[tuple[str, int], list[str]],
) -> Iterator[checks.CheckMessage]:
    for alias in connections:
        its = connections.settings[alias]
        host, port = str(its.get("HOST") or "").lower(), its.get("PORT") or 3306
        found = owners.get((host, int(port)), []) if str(port).isdigit() else []
        owner = next((each for each in found if each != alias), None)
        if owner is not None:
            yield checks.Warning(
                f"Database '{alias}' is a replica of database '{owner}', which reads there itself.",
                hint=f"What is read through '{alias}' may be older than what was just written. "
                f"Take it out of DATABASES; with rwsplit.using(max_staleness=...) says that old "
                "rows will do.",
                id="rwsplit.W002",
            )


def _routers_that_split(ours: set[str]) -> Iterator[checks.CheckMessage]:
    """Find routers that send reads elsewhere than writes: rwsplit would not know of those."""
    if not router.routers:
        return
    for model in apps.get_models():
        try:
            writes = router.db_for_write(model) or DEFAULT_DB_ALIAS
            asked = [router.db_for_read(model) or DEFAULT_DB_ALIAS for _ in range(_TRIES)]
        except Exception:  # noqa: S112 - a router's own faults are not for this check
            continue
        reads = next((alias for alias in asked if alias != writes), writes)
        if reads != writes and ours & {reads, writes}:
            yield checks.Warning(
                f"A router reads {model._meta.label} from database '{reads}' and writes it to "
                f"'{writes}'.",
                hint="The two know nothing of each other, so reads miss what was just written. "
                f"Let DATABASE_ROUTERS leave both to '{writes}': rwsplit splits them.",
                id="rwsplit.W003",
            )
            return


def _middleware_within() -> Iterator[checks.CheckMessage]:
    """Find middlewares around ours: what they write is not carried to the next request."""
    every = [*settings.MIDDLEWARE]
    if _MIDDLEWARE not in every:
        return
    around = [each for each in every[: every.index(_MIDDLEWARE)] if each in _WRITING]
    if around:
        yield checks.Warning(
            f"{around[0]} stands before {_MIDDLEWARE} in MIDDLEWARE.",
            hint="What it writes comes after the cookie was made, so the next request may miss it. "
            "Let rwsplit's be the first.",
            id="rwsplit.W004",
        )
