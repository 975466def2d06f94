"""POST, redirect, GET in several processes, replicas late: users see what they have written."""

import asyncio
import contextlib
import http.client
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

import rwsplit
from rwsplit import web

SECONDS = float(os.environ.get("RWSPLIT_TEST_SECONDS", "10"))
USERS = 20
LATE = 0.3
BOOK = "tests.live.web_apps"

SERVERS = {
    "gunicorn, sync": (("gunicorn",), ["gunicorn", "-w", "3", "-k", "sync", f"{BOOK}:wsgi"]),
    "gunicorn, threads": (
        ("gunicorn",),
        ["gunicorn", "-w", "2", "-k", "gthread", "--threads", "4", f"{BOOK}:wsgi"],
    ),
    "gunicorn, gevent": (
        ("gunicorn", "gevent"),
        ["gunicorn", "-w", "3", "-k", "gevent", f"{BOOK}:wsgi"],
    ),
    "uvicorn": (("uvicorn",), ["uvicorn", "--workers", "2", "--log-level", "warning"]),
    "uvicorn, Starlette": (("uvicorn", "starlette"), ["uvicorn", "--log-level", "warning"]),
}


@contextlib.contextmanager
def serving(name, cluster, carried=True, **options):
    """Run the guest book under a server, with the middleware or without; yields the port."""
    packages, command = SERVERS[name]
    if not carried:
        command = [part.replace(":wsgi", ":bare_wsgi") for part in command]
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if command[0] == "gunicorn":
        command = [*command, "-b", f"127.0.0.1:{port}", "--log-level", "warning"]
    else:
        app = ["--factory", f"{BOOK}:starlette"] if "Starlette" in name else [f"{BOOK}:asgi"]
        command = [*command, "--host", "127.0.0.1", "--port", str(port), *app]
    server = subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**os.environ, "GUEST_BOOK": json.dumps({**cluster.connect_options, **options})},
        stderr=subprocess.PIPE,
        text=True,
    )
    complaints = []
    listener = threading.Thread(target=lambda: complaints.extend(server.stderr))
    listener.start()
    try:
        until = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            assert server.poll() is None, "".join(complaints)
            assert time.monotonic() < until, "".join(complaints)
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        listener.join()
        server.stderr.close()
        print("".join(complaints))


class Browser:
    """Keeps its cookies, and nothing else."""

    def __init__(self, port):
        self.port = port
        self.cookies = {}

    def ask(self, method, path):
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        wire.request(method, path, headers={"Cookie": sent} if sent else {})
        answer = wire.getresponse()
        body = answer.read()
        wire.close()
        for cookie in answer.msg.get_all("Set-Cookie") or ():
            pair, _, attributes = cookie.partition(";")
            name, _, value = pair.partition("=")
            assert "HttpOnly" in attributes
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer, body


def book_is_used(port, seconds, rounds=None, users=USERS):
    """Let users write and read what they wrote, and others only read; returns what was counted."""
    counts = Counter()
    until = time.monotonic() + seconds
    lock = threading.Lock()

    def user(number):
        writer, written = Browser(port), 0
        while time.monotonic() < until if rounds is None else written < rounds:
            written += 1
            answer, _ = writer.ask("POST", f"/{number}?{written}")
            assert answer.status == 303, answer.status
            set_by_post = answer.getheader("Set-Cookie") is not None
            answer, body = writer.ask("GET", answer.getheader("Location"))
            assert answer.status == 200, answer.status
            mine = json.loads(body)
            cookies = answer.getheader("Set-Cookie") is not None
            # Nobody has logged in on this one, and nobody has written there.
            answer, body = Browser(port).ask("GET", f"/{number}")
            stranger = json.loads(body)
            cookies += answer.getheader("Set-Cookie") is not None
            with lock:
                counts["rounds"] += 1
                counts["stale"] += mine["v"] != written
                counts["cookies at POST"] += set_by_post
                counts["cookies at GET"] += cookies
                counts[f"own GET on {mine['role']}"] += 1
                counts[f"GET of strangers on {stranger['role']}"] += 1
                counts[f"of process {mine['pid']}"] += 1

    def guarded(number):
        try:
            user(number)
        except Exception as error:
            with lock:
                counts[f"failed: {error!r}"] += 1

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(1, users + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts


@pytest.fixture
def late(cluster, table):
    """Everything comes to the replicas a while later."""
    with cluster.connect(cluster.primary) as primary:
        rows = ", ".join(f"({number}, 0)" for number in range(1, USERS + 1))
        primary.cursor().execute(f"INSERT INTO t VALUES {rows}")
    cluster.wait_caught_up()
    for replica in cluster.replicas:
        cluster.delay(replica, LATE)
    return cluster


@pytest.mark.parametrize("name", SERVERS)
def test_users_see_what_they_wrote(late, name, capsys):
    rounds = int(os.environ.get("RWSPLIT_TEST_ROUNDS", "0")) // USERS or None
    with serving(name, late) as port:
        counts = book_is_used(port, SECONDS / 8, rounds)
    on_replicas = counts["GET of strangers on replica"] / max(counts["rounds"], 1)
    with capsys.disabled():
        print(
            f"\n{name}, {late.flavor}: {counts['rounds']} rounds, {counts['stale']} stale; "
            f"GETs of users who did not write on replicas: {on_replicas:.1%}; {dict(counts)}"
        )
    assert not [said for said in counts if said.startswith("failed")]
    assert counts["rounds"] >= USERS
    assert counts["stale"] == 0
    assert counts["cookies at GET"] == 0
    assert counts["cookies at POST"] >= 0.9 * counts["rounds"], "but where the replicas have it"
    assert on_replicas > 0.9


def test_without_it_they_do_not(late):
    # The defaults and many writers hide it: each process waits for the newest that it knows of.
    alone = {"session_id_kind": "connection", "after": None}
    with serving("gunicorn, sync", late, carried=False, **alone) as port:
        counts = book_is_used(port, 0, rounds=40, users=1)
    assert counts["stale"] > 0, counts
    assert counts["cookies at POST"] == 0


def test_their_reads_go_back_to_replicas(late):
    with serving("uvicorn", late) as port:
        browser = Browser(port)
        browser.ask("POST", "/5?77")
        assert browser.cookies
        until = time.monotonic() + 15
        while time.monotonic() < until:
            _, body = browser.ask("GET", "/5")
            seen = json.loads(body)
            assert seen["v"] == 77
            if seen["role"] == "replica":
                break
            time.sleep(0.05)
        assert seen["role"] == "replica"


def test_an_error_behind_a_commit_is_seen_all_the_same(late):
    for name in ("gunicorn, sync", "uvicorn"):
        with serving(name, late) as port:
            for number in range(1, 6):
                browser = Browser(port)
                answer, _ = browser.ask("POST", f"/fail3?{number}")
                assert answer.status == 500
                assert browser.cookies
                _, body = browser.ask("GET", "/3")
                assert json.loads(body)["v"] == number


# Without a server of others.


@pytest.fixture
def pair(late):
    """A connection that writes, and one that reads, of two pools."""
    options = {**late.connect_options, "autocommit": True}
    with rwsplit.connect(**options) as one, rwsplit.connect(**options) as other:
        yield one, other


def run(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def test_a_websocket_reads_what_it_writes(pair):
    one, other = pair
    seen = []

    async def app(scope, receive, send):
        for number in range(3):
            await asyncio.to_thread(run, one, f"UPDATE t SET v = {number + 40} WHERE id = 1")
            seen.append(await asyncio.to_thread(run, other, "SELECT v FROM t WHERE id = 1"))

    middleware = web.ASGIMiddleware(app, secret="x")
    asyncio.run(middleware({"type": "websocket", "headers": []}, None, None))
    assert seen == [(40,), (41,), (42,)]


def test_what_copies_the_context_shares_the_scope(pair):
    one, other = pair
    starlette = pytest.importorskip("starlette.concurrency")
    asgiref = pytest.importorskip("asgiref.sync")
    ways = [
        asyncio.to_thread,
        starlette.run_in_threadpool,
        lambda *call: asgiref.sync_to_async(call[0])(*call[1:]),
        lambda *call: asgiref.sync_to_async(call[0], thread_sensitive=False)(*call[1:]),
        lambda *call: asyncio.create_task(asyncio.to_thread(*call)),
    ]

    async def app(scope, receive, send):
        for number, way in enumerate(ways):
            await way(run, one, f"UPDATE t SET v = {number + 70} WHERE id = 2")
            for again in ways:
                assert await again(run, other, "SELECT v FROM t WHERE id = 2") == (number + 70,)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    sent = []

    async def send(message):
        sent.append(message)

    middleware = web.ASGIMiddleware(app, secret="x")
    asyncio.run(middleware({"type": "http", "headers": []}, None, send))
    names = [name for name, _ in sent[0]["headers"]]
    assert b"set-cookie" in names


def test_starlettes_own_middlewares_and_streams(pair):
    """BaseHTTPMiddleware runs the application in a task of its own."""
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    one, other = pair
    seen = []

    async def view(request):
        await asyncio.to_thread(run, one, "UPDATE t SET v = 90 WHERE id = 3")

        def parts():
            for _ in range(2):
                seen.append(run(other, "SELECT v FROM t WHERE id = 3"))
                yield b"x"

        return StreamingResponse(parts())

    async def between(request, call_next):
        return await call_next(request)

    app = Starlette(
        routes=[Route("/", view)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=between)]
    )
    sent = []

    async def send(message):
        sent.append(message)

    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        return requests.pop() if requests else await asyncio.Event().wait()

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [],
        "server": ("x", 80),
        "client": ("y", 1),
        "extensions": {},
        "state": {},
    }
    asyncio.run(web.ASGIMiddleware(app, secret="x")(scope, receive, send))
    assert seen == [(90,), (90,)]
    assert b"set-cookie" in [name for name, _ in sent[0]["headers"]]


def test_dependencies_of_a_framework_in_threads(pair):
    """A sync generator is entered and left in copies of a context: no error, and no scope."""
    starlette = pytest.importorskip("starlette.concurrency")

    def dependency():
        with rwsplit.scope() as scope:
            yield scope

    async def request():
        generator = dependency()
        scope = await starlette.run_in_threadpool(next, generator)
        assert rwsplit.current_scope() is None
        await asyncio.to_thread(run, pair[0], "UPDATE t SET v = 1 WHERE id = 4")
        assert not scope.wrote
        with scope:
            await asyncio.to_thread(run, pair[0], "UPDATE t SET v = 2 WHERE id = 4")
        assert scope.wrote
        await starlette.run_in_threadpool(next, generator, None)

    asyncio.run(request())
