"""Django's own tests with `ENGINE = "rwsplit.django"`, over two replicas that are 1 s late.

`nox -s django` fetches Django's sources and runs this, on MySQL and on MariaDB. It prints what
passed and failed, and where reads went, and fails where a test fails that is not named below. With
`--plain` the same tests run over the driver alone first, and what fails there as well is no fault.
With `--driver mysqlclient` they run on Django's own backend, over mysqlclient wrapped.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from rwsplit.sandbox import Sandbox

HERE = Path(__file__).parent
LABELS = (
    *("backends", "basic", "transactions", "transaction_hooks", "queries", "expressions"),
    *("select_for_update", "delete_regress", "get_or_create", "bulk_create", "migrations"),
    *("schema", "introspection", "inspectdb", "dbshell", "test_runner", "fixtures", "delete"),
)

# Tests that fail by design, and why.
DIFFERENT = {
    "test_quote_value": "it imports MySQLdb by itself, and fails over plain PyMySQL, too",
    "test_release_memory_without": "it counts what other threads leave to the collector",
    "test_auto_is_null_auto_config": "it looks for a statement that is part of the connection",
}

_FAILED = re.compile(r"^(?:FAIL|ERROR|UNEXPECTED SUCCESS): (\S+ \([^)]*\))", re.MULTILINE)
_RAN = re.compile(r"^Ran (\d+) tests? in", re.MULTILINE)
_SKIPPED = re.compile(r"skipped=(\d+)")


class Outcome(NamedTuple):
    ran: int
    skipped: int
    failed: set[str]
    code: int
    seconds: float
    roles: dict[str, int]
    causes: dict[str, int]


def run(
    sources: Path, cluster: Sandbox, driver: str, options: dict[str, object], rest: list[str]
) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.json"
        suite = {
            "driver": driver,
            "engine": "rwsplit.django" if driver == "rwsplit" else "django.db.backends.mysql",
            "replicas": cluster.connect_options["replicas"],
            "host": cluster.primary.host,
            "port": cluster.primary.port,
            "options": options,
            "counts": str(counts),
        }
        environment = {**os.environ, "RWSPLIT_SUITE": json.dumps(suite)}
        environment["PYTHONPATH"] = os.pathsep.join([str(HERE), *sys.path[1:]])
        command = [sys.executable, "-u", "runtests.py", "--settings=django_settings", "--noinput"]
        began = monotonic()
        done = subprocess.Popen(
            [*command, "--parallel=1", *(rest or LABELS)],
            cwd=sources / "tests",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = []
        for line in done.stdout:
            lines.append(line)
            sys.stdout.write(line)
            sys.stdout.flush()
        code = done.wait()
        seconds = monotonic() - began
        text = "".join(lines)
        ran, skipped = _RAN.search(text), _SKIPPED.search(text)
        roles, causes = json.loads(counts.read_text()) if counts.exists() else ({}, {})
    return Outcome(
        int(ran[1]) if ran else 0,
        int(skipped[1]) if skipped else 0,
        {*_FAILED.findall(text)},
        code,
        seconds,
        roles,
        causes,
    )


def judge(flavor: str, given: argparse.Namespace) -> bool:
    sources, late, rest = given.sources, given.late, [*given.labels]
    with Sandbox(flavor, replicas=2) as cluster:
        with cluster.admin(cluster.primary) as connection, connection.cursor() as cursor:
            cursor.execute("GRANT ALL ON *.* TO app@'%' WITH GRANT OPTION")
        cluster.wait_caught_up()
        known = set()
        if given.plain:
            print(f"== {flavor} {cluster.version}, {given.driver}", flush=True)
            known = run(sources, cluster, given.driver, {}, rest).failed
            cluster.wait_caught_up()
        for replica in cluster.replicas:
            cluster.delay(replica, late)
        print(f"== {flavor} {cluster.version}, rwsplit, replicas {late:g} s late", flush=True)
        driver, options = "mysqlclient, wrapped", {}
        if given.driver == "pymysql":
            replicas = cluster.connect_options["replicas"]
            driver, options = "rwsplit", {"replicas": replicas, **given.options}
        ours = run(sources, cluster, driver, options, rest)
    wrong = 0
    for name in sorted(ours.failed):
        why = next((why for part, why in DIFFERENT.items() if part in name), None)
        if name in known:
            why = f"and over {given.driver} alone"
        wrong += why is None
        print(f"{name}: failed{f' ({why})' if why else ''}")
    passed = ours.ran - ours.skipped - len(ours.failed)
    reads = sum(ours.roles.values()) or 1
    on_replicas = ours.roles.get("replica", 0)
    print(
        f"== {flavor}: {passed} passed, {len(ours.failed)} failed ({wrong} without a reason), "
        f"{ours.skipped} skipped, {ours.seconds:.0f} s; {on_replicas} of {reads} reads on "
        f"replicas ({on_replicas / reads:.0%})",
        flush=True,
    )
    told = sorted(ours.causes.items(), key=lambda each: -each[1])
    print("   on the primary: " + ", ".join(f"{n} {cause}" for cause, n in told), flush=True)
    return not wrong and passed > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, help="the unpacked sources of Django")
    parser.add_argument("--flavor", action="append", choices=("mysql", "mariadb"))
    parser.add_argument("--late", type=float, default=1.0, help="seconds (1)")
    parser.add_argument("--plain", action="store_true", help="over the driver alone as well")
    parser.add_argument("--driver", choices=("pymysql", "mysqlclient"), default="pymysql")
    parser.add_argument("--options", type=json.loads, default={}, help="more OPTIONS, as JSON")
    parser.add_argument("labels", nargs="*", help="for runtests.py")
    given = parser.parse_intermixed_args()
    failed = [flavor for flavor in given.flavor or ("mysql", "mariadb") if not judge(flavor, given)]
    if failed:
        sys.exit(f"tests failed without a reason on {', '.join(failed)}")


if __name__ == "__main__":
    main()
