"""The backend itself: Django loads `DatabaseWrapper` from here."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.signals import request_started
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_migrate
from django.utils.functional import cached_property

import rwsplit

from . import checks
from ._django import mysql_base
from .client import DatabaseClient
from .creation import DatabaseCreation
from .introspection import DatabaseIntrospection

__all__ = ["CursorWrapper", "DatabaseWrapper"]

_MIGRATIONS = "django_migrations"
"""The table that tells which migrations were applied. Django has no setting for it."""


class CursorWrapper(mysql_base.CursorWrapper):
    """Django's own; which migrations were applied is asked of the primary."""

    def __init__(self, cursor: Any, wrapper: DatabaseWrapper) -> None:
        super().__init__(cursor)
        self._wrapper = wrapper

    def execute(self, query: Any, args: Any = None) -> Any:
        """Run a statement."""
        if self._wrapper.migrates or (isinstance(query, str) and _MIGRATIONS in query):
            with rwsplit.using(reads="primary"):
                return super().execute(query, args)
        return super().execute(query, args)


class DatabaseWrapper(mysql_base.DatabaseWrapper):
    """A database whose reads go to replicas."""

    Database = rwsplit
    client_class = DatabaseClient
    creation_class = DatabaseCreation
    introspection_class = DatabaseIntrospection

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.migrates = False
        """`migrate` has begun: all that is read is read on the primary."""

    # Connecting.

    def get_connection_params(self) -> dict[str, Any]:
        """Return the keywords of `rwsplit.connect()`."""
        params: dict[str, Any] = super().get_connection_params()
        # Part of the connection, where Django's own engine sends a statement for them.
        variables: dict[str, Any] = {"sql_auto_is_null": 0}
        if self.isolation_level:
            variables["transaction_isolation"] = self.isolation_level.upper().replace(" ", "-")
        given = params.get("session_variables")
        if given is None or isinstance(given, dict):
            params["session_variables"] = {**variables, **(given or {})}
        params.setdefault("autocommit", self.settings_dict["AUTOCOMMIT"])
        return params

    def init_connection_state(self) -> None:
        """Have the version checked; all else the connection has begun with."""
        BaseDatabaseWrapper.init_connection_state(self)

    def create_cursor(self, name: str | None = None) -> CursorWrapper:
        """Make a cursor."""
        return CursorWrapper(self.connection.cursor(), self)

    def is_usable(self) -> bool:
        """Tell whether the connection is of use, at no round trip: for CONN_HEALTH_CHECKS."""
        return bool(self.connection.is_usable())

    @cached_property
    def mysql_server_data(self) -> dict[str, Any]:
        """What Django wants to know of the server, which is the primary."""
        with rwsplit.using(reads="primary"):
            return super().mysql_server_data  # type: ignore[no-any-return]

    # Migrations.

    def prepare_database(self) -> None:
        """Stay on the primary from now on: `migrate` begins so, and asks what was applied next."""
        super().prepare_database()
        self.migrates = True
        request_started.connect(_end_all_migrating, dispatch_uid=__name__)
        # By now the applications have connected theirs, so this one is the last.
        post_migrate.connect(_note_migrated, dispatch_uid=__name__)

    def end_migrating(self) -> None:
        """Read on replicas again."""
        self.migrates = False


def _note_migrated(sender: Any, using: str, **_: Any) -> None:
    """Notice the end of `migrate`, which tells every application with models that it is done."""
    with_models = [each for each in apps.get_app_configs() if each.models_module is not None]
    wrapper = connections[using]
    if sender is with_models[-1] and isinstance(wrapper, DatabaseWrapper):
        wrapper.end_migrating()


def _end_all_migrating(**_: Any) -> None:
    """Notice a request: a `migrate` that had nothing to tell, or failed, is over."""
    for wrapper in connections.all(initialized_only=True):
        if isinstance(wrapper, DatabaseWrapper):
            wrapper.end_migrating()


checks.register()
