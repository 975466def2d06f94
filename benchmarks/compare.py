"""`python -m benchmarks.compare OLD NEW`: two commits, road by road, interleaved.

OLD and NEW name commits of this repository, or are directories that hold `src/rwsplit` (a worktree,
a clone: `.` for what is not committed yet). Both run in processes of their own against the same
servers, and take turns; the table has the medians of client CPU and the median ratios of neighbours
in CPU, with quartiles, and in wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

from rwsplit.sandbox import Sandbox

from .measure import fill, servers_apart

ROADS = Path(__file__).with_name("roads.py")


class Side:
    """One tree, in a process of its own."""

    def __init__(self, tree: str, options: dict[str, Any]) -> None:
        path = str(Path(tree).resolve() / "src")
        self._process = subprocess.Popen(
            [sys.executable, str(ROADS)],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say(options)
        self.roads: list[str] = self._hear()

    def take(self, road: str) -> tuple[float, float]:
        """Take a road; returns the CPU and the wall seconds of one call."""
        self._say(road)
        cpu, wall = self._hear()
        return cpu, wall

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _say(self, what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def compared(trees: tuple[str, str], cluster: Sandbox, rounds: int) -> str:
    """The table of one flavor, as Markdown."""
    fill(cluster, "roads", 100)
    sides = [Side(tree, cluster.connect_options) for tree in trees]
    lines = [
        "| road | CPU, old | CPU, new | CPU, new / old (quartiles) | wall, new / old |",
        "| --- | --- | --- | --- | --- |",
    ]
    for road in sides[0].roads:
        taken: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
        for number in range(rounds):
            for index in (0, 1) if number % 2 else (1, 0):
                taken[index].append(sides[index].take(road))
        pairs = list(zip(*taken, strict=True))
        low, middle, high = statistics.quantiles([new[0] / old[0] for old, new in pairs], n=4)
        wall = statistics.median([new[1] / old[1] for old, new in pairs])
        old, new = (statistics.median([cpu for cpu, _ in each]) * 1e6 for each in taken)
        lines.append(
            f"| {road} | {old:,.1f} µs | {new:,.1f} µs | {middle:.3f} ({low:.3f} to {high:.3f}) "
            f"| {wall:.3f} |"
        )
    for side in sides:
        side.close()
    return "\n".join(lines)


def tree_of(named: str, folder: str) -> str:
    """Return the directory that holds a tree; a commit's is unpacked below `folder`."""
    if (Path(named) / "src" / "rwsplit").is_dir():
        return named
    command = ["git", "-C", str(ROADS.parents[1]), "archive", "--format=tar", named, "src"]
    packed = subprocess.run(command, capture_output=True, check=True).stdout
    into = Path(tempfile.mkdtemp(dir=folder))
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(into, filter="data")
    return str(into)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--flavor", choices=("mysql", "mariadb"), action="append")
    parser.add_argument("--rounds", type=int, default=40, help="interleaved rounds (40)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trees = tree_of(arguments.old, folder), tree_of(arguments.new, folder)
        for flavor in arguments.flavor or ("mysql", "mariadb"):
            with servers_apart(flavor) as cluster:
                table = compared(trees, cluster, arguments.rounds)
                print(f"{flavor} {cluster.version}:\n\n{table}\n", flush=True)


if __name__ == "__main__":
    main()
