#!/usr/bin/env python3
"""Draws the house: its wings, their modules, and which imports which (`house.py FILE.svg`).

Every box is a wing (a package), the lowest imported by those above it; a module is a
bar in it, as long as its code. An arrow is as wide as there are imports along it.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "rwsplit"
LEFT_OUT = {"sandbox"}
FLOORS = ("surface", "_shell", "_stores", "_drivers", "_core")
"""From the top down."""
WINGS = ("_core.flows", "_core.session", "_core.cluster")
"""Of the core, likewise; what they stand on comes behind them."""
WIDTH, LINE, GAP = 1180, 15, 26
PER_COLUMN = 12
STYLE = (
    "text{font:11px sans-serif;fill:#222}.wing{fill:#f6f6f2;stroke:#888}"
    ".name{font-weight:bold}.bar{fill:#b9cbe0}.arrow{stroke:#b5653a;fill:none;opacity:.55}"
)


def modules() -> dict[str, Path]:
    """All modules by their dotted names."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in LEFT_OUT:
            found[".".join(parts)] = path
    return found


def wing_of(name: str) -> str:
    """The wing that a module is in: its package, or the surface."""
    parts = name.split(".")
    if parts[0] not in FLOORS:
        return "surface"
    return ".".join(parts[:-1])


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """The modules that a module imports, at whatever depth."""
    package = name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.ImportFrom) and node.level):
            continue
        base = package[: len(package) - node.level + 1]
        module = [*base, *(node.module or "").split(".")] if node.module else base
        for alias in node.names:
            for target in (".".join([*module, alias.name]), ".".join(module)):
                for spelt in (target, f"{target}.__init__"):
                    if spelt in known and spelt != name:
                        found.add(spelt)
    return found


def _place(wing: str) -> tuple[int, str]:
    return (WINGS.index(wing) if wing in WINGS else len(WINGS), wing)


def draw() -> str:
    """The picture, as SVG."""
    known = modules()
    wings: dict[str, list[tuple[str, int]]] = {}
    for name, path in known.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines:
            wings.setdefault(wing_of(name), []).append((name.split(".")[-1], lines))
    ways: Counter[tuple[str, str]] = Counter()
    for name, path in known.items():
        for target in imports(name, path, known):
            here, there = wing_of(name), wing_of(target)
            if here != there:
                ways[here, there] += 1
    boxes: dict[str, tuple[float, float, float, float]] = {}
    drawn: list[str] = []
    top = 20.0
    for floor in FLOORS:
        here = sorted((wing for wing in wings if wing.split(".")[0] == floor), key=_place)
        left, high = 20.0, 0.0
        for wing in here:
            found = wings[wing]
            columns = (len(found) + PER_COLUMN - 1) // PER_COLUMN
            width = 20 + columns * 150
            height = 30 + min(len(found), PER_COLUMN) * LINE
            if left + width > WIDTH and left > 20:
                left, top, high = 20.0, top + high + GAP, 0.0
            boxes[wing] = (left, top, width, height)
            drawn += _wing(wing, found, left, top, width, height)
            left += width + GAP
            high = max(high, height)
        top += high + 2 * GAP
    arrows = [
        _arrow(boxes[here], boxes[there], many)
        for (here, there), many in sorted(ways.items())
        if here in boxes and there in boxes
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top:.0f}">',
            f"<style>{STYLE}</style>",
            *drawn,
            *arrows,
            "</svg>\n",
        ]
    )


def _wing(
    wing: str, found: list[tuple[str, int]], left: float, top: float, width: float, height: float
) -> list[str]:
    drawn = [
        f'<rect class="wing" x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" rx="4"/>',
        f'<text class="name" x="{left + 8:.0f}" y="{top + 16:.0f}">{escape(wing)}</text>',
    ]
    for at, (name, lines) in enumerate(sorted(found)):
        x = left + 10 + 150 * (at // PER_COLUMN)
        y = top + 32 + LINE * (at % PER_COLUMN)
        drawn.append(
            f'<rect class="bar" x="{x:.0f}" y="{y - 9:.0f}" width="{min(lines / 8, 140):.0f}" '
            f'height="11"/><text x="{x + 2:.0f}" y="{y:.0f}">{escape(name)} {lines}</text>'
        )
    return drawn


def _arrow(
    here: tuple[float, float, float, float],
    there: tuple[float, float, float, float],
    many: int,
) -> str:
    x1, y1 = here[0] + here[2] / 2, here[1] + here[3]
    x2, y2 = there[0] + there[2] / 2, there[1]
    if y2 < y1:  # side by side
        y1, y2 = here[1] + 8, there[1] + 8
    middle = (y1 + y2) / 2
    return (
        f'<path class="arrow" stroke-width="{min(1 + many / 12, 8):.1f}" '
        f'd="M{x1:.0f} {y1:.0f} C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"/>'
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(), encoding="utf-8")
