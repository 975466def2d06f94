"""Middleware for web applications: a user's next request sees what the last one wrote.

    app = rwsplit.web.ASGIMiddleware(app, secret=SECRET)  # Starlette, FastAPI, Django, ...
    app.wsgi_app = rwsplit.web.WSGIMiddleware(app.wsgi_app, secret=SECRET)  # Flask, Django, ...

Each request runs in a `rwsplit.scope()` that begins with the position in the browser's cookie, and
hands on what it has committed in a new one. No framework is imported.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import ExitStack
from contextvars import Context, copy_context
from typing import Any, NamedTuple

from ._core.session.carrier import (
    LONGEST,
    PRIMARY,
    Carrier,
    Found,
    check_cookie,
    check_header,
    check_max_age,
    joined,
    read_cookies,
    read_plain,
    read_secrets,
)
from ._core.session.session_id import is_session_id
from ._shell.context import using
from ._shell.log import logger
from ._shell.scope import Scope

__all__ = ["ASGIMiddleware", "WSGIMiddleware"]

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[Any]]
_Send = Callable[[Any], Awaitable[None]]
_AsgiApp = Callable[[_Scope, _Receive, _Send], Awaitable[None]]
_WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_ERROR = b"Internal Server Error"
_ERROR_HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "21")]
_PRIVATE = ("Cache-Control", "private, no-store")


class _Brought(NamedTuple):
    """What a request brought, and what came of it."""

    scope: Scope
    found: Found
    had_cookie: bool


class _Middleware:
    """What both kinds do, and are given."""

    def __init__(
        self,
        app: Any,
        secret: Any = None,
        cookie: str | None = "rwsplit",
        max_age: float = 30,
        session_id: Callable[[Any], str | int | None] | None = None,
        header: str | None = None,
    ) -> None:
        self.app = app
        self._cookie = check_cookie(cookie)
        self._header = check_header(header)
        self._max_age = check_max_age(max_age)
        secrets = read_secrets(secret) if self._cookie is not None else []
        self._carrier = Carrier(secrets, self._max_age)
        if session_id is not None and not callable(session_id):
            raise ValueError(f"session_id: expected a callable, got {type(session_id).__name__}")
        self._session_id = session_id
        self.counts: Counter[str] = Counter()
        """How many requests brought what: `none`, `accepted`, `forged`, `old`, ..."""

    def _begin(self, cookies: str, header: str, request: Any) -> _Brought:
        """Return what a request must see, from all that it carries."""
        tokens: list[str] = []
        if self._cookie is not None and cookies:
            tokens = read_cookies(cookies, self._cookie)
        found = joined([self._carrier.read_all(tokens, time.time()), read_plain(header)])
        named = self._session_id(request) if self._session_id is not None else None
        if isinstance(named, str) and not is_session_id(named):
            # A stranger may have sent it. Nobody has none; who has one that can't be is somebody.
            if named:
                found = found._replace(outcome="unreadable")
            named = None
        self.counts[found.outcome] += 1
        return _Brought(Scope(found.after, named, is_checked=False), found, bool(tokens))

    def _end(
        self, brought: _Brought, after: tuple[str, bool], is_secure: bool
    ) -> list[tuple[str, str]]:
        """Return the headers that hand on what a request has written; none if it wrote nothing."""
        if not brought.scope.wrote:
            return []
        position, settled = after
        headers = []
        # Who is told may know of other replicas than this process does.
        if self._header is not None and position:
            headers.append((self._header, position))
        if self._cookie is not None and (brought.had_cookie or not settled):
            value, seconds = "", 0
            if not settled:
                value, seconds = self._carrier.sign(position, time.time()), self._max_age
            secure = "; Secure" if is_secure else ""
            headers.append(
                (
                    "Set-Cookie",
                    f"{self._cookie}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax"
                    f"{secure}",
                )
            )
        return headers


def _entered(brought: _Brought) -> ExitStack:
    """Enter what a request runs in."""
    stack = ExitStack()
    stack.enter_context(brought.scope)
    if brought.found.on_primary:
        stack.enter_context(using(reads="primary"))
    return stack


def _position_after(brought: _Brought) -> tuple[str, bool]:
    """Return what comes next must see, and whether all replicas here have it.

    PRIMARY where that can't be said.
    """
    scope = brought.scope
    if brought.found.on_primary:
        return PRIMARY, False  # what it was to see nobody has said
    try:
        settled, position = scope.settled, scope.position
    except Exception as error:
        # It is committed, and the answer must not fail.
        logger.warning(
            "what a request wrote can't be carried, the next reads on the primary: %s", error
        )
        return PRIMARY, False
    return position if len(position) <= LONGEST else PRIMARY, settled


class ASGIMiddleware(_Middleware):
    """A middleware for ASGI applications; put it around all others.

    What requests carry is handed on with the beginning of the answer: websockets are read only.

    :param app: the application.
    :param secret: signs the cookies: a text or bytes, best 32 random ones; or a list of them, of
        which the first signs and all are accepted. All processes of the application need the same.
    :param cookie: the cookie's name; None for no cookie.
    :param max_age: for how many seconds a cookie counts: longer than replicas are late.
    :param session_id: a callable that is given the request (its `scope`) and returns the session
        id that it runs under, or None. Beyond one process that needs `session_store`.
    :param header: the name of a header that carries positions from service to service, unsigned:
        only for applications that no stranger reaches directly.

    Raises ValueError for a bad value, naming it.
    """

    app: _AsgiApp

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Run one request; what is none of HTTP and websockets passes through."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        cookies = "; ".join(_values(scope, b"cookie"))
        wanted = self._header.lower().encode("ascii") if self._header is not None else None
        header = ",".join(_values(scope, wanted)) if wanted is not None else ""
        brought = self._begin(cookies, header, scope)
        with _entered(brought):
            if scope["type"] == "websocket":
                await self.app(scope, receive, send)
                return
            reply = _AsgiReply(self, brought, scope.get("scheme") == "https", send)
            try:
                await self.app(scope, receive, reply.send)
            except Exception:
                await reply.fail()
                raise
            await reply.finish()


class _AsgiReply:
    """Sends what the application answers, the beginning with its first part of the body.

    As servers do; until then what it commits is in the headers.
    """

    def __init__(
        self, middleware: ASGIMiddleware, brought: _Brought, is_secure: bool, send: _Send
    ) -> None:
        self._middleware = middleware
        self._brought = brought
        self._is_secure = is_secure
        self._send = send
        self._start: Any = None
        self._started = False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start" and not self._started:
            self._start = message
            return
        await self.finish()
        await self._send(message)

    async def finish(self) -> None:
        """Send the beginning, if that was not done."""
        start, self._start = self._start, None
        if start is None:
            return
        self._started = True
        added = await self._added()
        if added:
            headers = [*start.get("headers", ())]
            if all(bytes(name).lower() != b"cache-control" for name, _ in headers):
                added.append(_PRIVATE)
            headers += [(name.lower().encode("latin-1"), v.encode("latin-1")) for name, v in added]
            start = {**start, "headers": headers}
        await self._send(start)

    async def fail(self) -> None:
        """Answer a request that raised something: what it has committed must be handed on."""
        if self._started or not self._brought.scope.wrote:
            return
        headers = [(k.lower().encode(), v.encode()) for k, v in _ERROR_HEADERS]
        self._start = {"type": "http.response.start", "status": 500, "headers": headers}
        await self.finish()
        await self._send({"type": "http.response.body", "body": _ERROR})

    async def _added(self) -> list[tuple[str, str]]:
        brought = self._brought
        if not brought.scope.wrote:
            return []
        if brought.scope.in_doubt:
            after = await _aside(lambda: _position_after(brought))
        else:
            after = _position_after(brought)
        return self._middleware._end(brought, after, self._is_secure)


def _values(scope: _Scope, wanted: bytes) -> list[str]:
    headers = scope.get("headers") or ()
    return [v.decode("latin-1") for name, v in headers if bytes(name).lower() == wanted]


async def _aside(action: Callable[[], tuple[str, bool]]) -> tuple[str, bool]:
    """Run what asks a server in a thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # another library's loop
        return action()
    return await asyncio.to_thread(action)


class WSGIMiddleware(_Middleware):
    """A middleware for WSGI applications; put it around all others.

    :param app: the application.
    :param secret: signs the cookies: a text or bytes, best 32 random ones; or a list of them, of
        which the first signs and all are accepted. All processes of the application need the same.
    :param cookie: the cookie's name; None for no cookie.
    :param max_age: for how many seconds a cookie counts: longer than replicas are late.
    :param session_id: a callable that is given the request (its `environ`) and returns the session
        id that it runs under, or None. Beyond one process that needs `session_store`.
    :param header: the name of a header that carries positions from service to service, unsigned:
        only for applications that no stranger reaches directly.

    Raises ValueError for a bad value, naming it.
    """

    app: _WsgiApp

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Run one request, in a copy of the context: all of it, and nothing beyond it."""
        header = ""
        if self._header is not None:
            header = environ.get("HTTP_" + self._header.upper().replace("-", "_"), "")
        brought = self._begin(environ.get("HTTP_COOKIE", ""), header, environ)
        context = copy_context()
        context.run(_entered, brought)
        is_secure = environ.get("wsgi.url_scheme") == "https"
        reply = _WsgiReply(self, brought, is_secure, start_response)
        try:
            body = context.run(self.app, environ, reply.start_response)
        except Exception as error:
            failed = reply.failed(error)
            if failed is None:
                raise
            return failed
        wrapper = environ.get("wsgi.file_wrapper")
        is_file = isinstance(wrapper, type) and isinstance(body, wrapper)
        if is_file or isinstance(body, list | tuple):
            # Nothing of the application runs any more, and servers know how to send these.
            reply.finish()
            return body
        return _WsgiBody(body, context, reply)


class _WsgiReply:
    """Answers for the application, the headers with its first part of the body, as servers do."""

    def __init__(
        self,
        middleware: WSGIMiddleware,
        brought: _Brought,
        is_secure: bool,
        start: Callable[..., Any],
    ) -> None:
        self._middleware = middleware
        self._brought = brought
        self._is_secure = is_secure
        self._start = start
        self._said: tuple[Any, ...] | None = None
        self._write: Any = None
        self._started = False

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """Be what the application is given."""
        if self._started:
            return self._start(status, headers, exc_info)
        if self._said is not None and exc_info is None:
            raise AssertionError("start_response() was called before")
        self._said = status, headers, exc_info
        return self._write_first

    def _write_first(self, data: bytes) -> Any:
        self.finish()
        return self._write(data)

    def finish(self) -> None:
        """Send the headers, if the application has said which, and that was not done."""
        said, self._said = self._said, None
        if said is None:
            return
        status, headers, exc_info = said
        self._started = True
        brought = self._brought
        if brought.scope.wrote:
            added = self._middleware._end(brought, _position_after(brought), self._is_secure)
            if added:
                headers = [*headers, *added]
                if all(name.lower() != "cache-control" for name, _ in headers):
                    headers.append(_PRIVATE)
        self._write = self._start(status, headers, *([exc_info] if exc_info else []))

    def failed(self, error: Exception) -> Iterable[bytes] | None:
        """Answer a request that raised something: what it has committed must be handed on.

        None where it has committed nothing, or is answered already.
        """
        if self._started or not self._brought.scope.wrote:
            return None
        exc_info = (type(error), error, error.__traceback__)
        self._said = "500 Internal Server Error", _ERROR_HEADERS, exc_info
        self.finish()
        return _then_raise(error)


def _then_raise(error: Exception) -> Iterator[bytes]:
    yield _ERROR
    raise error


class _WsgiBody:
    """The application's answer, each part made in the request's own context."""

    def __init__(self, body: Iterable[bytes], context: Context, reply: _WsgiReply) -> None:
        self._body = body
        self._context = context
        self._reply = reply
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._parts is None:
                self._parts = self._context.run(iter, self._body)
            part = self._context.run(next, self._parts)
        except StopIteration:
            self._reply.finish()
            raise
        except Exception as error:
            failed = self._reply.failed(error)
            if failed is None:
                raise
            self._parts = iter(failed)
            return next(self._parts)
        self._reply.finish()
        return part

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            self._context.run(close)
