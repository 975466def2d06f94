"""The corpus: statements, and what each of them is.

One line each: `kind  statement`. `⏎` stands for a line end, `␀` for NUL. Behind the kind may stand
`[SQL_MODE,...]`, the sql_mode it is read under, and `!`: not to be run on a real server, for it
would stop it, or needs what a test server has not. Lines that begin with `#` are comments.
"""

import re
from pathlib import Path
from typing import NamedTuple

from rwsplit._core.sql.statement import Kind

FOLDER = Path(__file__).parent
_LINE = re.compile(r"(?P<kind>[a-z_]+)(?:\[(?P<mode>[A-Z_,]+)\])?(?P<dry>!?)\s+(?P<sql>.*)")


class Line(NamedTuple):
    """One line of the corpus."""

    where: str
    flavor: str
    kind: Kind
    sql_mode: str
    runs: bool
    sql: str


def corpus(flavor: str) -> list[Line]:
    """The lines for one flavor."""
    found = []
    for name in ("both", flavor):
        text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line)
            assert match, f"{name}.sql:{number}: {line!r}"
            sql = match["sql"].replace("⏎", "\n").replace("␀", "\0")
            found.append(
                Line(
                    f"{name}.sql:{number}",
                    flavor,
                    Kind(match["kind"]),
                    match["mode"] or "",
                    not match["dry"],
                    sql,
                )
            )
    return found
