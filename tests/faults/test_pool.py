"""A warm `connect()` is nobody else's: its keywords and files say now who it is, over which TLS.

The right value is plain PyMySQL's with the same keywords at the same moment. And what is idle is
closed in time, whether or not anybody connects again.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pymysql
import pytest

import rwsplit
from rwsplit._drivers.pymysql import PhysicalConnection
from rwsplit._shell import pool as pools
from rwsplit._shell.account import Account
from rwsplit._shell.pool import Pool

USERS = {"ann": "pw-ann", "bob": "pw-bob"}


@pytest.fixture
def users(cluster):
    """Two accounts that all servers have."""
    with closing(cluster.admin(cluster.primary)) as admin:
        cursor = admin.cursor()
        for name, password in USERS.items():
            cursor.execute(f"CREATE USER IF NOT EXISTS {name}@'%'")
            cursor.execute(f"ALTER USER {name}@'%' IDENTIFIED BY '{password}'")
            cursor.execute(f"GRANT ALL ON shop.* TO {name}@'%'")
    cluster.wait_caught_up()
    return USERS


@pytest.fixture
def servers(cluster, users, request):
    """Keywords that say where the servers are, of a cluster that no other test uses."""
    primary = cluster.primary
    where = {"host": primary.host, "port": primary.port, "database": "shop", "autocommit": True}
    replicas = [
        {"host": server.host, "port": server.port, "name": f"{request.node.name} {server.port}"}
        for server in cluster.replicas
    ]
    return {**where, "replicas": replicas}


def plain(options):
    return {key: value for key, value in options.items() if key != "replicas"}


def who(connect, options):
    """Who the server takes it for, primary and replica, or the error's number."""
    try:
        connection = connect(**options)
    except (pymysql.err.OperationalError, ValueError) as error:
        return error.args[0] if isinstance(error, pymysql.err.OperationalError) else "ValueError"
    found = set()
    with closing(connection):
        cursor = connection.cursor()
        for ask in ("SELECT CURRENT_USER()", "SELECT CURRENT_USER() /* rwsplit: primary */"):
            cursor.execute(ask)
            found.add(cursor.fetchone()[0])
    (user,) = found
    return user


def warmed(options):
    """Leave wires of these keywords in the pool, and be sure that they are used."""
    for _ in range(2):
        assert isinstance(who(rwsplit.connect, options), str)
        time.sleep(0.05)  # a wire is used when the server has answered the reset


def option_file(path: Path, groups: dict[str, dict[str, str]]) -> str:
    lines = []
    for group, values in groups.items():
        lines += [f"[{group}]", *[f"{key} = {value}" for key, value in values.items()]]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


ANN = {"user": "ann", "password": "pw-ann"}
BOB = {"user": "bob", "password": "pw-bob"}
FILES = {
    "another user": ({"client": ANN}, {"client": BOB}, {}),
    "a wrong password": ({"client": ANN}, {"client": {**ANN, "password": "x"}}, {}),
    "no password": ({"client": ANN}, {"client": {"user": "ann"}}, {}),
    "the user beside a given password": (
        {"client": {"user": "ann"}},
        {"client": {"user": "bob"}},
        {"password": "pw-ann"},
    ),
    "the password of a given user": (
        {"client": {"password": "pw-ann"}},
        {"client": {"password": "pw-bob"}},
        {"user": "ann"},
    ),
    "a group's user": (
        {"client": BOB, "web": ANN},
        {"client": ANN, "web": BOB},
        {"read_default_group": "web"},
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_an_option_file_that_says_something_else(servers, tmp_path, what):
    before, after, more = FILES[what]
    path = tmp_path / "my.cnf"
    options = {**servers, **more, "read_default_file": option_file(path, before)}
    warmed(options)
    option_file(path, after)
    assert who(rwsplit.connect, options) == who(pymysql.connect, plain(options))


def test_another_file_of_the_same_name(servers, tmp_path):
    """A rename, as deployments do it; and a link that leads elsewhere."""
    path, link = tmp_path / "my.cnf", tmp_path / "current"
    for name, step in (("renamed", path), ("linked", link)):
        option_file(tmp_path / "ann.cnf", {"client": ANN})
        option_file(tmp_path / "bob.cnf", {"client": BOB})
        options = {**servers, "read_default_file": str(step), "program_name": name}
        if name == "linked":
            link.symlink_to(tmp_path / "ann.cnf")
        else:
            (tmp_path / "ann.cnf").rename(path)
        warmed(options)
        if name == "linked":
            link.unlink()
            link.symlink_to(tmp_path / "bob.cnf")
        else:
            (tmp_path / "bob.cnf").rename(path)
        assert who(rwsplit.connect, options) == who(pymysql.connect, plain(options))


def test_the_home_folder_is_another_one(servers, tmp_path, monkeypatch):
    for name, account in (("one", ANN), ("two", BOB)):
        (tmp_path / name).mkdir()
        option_file(tmp_path / name / ".my.cnf", {"client": account})
    options = {**servers, "read_default_file": "~/.my.cnf"}
    monkeypatch.setenv("HOME", str(tmp_path / "one"))
    warmed(options)
    monkeypatch.setenv("HOME", str(tmp_path / "two"))
    assert who(rwsplit.connect, options) == who(pymysql.connect, plain(options))


def test_what_the_application_assigns_before_it_connects(servers):
    options = {**servers, **ANN}
    warmed(options)
    found = []
    for connect, given in ((rwsplit.connect, options), (pymysql.connect, plain(options))):
        connection = connect(**given, defer_connect=True)
        connection.user, connection.password = "bob", b"pw-bob"
        connection.connect()
        with closing(connection):
            cursor = connection.cursor()
            cursor.execute("SELECT CURRENT_USER() /* rwsplit: primary */")
            found.append(cursor.fetchone())
    assert found[0] == found[1]


@pytest.mark.parametrize("kept_time", [False, True], ids=["new", "with-the-old-time"])
@pytest.mark.parametrize("by", ["ssl_ca", "ssl", "option-file"])
def test_a_tls_file_that_is_replaced_in_place(mysql_cluster, tmp_path, by, kept_time):
    """The sandbox's MariaDB has no TLS."""
    data = mysql_cluster.primary.data
    authority = tmp_path / "ca.pem"
    shutil.copy(data / "ca.pem", authority)
    options = {
        **mysql_cluster.connect_options,
        "autocommit": True,
        "program_name": f"{by} {kept_time}",
    }
    if by == "ssl_ca":
        options.update(ssl_ca=str(authority), ssl_verify_cert=True)
    elif by == "ssl":
        options["ssl"] = {"ca": str(authority), "check_hostname": False}
    else:
        path = tmp_path / "my.cnf"
        option_file(path, {"client": {"ssl-ca": str(authority)}})
        options.update(read_default_file=str(path), ssl={"check_hostname": False})
    warmed(options)
    stat = authority.stat()
    shutil.copy(data / "client-cert.pem", authority)  # nobody's authority
    if kept_time:
        os.utime(authority, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    expected = who(pymysql.connect, plain(options))
    assert expected == 2003
    assert who(rwsplit.connect, options) == expected


OTHERS = {
    "client_flag": pymysql.constants.CLIENT.FOUND_ROWS,
    "program_name": "another",
    "local_infile": True,
    "bind_address": "127.0.0.1",
    "auth_plugin_map": {b"dialog": object},
    "server_public_key": b"PEM",
    "charset": "latin1",
    "collation": "utf8mb4_bin",
    "sql_mode": "ANSI",
    "init_command": "SET @x = 1",
    "max_allowed_packet": 1 << 20,
    "ssl_disabled": True,
    "autocommit": False,
    "database": None,
}


def test_other_keywords_are_another_account(servers):
    options = {**servers, **ANN}
    for keyword, value in OTHERS.items():
        with closing(rwsplit.connect(**options)) as first:
            thread = first.thread_id()
        time.sleep(0.02)
        with closing(rwsplit.connect(**{**options, keyword: value})) as second:
            assert second.thread_id() != thread, keyword
    warmed(options)
    with closing(rwsplit.connect(**options)) as first:
        thread = first.thread_id()
    time.sleep(0.05)
    with closing(rwsplit.connect(**options)) as second:
        assert second.thread_id() == thread, "and the same ones are the same"


def test_a_password_that_was_changed_is_refused_when_the_wires_have_lived(cluster, servers):
    options = {**servers, **ANN, "pool_max_lifetime": 1.0}
    warmed(options)
    with closing(cluster.admin(cluster.primary)) as admin:
        admin.cursor().execute("ALTER USER ann@'%' IDENTIFIED BY 'changed'")
    try:
        until = time.monotonic() + 10
        while who(rwsplit.connect, options) != 1045:
            assert time.monotonic() < until
            time.sleep(0.1)
    finally:
        with closing(cluster.admin(cluster.primary)) as admin:
            admin.cursor().execute("ALTER USER ann@'%' IDENTIFIED BY 'pw-ann'")


def test_an_account_is_the_same_when_it_connects_again():
    """PyMySQL makes the user bytes, in the character set of the connection."""
    for charset in ("utf8mb4", "latin1", "gbk"):
        made = PhysicalConnection(
            None, user={"gbk": "中"}.get(charset, "bjørn"), charset=charset, defer_connect=True
        )
        first = made.take_identity()
        made.user = made.user.encode(made.encoding)
        assert made.take_identity() == first
        made.user = "another"
        assert made.take_identity() != first


def test_one_virtual_connection_is_one_account(tmp_path):
    """Replicas, a later primary and the monitor do not read the file again."""
    path = tmp_path / "my.cnf"
    given = {"host": "db1", "read_default_file": option_file(path, {"client": ANN})}
    primary = PhysicalConnection(None, **given, defer_connect=True)
    account = Account(given, primary, 1.0)
    option_file(path, {"client": BOB})
    (endpoint,) = rwsplit._core.cluster.endpoint.parse_replicas(["db2"], 3306, frozenset())
    for options in (
        account.options(endpoint),
        account.primary_options(endpoint),
        account.probe_options(endpoint),
    ):
        made = PhysicalConnection(None, **{**options, "defer_connect": True})
        assert (made.user, made.password, made.host) == ("ann", b"pw-ann", "db2")
    primary.aim(account.primary_options(endpoint))
    assert (primary.user, primary.password) == ("ann", b"pw-ann")


# In time.


def threads_of(cluster, user):
    found = 0
    for server in (cluster.primary, *cluster.replicas):
        with closing(cluster.admin(server)) as admin:
            cursor = admin.cursor()
            cursor.execute(
                "SELECT COUNT(*) FROM information_schema.processlist WHERE user = %s", (user,)
            )
            found += cursor.fetchone()[0]
    return found


@pytest.mark.parametrize("limit", [{"pool_max_idle": 0.5}, {"pool_max_lifetime": 0.5}], ids=str)
def test_idle_wires_are_closed_though_nobody_connects_again(cluster, servers, limit):
    options = {**servers, **BOB, **limit}
    connection = rwsplit.connect(**options)
    cluster_of_it = connection.cluster
    with closing(connection):
        cursor = connection.cursor()
        cursor.execute("SELECT 1 FROM information_schema.schemata")
        assert cursor.route.role == "replica"
    cluster_of_it.monitor.stop()
    until = time.monotonic() + 10
    while threads_of(cluster, "bob"):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert "idle=0" in repr(cluster_of_it.pool)


class Wire:
    def __init__(self, made_at):
        self.made_at = made_at
        self.closed = False

    def is_ready(self):
        return True

    def close(self):
        self.closed = True


class Left:
    """A connection that leaves a wire."""

    identity = ("ann",)
    _closed = False

    def __init__(self, made_at):
        self.wire = Wire(made_at)
        self.used = None

    def take_identity(self):
        return self.identity

    def leave(self, holds):
        return self.wire

    def connect(self):
        self.used = "a new one"

    def take_over(self, wire):
        self.used = wire


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    monkeypatch.setattr(pools, "monotonic", lambda: Clock.now)
    monkeypatch.setattr(pools, "watch", lambda pool, due: None)
    return Clock


@pytest.mark.parametrize(
    ("made_at", "after", "is_used"),
    [
        (1000.0, 59.9, True),
        (1000.0, 60.1, False),
        (-760.0, 39.9, True),
        (-760.0, 40.1, False),
        (-900.0, 0.0, False),
    ],
)
def test_how_long_a_wire_is_used(clock, made_at, after, is_used):
    pool = Pool(10, {}, max_idle=60.0, max_lifetime=1800.0)
    first, second = Left(made_at), Left(0.0)
    pool.close("db1", first, ("primary",))
    assert first.wire.closed == (made_at == -900.0)
    clock.now += after
    pool.connect("db1", second, [("primary",)])
    assert (second.used is first.wire) == is_used
    pool.close_expired(clock.now)
    assert first.wire.closed != is_used


def test_the_next_look_is_when_the_first_is_due(clock):
    pool = Pool(10, {}, max_idle=60.0, max_lifetime=100.0)
    assert pool.close_expired(clock.now) is None
    old, new = Left(930.0), Left(1000.0)
    pool.close("db1", new, ("primary",))
    pool.close("db1", old, ("primary",))
    assert pool.close_expired(clock.now) == 1030.0
    assert pool.close_expired(1031.0) == 1060.0
    assert old.wire.closed
    assert not new.wire.closed
    assert pool.close_expired(1061.0) is None
    assert not pool._idle


def test_there_is_one_thread_for_all_pools_and_none_when_nothing_is_idle():
    def reapers():
        return [thread for thread in threading.enumerate() if thread.name == "rwsplit-pools"]

    kept = [Pool(10, {}, max_idle=0.3, max_lifetime=1800.0) for _ in range(3)]
    left = [Left(time.monotonic()) for _ in kept]
    for pool, connection in zip(kept, left, strict=True):
        pool.close("db1", connection, ("primary",))
    assert len(reapers()) == 1
    long = Pool(10, {}, max_idle=100.0, max_lifetime=1800.0)
    last = Left(time.monotonic())
    long.close("db1", last, ("primary",))
    until = time.monotonic() + 10
    while not all(connection.wire.closed for connection in left):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert not last.wire.closed
    long.shut()
    assert last.wire.closed


@pytest.mark.parametrize("keyword", ["pool_max_idle", "pool_max_lifetime"])
@pytest.mark.parametrize("value", [0, -1, "a minute", True, None, float("nan"), float("inf")])
def test_a_bad_time_is_named(keyword, value):
    for make in (
        lambda: rwsplit.connect(host="127.0.0.1", port=1, replicas=[], **{keyword: value}),
        lambda: rwsplit.Cluster("127.0.0.1:1", [], **{keyword: value}),
    ):
        with pytest.raises(ValueError, match=keyword):
            make()


@pytest.mark.parametrize("keyword", ["pool_max_idle", "pool_max_lifetime"])
def test_a_cluster_has_one_time_for_all(servers, monkeypatch, tmp_path, keyword):
    options = {**servers, **ANN}
    with (
        closing(rwsplit.connect(**options, **{keyword: 7})) as connection,
        pytest.raises(ValueError, match=f"{keyword}: 8.0, .* has 7.0"),
    ):
        assert connection.cluster.options._asdict()[keyword] == 7.0
        rwsplit.connect(**options, **{keyword: 8})
    made = rwsplit.Cluster("127.0.0.1:1", ["127.0.0.1:2"], **{keyword: 5})
    with pytest.raises(ValueError, match=f"{keyword}: 6.0, and the cluster has 5.0"):
        rwsplit.connect(cluster=made, **{keyword: 6})
    file = tmp_path / "rwsplit.toml"
    file.write_text(f'[clusters.shop]\nprimary = "127.0.0.1:1"\n{keyword} = 9\n')
    assert rwsplit.Cluster.from_toml(file).options._asdict()[keyword] == 9.0
    file.write_text(f'[clusters.shop]\nprimary = "127.0.0.1:1"\n{keyword} = 0\n')
    with pytest.raises(ValueError, match=keyword):
        rwsplit.Cluster.from_toml(file)
    for made_by_url in ("3", "x"):
        with suppress(rwsplit.OperationalError), pytest.raises(ValueError, match=keyword):
            rwsplit.connect(f"rwsplit://127.0.0.1:1/?{keyword}={made_by_url}&replicas=127.0.0.1:2")
            raise ValueError(keyword)


# Room for one more.


def test_what_is_idle_takes_no_room_from_those_that_connect(cluster, servers):
    """An account that may have two connections can have two, whatever else was closed before."""
    with closing(cluster.admin(cluster.primary)) as admin:
        cursor = admin.cursor()
        cursor.execute("DROP USER IF EXISTS few@'%'")
        cursor.execute("CREATE USER few@'%' IDENTIFIED BY 'pw-few' WITH MAX_USER_CONNECTIONS 2")
        cursor.execute("GRANT ALL ON shop.* TO few@'%'")
    cluster.wait_caught_up()
    shared = rwsplit.Cluster(
        f"{servers['host']}:{servers['port']}", servers["replicas"], pool_size=10
    )
    options = {"user": "few", "password": "pw-few", "cluster": shared}
    shared.monitor.watch = lambda: None  # its own connection counts as well: so say the documents
    try:
        for keywords in ({}, {"charset": "latin1"}, {"database": "shop"}, {"autocommit": True}):
            pair = [rwsplit.connect(**options, **keywords) for _ in range(2)]
            for connection in pair:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1 /* rwsplit: primary */")
            with pytest.raises(pymysql.OperationalError) as caught:
                rwsplit.connect(**options, **keywords)
            assert caught.value.args[0] == 1226
            for connection in pair:
                connection.close()
    finally:
        shared.close()
        with closing(cluster.admin(cluster.primary)) as admin:
            admin.cursor().execute("DROP USER few@'%'")
