"""Finding the servers' programs on this machine."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["Programs", "ServersNotFound", "find_servers"]

FLAVORS = ("mysql", "mariadb")

_SERVER = {"mysql": ("mysqld",), "mariadb": ("mariadbd", "mysqld")}
_SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/opt/homebrew/bin")

_ADVICE = {
    "mysql": """\
  Debian:  unstable alone has it (apt-get install mysql-server-core). On stable, a clone of rwsplit
           unpacks it into a folder, without root: python3 tools/get_mysql.py
  Ubuntu:  sudo apt-get install mysql-server-core
  Fedora:  sudo dnf install community-mysql-server
  macOS:   brew install mysql
  or point RWSPLIT_MYSQL_HOME at an unpacked distribution (the folder of bin/mysqld).""",
    "mariadb": """\
  Debian:  sudo apt-get install mariadb-server
  Ubuntu:  sudo apt-get install mariadb-server
  Fedora:  sudo dnf install mariadb-server
  macOS:   brew install mariadb
  or point RWSPLIT_MARIADB_HOME at an unpacked distribution (the folder of bin/mariadbd).""",
}


class ServersNotFound(RuntimeError):  # noqa: N818 - as in FileNotFoundError's family
    """No server of a flavor is on this machine; the message says what to install."""


class Programs(NamedTuple):
    """How to run one flavor's server."""

    flavor: str
    version: str
    command: tuple[str, ...]
    """What starts the server, before its options."""
    home: Path | None
    """The folder of an unpacked distribution; None for one that the system installed."""


def find_servers(flavor: str) -> Programs:
    """Find the server of a flavor.

    Looks at `RWSPLIT_MYSQL_HOME` or `RWSPLIT_MARIADB_HOME`, in `.servers/` of this folder and of
    the project (where `tools/get_mysql.py` puts it), and on PATH. Raises ServersNotFound.
    """
    if flavor not in FLAVORS:
        raise ValueError(f"flavor: expected one of {', '.join(FLAVORS)}, got {flavor!r}")
    variable = f"RWSPLIT_{flavor.upper()}_HOME"
    named = os.environ.get(variable)
    if named:
        found = _in_home(flavor, Path(named).expanduser())
        if found is None:
            raise ServersNotFound(f"{variable}={named} holds no {flavor} server")
        return found
    for home in _homes(flavor):
        found = _in_home(flavor, home)
        if found is not None:
            return found
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS])
    for name in _SERVER[flavor]:
        program = shutil.which(name, path=path)
        found = _check(flavor, (program,), None) if program else None
        if found is not None:
            return found
    raise ServersNotFound(
        f"no {flavor} server was found on PATH, in .servers/ or in {variable}. Install one:\n"
        + _ADVICE[flavor]
    )


def _homes(flavor: str) -> Iterator[Path]:
    project = Path(__file__).resolve().parents[3]
    for folder in (Path.cwd(), project):
        yield folder / ".servers" / flavor


def _in_home(flavor: str, home: Path) -> Programs | None:
    home = home.absolute()
    for name in _SERVER[flavor]:
        for folder in ("bin", "sbin", "usr/bin", "usr/sbin", "libexec"):
            program = home / folder / name
            if program.is_file():
                return _check(flavor, (*_loader(home), str(program)), home)
    return None


def _loader(home: Path) -> tuple[str, ...]:
    """Return what runs a program of an unpacked system with the libraries beside it."""
    libraries = home / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    loaders = sorted(libraries.glob("ld-linux-*.so.*"))
    return (str(loaders[0]), "--library-path", str(libraries)) if loaders else ()


def _check(flavor: str, command: tuple[str, ...], home: Path | None) -> Programs | None:
    # A package of MariaDB may bring a `mysqld` that is MariaDB: its version tells.
    try:
        shown = subprocess.run(  # noqa: S603 - the program just found
            [*command, "--no-defaults", "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"Ver (\d+\.\d+\.\d+)", shown)
    if version is None or ("MariaDB" in shown) != (flavor == "mariadb"):
        return None
    return Programs(flavor, version[1], command, home)
