"""What a point makes of a decoded value: its kind, its error codes, its range, and zeros that were left out."""

from collections.abc import Sequence

import msgspec

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Value
from edge.collectors.decoders import Decoded
from edge.collectors.decoders.base import judge
from edge.collectors.decoders.number import parse_number
from edge.collectors.mqtt_config import PointRule

WRONG_TYPE = "wrong_type"
"""The value is not of the kind the point takes (bad)."""
ZERO: dict[str | None, Value] = {"number": 0, "bool": False, "text": ""}


def checked(item: Decoded, rule: PointRule) -> tuple[Value, Quality, str]:
    """(value, quality, reason) for the point; the value stays as sent, but for text that spells a number."""
    value, quality, reason = item.value, item.quality, item.reason
    if rule.kind == "number" and isinstance(value, str):
        number = parse_number(value.strip())
        if number is not None:
            value, spelled, why = judge(number)
            quality, reason = (spelled, why) if spelled > quality else (quality, reason)
    if value is None:
        return value, quality, reason
    fault = _fault(value, rule, item.unit or rule.unit)
    return (value, Quality.BAD, fault) if fault else (value, quality, reason)


def _fault(value: bool | float | str, rule: PointRule, unit: str) -> str:
    if not _fits(value, rule.kind, unit):
        return WRONG_TYPE
    if isinstance(value, str):
        return Reason.NONE
    if value in rule.sentinels:
        return Reason.SENTINEL
    below = rule.minimum is not None and value < rule.minimum
    above = rule.maximum is not None and value > rule.maximum
    return Reason.OUT_OF_SENSOR_RANGE if below or above else Reason.NONE


def _fits(value: bool | float | str, kind: str | None, unit: str) -> bool:
    """Whether the value is of its kind; what has a unit must be a number."""
    if kind == "text":
        return isinstance(value, str)
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "number" or unit:
        return not isinstance(value, bool | str)
    return True


def with_zeros(rules: Sequence[PointRule], decoded: list[Decoded]) -> list[Decoded]:
    """Adds what a complete message left out because it is zero."""
    if not decoded or not decoded[0].complete:
        return decoded
    first = decoded[0]
    named = {item.field for item in decoded}
    clock = first.reason == Reason.CLOCK
    return decoded + [
        msgspec.structs.replace(
            first,
            field=rule.field,
            value=ZERO[rule.kind],
            quality=Quality.UNCERTAIN if clock else Quality.GOOD,
            reason=Reason.CLOCK if clock else Reason.NONE,
        )
        for rule in rules
        if rule.field not in named and rule.device in (None, first.device)
    ]
