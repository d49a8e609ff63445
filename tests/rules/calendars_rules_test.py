"""Deadlines counted in hours, days and working days: over weekends, public holidays and changes of clocks."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.erp.kernel.calendars.rules import (
    STANDARD,
    STANDARD_WEEK,
    BadCalendar,
    Calendar,
    Count,
    CountUnit,
    days,
    due,
    hours,
    read_calendar,
    shifted,
    working_days,
)
from core.erp.kernel.errors import Invalid

BERLIN = read_calendar(
    "Europe/Berlin", STANDARD_WEEK, {"2026-04-03": [], "2026-04-06": [], "2026-12-24": ["08:00-12:00"]}
)
# the Golden Week of 2026, and the Sunday and Saturday that are worked for it
SHANGHAI = read_calendar(
    "Asia/Shanghai",
    STANDARD_WEEK,
    {f"2026-10-0{n}": [] for n in range(1, 9)} | {"2026-09-27": ["08:00-17:00"], "2026-10-10": ["08:00-17:00"]},
)


def local(text: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


DUE = [
    # a Tuesday; the day itself is not counted
    (BERLIN, local("2026-03-03T10:00"), working_days(1), local("2026-03-04T17:00")),
    (BERLIN, local("2026-03-03T23:59"), working_days(1), local("2026-03-04T17:00")),
    (BERLIN, local("2026-03-03T10:00"), working_days(0), local("2026-03-03T17:00")),
    (BERLIN, local("2026-03-07T10:00"), working_days(0), local("2026-03-09T17:00")),
    # over the weekend
    (BERLIN, local("2026-03-06T10:00"), working_days(1), local("2026-03-09T17:00")),
    (BERLIN, local("2026-03-07T10:00"), working_days(1), local("2026-03-09T17:00")),
    # over the change of clocks of 2026-03-29: the closing hour stays, an hour of UTC is gone
    (BERLIN, local("2026-03-27T10:00"), working_days(1), datetime(2026, 3, 30, 15, tzinfo=UTC)),
    (BERLIN, local("2026-03-26T10:00"), working_days(1), datetime(2026, 3, 27, 16, tzinfo=UTC)),
    # over Good Friday and Easter Monday
    (BERLIN, local("2026-04-02T10:00"), working_days(1), local("2026-04-07T17:00")),
    # a short day
    (BERLIN, local("2026-12-23T10:00"), working_days(1), local("2026-12-24T12:00")),
    # calendar days end at midnight, holiday or not
    (BERLIN, local("2026-04-02T10:00"), days(1), local("2026-04-04T00:00")),
    (BERLIN, local("2026-03-28T10:00"), days(1), datetime(2026, 3, 29, 22, tzinfo=UTC)),
    (BERLIN, local("2026-10-24T10:00"), days(1), datetime(2026, 10, 25, 23, tzinfo=UTC)),
    (BERLIN, local("2026-03-03T10:00"), days(0), local("2026-03-04T00:00")),
    # hours pass as they are
    (BERLIN, local("2026-03-28T12:00"), hours(24), local("2026-03-29T13:00")),
    # eight days off, and a Saturday that is worked
    (SHANGHAI, local("2026-09-30T10:00", "Asia/Shanghai"), working_days(1), local("2026-10-09T17:00", "Asia/Shanghai")),
    (SHANGHAI, local("2026-09-30T10:00", "Asia/Shanghai"), working_days(2), local("2026-10-10T17:00", "Asia/Shanghai")),
    (SHANGHAI, local("2026-09-26T10:00", "Asia/Shanghai"), working_days(1), local("2026-09-27T17:00", "Asia/Shanghai")),
    # late in the evening in UTC it is the next day there
    (SHANGHAI, datetime(2026, 3, 3, 23, tzinfo=UTC), days(0), local("2026-03-05T00:00", "Asia/Shanghai")),
]


@pytest.mark.parametrize(("calendar", "start", "count", "expected"), DUE)
def test_due(calendar: Calendar, start: datetime, count: Count, expected: datetime) -> None:
    assert due(calendar, start, count) == expected


def test_days_that_begin_and_end_where_clocks_change_at_midnight() -> None:
    cairo = read_calendar("Africa/Cairo", STANDARD_WEEK, {})
    # 2026-04-24 begins at 01:00 there: midnight is skipped
    assert due(cairo, local("2026-04-22T10:00", "Africa/Cairo"), days(1)) == datetime(2026, 4, 23, 22, tzinfo=UTC)
    havana = read_calendar("America/Havana", STANDARD_WEEK, {})
    # 2026-11-01 has the hour from midnight twice: the day before ends when it first is midnight
    assert due(havana, local("2026-10-30T10:00", "America/Havana"), days(1)) == datetime(2026, 11, 1, 4, tzinfo=UTC)


def test_a_closing_hour_that_is_skipped_or_repeated() -> None:
    night = read_calendar("Europe/Berlin", {"sun": ["00:00-02:30"]}, {})
    # 02:30 does not exist on 2026-03-29: as much later
    assert night.closes(date(2026, 3, 29)).astimezone(night.zone).isoformat() == "2026-03-29T03:30:00+02:00"
    # it is there twice on 2026-10-25: the second
    assert night.closes(date(2026, 10, 25)).astimezone(night.zone).isoformat() == "2026-10-25T02:30:00+01:00"


SHIFTED = [
    (local("2026-06-30T17:00"), days(90), local("2026-04-01T17:00")),
    (local("2026-03-30T17:00"), days(2), local("2026-03-28T17:00")),
    (local("2026-04-08T00:00"), days(30), local("2026-03-09T00:00")),
    (local("2026-04-07T17:00"), working_days(1), local("2026-04-02T17:00")),
    # the end of Tuesday, one working day before: the end of Thursday, not its beginning
    (local("2026-04-08T00:00"), working_days(1), local("2026-04-03T00:00")),
    (local("2026-04-07T17:00"), hours(24), local("2026-04-06T17:00")),
    (local("2026-04-07T17:00:01"), days(1), local("2026-04-06T17:00:01")),
]


@pytest.mark.parametrize(("instant", "count", "expected"), SHIFTED)
def test_a_warning_is_at_the_same_time_of_day(instant: datetime, count: Count, expected: datetime) -> None:
    assert shifted(BERLIN, instant, count, back=True) == expected


def test_an_escalation_waits_for_a_working_day() -> None:
    assert shifted(BERLIN, local("2026-04-02T17:00"), working_days(1)) == local("2026-04-07T17:00")
    assert shifted(BERLIN, local("2026-04-03T00:00"), working_days(1)) == local("2026-04-08T00:00")
    assert shifted(BERLIN, local("2026-04-02T17:00"), working_days(0)) == local("2026-04-02T17:00")


@pytest.mark.parametrize(
    ("timezone", "week", "otherwise", "ident"),
    [
        ("UTC", {}, {}, "never_works"),
        ("UTC", {"mon": []}, {}, "never_works"),
        ("UTC", {"Mon": ["08:00-17:00"]}, {}, "no_weekday"),
        ("UTC", {"mon": ["17:00-08:00"]}, {}, "bad_hours"),
        ("UTC", {"mon": ["08:00-08:00"]}, {}, "bad_hours"),
        ("UTC", {"mon": ["8-17"]}, {}, "bad_hours"),
        ("UTC", {"mon": ["08:00-24:30"]}, {}, "bad_hours"),
        ("UTC", {"mon": ["08:00-12:00", "11:00-17:00"]}, {}, "hours_overlap"),
        ("UTC", STANDARD_WEEK, {"2026-02-30": []}, "no_day"),
        ("UTC", STANDARD_WEEK, {"Easter": []}, "no_day"),
    ],
)
def test_what_is_no_calendar(
    timezone: str, week: dict[str, list[str]], otherwise: dict[str, list[str]], ident: str
) -> None:
    with pytest.raises(BadCalendar) as refused:
        read_calendar(timezone, week, otherwise)
    assert refused.value.message.id == f"calendars.{ident}"


@pytest.mark.parametrize("timezone", ["Mars/Base", "../../etc/passwd", ""])
def test_a_calendar_goes_by_a_zone_that_there_is(timezone: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_calendar(timezone, STANDARD_WEEK, {})
    assert refused.value.message.id == "kernel.no_time_zone"


def test_a_site_that_is_closed_for_years_has_no_next_working_day() -> None:
    closed = read_calendar(
        "UTC", {"mon": ["08:00-17:00"]}, {str(date(2026, 1, 5) + timedelta(days=7 * n)): [] for n in range(100)}
    )
    with pytest.raises(BadCalendar):
        due(closed, datetime(2026, 1, 2, tzinfo=UTC), working_days(1))


ZONES = (
    "Europe/Berlin",
    "Asia/Shanghai",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Havana",
    "Pacific/Apia",
)
INSTANTS = st.integers(1_577_836_800, 1_893_456_000).map(lambda second: datetime.fromtimestamp(second, UTC))
WEEKS = st.lists(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1, unique=True)
HOLIDAYS = st.lists(st.dates(date(2020, 1, 1), date(2030, 1, 1)), max_size=40)


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    week = {day: ["08:00-12:00", "13:00-17:00"] for day in draw(WEEKS)}
    return read_calendar(draw(st.sampled_from(ZONES)), week, {str(day): [] for day in draw(HOLIDAYS)})


@given(calendars(), INSTANTS, st.integers(1, 60))
def test_so_many_working_days_lie_behind_the_day_it_began(calendar: Calendar, start: datetime, amount: int) -> None:
    end = due(calendar, start, working_days(amount))
    first, last = calendar.today(start), calendar.today(end)
    between = [first + timedelta(days=n) for n in range(1, (last - first).days + 1)]
    assert sum(calendar.works(day) for day in between) == amount
    assert calendar.works(last)
    assert calendar.closes(last) == end > start


@given(calendars(), INSTANTS, st.integers(0, 400), st.sampled_from(list(CountUnit)), INSTANTS)
def test_who_begins_later_is_due_no_sooner(
    calendar: Calendar, start: datetime, amount: int, unit: CountUnit, other: datetime
) -> None:
    if unit is CountUnit.WORKING_DAYS:
        amount %= 40
    first, second = sorted((start, other))
    count = Count(amount, unit)
    assert due(calendar, first, count) <= due(calendar, second, count)
    if (amount, unit) != (0, CountUnit.WORKING_DAYS):  # on a day off, 0 and 1 mean the same working day
        assert due(calendar, first, count) < due(calendar, first, Count(amount + 1, unit))


@given(calendars(), INSTANTS, st.integers(0, 400))
def test_calendar_days_are_days_on_the_wall(calendar: Calendar, start: datetime, amount: int) -> None:
    end = due(calendar, start, days(amount))
    last = (end - timedelta(microseconds=1)).astimezone(calendar.zone).date()
    assert (last - calendar.today(start)).days == amount
    assert calendar.today(end) > last
    assert abs(end - start - timedelta(days=amount)) < timedelta(days=2)


@given(calendars(), INSTANTS, st.integers(0, 300), st.sampled_from([CountUnit.HOURS, CountUnit.DAYS]))
def test_back_and_forth(calendar: Calendar, instant: datetime, amount: int, unit: CountUnit) -> None:
    """Within the hour or so that a change of clocks may skip or repeat."""
    count = Count(amount, unit)
    again = shifted(calendar, shifted(calendar, instant, count, back=True), count)
    assert abs(again - instant) <= timedelta(hours=1)


@pytest.mark.parametrize("amount", [-1, 3661])
def test_a_count_that_cannot_be_meant(amount: int) -> None:
    with pytest.raises(ValueError, match="cannot be meant"):
        Count(amount, CountUnit.DAYS)


def test_without_a_site() -> None:
    assert due(STANDARD, datetime(2026, 3, 6, 10, tzinfo=UTC), working_days(1)) == datetime(2026, 3, 9, 17, tzinfo=UTC)
    assert str(working_days(1)) == "1 working_days"
