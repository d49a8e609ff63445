"""Sparkplug B: births, aliases, sequence, deaths, rebirth requests, every data type."""

import gzip
import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Value
from core.telemetry.sparkplug import DataSet, Metric, Payload, PropertySet, PropertyValue, Template
from edge.collectors.decoders.base import EVERY_FIELD, INTEGER_TOO_LARGE, NOT_A_VALUE, BadPayload, Decoded
from edge.collectors.decoders.sparkplug_b import SEQUENCE_GAP, SparkplugB, SparkplugOptions
from edge.collectors.decoders.sparkplug_payload import COMPRESSED, MAX_INFLATED
from edge.collectors.decoders.sparkplug_values import STALE

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MILLIS = 1772366398123
STAMP = datetime(2026, 3, 1, 11, 59, 58, 123000, tzinfo=UTC)


class Node:
    """Sends as an edge node would, and hears what it is asked."""

    def __init__(self, **options: Any) -> None:
        self.decoder = SparkplugB(SparkplugOptions(**options))
        self.now = NOW

    def says(self, kind: str, *metrics: Metric, seq: int | None = 0, device: str = "") -> list[Decoded]:
        payload = Payload(timestamp=MILLIS, metrics=metrics)
        if seq is not None:
            payload.seq = seq
        topic = f"spBv1.0/Plant/{kind}/Line-1" + (f"/{device}" if device else "")
        return self.decoder.decode(topic, payload.SerializeToString(), self.now)

    def born(self, *metrics: Metric, bd_seq: int = 3) -> list[Decoded]:
        return self.says("NBIRTH", Metric(name="bdSeq", datatype=8, long_value=bd_seq), *metrics, seq=0)

    def asked(self) -> list[str]:
        return [topic for topic, _ in self.decoder.take_requests()]


TEMPERATURE = Metric(name="Chamber/Temp", alias=7, datatype=9, float_value=4.5)


def test_birth_and_data_by_alias() -> None:
    node = Node()
    (first,) = node.born(TEMPERATURE)
    assert (first.device, first.field, first.value, first.source_at) == ("Plant/Line-1", "Chamber/Temp", 4.5, STAMP)
    (second,) = node.says("NDATA", Metric(alias=7, float_value=5.5, timestamp=MILLIS + 1000), seq=1)
    assert (second.field, second.value, second.quality) == ("Chamber/Temp", 5.5, Quality.GOOD)
    assert second.source_at == STAMP + timedelta(seconds=1)
    assert node.asked() == []


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
def test_compressed_payloads_are_opened(compress: Callable[[bytes], bytes]) -> None:
    node = Node()
    algorithm = Metric(name="algorithm", datatype=12, string_value="GZIP")

    def says(kind: str, inner: Payload, seq: int) -> list[Decoded]:
        body = compress(inner.SerializeToString())
        outer = Payload(uuid=COMPRESSED, seq=seq, timestamp=MILLIS, body=body, metrics=[algorithm])
        return node.decoder.decode(f"spBv1.0/Plant/{kind}/Line-1", outer.SerializeToString(), NOW)

    (first,) = says("NBIRTH", Payload(timestamp=MILLIS, seq=0, metrics=[TEMPERATURE]), 0)
    (second,) = says("NDATA", Payload(metrics=[Metric(alias=7, float_value=5.5)]), 1)
    assert [(one.field, one.value, one.quality, one.source_at) for one in (first, second)] == [
        ("Chamber/Temp", 4.5, Quality.GOOD, STAMP),
        ("Chamber/Temp", 5.5, Quality.GOOD, STAMP),
    ]
    assert node.asked() == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "cut off"),
        (b"no compression", "cannot be inflated"),
        (gzip.compress(bytes(100), mtime=0)[:-10], "cut off"),
        (zlib.compress(bytes(MAX_INFLATED + 1)), "more than"),
        (zlib.compress(b"\xff"), "not a Sparkplug payload"),
    ],
)
def test_a_compressed_payload_that_is_none_goes_aside(body: bytes, why: str) -> None:
    payload = Payload(uuid=COMPRESSED, seq=0, body=body).SerializeToString()
    with pytest.raises(BadPayload, match=why):
        Node().decoder.decode("spBv1.0/Plant/NBIRTH/Line-1", payload, NOW)


def test_device_births_have_aliases_of_their_own() -> None:
    node = Node()
    node.born(TEMPERATURE)
    node.says("DBIRTH", Metric(name="Temp", alias=7, datatype=3, int_value=2**32 - 5), seq=1, device="Freezer")
    (item,) = node.says("DDATA", Metric(alias=7, int_value=2**32 - 20), seq=2, device="Freezer")
    assert (item.device, item.field, item.value) == ("Plant/Line-1/Freezer", "Temp", -20)


def test_unknown_alias_asks_for_a_birth_and_keeps_what_it_can_read() -> None:
    node = Node()
    with pytest.raises(BadPayload, match="alias 9") as caught:
        node.says("NDATA", Metric(alias=9, float_value=1.0), Metric(name="By name", float_value=2.0), seq=4)
    assert [(item.field, item.value) for item in caught.value.decoded] == [("By name", 2.0)]
    ((topic, raw),) = node.decoder.take_requests()
    assert topic == "spBv1.0/Plant/NCMD/Line-1"
    (command,) = Payload.FromString(raw).metrics
    assert (command.name, command.datatype, command.boolean_value) == ("Node Control/Rebirth", 11, True)


def test_an_integer_by_name_without_type_cannot_be_read() -> None:
    node = Node()
    with pytest.raises(BadPayload, match="By name"):
        node.says("NDATA", Metric(name="By name", int_value=2**32 - 1), seq=4)


def test_requests_are_not_repeated_before_the_interval() -> None:
    node = Node(rebirth_interval=timedelta(seconds=30))
    for _ in range(3):
        with pytest.raises(BadPayload):
            node.says("NDATA", Metric(alias=9, float_value=1.0), seq=4)
    assert len(node.asked()) == 1
    node.now += timedelta(seconds=31)
    with pytest.raises(BadPayload):
        node.says("NDATA", Metric(alias=9, float_value=1.0), seq=5)
    assert len(node.asked()) == 1


def test_a_listener_that_may_not_write_asks_nothing() -> None:
    node = Node(rebirth=False)
    with pytest.raises(BadPayload):
        node.says("NDATA", Metric(alias=9, float_value=1.0), seq=4)
    assert node.asked() == []


def test_a_missing_number_makes_values_uncertain_until_the_next_birth() -> None:
    node = Node()
    node.born(TEMPERATURE)
    (late,) = node.says("NDATA", Metric(alias=7, float_value=5.0), seq=2)
    assert (late.quality, late.reason) == (Quality.UNCERTAIN, SEQUENCE_GAP)
    assert node.asked() == ["spBv1.0/Plant/NCMD/Line-1"]
    (next_one,) = node.says("NDATA", Metric(alias=7, float_value=5.0), seq=3)
    assert next_one.quality is Quality.UNCERTAIN
    node.born(TEMPERATURE)
    (after,) = node.says("NDATA", Metric(alias=7, float_value=5.0), seq=1)
    assert after.quality is Quality.GOOD


def test_a_node_that_is_not_trusted_is_asked_again_after_the_interval_though_its_order_is_right_since() -> None:
    node = Node(rebirth_interval=timedelta(seconds=30))
    node.born(TEMPERATURE)
    node.says("NDATA", Metric(alias=7, float_value=5.0), seq=2)
    node.born(TEMPERATURE)
    node.says("NDATA", Metric(alias=7, float_value=5.0), seq=2)
    assert len(node.asked()) == 1
    node.now += timedelta(seconds=31)
    (item,) = node.says("NDATA", Metric(alias=7, float_value=5.0), seq=3)
    assert item.quality is Quality.UNCERTAIN
    assert len(node.asked()) == 1


def test_numbers_wrap_at_255() -> None:
    node = Node()
    node.born(TEMPERATURE)
    for seq in [*range(1, 256), 0, 1]:
        (item,) = node.says("NDATA", Metric(alias=7, float_value=1.0), seq=seq)
        assert item.quality is Quality.GOOD
    assert node.asked() == []


def test_a_nodes_death_is_the_death_of_its_devices() -> None:
    node = Node()
    node.born(TEMPERATURE)
    node.says("DBIRTH", TEMPERATURE, seq=1, device="Freezer")
    gone = node.says("NDEATH", Metric(name="bdSeq", datatype=8, long_value=3), seq=None)
    assert [(item.device, item.field, item.quality, item.reason, item.source_at) for item in gone] == [
        ("Plant/Line-1", EVERY_FIELD, Quality.BAD, Reason.DISCONNECTED, None),
        ("Plant/Line-1/Freezer", EVERY_FIELD, Quality.BAD, Reason.DISCONNECTED, None),
    ]
    with pytest.raises(BadPayload):
        Node().says("NDATA", Metric(alias=7, float_value=5.0), seq=1)


def test_the_will_of_an_earlier_session_is_not_a_death() -> None:
    node = Node()
    node.born(TEMPERATURE, bd_seq=4)
    assert node.says("NDEATH", Metric(name="bdSeq", datatype=8, long_value=3), seq=None) == []
    (item,) = node.says("NDATA", Metric(alias=7, float_value=5.0), seq=1)
    assert item.quality is Quality.GOOD


def test_a_devices_death_has_its_time() -> None:
    node = Node()
    node.born(TEMPERATURE)
    node.says("DBIRTH", TEMPERATURE, seq=1, device="Freezer")
    (gone,) = node.says("DDEATH", seq=2, device="Freezer")
    assert (gone.device, gone.quality, gone.source_at) == ("Plant/Line-1/Freezer", Quality.BAD, STAMP)


def test_historical_null_and_control_metrics() -> None:
    node = Node()
    control = Metric(name="Node Control/Rebirth", datatype=11, boolean_value=False)
    old = Metric(name="a", datatype=9, float_value=1.0, is_historical=True)
    null = Metric(name="b", datatype=9, is_null=True)
    found = {item.field: item for item in node.born(control, old, null)}
    assert set(found) == {"a", "b"}
    assert found["a"].historical
    assert (found["b"].value, found["b"].quality, found["b"].reason) == (None, Quality.BAD, Reason.NO_VALUE)


@pytest.mark.parametrize(
    ("code", "quality", "reason"),
    [
        (192, Quality.GOOD, ""),
        (0, Quality.BAD, Reason.DEVICE),
        (500, Quality.UNCERTAIN, STALE),
        (64, Quality.UNCERTAIN, Reason.DEVICE),
        (24, Quality.BAD, Reason.DEVICE),
        (256, Quality.BAD, Reason.DEVICE),
    ],
)
def test_quality_and_unit_properties(code: int, quality: Quality, reason: str) -> None:
    properties = PropertySet(
        keys=["Quality", "engUnit"],
        values=[PropertyValue(type=3, int_value=code), PropertyValue(type=12, string_value="°C")],
    )
    node = Node()
    (item,) = node.born(Metric(name="t", alias=1, datatype=9, float_value=1.0, properties=properties))
    assert (item.quality, item.reason, item.unit) == (quality, reason, "Cel")
    (later,) = node.says("NDATA", Metric(alias=1, float_value=2.0), seq=1)
    assert (later.unit, later.quality) == ("Cel", Quality.GOOD)


TYPES: list[tuple[int, dict[str, Any], Value]] = [
    (1, {"int_value": 0xFFFFFFFE}, -2),
    (1, {"int_value": 0xFE}, -2),
    (2, {"int_value": 0xFFFF8000}, -32768),
    (3, {"int_value": 0x80000000}, -(2**31)),
    (4, {"long_value": 2**64 - 3}, -3),
    (5, {"int_value": 255}, 255),
    (6, {"int_value": 65535}, 65535),
    (7, {"int_value": 2**32 - 1}, 2**32 - 1),
    (7, {"long_value": 2**32 - 1}, 2**32 - 1),
    (8, {"long_value": 2**63 - 1}, 2**63 - 1),
    (9, {"float_value": 4.5}, 4.5),
    (10, {"double_value": 4.1}, 4.1),
    (11, {"boolean_value": True}, True),
    (11, {"int_value": 1}, True),
    (12, {"string_value": "RUNNING"}, "RUNNING"),
    (13, {"long_value": MILLIS}, MILLIS),
    (14, {"string_value": "text"}, "text"),
    (15, {"string_value": "uuid"}, "uuid"),
]


@pytest.mark.parametrize(("datatype", "value", "expected"), TYPES)
def test_scalar_types(datatype: int, value: dict[str, Any], expected: Value) -> None:
    (item,) = Node().born(Metric(name="m", datatype=datatype, **value))
    assert item.value == expected
    assert type(item.value) is type(expected)
    assert item.quality is Quality.GOOD


def test_an_unsigned_number_beyond_63_bits_is_bad_and_nan_too() -> None:
    big, nan = Node().born(
        Metric(name="big", datatype=8, long_value=2**64 - 1), Metric(name="nan", datatype=9, float_value=float("nan"))
    )
    assert (big.value, big.quality, big.reason) == (None, Quality.BAD, INTEGER_TOO_LARGE)
    assert (nan.value, nan.quality, nan.reason) == (None, Quality.BAD, Reason.NOT_A_NUMBER)


ARRAYS: list[tuple[int, bytes, list[Value]]] = [
    (22, struct.pack("<2b", -1, 2), [-1, 2]),
    (23, struct.pack("<2h", -300, 2), [-300, 2]),
    (24, struct.pack("<i", -1), [-1]),
    (25, struct.pack("<q", -1), [-1]),
    (26, bytes([255]), [255]),
    (27, struct.pack("<H", 65535), [65535]),
    (28, struct.pack("<I", 2**32 - 1), [2**32 - 1]),
    (29, struct.pack("<Q", 5), [5]),
    (30, struct.pack("<2f", 1.5, -2.5), [1.5, -2.5]),
    (31, struct.pack("<d", 4.1), [4.1]),
    (32, struct.pack("<I", 10) + bytes([0b10100000, 0b01000000]), [True, False, True, *[False] * 6, True]),
    (33, b"a\0bc\0", ["a", "bc"]),
    (34, struct.pack("<q", MILLIS), [MILLIS]),
]


@pytest.mark.parametrize(("datatype", "packed", "expected"), ARRAYS)
def test_arrays_give_a_value_an_element(datatype: int, packed: bytes, expected: list[Value]) -> None:
    found = Node().born(Metric(name="m", datatype=datatype, bytes_value=packed))
    assert [item.value for item in found] == expected
    assert [item.field for item in found] == [f"m[{index}]" for index in range(len(expected))]


def test_templates_are_opened_and_tables_and_bytes_are_no_values() -> None:
    template = Template(
        metrics=[Metric(name="Temp", datatype=9, float_value=4.5), Metric(name="On", datatype=11, boolean_value=True)]
    )
    found = Node().born(
        Metric(name="Motor", datatype=19, template_value=template),
        Metric(name="table", datatype=16, dataset_value=DataSet(num_of_columns=1)),
        Metric(name="blob", datatype=17, bytes_value=b"x"),
    )
    assert [(item.field, item.value, item.reason) for item in found] == [
        ("Motor/Temp", 4.5, ""),
        ("Motor/On", True, ""),
        ("table", None, NOT_A_VALUE),
        ("blob", None, NOT_A_VALUE),
    ]


@pytest.mark.parametrize(
    "topic",
    ["spBv1.0/STATE/host", "STATE/host", "spBv1.0/G/NCMD/N", "spBv1.0/G/DCMD/N/D"],
)
def test_what_is_not_for_us(topic: str) -> None:
    assert SparkplugB(SparkplugOptions()).decode(topic, b"anything", NOW) == []


@pytest.mark.parametrize(
    "topic", ["spBv1.0/G/NDATA/N/D", "spBv1.0/G/DDATA/N", "spBv1.0/G/XDATA/N", "other/G/NDATA/N", "spBv1.0/G"]
)
def test_topics_that_are_not_sparkplug(topic: str) -> None:
    with pytest.raises(BadPayload):
        SparkplugB(SparkplugOptions()).decode(topic, b"", NOW)


def probe(value: int, datatype: int = 0, **changes: Any) -> Metric:
    """An instance of a template, its member with or without its data type."""
    inner = Metric(name="Temp", datatype=datatype, int_value=value % 2**32)
    return Metric(name="Probe", datatype=19, template_value=Template(template_ref="P", metrics=[inner]), **changes)


def test_a_templates_definition_is_no_measurement() -> None:
    definition = Template(is_definition=True, metrics=[Metric(name="Temp", datatype=3, int_value=0)])
    found = Node().born(Metric(name="_types_/P", datatype=19, template_value=definition), probe(-7, 3))
    assert [(item.field, item.value) for item in found] == [("Probe/Temp", -7)]


def test_a_templates_members_have_the_types_of_their_birth() -> None:
    node = Node()
    node.born(probe(-7, 3))
    (item,) = node.says("NDATA", probe(-9), seq=1)
    assert (item.value, item.quality, node.asked()) == (-9, Quality.GOOD, [])
    with pytest.raises(BadPayload, match="Probe/Temp"):
        Node().says("NDATA", probe(-9), seq=1)


def test_a_templates_member_has_the_worse_verdict_and_its_own_time() -> None:
    bad = PropertySet(keys=["Quality"], values=[PropertyValue(type=3, int_value=0)])
    (item,) = Node().born(probe(4, 3, properties=bad))
    assert (item.quality, item.reason) == (Quality.BAD, Reason.DEVICE)
    own = probe(4, 3, timestamp=MILLIS - 5000)
    own.template_value.metrics[0].timestamp = MILLIS - 7000
    (item,) = Node().born(own)
    assert item.source_at == STAMP - timedelta(seconds=7)


def test_data_of_a_device_after_its_death_is_uncertain_and_its_birth_is_asked_for() -> None:
    node = Node()
    node.born()
    node.says("DBIRTH", TEMPERATURE, seq=1, device="Freezer")
    node.says("DDEATH", seq=2, device="Freezer")
    (item,) = node.says("DDATA", Metric(alias=7, float_value=5.0), seq=3, device="Freezer")
    assert (item.quality, item.reason) == (Quality.UNCERTAIN, SEQUENCE_GAP)
    assert node.asked() == ["spBv1.0/Plant/NCMD/Line-1"]
    node.says("DBIRTH", TEMPERATURE, seq=4, device="Freezer")
    (item,) = node.says("DDATA", Metric(alias=7, float_value=5.0), seq=5, device="Freezer")
    assert item.quality is Quality.GOOD
