#!/usr/bin/env python3
"""Unpacks MySQL's server into `.servers/mysql` of this clone; needs Debian's apt, and no root.

Debian has MySQL in its suite `sid` alone, built against a newer libc than stable's. So the packages
and all that they depend on are downloaded and unpacked side by side, and `rwsplit.sandbox` runs the
server through the loader among them. The address is the one of apt's own sources; apt's lists and
state for `sid` are kept in a folder of their own and leave the system's alone.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / ".servers" / "mysql"
PACKAGES = ("mysql-server-core", "mysql-client-core")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = Path("/etc/apt")


def say(text: str) -> None:
    print(f"== {text}", flush=True)


def main() -> None:
    if (TARGET / "usr" / "sbin" / "mysqld").exists():
        return
    for program in ("apt-get", "dpkg"):
        if not shutil.which(program):
            sys.exit(
                f"{program} is missing, so this is no Debian: install MySQL's server (Ubuntu: "
                "mysql-server-core, Fedora: community-mysql-server, macOS: brew install mysql) "
                "or point RWSPLIT_MYSQL_HOME at an unpacked one"
            )
    TARGET.parent.mkdir(exist_ok=True)
    # Beside the target, so that the finished folder can be moved there in one step.
    with tempfile.TemporaryDirectory(dir=TARGET.parent) as name:
        work = Path(name)
        unpacked = work / "unpacked"
        packages = download(work)
        say(f"unpacking {len(packages)} packages")
        for package in packages:
            subprocess.run(["dpkg", "-x", package, unpacked], check=True)
        merge_usr(unpacked)
        shutil.rmtree(TARGET, ignore_errors=True)
        unpacked.rename(TARGET)
    say(f"MySQL is in {TARGET.relative_to(ROOT)}")


def download(work: Path) -> list[Path]:
    """Download the packages and their dependencies as for an empty system."""
    mirror = debian_mirror()
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    (work / "sources.list").write_text(f"deb {signed}{mirror} sid main\n")
    options = {
        "Dir::State::Lists": work / "lists",
        "Dir::State::Status": work / "status",
        "Dir::Cache": work / "cache",
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "APT::Install-Recommends": "0",
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "1",
        "Acquire::Retries": "3",
    }
    apt = ["apt-get", "-q", *[f"-o{name}={value}" for name, value in options.items()]]
    say("reading the list of Debian's packages in sid")
    run([*apt, "update"])
    say("downloading MySQL and the libraries it needs, about 70 MB")
    run([*apt, "install", "-y", "--download-only", *PACKAGES])
    return sorted((work / "cache" / "archives").glob("*.deb"))


def run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout[-3000:]}\n{command[0]} failed; see above")


def debian_mirror() -> str:
    """The address of Debian's packages among apt's sources."""
    files = [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*"))]
    for file in files:
        if file.is_file():
            text = file.read_text(errors="replace")
            for address in deb822(text) if file.suffix == ".sources" else one_line(text):
                if re.search(r"/debian/?$", address):
                    return address
    sys.exit(
        f"apt's sources in {SOURCES} name no address of Debian's packages, and no other has MySQL "
        "in this form: install MySQL's server, or point RWSPLIT_MYSQL_HOME at an unpacked one"
    )


def deb822(text: str) -> list[str]:
    found = []
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "uris":
            found += value.split()
    return found


def one_line(text: str) -> list[str]:
    return re.findall(r"^\s*deb\s+(?:\[[^]]*\]\s*)?(\S+)", text, re.MULTILINE)


def merge_usr(unpacked: Path) -> None:
    """A library may still be packaged under /lib: put it where the others are."""
    for name in ("lib", "lib64"):
        source = unpacked / name
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, unpacked / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(source)
    libraries = unpacked / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    if not list(libraries.glob("ld-linux-*.so.*")):
        sys.exit(f"no program loader was unpacked into {libraries}")


if __name__ == "__main__":
    os.umask(0o022)
    main()
