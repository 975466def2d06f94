"""`python -m benchmarks`: print the tables of docs/benchmarks.md."""

from __future__ import annotations

import argparse
import platform

import pymysql

from . import (
    budgets,
    causal,
    classify,
    drivers,
    lag,
    pool,
    results,
    session,
    sharing,
    statements,
    transactions,
)
from .measure import render, servers_apart


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--flavor", choices=("mysql", "mariadb"), action="append")
    parser.add_argument("--rounds", type=int, default=40, help="interleaved rounds (40)")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, PyMySQL {pymysql.VERSION_STRING}", end="")
    print(f", {arguments.rounds} interleaved rounds; medians\n", flush=True)
    budgets.show(budgets.of_process())
    print(classify.table(), end="\n\n", flush=True)
    for flavor in arguments.flavor or ("mysql", "mariadb"):
        with servers_apart(flavor) as cluster:
            print(f"{flavor} {cluster.version}, a primary and two replicas on loopback:\n")
            budgets.show(budgets.of_cluster(cluster, arguments.rounds))
            print(lag.table(cluster), end="\n\n", flush=True)
            rows = [
                *statements.rows(cluster, arguments.rounds),
                *pool.rows(cluster, arguments.rounds),
            ]
            print(render(rows), end="\n\n", flush=True)
            print(results.table(cluster), end="\n\n", flush=True)
            print(session.table(cluster), end="\n\n", flush=True)
            for table in (*causal.tables(cluster), *transactions.tables(cluster)):
                print(table, end="\n\n", flush=True)
            print(sharing.table(cluster), end="\n\n", flush=True)
            print(drivers.table(cluster), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
