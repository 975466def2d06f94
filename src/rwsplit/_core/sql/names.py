"""Names of tables and system variables: how they are read, and which belong to one server."""

from __future__ import annotations

from collections.abc import Sequence

from .lexer import NAME, OP, WORD, Token
from .statement import Kind, TableName
from .wordlist import words

__all__ = ["FOLLOWED", "MEMBER_BOUND", "OF_MEMBER", "is_each_servers", "local_table", "name_at"]

FOLLOWED = frozenset(("warning_count", "error_count"))
"""System variables about the statement before."""

MEMBER_BOUND: dict[str, str] = {
    "autocommit": "transaction",
    "in_transaction": "transaction",
    "transaction_read_only": "transaction",
    "tx_read_only": "transaction",
    "last_insert_id": "last_insert_id",
    "identity": "last_insert_id",
    "insert_id": "last_insert_id",
    "last_gtid": "last_gtid",
    "gtid_next": "last_gtid",
    "gtid_seq_no": "last_gtid",
    "statement_id": "connection",
    "timestamp": "connection",
    "rand_seed1": "connection",
    "rand_seed2": "connection",
    "sql_log_bin": "connection",
    "skip_replication": "connection",
    "pseudo_thread_id": "connection_id",
    # What no replica is set to, as it means nothing there, or comes with its own USE.
    **dict.fromkeys(
        words(
            "completion_type transaction_alloc_block_size transaction_prealloc_size",
            "transaction_allow_batching character_set_database collation_database",
            "binlog_format binlog_row_image binlog_row_value_options binlog_rows_query_log_events",
            "binlog_direct_non_transactional_updates binlog_annotate_row_events",
            "binlog_alter_two_phase",
        ),
        "connection",
    ),
    **dict.fromkeys(
        words("read_only super_read_only innodb_read_only offline_mode gtid_executed gtid_purged"),
        "server",
    ),
    **dict.fromkeys(
        words("gtid_owned gtid_binlog_pos gtid_binlog_state gtid_current_pos gtid_slave_pos"),
        "server",
    ),
}
"""System variables that members differ in on purpose -> what of the connection they show. Those of
the server tell a primary from a replica, and how far it is: health checks ask the primary for them.
"""

OF_MEMBER = frozenset(("server_id", "server_uuid", "hostname", "port", "version"))
"""System variables that tell who answered."""

_OF_SESSION = words(
    "auto_increment_increment auto_increment_offset big_tables block_encryption_mode",
    "bulk_insert_buffer_size character_set_client character_set_connection",
    "character_set_filesystem character_set_results character_set_server check_constraint_checks",
    "collation_connection collation_server cte_max_recursion_depth default_collation_for_utf8mb4",
    "default_regex_flags default_storage_engine default_table_encryption",
    "default_tmp_storage_engine default_week_format div_precision_increment end_markers_in_json",
    "enforce_storage_engine eq_range_index_dive_limit explicit_defaults_for_timestamp",
    "external_user foreign_key_checks group_concat_max_len gtid_domain_id",
    "idle_readonly_transaction_timeout idle_transaction_timeout idle_write_transaction_timeout",
    "information_schema_stats_expiry innodb_lock_wait_timeout innodb_strict_mode",
    "innodb_table_locks interactive_timeout join_buffer_size join_cache_level lc_messages",
    "lc_time_names lock_wait_timeout long_query_time low_priority_updates max_allowed_packet",
    "max_error_count max_execution_time max_heap_table_size max_join_size",
    "max_length_for_sort_data max_recursive_iterations max_seeks_for_key max_sort_length",
    "max_sp_recursion_depth max_statement_time max_user_connections min_examined_row_limit",
    "net_buffer_length net_read_timeout net_retry_count net_write_timeout old_mode old_passwords",
    "optimizer_prune_level optimizer_search_depth optimizer_switch optimizer_trace",
    "optimizer_use_condition_selectivity profiling profiling_history_size proxy_user",
    "query_cache_type range_optimizer_max_mem_size read_buffer_size read_rnd_buffer_size",
    "sort_buffer_size sql_auto_is_null sql_big_selects sql_buffer_result sql_log_off sql_mode",
    "sql_notes sql_quote_show_create sql_require_primary_key sql_safe_updates sql_select_limit",
    "sql_warnings storage_engine system_versioning_alter_history system_versioning_asof time_zone",
    "tmp_disk_table_size tmp_memory_table_size tmp_table_size transaction_isolation tx_isolation",
    "unique_checks updatable_views_with_limit use_stat_tables wait_timeout",
    "windowing_use_high_precision",
)
"""System variables that a session has for itself, and so has every member of it. All others (most
are only global) are each server's own; some that hardly anyone asks for are left to the primary.
"""


def is_each_servers(name: str) -> bool:
    """Tell whether a system variable, named without a scope, is to be asked of the primary.

    >>> is_each_servers("max_connections"), is_each_servers("sql_mode")
    (True, False)
    """
    return not (name in _OF_SESSION or name in OF_MEMBER or name.startswith("version_"))


# Schemas whose tables are made up by each server for itself.
_LOCAL_SCHEMAS = words("performance_schema sys")
_LOCAL_INFORMATION = words(
    "processlist global_status session_status global_variables session_variables system_variables",
    "client_statistics index_statistics table_statistics user_statistics optimizer_trace feedback",
    "plugins all_plugins thread_pool_groups thread_pool_queues thread_pool_stats thread_pool_waits",
    "query_cache_info query_response_time locales metadata_lock_info disks optimizer_costs files",
    "spider_alloc_mem wsrep_membership wsrep_status events profiling",
)
_LOCAL_MYSQL = words(
    "general_log slow_log gtid_executed gtid_slave_pos slave_master_info slave_relay_log_info",
    "slave_worker_info innodb_index_stats innodb_table_stats server_cost engine_cost plugin",
    "component replication_asynchronous_connection_failover",
)


def name_at(tokens: Sequence[Token], index: int) -> tuple[TableName, int]:
    """The name `a`, `a.b` or `.b` that starts here, and the position behind it."""
    database: str | None = None
    name = _raw(tokens[index])
    position = index + 1
    while (
        position + 1 < len(tokens)
        and tokens[position].kind == OP
        and tokens[position].text == "."
        and tokens[position + 1].kind in (WORD, NAME)
    ):
        database, name = name, _raw(tokens[position + 1])
        position += 2
    return TableName(database, name), position


def _raw(token: Token) -> str:
    return token.raw if token.kind == WORD else token.text


def local_table(table: TableName) -> Kind | None:
    """Whether a table shows the state of the one server that is asked."""
    schema = (table.database or "").lower()
    name = table.name.lower()
    if schema == "information_schema":
        if name in _LOCAL_INFORMATION or name.startswith(("innodb_", "rocksdb_", "tokudb_")):
            return Kind.PRIMARY_READ
    elif schema in _LOCAL_SCHEMAS or (schema == "mysql" and name in _LOCAL_MYSQL):
        return Kind.PRIMARY_READ
    return None
