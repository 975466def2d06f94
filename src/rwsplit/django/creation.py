"""Test databases."""

from __future__ import annotations

import os
import subprocess

from django.db.backends.mysql import creation

from .client import DatabaseClient, shell_settings

__all__ = ["DatabaseCreation"]


class DatabaseCreation(creation.DatabaseCreation):
    """Django's own; several test processes get their copies over the primary, and replicas, too."""

    def _clone_db(self, source_database_name: str, target_database_name: str) -> None:
        """Copy a database for one of several test processes, over the primary."""
        settings = shell_settings(self.connection)
        (_, *account, _), env = DatabaseClient.settings_to_cmd_args_env(settings, [])
        environment = {**os.environ, **(env or {})}
        dump = [
            *("mysqldump", *account, "--routines", "--events", *_for_replicas()),
            source_database_name,
        ]
        load = [DatabaseClient.executable_name, *account, target_database_name]
        with subprocess.Popen(dump, stdout=subprocess.PIPE, env=environment) as dumping:  # noqa: S603
            subprocess.run(  # noqa: S603 - its own programs, as Django runs them
                load, stdin=dumping.stdout, stdout=subprocess.DEVNULL, env=environment, check=False
            )
            assert dumping.stdout is not None
            dumping.stdout.close()  # so that it ends, where the other has ended early


def _for_replicas() -> tuple[str, ...]:
    """Return what lets replicas have the copy: MySQL's mysqldump would keep it from them."""
    said = subprocess.run(
        ["mysqldump", "--version"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    if "MariaDB" in said:
        return ()
    # The last two want rights that an application does not have.
    return "--set-gtid-purged=OFF", "--no-tablespaces", "--column-statistics=0"
