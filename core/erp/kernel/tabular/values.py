"""A cell as its field's value, strictly: what could be two values, or would become another one, is refused. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any, Literal
from unicodedata import normalize

from core.erp.kernel.hidden import hidden_in
from core.erp.kernel.tabular.faults import BadCell, shown
from core.erp.kernel.tabular.fields import Field, Kind, heading_key
from core.erp.kernel.tabular.formulas import unescaped
from core.erp.kernel.tabular.sheets import Cell, Day, Odd, Stamp
from core.erp.kernel.words import Message
from core.telemetry.readers.date_formats import DateOrder, is_day, when

SAFE_DIGITS = 15
"""So many digits of a number a workbook keeps."""
BIGGEST = 2**63 - 1
_YES = frozenset({"yes", "y", "true", "1", "是", "真"})
_NO = frozenset({"no", "n", "false", "0", "否", "假"})
_YEAR_FIRST = re.compile(r"\d{4}\D.*", re.DOTALL)
_COMPACT = re.compile(r"(?:19|20|21)\d{6}")
_SEMICOLON = re.compile("[;；]")
_CUT = re.compile(r"\d(?:[.,]\d+)?E\+\d{2,}", re.IGNORECASE)
"""What a spreadsheet makes of a long number before it saves it: 6.93572E+12."""


@dataclass(frozen=True)
class Forms:
    """How the file's values are written, as far as it is known: said, or proved by the file (`settling`).

    `orders` are the date orders by the column's place, `zones` those that headings name, where none is said for all.
    `escapes`: a text's apostrophe before a formula is an export's.
    """

    decimal: Literal[".", ","] | None = None
    orders: dict[int, DateOrder] = field(default_factory=dict)
    zone: tzinfo | None = None
    escapes: bool = True
    zones: dict[int, tzinfo] = field(default_factory=dict)


def value_of(cell: Cell, of: Field, place: int, forms: Forms) -> Any:
    """The value of a cell in the column at that place; None for an empty one. Raises BadCell."""
    if isinstance(cell, str):
        cell = plain_text(cell)
    if cell is None or cell == "":
        if of.required or of.filled:
            raise BadCell(Message("tabular.empty"))
        return None
    if isinstance(cell, Odd):
        raise BadCell(Message("tabular.failed_formula" if cell.what == "error" else "tabular.length_of_time"))
    if of.many and isinstance(cell, str):
        parts = [part for text in _SEMICOLON.split(cell) if (part := plain_text(text))]
        return [_READERS[of.kind](part, of, place, forms) for part in parts]
    found = _READERS[of.kind](cell, of, place, forms)
    return [found] if of.many else found


def plain_text(text: str) -> str:
    """Without blanks around it, its letters composed (NFC), its line ends one kind."""
    return normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip(" \n\u00a0\u3000\ufeff")


# --- text, words


def _text(cell: Cell, of: Field, _: int, forms: Forms) -> str:
    if isinstance(cell, float):
        if not cell.is_integer() or abs(cell) >= 10**SAFE_DIGITS:
            raise BadCell(Message("tabular.number_for_text"))
        return str(int(cell))
    if not isinstance(cell, str):
        raise BadCell(Message("tabular.typed_for_text"))
    if _CUT.fullmatch(cell):
        raise BadCell(Message("tabular.number_cut"))
    text = unescaped(cell) if forms.escapes else cell
    hidden = hidden_in(text)
    if hidden is not None:
        raise BadCell(Message("tabular.hidden_character", character=hidden))
    if len(text) > of.longest:
        raise BadCell(Message("tabular.too_long", letters=len(text), most=of.longest))
    return text


def _choice(cell: Cell, of: Field, _: int, __: Forms) -> str:
    key = heading_key(_plain_number(cell))
    found = of.labels_of_choices.get(key)
    if found is None:
        raise BadCell(Message("tabular.no_such_choice", choices=[choice.value for choice in of.choices]))
    return found


def _flag(cell: Cell, of: Field, _: int, __: Forms) -> bool:
    del of
    if isinstance(cell, bool):
        return cell
    key = heading_key(_plain_number(cell))
    if key not in _YES | _NO:
        raise BadCell(Message("tabular.no_flag"))
    return key in _YES


def _plain_number(cell: Cell) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


# --- numbers


def _decimal(cell: Cell, of: Field, _: int, forms: Forms) -> Decimal:
    number = _number(cell, forms.decimal)
    places = -int(number.normalize().as_tuple().exponent)
    if places > of.decimals:
        raise BadCell(Message("tabular.too_many_decimals", most=of.decimals))
    if abs(number) >= Decimal(10) ** (of.digits - of.decimals):
        raise BadCell(Message("tabular.too_large_a_number", digits=of.digits - of.decimals))
    _within(number, of)
    return number


def _integer(cell: Cell, of: Field, _: int, forms: Forms) -> int:
    number = _number(cell, forms.decimal)
    if number != number.to_integral_value():
        raise BadCell(Message("tabular.not_whole"))
    if abs(number) > BIGGEST:
        raise BadCell(Message("tabular.too_large_a_number", digits=18))
    _within(number, of)
    return int(number)


def _within(number: Decimal, of: Field) -> None:
    if of.least is not None and number < of.least:
        raise BadCell(Message("tabular.too_small", least=of.least))
    if of.most is not None and number > of.most:
        raise BadCell(Message("tabular.too_big", most=of.most))


def _number(cell: Cell, decimal: str | None) -> Decimal:
    if not isinstance(cell, (float, str)):
        raise BadCell(Message("tabular.no_number"))
    if isinstance(cell, float):
        return Decimal(f"{cell:.{SAFE_DIGITS}g}")  # a workbook keeps so many: 0.1 + 0.2 is 0.3 there
    number = number_in(cell, decimal)
    if number is None:
        raise BadCell(Message("tabular.no_number"))
    return number


def number_in(text: str, decimal: str | None) -> Decimal | None:
    """The number that a text is, with that before its fractions (None: it has none) and thousands apart; None for any
    other text.
    """
    bare = normalize("NFKC", text).strip().replace("\N{MINUS SIGN}", "-")
    if _NUMBERS[decimal].fullmatch(bare) is None:
        return None
    digits = re.sub(r"[ '\u2019]", "", bare)
    if decimal == ",":
        digits = digits.replace(".", "").replace(",", ".")
    return Decimal(digits.replace(",", ""))


def _numbers(decimal: str | None) -> re.Pattern[str]:
    apart = {".": "[, '\u2019]", ",": "[. '\u2019]", None: "[ '\u2019]"}[decimal]
    whole = rf"\d{{1,30}}|\d{{1,3}}(?:{apart}\d{{3}}){{1,9}}"
    fraction = rf"{re.escape(decimal)}\d{{1,30}}" if decimal else ""
    return re.compile(rf"[+-]?(?:(?:{whole})(?:{fraction})?{rf'|{fraction}' if fraction else ''})", re.ASCII)


_NUMBERS = {decimal: _numbers(decimal) for decimal in (".", ",", None)}


# --- dates and times


def day_in(text: str, order: DateOrder | None) -> datetime | None:
    """The date (and time of day, if there is one) of a text; one that begins with its year needs no order."""
    bare = normalize("NFKC", text).strip()
    if _COMPACT.fullmatch(bare):
        bare = f"{bare[:4]}-{bare[4:6]}-{bare[6:]}"
    if _YEAR_FIRST.fullmatch(bare):
        order = DateOrder.YMD
    if order is None:
        return None
    try:
        return when(bare, order)
    except ValueError:
        return None


def has_own_order(text: str) -> bool:
    """Whether a date begins with its year of four digits, so that no order need be known."""
    bare = normalize("NFKC", text).strip()
    return _COMPACT.fullmatch(bare) is not None or _YEAR_FIRST.fullmatch(bare) is not None


def _date(cell: Cell, of: Field, place: int, forms: Forms) -> date:
    del of
    if isinstance(cell, Day):
        return date.fromisoformat(cell.iso)
    if isinstance(cell, Stamp):
        found: datetime | None = datetime.fromisoformat(cell.iso)
    elif isinstance(cell, str):
        found = day_in(cell, forms.orders.get(place))
    else:
        raise BadCell(Message("tabular.number_for_date"))
    if found is None:
        raise BadCell(Message("tabular.no_date"))
    if found.time() != datetime.min.time():
        raise BadCell(Message("tabular.time_in_date"))
    return found.date()


def _moment(cell: Cell, of: Field, place: int, forms: Forms) -> datetime:
    del of
    if isinstance(cell, Stamp):
        found: datetime | None = datetime.fromisoformat(cell.iso)
    elif isinstance(cell, Day) or (isinstance(cell, str) and is_day(cell)):
        raise BadCell(Message("tabular.no_time_of_day"))
    elif isinstance(cell, str):
        found = iso_moment(cell) or day_in(cell, forms.orders.get(place))
    else:
        raise BadCell(Message("tabular.number_for_date"))
    if found is None:
        raise BadCell(Message("tabular.no_moment"))
    zone = forms.zone or forms.zones.get(place)
    if found.tzinfo is None and zone is None:
        raise BadCell(Message("tabular.say_timezone", value=shown(cell)))
    try:
        return found.astimezone(UTC) if found.tzinfo is not None or zone is None else _in_zone(found, zone)
    except OverflowError as error:  # the calendar's first and last day are others elsewhere
        raise BadCell(Message("tabular.no_moment")) from error


def iso_moment(text: str) -> datetime | None:
    """The instant of a text as ISO 8601 (and an export) writes it, with its offset; None for any other."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _in_zone(wall: datetime, zone: tzinfo) -> datetime:
    """The instant of a time of day in the zone. Raises BadCell for one that clocks skip, or show twice."""
    first, second = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    back = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    raise BadCell(Message("tabular.time_twice" if back == wall else "tabular.time_skipped", zone=str(zone)))


_READERS: dict[Kind, Callable[[Cell, Field, int, Forms], Any]] = {
    Kind.TEXT: _text,
    Kind.CHOICE: _choice,
    Kind.FLAG: _flag,
    Kind.DECIMAL: _decimal,
    Kind.INTEGER: _integer,
    Kind.DATE: _date,
    Kind.MOMENT: _moment,
}
