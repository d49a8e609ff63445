"""Dates and times as loggers write them, in every usual order of day, month and year. Pure.

A date such as 26.06.01 can be three days. Nothing is guessed: a column's own dates leave one order, or the distances
between its rows tell (and that is said), or the order must be given.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from statistics import mode

from core.telemetry.message import Message
from core.telemetry.readers.text import BadFile, Unreadable


class DateOrder(StrEnum):
    """In which order a date's parts stand. A year in the middle, or a day before the month behind a year, is none."""

    YMD = "ymd"
    DMY = "dmy"
    MDY = "mdy"

    @property
    def spelt(self) -> Message:
        """For people."""
        return _SPELT[self.value]


_SPELT = {
    "ymd": Message("telemetry.order_ymd"),
    "dmy": Message("telemetry.order_dmy"),
    "mdy": Message("telemetry.order_mdy"),
}


class AmbiguousDates(BadFile):
    """The dates can be read in several orders; `choices` are those among which somebody must choose."""

    def __init__(self, stamp: str, choices: Sequence[DateOrder]) -> None:
        days = [_as_day(stamp, order) for order in choices]
        super().__init__(Message("telemetry.dates_ambiguous", text=stamp, days=days))
        self.choices = tuple(choices)


@dataclass(frozen=True, slots=True)
class ChosenOrder:
    """The order of a column's dates, and what must be said of it."""

    order: DateOrder
    doubt: Message | None = None


_MARK = r"[AP]\.?M\.?|上午|下午|午前|午後|오전|오후|fm|em"
_AFTERNOON = frozenset({"pm", "下午", "午後", "오후", "em"})
"""`fm` and `em` are Swedish: HOBOware writes AM and PM in the computer's language."""
CLOCK = (
    rf"(?:(?P<before>{_MARK})\s*)?(?P<hour>\d{{1,2}})[:時时](?P<minute>\d\d)"
    rf"(?:[:分](?P<second>\d\d)(?:[.,:](?P<fraction>\d{{1,6}}))?秒?)?分?(?:\s*(?P<after>{_MARK}))?"
)
_OFFSET = r"(?:\s*(?P<offset>Z|(?:UTC|GMT)?\s*[+-]\d{1,2}(?::?\d\d)?|UTC|GMT))?"
_NUMBERS = r"(?P<a>\d{1,4})(?:\s*(?P<year>年)\s*|(?P<sep>[./-])\s*)(?P<b>\d{1,2})(?:\s*月\s*|[./-]\s*)(?P<c>\d{1,4})"
_NAMED = r"(?:(?P<d>\d{1,2})[ ./-]+(?P<m>[a-z]{3,9})\.?|(?P<m2>[a-z]{3,9})\.?[ ./-]+(?P<d2>\d{1,2}),?)[ ./-]+"
_STAMP = re.compile(
    rf"(?:{_NUMBERS}\s*日?\.?|{_NAMED}(?P<y>\d{{4}}|\d\d))(?:\s*[T,_]?\s*(?:{CLOCK}))?{_OFFSET}", re.IGNORECASE
)
_CLOCK_ALONE = re.compile(CLOCK, re.IGNORECASE)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january",
            "feb february",
            "mar march",
            "apr april",
            "may",
            "jun june",
            "jul july",
            "aug august",
            "sep sept september",
            "oct october",
            "nov november",
            "dec december",
        ),
        start=1,
    )
    for name in names.split()
}
_YEAR_DIGITS, _CENTURY, _NOON, _MIDNIGHT, _SIXTY = 4, 2000, 12, 24, 60
_LEAST_STEPS, _MOSTLY = 2, 0.5


def is_stamp(text: str) -> bool:
    """Whether the text is a date, with a time of day or without."""
    match = _STAMP.fullmatch(text.strip())
    return match is not None and bool(_orders(match))


def is_day(text: str) -> bool:
    """Whether the text is a date without a time of day."""
    match = _STAMP.fullmatch(text.strip())
    return match is not None and match["hour"] is None and bool(_orders(match))


def orders_of(text: str) -> frozenset[DateOrder]:
    """The orders in which the text is a date, with a time of day or without; none for no date."""
    match = _STAMP.fullmatch(text.strip())
    return frozenset() if match is None else _orders(match)


def is_clock(text: str) -> bool:
    """Whether the text is a time of day."""
    return _CLOCK_ALONE.fullmatch(text.strip()) is not None


def when(text: str, order: DateOrder) -> datetime:
    """The time, its date in that order; aware where the text has an offset. Raises ValueError.

    Years of two digits are of this century. 24:00 is the next day's 0:00.
    """
    match = _STAMP.fullmatch(text.strip())
    if match is None:
        raise Unreadable("telemetry.no_date_and_time", text=text.strip())
    day = _day(*match.group("a", "b", "c", "year", "d", "m", "m2", "d2", "y"), order)
    if day is None:
        raise Unreadable("telemetry.no_date_in_order", text=text.strip(), order=order.spelt)
    at = datetime(day.year, day.month, day.day) + _of_day(match)  # noqa: DTZ001 - the caller gives the zone
    return at.replace(tzinfo=offset_of(match["offset"])) if match["offset"] else at


def offset_of(text: str) -> timezone:
    """The offset that `+01:00`, `GMT-4`, `UTC` or `Z` names. Raises ValueError for none that clocks have."""
    match = re.fullmatch(r"(?:UTC|GMT|Z)?\s*(?:([+-])(\d{1,2})(?::?(\d\d))?)?", text.strip(), re.IGNORECASE)
    if match is None or not text.strip():
        raise Unreadable("telemetry.no_offset", text=text)
    size = timedelta(hours=int(match[2] or 0), minutes=int(match[3] or 0))
    if size > timedelta(hours=14):
        raise Unreadable("telemetry.no_clocks_offset", text=text)
    return timezone(-size if match[1] == "-" else size)


def order_of(stamps: Sequence[str]) -> ChosenOrder | None:
    """In which order the dates of a column stand; None where it holds none.

    Of several orders that fit equally many, the one whose rows follow each other most regularly is chosen and the
    choice is said. Dots between day and month are written by countries that put the day first only (no short date of
    Unicode's CLDR is M.d.y). Raises AmbiguousDates where nothing tells, BadFile for dates of several orders.
    """
    matches = [match for stamp in stamps if (match := _STAMP.fullmatch(stamp)) is not None]
    fitting = [_orders(match) for match in matches]
    counted = {order: sum(order in orders for orders in fitting) for order in DateOrder}
    most = max(counted.values())
    if not most:
        return None
    best = [order for order in DateOrder if counted[order] == most]
    if len(best) == 1:
        return ChosenOrder(best[0])
    if best == [DateOrder.DMY, DateOrder.MDY] and all(match["sep"] == "." for match in matches):
        return ChosenOrder(DateOrder.DMY, Message("telemetry.dates_day_first", text=matches[0][0]))
    dated = [match[0] for match, orders in zip(matches, fitting, strict=True) if set(best) <= orders]
    if not dated:
        raise BadFile(Message("telemetry.dates_of_several_orders", first=matches[0][0], last=matches[-1][0]))
    steady = _most_regular({order: [when(stamp, order).replace(tzinfo=None) for stamp in dated] for order in best})
    if steady is None:
        raise AmbiguousDates(dated[0], best)
    others = [_as_day(dated[0], order) for order in best if order is not steady]
    day = _as_day(dated[0], steady)
    return ChosenOrder(steady, Message("telemetry.dates_by_steps", text=dated[0], day=day, others=others))


def _as_day(stamp: str, order: DateOrder) -> Message:
    """Which day the date is in that order."""
    return Message("telemetry.day_in_order", day=f"{when(stamp, order):%Y-%m-%d}", order=order.value, spelt=order.spelt)


def _most_regular(walls: dict[DateOrder, list[datetime]]) -> DateOrder | None:
    """The order under which fewer steps than under every other are unusual, and the longest one is shorter."""
    marks: dict[DateOrder, tuple[int, timedelta]] = {}
    usual = {}
    for order, times in walls.items():
        steps = [later - earlier for earlier, later in pairwise(times)]
        if len(steps) < _LEAST_STEPS:
            return None
        usual[order] = mode(steps)
        marks[order] = sum(step != usual[order] for step in steps), max(abs(step) for step in steps)
    best = min(marks, key=lambda order: marks[order])
    odd, longest = marks[best]
    if odd > _MOSTLY * (len(walls[best]) - 1) or not usual[best]:
        return None
    others = [mark for order, mark in marks.items() if order is not best]
    return best if all(odd < other and longest < far for other, far in others) else None


def _orders(match: re.Match[str]) -> frozenset[DateOrder]:
    parts = match.group("a", "b", "c", "year", "d", "m", "m2", "d2", "y")
    if _hour(match) is None or not _clock_has(match["offset"]):
        return frozenset()
    return frozenset(order for order in DateOrder if _day(*parts, order) is not None)


def _clock_has(offset: str | None) -> bool:
    """Whether there is no offset, or one that clocks have."""
    try:
        return offset is None or bool(offset_of(offset))
    except ValueError:
        return False


@lru_cache(maxsize=8192)
def _day(
    a: str | None,
    b: str,
    c: str,
    year: str | None,
    d: str | None,
    m: str | None,
    m2: str | None,
    d2: str | None,
    y: str | None,
    order: DateOrder,
) -> date | None:
    """The day of a date's parts in that order; None where they are none."""
    if a is None:  # the month has a name: only one order is usual
        wanted, day, month = (DateOrder.DMY, d, m) if d is not None else (DateOrder.MDY, d2, m2)
        number = _MONTHS.get((month or "").lower())
        return None if order is not wanted or number is None else _made(str(y), number, str(day))
    if order is DateOrder.YMD:
        return None if len(c) > 2 or len(a) not in (2, _YEAR_DIGITS) else _made(a, int(b), c)  # noqa: PLR2004 - digits
    if year is not None or len(a) > 2 or len(c) not in (2, _YEAR_DIGITS):  # noqa: PLR2004 - digits
        return None
    return _made(c, int(b), a) if order is DateOrder.DMY else _made(c, int(a), b)


def _made(year: str, month: int, day: str) -> date | None:
    try:
        return date(int(year) + (0 if len(year) == _YEAR_DIGITS else _CENTURY), month, int(day))
    except ValueError:
        return None


def _hour(match: re.Match[str]) -> int | None:
    """The hour of day of a match, 0 to 24; None where there is no such hour."""
    if match["hour"] is None:
        return 0
    hour, mark = int(match["hour"]), match["before"] or match["after"]
    if mark:
        late = mark.lower().replace(".", "") in _AFTERNOON
        if not 1 <= hour <= (_MIDNIGHT - 1 if late else _NOON):
            return None
        hour = hour % _NOON + _NOON if late else hour % _NOON
    whole = hour == _MIDNIGHT and int(match["minute"]) == int(match["second"] or 0) == int(match["fraction"] or 0) == 0
    small = int(match["minute"]) < _SIXTY and int(match["second"] or 0) < _SIXTY
    return hour if (hour < _MIDNIGHT or whole) and small else None


def _of_day(match: re.Match[str]) -> timedelta:
    hour = _hour(match)
    if hour is None:
        raise Unreadable("telemetry.no_time_of_day", text=match[0])
    fraction = int((match["fraction"] or "").ljust(6, "0"))
    return timedelta(
        hours=hour, minutes=int(match["minute"] or 0), seconds=int(match["second"] or 0), microseconds=fraction
    )
