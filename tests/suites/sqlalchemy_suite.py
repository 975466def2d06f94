"""SQLAlchemy's own tests, on plain PyMySQL and through `mysql+rwsplit://`, `mariadb+rwsplit://`.

With `--driver mysqldb` on mysqlclient alone, and through the same dialect with mysqlclient wrapped.

`nox -s sqlalchemy` fetches SQLAlchemy's sources and runs this: once on the primary with PyMySQL,
once through rwsplit over two replicas that are 1 s late. It fails if a test passes on the first
and not on the second, but for those that are named below and in docs/sqlalchemy.md. What goes
by the driver's name (PyMySQL's) is told of ours by `sqlalchemy_plugin`; nothing else is changed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from rwsplit.sandbox import Sandbox

HERE = Path(__file__).parent
DIALECT = ("test/dialect/test_suite.py", "test/dialect/mysql")
ALL = (*DIALECT, "test/engine", "test/sql", "test/orm", "--backend-only")
DATABASES = ("test", "test_schema", "test_schema_2")

OPTIONS: dict[str, dict[str, str]] = {
    "mysql": {},
    # A replica of MariaDB stops at the value of a sequence that was dropped meanwhile.
    "mariadb": {"slave_skip_errors": "1146"},
}

# Parts of a test's name, and why it is different by design.
DIFFERENT = {
    "test_exception_wrapping_orig_accessors": "errors are PyMySQL's own classes, of its module",
}


class Ran(NamedTuple):
    outcomes: dict[str, str]
    cpu: float
    roles: dict[str, int]
    why: dict[str, int]


def outcomes(report: Path, driver: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        # The names of their classes have the driver's in them.
        name = f"{case.get('classname')}.{case.get('name')}".replace(f"+{driver}_", "+DRIVER_")
        name = name.replace("[pymysql]", "[DRIVER]").replace("[rwsplit]", "[DRIVER]")
        # One test has an entry for what failed in it, and one for what failed behind it.
        found[name] = "/".join(sorted(kinds | {*filter(None, found.get(name, "").split("/"))}))
    return {name: kinds or "passed" for name, kinds in found.items()}


def run(sources: Path, url: str, driver: str, rest: list[str], wraps: str = "") -> Ran:
    """Run the tests; `wraps` are the replicas of a driver that is wrapped."""
    with tempfile.TemporaryDirectory() as folder:
        report, figures = Path(folder) / "report.xml", Path(folder) / "figures.json"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path[1:]]),
            "RWSPLIT_SUITE": str(figures),
            "RWSPLIT_WRAP": wraps,
        }
        # Not its own conftest's path, but the package that is installed (-s).
        command = [sys.executable, "-s", "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider"]
        # In one order, on both: what a test leaves behind, the next one finds.
        command += ["-p", "no:randomly", "-p", "sqlalchemy_plugin", f"--dburi={url}"]
        command += ["--tb=short", "--maxfail=100000", f"--junitxml={report}", *rest]
        subprocess.run(command, check=False, cwd=sources, env=environment)
        return Ran(outcomes(report, driver), **json.loads(figures.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, help="the unpacked sources of SQLAlchemy")
    parser.add_argument("--flavor", action="append", choices=("mysql", "mariadb"))
    parser.add_argument("--driver", choices=("pymysql", "mysqldb"), default="pymysql")
    parser.add_argument("--late", type=float, default=1.0, help="seconds (1)")
    parser.add_argument("--dialect", action="store_true", help="the tests of the dialect alone")
    parser.add_argument("--alone", action="store_true", help="not with plain PyMySQL")
    parser.epilog = "All else is for pytest, instead of the names of all tests."
    asked, rest = parser.parse_known_args()
    rest = rest or [*(DIALECT if asked.dialect else ALL)]
    failed = False
    for flavor in asked.flavor or ("mysql", "mariadb"):
        failed |= not compare(flavor, asked, rest)
    sys.exit(failed)


def compare(flavor: str, asked: Any, rest: list[str]) -> bool:
    plain = None
    if not asked.alone:
        with Sandbox(flavor, replicas=1, options=OPTIONS[flavor]) as cluster:
            print(f"== {flavor} {cluster.version}, {asked.driver}", flush=True)
            url = f"{flavor}+{asked.driver}://{made(cluster)}"
            plain = run(asked.sources, url, asked.driver, rest)
    with Sandbox(flavor, replicas=2, options=OPTIONS[flavor]) as cluster:
        at = made(cluster)
        for replica in cluster.replicas:
            cluster.delay(replica, asked.late)
        # A replica connects to its late primary in many round trips, and is stalled until then.
        with cluster.admin(cluster.primary) as connection:
            connection.cursor().execute("CREATE DATABASE follows")
        cluster.wait_caught_up(120)
        late = f"replicas {asked.late:g} s late"
        print(f"== {flavor} {cluster.version}, rwsplit, {late}", flush=True)
        replicas = ",".join(cluster.connect_options["replicas"])
        if asked.driver == "mysqldb":
            ours = run(asked.sources, f"{flavor}+mysqldb://{at}", "mysqldb", rest, replicas)
        else:
            url = f"{flavor}+rwsplit://{at}&replicas={replicas}"
            ours = run(asked.sources, url, "rwsplit", rest)
    return tell(flavor, plain, ours)


def made(cluster: Sandbox) -> str:
    """Make what the tests expect to find; returns where it is, as a URL has it."""
    with cluster.admin(cluster.primary) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER scott@'%' IDENTIFIED BY 'tiger'")
        cursor.execute("GRANT ALL ON *.* TO scott@'%'")
        for name in DATABASES:
            cursor.execute(f"CREATE DATABASE {name} CHARSET utf8mb4")
    cluster.wait_caught_up()
    return f"scott:tiger@{cluster.primary.host}:{cluster.primary.port}/test?charset=utf8mb4"


def tell(flavor: str, plain: Ran | None, ours: Ran) -> bool:
    """Print what came out; False if a test is different without a reason."""
    wrong = 0
    for name in sorted(ours.outcomes if plain is None else plain.outcomes | ours.outcomes):
        mine = ours.outcomes.get(name)
        theirs = None if plain is None else plain.outcomes.get(name)
        differs = mine not in ("passed", "skipped") if plain is None else theirs != mine
        if differs:
            why = next((why for part, why in DIFFERENT.items() if part in name), None)
            wrong += why is None
            print(f"{name}: {theirs} alone, {mine} with rwsplit{f' ({why})' if why else ''}")
    passed = sum(outcome == "passed" for outcome in ours.outcomes.values())
    failed = sum(outcome not in ("passed", "skipped") for outcome in ours.outcomes.values())
    reads = sum(ours.roles.values()) or 1
    share = ours.roles.get("replica", 0) / reads
    why = ", ".join(f"{cause} {count}" for cause, count in ours.why.items())
    print(f"== {flavor}: {passed} passed, {failed} failed; {wrong} differ without a reason")
    print(f"== {flavor}: {share:.0%} of {reads} reads on replicas; on the primary: {why}")
    if plain is not None:
        print(f"== {flavor}: client CPU {ours.cpu:.0f} s, alone {plain.cpu:.0f} s", flush=True)
    return not wrong and passed > 0


if __name__ == "__main__":
    main()
