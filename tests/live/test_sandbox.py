"""The sandbox starts real servers, steers them, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pymysql
import pytest

from rwsplit.sandbox import Sandbox, ServersNotFound, find_servers

PROGRAM = """
import os, sys, time
from rwsplit.sandbox import Sandbox
with Sandbox(sys.argv[1], replicas=1) as sandbox:
    forked = os.fork()
    if not forked:
        time.sleep(30)  # holds the pipes of its parent open
        os._exit(0)
    servers = [str(server.pid) for server in sandbox.servers]
    print(sandbox.primary.data.parent, forked, *servers, flush=True)
    time.sleep(60)
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that nobody has reaped yet is a corpse.
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("flavor", "number"),
    [
        ("mysql", signal.SIGKILL),
        ("mariadb", signal.SIGKILL),
        ("mariadb", signal.SIGINT),
        ("mariadb", signal.SIGTERM),
    ],
)
def test_nothing_survives_the_owner(flavor, number):
    """However the owner ends, and although a process that it forked lives on."""
    owner = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, flavor], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        folder, *pids = owner.stdout.readline().decode().split()
        forked, *servers = map(int, pids)
        assert Path(folder).is_dir()
        assert len(servers) == 2
        assert all(map(alive, servers))
        owner.send_signal(number)
        owner.wait()
        wait_until(lambda: not any(map(alive, servers)))
        wait_until(lambda: not Path(folder).exists())
        os.kill(forked, signal.SIGKILL)
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()


def test_a_forked_process_does_not_end_it(cluster):
    child = os.fork()
    if not child:
        cluster.close()
        os._exit(0)
    os.waitpid(child, 0)
    with cluster.connect(cluster.primary) as connection:
        connection.ping()


def test_replication_runs_and_the_replicas_are_read_only(cluster):
    database = cluster.create_database("sandboxed")
    with cluster.connect(cluster.primary, database=database) as connection:
        connection.cursor().execute("CREATE TABLE t AS SELECT 7 AS seven")
    cluster.wait_caught_up()
    for server in cluster.replicas:
        with cluster.connect(server, database=database) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT seven FROM t")
            assert cursor.fetchone() == (7,)
            with pytest.raises(pymysql.MySQLError) as caught:
                cursor.execute("INSERT INTO t VALUES (8)")
            assert caught.value.args[0] == 1290
    cluster.drop_database(database)


def test_a_stalled_replica_answers_and_does_not_advance(cluster):
    server = cluster.replicas[0]
    cluster.stall(server)
    cluster.stall(server)
    database = cluster.create_database("late")
    with pytest.raises(TimeoutError, match="replica1"):
        cluster.wait_caught_up(timeout=0.5)
    assert not cluster.healthy()
    with cluster.connect(server) as connection:
        cursor = connection.cursor()
        assert cursor.execute("SHOW DATABASES LIKE 'late'") == 0
    cluster.resume(server)
    cluster.resume(server)
    cluster.wait_caught_up()
    assert cluster.healthy()
    cluster.drop_database(database)


def test_a_stopped_applier_does_not_advance(cluster):
    server = cluster.replicas[1]
    cluster.stop_applier(server)
    database = cluster.create_database("stopped")
    assert not cluster.healthy()
    with pytest.raises(TimeoutError, match="replica2"):
        cluster.wait_caught_up(timeout=0.5)
    cluster.start_applier(server)
    cluster.wait_caught_up()
    assert cluster.healthy()
    cluster.drop_database(database)


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_two_at_once_are_two_clusters(flavor):
    with Sandbox(flavor, replicas=1) as one, Sandbox(flavor, replicas=0) as other:
        servers = [*one.servers, *other.servers]
        assert len({server.port for server in servers}) == 3
        assert len({server.server_id for server in servers}) == 3
        assert other.connect_options["replicas"] == []


def test_without_a_server_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("RWSPLIT_MYSQL_HOME", str(tmp_path))
    with pytest.raises(ServersNotFound, match="RWSPLIT_MYSQL_HOME"):
        find_servers("mysql")
    monkeypatch.delenv("RWSPLIT_MYSQL_HOME")
    monkeypatch.setattr("rwsplit.sandbox._find._in_home", lambda *_: None)
    monkeypatch.setattr("rwsplit.sandbox._find.shutil.which", lambda *_, **__: None)
    for flavor in ("mysql", "mariadb"):
        with pytest.raises(ServersNotFound) as caught:
            find_servers(flavor)
        for system in ("Debian", "Ubuntu", "Fedora", "macOS", f"RWSPLIT_{flavor.upper()}_HOME"):
            assert system in str(caught.value)
    with pytest.raises(ValueError, match="flavor"):
        find_servers("postgres")


def test_the_command_tells_how_to_connect_and_waits():
    """Its snippet runs as it is; the end of its input ends it."""
    command = subprocess.Popen(
        [sys.executable, "-m", "rwsplit", "sandbox", "--flavor", "mariadb", "--replicas", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    shown = []
    for line in command.stdout:
        shown.append(line)
        if "Ctrl-C" in line:
            break
    names = {}
    exec("".join(shown), names)
    connection = names["connection"]
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    assert cursor.route.role == "replica"
    connection.close()
    out, err = command.communicate()
    assert command.returncode == 0
    assert "starting 2 servers" in err
    assert not out


def test_a_server_that_cannot_start_shows_its_log():
    with pytest.raises(RuntimeError, match=r"did not start[\s\S]*no_such_option"):
        Sandbox("mariadb", replicas=0, options={"no_such_option": 1})
