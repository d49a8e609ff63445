"""Whatever bytes come, a decoder returns values or raises BadPayload, and no value is more than a reading can hold."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from core.telemetry.quality import Quality, Reason
from core.telemetry.sparkplug import Metric, Payload
from edge.collectors.decoders import DECODERS, BadPayload, Decoded, DecoderOptions, make_decoder
from edge.collectors.decoders.base import INTEGER_TOO_LARGE, judge, leaves
from edge.collectors.decoders.json_path import compile_path
from edge.collectors.decoders.times import BAD_TIME
from edge.collectors.decoders.units import UNIT_MAX

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OPTIONS: TypeAdapter[Any] = TypeAdapter(DecoderOptions)
FULL_JSON = {
    "name": "json",
    "values": {"t": "$.t", "u": {"path": "$..u", "unit_path": "$.unit"}},
    "time": {"path": "ts"},
    "quality": {"path": "q"},
    "device": "d",
    "each": "$[*]",
}
DIALECTS: list[tuple[object, str]] = [
    (FULL_JSON, "x"),
    ({**FULL_JSON, "each": None, "time": {"path": "ts", "format": "epoch_ns"}}, "x"),
    ("number", "x"),
    ("tasmota", "tele/a/SENSOR"),
    ({"name": "tasmota", "timezone": "Europe/Berlin"}, "stat/a/STATUS10"),
    ("tasmota", "tele/a/LWT"),
    ("shelly_gen2", "a/events/rpc"),
    ("shelly_gen2", "a/status/temperature:0"),
    ("shelly_gen2", "a/online"),
    ("zigbee2mqtt", "zigbee2mqtt/a"),
    ("zigbee2mqtt", "zigbee2mqtt/a/availability"),
    ("chirpstack_v4", "application/1/device/2/event/up"),
    ({"name": "chirpstack_v4", "f_ports": [1]}, "application/1/device/2/event/up"),
    ({"name": "ttn_v3", "f_ports": [1]}, "v3/a@t/devices/d/up"),
    ("chirpstack_v4", "application/1/device/2/event/status"),
    ("ttn_v3", "v3/a@t/devices/d/up"),
    ("sparkplug_b", "spBv1.0/G/NBIRTH/N"),
    ("sparkplug_b", "spBv1.0/G/NDATA/N"),
    ("sparkplug_b", "spBv1.0/G/DBIRTH/N/D"),
    ("sparkplug_b", "spBv1.0/G/NDEATH/N"),
]
WORDS = """t u ts q d Time TempUnit DS18B20 Temperature StatusSNS src method params temperature:0 tC errors last_seen
state temperature deduplicationId deviceInfo devEui object data time end_device_ids device_id uplink_message
decoded_payload received_at fPort f_port uplink_message"""
KEYS = st.sampled_from(WORDS.split())
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.just("\ud800")  # half a character, which JSON can spell and nothing can store
    | st.sampled_from(["NotifyStatus", "2026-03-01T12:00:00", "0001-01-01T00:00:00+14:00", "9" * 40, 10**30, -1, 1e300])
)
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6))


def check(options: object, topic: str, payload: bytes) -> None:
    try:
        found = make_decoder(OPTIONS.validate_python(options)).decode(topic, payload, NOW)
    except BadPayload as error:
        found = list(error.decoded)
    for item in found:
        assert isinstance(item, Decoded)
        assert item.value is None or judge(item.value)[1] is Quality.GOOD
        f"{item.value} {item.unit}".encode()
        assert len(item.unit) <= UNIT_MAX
        assert (item.quality is Quality.GOOD) == (item.reason == "")
        assert item.source_at is None or item.source_at.tzinfo is not None
        assert item.value is not None or item.quality is Quality.BAD


@pytest.mark.parametrize(("options", "topic"), DIALECTS)
@settings(max_examples=60, deadline=None)
@given(payload=st.binary(max_size=200))
def test_any_bytes(options: object, topic: str, payload: bytes) -> None:
    check(options, topic, payload)


@pytest.mark.parametrize(("options", "topic"), [one for one in DIALECTS if "spBv1.0" not in one[1]])
@settings(max_examples=80, deadline=None)
@given(document=DOCUMENTS)
def test_any_json(options: object, topic: str, document: object) -> None:
    check(options, topic, json.dumps(document).encode())


METRICS = st.builds(
    lambda name, number, datatype, timestamp, value: Metric(
        name=name, alias=number, datatype=datatype, timestamp=timestamp, **value
    ),
    name=st.sampled_from(["", "a", "bdSeq"]),
    number=st.integers(0, 2**64 - 1),
    datatype=st.integers(0, 40) | st.integers(0, 2**32 - 1),
    timestamp=st.integers(0, 2**64 - 1),
    value=st.fixed_dictionaries({"int_value": st.integers(0, 2**32 - 1)})
    | st.fixed_dictionaries({"long_value": st.integers(0, 2**64 - 1)})
    | st.fixed_dictionaries({"bytes_value": st.binary(max_size=20)})
    | st.fixed_dictionaries({"float_value": st.sampled_from([1.5, float("nan"), float("inf")])})
    | st.fixed_dictionaries({"string_value": st.text(max_size=5)})
    | st.just({"is_null": True}),
)


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["NBIRTH", "NDATA", "NDEATH"]),
    metrics=st.lists(METRICS, max_size=3),
    seq=st.integers(0, 300),
    flip=st.integers(0, 60),
)
@example(kind="NBIRTH", metrics=[Metric(name="a", datatype=32, bytes_value=b"\xff\xff\xff\xff")], seq=0, flip=0)
def test_any_sparkplug(kind: str, metrics: list[Metric], seq: int, flip: int) -> None:
    raw = bytearray(Payload(seq=seq, metrics=metrics).SerializeToString())
    check("sparkplug_b", f"spBv1.0/G/{kind}/N", bytes(raw))
    raw[flip % len(raw)] ^= 0xFF
    check("sparkplug_b", f"spBv1.0/G/{kind}/N", bytes(raw))


HOSTILE = [
    b"",
    b"{",
    b'{"t": 4',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"t": 1, "t": 2}',
    b'{"t": "\xff\xfe"}',
    b"\x00\x01\x02",
    b"9" * 10_000,
    b"null",
    b"true",
    b'"text"',
    b"[]",
    b'{"t": [[[[1]]]]}',
]


@pytest.mark.parametrize("payload", HOSTILE, ids=lambda raw: raw[:12].decode("latin-1"))
@pytest.mark.parametrize("name", sorted(DECODERS))
def test_hostile_payloads(name: str, payload: bytes) -> None:
    options: Any = {"name": "json", "values": {"t": "$.t"}} if name == "json" else name
    for _, topic in DIALECTS:
        check(options, topic, payload)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NaN", Reason.NOT_A_NUMBER),
        ("Infinity", Reason.NOT_A_NUMBER),
        ("-Infinity", Reason.NOT_A_NUMBER),
        ("1e999", Reason.NOT_A_NUMBER),
        ("null", Reason.NO_VALUE),
        ("1" + "0" * 30, INTEGER_TOO_LARGE),
        ("[1, 2]", "not_a_single_value"),
        ('"' + "x" * 5000 + '"', "text_too_long"),
        (r'"\ud800"', "text_not_unicode"),
        (r'"a\udfffb"', "text_not_unicode"),
    ],
)
def test_what_no_reading_can_hold_is_bad_without_value(text: str, reason: str) -> None:
    options = OPTIONS.validate_python({"name": "json", "values": {"t": "t"}})
    (item,) = make_decoder(options).decode("x", b'{"t": %s}' % text.encode(), NOW)
    assert (item.value, item.quality, item.reason) == (None, Quality.BAD, reason)


@pytest.mark.parametrize("raw", ["soon", "2026-13-01T00:00:00Z", 10**30, -(10**30), 1e300, "1e400", True, [], "nan"])
@pytest.mark.parametrize("form", ["iso", "epoch_s", "epoch_ns"])
def test_a_time_that_cannot_be_read_makes_the_value_uncertain(raw: object, form: str) -> None:
    options = OPTIONS.validate_python({"name": "json", "values": {"t": "t"}, "time": {"path": "ts", "format": form}})
    (item,) = make_decoder(options).decode("x", json.dumps({"t": 4, "ts": raw}).encode(), NOW)
    assert (item.value, item.source_at, item.quality, item.reason) == (4, None, Quality.UNCERTAIN, BAD_TIME)


def test_too_many_values_are_refused() -> None:
    with pytest.raises(BadPayload, match="more than"):
        list(leaves({str(index): index for index in range(5000)}))


@settings(max_examples=100, deadline=None)
@given(document=DOCUMENTS, path=st.sampled_from(["t", "$.t", "$.params.src", "time", "object.data.t", "$.a.b"]))
def test_the_short_way_through_plain_paths_finds_what_the_library_finds(document: Any, path: str) -> None:
    import jsonpath

    if isinstance(document, dict | list):
        assert repr(compile_path(path)(document)) == repr(jsonpath.compile(path).findall(document))
    else:
        assert compile_path(path)(document) == []


def test_a_unit_nobody_can_store_costs_the_value_nothing() -> None:
    options = OPTIONS.validate_python({"name": "json", "values": {"t": {"path": "t", "unit_path": "u"}}})
    for unit, kept in ((r"\ud800", "?"), ("m" * 100_000, "m" * UNIT_MAX)):
        (item,) = make_decoder(options).decode("x", b'{"t": 4, "u": "%s"}' % unit.encode(), NOW)
        assert (item.value, item.unit, item.quality) == (4, kept, Quality.GOOD)
