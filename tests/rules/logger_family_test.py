"""Other devices and firmware of the family, and files that are not as they should be."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.telemetry.quality import Quality, Reason
from core.telemetry.readers.judging import evaluate
from core.telemetry.readers.report import FAHRENHEIT, AlarmKind, Side
from core.telemetry.readers.text import BadFile
from lotwise.importing import import_logger
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

COLD_DAY = [5.0] * 288
WARM = [5.0] * 12 + [9.0] * 13 + [5.0] * 263
WARM_ALARM = "   0:\n    t Acc: 0\n   1:\n    t Acc: 65, TS A: 02:00, C A: 0\n"


def warm_day(date: str = "2024-03-05") -> str:
    return day(1, date, WARM_ALARM, "+4.9", "+9.0")


def warm_report() -> str:
    return report(configuration(), history(day(1, "2024-03-05", WARM_ALARM, "+4.9", "+9.0")), log(WARM), SIGNED)


def test_device_and_readings_agree() -> None:
    comparison = evaluate(parse_fridgetag(warm_report()))
    (alarm,) = comparison.alarms
    assert (alarm.agree, alarm.our_time) == (True, datetime(2024, 3, 5, 2, 0, tzinfo=UTC))
    assert [d.agree for d in comparison.days] == [True]


def test_a_wrong_device_record_is_found() -> None:
    wrong = warm_report().replace("TS A: 02:00", "TS A: 03:00").replace("t Acc: 65", "t Acc: 200")
    comparison = evaluate(parse_fridgetag(wrong))
    assert [alarm.agree for alarm in comparison.alarms] == [False]
    assert [d.agree for d in comparison.days] == [False]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="crlf"),
        pytest.param(lambda text: "\ufeff" + text, id="bom"),
        pytest.param(lambda text: text.replace("Serial:", "Owner: Spital Zürich\n Serial:"), id="latin-1"),
        pytest.param(lambda text: text.replace("9.0\tx", "9,0\tx").replace("+9.0,", "+9,0,"), id="decimal comma"),
        pytest.param(lambda text: text.replace("   ", "\t\t\t"), id="tabs"),
        pytest.param(lambda text: text.replace(SIGNED, "") + SIGNED, id="same"),
        pytest.param(
            lambda text: text.replace("Fw Vers: 4.0p0o\n", "New Key: 7, Other: 8\n Deep:\n  Er: 1\n"), id="keys"
        ),
    ],
)
def test_the_same_report_in_other_clothes(tmp_path: Path, change: Callable[[str], str]) -> None:
    path = tmp_path / "report.txt"
    path.write_bytes(change(warm_report()).encode("latin-1" if "ü" in change(warm_report()) else "utf-8"))
    comparison = evaluate(read_fridgetag(path))
    assert comparison.agree is True
    assert len(comparison.report.samples) == 288
    assert not comparison.report.damaged


def test_other_date_formats() -> None:
    text = report(
        configuration(),
        history(
            day(1, "05.03.2024", WARM_ALARM, "+4.9", "+9.0"), activated="05.03.2024 00:00", created="06.03.2024 00:00"
        ),
        log(WARM, form="%d.%m.%Y %H:%M", head="dd.MM.yyyy hh:mm\tT\tOut of limits"),
        SIGNED,
    )
    assert evaluate(parse_fridgetag(text)).agree is True
    american = report(
        configuration(),
        history(
            day(1, "03/05/2024", WARM_ALARM, "+4.9", "+9.0"), activated="03/05/2024 00:00", created="03/06/2024 00:00"
        ),
        log(WARM, form="%m/%d/%Y %H:%M", head="MM/dd/yyyy hh:mm\tT\tOut of limits"),
        SIGNED,
    )
    assert evaluate(parse_fridgetag(american)).alarms[0].day == date(2024, 3, 5)


def test_other_order_of_sections() -> None:
    text = report(SIGNED, log(WARM), history(day(1, "2024-03-05", WARM_ALARM, "+4.9", "+9.0")), configuration())
    assert evaluate(parse_fridgetag(text)).agree is True


def test_fahrenheit_with_its_limits() -> None:
    limits = "  0:\n   T AL: +35.6, t AL: 60\n  1:\n   T AL: +46.4, t AL: 60\n"
    values = [round(value * 1.8 + 32, 1) for value in WARM]
    text = report(
        configuration(limits, Temp_unit="F"),
        history(day(1, "2024-03-05", WARM_ALARM, "+40.5", "+48.2")),
        log(values, low=35.6, high=46.4),
        SIGNED,
    )
    comparison = evaluate(parse_fridgetag(text))
    celsius = evaluate(parse_fridgetag(warm_report()))
    assert comparison.report.unit == FAHRENHEIT
    assert comparison.agree is True
    assert comparison.mkt == pytest.approx(celsius.mkt, abs=0.05)


def test_no_readings_leaves_the_device_alone() -> None:
    comparison = evaluate(parse_fridgetag(report(configuration(), history(warm_day()), SIGNED)))
    assert not comparison.report.damaged
    assert [alarm.agree for alarm in comparison.alarms] == [None]
    assert comparison.agree is None
    assert comparison.mkt is None
    assert any("no readings" in note for note in comparison.notes)


def test_several_sensors_and_missing_values() -> None:
    head = "yyyy-MM-dd hh:mm\tT Int\tT Ext\tOut of limits"
    rows = [f"\t2024-03-05 0{n // 12}:{n % 12 * 5:02d}\t21.0\t{'--.-' if n < 3 else 9.0}\tx" for n in range(24)]
    data = "Data:\n\t" + head + "\n" + "\n".join(rows) + "\n"
    record = day(1, "2024-03-05", "   0:\n    t Acc: 0\n   1:\n    t Acc: 120, TS A: 01:00, C A: 0\n", "+8.9", "+21.0")
    text = report(
        configuration(Use_ext_devices=1, Measurement_delay=10),
        history(record, created="2024-03-05 01:59"),
        data,
        SIGNED,
    )
    parsed = parse_fridgetag(text)
    comparison = evaluate(parsed)
    assert parsed.columns[parsed.judged_column] == "T Ext"
    assert comparison.agree is True, "the device judged from its start, though it logged only after its delay"
    readings = parsed.readings({"T Ext": "s/a/z/tag/temperature"}, datetime(2024, 3, 6, tzinfo=UTC))
    assert (readings[0].quality, readings[0].reason, readings[0].value) == (Quality.BAD, Reason.NO_VALUE, None)
    assert readings[3].value == 9.0


def test_more_limits_without_types() -> None:
    limits = "  0:\n   T AL: -0.5, t AL: 60\n  1:\n   T AL: +30.0, t AL: 600, C AL: 1\n  2:\n   T AL: +45.0, t AL: 0\n"
    found = parse_fridgetag(report(configuration(limits), log(COLD_DAY), SIGNED)).limits
    assert [(limit.side, limit.kind) for limit in found] == [
        (Side.LOW, AlarmKind.CONSECUTIVE),
        (Side.HIGH, AlarmKind.CUMULATIVE),
        (Side.HIGH, AlarmKind.INSTANT),
    ]
    assert found[0].assumed


def q_tag(alarms: str, values: list[float]) -> str:
    limits = (
        "  1:\n   Type: 2, T AL: 8.0, t AL: 30\n  2:\n   Type: 4, T AL: 8.0, t AL: 60\n  3:\n   Type: 0\n"
        "  4:\n   Type: 3, T AL: 2.0, t AL: 60\n  5:\n   Type: 1, T AL: 2.0, t AL: 30\n"
    )
    result = (
        "Res:\n TS Actv: 2024-03-04 22:00\n TS Start: 2024-03-05 00:00\n TS Stop: 2024-03-05 10:00\n TS Batt Temp:\n"
        f" Min T: 0.9, TS Min T: 2024-03-05 01:00\n Max T: 9.0\n MKT: 6.1\n Avrg T: 5.4\n Alarm:\n{alarms}"
    )
    conf = configuration(limits, Logging_Interval=10, MKT_Energy="83.0")
    return report(conf, result, log(values, step=10), SIGNED, device="Q-tag CLm")


def test_q_tag_types_and_its_single_events() -> None:
    values = [5.0] * 6 + [9.0] * 5 + [5.0] * 6 + [9.0] * 2 + [5.0] * 20 + [1.0] * 4 + [5.0] * 18
    alarms = (
        "  1:\n   TS S: 2024-03-05 00:55, t A: 53, TS A: 2024-03-05 01:25, TS E: 2024-03-05 01:48, T M: 9.1\n"
        "  2:\n   TS S: 2024-03-05 00:55, t A: 70, TS A: 2024-03-05 02:57\n"
        "  4:\n  5:\n   TS S: 2024-03-05 06:26, t A: 38, TS A: 2024-03-05 06:56, TS E:, T M: 0.9\n"
    )
    comparison = evaluate(parse_fridgetag(q_tag(alarms, values)))
    assert [limit.kind for limit in comparison.report.limits] == [
        AlarmKind.CONSECUTIVE,
        AlarmKind.CUMULATIVE,
        AlarmKind.CUMULATIVE,
        AlarmKind.CONSECUTIVE,
    ]
    assert [alarm.agree for alarm in comparison.alarms] == [True, True, True]
    assert comparison.alarms[1].our_minutes == 70
    assert comparison.report.activation_energy == 83.0


def test_a_clock_that_steps_back_and_doubled_times() -> None:
    lines = log([5.0, 5.0, 9.0, 5.0]).splitlines()
    lines += [lines[3], "\t2024-03-05 00:10\t12.0\tx", "\t2024-03-05 00:15\t5.0"]
    parsed = parse_fridgetag(report(configuration(), "\n".join(lines) + "\n", SIGNED))
    assert len(parsed.samples) == 7
    assert [(doubt.kind, doubt.damage) for doubt in parsed.doubts] == [
        ("duplicate", False),
        ("step_back", False),
        ("conflict", False),
        ("duplicate", False),
    ]
    assert evaluate(parsed).ours.highest == 12.0, "of two values at one time the worse is judged"
    back = "\t2023-12-31 23:30\t5.0\n"
    stepped = parse_fridgetag(report(configuration(), log([5.0] * 3) + back, SIGNED))
    assert [(doubt.kind, doubt.line) for doubt in stepped.doubts] == [("step_back", 19)]


def test_a_truncated_file_says_where_and_keeps_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = warm_report()
    cut = whole[: whole.index("2024-03-05 20:00") + 8]
    parsed = parse_fridgetag(cut)
    assert parsed.damaged
    assert len(parsed.samples) == 240
    assert {doubt.kind for doubt in parsed.doubts} >= {"malformed", "truncated"}
    path = tmp_path / "cut.txt"
    path.write_text(cut)
    assert import_logger(path) == 1
    captured = capsys.readouterr()
    assert f":{cut.count(chr(10)) + 1}: " in captured.err
    assert "240 readings" in captured.out


@pytest.mark.parametrize(
    "text", ["", "hello\n", "timestamp,value\n1,2\n", "Device: X\n", "\0\1\2", "Device Fridge\nConf\n"]
)
def test_other_files_are_refused_with_a_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.txt"
    path.write_text(text)
    with pytest.raises(BadFile, match=r"line 1|zero byte"):
        read_fridgetag(path)
    assert import_logger(path) == 2


def test_values_that_are_none_are_never_taken() -> None:
    text = report(configuration(), log([5.0, "nan", "inf", "5.x", "1e999", 5.0]), SIGNED)
    parsed = parse_fridgetag(text)
    assert [sample.values[0] for sample in parsed.samples] == [5.0, None, None, None, None, 5.0]
    assert [doubt.line for doubt in parsed.doubts if doubt.damage] == [19, 20]


def test_absurd_times_are_said() -> None:
    text = report(
        configuration(), history(), log([5.0] * 3) + "\t1970-01-01 00:00\t5.0\n\t2099-01-01 00:00\t5.0\n", SIGNED
    )
    kinds = [doubt.kind for doubt in parse_fridgetag(text).doubts]
    assert kinds.count("absurd_time") == 2


def test_the_clock_keeps_the_offset_of_its_start() -> None:
    text = report(
        configuration(),
        history(activated="2024-03-30 00:00", created="2024-04-01 00:00"),
        log([5.0] * 576, start=datetime(2024, 3, 30)),  # noqa: DTZ001 - as the device's clock shows it
        SIGNED,
    )
    parsed = parse_fridgetag(text, ZoneInfo("Europe/Zurich"))
    assert parsed.samples[0].at.astimezone(UTC) == datetime(2024, 3, 29, 23, tzinfo=UTC)
    assert parsed.samples[-1].at - parsed.samples[0].at == timedelta(minutes=5 * 575)
    assert evaluate(parsed).gaps == ()
    assert "Europe/Zurich" in parsed.clock
    assert "UTC" in parse_fridgetag(text).clock


def test_a_gap_resets_a_run() -> None:
    lines = log([9.0] * 20).splitlines()
    del lines[10:14]
    comparison = evaluate(parse_fridgetag(report(configuration(), "\n".join(lines) + "\n", SIGNED)))
    assert [gap.minutes for gap in comparison.gaps] == [25]
    assert not comparison.alarms


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([5.0, 8.0, 8.1, 9.0, 1.9, 2.0, "--.-"]), min_size=1, max_size=120))
def test_a_consecutive_alarm_is_never_earlier_than_its_delay(values: list[float | str]) -> None:
    """Brute force over minutes: every certain alarm has an hour of readings out before it, without a break."""
    comparison = evaluate(parse_fridgetag(report(configuration(), log(values), SIGNED)))
    for alarm in comparison.alarms:
        assert alarm.our_time is not None
        naive = alarm.our_time.replace(tzinfo=None)
        high = alarm.limit.startswith("1")
        for step in range(13):
            index = int((naive - START).total_seconds() // 300) - step
            value = values[index]
            assert isinstance(value, float)
            assert value > 8 if high else value < 2


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400), st.integers(0, 3000))
def test_hostile_text_never_escapes(text: str, cut: int) -> None:
    whole = warm_report()
    for candidate in (text, whole[:cut] + text + whole[cut:], "Device: X\nConf:\n" + text):
        try:
            evaluate(parse_fridgetag(candidate))
        except BadFile:
            continue
