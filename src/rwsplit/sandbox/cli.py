"""`python -m rwsplit sandbox`: start servers, tell how to connect, and wait."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from ._cluster import Sandbox
from ._find import FLAVORS, ServersNotFound

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command until Ctrl-C, SIGTERM or the end of its input; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m rwsplit sandbox",
        description="Start a primary and its replicas on this machine, and wait.",
    )
    parser.add_argument("--flavor", choices=FLAVORS, default="mysql")
    parser.add_argument("--replicas", type=int, default=2, help="how many (2)")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _end)
    try:
        with Sandbox(arguments.flavor, arguments.replicas, progress=_say) as sandbox:
            print(_how_to_connect(sandbox), flush=True)
            while sys.stdin.readline():
                pass
    except ServersNotFound as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    _say("ended")
    return 0


def _end(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _how_to_connect(sandbox: Sandbox) -> str:
    options = "".join(f"    {name}={value!r},\n" for name, value in sandbox.connect_options.items())
    servers = "".join(
        f"#   {server.name}: mysql -h {server.host} -P {server.port} -u app -psecret shop\n"
        for server in sandbox.servers
    )
    return (
        f"\nimport rwsplit\n\nconnection = rwsplit.connect(\n{options}    autocommit=True,\n)\n\n"
        f"# Straight to one server:\n{servers}"
        "# Ctrl-C ends the servers and removes them."
    )
