"""`python -m rwsplit`: programs on a cluster, the sandbox, what rwsplit makes of a statement."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the commands; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rwsplit", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "run", help="run a program that imports pymysql by itself, on a cluster", add_help=False
    )
    commands.add_parser(
        "sandbox", help="start a primary and replicas on this machine, and wait", add_help=False
    )
    explain = commands.add_parser("explain", help="tell where a statement would go, from its text")
    explain.add_argument("sql", help="the statement")
    explain.add_argument("--flavor", choices=("mysql", "mariadb"), default="mysql")
    explain.add_argument("--sql-mode", default="", help="the session's sql_mode")
    given = sys.argv[1:] if argv is None else argv
    if given[:1] == ["run"]:  # all behind it is the program's
        from ._run import main as run  # noqa: PLC0415 - only this command needs it

        return run(given[1:])
    arguments, rest = parser.parse_known_args(given)
    if arguments.command == "sandbox":
        from .sandbox.cli import main as sandbox  # noqa: PLC0415 - only this command needs it

        return sandbox(rest)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    from ._explain import explain as describe  # noqa: PLC0415 - only this command needs it

    print(describe(arguments.sql, arguments.flavor, arguments.sql_mode))
    return 0


if __name__ == "__main__":
    sys.exit(main())
