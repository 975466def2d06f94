"""Introspection: what tables there are is asked of the primary."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import rwsplit

from ._django import mysql_introspection

__all__ = ["DatabaseIntrospection"]


class DatabaseIntrospection(mysql_introspection.DatabaseIntrospection):
    """Django's own. Who asks for tables is about to change them: `migrate`, `flush`."""


def _asked_of_primary(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def asked(self: Any, *args: Any, **keywords: Any) -> Any:
        with rwsplit.using(reads="primary"):
            return method(self, *args, **keywords)

    return asked


for _name in (
    *("table_names", "get_table_list", "get_table_description", "get_sequences", "get_relations"),
    *("get_storage_engine", "get_constraints", "get_primary_key_column", "get_primary_key_columns"),
    "sequence_list",
):
    setattr(DatabaseIntrospection, _name, _asked_of_primary(getattr(DatabaseIntrospection, _name)))
