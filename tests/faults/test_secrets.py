"""A password is shown nowhere: in no error and none behind it, no log, no repr, no other's file.

Passwords in wrong places included: before a host, as a port, in a keyword of another kind.
"""

from __future__ import annotations

import logging
import os
import pickle
import sqlite3
import stat
from pathlib import Path

import pytest

import rwsplit
from rwsplit._core.cluster.endpoint import parse_primary, parse_replicas
from rwsplit._core.setup.config import ConfigError, parse_config
from rwsplit._core.setup.options import ClusterOptions, Options, parse_options
from rwsplit._drivers.pymysql import CONNECT_KEYWORDS, PhysicalConnection
from rwsplit._shell.account import Account
from rwsplit._stores import open_store
from rwsplit._stores.sqlite import SQLiteStore

SECRET = "sesame"


def said(error: BaseException | None) -> str:
    """All that a log would show of an error and of those that it came from."""
    found = []
    while error is not None:
        found += [str(error), repr(error), repr(getattr(error, "__dict__", ""))]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(found)


ADDRESSES = [
    "u:sesame@h:3306",
    "u:sesame@h",
    "sesame@h",
    "u:sesame",
    "u:sesame:3306",
    "u:p:sesame@h",
    "u:sesame@[::1]:3306",
    "[u:sesame@h]:3306",
    "[::1]sesame",
    "[::1]:sesame",
    "[sesame",
    "mysql://u:sesame@h/shop",
    "mysql://u:sesame@h:3306",
    "//u:sesame@h",
    "u/sesame@h",
    "h sesame",
    "h:3306:sesame",
    "h:sesame ",
    "@sesame",
    ":sesame",
]


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_with_an_account(text):
    calls = {
        "a replica": lambda: parse_replicas([text], 3306, CONNECT_KEYWORDS),
        "a primary": lambda: parse_primary(text, 3306),
        "connect": lambda: rwsplit.connect(host="127.0.0.1", port=1, replicas=["db2", text]),
        "a cluster": lambda: rwsplit.Cluster(text, ["db2"]),
        "a cluster's replica": lambda: rwsplit.Cluster("db1", [text]),
        "a file's primary": lambda: config(f"primary = {text!r}"),
        "a file's replica": lambda: config(f"primary = 'db1'\nreplicas = [{text!r}]"),
        "a file's table": lambda: config(f"primary = {{ host = 'h', port = {text!r} }}"),
    }
    for what, call in calls.items():
        with pytest.raises(ValueError) as caught:
            call()
        assert SECRET not in said(caught.value), what


@pytest.mark.parametrize("text", [text for text in ADDRESSES if "@" in text])
def test_a_host_with_an_account(text):
    calls = {
        "a replica": lambda: parse_replicas([{"host": text}], 3306, CONNECT_KEYWORDS),
        "a primary": lambda: parse_primary({"host": text}, 3306),
        "the primary": lambda: rwsplit.connect(host=text, replicas=["db2"]),
        "the primary of none": lambda: rwsplit.connect(host=text, replicas=[]),
        "a file": lambda: config(f"primary = {{ host = {text!r} }}"),
    }
    for what, call in calls.items():
        with pytest.raises(ValueError, match="host") as caught:
            call()
        assert SECRET not in said(caught.value), what


ENTRIES = [
    {"host": "h", "port": "sesame"},
    {"host": "h", "port": ["sesame"]},
    {"host": "h", "port": {"password": "sesame"}},
    {"host": ["sesame"]},
    {"host": {"password": "sesame"}},
    {"host": b"sesame"},
    {"u:sesame@h": 3306},
    {"host": "h", "weight": {"password": "sesame"}},
    {"host": "h", "name": ("sesame",)},
    {"host": "h", "zone": {"sesame"}},
    {"host": "h", "unix_socket": ["sesame"]},
    {"password": "sesame"},
    {"host": "h", "password": "sesame", "wieght": 1},
    {"host": "h", "password": "sesame€"},
    {"host": "h", "password": "sesame", "port": 0},
    {"host": "h", "password": "sesame", "connect_timeout": 0},
    "u:sesame@h",
    ["sesame"],
    b"u:sesame@h",
    ("u", "sesame", "h"),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_a_replica_of_another_kind(entry):
    with pytest.raises((ValueError, TypeError, KeyError)) as caught:
        rwsplit.connect(host="127.0.0.1", port=1, replicas=[entry])
    assert SECRET not in said(caught.value)


def test_keywords_of_another_kind():
    values = [["sesame"], {"password": "sesame"}, ("sesame",), {"sesame"}, b"sesame", "u:sesame@h"]
    shown = set()
    for key in Options._fields:
        for value in values:
            if key in ("zone", "session_id", "cluster", "discover"):
                continue
            try:
                parse_options({key: value}, 3306, CONNECT_KEYWORDS)
            except (ValueError, TypeError) as error:
                # What tables hold is shown where it is no password's place.
                if SECRET in said(error) and key not in ("functions", "hints", "tags"):
                    shown.add((key, str(value)))
    assert not shown


def config(text: str, **environ: str):
    return parse_config(f"[clusters.shop]\n{text}\n", "rwsplit.toml", environ, lambda name: "")


FILES = [
    "primary = 'db1'\npassword = ['sesame']",
    "primary = 'db1'\npassword = { sesame = 1 }",
    "primary = 'db1'\npassword = { env = 'x', sesame = 'y' }",
    "primary = 'db1'\nsession_store = 'sesame'\nmax_wait = 0",
    "primary = 'db1'\nsession_store = ['sesame']",
    "primary = 'db1'\nssl_key_password = { password = 'sesame' }",
    "primary = 'db1'\nhost = 'u:sesame@h'",
    "primary = 'db1'\nuser = ['sesame']",
    "primary = 'db1'\nreads = 'u:sesame@h'",
    "primary = 'db1'\npolicy = { password = 'sesame' }",
    "primary = 'db1'\ncharset = { env = 'PW' }\nport = 1",
    "primary = 'db1'\npassword = 'sesame\n",
    "primary = 'db1'\npassword = \"sesame' ",
    "primary = 'db1'\npassword = 'sesame'\nreplicas = [{ host = 'db2', passwrod = 'sesame' }]",
    "primary = ['sesame']",
    "primary = 'db1'\nreplicas = 'u:sesame@h'",
    "primary = 'db1'\nreplicas = [['sesame']]",
    "primary = 'db1'\nreplicas = [{ host = 'u:sesame@h' }]",
]


@pytest.mark.parametrize("text", FILES)
def test_a_file_with_a_mistake(text):
    with pytest.raises(ConfigError) as caught:
        config(text, PW="sesame")
    assert SECRET not in said(caught.value)


URLS = [
    "rwsplit://u:sesame@h:x/shop",
    "rwsplit://u:sesame@h:99999/shop",
    "rwsplit://u:sesame@h/shop?frob=1",
    "rwsplit://u:ses/ame@h/sesame@",
    "rwsplit://u:se#sesame@h/shop",
    "rwsplit://u:se?sesame@h/shop",
    "rwsplit://u:se?sesame=1@h/shop",
    "rwsplit://u:1?policy=sesame@h/shop",
    "rwsplit://u:1?reads=sesame@h/shop",
    "http://u:sesame@h/shop",
    "u:sesame@h/shop",
    "rwsplit://h/shop?password=sesame&password=sesame",
    "rwsplit://h/shop?replicas=u:sesame@h",
    "rwsplit://h/shop?replicas=a,u:sesame",
    "rwsplit://h/shop?session_store=redis://:12se%23same@h:sesame",
    "rwsplit://h/shop?session_store=sesame",
    "rwsplit://h/shop?ssl=sesame",
    "rwsplit://h/shop?cluster=u:sesame@h",
]


@pytest.mark.parametrize("url", URLS)
def test_a_url_with_a_mistake(url):
    with pytest.raises(ValueError) as caught:
        rwsplit.connect(url)
    assert SECRET not in said(caught.value)


STORES = [
    "redis://:sesame@127.0.0.1:x",
    "redis://u:1?sesame=1@127.0.0.1",
    "redis://u:1/sesame@127.0.0.1",
    "redis://u:se#sesame@127.0.0.1",
    "redis://u:[sesame@127.0.0.1",
    "rediss//:sesame@h",
    "sqlite://u:sesame@h",
    "postgres://u:sesame@h",
    "sesame",
]


@pytest.mark.parametrize("url", STORES)
def test_a_store_with_a_mistake(url):
    with pytest.raises(ValueError, match="session_store") as caught:
        open_store(url)
    assert SECRET not in said(caught.value)


def test_a_store_that_cannot_be_reached_shows_no_address():
    store = open_store("redis://app:sesame@127.0.0.1:1/0?prefix=x:")
    with pytest.raises(rwsplit.StoreError) as caught:
        store.get("a")
    assert SECRET not in said(caught.value) + repr(store) + str(vars(store).get("_redis"))


def test_what_holds_passwords_does_not_show_them():
    (endpoint,) = parse_replicas([{"host": "db2", "password": SECRET}], 3306, CONNECT_KEYWORDS)
    primary = PhysicalConnection(None, user="app", password=SECRET, defer_connect=True)
    account = Account({"user": "app", "password": SECRET}, primary, 1.0)
    shop = config(
        f"primary = 'db1'\npassword = '{SECRET}'\nreplicas = [{{host='db2',password='{SECRET}'}}]"
    )
    options = parse_options(
        {"session_store": f"redis://:{SECRET}@h", "replicas": [{"host": "h", "password": SECRET}]},
        3306,
        CONNECT_KEYWORDS,
    )
    identity = primary.take_identity()
    shared = shop.clusters["shop"].shared()
    for each in (
        endpoint,
        endpoint._asdict(),
        endpoint.overrides,
        account,
        primary,
        identity,
        shop,
        shop.clusters,
        shared,
        shared._asdict(),
        ClusterOptions(defaults=shared.defaults).with_defaults(),
        options,
        options.replicas,
    ):
        assert SECRET not in f"{each!r}{each!s}"
    assert pickle.loads(pickle.dumps(endpoint)) == endpoint


def test_clusters_that_contradict_show_no_password(tmp_path):
    file = tmp_path / "rwsplit.toml"
    text = (
        "[clusters.shop]\nprimary = '127.0.0.1:1'\nreplicas = [{ host = 'db2', password = '%s' }]\n"
    )
    file.write_text(text % SECRET + "password = 'one sesame'\n")
    first = rwsplit.Cluster.from_toml(file)
    first.users.add(users := type("User", (), {"open": True, "_is_in_use": lambda self: True})())
    for other in (
        text % "another" + "password = 'one sesame'",
        text % SECRET + "password = 'two sesame'",
    ):
        file.write_text(other)
        with pytest.raises(ValueError, match=r"shop|db2|127") as caught:
            rwsplit.Cluster.from_toml(file)
        assert SECRET not in said(caught.value)
    assert SECRET not in repr(first) + repr(first.pool) + repr(first.options) + repr(users)


@pytest.mark.parametrize("wrong", ["the primary", "a replica"])
def test_a_refused_password_is_in_no_log_and_no_error(cluster, connect, caplog, wrong):
    caplog.set_level(logging.DEBUG, "rwsplit")
    options = dict(cluster.connect_options)
    if wrong == "the primary":
        with pytest.raises(rwsplit.OperationalError) as caught:
            connect(password=SECRET)
        assert caught.value.args[0] == 1045
        assert SECRET not in said(caught.value)
    else:
        ports = [int(text.rpartition(":")[2]) for text in options["replicas"]]
        replicas = [{"host": "127.0.0.1", "port": port, "password": SECRET} for port in ports]
        cursor = connect(replicas=replicas).cursor()
        cursor.execute("SELECT 1 FROM information_schema.schemata")
        assert cursor.route.role == "primary"
        assert SECRET not in repr(cursor.connection) + repr(cursor.connection.cluster)
        assert SECRET not in str(cursor.route)
        assert caplog.records
    assert SECRET not in caplog.text


# The file of a store.


def modes(path: Path) -> dict[str, str]:
    files = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
    return {
        file.name[len(path.name) :]: oct(file.stat().st_mode & 0o777)
        for file in files
        if file.exists()
    }


@pytest.fixture(params=["0o022", "0o000", "0o077"])
def umask(request):
    before = os.umask(int(request.param, 8))
    yield
    os.umask(before)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "positions.db"


def use(path: Path) -> None:
    store = SQLiteStore(str(path))
    store.begin(rwsplit._core.cluster.position.parse_position("mariadb", "0-1-5"))
    store.publish("a web session's id", store.open("a web session's id"), None)
    globals()["_kept"] = store  # its -wal and -shm are there while it is open


@pytest.mark.usefixtures("umask")
def test_the_file_of_a_store_is_its_owners_alone(path):
    use(path)
    assert modes(path) == {"": "0o600", "-wal": "0o600", "-shm": "0o600"}


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (0o644, "0o600"),
        (0o600, "0o600"),
        (0o664, "0o660"),
        (0o660, "0o660"),
        (0o666, "0o666"),
        (0o640, "0o600"),
    ],
    ids=str,
)
def test_a_file_that_is_there_is_never_opened_wider(path, before, after):
    sqlite3.connect(path).close()
    path.chmod(before)
    use(path)
    assert set(modes(path).values()) == {after}


def test_a_store_in_memory_makes_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    SQLiteStore(":memory:").begin(rwsplit._core.cluster.position.parse_position("mariadb", "0-1-5"))
    assert not [*tmp_path.iterdir()]


def test_what_a_link_leads_to_is_private_too(tmp_path, path):
    aim = tmp_path / "aim.db"
    path.symlink_to(aim)
    use(path)
    assert stat.S_IMODE(aim.stat().st_mode) & 0o077 == 0
