"""peewee's own tests of its MySQL backend, unchanged, on PyMySQL and by `python -m rwsplit run`.

`nox -s peewee` fetches peewee's sources and runs this: once on the primary with PyMySQL, once by
`python -m rwsplit run` over two replicas that are late. It fails if a test fails on the second and
not on the first, or if less than half of the reads ran on replicas, as the servers' own logs tell.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rwsplit.sandbox import Sandbox

DATABASE, USER, PASSWORD = "peewee_test", "peewee", "let-me-in"
_LOG = {"general_log": "ON", "log_output": "TABLE"}
OPTIONS = {
    "mariadb": _LOG,
    # A primary of 9.7 takes a row of peewee's that refers to itself by a constraint which was
    # added later; its replicas refuse it (1452), and stop.
    "mysql": {**_LOG, "replica_skip_errors": "1452"},
}
# What peewee's queries look like, and none of rwsplit's own.
READ = "argument LIKE 'SELECT%FROM `%'"


def run(sources: Path, cluster: Sandbox, config: Path | None, rest: list[str]) -> set[str]:
    """Run the tests; with a configuration, by rwsplit. Returns those that failed."""
    primary = cluster.primary
    command = [sys.executable, *(["-m", "rwsplit", "run"] if config else []), "runtests.py"]
    command += ["--engine=mysql", f"--mysql-host={primary.host}", f"--mysql-port={primary.port}"]
    command += [f"--mysql-user={USER}", f"--mysql-password={PASSWORD}", *rest]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    if config is not None:
        environment["RWSPLIT_CONFIG"] = str(config)
    done = subprocess.run(
        command, check=False, cwd=sources, env=environment, stderr=subprocess.PIPE, text=True
    )
    print(done.stderr, flush=True)
    if not re.search(r"^Ran [1-9]\d* tests", done.stderr, re.MULTILINE):
        sys.exit("no test ran")
    return set(re.findall(r"^(?:ERROR|FAIL): (.*)$", done.stderr, re.MULTILINE))


def reads(cluster: Sandbox, *, empty: bool = False) -> list[int]:
    """How many of peewee's reads each server has seen."""
    found = []
    for server in cluster.servers:
        with cluster.admin(server) as connection, connection.cursor() as cursor:
            if empty:
                cursor.execute("SET sql_log_bin = 0")
                cursor.execute("TRUNCATE mysql.general_log")
            cursor.execute(f"SELECT COUNT(*) FROM mysql.general_log WHERE {READ}")
            found.append(cursor.fetchone()[0])
    return found


def compare(flavor: str, sources: Path, late: float, rest: list[str]) -> bool:
    with Sandbox(flavor, options=OPTIONS[flavor]) as cluster, tempfile.TemporaryDirectory() as name:
        with cluster.admin(cluster.primary) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {DATABASE} CHARSET utf8mb4")
            cursor.execute(f"CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute(f"GRANT ALL ON *.* TO {USER}@'%'")
        cluster.wait_caught_up()
        config = Path(name) / "rwsplit.toml"
        replicas = cluster.connect_options["replicas"]
        primary = f"{cluster.primary.host}:{cluster.primary.port}"
        config.write_text(f"[clusters.shop]\nprimary = {primary!r}\nreplicas = {replicas!r}\n")
        print(f"== {flavor} {cluster.version}, PyMySQL", flush=True)
        plain = run(sources, cluster, None, rest)
        cluster.wait_caught_up()
        for replica in cluster.replicas:
            cluster.delay(replica, late)
        reads(cluster, empty=True)
        print(f"== {flavor} {cluster.version}, rwsplit, replicas {late:g} s late", flush=True)
        ours = run(sources, cluster, config, rest)
        counts = reads(cluster)
    for test in sorted(plain ^ ours):
        print(f"{test}: fails with {'PyMySQL' if test in plain else 'rwsplit'} alone")
    share = sum(counts[1:]) / max(sum(counts), 1)
    print(
        f"== {flavor}: {len(ours)} failed, with PyMySQL {len(plain)}; "
        f"{sum(counts[1:])} of {sum(counts)} reads ({share:.0%}) on replicas",
        flush=True,
    )
    return not ours - plain and share > 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, help="the unpacked sources of peewee")
    parser.add_argument("--flavor", action="append", choices=("mysql", "mariadb"))
    parser.add_argument("--late", type=float, default=0.002, help="seconds (0.002)")
    parser.add_argument("rest", nargs="*", help="names of peewee's test modules")
    arguments = parser.parse_args()
    flavors = arguments.flavor or ("mysql", "mariadb")
    ran = [compare(each, arguments.sources, arguments.late, arguments.rest) for each in flavors]
    sys.exit(not all(ran))


if __name__ == "__main__":
    main()
