"""A guest book, as a WSGI and as an ASGI application: POST, redirect, GET. Run by test_web.py.

`GET /1` shows user 1's number, `POST /1?7` sets it, and asks the browser for `GET /1`. Each
statement takes the next connection of a pool: nothing but the middleware says what belongs
together.
"""

import asyncio
import contextlib
import json
import os
import queue

import rwsplit
from rwsplit import web

_SECRET = "not much of a secret, as anyone may read it here"
_pool = queue.SimpleQueue()
_OPTIONS = json.loads(os.environ.get("GUEST_BOOK", "{}"))
for _ in range(int(os.environ.get("GUEST_BOOK_POOL", "4"))):
    _pool.put(None)


@contextlib.contextmanager
def connection():
    pooled = _pool.get()
    if pooled is None:
        pooled = rwsplit.connect(**_OPTIONS)
    try:
        yield pooled
    finally:
        _pool.put(pooled)


def write(user, number):
    with connection() as writer:
        writer.cursor().execute("REPLACE INTO t VALUES (%s, %s)", (user, number))
        writer.commit()


def read(user):
    with connection() as reader:
        cursor = reader.cursor()
        cursor.execute("SELECT v FROM t WHERE id = %s", (user,))
        row = cursor.fetchone()
        answer = {"v": row and row[0], "role": reader.route.role, "pid": os.getpid()}
        reader.rollback()
    return answer


def fail(user, number):
    write(user, number)
    raise ZeroDivisionError


def bare_wsgi(environ, start_response):
    user = environ["PATH_INFO"].strip("/")
    if environ["REQUEST_METHOD"] == "POST":
        act = fail if user.startswith("fail") else write
        act(user.removeprefix("fail"), int(environ["QUERY_STRING"]))
        start_response("303 See Other", [("Location", f"/{user}"), ("Content-Length", "0")])
        return [b""]
    body = json.dumps(read(user)).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return iter([body])


wsgi = web.WSGIMiddleware(bare_wsgi, secret=_SECRET)


async def bare_asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    user = scope["path"].strip("/")
    headers, status, body = [], 200, b""
    if scope["method"] == "POST":
        act = fail if user.startswith("fail") else write
        await asyncio.to_thread(act, user.removeprefix("fail"), int(scope["query_string"]))
        status, headers = 303, [(b"location", f"/{user}".encode())]
    else:
        body = json.dumps(await asyncio.to_thread(read, user)).encode()
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


asgi = web.ASGIMiddleware(bare_asgi, secret=_SECRET)


def starlette():
    """Make the same with Starlette, whose views of plain functions run in its thread pool."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, RedirectResponse
    from starlette.routing import Route

    def show(request):
        return JSONResponse(read(request.path_params["user"]))

    def store(request):
        user = request.path_params["user"]
        write(user, int(request.url.query))
        return RedirectResponse(f"/{user}", status_code=303)

    app = Starlette(
        routes=[Route("/{user}", show, methods=["GET"]), Route("/{user}", store, methods=["POST"])]
    )
    return web.ASGIMiddleware(app, secret=_SECRET)
