"""One cell of a table as a value, a bad value with its reason, or nothing that can be told. Pure."""

import re
from dataclasses import dataclass

from core.telemetry.message import Message
from core.telemetry.quality import Quality, Reason
from core.telemetry.readers.number_formats import Decimal, parse_number, split_unit
from core.telemetry.readers.text import Unreadable, missing

_DIGITS = frozenset("0123456789")
_NOT_A_NUMBER = frozenset({"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})
_OUT_OF_RANGE = re.compile(
    r"[<>≤≥]=?\s*[+-]?\d[\d.,]*\s*(?:°?[CF]|℃|℉|%)?|[+-]?ol\.?|[+-]?ovr?|over(?:[ -]?(?:range|flow|load))?"
    r"|under(?:[ -]?(?:range|flow))?|hi|lo|\+{2,}|out of range|超限",
    re.IGNORECASE,
)
"""As devices write what lies beyond their sensor: `<-40`, `OL`, `Over`, `+++`."""
_FAULTS = re.compile(
    r"err(?:or)?\.?\s*\d*|e\d+|fault|fail(?:ed|ure)?|sensor (?:error|fault|failure|open|short)|open|short"
    r"|probe (?:open|error)|故障|断线|短路|错误",
    re.IGNORECASE,
)
_MISSING_MARKS = re.compile(r"n\.?c\.?|not connected|disconnected|no (?:probe|sensor)|未连接|未接", re.IGNORECASE)
_LEAST = {"Cel": -273.15, "[degF]": -459.67, "K": 0.0}
"""Nothing is colder; programs write -888.88 or -999 where they have no value."""


_INSTEAD = (
    (_FAULTS, Reason.DEVICE, "telemetry.error_instead"),
    (_MISSING_MARKS, Reason.DISCONNECTED, "telemetry.no_sensor"),
    (_OUT_OF_RANGE, Reason.OUT_OF_SENSOR_RANGE, "telemetry.beyond_range"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, or None with the quality and reason of a bad reading; `doubt` and `said` say what it was."""

    value: float | None
    quality: Quality = Quality.GOOD
    reason: str = Reason.NONE
    doubt: str = ""
    said: Message | None = None
    damage: bool = False


def read_cell(text: str, decimal: Decimal, unit: str) -> Cell:
    """The cell of a column in that unit (UCUM; empty where none is known)."""
    bare = text.strip()
    if bare[:1] not in _DIGITS and (cell := _instead(bare)) is not None:
        return cell
    try:
        value = parse_number(bare, decimal)
    except Unreadable as error:
        return _with_unit(bare, decimal, unit, error)
    if value is None:
        return _bad(Reason.NO_VALUE, Message("telemetry.no_value", text=bare))
    if value < _LEAST.get(unit, value):
        return _bad(Reason.SENTINEL, Message("telemetry.colder_than_anything", text=bare), "impossible")
    return Cell(value)


def _instead(bare: str) -> Cell | None:
    """What devices write in place of a value; None for anything else."""
    if bare.lower() in _NOT_A_NUMBER:
        return _bad(Reason.NOT_A_NUMBER, Message("telemetry.no_value", text=bare))
    for form, reason, what in _INSTEAD:
        if form.fullmatch(bare):
            return _bad(reason, Message(what, text=bare))
    return _bad(Reason.NO_VALUE, Message("telemetry.no_value", text=bare)) if missing(bare) else None


def _with_unit(bare: str, decimal: Decimal, unit: str, error: Unreadable) -> Cell:
    """A cell that is no number by itself: one with its unit behind it, or nothing that can be read."""
    number, own_unit = split_unit(bare)
    if not own_unit:
        return Cell(None, Quality.BAD, Reason.NOT_A_NUMBER, "malformed", error.said, damage=True)
    if unit and own_unit != unit:
        return Cell(
            None,
            Quality.BAD,
            Reason.WRONG_UNIT,
            "wrong_unit",
            Message("telemetry.not_in_unit", text=bare, unit=unit),
            damage=True,
        )
    return read_cell(number, decimal, unit)


def _bad(reason: str, said: Message, kind: str = "no_value") -> Cell:
    return Cell(None, Quality.BAD, reason, kind, said)
