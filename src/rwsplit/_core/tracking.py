"""What a server says of itself at the end of a statement: the session-state block of an OK packet.

Source: MySQL manual, "Client/Server Protocol", OK_Packet and SESSION_TRACK; MariaDB knowledge base,
"OK_Packet" and "Session state change".
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = [
    "SESSION_STATE_CHANGED",
    "Changes",
    "changes_session",
    "info_string",
    "only_gtid",
    "parse",
    "parse_tails",
    "read_lenenc",
    "state_block",
]

SESSION_STATE_CHANGED = 0x4000
"""The bit of an OK packet's status that says a session-state block follows."""

_SYSTEM_VARIABLES = 0
_SCHEMA = 1
_STATE_CHANGE = 2
_GTIDS = 3
_TRANSACTION_CHARACTERISTICS = 4
_TRANSACTION_STATE = 5

# `session_track_system_variables='*'` makes MySQL report this counter after every statement.
_NOISE = b"statement_id"

_Pair = tuple[str, str | None]


class Changes(NamedTuple):
    """What one or more statements changed in a session, as the server reported it."""

    variables: tuple[_Pair, ...] = ()
    """System variables and the values they now have; None stands for SQL's NULL."""
    schema: str | None = None
    """The new default schema, or None where it did not change."""
    state_changed: bool = False
    """Something that can't be replayed from this report alone changed (MySQL manual,
    session_track_state_change): a user variable, a temporary table, a prepared statement."""
    gtids: str | None = None
    """The position reported: what was committed (OWN_GTID, or MariaDB's variable last_gtid), or
    everything executed (ALL_GTIDS)."""
    transaction: str | None = None
    """The eight letters of the transaction state (MySQL manual, session_track_transaction_info)."""
    characteristics: str | None = None
    """SQL that would start a transaction like the current one; empty for none."""


def read_lenenc(data: bytes, at: int) -> tuple[int, int]:
    """Read a length-encoded integer: its value and the offset behind it."""
    first = data[at]
    if first < 0xFB:
        return first, at + 1
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    end = at + 1 + width
    return int.from_bytes(data[at + 1 : end], "little"), end


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = read_lenenc(data, at)
    return data[at : at + length], at + length


def info_string(tail: bytes) -> bytes:
    """Return the info string as a client without session tracking gets it.

    `tail` is what follows the warning count of an OK packet. The string comes with its length in
    front, or is empty.
    """
    if not tail:
        return b""
    length, at = (tail[0], 1) if tail[0] < _LONGER else read_lenenc(tail, 0)
    return tail[: at + length] if length else b""


def state_block(tail: bytes) -> bytes:
    """Return the session-state block behind the info string of an OK packet."""
    end = len(info_string(tail)) or 1
    return _read_bytes(tail, end)[0] if end < len(tail) else b""


def _text(raw: bytes) -> str:
    # Names and values come in the connection's own charset only for literals that were sent in it;
    # anything else is ASCII or utf-8. latin-1 keeps what is neither readable, and never raises.
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def parse(block: bytes) -> Changes:
    """Parse one session-state block.

    >>> parse(bytes([1, 5, 4]) + b"shop").schema
    'shop'
    """
    variables: list[_Pair] = []
    schema = gtids = transaction = characteristics = None
    state_changed = False
    at, end = 0, len(block)
    while at < end:
        kind = block[at]
        data, at = _read_bytes(block, at + 1)
        if kind == _SYSTEM_VARIABLES:
            for name, value in _pairs(data):
                if name == "last_gtid":
                    gtids = value
                else:
                    variables.append((name, value))
        elif kind == _SCHEMA:
            schema = _text(_read_bytes(data, 0)[0])
        elif kind == _STATE_CHANGE:
            state_changed = data.endswith(b"1")  # with a length in front on MySQL only
        elif kind == _GTIDS:
            # One byte names the encoding of what follows; 0, plain text, is the only one there is.
            gtids = _text(_read_bytes(data, 1)[0])
        elif kind == _TRANSACTION_CHARACTERISTICS:
            characteristics = _text(_read_bytes(data, 0)[0])
        elif kind == _TRANSACTION_STATE:
            transaction = _text(_read_bytes(data, 0)[0])
    return Changes(tuple(variables), schema, state_changed, gtids, transaction, characteristics)


def _pairs(data: bytes) -> list[_Pair]:
    # MySQL sends one pair for each entry, MariaDB several.
    pairs: list[_Pair] = []
    at, end = 0, len(data)
    while at < end:
        name, at = _read_bytes(data, at)
        if data[at] == 0xFB:
            pairs.append((_text(name), None))
            at += 1
            continue
        value, at = _read_bytes(data, at)
        if name != _NOISE:
            pairs.append((_text(name), _text(value)))
    return pairs


_ONLY_A_GTID = re.compile(
    rb"(?:\x00[\x0f-\x2b]\x0cstatement_id[\x01-\x14][0-9]+)?"
    rb"(?:(?:\x03[\x03-\xfa]\x00[\x01-\xfa]|\x00[\x0b-\xfa]\x09last_gtid[\x05-\xfa])"
    rb"([0-9a-f:-]+))?"
    rb"(?:\x05\x09\x08[A-Za-z_]{8})?"
    rb"(?:\x04(?:\x01\x00|(\x13\x12START TRANSACTION;)))?"
)


def only_gtid(tail: bytes, begun: int = 0) -> bytes | None:
    """Return the GTID of a statement that the server reports nothing else of, as most writes are.

    Empty where nothing is of interest, not even a GTID: the state of a transaction, which the
    status bits tell as well, and that nothing holds for the next one. None for anything else, which
    `parse_tails` reads.

    :param begun: whether a transaction is open: how that one began holds for no other.
    """
    if not tail:
        return b""
    info = tail[0]
    if info < _LONGER and len(tail) > info + 1 and tail[info + 1] == len(tail) - info - 2 < _LONGER:
        found = _ONLY_A_GTID.fullmatch(tail, info + 2)
    else:
        found = _ONLY_A_GTID.fullmatch(state_block(tail))
    if found is None:
        return None
    gtid, begins = found.groups(b"")
    return None if begins and not begun else gtid


_LONGER = 0xFB
"""From this first byte on a length takes more than that one byte."""


def changes_session(tail: bytes) -> bool:
    """Tell whether a reply says that it changed more of its session than the position.

    >>> changes_session(bytes([0, 3, 2, 1]) + b"1"), changes_session(b"")
    (True, False)
    """
    return parse(state_block(tail)).state_changed


def parse_tails(tails: list[bytes]) -> list[Changes]:
    """Parse the ends of the OK packets of one statement's results, in their order."""
    return [parse(state_block(tail)) for tail in tails]
