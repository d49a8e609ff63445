"""Tables of values: every row read, gaps recorded, every doubtful line named."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from core.telemetry.quality import Quality, Reason
from core.telemetry.readers.csv_file import CsvResult, parse_csv, read_csv
from core.telemetry.readers.csv_mapping import Column, CsvMapping
from core.telemetry.readers.text import BadFile
from core.telemetry.readers.wall_time import Ambiguous
from lotwise.import_columns import parse_value, read_mapping
from lotwise.importing import app

NAB = Path(__file__).resolve().parents[3] / "shared" / "data" / "nab_ambient_temperature_system_failure.csv"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
POINT = "plant/store/cold-1/probe/temperature"
ONE = CsvMapping(values=(Column("value", POINT, "Cel"),), timezone="UTC")


def kinds(result: CsvResult) -> list[tuple[int, str]]:
    return [(doubt.line, doubt.kind) for doubt in result.doubts]


@pytest.mark.skipif(not NAB.exists(), reason=f"{NAB} is absent")
def test_the_nab_file() -> None:
    result = read_csv(NAB, CsvMapping(values=(Column("value", POINT, "[degF]", "Cel"),), timezone="UTC"), NOW)
    assert (result.rows, len(result.readings), len(result.gaps)) == (7267, 7267, 10)
    assert max(gap.stop - gap.start for gap in result.gaps) == timedelta(hours=174)
    assert not result.doubts
    assert result.readings[0].value == pytest.approx((69.88083514 - 32) / 1.8)
    assert result.readings[0].unit == "Cel"


@pytest.mark.skipif(not NAB.exists(), reason=f"{NAB} is absent")
def test_the_nab_file_by_the_command() -> None:
    runner = CliRunner()
    result = runner.invoke(app, ["csv", str(NAB), "--json", "--value", f"value={POINT}:[degF]>Cel"])
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert (data["rows"], data["readings"], len(data["gaps"])) == (7267, 7267, 10)
    assert data["points"][POINT] == {"readings": 7267, "unit": "Cel", "step_minutes": 60.0}
    bare = runner.invoke(app, ["csv", str(NAB)])
    assert bare.exit_code == 0
    assert "7267 rows, 7267 readings, 10 gaps" in bare.output


@pytest.mark.parametrize(
    "text",
    [
        "time;value\n2024-03-05 10:00;4,5\n2024-03-05 10:05;4,6\n",
        "time\tvalue\n2024-03-05 10:00\t4.5\n2024-03-05 10:05\t4.6\n",
        'time,value\r\n2024-03-05T10:00:00Z,"4,5"\r\n2024-03-05T11:05:00+01:00,"4,6"\r\n',
        "\ufefftime|VALUE\n2024-03-05 10:00|4.5\n\n2024-03-05 10:05|4.6",
    ],
    ids=["semicolon and comma", "tab", "offsets and quotes", "mark, bar, case"],
)
def test_tables_of_many_kinds(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    result = read_csv(path, ONE, NOW)
    assert [(reading.at.isoformat(), reading.value) for reading in result.readings] == [
        ("2024-03-05T10:00:00+00:00", 4.5),
        ("2024-03-05T10:05:00+00:00", 4.6),
    ]
    assert not result.doubts


def test_date_and_time_apart_without_header_and_with_a_preamble() -> None:
    mapping = CsvMapping(
        values=(Column(3, POINT, "Cel"), Column(4, "plant/store/cold-1/probe/humidity", "%")),
        time=(1, 2),
        time_format="%d.%m.%Y %H:%M:%S",
        header=False,
        skip_lines=2,
    )
    text = "Logger 7\nexported\n05.03.2024,10:00:00,4.5,60\n05.03.2024,10:05:00,4.6,61\n"
    result = parse_csv(text, mapping, NOW)
    assert [reading.value for reading in result.readings] == [4.5, 4.6, 60.0, 61.0]
    assert result.readings[0].at == datetime(2024, 3, 5, 10, tzinfo=UTC)


@pytest.mark.parametrize(("form", "stamp"), [("unix", "1709632800"), ("unix_ms", "1709632800000")])
def test_epochs(form: str, stamp: str) -> None:
    mapping = CsvMapping(values=ONE.values, time_format=form)
    assert parse_csv(f"t,value\n{stamp},1\n", mapping, NOW).readings[0].at == datetime(2024, 3, 5, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stamps", "form"),
    [
        (["05.03.2024 10:00", "05.03.2024 10:05"], "dmy"),
        (["05/03/2024 10:00:00", "13/03/2024 10:05:00"], "dmy"),
        (["03/05/2024 10:00 AM", "03/13/2024 10:05 PM"], "mdy"),
        (["1709632800", "1709633100"], "unix"),
        (["1709632800000", "1709633100000"], "unix_ms"),
        (["2024-03-05 10:00", "2024-03-05 10:05"], "iso"),
    ],
)
def test_the_form_of_times_is_found_out(stamps: list[str], form: str) -> None:
    result = parse_csv("t,value\n" + "".join(f"{stamp},1\n" for stamp in stamps), ONE, NOW)
    assert result.time_format == form
    assert result.readings[0].at == datetime(2024, 3, 5, 10, tzinfo=UTC)
    assert [doubt.kind for doubt in result.doubts] == (["date_order"] if "." in stamps[0] else [])


def test_a_date_that_can_be_two_days_must_be_explained() -> None:
    with pytest.raises(BadFile, match="say the order"):
        parse_csv("t,value\n03/04/2024 10:00,1\n", ONE, NOW)
    told = CsvMapping(values=ONE.values, time_format="%m/%d/%Y %H:%M")
    assert parse_csv("t,value\n03/04/2024 10:00,1\n", told, NOW).readings[0].at.month == 3


def test_a_first_line_that_holds_a_reading_is_no_header() -> None:
    mapping = CsvMapping(values=(Column(2, POINT),))
    assert len(parse_csv("2024-03-05 10:00,1\n2024-03-05 10:05,2\n", mapping, NOW).readings) == 2
    assert len(parse_csv("when,what\n2024-03-05 10:00,1\n", mapping, NOW).readings) == 1


def test_a_missing_value_is_a_bad_reading_never_the_one_before() -> None:
    result = parse_csv(
        "t,value\n2024-03-05 10:00,4.5\n2024-03-05 10:05,\n2024-03-05 10:10,NaN\n2024-03-05 10:15,4.5\n", ONE, NOW
    )
    assert [(r.value, r.quality, r.reason) for r in result.readings] == [
        (4.5, Quality.GOOD, ""),
        (None, Quality.BAD, Reason.NO_VALUE),
        (None, Quality.BAD, Reason.NOT_A_NUMBER),
        (4.5, Quality.GOOD, ""),
    ]
    assert kinds(result) == [(3, "no_value"), (4, "no_value")]


def test_doubled_times_and_steps_back_stay_and_are_named() -> None:
    rows = ["10:00,1", "10:05,2", "10:05,2", "10:05,3", "09:00,4", "09:05,5"]
    result = parse_csv("t,value\n" + "".join(f"2024-03-05 {row}\n" for row in rows), ONE, NOW)
    assert [reading.value for reading in result.readings] == [1, 2, 2, 3, 4, 5]
    assert kinds(result) == [(4, "duplicate"), (5, "conflict"), (6, "step_back")]
    assert not result.damaged


def test_unreadable_lines_are_all_named_at_once() -> None:
    text = "t,value\nyesterday,1\n2024-03-05 10:00,warm\n2024-03-05 10:05\n2024-03-05 10:10,5\n2099-01-01 00:00,5\n"
    result = parse_csv(text, ONE, NOW)
    assert kinds(result) == [(2, "malformed_row"), (3, "malformed"), (4, "malformed"), (6, "absurd_time")]
    assert result.damaged
    assert result.rows == 5
    assert [reading.quality for reading in result.readings] == [
        Quality.BAD,
        Quality.BAD,
        Quality.GOOD,
        Quality.UNCERTAIN,
    ]


def test_the_hour_that_comes_twice() -> None:
    zurich = CsvMapping(values=ONE.values, timezone="Europe/Zurich")
    both = [
        f"2024-10-27 0{h}:{m}"
        for h, m in (("1", "30"), ("2", "00"), ("2", "30"), ("2", "00"), ("2", "30"), ("3", "00"))
    ]
    result = parse_csv("t,value\n" + "".join(f"{stamp},1\n" for stamp in both), zurich, NOW)
    steps = {later.at - earlier.at for earlier, later in zip(result.readings, result.readings[1:], strict=False)}
    assert steps == {timedelta(minutes=30)}
    assert not result.doubts
    once = "t,value\n2024-10-27 02:30,1\n2024-10-27 03:30,1\n"
    unclear = parse_csv(once, zurich, NOW)
    assert kinds(unclear) == [(2, "ambiguous_time")]
    assert unclear.readings[0].quality is Quality.UNCERTAIN
    told = parse_csv(once, CsvMapping(values=ONE.values, timezone="Europe/Zurich", ambiguous=Ambiguous.SECOND), NOW)
    assert told.readings[0].at == datetime(2024, 10, 27, 1, 30, tzinfo=UTC)
    assert not told.doubts


def test_the_hour_that_never_comes() -> None:
    zurich = CsvMapping(values=ONE.values, timezone="Europe/Zurich")
    result = parse_csv("t,value\n2024-03-31 02:30,1\n", zurich, NOW)
    assert kinds(result) == [(2, "nonexistent_time")]
    assert result.readings[0].quality is Quality.UNCERTAIN


def test_every_fault_of_a_mapping_at_once() -> None:
    mapping = CsvMapping(
        values=(Column("temp", "a/b", "K", "Cel"), Column("value", POINT, "bar", "Cel")), time=("when",)
    )
    with pytest.raises(BadFile, match=r"'when'.*'temp'.*'a/b'.*'bar'"):
        parse_csv("t,value\n1,2\n", mapping, NOW)
    with pytest.raises(BadFile, match="no time zone"):
        parse_csv("t,value\n2024-01-01,2\n", CsvMapping(values=ONE.values, timezone="Mars/Olympus"), NOW)


@pytest.mark.parametrize("text", ["", "\n\n", "one column\n1\n", 't,value\n2024-01-01,"4\n'])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(BadFile):
        parse_csv(text, ONE, NOW)


def test_a_mapping_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(f"time: [t]\ntimezone: Europe/Zurich\nvalues:\n- {{column: value, point: {POINT}, unit: Cel}}\n")
    assert read_mapping(path).values == ONE.values
    table = tmp_path / "table.csv"
    table.write_text("t,value\n2024-03-05 10:00,4.5\n")
    run = CliRunner().invoke(app, ["csv", str(table), "--mapping", str(path), "--tz", "Europe/Zurich"])
    assert (run.exit_code, "--mapping says" in run.stderr) == (2, True), "an option that would not count is refused"
    assert CliRunner().invoke(app, ["csv", str(table), "--mapping", str(path)]).exit_code == 0
    path.write_text("values: 3\n")
    with pytest.raises(BadFile, match="values"):
        read_mapping(path)
    path.write_text("valeus: []\n")
    with pytest.raises(BadFile, match=r"valeus|values"):
        read_mapping(path)
    assert parse_value(f"a=b={POINT}:[degF]>Cel") == Column("a=b", POINT, "[degF]", "Cel")
    assert parse_value(f"2={POINT}") == Column(2, POINT)
    with pytest.raises(BadFile, match="COLUMN="):
        parse_value("nonsense")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5000), st.floats(-40, 60)), min_size=1, max_size=60))
def test_nothing_is_lost_whatever_the_order(rows: list[tuple[int, float]]) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    lines = [f"{(start + timedelta(minutes=minute)).isoformat()},{value!r}\n" for minute, value in rows]
    result = parse_csv("t,value\n" + "".join(lines), ONE, NOW)
    assert [reading.value for reading in result.readings] == [value for _, value in rows]
    twins = sum(kind in ("duplicate", "conflict") for _, kind in kinds(result))
    assert twins == len(rows) - len({minute for minute, _ in rows})


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_hostile_text_never_escapes(text: str) -> None:
    for mapping in (ONE, CsvMapping(values=(Column(2, POINT),), header=False, delimiter=",")):
        try:
            parse_csv("t,value\n2024-01-01 00:00,1\n" + text, mapping, NOW)
        except BadFile:
            continue


def test_a_file_that_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    missing, mapping = tmp_path / "missing.csv", tmp_path / "mapping.yaml"
    for words in (["csv", str(missing)], ["logger", str(missing)]):
        run = CliRunner().invoke(app, words)
        assert (run.exit_code, run.stderr) == (2, f"{missing}: No such file or directory\n")
    run = CliRunner().invoke(app, ["csv", str(missing), "--mapping", str(mapping)])
    assert (run.exit_code, run.stderr) == (2, f"{missing}: {mapping}: No such file or directory\n")
