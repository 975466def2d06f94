"""Programs that import pymysql by themselves, by `python -m rwsplit run`, on real servers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pymysql
import pytest

import rwsplit

# Not a word of it knows about rwsplit. Each worker writes, and reads what it wrote; the server that
# answers says who it is.
PROGRAM = """
import json, multiprocessing, os, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

import pymysql
from pymysql import connect
from pymysql.connections import Connection
from pymysql.cursors import DictCursor

ACCOUNT = json.loads(os.environ["ACCOUNT"])


def work(number):
    connection = connect(**ACCOUNT, autocommit=True, cursorclass=DictCursor)
    assert isinstance(connection, Connection) and isinstance(connection, pymysql.Connection)
    ports = []
    with connection, connection.cursor() as cursor:
        for turn in range(10):
            value = number * 100 + turn
            cursor.execute("REPLACE INTO t VALUES (%s, %s)", (number, value))
            cursor.execute("SELECT @@port AS port, v FROM t WHERE id = %s", (number,))
            row = cursor.fetchone()
            assert row["v"] == value, row
            ports.append(row["port"])
    return ports


def pooled(context, number):
    with multiprocessing.get_context(context).Pool(1) as pool:
        return pool.apply(work, (number,))


def started(number):
    command = [sys.executable, __file__, str(number)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(work(int(sys.argv[1]))))
        sys.exit()
    found = {"itself": work(1)}
    with ThreadPoolExecutor(1) as threads:
        found["a thread"] = threads.submit(work, 2).result()
    for number, context in enumerate(multiprocessing.get_all_start_methods(), 3):
        found[context] = pooled(context, number)
    found["a program of its own"] = started(9)
    print(json.dumps(found))
"""


@pytest.fixture
def folder(cluster, tmp_path):
    """A folder with a configuration of the cluster."""
    replicas = cluster.connect_options["replicas"]
    (tmp_path / "rwsplit.toml").write_text(
        f"[clusters.shop]\nprimary = '{cluster.primary.host}:{cluster.primary.port}'\n"
        f"replicas = {json.dumps(replicas)}\nmax_wait = 5.0\n"
    )
    return tmp_path


def account(cluster, **overrides):
    found = {**cluster.connect_options, **overrides}
    del found["replicas"]
    return found


def run(folder, account, *command, **environment):
    sources = str(Path(rwsplit.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-m", "rwsplit", "run", *command],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([sources, os.environ.get("PYTHONPATH", "")]),
            "RWSPLIT_CONFIG": "rwsplit.toml",
            "ACCOUNT": json.dumps(account),
            **environment,
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_program_and_all_that_it_starts_read_on_replicas(cluster, table, folder):
    (folder / "program.py").write_text(PROGRAM)
    found = json.loads(run(folder, account(cluster), "program.py"))
    replicas = {server.port for server in cluster.replicas}
    assert {"fork", "spawn"} <= found.keys()
    for who, ports in found.items():
        on_replicas = sum(port in replicas for port in ports)
        print(f"{who}: {on_replicas} of {len(ports)} reads on replicas")
        assert on_replicas >= 8, who


def test_the_address_of_no_primary_is_one_server(cluster, table, folder):
    """A replica's own address, as a report may use it, is that replica."""
    (folder / "program.py").write_text("""
import json, os
import pymysql
with pymysql.connect(**json.loads(os.environ["ACCOUNT"])) as connection:
    cursor = connection.cursor()
    for _ in range(3):
        cursor.execute("SELECT @@port")
        print(*cursor.fetchone())
""")
    port = cluster.replicas[0].port
    assert run(folder, account(cluster, port=port), "program.py").split() == [str(port)] * 3


def test_modules_and_mysqldb(cluster, table, folder):
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("")
    (folder / "package" / "__main__.py").write_text("""
import json, os, sys
import MySQLdb
from MySQLdb.cursors import DictCursor
connection = MySQLdb.connect(**json.loads(os.environ["ACCOUNT"]), cursorclass=DictCursor)
cursor = connection.cursor()
cursor.execute("INSERT INTO t VALUES (1, 1)")
connection.commit()
cursor.execute("SELECT @@port AS port, v FROM t")
print(cursor.fetchone()["port"], *sys.argv[1:])
""")
    said = run(folder, account(cluster), "--mysqldb", "-m", "package", "--mysqldb").split()
    assert int(said[0]) in {server.port for server in cluster.replicas}
    assert said[1:] == ["--mysqldb"]


def test_patch_alone_is_enough_in_a_program_of_ones_own(cluster, table, folder, monkeypatch):
    monkeypatch.setenv("RWSPLIT_CONFIG", str(folder / "rwsplit.toml"))
    with rwsplit.patch(), pymysql.connect(**account(cluster), autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO t VALUES (1, 1)")
        cursor.execute("SELECT v FROM t")
        assert cursor.fetchall() == ((1,),)
        assert cursor.route.role == "replica"
        # Nor is rwsplit's own use of PyMySQL patched, whatever is opened meanwhile.
        assert type(cluster.admin(cluster.primary)) is not rwsplit.Connection
    with pymysql.connect(**account(cluster)) as connection:
        assert not hasattr(connection.cursor(), "route")
