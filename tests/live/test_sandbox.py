"""The sandbox starts real servers, steers them, and leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pymysql
import pytest

from rwsplit.sandbox import Sandbox, ServersNotFound, find_servers

FLAVORS = ("mysql", "mariadb")

PROGRAM = """
import os, signal, sys, time
from rwsplit.sandbox import Sandbox
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
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


def threads(pid):
    """The states of a process's threads: T where it was stopped."""
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return {stat.rpartition(")")[2].split()[0] for stat in stats}


def asked(server, sql, **options):
    """The one value that a server gives root."""
    with server.admin(**options) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        (value,) = cursor.fetchone()
        return value


def write(sandbox, *values, server=None):
    """Insert into a table of the sandbox as an application does."""
    with sandbox.connect(server or sandbox.primary) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE IF NOT EXISTS written (v INT PRIMARY KEY)")
        cursor.executemany("INSERT INTO written VALUES (%s)", [(value,) for value in values])


def written(sandbox, server):
    """What `write` wrote, as a server has it."""
    with sandbox.connect(server) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT v FROM written ORDER BY v")
        return [value for (value,) in cursor]


def refused(sandbox, server, **options):
    """Whether a server refuses writes because it is read-only."""
    with sandbox.connect(server, **options) as connection:
        try:
            connection.cursor().execute("CREATE TABLE refused (id INT)")
        except pymysql.err.OperationalError as error:
            return error.args[0] == 1290
        connection.cursor().execute("DROP TABLE refused")
        return False


def greeting(connection):
    """The first byte that comes from a server; None if none comes."""
    connection.settimeout(0.5)
    try:
        return connection.recv(1)
    except TimeoutError:
        return None


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


@pytest.mark.parametrize("flavor", FLAVORS)
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


def test_a_frozen_server_takes_connections_and_answers_nothing_until_it_thaws(cluster):
    """All threads of the server's own process stand still."""
    server = cluster.replicas[0]
    cluster.freeze(server)
    cluster.freeze(server)
    assert cluster.running(server)
    assert not cluster.healthy()
    with pytest.raises(TimeoutError, match="replica1"):
        cluster.wait_caught_up()
    if Path("/proc").exists():
        assert threads(server.pid) == {"T"}
    with socket.create_connection((server.host, server.port)) as connection:
        assert greeting(connection) is None
        cluster.thaw(server)
        cluster.thaw(server)
        connection.settimeout(20)
        assert connection.recv(1)
    assert cluster.healthy()


def test_a_frozen_server_can_be_killed_restarted_and_healed(cluster):
    """A stalled one too, and the primary."""
    server = cluster.replicas[0]
    cluster.freeze(server)
    cluster.kill(server)
    assert not cluster.running(server)
    cluster.restart(server)
    assert asked(server, "SELECT 1") == 1
    cluster.stall(server)
    cluster.freeze(server)
    shutdowns = clean_shutdowns(server)
    cluster.restart(server)
    assert clean_shutdowns(server) == shutdowns + 1
    assert asked(server, "SELECT 1") == 1
    cluster.stall(server)
    cluster.freeze(server)
    cluster.freeze(cluster.primary)
    cluster.heal()
    assert cluster.healthy()


@pytest.mark.parametrize("flavor", FLAVORS)
def test_frozen_servers_are_gone_after_close(flavor):
    with Sandbox(flavor, replicas=1) as sandbox:
        pids = [server.pid for server in sandbox.servers]
        for server in sandbox.servers:
            sandbox.freeze(server)
    assert not any(map(alive, pids))
    assert not sandbox.primary.data.parent.exists()


def test_restart_ends_a_running_server_cleanly_and_replication_goes_on(cluster):
    """It has the port and the role that it had."""
    for server in (cluster.primary, cluster.replicas[0]):
        before = server.pid, server.port
        shutdowns = clean_shutdowns(server)
        cluster.restart(server)
        assert clean_shutdowns(server) == shutdowns + 1
        assert not alive(before[0])
        assert server.port == before[1]
    for server in cluster.servers:
        assert refused(cluster, server) == (server is not cluster.primary)
    database = cluster.create_database("restarted")
    cluster.wait_caught_up()
    assert cluster.healthy()
    cluster.drop_database(database)


def clean_shutdowns(server):
    """How often a server's log says that it ended as it should."""
    return len(re.findall(r"Shutdown complete\b", server.log.read_text()))


@pytest.fixture(params=FLAVORS)
def own(request):
    """Servers of the test's own: a replica that is rebuilt replicates all that others did."""
    with Sandbox(request.param, replicas=1) as sandbox:
        yield sandbox


def test_a_rebuilt_replica_is_an_empty_new_server_and_replicates_everything(own):
    server = own.replicas[0]
    uuid = "SELECT @@GLOBAL.server_uuid" if own.flavor == "mysql" else "SELECT 1"
    before = asked(server, uuid), server.pid, server.port, server.server_id
    own.rebuild(server, replicate=False)
    assert own.position(server) == ""
    assert asked(server, "SELECT COUNT(*) FROM information_schema.schemata") == 4
    assert asked(server, "SELECT @@GLOBAL.read_only") == 1
    assert (server.port, server.server_id) == before[2:]
    assert server.pid != before[1]
    if own.flavor == "mysql":
        assert asked(server, uuid) != before[0]
    own.restart(server)
    own.delay(server, 0.01)
    assert not state(server, own.flavor)
    assert not own.healthy()
    own.replicate(server)
    own.wait_caught_up()
    own.delay(server, 0)
    assert own.healthy()
    assert refused(own, server)
    own.rebuild(server)
    own.wait_caught_up()
    assert own.position(server) == own.position(own.primary)
    own.rebuild(server, replicate=False)
    own.heal()
    assert own.healthy()
    with pytest.raises(ValueError, match="primary"):
        own.rebuild(own.primary)


def test_a_demoted_primary_refuses_writes_also_after_a_restart_until_it_is_healed(cluster):
    """MySQL's refuses administrators as well."""
    primary = cluster.primary
    root = {"unix_socket": primary.unix_socket, "user": "root", "password": ""}
    cluster.demote(primary)
    assert not cluster.healthy()
    assert refused(cluster, primary)
    assert refused(cluster, primary, **root) == (cluster.flavor == "mysql")
    cluster.kill(primary)
    cluster.demote(primary)
    cluster.restart(primary)
    assert refused(cluster, primary)
    cluster.heal()
    assert not refused(cluster, primary)
    cluster.restart(primary)
    assert not refused(cluster, primary)


def fate(sandbox, server, what):
    """Let a server suffer what a parameter says."""
    if what != "lives":
        getattr(sandbox, what)(server)


@pytest.mark.parametrize("what", ["lives", "freeze", "kill"])
@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_replica_is_promoted_whatever_became_of_the_primary(flavor, what):
    """The roles follow; the old primary is left as it is, by heal() too."""
    with Sandbox(flavor, replicas=2) as sandbox:
        old, new, other = sandbox.servers
        write(sandbox, 1)
        sandbox.wait_caught_up()
        fate(sandbox, old, what)
        sandbox.promote(new)
        assert sandbox.primary is new
        assert sandbox.replicas == (other,)
        assert sandbox.servers == (new, other, old)
        assert [server.role for server in (old, new, other)] == ["former", "primary", "replica"]
        assert sandbox.connect_options["port"] == new.port
        assert sandbox.connect_options["replicas"] == [f"127.0.0.1:{other.port}"]
        assert not sandbox.healthy()
        sandbox.restart(new)
        write(sandbox, 2)
        sandbox.repoint(other)
        sandbox.wait_caught_up()
        assert sandbox.healthy()
        assert written(sandbox, other) == [1, 2]
        with pytest.raises(ValueError, match="not a replica"):
            sandbox.promote(old)
        with pytest.raises(ValueError, match="replicate from"):
            sandbox.repoint(new)
        sandbox.kill(other)
        sandbox.heal()
        assert sandbox.healthy()
        assert sandbox.running(old) == (what != "kill")
        assert old.frozen == (what == "freeze")
        if what == "lives":
            assert not refused(sandbox, old)
            assert written(sandbox, old) == [1]


@pytest.mark.parametrize("flavor", FLAVORS)
def test_delay_and_heal_take_the_primary_of_now(flavor):
    """For a replica, too, that replicated from the old primary until then."""
    with Sandbox(flavor, replicas=2) as sandbox:
        old, new, other = sandbox.servers
        sandbox.delay(new, 0.01)
        sandbox.kill(old)
        sandbox.promote(new)
        sandbox.delay(other, 0.01)
        assert other.link.target == new.port
        write(sandbox, 1)
        sandbox.wait_caught_up()
        assert written(sandbox, other) == [1]
        assert not sandbox.healthy()
        sandbox.heal()
        assert sandbox.healthy()
        sandbox.delay(other, 0.01)
        sandbox.promote(other)
        sandbox.repoint(new)
        sandbox.repoint(old, to=new)
        assert not sandbox.healthy()
        write(sandbox, 2)
        sandbox.wait_caught_up()
        assert written(sandbox, old) == [1, 2]
        sandbox.delay(old, 0.01)
        assert old.link.target == new.port
        sandbox.heal()
        assert sandbox.healthy()
        sandbox.promote(old)
        write(sandbox, 3)
        sandbox.heal()
        assert sandbox.healthy()
        assert sandbox.replicas == (new,)
        assert written(sandbox, new) == [1, 2, 3]


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_promoted_replica_has_applied_all_that_it_has_received(flavor):
    """Although its applier was stopped, then waits for a lock, and the primary is gone."""
    values = list(range(200))
    with Sandbox(flavor, replicas=1) as sandbox:
        old, new = sandbox.servers
        write(sandbox)
        sandbox.wait_caught_up()
        sandbox.stop_applier(new)
        write(sandbox, *values)
        position = sandbox.position(old)
        column = "Retrieved_Gtid_Set" if flavor == "mysql" else "Gtid_IO_Pos"
        last = position.rpartition("-")[2]
        wait_until(lambda: state(new, flavor)[column].endswith(last))
        sandbox.kill(old)
        assert written(sandbox, new) == []
        lock = new.admin(database="shop")
        lock.cursor().execute("LOCK TABLES written READ")
        threading.Timer(0.5, lock.close).start()
        sandbox.promote(new)
        assert written(sandbox, new) == values
        assert sandbox.position(new) == position


def state(server, flavor):
    """What a replica says of its replication."""
    with server.admin(cursorclass=pymysql.cursors.DictCursor) as connection:
        cursor = connection.cursor()
        cursor.execute("SHOW REPLICA STATUS" if flavor == "mysql" else "SHOW SLAVE STATUS")
        return cursor.fetchone()


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_replica_that_cannot_apply_what_it_received_is_not_promoted(flavor):
    """It stays what it was, until it is rebuilt."""
    with Sandbox(flavor, replicas=1) as sandbox:
        (server,) = sandbox.replicas
        write(sandbox)
        sandbox.wait_caught_up()
        with server.admin(database="shop") as connection:
            cursor = connection.cursor()
            cursor.execute("SET sql_log_bin = 0")
            cursor.execute("INSERT INTO written VALUES (1)")
        write(sandbox, 1)
        wait_until(lambda: not sandbox.healthy())
        with pytest.raises(TimeoutError, match="replica1"):
            sandbox.promote(server, timeout=0.5)
        assert sandbox.replicas == (server,)
        assert refused(sandbox, server)
        assert not sandbox.healthy()
        sandbox.rebuild(server)
        sandbox.wait_caught_up()
        sandbox.promote(server)
        assert written(sandbox, server) == [1]


def purge(server):
    """Remove a server's binary logs up to now."""
    with server.admin() as connection:
        cursor = connection.cursor()
        cursor.execute("FLUSH BINARY LOGS")
        wait_until(lambda: len(logs_after_purge(cursor)) == 1)


def logs_after_purge(cursor):
    """The logs that are left: MariaDB keeps one, and says nothing, until it has a checkpoint."""
    cursor.execute("SHOW BINARY LOGS")
    cursor.execute("PURGE BINARY LOGS TO %s", cursor.fetchall()[-1][:1])
    cursor.execute("SHOW BINARY LOGS")
    return cursor.fetchall()


@pytest.mark.parametrize("flavor", FLAVORS)
def test_an_old_primary_that_lost_nothing_becomes_a_replica(flavor):
    """Read-only from then on, and the primary again if it is promoted.

    It asks for no more than what follows its own transactions.
    """
    with Sandbox(flavor, replicas=2) as sandbox:
        old, new, other = sandbox.servers
        write(sandbox, 1)
        sandbox.wait_caught_up()
        sandbox.promote(new)
        purge(new)
        write(sandbox, 2)
        sandbox.repoint(old)
        assert refused(sandbox, old)
        sandbox.repoint(other)
        assert sandbox.replicas == (other, old)
        assert old.role == "replica"
        write(sandbox, 3)
        sandbox.wait_caught_up()
        assert sandbox.healthy()
        assert written(sandbox, old) == [1, 2, 3]
        sandbox.restart(old)
        assert refused(sandbox, old)
        sandbox.kill(new)
        sandbox.promote(old)
        write(sandbox, 4)
        sandbox.repoint(new)
        sandbox.repoint(other)
        sandbox.wait_caught_up()
        assert sandbox.healthy()
        for server in (new, other):
            assert written(sandbox, server) == [1, 2, 3, 4]
            assert refused(sandbox, server)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_an_old_primary_with_lost_transactions_can_be_repointed_and_rebuilt(flavor):
    """MySQL then goes on with both histories, MariaDB stops; rebuilt, it has what the others have.

    Also what it wrote itself when it was the primary.
    """
    with Sandbox(flavor, replicas=1) as sandbox:
        old, new = sandbox.servers
        write(sandbox, 1)
        sandbox.wait_caught_up()
        sandbox.delay(new, 60)
        write(sandbox, 2)
        sandbox.kill(old)
        sandbox.promote(new)
        assert written(sandbox, new) == [1]
        write(sandbox, 3, 4, 5)
        sandbox.repoint(old)
        assert refused(sandbox, old)
        if flavor == "mysql":
            sandbox.wait_caught_up()
            assert sandbox.healthy()
            assert written(sandbox, old) == [1, 2, 3, 4, 5]
        else:
            wait_until(lambda: state(old, flavor)["Slave_IO_Running"] == "No")
            assert state(old, flavor)["Last_IO_Errno"] == 1236
            assert not sandbox.healthy()
            assert written(sandbox, old) == [1, 2]
        sandbox.rebuild(old)
        sandbox.wait_caught_up()
        assert sandbox.healthy()
        assert written(sandbox, old) == [1, 3, 4, 5]


def test_new_connections_through_a_link_go_to_its_target_and_open_ones_stay(cluster):
    one, other = cluster.replicas
    with cluster.link(one) as link:
        ports = []
        with cluster.connect(one, port=link.port) as connection:
            link.target = other.port
            for reader in (connection, cluster.connect(one, port=link.port)):
                cursor = reader.cursor()
                cursor.execute("SELECT @@GLOBAL.port")
                ports += cursor.fetchone()
        reader.close()
        assert ports == [one.port, other.port]
        assert link.target == other.port
        for wrong, error in (("3306", TypeError), (None, TypeError), (0, ValueError)):
            with pytest.raises(error):
                link.target = wrong
        assert link.target == other.port


def test_a_link_leads_to_its_server_again_after_whatever_was_done_to_it(own):
    server = own.replicas[0]
    with own.link(server) as link:
        own.kill(server)
        with pytest.raises(pymysql.err.OperationalError):
            own.connect(server, port=link.port)
        for action in (own.restart, own.rebuild, own.repoint):
            action(server)
            own.wait_caught_up()
            with own.connect(server, port=link.port) as connection:
                connection.ping()


def test_the_primary_lists_its_replicas_with_their_addresses(cluster):
    for server in cluster.replicas:
        wait_until(lambda server=server: (server.host, server.port) in listed(cluster))
    assert asked(cluster.primary, "SELECT @@GLOBAL.report_port") == cluster.primary.port


def listed(cluster):
    """The replicas that the primary knows of, as (host, port)."""
    statement = "SHOW REPLICAS" if cluster.flavor == "mysql" else "SHOW REPLICA HOSTS"
    with cluster.admin(cluster.primary) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return {(row[1], row[2]) for row in cursor}
