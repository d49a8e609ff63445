"""Tables written a little differently: each reads right, or is refused with its line; none is silently wrong."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.telemetry.quality import Quality
from core.telemetry.readers.csv_file import parse_csv, read_csv
from core.telemetry.readers.csv_mapping import Column, CsvMapping
from core.telemetry.readers.recorded import by_quantity, read_recorded, set_right
from core.telemetry.readers.text import BadFile
from lotwise.importing import app
from tests.rules.logger_reports import configuration, log

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POINT = "plant/store/cold-1/probe/temperature"
ONE = CsvMapping(values=(Column("value", POINT, "Cel"),), timezone="UTC")
TEN = datetime(2024, 3, 5, 10, tzinfo=UTC)


def values(text: str, mapping: CsvMapping = ONE) -> list[float | None]:
    return [reading.value for reading in parse_csv(text, mapping, NOW).readings]  # type: ignore[misc]  # the files hold numbers only


def table(*cells: str) -> str:
    return "t;value\n" + "".join(f"2024-03-05 10:{5 * row:02d};{cell}\n" for row, cell in enumerate(cells))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("1.234,5", "999,5"), [1234.5, 999.5]),
        (("1,234.5", "999.5"), [1234.5, 999.5]),
        (("1,013", "1,013.2"), [1013.0, 1013.2]),
        (("1,013", "4,5"), [1.013, 4.5]),
        (("0,500", "0,625"), [0.5, 0.625]),
        (("1 013,5", "12\u00a0014,25"), [1013.5, 12014.25]),
        (("1'013.5", "-4"), [1013.5, -4.0]),
        (("1,234,567", "1"), [1234567.0, 1.0]),
        (("\N{MINUS SIGN}4,5", "\N{MINUS SIGN}1 013,5"), [-4.5, -1013.5]),
    ],
)
def test_thousands_and_fractions_are_told_apart_by_the_column(cells: tuple[str, ...], expected: list[float]) -> None:
    assert values(table(*cells), CsvMapping(values=(Column("value", POINT),))) == expected


def test_what_can_be_a_thousand_or_a_fraction_must_be_said() -> None:
    both = table("1,013", "1,014")
    with pytest.raises(BadFile, match="line 2: column 'value': '1,013' can be"):
        parse_csv(both, ONE, NOW)
    assert values(both, CsvMapping(values=ONE.values, decimal=",")) == [1.013, 1.014]
    assert values(both, CsvMapping(values=ONE.values, decimal=".")) == [1013.0, 1014.0]
    mixed = parse_csv(table("4,5", "1.234"), ONE, NOW)
    assert [reading.value for reading in mixed.readings] == [4.5, None]
    assert [(doubt.line, doubt.kind) for doubt in mixed.doubts] == [(3, "malformed")]


def test_a_fraction_cut_off_by_the_delimiter_is_no_reading() -> None:
    """`4,5` between commas, unquoted: the 4 alone would be a value, and a wrong one."""
    result = parse_csv("t,value\n2024-03-05 10:00,4,5\n2024-03-05 10:05,4,6\n", ONE, NOW)
    assert (result.readings, result.damaged) == ((), True)
    assert [doubt.line for doubt in result.doubts] == [2, 3]


def test_trailing_delimiters_are_no_columns() -> None:
    assert values("t,value\n2024-03-05 10:00,4.5,,\n2024-03-05 10:05,4.6,\n") == [4.5, 4.6]


@pytest.mark.parametrize(
    ("stamps", "form"),
    [
        (["1709632800000000", "1709633100000000"], "unix_us"),
        (["1709632800000000000", "1709633100000000000"], "unix_ns"),
        (["1709632800.0", "1709633100.0"], "unix"),
        (["2024-03-05 11:00:00 +0100", "2024-03-05 11:05:00 +0100"], None),
        (["05-Mar-2024 10:00", "05-Mar-2024 10:05"], "dmy"),
        (["20240305100000", "20240305100500"], "%Y%m%d%H%M%S"),
        (["202403051000", "202403051005"], "%Y%m%d%H%M"),
        (["2024-03-05 10:00:00 UTC", "2024-03-05 10:05:00 GMT"], "iso"),
    ],
)
def test_more_forms_of_times(stamps: list[str], form: str | None) -> None:
    result = parse_csv("t,value\n" + "".join(f"{stamp},1\n" for stamp in stamps), ONE, NOW)
    assert [reading.at for reading in result.readings] == [TEN, TEN + timedelta(minutes=5)]
    assert form in (None, result.time_format)
    assert not result.doubts


def test_a_clock_beside_its_day_belongs_to_the_time() -> None:
    text = "date,clock,value\n05.03.2024,10:00:00,4.5\n05.03.2024,10:05:00,4.6\n"
    assert [reading.at.minute for reading in parse_csv(text, ONE, NOW).readings] == [0, 5]
    assert {reading.point for reading in parse_csv(text, CsvMapping(), NOW, "f").readings} == {
        "import/csv/f/value/value"
    }
    days = parse_csv("date,value\n05.03.2024,4.5\n06.03.2024,4.6\n", ONE, NOW)
    assert [reading.at.day for reading in days.readings] == [5, 6]


def test_a_first_row_that_can_be_two_days_is_no_heading_and_a_later_one_tells() -> None:
    rows = "".join(f"{day:02d}/03/2024 10:00,{day}\n" for day in range(4, 14))
    result = parse_csv(rows, CsvMapping(values=(Column(2, POINT, "Cel"),)), NOW)
    assert (len(result.readings), result.readings[0].at.day, result.time_format) == (10, 4, "dmy")


def test_lines_before_the_table_are_left_out_and_said() -> None:
    result = parse_csv("Logger 7\nread out by somebody\n\nt,value\n2024-03-05 10:00,4.5\n", ONE, NOW)
    assert [reading.value for reading in result.readings] == [4.5]
    assert [(doubt.line, doubt.kind, doubt.damage) for doubt in result.doubts] == [(1, "preamble", False)]


def test_two_columns_of_one_name_must_be_told_apart() -> None:
    text = "t,value,Value\n2024-03-05 10:00,4.5,7\n"
    with pytest.raises(BadFile, match="several columns are called 'value': give the number, one of 2, 3"):
        parse_csv(text, ONE, NOW)
    assert values(text, CsvMapping(values=(Column(3, POINT, "Cel"),))) == [7.0]


def test_packed_tables(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(table("4.5", "4.6").encode()))
    assert len(read_csv(path, ONE, NOW).readings) == 2
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadFile, match="broken gzip"):
        read_csv(path, ONE, NOW)


def test_the_clocks_of_zones_whose_hour_is_half_an_hour() -> None:
    howe = CsvMapping(values=ONE.values, timezone="Australia/Lord_Howe")
    stamps = ["01:30", "01:45", "01:30", "01:45", "02:00"]
    text = "t,value\n" + "".join(f"2024-04-07 {stamp},1\n" for stamp in stamps)
    result = parse_csv(text, howe, NOW)
    assert {later.at - earlier.at for earlier, later in zip(result.readings, result.readings[1:], strict=False)} == {
        timedelta(minutes=15)
    }


def test_an_unknown_table_is_guessed_by_its_heading_and_not_beyond(tmp_path: Path) -> None:
    text = "when,Temperature (°C),RH [%],Door\n2024-03-05 10:00,4.5,60,0\n"
    found = parse_csv(text, CsvMapping(timezone="UTC"), NOW, "R 1")
    assert list(by_quantity(found.readings)) == [("temperature", "Cel"), ("humidity", "%")]
    assert [(doubt.kind, doubt.message) for doubt in found.doubts] == [
        ("columns", "not taken, since no measurement or not asked for: 'Door'")
    ]
    one_sign = "t,Temp(\N{DEGREE CELSIUS})\n2024-03-05 10:00,4.5\n"
    assert parse_csv(one_sign, CsvMapping(), NOW).readings[0].unit == "Cel"
    nameless = parse_csv("when,Door\n2024-03-05 10:00,4\n", CsvMapping(), NOW)
    with pytest.raises(BadFile, match="Door has no unit"):
        by_quantity(nameless.readings)
    twice = "when,Temp 1 (°F),Temp 2 (°F)\n2024-03-05 10:00,40,41\n"
    both = parse_csv(twice, CsvMapping(), NOW)
    assert [(reading.value, reading.unit) for reading in both.readings] == [(40.0, "[degF]"), (41.0, "[degF]")]
    with pytest.raises(BadFile, match=r"several columns are of temperature \(Temp_1_F, Temp_2_F\): say which counts"):
        by_quantity(both.readings)
    assert [r.value for r in parse_csv(twice, CsvMapping(columns=("temp 2 (°F)",)), NOW).readings] == [41.0]
    path = tmp_path / "R 1.csv"
    path.write_text(text, encoding="utf-8")
    run = CliRunner().invoke(app, ["csv", str(path), "--json", "--time-column", "when"])
    assert run.exit_code == 0
    assert json.loads(run.stdout)["readings"] == 2
    refused = CliRunner().invoke(app, ["csv", str(path), "--decimal", ";"])
    assert refused.exit_code == 2


def test_clocks_that_step_back_and_double_keep_every_row() -> None:
    """As of a logger whose battery was changed: the clock goes back two hours, and some minutes come twice."""
    rows = [
        ("10:00", 4.0),
        ("10:05", 4.1),
        ("10:05", 4.1),
        ("08:10", 9.0),
        ("08:15", 9.1),
        ("10:00", 5.0),
        ("10:10", 4),
    ]
    text = "t,value\n" + "".join(f"2024-03-05 {clock},{value}\n" for clock, value in rows)
    result = parse_csv(text, ONE, NOW)
    assert [reading.value for reading in result.readings] == [value for _, value in rows]
    assert all(reading.quality is Quality.GOOD for reading in result.readings)
    assert [(doubt.line, doubt.kind) for doubt in result.doubts] == [
        (4, "duplicate"),
        (5, "step_back"),
        (7, "conflict"),
    ]
    assert [(gap.stop - gap.start).total_seconds() / 60 for gap in result.gaps] == [105.0]


def test_a_clock_that_was_fast_is_set_right_and_its_own_stamps_stay() -> None:
    readings = parse_csv(table("4.5", "4.6"), ONE, NOW).readings
    right = set_right(readings, 7.5)
    assert [reading.at for reading in right] == [reading.at - timedelta(minutes=7.5) for reading in readings]
    assert [reading.source_at for reading in right] == [reading.at for reading in readings]
    assert set_right(readings, -60)[0].at == TEN + timedelta(hours=1)
    for wrong in (float("nan"), float("inf"), 1e9):
        with pytest.raises(BadFile, match="cannot be set right"):
            set_right(readings, wrong)


def test_a_table_with_the_newest_first_goes_through_the_doubled_hour_from_its_end() -> None:
    """Read downwards, its first 02:30 would be taken for the earlier of the two."""
    clocks = ["03:00", "02:30", "02:00", "02:30", "02:00", "01:30"]
    text = "t,value\n" + "".join(f"2024-10-27 {clock},{value}\n" for value, clock in enumerate(clocks))
    result = parse_csv(text, CsvMapping(values=ONE.values, timezone="Europe/Zurich"), NOW)
    assert [(reading.at.hour, reading.at.minute) for reading in result.readings] == [
        (2, 0),
        (1, 30),
        (1, 0),
        (0, 30),
        (0, 0),
        (23, 30),
    ]
    assert [(doubt.line, doubt.kind) for doubt in result.doubts] == [(2, "newest_first")]
    stepped = text.replace("2024-10-27 01:30", "2024-10-27 04:30")
    back = parse_csv(stepped, CsvMapping(values=ONE.values, timezone="Europe/Zurich"), NOW)
    assert [(doubt.line, doubt.kind) for doubt in back.doubts] == [(2, "newest_first"), (6, "step_back")]


def test_a_first_line_for_excel_names_the_delimiter() -> None:
    result = parse_csv("sep=;\nt;value\n2024-03-05 10:00;4,5\n", ONE, NOW)
    assert (result.readings[0].value, result.delimiter, result.doubts[0].kind) == (4.5, ";", "preamble")


def test_the_time_is_where_the_dates_are_and_a_named_column_without_is_said_on_every_line() -> None:
    text = "value,t\n4.5,2024-03-05 10:00\n4.6,2024-03-05 10:05\n"
    assert values(text) == [4.5, 4.6]
    named = parse_csv(text, CsvMapping(values=(Column("t", POINT),), time=("value",), timezone="UTC"), NOW)
    assert [(doubt.line, doubt.kind) for doubt in named.doubts] == [(2, "malformed_row"), (3, "malformed_row")]
    assert (named.rows, named.readings) == (2, ())


def test_a_report_is_known_by_its_sections_and_a_table_may_begin_like_one() -> None:
    parts = configuration(), log([4.5] * 3), "Device: Q-tag CLm doc\n"
    for end in ("\n", "\r\n", "\r"):
        data = "".join(parts).replace("\n", end).encode()
        found = read_recorded("R-1.txt", data, "auto", "UTC", CsvMapping(), NOW)
        assert (found.kind, found.device, len(found.readings)) == ("logger", "Q-tag CLm doc", 3)
    lead = b"Device: thermometer 5\nData: all\n\ntime,Temp (C)\n2024-03-05 10:00,4.5\n"
    found = read_recorded("R-1.csv", lead, "auto", "UTC", CsvMapping(), NOW)
    assert (found.kind, [reading.value for reading in found.readings]) == ("csv", [4.5])
