"""The nodes of a report as numbers and times: the device's formats and clock, and what could not be read. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

from core.telemetry.catalogue import english
from core.telemetry.message import Message
from core.telemetry.readers.date_formats import AmbiguousDates, DateOrder, order_of
from core.telemetry.readers.text import Doubt, missing, number, of_key, parse_time
from core.telemetry.readers.tree import Node

DATES = ("%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d")
"""Forms that name one day only; the others must be learned from the report."""
TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
_HEADER_CODES = (
    ("yyyy", "%Y"),
    ("yy", "%y"),
    ("MMM", "%b"),
    ("MM", "%m"),
    ("dd", "%d"),
    ("HH", "%H"),
    ("hh", "%H"),
    ("mm", "%M"),
    ("ss", "%S"),
)
_HEAD = re.compile(r"(?=\S*yy)[yMd./-]+(?:[ T][Hhms:.]+(?: ?(?:a+|tt)\b)?)?")
_SHORT = re.compile(r"(?<![\d.:-])\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d\d)(?![\d.:])(?:[ T]\d{1,2}:\d\d)?")
"""A date that can be several days, with its time of day if there is one."""
_LEARNED = {
    DateOrder.YMD: ("%y.%m.%d", "%y/%m/%d", "%y-%m-%d"),
    DateOrder.DMY: ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y", "%d-%m-%y"),
    DateOrder.MDY: ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y", "%m-%d-%y", "%m.%d.%y"),
}
_FORM = re.compile(r"(?:%[YymdbHIMSp]|[-./:T ])+")
_DIRECTIVE = re.compile(r"%[YymdbHIMSp]")
_MOST_MINUTES = 10 * 366 * 1440


@dataclass(slots=True)
class Values:
    """Reads nodes; gathers in `doubts` what it could not. `offset` is the device clock's, once it has been fixed."""

    zone: tzinfo | None
    doubts: list[Doubt]
    dates: tuple[str, ...] = DATES
    times: tuple[str, ...] = TIMES
    clock: str = ""
    offset: timezone = field(default=timezone.utc)  # noqa: UP017 - a fixed offset is what a logger's clock has

    def doubt(self, line: int, kind: str, said: str | Message, *, damage: bool = False) -> None:
        """Notes something about a line."""
        self.doubts.append(Doubt(line, kind, said, damage))

    def value(self, node: Node | None) -> float | None:
        """The node's number; None where it has none or it cannot be read (a doubt)."""
        if node is None:
            return None
        try:
            return number(node.value)
        except ValueError as error:
            self.doubt(node.line, "malformed", of_key(node.key, error), damage=True)
            return None

    def whole(self, node: Node | None) -> int | None:
        """The node's number, rounded."""
        value = self.value(node)
        return None if value is None else round(value)

    def minutes(self, node: Node | None) -> timedelta | None:
        """The node's number as minutes; a negative one is a doubt and None."""
        value = self.value(node)
        if value is None or node is None:
            return None
        if not 0 <= value <= _MOST_MINUTES:
            self.doubt(
                node.line,
                "malformed",
                Message("telemetry.minutes_impossible", key=node.key, minutes=f"{value:g}"),
                damage=True,
            )
            return None
        return timedelta(minutes=value)

    def when(self, node: Node | None, day: date | None = None) -> datetime | None:
        """The node's date and time, or its time of day on `day`; None where it has none."""
        if node is None or missing(node.value):
            return None
        try:
            if day is not None and not re.search(r"\d[-./]\d+[-./]\d", node.value):
                return datetime.combine(day, parse_time(node.value, self.times).time(), self.offset)
            return self.stamp(node.value)
        except ValueError as error:
            self.doubt(node.line, "malformed", of_key(node.key, error), damage=True)
            return None

    def stamp(self, text: str) -> datetime:
        """A date and time as this report writes them, in the device's offset. Raises ValueError."""
        forms = [f"{day}{between}{clock}" for day in self.dates for clock in self.times for between in (" ", "T")]
        return parse_time(text, [*forms, *self.dates]).replace(tzinfo=self.offset)

    def learn_formats(self, data: Node | None, lines: Sequence[str]) -> None:
        """Takes the date format from the head of the log, which alone tells dd/mm from mm/dd; else from the dates."""
        form = data.rows[0][1].strip() if data is not None and data.rows else ""
        found = _HEAD.match(form)
        if found is None:
            self._learn_from_dates(data, lines)
            return
        form = found[0].strip()
        for code, directive in _HEADER_CODES:
            form = form.replace(code, directive)
        if re.search(r"\ba+\b|tt", form):
            form = re.sub(r"\ba+\b|tt", "%p", form).replace("%H", "%I")
        if _FORM.fullmatch(form) is None or len(set(_DIRECTIVE.findall(form))) < form.count("%"):
            assert data is not None
            self.doubt(data.rows[0][0], "malformed", Message("telemetry.no_form_of_date", text=form))
            return
        day, _, clock = form.partition(" ")
        self.dates = tuple(dict.fromkeys((day, *DATES)))
        self.times = tuple(dict.fromkeys((clock, *TIMES))) if clock else TIMES

    def _learn_from_dates(self, data: Node | None, lines: Sequence[str]) -> None:
        """The order of dates that can be several days: by the log's steps, else by all; where nothing tells, none."""
        rows = data.rows if data is not None else list(enumerate(lines, start=1))
        found = [(line, match) for line, text in rows if (match := _SHORT.search(text)) is not None]
        try:
            chosen = order_of([match[0] for _, match in found])
        except AmbiguousDates as error:
            self.doubt(found[0][0], "date_order", error.said, damage=True)
            return
        if chosen is None:
            return
        self.dates = (*DATES, *_LEARNED[chosen.order])
        if chosen.doubt is not None:
            self.doubt(found[0][0], "date_order", chosen.doubt)

    def fix_clock(self, begun: datetime | None, device_clock: str | None) -> None:
        """A logger's clock knows no summer time: the zone's offset when it was started holds for the whole report.

        `own` is the zone that the device itself is set to. What it means for the times is not known (a clock that is
        set by hand goes by local time in zone 0.00), so that it is only told.
        """
        moment = begun.replace(tzinfo=None) if begun else datetime(2000, 1, 1)  # noqa: DTZ001 - given its zone below
        self.offset = timezone(moment.replace(tzinfo=self.zone or UTC).utcoffset() or timedelta(0))
        given = f"clock of {self.zone}"
        if self.zone is None:
            assumed = Message("telemetry.clock_assumed")
            if device_clock is not None and device_clock.strip("+-0.,: "):
                assumed = Message("telemetry.clock_assumed_though", zone=device_clock)
            self.doubt(1, "assumed_zone", assumed)
            given = english(assumed)
        self.clock = f"{given} (offset {self.offset.tzname(None)} throughout)"
