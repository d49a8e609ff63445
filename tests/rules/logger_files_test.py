"""Files of loggers, each written here in the form that its source describes (core.telemetry.readers.dialects)."""

import contextlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from core.telemetry.quality import Quality, Reason
from core.telemetry.readers.csv_file import CsvResult
from core.telemetry.readers.csv_mapping import CsvMapping
from core.telemetry.readers.dialects import DIALECTS
from core.telemetry.readers.recorded import by_quantity, read_recorded
from core.telemetry.readers.tables import read_table
from core.telemetry.readers.text import BadFile
from core.telemetry.readers.workbook import read_workbook

NOW = datetime(2026, 11, 30, tzinfo=UTC)
START = datetime(2026, 6, 13, 22, 0)  # noqa: DTZ001 - as a logger's clock shows it
LITTLE = 128 * 1024 * 1024
VALUES = (4.1, 4.2, 5.3, 6.4)


JUNK = [",", ";", "\t", "\n", '"', "24:00", "99", "-", "/", "NC", "PM", "UTC+25", "{", "[", "%", "\ufeff", ""]


def read(text: str | bytes, encoding: str = "utf-8", name: str = "R-1.csv", **mapping: object) -> CsvResult:
    data = text if isinstance(text, bytes) else text.encode(encoding)
    return read_table(name, data, CsvMapping(**mapping), NOW)  # type: ignore[arg-type]  # keywords of several types from a table of cases


def stamps(form: str, count: int = 4, step: int = 30) -> list[str]:
    return [(START + timedelta(minutes=step * row)).strftime(form) for row in range(count)]


def table(form: str, line: str, values: Sequence[object] = VALUES) -> str:
    """Rows of the form `line`, with {no}, {at} and {value}."""
    return "".join(
        line.format(no=row + 1, at=at, value=value) + "\n"
        for row, (at, value) in enumerate(zip(stamps(form), values, strict=True))
    )


def kinds(found: CsvResult) -> list[str]:
    return [doubt.kind for doubt in found.doubts]


def series(found: CsvResult) -> dict[tuple[str, str], list[object]]:
    return {key: [reading.value for reading in values] for key, values in by_quantity(found.readings).items()}


HOBO_HEAD = (
    '"Plot Title: room 7"\r\n"#","Date Time, GMT-04:00","Temp, °F (LGR S/N: 20481390, SEN S/N: 20481390)",'
    '"Coupler Detached (LGR S/N: 20481390)","Coupler Attached (LGR S/N: 20481390)","Stopped (LGR S/N: 20481390)",'
    '"End Of File (LGR S/N: 20481390)"\r\n'
)


def hobo() -> str:
    times = stamps("%m/%d/%y %I:%M:%S %p")
    return (
        HOBO_HEAD + f"1,{times[0]},39.5,,,,\r\n2,06/13/26 10:11:12 PM,,Logged,,,\r\n3,{times[1]},39.7,,,,\r\n"
        f"4,{times[2]},40.1,,,,\r\n5,06/13/26 11:10:02 PM,,,Logged,,\r\n6,06/13/26 11:10:05 PM,,,,Logged,Logged\r\n"
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "utf-16"])
def test_onset_hobo(encoding: str) -> None:
    found = read(hobo(), encoding)
    assert series(found) == {("temperature", "[degF]"): [39.5, 39.7, 40.1]}
    assert found.readings[0].at == datetime(2026, 6, 14, 2, tzinfo=UTC), "the heading's offset"
    assert (found.device, found.serial) == ("Onset HOBO", "20481390")
    assert [(event.line, event.text.partition(" (")[0]) for event in found.events] == [
        (4, "Coupler Detached"),
        (7, "Coupler Attached"),
        (8, "Stopped"),
    ]
    assert kinds(found) == ["preamble"]
    assert found.gaps == ()


def test_a_hobo_in_the_computers_language_and_with_two_quantities() -> None:
    """Swedish: fm and em; the source shows the plot's title without columns of its own."""
    head = (
        '"Plot Title: temp"\n"#","Date Time, GMT+01:00","Temp, °C (LGR S/N: 1234, LBL: Rb1)","RH, % (LGR S/N: 1234)"\n'
    )
    found = read(head + "1,07/19/18 10:00:00 fm,4.558,61\n2,07/19/18 12:00:00 em,4.402,62\n")
    assert [reading.at.hour for reading in found.readings] == [9, 11, 9, 11]
    assert list(series(found)) == [("temperature", "Cel"), ("humidity", "%")]


def test_logtag() -> None:
    head = "LogTag report\nSerial #,A0C123456\nDescription,Fridge 2\nReading interval,30 minutes\n"
    head += "Last reading,2026-06-13 23:30:00\nNon alert range,2.0  to  8.0 °C\n\nReading,Date,Time,Temperature (°C)\n"
    rows = table("%Y-%m-%d,%H:%M:%S", "{no},{at},{value}")
    found = read(head + rows, timezone="UTC")
    assert series(found) == {("temperature", "Cel"): list(VALUES)}
    assert (found.device, found.serial, kinds(found)) == ("LogTag", "A0C123456", ["preamble"])


def test_elitech_whose_headings_are_spaced_with_one_tab_more_than_its_rows() -> None:
    """By the headings' places the humidity would be the temperature."""
    head = "Data Report\r\nFile created on:2026-06-14 08:00:00\r\n\r\nS/N : EFG206C01391\r\nTimezone : UTC +02:00\r\n"
    head += "Trip Description : A5\r\nMaximum : 6,4°C / 61,0%RH\r\n\r\nNo.\tTime\t\t°C\t%RH\r\n"
    rows = table("%Y-%m-%d %H:%M:%S", "{no}\t{at}\t{value}\t60,{no}", ("4,1", "4,2", "NC", "6,4")).splitlines()
    for end in ("\r\n", "\t\r\n"):
        found = read(head + end.join([*rows, ""]), "latin-1")
        assert series(found) == {
            ("temperature", "Cel"): [4.1, 4.2, None, 6.4],
            ("humidity", "%"): [60.1, 60.2, 60.3, 60.4],
        }
        assert found.readings[0].at == datetime(2026, 6, 13, 20, tzinfo=UTC), "the zone above the table"
        assert (found.device, found.serial) == ("Elitech", "EFG206C01391")
        assert kinds(found) == ["preamble", "shifted_headings", "no_value"]
        assert found.readings[2].reason == Reason.DISCONNECTED


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "utf-16-le"])
def test_chinese_headings_in_every_encoding(encoding: str) -> None:
    head = "设备编号:RC5-0042\n记录间隔:30分\n\n序号,时间,温度(℃),湿度(%RH)\n"
    rows = "".join(
        f"{row + 1},2026年6月13日 下午{10 + row // 2}:{row % 2 * 30:02d},{value},60\n"
        for row, value in enumerate(VALUES)
    )
    found = read(head + rows, encoding, timezone="Asia/Shanghai")
    assert series(found) == {("temperature", "Cel"): list(VALUES), ("humidity", "%"): [60.0] * 4}
    assert found.readings[0].at == datetime(2026, 6, 13, 14, tzinfo=UTC)
    assert found.serial == "RC5-0042"


def test_an_ibutton_with_its_column_of_units() -> None:
    head = "1-Wire/iButton Part Number: DS1923\n1-Wire/iButton Registration Number: 8400000036BF0121\n"
    head += "Is Mission Active?  true\nMission Start:  Sat Jun 13 22:00:00 CLT 2026\n"
    head += "Sample Rate:  Every 30 minute(s)\n\n"
    rows = table("%d-%m-%y %H:%M:%S", "{at},C,{value}")
    found = read(head + "Date/Time,Unit,Value\n" + rows, timezone="America/Santiago", time_format="dmy")
    assert series(found) == {("temperature", "Cel"): list(VALUES)}
    assert (found.device, found.serial) == ("iButton Thermochron", "8400000036BF0121")
    assert found.readings[0].at == datetime(2026, 6, 14, 2, tzinfo=UTC)
    both = rows + rows.replace(",C,", ",%RH,6")
    assert series(read(head + "Date/Time,Unit,Value\n" + both, timezone="UTC", time_format="dmy")) == {
        ("temperature", "Cel"): list(VALUES),
        ("humidity", "%"): [64.1, 64.2, 65.3, 66.4],
    }
    with pytest.raises(BadFile, match="say the order of its dates"):
        read(head + "Date/Time,Unit,Value\n" + rows)


def test_tomst_without_headings_is_in_utc_and_asks_which_sensor_counts() -> None:
    rows = table("%Y.%m.%d %H:%M", "{no};{at};0;{value};22.0625;23.125;148;1;0;")
    found = read(rows, name="data_94226401_0.csv")
    assert (found.device, kinds(found)) == ("TOMST TMS", ["columns"])
    with pytest.raises(BadFile, match=r"several columns are of temperature \(T1_C, T2_C, T3_C\)"):
        by_quantity(found.readings)
    assert series(read(rows, columns=("T1 (°C)",))) == {("temperature", "Cel"): list(VALUES)}
    old = read(rows.replace("2026.06.13", "13.06.2026").replace("2026.06.14", "14.06.2026"), columns=(4,))
    assert (old.readings[0].at, kinds(old)) == (datetime(2026, 6, 13, 22, tzinfo=UTC), ["columns"])


def test_tinytag_says_no_unit_and_is_not_given_one() -> None:
    head = ",Time,1,2\nS/N,,000000,000000\nType,,TGU-4500,TGU-4500\nDescription,,Archive 1,Archive 1\n"
    head += "Property,,Temperature,Humidity\n"
    rows = table("%Y-%m-%d %H:%M:%S", "{no},{at},{value},53.4")
    found = read(head + rows, timezone="UTC")
    assert (found.device, found.columns) == ("Gemini Tinytag", ("Property", "", "Temperature", "Humidity"))
    with pytest.raises(BadFile, match="temperature has no unit"):
        by_quantity(found.readings)
    beside = read(head + table("%Y-%m-%d %H:%M:%S", "{no},{at},{value} °C,53.4 %RH"), timezone="UTC")
    assert series(beside) == {("temperature", "Cel"): list(VALUES), ("humidity", "%"): [53.4] * 4}


def test_units_in_a_row_below_the_headings() -> None:
    """As T&D writes: numbers, names, units, and the time twice."""
    text = '"Date/Time","Date/Time","No.1","No.2"\n"Date/Time","Date/Time","ch1","ch2"\n"","","lx","°C"\n'
    text += table("%Y-%m-%d %H:%M:%S", '"{at}","44429.33{no}","21.5","{value}"')
    for encoding in ("utf-8", "latin-1"):
        found = read(text, encoding, timezone="UTC")
        assert series(found) == {("temperature", "Cel"): list(VALUES)}
        assert (found.device, kinds(found)) == ("T&D", ["preamble", "columns"])


def test_headings_with_lines_between_them_and_the_rows() -> None:
    """As a Rotronic's sheet, every line padded with commas."""
    head = "[#I]Device Description,,,\nArch1  ,,,\n,,,\nSerial Number = A18040256,,,\nLog Interval = 00:30:00,,,\n"
    head += ",,,\n[#2],,,\nTemperature = °C,,,\nLow Alarm Threshold = 13,,,\n,,,\n[#H],,,\n"
    head += "Date,Time,Humidity (%rh),Temperature (°C)\n,,,\n[#D],,,\n"
    rows = table("%d/%m/%Y,%H:%M:%S", "{at},6{no},{value}")
    found = read(head + rows, timezone="UTC")
    assert series(found) == {("humidity", "%"): [61.0, 62.0, 63.0, 64.0], ("temperature", "Cel"): list(VALUES)}
    assert (found.device, found.serial) == ("Rotronic", "A18040256")


def test_testo_numbers_its_rows_and_sets_date_and_clock_apart() -> None:
    text = "id\tDate\tTime\t°C\t%\n" + table("%d/%m/%Y\t%H:%M:%S", "{no}\t{at}\t{value}\t60")
    assert series(read(text, timezone="UTC")) == {("temperature", "Cel"): list(VALUES), ("humidity", "%"): [60.0] * 4}


EMS = {
    "AMOD": "VL45",
    "ASER": "BJBC 08 30",
    "LMFR": "Local Health Research",
    "LMOD": "Demo EMS Logger",
    "LSER": "3459",
    "records": [
        {"ABST": "20241205T004440Z", "TVC": 6.5, "TAMB": 26.6, "DORV": 900, "ALRM": None, "LERR": None},
        {"ABST": "20241205T005940Z", "TVC": None, "TAMB": 26.6, "DORV": 0, "ALRM": "HEAT", "LERR": None},
    ],
}


@pytest.mark.parametrize("form", ["report", "list", "flat", "collection"])
def test_who_ems(form: str) -> None:
    around = {key: value for key, value in EMS.items() if key != "records"}
    flat = [{**around, **record} for record in EMS["records"]]  # type: ignore[dict-item]  # JSON
    data: object = {"report": EMS, "list": [EMS], "flat": flat}.get(
        form, [{"key": "A:1", "value": one} for one in flat]
    )
    found = read(json.dumps(data), name="ems.json")
    assert series(found) == {("temperature", "Cel"): [6.5, None]}
    assert (found.readings[0].at, found.serial) == (datetime(2024, 12, 5, 0, 44, 40, tzinfo=UTC), "3459")
    assert (kinds(found), [event.text for event in found.events]) == (["columns", "no_value"], ["ALRM: HEAT"])
    assert [r.value for r in read(json.dumps(data), columns=("TAMB",)).readings] == [26.6, 26.6]


def test_who_ems_without_absolute_times_or_of_two_appliances_is_refused() -> None:
    since = {"LSER": "1", "records": [{"RELT": "P100DT9H2M14S", "TVC": 4.1}]}
    with pytest.raises(BadFile, match="only times since the logger was started"):
        read(json.dumps(since))
    two = [{"LSER": number, "ABST": "20241205T004440Z", "TVC": 4.1} for number in ("1", "2")]
    with pytest.raises(BadFile, match=r"several devices \(1, 2\)"):
        read(json.dumps(two))
    for nothing in ("[]", '{"a": 1}', "{broken", "[" * 100_000):
        with pytest.raises(BadFile, match="Readable are"):
            read(nothing)


def workbook(*, system_1904: bool = False, decoy: bool = False) -> bytes:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "date_1904": system_1904})
    if decoy:
        book.add_worksheet("Details").write_row(0, 0, ["Launched", "2026-06-13 21:00"])
    sheet = book.add_worksheet("Data")
    stamp, day, clock = (book.add_format({"num_format": form}) for form in ("dd/mm/yy hh:mm", "dd.mm.yyyy", "hh:mm"))
    sheet.write(0, 0, "Logger 7")
    sheet.write_row(2, 0, ["No", "When", "Temp (°C)", "RH (%)", "Event"])
    for row, value in enumerate(VALUES):
        at = START + timedelta(minutes=40 * row)
        sheet.write(3 + row, 0, row + 1)
        sheet.write_datetime(3 + row, 1, at, stamp)
        sheet.write(3 + row, 2, value)
        sheet.write(3 + row, 3, 60)
    sheet.write(5, 4, "Button")
    apart = book.add_worksheet("Apart")
    apart.write_row(0, 0, ["Date", "Time", "Temp (°C)"])
    apart.write_datetime(1, 0, datetime.combine(date(2026, 6, 13), time(0)), day)
    apart.write_datetime(1, 1, time(23, 59, 59), clock)
    apart.write(1, 2, 4.5)
    book.close()
    return out.getvalue()


@pytest.mark.parametrize("system_1904", [False, True])
def test_a_workbook_by_the_types_of_its_cells(system_1904: bool) -> None:
    found = read(workbook(system_1904=system_1904), name="R-1.xlsx", timezone="UTC")
    assert series(found) == {("temperature", "Cel"): list(VALUES), ("humidity", "%"): [60.0] * 4}
    assert [reading.at for reading in found.readings[:4]] == [
        datetime(2026, 6, 13, 22, tzinfo=UTC) + timedelta(minutes=40 * row) for row in range(4)
    ], "midnight is a time and not a day"
    assert [event.text for event in found.events] == ["Event: Button"]
    assert kinds(found) == ["sheets", "preamble"]


def test_a_workbooks_other_sheets_are_said_and_its_file_may_lie() -> None:
    found = read(workbook(decoy=True), name="R-1.xlsx", timezone="UTC")
    assert "'Details' (1 rows with a date); 'Apart' (1 rows with a date)" in found.doubts[0].message
    for broken in (b"PK\x03\x04 and then nothing", workbook()[:400], b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 90):
        with pytest.raises(BadFile, match="not a workbook that can be read"):
            read(broken)


def test_a_workbook_that_unpacks_to_too_much_is_refused_by_its_own_process() -> None:
    """By what it says of itself, and by the process's limit should it lie."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/worksheets/sheet1.xml", b"<row/>" * 6_000_000)
    with pytest.raises(BadFile, match="unpacks to 36000000 bytes"):
        read_workbook(packed.getvalue(), memory=LITTLE)
    greedy = "from core.telemetry.readers.workbook import bound; bound(2**26); bytearray(2**28)"
    done = subprocess.run([sys.executable, "-c", greedy], capture_output=True, check=False)
    assert b"MemoryError" in done.stderr
    within = (
        "import resource as r; r.setrlimit(r.RLIMIT_AS, (2**29, 2**29)); from core.telemetry.readers.workbook import "
    )
    done = subprocess.run([sys.executable, "-c", within + "bound; bound(2**30)"], capture_output=True, check=False)
    assert done.returncode == 0, "a process that is bounded itself may read workbooks"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"%PDF-1.7 ...", "a PDF shows the readings and does not contain them as data"),
        (b"<html><table><tr><td>2026", "a web page or XML"),
        (b"\x00\x01LTD binary" * 9, "not text"),
        (b"dear sir, the readings are attached", "ends after its heading"),
        (b"a,b\n1,2\n", "no row has a time that can be read"),
    ],
)
def test_an_unknown_file_is_told_what_is_readable(data: bytes, why: str) -> None:
    with pytest.raises(BadFile, match=why) as refused:
        read(data)
    assert "Readable are text reports of Fridge-tag" in str(refused.value)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("--", Reason.NO_VALUE),
        ("", Reason.NO_VALUE),
        ("n/a", Reason.NO_VALUE),
        ("Err", Reason.DEVICE),
        ("Err 3", Reason.DEVICE),
        ("断线", Reason.DEVICE),
        ("sensor open", Reason.DEVICE),
        ("NC", Reason.DISCONNECTED),
        ("no probe", Reason.DISCONNECTED),
        ("<-40.0", Reason.OUT_OF_SENSOR_RANGE),
        (">85 °C", Reason.OUT_OF_SENSOR_RANGE),
        ("OL", Reason.OUT_OF_SENSOR_RANGE),
        ("-888.88", Reason.SENTINEL),
        ("-999", Reason.SENTINEL),
        ("warm", Reason.NOT_A_NUMBER),
        ("nan", Reason.NOT_A_NUMBER),
        ("4.5x", Reason.NOT_A_NUMBER),
        ("41 °F", Reason.WRONG_UNIT),
        ("1,013", Reason.NOT_A_NUMBER),
    ],
)
def test_no_cell_is_silently_left_out(cell: str, reason: str) -> None:
    found = read(
        f"when;Temp (°C)\n2026-06-13 22:00;4.5\n2026-06-13 22:30;{cell}\n2026-06-13 23:00;1,234.5\n", timezone="UTC"
    )
    bad = found.readings[1]
    if cell == "1,013":
        assert (bad.value, kinds(found)) == (1013.0, ["thousands"])
        return
    assert (bad.value, bad.quality, bad.reason) == (None, Quality.BAD, reason)
    assert [doubt.line for doubt in found.doubts if doubt.kind != "thousands"] == [3]


def test_fractions_in_a_column_of_percent_are_said() -> None:
    found = read("when,RH (%)\n2026-06-13 22:00,0.45\n2026-06-13 22:30,0.46\n", timezone="UTC")
    assert kinds(found) == ["fractions"]


def test_derived_and_set_columns_are_left_out_and_said() -> None:
    head = "when,Temp (°C),Dew point (°C),High alarm limit (°C),Battery (V),Status\n"
    found = read(head + "2026-06-13 22:00,4.5,1.2,8,3.3,OK\n2026-06-13 22:30,4.6,1.3,8,3.3,ALARM\n", timezone="UTC")
    assert series(found) == {("temperature", "Cel"): [4.5, 4.6]}
    (said,) = found.doubts
    assert all(name in said.message for name in ("Dew point", "High alarm limit", "Battery", "Status"))


def test_headings_that_do_not_stand_above_their_columns_are_refused() -> None:
    with pytest.raises(BadFile, match="do not stand above the columns"):
        read("No\tTime\t\t°C\t%RH\n1\t2026-06-13 22:00\t4,1\t\n2\t2026-06-13 22:30\t4,1\t\n")


def test_rows_without_a_time_below_the_headings_are_damaged_rows_and_no_preamble() -> None:
    rows = "--,4.4\n" * 9 + "2026-06-13 22:00,4.5\n2026-06-13 22:30,4.6\n"
    found = read("when,Temp (°C)\n" + rows, timezone="UTC")
    assert (found.rows, len(found.readings), found.damaged, set(kinds(found))) == (11, 2, True, {"malformed_row"})


def test_a_column_that_is_empty_at_first_is_said() -> None:
    found = read("when,Temp (°C),Probe\n2026-06-13 22:00,4.5,\n2026-06-13 22:30,4.6,\n", timezone="UTC")
    assert [doubt.message for doubt in found.doubts] == ["not taken, since no measurement or not asked for: 'Probe'"]


def test_headings_that_come_again_are_no_damage() -> None:
    found = read("when,Temp (°C)\n2026-06-13 22:00,4.5\nwhen,Temp (°C)\n2026-06-13 22:30,4.6\n", timezone="UTC")
    assert ([doubt.kind for doubt in found.doubts], found.damaged, len(found.readings)) == (["heading"], False, 2)


def test_the_way_in_hands_on_device_serial_events_and_doubts() -> None:
    found = read_recorded("x.csv", hobo().encode(), "auto", "", CsvMapping(), NOW)
    assert (found.kind, found.device, found.serial, len(found.events)) == ("csv", "Onset HOBO", "20481390", 3)


def test_every_dialect_names_its_source() -> None:
    assert all(len(dialect.source) > 40 for dialect in DIALECTS)
    names: Sequence[str] = [dialect.name for dialect in DIALECTS]
    assert len(set(names)) == len(names)


SEEDS = (
    hobo(),
    table("%d/%m/%y %H:%M:%S", "{no};{at};{value};60"),
    "No.\tTime\t\t°C\t%RH\n" + table("%Y-%m-%d %H:%M:%S", "{no}\t{at}\t{value}\t60"),
    "序号,时间,温度(℃)\n1,2026年6月13日 下午10:00,4.1\n2,2026年6月13日 下午10:30,4.1\n",
    json.dumps(EMS),
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(SEEDS), st.lists(st.tuples(st.floats(0, 1), st.sampled_from(JUNK), st.integers(0, 40)), max_size=6)
)
def test_a_mangled_file_is_read_or_refused_and_nothing_else(text: str, cuts: list[tuple[float, str, int]]) -> None:
    """Cut, and with something put in: found in this way were offsets of 25 hours, and headings shorter than a row."""
    for where, junk, length in cuts:
        place = int(where * len(text))
        text = text[:place] + junk + text[place + length :]
    with contextlib.suppress(BadFile):
        by_quantity(read_recorded("x.csv", text.encode(), "auto", "", CsvMapping(), NOW).readings)


@pytest.mark.parametrize(
    "text",
    [
        "t,value\n2026-06-13 22:00 UTC+25,4.5\n03/04/26 22:00 UTC+25,4.5\n",
        "t,u\nx,y,2026-06-13 22:00,4.5\n",
        "t,value\n13/12/26,4.5\n12/13/26,4.5\n",
    ],
)
def test_what_mangling_found(text: str) -> None:
    with contextlib.suppress(BadFile):
        assert read(text).damaged
