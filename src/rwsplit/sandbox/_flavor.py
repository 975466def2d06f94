"""What differs between the flavors: options, statements, and how a data directory is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ._find import Programs

__all__ = ["Dialect", "dialect", "make_data", "server_options"]


class Dialect(NamedTuple):
    """The statements with which a sandbox steers servers of one flavor."""

    replicate: str
    stop_replication: str
    start_applier: str
    stop_applier: str
    start_replication: str
    stop_receiver: str
    start_receiver: str
    forget: str
    keep_own: tuple[str, ...]
    """Makes a server that was the primary replicate from after what it wrote itself."""
    protect: tuple[str, ...]
    """Makes a read-only server refuse administrators as well."""
    unprotect: tuple[str, ...]
    state: str
    applier_column: str
    receiver_column: str
    received_column: str
    position: str
    wait: str


_MYSQL = Dialect(
    replicate="CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, "
    "SOURCE_USER='{user}', SOURCE_PASSWORD='{password}', GET_SOURCE_PUBLIC_KEY=1, "
    "SOURCE_CONNECT_RETRY=1, SOURCE_RETRY_COUNT=86400, SOURCE_AUTO_POSITION={gtid}",
    start_replication="START REPLICA",
    stop_replication="STOP REPLICA",
    start_applier="START REPLICA SQL_THREAD",
    stop_applier="STOP REPLICA SQL_THREAD",
    stop_receiver="STOP REPLICA IO_THREAD",
    start_receiver="START REPLICA IO_THREAD",
    forget="RESET REPLICA ALL",
    keep_own=(),
    protect=("SET GLOBAL super_read_only=ON",),
    unprotect=("SET GLOBAL super_read_only=OFF",),
    state="SHOW REPLICA STATUS",
    applier_column="Replica_SQL_Running",
    receiver_column="Replica_IO_Running",
    received_column="Retrieved_Gtid_Set",
    position="SELECT @@GLOBAL.gtid_executed",
    wait="SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)",
)
_MARIADB = Dialect(
    replicate="CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, "
    "MASTER_USER='{user}', MASTER_PASSWORD='{password}', MASTER_CONNECT_RETRY=1, "
    "MASTER_USE_GTID=slave_pos",
    start_replication="START SLAVE",
    stop_replication="STOP SLAVE",
    start_applier="START SLAVE SQL_THREAD",
    stop_applier="STOP SLAVE SQL_THREAD",
    stop_receiver="STOP SLAVE IO_THREAD",
    start_receiver="START SLAVE IO_THREAD",
    forget="RESET SLAVE ALL",
    # MASTER_USE_GTID=current_pos is deprecated, and MASTER_DEMOTE_TO_SLAVE newer than 10.6.
    keep_own=("SET GLOBAL gtid_slave_pos = @@GLOBAL.gtid_current_pos",),
    protect=(),
    unprotect=(),
    state="SHOW SLAVE STATUS",
    applier_column="Slave_SQL_Running",
    receiver_column="Slave_IO_Running",
    received_column="Gtid_IO_Pos",
    position="SELECT @@GLOBAL.gtid_binlog_pos",
    wait="SELECT MASTER_GTID_WAIT(%s, %s)",
)


def dialect(flavor: str) -> Dialect:
    """Return the statements of a flavor."""
    return _MARIADB if flavor == "mariadb" else _MYSQL


_COMMON: dict[str, str] = {
    "bind_address": "127.0.0.1",
    "skip_name_resolve": "ON",
    "max_connections": "500",
    # A sandbox is for tests: it must outlive a server's crash, and not one of the machine.
    "sync_binlog": "0",
    "innodb_flush_log_at_trx_commit": "2",
    "innodb_buffer_pool_size": "64M",
    # An ordinary account may then create functions.
    "log_bin_trust_function_creators": "ON",
    "log_bin": "binlog",
    "relay_log_recovery": "ON",
    "max_allowed_packet": "64M",
}
_ONLY: dict[str, dict[str, str]] = {
    "mysql": {
        "gtid_mode": "ON",
        "enforce_gtid_consistency": "ON",
        "log_replica_updates": "ON",
        "mysqlx": "OFF",
        "performance_schema": "OFF",
        # A START that comes while a restarted server starts by itself can hang it.
        "skip_replica_start": "ON",
        "secure_file_priv": "",
    },
    "mariadb": {
        "log_slave_updates": "ON",
        "gtid_strict_mode": "ON",
        "innodb_log_file_size": "32M",
        "skip_slave_start": "ON",
    },
}


def server_options(programs: Programs, given: Mapping[str, str]) -> list[str]:
    """Return the options of every server of a sandbox."""
    options = {**_COMMON, **_ONLY[programs.flavor], **given}
    return [*_base(programs), *[_option(name, value) for name, value in options.items()]]


def _option(name: str, value: str) -> str:
    # `--log-bin=OFF` would name the log "OFF".
    if name == "log_bin" and value.upper() in ("0", "OFF"):
        return "--skip-log-bin"
    return f"--{name}={value}"


def _base(programs: Programs) -> list[str]:
    options = ["--no-defaults"]
    if programs.home is not None and len(programs.command) > 1:
        usr = programs.home / "usr"
        options += [
            f"--basedir={usr}",
            f"--lc-messages-dir={usr}/share/mysql",
            f"--plugin-dir={usr}/lib/mysql/plugin",
        ]
    return options


def make_data(programs: Programs, folder: Path, user: list[str]) -> None:
    """Make a fresh data directory, in which root@localhost has no password."""
    if programs.flavor == "mysql":
        _run([*programs.command, *_base(programs), *user, "--initialize-insecure", _data(folder)])
        # Copies of one directory must not all be the same server.
        (folder / "auto.cnf").unlink(missing_ok=True)
        return
    installer = _installer(programs)
    method = "--auth-root-authentication-method=normal"
    _run([installer, "--no-defaults", *user, method, "--skip-test-db", _data(folder)])


def _data(folder: Path) -> str:
    return f"--datadir={folder}"


def _installer(programs: Programs) -> str:
    names = ("mariadb-install-db", "mysql_install_db")
    folders = [Path(programs.command[-1]).parent]
    if programs.home is not None:
        folders += [programs.home / "scripts", programs.home / "bin"]
    for name in names:
        for folder in folders:
            if (folder / name).is_file():
                return str(folder / name)
        found = shutil.which(name)
        if found:
            return found
    raise RuntimeError(f"{programs.command[-1]} is here, but {names[0]} is not")


def _run(command: list[str]) -> None:
    # A server that starts removes what looks left behind in its temporary folder: a shared one
    # would be that of another clone's installer.
    with tempfile.TemporaryDirectory(prefix="rwsplit-") as scratch:
        done = subprocess.run(  # noqa: S603 - the server's own programs
            command,
            capture_output=True,
            text=True,
            check=False,
            errors="replace",
            env={**os.environ, "TMPDIR": scratch},
        )
    if done.returncode:
        output = (done.stdout + done.stderr)[-2000:]
        raise RuntimeError(f"{command[0]} failed with status {done.returncode}:\n{output}")
