"""Values of Sparkplug B metrics (Sparkplug 3.0 §6.4): every data type, quality and unit properties."""

import struct
from collections.abc import Iterator

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Value
from core.telemetry.sparkplug import DataType, Metric
from edge.collectors.decoders.base import MAX_DEPTH, NOT_A_VALUE, BadPayload, judge
from edge.collectors.decoders.units import ucum

STALE = "stale"
GOOD_QUALITY, BAD_QUALITY, STALE_QUALITY = 192, 0, 500
MAX_ARRAY = 4096


BITS = {1: 8, 2: 16, 3: 32, 4: 64, 5: 8, 6: 16, 7: 32, 8: 64, 13: 64}
"""Width of the integer types; the first four are signed, in two's complement within int_value or long_value."""
SIGNED = frozenset({1, 2, 3, 4})
ARRAYS = {22: "b", 23: "h", 24: "i", 25: "q", 26: "B", 27: "H", 28: "I", 29: "Q", 30: "f", 31: "d", 34: "q"}
"""Numeric arrays: little-endian elements in bytes_value, by struct code."""

Scalar = tuple[str, Value, Quality, str]
"""(field, value, quality, reason)"""


def needs_type(metric: Metric) -> bool:
    """Whether the value cannot be read without its data type (integers, whose sign it decides, and bytes)."""
    return metric.WhichOneof("value") in {"int_value", "long_value", "bytes_value"} and not metric.is_null


def members(name: str, metric: Metric, depth: int = 0) -> Iterator[tuple[str, Metric]]:
    """The metric under its name or, for an instance of a template, its members under theirs, joined by slashes.

    A template's definition says what instances look like; its values are nobody's, so it has no members. Raises
    BadPayload when templates lie too deep.
    """
    if metric.is_null or metric.WhichOneof("value") != "template_value":
        yield name, metric
    elif not metric.template_value.is_definition:
        if depth > MAX_DEPTH:
            raise BadPayload(f"templates nested deeper than {MAX_DEPTH}")
        for inner in metric.template_value.metrics:
            yield from members(f"{name}/{inner.name}", inner, depth + 1)


def scalars(name: str, metric: Metric, datatype: int) -> Iterator[Scalar]:
    """The value of a metric that is no template: one, or one for each element of an array.

    Raises BadPayload when an array does not fit its bytes.
    """
    kind = metric.WhichOneof("value")
    if metric.is_null or kind is None:
        yield name, None, Quality.BAD, Reason.NO_VALUE
    elif kind == "bytes_value" and datatype >= DataType.INT8_ARRAY:
        for index, element in enumerate(_array(metric.bytes_value, datatype)):
            yield f"{name}[{index}]", *judge(element)
    elif kind in {"bytes_value", "dataset_value", "template_value"}:
        yield name, None, Quality.BAD, NOT_A_VALUE
    else:
        raw = getattr(metric, kind)
        yield name, *judge(_integer(raw, datatype) if kind in {"int_value", "long_value"} else raw)


def _integer(raw: int, datatype: int) -> int | bool:
    if datatype == DataType.BOOLEAN:
        return bool(raw)
    bits = BITS.get(datatype)
    if bits is None:
        return raw
    kept = raw & ((1 << bits) - 1)
    return kept - (1 << bits) if datatype in SIGNED and kept >> (bits - 1) else kept


def _array(packed: bytes, datatype: int) -> list[object]:
    elements = _elements(packed, datatype)
    if len(elements) > MAX_ARRAY:
        raise BadPayload(f"array of {len(elements)} elements, at most {MAX_ARRAY}")
    return elements


def _elements(packed: bytes, datatype: int) -> list[object]:
    if datatype == DataType.STRING_ARRAY:
        try:
            return [part.decode("utf-8") for part in packed.split(b"\0")[:-1]]
        except UnicodeDecodeError as error:
            raise BadPayload("string array is not UTF-8") from error
    if datatype == DataType.BOOLEAN_ARRAY:
        return _bits(packed)
    code = ARRAYS.get(datatype)
    if code is None:
        raise BadPayload(f"data type {datatype} is unknown")
    try:
        return [element for (element,) in struct.iter_unpack(f"<{code}", packed)]
    except struct.error as error:
        raise BadPayload(f"array of {len(packed)} bytes does not fit its type") from error


def _bits(packed: bytes) -> list[object]:
    """A count (uint32, little-endian), then the flags, eight a byte, the first in the highest bit."""
    if len(packed) < struct.calcsize("<I"):
        raise BadPayload("boolean array without its count")
    (count,) = struct.unpack_from("<I", packed)
    flags = packed[4:]
    if count > 8 * len(flags):
        raise BadPayload("boolean array is shorter than its count")
    return [bool(flags[index // 8] >> (7 - index % 8) & 1) for index in range(min(count, MAX_ARRAY + 1))]


def marked(metric: Metric) -> tuple[Quality, str]:
    """The verdict of the metric's `Quality` property: 192 good, 0 bad, 500 stale; other OPC codes by their class.

    A metric without the property is good.
    """
    for key, value in zip(metric.properties.keys, metric.properties.values, strict=False):
        if key == "Quality" and not value.is_null:
            return _opc(value.int_value if value.WhichOneof("value") == "int_value" else int(value.long_value))
    return Quality.GOOD, Reason.NONE


def _opc(code: int) -> tuple[Quality, str]:
    if code == STALE_QUALITY:
        return Quality.UNCERTAIN, STALE
    severity = code >> 6
    if severity == GOOD_QUALITY >> 6:
        return Quality.GOOD, Reason.NONE
    return (Quality.UNCERTAIN, Reason.DEVICE) if severity == 1 else (Quality.BAD, Reason.DEVICE)


def engineering_unit(metric: Metric) -> str:
    """The `engUnit` property as UCUM, "" if there is none."""
    for key, value in zip(metric.properties.keys, metric.properties.values, strict=False):
        if key in {"engUnit", "EngUnit", "Engineering Units"} and value.WhichOneof("value") == "string_value":
            return ucum(value.string_value)
    return ""
