"""`python -m rwsplit`: programs on a cluster, the sandbox, looks at clusters and statements."""

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
    doctor = commands.add_parser(
        "doctor", help="connect to a cluster, and tell whether its reads can be split"
    )
    doctor.add_argument("url", help="as rwsplit.connect() takes it")
    doctor.add_argument(
        "--driver",
        choices=("pymysql", "mysqlclient", "connector"),
        default="pymysql",
        help="to connect with; connector is mysql-connector-python",
    )
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
    if arguments.command == "doctor":
        from ._shell.doctor import examine  # noqa: PLC0415 - only this command needs it

        try:
            found = examine(arguments.url, arguments.driver)
        except (ValueError, TypeError, ImportError) as error:
            parser.error(str(error))
        print("\n".join(found.lines))
        return found.status
    from ._explain import explain as describe  # noqa: PLC0415 - only this command needs it

    print(describe(arguments.sql, arguments.flavor, arguments.sql_mode))
    return 0


if __name__ == "__main__":
    sys.exit(main())
