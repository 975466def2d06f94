#!/usr/bin/env python3
"""Sets up what a clone needs, then runs one thing: `python3 tools/dev.py COMMAND`.

The commands are demo, test, check, pythons and bench; arguments after them are handed on. All goes
into the clone (`.venv`, `.servers`, `.pythons`), so it works where the system's Python is
externally managed. Only missing Debian packages want root: MariaDB's server, what mysqlclient is
built with, and Python's venv module where Debian has split it off; the command is shown before it
runs, and if root can't be had the script says what to install.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
SERVER_DIRS = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec")


TESTS_FAILED = 1
"""Pytest's exit code for that and nothing worse."""
MOST_FAILED = 20
LAWS = (
    "test_a_program_gives_what_it_gives_on_one_server",
    "test_a_program_sees_what_it_sees_on_one_server",
    "test_no_read_is_too_old",
    "test_transactions_show_no_anomaly",
    "test_the_status_and_the_answers",
)


def say(text: str) -> None:
    print(f"== {text}", flush=True)


def run(*command: str | Path, **options) -> None:
    try:
        subprocess.run(list(map(str, command)), check=True, cwd=ROOT, **options)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode or 1)


def apt_install(package: str, why: str) -> None:
    """Install a Debian package, or several; it wants root, and says so."""
    install = ["apt-get", "install", "-y", "--no-install-recommends", *package.split()]
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    if not shutil.which("apt-get") or (as_root and not shutil.which("sudo")):
        sys.exit(f"{why}: please install it (Debian's package is {package}) and run this again")
    say(f"{why}; this wants root: {' '.join([*as_root, *install])}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(*as_root, "apt-get", "update", "-q", env=environment, stdout=subprocess.DEVNULL)
    run(*as_root, *install, env=environment, stdout=subprocess.DEVNULL)


def make_venv() -> None:
    stamp = VENV / ".installed"
    project = (ROOT / "pyproject.toml").read_bytes()
    if stamp.is_file() and stamp.read_bytes() == project and PYTHON.exists():
        return
    try:
        import ensurepip  # noqa: F401 - Debian splits it off
        import venv  # noqa: F401
    except ImportError:
        apt_install("python3-venv", "Python's venv module is missing")
    get_compiler()
    say("installing rwsplit and its tools into .venv")
    run(sys.executable, "-m", "venv", VENV)
    packages = requirements("test", "integrations", "drivers", "examples", "lint")
    run(PYTHON, "-m", "pip", "install", "-q", "-e", ".", *packages)
    stamp.write_bytes(project)


def get_compiler() -> None:
    """What mysqlclient is built with: there is no wheel of it for Linux."""
    if not (have("gcc", "cc") and have("pkg-config", "pkgconf")):
        apt_install("gcc libc6-dev pkg-config", "A compiler, for mysqlclient, is missing")
    if not have("mariadb_config", "mysql_config"):
        apt_install("libmariadb-dev", "The client library, for mysqlclient, is missing")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        apt_install("python3-dev", "Python's header files, for mysqlclient, are missing")


def requirements(*groups_of: str) -> list[str]:
    """The dependency groups of pyproject.toml: the pip of an older Python can't read them."""
    import tomllib

    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    return [line for name in groups_of for line in groups[name]]


def have(*names: str) -> bool:
    path = os.pathsep.join([os.environ.get("PATH", ""), *SERVER_DIRS])
    return any(shutil.which(name, path=path) for name in names)


def wanted_flavors() -> list[str]:
    flavors = os.environ.get("RWSPLIT_TEST_FLAVORS", "mysql,mariadb")
    return [flavor.strip() for flavor in flavors.split(",") if flavor.strip()]


def get_servers() -> None:
    flavors = wanted_flavors()
    if "mariadb" in flavors and not (have("mariadbd") or "RWSPLIT_MARIADB_HOME" in os.environ):
        apt_install("mariadb-server", "MariaDB's server is missing")
    if "mysql" in flavors and not mysql_at_hand():
        run(PYTHON, ROOT / "tools" / "get_mysql.py")


def mysql_at_hand() -> bool:
    code = "from rwsplit.sandbox import find_servers; find_servers('mysql')"
    return subprocess.run([PYTHON, "-c", code], cwd=ROOT, capture_output=True).returncode == 0


def demo(arguments: list[str]) -> None:
    get_servers()
    run(PYTHON, "examples/quickstart.py", *(arguments or wanted_flavors()))


def test(arguments: list[str]) -> None:
    get_servers()
    if not have("redis-server"):
        apt_install("redis-server", "Redis, for the tests of session stores, is missing")
    if arguments:
        run(PYTHON, "-m", "pytest", *arguments)
        return
    # Most tests wait for servers, half of the time: two workers keep two processors busy.
    code = subprocess.run([PYTHON, "-m", "pytest", "-n", "2", "--dist", "loadgroup"]).returncode
    if code == TESTS_FAILED:
        run_again()
    elif code:
        sys.exit(code)  # interrupted, or not all was collected: what did not run has not passed


def run_again() -> None:
    """Run once more, alone, what failed beside much else: a busy machine is late with everything.

    Not where many failed, nor where a law was broken: what a random search has found is found.
    """
    cache = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
    failed = json.loads(cache.read_text()) if cache.is_file() else {}
    laws = [name for name in failed if any(law in name for law in LAWS)]
    collected = all("::" in name for name in failed)  # or it is no test, and they all wait still
    if laws or not collected or not 0 < len(failed) <= MOST_FAILED:
        sys.exit(1)
    say(f"{len(failed)} tests failed; they run again alone, and must pass now")
    run(PYTHON, "-m", "pytest", "--last-failed", "--last-failed-no-failures", "none")


def check(arguments: list[str]) -> None:
    run(PYTHON, "-m", "ruff", "check")
    run(PYTHON, "-m", "ruff", "format", "--check")
    run(PYTHON, "-m", "mypy")


def on_all_pythons(arguments: list[str]) -> None:
    import pythons

    pythons.main(PYTHON, requirements("test"), arguments)


def bench(arguments: list[str]) -> None:
    get_servers()
    run(PYTHON, "-m", "benchmarks", *arguments)


COMMANDS = {
    "demo": demo,
    "test": test,
    "check": check,
    "pythons": on_all_pythons,
    "bench": bench,
}


def main(arguments: list[str]) -> None:
    if sys.version_info < (3, 11):
        sys.exit(f"rwsplit needs Python 3.11 or later; this is {sys.version.split()[0]}")
    if not arguments or arguments[0] not in COMMANDS:
        sys.exit(f"{__doc__}\nusage: python3 tools/dev.py {'|'.join(COMMANDS)} [ARGUMENTS]")
    os.chdir(ROOT)
    make_venv()
    COMMANDS[arguments[0]](arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
