"""What a point makes of a decoded value: its kind, its error codes, its range, and zeros that were left out."""

import re
from collections.abc import Sequence

import msgspec

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Value
from edge.collectors.decoders import Decoded
from edge.collectors.decoders.base import ABSENT, WRONG_TYPE, judge
from edge.collectors.decoders.number import parse_number
from edge.collectors.decoders.times import BAD_TIME
from edge.collectors.decoders.units import KNOWN_UNITS, ucum
from edge.collectors.mqtt_config import PointRule

ZERO: dict[str | None, Value] = {"number": 0, "bool": False, "text": ""}
_LEADING = re.compile(r"([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*([^\s0-9].*)")


def checked(item: Decoded, rule: PointRule) -> tuple[Value, Quality, str]:
    """(value, quality, reason) for the point; the value stays as sent, but for text that spells a number."""
    value, quality, reason = item.value, item.quality, item.reason
    unit = item.unit or rule.unit
    if isinstance(value, str) and rule.kind != "text" and (unit or rule.kind or rule.measures):
        value, quality, reason = _read(value.strip(), (quality, reason), unit)
    if value is None:
        return value, quality, reason
    fault = _fault(value, rule, unit)
    return (value, Quality.BAD, fault) if fault and quality is not Quality.BAD else (value, quality, reason)


def _read(text: str, verdict: tuple[Quality, str], unit: str) -> tuple[Value, Quality, str]:
    """A text where a number or a switch is wanted: the number it spells, or none if it says that there is none."""
    quality, reason = verdict
    number = _number(text, unit)
    if number is not None:
        value, spelled, why = judge(number)
        if reason == WRONG_TYPE:  # to a decoder that did not know the unit
            quality, reason = Quality.GOOD, Reason.NONE
        return value, *((spelled, why) if spelled > quality else (quality, reason))
    if text.lower() in ABSENT:
        return None, Quality.BAD, Reason.NO_VALUE
    found = _LEADING.fullmatch(text)
    return (text, Quality.BAD, Reason.WRONG_UNIT) if found and ucum(found[2]) in KNOWN_UNITS else (text, *verdict)


def _number(text: str, unit: str) -> float | None:
    """The number that a text spells, alone or with its unit after it."""
    number = parse_number(text)
    if number is None and unit and (found := _LEADING.fullmatch(text)) and unit in (found[2], ucum(found[2])):
        number = parse_number(found[1])
    return number


def _fault(value: bool | float | str, rule: PointRule, unit: str) -> str:
    if not _fits(value, rule, unit):
        return WRONG_TYPE
    if isinstance(value, str):
        return Reason.NONE
    if value in rule.sentinels:
        return Reason.SENTINEL
    below = rule.minimum is not None and value < rule.minimum
    above = rule.maximum is not None and value > rule.maximum
    return Reason.OUT_OF_SENSOR_RANGE if below or above else Reason.NONE


def _fits(value: bool | float | str, rule: PointRule, unit: str) -> bool:
    """Whether the value is of its kind; what has a unit must be a number."""
    if rule.kind == "text":
        return isinstance(value, str)
    if rule.kind == "bool":
        return isinstance(value, bool)
    if rule.kind == "number" or unit or (rule.measures and isinstance(value, str)):
        return not isinstance(value, bool | str)
    return True


def with_zeros(rules: Sequence[PointRule], decoded: list[Decoded]) -> list[Decoded]:
    """Adds what a complete message left out because it is zero."""
    if not decoded or not decoded[0].complete:
        return decoded
    first = decoded[0]
    named = {item.field for item in decoded}
    undated = first.reason == BAD_TIME
    return decoded + [
        msgspec.structs.replace(
            first,
            field=rule.field,
            value=ZERO[rule.kind],
            quality=Quality.UNCERTAIN if undated else Quality.GOOD,
            reason=BAD_TIME if undated else Reason.NONE,
        )
        for rule in rules
        if rule.field not in named and rule.device in (None, first.device)
    ]
