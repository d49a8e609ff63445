"""PUBLISH packets: ours reads what paho reads, and never more than the packet."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as paho
from paho.mqtt._packet import decode_publish
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.collectors.mqtt_frames import BadFrame, read_publish, varint, whole_publish


def frame(head: int, body: bytes) -> bytes:
    length, out = len(body), bytearray([head])
    while True:
        length, byte = divmod(length, 128)
        out.append(byte | (128 if length else 0))
        if not length:
            return bytes(out) + body


@given(
    topic=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
    payload=st.binary(max_size=300),
    qos=st.integers(0, 2),
    mid=st.integers(1, 65535),
    flags=st.tuples(st.booleans(), st.booleans()),
    five=st.booleans(),
    user=st.lists(st.tuples(st.text("ab", max_size=3), st.text("cd", max_size=3)), max_size=3),
    after=st.binary(max_size=5),
)
def test_ours_reads_what_paho_reads(
    *,
    topic: str,
    payload: bytes,
    qos: int,
    mid: int,
    flags: tuple[bool, bool],
    five: bool,
    user: list[tuple[str, str]],
    after: bytes,
) -> None:
    head = 0x30 | flags[0] << 3 | qos << 1 | flags[1]
    properties = Properties(PacketTypes.PUBLISH)
    if user:
        properties.UserProperty = user
    raw = topic.encode()
    body = struct.pack("!H", len(raw)) + raw + (struct.pack("!H", mid) if qos else b"")
    body += (properties.pack() if five else b"") + payload
    data = b"\xd0\x00" + frame(head, body) + after
    assert whole_publish(data, 0) is None
    found = whole_publish(data, 2)
    assert found is not None
    assert data[found[0] : found[1]] == body
    assert whole_publish(data[: found[1] - 1], 2) is None
    ours = read_publish(data[2], data[found[0] : found[1]], five=five)
    theirs = decode_publish(head, body, paho.MQTTv5 if five else paho.MQTTv311)
    assert (ours.topic, ours.payload, ours.qos) == (theirs.topic.decode(), bytes(theirs.payload), theirs.qos)
    assert (ours.mid, ours.dup, ours.retained) == (theirs.mid, bool(theirs.dup), bool(theirs.retain))


@given(head=st.integers(0x30, 0x3F), body=st.binary(max_size=60), five=st.booleans())
def test_any_bytes_are_a_message_or_a_bad_frame(*, head: int, body: bytes, five: bool) -> None:
    try:
        message = read_publish(head, body, five=five)
    except BadFrame:
        return
    assert message.topic
    assert len(message.payload) < len(body)


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"\x00", (0, 1)), (b"\xff\x01", (255, 2)), (b"\xff", None), (b"\xff\xff\xff\x7f", (2**28 - 1, 4))],
)
def test_lengths(data: bytes, expected: tuple[int, int] | None) -> None:
    assert varint(data, 0) == expected


def test_a_length_of_five_bytes_is_refused() -> None:
    with pytest.raises(BadFrame):
        varint(b"\xff\xff\xff\xff\x01", 0)


def test_a_topic_that_is_not_utf8_can_still_be_named() -> None:
    assert read_publish(0x30, b"\x00\x02\xff\xfex", five=False).topic == "\\xff\\xfe"
