"""The middleware for web applications: what it hands on, when, and what it leaves alone."""

import asyncio
import threading
import time

import pytest

import rwsplit
from rwsplit import web
from rwsplit._core.session.carrier import Carrier
from rwsplit._shell.context import current
from tests.core.test_scope import Cluster, Replica, gtids

SERVER = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
SECRET = "s" * 32
CARRIER = Carrier([SECRET.encode()], 30)
WROTE = f"my1.{SERVER}.7"


class World:
    """One primary; a commit on it is what the middlewares are about."""

    def __init__(self):
        self.cluster = Cluster()
        self.seen = []

    def commit(self, number=7):
        scope = rwsplit.current_scope()
        scope.part(self.cluster, None).note(f"{SERVER}:{number}")
        for each in scope.around():
            each.wrote = True

    def look(self):
        """Note what the running code must see."""
        scope = rwsplit.current_scope()
        scope.part(self.cluster, None)
        self.seen.append(scope.position)

    def lets_replicas_have(self, text):
        self.cluster.replicas = (Replica(gtids(text)),)


@pytest.fixture
def world():
    return World()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.cookies = [value for name, value in headers if name.lower() == "set-cookie"]

    def value(self, name):
        return next((v for k, v in self.headers if k.lower() == name), None)


def ask_asgi(app, cookie=None, scheme="http", headers=(), kind="http"):
    """Ask an ASGI application; returns what it sent."""
    sent = []
    headers = [(k.encode(), v.encode()) for k, v in headers]
    if cookie is not None:
        headers.append((b"cookie", cookie.encode("latin-1")))

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    scope = {"type": kind, "scheme": scheme, "headers": headers, "path": "/"}

    async def ask():
        before = current.get()
        try:
            await app(scope, receive, send)
        finally:
            assert current.get() is before

    try:
        asyncio.run(ask())
    except ZeroDivisionError:
        sent.append(None)
    return sent


def answer_of(sent):
    raised = None in sent
    start, *bodies = [message for message in sent if message is not None]
    assert start["type"] == "http.response.start"
    assert all(message["type"] == "http.response.body" for message in bodies)
    headers = [(k.decode(), v.decode()) for k, v in start["headers"]]
    body = b"".join(message.get("body", b"") for message in bodies)
    return Answer(start["status"], headers, body), raised


def ask_wsgi(app, cookie=None, scheme="http", headers=()):
    """Ask a WSGI application as a server does; returns the answer, and whether it raised."""
    said, parts, raised = [], [], False
    environ = {"wsgi.url_scheme": scheme, "PATH_INFO": "/"}
    for name, value in headers:
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    if cookie is not None:
        environ["HTTP_COOKIE"] = cookie

    def start_response(status, headers, exc_info=None):
        assert not (said and exc_info is None)
        said.append((status, headers))
        return parts.append

    result = ()
    try:
        result = app(environ, start_response)
        for part in result:
            assert said, "the headers come first"
            parts.append(part)
    except ZeroDivisionError:
        raised = True
    finally:
        if hasattr(result, "close"):
            result.close()
    assert current.get() is None
    if not said:
        return None, raised
    status, headers = said[-1]
    return Answer(int(status[:3]), headers, b"".join(parts)), raised


# The same applications for both.


def simple(action, headers=()):
    """An application that does something and answers."""

    async def asgi(scope, receive, send):
        action()
        head = [(k.encode(), v.encode()) for k, v in headers]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"ok"})

    def wsgi(environ, start_response):
        action()
        start_response("200 OK", [*headers])
        return [b"ok"]

    return asgi, wsgi


@pytest.fixture(params=["asgi", "wsgi"])
def ask(request):
    """Ask an application, given for both, through its middleware."""

    def run(apps, brought=None, scheme="http", headers=(), **options):
        options = {"secret": SECRET, **options}
        if request.param == "asgi":
            sent = ask_asgi(web.ASGIMiddleware(apps[0], **options), brought, scheme, headers)
            return answer_of(sent)[0]
        return ask_wsgi(web.WSGIMiddleware(apps[1], **options), brought, scheme, headers)[0]

    return run


def cookie_of(answer):
    """What the next request brings."""
    (cookie,) = answer.cookies
    return cookie.partition(";")[0]


def test_who_writes_nothing_gets_no_cookie(world, ask):
    answer = ask(simple(world.look))
    assert (answer.status, answer.body, answer.headers) == (200, b"ok", [])
    assert world.seen == [""]


def test_what_was_written_is_what_the_next_request_must_see(world, ask):
    answer = ask(simple(world.commit))
    (cookie,) = answer.cookies
    assert cookie.endswith("; Max-Age=30; Path=/; HttpOnly; SameSite=Lax")
    assert answer.value("cache-control") == "private, no-store"
    assert answer.body == b"ok"
    again = ask(simple(world.look), f"a=b; {cookie_of(answer)}; c=d")
    assert world.seen == [WROTE]
    assert again.headers == [], "it wrote nothing"


def test_what_is_written_next_is_joined(world, ask):
    first = ask(simple(world.commit))
    second = ask(simple(lambda: world.commit(9)), cookie_of(first))
    ask(simple(world.look), cookie_of(second))
    assert world.seen == [f"my1.{SERVER}.7.9"]


def test_under_https_the_cookie_is_secure(world, ask):
    assert ask(simple(world.commit), scheme="https").cookies[0].endswith("; SameSite=Lax; Secure")


def test_the_application_says_who_may_keep_it(world, ask):
    answer = ask(simple(world.commit, [("Cache-Control", "public, max-age=5")]))
    assert [v for k, v in answer.headers if k.lower() == "cache-control"] == ["public, max-age=5"]
    assert answer.cookies


def test_other_cookies_stay(world, ask):
    answer = ask(simple(world.commit, [("Set-Cookie", "a=b")]))
    assert len(answer.cookies) == 2


def test_what_all_replicas_have_needs_no_cookie(world, ask):
    world.lets_replicas_have("S:1-20")
    answer = ask(simple(world.commit))
    assert answer.headers == []
    brought = ask(simple(world.commit), f"rwsplit={CARRIER.sign(WROTE, time.time())}")
    (cookie,) = brought.cookies
    assert cookie.startswith("rwsplit=; Max-Age=0; Path=/"), "it has done its work"
    reads = ask(simple(world.look), f"rwsplit={CARRIER.sign(WROTE, time.time())}")
    assert reads.headers == [], "another tab may have set a newer one meanwhile"


@pytest.mark.parametrize(
    "cookie",
    [
        "rwsplit=",
        "rwsplit=x",
        "rwsplit",
        "rwsplit=" + "a" * 8000,
        "rwsplit=" + Carrier([b"another"], 30).sign(WROTE, time.time()),
        "rwsplit=" + CARRIER.sign(WROTE, time.time() - 9999),
        "another=" + CARRIER.sign(WROTE, time.time()),
        "rwsplit=" + CARRIER.sign(WROTE, time.time()).replace("~my1", "~my1.x"),
        "\xff\xfe=\x00",
        ";;;==;",
    ],
    ids=range(10),
)
def test_what_was_made_up_is_as_no_cookie(world, ask, cookie):
    answer = ask(simple(world.look), cookie)
    assert (answer.status, answer.headers) == (200, [])
    assert world.seen == [""]


def test_a_position_of_the_other_flavor_is_as_no_cookie(world, ask):
    def look():
        world.seen.append(rwsplit.current_scope().part(world.cluster, None).asked)

    ask(simple(look), f"rwsplit={CARRIER.sign('ma1.0-1-7', time.time())}")
    assert world.seen == [None]


def test_too_much_to_carry_pins_the_next_request(world, ask):
    def commit_much():
        for number in range(1, 3000, 2):
            world.commit(number)

    def look():
        world.seen.append(current.get().choice)

    answer = ask(simple(commit_much))
    assert len(answer.cookies[0]) < 200
    ask(simple(look), cookie_of(answer))
    assert world.seen.pop().reads == "primary"
    more = ask(simple(world.commit), cookie_of(answer))
    ask(simple(look), cookie_of(more))
    assert world.seen.pop().reads == "primary", "what that one was to see nobody knows"
    ask(simple(look))
    assert world.seen.pop() is None


def test_what_can_not_be_asked_for_pins_the_next_request(world, ask, monkeypatch):
    def fail(*_):
        raise rwsplit.OperationalError(2003, "away")

    monkeypatch.setattr("rwsplit._shell.scope.ask_aside", fail)

    def lose():
        scope = rwsplit.current_scope()
        scope.part(world.cluster, object()).doubt(unsure=False)
        scope.wrote = True

    answer = ask(simple(lose))
    ask(simple(lambda: world.seen.append(current.get().choice)), cookie_of(answer))
    assert world.seen[0].reads == "primary"


def test_a_doubt_is_asked_for(world, ask, monkeypatch):
    monkeypatch.setattr("rwsplit._shell.scope.ask_aside", lambda *_: gtids("S:1-4"))

    def lose():
        scope = rwsplit.current_scope()
        scope.part(world.cluster, object()).doubt(unsure=False)
        scope.wrote = True

    answer = ask(simple(lose))
    ask(simple(world.look), cookie_of(answer))
    assert world.seen == [f"my1.{SERVER}.1-4"]


def test_a_session_id_from_the_request(world, ask):
    def look():
        world.seen.append(current.get().session_id)

    ask(simple(look), session_id=lambda request: 42)
    ask(simple(look), session_id=lambda request: None)
    assert world.seen == ["42", None]


@pytest.mark.parametrize("given", ["a" * 256, "a\x80", "a\tb", "a\xa0"])
def test_a_session_id_that_can_be_none_reads_from_the_primary(world, ask, given):
    """A stranger's header is no error, and nobody's freedom to read older."""

    def look():
        context = current.get()
        world.seen.append((context.session_id, context.choice.reads))

    ask(simple(look), session_id=lambda request: given)
    assert world.seen == [(None, "primary")]


def test_an_empty_session_id_is_none(world, ask):
    def look():
        context = current.get()
        world.seen.append((context.session_id, context.choice))

    ask(simple(look), session_id=lambda request: "")
    ask(simple(look), session_id=lambda request: None)
    assert world.seen[0] == world.seen[1]


def test_positions_from_service_to_service(world, ask):
    options = {"header": "X-Position", "secret": None, "cookie": None}
    answer = ask(simple(world.commit), headers=[("x-position", "")], **options)
    assert answer.value("x-position") == WROTE
    assert not answer.cookies
    again = ask(simple(world.look), headers=[("x-position", WROTE)], **options)
    assert world.seen == [WROTE]
    assert again.headers == []

    def look():
        world.seen.append(current.get().choice.reads)

    for bad in ("x", "primary", "my2.x", "my1." + "1" * 9000, f"{WROTE},{WROTE}"):
        ask(simple(look), headers=[("x-position", bad)], **options)
    assert world.seen[1:] == ["primary"] * 5

    def call_another():
        rwsplit.current_scope().see(WROTE)
        world.look()

    ask(simple(call_another), **options)
    assert world.seen[-1] == WROTE


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"secret": None}, "secret"),
        ({"secret": ""}, "secret"),
        ({"cookie": "a b"}, "cookie"),
        ({"max_age": 0}, "max_age"),
        ({"header": "a:b"}, "header"),
        ({"session_id": "x"}, "session_id"),
    ],
)
@pytest.mark.parametrize("kind", [web.ASGIMiddleware, web.WSGIMiddleware])
def test_bad_options(kind, options, named):
    with pytest.raises(ValueError, match=named) as caught:
        kind(None, **{"secret": SECRET, **options})
    assert SECRET not in str(caught.value)


# Exceptions, streams.


def failing(action, late=False):
    async def asgi(scope, receive, send):
        action()
        if late:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    def wsgi(environ, start_response):
        action()
        if late:
            start_response("200 OK", [])
        raise ZeroDivisionError

    return asgi, wsgi


@pytest.mark.parametrize("late", [False, True])
def test_an_error_behind_a_commit_hands_it_on(world, late):
    asgi, wsgi = failing(world.commit, late)
    answer, raised = answer_of(ask_asgi(web.ASGIMiddleware(asgi, secret=SECRET)))
    assert (answer.status, raised, answer.body) == (500, True, b"Internal Server Error")
    assert cookie_of(answer)
    answer, raised = ask_wsgi(web.WSGIMiddleware(wsgi, secret=SECRET))
    assert (answer.status, raised, answer.body) == (500, True, b"Internal Server Error")
    assert cookie_of(answer)


def test_any_other_error_is_left_alone(world):
    asgi, wsgi = failing(world.look)
    assert ask_asgi(web.ASGIMiddleware(asgi, secret=SECRET)) == [None]
    assert ask_wsgi(web.WSGIMiddleware(wsgi, secret=SECRET)) == (None, True)


def test_an_error_page_of_the_framework_has_the_cookie(world):
    async def asgi(scope, receive, send):
        world.commit()
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"sorry"})
        raise ZeroDivisionError

    answer, raised = answer_of(ask_asgi(web.ASGIMiddleware(asgi, secret=SECRET)))
    assert (answer.status, answer.body, raised) == (500, b"sorry", True)
    assert cookie_of(answer)


def test_a_stream_commits_before_its_first_part_or_hands_nothing_on(world):
    def streaming(before, after):
        async def asgi(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            before()
            await send({"type": "http.response.body", "body": b"1", "more_body": True})
            after()
            world.look()
            await send({"type": "http.response.body", "body": b"2"})

        def wsgi(environ, start_response):
            start_response("200 OK", [])
            before()
            yield b"1"
            after()
            world.look()
            yield b"2"

        return asgi, wsgi

    def nothing():
        pass

    for before, after, cookies in ((world.commit, nothing, 1), (nothing, world.commit, 0)):
        asgi, wsgi = streaming(before, after)
        answer, _ = answer_of(ask_asgi(web.ASGIMiddleware(asgi, secret=SECRET)))
        assert (answer.body, len(answer.cookies)) == (b"12", cookies)
        answer, _ = ask_wsgi(web.WSGIMiddleware(wsgi, secret=SECRET))
        assert (answer.body, len(answer.cookies)) == (b"12", cookies)
    assert world.seen == [WROTE] * 4, "all of a stream runs in the request's scope"


# ASGI.


def test_what_is_no_request_passes_through():
    async def app(scope, receive, send):
        assert current.get() is None
        await send(scope["type"])

    assert ask_asgi(web.ASGIMiddleware(app, secret=SECRET), kind="lifespan") == ["lifespan"]


def test_a_websocket_sees_what_its_handshake_brings(world):
    async def app(scope, receive, send):
        world.look()
        await send({"type": "websocket.accept", "headers": []})
        world.commit(9)
        with rwsplit.scope():
            world.look()

    cookie = f"rwsplit={CARRIER.sign(WROTE, time.time())}"
    sent = ask_asgi(web.ASGIMiddleware(app, secret=SECRET), cookie, kind="websocket")
    assert sent == [{"type": "websocket.accept", "headers": []}]
    assert world.seen == [WROTE, f"my1.{SERVER}.7.9"]


def test_a_cancelled_request(world):
    async def app(scope, receive, send):
        world.commit()
        await asyncio.sleep(60)

    async def ask():
        middleware = web.ASGIMiddleware(app, secret=SECRET)
        sent = []
        task = asyncio.create_task(middleware({"type": "http", "headers": []}, None, sent.append))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not sent
        assert current.get() is None

    asyncio.run(ask())


def test_requests_side_by_side_have_scopes_of_their_own(world):
    async def app(scope, receive, send):
        if scope["path"] != "/0":
            await asyncio.to_thread(world.commit, int(scope["path"][1:]))
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": rwsplit.current_scope().position})

    middleware = web.ASGIMiddleware(app, secret=SECRET)

    async def ask(number):
        sent = []

        async def send(message):
            sent.append(message)

        await middleware({"type": "http", "headers": [], "path": f"/{number}"}, None, send)
        return len(sent[0]["headers"]), sent[1]["body"]

    async def all_of_them():
        return await asyncio.gather(*map(ask, range(30)))

    first, *others = asyncio.run(all_of_them())
    assert first == (0, "")
    assert others == [(2, f"my1.{SERVER}.{number}") for number in range(1, 30)]


# WSGI.


def test_old_applications_write(world):
    def app(environ, start_response):
        write = start_response("200 OK", [])
        world.commit()
        write(b"1")
        write(b"2")
        return []

    answer, _ = ask_wsgi(web.WSGIMiddleware(app, secret=SECRET))
    assert answer.body == b"12"
    assert cookie_of(answer)


def test_files_and_lists_are_handed_over_as_they_are():
    class File:
        pass

    file, parts = File(), [b"x"]
    for body in (file, parts, tuple(parts)):

        def app(environ, start_response, body=body):
            start_response("200 OK", [])
            return body

        said = []

        def start_response(status, headers, said=said):
            said.append(status)

        environ = {"wsgi.file_wrapper": File}
        assert web.WSGIMiddleware(app, secret=SECRET)(environ, start_response) is body
        assert said == ["200 OK"]


def test_an_answer_without_a_body(world):
    def app(environ, start_response):
        world.commit()
        start_response("204 No Content", [])
        return iter(())

    answer, _ = ask_wsgi(web.WSGIMiddleware(app, secret=SECRET))
    assert (answer.status, answer.body) == (204, b"")
    assert cookie_of(answer)


def test_a_body_is_closed_in_the_requests_scope(world):
    class Body:
        def __iter__(self):
            return iter([b"x"])

        def close(self):
            world.look()

    def app(environ, start_response):
        world.commit()
        start_response("200 OK", [])
        return Body()

    ask_wsgi(web.WSGIMiddleware(app, secret=SECRET))
    assert world.seen == [WROTE]


def test_an_error_after_the_first_part_is_the_servers(world):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"x"
        world.commit()
        raise ZeroDivisionError

    answer, raised = ask_wsgi(web.WSGIMiddleware(app, secret=SECRET))
    assert (answer.status, answer.body, raised) == (200, b"x", True)


def test_an_application_may_change_its_mind(world):
    """By `exc_info`, as long as nothing was sent."""

    def app(environ, start_response):
        world.commit()
        start_response("200 OK", [])
        try:
            raise KeyError
        except KeyError as error:
            start_response("400 Bad", [], (KeyError, error, None))
        return [b"x"]

    answer, _ = ask_wsgi(web.WSGIMiddleware(app, secret=SECRET))
    assert answer.status == 400
    assert cookie_of(answer)


def test_threads_of_a_server_do_not_meet(world):
    answers = {}

    def app(environ, start_response):
        number = int(environ["PATH_INFO"][1:])
        if number % 2:
            world.commit(number)
        start_response("200 OK", [])
        yield rwsplit.current_scope().position.encode()

    middleware = web.WSGIMiddleware(app, secret=SECRET)

    def ask(number):
        for _ in range(50):
            body = middleware({"PATH_INFO": f"/{number}"}, lambda *a: None)
            answers.setdefault(number, set()).add(b"".join(body))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: {f"my1.{SERVER}.{n}".encode() if n % 2 else b""} for n in range(1, 7)}
