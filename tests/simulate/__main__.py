"""Many schedules, on all cores: `python -m tests.simulate --schedules 300000`.

Each runs twice, with the straight roads open and closed. The first that breaks a promise ends the
run, and is printed as small as it could be made; with `--keep-going` all of them are.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from queue import Empty
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from .plan import make_plan
from .shrink import shrink, trouble_of

if TYPE_CHECKING:
    from multiprocessing import Queue
    from multiprocessing.process import BaseProcess

_BATCH = 50
"""After so many schedules a worker reports."""
_TOLD = 10_000
"""After so many a line says how far it is."""
_PATIENCE = 10.0
"""After so many seconds without a report it is looked whether the workers are there."""
_OBJECTS = 10_000
"""How many more there may be before garbage is looked for: that is a fifth of the time else."""


class Report(NamedTuple):
    """What a worker has done: it has run so many schedules, or one of them is in trouble."""

    count: int
    seed: int = 0
    trouble: str = ""
    is_last: bool = False


def main() -> int:
    """Run schedules; returns 1 where one of them breaks a promise."""
    asked = _arguments()
    began, ran, broken = monotonic(), 0, 0
    until = None if asked.schedules else began + asked.seconds
    fork = multiprocessing.get_context("fork")
    reports: Queue[Report] = fork.Queue()
    workers = [
        fork.Process(target=_work, args=(seeds, until, reports), daemon=True)
        for seeds in _shares(asked.first, asked.schedules, asked.workers)
    ]
    for worker in workers:
        worker.start()
    for report in _until_all_end(reports, workers):
        if report.trouble:
            broken += 1
            if not asked.keep_going:
                for worker in workers:
                    worker.terminate()
            _print(report)
            if not asked.keep_going:
                break
        before, ran = ran, ran + report.count
        if ran // _TOLD > before // _TOLD:
            _print_pace(ran, monotonic() - began)
    _print_pace(ran, monotonic() - began)
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    seconds, seed = (os.environ.get(f"RWSPLIT_TEST_{name}") for name in ("SECONDS", "SEED"))
    add = parser.add_argument
    add("--schedules", type=int, default=0, help="how many; else for RWSPLIT_TEST_SECONDS")
    add("--first", type=int, default=int(seed or 0), help="the seed of the first")
    add("--workers", type=int, default=os.cpu_count() or 1, help="how many processes")
    add("--keep-going", action="store_true", help="go on behind one that breaks a promise")
    parser.set_defaults(seconds=float(seconds or 10))
    return parser.parse_args()


def _shares(first: int, count: int, workers: int) -> list[Iterable[int]]:
    """Deal the seeds out; they have no end where there is no count."""
    firsts = range(first, first + workers)
    if not count:
        return [itertools.count(each, workers) for each in firsts]
    return [range(each, first + count, workers) for each in firsts]


def _work(seeds: Iterable[int], until: float | None, reports: Queue[Report]) -> None:
    gc.freeze()
    gc.set_threshold(_OBJECTS, 10, 10)
    count = 0
    for seed in seeds:
        trouble = trouble_of(make_plan(seed))
        if trouble is not None:
            reports.put(Report(0, seed, trouble.text))
        count += 1
        if count == _BATCH:
            reports.put(Report(count))
            count = 0
        if until is not None and monotonic() > until:
            break
    reports.put(Report(count, is_last=True))


def _until_all_end(reports: Queue[Report], workers: Sequence[BaseProcess]) -> Iterator[Report]:
    running = len(workers)
    while running:
        try:
            report = reports.get(timeout=_PATIENCE)
        except Empty:
            if any(worker.exitcode for worker in workers):
                raise SystemExit("a worker has died; what it says is above") from None
            continue
        yield report
        running -= report.is_last


def _print(report: Report) -> None:
    small, _ = shrink(make_plan(report.seed))
    print(f"seed {report.seed}: {report.trouble}\n{small!r}", flush=True)


def _print_pace(ran: int, seconds: float) -> None:
    pace, runs = ran / seconds, 2 * ran / seconds
    print(f"{ran} schedules: {pace:.1f} a second, {runs:.1f} runs a second", flush=True)


if __name__ == "__main__":
    sys.exit(main())
