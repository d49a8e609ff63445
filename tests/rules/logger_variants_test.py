"""Reports written a little differently: each reads right, or is refused with its line; none is silently wrong."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.telemetry.readers import fridgetag
from core.telemetry.readers.judging import evaluate
from core.telemetry.readers.report import Side
from core.telemetry.readers.text import BadFile
from lotwise.importing import app
from tests.rules.logger_reports import (
    SIGNED,
    START,
    configuration,
    day,
    history,
    log,
    parse_fridgetag,
    read_fridgetag,
    report,
)
from tests.servers import free_port

WARM = [5.0] * 12 + [9.0] * 13 + [5.0] * 263
ALARM = "   0:\n    t Acc: 0\n   1:\n    t Acc: 65, TS A: 02:00, C A: 0\n"


def warm() -> str:
    return report(configuration(), history(day(1, "2024-03-05", ALARM, "+4.9", "+9.0")), log(WARM), SIGNED)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_wide_letters_with_and_without_a_mark(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_bytes(warm().encode(encoding))
    assert evaluate(read_fridgetag(path)).agree is True


@pytest.mark.parametrize(("old", "new"), [("\t", "    "), ("\t", " ; "), (r"(?<=\d)\t(?=\d)", "  ")])
def test_a_log_without_tabs(old: str, new: str) -> None:
    """Pasted through a form or another program, a log has wide spaces or semicolons where the device writes tabs."""
    head, data = warm().split("Data:\n")
    lines = [re.sub(old, new, line.strip()) if line.startswith("\t") else line for line in data.split("\n")]
    comparison = evaluate(parse_fridgetag(head + "Data:\n" + "\n".join(lines)))
    assert (len(comparison.report.samples), comparison.agree) == (288, True)


def test_a_log_whose_head_names_no_value_is_refused() -> None:
    text = warm().replace("yyyy-MM-dd hh:mm\tT\tOut of limits", "yyyy-MM-dd hh:mm")
    with pytest.raises(BadFile, match=r"line 1\d+|line \d\d: the log has no column"):
        parse_fridgetag(text)


def test_two_reports_in_one_file_are_refused_at_the_second() -> None:
    with pytest.raises(BadFile, match=f"line {warm().count(chr(10)) + 1}: a second report"):
        parse_fridgetag(warm() + warm())


@pytest.mark.parametrize(("form", "days"), [("{2}/{1}/{0}", (5, 17)), ("{1}/{2}/{0}", (5, 17))])
def test_dates_with_slashes_are_told_apart_by_one_that_cannot_be_the_other(form: str, days: tuple[int, int]) -> None:
    text = report(configuration(), history(day(1, "2024-03-17"), day(2, "2024-03-05")), SIGNED)
    slashed = re.sub(r"(\d{4})-(\d\d)-(\d\d)", lambda found: form.format(*found.groups()), text)
    parsed = parse_fridgetag(slashed)
    assert sorted(found.day for found in parsed.days) == [date(2024, 3, number) for number in days]
    assert not parsed.damaged


def test_dates_that_can_be_two_days_are_not_guessed() -> None:
    text = report(configuration(), history(day(1, "03/05/2024"), activated="03/04/2024 00:00"), SIGNED)
    parsed = parse_fridgetag(text)
    assert parsed.days == ()
    assert parsed.damaged
    assert any("03/05/2024" in doubt.message for doubt in parsed.doubts)


def test_a_report_without_the_devices_own_record_is_compared_with_nothing() -> None:
    for text in (report(configuration(), log(WARM), SIGNED), report(configuration(), history(), log(WARM), SIGNED)):
        comparison = evaluate(parse_fridgetag(text))
        assert [(alarm.agree, alarm.device_time) for alarm in comparison.alarms] == [(None, None)]
        assert comparison.agree is None


def test_a_limit_the_devices_record_does_not_speak_of_is_compared_with_nothing() -> None:
    limits = "  0:\n   T AL: +2.0, t AL: 60\n  1:\n   T AL: +8.0, t AL: 60\n  2:\n   T AL: +8.5, t AL: 0\n"
    text = report(configuration(limits), history(day(1, "2024-03-05", ALARM, "+4.9", "+9.0")), log(WARM), SIGNED)
    comparison = evaluate(parse_fridgetag(text))
    assert {alarm.limit[0]: alarm.agree for alarm in comparison.alarms} == {"1": True, "2": None}
    assert comparison.agree is True


def test_which_side_a_third_limit_is_on_is_read_off_the_devices_marks() -> None:
    """2, 8 and 25: the middle would put 8 below. The marks in the log say otherwise."""
    limits = "  0:\n   T AL: +2.0, t AL: 60\n  1:\n   T AL: +8.0, t AL: 60\n  2:\n   T AL: +25.0, t AL: 0\n"
    parsed = parse_fridgetag(report(configuration(limits), log(WARM), SIGNED))
    assert [limit.side for limit in parsed.limits] == [Side.LOW, Side.HIGH, Side.HIGH]
    assert "288 of 288" in parsed.limits[1].assumed
    assert not [doubt for doubt in parsed.doubts if doubt.kind == "marks"]


def test_marks_that_the_limits_do_not_explain_are_said() -> None:
    unmarked = warm().replace("9.0\tx", "9.0", 1)
    (doubt,) = [doubt for doubt in parse_fridgetag(unmarked).doubts if doubt.kind == "marks"]
    assert unmarked.split("\n")[doubt.line - 1].strip() == "2024-03-05 01:00\t9.0"
    celsius_limits_on_fahrenheit = report(configuration(Temp_unit="F"), log([41.0] * 5, low=35.6, high=46.4), SIGNED)
    assert "5 reading(s)" in parse_fridgetag(celsius_limits_on_fahrenheit).doubts[0].message


def test_a_day_noted_twice_is_said() -> None:
    text = report(configuration(), history(day(1, "2024-03-05"), day(2, "2024-03-05")), SIGNED)
    assert [doubt.kind for doubt in parse_fridgetag(text).doubts] == ["duplicate"]


def test_an_ultra_low_logger_with_its_sensor_outside() -> None:
    """The outer sensor was not in place at first and was taken out at the end; the ambient temperature is noted."""
    limits = "  0:\n   T AL: -90.0, t AL: 60\n  1:\n   T AL: -60.0, t AL: 60\n"
    alarms = "   0:\n    t Acc: 0\n   1:\n    t Acc: 115, TS A: 01:00, T Amb: +14.9, C A: 0\n"
    outer = "  Ext Sensor timeout:\n   t AccST: 17, TS ST: 01:55\n"
    record = day(1, "2024-03-05", alarms, "-16.8", "+21.5").replace("  Int Sensor", f"{outer}  Int Sensor")
    values: list[float | str] = ["--.-"] * 3 + [-15.0] * 20 + ["--.-"] * 3
    text = report(
        configuration(limits, Use_ext_devices=1, Measurement_delay=10),
        history(record, created="2024-03-05 02:10"),
        log(values, low=-90, high=-60),
        SIGNED,
        device="Q-tag Fridge-tag Ultra Low",
    )
    comparison = evaluate(parse_fridgetag(text))
    (noted,) = comparison.report.days
    assert dict(noted.timeouts) == {"ext": 17, "int": 0}
    assert noted.alarms[1].ambient == 14.9
    assert [(alarm.agree, alarm.our_time and alarm.our_time.hour) for alarm in comparison.alarms] == [(True, 1)]
    assert (comparison.agree, comparison.mkt) == (True, None)


def test_the_command_binds_what_has_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_PASSWORD", "secret")
    days, whole = tmp_path / "days.txt", tmp_path / "whole.txt"
    days.write_text(report(configuration(), history(day(1, "2024-03-05")), SIGNED))
    whole.write_text(warm())
    to_nobody = ["--lot", "L1", "--login", "lou", "--api", f"http://127.0.0.1:{free_port()}", "--clock-fast", "3"]
    for path, why in ((days, "keeps no readings, only days"), (whole, "not bound: http://127.0.0.1")):
        run = CliRunner().invoke(app, ["logger", str(path), *to_nobody])
        assert (run.exit_code, why in run.stderr) == (2, True), run.stderr
    assert CliRunner().invoke(app, ["logger", str(whole), "--clock-fast", "3"]).exit_code == 2, "nothing to bind it to"
    assert CliRunner().invoke(app, ["logger", str(whole), "--tz", "Mars/Olympus"]).exit_code == 2


@pytest.mark.parametrize(
    "head",
    ["JJJJ-MM-TT hh:mm\tT\tAusserhalb der Grenzen", "aaaa-MM-jj hh:mm\tT\tHors limites", "Datum\tT1\tBuiten bereik"],
)
@pytest.mark.parametrize("values", [WARM, [5.0] * 288])
def test_the_column_of_marks_is_known_in_other_languages(head: str, values: list[float]) -> None:
    parsed = parse_fridgetag(report(configuration(), log(values, head=head), SIGNED))
    assert (len(parsed.columns), len(parsed.samples), parsed.doubts) == (1, 288, ())
    assert sum(sample.flagged for sample in parsed.samples) == values.count(9.0)


def test_marks_between_the_columns_are_no_values() -> None:
    head = "yyyy-MM-dd hh:mm\tT Int\tInnen\tT Ext\tAussen"
    rows = ["5.0\t\t21.0\tx", "9.0\tx\t20.0\tx"]
    parsed = parse_fridgetag(report(configuration(), log(rows, head=head).replace("\tx\n", "\n"), SIGNED))
    assert parsed.columns == ("T Int", "T Ext")
    assert [(sample.values, sample.flagged) for sample in parsed.samples] == [((5.0, 21.0), True), ((9.0, 20.0), True)]


def test_second_sections_are_read_or_said() -> None:
    again = log(WARM, start=START + timedelta(days=1))
    parsed = parse_fridgetag(report(configuration(), log(WARM), again, SIGNED))
    assert len(parsed.samples) == 576
    assert [(doubt.kind, doubt.damage) for doubt in parsed.doubts] == [("second", False)]
    other = again.replace("\tT\t", "\tT Ext\t")
    days = history(day(1, "2024-03-05")), history(day(1, "2024-03-06"))
    for sections in ((log(WARM), other), (*days, log(WARM))):
        parsed = parse_fridgetag(report(configuration(), *sections, SIGNED))
        assert parsed.damaged
        assert len(parsed.samples) == 288
        assert "not read" in "".join(doubt.message for doubt in parsed.doubts)


def test_a_report_without_its_indentation_is_damaged() -> None:
    parsed = parse_fridgetag("\n".join(line.strip() for line in warm().split("\n")))
    assert [(doubt.line, doubt.kind) for doubt in parsed.doubts if doubt.damage] == [
        (5, "malformed"),
        (14, "malformed"),
    ]


def test_a_limit_written_in_another_way_is_not_passed_over() -> None:
    """`0: T AL: …` on one line would judge by nothing at all; a limit that holds nothing is one not in use."""
    odd = parse_fridgetag(report(configuration("  0: T AL: +2.0, t AL: 60\n  1:\n   T AL: +8.0, t AL: 60\n"), SIGNED))
    assert (odd.damaged, len(odd.limits), odd.doubts[0].line) == (True, 1, 10)
    unused = parse_fridgetag(report(configuration("  0:\n  1:\n   T AL: +8.0, t AL: 60\n"), log(WARM), SIGNED))
    assert (unused.damaged, len(unused.limits)) == (False, 1)


def test_a_day_that_the_log_does_not_reach_is_compared_with_nothing() -> None:
    days = day(1, "2024-03-06", ALARM, "+4.9", "+9.0"), day(2, "2024-03-05", ALARM, "+4.9", "+9.0")
    comparison = evaluate(parse_fridgetag(report(configuration(), history(*days), log(WARM), SIGNED)))
    assert [(alarm.day.day, alarm.agree) for alarm in comparison.alarms] == [(5, True), (6, None)]
    assert comparison.agree is True


def test_what_the_configuration_says_and_the_log_does_not_is_noted() -> None:
    text = report(configuration(Zone="5.50", Logging_Interval=1), log(WARM), SIGNED)
    assumed = fridgetag.parse_fridgetag(text)
    assert [(doubt.line, doubt.kind) for doubt in assumed.doubts] == [(1, "assumed_zone")]
    notes = "\n".join(evaluate(assumed).notes)
    assert "its own setting is Zone 5.50" in notes
    assert "every 1 min, and logged every 5 min" in notes
    assert "Zone" not in "\n".join(evaluate(parse_fridgetag(warm().replace("Serial", "Zone: 0.00\n Serial"))).notes)


def test_a_log_with_the_newest_first_is_said_once() -> None:
    lines = log(WARM).splitlines()
    turned = "\n".join([*lines[:2], *reversed(lines[2:])]) + "\n"
    record = history(day(1, "2024-03-05", ALARM, "+4.9", "+9.0"))
    comparison = evaluate(parse_fridgetag(report(configuration(), record, turned, SIGNED)))
    assert [doubt.kind for doubt in comparison.report.doubts] == ["newest_first"]
    assert comparison.agree is True


def test_short_dates_of_a_report_are_not_guessed() -> None:
    """`26.06.01` was 2001-06-26 in a report whose log has no head, too."""
    rows = [datetime(2026, 6, 1) + timedelta(hours=hour) for hour in range(50)]  # noqa: DTZ001 - a device's clock
    data = "Data:\n" + "".join(f"\t{at:%y.%m.%d %H:%M}\t4.5\n" for at in rows)
    found = parse_fridgetag(report(configuration(Logging_Interval=60), data, SIGNED))
    assert [sample.at.replace(tzinfo=None) for sample in found.samples] == rows
    assert [doubt.kind for doubt in found.doubts] == ["date_order"]
    slashed = "Data:\n" + "".join(f"\t{at:%m/%d/%y %H:%M}\t4.5\n" for at in rows)
    said = parse_fridgetag(report(configuration(Logging_Interval=60), slashed, SIGNED))
    assert [sample.at.replace(tzinfo=None) for sample in said.samples] == rows
    assert [doubt.kind for doubt in said.doubts] == ["date_order"]
    one_day = "Data:\n" + "".join(f"\t{at:%y.%m.%d %H:%M}\t4.5\n" for at in rows[:20])
    asked = parse_fridgetag(report(configuration(Logging_Interval=60), one_day, SIGNED))
    assert (asked.samples, asked.damaged) == ((), True), "nothing is read as another day"
    assert "say the order of its dates" in next(d.message for d in asked.doubts if d.kind == "date_order")
