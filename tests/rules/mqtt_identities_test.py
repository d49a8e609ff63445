"""A probe that dies shifts its neighbours' positions; none of their values may come under its point."""

import json
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from core.telemetry.quality import Quality, Reason
from core.telemetry.sparkplug import Metric, Payload
from edge.collectors.mqtt_config import MqttSource
from edge.collectors.mqtt_points import MessageReader
from edge.collectors.mqtt_routes import ReadResult

DOUBLE_ARRAY = 31
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
A, B, C = "3C01D607A7C0", "3C01D607A7C1", "3C01D607A7C2"
BY_POSITION = [{"field": f"DS18B20-{n}.Temperature", "point": f"s/a/z/p{n}/t", "unit": "Cel"} for n in (1, 2, 3)]
BY_SENSOR = [
    {"field": "Temperature", "sensor": sensor, "point": f"s/a/z/p{n}/t"} for n, sensor in enumerate((A, B, C), start=1)
]


def reader(topic: str, decoder: object, points: list[dict[str, Any]]) -> MessageReader:
    subscription = {"topic": topic, "decoder": decoder, "points": points}
    return MessageReader(
        MqttSource.model_validate({"name": "m", "protocol": "mqtt", "host": "h", "subscriptions": [subscription]})
    )


def tasmota(**probes: float) -> dict[str, Any]:
    """What a device says of its probes by id, numbered as Tasmota numbers them: one alone has no number."""
    names = [f"DS18B20-{n}" for n in range(1, len(probes) + 1)] if len(probes) > 1 else ["DS18B20"]
    said = {
        name: {"Id": probe, "Temperature": value} for name, (probe, value) in zip(names, probes.items(), strict=True)
    }
    return {"Time": "2026-03-01T12:00:00", **said, "TempUnit": "C"}


def tell(one: MessageReader, payload: object, topic: str = "tele/rack/SENSOR") -> ReadResult:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return one.read(topic, raw, NOW, retained=False, queued=False)


def values_by_probe(read: ReadResult) -> dict[str, tuple[Any, Quality, str]]:
    return {one.point.split("/")[3]: (one.value, one.quality, one.reason) for one in read.readings}


MOVED = (None, Quality.BAD, Reason.IDENTITY)


def test_probes_that_are_numbered_anew_never_speak_for_their_neighbour() -> None:
    one = reader("tele/+/SENSOR", "tasmota", BY_POSITION)
    whole = tasmota(**{A: 4.1, B: 5.2, C: 6.3})
    assert [value for value, _, _ in values_by_probe(tell(one, whole)).values()] == [4.1, 5.2, 6.3]
    read = tell(one, tasmota(**{B: 5.2, C: 6.3}))
    assert values_by_probe(read) == {"p1": MOVED, "p2": MOVED}
    assert [B in problem and A in problem and "sensor:" in problem for problem in read.problems] == [True, False]
    assert tell(one, tasmota(**{B: 5.2, C: 6.3})).problems == [], "told once"
    assert values_by_probe(tell(one, whole))["p1"] == (4.1, Quality.GOOD, "")


def test_a_gateway_started_again_after_the_probe_died_knows_who_was_there() -> None:
    one = reader("tele/+/SENSOR", "tasmota", BY_POSITION)
    tell(one, tasmota(**{A: 4.1, B: 5.2}))
    again = reader("tele/+/SENSOR", "tasmota", BY_POSITION)
    again.identities.load(one.identities.dump())
    assert values_by_probe(tell(again, tasmota(**{B: 5.2, C: 6.3}))) == {"p1": MOVED, "p2": MOVED}


def test_rules_by_sensor_follow_the_probe() -> None:
    one = reader("tele/+/SENSOR", "tasmota", BY_SENSOR)
    assert values_by_probe(tell(one, tasmota(**{A: 4.1, B: 5.2, C: 6.3})))["p2"] == (5.2, Quality.GOOD, "")
    assert values_by_probe(tell(one, tasmota(**{B: 5.2, C: 6.3}))) == {
        "p2": (5.2, Quality.GOOD, ""),
        "p3": (6.3, Quality.GOOD, ""),
    }
    assert values_by_probe(tell(one, tasmota(**{B: 5.2}))) == {"p2": (5.2, Quality.GOOD, "")}


def test_a_template_may_name_points_by_sensor() -> None:
    rule = {"field": "Temperature", "sensor": "*", "point": "s/a/z/{sensor}/{field}"}
    one = reader("tele/+/SENSOR", "tasmota", [rule])
    assert {reading.point for reading in tell(one, tasmota(**{A: 4.1, B: 5.2})).readings} == {
        f"s/a/z/{A}/Temperature",
        f"s/a/z/{B}/Temperature",
    }
    assert [reading.point for reading in tell(one, tasmota(**{B: 5.2})).readings] == [f"s/a/z/{B}/Temperature"]


LISTS: list[tuple[str, object, str, str]] = [
    (
        "application/1/device/d/event/up",
        "chirpstack_v4",
        '{"deduplicationId": "#", "deviceInfo": {"devEui": "d"}, "object": {"probes": %s}}',
        "probes.",
    ),
    (
        "v3/a@t/devices/d/up",
        "ttn_v3",
        '{"end_device_ids": {"device_id": "d"}, "uplink_message": {"decoded_payload": {"probes": %s}}}',
        "probes.",
    ),
    ("zigbee2mqtt/d", "zigbee2mqtt", '{"probes": %s}', "probes."),
    ("d/status/x:0", "shelly_gen2", '{"probes": %s}', "x:0.probes."),
    ("tele/d/SENSOR", "tasmota", '{"probes": %s}', "probes."),
]


@pytest.mark.parametrize(("topic", "decoder", "frame", "prefix"), LISTS, ids=lambda one: str(one)[:16])
def test_a_list_of_another_length_says_nothing_of_its_numbered_elements(
    topic: str, decoder: object, frame: str, prefix: str
) -> None:
    points = [{"field": f"{prefix}{n}", "point": f"s/a/z/p{n}/t"} for n in (0, 1)]
    one = reader(topic, decoder, points)
    assert values_by_probe(tell(one, (frame % "[4.1, 5.2]").encode(), topic))["p0"] == (4.1, Quality.GOOD, "")
    read = tell(one, (frame % "[5.2]").replace("#", "2").encode(), topic)
    assert values_by_probe(read) == {"p0": MOVED}
    assert "of:" in read.problems[0]
    stated = reader(topic, decoder, [{**rule, "of": 2} for rule in points])
    assert values_by_probe(tell(stated, (frame % "[5.2]").encode(), topic)) == {"p0": MOVED}
    assert len(values_by_probe(tell(stated, (frame % "[4.1, 5.2]").replace("#", "2").encode(), topic))) == 2


@pytest.mark.parametrize(("topic", "decoder", "frame", "prefix"), LISTS[:3], ids=lambda one: str(one)[:16])
def test_elements_with_an_identity_are_bound_by_it(topic: str, decoder: str, frame: str, prefix: str) -> None:
    rules = [{"field": "t", "sensor": name, "point": f"s/a/z/{name}/t"} for name in ("a", "b")]
    one = reader(topic, {"name": decoder, "identity": "id"}, rules)
    tell(one, (frame % '[{"id": "a", "t": 4.1}, {"id": "b", "t": 5.2}]').encode(), topic)
    read = tell(one, (frame % '[{"id": "b", "t": 5.2}]').replace("#", "2").encode(), topic)
    assert values_by_probe(read) == {"b": (5.2, Quality.GOOD, "")}
    positional = reader(topic, {"name": decoder, "identity": "id"}, [{"field": f"{prefix}0.t", "point": "s/a/z/p/t"}])
    tell(positional, (frame % '[{"id": "a", "t": 4.1}, {"id": "b", "t": 5.2}]').encode(), topic)
    assert values_by_probe(tell(positional, (frame % '[{"id": "b", "t": 5.2}]').replace("#", "2").encode(), topic)) == {
        "p": MOVED
    }


def test_a_json_path_with_a_number_is_a_position_and_one_with_a_filter_is_none() -> None:
    values = {"first": "$.probes[0].t", "named": "$.probes[?@.id=='b'].t"}
    points = [{"field": name, "point": f"s/a/z/{name}/t"} for name in values]
    one = reader("x", {"name": "json", "values": values}, points)
    tell(one, {"probes": [{"id": "a", "t": 4.1}, {"id": "b", "t": 5.2}]}, "x")
    assert values_by_probe(tell(one, {"probes": [{"id": "b", "t": 5.3}]}, "x")) == {
        "first": MOVED,
        "named": (5.3, Quality.GOOD, ""),
    }


def test_a_sparkplug_array_of_another_length_says_nothing_of_its_elements() -> None:
    def birth(*values: float) -> bytes:
        packed = b"".join(struct.pack("<d", value) for value in values)
        metric = Metric(name="probes", datatype=DOUBLE_ARRAY, bytes_value=packed)
        return bytes(Payload(seq=0, metrics=[metric]).SerializeToString())

    topic = "spBv1.0/G/NBIRTH/N"
    one = reader("spBv1.0/#", "sparkplug_b", [{"field": "probes[0]", "point": "s/a/z/p/t"}])
    assert values_by_probe(tell(one, birth(4.1, 5.2), topic)) == {"p": (4.1, Quality.GOOD, "")}
    assert values_by_probe(tell(one, birth(5.2), topic)) == {"p": MOVED}


def test_a_rule_by_sensor_needs_a_decoder_that_tells_identities() -> None:
    with pytest.raises(ValidationError, match="needs a decoder with `identity`"):
        reader("x", "zigbee2mqtt", [{"field": "t", "sensor": "a", "point": "s/a/z/p/t"}])
