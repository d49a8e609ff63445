"""Recorded files as lines of time and temperature: a Fridge-tag or Q-tag report, or a table."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from core.telemetry.readers.csv_file import Column, CsvMapping, read_csv
from core.telemetry.readers.fridgetag import read_fridgetag
from core.telemetry.readers.text import BadFile
from simulators.sensors import real_time

POINT = "replay/replay/replay/replay/temperature"
"""What a table's column is called on its way to the device that tells it."""


@dataclass(frozen=True)
class Recorded:
    """One line of a recording: its time, and its value, or None where the line has none."""

    at: datetime
    value: float | None
    unit: str


def recording(path: Path, *, mapping: CsvMapping | None = None, zone: tzinfo = UTC) -> list[Recorded]:
    """The lines of a file in their order. Raises BadFile if it is of no known kind.

    A logger report is told by its content; everything else is a table, by default with a header, the time in the first
    column and °C in the second. `zone` is what a logger's clock was set to.
    """
    try:
        report = read_fridgetag(path, zone)
    except BadFile:
        try:
            return _rows(path, mapping or temperatures("1", "2"))
        except BadFile as error:
            raise BadFile(f"{path}: {error.message}", error.line) from error
    judged = report.judged_column
    return [
        Recorded(sample.at.astimezone(UTC), sample.values[judged] if sample.values else None, report.unit)
        for sample in report.samples
    ]


def _rows(path: Path, mapping: CsvMapping) -> list[Recorded]:
    return [
        Recorded(r.at, float(r.value) if isinstance(r.value, int | float) else None, r.unit)
        for r in read_csv(path, mapping, real_time()).readings
        if r.point == mapping.values[0].point
    ]


def temperatures(time: str, value: str, unit: str = "Cel", timezone: str = "UTC") -> CsvMapping:
    """How to read a table with one column of times and one of temperatures, by name or number; told in °C."""
    column, times = (int(text) if text.isdecimal() else text for text in (value, time))
    to_unit = None if unit == "Cel" else "Cel"
    return CsvMapping(values=(Column(column, POINT, unit, to_unit),), time=(times,), timezone=timezone)
