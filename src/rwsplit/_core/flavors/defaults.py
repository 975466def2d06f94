"""Variables whose server-wide values change what statements answer: the session has the primary's.

A session begins with a server's global values. A replica's may be others, so each replica's
connection is given what the connection to the primary began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ..cluster.facts import Values

__all__ = ["DEFAULTS", "UNMENDED", "packed", "unpacked"]

# max_join_size goes before sql_big_selects: setting it sets the other.
_BOTH = (
    *("sql_mode", "time_zone", "lc_time_names", "lc_messages", "group_concat_max_len"),
    *("div_precision_increment", "default_week_format", "sql_select_limit", "max_sort_length"),
    *("max_join_size", "sql_big_selects", "sql_auto_is_null", "sql_quote_show_create"),
    *("sql_notes", "sql_safe_updates"),
)
DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "mysql": (
        *_BOTH,
        *("max_execution_time", "cte_max_recursion_depth", "windowing_use_high_precision"),
        "block_encryption_mode",
    ),
    "mariadb": (
        *_BOTH,
        *("max_statement_time", "max_recursive_iterations", "default_regex_flags", "old_mode"),
    ),
}
"""Those that any account may set for its session, by flavor. All supported versions have them."""

UNMENDED = (
    *("collation_server", "character_set_server", "lower_case_table_names", "max_allowed_packet"),
    *("ft_min_word_len", "innodb_ft_min_token_size", "max_error_count", "system_time_zone"),
    "version",
)
"""Those that no session can set to what they are elsewhere, or that say what others mean."""

_SEPARATOR = "\x1f"


def packed(names: tuple[str, ...], scope: str) -> str:
    """Return the expression that gives the values of variables as one."""
    variables = ",".join([f"@@{scope}.{name}" for name in names])
    return f"CAST(CONCAT_WS(X'1F',{variables}) AS BINARY)"


@lru_cache(maxsize=64)
def unpacked(names: tuple[str, ...], values: str) -> Values:
    """Return the values of variables by name.

    >>> {**unpacked(("a", "b"), "1\\x1f")}
    {'a': '1', 'b': ''}
    """
    return Values(zip(names, values.split(_SEPARATOR), strict=True))
