"""A payload that is nothing but one value, such as `21.5`."""

import re
from datetime import datetime
from typing import Literal

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Value
from edge.collectors.decoders.base import ABSENT, NOT_FINITE, WRONG_TYPE, Decoded, Options, judge, plain_text

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
ON_OFF = {"on": True, "true": True, "1": True, "open": True, "off": False, "false": False, "0": False, "closed": False}


class NumberOptions(Options):
    """How to read the value. `unit` is UCUM and stated by the mapping when empty."""

    name: Literal["number"] = "number"
    field: str = "value"
    kind: Literal["number", "bool", "text"] = "number"
    unit: str = ""
    decimal_comma: bool = False


def parse_number(text: str) -> int | float | None:
    """The number a text spells; None if it spells none. 'nan' and 'inf' come back as such."""
    if INTEGER.fullmatch(text):
        return int(text)
    if NUMBER.fullmatch(text) or text.lower() in NOT_FINITE:
        return float(text)
    return None


class Number:
    """Reads a bare number, switch word or text. An empty payload is a missing value, a wrong word a bad one."""

    def __init__(self, options: NumberOptions) -> None:
        self._options = options

    def decode(self, topic: str, payload: bytes, received_at: datetime) -> list[Decoded]:
        """One value under the configured field name. Raises BadPayload for bytes that are no text."""
        del topic, received_at
        text = plain_text(payload)
        value, quality, reason = self._read(text)
        return [Decoded("", self._options.field, value, self._options.unit, quality=quality, reason=reason)]

    def _read(self, text: str) -> tuple[Value, Quality, str]:
        kind = self._options.kind
        if not text or (kind != "text" and text.lower() in ABSENT):
            return None, Quality.BAD, Reason.NO_VALUE
        found: bool | float | None
        if kind == "text":
            return judge(text)
        if kind == "bool":
            found = ON_OFF.get(text.lower())
        else:
            text = text.replace(",", ".", 1) if self._options.decimal_comma else text
            found = parse_number(text)
        if found is None:
            # as it was said: with the point's own unit after it, it is a number all the same
            return judge(text)[0], Quality.BAD, WRONG_TYPE
        return judge(found)
