"""Registers to values: round trips over all types and orders, and the figures devices are known by."""

import math
import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.telemetry.quality import Quality, Reason
from edge.collectors.modbus_config import Kind, ModbusPoint, Order, Table, parse_notation
from edge.collectors.modbus_values import MOST_KNOWN, UNDECODABLE, Decoder, decode, scaled

POINT = "plant/hall/cold-room/controller/temperature"


def point(kind: str, **changes: Any) -> ModbusPoint:
    return ModbusPoint.model_validate({"point": POINT, "table": "holding", "address": 0, "type": kind} | changes)


def lay(data: bytes, order: Order) -> list[int]:
    """Registers as a device with this order holds big-endian `data`: written letter by letter, not by our code."""
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    arranged = {
        Order.ABCD: words,
        Order.CDAB: words[::-1],
        Order.BADC: [word[::-1] for word in words],
        Order.DCBA: [word[::-1] for word in words[::-1]],
    }[order]
    return [int.from_bytes(word, "big") for word in arranged]


INTEGERS = {
    "int16": (2, True),
    "uint16": (2, False),
    "int32": (4, True),
    "uint32": (4, False),
    "int64": (8, True),
    "uint64": (8, False),
}
orders = st.sampled_from(list(Order))


@given(kind=st.sampled_from(sorted(INTEGERS)), order=orders, data=st.data())
def test_every_integer_comes_back_in_every_order(kind: str, order: Order, data: st.DataObject) -> None:
    size, signed = INTEGERS[kind]
    low, high = (-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1) if signed else (0, 2 ** (8 * size) - 1)
    value = data.draw(st.integers(low, high))
    cells = lay(value.to_bytes(size, "big", signed=signed), order)
    got = decode(point(kind, order=order), cells)
    if value > 2**63 - 1:
        assert got == (None, Quality.BAD, UNDECODABLE)
    else:
        assert got == (value, Quality.GOOD, "")
        assert type(got[0]) is int


@given(kind=st.sampled_from(["float32", "float64"]), order=orders, data=st.data())
def test_every_float_comes_back_in_every_order(kind: str, order: Order, data: st.DataObject) -> None:
    value = data.draw(st.floats(width=32 if kind == "float32" else 64))
    cells = lay(struct.pack(">f" if kind == "float32" else ">d", value), order)
    got = decode(point(kind, order=order), cells)
    if math.isfinite(value):
        assert got == (value, Quality.GOOD, "")
    else:
        assert got == (None, Quality.BAD, Reason.NOT_A_NUMBER)


@given(register=st.integers(0, 0xFFFF), bit=st.integers(0, 15), swapped=st.booleans())
def test_a_bit_is_counted_from_the_least_significant(register: int, bit: int, swapped: bool) -> None:
    order = Order.BADC if swapped else Order.ABCD
    cells = lay(register.to_bytes(2, "big"), order)
    assert decode(point("bit", bit=bit, order=order), cells) == (bool(register >> bit & 1), Quality.GOOD, "")


@given(text=st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=12), swapped=st.booleans())
def test_text_comes_back_without_its_padding(text: str, swapped: bool) -> None:
    order = Order.BADC if swapped else Order.ABCD
    data = text.encode().ljust(12, b"\0")
    # Word order does not apply to text; byte order does.
    assert decode(point("string", length=6, order=order), lay(data, order)) == (text, Quality.GOOD, "")


@pytest.mark.parametrize(
    ("order", "cells"),
    [("ABCD", [0x41AC, 0xCCCD]), ("CDAB", [0xCCCD, 0x41AC]), ("BADC", [0xAC41, 0xCDCC]), ("DCBA", [0xCDCC, 0xAC41])],
)
def test_21_6_degrees_in_the_four_orders(order: str, cells: list[int]) -> None:
    value, _, _ = decode(point("float32", order=order), cells)
    assert isinstance(value, float)
    assert round(value, 4) == 21.6


def test_sht20_figures() -> None:
    probe = point("int16", table="input", scale=0.1)
    humidity = point("uint16", table="input", scale=0.1)
    assert decode(probe, [0x0131])[0] == 30.5
    assert decode(humidity, [0x0222])[0] == 54.6
    assert decode(probe, [0xFF33])[0] == -20.5


@given(raw=st.integers(-32768, 32767), digits=st.integers(0, 4))
def test_scaling_shows_no_digit_the_device_did_not_send(raw: int, digits: int) -> None:
    text = f"{raw}e-{digits}"
    assert scaled(raw, Decimal(f"1e-{digits}"), Decimal(0)) == float(text)


def test_offset_and_whole_factors() -> None:
    assert scaled(305, Decimal("0.1"), Decimal(-40)) == -9.5
    ten = scaled(7, Decimal(10), Decimal(3))
    assert ten == 73
    assert type(ten) is int


@pytest.mark.parametrize(
    ("fields", "cells", "reason"),
    [
        ({"type": "int16", "sentinels": [0x8000]}, [0x8000], Reason.SENTINEL),
        ({"type": "int16", "sentinels": [-32768]}, [0x8000], Reason.SENTINEL),
        ({"type": "uint16", "sentinels": [65535], "scale": 0.1}, [0xFFFF], Reason.SENTINEL),
        ({"type": "float32", "sentinels": [-127]}, lay(struct.pack(">f", -127), Order.ABCD), Reason.SENTINEL),
        ({"type": "float32", "sentinels": [-999.9]}, lay(struct.pack(">f", -999.9), Order.ABCD), Reason.SENTINEL),
        ({"type": "float64", "sentinels": [-999.9]}, lay(struct.pack(">d", -999.9), Order.ABCD), Reason.SENTINEL),
        ({"type": "int16", "scale": 0.1, "valid": [-40, 125]}, [1251], Reason.OUT_OF_SENSOR_RANGE),
        ({"type": "float32"}, [0x7FC0, 0], Reason.NOT_A_NUMBER),
        ({"type": "float64"}, [0xFFF0, 0, 0, 0], Reason.NOT_A_NUMBER),
        ({"type": "string", "length": 1}, [0xC328], UNDECODABLE),
        ({"type": "string", "length": 1}, [0x0741], UNDECODABLE),
        ({"type": "uint64"}, [0x8000, 0, 0, 0], UNDECODABLE),
    ],
)
def test_what_is_no_value_is_bad_and_says_why(fields: dict[str, Any], cells: list[int], reason: str) -> None:
    assert decode(point(kind=fields.pop("type"), **fields), cells) == (None, Quality.BAD, reason)


def test_a_good_value_beside_the_sentinel_stays_good() -> None:
    assert decode(point("int16", sentinels=[0x8000]), [0x8001]) == (-32767, Quality.GOOD, "")
    beside = lay(struct.pack(">f", -999.95), Order.ABCD)
    assert decode(point("float32", sentinels=[-999.9]), beside)[1] is Quality.GOOD


@pytest.mark.parametrize(("byte", "value"), [("low", -1), ("high", 18)])
def test_half_a_register(byte: str, value: int) -> None:
    assert decode(point("int8", byte=byte), [0x12FF])[0] == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("40001", (Table.HOLDING, 0)),
        ("400001", (Table.HOLDING, 0)),
        ("30002", (Table.INPUT, 1)),
        ("10017", (Table.DISCRETE, 16)),
        ("00001", (Table.COIL, 0)),
        ("465536", (Table.HOLDING, 65535)),
    ],
)
def test_the_manuals_notation(text: str, expected: tuple[Table, int]) -> None:
    assert parse_notation(text) == expected
    assert point("int16", table="holding", address="40010").address == 9
    assert ModbusPoint.model_validate({"point": POINT, "address": "00004"}).type is Kind.BOOL


@pytest.mark.parametrize("text", ["40000", "20001", "4001", "465537", "4x001", "", "-1", "0x10"])
def test_no_notation(text: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        parse_notation(text)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "int16", "table": "input", "address": "40001"},
        {"type": "int16", "table": "coil"},
        {"type": "bool"},
        {"type": "bit"},
        {"type": "int16", "bit": 3},
        {"type": "bit", "bit": 16},
        {"type": "string"},
        {"type": "int16", "length": 2},
        {"type": "string", "length": 2, "scale": 0.1},
        {"type": "int16", "scale": 0},
        {"type": "int16", "scale": "nan"},
        {"type": "int16", "valid": [5, 5]},
        {"type": "int16", "scale": 0.1, "sentinels": [-999.9]},
        {"type": "int16", "sentinels": [-9999, 65536]},
        {"type": "uint8", "sentinels": [0x8000]},
        {"type": "int32", "address": 65535},
        {"type": "int16", "address": -1},
        {"type": "int16", "order": "ACBD"},
        {"type": "int16", "point": "not/a/point"},
        {"type": "int16", "factor": 3},
    ],
)
def test_points_that_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ModbusPoint.model_validate({"point": POINT, "table": "holding", "address": 0} | fields)


ALIKE: list[dict[str, Any]] = [
    {"type": "int16", "scale": "0.1", "sentinels": [-32768, 850], "valid": [-40, 85]},
    {"type": "int16", "scale": "0.1", "order": "BADC"},
    {"type": "uint16"},
    {"type": "int8", "byte": "high"},
    {"type": "int8", "byte": "low"},
    {"type": "bit", "bit": 3},
    {"type": "string", "length": 1},
    {"type": "string", "length": 1, "encoding": "latin-1"},
]


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=20))
def test_what_is_remembered_of_a_register_is_what_it_decodes_to(cells: list[int]) -> None:
    points = [
        point(**{"kind": changes["type"]} | {k: v for k, v in changes.items() if k != "type"}) for changes in ALIKE
    ]
    for cell in cells + cells:
        for each in points:
            assert Decoder(each)([cell]) == decode(each, [cell])


def test_not_every_content_of_a_register_is_remembered_for_ever() -> None:
    read = Decoder(point("uint16", scale="0.25"))
    assert [read([cell])[0] for cell in range(2 * MOST_KNOWN)] == [cell / 4 for cell in range(2 * MOST_KNOWN)]
    assert read._known is not None
    assert len(read._known) <= MOST_KNOWN
