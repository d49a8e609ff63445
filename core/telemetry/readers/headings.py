"""What a table's headings and cells say of its columns: quantity, unit, and what is no measurement. Pure.

By words, in the languages loggers' programs write; a heading that says nothing is not guessed beyond its words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from unicodedata import normalize

from core.telemetry.readers.date_formats import is_clock, is_stamp
from core.telemetry.readers.number_formats import is_number, split_unit
from core.telemetry.readers.text import missing


class Role(StrEnum):
    """What a column holds."""

    VALUE = "values"
    TIME = "times"
    UNIT = "units"
    EVENT = "events"
    NUMBER = "row numbers"
    ASIDE = "no measurement"
    WORDS = "words"
    EMPTY = "nothing"


@dataclass(frozen=True, slots=True)
class Known:
    """A column: what it holds, and of values the quantity and unit (UCUM; empty where nothing says)."""

    name: str
    role: Role
    quantity: str = ""
    unit: str = ""
    units: tuple[str, ...] = ()
    """Of a column of units: those that come, in UCUM."""


_QUANTITIES = (
    ("temperature", re.compile(r"temp|°\s*[cf]\b|温度|溫度", re.IGNORECASE)),
    ("humidity", re.compile(r"hum|feucht|湿度|濕度|\brh\b|%\s*rh|rh\s*%|%", re.IGNORECASE)),
    ("pressure", re.compile(r"press|druck|气压|氣壓|\bh?pa\b", re.IGNORECASE)),
)
_ASIDE = re.compile(
    r"dew|taupunkt|rosée|露点|limit|alarm|alert|thresh|grenz|报警|警报|上限|下限|set ?point|sollwert|offset|\bmkt\b"
    r"|\bbatt|\bvolt|\blight|intensity|\blux\b|\blum|moisture|shake|errflag|rssi|signal|elapsed",
    re.IGNORECASE,
)
"""Headings of what is derived, set, or says nothing of the surroundings."""
_NUMBERS = re.compile(
    r"(?:#|no\.?|nr\.?|n°|num(?:ber)?|序号|编号|index|id|rec(?:ord)?|sample|reading|point|row|line)", re.IGNORECASE
)
_TIMES = re.compile(r"date|time|\bdatum|zeit|时间|日期|heure|fecha|hora\b|when|stamp|\bday\b|\buhr", re.IGNORECASE)
_EVENT = re.compile(
    r"coupler|host conn|stopped|end of file|button|\bbad batt|good batt|event|marker|bookmark|message|pause|事件|标记"
    r"|koppler|angehalten|dateiende|acoplador|anfitri|parado|fim do",
    re.IGNORECASE,
)
_IN_WORDS = (
    ("Cel", re.compile(r"[°º]\s*c\b|\bdeg ?c\b|[\[(/,]\s*c\s*[\])]?\s*$|[\[(]c[\])]|celsius|摄氏|_c$", re.IGNORECASE)),
    (
        "[degF]",
        re.compile(r"[°º]\s*f\b|\bdeg ?f\b|[\[(/,]\s*f\s*[\])]?\s*$|[\[(]f[\])]|fahrenheit|华氏|_f$", re.IGNORECASE),
    ),
    ("K", re.compile(r"[\[(]k[\])]|kelvin", re.IGNORECASE)),
    ("%", re.compile(r"%|\brh\b", re.IGNORECASE)),
    ("hPa", re.compile(r"\bhpa\b|mbar", re.IGNORECASE)),
    ("kPa", re.compile(r"\bkpa\b", re.IGNORECASE)),
    ("Pa", re.compile(r"\bpa\b", re.IGNORECASE)),
)
QUANTITY_OF = {
    "Cel": "temperature",
    "[degF]": "temperature",
    "K": "temperature",
    "%": "humidity",
    "hPa": "pressure",
    "kPa": "pressure",
    "Pa": "pressure",
}
_MOSTLY = 0.5


def plain(heading: str) -> str:
    """A heading in its plain form: a degree sign and its letter can be one character."""
    return normalize("NFKC", heading).strip()


def quantity_in(heading: str) -> str:
    """The quantity that a heading names; empty where it names none."""
    return next((word for word, form in _QUANTITIES if form.search(plain(heading))), "")


def unit_in(heading: str) -> str:
    """The unit that a heading names, in UCUM; empty where it names none, or those of two quantities."""
    text = plain(heading)
    found = [unit for unit, form in _IN_WORDS if form.search(text)]
    return found[0] if len({QUANTITY_OF[unit] for unit in found}) == 1 else ""


def names_time(heading: str) -> bool:
    """Whether a heading speaks of dates or times."""
    return _TIMES.search(plain(heading)) is not None


def known(name: str, unit: str, cells: Sequence[str]) -> Known:
    """A column by its heading, the unit that is said beside it, and some of its cells in their order."""
    filled = [text for cell in cells if (text := cell.strip())]
    figures = [text for text in filled if is_number(text)]
    words = [text for text in filled if not is_number(text) and not missing(text)]
    stated = unit or unit_in(name)
    quantity = quantity_in(name) or QUANTITY_OF.get(stated, "")
    role = _role(plain(name), filled, words, quantity, len(cells))
    if role is Role.UNIT:
        return Known(name, role, units=tuple(dict.fromkeys(_unit_word(text) for text in words)))
    if role is not Role.VALUE:
        return Known(name, role)
    beside = {found for text in figures if (found := split_unit(text)[1])}
    stated = stated or (beside.pop() if len(beside) == 1 else "")
    return Known(name, role, quantity or QUANTITY_OF.get(stated, ""), stated)


def _role(heading: str, filled: Sequence[str], words: Sequence[str], quantity: str, rows: int) -> Role:
    """What a column holds, the plainest sign first: `words` are those of its filled cells that are no figures."""
    only_words = bool(words) and not any(map(is_number, filled))
    signs = (
        (Role.EVENT, _EVENT.search(heading) is not None),
        (Role.EMPTY, not filled and (not quantity or _ASIDE.search(heading) is not None)),
        (Role.TIME, bool(filled) and all(is_stamp(text) or is_clock(text) for text in filled)),
        (Role.UNIT, only_words and all(map(_unit_word, words))),
        (Role.EVENT, only_words and not quantity and len(filled) <= _MOSTLY * rows),
        (Role.WORDS, only_words and not quantity),
        (Role.ASIDE, _ASIDE.search(heading) is not None or (names_time(heading) and not quantity)),
        (Role.NUMBER, bool(filled) and _numbered(heading, filled)),
    )
    return next((role for role, holds in signs if holds), Role.VALUE)


def _unit_word(text: str) -> str:
    """The unit that stands alone in a cell; empty for none."""
    return split_unit(f"0 {text}")[1]


def _numbered(heading: str, filled: Sequence[str]) -> bool:
    """Whether whole numbers that go up by one stand under a heading of row numbers, or under none."""
    if heading and not _NUMBERS.fullmatch(heading):
        return False
    if not all(text.isdecimal() for text in filled):
        return False
    return all(int(later) - int(earlier) in (1, -1) for earlier, later in pairwise(filled))
