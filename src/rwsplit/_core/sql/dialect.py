"""What of a server decides how it reads a text: flavor, version, and the sql_mode flags."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

__all__ = ["OLDEST", "Dialect"]

OLDEST = {"mysql": (8, 0, 22), "mariadb": (10, 6, 0)}
"""The oldest version of each flavor that rwsplit supports: what it has, every server has."""

# Combination modes: each stands for a list of flags, and the server shows both; a text that was
# never near a server (`rwsplit.classify(..., sql_mode="ANSI")`) has only the short name.
_ANSI_MODES = frozenset({"ANSI", "DB2", "MAXDB", "MSSQL", "ORACLE", "POSTGRESQL"})

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
# Client charsets in which a byte of ASCII range can be the tail of a character, or an ASCII
# letter can be spelt otherwise: bytes cannot be read without decoding them in that charset.
_UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii", ""})


class Dialect(NamedTuple):
    """How one server reads a text. The same dialect, the same class for the same text."""

    flavor: str
    version: tuple[int, int, int] = (0, 0, 0)
    """(0, 0, 0): not known, so only what every supported version does is relied on."""
    ansi_quotes: bool = False
    no_backslash_escapes: bool = False
    ignore_space: bool = False
    oracle: bool = False
    """MariaDB's sql_mode=ORACLE: another grammar for blocks and sequences."""
    utf8: bool = True
    """The client charset is utf8 (or ASCII): bytes can be read without knowing more."""

    @classmethod
    @lru_cache(maxsize=64)
    def of(
        cls,
        flavor: str,
        version: str | tuple[int, ...] | None = None,
        sql_mode: str = "",
        charset: str = "utf8mb4",
    ) -> Dialect:
        """The dialect of a server as the server itself spells its version and sql_mode."""
        if flavor not in OLDEST:
            raise ValueError(f"flavor must be 'mysql' or 'mariadb', not {flavor!r}")
        modes = frozenset(part.strip() for part in sql_mode.upper().split(","))
        ansi = not modes.isdisjoint(_ANSI_MODES)
        return cls(
            flavor,
            _version(version),
            ansi or "ANSI_QUOTES" in modes,
            "NO_BACKSLASH_ESCAPES" in modes,
            ansi or "IGNORE_SPACE" in modes,
            flavor == "mariadb" and "ORACLE" in modes,
            charset.lower() in _UTF8,
        )

    @property
    def number(self) -> int:
        """The version as executable comments spell it: 80036, 101119; 0 if not known."""
        major, minor, patch = self.version
        return major * 10000 + minor * 100 + patch


def _version(version: str | tuple[int, ...] | None) -> tuple[int, int, int]:
    if not version:
        return (0, 0, 0)
    if isinstance(version, str):
        # MariaDB's handshake may say "5.5.5-10.11.6-MariaDB" to please old replication clients.
        found = _VERSION.search(version.removeprefix("5.5.5-"))
        if found is None:
            return (0, 0, 0)
        version = tuple(int(part or 0) for part in found.groups())
    padded = (*version, 0, 0)
    return (padded[0], padded[1], padded[2])
