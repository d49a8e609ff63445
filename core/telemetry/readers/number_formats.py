"""Numbers of a column as people write them: decimal point or comma, thousands apart, a true minus. Pure.

A comma can be a fraction or a thousand, and one cell often does not tell: the whole column does, or it must be said.
"""

import re
from collections.abc import Iterable
from typing import Literal
from unicodedata import normalize

from core.telemetry.message import Message
from core.telemetry.readers.text import BadFile, Unreadable, number

Decimal = Literal[".", ","]

_APART = "[ '\u2019\u00a0\u202f]"
_THOUSANDS = {
    ".": re.compile(rf"[+-]?\d{{1,3}}(?:,\d{{3}})+(?:\.\d*)?|[+-]?\d{{1,3}}(?:{_APART}\d{{3}})+(?:\.\d*)?"),
    ",": re.compile(rf"[+-]?\d{{1,3}}(?:\.\d{{3}})+(?:,\d*)?|[+-]?\d{{1,3}}(?:{_APART}\d{{3}})+(?:,\d*)?"),
}
LEAST_GROUPED = 5
"""So many letters at least has a number whose thousands are apart."""
_MINUS = "\N{MINUS SIGN}"
"""As spreadsheets of some countries write it."""
_PLAIN: dict[str, re.Pattern[str]] = {
    ".": re.compile(r"[+-]?\d{1,15}(?:\.\d{0,15})?", re.ASCII),
    ",": re.compile(r"[+-]?\d{1,15}(?:,\d{0,15})?", re.ASCII),
}
UNITS = {
    "°c": "Cel",
    "ºc": "Cel",
    "c": "Cel",
    "degc": "Cel",
    "celsius": "Cel",
    "°f": "[degF]",
    "ºf": "[degF]",
    "f": "[degF]",
    "degf": "[degF]",
    "fahrenheit": "[degF]",
    "k": "K",
    "%": "%",
    "%rh": "%",
    "rh": "%",
    "rh%": "%",
    "%r.h.": "%",
    "%rf": "%",
    "%r.f.": "%",
    "%hr": "%",
    "hpa": "hPa",
    "mbar": "hPa",
    "kpa": "kPa",
    "pa": "Pa",
}
"""Units as they stand alone in a cell or behind a number (lower case, no spaces), in UCUM. Single letters are
temperatures only there.
"""
_WITH_UNIT = re.compile(
    r"([^a-z%°º]*?)\s*(°\s*c|º\s*c|°\s*f|º\s*f|deg\s?c|deg\s?f|celsius|fahrenheit|%\s*rh|%\s*r\.h\.|%\s*rf|%\s*r\.f\."
    r"|%\s*hr|rh\s*%|rh|%|hpa|mbar|kpa|pa|c|f|k)",
    re.IGNORECASE,
)
_LIKE_A_NUMBER = re.compile(rf"[+{_MINUS}-]?(?:\d[\d., '\u2019\u00a0\u202f]*|[.,]\d+)(?:[eE][+-]?\d+)?")
_EITHER = re.compile(rf"[+{_MINUS}-]?[1-9]\d{{0,2}}(?:,\d{{3}})+")
"""Thousands with commas, or with one comma three decimal places."""


def decimal_of(cells: Iterable[tuple[int, str]]) -> Decimal:
    """What a column of (line, cell) writes before its fractions. Raises BadFile with a line where nothing tells.

    A comma in a column that has none with a point after it, and that is not always before three digits, is a decimal.
    """
    doubtful: tuple[int, str] | None = None
    for line, cell in cells:
        comma, point = cell.rfind(","), cell.rfind(".")
        if comma < 0:
            continue
        if point > comma or cell.count(",") > 1:
            return "."
        if point >= 0 or _EITHER.fullmatch(cell.strip()) is None:
            return ","
        doubtful = doubtful or (line, cell.strip())
    if doubtful is not None:
        raise BadFile(Message("telemetry.decimal_unclear", text=doubtful[1]), doubtful[0])
    return "."


def parse_number(text: str, decimal: Decimal) -> float | None:
    """The number of a cell; None where a value is missing. Raises ValueError for anything else, and for one that
    could be another number.
    """
    if _PLAIN[decimal].fullmatch(text):  # most cells, and the quickest way
        return float(text.replace(",", "."))
    bare = text.strip().replace(_MINUS, "-")
    if _THOUSANDS[decimal].fullmatch(bare):
        if decimal == "," and "," not in bare and bare.count(".") == 1:
            raise Unreadable("telemetry.thousand_or_fraction", text=bare)
        return number(re.sub(rf"{_APART}|[{'.' if decimal == ',' else ','}]", "", bare))
    if decimal == "." and "," in bare:
        raise Unreadable("telemetry.no_number_with_point", text=bare)
    return number(bare)


def grouped(text: str, decimal: Decimal) -> bool:
    """Whether the cell's number is written with its thousands apart."""
    return _THOUSANDS[decimal].fullmatch(text.strip().replace(_MINUS, "-")) is not None


def split_unit(text: str) -> tuple[str, str]:
    """A cell's number and the unit behind it in UCUM: `5.2 °C` is 5.2 and Cel; no unit where none is known."""
    match = _WITH_UNIT.fullmatch(normalize("NFKC", text).strip())
    return (text, "") if match is None else (match[1], UNITS[match[2].lower().replace(" ", "")])


def is_number(text: str) -> bool:
    """Whether the cell is a number, with a known unit behind it or without."""
    return _LIKE_A_NUMBER.fullmatch(split_unit(text)[0].strip()) is not None
