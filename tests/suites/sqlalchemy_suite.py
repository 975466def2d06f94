"""SQLAlchemy's own tests of its MySQL dialects, on plain PyMySQL and through `module=rwsplit`.

`nox -s sqlalchemy` fetches SQLAlchemy's sources and runs this: once on the primary with PyMySQL,
once through rwsplit over two replicas that are 1 s late. It fails if a test passes on the first
and not on the second, but for those that are named below and in docs/drop-in.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from rwsplit.sandbox import Sandbox

HERE = Path(__file__).parent
TESTS = ("test/dialect/test_suite.py", "test/dialect/mysql")
DATABASES = ("test", "test_schema", "test_schema_2")

# Parts of a test's name, and why it is different by design.
DIFFERENT: dict[str, str] = {}


def outcomes(report: Path) -> dict[str, str]:
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        name = f"{case.get('classname')}.{case.get('name')}"
        found[name] = "/".join(sorted(kinds)) or "passed"
    return found


def run(
    sources: Path, url: str, arguments: dict[str, object] | None, rest: list[str]
) -> dict[str, str]:
    """Run the tests; with `arguments`, through rwsplit."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path[1:]])}
    # Not its own conftest's path, but the package that is installed (-s).
    command = [sys.executable, "-s", "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider"]
    if arguments is not None:
        environment["RWSPLIT_SUITE"] = json.dumps(arguments)
        command += ["-p", "sqlalchemy_plugin"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command += [f"--dburi={url}", f"--junitxml={report}", *(rest or TESTS)]
        subprocess.run(command, check=False, cwd=sources, env=environment)
        return outcomes(report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, help="the unpacked sources of SQLAlchemy")
    parser.add_argument("--flavor", action="append", choices=("mysql", "mariadb"))
    parser.add_argument("--late", type=float, default=1.0, help="seconds (1)")
    parser.add_argument("rest", nargs="*", help="for pytest")
    arguments = parser.parse_args()
    failed = False
    for flavor in arguments.flavor or ("mysql", "mariadb"):
        failed |= not compare(flavor, arguments.sources, arguments.late, arguments.rest)
    sys.exit(failed)


def compare(flavor: str, sources: Path, late: float, rest: list[str]) -> bool:
    with Sandbox(flavor, replicas=2) as cluster:
        with cluster.admin(cluster.primary) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE USER scott@'%' IDENTIFIED BY 'tiger'")
            cursor.execute("GRANT ALL ON *.* TO scott@'%'")
            for name in DATABASES:
                cursor.execute(f"CREATE DATABASE {name} CHARSET utf8mb4")
        cluster.wait_caught_up()
        port = cluster.primary.port
        url = f"{flavor}+pymysql://scott:tiger@{cluster.primary.host}:{port}/test?charset=utf8mb4"
        print(f"== {flavor} {cluster.version}, PyMySQL", flush=True)
        plain = run(sources, url, None, rest)
        for replica in cluster.replicas:
            cluster.delay(replica, late)
        print(f"== {flavor} {cluster.version}, rwsplit, replicas {late:g} s late", flush=True)
        ours = run(sources, url, {"replicas": cluster.connect_options["replicas"]}, rest)
    wrong = 0
    for name in sorted(plain.keys() | ours.keys()):
        theirs, mine = plain.get(name), ours.get(name)
        if theirs != mine:
            why = next((why for part, why in DIFFERENT.items() if part in name), None)
            wrong += why is None
            print(f"{name}: {theirs} with PyMySQL, {mine} with rwsplit{f' ({why})' if why else ''}")
    passed = sum(outcome == "passed" for outcome in ours.values())
    print(f"== {flavor}: {passed} passed, {wrong} differ without a reason", flush=True)
    return not wrong and passed > 0


if __name__ == "__main__":
    main()
