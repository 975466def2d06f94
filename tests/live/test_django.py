"""Django's databases with `ENGINE = "rwsplit.django"`, in the example's project."""

# ruff: noqa: E402 - Django is set up before its parts can be imported

import asyncio
import os
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

django = pytest.importorskip("django")

import rwsplit

PROJECT = Path(__file__).parents[2] / "examples" / "teashop"
sys.path.append(str(PROJECT))

from django.conf import settings
from teashop import settings as of_example

# Not by the environment, which other programs read, too.
settings.configure(**{key: value for key, value in vars(of_example).items() if key.isupper()})
django.setup()

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.exception import convert_exception_to_response
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import ConnectionRouter, IntegrityError
from django.http import StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from teashop.models import Item

from rwsplit.django import base, checks
from rwsplit.django.checks import check_databases
from rwsplit.django.client import shell_settings
from rwsplit.django.middleware import RWSplitMiddleware

NAME = "teashop"
TRANSACTIONS = min(1000, 20 * int(os.environ.get("RWSPLIT_TEST_SECONDS", "10")))


def replicas_of(cluster):
    return cluster.connect_options["replicas"]


@pytest.fixture
def empty(cluster):
    """The default database of Django, with nothing in it."""
    cluster.create_database(NAME)
    cluster.wait_caught_up()
    use(HOST=cluster.primary.host, PORT=str(cluster.primary.port), NAME=NAME)
    # Where a test is about who reads, a slow machine is no reason for the primary.
    use(OPTIONS={"replicas": replicas_of(cluster), "max_wait": 5.0})
    yield connections["default"]
    connections["default"].close()
    cluster.drop_database(NAME)


@pytest.fixture
def shop(empty, cluster):
    """The same with the shop's tables, coffee and tea, and replicas that have them."""
    call_command("migrate", verbosity=0)
    cluster.wait_caught_up()
    return empty


def use(**changed):
    """Change the settings of the default database."""
    if hasattr(connections._connections, "default"):
        connections["default"].close()
    connections.settings["default"].update(changed)
    connections["default"] = connections.create_connection("default")


def read():
    """Read the items; returns where."""
    list(Item.objects.all())
    return connections["default"].connection.route


def on_replica():
    """Read until that is on a replica: on a slow machine one may have been given up for a while."""
    until = time.monotonic() + 10
    while read().role != "replica" and time.monotonic() < until:
        time.sleep(0.1)
    return connections["default"].connection.route.role == "replica"


def manage(cluster, *arguments, **environment):
    """Run `manage.py` as a process of its own."""
    its = {
        "SHOP_DATABASE": NAME,
        "SHOP_HOST": cluster.primary.host,
        "SHOP_PORT": str(cluster.primary.port),
        "SHOP_REPLICAS": ",".join(replicas_of(cluster)),
        "PYTHONPATH": os.pathsep.join([str(Path(rwsplit.__file__).parents[1]), *sys.path]),
    }
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env={**os.environ, **its, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


# Where statements go.


def test_reads_go_to_replicas_and_all_else_to_the_primary(shop):
    assert on_replica()
    Item.objects.filter(name="tea").update(amount=9)
    assert shop.connection.route.role == "primary"
    assert Item.objects.get(name="tea").amount == 9


def test_an_atomic_block_reads_on_a_replica_until_it_locks_or_writes(shop):
    assert on_replica()
    with transaction.atomic():
        assert read().role == "replica"
        with transaction.atomic():
            assert read().role == "replica"
            Item.objects.select_for_update().get(name="tea")
            assert shop.connection.route.role == "primary"
        assert read().role == "primary"
    assert on_replica()


def test_a_block_that_fails_leaves_nothing(shop):
    with pytest.raises(IntegrityError), transaction.atomic():
        assert Item.objects.count() == 2
        Item.objects.create(name="milk")
        Item.objects.create(name="milk")
    assert {item.name for item in Item.objects.all()} == {"coffee", "tea"}


def test_what_another_process_has_just_made_is_got_and_not_made_again(late, cluster):
    assert not Item.objects.filter(name="milk").exists()
    with cluster.connect(cluster.primary, database=NAME) as other, other.cursor() as cursor:
        cursor.execute("INSERT INTO teashop_item (name, amount) VALUES ('milk', 3)")
    item, made = Item.objects.get_or_create(name="milk", defaults={"amount": 0})
    assert (item.amount, made) == (3, False)
    item, made = Item.objects.update_or_create(name="milk", defaults={"amount": 4})
    assert (item.amount, made) == (4, False)
    assert Item.objects.get(name="milk").amount == 4


def test_a_request_in_a_transaction_reads_on_a_replica(shop):
    use(ATOMIC_REQUESTS=True)
    try:
        assert Client().get("/").headers["X-Read-From"].startswith("replica")
        assert Client().post("/buy", {"item": "tea"}).status_code == 302
        assert Client().get("/").json() == {"coffee": 10, "tea": 9}
    finally:
        use(ATOMIC_REQUESTS=False)


def test_a_decorator_within_the_transaction_of_a_request_holds(shop):
    use(ATOMIC_REQUESTS=True)
    try:
        seen = Client().get("/").headers["X-Read-From"], Client().get("/report")
        assert [each[:7] for each in (seen[0], seen[1].headers["X-Read-From"])] == ["replica"] * 2
        with transaction.atomic(), rwsplit.using(reads="primary"):
            assert read().role == "primary"
        with transaction.atomic():
            assert read().role == "replica"
            with rwsplit.using(reads="primary"):
                assert read().role == "replica"
    finally:
        use(ATOMIC_REQUESTS=False)


def test_transactions_that_only_read_stay_on_replicas(shop):
    """And one that writes never reads what is older than itself."""
    roles = Counter()

    def note(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        roles[context["cursor"].route.role] += 1
        return result

    with shop.execute_wrapper(note):
        for _ in range(TRANSACTIONS):
            with transaction.atomic():
                assert Item.objects.count() == 2
                assert Item.objects.get(name="tea").amount == 10
    assert roles.total() == 2 * TRANSACTIONS
    assert roles["replica"] >= 0.95 * roles.total()
    for turn in range(TRANSACTIONS // 10):
        with transaction.atomic():
            assert Item.objects.get(name="tea").amount == 10 + turn
            Item.objects.filter(name="tea").update(amount=11 + turn)
            assert Item.objects.get(name="tea").amount == 11 + turn


def test_what_django_asks_of_the_server_is_asked_of_the_primary(shop):
    shop.__dict__.pop("mysql_server_data", None)
    assert roles_in(shop, lambda: shop.mysql_server_data) == {"primary"}
    assert shop.mysql_server_data["sql_auto_is_null"] is False
    assert on_replica()


@rwsplit.using(reads="primary")
def on_primary(request):
    return read().role


@rwsplit.using(reads="primary")
async def on_primary_awaited(request):
    return (await sync_to_async(read)()).role


async def awaited(request):
    return (await sync_to_async(read)()).role


def test_a_view_says_what_its_reads_need(shop):
    assert on_primary(None) == "primary"
    assert on_replica()
    with rwsplit.using(reads="primary"):
        assert Client().get("/").headers["X-Read-From"].startswith("primary")

    async def requests():
        roles = [await view(None) for view in (on_primary_awaited, awaited, on_primary_awaited)]
        async with rwsplit.using(reads="primary"):
            roles.append(await awaited(None))
        await sync_to_async(connections.close_all)()
        return roles

    assert asyncio.run(requests()) == ["primary", "replica", "primary", "primary"]


def test_a_view_may_do_with_what_is_a_little_older(late):
    browser = Client()
    browser.post("/buy", {"item": "tea"})
    assert browser.get("/").headers["X-Read-From"].startswith("primary")
    report = browser.get("/report")
    assert report.headers["X-Read-From"].startswith("replica")
    assert report.json() == {"items": 20}


# From request to request.


@pytest.fixture
def late(shop, cluster):
    """Replicas that have not got on when a test ends."""
    use(OPTIONS={"replicas": replicas_of(cluster)})
    for replica in cluster.replicas:
        cluster.stall(replica)
    yield connections["default"]
    for replica in cluster.replicas:
        cluster.resume(replica)


def test_a_redirect_shows_what_the_post_wrote(late):
    browser = Client()
    for left in (9, 8, 7):
        posted = browser.post("/buy", {"item": "tea"})
        assert posted.status_code == 302
        assert posted.headers["Cache-Control"] == "private, no-store"
        cookie = posted.cookies["rwsplit"]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
        got = browser.get("/")
        assert got.json()["tea"] == left
        assert got.headers["X-Read-From"].startswith("primary")
        assert not got.cookies, "it wrote nothing"
    # Who carries nothing does not wait for others' writes.
    stranger = Client().get("/")
    assert stranger.headers["X-Read-From"].startswith("replica")
    assert stranger.json()["tea"] == 10


@pytest.mark.parametrize("cookie", ["", "x", "1~gtid~AAAAAAAAAAAAAAAAAAAAAA", "~" * 5000])
def test_a_forged_cookie_is_as_none(shop, cookie):
    browser = Client(headers={"Cookie": f"rwsplit={cookie}"})
    assert browser.get("/").status_code == 200
    assert browser.post("/buy", {"item": "tea"}).status_code == 302


def test_it_serves_async_handlers(late):
    async def visit():
        browser = AsyncClient()
        posted = await browser.post("/buy", {"item": "tea"})
        assert posted.cookies["rwsplit"].value
        got = await browser.get("/")
        stranger = await AsyncClient().get("/")
        await sync_to_async(connections.close_all)()
        return got, stranger

    got, stranger = asyncio.run(visit())
    assert (got.json()["tea"], stranger.json()["tea"]) == (9, 10)


def answering(view):
    """What a request gets from a view behind the middleware alone."""
    return RWSplitMiddleware(view)(RequestFactory().get("/"))


def test_what_a_failed_request_committed_is_carried(late):
    def view(request):
        Item.objects.filter(name="tea").update(amount=1)
        raise ValueError

    response = answering(convert_exception_to_response(view))
    assert response.status_code == 500
    assert "rwsplit" in response.cookies


def test_a_streamed_body_reads_as_its_request_does(late):
    def view(request):
        Item.objects.filter(name="tea").update(amount=1)
        return StreamingHttpResponse(f"{item.amount} " for item in Item.objects.filter(name="tea"))

    response = answering(view)
    assert "rwsplit" in response.cookies
    assert response.getvalue() == b"1 "

    async def awaited_view(request):
        async def parts():
            yield f"{(await Item.objects.aget(name='tea')).amount}"

        await Item.objects.filter(name="tea").aupdate(amount=2)
        return StreamingHttpResponse(parts())

    async def visit():
        response = await answering(awaited_view)
        body = b"".join([part async for part in response])
        await sync_to_async(connections.close_all)()
        return body

    assert asyncio.run(visit()) == b"2"


def test_it_is_set_up_by_a_setting():
    with override_settings(RWSPLIT={"cookie": "seen", "max_age": 5}):
        assert RWSplitMiddleware(lambda request: None)._cookie == "seen"
    for wrong in ({"cokie": "x"}, {"max_age": 0}, 3):
        with (
            override_settings(RWSPLIT=wrong),
            pytest.raises(ImproperlyConfigured, match="RWSPLIT: "),
        ):
            RWSplitMiddleware(lambda request: None)


# Connecting.


def test_the_isolation_level_is_part_of_the_connection(shop, cluster):
    shop.close()
    shop.force_debug_cursor = True
    try:
        shop.ensure_connection()
        assert shop.queries == []
        variable = "tx_isolation" if cluster.flavor == "mariadb" else "transaction_isolation"
        assert on_replica()
        for hint in ("primary", "replica"):
            with shop.cursor() as cursor:
                cursor.execute(f"SELECT @@{variable} /* rwsplit: {hint} */")
                assert cursor.fetchone() == ("READ-COMMITTED",)
                assert cursor.route.role == hint
    finally:
        shop.force_debug_cursor = False
    sent = shop.connection.driver_connection.writes
    use(OPTIONS={**connections.settings["default"]["OPTIONS"], "isolation_level": None})
    connections["default"].ensure_connection()
    assert connections["default"].connection.driver_connection.writes <= sent


def test_isolation_level_and_session_variables_may_be_chosen(shop, cluster):
    chosen = {"isolation_level": "repeatable read", "session_variables": {"lc_time_names": "de_DE"}}
    use(OPTIONS={"replicas": replicas_of(cluster), **chosen})
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT @@lc_time_names, @@sql_auto_is_null")
        assert cursor.fetchone() == ("de_DE", 0)
    use(OPTIONS={"isolation_level": "no such"})
    with pytest.raises(ImproperlyConfigured):
        connections["default"].ensure_connection()


def test_a_health_check_makes_no_round_trip(shop):
    physical = shop.connection.driver_connection
    sent = physical.writes
    assert shop.is_usable()
    assert physical.writes == sent


def test_a_connection_that_was_lost_between_two_requests_is_no_error(shop, cluster):
    use(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
    try:
        for request in range(3):
            close_old_connections()  # as Django does before and after a request
            assert Item.objects.count() == 2
            Item.objects.filter(name="tea").update(amount=request)
            with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
                cursor.execute(f"KILL {connections['default'].connection.thread_id()}")
    finally:
        use(CONN_MAX_AGE=0, CONN_HEALTH_CHECKS=False)


def test_the_next_request_s_connection_uses_the_wire_of_the_one_before(shop):
    # Else it is what a test before has chosen for this process.
    use(OPTIONS={**connections.settings["default"]["OPTIONS"], "pool_size": 8})
    threads = []
    until = time.monotonic() + 10
    while len({*threads}) == len(threads):
        assert time.monotonic() < until
        time.sleep(0.1)  # a wire is used when the server has answered the reset
        request_started.send(sender=None)
        assert Item.objects.count() == 2
        threads.append(connections["default"].connection.thread_id())
        request_finished.send(sender=None)  # CONN_MAX_AGE is 0
        assert connections["default"].connection is None


def test_a_named_cluster(shop, cluster, tmp_path, monkeypatch):
    file = tmp_path / "rwsplit.toml"
    file.write_text(
        f'[clusters.teashop]\nprimary = "{cluster.primary.host}:{cluster.primary.port}"\n'
        f'user = "app"\npassword = "secret"\nreplicas = {replicas_of(cluster)}\n'
    )
    monkeypatch.setenv("RWSPLIT_CONFIG", str(file))
    before = dict(connections.settings["default"])
    use(HOST="", PORT="", USER="", PASSWORD="", OPTIONS={"cluster": "teashop"})
    try:
        assert on_replica()
        assert not check_databases()
        found = shell_settings(connections["default"])
    finally:
        use(**before)
    assert (found["HOST"], found["PORT"]) == (cluster.primary.host, str(cluster.primary.port))
    assert (found["USER"], found["PASSWORD"], found["NAME"]) == ("app", "secret", NAME)


def test_a_password_that_a_function_returns(shop, cluster):
    if cluster.flavor == "mariadb":
        pytest.skip("its servers have no TLS here, and such a password is not sent without")
    asked = []

    def token(endpoint):
        asked.append(endpoint.port)
        return "secret"

    use(PASSWORD=token)
    try:
        assert on_replica()
        assert not check_databases()
        assert shell_settings(connections["default"])["PASSWORD"] == "secret"
    finally:
        use(PASSWORD="secret")
    assert cluster.primary.port in asked


def test_mysqlclient_is_neither_needed_nor_disturbed():
    program = (
        "import sys, types\n"
        "theirs = sys.modules['MySQLdb'] = types.ModuleType('MySQLdb')\n"
        "from rwsplit.django.base import DatabaseWrapper\n"
        "import rwsplit\n"
        "assert DatabaseWrapper.Database is rwsplit\n"
        "assert sys.modules['MySQLdb'] is theirs\n"
        "assert 'django.db.backends.mysql.base' not in sys.modules\n"
        "assert not [name for name in sys.modules if name.startswith('MySQLdb.')]\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)


# Migrations.


def test_migrate_twice_by_two_processes_within_the_lag(empty, cluster, capsys):
    for replica in cluster.replicas:
        cluster.delay(replica, 2.0)
    first = manage(cluster, "migrate", "teashop", "0001")
    assert first.returncode == 0, first.stderr
    second = manage(cluster, "migrate")
    assert "0002_first_delivery... OK" in second.stdout, second.stderr
    again = manage(cluster, "migrate")
    assert "No migrations to apply" in again.stdout, again.stderr
    call_command("showmigrations")
    assert capsys.readouterr().out.count("[X]") == 2
    with cluster.connect(cluster.primary, database=NAME) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT name, amount FROM teashop_item ORDER BY name")
        assert cursor.fetchall() == (("coffee", 10), ("tea", 10))
        cursor.execute("SELECT COUNT(*) FROM django_migrations")
        assert cursor.fetchone() == (2,)


def roles_in(wrapper, work):
    """Where the statements of some work went."""
    roles = set()

    def note(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        roles.add(context["cursor"].route.role)
        return result

    with wrapper.execute_wrapper(note):
        work()
    return roles - {"none"}


def test_migrate_runs_on_the_primary_and_what_follows_does_not(empty, cluster):
    assert roles_in(empty, lambda: call_command("migrate", verbosity=0)) == {"primary"}
    cluster.wait_caught_up()
    assert on_replica()
    assert roles_in(empty, lambda: call_command("migrate", verbosity=0)) == {"primary"}
    assert on_replica()


def test_a_request_ends_what_a_migrate_has_begun(shop):
    call_command("migrate", plan=True, verbosity=0)
    shop.close()
    assert read().role == "primary"
    request_started.send(sender=None)
    assert on_replica()


@pytest.mark.parametrize("command", ["showmigrations", "flush", "inspectdb"])
def test_its_kin_run_on_the_primary(shop, command, capsys):
    options = {"flush": {"interactive": False}}.get(command, {})
    assert roles_in(shop, lambda: call_command(command, **options)) == {"primary"}
    assert on_replica() or command == "flush"


# Tests and the shell.


def programs(cluster, folder):
    """A PATH on which mysql's own programs are those of the server's flavor."""
    home = cluster._programs.home
    if home is not None:
        for name in ("mysql", "mysqldump"):
            command = [*cluster._programs.command[:-1], str(home / "usr" / "bin" / name)]
            script = folder / name
            script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
            script.chmod(0o755)
    return os.pathsep.join([str(folder), os.environ["PATH"]])


def test_the_example_s_tests(cluster, tmp_path):
    """And once more in the database that was kept, and in copies of it, by two processes."""
    names = [f"test_{NAME}", f"test_{NAME}_1", f"test_{NAME}_2"]
    with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
        for name in names:
            cluster.create_database(name)  # for the rights
            cursor.execute(f"DROP DATABASE {name}")
    try:
        path = programs(cluster, tmp_path)
        for processes in (1, 2):
            arguments = ("--keepdb", f"--parallel={processes}")
            done = manage(cluster, "test", "--noinput", *arguments, PATH=path)
            assert done.returncode == 0, done.stderr
        assert "clone for alias" in done.stderr
    finally:
        for name in names:
            cluster.drop_database(name)


def test_the_shell_is_the_primary_s(shop, cluster, tmp_path):
    path = programs(cluster, tmp_path)
    asked = manage(cluster, "dbshell", "--", "-N", "-e", "SELECT @@port", PATH=path)
    assert asked.stdout.split() == [str(cluster.primary.port)], asked.stderr


# What is set wrong.


def names(messages):
    return [message.id for message in messages]


@pytest.mark.parametrize(
    ("options", "which", "text"),
    [
        ({"replicas": ["db2"]}, [], ""),
        ({"replicas": "discover"}, [], ""),
        ({"replicas": []}, ["rwsplit.W001"], "no replicas"),
        ({}, ["rwsplit.W001"], "no replicas"),
        ({"replicas": ["db2"], "max_wiat": 1}, ["rwsplit.E001"], "max_wait"),
        ({"replicas": ["db2"], "pool": True}, ["rwsplit.E001"], "'pool'"),
        ({"replicas": ["db2:x"]}, ["rwsplit.E001"], r"replicas\[0\]"),
        ({"isolation_level": "none such"}, ["rwsplit.E001"], "isolation level"),
        ({"cluster": "no such"}, ["rwsplit.E001"], "cluster"),
    ],
)
def test_options_are_checked_before_anything_connects(options, which, text):
    use(HOST="db1", PORT="", OPTIONS=options)
    found = check_databases()
    assert names(found) == which
    assert all(re.search(text, message.msg) for message in found)


def test_a_session_id_in_the_name_is_named():
    before = connections.settings["default"]["NAME"]
    use(NAME="shop?sessionId=42", OPTIONS={"replicas": ["db2"]})
    try:
        (found,) = check_databases()
    finally:
        use(NAME=before)
    assert found.id == "rwsplit.E002"
    assert "42" not in found.msg


class ReadsElsewhere:
    def db_for_read(self, model, **hints):
        return "replica"

    def db_for_write(self, model, **hints):
        return "default"


def test_a_router_that_still_splits_is_named(monkeypatch):
    use(HOST="db1", PORT="3307", OPTIONS={"replicas": ["db2"]})
    connections.settings["replica"] = {**connections.settings["default"], "HOST": "db2"}
    monkeypatch.setattr(checks, "router", ConnectionRouter([ReadsElsewhere()]))
    try:
        found = check_databases()
    finally:
        del connections.settings["replica"]
        if hasattr(connections._connections, "replica"):
            del connections["replica"]
    assert names(found) == ["rwsplit.W002", "rwsplit.W003"]
    assert "teashop.Item" in found[1].msg


def test_a_middleware_that_writes_around_ours_is_named():
    session = "django.contrib.sessions.middleware.SessionMiddleware"
    use(HOST="db1", PORT="", OPTIONS={"replicas": ["db2"]})
    with override_settings(MIDDLEWARE=[session, *settings.MIDDLEWARE]):
        assert names(check_databases()) == ["rwsplit.W004"]
    with override_settings(MIDDLEWARE=[*settings.MIDDLEWARE, session]):
        assert not check_databases()


def test_a_database_whose_driver_is_missing_is_left_to_django():
    use(HOST="db1", PORT="", OPTIONS={"replicas": ["db2"]})
    before = connections.settings["default"]
    connections.settings["old"] = {**before, "ENGINE": "django.db.backends.postgresql"}
    try:
        assert not check_databases()
    finally:
        del connections.settings["old"]


def test_check_runs_them():
    use(HOST="db1", OPTIONS={"replicas": ["db2"], "nonsense": 1})
    with pytest.raises(Exception, match="nonsense"):
        call_command("check")


def test_it_is_the_engine(shop):
    assert MigrationRecorder.Migration._meta.db_table == base._MIGRATIONS
    assert settings.DATABASES["default"]["ENGINE"] == "rwsplit.django"
    assert isinstance(shop, base.DatabaseWrapper)
    assert shop.vendor == "mysql"
