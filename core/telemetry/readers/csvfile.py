"""Reads tables of values (CSV and its kin) into readings, by a mapping of columns to points.

Nothing is dropped in silence: what cannot be read becomes a bad reading or, without a time, a doubt with its line.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median_low

import msgspec

from core.telemetry.address import BadAddress, check_point
from core.telemetry.batch import Gap
from core.telemetry.quality import Quality, Reason
from core.telemetry.readers.text import BadFile, Doubt, missing, number, read_text
from core.telemetry.readers.walltime import Ambiguous, Instant, parse_wall, resolve, zone_named
from core.telemetry.reading import Reading

GAP_FACTOR = 1.5
"""Without an allowed gap, a silence longer than this many usual steps is one."""
_DELIMITERS = (";", "\t", "|", ",")
_SNIFFED_LINES = 50
_CONVERSIONS = {
    ("[degF]", "Cel"): (5 / 9, -160 / 9),
    ("K", "Cel"): (1.0, -273.15),
    ("Cel", "[degF]"): (1.8, 32.0),
}
_NOT_A_NUMBER = frozenset({"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column of values: its name or number (1 for the first), the point it goes to, its unit (UCUM).

    With `to_unit` the value is converted (between °C, °F and K) before it becomes a reading.
    """

    column: str | int
    point: str
    unit: str = ""
    to_unit: str | None = None


class CsvMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to read a table. `time` names one column or several, joined by a space (date and time apart).

    `time_format`: strptime, "iso" (default), "unix", "unix_ms" or "unix_us". `timezone` holds for times without an
    offset. `delimiter` is found out where it is not given. `allowed_gap` in minutes; by default 1.5 usual steps.
    """

    values: tuple[Column, ...]
    time: tuple[str | int, ...] = (1,)
    time_format: str | None = None
    timezone: str = "UTC"
    ambiguous: Ambiguous = Ambiguous.ORDER
    delimiter: str | None = None
    header: bool = True
    skip_lines: int = 0
    allowed_gap: float | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class CsvResult:
    """Every row's readings in the file's order, the silences between them, and every doubtful line."""

    rows: int
    readings: tuple[Reading, ...]
    gaps: tuple[Gap, ...]
    doubts: tuple[Doubt, ...]
    columns: tuple[str, ...]
    delimiter: str
    steps: Mapping[str, timedelta]
    """The usual distance between readings, by point."""

    @property
    def damaged(self) -> bool:
        """Whether a line could not be read."""
        return any(doubt.damage for doubt in self.doubts)


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    wall: datetime
    cells: list[str]


def read_csv(path: Path, mapping: CsvMapping, edge_at: datetime) -> CsvResult:
    """The file as readings; `edge_at` (aware) is when we received it. Raises BadFile when the file does not fit.

    Doubtful lines do not stop it: they are all in the result, with their numbers.
    """
    return parse_csv(read_text(path), mapping, edge_at)


def columns_of(text: str, mapping: CsvMapping) -> tuple[str, list[str]]:
    """The delimiter in use and the names of the columns (1, 2, … without a header). Raises BadFile."""
    delimiter = mapping.delimiter or _sniff(text, mapping.skip_lines)
    for _, cells in _records(text, delimiter, mapping.skip_lines):
        names = [cell.strip() for cell in cells] if mapping.header else [str(n) for n in range(1, len(cells) + 1)]
        return delimiter, names
    raise BadFile("the file is empty")


def parse_csv(text: str, mapping: CsvMapping, edge_at: datetime) -> CsvResult:
    """As `read_csv`, from text."""
    delimiter, names = columns_of(text, mapping)
    _check(mapping, names)
    zone = zone_named(mapping.timezone)
    doubts: list[Doubt] = []
    rows = list(_rows(text, mapping, delimiter, names, doubts))
    instants = resolve([row.wall for row in rows], zone, mapping.ambiguous, edge_at)
    readings: list[Reading] = []
    for column in mapping.values:
        index = _index(column.column, names)
        for row, instant in zip(rows, instants, strict=True):
            value = _value(row, column, index, doubts)
            readings.append(_reading(value, instant, column, edge_at, simulated=mapping.simulated))
    _look_at_times(rows, instants, doubts)
    _look_for_twins(readings, rows, doubts)
    gaps, steps = _gaps(readings, mapping)
    return CsvResult(
        rows=len(rows) + sum(doubt.kind == "malformed_row" for doubt in doubts),
        readings=tuple(readings),
        gaps=tuple(gaps),
        doubts=tuple(sorted(doubts, key=lambda doubt: doubt.line)),
        columns=tuple(names),
        delimiter=delimiter,
        steps=steps,
    )


def _sniff(text: str, skip: int) -> str:
    """The delimiter that cuts most lines like the first; a semicolon, tab or bar goes before a comma."""
    lines = [line for line in text.splitlines()[skip : skip + _SNIFFED_LINES] if line.strip()]
    if not lines:
        raise BadFile("the file is empty")

    def score(delimiter: str) -> int:
        counts = [line.count(delimiter) for line in lines]
        return sum(count == counts[0] for count in counts) if counts[0] else 0

    best = max(_DELIMITERS, key=score)
    if not score(best):
        raise BadFile(f"no delimiter found in {lines[0][:60]!r}: give it (one of ; , | or tab)", skip + 1)
    return best


def _records(text: str, delimiter: str, skip: int) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every record that is not blank. Raises BadFile for broken quoting."""
    stream = io.StringIO(text, newline="")
    for _ in range(skip):
        stream.readline()
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    line = skip + 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = skip + reader.line_num + 1
    except csv.Error as error:
        raise BadFile(f"broken table: {error}", skip + reader.line_num) from error


def _check(mapping: CsvMapping, names: Sequence[str]) -> None:
    """Every fault of the mapping at once. Raises BadFile."""
    wanted = (*mapping.time, *(column.column for column in mapping.values))
    there = ", ".join(names)
    faults = [f"no column {name!r} (there are {there})" for name in wanted if _find(name, names) is None]
    for column in mapping.values:
        try:
            check_point(column.point)
        except BadAddress as error:
            faults.append(str(error))
        if column.to_unit not in (None, column.unit) and (column.unit, column.to_unit) not in _CONVERSIONS:
            faults.append(f"{column.column!r}: cannot convert {column.unit!r} to {column.to_unit!r}")
    if not mapping.values:
        faults.append("no column of values is given")
    if faults:
        raise BadFile("; ".join(faults), mapping.skip_lines + 1)


def _find(wanted: str | int, names: Sequence[str]) -> int | None:
    if isinstance(wanted, int):
        return wanted - 1 if 1 <= wanted <= len(names) else None
    lowered = [name.lower() for name in names]
    return lowered.index(wanted.strip().lower()) if wanted.strip().lower() in lowered else None


def _index(wanted: str | int, names: Sequence[str]) -> int:
    found = _find(wanted, names)
    if found is None:
        raise BadFile(f"no column {wanted!r}")
    return found


def _rows(text: str, mapping: CsvMapping, delimiter: str, names: Sequence[str], doubts: list[Doubt]) -> Iterator[_Row]:
    """The rows that have a time; the others become doubts."""
    times = [_index(column, names) for column in mapping.time]
    header = mapping.header
    for line, cells in _records(text, delimiter, mapping.skip_lines):
        if header:
            header = False
            continue
        try:
            stamp = " ".join(cells[index].strip() for index in times)
            yield _Row(line, parse_wall(stamp, mapping.time_format), cells)
        except IndexError:
            doubts.append(Doubt(line, "malformed_row", f"{len(cells)} columns, {len(names)} expected", damage=True))
        except ValueError as error:
            doubts.append(Doubt(line, "malformed_row", str(error), damage=True))


def _reading(
    found: tuple[float | None, Quality, str], instant: Instant, column: Column, edge_at: datetime, *, simulated: bool
) -> Reading:
    """The reading of one cell, in the unit that is wanted; a doubtful time makes a good value uncertain."""
    value, quality, reason = found
    if instant.doubt and quality is Quality.GOOD:
        quality, reason = Quality.UNCERTAIN, Reason.CLOCK
    unit = column.unit if column.to_unit is None else column.to_unit
    if value is not None and (column.unit, unit) in _CONVERSIONS:
        factor, offset = _CONVERSIONS[column.unit, unit]
        value = value * factor + offset
    return Reading(
        point=column.point,
        at=instant.at,
        value=value,
        unit=unit,
        edge_at=edge_at,
        source_at=instant.at,
        quality=quality,
        reason=reason,
        simulated=simulated,
    )


def _value(row: _Row, column: Column, index: int, doubts: list[Doubt]) -> tuple[float | None, Quality, str]:
    if index >= len(row.cells):
        doubts.append(Doubt(row.line, "malformed", f"no column {column.column!r} in this line", damage=True))
        return None, Quality.BAD, Reason.NO_VALUE
    text = row.cells[index].strip()
    if missing(text):
        strange = text.lower() in _NOT_A_NUMBER
        doubts.append(Doubt(row.line, "no_value", f"{column.column!r} has no value ({text!r})"))
        return None, Quality.BAD, Reason.NOT_A_NUMBER if strange else Reason.NO_VALUE
    try:
        return number(text), Quality.GOOD, Reason.NONE
    except ValueError as error:
        doubts.append(Doubt(row.line, "malformed", f"{column.column!r}: {error}", damage=True))
        return None, Quality.BAD, Reason.NOT_A_NUMBER


def _look_at_times(rows: Sequence[_Row], instants: Sequence[Instant], doubts: list[Doubt]) -> None:
    """Doubtful times, and steps back of the clock, each with its line."""
    texts = {
        "ambiguous_time": "comes twice when clocks go back: taken as the first, uncertain",
        "nonexistent_time": "is skipped when clocks go forward: uncertain",
        "absurd_time": "lies before 2000 or in the future: uncertain",
    }
    for row, instant in zip(rows, instants, strict=True):
        if instant.doubt:
            doubts.append(Doubt(row.line, instant.doubt, f"{row.wall} {texts[instant.doubt]}"))
    for (_, before), (row, instant) in pairwise(zip(rows, instants, strict=True)):
        if instant.at < before.at:
            doubts.append(Doubt(row.line, "step_back", f"the clock steps back from {before.at} to {instant.at}"))


def _look_for_twins(readings: Sequence[Reading], rows: Sequence[_Row], doubts: list[Doubt]) -> None:
    """A second value at one time of one point: equal is a duplicate, different a conflict. Both stay."""
    seen: dict[tuple[str, datetime], tuple[Reading, int]] = {}
    for position, reading in enumerate(readings):
        line = rows[position % len(rows)].line
        first, at = seen.setdefault((reading.point, reading.at), (reading, line))
        if first is reading:
            continue
        same = (first.value, first.quality) == (reading.value, reading.quality)
        kind = "duplicate" if same else "conflict"
        doubts.append(Doubt(line, kind, f"{reading.point} at {reading.at} again (first on line {at})"))


def _gaps(readings: Sequence[Reading], mapping: CsvMapping) -> tuple[list[Gap], dict[str, timedelta]]:
    """The silences of each point between good values (an uncertain one is no coverage), and its usual step."""
    gaps: list[Gap] = []
    steps: dict[str, timedelta] = {}
    for column in mapping.values:
        moments = sorted({r.at for r in readings if r.point == column.point and r.quality is Quality.GOOD})
        distances = [later - earlier for earlier, later in pairwise(moments)]
        if not distances:
            continue
        steps[column.point] = median_low(distances)
        allowed = steps[column.point] * GAP_FACTOR
        if mapping.allowed_gap is not None:
            allowed = timedelta(minutes=mapping.allowed_gap)
        gaps += [Gap(column.point, a, b, "silence") for a, b in pairwise(moments) if b - a > allowed]
    return gaps, steps
