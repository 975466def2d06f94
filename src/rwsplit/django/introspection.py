"""Introspection: what tables there are is asked of the primary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rwsplit

from ._django import mysql_introspection

__all__ = ["DatabaseIntrospection"]


class DatabaseIntrospection(mysql_introspection.DatabaseIntrospection):
    """Django's own. Who asks for tables is about to change them: `migrate`, `flush`."""


def _asked_of_primary(name: str) -> Callable[..., Any]:
    def asked(self: Any, *args: Any, **keywords: Any) -> Any:
        with rwsplit.using(reads="primary"):
            return getattr(super(DatabaseIntrospection, self), name)(*args, **keywords)

    asked.__name__ = name
    return asked


# Those that run statements; the others ask these.
for _name in (
    *("get_table_list", "get_table_description", "get_sequences", "get_relations"),
    *("get_storage_engine", "get_constraints"),
):
    setattr(DatabaseIntrospection, _name, _asked_of_primary(_name))
