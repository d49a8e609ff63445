"""Numbers of a column as people write them: decimal point or comma, thousands apart, a true minus. Pure.

A comma can be a fraction or a thousand, and one cell often does not tell: the whole column does, or it must be said.
"""

import re
from collections.abc import Iterable
from typing import Literal

from core.telemetry.readers.text import BadFile, number

Decimal = Literal[".", ","]

_APART = "[ '\u2019\u00a0\u202f]"
_THOUSANDS = {
    ".": re.compile(rf"[+-]?\d{{1,3}}(?:,\d{{3}})+(?:\.\d*)?|[+-]?\d{{1,3}}(?:{_APART}\d{{3}})+(?:\.\d*)?"),
    ",": re.compile(rf"[+-]?\d{{1,3}}(?:\.\d{{3}})+(?:,\d*)?|[+-]?\d{{1,3}}(?:{_APART}\d{{3}})+(?:,\d*)?"),
}
_MINUS = "\N{MINUS SIGN}"
"""As spreadsheets of some countries write it."""
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
        raise BadFile(f"{doubtful[1]!r} can be a thousand or a fraction: say which (decimal)", doubtful[0])
    return "."


def figure(text: str, decimal: Decimal) -> float | None:
    """The number of a cell; None where a value is missing. Raises ValueError for anything else, and for one that
    could be another number.
    """
    bare = text.strip().replace(_MINUS, "-")
    if _THOUSANDS[decimal].fullmatch(bare):
        whole = re.sub(rf"{_APART}|[{'.' if decimal == ',' else ','}]", "", bare)
        if decimal == "," and "," not in bare and bare.count(".") == 1:
            raise ValueError(f"{bare!r} can be a thousand or a fraction")
        return number(whole)
    if decimal == "." and "," in bare:
        raise ValueError(f"{bare!r} is not a number with a decimal point")
    return number(bare)
