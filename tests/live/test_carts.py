"""The shops of examples/ under the servers that applications run on, while replicas are late."""

import http.cookiejar
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import rwsplit

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS = float(os.environ.get("RWSPLIT_TEST_SECONDS", "10"))
ROUNDS = min(1000, round(SECONDS) * 6)
USERS = 20
IS_SHORT = SECONDS <= 10
LATE = 0.3
PATIENCE = 30


@pytest.fixture
def shop(cluster, tmp_path):
    """The shop's tables, and the environment of its programs."""
    with cluster.connect(cluster.primary) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS cart, orders, invoices")
        lines = (EXAMPLES / "cart.sql").read_text().splitlines()
        for statement in "\n".join(line for line in lines if line[:2] != "--").split(";"):
            if statement.strip():
                cursor.execute(statement)
    cluster.wait_caught_up()
    options = cluster.connect_options
    sources = str(Path(rwsplit.__file__).parent.parent)
    return {
        **os.environ,
        "SECRET": "of this test",
        "HOME": str(tmp_path),  # gunicorn keeps a socket there
        "LOG": str(tmp_path),
        "DATABASE_URL": "rwsplit://{user}:{password}@{host}:{port}/{database}".format(**options)
        + f"?replicas={','.join(options['replicas'])}",
        "PYTHONPATH": os.pathsep.join([sources, str(EXAMPLES)]),
    }


@contextmanager
def running(name, environment, *command):
    """A program and all that it starts, with what it printed where something went wrong."""
    log = Path(environment["LOG"]) / f"{name}.log"
    with log.open("w") as output:
        program = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=EXAMPLES,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield program
    except BaseException:
        print(log.read_text()[-5000:])
        raise
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(program.pid, number)
            with suppress(subprocess.TimeoutExpired):
                program.wait(10)


@contextmanager
def serving(environment, *command):
    """A web server; `PORT` in its command line is the port that it is to take."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [each.replace("PORT", str(port)) for each in command]
    with running(command[0], environment, *arguments) as program:
        until = time.monotonic() + PATIENCE
        while True:
            assert program.poll() is None, "it has ended"
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            assert time.monotonic() < until, "it does not answer"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"


class Browser:
    """A user's: it has cookies of its own, follows redirections, and keeps no connection."""

    def __init__(self, base):
        self.base = base
        self.cookies = http.cookiejar.CookieJar()
        jar = urllib.request.HTTPCookieProcessor(self.cookies)
        self._opener = urllib.request.build_opener(jar, urllib.request.ProxyHandler({}))

    def open(self, method, path):
        request = urllib.request.Request(self.base + path, method=method)
        return self._opener.open(request, timeout=PATIENCE)

    def ask(self, method, path):
        with self.open(method, path) as reply:
            # Of a redirection this is the last answer, a GET's: it must set nothing.
            assert reply.headers["Set-Cookie"] is None
            return json.load(reply)


def shopping(base, number, rounds):
    """One user puts things into his cart and looks; another one only looks."""
    user, visitor = Browser(base), Browser(base)
    expected, stale, carried, roles, visited = [], 0, 0, [], []
    for turn in range(rounds):
        expected.append(f"item {turn}")
        shown = user.ask("POST", f"/cart/user{number}?item=item%20{turn}")
        stale += shown["items"] != expected
        roles.append(shown["read_on"])
        carried += bool(user.cookies)  # not if all replicas have it by then
        visited.append(visitor.ask("GET", f"/cart/user{number}")["read_on"])
        assert not visitor.cookies
    return stale, carried, roles, visited


def share(roles):
    return roles.count("replica") / len(roles)


def shop_at(base, rounds):
    """All users shop at a time; returns how many saw less than they had, and where they read."""
    each = max(1, round(rounds / USERS))
    with ThreadPoolExecutor(USERS) as threads:
        asked = [threads.submit(shopping, base, number, each) for number in range(USERS)]
        found = [one.result() for one in asked]
    stale, carried = (sum(one[which] for one in found) for which in (0, 1))
    roles, visited = ([role for one in found for role in one[which]] for which in (2, 3))
    print(
        f"{len(roles)} rounds, {stale} stale, {carried} with a cookie; on replicas "
        f"{share(roles):.0%} of the reads of who has just written, {share(visited):.0%} of others'"
    )
    return stale, share(visited)


SERVERS = {
    "gunicorn, sync": ("gunicorn", "--bind=127.0.0.1:PORT", "--workers=3", "flask_cart:app"),
    "gunicorn, gevent": (
        *("gunicorn", "--bind=127.0.0.1:PORT", "--workers=3", "--worker-class=gevent"),
        "flask_cart:app",
    ),
    "uvicorn": ("uvicorn", "--port=PORT", "--workers=2", "fastapi_cart:app"),
}


POOLS = ("prefork", "solo", "threads", "gevent")


@pytest.mark.parametrize("server", SERVERS)
def test_users_see_what_they_have_put_into_their_cart(server, cluster, shop):
    for module in ("flask", "fastapi", "gunicorn", "gevent", "uvicorn"):
        pytest.importorskip(module)
    if IS_SHORT and "gevent" in server and cluster.flavor == "mariadb":
        pytest.skip("runs with RWSPLIT_TEST_SECONDS=600")
    for replica in cluster.replicas:
        cluster.delay(replica, LATE)
    with serving(shop, *SERVERS[server]) as base:
        stale, visited = shop_at(base, ROUNDS)
    assert stale == 0
    assert visited > 0.5


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_reads_the_orders_that_it_is_to_invoice(pool, cluster, shop, redis_url):
    for module in ("celery", "flask", "gunicorn", "gevent"):
        pytest.importorskip(module)
    if IS_SHORT and (pool, cluster.flavor) not in (("prefork", "mysql"), ("solo", "mariadb")):
        pytest.skip("runs with RWSPLIT_TEST_SECONDS=600")
    cluster.delay(cluster.replicas[0], LATE)  # the other one mostly has them
    database = 1 + 4 * (cluster.flavor == "mysql") + POOLS.index(pool)
    broker = redis_url.rpartition("/")[0] + f"/{database}"
    environment = {**shop, "BROKER_URL": broker}
    web = ("gunicorn", "--bind=127.0.0.1:PORT", "--workers=2", "celery_cart:web")
    worker = ("celery", "-A", "celery_cart", "worker", f"--pool={pool}", "--concurrency=2")
    with running("celery", environment, *worker), serving(environment, *web) as base:
        placed = {}
        with ThreadPoolExecutor(USERS) as threads:
            each = max(1, round(ROUNDS / USERS))
            asked = [threads.submit(ordering, base, number, each) for number in range(USERS)]
            for one in asked:
                placed |= one.result()
        invoices = wait_for_invoices(cluster, len(placed))
    roles = [role for _, _, role in invoices]
    missed = len(placed) - len(invoices)
    print(f"{len(placed)} orders, {missed} not seen; {share(roles):.0%} read on replicas")
    assert {order: text for order, text, _ in invoices} == placed
    assert share(roles) > 0.3


def ordering(base, number, rounds):
    """One user orders things; returns the invoices that there must be."""
    user, placed = Browser(base), {}
    for turn in range(rounds):
        with user.open("POST", f"/orders/user{number}?item=item{turn}") as reply:
            placed[json.load(reply)["order"]] = f"one item{turn} for user{number}"
    return placed


def wait_for_invoices(cluster, wanted):
    until, found = time.monotonic() + PATIENCE, ()
    with cluster.connect(cluster.primary) as connection, connection.cursor() as cursor:
        while len(found) < wanted and time.monotonic() < until:
            time.sleep(0.1)
            cursor.execute("SELECT order_id, text, read_on FROM invoices")
            found = cursor.fetchall()
    return found
