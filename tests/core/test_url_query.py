"""A URL that another library has parsed: keywords, typed; what is wrong is named."""

import pytest

from rwsplit._core.setup.keywords import OPTION_KEYWORDS
from rwsplit._core.setup.url_query import read_query

READ = {
    "replicas": ("db2,db3:3307", ["db2", "db3:3307"]),
    "max_wait": ("0.2", 0.2),
    "max_snapshot": ("3", 3.0),
    "max_staleness": ("1.5", 1.5),
    "replica_connect_timeout": ("0.5", 0.5),
    "primary_wait": ("2", 2.0),
    "pool_max_idle": ("30", 30.0),
    "pool_max_lifetime": ("60", 60.0),
    "pool_size": ("5", 5),
    "primary_share": ("0.25", 0.25),
    "track_positions": ("false", False),
    "consistency": ("global", "global"),
    "on_lag": ("primary", "primary"),
    "transactions": ("eventual", "eventual"),
    "reads": ("primary", "primary"),
    "policy": ("least_running", "least_running"),
    "zone": ("eu-1", "eu-1"),
    "cluster": ("shop", "shop"),
    "session_id_kind": ("user", "user"),
    "session_store": ("sqlite:///x", "sqlite:///x"),
    "after": ("connect", "connect"),
    "functions": ("is_open:read,next_no:write", {"is_open": "read", "next_no": "write"}),
    "tags": ("app:web,tier:1", {"app": "web", "tier": "1"}),
    "session_variables": (
        "sql_mode:ANSI,sort_buffer_size:65536",
        {"sql_mode": "ANSI", "sort_buffer_size": 65536},
    ),
    "hints": (
        "maxscale route to slave:replica,hostgroup=1:primary",
        {"maxscale route to slave": "replica", "hostgroup=1": "primary"},
    ),
}


@pytest.mark.parametrize("key", [key for key in OPTION_KEYWORDS if "session" not in key.lower()])
def test_every_keyword_of_ours_is_typed(key):
    text, value = READ[key]
    assert read_query({key: text}) == {key: value}


@pytest.mark.parametrize(
    ("query", "keywords"),
    [
        ({"sessionId": "42"}, {"session_id": "42"}),
        ({"session_id": "42"}, {"session_id": "42"}),
        ({"session_id_kind": "user"}, {"session_id_kind": "user"}),
        ({"session_store": "sqlite:///x"}, {"session_store": "sqlite:///x"}),
        ({"replicas": ("a,b", "c:3307")}, {"replicas": ["a", "b", "c:3307"]}),
        ({"replicas": ""}, {"replicas": []}),
        ({"replicas": "discover"}, {"replicas": "discover"}),
        ({"connect_timeout": "0.5"}, {"connect_timeout": 0.5}),
        ({"read_timeout": "2"}, {"read_timeout": 2.0}),
        ({"autocommit": "true"}, {"autocommit": True}),
        ({"local_infile": "0"}, {"local_infile": False}),
        ({"client_flag": "2"}, {"client_flag": 2}),
        ({"unix_socket": "/run/db.sock"}, {"unix_socket": "/run/db.sock"}),
        ({"passwd": "x"}, {"password": "x"}),
        # As SQLAlchemy's dialects have always meant them: a CA is one to verify by.
        ({"ssl_ca": "ca.pem"}, {"ssl": {"ca": "ca.pem"}}),
        (
            {"ssl_ca": "ca.pem", "ssl_check_hostname": "false"},
            {"ssl": {"ca": "ca.pem", "check_hostname": False}},
        ),
        (
            {"ssl_ca": "ca.pem", "ssl_verify_identity": "true", "ssl_verify_cert": "true"},
            {"ssl": {"ca": "ca.pem", "check_hostname": True, "verify_mode": True}},
        ),
        ({"ssl_disabled": "true"}, {"ssl_disabled": True}),
        ({"max_wate": "1"}, {"max_wate": "1"}),  # connect() names it
        ({"host": ("a:1", "b:2")}, {"host": "a", "port": 1, "replicas": ["b:2"]}),
        ({"host": ("a", "b")}, {"host": "a", "replicas": ["b"]}),
        ({"host": ("a", "b"), "port": "7"}, {"host": "a", "port": 7, "replicas": ["b"]}),
        ({"host": ("a", "b"), "replicas": "c"}, {"host": "a", "replicas": ["b", "c"]}),
        ({"host": "[::1]:5"}, {"host": "::1", "port": 5}),
    ],
)
def test_the_query(query, keywords):
    assert read_query(query) == keywords


@pytest.mark.parametrize(
    ("host", "port", "query", "keywords"),
    [
        ("db1", None, {}, {"host": "db1"}),
        ("db1", 3307, {}, {"host": "db1", "port": 3307}),
        ("::1", 3307, {}, {"host": "::1", "port": 3307}),
        ("db1,db2,db3", None, {}, {"host": "db1", "replicas": ["db2", "db3"]}),
        ("db1,db2", None, {"replicas": "db3"}, {"host": "db1", "replicas": ["db2", "db3"]}),
    ],
)
def test_the_host(host, port, query, keywords):
    assert read_query(query, host, port) == keywords


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"max_wait": "soon"}, "max_wait: expected seconds"),
        ({"max_wait": "nan"}, "max_wait: expected seconds"),
        ({"connect_timeout": "-1"}, "connect_timeout: expected seconds"),
        ({"autocommit": "maybe"}, "autocommit: expected true or false"),
        ({"pool_size": "-1"}, "pool_size: expected a whole number"),
        ({"tags": "web"}, "tags: expected name:value"),
        ({"ssl": "yes"}, "ssl: expected a table"),
        ({"cursorclass": "DictCursor"}, "cursorclass: expected an object"),
        ({"sessionId": "1", "session_id": "2"}, "session_id: given twice"),
        ({"max_wait": ("1", "2")}, "max_wait: given twice"),
        ({"password": "x"}, "password: given twice"),
        ({"ssl_check_hostname": "1", "ssl_verify_identity": "1"}, "ssl_verify_identity: given tw"),
        ({"host": "b"}, "host: given twice"),
        ({"replicas": "discover", "host": ""}, None),
    ],
)
def test_what_is_wrong_is_named(query, named):
    if named is None:
        read_query(query, "a")
        return
    with pytest.raises(ValueError, match=named.replace("?", r"\?")):
        read_query(query, "a", others=["password"])


def test_whose_port_it_is_must_be_clear():
    with pytest.raises(ValueError, match="host: which of the hosts has port 3307 is not clear"):
        read_query({}, "db1,db2", 3307)
    with pytest.raises(ValueError, match="port: given twice"):
        read_query({"port": "1"}, "db1", 3307)
    with pytest.raises(ValueError, match="host: with replicas=discover there is one host"):
        read_query({"replicas": "discover"}, "db1,db2")


def test_no_value_of_a_wrong_key_is_shown():
    for query in ({"tags": "geheim"}, {"max_wait": "geheim"}, {"host": "u:geheim@b"}):
        with pytest.raises(ValueError) as caught:
            read_query(query)
        assert "geheim" not in str(caught.value)
