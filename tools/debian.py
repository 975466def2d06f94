"""Packages of Debian's suite `sid`, unpacked into a folder of this clone; needs apt, and no root.

They are built against a newer libc than stable's, so they are downloaded with all that they depend
on and unpacked side by side; their programs are started through the loader among them. The address
is the one of apt's own sources; apt's lists and state for `sid` are kept in a folder of their own
and leave the system's alone.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = Path("/etc/apt")


def say(text: str) -> None:
    print(f"== {text}", flush=True)


def can_unpack() -> bool:
    return all(shutil.which(program) for program in ("apt-get", "dpkg"))


def unpack(target: Path, packages: Sequence[str], what: str, otherwise: str) -> None:
    """Unpack the packages and their dependencies into a folder; `otherwise` is for who can't."""
    os.umask(0o022)
    target.parent.mkdir(exist_ok=True)
    # Beside the target, so that the finished folder can be moved there in one step.
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        work = Path(name)
        unpacked = work / "unpacked"
        found = download(work, packages, what, otherwise)
        say(f"unpacking {len(found)} packages")
        for package in found:
            subprocess.run(["dpkg", "-x", package, unpacked], check=True)
        merge_usr(unpacked)
        shutil.rmtree(target, ignore_errors=True)
        unpacked.rename(target)


def download(work: Path, packages: Sequence[str], what: str, otherwise: str) -> list[Path]:
    """Download the packages and their dependencies as for an empty system."""
    apt = apt_of_its_own(work, "deb", otherwise)
    say("reading the list of Debian's packages in sid")
    run([*apt, "update"])
    say(f"downloading {what}")
    run([*apt, "install", "-y", "--download-only", *packages])
    return sorted((work / "cache" / "archives").glob("*.deb"))


def unpack_source(target: Path, package: str, otherwise: str) -> None:
    """Unpack the upstream sources of a package into a folder."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        apt = apt_of_its_own(work, "deb-src", otherwise)
        say(f"downloading the sources of Debian's {package} in sid")
        run([*apt, "update"])
        run([*apt, "source", "--download-only", package], cwd=work)
        (archive,) = work.glob("*.orig.tar.*")
        shutil.unpack_archive(archive, work / "unpacked")
        (folder,) = (work / "unpacked").iterdir()
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(folder, target)


def apt_of_its_own(work: Path, kind: str, otherwise: str) -> list[str]:
    """The command for an apt that knows sid alone, and keeps what it knows in a folder."""
    mirror = debian_mirror(otherwise)
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    (work / "sources.list").write_text(f"{kind} {signed}{mirror} sid main\n")
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
    return ["apt-get", "-q", *[f"-o{name}={value}" for name, value in options.items()]]


def run(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd
    )
    if done.returncode:
        sys.exit(f"{done.stdout[-3000:]}\n{command[0]} failed; see above")


def debian_mirror(otherwise: str) -> str:
    """The address of Debian's packages among apt's sources."""
    files = [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*"))]
    for file in files:
        if file.is_file():
            text = file.read_text(errors="replace")
            for address in deb822(text) if file.suffix == ".sources" else one_line(text):
                if re.search(r"/debian/?$", address):
                    return address
    sys.exit(f"apt's sources in {SOURCES} name no address of Debian's packages: {otherwise}")


def deb822(text: str) -> list[str]:
    found = []
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "uris":
            found += value.split()
    return found


def one_line(text: str) -> list[str]:
    return re.findall(r"^\s*deb\s+(?:\[[^]]*\]\s*)?(\S+)", text, re.MULTILINE)


def libraries(unpacked: Path) -> Path:
    return unpacked / "usr" / "lib" / f"{platform.machine()}-linux-gnu"


def loader(unpacked: Path) -> Path:
    found = list(libraries(unpacked).glob("ld-linux-*.so.*"))
    if not found:
        sys.exit(f"no program loader was unpacked into {libraries(unpacked)}")
    return found[0]


def merge_usr(unpacked: Path) -> None:
    """A library may still be packaged under /lib: put it where the others are."""
    for name in ("lib", "lib64"):
        source = unpacked / name
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, unpacked / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(source)
    loader(unpacked)
