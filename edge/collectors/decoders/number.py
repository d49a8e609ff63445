"""A payload that is nothing but one value, such as `21.5`."""

import re
from datetime import datetime
from typing import Literal

from core.telemetry.quality import Quality, Reason
from edge.collectors.decoders.base import BadPayload, Decoded, Options, judge

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
NOT_FINITE = frozenset({"nan", "+nan", "-nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})
ON_OFF = {"on": True, "true": True, "1": True, "open": True, "off": False, "false": False, "0": False, "closed": False}


class NumberOptions(Options):
    """How to read the value. `unit` is UCUM and stated by the mapping when empty."""

    name: Literal["number"] = "number"
    field: str = "value"
    kind: Literal["number", "bool", "text"] = "number"
    unit: str = ""
    decimal_comma: bool = False


def parse_number(said: str) -> int | float | None:
    """The number a text spells; None if it spells none. 'nan' and 'inf' come back as such."""
    if INTEGER.fullmatch(said):
        return int(said)
    if NUMBER.fullmatch(said) or said.lower() in NOT_FINITE:
        return float(said)
    return None


class Number:
    """Reads a bare number, switch word or text. An empty payload is a missing value."""

    def __init__(self, options: NumberOptions) -> None:
        self._options = options

    def decode(self, topic: str, payload: bytes, received_at: datetime) -> list[Decoded]:
        """One value under the configured field name. Raises BadPayload."""
        del topic, received_at
        try:
            said = payload.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise BadPayload(f"not UTF-8 at byte {error.start}") from error
        options = self._options
        if not said:
            return [Decoded("", options.field, None, options.unit, quality=Quality.BAD, reason=Reason.NO_VALUE)]
        value, quality, reason = judge(self._read(said))
        return [Decoded("", options.field, value, options.unit, quality=quality, reason=reason)]

    def _read(self, said: str) -> bool | float | str:
        if self._options.kind == "text":
            return said
        if self._options.kind == "bool":
            word = ON_OFF.get(said.lower())
            if word is None:
                raise BadPayload(f"{said[:64]!r} is neither on nor off")
            return word
        number = parse_number(said.replace(",", ".", 1) if self._options.decimal_comma else said)
        if number is None:
            raise BadPayload(f"{said[:64]!r} is not a number")
        return number
