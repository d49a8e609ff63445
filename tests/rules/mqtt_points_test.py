"""From decoded values to readings: rules, clocks, deaths, zeros, and what has no point."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Reading
from core.telemetry.sparkplug import Metric, Payload
from edge.collectors.decoders.base import MALFORMED, WRONG_TYPE
from edge.collectors.decoders.times import BAD_TIME
from edge.collectors.mqtt_config import MqttSource
from edge.collectors.mqtt_frames import Message
from edge.collectors.mqtt_points import QUEUED, MessageReader
from edge.collectors.mqtt_routes import ReadResult
from edge.collectors.mqtt_state import Redeliveries

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
JSON = {"name": "json", "values": {"t": "t", "u": "u"}, "time": {"path": "ts"}}


def reader(*subscriptions: dict[str, Any], **more: Any) -> MessageReader:
    settings_ = {"name": "plant", "protocol": "mqtt", "host": "h", "subscriptions": subscriptions}
    return MessageReader(MqttSource.model_validate(settings_ | more))


def read(
    one: MessageReader, topic: str, payload: object, *, retained: bool = False, queued: bool = False
) -> ReadResult:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return one.read(topic, raw, NOW, retained=retained, queued=queued)


def only(found: ReadResult) -> Reading:
    (reading,) = found.readings
    return reading


def test_the_devices_own_rule_comes_before_anybodys_and_names_before_all() -> None:
    one = reader(
        {
            "topic": "d/{device}",
            "decoder": JSON,
            "points": [
                {"field": "*", "point": "s/a/z/{device}/{field}"},
                {"field": "t", "point": "s/a/z/{device}/temperature", "unit": "Cel"},
                {"field": "t", "device": "x", "point": "s/a/other/x/temperature", "unit": "K"},
            ],
        }
    )
    found = read(one, "d/p", {"t": 4, "u": 1}).readings + read(one, "d/x", {"t": 277}).readings
    assert [(item.point, item.value, item.unit) for item in found] == [
        ("s/a/z/p/temperature", 4, "Cel"),
        ("s/a/z/p/u", 1, ""),
        ("s/a/other/x/temperature", 277, "K"),
    ]
    assert one.zones == {"s/a/z", "s/a/other"}


def test_the_payloads_unit_wins_and_nothing_is_converted() -> None:
    one = reader(
        {
            "topic": "tele/+/SENSOR",
            "decoder": "tasmota",
            "points": [{"field": "SI7021.Temperature", "point": "s/a/z/{device}/t", "unit": "Cel"}],
        }
    )
    item = only(read(one, "tele/f/SENSOR", {"SI7021": {"Temperature": 39.2}, "TempUnit": "F"}))
    assert (item.value, item.unit) == (39.2, "[degF]")


MANGLED: list[tuple[dict[str, Any], bytes]] = [
    ({"decoder": JSON}, b'{"t": 4.1, "u": 5}'),
    ({"decoder": {"name": "number", "field": "t"}}, b"4.1"),
    ({"decoder": {"name": "number", "field": "t"}}, "4.1 °C".encode()),
    ({"decoder": {"name": "number", "field": "t", "kind": "text"}}, b"RUNNING"),
    ({"decoder": "zigbee2mqtt", "topic": "zigbee2mqtt/{device}"}, b'{"t": 4.1, "u": 5}'),
    ({"decoder": "tasmota"}, b'{"Time": "2026-03-01T12:00:00Z", "DS18B20": {"Temperature": 4.1}, "TempUnit": "C"}'),
]


@pytest.mark.parametrize("frame", ["\ufeff{}", "{}\0", "{}\0\0 \r\n", "\ufeff{}\0", " \ufeff{}", "\0{}"], ids=ascii)
@pytest.mark.parametrize(("more", "payload"), MANGLED)
def test_a_byte_order_mark_or_nuls_make_bad_readings_of_every_value(
    more: dict[str, Any], payload: bytes, frame: str
) -> None:
    unit = {} if b"RUNNING" in payload else {"unit": "Cel"}
    one = reader(
        {"topic": "tele/{device}/SENSOR", "points": [{"field": "*", "point": "s/a/z/p/{field}"} | unit]} | more
    )
    topic = "zigbee2mqtt/p" if "topic" in more else "tele/p/SENSOR"
    whole = read(one, topic, payload).readings
    bad = read(one, topic, frame.encode().replace(b"{}", payload))
    assert not bad.problems
    assert [item.point for item in bad.readings] == [item.point for item in whole]
    assert {(item.quality, item.reason) for item in bad.readings} == {(Quality.BAD, MALFORMED)}
    assert {item.quality for item in read(one, topic, payload + b" \r\n").readings} <= {Quality.GOOD}


def test_a_mark_or_nul_within_one_value_costs_its_neighbour_nothing() -> None:
    points = [{"field": "t", "point": "s/a/z/p/t", "unit": "Cel"}, {"field": "u", "point": "s/a/z/p/u", "kind": "text"}]
    one = reader({"topic": "d", "decoder": JSON, "points": points})
    for said in ("4.1\0", "\ufeff4.1", "\0"):
        t, u = read(one, "d", {"t": said, "u": "RUNNING"}).readings
        assert (t.value, t.quality, t.reason, u.quality) == (None, Quality.BAD, MALFORMED, Quality.GOOD)
        t, u = read(one, "d", {"t": 4.1, "u": said}).readings
        assert (u.value, u.quality, u.reason, t.quality) == (None, Quality.BAD, MALFORMED, Quality.GOOD)


RULES: list[tuple[dict[str, Any], object, Any, Quality, str]] = [
    ({"unit": "Cel"}, True, True, Quality.BAD, WRONG_TYPE),
    ({"unit": "Cel"}, "21.5", 21.5, Quality.GOOD, ""),
    ({"unit": "Cel"}, "21.5 °C", 21.5, Quality.GOOD, ""),
    ({"unit": "Cel"}, "-21.5Cel", -21.5, Quality.GOOD, ""),
    ({"unit": "%"}, "45 %", 45, Quality.GOOD, ""),
    ({"unit": "Cel"}, "70.7 °F", "70.7 °F", Quality.BAD, Reason.WRONG_UNIT),
    ({"unit": "Cel"}, "21.5 or so", "21.5 or so", Quality.BAD, WRONG_TYPE),
    ({"kind": "number"}, "21.5 °C", "21.5 °C", Quality.BAD, Reason.WRONG_UNIT),
    ({"unit": "Cel"}, "unavailable", None, Quality.BAD, Reason.NO_VALUE),
    ({"kind": "bool"}, "unknown", None, Quality.BAD, Reason.NO_VALUE),
    ({"kind": "text"}, "unknown", "unknown", Quality.GOOD, ""),
    ({"minimum": 0}, "None", None, Quality.BAD, Reason.NO_VALUE),
    ({"sentinels": [85]}, "85", 85, Quality.BAD, Reason.SENTINEL),
    ({"sentinels": [85]}, "warm", "warm", Quality.BAD, WRONG_TYPE),
    ({"unit": "Cel", "kind": "number"}, "21.5", 21.5, Quality.GOOD, ""),
    ({"kind": "number"}, "nan", None, Quality.BAD, Reason.NOT_A_NUMBER),
    ({"kind": "number"}, "9" * 25, None, Quality.BAD, "integer_outside_64_bits"),
    ({"kind": "number"}, "warm", "warm", Quality.BAD, WRONG_TYPE),
    ({"kind": "bool"}, 1, 1, Quality.BAD, WRONG_TYPE),
    ({"kind": "bool"}, False, False, Quality.GOOD, ""),
    ({"kind": "text"}, 3, 3, Quality.BAD, WRONG_TYPE),
    ({}, "RUNNING", "RUNNING", Quality.GOOD, ""),
    ({"sentinels": [85.0, -127]}, 85, 85, Quality.BAD, Reason.SENTINEL),
    ({"minimum": -40, "maximum": 85}, 85.1, 85.1, Quality.BAD, Reason.OUT_OF_SENSOR_RANGE),
    ({"minimum": -40, "maximum": 85}, -40, -40, Quality.GOOD, ""),
    ({"unit": "Cel"}, None, None, Quality.BAD, Reason.NO_VALUE),
]


@pytest.mark.parametrize(("rule", "raw", "value", "quality", "reason"), RULES)
def test_what_a_point_takes(rule: dict[str, Any], raw: object, value: Any, quality: Quality, reason: str) -> None:
    one = reader({"topic": "d/+", "decoder": JSON, "points": [{"field": "t", "point": "s/a/z/{1}/t", **rule}]})
    item = only(read(one, "d/p", {"t": raw}))
    assert (item.value, item.quality, item.reason) == (value, quality, reason)
    assert type(item.value) is type(value)


def stamped(minutes: float) -> dict[str, Any]:
    return {"t": 4, "ts": (NOW + timedelta(minutes=minutes)).isoformat()}


def test_a_field_named_like_every_field_is_no_death() -> None:
    subscription = {"topic": "zigbee2mqtt/+", "decoder": "zigbee2mqtt", "point": "s/a/z/{device}/{field}"}
    one = reader(subscription)
    found = read(one, "zigbee2mqtt/p", {"t": 4, "*": 0}).readings
    assert [(item.point, item.value) for item in found] == [("s/a/z/p/t", 4), ("s/a/z/p/-", 0)]


CLOCKS: list[tuple[str, dict[str, Any], float | None, Quality, str]] = [
    ("device_within", stamped(-4), -4, Quality.GOOD, ""),
    ("device_within", stamped(-6), 0, Quality.UNCERTAIN, Reason.CLOCK),
    ("device_within", stamped(6), 0, Quality.UNCERTAIN, Reason.CLOCK),
    ("device_within", {"t": 4}, 0, Quality.GOOD, ""),
    ("device", stamped(-600), -600, Quality.GOOD, ""),
    ("device", {"t": 4}, 0, Quality.UNCERTAIN, Reason.CLOCK),
    ("device", {"t": 4, "ts": "1970-01-01T00:00:01Z"}, 0, Quality.UNCERTAIN, Reason.CLOCK),
    ("device", {"t": 4, "ts": "2099-01-01T00:00:00Z"}, 0, Quality.UNCERTAIN, Reason.CLOCK),
    ("device", {"t": 4, "ts": "yesterday"}, 0, Quality.UNCERTAIN, BAD_TIME),
    ("device_within", {"t": 4, "ts": "2026-03-01T12:00:00"}, 0, Quality.UNCERTAIN, BAD_TIME),
    ("device_within", {"t": 4, "ts": "01/03/2026 12:00"}, 0, Quality.UNCERTAIN, BAD_TIME),
    ("gateway", stamped(-4), 0, Quality.GOOD, ""),
]


@pytest.mark.parametrize(("clock", "payload", "minutes", "quality", "reason"), CLOCKS)
def test_clocks(clock: str, payload: dict[str, Any], minutes: float, quality: Quality, reason: str) -> None:
    one = reader({"topic": "d/+", "decoder": JSON, "point": "s/a/z/{1}/{field}"}, clock=clock)
    item = only(read(one, "d/p", payload))
    assert (item.at, item.quality, item.reason) == (NOW + timedelta(minutes=minutes), quality, reason)
    assert item.edge_at == NOW


OLD: list[tuple[str, dict[str, Any], bool, str]] = [
    ("device_within", stamped(-600), True, "kept"),
    ("device_within", {"t": 4}, True, "aside"),
    ("device_within", {"t": 4, "ts": "1970-01-01T00:00:01Z"}, True, "aside"),
    ("gateway", stamped(-600), True, "aside"),
    ("device_within", stamped(-600), False, "kept"),
    ("device_within", {"t": 4}, False, "uncertain"),
    ("gateway", stamped(-600), False, "uncertain"),
]


@pytest.mark.parametrize(("clock", "payload", "retained", "expected"), OLD)
def test_old_messages_are_never_taken_as_new(
    clock: str, payload: dict[str, Any], expected: str, *, retained: bool
) -> None:
    one = reader({"topic": "d/+", "decoder": JSON, "point": "s/a/z/{1}/{field}"}, clock=clock)
    found = read(one, "d/p", payload, retained=retained, queued=not retained)
    if expected == "aside":
        assert found.readings == []
        assert "retained" in found.problems[0]
    elif expected == "kept":
        assert (only(found).at, only(found).quality) == (NOW - timedelta(minutes=600), Quality.GOOD)
    else:
        assert (only(found).at, only(found).quality, only(found).reason) == (NOW, Quality.UNCERTAIN, QUEUED)


def test_a_field_without_point_goes_aside_once_and_an_ignored_one_never() -> None:
    one = reader(
        {
            "topic": "zigbee2mqtt/+",
            "decoder": "zigbee2mqtt",
            "points": [{"field": "temperature", "point": "s/a/z/{device}/t"}],
            "ignore": ["linkquality"],
        }
    )
    payload = {"temperature": 5, "linkquality": 100, "voltage": 3000, "battery": 90}
    first, second = read(one, "zigbee2mqtt/p", payload), read(one, "zigbee2mqtt/p", payload)
    assert len(first.problems) == 2
    assert second.problems == []
    assert [len(first.readings), len(second.readings)] == [1, 1]
    assert one.counts["fields_without_point"] == 4


def test_two_fields_never_share_a_point() -> None:
    one = reader({"topic": "zigbee2mqtt/#", "decoder": "zigbee2mqtt", "point": "s/a/z/{device}/{field}"})
    assert only(read(one, "zigbee2mqtt/cold room", {"t": 1})).point == "s/a/z/cold-room/t"
    other = read(one, "zigbee2mqtt/cold.room", {"t": 2})
    assert other.readings == []
    assert "already stands for" in other.problems[0]
    assert only(read(one, "zigbee2mqtt/cold room", {"t": 3})).value == 3


def test_two_topics_without_a_device_do_not_fall_together() -> None:
    one = reader({"topic": "p/+/+", "decoder": "number", "point": "s/a/z/{2}/t"})
    assert only(read(one, "p/a/x", b"1")).value == 1
    assert read(one, "p/b/x", b"2").readings == []


def test_a_topic_nobody_subscribed_and_a_payload_too_large() -> None:
    one = reader({"topic": "d/+", "decoder": "number", "point": "s/a/z/{1}/t"}, max_payload=100)
    # a filter that the configuration no longer has lives on in the broker's session: told once a topic, then counted
    assert "no subscription for this topic" in read(one, "other", b"1").problems[0]
    assert read(one, "other", b"2").problems == []
    assert one.counts["topics_without_subscription"] == 2
    assert "at most 100" in read(one, "d/p", b"1" * 101).problems[0]


def test_a_death_reaches_every_point_its_device_has_spoken_for() -> None:
    one = reader(
        {"topic": "tele/+/SENSOR", "decoder": "tasmota", "point": "s/a/z/{device}/{field}"},
        {"topic": "tele/+/LWT", "decoder": "tasmota", "points": []},
    )
    for device in ("a", "b"):
        read(one, f"tele/{device}/SENSOR", {"X": {"Temperature": 4, "Humidity": 50}, "TempUnit": "C"})
    gone = read(one, "tele/a/LWT", b"Offline").readings
    assert [(item.point, item.value, item.unit, item.quality, item.reason) for item in gone] == [
        ("s/a/z/a/X-Temperature", None, "Cel", Quality.BAD, Reason.DISCONNECTED),
        ("s/a/z/a/X-Humidity", None, "%", Quality.BAD, Reason.DISCONNECTED),
    ]
    assert read(one, "tele/unknown/LWT", b"Offline").readings == []


def test_a_death_reaches_fixed_points_of_its_device_before_it_has_spoken() -> None:
    one = reader(
        {
            "topic": "spBv1.0/#",
            "decoder": "sparkplug_b",
            "points": [{"field": "T", "device": "G/N", "point": "s/a/z/n/t", "unit": "Cel"}],
        }
    )
    death = Payload(timestamp=1, metrics=[Metric(name="bdSeq", datatype=8, long_value=0)])
    item = only(read(one, "spBv1.0/G/NDEATH/N", death.SerializeToString()))
    assert (item.point, item.quality, item.at) == ("s/a/z/n/t", Quality.BAD, NOW)


def test_births_on_one_topic_serve_data_on_another() -> None:
    shared = {"decoder": "sparkplug_b", "point": "s/a/z/{device}/{field}"}
    one = reader({"topic": "spBv1.0/G/NBIRTH/+", **shared}, {"topic": "spBv1.0/G/NDATA/+", **shared})
    birth = Payload(timestamp=1, seq=0, metrics=[Metric(name="t", alias=1, datatype=9, float_value=4.0)])
    data = Payload(timestamp=1, seq=1, metrics=[Metric(alias=1, float_value=5.0)])
    read(one, "spBv1.0/G/NBIRTH/N", birth.SerializeToString())
    assert only(read(one, "spBv1.0/G/NDATA/N", data.SerializeToString())).value == 5.0
    assert one.take_requests() == []


def ttn(**payload: Any) -> dict[str, Any]:
    stamp = NOW.isoformat()
    return {
        "end_device_ids": {"device_id": "dock"},
        "uplink_message": {"f_port": 1, "decoded_payload": payload, "received_at": stamp},
    }


TTN = {
    "topic": "v3/+/devices/+/up",
    "decoder": "ttn_v3",
    "points": [
        {"field": "temperature", "point": "s/a/z/{device}/t", "unit": "Cel", "kind": "number", "omitted_is_zero": True},
        {"field": "door", "point": "s/a/z/{device}/door", "kind": "bool", "omitted_is_zero": True},
        {"field": "humidity", "point": "s/a/z/{device}/h", "unit": "%"},
    ],
}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({}, {"t": 0, "door": False}),
        ({"humidity": 40}, {"t": 0, "door": False, "h": 40}),
        ({"temperature": 4.5, "door": True}, {"t": 4.5, "door": True}),
    ],
)
def test_ttn_zeros_that_were_left_out(payload: dict[str, Any], expected: dict[str, Any]) -> None:
    found = read(reader(TTN), "v3/a@t/devices/dock/up", ttn(**payload))
    assert {item.point.rpartition("/")[2]: item.value for item in found.readings} == expected
    assert {item.quality for item in found.readings} == {Quality.GOOD}
    assert found.problems == []
    temperature = next(item for item in found.readings if item.point.endswith("/t"))
    assert (temperature.unit, temperature.at) == ("Cel", NOW)


def test_what_was_left_out_of_a_mangled_message_is_not_surely_zero() -> None:
    payload = json.dumps(ttn(humidity=40)).encode() + b"\0"
    found = read(reader(TTN), "v3/a@t/devices/dock/up", payload)
    assert {(item.point.rpartition("/")[2], item.quality) for item in found.readings} == {
        ("t", Quality.BAD),
        ("door", Quality.BAD),
        ("h", Quality.BAD),
    }


def test_simulated_by_source_or_by_network_is_indelible() -> None:
    marked = read(reader(TTN), "v3/a@t/devices/dock/up", {**ttn(humidity=1), "simulated": True})
    assert all(item.simulated for item in marked.readings)
    assert all(item.simulated for item in read(reader(TTN, simulated=True), "v3/a/devices/d/up", ttn()).readings)


@settings(max_examples=150, deadline=None)
@given(
    topic=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=2, max_size=6).map("/".join),
    payload=st.binary(max_size=80)
    | st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)).map(
        lambda document: json.dumps(document).encode()
    ),
    retained=st.booleans(),
)
def test_no_topic_and_no_payload_is_fatal(*, topic: str, payload: bytes, retained: bool) -> None:
    one = reader({"topic": "#", "decoder": "zigbee2mqtt", "point": "s/a/z/{device}/{field}"}, clock="device")
    for name in (topic, f"zigbee2mqtt/{topic}"):
        found = one.read(name, payload, NOW, retained=retained, queued=not retained)
        assert all(isinstance(item, Reading) for item in found.readings)


def message(mid: int, payload: bytes = b"1", *, dup: bool = False) -> Message:
    return Message("t", payload, 1, mid, dup, retained=False)


def test_redeliveries_are_known_by_identifier_content_and_mark() -> None:
    memory = Redeliveries(2)
    first = message(1)
    memory.expect(first)
    assert memory.waiting(message(1, dup=True)) is first
    assert memory.waiting(message(1)) is None
    assert memory.waiting(message(1, b"2", dup=True)) is None
    memory.keep(first)
    assert memory.waiting(message(1, dup=True)) is None
    assert memory.kept(message(1, dup=True))
    assert not memory.kept(message(1))
    assert not memory.kept(message(1, b"2", dup=True))
    memory.expect(message(1))  # the identifier serves another message now
    assert not memory.kept(message(1, dup=True))


def test_the_memory_of_what_was_kept_is_bounded_and_ends_with_the_session() -> None:
    memory = Redeliveries(2)
    for mid in (1, 2, 3):
        memory.keep(message(mid))
    assert [memory.kept(message(mid, dup=True)) for mid in (1, 2, 3)] == [False, True, True]
    memory.new_session()
    assert not memory.kept(message(3, dup=True))
