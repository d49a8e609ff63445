"""One cell of a table as a value, a bad value with its reason, or nothing that can be told. Pure."""

import re
from dataclasses import dataclass

from core.telemetry.quality import Quality, Reason
from core.telemetry.readers.number_formats import Decimal, parse_number, split_unit
from core.telemetry.readers.text import missing

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
    (_FAULTS, Reason.DEVICE, "an error in place of a value"),
    (_MISSING_MARKS, Reason.DISCONNECTED, "no sensor"),
    (_OUT_OF_RANGE, Reason.OUT_OF_SENSOR_RANGE, "a value beyond its sensor's range"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, or None with the quality and reason of a bad reading; `doubt` and `message` say what it was."""

    value: float | None
    quality: Quality = Quality.GOOD
    reason: str = Reason.NONE
    doubt: str = ""
    message: str = ""
    damage: bool = False


def read_cell(text: str, decimal: Decimal, unit: str) -> Cell:
    """The cell of a column in that unit (UCUM; empty where none is known)."""
    bare = text.strip()
    if bare[:1] not in _DIGITS and (cell := _instead(bare)) is not None:
        return cell
    try:
        value = parse_number(bare, decimal)
    except ValueError as error:
        return _with_unit(bare, decimal, unit, error)
    if value is None:
        return _bad(Reason.NO_VALUE, f"no value ({bare!r})")
    if value < _LEAST.get(unit, value):
        return _bad(Reason.SENTINEL, f"{bare}, colder than anything: an error code", "impossible")
    return Cell(value)


def _instead(bare: str) -> Cell | None:
    """What devices write in place of a value; None for anything else."""
    if bare.lower() in _NOT_A_NUMBER:
        return _bad(Reason.NOT_A_NUMBER, f"no value ({bare!r})")
    for form, reason, what in _INSTEAD:
        if form.fullmatch(bare):
            return _bad(reason, f"{what} ({bare!r})")
    return _bad(Reason.NO_VALUE, f"no value ({bare!r})") if missing(bare) else None


def _with_unit(bare: str, decimal: Decimal, unit: str, error: ValueError) -> Cell:
    """A cell that is no number by itself: one with its unit behind it, or nothing that can be read."""
    number, own_unit = split_unit(bare)
    if not own_unit:
        return Cell(None, Quality.BAD, Reason.NOT_A_NUMBER, "malformed", str(error), damage=True)
    if unit and own_unit != unit:
        return Cell(None, Quality.BAD, Reason.WRONG_UNIT, "wrong_unit", f"{bare!r} is not in {unit}", damage=True)
    return read_cell(number, decimal, unit)


def _bad(reason: str, message: str, kind: str = "no_value") -> Cell:
    return Cell(None, Quality.BAD, reason, kind, message)
