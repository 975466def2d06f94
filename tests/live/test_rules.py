"""Groups and rules: the configuration of the documentation, on real servers."""

import re
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

import rwsplit
from rwsplit.sandbox import Sandbox
from rwsplit.sandbox.pytest_plugin import FLAVORS, wanted

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
ORDERS = "SELECT COUNT(*) FROM orders"


@pytest.fixture(scope="module", params=FLAVORS)
def shop(request):
    """The servers of the example's shop."""
    if not wanted(request.param):
        pytest.skip(f"RWSPLIT_TEST_FLAVORS leaves {request.param} out")
    with Sandbox(request.param, replicas=4) as sandbox:
        with sandbox.connect(sandbox.primary) as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE TABLE orders (id INT PRIMARY KEY, v INT)")
            cursor.execute("CREATE TABLE posts (id INT PRIMARY KEY, body TEXT)")
            cursor.execute("INSERT INTO orders VALUES (1, 10), (2, 20)")
        sandbox.wait_caught_up()
        yield sandbox


@pytest.fixture
def forum(shop, request):
    """The servers of the example's forum: of the other flavor."""
    other = "mariadb" if shop.flavor == "mysql" else "mysql"
    return request.getfixturevalue(f"{other}_cluster")


def example(shop, forum=None):
    """The documentation's file, with the addresses of these servers."""
    text = PAGE.read_text().split("```toml\n")[1].split("```")[0]
    servers = dict(zip(("db-r1", "db-r2", "db-r3", "db-r9"), shop.replicas, strict=True))
    servers["db-primary"] = shop.primary
    if forum is not None:
        servers |= {"forum-primary": forum.primary}
        servers |= dict(zip(("forum-r1", "forum-r2"), forum.replicas, strict=True))
    for name, server in servers.items():
        text = text.replace(f'"{name}:3306"', f'"{server.host}:{server.port}"')
        text = text.replace(
            f'host = "{name}", port = 3306', f'host = "{server.host}", port = {server.port}'
        )
    return text


@pytest.fixture
def configure(tmp_path, monkeypatch, shop):
    """Write a configuration file, and let this process use it."""
    files = []

    def make(text):
        file = tmp_path / f"rwsplit{len(files)}.toml"
        (tmp_path / "forum-password").write_text(shop.connect_options["password"] + "\n")
        file.write_text(text.replace("/run/secrets/forum", "forum-password"))
        files.append(file)
        monkeypatch.setenv("SHOP_PASSWORD", shop.connect_options["password"])
        monkeypatch.setenv("RWSPLIT_CONFIG", str(file))
        return file

    return make


@pytest.fixture
def opened():
    connections = []

    def make(*args, **options):
        connection = rwsplit.connect(*args, **{"autocommit": True, **options})
        connections.append(connection)
        return connection

    yield make
    for connection in connections:
        if connection.open:
            connection.close()
    for connection in connections:
        connection.cluster.close()


def names(shop):
    main, second, canary, _ = [f"{server.host}:{server.port}" for server in shop.replicas]
    return {main, second}, canary, "analytics"


def where(connection, sql, times=1):
    seen = Counter()
    cursor = connection.cursor()
    for _ in range(times):
        cursor.execute(sql)
        cursor.fetchall()
        seen[cursor.route.endpoint] += 1
    return seen


def test_the_example_of_the_documentation(shop, forum, configure, opened):
    configure(example(shop, forum))
    main, canary, analytics = names(shop)

    connection = opened(cluster="shop")
    # What no rule sends anywhere is served by the main group, the one of weight 2 twice as often.
    seen = where(connection, "SELECT COUNT(*) FROM posts /* rwsplit: consistency=eventual */", 60)
    assert {*seen} == main
    assert seen[f"{shop.replicas[1].host}:{shop.replicas[1].port}"] == pytest.approx(40, abs=3)

    # A tenth of the session ids is the canary's, always the same ones.
    homes = {}
    for number in range(300):
        with rwsplit.session_id(number):
            seen = where(connection, ORDERS, 2)
        assert len({server == canary for server in seen}) == 1
        homes[number] = canary in seen
    assert 10 <= sum(homes.values()) <= 55
    other = opened(cluster="shop")
    for number in range(0, 300, 7):
        with rwsplit.session_id(number):
            assert (canary in where(other, ORDERS)) is homes[number]
    # Without a session id it goes by chance.
    seen = where(connection, ORDERS + " /* rwsplit: consistency=eventual */", 600)
    assert 25 <= seen[canary] <= 110
    assert seen[analytics] == 0

    # What is tagged goes to the analytics group, and nothing else does.
    with rwsplit.tags(job="nightly"):
        assert where(connection, ORDERS, 20) == {analytics: 20}
        assert "rule nightly reports" in connection.route.reason
        cursor = connection.cursor()
        cursor.execute("UPDATE orders SET v = v + 1 WHERE id = 1")
        assert cursor.route.role == "primary"
    assert analytics not in where(connection, ORDERS, 10)

    with pytest.raises(
        rwsplit.OperationalError, match=r"analytics group.*no full export"
    ) as caught:
        connection.cursor().execute("SELECT  * FROM orders")
    assert caught.value.args[0] == 1148
    where(connection, "SELECT * FROM orders WHERE id = 1")

    options = {key: forum.connect_options[key] for key in ("user", "database")}
    talk = opened(cluster="forum", **options)
    assert talk.cluster.flavor == forum.flavor
    seen = where(talk, "SELECT @@server_id", 10)
    assert {*seen} == {f"{server.host}:{server.port}" for server in forum.replicas}


def test_unchanged_code_finds_its_cluster_by_the_primarys_address(shop, configure, opened):
    configure(example(shop))
    main, *_ = names(shop)
    connection = opened(host=shop.primary.host, port=shop.primary.port)
    assert connection.cluster.options.name == "shop"
    assert connection.user == b"app" and connection.db == b"shop"
    assert {*where(connection, "SELECT COUNT(*) FROM posts", 8)} <= main
    # What the caller says comes first.
    connection = opened(
        host=shop.primary.host, port=shop.primary.port, database="information_schema", user=None
    )
    assert connection.db == b"information_schema"
    # A replica's address finds nothing, nor does a cluster of one's own.
    server = shop.replicas[0]
    plain = opened(
        host=server.host, port=server.port, user="app", password=shop.connect_options["password"]
    )
    assert plain.cluster.options.name is None
    own = opened(**shop.connect_options | {"replicas": []})
    assert own.cluster.options.name is None


def test_an_option_files_address_finds_it_too(shop, configure, opened, tmp_path):
    configure(example(shop))
    file = tmp_path / "my.cnf"
    file.write_text(f"[client]\nhost={shop.primary.host}\nport={shop.primary.port}\n")
    connection = opened(read_default_file=str(file))
    assert connection.cluster.options.name == "shop"


def test_from_toml_and_urls(shop, configure, opened, monkeypatch):
    file = configure(example(shop))
    monkeypatch.delenv("RWSPLIT_CONFIG")
    cluster = rwsplit.Cluster.from_toml(file, "shop")
    main, *_ = names(shop)
    assert {*where(opened(cluster=cluster), "SELECT COUNT(*) FROM posts", 8)} <= main
    assert cluster is rwsplit.Cluster.from_toml(file, "shop")
    with pytest.raises(ValueError, match=r"name: expected one of .*shop, forum.*got None"):
        rwsplit.Cluster.from_toml(file)
    with pytest.raises(ValueError, match=r"shop.*'shoop'; did you mean 'shop'"):
        rwsplit.Cluster.from_toml(file, "shoop")
    with pytest.raises(ValueError, match=r"'shop'.*RWSPLIT_CONFIG"):
        opened(cluster="shop")
    replicas = ",".join(sorted(main))
    password = shop.connect_options["password"]
    address = f"{shop.primary.host}:{shop.primary.port}"
    url = f"rwsplit://app:{password}@{address}/shop?replicas={replicas}&consistency=eventual"
    connection = opened(url + "&sessionId=42", max_wait=0.5)
    assert connection.session_id == "42"
    assert {*where(connection, "SELECT COUNT(*) FROM posts", 20)} == main


def test_mistakes_are_told_all_at_once_before_any_socket_opens(configure, shop):
    configure(
        example(shop).replace("percent = 10", "percent = 1000").replace("weight = 2", "weight = -2")
    )
    with pytest.raises(ValueError, match="weight") as caught:
        rwsplit.connect(cluster="shop")
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert all(re.match(r".*rwsplit0\.toml: clusters\.shop\.", line) for line in lines)
    assert "clusters.shop.groups.main.replicas[1].weight" in lines[0]
    assert "percent" in lines[1] and "1000" in lines[1]


def test_a_file_that_is_missing_is_named(monkeypatch):
    monkeypatch.setenv("RWSPLIT_CONFIG", "/nowhere/rwsplit.toml")
    with pytest.raises(ValueError, match=r"RWSPLIT_CONFIG: can't read /nowhere/rwsplit\.toml"):
        rwsplit.connect(host="127.0.0.1", port=1)


def rules(shop, text, extra=""):
    main, _, canary, _ = [f'"{server.host}:{server.port}"' for server in shop.replicas]
    return f"""
[clusters.shop]
primary = "{shop.primary.host}:{shop.primary.port}"
user = "app"
password = "{shop.connect_options["password"]}"
database = "shop"
{extra}
[clusters.shop.groups.main]
replicas = [{main}]
[clusters.shop.groups.canary]
replicas = [{canary}]
only_by_rule = true
{text}
"""


ALL_TO_CANARY = '[[clusters.shop.rules]]\nmatch = {}\nsend_to = "canary"'


def test_no_rule_sends_a_write_to_a_replica(shop, configure, opened):
    configure(rules(shop, ALL_TO_CANARY))
    _, canary, _ = names(shop)
    connection = opened(cluster="shop")
    cursor = connection.cursor()
    assert where(connection, ORDERS, 5) == {canary: 5}
    for sql in (
        "UPDATE orders SET v = 1 WHERE id = 1",
        "SELECT * FROM orders FOR UPDATE",
        "SET @a = 1",
        "CREATE TEMPORARY TABLE mine (id INT)",
        "SELECT * FROM mine",
        "SELECT GET_LOCK('a', 0)",
    ):
        cursor.execute(sql)
        assert cursor.route.role == "primary", sql


def test_no_rule_weakens_consistency_by_the_way(shop, configure, opened):
    configure(rules(shop, ALL_TO_CANARY))
    connection = opened(cluster="shop", max_wait=0.1)
    cursor = connection.cursor()
    _, canary, _ = names(shop)
    where(connection, ORDERS)
    shop.stall(shop.replicas[2])
    try:
        cursor.execute("REPLACE INTO orders VALUES (3, 30)")
        cursor.execute("SELECT v FROM orders WHERE id = 3")
        assert cursor.fetchall() == ((30,),)
        assert cursor.route.endpoint != canary
        cursor.execute("DELETE FROM orders WHERE id = 3")
    finally:
        shop.resume(shop.replicas[2])
        shop.wait_caught_up()


def test_a_group_that_is_away_is_stood_in_for(shop, configure, opened):
    configure(rules(shop, ALL_TO_CANARY))
    main, canary, _ = names(shop)
    connection = opened(cluster="shop")
    assert where(connection, ORDERS, 3) == {canary: 3}
    shop.kill(shop.replicas[2])
    try:
        seen = where(connection, ORDERS, 5)
        assert {*seen} <= main
    finally:
        shop.heal()
    until = time.monotonic() + 20
    while canary not in where(connection, ORDERS) and time.monotonic() < until:
        time.sleep(0.1)
    assert where(connection, ORDERS, 3) == {canary: 3}


def test_a_transactions_reads_go_by_the_rule_of_its_first(shop, configure, opened):
    configure(
        rules(
            shop,
            '[[clusters.shop.rules]]\nmatch = { tag = { job = "*" } }\nsend_to = "canary"',
        )
    )
    main, canary, _ = names(shop)
    connection = opened(cluster="shop", autocommit=False)
    with rwsplit.tags(job="x"):
        assert where(connection, ORDERS) == {canary: 1}
    assert where(connection, ORDERS) == {canary: 1}
    connection.commit()
    assert {*where(connection, ORDERS)} <= main
    connection.commit()
    cursor = connection.cursor()
    with rwsplit.tags(job="x"):
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    assert where(connection, ORDERS) == {canary: 1}
    connection.commit()
    # The connection's own tags, and those of a block, add up.
    tagged = opened(cluster="shop", tags={"job": "y"})
    assert where(tagged, ORDERS) == {canary: 1}


def test_a_hint_for_a_replica_goes_before_a_rule(shop, configure, opened):
    configure(rules(shop, ALL_TO_CANARY))
    connection = opened(cluster="shop")
    first = f"{shop.replicas[0].host}:{shop.replicas[0].port}"
    assert where(connection, f"{ORDERS} /* rwsplit: replica={first} */") == {first: 1}
    assert connection.route.role == "replica"
    where(connection, f"{ORDERS} /* rwsplit: primary */")
    assert connection.route.role == "primary"


def test_a_hint_reaches_a_replica_that_serves_nothing_else(shop, configure, opened):
    configure(rules(shop, ""))
    _, canary, _ = names(shop)
    connection = opened(cluster="shop")
    assert canary not in where(connection, ORDERS, 6)
    assert where(connection, f"{ORDERS} /* rwsplit: replica={canary} */") == {canary: 1}


def test_conditions(shop, configure, opened):
    configure(
        rules(
            shop,
            """
[[clusters.shop.rules]]
name = "by id"
match = { session_id = "vip-*" }
refuse = "by id"
[[clusters.shop.rules]]
name = "by database"
match = { database = "information_schema" }
refuse = "by database"
[[clusters.shop.rules]]
name = "by user and text"
match = { user = "a*", statement = "(?i)no_such" }
refuse = "by user and text"
[[clusters.shop.rules]]
name = "by digest"
match = { digest = "SELECT v FROM orders WHERE id = %s" }
refuse = "by digest"
""",
        )
    )
    connection = opened(cluster="shop")
    cursor = connection.cursor()

    def refused(sql, args=None):
        try:
            cursor.execute(sql, args)
        except rwsplit.OperationalError as error:
            assert error.args[0] == 1148
            return error.args[1].partition(" (")[0]
        return None

    assert refused(ORDERS) is None
    with rwsplit.session_id("vip-1"):
        assert refused(ORDERS) == "by id"
    connection.session_id = "vip-2"
    assert refused(ORDERS) == "by id"
    connection.session_id = None
    assert refused("SELECT NO_SUCH FROM orders") == "by user and text"
    assert refused("SELECT v   FROM orders WHERE id = %s", (7,)) == "by digest"
    assert refused(b"SELECT v FROM orders WHERE id = 8") == "by digest"
    assert refused("SELECT v, id FROM orders WHERE id = 8") is None
    connection.begin()
    cursor.execute("UPDATE orders SET v = 5 WHERE id = 2")
    assert refused("SELECT v FROM orders WHERE id = 2") == "by digest"
    connection.rollback()  # and the transaction was as it was
    connection.select_db("information_schema")
    assert refused("SELECT 1") == "by database"


def test_a_rewritten_statement_is_classified_anew(shop, configure, opened):
    configure(
        rules(
            shop,
            """
[[clusters.shop.rules]]
name = "hint"
match = { statement = '^SELECT SQL_CALC (.*)$' }
rewrite = 'SELECT \\1 LIMIT 1'
[[clusters.shop.rules]]
name = "lock"
match = { statement = '^READ (.*)$' }
rewrite = 'SELECT \\1 FOR UPDATE'
""",
        )
    )
    connection = opened(cluster="shop")
    cursor = connection.cursor()
    assert cursor.execute("SELECT SQL_CALC id FROM orders ORDER BY id") == 1
    assert cursor.fetchall() == ((1,),)
    assert cursor.route.role == "replica"
    cursor.execute("READ id FROM orders WHERE id = %s", (2,))
    assert cursor.fetchall() == ((2,),)
    assert cursor.route.role == "primary"


def test_rewriting_keeps_bytes_that_are_no_text(shop, configure, opened):
    configure(
        rules(
            shop,
            "[[clusters.shop.rules]]\nmatch = { statement = 'INTO nothing' }\n"
            "rewrite = 'INTO posts'",
        )
    )
    cursor = opened(cluster="shop").cursor()
    cursor.execute(b"INSERT INTO nothing VALUES (1, _latin1'\xff\xfe')")
    cursor.execute("SELECT HEX(CONVERT(body USING latin1)) FROM posts")
    assert cursor.fetchall() == (("FFFE",),)
    cursor.execute("DELETE FROM posts")


STRICT = """
[[clusters.shop.rules]]
match = { statement = "SLEEP" }
send_to = "canary"
consistency = "global"
"""


def test_a_read_that_was_lost_with_the_primary_keeps_its_rule(shop, configure, opened):
    configure(rules(shop, STRICT))
    connection, other = opened(cluster="shop", max_wait=0.05), opened(cluster="shop")
    cursor = connection.cursor()
    where(connection, ORDERS)
    for server in shop.replicas:
        shop.stall(server)
    try:
        other.cursor().execute("UPDATE orders SET v = v + 1 WHERE id = 2")
        threading.Timer(0.5, kill, (shop, connection.thread_id())).start()
        cursor.execute("SELECT SLEEP(1), v FROM orders WHERE id = 2")
        read = cursor.fetchall()[0][1]
        assert cursor.route.role == "primary"
        other.cursor().execute("SELECT v FROM orders WHERE id = 2 FOR UPDATE")
        with shop.connect(shop.primary) as plain:
            judge = plain.cursor()
            judge.execute("SELECT v FROM orders WHERE id = 2")
            assert judge.fetchall() == ((read,),)
    finally:
        for server in shop.replicas:
            shop.resume(server)
        shop.wait_caught_up()


def kill(sandbox, thread):
    with sandbox.admin(sandbox.primary) as admin:
        admin.cursor().execute(f"KILL {thread}")


def test_rules_let_results_that_are_pending_go_before(shop, configure, opened):
    """A CALL that committed under one session id is published under it."""
    configure(rules(shop, '[[clusters.shop.rules]]\nmatch = { user = "nobody" }\nrefuse = "x"'))
    one, other = (opened(cluster="shop", max_wait=0.05) for _ in range(2))
    cursor = one.cursor()
    cursor.execute("DROP PROCEDURE IF EXISTS p")
    cursor.execute(
        "CREATE PROCEDURE p() BEGIN UPDATE orders SET v = 99 WHERE id = 1; SELECT 1; SELECT 2; END"
    )
    shop.wait_caught_up()
    where(other, ORDERS)
    for server in shop.replicas:
        shop.stall(server)
    try:
        with rwsplit.session_id("x"):
            cursor.execute("CALL p()")
        with rwsplit.session_id("y"):
            one.cursor().execute("SELECT COUNT(*) FROM orders")
        with rwsplit.session_id("x"):
            reader = other.cursor()
            reader.execute("SELECT v FROM orders WHERE id = 1")
            assert reader.fetchall() == ((99,),)
    finally:
        for server in shop.replicas:
            shop.resume(server)
        shop.wait_caught_up()


WEAK = """
[[clusters.shop.rules]]
match = { statement = "COUNT" }
send_to = "canary"
consistency = "eventual"
weaken = true
"""


@pytest.mark.parametrize("hint", [False, True])
def test_a_weak_read_weakens_no_other_of_its_transaction(shop, configure, opened, hint):
    configure(rules(shop, "" if hint else WEAK))
    connection = opened(cluster="shop", autocommit=False, max_wait=0.05, max_snapshot=60.0)
    cursor = connection.cursor()
    weak = ORDERS + (" /* rwsplit: consistency=eventual */" if hint else "")
    where(connection, weak)
    connection.commit()
    for server in shop.replicas:
        shop.stall(server)
    try:
        cursor.execute("UPDATE orders SET v = v + 1000 WHERE id = 1")
        connection.commit()
        connection.cluster.habits.clear()
        where(connection, weak)
        cursor.execute("SELECT v FROM orders WHERE id = 1")
        assert cursor.fetchone()[0] >= 1000
        assert cursor.route.role == "primary"
        cursor.execute("UPDATE orders SET v = v - 1000 WHERE id = 1")
        connection.commit()
    finally:
        for server in shop.replicas:
            shop.resume(server)
        shop.wait_caught_up()


def test_rules_are_for_those_that_ask_for_the_cluster(shop, configure, opened):
    text = rules(shop, '[[clusters.shop.rules]]\nmatch = {}\nrefuse = "no"')
    configure(text)
    named, own = opened(cluster="shop"), opened(**shop.connect_options)
    with pytest.raises(rwsplit.OperationalError):
        named.cursor().execute(ORDERS)
    where(own, ORDERS, 3)
    assert named.cluster is not own.cluster


def test_one_file_serves_processes_of_all_zones(shop, configure, opened, monkeypatch):
    configure(rules(shop, "").replace("clusters.shop", "clusters.zoned"))
    monkeypatch.setenv("RWSPLIT_ZONE", "b")
    assert opened(cluster="zoned").cluster.options.zone == "b"


def test_ports_that_are_no_numbers_are_pymysqls_to_refuse(shop, configure):
    configure(rules(shop, ""))
    with pytest.raises(ValueError, match="port"):
        rwsplit.connect(host=shop.primary.host, port=str(shop.primary.port))
    # None is what a framework says that has no setting.
    found = rwsplit.connect(
        host=shop.primary.host, port=shop.primary.port, replicas=None, defer_connect=True
    )
    assert len(found._options.replicas) == 2


def test_a_limit_bounds_how_many_run_at_a_time(shop, configure, opened):
    configure(
        rules(
            shop,
            """
[[clusters.shop.rules]]
name = "slow"
match = { statement = 'SLEEP' }
limit = { running = 2, wait = 0.2 }
[[clusters.shop.rules]]
name = "patient"
match = { tag = { patient = "yes" } }
limit = { running = 1, wait = 30 }
""",
        )
    )
    outcomes = []

    def run(connection, sql, **tags):
        with rwsplit.tags(**tags):
            try:
                connection.cursor().execute(sql)
            except rwsplit.OperationalError as error:
                outcomes.append(error.args[0])
            else:
                outcomes.append(0)

    connections = [opened(cluster="shop") for _ in range(4)]
    for connection in connections:
        where(connection, ORDERS)

    def all_at_once(sql, **tags):
        outcomes.clear()
        threads = [
            threading.Thread(target=run, args=(connection, sql), kwargs=tags)
            for connection in connections
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(outcomes)

    assert all_at_once("SELECT SLEEP(2)") == [0, 0, 1226, 1226]
    assert all_at_once("SELECT SLEEP(0)") == [0, 0, 0, 0]
    assert all_at_once(ORDERS, patient="yes") == [0, 0, 0, 0]


def test_a_group_has_its_own_policy_pool_and_interval(shop, configure, opened):
    calls = Counter()
    text = rules(shop, ALL_TO_CANARY, "pool_size = 3\npolicy = 'random'").replace(
        "only_by_rule = true",
        "only_by_rule = true\npolicy = 'least_behind_primary'\npool_size = 0\nmonitor_interval = 9",
    )
    configure(text)
    _, canary, _ = names(shop)
    connection = opened(cluster="shop")
    cluster = connection.cluster
    real = cluster.policies["canary"]

    def counted(*args):
        calls["canary"] += 1
        return real(*args)

    cluster.policies["canary"] = counted
    assert where(connection, ORDERS, 4) == {canary: 4}
    assert calls["canary"] >= 1
    assert rwsplit._core.cluster.policies.name_of(cluster.policy) == "random"
    assert cluster.monitor.interval_of(cluster.servers[canary].endpoint) == 9
    assert cluster.monitor.interval_of(cluster.primary) == 1
    connection.close()
    kept = {key[0] for key in cluster.pool._idle}
    assert canary not in kept and cluster.primary.name in kept


def test_what_the_cluster_shares_is_not_said_otherwise(shop, configure, opened):
    configure(rules(shop, "", "pool_size = 3"))
    with pytest.raises(ValueError, match="pool_size: 4, and the cluster has 3"):
        opened(cluster="shop", pool_size=4)
    with pytest.raises(ValueError, match="host: the cluster"):
        opened(cluster="shop", host="elsewhere")
    connection = opened(cluster="shop", pool_size=3)
    assert shop.connect_options["password"] not in repr(connection.cluster.options)
