"""The file of a simulated logger: the same seed makes the same file, it reads back, its mark stays."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.telemetry.readers.csv_mapping import CsvMapping
from core.telemetry.readers.fridgetag import parse_fridgetag
from core.telemetry.readers.judging import evaluate
from core.telemetry.readers.recorded import read_recorded
from lotwise.cli import app
from lotwise.importing import app as import_app
from simulators.loggerfile import Episode, SimulatedLogger, report, table

NOW = datetime(2026, 11, 30, tzinfo=UTC)
README = Path(__file__).parents[2] / "README.md"


def test_readme_shows_what_the_command_prints(tmp_path: Path) -> None:
    """For a newcomer, who has no logger's file: the product makes one, and this is what comes of it."""
    file = str(tmp_path / "logger.txt")
    assert CliRunner().invoke(app, ["simulate", "logger", file]).exit_code == 0
    printed = CliRunner().invoke(import_app, ["logger", file, "--tz", "UTC", "--markdown"])
    assert printed.exit_code == 0, printed.output
    assert printed.stdout.strip() in README.read_text(encoding="utf-8")


def test_the_same_seed_makes_the_same_file_and_another_another() -> None:
    assert report(SimulatedLogger()) == report(SimulatedLogger())
    assert report(SimulatedLogger(seed=8)) != report(SimulatedLogger())
    assert table(SimulatedLogger(days=1)) == table(SimulatedLogger(days=1))


@pytest.mark.parametrize("seed", range(6))
def test_device_and_readings_agree(seed: int) -> None:
    comparison = evaluate(parse_fridgetag(report(SimulatedLogger(seed=seed, every=1 + 4 * (seed % 2))), UTC))
    assert comparison.agree is True
    assert (len(comparison.alarms), len(comparison.gaps)) == (4, 1)
    assert {doubt.kind for doubt in comparison.report.doubts} == {"simulated", "unsigned"}


def test_a_table_reads_back_with_its_marks_as_events() -> None:
    logger = SimulatedLogger(days=2)
    found = read_recorded("x.csv", table(logger).encode(), "auto", "", CsvMapping(), NOW)
    logged = read_recorded("x.txt", report(logger).encode(), "auto", "UTC", CsvMapping(), NOW)
    assert (found.kind, logged.kind, found.serial, logged.serial) == ("csv", "logger", logger.serial, logger.serial)
    assert [(r.at, r.value) for r in found.readings] == [(r.at, r.value) for r in logged.readings]
    assert [event.text for event in found.events] == ["Event: Alarm"]
    assert all(r.simulated for r in (*found.readings, *logged.readings)), "the mark is indelible"


def test_an_episode_does_what_it_says() -> None:
    warm = SimulatedLogger(days=1, episodes=[Episode.read("1@10:00+60=20")])
    values = {r.at: r.value for r in read_recorded("x", table(warm).encode(), "csv", "", CsvMapping(), NOW).readings}
    assert max(float(value) for value in values.values() if value is not None) == pytest.approx(20, abs=0.5)
    silent = SimulatedLogger(days=1, episodes=[Episode.read("1@10:00+60")])
    times = [r.at for r in read_recorded("x", table(silent).encode(), "csv", "", CsvMapping(), NOW).readings]
    assert max(b - a for a, b in pairwise(times)) == timedelta(minutes=65)


def test_what_cannot_be_is_refused_and_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "logger.csv"
    file.write_text("somebody's own")
    run = CliRunner()
    assert run.invoke(app, ["simulate", "logger", str(file), "--form", "csv"]).exit_code == 1
    assert file.read_text() == "somebody's own"
    wrong = run.invoke(app, ["simulate", "logger", str(tmp_path / "new"), "--excursion", "tomorrow"])
    assert (wrong.exit_code, "DAY@HH:MM" in wrong.output) == (2, True)
    assert run.invoke(app, ["simulate", "cold_room_failure", "--describe"]).exit_code == 0, "scenarios as before"
