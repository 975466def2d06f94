"""The example of a FastAPI application: whoever buys sees that, and reads are on replicas."""

import asyncio
import importlib
import json
import sys
import time
from http.cookies import SimpleCookie
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")

from .test_sqlalchemy import url_of

FOLDER = Path(__file__).parents[2] / "examples" / "teaorders"


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Browser:
    """Speaks ASGI to an application, and keeps its cookies."""

    def __init__(self, app):
        self.app = app
        self.cookies = {}

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path):
        return self.ask("POST", path)

    def ask(self, method, path):
        sent = []
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        asked = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"shop"), (b"cookie", cookies.encode())],
            "client": ("127.0.0.1", 1),
            "server": ("shop", 80),
        }

        async def run():
            more = [{"type": "http.request", "body": b"", "more_body": False}]
            ended = asyncio.Event()

            async def receive():
                if more:
                    return more.pop()
                await ended.wait()
                return {"type": "http.disconnect"}

            async def send(message):
                sent.append(message)
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    ended.set()

            await self.app(asked, receive, send)

        asyncio.run(run())
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        for name, value in sent[0]["headers"]:
            if name == b"set-cookie":
                cookie = SimpleCookie(value.decode())
                self.cookies.update({name: morsel.value for name, morsel in cookie.items()})
        return Answer(sent[0]["status"], headers, b"".join(each.get("body", b"") for each in sent))


@pytest.fixture
def shop(cluster, monkeypatch):
    """The application, with ten packets of tea and of coffee."""
    database = cluster.create_database("teaorders")
    monkeypatch.syspath_prepend(str(FOLDER))
    url = url_of(cluster).set(database=database)
    monkeypatch.setenv("SHOP_URL", url.render_as_string(hide_password=False))
    monkeypatch.setenv("SECRET", "not a secret: this is a test of it")
    sys.modules.pop("app", None)
    app = importlib.import_module("app")
    app.Base.metadata.create_all(app.engine)
    with app.Session(app.engine) as session, session.begin():
        session.add_all(app.Item(name=name, amount=10) for name in ("coffee", "tea"))
    cluster.wait_caught_up()
    yield Browser(app.app)
    app.engine.dispose()
    sys.modules.pop("app", None)
    cluster.drop_database(database)


def test_the_shelf_is_read_from_replicas(shop):
    until = time.monotonic() + 5
    while True:
        answer = shop.get("/")
        assert answer.json() == {"coffee": 10, "tea": 10}
        if answer.headers["x-read-from"].startswith("replica"):
            break
        assert time.monotonic() < until, answer.headers["x-read-from"]
    assert shop.get("/report").json() == {"items": 20}


def test_who_buys_sees_it_and_others_wait_for_nobody(shop, cluster):
    for replica in cluster.replicas:
        cluster.stall(replica)
    for left in (9, 8):
        assert shop.post("/buy/tea").json() == {"tea": left}
        answer = shop.get("/")
        assert answer.json() == {"coffee": 10, "tea": left}
        assert answer.headers["x-read-from"].startswith("primary")
    assert shop.get("/report").headers["x-read-from"].startswith("replica")
    bought, shop.cookies = shop.cookies, {}
    assert bought
    assert shop.get("/").headers["x-read-from"].startswith("replica")
    shop.cookies = dict.fromkeys(bought, "forged")
    assert shop.get("/").status == 200
    assert shop.post("/buy/milk").status == 404
