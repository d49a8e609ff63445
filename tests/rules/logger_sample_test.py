"""The real Fridge-tag file: the device's own record is the oracle (../shared/data/README.md)."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.telemetry.readers.comparison import Comparison, to_json
from core.telemetry.readers.judging import evaluate
from lotwise.import_shown import markdown_table
from lotwise.importing import app
from tests.rules.logger_reports import read_fridgetag

SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "fridgetag-2l_130500109088.txt"
pytestmark = pytest.mark.skipif(not SAMPLE.exists(), reason=f"{SAMPLE} is absent")


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return evaluate(read_fridgetag(SAMPLE))


def test_every_reading_is_read(comparison: Comparison) -> None:
    report = comparison.report
    assert len(report.samples) == 10653
    assert (min(s.values[0] or 0 for s in report.samples), max(s.values[0] or 0 for s in report.samples)) == (
        -8.4,
        30.2,
    )
    assert not report.doubts
    assert report.signature.endswith("9dda11ab33a0523a1")
    assert "Public Key: 498b6848" in report.certificate


def test_all_ten_same_day_triggers_match_within_five_minutes(comparison: Comparison) -> None:
    begun = [alarm for alarm in comparison.alarms if not alarm.ran_on]
    assert len(begun) == 10
    for alarm in begun:
        assert alarm.agree is True
        assert alarm.device_time is not None
        assert alarm.our_time is not None
        assert abs((alarm.our_time - alarm.device_time).total_seconds()) <= 300


def test_minutes_out_in_pieces_are_no_alarm(comparison: Comparison) -> None:
    tenth = next(day for day in comparison.days if day.day == date(2022, 5, 10))
    assert tenth.device is not None
    assert tenth.ours is not None
    assert tenth.device.minutes["1"] == 147
    assert tenth.ours.minutes["1"] == pytest.approx(147, abs=7)
    assert not [alarm for alarm in comparison.alarms if alarm.day == tenth.day]


def test_the_gap_is_a_gap_and_no_alarm(comparison: Comparison) -> None:
    assert [gap.minutes for gap in comparison.gaps] == [352]
    assert comparison.gaps[0].start.date() == date(2022, 5, 2)
    assert not [alarm for alarm in comparison.alarms if alarm.day == date(2022, 5, 2)]


def test_the_alarm_runs_on_over_midnight(comparison: Comparison) -> None:
    (alarm,) = [alarm for alarm in comparison.alarms if alarm.day == date(2022, 5, 26)]
    assert alarm.ran_on
    assert alarm.agree is True
    assert alarm.our_time == alarm.device_time


def test_minutes_of_all_35_records_agree_within_seven(comparison: Comparison) -> None:
    pairs = [
        (minutes, day.ours.minutes[key])
        for day in comparison.days
        if day.device and day.ours
        for key, minutes in day.device.minutes.items()
        if minutes
    ]
    assert len(pairs) == 35
    assert all(abs(device - ours) <= 7 for device, ours in pairs)
    assert all(day.agree for day in comparison.days)


def test_json_has_what_was_asked_for(comparison: Comparison) -> None:
    data: dict[str, Any] = json.loads(json.dumps(to_json(comparison), allow_nan=False))
    assert data["readings"] == 10653
    assert data["gaps"][0]["minutes"] == 352
    assert set(data["alarms"][0]) >= {"limit", "day", "device_time", "our_time", "agree"}
    assert set(data["days"][0]) >= {"date", "device", "ours", "agree"}
    assert data["mkt"] == pytest.approx(12.701, abs=0.001)
    assert data["device"]["serial"] == "130500109088"


def test_the_command_prints_it_in_three_forms() -> None:
    runner = CliRunner()
    for option, expected in (
        ("--json", '"agree": true'),
        ("--markdown", "| 2022-05-03 |"),
        ("--strict", "10653 readings"),
    ):
        result = runner.invoke(app, ["logger", str(SAMPLE), option])
        assert result.exit_code == 0, result.output
        assert expected in result.output


def test_readme_says_of_a_real_device_what_the_command_prints(comparison: Comparison) -> None:
    readme = " ".join((Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8").split())
    said = (
        "10 of 10 alarms that began on their day within 5 min, 20 of 20 that ran on over midnight, "
        "35 of 35 days' minutes out of range within 7"
    )
    assert said in readme
    printed = markdown_table(comparison)
    assert "10 of 10 alarms that began on their day agree within 5 min; 20 of 20 that ran on over midnight" in printed
    assert "35 of 35 non-zero day records agree, at most 7 min apart" in printed
