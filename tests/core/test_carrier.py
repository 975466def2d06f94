"""What a cookie or a header carries: nobody else's, nothing made up, nothing that can't be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.cluster.position import GtidSet, encode
from rwsplit._core.session.carrier import (
    LONGEST,
    PRIMARY,
    Carrier,
    Found,
    check_cookie,
    check_max_age,
    joined,
    read_cookies,
    read_plain,
    read_secrets,
)

SERVER = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
ONE = f"my1.{SERVER}.1-5"
MORE = f"my1.{SERVER}.1-9"
NOW = 1_800_000_000.5
CARRIER = Carrier([b"a secret"], 30)


@pytest.mark.parametrize("position", [ONE, "ma1.0-1-7", "my1"])
@pytest.mark.parametrize("age", [-600, -1, 0, 30, 600])
def test_what_is_signed_is_read_back(position, age):
    token = CARRIER.sign(position, NOW)
    assert len(token) < len(position) + 40
    assert CARRIER.read(token, NOW + age) == Found("accepted", position)


@given(st.text() | st.from_regex(r"[0-9a-f]{1,8}~my1[.0-9a-f-]*~[0-9A-Za-z_-]{22}"))
def test_nothing_else_is_read(text):
    assert CARRIER.read(text, NOW) == Found("forged")
    assert CARRIER.read_all(read_cookies(f"rwsplit={text}", "rwsplit"), NOW).after == ""
    assert read_plain(text).outcome in ("none", "unreadable") or text.startswith(("my1", "ma1"))


@given(st.integers(0, 90), st.characters())
def test_whoever_alters_a_token_has_none(place, letter):
    token = CARRIER.sign(ONE, NOW)
    altered = token[:place] + letter + token[place + 1 :]
    expected = "accepted" if altered == token else "forged"
    assert CARRIER.read(altered, NOW).outcome == expected


@given(st.text(max_size=200), st.text(min_size=1, max_size=10))
def test_any_header_of_cookies_is_read(header, name):
    assert all(isinstance(value, str) for value in read_cookies(header, name))


def test_the_secret_decides():
    token = Carrier([b"another"], 30).sign(ONE, NOW)
    assert CARRIER.read(token, NOW).outcome == "forged"
    both = Carrier([b"a secret", b"another"], 30)
    assert both.read(token, NOW).after == ONE
    assert CARRIER.read(both.sign(ONE, NOW), NOW).after == ONE, "the first one signs"


def test_other_things_signed_with_the_secret_are_no_tokens():
    import base64
    import hashlib
    import hmac

    body = f"{int(NOW):x}~{ONE}"
    mac = hmac.digest(b"a secret", body.encode(), hashlib.sha256)[:16]
    code = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    assert CARRIER.read(f"{body}~{code}", NOW).outcome == "forged"


def test_a_token_has_its_time():
    token = CARRIER.sign(ONE, NOW)
    assert CARRIER.read(token, NOW + 3600) == Found("old")
    early = CARRIER.read(token, NOW - 3600)
    assert early == Found("primary"), "it is ours: only the primary can tell"
    assert early.on_primary


def test_too_much_to_carry_is_for_the_primary():
    position = encode(GtidSet.parse(f"{SERVER}:" + ":".join(map(str, range(1, 3000, 2)))))
    assert len(position) > LONGEST
    token = CARRIER.sign(position, NOW)
    assert len(token) < 60
    assert CARRIER.read(token, NOW) == Found("primary")
    assert read_plain(position) == Found("unreadable")
    longest = encode(GtidSet.parse(f"{SERVER}:" + ":".join(map(str, range(1001, 2380, 2)))))
    assert LONGEST - 100 < len(longest) <= LONGEST
    token = CARRIER.sign(longest, NOW)
    assert len(f"rwsplit={token}; Max-Age=30; Path=/; HttpOnly; SameSite=Lax; Secure") < 4096
    assert CARRIER.read(token, NOW).after == longest


def test_several_cookies_count_together():
    tokens = [CARRIER.sign(ONE, NOW), "forged", CARRIER.sign(MORE, NOW)]
    assert CARRIER.read_all(tokens, NOW) == Found("accepted", MORE)
    assert CARRIER.read_all(["forged"] * 4, NOW) == Found("forged")
    assert CARRIER.read_all([], NOW) == Found("none")
    assert CARRIER.read_all([*tokens, CARRIER.sign(PRIMARY, NOW)], NOW).on_primary
    assert CARRIER.read_all([tokens[0], CARRIER.sign("ma1.0-1-7", NOW)], NOW).on_primary


def test_a_cookie_and_a_header():
    assert joined([Found("none"), Found("accepted", ONE)]) == Found("accepted", ONE)
    assert joined([Found("accepted", MORE), Found("accepted", ONE)]) == Found("accepted", MORE)
    assert joined([Found("forged"), Found("none")]) == Found("forged")
    assert joined([Found("accepted", ONE), Found("unreadable")]).on_primary
    assert joined([]) == Found("none")


@pytest.mark.parametrize("text", ["x", "my2.7", ONE + ".", ONE.upper(), "connect", ONE + "\n"])
def test_a_header_that_can_not_be_read_is_for_the_primary(text):
    assert read_plain(text) == Found("unreadable")


@pytest.mark.parametrize("bad", [None, "", b"", [], ["x", ""], 5, [None]])
def test_bad_secrets(bad):
    with pytest.raises(ValueError, match=r"^secret: expected a text"):
        read_secrets(bad)


def test_secrets():
    assert read_secrets("é") == ["é".encode()]
    assert read_secrets(["a", b"b"]) == read_secrets((b"a", "b")) == [b"a", b"b"]


@pytest.mark.parametrize("bad", ["", "a b", "a=b", "a;b", "é", 'a"', 5])
def test_bad_names(bad):
    with pytest.raises(ValueError, match="cookie"):
        check_cookie(bad)


@pytest.mark.parametrize("bad", [0, -1, True, "30", float("inf"), float("nan"), None])
def test_bad_ages(bad):
    with pytest.raises(ValueError, match="max_age"):
        check_max_age(bad)
    assert check_max_age(0.5) == 1


def test_who_brings_more_cookies_than_are_read_reads_from_the_primary():
    """Those in front may be somebody else's, who would hide the one that counts."""
    token = CARRIER.sign(ONE, NOW)
    assert CARRIER.read_all(["x", "x", "x", token], NOW) == Found("accepted", ONE)
    for tokens in (["x"] * 4 + [token], [token] + ["x"] * 4, ["x"] * 5):
        assert CARRIER.read_all(tokens, NOW).on_primary
