"""DataValues to readings' parts: severity by the top bits, names for conditions, every type or a reason."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.telemetry.quality import Quality, Reason
from edge.collectors.opcua_config import OpcUaNode, OpcUaSource
from edge.collectors.opcua_service import node_id
from edge.collectors.opcua_values import UNSUPPORTED, overflowed, reported_value, severity

T0 = datetime(2025, 6, 1, 12, tzinfo=UTC)
POINT = "plant/hall/cell/machine/temperature"


def read_value(
    value: Any, kind: ua.VariantType | None = None, status: int = 0, index: int | None = None
) -> tuple[Any, ...]:
    word = reported_value(
        ua.DataValue(ua.Variant(value, kind), StatusCode=ua.StatusCode(status), SourceTimestamp=T0), index
    )
    return word.value, word.quality, word.reason


@pytest.mark.parametrize(
    ("status", "quality", "name"),
    [
        (0x00000000, Quality.GOOD, ""),
        (0x00960000, Quality.GOOD, "GoodLocalOverride"),
        (0x40000000, Quality.UNCERTAIN, "Uncertain"),
        (0x40900000, Quality.UNCERTAIN, "UncertainLastUsableValue"),
        (0x80000000, Quality.BAD, "Bad"),
        (0x808C0000, Quality.BAD, "BadSensorFailure"),
        (0x808C0480, Quality.BAD, "BadSensorFailure"),
        (0x40FE0000, Quality.UNCERTAIN, "0x40FE0000"),
        (0xC0000000, Quality.BAD, "0xC0000000"),
    ],
)
def test_status_codes(status: int, quality: Quality, name: str) -> None:
    assert severity(status) == (quality, name)


@given(st.integers(0, 0xFFFFFFFF))
def test_severity_is_the_top_two_bits_and_nothing_bad_is_nameless(status: int) -> None:
    quality, name = severity(status)
    assert quality == min(status >> 30, 2)
    assert name or quality is Quality.GOOD


@pytest.mark.parametrize(
    ("status", "expected"),
    [(0x480, True), (0x40000480, True), (0x400, False), (0x80, False), (0x880, False), (0xC80, False)],
)
def test_the_overflow_bit_counts_only_with_its_info_type(status: int, expected: bool) -> None:
    assert overflowed(status) is expected


INTEGERS = {
    ua.VariantType.SByte: -128,
    ua.VariantType.Byte: 255,
    ua.VariantType.Int16: -32768,
    ua.VariantType.UInt16: 65535,
    ua.VariantType.Int32: -(2**31),
    ua.VariantType.UInt32: 2**32 - 1,
    ua.VariantType.Int64: -(2**63),
    ua.VariantType.UInt64: 2**63 - 1,
}


@pytest.mark.parametrize("kind", list(INTEGERS), ids=lambda kind: kind.name)
def test_every_integer_type(kind: ua.VariantType) -> None:
    assert read_value(INTEGERS[kind], kind) == (INTEGERS[kind], Quality.GOOD, "")


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (True, ua.VariantType.Boolean, True),
        (4.5, ua.VariantType.Float, 4.5),
        (4.1, ua.VariantType.Double, 4.1),
        ("run", ua.VariantType.String, "run"),
        (ua.LocalizedText("läuft", "de"), ua.VariantType.LocalizedText, "läuft"),
        (T0, ua.VariantType.DateTime, "2025-06-01T12:00:00+00:00"),
        (ua.ServerState.Running, ua.VariantType.Int32, 0),
    ],
)
def test_other_types(value: Any, kind: ua.VariantType, expected: object) -> None:
    got, quality, reason = read_value(value, kind)
    assert (got, quality, reason) == (expected, Quality.GOOD, "")
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind", "index", "reason"),
    [
        (float("nan"), ua.VariantType.Double, None, Reason.NOT_A_NUMBER),
        (float("-inf"), ua.VariantType.Float, None, Reason.NOT_A_NUMBER),
        (None, ua.VariantType.Null, None, Reason.NO_VALUE),
        (2**63, ua.VariantType.UInt64, None, UNSUPPORTED),
        (b"\x00\x01", ua.VariantType.ByteString, None, UNSUPPORTED),
        (ua.NodeId(7, 2), ua.VariantType.NodeId, None, UNSUPPORTED),
        ([1.0, 2.0], ua.VariantType.Double, None, UNSUPPORTED),
        ([1.0, 2.0], ua.VariantType.Double, 2, UNSUPPORTED),
        (1.0, ua.VariantType.Double, 0, UNSUPPORTED),
        ("x" * 5000, ua.VariantType.String, None, UNSUPPORTED),
    ],
)
def test_what_is_no_value_is_bad_and_says_why(value: Any, kind: ua.VariantType, index: int | None, reason: str) -> None:
    assert read_value(value, kind, index=index) == (None, Quality.BAD, reason)


def test_an_element_of_an_array() -> None:
    assert read_value([1.0, 2.5], ua.VariantType.Double, index=1) == (2.5, Quality.GOOD, "")


def test_a_bad_status_brings_no_value_and_an_uncertain_one_keeps_it() -> None:
    assert read_value(21.0, status=0x808C0000) == (None, Quality.BAD, "BadSensorFailure")
    assert read_value(21.0, status=0x40900000) == (21.0, Quality.UNCERTAIN, "UncertainLastUsableValue")


def test_stamps() -> None:
    later = datetime(2025, 6, 1, 12, 0, 1, tzinfo=UTC)
    both = reported_value(ua.DataValue(ua.Variant(1.0), SourceTimestamp=T0, ServerTimestamp=later), None)
    assert (both.stamp, both.server_at) == (T0, later)
    assert reported_value(ua.DataValue(ua.Variant(1.0), ServerTimestamp=later), None).stamp == later
    null = datetime(1601, 1, 1, tzinfo=UTC)
    assert (
        reported_value(ua.DataValue(ua.Variant(1.0), SourceTimestamp=null, ServerTimestamp=later), None).stamp == later
    )
    naive = reported_value(ua.DataValue(ua.Variant(1.0), SourceTimestamp=T0.replace(tzinfo=None)), None)
    assert naive.stamp == T0


def test_node_ids_by_namespace_uri() -> None:
    namespaces = ["http://opcfoundation.org/UA/", "urn:a", "urn:b"]
    assert node_id("nsu=urn:b;s=Chamber;1", namespaces) == ua.NodeId("Chamber;1", 2)
    assert node_id("ns=1;i=7", namespaces) == ua.NodeId(7, 1)
    assert node_id("i=2258", namespaces) == ua.NodeId(2258, 0)
    with pytest.raises(LookupError):
        node_id("nsu=urn:c;i=7", namespaces)


def source(**changes: Any) -> OpcUaSource:
    fields = {
        "name": "m",
        "protocol": "opcua",
        "endpoint": "opc.tcp://h:4840",
        "nodes": [{"node": "ns=2;s=T", "point": POINT}],
    }
    return OpcUaSource.model_validate(fields | changes)


GUID = "09087e75-8e5e-499b-954f-f2a9603db28a"


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ('ns=3;s="DB_Temp"."Value"', '"DB_Temp"."Value"'),
        ("ns=3;s=Channel1.Device1.Tag 1", "Channel1.Device1.Tag 1"),
        ("ns=3;s=|var|PLC.GVL.t;b=1", "|var|PLC.GVL.t;b=1"),
        ("ns=3;i=4294967295", 4294967295),
        (f"ns=3;g={GUID.upper()}", UUID(GUID)),
        ("ns=3;b=AP8B", b"\0\xff\1"),
        ("nsu=urn:c;b=AP8BAg==", b"\0\xff\1\2"),
    ],
)
def test_node_ids_of_all_four_kinds(text: str, identifier: object) -> None:
    (node,) = source(nodes=[{"node": text, "point": POINT}]).nodes
    assert node_id(node.node, ["http://opcfoundation.org/UA/", "urn:a", "urn:b", "urn:c"]) == ua.NodeId(identifier, 3)


@pytest.mark.parametrize(
    "text",
    ["ns=65536;i=1", "i=4294967296", "i=-1", "s=", f"g={GUID}0", f"g={'-' * 36}", "b=###", "b=A", "b=", "svr=1;i=2"],
)
def test_node_ids_that_no_server_can_have(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a node id"):
        source(nodes=[{"node": text, "point": POINT}])


def test_the_queue_is_never_none() -> None:
    config = source(publishing=1)
    asked = [
        config.queue_of(OpcUaNode.model_validate({"node": "i=1", "point": POINT} | changes))
        for changes in ({}, {"sampling": 0}, {"sampling": 0.01}, {"queue": 1})
    ]
    assert asked == [10, 1000, 400, 1]


def test_the_default_port_is_added() -> None:
    assert source(endpoint="opc.tcp://h/lotwise/").endpoint == "opc.tcp://h:4840/lotwise/"


SECURE = {"policy": "Basic256Sha256", "mode": "Sign", "certificate": "c.der", "key": "k.pem", "trust": "t"}


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": "http://h:4840"},
        {"endpoint": "opc.tcp://"},
        {"endpoint": "opc.tcp://u:p@h:4840"},
        {"nodes": []},
        {"nodes": [{"node": "Temperature", "point": POINT}]},
        {"nodes": [{"node": "i=1", "point": POINT}, {"node": "i=2", "point": POINT}]},
        {"nodes": [{"node": "i=1", "point": POINT, "queue": 0}]},
        {"nodes": [{"node": "i=1", "point": POINT, "deadband": {"value": 0}}]},
        {"user": "u"},
        {"password": "p"},
        {"publishing": 0},
        {"security": SECURE | {"policy": "Basic256"}},
        {"security": SECURE | {"policy": "Basic128Rsa15"}},
        {"security": SECURE | {"policy": "None"}},
        {"security": SECURE | {"mode": "None"}},
        {"security": {"policy": "Basic256Sha256"}},
        {"security": {key: value for key, value in SECURE.items() if key != "trust"}},
        {"security": {key: value for key, value in SECURE.items() if key != "key"}},
        {"security": SECURE | {"accept_any": True}},
    ],
)
def test_sources_that_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        source(**changes)
