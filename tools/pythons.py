#!/usr/bin/env python3
"""Runs `tests/core` on each version of Python that can be had: `python3 tools/dev.py pythons`.

What is here: `python3.X` on PATH, and pyenv's. What can be had: the newest ones of Debian, from its
suite `sid`, without root. Each gets an environment of its own under `.pythons`; two run at a time,
for a short while each, and what they say is printed one after the other.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import debian

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".pythons"
UNPACKED = HOME / "debian"
WANTED = ("3.11", "3.12", "3.13", "3.14")
FROM_DEBIAN = ("3.13", "3.14")
SECONDS = "2"


def main(own: Path, requirements: list[str], arguments: list[str]) -> None:
    """Run the tests; `own` is the Python of the clone's environment, whose pip is at hand."""
    HOME.mkdir(exist_ok=True)
    if debian.can_unpack():
        get_debians()
    found = interpreters(number_of(own))  # on which the test command runs them, too
    for version in WANTED:
        if not any(number.startswith(f"{version}.") for number in found):
            debian.say(f"no Python {version} is here, nor to be had from Debian: not tested")
    debian.say(f"tests/core on Python {', '.join(found)}")
    pip = get_pip(own)
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(run_on, number, python, pip, requirements, arguments)
            for number, python in found.items()
        ]
        failed = []
        for number, run in zip(found, runs, strict=True):
            done = run.result()
            if done.returncode:
                failed.append(number)
                print(done.stdout, flush=True)
            said = done.stdout.strip().splitlines()
            debian.say(f"Python {number}: {said[-1] if said else 'said nothing'}")
    if failed:
        sys.exit(f"failed on Python {', '.join(failed)}")


def get_debians() -> None:
    """Unpack Debian's own Pythons; scripts of their names start them through their loader."""
    folder = UNPACKED / "usr" / "bin"
    if all(number_of(folder / f"python{version}") for version in FROM_DEBIAN):
        return
    debian.unpack(
        UNPACKED,
        [f"python{version}" for version in FROM_DEBIAN],
        f"Python {' and '.join(FROM_DEBIAN)}, about 30 MB",
        "install these Pythons yourself",
    )
    libraries, loader = debian.libraries(UNPACKED), debian.loader(UNPACKED)
    for version in FROM_DEBIAN:
        script = folder / f"python{version}"
        program = script.rename(script.with_name(f"{script.name}.program"))
        # Python takes argv[0] for itself, so what it starts as sys.executable is this script, too.
        script.write_text(
            "#!/bin/sh\n"
            f'exec "{loader}" --library-path "{libraries}" --argv0 "$0" "{program}" "$@"\n'
        )
        script.chmod(0o755)


def interpreters(tested: str = "") -> dict[str, Path]:
    """The newest Python of each wanted version, by its full number, the oldest first.

    `tested` is the number of one that is not wanted where there is another of its version.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [*map(Path, os.environ.get("PATH", "").split(os.pathsep)), UNPACKED / "usr" / "bin"]
    places = [folder / f"python{version}" for version in WANTED for folder in folders]
    places += sorted(pyenv.glob("versions/3.*/bin/python"))
    found: dict[str, Path] = {}
    for place in places:
        number = number_of(place)
        if number.rpartition(".")[0] in WANTED:
            found.setdefault(number, place)
    in_turn = sorted(found, key=lambda number: (number != tested, in_order(number)))
    newest = {number.rpartition(".")[0]: number for number in in_turn}
    return {number: found[number] for number in sorted(newest.values(), key=in_order)}


def number_of(python: Path) -> str:
    """The full version of a Python; nothing if there is none that runs."""
    if not python.is_file():
        return ""
    code = "import platform; print(platform.python_version())"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def in_order(number: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", number)]


def get_pip(own: Path) -> Path:
    """The newest pip: one that is as old as its Python may not run on a newer one."""
    if not list(HOME.glob("pip-*.whl")):
        download = ["-m", "pip", "download", "-q", "--no-deps", "-d", HOME, "pip"]
        subprocess.run([own, *download], check=True)
    return max(HOME.glob("pip-*.whl"))


def run_on(
    number: str, python: Path, pip: Path, requirements: list[str], arguments: list[str]
) -> subprocess.CompletedProcess[str]:
    environment = HOME / number
    own = environment / "bin" / "python"
    stamp = environment / ".installed"
    project = (ROOT / "pyproject.toml").read_bytes()
    if not (stamp.is_file() and stamp.read_bytes() == project):
        shutil.rmtree(environment, ignore_errors=True)
        done = run(python, "-m", "venv", "--without-pip", environment)
        if done.returncode == 0:
            done = run(own, pip / "pip", "install", "-q", "-e", ".", *requirements)
        if done.returncode:
            return done
        stamp.write_bytes(project)
    options = ["-q", "-p", "no:cacheprovider"]
    return run(own, "-m", "pytest", "tests/core", *options, *arguments)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {"RWSPLIT_TEST_SECONDS": SECONDS, **os.environ}
    # One environment's modules are none of another's.
    environment.pop("PYTHONPATH", None)
    return subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
