"""From raw registers to a value and its quality. Pure.

`pymodbus.convert_from_registers` swaps words only; the byte orders BADC and DCBA are ours (facts §5).
"""

import math
import struct
from collections.abc import Sequence
from ctypes import c_float
from decimal import Decimal
from functools import lru_cache

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import INT_MAX, INT_MIN, TEXT_MAX
from edge.collectors.modbus_config import Kind, ModbusPoint, Order

Raw = int | float | bool | str
Outcome = tuple[bool | int | float | str | None, Quality, str]
"""Value, quality, reason."""

MOST_KNOWN = 4096
"""Contents of a register whose outcomes are remembered, for points that are read alike."""
UNDECODABLE = "undecodable"
"""The bytes are not text in the configured encoding, or not a number that a reading can carry (bad)."""

_FORMAT = {
    Kind.INT16: ">h",
    Kind.UINT16: ">H",
    Kind.INT32: ">i",
    Kind.UINT32: ">I",
    Kind.INT64: ">q",
    Kind.UINT64: ">Q",
    Kind.FLOAT32: ">f",
    Kind.FLOAT64: ">d",
}
_SWAPS_BYTES = {Order.BADC, Order.DCBA}
_SWAPS_WORDS = {Order.CDAB, Order.DCBA}


def in_order(registers: Sequence[int], order: Order, *, words: bool = True) -> bytes:
    """The value's bytes, most significant first. `words=False` leaves the sequence of words alone (strings)."""
    sequence = reversed(registers) if words and order in _SWAPS_WORDS else registers
    byteorder = "<" if order in _SWAPS_BYTES else ">"
    return struct.pack(f"{byteorder}{len(registers)}H", *sequence)


def decode(point: ModbusPoint, cells: Sequence[int] | Sequence[bool]) -> Outcome:
    """Value, quality and reason of a point, from exactly the cells it takes."""
    if point.type is Kind.BOOL:
        return bool(cells[0]), Quality.GOOD, Reason.NONE
    if point.type is Kind.STRING:
        return _text(point, in_order(cells, point.order, words=False))
    data = in_order(cells, point.order)
    if point.type is Kind.BIT:
        assert point.bit is not None
        return bool(int.from_bytes(data, "big") >> point.bit & 1), Quality.GOOD, Reason.NONE
    if point.type in {Kind.INT8, Kind.UINT8}:
        data = data[1:] if point.byte == "low" else data[:1]
        return _number(point, int.from_bytes(data, "big", signed=point.type is Kind.INT8), data)
    return _number(point, struct.unpack(_FORMAT[point.type], data)[0], data)


class Decoder:
    """Decodes one point again and again. What one register holds is worked out once for each content that it has, for
    all points that are read alike: a sensor says the same few contents over and over.
    """

    def __init__(self, point: ModbusPoint) -> None:
        self._point = point
        alike = (
            point.type,
            point.bit,
            point.byte,
            point.order,
            point.scale,
            point.offset,
            point.sentinels,
            point.valid,
            point.encoding,
        )
        single = not point.table.of_bits and point.width * point.words == 1
        self._known = _known(alike) if single else None

    def __call__(self, cells: Sequence[int] | Sequence[bool]) -> Outcome:
        """As `decode`, which see."""
        if self._known is None:
            return decode(self._point, cells)
        outcome = self._known.get(cells[0])
        if outcome is None:
            outcome = decode(self._point, cells)
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[cells[0]] = outcome
        return outcome


@lru_cache(maxsize=256)
def _known(alike: tuple[object, ...]) -> dict[int, Outcome]:
    """The outcomes known so far of points that are read alike."""
    del alike
    return {}


def _number(point: ModbusPoint, raw: float, data: bytes) -> Outcome:
    if _is_sentinel(point, raw, data):
        return None, Quality.BAD, Reason.SENTINEL
    if not math.isfinite(raw):
        return None, Quality.BAD, Reason.NOT_A_NUMBER
    value = scaled(raw, point.scale, point.offset)
    if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
        return None, Quality.BAD, UNDECODABLE
    if point.valid is not None and not point.valid[0] <= value <= point.valid[1]:
        return None, Quality.BAD, Reason.OUT_OF_SENSOR_RANGE
    return value, Quality.GOOD, Reason.NONE


def _is_sentinel(point: ModbusPoint, raw: float, data: bytes) -> bool:
    if point.type is Kind.FLOAT32:
        # -999.9 of the manual is -999.9000244 in the device
        return any(c_float(sentinel).value == raw for sentinel in point.sentinels)
    pattern = int.from_bytes(data, "big") if isinstance(raw, int) else None
    return any(sentinel in (raw, pattern) for sentinel in point.sentinels)


def scaled(raw: float, scale: Decimal, offset: Decimal) -> int | float:
    """Raw × scale + offset, worked out in decimal, so that 305 × 0.1 is 30.5.

    Integers stay integers while scale and offset are whole; everything else is the nearest float.
    """
    if scale == 1 and offset == 0:
        return raw
    exact = Decimal(raw) * scale + offset
    if isinstance(raw, int) and scale == scale.to_integral_value() and offset == offset.to_integral_value():
        return int(exact)
    return float(exact)


def _text(point: ModbusPoint, data: bytes) -> Outcome:
    """Text up to the first NUL; padding after it and blanks at the end are no part of it."""
    try:
        text = data.split(b"\0", 1)[0].decode(point.encoding).rstrip()
    except UnicodeDecodeError:
        return None, Quality.BAD, UNDECODABLE
    if not text.isprintable() or len(text) > TEXT_MAX:
        return None, Quality.BAD, UNDECODABLE
    return text, Quality.GOOD, Reason.NONE
