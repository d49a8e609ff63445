"""Dates of tables: every order of day, month and year, told from each other or asked for; zones that are said."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.telemetry.readers.csv_file import CsvResult, parse_csv
from core.telemetry.readers.csv_mapping import Column, CsvMapping
from core.telemetry.readers.date_formats import AmbiguousDates, DateOrder, when
from core.telemetry.readers.text import BadFile
from core.telemetry.readers.wall_time import zone_named

NOW = datetime(2026, 11, 30, tzinfo=UTC)
POINT = "plant/store/cold-1/probe/temperature"
ONE = CsvMapping(values=(Column("value", POINT, "Cel"),), timezone="UTC")
FORMS = ("%y.%m.%d %H:%M", "%d.%m.%y %H:%M", "%m/%d/%y %H:%M", "%d/%m/%Y %H:%M", "%m-%d-%Y %H:%M", "%y-%m-%d %H:%M")


def table(stamps: list[str], heading: str = "t") -> str:
    return f'"{heading}",value\n' + "".join(f'"{stamp}",4.5\n' for stamp in stamps)


def read(stamps: list[str], **more: str) -> CsvResult:
    return parse_csv(table(stamps), CsvMapping(values=ONE.values, timezone="UTC", time_format=more.get("form")), NOW)


def hourly(form: str, hours: int, start: datetime = datetime(2026, 6, 1)) -> list[str]:  # noqa: DTZ001 - a logger's wall clock has no zone
    return [(start + timedelta(hours=hour)).strftime(form) for hour in range(hours)]


@pytest.mark.parametrize("form", FORMS)
def test_of_several_orders_the_one_with_regular_steps_is_taken_and_said(form: str) -> None:
    """`26.06.01` was 2001-06-26 without a word."""
    result = read(hourly(form, 50))
    assert result.readings[0].at == datetime(2026, 6, 1, tzinfo=UTC)
    assert {b.at - a.at for a, b in zip(result.readings, result.readings[1:], strict=False)} == {timedelta(hours=1)}
    assert [doubt.kind for doubt in result.doubts] == ["date_order"]
    assert "2026-06-01" in result.doubts[0].message


def test_a_day_of_one_logger_stays_a_day() -> None:
    """24 h of a HOBO became a year with a gap of 524 175 minutes."""
    stamps = hourly("%m/%d/%y %I:%M:%S %p", 24, datetime(2026, 6, 1, 9))  # noqa: DTZ001 - a logger's wall clock has no zone
    result = read(stamps)
    assert result.readings[-1].at - result.readings[0].at == timedelta(hours=23)
    assert (result.gaps, result.time_format) == ((), "mdy")


@pytest.mark.parametrize("form", ["%y.%m.%d %H:%M", "%m/%d/%y %H:%M", "%d-%m-%Y %H:%M"])
def test_where_nothing_tells_the_choices_are_named_and_one_is_taken_by_being_given(form: str) -> None:
    stamps = hourly(form, 12)
    with pytest.raises(AmbiguousDates, match="say the order of its dates") as asked:
        read(stamps)
    assert len(asked.value.choices) >= 2
    right = {"%y": "ymd", "%m": "mdy", "%d": "dmy"}[form[:2]]
    assert right in asked.value.choices
    given_order = read(stamps, form=right)
    assert (given_order.readings[0].at, given_order.doubts) == (datetime(2026, 6, 1, tzinfo=UTC), ())


def test_a_file_whose_gap_makes_both_orders_regular_is_refused() -> None:
    with pytest.raises(AmbiguousDates):
        read(["03/04/2024 10:00", "04/04/2024 10:00"])


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        ("2026年6月1日 上午10:05", "2026-06-01T10:05"),
        ("2026年6月1日 下午 1:05:06", "2026-06-01T13:05:06"),
        ("2026年06月01日24:00", "2026-06-02T00:00"),
        ("2026/6/1 12:00 AM", "2026-06-01T00:00"),
        ("2026-06-01 24:00", "2026-06-02T00:00"),
        ("2026-06-01T24:00:00", "2026-06-02T00:00"),
        ("26/6/1 09:05", "2026-06-01T09:05"),
        ("31-Dec-26 11:59 p.m.", "2026-12-31T23:59"),
        ("Jun 1, 2026 10:05", "2026-06-01T10:05"),
        ("13.06.2026 10:05:06.25", "2026-06-13T10:05:06.250"),
        ("07/19/18 03:00:00 em", "2018-07-19T15:00"),
        ("2026. 6. 1. 10:05", "2026-06-01T10:05"),
    ],
)
def test_forms_of_dates_and_clocks(stamp: str, at: str) -> None:
    (reading,) = read([stamp]).readings
    assert reading.at == datetime.fromisoformat(at).replace(tzinfo=UTC)


@pytest.mark.parametrize("stamp", ["2026-06-01 24:01", "2026-06-31 10:00", "2026-06-01 13:00 AM", "2026-06-01 0:30 PM"])
def test_what_is_no_time_is_a_damaged_row_and_not_another_time(stamp: str) -> None:
    result = read(["2026-06-01 10:00", stamp])
    assert [(doubt.line, doubt.kind, doubt.damage) for doubt in result.doubts] == [(3, "malformed_row", True)]


@pytest.mark.parametrize("heading", ["Date Time, GMT-04:00", "Date Time (UTC-4)", "Time GMT-0400"])
def test_the_offset_in_a_heading_is_used(heading: str) -> None:
    found = parse_csv(table(["2026-06-01 10:00"], heading), CsvMapping(values=ONE.values), NOW)
    assert (found.readings[0].at, found.doubts) == (datetime(2026, 6, 1, 14, tzinfo=UTC), ())
    other = parse_csv(table(["2026-06-01 10:00"], heading), CsvMapping(values=ONE.values, timezone="Asia/Tokyo"), NOW)
    assert (other.readings[0].at.hour, [doubt.kind for doubt in other.doubts]) == (14, ["zone"])
    same = CsvMapping(values=ONE.values, timezone="America/New_York")
    assert parse_csv(table(["2026-06-01 10:00"], heading), same, NOW).doubts == ()


def test_a_zone_in_a_line_above_is_used() -> None:
    text = "Timezone : UTC +08:00\n\n" + table(["2026-06-01 10:00"])
    assert parse_csv(text, CsvMapping(values=ONE.values), NOW).readings[0].at.hour == 2


@pytest.mark.parametrize(
    ("line", "kind"),
    [("Time zone: +08:00", None), ("Time zone: Central Europe (since 2026-03-29)", "assumed_zone")],
)
def test_a_date_is_no_offset(line: str, kind: str | None) -> None:
    found = parse_csv(f"{line}\n\n" + table(["2026-06-01 10:00"]), CsvMapping(values=ONE.values), NOW)
    assert (found.readings[0].at.hour, kind in {doubt.kind for doubt in found.doubts}) == (
        (10, True) if kind else (2, False)
    )
    heading = parse_csv(table(["2026-06-01 10:00"], "Time (2026-06)"), CsvMapping(values=ONE.values), NOW)
    assert heading.readings[0].at.hour == 10


def test_an_assumed_zone_is_a_doubt_and_a_stated_one_is_none() -> None:
    bare = CsvMapping(values=ONE.values)
    assert [doubt.kind for doubt in parse_csv(table(["2026-06-01 10:00"]), bare, NOW).doubts] == ["assumed_zone"]
    for stamp in ("2026-06-01T10:00Z", "2026-06-01 10:00:00 +02:00", "1780308000"):
        assert parse_csv(table([stamp, stamp.replace("10:0", "10:1")]), bare, NOW).doubts[:0] == ()
        assert "assumed_zone" not in {doubt.kind for doubt in parse_csv(table([stamp]), bare, NOW).doubts}
    assert parse_csv(table(["2026-06-01 10:00"]), CsvMapping(values=ONE.values, timezone="+08:00"), NOW).doubts == ()


def test_a_zone_is_a_name_or_an_offset() -> None:
    assert zone_named("+08:00").utcoffset(None) == timedelta(hours=8)
    for wrong in ("Mars/Olympus", "+25:00", "8"):
        with pytest.raises(BadFile, match="is no time zone"):
            zone_named(wrong)


@settings(max_examples=100, deadline=None)
@given(
    st.datetimes(datetime(2001, 1, 1), datetime(2026, 11, 1)),  # noqa: DTZ001 - a logger's wall clock has no zone
    st.sampled_from([1, 5, 15, 60, 240, 1440]),
    st.integers(2, 80),
    st.sampled_from(FORMS),
)
def test_what_is_read_without_being_asked_is_what_was_written(
    start: datetime, minutes: int, rows: int, form: str
) -> None:
    """Whatever form and step: the right times, or a question. Never other ones."""
    start = start.replace(second=0, microsecond=0)
    moments = [start + timedelta(minutes=minutes * row) for row in range(rows)]
    try:
        result = read([moment.strftime(form) for moment in moments])
    except AmbiguousDates:
        return
    assert [reading.at.replace(tzinfo=None) for reading in result.readings] == moments


@settings(max_examples=50, deadline=None)
@given(st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1)), st.sampled_from("./-"))  # noqa: DTZ001 - a logger's wall clock has no zone
def test_every_order_reads_back(at: datetime, sep: str) -> None:
    at = at.replace(microsecond=0)
    for order, form in (
        ("ymd", "%Y{0}%m{0}%d"),
        ("dmy", "%d{0}%m{0}%Y"),
        ("mdy", "%m{0}%d{0}%y"),
        ("ymd", "%y{0}%m{0}%d"),
    ):
        assert when(at.strftime(form.format(sep) + " %H:%M:%S"), DateOrder(order)) == at
