"""Reads tables of values (CSV and its kin) into readings, by a mapping of columns to points.

Nothing is dropped in silence: what cannot be read becomes a bad reading or, without a time, a doubt with its line.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median_low

from core.telemetry.batch import Gap
from core.telemetry.quality import Quality, Reason
from core.telemetry.readers.csvframe import (
    CONVERSIONS,
    Column,
    CsvMapping,
    CsvTable,
    check_mapping,
    index_of,
    open_table,
)
from core.telemetry.readers.figures import Decimal, decimal_of, figure
from core.telemetry.readers.text import BadFile, Doubt, missing, read_text
from core.telemetry.readers.walltime import NEWEST_FIRST, Instant, newest_first, parse_wall, resolve, zone_named
from core.telemetry.reading import Reading

__all__ = ["Column", "CsvMapping", "CsvResult", "parse_csv", "read_csv"]

GAP_FACTOR = 1.5
"""Without an allowed gap, a silence longer than this many usual steps is one."""
_DIGITS = frozenset("0123456789")
_NOT_A_NUMBER = frozenset({"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})


@dataclass(frozen=True, slots=True)
class CsvResult:
    """Every row's readings in the file's order, the silences between them, and every doubtful line."""

    rows: int
    readings: tuple[Reading, ...]
    gaps: tuple[Gap, ...]
    doubts: tuple[Doubt, ...]
    columns: tuple[str, ...]
    delimiter: str
    time_format: str
    steps: Mapping[str, timedelta]
    """The usual distance between readings, by point."""

    @property
    def damaged(self) -> bool:
        """Whether a line could not be read."""
        return any(doubt.damage for doubt in self.doubts)


@dataclass(frozen=True, slots=True)
class _Row:
    """A line's time, and its cells of values in the order of the mapping; None where the line has no such column."""

    line: int
    wall: datetime
    cells: tuple[str | None, ...]


def read_csv(path: Path, mapping: CsvMapping, edge_at: datetime) -> CsvResult:
    """The file as readings; `edge_at` (aware) is when we received it. Raises BadFile when the file does not fit.

    Doubtful lines do not stop it: they are all in the result, with their numbers.
    """
    return parse_csv(read_text(path), mapping, edge_at)


def parse_csv(text: str, mapping: CsvMapping, edge_at: datetime) -> CsvResult:
    """As `read_csv`, from text."""
    table = open_table(text, mapping)
    names = table.names
    check_mapping(mapping, names)
    zone = zone_named(mapping.timezone)
    doubts: list[Doubt] = []
    if table.skipped > mapping.skip_lines:
        lines = f"the lines up to {table.skipped} are not part of the table, and left out"
        doubts.append(Doubt(mapping.skip_lines + 1, "preamble", lines))
    rows = list(_rows(table, [index_of(column.column, names) for column in mapping.values], doubts))
    instants = resolve([row.wall for row in rows], zone, mapping.ambiguous, edge_at)
    readings: list[Reading] = []
    for index, column in enumerate(mapping.values):
        decimal = mapping.decimal or _decimal(rows, column, index)
        for row, instant in zip(rows, instants, strict=True):
            value = _value(row.line, row.cells[index], column, decimal, doubts)
            readings.append(_reading(value, instant, column, edge_at, simulated=mapping.simulated))
    _look_at_times(rows, instants, doubts)
    _look_for_twins(readings, rows, doubts)
    gaps, steps = _gaps(readings, mapping)
    return CsvResult(
        rows=len(rows) + sum(doubt.kind == "malformed_row" for doubt in doubts),
        readings=tuple(readings),
        gaps=tuple(gaps),
        doubts=tuple(sorted(doubts, key=lambda doubt: doubt.line)),
        columns=names,
        delimiter=table.delimiter,
        time_format=table.time_format,
        steps=steps,
    )


def _rows(table: CsvTable, places: Sequence[int], doubts: list[Doubt]) -> Iterator[_Row]:
    """The rows that have a time and no more cells than there are columns; the others become doubts."""
    width = len(table.names)
    for line, cells in table.records():
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            message = f"{len(cells)} columns, {width} expected"
            doubts.append(Doubt(line, "malformed_row", message, damage=True))
            continue
        try:
            wall = parse_wall(table.stamp(cells), table.time_format)
            yield _Row(line, wall, tuple(cells[place] if place < len(cells) else None for place in places))
        except IndexError:
            message = f"{len(cells)} columns, {width} expected"
            doubts.append(Doubt(line, "malformed_row", message, damage=True))
        except ValueError as error:
            message = f"no time ({error}): time says which column has it, time_format how it is written"
            doubts.append(Doubt(line, "malformed_row", message, damage=True))


def _decimal(rows: Sequence[_Row], column: Column, index: int) -> Decimal:
    try:
        return decimal_of((row.line, cell) for row in rows if (cell := row.cells[index]) is not None)
    except BadFile as error:
        raise BadFile(f"column {column.column!r}: {error.message}", error.line) from error


def _reading(
    found: tuple[float | None, Quality, str], instant: Instant, column: Column, edge_at: datetime, *, simulated: bool
) -> Reading:
    """The reading of one cell, in the unit that is wanted; a doubtful time makes a good value uncertain."""
    value, quality, reason = found
    if instant.doubt and quality is Quality.GOOD:
        quality, reason = Quality.UNCERTAIN, Reason.CLOCK
    unit = column.unit if column.to_unit is None else column.to_unit
    if value is not None and (column.unit, unit) in CONVERSIONS:
        factor, offset = CONVERSIONS[column.unit, unit]
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


def _value(
    line: int, cell: str | None, column: Column, decimal: Decimal, doubts: list[Doubt]
) -> tuple[float | None, Quality, str]:
    if cell is None:
        doubts.append(Doubt(line, "malformed", f"no column {column.column!r} in this line", damage=True))
        return None, Quality.BAD, Reason.NO_VALUE
    text = cell.strip()
    if text[:1] not in _DIGITS and missing(text):
        strange = text.lower() in _NOT_A_NUMBER
        doubts.append(Doubt(line, "no_value", f"{column.column!r} has no value ({text!r})"))
        return None, Quality.BAD, Reason.NOT_A_NUMBER if strange else Reason.NO_VALUE
    try:
        return figure(text, decimal), Quality.GOOD, Reason.NONE
    except ValueError as error:
        doubts.append(Doubt(line, "malformed", f"{column.column!r}: {error}", damage=True))
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
    timed = [(instant.at, row.line) for row, instant in zip(rows, instants, strict=True)]
    if newest_first([at for at, _ in timed]):
        doubts.append(Doubt(timed[0][1], "newest_first", NEWEST_FIRST))
        timed.reverse()
    for (before, _), (at, line) in pairwise(timed):
        if at < before:
            doubts.append(Doubt(line, "step_back", f"the clock steps back from {before} to {at}"))


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
