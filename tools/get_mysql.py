#!/usr/bin/env python3
"""Unpacks MySQL's server into `.servers/mysql` of this clone; needs Debian's apt, and no root.

Debian has MySQL in its suite `sid` alone; `rwsplit.sandbox` runs the server through the program
loader that is unpacked beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import debian

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / ".servers" / "mysql"
PACKAGES = ("mysql-server-core", "mysql-client-core")


def main() -> None:
    if (TARGET / "usr" / "sbin" / "mysqld").exists():
        return
    if not debian.can_unpack():
        sys.exit(
            "apt-get or dpkg is missing, so this is no Debian: install MySQL's server (Ubuntu: "
            "mysql-server-core, Fedora: community-mysql-server, macOS: brew install mysql) "
            "or point RWSPLIT_MYSQL_HOME at an unpacked one"
        )
    debian.unpack(
        TARGET,
        PACKAGES,
        "MySQL and the libraries it needs, about 70 MB",
        "install MySQL's server, or point RWSPLIT_MYSQL_HOME at an unpacked one",
    )
    debian.say(f"MySQL is in {TARGET.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
