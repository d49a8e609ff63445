"""Flat objects are read by a faster parser, which must make of every payload what the careful one does."""

import json
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from edge.collectors.decoders import base
from edge.collectors.decoders.base import BadPayload, parse_json

SCALARS = st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats() | st.text(max_size=6)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)
PAIRS = st.lists(st.tuples(st.sampled_from(["a", "b", "ä", 't"', ""]), VALUES), max_size=5)


def careful(payload: bytes) -> object:
    """What the parser makes of it that knows of words, marks and doubled keys."""
    with patch.object(base, "_flat", return_value=None):
        return outcome(payload)


def outcome(payload: bytes) -> object:
    try:
        return repr(parse_json(payload))
    except BadPayload as error:
        return str(error)


def spelled(pairs: list[tuple[str, object]], blank: str, *, ascii_only: bool) -> bytes:
    """An object with every pair as it comes, doubled keys included."""
    inner = f",{blank}".join(f"{json.dumps(k, ensure_ascii=ascii_only)}:{blank}{json.dumps(v)}" for k, v in pairs)
    return f"{{{blank}{inner}}}".encode("utf-8", "surrogatepass")


@given(PAIRS, st.sampled_from(["", " ", "\n\t"]), st.booleans())
def test_it_finds_what_the_careful_one_finds(pairs: list[tuple[str, object]], blank: str, ascii_only: bool) -> None:
    payload = spelled(pairs, blank, ascii_only=ascii_only)
    assert outcome(payload) == careful(payload)


@given(st.binary(max_size=40))
@example(b'{"a": 1, "a": 2}')
@example(b'{"a": "x", "a": "y"}')
@example(b'{"a": 1e400}')
@example(b'{"a": nan, "b": 1}')
@example(b'{"a": "\x01"}')
@example(b'{"a": 1}\x0c')
@example(b'{"a":' + b"9" * 5000 + b"}")
@example(b'\xef\xbb\xbf{"a": 1}\0')
@example(b'{"a": "\xff"}')
def test_nor_does_it_read_what_is_no_document(payload: bytes) -> None:
    assert outcome(payload) == careful(payload)
