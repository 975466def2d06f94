"""The configuration file: what it means, and every mistake in it told at once, by its key."""

import pprint
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rwsplit._core.cluster.endpoint import Endpoint
from rwsplit._core.setup.config import Config, ConfigError, digest_of, parse_config
from rwsplit._core.setup.config_values import Hidden, check_option
from rwsplit._core.setup.keywords import CONNECT_KEYWORDS, OPTION_KEYWORDS, Holds
from rwsplit._core.setup.options import KEYWORDS
from rwsplit._core.setup.rules import Limit, Refuse, SendTo
from rwsplit._drivers.pymysql import CONNECT_KEYWORDS as DRIVER_KEYWORDS

ENVIRON = {"SHOP_PASSWORD": "sesame-env", "EMPTY": ""}
FILES = {"/run/secrets/forum": "sesame-file\n"}

VALID = """
[clusters.shop]
primary = "db-primary:3306"
user = "app"
password = { env = "SHOP_PASSWORD" }
database = "shop"
connect_timeout = 3
autocommit = true
client_flag = 2
consistency = "session"
max_wait = 0.2
pool_size = 20
monitor_interval = 1.0
policy = "round_robin"
functions = { price = "read" }

[clusters.shop.groups.main]
replicas = ["db-r1", { host = "db-r2", weight = 2, zone = "b", read_timeout = 5.0 }]
policy = "round_robin"
pool_size = 10
monitor_interval = 0.5

[clusters.shop.groups.canary]
replicas = [{ name = "new", host = "db-r3", password = "sesame-canary" }]
only_by_rule = true

[[clusters.shop.rules]]
match = { user = "report", tag = { job = "nightly" } }
send_to = "canary"

[[clusters.shop.rules]]
name = "new servers"
match = { statement = "(?i)from orders" }
send_to = "canary"
percent = 10
consistency = "eventual"
weaken = true

[clusters.forum]
primary = { host = "::1", port = 3307 }
password = { file = "/run/secrets/forum" }
replicas = ["db-f1", "db-f2:3306"]

[[clusters.forum.rules]]
match = { statement = "(\\\\w+) FROM logs" }
refuse = "ask the data team"

[[clusters.forum.rules]]
match = { digest = "SELECT * FROM posts WHERE id = %s" }
limit = { running = 4, wait = 0.5 }
"""


def read_file(path):
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory", path)
    return FILES[path]


def parse(text=VALID, **keywords):
    return parse_config(text, "rwsplit.toml", ENVIRON, read_file, **keywords)


def cluster(text):
    return parse(f'[clusters.c]\nprimary = "db"\n{text}').clusters["c"]


def problems(text, **keywords):
    with pytest.raises(ConfigError) as caught:
        parse(text, **keywords)
    assert "sesame" not in str(caught.value)
    assert str(caught.value).splitlines() == list(caught.value.problems)
    return caught.value.problems


def test_a_cluster_has_its_primary_groups_rules_and_keywords():
    shop = parse().clusters["shop"]
    assert shop.name == "shop"
    assert shop.primary == Endpoint("db-primary:3306", "db-primary", 3306, role="primary")
    assert [replica.name for replica in shop.replicas] == ["db-r1:3306", "db-r2:3306", "new"]
    assert [replica.group for replica in shop.replicas] == ["main", "main", "canary"]
    assert shop.replicas[1] == Endpoint(
        "db-r2:3306",
        "db-r2",
        3306,
        weight=2,
        zone="b",
        group="main",
        overrides={"read_timeout": 5.0},
    )
    assert shop.groups["main"] == ("main", False, "round_robin", 10, 0.5)
    assert shop.groups["canary"] == ("canary", True, None, None, None)
    assert shop.defaults == {
        "user": "app",
        "password": "sesame-env",
        "database": "shop",
        "connect_timeout": 3,
        "autocommit": True,
        "client_flag": 2,
    }
    assert shop.options == {
        "consistency": "session",
        "max_wait": 0.2,
        "pool_size": 20,
        "policy": "round_robin",
        "functions": {"price": "read"},
    }
    assert shop.monitor_interval == 1.0
    assert [rule.name for rule in shop.rules] == ["rules[0]", "new servers"]
    assert shop.rules[1].action == SendTo("canary", 10.0, "new servers")


def test_replicas_without_groups():
    forum = parse().clusters["forum"]
    assert forum.primary.name == "[::1]:3307"
    assert forum.defaults == {"password": "sesame-file"}
    assert [replica.group for replica in forum.replicas] == [None, None]
    assert forum.groups == {}
    assert [rule.action for rule in forum.rules] == [Refuse("ask the data team"), Limit(4, 0.5)]
    assert forum.rules[1].when.digest == digest_of("SELECT * FROM posts WHERE id = 1")


def test_a_replica_without_a_port_has_the_primarys_as_in_connect():
    assert parse().clusters["forum"].replicas[0].port == 3307


def test_what_serves_without_a_rule():
    shop, forum = parse().clusters.values()
    assert [each.name for each in shop.serving()] == ["db-r1:3306", "db-r2:3306"]
    assert [each.name for each in shop.serving("canary")] == ["new"]
    assert forum.serving() == forum.replicas


def test_a_file_may_say_little():
    assert parse("") == Config({}, "rwsplit.toml")
    assert parse("[clusters]").clusters == {}
    alone = cluster("")
    assert alone.replicas == alone.rules == ()
    assert alone.defaults == alone.options == alone.groups == {}


def test_a_file_with_a_byte_order_mark_is_read():
    assert parse("\ufeff" + VALID).clusters.keys() == {"shop", "forum"}


def test_old_names_of_keywords_are_translated():
    assert cluster('passwd = "sesame"\ndb = "d"').defaults == {
        "password": "sesame",
        "database": "d",
    }


def test_secrets_come_from_the_environment_and_from_files():
    given = 'ssl_key_password = { file = "/run/secrets/forum" }\nuser = { env = "SHOP_PASSWORD" }'
    assert cluster(given).defaults == {"ssl_key_password": "sesame-file", "user": "sesame-env"}
    assert cluster('password = { env = "EMPTY" }').defaults == {"password": ""}
    assert cluster('session_store = { env = "SHOP_PASSWORD" }').options == {
        "session_store": "sesame-env"
    }
    replica = 'replicas = [{ host = "r", password = { env = "SHOP_PASSWORD" } }]'
    assert cluster(replica).replicas[0].overrides == {"password": "sesame-env"}


def test_a_secrets_file_may_end_with_one_line_end():
    for ending, expected in [("", "a b"), ("\n", "a b"), ("\r\n", "a b"), ("\n\n", "a b\n")]:
        text = '[clusters.c]\nprimary = "db"\npassword = { file = "f" }'
        found = parse_config(text, "f", {}, lambda path, ending=ending: f"a b{ending}")
        assert found.clusters["c"].defaults["password"] == expected


def test_the_servers_key_is_bytes_as_pymysql_wants_it():
    assert cluster('server_public_key = "PEM"').defaults == {"server_public_key": b"PEM"}


def test_discovery_is_a_keyword():
    found = cluster('replicas = "discover"')
    assert found.replicas == ()
    assert found.options == {"replicas": "discover"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("db-primary",), "shop"),
        (("DB-Primary", 3306), "shop"),
        (("db-primary", 0), "shop"),
        (("db-primary", 3307), None),
        (("db-r1", 3306), None),
        (("::1", 3307), "forum"),
        ((None,), "local"),
        (("localhost", 3306), "local"),
        (("db-primary", 3306, "/run/mysqld.sock"), "socket"),
        ((None, None, "/run/mysqld.sock"), "socket"),
    ],
)
def test_connect_finds_a_cluster_by_its_primarys_address(asked, expected):
    config = parse(
        VALID
        + '[clusters.local]\nprimary = "localhost"\n'
        + '[clusters.socket]\nprimary = { unix_socket = "/run/mysqld.sock" }'
    )
    found = config.by_address(*asked)
    assert (found.name if found else None) == expected


def test_connect_finds_a_cluster_by_its_name():
    config = parse()
    assert config.by_name("shop") is config.clusters["shop"]
    with pytest.raises(ValueError, match=r"shop, forum.*'shp'; did you mean 'shop'"):
        config.by_name("shp")


def test_one_replica_may_have_many_mistakes():
    entry = '{ name = 5, host = "", port = 0, weight = -1, rank = 1.5, zone = 1, read_timeout = 0 }'
    lines = problems(f'[clusters.a]\nprimary = "db"\nreplicas = [{entry}]')
    keys = {line.split(": ")[1].rpartition(".")[2] for line in lines}
    assert keys == {"name", "host", "port", "weight", "rank", "zone", "read_timeout"}


# What is replaced in VALID, by what; the key that is told; words of its line.
MISTAKES = [
    ("[clusters.shop]", "[clustrs]\n[clusters.shop]", "clustrs", ["mean 'clusters'"]),
    ('primary = "db-primary:3306"', "", "clusters.shop.primary", ["missing", "host[:port]"]),
    ('"db-primary:3306"', "3306", "clusters.shop.primary", ["host[:port]", "3306"]),
    ('"db-primary:3306"', '"db-primary:x"', "clusters.shop.primary", ["number"]),
    ('"db-primary:3306"', '"u:sesame@db"', "clusters.shop.primary", ["without user and password"]),
    ('"db-primary:3306"', "{ port = 1 }", "clusters.shop.primary", ["'host'", "missing"]),
    ('"db-primary:3306"', '{ hots = "a" }', "clusters.shop.primary.hots", ["mean 'host'"]),
    (
        'primary = "db-primary:3306"',
        'primary = "d"\nhost = "d"',
        "clusters.shop.host",
        ["'primary'"],
    ),
    ('user = "app"', "user = 5", "clusters.shop.user", ["text", "5"]),
    ('user = "app"', 'usr = "app"', "clusters.shop.usr", ["keyword of connect()", "mean 'user'"]),
    ('user = "app"', 'conv = "app"', "clusters.shop.conv", ["connect()"]),
    ('user = "app"', 'cluster = "app"', "clusters.shop.cluster", ["connect()"]),
    ('{ env = "SHOP_PASSWORD" }', "5", "clusters.shop.password", ["text", "{ env", "{ file"]),
    ('{ env = "SHOP_PASSWORD" }', '["sesame"]', "clusters.shop.password", ["text"]),
    ('{ env = "SHOP_PASSWORD" }', '{ env = "NO" }', "clusters.shop.password.env", ["'NO'", "set"]),
    ('{ env = "SHOP_PASSWORD" }', '{ env = "ses@me" }', "clusters.shop.password.env", ["not set"]),
    ('{ env = "SHOP_PASSWORD" }', "{ env = 5 }", "clusters.shop.password", ["{ env = "]),
    ('{ env = "SHOP_PASSWORD" }', "{}", "clusters.shop.password", ["{ env = "]),
    ('{ env = "SHOP_PASSWORD" }', '{ is = "sesame" }', "clusters.shop.password", ["{ env = "]),
    (
        '{ file = "/run/secrets/forum" }',
        '{ file = "/no" }',
        "clusters.forum.password.file",
        ["'/no'"],
    ),
    ('database = "shop"', 'database = "a"\ndb = "b"', "clusters.shop.db", ["'database'"]),
    (
        "connect_timeout = 3",
        "connect_timeout = -3",
        "clusters.shop.connect_timeout",
        ["-3", "year"],
    ),
    ("connect_timeout = 3", "connect_timeout = nan", "clusters.shop.connect_timeout", ["nan"]),
    ("autocommit = true", "autocommit = 1", "clusters.shop.autocommit", ["true or false", "1"]),
    ("client_flag = 2", "client_flag = 2.5", "clusters.shop.client_flag", ["whole", "2.5"]),
    ("client_flag = 2", "ssl = true", "clusters.shop.ssl", ["table", "True"]),
    (
        '"session"',
        '"sesion"',
        "clusters.shop.consistency",
        ["eventual, session, global", "'sesion'"],
    ),
    ("max_wait = 0.2", "max_wait = 0", "clusters.shop.max_wait", ["seconds", "0"]),
    ("max_wait = 0.2", "max_wiat = 0.2", "clusters.shop.max_wiat", ["mean 'max_wait'"]),
    ("pool_size = 20", 'pool_size = "many"', "clusters.shop.pool_size", ["whole", "'many'"]),
    (
        "monitor_interval = 1.0",
        "monitor_interval = 0",
        "clusters.shop.monitor_interval",
        ["seconds"],
    ),
    (
        'functions = { price = "read" }',
        'functions = { f = "x" }',
        "clusters.shop.functions['f']",
        ["'x'"],
    ),
    ('["db-r1", ', '["db-r1:0", ', "clusters.shop.groups.main.replicas[0]", ["65535", "0"]),
    ('["db-r1", ', "[5, ", "clusters.shop.groups.main.replicas[0]", ["host[:port]", "5"]),
    ('["db-r1", ', '["a:sesame@b", ', "clusters.shop.groups.main.replicas[0]", ["without user"]),
    (
        "weight = 2",
        "weight = -1",
        "clusters.shop.groups.main.replicas[1].weight",
        ["at least 0", "-1"],
    ),
    ("weight = 2", "wieght = 2", "clusters.shop.groups.main.replicas[1].wieght", ["mean 'weight'"]),
    ("weight = 2", 'group = "x"', "clusters.shop.groups.main.replicas[1].group", ["its group"]),
    ("weight = 2", "max_wait = 1", "clusters.shop.groups.main.replicas[1].max_wait", ["unknown"]),
    ('zone = "b"', "zone = 5", "clusters.shop.groups.main.replicas[1].zone", ["text", "5"]),
    (
        "read_timeout = 5.0",
        "read_timeout = 0",
        "clusters.shop.groups.main.replicas[1].read_timeout",
        ["0"],
    ),
    ('"sesame-canary"', "5", "clusters.shop.groups.canary.replicas[0].password", ["{ env"]),
    (
        '[{ name = "new"',
        '5\nx = [{ name = "new"',
        "clusters.shop.groups.canary.replicas",
        ["list", "5"],
    ),
    (
        "only_by_rule = true",
        "only_by_rule = 1",
        "clusters.shop.groups.canary.only_by_rule",
        ["true or false"],
    ),
    (
        "only_by_rule = true",
        "only = true",
        "clusters.shop.groups.canary.only",
        ["expected replicas, only_by_rule"],
    ),
    ("pool_size = 10", "pool_size = -1", "clusters.shop.groups.main.pool_size", ["-1"]),
    (
        "monitor_interval = 0.5",
        "monitor_interval = false",
        "clusters.shop.groups.main.monitor_interval",
        ["False"],
    ),
    (
        "[clusters.shop.groups.canary]",
        "[clusters.shop.groups.none]\n[clusters.shop.groups.canary]",
        "clusters.shop.groups.none.replicas",
        ["at least one"],
    ),
    ('job = "nightly"', "job = 5", "clusters.shop.rules[0].match.tag.job", ["text", "5"]),
    ('user = "report"', 'usr = "report"', "clusters.shop.rules[0].match.usr", ["mean 'user'"]),
    (
        '"(?i)from orders"',
        '"(?i)from (orders"',
        "clusters.shop.rules[1].match.statement",
        ["regular"],
    ),
    ("percent = 10", "percent = 101", "clusters.shop.rules[1].percent", ["100", "101"]),
    ('name = "new servers"', 'send = "main"', "clusters.shop.rules[1].send", ["mean 'send_to'"]),
    ("weaken = true", "weaken = false", "clusters.shop.rules[1].consistency", ["weaken = true"]),
    (
        'refuse = "ask the data team"',
        'send_to = "main"',
        "clusters.forum.rules[0].send_to",
        ["(none)"],
    ),
    ("running = 4", "running = 4.5", "clusters.forum.rules[1].limit.running", ["4.5"]),
    (
        'replicas = ["db-f1", "db-f2:3306"]',
        'replicas = "db-f1"',
        "clusters.forum.replicas",
        ["list", "'db-f1'"],
    ),
    (
        'replicas = ["db-f1", "db-f2:3306"]',
        'groups = ["a"]',
        "clusters.forum.groups",
        ["table", "a list"],
    ),
    (
        'replicas = ["db-f1", "db-f2:3306"]',
        "[clusters.'my shop']",
        "clusters.'my shop'.primary",
        ["missing"],
    ),
]

# Those that need another key to be right.
CONTRADICTIONS = [
    ('["db-r1", ', '["db-primary", ', "clusters.shop.groups.main.replicas[0]", ["the primary"]),
    (
        'name = "new", ',
        'name = "db-r1:3306", ',
        "clusters.shop.groups.canary.replicas[0].name",
        ["main.replicas[0]"],
    ),
    (
        'host = "::1", port = 3307',
        'host = "DB-primary"',
        "clusters.forum.primary",
        ["clusters.shop"],
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "key", "words"), MISTAKES + CONTRADICTIONS, ids=lambda value: str(value)[:50]
)
def test_a_mistake_is_told_with_its_file_and_key(old, new, key, words):
    assert VALID.count(old) == 1
    found = problems(VALID.replace(old, new))
    told = [line for line in found if line.startswith(f"rwsplit.toml: {key}: ")]
    assert len(told) == 1, found
    for word in words:
        assert word in told[0]


@given(st.lists(st.sampled_from(MISTAKES), min_size=1, max_size=8))
def test_any_number_of_mistakes_is_told_at_once(mistakes):
    text, keys, places = VALID, [], []
    for old, new, key, _ in mistakes:
        # No two in one place, and none within another's key.
        pairs = [(key, other) for other in keys] + [(old, other) for other in places]
        if not any(one in other or other in one for one, other in pairs):
            text = text.replace(old, new)
            keys.append(key)
            places.append(old)
    found = problems(text)
    for key in keys:
        assert any(line.startswith(f"rwsplit.toml: {key}: ") for line in found), (key, found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[clusters.shop\n", ["no TOML", "line 1"]),
        ("[clusters.shop]\npassword = sesame", ["no TOML", "line 2"]),
        ("[clusters.shop]\npassword = 'sesame", ["no TOML", "end of document"]),
        ("clusters = 5", ["clusters: expected a table, got 5"]),
        ("[clusters]\nshop = 'db'", ["clusters.shop: expected a table, got 'db'"]),
        ('[clusters.a]\nprimary = "d"\nrules = 5', ["clusters.a.rules: expected a list of tables"]),
        ('[clusters.a]\nprimary = "d"\ngroups.b = 5', ["clusters.a.groups.b: expected a table"]),
    ],
)
def test_what_is_no_configuration_at_all_is_told(text, words):
    (line,) = problems(text)
    assert line.startswith("rwsplit.toml: ")
    for word in words:
        assert word in line


def test_a_secrets_file_that_is_no_text_is_told():
    def read_bytes(path):
        return b"sesame\xff".decode()

    with pytest.raises(ConfigError, match=r"password\.file: can't read '/p': it is no text"):
        parse_config('[clusters.a]\nprimary="d"\npassword={file="/p"}', "f", {}, read_bytes)


def test_the_caller_may_check_rwsplits_keywords():
    """With what this module does not know: its message is told under the key's path."""

    def check(key, value):
        if key == "policy":
            raise ValueError(f"no such thing as {value}")

    lines = problems(VALID, check=check)
    assert lines == (
        "rwsplit.toml: clusters.shop.policy: no such thing as round_robin",
        "rwsplit.toml: clusters.shop.groups.main.policy: no such thing as round_robin",
    )


odd = st.text("QZJ!/@:%#?&='\"\\ ", max_size=5)
secrets = st.tuples(odd, st.just("QZ"), odd).map("".join)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(secrets, st.sampled_from(["password", "passwd", "ssl_key_password", "session_store"]))
def test_no_repr_shows_a_secret(secret, key):
    text = (
        f'[clusters.a]\nprimary = "db"\n{key} = {quoted(secret)}\nuser = {{ env = "X" }}\n'
        f'[[clusters.a.groups.g.replicas]]\nhost = "r"\npassword = {{ file = "f" }}\n'
    )
    config = parse_config(text, "f", {"X": secret}, lambda path: secret)
    found = config.clusters["a"]
    assert secret in {**found.defaults, **found.options}.values()
    for value in (config, *config, found, *found, *found.replicas, *found.replicas[0]):
        for shown in (repr(value), str(value), f"{value}", pprint.pformat(value)):
            assert secret not in shown


@given(
    secrets,
    st.sampled_from(
        [
            "password = [{}]",
            "password = {{ env = {} }}",
            "password = {{ text = {} }}",
            "passwd = {{ file = {}, env = 'A' }}",
            "ssl_key_password = {{ {} = 'x' }}",
            "session_store = {}",
            "session_store = [{}]",
            "session_store = {{ url = {} }}",
            "ssl = [{}]",
            "connect_timeout = {{ a = {} }}",
            "user = [{}]",
            "max_wait = {{ a = {} }}",
            "monitor_interval = [{}]",
            "rules = [{{ match = {{}}, refuse = {{ a = {} }} }}]",
            "pasword = {}",
            "password = {} {}",
            "password = {}\npasswd = {}",
            "replicas = [{{ host = 'r', password = [{}] }}]",
            "replicas = [{{ host = 'r', pasword = {} }}]",
            "groups.g = {{ password = {} }}",
        ]
    ),
    st.sampled_from(["{}", "{!r}"]),
)
def test_no_problem_shows_a_secret(secret, line, said):
    def check(key, value):
        check_option(key, value)
        if key == "session_store":
            raise ValueError(f"{key}: can't use {said.format(value)}")

    # The name of a variable is told: without it, nobody could set it.
    assume("env = {}" not in line or not secret.isidentifier())
    text = f'[clusters.a]\nprimary = "db"\n{line.format(quoted(secret), quoted(secret))}'
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "f", {}, read_file, check)
    assert "QZ" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("key", ["password", "passwd", "ssl_key_password"])
@pytest.mark.parametrize("value", ["20261121", "2026.1121", "2026-11-21"])
def test_no_problem_shows_a_secret_that_was_not_quoted(key, value):
    (line,) = problems(f'[clusters.a]\nprimary = "db"\n{key} = {value}')
    assert "2026" not in line


@pytest.mark.parametrize("said", ["{}", "{!r}"])
@pytest.mark.parametrize("secret", ["redis://:QZ@h", "redis://:QZ\\'\"@h"])
def test_a_checks_message_that_shows_a_secret_is_not_told(secret, said):
    def check(key, value):
        raise ValueError(f"{key}: can't use {said.format(value)}")

    given = f'[clusters.a]\nprimary = "db"\nsession_store = {quoted(secret)}'
    (line,) = problems(given, check=check)
    assert line == "rwsplit.toml: clusters.a.session_store: expected another value"


def test_keywords_show_their_names_only():
    assert repr(Hidden(user="a", password="b")) == "<user, password>"
    assert repr(Hidden()) == "<nothing>"
    shop = parse().clusters["shop"]
    assert repr(shop) == (
        "<ClusterConfig shop: primary db-primary:3306, 3 replicas (main, canary), 2 rules>"
    )


def test_the_tables_of_keywords_are_whole():
    """A keyword that PyMySQL or rwsplit gains needs a row: what it holds."""
    assert CONNECT_KEYWORDS.keys() == DRIVER_KEYWORDS
    assert OPTION_KEYWORDS.keys() == {*KEYWORDS}


def test_every_keyword_may_stand_in_a_file_or_is_sent_elsewhere():
    values = {
        Holds.TEXT: '"x"',
        Holds.WHOLE: "1",
        Holds.SECONDS: "1.5",
        Holds.SHARE: "0.3",
        Holds.SWITCH: "true",
        Holds.TABLE: "{}",
        Holds.LIST: "[]",
        Holds.OBJECT: '"x"',
    }
    elsewhere = {"host", "port", "unix_socket", "cluster"}
    for key, holds in {**CONNECT_KEYWORDS, **OPTION_KEYWORDS}.items():
        text = f'[clusters.a]\nprimary = "db"\n{key} = {values[holds]}'
        if key in elsewhere or holds is Holds.OBJECT:
            (line,) = problems(text, check=lambda key, value: None)
            assert f"clusters.a.{key}: not here" in line
        else:
            parse(text, check=lambda key, value: None)


def test_the_example_of_the_documentation_is_valid():
    page = Path(__file__).parents[2].joinpath("docs", "configuration.md").read_text()
    blocks = page.split("```toml\n")[1:]
    assert len(blocks) == 1
    config = parse_config(blocks[0].split("```")[0], "f", {"SHOP_PASSWORD": "x"}, lambda path: "x")
    shop, forum = config.clusters.values()
    assert (shop.name, forum.name) == ("shop", "forum")
    sends = [rule.action for rule in shop.rules if isinstance(rule.action, SendTo)]
    assert {(action.group, action.percent) for action in sends} == {
        ("canary", 10.0),
        ("analytics", 100.0),
    }
    assert config.by_address("db-primary") is shop


def test_who_is_found_belongs_to_no_group():
    text = '[clusters.a]\nprimary = "db"\nreplicas = "discover"\n'
    assert parse(text).clusters["a"].options["replicas"] == "discover"
    (line,) = problems(text + '[clusters.a.groups.g]\nreplicas = ["r"]')
    assert "clusters.a.replicas: expected a list beside groups, got 'discover'" in line
