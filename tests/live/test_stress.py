"""Many threads and processes while replicas are killed; RWSPLIT_TEST_SECONDS is the length."""

import contextlib
import faulthandler
import gc
import json
import os
import resource
import signal
import threading
import time
import traceback
from pathlib import Path

import pytest

import rwsplit

SECONDS = float(os.environ.get("RWSPLIT_TEST_SECONDS", "10"))
THREADS = 200
PROCESSES = 8
KILL_EVERY = 5.0
POOL_SIZE = 5


def options_of(cluster):
    # Without TLS a restarted MySQL server wants a package that need not be there.
    plain = {"ssl_disabled": True} if cluster.flavor == "mariadb" else {}
    return {**cluster.connect_options, "autocommit": True, **plain}


def kill_in_turn(cluster, until):
    """Kill a replica every five seconds, and start it again."""
    turn = 0
    while time.monotonic() < until:
        victim = cluster.replicas[turn % len(cluster.replicas)]
        turn += 1
        cluster.kill(victim)
        cluster.restart(victim)
        time.sleep(max(0.0, min(KILL_EVERY, until - time.monotonic())))
    return turn


def read_until(until, options, errors, counts):
    """Read, through connections that come and go."""
    read = 0
    try:
        while time.monotonic() < until:
            with rwsplit.connect(**options) as connection:
                cursor = connection.cursor()
                for _ in range(200):
                    cursor.execute("SELECT v FROM t WHERE id = 1")
                    if cursor.fetchone() != (1,):
                        errors.append("a wrong answer")
                    read += 1
                    if time.monotonic() >= until:
                        break
                    time.sleep(0.01)
    except Exception as error:
        errors.append(repr(error))
    counts.append(read)


@pytest.fixture
def row(cluster, table):
    with cluster.connect(cluster.primary) as connection:
        connection.cursor().execute("INSERT INTO t VALUES (1, 1)")
    cluster.wait_caught_up()


def open_files():
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts what /proc tells")
def test_200_threads_read_while_replicas_are_killed(cluster, no_others, row):
    options = {**options_of(cluster), "pool_size": POOL_SIZE, "program_name": "stress"}
    made = rwsplit.Cluster(
        f"127.0.0.1:{options.pop('port')}",
        [{"host": "127.0.0.1", "port": s.port, "name": s.name} for s in cluster.replicas],
        pool_size=options.pop("pool_size"),
    )
    del options["host"], options["replicas"]
    options["cluster"] = made
    gc.collect()
    files, threads_before = open_files(), threading.active_count()
    errors, counts = [], []
    until = time.monotonic() + SECONDS
    threads = [
        threading.Thread(target=read_until, args=(until, options, errors, counts))
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    time.sleep(min(3.0, SECONDS / 3))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kills = kill_in_turn(cluster, until)
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "threads that hang"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{cluster.flavor}: {sum(counts)} reads, {kills} kills, {grown} KB more")
    assert not errors, (len(errors), errors[:5])
    assert len(counts) == THREADS
    assert all(len(idle) <= POOL_SIZE for idle in made.pool._idle.values())
    assert not made.pool.in_use.total(), made.pool.in_use
    # Three servers: their idle wires, and the monitor with a thread and a connection for each; and
    # one thread that closes wires which have been idle for long.
    assert threading.active_count() <= threads_before + 3 + 1
    assert open_files() <= files + 3 * POOL_SIZE + 3
    assert grown < 100_000
    made.close()
    assert not made.pool._idle


def wait_for_end(child, seconds=60):
    """Wait until a process has ended; one that hangs is killed, and has told nothing."""
    until = time.monotonic() + seconds
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


def read_as_child(parent, options, until, writing, notes):
    """Read in a forked process, by threads and by the parent's connection, and tell how it went.

    What fails, or hangs, leaves its traceback in `notes`.
    """
    errors, counts = [], []
    with contextlib.suppress(BaseException), notes.open("w") as file:
        faulthandler.dump_traceback_later(until - time.monotonic() + 45, file=file)
        try:
            cursor = parent.cursor()
            cursor.execute("SELECT v FROM t WHERE id = 1")
            threads = [
                threading.Thread(target=read_until, args=(until, options, errors, counts))
                for _ in range(3)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            cursor.execute("SELECT v FROM t WHERE id = 1")
            pool = parent.cluster.pool
            surplus = [len(idle) for idle in pool._idle.values() if len(idle) > pool.size]
            os.write(writing, json.dumps([errors, sum(counts), surplus]).encode())
        except BaseException:
            traceback.print_exc(file=file)
    os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_8_forked_processes_read_while_replicas_are_killed(cluster, no_others, row, tmp_path):
    options = options_of(cluster)
    parent = rwsplit.connect(**options)
    parent.cursor().execute("SELECT v FROM t WHERE id = 1")
    rwsplit.connect(**options).close()
    until = time.monotonic() + SECONDS
    pipes, children = [], []
    notes = [tmp_path / f"child{number}" for number in range(PROCESSES)]
    for note in notes:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            read_as_child(parent, options, until, writing, note)
        os.close(writing)
        pipes.append(reading)
        children.append(child)
    kills = kill_in_turn(cluster, until)
    told = []
    for reading, child in zip(pipes, children, strict=True):
        wait_for_end(child)
        told.append(json.loads(os.read(reading, 65536) or "null"))
        os.close(reading)
    assert None not in told, "\n\n".join([note.read_text() for note in notes])
    print(f"{cluster.flavor}: {sum(count for _, count, _ in told)} reads, {kills} kills")
    assert all(not errors and count and not surplus for errors, count, surplus in told), told
    parent.cursor().execute("SELECT v FROM t WHERE id = 1")
    parent.close()
