"""What a browser carries comes back as it was signed, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsplit._core.carrier import MOST_CHARACTERS, check_secrets, pack, unpack

KEYS = check_secrets("a secret of the application")
NOW = 1_700_000_000.0
POSITION = "my1.3e11fa47-71ca-11e1-9e33-c80aa9429562.1-5.7"


def test_what_was_signed_comes_back():
    carried = unpack(pack(POSITION, KEYS, NOW), KEYS, NOW + 5, 30)
    assert carried is not None
    assert carried.position == POSITION
    assert carried.signed_at == NOW


def test_a_position_that_is_too_large_is_said_to_be():
    packed = pack("my1." + "x" * MOST_CHARACTERS, KEYS, NOW)
    assert len(packed) < 100
    assert unpack(packed, KEYS, NOW, 30).position == ""


@pytest.mark.parametrize("later", [-61, 31, 10**9])
def test_too_old_or_of_the_future_is_nothing(later):
    assert unpack(pack(POSITION, KEYS, NOW), KEYS, NOW + later, 30) is None


def test_any_of_several_secrets_is_accepted_and_the_first_signs():
    new = check_secrets(["another secret of it", "a secret of the application"])
    assert unpack(pack(POSITION, KEYS, NOW), new, NOW, 30).position == POSITION
    assert unpack(pack(POSITION, new, NOW), KEYS, NOW, 30) is None


@pytest.mark.parametrize("secret", ["", "short", None, [], 5, ["long enough a secret", ""]])
def test_a_bad_secret_is_refused_and_not_shown(secret):
    with pytest.raises(ValueError, match=r"^secret: expected") as raised:
        check_secrets(secret)
    assert "long enough" not in str(raised.value)


@given(st.text(max_size=200))
def test_no_other_text_is_taken_and_none_raises(text):
    assert unpack(text, KEYS, NOW, 30) is None


@given(st.integers(0, 90), st.integers(0, 255))
def test_a_changed_character_is_nothing(at, code):
    packed = pack(POSITION, KEYS, NOW)
    at %= len(packed)
    changed = packed[:at] + chr(code) + packed[at + 1 :]
    assert changed == packed or unpack(changed, KEYS, NOW, 30) is None
