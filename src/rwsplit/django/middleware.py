"""A user's next request sees what the last one wrote, whichever process serves it.

    MIDDLEWARE = ["rwsplit.django.middleware.RWSplitMiddleware", ...]  # the first of all

Each request runs in a `rwsplit.scope()` that begins with the position in the browser's cookie, and
hands on what it has committed in a new one, signed with SECRET_KEY.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..web import _PRIVATE, _aside, _Brought, _entered, _Middleware, _position_after

__all__ = ["RWSplitMiddleware"]

_OPTIONS = ("cookie", "max_age", "session_id", "header")


class RWSplitMiddleware(_Middleware):
    """The middleware, for sync and async views.

    The setting RWSPLIT may hold, as a dict, what `rwsplit.web`'s middlewares take: `cookie`,
    `max_age`, `header`, and `session_id`, a callable that is given the request, or its dotted path.

    Raises ImproperlyConfigured for a bad value, naming it.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        try:
            super().__init__(get_response, **_configured())
        except ValueError as error:
            raise ImproperlyConfigured(f"RWSPLIT: {error}") from None
        self._awaits = iscoroutinefunction(get_response)
        if self._awaits:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Answer a request."""
        brought = self._begin_with(request)
        if self._awaits:
            return self._answer(request, brought)
        with _entered(brought):
            response = self.app(request)
            if brought.scope.wrote:
                self._hand_on(request, response, brought, _position_after(brought))
        return _streamed(response, brought)

    async def _answer(self, request: Any, brought: _Brought) -> Any:
        with _entered(brought):
            response = await self.app(request)
            if brought.scope.wrote:
                after = await _aside(lambda: _position_after(brought))
                self._hand_on(request, response, brought, after)
        return _streamed(response, brought)

    def _begin_with(self, request: Any) -> _Brought:
        header = ""
        if self._header is not None:
            header = request.META.get("HTTP_" + self._header.upper().replace("-", "_"), "")
        return self._begin(request.META.get("HTTP_COOKIE", ""), header, request)

    def _hand_on(
        self, request: Any, response: Any, brought: _Brought, after: tuple[str, bool]
    ) -> None:
        added = self._end(brought, after, request.is_secure())
        for name, value in added:
            if name == "Set-Cookie":
                # So that whoever looks at the cookies of a response finds it, as tests do.
                response.cookies.load(value)
            else:
                response.headers[name] = value
        if added:
            response.headers.setdefault(*_PRIVATE)


def _configured() -> dict[str, Any]:
    given = getattr(settings, "RWSPLIT", {})
    if not isinstance(given, dict):
        raise ValueError(f"expected a dict, got {type(given).__name__}")
    for key in given:
        if key not in _OPTIONS:
            raise ValueError(f"unknown key {key!r}; there are {', '.join(_OPTIONS)}")
    options = dict(given)
    if isinstance(options.get("session_id"), str):
        options["session_id"] = import_string(options["session_id"])
    return {"secret": [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS], **options}


def _streamed(response: Any, brought: _Brought) -> Any:
    """Let a body that is made while it is sent be made in the request's scope, too."""
    # A file needs no database, and servers know how to send it.
    if response.streaming and getattr(response, "file_to_stream", None) is None:
        parts = response.streaming_content
        response.streaming_content = (
            _parts_awaited(parts, brought) if response.is_async else _parts(parts, brought)
        )
    return response


def _parts(parts: Iterator[Any], brought: _Brought) -> Iterator[Any]:
    while True:
        with _entered(brought):
            try:
                part = next(parts)
            except StopIteration:
                return
        yield part


async def _parts_awaited(parts: AsyncIterator[Any], brought: _Brought) -> AsyncIterator[Any]:
    while True:
        with _entered(brought):
            try:
                part = await anext(parts)
            except StopAsyncIteration:
                return
        yield part
