"""The URL form of the keywords, and the passwords that must not show in its errors."""

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.setup.keywords import CONNECT_KEYWORDS, OPTION_KEYWORDS, Holds
from rwsplit._core.setup.url import SCHEMES, parse_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rwsplit://", {}),
        ("rwsplit://db", {"host": "db"}),
        ("rwsplit://db:3307/", {"host": "db", "port": 3307}),
        ("rwsplit://db:/shop", {"host": "db", "database": "shop"}),
        ("rwsplit://app@db", {"host": "db", "user": "app"}),
        ("rwsplit://app:@db", {"host": "db", "user": "app", "password": ""}),
        ("rwsplit://:pw@db", {"host": "db", "password": "pw"}),
        ("rwsplit://a%40b:c%2Fd%3A@db", {"host": "db", "user": "a@b", "password": "c/d:"}),
        ("rwsplit://app:p@w@db", {"host": "db", "user": "app", "password": "p@w"}),
        ("rwsplit://app:a+b@db", {"host": "db", "user": "app", "password": "a+b"}),
        ("rwsplit://[::1]:3307/x", {"host": "::1", "port": 3307, "database": "x"}),
        ("rwsplit://[fe80::1%25eth0]", {"host": "fe80::1%eth0"}),
        (
            "rwsplit:///shop?unix_socket=/run/x.sock",
            {"database": "shop", "unix_socket": "/run/x.sock"},
        ),
        ("rwsplit://db/shop@sessionId=42", {"host": "db", "database": "shop@sessionId=42"}),
        ("rwsplit://db/shop%3FsessionId%3D42", {"host": "db", "database": "shop?sessionId=42"}),
        ("rwsplit://db?sessionId=a+b%2B", {"host": "db", "sessionId": "a b+"}),
        ("rwsplit://db?session_id=user@shop", {"host": "db", "session_id": "user@shop"}),
        (
            "rwsplit://db?replicas=a,b:1,[::1]:2",
            {"host": "db", "replicas": ["a", "b:1", "[::1]:2"]},
        ),
        ("rwsplit://db?replicas=", {"host": "db", "replicas": []}),
        ("rwsplit://db?replicas=discover", {"host": "db", "replicas": "discover"}),
        ("rwsplit://db?cluster=shop", {"host": "db", "cluster": "shop"}),
        ("rwsplit://db?db=x&passwd=y", {"host": "db", "database": "x", "password": "y"}),
        ("rwsplit://db?max_wait=0.5&pool_size=3", {"host": "db", "max_wait": 0.5, "pool_size": 3}),
        (
            "rwsplit://db?autocommit=on&ssl_disabled=False",
            {"host": "db", "autocommit": True, "ssl_disabled": False},
        ),
        ("rwsplit://db?server_public_key=PEM", {"host": "db", "server_public_key": b"PEM"}),
    ],
)
def test_a_url_stands_for_keywords(url, expected):
    assert parse_url(url) == expected


@pytest.mark.parametrize("scheme", [*SCHEMES, "MySQL"])
def test_the_schemes(scheme):
    assert parse_url(f"{scheme}://db/shop") == {"host": "db", "database": "shop"}


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20)


@given(texts, texts, st.sampled_from(["db", "db.example", "::1"]), st.integers(1, 65535), texts)
def test_whatever_is_percent_encoded_comes_back(user, password, host, port, database):
    where = f"[{host}]" if ":" in host else host
    url = (
        f"mysql+rwsplit://{quote(user, safe='')}:{quote(password, safe='')}@{where}:{port}/"
        f"{quote(database, safe='')}?{urlencode({'session_id': user, 'init_command': password})}"
    )
    assert parse_url(url) == {
        "user": user,
        "password": password,
        "host": host,
        "port": port,
        "database": database,
        "session_id": user,
        "init_command": password,
    }


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("db-primary/shop", ["URL", "rwsplit://"]),
        ("postgresql://db/shop", ["scheme", "mysql+rwsplit", "'postgresql'"]),
        ("rwsplit://db:x/shop", ["port", "65535"]),
        ("rwsplit://db:0/shop", ["port", "65535"]),
        ("rwsplit://db:123456/shop", ["port"]),
        ("rwsplit://::1/shop", ["[v6]:port"]),
        ("rwsplit://db/shop/extra", ["database", "'/'"]),
        ("rwsplit://db/shop#x", ["%XX"]),
        ("rwsplit://db?replcas=a", ["replcas", "mean 'replicas'"]),
        ("rwsplit://db?replcas=a&session_id=a@b", ["mean 'replicas'"]),
        ("rwsplit://db?consistency=global&consistency=session", ["consistency", "twice"]),
        ("rwsplit://db/shop?database=x", ["database", "twice"]),
        ("rwsplit://a:b@db?passwd=x", ["passwd", "twice"]),
        ("rwsplit://db?max_wait=soon", ["max_wait", "seconds"]),
        ("rwsplit://db?pool_size=-1", ["pool_size", "whole"]),
        ("rwsplit://db?pool_size=" + "9" * 5000, ["pool_size", "whole"]),
        ("rwsplit://db?autocommit=maybe", ["autocommit", "true or false"]),
        ("rwsplit://db?ssl=yes", ["ssl", "table"]),
        ("rwsplit://db?cursorclass=DictCursor", ["cursorclass", "program"]),
        ("rwsplit://db?functions=f", ["functions", "table"]),
    ],
)
def test_what_is_wrong_with_a_url_is_named(url, words):
    with pytest.raises(ValueError) as caught:
        parse_url(url)
    for word in words:
        assert word in str(caught.value)


@given(
    st.text("QZJ7/@:%#?&=[]+,;\\ ", min_size=1, max_size=12),
    st.sampled_from(["", "?x=1", "?max_wait=QZ"]),
)
def test_no_error_shows_a_password_that_was_not_encoded(password, query):
    """Whatever part of the URL its characters make of it."""
    try:
        parse_url(f"rwsplit://app:{password}@db-primary:3306/shop{query}")
    except ValueError as error:
        assert not {*"QZJ7"} & {*str(error)}, error


@pytest.mark.parametrize(
    "password", ["7?Q=J", "7?Z&J", "7/QZ", "7#QZ", "Q/Z?J", "7?max_wait=Q", "7?policy=Q"]
)
def test_no_error_shows_such_a_password_either(password):
    """A number and a mark are a port, and what follows it is a path, a key or a value."""
    with pytest.raises(ValueError, match=r"%XX|max_wait") as caught:
        parse_url(f"rwsplit://app:{password}@db-primary:3306/shop")
    assert not {*"QZJ"} & {*str(caught.value)}


def test_every_keyword_is_read_from_a_text_or_says_why_not():
    values = {Holds.TEXT: "x", Holds.WHOLE: "1", Holds.SECONDS: "1.5", Holds.SWITCH: "no"}
    values[Holds.SHARE] = "0.3"
    for key, holds in {**CONNECT_KEYWORDS, **OPTION_KEYWORDS}.items():
        if holds in (Holds.TABLE, Holds.OBJECT):
            with pytest.raises(ValueError, match=f"{key}: expected"):
                parse_url(f"rwsplit://?{key}=x")
        else:
            assert len(parse_url(f"rwsplit://?{key}={values.get(holds, 'a,b')}")) == 1
