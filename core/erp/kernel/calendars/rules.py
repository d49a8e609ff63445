"""Working days and hours of a site, and instants counted in them: over public holidays and changes of clocks. Pure.

Days are counted as Regulation (EEC, Euratom) No 1182/71, article 3, counts periods: the day on which something happens
is not counted, and a period ends with the end of its last day.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from core.erp.kernel.time_zones import zone_named
from core.erp.kernel.words import Message

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDNIGHT = 24 * 60
"""The minute at which a day ends."""
MAX_AMOUNT = 3660
LONGEST_CLOSURE = timedelta(days=366)
"""No working day for longer than that cannot be meant."""
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
DAY = timedelta(days=1)


class BadCalendar(ValueError):
    """Hours, days or a time zone that cannot be meant: `message` says which."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.message = message


class CountUnit(StrEnum):
    """What is counted."""

    HOURS = "hours"
    DAYS = "days"
    WORKING_DAYS = "working_days"


@dataclass(frozen=True, slots=True)
class Count:
    """So many hours, calendar days or working days. Raises ValueError below 0 and above MAX_AMOUNT."""

    amount: int
    unit: CountUnit

    def __post_init__(self) -> None:
        if not 0 <= self.amount <= MAX_AMOUNT:
            raise ValueError(f"{self.amount} {self.unit} cannot be meant")

    def __str__(self) -> str:
        return f"{self.amount} {self.unit}"


def hours(amount: int) -> Count:
    """So many hours, whoever works."""
    return Count(amount, CountUnit.HOURS)


def days(amount: int) -> Count:
    """So many calendar days."""
    return Count(amount, CountUnit.DAYS)


def working_days(amount: int) -> Count:
    """So many working days."""
    return Count(amount, CountUnit.WORKING_DAYS)


@dataclass(frozen=True, slots=True, order=True)
class Hours:
    """From–to within one day, in minutes since midnight; `closes` may be MIDNIGHT."""

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < self.closes <= MIDNIGHT:
            raise BadCalendar(Message("calendars.bad_hours", hours=str(self)))

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (self.opens, self.closes))


@dataclass(frozen=True, slots=True)
class Calendar:
    """A site's time zone, the hours of its week (Monday first), and days that are otherwise (no hours: closed)."""

    zone: ZoneInfo
    week: tuple[tuple[Hours, ...], ...]
    otherwise: Mapping[date, tuple[Hours, ...]]

    def __post_init__(self) -> None:
        if not any(self.week):
            raise BadCalendar(Message("calendars.never_works"))

    def hours(self, day: date) -> tuple[Hours, ...]:
        """When it works that day; nothing: it does not."""
        return self.otherwise.get(day, self.week[day.weekday()])

    def works(self, day: date) -> bool:
        """Whether it is a working day."""
        return bool(self.hours(day))

    def today(self, now: datetime) -> date:
        """The day it is there."""
        return now.astimezone(self.zone).date()

    def at(self, day: date, minute: int) -> datetime:
        """That minute of the day, as an instant (UTC).

        A wall time that a change of clocks skips is as much later; of one that it repeats, the second, so that
        nothing is over too soon. MIDNIGHT is the first instant of the day that follows.
        """
        wall = (datetime.combine(day, time(0)) + timedelta(minutes=minute)).replace(tzinfo=self.zone)
        first = wall.astimezone(UTC)
        return first if minute == MIDNIGHT else max(first, wall.replace(fold=1).astimezone(UTC))

    def closes(self, day: date) -> datetime:
        """When a working day ends there; any other day at midnight."""
        found = self.hours(day)
        return self.at(day, found[-1].closes if found else MIDNIGHT)

    def working_day(self, day: date, amount: int) -> date:
        """The working day so many after this day (before it, below 0); 0: this day, or the first working one after it.

        Raises BadCalendar where there is none for longer than LONGEST_CLOSURE.
        """
        if amount == 0:
            return day if self.works(day) else self._next(day, DAY)
        for _ in range(abs(amount)):
            day = self._next(day, DAY if amount > 0 else -DAY)
        return day

    def _next(self, day: date, step: timedelta) -> date:
        begin = day
        while abs(day - begin) <= LONGEST_CLOSURE:
            day += step
            if self.works(day):
                return day
        raise BadCalendar(Message("calendars.closed_too_long", since=begin))


def due(calendar: Calendar, start: datetime, count: Count) -> datetime:
    """When something is due that is to be done within so many, counted from `start`.

    Hours pass as they are. The n-th calendar day after the day of `start` ends at midnight; the n-th working day at its
    closing hour. 0: the same day (0 working days: the next working day if it is none).
    """
    if count.unit is CountUnit.HOURS:
        return start.astimezone(UTC) + timedelta(hours=count.amount)
    day = calendar.today(start)
    if count.unit is CountUnit.DAYS:
        return calendar.at(day + timedelta(days=count.amount), MIDNIGHT)
    return calendar.closes(calendar.working_day(day, count.amount))


def shifted(calendar: Calendar, instant: datetime, count: Count, *, back: bool = False) -> datetime:
    """The instant so many later (`back`: earlier), at the same time of day there, whatever the clocks do in between."""
    amount = -count.amount if back else count.amount
    if count.unit is CountUnit.HOURS:
        return instant.astimezone(UTC) + timedelta(hours=amount)
    if amount == 0:
        return instant.astimezone(UTC)
    local = instant.astimezone(calendar.zone)
    day, minute = local.date(), local.hour * 60 + local.minute
    if minute == 0:  # the end of the day before, not the beginning of this one
        day, minute = day - DAY, MIDNIGHT
    day = day + timedelta(days=amount) if count.unit is CountUnit.DAYS else calendar.working_day(day, amount)
    return calendar.at(day, minute) + timedelta(seconds=local.second, microseconds=local.microsecond)


# --- as it is written down


STANDARD_HOURS = "08:00-17:00"
STANDARD_WEEK: Mapping[str, Sequence[str]] = {
    name: [STANDARD_HOURS] if name not in {"sat", "sun"} else [] for name in WEEKDAYS
}
"""What a site begins with."""


def read_calendar(timezone: str, week: Mapping[str, Sequence[str]], otherwise: Mapping[str, Sequence[str]]) -> Calendar:
    """A calendar of its written form: hours as 08:00-17:00 by weekday (mon…sun) and by day (2026-10-01).

    Raises BadCalendar; Invalid for a zone that no clock goes by.
    """
    zone = zone_named(timezone)
    strange = sorted(set(week) - set(WEEKDAYS))
    if strange:
        raise BadCalendar(Message("calendars.no_weekday", day=strange[0]))
    return Calendar(
        zone,
        tuple(tuple(_hours(week.get(name, ()))) for name in WEEKDAYS),
        {_day(day): tuple(_hours(texts)) for day, texts in otherwise.items()},
    )


def _hours(texts: Sequence[str]) -> Iterator[Hours]:
    before = 0
    for text in sorted(texts):
        found = _HOURS.fullmatch(text)
        if found is None:
            raise BadCalendar(Message("calendars.bad_hours", hours=text))
        one = Hours(int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4]))
        if one.opens < before:
            raise BadCalendar(Message("calendars.hours_overlap", hours=text))
        before = one.closes
        yield one


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadCalendar(Message("calendars.no_day", day=text)) from error


STANDARD = read_calendar("UTC", STANDARD_WEEK, {})
"""Where no site is named: Monday to Friday, UTC."""
