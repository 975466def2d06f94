"""`python -m rwsplit run PROGRAM ...`: a program that imports pymysql by itself, on a cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from ._shell.config_file import current_config

__all__ = ["main"]

_USAGE = """\
usage: python -m rwsplit run [--mysqldb] PROGRAM [ARGUMENTS]
       python -m rwsplit run [--mysqldb] -m MODULE [ARGUMENTS]

Run a Python program, and every Python that it starts, with rwsplit in PyMySQL's place: a connection
to the address of a primary in the file that RWSPLIT_CONFIG names is that cluster's.

PROGRAM    a script, or a command that is installed beside this Python or on PATH
--mysqldb  let `import MySQLdb` find rwsplit, too"""

_STARTUP = Path(__file__).parent / "_startup"


def main(argv: Sequence[str]) -> int:
    """Become the program; returns an exit status only where that is not possible."""
    arguments, mysqldb = list(argv), False
    while arguments and arguments[0].startswith("-") and arguments[0] != "-m":
        option = arguments.pop(0)
        if option in ("-h", "--help"):
            print(_USAGE)
            return 0
        if option != "--mysqldb":
            return _refuse(f"unknown option {option}\n{_USAGE}")
        mysqldb = True
    if not arguments or arguments == ["-m"]:
        return _refuse(f"which program?\n{_USAGE}")
    try:
        config = current_config()
    except ValueError as error:
        return _refuse(str(error))
    if config is None:
        return _refuse("RWSPLIT_CONFIG names no file, so there are no replicas to read from")
    command = command_of(arguments)
    if command is None:
        return _refuse(f"{arguments[0]}: no such file, and no such command beside {sys.executable}")
    environment = environment_of(os.environ, mysqldb)
    sys.stdout.flush()
    if os.name != "nt":  # where the program would get another process id, and this one end
        os.execve(command[0], command, environment)  # noqa: S606 - what it is for
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603


def _refuse(why: str) -> int:
    print(f"rwsplit run: {why}", file=sys.stderr)
    return 2


def environment_of(environ: Mapping[str, str], mysqldb: bool) -> dict[str, str]:
    """Return the environment in which each Python patches what it imports."""
    path, startup = environ.get("PYTHONPATH", ""), str(_STARTUP)
    if path.split(os.pathsep)[0] != startup:
        path = f"{startup}{os.pathsep}{path}" if path else startup
    return {
        **environ,
        "PYTHONPATH": path,
        "RWSPLIT_RUN": "mysqldb" if mysqldb else "pymysql",
        # The program may go to another folder.
        "RWSPLIT_CONFIG": str(Path(environ["RWSPLIT_CONFIG"]).absolute()),
    }


def command_of(arguments: Sequence[str]) -> list[str] | None:
    """Return the command line: Python programs run on this Python, others as they are."""
    program, *rest = arguments
    if program == "-m":
        return [sys.executable, *arguments]
    path = Path(program)
    if path.is_file() or (path / "__main__.py").is_file():
        found: str | None = program
    else:
        places = [sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]
        found = shutil.which(program, path=os.pathsep.join(places))
    if found is None:
        return None
    if _is_python(Path(found)):
        return [sys.executable, found, *rest]
    return [str(Path(found).absolute()), *rest]


def _is_python(program: Path) -> bool:
    if program.is_dir() or program.suffix in (".py", ".pyw", ".pyz"):
        return True
    with program.open("rb") as file:
        begin = file.read(512)
    # pip's own way round a long path of its interpreter begins with sh, and is Python all the same.
    first, _, second = begin.partition(b"\n")
    return first.startswith(b"#!") and (b"python" in first or second.startswith(b"'''exec' "))
