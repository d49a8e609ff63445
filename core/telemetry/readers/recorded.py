"""What a recorded file says of a recorder's surroundings, ready to be bound to goods: one series a quantity.

Also the guess at what a table's columns are, where nobody says.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from unicodedata import normalize

import msgspec

from core.telemetry.readers.csvfile import parse_csv
from core.telemetry.readers.csvframe import Column, CsvMapping, open_table
from core.telemetry.readers.fridgetag import parse_fridgetag
from core.telemetry.readers.report import Report
from core.telemetry.readers.text import BadFile, Doubt, decode
from core.telemetry.readers.walltime import zone_named
from core.telemetry.reading import Reading

_MOST_FAST = 366 * 1440.0
_REPORT = (
    re.compile(r"(?:\A|[\r\n]) *Device *:", re.IGNORECASE),
    re.compile(r"(?:\A|[\r\n])(?:Conf|Hist|Res|Data) *:[ \t]*(?:[\r\n]|\Z)", re.IGNORECASE),
)
"""Lines that a logger's report has, in whatever order; a table may have one of them before its heading."""
_QUANTITIES = (
    ("temperature", re.compile(r"temp|°\s*[cf]\b", re.IGNORECASE)),
    ("humidity", re.compile(r"hum|feucht|\brh\b|%", re.IGNORECASE)),
    ("pressure", re.compile(r"press|\bh?pa\b", re.IGNORECASE)),
)
_UNITS = (
    ("Cel", re.compile(r"°\s*c\b|\bdeg ?c\b|\[c\]|\(c\)|celsius|_c$", re.IGNORECASE)),
    ("[degF]", re.compile(r"°\s*f\b|\bdeg ?f\b|\[f\]|\(f\)|fahrenheit|_f$", re.IGNORECASE)),
    ("%", re.compile(r"%|\brh\b", re.IGNORECASE)),
    ("hPa", re.compile(r"\bhpa\b|mbar", re.IGNORECASE)),
    ("Pa", re.compile(r"\bpa\b", re.IGNORECASE)),
)
"""What a column's name says, the first that fits; a name that says no unit is given none."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorder's file: who it is, its readings, and every doubtful line. `authenticity` is None for a table."""

    kind: Literal["logger", "csv"]
    device: str
    serial: str
    readings: Sequence[Reading]
    doubts: Sequence[Doubt]
    authenticity: str | None


def read_recorded(
    name: str, data: bytes, kind: Literal["auto", "logger", "csv"], zone: str, mapping: CsvMapping, now: datetime
) -> Recorded:
    """The file of that name as a logger's report, or as a table by the mapping (without values: by its headings).

    `auto` takes for a report what has the sections of one. `zone` is what a logger's clock was set to. Raises BadFile.
    """
    text, stem = decode(data), name.rpartition("/")[2].partition(".")[0]
    if kind == "logger" or (kind == "auto" and all(line.search(text) for line in _REPORT)):
        report = parse_fridgetag(text, zone_named(zone))
        serial = report.serial or stem
        readings = logged(report, serial, now)
        return Recorded("logger", report.device, serial, readings, report.doubts, report.authenticity.value)
    if not mapping.values:
        mapping = msgspec.structs.replace(mapping, values=guess(stem, text, mapping))
    table = parse_csv(text, mapping, now)
    return Recorded("csv", "", stem, table.readings, table.doubts, None)


def segment(text: str) -> str:
    """The text as one segment of an address."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_")[:64] or "_"


def guess(stem: str, text: str, mapping: CsvMapping) -> tuple[Column, ...]:
    """Every column but the time's as a point import/csv/STEM/COLUMN/QUANTITY, with the unit its name gives.

    Raises BadFile as `open_table` does.
    """
    table = open_table(text, mapping)
    names = [normalize("NFKC", name) for name in table.names]  # a degree sign and its letter can be one character
    columns = [(place, name) for place, name in enumerate(names) if place not in table.times and name]
    seen: dict[str, int] = {}
    out = []
    for place, name in columns:
        bare = segment(name)
        seen[bare] = seen.get(bare, 0) + 1
        device = bare if seen[bare] == 1 else f"{bare}_{place + 1}"
        quantity = next((word for word, form in _QUANTITIES if form.search(name)), bare)
        unit = next((word for word, form in _UNITS if form.search(name)), "")
        out.append(Column(place + 1, f"import/csv/{segment(stem)}/{device}/{quantity}", unit))
    return tuple(out)


def logged(report: Report, serial: str, edge_at: datetime) -> list[Reading]:
    """A logger's readings: of several columns of one quantity, the one the device judges by; humidity besides.

    Raises BadFile for a report that has none, as of a device that only notes its days.
    """
    if not report.columns or not report.samples:
        raise BadFile(f"{report.device} {report.serial} keeps no readings, only days: there is nothing to bind")
    judged = report.columns[report.judged_column]
    points = {judged: f"import/logger/file/{segment(serial)}/temperature"}
    moist = [name for name in report.columns if name.lower().startswith("rh")]
    points |= {name: f"import/logger/file/{segment(serial)}/humidity" for name in moist[:1] if name != judged}
    return report.readings(points, edge_at)


def set_right(readings: Iterable[Reading], fast: float) -> list[Reading]:
    """The readings of a clock that was `fast` by so many minutes (slow if negative), at the times they were taken.

    Their own stamps stay in `source_at`. Raises BadFile for an offset of more than a year, or none at all.
    """
    if not abs(fast) <= _MOST_FAST:  # not a number is no offset either
        raise BadFile(f"a clock that is {fast:g} minutes fast cannot be set right")
    by = timedelta(minutes=fast)
    return [msgspec.structs.replace(reading, at=reading.at - by) for reading in readings]


def by_quantity(readings: Iterable[Reading]) -> Mapping[tuple[str, str], Sequence[Reading]]:
    """Readings by (quantity, unit), in the file's order.

    Raises BadFile where two columns measure one quantity, or a column has no unit: it must be said which counts.
    """
    out: dict[tuple[str, str], list[Reading]] = {}
    points: dict[str, str] = {}
    for reading in readings:
        device, quantity = reading.point.rsplit("/", 1)
        if points.setdefault(quantity, device) != device:
            raise BadFile(f"several columns are of {quantity}: name the one that counts (--value)")
        if not reading.unit:
            raise BadFile(f"{quantity} has no unit: give it (--value COLUMN=site/area/zone/device/{quantity}:UNIT)")
        out.setdefault((quantity, reading.unit), []).append(reading)
    return out
