"""What a recorded file says of a logger's surroundings, ready to be bound to goods: one series a quantity."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from core.telemetry.compact import PointReadings, Readings
from core.telemetry.message import Message
from core.telemetry.readers.columns import segment
from core.telemetry.readers.csv_file import Event
from core.telemetry.readers.csv_mapping import CsvMapping
from core.telemetry.readers.fridgetag import parse_fridgetag
from core.telemetry.readers.report import Report
from core.telemetry.readers.tables import read_table
from core.telemetry.readers.text import BadFile, Doubt, decode, unpacked
from core.telemetry.readers.wall_time import zone_named
from core.telemetry.reading import Reading

_MOST_FAST = 366 * 1440.0
_REPORT = (
    re.compile(r"(?:\A|[\r\n]) *Device *:", re.IGNORECASE),
    re.compile(r"(?:\A|[\r\n])(?:Conf|Hist|Res|Data) *:[ \t]*(?:[\r\n]|\Z)", re.IGNORECASE),
)
"""Lines that a logger's report has, in whatever order; a table may have one of them before its heading."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A logger's file: who it is, its readings, what it noted, and every doubtful line.

    `authenticity` is None for a table.
    """

    kind: Literal["logger", "csv"]
    device: str
    serial: str
    readings: Sequence[Reading]
    doubts: Sequence[Doubt]
    authenticity: str | None
    events: Sequence[Event] = ()


def read_recorded(
    name: str, data: bytes, kind: Literal["auto", "logger", "csv"], zone: str, mapping: CsvMapping, now: datetime
) -> Recorded:
    """The file of that name as a logger's report, or as a table by the mapping (without values: by its headings).

    `auto` takes for a report what has the sections of one. `zone` is what a logger's clock was set to; empty where
    nobody says it. Raises BadFile.
    """
    if kind == "logger" or (kind == "auto" and is_report(data)):
        report = parse_fridgetag(decode(data), zone_named(zone) if zone else None)
        serial = report.serial or name.rpartition("/")[2].partition(".")[0]
        readings = logged(report, serial, now)
        return Recorded("logger", report.device, serial, readings, report.doubts, report.authenticity.value)
    table = read_table(name, data, mapping, now)
    serial = table.serial or name.rpartition("/")[2].partition(".")[0]
    return Recorded("csv", table.device, serial, table.readings, table.doubts, None, table.events)


def is_report(data: bytes) -> bool:
    """Whether the bytes are a report of the Fridge-tag family. Raises BadFile for a broken gzip file."""
    try:
        text = decode(unpacked(data))
    except BadFile:
        return False
    return all(line.search(text) for line in _REPORT)


def logged(report: Report, serial: str, edge_at: datetime) -> list[Reading]:
    """A logger's readings: of several columns of one quantity, the one the device judges by; humidity besides.

    Raises BadFile for a report that has none, as of a device that only notes its days.
    """
    if not report.columns or not report.samples:
        raise BadFile(Message("telemetry.only_days", device=report.device, serial=report.serial))
    judged = report.columns[report.judged_column]
    points = {judged: f"import/logger/file/{segment(serial)}/temperature"}
    moist = [name for name in report.columns if name.lower().startswith("rh")]
    points |= {name: f"import/logger/file/{segment(serial)}/humidity" for name in moist[:1] if name != judged}
    return report.readings(points, edge_at)


def set_right(readings: Iterable[Reading], fast: float) -> Readings:
    """The readings of a clock that was `fast` by so many minutes (slow if negative), at the times they were taken.

    Their own stamps stay in `source_at`. Raises BadFile for an offset of more than a year, or none at all.
    """
    if not abs(fast) <= _MOST_FAST:  # not a number is no offset either
        raise BadFile(Message("telemetry.clock_too_wrong", minutes=f"{fast:g}"))
    by = timedelta(minutes=fast)
    shift = by // timedelta(microseconds=1)
    return Readings(
        replace(one, values=one.values.shifted(shift), fast=one.fast + by) for one in Readings.of(readings).points
    )


def by_quantity(readings: Iterable[Reading]) -> Mapping[tuple[str, str], Readings]:
    """Readings by (quantity, unit), in the file's order.

    Raises BadFile where two columns measure one quantity, or a column has no unit: it must be said which counts.
    """
    out: dict[tuple[str, str], list[PointReadings]] = {}
    devices: dict[str, dict[str, None]] = {}
    for column in Readings.of(readings).points:
        if not column.values:
            continue
        device, quantity = column.point.rsplit("/", 1)
        devices.setdefault(quantity, {})[device] = None
        for unit in dict.fromkeys(column.values.states[place].unit for place in np.unique(column.values.places())):
            if not unit:
                raise BadFile(Message("telemetry.no_unit", quantity=quantity))
            out.setdefault((quantity, unit), []).append(replace(column, values=column.values.of_unit(unit)))
    for quantity, found in devices.items():
        if len(found) > 1:
            names = [device.rpartition("/")[2] for device in found]
            raise BadFile(Message("telemetry.several_columns", quantity=quantity, names=names))
    return {key: Readings(columns) for key, columns in out.items()}
